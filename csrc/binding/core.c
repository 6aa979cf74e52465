/* core.c: luaopen_akushu_core: the module that lua/akushu/ builds on. */
#include "binding/binding.h"

#include "binding/lx509.h"

static int l_alert_name(lua_State *L) {
    const char *name = ak_alert_name((int)luaL_checkinteger(L, 1));
    if (name != NULL) lua_pushstring(L, name);
    else lua_pushnil(L);
    return 1;
}

static int l_alert_number(lua_State *L) {
    int n = ak_alert_by_name(ak_lua_check_string(L, 1));
    if (n >= 0) lua_pushinteger(L, n);
    else lua_pushnil(L);
    return 1;
}

/* errors(): every code with its alert and text. */
static int l_errors(lua_State *L) {
    lua_createtable(L, 0, AK_ERR_COUNT);
    for (int e = 1; e < AK_ERR_COUNT; e++) {
        const char *alert = ak_alert_name(ak_error_alert((ak_error)e));
        lua_createtable(L, 0, 2);
        lua_pushstring(L, ak_error_text((ak_error)e));
        lua_setfield(L, -2, "text");
        if (alert != NULL) {
            lua_pushstring(L, alert);
            lua_setfield(L, -2, "alert");
        }
        lua_setfield(L, -2, ak_error_code((ak_error)e));
    }
    return 1;
}

static void push_ids(lua_State *L, const uint16_t *ids, size_t n) {
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushinteger(L, ids[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* profile(name): the suites of a profile, by number, in order; nil for an unknown name. */
static int l_profile(lua_State *L) {
    uint16_t ids[AK_LIST_MAX];
    size_t n = ak_profile_suites(ak_lua_check_string(L, 1), ids, AK_LIST_MAX);
    if (n == 0) lua_pushnil(L);
    else push_ids(L, ids, n);
    return 1;
}

/* id_at: a code point; 0, which nothing has here, for a number that is none. */
static uint16_t id_at(lua_State *L, int arg) {
    lua_Integer n = lua_tointeger(L, arg);
    return n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

/* find_suite / find_group / find_scheme (name or number): the number, when akushu can do it; nil otherwise. */
static int l_find_suite(lua_State *L) {
    const ak_suite *s = lua_isinteger(L, 1) ? ak_suite_find(id_at(L, 1)) : ak_suite_by_name(ak_lua_check_string(L, 1));
    if (s != NULL) lua_pushinteger(L, s->id);
    else lua_pushnil(L);
    return 1;
}

static int l_find_group(lua_State *L) {
    const ak_group *g = lua_isinteger(L, 1) ? ak_group_find(id_at(L, 1)) : ak_group_by_name(ak_lua_check_string(L, 1));
    if (g != NULL && ak_group_usable(ak_lua_provider(L), g)) lua_pushinteger(L, g->id);
    else lua_pushnil(L);
    return 1;
}

static int l_find_scheme(lua_State *L) {
    const ak_scheme *s = lua_isinteger(L, 1) ? ak_scheme_find(id_at(L, 1)) : ak_scheme_by_name(ak_lua_check_string(L, 1));
    if (s != NULL && s->id != AK_SCHEME_rsa_pkcs1_md5_sha1) lua_pushinteger(L, s->id);
    else lua_pushnil(L);
    return 1;
}

static int l_suite_has_certificate(lua_State *L) {
    const ak_suite *s = ak_suite_find((uint16_t)luaL_checkinteger(L, 1));
    lua_pushboolean(L, s != NULL && ak_suite_has_certificate(s));
    return 1;
}

/* bytes(value): a string, or an array of strings as one; nil: neither. For what Lua files take where bytes go in. */
static int l_bytes(lua_State *L) {
    lua_settop(L, 1);
    if (!ak_lua_join(L, 1)) lua_pushnil(L);
    return 1;
}

/* host_name(name): whether a handshake could have it as its server_name. */
static int l_host_name(lua_State *L) {
    ak_view name = ak_lua_check_view(L, 1);
    lua_pushboolean(L, name.n <= AK_SERVER_NAME_MAX && memchr(name.p, 0, name.n) == NULL && ak_host_valid(name));
    return 1;
}

/* methods(class): the table of a class's methods, so that Lua files can add to it. */
static int l_methods(lua_State *L) {
    if (luaL_getmetatable(L, ak_lua_check_string(L, 1)) == LUA_TNIL) return 1;
    lua_getfield(L, -1, "methods");
    return 1;
}

static void open_part(lua_State *L, const char *name, lua_CFunction open) {
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
    lua_setfield(L, -2, name);
}

#if defined(__GNUC__) || defined(__clang__)
__attribute__((visibility("default")))
#endif
int luaopen_akushu_core(lua_State *L);

int luaopen_akushu_core(lua_State *L) {
    static const luaL_Reg functions[] = {{"alert_name", l_alert_name}, {"alert_number", l_alert_number}, {"errors", l_errors}, {"profile", l_profile},
                                         {"find_suite", l_find_suite}, {"find_group", l_find_group}, {"find_scheme", l_find_scheme},
                                         {"suite_has_certificate", l_suite_has_certificate}, {"methods", l_methods},
                                         {"distinguished_names", ak_lua_distinguished_names}, {"bytes", l_bytes}, {"host_name", l_host_name},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_pushliteral(L, AKUSHU_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, ak_libcrypto_version());
    lua_setfield(L, -2, "libcrypto");
    ak_open_box(L);
    open_part(L, "x509", ak_open_x509);
    open_part(L, "wire", ak_open_wire);
    open_part(L, "crypto", ak_open_crypto);
    open_part(L, "record", ak_open_record);
    ak_open_secret(L);
    ak_open_resumption(L);
    ak_open_session(L);
    ak_open_lab(L);
    ak_open_context(L);
    ak_open_handshake(L);
    return 1;
}
