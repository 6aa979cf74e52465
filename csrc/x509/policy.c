/* policy.c: certificate policies (RFC 5280 §6.1) for a user who takes any policy. Then only one thing can go wrong: a CA demands an explicit policy and
 * none is valid along the whole path. For that the last level of the policy tree is enough: the set of policies expected next, which
 * also cannot grow exponentially as the tree does. */
#include "x509/internal.h"

#define MAX_EXPECTED 128

typedef struct expected {
    ak_view oid[MAX_EXPECTED];
    size_t n;
    bool any; /* anyPolicy is among them */
    bool full;
} expected;

static bool has(const expected *e, ak_view oid) {
    for (size_t i = 0; i < e->n; i++)
        if (ak_view_eq(e->oid[i], oid)) return true;
    return false;
}

static void put(expected *e, ak_view oid) {
    if (has(e, oid)) return;
    if (e->n == MAX_EXPECTED) e->full = true;
    else e->oid[e->n++] = oid;
}

static bool next_policy(ak_rd *r, ak_view *oid) {
    ak_rd info;
    return ak_rd_left(r) > 0 && ak_der_enter(r, AK_DER_SEQUENCE, &info) && ak_der_get(&info, AK_DER_OID, oid);
}

static bool next_mapping(ak_rd *r, ak_view *from, ak_view *to) {
    ak_rd pair;
    return ak_rd_left(r) > 0 && ak_der_enter(r, AK_DER_SEQUENCE, &pair) && ak_der_get(&pair, AK_DER_OID, from) && ak_der_get(&pair, AK_DER_OID, to);
}

/* take: §6.1.3(d), (e): what the certificate's policies leave of those expected. */
static void take(expected *e, const ak_cert *c, bool any_allowed) {
    expected out = {.n = 0};
    ak_rd r;
    ak_view oid;
    bool any = false;
    ak_rd_view(&r, c->policies);
    while (next_policy(&r, &oid)) {
        if (AK_OID_IS(oid, AK_OID_ANY_POLICY)) any = true;
        else if (e->any || has(e, oid)) put(&out, oid);
    }
    if (any && any_allowed) {
        for (size_t i = 0; i < e->n; i++) put(&out, e->oid[i]);
        out.any = e->any;
    }
    out.full = out.full || e->full;
    *e = out;
}

/* map: §6.1.4(b). False: a mapping to or from anyPolicy (§6.1.4(a)). */
static bool map(expected *e, const ak_cert *c, bool allowed) {
    expected out = {.any = e->any, .full = e->full};
    ak_rd r;
    ak_view from, to;
    ak_rd_view(&r, c->policy_mappings);
    while (next_mapping(&r, &from, &to)) {
        if (AK_OID_IS(from, AK_OID_ANY_POLICY) || AK_OID_IS(to, AK_OID_ANY_POLICY)) return false;
        if (allowed && (e->any || has(e, from))) put(&out, to);
    }
    for (size_t i = 0; i < e->n; i++) { /* those that are not mapped stay */
        bool mapped = false;
        ak_rd_view(&r, c->policy_mappings);
        while (next_mapping(&r, &from, &to)) mapped = mapped || ak_view_eq(from, e->oid[i]);
        if (!mapped) put(&out, e->oid[i]);
    }
    *e = out;
    return true;
}

static void limit(size_t *counter, int by) {
    if (by >= 0 && (size_t)by < *counter) *counter = (size_t)by;
}

void ak_check_policies(const ak_path *path, ak_findings *s) {
    bool asked = false; /* nothing to do when nobody can demand a policy */
    for (size_t i = 0; i < path->n; i++) asked = asked || path->certs[i]->require_explicit_policy >= 0 || path->certs[i]->policy_mappings.n > 0;
    if (!asked) return;
    size_t n = path->n - (path->anchored ? 1 : 0); /* the anchor is not part of the path (§6.1) */
    size_t explicit_policy = n + 1, mapping = n + 1, inhibit_any = n + 1;
    expected e = {.any = true};
    for (size_t i = n; i-- > 0;) { /* from the anchor's side */
        ak_cert *c = path->certs[i];
        bool last = i == 0;
        take(&e, c, inhibit_any > 0 || (!last && c->self_issued));
        bool none = e.n == 0 && !e.any;
        if (explicit_policy == 0 && none) {
            ak_find(s, AK_ERR_certificate_policy, NULL, i, c, "RFC 5280 §6.1.3(f)", "an explicit policy is demanded, and none is valid down to here");
            return;
        }
        if (!last && !map(&e, c, mapping > 0)) {
            ak_find(s, AK_ERR_certificate_policy, NULL, i, c, "RFC 5280 §6.1.4(a)", "a policy is mapped to or from anyPolicy");
            return;
        }
        if (e.full) {
            ak_find(s, AK_ERR_verify_budget, NULL, i, c, "RFC 5280 §6.1", "too many policies");
            return;
        }
        if (last) {
            if (explicit_policy > 0) explicit_policy--; /* §6.1.5(a), (b) */
            if (c->require_explicit_policy == 0) explicit_policy = 0;
            if (explicit_policy == 0 && none)
                ak_find(s, AK_ERR_certificate_policy, NULL, i, c, "RFC 5280 §6.1.5(g)", "an explicit policy is demanded, and none is valid for it");
            return;
        }
        if (!c->self_issued) { /* §6.1.4(h) */
            if (explicit_policy > 0) explicit_policy--;
            if (mapping > 0) mapping--;
            if (inhibit_any > 0) inhibit_any--;
        }
        limit(&explicit_policy, c->require_explicit_policy);
        limit(&mapping, c->inhibit_policy_mapping);
        limit(&inhibit_any, c->inhibit_any_policy);
    }
}
