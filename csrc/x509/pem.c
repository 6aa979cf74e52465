/* pem.c: the textual encoding of RFC 7468, as its parsers are told to be: lax about what stands around, exact about base64. */
#include "x509/internal.h"

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";
static const char dashes[] = "-----";

/* find: the first place of `what` in v, or NULL. */
static const uint8_t *find(ak_view v, const char *what) {
    size_t n = strlen(what);
    while (v.n >= n) {
        const uint8_t *p = memchr(v.p, what[0], v.n - n + 1);
        if (p == NULL) return NULL;
        if (memcmp(p, what, n) == 0) return p;
        v = ak_view_of(p + 1, v.n - (size_t)(p + 1 - v.p));
    }
    return NULL;
}

/* starts_line: whether p, not before start, begins a line, perhaps indented. The byte order mark that some editors put in front of a text is no part of it. */
static bool starts_line(const uint8_t *start, const uint8_t *p) {
    while (p > start && (p[-1] == ' ' || p[-1] == '\t')) p--;
    if (p - start >= 3 && memcmp(p - 3, "\xef\xbb\xbf", 3) == 0) p -= 3;
    return p == start || p[-1] == '\n' || p[-1] == '\r';
}

/* next_begin: the first BEGIN at the start of a line. */
static const uint8_t *next_begin(ak_view v) {
    const uint8_t *start = v.p, *p;
    while ((p = find(v, begin_mark)) != NULL) {
        if (starts_line(start, p)) return p;
        v = ak_view_of(p + 1, v.n - (size_t)(p + 1 - v.p));
    }
    return NULL;
}

/* What a byte means in base64 (RFC 4648 §4): its six bits, or one of these. */
enum { X = 64, S, P }; /* none of it, white space, padding */
static const uint8_t meaning[128] = {
    X, X, X, X, X, X, X, X, X, S, S, X, X, S, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    S, X, X, X, X, X, X, X, X, X, X, 62, X, X, X, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X, X, X, P, X, X,
    X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X, X, X, X, X,
    X, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X, X, X, X, X,
};

static unsigned sextet(uint8_t c) { return c < 128 ? meaning[c] : X; }

static bool base64(ak_view text, ak_buf *out) {
    uint32_t bits = 0;
    unsigned n = 0, padding = 0;
    uint8_t *start = ak_buf_grow(out, text.n / 4 * 3 + 3), *to = start;
    if (start == NULL) return false;
    for (size_t i = 0; i < text.n;) {
        if (n == 0 && text.n - i >= 4) { /* most of it goes by fours */
            unsigned a = sextet(text.p[i]), b = sextet(text.p[i + 1]), c = sextet(text.p[i + 2]), d = sextet(text.p[i + 3]);
            if ((a | b | c | d) < X && padding == 0) {
                *to++ = (uint8_t)(a << 2 | b >> 4);
                *to++ = (uint8_t)(b << 4 | c >> 2);
                *to++ = (uint8_t)(c << 6 | d);
                i += 4;
                continue;
            }
        }
        unsigned v = sextet(text.p[i++]);
        if (v == S) continue;
        if (v == P) {
            if (n < 2 || n + ++padding > 4) return false;
            continue;
        }
        if (v == X || padding > 0) return false;
        bits = bits << 6 | v;
        if (++n < 4) continue;
        *to++ = (uint8_t)(bits >> 16);
        *to++ = (uint8_t)(bits >> 8);
        *to++ = (uint8_t)bits;
        n = 0;
        bits = 0;
    }
    if (n == 0 ? padding != 0 : n + padding != 4) return false;
    if (n == 2) { /* bits that do not count must be zero */
        if ((bits & 0xf) != 0) return false;
        *to++ = (uint8_t)(bits >> 4);
    } else if (n == 3) {
        if ((bits & 0x3) != 0) return false;
        *to++ = (uint8_t)(bits >> 10);
        *to++ = (uint8_t)(bits >> 2);
    }
    out->n -= (size_t)(start + text.n / 4 * 3 + 3 - to);
    return true;
}

int ak_pem_next(ak_view *text, ak_pem *out) {
    const uint8_t *end = text->p + text->n, *p = next_begin(*text);
    ak_buf_clear(&out->der);
    out->label = ak_view_of(NULL, 0);
    if (p == NULL) {
        *text = ak_view_of(end, 0);
        return 0;
    }
    p += sizeof begin_mark - 1;
    ak_view rest = ak_view_of(p, (size_t)(end - p));
    *text = rest; /* where to go on if this block is broken */
    const uint8_t *line = find(rest, dashes);
    if (line == NULL || memchr(rest.p, '\n', (size_t)(line - rest.p)) != NULL) return -1;
    out->label = ak_view_of(p, (size_t)(line - p));
    ak_view body = ak_view_of(line + sizeof dashes - 1, (size_t)(end - line) - (sizeof dashes - 1));
    /* Base64 has no dash: the next one begins the END line, or the block is broken there. Every byte is looked at once. */
    const uint8_t *stop = body.n > 0 ? memchr(body.p, '-', body.n) : NULL;
    *text = stop != NULL ? ak_view_of(stop, (size_t)(end - stop)) : ak_view_of(end, 0);
    size_t n = sizeof end_mark - 1 + out->label.n + sizeof dashes - 1;
    if (stop == NULL || (size_t)(end - stop) < n || memcmp(stop, end_mark, sizeof end_mark - 1) != 0) return -1;
    const uint8_t *after = stop + sizeof end_mark - 1;
    if (memcmp(after, out->label.p, out->label.n) != 0 || memcmp(after + out->label.n, dashes, sizeof dashes - 1) != 0) return -1;
    *text = ak_view_of(stop + n, (size_t)(end - stop) - n);
    return base64(ak_view_of(body.p, (size_t)(stop - body.p)), &out->der) ? 1 : -1;
}

bool ak_looks_pem(ak_view bytes) { return next_begin(bytes) != NULL; }

bool ak_pem_write(const char *label, ak_view der, ak_buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!ak_puts(out, begin_mark) || !ak_puts(out, label) || !ak_puts(out, "-----\n")) return false;
    for (size_t i = 0; i < der.n; i += 3) {
        size_t left = der.n - i;
        uint32_t v = (uint32_t)der.p[i] << 16 | (left > 1 ? (uint32_t)der.p[i + 1] << 8 : 0) | (left > 2 ? der.p[i + 2] : 0u);
        char quad[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};
        if (!ak_buf_put(out, quad, 4)) return false;
        if ((i + 3) % 48 == 0 && left > 3 && !ak_puts(out, "\n")) return false; /* lines of 64 (RFC 7468 §2) */
    }
    return ak_puts(out, "\n") && ak_puts(out, end_mark) && ak_puts(out, label) && ak_puts(out, "-----\n");
}
