/* chacha.c: AEAD_CHACHA20_POLY1305 (RFC 8439 §2.8) out of libcrypto's ChaCha20 and its Poly1305.
 *
 * libcrypto's own AEAD takes the key of the MAC, the whole blocks and the rest of a record one after the other from code that is at its best with many blocks at
 * once, which makes a short record cost twice as much as here: there the key and all of the data come from one call. */
#include "crypto/internal.h"

#include "base/ct.h"

#include <openssl/err.h>
#include <string.h>

#define BLOCK 64
#define MAC_BLOCK 16
#define MAC_KEY 32
#define TAG 16
#define AT_ONCE (17 * (size_t)BLOCK) /* up to so many bytes are copied: a record of 1 KiB with its inner type */

bool ak_chacha_fetch(ak_provider *p) {
    EVP_MAC *mac = EVP_MAC_fetch(p->libctx, "POLY1305", NULL);
    p->chacha20 = EVP_CIPHER_fetch(p->libctx, "ChaCha20", NULL);
    p->poly1305 = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    return p->chacha20 != NULL && p->poly1305 != NULL;
}

/* start: the counter, from which the first block is the key of the MAC, and the nonce. */
static bool start(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AK_AEAD_NONCE]) {
    uint8_t iv[4 + AK_AEAD_NONCE] = {0};
    memcpy(iv + 4, nonce, AK_AEAD_NONCE);
    return ctx != NULL && EVP_EncryptInit_ex2(ctx, NULL, NULL, iv, NULL) == 1;
}

static bool crypt(EVP_CIPHER_CTX *ctx, const uint8_t *in, size_t n, uint8_t *out) {
    int got = 0;
    return n == 0 || EVP_EncryptUpdate(ctx, out, &got, in, (int)n) == 1;
}

static void put_size(uint8_t out[8], uint64_t n) {
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)(n >> 8 * i);
}

/* tag_of: over aad and ciphertext, each filled up to 16 bytes, and their lengths. The key works once; the next one is written over it at once. */
static bool tag_of(EVP_MAC_CTX *mac, const uint8_t key[MAC_KEY], const uint8_t *aad, size_t aad_n, const uint8_t *c, size_t n, uint8_t tag[TAG]) {
    static const uint8_t zeros[MAC_KEY];
    uint8_t end[MAC_BLOCK + 16] = {0};
    size_t aad_fill = (MAC_BLOCK - aad_n % MAC_BLOCK) % MAC_BLOCK, fill = (MAC_BLOCK - n % MAC_BLOCK) % MAC_BLOCK, got = 0;
    put_size(end + fill, aad_n);
    put_size(end + fill + 8, n);
    bool ok = EVP_MAC_init(mac, key, MAC_KEY, NULL) == 1 && EVP_MAC_update(mac, aad, aad_n) == 1 && EVP_MAC_update(mac, zeros, aad_fill) == 1 &&
              EVP_MAC_update(mac, c, n) == 1 && EVP_MAC_update(mac, end, fill + 16) == 1 && EVP_MAC_final(mac, tag, &got, TAG) == 1 && got == TAG;
    return EVP_MAC_init(mac, zeros, MAC_KEY, NULL) == 1 && ok;
}

static size_t whole_blocks(size_t n) { return (n + BLOCK - 1) / BLOCK * BLOCK; }

bool ak_chacha_seal(ak_keyed *k, const uint8_t nonce[AK_AEAD_NONCE], const uint8_t *aad, size_t aad_n, const uint8_t *plain, size_t n, size_t tail, uint8_t *out) {
    uint8_t room[BLOCK + AT_ONCE];
    size_t all = n + tail, used = BLOCK;
    EVP_CIPHER_CTX *ctx = ak_keyed_context(k);
    bool ok = start(ctx, nonce);
    memset(room, 0, BLOCK);
    if (all <= AT_ONCE) {
        used += whole_blocks(all);
        if (n != 0) memcpy(room + BLOCK, plain, n);
        if (tail != 0) memcpy(room + BLOCK + n, out + n, tail);
        memset(room + BLOCK + all, 0, used - BLOCK - all);
        ok = ok && crypt(ctx, room, used, room);
        if (ok && all != 0) memcpy(out, room + BLOCK, all);
    } else {
        ok = ok && crypt(ctx, room, BLOCK, room) && crypt(ctx, plain, n, out) && crypt(ctx, out + n, tail, out + n);
    }
    ok = ok && tag_of(k->provider->poly1305, room, aad, aad_n, out, all, out + all);
    ak_wipe(room, used);
    return ok;
}

bool ak_chacha_open(ak_keyed *k, const uint8_t nonce[AK_AEAD_NONCE], const uint8_t *aad, size_t aad_n, const uint8_t *in, size_t n, uint8_t *out) {
    uint8_t room[BLOCK + AT_ONCE], tag[TAG];
    size_t used = BLOCK;
    EVP_CIPHER_CTX *ctx = ak_keyed_context(k);
    bool at_once = n <= AT_ONCE, ok = start(ctx, nonce);
    memset(room, 0, BLOCK);
    if (at_once) {
        used += whole_blocks(n);
        if (n != 0) memcpy(room + BLOCK, in, n);
        memset(room + BLOCK + n, 0, used - BLOCK - n);
    }
    ok = ok && crypt(ctx, room, used, room) && tag_of(k->provider->poly1305, room, aad, aad_n, in, n, tag) && ak_ct_eq(tag, in + n, TAG);
    if (ok && !at_once) ok = crypt(ctx, in, n, out);
    else if (ok && n != 0) memcpy(out, room + BLOCK, n);
    ak_wipe(room, used);
    return ok;
}
