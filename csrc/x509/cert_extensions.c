/* cert_extensions.c: the extensions of certificates (RFC 5280 §4.2): one row and one reader for each that is known here. */
#include "x509/internal.h"

#include <stdlib.h>

#define MAX_POLICIES 64
#define MAX_POINTS 64 /* distribution points of CRLs */

/* each: enters SEQUENCE SIZE (1..MAX) in `v`; r walks its elements. */
static bool each(ak_view v, ak_rd *r) {
    ak_rd outer;
    ak_rd_view(&outer, v);
    return ak_der_enter(&outer, AK_DER_SEQUENCE, r) && ak_rd_done(&outer) && ak_rd_left(r) > 0;
}

static bool content(ak_view v, uint8_t tag, ak_view *out) {
    ak_rd r;
    ak_rd_view(&r, v);
    return ak_der_get(&r, tag, out) && ak_rd_done(&r);
}

static bool read_ski(ak_cert *c, ak_view v) { return content(v, AK_DER_OCTET_STRING, &c->ski); }

static bool read_aki(ak_cert *c, ak_view v) {
    ak_rd r, body;
    bool found;
    ak_rd_view(&r, v);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &body) || !ak_rd_done(&r)) return false;
    if (!ak_der_optional(&body, AK_DER_CONTEXT(0), &c->aki_key_id, &found)) return false;
    if (!ak_der_optional(&body, AK_DER_CONTEXT_CONSTRUCTED(1), &c->aki_issuer, &found)) return false;
    if (found && !ak_names_valid(c->aki_issuer)) return false;
    if (!ak_der_optional(&body, AK_DER_CONTEXT(2), &c->aki_serial, &found)) return false;
    return ak_rd_done(&body);
}

static bool read_key_usage(ak_cert *c, ak_view v) {
    ak_rd r;
    ak_view bits;
    unsigned unused;
    ak_rd_view(&r, v);
    if (!ak_der_bits(&r, &bits, &unused) || !ak_rd_done(&r)) return false;
    for (unsigned i = 0; i < 9 && i / 8 < bits.n; i++)
        if ((bits.p[i / 8] & (0x80u >> i % 8)) != 0) c->key_usage |= 1u << i;
    return true;
}

static bool read_ext_key_usage(ak_cert *c, ak_view v) {
    static const char prefix[] = "\x2b\x06\x01\x05\x05\x07\x03"; /* id-kp */
    ak_rd r;
    ak_view oid;
    if (!each(v, &r)) return false;
    while (ak_rd_left(&r) > 0) {
        if (!ak_der_oid(&r, &oid)) return false;
        unsigned bit = AK_EKU_other;
        if (oid.n == 8 && memcmp(oid.p, prefix, 7) == 0) {
            switch (oid.p[7]) {
            case 1: bit = AK_EKU_server_auth; break;
            case 2: bit = AK_EKU_client_auth; break;
            case 3: bit = AK_EKU_code_signing; break;
            case 4: bit = AK_EKU_email_protection; break;
            case 8: bit = AK_EKU_time_stamping; break;
            case 9: bit = AK_EKU_ocsp_signing; break;
            default: break;
            }
        } else if (AK_OID_IS(oid, "\x55\x1d\x25\x00")) {
            bit = AK_EKU_any;
        }
        c->ext_key_usage |= bit;
    }
    return ak_rd_done(&r);
}

static bool read_san(ak_cert *c, ak_view v) { return content(v, AK_DER_SEQUENCE, &c->san) && ak_names_valid(c->san); }

static bool read_ian(ak_cert *c, ak_view v) {
    ak_view names;
    (void)c;
    return content(v, AK_DER_SEQUENCE, &names) && ak_names_valid(names);
}

/* few: INTEGER (0..MAX) from its content bytes. It counts certificates: what is large is as good as no limit. */
static bool few(ak_view v, int *out) {
    if (v.n == 0 || v.p[0] >= 0x80 || (v.n > 1 && v.p[0] == 0 && v.p[1] < 0x80)) return false;
    int n = 0;
    for (size_t i = 0; i < v.n && n <= 0x7fff; i++) n = n << 8 | v.p[i];
    *out = n <= 0x7fff ? n : 0x7fff;
    return true;
}

static bool read_basic_constraints(ak_cert *c, ak_view v) {
    ak_rd r, body;
    ak_rd_view(&r, v);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &body) || !ak_rd_done(&r)) return false;
    if (ak_der_peek(&body) == AK_DER_BOOLEAN && !ak_der_boolean(&body, &c->is_ca)) return false;
    ak_view n;
    bool found;
    if (!ak_der_optional(&body, AK_DER_INTEGER, &n, &found) || (found && !few(n, &c->path_len))) return false;
    return ak_rd_done(&body);
}

/* subtrees_valid: GeneralSubtrees (content). minimum must be 0 and maximum absent (RFC 5280 §4.2.1.10). */
static bool subtrees_valid(ak_view v) {
    ak_rd r, one;
    ak_rd_view(&r, v);
    if (v.n == 0) return false;
    while (ak_rd_left(&r) > 0) {
        ak_gn base;
        if (!ak_der_enter(&r, AK_DER_SEQUENCE, &one) || !ak_gn_read(&one, &base, true)) return false;
        if (ak_der_peek(&one) == AK_DER_CONTEXT(0)) {
            ak_view minimum;
            if (!ak_der_get(&one, AK_DER_CONTEXT(0), &minimum) || minimum.n != 1 || minimum.p[0] != 0) return false;
        }
        if (!ak_rd_done(&one)) return false;
    }
    return ak_rd_done(&r);
}

static bool read_name_constraints(ak_cert *c, ak_view v) {
    ak_rd r;
    bool permitted, excluded;
    if (!each(v, &r)) return false;
    if (!ak_der_optional(&r, AK_DER_CONTEXT_CONSTRUCTED(0), &c->nc_permitted, &permitted)) return false;
    if (!ak_der_optional(&r, AK_DER_CONTEXT_CONSTRUCTED(1), &c->nc_excluded, &excluded)) return false;
    if (permitted && !subtrees_valid(c->nc_permitted)) return false;
    if (excluded && !subtrees_valid(c->nc_excluded)) return false;
    return ak_rd_done(&r);
}

/* qualifiers_known: SEQUENCE SIZE (1..MAX) OF PolicyQualifierInfo (content): *known whether all are a CPS pointer or a user notice, which are for people
 * and bind nobody. */
static bool qualifiers_known(ak_view v, bool *known) {
    ak_rd r, one;
    ak_view oid;
    ak_rd_view(&r, v);
    if (v.n == 0) return false;
    while (ak_rd_left(&r) > 0) {
        if (!ak_der_enter(&r, AK_DER_SEQUENCE, &one) || !ak_der_oid(&one, &oid) || !ak_der_next(&one, NULL, NULL, NULL) || !ak_rd_done(&one))
            return false;
        if (!AK_OID_IS(oid, "\x2b\x06\x01\x05\x05\x07\x02\x01") && !AK_OID_IS(oid, "\x2b\x06\x01\x05\x05\x07\x02\x02")) *known = false;
    }
    return true;
}

static bool read_policies(ak_cert *c, ak_view v) {
    ak_rd r, info;
    ak_view seen[MAX_POLICIES];
    size_t n = 0;
    bool known = true;
    if (!each(v, &r)) return false;
    c->policies = ak_view_of(r.p, ak_rd_left(&r));
    while (ak_rd_left(&r) > 0) {
        ak_view oid, qualifiers;
        bool found;
        if (n == MAX_POLICIES || !ak_der_enter(&r, AK_DER_SEQUENCE, &info) || !ak_der_oid(&info, &oid)) return false;
        if (!ak_der_optional(&info, AK_DER_SEQUENCE, &qualifiers, &found) || !ak_rd_done(&info)) return false;
        if (found && !qualifiers_known(qualifiers, &known)) return false;
        for (size_t i = 0; i < n; i++)
            if (ak_view_eq(seen[i], oid)) return false; /* §4.2.1.4: MUST NOT appear more than once */
        seen[n++] = oid;
    }
    const ak_ext *e = c->ext[AK_EXT_certificate_policies];
    /* §4.2.1.4: critical, with a qualifier that nobody here can interpret, it must be refused */
    if (!known && e->critical && c->unknown_critical == NULL) c->unknown_critical = e;
    return ak_rd_done(&r);
}

static bool read_policy_mappings(ak_cert *c, ak_view v) {
    ak_rd r, pair;
    size_t n = 0;
    if (!each(v, &r)) return false;
    c->policy_mappings = ak_view_of(r.p, ak_rd_left(&r));
    while (ak_rd_left(&r) > 0) {
        ak_view from, to;
        if (++n > MAX_POLICIES || !ak_der_enter(&r, AK_DER_SEQUENCE, &pair)) return false;
        if (!ak_der_oid(&pair, &from) || !ak_der_oid(&pair, &to) || !ak_rd_done(&pair)) return false;
    }
    return ak_rd_done(&r);
}

static bool read_policy_constraints(ak_cert *c, ak_view v) {
    ak_rd r;
    ak_view n;
    bool found;
    if (!each(v, &r)) return false;
    if (!ak_der_optional(&r, AK_DER_CONTEXT(0), &n, &found) || (found && !few(n, &c->require_explicit_policy))) return false;
    if (!ak_der_optional(&r, AK_DER_CONTEXT(1), &n, &found) || (found && !few(n, &c->inhibit_policy_mapping))) return false;
    return ak_rd_done(&r);
}

static bool read_inhibit_any_policy(ak_cert *c, ak_view v) {
    ak_view n;
    return content(v, AK_DER_INTEGER, &n) && few(n, &c->inhibit_any_policy);
}

bool ak_point_name_valid(ak_view v) {
    ak_rd r;
    uint8_t tag;
    ak_view name;
    ak_rd_view(&r, v);
    if (!ak_der_next(&r, &tag, &name, NULL) || !ak_rd_done(&r)) return false;
    return tag == AK_DER_CONTEXT_CONSTRUCTED(0) ? ak_names_valid(name) : tag == AK_DER_CONTEXT_CONSTRUCTED(1) && ak_rdn_valid(name);
}

static bool read_crl_dps(ak_cert *c, ak_view v) {
    ak_rd r, dp;
    size_t n = 0;
    if (!each(v, &r)) return false;
    c->crl_dps = ak_view_of(r.p, ak_rd_left(&r));
    while (ak_rd_left(&r) > 0) {
        ak_view name, reasons, issuer;
        bool has_name, has_reasons, has_issuer;
        if (++n > MAX_POINTS || !ak_der_enter(&r, AK_DER_SEQUENCE, &dp)) return false;
        if (!ak_der_optional(&dp, AK_DER_CONTEXT_CONSTRUCTED(0), &name, &has_name)) return false;
        if (!ak_der_optional(&dp, AK_DER_CONTEXT(1), &reasons, &has_reasons)) return false;
        if (!ak_der_optional(&dp, AK_DER_CONTEXT_CONSTRUCTED(2), &issuer, &has_issuer)) return false;
        if ((has_name && !ak_point_name_valid(name)) || (has_issuer && !ak_names_valid(issuer)) || !ak_rd_done(&dp)) return false;
        if ((!has_name && !has_issuer) || (has_reasons && !ak_bits_valid(reasons))) return false; /* §4.2.1.13: one of the two is there */
    }
    return ak_rd_done(&r);
}

static bool read_aia(ak_cert *c, ak_view v) {
    ak_rd r, one;
    if (!each(v, &r)) return false;
    c->aia = ak_view_of(r.p, ak_rd_left(&r));
    while (ak_rd_left(&r) > 0) {
        ak_view method;
        ak_gn where;
        if (!ak_der_enter(&r, AK_DER_SEQUENCE, &one) || !ak_der_oid(&one, &method)) return false;
        if (!ak_gn_read(&one, &where, false) || !ak_rd_done(&one)) return false;
    }
    return ak_rd_done(&r);
}

static bool read_tls_feature(ak_cert *c, ak_view v) {
    const ak_ext *e = c->ext[AK_EXT_tls_feature];
    ak_rd r;
    if (!each(v, &r)) return false;
    while (ak_rd_left(&r) > 0) {
        uint32_t feature;
        if (!ak_der_small(&r, &feature)) return false;
        if (feature == 5) c->must_staple = true;
        else if (feature == 17) c->must_staple_v2 = true;
        else if (e->critical && c->unknown_critical == NULL) c->unknown_critical = e; /* nobody looks whether others are kept */
    }
    return ak_rd_done(&r);
}

static bool read_sct_list(ak_cert *c, ak_view v) { return content(v, AK_DER_OCTET_STRING, &c->scts); }

/* The rows. `known`: its meaning is acted upon here, so it may be critical. */
static const struct row {
    const char *oid;
    size_t n;
    ak_ext_id id;
    bool known;
    const char *name;
    bool (*read)(ak_cert *c, ak_view v);
} rows[] = {
    {"\x55\x1d\x0e", 3, AK_EXT_subject_key_identifier, true, "subjectKeyIdentifier", read_ski},
    {"\x55\x1d\x0f", 3, AK_EXT_key_usage, true, "keyUsage", read_key_usage},
    {"\x55\x1d\x11", 3, AK_EXT_subject_alt_name, true, "subjectAltName", read_san},
    {"\x55\x1d\x12", 3, AK_EXT_issuer_alt_name, false, "issuerAltName", read_ian},
    {"\x55\x1d\x13", 3, AK_EXT_basic_constraints, true, "basicConstraints", read_basic_constraints},
    {"\x55\x1d\x1e", 3, AK_EXT_name_constraints, true, "nameConstraints", read_name_constraints},
    {"\x55\x1d\x1f", 3, AK_EXT_crl_distribution_points, true, "cRLDistributionPoints", read_crl_dps},
    {"\x55\x1d\x20", 3, AK_EXT_certificate_policies, true, "certificatePolicies", read_policies},
    {"\x55\x1d\x21", 3, AK_EXT_policy_mappings, true, "policyMappings", read_policy_mappings},
    {"\x55\x1d\x23", 3, AK_EXT_authority_key_identifier, true, "authorityKeyIdentifier", read_aki},
    {"\x55\x1d\x24", 3, AK_EXT_policy_constraints, true, "policyConstraints", read_policy_constraints},
    {"\x55\x1d\x25", 3, AK_EXT_extended_key_usage, true, "extKeyUsage", read_ext_key_usage},
    {"\x55\x1d\x36", 3, AK_EXT_inhibit_any_policy, true, "inhibitAnyPolicy", read_inhibit_any_policy},
    {"\x2b\x06\x01\x05\x05\x07\x01\x01", 8, AK_EXT_authority_info_access, false, "authorityInfoAccess", read_aia},
    {"\x2b\x06\x01\x05\x05\x07\x01\x18", 8, AK_EXT_tls_feature, true, "tlsFeature", read_tls_feature},
    {"\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02", 10, AK_EXT_sct_list, false, "signedCertificateTimestamps", read_sct_list},
    {"\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x03", 10, AK_EXT_ct_poison, false, "ctPoison", NULL},
    {"\x2b\x06\x01\x05\x05\x07\x30\x01\x05", 9, AK_EXT_ocsp_no_check, true, "ocspNoCheck", NULL},
};

static const struct row *row_of(ak_view oid) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (ak_oid_is(oid, rows[i].oid, rows[i].n)) return &rows[i];
    return NULL;
}

ak_ext_id ak_cert_ext_find(ak_view oid) {
    const struct row *row = row_of(oid);
    return row != NULL ? row->id : AK_EXT_other;
}

const char *ak_ext_name(ak_ext_id id) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].id == id) return rows[i].name;
    return NULL;
}

bool ak_ext_list(ak_view list, ak_ext *out, size_t max, size_t *n) {
    ak_rd r, one;
    ak_rd_view(&r, list);
    *n = 0;
    if (list.n == 0) return false; /* SIZE (1..MAX) */
    while (ak_rd_left(&r) > 0) {
        if (*n == max || !ak_der_enter(&r, AK_DER_SEQUENCE, &one)) return false;
        ak_ext *e = &out[*n];
        memset(e, 0, sizeof *e);
        if (!ak_der_oid(&one, &e->oid)) return false;
        /* DER leaves a FALSE out; certificates in use write it. */
        if (ak_der_peek(&one) == AK_DER_BOOLEAN && !ak_der_boolean(&one, &e->critical)) return false;
        if (!ak_der_get(&one, AK_DER_OCTET_STRING, &e->value) || !ak_rd_done(&one)) return false;
        e->id = ak_cert_ext_find(e->oid);
        (*n)++;
    }
    return ak_rd_done(&r) && *n > 0;
}

static const char *duplicate(const ak_ext *e, size_t n) {
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (ak_view_eq(e[i].oid, e[j].oid)) return "an extension appears twice";
    return NULL;
}

static void note(ak_cert *c, const char *what) {
    if (!c->malformed) c->malformed_text = what;
    c->malformed = true;
}

ak_error ak_cert_extensions(ak_cert *c, ak_view list, ak_failure *f) {
    ak_ext found[AK_CERT_MAX_EXTENSIONS];
    size_t n = 0;
    if (!ak_ext_list(list, found, AK_CERT_MAX_EXTENSIONS, &n))
        return ak_fail(f, AK_ERR_bad_certificate, n == AK_CERT_MAX_EXTENSIONS ? "too many extensions" : "the extensions cannot be read");
    c->exts = malloc(n * sizeof *c->exts);
    if (c->exts == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    memcpy(c->exts, found, n * sizeof *c->exts);
    c->n_exts = n;
    const char *twice = duplicate(c->exts, n);
    if (twice != NULL) note(c, twice);
    for (size_t i = 0; i < n; i++) {
        const ak_ext *e = &c->exts[i];
        const struct row *row = row_of(e->oid);
        if (e->critical && c->unknown_critical == NULL && (row == NULL || !row->known)) c->unknown_critical = e;
        if (row == NULL || c->ext[row->id] != NULL) continue;
        c->ext[row->id] = e;
        /* A reader that fails may have set some fields: malformed certificates are refused whatever these say. */
        if (row->read != NULL && !row->read(c, e->value)) note(c, row->name);
    }
    return AK_OK;
}
