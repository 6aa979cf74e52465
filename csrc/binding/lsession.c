/* lsession.c: akushu.Session: the protected connection. Bytes in, bytes out, one copy between Lua and the wire. */
#include "binding/binding.h"

#include "binding/lx509.h"

#include <string.h>

#define CLASS "akushu.Session"

typedef struct lsession {
    ak_session *s;
    ak_lua_scratch *scratch;
    bool pads;    /* a function says how records are padded */
    bool waiting; /* inside open or request_certificate, suspended in a hook */
} lsession;

/* User values: 1: an external store's remove, or nil; 2: where the peer may be authenticated after the handshake: what the handshake's hooks and questions need
 * (lhandshake.c), or nil. */

static ak_session *living(lua_State *L, const lsession *u, int arg) {
    luaL_argcheck(L, u->s != NULL, arg, "a session that was released");
    ak_lua_not_asking(L, ak_session_provider(u->s));
    return u->s;
}

ak_session *ak_lua_check_session(lua_State *L, int arg) { return living(L, ak_lua_check(L, arg, CLASS), arg); }

/* held: the session, which stays until left, and which no finalizer changes meanwhile: its event and its reply are being looked at. left: returns n, the number of results. */
static ak_session *held(lua_State *L, const lsession *u) {
    ak_session *s = living(L, u, 1);
    if (ak_lua_held(L, NULL)) luaL_error(L, "a finalizer has come into the middle of another function of this session");
    ak_lua_hold(L);
    return s;
}

static int left(lua_State *L, int n) {
    ak_lua_let_go(L);
    return n;
}

ak_session **ak_lua_new_session(lua_State *L) {
    lsession *u = ak_lua_new(L, CLASS, sizeof *u, 2);
    u->scratch = ak_lua_get_scratch(L);
    return &u->s;
}

static int results(lua_State *L, int status, lua_KContext n) {
    (void)L;
    (void)status;
    return (int)n;
}

/* forget: what ended with a fatal alert is not resumed (RFC 5246 §7.2.2). The engine sees to its own store; one of the application's is told here, once, and
 * may yield. Returns n, the number of results on top of the stack. The session is held before, and not any more. */
static int forget(lua_State *L, const ak_session *s, int n) {
    const ak_info *i = ak_session_info(s);
    const ak_failure *f = ak_session_failure(s);
    bool fatal = f != NULL && f->alert != AK_ALERT_none && i->session_id_n != 0 && !i->by_ticket && i->version <= AK_TLS12;
    if (!fatal || lua_getiuservalue(L, 1, 1) != LUA_TFUNCTION) {
        if (fatal) lua_pop(L, 1);
        return left(L, n);
    }
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 1);
    lua_pushlstring(L, (const char *)i->session_id, i->session_id_n);
    ak_lua_let_go(L);
    lua_callk(L, 1, 0, n, results);
    return n;
}

static int failed(lua_State *L, const ak_failure *f, const ak_session *s) {
    const ak_info *i = ak_session_info(s);
    lua_pushnil(L);
    ak_lua_push_failure(L, f, f->error >= AK_ERR_no_certificate && f->error <= AK_ERR_bad_compression ? i->report : NULL);
    if (f->error == AK_ERR_hook_failed && lua_getiuservalue(L, 1, 2) == LUA_TTABLE) {
        lua_getfield(L, -1, "hook_error");
        lua_setfield(L, -3, "error");
    }
    if (f->error == AK_ERR_hook_failed) lua_pop(L, 1);
    return 3;
}

/* push_reply: what waits to be sent, and it waits no more. */
static void push_reply(lua_State *L, ak_session *s) {
    ak_lua_push_view(L, ak_session_reply(s));
    ak_session_reply_taken(s);
}

void ak_lua_session_pads(lua_State *L, int session) { ((lsession *)ak_lua_check(L, session, CLASS))->pads = true; }

/* ask_padding: before the engine may have something of its own to send. */
static void ask_padding(lua_State *L, const lsession *u) {
    if (!u->pads || u->s == NULL) return;
    lua_getiuservalue(L, 1, 2);
    int values = lua_gettop(L);
    size_t alerts = ak_lua_padding(L, values, "alert", 2), handshake = ak_lua_padding(L, values, "handshake", 5); /* a KeyUpdate */
    lua_pop(L, 1);
    if (u->s != NULL) ak_session_pad_own(u->s, alerts, handshake);
}

/* Results of usual size go through the state's scratch memory into their string; larger ones through a buffer of their own. */

/* seal_padded: record by record, each with the padding that the function says. */
static int seal_padded(lua_State *L, lsession *u, ak_view plain) {
    ak_failure f = {0};
    luaL_Buffer all;
    lua_settop(L, 2);
    ask_padding(L, u);
    lua_getiuservalue(L, 1, 2);
    luaL_buffinit(L, &all);
    for (size_t at = 0; at < plain.n;) {
        ak_session *s = ak_lua_check_session(L, 1); /* the function may have released it */
        size_t most = ak_session_fragment(s), part = plain.n - at < most ? plain.n - at : most;
        size_t pad = ak_lua_padding(L, 3, "application_data", part), n = 0;
        s = ak_lua_check_session(L, 1);
        if (pad > most) pad = most;
        held(L, u);
        char *out = luaL_prepbuffsize(&all, ak_session_seal_size(s, part) + pad);
        if (ak_session_seal_record(s, plain.p + at, part, pad, (uint8_t *)out, &n, &f) != AK_OK) return left(L, failed(L, &f, s));
        left(L, 0);
        luaL_addsize(&all, n);
        at += part;
    }
    luaL_pushresult(&all);
    return 1;
}

static int l_seal(lua_State *L) {
    lsession *u = ak_lua_check(L, 1, CLASS);
    living(L, u, 1);
    ak_view plain = ak_lua_bytes(L, 2);
    ak_failure f;
    luaL_Buffer b;
    ak_failure_init(&f);
    if (u->pads && plain.n != 0) return seal_padded(L, u, plain);
    ak_session *s = held(L, u);
    size_t n = 0, room = ak_session_seal_size(s, plain.n) + 1;
    uint8_t *scratch = ak_lua_scratch_room(u->scratch, room);
    uint8_t *out = scratch != NULL ? scratch : (uint8_t *)luaL_buffinitsize(L, &b, room);
    if (ak_session_seal(s, plain.p, plain.n, out, &n, &f) != AK_OK) return left(L, failed(L, &f, s));
    if (scratch != NULL) lua_pushlstring(L, (const char *)out, n);
    else luaL_pushresultsize(&b, n);
    return left(L, 1);
}

/* ---- questions of an authentication after the handshake -------------------------------------------------------------------------- */

#define PLAIN 3 /* where open's plaintext so far is on the stack; nil: a request is being made */

static int go_on(lua_State *L, int status, lua_KContext k);

/* ask: the dispatcher with the event as a table. The session is held before, and not any more. */
static int ask(lua_State *L, lsession *u) {
    lua_settop(L, PLAIN);
    lua_getiuservalue(L, 1, 2);
    lua_getfield(L, -1, "dispatch");
    lua_remove(L, -2);
    lua_pushvalue(L, 1);
    ak_lua_push_event(L, ak_session_event(u->s), ak_session_info(u->s));
    u->waiting = true;
    ak_lua_let_go(L);
    return lua_pcallk(L, 2, 1, 0, 0, go_on);
}

/* told: what the Lua function has said, or raised, unless the session was ended meanwhile. */
static void told(lua_State *L, ak_session *s, bool raised) {
    ak_failure ignored = {0}; /* it is the session's, too */
    if (ak_session_event(s) == NULL) return;
    lua_getiuservalue(L, 1, 2);
    int values = lua_gettop(L);
    if (raised) {
        lua_pushvalue(L, PLAIN + 1);
        ak_lua_hook_text(L, values);
        ak_session_hook_failed(s, lua_tostring(L, -1), &ignored);
        return;
    }
    ak_answer a;
    ak_lua_read_answer(L, PLAIN + 1, values, &a);
    ak_session_answer(s, &a, &ignored);
}

/* read_on: what came behind the message that asked. *f: why no more can be read. */
static void read_on(lua_State *L, ak_session *s, ak_failure *f) {
    luaL_Buffer b;
    size_t n = 0;
    uint8_t *out = (uint8_t *)luaL_buffinitsize(L, &b, ak_session_open_size(s, 0));
    ak_error e = ak_session_open(s, ak_view_of(NULL, 0), out, &n, f);
    luaL_pushresultsize(&b, e == AK_OK ? n : 0);
    lua_concat(L, 2);
}

/* go_on: the dispatcher has come back, or was suspended and has. */
static int go_on(lua_State *L, int status, lua_KContext k) {
    lsession *u = ak_lua_check(L, 1, CLASS);
    (void)k;
    for (;;) {
        ak_failure f = {0};
        u->waiting = false;
        if (u->s == NULL) return luaL_error(L, "a session that a hook has released");
        held(L, u);
        told(L, u->s, status != LUA_OK && status != LUA_YIELD);
        lua_settop(L, PLAIN);
        bool opens = !lua_isnil(L, PLAIN);
        if (opens && ak_session_event(u->s) == NULL) read_on(L, u->s, &f);
        if (ak_session_event(u->s) == NULL) {
            if (!opens && ak_session_failure(u->s) != NULL) return left(L, failed(L, ak_session_failure(u->s), u->s));
            if (f.error != AK_OK && lua_rawlen(L, PLAIN) == 0) return forget(L, u->s, failed(L, &f, u->s)); /* else data first: the next call says what came after it */
            push_reply(L, u->s);
            return left(L, opens ? 2 : 1);
        }
        status = ask(L, u);
    }
}

static void not_waiting(lua_State *L, const lsession *u) {
    if (u->waiting) luaL_error(L, "this session is waiting for a hook: it can't be opened or asked until that returns");
    ask_padding(L, u);
    living(L, u, 1);
}

static int l_open(lua_State *L) {
    lsession *u = ak_lua_check(L, 1, CLASS);
    not_waiting(L, u);
    ak_view in = ak_lua_bytes(L, 2);
    ak_failure f;
    ak_failure_init(&f);
    luaL_Buffer b;
    ak_session *s = held(L, u);
    size_t n = 0, room = ak_session_open_size(s, in.n);
    uint8_t *scratch = ak_lua_scratch_room(u->scratch, room);
    uint8_t *out = scratch != NULL ? scratch : (uint8_t *)luaL_buffinitsize(L, &b, room);
    if (ak_session_open(s, in, out, &n, &f) != AK_OK) return forget(L, s, failed(L, &f, s));
    if (scratch != NULL) lua_pushlstring(L, (const char *)out, n);
    else luaL_pushresultsize(&b, n);
    if (ak_session_event(s) != NULL) {
        lua_insert(L, PLAIN);
        return go_on(L, ask(L, u), 0);
    }
    push_reply(L, s);
    return left(L, 2);
}

static int reply_or_failure(lua_State *L, ak_session *s, ak_error e, const ak_failure *f) {
    if (e != AK_OK) return failed(L, f, s);
    push_reply(L, s);
    return 1;
}

/* held_padded: the session, which may have something of its own to send. */
static ak_session *held_padded(lua_State *L) {
    const lsession *u = ak_lua_check(L, 1, CLASS);
    ask_padding(L, u);
    return held(L, u);
}

static int l_close(lua_State *L) {
    ak_session *s = held_padded(L);
    ak_failure f;
    ak_failure_init(&f);
    ak_error e = ak_session_close(s, &f);
    return left(L, reply_or_failure(L, s, e, &f));
}

static int l_close_write(lua_State *L) {
    ak_session *s = held_padded(L);
    ak_failure f = {0};
    ak_error e = ak_session_close_write(s, &f);
    return left(L, reply_or_failure(L, s, e, &f));
}

static int l_update_keys(lua_State *L) {
    ak_session *s = held_padded(L);
    ak_failure f = {0};
    ak_error e = ak_session_update_keys(s, lua_toboolean(L, 2), &f);
    return left(L, reply_or_failure(L, s, e, &f));
}

/* session:request_certificate(): a TLS 1.3 server asks the client for its certificate; session.peer has it when the answer has been opened. */
static int l_request_certificate(lua_State *L) {
    lsession *u = ak_lua_check(L, 1, CLASS);
    not_waiting(L, u);
    ak_session *s = held(L, u);
    ak_failure f = {0};
    ak_error e = ak_session_request_certificate(s, &f);
    if (e != AK_OK || ak_session_event(s) == NULL) return left(L, reply_or_failure(L, s, e, &f));
    lua_settop(L, 1);
    return go_on(L, ask(L, u), 0);
}

static int l_values(lua_State *L) {
    ak_lua_check(L, 1, CLASS);
    lua_getiuservalue(L, 1, 2);
    return 1;
}

static int l_alert(lua_State *L) {
    ak_lua_check_session(L, 1);
    int alert = ak_lua_alert(L, 2);
    ak_session *s = held_padded(L);
    ak_failure f = {0};
    ak_error e = ak_session_alert(s, alert, &f);
    return forget(L, s, reply_or_failure(L, s, e, &f));
}

static int l_eof(lua_State *L) {
    ak_session *s = held(L, ak_lua_check(L, 1, CLASS));
    ak_failure f = {0};
    if (ak_session_eof(s, &f) != AK_OK) return left(L, failed(L, &f, s));
    lua_pushboolean(L, 1);
    return left(L, 1);
}

static int l_pending(lua_State *L) {
    push_reply(L, held(L, ak_lua_check(L, 1, CLASS)));
    return left(L, 1);
}

static int l_export(lua_State *L) {
    ak_lua_check_session(L, 1);
    const char *label = ak_lua_check_string(L, 2);
    bool has_context = !lua_isnoneornil(L, 3);
    ak_view context = has_context ? ak_lua_bytes(L, 3) : ak_view_of(NULL, 0);
    lua_Integer n = luaL_checkinteger(L, 4);
    ak_failure f = {0};
    luaL_argcheck(L, n > 0 && n <= 8160, 4, "1 to 8160 bytes");
    luaL_argcheck(L, context.n <= 65535, 3, "at most 65535 bytes");
    luaL_argcheck(L, strlen(label) <= 249, 2, "at most 249 bytes");
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, (size_t)n);
    ak_session *s = held(L, ak_lua_check(L, 1, CLASS));
    if (ak_session_export(s, label, has_context, context, (uint8_t *)out, (size_t)n, &f) != AK_OK) return left(L, failed(L, &f, s));
    luaL_pushresultsize(&b, (size_t)n);
    return left(L, 1);
}

/* session:channel_binding(type): the bytes that an authentication inside the connection is bound to. */
static int l_channel_binding(lua_State *L) {
    static const char *const types[] = {"tls-unique", "tls-server-end-point", "tls-exporter", NULL};
    ak_lua_check_session(L, 1);
    const char *type = types[ak_lua_check_choice(L, 2, NULL, types)];
    ak_session *s = held(L, ak_lua_check(L, 1, CLASS));
    ak_failure f = {0};
    ak_buf out;
    ak_buf_init(&out, 255);
    if (ak_session_channel_binding(s, type, &out, &f) != AK_OK) {
        ak_buf_free(&out);
        return left(L, failed(L, &f, s));
    }
    uint8_t room[255];
    size_t n = out.n;
    memcpy(room, out.p, n);
    ak_buf_free(&out);
    lua_pushlstring(L, (const char *)room, n);
    return left(L, 1);
}

/* session:resumption(): TLS 1.3: the newest ticket, each one once (RFC 8446 §C.4). */
static int l_resumption(lua_State *L) {
    ak_lua_check_session(L, 1);
    ak_resumption **to = ak_lua_new_resumption(L);
    ak_session *s = ak_lua_check_session(L, 1);
    const ak_info *i = ak_session_info(s);
    *to = ak_session_take_ticket(s);
    if (*to != NULL) return 1;
    if (i->resumption == NULL) {
        ak_failure f = {0};
        ak_fail(&f, AK_ERR_not_ready, "%s", i->server                  ? "a server's session is resumed by its client"
                                            : i->version >= AK_TLS13 ? "there is no ticket: they come after the handshake, with what is opened next, and each is given once"
                                                                     : "the server gave neither a session id nor a ticket");
        f.state = ak_session_state(s);
        return ak_lua_fail(L, &f);
    }
    *to = ak_resumption_ref(i->resumption);
    return 1;
}

static int l_gc(lua_State *L) {
    lsession *u = ak_lua_check(L, 1, CLASS);
    ak_session_free(u->s);
    u->s = NULL;
    return 0;
}

static int l_leave(lua_State *L) { /* local session <close>: as after close, but nobody sends the close_notify */
    const lsession *u = ak_lua_check(L, 1, CLASS);
    ak_failure unsaid = {0};
    if (u->s == NULL) return 0;
    ak_lua_not_asking(L, ak_session_provider(u->s));
    if (ak_lua_held(L, l_leave)) return 0;
    ak_session_close(u->s, &unsaid);
    ak_session_reply_taken(u->s);
    return 0;
}

static int l_tostring(lua_State *L) {
    lsession *u = ak_lua_check(L, 1, CLASS);
    if (u->s == NULL) {
        lua_pushliteral(L, CLASS " (released)");
        return 1;
    }
    const ak_info *i = ak_session_info(u->s);
    lua_pushfstring(L, CLASS " (%s, %s, %s)", i->server ? "server" : "client", i->suite->name, ak_session_state(u->s));
    return 1;
}

static int l_index(lua_State *L) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    ak_session *s = ak_lua_check_session(L, 1);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
    if (name == NULL) return 1;
    ak_lua_hold(L);
    if (strcmp(name, "state") == 0) lua_pushstring(L, ak_session_state(s));
    else if (strcmp(name, "renegotiation_wanted") == 0) lua_pushboolean(L, ak_session_renegotiation_wanted(s));
    else if (strcmp(name, "failure") == 0) {
        const ak_failure *f = ak_session_failure(s);
        if (f == NULL) lua_pushnil(L);
        else ak_lua_push_failure(L, f, ak_session_info(s)->report);
    } else if (!ak_lua_info_property(L, ak_session_info(s), name)) {
        lua_pushnil(L);
    }
    return left(L, 1);
}

void ak_open_session(lua_State *L) {
    static const luaL_Reg methods[] = {{"seal", l_seal}, {"open", l_open}, {"close", l_close}, {"close_write", l_close_write}, {"update_keys", l_update_keys},
                                       {"request_certificate", l_request_certificate},
                                       {"alert", l_alert}, {"eof", l_eof}, {"pending", l_pending}, {"export", l_export}, {"channel_binding", l_channel_binding},
                                       {"resumption", l_resumption}, {"_values", l_values}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_gc}, {"__close", l_leave}, {"__tostring", l_tostring}, {NULL, NULL}};
    ak_lua_class(L, CLASS, methods, NULL, meta);
    ak_lua_index(L, CLASS, l_index);
}
