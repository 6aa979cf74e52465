/* host.c: is this certificate for this host? RFC 9525 (which replaced RFC 6125), by ourselves: libcrypto's matcher takes ".example.com" for "any
 * subdomain", a wildcard or an empty name as a reference, and "192.0.2.01" for an address. */
#include "x509/internal.h"

static bool digit(uint8_t c) { return c >= '0' && c <= '9'; }
static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c; }

static int hex(uint8_t c) {
    c = lower(c);
    if (digit(c)) return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- addresses ---- */

/* read_ipv4: four decimal parts of 0-255 without leading zeros. */
static bool read_ipv4(ak_view v, uint8_t out[4]) {
    size_t i = 0;
    for (int part = 0; part < 4; part++) {
        unsigned n = 0;
        size_t start = i;
        while (i < v.n && digit(v.p[i]) && i - start < 4) n = n * 10 + (unsigned)(v.p[i++] - '0');
        if (i == start || n > 255 || (i - start > 1 && v.p[start] == '0')) return false;
        out[part] = (uint8_t)n;
        if (part < 3 && (i == v.n || v.p[i++] != '.')) return false;
    }
    return i == v.n;
}

/* read_ipv6: RFC 4291 §2.2, all three forms; no zone. */
static bool read_ipv6(ak_view v, uint8_t out[16]) {
    uint8_t bytes[16] = {0};
    size_t n = 0, i = 0, gap = SIZE_MAX;
    if (v.n < 2) return false;
    if (v.p[0] == ':') {
        if (v.p[1] != ':') return false;
        gap = 0;
        i = 2;
    }
    while (i < v.n) {
        if (n == 16) return false;
        unsigned word = 0;
        size_t start = i;
        while (i < v.n && i - start < 4 && hex(v.p[i]) >= 0) word = word << 4 | (unsigned)hex(v.p[i++]);
        if (i == start) return false;
        if (i < v.n && v.p[i] == '.') { /* the last 32 bits in decimal */
            if (n > 12 || !read_ipv4(ak_view_of(v.p + start, v.n - start), bytes + n)) return false;
            n += 4;
            break;
        }
        bytes[n++] = (uint8_t)(word >> 8);
        bytes[n++] = (uint8_t)word;
        if (i == v.n) break;
        if (v.p[i++] != ':' || i == v.n) return false; /* a colon must go on */
        if (v.p[i] == ':') {
            if (gap != SIZE_MAX) return false;
            gap = n;
            i++;
        }
    }
    if (gap == SIZE_MAX) {
        if (n != 16) return false;
        memcpy(out, bytes, 16);
        return true;
    }
    if (n > 14) return false; /* "::" stands for at least one group */
    memset(out, 0, 16);
    memcpy(out, bytes, gap);
    memcpy(out + 16 - (n - gap), bytes + gap, n - gap);
    return true;
}

size_t ak_host_ip(ak_view host, uint8_t out[16]) {
    if (read_ipv4(host, out)) return 4;
    return read_ipv6(host, out) ? 16 : 0;
}

/* ---- DNS names ---- */

/* name_valid: labels of 1-63 letters, digits, hyphens (not at their ends) and underscores, 253 bytes at most. Underscores are no host names but occur in
 * DNS and in certificates. */
static bool name_valid(ak_view v) {
    size_t label = 0;
    bool numeric = true; /* of the label at hand */
    if (v.n == 0 || v.n > 253) return false;
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = lower(v.p[i]);
        if (c == '.') {
            if (label == 0 || v.p[i - 1] == '-') return false;
            label = 0;
            numeric = true;
            continue;
        }
        if (!digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_') return false;
        if ((c == '-' && label == 0) || ++label > 63) return false;
        if (!digit(c)) numeric = false;
    }
    return label > 0 && v.p[v.n - 1] != '-' && !numeric; /* a number at the end makes it an address, perhaps a wrong one */
}

/* absolute: without the dot that says that a name is fully qualified (RFC 9525 §6.3 takes every reference for that). */
static ak_view absolute(ak_view host) { return host.n > 1 && host.p[host.n - 1] == '.' ? ak_view_of(host.p, host.n - 1) : host; }

bool ak_host_valid(ak_view host) {
    uint8_t ip[16];
    return ak_host_ip(host, ip) != 0 || name_valid(absolute(host));
}

bool ak_host_preferred(ak_view name) {
    if (name.n > 2 && name.p[0] == '*' && name.p[1] == '.') name = ak_view_of(name.p + 2, name.n - 2);
    return name_valid(name) && memchr(name.p, '_', name.n) == NULL;
}

static bool same_name(ak_view a, ak_view b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

static size_t first_dot(ak_view v) {
    const uint8_t *dot = v.n > 0 ? memchr(v.p, '.', v.n) : NULL;
    return dot != NULL ? (size_t)(dot - v.p) : v.n;
}

/* match: `host` is a valid name without a trailing dot. */
static bool match(ak_view pattern, ak_view host) {
    if (pattern.n >= 2 && pattern.p[0] == '*' && pattern.p[1] == '.') {
        ak_view rest = ak_view_of(pattern.p + 2, pattern.n - 2);
        size_t dot = first_dot(host);
        /* "*.com" would be every name of a registry: two labels must follow. */
        if (!name_valid(rest) || first_dot(rest) == rest.n || dot == host.n) return false;
        return same_name(rest, ak_view_of(host.p + dot + 1, host.n - dot - 1));
    }
    return name_valid(pattern) && same_name(pattern, host);
}

bool ak_host_match(ak_view pattern, ak_view host) {
    host = absolute(host);
    return name_valid(host) && match(pattern, host);
}

/* ---- the certificate ---- */

/* names_of: what the certificate is for, in words for the failure. */
static void names_of(const ak_cert *c, bool addresses, char *out, size_t size) {
    ak_view names = c->san;
    ak_gn gn;
    ak_buf text;
    size_t listed = 0, more = 0;
    ak_buf_init(&text, 4096);
    while (ak_names_next(&names, &gn)) {
        if (gn.kind != AK_GN_dns && gn.kind != AK_GN_ip) continue;
        if (listed == 6 || gn.value.n > 80) {
            more++;
            continue;
        }
        ak_puts(&text, listed++ > 0 ? ", " : "");
        if (gn.kind == AK_GN_dns) ak_view_print(gn.value, &text);
        else ak_ip_print(gn.value, &text);
    }
    if (more > 0) ak_printf(&text, "%s%zu more", listed > 0 ? " and " : "", more);
    if (text.n == 0)
        ak_puts(&text, c->ext[AK_EXT_subject_alt_name] == NULL ? "no host: it has no subjectAltName, and the common name does not count"
                       : addresses                             ? "no address"
                                                               : "no host");
    size_t n = text.bad ? 0 : text.n < size - 1 ? text.n : size - 1;
    if (n > 0) memcpy(out, text.p, n);
    out[n] = '\0';
    ak_buf_free(&text);
}

ak_error ak_host_check(const ak_cert *c, ak_view host, ak_failure *f) {
    uint8_t ip[16];
    ak_view names = c->san, reference = absolute(host);
    ak_gn gn;
    size_t n = ak_host_ip(host, ip);
    if (n == 0 && !name_valid(reference)) {
        ak_buf shown;
        ak_buf_init(&shown, 1024);
        ak_view_print(ak_view_of(host.p, host.n < 100 ? host.n : 100), &shown);
        ak_error e = ak_fail(f, AK_ERR_bad_host_name, "\"%.*s\"", (int)shown.n, shown.n > 0 ? (const char *)shown.p : "");
        ak_buf_free(&shown);
        return e;
    }
    while (ak_names_next(&names, &gn)) {
        if (n > 0 && gn.kind == AK_GN_ip && ak_view_eq(gn.value, ak_view_of(ip, n))) return AK_OK;
        if (n == 0 && gn.kind == AK_GN_dns && match(gn.value, reference)) return AK_OK;
    }
    if (f != NULL) {
        char list[160];
        names_of(c, n > 0, list, sizeof list);
        ak_fail(f, AK_ERR_host_mismatch, "\"%.*s\" was asked for; it is for %s", (int)(reference.n < 60 ? reference.n : 60),
                (const char *)reference.p, list);
    }
    return AK_ERR_host_mismatch;
}
