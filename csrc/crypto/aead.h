/* aead.h: a cipher with its key, and authenticated encryption with it (RFC 5116): AES-GCM, AES-CCM, ChaCha20-Poly1305, ARIA-GCM.
 *
 * libcrypto's contexts belong to the provider, which has a bounded number of them (AK_CIPHER_SLOTS): a key is put into one when it is used and stays there until another
 * key needs the place, so that a connection that is idle holds its key and nothing else. A record costs one IV, the data and one tag. Keys and plaintext are secret;
 * lengths, nonces and verdicts are public. Failures leave libcrypto's error queue clean. */
#ifndef AK_CRYPTO_AEAD_H
#define AK_CRYPTO_AEAD_H

#include "crypto/suites.h"

#define AK_AEAD_NONCE 12
#define AK_CIPHER_KEY_MAX 64 /* AES-256 and HMAC-SHA-256 in one */

/* ak_keyed: a cipher of any kind with its key, for one direction. All zeros: none yet. Borrows the provider. It stays where it is in memory between ak_keyed_set and
 * ak_keyed_free: the provider knows it by its address. */
typedef struct ak_keyed {
    struct ak_cipher_slot *slot; /* where its key was put last; whether it is still there tells the slot */
    ak_provider *provider;
    const ak_cipher_info *info;
    ak_cipher_id id;
    bool seal; /* encrypts (else decrypts) */
    uint8_t key[AK_CIPHER_KEY_MAX];
} ak_keyed;

/* ak_keyed_set: takes a key of ak_cipher(id)->key bytes, in place of the one before.
 * AK_ERR_unsupported when this libcrypto has no such cipher, AK_ERR_out_of_memory, AK_ERR_crypto_failed; then *k is as after ak_keyed_free. */
ak_error ak_keyed_set(ak_keyed *k, ak_provider *p, ak_cipher_id id, bool seal, const uint8_t *key);
/* ak_keyed_ready: its key is in a context, where it stays at least until another ak_keyed of the provider is used. AK_ERR_out_of_memory, AK_ERR_crypto_failed. Whatever uses
 * the key does this by itself, and fails where it does; asked before, it says why. */
ak_error ak_keyed_ready(ak_keyed *k);
/* ak_keyed_copy: the same cipher, key and direction; *to is empty before. */
void ak_keyed_copy(ak_keyed *to, const ak_keyed *from);
/* ak_keyed_free: wipes the key, here and in the context, and leaves *k empty. */
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
