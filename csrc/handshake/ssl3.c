/* ssl3.c: what SSL 3.0 does in its own way (RFC 6101): key derivation (§6.1, §6.2), Finished (§5.6.9), CertificateVerify (§5.6.8). The MAC of its records is
 * in crypto/mac.c. The protocol is broken beyond repair (POODLE, RFC 7568): only a context that names it does it. */
#include "handshake/keys.h"

#include <string.h>

#define MD5_N 16
#define SHA1_N 20
#define PAD_MD5 48
#define PAD_SHA1 40

/* One step of the derivation: MD5(secret + SHA('A'… + secret + randoms)), the letter growing with the step. */
static bool step(ak_provider *p, unsigned i, ak_view secret, ak_view randoms, uint8_t out[MD5_N]) {
    uint8_t label[26], inner[SHA1_N];
    memset(label, (int)('A' + i), i + 1);
    bool ok = ak_digest(p, AK_HASH_sha1, ak_view_of(label, i + 1), secret, randoms, inner) &&
              ak_digest(p, AK_HASH_md5, secret, ak_view_of(inner, SHA1_N), ak_view_of(NULL, 0), out);
    ak_wipe(inner, sizeof inner);
    return ok;
}

bool ak_ssl3_derive(ak_provider *p, ak_view secret, ak_view random_a, ak_view random_b, uint8_t *out, size_t n) {
    uint8_t randoms[64], block[MD5_N];
    bool ok = random_a.n == 32 && random_b.n == 32 && n <= 26 * MD5_N;
    if (!ok) return false;
    memcpy(randoms, random_a.p, 32);
    memcpy(randoms + 32, random_b.p, 32);
    for (unsigned i = 0; ok && n > 0; i++) {
        size_t part = n < MD5_N ? n : MD5_N;
        ok = step(p, i, secret, ak_view_of(randoms, sizeof randoms), block);
        if (ok) memcpy(out, block, part);
        out += part;
        n -= part;
    }
    ak_wipe(block, sizeof block);
    return ok;
}

/* half: hash(master + pad_2 + hash(messages + sender + master + pad_1)) for one of the two hashes. The transcript runs both at once, so that each pad length
 * gives a value of which one half is used. */
static bool half(ak_hs *h, ak_hash hash, ak_view sender, uint8_t *out) {
    uint8_t tail[4 + 48 + PAD_MD5], pad[PAD_MD5], both[AK_HASH_MAX];
    ak_view master = ak_secret_view(&h->secrets.master);
    bool md5 = hash == AK_HASH_md5;
    size_t pad_n = md5 ? PAD_MD5 : PAD_SHA1, n = 0, at = 0;
    if (master.n != 48 || sender.n > 4) return false;
    if (sender.n != 0) memcpy(tail, sender.p, sender.n);
    at += sender.n;
    memcpy(tail + at, master.p, master.n);
    at += master.n;
    memset(tail + at, 0x36, pad_n);
    memset(pad, 0x5c, pad_n);
    bool ok = ak_transcript_value_with(&h->transcript, ak_view_of(tail, at + pad_n), both, &n) && n == MD5_N + SHA1_N &&
              ak_digest(h->p, hash, master, ak_view_of(pad, pad_n), md5 ? ak_view_of(both, MD5_N) : ak_view_of(both + MD5_N, SHA1_N), out);
    ak_wipe(tail, sizeof tail);
    ak_wipe(both, sizeof both);
    return ok;
}

static bool both_halves(ak_hs *h, ak_view sender, uint8_t out[AK_SSL3_HASHES]) {
    return half(h, AK_HASH_md5, sender, out) && half(h, AK_HASH_sha1, sender, out + MD5_N);
}

bool ak_ssl3_finished(ak_hs *h, bool server, uint8_t out[AK_SSL3_HASHES]) {
    return both_halves(h, ak_view_of(server ? "SRVR" : "CLNT", 4), out);
}

bool ak_ssl3_certificate_verify(ak_hs *h, uint8_t out[AK_SSL3_HASHES]) { return both_halves(h, ak_view_of(NULL, 0), out); }
