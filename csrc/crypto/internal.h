/* internal.h: what a provider holds. For the crypto and record rooms only: whoever includes this may use libcrypto objects that were
 * fetched once, and must not keep them beyond a reference to the provider. */
#ifndef AK_CRYPTO_INTERNAL_H
#define AK_CRYPTO_INTERNAL_H

#include "crypto/aead.h"
#include "crypto/groups.h"
#include "crypto/journal.h"
#include "crypto/key.h"
#include "crypto/kdf.h"
#include "crypto/provider.h"
#include "crypto/suites.h"

#include <openssl/evp.h>
#include <sys/types.h>

#define AK_POOL_SIZE 1024
#define AK_GROUP_SLOTS 16   /* at least ak_groups_count */
#define AK_TWINS 8
#define AK_KEY_SLOTS 4      /* operation contexts kept in a key */
#define AK_GOOD_PRIMES 4    /* accepted DH primes that are remembered */

/* ak_pool: random bytes, wiped as they are used. */
typedef struct ak_pool {
    size_t left; /* at the end of bytes */
    uint8_t bytes[AK_POOL_SIZE];
} ak_pool;

/* ak_blocks: memory of one size that was given back, zeroed but for its first bytes, which hold the next one. */
typedef struct ak_blocks {
    size_t size;
    void *first;
    unsigned n;
} ak_blocks;
#define AK_BLOCK_SIZES 4 /* at least so many sizes as there are callers */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define AK_EVERY_BLOCK_IS_NEW
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(AK_EVERY_BLOCK_IS_NEW)
#define AK_BLOCK_BYTES 0 /* use after free is to be seen */
#else
#define AK_BLOCK_BYTES 65536 /* of each size: as a collector gives back what many connections had, at once */
#endif

/* ak_cipher_slot: a cipher context, and whose key is in it: that is freed with it, unless another one has taken the place, and the context, before. */
typedef struct ak_cipher_slot {
    EVP_CIPHER_CTX *ctx; /* NULL: the slot is empty */
    ak_cipher_id id;
    const ak_keyed *owner;
} ak_cipher_slot;
/* A context has 1.2 KB. With more keys in use in turn than there are slots a use may have to put its key in anew, which takes
 * 0.15 to 0.2 µs with AES-GCM, 0.3 where ciphers change places. */
#define AK_CIPHER_SLOTS 32

/* ak_group_slot: what is kept for one group: a keygen context, and a key with nothing but its parameters to import peers' values with. */
typedef struct ak_group_slot {
    enum { AK_GROUP_unprobed, AK_GROUP_ready, AK_GROUP_missing } state;
    EVP_PKEY_CTX *keygen;
    EVP_PKEY *params;      /* EC and FFDHE: the domain parameters; NULL for the others */
    EVP_PKEY_CTX *import;  /* X25519, X448, ML-KEM: a kept fromdata context */
    EVP_PKEY *peer;        /* X25519, X448 and EC: the key that the last peer's value was put into */
    uint8_t *prime;        /* FFDHE: p, client_share bytes */
} ak_group_slot;

struct ak_provider {
    unsigned refs;
    OSSL_LIB_CTX *libctx;  /* NULL: the default one; a lab's own otherwise */
    EVP_MD *md[AK_HASH_count];             /* NULL where libcrypto has none */
    EVP_CIPHER *cipher[AK_CIPHER_count];   /* NULL where libcrypto has none, and for AK_CIPHER_null */
    ak_cipher_slot slot[AK_CIPHER_SLOTS];
    unsigned next_slot;                    /* which one loses its key next */
    EVP_CIPHER *chacha20;                  /* what AK_CIPHER_chacha20_poly1305 is made of (chacha.c) */
    EVP_MAC_CTX *poly1305;

    ak_group_slot group[AK_GROUP_SLOTS];
    EVP_PKEY_CTX *import_rsa, *import_rsa_pss, *import_ec, *import_dh, *import_ed25519, *import_ed448;
    uint8_t good_prime[AK_GOOD_PRIMES][32]; /* SHA-256 values of primes that ak_dh_check has accepted */
    unsigned good_primes;

    /* Keys of another library context that were needed in this one (a lab that uses the application's identity): copies in ours, as an
     * operation draws its randomness from the context its key lives in. Found by what they are, so that nothing refers back to the original. */
    struct ak_twin {
        uint8_t id[32];
        ak_key *copy;
    } twin[AK_TWINS];
    unsigned next_twin;

    ak_blocks blocks[AK_BLOCK_SIZES];

    struct ak_journal *journal; /* NULL: none is kept */

    /* Randomness. */
    bool lab;
    ak_source source;
    ak_purpose purpose;    /* of the libcrypto operation under way (lab) */
    bool asking;           /* the source is being asked */
    char why[128];         /* it refused because of this */
    bool dry;              /* the source has refused since the last ak_random_prime */
    struct ossl_provider_st *lab_provider, *default_provider;
    ak_pool *pool;         /* pages of its own; NULL until the first use, and in a lab */
    pid_t pool_pid;        /* whose pool it is: another process discards it. 0: the kernel empties it in a forked child */
};

/* ak_key: see key.h. A copy among a provider's twins has no reference to it (`provider` is NULL), as the provider owns it. */
struct ak_key {
    unsigned refs;
    ak_provider *provider;
    OSSL_LIB_CTX *libctx;  /* the one that pkey lives in */
    EVP_PKEY *pkey;        /* NULL: AK_KEY_other, nothing that libcrypto could use here */
    ak_key_kind kind;
    unsigned bits;
    uint16_t group;
    bool is_private;
    bool pss_restricted;   /* id-RSASSA-PSS with parameters: then this hash alone, for the message and for MGF1 */
    ak_hash pss_hash;      /* AK_HASH_none: one that TLS has no scheme for */
    unsigned pss_min_salt;
    bool has_id;
    uint8_t id[32];        /* SHA-256 of its SubjectPublicKeyInfo, once somebody asked for a copy */
    struct ak_key_slot {
        const ak_scheme *scheme;
        EVP_PKEY_CTX *ctx;
        bool sign;
    } slot[AK_KEY_SLOTS];
    unsigned next_slot;
    EVP_PKEY_CTX *encrypt, *decrypt;
};

/* ak_key_native: the key itself when it lives in p's library context, else its copy there; NULL when it cannot be copied. Borrowed. */
ak_key *ak_key_native(ak_provider *p, ak_key *k);
void ak_twins_release(ak_provider *p);

/* ak_hybrid: what a hybrid group is made of. */
typedef struct ak_hybrid {
    uint16_t id, classic;             /* its own, and that of its (EC)DH part */
    uint16_t kem_key, kem_ciphertext; /* bytes */
    bool kem_first;                   /* in values and in the secret */
} ak_hybrid;
#define AK_KEM_SECRET 32
/* ak_hybrid_of: NULL: the group is none. */
const ak_hybrid *ak_hybrid_of(const ak_group *g);
/* ak_group_slot_of: what the provider keeps for a group, made on first use; NULL when libcrypto has no such group. */
ak_group_slot *ak_group_slot_of(ak_provider *p, const ak_group *g);
/* ak_group_params: EC: a kept key with the group's parameters and nothing else. NULL when libcrypto has no such group. */
EVP_PKEY *ak_group_params(ak_provider *p, const ak_group *g);
/* ak_import_point: a public key with these parameters and this encoded value; NULL when it is not valid there. */
EVP_PKEY *ak_import_point(EVP_PKEY *params, ak_view value);
/* ak_import_raw: a public key of raw bytes through a kept fromdata context. */
EVP_PKEY *ak_import_raw(EVP_PKEY_CTX *ctx, ak_view value);
/* ak_import_ctx: a fromdata context of this key type, made once and kept in *kept. */
EVP_PKEY_CTX *ak_import_ctx(ak_provider *p, EVP_PKEY_CTX **kept, const char *type);

/* ak_keyed_context: the context with k's key in it; NULL: k has none, or as ak_keyed_ready. Borrowed until another ak_keyed is used. */
EVP_CIPHER_CTX *ak_keyed_context(ak_keyed *k);

/* ak_chacha_fetch: false: libcrypto lacks one of them. ak_chacha_seal, ak_chacha_open: as ak_aead_seal and ak_aead_open, but that the caller clears libcrypto's errors and
 * wipes out on failure. */
bool ak_chacha_fetch(ak_provider *p);
bool ak_chacha_seal(ak_keyed *k, const uint8_t nonce[AK_AEAD_NONCE], const uint8_t *aad, size_t aad_n, const uint8_t *plain, size_t n, size_t tail, uint8_t *out);
bool ak_chacha_open(ak_keyed *k, const uint8_t nonce[AK_AEAD_NONCE], const uint8_t *aad, size_t aad_n, const uint8_t *in, size_t n, uint8_t *out);

/* ak_lab_start / ak_lab_stop: the private library context of a lab (lab.c). */
bool ak_lab_start(ak_provider *p, ak_failure *f);
void ak_lab_stop(ak_provider *p);

/* ak_groups_release: frees what the group slots keep. */
void ak_groups_release(ak_provider *p);

/* ak_operation_fail: an operation failed: AK_ERR_randomness when a lab's source refused, else AK_ERR_crypto_failed with libcrypto's reason. */
ak_error ak_operation_fail(ak_provider *p, ak_failure *f, const char *what);
/* ak_crypto_fail: fails with e and libcrypto's own reason, and leaves its error queue empty. */
ak_error ak_crypto_fail(ak_failure *f, ak_error e, const char *what);

#endif
