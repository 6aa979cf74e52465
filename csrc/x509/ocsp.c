/* ocsp.c: a stapled OCSP response (RFC 6960). Read by our own cursor like everything else here: libcrypto's OCSP_basic_verify wants X509 objects and its own
 * store, which would be a second, different judge of the same chain. */
#include "x509/internal.h"

#define SKEW 300                 /* seconds that clocks may differ by */
#define MAX_AGE (7 * 86400)      /* of an answer that does not say how long it is good */
#define MAX_DELEGATES 4          /* certificates in a response that are looked at */

typedef struct response {
    ak_view tbs, sigalg_der, signature, certs;
    ak_sigalg sigalg;
    uint8_t responder_tag;       /* [1] by name, [2] by key */
    ak_view responder;
    int64_t produced_at;
    ak_view singles;
} response;

static ak_error bad(ak_failure *f, const char *what) { return ak_fail(f, AK_ERR_bad_ocsp_response, "%s", what); }

static const char *status_name(unsigned status) {
    static const char *const names[] = {"successful", "malformedRequest", "internalError", "tryLater", NULL, "sigRequired", "unauthorized"};
    return status < sizeof names / sizeof names[0] && names[status] != NULL ? names[status] : "an unknown status";
}

static bool generalized(ak_rd *r, int64_t *out) { return ak_der_peek(r) == AK_DER_GENERALIZED_TIME && ak_der_time(r, out); }

/* explicit_field: the content of the [n] EXPLICIT field at the front, if it is there. */
static bool explicit_field(ak_rd *r, unsigned n, ak_rd *out, bool *found) {
    ak_view v;
    if (!ak_der_optional(r, AK_DER_CONTEXT_CONSTRUCTED(n), &v, found)) return false;
    ak_rd_view(out, v);
    return true;
}

/* extensions_known: none that is critical: none is acted upon. */
static bool extensions_known(ak_rd *r, unsigned n) {
    ak_rd in;
    ak_view list;
    bool found;
    ak_ext e[16];
    size_t count = 0;
    if (!explicit_field(r, n, &in, &found)) return false;
    if (!found) return true;
    if (!ak_der_get(&in, AK_DER_SEQUENCE, &list) || !ak_rd_done(&in) || !ak_ext_list(list, e, 16, &count)) return false;
    for (size_t i = 0; i < count; i++)
        if (e[i].critical) return false;
    return true;
}

static bool read_data(response *o) {
    ak_rd r, tbs, in;
    bool found;
    uint32_t version = 0;
    ak_rd_view(&r, o->tbs);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &tbs) || !explicit_field(&tbs, 0, &in, &found)) return false;
    if (found && (!ak_der_small(&in, &version) || !ak_rd_done(&in) || version != 0)) return false;
    if (!ak_der_next(&tbs, &o->responder_tag, &o->responder, NULL)) return false;
    if (!generalized(&tbs, &o->produced_at) || !ak_der_get(&tbs, AK_DER_SEQUENCE, &o->singles)) return false;
    return extensions_known(&tbs, 1) && ak_rd_done(&tbs);
}

static ak_error read_response(response *o, ak_view der, ak_failure *f) {
    ak_rd r, outer, in, bytes, basic;
    ak_view status, oid, body, certs;
    bool found;
    uint8_t tag;
    memset(o, 0, sizeof *o);
    ak_rd_view(&r, der);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &outer) || !ak_rd_done(&r) || !ak_der_get(&outer, AK_DER_ENUMERATED, &status) || status.n != 1)
        return bad(f, "it is not DER of an OCSPResponse");
    if (status.p[0] != 0) return ak_fail(f, AK_ERR_bad_ocsp_response, "the responder answered %s", status_name(status.p[0]));
    if (!explicit_field(&outer, 0, &in, &found) || !found || !ak_rd_done(&outer) || !ak_der_enter(&in, AK_DER_SEQUENCE, &bytes) ||
        !ak_rd_done(&in) || !ak_der_get(&bytes, AK_DER_OID, &oid) || !ak_der_get(&bytes, AK_DER_OCTET_STRING, &body) || !ak_rd_done(&bytes))
        return bad(f, "its responseBytes cannot be read");
    if (!AK_OID_IS(oid, "\x2b\x06\x01\x05\x05\x07\x30\x01\x01")) return bad(f, "it is of an unknown type");
    ak_rd_view(&r, body);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &basic) || !ak_rd_done(&r) || !ak_der_next(&basic, &tag, NULL, &o->tbs) || tag != AK_DER_SEQUENCE ||
        !ak_der_next(&basic, &tag, NULL, &o->sigalg_der) || tag != AK_DER_SEQUENCE || !ak_der_octets_in_bits(&basic, &o->signature) ||
        !explicit_field(&basic, 0, &in, &found) || !ak_rd_done(&basic))
        return bad(f, "its BasicOCSPResponse cannot be read");
    if (found) {
        if (!ak_der_get(&in, AK_DER_SEQUENCE, &certs) || !ak_rd_done(&in)) return bad(f, "its certificates cannot be read");
        o->certs = certs;
    }
    ak_sigalg_read(o->sigalg_der, &o->sigalg);
    return read_data(o) ? AK_OK : bad(f, "its ResponseData cannot be read, or has a critical extension");
}

/* ---- who signed it (§4.2.2.2) ---- */

static bool is_responder(ak_provider *p, const response *o, const ak_cert *c) {
    ak_rd r;
    ak_view hash, none = {NULL, 0};
    uint8_t own[AK_HASH_MAX];
    if (o->responder_tag == AK_DER_CONTEXT_CONSTRUCTED(1)) return ak_name_valid(o->responder) && ak_name_eq(o->responder, c->subject);
    if (o->responder_tag != AK_DER_CONTEXT_CONSTRUCTED(2)) return false;
    ak_rd_view(&r, o->responder);
    if (!ak_der_get(&r, AK_DER_OCTET_STRING, &hash) || !ak_rd_done(&r)) return false;
    if (!ak_digest(p, AK_HASH_sha1, c->public_key, none, none, own)) return false;
    return ak_view_eq(hash, ak_view_of(own, ak_hash_size(AK_HASH_sha1)));
}

static ak_error signed_with(ak_provider *p, const response *o, ak_cert *c) {
    ak_key *key = ak_cert_key(p, c, NULL);
    return key != NULL ? ak_signed_check(p, &o->sigalg, o->tbs, o->signature, key, NULL) : AK_ERR_unsupported_certificate;
}

/* may_answer: whether `issuer` itself delegated the answering to c. */
static ak_error may_answer(ak_provider *p, const ak_cert *c, ak_cert *issuer, int64_t time, unsigned level, ak_failure *f) {
    if (c->malformed || c->unknown_critical != NULL) return bad(f, "its signer's certificate cannot be used");
    if (!ak_name_eq(c->issuer, issuer->subject)) return bad(f, "its signer is not authorised by the certificate's issuer");
    if ((c->ext_key_usage & AK_EKU_ocsp_signing) == 0 || !ak_cert_allows(c, AK_KU_digital_signature | AK_KU_content_commitment))
        return bad(f, "its signer's certificate is not for OCSP signing");
    if (time < c->not_before || time > c->not_after) return bad(f, "its signer's certificate is not valid now");
    if (ak_sigalg_strength(&c->sigalg) < ak_level_bits(level)) return bad(f, "its signer's certificate is too weak");
    if (ak_cert_check_signature(p, c, issuer, NULL) != AK_OK) return bad(f, "its signer is not authorised by the certificate's issuer");
    return AK_OK;
}

static ak_error check_signer(ak_provider *p, const response *o, ak_cert *issuer, int64_t time, unsigned level, ak_failure *f) {
    ak_rd r;
    ak_view whole;
    if (ak_sigalg_strength(&o->sigalg) < ak_level_bits(level)) return bad(f, "its signature is too weak");
    if (is_responder(p, o, issuer)) return signed_with(p, o, issuer) == AK_OK ? AK_OK : bad(f, "its signature does not verify");
    ak_rd_view(&r, o->certs);
    for (int i = 0; i < MAX_DELEGATES && ak_rd_left(&r) > 0; i++) {
        ak_cert *c;
        if (!ak_der_next(&r, NULL, NULL, &whole) || ak_cert_parse(whole, &c, NULL) != AK_OK) return bad(f, "its certificates cannot be read");
        if (!is_responder(p, o, c)) {
            ak_cert_free(c);
            continue;
        }
        ak_error e = may_answer(p, c, issuer, time, level, f);
        ak_key *key = e == AK_OK ? ak_cert_key(p, c, NULL) : NULL;
        if (e == AK_OK && (key == NULL || ak_key_strength(key) < ak_level_bits(level))) e = bad(f, "its signer's key is too short");
        if (e == AK_OK && signed_with(p, o, c) != AK_OK) e = bad(f, "its signature does not verify");
        ak_cert_free(c);
        return e;
    }
    return bad(f, "it is not signed by the certificate's issuer, nor by somebody it delegated");
}

/* ---- what it says ---- */

static ak_hash hash_of(ak_view oid) {
    if (AK_OID_IS(oid, "\x2b\x0e\x03\x02\x1a")) return AK_HASH_sha1;
    if (AK_OID_IS(oid, "\x60\x86\x48\x01\x65\x03\x04\x02\x01")) return AK_HASH_sha256;
    if (AK_OID_IS(oid, "\x60\x86\x48\x01\x65\x03\x04\x02\x02")) return AK_HASH_sha384;
    if (AK_OID_IS(oid, "\x60\x86\x48\x01\x65\x03\x04\x02\x03")) return AK_HASH_sha512;
    return AK_HASH_none;
}

/* about: whether a CertID means this certificate. */
static bool about(ak_provider *p, ak_rd *id, const ak_cert *c, const ak_cert *issuer) {
    ak_rd alg;
    ak_view oid, name_hash, key_hash, serial, none = {NULL, 0};
    uint8_t own[AK_HASH_MAX];
    if (!ak_der_enter(id, AK_DER_SEQUENCE, &alg) || !ak_der_get(&alg, AK_DER_OID, &oid) || !ak_der_get(id, AK_DER_OCTET_STRING, &name_hash) ||
        !ak_der_get(id, AK_DER_OCTET_STRING, &key_hash) || !ak_der_integer(id, &serial) || !ak_rd_done(id))
        return false;
    ak_hash h = hash_of(oid);
    if (!ak_view_eq(serial, c->serial) || h == AK_HASH_none) return false;
    ak_view value = ak_view_of(own, ak_hash_size(h));
    if (!ak_digest(p, h, c->issuer, none, none, own) || !ak_view_eq(name_hash, value)) return false;
    return ak_digest(p, h, issuer->public_key, none, none, own) && ak_view_eq(key_hash, value);
}

static bool read_revoked(ak_view v, ak_ocsp_answer *a) {
    ak_rd r, in;
    ak_view reason;
    bool found;
    ak_rd_view(&r, v);
    if (!generalized(&r, &a->revoked_at) || !explicit_field(&r, 0, &in, &found) || !ak_rd_done(&r)) return false;
    if (!found) return true;
    if (!ak_der_get(&in, AK_DER_ENUMERATED, &reason) || reason.n != 1 || !ak_rd_done(&in)) return false;
    a->reason = reason.p[0];
    return true;
}

/* read_single: 1 it is about c and *a is filled, 0 it is about another, -1 malformed. */
static int read_single(ak_provider *p, ak_rd *r, const ak_cert *c, const ak_cert *issuer, ak_ocsp_answer *a) {
    ak_rd single, id, in;
    ak_view status;
    uint8_t tag;
    bool found;
    memset(a, 0, sizeof *a);
    a->reason = -1;
    a->next_update = INT64_MAX;
    if (!ak_der_enter(r, AK_DER_SEQUENCE, &single) || !ak_der_enter(&single, AK_DER_SEQUENCE, &id)) return -1;
    if (!about(p, &id, c, issuer)) return 0;
    if (!ak_der_next(&single, &tag, &status, NULL)) return -1;
    if (tag == AK_DER_CONTEXT(0) && status.n == 0) a->status = AK_REVOCATION_good;
    else if (tag == AK_DER_CONTEXT_CONSTRUCTED(1) && read_revoked(status, a)) a->status = AK_REVOCATION_revoked;
    else if (tag == AK_DER_CONTEXT(2) && status.n == 0) a->status = AK_REVOCATION_unknown;
    else return -1;
    if (!generalized(&single, &a->this_update) || !explicit_field(&single, 0, &in, &found)) return -1;
    if (found && (!generalized(&in, &a->next_update) || !ak_rd_done(&in))) return -1;
    return extensions_known(&single, 1) && ak_rd_done(&single) ? 1 : -1;
}

/* supersedes: of several answers about one certificate the newest counts; of those of one time the worst. */
static bool supersedes(const ak_ocsp_answer *a, const ak_ocsp_answer *b) {
    if (a->this_update != b->this_update) return a->this_update > b->this_update;
    return a->status == AK_REVOCATION_revoked || (a->status == AK_REVOCATION_unknown && b->status == AK_REVOCATION_good);
}

ak_error ak_ocsp_check(ak_provider *p, ak_ocsp_answer *out, ak_view response_der, const ak_cert *c, ak_cert *issuer, int64_t time, unsigned level,
                       ak_failure *f) {
    response o;
    ak_rd r;
    bool found = false;
    memset(out, 0, sizeof *out);
    out->status = AK_REVOCATION_bad;
    out->reason = -1;
    ak_error e = read_response(&o, response_der, f);
    if (e != AK_OK) return e;
    ak_ocsp_answer a, newest = *out;
    ak_rd_view(&r, o.singles);
    while (ak_rd_left(&r) > 0) {
        int is = read_single(p, &r, c, issuer, &a);
        if (is < 0) return bad(f, "a SingleResponse cannot be read");
        if (is > 0 && (!found || supersedes(&a, &newest))) newest = a;
        found = found || is > 0;
    }
    if (!found) return bad(f, "it is about another certificate");
    if ((e = check_signer(p, &o, issuer, time, level, f)) != AK_OK) return e;
    if (newest.this_update > time + SKEW) return bad(f, "it is not valid yet");
    if (newest.next_update == INT64_MAX ? newest.this_update < time - MAX_AGE : newest.next_update < time - SKEW) return bad(f, "it is out of date");
    *out = newest;
    out->produced_at = o.produced_at;
    if (newest.status != AK_REVOCATION_revoked) return AK_OK;
    const char *why = ak_crl_reason_name(newest.reason);
    return ak_fail(f, AK_ERR_certificate_revoked, "the OCSP response says so%s%s", why != NULL ? ": " : "", why != NULL ? why : "");
}
