/* lresumption.c: akushu.Resumption: what is kept of a session so as to resume it. */
#include "binding/binding.h"

#include "binding/lx509.h"

#define CLASS "akushu.Resumption"

static ak_resumption *check(lua_State *L, int arg) {
    ak_resumption **r = ak_lua_check(L, arg, CLASS);
    luaL_argcheck(L, *r != NULL, arg, "a resumption that was closed");
    return *r;
}

ak_resumption **ak_lua_new_resumption(lua_State *L) { return ak_lua_new(L, CLASS, sizeof(ak_resumption *), 0); }

ak_resumption *ak_lua_to_resumption(lua_State *L, int arg) {
    ak_resumption **r = ak_lua_test(L, arg, CLASS);
    return r != NULL ? *r : NULL;
}

/* resumption(bytes): restores what :serialize() gave. */
static int l_restore(lua_State *L) {
    ak_failure f = {0};
    ak_view bytes = ak_lua_bytes(L, 1);
    ak_resumption **to = ak_lua_new_resumption(L);
    return ak_resumption_read(bytes, to, &f) == AK_OK ? 1 : ak_lua_fail(L, &f);
}

static int l_serialize(lua_State *L) {
    ak_buf *b = ak_lua_push_box(L);
    return ak_resumption_write(check(L, 1), b) ? ak_lua_push_boxed(L, b) : luaL_error(L, "akushu: out of memory");
}

static int l_close(lua_State *L) {
    ak_resumption **r = ak_lua_check(L, 1, CLASS);
    if (ak_lua_held(L, l_close)) return 0;
    ak_resumption_free(*r);
    *r = NULL;
    return 0;
}

static int l_tostring(lua_State *L) {
    ak_resumption **r = ak_lua_check(L, 1, CLASS);
    if (*r == NULL) lua_pushliteral(L, CLASS " (closed)");
    else {
        if ((*r)->server_name.n != 0) ak_lua_push_view(L, ak_buf_view(&(*r)->server_name));
        else lua_pushliteral(L, "no name");
        lua_pushfstring(L, CLASS " (%s, %s)", lua_tostring(L, -1), ak_suite_find((*r)->suite)->name);
    }
    return 1;
}

static const ak_resumption *of(void *object) { return *(ak_resumption **)object; }

static void p_version(lua_State *L, void *o) { ak_lua_push_version(L, of(o)->version); }
static void p_suite(lua_State *L, void *o) { lua_pushstring(L, ak_suite_find(of(o)->suite)->name); }
static void p_server_name(lua_State *L, void *o) { ak_lua_push_view(L, ak_buf_view(&of(o)->server_name)); }
static void p_expires(lua_State *L, void *o) { lua_pushinteger(L, (lua_Integer)of(o)->expires); }
static void p_created(lua_State *L, void *o) { lua_pushinteger(L, (lua_Integer)of(o)->created); }
static void p_ems(lua_State *L, void *o) { lua_pushboolean(L, of(o)->ems); }
static void p_max_early_data(lua_State *L, void *o) { lua_pushinteger(L, (lua_Integer)of(o)->max_early_data); }
static void p_kind(lua_State *L, void *o) { lua_pushstring(L, of(o)->version >= AK_TLS13 ? "psk" : of(o)->ticket.n != 0 ? "ticket" : "session_id"); }
static void p_session_id(lua_State *L, void *o) { lua_pushlstring(L, (const char *)of(o)->session_id, of(o)->session_id_n); }

void ak_open_resumption(lua_State *L) {
    static const luaL_Reg methods[] = {{"serialize", l_serialize}, {"close", l_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_close}, {"__close", l_close}, {"__tostring", l_tostring}, {NULL, NULL}};
    static const ak_lua_property properties[] = {{"version", p_version}, {"suite", p_suite}, {"server_name", p_server_name}, {"expires", p_expires},
                                                 {"created", p_created}, {"extended_master_secret", p_ems}, {"max_early_data", p_max_early_data},
                                                 {"kind", p_kind}, {"session_id", p_session_id}, {NULL, NULL}};
    ak_lua_class(L, CLASS, methods, properties, meta);
    lua_pushcfunction(L, l_restore);
    lua_setfield(L, -2, "resumption");
}
