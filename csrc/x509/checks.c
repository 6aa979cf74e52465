/* checks.c: the rules of RFC 5280 §6.1, each with its own code, section and words. */
#include "x509/search.h"

#include "crypto/groups.h"

#include <stdio.h>

#define DAY 86400
#define NEAR_EXPIRY (30 * DAY)

typedef struct words {
    char s[256];
} words;

static words cut(ak_buf *b) {
    words w;
    size_t n = b->bad ? 0 : b->n < sizeof w.s - 1 ? b->n : sizeof w.s - 1;
    if (n > 0) memcpy(w.s, b->p, n);
    w.s[n] = '\0';
    ak_buf_free(b);
    return w;
}

static words name_words(ak_view name) {
    ak_buf b;
    ak_buf_init(&b, 4096);
    ak_name_brief(name, &b);
    return cut(&b);
}

static words time_words(int64_t t) {
    ak_buf b;
    ak_buf_init(&b, 64);
    ak_time_print(t, &b);
    return cut(&b);
}

/* ---- signatures ---- */

/* burden: what a check with this key takes, in checks with RSA of up to 4096 bits or P-256 (some 0.1 ms), beyond one: the peer may make keys up, and choose slow ones. */
static unsigned burden(const ak_key *k) {
    unsigned n = 1;
    if (k != NULL && ak_key_type(k) == AK_KEY_ec) {
        uint16_t group = ak_key_group(k);
        n = group == AK_GROUP_secp256r1 ? 1 : group != 0 ? 2 : (ak_key_bits(k) + 127) / 128; /* other curves have no fast arithmetic */
    } else if (k != NULL) {
        n = (ak_key_bits(k) + 4095) / 4096;
    }
    return n > 1 ? n * n - 1 : 0;
}

ak_error ak_check_signature(ak_search *s, ak_cert *cert, ak_cert *issuer) {
    for (size_t i = 0; i < s->n_memo; i++)
        if (s->memo[i].cert == cert && (s->memo[i].issuer == issuer || ak_view_eq(s->memo[i].issuer->spki, issuer->spki))) return s->memo[i].error;
    if (s->r->signatures + s->burden >= s->max_signatures) {
        s->over = true;
        return AK_ERR_verify_budget;
    }
    s->r->signatures++;
    s->burden += burden(ak_cert_key(s->p, issuer, NULL));
    ak_error e = ak_cert_check_signature(s->p, cert, issuer, NULL);
    if (s->n_memo < AK_MEMO) {
        s->memo[s->n_memo].cert = cert;
        s->memo[s->n_memo].issuer = issuer;
        s->memo[s->n_memo++].error = e;
    }
    return e;
}

void ak_explain_signature(ak_search *s, size_t at, ak_error e, ak_findings *f) {
    ak_cert *c = s->path[at], *issuer = s->path[at + 1];
    words who = name_words(issuer->subject);
    if (e == AK_ERR_unsupported_certificate)
        ak_find(f, e, NULL, at, c, "RFC 5280 §4.1.1.2", "its signature (%s) cannot be checked with the key of \"%s\"",
                c->sigalg.name != NULL ? c->sigalg.name : "of an unknown algorithm", who.s);
    else if (e == AK_ERR_verify_budget)
        ak_find(f, e, NULL, at, c, "RFC 5280 §6.1.3(a)(1)", "its signature was not checked any more: %u checks are the limit", s->max_signatures);
    else if (!ak_view_eq(c->sigalg_der, c->sigalg_inner))
        ak_find(f, AK_ERR_certificate_signature, NULL, at, c, "RFC 5280 §4.1.1.2", "the algorithm inside and outside the signed part differ");
    else
        ak_find(f, AK_ERR_certificate_signature, NULL, at, c, "RFC 5280 §6.1.3(a)(1)", "its signature was not made with the key of \"%s\"", who.s);
}

void ak_explain_end(ak_search *s, size_t n, ak_findings *f) {
    ak_cert *last = s->path[n - 1];
    size_t anchors = ak_trust_count(s->t);
    words issuer = name_words(last->issuer);
    const char *plural = anchors == 1 ? "" : "s";
    bool self = last->self_issued && ak_check_signature(s, last, last) == AK_OK;
    if (n == AK_PATH_MAX || n >= s->max_depth)
        ak_find(f, AK_ERR_verify_budget, NULL, n - 1, last, "RFC 5280 §6.1", "no trusted CA within %zu certificates", n);
    else if (anchors == 0)
        ak_find(f, self && n == 1 ? AK_ERR_self_signed : AK_ERR_unknown_ca, NULL, n - 1, last, "RFC 5280 §6.1.1(d)", "no CA at all is trusted here");
    else if (self && n == 1)
        ak_find(f, AK_ERR_self_signed, NULL, 0, last, "RFC 5280 §6.1.1(d)", "it is signed with its own key, and is not among the %zu certificate%s trusted here",
                anchors, plural);
    else if (self)
        ak_find(f, AK_ERR_unknown_ca, NULL, n - 1, last, "RFC 5280 §6.1.1(d)", "the chain ends at this root, which is not among the %zu CA%s trusted here", anchors,
                plural);
    else if (ak_trust_has(s->t, last))
        ak_find(f, AK_ERR_unknown_ca, NULL, n - 1, last, "RFC 5280 §6.1.1(d)",
                "it is in the trust store, but is no root, and partial chains are not allowed; its issuer \"%s\" is unknown", issuer.s);
    else
        ak_find(f, AK_ERR_unknown_ca, NULL, n - 1, last, "RFC 5280 §6.1.1(d)", "its issuer \"%s\" is neither among the %zu CA%s trusted here nor was it sent along",
                issuer.s, anchors, plural);
}

/* ---- one certificate ---- */

static void check_form(ak_cert *c, size_t depth, ak_findings *f) {
    if (c->malformed) ak_find(f, AK_ERR_bad_certificate, NULL, depth, c, "RFC 5280 §4.2", "an extension cannot be read: %s", c->malformed_text);
    if (c->unknown_critical == NULL || f->quiet) {
        if (c->unknown_critical != NULL) ak_find(f, AK_ERR_unknown_critical_extension, NULL, depth, c, NULL, "-");
        return;
    }
    ak_buf b;
    ak_buf_init(&b, 1024);
    const char *name = ak_ext_name(c->unknown_critical->id);
    if (name != NULL) ak_puts(&b, name);
    else ak_oid_print(c->unknown_critical->oid, &b);
    words w = cut(&b);
    ak_find(f, AK_ERR_unknown_critical_extension, NULL, depth, c, "RFC 5280 §4.2", "the extension %s", w.s);
}

static void check_distrust(ak_search *s, ak_cert *c, size_t depth, ak_findings *f) {
    if (ak_trust_distrusts(s->t, s->v->purpose, c))
        ak_find(f, AK_ERR_distrusted, NULL, depth, c, "RFC 5280 §6.1.1(d)", "this trust store says that it is not to be trusted");
}

static void check_validity(ak_search *s, ak_cert *c, size_t depth, ak_findings *f) {
    int64_t now = s->v->time;
    if (now > c->not_after) /* inclusive: the last second counts */
        ak_find(f, AK_ERR_certificate_expired, NULL, depth, c, "RFC 5280 §6.1.3(a)(2)", "it was valid until %s; now is %s",
                f->quiet ? "" : time_words(c->not_after).s, f->quiet ? "" : time_words(now).s);
    else if (now < c->not_before)
        ak_find(f, AK_ERR_certificate_not_yet_valid, NULL, depth, c, "RFC 5280 §6.1.3(a)(2)", "it will be valid from %s; now is %s",
                f->quiet ? "" : time_words(c->not_before).s, f->quiet ? "" : time_words(now).s);
}

static const char *kind_name(ak_key_kind k) {
    switch (k) {
    case AK_KEY_rsa:
    case AK_KEY_rsa_pss: return "RSA";
    case AK_KEY_ec: return "EC";
    case AK_KEY_ed25519: return "Ed25519";
    case AK_KEY_ed448: return "Ed448";
    default: return "unknown";
    }
}

static void check_key(ak_search *s, ak_cert *c, size_t depth, ak_findings *f) {
    unsigned want = ak_level_bits(s->v->level);
    ak_key *k = ak_cert_key(s->p, c, NULL);
    if (k == NULL) {
        ak_find(f, AK_ERR_bad_certificate, NULL, depth, c, "RFC 5280 §4.1.2.7", "its public key cannot be used");
    } else if (ak_key_type(k) == AK_KEY_other) {
        ak_find(f, AK_ERR_unsupported_certificate, NULL, depth, c, "RFC 5280 §4.1.2.7", "its public key is of an unknown kind");
    } else if (ak_key_strength(k) < want) {
        ak_find(f, AK_ERR_key_too_short, NULL, depth, c, NULL, "its %s key of %u bits is worth %u bits; security level %u demands %u",
                kind_name(ak_key_type(k)), ak_key_bits(k), ak_key_strength(k), s->v->level, want);
    }
}

static void check_hash(ak_search *s, ak_cert *c, size_t depth, ak_findings *f) {
    unsigned want = ak_level_bits(s->v->level), has = ak_sigalg_strength(&c->sigalg);
    if (c->sigalg.kind == AK_SIG_unknown || c->sigalg.bad_parameters || has >= want) return; /* unknown ones fail when they are checked */
    ak_find(f, AK_ERR_weak_signature, NULL, depth, c, NULL, "it is signed with %s, which is worth %u bits; security level %u demands %u", c->sigalg.name, has,
            s->v->level, want);
}

static void check_purpose(ak_search *s, ak_cert *c, size_t depth, ak_findings *f) {
    bool server = s->v->purpose == AK_USE_server;
    unsigned want = server ? AK_EKU_server_auth : AK_EKU_client_auth;
    if (depth > 0) want |= AK_EKU_any; /* a CA that is for all is for this; an end entity must say it */
    if (!ak_cert_for(c, want))
        ak_find(f, AK_ERR_wrong_purpose, NULL, depth, c, "RFC 5280 §4.2.1.12", "its extended key usage does not say TLS %s authentication",
                server ? "server" : "client");
}

/* self_anchored: the end entity is itself trusted, so nobody's signature over it counts. */
static bool self_anchored(ak_search *s, ak_cert *leaf) {
    return (leaf->self_issued || ak_trust_partial_chain(s->t)) && ak_trust_has(s->t, leaf);
}

void ak_check_leaf(ak_search *s, ak_cert *leaf, ak_findings *f) {
    unsigned uses = AK_KU_digital_signature | AK_KU_key_agreement;
    if (s->v->purpose == AK_USE_server) uses |= AK_KU_key_encipherment;
    check_form(leaf, 0, f);
    check_distrust(s, leaf, 0, f);
    check_validity(s, leaf, 0, f);
    check_purpose(s, leaf, 0, f);
    if (!ak_cert_allows(leaf, uses))
        ak_find(f, AK_ERR_wrong_purpose, NULL, 0, leaf, "RFC 5280 §4.2.1.3", "its key usage allows nothing that a TLS %s does",
                s->v->purpose == AK_USE_server ? "server" : "client");
    if (leaf->ext[AK_EXT_ct_poison] != NULL && leaf->unknown_critical == NULL)
        ak_find(f, AK_ERR_unknown_critical_extension, NULL, 0, leaf, "RFC 6962 §3.1", "it is a precertificate");
    check_key(s, leaf, 0, f);
    if (!self_anchored(s, leaf)) check_hash(s, leaf, 0, f);
    if (s->v->host.p == NULL) return;
    ak_failure why = {0};
    ak_error e = ak_host_check(leaf, s->v->host, &why);
    if (e == AK_ERR_bad_host_name) ak_find(f, e, NULL, 0, leaf, "RFC 9525 §6.1", "%s is no name that a certificate could be for", why.detail);
    else if (e != AK_OK) ak_find(f, e, NULL, 0, leaf, "RFC 9525 §6", "%s", why.detail);
}

/* ---- one certificate as the issuer of the one before ---- */

void ak_check_issuer(ak_search *s, size_t at, bool anchor, ak_findings *f) {
    ak_cert *c = s->path[at];
    check_form(c, at, f);
    check_distrust(s, c, at, f);
    check_validity(s, c, at, f);
    bool old_root = anchor && c->version < 3; /* from before there were extensions */
    if (!old_root && !c->is_ca)
        ak_find(f, AK_ERR_not_a_ca, NULL, at, c, c->version < 3 ? "RFC 5280 §6.1.4(k)" : "RFC 5280 §4.2.1.9", "it is no CA, and vouches for another");
    else if (!ak_cert_allows(c, AK_KU_key_cert_sign))
        ak_find(f, AK_ERR_not_a_ca, NULL, at, c, "RFC 5280 §6.1.4(n)", "its key usage does not allow it to sign certificates");
    size_t below = 0;
    for (size_t i = 1; i < at; i++)
        if (!s->path[i]->self_issued) below++;
    if (c->is_ca && c->path_len >= 0 && below > (size_t)c->path_len)
        ak_find(f, AK_ERR_path_too_long, NULL, at, c, "RFC 5280 §6.1.4(m)", "it allows %d CAs below itself; there are %zu", c->path_len, below);
    check_purpose(s, c, at, f);
    check_key(s, c, at, f);
    if (!anchor) check_hash(s, c, at, f);
}

/* ---- revocation ---- */

static void say_revoked(ak_cert *c, size_t at, int64_t when, int reason, const char *by, ak_findings *f) {
    const char *why = ak_crl_reason_name(reason);
    ak_find(f, AK_ERR_certificate_revoked, NULL, at, c, by[0] == 'C' ? "RFC 5280 §6.3" : "RFC 6960 §2.2", "revoked on %s%s%s (the %s says so)",
            f->quiet ? "" : time_words(when).s, why != NULL ? ", reason " : "", why != NULL ? why : "", by);
}

/* ask_ocsp: what the stapled response says of the end entity, of the issuer on this path; each issuer's key once. */
static ak_error ask_ocsp(ak_search *s, ak_ocsp_answer *a, ak_failure *why) {
    ak_cert *issuer = s->path[1];
    memset(a, 0, sizeof *a);
    for (size_t i = 0; i < s->n_ocsp; i++) {
        if (!ak_view_eq(s->ocsp[i].issuer->spki, issuer->spki)) continue;
        *a = s->ocsp[i].answer;
        *why = s->ocsp[i].why;
        return s->ocsp[i].error;
    }
    if (s->r->signatures >= s->max_signatures) {
        s->over = true;
        return ak_fail(why, AK_ERR_verify_budget, "%u signature checks were not enough", s->max_signatures);
    }
    s->r->signatures++;
    ak_error e = ak_ocsp_check(s->p, a, s->v->ocsp, s->path[0], issuer, s->v->time, s->v->level, why);
    if (s->n_ocsp < AK_OCSP_MEMO) {
        s->ocsp[s->n_ocsp].issuer = issuer;
        s->ocsp[s->n_ocsp].error = e;
        s->ocsp[s->n_ocsp].answer = *a;
        s->ocsp[s->n_ocsp++].why = *why;
    }
    return e;
}

/* Whether a certificate of the path is revoked was `settled` when an answer that can be believed says yes or no; one that cannot be believed is a reason of
 * its own and settles it, too. */
static void check_ocsp(ak_search *s, size_t n, bool settled[AK_PATH_MAX], ak_findings *f, ak_findings *warnings) {
    ak_cert *leaf = s->path[0];
    bool must = leaf->must_staple && !s->v->no_must_staple && s->v->purpose == AK_USE_server;
    if (s->v->ocsp.n == 0) {
        if (must) ak_find(f, AK_ERR_must_staple, NULL, 0, leaf, "RFC 7633 §4.2.3.1", "it promises a stapled OCSP response");
        return;
    }
    if (n < 2) { /* nobody but the certificate itself stands above it */
        ak_find(warnings, AK_OK, "ocsp_not_checked", 0, leaf, NULL, "the stapled OCSP response cannot be checked without the issuer");
        return;
    }
    ak_ocsp_answer a;
    ak_failure why = {0};
    ak_error e = ask_ocsp(s, &a, &why);
    s->r->revocation_by = "ocsp";
    s->r->revocation = e == AK_OK ? a.status : e == AK_ERR_certificate_revoked ? AK_REVOCATION_revoked : AK_REVOCATION_bad;
    settled[0] = e != AK_OK || a.status == AK_REVOCATION_good;
    if (e == AK_ERR_certificate_revoked) say_revoked(leaf, 0, a.revoked_at, a.reason, "OCSP response", f);
    else if (e != AK_OK) ak_find(f, e, NULL, 0, leaf, "RFC 6960 §3.2", "%s", why.detail);
    else if (a.status == AK_REVOCATION_unknown && must) ak_find(f, AK_ERR_must_staple, NULL, 0, leaf, "RFC 7633 §4.2.3.1", "the OCSP responder does not know it");
    else if (a.status == AK_REVOCATION_unknown)
        ak_find(warnings, AK_OK, "revocation_unknown", 0, leaf, "RFC 6960 §2.2", "the OCSP responder does not know it");
}

static void check_crls(ak_search *s, size_t n, bool settled[AK_PATH_MAX], ak_findings *f, ak_findings *warnings) {
    ak_crl *const *own;
    if (ak_trust_crls(s->t, &own) + s->v->n_crls == 0) return;
    ak_crl_query q = {.p = s->p,
                      .trust = s->t,
                      .crls = s->v->crls,
                      .n_crls = s->v->n_crls,
                      .time = s->v->time,
                      .strict = ak_trust_strict(s->t),
                      .level = s->v->level,
                      .signatures = &s->r->signatures,
                      .max_signatures = s->max_signatures,
                      .path = s->path,
                      .n_path = n,
                      .signers = s->pool,
                      .n_signers = s->n_pool};
    for (size_t i = 0; i + 1 < n; i++) {
        ak_cert *c = s->path[i];
        int64_t when = 0;
        int reason;
        ak_failure why = {0};
        ak_revocation status = ak_crl_status(&q, c, s->path[i + 1], &when, &reason, &why);
        if (status == AK_REVOCATION_revoked) say_revoked(c, i, when, reason, "CRL", f);
        else if (status == AK_REVOCATION_bad) ak_find(f, why.error, NULL, i, c, "RFC 5280 §6.3.3", "%s", why.detail);
        else if (status != AK_REVOCATION_good && !settled[i])
            ak_find(warnings, AK_OK, "revocation_unknown", i, c, "RFC 5280 §6.3", "no CRL that was given speaks of it");
        if (status != AK_REVOCATION_none && status != AK_REVOCATION_unknown) settled[i] = true;
        if (i == 0 && status != AK_REVOCATION_none && s->r->revocation_by == NULL) {
            s->r->revocation_by = "crl";
            s->r->revocation = status;
        }
    }
}

/* check_settled: whether there are the answers that the trust store demands. Nobody is asked about an anchor, nor about an end entity that is one. */
static void check_settled(ak_search *s, size_t n, const bool settled[AK_PATH_MAX], ak_findings *f) {
    ak_demand demand = ak_trust_revocation(s->t);
    size_t asked = demand == AK_DEMAND_none || n < 2 ? 0 : demand == AK_DEMAND_leaf ? 1 : n - 1;
    for (size_t i = 0; i < asked; i++)
        if (!settled[i])
            ak_find(f, AK_ERR_revocation_unknown, NULL, i, s->path[i], "RFC 5280 §6.3", "nobody says whether it is revoked, and an answer is demanded");
}

/* ---- the whole path ---- */

void ak_check_path(ak_search *s, size_t n, bool anchored, bool vouched, ak_findings *f, ak_findings *warnings) {
    ak_path path = {s->path, n, anchored};
    for (size_t i = 0; i < n - (anchored ? 1 : 0); i++) ak_check_profile(s->path[i], i, ak_trust_strict(s->t), f, warnings);
    ak_check_constraints(&path, &s->names_work, f);
    ak_check_policies(&path, ak_trust_policies(s->t), f);
    s->r->revocation = AK_REVOCATION_none;
    s->r->revocation_by = NULL;
    if (!vouched) return;
    bool settled[AK_PATH_MAX] = {false};
    check_ocsp(s, n, settled, f, warnings);
    check_crls(s, n, settled, f, warnings);
    check_settled(s, n, settled, f);
}

void ak_check_warnings(ak_search *s, size_t n, bool anchored, ak_findings *w) {
    int64_t now = s->v->time;
    for (size_t i = 0; i < n; i++) {
        ak_cert *c = s->path[i];
        int64_t left = c->not_after - now, life = c->not_after - c->not_before;
        /* Certificates that live for days are always near their end: a third of the life must be gone by, too. */
        if (left >= 0 && left < NEAR_EXPIRY && left < life / 3)
            ak_find(w, AK_OK, "near_expiry", i, c, NULL, "it expires on %s, in %lld days", time_words(c->not_after).s, (long long)(left / DAY));
        bool checked = i + 1 < n; /* a signature that counted */
        if (checked && ak_sigalg_strength(&c->sigalg) < 80)
            ak_find(w, AK_OK, "weak_signature", i, c, NULL, "it is signed with %s", c->sigalg.name != NULL ? c->sigalg.name : "an unknown algorithm");
        ak_key *k = ak_cert_key(s->p, c, NULL);
        if (k != NULL && ak_key_strength(k) < 112)
            ak_find(w, AK_OK, "short_key", i, c, NULL, "its %s key has %u bits", kind_name(ak_key_type(k)), ak_key_bits(k));
    }
    ak_crl *const *crls;
    bool asked = s->r->revocation_by != NULL || ak_trust_crls(s->t, &crls) + s->v->n_crls > 0;
    if (!asked && anchored && n > 1)
        ak_find(w, AK_OK, "no_revocation_answer", 0, s->path[0], "RFC 5280 §6.3", "nobody was asked whether it is revoked");
}
