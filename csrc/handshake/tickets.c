#include "handshake/tickets.h"

#include "base/ct.h"
#include "crypto/aead.h"

#include <stdlib.h>
#include <string.h>

#define NAME 16
#define KEY 32
#define TAG 16
#define KEYS_MAX 8
#define CIPHER AK_CIPHER_aes_256_gcm

typedef struct ticket_key {
    uint8_t name[NAME];
    uint8_t key[KEY];
    int64_t made; /* when it became the current one */
} ticket_key;

/* keys[0] makes tickets; the others only open them. */
struct ak_ticket_keys {
    unsigned refs;
    ak_provider *p;
    uint32_t lifetime; /* seconds that a key makes tickets; 0: until others are set */
    bool given;        /* set from bytes: other processes have them, too */
    ticket_key keys[KEYS_MAX];
    size_t n;
    ak_keyed seal, open;
    size_t open_for;   /* which key `open` holds; KEYS_MAX: none */
    bool seal_ready;
};

ak_ticket_keys *ak_ticket_keys_new(ak_provider *p, uint32_t lifetime) {
    ak_ticket_keys *k = calloc(1, sizeof *k);
    if (k == NULL) return NULL;
    k->refs = 1;
    k->p = ak_provider_ref(p);
    k->lifetime = lifetime;
    k->open_for = KEYS_MAX;
    return k;
}

ak_ticket_keys *ak_ticket_keys_ref(ak_ticket_keys *k) {
    k->refs++;
    return k;
}

void ak_ticket_keys_free(ak_ticket_keys *k) {
    if (k == NULL || --k->refs > 0) return;
    ak_keyed_free(&k->seal);
    ak_keyed_free(&k->open);
    ak_provider_free(k->p);
    ak_wipe(k, sizeof *k);
    free(k);
}

static void changed(ak_ticket_keys *k) {
    k->seal_ready = false;
    k->open_for = KEYS_MAX;
}

bool ak_ticket_keys_set(ak_ticket_keys *k, ak_view bytes, int64_t now) {
    size_t n = bytes.n / AK_TICKET_KEY_SIZE;
    if (n == 0 || n > KEYS_MAX || bytes.n % AK_TICKET_KEY_SIZE != 0) return false;
    ak_wipe(k->keys, sizeof k->keys);
    for (size_t i = 0; i < n; i++) {
        memcpy(k->keys[i].name, bytes.p + i * AK_TICKET_KEY_SIZE, NAME);
        memcpy(k->keys[i].key, bytes.p + i * AK_TICKET_KEY_SIZE + NAME, KEY);
        k->keys[i].made = now;
    }
    k->n = n;
    k->given = true;
    changed(k);
    return true;
}

bool ak_ticket_keys_get(const ak_ticket_keys *k, ak_buf *out) {
    for (size_t i = 0; i < k->n; i++) {
        ak_buf_put(out, k->keys[i].name, NAME);
        ak_buf_put(out, k->keys[i].key, KEY);
    }
    return k->n != 0 && !out->bad;
}

bool ak_ticket_keys_shared(const ak_ticket_keys *k) { return k->given; }

bool ak_ticket_keys_rotate(ak_ticket_keys *k, int64_t now) {
    ticket_key fresh = {.made = now};
    bool ok = ak_random(k->p, AK_PURPOSE_ticket_key, fresh.name, NAME) && ak_random(k->p, AK_PURPOSE_ticket_key, fresh.key, KEY);
    if (ok) {
        size_t keep = k->n < KEYS_MAX ? k->n : KEYS_MAX - 1;
        memmove(&k->keys[1], &k->keys[0], keep * sizeof k->keys[0]);
        k->keys[0] = fresh;
        k->n = keep + 1;
        changed(k);
    }
    ak_wipe(&fresh, sizeof fresh);
    return ok;
}

/* keep_up: a new key when there is none or the current one has served its time; keys that no living ticket can need go. Keys that were given are
 * the application's business. */
static bool keep_up(ak_ticket_keys *k, int64_t now) {
    if (k->given) return true;
    if (k->n == 0) return ak_ticket_keys_rotate(k, now);
    if (k->lifetime == 0 || now - k->keys[0].made < k->lifetime) return true;
    while (k->n > 1 && now - k->keys[k->n - 2].made >= k->lifetime) ak_wipe(&k->keys[--k->n], sizeof k->keys[0]);
    changed(k);
    if (now - k->keys[0].made >= 2 * (int64_t)k->lifetime) k->n = 0; /* nothing was asked of it for so long that its tickets are dead, too */
    return ak_ticket_keys_rotate(k, now);
}

/* keys_of: the context's keys, made at first use. A key makes tickets for as long as a session lives (an hour at least), and opens them for as long again. */
static ak_ticket_keys *keys_of(ak_context *c) {
    uint32_t lifetime = c->session_lifetime < 3600 ? 3600 : c->session_lifetime;
    if (c->ticket_keys == NULL) c->ticket_keys = ak_ticket_keys_new(c->provider, lifetime);
    if (c->ticket_keys == NULL || !keep_up(c->ticket_keys, ak_context_now(c))) return NULL;
    return c->ticket_keys->n != 0 ? c->ticket_keys : NULL;
}

static bool seal(ak_ticket_keys *k, ak_view plain, ak_buf *out) {
    uint8_t nonce[AK_AEAD_NONCE];
    if (!k->seal_ready && ak_keyed_set(&k->seal, k->p, CIPHER, true, k->keys[0].key) != AK_OK) return false;
    k->seal_ready = true;
    if (plain.n + NAME + sizeof nonce + TAG > AK_TICKET_MAX || !ak_random(k->p, AK_PURPOSE_ticket_iv, nonce, sizeof nonce)) return false;
    size_t start = out->n;
    ak_buf_put(out, k->keys[0].name, NAME);
    ak_buf_put(out, nonce, sizeof nonce);
    uint8_t *at = ak_buf_grow(out, plain.n + TAG);
    if (at != NULL && ak_aead_seal(&k->seal, nonce, k->keys[0].name, NAME, plain.p, plain.n, 0, at)) return true;
    if (!out->bad) out->n = start;
    return false;
}

bool ak_ticket_seal(ak_context *c, const ak_resumption *r, ak_buf *out) {
    ak_ticket_keys *k = keys_of(c);
    ak_buf plain;
    if (k == NULL) return false;
    ak_buf_init_secret(&plain, 1 << 20);
    bool ok = ak_resumption_write(r, &plain) && seal(k, ak_buf_view(&plain), out);
    ak_buf_free(&plain);
    return ok;
}

bool ak_ticket_seal_bytes(ak_context *c, ak_view plain, ak_buf *out) {
    ak_ticket_keys *k = keys_of(c);
    return k != NULL && seal(k, plain, out);
}

bool ak_ticket_open(ak_context *c, ak_view ticket, ak_buf *out, bool *renew) {
    *renew = false;
    if (ticket.n < NAME + AK_AEAD_NONCE + TAG || ticket.n > AK_TICKET_MAX) return false;
    ak_ticket_keys *k = keys_of(c);
    size_t i = 0;
    if (k == NULL) return false;
    while (i < k->n && !ak_ct_eq(k->keys[i].name, ticket.p, NAME)) i++;
    if (i == k->n) return false;
    if (k->open_for != i && ak_keyed_set(&k->open, k->p, CIPHER, false, k->keys[i].key) != AK_OK) {
        k->open_for = KEYS_MAX;
        return false;
    }
    k->open_for = i;
    size_t n = ticket.n - NAME - AK_AEAD_NONCE - TAG, start = out->n;
    uint8_t *at = ak_buf_grow(out, n + 1); /* + 1: an empty one is still an address */
    if (at == NULL) return false;
    out->n = start + n;
    if (!ak_aead_open(&k->open, ticket.p + NAME, k->keys[i].name, NAME, ticket.p + NAME + AK_AEAD_NONCE, n, at)) {
        out->n = start;
        return false;
    }
    *renew = i != 0;
    return true;
}
