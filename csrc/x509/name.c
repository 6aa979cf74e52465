/* name.c: distinguished names and general names (RFC 5280 §4.1.2.4, §4.2.1.6, §7.1). */
#include "x509/internal.h"

#define OID_CN "\x55\x04\x03"
#define OID_O "\x55\x04\x0a"
#define OID_OU "\x55\x04\x0b"

static const struct {
    const char *oid;
    size_t n;
    const char *name;
} attributes[] = {
    {OID_CN, 3, "CN"},
    {"\x55\x04\x04", 3, "SN"},
    {"\x55\x04\x05", 3, "serialNumber"},
    {"\x55\x04\x06", 3, "C"},
    {"\x55\x04\x07", 3, "L"},
    {"\x55\x04\x08", 3, "ST"},
    {"\x55\x04\x09", 3, "STREET"},
    {OID_O, 3, "O"},
    {OID_OU, 3, "OU"},
    {"\x55\x04\x0c", 3, "title"},
    {"\x55\x04\x0d", 3, "description"},
    {"\x55\x04\x0f", 3, "businessCategory"},
    {"\x55\x04\x11", 3, "postalCode"},
    {"\x55\x04\x29", 3, "name"},
    {"\x55\x04\x2a", 3, "GN"},
    {"\x55\x04\x2e", 3, "dnQualifier"},
    {"\x55\x04\x41", 3, "pseudonym"},
    {"\x55\x04\x61", 3, "organizationIdentifier"},
    {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", 10, "UID"},
    {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", 10, "DC"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 9, "emailAddress"},
    {"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01", 11, "jurisdictionL"},
    {"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02", 11, "jurisdictionST"},
    {"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03", 11, "jurisdictionC"},
};

/* ---- walking a Name ---- */

typedef struct attribute {
    ak_view oid, value;
    uint8_t tag;
    bool first_of_rdn;
} attribute;

bool ak_name_walk_start(ak_name_walk *w, ak_view name) {
    ak_rd outer;
    ak_rd_view(&outer, name);
    ak_rd_init(&w->rdn, NULL, 0);
    return ak_der_enter(&outer, AK_DER_SEQUENCE, &w->names) && ak_rd_done(&outer);
}

static bool read_attribute(ak_rd *rdn, attribute *a) {
    ak_rd pair;
    return ak_der_enter(rdn, AK_DER_SEQUENCE, &pair) && ak_der_oid(&pair, &a->oid) && ak_der_next(&pair, &a->tag, &a->value, NULL) && ak_rd_done(&pair);
}

/* walk_next: 1 an attribute, 0 the end, -1 malformed. */
static int walk_next(ak_name_walk *w, attribute *a) {
    a->first_of_rdn = ak_rd_left(&w->rdn) == 0;
    if (a->first_of_rdn) {
        if (ak_rd_done(&w->names)) return 0;
        if (!ak_der_enter(&w->names, AK_DER_SET, &w->rdn) || ak_rd_left(&w->rdn) == 0) return -1;
    }
    return read_attribute(&w->rdn, a) ? 1 : -1;
}

bool ak_rdn_valid(ak_view rdn) {
    ak_rd r;
    attribute a;
    ak_rd_view(&r, rdn);
    while (ak_rd_left(&r) > 0)
        if (!read_attribute(&r, &a)) return false;
    return rdn.n > 0;
}

bool ak_name_valid(ak_view name) {
    ak_name_walk w;
    attribute a;
    int r;
    if (!ak_name_walk_start(&w, name)) return false;
    while ((r = walk_next(&w, &a)) == 1) {}
    return r == 0;
}

bool ak_name_empty(ak_view name) { return name.n == 2; }

/* ---- strings as code points ---- */

static bool is_string(uint8_t tag) {
    switch (tag) {
    case AK_DER_UTF8_STRING:
    case AK_DER_PRINTABLE_STRING:
    case AK_DER_T61_STRING:
    case AK_DER_IA5_STRING:
    case AK_DER_UNIVERSAL_STRING:
    case AK_DER_BMP_STRING:
    case 0x12: /* NumericString */
    case 0x1a: /* VisibleString */
        return true;
    default:
        return false;
    }
}

#define NO_POINT 0xffffffffu

/* next_point: the next code point of a string; a byte that is no part of one counts as 0x80000000 | byte. NO_POINT at the end. */
static uint32_t next_point(uint8_t tag, ak_view *v) {
    if (v->n == 0) return NO_POINT;
    const uint8_t *p = v->p;
    size_t n = 1;
    uint32_t c = p[0];
    if (tag == AK_DER_BMP_STRING && v->n >= 2) {
        c = (uint32_t)p[0] << 8 | p[1];
        n = 2;
    } else if (tag == AK_DER_UNIVERSAL_STRING && v->n >= 4) {
        c = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        if (c > 0x10ffff) c = 0xfffd;
        n = 4;
    } else if (tag == AK_DER_UTF8_STRING && c >= 0x80 && (n = ak_utf8_take(*v, &c)) == 0) {
        c = 0x80000000u | p[0];
        n = 1;
    }
    *v = ak_view_of(p + n, v->n - n);
    return c;
}

/* canonical form of RFC 5280 §7.1, as libcrypto and others do it: ASCII case folded, white space trimmed and collapsed. */
typedef struct canon {
    uint8_t tag;
    ak_view left;
    uint32_t ahead; /* a point already taken, after white space that counts */
    bool begun;
} canon;

static bool is_space(uint32_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static canon canon_of(const attribute *a) {
    canon k = {a->tag, a->value, NO_POINT, false};
    return k;
}

static uint32_t canon_next(canon *k) {
    uint32_t c;
    if (k->ahead != NO_POINT) {
        c = k->ahead;
        k->ahead = NO_POINT;
        return c;
    }
    bool space = false;
    while ((c = next_point(k->tag, &k->left)) != NO_POINT && is_space(c)) space = true;
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    if (c == NO_POINT || !space || !k->begun) {
        k->begun = true;
        return c;
    }
    k->ahead = c;
    return ' ';
}

static bool attribute_eq(const attribute *a, const attribute *b) {
    if (a->first_of_rdn != b->first_of_rdn || !ak_view_eq(a->oid, b->oid)) return false;
    if (!is_string(a->tag) || !is_string(b->tag)) return a->tag == b->tag && ak_view_eq(a->value, b->value);
    canon x = canon_of(a), y = canon_of(b);
    uint32_t c;
    do {
        c = canon_next(&x);
        if (c != canon_next(&y)) return false;
    } while (c != NO_POINT);
    return true;
}

bool ak_name_eq(ak_view a, ak_view b) {
    ak_name_walk x, y;
    attribute p, q;
    if (ak_view_eq(a, b)) return true;
    if (!ak_name_walk_start(&x, a) || !ak_name_walk_start(&y, b)) return false;
    for (;;) {
        int r = walk_next(&x, &p), s = walk_next(&y, &q);
        if (r != s || r < 0) return false;
        if (r == 0) return true;
        if (!attribute_eq(&p, &q)) return false;
    }
}

bool ak_name_within(ak_view name, ak_view base) {
    ak_name_walk x, y;
    attribute p, q;
    if (!ak_name_walk_start(&x, name) || !ak_name_walk_start(&y, base)) return false;
    for (;;) {
        int s = walk_next(&y, &q);
        if (s <= 0) return s == 0 && ak_rd_left(&x.rdn) == 0; /* whole RDNs */
        if (walk_next(&x, &p) != 1 || !attribute_eq(&p, &q)) return false;
    }
}

bool ak_name_email(ak_name_walk *w, ak_view *out) {
    attribute a;
    while (walk_next(w, &a) == 1) {
        if (!AK_OID_IS(a.oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01")) continue;
        *out = a.value;
        return true;
    }
    return false;
}

static uint64_t mix(uint64_t h, uint32_t v) { return (h ^ v) * 0x100000001b3u; } /* FNV-1a over 32-bit units */

uint64_t ak_name_hash(ak_view name) {
    ak_name_walk w;
    attribute a;
    uint64_t h = 0xcbf29ce484222325u;
    if (!ak_name_walk_start(&w, name)) return h;
    while (walk_next(&w, &a) == 1) {
        h = mix(h, a.first_of_rdn ? 0xfffffffeu : 0xfffffffdu);
        for (size_t i = 0; i < a.oid.n; i++) h = mix(h, a.oid.p[i]);
        if (is_string(a.tag)) {
            canon k = canon_of(&a);
            uint32_t c;
            while ((c = canon_next(&k)) != NO_POINT) h = mix(h, c);
        } else {
            for (size_t i = 0; i < a.value.n; i++) h = mix(h, a.value.p[i]);
        }
    }
    return h;
}

/* ---- printing ---- */

static size_t put_utf8(uint32_t c, uint8_t out[4]) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* print_value: RFC 4514 §2.4; `escape`: with its backslashes, else bare. */
static bool print_value(const attribute *a, bool escape, ak_buf *out) {
    if (!is_string(a->tag)) {
        if (!ak_puts(out, "#")) return false;
        for (size_t i = 0; i < a->value.n; i++)
            if (!ak_printf(out, "%02x", a->value.p[i])) return false;
        return true;
    }
    ak_view left = a->value;
    bool first = true;
    uint32_t c;
    while ((c = next_point(a->tag, &left)) != NO_POINT) {
        uint8_t utf8[4];
        size_t n;
        if (c & 0x80000000u) { /* a byte that is no UTF-8 */
            utf8[0] = (uint8_t)c;
            n = 1;
        } else {
            n = put_utf8(c, utf8);
        }
        bool special = c == ',' || c == '+' || c == '"' || c == '\\' || c == '<' || c == '>' || c == ';' ||
                       (first && (c == '#' || c == ' ')) || (left.n == 0 && c == ' ');
        if (escape && special && !ak_puts(out, "\\")) return false;
        if (!ak_view_print(ak_view_of(utf8, n), out)) return false;
        first = false;
    }
    return true;
}

static bool print_attribute(const attribute *a, ak_buf *out) {
    const char *name = NULL;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        if (ak_oid_is(a->oid, attributes[i].oid, attributes[i].n)) name = attributes[i].name;
    bool ok = name != NULL ? ak_puts(out, name) : ak_oid_print(a->oid, out);
    return ok && ak_puts(out, "=") && print_value(a, true, out);
}

bool ak_name_print(ak_view name, ak_buf *out) {
    /* RFC 4514 §2.1: the last RDN comes first. They are counted, then walked once for each: names are short, or not shown. */
    size_t rdns = 0, parts = 0;
    ak_name_walk w;
    attribute a;
    if (!ak_name_walk_start(&w, name)) return ak_puts(out, "(malformed name)");
    for (; walk_next(&w, &a) == 1; parts++)
        if (a.first_of_rdn) rdns++;
    if (rdns == 0) return ak_puts(out, "(empty name)");
    if (parts > 64) return ak_puts(out, "(a name of more than 64 parts)");
    for (size_t want = rdns; want > 0; want--) {
        size_t at = 0;
        ak_name_walk_start(&w, name);
        while (walk_next(&w, &a) == 1) {
            if (a.first_of_rdn) at++;
            if (at != want) continue;
            const char *between = !a.first_of_rdn ? "+" : want == rdns ? "" : ",";
            if (!ak_puts(out, between) || !print_attribute(&a, out)) return false;
        }
    }
    return true;
}

bool ak_name_short(ak_view name, ak_buf *out) {
    static const char *const best[] = {OID_CN, OID_O, OID_OU};
    for (size_t i = 0; i < sizeof best / sizeof best[0]; i++) {
        ak_name_walk w;
        attribute a, found = {{NULL, 0}, {NULL, 0}, 0, false};
        if (!ak_name_walk_start(&w, name)) break;
        while (walk_next(&w, &a) == 1)
            if (ak_oid_is(a.oid, best[i], 3)) found = a;
        if (found.oid.n > 0) return print_value(&found, false, out);
    }
    return ak_name_print(name, out);
}

bool ak_name_brief(ak_view name, ak_buf *out) {
    ak_buf start; /* of a long name no more is printed than is needed: there may be one for every path */
    ak_buf_init(&start, 4 * AK_BRIEF);
    bool whole = ak_name_short(name, &start);
    size_t n = start.n > 0 ? ak_text_whole(ak_buf_view(&start), AK_BRIEF) : 0;
    bool ok = whole || n > 0; /* else out of memory */
    for (size_t i = 0; i < n && ok; i++) ok = (start.p[i] != '"' || ak_puts(out, "\\")) && ak_buf_put(out, start.p + i, 1);
    ok = ok && ((whole && n == start.n) || ak_puts(out, "…"));
    ak_buf_free(&start);
    return ok;
}

/* ---- general names ---- */

/* contiguous: whether an address mask is ones, then zeros (RFC 4632). */
static bool contiguous(const uint8_t *mask, size_t n) {
    bool zero = false;
    for (size_t i = 0; i < n; i++) {
        for (int bit = 7; bit >= 0; bit--) {
            bool one = (mask[i] >> bit & 1) != 0;
            if (one && zero) return false;
            if (!one) zero = true;
        }
    }
    return true;
}

/* other_valid: OtherName (content): what it is of, and [0] EXPLICIT something. */
static bool other_valid(ak_view v) {
    ak_rd r, value;
    ak_view oid;
    ak_rd_view(&r, v);
    return ak_der_oid(&r, &oid) && ak_der_enter(&r, AK_DER_CONTEXT_CONSTRUCTED(0), &value) && ak_rd_done(&r) && ak_der_next(&value, NULL, NULL, NULL) &&
           ak_rd_done(&value);
}

bool ak_gn_read(ak_rd *r, ak_gn *out, bool constraint) {
    uint8_t tag = 0;
    ak_view v;
    if (!ak_der_next(r, &tag, &v, NULL)) return false;
    out->kind = (ak_gn_kind)(tag & 0x1f);
    out->value = v;
    switch (tag) {
    case AK_DER_CONTEXT_CONSTRUCTED(AK_GN_other):
        return other_valid(v);
    case AK_DER_CONTEXT_CONSTRUCTED(AK_GN_x400):
    case AK_DER_CONTEXT_CONSTRUCTED(AK_GN_edi):
    case AK_DER_CONTEXT(AK_GN_email):
    case AK_DER_CONTEXT(AK_GN_dns):
    case AK_DER_CONTEXT(AK_GN_uri):
        return true;
    case AK_DER_CONTEXT_CONSTRUCTED(AK_GN_directory): /* EXPLICIT: Name is a CHOICE */
        return ak_name_valid(v);
    case AK_DER_CONTEXT(AK_GN_ip):
        if (!constraint) return v.n == 4 || v.n == 16;
        return (v.n == 8 || v.n == 32) && contiguous(v.p + v.n / 2, v.n / 2);
    case AK_DER_CONTEXT(AK_GN_oid):
        return ak_oid_valid(v);
    default:
        return false;
    }
}

bool ak_names_valid(ak_view names) {
    ak_rd r;
    ak_gn gn;
    ak_rd_view(&r, names);
    if (names.n == 0) return false;
    while (ak_rd_left(&r) > 0)
        if (!ak_gn_read(&r, &gn, false)) return false;
    return ak_rd_done(&r);
}

bool ak_names_next(ak_view *names, ak_gn *out) {
    ak_rd r;
    ak_rd_view(&r, *names);
    if (names->n == 0 || !ak_gn_read(&r, out, false)) return false;
    *names = ak_view_of(r.p, (size_t)(r.end - r.p));
    return true;
}

bool ak_ip_print(ak_view ip, ak_buf *out) {
    if (ip.n == 4) return ak_printf(out, "%u.%u.%u.%u", ip.p[0], ip.p[1], ip.p[2], ip.p[3]);
    if (ip.n != 16) return ak_puts(out, "(malformed address)");
    unsigned word[8], from = 8, length = 1; /* RFC 5952 §4.2: the longest run of at least two zero words */
    for (unsigned i = 0; i < 8; i++) word[i] = (unsigned)ip.p[2 * i] << 8 | ip.p[2 * i + 1];
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = 0;
        while (i + n < 8 && word[i + n] == 0) n++;
        if (n > length) {
            from = i;
            length = n;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == from) {
            if (!ak_puts(out, "::")) return false;
            i += length - 1;
            continue;
        }
        const char *colon = i > 0 && i != from + length ? ":" : "";
        if (!ak_printf(out, "%s%x", colon, word[i])) return false;
    }
    return true;
}

bool ak_gn_print(const ak_gn *gn, ak_buf *out) {
    switch (gn->kind) {
    case AK_GN_email: return ak_puts(out, "email:") && ak_view_print(gn->value, out);
    case AK_GN_dns: return ak_puts(out, "DNS:") && ak_view_print(gn->value, out);
    case AK_GN_directory: return ak_puts(out, "DirName:") && ak_name_print(gn->value, out);
    case AK_GN_uri: return ak_puts(out, "URI:") && ak_view_print(gn->value, out);
    case AK_GN_ip: return ak_puts(out, "IP:") && ak_ip_print(gn->value, out);
    case AK_GN_oid: return ak_puts(out, "RID:") && ak_oid_print(gn->value, out);
    case AK_GN_other: return ak_puts(out, "otherName");
    case AK_GN_x400: return ak_puts(out, "X400Name");
    case AK_GN_edi: return ak_puts(out, "EdiPartyName");
    }
    return false;
}
