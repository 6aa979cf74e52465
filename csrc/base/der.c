#include "base/der.h"

bool ak_der_next(ak_rd *r, uint8_t *tag, ak_view *content, ak_view *whole) {
    const uint8_t *start = r->p;
    uint8_t t = 0, first = 0;
    size_t n = 0;
    ak_view body = {NULL, 0};
    if (tag != NULL) *tag = 0;
    if (content != NULL) *content = body;
    if (whole != NULL) *whole = body;
    if (!ak_rd_u8(r, &t) || !ak_rd_u8(r, &first)) return false;
    if ((t & 0x1f) == 0x1f) goto bad;
    if (first < 0x80) {
        n = first;
    } else {
        unsigned bytes = first & 0x7f;
        if (bytes == 0 || bytes > 4) goto bad; /* 0: indefinite, which is BER */
        for (unsigned i = 0; i < bytes; i++) {
            uint8_t b = 0;
            if (!ak_rd_u8(r, &b)) return false;
            if (i == 0 && b == 0) goto bad;
            n = n << 8 | b;
        }
        if (n < 0x80) goto bad;
    }
    if (!ak_rd_take(r, &body, n)) return false;
    if (tag != NULL) *tag = t;
    if (content != NULL) *content = body;
    if (whole != NULL) *whole = ak_view_of(start, (size_t)(r->p - start));
    return true;
bad:
    r->bad = true;
    return false;
}

int ak_der_peek(const ak_rd *r) { return ak_rd_left(r) > 0 ? r->p[0] : -1; }

bool ak_der_get(ak_rd *r, uint8_t tag, ak_view *content) {
    if (ak_der_peek(r) != tag) {
        *content = ak_view_of(NULL, 0);
        r->bad = true;
        return false;
    }
    return ak_der_next(r, NULL, content, NULL);
}

bool ak_der_enter(ak_rd *r, uint8_t tag, ak_rd *child) {
    ak_view v;
    bool ok = ak_der_get(r, tag, &v);
    child->base = r->base;
    child->p = ok ? v.p : r->end;
    child->end = ok ? v.p + v.n : r->end;
    child->bad = !ok;
    return ok;
}

bool ak_der_optional(ak_rd *r, uint8_t tag, ak_view *content, bool *found) {
    *content = ak_view_of(NULL, 0);
    *found = ak_der_peek(r) == tag;
    if (!*found) return !r->bad;
    *found = ak_der_next(r, NULL, content, NULL);
    return *found;
}

bool ak_der_integer(ak_rd *r, ak_view *content) {
    if (!ak_der_get(r, AK_DER_INTEGER, content)) return false;
    const uint8_t *p = content->p;
    bool minimal = content->n == 1 ||
                   (content->n > 1 && !(p[0] == 0x00 && p[1] < 0x80) && !(p[0] == 0xff && p[1] >= 0x80));
    if (!minimal) {
        *content = ak_view_of(NULL, 0);
        r->bad = true;
    }
    return minimal;
}

bool ak_der_unsigned(ak_rd *r, ak_view *magnitude) {
    if (!ak_der_integer(r, magnitude)) return false;
    if (magnitude->p[0] >= 0x80) {
        *magnitude = ak_view_of(NULL, 0);
        r->bad = true;
        return false;
    }
    if (magnitude->p[0] == 0 && magnitude->n > 1) *magnitude = ak_view_of(magnitude->p + 1, magnitude->n - 1);
    return true;
}

bool ak_der_small(ak_rd *r, uint32_t *out) {
    ak_view v;
    *out = 0;
    if (!ak_der_unsigned(r, &v)) return false;
    if (v.n > 4) {
        r->bad = true;
        return false;
    }
    for (size_t i = 0; i < v.n; i++) *out = *out << 8 | v.p[i];
    return true;
}

bool ak_der_boolean(ak_rd *r, bool *out) {
    ak_view v;
    *out = false;
    if (!ak_der_get(r, AK_DER_BOOLEAN, &v)) return false;
    if (v.n != 1 || (v.p[0] != 0x00 && v.p[0] != 0xff)) {
        r->bad = true;
        return false;
    }
    *out = v.p[0] != 0;
    return true;
}

bool ak_oid_valid(ak_view content) {
    bool open = false; /* in the middle of a number, 7 bits a byte */
    for (size_t i = 0; i < content.n; i++) {
        if (!open && content.p[i] == 0x80) return false;
        open = (content.p[i] & 0x80) != 0;
    }
    return content.n > 0 && !open;
}

bool ak_der_oid(ak_rd *r, ak_view *content) {
    if (!ak_der_get(r, AK_DER_OID, content)) return false;
    if (ak_oid_valid(*content)) return true;
    *content = ak_view_of(NULL, 0);
    r->bad = true;
    return false;
}

bool ak_bits_valid(ak_view content) {
    /* X.690 §11.2.1: unused bits are zero; an empty string has none of them. */
    const uint8_t *p = content.p;
    return content.n > 0 && p[0] <= 7 && (content.n > 1 ? (p[content.n - 1] & ((1u << p[0]) - 1)) == 0 : p[0] == 0);
}

bool ak_der_bits(ak_rd *r, ak_view *bytes, unsigned *unused) {
    ak_view v;
    *bytes = ak_view_of(NULL, 0);
    *unused = 0;
    if (!ak_der_get(r, AK_DER_BIT_STRING, &v)) return false;
    if (!ak_bits_valid(v)) {
        r->bad = true;
        return false;
    }
    *unused = v.p[0];
    *bytes = ak_view_of(v.p + 1, v.n - 1);
    return true;
}

bool ak_der_octets_in_bits(ak_rd *r, ak_view *bytes) {
    unsigned unused;
    if (!ak_der_bits(r, bytes, &unused)) return false;
    if (unused != 0) {
        *bytes = ak_view_of(NULL, 0);
        r->bad = true;
    }
    return unused == 0;
}
