/* post_auth.c: client authentication after the handshake (RFC 8446 §4.6.2): CertificateRequest from the server, Certificate, CertificateVerify and Finished from the
 * client. Each request is a small handshake: an ak_hs that walks the rows of ak_rows_post_auth, whose transcript begins with the whole handshake. So its
 * messages pass the same functions, gates and questions. It has no records of its own: the session opens what comes and hands whole messages over, and
 * what goes out is sealed with the session's write key. */
#include "handshake/post_auth.h"

#include "handshake/extensions.h"
#include "handshake/messages13.h"
#include "handshake/session.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ANSWERS 32 /* of a client, in a row, without data between them: each costs it a signature */
#define CONTEXT 16

struct ak_post_auth {
    ak_running transcript;                   /* up to the client's Finished */
    ak_hs *requests[AK_POST_AUTH_REQUESTS];  /* server: asked and not answered; client: the one that it is answering */
    size_t n;
    ak_hs *answering; /* server: of which the client's messages have begun */
    ak_hs *asks;      /* one that waits for the application */
    unsigned answers; /* client */
};

bool ak_offer_post_handshake_auth(ak_hs *h, ak_buf *b) {
    (void)b;
    return h->ctx->post_handshake_auth && ak_offers_13(h);
}

ak_error ak_offered_post_handshake_auth(ak_hs *h, ak_view body) {
    return body.n == 0 || !ak_hs_is_13(h) ? AK_OK : ak_hs_fail(h, AK_ERR_decode_error, "post_handshake_auth has %zu bytes", body.n);
}

static ak_post_auth *with_transcript(const ak_running *so_far) {
    ak_post_auth *p = ak_zalloc(sizeof *p);
    if (p != NULL) p->transcript = *so_far;
    return p;
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
    for (size_t i = 0; i < p->n; i++) ak_hs_free(p->requests[i]);
    free(p);
}

bool ak_post_auth_pending(const ak_session *s) { return s->post_auth != NULL && s->post_auth->answering != NULL; }

bool ak_post_auth_waits(const ak_session *s) { return s->post_auth != NULL && s->post_auth->asks != NULL; }

/* Its base key is the traffic secret of the moment; before it nothing of the answer is bound to a key. */
bool ak_post_auth_holds_key(const ak_session *s) {
    if (s->server || !ak_post_auth_waits(s)) return false;
    const ak_outgoing *o = &s->post_auth->asks->out_msg;
    return (o->row != NULL && o->row->message == AK_HT_finished) || ak_post_auth_between_records(s);
}

bool ak_post_auth_between_records(const ak_session *s) { return ak_post_auth_waits(s) && s->post_auth->asks->flight.stage != AK_FLUSH_idle; }

void ak_post_auth_data_came(ak_session *s) {
    if (s->post_auth != NULL) s->post_auth->answers = 0;
}

/* ---- the small handshake: it has an info of its own, so that nobody takes for proved what is only said so far ---------------------------------------------- */

static ak_hs *begin(const ak_session *s) {
    ak_failure ignored = {0};
    ak_post_auth *p = s->post_auth;
    ak_hs *h = ak_hs_new(s->ctx, &ignored);
    if (h == NULL) return NULL;
    ak_info_free(h->info);
    h->info = ak_info_copy(s->info);
    h->started = h->after_handshake = true;
    h->gates = s->gates & (AK_GATE_compose | AK_GATE_send | AK_GATE_plain_out | AK_GATE_receive);
    h->record_version = s->record_version;
    h->peer_record_limit = s->peer_record_limit;
    ak_hs_use_rows(h, ak_rows_post_auth);
    h->transcript.hash = p->transcript;
    h->transcript.hashing = true;
    if (h->info == NULL) {
        ak_hs_free(h);
        return NULL;
    }
    p->requests[p->n++] = h;
    return h;
}

/* end: it is over, one way or the other. */
static void end(ak_post_auth *p, ak_hs *h) {
    size_t i = 0;
    while (i < p->n && p->requests[i] != h) i++;
    if (i < p->n) memmove(&p->requests[i], &p->requests[i + 1], (--p->n - i) * sizeof p->requests[0]);
    if (p->answering == h) p->answering = NULL;
    if (p->asks == h) p->asks = NULL;
    ak_hs_free(h);
}

static void swap_report(ak_info *a, ak_info *b) {
    ak_report *report = a->report;
    a->report = b->report;
    b->report = report;
}

/* adopt: with its Finished the client has proved who it is: the session says so from now on. */
static void adopt(ak_session *s, ak_info *from) {
    ak_info *to = s->info;
    if (!s->server) {
        to->own_scheme = from->own_scheme;
        return;
    }
    ak_chain *chain = to->peer_chain;
    to->peer_chain = from->peer_chain;
    from->peer_chain = chain;
    swap_report(to, from);
    to->peer_scheme = from->peer_scheme;
    to->vouched = from->vouched;
}

/* take_output: it was sealed with the session's key, and goes out before all that is sealed later. After our close_notify nothing follows. */
static bool take_output(ak_session *s, ak_hs *h) {
    bool ok = s->write_closed || ak_buf_put_view(&s->reply, ak_hs_output(h));
    ak_hs_output_taken(h);
    return ok;
}

static ak_error failed(ak_session *s, ak_hs *h) {
    ak_info *i = h->info;
    ak_failure f = *ak_hs_failure(h);
    if (i->report != NULL && i->report->verdict != AK_OK) swap_report(s->info, i); /* the failure's */
    return ak_session_failed(s, &f); /* h is gone with the session's keys */
}

/* run: until it needs something. Its Finished is under the traffic secret of the moment (§4.4). */
static ak_error run(ak_session *s, ak_hs *h) {
    ak_post_auth *p = s->post_auth;
    ak_protect *own = h->write;
    h->secrets.client_handshake_traffic = s->tls13[s->server ? AK_KEPT_read : AK_KEPT_write];
    h->write = s->write;
    p->asks = NULL;
    ak_status status = ak_hs_run(h);
    h->write = own;
    ak_secret_wipe(&h->secrets.client_handshake_traffic);
    if (!take_output(s, h)) return ak_session_fail(s, AK_ERR_out_of_memory, NULL);
    switch (status) {
    case AK_EVENT: p->asks = h; return AK_OK;
    case AK_FAILED: return failed(s, h);
    case AK_DONE:
        adopt(s, h->info);
        end(p, h);
        return AK_OK;
    case AK_NEED_INPUT:
    default:
        if (!s->server) end(p, h); /* a script has dropped the request */
        return AK_OK;
    }
}

/* give: a whole message of the peer's. */
static ak_error give(ak_session *s, ak_hs *h, ak_view message) {
    if (!ak_buf_put_view(&h->assembly, message)) return ak_session_fail(s, AK_ERR_out_of_memory, NULL);
    return run(s, h);
}

/* ---- client ------------------------------------------------------------------------------------------------------------------------------ */

static ak_error requested(ak_session *s, ak_view message) {
    ak_post_auth *p = s->post_auth;
    if (s->write_closed) return AK_OK; /* nothing follows our close_notify */
    if (++p->answers > MAX_ANSWERS) return ak_session_fail(s, AK_ERR_too_many_requests, "more than %d", MAX_ANSWERS);
    ak_hs *h = begin(s);
    return h != NULL ? give(s, h, message) : ak_session_fail(s, AK_ERR_out_of_memory, NULL);
}

/* ---- server -------------------------------------------------------------------------------------------------------------------------------- */

ak_error ak_session_request_certificate(ak_session *s, ak_failure *f) {
    uint8_t context[CONTEXT];
    if (s->failed) {
        *f = *ak_session_failure(s);
        return f->error;
    }
    ak_post_auth *p = s->post_auth;
    if (!s->server || s->closed || s->write_closed || p == NULL) return ak_fail(f, AK_ERR_not_ready, "the client has not said post_handshake_auth, or the session is over");
    if (p->asks != NULL) return ak_fail(f, AK_ERR_not_ready, "another authentication waits for the application");
    if (p->n == AK_POST_AUTH_REQUESTS) return ak_fail(f, AK_ERR_not_ready, "%d requests have not been answered yet", AK_POST_AUTH_REQUESTS);
    if (!ak_random(s->p, AK_PURPOSE_session_id, context, sizeof context)) return ak_fail(f, AK_ERR_randomness, "certificate_request_context");
    ak_hs *h = begin(s);
    if (h == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    ak_error e = ak_buf_put(&h->certificate_request_context, context, sizeof context) ? run(s, h) : ak_session_fail(s, AK_ERR_out_of_memory, NULL);
    if (e != AK_OK) *f = *ak_session_failure(s);
    return e;
}

/* request_of: the request that a Certificate answers: the client may take them in any order (§4.6.2). NULL: none. */
static ak_hs *request_of(ak_post_auth *p, ak_view message) {
    for (size_t i = 0; i < p->n; i++)
        if (ak_certificate_answers(p->requests[i], message)) return p->requests[i];
    return NULL;
}

static ak_error answered(ak_session *s, ak_view message) {
    ak_post_auth *p = s->post_auth;
    if (p->answering == NULL) p->answering = request_of(p, message);
    if (p->answering == NULL) return ak_session_fail(s, AK_ERR_illegal_parameter, "not the certificate_request_context of a request (RFC 8446 §4.4.2)");
    return give(s, p->answering, message);
}

ak_error ak_post_auth_message(ak_session *s, ak_view message, bool *taken) {
    const ak_post_auth *p = s->post_auth;
    uint8_t type = message.p[0];
    *taken = false;
    if (p == NULL) return AK_OK;
    if (!s->server) {
        *taken = type == AK_HT_certificate_request;
        return *taken ? requested(s, message) : AK_OK;
    }
    bool begins = type == AK_HT_certificate || (type == AK_HT_compressed_certificate && p->n != 0 && ak_compress_offers(p->requests[0]));
    *taken = p->answering != NULL || (p->n != 0 && begins);
    return *taken ? answered(s, message) : AK_OK;
}

/* ---- questions ---------------------------------------------------------------------------------------------------------------------------- */

bool ak_session_may_ask(const ak_session *s) { return s->post_auth != NULL; }

const ak_event *ak_session_event(const ak_session *s) { return ak_post_auth_waits(s) ? ak_hs_event(s->post_auth->asks) : NULL; }

static ak_error go_on(ak_session *s, ak_failure *f) {
    ak_error e = run(s, s->post_auth->asks);
    if (e != AK_OK) *f = *ak_session_failure(s);
    return e;
}

ak_error ak_session_answer(ak_session *s, const ak_answer *a, ak_failure *f) {
    if (!ak_post_auth_waits(s)) return ak_fail(f, AK_ERR_not_ready, "nothing was asked");
    ak_hs_answer(s->post_auth->asks, a); /* what goes wrong here the next run says */
    return go_on(s, f);
}

ak_error ak_session_hook_failed(ak_session *s, const char *text, ak_failure *f) {
    if (!ak_post_auth_waits(s)) return ak_fail(f, AK_ERR_not_ready, "nothing was asked");
    ak_hs *h = s->post_auth->asks;
    ak_protect *own = h->write;
    h->write = s->write; /* the alert's key */
    ak_hs_hook_failed(h, text);
    h->write = own;
    return go_on(s, f);
}
