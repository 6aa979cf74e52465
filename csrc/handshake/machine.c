/* machine.c: the loop: one place where messages go out, one where they come in, one where actions are performed. */
#include "handshake/machine.h"

#include "handshake/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What BoringSSL tolerates, too: enough for any honest peer. */
#define MAX_EMPTY_RECORDS 32
#define MAX_WARNING_ALERTS 4
#define MAX_HELLO_REQUESTS 32 /* in the middle of a handshake */
#define MAX_COMPAT_CCS 32

/* ---- failing --------------------------------------------------------------------------------------------------------- */

static void seal_alert(ak_hs *h, uint8_t level, uint8_t description) {
    uint8_t alert[2] = {level, description};
    size_t n = 0, room = ak_seal_size(h->write, sizeof alert, 0);
    ak_failure ignored = {0};
    if (!ak_buf_reserve(&h->output, room)) return;
    if (ak_seal(h->write, AK_CT_alert, h->record_version, alert, sizeof alert, 0, h->output.p + h->output.n, &n, &ignored) == AK_OK)
        h->output.n += n;
}

/* Whatever of the flight was already built goes out before the alert: the peer sees the messages in their order. */
static void flush_quietly(ak_hs *h) {
    ak_flight *f = &h->flight;
    size_t left = f->bytes.n - f->done, n = 0;
    if (left == 0 || f->stage != AK_FLUSH_idle) return;
    size_t room = ak_seal_many_size(h->write, left, ak_hs_max_fragment(h), false);
    ak_failure ignored = {0};
    if (ak_buf_reserve(&h->output, room) &&
        ak_seal_many(h->write, f->content_type, h->record_version, f->bytes.p + f->done, left, ak_hs_max_fragment(h), false,
                     h->output.p + h->output.n, &n, &ignored) == AK_OK)
        h->output.n += n;
    ak_buf_clear(&f->bytes);
    f->done = 0;
}

static void fail_now(ak_hs *h, ak_error e, int alert, bool from_peer, const char *detail) {
    if (h->failed) return;
    const char *state = ak_hs_state(h);
    h->failed = true;
    h->failure.error = e;
    h->failure.alert = alert;
    h->failure.from_peer = from_peer;
    h->failure.state = state;
    snprintf(h->failure.detail, sizeof h->failure.detail, "%s", detail);
    h->event.kind = AK_EV_none;
    if (alert != AK_ALERT_none && !from_peer) {
        flush_quietly(h);
        seal_alert(h, alert == AK_ALERT_close_notify || alert == AK_ALERT_user_canceled ? 1 : 2, (uint8_t)alert);
    }
    if (h->remove_on_failure && h->info->session_id_n != 0) { /* RFC 5246 §7.2.2: a failed session is not resumed */
        ak_view id = ak_view_of(h->info->session_id, h->info->session_id_n);
        if (h->ctx->store != NULL) ak_store_remove(h->ctx->store, id);
        else if (h->ctx->external_store) {
            h->event.kind = AK_EV_session_remove;
            h->event.key = id;
        }
    }
}

ak_error ak_hs_fail_alert(ak_hs *h, ak_error e, int alert, const char *fmt, ...) {
    char detail[sizeof h->failure.detail] = "";
    if (fmt != NULL) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(detail, sizeof detail, fmt, ap);
        va_end(ap);
    }
    fail_now(h, e, alert, false, detail);
    return e;
}

ak_error ak_hs_fail(ak_hs *h, ak_error e, const char *fmt, ...) {
    char detail[sizeof h->failure.detail] = "";
    if (fmt != NULL) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(detail, sizeof detail, fmt, ap);
        va_end(ap);
    }
    fail_now(h, e, ak_error_alert(e), false, detail);
    return e;
}

/* A room below has already filled in its failure: the handshake's is made from it. */
static void fail_with(ak_hs *h, ak_error e, const ak_failure *f) {
    bool told = f->error != AK_OK;
    fail_now(h, e, told ? f->alert : ak_error_alert(e), false, told ? f->detail : "");
}

ak_error ak_hs_ask(ak_hs *h, ak_event_kind kind) {
    h->event.kind = kind;
    h->event.state = ak_hs_state(h);
    return AK_AGAIN;
}

static ak_error no_memory(ak_hs *h) { return ak_hs_fail(h, AK_ERR_out_of_memory, NULL); }

/* ---- gates ------------------------------------------------------------------------------------------------------------ */

/* pass: the answer when nobody asked. */
static void pass(ak_hs *h) {
    h->answer.verdict = AK_PASS;
    h->answer.transcript = AK_TRANSCRIPT_as_sent;
    h->answer.n_inject = 0;
    h->answer.accept = false;
}

static void gate(ak_hs *h, uint32_t which, uint8_t content_type, int message, ak_view bytes) {
    h->event.kind = AK_EV_gate;
    h->event.gate = which;
    h->event.incoming = which >= AK_GATE_record_in;
    h->event.content_type = content_type;
    h->event.message = message;
    h->event.bytes = bytes;
    h->event.state = ak_hs_state(h);
}

static bool wanted(const ak_hs *h, uint32_t which) { return (h->gates & which) != 0; }

static void free_items(ak_item **list) {
    while (*list != NULL) {
        ak_item *i = *list;
        *list = i->next;
        ak_buf_free(&i->bytes);
        free(i);
    }
}

static bool add_item(ak_item **list, const ak_inject *in) {
    ak_item *i = calloc(1, sizeof *i);
    if (i == NULL) return false;
    ak_buf_init(&i->bytes, AK_BUF_NO_LIMIT);
    i->raw = in->raw;
    i->content_type = in->content_type;
    if (!ak_buf_put_view(&i->bytes, in->bytes)) {
        free(i);
        return false;
    }
    while (*list != NULL) list = &(*list)->next;
    *list = i;
    return true;
}

/* Injected bytes go out at once, as records of their own, under the keys of the moment. */
static bool put_bytes(ak_hs *h, bool raw, uint8_t content_type, ak_view bytes) {
    if (raw) return ak_buf_put_view(&h->output, bytes);
    size_t max = content_type == AK_CT_alert ? AK_PLAINTEXT_MAX : ak_hs_max_fragment(h); /* an alert is not cut */
    size_t n = 0, room = ak_seal_many_size(h->write, bytes.n, max, false);
    ak_failure f = {0};
    if (!ak_buf_reserve(&h->output, room)) return false;
    if (ak_seal_many(h->write, content_type, h->record_version, bytes.p, bytes.n, max, false, h->output.p + h->output.n, &n, &f) != AK_OK) return false;
    h->output.n += n;
    return true;
}

static bool put_items(ak_hs *h, ak_item **list) {
    bool ok = true;
    for (const ak_item *i = *list; ok && i != NULL; i = i->next) ok = put_bytes(h, i->raw, i->content_type, ak_buf_view(&i->bytes));
    free_items(list);
    return ok;
}

/* take_injections: what goes before is put now, what goes after is kept in *after. */
static bool take_injections(ak_hs *h, ak_item **after) {
    bool ok = true;
    for (size_t i = 0; ok && i < h->answer.n_inject; i++) {
        const ak_inject *in = &h->answer.inject[i];
        if (in->after) ok = add_item(after, in);
        else {
            flush_quietly(h);
            ok = put_bytes(h, in->raw, in->content_type, in->bytes);
        }
    }
    return ok;
}

ak_error ak_hs_refused(ak_hs *h) {
    ak_error e = h->answer.error != AK_OK ? h->answer.error : AK_ERR_hook_refused;
    fail_now(h, e, h->answer.alert, false, h->answer.text != NULL ? h->answer.text : "");
    return e;
}

/* refused: the script ends the handshake here. */
static bool refused(ak_hs *h) {
    if (h->answer.verdict != AK_REFUSE) return false;
    ak_hs_refused(h);
    return true;
}

static bool note_transcript(ak_hs *h, ak_taken *t, ak_view built) {
    t->mode = h->answer.transcript;
    ak_view keep = t->mode == AK_TRANSCRIPT_given ? h->answer.transcript_bytes : built;
    ak_buf_clear(&t->bytes);
    return t->mode == AK_TRANSCRIPT_as_sent || t->mode == AK_TRANSCRIPT_none || ak_buf_put_view(&t->bytes, keep);
}

/* answer_message applies a verdict on a whole message: replaced, dropped, refused, and what the transcript takes. */
static bool answer_message(ak_hs *h, ak_buf *message, ak_taken *taken, bool *dropped) {
    if (refused(h)) return false;
    if (!note_transcript(h, taken, ak_buf_view(message))) return false;
    if (h->answer.verdict == AK_DROP) *dropped = true;
    if (h->answer.verdict == AK_REPLACE) {
        ak_buf_clear(message);
        return ak_buf_put_view(message, h->answer.bytes);
    }
    return true;
}

static bool transcript_take(ak_hs *h, const ak_taken *t, const ak_buf *message, bool dropped) {
    switch (t->mode) {
    case AK_TRANSCRIPT_none: return true;
    case AK_TRANSCRIPT_as_built:
    case AK_TRANSCRIPT_given: return ak_transcript_add(&h->transcript, ak_buf_view(&t->bytes));
    case AK_TRANSCRIPT_as_sent:
    default: return dropped || ak_transcript_add(&h->transcript, ak_buf_view(message));
    }
}

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

static ak_when when(const ak_hs *h, const ak_row *r) { return r->when == NULL ? AK_YES : r->when(h); }

/* current: the first row that is not ruled out; the last one (name NULL) at the end of the table. A row of ours that may be left out
 * is decided by its own `when`. */
static const ak_row *current(const ak_hs *h) {
    const ak_row *r = &h->rows[h->at];
    while (r->name != NULL && when(h, r) == AK_NO) r++;
    return r;
}

/* match: the row that an incoming message belongs to, NULL when it is not allowed now. */
static const ak_row *match(const ak_hs *h, int message) {
    for (const ak_row *r = current(h); r->name != NULL; r++) {
        ak_when w = when(h, r);
        if (w == AK_NO) continue;
        if (r->server == h->server) break;
        if (r->message == message) return r;
        if (w == AK_YES) break;
    }
    return NULL;
}

static void advance(ak_hs *h, const ak_row *done) {
    h->at = (size_t)(done - h->rows) + 1;
}

void ak_hs_use_rows(ak_hs *h, const ak_row *rows) {
    h->rows = rows;
    h->at = 0;
}

const char *ak_hs_state(const ak_hs *h) {
    if (h->failed) return "failed";
    if (h->done) return "done";
    if (!h->started) return "new";
    const ak_row *r = h->out_msg.stage != AK_OUT_idle ? h->out_msg.row : current(h);
    if (h->in_msg.stage != AK_INS_idle && h->in_msg.row != NULL) r = h->in_msg.row;
    /* while nothing is there a state is named after what must come, not after what may come before it */
    else while (r != NULL && r->name != NULL && (when(h, r) == AK_NO || (r->server != h->server && when(h, r) == AK_MAYBE))) r++;
    if (r == NULL || r->name == NULL) return "finishing";
    return r->server == h->server ? r->sending : r->waiting;
}

/* ---- the flight: messages become records ----------------------------------------------------------------------------------- */

/* A ClientHello waits for nothing: its record says another version than those after it. */
static bool coalesces(const ak_hs *h) {
    if (h->info->version == 0) return false;
    return h->ctx->coalesce_set ? h->ctx->coalesce : ak_hs_is_13(h);
}

static void end_flush(ak_hs *h) {
    ak_flight *f = &h->flight;
    ak_buf_clear(&f->bytes);
    f->done = 0;
    f->stage = AK_FLUSH_idle;
    if (!put_items(h, &f->after)) no_memory(h);
}

/* Without gates a flight is sealed in one call. */
static void flush_all(ak_hs *h) {
    ak_flight *f = &h->flight;
    size_t n = 0, max = ak_hs_max_fragment(h), room = ak_seal_many_size(h->write, f->bytes.n, max, false);
    ak_failure fail = {0};
    if (!ak_buf_reserve(&h->output, room)) {
        no_memory(h);
        return;
    }
    ak_error e = ak_seal_many(h->write, f->content_type, h->record_version, f->bytes.p, f->bytes.n, max, false,
                              h->output.p + h->output.n, &n, &fail);
    if (e != AK_OK) fail_with(h, e, &fail);
    h->output.n += n;
    end_flush(h);
}

static void flush_step(ak_hs *h) {
    ak_flight *f = &h->flight;
    bool ok = true;
    switch (f->stage) {
    case AK_FLUSH_idle:
    case AK_FLUSH_next: {
        if (!wanted(h, AK_GATE_plain_out | AK_GATE_record_out) && f->done == 0) {
            flush_all(h);
            return;
        }
        size_t left = f->bytes.n - f->done, max = ak_hs_max_fragment(h);
        if (left == 0) {
            end_flush(h);
            return;
        }
        ak_buf_clear(&f->fragment);
        if (left > max) left = max;
        ok = ak_buf_put(&f->fragment, f->bytes.p + f->done, left);
        f->done += left;
        f->stage = AK_FLUSH_plain;
        if (ok && wanted(h, AK_GATE_plain_out)) gate(h, AK_GATE_plain_out, f->content_type, -1, ak_buf_view(&f->fragment));
        else pass(h);
        break;
    }
    case AK_FLUSH_plain: {
        ak_failure fail = {0};
        size_t n = 0;
        if (refused(h)) return;
        f->stage = AK_FLUSH_next;
        ok = take_injections(h, &f->after);
        if (ok && h->answer.verdict == AK_REPLACE) {
            ak_buf_clear(&f->fragment);
            ok = ak_buf_put_view(&f->fragment, h->answer.bytes);
        }
        if (!ok || h->answer.verdict == AK_DROP) break;
        ak_buf_clear(&f->record);
        size_t room = ak_seal_size(h->write, f->fragment.n, 0);
        ok = ak_buf_reserve(&f->record, room);
        if (!ok) break;
        ak_error e = ak_seal(h->write, f->content_type, h->record_version, f->fragment.p, f->fragment.n, 0, f->record.p, &n, &fail);
        if (e != AK_OK) {
            fail_with(h, e, &fail);
            return;
        }
        f->record.n = n;
        f->stage = AK_FLUSH_record;
        if (wanted(h, AK_GATE_record_out)) gate(h, AK_GATE_record_out, f->content_type, -1, ak_buf_view(&f->record));
        else pass(h);
        break;
    }
    case AK_FLUSH_record:
        if (refused(h)) return;
        f->stage = AK_FLUSH_next;
        for (size_t i = 0; ok && i < h->answer.n_inject; i++)
            if (!h->answer.inject[i].after) ok = ak_buf_put_view(&h->output, h->answer.inject[i].bytes);
        if (ok && h->answer.verdict != AK_DROP)
            ok = ak_buf_put_view(&h->output, h->answer.verdict == AK_REPLACE ? h->answer.bytes : ak_buf_view(&f->record));
        for (size_t i = 0; ok && i < h->answer.n_inject; i++)
            if (h->answer.inject[i].after) ok = ak_buf_put_view(&h->output, h->answer.inject[i].bytes);
        break;
    }
    if (!ok) no_memory(h);
    if (f->stage == AK_FLUSH_next && h->event.kind == AK_EV_none) pass(h);
}

/* ---- actions ------------------------------------------------------------------------------------------------------------------ */

static void perform_actions(ak_hs *h) {
    ak_failure f = {0};
    ak_error e = AK_OK;
    unsigned a = h->actions;
    if ((a & (AK_ACT_rekey_write | AK_ACT_flush | AK_ACT_dummy_ccs | AK_ACT_no_certificate)) != 0 && h->flight.bytes.n > h->flight.done) {
        h->flight.stage = AK_FLUSH_next;
        return;
    }
    h->actions = 0;
    if ((a & AK_ACT_no_certificate) != 0) seal_alert(h, 1, AK_ALERT_no_certificate);
    if ((a & AK_ACT_dummy_ccs) != 0) {
        static const uint8_t dummy[] = {AK_CT_change_cipher_spec, 3, 3, 0, 1, 1};
        if (!ak_buf_put(&h->output, dummy, sizeof dummy)) no_memory(h);
    }
    if ((a & AK_ACT_rekey_write) != 0) e = ak_keys_install(h, true, &f); /* first: an alert about what follows is protected, too */
    if (e == AK_OK && (a & AK_ACT_rekey_read) != 0) {
        if (h->assembly.n > h->assembly_at) {
            ak_hs_fail(h, AK_ERR_excess_handshake_data, "%zu bytes follow the last message under the old keys", h->assembly.n - h->assembly_at);
            return;
        }
        e = ak_keys_install(h, false, &f);
        h->read_protected = true;
    }
    if (e != AK_OK) {
        fail_with(h, e, &f);
        return;
    }
    if ((a & AK_ACT_early_data) != 0 && h->early_data.n != 0) {
        h->flight.content_type = AK_CT_application_data;
        if (!ak_buf_put_view(&h->flight.bytes, ak_buf_view(&h->early_data))) no_memory(h);
        ak_buf_free(&h->early_data);
        h->flight.stage = AK_FLUSH_next;
    }
}

/* ---- outgoing: the one choke point ------------------------------------------------------------------------------------------------ */

static bool is_ccs(const ak_row *r) { return r->message == AK_ROW_ccs; }

static int wire_message(const ak_row *r) {
    if (is_ccs(r)) return -1;
    return r->message == AK_ROW_hello_retry_request ? AK_HT_server_hello : r->message;
}

static uint8_t wire_content(const ak_row *r) { return is_ccs(r) ? AK_CT_change_cipher_spec : AK_CT_handshake; }

/* row_result: what a row's function returned: true to go on; false when it asked, or failed. */
static bool row_result(ak_hs *h, ak_error e) {
    if (e == AK_AGAIN) return false;
    h->phase = 0;
    if (e != AK_OK && !h->failed) fail_now(h, e, ak_error_alert(e), false, "");
    return e == AK_OK && !h->failed;
}

static void compose(ak_hs *h, ak_outgoing *o) {
    if (h->phase == 0) {
        ak_buf_clear(&o->message);
        o->dropped = false;
        o->taken.mode = AK_TRANSCRIPT_as_sent;
    }
    if (is_ccs(o->row)) {
        if (!ak_buf_u8(&o->message, 1)) no_memory(h);
    } else {
        size_t mark = 0;
        if (h->phase == 0) {
            ak_buf_u8(&o->message, (unsigned)wire_message(o->row));
            mark = ak_buf_open(&o->message, 3);
        } else {
            mark = 4;
        }
        if (!row_result(h, o->row->compose(h, &o->message))) return;
        if (!ak_buf_close(&o->message, mark, 3)) no_memory(h);
    }
    o->stage = AK_OUT_composed;
    if (!h->failed && wanted(h, AK_GATE_compose) && !is_ccs(o->row))
        gate(h, AK_GATE_compose, wire_content(o->row), wire_message(o->row), ak_buf_view(&o->message));
    else pass(h);
}

static void out_step(ak_hs *h) {
    ak_outgoing *o = &h->out_msg;
    bool ok = true;
    switch (o->stage) {
    case AK_OUT_idle:
    case AK_OUT_compose: compose(h, o); return;
    case AK_OUT_composed:
        ok = answer_message(h, &o->message, &o->taken, &o->dropped) && take_injections(h, &o->after);
        o->stage = AK_OUT_seal;
        break;
    case AK_OUT_seal:
        o->stage = AK_OUT_sealed;
        if (!o->dropped && o->row->seal != NULL) {
            if (!row_result(h, o->row->seal(h, &o->message, 4))) return;
            if (o->message.n >= 4 && o->message.p[0] == wire_message(o->row)) { /* sealing may have changed the length */
                size_t n = o->message.n - 4;
                o->message.p[1] = (uint8_t)(n >> 16);
                o->message.p[2] = (uint8_t)(n >> 8);
                o->message.p[3] = (uint8_t)n;
            }
        }
        if (!o->dropped && wanted(h, AK_GATE_send)) gate(h, AK_GATE_send, wire_content(o->row), wire_message(o->row), ak_buf_view(&o->message));
        else pass(h);
        break;
    case AK_OUT_sealed:
        if (h->answer.verdict == AK_PASS && h->answer.transcript == AK_TRANSCRIPT_as_sent && h->answer.n_inject == 0) {
            o->stage = AK_OUT_put; /* the usual way, and a verdict of the compose gate stays in force */
            break;
        }
        ok = answer_message(h, &o->message, &o->taken, &o->dropped) && take_injections(h, &o->after);
        o->stage = AK_OUT_put;
        break;
    case AK_OUT_put: {
        uint8_t content = wire_content(o->row);
        ak_flight *f = &h->flight;
        if (f->bytes.n > 0 && f->content_type != content) {
            f->stage = AK_FLUSH_next;
            return;
        }
        f->content_type = content;
        if (!o->dropped) ok = ak_buf_put_view(&f->bytes, ak_buf_view(&o->message));
        if (ok && !is_ccs(o->row)) ok = transcript_take(h, &o->taken, &o->message, o->dropped);
        o->stage = AK_OUT_after;
        if (ok && (!coalesces(h) || o->after != NULL) && f->bytes.n > 0) h->actions |= AK_ACT_flush;
        break;
    }
    case AK_OUT_after: {
        const ak_row *row = o->row, *rows = h->rows;
        if (o->after != NULL) {
            ok = put_items(h, &o->after);
            break;
        }
        if (row->after != NULL && !row_result(h, row->after(h))) return;
        o->stage = AK_OUT_idle;
        o->row = NULL;
        if (h->rows == rows && !row->repeats) advance(h, row);
        break;
    }
    }
    if (!ok && !h->failed) no_memory(h);
}

/* ---- incoming: the one choke point --------------------------------------------------------------------------------------------------- */

static void start_output(ak_hs *h, const ak_row *row) {
    h->out_msg.row = row;
    h->out_msg.stage = AK_OUT_compose;
    h->phase = 0;
}

static void alert_in(ak_hs *h, ak_view v) {
    if (v.n != 2) {
        ak_hs_fail(h, AK_ERR_bad_alert, "an alert of %zu bytes", v.n);
        return;
    }
    uint8_t level = v.p[0], what = v.p[1];
    const char *name = ak_alert_name(what);
    char detail[64];
    snprintf(detail, sizeof detail, "%s (%u)", name != NULL ? name : "unknown alert", what);
    if (what == AK_ALERT_close_notify) {
        fail_now(h, AK_ERR_closed, AK_ALERT_close_notify, true, "the peer closed the connection during the handshake");
    } else if (level == 2) {
        fail_now(h, AK_ERR_peer_alert, what, true, detail);
    } else if (level == 1 && ak_hs_no_client_certificate(h, what)) {
        return; /* SSL 3.0 */
    } else if (level == 1) {
        /* RFC 8446 §6: in TLS 1.3 only closure alerts are warnings */
        if (ak_hs_is_13(h) && what != AK_ALERT_user_canceled)
            ak_hs_fail(h, AK_ERR_bad_alert, "TLS 1.3 has no warning alert %s", detail);
        else if (++h->warnings > MAX_WARNING_ALERTS)
            ak_hs_fail(h, AK_ERR_too_many_warnings, "more than %d in a row, the last %s", MAX_WARNING_ALERTS, detail);
    } else {
        ak_hs_fail(h, AK_ERR_unknown_alert_level, "level %u, alert %s", level, detail);
    }
}

static const char *content_name(uint8_t type) {
    switch (type) {
    case AK_CT_change_cipher_spec: return "change_cipher_spec";
    case AK_CT_alert: return "alert";
    case AK_CT_handshake: return "handshake";
    case AK_CT_application_data: return "application_data";
    default: return "unknown";
    }
}

/* plain_in: one opened fragment, by content type. */
static void plain_in(ak_hs *h, uint8_t type, ak_view v) {
    if (v.n == 0) {
        if (type == AK_CT_handshake || type == AK_CT_alert || type == AK_CT_change_cipher_spec) {
            /* RFC 5246 §6.2.1, RFC 8446 §5.1: no zero-length fragments of these types */
            ak_hs_fail(h, type == AK_CT_alert ? AK_ERR_bad_alert : AK_ERR_empty_fragment, "an empty %s record", content_name(type));
            return;
        }
        if (++h->empty_records > MAX_EMPTY_RECORDS) {
            ak_hs_fail(h, AK_ERR_too_many_empty_fragments, "more than %d", MAX_EMPTY_RECORDS);
            return;
        }
    } else {
        h->empty_records = 0;
    }
    if (type != AK_CT_handshake && h->assembly.n > h->assembly_at) {
        ak_hs_fail(h, h->excess && type != AK_CT_change_cipher_spec ? AK_ERR_excess_handshake_data : AK_ERR_interleaved_message, "a record of type %s in the middle of a handshake message", content_name(type));
        return;
    }
    if (type != AK_CT_alert) h->warnings = 0;
    switch (type) {
    case AK_CT_handshake:
        if (h->assembly.n == h->assembly_at) h->excess = false;
        if (!ak_buf_put_view(&h->assembly, v)) no_memory(h);
        break;
    case AK_CT_alert: alert_in(h, v); break;
    case AK_CT_change_cipher_spec:
        if (v.n != 1 || v.p[0] != 1) {
            ak_hs_fail(h, AK_ERR_bad_change_cipher_spec, "%zu bytes, the first is %u", v.n, v.p[0]);
            break;
        }
        ak_buf_clear(&h->in_msg.message);
        if (!ak_buf_put_view(&h->in_msg.message, v)) no_memory(h);
        h->in_msg.is_ccs = true;
        h->in_msg.stage = AK_INS_message;
        break;
    case AK_CT_application_data:
        if (ak_hs_application_data(h, v)) break; /* early data */
        if (h->renegotiation != NULL && !h->read_protected) { /* RFC 5246 §11: it may come until the keys change */
            if (!ak_buf_put_view(&h->application, v)) no_memory(h);
            break;
        }
        /* before anything else has come the peer may be no TLS at all, or something in between eats messages; later it breaks the order */
        ak_hs_fail(h, h->info->version == 0 && !h->info->hello_retry ? AK_ERR_application_data_early : AK_ERR_unexpected_record,
                   "%zu bytes of application data while in %s", v.n, ak_hs_state(h));
        break;
    default: ak_hs_fail(h, AK_ERR_invalid_record_type, "content type %u", type); break;
    }
}

/* take_message: a whole handshake message from what was assembled. False: more is needed (or it failed). */
static bool take_message(ak_hs *h) {
    size_t left = h->assembly.n - h->assembly_at;
    if (left < 4) return false;
    const uint8_t *p = h->assembly.p + h->assembly_at;
    size_t n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n > h->ctx->max_message) {
        ak_hs_fail(h, AK_ERR_message_too_long, "handshake message %u says it has %zu bytes; %u are allowed", p[0], n, (unsigned)h->ctx->max_message);
        return false;
    }
    if (left < 4 + n) return false;
    ak_buf_clear(&h->in_msg.message);
    if (!ak_buf_put(&h->in_msg.message, p, 4 + n)) {
        no_memory(h);
        return false;
    }
    h->assembly_at += 4 + n;
    h->excess = h->assembly_at < h->assembly.n;
    if (h->assembly_at == h->assembly.n) {
        ak_buf_clear(&h->assembly);
        h->assembly_at = 0;
    } else if (h->assembly_at > 32768) {
        ak_buf_drop(&h->assembly, h->assembly_at);
        h->assembly_at = 0;
    }
    h->in_msg.is_ccs = false;
    return true;
}

static int classify(const ak_hs *h, const ak_incoming *m) {
    if (m->is_ccs) return AK_ROW_ccs;
    if (m->message.n < 4) return -1;
    int type = m->message.p[0];
    bool retry = h->ctx->max_version >= AK_TLS13 && type == AK_HT_server_hello && m->message.n >= 4 + 34 && memcmp(m->message.p + 6, ak_hrr_random, 32) == 0;
    return retry ? AK_ROW_hello_retry_request : type;
}

static const char *message_name(int message, char *room, size_t n) {
    if (message == AK_ROW_ccs) return "change_cipher_spec";
    if (message == AK_ROW_hello_retry_request) return "hello_retry_request";
    const char *name = message >= 0 ? ak_name(AK_REG_handshake_types, (uint32_t)message) : NULL;
    if (name != NULL) return name;
    snprintf(room, n, "message %d", message);
    return room;
}

static void unexpected(ak_hs *h, int message) {
    char room[24];
    const char *name = message_name(message, room, sizeof room);
    ak_error e = message == AK_ROW_ccs ? AK_ERR_ccs_early : AK_ERR_unexpected_message;
    if (message == AK_HT_finished && current(h)->message == AK_ROW_ccs) e = AK_ERR_ccs_missing;
    if (message == AK_ROW_hello_retry_request && h->info->hello_retry) e = AK_ERR_second_hello_retry;
    ak_hs_fail(h, e, "%s came in state %s", name, ak_hs_state(h));
}

/* find_row: where the message belongs; on false it was refused, or is none of the handshake's business (a stray HelloRequest). */
static bool find_row(ak_hs *h, ak_incoming *m) {
    int message = classify(h, m);
    m->row = match(h, message);
    if (m->row != NULL) return true;
    if (!h->server && message == AK_HT_hello_request && m->message.n == 4 && !ak_hs_is_13(h) && !h->ctx->renegotiation_fatal &&
        ++h->hello_requests <= MAX_HELLO_REQUESTS)
        return false; /* RFC 5246 §7.4.1.1: passed over */
    if (m->accepted) return false;
    unexpected(h, message);
    return false;
}

static void handle(ak_hs *h) {
    ak_incoming *m = &h->in_msg;
    if (h->phase == 0 && !find_row(h, m)) {
        if (!h->failed && m->accepted && !transcript_take(h, &m->taken, &m->message, m->dropped)) no_memory(h);
        m->stage = AK_INS_idle;
        return;
    }
    const ak_row *row = m->row;
    if (row->receive != NULL) {
        ak_view body = m->is_ccs ? ak_buf_view(&m->message) : ak_view_of(m->message.p + 4, m->message.n - 4);
        if (!row_result(h, row->receive(h, body))) return;
    }
    if (!m->is_ccs && !transcript_take(h, &m->taken, &m->message, false)) {
        no_memory(h);
        return;
    }
    m->stage = AK_INS_after;
}

static void open_record(ak_hs *h, ak_incoming *m) {
    ak_failure f = {0};
    size_t n = 0;
    ak_buf_clear(&m->plain);
    m->stage = AK_INS_opened;
    if (ak_hs_filter_record(h, &m->record)) { /* TLS 1.3: compatibility CCS, early data that is skipped */
        m->stage = AK_INS_idle;
        return;
    }
    if (h->failed) return;
    if (!ak_buf_reserve(&m->plain, m->record.fragment.n + 1)) {
        no_memory(h);
        return;
    }
    ak_error e = ak_open(h->read, &m->record, ak_hs_record_limit(h), m->plain.p, &n, &m->type, &f);
    if (e != AK_OK) {
        if (!ak_hs_skip_undecryptable(h, &m->record, e)) fail_with(h, e, &f);
        m->stage = AK_INS_idle;
        return;
    }
    ak_hs_record_opened(h);
    m->plain.n = n;
    if (wanted(h, AK_GATE_plain_in)) gate(h, AK_GATE_plain_in, m->type, -1, ak_buf_view(&m->plain));
    else pass(h);
}

/* replace_record: a script's record in place of the one that came; its header must at least be there. */
static bool replace_record(ak_hs *h, ak_incoming *m) {
    if (h->answer.bytes.n < AK_RECORD_HEADER) {
        ak_hs_fail(h, AK_ERR_hook_failed, "a replaced record must have its 5 header bytes");
        return false;
    }
    ak_buf_clear(&m->record_bytes);
    if (!ak_buf_put_view(&m->record_bytes, h->answer.bytes)) {
        no_memory(h);
        return false;
    }
    const uint8_t *p = m->record_bytes.p;
    m->record.type = p[0];
    m->record.version = (uint16_t)(p[1] << 8 | p[2]);
    m->record.header = ak_view_of(p, AK_RECORD_HEADER);
    m->record.fragment = ak_view_of(p + AK_RECORD_HEADER, m->record_bytes.n - AK_RECORD_HEADER);
    return true;
}

/* next_record: false when more bytes are needed. */
static bool next_record(ak_hs *h) {
    ak_incoming *m = &h->in_msg;
    ak_failure f = {0};
    bool got = false;
    /* in TLS 1.3 even without keys: early data that is passed over may come */
    h->deframer.max_fragment = ak_hs_is_13(h) ? AK_CIPHERTEXT_MAX_13 : ak_protect_active(h->read) ? AK_CIPHERTEXT_MAX_12 : AK_PLAINTEXT_MAX;
    /* Without keys a record's version means nothing yet: a peer may have to say in an alert that it does not like ours (RFC 5246 §E.1). */
    h->deframer.version = ak_protect_active(h->read) ? h->record_version : 0;
    ak_error e = ak_deframer_next(&h->deframer, &m->record, &got, &f);
    if (e != AK_OK) {
        fail_with(h, e, &f);
        return true;
    }
    if (!got) return false;
    m->stage = AK_INS_record;
    if (wanted(h, AK_GATE_record_in)) {
        ak_buf_clear(&m->record_bytes);
        if (!ak_buf_put_view(&m->record_bytes, m->record.header) || !ak_buf_put_view(&m->record_bytes, m->record.fragment)) {
            no_memory(h);
            return true;
        }
        gate(h, AK_GATE_record_in, m->record.type, -1, ak_buf_view(&m->record_bytes));
    } else {
        pass(h);
    }
    return true;
}

/* in_step: false when more bytes are needed. */
static bool in_step(ak_hs *h) {
    ak_incoming *m = &h->in_msg;
    switch (m->stage) {
    case AK_INS_idle:
        m->row = NULL;
        m->taken.mode = AK_TRANSCRIPT_as_sent;
        m->dropped = m->accepted = false;
        if (take_message(h)) m->stage = AK_INS_message;
        else if (!h->failed) return next_record(h);
        break;
    case AK_INS_record:
        m->stage = AK_INS_unprotect;
        if (refused(h)) break;
        if (h->answer.verdict == AK_DROP) m->stage = AK_INS_idle;
        else if (h->answer.verdict == AK_REPLACE) replace_record(h, m);
        break;
    case AK_INS_unprotect: open_record(h, m); break;
    case AK_INS_opened:
        m->stage = AK_INS_plain;
        if (refused(h)) break;
        if (h->answer.verdict == AK_DROP) m->stage = AK_INS_idle;
        if (h->answer.verdict == AK_REPLACE) {
            ak_buf_clear(&m->plain);
            if (!ak_buf_put_view(&m->plain, h->answer.bytes)) no_memory(h);
        }
        break;
    case AK_INS_plain:
        m->stage = AK_INS_idle;
        plain_in(h, m->type, ak_buf_view(&m->plain));
        break;
    case AK_INS_message:
        m->stage = AK_INS_handle;
        h->phase = 0;
        if (wanted(h, AK_GATE_receive)) {
            gate(h, AK_GATE_receive, m->is_ccs ? AK_CT_change_cipher_spec : AK_CT_handshake, m->is_ccs ? -1 : m->message.p[0], ak_buf_view(&m->message));
            m->row = NULL;
            h->phase = -1; /* the gate's answer comes first */
        }
        break;
    case AK_INS_handle:
        if (h->phase == -1) {
            h->phase = 0;
            m->accepted = h->answer.accept;
            if (!answer_message(h, &m->message, &m->taken, &m->dropped)) {
                if (!h->failed) no_memory(h);
                break;
            }
            if (m->dropped) {
                m->stage = AK_INS_idle;
                if (m->taken.mode != AK_TRANSCRIPT_as_sent && !transcript_take(h, &m->taken, &m->message, true)) no_memory(h);
                break;
            }
            if (!m->is_ccs && m->message.n < 4) {
                ak_hs_fail(h, AK_ERR_decode_error, "a handshake message of %zu bytes", m->message.n);
                break;
            }
        }
        handle(h);
        break;
    case AK_INS_after: {
        const ak_row *row = m->row, *rows = h->rows;
        if (row->after != NULL && !row_result(h, row->after(h))) break;
        m->stage = AK_INS_idle;
        if (h->rows == rows) advance(h, row);
        break;
    }
    }
    return true;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------------------------------- */

static void finish(ak_hs *h) {
    h->done = true;
    ak_transcript_free(&h->transcript);
    ak_hs_finished(h);
}

static ak_status rest(ak_hs *h, ak_status s) {
    if (h->failed) ak_deframer_free(&h->deframer);
    else if (!ak_deframer_keep(&h->deframer)) {
        no_memory(h);
        return AK_FAILED;
    }
    return s;
}

ak_status ak_hs_run(ak_hs *h) {
    for (;;) {
        if (h->event.kind != AK_EV_none) return AK_EVENT;
        if (h->failed) return rest(h, AK_FAILED);
        if (h->done) return rest(h, AK_DONE);
        if (!h->started) return rest(h, AK_NEED_INPUT);
        if (h->flight.stage != AK_FLUSH_idle) {
            flush_step(h);
        } else if (h->actions != 0) {
            perform_actions(h);
        } else if (h->out_msg.stage != AK_OUT_idle) {
            out_step(h);
        } else if (h->in_msg.stage != AK_INS_idle) {
            in_step(h);
        } else {
            const ak_row *row = current(h);
            if (row->name != NULL && row->server == h->server && h->assembly.n > h->assembly_at && h->renegotiation == NULL) {
                /* what it would be an answer to has not been sent yet */
                ak_hs_fail(h, AK_ERR_excess_handshake_data, "%zu bytes before our turn", h->assembly.n - h->assembly_at);
            } else if (row->name != NULL && row->server == h->server) {
                start_output(h, row);
            } else if (h->flight.bytes.n > h->flight.done) {
                h->flight.stage = AK_FLUSH_next;
            } else if (row->name == NULL) {
                finish(h);
            } else if (!in_step(h)) {
                return rest(h, AK_NEED_INPUT);
            }
        }
    }
}

bool ak_hs_answer(ak_hs *h, const ak_answer *a) {
    h->event.kind = AK_EV_none;
    ak_identity *old = h->answer.identity;
    h->answer = *a;
    if (a->identity != NULL) ak_identity_ref(a->identity);
    if (old != NULL) ak_identity_free(old);
    ak_buf_clear(&h->answer_bytes);
    /* one buffer for everything: the views are laid over it when all is in */
    size_t total = a->bytes.n + a->transcript_bytes.n;
    if (!ak_buf_reserve(&h->answer_bytes, total + 1)) {
        no_memory(h);
        return false;
    }
    ak_buf_put_view(&h->answer_bytes, a->bytes);
    ak_buf_put_view(&h->answer_bytes, a->transcript_bytes);
    h->answer.bytes = ak_view_of(h->answer_bytes.p, a->bytes.n);
    h->answer.transcript_bytes = ak_view_of(h->answer_bytes.p + a->bytes.n, a->transcript_bytes.n);
    return true;
}
