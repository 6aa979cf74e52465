/* llab.c: akushu.LabProvider: libcrypto with a lab's randomness. Contexts made with it repeat byte for byte; no ordinary context can come by it. */
#include "binding/binding.h"

#include "crypto/journal.h"
#include "crypto/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS "akushu.LabProvider"

typedef struct llab {
    ak_provider *p;
    ak_lab_source *source; /* owned by the provider */
} llab;

ak_provider *ak_lua_check_lab(lua_State *L, int arg) {
    llab *u = ak_lua_check(L, arg, CLASS);
    luaL_argcheck(L, u->p != NULL, arg, "a lab that was closed");
    ak_lua_not_asking(L, u->p);
    return u->p;
}

static ak_purpose check_purpose(lua_State *L, int arg) {
    ak_purpose p = ak_purpose_find(ak_lua_check_string(L, arg));
    if (p == AK_PURPOSE_count) luaL_argerror(L, arg, "no purpose of this name");
    return p;
}

/* ---- a function for randomness ---------------------------------------------------------------------------------------------- */

/* Asking happens in the middle of an operation of libcrypto's, with frames of the engine below. So the function runs protected on a stack of its own, cannot
 * yield, and everything that belongs to the lab refuses to work meanwhile (ak_lua_not_asking). */
typedef struct asking {
    lua_State *L; /* a thread that the registry holds; the function is at the bottom of its stack */
    int ref;
    ak_lua_scratch *scratch; /* a session may be in the middle of using it */
    const char *purpose;
    uint8_t *out;
    size_t n;
    ak_asked got;
} asking;

static int protected_ask(lua_State *L) {
    asking *a = lua_touserdata(L, 1);
    size_t n;
    lua_settop(L, 0);
    luaL_checkstack(L, 8, "a lab's random function");
    lua_rawgetp(L, LUA_REGISTRYINDEX, a);
    lua_pushstring(L, a->purpose);
    lua_pushinteger(L, (lua_Integer)a->n);
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1)) return 0;
    if (lua_type(L, -1) != LUA_TSTRING)
        return luaL_error(L, "the function 'random' must return a string of %d bytes or nil for %s; it returned a %s", (int)a->n, a->purpose, luaL_typename(L, -1));
    const char *bytes = lua_tolstring(L, -1, &n);
    if (n != a->n) return luaL_error(L, "the function 'random' must return %d bytes for %s; it returned %d", (int)a->n, a->purpose, (int)n);
    memcpy(a->out, bytes, n);
    a->got = AK_ASK_filled;
    return 0;
}

static ak_asked ask(void *user, const char *purpose, uint8_t *out, size_t out_n, char *why, size_t n) {
    asking *a = user;
    a->purpose = purpose;
    a->out = out;
    a->n = out_n;
    a->got = AK_ASK_nothing;
    bool lent = a->scratch->lent;
    a->scratch->lent = true;
    lua_pushcfunction(a->L, protected_ask);
    lua_pushlightuserdata(a->L, a);
    if (lua_pcall(a->L, 1, 0, 0) != LUA_OK) {
        snprintf(why, n, "%s", lua_type(a->L, -1) == LUA_TSTRING ? lua_tostring(a->L, -1) : "the function 'random' has raised an error that is no string");
        a->got = AK_ASK_failed;
    }
    lua_settop(a->L, 0);
    a->scratch->lent = lent;
    return a->got;
}

static void release(void *user) {
    asking *a = user;
    lua_pushnil(a->L);
    lua_rawsetp(a->L, LUA_REGISTRYINDEX, a);
    luaL_unref(a->L, LUA_REGISTRYINDEX, a->ref);
    free(a);
}

/* ask_function: the function at `arg` is asked for what is not given. */
static void ask_function(lua_State *L, int arg, ak_lab_source *source) {
    luaL_checktype(L, arg, LUA_TFUNCTION);
    ak_lua_scratch *scratch = ak_lua_get_scratch(L);
    lua_State *thread = lua_newthread(L);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    asking *a = calloc(1, sizeof *a);
    if (a == NULL) {
        luaL_error(L, "akushu: out of memory");
        return;
    }
    a->L = thread;
    a->ref = ref;
    a->scratch = scratch;
    ak_lab_source_ask(source, ask, release, a); /* from here on it is the source's */
    lua_pushvalue(L, arg);
    lua_rawsetp(L, LUA_REGISTRYINDEX, a);
}

void ak_lua_not_asking(lua_State *L, const ak_provider *p) {
    if (ak_provider_asking(p)) luaL_error(L, "a lab's objects cannot be used while its function 'random' is asked");
}

/* lab_provider(seed [, random]): seed "" or nil: only what is given is handed out, or what the function random(purpose, n) returns. */
static int l_new(lua_State *L) {
    size_t n = 0;
    lua_settop(L, 2);
    const char *seed = luaL_optlstring(L, 1, "", &n);
    ak_failure f = {0};
    llab *u = ak_lua_new(L, CLASS, sizeof *u, 0);
    u->source = ak_lab_source_new(ak_view_of(seed, n));
    if (u->source == NULL) return luaL_error(L, "akushu: out of memory");
    if (!lua_isnoneornil(L, 2)) ask_function(L, 2, u->source);
    ak_source source = ak_lab_source_of(u->source);
    u->p = ak_provider_new(&source, &f);
    if (u->p == NULL) {
        ak_lab_source_free(u->source);
        u->source = NULL;
        return ak_lua_fail(L, &f);
    }
    return 1;
}

/* lab:give(purpose, bytes): handed out before the seed's own. */
static int l_give(lua_State *L) {
    const llab *u = ak_lua_check(L, 1, CLASS);
    ak_lua_check_lab(L, 1);
    ak_purpose p = check_purpose(L, 2);
    ak_view bytes = ak_lua_bytes(L, 3);
    ak_lua_check_lab(L, 1);
    if (!ak_lab_source_give(u->source, p, bytes)) return luaL_error(L, "akushu: out of memory");
    lua_settop(L, 1);
    return 1;
}

/* lab:left(purpose): given bytes that nobody has asked for yet. */
static int l_left(lua_State *L) {
    llab *u = ak_lua_check(L, 1, CLASS);
    ak_lua_check_lab(L, 1);
    lua_pushinteger(L, (lua_Integer)ak_lab_source_left(u->source, check_purpose(L, 2)));
    return 1;
}

/* lab:random(purpose, n): what a context of this lab would get. */
static int l_random(lua_State *L) {
    ak_lua_check_lab(L, 1);
    ak_purpose purpose = check_purpose(L, 2);
    lua_Integer n = luaL_checkinteger(L, 3);
    luaL_argcheck(L, n >= 0 && n <= 1 << 20, 3, "0 to 1048576 bytes");
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, (size_t)n + 1);
    ak_provider *p = ak_lua_check_lab(L, 1);
    ak_failure f = {0};
    if (!ak_random(p, purpose, (uint8_t *)out, (size_t)n)) {
        ak_random_fail(p, &f, ak_purpose_name(purpose));
        return ak_lua_fail(L, &f);
    }
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
}

/* lab:generate(spec): a private key of this lab's randomness, as DER. */
static int l_generate(lua_State *L) {
    ak_lua_check_lab(L, 1);
    const char *spec = ak_lua_check_string(L, 2);
    ak_buf *der = ak_lua_push_box(L);
    ak_failure f = {0};
    ak_key *k = ak_key_generate(ak_lua_check_lab(L, 1), spec, &f);
    if (k == NULL) return ak_lua_fail(L, &f);
    bool ok = ak_key_export(k, false, der);
    ak_key_free(k);
    return ok ? ak_lua_push_boxed(L, der) : luaL_error(L, "akushu: this key cannot be written out");
}

/* lab:journal(on): whether operations are written down from now on. */
static int l_journal(lua_State *L) {
    ak_provider *p = ak_lua_check_lab(L, 1);
    if (lua_toboolean(L, 2)) {
        if (!ak_journal_keep(p)) return luaL_error(L, "akushu: out of memory");
    } else {
        ak_journal_stop(p);
    }
    lua_settop(L, 1);
    return 1;
}

static void set_some(lua_State *L, const char *name, ak_view v) {
    if (v.n == 0) return;
    ak_lua_push_view(L, v);
    lua_setfield(L, -2, name);
}

/* lab:notes(): what was done since the last time: { op =, what =, secret =, context =, context_b =, out =, bytes =, ns = }. */
static int l_notes(lua_State *L) {
    ak_provider *p = ak_lua_check_lab(L, 1);
    ak_note n;
    size_t at = 0;
    lua_Integer i = 0;
    ak_lua_hold(L);
    lua_newtable(L);
    while (ak_journal_read(p, &at, &n)) {
        lua_createtable(L, 0, 8);
        lua_pushstring(L, n.op);
        lua_setfield(L, -2, "op");
        lua_pushstring(L, n.what);
        lua_setfield(L, -2, "what");
        set_some(L, "secret", n.secret);
        set_some(L, "context", n.context);
        set_some(L, "context_b", n.context_b);
        set_some(L, "out", n.out);
        lua_pushinteger(L, (lua_Integer)n.bytes);
        lua_setfield(L, -2, "bytes");
        lua_pushinteger(L, (lua_Integer)n.ns);
        lua_setfield(L, -2, "ns");
        lua_rawseti(L, -2, ++i);
    }
    ak_journal_taken(p);
    ak_lua_let_go(L);
    return 1;
}

static int l_gc(lua_State *L) {
    llab *u = ak_lua_check(L, 1, CLASS);
    if (u->p != NULL) ak_provider_free(u->p);
    else if (u->source != NULL) ak_lab_source_free(u->source); /* it never got its provider */
    u->p = NULL;
    u->source = NULL;
    return 0;
}

static int l_close(lua_State *L) {
    const llab *u = ak_lua_check(L, 1, CLASS);
    if (u->p != NULL) ak_lua_not_asking(L, u->p);
    return ak_lua_held(L, l_gc) ? 0 : l_gc(L);
}

void ak_open_lab(lua_State *L) {
    static const luaL_Reg methods[] = {{"give", l_give}, {"left", l_left}, {"random", l_random}, {"generate", l_generate}, {"journal", l_journal}, {"notes", l_notes},
                                       {"close", l_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_gc}, {"__close", l_close}, {NULL, NULL}};
    ak_lua_class(L, CLASS, methods, NULL, meta);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "lab_provider");
}
