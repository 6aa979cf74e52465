/* policy.c: certificate policies (RFC 5280 §6.1). One thing can go wrong: somebody demands an explicit policy, and none that the user takes is valid along the
 * whole path. For that the last level of the policy tree is enough: the set of policies expected next, each with a mark whether it goes back to one that the
 * user takes (§6.1.5(g)). It cannot grow exponentially as the tree does. */
#include "x509/internal.h"

#define MAX_EXPECTED 128

typedef struct expected {
    ak_view oid[MAX_EXPECTED];
    bool wanted[MAX_EXPECTED]; /* it goes back to one of the user's */
    size_t n;
    bool any; /* anyPolicy is among them */
    bool full;
} expected;

#define NONE SIZE_MAX

static size_t find(const expected *e, ak_view oid) {
    for (size_t i = 0; i < e->n; i++)
        if (ak_view_eq(e->oid[i], oid)) return i;
    return NONE;
}

static void put(expected *e, ak_view oid, bool wanted) {
    size_t at = find(e, oid);
    if (at == NONE && e->n == MAX_EXPECTED) {
        e->full = true;
        return;
    }
    if (at == NONE) {
        at = e->n++;
        e->oid[at] = oid;
        e->wanted[at] = false;
    }
    e->wanted[at] = e->wanted[at] || wanted;
}

/* known: whether a policy of a certificate is expected: by its name, or because any is and the user's list decides what it is worth. */
static bool known(const expected *e, const ak_policies *user, ak_view oid, bool *wanted) {
    size_t at = find(e, oid);
    *wanted = at != NONE ? e->wanted[at] : ak_policies_have(user, oid);
    return at != NONE || e->any;
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
static void take(expected *e, const ak_cert *c, const ak_policies *user, bool any_allowed) {
    expected out = {.n = 0};
    ak_rd r;
    ak_view oid;
    bool any = false, wanted;
    ak_rd_view(&r, c->policies);
    while (next_policy(&r, &oid)) {
        if (AK_OID_IS(oid, AK_OID_ANY_POLICY)) any = true;
        else if (known(e, user, oid, &wanted)) put(&out, oid, wanted);
    }
    if (any && any_allowed) {
        for (size_t i = 0; i < e->n; i++) put(&out, e->oid[i], e->wanted[i]);
        out.any = e->any;
    }
    out.full = out.full || e->full;
    *e = out;
}

/* map: §6.1.4(b). False: a mapping to or from anyPolicy (§6.1.4(a)). */
static bool map(expected *e, const ak_cert *c, const ak_policies *user, bool allowed) {
    expected out = {.any = e->any, .full = e->full};
    ak_rd r;
    ak_view from, to;
    bool wanted;
    ak_rd_view(&r, c->policy_mappings);
    while (next_mapping(&r, &from, &to)) {
        if (AK_OID_IS(from, AK_OID_ANY_POLICY) || AK_OID_IS(to, AK_OID_ANY_POLICY)) return false;
        if (allowed && known(e, user, from, &wanted)) put(&out, to, wanted);
    }
    for (size_t i = 0; i < e->n; i++) { /* those that are not mapped stay */
        bool mapped = false;
        ak_rd_view(&r, c->policy_mappings);
        while (next_mapping(&r, &from, &to)) mapped = mapped || ak_view_eq(from, e->oid[i]);
        if (!mapped) put(&out, e->oid[i], e->wanted[i]);
    }
    *e = out;
    return true;
}

static void limit(size_t *counter, int by) {
    if (by >= 0 && (size_t)by < *counter) *counter = (size_t)by;
}

/* any_wanted: whether something is left when all goes that does not go back to the user's policies. */
static bool any_wanted(const expected *e) {
    bool any = e->any;
    for (size_t i = 0; i < e->n; i++) any = any || e->wanted[i];
    return any;
}

void ak_check_policies(const ak_path *path, const ak_policies *user, ak_findings *s) {
    bool asked = user->required; /* nothing to do when nobody can demand a policy */
    for (size_t i = 0; i < path->n; i++) asked = asked || path->certs[i]->require_explicit_policy >= 0 || path->certs[i]->policy_mappings.n > 0;
    if (!asked) return;
    size_t n = path->n - (path->anchored ? 1 : 0); /* the anchor is not part of the path (§6.1) */
    size_t explicit_policy = user->required ? 0 : n + 1, mapping = user->no_mapping ? 0 : n + 1, inhibit_any = user->no_any ? 0 : n + 1;
    expected e = {.any = true};
    for (size_t i = n; i-- > 0;) { /* from the anchor's side */
        ak_cert *c = path->certs[i];
        bool last = i == 0;
        take(&e, c, user, inhibit_any > 0 || (!last && c->self_issued));
        bool none = e.n == 0 && !e.any;
        if (explicit_policy == 0 && none) {
            ak_find(s, AK_ERR_certificate_policy, NULL, i, c, "RFC 5280 §6.1.3(f)", "an explicit policy is demanded, and none is valid down to here");
            return;
        }
        if (!last && !map(&e, c, user, mapping > 0)) {
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
            if (explicit_policy == 0 && !any_wanted(&e))
                ak_find(s, AK_ERR_certificate_policy, NULL, i, c, "RFC 5280 §6.1.5(g)", "an explicit policy is demanded, and none that is taken here is valid for it");
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
