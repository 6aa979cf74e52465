/* aead.h: a cipher with its key, and authenticated encryption with it (RFC 5116): AES-GCM, AES-CCM, ChaCha20-Poly1305, ARIA-GCM.
 *
 * The cipher context is made once per direction of a connection and only re-keyed afterwards; a record costs one IV, the data and
 * one tag. Keys and plaintext are secret; lengths, nonces and verdicts are public. Failures leave libcrypto's error queue clean. */
#ifndef AK_CRYPTO_AEAD_H
#define AK_CRYPTO_AEAD_H

#include "crypto/suites.h"

#define AK_AEAD_NONCE 12
#define AK_CIPHER_KEY_MAX 32

/* ak_keyed: a cipher of any kind with its key, for one direction. All zeros: none yet. Owns its context; borrows `info`, and the provider's Poly1305. */
typedef struct ak_keyed {
    struct evp_cipher_ctx_st *ctx;
    struct evp_mac_ctx_st *poly1305; /* ChaCha20-Poly1305: ctx is ChaCha20 alone */
    const ak_cipher_info *info;
    ak_cipher_id id;
    bool seal; /* encrypts (else decrypts) */
    bool ccm;
} ak_keyed;

/* ak_keyed_set: takes a key of ak_cipher(id)->key bytes; the same cipher and direction as before is only re-keyed.
 * AK_ERR_unsupported when this libcrypto has no such cipher, AK_ERR_out_of_memory, AK_ERR_crypto_failed; then *k is as after ak_keyed_free. */
ak_error ak_keyed_set(ak_keyed *k, ak_provider *p, ak_cipher_id id, bool seal, const uint8_t *key);
/* ak_keyed_free: wipes the key (libcrypto cleanses the context) and leaves *k empty. */
void ak_keyed_free(ak_keyed *k);

/* ak_aead_seal: encrypts n bytes of plain into out, then `tail` bytes that the caller has already put at out + n (TLS 1.3's inner type and
 * padding), and appends the tag of info->tag bytes: writes n + tail + tag bytes. plain may be out itself; it must not overlap it otherwise. */
bool ak_aead_seal(ak_keyed *k, const uint8_t nonce[AK_AEAD_NONCE], const uint8_t *aad, size_t aad_n, const uint8_t *plain, size_t n,
                  size_t tail, uint8_t *out);
/* ak_aead_open: n bytes of ciphertext with the tag after them (in holds n + tag bytes) into out (n bytes; may be in itself, must not overlap it
 * otherwise). False when the tag does not fit: then out holds zeros, never plaintext that was not authenticated. */
bool ak_aead_open(ak_keyed *k, const uint8_t nonce[AK_AEAD_NONCE], const uint8_t *aad, size_t aad_n, const uint8_t *in, size_t n,
                  uint8_t *out);

#endif
