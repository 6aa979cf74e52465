/* lwire_decode.c: bytes to tables.
 *
 * Every step reads what is there and keeps what does not fit: bytes that are no field stand in `trailing`, a vector whose length goes beyond the end keeps
 * that length in `length`, a structure that ends too early is `truncated`. No C memory is held, so Lua may raise at any point. */
#include "binding/lwire_codec.h"
#include "record/record.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

typedef struct decoder {
    lua_State *L;
    const ak_wire_options *o;
    ak_wire_context c; /* grows while hellos go by */
    const uint8_t *base;
    int notes; /* index of a slot: nil, or the list of notes */
    unsigned depth;
    bool changed_keys; /* a ChangeCipherSpec of TLS <= 1.2 went by: what follows is encrypted */
    ak_message_kind hello; /* which of its kinds the ServerHello being read is */
    ak_wire_path path;
} decoder;

/* What a field leaves for the next ones in the same structure. */
typedef struct frame {
    uint32_t selector; /* the last integer */
    ak_view fixed;     /* the last fixed array */
} frame;

/* What is wrong with bytes that are wrong all over is not worth more memory than this. */
#define MOST_NOTES 100

/* note: remembers that something is wrong at p, for the root's `notes`; and for the table on top of the stack, when it has one. */
static void note(decoder *d, const uint8_t *p, bool on_top, const char *text) {
    lua_State *L = d->L;
    luaL_checkstack(L, 6, "wire");
    if (on_top) {
        lua_pushliteral(L, "note");
        lua_pushstring(L, text);
        lua_rawset(L, -3);
    }
    if (lua_isnil(L, d->notes)) {
        lua_newtable(L);
        lua_replace(L, d->notes);
    }
    lua_Integer n = (lua_Integer)lua_rawlen(L, d->notes);
    if (n >= MOST_NOTES) return;
    lua_createtable(L, 0, 3);
    lua_pushlstring(L, d->path.s, d->path.n);
    lua_setfield(L, -2, "path");
    lua_pushinteger(L, p - d->base);
    lua_setfield(L, -2, "offset");
    lua_pushstring(L, text);
    lua_setfield(L, -2, "note");
    lua_rawseti(L, d->notes, n + 1);
}

static void push_bytes(decoder *d, ak_view v) { lua_pushlstring(d->L, v.n != 0 ? (const char *)v.p : "", v.n); }

/* set: t[key] = the value on top, for the table below it. */
static void set(decoder *d, const char *key) { lua_setfield(d->L, -2, key); }

static ak_rd inside(ak_view v) {
    ak_rd r;
    ak_rd_view(&r, v);
    return r;
}

/* keep_trailing: the rest of r as `trailing` of the table on top. */
static void keep_trailing(decoder *d, ak_rd *r, const char *why) {
    ak_view rest;
    ak_rd_rest(r, &rest);
    if (rest.n == 0) return;
    push_bytes(d, rest);
    set(d, "trailing");
    note(d, rest.p, true, why);
}

static void read_struct(decoder *d, ak_rd *r, const ak_schema *s);
static void read_list(decoder *d, ak_rd *r, const ak_schema *item);
static void read_extensions(decoder *d, ak_rd *r, ak_message_kind where);

/* ---- fields ------------------------------------------------------------------------------------------------------------------- */

typedef enum outcome {
    PUSHED,  /* a value is on the stack */
    CUT,     /* the bytes end before it; nothing pushed */
    FOREIGN, /* a value is on the stack, and what follows it has a form that is not known */
    ENDED    /* the structure may end here, and does; nothing pushed */
} outcome;

static outcome read_number(decoder *d, ak_rd *r, const ak_field *field, frame *fr) {
    ak_view v;
    if (ak_rd_left(r) < field->prefix) return CUT;
    ak_rd_take(r, &v, field->prefix);
    fr->selector = 0;
    for (size_t i = 0; i < v.n; i++) fr->selector = (fr->selector << 8) | v.p[i];
    ak_lua_push_registry_value(d->L, (ak_registry)field->registry, fr->selector);
    return field->only && fr->selector != field->min ? FOREIGN : PUSHED;
}

/* take_clipped: a vector with a length before it, cut down to what is there; *length is what it says. */
static bool take_clipped(ak_rd *r, unsigned prefix, ak_view *v, size_t *length) {
    *v = ak_view_of(NULL, 0);
    *length = 0;
    if (prefix == 0) {
        ak_rd_rest(r, v);
        *length = v->n;
        return true;
    }
    ak_view head;
    if (ak_rd_left(r) < prefix) return false;
    ak_rd_take(r, &head, prefix);
    for (size_t i = 0; i < head.n; i++) *length = (*length << 8) | head.p[i];
    ak_rd_take(r, v, *length < ak_rd_left(r) ? *length : ak_rd_left(r));
    return true;
}

static const char TOO_LONG[] = "its length goes beyond the end";

/* push_content: the bytes of a vector as what they hold: a list, a structure, or just bytes. */
static void push_content(decoder *d, ak_view v, const ak_field *field, const ak_schema *structure, const frame *fr) {
    ak_rd r = inside(v);
    if (field->kind == AK_F_list) {
        read_list(d, &r, field->of);
    } else if (field->kind == AK_F_exts) {
        ak_message_kind where = (ak_message_kind)field->where;
        if (where == AK_IN_server_hello) where = ak_server_hello_kind(fr->fixed, v);
        read_extensions(d, &r, where);
    } else if (structure != NULL) {
        read_struct(d, &r, structure);
        keep_trailing(d, &r, "bytes after its end");
    } else {
        push_bytes(d, v);
    }
}

static outcome read_vector(decoder *d, ak_rd *r, const ak_field *field, const ak_schema *structure, const frame *fr) {
    ak_view v;
    size_t length;
    if (!take_clipped(r, field->prefix, &v, &length)) return CUT;
    push_content(d, v, field, structure, fr);
    if (length != v.n) {
        if (!lua_istable(d->L, -1)) {
            lua_createtable(d->L, 0, 3);
            lua_insert(d->L, -2);
            set(d, "raw");
        }
        lua_pushinteger(d->L, (lua_Integer)length);
        set(d, "length");
        note(d, v.p, true, TOO_LONG);
    } else if (field->max != 0 && (v.n < field->min || v.n > field->max)) {
        note(d, v.p, false, v.n < field->min ? "shorter than it must be" : "longer than it may be");
    }
    return PUSHED;
}

static outcome read_select(decoder *d, ak_rd *r, const ak_field *field, const frame *fr) {
    const ak_case *choice = field->cases;
    while (choice->schema != NULL && choice->value != fr->selector) choice++;
    if (field->prefix != 0 || choice->schema == NULL) return read_vector(d, r, field, choice->schema, fr);
    read_struct(d, r, choice->schema);
    return PUSHED;
}

static outcome read_field(decoder *d, ak_rd *r, const ak_field *field, frame *fr) {
    switch (field->kind) {
    case AK_F_uint: return read_number(d, r, field, fr);
    case AK_F_fixed:
        if (ak_rd_left(r) < field->min) return CUT;
        ak_rd_take(r, &fr->fixed, field->min);
        push_bytes(d, fr->fixed);
        return PUSHED;
    case AK_F_vec:
    case AK_F_list:
    case AK_F_exts:
    case AK_F_rest: return read_vector(d, r, field, NULL, fr);
    case AK_F_sub: read_struct(d, r, field->of); return PUSHED;
    case AK_F_select: return read_select(d, r, field, fr);
    case AK_F_maybe: break;
    }
    return ak_rd_left(r) == 0 ? ENDED : PUSHED;
}

/* ---- structures and lists -------------------------------------------------------------------------------------------------------- */

/* read_fields: the fields of s into the table on top. */
static void read_fields(decoder *d, ak_rd *r, const ak_schema *s) {
    frame fr = {0, {NULL, 0}};
    for (size_t i = 0; i < s->n; i++) {
        const ak_field *field = &s->fields[i];
        const uint8_t *start = r->p;
        size_t back = ak_path_name(&d->path, field->name);
        outcome got = read_field(d, r, field, &fr);
        ak_path_back(&d->path, back);
        if (got == ENDED) return;
        if ((got == PUSHED || got == FOREIGN) && field->kind != AK_F_maybe) set(d, field->name);
        if (got == CUT || got == FOREIGN) {
            char why[128];
            if (got == CUT)
                snprintf(why, sizeof why, "it ends before %s", field->name);
            else
                snprintf(why, sizeof why, "after this %s it has a form that is not known", field->name);
            lua_pushboolean(d->L, 1);
            set(d, "truncated");
            if (ak_rd_left(r) != 0)
                keep_trailing(d, r, why);
            else
                note(d, start, true, why);
            return;
        }
    }
}

static void read_struct(decoder *d, ak_rd *r, const ak_schema *s) {
    luaL_checkstack(d->L, 8, "wire");
    lua_createtable(d->L, 0, (int)s->n);
    if (++d->depth > AK_WIRE_DEPTH)
        keep_trailing(d, r, "nested too deeply");
    else
        read_fields(d, r, s);
    d->depth--;
}

/* at_least: the bytes without which an item has not even begun. */
static size_t at_least(const ak_schema *item) {
    const ak_field *first = &item->fields[0];
    if (first->kind == AK_F_sub) return at_least(first->of);
    return first->kind == AK_F_fixed ? first->min : first->prefix;
}

static void read_list(decoder *d, ak_rd *r, const ak_schema *item) {
    luaL_checkstack(d->L, 8, "wire");
    lua_newtable(d->L);
    for (size_t i = 1; ak_rd_left(r) != 0; i++) {
        const uint8_t *start = r->p;
        if (ak_rd_left(r) < at_least(item)) break;
        size_t back = ak_path_index(&d->path, i);
        frame fr = {0, {NULL, 0}};
        if (!item->bare)
            read_struct(d, r, item);
        else if (read_field(d, r, &item->fields[0], &fr) == CUT) /* at_least has seen to it that this is not so */
            lua_pushliteral(d->L, "");
        ak_path_back(&d->path, back);
        lua_rawseti(d->L, -2, (lua_Integer)i);
        if (r->p == start) break;
    }
    keep_trailing(d, r, "the last item is cut off");
}

/* ---- extensions --------------------------------------------------------------------------------------------------------------------- */

static void push_extension_type(decoder *d, uint16_t type) {
    lua_State *L = d->L;
    ak_wire_push_names(L, AK_REG_extensions); /* with those that a script has declared */
    if (lua_rawgeti(L, -1, type) != LUA_TSTRING) {
        lua_pop(L, 1);
        lua_pushinteger(L, type);
    }
    lua_remove(L, -2);
}

static void push_extension_data(decoder *d, uint16_t type, ak_view data, ak_message_kind where) {
    const ak_schema *s = ak_wire_declared(d->L, type, where);
    if (s == NULL) s = ak_extension_form(type, where);
    if (s == NULL || d->depth >= AK_WIRE_DEPTH) {
        push_bytes(d, data);
        return;
    }
    ak_rd r = inside(data);
    read_struct(d, &r, s);
    keep_trailing(d, &r, "bytes after its end");
}

static void read_extension(decoder *d, ak_rd *r, ak_message_kind where) {
    uint16_t type;
    ak_view data;
    size_t length;
    ak_rd_u16(r, &type);
    take_clipped(r, 2, &data, &length);
    lua_createtable(d->L, 0, 2);
    push_extension_type(d, type);
    set(d, "type");
    size_t back = ak_path_name(&d->path, "data");
    if (length == data.n) {
        push_extension_data(d, type, data, where);
    } else {
        lua_createtable(d->L, 0, 3);
        push_bytes(d, data);
        set(d, "raw");
        lua_pushinteger(d->L, (lua_Integer)length);
        set(d, "length");
        note(d, data.p, true, TOO_LONG);
    }
    ak_path_back(&d->path, back);
    set(d, "data");
}

static void read_extensions(decoder *d, ak_rd *r, ak_message_kind where) {
    luaL_checkstack(d->L, 8, "wire");
    lua_newtable(d->L);
    luaL_setmetatable(d->L, AK_WIRE_EXTENSIONS);
    for (size_t i = 1; ak_rd_left(r) >= 4; i++) {
        size_t back = ak_path_index(&d->path, i);
        read_extension(d, r, where);
        ak_path_back(&d->path, back);
        lua_rawseti(d->L, -2, (lua_Integer)i);
    }
    keep_trailing(d, r, "the last extension is cut off");
}

/* ---- handshake messages ---------------------------------------------------------------------------------------------------------------- */

/* learn: what a ServerHello says about the form of the messages after it. */
static void learn(decoder *d, uint8_t type, ak_view body) {
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
static const ak_schema *choose_form(const decoder *d, uint8_t type, ak_view body, bool *several) {
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

static void read_body(decoder *d, uint8_t type, ak_view body) {
    bool several;
    const ak_schema *s = choose_form(d, type, body, &several);
    if (s == NULL) {
        push_bytes(d, body);
        set(d, "raw");
        note(d, body.p, true, several ? "none of this message's forms fits" : "a message of unknown form");
        return;
    }
    if (several) {
        lua_pushstring(d->L, s->name);
        set(d, "form");
    }
    ak_rd r = inside(body);
    read_fields(d, &r, s);
    keep_trailing(d, &r, "bytes after its end");
    learn(d, type, body);
}

/* read_message: one handshake message with its header. */
static void read_message(decoder *d, ak_rd *r) {
    uint8_t type;
    ak_view body;
    size_t length;
    luaL_checkstack(d->L, 8, "wire");
    lua_createtable(d->L, 0, 8);
    if (ak_rd_left(r) < AK_HANDSHAKE_HEADER) {
        ak_rd_rest(r, &body);
        push_bytes(d, body);
        set(d, "raw");
        note(d, body.p != NULL ? body.p : d->base, true, "shorter than a handshake header");
        return;
    }
    ak_rd_u8(r, &type);
    take_clipped(r, 3, &body, &length);
    if (is_retry(type, body))
        lua_pushliteral(d->L, "hello_retry_request");
    else
        ak_lua_push_registry_value(d->L, AK_REG_handshake_types, type);
    set(d, "type");
    if (length != body.n) {
        lua_pushinteger(d->L, (lua_Integer)length);
        set(d, "length");
        note(d, body.p, true, TOO_LONG);
    }
    read_body(d, type, body);
}

static void read_messages(decoder *d, ak_rd *r) {
    lua_newtable(d->L);
    for (size_t i = 1; ak_rd_left(r) >= AK_HANDSHAKE_HEADER; i++) {
        size_t back = ak_path_index(&d->path, i);
        read_message(d, r);
        ak_path_back(&d->path, back);
        luaL_setmetatable(d->L, AK_WIRE_NODE);
        lua_rawseti(d->L, -2, (lua_Integer)i);
    }
    keep_trailing(d, r, "the last message is cut off");
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
static void read_content(decoder *d, ak_rd *r, uint8_t content) {
    const ak_schema *s = ak_wire_content_schema(content);
    luaL_checkstack(d->L, 8, "wire");
    lua_createtable(d->L, 0, 4);
    ak_lua_push_registry_value(d->L, AK_REG_content_types, content);
    set(d, "type");
    if (s != NULL) {
        read_fields(d, r, s);
        keep_trailing(d, r, "bytes after its end");
        return;
    }
    ak_view all;
    ak_rd_rest(r, &all);
    push_bytes(d, all);
    set(d, "raw");
}

/* readable: whether a record's fragment is plain, as far as can be told, and holds whole messages. */
static bool readable(const decoder *d, uint8_t content, ak_view fragment) {
    if (d->o->shallow) return false;
    if (content == AK_CT_change_cipher_spec) return fragment.n == 1;
    if (d->changed_keys) return false;
    if (content == AK_CT_alert) return fragment.n == 2 && ak_name(AK_REG_alert_levels, fragment.p[0]) != NULL;
    if (content != AK_CT_handshake || fragment.n == 0) return false;
    ak_rd r = inside(fragment);
    uint8_t type;
    ak_view body;
    while (ak_rd_left(&r) != 0)
        if (!ak_rd_u8(&r, &type) || !ak_rd_vec(&r, &body, 3) || ak_name(AK_REG_handshake_types, type) == NULL) return false;
    return true;
}

static void read_fragment(decoder *d, uint8_t content, ak_view fragment) {
    if (!readable(d, content, fragment)) {
        push_bytes(d, fragment);
        return;
    }
    ak_rd r = inside(fragment);
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

static void read_record(decoder *d, ak_rd *r) {
    uint8_t type;
    uint16_t version;
    ak_view fragment;
    size_t length;
    luaL_checkstack(d->L, 8, "wire");
    lua_createtable(d->L, 0, 4);
    if (ak_rd_left(r) < AK_RECORD_HEADER) {
        ak_rd_rest(r, &fragment);
        push_bytes(d, fragment);
        set(d, "raw");
        note(d, fragment.p != NULL ? fragment.p : d->base, true, "shorter than a record header");
        return;
    }
    ak_rd_u8(r, &type);
    ak_rd_u16(r, &version);
    take_clipped(r, 2, &fragment, &length);
    ak_lua_push_registry_value(d->L, AK_REG_content_types, type);
    set(d, "type");
    ak_lua_push_registry_value(d->L, AK_REG_versions, version);
    set(d, "version");
    size_t back = ak_path_name(&d->path, "fragment");
    if (length == fragment.n) {
        read_fragment(d, type, fragment);
    } else {
        lua_createtable(d->L, 0, 3);
        push_bytes(d, fragment);
        set(d, "raw");
        lua_pushinteger(d->L, (lua_Integer)length);
        set(d, "length");
        note(d, fragment.p, true, TOO_LONG);
    }
    ak_path_back(&d->path, back);
    set(d, "fragment");
}

static void read_records(decoder *d, ak_rd *r) {
    lua_newtable(d->L);
    for (size_t i = 1; ak_rd_left(r) >= AK_RECORD_HEADER; i++) {
        size_t back = ak_path_index(&d->path, i);
        read_record(d, r);
        ak_path_back(&d->path, back);
        luaL_setmetatable(d->L, AK_WIRE_NODE);
        lua_rawseti(d->L, -2, (lua_Integer)i);
    }
    keep_trailing(d, r, "the last record is cut off");
}

/* ---- the whole ----------------------------------------------------------------------------------------------------------------------------- */

static bool looks_like_records(ak_view v) { return v.n >= AK_RECORD_HEADER && v.p[0] >= 20 && v.p[0] <= 24 && v.p[1] == 3 && v.p[2] <= 4; }

/* looks_like_messages: how many whole messages of known types the bytes are; 0: something else. */
static size_t looks_like_messages(ak_view v) {
    ak_rd r = inside(v);
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

static void name_list(decoder *d, const char *what) {
    lua_pushstring(d->L, what);
    set(d, "what");
}

/* keep_rest: bytes after a single message or record. */
static void keep_rest(decoder *d, ak_rd *r) {
    ak_view rest;
    ak_rd_rest(r, &rest);
    if (rest.n == 0) return;
    push_bytes(d, rest);
    set(d, "after");
    note(d, rest.p, false, "more bytes after it");
}

static void read_whole(decoder *d, ak_rd *r, ak_wire_what what) {
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
        read_extensions(d, r, d->o->where);
        name_list(d, "extensions");
        lua_pushstring(d->L, ak_wire_place_name(d->o->where));
        set(d, "message");
        break;
    case AK_WHAT_struct:
        read_struct(d, r, d->o->schema);
        keep_trailing(d, r, "bytes after its end");
        lua_pushstring(d->L, d->o->schema->name);
        set(d, "form");
        break;
    }
}

void ak_wire_decode(lua_State *L, ak_view bytes, const ak_wire_options *o) {
    decoder d;
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
