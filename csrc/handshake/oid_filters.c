/* oid_filters.c: what a server wants of a client's certificate (RFC 8446 §4.2.5): extensions by their OIDs, and values in them. Two are known here, with the
 * rules of that section: keyUsage and extKeyUsage. All others are ignored, as it says. */
#include "base/der.h"
#include "handshake/extensions.h"
#include "handshake/messages13.h"

#include <string.h>

/* kind_of: an extension whose rule is known here; AK_EXT_other: any other. */
static ak_ext_id kind_of(ak_view oid) {
    if (oid.n != 3 || memcmp(oid.p, "\x55\x1d", 2) != 0) return AK_EXT_other;
    return oid.p[2] == 0x0f ? AK_EXT_key_usage : oid.p[2] == 0x25 ? AK_EXT_extended_key_usage : AK_EXT_other;
}

static bool is_any_purpose(ak_view oid) { return oid.n == 4 && memcmp(oid.p, "\x55\x1d\x25\x00", 4) == 0; }

/* whole: v is one DER element of this kind, and nothing more; its content. */
static bool whole(ak_view v, uint8_t tag, ak_view *content) {
    ak_rd r;
    ak_rd_view(&r, v);
    return ak_der_get(&r, tag, content) && ak_rd_done(&r);
}

/* read_bits: the bits of a KeyUsage, AK_KU_* and what may follow. */
static bool read_bits(ak_view v, uint32_t *out) {
    ak_rd r;
    ak_view bits;
    unsigned unused;
    ak_rd_view(&r, v);
    *out = 0;
    if (!ak_der_bits(&r, &bits, &unused) || !ak_rd_done(&r) || bits.n > 4) return false;
    for (unsigned i = 0; i < 8 * bits.n; i++)
        if ((bits.p[i / 8] & (0x80u >> i % 8)) != 0) *out |= 1u << i;
    return true;
}

static ak_error check_purposes(ak_hs *h, ak_view v) {
    ak_view list, oid;
    ak_rd r;
    if (!whole(v, AK_DER_SEQUENCE, &list)) return ak_hs_fail(h, AK_ERR_bad_extension, "oid_filters: extKeyUsage is no list of purposes");
    for (ak_rd_view(&r, list); ak_rd_left(&r) > 0;) {
        if (!ak_der_get(&r, AK_DER_OID, &oid) || oid.n == 0) return ak_hs_fail(h, AK_ERR_bad_extension, "oid_filters: extKeyUsage is no list of purposes");
        if (is_any_purpose(oid)) return ak_hs_fail(h, AK_ERR_illegal_parameter, "oid_filters: anyExtendedKeyUsage (RFC 8446 §4.2.5)");
    }
    return AK_OK;
}

static ak_error check_one(ak_hs *h, const struct ak_oid_filter *one) {
    ak_view oid;
    uint32_t bits;
    if (!whole(one->certificate_extension_oid, AK_DER_OID, &oid) || oid.n == 0) return ak_hs_fail(h, AK_ERR_bad_extension, "oid_filters: not an object identifier in DER");
    ak_ext_id kind = kind_of(oid);
    if (kind == AK_EXT_extended_key_usage) return check_purposes(h, one->certificate_extension_values);
    if (kind != AK_EXT_key_usage || read_bits(one->certificate_extension_values, &bits)) return AK_OK;
    return ak_hs_fail(h, AK_ERR_bad_extension, "oid_filters: keyUsage is no BIT STRING");
}

/* Each OID once. The list is at most 64 KiB: it is not sorted for that. */
static bool stands_before(ak_view list, const struct ak_oid_filter *one) {
    struct ak_oid_filter other;
    ak_rd r;
    for (ak_rd_view(&r, list); ak_next_oid_filter(&r, &other) && other.certificate_extension_oid.p < one->certificate_extension_oid.p;)
        if (ak_view_eq(other.certificate_extension_oid, one->certificate_extension_oid)) return true;
    return false;
}

#define FILTERS_MAX 64

ak_error ak_oid_filters_take(ak_hs *h, ak_view body) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_ext_oid_filters x;
    struct ak_oid_filter one;
    ak_failure why = {0};
    ak_rd r;
    size_t n = 0;
    ak_error e = ak_decode_ext_oid_filters(body, &x, &why);
    if (e != AK_OK) return ak_hs_fail(h, ak_ext_cause(e, AK_ERR_bad_extension), "%s", why.detail);
    for (ak_rd_view(&r, x.filters); e == AK_OK && ak_next_oid_filter(&r, &one);) {
        if (++n > FILTERS_MAX) return ak_hs_fail(h, AK_ERR_illegal_parameter, "oid_filters: more than %d", FILTERS_MAX);
        if (stands_before(x.filters, &one)) return ak_hs_fail(h, AK_ERR_illegal_parameter, "oid_filters: an object identifier twice (RFC 8446 §4.2.5)");
        e = check_one(h, &one);
    }
    ak_buf_clear(&f->oid_filters);
    if (e == AK_OK && !ak_buf_put_view(&f->oid_filters, x.filters)) e = ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    return e;
}

static bool has_bits(const ak_cert *c, ak_view wanted) {
    uint32_t want, have;
    return c->ext[AK_EXT_key_usage] != NULL && read_bits(wanted, &want) && read_bits(c->ext[AK_EXT_key_usage]->value, &have) && (want & ~have) == 0;
}

static bool lists(ak_view list, ak_view oid) {
    ak_rd r;
    ak_view one;
    for (ak_rd_view(&r, list); ak_der_get(&r, AK_DER_OID, &one);)
        if (ak_view_eq(one, oid)) return true;
    return false;
}

static bool has_purposes(const ak_cert *c, ak_view wanted) {
    ak_view want, have, oid;
    ak_rd r;
    if (c->ext[AK_EXT_extended_key_usage] == NULL || !whole(wanted, AK_DER_SEQUENCE, &want)) return false;
    if (!whole(c->ext[AK_EXT_extended_key_usage]->value, AK_DER_SEQUENCE, &have)) return false;
    for (ak_rd_view(&r, want); ak_der_get(&r, AK_DER_OID, &oid);)
        if (!lists(have, oid)) return false;
    return true;
}

bool ak_oid_filters_suit(const ak_hs *h, const ak_identity *id) {
    const ak_cert *c = id->chain.certs[0];
    struct ak_oid_filter one;
    ak_view oid;
    ak_rd r;
    for (ak_rd_view(&r, ak_buf_view(&ak_flow13_of(h)->oid_filters)); ak_next_oid_filter(&r, &one);) {
        if (!whole(one.certificate_extension_oid, AK_DER_OID, &oid)) return false;
        ak_ext_id ext = kind_of(oid);
        if (ext == AK_EXT_key_usage && !has_bits(c, one.certificate_extension_values)) return false;
        if (ext == AK_EXT_extended_key_usage && !has_purposes(c, one.certificate_extension_values)) return false;
    }
    return true;
}
