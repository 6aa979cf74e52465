/* lhandshake.c: akushu.Handshake. The engine runs until it has an event; then a Lua function (hooks.lua's dispatcher) is called with it as a table, in
 * a way that lets it yield and raise, and its answer goes back into the engine. */
#include "binding/binding.h"

#include "binding/lx509.h"

#include <stdlib.h>
#include <string.h>

#define CLASS "akushu.Handshake"

typedef struct lhandshake {
    ak_hs *h;
    bool running;   /* inside start/step, perhaps suspended in a hook */
    bool taken;     /* the session has taken over */
    bool aborting;  /* inside abort, perhaps suspended in the store's remove */
    bool server;
    bool ticks;     /* the context has a clock of the application's */
    bool pads;      /* a function says how records are padded: hooks.lua asks it for all but alerts */
    size_t keylog;  /* bytes of key log already given out */
    ak_event_kind asked; /* the event that a Lua function is thinking about; none: key log lines */
} lhandshake;

/* User values. VALUES: the table of hooks.lua and others (push_values), nil as long as nobody asked for it. */
enum { VALUES = 1, CONTEXT, DISPATCH, RESUMPTION, INPUT /* bytes lent to the engine: the stack may be left behind for good */, USER_VALUES = INPUT };

/* new: a handshake without an engine, of the context and with the dispatcher at these places on the stack. */
static lhandshake *new(lua_State *L, int context, int dispatch) {
    lhandshake *u = ak_lua_new(L, CLASS, sizeof *u, USER_VALUES);
    lua_pushvalue(L, context);
    lua_setiuservalue(L, -2, CONTEXT);
    lua_pushvalue(L, dispatch);
    lua_setiuservalue(L, -2, DISPATCH);
    return u;
}

/* push_values: what Lua keeps of the handshake at idx: at first its dispatcher, what its context has (kept), its role and the session that it was asked to resume. */
static void push_values(lua_State *L, int idx) {
    static const struct {
        const char *name;
        int user_value;
    } some[] = {{"dispatch", DISPATCH}, {"session", RESUMPTION}};
    const lhandshake *u = ak_lua_object(L, idx);
    if (lua_getiuservalue(L, idx, VALUES) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        lua_getiuservalue(L, idx, some[i].user_value);
        lua_setfield(L, -2, some[i].name);
    }
    lua_getiuservalue(L, idx, CONTEXT);
    ak_lua_push_kept(L, -1);
    lua_setfield(L, -3, "kept");
    lua_pop(L, 1);
    lua_pushstring(L, u->server ? "server" : "client");
    lua_setfield(L, -2, "role");
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, idx, VALUES);
}

static lhandshake *check_any(lua_State *L, int arg) { return ak_lua_check(L, arg, CLASS); }

static lhandshake *check(lua_State *L, int arg) {
    lhandshake *u = check_any(L, arg);
    luaL_argcheck(L, u->h != NULL, arg, "a handshake that was closed");
    ak_lua_not_asking(L, ak_hs_provider(u->h));
    return u;
}

ak_hs *ak_lua_check_handshake(lua_State *L, int arg) { return check(L, arg)->h; }

/* held: the handshake, which stays until left. left: returns n, the number of results. */
static lhandshake *held(lua_State *L) {
    lhandshake *u = check(L, 1);
    ak_lua_hold(L);
    return u;
}

static int left(lua_State *L, int n) {
    ak_lua_let_go(L);
    return n;
}

static bool certificate_error(ak_error e) { return e >= AK_ERR_no_certificate && e <= AK_ERR_bad_compression; }

/* say_all: a detail that the failure had no room for, in place of its beginning: in the table on top, and in the message below it. */
static void say_all(lua_State *L, ak_view why, ak_error e) {
    ak_lua_push_view(L, why);
    lua_pushfstring(L, "%s: %s", ak_error_text(e), lua_tostring(L, -1));
    lua_pushvalue(L, -1);
    lua_replace(L, -5);
    lua_setfield(L, -3, "message");
    lua_setfield(L, -2, "detail");
}

/* failed: nil, message, failure; with the error a hook raised, as it was. */
static int failed(lua_State *L, lhandshake *u) {
    const ak_failure *f = ak_hs_failure(u->h);
    lua_pushnil(L);
    ak_lua_push_failure(L, f, certificate_error(f->error) ? ak_hs_info(u->h)->report : NULL);
    if (ak_hs_why(u->h).n != 0) say_all(L, ak_hs_why(u->h), f->error);
    if (lua_getiuservalue(L, 1, VALUES) == LUA_TTABLE) {
        if (lua_getfield(L, -1, "hook_error") != LUA_TNIL) lua_setfield(L, -3, "error");
        else lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return 3;
}

/* ---- answers from Lua ----------------------------------------------------------------------------------------------------------- */

/* answer: the table at `t` (or nil: pass) becomes the engine's answer. */
static void answer(lua_State *L, lhandshake *u, int t) {
    ak_answer a;
    push_values(L, 1);
    ak_lua_read_answer(L, t, lua_gettop(L), &a);
    ak_hs_answer(u->h, &a);
}

/* hook_raised: the error value on top of the stack ends the handshake, and is kept for the failure. */
static void hook_raised(lua_State *L, lhandshake *u) {
    push_values(L, 1);
    lua_insert(L, -2);
    ak_lua_hook_text(L, lua_gettop(L) - 1);
    ak_hs_hook_failed(u->h, lua_tostring(L, -1));
}

/* ---- running ------------------------------------------------------------------------------------------------------------------------ */

#define FIXED 2 /* the handshake, and the input */

/* put_held: what hooks have kept back (hooks.lua's values.held) and what nothing came after goes out, as the engine has nothing more to say for now. False: it failed. */
static bool put_held(lua_State *L, lhandshake *u) {
    bool ok = true;
    int top = lua_gettop(L);
    if (lua_getiuservalue(L, 1, VALUES) == LUA_TTABLE && lua_getfield(L, -1, "held") == LUA_TTABLE) {
        lua_Integer n = luaL_len(L, top + 2);
        for (lua_Integer i = 1; ok && i <= n; i++) {
            lua_geti(L, top + 2, i);
            lua_getfield(L, -1, "late");
            lua_getfield(L, -1, "raw");
            lua_getfield(L, -2, "content_type");
            lua_getfield(L, -3, "bytes");
            ok = ak_hs_put(u->h, lua_toboolean(L, -3), (uint8_t)lua_tointeger(L, -2), ak_lua_check_view(L, -1));
            lua_settop(L, top + 2);
        }
        lua_pushnil(L);
        lua_setfield(L, top + 1, "held");
    }
    lua_settop(L, top);
    return ok;
}

static int push_output(lua_State *L, lhandshake *u) {
    ak_lua_push_view(L, ak_hs_output(u->h));
    ak_hs_output_taken(u->h);
    return 1;
}

static int ended(lua_State *L, lhandshake *u, ak_status s) {
    u->running = false;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, INPUT);
    bool aborting = u->aborting;
    u->aborting = false;
    if (!aborting && (s == AK_FAILED || !put_held(L, u))) return failed(L, u);
    return push_output(L, u);
}

/* gone: a hook has closed the handshake that waited for it. */
static int gone(lua_State *L, lhandshake *u) {
    ak_failure f = {0};
    u->running = u->aborting = false;
    ak_fail(&f, AK_ERR_aborted, "a hook has closed the handshake");
    f.alert = AK_ALERT_none;
    f.state = "closed";
    return ak_lua_fail(L, &f);
}

static int resumed(lua_State *L, int status, lua_KContext k);

/* call: the dispatcher with an event table (on top of the stack). */
static int call(lua_State *L) {
    lua_getiuservalue(L, 1, DISPATCH);
    lua_insert(L, -2);
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    return lua_pcallk(L, 2, 1, 0, 0, resumed);
}

/* key_lines: what was logged since the last time, as an event of its own. */
static bool key_lines(lua_State *L, lhandshake *u) {
    ak_view all = ak_hs_keylog(u->h);
    if (all.n <= u->keylog) return false;
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "keylog");
    lua_setfield(L, -2, "kind");
    ak_lua_push_view(L, ak_view_of(all.p + u->keylog, all.n - u->keylog));
    lua_setfield(L, -2, "bytes");
    u->keylog = all.n;
    return true;
}

/* called: what the Lua function says, unless it, or somebody while it was suspended, has ended the handshake meanwhile: then the engine waits for something
 * else, if for anything. */
static void called(lua_State *L, lhandshake *u, bool raised) {
    bool waits = u->asked != AK_EV_none && ak_hs_event(u->h)->kind == u->asked;
    if (raised && (waits || u->asked == AK_EV_none)) hook_raised(L, u);
    else if (!raised && waits) answer(L, u, FIXED + 1);
    lua_settop(L, FIXED);
}

/* drive: of a handshake that is held; it is not while Lua has the word: what a hook closes is closed at once. */
static int drive(lua_State *L, lhandshake *u) {
    for (;;) {
        ak_status s = ak_hs_run(u->h);
        u->asked = s == AK_EVENT ? ak_hs_event(u->h)->kind : AK_EV_none;
        if (s == AK_EVENT) ak_lua_push_event(L, ak_hs_event(u->h), ak_hs_info(u->h));
        else if (!key_lines(L, u)) return left(L, ended(L, u, s));
        ak_lua_let_go(L);
        int status = u->h != NULL ? call(L) : LUA_OK;
        if (u->h == NULL) return gone(L, u);
        ak_lua_hold(L);
        called(L, u, status != LUA_OK);
    }
}

/* resumed: the dispatcher has yielded and come back. */
static int resumed(lua_State *L, int status, lua_KContext k) {
    lhandshake *u = check_any(L, 1);
    (void)k;
    if (u->h == NULL) return gone(L, u);
    ak_lua_hold(L);
    called(L, u, status != LUA_YIELD && status != LUA_OK);
    return drive(L, u);
}

/* enter: the handshake begins to run, and is held; the bytes at FIXED are the engine's until it has ended. */
static void enter(lua_State *L, lhandshake *u) {
    if (u->running) luaL_error(L, "this handshake is waiting for a hook: it can't be started or stepped until that returns");
    if (u->ticks) {
        lua_getiuservalue(L, 1, CONTEXT);
        ak_lua_tick(L, lua_gettop(L));
        lua_pop(L, 1);
        if (u->h == NULL) luaL_error(L, "a handshake that its clock has closed");
    }
    if (u->pads) {
        push_values(L, 1);
        size_t pad = ak_lua_padding(L, lua_gettop(L), "alert", 2);
        lua_pop(L, 1);
        if (u->h == NULL) luaL_error(L, "a handshake that its padding has closed");
        ak_hs_pad_alerts(u->h, pad);
    }
    if (u->running) luaL_error(L, "this handshake was started or stepped by its own clock or padding");
    held(L);
    u->running = true;
    lua_pushvalue(L, FIXED);
    lua_setiuservalue(L, 1, INPUT);
}

static int l_start(lua_State *L) {
    lhandshake *u = check(L, 1);
    ak_failure f = {0};
    lua_settop(L, 1);
    lua_pushnil(L);
    enter(L, u);
    if (ak_hs_start(u->h, &f) != AK_OK) {
        u->running = false;
        left(L, 0);
        return luaL_error(L, "%s", f.detail);
    }
    return drive(L, u);
}

static int l_step(lua_State *L) {
    lhandshake *u = check(L, 1);
    ak_failure f;
    ak_failure_init(&f);
    ak_view in = ak_lua_bytes(L, 2);
    lua_settop(L, FIXED);
    if (u->taken && in.n != 0) { /* never swallowed */
        ak_fail(&f, AK_ERR_not_ready, "the session has taken over: bytes from the peer go to session:open");
        f.state = "done";
        return ak_lua_fail(L, &f);
    }
    enter(L, u);
    if (!ak_hs_started(u->h)) ak_hs_start(u->h, &f);
    ak_hs_feed(u->h, in);
    return drive(L, u);
}

static int l_pending(lua_State *L) { return left(L, push_output(L, held(L))); }

static int l_eof(lua_State *L) {
    lhandshake *u = held(L);
    ak_hs_eof(u->h);
    if (ak_hs_failure(u->h) != NULL) return left(L, failed(L, u));
    lua_pushboolean(L, 1);
    return left(L, 1);
}

static int l_abort(lua_State *L) {
    check(L, 1);
    int alert = lua_isnoneornil(L, 2) ? AK_ALERT_user_canceled : ak_lua_alert(L, 2);
    lhandshake *u = held(L);
    ak_hs_abort(u->h, alert);
    if (u->running || ak_hs_event(u->h)->kind == AK_EV_none) return left(L, push_output(L, u));
    lua_settop(L, 1); /* a store of the application's has the session already, and is told to forget it */
    lua_pushnil(L);
    u->running = u->aborting = true;
    return drive(L, u);
}

/* send_data: data that the engine seals at once, with the padding that a function says of each of its records. The bytes are at 2, and stay there. */
static ak_error send_data(lua_State *L, ak_error (*send)(ak_hs *, ak_view, ak_failure *), ak_failure *f) {
    ak_view data = ak_lua_bytes(L, 2);
    lhandshake *u = check(L, 1);
    size_t room = u->pads ? ak_hs_data_room(u->h) : 0, n = room != 0 ? (data.n + room - 1) / room : 0;
    uint16_t *padding = n != 0 ? lua_newuserdatauv(L, n * sizeof *padding, 0) : NULL;
    if (n != 0) push_values(L, 1);
    for (size_t i = 0; i < n; i++) {
        size_t pad = ak_lua_padding(L, lua_gettop(L), "application_data", i + 1 < n ? room : data.n - i * room);
        padding[i] = (uint16_t)(pad < room ? pad : room);
    }
    u = check(L, 1); /* the function may have closed it */
    ak_hs_pad_data(u->h, padding, n);
    ak_error e = send(u->h, data, f);
    ak_hs_pad_data(u->h, NULL, 0);
    return e;
}

/* hs:send_early(data): a client's 0-RTT data, before :start(). */
static int l_send_early(lua_State *L) {
    check(L, 1);
    ak_failure f = {0};
    if (send_data(L, ak_hs_send_early, &f) != AK_OK) return ak_lua_fail(L, &f);
    lua_pushboolean(L, 1);
    return 1;
}

/* hs:early_data(): a server: what has come of it since the last time. */
static int l_early_data(lua_State *L) {
    lhandshake *u = held(L);
    ak_lua_push_view(L, ak_hs_early_data(u->h));
    ak_hs_early_data_taken(u->h);
    return left(L, 1);
}

/* hs:export_early(label, context, n): keying material of the early data (RFC 8446 §7.5). */
static int l_export_early(lua_State *L) {
    check(L, 1);
    const char *label = ak_lua_check_string(L, 2);
    ak_view context = lua_isnoneornil(L, 3) ? ak_view_of(NULL, 0) : ak_lua_bytes(L, 3);
    lua_Integer n = luaL_checkinteger(L, 4);
    ak_failure f = {0};
    luaL_Buffer b;
    luaL_argcheck(L, n > 0 && n <= 8160, 4, "1 to 8160 bytes");
    luaL_argcheck(L, strlen(label) <= 249, 2, "at most 249 bytes");
    char *out = luaL_buffinitsize(L, &b, (size_t)n);
    if (ak_hs_export_early(check(L, 1)->h, label, context, (uint8_t *)out, (size_t)n, &f) != AK_OK) return ak_lua_fail(L, &f);
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
}

/* hs:send(data): application data that does not wait for the peer's Finished: bytes for the peer. */
static int l_send(lua_State *L) {
    check(L, 1);
    ak_failure f = {0};
    if (send_data(L, ak_hs_send, &f) != AK_OK) return ak_lua_fail(L, &f);
    return l_pending(L);
}

static int l_session(lua_State *L) {
    lhandshake *u = held(L);
    ak_failure f = {0};
    lua_settop(L, 1);
    if (ak_hs_failure(u->h) != NULL) return left(L, failed(L, u));
    ak_session **place = ak_lua_new_session(L), *s = *place = ak_hs_session(u->h, &f);
    if (s == NULL) return left(L, ak_lua_fail(L, &f));
    u->taken = true;
    const int session = 2;
    if (u->pads) ak_lua_session_pads(L, session);
    if (u->pads || ak_session_may_ask(s)) { /* dispatcher, hooks and functions of the context */
        push_values(L, 1);
        lua_setiuservalue(L, session, 2);
    }
    if (ak_session_context(s)->external_store) {
        lua_getiuservalue(L, 1, CONTEXT);
        if (ak_lua_push_kept(L, -1) == LUA_TTABLE && lua_getfield(L, -1, "sessions") == LUA_TTABLE) {
            lua_getfield(L, -1, "remove");
            lua_setiuservalue(L, session, 1);
        }
    }
    lua_settop(L, session);
    return left(L, 1);
}

/* no_secret: a secret that is not there at this moment, by its whole name: nil, message, failure. */
static int no_secret(lua_State *L, const lhandshake *u, const char *name) {
    ak_failure f = {0};
    ak_fail(&f, AK_ERR_not_ready, "the secret '%s' is not there now", name);
    f.state = ak_hs_state(u->h);
    return ak_lua_fail(L, &f);
}

static int l_secret(lua_State *L) {
    check(L, 1);
    const char *name = ak_lua_check_string(L, 2), *whole = ak_lua_check_string(L, 3); /* init.lua has looked whether there is such a one */
    lhandshake *u = held(L);
    ak_view v = ak_hs_secret(u->h, name);
    if (v.n == 0) return left(L, no_secret(L, u, whole));
    ak_lua_push_secret(L, v);
    return left(L, 1);
}

/* hs:secret_origin(name): TLS 1.3: the label that a secret was derived with, and the transcript hash under it. */
static int l_secret_origin(lua_State *L) {
    const char *label;
    ak_view hash;
    check(L, 1);
    const char *name = ak_lua_check_string(L, 2), *whole = ak_lua_check_string(L, 3); /* init.lua has looked whether there is such a one */
    lhandshake *u = held(L);
    if (!ak_hs_secret_origin(u->h, name, &label, &hash)) return left(L, no_secret(L, u, whole));
    lua_pushstring(L, label);
    ak_lua_push_view(L, hash);
    return left(L, 2);
}

static int l_gates(lua_State *L) {
    ak_hs_set_gates(check(L, 1)->h, (uint32_t)luaL_checkinteger(L, 2));
    return 0;
}

/* hs:_pad(): option record_padding is a function. */
static int l_pad(lua_State *L) {
    check(L, 1)->pads = true;
    return 0;
}

static int l_values(lua_State *L) {
    check_any(L, 1);
    push_values(L, 1);
    return 1;
}

/* handshake(context, dispatch [, server_name [, resumption]]) */
static int l_new(lua_State *L) {
    ak_lua_check_context(L, 1);
    ak_failure f = {0};
    luaL_checktype(L, 2, LUA_TFUNCTION);
    size_t name_n = 0;
    const char *name = luaL_optlstring(L, 3, NULL, &name_n);
    ak_resumption *r = lua_isnoneornil(L, 4) ? NULL : ak_lua_to_resumption(L, 4);
    if (r == NULL && !lua_isnoneornil(L, 4)) {
        lua_pushliteral(L, "option 'session': a resumption that was closed");
        return lua_error(L); /* without a place: init.lua says whose line it is */
    }
    lhandshake *u = new(L, 1, 2);
    ak_context *c = ak_lua_check_context(L, 1);
    u->server = c->server;
    u->ticks = c->clock != NULL;
    u->h = ak_hs_new(c, &f);
    if (u->h == NULL) return ak_lua_fail(L, &f);
    if (name != NULL && (strlen(name) != name_n || ak_hs_set_server_name(u->h, name, &f) != AK_OK)) {
        if (f.error == AK_ERR_out_of_memory) return ak_lua_fail(L, &f);
        if (name_n > 255) lua_pushfstring(L, "option 'server_name': %d bytes are not a host name or address", (int)(name_n > 65535 ? 65535 : name_n));
        else lua_pushfstring(L, "option 'server_name': '%s' is not a host name or address (no port, no https://, no letters but ASCII's: xn--…)", name);
        return lua_error(L);
    }
    if (r == NULL || (r = ak_lua_to_resumption(L, 4)) == NULL) return 1;
    ak_hs_set_resumption(u->h, r);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, RESUMPTION);
    return 1;
}

/* renegotiate(context, dispatch, session [, resumption]): a handshake inside a connection; the session is over. */
static int l_renegotiate(lua_State *L) {
    ak_context *c = ak_lua_check_context(L, 1);
    ak_failure f = {0};
    luaL_checktype(L, 2, LUA_TFUNCTION);
    ak_session *s = ak_lua_check_session(L, 3);
    if (ak_session_context(s) != c) return luaL_error(L, "renegotiate: a session of another context");
    ak_resumption *r = lua_isnoneornil(L, 4) ? NULL : ak_lua_to_resumption(L, 4);
    if (r == NULL && !lua_isnoneornil(L, 4)) return luaL_error(L, "option 'session': a resumption that was closed");
    lhandshake *u = new(L, 1, 2);
    c = ak_lua_check_context(L, 1);
    u->server = c->server;
    u->ticks = c->clock != NULL;
    u->h = ak_session_renegotiate(ak_lua_check_session(L, 3), &f);
    if (u->h == NULL) return ak_lua_fail(L, &f);
    if (r != NULL && (r = ak_lua_to_resumption(L, 4)) != NULL) ak_hs_set_resumption(u->h, r);
    return 1;
}

/* hs:take_application_data(): what came between the messages of a renegotiation. */
static int l_application_data(lua_State *L) {
    lhandshake *u = held(L);
    ak_lua_push_view(L, ak_hs_application(u->h));
    ak_hs_application_taken(u->h);
    return left(L, 1);
}

/* hs:_fork(): a second handshake that stands where this one does; its user values have the same context and dispatcher. init.lua copies the rest. */
static int l_fork(lua_State *L) {
    lhandshake *u = check(L, 1);
    ak_failure f = {0};
    if (u->running) return luaL_error(L, "this handshake is waiting for a hook: it can't be forked until that returns");
    lua_getiuservalue(L, 1, CONTEXT);
    lua_getiuservalue(L, 1, DISPATCH);
    lhandshake *n = new(L, lua_gettop(L) - 1, lua_gettop(L));
    n->server = u->server;
    n->ticks = u->ticks;
    n->h = ak_hs_fork(check(L, 1)->h, &f);
    if (n->h == NULL) return ak_lua_fail(L, &f);
    n->keylog = u->keylog;
    n->pads = u->pads;
    lua_getiuservalue(L, 1, RESUMPTION);
    lua_setiuservalue(L, -2, RESUMPTION);
    return 1;
}

static int l_gc(lua_State *L) {
    lhandshake *u = check_any(L, 1);
    ak_hs_free(u->h);
    u->h = NULL;
    return 0;
}

static int l_close(lua_State *L) {
    lhandshake *u = check_any(L, 1);
    if (u->h != NULL) ak_lua_not_asking(L, ak_hs_provider(u->h));
    return ak_lua_held(L, l_gc) ? 0 : l_gc(L);
}

static int l_tostring(lua_State *L) {
    const lhandshake *u = check_any(L, 1);
    if (u->h == NULL) lua_pushliteral(L, CLASS " (closed)");
    else lua_pushfstring(L, CLASS " (%s, %s)", ak_hs_info(u->h)->server ? "server" : "client", ak_hs_state(u->h));
    return 1;
}

static int l_index(lua_State *L) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
    if (name == NULL) return 1;
    if (check_any(L, 1)->h == NULL) return ak_lua_closed_property(L, CLASS);
    lhandshake *u = held(L);
    if (strcmp(name, "done") == 0) lua_pushboolean(L, ak_hs_done(u->h));
    else if (strcmp(name, "state") == 0) lua_pushstring(L, ak_hs_state(u->h));
    else if (strcmp(name, "may_send") == 0) lua_pushboolean(L, ak_hs_may_send(u->h));
    else if (strcmp(name, "failed") == 0) lua_pushboolean(L, ak_hs_failure(u->h) != NULL);
    else if (strcmp(name, "failure") == 0) {
        if (ak_hs_failure(u->h) == NULL) lua_pushnil(L);
        else failed(L, u);
    } else if (!ak_lua_info_property(L, ak_hs_info(u->h), name)) lua_pushnil(L);
    return left(L, 1);
}

void ak_open_handshake(lua_State *L) {
    static const luaL_Reg methods[] = {{"start", l_start}, {"step", l_step}, {"pending", l_pending}, {"eof", l_eof}, {"abort", l_abort}, {"session", l_session},
                                       {"secret", l_secret}, {"secret_origin", l_secret_origin}, {"send_early", l_send_early}, {"take_early_data", l_early_data},
                                       {"export_early", l_export_early}, {"take_application_data", l_application_data}, {"send", l_send}, {"_fork", l_fork},
                                       {"_hand_over", ak_lua_hand_over}, {"_gates", l_gates}, {"_pad", l_pad}, {"_values", l_values}, {"close", l_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_gc}, {"__close", l_close}, {"__tostring", l_tostring}, {NULL, NULL}};
    ak_lua_class(L, CLASS, methods, NULL, meta);
    ak_lua_index(L, CLASS, l_index);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "handshake");
    lua_pushcfunction(L, l_renegotiate);
    lua_setfield(L, -2, "renegotiate");
}
