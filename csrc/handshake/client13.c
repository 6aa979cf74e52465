/* client13.c: a client's way from ServerHello to EncryptedExtensions in TLS 1.3 (RFC 8446 §4.1.3, §4.3.1). */
#include "handshake/hello.h"

#include "handshake/auth.h"
#include "handshake/extensions.h"
#include "handshake/messages13.h"

#include <string.h>

/* ---- ServerHello ------------------------------------------------------------------------------------------------------------ */

static ak_error check_suite(ak_hs *h, const struct ak_server_hello *s) {
    const ak_flow13 *f = ak_flow13_of(h);
    const ak_suite *suite = ak_suite_find(s->cipher_suite);
    if (!ak_list_u16_has(h->client_hello.cipher_suites, s->cipher_suite)) return ak_hs_fail(h, AK_ERR_wrong_suite_chosen, "%s", ak_words(suites, s->cipher_suite));
    if (suite == NULL) return ak_hs_fail(h, AK_ERR_unknown_suite_chosen, "%s", ak_words(suites, s->cipher_suite));
    if (!ak_suite_fits(suite, h->info->version))
        return ak_hs_fail(h, AK_ERR_wrong_suite_chosen, "%s is not of %s", ak_words(suites, s->cipher_suite), ak_words(versions, h->info->version));
    if (f->retry_suite != NULL && f->retry_suite != suite)
        return ak_hs_fail(h, AK_ERR_wrong_suite_chosen, "%s, after a HelloRetryRequest with %s (RFC 8446 §4.1.4)", suite->name, f->retry_suite->name);
    h->info->suite = suite;
    return AK_OK;
}

ak_error ak_check_hello13(ak_hs *h, const struct ak_server_hello *s) {
    if (!ak_view_eq(s->session_id, ak_view_of(h->offered_session_id, h->offered_session_id_n)))
        return ak_hs_fail(h, AK_ERR_session_id_mismatch, "%zu bytes (RFC 8446 §4.1.3)", s->session_id.n);
    if (s->compression_method != 0) return ak_hs_fail(h, AK_ERR_compression_in_tls13, "method %u", s->compression_method);
    return check_suite(h, s);
}

/* check_exchange: whether what the server took of PSK and key share goes together (RFC 8446 §4.2.8, §4.2.9, §4.2.11). */
static ak_error check_exchange(ak_hs *h) {
    const ak_flow13 *f = ak_flow13_of(h);
    struct ak_ext_psk_key_exchange_modes modes;
    ak_failure ignored = {0};
    ak_view body;
    if (!f->psk && h->info->group == NULL) return ak_hs_fail(h, AK_ERR_missing_key_share, "and none of the pre-shared keys was taken");
    if (!f->psk) return AK_OK;
    if (f->offers[f->psk_at].hash != h->info->suite->prf) return ak_hs_fail(h, AK_ERR_resumed_hash_mismatch, "%s", h->info->suite->name);
    bool known = ak_ext_client_sent(h, AK_EXT_psk_key_exchange_modes, &body) && ak_decode_ext_psk_key_exchange_modes(body, &modes, &ignored) == AK_OK;
    uint8_t mode = h->info->group != NULL ? AK_PSK_MODE_psk_dhe_ke : AK_PSK_MODE_psk_ke;
    if (!known || ak_list_u8_has(modes.ke_modes, mode)) return AK_OK;
    if (h->info->group == NULL) return ak_hs_fail(h, AK_ERR_missing_key_share, "a pre-shared key alone, which psk_key_exchange_modes does not allow");
    return ak_hs_fail(h, AK_ERR_illegal_parameter, "a pre-shared key with a key share, which psk_key_exchange_modes does not allow");
    return AK_OK;
}

static ak_error resume(ak_hs *h) {
    const ak_flow13 *f = ak_flow13_of(h);
    h->info->external_psk = f->psk && f->psk_external;
    if (!f->psk || f->psk_external) return AK_OK;
    h->info->resumed = true;
    h->info->peer_scheme = ak_scheme_find(h->offered->peer_scheme);
    h->info->authenticated = h->offered->created;
    return ak_hs_adopt_peer(h, h->offered);
}

ak_error ak_client13_server_hello(ak_hs *h, const struct ak_server_hello *s) {
    ak_flow13 *f = ak_flow13_of(h);
    ak_view psk = {NULL, 0};
    h->info->group = NULL;
    ak_error e = ak_check_hello13(h, s);
    if (e == AK_OK) e = ak_ext_read_answers(h, AK_IN_server_hello, s->extensions);
    if (e == AK_OK) e = check_exchange(h);
    ak_hs_drop_shares(h);
    if (e != AK_OK) return e;
    memcpy(h->info->session_id, s->session_id.p != NULL ? s->session_id.p : h->offered_session_id, s->session_id.n);
    h->info->session_id_n = (uint8_t)s->session_id.n;
    if (f->psk) psk = f->offers[f->psk_at].secret;
    e = ak_keys13_early(h, h->info->suite->prf, psk);
    return e == AK_OK ? resume(h) : e;
}

/* Both sides: from here on all is encrypted. */
ak_error ak_after_server_hello13(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    ak_secrets *s = &h->secrets;
    ak_transcript_forget_raw(&h->transcript);
    ak_error e = ak_keys13_handshake(h);
    if (e != AK_OK) return e;
    ak_hs_use_rows(h, ak_rows_13);
    if (h->server) {
        bool early = f->early == AK_EARLY_accepted;
        ak_keys13_use(h, false, early ? &s->client_early_traffic : &s->client_handshake_traffic);
        ak_keys13_use(h, true, &s->server_handshake_traffic);
        if (h->ctx->middlebox_compat && (h->offered_session_id_n != 0 || h->ctx->always_ccs) && !f->ccs_sent) h->actions |= AK_ACT_dummy_ccs;
        f->ccs_sent = true;
        return AK_OK;
    }
    ak_keys13_use(h, false, &s->server_handshake_traffic);
    if (h->ctx->middlebox_compat && h->offered_session_id_n != 0 && !f->ccs_sent) {
        h->actions |= AK_ACT_dummy_ccs; /* RFC 8446 §D.4: before the second flight, which may be an alert */
        f->ccs_sent = true;
    }
    if (f->early == AK_EARLY_offered && (!f->psk || f->psk_at != 0)) { /* RFC 8446 §4.2.10: it goes with the first identity alone */
        f->early = AK_EARLY_refused;
        h->info->early_data = AK_EARLY_DATA_refused;
    }
    /* early data that may still be accepted keeps its keys until EncryptedExtensions says so */
    if (f->early != AK_EARLY_offered) ak_keys13_use(h, true, &s->client_handshake_traffic);
    return AK_OK;
}

/* ---- EncryptedExtensions -------------------------------------------------------------------------------------------------------- */

ak_error ak_compose_encrypted_extensions(ak_hs *h, ak_buf *b) { return ak_ext_answer_all(h, AK_IN_encrypted_extensions, false, b); }

ak_error ak_receive_encrypted_extensions(ak_hs *h, ak_view body) {
    const ak_flow13 *f = ak_flow13_of(h);
    struct ak_encrypted_extensions x;
    ak_failure why = {0};
    ak_error e = ak_decode_encrypted_extensions(body, &x, &why);
    if (e != AK_OK) return ak_hs_fail(h, e, "%s", why.detail);
    e = ak_ext_read_answers(h, AK_IN_encrypted_extensions, x.extensions);
    if (e != AK_OK || f->early != AK_EARLY_accepted) return e;
    const ak_resumption *r = h->offered;
    bool same = ak_view_eq(ak_buf_view(&h->info->alpn), ak_buf_view(&r->alpn));
    if (!same) return ak_hs_fail(h, AK_ERR_early_data_alpn, "(RFC 8446 §4.2.10)");
    if (h->info->suite->id != r->suite) return ak_hs_fail(h, AK_ERR_early_data_suite, "(RFC 8446 §4.2.10)");
    return AK_OK;
}

ak_error ak_after_encrypted_extensions(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    if (h->server || f->early != AK_EARLY_offered) return AK_OK;
    f->early = AK_EARLY_refused;
    h->info->early_data = AK_EARLY_DATA_refused;
    ak_keys13_use(h, true, &h->secrets.client_handshake_traffic);
    return AK_OK;
}
