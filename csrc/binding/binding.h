/* binding.h: what the files of this folder share. The only folder that includes lua.h.
 *
 * Rules here: a userdata gets its class first and what it owns afterwards, so that __gc is safe at any moment; Lua values that an object needs
 * live in its first user value (a table); no lua_State is kept anywhere; while Lua runs, no engine frame is on the stack. */
#ifndef AK_BINDING_H
#define AK_BINDING_H

#include "akushu.h"

#include <lauxlib.h>
#include <lua.h>

/* ak_lua_provider: this Lua state's provider, made at the first use; borrowed. Raises when libcrypto is unusable. */
ak_provider *ak_lua_provider(lua_State *L);

/* ---- classes ------------------------------------------------------------------------------------------------------------------ */

/* A property's getter pushes one value; `object` is the userdata's block, whose first member is a pointer that is NULL once it was closed: then the getter is not called. */
typedef struct ak_lua_property {
    const char *name;
    void (*push)(lua_State *L, void *object);
} ak_lua_property;

/* ak_lua_class: makes (or finds) the class `name`: methods (more may be added from Lua: see ak_lua_methods), properties, metamethods such as __gc. Nothing is
 * left on the stack. */
void ak_lua_class(lua_State *L, const char *name, const luaL_Reg *methods, const ak_lua_property *properties, const luaL_Reg *meta);
/* ak_lua_methods: pushes a class's table of methods. */
void ak_lua_methods(lua_State *L, const char *name);
/* ak_lua_closed_property: raises at the line of who asks for a property (its name at 2) of an object of this class that was closed. */
int ak_lua_closed_property(lua_State *L, const char *class);
/* ak_lua_index: a class finds its properties by this function instead; its upvalue is the table of methods. */
void ak_lua_index(lua_State *L, const char *name, lua_CFunction index);
/* ak_lua_new: pushes a zeroed userdata of this class, with so many user values, all nil. */
void *ak_lua_new(lua_State *L, const char *name, size_t size, int user_values);
/* Any allocation of Lua's may run a finalizer, and that may close an object while a function works with what is in it. So a function either asks for the object
 * after its last allocation, or holds it: between the two calls closing waits, and is done by the second one. The object is at index 1. Nothing between them may raise
 * but for want of memory: then it is held for good, and the collector alone frees it.
 * ak_lua_held: what a function that closes asks first, with itself; true: it is held, and `close`, unless NULL, will be called again when nobody holds it. */
void ak_lua_hold(lua_State *L);
void ak_lua_let_go(lua_State *L);
bool ak_lua_held(lua_State *L, lua_CFunction close);
/* ak_lua_check, ak_lua_test: luaL_checkudata and luaL_testudata for a class of ours, mostly without looking at its metatable. ak_lua_object: of a value that is known to be
 * an object of ours; NULL: it is no userdata. */
void *ak_lua_check(lua_State *L, int arg, const char *name);
void *ak_lua_test(lua_State *L, int arg, const char *name);
void *ak_lua_object(lua_State *L, int idx);

/* ---- failures ------------------------------------------------------------------------------------------------------------------- */

/* ak_lua_fail: pushes nil, message, failure and returns 3: what a function that failed returns. */
int ak_lua_fail(lua_State *L, const ak_failure *f);
/* ak_lua_push_failure: pushes message and failure table; report may be NULL. */
void ak_lua_push_failure(lua_State *L, const ak_failure *f, const ak_report *report);

/* ---- arguments -------------------------------------------------------------------------------------------------------------------- */

/* Bytes go in as a string or as an array of strings, everywhere (not: texts such as names, labels, paths). A number is neither, though Lua's own functions take it for its
 * digits: seal(5) and export(5, …) are mistakes.
 * ak_lua_join: makes the array at idx one string, in its place on the stack; false: the value is neither. No metamethod is called. */
bool ak_lua_join(lua_State *L, int idx);
/* ak_lua_bytes: the bytes of an argument; raises when it has none. */
ak_view ak_lua_bytes(lua_State *L, int arg);
/* ak_lua_secret_bytes: the same, or those of a Secret; good while the argument is. */
ak_view ak_lua_secret_bytes(lua_State *L, int arg);
/* ak_lua_bytes_option: the same of an option; `what` names it in the error. */
ak_view ak_lua_bytes_option(lua_State *L, int idx, const char *what);
/* ak_lua_check_string, ak_lua_check_lstring, ak_lua_check_view: an argument that is a text. */
static inline const char *ak_lua_check_lstring(lua_State *L, int arg, size_t *n) {
    luaL_checktype(L, arg, LUA_TSTRING);
    return lua_tolstring(L, arg, n);
}
static inline const char *ak_lua_check_string(lua_State *L, int arg) { return ak_lua_check_lstring(L, arg, NULL); }
static inline ak_view ak_lua_check_view(lua_State *L, int arg) {
    size_t n;
    const char *s = ak_lua_check_lstring(L, arg, &n);
    return ak_view_of(s, n);
}
static inline void ak_lua_push_view(lua_State *L, ak_view v) { lua_pushlstring(L, v.n != 0 ? (const char *)v.p : "", v.n); }
/* ak_lua_push_box: a secret buffer in a userdata with a finalizer, so that nothing is lost, and it is wiped, when Lua raises for want of memory.
 * ak_lua_push_boxed: its bytes as a string; the box is empty afterwards. Returns 1. */
ak_buf *ak_lua_push_box(lua_State *L);
int ak_lua_push_boxed(lua_State *L, ak_buf *b);
/* ak_lua_set_…: a field of the table on top; a string that is NULL sets none. */
static inline void ak_lua_set_string(lua_State *L, const char *name, const char *v) {
    if (v == NULL) return;
    lua_pushstring(L, v);
    lua_setfield(L, -2, name);
}
static inline void ak_lua_set_integer(lua_State *L, const char *name, lua_Integer v) {
    lua_pushinteger(L, v);
    lua_setfield(L, -2, name);
}
static inline void ak_lua_set_boolean(lua_State *L, const char *name, bool v) {
    lua_pushboolean(L, v);
    lua_setfield(L, -2, name);
}
/* ak_lua_push_version: "1.2"; nil for 0. */
void ak_lua_push_version(lua_State *L, uint16_t version);
/* ak_lua_alert: an alert by name or number. */
int ak_lua_alert(lua_State *L, int arg);

/* ak_lua_check_scheme: a signature scheme by name or number. */
const ak_scheme *ak_lua_check_scheme(lua_State *L, int arg);

/* ak_lua_check_choice: which of `names` (ended by NULL) the argument is; by_default may be NULL. As luaL_checkoption, but a wrong one is told which there are. */
size_t ak_lua_check_choice(lua_State *L, int arg, const char *by_default, const char *const *names);

/* ak_lua_scratch: memory of this Lua state's that is used again and again, for results on their way into a Lua string: no allocation a call, and none that idle
 * objects keep. At most AK_SCRATCH_MAX bytes; wiped when the state closes. */
#define AK_SCRATCH_MAX ((size_t)1 << 18)
typedef struct ak_lua_scratch {
    uint8_t *p;
    size_t n;
    bool lent; /* Lua code runs while somebody is using it (llab.c) */
} ak_lua_scratch;
ak_lua_scratch *ak_lua_get_scratch(lua_State *L); /* lives as long as the state */
/* ak_lua_scratch_room: n bytes, or NULL: too many, lent, or out of memory. */
uint8_t *ak_lua_scratch_room(ak_lua_scratch *s, size_t n);

/* ---- objects ------------------------------------------------------------------------------------------------------------------------ */

ak_context *ak_lua_check_context(lua_State *L, int arg);
/* ak_lua_push_kept: what Lua keeps for the context at idx: functions, and the options they belong to. Returns the value's type. */
int ak_lua_push_kept(lua_State *L, int idx);
/* ak_lua_tick: asks the Lua clock of the context at idx, if it has one, what time it is: before the engine works, never while it does. */
void ak_lua_tick(lua_State *L, int idx);
ak_session **ak_lua_new_session(lua_State *L); /* pushes an empty one, and returns its place */
ak_session *ak_lua_check_session(lua_State *L, int arg);
void ak_lua_push_secret(lua_State *L, ak_view bytes);  /* copies */
ak_resumption **ak_lua_new_resumption(lua_State *L); /* pushes an empty one, and returns its place */
ak_resumption *ak_lua_to_resumption(lua_State *L, int arg); /* NULL when it is none */
/* ak_lua_info_property: pushes a property of what was agreed ("suite", "version", "peer" …); false when there is none of that name. */
bool ak_lua_info_property(lua_State *L, const ak_info *i, const char *name);

/* ---- events (levents.c) --------------------------------------------------------------------------------------------------------------- */

/* ak_lua_push_event: an event as a table. */
void ak_lua_push_event(lua_State *L, const ak_event *e, const ak_info *i);
/* ak_lua_read_answer: the table at `t` (or nil: pass) as an answer. The engine reads injections and text while it runs: they are kept in the table at `values` until the
 * next one. */
void ak_lua_read_answer(lua_State *L, int t, int values, ak_answer *a);
/* ak_lua_padding: what the function of option record_padding, reached from the handshake's user value at `values`, says for a record of n bytes. */
size_t ak_lua_padding(lua_State *L, int values, const char *content_type, size_t n);
void ak_lua_session_pads(lua_State *L, int session); /* such a function is to be asked */
/* ak_lua_hook_text: the error value on top of the stack is kept in the table at `values` (hook_error), and replaced by its text. */
void ak_lua_hook_text(lua_State *L, int values);

ak_provider *ak_lua_check_lab(lua_State *L, int arg);
/* ak_lua_not_asking: raises while the provider's lab asks its function for randomness: an operation of it is under way. */
void ak_lua_not_asking(lua_State *L, const ak_provider *p);
ak_hs *ak_lua_check_handshake(lua_State *L, int arg);
/* ak_lua_new_protection: pushes an empty object of lrecord.c and returns its place, which owns what is put there. */
struct ak_protect **ak_lua_new_protection(lua_State *L);
/* ak_lua_push_share_of: a copy of a handshake's i-th private key exchange value; false, and nothing pushed: there are no more. */
bool ak_lua_push_share_of(lua_State *L, const ak_hs *h, size_t i);
int ak_lua_hand_over(lua_State *L); /* lhand_over.c: a method of handshakes */

int ak_open_crypto(lua_State *L);
int ak_open_record(lua_State *L);
int ak_open_wire(lua_State *L);
int ak_open_x509(lua_State *L);
void ak_open_lab(lua_State *L);
void ak_open_context(lua_State *L);
void ak_open_handshake(lua_State *L);
void ak_open_session(lua_State *L);
void ak_open_resumption(lua_State *L);
void ak_open_secret(lua_State *L);
void ak_open_box(lua_State *L);

#endif
