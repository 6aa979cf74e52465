-- What a program does that forks (a server with worker processes): the child draws randomness of its own.
local akushu = require "akushu"
local native = require "spec.support.native"

-- The C library's fork() for Lua: run(fn): the string that fn returns in a child process.
local source = [[
#include <lauxlib.h>
#include <lua.h>
#include <sys/wait.h>
#include <unistd.h>
static int run(lua_State *L) {
    int ends[2];
    char room[256];
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (pipe(ends) != 0) return luaL_error(L, "pipe");
    pid_t child = fork();
    if (child < 0) return luaL_error(L, "fork");
    if (child == 0) {
        size_t n = 0;
        lua_settop(L, 1);
        const char *s = lua_pcall(L, 0, 1, 0) == LUA_OK ? lua_tolstring(L, -1, &n) : NULL;
        _exit(s != NULL && write(ends[1], s, n) == (ssize_t)n ? 0 : 1);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], room, sizeof room);
    close(ends[0]);
    waitpid(child, NULL, 0);
    lua_pushlstring(L, room, n > 0 ? (size_t)n : 0);
    return 1;
}
int luaopen_run(lua_State *L) {
    lua_pushcfunction(L, run);
    return 1;
}
]]

describe("a forked process", function()
  it("has no client_random in common with its parent, nor with another child", function()
    local run = native.module("run", source)
    local context = akushu.client { verify = false, max_version = "1.2" }
    local function client_random() return context:handshake():start():sub(12, 43) end
    local seen = {}
    local function new(random)
      assert.equal(32, #random)
      assert.is_nil(seen[random])
      seen[random] = true
    end
    new(client_random()) -- there is a pool now
    for _ = 1, 3 do
      new(run(client_random))
      new(run(function() client_random() return client_random() end))
      new(client_random())
    end
  end)
end)
