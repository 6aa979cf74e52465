/* The one file that calls libcrypto's plain hash functions: hashing a secret number of bytes needs single compressions
 * (SHA256_Transform and its kin), which EVP does not have. They are public, exported and in every libcrypto from 3.0 on, but
 * marked as deprecated there. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/mac.h"

#include "base/ct.h"

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX 128
#define SSL3_KEY_MAX 20

typedef union hash_state {
    MD5_CTX md5;
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha512; /* and SHA-384 */
} hash_state;

/* ---- one small face for five hashes ---------------------------------------------------------------------------------------- */

typedef struct hash_ops {
    uint8_t size, chain, block_bits, length; /* digest; chaining value; log2 of the block; bytes of the length field */
    bool little_endian;
    void (*init)(hash_state *);
    void (*update)(hash_state *, const uint8_t *, size_t);
    void (*final)(hash_state *, uint8_t *);
    void (*transform)(hash_state *, const uint8_t *); /* one block; nothing may be pending */
    void (*value)(const hash_state *, uint8_t *);     /* the chaining value as a digest's bytes */
} hash_ops;

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

static void md5_init(hash_state *s) { MD5_Init(&s->md5); }
static void md5_update(hash_state *s, const uint8_t *p, size_t n) { MD5_Update(&s->md5, p, n); }
static void md5_final(hash_state *s, uint8_t *out) { MD5_Final(out, &s->md5); }
static void md5_transform(hash_state *s, const uint8_t *p) { MD5_Transform(&s->md5, p); }
static void md5_value(const hash_state *s, uint8_t *out) {
    put32le(out, s->md5.A);
    put32le(out + 4, s->md5.B);
    put32le(out + 8, s->md5.C);
    put32le(out + 12, s->md5.D);
}

static void sha1_init(hash_state *s) { SHA1_Init(&s->sha1); }
static void sha1_update(hash_state *s, const uint8_t *p, size_t n) { SHA1_Update(&s->sha1, p, n); }
static void sha1_final(hash_state *s, uint8_t *out) { SHA1_Final(out, &s->sha1); }
static void sha1_transform(hash_state *s, const uint8_t *p) { SHA1_Transform(&s->sha1, p); }
static void sha1_value(const hash_state *s, uint8_t *out) {
    put32(out, s->sha1.h0);
    put32(out + 4, s->sha1.h1);
    put32(out + 8, s->sha1.h2);
    put32(out + 12, s->sha1.h3);
    put32(out + 16, s->sha1.h4);
}

static void sha256_init(hash_state *s) { SHA256_Init(&s->sha256); }
static void sha256_update(hash_state *s, const uint8_t *p, size_t n) { SHA256_Update(&s->sha256, p, n); }
static void sha256_final(hash_state *s, uint8_t *out) { SHA256_Final(out, &s->sha256); }
static void sha256_transform(hash_state *s, const uint8_t *p) { SHA256_Transform(&s->sha256, p); }
static void sha256_value(const hash_state *s, uint8_t *out) {
    for (size_t i = 0; i < 8; i++) put32(out + 4 * i, s->sha256.h[i]);
}

static void sha384_init(hash_state *s) { SHA384_Init(&s->sha512); }
static void sha512_init(hash_state *s) { SHA512_Init(&s->sha512); }
static void sha512_update(hash_state *s, const uint8_t *p, size_t n) { SHA512_Update(&s->sha512, p, n); }
static void sha512_final(hash_state *s, uint8_t *out) { SHA512_Final(out, &s->sha512); }
static void sha512_transform(hash_state *s, const uint8_t *p) { SHA512_Transform(&s->sha512, p); }
static void sha512_value(const hash_state *s, uint8_t *out) {
    for (size_t i = 0; i < 8; i++) {
        put32(out + 8 * i, (uint32_t)(s->sha512.h[i] >> 32));
        put32(out + 8 * i + 4, (uint32_t)s->sha512.h[i]);
    }
}

static const hash_ops hashes[AK_HASH_count] = {
    [AK_HASH_md5] = {16, 16, 6, 8, true, md5_init, md5_update, md5_final, md5_transform, md5_value},
    [AK_HASH_sha1] = {20, 20, 6, 8, false, sha1_init, sha1_update, sha1_final, sha1_transform, sha1_value},
    [AK_HASH_sha256] = {32, 32, 6, 8, false, sha256_init, sha256_update, sha256_final, sha256_transform, sha256_value},
    [AK_HASH_sha384] = {48, 64, 7, 16, false, sha384_init, sha512_update, sha512_final, sha512_transform, sha512_value},
    [AK_HASH_sha512] = {64, 64, 7, 16, false, sha512_init, sha512_update, sha512_final, sha512_transform, sha512_value},
};

/* ---- keys ---------------------------------------------------------------------------------------------------------------------- */

struct ak_mac {
    const hash_ops *h;
    hash_state inner, outer; /* TLS: each with its padded key absorbed; SSL 3.0: with key and pad absorbed */
    bool ssl3;
    uint8_t key_n;             /* SSL 3.0 only */
    uint8_t key[SSL3_KEY_MAX]; /* SSL 3.0 only: its key does not fill a block with SHA-1, so that the secret way needs the bytes themselves */
};

static size_t ssl3_pad(const hash_ops *h) { return h->size == 16 ? 48 : 40; }

static void absorb_pad(const hash_ops *h, hash_state *s, const uint8_t *key, size_t n, uint8_t with) {
    uint8_t block[BLOCK_MAX];
    size_t size = (size_t)1 << h->block_bits;
    memset(block, with, size);
    for (size_t i = 0; i < n; i++) block[i] ^= key[i];
    h->init(s);
    h->update(s, block, size);
    ak_wipe(block, sizeof block);
}

static void absorb_ssl3(const hash_ops *h, hash_state *s, const uint8_t *key, size_t n, uint8_t with) {
    uint8_t pad[48];
    memset(pad, with, sizeof pad);
    h->init(s);
    h->update(s, key, n);
    h->update(s, pad, ssl3_pad(h));
}

ak_mac *ak_mac_new(ak_hash hash, bool ssl3, ak_view key) {
    if ((unsigned)hash >= AK_HASH_count || hashes[hash].init == NULL) return NULL;
    const hash_ops *h = &hashes[hash];
    if (key.n > (size_t)1 << h->block_bits || (ssl3 && (h->size > SSL3_KEY_MAX || key.n > SSL3_KEY_MAX))) return NULL;
    ak_mac *m = ak_zalloc(sizeof *m);
    if (m == NULL) return NULL;
    m->h = h;
    m->ssl3 = ssl3;
    if (ssl3) {
        if (key.n != 0) memcpy(m->key, key.p, key.n);
        m->key_n = (uint8_t)key.n;
        absorb_ssl3(h, &m->inner, m->key, key.n, 0x36);
        absorb_ssl3(h, &m->outer, m->key, key.n, 0x5c);
        return m;
    }
    absorb_pad(h, &m->inner, key.p, key.n, 0x36);
    absorb_pad(h, &m->outer, key.p, key.n, 0x5c);
    return m;
}

ak_mac *ak_mac_clone(const ak_mac *m) {
    ak_mac *c = malloc(sizeof *c);
    if (c != NULL) *c = *m;
    return c;
}

void ak_mac_free(ak_mac *m) {
    if (m == NULL) return;
    ak_wipe(m, sizeof *m);
    free(m);
}

size_t ak_mac_size(const ak_mac *m) { return m->h->size; }

/* ---- over a public length ------------------------------------------------------------------------------------------------------ */

#define HEAD_MAX 13

/* seq, type, version (not in SSL 3.0), length. No branch on n, which may be secret. */
static size_t put_head(const ak_mac *m, const ak_mac_head *head, uint64_t n, uint8_t out[HEAD_MAX]) {
    size_t at = 8;
    put32(out, (uint32_t)(head->seq >> 32));
    put32(out + 4, (uint32_t)head->seq);
    out[at++] = head->type;
    if (!m->ssl3) {
        out[at++] = (uint8_t)(head->version >> 8);
        out[at++] = (uint8_t)head->version;
    }
    out[at++] = (uint8_t)(n >> 8);
    out[at++] = (uint8_t)n;
    return at;
}

static void finish(const ak_mac *m, const uint8_t *inner, uint8_t *out) {
    hash_state s = m->outer;
    m->h->update(&s, inner, m->h->size);
    m->h->final(&s, out);
    ak_wipe(&s, sizeof s);
}

void ak_mac_record(const ak_mac *m, const ak_mac_head *head, const uint8_t *data, size_t n, uint8_t *out) {
    uint8_t h[HEAD_MAX], inner[AK_MAC_MAX];
    hash_state s = m->inner;
    m->h->update(&s, h, put_head(m, head, n, h));
    if (n != 0) m->h->update(&s, data, n);
    m->h->final(&s, inner);
    finish(m, inner, out);
    ak_wipe(inner, sizeof inner);
    ak_wipe(&s, sizeof s);
}

void ak_mac_bytes(const ak_mac *m, ak_view a, ak_view b, uint8_t *out) {
    uint8_t inner[AK_MAC_MAX];
    hash_state s = m->inner;
    if (a.n != 0) m->h->update(&s, a.p, a.n);
    if (b.n != 0) m->h->update(&s, b.p, b.n);
    m->h->final(&s, inner);
    finish(m, inner, out);
    ak_wipe(inner, sizeof inner);
    ak_wipe(&s, sizeof s);
}

/* ---- over a secret length ------------------------------------------------------------------------------------------------------- */

/* What the inner hash covers is a stream: `lead` bytes (public number, the record's secret length among them), then the data. The padded
 * message (FIPS 180-4 §5.1) ends in a block whose number is secret. Blocks that the shortest record fills are hashed as usual; from there on,
 * every block that could be the last is built by masks and compressed, and the chaining value after the true last one is kept by a mask.
 *
 * PUBLIC: lead_n, before, min_n, max_n, the hash. SECRET: n (and all that is computed from it), the data, the chaining values. */

typedef struct stream {
    uint8_t lead[SSL3_KEY_MAX + 48 + HEAD_MAX];
    size_t lead_n;
    uint64_t before; /* bytes hashed before the stream begins: TLS's padded key */
} stream;

static void start_stream(const ak_mac *m, const ak_mac_head *head, uint64_t n, stream *st, hash_state *s) {
    st->lead_n = 0;
    if (m->ssl3) {
        memcpy(st->lead, m->key, m->key_n);
        memset(st->lead + m->key_n, 0x36, ssl3_pad(m->h));
        st->lead_n = m->key_n + ssl3_pad(m->h);
        st->before = 0;
        m->h->init(s);
    } else {
        st->before = (uint64_t)1 << m->h->block_bits;
        *s = m->inner;
    }
    st->lead_n += put_head(m, head, n, st->lead + st->lead_n);
}

/* Bytes of the stream from `pos` on, as far as they could be; the rest zeros. All public but the bytes. */
static void fetch(const stream *st, const uint8_t *data, size_t max_n, size_t pos, uint8_t *block, size_t size) {
    size_t at = 0;
    memset(block, 0, size);
    for (; at < size && pos + at < st->lead_n; at++) block[at] = st->lead[pos + at];
    size_t from = pos + at - st->lead_n;
    if (from >= max_n) return;
    size_t n = size - at < max_n - from ? size - at : max_n - from;
    if (n != 0) memcpy(block + at, data + from, n);
}

/* Block number `at` of the stream when it ends after `total` (SECRET) bytes; `last` (SECRET): all ones when this is the last one. */
static void build_block(const hash_ops *h, const stream *st, const uint8_t *data, size_t max_n, size_t at, uint64_t total, uint64_t last,
                        uint8_t block[BLOCK_MAX]) {
    size_t size = (size_t)1 << h->block_bits;
    fetch(st, data, max_n, at * size, block, size);
    /* SECRET: how many bytes of the stream are in this block, and where the 0x80 after them stands (255: not in this block) */
    uint64_t begun = ak_ct_ge(total, at * size), inside = ak_ct_lt(total, at * size + size);
    uint8_t content = (uint8_t)ak_ct_select(begun, ak_ct_select(inside, total - at * size, size), 0);
    uint8_t mark = (uint8_t)ak_ct_select(begun & inside, total - at * size, 255);
    for (size_t i = 0; i < size && i < BLOCK_MAX; i += 16) {
        for (size_t j = 0; j < 16; j++) { /* on 8 bits, so that it is done for 16 bytes at once; i + j < 128 and content <= 128 */
            uint8_t k = (uint8_t)(i + j), x = (uint8_t)(k ^ mark);
            uint8_t keep = (uint8_t)(0 - ((uint8_t)(k - content) >> 7)), is_mark = (uint8_t)((uint8_t)(~x & (x - 1)) >> 7);
            block[i + j] = (uint8_t)((block[i + j] & keep) | (is_mark << 7));
        }
    }
    uint64_t bits = (st->before + total) * 8;
    for (size_t i = 0; i < 8; i++) { /* at most 2^20 bits: the upper half of a 16-byte length stays zero */
        uint64_t part = h->little_endian ? bits >> (8 * i) : bits >> (56 - 8 * i);
        block[size - 8 + i] |= (uint8_t)(part & last);
    }
}

void ak_mac_record_secret(const ak_mac *m, const ak_mac_head *head, const uint8_t *data, uint64_t n, size_t min_n, size_t max_n,
                          uint8_t *out) {
    const hash_ops *h = m->h;
    uint8_t block[BLOCK_MAX], now[AK_MAC_MAX], inner[AK_MAC_MAX] = {0};
    hash_state s;
    stream st;
    start_stream(m, head, n, &st, &s);

    uint64_t total = st.lead_n + n;                                      /* SECRET */
    uint64_t last = (total + h->length) >> h->block_bits;                /* SECRET: number of the last block */
    size_t first = (st.lead_n + min_n) >> h->block_bits;                 /* blocks before this one are full whatever n is */
    size_t final = (st.lead_n + max_n + h->length) >> h->block_bits;     /* the last block of the longest record */
    size_t plain = first << h->block_bits;
    if (plain > st.lead_n) {
        h->update(&s, st.lead, st.lead_n);
        h->update(&s, data, plain - st.lead_n);
    } else if (plain != 0) {
        h->update(&s, st.lead, plain);
    }
    for (size_t at = first; at <= final; at++) {
        uint64_t is_last = ak_ct_barrier(ak_ct_eq_u(at, last));
        build_block(h, &st, data, max_n, at, total, is_last, block);
        h->transform(&s, block);
        h->value(&s, now);
        for (size_t i = 0; i < h->size; i++) inner[i] |= (uint8_t)(now[i] & is_last);
    }
    finish(m, inner, out);
    /* The secret ends here: what follows depends on public sizes only. */
    ak_wipe(block, sizeof block);
    ak_wipe(now, sizeof now);
    ak_wipe(inner, sizeof inner);
    ak_wipe(&s, sizeof s);
    ak_wipe(&st, sizeof st);
}
