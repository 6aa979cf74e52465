/* client_hello.c: ClientHello (RFC 5246 §7.4.1.2, RFC 8446 §4.1.2): what a client offers; what a server makes of it. */
#include "handshake/hello.h"

#include "handshake/auth.h"
#include "handshake/extensions.h"
#include "handshake/messages12.h"
#include "handshake/messages13.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCSV_RENEGOTIATION 0x00ff /* RFC 5746 §3.3 */
#define SCSV_FALLBACK 0x5600      /* RFC 7507 */

/* ---- client -------------------------------------------------------------------------------------------------------------- */

/* carried: whether a hello of this context says which session it means. Otherwise an id that means nothing (RFC 8446 §D.4), echoed, would be taken for the session's. */
static bool carried(const ak_context *c, const ak_resumption *r) {
    if (r->version >= AK_TLS13) return c->tickets;
    return (c->tickets && r->ticket.n != 0) || (c->session_ids && r->session_id_n != 0);
}

bool ak_client_may_offer(const ak_hs *h, const ak_resumption *r) {
    const ak_context *c = h->ctx;
    if (r->server || r->expires <= ak_context_now(c) || r->version < c->min_version || r->version > c->max_version) return false;
    if (!carried(c, r) || !ak_view_eq(ak_buf_view(&r->server_name), ak_buf_view(&h->info->server_name))) return false;
    if (!ak_view_eq(ak_secret_view(&r->context_id), ak_context_identity(h->ctx))) return false;
    if (r->version <= AK_TLS12 && r->max_fragment_length != c->max_fragment_length) return false; /* RFC 6066 §4: a session keeps its length */
    if (c->verify && r->verdict != AK_OK) return false; /* somebody said "go on all the same": that was for that connection */
    if (r->version <= AK_TLS12 && (r->ems ? !c->ems : c->require_ems)) return false; /* RFC 7627 §5.3 */
    if (r->version >= AK_TLS13 && r->used && !c->reuse_tickets) return false; /* RFC 8446 §C.4: who sees a ticket twice knows who sent it */
    for (size_t i = 0; i < c->n_suites; i++)
        if (c->suites[i] == r->suite) return true;
    return false;
}

static bool put_session_id(ak_hs *h, ak_buf *b) {
    const ak_resumption *r = h->offered;
    h->offered_session_id_n = 0;
    if (r != NULL && r->version <= AK_TLS12 && r->session_id_n != 0 && h->ctx->session_ids) {
        memcpy(h->offered_session_id, r->session_id, r->session_id_n);
        h->offered_session_id_n = r->session_id_n;
    } else if ((r != NULL && r->version <= AK_TLS12 && r->ticket.n != 0) || (h->ctx->max_version >= AK_TLS13 && h->ctx->middlebox_compat)) {
        /* RFC 5077 §3.4: an id by which the answer shows whether the ticket was taken; RFC 8446 §D.4 */
        if (!ak_random(h->p, AK_PURPOSE_session_id, h->offered_session_id, 32)) return false;
        h->offered_session_id_n = 32;
    }
    return ak_buf_vec(b, ak_view_of(h->offered_session_id, h->offered_session_id_n), 1);
}

/* offerable: of a version that this context does, possible with this libcrypto, and, with a pre-shared key, that there is one. */
static bool offerable(const ak_hs *h, const ak_suite *s) {
    const ak_context *c = h->ctx;
    return (!ak_kx_has_psk(s->kx) || ak_psk12_possible(c)) && s->min_version <= c->max_version && s->max_version >= c->min_version && ak_suite_usable(h->p, s);
}

static bool put_suites(ak_hs *h, ak_buf *b) {
    const ak_context *c = h->ctx;
    size_t list = ak_buf_open(b, 2);
    if (ak_greases(h)) ak_buf_u16(b, ak_grease(h, AK_GREASE_suite));
    size_t first = b->n;
    for (size_t i = 0; i < c->n_suites; i++) {
        const ak_suite *s = ak_suite_find(c->suites[i]);
        if (s != NULL && offerable(h, s)) ak_buf_u16(b, s->id);
    }
    if (b->n == first) return false;
    /* RFC 5746 §3.3, §3.5: where extensions may not arrive; never in a renegotiation */
    if (c->min_version == AK_SSL30 && h->renegotiation == NULL) ak_buf_u16(b, SCSV_RENEGOTIATION);
    if (c->fallback_scsv) ak_buf_u16(b, SCSV_FALLBACK);
    return ak_buf_close(b, list, 2);
}

ak_error ak_compose_client_hello(ak_hs *h, ak_buf *b) {
    uint8_t random[32];
    const ak_context *c = h->ctx;
    if (h->offered != NULL && !ak_client_may_offer(h, h->offered)) {
        ak_resumption_free(h->offered);
        h->offered = NULL;
    }
    if (!ak_random(h->p, AK_PURPOSE_client_random, random, sizeof random)) return ak_hs_fail(h, AK_ERR_randomness, "client_random");
    ak_psk_offer_all(h);
    if (h->offered != NULL && h->offered->version >= AK_TLS13) h->offered->used = true;
    ak_buf_u16(b, c->max_version > AK_TLS12 ? AK_TLS12 : c->max_version);
    ak_buf_put(b, random, sizeof random);
    if (!put_session_id(h, b)) return ak_hs_fail(h, AK_ERR_randomness, "session_id");
    if (!put_suites(h, b)) return ak_hs_fail(h, AK_ERR_no_shared_suite, "no cipher suite fits the versions of this context");
    ak_buf_u8(b, 1); /* compression_methods: null alone */
    ak_buf_u8(b, 0);
    return ak_ext_offer_all(h, b);
}

/* ---- both: the ClientHello as it was really sent -------------------------------------------------------------------------- */

/* keep: what follows depends on the bytes that went over the wire, whoever wrote them. A script may have sent something that is no
 * ClientHello; then there is nothing to remember of it. */
static bool keep(ak_hs *h, ak_view message) {
    ak_failure ignored = {0};
    memset(&h->client_hello, 0, sizeof h->client_hello);
    ak_buf_clear(&h->client_hello_bytes);
    if (message.n < 4) return true;
    if (!ak_buf_put(&h->client_hello_bytes, message.p + 4, message.n - 4)) return false;
    if (ak_decode_client_hello(ak_buf_view(&h->client_hello_bytes), &h->client_hello, &ignored) != AK_OK)
        memset(&h->client_hello, 0, sizeof h->client_hello);
    h->client_extensions = h->client_hello.has_extensions ? ak_ext_set(h->client_hello.extensions) : 0;
    if (h->client_hello.random.n == 32) memcpy(h->info->client_random, h->client_hello.random.p, 32);
    h->client_version = h->client_hello.legacy_version;
    if (h->client_hello.session_id.n <= 32) {
        h->offered_session_id_n = (uint8_t)h->client_hello.session_id.n;
        if (h->offered_session_id_n != 0) memcpy(h->offered_session_id, h->client_hello.session_id.p, h->offered_session_id_n);
    }
    return true;
}

ak_error ak_after_client_hello(ak_hs *h) {
    if (!h->server) {
        if (!keep(h, ak_hs_message(h))) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
        return h->flow13 != NULL ? ak_after_client_hello13(h) : AK_OK;
    }
    uint16_t v = h->info->version;
    h->record_version = v > AK_TLS12 ? AK_TLS12 : v;
    return ak_hs_is_13(h) ? ak_after_client_hello13(h) : AK_OK;
}

/* ---- server: version ----------------------------------------------------------------------------------------------------------- */

ak_words_text ak_own_versions(const ak_hs *h) {
    const ak_context *c = h->ctx;
    ak_words_text out = ak_words_of(AK_REG_versions, c->min_version);
    if (c->max_version != c->min_version) snprintf(out.s, sizeof out.s, "%.12s to %.12s", ak_words(versions, c->min_version), ak_words(versions, c->max_version));
    return out;
}

static ak_error no_version(ak_hs *h, uint16_t highest) {
    return ak_hs_fail(h, AK_ERR_unsupported_version, "the client offers at most %s, this server does %s", ak_words(versions, highest), ak_own_versions(h).s);
}

/* none_supported: the client's supported_versions has none of ours. */
static ak_error none_supported(ak_hs *h, ak_view versions) {
    char theirs[96] = "";
    size_t at = 0;
    for (size_t i = 0; i < ak_list_u16_count(versions) && at < sizeof theirs; i++) {
        uint16_t v = ak_list_u16_at(versions, i);
        if (!ak_is_grease(v)) at += (size_t)snprintf(theirs + at, sizeof theirs - at, "%s%s", at != 0 ? ", " : "", ak_words(versions, v));
    }
    return ak_hs_fail(h, AK_ERR_unsupported_version, "the client's supported_versions has %s, this server does %s", at != 0 ? theirs : "none", ak_own_versions(h).s);
}

static ak_error choose_version(ak_hs *h) {
    const ak_context *c = h->ctx;
    uint16_t best = 0, legacy = h->client_hello.legacy_version;
    ak_view body;
    if (ak_ext_client_sent(h, AK_EXT_supported_versions, &body) && c->max_version >= AK_TLS12) { /* RFC 8446 §4.2.1: this list alone counts */
        struct ak_ext_supported_versions_client x;
        ak_failure why = {0};
        ak_error e = ak_decode_ext_supported_versions_client(body, &x, &why);
        if (e != AK_OK) return ak_hs_fail(h, ak_ext_cause(e, AK_ERR_bad_extension), "%s", why.detail);
        for (uint16_t v = c->max_version; best == 0 && v >= c->min_version; v--)
            if (ak_list_u16_has(x.versions, v)) best = v;
        if (best == 0) return none_supported(h, x.versions);
        if (legacy <= AK_SSL30 && best > AK_SSL30) return ak_hs_fail(h, AK_ERR_unsupported_version, "legacy_version %s (RFC 8446 §D.5)", ak_words(versions, legacy));
    } else {
        uint16_t most = c->max_version > AK_TLS12 ? AK_TLS12 : c->max_version;
        best = legacy < most ? legacy : most;
        if (best < c->min_version || c->min_version > AK_TLS12) return no_version(h, legacy);
    }
    h->info->version = best;
    if (ak_list_u16_has(h->client_hello.cipher_suites, SCSV_FALLBACK) && best < c->max_version)
        return ak_hs_fail(h, AK_ERR_inappropriate_fallback, "%s, and this server does %s", ak_words(versions, best), ak_words(versions, c->max_version));
    return AK_OK;
}

/* ---- server: resumption of TLS <= 1.2 -------------------------------------------------------------------------------------------- */

static bool client_lists_suite(const ak_hs *h, uint16_t suite) { return ak_list_u16_has(h->client_hello.cipher_suites, suite); }

static bool own_suite(const ak_hs *h, uint16_t suite) {
    for (size_t i = 0; i < h->ctx->n_suites; i++)
        if (h->ctx->suites[i] == suite) return true;
    return false;
}

/* suits: whether a stored session may be resumed in this handshake: same version, suite, name, and client identity as required.
 * A session that does not fit is no error: a full handshake follows. */
static bool suits(const ak_hs *h, const ak_resumption *r) {
    return r->server && r->version == h->info->version && r->expires > ak_context_now(h->ctx) && own_suite(h, r->suite) &&
           client_lists_suite(h, r->suite) && r->max_fragment_length == h->info->max_fragment_length &&
           ak_view_eq(ak_secret_view(&r->context_id), ak_context_identity(h->ctx)) &&
           ak_suite_usable(h->p, ak_suite_find(r->suite)) && ak_view_eq(ak_buf_view(&r->server_name), ak_buf_view(&h->info->server_name)) &&
           (h->ctx->client_auth != AK_CLIENT_AUTH_require || r->peer_chain != NULL || !ak_asks_certificate(h->ctx, ak_suite_find(r->suite))) &&
           (h->ctx->client_auth != AK_CLIENT_AUTH_none || r->peer_chain == NULL) && (!h->ctx->verify || r->verdict == AK_OK);
}

/* RFC 7627 §5.3: a session with extended master secret is never resumed without it, and that attempt ends the handshake; one without
 * it is not resumed when the client offers it. */
static ak_error consider(ak_hs *h, ak_view stored) {
    ak_resumption *r = NULL;
    ak_failure ignored = {0};
    if (stored.n == 0 || ak_resumption_read(stored, &r, &ignored) != AK_OK) return AK_OK;
    bool good = suits(h, r), client_ems = ak_ext_client_sent(h, AK_EXT_extended_master_secret, NULL);
    if (good && r->ems && !client_ems) {
        ak_resumption_free(r);
        return ak_hs_fail(h, AK_ERR_ems_dropped, "the client resumes a session with extended_master_secret and does not offer it (RFC 7627 §5.3)");
    }
    if (!good || r->ems != client_ems || (h->ctx->require_ems && !r->ems)) {
        ak_resumption_free(r);
        return AK_OK;
    }
    h->resumed = r;
    return AK_OK;
}

/* look_up: the session that the client asks for. AK_AGAIN: the application has the store, and is asked. */
static ak_error look_up(ak_hs *h) {
    ak_view id = ak_view_of(h->offered_session_id, h->offered_session_id_n), value;
    if (h->info->version > AK_TLS12) return ak_psk_select(h);
    if (h->ticket.n != 0) {
        ak_error e = ak_ticket12_open(h);
        if (e != AK_OK || h->resumed != NULL) return e;
    }
    if (id.n == 0 || !h->ctx->session_ids) return AK_OK;
    if (h->ctx->store != NULL) return ak_store_get(h->ctx->store, id, ak_context_now(h->ctx), &value) ? consider(h, value) : AK_OK;
    if (!h->ctx->external_store) return AK_OK;
    h->event.key = id;
    return ak_hs_ask(h, AK_EV_session_get);
}

ak_error ak_consider_resumption(ak_hs *h, ak_view stored) { return consider(h, stored); }

static ak_error resume(ak_hs *h) {
    const ak_resumption *r = h->resumed;
    h->info->resumed = true;
    h->info->suite = ak_suite_find(r->suite);
    h->info->ems = r->ems;
    h->info->group = ak_group_find(r->group);
    h->info->peer_scheme = ak_scheme_find(r->peer_scheme);
    return ak_hs_adopt_peer(h, r);
}

/* ---- server: the whole -------------------------------------------------------------------------------------------------------------- */

static ak_error read_hello(ak_hs *h, ak_view body) {
    struct ak_client_hello hello;
    ak_failure why = {0};
    ak_error e = ak_decode_client_hello(body, &hello, &why);
    if (e != AK_OK) return ak_hs_fail(h, e, "%s", why.detail);
    if (!keep(h, ak_hs_message(h))) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    if (hello.legacy_version < AK_SSL30) return no_version(h, hello.legacy_version);
    e = choose_version(h);
    if (e != AK_OK) return e;
    if (h->info->hello_retry && !ak_hs_is_13(h)) return ak_hs_fail(h, AK_ERR_hello_changed, "%s after a HelloRetryRequest", ak_words(versions, h->info->version));
    if (ak_hs_is_13(h) && ((e = ak_server13_check_hello(h)) != AK_OK || (e = ak_cookie_resume(h)) != AK_OK)) return e;
    if (memchr(h->client_hello.compression_methods.p, 0, h->client_hello.compression_methods.n) == NULL)
        return ak_hs_fail(h, AK_ERR_no_null_compression, "compression_methods has no 0 (RFC 5246 §7.4.1.2)");
    if (ak_list_u16_has(h->client_hello.cipher_suites, SCSV_RENEGOTIATION)) h->info->secure_renegotiation = true;
    ak_auth_default_schemes(h);
    e = ak_ext_read_offer(h);
    if (e == AK_OK && h->ctx->require_ems && !h->info->ems && h->info->version <= AK_TLS12) return ak_hs_fail(h, AK_ERR_ems_required, "the ClientHello has none (RFC 7627 §5.2)");
    return e;
}

static ak_error take_identity(ak_hs *h) {
    if (h->answer.verdict == AK_REFUSE) return ak_hs_refused(h);
    if (h->answer.identity != NULL) h->identity = ak_identity_ref(h->answer.identity);
    return AK_OK;
}

static ak_error take_alpn(ak_hs *h) {
    ak_view v = h->answer.bytes;
    if (h->answer.verdict == AK_REFUSE && h->answer.error != AK_OK) return ak_hs_refused(h);
    if (h->answer.verdict == AK_REFUSE || (!h->answer.yes && v.n == 0)) return ak_hs_fail(h, AK_ERR_no_application_protocol, "the application wants none of the client's");
    if (v.n > AK_ALPN_MAX) return ak_hs_fail(h, AK_ERR_hook_failed, "an ALPN name of %zu bytes", v.n);
    return ak_buf_set(&h->info->alpn, v) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

enum { AT_START, AT_SESSION, AT_IDENTITY, AT_ALPN };

/* answered_before: a second ClientHello asks nothing again; and who proves itself with an external key needs no identity. */
static bool answered_before(const ak_hs *h, int what) {
    ak_flow13 *f = ak_flow13_of(h);
    if (f == NULL || !ak_hs_is_13(h)) return false;
    bool *asked = what == AT_IDENTITY ? &f->identity_asked : &f->alpn_asked;
    if (*asked || (what == AT_IDENTITY && f->psk)) return true;
    *asked = true;
    return false;
}

/* Steps that may have to wait for the application's answer; h->phase is where it waits. */
ak_error ak_receive_client_hello(ak_hs *h, ak_view body) {
    ak_error e = AK_OK;
    ak_view alpn;
    switch (h->phase) {
    case AT_START:
        e = read_hello(h, body);
        if (e != AK_OK) return e;
        e = look_up(h);
        if (e == AK_AGAIN) h->phase = AT_SESSION;
        if (e != AK_OK) return e;
        break;
    case AT_SESSION:
        e = ak_hs_is_13(h) ? ak_psk_answered(h) : consider(h, h->answer.bytes);
        if (e != AK_OK) return e;
        break;
    case AT_IDENTITY:
        e = take_identity(h);
        if (e != AK_OK) return e;
        goto identity_known;
    case AT_ALPN:
        e = take_alpn(h);
        if (e != AK_OK) return e;
        goto all_known;
    default: return h->phase >= AK_PHASE_13 ? ak_server13_choose(h) : AK_ERR_internal_error;
    }
    if (h->ctx->ask_identity && h->resumed == NULL && !answered_before(h, AT_IDENTITY)) {
        h->phase = AT_IDENTITY;
        h->event.bytes = ak_buf_view(&h->info->server_name);
        return ak_hs_ask(h, AK_EV_identity);
    }
identity_known:
    if (h->ctx->ask_alpn && !answered_before(h, AT_ALPN) && ak_ext_client_sent(h, AK_EXT_application_layer_protocol_negotiation, &alpn) && alpn.n >= 2) {
        h->phase = AT_ALPN;
        h->event.bytes = ak_view_of(alpn.p + 2, alpn.n - 2);
        return ak_hs_ask(h, AK_EV_alpn);
    }
all_known:
    if (ak_hs_is_13(h)) return ak_server13_choose(h);
    if (h->resumed != NULL) return resume(h);
    return ak_auth_choose12(h);
}
