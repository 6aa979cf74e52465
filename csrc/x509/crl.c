/* crl.c: certificate revocation lists (RFC 5280 §5), and what they say of one certificate (§6.3). */
#include "x509/internal.h"

#include <stdlib.h>

typedef struct revoked {
    const uint8_t *serial; /* the INTEGER, header included; its length has one byte */
    const uint8_t *end;    /* of the entry */
    ak_view issuer;        /* GeneralNames of certificateIssuer, in force here; empty: the CRL's own issuer */
} revoked;

struct ak_crl {
    size_t refs;
    ak_view der, tbs, sigalg_der, sigalg_inner, signature;
    ak_sigalg sigalg;
    ak_view issuer;
    int64_t this_update, next_update; /* next_update INT64_MAX: not given */
    revoked *entries;                 /* by serial */
    size_t n;
    ak_view number, base_number;      /* crlNumber, deltaCRLIndicator: magnitudes; empty: absent */
    bool delta, number_critical;
    ak_view aki;
    ak_view idp;                      /* issuingDistributionPoint, the whole value */
    ak_view idp_name;                 /* DistributionPointName */
    bool only_user, only_ca, only_attribute, indirect;
    unsigned reasons;                 /* onlySomeReasons; 0: all */
    bool unknown_critical;
    ak_cert *good_signer;             /* whose key was found to have signed it */
};

#define ALL_REASONS 0x1feu /* §6.3.2 (a): keyCompromise (1) to aACompromise (8); bit 0 is unused */
#define ENTRY_MIN 20       /* bytes of an entry: a serial number and a date */

/* ---- reading ---- */

static bool read_reasons(ak_view v, unsigned *out) {
    if (v.n < 2 || v.p[0] > 7 || (v.p[v.n - 1] & ((1u << v.p[0]) - 1)) != 0) return false; /* X.690 §11.2.1 */
    for (unsigned i = 0; i < 9 && i / 8 + 1 < v.n; i++)
        if ((v.p[1 + i / 8] & (0x80u >> i % 8)) != 0) *out |= 1u << i;
    return *out != 0;
}

/* flag: [n] IMPLICIT BOOLEAN DEFAULT FALSE. */
static bool flag(ak_rd *r, unsigned n, bool *out) {
    ak_view v;
    bool found;
    if (!ak_der_optional(r, AK_DER_CONTEXT(n), &v, &found)) return false;
    if (!found) return true;
    *out = v.n == 1 && v.p[0] != 0;
    return v.n == 1 && (v.p[0] == 0 || v.p[0] == 0xff);
}

static bool read_idp(ak_crl *c, ak_view value) {
    ak_rd r, idp;
    ak_view v;
    bool found;
    ak_rd_view(&r, value);
    c->idp = value;
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &idp) || !ak_rd_done(&r) || ak_rd_left(&idp) == 0) return false; /* §5.2.5: never empty */
    if (!ak_der_optional(&idp, AK_DER_CONTEXT_CONSTRUCTED(0), &c->idp_name, &found) || (found && !ak_point_name_valid(c->idp_name))) return false;
    if (!flag(&idp, 1, &c->only_user) || !flag(&idp, 2, &c->only_ca)) return false;
    if (!ak_der_optional(&idp, AK_DER_CONTEXT(3), &v, &found) || (found && !read_reasons(v, &c->reasons))) return false;
    if (!flag(&idp, 4, &c->indirect) || !flag(&idp, 5, &c->only_attribute) || !ak_rd_done(&idp)) return false;
    return c->only_user + c->only_ca + c->only_attribute <= 1; /* §5.2.5: at most one of them */
}

static bool read_number(ak_view value, ak_view *out) {
    ak_rd r;
    ak_rd_view(&r, value);
    return ak_der_unsigned(&r, out) && ak_rd_done(&r);
}

static bool read_extensions(ak_crl *c, ak_view list) {
    ak_ext e[AK_CERT_MAX_EXTENSIONS];
    size_t n;
    if (!ak_ext_list(list, e, AK_CERT_MAX_EXTENSIONS, &n)) return false;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            if (ak_view_eq(e[i].oid, e[j].oid)) return false;
        if (AK_OID_IS(e[i].oid, "\x55\x1d\x14")) {
            if (!read_number(e[i].value, &c->number)) return false;
            c->number_critical = e[i].critical;
        } else if (AK_OID_IS(e[i].oid, "\x55\x1d\x1b")) {
            c->delta = true;
            if (!read_number(e[i].value, &c->base_number)) return false;
        } else if (AK_OID_IS(e[i].oid, "\x55\x1d\x1c")) {
            if (!read_idp(c, e[i].value)) return false;
        } else if (e[i].id == AK_EXT_authority_key_identifier) {
            ak_rd r, body;
            bool found;
            ak_rd_view(&r, e[i].value);
            if (!ak_der_enter(&r, AK_DER_SEQUENCE, &body) || !ak_der_optional(&body, AK_DER_CONTEXT(0), &c->aki, &found)) return false;
        } else if (e[i].critical) {
            c->unknown_critical = true;
        }
    }
    return true;
}

typedef struct entry {
    int64_t at;
    int reason;     /* -1: not given */
    ak_view issuer; /* certificateIssuer, as the entry itself says */
    bool unknown_critical;
} entry;

/* read_entry: one element of revokedCertificates; r stands behind its header. */
static bool read_entry(ak_rd *r, const uint8_t **serial, entry *out) {
    ak_view number, exts, value;
    ak_ext e[8];
    size_t n = 0;
    memset(out, 0, sizeof *out);
    out->reason = -1;
    *serial = r->p;
    if (!ak_der_integer(r, &number) || number.n > 127) return false;
    if (!ak_der_time(r, &out->at)) return false;
    if (ak_rd_done(r)) return true;
    if (!ak_der_get(r, AK_DER_SEQUENCE, &exts) || !ak_rd_done(r) || !ak_ext_list(exts, e, 8, &n)) return false;
    for (size_t i = 0; i < n; i++) {
        ak_rd in;
        ak_rd_view(&in, e[i].value);
        if (AK_OID_IS(e[i].oid, "\x55\x1d\x15")) {
            if (!ak_der_get(&in, AK_DER_ENUMERATED, &value) || value.n != 1 || !ak_rd_done(&in)) return false;
            out->reason = value.p[0];
        } else if (AK_OID_IS(e[i].oid, "\x55\x1d\x1d")) {
            if (!ak_der_get(&in, AK_DER_SEQUENCE, &out->issuer) || !ak_rd_done(&in) || !ak_names_valid(out->issuer)) return false;
        } else if (e[i].critical) {
            out->unknown_critical = true;
        }
    }
    return true;
}

static int by_serial(const void *a, const void *b) {
    const uint8_t *x = ((const revoked *)a)->serial, *y = ((const revoked *)b)->serial;
    return x[1] != y[1] ? (x[1] < y[1] ? -1 : 1) : memcmp(x + 2, y + 2, x[1]);
}

static ak_error read_entries(ak_crl *c, ak_view list, ak_failure *f) {
    ak_rd r, one;
    ak_view issuer = {NULL, 0};
    size_t n = 0, i = 0;
    ak_rd_view(&r, list);
    while (ak_rd_left(&r) > 0) {
        ak_view whole;
        if (!ak_der_next(&r, NULL, NULL, &whole) || whole.n < ENTRY_MIN) return ak_fail(f, AK_ERR_bad_crl, "an entry cannot be read");
        n++;
    }
    if (n == 0) return AK_OK;
    c->entries = malloc(n * sizeof *c->entries);
    if (c->entries == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    ak_rd_view(&r, list);
    while (ak_rd_left(&r) > 0) {
        revoked *e = &c->entries[i++];
        entry says;
        if (!ak_der_enter(&r, AK_DER_SEQUENCE, &one) || !read_entry(&one, &e->serial, &says))
            return ak_fail(f, AK_ERR_bad_crl, "entry %zu cannot be read", i);
        if (says.issuer.n > 0) issuer = says.issuer; /* §5.3.3: holds for the entries that follow, too */
        if (says.unknown_critical) c->unknown_critical = true;
        e->end = one.end;
        e->issuer = issuer;
    }
    c->n = i;
    qsort(c->entries, c->n, sizeof *c->entries, by_serial);
    return AK_OK;
}

static ak_error read_tbs(ak_crl *c, ak_rd *r, ak_failure *f) {
    uint8_t tag = 0;
    uint32_t version = 0;
    ak_view v;
    bool found;
    if (ak_der_peek(r) == AK_DER_INTEGER && (!ak_der_small(r, &version) || version != 1)) return ak_fail(f, AK_ERR_bad_crl, "its version is unknown");
    if (!ak_der_next(r, &tag, NULL, &c->sigalg_inner) || tag != AK_DER_SEQUENCE) return ak_fail(f, AK_ERR_bad_crl, "its algorithm cannot be read");
    if (!ak_der_next(r, &tag, NULL, &c->issuer) || tag != AK_DER_SEQUENCE || !ak_name_valid(c->issuer))
        return ak_fail(f, AK_ERR_bad_crl, "its issuer cannot be read");
    if (!ak_der_time(r, &c->this_update)) return ak_fail(f, AK_ERR_bad_crl, "its date cannot be read");
    c->next_update = INT64_MAX;
    int next = ak_der_peek(r);
    if ((next == AK_DER_UTC_TIME || next == AK_DER_GENERALIZED_TIME) && !ak_der_time(r, &c->next_update))
        return ak_fail(f, AK_ERR_bad_crl, "its date cannot be read");
    if (!ak_der_optional(r, AK_DER_SEQUENCE, &v, &found)) return ak_fail(f, AK_ERR_bad_crl, "its entries cannot be read");
    if (found) {
        ak_error e = read_entries(c, v, f);
        if (e != AK_OK) return e;
    }
    if (!ak_der_optional(r, AK_DER_CONTEXT_CONSTRUCTED(0), &v, &found)) return ak_fail(f, AK_ERR_bad_crl, "its extensions cannot be read");
    if (found) {
        ak_rd wrapper;
        ak_view list;
        ak_rd_view(&wrapper, v);
        if (version != 1 || !ak_der_get(&wrapper, AK_DER_SEQUENCE, &list) || !ak_rd_done(&wrapper) || !read_extensions(c, list))
            return ak_fail(f, AK_ERR_bad_crl, "its extensions cannot be read");
    }
    return ak_rd_done(r) ? AK_OK : ak_fail(f, AK_ERR_bad_crl, "bytes are left over");
}

static ak_error read_crl(ak_crl *c, ak_failure *f) {
    ak_rd r, body, outer, tbs;
    uint8_t tag;
    ak_rd_view(&r, c->der);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &body) || !ak_rd_done(&r)) return ak_fail(f, AK_ERR_bad_crl, "not one DER SEQUENCE");
    if (!ak_der_next(&body, &tag, NULL, &c->tbs) || tag != AK_DER_SEQUENCE) return ak_fail(f, AK_ERR_bad_crl, "no TBSCertList");
    if (!ak_der_next(&body, &tag, NULL, &c->sigalg_der) || tag != AK_DER_SEQUENCE || !ak_der_octets_in_bits(&body, &c->signature) ||
        !ak_rd_done(&body))
        return ak_fail(f, AK_ERR_bad_crl, "its signature cannot be read");
    ak_sigalg_read(c->sigalg_der, &c->sigalg);
    ak_rd_view(&outer, c->tbs);
    if (!ak_der_enter(&outer, AK_DER_SEQUENCE, &tbs)) return ak_fail(f, AK_ERR_bad_crl, "no TBSCertList");
    return read_tbs(c, &tbs, f);
}

ak_error ak_crl_parse(ak_view der, ak_crl **out, ak_failure *f) {
    *out = NULL;
    if (der.n > AK_CRL_MAX_BYTES) return ak_fail(f, AK_ERR_bad_crl, "%zu bytes are more than %u", der.n, AK_CRL_MAX_BYTES);
    ak_crl *c = calloc(1, sizeof *c + der.n);
    if (c == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    c->refs = 1;
    if (der.n > 0) memcpy(c + 1, der.p, der.n);
    c->der = ak_view_of(c + 1, der.n);
    ak_error e = read_crl(c, f);
    if (e != AK_OK) {
        ak_crl_free(c);
        return e;
    }
    *out = c;
    return AK_OK;
}

ak_crl *ak_crl_ref(ak_crl *c) {
    if (c != NULL) c->refs++;
    return c;
}

void ak_crl_free(ak_crl *c) {
    if (c == NULL || --c->refs > 0) return;
    ak_cert_free(c->good_signer);
    free(c->entries);
    free(c);
}

ak_view ak_crl_der(const ak_crl *c) { return c->der; }
ak_view ak_crl_issuer(const ak_crl *c) { return c->issuer; }

const char *ak_crl_reason_name(int reason) {
    static const char *const names[] = {"unspecified",          "keyCompromise",   "cACompromise",       "affiliationChanged",
                                        "superseded",           "cessationOfOperation", "certificateHold", NULL,
                                        "removeFromCRL",        "privilegeWithdrawn",   "aACompromise"};
    return reason >= 0 && (size_t)reason < sizeof names / sizeof names[0] ? names[reason] : NULL;
}

/* ---- scope (§6.3.3 (b)) ---- */

static bool names_have(ak_view names, ak_view name) {
    ak_gn gn;
    while (ak_names_next(&names, &gn))
        if (gn.kind == AK_GN_directory && ak_name_eq(gn.value, name)) return true;
    return false;
}

static bool names_meet(ak_view a, ak_view b) {
    ak_gn x, y;
    while (ak_names_next(&a, &x)) {
        ak_view left = b;
        while (ak_names_next(&left, &y)) {
            if (x.kind != y.kind) continue;
            if (x.kind == AK_GN_directory ? ak_name_eq(x.value, y.value) : ak_view_eq(x.value, y.value)) return true;
        }
    }
    return false;
}

static bool put_header(ak_buf *out, uint8_t tag, size_t n) {
    uint8_t head[6] = {tag};
    size_t at = 1;
    if (n > 0xffffff) return false;
    if (n >= 0x80) {
        unsigned bytes = n > 0xffff ? 3 : n > 0xff ? 2 : 1;
        head[at++] = (uint8_t)(0x80 | bytes);
        while (bytes-- > 1) head[at++] = (uint8_t)(n >> (8 * bytes));
    }
    head[at++] = (uint8_t)n;
    return ak_buf_put(out, head, at);
}

static size_t with_header(size_t n) { return n + (n < 0x80 ? 2 : n <= 0xff ? 3 : n <= 0xffff ? 4 : 5); }

/* place: a DistributionPointName as GeneralNames. The form that is relative to an issuer becomes a directoryName, put together in `made`. */
static bool place(ak_view dp_name, ak_view issuer, ak_buf *made, ak_view *out) {
    ak_rd r, outer;
    ak_view rdn, base;
    ak_rd_view(&r, dp_name);
    if (ak_der_peek(&r) == AK_DER_CONTEXT_CONSTRUCTED(0)) return ak_der_get(&r, AK_DER_CONTEXT_CONSTRUCTED(0), out) && ak_rd_done(&r) && ak_names_valid(*out);
    ak_rd_view(&outer, issuer);
    if (!ak_der_get(&r, AK_DER_CONTEXT_CONSTRUCTED(1), &rdn) || !ak_rd_done(&r) || !ak_der_get(&outer, AK_DER_SEQUENCE, &base)) return false;
    size_t name = base.n + with_header(rdn.n);
    if (!put_header(made, AK_DER_CONTEXT_CONSTRUCTED(AK_GN_directory), with_header(name)) || !put_header(made, AK_DER_SEQUENCE, name) ||
        !ak_buf_put_view(made, base) || !put_header(made, AK_DER_SET, rdn.n) || !ak_buf_put_view(made, rdn))
        return false;
    *out = ak_buf_view(made);
    return ak_names_valid(*out);
}

/* same_place: whether the distribution point of a certificate and that of a CRL have a name in common. */
static bool same_place(ak_view ours, ak_view our_issuer, ak_view theirs, ak_view their_issuer) {
    ak_buf a, b;
    ak_view x, y;
    ak_buf_init(&a, AK_CERT_MAX_BYTES * 2);
    ak_buf_init(&b, AK_CERT_MAX_BYTES * 2);
    bool same = place(ours, our_issuer, &a, &x) && place(theirs, their_issuer, &b, &y) && names_meet(x, y);
    ak_buf_free(&a);
    ak_buf_free(&b);
    return same;
}

/* only_directory: the one directoryName of a cRLIssuer, or what it is without. */
static ak_view only_directory(ak_view names, ak_view otherwise) {
    ak_gn gn;
    return ak_names_next(&names, &gn) && gn.kind == AK_GN_directory && names.n == 0 ? gn.value : otherwise;
}

/* dp_fits: whether one DistributionPoint of the certificate leads to this CRL. */
static bool dp_fits(const ak_crl *crl, const ak_cert *c, ak_rd *dp) {
    ak_view name = {NULL, 0}, reasons, issuer = {NULL, 0};
    bool has_name, has_issuer, found;
    if (!ak_der_optional(dp, AK_DER_CONTEXT_CONSTRUCTED(0), &name, &has_name) || !ak_der_optional(dp, AK_DER_CONTEXT(1), &reasons, &found) ||
        !ak_der_optional(dp, AK_DER_CONTEXT_CONSTRUCTED(2), &issuer, &has_issuer))
        return false;
    if (has_issuer ? !names_have(issuer, crl->issuer) || (!crl->indirect && !ak_name_eq(crl->issuer, c->issuer)) : !ak_name_eq(crl->issuer, c->issuer))
        return false;
    if (crl->idp_name.n == 0) return true;
    if (has_name) return same_place(name, only_directory(issuer, c->issuer), crl->idp_name, crl->issuer);
    ak_buf made;
    ak_view theirs;
    ak_buf_init(&made, AK_CERT_MAX_BYTES * 2);
    bool meet = has_issuer && place(crl->idp_name, crl->issuer, &made, &theirs) && names_meet(issuer, theirs);
    ak_buf_free(&made);
    return meet;
}

static bool in_scope(const ak_crl *crl, const ak_cert *c) {
    bool direct = ak_name_eq(crl->issuer, c->issuer);
    if ((crl->only_user && c->is_ca) || (crl->only_ca && !c->is_ca) || crl->only_attribute) return false;
    if (!direct && !crl->indirect) return false;
    if (direct && crl->idp_name.n == 0) return true;
    ak_rd r, dp;
    ak_rd_view(&r, c->crl_dps);
    while (ak_rd_left(&r) > 0 && ak_der_enter(&r, AK_DER_SEQUENCE, &dp))
        if (dp_fits(crl, c, &dp)) return true;
    return false;
}

/* ---- may it be believed? ---- */

static bool usable_signer(const ak_crl *crl, const ak_cert *s) {
    return s->subject.n > 0 && ak_name_eq(s->subject, crl->issuer) && ak_cert_allows(s, AK_KU_crl_sign) && !s->malformed &&
           (crl->aki.n == 0 || s->ski.n == 0 || ak_view_eq(crl->aki, s->ski));
}

static bool spend(const ak_crl_query *q, ak_failure *f) {
    if (*q->signatures < q->max_signatures) {
        ++*q->signatures;
        return true;
    }
    ak_fail(f, AK_ERR_verify_budget, "%u signature checks were not enough", q->max_signatures);
    return false;
}

static bool on_path(const ak_crl_query *q, const ak_cert *s) {
    for (size_t i = 0; i < q->n_path; i++)
        if (ak_cert_same(q->path[i], s)) return true;
    return false;
}

/* revoked_by: whether a CRL that `ca` itself signed says that the certificate of a CRL signer is revoked. */
static bool revoked_by(const ak_crl_query *q, const ak_cert *s, ak_cert *ca) {
    ak_crl_query own = *q;
    ak_failure unused = {0};
    int64_t when;
    int reason;
    own.issuer_only = true;
    return ak_crl_status(&own, s, ca, &when, &reason, &unused) == AK_REVOCATION_revoked;
}

/* vouched: whether a CRL signer that is not on the path was issued by somebody on it, and is good for that now. */
static bool vouched(const ak_crl_query *q, ak_cert *s, ak_failure *f) {
    if (q->time < s->not_before || q->time > s->not_after || s->unknown_critical != NULL) return false;
    if (ak_sigalg_strength(&s->sigalg) < ak_level_bits(q->level)) return false;
    ak_key *key = ak_cert_key(q->p, s, NULL);
    if (key == NULL || ak_key_strength(key) < ak_level_bits(q->level)) return false;
    for (size_t i = 1; i < q->n_path; i++) {
        ak_cert *ca = q->path[i];
        if (!ak_name_eq(ca->subject, s->issuer) || !spend(q, f)) continue;
        if (ak_cert_check_signature(q->p, s, ca, NULL) == AK_OK) return !revoked_by(q, s, ca);
    }
    return false;
}

static bool signed_by(const ak_crl_query *q, ak_crl *crl, ak_cert *s, ak_failure *f) {
    if (crl->good_signer != NULL && ak_view_eq(crl->good_signer->spki, s->spki)) return true;
    ak_key *key = spend(q, f) ? ak_cert_key(q->p, s, NULL) : NULL;
    if (key == NULL || ak_signed_check(q->p, &crl->sigalg, crl->tbs, crl->signature, key, NULL) != AK_OK) return false;
    ak_cert_free(crl->good_signer);
    crl->good_signer = ak_cert_ref(s);
    return true;
}

/* other_signer: whether somebody who is not the certificate's issuer signed the CRL: another CA on the path above the certificate, or one that these
 * vouch for (§6.3.3 (f)). */
static bool other_signer(const ak_crl_query *q, ak_crl *crl, const ak_cert *c, const ak_cert *issuer, ak_failure *f) {
    for (size_t i = 1; i < q->n_path; i++) {
        ak_cert *s = q->path[i];
        if (s != issuer && !ak_cert_same(s, c) && usable_signer(crl, s) && signed_by(q, crl, s, f)) return true;
    }
    for (size_t i = 0; i < q->n_signers; i++) {
        ak_cert *s = q->signers[i];
        if (!ak_cert_same(s, c) && usable_signer(crl, s) && !on_path(q, s) && vouched(q, s, f) && signed_by(q, crl, s, f)) return true;
    }
    return false;
}

static bool believable(const ak_crl_query *q, ak_crl *crl, const ak_cert *c, ak_cert *issuer, ak_failure *f) {
    ak_buf name;
    ak_failure why = {0};
    if (crl->unknown_critical) ak_fail(&why, AK_ERR_bad_crl, "it has a critical extension that is not known here");
    else if (q->time < crl->this_update) ak_fail(&why, AK_ERR_bad_crl, "it is not valid yet");
    else if (q->time > crl->next_update) ak_fail(&why, AK_ERR_bad_crl, "it is out of date");
    else if (!ak_view_eq(crl->sigalg_der, crl->sigalg_inner)) ak_fail(&why, AK_ERR_bad_crl, "the algorithm inside and outside the signed part differ");
    else if (ak_sigalg_strength(&crl->sigalg) < ak_level_bits(q->level)) ak_fail(&why, AK_ERR_bad_crl, "its signature is too weak");
    else if (q->strict && (crl->number.n == 0 || crl->number_critical)) ak_fail(&why, AK_ERR_bad_crl, "it has no number, or a critical one"); /* §5.2.3 */
    if (why.error == AK_OK) {
        if (usable_signer(crl, issuer) && signed_by(q, crl, issuer, &why)) return true;
        if (!q->issuer_only && other_signer(q, crl, c, issuer, &why)) return true;
        ak_fail(&why, AK_ERR_bad_crl, "its signature does not verify with any key that may sign it");
    }
    ak_buf_init(&name, 4096);
    ak_name_brief(crl->issuer, &name);
    ak_fail(f, why.error, "the CRL of \"%.*s\": %s", (int)name.n, name.n > 0 ? (const char *)name.p : "", why.detail);
    ak_buf_free(&name);
    return false;
}

/* ---- the answer ---- */

static const revoked *look_up(const ak_crl *crl, const ak_cert *c) {
    size_t low = 0, high = crl->n;
    ak_view serial = c->serial;
    if (serial.n > 127) return NULL;
    while (low < high) { /* the first that is not smaller */
        size_t mid = low + (high - low) / 2;
        const uint8_t *s = crl->entries[mid].serial;
        int order = s[1] != serial.n ? (s[1] < serial.n ? -1 : 1) : memcmp(s + 2, serial.p, serial.n);
        if (order < 0) low = mid + 1;
        else high = mid;
    }
    for (; low < crl->n; low++) {
        const revoked *e = &crl->entries[low];
        if (e->serial[1] != serial.n || memcmp(e->serial + 2, serial.p, serial.n) != 0) break;
        if (e->issuer.n > 0 ? names_have(e->issuer, c->issuer) : ak_name_eq(crl->issuer, c->issuer)) return e;
    }
    return NULL;
}

static entry says_of(const revoked *e) {
    ak_rd r;
    entry out;
    const uint8_t *serial;
    ak_rd_init(&r, e->serial, (size_t)(e->end - e->serial));
    read_entry(&r, &serial, &out); /* it was read once before */
    return out;
}

static int by_magnitude(ak_view a, ak_view b) { return a.n != b.n ? (a.n < b.n ? -1 : 1) : memcmp(a.p, b.p, a.n); }

static bool same_scope(const ak_crl *a, const ak_crl *b) { return ak_name_eq(a->issuer, b->issuer) && ak_view_eq(a->idp, b->idp); }

#define SCOPE_MAX 32

/* collect: the CRLs that speak of c, the newest first. */
static size_t collect(const ak_crl_query *q, const ak_cert *c, ak_crl *out[SCOPE_MAX]) {
    ak_crl *const *own;
    size_t n = 0, n_own = ak_trust_crls(q->trust, &own);
    for (size_t i = 0; i < n_own + q->n_crls; i++) {
        ak_crl *crl = i < n_own ? own[i] : q->crls[i - n_own];
        if (!in_scope(crl, c)) continue;
        size_t at = n < SCOPE_MAX ? n++ : SCOPE_MAX - 1; /* beyond the bound the oldest falls out */
        if (n == SCOPE_MAX && out[at] != NULL && crl->this_update <= out[at]->this_update) continue;
        for (; at > 0 && out[at - 1]->this_update < crl->this_update; at--) out[at] = out[at - 1];
        out[at] = crl;
    }
    return n;
}

ak_revocation ak_crl_status(const ak_crl_query *q, const ak_cert *c, ak_cert *issuer, int64_t *out_revoked_at, int *out_reason, ak_failure *f) {
    ak_crl *list[SCOPE_MAX] = {NULL};
    bool used[SCOPE_MAX] = {false};
    size_t n = collect(q, c, list);
    unsigned covered = 0;
    ak_failure first = {0};
    *out_reason = -1;
    for (size_t i = 0; i < n; i++) {
        ak_crl *base = list[i];
        bool older = false; /* than one of the same scope that was used */
        for (size_t j = 0; j < i; j++) older = older || (used[j] && !list[j]->delta && same_scope(list[j], base));
        if (base->delta || older || !believable(q, base, c, issuer, &first)) continue;
        used[i] = true;
        const revoked *e = look_up(base, c);
        for (size_t j = 0; j < n; j++) { /* §5.2.4: the newest delta that builds on this base or an older one, and comes after it */
            ak_crl *d = list[j];
            if (!d->delta || !same_scope(d, base) || base->number.n == 0 || d->number.n == 0) continue;
            if (by_magnitude(d->base_number, base->number) > 0 || by_magnitude(d->number, base->number) <= 0) continue;
            if (!believable(q, d, c, issuer, &first)) continue;
            const revoked *change = look_up(d, c);
            if (change != NULL) e = change;
            break;
        }
        covered |= base->reasons != 0 ? base->reasons : ~0u;
        if (e == NULL) continue;
        entry says = says_of(e);
        if (says.reason == 8) continue; /* removeFromCRL */
        *out_revoked_at = says.at;
        *out_reason = says.reason;
        return AK_REVOCATION_revoked;
    }
    if ((covered & ALL_REASONS) == ALL_REASONS) return AK_REVOCATION_good;
    if (first.error != AK_OK) {
        ak_fail(f, first.error, "%s", first.detail);
        return AK_REVOCATION_bad;
    }
    return n > 0 ? AK_REVOCATION_unknown : AK_REVOCATION_none;
}
