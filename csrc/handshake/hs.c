/* hs.c: a handshake's life: made, started, fed, looked at, ended. The work is machine.c's. */
#include "handshake/machine.h"
#include "handshake/post_auth.h"

#include "handshake/keys.h"
#include "handshake/messages12.h"
#include "handshake/messages13.h"
#include "handshake/renegotiation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ak_hs *ak_hs_new(ak_context *c, ak_failure *f) {
    ak_hs *h = ak_block_new(c->provider, sizeof *h);
    if (h == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    h->ctx = ak_context_ref(c);
    h->p = ak_provider_ref(c->provider);
    h->server = c->server;
    h->info = ak_info_new(h->p, c->server);
    h->rows = ak_rows_hello;
    h->record_version = c->max_version < AK_TLS10 ? c->max_version : AK_TLS10; /* RFC 5246 §E.1: the first record says 3.1 */
    size_t message = (size_t)c->max_message + 4, hello = (size_t)c->max_hello + 4;
#define MAKE(field, how, max, over) how(&h->field, max);
    AK_HS_BUFS(MAKE)
#undef MAKE
    ak_transcript_init(&h->transcript, hello + 4 * message);
    ak_deframer_init(&h->deframer);
    h->read = ak_protect_new(h->p);
    h->write = ak_protect_new(h->p);
    bool flow13 = c->max_version < AK_TLS13 || ak_flow13_init(h);
    if (!flow13 || h->info == NULL || h->read == NULL || h->write == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        ak_hs_free(h);
        return NULL;
    }
    return h;
}

static void free_items(ak_item *i) {
    while (i != NULL) {
        ak_item *next = i->next;
        ak_buf_free(&i->bytes);
        free(i);
        i = next;
    }
}

void ak_hs_drop_shares(ak_hs *h) {
    for (size_t i = 0; i < sizeof h->shares / sizeof h->shares[0]; i++) {
        ak_share_free(h->shares[i]);
        h->shares[i] = NULL;
    }
    h->n_shares = 0;
}

/* release: all that only the handshake needed. The info stays readable. */
static void release(ak_hs *h) {
#define FREE(field, how, max, over) \
    if (over) ak_buf_free(&h->field);
    AK_HS_BUFS(FREE)
#undef FREE
    memset(&h->client_hello, 0, sizeof h->client_hello);
    memset(&h->server_hello, 0, sizeof h->server_hello);
    free_items(h->out_msg.after);
    free_items(h->flight.after);
    h->out_msg.after = h->flight.after = NULL;
    ak_transcript_free(&h->transcript);
    ak_prf_key_free(&h->secrets.master_key);
    ak_hs_drop_shares(h);
    if (h->identity != NULL) ak_identity_free(h->identity);
    if (h->answer.identity != NULL) ak_identity_free(h->answer.identity);
    if (h->peer_key != NULL) ak_key_free(h->peer_key);
    h->identity = h->answer.identity = NULL;
    h->peer_key = NULL;
    ak_resumption_free(h->offered);
    ak_resumption_free(h->resumed);
    h->offered = h->resumed = NULL;
    ak_flow13_over(h);
    ak_renegotiation_free(h->renegotiation);
    h->renegotiation = NULL;
}

void ak_hs_free(ak_hs *h) {
    if (h == NULL) return;
    release(h);
    ak_flow13_free(h);
#define FREE(field, how, max, over) ak_buf_free(&h->field);
    AK_HS_BUFS(FREE)
#undef FREE
    ak_post_auth_free(h->post_auth);
    ak_deframer_free(&h->deframer);
    ak_protect_free(h->read);
    ak_protect_free(h->write);
    ak_info_free(h->info);
    ak_provider *p = h->p;
    ak_context_free(h->ctx);
    ak_block_free(p, h, sizeof *h);
    ak_provider_free(p);
}

void ak_hs_finished(ak_hs *h) {
    ak_info *i = h->info;
    ak_note_end_point(h);
    for (size_t k = 0; i->peer_chain != NULL && k < i->peer_chain->n; k++) ak_cert_forget_key(i->peer_chain->certs[k]);
    if (!ak_hs_is_13(h) && !h->server && i->resumed && h->offered != NULL && h->ticket.n == 0) {
        i->resumption = ak_resumption_ref(h->offered); /* nothing new has come: the same session goes on */
    } else if (!ak_hs_is_13(h) && ((i->session_id_n != 0 && h->ctx->session_ids) || h->ticket.n != 0) && !h->server) {
        i->resumption = ak_resumption12(h);
        if (i->resumption != NULL) ak_buf_put_view(&i->resumption->ticket, ak_buf_view(&h->ticket));
        int64_t hint = ak_context_now(h->ctx) + h->ticket_lifetime; /* it may shorten the session's life: no server renews what was verified once for ever */
        if (i->resumption != NULL && h->ticket.n != 0 && h->ticket_lifetime != 0 && hint < i->resumption->expires) i->resumption->expires = hint;
    }
    release(h);
}

/* ---- before ---------------------------------------------------------------------------------------------------------------- */

ak_error ak_hs_set_server_name(ak_hs *h, const char *name, ak_failure *f) {
    size_t n = strlen(name);
    if (n > AK_SERVER_NAME_MAX || !ak_host_valid(ak_view_of(name, n))) return ak_fail(f, AK_ERR_bad_host_name, "%.100s", name);
    return ak_buf_set(&h->info->server_name, ak_view_of(name, n)) ? AK_OK : ak_fail(f, AK_ERR_out_of_memory, NULL);
}

void ak_hs_set_resumption(ak_hs *h, ak_resumption *r) {
    ak_resumption_free(h->offered);
    h->offered = r != NULL ? ak_resumption_ref(r) : NULL;
}

void ak_hs_set_gates(ak_hs *h, uint32_t gates) { h->gates = gates; }

ak_error ak_hs_start(ak_hs *h, ak_failure *f) {
    if (h->started) return ak_fail(f, AK_ERR_not_ready, "the handshake has been started already");
    h->started = true;
    return AK_OK;
}

void ak_hs_pad_alerts(ak_hs *h, size_t padding) {
    h->alerts_padded = true;
    h->alert_padding = (uint16_t)(padding < AK_PLAINTEXT_MAX ? padding : AK_PLAINTEXT_MAX);
}

bool ak_hs_started(const ak_hs *h) { return h->started; }
bool ak_hs_done(const ak_hs *h) { return h->done && !h->failed; }

void ak_hs_feed(ak_hs *h, ak_view bytes) {
    if (!h->failed) ak_deframer_feed(&h->deframer, bytes); /* what comes after a failure is nobody's */
}

/* ---- ends -------------------------------------------------------------------------------------------------------------------- */

void ak_hs_eof(ak_hs *h) {
    if (h->done || h->failed) return;
    ak_hs_fail(h, AK_ERR_truncated, "the transport ended in state %s", ak_hs_state(h));
}

void ak_hs_abort(ak_hs *h, int alert) {
    const char *name = ak_alert_name(alert);
    if (h->failed || h->session_taken) return;
    h->event.kind = AK_EV_none;
    ak_hs_fail_alert(h, AK_ERR_aborted, alert, "%s", name != NULL ? name : "");
}

void ak_hs_hook_failed(ak_hs *h, const char *text) {
    h->event.kind = AK_EV_none;
    if (h->session_taken) ak_hs_fail_alert(h, AK_ERR_hook_failed, AK_ALERT_none, "%s", text); /* the keys are the session's by now */
    else ak_hs_fail(h, AK_ERR_hook_failed, "%s", text);
}

/* ---- looking ------------------------------------------------------------------------------------------------------------------- */

const ak_event *ak_hs_event(const ak_hs *h) { return &h->event; }
ak_view ak_hs_output(const ak_hs *h) { return ak_buf_view(&h->output); }
void ak_hs_output_taken(ak_hs *h) {
    if (h->done) ak_buf_free(&h->output);
    else ak_buf_clear(&h->output);
}
const ak_failure *ak_hs_failure(const ak_hs *h) { return h->failed ? &h->failure : NULL; }
ak_view ak_hs_why(const ak_hs *h) { return h->failed ? ak_buf_view(&h->why) : ak_view_of(NULL, 0); }
const ak_info *ak_hs_info(const ak_hs *h) { return h->info; }
const ak_provider *ak_hs_provider(const ak_hs *h) { return h->p; }
ak_view ak_hs_application(const ak_hs *h) { return ak_buf_view(&h->application); }
void ak_hs_application_taken(ak_hs *h) { ak_buf_free(&h->application); }
ak_view ak_hs_keylog(const ak_hs *h) { return ak_buf_view(&h->keylog); }

ak_view ak_hs_message(const ak_hs *h) {
    return h->out_msg.stage != AK_OUT_idle ? ak_buf_view(&h->out_msg.message) : ak_buf_view(&h->in_msg.message);
}

static const struct {
    const char *name;
    size_t at; /* of an ak_secret in ak_secrets; premaster and key_block, which are none, are found by their names */
} secret_names[] = {
    {"premaster", offsetof(ak_secrets, premaster)},
    {"master", offsetof(ak_secrets, master)},
    {"key_block", offsetof(ak_secrets, key_block)},
    {"early", offsetof(ak_secrets, early)},
    {"binder", offsetof(ak_secrets, binder)},
    {"client_early_traffic", offsetof(ak_secrets, client_early_traffic)},
    {"early_exporter", offsetof(ak_secrets, early_exporter)},
    {"handshake", offsetof(ak_secrets, handshake)},
    {"client_handshake_traffic", offsetof(ak_secrets, client_handshake_traffic)},
    {"server_handshake_traffic", offsetof(ak_secrets, server_handshake_traffic)},
    {"client_application_traffic", offsetof(ak_secrets, client_application_traffic)},
    {"server_application_traffic", offsetof(ak_secrets, server_application_traffic)},
    {"exporter", offsetof(ak_secrets, exporter)},
    {"resumption", offsetof(ak_secrets, resumption)},
};

ak_view ak_hs_secret(const ak_hs *h, const char *name) {
    const ak_secrets *s = &h->secrets;
    if (strcmp(name, "premaster") == 0) return ak_buf_view(&s->premaster);
    if (strcmp(name, "key_block") == 0) return ak_view_of(s->key_block, s->key_block_n);
    if (strcmp(name, "master") == 0 && ak_hs_is_13(h)) return ak_secret_view(&s->master13);
    for (size_t i = 0; i < sizeof secret_names / sizeof secret_names[0]; i++)
        if (strcmp(secret_names[i].name, name) == 0) return ak_secret_view((const ak_secret *)((const char *)s + secret_names[i].at));
    return ak_view_of(NULL, 0);
}

static bool put_hex(ak_buf *b, ak_view v) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < v.n; i++) {
        ak_buf_u8(b, (unsigned char)digits[v.p[i] >> 4]);
        ak_buf_u8(b, (unsigned char)digits[v.p[i] & 15]);
    }
    return !b->bad;
}

bool ak_hs_keylog_line(ak_hs *h, const char *label, ak_view secret) {
    if (!h->ctx->keylog) return true;
    ak_buf *b = &h->keylog;
    ak_buf_put(b, label, strlen(label));
    ak_buf_u8(b, ' ');
    put_hex(b, ak_view_of(h->info->client_random, 32));
    ak_buf_u8(b, ' ');
    put_hex(b, secret);
    return ak_buf_u8(b, '\n');
}
