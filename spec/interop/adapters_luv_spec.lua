-- akushu.adapters.luv: both ends in one loop.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local conversations = require "spec.support.conversations"
local tls = require "akushu.adapters.luv"
local uv = require "luv"

local problem

local function spawn(fn)
  local co = coroutine.create(function()
    local ok, why = xpcall(fn, debug.traceback)
    if not ok then problem = why end
  end)
  assert(coroutine.resume(co))
end

local function after(seconds, fn)
  local timer = uv.new_timer()
  timer:start(math.ceil(seconds * 1000), 0, function()
    timer:close()
    fn()
  end)
end

local function run(fn)
  local done, late
  problem = nil
  spawn(function()
    fn()
    done = true
  end)
  local alarm = uv.new_timer()
  alarm:start(60000, 0, function() late = true end)
  while not done and not problem and not late do uv.run "once" end
  -- Nothing is left for the collector: luv 1.44 cannot end a loop that was made in a coroutine, such as busted's, and has handles.
  uv.walk(function(handle)
    if not handle:is_closing() then handle:close() end
  end)
  uv.run()
  if problem then error(problem, 0) end
  if not done then error "no end in 60 s" end
end

local function listen(accepted)
  local listener = uv.new_tcp()
  assert(listener:bind("127.0.0.1", 0))
  assert(listener:listen(128, function(err)
    assert(not err, err)
    local sock = uv.new_tcp()
    listener:accept(sock)
    accepted(sock)
  end))
  return listener:getsockname().port, function() listener:close() end
end

conversations {
  name = "akushu.adapters.luv", tls = tls, spawn = spawn, run = run,
  sleep = function(seconds)
    local co = coroutine.running()
    after(seconds, function() assert(coroutine.resume(co)) end)
    coroutine.yield()
  end,
  listen = function(accepted) return listen(function(sock) spawn(function() accepted(sock) end) end) end,
  cut = function(conn) conn.transport.inner:close() end,
}

describe("akushu.adapters.luv", function()
  local id = certs.ecdsa()
  local client, server = akushu.client { trust = id.trust }, akushu.server { identity = id.identity }

  it("handler starts a coroutine where there is none", function()
    run(function()
      local port, close = listen(tls.handler(server, function(conn) conn:send(conn:receive() .. "\n") end, { timeout = 20 }))
      local conn = assert(tls.connect("127.0.0.1", port, client, { server_name = "localhost", timeout = 20 }))
      assert.equal(port, conn:getpeername().port)
      assert(conn:send "hello\n")
      assert.equal("hello", conn:receive())
      conn:close()
      close()
    end)
  end)

  it("says that it wants a coroutine", function()
    local tried, said
    run(function()
      local co = coroutine.running()
      after(0, function() -- a callback of luv's runs in none
        tried, said = pcall(tls.connect, "127.0.0.1", 1, client)
        assert(coroutine.resume(co))
      end)
      coroutine.yield()
    end)
    assert.is_false(tried)
    assert.matches("connections are used in coroutines", said)
  end)

  it("takes no more than it is asked for", function()
    run(function()
      local port, close = listen(tls.handler(server, function(conn)
        conn:settimeout(0.2)
        local _, message, _, taken = conn:send(("x"):rep(64 << 20))
        assert.same({ "timeout", true }, { message, taken < 64 << 20 })
      end))
      local conn = assert(tls.connect("127.0.0.1", port, client, { server_name = "localhost", timeout = 20 }))
      assert.equal(1, #conn:receive(1))
      local co = coroutine.running()
      after(0.5, function() assert(coroutine.resume(co)) end)
      coroutine.yield()
      assert.is_true(conn.transport.queued < 262144, conn.transport.queued)
      conn:close()
      close()
    end)
  end)
end)
