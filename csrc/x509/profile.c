/* profile.c: what RFC 5280 §4 demands of those who write certificates, beyond what path validation (§6) looks at. Contradictions are always refused.
 * Omissions are warnings unless somebody wants them refused: Debian 12's own `openssl x509 -req` leaves the key identifiers out. */
#include "x509/internal.h"

typedef struct inspection {
    ak_cert *c;
    size_t depth;
    bool strict;
    ak_findings *reasons, *warnings;
} inspection;

static void contradiction(inspection *k, const char *section, const char *what) {
    ak_find(k->reasons, AK_ERR_certificate_profile, NULL, k->depth, k->c, section, "%s", what);
}

static void omission(inspection *k, const char *section, const char *what) {
    if (k->strict) contradiction(k, section, what);
    else ak_find(k->warnings, AK_OK, "certificate_profile", k->depth, k->c, section, "%s", what);
}

static bool critical(const ak_cert *c, ak_ext_id id) { return c->ext[id] != NULL && c->ext[id]->critical; }

static void serial(inspection *k) {
    ak_view s = k->c->serial;
    bool zero = s.n == 1 && s.p[0] == 0;
    if (s.p[0] >= 0x80 || zero) omission(k, "RFC 5280 §4.1.2.2", "its serial number is not positive");
    if (s.n > 20 + (s.p[0] == 0 ? 1u : 0u)) contradiction(k, "RFC 5280 §4.1.2.2", "its serial number has more than 20 bytes");
}

static void names(inspection *k) {
    ak_cert *c = k->c;
    if (ak_name_empty(c->issuer)) contradiction(k, "RFC 5280 §4.1.2.4", "its issuer has no name");
    if (!ak_name_empty(c->subject)) return;
    if (c->is_ca) contradiction(k, "RFC 5280 §4.1.2.6", "it is a CA without a name");
    else if (c->ext[AK_EXT_subject_alt_name] == NULL) contradiction(k, "RFC 5280 §4.1.2.6", "it has no name at all");
    else if (!critical(c, AK_EXT_subject_alt_name)) omission(k, "RFC 5280 §4.2.1.6", "its only names are not marked critical");
}

static void dns_names(inspection *k) {
    ak_view names = k->c->san;
    ak_gn gn;
    bool odd = false;
    while (!odd && ak_names_next(&names, &gn)) odd = gn.kind == AK_GN_dns && !ak_host_preferred(gn.value);
    if (odd) omission(k, "RFC 5280 §4.2.1.6", "it has a dNSName that is not in the preferred name syntax");
}

static void constraints(inspection *k) {
    ak_cert *c = k->c;
    bool signs = c->ext[AK_EXT_key_usage] != NULL && (c->key_usage & AK_KU_key_cert_sign) != 0;
    if (c->ext[AK_EXT_key_usage] != NULL && c->key_usage == 0) contradiction(k, "RFC 5280 §4.2.1.3", "its key may be used for nothing");
    if (!c->is_ca) {
        if (signs) contradiction(k, "RFC 5280 §4.2.1.9", "it may sign certificates but is no CA");
        if (c->path_len >= 0) contradiction(k, "RFC 5280 §4.2.1.9", "it limits the length of paths but is no CA");
        if (c->ext[AK_EXT_name_constraints] != NULL) contradiction(k, "RFC 5280 §4.2.1.10", "it constrains names but is no CA");
        return;
    }
    if (c->path_len >= 0 && c->ext[AK_EXT_key_usage] != NULL && !signs)
        contradiction(k, "RFC 5280 §4.2.1.9", "it limits the length of paths but may not sign certificates");
    if (k->depth == 0) return; /* as an end entity it is no CA in this path */
    if (!critical(c, AK_EXT_basic_constraints)) omission(k, "RFC 5280 §4.2.1.9", "it is a CA, and its basicConstraints are not critical");
    if (c->ext[AK_EXT_key_usage] == NULL) omission(k, "RFC 5280 §4.2.1.3", "it is a CA without a keyUsage");
    if (c->ext[AK_EXT_name_constraints] != NULL && !critical(c, AK_EXT_name_constraints))
        omission(k, "RFC 5280 §4.2.1.10", "its name constraints are not critical");
    if ((c->ext[AK_EXT_policy_constraints] != NULL && !critical(c, AK_EXT_policy_constraints)) ||
        (c->ext[AK_EXT_inhibit_any_policy] != NULL && !critical(c, AK_EXT_inhibit_any_policy)))
        omission(k, "RFC 5280 §4.2.1.11", "its policy constraints are not critical");
    if (c->ext[AK_EXT_subject_key_identifier] == NULL) omission(k, "RFC 5280 §4.2.1.2", "it is a CA without a subjectKeyIdentifier");
}

void ak_check_profile(ak_cert *c, size_t depth, bool strict, ak_findings *reasons, ak_findings *warnings) {
    inspection k = {c, depth, strict, reasons, warnings};
    serial(&k);
    names(&k);
    dns_names(&k);
    constraints(&k);
    if (c->version == 3 && c->n_exts == 0) return; /* nothing more to expect of it */
    if (c->version < 3) {
        omission(&k, "RFC 5280 §4.1.2.1", "it is not of version 3");
        return;
    }
    if (c->aki_key_id.n == 0) omission(&k, "RFC 5280 §4.2.1.1", "it has no authorityKeyIdentifier");
    if (critical(c, AK_EXT_authority_key_identifier) || critical(c, AK_EXT_subject_key_identifier))
        omission(&k, "RFC 5280 §4.2.1.1", "a key identifier is marked critical");
}
