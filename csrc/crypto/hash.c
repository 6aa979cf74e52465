/* The one file that calls libcrypto's plain hash functions: hashing a secret number of bytes needs single compressions
 * (SHA256_Transform and its kin), which EVP does not have. They are public, exported and in every libcrypto from 3.0 on, but
 * marked as deprecated there. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hash.h"

#include "crypto/internal.h"

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <string.h>

/* What an ak_hash_state holds. */
typedef union __attribute__((may_alias)) state {
    MD5_CTX md5;
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha512; /* and SHA-384 */
    struct {
        MD5_CTX md5;
        SHA_CTX sha1;
    } both;
} state;
_Static_assert(sizeof(state) <= sizeof(ak_hash_state), "a state of libcrypto's is larger than ours");

static state *of(ak_hash_state *s) { return (state *)s; }
static const state *seen(const ak_hash_state *s) { return (const state *)s; }

static void put32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}
static void put32le(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

/* ---- the hashes -------------------------------------------------------------------------------------------------------------- */

static void md5_init(ak_hash_state *s) { MD5_Init(&of(s)->md5); }
static void md5_update(ak_hash_state *s, const uint8_t *p, size_t n) { MD5_Update(&of(s)->md5, p, n); }
static void md5_final(ak_hash_state *s, uint8_t *out) { MD5_Final(out, &of(s)->md5); }
static void md5_transform(ak_hash_state *s, const uint8_t *p) { MD5_Transform(&of(s)->md5, p); }
static void md5_value(const ak_hash_state *s, uint8_t *out) {
    const MD5_CTX *c = &seen(s)->md5;
    put32le(out, c->A);
    put32le(out + 4, c->B);
    put32le(out + 8, c->C);
    put32le(out + 12, c->D);
}

static void sha1_init(ak_hash_state *s) { SHA1_Init(&of(s)->sha1); }
static void sha1_update(ak_hash_state *s, const uint8_t *p, size_t n) { SHA1_Update(&of(s)->sha1, p, n); }
static void sha1_final(ak_hash_state *s, uint8_t *out) { SHA1_Final(out, &of(s)->sha1); }
static void sha1_transform(ak_hash_state *s, const uint8_t *p) { SHA1_Transform(&of(s)->sha1, p); }
static void sha1_value(const ak_hash_state *s, uint8_t *out) {
    const SHA_CTX *c = &seen(s)->sha1;
    put32(out, c->h0);
    put32(out + 4, c->h1);
    put32(out + 8, c->h2);
    put32(out + 12, c->h3);
    put32(out + 16, c->h4);
}

static void sha256_init(ak_hash_state *s) { SHA256_Init(&of(s)->sha256); }
static void sha256_update(ak_hash_state *s, const uint8_t *p, size_t n) { SHA256_Update(&of(s)->sha256, p, n); }
static void sha256_final(ak_hash_state *s, uint8_t *out) { SHA256_Final(out, &of(s)->sha256); }
static void sha256_transform(ak_hash_state *s, const uint8_t *p) { SHA256_Transform(&of(s)->sha256, p); }
static void sha256_value(const ak_hash_state *s, uint8_t *out) {
    for (size_t i = 0; i < 8; i++) put32(out + 4 * i, seen(s)->sha256.h[i]);
}

static void sha384_init(ak_hash_state *s) { SHA384_Init(&of(s)->sha512); }
static void sha512_init(ak_hash_state *s) { SHA512_Init(&of(s)->sha512); }
static void sha512_update(ak_hash_state *s, const uint8_t *p, size_t n) { SHA512_Update(&of(s)->sha512, p, n); }
static void sha512_final(ak_hash_state *s, uint8_t *out) { SHA512_Final(out, &of(s)->sha512); }
static void sha512_transform(ak_hash_state *s, const uint8_t *p) { SHA512_Transform(&of(s)->sha512, p); }
static void sha512_value(const ak_hash_state *s, uint8_t *out) {
    for (size_t i = 0; i < 8; i++) {
        put32(out + 8 * i, (uint32_t)(seen(s)->sha512.h[i] >> 32));
        put32(out + 8 * i + 4, (uint32_t)seen(s)->sha512.h[i]);
    }
}

static void both_init(ak_hash_state *s) {
    MD5_Init(&of(s)->both.md5);
    SHA1_Init(&of(s)->both.sha1);
}
static void both_update(ak_hash_state *s, const uint8_t *p, size_t n) {
    MD5_Update(&of(s)->both.md5, p, n);
    SHA1_Update(&of(s)->both.sha1, p, n);
}
static void both_final(ak_hash_state *s, uint8_t *out) {
    MD5_Final(out, &of(s)->both.md5);
    SHA1_Final(out + MD5_DIGEST_LENGTH, &of(s)->both.sha1);
}

static const ak_hash_ops hashes[AK_HASH_count] = {
    [AK_HASH_none] = {.name = "none"},
    [AK_HASH_md5] = {"MD5", 16, 16, 6, 8, true, md5_init, md5_update, md5_final, md5_transform, md5_value},
    [AK_HASH_sha1] = {"SHA-1", 20, 20, 6, 8, false, sha1_init, sha1_update, sha1_final, sha1_transform, sha1_value},
    [AK_HASH_sha256] = {"SHA-256", 32, 32, 6, 8, false, sha256_init, sha256_update, sha256_final, sha256_transform, sha256_value},
    [AK_HASH_sha384] = {"SHA-384", 48, 64, 7, 16, false, sha384_init, sha512_update, sha512_final, sha512_transform, sha512_value},
    [AK_HASH_sha512] = {"SHA-512", 64, 64, 7, 16, false, sha512_init, sha512_update, sha512_final, sha512_transform, sha512_value},
    [AK_HASH_md5_sha1] = {"MD5-SHA-1", 36, 36, 6, 8, false, both_init, both_update, both_final, NULL, NULL},
};

static ak_hash known(ak_hash h) { return (unsigned)h < AK_HASH_count ? h : AK_HASH_none; }

size_t ak_hash_size(ak_hash h) { return hashes[known(h)].size; }
const char *ak_hash_name(ak_hash h) { return hashes[known(h)].name; }
bool ak_provider_has_hash(const ak_provider *p, ak_hash h) { return p->md[known(h)] != NULL; }

const ak_hash_ops *ak_hash_ops_of(ak_hash h) { return known(h) != AK_HASH_none ? &hashes[h] : NULL; }

static void absorb(const ak_hash_ops *o, ak_hash_state *s, ak_view v) {
    if (v.n != 0) o->update(s, v.p, v.n);
}

bool ak_digest(const ak_provider *p, ak_hash h, ak_view a, ak_view b, ak_view c, uint8_t *out) {
    const ak_hash_ops *o = ak_hash_ops_of(h);
    ak_hash_state s;
    if (o == NULL || !ak_provider_has_hash(p, h)) return false;
    o->init(&s);
    absorb(o, &s, a);
    absorb(o, &s, b);
    absorb(o, &s, c);
    o->final(&s, out);
    ak_wipe(&s, sizeof s);
    return true;
}

/* ---- HMAC (RFC 2104) ------------------------------------------------------------------------------------------------------- */

#define BLOCK_MAX 128

/* pad: the key XORed with ipad or opad, one block; by words, as compilers do not make them of its bytes. */
static void pad(const ak_hash_ops *o, ak_hash_state *s, ak_view key, uint64_t with) {
    uint64_t block[BLOCK_MAX / 8] = {0};
    size_t size = (size_t)1 << o->block_bits;
    if (key.n != 0) memcpy(block, key.p, key.n);
    for (size_t i = 0; i < size / 8; i++) block[i] ^= with;
    o->init(s);
    o->update(s, (const uint8_t *)block, size);
    ak_wipe(block, sizeof block);
}

bool ak_hmac_key_set(ak_hmac_key *k, ak_hash h, ak_view key) {
    const ak_hash_ops *o = ak_hash_ops_of(h);
    uint8_t hashed[AK_HASH_MAX];
    if (o == NULL || o->transform == NULL) return false;
    if (key.n > (size_t)1 << o->block_bits) { /* §2 */
        o->init(&k->inner);
        o->update(&k->inner, key.p, key.n);
        o->final(&k->inner, hashed);
        key = ak_view_of(hashed, o->size);
    }
    k->hash = h;
    pad(o, &k->inner, key, 0x3636363636363636u);
    pad(o, &k->outer, key, 0x5c5c5c5c5c5c5c5cu);
    if (key.p == hashed) ak_wipe(hashed, sizeof hashed);
    return true;
}

void ak_hmac_with(const ak_hmac_key *k, ak_view a, ak_view b, ak_view c, uint8_t *out) {
    const ak_hash_ops *o = &hashes[k->hash];
    uint8_t inner[AK_HASH_MAX];
    ak_hash_state s = k->inner;
    absorb(o, &s, a);
    absorb(o, &s, b);
    absorb(o, &s, c);
    o->final(&s, inner);
    s = k->outer;
    o->update(&s, inner, o->size);
    o->final(&s, out);
    ak_wipe(inner, sizeof inner);
    ak_wipe(&s, sizeof s);
}

bool ak_hmac(const ak_provider *p, ak_hash h, ak_view key, ak_view a, ak_view b, ak_view c, uint8_t *out) {
    ak_hmac_key k;
    if (!ak_provider_has_hash(p, h) || !ak_hmac_key_set(&k, h, key)) return false;
    ak_hmac_with(&k, a, b, c, out);
    ak_wipe(&k, sizeof k);
    return true;
}

/* ---- running hashes -------------------------------------------------------------------------------------------------------- */

bool ak_running_init(ak_running *r, const ak_provider *p, ak_hash h) {
    const ak_hash_ops *o = ak_hash_ops_of(h);
    if (o == NULL || !ak_provider_has_hash(p, h)) return false;
    r->hash = h;
    o->init(&r->state);
    return true;
}

void ak_running_add(ak_running *r, ak_view v) { absorb(&hashes[r->hash], &r->state, v); }

void ak_running_value(const ak_running *r, uint8_t out[AK_HASH_MAX]) {
    ak_hash_state s = r->state;
    hashes[r->hash].final(&s, out);
    ak_wipe(&s, sizeof s);
}
