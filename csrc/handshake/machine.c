/* machine.c: the loop: rows are walked, actions performed, and each step given to the one choke point of its direction. */
#include "handshake/loop.h"

#include "handshake/keys.h"

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

static ak_when when(const ak_hs *h, const ak_row *r) { return r->when == NULL ? AK_YES : r->when(h); }

/* current: the first row that is not ruled out; the last one (name NULL) at the end of the table. A row of ours that may be left out
 * is decided by its own `when`. */
const ak_row *ak_row_current(const ak_hs *h) {
    const ak_row *r = &h->rows[h->at];
    while (r->name != NULL && when(h, r) == AK_NO) r++;
    return r;
}

/* match: the row that an incoming message belongs to, NULL when it is not allowed now. */
const ak_row *ak_row_match(const ak_hs *h, int message) {
    for (const ak_row *r = ak_row_current(h); r->name != NULL; r++) {
        ak_when w = when(h, r);
        if (w == AK_NO) continue;
        if (r->server == h->server) break;
        if (r->message == message) return r;
        if (w == AK_YES) break;
    }
    return NULL;
}

void ak_row_advance(ak_hs *h, const ak_row *done) {
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
    const ak_row *r = h->out_msg.stage != AK_OUT_idle ? h->out_msg.row : ak_row_current(h);
    if (h->in_msg.stage != AK_INS_idle && h->in_msg.row != NULL) r = h->in_msg.row;
    /* while nothing is there a state is named after what must come, not after what may come before it */
    else while (r != NULL && r->name != NULL && (when(h, r) == AK_NO || (r->server != h->server && when(h, r) == AK_MAYBE))) r++;
    if (r == NULL || r->name == NULL) return "finishing";
    return r->server == h->server ? r->sending : r->waiting;
}

/* row_result: what a row's function returned: true to go on; false when it asked, or failed. */
bool ak_row_result(ak_hs *h, ak_error e) {
    if (e == AK_AGAIN) return false;
    h->phase = 0;
    if (e != AK_OK && !h->failed) ak_hs_fail_now(h, e, ak_error_alert(e), false, "");
    return e == AK_OK && !h->failed;
}

/* ---- actions ------------------------------------------------------------------------------------------------------------- */

static bool rekey(ak_hs *h, bool write) {
    ak_failure f = {0};
    ak_error e = ak_keys_install(h, write, &f);
    if (e != AK_OK) ak_hs_fail_with(h, e, &f);
    return e == AK_OK;
}

static void perform_actions(ak_hs *h) {
    unsigned a = h->actions;
    if ((a & (AK_ACT_rekey_write | AK_ACT_flush | AK_ACT_dummy_ccs | AK_ACT_no_certificate)) != 0 && h->flight.bytes.n > h->flight.done) {
        h->flight.stage = AK_FLUSH_next;
        return;
    }
    h->actions = 0;
    if ((a & AK_ACT_no_certificate) != 0) ak_hs_seal_alert(h, 1, AK_ALERT_no_certificate);
    if ((a & AK_ACT_dummy_ccs) != 0) {
        static const uint8_t dummy[] = {AK_CT_change_cipher_spec, 3, 3, 0, 1, 1};
        if (!ak_buf_put(&h->output, dummy, sizeof dummy)) ak_hs_no_memory(h);
    }
    if ((a & AK_ACT_rekey_write) != 0 && !rekey(h, true)) return; /* first: an alert about what follows is protected, too */
    if ((a & AK_ACT_rekey_read) != 0) {
        if (h->assembly.n > h->assembly_at) {
            ak_hs_fail(h, AK_ERR_excess_handshake_data, "%zu bytes follow the last message under the old keys", h->assembly.n - h->assembly_at);
            return;
        }
        h->read_protected = true;
        if (!rekey(h, false)) return;
    }
    if ((a & AK_ACT_early_data) != 0 && h->early_data.n != 0) {
        h->flight.content_type = AK_CT_application_data;
        if (!ak_buf_put_view(&h->flight.bytes, ak_buf_view(&h->early_data))) ak_hs_no_memory(h);
        ak_buf_free(&h->early_data);
        h->flight.stage = AK_FLUSH_next;
    }
}

/* ---- the loop ------------------------------------------------------------------------------------------------------------- */

static void finish(ak_hs *h) {
    h->done = true;
    ak_transcript_free(&h->transcript);
    ak_hs_finished(h);
}

static ak_status rest(ak_hs *h, ak_status s) {
    if (h->failed) ak_deframer_free(&h->deframer);
    else if (!ak_deframer_keep(&h->deframer)) {
        ak_hs_no_memory(h);
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
            ak_flight_step(h);
        } else if (h->actions != 0) {
            perform_actions(h);
        } else if (h->out_msg.stage != AK_OUT_idle) {
            ak_outgoing_step(h);
        } else if (h->in_msg.stage != AK_INS_idle) {
            ak_incoming_step(h);
        } else {
            const ak_row *row = ak_row_current(h);
            if (row->name != NULL && row->server == h->server && h->assembly.n > h->assembly_at && h->renegotiation == NULL) {
                /* what it would be an answer to has not been sent yet */
                ak_hs_fail(h, AK_ERR_excess_handshake_data, "%zu bytes before our turn", h->assembly.n - h->assembly_at);
            } else if (row->name != NULL && row->server == h->server) {
                ak_outgoing_start(h, row);
            } else if (h->flight.bytes.n > h->flight.done) {
                h->flight.stage = AK_FLUSH_next;
            } else if (row->name == NULL) {
                finish(h);
            } else if (!ak_incoming_step(h)) {
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
        ak_hs_no_memory(h);
        return false;
    }
    ak_buf_put_view(&h->answer_bytes, a->bytes);
    ak_buf_put_view(&h->answer_bytes, a->transcript_bytes);
    h->answer.bytes = ak_view_of(h->answer_bytes.p, a->bytes.n);
    h->answer.transcript_bytes = ak_view_of(h->answer_bytes.p + a->bytes.n, a->transcript_bytes.n);
    return true;
}
