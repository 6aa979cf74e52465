/* suites.h: the cipher suites that akushu can do, what each is made of, and the profiles that list them. */
#ifndef AK_CRYPTO_SUITES_H
#define AK_CRYPTO_SUITES_H

#include "crypto/provider.h"

#define AK_SSL30 0x0300
#define AK_TLS10 0x0301
#define AK_TLS11 0x0302
#define AK_TLS12 0x0303
#define AK_TLS13 0x0304

typedef enum ak_kx { /* key exchange */
    AK_KX_tls13,     /* decided by extensions, RFC 8446 */
    AK_KX_rsa,
    AK_KX_dhe,
    AK_KX_ecdhe,
    AK_KX_psk,
    AK_KX_dhe_psk,
    AK_KX_ecdhe_psk,
    AK_KX_rsa_psk
} ak_kx;

typedef enum ak_auth { /* what the server proves itself with */
    AK_AUTH_tls13,
    AK_AUTH_rsa,   /* an RSA certificate (signing, or decrypting for AK_KX_rsa) */
    AK_AUTH_ecdsa, /* an ECDSA, Ed25519 or Ed448 certificate (RFC 8422) */
    AK_AUTH_psk,
    AK_AUTH_anon
} ak_auth;

typedef enum ak_cipher_id {
    AK_CIPHER_null,
    AK_CIPHER_aes_128_gcm,
    AK_CIPHER_aes_256_gcm,
    AK_CIPHER_aes_128_ccm,
    AK_CIPHER_aes_256_ccm,
    AK_CIPHER_aes_128_ccm_8,
    AK_CIPHER_aes_256_ccm_8,
    AK_CIPHER_chacha20_poly1305,
    AK_CIPHER_aria_128_gcm,
    AK_CIPHER_aria_256_gcm,
    AK_CIPHER_aes_128_cbc,
    AK_CIPHER_aes_256_cbc,
    AK_CIPHER_camellia_128_cbc,
    AK_CIPHER_camellia_256_cbc,
    AK_CIPHER_3des_ede_cbc,
    AK_CIPHER_aes_128_cbc_sha1, /* these four are no suite's: a CBC suite's records are sealed by them (ak_cbc_once) */
    AK_CIPHER_aes_256_cbc_sha1,
    AK_CIPHER_aes_128_cbc_sha256,
    AK_CIPHER_aes_256_cbc_sha256,
    AK_CIPHER_count
} ak_cipher_id;

typedef enum ak_cipher_kind {
    AK_KIND_null,
    AK_KIND_aead,
    AK_KIND_cbc,
    AK_KIND_cbc_once /* CBC and the record's MAC in one: its key is the cipher's, then the MAC's; its tag the MAC */
} ak_cipher_kind;

typedef struct ak_cipher_info {
    const char *fetch_name; /* libcrypto's name; NULL for the null cipher */
    ak_cipher_kind kind;
    uint8_t key, fixed_iv, explicit_nonce, tag, block; /* bytes. TLS 1.3 always uses a 12-byte IV and no explicit nonce. CBC: fixed_iv 0, as an IV is as long as `block` (TLS 1.0 derives one) */
    bool xor_nonce;                                    /* RFC 7905 style in TLS 1.2 (ChaCha20-Poly1305) */
} ak_cipher_info;

typedef struct ak_suite {
    uint16_t id;      /* IANA number */
    const char *name; /* IANA name */
    ak_kx kx;
    ak_auth auth;
    ak_cipher_id cipher;
    ak_hash mac; /* HMAC hash of CBC and NULL suites; AK_HASH_none for AEAD */
    ak_hash prf; /* PRF (1.2) or HKDF (1.3) hash; TLS 1.0/1.1 use AK_HASH_md5_sha1 whatever stands here */
    uint16_t min_version, max_version;
} ak_suite;

extern const ak_suite ak_suites[];
extern const size_t ak_suites_count;
const ak_suite *ak_suite_find(uint16_t id);          /* NULL: not implemented here */
const ak_suite *ak_suite_by_name(const char *name);  /* IANA name, case sensitive */
const ak_cipher_info *ak_cipher(ak_cipher_id id);
/* ak_suite_usable: whether this libcrypto has all that the suite needs. */
bool ak_suite_usable(const ak_provider *p, const ak_suite *s);
static inline bool ak_suite_fits(const ak_suite *s, uint16_t version) { return version >= s->min_version && version <= s->max_version; }
static inline bool ak_suite_is_13(const ak_suite *s) { return s->kx == AK_KX_tls13; }
/* ak_suite_signs_params: whether the server sends a signed ServerKeyExchange. */
bool ak_suite_signs_params(const ak_suite *s);
/* ak_suite_has_certificate: whether the server sends a Certificate. */
bool ak_suite_has_certificate(const ak_suite *s);
bool ak_suite_is_cbc(const ak_suite *s);

/* Profiles: "modern" (AEAD with forward secrecy), "compatible" (+ CBC, + RSA key exchange last), "classic" (RSA key exchange alone: the
 * six suites of the classic story), "lab" (everything: more than 128 suites). All but "classic" list PSK suites too, which are of use only to who has a key: the
 * handshake leaves them out otherwise. A suite that this libcrypto lacks is listed all the same (ak_suite_usable). Writes at most max ids, in order of preference;
 * returns how many, 0 for an unknown name. */
size_t ak_profile_suites(const char *profile, uint16_t *out, size_t max);

#endif
