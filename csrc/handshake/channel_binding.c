/* channel_binding.c: what an authentication inside the connection can be bound to (RFC 5056): tls-unique and tls-server-end-point (RFC 5929),
 * tls-exporter (RFC 9266). */
#include "handshake/session.h"

#include "handshake/keys.h"

#include <string.h>

void ak_note_end_point(const ak_hs *h) {
    ak_info *i = h->info;
    const ak_resumption *r = h->server ? h->resumed : h->offered;
    const ak_cert *leaf = NULL;
    const ak_view none = {NULL, 0};
    if (i->end_point_n != 0) return;
    if (i->resumed && r != NULL && r->end_point_n != 0) {
        memcpy(i->end_point, r->end_point, sizeof i->end_point);
        i->end_point_n = r->end_point_n;
        return;
    }
    if (h->server) leaf = h->identity != NULL ? h->identity->chain.certs[0] : NULL;
    else leaf = i->peer_chain != NULL && i->peer_chain->n != 0 ? i->peer_chain->certs[0] : NULL;
    ak_hash hash = leaf != NULL ? ak_cert_binding_hash(leaf) : AK_HASH_none;
    if (hash != AK_HASH_none && ak_digest(h->p, hash, leaf->der, none, none, i->end_point)) i->end_point_n = (uint8_t)ak_hash_size(hash);
}

static ak_error put(ak_buf *out, const uint8_t *p, size_t n, const char *why_not, ak_failure *f) {
    if (n == 0) return ak_fail(f, AK_ERR_not_ready, "%s", why_not);
    return ak_buf_put(out, p, n) ? AK_OK : ak_fail(f, AK_ERR_out_of_memory, NULL);
}

ak_error ak_session_channel_binding(ak_session *s, const char *type, ak_buf *out, ak_failure *f) {
    const ak_info *i = s->info;
    /* RFC 7627 §1, RFC 9266 §3: without it the handshake's values can be made the same in two connections */
    bool unique = i->version >= AK_TLS13 || i->ems;
    if (strcmp(type, "tls-server-end-point") == 0)
        return put(out, i->end_point, i->end_point_n, "the server showed no certificate whose signature names one hash", f);
    if (strcmp(type, "tls-unique") == 0) { /* the first Finished of the handshake */
        if (i->version >= AK_TLS13) return ak_fail(f, AK_ERR_not_ready, "TLS 1.3 has no tls-unique (RFC 8446 §C.5)");
        if (!unique) return ak_fail(f, AK_ERR_not_ready, "tls-unique is not unique without extended_master_secret");
        return i->resumed ? put(out, i->server_finished, i->server_finished_n, "no Finished", f) : put(out, i->client_finished, i->client_finished_n, "no Finished", f);
    }
    if (strcmp(type, "tls-exporter") == 0) {
        uint8_t value[32];
        if (!unique) return ak_fail(f, AK_ERR_not_ready, "tls-exporter is not unique without extended_master_secret");
        ak_error e = ak_session_export(s, "EXPORTER-Channel-Binding", true, ak_view_of(NULL, 0), value, sizeof value, f);
        return e == AK_OK ? put(out, value, sizeof value, "", f) : e;
    }
    return ak_fail(f, AK_ERR_not_ready, "no channel binding '%.40s'", type);
}
