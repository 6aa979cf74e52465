/* hello_retry.c: HelloRetryRequest and the second ClientHello (RFC 8446 §4.1.2, §4.1.4). */
#include "handshake/hello.h"

#include "handshake/extensions.h"
#include "handshake/messages13.h"

#include <string.h>

static ak_error no_memory(ak_hs *h) { return ak_hs_fail(h, AK_ERR_out_of_memory, NULL); }

/* ---- server ---------------------------------------------------------------------------------------------------------------- */

ak_error ak_compose_hello_retry_request(ak_hs *h, ak_buf *b) {
    ak_buf_u16(b, AK_TLS12);
    ak_buf_put(b, ak_hrr_random, sizeof ak_hrr_random);
    ak_buf_vec(b, ak_view_of(h->offered_session_id, h->offered_session_id_n), 1);
    ak_buf_u16(b, h->info->suite->id);
    ak_buf_u8(b, 0);
    return ak_ext_answer_all(h, AK_IN_hello_retry_request, false, b);
}

/* may_change: the extensions that need not be the same in both ClientHellos (RFC 8446 §4.1.2, RFC 9849 §6.1.5). */
static bool may_change(uint16_t type) {
    static const uint16_t types[] = {AK_EXT_key_share, AK_EXT_early_data, AK_EXT_cookie, AK_EXT_pre_shared_key, AK_EXT_padding, AK_EXT_encrypted_client_hello};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i] == type) return true;
    return false;
}

bool ak_hello_unchanging(const ak_hs *h, uint8_t out[32]) {
    const struct ak_client_hello *c = &h->client_hello;
    ak_running hash;
    uint8_t value[AK_HASH_MAX];
    ak_rd r;
    uint16_t type;
    ak_view body;
    if (!ak_running_init(&hash, h->p, AK_HASH_sha256)) return false;
    /* all before the extensions stands together: version, random, session id, suites, compression methods, each with its length */
    size_t head = c->has_extensions ? (size_t)(c->extensions.p - c->raw.p) - 2 : c->raw.n;
    ak_running_add(&hash, ak_view_of(c->raw.p, head));
    for (ak_rd_view(&r, c->extensions); ak_ext_next(&r, &type, &body);)
        if (!may_change(type)) ak_running_add(&hash, ak_view_of(body.p - 4, body.n + 4));
    ak_running_value(&hash, value);
    memcpy(out, value, 32);
    return true;
}

/* ---- client ---------------------------------------------------------------------------------------------------------------------- */

/* RFC 8446 §4.2.10: a HelloRetryRequest refuses early data; what is sent next is in the clear again. */
static ak_error back_to_plain(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    if (f->early != AK_EARLY_offered) return AK_OK;
    f->early = AK_EARLY_refused;
    h->info->early_data = AK_EARLY_DATA_refused;
    ak_secret_wipe(&h->secrets.client_early_traffic);
    ak_protect *plain = ak_protect_new(h->p);
    if (plain == NULL) return no_memory(h);
    ak_protect_free(h->write);
    h->write = plain;
    return AK_OK;
}

ak_error ak_receive_hello_retry_request(ak_hs *h, ak_view body) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_server_hello s;
    ak_failure why = {0};
    ak_error e = ak_decode_server_hello(body, &s, &why);
    if (e != AK_OK) return ak_hs_fail(h, e, "%s", why.detail);
    e = ak_client_choose_version(h, &s);
    if (e != AK_OK) return e;
    if (!ak_hs_is_13(h)) return ak_hs_fail(h, AK_ERR_missing_extension, "a HelloRetryRequest without supported_versions (RFC 8446 §4.1.4)");
    e = ak_check_hello13(h, &s);
    if (e == AK_OK) e = ak_ext_read_answers(h, AK_IN_hello_retry_request, s.extensions);
    if (e != AK_OK) return e;
    if (f->retry_group == NULL && f->cookie.n == 0) return ak_hs_fail(h, AK_ERR_hello_retry_unchanged, "neither key_share nor cookie");
    f->retry_suite = h->info->suite;
    if (f->retry_group != NULL) ak_hs_drop_shares(h);
    e = back_to_plain(h);
    if (e == AK_OK && !ak_transcript_message_hash(&h->transcript, h->p, h->info->suite->prf)) e = ak_hs_fail(h, AK_ERR_crypto_failed, "the transcript hash");
    return e;
}

/* Both sides. */
ak_error ak_after_hello_retry_request(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    h->info->hello_retry = true;
    f->retry_due = false;
    h->record_version = AK_TLS12; /* RFC 8446 §5.1: only a first ClientHello's record may say 3.1 */
    if (h->ctx->middlebox_compat && (h->offered_session_id_n != 0 || (h->server && h->ctx->always_ccs)) && !f->ccs_sent) {
        h->actions |= AK_ACT_dummy_ccs;
        f->ccs_sent = true;
    }
    return AK_OK;
}

/* put_extension: what becomes of one extension of the first ClientHello in the second. */
static bool put_extension(ak_hs *h, ak_buf *b, uint16_t type, ak_view body) {
    const ak_flow13 *f = ak_flow13_of(h);
    if (type == AK_EXT_early_data || type == AK_EXT_cookie) return true;
    if (type == AK_EXT_key_share && f->retry_group != NULL) {
        size_t mark = ak_ext_open(b, type), list = ak_buf_open(b, 2);
        return ak_make_share(h, f->retry_group, b) && ak_buf_close(b, list, 2) && ak_ext_close(b, mark);
    }
    if (type != AK_EXT_pre_shared_key) return ak_ext_put(b, type, body);
    ak_psk_offer_all(h); /* those that go with the server's hash */
    if (f->n_offers == 0) return true;
    size_t mark = ak_ext_open(b, type);
    return ak_offer_pre_shared_key(h, b) && ak_ext_close(b, mark);
}

static bool put_cookie(ak_hs *h, ak_buf *b) {
    const ak_flow13 *f = ak_flow13_of(h);
    if (f->cookie.n == 0) return true;
    size_t mark = ak_ext_open(b, AK_EXT_cookie);
    return ak_buf_vec(b, ak_buf_view(&f->cookie), 2) && ak_ext_close(b, mark);
}

/* The second ClientHello is the first as it was really sent, with the changes of RFC 8446 §4.1.2. */
ak_error ak_compose_second_client_hello(ak_hs *h, ak_buf *b) {
    const struct ak_client_hello *c = &h->client_hello;
    ak_rd r;
    uint16_t type;
    ak_view body;
    bool cookie = false, ok = true;
    ak_buf_put(b, c->raw.p, (size_t)(c->extensions.p - c->raw.p) - 2);
    size_t block = ak_buf_open(b, 2);
    for (ak_rd_view(&r, c->extensions); ok && ak_ext_next(&r, &type, &body);) {
        if (type == AK_EXT_pre_shared_key && !cookie) cookie = ok = put_cookie(h, b);
        ok = ok && put_extension(h, b, type, body);
    }
    if (ok && !cookie) ok = put_cookie(h, b);
    if (h->failed) return h->failure.error;
    return ok && ak_buf_close(b, block, 2) ? AK_OK : no_memory(h);
}
