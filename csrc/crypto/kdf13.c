#include "crypto/internal.h"

#include <string.h>

bool ak_hkdf_extract(ak_provider *p, ak_hash hash, ak_view salt, ak_view ikm, ak_secret *out) {
    static const uint8_t zeros[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    size_t n = ak_hash_size(hash);
    uint64_t begun = ak_journal_begin(p);
    ak_secret_wipe(out);
    if (ikm.n == 0) ikm = ak_view_of(zeros, n); /* an empty salt is the same HMAC key as zeros; an empty ikm is not the same message */
    bool ok = ak_hmac(p, hash, salt, ikm, none, none, out->p);
    if (ok) out->n = (uint8_t)n;
    else ak_secret_wipe(out);
    if (begun != 0)
        ak_journal_end(p, begun, &(ak_note){.op = "hkdf_extract", .what = "", .secret = ikm, .context = salt, .out = ak_secret_view(out), .bytes = n});
    return ok;
}

/* expand: n <= 255 * hash size. */
static void expand(const ak_hmac_key *k, ak_view info, uint8_t *out, size_t n) {
    uint8_t t[AK_HASH_MAX], counter = 0;
    size_t size = ak_hash_size(k->hash), have = 0;
    while (n > 0) {
        counter++;
        ak_hmac_with(k, ak_view_of(t, have), info, ak_view_of(&counter, 1), t);
        have = size;
        size_t take = n < size ? n : size;
        memcpy(out, t, take);
        out += take;
        n -= take;
    }
    ak_wipe(t, sizeof t);
}

bool ak_hkdf_key_set(ak_hkdf_key *k, const ak_provider *p, ak_hash hash, ak_view secret) {
    k->secret = secret;
    return ak_provider_has_hash(p, hash) && ak_hmac_key_set(&k->hmac, hash, secret);
}

bool ak_hkdf_expand(ak_provider *p, ak_hash hash, ak_view prk, ak_view info, uint8_t *out, size_t n) {
    ak_hkdf_key k;
    if (n > 255 * ak_hash_size(hash) || !ak_hkdf_key_set(&k, p, hash, prk)) return false;
    expand(&k.hmac, info, out, n);
    ak_wipe(&k, sizeof k);
    return true;
}

bool ak_hkdf_label(ak_provider *p, const ak_hkdf_key *k, const char *label, ak_view context, uint8_t *out, size_t n) {
    /* struct HkdfLabel (RFC 8446 §7.1): uint16 length; opaque label<7..255> = "tls13 " + label; opaque context<0..255> */
    static const char prefix[] = "tls13 ";
    uint8_t info[2 + 256 + 256];
    size_t label_n = sizeof prefix - 1 + strlen(label), used = 0;
    if (n > 255 * ak_hash_size(k->hmac.hash) || label_n > 255 || context.n > 255) return false;
    info[used++] = (uint8_t)(n >> 8);
    info[used++] = (uint8_t)n;
    info[used++] = (uint8_t)label_n;
    memcpy(info + used, prefix, sizeof prefix - 1);
    memcpy(info + used + sizeof prefix - 1, label, label_n - (sizeof prefix - 1));
    used += label_n;
    info[used++] = (uint8_t)context.n;
    if (context.n > 0) memcpy(info + used, context.p, context.n);
    used += context.n;
    uint64_t begun = ak_journal_begin(p);
    expand(&k->hmac, ak_view_of(info, used), out, n);
    if (begun != 0)
        ak_journal_end(p, begun, &(ak_note){.op = "hkdf_expand_label", .what = label, .secret = k->secret, .context = context, .out = ak_view_of(out, n), .bytes = n});
    return true;
}

bool ak_hkdf_expand_label(ak_provider *p, ak_hash hash, ak_view secret, const char *label, ak_view context, uint8_t *out, size_t n) {
    ak_hkdf_key k;
    bool ok = ak_hkdf_key_set(&k, p, hash, secret) && ak_hkdf_label(p, &k, label, context, out, n);
    ak_wipe(&k, sizeof k);
    return ok;
}

bool ak_derive_secret(ak_provider *p, const ak_hkdf_key *k, const char *label, ak_view transcript_hash, ak_secret *out) {
    uint8_t empty[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    ak_hash hash = k->hmac.hash;
    size_t n = ak_hash_size(hash);
    ak_secret_wipe(out);
    if (transcript_hash.n == 0) {
        if (!ak_digest(p, hash, none, none, none, empty)) return false;
        transcript_hash = ak_view_of(empty, n);
    }
    if (!ak_hkdf_label(p, k, label, transcript_hash, out->p, n)) return false;
    out->n = (uint8_t)n;
    return true;
}
