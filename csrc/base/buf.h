/* buf.h: the two ends of every byte: a bounded reader and a growing writer.
 *
 * Both have a *sticky* error: once a read ran past its end, or a write past its
 * limit, every later call fails too, so that a parser or builder may check once,
 * at its end. Nothing here decides anything about TLS. */
#ifndef AK_BASE_BUF_H
#define AK_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ak_view: bytes that belong to somebody else; valid as long as their owner says. */
typedef struct ak_view {
    const uint8_t *p;
    size_t n;
} ak_view;

static inline ak_view ak_view_of(const void *p, size_t n) {
    ak_view v = {(const uint8_t *)p, n};
    return v;
}

/* ak_view_eq compares PUBLIC bytes. Secrets go through ak_ct_eq (ct.h). */
bool ak_view_eq(ak_view a, ak_view b);

/* ---- reader ---------------------------------------------------------------- */

/* ak_rd: a cursor over bytes it does not own. `base` stays at the first byte of the
 * outermost message so that offsets for error texts and spans can be computed. */
typedef struct ak_rd {
    const uint8_t *base;
    const uint8_t *p;
    const uint8_t *end;
    bool bad;
} ak_rd;

void ak_rd_init(ak_rd *r, const void *p, size_t n);
static inline void ak_rd_view(ak_rd *r, ak_view v) { ak_rd_init(r, v.p, v.n); }
static inline size_t ak_rd_left(const ak_rd *r) { return r->bad ? 0 : (size_t)(r->end - r->p); }
/* ak_rd_done: no error, and every byte was read. */
static inline bool ak_rd_done(const ak_rd *r) { return !r->bad && r->p == r->end; }
static inline size_t ak_rd_offset(const ak_rd *r) { return (size_t)(r->p - r->base); }

/* Big-endian integers. On failure *out is 0, the reader is bad and false is returned. */
bool ak_rd_u8(ak_rd *r, uint8_t *out);
bool ak_rd_u16(ak_rd *r, uint16_t *out);
bool ak_rd_u24(ak_rd *r, uint32_t *out);
bool ak_rd_u32(ak_rd *r, uint32_t *out);
bool ak_rd_u64(ak_rd *r, uint64_t *out);
/* ak_rd_take: the next n bytes as a view. */
bool ak_rd_take(ak_rd *r, ak_view *out, size_t n);
/* ak_rd_vec: a vector with a length of len_bytes (1, 2 or 3) bytes before it, as a view. */
bool ak_rd_vec(ak_rd *r, ak_view *out, unsigned len_bytes);
/* ak_rd_sub: the same as a child reader with the same base. */
bool ak_rd_sub(ak_rd *r, ak_rd *out, unsigned len_bytes);
/* ak_rd_rest: all that is left. */
bool ak_rd_rest(ak_rd *r, ak_view *out);

/* ---- writer ---------------------------------------------------------------- */

/* ak_buf: bytes that it owns, growing up to `max`. With `secret` set the bytes are wiped
 * whenever they move or are released. */
typedef struct ak_buf {
    uint8_t *p;
    size_t n, cap, max;
    bool bad;
    bool secret;
} ak_buf;

#define AK_BUF_NO_LIMIT ((size_t)1 << 31)

static inline void ak_buf_init(ak_buf *b, size_t max) {
    ak_buf empty = {NULL, 0, 0, max, false, false};
    *b = empty;
}
static inline void ak_buf_init_secret(ak_buf *b, size_t max) {
    ak_buf empty = {NULL, 0, 0, max, false, true};
    *b = empty;
}
/* ak_buf_free: releases (and wipes, if secret) and leaves an empty usable buffer. */
void ak_buf_free(ak_buf *b);
/* ak_buf_clear: n = 0, error forgotten, memory kept (wiped if secret). */
void ak_buf_clear(ak_buf *b);
/* ak_buf_reserve: room for n more bytes; false (and bad) beyond max or out of memory. */
bool ak_buf_enlarge(ak_buf *b, size_t n); /* the rare half of it */
static inline bool ak_buf_reserve(ak_buf *b, size_t n) { return (!b->bad && n <= b->cap - b->n) || ak_buf_enlarge(b, n); }
/* ak_buf_grow: appends n uninitialised bytes and returns where they are, or NULL. */
uint8_t *ak_buf_grow(ak_buf *b, size_t n);
bool ak_buf_put(ak_buf *b, const void *p, size_t n);
/* ak_buf_set: these bytes, which are not its own, in place of what it holds, and no more memory than they take: for what is kept for long. */
bool ak_buf_set(ak_buf *b, ak_view v);
static inline bool ak_buf_put_view(ak_buf *b, ak_view v) { return ak_buf_put(b, v.p, v.n); }
static inline bool ak_puts(ak_buf *b, const char *s) { return ak_buf_put(b, s, strlen(s)); }
bool ak_buf_u8(ak_buf *b, unsigned v);
bool ak_buf_u16(ak_buf *b, unsigned v);
bool ak_buf_u24(ak_buf *b, uint32_t v);
bool ak_buf_u32(ak_buf *b, uint32_t v);
bool ak_buf_u64(ak_buf *b, uint64_t v);
/* ak_buf_open leaves room for a length of len_bytes (1, 2, 3) and returns a mark;
 * ak_buf_close writes the length of all that was put since. A length that does not fit
 * makes the buffer bad. */
size_t ak_buf_open(ak_buf *b, unsigned len_bytes);
bool ak_buf_close(ak_buf *b, size_t mark, unsigned len_bytes);
/* ak_buf_vec: a whole vector: length of len_bytes, then the bytes. */
bool ak_buf_vec(ak_buf *b, ak_view v, unsigned len_bytes);
/* ak_buf_drop removes n bytes from the front (n is clamped). */
void ak_buf_drop(ak_buf *b, size_t n);
static inline ak_view ak_buf_view(const ak_buf *b) { return ak_view_of(b->p, b->n); }

/* ak_zalloc: n bytes of zeros, or NULL; free() releases them. Unlike calloc it finds what was just released in the allocator's own cache, where that has one. */
void *ak_zalloc(size_t n);
/* ak_wipe: sets bytes to zero in a way that the compiler may not remove. */
void ak_wipe(void *p, size_t n);

#endif
