/* akushu.core.record: the record layer by itself, for specs, labs and for reading captures.
 *
 *   record.types                                   content types by name
 *   record.deframer{version=, max_fragment=}       a stream of bytes → records
 *       :feed(bytes) :next() :keep() :empty() :rest()
 *   record.protect([suite, version, keys])         the protection of one direction; without arguments the null one. version: 0x0303 or "1.2"
 *       keys: { secret= } (1.3) or { key=, iv=, mac_key= } (1.2 and below), and open=true: for opening (else for sealing), etm=true, seq=,
 *             random=: what the CBC IVs are made of, in a lab
 *       :seal(type, plain[, pad[, record_version]]) :seal_many(type, plain[, max[, split]]) :open(record[, limit])
 *       :seq([n]) :limit() :size(n[, pad]) :clone() :close()
 *
 * Failures at run time are nil, message, failure; misuse raises. */
#include "binding/binding.h"
#include "record/record.h"

#include <stdlib.h>
#include <string.h>

#define DEFRAMER "akushu.record.deframer"
#define PROTECT "akushu.record.protect"

static int fail(lua_State *L, ak_failure *f, const char *state) {
    f->state = state;
    return ak_lua_fail(L, f);
}

static int no_memory(lua_State *L, const char *state) {
    ak_failure f = {0};
    ak_fail(&f, AK_ERR_out_of_memory, NULL);
    return fail(L, &f, state);
}

static size_t check_size(lua_State *L, int arg, lua_Integer by_default, lua_Integer most) {
    lua_Integer n = luaL_optinteger(L, arg, by_default);
    if (n < 0 || n > most) luaL_argerror(L, arg, lua_pushfstring(L, "a number from 0 to %I expected, got %I", (LUAI_UACINT)most, (LUAI_UACINT)n));
    return (size_t)n;
}

/* Raises when the table at `index` has a key that is not in `known`. */
static void check_options(lua_State *L, int index, const char *const *known) {
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        bool ok = false;
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        for (size_t i = 0; name != NULL && known[i] != NULL; i++) ok = ok || strcmp(name, known[i]) == 0;
        if (!ok) luaL_error(L, "unknown option '%s'", luaL_tolstring(L, -1, NULL));
    }
}

/* ---- content types and versions ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint8_t type;
} types[] = {
    {"change_cipher_spec", AK_CT_change_cipher_spec},
    {"alert", AK_CT_alert},
    {"handshake", AK_CT_handshake},
    {"application_data", AK_CT_application_data},
    {"heartbeat", AK_CT_heartbeat},
};

static uint8_t check_type(lua_State *L, int arg) {
    if (lua_type(L, arg) == LUA_TNUMBER) return (uint8_t)check_size(L, arg, 0, 255);
    const char *name = ak_lua_check_string(L, arg);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0) return types[i].type;
    luaL_argerror(L, arg, "unknown content type");
    return 0;
}

static uint16_t check_version(lua_State *L, int arg) {
    if (lua_type(L, arg) == LUA_TSTRING) {
        static const char *const names[] = {"3.0", "1.0", "1.1", "1.2", "1.3", NULL};
        return (uint16_t)(AK_SSL30 + luaL_checkoption(L, arg, NULL, names));
    }
    lua_Integer v = luaL_checkinteger(L, arg);
    luaL_argcheck(L, v >= AK_SSL30 && v <= AK_TLS13, arg, "a version from 0x0300 to 0x0304 expected");
    return (uint16_t)v;
}

/* ---- deframer ------------------------------------------------------------------------------------------------------------------- */

static lua_Integer uint16_option(lua_State *L, const char *name, lua_Integer by_default) {
    if (lua_getfield(L, 1, name) != LUA_TNIL) {
        if (!lua_isinteger(L, -1)) luaL_error(L, "option '%s' must be an integer", name);
        by_default = lua_tointeger(L, -1);
        if (by_default < 0 || by_default > UINT16_MAX) luaL_error(L, "option '%s' is out of range", name);
    }
    lua_pop(L, 1);
    return by_default;
}

/* Its user value anchors the string that is lent to it. */
static void anchor(lua_State *L, int value) {
    lua_pushvalue(L, value);
    lua_setiuservalue(L, 1, 1);
}

static int l_deframer(lua_State *L) {
    static const char *const known[] = {"version", "max_fragment", NULL};
    lua_Integer version = 0, most = AK_CIPHERTEXT_MAX_12;
    if (!lua_isnoneornil(L, 1)) {
        luaL_checktype(L, 1, LUA_TTABLE);
        check_options(L, 1, known);
        version = uint16_option(L, "version", version);
        most = uint16_option(L, "max_fragment", most);
    }
    ak_deframer *d = ak_lua_new(L, DEFRAMER, sizeof *d, 1);
    ak_deframer_init(d);
    d->version = (uint16_t)version;
    d->max_fragment = (uint16_t)most;
    return 1;
}

static int l_deframer_feed(lua_State *L) {
    ak_deframer *d = ak_lua_check(L, 1, DEFRAMER);
    ak_deframer_feed(d, ak_lua_bytes(L, 2)); /* what was lent before is still anchored here */
    anchor(L, 2);
    lua_settop(L, 1);
    return 1;
}

static int l_deframer_next(lua_State *L) {
    ak_deframer *d = ak_lua_check(L, 1, DEFRAMER);
    ak_failure f = {0};
    ak_record rec;
    bool got;
    ak_error e = ak_deframer_next(d, &rec, &got, &f);
    if (e != AK_OK) return fail(L, &f, "deframing");
    if (!got) return 0;
    lua_settop(L, 1);
    lua_pushlstring(L, (const char *)rec.header.p, AK_RECORD_HEADER + rec.fragment.n); /* first, and the only one that looks at the deframer's bytes */
    const char *bytes = lua_tostring(L, 2);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, rec.type);
    lua_setfield(L, -2, "type");
    lua_pushinteger(L, rec.version);
    lua_setfield(L, -2, "version");
    lua_pushlstring(L, bytes + AK_RECORD_HEADER, rec.fragment.n);
    lua_setfield(L, -2, "fragment");
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "bytes");
    return 1;
}

static int l_deframer_keep(lua_State *L) {
    ak_deframer *d = ak_lua_check(L, 1, DEFRAMER);
    if (!ak_deframer_keep(d)) return no_memory(L, "deframing");
    lua_settop(L, 1);
    lua_pushnil(L);
    anchor(L, 2);
    lua_settop(L, 1);
    return 1;
}

static int l_deframer_empty(lua_State *L) {
    lua_pushboolean(L, ak_deframer_empty(ak_lua_check(L, 1, DEFRAMER)));
    return 1;
}

static size_t bytes_held(const ak_deframer *d) { return d->stash.n - d->stash_used + d->lent.n; }

static int l_deframer_rest(lua_State *L) {
    ak_deframer *d = ak_lua_check(L, 1, DEFRAMER);
    size_t held = bytes_held(d);
    luaL_Buffer b;
    char *p = luaL_buffinitsize(L, &b, held);
    ak_buf fixed; /* a writer on Lua's own memory: it never has to grow */
    ak_buf_init(&fixed, held);
    fixed.p = (uint8_t *)p;
    fixed.cap = held;
    ak_deframer_take(d, &fixed);
    luaL_pushresultsize(&b, fixed.n);
    return 1;
}

static int l_deframer_gc(lua_State *L) {
    ak_deframer_free(ak_lua_check(L, 1, DEFRAMER));
    return 0;
}

static int l_deframer_tostring(lua_State *L) {
    ak_deframer *d = ak_lua_check(L, 1, DEFRAMER);
    lua_pushfstring(L, "deframer (%I bytes held)", (lua_Integer)bytes_held(d));
    return 1;
}

/* ---- provider ------------------------------------------------------------------------------------------------------------------- */

typedef struct fixed_random {
    size_t n, used;
    uint8_t p[];
} fixed_random;

static bool fixed_fill(void *user, ak_purpose purpose, uint8_t *out, size_t n, char *why, size_t room) {
    (void)why;
    (void)room;
    fixed_random *r = user;
    if (purpose != AK_PURPOSE_cbc_iv || n > r->n - r->used) return false;
    memcpy(out, r->p + r->used, n);
    r->used += n;
    return true;
}

/* A provider of its own whose IVs are the given bytes, one after the other. */
static ak_provider *fixed_provider(lua_State *L, ak_view bytes) {
    fixed_random *r = malloc(sizeof *r + bytes.n);
    if (r == NULL) {
        luaL_error(L, "out of memory");
        return NULL;
    }
    r->n = bytes.n;
    r->used = 0;
    if (bytes.n != 0) memcpy(r->p, bytes.p, bytes.n);
    ak_source source = {fixed_fill, free, r};
    ak_failure f = {0};
    ak_provider *p = ak_provider_new(&source, &f);
    if (p == NULL) {
        free(r);
        luaL_error(L, "%s: %s", ak_error_text(f.error), f.detail);
    }
    return p;
}

/* ---- protect ------------------------------------------------------------------------------------------------------------------------ */

static ak_protect *check_protect(lua_State *L) {
    ak_protect **x = ak_lua_check(L, 1, PROTECT);
    if (*x == NULL) luaL_error(L, "this protection is closed");
    ak_lua_not_asking(L, ak_protect_provider(*x));
    return *x;
}

/* The option's string, left on the stack so that it lives as long as the call. */
static ak_view option(lua_State *L, const char *name, bool required) {
    size_t n = 0;
    const char *p = NULL;
    int type = lua_getfield(L, 3, name);
    if (type == LUA_TSTRING)
        p = lua_tolstring(L, -1, &n);
    else if (type != LUA_TNIL || required)
        luaL_error(L, "option '%s' must be a string", name);
    return ak_view_of(p, n);
}

static bool flag(lua_State *L, const char *name) {
    int type = lua_getfield(L, 3, name);
    bool on = lua_toboolean(L, -1);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN) luaL_error(L, "option '%s' must be true or false", name);
    lua_pop(L, 1);
    return on;
}

static ak_error set_keys(lua_State *L, ak_protect *x, const ak_suite *suite, uint16_t version, ak_failure *f) {
    bool seal = !flag(L, "open"), etm = flag(L, "etm");
    if (version == AK_TLS13) return ak_protect_set13(x, suite, seal, option(L, "secret", true), f);
    ak_view mac_key = option(L, "mac_key", false), key = option(L, "key", false), iv = option(L, "iv", false);
    return ak_protect_set12(x, suite, version, etm, seal, mac_key, key, iv, f);
}

ak_protect **ak_lua_new_protection(lua_State *L) { return ak_lua_new(L, PROTECT, sizeof(ak_protect *), 0); }

static int l_protect(lua_State *L) {
    static const char *const known[] = {"secret", "key", "iv", "mac_key", "open", "etm", "seq", "random", NULL};
    ak_failure f = {0};
    if (lua_isnone(L, 1)) {
        ak_protect **x = ak_lua_new_protection(L);
        *x = ak_protect_new(ak_lua_provider(L));
        return *x != NULL ? 1 : no_memory(L, "protecting");
    }
    const ak_suite *suite = ak_suite_by_name(ak_lua_check_string(L, 1));
    luaL_argcheck(L, suite != NULL, 1, "unknown cipher suite");
    uint16_t version = check_version(L, 2);
    luaL_argcheck(L, ak_suite_fits(suite, version), 2, "the cipher suite does not exist in this version");
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    check_options(L, 3, known);
    ak_protect **x = ak_lua_new_protection(L);
    if (lua_getfield(L, 3, "random") != LUA_TNIL) {
        ak_provider *own = fixed_provider(L, option(L, "random", true));
        *x = ak_protect_new(own);
        ak_provider_free(own); /* the protection has its own reference */
    } else {
        *x = ak_protect_new(ak_lua_provider(L));
    }
    if (*x == NULL) return no_memory(L, "protecting");
    ak_error e = set_keys(L, *x, suite, version, &f);
    if (e == AK_ERR_internal_error) return luaL_error(L, "%s", f.detail);
    if (e != AK_OK) return fail(L, &f, "protecting");
    if (lua_getfield(L, 3, "seq") != LUA_TNIL) {
        if (!lua_isinteger(L, -1)) return luaL_error(L, "option 'seq' must be an integer");
        ak_protect_set_seq(*x, (uint64_t)lua_tointeger(L, -1));
    }
    lua_settop(L, 4);
    return 1;
}

static int l_seal(lua_State *L) {
    check_protect(L);
    uint8_t type = check_type(L, 2);
    ak_view plain = ak_lua_bytes(L, 3);
    size_t pad = check_size(L, 4, 0, UINT16_MAX), version = check_size(L, 5, AK_TLS12, UINT16_MAX), n;
    ak_failure f = {0};
    luaL_argcheck(L, plain.n <= UINT16_MAX, 3, "too long for one record");
    luaL_Buffer b;
    uint8_t *out = (uint8_t *)luaL_buffinitsize(L, &b, ak_seal_size(check_protect(L), plain.n, pad));
    ak_error e = ak_seal(check_protect(L), type, (uint16_t)version, plain.p, plain.n, pad, out, &n, &f);
    if (e != AK_OK) return fail(L, &f, "sealing");
    luaL_pushresultsize(&b, n);
    return 1;
}

static int l_seal_many(lua_State *L) {
    check_protect(L);
    uint8_t type = check_type(L, 2);
    ak_view plain = ak_lua_bytes(L, 3);
    size_t most = check_size(L, 4, 0, AK_PLAINTEXT_MAX), version = check_size(L, 6, AK_TLS12, UINT16_MAX), n;
    bool split = lua_toboolean(L, 5);
    ak_failure f = {0};
    luaL_Buffer b;
    uint8_t *out = (uint8_t *)luaL_buffinitsize(L, &b, ak_seal_many_size(check_protect(L), plain.n, most, split));
    ak_error e = ak_seal_many(check_protect(L), type, (uint16_t)version, plain.p, plain.n, most, split, out, &n, &f);
    if (e != AK_OK) return fail(L, &f, "sealing");
    luaL_pushresultsize(&b, n);
    return 1;
}

static int l_open(lua_State *L) {
    check_protect(L);
    ak_view bytes = ak_lua_bytes(L, 2);
    size_t limit = check_size(L, 3, AK_PLAINTEXT_MAX, UINT16_MAX), n;
    uint8_t type;
    ak_failure f = {0};
    bool whole = bytes.n >= AK_RECORD_HEADER && (size_t)(bytes.p[3] << 8 | bytes.p[4]) == bytes.n - AK_RECORD_HEADER;
    luaL_argcheck(L, whole, 2, "one whole record expected");
    ak_record rec = {bytes.p[0], (uint16_t)(bytes.p[1] << 8 | bytes.p[2]), ak_view_of(bytes.p, AK_RECORD_HEADER),
                     ak_view_of(bytes.p + AK_RECORD_HEADER, bytes.n - AK_RECORD_HEADER)};
    luaL_Buffer b;
    uint8_t *out = (uint8_t *)luaL_buffinitsize(L, &b, rec.fragment.n);
    ak_error e = ak_open(check_protect(L), &rec, limit, out, &n, &type, &f);
    if (e != AK_OK) return fail(L, &f, "opening");
    luaL_pushresultsize(&b, n);
    lua_pushinteger(L, type);
    return 2;
}

static int l_seq(lua_State *L) {
    ak_protect *x = check_protect(L);
    if (!lua_isnoneornil(L, 2)) ak_protect_set_seq(x, (uint64_t)luaL_checkinteger(L, 2));
    lua_pushinteger(L, (lua_Integer)ak_protect_seq(x));
    return 1;
}

static int l_limit(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)ak_protect_limit(check_protect(L)));
    return 1;
}

static int l_size(lua_State *L) {
    ak_protect *x = check_protect(L);
    lua_pushinteger(L, (lua_Integer)ak_seal_size(x, check_size(L, 2, 0, UINT16_MAX), check_size(L, 3, 0, UINT16_MAX)));
    return 1;
}

static int l_clone(lua_State *L) {
    check_protect(L);
    ak_protect **c = ak_lua_new_protection(L);
    *c = ak_protect_clone(check_protect(L));
    return *c != NULL ? 1 : no_memory(L, "cloning");
}

static int l_protect_close(lua_State *L) {
    ak_protect **x = ak_lua_check(L, 1, PROTECT);
    ak_protect_free(*x);
    *x = NULL;
    return 0;
}

static int l_protect_leave(lua_State *L) {
    ak_protect **x = ak_lua_check(L, 1, PROTECT);
    if (*x != NULL) ak_lua_not_asking(L, ak_protect_provider(*x));
    return l_protect_close(L);
}

static int l_protect_tostring(lua_State *L) {
    ak_protect **x = ak_lua_check(L, 1, PROTECT);
    if (*x == NULL)
        lua_pushliteral(L, "protection (closed)");
    else
        lua_pushfstring(L, "protection (%s, record %I)", ak_protect_active(*x) ? "keyed" : "null", (lua_Integer)ak_protect_seq(*x));
    return 1;
}

/* ---- module --------------------------------------------------------------------------------------------------------------------------- */

int ak_open_record(lua_State *L) {
    static const luaL_Reg deframer_methods[] = {{"feed", l_deframer_feed},   {"next", l_deframer_next}, {"keep", l_deframer_keep},
                                                {"empty", l_deframer_empty}, {"rest", l_deframer_rest}, {NULL, NULL}};
    static const luaL_Reg deframer_meta[] = {{"__gc", l_deframer_gc}, {"__close", l_deframer_gc}, {"__tostring", l_deframer_tostring},
                                             {NULL, NULL}};
    static const luaL_Reg protect_methods[] = {{"seal", l_seal}, {"seal_many", l_seal_many}, {"open", l_open}, {"seq", l_seq},
                                               {"limit", l_limit}, {"size", l_size}, {"clone", l_clone}, {"close", l_protect_leave}, {NULL, NULL}};
    static const luaL_Reg protect_meta[] = {{"__gc", l_protect_close}, {"__close", l_protect_leave}, {"__tostring", l_protect_tostring},
                                            {NULL, NULL}};
    ak_lua_class(L, DEFRAMER, deframer_methods, NULL, deframer_meta);
    ak_lua_class(L, PROTECT, protect_methods, NULL, protect_meta);

    lua_createtable(L, 0, 3);
    lua_createtable(L, 0, 5);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        lua_pushinteger(L, types[i].type);
        lua_setfield(L, -2, types[i].name);
    }
    lua_setfield(L, -2, "types");
    lua_pushcfunction(L, l_deframer);
    lua_setfield(L, -2, "deframer");

    lua_pushcfunction(L, l_protect);
    lua_setfield(L, -2, "protect");
    return 1;
}
