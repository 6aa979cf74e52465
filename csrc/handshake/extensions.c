#include "handshake/extensions.h"

#include "base/ct.h"
#include "handshake/auth.h"
#include "handshake/renegotiation.h"

#include <string.h>

bool ak_ext_client_sent(const ak_hs *h, uint16_t type, ak_view *body) {
    ak_view ignored;
    if (type < 64 && (h->client_extensions >> type & 1) == 0) {
        if (body != NULL) *body = ak_view_of(NULL, 0);
        return false;
    }
    return h->client_hello.has_extensions && ak_ext_find(h->client_hello.extensions, type, body != NULL ? body : &ignored);
}

static ak_error decode_failed(ak_hs *h, ak_error e, const ak_failure *f) { return ak_hs_fail(h, e, "%s", f->detail); }

static bool below_13(const ak_hs *h) { return h->info->version < AK_TLS13; }
static bool offers_12(const ak_hs *h) { return h->ctx->min_version <= AK_TLS12; }

/* ---- server_name (RFC 6066 §3) ------------------------------------------------------------------------------------------- */

static bool offer_server_name(ak_hs *h, ak_buf *b) {
    uint8_t ip[16];
    ak_view v = ak_buf_view(&h->info->server_name);
    if (v.n == 0 || ak_host_ip(v, ip) != 0) return false; /* "Literal IPv4 and IPv6 addresses are not permitted" */
    if (v.p[v.n - 1] == '.') v.n--;                        /* "without a trailing dot" */
    size_t list = ak_buf_open(b, 2);
    ak_buf_u8(b, 0);
    ak_buf_vec(b, v, 2);
    ak_buf_close(b, list, 2);
    return true;
}

/* What is no name at all is refused before it gets into a log or a look-up: RFC 6066 §3 has ASCII. */
static bool is_host_name(ak_view name) {
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f) return false;
    return name.n >= 1 && name.n <= 255;
}

static ak_error offered_server_name(ak_hs *h, ak_view body) {
    struct ak_ext_server_name x;
    AK_EXT_READ(ext_server_name, &x);
    ak_rd r;
    ak_rd_view(&r, x.server_name_list);
    uint8_t type;
    ak_view name, host = {0};
    while (ak_rd_u8(&r, &type) && ak_rd_vec(&r, &name, 2)) {
        if (type != 0) continue; /* "other name types may be added", all of this form */
        if (host.n != 0) return ak_hs_fail(h, AK_ERR_illegal_parameter, "server_name holds more than one host_name (RFC 6066 §3)");
        if (!is_host_name(name)) return ak_hs_fail(h, AK_ERR_illegal_parameter, "server_name's host_name is no name of 1 to 255 ASCII characters (RFC 6066 §3)");
        host = name;
    }
    return ak_buf_set(&h->info->server_name, host) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

static bool answer_server_name(ak_hs *h, ak_message_kind where, ak_buf *b) {
    (void)b;
    return (where == AK_IN_server_hello_12 || where == AK_IN_encrypted_extensions) && !h->info->resumed && h->identity != NULL &&
           ak_identity_serves(h->identity, ak_buf_view(&h->info->server_name));
}

static ak_error answered_empty(ak_hs *h, ak_message_kind where, ak_view body) {
    (void)where;
    return body.n == 0 ? AK_OK : ak_hs_fail(h, AK_ERR_decode_error, "an answer that must be empty has %zu bytes", body.n);
}

/* ---- extended_master_secret (RFC 7627) -------------------------------------------------------------------------------------- */

static bool offer_ems(ak_hs *h, ak_buf *b) {
    (void)b;
    return h->ctx->ems && offers_12(h);
}

static ak_error offered_ems(ak_hs *h, ak_view body) {
    struct ak_ext_extended_master_secret x;
    AK_EXT_READ(ext_extended_master_secret, &x);
    if (below_13(h)) h->info->ems = h->ctx->ems && h->info->version > AK_SSL30;
    return AK_OK;
}

static bool answer_ems(ak_hs *h, ak_message_kind where, ak_buf *b) {
    (void)b;
    return where == AK_IN_server_hello_12 && h->info->ems;
}

static ak_error answered_ems(ak_hs *h, ak_message_kind where, ak_view body) {
    h->info->ems = true;
    return answered_empty(h, where, body);
}

/* ---- renegotiation_info (RFC 5746) --------------------------------------------------------------------------------------------- */

/* verify_data: renegotiated_connection: empty in an initial handshake (§3.4), what was agreed before in a renegotiation (§3.5). */
static bool put_verify_data(const ak_hs *h, bool both, ak_buf *b) {
    size_t mark = ak_buf_open(b, 1);
    return ak_renegotiation_verify_data(h, both, b) && ak_buf_close(b, mark, 1);
}

static bool offer_renegotiation_info(ak_hs *h, ak_buf *b) { return offers_12(h) && put_verify_data(h, false, b); }

static ak_error offered_renegotiation_info(ak_hs *h, ak_view body) {
    struct ak_ext_renegotiation_info x;
    AK_EXT_READ(ext_renegotiation_info, &x);
    if (x.renegotiated_connection.n != 0) return ak_hs_fail(h, AK_ERR_renegotiation_mismatch, "not empty in an initial handshake (RFC 5746 §3.6)");
    h->info->secure_renegotiation = true;
    return AK_OK;
}

/* The SCSV asks for the answer, too (§3.6), so this one does not go through the common way: see ak_ext_answer_all. */
static bool answer_renegotiation_info(ak_hs *h, ak_message_kind where, ak_buf *b) {
    return where == AK_IN_server_hello_12 && h->info->secure_renegotiation && ak_buf_u8(b, 0);
}

static ak_error answered_renegotiation_info(ak_hs *h, ak_message_kind where, ak_view body) {
    struct ak_ext_renegotiation_info x;
    ak_buf wanted;
    (void)where;
    AK_EXT_READ(ext_renegotiation_info, &x);
    ak_buf_init(&wanted, 255);
    bool ok = ak_renegotiation_verify_data(h, true, &wanted);
    bool same = ok && wanted.n == x.renegotiated_connection.n && ak_ct_eq(wanted.p, x.renegotiated_connection.p, wanted.n);
    ak_buf_free(&wanted);
    if (!ok) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    if (!same) return ak_hs_fail(h, AK_ERR_renegotiation_mismatch, h->renegotiation != NULL ? "RFC 5746 §3.5" : "not empty in an initial handshake (RFC 5746 §3.4)");
    h->info->secure_renegotiation = true;
    return AK_OK;
}

/* ---- supported_groups, ec_point_formats (RFC 8422, RFC 7919, RFC 8446 §4.2.7) -------------------------------------------------------- */

static bool uses_groups(const ak_hs *h) {
    for (size_t i = 0; i < h->ctx->n_suites; i++) {
        const ak_suite *s = ak_suite_find(h->ctx->suites[i]);
        if (s != NULL && (s->kx == AK_KX_ecdhe || s->kx == AK_KX_ecdhe_psk || s->kx == AK_KX_tls13 || s->kx == AK_KX_dhe || s->kx == AK_KX_dhe_psk)) return true;
    }
    return false;
}

static bool offer_supported_groups(ak_hs *h, ak_buf *b) {
    if (h->ctx->n_groups == 0 || !uses_groups(h)) return false;
    size_t list = ak_buf_open(b, 2);
    if (ak_greases(h)) ak_buf_u16(b, ak_grease(h, AK_GREASE_group));
    for (size_t i = 0; i < h->ctx->n_groups; i++) {
        const ak_group *g = ak_group_find(h->ctx->groups[i]);
        if (g != NULL && g->min_version <= h->ctx->max_version && g->max_version >= h->ctx->min_version && ak_group_usable(h->p, g)) ak_buf_u16(b, g->id);
    }
    return ak_buf_close(b, list, 2);
}

static ak_error offered_supported_groups(ak_hs *h, ak_view body) {
    struct ak_ext_supported_groups x;
    AK_EXT_READ(ext_supported_groups, &x);
    return AK_OK;
}

static ak_error answered_supported_groups(ak_hs *h, ak_message_kind where, ak_view body) {
    (void)where; /* RFC 8446 §4.2.7: for the next connection. Some servers send it in TLS 1.2, where nothing follows from it */
    struct ak_ext_supported_groups x;
    AK_EXT_READ(ext_supported_groups, &x);
    return AK_OK;
}

static bool offers_ec12(const ak_hs *h) {
    if (!offers_12(h)) return false;
    for (size_t i = 0; i < h->ctx->n_suites; i++) {
        const ak_suite *s = ak_suite_find(h->ctx->suites[i]);
        if (s != NULL && (s->kx == AK_KX_ecdhe || s->kx == AK_KX_ecdhe_psk)) return true;
    }
    return false;
}

static bool offer_ec_point_formats(ak_hs *h, ak_buf *b) { return offers_ec12(h) && ak_buf_u8(b, 1) && ak_buf_u8(b, 0); }

static ak_error uncompressed_listed(ak_hs *h, ak_view body) {
    struct ak_ext_ec_point_formats x;
    AK_EXT_READ(ext_ec_point_formats, &x);
    if (memchr(x.ec_point_format_list.p, 0, x.ec_point_format_list.n) == NULL)
        return ak_hs_fail_alert(h, AK_ERR_bad_extension, AK_ALERT_illegal_parameter, "ec_point_formats without uncompressed (RFC 8422 §5.1.2)");
    return AK_OK;
}

static ak_error offered_ec_point_formats(ak_hs *h, ak_view body) { return below_13(h) ? uncompressed_listed(h, body) : AK_OK; }

static bool answer_ec_point_formats(ak_hs *h, ak_message_kind where, ak_buf *b) {
    const ak_suite *s = h->info->suite;
    return where == AK_IN_server_hello_12 && (s->kx == AK_KX_ecdhe || s->kx == AK_KX_ecdhe_psk) && ak_buf_u8(b, 1) && ak_buf_u8(b, 0);
}

static ak_error answered_ec_point_formats(ak_hs *h, ak_message_kind where, ak_view body) {
    (void)where;
    return uncompressed_listed(h, body);
}

/* ---- session_ticket (RFC 5077) ---------------------------------------------------------------------------------------------------------- */

static bool offer_session_ticket(ak_hs *h, ak_buf *b) {
    if (!h->ctx->tickets || !offers_12(h)) return false;
    if (h->offered != NULL && h->offered->version <= AK_TLS12) ak_buf_put_view(b, ak_buf_view(&h->offered->ticket));
    return true;
}

static ak_error offered_session_ticket(ak_hs *h, ak_view body) {
    ak_buf_clear(&h->ticket);
    if (!h->ctx->tickets || !below_13(h)) return AK_OK;
    h->send_ticket = true;
    return ak_buf_put_view(&h->ticket, body) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

static bool answer_session_ticket(ak_hs *h, ak_message_kind where, ak_buf *b) {
    (void)b;
    return where == AK_IN_server_hello_12 && h->send_ticket;
}

static ak_error answered_session_ticket(ak_hs *h, ak_message_kind where, ak_view body) {
    h->expect_ticket = true;
    return answered_empty(h, where, body);
}

/* ---- application_layer_protocol_negotiation (RFC 7301) ------------------------------------------------------------------------------------ */

/* protocol_names: a list as a person may read it: what a peer calls a protocol can be any bytes. */
static void protocol_names(char *out, size_t room, ak_view list) {
    ak_rd r;
    ak_view name;
    size_t at = 0;
    ak_rd_view(&r, list);
    while (ak_rd_left(&r) > 0 && ak_rd_vec(&r, &name, 1)) {
        if (at != 0 && at + 1 < room) out[at++] = ' ';
        for (size_t i = 0; i < name.n && at + 1 < room; i++) out[at++] = name.p[i] > 0x20 && name.p[i] < 0x7f ? (char)name.p[i] : '?';
    }
    out[at] = '\0';
}

static ak_error take_alpn(ak_hs *h, ak_view name) { return ak_buf_set(&h->info->alpn, name) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL); }

/* A renegotiation keeps the protocol that was agreed first. */
static bool offer_alpn(ak_hs *h, ak_buf *b) { return h->ctx->alpn.n != 0 && h->renegotiation == NULL && ak_buf_vec(b, ak_buf_view(&h->ctx->alpn), 2); }

static ak_error offered_alpn(ak_hs *h, ak_view body) {
    struct ak_ext_application_layer_protocol_negotiation x;
    AK_EXT_READ_AS(ext_application_layer_protocol_negotiation, &x, AK_ERR_malformed_alpn);
    ak_rd ours;
    ak_view name;
    if (h->ctx->ask_alpn || h->ctx->alpn.n == 0) return AK_OK;
    ak_rd_view(&ours, ak_buf_view(&h->ctx->alpn)); /* our order decides, §3.2 */
    while (ak_rd_left(&ours) > 0 && ak_rd_vec(&ours, &name, 1)) {
        ak_rd theirs;
        ak_view n;
        ak_rd_view(&theirs, x.protocol_name_list);
        while (ak_rd_left(&theirs) > 0 && ak_rd_vec(&theirs, &n, 1)) {
            if (!ak_view_eq(n, name)) continue;
            return take_alpn(h, name);
        }
    }
    char offered[100], own[100];
    protocol_names(offered, sizeof offered, x.protocol_name_list);
    protocol_names(own, sizeof own, ak_buf_view(&h->ctx->alpn));
    return ak_hs_fail(h, AK_ERR_no_application_protocol, "client: %s; server: %s", offered, own);
}

static bool answer_alpn(ak_hs *h, ak_message_kind where, ak_buf *b) {
    if ((where != AK_IN_server_hello_12 && where != AK_IN_encrypted_extensions) || h->info->alpn.n == 0) return false;
    size_t list = ak_buf_open(b, 2);
    ak_buf_vec(b, ak_buf_view(&h->info->alpn), 1);
    return ak_buf_close(b, list, 2);
}

static ak_error answered_alpn(ak_hs *h, ak_message_kind where, ak_view body) {
    struct ak_ext_application_layer_protocol_negotiation x;
    struct ak_ext_application_layer_protocol_negotiation offer;
    ak_failure ignored = {0};
    ak_rd r;
    ak_view name, n, sent;
    (void)where;
    AK_EXT_READ_AS(ext_application_layer_protocol_negotiation, &x, AK_ERR_malformed_alpn);
    ak_rd_view(&r, x.protocol_name_list);
    if (!ak_rd_vec(&r, &name, 1) || !ak_rd_done(&r) || name.n == 0) return ak_hs_fail(h, AK_ERR_malformed_alpn, "ALPN must answer with exactly one name (RFC 7301 §3.1)");
    if (!ak_ext_client_sent(h, AK_EXT_application_layer_protocol_negotiation, &sent) ||
        ak_decode_ext_application_layer_protocol_negotiation(sent, &offer, &ignored) != AK_OK)
        return ak_hs_fail(h, AK_ERR_unsolicited_extension, "application_layer_protocol_negotiation");
    ak_rd_view(&r, offer.protocol_name_list);
    while (ak_rd_left(&r) > 0 && ak_rd_vec(&r, &n, 1)) {
        if (!ak_view_eq(n, name)) continue;
        return take_alpn(h, name);
    }
    if (h->ctx->any_alpn) return take_alpn(h, name);
    char chosen[260];
    protocol_names(chosen, sizeof chosen, x.protocol_name_list);
    return ak_hs_fail(h, AK_ERR_wrong_application_protocol, "%s", chosen);
}

/* ---- status_request (RFC 6066 §8, RFC 8446 §4.4.2.1), signed_certificate_timestamp (RFC 6962 §3.3) ------------------------------------------ */

static bool offer_status_request(ak_hs *h, ak_buf *b) { return h->ctx->ocsp && ak_buf_u8(b, 1) && ak_buf_u16(b, 0) && ak_buf_u16(b, 0); }

static ak_error offered_status_request(ak_hs *h, ak_view body) {
    struct ak_ext_status_request x;
    AK_EXT_READ(ext_status_request, &x);
    h->expect_status = x.status_type == 1; /* ocsp; other types are not ours to answer */
    return AK_OK;
}

static bool answer_status_request(ak_hs *h, ak_message_kind where, ak_buf *b) {
    (void)b;
    if (where != AK_IN_server_hello_12) return false;
    h->expect_status = h->expect_status && !h->info->resumed && ak_auth_staple(h).n != 0 && ak_suite_has_certificate(h->info->suite);
    return h->expect_status;
}

static ak_error answered_status_request(ak_hs *h, ak_message_kind where, ak_view body) {
    h->expect_status = true;
    return answered_empty(h, where, body);
}

static bool offer_sct(ak_hs *h, ak_buf *b) {
    (void)b;
    return h->ctx->sct;
}

static bool answer_sct(ak_hs *h, ak_message_kind where, ak_buf *b) {
    return where == AK_IN_server_hello_12 && !h->info->resumed && h->identity != NULL && h->identity->scts.n != 0 && ak_buf_put_view(b, ak_buf_view(&h->identity->scts));
}

static ak_error answered_sct(ak_hs *h, ak_message_kind where, ak_view body) {
    struct ak_ext_signed_certificate_timestamp x;
    (void)where;
    AK_EXT_READ(ext_signed_certificate_timestamp, &x);
    if (h->info->resumed) return AK_OK; /* it has no certificate to speak of: what the session has stays */
    ak_buf_clear(&h->info->scts);
    return ak_buf_put_view(&h->info->scts, body) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

/* ---- signature_algorithms (RFC 5246 §7.4.1.4.1, RFC 8446 §4.2.3) ----------------------------------------------------------------------------- */

static bool offer_signature_algorithms(ak_hs *h, ak_buf *b) {
    if (h->ctx->max_version < AK_TLS12) return false;
    size_t list = ak_buf_open(b, 2);
    ak_auth_own_schemes(h, b);
    return ak_buf_close(b, list, 2);
}

static ak_error offered_signature_algorithms(ak_hs *h, ak_view body) {
    struct ak_ext_signature_algorithms x;
    AK_EXT_READ_AS(ext_signature_algorithms, &x, AK_ERR_malformed_schemes);
    if (h->info->version >= AK_TLS12) ak_auth_peer_schemes(h, x.supported_signature_algorithms);
    return AK_OK;
}

/* ---- encrypt_then_mac (RFC 7366) ----------------------------------------------------------------------------------------------------------------- */

static bool offers_cbc(const ak_hs *h) {
    for (size_t i = 0; i < h->ctx->n_suites; i++) {
        const ak_suite *s = ak_suite_find(h->ctx->suites[i]);
        if (s != NULL && ak_suite_is_cbc(s)) return true;
    }
    return false;
}

static bool offer_etm(ak_hs *h, ak_buf *b) {
    (void)b;
    return h->ctx->etm && offers_12(h) && offers_cbc(h);
}

static ak_error offered_etm(ak_hs *h, ak_view body) {
    struct ak_ext_encrypt_then_mac x;
    AK_EXT_READ(ext_encrypt_then_mac, &x);
    if (below_13(h)) h->info->etm = h->ctx->etm && h->info->version > AK_SSL30;
    return AK_OK;
}

static bool answer_etm(ak_hs *h, ak_message_kind where, ak_buf *b) {
    (void)b;
    h->info->etm = h->info->etm && ak_suite_is_cbc(h->info->suite); /* §3: only with a block cipher in CBC mode */
    return where == AK_IN_server_hello_12 && h->info->etm;
}

static ak_error answered_etm(ak_hs *h, ak_message_kind where, ak_view body) {
    if (!ak_suite_is_cbc(h->info->suite)) return ak_hs_fail(h, AK_ERR_misplaced_extension, "encrypt_then_mac with %s (RFC 7366 §2)", h->info->suite->name);
    h->info->etm = true;
    return answered_empty(h, where, body);
}

/* ---- record_size_limit (RFC 8449) -------------------------------------------------------------------------------------------------------------------- */

static bool offer_record_size_limit(ak_hs *h, ak_buf *b) { return h->ctx->record_size_limit != 0 && ak_buf_u16(b, h->ctx->record_size_limit); }

static ak_error take_record_size_limit(ak_hs *h, ak_view body, bool from_server) {
    struct ak_ext_record_size_limit x;
    AK_EXT_READ(ext_record_size_limit, &x);
    unsigned most = AK_PLAINTEXT_MAX + (ak_hs_is_13(h) ? 1u : 0u);
    if (x.record_size_limit < 64) return ak_hs_fail(h, AK_ERR_illegal_parameter, "record_size_limit %u is below 64 (RFC 8449 §4)", x.record_size_limit);
    if (from_server && x.record_size_limit > most)
        return ak_hs_fail(h, AK_ERR_illegal_parameter, "record_size_limit %u is above the protocol's (RFC 8449 §4)", x.record_size_limit);
    unsigned limit = x.record_size_limit > most ? most : x.record_size_limit;
    h->peer_record_limit = (uint16_t)(ak_hs_is_13(h) ? limit - 1 : limit); /* 1.3 counts the content type */
    return AK_OK;
}

static ak_error offered_record_size_limit(ak_hs *h, ak_view body) { return take_record_size_limit(h, body, false); }
static ak_error answered_record_size_limit(ak_hs *h, ak_message_kind where, ak_view body) {
    (void)where;
    return take_record_size_limit(h, body, true);
}

static bool answer_record_size_limit(ak_hs *h, ak_message_kind where, ak_buf *b) {
    unsigned most = AK_PLAINTEXT_MAX + (ak_hs_is_13(h) ? 1u : 0u), own = h->ctx->record_size_limit;
    return (where == AK_IN_server_hello_12 || where == AK_IN_encrypted_extensions) && ak_buf_u16(b, own != 0 && own < most ? own : most);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------------------------------ */

const ak_ext_row ak_ext_rows[] = {
    {AK_EXT_server_name, offer_server_name, offered_server_name, answer_server_name, answered_empty},
    {AK_EXT_extended_master_secret, offer_ems, offered_ems, answer_ems, answered_ems},
    {AK_EXT_renegotiation_info, offer_renegotiation_info, offered_renegotiation_info, answer_renegotiation_info, answered_renegotiation_info},
    {AK_EXT_supported_groups, offer_supported_groups, offered_supported_groups, NULL, answered_supported_groups},
    {AK_EXT_ec_point_formats, offer_ec_point_formats, offered_ec_point_formats, answer_ec_point_formats, answered_ec_point_formats},
    /* RFC 8446 §4.2.11: last in a ClientHello, so it is offered at the end of this table; the answer may stand anywhere */
    {AK_EXT_pre_shared_key, NULL, NULL, ak_answer_pre_shared_key, ak_answered_pre_shared_key},
    {AK_EXT_session_ticket, offer_session_ticket, offered_session_ticket, answer_session_ticket, answered_session_ticket},
    {AK_EXT_application_layer_protocol_negotiation, offer_alpn, offered_alpn, answer_alpn, answered_alpn},
    {AK_EXT_encrypt_then_mac, offer_etm, offered_etm, answer_etm, answered_etm},
    {AK_EXT_status_request, offer_status_request, offered_status_request, answer_status_request, answered_status_request},
    {AK_EXT_key_share, ak_offer_key_share, ak_offered_key_share, ak_answer_key_share, ak_answered_key_share},
    {AK_EXT_cookie, NULL, ak_offered_cookie, ak_answer_cookie, ak_answered_cookie},
    {AK_EXT_early_data, ak_offer_early_data, ak_offered_early_data, ak_answer_early_data, ak_answered_early_data},
    {AK_EXT_supported_versions, ak_offer_supported_versions, NULL, ak_answer_supported_versions, NULL},
    {AK_EXT_signature_algorithms, offer_signature_algorithms, offered_signature_algorithms, NULL, NULL},
    {AK_EXT_signature_algorithms_cert, ak_offer_signature_algorithms_cert, ak_offered_signature_algorithms_cert, NULL, NULL},
    {AK_EXT_psk_key_exchange_modes, ak_offer_psk_key_exchange_modes, ak_offered_psk_key_exchange_modes, NULL, NULL},
    {AK_EXT_certificate_authorities, ak_offer_certificate_authorities, ak_offered_certificate_authorities, NULL, NULL},
    {AK_EXT_post_handshake_auth, ak_offer_post_handshake_auth, ak_offered_post_handshake_auth, NULL, NULL},
    {AK_EXT_compress_certificate, ak_offer_compress_certificate, ak_offered_compress_certificate, NULL, NULL},
    {AK_EXT_signed_certificate_timestamp, offer_sct, NULL, answer_sct, answered_sct},
    {AK_EXT_max_fragment_length, ak_offer_max_fragment_length, ak_offered_max_fragment_length, ak_answer_max_fragment_length, ak_answered_max_fragment_length},
    {AK_EXT_record_size_limit, offer_record_size_limit, offered_record_size_limit, answer_record_size_limit, answered_record_size_limit},
    {AK_EXT_pre_shared_key, ak_offer_pre_shared_key, NULL, NULL, NULL},
};
const size_t ak_ext_rows_count = sizeof ak_ext_rows / sizeof ak_ext_rows[0];

static const ak_ext_row *find_row(uint16_t type) {
    for (size_t i = 0; i < ak_ext_rows_count; i++)
        if (ak_ext_rows[i].type == type) return &ak_ext_rows[i];
    return NULL;
}

/* put_one: type, length, body; taken back when the row says no. */
static ak_error finish_one(ak_hs *h, ak_buf *out, size_t start, size_t mark, bool yes) {
    if (h->failed) return h->failure.error;
    if (!yes) {
        if (!out->bad) out->n = start;
        return out->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
    }
    return ak_buf_close(out, mark, 2) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

ak_error ak_ext_offer_all(ak_hs *h, ak_buf *out) {
    size_t start = out->n, block = ak_buf_open(out, 2);
    if (h->ctx->max_version == AK_SSL30) { /* its hello ends before them (RFC 6101 §5.6.1.2) */
        out->n = start;
        return AK_OK;
    }
    ak_put_grease(h, AK_GREASE_first_extension, out);
    for (size_t i = 0; i < ak_ext_rows_count; i++) {
        const ak_ext_row *r = &ak_ext_rows[i];
        size_t one = out->n;
        if (r->offer == NULL) continue;
        if (r->type == AK_EXT_pre_shared_key) {
            ak_put_grease(h, AK_GREASE_last_extension, out);
            one = out->n;
        }
        ak_buf_u16(out, r->type);
        size_t mark = ak_buf_open(out, 2);
        ak_error e = finish_one(h, out, one, mark, r->offer(h, out));
        if (e != AK_OK) return e;
    }
    ak_error padded = ak_ext_pad(h, out, block);
    if (padded != AK_OK) return padded;
    if (out->n == block && !out->bad) {
        out->n = start;
        return AK_OK;
    }
    return ak_buf_close(out, block, 2) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

/* walk: form and duplicates of a whole block, before anybody looks inside. */
static ak_error walk(ak_hs *h, ak_message_kind where, ak_view extensions) {
    ak_failure why = {0};
    ak_error e = ak_extensions_check(extensions, NULL, &why);
    /* the RFCs name no alert for a type that comes twice; this is what peers send */
    if (e == AK_ERR_duplicate_extension && where == AK_IN_hello_retry_request) return ak_hs_fail_alert(h, e, AK_ALERT_illegal_parameter, "%s", why.detail);
    return e == AK_OK ? AK_OK : decode_failed(h, e, &why);
}

ak_error ak_ext_read_offer(ak_hs *h) {
    if (!h->client_hello.has_extensions) return AK_OK;
    ak_error e = walk(h, AK_IN_client_hello, h->client_hello.extensions);
    for (size_t i = 0; e == AK_OK && i < ak_ext_rows_count; i++) {
        const ak_ext_row *r = &ak_ext_rows[i];
        ak_view body;
        if (h->info->version == AK_SSL30 && r->type != AK_EXT_renegotiation_info) continue;
        if (r->offered != NULL && ak_ext_client_sent(h, r->type, &body)) e = r->offered(h, body);
    }
    return e;
}

ak_error ak_ext_answer_all(ak_hs *h, ak_message_kind where, bool optional, ak_buf *out) {
    size_t start = out->n, block = ak_buf_open(out, 2);
    for (size_t i = 0; i < ak_ext_rows_count; i++) {
        const ak_ext_row *r = &ak_ext_rows[i];
        size_t one = out->n;
        if (r->answer == NULL) continue;
        bool asked = ak_ext_client_sent(h, r->type, NULL) || (r->type == AK_EXT_renegotiation_info && h->info->secure_renegotiation) ||
                     (r->type == AK_EXT_cookie && where == AK_IN_hello_retry_request); /* RFC 8446 §4.2.2 */
        if (!asked || (h->info->version == AK_SSL30 && r->type != AK_EXT_renegotiation_info)) continue;
        ak_buf_u16(out, r->type);
        size_t mark = ak_buf_open(out, 2);
        ak_error e = finish_one(h, out, one, mark, r->answer(h, where, out));
        if (e != AK_OK) return e;
    }
    if (optional && out->n == block && !out->bad) {
        out->n = start;
        return AK_OK;
    }
    return ak_buf_close(out, block, 2) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

bool ak_ext_answerable(const ak_hs *h, uint16_t type) { return !ak_is_grease(type) && ak_ext_client_sent(h, type, NULL); }

/* solicited: an answer must answer something; the renegotiation SCSV asks for renegotiation_info (RFC 5746 §3.4). */
static bool solicited(const ak_hs *h, uint16_t type) {
    return ak_ext_answerable(h, type) || (type == AK_EXT_renegotiation_info && ak_list_u16_has(h->client_hello.cipher_suites, 0x00ff));
}

ak_error ak_ext_read_answers(ak_hs *h, ak_message_kind where, ak_view extensions) {
    ak_error e = walk(h, where, extensions);
    ak_rd r;
    uint16_t type;
    ak_view body;
    ak_rd_view(&r, extensions);
    while (e == AK_OK && ak_ext_next(&r, &type, &body)) {
        const char *name = ak_name(AK_REG_extensions, type);
        if (name == NULL) name = "unknown";
        bool cookie = type == AK_EXT_cookie && where == AK_IN_hello_retry_request; /* RFC 8446 §4.2.2: the one that answers nothing */
        if (type == AK_EXT_pre_shared_key && h->offered != NULL && h->offered->version < AK_TLS13)
            return ak_hs_fail(h, AK_ERR_resumed_version_mismatch, "a pre-shared key was taken, and the session that was offered is of %s", ak_words(versions, h->offered->version));
        /* what the ServerHello has answered is asked no more */
        bool answered = where == AK_IN_encrypted_extensions && ak_extension_allowed(type, AK_IN_server_hello) == AK_PLACE_allowed;
        if (answered) return ak_hs_fail(h, AK_ERR_unsolicited_extension, "%s (%u) once more", name, type);
        if (!cookie && !solicited(h, type)) return ak_hs_fail(h, AK_ERR_unsolicited_extension, "%s (%u)", name, type);
        const ak_ext_row *row = find_row(type);
        if (h->info->version == AK_SSL30 && type != AK_EXT_renegotiation_info) return ak_hs_fail(h, AK_ERR_misplaced_extension, "%s (%u) in SSL 3.0", name, type);
        bool old = type == AK_EXT_renegotiation_info || type == AK_EXT_extended_master_secret || type == AK_EXT_session_ticket || type == AK_EXT_ec_point_formats;
        if (old && where == AK_IN_encrypted_extensions) return ak_hs_fail(h, AK_ERR_legacy_extension, "%s (%u)", name, type);
        /* supported_groups in a ServerHello of TLS 1.2: some servers do it, and nothing follows from it */
        if (ak_extension_allowed(type, where) == AK_PLACE_wrong && !(type == AK_EXT_supported_groups && where == AK_IN_server_hello_12))
            return ak_hs_fail(h, AK_ERR_misplaced_extension, "%s (%u)", name, type);
        if (row != NULL && row->answered != NULL) e = row->answered(h, where, body);
    }
    /* RFC 8449 §5 */
    if (e == AK_OK && ak_ext_find(extensions, AK_EXT_record_size_limit, &body) && ak_ext_find(extensions, AK_EXT_max_fragment_length, &body))
        return ak_hs_fail(h, AK_ERR_illegal_parameter, "record_size_limit and max_fragment_length in one answer");
    return e;
}
