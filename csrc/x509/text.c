#include "x509/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool ak_printf(ak_buf *out, const char *fmt, ...) {
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0) return false;
    if ((size_t)n < sizeof small) return ak_buf_put(out, small, (size_t)n);
    char *large = malloc((size_t)n + 1);
    if (large == NULL) return false;
    va_start(ap, fmt);
    vsnprintf(large, (size_t)n + 1, fmt, ap);
    va_end(ap);
    bool ok = ak_buf_put(out, large, (size_t)n);
    free(large);
    return ok;
}

char *ak_text_of(ak_buf *b) {
    char *s = b->bad ? NULL : malloc(b->n + 1);
    if (s != NULL) {
        if (b->n > 0) memcpy(s, b->p, b->n);
        s[b->n] = '\0';
    }
    ak_buf_free(b);
    return s;
}

bool ak_oid_print(ak_view oid, ak_buf *out) {
    uint64_t arc = 0;
    bool first = true, open = false;
    size_t start = out->n;
    for (size_t i = 0; i < oid.n; i++) {
        if ((!open && oid.p[i] == 0x80) || arc >> 56 != 0) goto malformed;
        arc = arc << 7 | (oid.p[i] & 0x7f);
        open = (oid.p[i] & 0x80) != 0;
        if (open) continue;
        if (first) {
            unsigned top = arc < 40 ? 0 : arc < 80 ? 1 : 2; /* X.690 §8.19.4 */
            if (!ak_printf(out, "%u.%llu", top, (unsigned long long)(arc - 40u * top))) return false;
            first = false;
        } else if (!ak_printf(out, ".%llu", (unsigned long long)arc)) {
            return false;
        }
        arc = 0;
    }
    if (!open && !first) return true;
malformed:
    out->n = start;
    if (!ak_puts(out, "#")) return false;
    for (size_t i = 0; i < oid.n; i++)
        if (!ak_printf(out, "%02x", oid.p[i])) return false;
    return true;
}

/* ---- UTF-8 that may be shown ---- */

size_t ak_utf8_take(ak_view v, uint32_t *out) {
    if (v.n == 0) return 0;
    uint8_t b = v.p[0];
    size_t n = b < 0x80 ? 1 : b >= 0xc2 && b < 0xe0 ? 2 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xf0 && b < 0xf5 ? 4 : 0;
    if (n == 0 || n > v.n) return 0;
    uint32_t c = n == 1 ? b : b & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((v.p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (v.p[i] & 0x3f);
    }
    if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    *out = c;
    return n;
}

/* shown: whether a code point may go to a terminal as it is: no controls, and none of the marks that turn or hide text. */
static bool shown(uint32_t c) {
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad) return false;
    if (c == 0x34f || c == 0x61c || c == 0x115f || c == 0x1160 || (c >= 0x180b && c <= 0x180f) || c == 0x3164 || c == 0xffa0) return false;
    if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f)) return false;
    return c != 0xfeff && !(c >= 0xfff0 && c <= 0xfffb) && !(c >= 0xe0000 && c <= 0xe0fff);
}

bool ak_view_print(ak_view v, ak_buf *out) {
    while (v.n > 0) {
        uint32_t c = 0;
        size_t n = ak_utf8_take(v, &c);
        if (n > 0 && shown(c)) {
            if (!ak_buf_put(out, v.p, n)) return false;
        } else {
            if (n == 0) n = 1;
            for (size_t i = 0; i < n; i++)
                if (!ak_printf(out, "\\%02X", v.p[i])) return false;
        }
        v = ak_view_of(v.p + n, v.n - n);
    }
    return true;
}

size_t ak_text_whole(ak_view v, size_t most) {
    if (v.n <= most) return v.n;
    while (most > 0 && (v.p[most] & 0xc0) == 0x80) most--; /* not in the middle of a code point */
    return most;
}

/* ---- time ---- */

/* days_before: days from 1970-01-01 to a date of the proleptic Gregorian calendar. */
static int64_t days_before(int64_t y, int m, int d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool two_digits(const uint8_t *p, int *out) {
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') return false;
    *out = (p[0] - '0') * 10 + p[1] - '0';
    return true;
}

bool ak_time_read(uint8_t tag, ak_view v, int64_t *out) {
    static const int month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int century = 0, yy = 0, field[5];
    size_t at = 0;
    if (tag == AK_DER_UTC_TIME) {
        if (v.n != 13 || !two_digits(v.p, &yy)) return false;
        century = yy >= 50 ? 19 : 20; /* RFC 5280 §4.1.2.5.1 */
        at = 2;
    } else if (tag == AK_DER_GENERALIZED_TIME) {
        if (v.n != 15 || !two_digits(v.p, &century) || !two_digits(v.p + 2, &yy)) return false;
        at = 4;
    } else {
        return false;
    }
    for (size_t i = 0; i < 5; i++)
        if (!two_digits(v.p + at + 2 * i, &field[i])) return false;
    if (v.p[at + 10] != 'Z') return false;
    int year = century * 100 + yy, month = field[0], day = field[1];
    if (month < 1 || month > 12) return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int last = month_days[month - 1] + (month == 2 && leap ? 1 : 0);
    if (day < 1 || day > last || field[2] > 23 || field[3] > 59 || field[4] > 59) return false;
    *out = days_before(year, month, day) * 86400 + field[2] * 3600 + field[3] * 60 + field[4];
    return true;
}

bool ak_der_time(ak_rd *r, int64_t *out) {
    uint8_t tag = 0;
    ak_view v;
    *out = 0;
    if (!ak_der_next(r, &tag, &v, NULL)) return false;
    if (ak_time_read(tag, v, out)) return true;
    r->bad = true;
    return false;
}

bool ak_time_print(int64_t t, ak_buf *out) {
    int64_t days = t / 86400, left = t % 86400;
    if (left < 0) {
        left += 86400;
        days--;
    }
    int64_t z = days + 719468; /* days since 0000-03-01 */
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp + (mp < 10 ? 3 : -9), year = yoe + era * 400 + (month <= 2);
    return ak_printf(out, "%04lld-%02lld-%02lld %02lld:%02lld:%02lld UTC", (long long)year, (long long)month, (long long)day,
                     (long long)(left / 3600), (long long)(left / 60 % 60), (long long)(left % 60));
}
