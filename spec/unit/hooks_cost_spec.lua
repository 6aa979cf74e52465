-- With no hook a handshake runs no Lua code at all: a gate that nobody asked for costs the engine one test of a bit. What hooks cost when they are there is in
-- bench/run.lua ("hooks").
local akushu = require "akushu"
local certs = require "spec.support.certs"

local sethook, getinfo = debug.sethook, debug.getinfo

-- Lua functions that are called while two handshakes run to their end.
local function lua_calls(options, prepare)
  local id = certs.ecdsa()
  local client = akushu.client { trust = id.trust, versions = options }:handshake { server_name = "localhost" }
  local server = akushu.server { identity = id.identity, versions = options }:handshake {}
  if prepare then prepare(client, server) end
  local calls = 0
  local function counted(f, ...)
    sethook(function()
      if getinfo(2, "S").what == "Lua" then calls = calls + 1 end
    end, "c")
    local out = f(...)
    sethook()
    return assert(out)
  end
  local out = counted(client.start, client)
  counted(server.start, server)
  while not (client.done and server.done) do
    local back = counted(server.step, server, out)
    out = client.done and "" or counted(client.step, client, back)
  end
  return calls
end

describe("the cost of a gate", function()
  for _, version in ipairs { "1.2", "1.3" } do
    it("is nothing in Lua where no hook is: TLS " .. version, function()
      assert.equal(0, lua_calls(version))
      assert.is_true(lua_calls(version, function(client) client:on("send", "client_hello", function() end) end) > 0)
    end)
  end
end)
