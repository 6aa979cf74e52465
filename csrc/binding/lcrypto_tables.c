/* lcrypto_tables.c: what there is, as Lua tables: suites, groups, schemes, hashes, profiles. */
#include "binding/lcrypto.h"
#include "crypto/groups.h"
#include "crypto/key.h"
#include "crypto/suites.h"

static const char *const kx_names[] = {"tls13", "rsa", "dhe", "ecdhe", "psk", "dhe_psk", "ecdhe_psk", "rsa_psk"};
static const char *const auth_names[] = {"tls13", "rsa", "ecdsa", "psk", "anon"};

static int l_suites(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    lua_createtable(L, (int)ak_suites_count, 0);
    for (size_t i = 0; i < ak_suites_count; i++) {
        const ak_suite *s = &ak_suites[i];
        const ak_cipher_info *c = ak_cipher(s->cipher);
        lua_createtable(L, 0, 13);
        ak_lua_set_integer(L, "id", s->id);
        ak_lua_set_string(L, "name", s->name);
        ak_lua_set_string(L, "kx", kx_names[s->kx]);
        ak_lua_set_string(L, "auth", auth_names[s->auth]);
        ak_lua_set_string(L, "cipher", c->fetch_name != NULL ? c->fetch_name : "NULL");
        ak_lua_set_string(L, "kind", c->kind == AK_KIND_aead ? "aead" : c->kind == AK_KIND_cbc ? "cbc" : "null");
        ak_lua_set_integer(L, "key_bytes", c->key);
        ak_lua_set_integer(L, "tag_bytes", c->tag);
        ak_lua_set_string(L, "mac", ak_lua_hash_names[s->mac]);
        ak_lua_set_string(L, "prf", ak_lua_hash_names[s->prf]);
        ak_lua_set_integer(L, "min_version", s->min_version);
        ak_lua_set_integer(L, "max_version", s->max_version);
        ak_lua_set_boolean(L, "usable", ak_suite_usable(p, s));
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
        ak_lua_set_integer(L, "id", g->id);
        ak_lua_set_string(L, "name", g->name);
        ak_lua_set_string(L, "kind", kinds[g->kind]);
        ak_lua_set_integer(L, "client_share", g->client_share);
        ak_lua_set_integer(L, "server_share", g->server_share);
        ak_lua_set_integer(L, "secret", g->secret);
        ak_lua_set_integer(L, "security_bits", g->security_bits);
        ak_lua_set_integer(L, "min_version", g->min_version);
        ak_lua_set_integer(L, "max_version", g->max_version);
        ak_lua_set_boolean(L, "usable", ak_group_usable(p, g));
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
        ak_lua_set_integer(L, "id", s->id);
        ak_lua_set_string(L, "name", s->name);
        ak_lua_set_string(L, "hash", ak_lua_hash_names[s->hash]);
        ak_lua_set_boolean(L, "pss", s->pss);
        ak_lua_set_boolean(L, "tls13", s->tls13);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static int l_hashes(lua_State *L) {
    ak_provider *p = ak_lua_provider(L);
    lua_createtable(L, 0, AK_HASH_count);
    for (int h = AK_HASH_none + 1; h < AK_HASH_count; h++)
        if (ak_provider_has_hash(p, (ak_hash)h)) ak_lua_set_integer(L, ak_lua_hash_names[h], (lua_Integer)ak_hash_size((ak_hash)h));
    return 1;
}

static int l_profile(lua_State *L) {
    uint16_t ids[512];
    const char *name = ak_lua_check_string(L, 1);
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

void ak_open_crypto_tables(lua_State *L) {
    static const luaL_Reg functions[] = {{"hashes", l_hashes}, {"suites", l_suites}, {"groups", l_groups}, 
                                         {"group_names", l_group_names}, {"schemes", l_schemes}, {"profile", l_profile}, {"version", l_version}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
