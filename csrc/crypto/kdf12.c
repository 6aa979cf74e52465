#include "crypto/internal.h"

#include <stdlib.h>
#include <string.h>

/* P_hash(secret, label || seed), RFC 5246 §5, written (or XORed, for the two halves of TLS 1.0's PRF) into out. */
static void p_hash(const ak_hmac_key *k, ak_view seed, bool mix, uint8_t *out, size_t n) {
    uint8_t a[AK_HASH_MAX], block[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    size_t size = ak_hash_size(k->hash);
    ak_hmac_with(k, seed, none, none, a);
    while (n > 0) {
        size_t take = n < size ? n : size;
        ak_hmac_with(k, ak_view_of(a, size), seed, none, block);
        for (size_t i = 0; i < take; i++) out[i] = (uint8_t)(mix ? out[i] ^ block[i] : block[i]);
        out += take;
        n -= take;
        if (n > 0) ak_hmac_with(k, ak_view_of(a, size), none, none, a);
    }
    ak_wipe(a, size);
    ak_wipe(block, size);
}

static void drop(ak_hmac_key *k) {
    if (k != NULL) ak_wipe(k, sizeof *k);
    free(k);
}

static ak_hmac_key *keyed(ak_provider *p, ak_hash hash, ak_view secret) {
    ak_hmac_key *k = ak_provider_has_hash(p, hash) ? malloc(sizeof *k) : NULL;
    if (k == NULL || ak_hmac_key_set(k, hash, secret)) return k;
    free(k);
    return NULL;
}

static ak_hash first_hash(ak_hash hash) { return hash == AK_HASH_md5_sha1 ? AK_HASH_md5 : hash; }

bool ak_prf_key_set(ak_prf_key *k, ak_provider *p, ak_hash hash, ak_view secret) {
    ak_prf_key_free(k);
    k->hash = hash;
    k->secret = secret;
    /* RFC 2246 §5: the two halves of the secret, sharing the middle byte when its length is odd */
    size_t half = hash == AK_HASH_md5_sha1 ? (secret.n + 1) / 2 : secret.n;
    k->keys[0] = keyed(p, first_hash(hash), ak_view_of(secret.p, half));
    bool ok = k->keys[0] != NULL;
    if (ok && hash == AK_HASH_md5_sha1) {
        k->keys[1] = keyed(p, AK_HASH_sha1, ak_view_of(half > 0 ? secret.p + secret.n - half : NULL, half));
        ok = k->keys[1] != NULL;
    }
    if (!ok) ak_prf_key_free(k);
    return ok;
}

void ak_prf_key_free(ak_prf_key *k) {
    drop(k->keys[0]);
    drop(k->keys[1]);
    memset(k, 0, sizeof *k);
}

bool ak_prf_with(const ak_prf_key *k, ak_provider *p, const char *label, ak_view seed_a, ak_view seed_b, uint8_t *out, size_t n) {
    /* label || seeds once in one place: each block hashes A(i) and then all of it. Longer ones than any TLS label and seed take the heap. */
    uint8_t few[192];
    ak_buf many;
    ak_buf_init(&many, AK_BUF_NO_LIMIT);
    size_t label_n = strlen(label), total = label_n + seed_a.n + seed_b.n;
    uint64_t begun = ak_journal_begin(p);
    uint8_t *at = total <= sizeof few ? few : ak_buf_grow(&many, total);
    bool ok = at != NULL && k->keys[0] != NULL;
    if (ok) {
        if (label_n != 0) memcpy(at, label, label_n);
        if (seed_a.n != 0) memcpy(at + label_n, seed_a.p, seed_a.n);
        if (seed_b.n != 0) memcpy(at + label_n + seed_a.n, seed_b.p, seed_b.n);
        p_hash(k->keys[0], ak_view_of(at, total), false, out, n);
        if (k->keys[1] != NULL) p_hash(k->keys[1], ak_view_of(at, total), true, out, n);
    }
    ak_buf_free(&many); /* labels, randoms and hashes: nothing secret */
    if (!ok) ak_wipe(out, n);
    if (begun != 0)
        ak_journal_end(p, begun, &(ak_note){.op = "prf", .what = label, .secret = k->secret, .context = seed_a, .context_b = seed_b, .out = ak_view_of(out, n), .bytes = n});
    return ok;
}

bool ak_prf(ak_provider *p, ak_hash hash, ak_view secret, const char *label, ak_view seed_a, ak_view seed_b, uint8_t *out, size_t n) {
    ak_prf_key k = {.hash = AK_HASH_none};
    bool ok = ak_prf_key_set(&k, p, hash, secret) && ak_prf_with(&k, p, label, seed_a, seed_b, out, n);
    if (!ok) ak_wipe(out, n);
    ak_prf_key_free(&k);
    return ok;
}
