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
#include "binding/binding.h"
#include "crypto/groups.h"
#include "crypto/kdf.h"
#include "crypto/key.h"
#include "crypto/suites.h"

#include <stdlib.h>
#include <string.h>

#define SHARE "akushu.crypto.share"
#define KEY "akushu.crypto.key"
#define BOX "akushu.crypto.buffer"
#define MOST_OUTPUT ((lua_Integer)1 << 20)

static const ak_view nothing = {NULL, 0};

/* ---- in and out ------------------------------------------------------------------------------------------------------------- */

static int fail(lua_State *L, ak_failure *f, const char *doing) {
    f->state = doing;
    return ak_lua_fail(L, f);
}

static ak_view opt_bytes(lua_State *L, int arg) { return lua_isnoneornil(L, arg) ? nothing : ak_lua_bytes(L, arg); }

/* Labels and passwords are C strings to the engine: one with a zero byte in it would be cut. */
static const char *check_text(lua_State *L, int arg) {
    size_t n;
    const char *s = luaL_checklstring(L, arg, &n);
    luaL_argcheck(L, strlen(s) == n, arg, "must not hold a zero byte");
    return s;
}

static size_t check_size(lua_State *L, int arg, lua_Integer most) {
    lua_Integer n = luaL_checkinteger(L, arg);
    luaL_argcheck(L, n >= 0 && n <= most, arg, "out of range");
    return (size_t)n;
}

static const char *const hash_names[AK_HASH_count] = {
    [AK_HASH_none] = "none",     [AK_HASH_md5] = "md5",       [AK_HASH_sha1] = "sha1",         [AK_HASH_sha256] = "sha256",
    [AK_HASH_sha384] = "sha384", [AK_HASH_sha512] = "sha512", [AK_HASH_md5_sha1] = "md5_sha1",
};

/* Raises for a name that is no hash, and for one that this libcrypto lacks. hmac: MD5-SHA-1 is not a hash to make an HMAC with. */
static ak_hash check_hash(lua_State *L, int arg, ak_provider *p, bool hmac) {
    const char *name = luaL_checkstring(L, arg);
    for (int h = AK_HASH_none + 1; h < AK_HASH_count; h++) {
        if (strcmp(hash_names[h], name) != 0) continue;
        luaL_argcheck(L, !hmac || h != AK_HASH_md5_sha1, arg, "no HMAC is made with md5_sha1");
        luaL_argcheck(L, ak_provider_has_hash(p, (ak_hash)h), arg, "this libcrypto does not have that hash");
        return (ak_hash)h;
    }
    luaL_argerror(L, arg, lua_pushfstring(L, "unknown hash '%s'", name));
    return AK_HASH_none;
}

static int push_bytes(lua_State *L, const void *p, size_t n) {
    lua_pushlstring(L, p, n);
    return 1;
}

/* A buffer in a box: a userdata with a finaliser, so that nothing is lost (and secrets are wiped) when Lua raises for want of memory. */
static ak_buf *push_box(lua_State *L) {
    ak_buf *b = lua_newuserdatauv(L, sizeof *b, 0);
    ak_buf_init_secret(b, AK_BUF_NO_LIMIT);
    luaL_setmetatable(L, BOX);
    return b;
}

static int l_box_gc(lua_State *L) {
    ak_buf_free(ak_lua_check(L, 1, BOX));
    return 0;
}

/* The box's bytes as a string; the box is empty afterwards. */
static int push_boxed(lua_State *L, ak_buf *b) {
    push_bytes(L, b->p, b->n);
    ak_buf_free(b);
    return 1;
}

static int refused(lua_State *L, const char *what) {
    ak_failure f = {0};
    ak_fail(&f, AK_ERR_crypto_failed, "%s", what);
    return fail(L, &f, what);
}

/* ---- hashes and key derivation ------------------------------------------------------------------------------------------------ */

static int l_digest(lua_State *L) {
    uint8_t out[AK_HASH_MAX];
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, false);
    if (!ak_digest(p, h, ak_lua_bytes(L, 2), nothing, nothing, out)) return refused(L, "digest");
    return push_bytes(L, out, ak_hash_size(h));
}

static int l_hmac(lua_State *L) {
    uint8_t out[AK_HASH_MAX];
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    if (!ak_hmac(p, h, ak_lua_bytes(L, 2), ak_lua_bytes(L, 3), nothing, nothing, out)) return refused(L, "hmac");
    push_bytes(L, out, ak_hash_size(h));
    ak_wipe(out, sizeof out);
    return 1;
}

static int l_prf(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, false);
    ak_view secret = ak_lua_bytes(L, 2), seed = ak_lua_bytes(L, 4);
    const char *label = check_text(L, 3);
    size_t n = check_size(L, 5, MOST_OUTPUT);
    ak_buf *out = push_box(L);
    uint8_t *at = ak_buf_grow(out, n);
    if (n > 0 && (at == NULL || !ak_prf(p, h, secret, label, seed, nothing, at, n))) return refused(L, "prf");
    return push_boxed(L, out);
}

static int push_secret(lua_State *L, ak_secret *s) {
    push_bytes(L, s->p, s->n);
    ak_secret_wipe(s);
    return 1;
}

static int l_hkdf_extract(lua_State *L) {
    ak_secret out;
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    if (!ak_hkdf_extract(p, h, opt_bytes(L, 2), opt_bytes(L, 3), &out)) return refused(L, "hkdf_extract");
    return push_secret(L, &out);
}

static int l_hkdf_expand(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    ak_view prk = ak_lua_bytes(L, 2), info = opt_bytes(L, 3);
    size_t n = check_size(L, 4, 255 * (lua_Integer)ak_hash_size(h));
    ak_buf *out = push_box(L);
    uint8_t *at = ak_buf_grow(out, n);
    if (n > 0 && (at == NULL || !ak_hkdf_expand(p, h, prk, info, at, n))) return refused(L, "hkdf_expand");
    return push_boxed(L, out);
}

static int l_hkdf_expand_label(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    ak_view secret = ak_lua_bytes(L, 2), context = opt_bytes(L, 4);
    const char *label = check_text(L, 3);
    luaL_argcheck(L, strlen(label) <= 255 - strlen("tls13 "), 3, "label too long");
    luaL_argcheck(L, context.n <= 255, 4, "context too long");
    size_t n = check_size(L, 5, 255 * (lua_Integer)ak_hash_size(h));
    ak_buf *out = push_box(L);
    uint8_t *at = ak_buf_grow(out, n);
    if (n > 0 && (at == NULL || !ak_hkdf_expand_label(p, h, secret, label, context, at, n))) return refused(L, "hkdf_expand_label");
    return push_boxed(L, out);
}

static int l_derive_secret(lua_State *L) {
    ak_secret out;
    ak_provider *p = ak_lua_provider(L);
    ak_hash h = check_hash(L, 1, p, true);
    ak_view secret = ak_lua_bytes(L, 2), transcript = opt_bytes(L, 4);
    const char *label = check_text(L, 3);
    luaL_argcheck(L, strlen(label) <= 255 - strlen("tls13 "), 3, "label too long");
    luaL_argcheck(L, transcript.n == 0 || transcript.n == ak_hash_size(h), 4, "not as long as a value of that hash");
    if (!ak_derive_secret(p, h, secret, label, transcript, &out)) return refused(L, "derive_secret");
    return push_secret(L, &out);
}

/* ---- key exchange ------------------------------------------------------------------------------------------------------------------ */

static const ak_group *check_group(lua_State *L, int arg) {
    const ak_group *g = lua_type(L, arg) == LUA_TSTRING ? ak_group_by_name(lua_tostring(L, arg)) : NULL;
    if (lua_isinteger(L, arg) && lua_tointeger(L, arg) >= 0 && lua_tointeger(L, arg) <= 0xffff)
        g = ak_group_find((uint16_t)lua_tointeger(L, arg));
    if (g == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "unknown group '%s'", luaL_tolstring(L, arg, NULL)));
    return g;
}

typedef struct lua_share {
    ak_provider *provider;
    ak_share *share;
} lua_share;

static lua_share *push_share(lua_State *L) {
    lua_share *s = lua_newuserdatauv(L, sizeof *s, 0);
    s->provider = NULL;
    s->share = NULL;
    luaL_setmetatable(L, SHARE);
    return s;
}

bool ak_lua_push_share_of(lua_State *L, const ak_hs *h, size_t i) {
    ak_provider *p;
    lua_share *s = push_share(L);
    s->share = ak_hs_share(h, i, &p);
    if (p == NULL) {
        lua_pop(L, 1);
        return false;
    }
    s->provider = ak_provider_ref(p);
    if (s->share == NULL) luaL_error(L, "akushu: out of memory");
    return true;
}

/* given: a lab's source that gives one private value, once; everything else that libcrypto draws there (blinding) is really random. */
typedef struct given {
    ak_provider *ordinary;
    uint8_t value[66];
    size_t n;
} given;

static bool given_fill(void *user, ak_purpose purpose, uint8_t *out, size_t n, char *why, size_t room) {
    (void)why;
    (void)room;
    given *x = user;
    if (purpose != AK_PURPOSE_key_share) return ak_random(x->ordinary, purpose, out, n);
    if (n != x->n) return false;
    memcpy(out, x->value, n);
    ak_wipe(x->value, sizeof x->value);
    x->n = 0;
    return true;
}

static void given_release(void *user) {
    given *x = user;
    ak_provider_free(x->ordinary);
    ak_wipe(x, sizeof *x);
    free(x);
}

static ak_provider *provider_giving(ak_provider *ordinary, ak_view value, ak_failure *f) {
    given *x = calloc(1, sizeof *x);
    if (x == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    x->ordinary = ak_provider_ref(ordinary);
    if (value.n != 0) memcpy(x->value, value.p, value.n);
    x->n = value.n;
    ak_source source = {given_fill, given_release, x};
    ak_provider *p = ak_provider_new(&source, f);
    if (p == NULL) given_release(x);
    return p;
}

static int l_share(lua_State *L) {
    ak_failure f = {0};
    ak_provider *p = ak_lua_provider(L);
    const ak_group *g = check_group(L, 1);
    ak_view private_value = opt_bytes(L, 2);
    bool with_private = !lua_isnoneornil(L, 2);
    lua_share *s = push_share(L);
    if (with_private) {
        luaL_argcheck(L, g->kind == AK_GROUP_x || g->kind == AK_GROUP_ec, 2, "a private value can be given for x25519, x448 and the secp groups");
        luaL_argcheck(L, private_value.n == g->secret, 2, "not as long as the group's private values");
        s->provider = provider_giving(p, private_value, &f);
        if (s->provider == NULL) return fail(L, &f, "share");
    } else {
        s->provider = ak_provider_ref(p);
    }
    s->share = ak_share_new(s->provider, g, &f);
    return s->share != NULL ? 1 : fail(L, &f, "share");
}

static int l_dh_share(lua_State *L) {
    ak_failure f = {0};
    ak_view prime = ak_lua_bytes(L, 1), generator = ak_lua_bytes(L, 2);
    lua_share *s = push_share(L);
    s->provider = ak_provider_ref(ak_lua_provider(L));
    s->share = ak_share_new_dh(s->provider, prime, generator, &f);
    return s->share != NULL ? 1 : fail(L, &f, "dh_share");
}

static lua_share *check_share(lua_State *L) {
    lua_share *s = ak_lua_check(L, 1, SHARE);
    luaL_argcheck(L, s->share != NULL, 1, "this share is closed");
    return s;
}

static int l_share_public(lua_State *L) {
    ak_view v = ak_share_public(check_share(L)->share);
    return push_bytes(L, v.p, v.n);
}

static int l_share_group(lua_State *L) {
    const ak_group *g = ak_share_group(check_share(L)->share);
    if (g == NULL) return 0;
    lua_pushstring(L, g->name);
    return 1;
}

static int l_share_derive(lua_State *L) {
    ak_failure f = {0};
    lua_share *s = check_share(L);
    ak_view peer = ak_lua_bytes(L, 2);
    bool strip = lua_toboolean(L, 3);
    ak_buf *out = push_box(L);
    ak_error e = ak_share_derive(s->provider, s->share, peer, strip, out, &f);
    return e == AK_OK ? push_boxed(L, out) : fail(L, &f, "derive");
}

static int l_share_close(lua_State *L) {
    lua_share *s = ak_lua_check(L, 1, SHARE);
    ak_share_free(s->share);
    ak_provider_free(s->provider);
    s->share = NULL;
    s->provider = NULL;
    return 0;
}

static int l_share_tostring(lua_State *L) {
    lua_share *s = ak_lua_check(L, 1, SHARE);
    const ak_group *g = s->share != NULL ? ak_share_group(s->share) : NULL;
    lua_pushfstring(L, "key share (%s)", s->share == NULL ? "closed" : g != NULL ? g->name : "explicit parameters");
    return 1;
}

static int l_answer(lua_State *L) {
    ak_failure f = {0};
    ak_provider *p = ak_lua_provider(L);
    const ak_group *g = check_group(L, 1);
    ak_view peer = ak_lua_bytes(L, 2);
    ak_buf *public_value = push_box(L), *secret = push_box(L);
    ak_error e = ak_share_answer(p, g, peer, public_value, secret, &f);
    if (e != AK_OK) return fail(L, &f, "answer");
    push_boxed(L, public_value);
    push_boxed(L, secret);
    return 2;
}

static int l_dh_check(lua_State *L) {
    ak_failure f = {0};
    lua_Integer min_bits = luaL_optinteger(L, 3, 2048);
    luaL_argcheck(L, min_bits >= 0 && min_bits <= 8192, 3, "out of range");
    ak_error e = ak_dh_check(ak_lua_provider(L), ak_lua_bytes(L, 1), ak_lua_bytes(L, 2), (unsigned)min_bits, &f);
    if (e != AK_OK) return fail(L, &f, "dh_check");
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- keys and signatures -------------------------------------------------------------------------------------------------------------- */

static ak_key **push_key(lua_State *L) {
    ak_key **k = lua_newuserdatauv(L, sizeof *k, 0);
    *k = NULL;
    luaL_setmetatable(L, KEY);
    return k;
}

static ak_key *check_key(lua_State *L, int arg) {
    ak_key **k = ak_lua_check(L, arg, KEY);
    luaL_argcheck(L, *k != NULL, arg, "this key is closed");
    return *k;
}

static int l_key(lua_State *L) {
    ak_failure f = {0};
    ak_view bytes = ak_lua_bytes(L, 1);
    const char *password = lua_isnoneornil(L, 2) ? NULL : check_text(L, 2);
    ak_key **k = push_key(L);
    *k = ak_key_private(ak_lua_provider(L), bytes, password, &f);
    return *k != NULL ? 1 : fail(L, &f, "key");
}

static int l_generate(lua_State *L) {
    ak_failure f = {0};
    const char *spec = luaL_checkstring(L, 1);
    ak_key **k = push_key(L);
    *k = ak_key_generate(ak_lua_provider(L), spec, &f);
    return *k != NULL ? 1 : fail(L, &f, "generate");
}

static int l_public_key(lua_State *L) {
    ak_failure f = {0};
    ak_view spki = ak_lua_bytes(L, 1);
    ak_key **k = push_key(L);
    *k = ak_key_from_spki(ak_lua_provider(L), spki, &f);
    return *k != NULL ? 1 : fail(L, &f, "public_key");
}

static const ak_scheme *check_scheme(lua_State *L, int arg) {
    const char *name = luaL_checkstring(L, arg);
    const ak_scheme *s = ak_scheme_by_name(name);
    if (s == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "unknown signature scheme '%s'", name));
    return s;
}

static uint16_t check_version(lua_State *L, int arg, lua_Integer by_default) {
    lua_Integer v = luaL_optinteger(L, arg, by_default);
    luaL_argcheck(L, v >= 0 && v <= 0xffff, arg, "a version such as 0x0303 expected");
    return (uint16_t)v;
}

static int l_key_sign(lua_State *L) {
    ak_failure f = {0};
    ak_key *k = check_key(L, 1);
    const ak_scheme *s = check_scheme(L, 2);
    ak_view data = ak_lua_bytes(L, 3);
    ak_buf *out = push_box(L);
    ak_error e = ak_sign(ak_lua_provider(L), k, s, data, out, &f);
    return e == AK_OK ? push_boxed(L, out) : fail(L, &f, "sign");
}

static int l_key_verify(lua_State *L) {
    ak_failure f = {0};
    ak_key *k = check_key(L, 1);
    const ak_scheme *s = check_scheme(L, 2);
    ak_error e = ak_verify_signature(ak_lua_provider(L), k, s, ak_lua_bytes(L, 3), ak_lua_bytes(L, 4), &f);
    if (e != AK_OK) return fail(L, &f, "verify");
    lua_pushboolean(L, 1);
    return 1;
}

static int l_key_fits(lua_State *L) {
    lua_pushboolean(L, ak_scheme_fits(check_scheme(L, 2), check_key(L, 1), check_version(L, 3, AK_TLS13)));
    return 1;
}

static int l_key_encrypt(lua_State *L) {
    ak_failure f = {0};
    ak_key *k = check_key(L, 1);
    ak_view plain = ak_lua_bytes(L, 2);
    ak_buf *out = push_box(L);
    ak_error e = ak_rsa_encrypt(ak_lua_provider(L), k, plain, out, &f);
    return e == AK_OK ? push_boxed(L, out) : fail(L, &f, "encrypt");
}

static int l_key_premaster(lua_State *L) {
    ak_failure f = {0};
    ak_secret out;
    ak_key *k = check_key(L, 1);
    ak_error e = ak_rsa_premaster(ak_lua_provider(L), k, ak_lua_bytes(L, 2), check_version(L, 3, AK_TLS12), &out, &f);
    return e == AK_OK ? push_secret(L, &out) : fail(L, &f, "premaster");
}

static int l_key_spki(lua_State *L) {
    ak_key *k = check_key(L, 1);
    ak_buf *out = push_box(L);
    return ak_key_spki(k, out) ? push_boxed(L, out) : refused(L, "spki");
}

static int l_key_export(lua_State *L) {
    static const char *const formats[] = {"pem", "der", NULL};
    ak_key *k = check_key(L, 1);
    bool pem = luaL_checkoption(L, 2, "pem", formats) == 0;
    ak_buf *out = push_box(L);
    return ak_key_export(k, pem, out) ? push_boxed(L, out) : refused(L, "export");
}

static int l_key_same(lua_State *L) {
    lua_pushboolean(L, ak_key_same(check_key(L, 1), check_key(L, 2)));
    return 1;
}

static int l_key_info(lua_State *L) {
    static const char *const kinds[] = {"none", "rsa", "rsa_pss", "ec", "ed25519", "ed448", "other"};
    const ak_key *k = check_key(L, 1);
    const ak_group *g = ak_group_find(ak_key_group(k));
    lua_createtable(L, 0, 4);
    lua_pushstring(L, kinds[ak_key_type(k)]);
    lua_setfield(L, -2, "kind");
    lua_pushinteger(L, (lua_Integer)ak_key_bits(k));
    lua_setfield(L, -2, "bits");
    lua_pushboolean(L, ak_key_is_private(k));
    lua_setfield(L, -2, "private");
    if (g != NULL) {
        lua_pushstring(L, g->name);
        lua_setfield(L, -2, "group");
    }
    return 1;
}

static int l_key_close(lua_State *L) {
    ak_key **k = ak_lua_check(L, 1, KEY);
    ak_key_free(*k);
    *k = NULL;
    return 0;
}

static int l_key_tostring(lua_State *L) {
    ak_key **k = ak_lua_check(L, 1, KEY);
    lua_pushstring(L, *k == NULL ? "key (closed)" : ak_key_is_private(*k) ? "private key" : "public key");
    return 1;
}

/* ---- tables --------------------------------------------------------------------------------------------------------------------------- */

static void set_integer(lua_State *L, const char *name, lua_Integer v) {
    lua_pushinteger(L, v);
    lua_setfield(L, -2, name);
}

static void set_string(lua_State *L, const char *name, const char *v) {
    lua_pushstring(L, v);
    lua_setfield(L, -2, name);
}

static void set_boolean(lua_State *L, const char *name, bool v) {
    lua_pushboolean(L, v);
    lua_setfield(L, -2, name);
}

static const char *const kx_names[] = {"tls13", "rsa", "dhe", "ecdhe", "psk", "dhe_psk", "ecdhe_psk", "rsa_psk"};
static const char *const auth_names[] = {"tls13", "rsa", "ecdsa", "psk", "anon"};

static int l_suites(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    lua_createtable(L, (int)ak_suites_count, 0);
    for (size_t i = 0; i < ak_suites_count; i++) {
        const ak_suite *s = &ak_suites[i];
        const ak_cipher_info *c = ak_cipher(s->cipher);
        lua_createtable(L, 0, 13);
        set_integer(L, "id", s->id);
        set_string(L, "name", s->name);
        set_string(L, "kx", kx_names[s->kx]);
        set_string(L, "auth", auth_names[s->auth]);
        set_string(L, "cipher", c->fetch_name != NULL ? c->fetch_name : "NULL");
        set_string(L, "kind", c->kind == AK_KIND_aead ? "aead" : c->kind == AK_KIND_cbc ? "cbc" : "null");
        set_integer(L, "key_bytes", c->key);
        set_integer(L, "tag_bytes", c->tag);
        set_string(L, "mac", hash_names[s->mac]);
        set_string(L, "prf", hash_names[s->prf]);
        set_integer(L, "min_version", s->min_version);
        set_integer(L, "max_version", s->max_version);
        set_boolean(L, "usable", ak_suite_usable(p, s));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int l_groups(lua_State *L) {
    static const char *const kinds[] = {"x", "ec", "ff", "hybrid"};
    ak_provider *p = ak_lua_provider(L);
    lua_createtable(L, (int)ak_groups_count, 0);
    for (size_t i = 0; i < ak_groups_count; i++) {
        const ak_group *g = &ak_groups[i];
        lua_createtable(L, 0, 10);
        set_integer(L, "id", g->id);
        set_string(L, "name", g->name);
        set_string(L, "kind", kinds[g->kind]);
        set_integer(L, "client_share", g->client_share);
        set_integer(L, "server_share", g->server_share);
        set_integer(L, "secret", g->secret);
        set_integer(L, "security_bits", g->security_bits);
        set_integer(L, "min_version", g->min_version);
        set_integer(L, "max_version", g->max_version);
        set_boolean(L, "usable", ak_group_usable(p, g));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int l_group_names(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    lua_Integer n = 0;
    lua_newtable(L);
    for (size_t i = 0; i < ak_groups_count; i++) {
        if (!ak_group_usable(p, &ak_groups[i])) continue;
        lua_pushstring(L, ak_groups[i].name);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static int l_schemes(lua_State *L) {
    lua_Integer n = 0;
    lua_newtable(L);
    for (size_t i = 0; i < ak_schemes_count; i++) {
        const ak_scheme *s = &ak_schemes[i];
        if (s->id == AK_SCHEME_rsa_pkcs1_md5_sha1) continue; /* not a code point */
        lua_createtable(L, 0, 5);
        set_integer(L, "id", s->id);
        set_string(L, "name", s->name);
        set_string(L, "hash", hash_names[s->hash]);
        set_boolean(L, "pss", s->pss);
        set_boolean(L, "tls13", s->tls13);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static int l_hashes(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    lua_createtable(L, 0, AK_HASH_count);
    for (int h = AK_HASH_none + 1; h < AK_HASH_count; h++)
        if (ak_provider_has_hash(p, (ak_hash)h)) set_integer(L, hash_names[h], (lua_Integer)ak_hash_size((ak_hash)h));
    return 1;
}

static int l_profile(lua_State *L) {
    uint16_t ids[512];
    const char *name = luaL_checkstring(L, 1);
    size_t n = ak_profile_suites(name, ids, sizeof ids / sizeof ids[0]);
    if (n == 0) return luaL_argerror(L, 1, lua_pushfstring(L, "unknown profile '%s'", name));
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, ak_suite_find(ids[i])->name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int l_version(lua_State *L) {
    lua_pushstring(L, ak_libcrypto_version());
    return 1;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------------------- */

static void make_class(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *methods) {
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    if (methods != NULL) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

int ak_open_crypto(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"digest", l_digest},
        {"hmac", l_hmac},
        {"prf", l_prf},
        {"hkdf_extract", l_hkdf_extract},
        {"hkdf_expand", l_hkdf_expand},
        {"hkdf_expand_label", l_hkdf_expand_label},
        {"derive_secret", l_derive_secret},
        {"share", l_share},
        {"dh_share", l_dh_share},
        {"dh_check", l_dh_check},
        {"answer", l_answer},
        {"key", l_key},
        {"generate", l_generate},
        {"public_key", l_public_key},
        {"hashes", l_hashes},
        {"suites", l_suites},
        {"groups", l_groups},
        {"group_names", l_group_names},
        {"schemes", l_schemes},
        {"profile", l_profile},
        {"version", l_version},
        {NULL, NULL},
    };
    static const luaL_Reg share_meta[] = {
        {"__gc", l_share_close}, {"__close", l_share_close}, {"__tostring", l_share_tostring}, {NULL, NULL}};
    static const luaL_Reg share_methods[] = {
        {"public", l_share_public}, {"group", l_share_group}, {"derive", l_share_derive}, {"close", l_share_close}, {NULL, NULL}};
    static const luaL_Reg key_meta[] = {{"__gc", l_key_close}, {"__close", l_key_close}, {"__tostring", l_key_tostring}, {NULL, NULL}};
    static const luaL_Reg key_methods[] = {
        {"sign", l_key_sign},       {"verify", l_key_verify}, {"fits", l_key_fits},     {"encrypt", l_key_encrypt},
        {"premaster", l_key_premaster}, {"spki", l_key_spki}, {"export", l_key_export}, {"same", l_key_same},
        {"info", l_key_info},       {"close", l_key_close},   {NULL, NULL},
    };
    static const luaL_Reg box_meta[] = {{"__gc", l_box_gc}, {NULL, NULL}};
    make_class(L, SHARE, share_meta, share_methods);
    make_class(L, KEY, key_meta, key_methods);
    make_class(L, BOX, box_meta, NULL);
    luaL_newlib(L, functions);
    return 1;
}
