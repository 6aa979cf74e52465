/* gates.c: what a gate asks and what its answer does: injections, replacement, and what the transcript takes. */
#include "handshake/loop.h"

#include <stdlib.h>

/* pass: the answer when nobody asked. */
void ak_gate_pass(ak_hs *h) {
    h->answer.verdict = AK_PASS;
    h->answer.transcript = AK_TRANSCRIPT_as_sent;
    h->answer.n_inject = 0;
    h->answer.accept = false;
    h->answer.padding = 0;
}

void ak_gate_open(ak_hs *h, uint32_t which, uint8_t content_type, int message, ak_view bytes) {
    h->event.kind = AK_EV_gate;
    h->event.gate = which;
    h->event.incoming = which >= AK_GATE_record_in;
    h->event.content_type = content_type;
    h->event.message = message;
    h->event.bytes = bytes;
    h->event.state = ak_hs_state(h);
}

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

bool ak_hs_put(ak_hs *h, bool raw, uint8_t content_type, ak_view bytes) {
    ak_hs_flush_quietly(h);
    if (put_bytes(h, raw, content_type, bytes)) return true;
    ak_hs_no_memory(h);
    return false;
}

bool ak_gate_put_after(ak_hs *h, ak_item **list) {
    bool ok = true;
    for (const ak_item *i = *list; ok && i != NULL; i = i->next) ok = put_bytes(h, i->raw, i->content_type, ak_buf_view(&i->bytes));
    free_items(list);
    return ok;
}

/* take_injections: what goes before is put now, what goes after is kept in *after. */
bool ak_gate_take_injections(ak_hs *h, ak_item **after) {
    bool ok = true;
    for (size_t i = 0; ok && i < h->answer.n_inject; i++) {
        const ak_inject *in = &h->answer.inject[i];
        if (in->after) ok = add_item(after, in);
        else {
            ak_hs_flush_quietly(h);
            ok = put_bytes(h, in->raw, in->content_type, in->bytes);
        }
    }
    return ok;
}

ak_error ak_hs_refused(ak_hs *h) {
    ak_error e = h->answer.error != AK_OK ? h->answer.error : AK_ERR_hook_refused;
    ak_hs_fail_now(h, e, h->answer.alert, false, h->answer.text != NULL ? h->answer.text : "");
    return e;
}

/* refused: the script ends the handshake here. */
bool ak_gate_refused(ak_hs *h) {
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
bool ak_gate_answer_message(ak_hs *h, ak_buf *message, ak_taken *taken, bool *dropped) {
    if (ak_gate_refused(h)) return false;
    if (!note_transcript(h, taken, ak_buf_view(message))) return false;
    if (h->answer.verdict == AK_DROP) *dropped = true;
    if (h->answer.verdict == AK_REPLACE) {
        ak_buf_clear(message);
        return ak_buf_put_view(message, h->answer.bytes);
    }
    return true;
}

bool ak_gate_transcript(ak_hs *h, const ak_taken *t, const ak_buf *message, bool dropped) {
    switch (t->mode) {
    case AK_TRANSCRIPT_none: return true;
    case AK_TRANSCRIPT_as_built:
    case AK_TRANSCRIPT_given: return ak_transcript_add(&h->transcript, ak_buf_view(&t->bytes));
    case AK_TRANSCRIPT_as_sent:
    default: return dropped || ak_transcript_add(&h->transcript, ak_buf_view(message));
    }
}
