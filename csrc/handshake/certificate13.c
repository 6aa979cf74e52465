/* certificate13.c: CertificateRequest, Certificate, CertificateVerify of TLS 1.3 (RFC 8446 §4.3.2, §4.4.2, §4.4.3). */
#include "handshake/messages13.h"

#include "handshake/auth.h"
#include "handshake/extensions.h"

#include <stdlib.h>
#include <string.h>

static ak_error bad(ak_hs *h, ak_error e, const ak_failure *why) { return ak_hs_fail(h, e, "%s", why->detail); }
static ak_error no_memory(ak_hs *h) { return ak_hs_fail(h, AK_ERR_out_of_memory, NULL); }

/* ---- CertificateRequest --------------------------------------------------------------------------------------------------------- */

#define CA_NAMES_MAX 16384

ak_error ak_compose_certificate_request13(ak_hs *h, ak_buf *b) {
    ak_buf_vec(b, ak_buf_view(&h->certificate_request_context), 1); /* empty in the handshake */
    size_t block = ak_buf_open(b, 2), one = ak_ext_open(b, AK_EXT_signature_algorithms), list = ak_buf_open(b, 2);
    ak_auth_own_schemes(h, b);
    ak_buf_close(b, list, 2);
    ak_ext_close(b, one);
    if (h->ctx->n_cert_schemes != 0) {
        one = ak_ext_open(b, AK_EXT_signature_algorithms_cert);
        ak_offer_signature_algorithms_cert(h, b);
        ak_ext_close(b, one);
    }
    if (ak_compress_offers(h)) {
        one = ak_ext_open(b, AK_EXT_compress_certificate);
        ak_offer_compress_certificate(h, b);
        ak_ext_close(b, one);
    }
    if (h->ctx->trust != NULL && ak_trust_count(h->ctx->trust) != 0) {
        size_t start = b->n;
        one = ak_ext_open(b, AK_EXT_certificate_authorities);
        list = ak_buf_open(b, 2);
        size_t empty = b->n;
        ak_trust_names(h->ctx->trust, CA_NAMES_MAX, b);
        if (b->n == empty && !b->bad) b->n = start;
        else ak_buf_close(b, list, 2), ak_ext_close(b, one);
    }
    if (h->ctx->oid_filters.n != 0) {
        one = ak_ext_open(b, AK_EXT_oid_filters);
        ak_buf_vec(b, ak_buf_view(&h->ctx->oid_filters), 2);
        ak_ext_close(b, one);
    }
    ak_put_grease(h, AK_GREASE_server_extension, b);
    return ak_buf_close(b, block, 2) ? AK_OK : no_memory(h);
}

static bool take_identity(ak_hs *h, ak_identity *id) {
    const ak_scheme *s = ak_auth_scheme(h, id->key, AK_TLS13);
    if (s == NULL) return false;
    h->scheme = s;
    h->info->own_scheme = s;
    h->identity = ak_identity_ref(id);
    return true;
}

/* choose_own: one that a named CA has issued, signed as the server likes it, if there is one; else any with a scheme that the server accepts; none is an answer, too. */
static void choose_own(ak_hs *h) {
    for (int round = 0; round < 4; round++)
        for (size_t i = 0; i < h->ctx->n_identities; i++) {
            ak_identity *id = h->ctx->identities[i];
            bool liked = round % 2 == 0, named = round < 2;
            if (!ak_oid_filters_suit(h, id)) continue; /* this is no preference (§4.2.5) */
            if (liked && !ak_chain_schemes_suit(h, id)) continue;
            if (named && !ak_identity_issued_by(id, ak_buf_view(&h->peer_ca_names))) continue;
            if (take_identity(h, id)) return;
        }
}

static ak_error take_answer(ak_hs *h) {
    if (h->answer.verdict == AK_REFUSE)
        return ak_hs_fail_alert(h, h->answer.error != AK_OK ? h->answer.error : AK_ERR_hook_refused, h->answer.alert, "%s", h->answer.text != NULL ? h->answer.text : "");
    if (h->answer.identity != NULL && !take_identity(h, h->answer.identity)) return ak_hs_fail(h, AK_ERR_no_shared_scheme, "for the client's certificate");
    return AK_OK;
}

/* The extensions of a CertificateRequest: those that are not known here are passed over (§4.3.2). */
static ak_error read_request(ak_hs *h, ak_view extensions) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_ext_signature_algorithms schemes;
    struct ak_ext_signature_algorithms_cert cert_schemes;
    struct ak_ext_certificate_authorities names;
    ak_failure why = {0};
    uint16_t type;
    ak_view body;
    ak_error e = ak_extensions_check(extensions, NULL, &why);
    if (e != AK_OK) return bad(h, e, &why);
    if (ak_extensions_misplaced(extensions, AK_IN_certificate_request, &type)) return ak_hs_fail(h, AK_ERR_misplaced_extension, "extension %u in a CertificateRequest", type);
    if (!ak_ext_find(extensions, AK_EXT_signature_algorithms, &body)) return ak_hs_fail(h, AK_ERR_request_without_schemes, "(RFC 8446 §4.3.2)");
    AK_EXT_READ_AS(ext_signature_algorithms, &schemes, AK_ERR_malformed_schemes);
    ak_auth_peer_schemes(h, schemes.supported_signature_algorithms);
    if (ak_ext_find(extensions, AK_EXT_signature_algorithms_cert, &body)) {
        AK_EXT_READ_AS(ext_signature_algorithms_cert, &cert_schemes, AK_ERR_malformed_schemes);
        ak_chain_schemes_take(h, cert_schemes.supported_signature_algorithms);
    }
    ak_buf_clear(&h->peer_ca_names);
    if (e == AK_OK && ak_ext_find(extensions, AK_EXT_certificate_authorities, &body)) {
        e = ak_decode_ext_certificate_authorities(body, &names, &why);
        if (e == AK_OK && !ak_buf_put_view(&h->peer_ca_names, names.authorities)) return no_memory(h);
    }
    if (e == AK_OK && ak_ext_find(extensions, AK_EXT_compress_certificate, &body)) {
        e = ak_offered_compress_certificate(h, body);
        if (e != AK_OK) return e;
    }
    if (e == AK_OK && ak_ext_find(extensions, AK_EXT_oid_filters, &body)) {
        e = ak_oid_filters_take(h, body);
        if (e != AK_OK) return e;
    }
    f->request_status = ak_ext_find(extensions, AK_EXT_status_request, &body);
    f->request_sct = ak_ext_find(extensions, AK_EXT_signed_certificate_timestamp, &body);
    return e == AK_OK ? AK_OK : bad(h, ak_ext_cause(e, AK_ERR_bad_extension), &why);
}

ak_error ak_receive_certificate_request13(ak_hs *h, ak_view body) {
    struct ak_certificate_request_13 r;
    ak_failure why = {0};
    if (h->phase == 1) return take_answer(h);
    ak_error e = ak_decode_certificate_request_13(body, &r, &why);
    if (e != AK_OK) return bad(h, e, &why);
    if (h->after_handshake && !ak_buf_put_view(&h->certificate_request_context, r.certificate_request_context)) return no_memory(h);
    if (!h->after_handshake && r.certificate_request_context.n != 0)
        return ak_hs_fail(h, AK_ERR_illegal_parameter, "a certificate_request_context in the handshake (RFC 8446 §4.3.2)");
    e = read_request(h, r.extensions);
    if (e != AK_OK) return e;
    h->client_certificate_requested = true;
    if (h->ctx->ask_client_identity) {
        h->event.bytes = ak_buf_view(&h->peer_ca_names);
        h->event.key = ak_hs_message(h);
        h->phase = 1;
        return ak_hs_ask(h, AK_EV_identity);
    }
    choose_own(h);
    return AK_OK;
}

/* ---- Certificate --------------------------------------------------------------------------------------------------------------------- */

static ak_view staple(const ak_hs *h) { return h->server ? ak_auth_staple(h) : ak_buf_view(&h->identity->ocsp); }

static bool sends_status(const ak_hs *h) { return staple(h).n != 0 && (h->server ? h->expect_status : ak_flow13_of(h)->request_status); }

static bool sends_scts(const ak_hs *h) {
    bool asked = h->server ? ak_ext_client_sent(h, AK_EXT_signed_certificate_timestamp, NULL) : ak_flow13_of(h)->request_sct;
    return asked && h->identity->scts.n != 0;
}

/* The extensions of the first entry: what is known of the end entity (§4.4.2.1, RFC 6962 §3.3). */
static void put_leaf_extensions(ak_hs *h, ak_buf *b) {
    if (sends_status(h)) {
        size_t one = ak_ext_open(b, AK_EXT_status_request);
        ak_buf_u8(b, AK_CST_ocsp);
        ak_buf_vec(b, staple(h), 3);
        ak_ext_close(b, one);
    }
    if (sends_scts(h)) ak_ext_put(b, AK_EXT_signed_certificate_timestamp, ak_buf_view(&h->identity->scts));
}

ak_error ak_compose_certificate13(ak_hs *h, ak_buf *b) {
    ak_buf_vec(b, ak_buf_view(&h->certificate_request_context), 1);
    size_t list = ak_buf_open(b, 3);
    for (size_t i = 0; h->identity != NULL && i < h->identity->chain.n; i++) {
        ak_buf_vec(b, h->identity->chain.certs[i]->der, 3);
        size_t block = ak_buf_open(b, 2);
        if (i == 0) put_leaf_extensions(h, b);
        ak_buf_close(b, block, 2);
    }
    if (!h->server) h->client_certificate_sent = h->identity != NULL;
    return ak_buf_close(b, list, 3) ? AK_OK : no_memory(h);
}

/* may_answer: an entry's extension answers one of ours: of the ClientHello, or of the CertificateRequest, where a server asks for none of these (§4.4.2). */
static bool may_answer(const ak_hs *h, uint16_t type) { return !h->server && ak_ext_answerable(h, type); }

/* The extensions of every entry have to have their form; those of the end entity are kept. */
static ak_error read_status(ak_hs *h, ak_view body, bool leaf) {
    struct ak_ext_status_request_certificate x;
    struct ak_ocsp_response r;
    ak_failure why = {0};
    ak_error e = ak_decode_ext_status_request_certificate(body, &x, &why);
    if (e != AK_OK) return bad(h, ak_ext_cause(e, AK_ERR_bad_extension), &why);
    if (x.status_type != AK_CST_ocsp) return ak_hs_fail(h, AK_ERR_illegal_parameter, "a certificate status of type %u", x.status_type);
    e = ak_decode_ocsp_response(x.response, &r, &why);
    if (e != AK_OK) return bad(h, e, &why);
    if (!leaf) return AK_OK;
    ak_buf_clear(&h->info->ocsp_response);
    return ak_buf_put_view(&h->info->ocsp_response, r.ocsp_response) ? AK_OK : no_memory(h);
}

static ak_error read_scts(ak_hs *h, ak_view body, bool leaf) {
    struct ak_ext_signed_certificate_timestamp x;
    ak_failure why = {0};
    ak_error e = ak_decode_ext_signed_certificate_timestamp(body, &x, &why);
    if (e != AK_OK) return bad(h, ak_ext_cause(e, AK_ERR_bad_extension), &why);
    if (!leaf) return AK_OK;
    ak_buf_clear(&h->info->scts);
    return ak_buf_put_view(&h->info->scts, body) ? AK_OK : no_memory(h);
}

static ak_error read_entry(ak_hs *h, const struct ak_certificate_entry *entry, bool leaf) {
    ak_failure why = {0};
    ak_rd r;
    uint16_t type;
    ak_view body;
    ak_error e = ak_extensions_check(entry->extensions, NULL, &why);
    if (e != AK_OK) return bad(h, e, &why);
    for (ak_rd_view(&r, entry->extensions); e == AK_OK && ak_ext_next(&r, &type, &body);) {
        const char *name = ak_name(AK_REG_extensions, type);
        if (name == NULL) name = "unknown";
        if (!may_answer(h, type)) return ak_hs_fail(h, AK_ERR_unsolicited_extension, "%s (%u) in a Certificate", name, type);
        if (ak_extension_allowed(type, AK_IN_certificate) == AK_PLACE_wrong) return ak_hs_fail(h, AK_ERR_misplaced_extension, "%s (%u) in a Certificate", name, type);
        if (type == AK_EXT_status_request) e = read_status(h, body, leaf);
        if (type == AK_EXT_signed_certificate_timestamp) e = read_scts(h, body, leaf);
    }
    return e;
}

static ak_error read_chain(ak_hs *h, ak_view list) {
    ak_info *i = h->info;
    struct ak_certificate_entry entry;
    ak_failure why = {0};
    ak_rd r;
    ak_chain_free(i->peer_chain);
    i->peer_chain = ak_chain_new();
    if (i->peer_chain == NULL) return no_memory(h);
    ak_error e = AK_OK;
    for (ak_rd_view(&r, list); e == AK_OK && ak_next_certificate_entry(&r, &entry);) {
        e = ak_chain_add(i->peer_chain, entry.cert_data, &why);
        if (e != AK_OK) return ak_hs_fail(h, e, "certificate %zu: %s", i->peer_chain->n, why.detail);
        e = read_entry(h, &entry, i->peer_chain->n == 1);
    }
    return e == AK_OK ? ak_auth_take_key(h) : e;
}

/* check_leaf: a key that can sign in TLS 1.3, and may. */
static ak_error check_leaf(ak_hs *h) {
    ak_key_kind kind = ak_key_type(h->peer_key);
    if (kind == AK_KEY_other || kind == AK_KEY_none) return ak_hs_fail(h, AK_ERR_unsupported_certificate, "a key that TLS 1.3 has no signature scheme for");
    if (!ak_cert_allows(h->info->peer_chain->certs[0], AK_KU_digital_signature)) return ak_hs_fail(h, AK_ERR_wrong_key_usage, "the certificate may not sign");
    return AK_OK;
}

static ak_error receive(ak_hs *h, ak_view body, size_t *n) {
    struct ak_certificate_13 c;
    ak_failure why = {0};
    ak_error e = ak_decode_certificate_13(body, &c, &why);
    if (e != AK_OK) return bad(h, e, &why);
    if (!ak_view_eq(c.certificate_request_context, ak_buf_view(&h->certificate_request_context)))
        return ak_hs_fail(h, AK_ERR_illegal_parameter, "%s (RFC 8446 §4.4.2)",
                          h->after_handshake ? "not the certificate_request_context of the request" : "a certificate_request_context in the handshake");
    e = read_chain(h, c.certificate_list);
    *n = h->info->peer_chain != NULL ? h->info->peer_chain->n : 0;
    return e == AK_OK && *n != 0 ? check_leaf(h) : e;
}

ak_error ak_receive_server_certificate13(ak_hs *h, ak_view body) {
    size_t n = 0;
    if (h->phase != 0) return ak_auth_verify(h);
    ak_error e = receive(h, body, &n);
    if (e == AK_OK && n == 0) e = ak_hs_fail(h, AK_ERR_empty_certificate, "(RFC 8446 §4.4.2.4)");
    return e == AK_OK ? ak_auth_verify(h) : e;
}

ak_error ak_receive_client_certificate13(ak_hs *h, ak_view body) {
    size_t n = 0;
    if (h->phase != 0) return ak_auth_verify(h);
    ak_error e = receive(h, body, &n);
    if (e != AK_OK) return e;
    if (n != 0) return ak_auth_verify(h);
    return h->ctx->client_auth == AK_CLIENT_AUTH_require ? ak_hs_fail(h, AK_ERR_certificate_required, "an empty certificate_list") : AK_OK;
}

/* ---- CertificateVerify -------------------------------------------------------------------------------------------------------------------- */

/* §4.4.3: 64 spaces, the context string, a zero byte, the transcript hash. */
static bool signed_content(ak_hs *h, bool server, ak_buf *out) {
    static const char *const strings[] = {"TLS 1.3, client CertificateVerify", "TLS 1.3, server CertificateVerify"};
    uint8_t hash[AK_HASH_MAX], spaces[64];
    size_t n = 0;
    memset(spaces, ' ', sizeof spaces);
    ak_buf_init(out, 256);
    ak_buf_put(out, spaces, sizeof spaces);
    ak_buf_put(out, strings[server], strlen(strings[server]) + 1);
    return ak_transcript_value(&h->transcript, hash, &n) && ak_buf_put(out, hash, n);
}

ak_error ak_compose_certificate_verify13(ak_hs *h, ak_buf *b) {
    ak_buf_u16(b, h->scheme->id);
    ak_buf_u16(b, 0); /* the signature is still open */
    return b->bad ? no_memory(h) : AK_OK;
}

/* The scheme that stands in the message, which a script may have changed, is the one that signs if the key can. */
ak_error ak_seal_certificate_verify13(ak_hs *h, ak_buf *m, size_t at) {
    ak_failure why = {0};
    ak_buf data;
    if (m->n != at + 4 || m->p[at + 2] != 0 || m->p[at + 3] != 0) return AK_OK; /* a script has put its own signature */
    const ak_scheme *s = ak_scheme_find((uint16_t)(m->p[at] << 8 | m->p[at + 1]));
    if (s == NULL || !ak_scheme_fits(s, h->identity->key, AK_TLS12)) s = h->scheme;
    m->n -= 2;
    size_t mark = ak_buf_open(m, 2);
    ak_error e = signed_content(h, h->server, &data) ? ak_sign(h->p, h->identity->key, s, ak_buf_view(&data), m, &why) : AK_ERR_out_of_memory;
    ak_buf_free(&data);
    if (e != AK_OK) return bad(h, e, &why);
    return ak_buf_close(m, mark, 2) ? AK_OK : no_memory(h);
}

ak_error ak_receive_certificate_verify13(ak_hs *h, ak_view body) {
    struct ak_certificate_verify v;
    ak_failure why = {0};
    ak_buf data;
    ak_error e = ak_decode_certificate_verify(body, &v, &why);
    if (e != AK_OK) return bad(h, e, &why);
    const ak_scheme *s = ak_scheme_find(v.algorithm);
    if (s == NULL || !ak_auth_scheme_offered(h, v.algorithm) || !ak_scheme_fits(s, h->peer_key, AK_TLS13))
        return ak_hs_fail(h, AK_ERR_wrong_scheme, "%s in CertificateVerify", ak_words(schemes, v.algorithm));
    bool ok = signed_content(h, !h->server, &data);
    e = ok ? ak_verify_signature(h->p, h->peer_key, s, ak_buf_view(&data), v.signature, &why) : AK_ERR_out_of_memory;
    ak_buf_free(&data);
    if (e != AK_OK) return ak_hs_fail(h, ok ? AK_ERR_bad_signature : e, "CertificateVerify");
    h->info->peer_scheme = s;
    return AK_OK;
}
