/* server_hello.c: ServerHello (RFC 5246 §7.4.1.3, RFC 8446 §4.1.3): what the server chose; whether the client may accept it. */
#include "handshake/hello.h"

#include "handshake/auth.h"
#include "handshake/extensions.h"
#include "handshake/renegotiation.h"
#include "handshake/keys.h"

#include <stdlib.h>
#include <string.h>

/* RFC 8446 §4.1.3: the last bytes of the random of a server that could do better. */
static const uint8_t downgrade_12[8] = {'D', 'O', 'W', 'N', 'G', 'R', 'D', 1};
static const uint8_t downgrade_11[8] = {'D', 'O', 'W', 'N', 'G', 'R', 'D', 0};

/* ---- server ----------------------------------------------------------------------------------------------------------------- */

static bool put_session_id(ak_hs *h, ak_buf *b) {
    ak_info *i = h->info;
    if (i->resumed || ak_hs_is_13(h)) { /* echoed, RFC 8446 §4.1.3 and RFC 5246 §7.4.1.3 */
        memcpy(i->session_id, h->offered_session_id, sizeof i->session_id);
        i->session_id_n = h->offered_session_id_n;
    } else if (h->ctx->session_ids && !h->send_ticket && (h->ctx->store != NULL || h->ctx->external_store)) {
        if (!ak_random(h->p, AK_PURPOSE_session_id, i->session_id, 32)) return false;
        i->session_id_n = 32;
    }
    return ak_buf_vec(b, ak_view_of(i->session_id, i->session_id_n), 1);
}

ak_error ak_compose_server_hello(ak_hs *h, ak_buf *b) {
    ak_info *i = h->info;
    uint8_t random[32];
    ak_error e = ak_auth_ask_staple(h);
    if (e == AK_AGAIN) h->phase = 1;
    if (e != AK_OK) return e;
    if (!ak_random(h->p, AK_PURPOSE_server_random, random, sizeof random)) return ak_hs_fail(h, AK_ERR_randomness, "server_random");
    if (i->version == AK_TLS12 && h->ctx->max_version >= AK_TLS13) memcpy(random + 24, downgrade_12, 8);
    if (i->version < AK_TLS12 && h->ctx->max_version >= AK_TLS12) memcpy(random + 24, downgrade_11, 8);
    ak_buf_u16(b, i->version > AK_TLS12 ? AK_TLS12 : i->version);
    ak_buf_put(b, random, sizeof random);
    if (!put_session_id(h, b)) return ak_hs_fail(h, AK_ERR_randomness, "session_id");
    ak_buf_u16(b, i->suite->id);
    ak_buf_u8(b, 0);
    return ak_ext_answer_all(h, ak_hs_is_13(h) ? AK_IN_server_hello : AK_IN_server_hello_12, true, b);
}

/* ---- both: as it was really sent ------------------------------------------------------------------------------------------------ */

static ak_error keep(ak_hs *h, ak_view message) {
    ak_failure ignored = {0};
    memset(&h->server_hello, 0, sizeof h->server_hello);
    ak_buf_clear(&h->server_hello_bytes);
    if (message.n < 4) return AK_OK;
    if (!ak_buf_put(&h->server_hello_bytes, message.p + 4, message.n - 4)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    if (ak_decode_server_hello(ak_buf_view(&h->server_hello_bytes), &h->server_hello, &ignored) != AK_OK)
        memset(&h->server_hello, 0, sizeof h->server_hello);
    if (h->server_hello.random.n == 32) memcpy(h->info->server_random, h->server_hello.random.p, 32);
    return AK_OK;
}

/* wants_raw: a TLS 1.2 CertificateVerify may need the messages under another hash than the PRF's. Who will neither send nor get one keeps none. */
static bool wants_raw(const ak_hs *h) {
    const ak_context *c = h->ctx;
    if (ak_hs_is_13(h) || h->info->resumed) return false;
    return h->server ? c->client_auth != AK_CLIENT_AUTH_none : c->n_identities != 0 || c->ask_client_identity;
}

static ak_error begin_transcript(ak_hs *h) {
    h->transcript.keep_raw = wants_raw(h);
    ak_hash hash = ak_hs_is_13(h) ? h->info->suite->prf : ak_keys12_hash(h->info->version, h->info->suite);
    if (h->transcript.hashing && h->transcript.hash.hash == hash) return AK_OK; /* HelloRetryRequest began it */
    return ak_transcript_begin(&h->transcript, h->p, hash) ? AK_OK : ak_hs_fail(h, AK_ERR_crypto_failed, "the transcript hash");
}

ak_error ak_after_server_hello(ak_hs *h) {
    ak_error e = keep(h, ak_hs_message(h));
    if (e == AK_OK) e = begin_transcript(h);
    if (e != AK_OK) return e;
    h->record_version = h->info->version > AK_TLS12 ? AK_TLS12 : h->info->version;
    if (ak_hs_is_13(h)) return ak_after_server_hello13(h);
    if (h->info->resumed) {
        const ak_resumption *r = h->server ? h->resumed : h->offered;
        h->secrets.master = r->secret;
        if (!ak_hs_keylog_line(h, "CLIENT_RANDOM", ak_secret_view(&h->secrets.master))) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
        e = ak_keys12_expand(h);
    }
    ak_hs_use_rows(h, ak_rows_12);
    return e;
}

/* ---- client ------------------------------------------------------------------------------------------------------------------------ */

ak_error ak_client_choose_version(ak_hs *h, const struct ak_server_hello *s) {
    const ak_context *c = h->ctx;
    uint16_t version = s->legacy_version;
    ak_view body;
    if (h->renegotiation != NULL && s->has_extensions && ak_ext_find(s->extensions, AK_EXT_supported_versions, &body) && body.n == 2 && body.p[0] == AK_TLS13 >> 8 &&
        body.p[1] == (AK_TLS13 & 0xff)) /* which was not even asked for: RFC 8446 §4.1.3 has this alert for it all the same */
        return ak_hs_fail(h, AK_ERR_unsupported_version, "TLS 1.3 in a renegotiation (RFC 8446 §4.1.3)");
    if (s->has_extensions && ak_ext_find(s->extensions, AK_EXT_supported_versions, &body) && ak_ext_client_sent(h, AK_EXT_supported_versions, NULL)) {
        struct ak_ext_supported_versions_server x;
        ak_failure why = {0};
        ak_error e = ak_decode_ext_supported_versions_server(body, &x, &why);
        if (e != AK_OK) return ak_hs_fail(h, ak_ext_cause(e, AK_ERR_bad_extension), "%s", why.detail);
        /* RFC 8446 §4.2.1: only 1.3 is chosen here */
        bool retry = h->info->hello_retry || (h->in_msg.row != NULL && h->in_msg.row->message == AK_ROW_hello_retry_request);
        if (version != AK_TLS12)
            return ak_hs_fail(h, retry ? AK_ERR_illegal_parameter : AK_ERR_unsupported_version, "legacy_version %s beside supported_versions", ak_words(versions, version));
        if (h->info->hello_retry && x.selected_version != AK_TLS13)
            return ak_hs_fail(h, AK_ERR_retry_version_mismatch, "%s (RFC 8446 §4.1.4)", ak_words(versions, x.selected_version));
        if (x.selected_version < AK_TLS13)
            return ak_hs_fail(h, AK_ERR_misplaced_extension, "supported_versions chooses %s with legacy_version %s", ak_words(versions, x.selected_version),
                              ak_words(versions, version));
        version = x.selected_version;
        if (version > c->max_version) return ak_hs_fail(h, AK_ERR_wrong_version_chosen, "%s by supported_versions (RFC 8446 §4.2.1)", ak_words(versions, version));
    } else if (version > AK_TLS12) {
        return ak_hs_fail(h, AK_ERR_unsupported_version, "the server chose %s without supported_versions", ak_words(versions, version));
    }
    if (version < c->min_version || version > c->max_version)
        return ak_hs_fail(h, AK_ERR_unsupported_version, "the server chose %s, this client does %s", ak_words(versions, version), ak_own_versions(h).s);
    h->info->version = version;
    return AK_OK;
}

static ak_error check_downgrade(ak_hs *h, const struct ak_server_hello *s) {
    const uint8_t *tail = s->random.p + 24;
    uint16_t v = h->info->version, max = h->ctx->max_version;
    bool to_12 = memcmp(tail, downgrade_12, 8) == 0, to_11 = memcmp(tail, downgrade_11, 8) == 0; /* public bytes */
    if ((max >= AK_TLS13 && v <= AK_TLS12 && (to_12 || to_11)) || (max == AK_TLS12 && v < AK_TLS12 && to_11))
        return ak_hs_fail(h, AK_ERR_downgrade_detected, "RFC 8446 §4.1.3");
    return AK_OK;
}

static ak_error check_suite(ak_hs *h, const struct ak_server_hello *s) {
    const ak_suite *suite = ak_suite_find(s->cipher_suite);
    if (!ak_list_u16_has(h->client_hello.cipher_suites, s->cipher_suite)) return ak_hs_fail(h, AK_ERR_wrong_suite_chosen, "%s", ak_words(suites, s->cipher_suite));
    if (suite == NULL) return ak_hs_fail(h, AK_ERR_unknown_suite_chosen, "%s", ak_words(suites, s->cipher_suite));
    if (!ak_suite_fits(suite, h->info->version))
        return ak_hs_fail(h, AK_ERR_wrong_suite_chosen, "%s is not of %s", ak_words(suites, s->cipher_suite), ak_words(versions, h->info->version));
    h->info->suite = suite;
    return AK_OK;
}

/* check_session: whether the server resumes, by the session id (RFC 5246 §7.4.1.3). */
static ak_error check_session(ak_hs *h, const struct ak_server_hello *s) {
    ak_info *i = h->info;
    bool echoed = s->session_id.n != 0 && ak_view_eq(s->session_id, ak_view_of(h->offered_session_id, h->offered_session_id_n));
    if (s->session_id.n != 0) memcpy(i->session_id, s->session_id.p, s->session_id.n);
    i->session_id_n = (uint8_t)s->session_id.n;
    if (!echoed) return AK_OK;
    const ak_resumption *r = h->offered;
    if (r == NULL) return ak_hs_fail(h, AK_ERR_session_id_mismatch, "the server echoes an id that stands for no session");
    if (r->version != i->version) return ak_hs_fail(h, AK_ERR_resumed_version_mismatch, "%s, the session has %s", ak_words(versions, i->version), ak_words(versions, r->version));
    if (r->suite != i->suite->id) return ak_hs_fail(h, AK_ERR_resumed_suite_mismatch, "%s", i->suite->name);
    i->resumed = true;
    i->max_fragment_length = r->max_fragment_length; /* RFC 6066 §4: whether or not the server says so again */
    i->group = ak_group_find(r->group);
    i->peer_scheme = ak_scheme_find(r->peer_scheme);
    return ak_hs_adopt_peer(h, r);
}

/* RFC 7627 §5.3: a resumed session keeps what it had. */
static ak_error check_ems(ak_hs *h) {
    const ak_info *i = h->info;
    if (h->renegotiation != NULL) {
        ak_error e = ak_renegotiation_check_hello(h);
        if (e != AK_OK) return e;
    }
    if (i->resumed && h->offered->ems != i->ems)
        return ak_hs_fail(h, h->offered->ems ? AK_ERR_ems_dropped : AK_ERR_ems_mismatch, "the session has %s, the answer has %s", h->offered->ems ? "it" : "none",
                          i->ems ? "it" : "none");
    if (h->ctx->require_ems && !i->ems) return ak_hs_fail(h, AK_ERR_ems_required, "the ServerHello has none (RFC 7627 §5.2)");
    return AK_OK;
}

ak_error ak_receive_server_hello(ak_hs *h, ak_view body) {
    struct ak_server_hello s;
    ak_failure why = {0};
    ak_error e = ak_decode_server_hello(body, &s, &why);
    if (e != AK_OK) return ak_hs_fail(h, e, "%s", why.detail);
    bool early = h->info->early_data != AK_EARLY_DATA_none;
    e = ak_client_choose_version(h, &s);
    if (e != AK_OK) return e;
    if (ak_hs_is_13(h)) return ak_client13_server_hello(h, &s);
    ak_hs_drop_shares(h);
    if (h->info->hello_retry) return ak_hs_fail(h, AK_ERR_retry_version_mismatch, "%s (RFC 8446 §4.1.4)", ak_words(versions, h->info->version));
    if (early) return ak_hs_fail(h, AK_ERR_early_data_version, "%s (RFC 8446 §D.3)", ak_words(versions, h->info->version));
    e = check_downgrade(h, &s);
    if (e == AK_OK) e = check_suite(h, &s);
    if (e == AK_OK && s.compression_method != 0) e = ak_hs_fail(h, AK_ERR_wrong_compression, "method %u", s.compression_method);
    if (e == AK_OK) e = check_session(h, &s);
    if (e == AK_OK && s.has_extensions) e = ak_ext_read_answers(h, AK_IN_server_hello_12, s.extensions);
    if (e == AK_OK) e = check_ems(h);
    return e;
}
