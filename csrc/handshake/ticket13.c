/* ticket13.c: NewSessionTicket of TLS 1.3 on its way out (RFC 8446 §4.6.1), and what both sides keep of a session. The client's end is in session13.c. */
#include "handshake/messages13.h"

#include "crypto/kdf.h"
#include "handshake/extensions.h"
#include "handshake/keys.h"
#include "handshake/tickets.h"

#include <stdlib.h>
#include <string.h>

/* ---- what can be resumed ------------------------------------------------------------------------------------------------------- */

ak_resumption *ak_resumption13(ak_context *c, const ak_info *i, const ak_secret *resumption_master, ak_view nonce, uint32_t lifetime) {
    ak_resumption *r = ak_resumption_new();
    if (r == NULL) return NULL;
    int64_t now = ak_context_now(c);
    r->server = i->server;
    r->version = i->version;
    r->suite = i->suite->id;
    r->secret.n = (uint8_t)ak_hash_size(i->suite->prf);
    /* created: when the peer was last seen to hold its key; resuming does not make that younger, and seven days are the end (§4.6.1) */
    r->created = i->authenticated != 0 ? i->authenticated : now;
    int64_t most = c->session_lifetime < AK_TICKET_LIFETIME_MAX ? c->session_lifetime : AK_TICKET_LIFETIME_MAX;
    r->expires = now + (lifetime < most ? lifetime : most);
    if (r->expires > r->created + AK_TICKET_LIFETIME_MAX) r->expires = r->created + AK_TICKET_LIFETIME_MAX;
    r->received_ms = ak_context_now_ms(c);
    r->group = i->group != NULL ? i->group->id : 0;
    r->peer_scheme = i->peer_scheme != NULL ? i->peer_scheme->id : 0;
    memcpy(r->end_point, i->end_point, sizeof r->end_point);
    r->end_point_n = i->end_point_n;
    r->peer_chain = ak_chain_share(i->peer_chain);
    ak_resumption_limit(r, c);
    ak_view context = ak_context_identity(c);
    ak_secret_set(&r->context_id, context.p, context.n);
    if (i->report != NULL) r->verdict = i->vouched ? AK_OK : i->report->verdict;
    else if (!c->verify && i->peer_chain != NULL && i->peer_chain->n != 0) r->verdict = AK_ERR_certificate_rejected; /* nobody has looked at it */
    if (ak_hkdf_expand_label(c->provider, i->suite->prf, ak_secret_view(resumption_master), "resumption", nonce, r->secret.p, r->secret.n) &&
        ak_buf_set(&r->server_name, ak_buf_view(&i->server_name)) && ak_buf_set(&r->alpn, ak_buf_view(&i->alpn)) &&
        (i->server || (ak_buf_set(&r->ocsp_response, ak_buf_view(&i->ocsp_response)) && ak_buf_set(&r->scts, ak_buf_view(&i->scts)))))
        return r;
    ak_resumption_free(r);
    return NULL;
}

/* ---- server ------------------------------------------------------------------------------------------------------------------------ */

/* fits: a client's long chain makes a ticket too long to be carried about; such a session is not resumed, unless the application keeps it. */
static bool fits(const ak_hs *h) {
    const ak_chain *chain = h->info->peer_chain;
    size_t n = 1024;
    for (size_t i = 0; chain != NULL && i < chain->n; i++) n += chain->certs[i]->der.n + 3;
    return h->ctx->external_store || n <= AK_TICKET_MAX;
}

/* A client that could not use one gets none: it has to allow a mode of ours (§4.2.9). */
ak_when ak_wants_ticket13(const ak_hs *h) {
    const ak_flow13 *f = ak_flow13_of(h);
    unsigned n = h->ctx->n_tickets < AK_TICKETS_KEPT ? h->ctx->n_tickets : AK_TICKETS_KEPT; /* they all go out at once */
    if (!h->server || !h->ctx->tickets || (f->psk_modes & h->ctx->psk_modes) == 0 || f->tickets_sent >= n) return AK_NO;
    return h->info->external_psk || !fits(h) ? AK_NO : AK_YES; /* who has an external key needs no other */
}

static ak_error put_id(ak_hs *h, ak_buf *b) {
    size_t ticket = ak_buf_open(b, 2);
    ak_buf_put(b, ak_flow13_of(h)->ticket_id, sizeof ak_flow13_of(h)->ticket_id);
    ak_buf_close(b, ticket, 2);
    return AK_OK;
}

/* ask_store: the application keeps the session; the ticket is its id. */
static ak_error ask_store(ak_hs *h, const ak_resumption *r) {
    ak_flow13 *f = ak_flow13_of(h);
    ak_buf_free(&h->scratch);
    ak_buf_init_secret(&h->scratch, 1 << 20);
    if (!ak_random(h->p, AK_PURPOSE_session_id, f->ticket_id, sizeof f->ticket_id)) return ak_hs_fail(h, AK_ERR_randomness, "session_id");
    if (!ak_resumption_write(r, &h->scratch)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    h->event.key = ak_view_of(f->ticket_id, sizeof f->ticket_id);
    h->event.bytes = ak_buf_view(&h->scratch);
    h->phase = 1;
    return ak_hs_ask(h, AK_EV_session_put);
}

static void put_extensions(ak_hs *h, ak_buf *b) {
    size_t block = ak_buf_open(b, 2);
    if (h->ctx->max_early_data != 0) {
        size_t one = ak_ext_open(b, AK_EXT_early_data);
        ak_buf_u32(b, h->ctx->max_early_data);
        ak_ext_close(b, one);
    }
    ak_put_grease(h, AK_GREASE_server_extension, b);
    ak_buf_close(b, block, 2);
}

ak_error ak_compose_new_session_ticket13(ak_hs *h, ak_buf *b) {
    ak_flow13 *f = ak_flow13_of(h);
    if (h->phase == 1) {
        ak_buf_free(&h->scratch);
        put_id(h, b);
        put_extensions(h, b);
        return b->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
    }
    uint8_t nonce[2] = {(uint8_t)(f->tickets_sent >> 8), (uint8_t)f->tickets_sent}, add[4]; /* another one for each ticket of a connection is all that is asked */
    uint32_t lifetime = h->ctx->session_lifetime < AK_TICKET_LIFETIME_MAX ? h->ctx->session_lifetime : AK_TICKET_LIFETIME_MAX;
    if (!ak_random(h->p, AK_PURPOSE_ticket_age_add, add, sizeof add)) return ak_hs_fail(h, AK_ERR_randomness, "ticket_age_add");
    ak_note_end_point(h); /* what a session that resumes this one is bound to, too */
    ak_resumption *r = ak_resumption13(h->ctx, h->info, &h->secrets.resumption, ak_view_of(nonce, sizeof nonce), lifetime);
    if (r == NULL) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    r->age_add = (uint32_t)add[0] << 24 | (uint32_t)add[1] << 16 | (uint32_t)add[2] << 8 | add[3];
    r->max_early_data = h->ctx->max_early_data;
    int64_t left = r->expires - ak_context_now(h->ctx);
    ak_buf_u32(b, left > 0 ? (uint32_t)left : 0);
    ak_buf_u32(b, r->age_add);
    ak_buf_vec(b, ak_view_of(nonce, sizeof nonce), 1);
    ak_error e = AK_OK;
    if (h->ctx->external_store) {
        e = ask_store(h, r);
    } else {
        size_t ticket = ak_buf_open(b, 2);
        if (!ak_ticket_seal(h->ctx, r, b)) e = ak_hs_fail(h, AK_ERR_internal_error, "a ticket could not be made");
        ak_buf_close(b, ticket, 2);
        put_extensions(h, b);
    }
    ak_resumption_free(r);
    if (e != AK_OK) return e;
    return b->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
}

ak_error ak_after_new_session_ticket13(ak_hs *h) {
    ak_flow13_of(h)->tickets_sent++;
    return AK_OK;
}
