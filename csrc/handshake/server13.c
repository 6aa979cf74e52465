/* server13.c: what a server makes of a ClientHello in TLS 1.3 (RFC 8446 §4.1.1, §9.2): suite, group, pre-shared key or certificate, another hello, early data. */
#include "handshake/hello.h"

#include "handshake/auth.h"
#include "handshake/extensions.h"
#include "handshake/messages13.h"

#include <string.h>

/* ---- form ----------------------------------------------------------------------------------------------------------------------- */

static bool sent(const ak_hs *h, uint16_t type) { return ak_ext_client_sent(h, type, NULL); }

static ak_error no_schemes(ak_hs *h) { return ak_hs_fail(h, AK_ERR_missing_schemes, "(RFC 8446 §9.2)"); }

ak_error ak_server13_check_hello(ak_hs *h) {
    const struct ak_client_hello *c = &h->client_hello;
    uint16_t type;
    if (c->compression_methods.n != 1 || c->compression_methods.p[0] != 0) /* §4.1.2 */
        return ak_hs_fail(h, AK_ERR_compression_offered, "%zu compression methods in TLS 1.3", c->compression_methods.n);
    if (ak_extensions_misplaced(c->extensions, AK_IN_client_hello, &type)) return ak_hs_fail(h, AK_ERR_misplaced_extension, "extension %u in a ClientHello", type);
    if (sent(h, AK_EXT_supported_groups) && !sent(h, AK_EXT_key_share)) return ak_hs_fail(h, AK_ERR_missing_key_share, "supported_groups without key_share (RFC 8446 §9.2)");
    if (!sent(h, AK_EXT_supported_groups) && sent(h, AK_EXT_key_share)) return ak_hs_fail(h, AK_ERR_missing_groups, "key_share without supported_groups (RFC 8446 §9.2)");
    if (sent(h, AK_EXT_pre_shared_key)) return AK_OK;
    if (!sent(h, AK_EXT_signature_algorithms)) return no_schemes(h);
    if (!sent(h, AK_EXT_supported_groups)) return ak_hs_fail(h, AK_ERR_missing_groups, "(RFC 8446 §9.2)");
    return AK_OK;
}

/* check_second: the second ClientHello against the first (§4.1.2). */
static ak_error check_second(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    f->early_skips = false; /* §4.2.10: no early data after it, whatever its extensions say: it would not open */
    struct ak_ext_key_share_client x;
    struct ak_ext_cookie cookie;
    ak_failure ignored = {0};
    uint8_t now[32];
    ak_view body, value;
    if (!ak_hello_unchanging(h, now)) return ak_hs_fail(h, AK_ERR_crypto_failed, NULL);
    if (memcmp(now, f->first_hello, sizeof now) != 0) return ak_hs_fail(h, AK_ERR_hello_changed, "(RFC 8446 §4.1.2)"); /* public bytes */
    bool has_cookie = ak_ext_client_sent(h, AK_EXT_cookie, &body) && ak_decode_ext_cookie(body, &cookie, &ignored) == AK_OK;
    if (f->cookie.n != 0 && (!has_cookie || !ak_view_eq(cookie.cookie, ak_buf_view(&f->cookie)))) return ak_hs_fail(h, AK_ERR_bad_cookie, NULL);
    if (f->retry_group == NULL) return AK_OK;
    if (!ak_ext_client_sent(h, AK_EXT_key_share, &body) || ak_decode_ext_key_share_client(body, &x, &ignored) != AK_OK ||
        !ak_client_share(h, f->retry_group->id, &value) || x.key_shares.n != value.n + 4)
        return ak_hs_fail(h, AK_ERR_wrong_group, "not the one share for %s that was asked for", f->retry_group->name);
    return AK_OK;
}

/* ---- suite ------------------------------------------------------------------------------------------------------------------------ */

static const ak_suite *acceptable(const ak_hs *h, uint16_t id, ak_hash hash) {
    const ak_suite *s = ak_suite_find(id);
    bool ours = false;
    for (size_t i = 0; i < h->ctx->n_suites; i++) ours = ours || h->ctx->suites[i] == id;
    if (!ours || s == NULL || !ak_suite_fits(s, h->info->version) || !ak_suite_usable(h->p, s)) return NULL;
    if (hash != AK_HASH_none && s->prf != hash) return NULL;
    return ak_list_u16_has(h->client_hello.cipher_suites, id) ? s : NULL;
}

/* The client's first suite, GREASE left aside: ChaCha20 there means that it has no AES in hardware. */
static bool client_likes_chacha(const ak_hs *h) {
    ak_view list = h->client_hello.cipher_suites;
    for (size_t i = 0; i < ak_list_u16_count(list); i++) {
        const ak_suite *s = ak_suite_find(ak_list_u16_at(list, i));
        if (!ak_is_grease(ak_list_u16_at(list, i))) return s != NULL && s->cipher == AK_CIPHER_chacha20_poly1305;
    }
    return false;
}

const ak_suite *ak_suite13(const ak_hs *h, ak_hash hash, uint16_t first) {
    const ak_context *c = h->ctx;
    ak_view list = h->client_hello.cipher_suites;
    const ak_suite *s;
    if (first != 0 && (s = acceptable(h, first, hash)) != NULL) return s;
    if (c->prefer_client) {
        for (size_t i = 0; i < ak_list_u16_count(list); i++)
            if ((s = acceptable(h, ak_list_u16_at(list, i), hash)) != NULL) return s;
        return NULL;
    }
    for (size_t i = 0; client_likes_chacha(h) && i < c->n_suites; i++) {
        s = acceptable(h, c->suites[i], hash);
        if (s != NULL && s->cipher == AK_CIPHER_chacha20_poly1305) return s;
    }
    for (size_t i = 0; i < c->n_suites; i++)
        if ((s = acceptable(h, c->suites[i], hash)) != NULL) return s;
    return NULL;
}

/* ---- group ---------------------------------------------------------------------------------------------------------------------------- */

/* choose_group: a group of both. One that has a share already saves a round trip and is taken, unless that would give up a hybrid
 * (post-quantum) exchange that both can do. */
static const ak_group *choose_group(const ak_hs *h, bool *has_share) {
    const ak_context *c = h->ctx;
    const ak_group *best = ak_auth_shared_group(h, AK_TLS13, false);
    ak_view ignored;
    *has_share = best != NULL && ak_client_share(h, best->id, &ignored);
    if (best == NULL || *has_share || c->strict_groups) return best;
    for (size_t i = 0; i < c->n_groups; i++) {
        const ak_group *g = ak_group_find(c->groups[i]);
        if (g == NULL || g->max_version < AK_TLS13 || !ak_group_usable(h->p, g) || !ak_client_share(h, g->id, &ignored)) continue;
        if (best->kind == AK_GROUP_hybrid && g->kind != AK_GROUP_hybrid) continue;
        *has_share = true;
        return g;
    }
    return best;
}

/* ---- identity --------------------------------------------------------------------------------------------------------------------------- */

static bool identity_suits(ak_hs *h, ak_identity *id, bool named) {
    if (named && !ak_identity_issued_by(id, ak_buf_view(&h->peer_ca_names))) return false;
    if (!ak_cert_allows(id->chain.certs[0], AK_KU_digital_signature)) return false;
    const ak_scheme *s = ak_auth_scheme(h, id->key, AK_TLS13);
    if (s == NULL) return false;
    h->scheme = s;
    h->info->own_scheme = s;
    return true;
}

static ak_error choose_identity(ak_hs *h) {
    ak_identity *candidates[16];
    size_t n = ak_auth_candidates(h, candidates, 16);
    if (n == 0 && ak_flow13_of(h)->unknown_psk) return ak_hs_fail(h, AK_ERR_unknown_psk_identity, "none of those that were offered, and there is no certificate");
    if (n == 0) return ak_hs_fail(h, AK_ERR_no_identity, h->ctx->ask_identity ? "the application has none for this server name" : "this server has no certificate");
    if (!sent(h, AK_EXT_signature_algorithms)) return no_schemes(h);
    /* a chain that is signed as the client likes it before one that is not, among both one that a named CA has issued */
    for (int round = 0; round < 4; round++) {
        bool liked = round < 2, named = round % 2 == 0;
        if (named && h->peer_ca_names.n == 0) continue;
        for (size_t i = 0; i < n; i++) {
            if ((liked && !ak_chain_schemes_suit(h, candidates[i])) || !identity_suits(h, candidates[i], named)) continue;
            if (h->identity == NULL) h->identity = ak_identity_ref(candidates[i]);
            return AK_OK;
        }
    }
    return ak_hs_fail(h, AK_ERR_no_shared_scheme, "for none of %zu certificates", n);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------------------------- */

/* ask_again: a HelloRetryRequest is due. */
static ak_error ask_again(ak_hs *h, const ak_group *g) {
    ak_flow13 *f = ak_flow13_of(h);
    h->info->early_reason = f->psk ? "hello_retry_request" : "session_not_resumed";
    f->retry_due = true;
    f->retry_group = g;
    f->retry_suite = h->info->suite;
    if (!ak_hello_unchanging(h, f->first_hello)) return ak_hs_fail(h, AK_ERR_crypto_failed, NULL);
    ak_error e = ak_cookie_make(h);
    return e == AK_OK ? ak_early_refuse(h) : e;
}

static ak_error answer_share(ak_hs *h, const ak_group *g) {
    ak_failure why = {0};
    ak_view theirs;
    if (!ak_client_share(h, g->id, &theirs)) return ak_hs_fail(h, AK_ERR_missing_key_share, "%s", g->name);
    h->info->group = g;
    ak_buf_clear(&h->share_public);
    ak_error e = ak_share_answer(h->p, g, theirs, &h->share_public, &h->secrets.premaster, &why);
    return e == AK_OK ? AK_OK : ak_hs_fail(h, e, "%s", why.detail);
}

/* use_psk: psk_dhe_ke before psk_ke; which of them is possible at all was looked at when the key was chosen. */
static bool psk_without_share(const ak_hs *h) {
    unsigned modes = ak_flow13_of(h)->psk_modes & h->ctx->psk_modes;
    return ak_flow13_of(h)->psk && ((modes & AK_PSK_dhe_ke) == 0 || ak_auth_shared_group(h, AK_TLS13, false) == NULL);
}

static ak_error resume(ak_hs *h) {
    const ak_flow13 *f = ak_flow13_of(h);
    h->info->resumed = h->resumed != NULL;
    h->info->external_psk = f->psk && f->psk_external;
    if (h->resumed == NULL) return AK_OK;
    ak_early_note_age(h);
    h->info->peer_scheme = ak_scheme_find(h->resumed->peer_scheme);
    h->info->authenticated = h->resumed->created;
    return ak_hs_adopt_peer(h, h->resumed);
}

ak_error ak_server13_choose(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    ak_view none = {NULL, 0};
    bool has_share = false;
    if (h->phase >= AK_PHASE_13) return ak_early_answered(h);
    ak_error e = h->info->hello_retry ? check_second(h) : AK_OK;
    if (e != AK_OK) return e;
    if (!f->psk) h->info->suite = ak_suite13(h, AK_HASH_none, 0);
    if (h->info->suite == NULL) return ak_auth_no_suite(h);
    if (h->info->hello_retry && h->info->suite != f->retry_suite) return ak_hs_fail(h, AK_ERR_hello_changed, "the suite of the HelloRetryRequest does not fit any more");
    if (!f->psk) e = choose_identity(h);
    if (e == AK_OK && !psk_without_share(h)) {
        const ak_group *g = f->retry_group;
        if (g == NULL) g = choose_group(h, &has_share);
        else has_share = true;
        if (g == NULL) {
            e = sent(h, AK_EXT_supported_groups) ? ak_hs_fail(h, AK_ERR_no_shared_group, "none of those in supported_groups is one of this server's")
                                                 : ak_hs_fail(h, AK_ERR_missing_groups, NULL);
            return e;
        }
        if (!has_share) return ask_again(h, g);
        e = answer_share(h, g);
    }
    if (e == AK_OK && !f->psk) e = ak_keys13_early(h, h->info->suite->prf, none);
    if (e == AK_OK) e = resume(h);
    return e == AK_OK ? ak_early_decide(h) : e;
}
