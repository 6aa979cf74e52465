/* lab.c: a lab's library context: a private OSSL_LIB_CTX in which every DRBG is ours and hands out the lab's source.
 *
 * libcrypto's own TEST-RAND would have to be fed before each operation with exactly what that operation is going to draw, which
 * nobody knows (PKCS#1 padding redraws zeros, blinding comes and goes). A provider of our own is asked at the moment of need instead,
 * knows the purpose that ak_random_prime named, and fails closed when the source does. */
#include "crypto/internal.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define LAB_RAND "AKUSHU-LAB"
#define LAB_PROPERTIES "provider=akushu-lab"
#define LAB_PARAM_OWNER "akushu-owner" /* octet pointer: the ak_provider */
#define LAB_PARAM_ROLE "akushu-role"   /* int: enum lab_role */

enum lab_role { ROLE_primary, ROLE_public, ROLE_private };

/* lab_rand: one of the context's three DRBGs. Without an owner it has nothing to give: a DRBG that libcrypto makes for another
 * thread stays dry. */
typedef struct lab_rand {
    ak_provider *owner;
    int role;
    int state;
} lab_rand;

static void *rand_newctx(void *provctx, void *parent, const OSSL_DISPATCH *parent_calls) {
    (void)provctx, (void)parent, (void)parent_calls;
    lab_rand *r = calloc(1, sizeof *r);
    if (r != NULL) r->state = EVP_RAND_STATE_UNINITIALISED;
    return r;
}

static void rand_freectx(void *ctx) { free(ctx); }

static int rand_instantiate(void *ctx, unsigned int strength, int prediction_resistance, const unsigned char *personal, size_t n,
                            const OSSL_PARAM params[]) {
    (void)strength, (void)prediction_resistance, (void)personal, (void)n, (void)params;
    ((lab_rand *)ctx)->state = EVP_RAND_STATE_READY;
    return 1;
}

static int rand_uninstantiate(void *ctx) {
    ((lab_rand *)ctx)->state = EVP_RAND_STATE_UNINITIALISED;
    return 1;
}

/* What a draw is for. PSS salts and PKCS#1 padding come from the public DRBG; the same operation's blinding factors come from the
 * private one and must not eat the bytes that a script supplied. The stand-in for a rejected pre-master secret is private too, and
 * is the only private draw of 48 bytes (a blinding factor is as long as the modulus, at least 64). */
static ak_purpose purpose_of(const lab_rand *r, size_t n) {
    ak_purpose purpose = r->owner->purpose;
    if (r->role != ROLE_private) return purpose;
    if (purpose == AK_PURPOSE_pss_salt || purpose == AK_PURPOSE_rsa_padding) return AK_PURPOSE_blinding;
    if (purpose == AK_PURPOSE_rsa_rejection && n != 48) return AK_PURPOSE_blinding;
    return purpose;
}

static int rand_generate(void *ctx, unsigned char *out, size_t n, unsigned int strength, int prediction_resistance,
                         const unsigned char *additional, size_t additional_n) {
    (void)strength, (void)prediction_resistance, (void)additional, (void)additional_n;
    lab_rand *r = ctx;
    if (r->state != EVP_RAND_STATE_READY || r->owner == NULL) return 0;
    return ak_random(r->owner, purpose_of(r, n), out, n) ? 1 : 0;
}

static int rand_reseed(void *ctx, int prediction_resistance, const unsigned char *entropy, size_t entropy_n,
                       const unsigned char *additional, size_t additional_n) {
    (void)ctx, (void)prediction_resistance, (void)entropy, (void)entropy_n, (void)additional, (void)additional_n;
    return 1;
}

/* One thread uses a lab: there is nothing to lock. */
static int rand_lock(void *ctx) {
    (void)ctx;
    return 1;
}

static void rand_unlock(void *ctx) { (void)ctx; }

static int rand_get_params(void *ctx, OSSL_PARAM params[]) {
    const lab_rand *r = ctx;
    OSSL_PARAM *x;
    if ((x = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE)) != NULL && !OSSL_PARAM_set_int(x, r->state)) return 0;
    if ((x = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH)) != NULL && !OSSL_PARAM_set_uint(x, 256)) return 0;
    if ((x = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST)) != NULL && !OSSL_PARAM_set_size_t(x, 1u << 16)) return 0;
    return 1;
}

static const OSSL_PARAM *rand_gettable(void *ctx, void *provctx) {
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_int(OSSL_RAND_PARAM_STATE, NULL),
        OSSL_PARAM_uint(OSSL_RAND_PARAM_STRENGTH, NULL),
        OSSL_PARAM_size_t(OSSL_RAND_PARAM_MAX_REQUEST, NULL),
        OSSL_PARAM_END,
    };
    (void)ctx, (void)provctx;
    return list;
}

static int rand_set_params(void *ctx, const OSSL_PARAM params[]) {
    lab_rand *r = ctx;
    const OSSL_PARAM *x;
    const void *owner = NULL;
    size_t n = 0;
    if ((x = OSSL_PARAM_locate_const(params, LAB_PARAM_OWNER)) != NULL) {
        if (!OSSL_PARAM_get_octet_ptr(x, &owner, &n)) return 0;
        /* The one place where the parameter's const is taken off again: the pointer was ours to begin with. */
        memcpy(&r->owner, &owner, sizeof r->owner);
    }
    if ((x = OSSL_PARAM_locate_const(params, LAB_PARAM_ROLE)) != NULL && !OSSL_PARAM_get_int(x, &r->role)) return 0;
    return 1;
}

static const OSSL_PARAM *rand_settable(void *ctx, void *provctx) {
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_octet_ptr(LAB_PARAM_OWNER, NULL, 0),
        OSSL_PARAM_int(LAB_PARAM_ROLE, NULL),
        OSSL_PARAM_END,
    };
    (void)ctx, (void)provctx;
    return list;
}

static int rand_verify_zeroization(void *ctx) {
    (void)ctx;
    return 1;
}

/* A dispatch table holds functions of every type as void (*)(void): the assignment below is what OSSL_DISPATCH is made for. */
#define ENTRY(id, fn) {id, (void (*)(void))(fn)}
static const OSSL_DISPATCH rand_functions[] = {
    ENTRY(OSSL_FUNC_RAND_NEWCTX, rand_newctx),
    ENTRY(OSSL_FUNC_RAND_FREECTX, rand_freectx),
    ENTRY(OSSL_FUNC_RAND_INSTANTIATE, rand_instantiate),
    ENTRY(OSSL_FUNC_RAND_UNINSTANTIATE, rand_uninstantiate),
    ENTRY(OSSL_FUNC_RAND_GENERATE, rand_generate),
    ENTRY(OSSL_FUNC_RAND_RESEED, rand_reseed),
    ENTRY(OSSL_FUNC_RAND_ENABLE_LOCKING, rand_lock),
    ENTRY(OSSL_FUNC_RAND_LOCK, rand_lock),
    ENTRY(OSSL_FUNC_RAND_UNLOCK, rand_unlock),
    ENTRY(OSSL_FUNC_RAND_GETTABLE_CTX_PARAMS, rand_gettable),
    ENTRY(OSSL_FUNC_RAND_GET_CTX_PARAMS, rand_get_params),
    ENTRY(OSSL_FUNC_RAND_SETTABLE_CTX_PARAMS, rand_settable),
    ENTRY(OSSL_FUNC_RAND_SET_CTX_PARAMS, rand_set_params),
    ENTRY(OSSL_FUNC_RAND_VERIFY_ZEROIZATION, rand_verify_zeroization),
    {0, NULL},
};

static const OSSL_ALGORITHM rand_algorithms[] = {
    {LAB_RAND, LAB_PROPERTIES, rand_functions, "a lab's source of randomness"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *provider_query(void *provctx, int operation, int *no_cache) {
    (void)provctx;
    *no_cache = 0;
    return operation == OSSL_OP_RAND ? rand_algorithms : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
    ENTRY(OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
    {0, NULL},
};
#undef ENTRY

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provctx) {
    (void)in;
    *out = provider_functions;
    memcpy(provctx, &handle, sizeof handle); /* not used, but NULL would mean failure to some versions */
    return 1;
}

static bool give_owner(EVP_RAND_CTX *r, ak_provider *p, int role) {
    void *owner = p;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_ptr(LAB_PARAM_OWNER, &owner, sizeof *p),
        OSSL_PARAM_construct_int(LAB_PARAM_ROLE, &role),
        OSSL_PARAM_construct_end(),
    };
    return r != NULL && EVP_RAND_CTX_set_params(r, params) == 1;
}

bool ak_lab_start(ak_provider *p, ak_failure *f) {
    p->libctx = OSSL_LIB_CTX_new();
    bool ok = p->libctx != NULL && OSSL_PROVIDER_add_builtin(p->libctx, "akushu-lab", provider_init) == 1 &&
              (p->lab_provider = OSSL_PROVIDER_load(p->libctx, "akushu-lab")) != NULL &&
              (p->default_provider = OSSL_PROVIDER_load(p->libctx, "default")) != NULL &&
              RAND_set_DRBG_type(p->libctx, LAB_RAND, LAB_PROPERTIES, NULL, NULL) == 1 &&
              give_owner(RAND_get0_primary(p->libctx), p, ROLE_primary) &&
              give_owner(RAND_get0_public(p->libctx), p, ROLE_public) && give_owner(RAND_get0_private(p->libctx), p, ROLE_private);
    if (!ok) ak_crypto_fail(f, AK_ERR_unsupported, "a lab's private library context");
    return ok;
}

void ak_lab_stop(ak_provider *p) {
    OSSL_PROVIDER_unload(p->lab_provider);
    OSSL_PROVIDER_unload(p->default_provider);
    OSSL_LIB_CTX_free(p->libctx);
    p->libctx = NULL;
    p->lab_provider = p->default_provider = NULL;
}
