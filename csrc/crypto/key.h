/* key.h: private and public keys (RSA, RSA-PSS, ECDSA, Ed25519, Ed448) with their kept operation contexts, and the signature schemes
 * (RFC 8446 §4.2.3) made with them. */
#ifndef AK_CRYPTO_KEY_H
#define AK_CRYPTO_KEY_H

#include "crypto/provider.h"

typedef enum ak_key_kind { AK_KEY_none, AK_KEY_rsa, AK_KEY_rsa_pss, AK_KEY_ec, AK_KEY_ed25519, AK_KEY_ed448, AK_KEY_other } ak_key_kind;

/* ak_key: a key, by reference count. Holds an EVP_PKEY and the operation contexts made for it so far. Private or public. */
typedef struct ak_key ak_key;
ak_key *ak_key_ref(ak_key *k);
void ak_key_free(ak_key *k);
ak_key_kind ak_key_type(const ak_key *k);
unsigned ak_key_bits(const ak_key *k);       /* RSA modulus bits; EC field bits */
uint16_t ak_key_group(const ak_key *k);      /* EC: the group's IANA number (23, 24, 25); else 0 */
bool ak_key_is_private(const ak_key *k);
struct evp_pkey_st *ak_key_pkey(ak_key *k);  /* borrowed */

/* ak_key_from_spki: a public key from a DER SubjectPublicKeyInfo, read by our own bounded cursor and imported with kept templates (no OSSL_DECODER).
 * An unknown algorithm gives AK_KEY_other, not an error. AK_ERR_bad_certificate when the key is malformed. */
ak_key *ak_key_from_spki(ak_provider *p, ak_view spki, ak_failure *f);
/* ak_key_private: from PEM (PKCS#8, traditional, encrypted with password) or DER (PKCS#8, PKCS#1, SEC1). password may be NULL: it never prompts.
 * Errors: AK_ERR_bad_pem, AK_ERR_bad_key, AK_ERR_bad_password. */
ak_key *ak_key_private(ak_provider *p, ak_view bytes, const char *password, ak_failure *f);
/* ak_key_generate: spec "rsa:2048", "rsa-pss:2048", "ec:secp256r1", "ed25519", "ed448" (purpose identity_key). */
ak_key *ak_key_generate(ak_provider *p, const char *spec, ak_failure *f);
/* ak_key_kind_check: whether spec is one of these; false: AK_ERR_bad_key, whose detail says which there are. */
bool ak_key_kind_check(const char *spec, ak_failure *f);
/* ak_key_wrap: takes over an EVP_PKEY (for the X.509 room's own uses). */
ak_key *ak_key_wrap(ak_provider *p, struct evp_pkey_st *pkey, bool is_private);
bool ak_key_spki(ak_key *k, ak_buf *out);     /* DER SubjectPublicKeyInfo */
bool ak_key_same(ak_key *a, ak_key *b);       /* same public key */
/* PKCS#8 DER or PEM of a private key, into a secret buffer. */
bool ak_key_export(ak_key *k, bool pem, ak_buf *out);

/* ak_pss_params: the RSASSA-PSS-params of RFC 4055 §3.1 (DER, defaults filled in; an empty view: all defaults). A hash that is not among ak_hash is
 * AK_HASH_none. False: malformed, or a mask function other than MGF1. */
bool ak_pss_params(ak_view der, ak_hash *hash, ak_hash *mgf1_hash, unsigned *salt);

/* ---- schemes ------------------------------------------------------------------------------------------------------ */

typedef struct ak_scheme {
    uint16_t id;
    const char *name;      /* "ecdsa_secp256r1_sha256"; the TLS 1.0/1.1 implicit ones are "rsa_pkcs1_md5_sha1" (0xff01, never on the wire) */
    ak_key_kind kind;
    ak_hash hash;          /* AK_HASH_none for EdDSA */
    uint16_t group;        /* the EC group TLS 1.3 binds to the scheme; 0 for others */
    bool pss;
    bool tls13;            /* allowed in a TLS 1.3 CertificateVerify */
} ak_scheme;

extern const ak_scheme ak_schemes[];
extern const size_t ak_schemes_count;
#define AK_SCHEME_rsa_pkcs1_md5_sha1 0xff01
#define AK_SCHEME_ecdsa_sha1 0x0203
const ak_scheme *ak_scheme_find(uint16_t id);
const ak_scheme *ak_scheme_by_name(const char *name);
/* ak_scheme_fits: whether this key can make or check this scheme at this version (TLS 1.3: the curve is bound; TLS 1.2: any curve). RSA keys too short for PSS
 * with the hash are refused, and RSA-PSS keys whose own parameters name another hash. Version 0: a signature inside a certificate (as at TLS 1.2). */
bool ak_scheme_fits(const ak_scheme *s, const ak_key *k, uint16_t version);

/* ak_sign: signature over data, appended to out. Fails with AK_ERR_crypto_failed, or AK_ERR_randomness in a lab. The randomness is p's, whichever provider
 * the key was made with: a key of another library context is copied into p's (and the copy kept). */
ak_error ak_sign(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view data, ak_buf *out, ak_failure *f);
/* ak_verify_signature: AK_OK or AK_ERR_bad_signature. */
ak_error ak_verify_signature(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view data, ak_view signature, ak_failure *f);
/* ak_verify_pss: the same for an RSASSA-PSS scheme with a salt of another length than TLS itself uses, as certificates may have it (RFC 4055 §3.1). */
ak_error ak_verify_pss(ak_provider *p, ak_key *k, const ak_scheme *s, unsigned salt, ak_view data, ak_view signature, ak_failure *f);
/* ak_sign_digest / ak_verify_digest: the same over a hash already computed (TLS 1.2 CertificateVerify from a running transcript; not for EdDSA). */
ak_error ak_sign_digest(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view digest, ak_buf *out, ak_failure *f);
ak_error ak_verify_digest(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view digest, ak_view signature, ak_failure *f);

/* ---- RSA key exchange (rsa_premaster.c) ------------------------------------------------------------------------------ */

/* ak_rsa_encrypt: RSAES-PKCS1-v1_5 of the pre-master secret (purpose rsa_padding). */
ak_error ak_rsa_encrypt(ak_provider *p, ak_key *k, ak_view plain, ak_buf *out, ak_failure *f);
/* ak_rsa_encrypt_block: a whole block, as long as the modulus, as it is: for experiments with padding. AK_ERR_illegal_parameter: another length. */
ak_error ak_rsa_encrypt_block(ak_key *k, ak_view block, ak_buf *out, ak_failure *f);
/* ak_rsa_premaster: the server's side of RFC 5246 §7.4.7.1, with implicit rejection: always succeeds with 48 bytes, random ones when the padding, the length or
 * the version (client_version: the one of the ClientHello) is wrong, in the same time. Uses libcrypto's RSA_PKCS1_WITH_TLS_PADDING. Only a machine
 * failure or a ciphertext whose LENGTH (public) is not the modulus's is treated openly: the latter still yields random bytes. */
ak_error ak_rsa_premaster(ak_provider *p, ak_key *k, ak_view ciphertext, uint16_t client_version, ak_secret *out, ak_failure *f);

#endif
