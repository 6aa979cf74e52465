/* constraints.c: name constraints (RFC 5280 §4.2.1.10, §6.1.3(b)-(c), §6.1.4(g)). The constraints of every CA on the path, the anchor's too, hold for all
 * names below it. */
#include "x509/internal.h"

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c; }

static bool same(ak_view a, ak_view b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

static ak_view tail(ak_view v, size_t from) { return ak_view_of(v.p + from, v.n - from); }

typedef enum answer { OUTSIDE, INSIDE, UNREADABLE } answer;

/* ---- one name against one subtree ---- */

static bool dns_shape(ak_view v) {
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = lower(v.p[i]);
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || (c == '*' && i == 0);
        if (c == '.' ? i == 0 || v.p[i - 1] == '.' || i + 1 == v.n : !plain) return false;
    }
    return v.n > 0;
}

/* within: `name` is `base`, or has labels before it. A base that begins with a dot is not in the standard but in use: below it, not itself. */
static bool within(ak_view name, ak_view base) {
    if (base.n == 0) return true;
    if (name.n < base.n) return false;
    size_t at = name.n - base.n;
    if (!same(tail(name, at), base)) return false;
    return base.p[0] == '.' ? at > 0 : at == 0 || name.p[at - 1] == '.';
}

/* domain_of: a base without the leading dot that means "below it". */
static ak_view domain_of(ak_view base) { return base.n > 0 && base.p[0] == '.' ? tail(base, 1) : base; }

/* no_domain: whether a base that is to exclude names is none that a name could be compared with: then nothing would ever be excluded by it. */
static bool no_domain(ak_view base) { return base.n > 0 && (!dns_shape(domain_of(base)) || domain_of(base).p[0] == '*'); }

static answer dns(ak_view name, ak_view base, bool excluded) {
    if (!dns_shape(name) || (excluded && no_domain(base))) return UNREADABLE;
    if (within(name, base)) return INSIDE;
    if (!excluded || base.n == 0) return OUTSIDE;
    base = domain_of(base); /* when in doubt, excluded */
    if (same(name, base)) return INSIDE;
    /* "*.example.com" could stand for an excluded "host.example.com" */
    const uint8_t *dot = memchr(base.p, '.', base.n);
    bool wildcard = name.n > 2 && name.p[0] == '*' && name.p[1] == '.';
    return wildcard && dot != NULL && same(tail(name, 2), tail(base, (size_t)(dot + 1 - base.p))) ? INSIDE : OUTSIDE;
}

/* host_within: the rule of email and URI constraints: a host exactly, or with a leading dot all hosts below a domain. */
static bool host_within(ak_view host, ak_view base) {
    if (base.n > 0 && base.p[0] == '.') return host.n > base.n && same(tail(host, host.n - base.n), base);
    return same(host, base);
}

static answer email(ak_view name, ak_view base, bool excluded) {
    const uint8_t *at = name.n > 0 ? memchr(name.p, '@', name.n) : NULL;
    if (at == NULL || at == name.p) return UNREADABLE;
    ak_view host = tail(name, (size_t)(at + 1 - name.p));
    if (!dns_shape(host)) return UNREADABLE; /* also a second "@": quoted local parts are not read */
    if (base.n == 0) return INSIDE;
    const uint8_t *base_at = memchr(base.p, '@', base.n);
    if (excluded && no_domain(base_at != NULL ? tail(base, (size_t)(base_at + 1 - base.p)) : base)) return UNREADABLE;
    if (base_at == NULL) return host_within(host, base) ? INSIDE : OUTSIDE;
    ak_view local = ak_view_of(name.p, (size_t)(at - name.p)), base_local = ak_view_of(base.p, (size_t)(base_at - base.p));
    if (local.p[0] == '"' || base_local.n == 0 || base_local.p[0] == '"') return UNREADABLE; /* "\f\o\o" would be foo (RFC 5321 §4.1.2) */
    bool equal = ak_view_eq(local, base_local) && same(host, tail(base, base_local.n + 1));
    return equal ? INSIDE : OUTSIDE;
}

static bool scheme_byte(uint8_t c) {
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

static answer uri(ak_view name, ak_view base, bool excluded) {
    size_t i = 0;
    while (i < name.n && scheme_byte(name.p[i])) i++;
    if (i == 0 || name.n - i < 3 || memcmp(name.p + i, "://", 3) != 0) return UNREADABLE; /* no authority */
    if (excluded && no_domain(base)) return UNREADABLE;
    ak_view host = tail(name, i + 3);
    for (i = 0; i < host.n && host.p[i] != '/' && host.p[i] != '?' && host.p[i] != '#';) i++;
    host.n = i;
    const uint8_t *at = host.n > 0 ? memchr(host.p, '@', host.n) : NULL;
    if (at != NULL) host = tail(host, (size_t)(at + 1 - host.p));
    const uint8_t *colon = host.n > 0 ? memchr(host.p, ':', host.n) : NULL;
    if (colon != NULL) host.n = (size_t)(colon - host.p);
    uint8_t ip[16];
    if (!dns_shape(host) || ak_host_ip(host, ip) != 0) return UNREADABLE; /* a host name is required */
    return base.n == 0 || host_within(host, base) ? INSIDE : OUTSIDE;
}

static answer ip(ak_view name, ak_view base) {
    if (base.n != 2 * name.n) return OUTSIDE;
    for (size_t i = 0; i < name.n; i++)
        if (((name.p[i] ^ base.p[i]) & base.p[name.n + i]) != 0) return OUTSIDE;
    return INSIDE;
}

static answer compare(const ak_gn *name, const ak_gn *base, bool excluded) {
    switch (name->kind) {
    case AK_GN_dns: return dns(name->value, base->value, excluded);
    case AK_GN_email: return email(name->value, base->value, excluded);
    case AK_GN_uri: return uri(name->value, base->value, excluded);
    case AK_GN_ip: return ip(name->value, base->value);
    case AK_GN_directory: return ak_name_within(name->value, base->value) ? INSIDE : OUTSIDE;
    default: return UNREADABLE; /* §4.2.1.10: a constraint that cannot be processed means refusal */
    }
}

/* ---- one name against all subtrees of one CA ---- */

typedef struct checker {
    unsigned *work;
    ak_findings *s;
    ak_cert *ca, *cert;
    size_t depth;
    bool stop;
} checker;

static void violation(checker *k, const ak_gn *name, const char *how) {
    ak_buf text, who;
    ak_buf_init(&text, 1024); /* what does not fit is not shown */
    ak_buf_init(&who, 4096);
    ak_gn_print(name, &text);
    ak_name_brief(k->ca->subject, &who);
    ak_find(k->s, AK_ERR_name_constraint, NULL, k->depth, k->cert, "RFC 5280 §4.2.1.10", "the name %.*s is %s \"%.*s\"",
            (int)ak_text_whole(ak_buf_view(&text), 200), text.n > 0 ? (const char *)text.p : "", how, (int)who.n,
            who.n > 0 ? (const char *)who.p : "");
    ak_buf_free(&text);
    ak_buf_free(&who);
    k->stop = true; /* one violation per certificate and CA is enough to say */
}

/* spend: long names are long to compare. A directory name is read attribute by attribute, and that already before it is known whether the other is one, too;
 * and however short a constraint is, the name may have any amount of white space where it has one space.
 * False: nothing is left of the work that the whole verification may cost. */
static bool spend(checker *k, const ak_gn *name, const ak_gn *base) {
    size_t cost = 1;
    if (base->kind == AK_GN_directory) cost += (base->value.n + (name->kind == AK_GN_directory ? name->value.n : 0)) / 2;
    else if (base->kind == name->kind) cost += (name->value.n + base->value.n) / 64;
    if (*k->work >= cost) {
        *k->work -= (unsigned)cost;
        return true;
    }
    *k->work = 0;
    ak_find(k->s, AK_ERR_verify_budget, NULL, k->depth, k->cert, "RFC 5280 §4.2.1.10", "too many names and name constraints");
    k->stop = true;
    return false;
}

/* subtrees: walks one list; *any: one was of the name's kind, *inside: one holds the name. */
static bool subtrees(checker *k, ak_view list, const ak_gn *name, bool excluded, bool *any, bool *inside) {
    ak_rd r, one;
    ak_gn base;
    ak_rd_view(&r, list);
    while (ak_rd_left(&r) > 0 && ak_der_enter(&r, AK_DER_SEQUENCE, &one) && ak_gn_read(&one, &base, true)) {
        if (!spend(k, name, &base)) return false;
        if (base.kind != name->kind) continue;
        *any = true;
        answer a = compare(name, &base, excluded);
        if (a == UNREADABLE) {
            violation(k, name, "one that cannot be compared with the constraints of");
            return false;
        }
        if (a == INSIDE) *inside = true;
    }
    return true;
}

static void check_name(checker *k, ak_gn_kind kind, ak_view value) {
    ak_gn name = {kind, value};
    bool any = false, inside = false;
    if (k->stop || !subtrees(k, k->ca->nc_excluded, &name, true, &any, &inside)) return;
    if (inside) {
        violation(k, &name, "excluded by");
        return;
    }
    any = false;
    if (!subtrees(k, k->ca->nc_permitted, &name, false, &any, &inside)) return;
    if (any && !inside) violation(k, &name, "outside of what is permitted by");
}

static void check_cert(checker *k) {
    ak_view names = k->cert->san, address;
    ak_name_walk w;
    ak_gn gn;
    if (!ak_name_empty(k->cert->subject)) check_name(k, AK_GN_directory, k->cert->subject);
    while (!k->stop && ak_names_next(&names, &gn)) check_name(k, gn.kind, gn.value);
    /* §4.2.1.10: the emailAddress attribute of old counts, too; here also beside a subjectAltName, as who reads it may not look there. */
    if (k->stop || !ak_name_walk_start(&w, k->cert->subject)) return;
    while (!k->stop && ak_name_email(&w, &address)) check_name(k, AK_GN_email, address);
}

void ak_check_constraints(const ak_path *path, unsigned *work, ak_findings *s) {
    for (size_t ca = path->n; ca-- > 1;) {
        if (path->certs[ca]->nc_permitted.n == 0 && path->certs[ca]->nc_excluded.n == 0) continue;
        for (size_t i = 0; i < ca; i++) {
            checker k = {work, s, path->certs[ca], path->certs[i], i, false};
            if (i > 0 && path->certs[i]->self_issued) continue;
            check_cert(&k);
        }
    }
}
