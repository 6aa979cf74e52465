#include "crypto/cbc.h"

#include "base/ct.h"
#include "crypto/internal.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

bool ak_cbc_crypt(ak_keyed *k, const uint8_t *iv, const uint8_t *in, size_t n, uint8_t *out) {
    int got = 0;
    EVP_CIPHER_CTX *ctx = n <= INT_MAX ? ak_keyed_context(k) : NULL;
    if (ctx == NULL) return false;
    bool ok = k->seal ? EVP_EncryptInit_ex2(ctx, NULL, NULL, iv, NULL) == 1 && EVP_EncryptUpdate(ctx, out, &got, in, (int)n) == 1
                      : EVP_DecryptInit_ex2(ctx, NULL, NULL, iv, NULL) == 1 && EVP_DecryptUpdate(ctx, out, &got, in, (int)n) == 1;
    if (ok && (size_t)got == n) return true;
    ERR_clear_error();
    return false;
}

static const struct once {
    ak_cipher_id id, cipher;
    ak_hash mac;
} onces[] = {
    {AK_CIPHER_aes_128_cbc_sha1, AK_CIPHER_aes_128_cbc, AK_HASH_sha1},
    {AK_CIPHER_aes_256_cbc_sha1, AK_CIPHER_aes_256_cbc, AK_HASH_sha1},
    {AK_CIPHER_aes_128_cbc_sha256, AK_CIPHER_aes_128_cbc, AK_HASH_sha256},
    {AK_CIPHER_aes_256_cbc_sha256, AK_CIPHER_aes_256_cbc, AK_HASH_sha256},
};
#define ONCES (sizeof onces / sizeof onces[0])

ak_cipher_id ak_cbc_once(const ak_provider *p, ak_cipher_id cipher, ak_hash mac) {
    for (const struct once *o = onces; o < onces + ONCES && !p->lab; o++)
        if (o->cipher == cipher && o->mac == mac && p->cipher[o->id] != NULL) return o->id;
    return AK_CIPHER_null;
}

ak_cipher_id ak_cbc_twice(ak_cipher_id once, ak_hash *mac) {
    const struct once *o = onces;
    while (o < onces + ONCES - 1 && o->id != once) o++;
    *mac = o->mac;
    return o->cipher;
}

bool ak_cbc_seal_once(ak_keyed *k, const uint8_t *iv, uint8_t aad[AK_CBC_AAD], uint8_t *record, size_t size) {
    EVP_CIPHER_CTX *ctx = size <= INT_MAX ? ak_keyed_context(k) : NULL;
    int got = 0;
    OSSL_PARAM head[2] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, aad, AK_CBC_AAD),
        OSSL_PARAM_construct_end(),
    };
    if (ctx != NULL && EVP_EncryptInit_ex2(ctx, NULL, NULL, iv, NULL) == 1 && EVP_CIPHER_CTX_set_params(ctx, head) == 1 &&
        EVP_EncryptUpdate(ctx, record, &got, record, (int)size) == 1 && (size_t)got == size)
        return true;
    ERR_clear_error();
    return false;
}

size_t ak_cbc_pad(uint8_t *out, size_t n, size_t block) {
    size_t pad = block - n % block;
    memset(out, (int)(pad - 1), pad);
    return pad;
}

/* Masks over numbers below 2^31, in the fewest steps: these run once for every byte that could be secret. The barrier behind keeps a mask
 * from becoming a branch; the one before keeps the compiler from counting a loop in (i - secret), which gcc 12 does otherwise. */
static inline uint32_t opaque(uint32_t v) { return (uint32_t)ak_ct_barrier(v); }
static inline uint32_t below(uint32_t a, uint32_t b) { return opaque(0u - ((opaque(a) - b) >> 31)); }
static inline uint32_t same(uint32_t a, uint32_t b) {
    uint32_t d = opaque(a) ^ b;
    return opaque(0u - ((~d & (d - 1)) >> 31));
}

/* The padding with its length byte: 1 (as for an empty one, RFC 5246 §6.2.3.2's advice) when it is wrong. *good gets the verdict's mask. */
static uint64_t padding(bool ssl3, size_t block, const uint8_t *data, size_t n, size_t mac, uint64_t *good) {
    uint64_t pad = data[n - 1];
    uint64_t ok = ak_ct_ge(n, pad + 1 + mac);
    if (ssl3) {
        ok &= ak_ct_lt(pad, block);
    } else {
        uint32_t wrong = 0, number = data[n - 1];
        uint32_t most = n < 256 ? (uint32_t)n : 256; /* public: every byte that could be padding is looked at */
        for (uint32_t i = 0; i < most; i++) wrong |= ~below(number, i) & (data[n - 1 - i] ^ number);
        ok &= ak_ct_is_zero(wrong);
    }
    *good = ok = ak_ct_barrier(ok);
    return ak_ct_select(ok, pad + 1, 1);
}

/* The `size` bytes from data[at] on, for a SECRET `at` with from <= at and at + size <= to. Every byte of the range is read once, into a
 * ring of `size` bytes; where the ring begins is then turned away in log2(size) steps, each of which moves or does not move by a mask. */
static void take_mac(const uint8_t *data, uint32_t from, uint32_t to, uint32_t at, uint32_t size, uint8_t *out) {
    uint8_t ring[AK_MAC_MAX] = {0}, turned[AK_MAC_MAX];
    uint32_t begin = 0; /* SECRET */
    for (uint32_t i = from, j = 0; i < to; i++) {
        ring[j] |= (uint8_t)(data[i] & ~below(i, at) & below(i, at + size));
        begin |= j & same(i, at);
        if (++j == size) j = 0;
    }
    for (uint32_t step = 1; step < size; step <<= 1) {
        uint8_t move = (uint8_t)ak_ct_barrier(~ak_ct_is_zero(begin & step));
        for (uint32_t i = 0, j = step; i < size; i++) {
            turned[i] = (uint8_t)((ring[j] & move) | (ring[i] & ~move));
            if (++j == size) j = 0;
        }
        memcpy(ring, turned, size);
    }
    memcpy(out, ring, size);
    ak_wipe(ring, sizeof ring);
    ak_wipe(turned, sizeof turned);
}

uint64_t ak_cbc_judge(const ak_mac *m, const ak_mac_head *head, bool ssl3, size_t block, const uint8_t *data, size_t n,
                      uint64_t *out_n) {
    size_t mac = ak_mac_size(m), most_pad = ssl3 ? block : 256;
    uint64_t good;
    uint64_t len = n - mac - padding(ssl3, block, data, n, mac, &good);
    /* All that follows walks over this public range, the lengths that the content could have. */
    size_t max_n = n - mac - 1, min_n = n > mac + most_pad ? n - mac - most_pad : 0;

    uint8_t sent[AK_MAC_MAX] = {0}, due[AK_MAC_MAX] = {0};
    take_mac(data, (uint32_t)min_n, (uint32_t)n - 1, (uint32_t)len, (uint32_t)mac, sent);
    ak_mac_record_secret(m, head, data, len, min_n, max_n, due);
    uint64_t differ = 0;
    for (size_t i = 0; i < mac; i++) differ |= (uint64_t)(sent[i] ^ due[i]);
    ak_wipe(sent, sizeof sent);
    ak_wipe(due, sizeof due);
    *out_n = len;
    return ak_ct_barrier(good & ak_ct_is_zero(differ));
}
