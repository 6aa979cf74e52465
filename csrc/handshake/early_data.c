/* early_data.c: 0-RTT (RFC 8446 §2.3, §4.2.10, §4.5, §8): what a client sends with its first flight, and whether a server takes it. */
#include "handshake/hello.h"

#include "handshake/extensions.h"
#include "handshake/keys.h"
#include "handshake/messages13.h"
#include "handshake/replay.h"
#include "handshake/tickets.h"

#include <string.h>

/* ---- client ------------------------------------------------------------------------------------------------------------------- */

static bool alpn_offered(const ak_hs *h, const ak_resumption *r) {
    return r->alpn.n == 0 || ak_list_vec_has(ak_buf_view(&h->ctx->alpn), 1, ak_buf_view(&r->alpn));
}

static const ak_resumption *early_session(const ak_hs *h) {
    const ak_resumption *r = h->offered;
    return r != NULL && r->version >= AK_TLS13 && r->max_early_data != 0 && h->ctx->max_version >= AK_TLS13 ? r : NULL;
}

/* send_late: after the ClientHello, as long as EndOfEarlyData has not been sent, and the server has not refused it. */
static ak_error send_late(ak_hs *h, ak_view data, ak_failure *f) {
    ak_flow13 *flow = ak_flow13_of(h);
    bool open = (flow->early == AK_EARLY_offered || flow->early == AK_EARLY_accepted) && h->info->early_data != AK_EARLY_DATA_none;
    if (!open || !ak_hs_settled(h)) return ak_fail(f, AK_ERR_not_ready, "the ClientHello has gone out, and no early data may follow it");
    if (flow->early_seen + data.n > h->offered->max_early_data) return ak_fail(f, AK_ERR_too_much_early_data, "the session allows %u bytes", (unsigned)h->offered->max_early_data);
    ak_error e = ak_hs_seal_data(h, data, f);
    if (e == AK_OK) flow->early_seen += data.n;
    return e;
}

ak_error ak_hs_send_early(ak_hs *h, ak_view data, ak_failure *f) {
    const ak_resumption *r = early_session(h);
    if (h->server || h->flow13 == NULL || h->done || h->failed) return ak_fail(f, AK_ERR_not_ready, "early data is a client's, before its handshake");
    if (h->client_hello_bytes.n != 0) return send_late(h, data, f);
    if (r == NULL) return ak_fail(f, AK_ERR_not_ready, "no session that allows early data");
    if (h->out_msg.stage == AK_OUT_idle && !(ak_client_may_offer(h, r) && alpn_offered(h, r)))
        return ak_fail(f, AK_ERR_not_ready, "this handshake will not offer the session, or not its application protocol");
    if (h->out_msg.stage != AK_OUT_idle && ak_flow13_of(h)->early != AK_EARLY_offered)
        return ak_fail(f, AK_ERR_not_ready, "the ClientHello is drafted, and does not offer early data");
    if (h->early_data.n + data.n > r->max_early_data) return ak_fail(f, AK_ERR_too_much_early_data, "the session allows %u bytes", (unsigned)r->max_early_data);
    h->send_early = true;
    ak_flow13_of(h)->early_seen += data.n;
    return ak_buf_put_view(&h->early_data, data) ? AK_OK : ak_fail(f, AK_ERR_out_of_memory, NULL);
}

bool ak_offer_early_data(ak_hs *h, ak_buf *b) {
    ak_flow13 *f = ak_flow13_of(h);
    const ak_resumption *r = early_session(h);
    (void)b;
    if (!h->send_early || r == NULL || f->n_offers == 0 || f->offers[0].external || !alpn_offered(h, r)) return false;
    f->early = AK_EARLY_offered;
    return true;
}

/* start: the ClientHello has gone out: was early data offered in it, as it was really sent? Then its keys are next, and the data. */
static ak_error start(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    uint8_t hash[AK_HASH_MAX];
    ak_view none = {NULL, 0};
    if (f->early != AK_EARLY_offered) return AK_OK;
    if (!ak_ext_client_sent(h, AK_EXT_early_data, NULL) || !ak_ext_client_sent(h, AK_EXT_pre_shared_key, NULL)) {
        f->early = AK_EARLY_off;
        return AK_OK;
    }
    const ak_suite *s = ak_suite_find(h->offered->suite);
    ak_error e = ak_keys13_early(h, s->prf, f->offers[0].secret);
    if (e == AK_OK && !ak_digest(h->p, s->prf, ak_buf_view(&h->transcript.raw), none, none, hash)) e = ak_hs_fail(h, AK_ERR_crypto_failed, "the hash of ClientHello");
    if (e == AK_OK) e = ak_keys13_early_traffic(h, s, ak_view_of(hash, ak_hash_size(s->prf)));
    if (e != AK_OK) return e;
    h->info->version = AK_TLS13; /* §4.2.10: for now all is as in the session; the ServerHello decides */
    h->info->suite = s;
    h->info->early_data = AK_EARLY_DATA_offered;
    ak_keys13_use(h, true, &h->secrets.client_early_traffic);
    h->actions |= AK_ACT_early_data;
    if (h->ctx->middlebox_compat && h->offered_session_id_n != 0) { /* §D.4: after the first ClientHello then */
        h->actions |= AK_ACT_dummy_ccs;
        f->ccs_sent = true;
    }
    return AK_OK;
}

/* Both sides. */
ak_error ak_after_client_hello13(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    if (!h->server) {
        if (ak_offers_13(h)) h->record_version = AK_TLS12; /* §5.1: all records but the first ClientHello's */
        return h->info->hello_retry ? AK_OK : start(h);
    }
    if (!f->retry_due) return AK_OK;
    /* §4.4.1: before a HelloRetryRequest the first ClientHello is replaced by its hash */
    return ak_transcript_message_hash(&h->transcript, h->p, h->info->suite->prf) ? AK_OK : ak_hs_fail(h, AK_ERR_crypto_failed, "the transcript hash");
}

ak_error ak_answered_early_data(ak_hs *h, ak_message_kind where, ak_view body) {
    ak_flow13 *f = ak_flow13_of(h);
    (void)where;
    if (body.n != 0) return ak_hs_fail(h, AK_ERR_decode_error, "early_data in EncryptedExtensions has %zu bytes", body.n);
    if (f->psk && f->psk_at != 0 && f->early == AK_EARLY_refused) /* §4.2.11: the extension was offered; what does not fit is the choice */
        return ak_hs_fail_alert(h, AK_ERR_early_data_unexpected, AK_ALERT_illegal_parameter, "with identity %zu, which is not the first (RFC 8446 §4.2.11)", f->psk_at);
    if (f->early != AK_EARLY_offered) return ak_hs_fail(h, AK_ERR_early_data_unexpected, "(RFC 8446 §4.2.10)");
    f->early = AK_EARLY_accepted;
    h->info->early_data = AK_EARLY_DATA_accepted;
    return AK_OK;
}

/* ---- EndOfEarlyData ---------------------------------------------------------------------------------------------------------------- */

ak_error ak_compose_end_of_early_data(ak_hs *h, ak_buf *b) {
    (void)h;
    (void)b;
    return AK_OK;
}

ak_error ak_receive_end_of_early_data(ak_hs *h, ak_view body) {
    return body.n == 0 ? AK_OK : ak_hs_fail(h, AK_ERR_trailing_data, "EndOfEarlyData has %zu bytes", body.n);
}

ak_error ak_after_end_of_early_data(ak_hs *h) {
    ak_flow13_of(h)->early = AK_EARLY_over;
    ak_keys13_use(h, !h->server, &h->secrets.client_handshake_traffic);
    ak_secret_wipe(&h->secrets.client_early_traffic);
    return AK_OK;
}

/* ---- server ------------------------------------------------------------------------------------------------------------------------- */

ak_error ak_offered_early_data(ak_hs *h, ak_view body) {
    ak_flow13 *f = ak_flow13_of(h);
    if (!ak_hs_is_13(h)) return AK_OK;
    if (body.n != 0) return ak_hs_fail(h, AK_ERR_decode_error, "early_data in a ClientHello has %zu bytes", body.n);
    if (!h->info->hello_retry) f->early = AK_EARLY_offered;
    return AK_OK;
}

bool ak_answer_early_data(ak_hs *h, ak_message_kind where, ak_buf *b) {
    (void)b;
    return where == AK_IN_encrypted_extensions && ak_flow13_of(h)->early == AK_EARLY_accepted;
}

ak_error ak_early_refuse(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    if (f->early != AK_EARLY_offered) return AK_OK;
    f->early = AK_EARLY_refused;
    f->early_skips = true;
    f->early_seen = 0;
    h->info->early_data = AK_EARLY_DATA_refused;
    return AK_OK;
}

static ak_error accept(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    uint8_t hash[AK_HASH_MAX];
    ak_view none = {NULL, 0};
    ak_hash prf = h->info->suite->prf;
    /* the transcript takes the ClientHello only after this */
    if (!ak_digest(h->p, prf, ak_hs_message(h), none, none, hash)) return ak_hs_fail(h, AK_ERR_crypto_failed, "the hash of ClientHello");
    ak_error e = ak_keys13_early_traffic(h, h->info->suite, ak_view_of(hash, ak_hash_size(prf)));
    if (e != AK_OK) return e;
    f->early = AK_EARLY_accepted;
    f->early_limit = h->resumed->max_early_data;
    h->info->early_data = AK_EARLY_DATA_accepted;
    return AK_OK;
}

/* skew: §8.3: the age that the client says the ticket has, less the age it has by our clock, in milliseconds. False: it says nothing. */
static bool skew(const ak_hs *h, int64_t *out) {
    const ak_resumption *r = h->resumed;
    struct ak_ext_pre_shared_key_client x;
    struct ak_psk_identity identity;
    ak_failure ignored = {0};
    ak_view body;
    ak_rd rd;
    if (!ak_ext_client_sent(h, AK_EXT_pre_shared_key, &body) || ak_decode_ext_pre_shared_key_client(body, &x, &ignored) != AK_OK) return false;
    ak_rd_view(&rd, x.identities);
    if (!ak_next_psk_identity(&rd, &identity)) return false;
    int64_t said = (int64_t)(uint32_t)(identity.obfuscated_ticket_age - r->age_add);
    *out = said - (int64_t)(ak_context_now_ms(h->ctx) - r->received_ms);
    return true;
}

static bool fresh(const ak_hs *h) {
    int64_t off, window = 1000 * (int64_t)h->ctx->early_data_window;
    return skew(h, &off) && off <= window && -off <= window;
}

void ak_early_note_age(ak_hs *h) {
    int64_t off;
    if (skew(h, &off) && off / 1000 <= INT32_MAX && off / 1000 >= INT32_MIN) h->info->ticket_age_skew = (int32_t)(off / 1000);
}

/* impossible: why it cannot be taken; NULL: it can, as far as that does not need a memory. */
static const char *impossible(const ak_hs *h) {
    const ak_flow13 *f = ak_flow13_of(h);
    const ak_resumption *r = h->resumed;
    if (h->ctx->max_early_data == 0) return "disabled";
    if (r == NULL || !f->psk || f->psk_at != 0) return "session_not_resumed";
    if (h->info->hello_retry) return "hello_retry_request";
    if (r->max_early_data == 0) return "unsupported_for_session";
    if (r->suite != h->info->suite->id) return "suite_mismatch";
    if (!ak_view_eq(ak_buf_view(&r->alpn), ak_buf_view(&h->info->alpn))) return "alpn_mismatch";
    return fresh(h) ? NULL : "ticket_age_skew";
}

/* first_time: §8.2, by our own memory. Tickets under keys that others have, too, may have been used elsewhere or before this memory began; within the window after
 * its beginning they are refused. */
static bool first_time(ak_hs *h, const uint8_t id[32]) {
    ak_context *c = h->ctx;
    int64_t now = ak_context_now(c), now_ms = (int64_t)ak_context_now_ms(c), window = (int64_t)c->early_data_window;
    if (c->replay == NULL) c->replay = ak_replay_new(now_ms);
    if (c->replay == NULL) return false;
    bool shared = c->ticket_keys != NULL && ak_ticket_keys_shared(c->ticket_keys);
    int64_t since = ak_replay_since(c->replay);
    if (shared && now_ms - since <= 1000 * window && (int64_t)h->resumed->received_ms < since) return false;
    return ak_replay_first(c->replay, id, now, now + 2 * window + 1);
}

static ak_error replayed(ak_hs *h) {
    h->info->early_reason = "replayed";
    return ak_early_refuse(h);
}

ak_error ak_early_decide(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    ak_view none = {NULL, 0};
    if (f->early != AK_EARLY_offered) return AK_OK;
    h->info->early_reason = impossible(h);
    if (h->info->early_reason != NULL) return ak_early_refuse(h);
    if (!ak_digest(h->p, AK_HASH_sha256, ak_hs_message(h), none, none, f->early_id)) return ak_hs_fail(h, AK_ERR_crypto_failed, NULL);
    if (h->ctx->ask_early_data) {
        h->event.key = ak_view_of(f->early_id, sizeof f->early_id);
        h->phase = AK_PHASE_13;
        return ak_hs_ask(h, AK_EV_early_data);
    }
    return first_time(h, f->early_id) ? accept(h) : replayed(h); /* a session from the application's store, too: two may have asked for it before one had it removed */
}

ak_error ak_early_answered(ak_hs *h) { return h->answer.yes ? accept(h) : replayed(h); }

/* ---- exporter ---------------------------------------------------------------------------------------------------------------------------- */

ak_error ak_hs_export_early(const ak_hs *h, const char *label, ak_view context, uint8_t *out, size_t n, ak_failure *f) {
    ak_view secret = ak_secret_view(&h->secrets.early_exporter);
    if (secret.n == 0) return ak_fail(f, AK_ERR_not_ready, "no early data in this handshake, or it is over");
    /* the hash of the session that was offered, whatever the ServerHello says and when that session has been let go: TLS 1.3 has two, of different sizes */
    ak_hash hash = secret.n == ak_hash_size(AK_HASH_sha384) ? AK_HASH_sha384 : AK_HASH_sha256;
    return ak_keys13_export(h->p, hash, secret, label, context, out, n) ? AK_OK : ak_fail(f, AK_ERR_crypto_failed, "the exporter");
}

/* ---- what came ------------------------------------------------------------------------------------------------------------------------ */

bool ak_hs_application_data(ak_hs *h, ak_view v) {
    ak_flow13 *f = ak_flow13_of(h);
    if (f == NULL || !h->server || f->early != AK_EARLY_accepted) return false;
    f->early_seen += v.n;
    if (f->early_seen > f->early_limit) ak_hs_fail(h, AK_ERR_too_much_early_data, "the ticket allows %u bytes", (unsigned)f->early_limit);
    else if (!ak_buf_put_view(&h->early_data, v)) ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    return true;
}

ak_view ak_hs_early_data(const ak_hs *h) { return h->server ? ak_buf_view(&h->early_data) : ak_view_of(NULL, 0); }
void ak_hs_early_data_taken(ak_hs *h) {
    if (h->server) ak_buf_free(&h->early_data);
}
