/* psk.c: pre_shared_key (RFC 8446 §4.2.11): offering, binders, choosing, checking the choice. */
#include "handshake/hello.h"

#include "base/ct.h"
#include "handshake/auth.h"
#include "handshake/extensions.h"
#include "handshake/messages13.h"
#include "handshake/tickets.h"

#include <string.h>

static const ak_view none = {NULL, 0};

/* ---- client: offer ---------------------------------------------------------------------------------------------------------- */

static void offer(ak_hs *h, ak_view identity, ak_view secret, ak_hash hash, bool external) {
    ak_flow13 *f = ak_flow13_of(h);
    if (f->n_offers == AK_PSK_OFFERS || hash == AK_HASH_none) return;
    /* §4.1.4: after a HelloRetryRequest only keys that go with its hash */
    if (f->retry_suite != NULL && f->retry_suite->prf != hash) return;
    ak_psk_offer *o = &f->offers[f->n_offers++];
    o->identity = identity;
    o->secret = secret;
    o->hash = hash;
    o->external = external;
}

void ak_psk_offer_all(ak_hs *h) {
    const ak_context *c = h->ctx;
    const ak_resumption *r = h->offered;
    ak_flow13 *f = ak_flow13_of(h);
    if (f == NULL) return;
    f->n_offers = 0;
    if (!ak_offers_13(h) || c->psk_modes == 0) return;
    if (r != NULL && r->version >= AK_TLS13 && r->ticket.n != 0)
        offer(h, ak_buf_view(&r->ticket), ak_secret_view(&r->secret), ak_suite_find(r->suite)->prf, false);
    for (size_t i = 0; i < c->n_psks; i++)
        offer(h, ak_buf_view(&c->psks[i].identity), ak_buf_view(&c->psks[i].secret), c->psks[i].hash, true);
}

/* §4.2.11.1: the age in milliseconds, hidden by adding what the ticket said; 0 for external keys. */
static uint32_t obfuscated_age(const ak_hs *h, const ak_psk_offer *o) {
    if (o->external) return 0;
    uint64_t now = ak_context_now_ms(h->ctx), then = h->offered->received_ms;
    uint64_t age = now > then ? now - then : 0;
    /* Both ends of the interval are whole milliseconds: the difference may be one too many, and a server that takes early data only of
     * tickets that are no older than itself (GnuTLS) would then refuse it. */
    if (age > 0 && h->ctx->clock == NULL) age--;
    return (uint32_t)age + h->offered->age_add;
}

bool ak_offer_pre_shared_key(ak_hs *h, ak_buf *b) {
    static const uint8_t zeros[AK_HASH_MAX];
    ak_flow13 *f = ak_flow13_of(h);
    if (f == NULL || f->n_offers == 0) return false;
    size_t identities = ak_buf_open(b, 2);
    for (size_t i = 0; i < f->n_offers; i++) {
        ak_buf_vec(b, f->offers[i].identity, 2);
        ak_buf_u32(b, obfuscated_age(h, &f->offers[i]));
    }
    ak_buf_close(b, identities, 2);
    size_t binders = ak_buf_open(b, 2); /* still open: the right length, and nothing in them */
    for (size_t i = 0; i < f->n_offers; i++) ak_buf_vec(b, ak_view_of(zeros, ak_hash_size(f->offers[i].hash)), 1);
    return ak_buf_close(b, binders, 2);
}

/* ---- both: binders --------------------------------------------------------------------------------------------------------------- */

/* hello_hash: the transcript hash with a ClientHello that ends before its binders (§4.2.11.2). Before the suite is known each key brings its own hash. */
static bool hello_hash(ak_hs *h, ak_hash hash, ak_view truncated, uint8_t out[AK_HASH_MAX]) {
    size_t n = 0;
    if (!h->transcript.hashing) return ak_digest(h->p, hash, ak_buf_view(&h->transcript.raw), truncated, none, out);
    return h->transcript.hash.hash == hash && ak_transcript_value_with(&h->transcript, truncated, out, &n);
}

static ak_error binder(ak_hs *h, ak_hash hash, bool external, ak_view secret, ak_view truncated, uint8_t out[AK_HASH_MAX]) {
    uint8_t value[AK_HASH_MAX];
    ak_error e = ak_keys13_early(h, hash, secret);
    if (e != AK_OK) return e;
    if (!hello_hash(h, hash, truncated, value)) return ak_hs_fail(h, AK_ERR_crypto_failed, "the hash of a ClientHello");
    return ak_keys13_binder(h, hash, external, ak_view_of(value, ak_hash_size(hash)), out);
}

static bool all_zero(ak_view v) {
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] != 0) return false;
    return true;
}

static const ak_psk_offer *offered(const ak_hs *h, ak_view identity) {
    const ak_flow13 *f = ak_flow13_of(h);
    for (size_t i = 0; i < f->n_offers; i++)
        if (ak_view_eq(f->offers[i].identity, identity)) return &f->offers[i];
    return NULL;
}

/* Binders that a script has filled in stay as they are; so do those of keys that are not ours. */
ak_error ak_seal_client_hello(ak_hs *h, ak_buf *m, size_t at) {
    struct ak_client_hello c;
    struct ak_ext_pre_shared_key_client x;
    struct ak_psk_identity identity;
    ak_failure ignored = {0};
    uint8_t value[AK_HASH_MAX];
    ak_rd identities, binders;
    ak_view body, slot;
    ak_error e = AK_OK;
    if (h->flow13 == NULL || m->n < at || ak_decode_client_hello(ak_view_of(m->p + at, m->n - at), &c, &ignored) != AK_OK) return AK_OK;
    if (!c.has_extensions || !ak_ext_find(c.extensions, AK_EXT_pre_shared_key, &body)) return AK_OK;
    if (ak_decode_ext_pre_shared_key_client(body, &x, &ignored) != AK_OK || body.p + body.n != m->p + m->n) return AK_OK;
    ak_view truncated = ak_view_of(m->p, (size_t)(x.binders.p - m->p) - 2);
    ak_rd_view(&identities, x.identities);
    for (ak_rd_view(&binders, x.binders); e == AK_OK && ak_list_next(&binders, 1, &slot) && ak_next_psk_identity(&identities, &identity);) {
        const ak_psk_offer *o = offered(h, identity.identity);
        if (o == NULL || slot.n != ak_hash_size(o->hash) || !all_zero(slot)) continue;
        e = binder(h, o->hash, o->external, o->secret, truncated, value);
        if (e == AK_OK) memcpy(m->p + (slot.p - m->p), value, slot.n);
    }
    ak_secret_wipe(&h->secrets.early);
    ak_secret_wipe(&h->secrets.binder);
    return e;
}

/* ---- server: choose ------------------------------------------------------------------------------------------------------------------ */

/* suits: whether a session may be resumed here: made in a context that asks the same of its peers, too. One that may not is passed over, and a full handshake
 * follows. */
static bool suits(const ak_hs *h, const ak_resumption *r) {
    const ak_context *c = h->ctx;
    return r->server && r->version == h->info->version && r->expires > ak_context_now(c) && ak_view_eq(ak_buf_view(&r->server_name), ak_buf_view(&h->info->server_name)) &&
           (c->client_auth != AK_CLIENT_AUTH_require || r->peer_chain != NULL) && (c->client_auth != AK_CLIENT_AUTH_none || r->peer_chain == NULL) &&
           ak_view_eq(ak_secret_view(&r->context_id), ak_context_identity(h->ctx)) && (!c->verify || r->verdict == AK_OK);
}

/* at: the i-th identity of the ClientHello and its binder, and where the binders begin in the message. */
static bool at(const ak_hs *h, size_t i, struct ak_psk_identity *identity, ak_view *slot, ak_view *truncated) {
    struct ak_ext_pre_shared_key_client x;
    ak_failure ignored = {0};
    ak_rd identities, binders;
    ak_view body;
    if (!ak_ext_client_sent(h, AK_EXT_pre_shared_key, &body) || ak_decode_ext_pre_shared_key_client(body, &x, &ignored) != AK_OK) return false;
    ak_rd_view(&identities, x.identities);
    ak_rd_view(&binders, x.binders);
    for (size_t k = 0; k <= i; k++)
        if (!ak_next_psk_identity(&identities, identity) || !ak_list_next(&binders, 1, slot)) return false;
    *truncated = ak_view_of(ak_hs_message(h).p, AK_HANDSHAKE_HEADER + (size_t)(x.binders.p - h->client_hello_bytes.p) - 2);
    return true;
}

/* name_key: whose external key it is, for the application. */
static bool name_key(ak_hs *h) {
    struct ak_psk_identity identity;
    ak_view slot, truncated;
    return at(h, ak_flow13_of(h)->psk_at, &identity, &slot, &truncated) && ak_buf_set(&h->info->psk_identity, identity.identity);
}

/* take: this key, if there is a suite with its hash. Its binder must be right: that is what proves that the client has it. */
static ak_error take(ak_hs *h, ak_hash hash, ak_view secret, ak_resumption *r, ak_view slot, ak_view truncated) {
    ak_flow13 *f = ak_flow13_of(h);
    uint8_t value[AK_HASH_MAX];
    const ak_suite *s = ak_suite13(h, hash, r != NULL ? r->suite : 0);
    if (s == NULL) return AK_OK;
    if (h->transcript.hashing && h->transcript.hash.hash != hash) return AK_OK; /* §4.1.4: after a HelloRetryRequest only keys that go with its hash */
    if (r != NULL && !ak_list_u16_has(h->client_hello.cipher_suites, r->suite)) return AK_OK; /* a client that does not stand by the session's suite gets a full handshake */
    ak_error e = binder(h, hash, r == NULL, secret, truncated, value);
    if (e != AK_OK) return e;
    if (slot.n != ak_hash_size(hash) || !ak_ct_eq(value, slot.p, slot.n)) return ak_hs_fail(h, AK_ERR_bad_binder, "of identity %zu", f->psk_at);
    if (r == NULL && !name_key(h)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    h->info->suite = s;
    f->psk = true;
    f->psk_external = r == NULL;
    if (r != NULL) h->resumed = ak_resumption_ref(r);
    return AK_OK;
}

static ak_error take_session(ak_hs *h, ak_view bytes, ak_view slot, ak_view truncated) {
    ak_failure ignored = {0};
    ak_resumption *r = NULL;
    ak_error e = AK_OK;
    if (ak_resumption_read(bytes, &r, &ignored) != AK_OK) return AK_OK;
    if (suits(h, r)) e = take(h, ak_suite_find(r->suite)->prf, ak_secret_view(&r->secret), r, slot, truncated);
    ak_resumption_free(r);
    return e;
}

static ak_error open_ticket(ak_hs *h, ak_view ticket, ak_view slot, ak_view truncated) {
    ak_buf plain;
    bool renew = false;
    ak_buf_init_secret(&plain, 1 << 17);
    ak_error e = AK_OK;
    if (ak_ticket_open(h->ctx, ticket, &plain, &renew)) e = take_session(h, ak_buf_view(&plain), slot, truncated);
    ak_buf_free(&plain);
    return e;
}

/* stored_id: whether the application's store is asked for this identity. A lab's is asked for what is no id of ours, too: published tickets. */
static bool stored_id(const ak_hs *h, ak_view identity) {
    size_t n = sizeof ak_flow13_of(h)->ticket_id;
    return h->ctx->external_store && (identity.n == n || (identity.n > n && ak_provider_is_lab(h->p)));
}

static const ak_psk *external(const ak_hs *h, ak_view identity) {
    for (size_t i = 0; i < h->ctx->n_psks; i++)
        if (ak_view_eq(ak_buf_view(&h->ctx->psks[i].identity), identity)) return &h->ctx->psks[i];
    return NULL;
}

/* again: after a HelloRetryRequest: the session that was taken from the store for the first ClientHello. */
static ak_error again(ak_hs *h, ak_resumption *kept, size_t n) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_psk_identity identity;
    ak_view slot, truncated;
    ak_error e = AK_OK;
    for (; e == AK_OK && !f->psk && f->psk_at < n && at(h, f->psk_at, &identity, &slot, &truncated); f->psk_at++) {
        if (!ak_view_eq(identity.identity, ak_view_of(f->taken_id, sizeof f->taken_id))) continue;
        e = take(h, ak_suite_find(kept->suite)->prf, ak_secret_view(&kept->secret), kept, slot, truncated);
        if (f->psk) return e;
    }
    f->psk_at = 0;
    return e;
}

static ak_error ask_key(ak_hs *h, ak_view identity) {
    ak_flow13_of(h)->key_asked = true;
    h->event.key = identity;
    return ak_hs_ask(h, AK_EV_psk);
}

/* look: the identities from f->psk_at on, until one is known. */
static ak_error look(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_psk_identity identity;
    ak_view slot, truncated;
    ak_error e = AK_OK;
    for (; e == AK_OK && f->psk_at < AK_PSK_CONSIDERED && at(h, f->psk_at, &identity, &slot, &truncated); f->psk_at++) {
        const ak_psk *key = external(h, identity.identity);
        if (key != NULL) {
            e = take(h, key->hash, ak_buf_view(&key->secret), NULL, slot, truncated);
        } else if (h->ctx->tickets && stored_id(h, identity.identity)) {
            h->event.key = identity.identity;
            return ak_hs_ask(h, AK_EV_session_get);
        } else if (h->ctx->tickets) {
            e = open_ticket(h, identity.identity, slot, truncated);
        }
        if (e != AK_OK || f->psk) return e;
        if (key == NULL && h->ctx->ask_psk) return ask_key(h, identity.identity);
    }
    return e;
}

/* take_key: the application's answer to AK_EV_psk. The binder's length says which hash the key goes with. */
static ak_error take_key(ak_hs *h, ak_view slot, ak_view truncated) {
    ak_hash hash = slot.n == ak_hash_size(AK_HASH_sha384) ? AK_HASH_sha384 : AK_HASH_sha256;
    ak_flow13_of(h)->key_asked = false;
    if (h->answer.verdict == AK_REFUSE) return ak_hs_refused(h);
    return h->answer.bytes.n != 0 ? take(h, hash, h->answer.bytes, NULL, slot, truncated) : AK_OK;
}

/* check_offer: the form of the extension (§4.2.11), whatever comes of it. */
static ak_error check_offer(ak_hs *h, ak_view body) {
    struct ak_ext_pre_shared_key_client x;
    struct ak_psk_identity identity;
    ak_rd r;
    size_t n = 0;
    if (body.p + body.n != h->client_hello.extensions.p + h->client_hello.extensions.n) return ak_hs_fail(h, AK_ERR_psk_not_last, "(RFC 8446 §4.2.11)");
    AK_EXT_READ_AS(ext_pre_shared_key_client, &x, AK_ERR_malformed_psk);
    for (ak_rd_view(&r, x.identities); ak_next_psk_identity(&r, &identity);) n++;
    if (n != ak_list_vec_count(x.binders, 1)) return ak_hs_fail(h, AK_ERR_psk_binders, "%zu identities, %zu binders", n, ak_list_vec_count(x.binders, 1));
    if (!ak_ext_client_sent(h, AK_EXT_psk_key_exchange_modes, NULL))
        return ak_hs_fail(h, AK_ERR_missing_extension, "pre_shared_key without psk_key_exchange_modes (RFC 8446 §4.2.9)");
    return AK_OK;
}

static bool usable_modes(const ak_hs *h) {
    unsigned modes = ak_flow13_of(h)->psk_modes & h->ctx->psk_modes;
    return (modes & AK_PSK_ke) != 0 || ((modes & AK_PSK_dhe_ke) != 0 && ak_auth_shared_group(h, AK_TLS13, false) != NULL);
}

ak_error ak_psk_select(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    ak_view body;
    ak_resumption *kept = h->resumed;
    h->resumed = NULL;
    f->psk = f->psk_external = f->unknown_psk = false;
    f->psk_at = 0;
    ak_buf_clear(&h->info->psk_identity);
    ak_error e = AK_OK;
    if (ak_ext_client_sent(h, AK_EXT_pre_shared_key, &body)) {
        e = check_offer(h, body);
        if (e == AK_OK && usable_modes(h) && f->taken_from_store && kept != NULL) e = again(h, kept, AK_PSK_CONSIDERED);
        if (e == AK_OK && !f->psk) e = usable_modes(h) ? look(h) : AK_OK;
        if (e == AK_OK && !f->psk) f->unknown_psk = true;
    }
    ak_resumption_free(kept);
    return e;
}

/* The application's answer to AK_EV_session_get or AK_EV_psk; a session that is taken is asked to be removed, so that it serves once. */
ak_error ak_psk_answered(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_psk_identity identity;
    ak_view slot, truncated;
    if (f->psk) return AK_OK; /* the answer is that it has been removed */
    if (!at(h, f->psk_at, &identity, &slot, &truncated)) return ak_hs_fail(h, AK_ERR_internal_error, NULL);
    bool key = f->key_asked;
    ak_error e = AK_OK;
    if (key) e = take_key(h, slot, truncated);
    else if (h->answer.bytes.n != 0) e = take_session(h, h->answer.bytes, slot, truncated);
    if (e != AK_OK || (f->psk && key)) return e;
    if (!f->psk && !key && h->ctx->ask_psk) return ask_key(h, identity.identity);
    if (f->psk) {
        f->taken_from_store = true;
        memcpy(f->taken_id, identity.identity.p, sizeof f->taken_id);
        h->event.key = identity.identity;
        return ak_hs_ask(h, AK_EV_session_remove);
    }
    f->psk_at++;
    e = look(h);
    if (e == AK_OK && !f->psk) f->unknown_psk = true;
    return e;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------------------------- */

bool ak_answer_pre_shared_key(ak_hs *h, ak_message_kind where, ak_buf *b) {
    const ak_flow13 *f = ak_flow13_of(h);
    return where == AK_IN_server_hello && f->psk && ak_buf_u16(b, (unsigned)f->psk_at);
}

/* The index counts the identities as they were really sent. */
ak_error ak_answered_pre_shared_key(ak_hs *h, ak_message_kind where, ak_view body) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_ext_pre_shared_key_server x;
    struct ak_psk_identity identity;
    ak_view slot, truncated;
    (void)where;
    AK_EXT_READ_AS(ext_pre_shared_key_server, &x, AK_ERR_malformed_psk);
    if (!at(h, x.selected_identity, &identity, &slot, &truncated)) return ak_hs_fail(h, AK_ERR_psk_index, "identity %u", x.selected_identity);
    const ak_psk_offer *o = offered(h, identity.identity);
    if (o == NULL) return ak_hs_fail(h, AK_ERR_psk_index, "identity %u is none of ours", x.selected_identity);
    if (o->external && !ak_buf_set(&h->info->psk_identity, identity.identity)) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    f->psk = true;
    f->psk_external = o->external;
    f->psk_at = (size_t)(o - f->offers);
    return AK_OK;
}
