/* lsecret.c: akushu.Secret: bytes that do not become a Lua string unless somebody says reveal. */
#include "binding/binding.h"

#include "base/ct.h"

#define CLASS "akushu.Secret"

/* closed: an empty secret and one whose bytes were wiped are two things; nobody should get a key of no bytes by mistake. */
typedef struct secret {
    ak_buf bytes;
    bool closed;
} secret;

static ak_buf *check(lua_State *L, int arg) {
    secret *s = ak_lua_check(L, arg, CLASS);
    luaL_argcheck(L, !s->closed, arg, "a secret that was closed");
    return &s->bytes;
}

void ak_lua_push_secret(lua_State *L, ak_view bytes) {
    secret *s = ak_lua_new(L, CLASS, sizeof *s, 0);
    ak_buf_init_secret(&s->bytes, AK_BUF_NO_LIMIT);
    s->closed = false;
    if (!ak_buf_put_view(&s->bytes, bytes)) luaL_error(L, "akushu: out of memory");
}

ak_view ak_lua_secret_bytes(lua_State *L, int arg) {
    return ak_lua_test(L, arg, CLASS) != NULL ? ak_buf_view(check(L, arg)) : ak_lua_bytes(L, arg);
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
    secret *s = ak_lua_check(L, 1, CLASS);
    s->closed = true;
    ak_buf_free(&s->bytes);
    return 0;
}

static int l_len(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)check(L, 1)->n);
    return 1;
}

static int l_eq(lua_State *L) {
    const secret *x = ak_lua_test(L, 1, CLASS), *y = ak_lua_test(L, 2, CLASS);
    const bool both = x != NULL && y != NULL && !x->closed && !y->closed;
    lua_pushboolean(L, both && x->bytes.n == y->bytes.n && (x->bytes.n == 0 || ak_ct_eq(x->bytes.p, y->bytes.p, x->bytes.n)));
    return 1;
}

static int l_tostring(lua_State *L) {
    const secret *s = ak_lua_check(L, 1, CLASS);
    if (s->closed) lua_pushliteral(L, CLASS " (closed)");
    else lua_pushfstring(L, CLASS " (%d bytes)", (int)s->bytes.n);
    return 1;
}

void ak_open_secret(lua_State *L) {
    static const luaL_Reg methods[] = {{"reveal", l_reveal}, {"close", l_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_close}, {"__close", l_close}, {"__len", l_len}, {"__eq", l_eq}, {"__tostring", l_tostring}, {NULL, NULL}};
    ak_lua_class(L, CLASS, methods, NULL, meta);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "secret");
}
