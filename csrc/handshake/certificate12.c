/* certificate12.c: Certificate, CertificateStatus, CertificateRequest, CertificateVerify of TLS <= 1.2 (RFC 5246 §7.4.2, §7.4.4, §7.4.8; RFC 6066 §8). */
#include "handshake/messages12.h"

#include "handshake/auth.h"
#include "handshake/keys.h"

#include <string.h>

static ak_error bad(ak_hs *h, ak_error e, const ak_failure *why) { return ak_hs_fail(h, e, "%s", why->detail); }

/* ---- Certificate ------------------------------------------------------------------------------------------------------------ */

ak_error ak_compose_certificate12(ak_hs *h, ak_buf *b) {
    size_t list = ak_buf_open(b, 3);
    for (size_t i = 0; h->identity != NULL && i < h->identity->chain.n; i++) ak_buf_vec(b, h->identity->chain.certs[i]->der, 3);
    if (!h->server) h->client_certificate_sent = h->identity != NULL;
    return ak_buf_close(b, list, 3) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

/* check_leaf: whether the certificate's key can do what the suite wants of it. */
static ak_error check_leaf(ak_hs *h) {
    const ak_suite *s = h->info->suite;
    const ak_cert *leaf = h->info->peer_chain->certs[0];
    ak_key_kind kind = ak_key_type(h->peer_key);
    bool decrypts = s->kx == AK_KX_rsa || s->kx == AK_KX_rsa_psk;
    bool fits = s->auth == AK_AUTH_ecdsa ? kind == AK_KEY_ec || kind == AK_KEY_ed25519 || kind == AK_KEY_ed448
                                         : kind == AK_KEY_rsa || (kind == AK_KEY_rsa_pss && !decrypts);
    if (h->info->version < AK_TLS12 && kind != AK_KEY_rsa && kind != AK_KEY_ec) fits = false; /* the others sign by a named scheme alone */
    if (!fits) return ak_hs_fail(h, AK_ERR_wrong_certificate_type, "%s", s->name);
    uint16_t curve = ak_key_group(h->peer_key);
    if (curve != 0 && !ak_auth_client_lists_group(h, curve)) return ak_hs_fail(h, AK_ERR_certificate_curve, "group %u (RFC 8422 §5.1.1)", curve);
    if (!ak_cert_allows(leaf, decrypts ? AK_KU_key_encipherment : AK_KU_digital_signature)) return ak_hs_fail(h, AK_ERR_wrong_key_usage, "%s", s->name);
    return AK_OK;
}

enum { AT_START, AT_VERIFY };

static ak_error decode_chain(ak_hs *h, ak_view body, size_t *n) {
    struct ak_certificate_12 c;
    ak_failure why = {0};
    ak_error e = ak_decode_certificate_12(body, &c, &why);
    if (e != AK_OK) return bad(h, e, &why);
    e = ak_auth_take_chain(h, c.certificate_list);
    *n = h->info->peer_chain != NULL ? h->info->peer_chain->n : 0;
    return e;
}

ak_error ak_receive_server_certificate12(ak_hs *h, ak_view body) {
    size_t n = 0;
    if (h->phase != AT_START) return ak_auth_verify(h);
    ak_error e = decode_chain(h, body, &n);
    if (e == AK_OK && n == 0) e = ak_hs_fail(h, AK_ERR_no_certificate, "an empty certificate_list");
    if (e == AK_OK) e = check_leaf(h);
    /* a stapled status comes in the next message: the chain is judged when it is there */
    if (e == AK_OK && !h->expect_status) e = ak_auth_verify(h);
    return e;
}

/* no_certificate: the client has none: an empty Certificate, or SSL 3.0's alert. */
static ak_error no_certificate(ak_hs *h) {
    if (h->ctx->client_auth == AK_CLIENT_AUTH_require) return ak_hs_fail(h, AK_ERR_certificate_required_12, "an empty certificate_list");
    ak_transcript_forget_raw(&h->transcript);
    return AK_OK;
}

ak_error ak_receive_client_certificate12(ak_hs *h, ak_view body) {
    size_t n = 0;
    if (h->phase != AT_START) return ak_auth_verify(h);
    ak_error e = decode_chain(h, body, &n);
    if (e != AK_OK) return e;
    if (n == 0) return no_certificate(h);
    if (!ak_cert_allows(h->info->peer_chain->certs[0], AK_KU_digital_signature)) return ak_hs_fail(h, AK_ERR_wrong_key_usage, "the client's certificate may not sign");
    return ak_auth_verify(h);
}

bool ak_hs_no_client_certificate(ak_hs *h, uint8_t alert) {
    const ak_info *i = h->info;
    bool due = h->server && i->version == AK_SSL30 && alert == AK_ALERT_no_certificate && strcmp(ak_hs_state(h), "wait_certificate") == 0;
    if (!due) return false;
    h->no_client_certificate = true;
    no_certificate(h);
    return true;
}

/* ---- CertificateStatus --------------------------------------------------------------------------------------------------------- */

ak_error ak_compose_certificate_status12(ak_hs *h, ak_buf *b) {
    ak_buf_u8(b, 1); /* ocsp */
    return ak_buf_vec(b, ak_auth_staple(h), 3) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

/* The row is optional on this side (RFC 6066 §8: a server may say it will and then not), so the chain is judged here or at the next message. */
ak_error ak_receive_certificate_status12(ak_hs *h, ak_view body) {
    struct ak_certificate_status s;
    ak_failure why = {0};
    if (h->phase != AT_START) return ak_auth_verify(h);
    ak_error e = ak_decode_certificate_status(body, &s, &why);
    if (e != AK_OK) return bad(h, e, &why);
    struct ak_ocsp_response r;
    if (s.status_type != 1) return ak_hs_fail(h, AK_ERR_illegal_parameter, "a CertificateStatus of type %u", s.status_type);
    e = ak_decode_ocsp_response(s.response, &r, &why);
    if (e != AK_OK) return bad(h, e, &why);
    ak_buf_clear(&h->info->ocsp_response);
    if (!ak_buf_put_view(&h->info->ocsp_response, r.ocsp_response)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    h->expect_status = false;
    return ak_auth_verify(h);
}

/* ---- CertificateRequest ------------------------------------------------------------------------------------------------------------ */

#define CA_NAMES_MAX 16384

ak_error ak_compose_certificate_request12(ak_hs *h, ak_buf *b) {
    static const uint8_t types[] = {1, 64}; /* rsa_sign, ecdsa_sign: EdDSA counts as the latter, RFC 8422 §3 */
    ak_buf_vec(b, ak_view_of(types, sizeof types), 1);
    if (h->info->version >= AK_TLS12) {
        size_t list = ak_buf_open(b, 2);
        ak_auth_own_schemes(h, b);
        ak_buf_close(b, list, 2);
    }
    size_t names = ak_buf_open(b, 2);
    if (h->ctx->trust != NULL) ak_trust_names(h->ctx->trust, CA_NAMES_MAX, b);
    return ak_buf_close(b, names, 2) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

/* choose_own: the client's identity for what the server asks: a scheme in common, issued by one of the named CAs if there is one such. */
static void choose_own(ak_hs *h, ak_view types, ak_view ca_names) {
    for (int round = 0; round < 2 && h->identity == NULL; round++) {
        for (size_t i = 0; i < h->ctx->n_identities && h->identity == NULL; i++) {
            ak_identity *id = h->ctx->identities[i];
            ak_key_kind kind = ak_key_type(id->key);
            bool rsa = kind == AK_KEY_rsa || kind == AK_KEY_rsa_pss;
            if (!ak_list_u8_has(types, rsa ? 1 : 64)) continue;
            if (round == 0 && !ak_identity_issued_by(id, ca_names)) continue;
            const ak_scheme *s = ak_auth_scheme(h, id->key, h->info->version);
            if (s == NULL) continue;
            h->scheme = s;
            h->info->own_scheme = s;
            h->identity = ak_identity_ref(id);
        }
    }
}

static ak_error take_answer(ak_hs *h) {
    if (h->answer.verdict == AK_REFUSE) return ak_hs_refused(h);
    if (h->answer.identity == NULL) return AK_OK;
    const ak_scheme *s = ak_auth_scheme(h, h->answer.identity->key, h->info->version);
    if (s == NULL) return ak_hs_fail(h, AK_ERR_no_shared_scheme, "for the client's certificate");
    h->scheme = s;
    h->info->own_scheme = s;
    h->identity = ak_identity_ref(h->answer.identity);
    return AK_OK;
}

ak_error ak_receive_certificate_request12(ak_hs *h, ak_view body) {
    ak_failure why = {0};
    ak_view types, names;
    ak_error e;
    if (h->phase == 1) return take_answer(h);
    if (!ak_suite_has_certificate(h->info->suite)) return ak_hs_fail(h, AK_ERR_anonymous_asks, "(RFC 5246 §7.4.4)");
    if (h->info->version >= AK_TLS12) {
        struct ak_certificate_request_12 r;
        e = ak_decode_certificate_request_12(body, &r, &why);
        if (e != AK_OK) return bad(h, e, &why);
        ak_auth_peer_schemes(h, r.supported_signature_algorithms);
        types = r.certificate_types;
        names = r.certificate_authorities;
    } else {
        struct ak_certificate_request_10 r;
        e = ak_decode_certificate_request_10(body, &r, &why);
        if (e != AK_OK) return bad(h, e, &why);
        types = r.certificate_types;
        names = r.certificate_authorities;
    }
    h->client_certificate_requested = true;
    ak_buf_clear(&h->peer_ca_names);
    if (!ak_buf_put_view(&h->peer_ca_names, names)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    if (h->ctx->ask_client_identity) {
        h->event.bytes = ak_buf_view(&h->peer_ca_names);
        h->event.key = ak_hs_message(h);
        h->phase = 1;
        return ak_hs_ask(h, AK_EV_identity);
    }
    choose_own(h, types, names);
    return AK_OK;
}

/* ---- CertificateVerify ----------------------------------------------------------------------------------------------------------------- */

/* SSL 3.0 signs hashes that hold the master secret (RFC 6101 §5.6.8). */
static ak_error sign_ssl3(ak_hs *h, const ak_scheme *s, ak_buf *out, ak_failure *why) {
    uint8_t hashes[AK_SSL3_HASHES];
    if (!ak_ssl3_certificate_verify(h, hashes)) return ak_fail(why, AK_ERR_crypto_failed, "the hashes of CertificateVerify");
    return ak_sign_digest(h->p, h->identity->key, s, ak_view_of(hashes, sizeof hashes), out, why);
}

static ak_error verify_ssl3(ak_hs *h, const ak_scheme *s, ak_view signature, ak_failure *why) {
    uint8_t hashes[AK_SSL3_HASHES];
    if (!ak_ssl3_certificate_verify(h, hashes)) return ak_fail(why, AK_ERR_crypto_failed, "the hashes of CertificateVerify");
    return ak_verify_digest(h->p, h->peer_key, s, ak_view_of(hashes, sizeof hashes), signature, why);
}

ak_error ak_compose_certificate_verify12(ak_hs *h, ak_buf *b) {
    if (h->info->version >= AK_TLS12) ak_buf_u16(b, h->scheme->id);
    ak_buf_u16(b, 0); /* the signature is still open */
    return b->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
}

/* The scheme that stands in the message, which a script may have changed, is the one that signs. */
ak_error ak_seal_certificate_verify12(ak_hs *h, ak_buf *m, size_t at) {
    ak_failure why = {0};
    size_t head = h->info->version >= AK_TLS12 ? 2 : 0;
    if (h->identity == NULL) return AK_OK;
    if (m->n != at + head + 2 || m->p[at + head] != 0 || m->p[at + head + 1] != 0) return AK_OK; /* a script has put its own signature */
    const ak_scheme *s = head != 0 ? ak_scheme_find((uint16_t)(m->p[at] << 8 | m->p[at + 1])) : h->scheme;
    if (s == NULL || !ak_scheme_fits(s, h->identity->key, h->info->version)) s = h->scheme;
    m->n -= 2;
    size_t mark = ak_buf_open(m, 2);
    ak_error e = h->info->version == AK_SSL30 ? sign_ssl3(h, s, m, &why) : ak_sign(h->p, h->identity->key, s, ak_buf_view(&h->transcript.raw), m, &why);
    if (e != AK_OK) return bad(h, e, &why);
    ak_transcript_forget_raw(&h->transcript);
    return ak_buf_close(m, mark, 2) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

ak_error ak_receive_certificate_verify12(ak_hs *h, ak_view body) {
    ak_failure why = {0};
    const ak_scheme *s;
    ak_view signature;
    ak_error e;
    if (h->info->version >= AK_TLS12) {
        struct ak_certificate_verify v;
        e = ak_decode_certificate_verify(body, &v, &why);
        if (e != AK_OK) return bad(h, e, &why);
        s = ak_scheme_find(v.algorithm);
        if (s == NULL || !ak_auth_scheme_offered(h, v.algorithm) || !ak_scheme_fits(s, h->peer_key, h->info->version))
            return ak_hs_fail(h, AK_ERR_wrong_scheme, "%s in CertificateVerify", ak_words(schemes, v.algorithm));
        signature = v.signature;
    } else {
        struct ak_certificate_verify_10 v;
        e = ak_decode_certificate_verify_10(body, &v, &why);
        if (e != AK_OK) return bad(h, e, &why);
        s = ak_auth_scheme(h, h->peer_key, h->info->version);
        signature = v.signature;
    }
    if (s == NULL) return ak_hs_fail(h, AK_ERR_wrong_certificate_type, "the client's key cannot sign in this version");
    h->info->peer_scheme = s;
    e = h->info->version == AK_SSL30 ? verify_ssl3(h, s, signature, &why)
                                     : ak_verify_signature(h->p, h->peer_key, s, ak_buf_view(&h->transcript.raw), signature, &why);
    if (e != AK_OK) return ak_hs_fail(h, AK_ERR_bad_signature, "CertificateVerify");
    ak_transcript_forget_raw(&h->transcript);
    return AK_OK;
}
