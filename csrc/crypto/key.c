#include "base/der.h"
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ------------------------------------------------------------------------------------------------------------------- */

static ak_key_kind kind_of(const EVP_PKEY *pkey) {
    static const struct {
        const char *name;
        ak_key_kind kind;
    } kinds[] = {{"RSA", AK_KEY_rsa}, {"RSA-PSS", AK_KEY_rsa_pss}, {"EC", AK_KEY_ec}, {"ED25519", AK_KEY_ed25519}, {"ED448", AK_KEY_ed448}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (EVP_PKEY_is_a(pkey, kinds[i].name)) return kinds[i].kind;
    return AK_KEY_other;
}

static uint16_t group_of(EVP_PKEY *pkey) {
    static const struct {
        const char *name;
        uint16_t group;
    } curves[] = {{"prime256v1", 23}, {"P-256", 23}, {"secp384r1", 24}, {"P-384", 24}, {"secp521r1", 25}, {"P-521", 25}};
    char name[64];
    size_t n;
    if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, &n) != 1) return 0;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (strcmp(name, curves[i].name) == 0) return curves[i].group;
    return 0;
}

static ak_key *key_alloc(ak_provider *p, EVP_PKEY *pkey, bool is_private) {
    ak_key *k = calloc(1, sizeof *k);
    if (k == NULL) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    k->refs = 1;
    k->provider = ak_provider_ref(p);
    k->libctx = p->libctx;
    k->pkey = pkey;
    k->is_private = is_private;
    k->kind = AK_KEY_other;
    return k;
}

/* read_restrictions: what an id-RSASSA-PSS key's own parameters allow, out of its SubjectPublicKeyInfo. */
static bool read_restrictions(ak_key *k, ak_view params) {
    ak_hash mgf1;
    k->pss_restricted = true;
    if (!ak_pss_params(params, &k->pss_hash, &mgf1, &k->pss_min_salt)) return false;
    if (mgf1 != k->pss_hash) k->pss_hash = AK_HASH_none; /* TLS has no scheme with two hashes */
    return true;
}

ak_key *ak_key_wrap(ak_provider *p, struct evp_pkey_st *pkey, bool is_private) {
    ak_key *k = key_alloc(p, pkey, is_private);
    if (k == NULL) return NULL;
    k->kind = kind_of(pkey);
    k->bits = (unsigned)EVP_PKEY_get_bits(pkey);
    if (k->kind == AK_KEY_ec) k->group = group_of(pkey);
    if (k->kind == AK_KEY_rsa_pss) {
        ak_buf spki;
        ak_rd r, outer, algorithm;
        ak_view oid, params;
        bool found = false;
        ak_buf_init(&spki, AK_BUF_NO_LIMIT);
        if (ak_key_spki(k, &spki)) {
            ak_rd_view(&r, ak_buf_view(&spki));
            if (ak_der_enter(&r, AK_DER_SEQUENCE, &outer) && ak_der_enter(&outer, AK_DER_SEQUENCE, &algorithm) &&
                ak_der_get(&algorithm, AK_DER_OID, &oid) && ak_rd_left(&algorithm) > 0) {
                found = true;
                if (!ak_der_next(&algorithm, NULL, NULL, &params) || !read_restrictions(k, params)) k->pss_hash = AK_HASH_none;
            }
        }
        k->pss_restricted = found;
        ak_buf_free(&spki);
    }
    ERR_clear_error();
    return k;
}

ak_key *ak_key_ref(ak_key *k) {
    k->refs++;
    return k;
}

void ak_key_free(ak_key *k) {
    if (k == NULL || --k->refs > 0) return;
    for (size_t i = 0; i < AK_KEY_SLOTS; i++) EVP_PKEY_CTX_free(k->slot[i].ctx);
    EVP_PKEY_CTX_free(k->encrypt);
    EVP_PKEY_CTX_free(k->decrypt);
    EVP_PKEY_free(k->pkey);
    ak_provider_free(k->provider);
    free(k);
}

ak_key_kind ak_key_type(const ak_key *k) { return k->kind; }
unsigned ak_key_bits(const ak_key *k) { return k->bits; }
uint16_t ak_key_group(const ak_key *k) { return k->group; }
bool ak_key_is_private(const ak_key *k) { return k->is_private; }
struct evp_pkey_st *ak_key_pkey(ak_key *k) { return k->pkey; }

/* ---- copies in another library context ------------------------------------------------------------------------------------------ */

static ak_key *copy_into(ak_provider *p, ak_key *k) {
    OSSL_PARAM *params = NULL;
    EVP_PKEY *pkey = NULL;
    int selection = k->is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(p->libctx, EVP_PKEY_get0_type_name(k->pkey), NULL);
    bool ok = ctx != NULL && EVP_PKEY_todata(k->pkey, selection, &params) == 1 && EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, &pkey, selection, params) == 1;
    for (OSSL_PARAM *x = params; x != NULL && x->key != NULL; x++) ak_wipe(x->data, x->data_size);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    ak_key *copy = ok ? calloc(1, sizeof *copy) : NULL;
    if (copy == NULL) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    copy->refs = 1;
    copy->libctx = p->libctx;
    copy->pkey = pkey;
    copy->kind = k->kind;
    copy->bits = k->bits;
    copy->group = k->group;
    copy->is_private = k->is_private;
    copy->pss_restricted = k->pss_restricted;
    copy->pss_hash = k->pss_hash;
    copy->pss_min_salt = k->pss_min_salt;
    return copy;
}

static bool identify(ak_provider *p, ak_key *k) {
    if (k->has_id) return true;
    ak_buf spki;
    const ak_view none = {NULL, 0};
    ak_buf_init(&spki, AK_BUF_NO_LIMIT);
    k->has_id = ak_key_spki(k, &spki) && ak_digest(p, AK_HASH_sha256, ak_buf_view(&spki), none, none, k->id);
    ak_buf_free(&spki);
    return k->has_id;
}

ak_key *ak_key_native(ak_provider *p, ak_key *k) {
    if (k->libctx == p->libctx || k->pkey == NULL) return k;
    if (!identify(p, k)) return NULL;
    for (size_t i = 0; i < AK_TWINS; i++) {
        ak_key *copy = p->twin[i].copy;
        if (copy != NULL && copy->is_private == k->is_private && memcmp(p->twin[i].id, k->id, sizeof k->id) == 0) return copy;
    }
    ak_key *copy = copy_into(p, k);
    if (copy == NULL) return NULL;
    struct ak_twin *t = &p->twin[p->next_twin++ % AK_TWINS];
    ak_key_free(t->copy);
    memcpy(t->id, k->id, sizeof t->id);
    t->copy = copy;
    return copy;
}

void ak_twins_release(ak_provider *p) {
    for (size_t i = 0; i < AK_TWINS; i++) ak_key_free(p->twin[i].copy);
}

/* ---- private keys ------------------------------------------------------------------------------------------------------------------ */

typedef struct password_request {
    const char *password;
    bool asked;
} password_request;

/* libcrypto's default callback would prompt on the terminal; this one answers or refuses. */
static int give_password(char *out, int size, int writing, void *user) {
    password_request *request = user;
    (void)writing;
    request->asked = true;
    size_t n = request->password != NULL ? strlen(request->password) : 0;
    if (request->password == NULL || n > (size_t)size) return -1;
    memcpy(out, request->password, n);
    return (int)n;
}

static bool contains(ak_view text, const char *what) {
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= text.n; i++)
        if (memcmp(text.p + i, what, n) == 0) return true;
    return false;
}

/* plain_lines: a text as libcrypto's reader of PEM wants it: lines that are not indented and end with LF (RFC 7468 §3 has parsers take the others, too). */
static bool plain_lines(ak_view text, ak_buf *out) {
    if (!ak_buf_reserve(out, text.n)) return false;
    bool start = true;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '\n' && i > 0 && text.p[i - 1] == '\r') continue; /* its CR was the end of the line */
        if (c == '\r') c = '\n';
        if (start && (c == ' ' || c == '\t')) continue;
        out->p[out->n++] = c;
        start = c == '\n';
    }
    return true;
}

static EVP_PKEY *read_pem(ak_provider *p, ak_view bytes, password_request *request) {
    ak_buf text;
    ak_buf_init_secret(&text, bytes.n);
    BIO *bio = plain_lines(bytes, &text) ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PrivateKey_ex(bio, NULL, give_password, request, p->libctx, NULL) : NULL;
    BIO_free(bio);
    ak_buf_free(&text);
    return pkey;
}

static EVP_PKEY *read_der(ak_provider *p, ak_view bytes, password_request *request) {
    EVP_PKEY *pkey = NULL;
    const unsigned char *at = bytes.p;
    size_t left = bytes.n;
    ak_rd r;
    ak_rd_view(&r, bytes);
    if (ak_der_peek(&r) != AK_DER_SEQUENCE || !ak_der_next(&r, NULL, NULL, NULL) || !ak_rd_done(&r)) return NULL;
    OSSL_DECODER_CTX *ctx = OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", NULL, NULL, EVP_PKEY_KEYPAIR, p->libctx, NULL);
    if (ctx == NULL || OSSL_DECODER_CTX_set_pem_password_cb(ctx, give_password, request) != 1 ||
        OSSL_DECODER_from_data(ctx, &at, &left) != 1) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    OSSL_DECODER_CTX_free(ctx);
    return pkey;
}

/* has_private: a decoder may hand out a public key where a private one was asked for. */
static bool has_private(EVP_PKEY *pkey, ak_key_kind kind) {
    BIGNUM *n = NULL;
    size_t size = 0;
    bool ok;
    if (kind == AK_KEY_ed25519 || kind == AK_KEY_ed448)
        ok = EVP_PKEY_get_raw_private_key(pkey, NULL, &size) == 1;
    else
        ok = EVP_PKEY_get_bn_param(pkey, kind == AK_KEY_ec ? OSSL_PKEY_PARAM_PRIV_KEY : OSSL_PKEY_PARAM_RSA_D, &n) == 1;
    BN_clear_free(n);
    return ok;
}

ak_key *ak_key_private(ak_provider *p, ak_view bytes, const char *password, ak_failure *f) {
    password_request request = {password, false};
    bool pem = contains(bytes, "-----BEGIN ");
    if (bytes.n == 0 || bytes.n > (1u << 24) || (pem && !contains(bytes, "PRIVATE KEY-----"))) {
        ak_fail(f, AK_ERR_bad_pem, "no private key found");
        return NULL;
    }
    EVP_PKEY *pkey = pem ? read_pem(p, bytes, &request) : read_der(p, bytes, &request);
    if (pkey == NULL) {
        ERR_clear_error();
        if (request.asked)
            ak_fail(f, AK_ERR_bad_password, password == NULL ? "the key is encrypted and no password was given" : NULL);
        else
            ak_fail(f, AK_ERR_bad_key, pem ? "the PEM block cannot be decoded" : "neither PEM nor a DER private key");
        return NULL;
    }
    ak_key_kind kind = kind_of(pkey);
    if (kind == AK_KEY_other || !has_private(pkey, kind)) {
        EVP_PKEY_free(pkey);
        ERR_clear_error();
        ak_fail(f, AK_ERR_bad_key, kind == AK_KEY_other ? "a kind of key that TLS does not sign with" : "no private half");
        return NULL;
    }
    ak_key *k = ak_key_wrap(p, pkey, true);
    if (k == NULL) ak_fail(f, AK_ERR_out_of_memory, NULL);
    return k;
}

/* ---- making one ------------------------------------------------------------------------------------------------------------------------ */

static EVP_PKEY *generate(ak_provider *p, const char *type, unsigned rsa_bits, const char *curve) {
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(p->libctx, type, NULL);
    ak_random_prime(p, AK_PURPOSE_identity_key);
    bool ok = ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
              (rsa_bits == 0 || EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)rsa_bits) == 1) &&
              (curve == NULL || EVP_PKEY_CTX_set_group_name(ctx, curve) == 1) && EVP_PKEY_generate(ctx, &pkey) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? pkey : NULL;
}

/* parse_bits: 512..8192, decimal, nothing after it; 0 otherwise. */
static unsigned parse_bits(const char *s) {
    unsigned v = 0;
    for (; *s >= '0' && *s <= '9' && v <= 8192; s++) v = v * 10 + (unsigned)(*s - '0');
    return *s == '\0' && v >= 512 && v <= 8192 ? v : 0;
}

/* A kind of key, read: libcrypto's name of it, and its size or curve. */
typedef struct kind_read {
    const char *type, *curve;
    unsigned bits;
} kind_read;

static bool read_kind(const char *spec, kind_read *out) {
    static const kind_read rsa = {"RSA", NULL, 0}, pss = {"RSA-PSS", NULL, 0}, ed25519 = {"ED25519", NULL, 0}, ed448 = {"ED448", NULL, 0};
    const ak_group *g;
    bool is_pss = strncmp(spec, "rsa-pss:", 8) == 0;
    if (is_pss || strncmp(spec, "rsa:", 4) == 0) {
        *out = is_pss ? pss : rsa;
        out->bits = parse_bits(spec + (is_pss ? 8 : 4));
        return out->bits != 0;
    }
    if (strncmp(spec, "ec:", 3) == 0) {
        if ((g = ak_group_by_name(spec + 3)) == NULL || g->kind != AK_GROUP_ec) return false;
        *out = (kind_read){"EC", g->nid_name, 0};
        return true;
    }
    *out = strcmp(spec, "ed25519") == 0 ? ed25519 : ed448;
    return strcmp(spec, "ed25519") == 0 || strcmp(spec, "ed448") == 0;
}

bool ak_key_kind_check(const char *spec, ak_failure *f) {
    kind_read kind;
    if (read_kind(spec, &kind)) return true;
    ak_fail(f, AK_ERR_bad_key, "no such kind of key: \"%.20s\"; there are rsa:BITS, rsa-pss:BITS, ec:GROUP, ed25519, ed448",
            spec); /* perhaps a key: its first bytes say no more than what it is */
    return false;
}

ak_key *ak_key_generate(ak_provider *p, const char *spec, ak_failure *f) {
    kind_read kind;
    if (!ak_key_kind_check(spec, f) || !read_kind(spec, &kind)) return NULL;
    EVP_PKEY *pkey = generate(p, kind.type, kind.bits, kind.curve);
    if (pkey == NULL) {
        ak_operation_fail(p, f, "a new key");
        return NULL;
    }
    ak_key *k = ak_key_wrap(p, pkey, true);
    if (k == NULL) ak_fail(f, AK_ERR_out_of_memory, NULL);
    return k;
}

/* ---- out again --------------------------------------------------------------------------------------------------------------------------- */

bool ak_key_spki(ak_key *k, ak_buf *out) {
    unsigned char *der = NULL;
    int n = k->pkey != NULL ? i2d_PUBKEY(k->pkey, &der) : -1;
    bool ok = n > 0 && ak_buf_put(out, der, (size_t)n);
    OPENSSL_free(der);
    ERR_clear_error();
    return ok;
}

bool ak_key_same(ak_key *a, ak_key *b) {
    if (a == b) return true;
    if (a->pkey == NULL || b->pkey == NULL || a->kind != b->kind || a->bits != b->bits) return false;
    if (a->libctx == b->libctx) {
        bool same = EVP_PKEY_eq(a->pkey, b->pkey) == 1;
        ERR_clear_error();
        return same;
    }
    /* Comparing across library contexts would leave copies of one key in the other's context. */
    ak_buf x, y;
    ak_buf_init(&x, AK_BUF_NO_LIMIT);
    ak_buf_init(&y, AK_BUF_NO_LIMIT);
    bool same = ak_key_spki(a, &x) && ak_key_spki(b, &y) && ak_view_eq(ak_buf_view(&x), ak_buf_view(&y));
    ak_buf_free(&x);
    ak_buf_free(&y);
    return same;
}

bool ak_key_export(ak_key *k, bool pem, ak_buf *out) {
    unsigned char *data = NULL;
    size_t n = 0;
    if (k->pkey == NULL || !k->is_private) return false;
    OSSL_ENCODER_CTX *ctx =
        OSSL_ENCODER_CTX_new_for_pkey(k->pkey, EVP_PKEY_KEYPAIR, pem ? "PEM" : "DER", "PrivateKeyInfo", NULL);
    bool ok = ctx != NULL && OSSL_ENCODER_to_data(ctx, &data, &n) == 1 && ak_buf_put(out, data, n);
    OSSL_ENCODER_CTX_free(ctx);
    OPENSSL_clear_free(data, n);
    ERR_clear_error();
    return ok;
}
