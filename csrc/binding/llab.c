/* llab.c: akushu.LabProvider: libcrypto with a lab's randomness. Contexts made with it repeat byte for byte; no ordinary context can come by it. */
#include "binding/binding.h"

#include "crypto/journal.h"
#include "crypto/source.h"

#define CLASS "akushu.LabProvider"

typedef struct llab {
    ak_provider *p;
    ak_lab_source *source; /* owned by the provider */
} llab;

ak_provider *ak_lua_check_lab(lua_State *L, int arg) {
    llab *u = ak_lua_check(L, arg, CLASS);
    luaL_argcheck(L, u->p != NULL, arg, "a lab that was closed");
    return u->p;
}

static ak_purpose check_purpose(lua_State *L, int arg) {
    ak_purpose p = ak_purpose_find(luaL_checkstring(L, arg));
    if (p == AK_PURPOSE_count) luaL_argerror(L, arg, "no purpose of this name");
    return p;
}

/* lab_provider(seed): seed "" or nil: only what is given is handed out. */
static int l_new(lua_State *L) {
    size_t n = 0;
    const char *seed = luaL_optlstring(L, 1, "", &n);
    ak_failure f = {0};
    llab *u = ak_lua_new(L, CLASS, sizeof *u, 0);
    u->source = ak_lab_source_new(ak_view_of(seed, n));
    if (u->source == NULL) return luaL_error(L, "akushu: out of memory");
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
    llab *u = ak_lua_check(L, 1, CLASS);
    ak_lua_check_lab(L, 1);
    ak_purpose p = check_purpose(L, 2);
    if (!ak_lab_source_give(u->source, p, ak_lua_bytes(L, 3))) return luaL_error(L, "akushu: out of memory");
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
    ak_provider *p = ak_lua_check_lab(L, 1);
    ak_purpose purpose = check_purpose(L, 2);
    lua_Integer n = luaL_checkinteger(L, 3);
    luaL_argcheck(L, n >= 0 && n <= 1 << 20, 3, "0 to 1048576 bytes");
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, (size_t)n + 1);
    ak_failure f = {0};
    if (!ak_random(p, purpose, (uint8_t *)out, (size_t)n)) {
        ak_fail(&f, AK_ERR_randomness, "%s", ak_purpose_name(purpose));
        return ak_lua_fail(L, &f);
    }
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
}

/* lab:generate(spec): a private key of this lab's randomness, as DER. */
static int l_generate(lua_State *L) {
    ak_provider *p = ak_lua_check_lab(L, 1);
    ak_failure f = {0};
    ak_buf der;
    ak_key *k = ak_key_generate(p, luaL_checkstring(L, 2), &f);
    if (k == NULL) return ak_lua_fail(L, &f);
    ak_buf_init_secret(&der, AK_BUF_NO_LIMIT);
    bool ok = ak_key_export(k, false, &der);
    ak_key_free(k);
    if (ok) ak_lua_push_view(L, ak_buf_view(&der));
    ak_buf_free(&der);
    return ok ? 1 : luaL_error(L, "akushu: this key cannot be written out");
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
    return 1;
}

static int l_gc(lua_State *L) {
    llab *u = ak_lua_check(L, 1, CLASS);
    if (u->p != NULL) ak_provider_free(u->p);
    u->p = NULL;
    u->source = NULL;
    return 0;
}

void ak_open_lab(lua_State *L) {
    static const luaL_Reg methods[] = {{"give", l_give}, {"left", l_left}, {"random", l_random}, {"generate", l_generate}, {"journal", l_journal}, {"notes", l_notes}, {"close", l_gc}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_gc}, {"__close", l_gc}, {NULL, NULL}};
    ak_lua_class(L, CLASS, methods, NULL, meta);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "lab_provider");
}
