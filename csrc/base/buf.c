#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

/* An empty piece of assembly that may look at what p points to, and write there: what was stored has to be there, and nothing is known of it afterwards. */
#define AK_LOOK_AT(p) __asm__ __volatile__("" : : "r"(p) : "memory")

void ak_wipe(void *p, size_t n) {
    if (p == NULL || n == 0) return;
    memset(p, 0, n);
    AK_LOOK_AT(p);
}

void *ak_zalloc(size_t n) {
    void *p = malloc(n);
    AK_LOOK_AT(p); /* or compilers make a calloc of it */
    if (p != NULL) memset(p, 0, n);
    return p;
}

bool ak_view_eq(ak_view a, ak_view b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ---- reader ---------------------------------------------------------------- */

void ak_rd_init(ak_rd *r, const void *p, size_t n) {
    static const uint8_t nothing[1];
    r->base = r->p = p != NULL ? (const uint8_t *)p : nothing;
    r->end = r->p + (p != NULL ? n : 0);
    r->bad = false;
}

static inline const uint8_t *take(ak_rd *r, size_t n) {
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

bool ak_rd_u8(ak_rd *r, uint8_t *out) {
    const uint8_t *p = take(r, 1);
    *out = p != NULL ? p[0] : 0;
    return p != NULL;
}

bool ak_rd_u16(ak_rd *r, uint16_t *out) {
    const uint8_t *p = take(r, 2);
    *out = p != NULL ? (uint16_t)((p[0] << 8) | p[1]) : 0;
    return p != NULL;
}

static inline bool read_uint(ak_rd *r, uint64_t *out, unsigned n) {
    const uint8_t *p = take(r, n);
    uint64_t v = 0;
    for (unsigned i = 0; p != NULL && i < n; i++) v = (v << 8) | p[i];
    *out = v;
    return p != NULL;
}

bool ak_rd_u24(ak_rd *r, uint32_t *out) {
    uint64_t v;
    bool ok = read_uint(r, &v, 3);
    *out = (uint32_t)v;
    return ok;
}

bool ak_rd_u32(ak_rd *r, uint32_t *out) {
    uint64_t v;
    bool ok = read_uint(r, &v, 4);
    *out = (uint32_t)v;
    return ok;
}

bool ak_rd_u64(ak_rd *r, uint64_t *out) { return read_uint(r, out, 8); }

bool ak_rd_take(ak_rd *r, ak_view *out, size_t n) {
    const uint8_t *p = take(r, n);
    *out = ak_view_of(p, p != NULL ? n : 0);
    return p != NULL;
}

bool ak_rd_vec(ak_rd *r, ak_view *out, unsigned len_bytes) {
    uint64_t n;
    *out = ak_view_of(NULL, 0);
    return read_uint(r, &n, len_bytes) && ak_rd_take(r, out, (size_t)n);
}

bool ak_rd_sub(ak_rd *r, ak_rd *out, unsigned len_bytes) {
    ak_view v;
    bool ok = ak_rd_vec(r, &v, len_bytes);
    out->base = r->base;
    out->p = ok ? v.p : r->end;
    out->end = ok ? v.p + v.n : r->end;
    out->bad = !ok;
    return ok;
}

bool ak_rd_rest(ak_rd *r, ak_view *out) { return ak_rd_take(r, out, ak_rd_left(r)); }

/* ---- writer ---------------------------------------------------------------- */

void ak_buf_free(ak_buf *b) {
    if (b->p == NULL) {
        b->n = 0;
        b->bad = false;
        return;
    }
    if (b->secret) ak_wipe(b->p, b->cap);
    free(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
    b->bad = false;
}

void ak_buf_clear(ak_buf *b) {
    if (b->secret) ak_wipe(b->p, b->n);
    b->n = 0;
    b->bad = false;
}

bool ak_buf_enlarge(ak_buf *b, size_t n) {
    if (b->bad) return false;
    if (n <= b->cap - b->n) return true;
    if (n > b->max || b->n > b->max - n) {
        b->bad = true;
        return false;
    }
    size_t need = b->n + n, cap = b->cap < 256 ? 256 : b->cap;
    while (cap < need) cap *= 2;
    if (cap > b->max) cap = b->max;
    uint8_t *p;
    if (b->secret) { /* realloc would leave a copy behind */
        p = malloc(cap);
        if (p != NULL && b->n != 0) memcpy(p, b->p, b->n);
        if (p != NULL) {
            ak_wipe(b->p, b->cap);
            free(b->p);
        }
    } else {
        p = realloc(b->p, cap);
    }
    if (p == NULL) {
        b->bad = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *ak_buf_grow(ak_buf *b, size_t n) {
    if (!ak_buf_reserve(b, n) || b->p == NULL) return NULL; /* nothing asked of an empty one */
    uint8_t *p = b->p + b->n;
    b->n += n;
    return p;
}

bool ak_buf_put(ak_buf *b, const void *p, size_t n) {
    if (n == 0) return !b->bad;
    uint8_t *to = ak_buf_grow(b, n);
    if (to != NULL) memcpy(to, p, n);
    return to != NULL;
}

bool ak_buf_set(ak_buf *b, ak_view v) {
    ak_buf_free(b);
    if (v.n == 0) return true;
    b->p = v.n <= b->max ? malloc(v.n) : NULL;
    b->bad = b->p == NULL;
    if (b->bad) return false;
    memcpy(b->p, v.p, v.n);
    b->n = b->cap = v.n;
    return true;
}

static inline bool put_uint(ak_buf *b, uint64_t v, unsigned n) {
    uint8_t *p = ak_buf_grow(b, n);
    for (unsigned i = n; p != NULL && i > 0; i--, v >>= 8) p[i - 1] = (uint8_t)v;
    return p != NULL;
}

bool ak_buf_u8(ak_buf *b, unsigned v) { return put_uint(b, v, 1); }
bool ak_buf_u16(ak_buf *b, unsigned v) { return put_uint(b, v, 2); }
bool ak_buf_u24(ak_buf *b, uint32_t v) { return put_uint(b, v, 3); }
bool ak_buf_u32(ak_buf *b, uint32_t v) { return put_uint(b, v, 4); }
bool ak_buf_u64(ak_buf *b, uint64_t v) { return put_uint(b, v, 8); }

size_t ak_buf_open(ak_buf *b, unsigned len_bytes) {
    put_uint(b, 0, len_bytes);
    return b->n;
}

bool ak_buf_close(ak_buf *b, size_t mark, unsigned len_bytes) {
    if (b->bad || mark > b->n || mark < len_bytes) {
        b->bad = true;
        return false;
    }
    size_t n = b->n - mark;
    if (n >> (8 * len_bytes) != 0) {
        b->bad = true;
        return false;
    }
    for (unsigned i = 0; i < len_bytes; i++) b->p[mark - 1 - i] = (uint8_t)(n >> (8 * i));
    return true;
}

bool ak_buf_vec(ak_buf *b, ak_view v, unsigned len_bytes) {
    size_t mark = ak_buf_open(b, len_bytes);
    ak_buf_put_view(b, v);
    return ak_buf_close(b, mark, len_bytes);
}

void ak_buf_drop(ak_buf *b, size_t n) {
    if (n > b->n) n = b->n;
    if (n == 0) return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    if (b->secret) ak_wipe(b->p + b->n, n);
}
