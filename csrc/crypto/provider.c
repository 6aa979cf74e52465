#include "crypto/internal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *ak_libcrypto_version(void) { return OpenSSL_version(OPENSSL_VERSION); }

ak_error ak_crypto_fail(ak_failure *f, ak_error e, const char *what) {
    char reason[160];
    unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(reason, sizeof reason, "%s", text != NULL ? text : "no reason given");
    ERR_clear_error();
    return ak_fail(f, e, "%s: %s", what, reason);
}

ak_error ak_operation_fail(ak_provider *p, ak_failure *f, const char *what) {
    if (!p->dry) return ak_crypto_fail(f, AK_ERR_crypto_failed, what);
    ERR_clear_error();
    return ak_random_fail(p, f, what);
}

/* ---- life --------------------------------------------------------------------------------------------------------------- */

static const char *const hash_fetch_names[AK_HASH_count] = {
    [AK_HASH_md5] = "MD5",         [AK_HASH_sha1] = "SHA1",       [AK_HASH_sha256] = "SHA2-256",
    [AK_HASH_sha384] = "SHA2-384", [AK_HASH_sha512] = "SHA2-512", [AK_HASH_md5_sha1] = "MD5-SHA1",
};

/* blocks_of: where blocks of n bytes wait; NULL: there are too many other sizes. */
static ak_blocks *blocks_of(ak_provider *p, size_t n) {
    for (ak_blocks *b = p->blocks; b < p->blocks + AK_BLOCK_SIZES; b++) {
        if (b->size == 0) b->size = n;
        if (b->size == n) return b;
    }
    return NULL;
}

void *ak_block_new(ak_provider *p, size_t n) {
    ak_blocks *waiting = blocks_of(p, n);
    if (waiting == NULL || waiting->first == NULL) return ak_zalloc(n);
    void *b = waiting->first;
    memcpy(&waiting->first, b, sizeof waiting->first);
    memset(b, 0, sizeof waiting->first);
    waiting->n--;
    return b;
}

void ak_block_free(ak_provider *p, void *b, size_t n) {
    if (b == NULL) return;
    ak_blocks *waiting = blocks_of(p, n);
    ak_wipe(b, n);
    if (waiting == NULL || (waiting->n + 1) * n > AK_BLOCK_BYTES) {
        free(b);
        return;
    }
    memcpy(b, &waiting->first, sizeof waiting->first);
    waiting->first = b;
    waiting->n++;
}

static void release_blocks(ak_provider *p) {
    for (ak_blocks *waiting = p->blocks; waiting < p->blocks + AK_BLOCK_SIZES; waiting++) {
        while (waiting->first != NULL) {
            void *b = waiting->first;
            memcpy(&waiting->first, b, sizeof waiting->first);
            free(b);
        }
    }
}

static void free_pool(ak_provider *p) {
    if (p->pool == NULL) return;
    ak_wipe(p->pool, sizeof *p->pool);
    munmap(p->pool, sizeof *p->pool);
    p->pool = NULL;
}

static void release(ak_provider *p) {
    ak_twins_release(p);
    ak_groups_release(p);
    EVP_PKEY_CTX *imports[] = {p->import_rsa, p->import_rsa_pss, p->import_ec, p->import_dh, p->import_ed25519, p->import_ed448};
    for (size_t i = 0; i < sizeof imports / sizeof imports[0]; i++) EVP_PKEY_CTX_free(imports[i]);
    release_blocks(p);
    free_pool(p);
    for (int h = 0; h < AK_HASH_count; h++) EVP_MD_free(p->md[h]);
    for (int c = 0; c < AK_CIPHER_count; c++) EVP_CIPHER_free(p->cipher[c]);
    EVP_CIPHER_free(p->chacha20);
    EVP_MAC_CTX_free(p->poly1305);
    ak_journal_stop(p);
    if (p->lab) ak_lab_stop(p);
    if (p->lab && p->source.release != NULL) p->source.release(p->source.user);
    ak_wipe(p, sizeof *p);
    free(p);
}

static void fetch_all(ak_provider *p) {
    for (int h = 1; h < AK_HASH_count; h++) p->md[h] = EVP_MD_fetch(p->libctx, hash_fetch_names[h], NULL);
    for (int c = 0; c < AK_CIPHER_count; c++) {
        const char *name = ak_cipher((ak_cipher_id)c)->fetch_name;
        if (name != NULL) p->cipher[c] = EVP_CIPHER_fetch(p->libctx, name, NULL);
    }
    if (!ak_chacha_fetch(p)) {
        EVP_CIPHER_free(p->cipher[AK_CIPHER_chacha20_poly1305]);
        p->cipher[AK_CIPHER_chacha20_poly1305] = NULL;
    }
    ERR_clear_error(); /* what is missing is missing: a FIPS library has no MD5 */
}

ak_provider *ak_provider_new(const ak_source *source, ak_failure *f) {
    ak_provider *p = calloc(1, sizeof *p);
    if (p == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    p->refs = 1;
    if (source != NULL) {
        /* The source is the caller's until this function succeeds: a failed start must not release it. */
        p->lab = true;
        p->source = *source;
        p->source.release = NULL;
        if (!ak_lab_start(p, f)) {
            release(p);
            return NULL;
        }
    }
    fetch_all(p);
    if (p->md[AK_HASH_sha256] == NULL) {
        ak_fail(f, AK_ERR_unsupported, "libcrypto offers no SHA-256");
        release(p);
        return NULL;
    }
    if (source != NULL) p->source.release = source->release;
    return p;
}

ak_provider *ak_provider_ref(ak_provider *p) {
    p->refs++;
    return p;
}

void ak_provider_free(ak_provider *p) {
    if (p != NULL && --p->refs == 0) release(p);
}

bool ak_provider_is_lab(const ak_provider *p) { return p->lab; }

/* ---- randomness ----------------------------------------------------------------------------------------------------------- */

/* Values that stay secret are drawn one by one from libcrypto's private DRBG; the pool serves what an observer sees anyway. */
static bool is_secret_purpose(ak_purpose purpose) {
    switch (purpose) {
    case AK_PURPOSE_key_share:
    case AK_PURPOSE_premaster:
    case AK_PURPOSE_rsa_rejection:
    case AK_PURPOSE_ticket_key:
    case AK_PURPOSE_identity_key:
    case AK_PURPOSE_ecdsa_nonce:
    case AK_PURPOSE_blinding: return true;
    default: return false;
    }
}

static const char *purpose_name(ak_purpose purpose) {
    static const char *const names[AK_PURPOSE_count] = {
#define AK_PURPOSE(name) #name,
#include "crypto/purpose.def"
#undef AK_PURPOSE
    };
    return names[purpose];
}

/* make_pool: pages that a forked child finds full of zeros, so that `left` is 0 there, where the kernel does that: asking it who we are for every few bytes costs more
 * than the bytes. */
static bool make_pool(ak_provider *p) {
    void *pages = mmap(NULL, sizeof *p->pool, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return false;
    p->pool = pages;
    p->pool_pid = getpid();
#ifdef MADV_WIPEONFORK
    if (madvise(pages, sizeof *p->pool, MADV_WIPEONFORK) == 0) p->pool_pid = 0;
#endif
    return true;
}

/* pooled: n bytes are there, and nobody else has them. */
static bool pooled(ak_provider *p, size_t n) {
    if (p->pool == NULL && !make_pool(p)) return false;
    ak_pool *pool = p->pool;
    if (pool->left >= n && (p->pool_pid == 0 || p->pool_pid == getpid())) return true;
    pool->left = 0;
    if (p->pool_pid != 0) p->pool_pid = getpid();
    if (RAND_bytes_ex(p->libctx, pool->bytes, sizeof pool->bytes, 0) != 1) {
        ERR_clear_error();
        return false;
    }
    pool->left = sizeof pool->bytes;
    return true;
}

bool ak_random(ak_provider *p, ak_purpose purpose, uint8_t *out, size_t n) {
    if (p->lab) {
        if (p->asking) return false; /* by the source itself */
        p->asking = true;
        p->why[0] = '\0';
        bool ok = p->source.fill(p->source.user, purpose, out, n, p->why, sizeof p->why);
        p->asking = false;
        if (!ok) p->dry = true;
        else if (purpose != AK_PURPOSE_blinding) ak_journal_random(p, purpose_name(purpose), ak_view_of(out, n));
        return ok;
    }
    if (n > AK_POOL_SIZE / 4 || is_secret_purpose(purpose)) {
        if (RAND_priv_bytes_ex(p->libctx, out, n, 0) == 1) return true;
        ERR_clear_error();
        return false;
    }
    if (!pooled(p, n)) return false;
    uint8_t *from = p->pool->bytes + (sizeof p->pool->bytes - p->pool->left);
    memcpy(out, from, n);
    ak_wipe(from, n);
    p->pool->left -= n;
    return true;
}

const char *ak_random_why(const ak_provider *p) { return p->why; }

ak_error ak_random_fail(const ak_provider *p, ak_failure *f, const char *what) {
    return ak_fail(f, AK_ERR_randomness, "%s%s%s", what, p->why[0] != '\0' ? ": " : "", p->why);
}

bool ak_provider_asking(const ak_provider *p) { return p->asking; }

bool ak_random_prime(ak_provider *p, ak_purpose purpose) {
    p->purpose = purpose;
    p->dry = false;
    return true;
}
