#include "crypto/internal.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

/* RFC 8446 §4.2.3; the last row is what TLS 1.0 and 1.1 do with RSA without naming it (RFC 4346 §7.4.3). */
const ak_scheme ak_schemes[] = {
    /* id      name                      key             hash             group pss    tls13 */
    {0x0403, "ecdsa_secp256r1_sha256", AK_KEY_ec, AK_HASH_sha256, 23, false, true},
    {0x0503, "ecdsa_secp384r1_sha384", AK_KEY_ec, AK_HASH_sha384, 24, false, true},
    {0x0603, "ecdsa_secp521r1_sha512", AK_KEY_ec, AK_HASH_sha512, 25, false, true},
    {0x0807, "ed25519", AK_KEY_ed25519, AK_HASH_none, 0, false, true},
    {0x0808, "ed448", AK_KEY_ed448, AK_HASH_none, 0, false, true},
    {0x0809, "rsa_pss_pss_sha256", AK_KEY_rsa_pss, AK_HASH_sha256, 0, true, true},
    {0x080a, "rsa_pss_pss_sha384", AK_KEY_rsa_pss, AK_HASH_sha384, 0, true, true},
    {0x080b, "rsa_pss_pss_sha512", AK_KEY_rsa_pss, AK_HASH_sha512, 0, true, true},
    {0x0804, "rsa_pss_rsae_sha256", AK_KEY_rsa, AK_HASH_sha256, 0, true, true},
    {0x0805, "rsa_pss_rsae_sha384", AK_KEY_rsa, AK_HASH_sha384, 0, true, true},
    {0x0806, "rsa_pss_rsae_sha512", AK_KEY_rsa, AK_HASH_sha512, 0, true, true},
    {0x0401, "rsa_pkcs1_sha256", AK_KEY_rsa, AK_HASH_sha256, 0, false, false},
    {0x0501, "rsa_pkcs1_sha384", AK_KEY_rsa, AK_HASH_sha384, 0, false, false},
    {0x0601, "rsa_pkcs1_sha512", AK_KEY_rsa, AK_HASH_sha512, 0, false, false},
    {AK_SCHEME_ecdsa_sha1, "ecdsa_sha1", AK_KEY_ec, AK_HASH_sha1, 0, false, false},
    {0x0201, "rsa_pkcs1_sha1", AK_KEY_rsa, AK_HASH_sha1, 0, false, false},
    {AK_SCHEME_rsa_pkcs1_md5_sha1, "rsa_pkcs1_md5_sha1", AK_KEY_rsa, AK_HASH_md5_sha1, 0, false, false},
};
const size_t ak_schemes_count = sizeof ak_schemes / sizeof ak_schemes[0];

const ak_scheme *ak_scheme_find(uint16_t id) {
    for (size_t i = 0; i < ak_schemes_count; i++)
        if (ak_schemes[i].id == id) return &ak_schemes[i];
    return NULL;
}

const ak_scheme *ak_scheme_by_name(const char *name) {
    for (size_t i = 0; i < ak_schemes_count; i++)
        if (strcmp(ak_schemes[i].name, name) == 0) return &ak_schemes[i];
    return NULL;
}

/* rsa_long_enough: room for the encoding: RFC 8017 §9.1.1 (PSS with a salt as long as the hash) and §9.2 (PKCS#1 v1.5: DigestInfo takes up to
 * 19 bytes besides the hash, and none for MD5 with SHA-1). */
static bool rsa_long_enough(const ak_scheme *s, const ak_key *k) {
    size_t hash = ak_hash_size(s->hash), bytes = (k->bits + 7) / 8;
    if (s->pss) return (k->bits + 6) / 8 >= 2 * hash + 2;
    return bytes >= hash + (s->hash == AK_HASH_md5_sha1 ? 0 : 19) + 11;
}

bool ak_scheme_fits(const ak_scheme *s, const ak_key *k, uint16_t version) {
    if (k->pkey == NULL || s->kind != k->kind) return false;
    bool old = version != 0 && version < AK_TLS12;
    if (old) { /* no negotiation: RSA signs MD5 with SHA-1, ECDSA signs SHA-1 (RFC 4492 §5.4) */
        if (s->id != AK_SCHEME_rsa_pkcs1_md5_sha1 && s->id != AK_SCHEME_ecdsa_sha1) return false;
    } else if (s->id == AK_SCHEME_rsa_pkcs1_md5_sha1) {
        return false;
    }
    if (version >= AK_TLS13 && (!s->tls13 || s->group != k->group)) return false;
    if (k->kind == AK_KEY_rsa_pss && k->pss_restricted && (k->pss_hash != s->hash || k->pss_min_salt > ak_hash_size(s->hash)))
        return false;
    return (k->kind != AK_KEY_rsa && k->kind != AK_KEY_rsa_pss) || rsa_long_enough(s, k);
}

/* ---- kept contexts --------------------------------------------------------------------------------------------------------- */

static bool configure(ak_provider *p, EVP_PKEY_CTX *ctx, const ak_scheme *s, size_t salt) {
    EVP_MD *md = p->md[s->hash];
    if (md == NULL || EVP_PKEY_CTX_set_signature_md(ctx, md) != 1) return false;
    if (s->kind != AK_KEY_rsa && s->kind != AK_KEY_rsa_pss) return true;
    if (!s->pss) return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    /* MGF1 over the same hash, a salt of exactly this length; in TLS itself as long as the hash (RFC 8446 §4.2.3). */
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, (int)salt) == 1;
}

/* context: the key's context for this scheme and direction; made at first use. A key with more uses than slots replaces the oldest. */
static EVP_PKEY_CTX *context(ak_provider *p, ak_key *k, const ak_scheme *s, bool sign) {
    for (size_t i = 0; i < AK_KEY_SLOTS; i++)
        if (k->slot[i].ctx != NULL && k->slot[i].scheme == s && k->slot[i].sign == sign) return k->slot[i].ctx;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(k->libctx, k->pkey, NULL);
    if (ctx == NULL || (sign ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) != 1 || !configure(p, ctx, s, ak_hash_size(s->hash))) {
        EVP_PKEY_CTX_free(ctx);
        return NULL;
    }
    struct ak_key_slot *slot = &k->slot[k->next_slot++ % AK_KEY_SLOTS];
    EVP_PKEY_CTX_free(slot->ctx);
    *slot = (struct ak_key_slot){s, ctx, sign};
    return ctx;
}

/* forget: a context in which an operation failed may be left half-way. */
static void forget(ak_key *k, const EVP_PKEY_CTX *ctx) {
    for (size_t i = 0; i < AK_KEY_SLOTS; i++)
        if (k->slot[i].ctx == ctx) {
            EVP_PKEY_CTX_free(k->slot[i].ctx);
            memset(&k->slot[i], 0, sizeof k->slot[i]);
        }
}

/* ---- signing ------------------------------------------------------------------------------------------------------------------ */

static void prime(ak_provider *p, const ak_scheme *s) {
    ak_random_prime(p, s->pss ? AK_PURPOSE_pss_salt : s->kind == AK_KEY_ec ? AK_PURPOSE_ecdsa_nonce : AK_PURPOSE_blinding);
}

static bool sign_with(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view digest, ak_buf *out) {
    int most = EVP_PKEY_get_size(k->pkey);
    EVP_PKEY_CTX *ctx = context(p, k, s, true);
    if (most <= 0 || ctx == NULL) return false;
    size_t start = out->n, n = (size_t)most;
    uint8_t *at = ak_buf_grow(out, n);
    if (at == NULL) return false;
    prime(p, s);
    bool ok = EVP_PKEY_sign(ctx, at, &n, digest.p, digest.n) == 1 && n <= (size_t)most;
    out->n = ok ? start + n : start;
    if (!ok) forget(k, ctx);
    return ok;
}

static bool sign_eddsa(ak_provider *p, ak_key *k, ak_view data, ak_buf *out) {
    size_t start = out->n, n = k->kind == AK_KEY_ed25519 ? 64 : 114;
    uint8_t *at = ak_buf_grow(out, n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ak_random_prime(p, AK_PURPOSE_blinding);
    bool ok = at != NULL && ctx != NULL && EVP_DigestSignInit_ex(ctx, NULL, NULL, k->libctx, NULL, k->pkey, NULL) == 1 &&
              EVP_DigestSign(ctx, at, &n, data.p, data.n) == 1;
    EVP_MD_CTX_free(ctx);
    out->n = ok ? start + n : start;
    return ok;
}

static ak_error wrong_key(const ak_key *k, const ak_scheme *s, ak_failure *f) {
    return ak_fail(f, AK_ERR_crypto_failed, "%s needs another kind of key than this one%s", s->name, k->is_private ? "" : ", which is public");
}

ak_error ak_sign_digest(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view digest, ak_buf *out, ak_failure *f) {
    if (k->pkey == NULL || !k->is_private || s->kind != k->kind || s->hash == AK_HASH_none || digest.n != ak_hash_size(s->hash))
        return wrong_key(k, s, f);
    k = ak_key_native(p, k);
    uint64_t begun = ak_journal_begin(p);
    size_t start = out->n;
    bool ok = k != NULL && sign_with(p, k, s, digest, out);
    if (begun != 0)
        ak_journal_end(p, begun, &(ak_note){.op = "sign", .what = s->name, .context = digest, .out = ak_view_of(out->p + start, out->n - start), .bytes = digest.n});
    return ok ? AK_OK : ak_operation_fail(p, f, s->name);
}

ak_error ak_sign(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view data, ak_buf *out, ak_failure *f) {
    uint8_t digest[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    if (s->hash != AK_HASH_none) {
        if (!ak_digest(p, s->hash, data, none, none, digest)) return ak_crypto_fail(f, AK_ERR_crypto_failed, ak_hash_name(s->hash));
        return ak_sign_digest(p, k, s, ak_view_of(digest, ak_hash_size(s->hash)), out, f);
    }
    if (k->pkey == NULL || !k->is_private || s->kind != k->kind) return wrong_key(k, s, f);
    k = ak_key_native(p, k);
    uint64_t begun = ak_journal_begin(p);
    size_t start = out->n;
    bool ok = k != NULL && sign_eddsa(p, k, data, out);
    if (begun != 0)
        ak_journal_end(p, begun, &(ak_note){.op = "sign", .what = s->name, .context = data, .out = ak_view_of(out->p + start, out->n - start), .bytes = data.n});
    return ok ? AK_OK : ak_operation_fail(p, f, s->name);
}

/* ---- verifying: no randomness is drawn, so that the key may live in any library context ------------------------------------------ */

static ak_error verdict(bool ok, const ak_scheme *s, ak_failure *f) {
    ERR_clear_error();
    return ok ? AK_OK : ak_fail(f, AK_ERR_bad_signature, "%s", s->name);
}

ak_error ak_verify_digest(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view digest, ak_view signature, ak_failure *f) {
    if (k->pkey == NULL || s->kind != k->kind || s->hash == AK_HASH_none || digest.n != ak_hash_size(s->hash)) return verdict(false, s, f);
    uint64_t begun = ak_journal_begin(p);
    EVP_PKEY_CTX *ctx = context(p, k, s, false);
    bool ok = ctx != NULL && EVP_PKEY_verify(ctx, signature.p, signature.n, digest.p, digest.n) == 1;
    if (!ok && ctx != NULL) forget(k, ctx);
    if (begun != 0) ak_journal_end(p, begun, &(ak_note){.op = "verify", .what = s->name, .context = digest, .context_b = signature, .bytes = digest.n});
    return verdict(ok, s, f);
}

ak_error ak_verify_signature(ak_provider *p, ak_key *k, const ak_scheme *s, ak_view data, ak_view signature, ak_failure *f) {
    uint8_t digest[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    if (s->hash != AK_HASH_none) {
        if (!ak_digest(p, s->hash, data, none, none, digest)) return ak_crypto_fail(f, AK_ERR_crypto_failed, ak_hash_name(s->hash));
        return ak_verify_digest(p, k, s, ak_view_of(digest, ak_hash_size(s->hash)), signature, f);
    }
    if (k->pkey == NULL || s->kind != k->kind) return verdict(false, s, f);
    uint64_t begun = ak_journal_begin(p);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, k->libctx, NULL, k->pkey, NULL) == 1 &&
              EVP_DigestVerify(ctx, signature.p, signature.n, data.p, data.n) == 1;
    EVP_MD_CTX_free(ctx);
    if (begun != 0) ak_journal_end(p, begun, &(ak_note){.op = "verify", .what = s->name, .context = data, .context_b = signature, .bytes = data.n});
    return verdict(ok, s, f);
}

ak_error ak_verify_pss(ak_provider *p, ak_key *k, const ak_scheme *s, unsigned salt, ak_view data, ak_view signature, ak_failure *f) {
    uint8_t digest[AK_HASH_MAX];
    const ak_view none = {NULL, 0};
    if (!s->pss || k->pkey == NULL || s->kind != k->kind || salt > k->bits / 8) return verdict(false, s, f);
    if (k->pss_restricted && (k->pss_hash != s->hash || salt < k->pss_min_salt)) return verdict(false, s, f); /* RFC 4055 §3.3 */
    if (salt == ak_hash_size(s->hash)) return ak_verify_signature(p, k, s, data, signature, f);
    if (!ak_digest(p, s->hash, data, none, none, digest)) return ak_crypto_fail(f, AK_ERR_crypto_failed, ak_hash_name(s->hash));
    uint64_t begun = ak_journal_begin(p);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(k->libctx, k->pkey, NULL); /* rare: no slot is kept for it */
    bool ok = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 && configure(p, ctx, s, salt) &&
              EVP_PKEY_verify(ctx, signature.p, signature.n, digest, ak_hash_size(s->hash)) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (begun != 0) ak_journal_end(p, begun, &(ak_note){.op = "verify", .what = s->name, .context = data, .context_b = signature, .bytes = data.n});
    return verdict(ok, s, f);
}
