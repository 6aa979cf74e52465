/* support.c: classes, failures, arguments. */
#include "binding/binding.h"

#include "binding/lx509.h"

#include <stdlib.h>
#include <string.h>

/* ---- the provider -------------------------------------------------------------------------------------------------------- */

static const char provider_key = 0;

static int provider_gc(lua_State *L) {
    ak_provider **p = lua_touserdata(L, 1);
    if (*p != NULL) ak_provider_free(*p);
    *p = NULL;
    return 0;
}

ak_provider *ak_lua_provider(lua_State *L) {
    ak_failure f = {0};
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &provider_key) == LUA_TUSERDATA) {
        ak_provider *p = *(ak_provider **)lua_touserdata(L, -1);
        lua_pop(L, 1);
        if (p == NULL) luaL_error(L, "akushu: this Lua state is being closed");
        return p;
    }
    lua_pop(L, 1);
    ak_provider **p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, provider_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    *p = ak_provider_new(NULL, &f);
    if (*p == NULL) luaL_error(L, "akushu: %s: %s", ak_error_text(f.error), f.detail);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &provider_key);
    return ak_lua_provider(L);
}

/* ---- scratch -------------------------------------------------------------------------------------------------------------- */

static const char scratch_key = 0;

static int scratch_gc(lua_State *L) {
    ak_lua_scratch *s = lua_touserdata(L, 1);
    ak_wipe(s->p, s->n);
    free(s->p);
    s->p = NULL;
    s->n = 0;
    return 0;
}

ak_lua_scratch *ak_lua_get_scratch(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key) == LUA_TNIL) {
        lua_pop(L, 1);
        ak_lua_scratch *s = lua_newuserdatauv(L, sizeof *s, 0);
        s->p = NULL;
        s->n = 0;
        s->lent = false;
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, scratch_gc);
        lua_setfield(L, -2, "__gc");
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
    }
    ak_lua_scratch *s = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return s;
}

uint8_t *ak_lua_scratch_room(ak_lua_scratch *s, size_t n) {
    if (s->lent) return NULL;
    if (n <= s->n) return s->p;
    if (n > AK_SCRATCH_MAX) return NULL;
    size_t room = s->n < 20000 ? 20000 : s->n;
    while (room < n) room *= 2;
    ak_wipe(s->p, s->n);
    free(s->p);
    s->p = malloc(room);
    s->n = s->p != NULL ? room : 0;
    return s->p;
}

/* ---- boxes ----------------------------------------------------------------------------------------------------------------- */

#define BOX "akushu.buffer"

ak_buf *ak_lua_push_box(lua_State *L) {
    ak_buf *b = ak_lua_new(L, BOX, sizeof *b, 0);
    ak_buf_init_secret(b, AK_BUF_NO_LIMIT);
    return b;
}

int ak_lua_push_boxed(lua_State *L, ak_buf *b) {
    ak_lua_push_view(L, ak_buf_view(b));
    ak_buf_free(b);
    return 1;
}

static int box_gc(lua_State *L) {
    ak_buf_free(ak_lua_check(L, 1, BOX));
    return 0;
}

void ak_open_box(lua_State *L) {
    static const luaL_Reg meta[] = {{"__gc", box_gc}, {NULL, NULL}};
    ak_lua_class(L, BOX, NULL, NULL, meta);
}

/* ---- classes ------------------------------------------------------------------------------------------------------------------ */

/* Before what a class puts into its userdata. */
typedef struct hold {
    const char *class;   /* the name's literal: nobody else's block has its address here */
    lua_CFunction close; /* it was asked for while somebody held the object */
    size_t users;
} hold;

static hold *hold_of(lua_State *L) { return lua_touserdata(L, 1); }

int ak_lua_closed_property(lua_State *L, const char *class) {
    return luaL_error(L, "property '%s' of an %s that was closed", lua_tostring(L, 2), class);
}

/* upvalues: methods, properties (name → light userdata of the row), the class itself: this function can be had from it, and called with anything. What every block of
 * a class with properties begins with is the pointer that closing makes NULL. */
static int class_index(lua_State *L) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TLIGHTUSERDATA) {
        const ak_lua_property *p = lua_touserdata(L, -1);
        if (!lua_getmetatable(L, 1) || !lua_rawequal(L, -1, lua_upvalueindex(3))) return luaL_argerror(L, 1, "an object of another class");
        void **object = ak_lua_object(L, 1);
        if (*object == NULL) {
            lua_getfield(L, -1, "__name");
            return ak_lua_closed_property(L, lua_tostring(L, -1));
        }
        ak_lua_hold(L);
        p->push(L, object);
        ak_lua_let_go(L);
        return 1;
    }
    lua_pushnil(L);
    return 1;
}

/* by_collector: whether the collector called the running function; a script can, too, as getmetatable(object).__gc(object). */
static bool by_collector(lua_State *L) {
    lua_Debug ar;
    return lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) && ar.name != NULL && strcmp(ar.namewhat, "metamethod") == 0 && strcmp(ar.name, "__gc") == 0;
}

/* upvalues: the class's own __gc, the class. Whoever is collected has no function of ours working with it, though one may have raised while it held it. */
static int finalize(lua_State *L) {
    if (!lua_getmetatable(L, 1) || !lua_rawequal(L, -1, lua_upvalueindex(2))) return luaL_argerror(L, 1, "an object of another class");
    lua_settop(L, 1);
    lua_CFunction own = lua_tocfunction(L, lua_upvalueindex(1));
    if (hold_of(L)->users != 0 && !by_collector(L) && ak_lua_held(L, own)) return 0;
    hold_of(L)->users = 0;
    return own(L);
}

void ak_lua_class(lua_State *L, const char *name, const luaL_Reg *methods, const ak_lua_property *properties, const luaL_Reg *meta) {
    if (luaL_newmetatable(L, name) == 0) {
        lua_pop(L, 1);
        return;
    }
    lua_newtable(L);
    if (methods != NULL) luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "methods");
    lua_newtable(L);
    for (const ak_lua_property *p = properties; p != NULL && p->name != NULL; p++) {
        lua_pushlightuserdata(L, (void *)p);
        lua_setfield(L, -2, p->name);
    }
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, class_index, 3);
    lua_setfield(L, -2, "__index");
    if (meta != NULL) luaL_setfuncs(L, meta, 0);
    if (lua_getfield(L, -1, "__gc") == LUA_TFUNCTION) {
        lua_pushvalue(L, -2);
        lua_pushcclosure(L, finalize, 2);
        lua_setfield(L, -2, "__gc");
    } else {
        lua_pop(L, 1);
    }
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, name); /* ak_lua_new: a file's own literal is found by its address, another one by what it says */
}

void ak_lua_methods(lua_State *L, const char *name) {
    luaL_getmetatable(L, name);
    lua_getfield(L, -1, "methods");
    lua_remove(L, -2);
}

void ak_lua_index(lua_State *L, const char *name, lua_CFunction index) {
    luaL_getmetatable(L, name);
    ak_lua_methods(L, name);
    lua_pushcclosure(L, index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void *ak_lua_new(lua_State *L, const char *name, size_t size, int user_values) {
    hold *h = lua_newuserdatauv(L, sizeof *h + size, user_values);
    memset(h, 0, sizeof *h + size);
    h->class = name;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, name) != LUA_TTABLE) {
        lua_pop(L, 1);
        luaL_getmetatable(L, name);
    }
    lua_setmetatable(L, -2);
    return h + 1;
}

void *ak_lua_object(lua_State *L, int idx) {
    hold *h = lua_touserdata(L, idx);
    return h != NULL ? h + 1 : NULL;
}

void ak_lua_hold(lua_State *L) { hold_of(L)->users++; }

void ak_lua_let_go(lua_State *L) {
    hold *h = hold_of(L);
    lua_CFunction close = h->close;
    if (--h->users != 0 || close == NULL) return;
    h->close = NULL;
    close(L);
}

bool ak_lua_held(lua_State *L, lua_CFunction close) {
    hold *h = hold_of(L);
    if (h->users != 0 && close != NULL) h->close = close;
    return h->users != 0;
}

void *ak_lua_test(lua_State *L, int arg, const char *name) {
    hold *h = lua_touserdata(L, arg);
    if (h == NULL) return NULL;
    bool is = lua_rawlen(L, arg) > sizeof *h && h->class == name;
    return is || luaL_testudata(L, arg, name) != NULL ? h + 1 : NULL;
}

void *ak_lua_check(lua_State *L, int arg, const char *name) {
    void *p = ak_lua_test(L, arg, name);
    if (p == NULL) luaL_checkudata(L, arg, name); /* which raises */
    return p;
}

/* ---- failures ---------------------------------------------------------------------------------------------------------------------- */

static int failure_tostring(lua_State *L) {
    lua_getfield(L, 1, "message");
    return 1;
}

/* set_alert: a field of the table on top: an alert's name, or its number when it has none. */
static void set_alert(lua_State *L, const char *field, int alert) {
    const char *name = ak_alert_name(alert);
    if (name != NULL) lua_pushstring(L, name);
    else lua_pushinteger(L, alert);
    lua_setfield(L, -2, field);
}

void ak_lua_push_failure(lua_State *L, const ak_failure *f, const ak_report *report) {
    if (f->detail[0] != '\0') lua_pushfstring(L, "%s: %s", ak_error_text(f->error), f->detail);
    else lua_pushstring(L, ak_error_text(f->error));
    lua_createtable(L, 0, 8);
    lua_pushstring(L, ak_error_code(f->error));
    lua_setfield(L, -2, "code");
    if (f->alert != AK_ALERT_none) set_alert(L, "alert", f->alert);
    if (f->said != 0) set_alert(L, "said", (int)f->said - 1);
    lua_pushstring(L, f->from_peer ? "peer" : "local");
    lua_setfield(L, -2, "origin");
    if (f->state != NULL) {
        lua_pushstring(L, f->state);
        lua_setfield(L, -2, "state");
    }
    lua_pushstring(L, f->detail);
    lua_setfield(L, -2, "detail");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "message");
    if (report != NULL) {
        ak_lua_push_report(L, (ak_report *)report);
        lua_setfield(L, -2, "report");
    }
    if (luaL_newmetatable(L, "akushu.Failure") != 0) {
        lua_pushcfunction(L, failure_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushstring(L, "akushu.Failure");
        lua_setfield(L, -2, "__name");
    }
    lua_setmetatable(L, -2);
}

int ak_lua_fail(lua_State *L, const ak_failure *f) {
    lua_pushnil(L);
    ak_lua_push_failure(L, f, NULL);
    return 3;
}

/* ---- arguments ------------------------------------------------------------------------------------------------------------------------ */

bool ak_lua_join(lua_State *L, int idx) {
    luaL_Buffer b;
    if (lua_type(L, idx) != LUA_TTABLE) return lua_type(L, idx) == LUA_TSTRING;
    int top = lua_gettop(L);
    idx = lua_absindex(L, idx);
    lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
    lua_pushnil(L);
    if (n == 0 && lua_next(L, idx) != 0) { /* a table with other things in it is no empty array */
        lua_settop(L, top);
        return false;
    }
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_rawgeti(L, idx, i) != LUA_TSTRING) {
            lua_settop(L, top);
            return false;
        }
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    lua_replace(L, idx);
    lua_settop(L, top);
    return true;
}

ak_view ak_lua_bytes(lua_State *L, int arg) {
    if (!ak_lua_join(L, arg)) {
        if (lua_type(L, arg) == LUA_TTABLE) luaL_argerror(L, arg, "an array of strings expected");
        luaL_typeerror(L, arg, "string or array of strings");
    }
    return ak_lua_check_view(L, arg);
}

ak_view ak_lua_bytes_option(lua_State *L, int idx, const char *what) {
    if (!ak_lua_join(L, idx)) luaL_error(L, "%s: a string or an array of strings expected, got %s", what, luaL_typename(L, idx));
    return ak_lua_check_view(L, idx);
}

void ak_lua_push_version(lua_State *L, uint16_t version) {
    switch (version) {
    case AK_SSL30: lua_pushliteral(L, "3.0"); break;
    case AK_TLS10: lua_pushliteral(L, "1.0"); break;
    case AK_TLS11: lua_pushliteral(L, "1.1"); break;
    case AK_TLS12: lua_pushliteral(L, "1.2"); break;
    case AK_TLS13: lua_pushliteral(L, "1.3"); break;
    default: lua_pushnil(L); break;
    }
}

int ak_lua_alert(lua_State *L, int arg) {
    if (lua_type(L, arg) == LUA_TNUMBER) {
        lua_Integer n = luaL_checkinteger(L, arg);
        luaL_argcheck(L, n >= 0 && n <= 255, arg, "an alert is a number from 0 to 255, or a name");
        return (int)n;
    }
    const char *name = ak_lua_check_string(L, arg);
    int n = ak_alert_by_name(name);
    if (n < 0) luaL_argerror(L, arg, lua_pushfstring(L, "no alert '%s'; names are the RFCs', such as handshake_failure", name));
    return n;
}

const ak_scheme *ak_lua_check_scheme(lua_State *L, int arg) {
    const ak_scheme *s = lua_isinteger(L, arg) ? ak_scheme_find((uint16_t)lua_tointeger(L, arg)) : ak_scheme_by_name(ak_lua_check_string(L, arg));
    if (s == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "no signature scheme '%s'; there are ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256, ed25519 …", lua_tostring(L, arg)));
    return s;
}

size_t ak_lua_check_choice(lua_State *L, int arg, const char *by_default, const char *const *names) {
    const char *s = by_default != NULL && lua_isnoneornil(L, arg) ? by_default : ak_lua_check_string(L, arg);
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], s) == 0) return i;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; names[i] != NULL; i++) {
        luaL_addstring(&b, i == 0 ? "\"" : names[i + 1] != NULL ? ", \"" : " or \"");
        luaL_addstring(&b, names[i]);
        luaL_addchar(&b, '"');
    }
    luaL_pushresult(&b);
    luaL_argerror(L, arg, lua_pushfstring(L, "%s expected, got '%s'", lua_tostring(L, -1), s));
    return 0;
}

/* ---- what was agreed --------------------------------------------------------------------------------------------------------------------- */

static void push_peer(lua_State *L, const ak_info *i) {
    if (i->peer_chain == NULL || i->peer_chain->n == 0) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, (int)i->peer_chain->n, 2);
    for (size_t k = 0; k < i->peer_chain->n; k++) {
        ak_lua_push_certificate(L, i->peer_chain->certs[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lua_rawgeti(L, -1, 1);
    lua_setfield(L, -2, "certificate");
}

static void push_name(lua_State *L, const char *name) {
    if (name != NULL && name[0] != '\0') lua_pushstring(L, name);
    else lua_pushnil(L);
}

static void push_some(lua_State *L, const void *p, size_t n) {
    if (n != 0) lua_pushlstring(L, p, n);
    else lua_pushnil(L);
}

bool ak_lua_info_property(lua_State *L, const ak_info *i, const char *name) {
    static const char *const names[] = {"version", "suite", "group", "scheme", "own_scheme", "extended_master_secret", "encrypt_then_mac", "resumed",
                                        "server_name", "alpn", "peer", "report", "session_id", "client_random", "server_random", "ocsp_response", "scts",
                                        "role", "secure_renegotiation", "hello_retry", "client_finished", "early_data",
                                        "early_data_reason", "ticket_age_skew", "server_finished", "psk_identity", NULL};
    int which = 0;
    while (names[which] != NULL && strcmp(names[which], name) != 0) which++;
    switch (which) {
    case 0: ak_lua_push_version(L, i->version); break;
    case 1: push_name(L, i->suite != NULL ? i->suite->name : NULL); break;
    case 2: push_name(L, i->group != NULL ? i->group->name : NULL); break;
    case 3: push_name(L, i->peer_scheme != NULL ? i->peer_scheme->name : NULL); break;
    case 4: push_name(L, i->own_scheme != NULL ? i->own_scheme->name : NULL); break;
    case 5: lua_pushboolean(L, i->ems); break;
    case 6: lua_pushboolean(L, i->etm); break;
    case 7: lua_pushboolean(L, i->resumed); break;
    case 8: push_some(L, i->server_name.p, i->server_name.n); break;
    case 9: push_some(L, i->alpn.p, i->alpn.n); break;
    case 10: push_peer(L, i); break;
    case 11:
        if (i->report != NULL) ak_lua_push_report(L, i->report);
        else lua_pushnil(L);
        break;
    case 12: push_some(L, i->session_id, i->session_id_n); break;
    case 13: push_some(L, i->client_random, 32); break;
    case 14: push_some(L, i->server_random, 32); break;
    case 15: push_some(L, i->ocsp_response.p, i->ocsp_response.n); break;
    case 16: push_some(L, i->scts.p, i->scts.n); break;
    case 17: lua_pushstring(L, i->server ? "server" : "client"); break;
    case 18: lua_pushboolean(L, i->secure_renegotiation); break;
    case 19: lua_pushboolean(L, i->hello_retry); break;
    case 20: push_some(L, i->client_finished, i->client_finished_n); break;
    case 21: {
        static const char *const states[] = {"none", "offered", "accepted", "refused"};
        lua_pushstring(L, states[i->early_data]);
        break;
    }
    case 22: push_name(L, i->early_reason); break;
    case 23: lua_pushinteger(L, i->ticket_age_skew); break;
    case 24: push_some(L, i->server_finished, i->server_finished_n); break;
    case 25:
        if (i->external_psk || i->psk_identity.n != 0) ak_lua_push_view(L, ak_buf_view(&i->psk_identity)); /* it may be empty */
        else lua_pushnil(L);
        break;
    default: return false;
    }
    return true;
}
