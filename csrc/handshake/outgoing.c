/* outgoing.c: the one choke point for what goes out: a message is drafted, offered, sealed, offered, hashed and put into the flight. */
#include "handshake/loop.h"

static bool is_ccs(const ak_row *r) { return r->message == AK_ROW_ccs; }

static int wire_message(const ak_row *r) {
    if (is_ccs(r)) return -1;
    return r->message == AK_ROW_hello_retry_request ? AK_HT_server_hello : r->message;
}

static uint8_t wire_content(const ak_row *r) { return is_ccs(r) ? AK_CT_change_cipher_spec : AK_CT_handshake; }

static void compose(ak_hs *h, ak_outgoing *o) {
    if (h->phase == 0) {
        ak_buf_clear(&o->message);
        o->dropped = false;
        o->taken.mode = AK_TRANSCRIPT_as_sent;
    }
    if (is_ccs(o->row)) {
        if (!ak_buf_u8(&o->message, 1)) ak_hs_no_memory(h);
    } else {
        size_t mark = 0;
        if (h->phase == 0) {
            ak_buf_u8(&o->message, (unsigned)wire_message(o->row));
            mark = ak_buf_open(&o->message, 3);
        } else {
            mark = 4;
        }
        if (!ak_row_result(h, o->row->compose(h, &o->message))) return;
        if (!ak_buf_close(&o->message, mark, 3)) ak_hs_no_memory(h);
    }
    o->stage = AK_OUT_composed;
    if (!h->failed && ak_gate_wanted(h, AK_GATE_compose) && !is_ccs(o->row))
        ak_gate_open(h, AK_GATE_compose, wire_content(o->row), wire_message(o->row), ak_buf_view(&o->message));
    else ak_gate_pass(h);
}

/* A ClientHello waits for nothing: its record says another version than those after it. */
static bool coalesces(const ak_hs *h) {
    if (h->info->version == 0) return false;
    if (h->after_handshake) return true; /* RFC 8446 §4.6.2: nothing may come between them: they are sealed together */
    return h->ctx->coalesce_set ? h->ctx->coalesce : ak_hs_is_13(h);
}

void ak_outgoing_step(ak_hs *h) {
    ak_outgoing *o = &h->out_msg;
    bool ok = true;
    switch (o->stage) {
    case AK_OUT_idle:
    case AK_OUT_compose: compose(h, o); return;
    case AK_OUT_composed:
        ok = ak_gate_answer_message(h, &o->message, &o->taken, &o->dropped) && ak_gate_take_injections(h, &o->after);
        o->stage = AK_OUT_seal;
        break;
    case AK_OUT_seal:
        o->stage = AK_OUT_sealed;
        if (!o->dropped && o->row->seal != NULL) {
            if (!ak_row_result(h, o->row->seal(h, &o->message, 4))) return;
            if (o->message.n >= 4 && o->message.p[0] == wire_message(o->row)) { /* sealing may have changed the length */
                size_t n = o->message.n - 4;
                o->message.p[1] = (uint8_t)(n >> 16);
                o->message.p[2] = (uint8_t)(n >> 8);
                o->message.p[3] = (uint8_t)n;
            }
        }
        if (!o->dropped && ak_gate_wanted(h, AK_GATE_send)) ak_gate_open(h, AK_GATE_send, wire_content(o->row), wire_message(o->row), ak_buf_view(&o->message));
        else ak_gate_pass(h);
        break;
    case AK_OUT_sealed:
        if (h->answer.verdict == AK_PASS && h->answer.transcript == AK_TRANSCRIPT_as_sent && h->answer.n_inject == 0) {
            o->stage = AK_OUT_put; /* the usual way, and a verdict of the compose gate stays in force */
            break;
        }
        ok = ak_gate_answer_message(h, &o->message, &o->taken, &o->dropped) && ak_gate_take_injections(h, &o->after);
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
        if (ok && !is_ccs(o->row)) ok = ak_gate_transcript(h, &o->taken, &o->message, o->dropped);
        o->stage = AK_OUT_after;
        if (ok && (!coalesces(h) || o->after != NULL) && f->bytes.n > 0) h->actions |= AK_ACT_flush;
        break;
    }
    case AK_OUT_after: {
        const ak_row *row = o->row, *rows = h->rows;
        if (o->after != NULL) {
            ok = ak_gate_put_after(h, &o->after);
            break;
        }
        if (row->after != NULL && !ak_row_result(h, row->after(h))) return;
        o->stage = AK_OUT_idle;
        o->row = NULL;
        if (h->rows == rows && !row->repeats) ak_row_advance(h, row);
        break;
    }
    }
    if (!ok && !h->failed) ak_hs_no_memory(h);
}

void ak_outgoing_start(ak_hs *h, const ak_row *row) {
    h->out_msg.row = row;
    h->out_msg.stage = AK_OUT_compose;
    h->phase = 0;
}
