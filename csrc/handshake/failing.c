/* failing.c: one way to fail: the failure is written down once, its alert goes out behind what was already built. */
#include "handshake/loop.h"
#include "handshake/record_padding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ak_hs_seal_alert(ak_hs *h, uint8_t level, uint8_t description) {
    uint8_t alert[2] = {level, description};
    size_t max = ak_hs_max_fragment(h), pad = h->alerts_padded ? ak_pad_given(h->write, h->alert_padding, sizeof alert, max) : ak_pad(h->ctx, h->write, AK_CT_alert, sizeof alert, max);
    size_t n = 0, room = ak_seal_size(h->write, sizeof alert, pad);
    ak_failure ignored = {0};
    if (!ak_buf_reserve(&h->output, room)) return;
    if (ak_seal(h->write, AK_CT_alert, h->record_version, alert, sizeof alert, pad, h->output.p + h->output.n, &n, &ignored) == AK_OK)
        h->output.n += n;
}

/* Whatever of the flight was already built goes out before the alert: the peer sees the messages in their order. */
void ak_hs_flush_quietly(ak_hs *h) {
    ak_flight *f = &h->flight;
    size_t left = f->bytes.n - f->done, n = 0;
    if (left == 0 || f->stage != AK_FLUSH_idle) return;
    size_t room = ak_seal_padded_size(h->ctx, h->write, f->content_type, left, ak_hs_max_fragment(h));
    ak_failure ignored = {0};
    if (ak_buf_reserve(&h->output, room) &&
        ak_seal_padded(h->ctx, h->write, f->content_type, h->record_version, f->bytes.p + f->done, left, ak_hs_max_fragment(h), h->output.p + h->output.n, &n,
                       &ignored) == AK_OK)
        h->output.n += n;
    ak_buf_clear(&f->bytes);
    f->done = 0;
}

void ak_hs_fail_now(ak_hs *h, ak_error e, int alert, bool from_peer, const char *detail) {
    if (h->failed) return;
    const char *state = ak_hs_state(h);
    h->failed = true;
    h->failure.error = e;
    h->failure.alert = alert;
    h->failure.from_peer = from_peer;
    h->failure.state = state;
    const char *why = e == AK_ERR_randomness ? ak_random_why(h->p) : "";
    bool more = *why != '\0' && strstr(detail, why) == NULL; /* what a room below has said may have it */
    snprintf(h->failure.detail, sizeof h->failure.detail, "%s%s%s", detail, more ? ": " : "", more ? why : "");
    h->event.kind = AK_EV_none;
    if (alert != AK_ALERT_none && !from_peer) {
        ak_hs_flush_quietly(h);
        ak_hs_seal_alert(h, alert == AK_ALERT_close_notify || alert == AK_ALERT_user_canceled ? 1 : 2, (uint8_t)alert);
        if (alert == AK_ALERT_user_canceled) ak_hs_seal_alert(h, 1, AK_ALERT_close_notify); /* by itself it is a warning that ends nothing (RFC 8446 §6.1) */
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
    ak_hs_fail_now(h, e, alert, false, detail);
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
    ak_hs_fail_now(h, e, ak_error_alert(e), false, detail);
    return e;
}

/* A room below has already filled in its failure: the handshake's is made from it. */
void ak_hs_fail_with(ak_hs *h, ak_error e, const ak_failure *f) {
    bool told = f->error != AK_OK;
    ak_hs_fail_now(h, e, told ? f->alert : ak_error_alert(e), false, told ? f->detail : "");
}

ak_error ak_hs_ask(ak_hs *h, ak_event_kind kind) {
    h->event.kind = kind;
    h->event.state = ak_hs_state(h);
    return AK_AGAIN;
}

ak_error ak_hs_no_memory(ak_hs *h) { return ak_hs_fail(h, AK_ERR_out_of_memory, NULL); }
