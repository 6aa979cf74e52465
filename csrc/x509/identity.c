/* identity.c: chains of certificates, and a chain with its private key. */
#include "x509/internal.h"

#include <stdlib.h>

#define OCSP_MAX 65535
#define SCTS_MAX 65535

/* put: takes the reference over, whatever happens. There is room for one more at a time: chains have two or three. */
static ak_error put(ak_chain *c, ak_cert *cert, ak_failure *f) {
    ak_error e = c->n < AK_CHAIN_MAX ? AK_OK : ak_fail(f, AK_ERR_verify_budget, "more than %d certificates", AK_CHAIN_MAX);
    ak_cert **certs = e == AK_OK ? realloc(c->certs, (c->n + 1) * sizeof *certs) : NULL;
    if (certs == NULL) {
        ak_cert_free(cert);
        return e != AK_OK ? e : ak_fail(f, AK_ERR_out_of_memory, NULL);
    }
    certs[c->n++] = cert;
    c->certs = certs;
    return AK_OK;
}

ak_error ak_chain_push(ak_chain *c, ak_cert *cert, ak_failure *f) { return put(c, ak_cert_ref(cert), f); }

ak_error ak_chain_add(ak_chain *c, ak_view der, ak_failure *f) {
    ak_cert *cert;
    if (c->n == AK_CHAIN_MAX) return ak_fail(f, AK_ERR_verify_budget, "more than %d certificates", AK_CHAIN_MAX);
    ak_error e = ak_cert_parse(der, &cert, f);
    return e == AK_OK ? put(c, cert, f) : e;
}

void ak_chain_clear(ak_chain *c) {
    for (size_t i = 0; i < c->n; i++) ak_cert_free(c->certs[i]);
    free(c->certs);
    c->certs = NULL;
    c->n = 0;
}

ak_chain *ak_chain_new(void) {
    ak_chain *c = ak_zalloc(sizeof *c);
    if (c != NULL) c->refs = 1;
    return c;
}

ak_chain *ak_chain_share(ak_chain *c) {
    if (c == NULL || c->n == 0) return NULL;
    c->refs++;
    return c;
}

void ak_chain_free(ak_chain *c) {
    if (c == NULL || --c->refs > 0) return;
    ak_chain_clear(c);
    free(c);
}

ak_identity *ak_identity_new(ak_provider *p, const ak_chain *chain, ak_key *key, ak_failure *f) {
    if (chain->n == 0) {
        ak_fail(f, AK_ERR_no_certificate, "an identity needs at least one certificate");
        return NULL;
    }
    ak_key *public_key = ak_cert_key(p, chain->certs[0], f);
    if (public_key == NULL) return NULL;
    if (!ak_key_is_private(key)) {
        ak_fail(f, AK_ERR_bad_key, "an identity needs a private key");
        return NULL;
    }
    if (!ak_key_same(public_key, key)) {
        ak_fail(f, AK_ERR_key_mismatch, NULL);
        return NULL;
    }
    ak_identity *i = calloc(1, sizeof *i);
    if (i == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    i->refs = 1;
    ak_buf_init(&i->ocsp, OCSP_MAX);
    ak_buf_init(&i->scts, SCTS_MAX);
    i->key = ak_key_ref(key);
    for (size_t n = 0; n < chain->n; n++) {
        if (ak_chain_push(&i->chain, chain->certs[n], f) == AK_OK) continue;
        ak_identity_free(i);
        return NULL;
    }
    return i;
}

ak_identity *ak_identity_ref(ak_identity *i) {
    if (i != NULL) i->refs++;
    return i;
}

void ak_identity_free(ak_identity *i) {
    if (i == NULL || --i->refs > 0) return;
    ak_chain_clear(&i->chain);
    ak_key_free(i->key);
    ak_buf_free(&i->ocsp);
    ak_buf_free(&i->scts);
    free(i);
}

static bool set(ak_buf *b, ak_view v) {
    ak_buf_clear(b);
    return ak_buf_put_view(b, v);
}

bool ak_identity_set_ocsp(ak_identity *i, ak_view response) { return set(&i->ocsp, response); }
bool ak_identity_set_scts(ak_identity *i, ak_view list) { return set(&i->scts, list); }

bool ak_identity_serves(const ak_identity *i, ak_view host) { return ak_host_check(i->chain.certs[0], host, NULL) == AK_OK; }

bool ak_identity_issued_by(const ak_identity *i, ak_view names) {
    ak_rd r;
    ak_view name;
    ak_rd_view(&r, names);
    if (names.n == 0) return true;
    while (ak_rd_left(&r) > 0 && ak_rd_vec(&r, &name, 2)) {
        for (size_t n = 0; n < i->chain.n; n++)
            if (ak_name_eq(i->chain.certs[n]->issuer, name)) return true;
    }
    return false;
}
