#include "crypto/internal.h"

#include <string.h>

/* P_hash(secret, label || seed), RFC 5246 §5, written (or XORed, for the two halves of TLS 1.0's PRF) into out. */
static bool p_hash(ak_provider *p, ak_hash hash, ak_view secret, ak_view label, ak_view seed_a, ak_view seed_b, bool mix, uint8_t *out,
                   size_t n) {
    /* label || seeds once in one place: each block hashes A(i) and then all of it. Longer ones than any TLS label and seed take the heap. */
    uint8_t a[AK_HASH_MAX], block[AK_HASH_MAX], few[192];
    ak_buf many;
    ak_buf_init(&many, AK_BUF_NO_LIMIT);
    size_t total = label.n + seed_a.n + seed_b.n;
    uint8_t *at = total <= sizeof few ? few : ak_buf_grow(&many, total);
    const ak_view none = {NULL, 0}, tail = ak_view_of(at, total);
    ak_pads *x = NULL;
    bool ok = at != NULL;
    if (ok) {
        if (label.n != 0) memcpy(at, label.p, label.n);
        if (seed_a.n != 0) memcpy(at + label.n, seed_a.p, seed_a.n);
        if (seed_b.n != 0) memcpy(at + label.n + seed_a.n, seed_b.p, seed_b.n);
        ok = (x = ak_pads_set(p, hash, secret)) != NULL && ak_pads_mac(x, tail, none, none, a);
    }
    while (ok && n > 0) {
        size_t take = n < x->size ? n : x->size;
        ok = ak_pads_mac(x, ak_view_of(a, x->size), tail, none, block);
        for (size_t i = 0; ok && i < take; i++) out[i] = (uint8_t)(mix ? out[i] ^ block[i] : block[i]);
        out += take;
        n -= take;
        if (ok && n > 0) ok = ak_pads_mac(x, ak_view_of(a, x->size), none, none, a);
    }
    if (x != NULL) ak_pads_clear(x);
    ak_wipe(a, sizeof a);
    ak_wipe(block, sizeof block);
    ak_buf_free(&many); /* labels, randoms and hashes: nothing secret */
    return ok;
}

bool ak_prf(ak_provider *p, ak_hash hash, ak_view secret, const char *label, ak_view seed_a, ak_view seed_b, uint8_t *out, size_t n) {
    ak_view l = ak_view_of(label, strlen(label));
    uint64_t begun = ak_journal_begin(p);
    bool ok;
    if (hash == AK_HASH_md5_sha1) {
        /* RFC 2246 §5: the two halves of the secret, sharing the middle byte when its length is odd. */
        size_t half = (secret.n + 1) / 2;
        ok = p_hash(p, AK_HASH_md5, ak_view_of(secret.p, half), l, seed_a, seed_b, false, out, n) &&
             p_hash(p, AK_HASH_sha1, ak_view_of(half > 0 ? secret.p + secret.n - half : NULL, half), l, seed_a, seed_b, true, out, n);
    } else {
        ok = p_hash(p, hash, secret, l, seed_a, seed_b, false, out, n);
    }
    if (!ok) ak_wipe(out, n);
    if (begun != 0)
        ak_journal_end(p, begun, &(ak_note){.op = "prf", .what = label, .secret = secret, .context = seed_a, .context_b = seed_b, .out = ak_view_of(out, n), .bytes = n});
    return ok;
}
