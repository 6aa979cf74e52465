/* levents.c: the engine's events as Lua tables, and the tables that answer them: of handshakes, and of sessions whose peer is authenticated later. */
#include "binding/binding.h"

#include "binding/lx509.h"

#include <string.h>

/* ---- events to Lua ---------------------------------------------------------------------------------------------------------- */

static const char *gate_name(uint32_t gate) {
    switch (gate) {
    case AK_GATE_compose: return "compose";
    case AK_GATE_send: return "send";
    case AK_GATE_plain_out: return "plain_out";
    case AK_GATE_record_out: return "record_out";
    case AK_GATE_record_in: return "record_in";
    case AK_GATE_plain_in: return "plain_in";
    default: return "receive";
    }
}

static const char *event_name(ak_event_kind k) {
    static const char *const names[] = {"none", "gate", "untrusted", "session_get", "session_put", "session_remove", "identity", "alpn",
                                        "early_data", "ocsp", "psk"};
    return names[k];
}

static void set_view(lua_State *L, const char *name, ak_view v) {
    ak_lua_push_view(L, v);
    lua_setfield(L, -2, name);
}

void ak_lua_push_event(lua_State *L, const ak_event *e, const ak_info *i) {
    lua_createtable(L, 0, 12);
    lua_pushstring(L, event_name(e->kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, e->state != NULL ? e->state : "open");
    lua_setfield(L, -2, "state");
    lua_pushinteger(L, i->version);
    lua_setfield(L, -2, "version");
    lua_pushinteger(L, i->suite != NULL ? i->suite->id : 0);
    lua_setfield(L, -2, "suite");
    switch (e->kind) {
    case AK_EV_gate:
        lua_pushstring(L, gate_name(e->gate));
        lua_setfield(L, -2, "gate");
        lua_pushboolean(L, e->incoming);
        lua_setfield(L, -2, "incoming");
        lua_pushinteger(L, e->content_type);
        lua_setfield(L, -2, "content_type");
        lua_pushinteger(L, e->message);
        lua_setfield(L, -2, "message_type");
        set_view(L, "bytes", e->bytes);
        break;
    case AK_EV_untrusted:
        ak_lua_push_report(L, (ak_report *)e->report);
        lua_setfield(L, -2, "report");
        break;
    case AK_EV_session_get:
    case AK_EV_early_data:
    case AK_EV_psk:
    case AK_EV_session_remove: set_view(L, "key", e->key); break;
    case AK_EV_session_put:
        set_view(L, "key", e->key);
        set_view(L, "bytes", e->bytes);
        break;
    case AK_EV_identity:
        set_view(L, "bytes", e->bytes);
        if (!i->server) set_view(L, "request", e->key);
        break;
    default: set_view(L, "bytes", e->bytes); break;
    }
}

/* ---- answers from Lua ----------------------------------------------------------------------------------------------------------- */

static ak_view field_view(lua_State *L, int t, const char *name) { /* the string stays in the table: the view is good while that is */
    size_t n = 0;
    lua_getfield(L, t, name);
    const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
    lua_pop(L, 1);
    return ak_view_of(s, s != NULL ? n : 0);
}

static bool field_bool(lua_State *L, int t, const char *name) {
    lua_getfield(L, t, name);
    bool b = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return b;
}

static int field_choice(lua_State *L, int t, const char *name, const char *const *choices) {
    lua_getfield(L, t, name);
    const char *s = lua_tostring(L, -1);
    int found = 0;
    for (int i = 0; s != NULL && choices[i] != NULL; i++)
        if (strcmp(choices[i], s) == 0) found = i;
    lua_pop(L, 1);
    return found;
}

/* read_injections: an array of them, kept in the user value while the engine needs it. */
static size_t read_injections(lua_State *L, int t, int values, ak_inject **out) {
    size_t n = 0;
    *out = NULL;
    if (lua_getfield(L, t, "inject") != LUA_TTABLE) {
        lua_pop(L, 1);
        return 0;
    }
    int list = lua_gettop(L);
    lua_Integer len = luaL_len(L, list);
    ak_inject *all = lua_newuserdatauv(L, sizeof *all * (size_t)(len > 0 ? len : 1), 0);
    lua_setfield(L, values, "kept_inject");
    for (lua_Integer i = 1; i <= len; i++) {
        if (lua_geti(L, list, i) == LUA_TTABLE) {
            int at = lua_gettop(L);
            all[n].after = field_bool(L, at, "after");
            all[n].raw = field_bool(L, at, "raw");
            all[n].bytes = field_view(L, at, "bytes");
            lua_getfield(L, at, "content_type");
            all[n].content_type = (uint8_t)lua_tointeger(L, -1);
            lua_pop(L, 1);
            n++;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    *out = all;
    return n;
}

void ak_lua_read_answer(lua_State *L, int t, int values, ak_answer *a) {
    static const char *const verdicts[] = {"pass", "replace", "drop", "refuse", NULL};
    static const char *const modes[] = {"as_sent", "as_built", "none", "given", NULL};
    ak_inject *inject;
    memset(a, 0, sizeof *a);
    a->alert = AK_ALERT_none;
    if (lua_type(L, t) == LUA_TTABLE) {
        a->verdict = (ak_verdict)field_choice(L, t, "verdict", verdicts);
        a->transcript = (ak_transcript_mode)field_choice(L, t, "transcript", modes);
        a->yes = field_bool(L, t, "yes");
        a->remember = field_bool(L, t, "remember");
        a->accept = field_bool(L, t, "accept");
        lua_getfield(L, t, "padding");
        a->padding = (size_t)lua_tointeger(L, -1); /* hooks.lua has looked what it is */
        lua_pop(L, 1);
        a->bytes = field_view(L, t, "bytes");
        a->transcript_bytes = field_view(L, t, "transcript_bytes");
        a->text = (const char *)field_view(L, t, "text").p;
        a->n_inject = read_injections(L, t, values, &inject);
        a->inject = inject;
        lua_getfield(L, t, "alert");
        if (lua_isinteger(L, -1)) a->alert = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
        lua_getfield(L, t, "error");
        if (lua_type(L, -1) == LUA_TSTRING) a->error = ak_error_by_code(lua_tostring(L, -1));
        lua_pop(L, 1);
        lua_pushvalue(L, t);
        lua_setfield(L, values, "kept_answer");
        if (lua_getfield(L, t, "identity") == LUA_TUSERDATA) a->identity = ak_lua_check_identity(L, -1); /* hooks.lua has looked what it is, and that it is open */
        lua_pop(L, 1);
    }
}

/* error_text: the error value as a string; its __tostring may raise in turn. */
static int error_text(lua_State *L) {
    luaL_tolstring(L, 1, NULL);
    return 1;
}

void ak_lua_hook_text(lua_State *L, int values) {
    lua_pushvalue(L, -1);
    lua_setfield(L, values, "hook_error");
    lua_pushcfunction(L, error_text);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushliteral(L, "(an error that cannot be shown)");
    }
}

size_t ak_lua_padding(lua_State *L, int values, const char *content_type, size_t n) {
    int top = lua_gettop(L);
    lua_getfield(L, values, "kept");
    lua_getfield(L, -1, "record_padding");
    lua_pushstring(L, content_type);
    lua_pushinteger(L, (lua_Integer)n);
    lua_call(L, 2, 1);
    lua_Integer pad = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
    if (lua_isnil(L, -1)) pad = 0;
    if (pad < 0) luaL_error(L, "option 'record_padding': the function must return a number of bytes or nil");
    lua_settop(L, top);
    return (size_t)pad;
}
