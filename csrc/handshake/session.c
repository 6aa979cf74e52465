/* session.c: sealing and opening application data, closing, exporting. */
#include "handshake/session.h"

#include "crypto/kdf.h"
#include "handshake/keys.h"
#include "handshake/messages13.h"
#include "handshake/post_auth.h"
#include "handshake/record_padding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EMPTY_RECORDS 32
#define MAX_WARNING_ALERTS 4
#define MAX_REFUSED_RENEGOTIATIONS 4

/* ---- from the handshake -------------------------------------------------------------------------------------------------- */

ak_session *ak_hs_session(ak_hs *h, ak_failure *f) {
    if (!h->done || h->failed || h->session_taken) {
        ak_fail(f, AK_ERR_not_ready, h->session_taken ? "the session was taken already" : "the handshake is not finished");
        return NULL;
    }
    ak_session *s = ak_zalloc(sizeof *s + (ak_hs_is_13(h) ? AK_KEPT_count * sizeof s->tls13[0] : 0));
    if (s == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    s->ctx = ak_context_ref(h->ctx);
    s->p = ak_provider_ref(h->p);
    s->info = ak_info_ref(h->info);
    s->server = h->server;
    s->record_version = h->record_version;
    s->peer_record_limit = h->peer_record_limit;
    s->max_send = (uint16_t)ak_hs_max_fragment(h);
    s->read_limit = ak_hs_record_limit(h);
    s->deframer = h->deframer; /* with the bytes it holds */
    ak_deframer_init(&h->deframer);
    s->deframer.version = s->record_version;
    s->deframer.max_fragment = ak_protect_is_13(h->read) ? AK_CIPHERTEXT_MAX_13 : AK_CIPHERTEXT_MAX_12;
    s->read = h->read;
    s->write = h->write;
    h->read = h->write = NULL;
    s->assembly = h->assembly;
    s->excess = h->excess;
    ak_buf_drop(&s->assembly, h->assembly_at);
    if (s->assembly.n == 0) ak_buf_free(&s->assembly);
    s->stopped = s->assembly.n != 0; /* a HelloRequest in one record with Finished (RFC 5246 §6.2.1) */
    ak_buf_init(&h->assembly, AK_BUF_NO_LIMIT);
    ak_buf_init(&s->reply, AK_BUF_NO_LIMIT);
    s->exporter = ak_hs_is_13(h) ? h->secrets.exporter : h->secrets.master;
    if (ak_hs_is_13(h)) {
        s->tls13[AK_KEPT_read] = h->server ? h->secrets.client_application_traffic : h->secrets.server_application_traffic;
        s->tls13[AK_KEPT_write] = h->server ? h->secrets.server_application_traffic : h->secrets.client_application_traffic;
        s->tls13[AK_KEPT_resumption] = h->secrets.resumption;
    }
    s->post_auth = h->post_auth;
    s->gates = h->gates;
    h->post_auth = NULL;
    ak_wipe(&h->secrets, sizeof h->secrets);
    ak_flow13_free(h);
    h->session_taken = true;
    return s;
}

/* The end of everything that could open or seal a byte. */
void ak_session_drop_keys(ak_session *s) {
    ak_protect_free(s->read);
    ak_protect_free(s->write);
    s->read = s->write = NULL;
    ak_secret_wipe(&s->exporter);
    for (size_t i = 0; s->info->version >= AK_TLS13 && i < AK_KEPT_count; i++) ak_secret_wipe(&s->tls13[i]);
    ak_post_auth_free(s->post_auth);
    s->post_auth = NULL;
    ak_deframer_free(&s->deframer);
    ak_buf_free(&s->assembly);
    s->closed = true;
}

void ak_session_free(ak_session *s) {
    if (s == NULL) return;
    ak_session_drop_keys(s);
    ak_buf_free(&s->reply);
    ak_info_free(s->info);
    ak_provider_free(s->p);
    ak_context_free(s->ctx);
    free(s->failure);
    free(s);
}

/* ---- failing ----------------------------------------------------------------------------------------------------------------- */

/* own_padding: what the application has said of it, or the policy. */
static size_t own_padding(const ak_session *s, uint8_t type, size_t n) {
    if (!s->own_padded) return ak_pad(s->ctx, s->write, type, n, s->max_send);
    return ak_pad_given(s->write, type == AK_CT_alert ? s->alert_padding : s->handshake_padding, n, s->max_send);
}

bool ak_session_put(ak_session *s, uint8_t content_type, const void *p, size_t n) {
    const uint8_t *bytes = p;
    ak_failure f;
    ak_failure_init(&f);
    size_t most = content_type == AK_CT_alert ? AK_PLAINTEXT_MAX : s->max_send; /* RFC 8446 §5.1: an alert is not cut */
    for (size_t at = 0; at < n;) {
        size_t part = n - at < most ? n - at : most, pad = own_padding(s, content_type, part), written = 0;
        if (!ak_buf_reserve(&s->reply, ak_seal_size(s->write, part, pad))) return false;
        if (ak_seal(s->write, content_type, s->record_version, bytes + at, part, pad, s->reply.p + s->reply.n, &written, &f) != AK_OK) return false;
        s->reply.n += written;
        at += part;
    }
    return true;
}

static void put_alert(ak_session *s, uint8_t level, int description) {
    uint8_t alert[2] = {level, (uint8_t)description};
    if (s->write != NULL && !s->write_closed && description != AK_ALERT_none) ak_session_put(s, AK_CT_alert, alert, sizeof alert);
}

/* over: after a failure. */
static void over(ak_session *s) {
    /* RFC 5246 §7.2.2: what ended with a fatal alert is not resumed */
    if (s->server && s->ctx->store != NULL && s->info->session_id_n != 0 && !s->info->by_ticket && s->info->version <= AK_TLS12)
        ak_store_remove(s->ctx->store, ak_view_of(s->info->session_id, s->info->session_id_n));
    ak_session_drop_keys(s);
}

const ak_failure *ak_session_failure(const ak_session *s) {
    static const ak_failure no_memory = {.error = AK_ERR_out_of_memory, .alert = AK_ALERT_internal_error, .state = "open"};
    return s->failure != NULL ? s->failure : s->failed ? &no_memory : NULL;
}

/* note: the first failure stays. */
static const ak_failure *note(ak_session *s, const ak_failure *f) {
    s->failed = true;
    s->failure = malloc(sizeof *s->failure);
    if (s->failure != NULL) *s->failure = *f;
    return ak_session_failure(s);
}

static ak_error fail(ak_session *s, ak_error e, int alert, bool from_peer, const char *detail) {
    if (s->failed) return ak_session_failure(s)->error;
    ak_failure why = {.error = e, .alert = alert, .from_peer = from_peer, .state = "open"};
    snprintf(why.detail, sizeof why.detail, "%s", detail);
    const ak_failure *f = note(s, &why);
    if (!f->from_peer) put_alert(s, 2, f->alert);
    over(s);
    return f->error;
}

ak_error ak_session_failed(ak_session *s, const ak_failure *f) {
    if (!s->failed) {
        note(s, f);
        over(s);
    }
    return ak_session_failure(s)->error;
}

ak_error ak_session_fail(ak_session *s, ak_error e, const char *fmt, ...) {
    char detail[sizeof s->failure->detail] = "";
    if (fmt != NULL) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(detail, sizeof detail, fmt, ap);
        va_end(ap);
    }
    return fail(s, e, ak_error_alert(e), false, detail);
}

ak_error ak_session_fail_alert(ak_session *s, ak_error e, int alert, const char *detail) { return fail(s, e, alert, false, detail); }

/* refuse_use: why a closed or failed session does nothing; AK_OK when it may. */
static ak_error refuse_use(const ak_session *s, ak_failure *f) {
    const ak_failure *failure = ak_session_failure(s);
    if (failure != NULL) {
        if (f != NULL) *f = *failure;
        return failure->error;
    }
    if (s->closed) return ak_fail(f, AK_ERR_closed, "the session was closed and its keys are destroyed");
    return AK_OK;
}

/* ---- sealing -------------------------------------------------------------------------------------------------------------------- */

static bool splits(const ak_session *s) { return s->info->version <= AK_TLS10 && ak_suite_is_cbc(s->info->suite); }

static bool pads(const ak_session *s) { return s->ctx->record_padding.by != AK_PAD_none && s->info->version >= AK_TLS13; }

size_t ak_session_fragment(const ak_session *s) { return s->max_send != 0 && s->max_send < AK_PLAINTEXT_MAX ? s->max_send : AK_PLAINTEXT_MAX; }

void ak_session_pad_own(ak_session *s, size_t alerts, size_t handshake) {
    s->own_padded = true;
    s->alert_padding = (uint16_t)(alerts < AK_PLAINTEXT_MAX ? alerts : AK_PLAINTEXT_MAX);
    s->handshake_padding = (uint16_t)(handshake < AK_PLAINTEXT_MAX ? handshake : AK_PLAINTEXT_MAX);
}

/* update_room: for what before_data adds to the reply: an answer to the peer's KeyUpdate, and one of our own. */
static size_t update_room(const ak_session *s) {
    const ak_padding *p = &s->ctx->record_padding;
    return 2 * (32u + (s->own_padded ? s->handshake_padding : p->all ? p->n : 0u));
}

size_t ak_session_seal_size(const ak_session *s, size_t n) {
    if (s->write == NULL) return 0;
    return s->reply.n + update_room(s) +
           (pads(s) ? ak_seal_padded_size(s->ctx, s->write, AK_CT_application_data, n, s->max_send) : ak_seal_many_size(s->write, n, s->max_send, splits(s)));
}

/* answer_key_update: RFC 8446 §4.6.3: once all that came is read; and whoever is asked several times while it is silent answers once: no data has gone out
 * under the key that it would leave. What could not be answered then (a close_notify came with it, or an authentication asked the application) is before the next data. */
static ak_error answer_key_update(ak_session *s) {
    if (!s->key_update_pending) return AK_OK;
    s->key_update_pending = false;
    if (s->key_update_answered) return AK_OK;
    s->key_update_answered = true;
    return ak_session13_update(s, false);
}

/* before_data: what leaves first, as it was sealed first: what waits in the reply, and a KeyUpdate where the key is near its end. */
static ak_error before_data(ak_session *s, size_t n, uint8_t *out, size_t *out_n, ak_failure *f) {
    ak_error e = refuse_use(s, f);
    if (e != AK_OK) return e;
    if (s->write_closed) return ak_fail(f, AK_ERR_write_closed, NULL);
    if (ak_post_auth_between_records(s)) return ak_fail(f, AK_ERR_not_ready, "the records of an authentication are being sealed");
    bool held = ak_post_auth_holds_key(s);
    if (held && s->key_update_pending) return ak_fail(f, AK_ERR_not_ready, "a KeyUpdate must go out first, and an authentication holds the key");
    if (s->info->version >= AK_TLS13 && !held && (answer_key_update(s) != AK_OK || ak_session13_keep_key_fresh(s, n) != AK_OK)) return refuse_use(s, f);
    if (s->reply.n != 0) memcpy(out, s->reply.p, s->reply.n);
    *out_n = s->reply.n;
    s->key_update_answered = false;
    return AK_OK;
}

/* sealed: after it: n more bytes are in out, or it failed. */
static ak_error sealed(ak_session *s, ak_error e, size_t n, size_t *out_n, const ak_failure *why, ak_failure *f) {
    if (e != AK_OK) {
        e = fail(s, e, ak_error_alert(e), false, why->detail);
        if (f != NULL) *f = *ak_session_failure(s);
        *out_n = 0;
        return e;
    }
    if (*out_n != 0) ak_session_reply_taken(s);
    *out_n += n;
    return AK_OK;
}

ak_error ak_session_seal(ak_session *s, const uint8_t *plain, size_t n, uint8_t *out, size_t *out_n, ak_failure *f) {
    ak_failure why;
    size_t written = 0;
    ak_failure_init(&why);
    *out_n = 0;
    if (n == 0 && !s->failed && !s->closed && !s->write_closed) return AK_OK;
    ak_error e = before_data(s, n, out, out_n, f);
    if (e != AK_OK) return e;
    if (pads(s)) e = ak_seal_padded(s->ctx, s->write, AK_CT_application_data, s->record_version, plain, n, s->max_send, out + *out_n, &written, &why);
    else e = ak_seal_many(s->write, AK_CT_application_data, s->record_version, plain, n, s->max_send, splits(s), out + *out_n, &written, &why);
    return sealed(s, e, written, out_n, &why, f);
}

ak_error ak_session_seal_record(ak_session *s, const uint8_t *plain, size_t n, size_t padding, uint8_t *out, size_t *out_n, ak_failure *f) {
    ak_failure why;
    size_t written = 0;
    ak_failure_init(&why);
    *out_n = 0;
    if (n > ak_session_fragment(s)) return ak_fail(f, AK_ERR_plaintext_too_long, "%zu bytes in one record", n);
    ak_error e = before_data(s, n, out, out_n, f);
    if (e != AK_OK) return e;
    e = ak_seal(s->write, AK_CT_application_data, s->record_version, plain, n, ak_pad_given(s->write, padding, n, s->max_send), out + *out_n, &written, &why);
    return sealed(s, e, written, out_n, &why, f);
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------------- */

size_t ak_session_open_size(const ak_session *s, size_t n) { return n + (s->closed ? 0 : s->deframer.stash.n) + 64; }

static ak_error alert_in(ak_session *s, ak_view v) {
    if (v.n == 0 && s->info->version >= AK_TLS13) return ak_session_fail(s, AK_ERR_empty_fragment, "an empty alert (RFC 8446 §5.4)");
    if (v.n != 2) return ak_session_fail(s, AK_ERR_bad_alert, "an alert of %zu bytes", v.n);
    uint8_t level = v.p[0], what = v.p[1];
    const char *name = ak_alert_name(what);
    char detail[64];
    snprintf(detail, sizeof detail, "%s (%u)", name != NULL ? name : "unknown alert", what);
    if (what == AK_ALERT_close_notify) {
        s->peer_closed = true;
        return AK_ERR_closed;
    }
    if (level == 2) return fail(s, AK_ERR_peer_alert, what, true, detail);
    if (level != 1) return ak_session_fail(s, AK_ERR_unknown_alert_level, "level %u, alert %s", level, detail);
    if (s->info->version >= AK_TLS13 && what != AK_ALERT_user_canceled)
        return ak_session_fail(s, AK_ERR_bad_alert, "TLS 1.3 has no warning alert %s", detail);
    if (++s->warnings > MAX_WARNING_ALERTS) return ak_session_fail(s, AK_ERR_too_many_warnings, "more than %d in a row, the last %s", MAX_WARNING_ALERTS, detail);
    return AK_OK;
}

/* message12: after the handshake TLS <= 1.2 knows only the two messages that ask for another one. What may be followed is noted (renegotiation.c). RFC 5246
 * §7.2.2: anything else is refused with a warning, and the connection goes on; a peer that keeps asking is turned away. */
static ak_error message12(ak_session *s, ak_view message) {
    int type = message.p[0];
    if (s->server && s->ctx->renegotiation_fatal && type == AK_HT_client_hello) return ak_session_fail(s, AK_ERR_no_renegotiation, NULL);
    bool asks = s->server ? type == AK_HT_client_hello : type == AK_HT_hello_request;
    if (!asks) return ak_session_fail(s, AK_ERR_unexpected_message, "handshake message %d after the handshake", type);
    if (!s->server && message.n != 4) return ak_session_fail(s, AK_ERR_trailing_data, "a HelloRequest of %zu bytes", message.n - 4);
    if (!s->server && s->ctx->renegotiation && s->info->secure_renegotiation) {
        s->renegotiation_wanted = true;
        return AK_OK;
    }
    if (s->ctx->renegotiation_fatal) return ak_session_fail(s, AK_ERR_no_renegotiation, NULL);
    if (++s->refused_renegotiations > MAX_REFUSED_RENEGOTIATIONS)
        return ak_session_fail(s, AK_ERR_no_renegotiation, "asked more than %d times", MAX_REFUSED_RENEGOTIATIONS);
    put_alert(s, 1, AK_ALERT_no_renegotiation);
    return AK_OK;
}

/* messages_in: all whole messages of the assembly, until one asks the application something. */
static ak_error messages_in(ak_session *s) {
    size_t at = 0;
    ak_error e = AK_OK;
    s->stopped = false;
    while (e == AK_OK && !s->stopped && s->assembly.n - at >= 4) {
        const uint8_t *p = s->assembly.p + at;
        size_t n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (n > s->ctx->max_message)
            return ak_session_fail(s, AK_ERR_message_too_long, "handshake message %u says it has %zu bytes; %u are allowed", p[0], n, (unsigned)s->ctx->max_message);
        if (s->assembly.n - at < 4 + n) break;
        ak_view message = ak_view_of(p, 4 + n);
        bool last = at + 4 + n == s->assembly.n;
        if (s->info->version >= AK_TLS13 && p[0] == AK_HT_key_update && !last)
            return ak_session_fail(s, AK_ERR_excess_handshake_data, "handshake data after a KeyUpdate"); /* RFC 8446 §5.1 */
        e = s->info->version >= AK_TLS13 ? ak_session13_message(s, message) : message12(s, message);
        at += 4 + n;
        s->stopped = !s->closed && ak_post_auth_waits(s);
    }
    if (!s->closed) {
        if (at != 0) s->excess = true;
        ak_buf_drop(&s->assembly, at);
        if (s->assembly.n == 0) ak_buf_free(&s->assembly);
    }
    return e;
}

static ak_error handshake_in(ak_session *s, ak_view v) {
    if (v.n == 0) return ak_session_fail(s, AK_ERR_empty_fragment, "an empty handshake record");
    if (s->assembly.n == 0) s->excess = false;
    if (!ak_buf_put_view(&s->assembly, v)) return ak_session_fail(s, AK_ERR_out_of_memory, NULL);
    return messages_in(s);
}

/* record_in: one record; its plaintext is at out[0..n). */
static ak_error record_in(ak_session *s, uint8_t type, const uint8_t *p, size_t n, size_t *kept) {
    if (n == 0 && type == AK_CT_application_data) {
        if (++s->empty_records > MAX_EMPTY_RECORDS) return ak_session_fail(s, AK_ERR_too_many_empty_fragments, "more than %d", MAX_EMPTY_RECORDS);
    } else {
        s->empty_records = 0;
    }
    if (type != AK_CT_handshake && s->assembly.n > 0)
        return ak_session_fail(s, s->excess ? AK_ERR_excess_handshake_data : AK_ERR_interleaved_message, "a record of type %u in the middle of a handshake message", type);
    if (type != AK_CT_alert && n != 0) s->warnings = 0; /* empty records between them do not make them fewer */
    switch (type) {
    case AK_CT_application_data:
        if (ak_post_auth_pending(s)) return ak_session_fail(s, AK_ERR_unexpected_record, "data between the messages of an authentication (RFC 8446 §4.6.2)");
        *kept = n;
        if (n != 0) {
            s->key_updates = 0;
            ak_post_auth_data_came(s);
        }
        return AK_OK;
    case AK_CT_alert: return alert_in(s, ak_view_of(p, n));
    case AK_CT_handshake: return handshake_in(s, ak_view_of(p, n));
    case AK_CT_change_cipher_spec: return ak_session_fail(s, AK_ERR_unexpected_record, "a ChangeCipherSpec after the handshake");
    default: return ak_session_fail(s, AK_ERR_invalid_record_type, "content type %u", type);
    }
}

ak_error ak_session_open(ak_session *s, ak_view in, uint8_t *out, size_t *out_n, ak_failure *f) {
    *out_n = 0;
    ak_error e = refuse_use(s, f);
    if (e != AK_OK) return e;
    if (s->peer_closed) return ak_fail(f, AK_ERR_closed, "the peer said close_notify");
    if (ak_post_auth_waits(s)) return ak_fail(f, AK_ERR_not_ready, "the session waits for an answer (ak_session_event)");
    ak_deframer_feed(&s->deframer, in);
    if (s->stopped) e = messages_in(s);
    while (e == AK_OK && !s->stopped) {
        ak_record r;
        bool got = false;
        ak_failure why;
        ak_failure_init(&why);
        uint8_t type = 0;
        size_t n = 0, kept = 0;
        e = ak_deframer_next(&s->deframer, &r, &got, &why);
        if (e == AK_OK && !got) break;
        if (e == AK_OK && ak_protect_is_13(s->read) && r.type != AK_CT_application_data) {
            e = ak_session_fail(s, AK_ERR_unexpected_record, "an unprotected record of type %u", r.type);
            break;
        }
        if (e == AK_OK) e = ak_open(s->read, &r, s->read_limit, out + *out_n, &n, &type, &why);
        if (e != AK_OK) {
            fail(s, e, ak_error_alert(e), false, why.detail);
            break;
        }
        e = record_in(s, type, out + *out_n, n, &kept);
        if (kept == 0 && n != 0 && type != AK_CT_application_data) ak_wipe(out + *out_n, n);
        *out_n += kept;
    }
    if (e == AK_OK && !s->closed && !s->write_closed && !s->stopped) e = answer_key_update(s);
    if (!s->closed && !ak_deframer_keep(&s->deframer) && e == AK_OK) e = ak_session_fail(s, AK_ERR_out_of_memory, NULL);
    if (e == AK_OK || *out_n > 0) return AK_OK; /* data first; the next call says what came after it */
    if (e == AK_ERR_closed && !s->failed) return ak_fail(f, AK_ERR_closed, "the peer said close_notify");
    if (f != NULL) *f = *ak_session_failure(s);
    return e;
}

/* ---- ends ----------------------------------------------------------------------------------------------------------------------------- */

ak_error ak_session_close_write(ak_session *s, ak_failure *f) {
    ak_error e = refuse_use(s, f);
    if (e != AK_OK) return e;
    if (!s->write_closed) put_alert(s, 1, AK_ALERT_close_notify);
    s->write_closed = true;
    return AK_OK;
}

ak_error ak_session_close(ak_session *s, ak_failure *f) {
    ak_error e = ak_session_close_write(s, f);
    if (e == AK_OK) ak_session_drop_keys(s);
    return e;
}

ak_error ak_session_eof(ak_session *s, ak_failure *f) {
    if (s->failed) return refuse_use(s, f);
    if (s->peer_closed || s->closed) return AK_OK;
    ak_failure why = {.error = AK_ERR_truncated, .alert = AK_ALERT_none, .state = "open"};
    if (s->deframer.stash.n > s->deframer.stash_used) snprintf(why.detail, sizeof why.detail, "in the middle of a record");
    note(s, &why);
    ak_session_drop_keys(s);
    return refuse_use(s, f);
}

ak_error ak_session_alert(ak_session *s, int alert, ak_failure *f) {
    ak_error e = refuse_use(s, f);
    if (e != AK_OK) return e;
    const char *name = ak_alert_name(alert);
    fail(s, AK_ERR_aborted, alert, false, name != NULL ? name : "");
    return AK_OK;
}

ak_error ak_session_export(ak_session *s, const char *label, bool has_context, ak_view context, uint8_t *out, size_t n, ak_failure *f) {
    ak_error e = refuse_use(s, f);
    if (e != AK_OK) return e;
    bool ok;
    if (s->info->version >= AK_TLS13) { /* RFC 8446 §7.5 */
        ok = ak_keys13_export(s->p, s->info->suite->prf, ak_secret_view(&s->exporter), label, context, out, n);
    } else { /* RFC 5705 §4: the seed is both randoms, and the context with its length when there is one */
        ak_buf seed;
        ak_buf_init(&seed, 70000);
        ak_buf_put(&seed, s->info->client_random, 32);
        ak_buf_put(&seed, s->info->server_random, 32);
        if (has_context) ak_buf_vec(&seed, context, 2);
        ok = !seed.bad && ak_prf(s->p, ak_keys12_hash(s->info->version, s->info->suite), ak_secret_view(&s->exporter), label, ak_buf_view(&seed),
                                 ak_view_of(NULL, 0), out, n);
        ak_buf_free(&seed);
    }
    return ok ? AK_OK : ak_fail(f, AK_ERR_crypto_failed, "the exporter");
}

ak_error ak_session_update_keys(ak_session *s, bool ask_peer, ak_failure *f) {
    ak_error e = refuse_use(s, f);
    if (e != AK_OK) return e;
    if (s->info->version < AK_TLS13) return ak_fail(f, AK_ERR_not_ready, "TLS 1.3 alone has KeyUpdate");
    if (s->write_closed) return ak_fail(f, AK_ERR_write_closed, NULL);
    if (ak_post_auth_holds_key(s)) return ak_fail(f, AK_ERR_not_ready, "an authentication waits for the application, under the keys of the moment");
    e = ak_session13_update(s, ask_peer);
    if (e != AK_OK && f != NULL) *f = *ak_session_failure(s);
    return e;
}

/* ---- looking ---------------------------------------------------------------------------------------------------------------------------- */

const ak_provider *ak_session_provider(const ak_session *s) { return s->p; }
const ak_info *ak_session_info(const ak_session *s) { return s->info; }
ak_view ak_session_reply(const ak_session *s) { return ak_buf_view(&s->reply); }
void ak_session_reply_taken(ak_session *s) { ak_buf_free(&s->reply); }

const char *ak_session_state(const ak_session *s) {
    if (s->failed) return ak_session_failure(s)->error == AK_ERR_truncated ? "truncated" : "failed";
    if (s->closed) return "closed";
    if (s->peer_closed) return "peer_closed";
    return s->write_closed ? "write_closed" : "open";
}
