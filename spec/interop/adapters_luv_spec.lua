-- akushu.adapters.luv: both ends in one loop.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local conversations = require "spec.support.conversations"
local peers = require "spec.support.peers"
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
  local done
  problem = nil
  spawn(function()
    fn()
    done = true
  end)
  while not done and not problem do uv.run "once" end
  -- Nothing is left for the collector: luv 1.44 cannot end a loop that was made in a coroutine, such as busted's, and has handles.
  uv.walk(function(handle)
    if not handle:is_closing() then handle:close() end
  end)
  uv.run()
  if problem then error(problem, 0) end
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
  local patient = { timeout = peers.patience }
  local options = { timeout = peers.patience, server_name = "localhost" }

  it("handler starts a coroutine where there is none", function()
    run(function()
      local port, close = listen(tls.handler(server, function(conn) conn:send(conn:receive() .. "\n") end, patient))
      local conn = assert(tls.connect("127.0.0.1", port, client, options))
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
      local sent
      local port, close = listen(tls.handler(server, function(conn)
        sent = { conn:send(("x"):rep(64 << 20)) } -- until the other end closes
      end, patient))
      local conn = assert(tls.connect("127.0.0.1", port, client, options))
      assert.equal(1, #conn:receive(1))
      local co = coroutine.running()
      after(0.5, function() assert(coroutine.resume(co)) end)
      coroutine.yield()
      assert.is_nil(sent)
      assert.is_true(conn.transport.queued < 262144, conn.transport.queued)
      conn:close()
      while not sent do
        after(0.02, function() assert(coroutine.resume(co)) end)
        coroutine.yield()
      end
      assert.is_nil(sent[1])
      assert.is_true(sent[4] < 64 << 20)
      close()
    end)
  end)

  it("takes over a stream whose plain text a callback has read until then", function()
    run(function()
      local heard
      local port, close = listen(function(sock)
        sock:read_start(function(_, text)
          heard = text
          sock:write "go ahead\n"
          tls.handler(server, function(conn) conn:send(conn:receive() .. "\n") end, patient)(sock)
        end)
      end)
      local sock, co = uv.new_tcp(), coroutine.running()
      sock:connect("127.0.0.1", port, function()
        sock:write "STARTTLS\n"
        sock:read_start(function(_, text) assert(coroutine.resume(co, text)) end)
      end)
      assert.equal("go ahead\n", coroutine.yield())
      local conn = assert(tls.wrap(sock, client, options))
      assert(conn:send "hello\n")
      assert.same({ "STARTTLS\n", "hello" }, { heard, conn:receive() })
      conn:close()
      close()
    end)
  end)

  -- In a process of its own, in which nobody else has seen to SIGPIPE: libuv starts it with what is usual.
  it("a peer that resets ends the connection, and not the process", function()
    local code, signal
    run(function()
      local co = coroutine.running()
      assert(uv.spawn("lua5.4", { args = { "-e", [[
      local akushu, uv = require "akushu", require "luv"
      local tls = require "akushu.adapters.luv"
      local listener = uv.new_tcp()
      listener:bind("127.0.0.1", 0)
      listener:listen(8, function()
        local sock = uv.new_tcp()
        listener:accept(sock)
        sock:close_reset()
        listener:close()
      end)
      local sock = uv.new_tcp()
      sock:connect("127.0.0.1", listener:getsockname().port, function()
        sock:read_start(function() -- the reset
          coroutine.wrap(function()
            local conn = tls.wrap(sock, akushu.client { verify = false }, { timeout = 90 })
            assert(not conn:handshake())
            os.exit(7)
          end)()
        end)
      end)
      uv.run()
      ]] }, env = { "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath, "PATH=" .. os.getenv "PATH" } }, function(...) assert(coroutine.resume(co, ...)) end))
      code, signal = coroutine.yield()
    end)
    assert.same({ 7, 0 }, { code, signal })
  end)
end)
