/* context.c: what one side is willing to do, and ak_info, what was agreed. */
#include "handshake/machine.h"

#include "crypto/compress.h"
#include "handshake/replay.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

ak_context *ak_context_new(ak_provider *p, bool server) {
    ak_context *c = ak_zalloc(sizeof *c);
    if (c == NULL) return NULL;
    c->refs = 1;
    c->provider = ak_provider_ref(p);
    c->server = server;
    c->min_version = c->max_version = AK_TLS12;
    c->verify = c->verify_host = true;
    c->ems = c->etm = c->session_ids = c->tickets = true;
    c->n_tickets = 2;
    c->session_lifetime = 7200;
    c->middlebox_compat = true;
    c->max_message = AK_MESSAGE_MAX_DEFAULT;
    c->max_hello = AK_CLIENT_HELLO_MAX;
    c->security_level = 2;
    c->min_dh_bits = 2048;
    c->psk_modes = AK_PSK_dhe_ke;
    c->early_data_window = 10;
    ak_buf_init(&c->alpn, 65535);
    ak_buf_init(&c->psk_hint, 128);
    ak_buf_init(&c->oid_filters, 65530);
    return c;
}

ak_context *ak_context_ref(ak_context *c) {
    c->refs++;
    return c;
}

void ak_context_free(ak_context *c) {
    if (c == NULL || --c->refs > 0) return;
    if (c->parent != NULL) {
        ak_context_free(c->parent);
        ak_wipe(c, sizeof *c);
        free(c);
        return;
    }
    for (size_t i = 0; i < c->n_identities; i++) ak_identity_free(c->identities[i]);
    if (c->trust != NULL) ak_trust_free(c->trust);
    ak_store_free(c->store);
    ak_buf_free(&c->alpn);
    for (size_t i = 0; i < c->n_psks; i++) {
        ak_buf_free(&c->psks[i].identity);
        ak_buf_free(&c->psks[i].secret);
    }
    ak_ticket_keys_free(c->ticket_keys);
    ak_replay_free(c->replay);
    ak_compressors_free(c->compressors);
    ak_buf_free(&c->psk_hint);
    ak_buf_free(&c->oid_filters);
    ak_secret_wipe(&c->context_id);
    ak_provider_free(c->provider);
    free(c);
}

ak_context *ak_context_variant(ak_context *c) {
    ak_context *v = malloc(sizeof *v);
    if (v == NULL) return NULL;
    *v = *c;
    v->refs = 1;
    v->parent = ak_context_ref(c->parent != NULL ? c->parent : c); /* a variant of a variant lives on the same one: no chain grows */
    return v;
}

/* ---- what keeps sessions apart --------------------------------------------------------------------------------------------- */

static bool add_certificate(ak_provider *p, const ak_cert *cert, ak_buf *out) {
    uint8_t digest[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    return ak_digest(p, AK_HASH_sha256, cert->der, none, none, digest) && ak_buf_put(out, digest, ak_hash_size(AK_HASH_sha256));
}

static bool add_list(const uint16_t *ids, size_t n, ak_buf *out) {
    bool ok = ak_buf_u16(out, (unsigned)n);
    for (size_t i = 0; ok && i < n; i++) ok = ak_buf_u16(out, ids[i]);
    return ok;
}

/* add_demands: by what the peer's chain is judged. A session spares the judgement, so it is good where this is the same. */
static bool add_demands(const ak_context *c, ak_buf *out) {
    uint8_t digest[32] = {0};
    if (!c->verify) return true;
    return (c->trust == NULL || ak_trust_digest(c->trust, c->provider, digest)) && ak_buf_put(out, digest, sizeof digest) &&
           ak_buf_u8(out, c->security_level) && ak_buf_u8(out, (c->ask_untrusted ? 1u : 0u) | (c->ocsp ? 2u : 0u)) &&
           add_list(c->schemes, c->n_schemes, out) && add_list(c->cert_schemes, c->n_cert_schemes, out) && ak_buf_vec(out, ak_buf_view(&c->oid_filters), 2);
}

ak_view ak_context_identity(ak_context *c) {
    uint8_t digest[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    ak_buf all;
    uint64_t changes = c->trust != NULL ? ak_trust_changes(c->trust) : 0;
    if (c->context_id.n != 0 && c->context_id_at == changes) return ak_secret_view(&c->context_id);
    ak_secret_wipe(&c->context_id);
    c->context_id_at = changes;
    ak_buf_init(&all, AK_BUF_NO_LIMIT);
    bool ok = ak_buf_u8(&all, (c->server ? 1u : 0u) | (c->verify ? 2u : 0u) | (c->verify_host ? 4u : 0u)) && ak_buf_u8(&all, c->client_auth) &&
              ak_buf_u8(&all, (unsigned)c->n_identities);
    for (size_t i = 0; ok && i < c->n_identities; i++) ok = add_certificate(c->provider, c->identities[i]->chain.certs[0], &all);
    ok = ok && add_demands(c, &all);
    if (ok && ak_digest(c->provider, AK_HASH_sha256, ak_buf_view(&all), none, none, digest)) ak_secret_set(&c->context_id, digest, ak_hash_size(AK_HASH_sha256));
    ak_buf_free(&all);
    return ak_secret_view(&c->context_id);
}

int64_t ak_context_now(const ak_context *c) {
    while (c->parent != NULL) c = c->parent; /* the clock may be taken from it at any time */
    return c->clock != NULL ? c->clock(c->clock_user) : (int64_t)time(NULL);
}

uint64_t ak_context_now_ms(const ak_context *c) {
    struct timespec now;
    while (c->parent != NULL) c = c->parent;
    if (c->clock != NULL || timespec_get(&now, TIME_UTC) != TIME_UTC) return (uint64_t)ak_context_now(c) * 1000;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

ak_error ak_context_add_psk(ak_context *c, ak_view identity, ak_view secret, ak_hash hash, ak_failure *f) {
    if (hash == AK_HASH_none) hash = AK_HASH_sha256;
    size_t least = c->max_version >= AK_TLS13 ? 1 : 0; /* RFC 8446 §4.2.11; RFC 4279 §2 allows an empty one */
    if (identity.n < least || identity.n > 65535 - 6) return ak_fail(f, AK_ERR_bad_key, "a pre-shared key's identity has %zu to 65529 bytes", least);
    if (secret.n == 0 || secret.n > 65535) return ak_fail(f, AK_ERR_bad_key, "an empty pre-shared key, or a very long one");
    if (hash != AK_HASH_sha256 && hash != AK_HASH_sha384) return ak_fail(f, AK_ERR_bad_key, "TLS 1.3 has no suite with the hash of this pre-shared key");
    if (c->n_psks == AK_PSKS_MAX) return ak_fail(f, AK_ERR_bad_key, "more than %d pre-shared keys", AK_PSKS_MAX);
    ak_psk *p = &c->psks[c->n_psks];
    ak_buf_init(&p->identity, 65535);
    ak_buf_init_secret(&p->secret, 65535);
    p->hash = hash;
    if (ak_buf_put_view(&p->identity, identity) && ak_buf_put_view(&p->secret, secret)) {
        c->n_psks++;
        return AK_OK;
    }
    ak_buf_free(&p->identity);
    ak_buf_free(&p->secret);
    return ak_fail(f, AK_ERR_out_of_memory, NULL);
}

/* ---- info -------------------------------------------------------------------------------------------------------------- */

ak_info *ak_info_new(ak_provider *p, bool server) {
    ak_info *i = ak_block_new(p, sizeof *i);
    if (i == NULL) return NULL;
    i->refs = 1;
    i->provider = ak_provider_ref(p);
    i->server = server;
#define MAKE(field, max) ak_buf_init(&i->field, max);
    AK_INFO_BUFS(MAKE)
#undef MAKE
    return i;
}

ak_info *ak_info_ref(ak_info *i) {
    i->refs++;
    return i;
}

void ak_info_free(ak_info *i) {
    if (i == NULL || --i->refs > 0) return;
    ak_chain_free(i->peer_chain);
    if (i->report != NULL) ak_report_free(i->report);
#define FREE(field, max) ak_buf_free(&i->field);
    AK_INFO_BUFS(FREE)
#undef FREE
    ak_resumption_free(i->resumption);
    for (size_t k = 0; k < i->n_tickets; k++) ak_resumption_free(i->tickets[k]);
    ak_provider *p = i->provider;
    ak_block_free(p, i, sizeof *i);
    ak_provider_free(p);
}
