/* lwire_decode.c: bytes to tables.
 *
 * Every step reads what is there and keeps what does not fit: bytes that are no field stand in `trailing`, a vector whose length goes beyond the end keeps
 * that length in `length`, a structure that ends too early is `truncated`. No C memory is held, so Lua may raise at any point. */
#include "binding/lwire_decode.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* What a field leaves for the next ones in the same structure. */
typedef struct frame {
    uint32_t selector; /* the last integer */
    ak_view fixed;     /* the last fixed array */
} frame;

/* What is wrong with bytes that are wrong all over is not worth more memory than this. */
#define MOST_NOTES 100

void ak_dec_note(ak_dec *d, const uint8_t *p, bool on_top, const char *text) {
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

void ak_dec_push(ak_dec *d, ak_view v) { lua_pushlstring(d->L, v.n != 0 ? (const char *)v.p : "", v.n); }

void ak_dec_set(ak_dec *d, const char *key) { lua_setfield(d->L, -2, key); }

void ak_dec_trailing(ak_dec *d, ak_rd *r, const char *why) {
    ak_view rest;
    ak_rd_rest(r, &rest);
    if (rest.n == 0) return;
    ak_dec_push(d, rest);
    ak_dec_set(d, "trailing");
    ak_dec_note(d, rest.p, true, why);
}

static void read_list(ak_dec *d, ak_rd *r, const ak_schema *item);

/* ---- fields ------------------------------------------------------------------------------------------------------------------- */

typedef enum outcome {
    PUSHED,  /* a value is on the stack */
    CUT,     /* the bytes end before it; nothing pushed */
    FOREIGN, /* a value is on the stack, and what follows it has a form that is not known */
    ENDED    /* the structure may end here, and does; nothing pushed */
} outcome;

static outcome read_number(ak_dec *d, ak_rd *r, const ak_field *field, frame *fr) {
    ak_view v;
    if (ak_rd_left(r) < field->prefix) return CUT;
    ak_rd_take(r, &v, field->prefix);
    fr->selector = 0;
    for (size_t i = 0; i < v.n; i++) fr->selector = (fr->selector << 8) | v.p[i];
    ak_lua_push_registry_value(d->L, (ak_registry)field->registry, fr->selector);
    return field->only && fr->selector != field->min ? FOREIGN : PUSHED;
}

bool ak_dec_clipped(ak_rd *r, unsigned prefix, ak_view *v, size_t *length) {
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

void ak_dec_beyond(ak_dec *d, ak_view v, size_t length) {
    lua_pushinteger(d->L, (lua_Integer)length);
    ak_dec_set(d, "length");
    ak_dec_note(d, v.p, true, "its length goes beyond the end");
}

/* push_content: the bytes of a vector as what they hold: a list, a structure, or just bytes. */
static void push_content(ak_dec *d, ak_view v, const ak_field *field, const ak_schema *structure, const frame *fr) {
    ak_rd r = ak_dec_inside(v);
    if (field->kind == AK_F_list) {
        read_list(d, &r, field->of);
    } else if (field->kind == AK_F_exts) {
        ak_message_kind where = (ak_message_kind)field->where;
        if (where == AK_IN_server_hello) where = ak_server_hello_kind(fr->fixed, v);
        ak_dec_extensions(d, &r, where);
    } else if (structure != NULL) {
        ak_dec_struct(d, &r, structure);
        ak_dec_trailing(d, &r, "bytes after its end");
    } else {
        ak_dec_push(d, v);
    }
}

static outcome read_vector(ak_dec *d, ak_rd *r, const ak_field *field, const ak_schema *structure, const frame *fr) {
    ak_view v;
    size_t length;
    if (!ak_dec_clipped(r, field->prefix, &v, &length)) return CUT;
    push_content(d, v, field, structure, fr);
    if (length != v.n) {
        if (!lua_istable(d->L, -1)) {
            lua_createtable(d->L, 0, 3);
            lua_insert(d->L, -2);
            ak_dec_set(d, "raw");
        }
        ak_dec_beyond(d, v, length);
    } else if (field->max != 0 && (v.n < field->min || v.n > field->max)) {
        ak_dec_note(d, v.p, false, v.n < field->min ? "shorter than it must be" : "longer than it may be");
    }
    return PUSHED;
}

static outcome read_select(ak_dec *d, ak_rd *r, const ak_field *field, const frame *fr) {
    const ak_case *choice = field->cases;
    while (choice->schema != NULL && choice->value != fr->selector) choice++;
    if (field->prefix != 0 || choice->schema == NULL) return read_vector(d, r, field, choice->schema, fr);
    ak_dec_struct(d, r, choice->schema);
    return PUSHED;
}

static outcome read_field(ak_dec *d, ak_rd *r, const ak_field *field, frame *fr) {
    switch (field->kind) {
    case AK_F_uint: return read_number(d, r, field, fr);
    case AK_F_fixed:
        if (ak_rd_left(r) < field->min) return CUT;
        ak_rd_take(r, &fr->fixed, field->min);
        ak_dec_push(d, fr->fixed);
        return PUSHED;
    case AK_F_vec:
    case AK_F_list:
    case AK_F_exts:
    case AK_F_rest: return read_vector(d, r, field, NULL, fr);
    case AK_F_sub: ak_dec_struct(d, r, field->of); return PUSHED;
    case AK_F_select: return read_select(d, r, field, fr);
    case AK_F_maybe: break;
    }
    return ak_rd_left(r) == 0 ? ENDED : PUSHED;
}

/* ---- structures and lists -------------------------------------------------------------------------------------------------------- */

void ak_dec_fields(ak_dec *d, ak_rd *r, const ak_schema *s) {
    frame fr = {0, {NULL, 0}};
    for (size_t i = 0; i < s->n; i++) {
        const ak_field *field = &s->fields[i];
        const uint8_t *start = r->p;
        size_t back = ak_path_name(&d->path, field->name);
        outcome got = read_field(d, r, field, &fr);
        ak_path_back(&d->path, back);
        if (got == ENDED) return;
        if ((got == PUSHED || got == FOREIGN) && field->kind != AK_F_maybe) ak_dec_set(d, field->name);
        if (got == CUT || got == FOREIGN) {
            char why[128];
            if (got == CUT)
                snprintf(why, sizeof why, "it ends before %s", field->name);
            else
                snprintf(why, sizeof why, "after this %s it has a form that is not known", field->name);
            lua_pushboolean(d->L, 1);
            ak_dec_set(d, "truncated");
            if (ak_rd_left(r) != 0)
                ak_dec_trailing(d, r, why);
            else
                ak_dec_note(d, start, true, why);
            return;
        }
    }
}

void ak_dec_struct(ak_dec *d, ak_rd *r, const ak_schema *s) {
    luaL_checkstack(d->L, 8, "wire");
    lua_createtable(d->L, 0, (int)s->n);
    if (++d->depth > AK_WIRE_DEPTH)
        ak_dec_trailing(d, r, "nested too deeply");
    else
        ak_dec_fields(d, r, s);
    d->depth--;
}

/* at_least: the bytes without which an item has not even begun. */
static size_t at_least(const ak_schema *item) {
    const ak_field *first = &item->fields[0];
    if (first->kind == AK_F_sub) return at_least(first->of);
    return first->kind == AK_F_fixed ? first->min : first->prefix;
}

static void read_list(ak_dec *d, ak_rd *r, const ak_schema *item) {
    luaL_checkstack(d->L, 8, "wire");
    lua_newtable(d->L);
    for (size_t i = 1; ak_rd_left(r) != 0; i++) {
        const uint8_t *start = r->p;
        if (ak_rd_left(r) < at_least(item)) break;
        size_t back = ak_path_index(&d->path, i);
        frame fr = {0, {NULL, 0}};
        if (!item->bare)
            ak_dec_struct(d, r, item);
        else if (read_field(d, r, &item->fields[0], &fr) == CUT) /* at_least has seen to it that this is not so */
            lua_pushliteral(d->L, "");
        ak_path_back(&d->path, back);
        lua_rawseti(d->L, -2, (lua_Integer)i);
        if (r->p == start) break;
    }
    ak_dec_trailing(d, r, "the last item is cut off");
}

/* ---- extensions --------------------------------------------------------------------------------------------------------------------- */

static void push_extension_type(ak_dec *d, uint16_t type) {
    lua_State *L = d->L;
    ak_wire_push_names(L, AK_REG_extensions); /* with those that a script has declared */
    if (lua_rawgeti(L, -1, type) != LUA_TSTRING) {
        lua_pop(L, 1);
        lua_pushinteger(L, type);
    }
    lua_remove(L, -2);
}

static void push_extension_data(ak_dec *d, uint16_t type, ak_view data, ak_message_kind where) {
    const ak_schema *s = ak_wire_push_declared(d->L, type, where);
    if (s == NULL) s = ak_extension_form(type, where);
    if (s == NULL || d->depth >= AK_WIRE_DEPTH) {
        ak_dec_push(d, data);
    } else {
        ak_rd r = ak_dec_inside(data);
        ak_dec_struct(d, &r, s);
        ak_dec_trailing(d, &r, "bytes after its end");
    }
    lua_remove(d->L, -2); /* the declaration */
}

static void read_extension(ak_dec *d, ak_rd *r, ak_message_kind where) {
    uint16_t type;
    ak_view data;
    size_t length;
    ak_rd_u16(r, &type);
    ak_dec_clipped(r, 2, &data, &length);
    lua_createtable(d->L, 0, 2);
    push_extension_type(d, type);
    ak_dec_set(d, "type");
    size_t back = ak_path_name(&d->path, "data");
    if (length == data.n) {
        push_extension_data(d, type, data, where);
    } else {
        lua_createtable(d->L, 0, 3);
        ak_dec_push(d, data);
        ak_dec_set(d, "raw");
        ak_dec_beyond(d, data, length);
    }
    ak_path_back(&d->path, back);
    ak_dec_set(d, "data");
}

void ak_dec_extensions(ak_dec *d, ak_rd *r, ak_message_kind where) {
    luaL_checkstack(d->L, 8, "wire");
    lua_newtable(d->L);
    luaL_setmetatable(d->L, AK_WIRE_EXTENSIONS);
    for (size_t i = 1; ak_rd_left(r) >= 4; i++) {
        size_t back = ak_path_index(&d->path, i);
        read_extension(d, r, where);
        ak_path_back(&d->path, back);
        lua_rawseti(d->L, -2, (lua_Integer)i);
    }
    ak_dec_trailing(d, r, "the last extension is cut off");
}

