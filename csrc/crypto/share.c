/* share.c: key exchange values: our own, the peer's, the secret of both; a responder's; those in explicit finite-field parameters. */
#include "crypto/internal.h"

#include "base/ct.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

/* ak_share: classic holds the (EC)DH key; kem the ML-KEM key of a hybrid. */
struct ak_share {
    const ak_group *group;
    ak_provider *provider;
    EVP_PKEY *classic, *kem;
    uint8_t *prime; /* explicit parameters: a copy of p */
    size_t prime_n;
    size_t public_n;
    uint8_t public_value[];
};

/* ---- a lab's private values ---------------------------------------------------------------------------------------------- */

/* In a lab the private value is the source's bytes themselves, so that published ones can be replayed (RFC 8448). */

static EVP_PKEY *lab_x(ak_provider *p, const ak_group_slot *s, const ak_group *g) {
    uint8_t priv[56];
    EVP_PKEY *key = NULL;
    if (!ak_random(p, AK_PURPOSE_key_share, priv, g->secret)) return NULL;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, priv, g->secret), OSSL_PARAM_construct_end()};
    if (EVP_PKEY_fromdata(s->import, &key, EVP_PKEY_KEYPAIR, params) != 1) key = NULL;
    ak_wipe(priv, sizeof priv);
    return key;
}

/* An EC scalar is big-endian, as long as the curve's order, and must lie in 1..n-1. The seven bits that P-521's order does not have are
 * masked, as otherwise a seeded source would hardly ever hit the range. */
static BIGNUM *lab_scalar(ak_provider *p, const ak_group *g, const BIGNUM *order) {
    uint8_t bytes[66];
    for (int tries = 0; tries < 32; tries++) {
        if (!ak_random(p, AK_PURPOSE_key_share, bytes, g->secret)) break;
        if (g->id == 25) bytes[0] &= 1;
        BIGNUM *k = BN_secure_new();
        if (k != NULL && BN_bin2bn(bytes, g->secret, k) != NULL && !BN_is_zero(k) && BN_cmp(k, order) < 0) {
            ak_wipe(bytes, sizeof bytes);
            return k;
        }
        BN_clear_free(k);
    }
    ak_wipe(bytes, sizeof bytes);
    return NULL;
}

static int curve_nid(const ak_group *g) {
    return g->id == 23 ? NID_X9_62_prime256v1 : g->id == 24 ? NID_secp384r1 : NID_secp521r1;
}

static EVP_PKEY *lab_ec(ak_provider *p, const ak_group *g) {
    uint8_t point[133];
    EVP_PKEY *key = NULL;
    EC_GROUP *curve = EC_GROUP_new_by_curve_name_ex(p->libctx, NULL, curve_nid(g));
    EC_POINT *q = curve != NULL ? EC_POINT_new(curve) : NULL;
    BN_CTX *bn = BN_CTX_secure_new_ex(p->libctx);
    BIGNUM *k = curve != NULL ? lab_scalar(p, g, EC_GROUP_get0_order(curve)) : NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(p->libctx, "EC", NULL);
    if (k != NULL) ak_random_prime(p, AK_PURPOSE_blinding); /* a dry source keeps its mark */
    if (q != NULL && bn != NULL && k != NULL && build != NULL && ctx != NULL && EC_POINT_mul(curve, q, k, NULL, NULL, bn) == 1 &&
        EC_POINT_point2oct(curve, q, POINT_CONVERSION_UNCOMPRESSED, point, g->client_share, bn) == g->client_share &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, g->nid_name, 0) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, k) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, g->client_share) == 1 &&
        (params = OSSL_PARAM_BLD_to_param(build)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params); /* BN_secure_new's value lies in its wiped half */
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_clear_free(k);
    BN_CTX_free(bn);
    EC_POINT_free(q);
    EC_GROUP_free(curve);
    return key;
}

/* in_range: whether x is a private value: 1..p-1, of an odd p. */
static bool in_range(const BIGNUM *x, const BIGNUM *bp) { return !BN_is_zero(x) && BN_cmp(x, bp) < 0 && BN_is_odd(bp); }

/* put_private: a private value that is in range, and g^x mod p. */
static bool put_private(ak_provider *p, OSSL_PARAM_BLD *build, const BIGNUM *bp, const BIGNUM *bg, BIGNUM *x, BIGNUM *y) {
    BN_CTX *bn = BN_CTX_secure_new_ex(p->libctx);
    bool ok = bn != NULL && BN_mod_exp_mont_consttime(y, bg, x, bp, bn, NULL) == 1 &&
              OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, x) == 1 && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PUB_KEY, y) == 1;
    BN_CTX_free(bn);
    return ok;
}

/* dh_key: the parameters alone, or with the private value (whose bytes are a big-endian number) a key pair. NULL: *unfit says whether the value is out of range. */
static EVP_PKEY *dh_key(ak_provider *p, ak_view prime, ak_view generator, ak_view private_value, bool *unfit) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;
    BIGNUM *bp = BN_bin2bn(prime.p, (int)prime.n, NULL), *bg = BN_bin2bn(generator.p, (int)generator.n, NULL);
    BIGNUM *x = BN_secure_new(), *y = BN_new();
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    bool pair = private_value.n != 0;
    *unfit = pair && bp != NULL && x != NULL && BN_bin2bn(private_value.p, (int)private_value.n, x) != NULL && !in_range(x, bp);
    if (!*unfit && ak_import_ctx(p, &p->import_dh, "DH") != NULL && build != NULL && bp != NULL && bg != NULL && x != NULL && y != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_FFC_P, bp) == 1 && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_FFC_G, bg) == 1 &&
        (!pair || (!BN_is_zero(x) && put_private(p, build, bp, bg, x, y))) &&
        (params = OSSL_PARAM_BLD_to_param(build)) != NULL &&
        EVP_PKEY_fromdata(p->import_dh, &key, pair ? EVP_PKEY_KEYPAIR : EVP_PKEY_KEY_PARAMETERS, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params); /* BN_secure_new's value lies in its wiped half */
    OSSL_PARAM_BLD_free(build);
    BN_free(bp);
    BN_free(bg);
    BN_clear_free(x);
    BN_free(y);
    return key;
}

/* A lab's private value in a finite field: 64 bytes, more than RFC 7919's twice the security of any group, or as many as the prime has. */
static EVP_PKEY *lab_dh(ak_provider *p, ak_view prime, ak_view generator) {
    uint8_t x[64];
    size_t n = prime.n < sizeof x ? prime.n : sizeof x;
    EVP_PKEY *key = NULL;
    bool again = true;
    for (int tries = 0; again && tries < 32; tries++) {
        if (!ak_random(p, AK_PURPOSE_key_share, x, n)) break;
        key = dh_key(p, prime, generator, ak_view_of(x, n), &again);
    }
    ak_wipe(x, sizeof x);
    ERR_clear_error();
    return key;
}

/* ---- our value ------------------------------------------------------------------------------------------------------------- */

static EVP_PKEY *generate(ak_provider *p, const ak_group *g) {
    ak_group_slot *s = ak_group_slot_of(p, g);
    EVP_PKEY *key = NULL;
    if (p->lab && g->kind == AK_GROUP_x) return lab_x(p, s, g);
    if (p->lab && g->kind == AK_GROUP_ec) return lab_ec(p, g);
    ak_view prime, generator;
    if (p->lab && ak_group_dh_params(p, g, &prime, &generator)) return lab_dh(p, prime, generator);
    ak_random_prime(p, AK_PURPOSE_key_share);
    return EVP_PKEY_generate(s->keygen, &key) == 1 ? key : NULL;
}

static bool encoded(EVP_PKEY *key, uint8_t *out, size_t n) {
    size_t got = 0;
    return EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, out, n, &got) == 1 && got == n;
}

static ak_share *share_alloc(ak_provider *p, const ak_group *g, size_t public_n, ak_failure *f) {
    ak_share *s = ak_zalloc(sizeof *s + public_n);
    if (s == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    s->group = g;
    s->provider = ak_provider_ref(p);
    s->public_n = public_n;
    return s;
}

ak_share *ak_share_new(ak_provider *p, const ak_group *g, ak_failure *f) {
    if (!ak_group_usable(p, g)) {
        ak_fail(f, AK_ERR_unsupported, "group %s", g->name);
        return NULL;
    }
    ak_share *s = share_alloc(p, g, g->client_share, f);
    if (s == NULL) return NULL;
    uint64_t begun = ak_journal_begin(p);
    p->dry = false;
    const ak_hybrid *h = ak_hybrid_of(g);
    bool ok;
    if (h == NULL) {
        ok = (s->classic = generate(p, g)) != NULL && encoded(s->classic, s->public_value, s->public_n);
    } else {
        const ak_group *classic = ak_group_find(h->classic);
        uint8_t *kem_at = s->public_value + (h->kem_first ? 0 : classic->client_share);
        uint8_t *classic_at = s->public_value + (h->kem_first ? h->kem_key : 0);
        ok = (s->classic = generate(p, classic)) != NULL && (s->kem = generate(p, g)) != NULL &&
             encoded(s->classic, classic_at, classic->client_share) && encoded(s->kem, kem_at, h->kem_key);
    }
    if (begun != 0) ak_journal_end(p, begun, &(ak_note){.op = "key_share", .what = g->name, .out = ak_share_public(s)});
    if (ok) return s;
    ak_share_free(s);
    ak_operation_fail(p, f, g->name);
    return NULL;
}

void ak_share_free(ak_share *s) {
    if (s == NULL) return;
    EVP_PKEY_free(s->classic);
    EVP_PKEY_free(s->kem);
    free(s->prime);
    ak_provider_free(s->provider);
    free(s);
}

ak_share *ak_share_clone(const ak_share *s) {
    ak_share *c = ak_zalloc(sizeof *c + s->public_n);
    if (c == NULL) return NULL;
    c->group = s->group;
    c->provider = ak_provider_ref(s->provider);
    c->public_n = s->public_n;
    memcpy(c->public_value, s->public_value, s->public_n);
    if (s->prime != NULL && (c->prime = malloc(s->prime_n)) == NULL) {
        ak_share_free(c);
        return NULL;
    }
    if (s->prime != NULL) memcpy(c->prime, s->prime, s->prime_n);
    c->prime_n = s->prime_n;
    if (s->classic != NULL && EVP_PKEY_up_ref(s->classic) == 1) c->classic = s->classic;
    if (s->kem != NULL && EVP_PKEY_up_ref(s->kem) == 1) c->kem = s->kem;
    return c;
}

const ak_group *ak_share_group(const ak_share *s) { return s->group; }
ak_view ak_share_public(const ak_share *s) { return ak_view_of(s->public_value, s->public_n); }

/* ---- the peer's value -------------------------------------------------------------------------------------------------------- */

static ak_view without_zeros(ak_view v) {
    while (v.n > 0 && v.p[0] == 0) {
        v.p++;
        v.n--;
    }
    return v;
}

/* ff_value_ok: 1 < y < p-1 (RFC 7919 §5.1). With a safe prime that leaves nothing of small order. All of it is public. */
static bool ff_value_ok(ak_view y, ak_view prime) {
    y = without_zeros(y);
    prime = without_zeros(prime);
    if (y.n == 0 || y.n > prime.n || (y.n == 1 && y.p[0] == 1)) return false;
    if (y.n < prime.n) return true;
    int order = memcmp(y.p, prime.p, y.n - 1);
    if (order != 0) return order < 0;
    /* p is odd: p-1 differs from it in the last byte alone */
    return y.p[y.n - 1] < prime.p[y.n - 1] - 1;
}

/* A key with these domain parameters and this public value. An EC point off the curve is refused by the import itself. */
EVP_PKEY *ak_import_point(EVP_PKEY *params, ak_view value) {
    EVP_PKEY *key = EVP_PKEY_new();
    if (key != NULL && EVP_PKEY_copy_parameters(key, params) == 1 && EVP_PKEY_set1_encoded_public_key(key, value.p, value.n) == 1)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

EVP_PKEY *ak_import_raw(EVP_PKEY_CTX *ctx, ak_view value) {
    EVP_PKEY *key = NULL;
    /* fromdata reads through a pointer that is not const; it does not write. */
    union {
        const uint8_t *in;
        uint8_t *out;
    } bytes = {value.p};
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes.out, value.n), OSSL_PARAM_construct_end()};
    return EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1 ? key : NULL;
}

static EVP_PKEY *import_ff(EVP_PKEY *params, ak_view value, size_t n) {
    uint8_t padded[1024];
    value = without_zeros(value);
    if (value.n > n || n > sizeof padded) return NULL;
    memset(padded, 0, n - value.n);
    memcpy(padded + n - value.n, value.p, value.n);
    return ak_import_point(params, ak_view_of(padded, n));
}

/* take_place: the key with the last peer's value, which nobody needs any more, takes this one: one made anew costs libcrypto as much as a twentieth of the exchange. A value
 * that is refused takes the key with it. */
static EVP_PKEY *take_place(ak_group_slot *s, ak_view value) {
    if (s->peer == NULL) {
        s->peer = s->params != NULL ? ak_import_point(s->params, value) : ak_import_raw(s->import, value);
    } else if (EVP_PKEY_set1_encoded_public_key(s->peer, value.p, value.n) != 1) {
        EVP_PKEY_free(s->peer);
        s->peer = NULL;
    }
    return s->peer != NULL && EVP_PKEY_up_ref(s->peer) == 1 ? s->peer : NULL;
}

static EVP_PKEY *import_peer(ak_provider *p, const ak_group *g, ak_view peer, bool any_length) {
    ak_group_slot *s = ak_group_slot_of(p, g);
    if (s == NULL) return NULL;
    switch (g->kind) {
    case AK_GROUP_x: return peer.n == g->client_share ? take_place(s, peer) : NULL;
    case AK_GROUP_ec: /* RFC 8446 §4.2.8.2: uncompressed points only; RFC 8422 §5.4 for TLS 1.2 */
        return peer.n == g->client_share && peer.p[0] == 4 ? take_place(s, peer) : NULL;
    case AK_GROUP_ff:
        if (!any_length && peer.n != g->client_share) return NULL;
        return ff_value_ok(peer, ak_view_of(s->prime, g->client_share)) ? import_ff(s->params, peer, g->client_share) : NULL;
    case AK_GROUP_hybrid: break;
    }
    return NULL;
}

/* ---- the secret ----------------------------------------------------------------------------------------------------------------- */

/* agree: (EC)DH of our key and the peer's, n bytes, written to out. */
static bool agree(ak_provider *p, EVP_PKEY *ours, EVP_PKEY *peer, bool is_dh, uint8_t *out, size_t n) {
    size_t got = n;
    ak_random_prime(p, AK_PURPOSE_blinding);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(p->libctx, ours, NULL);
    bool ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 && (!is_dh || EVP_PKEY_CTX_set_dh_pad(ctx, 1) == 1) &&
              /* 0: the value was checked when it was imported */
              EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 && EVP_PKEY_derive(ctx, out, &got) == 1 && got == n;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* all_zero looks at every byte; only the answer, which the peer learns anyway from our alert, is public (RFC 7748 §6.1, RFC 8446 §7.4.2). */
static bool all_zero(const uint8_t *p, size_t n) {
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++) any |= p[i];
    return ak_ct_is_zero(any) != 0;
}

static ak_error bad_share(ak_failure *f, const char *name) {
    ERR_clear_error();
    return ak_fail(f, AK_ERR_bad_key_share, "group %s", name);
}

/* finish: when a step failed, takes back what was appended to a secret buffer. */
static ak_error finish(ak_buf *out, size_t start, ak_error e) {
    if (e != AK_OK && out->n > start) {
        ak_wipe(out->p + start, out->n - start);
        out->n = start;
    }
    return e;
}

static ak_error derive_classic(ak_provider *p, const ak_group *g, EVP_PKEY *ours, ak_view peer, bool strip, ak_buf *out, ak_failure *f) {
    size_t start = out->n;
    EVP_PKEY *theirs = import_peer(p, g, peer, strip);
    if (theirs == NULL) return bad_share(f, g->name);
    uint8_t *at = ak_buf_grow(out, g->secret);
    bool ok = at != NULL && agree(p, ours, theirs, g->kind == AK_GROUP_ff, at, g->secret);
    EVP_PKEY_free(theirs);
    if (at == NULL) return finish(out, start, ak_fail(f, AK_ERR_out_of_memory, NULL));
    /* a small-order X25519 or X448 value is refused by libcrypto itself, or seen here; zero is an x coordinate like any other on a NIST curve */
    if (!ok || (g->kind == AK_GROUP_x && all_zero(at, g->secret))) return finish(out, start, bad_share(f, g->name));
    return AK_OK;
}

/* strip: RFC 5246 §8.1.2. That the number of zeros shows in the time is the standard's fault (Raccoon); it is harmless with ephemeral
 * values, and ours are never used twice. */
static void strip_leading_zeros(ak_buf *out, size_t start) {
    size_t zeros = 0;
    while (start + zeros + 1 < out->n && out->p[start + zeros] == 0) zeros++;
    if (zeros == 0) return;
    memmove(out->p + start, out->p + start + zeros, out->n - start - zeros);
    ak_wipe(out->p + out->n - zeros, zeros);
    out->n -= zeros;
}

static bool decapsulate(ak_provider *p, EVP_PKEY *kem, ak_view ciphertext, uint8_t out[AK_KEM_SECRET]) {
    size_t n = AK_KEM_SECRET;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(p->libctx, kem, NULL);
    bool ok = ctx != NULL && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
              EVP_PKEY_decapsulate(ctx, out, &n, ciphertext.p, ciphertext.n) == 1 && n == AK_KEM_SECRET;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static ak_error derive_hybrid(ak_provider *p, ak_share *s, ak_view peer, ak_buf *out, ak_failure *f) {
    const ak_hybrid *h = ak_hybrid_of(s->group);
    const ak_group *classic = ak_group_find(h->classic);
    if (peer.n != s->group->server_share) return bad_share(f, s->group->name);
    ak_view kem = ak_view_of(peer.p + (h->kem_first ? 0 : classic->server_share), h->kem_ciphertext);
    ak_view ec = ak_view_of(peer.p + (h->kem_first ? h->kem_ciphertext : 0), classic->server_share);
    uint8_t kem_secret[AK_KEM_SECRET];
    ak_error e = AK_OK;
    if (!decapsulate(p, s->kem, kem, kem_secret)) e = bad_share(f, s->group->name);
    size_t start = out->n;
    if (e == AK_OK && h->kem_first && !ak_buf_put(out, kem_secret, AK_KEM_SECRET)) e = ak_fail(f, AK_ERR_out_of_memory, NULL);
    if (e == AK_OK) e = derive_classic(p, classic, s->classic, ec, false, out, f);
    if (e == AK_OK && !h->kem_first && !ak_buf_put(out, kem_secret, AK_KEM_SECRET)) e = ak_fail(f, AK_ERR_out_of_memory, NULL);
    ak_wipe(kem_secret, sizeof kem_secret);
    return finish(out, start, e);
}

static ak_error derive_explicit(ak_provider *p, ak_share *s, ak_view peer, ak_buf *out, ak_failure *f) {
    size_t start = out->n;
    if (!ff_value_ok(peer, ak_view_of(s->prime, s->prime_n))) return bad_share(f, "dh");
    EVP_PKEY *theirs = import_ff(s->classic, peer, s->prime_n);
    uint8_t *at = ak_buf_grow(out, s->prime_n);
    bool ok = theirs != NULL && at != NULL && agree(p, s->classic, theirs, true, at, s->prime_n);
    EVP_PKEY_free(theirs);
    return ok ? AK_OK : finish(out, start, bad_share(f, "dh"));
}

/* note: what came out of an agreement, for a lab's journal. */
static void note(ak_provider *p, uint64_t begun, const char *group, ak_view peer, ak_view ours, const ak_buf *out, size_t start) {
    if (begun == 0) return;
    ak_view secret = out->n > start ? ak_view_of(out->p + start, out->n - start) : ak_view_of(NULL, 0);
    ak_journal_end(p, begun, &(ak_note){.op = "key_agreement", .what = group, .context = peer, .context_b = ours, .out = secret, .bytes = peer.n});
}

ak_error ak_share_derive(ak_provider *p, ak_share *s, ak_view peer, bool strip_zeros, ak_buf *out, ak_failure *f) {
    size_t start = out->n;
    uint64_t begun = ak_journal_begin(p);
    ak_error e;
    if (s->group == NULL)
        e = derive_explicit(p, s, peer, out, f);
    else if (s->group->kind == AK_GROUP_hybrid)
        e = derive_hybrid(p, s, peer, out, f);
    else
        e = derive_classic(p, s->group, s->classic, peer, strip_zeros, out, f);
    if (e == AK_OK && strip_zeros && (s->group == NULL || s->group->kind == AK_GROUP_ff)) strip_leading_zeros(out, start);
    note(p, begun, s->group != NULL ? s->group->name : "dh", peer, ak_share_public(s), out, start);
    return e;
}

/* ---- the responder --------------------------------------------------------------------------------------------------------------- */

static bool encapsulate(ak_provider *p, EVP_PKEY *kem, uint8_t *ciphertext, size_t ciphertext_n, uint8_t out[AK_KEM_SECRET]) {
    size_t n = AK_KEM_SECRET, got = ciphertext_n;
    ak_random_prime(p, AK_PURPOSE_key_share);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(p->libctx, kem, NULL);
    bool ok = ctx != NULL && EVP_PKEY_encapsulate_init(ctx, NULL) == 1 &&
              EVP_PKEY_encapsulate(ctx, ciphertext, &got, out, &n) == 1 && got == ciphertext_n && n == AK_KEM_SECRET;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static ak_error answer_classic(ak_provider *p, const ak_group *g, ak_view peer, ak_buf *out_public, ak_buf *out_secret, ak_failure *f) {
    ak_share *s = ak_share_new(p, g, f);
    if (s == NULL) return f != NULL ? f->error : AK_ERR_crypto_failed;
    ak_error e = derive_classic(p, g, s->classic, peer, false, out_secret, f);
    if (e == AK_OK && !ak_buf_put_view(out_public, ak_share_public(s))) e = ak_fail(f, AK_ERR_out_of_memory, NULL);
    ak_share_free(s);
    return e;
}

static ak_error answer_hybrid(ak_provider *p, const ak_group *g, ak_view peer, ak_buf *out_public, ak_buf *out_secret, ak_failure *f) {
    const ak_hybrid *h = ak_hybrid_of(g);
    const ak_group *classic = ak_group_find(h->classic);
    ak_group_slot *slot = ak_group_slot_of(p, g);
    if (slot == NULL) return ak_fail(f, AK_ERR_unsupported, "group %s", g->name);
    if (peer.n != g->client_share) return bad_share(f, g->name);
    ak_view kem_key = ak_view_of(peer.p + (h->kem_first ? 0 : classic->client_share), h->kem_key);
    ak_view ec = ak_view_of(peer.p + (h->kem_first ? h->kem_key : 0), classic->client_share);
    uint8_t ciphertext[1568], kem_secret[AK_KEM_SECRET];
    /* FIPS 203 §7.2: an encapsulation key with a coefficient out of range is refused by the import. */
    EVP_PKEY *kem = ak_import_raw(slot->import, kem_key);
    if (kem == NULL) return bad_share(f, g->name);
    ak_error e = AK_OK;
    if (!encapsulate(p, kem, ciphertext, h->kem_ciphertext, kem_secret))
        e = ak_operation_fail(p, f, g->name);
    EVP_PKEY_free(kem);
    bool room = true;
    if (e == AK_OK && h->kem_first)
        room = ak_buf_put(out_public, ciphertext, h->kem_ciphertext) && ak_buf_put(out_secret, kem_secret, AK_KEM_SECRET);
    if (e == AK_OK && room) e = answer_classic(p, classic, ec, out_public, out_secret, f);
    if (e == AK_OK && room && !h->kem_first)
        room = ak_buf_put(out_public, ciphertext, h->kem_ciphertext) && ak_buf_put(out_secret, kem_secret, AK_KEM_SECRET);
    ak_wipe(kem_secret, sizeof kem_secret);
    return e == AK_OK && !room ? ak_fail(f, AK_ERR_out_of_memory, NULL) : e;
}

ak_error ak_share_answer(ak_provider *p, const ak_group *g, ak_view peer, ak_buf *out_public, ak_buf *out_secret, ak_failure *f) {
    size_t public_start = out_public->n, secret_start = out_secret->n;
    uint64_t begun = ak_journal_begin(p);
    ak_error e = g->kind == AK_GROUP_hybrid ? answer_hybrid(p, g, peer, out_public, out_secret, f)
                                            : answer_classic(p, g, peer, out_public, out_secret, f);
    finish(out_public, public_start, e);
    e = finish(out_secret, secret_start, e);
    ak_view ours = e == AK_OK ? ak_view_of(out_public->p + public_start, out_public->n - public_start) : ak_view_of(NULL, 0);
    note(p, begun, g->name, peer, ours, out_secret, secret_start);
    return e;
}

/* ---- explicit finite-field parameters (TLS 1.2 DHE) -------------------------------------------------------------------------------- */

ak_share *ak_share_new_dh(ak_provider *p, ak_view prime, ak_view generator, ak_failure *f) {
    prime = without_zeros(prime);
    if (prime.n == 0 || prime.n > 1024 || generator.n == 0 || generator.n > 2048) {
        ak_fail(f, AK_ERR_illegal_parameter, "Diffie-Hellman parameters");
        return NULL;
    }
    ak_share *s = share_alloc(p, NULL, prime.n, f);
    if (s == NULL) return NULL;
    EVP_PKEY *params = NULL;
    EVP_PKEY_CTX *ctx = NULL;
    uint64_t begun = ak_journal_begin(p);
    ak_random_prime(p, AK_PURPOSE_key_share);
    bool unfit, ok = (s->prime = malloc(prime.n)) != NULL;
    if (ok && p->lab) ok = (s->classic = lab_dh(p, prime, generator)) != NULL;
    else if (ok)
        ok = (params = dh_key(p, prime, generator, ak_view_of(NULL, 0), &unfit)) != NULL && (ctx = EVP_PKEY_CTX_new_from_pkey(p->libctx, params, NULL)) != NULL &&
             EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_generate(ctx, &s->classic) == 1;
    ok = ok && encoded(s->classic, s->public_value, s->public_n);
    if (ok) {
        memcpy(s->prime, prime.p, prime.n);
        s->prime_n = prime.n;
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(params);
    if (begun != 0) ak_journal_end(p, begun, &(ak_note){.op = "key_share", .what = "dh", .out = ak_share_public(s)});
    if (ok) return s;
    ak_share_free(s);
    ak_operation_fail(p, f, "a Diffie-Hellman key");
    return NULL;
}

ak_share *ak_share_given_dh(ak_provider *p, const ak_group *g, ak_view prime, ak_view generator, ak_view private_value, ak_failure *f) {
    if (g != NULL && !ak_group_dh_params(p, g, &prime, &generator)) {
        ak_fail(f, AK_ERR_unsupported, "group %s", g->name);
        return NULL;
    }
    prime = without_zeros(prime);
    if (prime.n == 0 || prime.n > 1024 || generator.n == 0 || generator.n > 2048 || private_value.n == 0 || private_value.n > prime.n) {
        ak_fail(f, AK_ERR_illegal_parameter, "Diffie-Hellman parameters");
        return NULL;
    }
    ak_share *s = share_alloc(p, g, prime.n, f);
    if (s == NULL) return NULL;
    bool unfit, ok = (s->classic = dh_key(p, prime, generator, private_value, &unfit)) != NULL && encoded(s->classic, s->public_value, s->public_n);
    if (ok && g == NULL) {
        ok = (s->prime = malloc(prime.n)) != NULL;
        if (ok) memcpy(s->prime, prime.p, prime.n);
        s->prime_n = prime.n;
    }
    if (ok) return s;
    ak_share_free(s);
    if (unfit) ak_fail(f, AK_ERR_illegal_parameter, "a private value is from 1 to p-1, and p is odd");
    else ak_operation_fail(p, f, "a Diffie-Hellman key");
    return NULL;
}
