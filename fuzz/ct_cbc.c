/* ct_cbc.c: opening a MAC-then-encrypt record takes no branch and no memory access that depends on a secret (Lucky 13).
 *
 * The decrypted bytes and the MAC key are marked as undefined, and valgrind's memcheck follows them: it reports every branch and every address
 * made of them. Only the verdict is then made public. Lengths are public, so that every case is run for all of them that matter.
 *
 *   make library && cc -O2 -g -Icsrc fuzz/ct_cbc.c build/lib/libakushu.a -lcrypto -o build/ct_cbc
 *   valgrind -q --error-exitcode=99 build/ct_cbc
 *
 * Exit status: 0 nothing leaked and all verdicts right; 1 a wrong verdict, or secrets that valgrind lost sight of; 2 not under valgrind;
 * 99 a leak. Run it for each compiler and level of optimisation that matters: it is the compiler that makes a branch of a mask. With clang,
 * -gdwarf-4 keeps older valgrinds happy. */
#include "crypto/cbc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

typedef struct kind {
    const char *name;
    ak_hash hash;
    uint16_t version;
    size_t block;
} kind;

static const kind kinds[] = {
    {"HMAC-SHA-1, 16-byte blocks", AK_HASH_sha1, 0x0303, 16}, {"HMAC-SHA-1, 8-byte blocks", AK_HASH_sha1, 0x0302, 8},
    {"HMAC-SHA-256", AK_HASH_sha256, 0x0303, 16},             {"HMAC-SHA-384", AK_HASH_sha384, 0x0303, 16},
    {"HMAC-MD5", AK_HASH_md5, 0x0301, 16},                    {"SSL 3.0, SHA-1", AK_HASH_sha1, 0x0300, 16},
    {"SSL 3.0, MD5", AK_HASH_md5, 0x0300, 8},
};

typedef enum fault { NONE, WRONG_MAC, WRONG_PADDING, PADDING_TOO_LONG, FAULTS } fault;

static unsigned wrong;

static void complain(const kind *k, fault f, size_t n, const char *what) {
    printf("%s, %zu bytes, fault %d: %s\n", k->name, n, (int)f, what);
    wrong++;
}

/* One record of n bytes with `pad` padding bytes before the length byte, or with a fault in it. */
static void judge(const kind *k, const uint8_t *key, size_t key_n, size_t n, size_t pad, fault f) {
    bool ssl3 = k->version == 0x0300;
    ak_mac_head head = {7, k->version, 23};
    ak_mac *m = ak_mac_new(k->hash, ssl3, ak_view_of(key, key_n));
    size_t mac_n = ak_mac_size(m), content = n - mac_n - pad - 1;
    uint8_t *data = malloc(n);
    for (size_t i = 0; i < n; i++) data[i] = (uint8_t)(i * 7 + pad);
    ak_mac_record(m, &head, data, content, data + content);
    memset(data + content + mac_n, (int)pad, pad + 1);
    if (f == WRONG_MAC) data[content + n % mac_n] ^= 0x10;
    if (f == WRONG_PADDING) data[n - 1 - pad] ^= 0x10;
    if (f == PADDING_TOO_LONG) data[n - 1] = (uint8_t)(n < 256 + mac_n ? n - mac_n : 255);
    ak_mac_free(m);

    uint8_t *secret_key = malloc(key_n);
    memcpy(secret_key, key, key_n);
    VALGRIND_MAKE_MEM_UNDEFINED(secret_key, key_n);
    VALGRIND_MAKE_MEM_UNDEFINED(data, n);
    m = ak_mac_new(k->hash, ssl3, ak_view_of(secret_key, key_n));
    uint64_t out_n, good = ak_cbc_judge(m, &head, ssl3, k->block, data, n, &out_n), seen = 0;
    if (VALGRIND_GET_VBITS(&good, &seen, sizeof good) != 1 || seen == 0) complain(k, f, n, "valgrind does not know that the verdict is secret");
    VALGRIND_MAKE_MEM_DEFINED(&good, sizeof good);
    VALGRIND_MAKE_MEM_DEFINED(&out_n, sizeof out_n);
    bool expected = f == NONE || (f == WRONG_PADDING && ssl3 && pad != 0); /* nothing covers SSL 3.0's padding bytes */
    if (good != (expected ? ~(uint64_t)0 : 0)) complain(k, f, n, "a wrong verdict");
    if (expected && out_n != content) complain(k, f, n, "a wrong length");
    ak_mac_free(m);
    free(secret_key);
    free(data);
}

int main(void) {
    if (RUNNING_ON_VALGRIND == 0) {
        fprintf(stderr, "ct_cbc says something only under valgrind\n");
        return 2;
    }
    static const size_t sizes[] = {64, 80, 96, 112, 128, 256, 288, 304, 320, 400, 512, 1040, 16640};
    uint8_t key[AK_HASH_MAX];
    for (size_t i = 0; i < sizeof key; i++) key[i] = (uint8_t)(i + 1);
    unsigned runs = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const kind *k = &kinds[i];
        size_t mac_n = ak_hash_size(k->hash);
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            size_t n = sizes[s];
            for (size_t pad = 0; pad < 256 && pad + 1 + mac_n <= n; pad += pad < 2 ? 1 : 29) {
                if (k->version == 0x0300 && pad >= k->block) continue;
                for (fault f = NONE; f < FAULTS; f++, runs++) judge(k, key, mac_n, n, pad, f);
            }
        }
    }
    printf("ct_cbc: %u records judged, %u wrong, %u leaks\n", runs, wrong, (unsigned)VALGRIND_COUNT_ERRORS);
    return wrong != 0;
}
