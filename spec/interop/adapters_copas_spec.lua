-- akushu.adapters.copas: both ends in copas coroutines. Debian's copas is a 1.x, installed for 5.2 and good for 5.4; a 4.x that is on the path comes first.
package.path = package.path .. ";/usr/share/lua/5.2/?.lua;/usr/share/lua/5.3/?.lua"
local copas = require "copas"
local conversations = require "spec.support.conversations"
local socket = require "socket"
local tls = require "akushu.adapters.copas"

-- copas 1.x cannot sleep: something that select finds dirty when the time has come.
local sleeper = assert(socket.udp4())

local function sleep(seconds)
  if copas.pause then return copas.pause(seconds) end
  local till, asked = socket.gettime() + seconds, false
  copas.receive({
    getfd = function() return sleeper:getfd() end,
    dirty = function() return socket.gettime() >= till end,
    receive = function()
      if asked then return "" end
      asked = true
      return nil, "timeout"
    end,
    close = function() end,
  }, 1)
end

local problem

local function spawn(fn)
  copas.addthread(function()
    local ok, why = xpcall(fn, debug.traceback)
    if not ok then problem = why end
  end)
end

conversations {
  name = "akushu.adapters.copas, " .. copas._VERSION .. ",", tls = tls, spawn = spawn, sleep = sleep,
  run = function(fn)
    local done
    problem = nil
    spawn(function()
      fn()
      done = true
    end)
    while not done and not problem do copas.step(0.02) end
    if problem then error(problem, 0) end
  end,
  listen = function(accepted)
    local listener = assert(socket.bind("127.0.0.1", 0))
    copas.addserver(listener, accepted)
    return math.tointeger(tonumber((select(2, listener:getsockname())))), function()
      if copas.removeserver then copas.removeserver(listener, true) end
      listener:close()
    end
  end,
  cut = function(conn) conn.transport.inner:close() end,
}

describe("akushu.adapters.copas", function()
  it("takes the object that copas.wrap gives", function()
    local akushu = require "akushu"
    local sock = assert(socket.tcp())
    local conn = tls.wrap(copas.wrap(sock), akushu.client { verify = false })
    assert.equal(sock, conn.transport.inner)
  end)
end)
