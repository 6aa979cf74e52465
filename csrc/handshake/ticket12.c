/* ticket12.c: sessions without server-side state in TLS <= 1.2 (RFC 5077). */
#include "handshake/hello.h"

#include "handshake/messages12.h"
#include "handshake/tickets.h"

/* ---- server ----------------------------------------------------------------------------------------------------------------- */

/* A ticket that is none of ours, or that has grown old, is no error: a full handshake follows (§3.1). A good one is renewed only when the key it was
 * made with is about to go. */
ak_error ak_ticket12_open(ak_hs *h) {
    ak_buf plain;
    bool renew = false;
    ak_buf_init_secret(&plain, 1 << 17);
    ak_error e = AK_OK;
    if (ak_ticket_open(h->ctx, ak_buf_view(&h->ticket), &plain, &renew)) e = ak_consider_resumption(h, ak_buf_view(&plain));
    ak_buf_free(&plain);
    if (e == AK_OK && h->resumed != NULL) {
        h->send_ticket = renew;
        h->info->by_ticket = true;
    }
    return e;
}

/* The server has said that a ticket comes; when none can be made an empty one says so (§3.3). */
ak_error ak_compose_new_session_ticket12(ak_hs *h, ak_buf *b) {
    ak_resumption *r = ak_resumption12(h);
    if (r == NULL) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    int64_t left = r->expires - ak_context_now(h->ctx);
    ak_buf_u32(b, left > 0 ? (uint32_t)left : 0);
    size_t ticket = ak_buf_open(b, 2);
    ak_ticket_seal(h->ctx, r, b);
    ak_resumption_free(r);
    return ak_buf_close(b, ticket, 2) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

/* ---- client -------------------------------------------------------------------------------------------------------------------- */

ak_error ak_receive_new_session_ticket12(ak_hs *h, ak_view body) {
    struct ak_new_session_ticket_12 t;
    ak_failure why = {0};
    ak_error e = ak_decode_new_session_ticket_12(body, &t, &why);
    if (e != AK_OK) return ak_hs_fail(h, e, "%s", why.detail);
    ak_buf_clear(&h->ticket);
    h->ticket_lifetime = t.ticket_lifetime_hint;
    return ak_buf_put_view(&h->ticket, t.ticket) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}
