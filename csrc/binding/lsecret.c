/* lsecret.c: akushu.Secret: bytes that do not become a Lua string unless somebody says reveal. */
#include "binding/binding.h"

#include "base/ct.h"

#define CLASS "akushu.Secret"

static ak_buf *check(lua_State *L, int arg) { return ak_lua_check(L, arg, CLASS); }

void ak_lua_push_secret(lua_State *L, ak_view bytes) {
    ak_buf *b = ak_lua_new(L, CLASS, sizeof *b, 0);
    ak_buf_init_secret(b, AK_BUF_NO_LIMIT);
    if (!ak_buf_put_view(b, bytes)) luaL_error(L, "akushu: out of memory");
}

ak_view ak_lua_secret_bytes(lua_State *L, int arg) {
    const ak_buf *b = ak_lua_test(L, arg, CLASS);
    return b != NULL ? ak_buf_view(b) : ak_lua_bytes(L, arg);
}

/* secret(bytes): bytes that a script has (a PSK, a key) as a Secret. */
static int l_new(lua_State *L) {
    ak_lua_push_secret(L, ak_lua_bytes(L, 1));
    return 1;
}

static int l_reveal(lua_State *L) {
    ak_lua_push_view(L, ak_buf_view(check(L, 1)));
    return 1;
}

static int l_close(lua_State *L) {
    ak_buf_free(check(L, 1));
    return 0;
}

static int l_len(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)check(L, 1)->n);
    return 1;
}

static int l_eq(lua_State *L) {
    ak_buf *a = ak_lua_test(L, 1, CLASS), *b = ak_lua_test(L, 2, CLASS);
    lua_pushboolean(L, a != NULL && b != NULL && a->n == b->n && (a->n == 0 || ak_ct_eq(a->p, b->p, a->n)));
    return 1;
}

static int l_tostring(lua_State *L) {
    lua_pushfstring(L, CLASS " (%d bytes)", (int)check(L, 1)->n);
    return 1;
}

void ak_open_secret(lua_State *L) {
    static const luaL_Reg methods[] = {{"reveal", l_reveal}, {"close", l_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_close}, {"__close", l_close}, {"__len", l_len}, {"__eq", l_eq}, {"__tostring", l_tostring}, {NULL, NULL}};
    ak_lua_class(L, CLASS, methods, NULL, meta);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "secret");
}
