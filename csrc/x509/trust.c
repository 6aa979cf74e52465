/* trust.c: the certificates that somebody believes. Loading the 140 roots of a system takes about a millisecond. */
#include "x509/internal.h"

#include <stdlib.h>

struct ak_trust {
    size_t refs;
    ak_cert **certs;
    size_t *next;   /* the next anchor in the same slot; NONE at the end */
    size_t n, cap;
    size_t *slots;  /* heads, by subject hash; n_slots is a power of two, or 0 */
    size_t n_slots;
    ak_crl **crls;
    size_t n_crls;
    char **sources;
    size_t n_sources;
    bool partial_chain, strict;
    uint64_t changes;
    ak_demand revocation;
};

#define NONE SIZE_MAX

ak_trust *ak_trust_new(ak_failure *f) {
    ak_trust *t = calloc(1, sizeof *t);
    if (t == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    t->refs = 1;
    return t;
}

ak_trust *ak_trust_ref(ak_trust *t) {
    if (t != NULL) t->refs++;
    return t;
}

void ak_trust_free(ak_trust *t) {
    if (t == NULL || --t->refs > 0) return;
    for (size_t i = 0; i < t->n; i++) ak_cert_free(t->certs[i]);
    for (size_t i = 0; i < t->n_crls; i++) ak_crl_free(t->crls[i]);
    for (size_t i = 0; i < t->n_sources; i++) free(t->sources[i]);
    free(t->certs);
    free(t->next);
    free(t->slots);
    free(t->crls);
    free(t->sources);
    free(t);
}

static void link_in(ak_trust *t, size_t i) {
    size_t *slot = &t->slots[t->certs[i]->subject_hash & (t->n_slots - 1)];
    while (*slot != NONE) slot = &t->next[*slot]; /* at the end: anchors keep their order */
    *slot = i;
    t->next[i] = NONE;
}

/* grow: room for one more, and for every anchor about one slot. */
static bool grow(ak_trust *t) {
    if (t->n < t->cap) return true;
    size_t cap = t->cap > 0 ? t->cap * 2 : 16;
    ak_cert **certs = realloc(t->certs, cap * sizeof *certs);
    if (certs == NULL) return false;
    t->certs = certs;
    size_t *next = realloc(t->next, cap * sizeof *next);
    if (next == NULL) return false;
    t->next = next;
    size_t *slots = malloc(cap * sizeof *slots);
    if (slots == NULL) return false;
    free(t->slots);
    t->slots = slots;
    t->n_slots = t->cap = cap;
    for (size_t i = 0; i < cap; i++) slots[i] = NONE;
    for (size_t i = 0; i < t->n; i++) link_in(t, i);
    return true;
}

ak_cert *ak_trust_next(const ak_trust *t, ak_view name, uint64_t hash, size_t *at) {
    if (t->n_slots == 0) return NULL;
    size_t i = *at == 0 ? t->slots[hash & (t->n_slots - 1)] : t->next[*at - 1];
    for (; i != NONE; i = t->next[i]) {
        ak_cert *c = t->certs[i];
        if (c->subject_hash != hash || !ak_name_eq(c->subject, name)) continue;
        *at = i + 1;
        return c;
    }
    return NULL;
}

bool ak_trust_has(const ak_trust *t, const ak_cert *c) {
    size_t at = 0;
    ak_cert *a;
    while ((a = ak_trust_next(t, c->subject, c->subject_hash, &at)) != NULL)
        if (ak_cert_same(a, c)) return true;
    return false;
}

ak_error ak_trust_add(ak_trust *t, ak_cert *c, ak_failure *f) {
    if (ak_trust_has(t, c)) return AK_OK;
    if (!grow(t)) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    t->certs[t->n] = ak_cert_ref(c);
    link_in(t, t->n++);
    t->changes++;
    return AK_OK;
}

ak_error ak_trust_add_crl(ak_trust *t, ak_crl *c, ak_failure *f) {
    ak_crl **crls = realloc(t->crls, (t->n_crls + 1) * sizeof *crls);
    if (crls == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    t->crls = crls;
    crls[t->n_crls++] = ak_crl_ref(c);
    t->changes++;
    return AK_OK;
}

static bool label_is(ak_view label, const char *s) { return ak_view_eq(label, ak_view_of(s, strlen(s))); }

static ak_error add_der(ak_trust *t, ak_view der, ak_failure *f) {
    ak_cert *c;
    ak_error e = ak_cert_parse(der, &c, f);
    if (e != AK_OK) return e;
    e = ak_trust_add(t, c, f);
    ak_cert_free(c);
    return e;
}

/* first_element: OpenSSL's TRUSTED CERTIFICATE is a certificate with its own settings behind. */
static ak_view first_element(ak_view der) {
    ak_rd r;
    ak_view whole;
    ak_rd_view(&r, der);
    return ak_der_next(&r, NULL, NULL, &whole) ? whole : der;
}

static ak_error add_block(ak_trust *t, const ak_pem *b, ak_failure *f) {
    ak_view der = ak_buf_view(&b->der);
    if (label_is(b->label, "X509 CRL")) {
        ak_crl *crl;
        ak_error e = ak_crl_parse(der, &crl, f);
        if (e != AK_OK) return e;
        e = ak_trust_add_crl(t, crl, f);
        ak_crl_free(crl);
        return e;
    }
    return add_der(t, label_is(b->label, "TRUSTED CERTIFICATE") ? first_element(der) : der, f);
}

ak_error ak_trust_add_pem(ak_trust *t, size_t *out_added, size_t *out_skipped, ak_view bytes, ak_failure *f) {
    size_t added = 0, skipped = 0;
    ak_error e = AK_OK;
    if (!ak_looks_pem(bytes)) {
        if (bytes.n == 0 || bytes.p[0] != AK_DER_SEQUENCE) return ak_fail(f, AK_ERR_bad_pem, "neither PEM nor DER");
        e = add_der(t, bytes, f);
        added = e == AK_OK;
    } else {
        ak_pem block = {0};
        int r;
        ak_buf_init(&block.der, AK_CRL_MAX_BYTES);
        while (e != AK_ERR_out_of_memory && (r = ak_pem_next(&bytes, &block)) != 0) {
            bool wanted = label_is(block.label, "CERTIFICATE") || label_is(block.label, "X509 CERTIFICATE") ||
                          label_is(block.label, "TRUSTED CERTIFICATE") || label_is(block.label, "X509 CRL");
            if (r > 0 && !wanted) continue;
            ak_failure inner = {0};
            e = r > 0 ? add_block(t, &block, &inner) : AK_ERR_bad_pem;
            if (e == AK_OK) added++;
            else skipped++;
        }
        ak_buf_free(&block.der);
        if (e == AK_ERR_out_of_memory) ak_fail(f, e, NULL);
        else if (added > 0) e = AK_OK;
        else e = ak_fail(f, AK_ERR_bad_pem, skipped > 0 ? "none of its %zu certificates can be read" : "no certificate in it", skipped);
    }
    if (out_added != NULL) *out_added = added;
    if (out_skipped != NULL) *out_skipped = skipped;
    return e;
}

bool ak_trust_add_source(ak_trust *t, const char *source) {
    size_t n = strlen(source) + 1;
    char **sources = realloc(t->sources, (t->n_sources + 1) * sizeof *sources);
    if (sources == NULL) return false;
    t->sources = sources;
    char *copy = malloc(n);
    if (copy == NULL) return false;
    memcpy(copy, source, n);
    sources[t->n_sources++] = copy;
    return true;
}

size_t ak_trust_count(const ak_trust *t) { return t->n; }
ak_cert *ak_trust_at(const ak_trust *t, size_t i) { return i < t->n ? t->certs[i] : NULL; }
size_t ak_trust_sources(const ak_trust *t) { return t->n_sources; }
const char *ak_trust_source(const ak_trust *t, size_t i) { return i < t->n_sources ? t->sources[i] : NULL; }
void ak_trust_set_partial_chain(ak_trust *t, bool on) {
    t->partial_chain = on;
    t->changes++;
}
bool ak_trust_partial_chain(const ak_trust *t) { return t->partial_chain; }
void ak_trust_set_strict(ak_trust *t, bool on) {
    t->strict = on;
    t->changes++;
}
bool ak_trust_strict(const ak_trust *t) { return t->strict; }
void ak_trust_set_revocation(ak_trust *t, ak_demand d) {
    t->revocation = d;
    t->changes++;
}
ak_demand ak_trust_revocation(const ak_trust *t) { return t->revocation; }

size_t ak_trust_crls(const ak_trust *t, ak_crl *const **out) {
    *out = t->crls;
    return t->n_crls;
}

/* ---- what it says, in one value ------------------------------------------------------------------------------------------------- */

uint64_t ak_trust_changes(const ak_trust *t) { return t->changes; }

#define DIGEST 32

static int in_order(const void *a, const void *b) { return memcmp(a, b, DIGEST); }

bool ak_trust_digest(const ak_trust *t, ak_provider *p, uint8_t out[DIGEST]) {
    const ak_view none = {NULL, 0};
    uint8_t value[AK_HASH_MAX], flags = (uint8_t)((t->partial_chain ? 1 : 0) | (t->strict ? 2 : 0) | (unsigned)t->revocation << 2);
    size_t n = t->n + t->n_crls;
    uint8_t *all = malloc(n * DIGEST + 1);
    if (all == NULL) return false;
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) {
        ok = ak_digest(p, AK_HASH_sha256, i < t->n ? t->certs[i]->der : ak_crl_der(t->crls[i - t->n]), none, none, value);
        memcpy(all + i * DIGEST, value, DIGEST);
    }
    qsort(all, n, DIGEST, in_order); /* a directory's files come in any order */
    ok = ok && ak_digest(p, AK_HASH_sha256, ak_view_of(all, n * DIGEST), ak_view_of(&flags, 1), none, value);
    if (ok) memcpy(out, value, DIGEST);
    free(all);
    return ok;
}

bool ak_trust_names(const ak_trust *t, size_t max, ak_buf *out) {
    size_t start = out->n;
    for (size_t i = 0; i < t->n; i++) {
        ak_view name = t->certs[i]->subject;
        if (name.n > 0xffff || out->n - start + name.n + 2 > max) break;
        if (!ak_buf_vec(out, name, 2)) return false;
    }
    return true;
}
