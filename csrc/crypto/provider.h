/* provider.h: everything that akushu asks libcrypto for by name, asked for once.
 *
 * An ak_provider belongs to one thread (one Lua state) and is shared by all contexts in it, by reference count.
 * It keeps fetched algorithms, ready operation contexts and a pool of random bytes; nothing on the way of the bytes
 * looks anything up by name or allocates a libcrypto context that could have been kept. */
#ifndef AK_CRYPTO_PROVIDER_H
#define AK_CRYPTO_PROVIDER_H

#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"

typedef struct ak_provider ak_provider;

typedef enum ak_hash {
    AK_HASH_none = 0,
    AK_HASH_md5,
    AK_HASH_sha1,
    AK_HASH_sha256,
    AK_HASH_sha384,
    AK_HASH_sha512,
    AK_HASH_md5_sha1, /* the concatenation, for TLS 1.0 and 1.1 */
    AK_HASH_count
} ak_hash;

#define AK_HASH_MAX 64

/* Purposes for which randomness is asked. A lab supplies values per purpose; an ordinary provider draws all of them
 * from libcrypto's DRBG through one pool. */
typedef enum ak_purpose {
#define AK_PURPOSE(name) AK_PURPOSE_##name,
#include "crypto/purpose.def"
#undef AK_PURPOSE
    AK_PURPOSE_count
} ak_purpose;

/* ak_source: where a lab's randomness comes from. fill() writes n bytes for the purpose or returns false (then the
 * operation fails with AK_ERR_randomness: a lab fails closed, it never falls back to real randomness), with the reason in `why` (room bytes, "" before) when it has one. */
typedef struct ak_source {
    bool (*fill)(void *user, ak_purpose purpose, uint8_t *out, size_t n, char *why, size_t room);
    void (*release)(void *user);
    void *user;
} ak_source;

/* ak_provider_new: with source NULL an ordinary provider on the default library context; with a source, a lab's provider
 * on a private OSSL_LIB_CTX whose only randomness is that source (libcrypto's own key generation, ECDSA nonces, PSS salts and
 * PKCS#1 padding included). NULL and *f on failure; the source is then still the caller's to release. Everything made with a provider that holds no reference
 * to it must be freed before its last reference goes; keys and shares hold one. */
ak_provider *ak_provider_new(const ak_source *source, ak_failure *f);
ak_provider *ak_provider_ref(ak_provider *p);
void ak_provider_free(ak_provider *p);

/* ak_provider_is_lab: whether this provider's randomness is a lab's. */
bool ak_provider_is_lab(const ak_provider *p);
/* ak_libcrypto_version: "OpenSSL 3.0.22 25 Aug 2026", of the library in use at run time. */
const char *ak_libcrypto_version(void);

/* ak_random: n bytes for a purpose; false when there are none (AK_ERR_randomness). Pooled; wiped as it is used; the pool is
 * discarded after fork. */
bool ak_random(ak_provider *p, ak_purpose purpose, uint8_t *out, size_t n);
/* ak_random_why: why a lab's source refused the last time; "": it did not, or gave no reason. ak_random_fail: AK_ERR_randomness with it. */
const char *ak_random_why(const ak_provider *p);
ak_error ak_random_fail(const ak_provider *p, ak_failure *f, const char *what);
/* ak_provider_asking: a lab's source is being asked at this moment, in the middle of an operation: nothing of this provider's may be used or freed. */
bool ak_provider_asking(const ak_provider *p);
/* ak_random_prime: in a lab, makes the libcrypto operation that follows draw on `purpose`; free otherwise. Blinding factors of RSA draw on
 * AK_PURPOSE_blinding all the same, so that a supplied salt or padding is not eaten by them. */
bool ak_random_prime(ak_provider *p, ak_purpose purpose);

/* ak_block_new: n zeroed bytes for an object that every connection makes; NULL: out of memory. ak_block_free: wiped, and kept for the next one of that size
 * (up to 64 KiB of each) instead of going through the allocator, which tidies up whenever something of more than a kilobyte comes or goes. b was made by
 * ak_block_new or malloc with the same n; NULL is allowed. */
void *ak_block_new(ak_provider *p, size_t n);
void ak_block_free(ak_provider *p, void *b, size_t n);

size_t ak_hash_size(ak_hash h);
const char *ak_hash_name(ak_hash h); /* "SHA-256" */
bool ak_provider_has_hash(const ak_provider *p, ak_hash h);
/* ak_digest: one-shot over up to 3 pieces (NULL pieces allowed); out takes ak_hash_size(h) bytes. false: the provider has no such hash. */
bool ak_digest(const ak_provider *p, ak_hash h, ak_view a, ak_view b, ak_view c, uint8_t *out);
/* ak_hmac: one-shot HMAC over up to 3 pieces. false: the provider has no such hash, or it is two in one. */
bool ak_hmac(const ak_provider *p, ak_hash h, ak_view key, ak_view a, ak_view b, ak_view c, uint8_t *out);

/* ak_hash_state: a hash half-way, in libcrypto's own form; plain bytes. */
typedef struct ak_hash_state {
    uint64_t words[27]; /* as many as SHA-512's takes */
} ak_hash_state;

/* ak_hmac_key: a key with which several HMACs are made: what its two padded blocks make of the hash. It holds nothing that has to be freed, and is to be wiped.
 * ak_hmac_key_set: false: there is no HMAC over this hash; whether the provider has it is for the caller to ask. */
typedef struct ak_hmac_key {
    ak_hash hash;
    ak_hash_state inner, outer;
} ak_hmac_key;
bool ak_hmac_key_set(ak_hmac_key *k, ak_hash h, ak_view key);
void ak_hmac_with(const ak_hmac_key *k, ak_view a, ak_view b, ak_view c, uint8_t *out);

/* ak_running: a running hash (the transcript) whose value can be taken at any point without ending it. It is copied as it is, and nothing of it has to be freed.
 * ak_running_init: false: the provider has no such hash. */
typedef struct ak_running {
    ak_hash hash;
    ak_hash_state state;
} ak_running;
bool ak_running_init(ak_running *r, const ak_provider *p, ak_hash h);
void ak_running_add(ak_running *r, ak_view v);
void ak_running_value(const ak_running *r, uint8_t out[AK_HASH_MAX]);

#endif
