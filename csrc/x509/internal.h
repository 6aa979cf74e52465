/* internal.h: what the files of the X.509 room share and nobody else needs. */
#ifndef AK_X509_INTERNAL_H
#define AK_X509_INTERNAL_H

#include "base/der.h"
#include "x509/x509.h"

#include <string.h>

/* ---- object identifiers (content bytes) ---- */

#define AK_OID(literal) ak_view_of(literal, sizeof(literal) - 1)
static inline bool ak_oid_is(ak_view oid, const char *bytes, size_t n) { return oid.n == n && memcmp(oid.p, bytes, n) == 0; }
#define AK_OID_IS(oid, literal) ak_oid_is(oid, literal, sizeof(literal) - 1)
/* ak_oid_print: "2.5.29.17"; malformed ones as "#" and hexadecimal. */
bool ak_oid_print(ak_view oid, ak_buf *out);

#define AK_OID_ANY_POLICY "\x55\x1d\x20\x00"
#define AK_OID_AD_OCSP "\x2b\x06\x01\x05\x05\x07\x30\x01"
#define AK_OID_AD_CA_ISSUERS "\x2b\x06\x01\x05\x05\x07\x30\x02"

/* ---- text ---- */

bool ak_printf(ak_buf *out, const char *fmt, ...) AK_PRINTF(2, 3);
/* ak_utf8_take: one well-formed code point (RFC 3629) from the front, and how many bytes it has; 0 when there is none. */
size_t ak_utf8_take(ak_view v, uint32_t *out);
/* ak_text_whole: how many bytes of a text may stand where there is room for `most`, so that no code point is cut. */
size_t ak_text_whole(ak_view v, size_t most);
/* ak_text_of: the buffer's bytes as a malloc'ed C string, the buffer released; NULL when out of memory. */
char *ak_text_of(ak_buf *b);

/* ---- reading ---- */

/* ak_der_time: UTCTime or GeneralizedTime in the forms that RFC 5280 §4.1.2.5 allows. */
bool ak_der_time(ak_rd *r, int64_t *out);
/* ak_time_read: the same for content bytes under a given tag. */
bool ak_time_read(uint8_t tag, ak_view v, int64_t *out);
/* ak_name_valid: a Name of the right form (header included). */
bool ak_name_valid(ak_view name);
/* ak_rdn_valid: the content of a RelativeDistinguishedName. */
bool ak_rdn_valid(ak_view rdn);
/* ak_name_within: whether `base` is the beginning of `name`, RDN by RDN (directoryName constraints). */
bool ak_name_within(ak_view name, ak_view base);
/* ak_name_walk: a walk over the attributes of a Name. ak_name_email: on to the next emailAddress; false at the end. */
typedef struct ak_name_walk {
    ak_rd names, rdn;
} ak_name_walk;
bool ak_name_walk_start(ak_name_walk *w, ak_view name);
bool ak_name_email(ak_name_walk *w, ak_view *out);
/* ak_names_valid: the content of GeneralNames: every one well formed, at least one. address_size: 4/16 for names, doubled in constraints. */
bool ak_names_valid(ak_view names);
bool ak_gn_read(ak_rd *r, ak_gn *out, bool constraint);
/* ak_point_name_valid: DistributionPointName: [0] GeneralNames or [1] RelativeDistinguishedName (the content of the field around it). */
bool ak_point_name_valid(ak_view v);
/* ak_cert_extensions: reads SEQUENCE OF Extension (its content) into c->exts and the fields made from them. False: not of that form. */
ak_error ak_cert_extensions(ak_cert *c, ak_view list, ak_failure *f);
/* ak_ext_list: splits SEQUENCE OF Extension (content) into at most max entries; *n. False: malformed or too many. */
bool ak_ext_list(ak_view list, ak_ext *out, size_t max, size_t *n);
ak_ext_id ak_cert_ext_find(ak_view oid);
const char *ak_ext_name(ak_ext_id id); /* "subjectAltName"; NULL for AK_EXT_other */

/* ---- strength (strength.c): in bits, as libcrypto's security levels count ---- */

unsigned ak_level_bits(unsigned level);
unsigned ak_key_strength(const ak_key *k);
unsigned ak_sigalg_strength(const ak_sigalg *a);

/* ---- verification, split over files ---- */

/* ak_findings: where checks put what they find. With `quiet` only the first one's code and place are kept, and nothing is allocated. */
typedef struct ak_findings {
    ak_reason *items;
    size_t n, cap;
    bool quiet;
    bool failed; /* out of memory */
    ak_error first;
    size_t first_depth;
} ak_findings;
void ak_findings_free(ak_findings *s);
/* ak_find: e AK_OK and a code for a warning, else code NULL. `section` is a static string. */
void ak_find(ak_findings *s, ak_error e, const char *code, size_t depth, ak_cert *cert, const char *section, const char *fmt, ...) AK_PRINTF(7, 8);

/* ak_path: a path under examination: certs[0] the end entity, certs[n-1] the anchor when anchored. */
typedef struct ak_path {
    ak_cert *const *certs;
    size_t n;
    bool anchored;
} ak_path;

/* ak_check_constraints: name constraints over a path (RFC 5280 §6.1.3(b), (c)). *work goes down with every comparison; AK_ERR_verify_budget at zero. */
void ak_check_constraints(const ak_path *path, unsigned *work, ak_findings *s);
/* ak_check_policies: the policy part of RFC 5280 §6.1. */
void ak_check_policies(const ak_path *path, const ak_policies *user, ak_findings *s);
/* ak_policies_have: whether the user takes a policy. */
bool ak_policies_have(const ak_policies *p, ak_view oid);
/* ak_check_profile: what RFC 5280 §4 demands of who writes certificates, for one that the peer sent: contradictions are reasons, omissions are
 * warnings, or reasons when strict. */
void ak_check_profile(ak_cert *c, size_t depth, bool strict, ak_findings *reasons, ak_findings *warnings);
/* ak_severity: how important an error is as a verdict: smaller is more important. */
unsigned ak_severity(ak_error e);

/* ---- CRLs as verify.c uses them ---- */

/* ak_crl_query: what a check of one certificate against CRLs needs. */
typedef struct ak_crl_query {
    ak_provider *p;
    const ak_trust *trust;
    ak_crl *const *crls;
    size_t n_crls;
    int64_t time;
    bool strict;
    unsigned level;
    unsigned *signatures; /* made so far */
    unsigned max_signatures;
    ak_cert *const *path; /* the path that was found, end entity first */
    size_t n_path;
    ak_cert *const *signers; /* certificates that may have signed a CRL, besides those of the path */
    size_t n_signers;
    bool issuer_only;        /* only CRLs that the issuer itself signed count */
} ak_crl_query;
/* ak_crl_status: AK_REVOCATION_none when no CRL speaks of the certificate; bad and f when one does that cannot be believed. */
ak_revocation ak_crl_status(const ak_crl_query *q, const ak_cert *c, ak_cert *issuer, int64_t *out_revoked_at, int *out_reason, ak_failure *f);
const char *ak_crl_reason_name(int reason); /* "keyCompromise"; NULL when unknown */
ak_view ak_crl_issuer(const ak_crl *c);

/* ---- the trust store as verify.c uses it ---- */

/* ak_trust_next: the next anchor after *at whose subject is `name`; NULL at the end. Start with *at = 0. */
ak_cert *ak_trust_next(const ak_trust *t, ak_view name, uint64_t hash, size_t *at);

#endif
