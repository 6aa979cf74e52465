/* send_ahead.c: application data that does not wait for the peer's Finished: a TLS 1.3 server's (RFC 8446 §4.4.4) and, where the context asks for it, that of a
 * TLS 1.2 client (False Start, RFC 7918). */
#include "handshake/messages13.h"
#include "handshake/record_padding.h"
#include "record/record.h"

bool ak_hs_settled(const ak_hs *h) {
    return h->started && !h->done && !h->failed && h->actions == 0 && h->out_msg.stage == AK_OUT_idle && h->flight.stage == AK_FLUSH_idle &&
           h->flight.bytes.n == h->flight.done;
}

void ak_hs_pad_data(ak_hs *h, const uint16_t *padding, size_t n) {
    h->data_padding = padding;
    h->data_padding_n = n;
}

size_t ak_hs_data_room(const ak_hs *h) { return h->write != NULL && ak_protect_active(h->write) && ak_protect_is_13(h->write) ? ak_hs_max_fragment(h) : 0; }

/* seal_as_told: a record for each of the paddings. */
static ak_error seal_as_told(ak_hs *h, ak_view data, size_t max, ak_failure *f) {
    ak_failure why = {0};
    size_t at = 0, n = 0;
    for (size_t i = 0; at < data.n; i++) {
        size_t part = data.n - at < max ? data.n - at : max;
        size_t pad = ak_pad_given(h->write, i < h->data_padding_n ? h->data_padding[i] : 0, part, max);
        if (!ak_buf_reserve(&h->output, ak_seal_size(h->write, part, pad))) return ak_fail(f, AK_ERR_out_of_memory, NULL);
        ak_error e = ak_seal(h->write, AK_CT_application_data, h->record_version, data.p + at, part, pad, h->output.p + h->output.n, &n, &why);
        if (e != AK_OK) return ak_fail(f, e, "%s", why.detail);
        h->output.n += n;
        at += part;
    }
    return AK_OK;
}

ak_error ak_hs_seal_data(ak_hs *h, ak_view data, ak_failure *f) {
    ak_failure why = {0};
    size_t n = 0, max = ak_hs_max_fragment(h);
    if (data.n == 0) return AK_OK;
    if (h->data_padding_n != 0) return seal_as_told(h, data, max, f);
    if (!ak_buf_reserve(&h->output, ak_seal_padded_size(h->ctx, h->write, AK_CT_application_data, data.n, max))) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    ak_error e = ak_seal_padded(h->ctx, h->write, AK_CT_application_data, h->record_version, data.p, data.n, max, h->output.p + h->output.n, &n, &why);
    if (e != AK_OK) return ak_fail(f, e, "%s", why.detail);
    h->output.n += n;
    return AK_OK;
}

/* RFC 7918 §5: what an attacker who has tampered with the hellos could choose must be good enough even so: TLS 1.2 and no older version (§5.2), an AEAD with keys of 128 bits
 * at least (§5.1), (EC)DHE signed with a certificate (§5.3). A client certificate may be of any type that there is here: all of them sign (§5.3). A full handshake
 * alone has a client that finishes first; in a renegotiation nothing is to be won. */
static bool false_start(const ak_hs *h) {
    const ak_info *i = h->info;
    if (!h->ctx->false_start || i->version != AK_TLS12 || i->resumed || h->renegotiation != NULL) return false;
    const ak_cipher_info *c = ak_cipher(i->suite->cipher);
    return c->kind == AK_KIND_aead && c->key >= 16 && ak_suite_signs_params(i->suite) && i->client_finished_n != 0 && i->server_finished_n == 0;
}

bool ak_hs_may_send(const ak_hs *h) {
    bool between = h->server ? ak_hs_is_13(h) && h->info->server_finished_n != 0 : false_start(h);
    return between && h->write != NULL && ak_protect_active(h->write) && ak_hs_settled(h); /* NULL: the session has it */
}

ak_error ak_hs_send(ak_hs *h, ak_view data, ak_failure *f) {
    if (ak_hs_may_send(h)) return ak_hs_seal_data(h, data, f);
    return ak_fail(f, AK_ERR_not_ready, h->server ? "a TLS 1.3 server sends data between its Finished and the client's"
                                                  : "a client with false_start sends data between its Finished and the server's, in a full handshake of TLS 1.2 with (EC)DHE and an AEAD");
}
