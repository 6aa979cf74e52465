/* lwire_encode_whole.c: tables to bytes: messages, records, lists of them, and telling which of these a table is. */
#include "binding/lwire_encode.h"
#include "record/record.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* ---- messages ------------------------------------------------------------------------------------------------------------------------ */

/* fitting_form: the first of the forms that the context allows whose fields are those of the table. */
static const ak_schema *fitting_form(ak_enc *e, int idx, uint8_t type, const ak_wire_context *c, char *name, size_t n) {
    const ak_schema *s;
    for (size_t i = 0; (s = ak_message_form(type, c, i)) != NULL; i++)
        if (!ak_enc_stranger(e->L, idx, s, name, n)) return s;
    return NULL;
}

static const ak_schema *body_schema(ak_enc *e, int idx, uint8_t type) {
    static const ak_wire_context anything = {0, AK_WKX_unknown, AK_SENDER_any};
    char name[64] = "";
    const ak_schema *s = NULL, *only = ak_message_form(type, &anything, 0);
    if (only == NULL) {
        ak_enc_wrong(e, "nothing is known of the body of this message: it takes raw = bytes");
        return NULL;
    }
    if (ak_message_form(type, &anything, 1) == NULL) return only;
    int kind = ak_enc_get(e, idx, "form");
    if (kind == LUA_TSTRING) {
        s = ak_message_form_by_name(type, lua_tostring(e->L, -1));
        if (s == NULL) ak_enc_wrong(e, "%.60s is no form of this message", lua_tostring(e->L, -1));
    } else {
        s = fitting_form(e, idx, type, &e->o->context, name, sizeof name);
        if (s == NULL) s = fitting_form(e, idx, type, &anything, name, sizeof name);
        if (s == NULL) ak_enc_wrong(e, "none of this message's forms has a field '%s' beside the others", name);
    }
    lua_pop(e->L, 1);
    return s;
}

/* write_handshake: header and body of the handshake message at idx. */
static bool write_handshake(ak_enc *e, int idx, uint8_t type) {
    if (!ak_enc_put(e, &type, 1)) return false;
    size_t start = ak_enc_open_length(e, 3);
    bool raw = ak_enc_get(e, idx, "raw") != LUA_TNIL;
    lua_pop(e->L, 1);
    if (raw) {
        if (!ak_enc_put_string_field(e, idx, "raw")) return false;
    } else {
        const ak_schema *s = body_schema(e, idx, type);
        if (s == NULL || !ak_enc_write_fields(e, idx, s)) return false;
    }
    return ak_enc_close_length(e, start, 3, idx);
}

/* message_type: what `type` says the table at idx is. */
static bool message_type(ak_enc *e, int idx, uint8_t *content, uint8_t *type) {
    uint32_t v = 0;
    int kind = ak_enc_get(e, idx, "type"), at = lua_gettop(e->L);
    bool ok = true;
    if (kind == LUA_TSTRING && strcmp(lua_tostring(e->L, at), "hello_retry_request") == 0) {
        e->hello = AK_IN_hello_retry_request;
        v = AK_HT_server_hello;
    } else if (kind == LUA_TNIL) {
        *content = e->o->content;
        if (*content == 0 && ak_enc_get(e, idx, "level") != LUA_TNIL) *content = AK_CT_alert;
        ok = *content != 0 || ak_enc_wrong(e, "a message needs a type");
    } else if (!ak_lua_registry_number(e->L, at, AK_REG_handshake_types, &v)) {
        ok = kind == LUA_TSTRING && ak_lua_registry_number(e->L, at, AK_REG_content_types, &v);
        *content = (uint8_t)v;
        ok = ok && v != AK_CT_handshake; /* a content type, not a message */
        if (!ok) ak_enc_wrong(e, "there is no message '%.60s'", kind == LUA_TSTRING ? lua_tostring(e->L, at) : lua_typename(e->L, kind));
    } else if (v > 255) {
        ok = ak_enc_wrong(e, "a message's type is at most 255");
    }
    *type = (uint8_t)v;
    lua_settop(e->L, at - 1);
    return ok;
}

/* write_message: the message at idx, a table or a string. */
static bool write_message(ak_enc *e, int idx, uint8_t *content) {
    lua_State *L = e->L;
    uint8_t type;
    bool ok;
    luaL_checkstack(L, 10, "wire");
    *content = e->o->content != 0 ? e->o->content : AK_CT_handshake;
    if (!lua_istable(L, idx)) return ak_enc_raw_or_string(e, idx, &ok) ? ok : ak_enc_must_be(e, idx, "a table or a string");
    bool typed = ak_enc_get(e, idx, "type") != LUA_TNIL;
    lua_pop(L, 1);
    if (!typed && ak_enc_raw_or_string(e, idx, &ok)) return ok;
    *content = AK_CT_handshake;
    if (!message_type(e, idx, content, &type)) return false;
    if (*content == AK_CT_handshake) {
        ok = write_handshake(e, idx, type);
        e->hello = (ak_message_kind)0;
        return ok;
    }
    if (!ak_enc_no_length(e, idx)) return false;
    if (ak_enc_raw_or_string(e, idx, &ok)) return ok;
    const ak_schema *s = ak_wire_content_schema(*content);
    return s != NULL ? ak_enc_write_fields(e, idx, s) : ak_enc_wrong(e, "a message of this type takes raw = bytes");
}

/* ---- records, lists, the whole ----------------------------------------------------------------------------------------------------------- */

typedef bool writer(ak_enc *e, int idx);

/* write_each: every item of the list at idx as a node, then what trails. */
static bool write_each(ak_enc *e, int idx, writer *write) {
    lua_State *L = e->L;
    luaL_checkstack(L, 10, "wire");
    if (!lua_istable(L, idx)) return ak_enc_must_be(e, idx, "a list");
    lua_Unsigned n = lua_rawlen(L, idx);
    for (lua_Unsigned i = 1; i <= n; i++) {
        size_t back = ak_path_index(&e->path, (size_t)i);
        lua_rawgeti(L, idx, (lua_Integer)i);
        lua_Integer span = ak_enc_open_span(e, 0);
        size_t start = e->out->n;
        if (!write(e, lua_gettop(L))) return false;
        ak_enc_close_span(e, span, start);
        ak_path_back(&e->path, back);
        lua_pop(L, 1);
    }
    return ak_enc_only_items(e, idx, n) && ak_enc_put_string_field(e, idx, "trailing");
}

static bool write_one_message(ak_enc *e, int idx) {
    uint8_t content;
    return write_message(e, idx, &content);
}

/* write_code: the number of t[key], in `bytes` bytes; absent: `otherwise`, or an error when that is negative. */
static bool write_code(ak_enc *e, int idx, const char *key, ak_registry reg, uint8_t bytes, long otherwise) {
    const ak_field field = {.name = key, .kind = AK_F_uint, .prefix = bytes, .registry = (uint16_t)reg};
    ak_enc_frame fr;
    size_t back = ak_path_name(&e->path, key);
    if (ak_enc_get(e, idx, key) == LUA_TNIL) {
        if (otherwise < 0) return ak_enc_wrong(e, "missing");
        lua_pop(e->L, 1);
        lua_pushinteger(e->L, otherwise);
    }
    if (!ak_enc_write_number(e, lua_gettop(e->L), &field, &fr)) return false;
    ak_path_back(&e->path, back);
    lua_pop(e->L, 1);
    return true;
}

static bool write_record(ak_enc *e, int idx) {
    lua_State *L = e->L;
    bool ok;
    char name[64];
    static const char in_fragment[] = "it belongs into fragment, a table";
    if (ak_enc_raw_or_string(e, idx, &ok)) return ok;
    if (!lua_istable(L, idx)) return ak_enc_must_be(e, idx, "a table or a string");
    if (ak_enc_stranger(L, idx, &ak_schema_tls_plaintext, name, sizeof name)) return ak_enc_wrong(e, "a record has no field '%s'", name);
    if (!ak_enc_without(e, idx, "length", in_fragment) || !ak_enc_without(e, idx, "trailing", in_fragment)) return false;
    if (!write_code(e, idx, "type", AK_REG_content_types, 1, -1)) return false;
    if (!write_code(e, idx, "version", AK_REG_versions, 2, AK_TLS12)) return false;
    size_t back = ak_path_name(&e->path, "fragment");
    bool absent = ak_enc_get(e, idx, "fragment") == LUA_TNIL;
    int at = lua_gettop(L);
    ak_enc_vector v = ak_enc_open_vector(e, 2);
    if (!absent && !ak_enc_raw_or_string(e, at, &ok)) ok = write_each(e, at, write_one_message);
    if (!absent && !ok) return false;
    if (!ak_enc_close_vector(e, &v, lua_istable(L, at) ? at : 0)) return false;
    ak_path_back(&e->path, back);
    lua_settop(L, at - 1);
    return true;
}

static bool has(ak_enc *e, int idx, const char *key) {
    bool found = lua_istable(e->L, idx) && ak_enc_get(e, idx, key) != LUA_TNIL;
    if (lua_istable(e->L, idx)) lua_pop(e->L, 1);
    return found;
}

/* form_of: the structure that `form` names, when it is not the form of a message. */
static const ak_schema *form_of(ak_enc *e, int idx) {
    uint32_t type;
    const ak_schema *s = NULL;
    int top = lua_gettop(e->L);
    if (ak_enc_get(e, idx, "form") == LUA_TSTRING) {
        const char *form = lua_tostring(e->L, -1);
        bool typed = ak_enc_get(e, idx, "type") != LUA_TNIL;
        bool message = typed && ak_lua_registry_number(e->L, top + 2, AK_REG_handshake_types, &type) && type <= 255 &&
                       ak_message_form_by_name((uint8_t)type, form) != NULL;
        if (!message) s = ak_schema_find(form);
    }
    lua_settop(e->L, top);
    return s;
}

static ak_wire_what guess_list(ak_enc *e, int idx) {
    static const struct {
        const char *name;
        ak_wire_what what;
    } kinds[] = {{"records", AK_WHAT_records}, {"messages", AK_WHAT_messages}, {"extensions", AK_WHAT_extensions}};
    int top = lua_gettop(e->L);
    ak_wire_what what = AK_WHAT_guess;
    const char *name = ak_enc_get(e, idx, "what") == LUA_TSTRING ? lua_tostring(e->L, -1) : "";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0) what = kinds[i].what;
    if (what == AK_WHAT_guess && lua_rawgeti(e->L, idx, 1) == LUA_TTABLE) {
        if (has(e, top + 2, "fragment"))
            what = AK_WHAT_records;
        else
            what = has(e, top + 2, "data") ? AK_WHAT_extensions : AK_WHAT_messages;
    }
    lua_settop(e->L, top);
    return what;
}

static bool is_extension_list(lua_State *L, int idx) {
    if (!lua_getmetatable(L, idx)) return false;
    luaL_getmetatable(L, AK_WIRE_EXTENSIONS);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

static ak_wire_what guess(ak_enc *e, int idx, const ak_schema **schema) {
    if (!lua_istable(e->L, idx)) return AK_WHAT_message;
    if (is_extension_list(e->L, idx)) return AK_WHAT_extensions;
    *schema = form_of(e, idx);
    if (*schema != NULL) return AK_WHAT_struct;
    if (has(e, idx, "fragment")) return AK_WHAT_record;
    if (has(e, idx, "type") || has(e, idx, "level") || has(e, idx, "raw")) return AK_WHAT_message;
    return guess_list(e, idx);
}

static bool write_all_extensions(ak_enc *e, int idx) {
    ak_message_kind where = e->o->where;
    bool ok;
    if (ak_enc_raw_or_string(e, idx, &ok)) return ok;
    if (!lua_istable(e->L, idx)) return ak_enc_must_be(e, idx, "a list or a string");
    if (ak_enc_get(e, idx, "message") == LUA_TSTRING && !ak_wire_place_find(lua_tostring(e->L, -1), &where))
        return ak_enc_wrong(e, "message: '%.60s' has no extensions", lua_tostring(e->L, -1));
    lua_pop(e->L, 1);
    return ak_enc_write_extensions(e, idx, where);
}

static bool write_whole(ak_enc *e, int idx, uint8_t *content) {
    const ak_schema *schema = e->o->schema;
    ak_wire_what what = e->o->what == AK_WHAT_guess ? guess(e, idx, &schema) : e->o->what;
    bool ok = true, list = what == AK_WHAT_records || what == AK_WHAT_messages || what == AK_WHAT_extensions;
    if (list && !ak_enc_no_length(e, idx)) return false;
    switch (what) {
    case AK_WHAT_records: return ak_enc_raw_or_string(e, idx, &ok) ? ok : write_each(e, idx, write_record);
    case AK_WHAT_messages: return ak_enc_raw_or_string(e, idx, &ok) ? ok : write_each(e, idx, write_one_message);
    case AK_WHAT_extensions: return write_all_extensions(e, idx);
    case AK_WHAT_struct: return ak_enc_put_struct(e, idx, schema); /* the whole is a node already */
    case AK_WHAT_record: ok = write_record(e, idx); break;
    case AK_WHAT_message: ok = write_message(e, idx, content); break;
    case AK_WHAT_guess: return ak_enc_wrong(e, "it cannot be told what this is: say what = \"record\", \"message\", … in the options");
    }
    return ok && (!lua_istable(e->L, idx) || ak_enc_put_string_field(e, idx, "after"));
}

bool ak_wire_encode(lua_State *L, int idx, const ak_wire_options *o, ak_buf *out, int spans, uint8_t *content, char *error, size_t n) {
    ak_enc e;
    uint8_t ignored;
    luaL_checkstack(L, 20, "wire");
    memset(&e, 0, sizeof e);
    e.L = L;
    e.o = o;
    e.out = out;
    e.base = out->n;
    e.spans = spans;
    e.error = error;
    e.error_size = n;
    idx = lua_absindex(L, idx);
    int top = lua_gettop(L);
    lua_Integer span = ak_enc_open_span(&e, 0);
    bool ok = write_whole(&e, idx, content != NULL ? content : &ignored);
    lua_settop(L, top);
    if (ok) {
        ak_enc_close_span(&e, span, e.base);
        if (lua_istable(L, idx)) ak_enc_bless(L, idx, AK_WIRE_NODE);
    } else {
        out->n = e.base;
        out->bad = false;
    }
    return ok;
}

bool ak_lua_encode_message(lua_State *L, int idx, const ak_wire_context *c, ak_buf *out, uint8_t *content, char *error, size_t n) {
    ak_wire_options o;
    memset(&o, 0, sizeof o);
    o.what = AK_WHAT_message;
    if (c != NULL) o.context = *c;
    if (content != NULL) *content = AK_CT_handshake;
    return ak_wire_encode(L, idx, &o, out, 0, content, error, n);
}
