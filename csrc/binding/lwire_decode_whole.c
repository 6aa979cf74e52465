/* lwire_decode_whole.c: bytes to tables: messages, records, lists of them, and telling which of these the bytes are. */
#include "binding/lwire_decode.h"
#include "record/record.h"

#include <lauxlib.h>
#include <string.h>

/* ---- handshake messages ---------------------------------------------------------------------------------------------------------------- */

/* learn: what a ServerHello says about the form of the messages after it. */
static void learn(ak_dec *d, uint8_t type, ak_view body) {
    struct ak_server_hello sh;
    struct ak_ext_supported_versions_server chosen;
    ak_view data;
    if (type != AK_HT_server_hello || ak_decode_server_hello(body, &sh, NULL) != AK_OK) return;
    d->c.version = sh.legacy_version;
    if (ak_ext_find(sh.extensions, AK_EXT_supported_versions, &data) && ak_decode_ext_supported_versions_server(data, &chosen, NULL) == AK_OK)
        d->c.version = chosen.selected_version;
    d->c.kx = (uint16_t)ak_suite_wire_kx(sh.cipher_suite);
    d->changed_keys = false;
}

/* choose_form: the form of a body; NULL when none is certain. *several: whether the message has more than one. */
static const ak_schema *choose_form(const ak_dec *d, uint8_t type, ak_view body, bool *several) {
    static const ak_wire_context anything = {0, AK_WKX_unknown, AK_SENDER_any};
    *several = ak_message_form(type, &anything, 1) != NULL;
    const ak_schema *first = ak_message_form(type, &d->c, 0), *s;
    if (first == NULL || ak_message_form(type, &d->c, 1) == NULL) return first != NULL || *several ? first : ak_message_form(type, &anything, 0);
    for (size_t i = 0; (s = ak_message_form(type, &d->c, i)) != NULL; i++)
        if (ak_schema_check(s, body, NULL) == AK_OK) return s;
    return NULL;
}

static bool is_retry(uint8_t type, ak_view body) {
    return type == AK_HT_server_hello && body.n >= 34 && ak_view_eq(ak_view_of(body.p + 2, 32), ak_view_of(ak_hrr_random, sizeof ak_hrr_random));
}

static void read_body(ak_dec *d, uint8_t type, ak_view body) {
    bool several;
    const ak_schema *s = choose_form(d, type, body, &several);
    if (s == NULL) {
        ak_dec_push(d, body);
        ak_dec_set(d, "raw");
        ak_dec_note(d, body.p, true, several ? "none of this message's forms fits" : "a message of unknown form");
        return;
    }
    if (several) {
        lua_pushstring(d->L, s->name);
        ak_dec_set(d, "form");
    }
    ak_rd r = ak_dec_inside(body);
    ak_dec_fields(d, &r, s);
    ak_dec_trailing(d, &r, "bytes after its end");
    learn(d, type, body);
}

/* read_message: one handshake message with its header. */
static void read_message(ak_dec *d, ak_rd *r) {
    uint8_t type;
    ak_view body;
    size_t length;
    luaL_checkstack(d->L, 8, "wire");
    lua_createtable(d->L, 0, 8);
    if (ak_rd_left(r) < AK_HANDSHAKE_HEADER) {
        ak_rd_rest(r, &body);
        ak_dec_push(d, body);
        ak_dec_set(d, "raw");
        ak_dec_note(d, body.p != NULL ? body.p : d->base, true, "shorter than a handshake header");
        return;
    }
    ak_rd_u8(r, &type);
    ak_dec_clipped(r, 3, &body, &length);
    if (is_retry(type, body))
        lua_pushliteral(d->L, "hello_retry_request");
    else
        ak_lua_push_registry_value(d->L, AK_REG_handshake_types, type);
    ak_dec_set(d, "type");
    if (length != body.n) {
        ak_dec_beyond(d, body, length);
    }
    read_body(d, type, body);
}

static void read_messages(ak_dec *d, ak_rd *r) {
    lua_newtable(d->L);
    for (size_t i = 1; ak_rd_left(r) >= AK_HANDSHAKE_HEADER; i++) {
        size_t back = ak_path_index(&d->path, i);
        read_message(d, r);
        ak_path_back(&d->path, back);
        luaL_setmetatable(d->L, AK_WIRE_NODE);
        lua_rawseti(d->L, -2, (lua_Integer)i);
    }
    ak_dec_trailing(d, r, "the last message is cut off");
}

/* ---- other messages, records -------------------------------------------------------------------------------------------------------------- */

const ak_schema *ak_wire_content_schema(uint8_t content) {
    switch (content) {
    case AK_CT_alert: return &ak_schema_alert;
    case AK_CT_change_cipher_spec: return &ak_schema_change_cipher_spec;
    case AK_CT_heartbeat: return &ak_schema_heartbeat;
    default: return NULL;
    }
}

/* read_content: a message that is none of the handshake's, as { type = <content type>, fields }. */
static void read_content(ak_dec *d, ak_rd *r, uint8_t content) {
    const ak_schema *s = ak_wire_content_schema(content);
    luaL_checkstack(d->L, 8, "wire");
    lua_createtable(d->L, 0, 4);
    ak_lua_push_registry_value(d->L, AK_REG_content_types, content);
    ak_dec_set(d, "type");
    if (s != NULL) {
        ak_dec_fields(d, r, s);
        ak_dec_trailing(d, r, "bytes after its end");
        return;
    }
    ak_view all;
    ak_rd_rest(r, &all);
    ak_dec_push(d, all);
    ak_dec_set(d, "raw");
}

/* readable: whether a record's fragment is plain, as far as can be told, and holds whole messages. */
static bool readable(const ak_dec *d, uint8_t content, ak_view fragment) {
    if (d->o->shallow) return false;
    if (content == AK_CT_change_cipher_spec) return fragment.n == 1;
    if (d->changed_keys) return false;
    if (content == AK_CT_alert) return fragment.n == 2 && ak_name(AK_REG_alert_levels, fragment.p[0]) != NULL;
    if (content != AK_CT_handshake || fragment.n == 0) return false;
    ak_rd r = ak_dec_inside(fragment);
    uint8_t type;
    ak_view body;
    while (ak_rd_left(&r) != 0)
        if (!ak_rd_u8(&r, &type) || !ak_rd_vec(&r, &body, 3) || ak_name(AK_REG_handshake_types, type) == NULL) return false;
    return true;
}

static void read_fragment(ak_dec *d, uint8_t content, ak_view fragment) {
    if (!readable(d, content, fragment)) {
        ak_dec_push(d, fragment);
        return;
    }
    ak_rd r = ak_dec_inside(fragment);
    if (content == AK_CT_handshake) {
        read_messages(d, &r);
        return;
    }
    if (content == AK_CT_change_cipher_spec && d->c.version != 0 && d->c.version < AK_TLS13) d->changed_keys = true;
    lua_createtable(d->L, 1, 0);
    size_t back = ak_path_index(&d->path, 1);
    read_content(d, &r, content);
    ak_path_back(&d->path, back);
    luaL_setmetatable(d->L, AK_WIRE_NODE);
    lua_rawseti(d->L, -2, 1);
}

static void read_record(ak_dec *d, ak_rd *r) {
    uint8_t type;
    uint16_t version;
    ak_view fragment;
    size_t length;
    luaL_checkstack(d->L, 8, "wire");
    lua_createtable(d->L, 0, 4);
    if (ak_rd_left(r) < AK_RECORD_HEADER) {
        ak_rd_rest(r, &fragment);
        ak_dec_push(d, fragment);
        ak_dec_set(d, "raw");
        ak_dec_note(d, fragment.p != NULL ? fragment.p : d->base, true, "shorter than a record header");
        return;
    }
    ak_rd_u8(r, &type);
    ak_rd_u16(r, &version);
    ak_dec_clipped(r, 2, &fragment, &length);
    ak_lua_push_registry_value(d->L, AK_REG_content_types, type);
    ak_dec_set(d, "type");
    ak_lua_push_registry_value(d->L, AK_REG_versions, version);
    ak_dec_set(d, "version");
    size_t back = ak_path_name(&d->path, "fragment");
    if (length == fragment.n) {
        read_fragment(d, type, fragment);
    } else {
        lua_createtable(d->L, 0, 3);
        ak_dec_push(d, fragment);
        ak_dec_set(d, "raw");
        ak_dec_beyond(d, fragment, length);
    }
    ak_path_back(&d->path, back);
    ak_dec_set(d, "fragment");
}

static void read_records(ak_dec *d, ak_rd *r) {
    lua_newtable(d->L);
    for (size_t i = 1; ak_rd_left(r) >= AK_RECORD_HEADER; i++) {
        size_t back = ak_path_index(&d->path, i);
        read_record(d, r);
        ak_path_back(&d->path, back);
        luaL_setmetatable(d->L, AK_WIRE_NODE);
        lua_rawseti(d->L, -2, (lua_Integer)i);
    }
    ak_dec_trailing(d, r, "the last record is cut off");
}

/* ---- the whole ----------------------------------------------------------------------------------------------------------------------------- */

static bool looks_like_records(ak_view v) { return v.n >= AK_RECORD_HEADER && v.p[0] >= 20 && v.p[0] <= 24 && v.p[1] == 3 && v.p[2] <= 4; }

/* looks_like_messages: how many whole messages of known types the bytes are; 0: something else. */
static size_t looks_like_messages(ak_view v) {
    ak_rd r = ak_dec_inside(v);
    uint8_t type;
    ak_view body;
    size_t n = 0;
    for (; ak_rd_left(&r) != 0; n++)
        if (!ak_rd_u8(&r, &type) || !ak_rd_vec(&r, &body, 3) || ak_name(AK_REG_handshake_types, type) == NULL) return 0;
    return n;
}

static ak_wire_what guess(ak_view v) {
    if (looks_like_records(v)) return AK_WHAT_records;
    return looks_like_messages(v) > 1 ? AK_WHAT_messages : AK_WHAT_message;
}

static void name_list(ak_dec *d, const char *what) {
    lua_pushstring(d->L, what);
    ak_dec_set(d, "what");
}

/* keep_rest: bytes after a single message or record. */
static void keep_rest(ak_dec *d, ak_rd *r) {
    ak_view rest;
    ak_rd_rest(r, &rest);
    if (rest.n == 0) return;
    ak_dec_push(d, rest);
    ak_dec_set(d, "after");
    ak_dec_note(d, rest.p, false, "more bytes after it");
}

static void read_whole(ak_dec *d, ak_rd *r, ak_wire_what what) {
    switch (what) {
    case AK_WHAT_guess:
    case AK_WHAT_records:
        read_records(d, r);
        name_list(d, "records");
        break;
    case AK_WHAT_record:
        read_record(d, r);
        keep_rest(d, r);
        break;
    case AK_WHAT_messages:
        read_messages(d, r);
        name_list(d, "messages");
        break;
    case AK_WHAT_message:
        if (d->o->content != 0 && d->o->content != AK_CT_handshake)
            read_content(d, r, d->o->content);
        else
            read_message(d, r);
        keep_rest(d, r);
        break;
    case AK_WHAT_extensions:
        ak_dec_extensions(d, r, d->o->where);
        name_list(d, "extensions");
        lua_pushstring(d->L, ak_wire_place_name(d->o->where));
        ak_dec_set(d, "message");
        break;
    case AK_WHAT_struct:
        ak_dec_struct(d, r, d->o->schema);
        ak_dec_trailing(d, r, "bytes after its end");
        lua_pushstring(d->L, d->o->schema->name);
        ak_dec_set(d, "form");
        break;
    }
}

void ak_wire_decode(lua_State *L, ak_view bytes, const ak_wire_options *o) {
    ak_dec d;
    ak_rd r;
    luaL_checkstack(L, 10, "wire");
    memset(&d, 0, sizeof d);
    ak_rd_view(&r, bytes);
    lua_pushnil(L);
    d.L = L;
    d.o = o;
    d.c = o->context;
    d.base = r.p;
    d.notes = lua_gettop(L);
    read_whole(&d, &r, o->what == AK_WHAT_guess ? guess(bytes) : o->what);
    if (o->what != AK_WHAT_extensions) luaL_setmetatable(L, AK_WIRE_NODE);
    if (!lua_isnil(L, d.notes)) {
        lua_pushvalue(L, d.notes);
        lua_setfield(L, -2, "notes");
    }
    lua_remove(L, d.notes);
}

void ak_lua_push_message(lua_State *L, uint8_t content, const uint8_t *bytes, size_t n, const ak_wire_context *c) {
    ak_wire_options o;
    memset(&o, 0, sizeof o);
    o.what = AK_WHAT_message;
    o.content = content;
    if (c != NULL) o.context = *c;
    ak_wire_decode(L, ak_view_of(bytes, n), &o);
}
