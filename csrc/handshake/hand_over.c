/* hand_over.c: a handshake gives its connection away: to a lab's script that lets the engine begin and speaks by itself from some point on.
 *
 * What the engine has built goes out before that; then whoever takes over gets the protection of both directions as it stands (keys, sequence numbers,
 * chained IVs), the bytes that nobody has read, and the private values that the handshake still has. The handshake itself is over. */
#include "handshake/loop.h"
#include "handshake/messages13.h"

ak_error ak_hs_hand_over(ak_hs *h, ak_failure *f) {
    if (!h->started || h->failed || h->session_taken) return ak_fail(f, AK_ERR_not_ready, "only a handshake that is under way, or done and without a session, can be handed over");
    ak_hs_flush_quietly(h);
    h->remove_on_failure = false; /* the session is as good as it was */
    ak_hs_fail_alert(h, AK_ERR_aborted, AK_ALERT_none, "it was handed over to a script");
    h->event.kind = AK_EV_none;
    return AK_OK;
}

ak_protect *ak_hs_protection(const ak_hs *h, bool write) {
    const ak_protect *x = write ? h->write : h->read;
    return ak_protect_clone(x);
}

void ak_hs_unread(const ak_hs *h, ak_view part[3]) {
    const ak_deframer *d = &h->deframer;
    part[0] = ak_view_of(d->stash.p != NULL ? d->stash.p + d->stash_used : NULL, d->stash.n - d->stash_used);
    part[1] = d->lent;
    part[2] = ak_view_of(h->assembly.p != NULL ? h->assembly.p + h->assembly_at : NULL, h->assembly.n - h->assembly_at);
}

ak_share *ak_hs_share(const ak_hs *h, size_t i, ak_provider **p) {
    *p = NULL;
    for (size_t k = 0; k < sizeof h->shares / sizeof h->shares[0]; k++) {
        if (h->shares[k] == NULL || i-- != 0) continue;
        *p = h->p;
        return ak_share_clone(h->shares[k]);
    }
    return NULL;
}

const ak_psk *ak_hs_given_psk(const ak_hs *h, size_t i) { return i < h->ctx->n_psks ? &h->ctx->psks[i] : NULL; }

ak_view ak_hs_offered_secret(const ak_hs *h, size_t i) {
    const ak_flow13 *f = ak_flow13_of(h);
    if (h->server) return i == 0 && h->resumed != NULL && !ak_hs_is_13(h) ? ak_secret_view(&h->resumed->secret) : ak_view_of(NULL, 0);
    if (h->offered != NULL && h->offered->version < AK_TLS13) return i == 0 ? ak_secret_view(&h->offered->secret) : ak_view_of(NULL, 0);
    return f != NULL && i < f->n_offers ? f->offers[i].secret : ak_view_of(NULL, 0);
}
