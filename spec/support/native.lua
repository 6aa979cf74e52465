-- C for specs: what Lua cannot ask the system for. It is compiled when a spec wants it, by the compiler that built akushu's module.
local peers = require "spec.support.peers"

local native = {}

--- A Lua module made of its C source; name: that of its luaopen_ function.
function native.module(name, source)
  local file = peers.tmpfile(source, name .. ".c")
  -- Beside akushu's own module: from some temporary directories nothing may be run. Once it is loaded it needs no name any more.
  local core = assert(package.searchpath("akushu.core", package.cpath))
  local object = core:gsub("[^/]*$", "") .. file:gsub("%W", "_") .. ".so"
  -- Under a sanitizer the compiler must not run with the preloaded library.
  local command = "env -u LD_PRELOAD cc -shared -fPIC $(pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4) -o %s %s"
  local made = os.execute(command:format(peers.quote(object), peers.quote(file)))
  local open = made and package.loadlib(object, "luaopen_" .. name)
  os.remove(object)
  return assert(open, "cc makes no Lua module")()
end

local memory

--- How many bytes of the heap are in use, Lua's and libcrypto's alike. It counts what was asked for and not given back: other than the pages that
--- the process has, which also hang on how the allocator cuts them and on when the system counts them. Under the address sanitizer, which has an
--- allocator of its own, it counts nothing.
function native.heap()
  memory = memory or native.module("memory", [[
#include <lauxlib.h>
#include <malloc.h>
static int heap(lua_State *L) {
    struct mallinfo2 m = mallinfo2();
    lua_pushinteger(L, (lua_Integer)(m.uordblks + m.hblkhd));
    return 1;
}
int luaopen_memory(lua_State *L) {
    lua_pushcfunction(L, heap);
    return 1;
}
]])
  collectgarbage()
  collectgarbage()
  return memory()
end

return native
