#include "handshake/auth.h"

#include "handshake/extensions.h"
#include "handshake/messages12.h"
#include "handshake/renegotiation.h"
#include "handshake/hello.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- signature schemes --------------------------------------------------------------------------------------------------- */

void ak_auth_peer_schemes(ak_hs *h, ak_view list) {
    h->n_peer_schemes = 0;
    for (size_t i = 0; i < ak_schemes_count && h->n_peer_schemes < AK_LIST_MAX; i++)
        if (ak_list_u16_has(list, ak_schemes[i].id)) h->peer_schemes[h->n_peer_schemes++] = ak_schemes[i].id;
}

void ak_auth_default_schemes(ak_hs *h) {
    static const uint8_t sha1[] = {0x02, 0x01, 0x02, 0x03}; /* rsa_pkcs1_sha1, ecdsa_sha1 */
    ak_auth_peer_schemes(h, ak_view_of(sha1, sizeof sha1));
}

bool ak_auth_scheme_offered(const ak_hs *h, uint16_t scheme) {
    for (size_t i = 0; i < h->ctx->n_schemes; i++)
        if (h->ctx->schemes[i] == scheme) return true;
    return false;
}

void ak_auth_own_schemes(const ak_hs *h, ak_buf *out) {
    for (size_t i = 0; i < h->ctx->n_schemes; i++) ak_buf_u16(out, h->ctx->schemes[i]);
}

const ak_scheme *ak_auth_scheme(const ak_hs *h, ak_key *key, uint16_t version) {
    if (version < AK_TLS12) { /* RFC 4346 §7.4.3, RFC 4492 §5.4: no choice; other keys than RSA and ECDSA cannot sign there, nor ECDSA in SSL 3.0 */
        const ak_scheme *only = ak_scheme_find(ak_key_type(key) == AK_KEY_rsa ? AK_SCHEME_rsa_pkcs1_md5_sha1 : AK_SCHEME_ecdsa_sha1);
        return ak_scheme_fits(only, key, version) && (version > AK_SSL30 || only->kind == AK_KEY_rsa) ? only : NULL;
    }
    const ak_context *c = h->ctx;
    const uint16_t *own = c->n_sign_schemes != 0 ? c->sign_schemes : c->schemes;
    size_t n = c->n_sign_schemes != 0 ? c->n_sign_schemes : c->n_schemes;
    for (size_t i = 0; i < n; i++) {
        const ak_scheme *s = ak_scheme_find(own[i]);
        if (s == NULL || !ak_scheme_fits(s, key, version) || (version >= AK_TLS13 && !s->tls13)) continue;
        for (size_t j = 0; j < h->n_peer_schemes; j++)
            if (h->peer_schemes[j] == s->id) return s;
    }
    return NULL;
}

/* ---- the peer's chain -------------------------------------------------------------------------------------------------------- */

ak_error ak_auth_take_chain(ak_hs *h, ak_view list) {
    ak_info *i = h->info;
    ak_failure why = {0};
    ak_rd r;
    ak_chain_free(i->peer_chain);
    i->peer_chain = ak_chain_new();
    if (i->peer_chain == NULL) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    ak_rd_view(&r, list);
    while (ak_rd_left(&r) > 0) {
        ak_view der;
        if (!ak_rd_vec(&r, &der, 3)) return ak_hs_fail(h, AK_ERR_decode_error, "certificate_list");
        ak_error e = ak_chain_add(i->peer_chain, der, &why);
        if (e != AK_OK) return ak_hs_fail(h, e, "certificate %zu: %s", i->peer_chain->n, why.detail);
    }
    return ak_auth_take_key(h);
}

ak_error ak_auth_take_key(ak_hs *h) {
    ak_failure why = {0};
    if (h->info->peer_chain == NULL || h->info->peer_chain->n == 0) return AK_OK;
    ak_key *key = ak_cert_key(h->p, h->info->peer_chain->certs[0], &why);
    if (key == NULL) return ak_hs_fail(h, why.error != AK_OK ? why.error : AK_ERR_bad_certificate, "%s", why.detail);
    if (h->peer_key != NULL) ak_key_free(h->peer_key);
    h->peer_key = ak_key_ref(key);
    return AK_OK;
}

ak_error ak_hs_adopt_peer(ak_hs *h, const ak_resumption *r) {
    if (!ak_buf_set(&h->info->psk_identity, ak_buf_view(&r->psk_identity))) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    if (r->peer_chain == NULL) return AK_OK;
    ak_chain_free(h->info->peer_chain);
    h->info->peer_chain = ak_chain_share(r->peer_chain);
    bool kept = ak_buf_set(&h->info->ocsp_response, ak_buf_view(&r->ocsp_response)) && ak_buf_set(&h->info->scts, ak_buf_view(&r->scts));
    return kept ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

static ak_error refuse_chain(ak_hs *h, ak_error e, const ak_failure *f) { return ak_hs_fail(h, e, "%s", f->detail); }

/* verdict: after the answer to "go on all the same?". */
static ak_error answered_untrusted(ak_hs *h) {
    h->phase = 0;
    if (h->answer.verdict == AK_REFUSE) return ak_hs_refused(h);
    if (h->answer.yes) {
        h->info->vouched = h->answer.remember;
        return AK_OK;
    }
    ak_failure f = {0};
    const ak_report *r = h->info->report;
    if (r->n_reasons > 0) ak_fail(&f, r->verdict, "%s", r->reasons[0].text);
    return refuse_chain(h, r->verdict, &f);
}

ak_error ak_auth_verify(ak_hs *h) {
    ak_info *i = h->info;
    const ak_context *c = h->ctx;
    ak_verify_params v;
    ak_failure f = {0};
    if (h->phase != 0) return answered_untrusted(h);
    if (h->renegotiation != NULL && !h->server) {
        ak_error changed = ak_renegotiation_check_certificate(h);
        if (changed != AK_OK) return changed;
    }
    if (!c->verify) return AK_OK;
    ak_verify_defaults(&v);
    v.time = ak_context_now(c);
    v.purpose = h->server ? AK_USE_client : AK_USE_server;
    v.level = c->security_level;
    v.ocsp = ak_buf_view(&i->ocsp_response);
    v.no_must_staple = h->server || !c->ocsp;
    if (!h->server && c->verify_host) v.host = ak_view_of(i->server_name.n != 0 ? (const void *)i->server_name.p : "", i->server_name.n);
    if (i->report != NULL) ak_report_free(i->report);
    i->report = NULL;
    ak_error e = ak_verify_chain(h->p, &i->report, c->trust, i->peer_chain, &v, &f);
    if (e == AK_OK || (h->renegotiation != NULL && h->renegotiation->accepted_untrusted)) return AK_OK;
    if (!c->ask_untrusted || i->report == NULL) return refuse_chain(h, e, &f);
    h->event.report = i->report;
    h->phase = 1;
    return ak_hs_ask(h, AK_EV_untrusted);
}

/* ---- groups ---------------------------------------------------------------------------------------------------------------------- */

/* speaks_ffdhe: whether a list has any of RFC 7919's code points. */
static bool speaks_ffdhe(ak_view list) {
    for (size_t i = 0; i < ak_list_u16_count(list); i++)
        if (ak_list_u16_at(list, i) >= 0x0100 && ak_list_u16_at(list, i) <= 0x01ff) return true;
    return false;
}

bool ak_auth_client_lists_group(const ak_hs *h, uint16_t group) {
    struct ak_ext_supported_groups x;
    ak_failure ignored = {0};
    ak_view body;
    if (!ak_ext_client_sent(h, AK_EXT_supported_groups, &body)) return h->info->version < AK_TLS13 && !h->ctx->strict_groups; /* RFC 8422 §4: any */
    if (ak_decode_ext_supported_groups(body, &x, &ignored) != AK_OK) return false;
    if (ak_list_u16_has(x.named_group_list, group)) return true;
    /* RFC 7919 §4: a client that names no finite-field group at all does not know them, and takes what the server chooses */
    return group >= 0x0100 && group <= 0x01ff && h->info->version < AK_TLS13 && !speaks_ffdhe(x.named_group_list);
}

static bool group_fits(ak_hs *h, const ak_group *g, uint16_t version, bool finite_field) {
    /* below TLS 1.3 a finite-field group goes by its prime, so that SSL 3.0 can have it, too */
    return g != NULL && (g->min_version <= version || finite_field) && version <= g->max_version && (version >= AK_TLS13 || (g->kind == AK_GROUP_ff) == finite_field) &&
           ak_group_usable(h->p, g);
}

const ak_group *ak_auth_shared_group(const ak_hs *h, uint16_t version, bool finite_field) {
    const ak_context *c = h->ctx;
    struct ak_ext_supported_groups x;
    ak_failure ignored = {0};
    ak_view body;
    if (c->prefer_client && (version >= AK_TLS13 || !finite_field) && ak_ext_client_sent(h, AK_EXT_supported_groups, &body) && ak_decode_ext_supported_groups(body, &x, &ignored) == AK_OK) {
        for (size_t i = 0; i + 1 < x.named_group_list.n; i += 2) {
            const ak_group *g = ak_group_find((uint16_t)(x.named_group_list.p[i] << 8 | x.named_group_list.p[i + 1]));
            for (size_t j = 0; g != NULL && j < c->n_groups; j++)
                if (c->groups[j] == g->id && group_fits((ak_hs *)h, g, version, finite_field)) return g;
        }
        return NULL;
    }
    /* RFC 8422 §4 leaves the curve to us when the client names none; such clients are old ones, and P-256 is what they have. */
    bool silent = !finite_field && version < AK_TLS13 && !ak_ext_client_sent(h, AK_EXT_supported_groups, NULL);
    const ak_group *first = NULL;
    for (size_t i = 0; i < c->n_groups; i++) {
        const ak_group *g = ak_group_find(c->groups[i]);
        if (!group_fits((ak_hs *)h, g, version, finite_field) || !ak_auth_client_lists_group(h, g->id)) continue;
        if (!silent || g->id == AK_GROUP_secp256r1) return g;
        if (first == NULL) first = g;
    }
    return first;
}

/* ---- the server's choice in TLS <= 1.2 ----------------------------------------------------------------------------------------------- */

size_t ak_auth_candidates(const ak_hs *h, ak_identity **out, size_t max) {
    const ak_context *c = h->ctx;
    size_t n = 0;
    if (h->identity != NULL) { /* the application has chosen */
        out[0] = h->identity;
        return 1;
    }
    ak_view name = ak_buf_view(&h->info->server_name);
    for (size_t i = 0; name.n != 0 && i < c->n_identities && n < max; i++)
        if (ak_identity_serves(c->identities[i], name)) out[n++] = c->identities[i];
    if (n != 0) return n;
    for (size_t i = 0; i < c->n_identities && n < max; i++) out[n++] = c->identities[i];
    return n;
}

/* ---- stapling ------------------------------------------------------------------------------------------------------------------------ */

ak_error ak_auth_ask_staple(ak_hs *h) {
    if (h->staple_asked) {
        if (h->answer.verdict == AK_REFUSE) return ak_hs_refused(h);
        ak_buf_clear(&h->staple);
        return ak_buf_put_view(&h->staple, h->answer.bytes) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    }
    if (!h->ctx->ask_ocsp || !h->expect_status || h->identity == NULL || h->info->resumed) return AK_OK;
    h->staple_asked = true;
    h->event.bytes = h->identity->chain.certs[0]->der;
    return ak_hs_ask(h, AK_EV_ocsp);
}

ak_view ak_auth_staple(const ak_hs *h) {
    const ak_view none = {NULL, 0};
    if (h->ctx->ask_ocsp) return ak_buf_view(&h->staple);
    return h->identity != NULL ? ak_buf_view(&h->identity->ocsp) : none;
}

/* ---- suites ---------------------------------------------------------------------------------------------------------------------------- */

static bool key_suits_auth(const ak_suite *s, ak_key *k) {
    ak_key_kind kind = ak_key_type(k);
    if (s->kx == AK_KX_rsa || s->kx == AK_KX_rsa_psk) return kind == AK_KEY_rsa;
    if (s->auth == AK_AUTH_rsa) return kind == AK_KEY_rsa || kind == AK_KEY_rsa_pss;
    if (s->auth == AK_AUTH_ecdsa) return kind == AK_KEY_ec || kind == AK_KEY_ed25519 || kind == AK_KEY_ed448;
    return false;
}

static bool identity_suits(const ak_hs *h, const ak_suite *s, ak_identity *id, const ak_scheme **scheme) {
    const ak_cert *leaf = id->chain.certs[0];
    *scheme = NULL;
    if (!key_suits_auth(s, id->key)) return false;
    if (s->kx == AK_KX_rsa || s->kx == AK_KX_rsa_psk) return ak_cert_allows(leaf, AK_KU_key_encipherment);
    if (!ak_cert_allows(leaf, AK_KU_digital_signature)) return false;
    uint16_t curve = ak_key_group(id->key);
    if (curve != 0 && !ak_auth_client_lists_group(h, curve)) return false; /* RFC 8422 §5.3 */
    *scheme = ak_auth_scheme(h, id->key, h->info->version);
    return *scheme != NULL;
}

/* suite_works: everything that choosing this suite needs is there; notes what it found. */
static bool suite_works(ak_hs *h, const ak_suite *s, ak_identity **candidates, size_t n) {
    const ak_group *g = NULL;
    if (!ak_suite_fits(s, h->info->version) || !ak_suite_usable(h->p, s)) return false;
    bool dhe = s->kx == AK_KX_dhe || s->kx == AK_KX_dhe_psk;
    if (dhe || s->kx == AK_KX_ecdhe || s->kx == AK_KX_ecdhe_psk) {
        g = ak_auth_shared_group(h, h->info->version, dhe);
        if (g == NULL) return false;
    }
    if (ak_kx_has_psk(s->kx) && !ak_psk12_possible(h->ctx)) return false;
    if (!ak_suite_has_certificate(s)) {
        h->info->group = g;
        h->info->suite = s;
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        const ak_scheme *scheme = NULL;
        if (!identity_suits(h, s, candidates[i], &scheme)) continue;
        if (h->identity == NULL) h->identity = ak_identity_ref(candidates[i]);
        h->scheme = scheme;
        h->info->own_scheme = scheme;
        h->info->group = g;
        h->info->suite = s;
        return true;
    }
    return false;
}

#define NAMED 64 /* suites of a list that are told by name */

/* put_suite: the at-th of a list, in words. */
static void put_suite(ak_buf *b, size_t at, uint16_t id) {
    if (at < NAMED && ak_puts(b, at == 0 ? "" : " ")) ak_puts(b, ak_words(suites, id));
}

/* put_count: what is said of a list of n of which the first were named. */
static void put_count(ak_buf *b, size_t n) {
    char more[40];
    snprintf(more, sizeof more, " and %zu more", n - NAMED);
    if (n == 0) ak_puts(b, "none");
    else if (n > NAMED) ak_puts(b, more);
}

/* lacks_ffdhe_group: whether a finite-field suite would have been possible but for the group. */
static bool lacks_ffdhe_group(ak_hs *h) {
    const ak_context *c = h->ctx;
    struct ak_ext_supported_groups x;
    ak_failure ignored = {0};
    ak_view body;
    if (h->info->version >= AK_TLS13 || !ak_ext_client_sent(h, AK_EXT_supported_groups, &body) || ak_decode_ext_supported_groups(body, &x, &ignored) != AK_OK ||
        !speaks_ffdhe(x.named_group_list) || ak_auth_shared_group(h, h->info->version, true) != NULL)
        return false;
    for (size_t i = 0; i < c->n_suites; i++) {
        const ak_suite *s = ak_suite_find(c->suites[i]);
        if (s != NULL && (s->kx == AK_KX_dhe || s->kx == AK_KX_dhe_psk) && ak_suite_fits(s, h->info->version) && ak_list_u16_has(h->client_hello.cipher_suites, s->id))
            return true;
    }
    return false;
}

/* what_lacks: why the suites of both do not work, in words; NULL when there are none. */
static const char *what_lacks(ak_hs *h) {
    const ak_context *c = h->ctx;
    ak_identity *candidates[16];
    bool common = false, certificate = false;
    for (size_t i = 0; i < c->n_suites; i++) {
        const ak_suite *s = ak_suite_find(c->suites[i]);
        if (s == NULL || !ak_suite_fits(s, h->info->version) || !ak_list_u16_has(h->client_hello.cipher_suites, s->id)) continue;
        common = true;
        certificate = certificate || ak_suite_has_certificate(s);
    }
    if (!common) return NULL;
    if (!certificate) return "those of both lack a pre-shared key or a group";
    size_t n = ak_auth_candidates(h, candidates, 16);
    if (n == 0)
        return c->ask_identity ? "those of both need a certificate, and the application has none for this server name" : "those of both need a certificate, and the server has none";
    bool of_other_curves = h->info->version < AK_TLS13;
    for (size_t i = 0; i < n && of_other_curves; i++) {
        uint16_t curve = ak_key_group(candidates[i]->key);
        of_other_curves = curve != 0 && !ak_auth_client_lists_group(h, curve);
    }
    if (of_other_curves) return "the curve of the server's certificate is not among the client's groups (RFC 8422 §5.3)";
    return "those of both lack a certificate of the right kind, a group or a signature scheme in common";
}

ak_error ak_auth_no_suite(ak_hs *h) {
    const ak_context *c = h->ctx;
    ak_view list = h->client_hello.cipher_suites;
    size_t n = 0;
    if (lacks_ffdhe_group(h)) /* RFC 7919 §4 */
        return ak_hs_fail_alert(h, AK_ERR_no_shared_group, AK_ALERT_insufficient_security,
                                "none of the client's finite-field groups is one of the server's, and all suites in common need one");
    const char *lacks = what_lacks(h);
    ak_buf_clear(&h->why);
    ak_puts(&h->why, "client: ");
    for (size_t i = 0; i < ak_list_u16_count(list); i++) put_suite(&h->why, i, ak_list_u16_at(list, i));
    put_count(&h->why, ak_list_u16_count(list));
    ak_puts(&h->why, "; server: ");
    for (size_t i = 0; i < c->n_suites; i++)
        if (ak_suite_fits(ak_suite_find(c->suites[i]), h->info->version)) put_suite(&h->why, n++, c->suites[i]);
    put_count(&h->why, n);
    if (lacks != NULL && ak_puts(&h->why, "; ")) ak_puts(&h->why, lacks);
    return ak_hs_fail(h, AK_ERR_no_shared_suite, "%.*s", (int)h->why.n, (const char *)h->why.p);
}

/* choose_in_clients_order: the client's first suite that is one of ours from..to and works. Each of ours is tried once, however often the client lists it: a try
 * may look through long lists of groups. */
static bool choose_in_clients_order(ak_hs *h, size_t from, size_t to, ak_identity **candidates, size_t n) {
    const ak_context *c = h->ctx;
    ak_view list = h->client_hello.cipher_suites;
    bool tried[AK_LIST_MAX] = {false};
    for (size_t i = 0; i < ak_list_u16_count(list); i++) {
        uint16_t id = ak_list_u16_at(list, i);
        for (size_t k = from; k < to; k++) {
            if (tried[k] || c->suites[k] != id) continue;
            tried[k] = true;
            if (suite_works(h, ak_suite_find(id), candidates, n)) return true;
        }
    }
    return false;
}

/* choose_equal: the suites of one rank that begins at *j: the client's order decides. *j is left at the last of them. */
static bool choose_equal(ak_hs *h, size_t *j, ak_identity **candidates, size_t n) {
    const ak_context *c = h->ctx;
    size_t from = *j;
    while (*j + 1 < c->n_suites && c->suite_equal[*j + 1]) ++*j;
    return choose_in_clients_order(h, from, *j + 1, candidates, n);
}

ak_error ak_auth_choose12(ak_hs *h) {
    const ak_context *c = h->ctx;
    ak_view list = h->client_hello.cipher_suites;
    ak_identity *candidates[16];
    size_t n = ak_auth_candidates(h, candidates, 16);
    /* ChaCha20 first when the client puts it first: it has no AES in hardware */
    uint16_t first = list.n >= 2 ? (uint16_t)(list.p[0] << 8 | list.p[1]) : 0;
    if (ak_is_grease(first) && list.n >= 4) first = (uint16_t)(list.p[2] << 8 | list.p[3]);
    const ak_suite *f = ak_suite_find(first);
    bool chacha = !c->prefer_client && f != NULL && f->cipher == AK_CIPHER_chacha20_poly1305;
    for (int round = chacha ? 0 : 1; round < 2; round++) {
        if (c->prefer_client) {
            if (choose_in_clients_order(h, 0, c->n_suites, candidates, n)) return AK_OK;
            continue;
        }
        for (size_t j = 0; j < c->n_suites; j++) {
            if (round == 1 && j + 1 < c->n_suites && c->suite_equal[j + 1]) { /* several of one rank */
                if (choose_equal(h, &j, candidates, n)) return AK_OK;
                continue;
            }
            const ak_suite *s = ak_suite_find(c->suites[j]);
            if (s == NULL || (round == 0 && s->cipher != AK_CIPHER_chacha20_poly1305)) continue;
            if (ak_list_u16_has(list, s->id) && suite_works(h, s, candidates, n)) return AK_OK;
        }
    }
    return ak_auth_no_suite(h);
}
