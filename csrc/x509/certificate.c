/* certificate.c: reading one certificate (RFC 5280 §4.1). It decides nothing. */
#include "x509/internal.h"

#include <stdlib.h>

static ak_error bad(ak_failure *f, const char *what) { return ak_fail(f, AK_ERR_bad_certificate, "%s", what); }

static bool take_whole(ak_rd *r, uint8_t want, ak_view *whole) {
    uint8_t tag = 0;
    return ak_der_next(r, &tag, NULL, whole) && tag == want;
}

/* take_version: [0] EXPLICIT INTEGER DEFAULT v1. DER omits a default, but v1 written out harms nobody. */
static bool take_version(ak_rd *r, unsigned *out) {
    ak_view v;
    bool found;
    uint32_t n = 0;
    *out = 1;
    if (!ak_der_optional(r, AK_DER_CONTEXT_CONSTRUCTED(0), &v, &found)) return false;
    if (!found) return true;
    ak_rd inner;
    ak_rd_view(&inner, v);
    if (!ak_der_small(&inner, &n) || !ak_rd_done(&inner) || n > 2) return false;
    *out = (unsigned)n + 1;
    return true;
}

static bool take_validity(ak_rd *r, ak_cert *c) {
    ak_rd v;
    return ak_der_enter(r, AK_DER_SEQUENCE, &v) && ak_der_time(&v, &c->not_before) && ak_der_time(&v, &c->not_after) && ak_rd_done(&v);
}

static bool take_spki(ak_rd *r, ak_cert *c) {
    ak_rd outer, spki;
    ak_view alg;
    if (!take_whole(r, AK_DER_SEQUENCE, &c->spki)) return false;
    ak_rd_view(&outer, c->spki);
    return ak_der_enter(&outer, AK_DER_SEQUENCE, &spki) && ak_der_get(&spki, AK_DER_SEQUENCE, &alg) &&
           ak_der_octets_in_bits(&spki, &c->public_key) && ak_rd_done(&spki);
}

/* skip_unique_id: [1] and [2] IMPLICIT BIT STRING, which nobody uses (RFC 5280 §4.1.2.8). */
static bool skip_unique_id(ak_rd *r, unsigned n, unsigned version) {
    ak_view v;
    bool found;
    if (!ak_der_optional(r, AK_DER_CONTEXT(n), &v, &found)) return false;
    return !found || (version >= 2 && ak_bits_valid(v));
}

static ak_error read_tbs(ak_cert *c, ak_rd *r, ak_failure *f) {
    ak_view v;
    bool found;
    if (!take_version(r, &c->version)) return bad(f, "the version cannot be read");
    if (!ak_der_integer(r, &c->serial)) return bad(f, "the serial number is no INTEGER");
    if (!take_whole(r, AK_DER_SEQUENCE, &c->sigalg_inner)) return bad(f, "TBSCertificate.signature cannot be read");
    if (!take_whole(r, AK_DER_SEQUENCE, &c->issuer) || !ak_name_valid(c->issuer)) return bad(f, "the issuer's name cannot be read");
    if (!take_validity(r, c)) return bad(f, "the validity cannot be read");
    if (!take_whole(r, AK_DER_SEQUENCE, &c->subject) || !ak_name_valid(c->subject)) return bad(f, "the subject's name cannot be read");
    if (!take_spki(r, c)) return bad(f, "the public key cannot be read");
    if (!skip_unique_id(r, 1, c->version) || !skip_unique_id(r, 2, c->version)) return bad(f, "a unique identifier cannot be read");
    if (!ak_der_optional(r, AK_DER_CONTEXT_CONSTRUCTED(3), &v, &found)) return bad(f, "the extensions cannot be read");
    if (found) {
        ak_rd wrapper;
        ak_view list;
        ak_rd_view(&wrapper, v);
        if (c->version != 3) return bad(f, "extensions in a certificate that is not of version 3");
        if (!ak_der_get(&wrapper, AK_DER_SEQUENCE, &list) || !ak_rd_done(&wrapper)) return bad(f, "the extensions cannot be read");
        ak_error e = ak_cert_extensions(c, list, f);
        if (e != AK_OK) return e;
    }
    if (!ak_rd_done(r)) return bad(f, "bytes are left over in TBSCertificate");
    return AK_OK;
}

static ak_error read_certificate(ak_cert *c, ak_failure *f) {
    ak_rd r, body, tbs;
    ak_view inside;
    ak_rd_view(&r, c->der);
    if (!ak_der_get(&r, AK_DER_SEQUENCE, &inside) || !ak_rd_done(&r))
        return ak_fail(f, AK_ERR_undecodable_certificate, "%zu bytes are not one DER SEQUENCE", c->der.n);
    ak_rd_view(&body, inside);
    if (!take_whole(&body, AK_DER_SEQUENCE, &c->tbs)) return bad(f, "TBSCertificate cannot be read");
    if (!take_whole(&body, AK_DER_SEQUENCE, &c->sigalg_der)) return bad(f, "signatureAlgorithm cannot be read");
    if (!ak_der_octets_in_bits(&body, &c->signature) || !ak_rd_done(&body)) return bad(f, "the signature cannot be read");
    ak_rd outer;
    ak_rd_view(&outer, c->tbs);
    if (!ak_der_enter(&outer, AK_DER_SEQUENCE, &tbs)) return bad(f, "TBSCertificate cannot be read");
    ak_error e = read_tbs(c, &tbs, f);
    if (e != AK_OK) return e;
    ak_sigalg_read(c->sigalg_der, &c->sigalg);
    c->subject_hash = ak_name_hash(c->subject);
    bool same = ak_view_eq(c->issuer, c->subject);
    c->issuer_hash = same ? c->subject_hash : ak_name_hash(c->issuer);
    c->self_issued = same || (c->issuer_hash == c->subject_hash && ak_name_eq(c->issuer, c->subject));
    return AK_OK;
}

ak_error ak_cert_parse(ak_view der, ak_cert **out, ak_failure *f) {
    *out = NULL;
    if (der.n > AK_CERT_MAX_BYTES) return ak_fail(f, AK_ERR_bad_certificate, "%zu bytes are more than %u", der.n, AK_CERT_MAX_BYTES);
    ak_cert *c = malloc(sizeof *c + der.n); /* the bytes live behind the struct */
    if (c == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    memset(c, 0, sizeof *c);
    c->refs = 1;
    c->path_len = c->require_explicit_policy = c->inhibit_policy_mapping = c->inhibit_any_policy = -1;
    if (der.n > 0) memcpy(c + 1, der.p, der.n);
    c->der = ak_view_of(c + 1, der.n);
    ak_error e = read_certificate(c, f);
    if (e != AK_OK) {
        ak_cert_free(c);
        return e;
    }
    *out = c;
    return AK_OK;
}

ak_cert *ak_cert_ref(ak_cert *c) {
    if (c != NULL) c->refs++;
    return c;
}

void ak_cert_free(ak_cert *c) {
    if (c == NULL || --c->refs > 0) return;
    ak_key_free(c->key);
    ak_provider_free(c->key_provider);
    free(c->exts);
    free(c);
}

ak_key *ak_cert_key(ak_provider *p, ak_cert *c, ak_failure *f) {
    if (c->key != NULL && c->key_provider == p) return c->key;
    ak_key *k = ak_key_from_spki(p, c->spki, f);
    if (k == NULL) return NULL;
    ak_key_free(c->key);
    ak_provider_ref(p); /* before the old one goes: it may be the same */
    ak_provider_free(c->key_provider);
    c->key = k;
    c->key_provider = p;
    return k;
}

bool ak_cert_same(const ak_cert *a, const ak_cert *b) { return a == b || ak_view_eq(a->der, b->der); }

void ak_cert_forget_key(ak_cert *c) {
    ak_key_free(c->key);
    ak_provider_free(c->key_provider);
    c->key = NULL;
    c->key_provider = NULL;
}

bool ak_cert_allows(const ak_cert *c, unsigned usage) { return c->ext[AK_EXT_key_usage] == NULL || (c->key_usage & usage) != 0; }

bool ak_cert_for(const ak_cert *c, unsigned purposes) {
    return c->ext[AK_EXT_extended_key_usage] == NULL || (c->ext_key_usage & purposes) != 0;
}

bool ak_cert_fingerprint(ak_provider *p, const ak_cert *c, uint8_t out[32]) {
    ak_view none = {NULL, 0};
    return ak_digest(p, AK_HASH_sha256, c->der, none, none, out);
}

bool ak_cert_serial(const ak_cert *c, ak_buf *out) {
    ak_view v = c->serial;
    if (v.n > 0 && v.p[0] >= 0x80) { /* two's complement: print the magnitude */
        size_t mark = out->n;
        if (!ak_puts(out, "-")) return false;
        unsigned carry = 1;
        uint8_t *digits = ak_buf_grow(out, 2 * v.n);
        if (digits == NULL) return false;
        for (size_t i = v.n; i-- > 0;) {
            unsigned b = (unsigned)(uint8_t)~v.p[i] + carry;
            carry = b >> 8;
            digits[2 * i] = (uint8_t)"0123456789abcdef"[b >> 4 & 15];
            digits[2 * i + 1] = (uint8_t)"0123456789abcdef"[b & 15];
        }
        return out->n > mark;
    }
    if (v.n > 1 && v.p[0] == 0) v = ak_view_of(v.p + 1, v.n - 1);
    for (size_t i = 0; i < v.n; i++)
        if (!ak_printf(out, "%02x", v.p[i])) return false;
    return true;
}

ak_error ak_cert_check_signature(ak_provider *p, const ak_cert *c, ak_cert *issuer, ak_failure *f) {
    if (!ak_view_eq(c->sigalg_der, c->sigalg_inner))
        return ak_fail(f, AK_ERR_certificate_signature, "the algorithm inside and outside the signed part differ");
    ak_key *key = ak_cert_key(p, issuer, f);
    if (key == NULL) return AK_ERR_unsupported_certificate;
    return ak_signed_check(p, &c->sigalg, c->tbs, c->signature, key, f);
}

bool ak_cert_self_signed(ak_provider *p, ak_cert *c) {
    return c->self_issued && ak_cert_check_signature(p, c, c, NULL) == AK_OK;
}
