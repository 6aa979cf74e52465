/* key_exchange12.c: ServerKeyExchange, ServerHelloDone, ClientKeyExchange (RFC 5246 §7.4.3, §7.4.5, §7.4.7; RFC 8422 §5.4, §5.7). */
#include "handshake/messages12.h"

#include "handshake/auth.h"
#include "handshake/keys.h"

#include <string.h>

static ak_error bad(ak_hs *h, ak_error e, const ak_failure *why) { return ak_hs_fail(h, e, "%s", why->detail); }

/* ---- ServerKeyExchange ------------------------------------------------------------------------------------------------------------- */

/* The parameters of RFC 7919's groups go on the wire in full (dh_p, dh_g). */
static ak_error put_dh_params(ak_hs *h, ak_buf *b) {
    ak_view p, g;
    if (!ak_group_dh_params(h->p, h->info->group, &p, &g)) return ak_hs_fail(h, AK_ERR_unsupported, "%s", h->info->group->name);
    ak_buf_vec(b, p, 2);
    ak_buf_vec(b, g, 2);
    ak_buf_vec(b, ak_share_public(h->shares[0]), 2);
    return AK_OK;
}

ak_error ak_compose_server_key_exchange(ak_hs *h, ak_buf *b) {
    const ak_suite *s = h->info->suite;
    ak_failure why = {0};
    h->shares[0] = ak_share_new(h->p, h->info->group, &why);
    if (h->shares[0] == NULL) return bad(h, why.error, &why);
    h->n_shares = 1;
    if (s->kx == AK_KX_dhe) {
        ak_error e = put_dh_params(h, b);
        if (e != AK_OK) return e;
    } else {
        ak_buf_u8(b, 3); /* named_curve */
        ak_buf_u16(b, h->info->group->id);
        ak_buf_vec(b, ak_share_public(h->shares[0]), 1);
    }
    if (s->auth != AK_AUTH_anon) {
        if (h->info->version >= AK_TLS12) ak_buf_u16(b, h->scheme->id);
        ak_buf_u16(b, 0); /* the signature is still open */
    }
    return b->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
}

/* signed_params: client_random, server_random and the parameters: what a ServerKeyExchange signs. */
static bool signed_params(const ak_hs *h, ak_view params, ak_buf *out) {
    ak_buf_init(out, 1 << 17);
    ak_buf_put(out, h->info->client_random, 32);
    ak_buf_put(out, h->info->server_random, 32);
    return ak_buf_put_view(out, params);
}

/* params_of: where the parameters end in a body, by its form. */
static bool params_of(const ak_hs *h, ak_view body, ak_view *params) {
    ak_rd r;
    ak_view v;
    uint8_t type;
    uint16_t group;
    ak_rd_view(&r, body);
    if (h->info->suite->kx == AK_KX_dhe) {
        if (!ak_rd_vec(&r, &v, 2) || !ak_rd_vec(&r, &v, 2) || !ak_rd_vec(&r, &v, 2)) return false;
    } else if (!ak_rd_u8(&r, &type) || !ak_rd_u16(&r, &group) || !ak_rd_vec(&r, &v, 1)) {
        return false;
    }
    *params = ak_view_of(body.p, ak_rd_offset(&r));
    return true;
}

ak_error ak_seal_server_key_exchange(ak_hs *h, ak_buf *m, size_t at) {
    ak_failure why = {0};
    ak_view params;
    ak_buf data;
    size_t head = h->info->version >= AK_TLS12 ? 2 : 0;
    if (h->info->suite->auth == AK_AUTH_anon || m->n < at) return AK_OK;
    if (!params_of(h, ak_view_of(m->p + at, m->n - at), &params)) return AK_OK; /* a script's own bytes */
    size_t end = at + params.n;
    if (m->n != end + head + 2 || m->p[m->n - 1] != 0 || m->p[m->n - 2] != 0) return AK_OK;
    const ak_scheme *s = head != 0 ? ak_scheme_find((uint16_t)(m->p[end] << 8 | m->p[end + 1])) : h->scheme;
    if (s == NULL || !ak_scheme_fits(s, h->identity->key, h->info->version)) s = h->scheme;
    if (!signed_params(h, params, &data)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    m->n -= 2;
    size_t mark = ak_buf_open(m, 2);
    ak_error e = ak_sign(h->p, h->identity->key, s, ak_buf_view(&data), m, &why);
    ak_buf_free(&data);
    if (e != AK_OK) return bad(h, e, &why);
    return ak_buf_close(m, mark, 2) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

static ak_error check_params_signature(ak_hs *h, ak_view params, uint16_t algorithm, ak_view signature) {
    ak_failure why = {0};
    ak_buf data;
    const ak_scheme *s;
    if (h->info->version >= AK_TLS12) {
        s = ak_scheme_find(algorithm);
        if (s == NULL || !ak_auth_scheme_offered(h, algorithm) || !ak_scheme_fits(s, h->peer_key, h->info->version)) {
            const char *name = ak_name(AK_REG_schemes, algorithm);
            return ak_hs_fail(h, AK_ERR_wrong_scheme, "%s (%04x) in ServerKeyExchange", name != NULL ? name : "unknown", algorithm);
        }
    } else {
        s = ak_auth_scheme(h, h->peer_key, h->info->version);
    }
    h->info->peer_scheme = s;
    bool ok = signed_params(h, params, &data);
    ak_error e = ok ? ak_verify_signature(h->p, h->peer_key, s, ak_buf_view(&data), signature, &why) : AK_ERR_out_of_memory;
    ak_buf_free(&data);
    return e == AK_OK ? AK_OK : ak_hs_fail(h, ok ? AK_ERR_bad_signature : e, "ServerKeyExchange");
}

static ak_error receive_ecdhe(ak_hs *h, ak_view body) {
    ak_failure why = {0};
    ak_view params_raw;
    uint16_t algorithm = 0;
    ak_view signature = {NULL, 0};
    ak_error e;
    if (h->info->suite->auth == AK_AUTH_anon) {
        struct ak_server_key_exchange_ecdh_anon k;
        e = ak_decode_server_key_exchange_ecdh_anon(body, &k, &why);
        params_raw = k.params;
    } else if (h->info->version >= AK_TLS12) {
        struct ak_server_key_exchange_ecdhe_12 k;
        e = ak_decode_server_key_exchange_ecdhe_12(body, &k, &why);
        params_raw = k.params;
        algorithm = k.algorithm;
        signature = k.signature;
    } else {
        struct ak_server_key_exchange_ecdhe_10 k;
        e = ak_decode_server_key_exchange_ecdhe_10(body, &k, &why);
        params_raw = k.params;
        signature = k.signature;
    }
    struct ak_server_ecdh_params p;
    if (e == AK_OK) e = ak_decode_server_ecdh_params(params_raw, &p, &why);
    if (e != AK_OK) return bad(h, e, &why);
    const ak_group *g = ak_group_find(p.named_curve);
    if (g == NULL || g->kind == AK_GROUP_ff || g->max_version < AK_TLS12 || !ak_auth_client_lists_group(h, p.named_curve))
        return ak_hs_fail(h, AK_ERR_wrong_group, "group %u in ServerKeyExchange", p.named_curve);
    h->info->group = g;
    if (h->info->suite->auth != AK_AUTH_anon) {
        e = check_params_signature(h, params_raw, algorithm, signature);
        if (e != AK_OK) return e;
    }
    h->shares[0] = ak_share_new(h->p, g, &why);
    if (h->shares[0] == NULL) return bad(h, why.error, &why);
    h->n_shares = 1;
    e = ak_share_derive(h->p, h->shares[0], p.point, false, &h->secrets.premaster, &why);
    return e == AK_OK ? AK_OK : bad(h, e, &why);
}

static ak_error receive_dhe(ak_hs *h, ak_view body) {
    ak_failure why = {0};
    ak_view params_raw;
    uint16_t algorithm = 0;
    ak_view signature = {NULL, 0};
    ak_error e;
    if (h->info->suite->auth == AK_AUTH_anon) {
        struct ak_server_key_exchange_dh_anon k;
        e = ak_decode_server_key_exchange_dh_anon(body, &k, &why);
        params_raw = k.params;
    } else if (h->info->version >= AK_TLS12) {
        struct ak_server_key_exchange_dhe_12 k;
        e = ak_decode_server_key_exchange_dhe_12(body, &k, &why);
        params_raw = k.params;
        algorithm = k.algorithm;
        signature = k.signature;
    } else {
        struct ak_server_key_exchange_dhe_10 k;
        e = ak_decode_server_key_exchange_dhe_10(body, &k, &why);
        params_raw = k.params;
        signature = k.signature;
    }
    struct ak_server_dh_params p;
    if (e == AK_OK) e = ak_decode_server_dh_params(params_raw, &p, &why);
    if (e != AK_OK) return bad(h, e, &why);
    if (h->info->suite->auth != AK_AUTH_anon) { /* first the proof, then the costly look at the prime */
        e = check_params_signature(h, params_raw, algorithm, signature);
        if (e != AK_OK) return e;
    }
    e = ak_dh_check(h->p, p.dh_p, p.dh_g, h->ctx->min_dh_bits, &why);
    if (e != AK_OK) return bad(h, e, &why);
    h->shares[0] = ak_share_new_dh(h->p, p.dh_p, p.dh_g, &why);
    if (h->shares[0] == NULL) return bad(h, why.error, &why);
    h->n_shares = 1;
    e = ak_share_derive(h->p, h->shares[0], p.dh_ys, true, &h->secrets.premaster, &why);
    return e == AK_OK ? AK_OK : bad(h, e, &why);
}

ak_error ak_receive_server_key_exchange(ak_hs *h, ak_view body) {
    return h->info->suite->kx == AK_KX_dhe ? receive_dhe(h, body) : receive_ecdhe(h, body);
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
    return AK_OK;
}

/* ---- ClientKeyExchange ------------------------------------------------------------------------------------------------------------------- */

/* RSA: the version of the ClientHello, not the negotiated one, and 46 random bytes (RFC 5246 §7.4.7.1). */
static ak_error compose_rsa(ak_hs *h, ak_buf *b) {
    ak_failure why = {0};
    uint8_t premaster[48];
    if (!ak_random(h->p, AK_PURPOSE_premaster, premaster + 2, 46)) return ak_hs_fail(h, AK_ERR_randomness, "premaster");
    premaster[0] = (uint8_t)(h->client_version >> 8);
    premaster[1] = (uint8_t)h->client_version;
    bool ok = ak_buf_put(&h->secrets.premaster, premaster, sizeof premaster);
    size_t mark = h->info->version > AK_SSL30 ? ak_buf_open(b, 2) : 0;
    ak_error e = ok ? ak_rsa_encrypt(h->p, h->peer_key, ak_view_of(premaster, sizeof premaster), b, &why) : AK_ERR_out_of_memory;
    ak_wipe(premaster, sizeof premaster);
    if (e != AK_OK) return bad(h, e, &why);
    if (mark != 0) ak_buf_close(b, mark, 2);
    return b->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
}

ak_error ak_compose_client_key_exchange(ak_hs *h, ak_buf *b) {
    switch (h->info->suite->kx) {
    case AK_KX_rsa: return compose_rsa(h, b);
    case AK_KX_ecdhe: ak_buf_vec(b, ak_share_public(h->shares[0]), 1); break;
    case AK_KX_dhe: ak_buf_vec(b, ak_share_public(h->shares[0]), 2); break;
    default: return ak_hs_fail(h, AK_ERR_internal_error, "key exchange of %s", h->info->suite->name);
    }
    return b->bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
}

static ak_error receive_rsa(ak_hs *h, ak_view body) {
    ak_failure why = {0};
    ak_secret premaster = {.n = 0};
    ak_view ciphertext = body;
    if (h->info->version > AK_SSL30) {
        struct ak_client_key_exchange_rsa k;
        ak_error e = ak_decode_client_key_exchange_rsa(body, &k, &why);
        if (e != AK_OK) return bad(h, e, &why);
        ciphertext = k.encrypted_pre_master_secret;
    }
    /* From here nothing tells a good pre-master secret from a bad one but Finished: same code, same time (Bleichenbacher, ROBOT). */
    ak_error e = ak_rsa_premaster(h->p, h->identity->key, ciphertext, h->client_version, &premaster, &why);
    if (e != AK_OK) return bad(h, e, &why);
    bool ok = ak_buf_put_view(&h->secrets.premaster, ak_secret_view(&premaster));
    ak_secret_wipe(&premaster);
    return ok ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

ak_error ak_receive_client_key_exchange(ak_hs *h, ak_view body) {
    ak_failure why = {0};
    ak_view value;
    ak_error e;
    bool dhe = h->info->suite->kx == AK_KX_dhe;
    if (h->info->suite->kx == AK_KX_rsa) return receive_rsa(h, body);
    if (dhe) {
        struct ak_client_key_exchange_dhe k;
        e = ak_decode_client_key_exchange_dhe(body, &k, &why);
        value = k.dh_yc;
    } else {
        struct ak_client_key_exchange_ecdhe k;
        e = ak_decode_client_key_exchange_ecdhe(body, &k, &why);
        value = k.point;
    }
    if (e == AK_OK) e = ak_share_derive(h->p, h->shares[0], value, dhe, &h->secrets.premaster, &why);
    return e == AK_OK ? AK_OK : bad(h, e, &why);
}

ak_error ak_after_client_key_exchange(ak_hs *h) {
    for (size_t i = 0; i < h->n_shares; i++) {
        ak_share_free(h->shares[i]);
        h->shares[i] = NULL;
    }
    h->n_shares = 0;
    ak_error e = ak_keys12_master(h);
    return e == AK_OK ? ak_keys12_expand(h) : e;
}
