#include "crypto/mac.h"

#include "base/ct.h"
#include "crypto/hash.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX 128
#define SSL3_KEY_MAX 20

/* ---- keys ---------------------------------------------------------------------------------------------------------------------- */

struct ak_mac {
    const ak_hash_ops *h;
    ak_hmac_key key; /* SSL 3.0: in place of the padded blocks, key and pad */
    bool ssl3;
    uint8_t ssl3_key_n;             /* SSL 3.0 only */
    uint8_t ssl3_key[SSL3_KEY_MAX]; /* SSL 3.0 only: its key does not fill a block with SHA-1, so that the secret way needs the bytes themselves */
};

static size_t ssl3_pad(const ak_hash_ops *h) { return h->size == 16 ? 48 : 40; }

static void absorb_ssl3(const ak_hash_ops *h, ak_hash_state *s, const uint8_t *key, size_t n, uint8_t with) {
    uint8_t pad[48];
    memset(pad, with, sizeof pad);
    h->init(s);
    h->update(s, key, n);
    h->update(s, pad, ssl3_pad(h));
}

ak_mac *ak_mac_new(ak_hash hash, bool ssl3, ak_view key) {
    const ak_hash_ops *h = ak_hash_ops_of(hash);
    if (h == NULL || h->transform == NULL || key.n > (size_t)1 << h->block_bits || (ssl3 && (h->size > SSL3_KEY_MAX || key.n > SSL3_KEY_MAX))) return NULL;
    ak_mac *m = ak_zalloc(sizeof *m);
    if (m == NULL) return NULL;
    m->h = h;
    m->ssl3 = ssl3;
    if (ssl3) {
        if (key.n != 0) memcpy(m->ssl3_key, key.p, key.n);
        m->ssl3_key_n = (uint8_t)key.n;
        absorb_ssl3(h, &m->key.inner, m->ssl3_key, key.n, 0x36);
        absorb_ssl3(h, &m->key.outer, m->ssl3_key, key.n, 0x5c);
    } else {
        ak_hmac_key_set(&m->key, hash, key); /* there is one over each of these */
    }
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
    size_t at = 0;
    while (at < 8) {
        out[at] = (uint8_t)(head->seq >> (56 - 8 * at));
        at++;
    }
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
    ak_hash_state s = m->key.outer;
    m->h->update(&s, inner, m->h->size);
    m->h->final(&s, out);
    ak_wipe(&s, sizeof s);
}

void ak_mac_record(const ak_mac *m, const ak_mac_head *head, const uint8_t *data, size_t n, uint8_t *out) {
    uint8_t h[HEAD_MAX], inner[AK_MAC_MAX];
    ak_hash_state s = m->key.inner;
    m->h->update(&s, h, put_head(m, head, n, h));
    if (n != 0) m->h->update(&s, data, n);
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

static void start_stream(const ak_mac *m, const ak_mac_head *head, uint64_t n, stream *st, ak_hash_state *s) {
    st->lead_n = 0;
    if (m->ssl3) {
        memcpy(st->lead, m->ssl3_key, m->ssl3_key_n);
        memset(st->lead + m->ssl3_key_n, 0x36, ssl3_pad(m->h));
        st->lead_n = m->ssl3_key_n + ssl3_pad(m->h);
        st->before = 0;
        m->h->init(s);
    } else {
        st->before = (uint64_t)1 << m->h->block_bits;
        *s = m->key.inner;
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
static void build_block(const ak_hash_ops *h, const stream *st, const uint8_t *data, size_t max_n, size_t at, uint64_t total, uint64_t last,
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
    const ak_hash_ops *h = m->h;
    uint8_t block[BLOCK_MAX], now[AK_MAC_MAX], inner[AK_MAC_MAX] = {0};
    ak_hash_state s;
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
