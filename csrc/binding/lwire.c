/* akushu.wire: the codec. Any bytes to tables, tables to bytes; encode(decode(b)) == b for every b.
 *
 *   wire.decode(bytes [, options]) → node          Options (all optional; without `what` the bytes are looked at):
 *                                                  what: "records", "record", "messages" (a flight), "message" or "handshake" (one handshake
 *                                                  message with its header), "alert", "change_cipher_spec", "extensions", or the name of a
 *                                                  structure, without any header ("client_hello", "key_share_entry");
 *                                                  version, kx or suite, from: what is known of the connection, for messages with several forms;
 *                                                  message: whose extensions they are; deep = false: records' fragments stay strings
 *   wire.encode(node [, options]) → bytes          the same options; seldom needed, as decoded nodes say what they are
 *   wire.check(bytes [, options]) → true           the strict decode, as the engine does it: true and the name of the form, or nil, message, failure
 *   wire.span(node, path) → offset, length, prefix also node:span(path). offset counts from 0; prefix: bytes of the length before it
 *   wire.spans(node) → { { path=, offset=, length=, prefix= }, … }
 *   wire.declare_extension(number, name, fields)   see lwire_declare.c
 *   wire.extension_allowed(type, message) → "allowed", "misplaced" or "unknown"      RFC 8446 §4.2's table
 *   wire.recode(bytes, structure)                  bytes through the C structs, for tests
 *   wire.name(registry, number), wire.number(registry, name)     nil when there is none; wire.registry.suites … has both in a table
 *   wire.registries(), wire.structures(), wire.structure(name) → names: of the registries, of the structures, of the fields of one
 *   wire.is_grease(number)
 *
 * A node is a table with the fields of its structure (messages.def, extensions.def) under their names. Values that a registry knows are names, others numbers;
 * both are taken when encoding, and so are friendlier spellings. Vectors are strings, lists arrays; extensions an array of { type =, data = }.
 * For any node a string of its bytes (without length prefix) may stand, or { raw = bytes }. Beside its fields a table may have
 *
 *     length     what the length prefix says, when it is not what follows (a record's stands in its fragment, an extension's in its data)
 *     trailing   bytes after the last field or item
 *     truncated  true: missing fields are not there at all (otherwise missing vectors are empty, and other missing fields an error)
 *     raw        the bytes, instead of all fields
 *     note       what the decoder found wrong here; the root has all of them, with path and offset, in `notes`. Not read when encoding
 *     type, form of a message: which it is, and which of its forms ("certificate_13") when there are several
 *     what, message, after    of a whole: what it is, whose extensions, bytes after it
 *
 * and keys that begin with "_", which are the script's own. Anything else is a mistake, and raises. */
#include "binding/binding.h"
#include "binding/lwire_codec.h"
#include "record/record.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

const char *const ak_wire_reserved[] = {"raw",  "length",  "trailing", "truncated", "note", "notes", "type",
                                        "form", "what",    "message",  "after",     NULL};

/* ---- paths --------------------------------------------------------------------------------------------------------------------- */

static void append(ak_wire_path *p, const char *format, const char *name, size_t i) {
    size_t room = sizeof p->s - p->n;
    int n = name != NULL ? snprintf(p->s + p->n, room, format, name) : snprintf(p->s + p->n, room, format, i);
    p->n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

size_t ak_path_name(ak_wire_path *p, const char *name) {
    size_t back = p->n;
    append(p, back != 0 ? ".%s" : "%s", name, 0);
    return back;
}

size_t ak_path_index(ak_wire_path *p, size_t i) {
    size_t back = p->n;
    append(p, "[%zu]", NULL, i);
    return back;
}

/* ---- names of places and key exchanges --------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    ak_message_kind where;
} places[] = {
    {"client_hello", AK_IN_client_hello},
    {"server_hello", AK_IN_server_hello},
    {"server_hello_12", AK_IN_server_hello_12},
    {"hello_retry_request", AK_IN_hello_retry_request},
    {"encrypted_extensions", AK_IN_encrypted_extensions},
    {"certificate", AK_IN_certificate},
    {"certificate_request", AK_IN_certificate_request},
    {"new_session_ticket", AK_IN_new_session_ticket},
    {"ech_config", AK_IN_ech_config},
};

bool ak_wire_place_find(const char *name, ak_message_kind *where) {
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (strcmp(places[i].name, name) != 0) continue;
        *where = places[i].where;
        return true;
    }
    return false;
}

const char *ak_wire_place_name(ak_message_kind where) {
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (places[i].where == where) return places[i].name;
    return "client_hello";
}

static const struct {
    const char *name;
    ak_wire_kx kx;
} exchanges[] = {
    {"rsa", AK_WKX_rsa},           {"rsa_export", AK_WKX_rsa_export}, {"dhe", AK_WKX_dhe},           {"dh_anon", AK_WKX_dh_anon},
    {"dh", AK_WKX_dh},             {"ecdhe", AK_WKX_ecdhe},           {"ecdh_anon", AK_WKX_ecdh_anon}, {"ecdh", AK_WKX_ecdh},
    {"psk", AK_WKX_psk},           {"dhe_psk", AK_WKX_dhe_psk},       {"ecdhe_psk", AK_WKX_ecdhe_psk}, {"rsa_psk", AK_WKX_rsa_psk},
    {"srp", AK_WKX_srp},           {"srp_signed", AK_WKX_srp_signed}, {"tls13", AK_WKX_tls13},
};

ak_wire_kx ak_wire_kx_find(const char *name) {
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++)
        if (strcmp(exchanges[i].name, name) == 0) return exchanges[i].kx;
    return AK_WKX_unknown;
}

/* ---- options ----------------------------------------------------------------------------------------------------------------------------- */

static int bad_option(lua_State *L, const char *key, const char *what) { return luaL_error(L, "option '%s': %s", key, what); }

static const struct {
    const char *name;
    ak_wire_what what;
} wholes[] = {
    {"records", AK_WHAT_records},   {"record", AK_WHAT_record},         {"messages", AK_WHAT_messages},
    {"message", AK_WHAT_message},   {"handshake", AK_WHAT_message},     {"handshakes", AK_WHAT_messages},
    {"extensions", AK_WHAT_extensions},
};

/* what_option: a whole, a content type, a structure, or a message whose form the context tells (*form is set to its type). */
static void what_option(lua_State *L, ak_wire_options *o, const char *what, int *handshake) {
    uint32_t type;
    for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++) {
        if (strcmp(wholes[i].name, what) != 0) continue;
        o->what = wholes[i].what;
        return;
    }
    if (ak_number(AK_REG_content_types, what, &type)) {
        o->what = AK_WHAT_message;
        o->content = (uint8_t)type;
        return;
    }
    o->what = AK_WHAT_struct;
    o->schema = ak_schema_find(what);
    if (o->schema != NULL) return;
    if (!ak_number(AK_REG_handshake_types, what, &type))
        luaL_error(L, "option 'what': '%s' is neither \"records\", \"record\", \"messages\", \"message\", \"extensions\" nor the name of a message or structure", what);
    *handshake = (int)type;
}

static void option_value(lua_State *L, ak_wire_options *o, const char *key, int at, int *handshake) {
    uint32_t v;
    const char *s = lua_type(L, at) == LUA_TSTRING ? lua_tostring(L, at) : "";
    if (strcmp(key, "what") == 0) {
        what_option(L, o, s, handshake);
    } else if (strcmp(key, "version") == 0) {
        if (!ak_lua_registry_number(L, at, AK_REG_versions, &v) || v > 0xffff)
            luaL_error(L, "option 'version': '%s' is none: \"TLS 1.3\", \"1.2\" or a number", luaL_tolstring(L, at, NULL));
        o->context.version = (uint16_t)v;
    } else if (strcmp(key, "kx") == 0) {
        o->context.kx = (uint16_t)ak_wire_kx_find(s);
        if (o->context.kx == AK_WKX_unknown) bad_option(L, key, "it is no key exchange");
    } else if (strcmp(key, "suite") == 0) {
        if (!ak_lua_registry_number(L, at, AK_REG_suites, &v) || v > 0xffff) bad_option(L, key, "it is no cipher suite");
        o->context.kx = (uint16_t)ak_suite_wire_kx((uint16_t)v);
    } else if (strcmp(key, "from") == 0) {
        if (strcmp(s, "client") != 0 && strcmp(s, "server") != 0) bad_option(L, key, "it is \"client\" or \"server\"");
        o->context.from = s[0] == 'c' ? AK_SENDER_client : AK_SENDER_server;
    } else if (strcmp(key, "message") == 0) {
        if (!ak_wire_place_find(s, &o->where)) bad_option(L, key, "it is no message with extensions");
    } else if (strcmp(key, "deep") == 0) {
        o->shallow = !lua_toboolean(L, at);
    } else {
        luaL_error(L, "unknown option '%s'", key);
    }
}

/* read_options: those of the table at `at` (may be absent). The result is the type of the message whose form is still to be told, or -1. */
static int read_options(lua_State *L, int at, ak_wire_options *o) {
    int handshake = -1;
    memset(o, 0, sizeof *o);
    o->where = AK_IN_client_hello;
    if (lua_isnoneornil(L, at)) return -1;
    luaL_checktype(L, at, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, at) != 0) {
        int value = lua_gettop(L);
        if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "options have names");
        option_value(L, o, lua_tostring(L, -2), value, &handshake);
        lua_settop(L, value - 1);
    }
    return handshake;
}

/* choose_structure: the form of a body that was asked for by its message's name. */
static void choose_structure(lua_State *L, ak_wire_options *o, int handshake, const ak_view *body) {
    const ak_schema *s;
    if (handshake < 0) return;
    o->schema = ak_message_form((uint8_t)handshake, &o->context, 0);
    for (size_t i = 0; body != NULL && (s = ak_message_form((uint8_t)handshake, &o->context, i)) != NULL; i++) {
        if (ak_schema_check(s, *body, NULL) != AK_OK) continue;
        o->schema = s;
        return;
    }
    if (o->schema == NULL) bad_option(L, "what", "this message has no form in this context");
}

/* ---- decode, encode --------------------------------------------------------------------------------------------------------------------- */

static int decode(lua_State *L) {
    ak_wire_options o;
    ak_view bytes = ak_lua_bytes(L, 1);
    choose_structure(L, &o, read_options(L, 2, &o), &bytes);
    ak_wire_decode(L, bytes, &o);
    return 1;
}

/* encode_at_1: encodes the first argument with the options at `options`; leaves the buffer on the stack. */
static ak_buf *encode_at_1(lua_State *L, int options, int spans) {
    ak_wire_options o;
    char error[512];
    luaL_checkany(L, 1);
    int handshake = read_options(L, options, &o);
    if (handshake >= 0 && lua_istable(L, 1)) { /* the table itself may know its form */
        lua_pushliteral(L, "form");
        o.schema = lua_rawget(L, 1) == LUA_TSTRING ? ak_message_form_by_name((uint8_t)handshake, lua_tostring(L, -1)) : NULL;
        lua_pop(L, 1);
    }
    if (o.schema == NULL) choose_structure(L, &o, handshake, NULL);
    ak_buf *b = ak_lua_push_box(L);
    if (!ak_wire_encode(L, 1, &o, b, spans, NULL, error, sizeof error)) luaL_error(L, "%s", error);
    return b;
}

static int encode(lua_State *L) {
    return ak_lua_push_boxed(L, encode_at_1(L, 2, 0));
}

/* ---- spans ----------------------------------------------------------------------------------------------------------------------------------- */

static int spans(lua_State *L) {
    lua_settop(L, 2);
    lua_newtable(L);
    ak_buf_free(encode_at_1(L, 2, 3));
    lua_settop(L, 3);
    return 1;
}

static int span(lua_State *L) {
    ak_lua_check_string(L, 2);
    lua_settop(L, 3);
    lua_newtable(L);
    ak_buf_free(encode_at_1(L, 3, 4));
    lua_settop(L, 4);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 4);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 4, i);
        lua_getfield(L, 5, "path");
        if (lua_rawequal(L, -1, 2)) {
            lua_getfield(L, 5, "offset");
            lua_getfield(L, 5, "length");
            lua_getfield(L, 5, "prefix");
            return 3;
        }
        lua_settop(L, 4);
    }
    return 0;
}

/* ---- the strict decode ---------------------------------------------------------------------------------------------------------------------------- */

static int fail(lua_State *L, ak_failure *f) {
    f->state = "decode";
    return ak_lua_fail(L, f);
}

static ak_error check_whole(ak_view bytes, const ak_wire_options *o, const ak_schema **form, ak_failure *f) {
    uint8_t type;
    ak_view body;
    *form = o->what == AK_WHAT_struct ? o->schema : ak_wire_content_schema(o->content);
    if (*form != NULL) return ak_schema_check(*form, bytes, f);
    if (o->what == AK_WHAT_extensions) return ak_extension_bodies_check(bytes, o->where, f);
    if (o->what == AK_WHAT_record) return ak_schema_check(*form = &ak_schema_tls_plaintext, bytes, f);
    if (o->content != 0 && o->content != AK_CT_handshake) return AK_OK; /* application data: any bytes */
    ak_error e = ak_handshake_split(bytes, &type, &body, f);
    return e != AK_OK ? e : ak_message_check(type, body, &o->context, form, f);
}

static int check(lua_State *L) {
    ak_wire_options o;
    ak_failure f;
    const ak_schema *form;
    ak_view bytes = ak_lua_bytes(L, 1);
    choose_structure(L, &o, read_options(L, 2, &o), &bytes);
    if (o.what == AK_WHAT_records || o.what == AK_WHAT_messages) return bad_option(L, "what", "one at a time");
    memset(&f, 0, sizeof f);
    ak_error e = check_whole(bytes, &o, &form, &f);
    if (e != AK_OK) return fail(L, &f);
    lua_pushboolean(L, 1);
    lua_pushstring(L, form != NULL ? form->name : NULL);
    return 2;
}

static int recode(lua_State *L) {
    ak_failure f;
    bool known;
    ak_view bytes = ak_lua_bytes(L, 1);
    const char *name = ak_lua_check_string(L, 2);
    memset(&f, 0, sizeof f);
    ak_buf *b = ak_lua_push_box(L);
    ak_error e = ak_wire_recode(name, bytes, b, &known, &f);
    if (!known) return luaL_argerror(L, 2, "there is no such structure");
    if (e != AK_OK) return fail(L, &f);
    return ak_lua_push_boxed(L, b);
}

/* ---- the table of RFC 8446 §4.2, GREASE ----------------------------------------------------------------------------------------------------------------- */

/* no_extension: what argument idx is taken for names none. */
static void no_extension(lua_State *L, int idx) {
    if (lua_type(L, idx) == LUA_TSTRING) lua_pushfstring(L, "there is no '%s' among the extensions", lua_tostring(L, idx));
    else lua_pushliteral(L, "an extension's name or number");
    luaL_argerror(L, idx, lua_tostring(L, -1));
}

static int extension_allowed(lua_State *L) {
    uint32_t type = 0;
    ak_message_kind where = AK_IN_client_hello;
    if (!ak_lua_registry_number(L, 1, AK_REG_extensions, &type) || type > 0xffff) no_extension(L, 1);
    luaL_argcheck(L, ak_wire_place_find(ak_lua_check_string(L, 2), &where), 2, "a message with extensions");
    switch (ak_extension_allowed((uint16_t)type, where)) {
    case AK_PLACE_allowed: lua_pushliteral(L, "allowed"); break;
    case AK_PLACE_wrong: lua_pushliteral(L, "misplaced"); break;
    case AK_PLACE_unknown: lua_pushliteral(L, "unknown"); break;
    }
    return 1;
}

static int is_grease(lua_State *L) {
    int exact;
    lua_Integer v = lua_tointegerx(L, 1, &exact);
    lua_pushboolean(L, exact && lua_type(L, 1) == LUA_TNUMBER && v >= 0 && v <= 0xffff && ak_is_grease((uint32_t)v));
    return 1;
}

/* registry_argument: argument 1 as a registry's name. */
static ak_registry registry_argument(lua_State *L) {
    ak_registry reg = ak_registry_find(ak_lua_check_string(L, 1));
    luaL_argcheck(L, reg != AK_REG_COUNT && reg != AK_REG_none, 1, "there is no such registry");
    return reg;
}

static int name(lua_State *L) {
    ak_registry reg = registry_argument(L);
    lua_Integer v = luaL_checkinteger(L, 2);
    ak_wire_push_names(L, reg);
    if (lua_rawgeti(L, -1, v) != LUA_TSTRING) lua_pushnil(L);
    return 1;
}

static int number(lua_State *L) {
    uint32_t v;
    ak_registry reg = registry_argument(L);
    luaL_checkany(L, 2);
    if (!ak_lua_registry_number(L, 2, reg, &v)) return 0;
    lua_pushinteger(L, v);
    return 1;
}

/* structure(name): the names of its fields. */
static int structure(lua_State *L) {
    const ak_schema *s = ak_schema_find(ak_lua_check_string(L, 1));
    luaL_argcheck(L, s != NULL, 1, "there is no such structure");
    lua_createtable(L, (int)s->n, 0);
    lua_Integer n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->fields[i].kind == AK_F_maybe) continue;
        lua_pushstring(L, s->fields[i].name);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static int structures(lua_State *L) {
    const ak_schema *s;
    lua_newtable(L);
    for (size_t i = 0; (s = ak_schema_at(i)) != NULL; i++) {
        lua_pushstring(L, s->name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- lists of extensions ---------------------------------------------------------------------------------------------------------------------------------- */

/* find_extension: the index of the first extension called by the value at `name`; 0: there is none. */
static lua_Integer find_extension(lua_State *L, int name) {
    uint32_t wanted, type;
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!ak_lua_registry_number(L, name, AK_REG_extensions, &wanted)) no_extension(L, name);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
    for (lua_Integer i = 1; i <= n; i++) {
        int top = lua_gettop(L);
        bool same = lua_rawgeti(L, 1, i) == LUA_TTABLE;
        if (same) {
            lua_pushliteral(L, "type");
            lua_rawget(L, top + 1);
            same = ak_lua_registry_number(L, top + 2, AK_REG_extensions, &type) && type == wanted;
        }
        lua_settop(L, top);
        if (same) return i;
    }
    return 0;
}

/* position: argument `arg` as an index from 1 to most; negative ones count from the end. */
static lua_Integer position(lua_State *L, int arg, lua_Integer most) {
    lua_Integer i = luaL_checkinteger(L, arg);
    if (i < 0) i = most + 1 + i;
    luaL_argcheck(L, i >= 1 && i <= most, arg, "out of range");
    return i;
}

/* remove_at: takes the item out and leaves it on the stack. */
static void remove_at(lua_State *L, lua_Integer at) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
    lua_rawgeti(L, 1, at);
    for (lua_Integer i = at; i < n; i++) {
        lua_rawgeti(L, 1, i + 1);
        lua_rawseti(L, 1, i);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, n);
}

/* insert_at: puts the value on top at this place; pops it. */
static void insert_at(lua_State *L, lua_Integer at) {
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, 1); i >= at; i--) {
        lua_rawgeti(L, 1, i);
        lua_rawseti(L, 1, i + 1);
    }
    lua_rawseti(L, 1, at);
}

/* exts:find(name) → extension, index */
static int exts_find(lua_State *L) {
    lua_Integer i = find_extension(L, 2);
    if (i == 0) return 0;
    lua_rawgeti(L, 1, i);
    lua_pushinteger(L, i);
    return 2;
}

/* exts:remove(name) → exts, extension (nil when it was not there) */
static int exts_remove(lua_State *L) {
    lua_Integer i = find_extension(L, 2);
    lua_pushvalue(L, 1);
    if (i == 0) return 1;
    remove_at(L, i);
    return 2;
}

/* exts:move(name, to) → exts; to: an index, -1 for the last place. Raises when there is no such extension. */
static int exts_move(lua_State *L) {
    lua_Integer i = find_extension(L, 2);
    lua_Integer to = position(L, 3, (lua_Integer)lua_rawlen(L, 1));
    luaL_argcheck(L, i != 0, 2, "there is no such extension in the list");
    lua_settop(L, 3);
    remove_at(L, i);
    insert_at(L, to);
    lua_settop(L, 1);
    return 1;
}

/* exts:insert(at, extension) → exts; at: an index, -1 for the end. */
static int exts_insert(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, lua_istable(L, 3) || lua_type(L, 3) == LUA_TSTRING, 3, "an extension");
    lua_Integer at = position(L, 2, (lua_Integer)lua_rawlen(L, 1) + 1);
    lua_settop(L, 3);
    insert_at(L, at);
    lua_settop(L, 1);
    return 1;
}

/* ---- the module ---------------------------------------------------------------------------------------------------------------------------------------------- */

/* registry.suites: made when it is asked for. */
static int registry_index(lua_State *L) {
    ak_registry reg = lua_type(L, 2) == LUA_TSTRING ? ak_registry_find(lua_tostring(L, 2)) : AK_REG_COUNT;
    if (reg == AK_REG_COUNT || reg == AK_REG_none) return 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    ak_wire_push_names(L, reg);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, 1);
    return 1;
}

static int registry_names(lua_State *L) {
    lua_createtable(L, AK_REG_COUNT, 0);
    for (int i = AK_REG_none + 1; i < AK_REG_COUNT; i++) {
        lua_pushstring(L, ak_registry_name((ak_registry)i));
        lua_rawseti(L, -2, i);
    }
    return 1;
}

static void push_registry(lua_State *L) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, registry_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static void make_class(lua_State *L, const char *name, const luaL_Reg *methods) {
    if (luaL_newmetatable(L, name)) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

int ak_open_wire(lua_State *L) {
    static const luaL_Reg node_methods[] = {{"span", span}, {"spans", spans}, {"encode", encode}, {NULL, NULL}};
    static const luaL_Reg list_methods[] = {{"find", exts_find}, {"move", exts_move}, {"remove", exts_remove}, {"insert", exts_insert},
                                            {"span", span},      {"spans", spans},    {"encode", encode},      {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"decode", decode}, {"encode", encode}, {"check", check}, {"recode", recode}, {"span", span}, {"spans", spans},
        {"declare_extension", ak_wire_declare}, {"extension_allowed", extension_allowed}, {"is_grease", is_grease},
        {"name", name}, {"number", number}, {"structure", structure}, {"structures", structures}, {"registries", registry_names}, {NULL, NULL}};
    make_class(L, AK_WIRE_NODE, node_methods);
    make_class(L, AK_WIRE_EXTENSIONS, list_methods);
    luaL_newlib(L, functions);
    push_registry(L);
    lua_setfield(L, -2, "registry");
    return 1;
}
