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
    ak_trust *distrusted[AK_USES]; /* by use; NULL: nobody */
    ak_policies policies;
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
    ak_buf_init(&t->policies.taken, AK_BUF_NO_LIMIT);
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
    for (size_t i = 0; i < AK_USES; i++) ak_trust_free(t->distrusted[i]);
    ak_buf_free(&t->policies.taken);
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

ak_error ak_trust_distrust(ak_trust *t, ak_use use, ak_cert *c, ak_failure *f) {
    if (t->distrusted[use] == NULL && (t->distrusted[use] = ak_trust_new(f)) == NULL) return AK_ERR_out_of_memory;
    t->changes++;
    return ak_trust_add(t->distrusted[use], c, f);
}

bool ak_trust_distrusts(const ak_trust *t, ak_use use, const ak_cert *c) {
    size_t at = 0;
    ak_cert *a;
    if (t->distrusted[use] == NULL) return false;
    while ((a = ak_trust_next(t->distrusted[use], c->subject, c->subject_hash, &at)) != NULL)
        if (ak_view_eq(a->spki, c->spki)) return true;
    return false;
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

/* ---- OpenSSL's TRUSTED CERTIFICATE: a certificate with a word on its uses behind it ---- */

/* uses_of: SEQUENCE OF purpose (content): *out a bit for each ak_use that is among them. */
static bool uses_of(ak_view list, unsigned *out) {
    ak_rd r;
    ak_view oid;
    *out = 0;
    ak_rd_view(&r, list);
    while (ak_rd_left(&r) > 0) {
        if (!ak_der_get(&r, AK_DER_OID, &oid)) return false;
        if (AK_OID_IS(oid, "\x2b\x06\x01\x05\x05\x07\x03\x01")) *out |= 1u << AK_USE_server;
        else if (AK_OID_IS(oid, "\x2b\x06\x01\x05\x05\x07\x03\x02")) *out |= 1u << AK_USE_client;
        else if (AK_OID_IS(oid, "\x55\x1d\x25\x00")) *out = ~0u;
    }
    return true;
}

/* distrusted_uses: CertAux ::= SEQUENCE { trust SEQUENCE OF OID OPTIONAL, reject [0] SEQUENCE OF OID OPTIONAL, … }: what is rejected, or not among what it is
 * trusted for. */
static bool distrusted_uses(ak_view settings, unsigned *out) {
    ak_rd r, aux;
    ak_view list;
    bool found;
    unsigned trusted = ~0u, rejected = 0;
    *out = 0;
    if (settings.n == 0) return true;
    ak_rd_view(&r, settings);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &aux) || !ak_rd_done(&r)) return false;
    if (!ak_der_optional(&aux, AK_DER_SEQUENCE, &list, &found) || (found && !uses_of(list, &trusted))) return false;
    if (!ak_der_optional(&aux, AK_DER_CONTEXT_CONSTRUCTED(0), &list, &found) || (found && !uses_of(list, &rejected))) return false;
    *out = rejected | ~trusted;
    return true;
}

static ak_error add_with_settings(ak_trust *t, ak_view der, ak_failure *f) {
    ak_rd r;
    ak_view whole, settings;
    ak_cert *c;
    unsigned distrusted;
    ak_rd_view(&r, der);
    if (!ak_der_next(&r, NULL, NULL, &whole) || !ak_rd_rest(&r, &settings) || !distrusted_uses(settings, &distrusted))
        return ak_fail(f, AK_ERR_bad_certificate, "a trusted certificate's settings cannot be read");
    ak_error e = ak_cert_parse(whole, &c, f);
    if (e != AK_OK) return e;
    e = ak_trust_add(t, c, f);
    for (unsigned use = 0; use < AK_USES && e == AK_OK; use++)
        if ((distrusted >> use & 1) != 0) e = ak_trust_distrust(t, (ak_use)use, c, f);
    ak_cert_free(c);
    return e;
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
    return label_is(b->label, "TRUSTED CERTIFICATE") ? add_with_settings(t, der, f) : add_der(t, der, f);
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

ak_error ak_trust_set_policies(ak_trust *t, const ak_policies *p, ak_failure *f) {
    ak_buf_clear(&t->policies.taken);
    if (!ak_buf_put_view(&t->policies.taken, ak_buf_view(&p->taken))) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    t->policies.required = p->required;
    t->policies.no_mapping = p->no_mapping;
    t->policies.no_any = p->no_any;
    t->changes++;
    return AK_OK;
}

const ak_policies *ak_trust_policies(const ak_trust *t) { return &t->policies; }

bool ak_policies_have(const ak_policies *p, ak_view oid) {
    ak_rd r;
    ak_view one;
    ak_rd_view(&r, ak_buf_view(&p->taken));
    if (ak_rd_left(&r) == 0) return true;
    while (ak_rd_left(&r) > 0 && ak_der_get(&r, AK_DER_OID, &one))
        if (ak_view_eq(one, oid) || AK_OID_IS(one, AK_OID_ANY_POLICY)) return true;
    return false;
}

const ak_trust *ak_trust_distrusted(const ak_trust *t, ak_use use) { return t->distrusted[use]; }

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
    uint8_t value[AK_HASH_MAX], settings[1 + AK_USES * DIGEST] = {0};
    const ak_policies *user = &t->policies;
    settings[0] = (uint8_t)((t->partial_chain ? 1 : 0) | (t->strict ? 2 : 0) | (unsigned)t->revocation << 2 | (user->required ? 16 : 0) |
                            (user->no_mapping ? 32 : 0) | (user->no_any ? 64 : 0));
    for (size_t i = 0; i < AK_USES; i++)
        if (t->distrusted[i] != NULL && !ak_trust_digest(t->distrusted[i], p, settings + 1 + i * DIGEST)) return false;
    size_t n = t->n + t->n_crls;
    uint8_t *all = malloc(n * DIGEST + 1);
    if (all == NULL) return false;
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) {
        ok = ak_digest(p, AK_HASH_sha256, i < t->n ? t->certs[i]->der : ak_crl_der(t->crls[i - t->n]), none, none, value);
        memcpy(all + i * DIGEST, value, DIGEST);
    }
    qsort(all, n, DIGEST, in_order); /* a directory's files come in any order */
    ok = ok && ak_digest(p, AK_HASH_sha256, ak_view_of(all, n * DIGEST), ak_view_of(settings, sizeof settings), ak_buf_view(&user->taken), value);
    if (ok) memcpy(out, value, DIGEST);
    free(all);
    return ok;
}

bool ak_trust_names(const ak_trust *t, size_t max, ak_buf *out) {
    size_t start = out->n;
    for (size_t i = 0; i < t->n; i++) {
        ak_view name = t->certs[i]->subject;
        if (ak_trust_distrusts(t, AK_USE_client, t->certs[i])) continue;
        if (name.n > 0xffff || out->n - start + name.n + 2 > max) break;
        if (!ak_buf_vec(out, name, 2)) return false;
    }
    return true;
}
