/* record_padding.c: how much padding a record of TLS 1.3 gets (RFC 8446 §5.4): by the context's policy, or as the application says for one record. Never more than
 * the peer's limit leaves room for: it counts padding, too (RFC 8449 §4). */
#include "handshake/record_padding.h"

static size_t at_most(size_t pad, size_t n, size_t max) {
    size_t room = n < max ? max - n : 0;
    return pad < room ? pad : room;
}

static size_t limit(size_t max) { return max != 0 && max < AK_PLAINTEXT_MAX ? max : AK_PLAINTEXT_MAX; }

size_t ak_pad_given(const ak_protect *x, size_t pad, size_t n, size_t max) { return ak_protect_is_13(x) ? at_most(pad, n, limit(max)) : 0; }

bool ak_pads(const ak_context *c, const ak_protect *x, uint8_t type) {
    const ak_padding *p = &c->record_padding;
    return p->by != AK_PAD_none && p->n != 0 && (p->all || type == AK_CT_application_data) && ak_protect_is_13(x);
}

/* even: a number from 0 to most, each as likely as the others (most < 2^16). No randomness: all of it; the records are sealed all the same. */
static size_t even(ak_provider *p, size_t most) {
    uint32_t range = (uint32_t)most + 1, bound = UINT32_MAX - UINT32_MAX % range;
    for (int tries = 0; tries < 64; tries++) {
        uint8_t r[4];
        if (!ak_random(p, AK_PURPOSE_record_padding, r, sizeof r)) return most;
        uint32_t v = (uint32_t)r[0] << 24 | (uint32_t)r[1] << 16 | (uint32_t)r[2] << 8 | r[3];
        if (v < bound) return v % range;
    }
    return most;
}

static size_t pad_of(const ak_context *c, size_t n) {
    const ak_padding *p = &c->record_padding;
    size_t over;
    switch (p->by) {
    case AK_PAD_multiple: over = n % p->n; return over != 0 ? p->n - over : 0;
    case AK_PAD_fixed: return p->n;
    case AK_PAD_random: return even(c->provider, p->n);
    case AK_PAD_none:
    default: return 0;
    }
}

size_t ak_pad(const ak_context *c, const ak_protect *x, uint8_t type, size_t n, size_t max) {
    return ak_pads(c, x, type) ? at_most(pad_of(c, n), n, limit(max)) : 0;
}

size_t ak_seal_padded_size(const ak_context *c, const ak_protect *x, uint8_t type, size_t n, size_t max) {
    size_t most = limit(max), whole = n / most, rest = n % most;
    if (!ak_pads(c, x, type)) return ak_seal_many_size(x, n, max, false);
    size_t size = whole * ak_seal_size(x, most, 0); /* a whole one has no room for padding */
    return rest != 0 || n == 0 ? size + ak_seal_size(x, rest, at_most(c->record_padding.n, rest, most)) : size;
}

ak_error ak_seal_padded(const ak_context *c, ak_protect *x, uint8_t type, uint16_t version, const uint8_t *plain, size_t n, size_t max, uint8_t *out, size_t *out_n,
                        ak_failure *f) {
    size_t most = limit(max), written = 0, at = 0;
    ak_error e = AK_OK;
    if (!ak_pads(c, x, type)) return ak_seal_many(x, type, version, plain, n, max, false, out, out_n, f);
    *out_n = 0;
    do {
        size_t part = n - at < most ? n - at : most;
        e = ak_seal(x, type, version, plain + at, part, ak_pad(c, x, type, part, max), out + *out_n, &written, f);
        if (e == AK_OK) *out_n += written;
        at += part;
    } while (e == AK_OK && at < n);
    if (e != AK_OK) *out_n = 0;
    return e;
}
