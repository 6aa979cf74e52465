#include "crypto/internal.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    uint8_t size, block;
    const char *name;
} hashes[AK_HASH_count] = {
    [AK_HASH_none] = {0, 0, "none"},           [AK_HASH_md5] = {16, 64, "MD5"},        [AK_HASH_sha1] = {20, 64, "SHA-1"},
    [AK_HASH_sha256] = {32, 64, "SHA-256"},    [AK_HASH_sha384] = {48, 128, "SHA-384"}, [AK_HASH_sha512] = {64, 128, "SHA-512"},
    [AK_HASH_md5_sha1] = {36, 64, "MD5-SHA-1"},
};

static ak_hash known(ak_hash h) { return (unsigned)h < AK_HASH_count ? h : AK_HASH_none; }

size_t ak_hash_size(ak_hash h) { return hashes[known(h)].size; }
const char *ak_hash_name(ak_hash h) { return hashes[known(h)].name; }
bool ak_provider_has_hash(const ak_provider *p, ak_hash h) { return p->md[known(h)] != NULL; }

static bool failed(void) {
    ERR_clear_error();
    return false;
}

static bool start(EVP_MD_CTX **kept, EVP_MD *md) {
    if (md == NULL) return false;
    if (*kept == NULL && (*kept = EVP_MD_CTX_new()) == NULL) return false;
    return EVP_DigestInit_ex2(*kept, md, NULL) == 1;
}

static bool absorb(EVP_MD_CTX *ctx, ak_view v) { return v.n == 0 || EVP_DigestUpdate(ctx, v.p, v.n) == 1; }

bool ak_digest(ak_provider *p, ak_hash h, ak_view a, ak_view b, ak_view c, uint8_t *out) {
    h = known(h);
    EVP_MD_CTX **kept = &p->digest[h];
    if (!start(kept, p->md[h]) || !absorb(*kept, a) || !absorb(*kept, b) || !absorb(*kept, c)) return failed();
    return EVP_DigestFinal_ex(*kept, out, NULL) == 1 || failed();
}

/* ---- HMAC (RFC 2104) ------------------------------------------------------------------------------------------------------- */

#define BLOCK_MAX 128

/* make_pads: the key XORed with ipad and opad, each one block. False: no HMAC over this hash here. */
static bool make_pads(ak_provider *p, ak_hash h, ak_view key, uint8_t inner[BLOCK_MAX], uint8_t outer[BLOCK_MAX]) {
    uint8_t hashed[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    size_t block = hashes[h].block;
    if (h == AK_HASH_none || h == AK_HASH_md5_sha1 || p->md[h] == NULL) return false;
    if (key.n > block) {
        if (!ak_digest(p, h, key, none, none, hashed)) return false;
        key = ak_view_of(hashed, hashes[h].size);
    }
    memset(inner, 0x36, block);
    memset(outer, 0x5c, block);
    for (size_t i = 0; i < key.n; i++) {
        inner[i] ^= key.p[i];
        outer[i] ^= key.p[i];
    }
    if (key.p == hashed) ak_wipe(hashed, sizeof hashed);
    return true;
}

ak_pads *ak_pads_set(ak_provider *p, ak_hash h, ak_view key) {
    h = known(h);
    ak_pads *x = &p->pads[h];
    if (!make_pads(p, h, key, x->inner, x->outer)) return NULL;
    x->md = p->md[h];
    x->size = hashes[h].size;
    x->block = hashes[h].block;
    return x;
}

bool ak_pads_mac(ak_pads *x, ak_view a, ak_view b, ak_view c, uint8_t *out) {
    uint8_t inner[AK_HASH_MAX];
    bool ok = start(&x->work, x->md) && EVP_DigestUpdate(x->work, x->inner, x->block) == 1 && absorb(x->work, a) && absorb(x->work, b) &&
              absorb(x->work, c) && EVP_DigestFinal_ex(x->work, inner, NULL) == 1 && start(&x->work, x->md) &&
              EVP_DigestUpdate(x->work, x->outer, x->block) == 1 && EVP_DigestUpdate(x->work, inner, x->size) == 1 &&
              EVP_DigestFinal_ex(x->work, out, NULL) == 1;
    ak_wipe(inner, x->size);
    return ok || failed();
}

/* Starting anew writes the hash's public initial value over the keyed state; the context stays allocated. */
void ak_pads_clear(ak_pads *x) {
    ak_wipe(x->inner, x->block);
    ak_wipe(x->outer, x->block);
    if (x->work == NULL || start(&x->work, x->md)) return;
    failed();
    EVP_MD_CTX_reset(x->work);
}

bool ak_hmac(ak_provider *p, ak_hash h, ak_view key, ak_view a, ak_view b, ak_view c, uint8_t *out) {
    ak_pads *x = ak_pads_set(p, h, key);
    if (x == NULL) return false;
    bool ok = ak_pads_mac(x, a, b, c, out);
    ak_pads_clear(x);
    return ok;
}

/* ---- running hashes -------------------------------------------------------------------------------------------------------- */

bool ak_running_init(ak_running *r, ak_provider *p, ak_hash h) {
    r->ctx = NULL;
    r->provider = p;
    r->hash = known(h);
    struct ak_contexts *waiting = &p->contexts[r->hash];
    if (waiting->n != 0) {
        r->ctx = waiting->ctx[--waiting->n];
        return true;
    }
    if (start(&r->ctx, p->md[r->hash])) return true;
    EVP_MD_CTX_free(r->ctx);
    r->ctx = NULL;
    return failed();
}

bool ak_running_add(ak_running *r, ak_view v) { return r->ctx != NULL && (absorb(r->ctx, v) || failed()); }

bool ak_running_value(const ak_running *r, ak_provider *p, uint8_t out[AK_HASH_MAX]) {
    if (r->ctx == NULL) return false;
    return (EVP_MD_CTX_copy_ex(p->snapshot, r->ctx) == 1 && EVP_DigestFinal_ex(p->snapshot, out, NULL) == 1) || failed();
}

bool ak_running_copy(ak_running *to, const ak_running *from) {
    to->ctx = NULL;
    to->provider = from->provider;
    to->hash = from->hash;
    if (from->ctx == NULL) return false;
    to->ctx = EVP_MD_CTX_new();
    if (to->ctx != NULL && EVP_MD_CTX_copy_ex(to->ctx, from->ctx) == 1) return true;
    ak_running_free(to);
    return failed();
}

/* A context that waits has forgotten the hash; of what was hashed it may still have the end, less than a block. That is a transcript, which holds no secret. */
void ak_running_free(ak_running *r) {
    if (r->ctx == NULL) return;
    struct ak_contexts *waiting = &r->provider->contexts[r->hash];
    if (waiting->n < AK_CONTEXTS && start(&r->ctx, r->provider->md[r->hash])) {
        waiting->ctx[waiting->n++] = r->ctx;
    } else {
        EVP_MD_CTX_free(r->ctx);
        failed();
    }
    r->ctx = NULL;
}
