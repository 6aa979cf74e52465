/* lwire_declare.c: wire.declare_extension, the same field lists as extensions.def's, from Lua.
 *
 * A declared structure is a userdata that holds an ak_schema and its fields; the names and structures that these point to live in its uservalue. */
#include "binding/binding.h"
#include "binding/lwire_codec.h"

#include <lauxlib.h>
#include <string.h>

#define DECLARED "akushu.wire.declared"

const ak_schema *ak_wire_push_declared(lua_State *L, uint16_t type, ak_message_kind where) {
    luaL_checkstack(L, 6, "wire");
    lua_pushnil(L);
    int top = lua_gettop(L);
    if (lua_getfield(L, LUA_REGISTRYINDEX, DECLARED) == LUA_TTABLE && lua_rawgeti(L, -1, type) == LUA_TTABLE) {
        int list = lua_gettop(L);
        /* what is declared for ServerHello is meant for that of any version, unless server_hello_12 is declared besides */
        bool found = lua_rawgeti(L, list, where) != LUA_TNIL || (where == AK_IN_server_hello_12 && lua_rawgeti(L, list, AK_IN_server_hello) != LUA_TNIL);
        if (!found) lua_rawgeti(L, list, 0); /* everywhere */
        lua_replace(L, top);
    }
    lua_settop(L, top);
    return lua_touserdata(L, top);
}

/* ---- field lists ----------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    ak_field_kind kind;
    uint8_t prefix; /* of a number: its bytes; 0: the declaration says */
    const char *takes[6];
} kinds[] = {
    {"u8", AK_F_uint, 1, {"registry"}},
    {"u16", AK_F_uint, 2, {"registry"}},
    {"u24", AK_F_uint, 3, {"registry"}},
    {"u32", AK_F_uint, 4, {"registry"}},
    {"fixed", AK_F_fixed, 0, {"size"}},
    {"vec", AK_F_vec, 0, {"prefix", "min", "max"}},
    {"list", AK_F_list, 0, {"prefix", "min", "max", "of", "registry"}},
    {"rest", AK_F_rest, 0, {NULL}},
    {"struct", AK_F_sub, 0, {"of"}},
    {"optional", AK_F_maybe, 0, {NULL}},
};

static void read_fields(lua_State *L, int list, unsigned depth, const char *name);

/* anchor: keeps the value on top alive as long as the structure at `owner`; pops it. */
static void anchor(lua_State *L, int owner) {
    lua_getiuservalue(L, owner, 1);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

static lua_Integer option(lua_State *L, int field, const char *key, lua_Integer otherwise, lua_Integer least, lua_Integer most) {
    lua_Integer v = otherwise;
    if (lua_getfield(L, field, key) != LUA_TNIL) {
        int exact;
        v = lua_tointegerx(L, -1, &exact);
        if (!exact || v < least || v > most) luaL_error(L, "%s must be an integer from %I to %I", key, least, most);
    }
    lua_pop(L, 1);
    return v;
}

/* is_name: of a field or an extension: as the registries' own. */
static bool is_name(const char *s, size_t n) {
    return n != 0 && n <= 64 && (s[0] < '0' || s[0] > '9') && s[0] != '_' && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

static void check_field_name(lua_State *L, const ak_schema *s, const char *name) {
    size_t n = strlen(name);
    bool ok = is_name(name, n);
    for (size_t i = 0; ok && ak_wire_reserved[i] != NULL; i++) ok = strcmp(ak_wire_reserved[i], name) != 0;
    if (!ok) luaL_error(L, "'%s' cannot be the name of a field", name);
    for (size_t i = 0; i < s->n; i++)
        if (s->fields[i].kind != AK_F_maybe && strcmp(s->fields[i].name, name) == 0) luaL_error(L, "two fields are called '%s'", name);
}

/* new_schema: pushes an empty structure with room for n fields. */
static ak_schema *new_schema(lua_State *L, size_t n, const char *name, ak_field **fields) {
    ak_schema *s = lua_newuserdatauv(L, sizeof *s + (n + 1) * sizeof **fields, 1);
    *fields = (ak_field *)(void *)(s + 1);
    memset(s, 0, sizeof *s + (n + 1) * sizeof **fields);
    s->name = name;
    s->fields = *fields;
    lua_createtable(L, (int)n, 0);
    lua_setiuservalue(L, -2, 1);
    return s;
}

/* read_kind: what the declaration at `field` says, without its name. `owner` keeps what it refers to. */
static void read_kind(lua_State *L, int field, int owner, ak_field *f, unsigned depth);

/* read_item: what a list holds: "u16", the name of a structure, { "vec", prefix = 1 }, or { field, field … }. */
static const ak_schema *read_item(lua_State *L, int owner, unsigned depth, uint16_t registry) {
    int of = lua_gettop(L);
    const ak_schema *known = NULL;
    ak_field *f;
    luaL_checkstack(L, 12, "declare_extension");
    if (depth > AK_DECLARED_DEPTH) luaL_error(L, "fields are nested too deeply");
    if (lua_type(L, of) == LUA_TSTRING) {
        known = ak_schema_find(lua_tostring(L, of));
        if (known != NULL && known->n == 0) luaL_error(L, "items of a list must have bytes");
        if (known == NULL) { /* "u16" stands for { "u16" } */
            lua_createtable(L, 1, 0);
            lua_pushvalue(L, of);
            lua_rawseti(L, -2, 1);
            lua_replace(L, of);
        }
    }
    if (known == NULL) {
        if (!lua_istable(L, of)) luaL_error(L, "of must say what it holds");
        bool bare = lua_rawgeti(L, of, 1) == LUA_TSTRING;
        lua_pop(L, 1);
        if (bare) {
            ak_schema *s = new_schema(L, 1, "item", &f);
            int item = lua_gettop(L);
            s->n = 1;
            s->bare = true;
            f->name = "item";
            read_kind(L, of, item, f, depth + 1);
            if (f->registry == AK_REG_none) f->registry = registry;
            known = s;
        } else {
            read_fields(L, of, depth + 1, "item");
            known = lua_touserdata(L, -1);
        }
        if (known->n == 0 || known->fields[0].kind == AK_F_maybe) luaL_error(L, "items of a list must have bytes");
        anchor(L, owner);
    }
    return known;
}

/* check_keys: the table at `field` declares a field of the k-th kind and says nothing that this kind does not take. */
static void check_keys(lua_State *L, int field, size_t k) {
    lua_pushnil(L);
    while (lua_next(L, field) != 0) {
        lua_pop(L, 1);
        bool ok = lua_isinteger(L, -1) && (lua_tointeger(L, -1) == 1 || lua_tointeger(L, -1) == 2);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        for (size_t i = 0; key != NULL && kinds[k].takes[i] != NULL; i++) ok = ok || strcmp(kinds[k].takes[i], key) == 0;
        if (!ok) luaL_error(L, "a field of the kind %s takes no '%s'", kinds[k].name, luaL_tolstring(L, -1, NULL));
    }
}

static void read_kind(lua_State *L, int field, int owner, ak_field *f, unsigned depth) {
    lua_rawgeti(L, field, 1);
    const char *kind = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    size_t k = 0;
    while (k < sizeof kinds / sizeof kinds[0] && strcmp(kinds[k].name, kind) != 0) k++;
    if (k == sizeof kinds / sizeof kinds[0])
        luaL_error(L, "a field's kind must be u8, u16, u24, u32, fixed, vec, list, rest, struct or optional, not '%s'", kind);
    lua_pop(L, 1);
    check_keys(L, field, k);
    f->kind = kinds[k].kind;
    f->prefix = kinds[k].prefix;
    if (lua_getfield(L, field, "registry") != LUA_TNIL) {
        ak_registry reg = lua_type(L, -1) == LUA_TSTRING ? ak_registry_find(lua_tostring(L, -1)) : AK_REG_COUNT;
        if (reg == AK_REG_COUNT) luaL_error(L, "registry: there is none of this name");
        f->registry = (uint16_t)reg;
    }
    lua_pop(L, 1);
    if (f->kind == AK_F_fixed) f->min = f->max = (uint32_t)option(L, field, "size", -1, 1, 0xffff);
    if (f->kind == AK_F_fixed && f->min > 0xffff) luaL_error(L, "a fixed field needs a size");
    if (f->kind == AK_F_vec || f->kind == AK_F_list) {
        f->prefix = (uint8_t)option(L, field, "prefix", 2, f->kind == AK_F_list ? 0 : 1, 3);
        lua_Integer most = f->prefix == 0 ? 0xffffff : ((lua_Integer)1 << (8 * f->prefix)) - 1;
        f->min = (uint32_t)option(L, field, "min", 0, 0, most);
        f->max = (uint32_t)option(L, field, "max", most, f->min, most);
    }
    if (f->kind == AK_F_list || f->kind == AK_F_sub) {
        lua_getfield(L, field, "of");
        f->of = read_item(L, owner, depth, f->kind == AK_F_list ? f->registry : AK_REG_none);
        if (f->kind == AK_F_sub && f->of->bare) luaL_error(L, "a struct takes a list of fields");
        lua_pop(L, 1);
    }
}

/* read_fields: pushes the structure that the list of fields at `list` describes. */
static void read_fields(lua_State *L, int list, unsigned depth, const char *name) {
    ak_field *fields;
    luaL_checkstack(L, 12, "declare_extension");
    if (!lua_istable(L, list)) luaL_error(L, "a list of fields is a table");
    if (depth > AK_DECLARED_DEPTH) luaL_error(L, "fields are nested too deeply");
    size_t n = lua_rawlen(L, list);
    if (n > 64) luaL_error(L, "more than 64 fields");
    ak_schema *s = new_schema(L, n, name, &fields);
    int owner = lua_gettop(L);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        int field = lua_gettop(L);
        if (!lua_istable(L, field)) luaL_error(L, "field %d must be a table { kind, name, … }", (int)i + 1);
        read_kind(L, field, owner, &fields[i], depth);
        lua_rawgeti(L, field, 2);
        if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "field %d has no name", (int)i + 1);
        const char *field_name = lua_tostring(L, -1);
        if (fields[i].kind != AK_F_maybe) check_field_name(L, s, field_name);
        fields[i].name = field_name;
        s->n = i + 1;
        anchor(L, owner);
        lua_settop(L, owner);
    }
}

/* check_optional: an optional part is recognised by its first field, so that must follow, under the same name. */
static void check_optional(lua_State *L, const ak_schema *s) {
    for (size_t i = 0; i < s->n; i++)
        if (s->fields[i].kind == AK_F_maybe && (i + 1 == s->n || strcmp(s->fields[i].name, s->fields[i + 1].name) != 0))
            luaL_error(L, "after optional '%s' the field '%s' must follow", s->fields[i].name, s->fields[i].name);
}

/* ---- declare_extension --------------------------------------------------------------------------------------------------------------- */

/* add_name: number and name in the registry's table; both must be free, or each other's already. A name that already means another extension (an alias, such as
 * "sni", or another spelling) goes on meaning that one. */
static void add_name(lua_State *L, uint16_t number, int name) {
    uint32_t known = number;
    ak_wire_push_names(L, AK_REG_extensions);
    lua_pushvalue(L, name);
    bool other = lua_rawget(L, -2) != LUA_TNIL ? lua_tointeger(L, -1) != number
                                               : ak_number(AK_REG_extensions, lua_tostring(L, name), &known) && known != number;
    if (other)
        luaL_error(L, "bad argument #2 to 'declare_extension' ('%s' is the name of another extension)", lua_tostring(L, name));
    lua_pop(L, 1);
    if (lua_rawgeti(L, -1, number) == LUA_TSTRING && !lua_rawequal(L, -1, name)) { /* its former name no longer counts */
        lua_pushnil(L);
        lua_rawset(L, -3);
    } else {
        lua_pop(L, 1);
    }
    lua_pushvalue(L, name);
    lua_rawseti(L, -2, number);
    lua_pushvalue(L, name);
    lua_pushinteger(L, number);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* declare_extension(number, name, fields): fields is one list for all messages, or { client_hello = list, server_hello = list … }; server_hello counts for TLS 1.2's, too,
 * unless server_hello_12 is there. */
int ak_wire_declare(lua_State *L) {
    lua_Integer number = luaL_checkinteger(L, 1);
    luaL_argcheck(L, number >= 0 && number <= 0xffff, 1, "a number up to 65535");
    size_t n;
    const char *name = ak_lua_check_lstring(L, 2, &n);
    if (!is_name(name, n)) luaL_argerror(L, 2, "a name of letters, digits and _ expected, beginning with a letter, of at most 64 bytes");
    if (ak_extension_allowed((uint16_t)number, AK_IN_client_hello) != AK_PLACE_unknown)
        luaL_argerror(L, 1, lua_pushfstring(L, "%d is %s, an extension that akushu knows", (int)number, ak_name(AK_REG_extensions, (uint32_t)number)));
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    lua_newtable(L); /* 4: places to structures */
    bool everywhere = true;
    lua_pushnil(L);
    while (lua_next(L, 3) != 0) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            ak_message_kind where;
            everywhere = false;
            if (!ak_wire_place_find(lua_tostring(L, -2), &where)) luaL_error(L, "'%s' is no message with extensions", lua_tostring(L, -2));
            read_fields(L, lua_gettop(L), 0, "declared extension");
            check_optional(L, lua_touserdata(L, -1));
            lua_rawseti(L, 4, where);
        }
        lua_settop(L, 5);
    }
    lua_settop(L, 4);
    if (everywhere) {
        read_fields(L, 3, 0, "declared extension");
        check_optional(L, lua_touserdata(L, -1));
        lua_rawseti(L, 4, 0);
    }
    add_name(L, (uint16_t)number, 2);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, DECLARED);
    lua_pushvalue(L, 4);
    lua_rawseti(L, -2, number);
    return 0;
}
