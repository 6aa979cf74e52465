/* lcrypto_key.c: keys and signatures as Lua objects (lcrypto.c has the list). */
#include "binding/lcrypto.h"
#include "binding/lx509.h"
#include "crypto/groups.h"
#include "crypto/key.h"

#define KEY "akushu.crypto.key"

static ak_key **push_key(lua_State *L) { return ak_lua_new(L, KEY, sizeof(ak_key *), 0); }

static ak_key *check_key(lua_State *L, int arg) {
    ak_key **k = ak_lua_check(L, arg, KEY);
    luaL_argcheck(L, *k != NULL, arg, "this key is closed");
    return *k;
}

static int l_key(lua_State *L) {
    ak_failure f = {0};
    ak_view bytes = ak_lua_bytes(L, 1);
    const char *password = lua_isnoneornil(L, 2) ? NULL : ak_lua_check_text(L, 2);
    ak_key **k = push_key(L);
    *k = ak_key_private(ak_lua_provider(L), bytes, password, &f);
    return *k != NULL ? 1 : ak_lua_crypto_fail(L, &f, "key");
}

static int l_generate(lua_State *L) {
    ak_failure f = {0};
    const char *spec = ak_lua_check_kind_of_key(L, 1);
    ak_key **k = push_key(L);
    *k = ak_key_generate(ak_lua_provider(L), spec, &f);
    return *k != NULL ? 1 : ak_lua_crypto_fail(L, &f, "generate");
}

static int l_public_key(lua_State *L) {
    ak_failure f = {0};
    ak_view spki = ak_lua_bytes(L, 1);
    ak_key **k = push_key(L);
    *k = ak_key_from_spki(ak_lua_provider(L), spki, &f);
    return *k != NULL ? 1 : ak_lua_crypto_fail(L, &f, "public_key");
}

static const ak_scheme *check_scheme(lua_State *L, int arg) {
    const char *name = ak_lua_check_string(L, arg);
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
    check_key(L, 1);
    const ak_scheme *s = check_scheme(L, 2);
    ak_view data = ak_lua_bytes(L, 3);
    ak_buf *out = ak_lua_push_box(L);
    ak_error e = ak_sign(ak_lua_provider(L), check_key(L, 1), s, data, out, &f);
    return e == AK_OK ? ak_lua_push_boxed(L, out) : ak_lua_crypto_fail(L, &f, "sign");
}

static int l_key_verify(lua_State *L) {
    ak_failure f = {0};
    check_key(L, 1);
    const ak_scheme *s = check_scheme(L, 2);
    ak_view data = ak_lua_bytes(L, 3), signature = ak_lua_bytes(L, 4);
    ak_error e = ak_verify_signature(ak_lua_provider(L), check_key(L, 1), s, data, signature, &f);
    if (e != AK_OK) return ak_lua_crypto_fail(L, &f, "verify");
    lua_pushboolean(L, 1);
    return 1;
}

static int l_key_fits(lua_State *L) {
    lua_pushboolean(L, ak_scheme_fits(check_scheme(L, 2), check_key(L, 1), check_version(L, 3, AK_TLS13)));
    return 1;
}

static int l_key_encrypt(lua_State *L) {
    ak_failure f = {0};
    check_key(L, 1);
    ak_view plain = ak_lua_bytes(L, 2);
    static const char *const forms[] = {"pkcs1", "block", NULL};
    bool block = luaL_checkoption(L, 3, "pkcs1", forms) == 1;
    ak_buf *out = ak_lua_push_box(L);
    ak_error e = block ? ak_rsa_encrypt_block(check_key(L, 1), plain, out, &f) : ak_rsa_encrypt(ak_lua_provider(L), check_key(L, 1), plain, out, &f);
    return e == AK_OK ? ak_lua_push_boxed(L, out) : ak_lua_crypto_fail(L, &f, "encrypt");
}

static int l_key_premaster(lua_State *L) {
    ak_failure f = {0};
    ak_secret out;
    check_key(L, 1);
    ak_view ciphertext = ak_lua_bytes(L, 2);
    uint16_t version = check_version(L, 3, AK_TLS12);
    ak_error e = ak_rsa_premaster(ak_lua_provider(L), check_key(L, 1), ciphertext, version, &out, &f);
    return e == AK_OK ? ak_lua_push_revealed(L, &out) : ak_lua_crypto_fail(L, &f, "premaster");
}

static int l_key_spki(lua_State *L) {
    check_key(L, 1);
    ak_buf *out = ak_lua_push_box(L);
    return ak_key_spki(check_key(L, 1), out) ? ak_lua_push_boxed(L, out) : ak_lua_crypto_refused(L, "spki");
}

static int l_key_export(lua_State *L) {
    static const char *const formats[] = {"pem", "der", NULL};
    check_key(L, 1);
    bool pem = ak_lua_check_choice(L, 2, "pem", formats) == 0;
    ak_buf *out = ak_lua_push_box(L);
    return ak_key_export(check_key(L, 1), pem, out) ? ak_lua_push_boxed(L, out) : ak_lua_crypto_refused(L, "export");
}

static int l_key_same(lua_State *L) {
    lua_pushboolean(L, ak_key_same(check_key(L, 1), check_key(L, 2)));
    return 1;
}

static int l_key_info(lua_State *L) {
    static const char *const kinds[] = {"none", "rsa", "rsa_pss", "ec", "ed25519", "ed448", "other"};
    check_key(L, 1);
    lua_createtable(L, 0, 4);
    const ak_key *k = check_key(L, 1);
    const ak_group *g = ak_group_find(ak_key_group(k));
    ak_lua_set_integer(L, "bits", (lua_Integer)ak_key_bits(k));
    ak_lua_set_boolean(L, "private", ak_key_is_private(k));
    ak_lua_set_string(L, "kind", kinds[ak_key_type(k)]);
    if (g != NULL) ak_lua_set_string(L, "group", g->name);
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

void ak_open_crypto_keys(lua_State *L) {
    static const luaL_Reg functions[] = {{"key", l_key}, {"generate", l_generate}, {"public_key", l_public_key}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_key_close}, {"__close", l_key_close}, {"__tostring", l_key_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"sign", l_key_sign},       {"verify", l_key_verify}, {"fits", l_key_fits},     {"encrypt", l_key_encrypt},
        {"premaster", l_key_premaster}, {"spki", l_key_spki}, {"export", l_key_export}, {"same", l_key_same},
        {"info", l_key_info},       {"close", l_key_close},   {NULL, NULL},
    };
    ak_lua_class(L, KEY, methods, NULL, meta);
    luaL_setfuncs(L, functions, 0);
}
