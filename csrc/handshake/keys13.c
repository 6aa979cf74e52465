/* keys13.c: the key schedule of TLS 1.3 (RFC 8446 §7.1), and its key log lines. */
#include "handshake/messages13.h"

#include "crypto/kdf.h"
#include "handshake/keys.h"

#include <string.h>

static const ak_view none = {NULL, 0};

static ak_error failed(ak_hs *h, const char *what) { return ak_hs_fail(h, AK_ERR_crypto_failed, "%s", what); }

/* note: the trace of a derivation, for who looks at the secrets while the handshake lives. */
static void note(ak_hs *h, const char *name, const char *label, ak_view hash) {
    ak_flow13 *f = ak_flow13_of(h);
    size_t i = 0;
    while (i < f->n_derived && strcmp(f->derived[i].name, name) != 0) i++;
    if (i == AK_DERIVED_MAX || hash.n > AK_HASH_MAX) return;
    if (i == f->n_derived) f->n_derived++;
    f->derived[i].name = name;
    f->derived[i].label = label;
    if (hash.n != 0) memcpy(f->derived[i].hash, hash.p, hash.n);
    f->derived[i].hash_n = (uint8_t)hash.n;
}

bool ak_hs_secret_origin(const ak_hs *h, const char *name, const char **label, ak_view *hash) {
    const ak_flow13 *f = ak_flow13_of(h);
    for (size_t i = 0; f != NULL && i < f->n_derived; i++) {
        if (strcmp(f->derived[i].name, name) != 0) continue;
        *label = f->derived[i].label;
        *hash = ak_view_of(f->derived[i].hash, f->derived[i].hash_n);
        return true;
    }
    return false;
}

/* of: a secret as derive wants it. */
static ak_error of(ak_hs *h, ak_hkdf_key *k, ak_hash hash, const ak_secret *secret) {
    return ak_hkdf_key_set(k, h->p, hash, ak_secret_view(secret)) ? AK_OK : failed(h, "a hash");
}

/* derive: Derive-Secret; `line` names it in the key log (NULL: not logged). */
static ak_error derive(ak_hs *h, const ak_hkdf_key *from, const char *label, ak_view transcript, ak_secret *out, const char *name, const char *line) {
    if (!ak_derive_secret(h->p, from, label, transcript, out)) return failed(h, label);
    note(h, name, label, transcript);
    if (line != NULL && !ak_hs_keylog_line(h, line, ak_secret_view(out))) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    return AK_OK;
}

/* advance: the next secret down the middle of RFC 8446 §7.1's figure; the one before it is wiped. */
static ak_error advance(ak_hs *h, ak_secret *from, ak_view ikm, ak_secret *to, const char *name) {
    ak_hash hash = h->info->suite->prf;
    ak_secret salt = {.n = 0};
    ak_hkdf_key k;
    bool ok = ak_hkdf_key_set(&k, h->p, hash, ak_secret_view(from)) && ak_derive_secret(h->p, &k, "derived", none, &salt) && ak_hkdf_extract(h->p, hash, ak_secret_view(&salt), ikm, to);
    ak_wipe(&k, sizeof k);
    ak_secret_wipe(&salt);
    ak_secret_wipe(from);
    if (!ok) return failed(h, name);
    note(h, name, "derived", none);
    return AK_OK;
}

static bool transcript(ak_hs *h, uint8_t value[AK_HASH_MAX], ak_view *v) {
    size_t n = 0;
    if (!ak_transcript_value(&h->transcript, value, &n)) return false;
    *v = ak_view_of(value, n);
    return true;
}

/* ---- early ---------------------------------------------------------------------------------------------------------------- */

ak_error ak_keys13_early(ak_hs *h, ak_hash hash, ak_view psk) {
    if (!ak_hkdf_extract(h->p, hash, none, psk, &h->secrets.early)) return failed(h, "the early secret");
    note(h, "early", "", none);
    return AK_OK;
}

ak_error ak_keys13_binder(ak_hs *h, ak_hash hash, bool external, ak_view truncated_hash, uint8_t out[AK_HASH_MAX]) {
    ak_secret key = {.n = 0};
    size_t n = ak_hash_size(hash);
    ak_hkdf_key early;
    ak_error e = of(h, &early, hash, &h->secrets.early);
    if (e == AK_OK) e = derive(h, &early, external ? "ext binder" : "res binder", none, &h->secrets.binder, "binder", NULL);
    if (e == AK_OK) {
        key.n = (uint8_t)n;
        if (!ak_hkdf_expand_label(h->p, hash, ak_secret_view(&h->secrets.binder), "finished", none, key.p, n) ||
            !ak_hmac(h->p, hash, ak_secret_view(&key), truncated_hash, none, none, out))
            e = failed(h, "a binder");
    }
    ak_wipe(&early, sizeof early);
    ak_secret_wipe(&key);
    return e;
}

ak_error ak_keys13_early_traffic(ak_hs *h, const ak_suite *suite, ak_view hello_hash) {
    ak_secrets *s = &h->secrets;
    ak_hkdf_key early;
    ak_error e = of(h, &early, suite->prf, &s->early);
    if (e == AK_OK) e = derive(h, &early, "c e traffic", hello_hash, &s->client_early_traffic, "client_early_traffic", "CLIENT_EARLY_TRAFFIC_SECRET");
    if (e == AK_OK) e = derive(h, &early, "e exp master", hello_hash, &s->early_exporter, "early_exporter", "EARLY_EXPORTER_SECRET");
    ak_wipe(&early, sizeof early);
    return e;
}

/* ---- handshake ------------------------------------------------------------------------------------------------------------------ */

ak_error ak_keys13_handshake(ak_hs *h) {
    ak_secrets *s = &h->secrets;
    uint8_t value[AK_HASH_MAX];
    ak_view hello;
    ak_hkdf_key from;
    ak_error e = advance(h, &s->early, ak_buf_view(&s->premaster), &s->handshake, "handshake");
    ak_buf_free(&s->premaster);
    ak_secret_wipe(&s->binder);
    if (e != AK_OK) return e;
    if (!transcript(h, value, &hello)) return failed(h, "the transcript hash");
    e = of(h, &from, h->info->suite->prf, &s->handshake);
    if (e == AK_OK) e = derive(h, &from, "c hs traffic", hello, &s->client_handshake_traffic, "client_handshake_traffic", "CLIENT_HANDSHAKE_TRAFFIC_SECRET");
    if (e == AK_OK) e = derive(h, &from, "s hs traffic", hello, &s->server_handshake_traffic, "server_handshake_traffic", "SERVER_HANDSHAKE_TRAFFIC_SECRET");
    ak_wipe(&from, sizeof from);
    return e;
}

/* ---- master ----------------------------------------------------------------------------------------------------------------------- */

ak_error ak_keys13_master(ak_hs *h) {
    ak_secrets *s = &h->secrets;
    uint8_t value[AK_HASH_MAX];
    ak_view so_far;
    ak_hkdf_key from;
    ak_error e = advance(h, &s->handshake, none, &s->master13, "master");
    if (e != AK_OK) return e;
    if (!transcript(h, value, &so_far)) return failed(h, "the transcript hash");
    e = of(h, &from, h->info->suite->prf, &s->master13);
    if (e == AK_OK) e = derive(h, &from, "c ap traffic", so_far, &s->client_application_traffic, "client_application_traffic", "CLIENT_TRAFFIC_SECRET_0");
    if (e == AK_OK) e = derive(h, &from, "s ap traffic", so_far, &s->server_application_traffic, "server_application_traffic", "SERVER_TRAFFIC_SECRET_0");
    if (e == AK_OK) e = derive(h, &from, "exp master", so_far, &s->exporter, "exporter", "EXPORTER_SECRET");
    ak_wipe(&from, sizeof from);
    return e;
}

ak_error ak_keys13_resumption(ak_hs *h) {
    ak_secrets *s = &h->secrets;
    uint8_t value[AK_HASH_MAX];
    ak_view all;
    ak_hkdf_key from;
    if (!transcript(h, value, &all)) return failed(h, "the transcript hash");
    ak_error e = of(h, &from, h->info->suite->prf, &s->master13);
    if (e == AK_OK) e = derive(h, &from, "res master", all, &s->resumption, "resumption", NULL);
    ak_wipe(&from, sizeof from);
    ak_secret *over[] = {&s->master13, &s->client_handshake_traffic, &s->server_handshake_traffic, &s->client_early_traffic};
    for (size_t i = 0; i < sizeof over / sizeof over[0]; i++) ak_secret_wipe(over[i]);
    return e;
}

/* ---- Finished, KeyUpdate ------------------------------------------------------------------------------------------------------------ */

ak_error ak_keys13_verify_data(ak_hs *h, bool server, uint8_t out[AK_HASH_MAX], size_t *n) {
    const ak_secret *base = server ? &h->secrets.server_handshake_traffic : &h->secrets.client_handshake_traffic;
    ak_hash hash = h->info->suite->prf;
    uint8_t value[AK_HASH_MAX];
    ak_view so_far;
    ak_secret key = {.n = (uint8_t)ak_hash_size(hash)};
    *n = key.n;
    bool ok = transcript(h, value, &so_far) && ak_hkdf_expand_label(h->p, hash, ak_secret_view(base), "finished", none, key.p, key.n) &&
              ak_hmac(h->p, hash, ak_secret_view(&key), so_far, none, none, out);
    ak_secret_wipe(&key);
    return ok ? AK_OK : failed(h, "verify_data");
}

bool ak_keys13_next(ak_provider *p, ak_hash hash, ak_secret *secret) {
    ak_secret next = {.n = (uint8_t)ak_hash_size(hash)};
    bool ok = ak_hkdf_expand_label(p, hash, ak_secret_view(secret), "traffic upd", none, next.p, next.n);
    if (ok) *secret = next;
    ak_secret_wipe(&next);
    return ok;
}

void ak_keys13_use(ak_hs *h, bool write, const ak_secret *secret) {
    *(write ? &h->secrets.next_write : &h->secrets.next_read) = *secret;
    h->actions |= write ? AK_ACT_rekey_write : AK_ACT_rekey_read;
}

bool ak_keys13_export(ak_provider *p, ak_hash hash, ak_view secret, const char *label, ak_view context, uint8_t *out, size_t n) {
    uint8_t value[AK_HASH_MAX];
    ak_secret derived = {.n = 0};
    ak_hkdf_key from;
    bool ok = ak_hkdf_key_set(&from, p, hash, secret) && ak_derive_secret(p, &from, label, none, &derived) && ak_digest(p, hash, context, none, none, value) &&
              ak_hkdf_expand_label(p, hash, ak_secret_view(&derived), "exporter", ak_view_of(value, ak_hash_size(hash)), out, n);
    ak_wipe(&from, sizeof from);
    ak_secret_wipe(&derived);
    return ok;
}
