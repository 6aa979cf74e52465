/* verify.c: finding a path from the peer's certificate to somebody trusted.
 *
 * Depth first, anchors before the peer's own certificates. While building, a certificate that could not be part of a good path is left at once; a
 * path that reaches an anchor is then judged as a whole, and another is tried when it does not please. The peer decides what there is to search,
 * so paths, signature checks and depth have budgets.
 *
 * When no path is good, a second walk takes every step that the names allow, judges each path in full, and keeps the least bad one for the
 * report: so that all reasons are said, not just the first. */
#include "x509/search.h"

#include <stdlib.h>

void ak_verify_defaults(ak_verify_params *v) {
    memset(v, 0, sizeof *v);
    v->purpose = AK_USE_server;
    v->level = AK_VERIFY_LEVEL;
    v->max_depth = AK_VERIFY_DEPTH;
    v->max_signatures = AK_VERIFY_SIGNATURES;
    v->max_paths = AK_VERIFY_PATHS;
}

/* ---- who may come next ---- */

typedef struct candidate {
    ak_cert *cert;
    bool anchor;
    int rank; /* smaller is tried first */
} candidate;

#define MAX_CANDIDATES 128

/* is_anchor: whether a path may end here. A certificate that others signed is an end only when partial chains are wanted. */
static bool is_anchor(const ak_search *s, const ak_cert *c) { return c->self_issued || ak_trust_partial_chain(s->t); }

static bool key_id_differs(const ak_cert *c, const ak_cert *issuer) {
    return c->aki_key_id.n > 0 && issuer->ski.n > 0 && !ak_view_eq(c->aki_key_id, issuer->ski);
}

/* on_path: the same CA (name and key) twice on a path is a loop, whichever certificates say so. */
static bool on_path(const ak_search *s, size_t n, const ak_cert *c) {
    for (size_t i = 0; i < n; i++) {
        const ak_cert *have = s->path[i];
        if (have == c || (have->subject_hash == c->subject_hash && ak_view_eq(have->spki, c->spki) && ak_name_eq(have->subject, c->subject))) return true;
    }
    return false;
}

static void offer(ak_search *s, size_t n, candidate *list, size_t *count, ak_cert *c, bool anchor) {
    const ak_cert *child = s->path[n - 1];
    if (on_path(s, n, c)) return;
    for (size_t i = 0; i < *count; i++)
        if (ak_cert_same(list[i].cert, c)) return;
    int rank = (anchor ? 0 : 1) + (key_id_differs(child, c) ? 4 : 0) + (s->v->time < c->not_before || s->v->time > c->not_after ? 2 : 0);
    size_t at = *count < MAX_CANDIDATES ? (*count)++ : MAX_CANDIDATES - 1;
    if (*count == MAX_CANDIDATES && list[at].cert != NULL && list[at].rank <= rank) return;
    for (; at > 0 && list[at - 1].rank > rank; at--) list[at] = list[at - 1];
    list[at] = (candidate){c, anchor, rank};
}

static size_t candidates(ak_search *s, size_t n, candidate list[MAX_CANDIDATES]) {
    const ak_cert *child = s->path[n - 1];
    size_t count = 0, at = 0;
    ak_cert *c;
    memset(list, 0, MAX_CANDIDATES * sizeof *list);
    while ((c = ak_trust_next(s->t, child->issuer, child->issuer_hash, &at)) != NULL) offer(s, n, list, &count, c, is_anchor(s, c));
    for (size_t i = 0; i < s->n_pool; i++) {
        c = s->pool[i];
        if (c->subject_hash == child->issuer_hash && ak_name_eq(c->subject, child->issuer)) offer(s, n, list, &count, c, false);
    }
    return count;
}

/* ---- what was tried ---- */

static void remember(ak_search *s, size_t n, bool anchored, ak_error e, size_t depth) {
    ak_report *r = s->r;
    if (++s->paths >= s->max_paths) s->over = true;
    if (r->tried == NULL) r->tried = calloc(AK_REPORT_TRIED, sizeof *r->tried);
    if (r->tried == NULL || r->n_tried == AK_REPORT_TRIED) {
        r->n_more++;
        return;
    }
    ak_tried *t = &r->tried[r->n_tried++];
    for (size_t i = 0; i < n; i++) t->certs[i] = ak_cert_ref(s->path[i]);
    t->n = n;
    t->anchored = anchored;
    t->error = e;
    t->depth = depth;
}

/* ---- the first walk: is there a good path? ---- */

static bool accept(ak_search *s, size_t n) {
    ak_findings quiet = {.quiet = true}, warnings = {0};
    ak_check_path(s, n, true, true, &quiet, &warnings);
    if (quiet.first != AK_OK) {
        ak_findings_free(&warnings);
        remember(s, n, true, quiet.first, quiet.first_depth);
        return false;
    }
    s->warnings = warnings;
    if (s->paths > 0) remember(s, n, true, AK_OK, 0); /* a list of one path says nothing */
    s->n_best = n;
    s->best_anchored = true;
    s->best_revocation = s->r->revocation;
    s->best_revocation_by = s->r->revocation_by;
    memcpy(s->best, s->path, n * sizeof *s->best);
    return true;
}

static bool seek(ak_search *s, size_t n, bool anchored) {
    candidate list[MAX_CANDIDATES];
    if (anchored) return accept(s, n);
    if (n >= s->max_depth) {
        remember(s, n, false, AK_ERR_verify_budget, n - 1);
        return false;
    }
    size_t count = candidates(s, n, list);
    if (count == 0) remember(s, n, false, AK_ERR_unknown_ca, n - 1);
    for (size_t i = 0; i < count && !s->over; i++) {
        ak_findings quiet = {.quiet = true};
        s->path[n] = list[i].cert;
        ak_check_issuer(s, n, list[i].anchor, &quiet);
        if (quiet.first == AK_OK) {
            quiet.first = ak_check_signature(s, s->path[n - 1], s->path[n]);
            quiet.first_depth = n - 1;
        }
        if (quiet.first != AK_OK) remember(s, n + 1, list[i].anchor, quiet.first, quiet.first_depth);
        else if (seek(s, n + 1, list[i].anchor)) return true;
    }
    return false;
}

/* ---- the second walk: what is wrong? ---- */

/* better: whether findings a make a less bad path than b. */
static bool better(const ak_findings *a, bool a_anchored, const ak_findings *b, bool b_anchored) {
    unsigned worst_a = ~0u, worst_b = ~0u;
    for (size_t i = 0; i < a->n; i++)
        if (ak_severity(a->items[i].error) < worst_a) worst_a = ak_severity(a->items[i].error);
    for (size_t i = 0; i < b->n; i++)
        if (ak_severity(b->items[i].error) < worst_b) worst_b = ak_severity(b->items[i].error);
    if (worst_a != worst_b) return worst_a > worst_b;
    if (a_anchored != b_anchored) return a_anchored;
    return a->n < b->n;
}

static void judge(ak_search *s, size_t n, bool anchored) {
    ak_findings f = {0}, warnings = {0};
    bool vouched = anchored;
    for (size_t i = 1; i < n; i++) {
        ak_check_issuer(s, i, anchored && i == n - 1, &f);
        ak_error e = ak_check_signature(s, s->path[i - 1], s->path[i]);
        if (e != AK_OK) ak_explain_signature(s, i - 1, e, &f);
        vouched = vouched && e == AK_OK;
    }
    if (!anchored) ak_explain_end(s, n, &f);
    ak_check_path(s, n, anchored, vouched, &f, &warnings);
    if (s->n_best == 0 || better(&f, anchored, &s->best_reasons, s->best_anchored)) {
        ak_findings_free(&s->best_reasons);
        ak_findings_free(&s->warnings);
        s->best_reasons = f;
        s->warnings = warnings;
        s->n_best = n;
        s->best_anchored = anchored;
        s->best_revocation = s->r->revocation;
        s->best_revocation_by = s->r->revocation_by;
        memcpy(s->best, s->path, n * sizeof *s->best);
    } else {
        ak_findings_free(&f);
        ak_findings_free(&warnings);
    }
    if (++s->paths >= s->max_paths) s->over = true;
}

static void explore(ak_search *s, size_t n, bool anchored) {
    candidate list[MAX_CANDIDATES];
    size_t gone = 0, count = anchored || n >= s->max_depth ? 0 : candidates(s, n, list);
    for (size_t i = 0; i < count && !s->over; i++) {
        s->path[n] = list[i].cert;
        /* Somebody of the same name whose key it was not, as its key identifier says too, is just somebody else. */
        if (key_id_differs(s->path[n - 1], s->path[n]) && ak_check_signature(s, s->path[n - 1], s->path[n]) == AK_ERR_certificate_signature) continue;
        gone++;
        explore(s, n + 1, list[i].anchor);
    }
    if (gone == 0) judge(s, n, anchored);
}

/* ---- the report ---- */

static bool append(ak_reason **list, size_t *n, ak_findings *f) {
    if (f->n == 0) {
        ak_findings_free(f);
        return true;
    }
    ak_reason *all = realloc(*list, (*n + f->n) * sizeof *all);
    if (all == NULL) return false;
    *list = all;
    memcpy(all + *n, f->items, f->n * sizeof *all);
    *n += f->n;
    free(f->items);
    memset(f, 0, sizeof *f);
    return true;
}

static void most_important_first(ak_reason *r, size_t n) {
    for (size_t i = 1; i < n; i++) {
        ak_reason moving = r[i];
        size_t at = i;
        for (; at > 0 && ak_severity(r[at - 1].error) > ak_severity(moving.error); at--) r[at] = r[at - 1];
        r[at] = moving;
    }
}

static bool finish(ak_search *s, ak_findings *leaf) {
    ak_report *r = s->r;
    bool failed = leaf->failed || s->best_reasons.failed || s->warnings.failed;
    r->anchored = s->best_anchored;
    r->revocation = s->best_revocation;
    r->revocation_by = s->best_revocation_by;
    for (size_t i = 0; i < s->n_best; i++)
        if (ak_chain_push(&r->path, s->best[i], NULL) != AK_OK) return false;
    if (!append(&r->reasons, &r->n_reasons, leaf) || !append(&r->reasons, &r->n_reasons, &s->best_reasons) ||
        !append(&r->warnings, &r->n_warnings, &s->warnings))
        return false;
    most_important_first(r->reasons, r->n_reasons);
    r->verdict = r->n_reasons > 0 ? r->reasons[0].error : AK_OK;
    return !failed;
}

static ak_report *report_new(const ak_trust *t, const ak_verify_params *v) {
    ak_report *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->refs = 1;
    r->time = v->time;
    r->purpose = v->purpose;
    r->anchors = ak_trust_count(t);
    if (v->host.p == NULL) return r;
    ak_buf host;
    ak_buf_init(&host, 4096);
    ak_view_print(ak_view_of(v->host.p, v->host.n < 256 ? v->host.n : 256), &host);
    if ((r->host = ak_text_of(&host)) != NULL) return r;
    ak_report_free(r);
    return NULL;
}

static unsigned at_most(unsigned v, unsigned max) { return v < max ? v : max; }

static bool search_all(ak_search *s, const ak_chain *chain) {
    ak_findings leaf = {0};
    s->path[0] = chain->certs[0];
    for (size_t i = 1; i < chain->n; i++) s->pool[s->n_pool++] = chain->certs[i];
    for (size_t i = 0; i < s->v->n_extra && i < AK_EXTRA_MAX; i++) s->pool[s->n_pool++] = s->v->extra[i];
    bool anchored = is_anchor(s, s->path[0]) && ak_trust_has(s->t, s->path[0]);
    ak_check_leaf(s, s->path[0], &leaf);
    bool found = seek(s, 1, anchored);
    if (!found) {
        bool over = s->over;
        s->over = false;
        s->paths = 0;
        s->names_work = AK_CONSTRAINT_WORK;
        s->max_paths = at_most(s->max_paths, 64);
        explore(s, 1, anchored);
        if (over)
            ak_find(&leaf, AK_ERR_verify_budget, NULL, 0, s->path[0], "RFC 5280 §6.1", "the search was given up after %zu paths and %u signature checks",
                    s->r->n_tried + s->r->n_more, s->r->signatures);
    }
    memcpy(s->path, s->best, s->n_best * sizeof *s->best);
    ak_check_warnings(s, s->n_best, s->best_anchored, &s->warnings);
    bool ok = finish(s, &leaf);
    ak_findings_free(&leaf);
    ak_findings_free(&s->best_reasons);
    ak_findings_free(&s->warnings);
    return ok;
}

ak_error ak_verify_chain(ak_provider *p, ak_report **out, const ak_trust *t, const ak_chain *chain, const ak_verify_params *v, ak_failure *f) {
    *out = NULL;
    ak_report *r = report_new(t, v);
    if (r == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    if (chain->n == 0) {
        ak_findings none = {0};
        ak_find(&none, AK_ERR_no_certificate, NULL, 0, NULL, NULL, "the peer sent no certificate");
        r->verdict = AK_ERR_no_certificate;
        append(&r->reasons, &r->n_reasons, &none);
        ak_findings_free(&none);
        *out = r;
        return ak_fail(f, AK_ERR_no_certificate, NULL);
    }
    ak_search s;
    memset(&s, 0, sizeof s);
    s.p = p;
    s.t = t;
    s.v = v;
    s.r = r;
    s.max_depth = at_most(v->max_depth > 0 ? v->max_depth : 1, AK_PATH_MAX);
    s.max_signatures = v->max_signatures;
    s.max_paths = v->max_paths > 0 ? v->max_paths : 1;
    s.names_work = AK_CONSTRAINT_WORK;
    if (!search_all(&s, chain)) {
        ak_report_free(r);
        return ak_fail(f, AK_ERR_out_of_memory, NULL);
    }
    *out = r;
    if (r->verdict == AK_OK) return AK_OK;
    return ak_fail(f, r->verdict, "%s", r->reasons[0].text);
}
