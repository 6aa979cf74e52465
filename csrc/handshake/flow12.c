/* flow12.c: TLS <= 1.2 after ServerHello, as RFC 5246 §7.3's two figures and RFC 5077 §3.1 draw it. */
#include "handshake/messages12.h"

#include "handshake/keys.h"

static ak_when full(const ak_hs *h) { return h->info->resumed ? AK_NO : AK_YES; }
static ak_when resumed(const ak_hs *h) { return h->info->resumed ? AK_YES : AK_NO; }

static ak_when has_certificate(const ak_hs *h) { return !h->info->resumed && ak_suite_has_certificate(h->info->suite) ? AK_YES : AK_NO; }

static ak_when has_status(const ak_hs *h) {
    if (h->info->resumed || !h->expect_status || !ak_suite_has_certificate(h->info->suite)) return AK_NO;
    return h->server ? AK_YES : AK_MAYBE;
}

static ak_when has_server_key_exchange(const ak_hs *h) {
    if (h->info->resumed) return AK_NO;
    switch (h->info->suite->kx) {
    case AK_KX_ecdhe:
    case AK_KX_dhe:
    case AK_KX_ecdhe_psk:
    case AK_KX_dhe_psk: return AK_YES;
    case AK_KX_psk:
    case AK_KX_rsa_psk: /* for the sake of a hint alone, RFC 4279 §2 */
        if (!h->server) return AK_MAYBE;
        return h->ctx->psk_hint.n != 0 ? AK_YES : AK_NO;
    case AK_KX_rsa:
    case AK_KX_tls13: break;
    }
    return AK_NO;
}

/* An anonymous server must not ask (RFC 5246 §7.4.4). With RSA_PSK the key has proved the client. */
bool ak_asks_certificate(const ak_context *c, const ak_suite *s) {
    return c->client_auth != AK_CLIENT_AUTH_none && ak_suite_has_certificate(s) && s->kx != AK_KX_rsa_psk;
}

static bool server_asks(const ak_hs *h) { return ak_asks_certificate(h->ctx, h->info->suite); }

/* An anonymous server's has a row for the sake of its alert (RFC 5246 §7.4.4). */
static ak_when has_certificate_request(const ak_hs *h) {
    if (h->info->resumed || (!ak_suite_has_certificate(h->info->suite) && (h->server || h->info->suite->auth != AK_AUTH_anon))) return AK_NO;
    if (h->server) return server_asks(h) ? AK_YES : AK_NO;
    return h->client_certificate_requested ? AK_NO : AK_MAYBE;
}

static ak_when has_client_certificate(const ak_hs *h) {
    if (h->info->resumed) return AK_NO;
    if (h->info->version == AK_SSL30 && (h->server ? h->no_client_certificate : h->identity == NULL)) return AK_NO; /* an alert says it, RFC 6101 §5.6.6 */
    bool asked = h->server ? server_asks(h) : h->client_certificate_requested;
    return asked ? AK_YES : AK_NO;
}

static ak_when has_certificate_verify(const ak_hs *h) {
    bool signs = h->server ? h->info->peer_chain != NULL && h->info->peer_chain->n > 0 : h->client_certificate_sent;
    return !h->info->resumed && signs ? AK_YES : AK_NO;
}

static ak_when full_ticket(const ak_hs *h) { return !h->info->resumed && (h->server ? h->send_ticket : h->expect_ticket) ? AK_YES : AK_NO; }
static ak_when resumed_ticket(const ak_hs *h) { return h->info->resumed && (h->server ? h->send_ticket : h->expect_ticket) ? AK_YES : AK_NO; }

#define C false
#define S true
#define CCS AK_ROW_ccs

const ak_row ak_rows_12[] = {
    /* the abbreviated handshake */
    {AK_ROW(S, AK_HT_new_session_ticket, new_session_ticket), resumed_ticket, ak_compose_new_session_ticket12, NULL, ak_receive_new_session_ticket12, NULL},
    {AK_ROW(S, CCS, change_cipher_spec), resumed, NULL, NULL, NULL, ak_after_change_cipher_spec},
    {AK_ROW(S, AK_HT_finished, finished), resumed, ak_compose_finished12, ak_seal_finished12, ak_receive_finished12, ak_after_server_finished12},
    {AK_ROW(C, CCS, change_cipher_spec), resumed, NULL, NULL, NULL, ak_after_change_cipher_spec},
    {AK_ROW(C, AK_HT_finished, finished), resumed, ak_compose_finished12, ak_seal_finished12, ak_receive_finished12, ak_after_client_finished12},
    /* the full one */
    {AK_ROW(S, AK_HT_certificate, certificate), has_certificate, ak_compose_certificate12, NULL, ak_receive_server_certificate12, NULL},
    {AK_ROW(S, AK_HT_certificate_status, certificate_status), has_status, ak_compose_certificate_status12, NULL, ak_receive_certificate_status12, NULL},
    {AK_ROW(S, AK_HT_server_key_exchange, server_key_exchange), has_server_key_exchange, ak_compose_server_key_exchange, ak_seal_server_key_exchange,
     ak_receive_server_key_exchange, NULL},
    {AK_ROW(S, AK_HT_certificate_request, certificate_request), has_certificate_request, ak_compose_certificate_request12, NULL,
     ak_receive_certificate_request12, NULL},
    {AK_ROW(S, AK_HT_server_hello_done, server_hello_done), full, ak_compose_server_hello_done, NULL, ak_receive_server_hello_done, NULL},
    {AK_ROW(C, AK_HT_certificate, certificate), has_client_certificate, ak_compose_certificate12, NULL, ak_receive_client_certificate12, NULL},
    {AK_ROW(C, AK_HT_client_key_exchange, client_key_exchange), full, ak_compose_client_key_exchange, NULL, ak_receive_client_key_exchange,
     ak_after_client_key_exchange},
    {AK_ROW(C, AK_HT_certificate_verify, certificate_verify), has_certificate_verify, ak_compose_certificate_verify12, ak_seal_certificate_verify12,
     ak_receive_certificate_verify12, NULL},
    {AK_ROW(C, CCS, change_cipher_spec), full, NULL, NULL, NULL, ak_after_change_cipher_spec},
    {AK_ROW(C, AK_HT_finished, finished), full, ak_compose_finished12, ak_seal_finished12, ak_receive_finished12, ak_after_client_finished12},
    {AK_ROW(S, AK_HT_new_session_ticket, new_session_ticket), full_ticket, ak_compose_new_session_ticket12, NULL, ak_receive_new_session_ticket12, NULL},
    {AK_ROW(S, CCS, change_cipher_spec), full, NULL, NULL, NULL, ak_after_change_cipher_spec},
    {AK_ROW(S, AK_HT_finished, finished), full, ak_compose_finished12, ak_seal_finished12, ak_receive_finished12, ak_after_server_finished12},
    AK_ROW_END,
};
