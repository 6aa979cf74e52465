#include "handshake/renegotiation.h"

#include <stdlib.h>
#include <string.h>

void ak_renegotiation_free(ak_renegotiation *r) {
    if (r == NULL) return;
    ak_info_free(r->before);
    free(r);
}

/* ---- from a session to a handshake ------------------------------------------------------------------------------------------- */

bool ak_session_renegotiation_wanted(const ak_session *s) { return s->renegotiation_wanted && !s->closed; }

const ak_context *ak_session_context(const ak_session *s) {
    const ak_context *c = s->ctx;
    while (c->parent != NULL) c = c->parent;
    return c;
}

static ak_error allowed(const ak_session *s, ak_failure *f) {
    const ak_failure *failure = ak_session_failure(s);
    if (failure != NULL) {
        if (f != NULL) *f = *failure;
        return failure->error;
    }
    if (s->closed || s->peer_closed || s->write_closed) return ak_fail(f, AK_ERR_closed, NULL);
    if (s->server) return ak_fail(f, AK_ERR_not_ready, "a server does not renegotiate here");
    if (s->info->version >= AK_TLS13) return ak_fail(f, AK_ERR_not_ready, "TLS 1.3 has no renegotiation");
    if (!s->ctx->renegotiation) return ak_fail(f, AK_ERR_not_ready, "this context does not renegotiate");
    /* Without it, what came before and what comes after could be of two different clients */
    if (!s->info->secure_renegotiation) return ak_fail(f, AK_ERR_no_renegotiation, "the server does not do RFC 5746");
    return AK_OK;
}

/* keep: what the new handshake is compared with, and what it inherits. The protocol of ALPN was agreed for the connection. */
static bool keep(ak_hs *h, const ak_session *s) {
    const ak_info *old = s->info;
    h->renegotiation = calloc(1, sizeof *h->renegotiation);
    if (h->renegotiation == NULL) return false;
    h->renegotiation->before = ak_info_ref(s->info);
    h->renegotiation->accepted_untrusted = old->report != NULL && old->report->verdict != AK_OK;
    h->info->renegotiated = true;
    h->info->max_fragment_length = old->max_fragment_length; /* as long as nothing else is agreed */
    h->peer_record_limit = s->peer_record_limit;
    h->record_version = s->record_version;
    return ak_buf_set(&h->info->server_name, ak_buf_view(&old->server_name)) && ak_buf_set(&h->info->alpn, ak_buf_view(&old->alpn));
}

/* hand_over: records go on under the keys of the session, from where it stopped. Nothing fails here. */
static void hand_over(ak_hs *h, ak_session *s) {
    ak_protect_free(h->read);
    ak_protect_free(h->write);
    h->read = s->read;
    h->write = s->write;
    s->read = s->write = NULL;
    ak_deframer_free(&h->deframer);
    h->deframer = s->deframer;
    ak_deframer_init(&s->deframer);
    ak_buf_free(&h->output);
    h->output = s->reply;
    ak_buf_init(&s->reply, AK_BUF_NO_LIMIT);
    size_t max = h->assembly.max;
    h->assembly = s->assembly;
    h->assembly.max = max;
    ak_buf_init(&s->assembly, AK_BUF_NO_LIMIT);
    s->renegotiation_wanted = false;
    ak_session_drop_keys(s);
}

ak_hs *ak_session_renegotiate(ak_session *s, ak_failure *f) {
    if (allowed(s, f) != AK_OK) return NULL;
    /* The version stays (RFC 5246 §7.4.1.2 would let it change; nobody does), and what only a first hello says is not said. */
    ak_context *c = ak_context_variant(s->ctx);
    if (c == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    c->min_version = c->max_version = s->info->version;
    c->fallback_scsv = false;
    ak_hs *h = ak_hs_new(c, f);
    ak_context_free(c);
    if (h == NULL) return NULL;
    if (!keep(h, s)) {
        ak_hs_free(h);
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    hand_over(h, s);
    return h;
}

/* ---- what must be the same -------------------------------------------------------------------------------------------------------- */

bool ak_renegotiation_verify_data(const ak_hs *h, bool both, ak_buf *out) {
    if (h->renegotiation == NULL) return true;
    const ak_info *i = h->renegotiation->before;
    return ak_buf_put(out, i->client_finished, i->client_finished_n) && (!both || ak_buf_put(out, i->server_finished, i->server_finished_n));
}

static bool same_chain(const ak_chain *a, const ak_chain *b) {
    if (a == NULL || b == NULL) return a == b;
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!ak_view_eq(a->certs[i]->der, b->certs[i]->der)) return false;
    return true;
}

ak_error ak_renegotiation_check_certificate(ak_hs *h) {
    ak_renegotiation *r = h->renegotiation;
    if (same_chain(r->before->peer_chain, h->info->peer_chain)) return AK_OK;
    r->accepted_untrusted = false; /* that was for another certificate */
    return h->ctx->renegotiation_new_certificate ? AK_OK : ak_hs_fail(h, AK_ERR_certificate_changed, NULL);
}

ak_error ak_renegotiation_check_hello(ak_hs *h) {
    const ak_info *before = h->renegotiation->before, *i = h->info;
    if (!i->secure_renegotiation) return ak_hs_fail(h, AK_ERR_renegotiation_mismatch, "no renegotiation_info in a renegotiation (RFC 5746 §3.5)");
    if (before->ems != i->ems) return ak_hs_fail(h, AK_ERR_ems_changed, "it was %s", before->ems ? "there" : "not there");
    if (before->peer_chain != NULL && !ak_suite_has_certificate(i->suite) && !h->ctx->renegotiation_new_certificate)
        return ak_hs_fail(h, AK_ERR_certificate_changed, "%s has none", i->suite->name);
    return i->resumed ? ak_renegotiation_check_certificate(h) : AK_OK; /* a session brings its certificate along */
}
