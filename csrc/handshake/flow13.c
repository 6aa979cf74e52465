/* flow13.c: TLS 1.3 after ServerHello, as RFC 8446 §2's figures draw it. */
#include "handshake/messages13.h"


static bool certified(const ak_hs *h) { return !ak_flow13_of(h)->psk; }

static ak_when with_certificate(const ak_hs *h) { return certified(h) ? AK_YES : AK_NO; }

/* RFC 8446 §4.3.2: a server that authenticates with a PSK must not ask in the main handshake. */
static ak_when has_certificate_request(const ak_hs *h) {
    if (!certified(h)) return AK_NO;
    if (h->server) return h->ctx->client_auth != AK_CLIENT_AUTH_none ? AK_YES : AK_NO;
    return h->client_certificate_requested ? AK_NO : AK_MAYBE;
}

static ak_when has_client_certificate(const ak_hs *h) {
    if (h->after_handshake) return AK_YES;
    bool asked = h->server ? certified(h) && h->ctx->client_auth != AK_CLIENT_AUTH_none : h->client_certificate_requested;
    return asked ? AK_YES : AK_NO;
}

/* RFC 8879 §4: a CompressedCertificate stands in the place of a Certificate, whose row is not needed then. */
static ak_when compressed(const ak_hs *h, bool by_server, ak_when expected) {
    const ak_flow13 *f = ak_flow13_of(h);
    if (expected == AK_NO) return AK_NO;
    if (h->server == by_server) return f->compress_with != 0 && h->identity != NULL ? AK_YES : AK_NO;
    return ak_compress_offers(h) && !f->compressed ? AK_MAYBE : AK_NO;
}

static ak_when plain(const ak_hs *h, bool by_server, ak_when expected) {
    const ak_flow13 *f = ak_flow13_of(h);
    bool other = h->server == by_server ? f->compress_with != 0 && h->identity != NULL : f->compressed;
    return other ? AK_NO : expected;
}

static ak_when has_server_compressed(const ak_hs *h) { return compressed(h, true, with_certificate(h)); }
static ak_when has_server_plain(const ak_hs *h) { return plain(h, true, with_certificate(h)); }
static ak_when has_client_compressed(const ak_hs *h) { return compressed(h, false, has_client_certificate(h)); }
static ak_when has_client_plain(const ak_hs *h) { return plain(h, false, has_client_certificate(h)); }

static ak_when has_client_verify(const ak_hs *h) {
    if (has_client_certificate(h) == AK_NO) return AK_NO;
    bool signs = h->server ? h->info->peer_chain != NULL && h->info->peer_chain->n > 0 : h->client_certificate_sent;
    return signs ? AK_YES : AK_NO;
}

static ak_when has_end_of_early_data(const ak_hs *h) { return ak_flow13_of(h)->early == AK_EARLY_accepted ? AK_YES : AK_NO; }

#define C false
#define S true

const ak_row ak_rows_13[] = {
    {AK_ROW(S, AK_HT_encrypted_extensions, encrypted_extensions), NULL, ak_compose_encrypted_extensions, NULL, ak_receive_encrypted_extensions,
     ak_after_encrypted_extensions},
    {AK_ROW(S, AK_HT_certificate_request, certificate_request), has_certificate_request, ak_compose_certificate_request13, NULL,
     ak_receive_certificate_request13, NULL},
    {AK_ROW(S, AK_HT_compressed_certificate, compressed_certificate), has_server_compressed, ak_compose_compressed_certificate, NULL,
     ak_receive_compressed_certificate, NULL},
    {AK_ROW(S, AK_HT_certificate, certificate), has_server_plain, ak_compose_certificate13, NULL, ak_receive_server_certificate13, NULL},
    {AK_ROW(S, AK_HT_certificate_verify, certificate_verify), with_certificate, ak_compose_certificate_verify13, ak_seal_certificate_verify13,
     ak_receive_certificate_verify13, NULL},
    {AK_ROW(S, AK_HT_finished, finished), NULL, ak_compose_finished13, ak_seal_finished13, ak_receive_finished13, ak_after_server_finished13},
    {AK_ROW(C, AK_HT_end_of_early_data, end_of_early_data), has_end_of_early_data, ak_compose_end_of_early_data, NULL, ak_receive_end_of_early_data,
     ak_after_end_of_early_data},
    {AK_ROW(C, AK_HT_compressed_certificate, compressed_certificate), has_client_compressed, ak_compose_compressed_certificate, NULL,
     ak_receive_compressed_certificate, NULL},
    {AK_ROW(C, AK_HT_certificate, certificate), has_client_plain, ak_compose_certificate13, NULL, ak_receive_client_certificate13, NULL},
    {AK_ROW(C, AK_HT_certificate_verify, certificate_verify), has_client_verify, ak_compose_certificate_verify13, ak_seal_certificate_verify13,
     ak_receive_certificate_verify13, NULL},
    {AK_ROW(C, AK_HT_finished, finished), NULL, ak_compose_finished13, ak_seal_finished13, ak_receive_finished13, ak_after_client_finished13},
    /* the client's session takes the tickets */
    {AK_ROW(S, AK_HT_new_session_ticket, new_session_ticket), ak_wants_ticket13, ak_compose_new_session_ticket13, NULL, NULL,
     ak_after_new_session_ticket13, .repeats = true},
    AK_ROW_END,
};

/* RFC 8446 §4.6.2 (post_auth.c). */
const ak_row ak_rows_post_auth[] = {
    {AK_ROW(S, AK_HT_certificate_request, certificate_request), NULL, ak_compose_certificate_request13, NULL, ak_receive_certificate_request13, NULL},
    {AK_ROW(C, AK_HT_compressed_certificate, compressed_certificate), has_client_compressed, ak_compose_compressed_certificate, NULL,
     ak_receive_compressed_certificate, NULL},
    {AK_ROW(C, AK_HT_certificate, certificate), has_client_plain, ak_compose_certificate13, NULL, ak_receive_client_certificate13, NULL},
    {AK_ROW(C, AK_HT_certificate_verify, certificate_verify), has_client_verify, ak_compose_certificate_verify13, ak_seal_certificate_verify13,
     ak_receive_certificate_verify13, NULL},
    {AK_ROW(C, AK_HT_finished, finished), NULL, ak_compose_finished13, ak_seal_finished13, ak_receive_finished13, NULL},
    AK_ROW_END,
};

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

bool ak_flow13_init(ak_hs *h) {
    ak_flow13 *f = ak_block_new(h->p, sizeof *f);
    if (f == NULL) return false;
#define MAKE(field) ak_buf_init(&f->field, 65535);
    AK_FLOW13_BUFS(MAKE)
#undef MAKE
    h->flow13 = f;
    return true;
}

void ak_flow13_over(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    if (f == NULL) return;
#define FREE(field) ak_buf_free(&f->field);
    AK_FLOW13_BUFS(FREE)
#undef FREE
    ak_wipe(f, offsetof(ak_flow13, derived));
}

void ak_flow13_free(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    if (f == NULL) return;
#define FREE(field) ak_buf_free(&f->field);
    AK_FLOW13_BUFS(FREE)
#undef FREE
    ak_block_free(h->p, f, sizeof *f);
    h->flow13 = NULL;
}
