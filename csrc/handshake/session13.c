/* session13.c: TLS 1.3 after the handshake: NewSessionTicket, KeyUpdate (RFC 8446 §4.6). */
#include "handshake/session.h"

#include "handshake/messages13.h"
#include "handshake/post_auth.h"

#include <string.h>

#define MAX_KEY_UPDATES 32 /* in a row, without data between them */

/* ---- NewSessionTicket, the client's end ------------------------------------------------------------------------------------------- */

/* keep: the newest first; what falls off the end is forgotten. */
static void keep(ak_info *i, ak_resumption *r) {
    if (i->n_tickets == AK_TICKETS_KEPT) ak_resumption_free(i->tickets[--i->n_tickets]);
    memmove(&i->tickets[1], &i->tickets[0], i->n_tickets * sizeof i->tickets[0]);
    i->tickets[0] = r;
    i->n_tickets++;
    ak_resumption_free(i->resumption);
    i->resumption = ak_resumption_ref(r);
}

static ak_error read_extensions(ak_session *s, ak_view extensions, uint32_t *max_early_data) {
    struct ak_ext_early_data_ticket x;
    ak_failure why = {0};
    uint16_t type;
    ak_view body;
    *max_early_data = 0;
    ak_error e = ak_extensions_check(extensions, NULL, &why);
    if (e == AK_ERR_duplicate_extension) return ak_session_fail_alert(s, e, AK_ALERT_illegal_parameter, why.detail);
    if (e != AK_OK) return ak_session_fail(s, e, "%s", why.detail);
    if (ak_extensions_misplaced(extensions, AK_IN_new_session_ticket, &type)) return ak_session_fail(s, AK_ERR_misplaced_extension, "extension %u in a NewSessionTicket", type);
    if (!ak_ext_find(extensions, AK_EXT_early_data, &body)) return AK_OK;
    e = ak_decode_ext_early_data_ticket(body, &x, &why);
    if (e != AK_OK) return ak_session_fail(s, e, "%s", why.detail);
    *max_early_data = x.max_early_data_size;
    return AK_OK;
}

static ak_error new_session_ticket(ak_session *s, ak_view body) {
    struct ak_new_session_ticket_13 t;
    ak_failure why = {0};
    uint32_t early;
    ak_error e = ak_decode_new_session_ticket_13(body, &t, &why);
    if (e != AK_OK) return ak_session_fail(s, e, "%s", why.detail);
    e = read_extensions(s, t.extensions, &early);
    if (e != AK_OK) return e;
    if (t.ticket_lifetime == 0 || !s->ctx->tickets) return AK_OK; /* §4.6.1: to be discarded at once */
    ak_resumption *r = ak_resumption13(s->ctx, s->info, &s->tls13[AK_KEPT_resumption], t.ticket_nonce, t.ticket_lifetime);
    if (r == NULL || !ak_buf_put_view(&r->ticket, t.ticket)) {
        ak_resumption_free(r);
        return ak_session_fail(s, AK_ERR_out_of_memory, NULL);
    }
    r->age_add = t.ticket_age_add;
    r->max_early_data = early;
    keep(s->info, r);
    return AK_OK;
}

ak_resumption *ak_session_take_ticket(ak_session *s) {
    ak_info *i = s->info;
    if (i->n_tickets == 0) return NULL;
    ak_resumption *r = i->tickets[0];
    memmove(&i->tickets[0], &i->tickets[1], --i->n_tickets * sizeof i->tickets[0]);
    ak_resumption_free(i->resumption);
    i->resumption = i->n_tickets != 0 ? ak_resumption_ref(i->tickets[0]) : NULL;
    return r;
}

/* ---- KeyUpdate ------------------------------------------------------------------------------------------------------------------------ */

static ak_error key_update(ak_session *s, ak_view body) {
    struct ak_key_update u;
    ak_failure why = {0};
    ak_hash hash = s->info->suite->prf;
    ak_error e = ak_decode_key_update(body, &u, &why);
    if (e != AK_OK) return ak_session_fail(s, e, "%s", why.detail);
    if (u.request_update > AK_KU_update_requested) return ak_session_fail(s, AK_ERR_illegal_parameter, "a KeyUpdate of %u (RFC 8446 §4.6.3)", u.request_update);
    if (++s->key_updates > MAX_KEY_UPDATES) return ak_session_fail(s, AK_ERR_too_many_key_updates, "more than %d", MAX_KEY_UPDATES);
    if (!ak_keys13_next(s->p, hash, &s->tls13[AK_KEPT_read])) return ak_session_fail(s, AK_ERR_crypto_failed, "the next traffic secret");
    e = ak_protect_set13(s->read, s->info->suite, false, ak_secret_view(&s->tls13[AK_KEPT_read]), &why);
    if (e != AK_OK) return ak_session_fail(s, e, "%s", why.detail);
    if (u.request_update == AK_KU_update_requested) s->key_update_pending = true;
    return AK_OK;
}

static const uint8_t *update_message(bool ask_peer) {
    static const uint8_t quiet[] = {AK_HT_key_update, 0, 0, 1, AK_KU_update_not_requested}, asking[] = {AK_HT_key_update, 0, 0, 1, AK_KU_update_requested};
    return ask_peer ? asking : quiet;
}

static ak_error next_write_key(ak_session *s) {
    ak_failure why = {0};
    if (!ak_keys13_next(s->p, s->info->suite->prf, &s->tls13[AK_KEPT_write])) return ak_session_fail(s, AK_ERR_crypto_failed, "the next traffic secret");
    ak_error e = ak_protect_set13(s->write, s->info->suite, true, ak_secret_view(&s->tls13[AK_KEPT_write]), &why);
    return e == AK_OK ? AK_OK : ak_session_fail(s, e, "%s", why.detail);
}

ak_error ak_session13_update(ak_session *s, bool ask_peer) {
    if (!ak_session_put(s, AK_CT_handshake, update_message(ask_peer), 5)) return ak_session_fail(s, AK_ERR_crypto_failed, "KeyUpdate");
    s->key_update_pending = false; /* one answer is enough, whoever asked how often */
    return next_write_key(s);
}

/* RFC 8446 §5.5. The KeyUpdate stands in the data's own way, before it. */
ak_error ak_session13_keep_key_fresh(ak_session *s, size_t n) {
    uint64_t records = (uint64_t)(n / ak_session_fragment(s)) + 1;
    return ak_protect_limit(s->write) > records + AK_KEY_MARGIN ? AK_OK : ak_session13_update(s, false);
}

/* ---- all of them ------------------------------------------------------------------------------------------------------------------------ */

ak_error ak_session13_message(ak_session *s, ak_view message) {
    ak_view body = ak_view_of(message.p + AK_HANDSHAKE_HEADER, message.n - AK_HANDSHAKE_HEADER);
    const char *name = ak_name(AK_REG_handshake_types, message.p[0]);
    bool taken;
    ak_error e = ak_post_auth_message(s, message, &taken);
    if (taken) return e;
    if (message.p[0] == AK_HT_key_update && !ak_post_auth_pending(s)) return key_update(s, body);
    if (message.p[0] == AK_HT_new_session_ticket && !s->server) return new_session_ticket(s, body);
    return ak_session_fail(s, AK_ERR_unexpected_message, "%s (%u) after the handshake", name != NULL ? name : "unknown", message.p[0]);
}
