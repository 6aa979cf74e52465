/* akushu.core.crypto: the crypto room by itself: pure functions on strings, for labs and specs.
 *
 *   crypto.digest(hash, s)  crypto.hmac(hash, key, s)
 *   crypto.prf(hash, secret, label, seed, n)                            RFC 5246 §5; hash "md5_sha1": TLS 1.0 and 1.1
 *   crypto.hkdf_extract(hash, salt, ikm)  crypto.hkdf_expand(hash, prk, info, n)
 *   crypto.hkdf_expand_label(hash, secret, label, context, n)           RFC 8446 §7.1
 *   crypto.derive_secret(hash, secret, label[, transcript_hash])        without a hash: the hash of nothing
 *   crypto.share(group[, private])      a key exchange value: :public() :derive(peer[, strip_zeros]) :group() :close()
 *   crypto.dh_share(prime, generator)   the same in explicit parameters
 *   crypto.dh_check(prime, generator[, min_bits])
 *   crypto.answer(group, peer)          the responder's side: its public value and the shared secret
 *   crypto.key(bytes[, password])  crypto.generate(spec)  crypto.public_key(spki)
 *       :sign(scheme, data) :verify(scheme, data, signature) :fits(scheme[, version]) :encrypt(premaster)
 *       :premaster(ciphertext, version) :spki() :export(format) :same(other) :info()
 *   crypto.hashes() crypto.suites() crypto.groups() crypto.schemes() crypto.group_names() crypto.profile(name) crypto.version()
 *
 * Secrets go in and come out as strings here: that is what this table is for; the stack itself never does so.
 * Hashes: "md5" "sha1" "sha256" "sha384" "sha512" "md5_sha1". Failures at run time are nil, message, failure; misuse raises. */
#include "binding/lcrypto.h"
#include "crypto/kdf.h"

#include <string.h>

#define MOST_OUTPUT ((lua_Integer)1 << 20)

static const ak_view nothing = {NULL, 0};

/* ---- in and out ------------------------------------------------------------------------------------------------------------- */

int ak_lua_crypto_fail(lua_State *L, ak_failure *f, const char *doing) {
    f->state = doing;
    return ak_lua_fail(L, f);
}

int ak_lua_crypto_refused(lua_State *L, const char *what) {
    ak_failure f = {0};
    ak_fail(&f, AK_ERR_crypto_failed, "%s", what);
    return ak_lua_crypto_fail(L, &f, what);
}

const char *ak_lua_check_text(lua_State *L, int arg) {
    size_t n;
    const char *s = ak_lua_check_lstring(L, arg, &n);
    luaL_argcheck(L, strlen(s) == n, arg, "must not hold a zero byte");
    return s;
}

static size_t check_size(lua_State *L, int arg, lua_Integer most) {
    lua_Integer n = luaL_checkinteger(L, arg);
    if (n < 0 || n > most) luaL_argerror(L, arg, lua_pushfstring(L, "a number from 0 to %I expected, got %I", (LUAI_UACINT)most, (LUAI_UACINT)n));
    return (size_t)n;
}

const char *const ak_lua_hash_names[AK_HASH_count] = {
    [AK_HASH_none] = "none",     [AK_HASH_md5] = "md5",       [AK_HASH_sha1] = "sha1",         [AK_HASH_sha256] = "sha256",
    [AK_HASH_sha384] = "sha384", [AK_HASH_sha512] = "sha512", [AK_HASH_md5_sha1] = "md5_sha1",
};

/* Raises for a name that is no hash, and for one that this libcrypto lacks. hmac: MD5-SHA-1 is not a hash to make an HMAC with. */
static ak_hash check_hash(lua_State *L, int arg, ak_provider *p, bool hmac) {
    const char *name = ak_lua_check_string(L, arg);
    for (int h = AK_HASH_none + 1; h < AK_HASH_count; h++) {
        if (strcmp(ak_lua_hash_names[h], name) != 0) continue;
        luaL_argcheck(L, !hmac || h != AK_HASH_md5_sha1, arg, "no HMAC is made with md5_sha1");
        luaL_argcheck(L, ak_provider_has_hash(p, (ak_hash)h), arg, "this libcrypto does not have that hash");
        return (ak_hash)h;
    }
    luaL_argerror(L, arg, lua_pushfstring(L, "unknown hash '%s'", name));
    return AK_HASH_none;
}

int ak_lua_push_revealed(lua_State *L, ak_secret *s) {
    lua_pushlstring(L, (const char *)s->p, s->n);
    ak_secret_wipe(s);
    return 1;
}

/* ---- hashes and key derivation ------------------------------------------------------------------------------------------------ */

static int l_digest(lua_State *L) {
    uint8_t out[AK_HASH_MAX];
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, false);
    if (!ak_digest(p, h, ak_lua_bytes(L, 2), nothing, nothing, out)) return ak_lua_crypto_refused(L, "digest");
    lua_pushlstring(L, (const char *)out, ak_hash_size(h));
    return 1;
}

static int l_hmac(lua_State *L) {
    uint8_t out[AK_HASH_MAX];
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    if (!ak_hmac(p, h, ak_lua_bytes(L, 2), ak_lua_bytes(L, 3), nothing, nothing, out)) return ak_lua_crypto_refused(L, "hmac");
    lua_pushlstring(L, (const char *)out, ak_hash_size(h));
    ak_wipe(out, sizeof out);
    return 1;
}

static int l_prf(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, false);
    ak_view secret = ak_lua_bytes(L, 2), seed = ak_lua_bytes(L, 4);
    const char *label = ak_lua_check_text(L, 3);
    size_t n = check_size(L, 5, MOST_OUTPUT);
    ak_buf *out = ak_lua_push_box(L);
    uint8_t *at = ak_buf_grow(out, n);
    if (n > 0 && (at == NULL || !ak_prf(p, h, secret, label, seed, nothing, at, n))) return ak_lua_crypto_refused(L, "prf");
    return ak_lua_push_boxed(L, out);
}

static int l_hkdf_extract(lua_State *L) {
    ak_secret out;
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    if (!ak_hkdf_extract(p, h, ak_lua_bytes_or_none(L, 2), ak_lua_bytes_or_none(L, 3), &out)) return ak_lua_crypto_refused(L, "hkdf_extract");
    return ak_lua_push_revealed(L, &out);
}

static int l_hkdf_expand(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    ak_view prk = ak_lua_bytes(L, 2), info = ak_lua_bytes_or_none(L, 3);
    size_t n = check_size(L, 4, 255 * (lua_Integer)ak_hash_size(h));
    ak_buf *out = ak_lua_push_box(L);
    uint8_t *at = ak_buf_grow(out, n);
    if (n > 0 && (at == NULL || !ak_hkdf_expand(p, h, prk, info, at, n))) return ak_lua_crypto_refused(L, "hkdf_expand");
    return ak_lua_push_boxed(L, out);
}

static int l_hkdf_expand_label(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    ak_view secret = ak_lua_bytes(L, 2), context = ak_lua_bytes_or_none(L, 4);
    const char *label = ak_lua_check_text(L, 3);
    luaL_argcheck(L, strlen(label) <= 255 - strlen("tls13 "), 3, "label too long");
    luaL_argcheck(L, context.n <= 255, 4, "context too long");
    size_t n = check_size(L, 5, 255 * (lua_Integer)ak_hash_size(h));
    ak_buf *out = ak_lua_push_box(L);
    uint8_t *at = ak_buf_grow(out, n);
    if (n > 0 && (at == NULL || !ak_hkdf_expand_label(p, h, secret, label, context, at, n))) return ak_lua_crypto_refused(L, "hkdf_expand_label");
    return ak_lua_push_boxed(L, out);
}

static int l_derive_secret(lua_State *L) {
    ak_hkdf_key from;
    ak_secret out;
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    ak_view secret = ak_lua_bytes(L, 2), transcript = ak_lua_bytes_or_none(L, 4);
    const char *label = ak_lua_check_text(L, 3);
    luaL_argcheck(L, strlen(label) <= 255 - strlen("tls13 "), 3, "label too long");
    luaL_argcheck(L, transcript.n == 0 || transcript.n == ak_hash_size(h), 4, "not as long as a value of that hash");
    bool ok = ak_hkdf_key_set(&from, p, h, secret) && ak_derive_secret(p, &from, label, transcript, &out);
    ak_wipe(&from, sizeof from);
    if (!ok) return ak_lua_crypto_refused(L, "derive_secret");
    return ak_lua_push_revealed(L, &out);
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------------------- */

int ak_open_crypto(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"digest", l_digest},
        {"hmac", l_hmac},
        {"prf", l_prf},
        {"hkdf_extract", l_hkdf_extract},
        {"hkdf_expand", l_hkdf_expand},
        {"hkdf_expand_label", l_hkdf_expand_label},
        {"derive_secret", l_derive_secret},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    ak_open_crypto_shares(L);
    ak_open_crypto_keys(L);
    ak_open_crypto_tables(L);
    return 1;
}
