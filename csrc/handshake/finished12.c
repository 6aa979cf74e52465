/* finished12.c: ChangeCipherSpec and Finished of TLS <= 1.2 (RFC 5246 §7.1, §7.4.9), and what is kept of the session. */
#include "handshake/messages12.h"

#include "base/ct.h"
#include "handshake/keys.h"

#include <stdlib.h>
#include <string.h>

ak_error ak_after_change_cipher_spec(ak_hs *h) {
    bool ours = h->out_msg.stage != AK_OUT_idle;
    h->actions |= ours ? AK_ACT_rekey_write : AK_ACT_rekey_read;
    return AK_OK;
}

/* ---- Finished -------------------------------------------------------------------------------------------------------------------- */

ak_error ak_compose_finished12(ak_hs *h, ak_buf *b) {
    (void)h;
    (void)b; /* verify_data is still open */
    return AK_OK;
}

static void note(ak_hs *h, bool server, const uint8_t *p, size_t n) {
    if (n > 64) n = 64;
    memcpy(server ? h->info->server_finished : h->info->client_finished, p, n);
    *(server ? &h->info->server_finished_n : &h->info->client_finished_n) = (uint8_t)n;
}

ak_error ak_seal_finished12(ak_hs *h, ak_buf *m, size_t at) {
    uint8_t verify_data[AK_VERIFY_DATA_MAX];
    if (m->n != at) { /* a script has put its own */
        note(h, h->server, m->p + at, m->n - at);
        return AK_OK;
    }
    ak_error e = ak_keys12_verify_data(h, h->server, verify_data);
    if (e != AK_OK) return e;
    note(h, h->server, verify_data, ak_verify_data_size(h));
    return ak_buf_put(m, verify_data, ak_verify_data_size(h)) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

ak_error ak_receive_finished12(ak_hs *h, ak_view body) {
    uint8_t verify_data[AK_VERIFY_DATA_MAX];
    size_t n = ak_verify_data_size(h);
    if (body.n != n) return ak_hs_fail(h, AK_ERR_bad_finished, "Finished has %zu bytes, not %zu", body.n, n);
    ak_error e = ak_keys12_verify_data(h, !h->server, verify_data);
    if (e != AK_OK) return e;
    if (!ak_ct_eq(verify_data, body.p, n)) return ak_hs_fail(h, AK_ERR_bad_finished, "verify_data is not what the messages so far make it");
    note(h, !h->server, verify_data, n);
    return AK_OK;
}

/* ---- the session that can be resumed -------------------------------------------------------------------------------------------------- */

ak_resumption *ak_resumption12(const ak_hs *h) {
    const ak_info *i = h->info;
    ak_resumption *r = ak_resumption_new();
    if (r == NULL) return NULL;
    const ak_resumption *old = i->resumed ? (h->server ? h->resumed : h->offered) : NULL;
    r->server = h->server;
    r->version = i->version;
    r->suite = i->suite->id;
    r->ems = i->ems;
    r->etm = i->etm;
    r->secret = h->secrets.master;
    memcpy(r->session_id, i->session_id, i->session_id_n);
    r->session_id_n = i->session_id_n;
    r->created = old != NULL ? old->created : ak_context_now(h->ctx); /* resuming does not make a session younger */
    r->expires = old != NULL ? old->expires : r->created + h->ctx->session_lifetime;
    r->group = i->group != NULL ? i->group->id : 0;
    r->peer_scheme = i->peer_scheme != NULL ? i->peer_scheme->id : 0;
    r->max_fragment_length = i->max_fragment_length;
    bool proofs = i->server || (ak_buf_set(&r->ocsp_response, ak_buf_view(&i->ocsp_response)) && ak_buf_set(&r->scts, ak_buf_view(&i->scts)));
    if (!proofs || !ak_buf_set(&r->server_name, ak_buf_view(&i->server_name)) || !ak_buf_set(&r->alpn, ak_buf_view(&i->alpn)) ||
        !ak_buf_set(&r->psk_identity, ak_buf_view(&i->psk_identity))) {
        ak_resumption_free(r);
        return NULL;
    }
    ak_note_end_point(h);
    memcpy(r->end_point, i->end_point, sizeof r->end_point);
    r->end_point_n = i->end_point_n;
    r->context_id.n = 0;
    ak_view context = ak_context_identity(h->ctx);
    ak_secret_set(&r->context_id, context.p, context.n);
    /* a chain that nobody verified must not become one that was */
    ak_error unseen = h->ctx->verify || i->peer_chain == NULL ? AK_OK : AK_ERR_certificate_rejected;
    r->verdict = i->vouched ? AK_OK : i->report != NULL ? i->report->verdict : old != NULL ? old->verdict : unseen;
    r->peer_chain = ak_chain_share(i->peer_chain);
    ak_resumption_limit(r, h->ctx);
    return r;
}

/* The server stores a session once the client's Finished has proved it (full handshake). */
static ak_error store(ak_hs *h) {
    ak_info *i = h->info;
    if (i->session_id_n == 0 || i->resumed || (h->ctx->store == NULL && !h->ctx->external_store)) return AK_OK;
    ak_resumption *r = ak_resumption12(h);
    ak_buf_free(&h->scratch);
    ak_buf_init_secret(&h->scratch, 1 << 20);
    bool ok = r != NULL && ak_resumption_write(r, &h->scratch);
    ak_view id = ak_view_of(i->session_id, i->session_id_n);
    int64_t expires = r != NULL ? r->expires : 0;
    ak_resumption_free(r);
    if (!ok) return ak_hs_fail(h, AK_ERR_out_of_memory, "the session to be stored");
    if (h->ctx->store != NULL) {
        ok = ak_store_put(h->ctx->store, id, ak_buf_view(&h->scratch), expires);
        ak_buf_free(&h->scratch);
        return ok ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, "the session store");
    }
    h->event.key = id;
    h->event.bytes = ak_buf_view(&h->scratch);
    h->phase = 1;
    return ak_hs_ask(h, AK_EV_session_put);
}

ak_error ak_after_client_finished12(ak_hs *h) {
    if (!h->server) return AK_OK;
    if (h->phase == 1) {
        ak_buf_free(&h->scratch);
        return AK_OK;
    }
    h->remove_on_failure = !h->info->by_ticket;
    return store(h);
}

ak_error ak_after_server_finished12(ak_hs *h) {
    (void)h;
    return AK_OK;
}
