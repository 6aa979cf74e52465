/* key_exchange12.c: ServerKeyExchange, ServerHelloDone, ClientKeyExchange (RFC 5246 §7.4.3, §7.4.5, §7.4.7; RFC 8422 §5.4, §5.7; RFC 4279; RFC 6101 §5.6.7). */
#include "handshake/messages12.h"

#include "handshake/auth.h"
#include "handshake/keys.h"

#include <string.h>

static ak_error bad(ak_hs *h, ak_error e, const ak_failure *why) { return ak_hs_fail(h, e, "%s", why->detail); }

/* ---- ServerKeyExchange ------------------------------------------------------------------------------------------------------------- */

static bool is_dhe(ak_kx kx) { return kx == AK_KX_dhe || kx == AK_KX_dhe_psk; }
static bool is_ecdhe(ak_kx kx) { return kx == AK_KX_ecdhe || kx == AK_KX_ecdhe_psk; }

/* The parameters of RFC 7919's groups go on the wire in full (dh_p, dh_g). */
static ak_error put_dh_params(ak_hs *h, ak_buf *b) {
    ak_view p, g;
    if (!ak_group_dh_params(h->p, h->info->group, &p, &g)) return ak_hs_fail(h, AK_ERR_unsupported, "%s", h->info->group->name);
    ak_buf_vec(b, p, 2);
    ak_buf_vec(b, g, 2);
    ak_buf_vec(b, ak_share_public(h->shares[0]), 2);
    return AK_OK;
}

static ak_error put_params(ak_hs *h, ak_buf *b) {
    ak_failure why = {0};
    h->shares[0] = ak_share_new(h->p, h->info->group, &why);
    if (h->shares[0] == NULL) return bad(h, why.error, &why);
    h->n_shares = 1;
    if (is_dhe(h->info->suite->kx)) return put_dh_params(h, b);
    ak_buf_u8(b, 3); /* named_curve */
    ak_buf_u16(b, h->info->group->id);
    ak_buf_vec(b, ak_share_public(h->shares[0]), 1);
    return AK_OK;
}

ak_error ak_compose_server_key_exchange(ak_hs *h, ak_buf *b) {
    const ak_suite *s = h->info->suite;
    if (ak_kx_has_psk(s->kx)) ak_buf_vec(b, ak_buf_view(&h->ctx->psk_hint), 2);
    if (is_dhe(s->kx) || is_ecdhe(s->kx)) {
        ak_error e = put_params(h, b);
        if (e != AK_OK) return e;
    }
    if (ak_suite_signs_params(s)) {
        if (h->info->version >= AK_TLS12) ak_buf_u16(b, h->scheme->id);
        ak_buf_u16(b, 0); /* the signature is still open */
    }
    return b->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
}

/* The parts of a ServerKeyExchange; those that the suite's form does not have are empty. */
typedef struct parts {
    ak_view hint, params;
    uint16_t algorithm; /* TLS 1.2 */
    ak_view signature;
} parts;

static bool split(const ak_hs *h, ak_view body, parts *out) {
    const ak_suite *s = h->info->suite;
    ak_rd r;
    ak_view v;
    uint8_t type;
    uint16_t group;
    memset(out, 0, sizeof *out);
    ak_rd_view(&r, body);
    if (ak_kx_has_psk(s->kx)) ak_rd_vec(&r, &out->hint, 2);
    size_t at = ak_rd_offset(&r);
    if (is_dhe(s->kx)) {
        for (int i = 0; i < 3; i++) ak_rd_vec(&r, &v, 2);
    } else if (is_ecdhe(s->kx)) {
        ak_rd_u8(&r, &type);
        ak_rd_u16(&r, &group);
        ak_rd_vec(&r, &v, 1);
    }
    out->params = ak_view_of(body.p + at, r.bad ? 0 : ak_rd_offset(&r) - at);
    if (ak_suite_signs_params(s)) {
        if (h->info->version >= AK_TLS12) ak_rd_u16(&r, &out->algorithm);
        ak_rd_vec(&r, &out->signature, 2);
    }
    return ak_rd_done(&r);
}

/* signed_params: client_random, server_random and the parameters: what a ServerKeyExchange signs. */
static bool signed_params(const ak_hs *h, ak_view params, ak_buf *out) {
    ak_buf_init(out, 1 << 18);
    ak_buf_put(out, h->info->client_random, 32);
    ak_buf_put(out, h->info->server_random, 32);
    return ak_buf_put_view(out, params);
}

/* A script's own bytes, or its own signature, stay as they are. */
ak_error ak_seal_server_key_exchange(ak_hs *h, ak_buf *m, size_t at) {
    ak_failure why = {0};
    parts k;
    ak_buf data;
    if (!ak_suite_signs_params(h->info->suite) || m->n < at || !split(h, ak_view_of(m->p + at, m->n - at), &k) || k.signature.n != 0) return AK_OK;
    const ak_scheme *s = h->info->version >= AK_TLS12 ? ak_scheme_find(k.algorithm) : h->scheme;
    if (s == NULL || !ak_scheme_fits(s, h->identity->key, h->info->version)) s = h->scheme;
    if (!signed_params(h, k.params, &data)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    m->n -= 2;
    size_t mark = ak_buf_open(m, 2);
    ak_error e = ak_sign(h->p, h->identity->key, s, ak_buf_view(&data), m, &why);
    ak_buf_free(&data);
    if (e != AK_OK) return bad(h, e, &why);
    return ak_buf_close(m, mark, 2) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

static ak_error check_params_signature(ak_hs *h, const parts *k) {
    ak_failure why = {0};
    ak_buf data;
    const ak_scheme *s = h->info->version >= AK_TLS12 ? ak_scheme_find(k->algorithm) : ak_auth_scheme(h, h->peer_key, h->info->version);
    bool offered = h->info->version < AK_TLS12 || ak_auth_scheme_offered(h, k->algorithm);
    if (s == NULL || !offered || !ak_scheme_fits(s, h->peer_key, h->info->version))
        return ak_hs_fail(h, AK_ERR_wrong_scheme, "%s in ServerKeyExchange", ak_words(schemes, k->algorithm));
    h->info->peer_scheme = s;
    bool ok = signed_params(h, k->params, &data);
    ak_error e = ok ? ak_verify_signature(h->p, h->peer_key, s, ak_buf_view(&data), k->signature, &why) : AK_ERR_out_of_memory;
    ak_buf_free(&data);
    return e == AK_OK ? AK_OK : ak_hs_fail(h, ok ? AK_ERR_bad_signature : e, "ServerKeyExchange");
}

static ak_error find_group(ak_hs *h, const struct ak_server_ecdh_params *p) {
    const ak_group *g = ak_group_find(p->named_curve);
    if (g == NULL || g->kind == AK_GROUP_ff || g->min_version > h->info->version || g->max_version < h->info->version ||
        !ak_auth_client_lists_group(h, p->named_curve))
        return ak_hs_fail(h, AK_ERR_wrong_group, "group %u in ServerKeyExchange", p->named_curve);
    h->info->group = g;
    return AK_OK;
}

/* RFC 7919's groups are known by their prime; others have no name. */
static const ak_group *named_dh_group(ak_hs *h, ak_view prime) {
    ak_view p, g;
    for (size_t i = 0; i < ak_groups_count; i++)
        if (ak_groups[i].kind == AK_GROUP_ff && ak_group_dh_params(h->p, &ak_groups[i], &p, &g) && ak_view_eq(p, prime)) return &ak_groups[i];
    return NULL;
}

static ak_error derive_ecdhe(ak_hs *h, const parts *k) {
    struct ak_server_ecdh_params p;
    ak_failure why = {0};
    ak_error e = ak_decode_server_ecdh_params(k->params, &p, &why);
    if (e != AK_OK) return bad(h, e, &why);
    e = find_group(h, &p);
    if (e == AK_OK && ak_suite_signs_params(h->info->suite)) e = check_params_signature(h, k);
    if (e != AK_OK) return e;
    h->shares[0] = ak_share_new(h->p, h->info->group, &why);
    if (h->shares[0] == NULL) return bad(h, why.error, &why);
    h->n_shares = 1;
    e = ak_share_derive(h->p, h->shares[0], p.point, false, &h->secrets.premaster, &why);
    return e == AK_OK ? AK_OK : bad(h, e, &why);
}

/* derived: the end of a derivation. RFC 7919 §3 and §4 want handshake_failure for a finite-field value outside 2..p-2. */
static ak_error derived(ak_hs *h, ak_error e, bool finite_field, const ak_failure *why) {
    if (e == AK_OK) return AK_OK;
    if (finite_field && e == AK_ERR_bad_key_share) return ak_hs_fail_alert(h, e, AK_ALERT_handshake_failure, "%s", why->detail);
    return bad(h, e, why);
}

static ak_error derive_dhe(ak_hs *h, const parts *k) {
    struct ak_server_dh_params p;
    ak_failure why = {0};
    ak_error e = ak_decode_server_dh_params(k->params, &p, &why);
    if (e != AK_OK) return bad(h, e, &why);
    /* first the proof, then the costly look at the prime */
    if (ak_suite_signs_params(h->info->suite)) e = check_params_signature(h, k);
    if (e != AK_OK) return e;
    e = ak_dh_check(h->p, p.dh_p, p.dh_g, h->ctx->min_dh_bits, &why);
    if (e != AK_OK) return bad(h, e, &why);
    h->info->group = named_dh_group(h, p.dh_p);
    h->shares[0] = ak_share_new_dh(h->p, p.dh_p, p.dh_g, &why);
    if (h->shares[0] == NULL) return bad(h, why.error, &why);
    h->n_shares = 1;
    e = ak_share_derive(h->p, h->shares[0], p.dh_ys, true, &h->secrets.premaster, &why);
    return derived(h, e, true, &why);
}

/* check_form: the strict decode by the form that the suite and the version give the message. */
static ak_error check_form(ak_hs *h, uint8_t type, ak_view body) {
    const ak_wire_context c = {h->info->version, (uint16_t)ak_suite_wire_kx(h->info->suite->id), AK_SENDER_any};
    ak_failure why = {0};
    ak_error e = ak_message_check(type, body, &c, NULL, &why);
    return e == AK_OK ? AK_OK : bad(h, e, &why);
}

#define HINT_MAX 128 /* RFC 4279 §5.1: what an implementation must support; a longer one is not looked at */

ak_error ak_receive_server_key_exchange(ak_hs *h, ak_view body) {
    ak_kx kx = h->info->suite->kx;
    parts k;
    ak_error e = check_form(h, AK_HT_server_key_exchange, body);
    if (e != AK_OK) return e;
    if (!split(h, body, &k)) return ak_hs_fail(h, AK_ERR_decode_error, "ServerKeyExchange");
    ak_buf_clear(&h->psk_hint);
    if (k.hint.n <= HINT_MAX && !ak_buf_put_view(&h->psk_hint, k.hint)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    if (is_dhe(kx)) return derive_dhe(h, &k);
    return is_ecdhe(kx) ? derive_ecdhe(h, &k) : AK_OK;
}

/* ---- ServerHelloDone ------------------------------------------------------------------------------------------------------------------ */

ak_error ak_compose_server_hello_done(ak_hs *h, ak_buf *b) {
    (void)h;
    (void)b;
    return AK_OK;
}

/* A server that announced a stapled status and sent none: the chain is still to be judged. */
ak_error ak_receive_server_hello_done(ak_hs *h, ak_view body) {
    if (body.n != 0) return ak_hs_fail(h, AK_ERR_trailing_data, "ServerHelloDone has %zu bytes", body.n);
    if (h->expect_status && ak_suite_has_certificate(h->info->suite)) {
        ak_error e = ak_auth_verify(h);
        if (e != AK_OK) return e;
        h->expect_status = false;
    }
    if (!h->client_certificate_requested || h->identity == NULL) ak_transcript_forget_raw(&h->transcript);
    if (h->client_certificate_requested && h->identity == NULL && h->info->version == AK_SSL30) h->actions |= AK_ACT_no_certificate;
    return AK_OK;
}

/* ---- ClientKeyExchange ------------------------------------------------------------------------------------------------------------------- */

static bool rsa_length_prefix(const ak_hs *h) { return h->info->version > AK_SSL30; } /* RFC 6101 §5.6.7.1 has none */

/* RSA: the version of the ClientHello, not the negotiated one, and 46 random bytes (RFC 5246 §7.4.7.1). */
static ak_error compose_rsa(ak_hs *h, ak_buf *b) {
    ak_failure why = {0};
    uint8_t premaster[48];
    if (!ak_random(h->p, AK_PURPOSE_premaster, premaster + 2, 46)) return ak_hs_fail(h, AK_ERR_randomness, "premaster");
    premaster[0] = (uint8_t)(h->client_version >> 8);
    premaster[1] = (uint8_t)h->client_version;
    bool ok = ak_buf_put(&h->secrets.premaster, premaster, sizeof premaster);
    size_t mark = rsa_length_prefix(h) ? ak_buf_open(b, 2) : 0;
    ak_error e = ok ? ak_rsa_encrypt(h->p, h->peer_key, ak_view_of(premaster, sizeof premaster), b, &why) : AK_ERR_out_of_memory;
    ak_wipe(premaster, sizeof premaster);
    if (e != AK_OK) return bad(h, e, &why);
    if (mark != 0) ak_buf_close(b, mark, 2);
    return AK_OK;
}

ak_error ak_compose_client_key_exchange(ak_hs *h, ak_buf *b) {
    ak_kx kx = h->info->suite->kx;
    ak_error e = AK_OK;
    if (ak_kx_has_psk(kx)) {
        e = ak_psk12_choose(h, ak_buf_view(&h->psk_hint));
        if (e != AK_OK) return e;
        ak_buf_vec(b, ak_buf_view(&h->info->psk_identity), 2);
    }
    if (is_dhe(kx)) ak_buf_vec(b, ak_share_public(h->shares[0]), 2);
    else if (is_ecdhe(kx)) ak_buf_vec(b, ak_share_public(h->shares[0]), 1);
    else if (kx != AK_KX_psk) e = compose_rsa(h, b);
    if (e != AK_OK) return e;
    return b->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
}

static ak_error receive_rsa(ak_hs *h, ak_view ciphertext) {
    ak_failure why = {0};
    ak_secret premaster = {.n = 0};
    /* From here nothing tells a good pre-master secret from a bad one but Finished: same code, same time (Bleichenbacher, ROBOT). */
    ak_error e = ak_rsa_premaster(h->p, h->identity->key, ciphertext, h->client_version, &premaster, &why);
    if (e != AK_OK) return bad(h, e, &why);
    bool ok = ak_buf_put_view(&h->secrets.premaster, ak_secret_view(&premaster));
    ak_secret_wipe(&premaster);
    return ok ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

static ak_error receive_share(ak_hs *h, ak_view value) {
    ak_failure why = {0};
    bool finite_field = is_dhe(h->info->suite->kx);
    ak_error e = ak_share_derive(h->p, h->shares[0], value, finite_field, &h->secrets.premaster, &why);
    return derived(h, e, finite_field, &why);
}

/* Called a second time, in phase 1, when the application has been asked for the key of an identity. */
ak_error ak_receive_client_key_exchange(ak_hs *h, ak_view body) {
    ak_kx kx = h->info->suite->kx;
    ak_view identity = {NULL, 0}, value = {NULL, 0};
    ak_rd r;
    ak_error e = h->phase == 0 ? check_form(h, AK_HT_client_key_exchange, body) : AK_OK;
    if (e != AK_OK) return e;
    ak_rd_view(&r, body);
    if (ak_kx_has_psk(kx)) {
        ak_rd_vec(&r, &identity, 2);
        e = h->phase == 0 ? ak_psk12_look_up(h, identity) : ak_psk12_answered(h, identity);
        if (e == AK_AGAIN) h->phase = 1;
        if (e != AK_OK) return e;
    }
    if (is_ecdhe(kx)) ak_rd_vec(&r, &value, 1);
    else if (is_dhe(kx) || (kx != AK_KX_psk && rsa_length_prefix(h))) ak_rd_vec(&r, &value, 2);
    else ak_rd_rest(&r, &value);
    if (!ak_rd_done(&r)) return ak_hs_fail(h, AK_ERR_decode_error, "ClientKeyExchange");
    if (kx == AK_KX_psk) return AK_OK;
    return is_dhe(kx) || is_ecdhe(kx) ? receive_share(h, value) : receive_rsa(h, value);
}

ak_error ak_after_client_key_exchange(ak_hs *h) {
    ak_error e = AK_OK;
    ak_hs_drop_shares(h);
    if (ak_kx_has_psk(h->info->suite->kx)) e = ak_psk12_premaster(h);
    if (e == AK_OK) e = ak_keys12_master(h);
    return e == AK_OK ? ak_keys12_expand(h) : e;
}
