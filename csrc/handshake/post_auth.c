/* post_auth.c: client authentication after the handshake (RFC 8446 §4.6.2): CertificateRequest from the server, Certificate, CertificateVerify and Finished from the
 * client, by the functions of the handshake itself: a small ak_hs is made for them, whose transcript begins with the whole handshake. */
#include "handshake/post_auth.h"

#include "handshake/extensions.h"
#include "handshake/messages13.h"
#include "handshake/session.h"

#include <stdlib.h>
#include <string.h>

typedef enum stage { AWAIT_nothing, AWAIT_certificate, AWAIT_verify, AWAIT_finished } stage;

struct ak_post_auth {
    ak_running transcript; /* up to the client's Finished */
    ak_hs *h;              /* server: of the request that is under way */
    stage awaits;          /* server */
};

bool ak_offer_post_handshake_auth(ak_hs *h, ak_buf *b) {
    (void)b;
    return h->ctx->post_handshake_auth && ak_offers_13(h);
}

ak_error ak_offered_post_handshake_auth(ak_hs *h, ak_view body) {
    return body.n == 0 || !ak_hs_is_13(h) ? AK_OK : ak_hs_fail(h, AK_ERR_decode_error, "post_handshake_auth has %zu bytes", body.n);
}

static ak_post_auth *with_transcript(const ak_running *so_far) {
    ak_post_auth *p = calloc(1, sizeof *p);
    if (p == NULL || ak_running_copy(&p->transcript, so_far)) return p;
    free(p);
    return NULL;
}

ak_post_auth *ak_post_auth_copy(const ak_post_auth *p) { return with_transcript(&p->transcript); }

ak_error ak_post_auth_keep(ak_hs *h) {
    if (!h->ctx->post_handshake_auth || !ak_ext_client_sent(h, AK_EXT_post_handshake_auth, NULL)) return AK_OK;
    ak_post_auth_free(h->post_auth);
    h->post_auth = with_transcript(&h->transcript.hash);
    return h->post_auth != NULL ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, "the transcript hash");
}

void ak_post_auth_free(ak_post_auth *p) {
    if (p == NULL) return;
    ak_hs_free(p->h);
    ak_running_free(&p->transcript);
    free(p);
}

bool ak_post_auth_pending(const ak_session *s) { return s->post_auth != NULL && s->post_auth->awaits > AWAIT_certificate; }

/* ---- the small handshake: it has an info of its own, so that nobody takes for proved what is only said so far --------------------------------------------------------------------------------------------------------------- */

static ak_hs *begin(const ak_session *s) {
    ak_failure ignored = {0};
    ak_context *c = ak_context_variant(s->ctx);
    if (c == NULL) return NULL;
    c->min_version = c->max_version = AK_TLS13;
    c->ask_untrusted = c->ask_client_identity = false; /* nobody could answer */
    ak_hs *h = ak_hs_new(c, &ignored);
    ak_context_free(c);
    if (h == NULL) return NULL;
    ak_info_free(h->info);
    h->info = ak_info_copy(s->info);
    h->started = true;
    h->transcript.hashing = ak_running_copy(&h->transcript.hash, &s->post_auth->transcript);
    if (h->transcript.hashing && h->info != NULL) return h;
    ak_hs_free(h);
    return NULL;
}

/* failed: the session ends as the small handshake did. */
static ak_error failed(ak_session *s, const ak_hs *h, ak_error e) {
    const ak_failure *f = ak_hs_failure(h);
    return f != NULL ? ak_session_fail_alert(s, f->error, f->alert, f->detail) : ak_session_fail(s, e, "authentication after the handshake");
}

/* ---- client ------------------------------------------------------------------------------------------------------------------------------ */

static ak_error put(ak_hs *h, ak_buf *all, uint8_t type, ak_error (*compose)(ak_hs *, ak_buf *), ak_error (*seal)(ak_hs *, ak_buf *, size_t)) {
    ak_buf m;
    ak_buf_init(&m, AK_BUF_NO_LIMIT);
    ak_buf_u8(&m, type);
    size_t mark = ak_buf_open(&m, 3);
    ak_error e = compose(h, &m);
    ak_buf_close(&m, mark, 3);
    if (e == AK_OK && seal != NULL) {
        e = seal(h, &m, 4);
        if (e == AK_OK) { /* sealing has changed the length */
            size_t n = m.n - 4;
            m.p[1] = (uint8_t)(n >> 16);
            m.p[2] = (uint8_t)(n >> 8);
            m.p[3] = (uint8_t)n;
        }
    }
    if (e == AK_OK && (m.bad || !ak_transcript_add(&h->transcript, ak_buf_view(&m)) || !ak_buf_put_view(all, ak_buf_view(&m)))) e = AK_ERR_out_of_memory;
    ak_buf_free(&m);
    return e;
}

/* answer: all messages of the answer go out together; the Finished is under the traffic secret in force (§4.4). */
static ak_error answer(ak_session *s, ak_hs *h, ak_view request) {
    ak_buf all;
    ak_buf_init(&all, AK_BUF_NO_LIMIT);
    h->secrets.client_handshake_traffic = s->write_secret;
    ak_error e = ak_receive_certificate_request13(h, ak_view_of(request.p + AK_HANDSHAKE_HEADER, request.n - AK_HANDSHAKE_HEADER));
    if (e == AK_OK && !ak_transcript_add(&h->transcript, request)) e = AK_ERR_out_of_memory;
    if (e == AK_OK) e = put(h, &all, AK_HT_certificate, ak_compose_certificate13, NULL);
    if (e == AK_OK && h->client_certificate_sent) e = put(h, &all, AK_HT_certificate_verify, ak_compose_certificate_verify13, ak_seal_certificate_verify13);
    if (e == AK_OK) e = put(h, &all, AK_HT_finished, ak_compose_finished13, ak_seal_finished13);
    if (e == AK_OK && !ak_session_put(s, AK_CT_handshake, all.p, all.n)) e = AK_ERR_crypto_failed;
    ak_buf_free(&all);
    return e;
}

static ak_error requested(ak_session *s, ak_view message) {
    if (s->write_closed) return AK_OK; /* nothing follows our close_notify */
    ak_hs *h = begin(s);
    if (h == NULL) return ak_session_fail(s, AK_ERR_out_of_memory, NULL);
    h->after_handshake = true;
    ak_error e = answer(s, h, message);
    if (e == AK_OK) s->info->own_scheme = h->info->own_scheme;
    if (e != AK_OK) e = failed(s, h, e);
    ak_hs_free(h);
    return e;
}

/* ---- server -------------------------------------------------------------------------------------------------------------------------------- */

#define CONTEXT 16

static ak_error request(ak_session *s, ak_hs *h) {
    uint8_t context[CONTEXT];
    ak_buf all;
    ak_buf_init(&all, AK_BUF_NO_LIMIT);
    ak_error e = ak_random(s->p, AK_PURPOSE_session_id, context, sizeof context) ? AK_OK : AK_ERR_randomness;
    h->after_handshake = true;
    if (e == AK_OK && !ak_buf_put(&h->certificate_request_context, context, sizeof context)) e = AK_ERR_out_of_memory;
    if (e == AK_OK) e = put(h, &all, AK_HT_certificate_request, ak_compose_certificate_request13, NULL);
    if (e == AK_OK && !ak_session_put(s, AK_CT_handshake, all.p, all.n)) e = AK_ERR_crypto_failed;
    ak_buf_free(&all);
    return e;
}

ak_error ak_session_request_certificate(ak_session *s, ak_failure *f) {
    if (s->failure.error != AK_OK) {
        *f = s->failure;
        return s->failure.error;
    }
    if (!s->server || s->closed || s->post_auth == NULL) return ak_fail(f, AK_ERR_not_ready, "the client has not said post_handshake_auth, or the session is over");
    if (s->post_auth->h != NULL) return ak_fail(f, AK_ERR_not_ready, "a request is under way");
    ak_hs *h = begin(s);
    if (h == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    ak_error e = request(s, h);
    if (e != AK_OK) {
        ak_hs_free(h);
        return ak_fail(f, e, "CertificateRequest");
    }
    s->post_auth->h = h;
    s->post_auth->awaits = AWAIT_certificate;
    return AK_OK;
}

static void swap_report(ak_info *a, ak_info *b) {
    ak_report *report = a->report;
    a->report = b->report;
    b->report = report;
}

/* adopt: with its Finished the client has proved who it is: the session says so from now on. */
static void adopt(ak_info *to, ak_info *from) {
    ak_chain *chain = to->peer_chain;
    to->peer_chain = from->peer_chain;
    from->peer_chain = chain;
    swap_report(to, from);
    to->peer_scheme = from->peer_scheme;
    to->vouched = from->vouched;
}

static ak_error answered(ak_session *s, ak_view message) {
    ak_post_auth *p = s->post_auth;
    ak_hs *h = p->h;
    ak_info *i = h->info;
    ak_view body = ak_view_of(message.p + AK_HANDSHAKE_HEADER, message.n - AK_HANDSHAKE_HEADER);
    ak_error e;
    switch (p->awaits) {
    case AWAIT_certificate:
        e = ak_receive_client_certificate13(h, body);
        p->awaits = i->peer_chain != NULL && i->peer_chain->n != 0 ? AWAIT_verify : AWAIT_finished;
        break;
    case AWAIT_verify:
        e = ak_receive_certificate_verify13(h, body);
        p->awaits = AWAIT_finished;
        break;
    case AWAIT_finished:
    case AWAIT_nothing:
    default:
        h->secrets.client_handshake_traffic = s->read_secret;
        e = ak_receive_finished13(h, body);
        p->awaits = AWAIT_nothing;
        break;
    }
    if (e == AK_OK && !ak_transcript_add(&h->transcript, message)) e = AK_ERR_out_of_memory;
    if (e != AK_OK) {
        if (i->report != NULL && i->report->verdict != AK_OK) swap_report(s->info, i); /* the failure's */
        return failed(s, h, e);
    }
    if (p->awaits == AWAIT_nothing) {
        adopt(s->info, i);
        ak_hs_free(h);
        p->h = NULL;
    }
    return AK_OK;
}

ak_error ak_post_auth_message(ak_session *s, ak_view message, bool *taken) {
    static const uint8_t due[] = {[AWAIT_certificate] = AK_HT_certificate, [AWAIT_verify] = AK_HT_certificate_verify, [AWAIT_finished] = AK_HT_finished};
    const ak_post_auth *p = s->post_auth;
    *taken = false;
    if (p == NULL) return AK_OK;
    if (!s->server) {
        *taken = message.p[0] == AK_HT_certificate_request;
        return *taken ? requested(s, message) : AK_OK;
    }
    *taken = p->awaits != AWAIT_nothing && message.p[0] == due[p->awaits];
    return *taken ? answered(s, message) : AK_OK;
}
