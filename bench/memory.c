/* bench_memory: how many bytes of the heap are in use, Lua's and libcrypto's alike (both allocate with malloc). */
#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>

static int in_use(lua_State *L)
{
    struct mallinfo2 info = mallinfo2();
    lua_pushinteger(L, (lua_Integer)(info.uordblks + info.hblkhd));
    return 1;
}

int luaopen_bench_memory(lua_State *L)
{
    static const luaL_Reg functions[] = {{"in_use", in_use}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
