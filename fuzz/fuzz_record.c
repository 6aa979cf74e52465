/* fuzz_record.c: any bytes are refused by any keys in any mode; what was sealed opens again; with one bit changed it does not, and then no plaintext
 * is left where it would have been.
 * Input: 8 bytes of choices (suite, version, encrypt-then-MAC and in place, padding, which bit), then the plaintext. */
#include "record/record.h"

#include <stdlib.h>
#include <string.h>

#define ROOM (AK_PLAINTEXT_MAX + 4096)

static ak_provider *provider(void) {
    static ak_provider *p;
    ak_failure f = {0};
    if (p == NULL) p = ak_provider_new(NULL, &f);
    if (p == NULL) abort();
    return p;
}

static ak_protect *keyed(const ak_suite *s, uint16_t version, bool etm, bool seal) {
    static const uint8_t bytes[AK_HASH_MAX] = {1, 2, 3, 4, 5, 6, 7, 8};
    const ak_cipher_info *info = ak_cipher(s->cipher);
    ak_failure f = {0};
    ak_protect *x = ak_protect_new(provider());
    if (x == NULL) abort();
    size_t iv = info->kind == AK_KIND_aead ? info->fixed_iv : version <= AK_TLS10 ? info->block : 0;
    ak_error e = version == AK_TLS13
                     ? ak_protect_set13(x, s, seal, ak_view_of(bytes, ak_hash_size(s->prf)), &f)
                     : ak_protect_set12(x, s, version, etm, seal, ak_view_of(bytes, ak_hash_size(s->mac)), ak_view_of(bytes, info->key),
                                        ak_view_of(bytes, info->kind == AK_KIND_null ? 0 : iv), &f);
    if (e != AK_OK) abort();
    return x;
}

static ak_record view(const uint8_t *bytes, size_t n) {
    ak_record r = {bytes[0], (uint16_t)(bytes[1] << 8 | bytes[2]), ak_view_of(bytes, AK_RECORD_HEADER),
                   ak_view_of(bytes + AK_RECORD_HEADER, n - AK_RECORD_HEADER)};
    return r;
}

/* Opens a copy of exactly n bytes, in place or beside; *plain gets the output, to be freed. */
static ak_error open_copy(ak_protect *x, const uint8_t *bytes, size_t n, bool in_place, uint8_t **plain, size_t *plain_n, uint8_t *type) {
    uint8_t *copy = malloc(n), *beside = calloc(1, n);
    if (copy == NULL || beside == NULL) abort();
    memcpy(copy, bytes, n);
    ak_record r = view(copy, n);
    ak_failure f = {0};
    ak_error e = ak_open(x, &r, AK_PLAINTEXT_MAX, in_place ? copy + AK_RECORD_HEADER : beside, plain_n, type, &f);
    if (in_place) memcpy(beside, copy + AK_RECORD_HEADER, n - AK_RECORD_HEADER);
    free(copy);
    *plain = beside;
    return e;
}

/* Whether the first 16 bytes of plain stand somewhere in those n bytes; only said of bytes that nothing else would leave there (what was
 * wiped is zeros). */
static bool leaked(const uint8_t *in, size_t n, const uint8_t *plain, size_t plain_n) {
    unsigned changes = 0;
    if (plain_n < 16) return false;
    for (size_t i = 1; i < 16; i++) changes += plain[i] != plain[i - 1];
    for (size_t i = 0; changes > 8 && i + 16 <= n; i++)
        if (memcmp(in + i, plain, 16) == 0) return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t sealed[ROOM];
    if (size < 8 || size - 8 > AK_PLAINTEXT_MAX) return 0;
    const ak_suite *s = &ak_suites[data[0] % ak_suites_count];
    if (!ak_suite_usable(provider(), s)) return 0;
    uint16_t version = (uint16_t)(s->min_version + data[1] % (s->max_version - s->min_version + 1));
    uint16_t wire = version == AK_TLS13 ? AK_TLS12 : version;
    bool etm = data[2] & 1, in_place = data[2] & 2;
    const uint8_t *plain = data + 8;
    size_t n = size - 8, pad = n + data[3] <= AK_PLAINTEXT_MAX ? data[3] : 0, sealed_n, got_n;
    uint8_t *got, type;
    ak_failure f = {0};
    ak_protect *w = keyed(s, version, etm, true), *r = keyed(s, version, etm, false);

    if (n > AK_RECORD_HEADER) {
        ak_protect *c = ak_protect_clone(r);
        if (c == NULL || open_copy(c, plain, n, in_place, &got, &got_n, &type) == AK_OK) abort();
        free(got);
        ak_protect_free(c);
    }

    if (ak_seal(w, AK_CT_application_data, wire, plain, n, pad, sealed, &sealed_n, &f) != AK_OK || sealed_n > sizeof sealed) abort();
    if (sealed_n != ak_seal_size(w, n, pad)) abort();
    size_t bit = ((size_t)data[4] << 24 | (size_t)data[5] << 16 | (size_t)data[6] << 8 | data[7]) % (8 * (sealed_n - AK_RECORD_HEADER)) + 8 * AK_RECORD_HEADER;
    size_t free_bytes = version == AK_SSL30 ? ak_cipher(s->cipher)->block : 0; /* nothing covers SSL 3.0's padding */
    if (bit / 8 < sealed_n - 2 * free_bytes) {
        ak_protect *c = ak_protect_clone(r);
        if (c == NULL) abort();
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (open_copy(c, sealed, sealed_n, in_place, &got, &got_n, &type) != AK_ERR_bad_record_mac || got_n != 0) abort();
        /* The NULL cipher hides nothing: its plaintext is in the record itself. */
        if (ak_cipher(s->cipher)->kind != AK_KIND_null && leaked(got, sealed_n, plain, n)) abort();
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        free(got);
        ak_protect_free(c);
    }

    if (open_copy(r, sealed, sealed_n, in_place, &got, &got_n, &type) != AK_OK) abort();
    if (got_n != n || type != AK_CT_application_data || (n != 0 && memcmp(got, plain, n) != 0)) abort();
    free(got);
    ak_protect_free(w);
    ak_protect_free(r);
    return 0;
}
