/* fuzz_x509.c: everything that reads what a peer or a file says about certificates. Input: one byte that chooses, then the bytes. */
#include "base/der.h"
#include "x509/x509.h"

#include "identity.h"

#include <stdlib.h>
#include <string.h>

static ak_provider *provider;
static ak_trust *trust;

static void setup(void) {
    ak_failure f = {0};
    provider = ak_provider_new(NULL, &f);
    trust = ak_trust_new(&f);
    size_t added = 0;
    if (provider == NULL || trust == NULL || ak_trust_add_pem(trust, &added, NULL, ak_view_of(fuzz_certificate, strlen(fuzz_certificate)), &f) != AK_OK || added != 1)
        abort();
}

/* All that can be asked about a certificate. */
static void certificate(ak_view der) {
    ak_failure f = {0};
    ak_cert *c = NULL;
    if (ak_cert_parse(der, &c, &f) != AK_OK) return;
    if (!ak_view_eq(c->der, der)) abort();
    ak_buf out;
    ak_buf_init(&out, AK_BUF_NO_LIMIT);
    ak_name_print(c->subject, &out);
    ak_name_short(c->issuer, &out);
    ak_cert_serial(c, &out);
    ak_view names = c->san;
    ak_gn gn;
    while (ak_names_next(&names, &gn)) ak_gn_print(&gn, &out);
    ak_failure unused = {0};
    ak_host_check(c, ak_view_of("www.example.com", 15), &unused);
    ak_failure key = {0};
    ak_cert_key(provider, c, &key);
    ak_cert_self_signed(provider, c);
    ak_cert_scheme(c);
    ak_chain chain = {0};
    ak_failure push = {0}, verdict = {0};
    ak_verify_params v;
    ak_verify_defaults(&v);
    v.host = ak_view_of("localhost", 9);
    v.time = 1790000000;
    ak_report *report = NULL;
    if (ak_chain_push(&chain, c, &push) == AK_OK) {
        ak_verify_chain(provider, &report, trust, &chain, &v, &verdict);
        if (report != NULL) ak_report_text(report, &out);
        ak_report_free(report);
    }
    ak_chain_clear(&chain);
    ak_buf_free(&out);
    ak_cert_free(c);
}

static void pem(ak_view text) {
    ak_pem block;
    memset(&block, 0, sizeof block);
    ak_buf_init(&block.der, AK_BUF_NO_LIMIT);
    int blocks = 0;
    while (ak_pem_next(&text, &block) != 0 && ++blocks < 1000)
        if (block.label.n == 11) certificate(ak_buf_view(&block.der));
    ak_buf_free(&block.der);
}

static void crl(ak_view der) {
    ak_failure f = {0};
    ak_crl *c = NULL;
    if (ak_crl_parse(der, &c, &f) == AK_OK) ak_crl_free(c);
}

static void spki(ak_view der) {
    ak_failure f = {0};
    ak_key_free(ak_key_from_spki(provider, der, &f));
}

static void ocsp(ak_view der) {
    ak_failure f = {0};
    ak_ocsp_answer answer;
    ak_ocsp_check(provider, &answer, der, ak_trust_at(trust, 0), ak_trust_at(trust, 0), 1790000000, 2, &f);
}

/* Certificates, CRLs and an OCSP response one after the other, verified together: the last certificate is the one that is trusted. */
static void path(ak_view bytes) {
    ak_failure f = {0};
    ak_chain chain = {0};
    ak_verify_params v;
    ak_report *report = NULL;
    ak_buf out;
    ak_rd r;
    ak_view one;
    ak_trust *own = ak_trust_new(&f);
    if (own == NULL) abort();
    ak_buf_init(&out, AK_BUF_NO_LIMIT);
    ak_verify_defaults(&v);
    ak_trust_set_partial_chain(own, true);
    ak_trust_set_strict(own, bytes.n > 0 && (bytes.p[bytes.n - 1] & 1) != 0);
    ak_rd_view(&r, bytes);
    while (ak_rd_left(&r) > 0 && chain.n < AK_CHAIN_MAX && ak_der_next(&r, NULL, NULL, &one)) {
        ak_failure no_cert = {0}, no_crl = {0};
        ak_crl *c = NULL;
        if (ak_chain_add(&chain, one, &no_cert) == AK_OK) continue;
        if (ak_crl_parse(one, &c, &no_crl) == AK_OK) ak_trust_add_crl(own, c, &f);
        else v.ocsp = one;
        ak_crl_free(c);
    }
    if (chain.n > 0) ak_trust_add(own, chain.certs[chain.n - 1], &f);
    v.host = ak_view_of("localhost", 9);
    v.time = 1800000000;
    ak_verify_chain(provider, &report, own, &chain, &v, &f);
    if (report != NULL) ak_report_text(report, &out);
    ak_report_free(report);
    ak_chain_clear(&chain);
    ak_trust_free(own);
    ak_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const readers[])(ak_view) = {certificate, path, pem, crl, spki, ocsp};
    if (provider == NULL) setup();
    if (size == 0) return 0;
    readers[data[0] % (sizeof readers / sizeof *readers)](ak_view_of(data + 1, size - 1));
    return 0;
}
