/* kdf.h: key derivation. kdf12.c: the PRF of TLS 1.0-1.2 (RFC 2246 §5, RFC 5246 §5); kdf13.c: HKDF and its labels
 * (RFC 5869, RFC 8446 §7.1). All over HMAC. */
#ifndef AK_CRYPTO_KDF_H
#define AK_CRYPTO_KDF_H

#include "crypto/provider.h"

/* ak_prf: PRF(secret, label, seed_a || seed_b)[0..n-1]. hash: AK_HASH_md5_sha1 for TLS 1.0/1.1, else the suite's (SHA-256/384). */
bool ak_prf(ak_provider *p, ak_hash hash, ak_view secret, const char *label, ak_view seed_a, ak_view seed_b, uint8_t *out, size_t n);

/* ak_prf_key: a secret with which the PRF is asked several times (a master secret: the key block and both Finished). All zeros: none. It borrows the secret. */
typedef struct ak_prf_key {
    ak_hash hash;
    ak_view secret;
    ak_hmac_key *keys[2]; /* the second for the other half in TLS 1.0/1.1 */
} ak_prf_key;
/* ak_prf_key_set: false: libcrypto has no such hash, or out of memory; then *k is as after ak_prf_key_free. */
bool ak_prf_key_set(ak_prf_key *k, ak_provider *p, ak_hash hash, ak_view secret);
void ak_prf_key_free(ak_prf_key *k); /* wipes; leaves *k empty */
/* ak_prf_with: ak_prf with the secret of k. */
bool ak_prf_with(const ak_prf_key *k, ak_provider *p, const char *label, ak_view seed_a, ak_view seed_b, uint8_t *out, size_t n);

/* ak_hkdf_extract: *out = HKDF-Extract(salt, ikm); an empty salt or ikm means ak_hash_size(hash) zeros for TLS 1.3. */
bool ak_hkdf_extract(ak_provider *p, ak_hash hash, ak_view salt, ak_view ikm, ak_secret *out);
/* ak_hkdf_expand: HKDF-Expand(prk, info, n), n <= 255 * hash size. */
bool ak_hkdf_expand(ak_provider *p, ak_hash hash, ak_view prk, ak_view info, uint8_t *out, size_t n);
/* ak_hkdf_expand_label: HKDF-Expand-Label(secret, label, context, n); label without its "tls13 " prefix. */
bool ak_hkdf_expand_label(ak_provider *p, ak_hash hash, ak_view secret, const char *label, ak_view context, uint8_t *out, size_t n);

/* ak_hkdf_key: a secret from which several others are derived at once. It borrows the secret, holds nothing that has to be freed, and is to be wiped.
 * ak_hkdf_key_set: false: libcrypto has no such hash. ak_hkdf_label: ak_hkdf_expand_label with it. */
typedef struct ak_hkdf_key {
    ak_view secret;
    ak_hmac_key hmac;
} ak_hkdf_key;
bool ak_hkdf_key_set(ak_hkdf_key *k, const ak_provider *p, ak_hash hash, ak_view secret);
bool ak_hkdf_label(ak_provider *p, const ak_hkdf_key *k, const char *label, ak_view context, uint8_t *out, size_t n);
/* ak_derive_secret: Derive-Secret with the transcript hash already taken (an empty view: the hash of nothing). */
bool ak_derive_secret(ak_provider *p, const ak_hkdf_key *k, const char *label, ak_view transcript_hash, ak_secret *out);

#endif
