/* spki.c: public keys out of DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 3279, RFC 4055, RFC 5480, RFC 8410), read by our own cursor and
 * handed to libcrypto as numbers and points: its decoder costs forty times as much. */
#include "base/der.h"
#include "crypto/internal.h"

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RSA_MAX_BYTES 2048 /* 16384 bits; libcrypto itself refuses to use more */
#define RSA_MAX_EXPONENT_BITS 33

static bool oid_is(ak_view v, const char *oid, size_t n) { return ak_view_eq(v, ak_view_of(oid, n)); }
#define OID_IS(v, oid) oid_is(v, oid, sizeof(oid) - 1)

#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define OID_MGF1 "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
#define OID_PSS "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
#define OID_EC "\x2a\x86\x48\xce\x3d\x02\x01"
#define OID_ED25519 "\x2b\x65\x70"
#define OID_ED448 "\x2b\x65\x71"
#define OID_P256 "\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define OID_P384 "\x2b\x81\x04\x00\x22"
#define OID_P521 "\x2b\x81\x04\x00\x23"
#define OID_SHA1 "\x2b\x0e\x03\x02\x1a"
#define OID_SHA256 "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
#define OID_SHA384 "\x60\x86\x48\x01\x65\x03\x04\x02\x02"
#define OID_SHA512 "\x60\x86\x48\x01\x65\x03\x04\x02\x03"

EVP_PKEY_CTX *ak_import_ctx(ak_provider *p, EVP_PKEY_CTX **kept, const char *type) {
    if (*kept != NULL) return *kept;
    *kept = EVP_PKEY_CTX_new_from_name(p->libctx, type, NULL);
    if (*kept != NULL && EVP_PKEY_fromdata_init(*kept) != 1) {
        EVP_PKEY_CTX_free(*kept);
        *kept = NULL;
    }
    return *kept;
}

/* ---- RSASSA-PSS-params ------------------------------------------------------------------------------------------------------ */

/* absent_or_null: AlgorithmIdentifier parameters that are NULL or left out (RFC 4055 §2.1 wants both accepted). */
static bool absent_or_null(ak_rd *r) {
    ak_view v;
    bool found;
    return ak_der_optional(r, AK_DER_NULL, &v, &found) && v.n == 0 && ak_rd_done(r);
}

static bool read_hash(ak_rd *r, ak_hash *out) {
    ak_rd algorithm;
    ak_view oid;
    if (!ak_der_enter(r, AK_DER_SEQUENCE, &algorithm) || !ak_der_get(&algorithm, AK_DER_OID, &oid) || !absent_or_null(&algorithm))
        return false;
    *out = OID_IS(oid, OID_SHA256)   ? AK_HASH_sha256
           : OID_IS(oid, OID_SHA384) ? AK_HASH_sha384
           : OID_IS(oid, OID_SHA512) ? AK_HASH_sha512
           : OID_IS(oid, OID_SHA1)   ? AK_HASH_sha1
                                     : AK_HASH_none;
    return true;
}

bool ak_pss_params(ak_view der, ak_hash *hash, ak_hash *mgf1_hash, unsigned *salt) {
    ak_rd r, params, field, mask;
    ak_view v;
    uint32_t n;
    *hash = *mgf1_hash = AK_HASH_sha1;
    *salt = 20;
    if (der.n == 0) return true;
    ak_rd_view(&r, der);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &params) || !ak_rd_done(&r)) return false;
    if (ak_der_peek(&params) == AK_DER_CONTEXT_CONSTRUCTED(0) &&
        !(ak_der_enter(&params, AK_DER_CONTEXT_CONSTRUCTED(0), &field) && read_hash(&field, hash) && ak_rd_done(&field)))
        return false;
    if (ak_der_peek(&params) == AK_DER_CONTEXT_CONSTRUCTED(1) &&
        !(ak_der_enter(&params, AK_DER_CONTEXT_CONSTRUCTED(1), &field) && ak_der_enter(&field, AK_DER_SEQUENCE, &mask) &&
          ak_rd_done(&field) && ak_der_get(&mask, AK_DER_OID, &v) && OID_IS(v, OID_MGF1) && read_hash(&mask, mgf1_hash) &&
          ak_rd_done(&mask)))
        return false;
    if (ak_der_peek(&params) == AK_DER_CONTEXT_CONSTRUCTED(2)) {
        if (!(ak_der_enter(&params, AK_DER_CONTEXT_CONSTRUCTED(2), &field) && ak_der_small(&field, &n) && ak_rd_done(&field)))
            return false;
        *salt = n;
    }
    if (ak_der_peek(&params) == AK_DER_CONTEXT_CONSTRUCTED(3) && /* trailerField: 1 is the only one there is */
        !(ak_der_enter(&params, AK_DER_CONTEXT_CONSTRUCTED(3), &field) && ak_der_small(&field, &n) && n == 1 && ak_rd_done(&field)))
        return false;
    return ak_rd_done(&params);
}

/* ---- RSA ------------------------------------------------------------------------------------------------------------------------ */

/* native: a big-endian number in the byte order of this machine, as OSSL_PARAM wants it. */
static OSSL_PARAM native(const char *name, ak_view number, uint8_t *store) {
    const union {
        uint16_t word;
        uint8_t first;
    } order = {1};
    for (size_t i = 0; i < number.n; i++) store[i] = order.first == 1 ? number.p[number.n - 1 - i] : number.p[i];
    return OSSL_PARAM_construct_BN(name, store, number.n);
}

static unsigned bits_of(ak_view number) {
    unsigned bits = (unsigned)(number.n - 1) * 8;
    for (unsigned top = number.p[0]; top != 0; top >>= 1) bits++;
    return bits;
}

static EVP_PKEY *import_rsa(ak_provider *p, ak_view bits, bool pss, const ak_key *restrictions, unsigned *key_bits) {
    uint8_t n_store[RSA_MAX_BYTES], e_store[(RSA_MAX_EXPONENT_BITS + 7) / 8];
    ak_rd r, key;
    ak_view n, e;
    ak_rd_view(&r, bits);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &key) || !ak_rd_done(&r) || !ak_der_unsigned(&key, &n) || !ak_der_unsigned(&key, &e) ||
        !ak_rd_done(&key))
        return NULL;
    /* An even modulus or exponent is no RSA key. A signature costs what the exponent is long, and it is the peer who chooses it: nobody needs more than 33 bits,
     * and others take no more. */
    if (n.n > sizeof n_store || e.n > sizeof e_store || bits_of(e) > RSA_MAX_EXPONENT_BITS || (n.p[n.n - 1] & 1) == 0 || (e.p[e.n - 1] & 1) == 0 ||
        (e.n == 1 && e.p[0] < 3) || bits_of(n) < 256)
        return NULL;
    *key_bits = bits_of(n);
    char hash[16], mgf[] = "mgf1";
    int salt = 0;
    OSSL_PARAM params[8];
    size_t count = 0;
    params[count++] = native(OSSL_PKEY_PARAM_RSA_N, n, n_store);
    params[count++] = native(OSSL_PKEY_PARAM_RSA_E, e, e_store);
    if (pss && restrictions->pss_restricted && ak_provider_has_hash(p, restrictions->pss_hash)) {
        snprintf(hash, sizeof hash, "%s", EVP_MD_get0_name(p->md[restrictions->pss_hash]));
        salt = (int)restrictions->pss_min_salt;
        params[count++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_RSA_DIGEST, hash, 0);
        params[count++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_RSA_MASKGENFUNC, mgf, 0);
        params[count++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_RSA_MGF1_DIGEST, hash, 0);
        params[count++] = OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_RSA_PSS_SALTLEN, &salt);
    }
    params[count] = OSSL_PARAM_construct_end();
    EVP_PKEY_CTX *ctx = pss ? ak_import_ctx(p, &p->import_rsa_pss, "RSA-PSS") : ak_import_ctx(p, &p->import_rsa, "RSA");
    EVP_PKEY *pkey = NULL;
    return ctx != NULL && EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1 ? pkey : NULL;
}

/* ---- EC --------------------------------------------------------------------------------------------------------------------------- */

/* other_curve: parameters of a named curve that TLS has no group for here (certificates may still be signed with it); NULL when libcrypto
 * has none either. Curves given by explicit parameters never come here: RFC 5480 §2.1.1 forbids them. */
static EVP_PKEY *other_curve(ak_provider *p, ak_view whole_oid) {
    const unsigned char *at = whole_oid.p;
    ASN1_OBJECT *object = d2i_ASN1_OBJECT(NULL, &at, (long)whole_oid.n);
    const char *known = object != NULL ? OBJ_nid2sn(OBJ_obj2nid(object)) : NULL;
    char name[40];
    EVP_PKEY *params = NULL;
    if (known != NULL && strlen(known) < sizeof name) {
        strcpy(name, known);
        OSSL_PARAM list[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0), OSSL_PARAM_construct_end()};
        EVP_PKEY_CTX *ctx = ak_import_ctx(p, &p->import_ec, "EC");
        if (ctx != NULL && EVP_PKEY_fromdata(ctx, &params, EVP_PKEY_KEY_PARAMETERS, list) != 1) params = NULL;
    }
    ASN1_OBJECT_free(object);
    ERR_clear_error();
    return params;
}

/* import_ec: *known false when the curve is not one that can be used. */
static EVP_PKEY *import_ec(ak_provider *p, ak_rd *algorithm, ak_view point, uint16_t *group, bool *known) {
    ak_view oid, whole;
    uint8_t tag;
    *known = false;
    *group = 0;
    if (!ak_der_next(algorithm, &tag, &oid, &whole) || tag != AK_DER_OID || !ak_rd_done(algorithm)) return NULL;
    *group = OID_IS(oid, OID_P256) ? 23 : OID_IS(oid, OID_P384) ? 24 : OID_IS(oid, OID_P521) ? 25 : 0;
    EVP_PKEY *params = *group != 0 ? ak_group_params(p, ak_group_find(*group)) : other_curve(p, whole);
    if (params == NULL) return NULL;
    *known = true;
    /* RFC 5480 §2.2: uncompressed, or compressed; the hybrid form is out. */
    bool form = point.n > 1 && (point.p[0] == 2 || point.p[0] == 3 || point.p[0] == 4);
    EVP_PKEY *pkey = form ? ak_import_point(params, point) : NULL;
    if (*group == 0) EVP_PKEY_free(params);
    return pkey;
}

/* ---- SubjectPublicKeyInfo ------------------------------------------------------------------------------------------------------------ */

static ak_key *finish(ak_provider *p, EVP_PKEY *pkey, ak_key_kind kind, unsigned bits, uint16_t group, const ak_key *restrictions,
                      ak_failure *f) {
    /* all that ak_key_wrap would ask libcrypto for is known here */
    ERR_clear_error(); /* a key can be made while something beside it was out of memory */
    ak_key *k = calloc(1, sizeof *k);
    if (k == NULL) {
        EVP_PKEY_free(pkey);
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    *k = *restrictions;
    k->refs = 1;
    k->provider = ak_provider_ref(p);
    k->libctx = p->libctx;
    k->pkey = pkey;
    k->kind = kind;
    k->bits = bits;
    k->group = group;
    return k;
}

ak_key *ak_key_from_spki(ak_provider *p, ak_view spki, ak_failure *f) {
    ak_rd r, outer, algorithm;
    ak_view oid, bits, rest;
    ak_key limits;
    memset(&limits, 0, sizeof limits);
    ak_rd_view(&r, spki);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &outer) || !ak_rd_done(&r) || !ak_der_enter(&outer, AK_DER_SEQUENCE, &algorithm) ||
        !ak_der_get(&algorithm, AK_DER_OID, &oid) || !ak_der_octets_in_bits(&outer, &bits) || !ak_rd_done(&outer))
        goto malformed;

    EVP_PKEY *pkey = NULL;
    ak_key_kind kind = AK_KEY_other;
    unsigned key_bits = 0;
    uint16_t group = 0;
    bool known = true;
    if (OID_IS(oid, OID_RSA)) {
        kind = AK_KEY_rsa;
        if (absent_or_null(&algorithm)) pkey = import_rsa(p, bits, false, &limits, &key_bits);
    } else if (OID_IS(oid, OID_PSS)) {
        kind = AK_KEY_rsa_pss;
        ak_hash mgf1 = AK_HASH_none;
        ak_rd_rest(&algorithm, &rest);
        limits.pss_restricted = rest.n > 0;
        if (rest.n == 0 || ak_pss_params(rest, &limits.pss_hash, &mgf1, &limits.pss_min_salt)) {
            if (limits.pss_hash != mgf1) limits.pss_hash = AK_HASH_none;
            pkey = import_rsa(p, bits, true, &limits, &key_bits);
        }
    } else if (OID_IS(oid, OID_EC)) {
        kind = AK_KEY_ec;
        pkey = import_ec(p, &algorithm, bits, &group, &known);
        if (pkey != NULL) key_bits = (unsigned)EVP_PKEY_get_bits(pkey);
    } else if (OID_IS(oid, OID_ED25519) || OID_IS(oid, OID_ED448)) {
        bool small = OID_IS(oid, OID_ED25519);
        kind = small ? AK_KEY_ed25519 : AK_KEY_ed448;
        key_bits = small ? 256 : 456;
        EVP_PKEY_CTX *ctx =
            small ? ak_import_ctx(p, &p->import_ed25519, "ED25519") : ak_import_ctx(p, &p->import_ed448, "ED448");
        known = ctx != NULL;
        if (known && ak_rd_done(&algorithm) && bits.n == (small ? 32 : 57)) pkey = ak_import_raw(ctx, bits);
    } else {
        known = false;
    }
    if (!known) return finish(p, NULL, AK_KEY_other, 0, 0, &limits, f);
    if (pkey == NULL) goto malformed;
    return finish(p, pkey, kind, key_bits, group, &limits, f);

malformed:
    ERR_clear_error();
    ak_fail(f, AK_ERR_bad_certificate, "the public key is malformed");
    return NULL;
}
