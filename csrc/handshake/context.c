/* context.c: what one side is willing to do, and ak_info, what was agreed. */
#include "handshake/machine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

ak_context *ak_context_new(ak_provider *p, bool server) {
    ak_context *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    c->refs = 1;
    c->provider = ak_provider_ref(p);
    c->server = server;
    c->min_version = c->max_version = AK_TLS12;
    c->verify = c->verify_host = true;
    c->ems = c->etm = c->session_ids = c->tickets = true;
    c->n_tickets = 2;
    c->session_lifetime = 7200;
    c->middlebox_compat = true;
    c->max_message = AK_MESSAGE_MAX_DEFAULT;
    c->security_level = 2;
    c->min_dh_bits = 2048;
    ak_buf_init(&c->alpn, 65535);
    return c;
}

ak_context *ak_context_ref(ak_context *c) {
    c->refs++;
    return c;
}

void ak_context_free(ak_context *c) {
    if (c == NULL || --c->refs > 0) return;
    for (size_t i = 0; i < c->n_identities; i++) ak_identity_free(c->identities[i]);
    if (c->trust != NULL) ak_trust_free(c->trust);
    ak_store_free(c->store);
    ak_buf_free(&c->alpn);
    ak_provider_free(c->provider);
    free(c);
}

int64_t ak_context_now(const ak_context *c) { return c->clock != NULL ? c->clock(c->clock_user) : (int64_t)time(NULL); }

/* ---- info -------------------------------------------------------------------------------------------------------------- */

ak_info *ak_info_new(bool server) {
    ak_info *i = calloc(1, sizeof *i);
    if (i == NULL) return NULL;
    i->refs = 1;
    i->server = server;
    ak_buf_init(&i->ocsp_response, 1 << 24);
    ak_buf_init(&i->scts, 1 << 16);
    return i;
}

ak_info *ak_info_ref(ak_info *i) {
    i->refs++;
    return i;
}

void ak_info_free(ak_info *i) {
    if (i == NULL || --i->refs > 0) return;
    if (i->peer_chain != NULL) {
        ak_chain_clear(i->peer_chain);
        free(i->peer_chain);
    }
    if (i->report != NULL) ak_report_free(i->report);
    ak_buf_free(&i->ocsp_response);
    ak_buf_free(&i->scts);
    ak_resumption_free(i->resumption);
    ak_wipe(i, sizeof *i);
    free(i);
}
