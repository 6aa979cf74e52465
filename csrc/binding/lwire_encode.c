/* lwire_encode.c: tables to bytes: values, structures, extensions.
 *
 * Tables are read with raw access, so no Lua code runs meanwhile. What is wrong with a table is said in `error`, with its path; nothing is raised but
 * Lua's own memory errors. */
#include "binding/lwire_encode.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool ak_enc_wrong(ak_enc *e, const char *fmt, ...) {
    va_list ap;
    int n = snprintf(e->error, e->error_size, "%s%s", e->path.s, e->path.n != 0 ? ": " : "");
    if (n >= 0 && (size_t)n < e->error_size) {
        va_start(ap, fmt);
        vsnprintf(e->error + n, e->error_size - (size_t)n, fmt, ap);
        va_end(ap);
    }
    return false;
}

bool ak_enc_put(ak_enc *e, const void *p, size_t n) { return ak_buf_put(e->out, p, n) || ak_enc_wrong(e, "too long, or out of memory"); }

int ak_enc_get(ak_enc *e, int idx, const char *key) {
    lua_pushstring(e->L, key);
    return lua_rawget(e->L, idx);
}

bool ak_enc_put_string_field(ak_enc *e, int idx, const char *key) {
    int type = ak_enc_get(e, idx, key);
    bool ok = true;
    if (type == LUA_TSTRING) {
        size_t n;
        const char *p = lua_tolstring(e->L, -1, &n);
        ok = ak_enc_put(e, p, n);
    } else if (type != LUA_TNIL) {
        ok = ak_enc_wrong(e, "%s must be a string, not %s", key, lua_typename(e->L, type));
    }
    lua_pop(e->L, 1);
    return ok;
}

static bool is_reserved(const char *key) {
    if (key[0] == '_') return true;
    for (size_t i = 0; ak_wire_reserved[i] != NULL; i++)
        if (strcmp(ak_wire_reserved[i], key) == 0) return true;
    return false;
}

static const ak_field *find_field(const ak_schema *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (s->fields[i].kind != AK_F_maybe && strcmp(s->fields[i].name, name) == 0) return &s->fields[i];
    return NULL;
}

bool ak_enc_stranger(lua_State *L, int idx, const ak_schema *s, char *name, size_t n) {
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        if (key != NULL && (is_reserved(key) || (s != NULL && find_field(s, key) != NULL))) continue;
        if (lua_isinteger(L, -1))
            snprintf(name, n, "%lld", (long long)lua_tointeger(L, -1));
        else
            snprintf(name, n, "%s", key != NULL ? key : luaL_typename(L, -1));
        lua_pop(L, 1);
        return true;
    }
    return false;
}

/* ---- spans ------------------------------------------------------------------------------------------------------------------- */

lua_Integer ak_enc_open_span(ak_enc *e, unsigned prefix) {
    if (e->spans == 0) return 0;
    lua_State *L = e->L;
    lua_Integer i = (lua_Integer)lua_rawlen(L, e->spans) + 1;
    lua_createtable(L, 0, 4);
    lua_pushlstring(L, e->path.s, e->path.n);
    lua_setfield(L, -2, "path");
    lua_pushinteger(L, (lua_Integer)(e->out->n - e->base));
    lua_setfield(L, -2, "offset");
    lua_pushinteger(L, (lua_Integer)prefix);
    lua_setfield(L, -2, "prefix");
    lua_rawseti(L, e->spans, i);
    return i;
}

void ak_enc_close_span(ak_enc *e, lua_Integer i, size_t start) {
    if (e->spans == 0) return;
    lua_rawgeti(e->L, e->spans, i);
    lua_pushinteger(e->L, (lua_Integer)(e->out->n - start));
    lua_setfield(e->L, -2, "length");
    lua_pop(e->L, 1);
}

/* ---- lengths ------------------------------------------------------------------------------------------------------------------- */

size_t ak_enc_open_length(ak_enc *e, unsigned prefix) {
    static const uint8_t zeros[4];
    if (prefix != 0) ak_buf_put(e->out, zeros, prefix);
    return e->out->n;
}

static bool given_length(ak_enc *e, int idx, unsigned prefix, bool *given, size_t *n) {
    *given = idx != 0 && ak_enc_get(e, idx, "length") != LUA_TNIL;
    bool ok = true;
    if (*given) {
        int exact;
        lua_Integer length = lua_tointegerx(e->L, -1, &exact);
        ok = exact && length >= 0 && length >> (8 * prefix) == 0;
        *n = ok ? (size_t)length : 0;
    }
    if (idx != 0) lua_pop(e->L, 1);
    return ok || ak_enc_wrong(e, "length must be an integer that fits %u bytes", prefix);
}

bool ak_enc_without(ak_enc *e, int idx, const char *key, const char *why) {
    bool there = lua_istable(e->L, idx) && ak_enc_get(e, idx, key) != LUA_TNIL;
    if (lua_istable(e->L, idx)) lua_pop(e->L, 1);
    return !there || ak_enc_wrong(e, "%s: %s", key, why);
}

bool ak_enc_no_length(ak_enc *e, int idx) { return ak_enc_without(e, idx, "length", "nothing before it says how long it is"); }

bool ak_enc_close_length(ak_enc *e, size_t start, unsigned prefix, int idx) {
    if (e->out->bad) return ak_enc_wrong(e, "too long, or out of memory");
    if (prefix == 0) return idx == 0 || ak_enc_no_length(e, idx);
    size_t n = e->out->n - start;
    bool given;
    if (!given_length(e, idx, prefix, &given, &n)) return false;
    if (n >> (8 * prefix) != 0) return ak_enc_wrong(e, "%zu bytes do not fit a length of %u bytes", n, prefix);
    for (unsigned i = 0; i < prefix; i++) e->out->p[start - 1 - i] = (uint8_t)(n >> (8 * i));
    return true;
}

ak_enc_vector ak_enc_open_vector(ak_enc *e, unsigned prefix) {
    size_t start = ak_enc_open_length(e, prefix);
    ak_enc_vector v = {start, ak_enc_open_span(e, prefix), prefix};
    return v;
}

bool ak_enc_close_vector(ak_enc *e, const ak_enc_vector *v, int idx) {
    ak_enc_close_span(e, v->span, v->start);
    return ak_enc_close_length(e, v->start, v->prefix, idx);
}

/* ---- values --------------------------------------------------------------------------------------------------------------------- */

bool ak_enc_raw_or_string(ak_enc *e, int idx, bool *ok) {
    *ok = true;
    if (lua_type(e->L, idx) == LUA_TSTRING) {
        size_t n;
        const char *p = lua_tolstring(e->L, idx, &n);
        *ok = ak_enc_put(e, p, n);
        return true;
    }
    if (!lua_istable(e->L, idx)) return false;
    bool has = ak_enc_get(e, idx, "raw") != LUA_TNIL;
    lua_pop(e->L, 1);
    if (has) *ok = ak_enc_put_string_field(e, idx, "raw");
    return has;
}

bool ak_enc_must_be(ak_enc *e, int idx, const char *what) { return ak_enc_wrong(e, "must be %s, not %s", what, luaL_typename(e->L, idx)); }

/* is_word: what can be shown as the name that it may be meant for. */
static bool is_word(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < ' ' || s[i] > '~') return false;
    return n != 0;
}

/* number_at: the number at idx: an integer, a name, "0x…", or exactly its bytes. */
static bool number_at(ak_enc *e, int idx, ak_registry reg, unsigned bytes, uint32_t *v) {
    lua_State *L = e->L;
    if (ak_lua_registry_number(L, idx, reg, v)) {
        if (bytes == 4 || *v >> (8 * bytes) == 0) return true;
        return ak_enc_wrong(e, "must be an integer that fits %u bytes", bytes);
    }
    if (lua_type(L, idx) == LUA_TNUMBER) return ak_enc_wrong(e, "must be an integer that fits %u bytes", bytes);
    if (lua_type(L, idx) != LUA_TSTRING) return ak_enc_must_be(e, idx, reg != AK_REG_none ? "an integer or a name" : "an integer");
    size_t n;
    const char *s = lua_tolstring(L, idx, &n);
    if (n != bytes && reg != AK_REG_none && is_word(s, n)) return ak_enc_wrong(e, "there is no '%.60s' among the %s", s, ak_registry_name(reg));
    if (n != bytes) return ak_enc_wrong(e, "must be %s or its %u bytes, not a string of %zu", reg != AK_REG_none ? "an integer, a name" : "an integer", bytes, n);
    *v = 0;
    for (size_t i = 0; i < n; i++) *v = (*v << 8) | (uint8_t)s[i];
    return true;
}

static bool put_number(ak_enc *e, uint32_t v, unsigned n) {
    uint8_t bytes[4];
    for (unsigned i = 0; i < n; i++) bytes[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    return ak_enc_put(e, bytes, n);
}

bool ak_enc_write_number(ak_enc *e, int idx, const ak_field *field, ak_enc_frame *fr) {
    lua_Integer span = ak_enc_open_span(e, 0);
    size_t start = e->out->n;
    bool ok;
    if (lua_istable(e->L, idx)) {
        if (!ak_enc_raw_or_string(e, idx, &ok)) return ak_enc_must_be(e, idx, "a number, a name or { raw = bytes }");
        fr->selector = 0;
        for (size_t i = start; ok && i < e->out->n; i++) fr->selector = (fr->selector << 8) | e->out->p[i];
    } else {
        ok = number_at(e, idx, (ak_registry)field->registry, field->prefix, &fr->selector) && put_number(e, fr->selector, field->prefix);
    }
    ak_enc_close_span(e, span, start);
    return ok;
}

static bool write_fixed(ak_enc *e, int idx, const ak_field *field, ak_enc_frame *fr) {
    lua_Integer span = ak_enc_open_span(e, 0);
    size_t start = e->out->n;
    bool ok, by_table = lua_istable(e->L, idx);
    if (!ak_enc_raw_or_string(e, idx, &ok)) return ak_enc_must_be(e, idx, "a string");
    ak_enc_close_span(e, span, start);
    fr->fixed_at = start;
    fr->fixed_n = e->out->n - start;
    if (ok && !by_table && fr->fixed_n != field->min) /* { raw = … } may be of any length */
        return ak_enc_wrong(e, "must have %lu bytes, not %zu", (unsigned long)field->min, fr->fixed_n);
    return ok;
}

static bool write_value(ak_enc *e, int idx, const ak_field *field, ak_enc_frame *fr);

bool ak_enc_only_items(ak_enc *e, int idx, lua_Unsigned n) {
    lua_State *L = e->L;
    char name[64];
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
        lua_pop(L, 1);
        if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && (lua_Unsigned)lua_tointeger(L, -1) <= n) continue;
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        if (key != NULL && is_reserved(key)) continue;
        snprintf(name, sizeof name, "%s", key != NULL ? key : "an index outside the sequence");
        lua_pop(L, 1);
        return ak_enc_wrong(e, "a list has no '%s'", name);
    }
    return true;
}

static bool write_list(ak_enc *e, int idx, const ak_schema *item) {
    lua_State *L = e->L;
    lua_Unsigned n = lua_rawlen(L, idx);
    luaL_checkstack(L, 10, "wire");
    for (lua_Unsigned i = 1; i <= n; i++) {
        ak_enc_frame fr = {0, 0, 0};
        size_t back = ak_path_index(&e->path, (size_t)i);
        if (lua_rawgeti(L, idx, (lua_Integer)i) == LUA_TNIL) return ak_enc_wrong(e, "missing");
        int at = lua_gettop(L);
        bool ok = item->bare ? write_value(e, at, &item->fields[0], &fr) : ak_enc_write_struct(e, at, item);
        if (!ok) return false;
        ak_path_back(&e->path, back);
        lua_pop(L, 1);
    }
    return ak_enc_only_items(e, idx, n) && ak_enc_put_string_field(e, idx, "trailing");
}

/* write_content: what a vector holds. */
static bool write_content(ak_enc *e, int idx, const ak_field *field, const ak_schema *structure, const ak_enc_frame *fr) {
    bool ok;
    if (ak_enc_raw_or_string(e, idx, &ok)) return ok;
    if (!lua_istable(e->L, idx))
        return ak_enc_must_be(e, idx, field->kind == AK_F_list || field->kind == AK_F_exts ? "a list or a string" : "a string or { raw = bytes }");
    if (field->kind == AK_F_list) return write_list(e, idx, field->of);
    if (field->kind == AK_F_exts) {
        ak_message_kind where = (ak_message_kind)field->where;
        if (where == AK_IN_server_hello) { /* which one, the extensions say; see write_extensions */
            ak_view random = ak_view_of(e->out->p + fr->fixed_at, fr->fixed_n);
            bool retry = e->hello == AK_IN_hello_retry_request || ak_view_eq(random, ak_view_of(ak_hrr_random, sizeof ak_hrr_random));
            where = retry ? AK_IN_hello_retry_request : AK_IN_server_hello;
        }
        return ak_enc_write_extensions(e, idx, where);
    }
    if (structure != NULL) return ak_enc_write_fields(e, idx, structure);
    return ak_enc_must_be(e, idx, "a string or { raw = bytes }");
}

static bool write_vector(ak_enc *e, int idx, const ak_field *field, const ak_schema *structure, const ak_enc_frame *fr) {
    ak_enc_vector v = ak_enc_open_vector(e, field->prefix);
    bool absent = lua_isnil(e->L, idx);
    if (!absent && !write_content(e, idx, field, structure, fr)) return false;
    return ak_enc_close_vector(e, &v, lua_istable(e->L, idx) ? idx : 0);
}

/* write_select: idx is on top. An absent structure is one without fields, which may be all that it needs. */
static bool write_select(ak_enc *e, int idx, const ak_field *field, const ak_enc_frame *fr) {
    const ak_case *choice = field->cases;
    while (choice->schema != NULL && choice->value != fr->selector) choice++;
    if (field->prefix != 0 || choice->schema == NULL) return write_vector(e, idx, field, choice->schema, fr);
    if (lua_isnil(e->L, idx)) {
        lua_newtable(e->L);
        lua_replace(e->L, idx);
    }
    return ak_enc_write_struct(e, idx, choice->schema);
}

/* write_value: the value at idx as this field. */
static bool write_value(ak_enc *e, int idx, const ak_field *field, ak_enc_frame *fr) {
    switch (field->kind) {
    case AK_F_uint: return ak_enc_write_number(e, idx, field, fr);
    case AK_F_fixed: return write_fixed(e, idx, field, fr);
    case AK_F_vec:
    case AK_F_list:
    case AK_F_exts:
    case AK_F_rest: return write_vector(e, idx, field, NULL, fr);
    case AK_F_sub: return ak_enc_write_struct(e, idx, field->of);
    case AK_F_select: return write_select(e, idx, field, fr);
    case AK_F_maybe: break;
    }
    return true;
}

/* ---- structures ----------------------------------------------------------------------------------------------------------------- */

/* needed: a missing vector stands for an empty one; a missing number, array or structure for nothing. */
static bool needed(const ak_field *field) { return field->kind == AK_F_uint || field->kind == AK_F_fixed || field->kind == AK_F_sub; }

/* write_field: the field of s in the table at idx. *end: the structure ends here. */
static bool write_field(ak_enc *e, int idx, const ak_schema *s, const ak_field *field, bool truncated, ak_enc_frame *fr, bool *end) {
    lua_State *L = e->L;
    bool absent = ak_enc_get(e, idx, field->name) == LUA_TNIL;
    int at = lua_gettop(L);
    if (field->kind == AK_F_maybe) {
        *end = absent && !truncated;
    } else if (absent && truncated) {
        /* it was not there, and so it is not */
    } else {
        size_t back = ak_path_name(&e->path, field->name);
        if (absent && field->only) {
            lua_pushinteger(L, (lua_Integer)field->min);
            lua_replace(L, at);
        } else if (absent && field->kind == AK_F_fixed && s == &ak_schema_server_hello && e->hello == AK_IN_hello_retry_request) { /* the random that makes it one */
            lua_pushlstring(L, (const char *)ak_hrr_random, sizeof ak_hrr_random);
            lua_replace(L, at);
        } else if (absent && needed(field)) {
            return ak_enc_wrong(e, "missing");
        }
        if (!write_value(e, at, field, fr)) return false;
        ak_path_back(&e->path, back);
    }
    lua_settop(L, at - 1);
    return true;
}

/* no_more: an optional part is left out, and so must be what stands in it. */
static bool no_more(ak_enc *e, int idx, const ak_schema *s, size_t from) {
    for (size_t i = from; i < s->n; i++) {
        bool there = ak_enc_get(e, idx, s->fields[i].name) != LUA_TNIL;
        lua_pop(e->L, 1);
        if (there) return ak_enc_wrong(e, "%s cannot be without %s before it", s->fields[i].name, s->fields[from].name);
    }
    return true;
}

bool ak_enc_write_fields(ak_enc *e, int idx, const ak_schema *s) {
    lua_State *L = e->L;
    ak_enc_frame fr = {0, 0, 0};
    char name[64];
    bool end = false;
    luaL_checkstack(L, 10, "wire");
    if (e->depth >= AK_WIRE_DEPTH) return ak_enc_wrong(e, "nested too deeply");
    if (ak_enc_stranger(L, idx, s, name, sizeof name)) return ak_enc_wrong(e, "%s has no field '%s'", s->name, name);
    ak_enc_get(e, idx, "truncated");
    bool truncated = lua_toboolean(L, -1);
    lua_pop(L, 1);
    e->depth++;
    size_t i = 0;
    for (; i < s->n && !end; i++)
        if (!write_field(e, idx, s, &s->fields[i], truncated, &fr, &end)) return false;
    if (end && !no_more(e, idx, s, i)) return false;
    e->depth--;
    return ak_enc_put_string_field(e, idx, "trailing");
}

bool ak_enc_put_struct(ak_enc *e, int idx, const ak_schema *s) {
    bool ok;
    if (!ak_enc_raw_or_string(e, idx, &ok)) {
        if (!lua_istable(e->L, idx)) return ak_enc_must_be(e, idx, "a table or a string");
        ok = ak_enc_write_fields(e, idx, s);
    }
    return ok && ak_enc_no_length(e, idx);
}

bool ak_enc_write_struct(ak_enc *e, int idx, const ak_schema *s) {
    lua_Integer span = ak_enc_open_span(e, 0);
    size_t start = e->out->n;
    bool ok = ak_enc_put_struct(e, idx, s);
    if (ok) ak_enc_close_span(e, span, start);
    return ok;
}

/* ---- extensions -------------------------------------------------------------------------------------------------------------------- */

/* extension_schema: the structure of the data at idx in this place; when its keys are not those, one of the extension's other structures. What keeps declared ones
 * alive stays on the stack, up to one for each place and one more. */
static const ak_schema *extension_schema(ak_enc *e, int idx, uint16_t type, ak_message_kind where) {
    char name[64];
    luaL_checkstack(e->L, 20, "wire");
    const ak_schema *first = ak_wire_push_declared(e->L, type, where), *s;
    if (first == NULL) first = ak_extension_form(type, where);
    if (first != NULL && !ak_enc_stranger(e->L, idx, first, name, sizeof name)) return first;
    for (unsigned place = 1; place <= AK_IN_new_session_ticket; place <<= 1) {
        s = ak_wire_push_declared(e->L, type, (ak_message_kind)place);
        if (s == NULL) s = ak_extension_form(type, (ak_message_kind)place);
        if (s != NULL && !ak_enc_stranger(e->L, idx, s, name, sizeof name)) return s;
    }
    return first;
}

static bool write_extension_data(ak_enc *e, int idx, uint16_t type, ak_message_kind where) {
    bool ok;
    if (lua_isnil(e->L, idx)) return true;
    if (ak_enc_raw_or_string(e, idx, &ok)) return ok;
    if (!lua_istable(e->L, idx)) return ak_enc_must_be(e, idx, "a table or a string");
    const ak_schema *s = extension_schema(e, idx, type, where);
    return s != NULL ? ak_enc_write_fields(e, idx, s) : ak_enc_wrong(e, "nothing is known of this extension: it takes a string, or declare_extension");
}

static bool write_extension(ak_enc *e, int idx, ak_message_kind where) {
    lua_State *L = e->L;
    bool ok;
    ak_enc_frame fr = {0, 0, 0};
    if (ak_enc_raw_or_string(e, idx, &ok)) return ok;
    if (!lua_istable(L, idx)) return ak_enc_must_be(e, idx, "a table { type =, data = } or a string");
    static const ak_field parts[] = {{.name = "type", .kind = AK_F_uint, .prefix = 2, .registry = AK_REG_extensions}, {.name = "data"}};
    static const ak_schema extension = {.name = "an extension", .fields = parts, .n = 2, .bare = false};
    static const char in_data[] = "it belongs into data, a table";
    char name[64];
    if (ak_enc_stranger(L, idx, &extension, name, sizeof name)) return ak_enc_wrong(e, "an extension has no field '%s'", name);
    if (!ak_enc_without(e, idx, "length", in_data) || !ak_enc_without(e, idx, "trailing", in_data)) return false;
    size_t back = ak_path_name(&e->path, "type");
    ak_enc_get(e, idx, "type");
    if (!ak_enc_write_number(e, lua_gettop(L), &parts[0], &fr)) return false;
    lua_pop(L, 1);
    ak_path_back(&e->path, back);

    ak_path_name(&e->path, "data");
    ak_enc_get(e, idx, "data");
    int at = lua_gettop(L);
    ak_enc_vector v = ak_enc_open_vector(e, 2);
    if (!write_extension_data(e, at, (uint16_t)fr.selector, where) || !ak_enc_close_vector(e, &v, lua_istable(L, at) ? at : 0)) return false;
    ak_path_back(&e->path, back);
    lua_settop(L, at - 1);
    return true;
}

/* has_whole: whether the list at idx has an extension of this type whose length is its own. */
static bool has_whole(ak_enc *e, int idx, uint16_t wanted) {
    lua_State *L = e->L;
    lua_Unsigned n = lua_rawlen(L, idx);
    bool found = false;
    for (lua_Unsigned i = 1; i <= n && !found; i++) {
        int top = lua_gettop(L);
        uint32_t type;
        lua_rawgeti(L, idx, (lua_Integer)i);
        if (lua_istable(L, top + 1)) {
            ak_enc_get(e, top + 1, "type");
            found = ak_lua_registry_number(L, top + 2, AK_REG_extensions, &type) && type == wanted;
            if (found && ak_enc_get(e, top + 1, "data") == LUA_TTABLE) found = ak_enc_get(e, top + 3, "length") == LUA_TNIL;
        }
        lua_settop(L, top);
    }
    return found;
}

void ak_enc_bless(lua_State *L, int idx, const char *name) {
    if (lua_getmetatable(L, idx)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, idx);
    luaL_setmetatable(L, name);
    lua_pop(L, 1);
}

bool ak_enc_write_extensions(ak_enc *e, int idx, ak_message_kind where) {
    lua_State *L = e->L;
    luaL_checkstack(L, 10, "wire");
    if (where == AK_IN_server_hello && !has_whole(e, idx, AK_EXT_supported_versions)) where = AK_IN_server_hello_12;
    lua_Unsigned n = lua_rawlen(L, idx);
    for (lua_Unsigned i = 1; i <= n; i++) {
        size_t back = ak_path_index(&e->path, (size_t)i);
        lua_rawgeti(L, idx, (lua_Integer)i);
        lua_Integer span = ak_enc_open_span(e, 0);
        size_t start = e->out->n;
        if (!write_extension(e, lua_gettop(L), where)) return false;
        ak_enc_close_span(e, span, start);
        ak_path_back(&e->path, back);
        lua_pop(L, 1);
    }
    ak_enc_bless(L, idx, AK_WIRE_EXTENSIONS);
    return ak_enc_only_items(e, idx, n) && ak_enc_put_string_field(e, idx, "trailing");
}

