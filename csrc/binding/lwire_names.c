/* lwire_names.c: the registries as Lua tables, numbers to names and names to numbers in the same table, made when they are first asked for. */
#include "binding/lwire_codec.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define NAMES "akushu.wire.names"

/* registry.suites["ECDHE …"]: friendlier spellings are looked for where the table itself has nothing. */
static int find_spelling(lua_State *L) {
    uint32_t value;
    ak_registry reg = (ak_registry)lua_tointeger(L, lua_upvalueindex(1));
    if (lua_type(L, 2) != LUA_TSTRING || strlen(lua_tostring(L, 2)) != lua_rawlen(L, 2) || !ak_number(reg, lua_tostring(L, 2), &value)) return 0;
    lua_pushinteger(L, value);
    return 1;
}

static void make_names(lua_State *L, ak_registry reg) {
    const char *name;
    uint32_t value;
    lua_newtable(L);
    for (size_t i = 0; ak_registry_entry(reg, i, &name, &value); i++) {
        lua_pushinteger(L, value);
        lua_setfield(L, -2, name);
        lua_pushstring(L, name);
        lua_rawseti(L, -2, value);
    }
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, reg);
    lua_pushcclosure(L, find_spelling, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

void ak_wire_push_names(lua_State *L, ak_registry reg) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, NAMES);
    if (lua_rawgeti(L, -1, reg) == LUA_TNIL) {
        lua_pop(L, 1);
        make_names(L, reg);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, reg);
    }
    lua_remove(L, -2);
}

void ak_lua_push_registry_value(lua_State *L, ak_registry reg, uint32_t value) {
    const char *name = reg != AK_REG_none ? ak_name(reg, value) : NULL;
    if (name != NULL)
        lua_pushstring(L, name);
    else
        lua_pushinteger(L, value);
}

/* numeral: "0x1301". Decimal digits are not taken, lest "13" could be two bytes as well. */
static bool numeral(const char *s, uint32_t *value) {
    char *end;
    if (strncmp(s, "0x", 2) != 0 || s[2] == '\0' || strlen(s) > 10 || strspn(s + 2, "0123456789abcdefABCDEF") != strlen(s + 2)) return false;
    *value = (uint32_t)strtoul(s + 2, &end, 16);
    return *end == '\0';
}

bool ak_lua_registry_number(lua_State *L, int idx, ak_registry reg, uint32_t *value) {
    int exact = 0;
    if (lua_type(L, idx) == LUA_TNUMBER) {
        lua_Integer v = lua_tointegerx(L, idx, &exact);
        *value = (uint32_t)v;
        return exact && v >= 0 && v <= UINT32_MAX;
    }
    if (lua_type(L, idx) != LUA_TSTRING) return false;
    size_t n;
    const char *name = lua_tolstring(L, idx, &n);
    if (strlen(name) != n) return false; /* no name has a zero in it */
    if (reg == AK_REG_none) return numeral(name, value);
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 4, "wire");
    ak_wire_push_names(L, reg);
    lua_pushvalue(L, idx);
    lua_rawget(L, -2);
    lua_Integer v = lua_tointegerx(L, -1, &exact);
    exact = exact && v >= 0 && v <= UINT32_MAX;
    lua_pop(L, 2);
    if (exact) *value = (uint32_t)v;
    return exact || ak_number(reg, name, value) || numeral(name, value);
}
