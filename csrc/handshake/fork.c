/* fork.c: a second handshake that stands where the first one does, so that several continuations can be tried from one point (a lab's hs:fork).
 *
 * Copied: everything that either of them will change. Shared by reference: context, provider, keys, identities, certificates, sessions. What is
 * drawn from a lab's source afterwards is drawn by both from the same source, in the order in which they ask. */
#include "handshake/messages13.h"
#include "handshake/post_auth.h"

#include <stdlib.h>
#include <string.h>

/* copy: *to holds the bits of *from and becomes a buffer of its own. */
static bool copy(ak_buf *to, const ak_buf *from) {
    ak_view bytes = ak_buf_view(from);
    to->p = NULL;
    to->n = to->cap = 0;
    return bytes.n == 0 || ak_buf_put_view(to, bytes);
}

/* All of them, whatever fails: none may be shared. */
static bool copy_bufs(ak_hs *n, const ak_hs *h) {
    bool ok = true;
#define COPY(field, how, max, over) ok = copy(&n->field, &h->field) && ok;
    AK_HS_BUFS(COPY)
#undef COPY
    return ok;
}

ak_info *ak_info_copy(const ak_info *i) {
    ak_info *n = ak_info_new(i->provider, i->server);
    if (n == NULL) return NULL;
    *n = *i;
    n->refs = 1;
    bool ok = true;
#define COPY(field, max) ok = copy(&n->field, &i->field) && ok;
    AK_INFO_BUFS(COPY)
#undef COPY
    n->peer_chain = ak_chain_share(i->peer_chain);
    n->report = i->report != NULL ? ak_report_ref(i->report) : NULL;
    n->resumption = i->resumption != NULL ? ak_resumption_ref(i->resumption) : NULL;
    for (size_t k = 0; k < i->n_tickets; k++) n->tickets[k] = ak_resumption_ref(i->tickets[k]);
    if (ok) return n;
    ak_info_free(n);
    return NULL;
}

static bool copy_deframer(ak_deframer *to, const ak_deframer *from) {
    to->lent = ak_view_of(NULL, 0); /* between two steps nothing is lent */
    return copy(&to->stash, &from->stash);
}

static bool copy_shares(ak_hs *n, const ak_hs *h) {
    bool ok = true;
    for (size_t i = 0; i < sizeof n->shares / sizeof n->shares[0]; i++) {
        n->shares[i] = h->shares[i] != NULL ? ak_share_clone(h->shares[i]) : NULL;
        ok = ok && (n->shares[i] != NULL || h->shares[i] == NULL);
    }
    return ok;
}

static bool copy_flow13(ak_hs *n, const ak_hs *h) {
    const ak_flow13 *from = ak_flow13_of(h);
    n->flow13 = NULL;
    if (from == NULL) return true;
    if (!ak_flow13_init(n)) return false;
    ak_flow13 *to = ak_flow13_of(n);
    *to = *from; /* what its offers point to belongs to context and session, which both handshakes hold */
    bool ok = true;
#define COPY(field) ok = copy(&to->field, &from->field) && ok; /* all of them: none may be shared */
    AK_FLOW13_BUFS(COPY)
#undef COPY
    return ok;
}

/* The views of the hellos lie over their bytes: over the copy's own, here. */
static void read_hellos(ak_hs *n) {
    ak_failure ignored = {0};
    memset(&n->client_hello, 0, sizeof n->client_hello);
    memset(&n->server_hello, 0, sizeof n->server_hello);
    if (n->client_hello_bytes.n != 0) ak_decode_client_hello(ak_buf_view(&n->client_hello_bytes), &n->client_hello, &ignored);
    if (n->server_hello_bytes.n != 0) ak_decode_server_hello(ak_buf_view(&n->server_hello_bytes), &n->server_hello, &ignored);
}

/* at_rest: between two steps, with nothing half done that points into itself. */
static bool at_rest(const ak_hs *h) {
    return h->event.kind == AK_EV_none && h->out_msg.stage == AK_OUT_idle && h->in_msg.stage == AK_INS_idle && h->flight.stage == AK_FLUSH_idle &&
           h->out_msg.after == NULL && h->flight.after == NULL && h->deframer.lent.n == 0;
}

ak_hs *ak_hs_fork(const ak_hs *h, ak_failure *f) {
    if (h->done || h->failed || h->renegotiation != NULL || !at_rest(h)) {
        ak_fail(f, AK_ERR_not_ready, "only a handshake that is under way and waits for its peer can be forked");
        return NULL;
    }
    ak_hs *n = malloc(sizeof *n);
    if (n == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    *n = *h;
    n->ctx = ak_context_ref(h->ctx);
    n->p = ak_provider_ref(h->p);
    if (h->identity != NULL) ak_identity_ref(h->identity);
    if (h->peer_key != NULL) ak_key_ref(h->peer_key);
    if (h->offered != NULL) ak_resumption_ref(h->offered);
    if (h->resumed != NULL) ak_resumption_ref(h->resumed);
    memset(&n->answer, 0, sizeof n->answer);
    n->event.bytes = n->event.key = ak_view_of(NULL, 0);
    memset(&n->in_msg.record, 0, sizeof n->in_msg.record);
    /* From here on all that n owns is its own or empty, so that it can be freed whatever fails. */
    n->info = NULL;
    n->read = n->write = NULL;
    memset(&n->secrets.master_key, 0, sizeof n->secrets.master_key); /* made anew when it is needed */
    bool ok = copy_bufs(n, h);
    ok = copy(&n->transcript.raw, &h->transcript.raw) && ok;
    ok = copy_deframer(&n->deframer, &h->deframer) && ok;
    ok = copy_shares(n, h) && ok;
    ok = copy_flow13(n, h) && ok;
    n->post_auth = h->post_auth != NULL ? ak_post_auth_copy(h->post_auth) : NULL;
    ok = ok && (n->post_auth != NULL) == (h->post_auth != NULL);
    n->info = ak_info_copy(h->info);
    n->read = ak_protect_clone(h->read);
    n->write = ak_protect_clone(h->write);
    if (!ok || n->info == NULL || n->read == NULL || n->write == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        ak_hs_free(n);
        return NULL;
    }
    read_hellos(n);
    return n;
}
