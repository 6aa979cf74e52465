/* extensions13.c: the extensions that only TLS 1.3 has (RFC 8446 §4.2), as rows for extensions.c. pre_shared_key is psk.c's, early_data early_data.c's. */
#include "handshake/extensions.h"

#include "handshake/auth.h"
#include "handshake/messages13.h"

#include <string.h>

bool ak_offers_13(const ak_hs *h) {
    if (h->flow13 == NULL) return false;
    for (size_t i = 0; i < h->ctx->n_suites; i++) {
        const ak_suite *s = ak_suite_find(h->ctx->suites[i]);
        if (s != NULL && ak_suite_is_13(s) && ak_suite_usable(h->p, s)) return true;
    }
    return false;
}

/* ---- supported_versions (§4.2.1) ------------------------------------------------------------------------------------------- */

bool ak_offer_supported_versions(ak_hs *h, ak_buf *b) {
    const ak_context *c = h->ctx;
    if (!ak_offers_13(h)) return false;
    size_t list = ak_buf_open(b, 1);
    if (ak_greases(h)) ak_buf_u16(b, ak_grease(h, AK_GREASE_version));
    for (uint16_t v = c->max_version; v >= c->min_version && v > AK_SSL30; v--) ak_buf_u16(b, v);
    return ak_buf_close(b, list, 1);
}

bool ak_answer_supported_versions(ak_hs *h, ak_message_kind where, ak_buf *b) {
    return (where == AK_IN_server_hello || where == AK_IN_hello_retry_request) && ak_buf_u16(b, h->info->version);
}

/* ---- key_share (§4.2.8) ------------------------------------------------------------------------------------------------------- */

bool ak_make_share(ak_hs *h, const ak_group *g, ak_buf *b) {
    ak_failure why = {0};
    if (h->n_shares == sizeof h->shares / sizeof h->shares[0]) return true;
    ak_share *s = ak_share_new(h->p, g, &why);
    if (s == NULL) {
        ak_hs_fail(h, why.error, "%s", why.detail);
        return false;
    }
    h->shares[h->n_shares++] = s;
    ak_buf_u16(b, g->id);
    return ak_buf_vec(b, ak_share_public(s), 2);
}

static const ak_group *usable_group(const ak_hs *h, uint16_t id) {
    const ak_group *g = ak_group_find(id);
    return g != NULL && g->max_version >= AK_TLS13 && ak_group_usable(h->p, g) ? g : NULL;
}

/* Which groups get a share when the context does not say: the first; and when that is a hybrid, which a server may not have, the first that is none. */
static bool default_shares(ak_hs *h, ak_buf *b) {
    const ak_context *c = h->ctx;
    bool hybrid = false;
    for (size_t i = 0; i < c->n_groups; i++) {
        const ak_group *g = usable_group(h, c->groups[i]);
        if (g == NULL || (hybrid && g->kind == AK_GROUP_hybrid)) continue;
        if (!ak_make_share(h, g, b)) return false;
        if (g->kind != AK_GROUP_hybrid) break;
        hybrid = true;
    }
    return true;
}

bool ak_offer_key_share(ak_hs *h, ak_buf *b) {
    const ak_context *c = h->ctx;
    if (!ak_offers_13(h) || c->n_groups == 0) return false;
    size_t list = ak_buf_open(b, 2);
    bool ok = true;
    if (ak_greases(h)) { /* RFC 8701 §3.1: a group that supported_groups lists, too */
        ak_buf_u16(b, ak_grease(h, AK_GREASE_group));
        ak_buf_vec(b, ak_view_of("", 1), 2);
    }
    if (c->n_key_shares == 0) ok = default_shares(h, b);
    for (size_t i = 0; ok && i < c->n_key_shares; i++) {
        const ak_group *g = usable_group(h, c->key_shares[i]);
        if (g != NULL) ok = ak_make_share(h, g, b);
    }
    return ok && ak_buf_close(b, list, 2);
}

/* A bit for each group: a client may list as many as it likes, and each is looked up once. */
typedef struct group_set {
    uint8_t bits[8192];
} group_set;

static bool has(const group_set *s, uint16_t id) { return (s->bits[id >> 3] & 1u << (id & 7)) != 0; }
static void add(group_set *s, uint16_t id) { s->bits[id >> 3] |= (uint8_t)(1u << (id & 7)); }

ak_error ak_offered_key_share(ak_hs *h, ak_view body) {
    struct ak_ext_key_share_client x;
    struct ak_ext_supported_groups groups;
    struct ak_key_share_entry entry;
    group_set listed = {{0}}, shared = {{0}};
    ak_view list;
    ak_rd r;
    if (!ak_hs_is_13(h)) return AK_OK;
    AK_EXT_READ_AS(ext_key_share_client, &x, AK_ERR_malformed_key_share);
    if (!ak_ext_client_sent(h, AK_EXT_supported_groups, &list)) return ak_hs_fail(h, AK_ERR_missing_groups, "key_share without supported_groups (RFC 8446 §9.2)");
    body = list;
    AK_EXT_READ(ext_supported_groups, &groups);
    for (size_t i = 0; i < ak_list_u16_count(groups.named_group_list); i++) add(&listed, ak_list_u16_at(groups.named_group_list, i));
    for (ak_rd_view(&r, x.key_shares); ak_next_key_share_entry(&r, &entry);) {
        if (has(&shared, entry.group)) return ak_hs_fail(h, AK_ERR_duplicate_key_share, "group %u", entry.group);
        if (!has(&listed, entry.group)) return ak_hs_fail(h, AK_ERR_wrong_group, "a share for group %u, which supported_groups does not have", entry.group);
        add(&shared, entry.group);
    }
    return AK_OK;
}

bool ak_client_share(const ak_hs *h, uint16_t group, ak_view *value) {
    struct ak_ext_key_share_client x;
    struct ak_key_share_entry entry;
    ak_failure ignored = {0};
    ak_view body;
    ak_rd r;
    if (!ak_ext_client_sent(h, AK_EXT_key_share, &body) || ak_decode_ext_key_share_client(body, &x, &ignored) != AK_OK) return false;
    for (ak_rd_view(&r, x.key_shares); ak_next_key_share_entry(&r, &entry);) {
        if (entry.group != group) continue;
        *value = entry.key_exchange;
        return true;
    }
    return false;
}

bool ak_answer_key_share(ak_hs *h, ak_message_kind where, ak_buf *b) {
    const ak_flow13 *f = ak_flow13_of(h);
    if (where == AK_IN_hello_retry_request) return f->retry_group != NULL && ak_buf_u16(b, f->retry_group->id);
    if (where != AK_IN_server_hello || h->info->group == NULL) return false;
    ak_buf_u16(b, h->info->group->id);
    return ak_buf_vec(b, ak_buf_view(&h->share_public), 2);
}

/* The server asks for another share: one of a group that we have named and not sent a share for (§4.1.4). */
static ak_error answered_retry(ak_hs *h, ak_view body) {
    struct ak_ext_key_share_hrr x;
    ak_view ignored;
    AK_EXT_READ_AS(ext_key_share_hrr, &x, AK_ERR_malformed_key_share);
    const ak_group *g = usable_group(h, x.selected_group);
    const char *name = ak_name(AK_REG_groups, x.selected_group);
    if (name == NULL) name = "unknown";
    if (g == NULL || !ak_auth_client_lists_group(h, x.selected_group))
        return ak_hs_fail(h, AK_ERR_wrong_group, "a HelloRetryRequest for %s (%u)", name, x.selected_group);
    if (ak_client_share(h, x.selected_group, &ignored)) return ak_hs_fail(h, AK_ERR_wrong_group, "a HelloRetryRequest for what it has: there is a share for %s already", name);
    ak_flow13_of(h)->retry_group = g;
    return AK_OK;
}

ak_error ak_answered_key_share(ak_hs *h, ak_message_kind where, ak_view body) {
    struct ak_ext_key_share_server x;
    ak_failure why = {0};
    if (where == AK_IN_hello_retry_request) return answered_retry(h, body);
    AK_EXT_READ_AS(ext_key_share_server, &x, AK_ERR_malformed_key_share);
    const ak_group *asked = ak_flow13_of(h)->retry_group;
    if (asked != NULL && asked->id != x.group) return ak_hs_fail(h, AK_ERR_wrong_group, "group %u, after a HelloRetryRequest for %s", x.group, asked->name);
    for (size_t i = 0; i < h->n_shares; i++) {
        if (ak_share_group(h->shares[i])->id != x.group) continue;
        h->info->group = ak_share_group(h->shares[i]);
        ak_error e = ak_share_derive(h->p, h->shares[i], x.key_exchange, false, &h->secrets.premaster, &why);
        return e == AK_OK ? AK_OK : ak_hs_fail(h, e, "%s", why.detail);
    }
    return ak_hs_fail(h, AK_ERR_wrong_group, "the server's share is of group %u, for which none was sent", x.group);
}

/* ---- cookie (§4.2.2) -------------------------------------------------------------------------------------------------------------- */

/* Its form; whether it is the one that was given is server13.c's business. */
ak_error ak_offered_cookie(ak_hs *h, ak_view body) {
    struct ak_ext_cookie x;
    if (!ak_hs_is_13(h)) return AK_OK;
    AK_EXT_READ_AS(ext_cookie, &x, AK_ERR_malformed_cookie);
    return AK_OK;
}

bool ak_answer_cookie(ak_hs *h, ak_message_kind where, ak_buf *b) {
    const ak_flow13 *f = ak_flow13_of(h);
    return where == AK_IN_hello_retry_request && f->cookie.n != 0 && ak_buf_vec(b, ak_buf_view(&f->cookie), 2);
}

ak_error ak_answered_cookie(ak_hs *h, ak_message_kind where, ak_view body) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_ext_cookie x;
    (void)where;
    AK_EXT_READ_AS(ext_cookie, &x, AK_ERR_malformed_cookie);
    ak_buf_clear(&f->cookie);
    return ak_buf_put_view(&f->cookie, x.cookie) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

/* ---- psk_key_exchange_modes (§4.2.9) ------------------------------------------------------------------------------------------------ */

bool ak_offer_psk_key_exchange_modes(ak_hs *h, ak_buf *b) {
    const ak_context *c = h->ctx;
    if (!ak_offers_13(h) || c->psk_modes == 0 || (!c->tickets && c->n_psks == 0)) return false;
    size_t list = ak_buf_open(b, 1);
    if (ak_greases(h)) ak_buf_u8(b, ak_grease(h, AK_GREASE_psk_mode));
    if ((c->psk_modes & AK_PSK_dhe_ke) != 0) ak_buf_u8(b, AK_PSK_MODE_psk_dhe_ke);
    if ((c->psk_modes & AK_PSK_ke) != 0) ak_buf_u8(b, AK_PSK_MODE_psk_ke);
    return ak_buf_close(b, list, 1);
}

ak_error ak_offered_psk_key_exchange_modes(ak_hs *h, ak_view body) {
    struct ak_ext_psk_key_exchange_modes x;
    if (!ak_hs_is_13(h)) return AK_OK;
    AK_EXT_READ(ext_psk_key_exchange_modes, &x);
    ak_flow13_of(h)->psk_modes = (ak_list_u8_has(x.ke_modes, AK_PSK_MODE_psk_dhe_ke) ? AK_PSK_dhe_ke : 0u) | (ak_list_u8_has(x.ke_modes, AK_PSK_MODE_psk_ke) ? AK_PSK_ke : 0u);
    return AK_OK;
}

/* ---- signature_algorithms_cert (§4.2.3), certificate_authorities (§4.2.4) -------------------------------------------------------------- */

bool ak_offer_signature_algorithms_cert(ak_hs *h, ak_buf *b) {
    const ak_context *c = h->ctx;
    if (c->n_cert_schemes == 0 || c->max_version < AK_TLS12) return false;
    size_t list = ak_buf_open(b, 2);
    for (size_t i = 0; i < c->n_cert_schemes; i++) ak_buf_u16(b, c->cert_schemes[i]);
    return ak_buf_close(b, list, 2);
}

ak_error ak_offered_signature_algorithms_cert(ak_hs *h, ak_view body) {
    struct ak_ext_signature_algorithms_cert x;
    AK_EXT_READ_AS(ext_signature_algorithms_cert, &x, AK_ERR_malformed_schemes);
    if (ak_hs_is_13(h)) ak_chain_schemes_take(h, x.supported_signature_algorithms);
    return AK_OK;
}

#define CA_NAMES_MAX 16384

bool ak_offer_certificate_authorities(ak_hs *h, ak_buf *b) {
    if (!h->ctx->send_ca_names || !ak_offers_13(h) || h->ctx->trust == NULL) return false;
    size_t names = ak_buf_open(b, 2);
    ak_trust_names(h->ctx->trust, CA_NAMES_MAX, b);
    return b->n > names && ak_buf_close(b, names, 2);
}

ak_error ak_offered_certificate_authorities(ak_hs *h, ak_view body) {
    struct ak_ext_certificate_authorities x;
    if (!ak_hs_is_13(h)) return AK_OK;
    AK_EXT_READ(ext_certificate_authorities, &x);
    ak_buf_clear(&h->peer_ca_names);
    return ak_buf_put_view(&h->peer_ca_names, x.authorities) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}
