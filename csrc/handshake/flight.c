/* flight.c: the flight: messages become records. */
#include "handshake/loop.h"
#include "handshake/record_padding.h"

static void end_flush(ak_hs *h) {
    ak_flight *f = &h->flight;
    ak_buf_clear(&f->bytes);
    f->done = 0;
    f->stage = AK_FLUSH_idle;
    if (!ak_gate_put_after(h, &f->after)) ak_hs_no_memory(h);
}

/* Without gates a flight is sealed in one call. */
static void flush_all(ak_hs *h) {
    ak_flight *f = &h->flight;
    size_t n = 0, max = ak_hs_max_fragment(h), room = ak_seal_padded_size(h->ctx, h->write, f->content_type, f->bytes.n, max);
    ak_failure fail;
    ak_failure_init(&fail);
    if (!ak_buf_reserve(&h->output, room)) {
        ak_hs_no_memory(h);
        return;
    }
    ak_error e = ak_seal_padded(h->ctx, h->write, f->content_type, h->record_version, f->bytes.p, f->bytes.n, max, h->output.p + h->output.n, &n, &fail);
    if (e != AK_OK) ak_hs_fail_with(h, e, &fail);
    h->output.n += n;
    end_flush(h);
}

void ak_flight_step(ak_hs *h) {
    ak_flight *f = &h->flight;
    bool ok = true;
    switch (f->stage) {
    case AK_FLUSH_idle:
    case AK_FLUSH_next: {
        if (!ak_gate_wanted(h, AK_GATE_plain_out | AK_GATE_record_out) && f->done == 0) {
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
        if (ok && ak_gate_wanted(h, AK_GATE_plain_out)) ak_gate_open(h, AK_GATE_plain_out, f->content_type, -1, ak_buf_view(&f->fragment));
        else ak_gate_pass(h);
        break;
    }
    case AK_FLUSH_plain: {
        ak_failure fail;
        size_t n = 0;
        ak_failure_init(&fail);
        if (ak_gate_refused(h)) return;
        f->stage = AK_FLUSH_next;
        ok = ak_gate_take_injections(h, &f->after);
        if (ok && h->answer.verdict == AK_REPLACE) {
            ak_buf_clear(&f->fragment);
            ok = ak_buf_put_view(&f->fragment, h->answer.bytes);
        }
        if (!ok || h->answer.verdict == AK_DROP) break;
        ak_buf_clear(&f->record);
        size_t len = f->fragment.n, max = ak_hs_max_fragment(h);
        size_t pad = h->answer.padding != 0 ? ak_pad_given(h->write, h->answer.padding, len, max) : ak_pad(h->ctx, h->write, f->content_type, len, max);
        size_t room = ak_seal_size(h->write, len, pad);
        ok = ak_buf_reserve(&f->record, room);
        if (!ok) break;
        ak_error e = ak_seal(h->write, f->content_type, h->record_version, f->fragment.p, len, pad, f->record.p, &n, &fail);
        if (e != AK_OK) {
            ak_hs_fail_with(h, e, &fail);
            return;
        }
        f->record.n = n;
        f->stage = AK_FLUSH_record;
        if (ak_gate_wanted(h, AK_GATE_record_out)) ak_gate_open(h, AK_GATE_record_out, f->content_type, -1, ak_buf_view(&f->record));
        else ak_gate_pass(h);
        break;
    }
    case AK_FLUSH_record:
        if (ak_gate_refused(h)) return;
        f->stage = AK_FLUSH_next;
        for (size_t i = 0; ok && i < h->answer.n_inject; i++)
            if (!h->answer.inject[i].after) ok = ak_buf_put_view(&h->output, h->answer.inject[i].bytes);
        if (ok && h->answer.verdict != AK_DROP)
            ok = ak_buf_put_view(&h->output, h->answer.verdict == AK_REPLACE ? h->answer.bytes : ak_buf_view(&f->record));
        for (size_t i = 0; ok && i < h->answer.n_inject; i++)
            if (h->answer.inject[i].after) ok = ak_buf_put_view(&h->output, h->answer.inject[i].bytes);
        break;
    }
    if (!ok) ak_hs_no_memory(h);
    if (f->stage == AK_FLUSH_next && h->event.kind == AK_EV_none) ak_gate_pass(h);
}
