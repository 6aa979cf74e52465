-- akushu.adapters.socket: in a loop of its user's (in_loop), blocking, and in socket.select without blocking.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local conversations = require "spec.support.conversations"
local peers = require "spec.support.peers"
local socket = require "socket"
local tls = require "akushu.adapters.socket"

-- ---- coroutines over select: what a user of in_loop writes ------------------------------------------------------------------

local waiting = {} -- [coroutine] = { socket, direction, deadline }

local function wait(sock, direction, deadline)
  waiting[coroutine.running()] = { sock, direction, deadline }
  return coroutine.yield()
end

local function resume(co, ...)
  local ok, problem = coroutine.resume(co, ...)
  if not ok then error(debug.traceback(co, tostring(problem)), 0) end
end

local function turn()
  local readers, writers, now = {}, {}, socket.gettime()
  local first = now + 1
  for _, w in pairs(waiting) do
    if w[1] then table.insert(w[2] == "read" and readers or writers, w[1]) end
    if w[3] and w[3] < first then first = w[3] end
  end
  local readable, writable = socket.select(readers, writers, math.max(first - now, 0))
  local due = {}
  for co, w in pairs(waiting) do
    if w[1] and (w[2] == "read" and readable or writable)[w[1]] then due[co] = true
    elseif w[3] and w[3] <= socket.gettime() then due[co] = false end
  end
  for co, ready in pairs(due) do
    waiting[co] = nil
    resume(co, ready)
  end
end

local function spawn(fn) resume(coroutine.create(fn)) end

conversations {
  name = "akushu.adapters.socket in a loop", tls = tls.in_loop { wait = wait }, spawn = spawn,
  run = function(fn)
    waiting = {}
    local done
    spawn(function()
      fn()
      done = true
    end)
    while not done do turn() end
  end,
  sleep = function(seconds) wait(nil, "time", socket.gettime() + seconds) end,
  listen = function(accepted)
    local listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(0)
    local open = true
    spawn(function()
      while open do
        if wait(listener, "read", socket.gettime() + 0.1) then
          local sock = listener:accept()
          if sock then spawn(function() accepted(sock) end) end
        end
      end
      listener:close()
    end)
    return math.tointeger(tonumber((select(2, listener:getsockname())))), function() open = false end
  end,
  cut = function(conn) conn.transport.inner:close() end,
}

local id = certs.ecdsa()
local client, server = akushu.client { trust = id.trust }, akushu.server { identity = id.identity }
local megabyte = ("0123456789abcde\n"):rep(65536)

describe("akushu.adapters.socket, blocking,", function()
  it("tells what is no connected socket at the line of who wraps it", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    for wrong, value in pairs {
      ["a connected socket expected, got one that listens: wrap what its accept() returns"] = listener,
      ["a connected TCP socket of LuaSocket's expected, got 5"] = 5,
      ["a connected TCP socket of LuaSocket's expected, got "] = { receive = print },
    } do
      local ok, message = pcall(function() tls.wrap(value, server) end)
      assert.is_false(ok)
      assert.matches("^%S*adapters_socket_spec%.lua:%d+: ", message)
      assert.equal(wrong, (message:gsub("^.-:%d+: ", ""):gsub("table: .*", "")))
    end
    listener:close()
  end)

  it("talks to a server", function()
    local s <close> = peers.openssl_server { chain = id.chain, key = id.key, args = { "-rev", "-quiet" }, quiet = true }
    local conn = assert(tls.connect("localhost", s.port, client, { timeout = 10 * peers.patience, server_name = "localhost" }))
    assert.equal("127.0.0.1", (conn:getpeername()))
    assert.is_true(conn:getfd() > 2)
    for _ = 1, 3 do
      assert(conn:send(("stressed"):rep(1000) .. "\n"))
      assert.equal(("desserts"):rep(1000), conn:receive())
    end
    conn:settimeout(0.05)
    local began = socket.gettime()
    assert.equal("timeout", select(2, conn:receive()))
    assert.is_true(socket.gettime() - began < peers.patience) -- not the time that connect was given
    assert.equal("read", conn:want())
    assert.is_true(conn:close())
    assert.equal("closed", select(2, conn:receive()))
  end)

  it("serves, and gives up on who says nothing", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local port = math.tointeger(tonumber((select(2, listener:getsockname()))))
    local c <close> = peers.openssl_client { port = port, ca = id.ca, pipe = true, args = { "-quiet" } }
    c:write "ping\n"
    local got
    listener:settimeout(peers.patience)
    local handle = tls.handler(server, function(conn)
      got = conn:receive()
      return conn:send "pong\n"
    end, { timeout = peers.patience })
    assert.equal(5, handle(assert(listener:accept())))
    assert.equal("ping", got)
    assert.is_truthy(c:wait_log "pong")

    local silent = assert(socket.connect("127.0.0.1", port))
    local _, message, failure = tls.handler(server, error, { handshake_timeout = 0.1, linger = 0.1 })(assert(listener:accept()))
    assert.same({ "timeout", "the handshake was not done within 0.1 s" }, { failure.code, message })
    silent:settimeout(peers.patience)
    assert.equal(21, silent:receive(1):byte())
    listener:close()
  end)

  it("sends replies when they are made: no_delay, whoever made the socket", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local mine = assert(socket.connect("127.0.0.1", (select(2, listener:getsockname()))))
    assert.is_true(tls.wrap(mine, client, { server_name = "localhost" }):getoption "tcp-nodelay")
    mine:close()
    listener:close()
  end)

  it("follows a renegotiation that the context allows, and refuses any other, while it receives", function()
    for _, allowed in ipairs { true, false } do
      local s <close> = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { "-tls1_2" } }
      local context = akushu.client { trust = id.trust, versions = "1.2", renegotiation = allowed }
      local seen = {}
      local hooks = { { "send", "client_hello", function() seen[#seen + 1] = "client_hello" end } }
      local conn = assert(tls.connect("localhost", s.port, context, { timeout = peers.patience, hooks = hooks }))
      local random = conn.client_random
      if allowed then
        for i = 1, 2 do
          s:write "r\n"
          conn:settimeout(0.02)
          assert.is_true(peers.wait_for(function()
            assert.equal("timeout", select(2, conn:receive()))
            return conn.session ~= nil and conn.client_random ~= random
          end))
          conn:settimeout(peers.patience)
          s:write(("answer %d\n"):format(i))
          assert.equal("answer " .. i, conn:receive())
          random = conn.client_random
          assert(conn:send(("round %d\n"):format(i)))
          assert.is_truthy(s:wait_log("round " .. i), s:log())
        end
        assert.equal(3, #seen)
        conn:close()
      else
        s:write "r\n" -- s_server gives up on a client that says no_renegotiation
        local _, _, failure = conn:receive()
        assert.same({ "peer_alert", "handshake_failure" }, { failure.code, failure.alert })
        assert.same({ random, 1 }, { conn.client_random, #seen })
      end
    end
  end)

  it("knows a stream that ends from a connection that is closed", function()
    local s = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { "-quiet" }, quiet = true }
    local conn = assert(tls.connect("localhost", s.port, client, { timeout = peers.patience }))
    s:write "half of a l"
    assert.equal("half", conn:receive(4))
    s:kill()
    local line, _, failure, rest = conn:receive()
    assert.same({ nil, "truncated", " of a l" }, { line, failure.code, rest })
    assert.equal(-1, conn:getfd())
    s:stop()
  end)

  it("gives a call its time once, however slowly the peer reads", function()
    local slow <close> = peers.spawn { "python3", "-c", [[
import socket, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", 0))
listener.listen(1)
print("port", listener.getsockname()[1], flush=True)
peer, _ = listener.accept()
while peer.recv(20000): time.sleep(0.05)
]] }
    local sock = assert(socket.connect("127.0.0.1", tonumber(assert(slow:wait_log "port (%d+)\n"))))
    local transport = tls.wrap(sock, client, { server_name = "localhost" }).transport
    local ok, problem, last = transport:write(("x"):rep(1 << 25), 1, socket.gettime() + 0.5)
    assert.same({ nil, "timeout" }, { ok, problem })
    assert.is_true(last > 0 and last < 1 << 25) -- of what would have taken 80 s and more, and never stopped for long
    sock:close()
  end)

  it("wants a loop that can wait", function()
    for problem, call in pairs {
      ["in_loop: a table expected, got nil"] = function() tls.in_loop() end,
      ["in_loop: wait: a function expected, got nil"] = function() tls.in_loop {} end,
      ["in_loop: close: a function expected, got boolean"] = function() tls.in_loop { wait = wait, close = true } end,
    } do
      local ok, said = pcall(call)
      assert.is_false(ok)
      assert.matches("adapters_socket_spec.lua:%d+: " .. problem, said)
    end
  end)

  it("says when there is nobody", function()
    local port, holder = peers.closed_port()
    local conn, message, failure = tls.connect("127.0.0.1", port, client, { server_name = "localhost" })
    assert.same({ nil, "connection refused", "transport", "connect" }, { conn, message, failure.code, failure.state })
    holder:close()
  end)
end)

describe("akushu.adapters.socket, never waiting,", function()
  it("is watched by socket.select like a socket: a megabyte to a server and back", function()
    local s <close> = peers.start_server(function(port)
      local words = { "lua5.4", "examples/server.lua", "--listen", "127.0.0.1:" .. port, "--chain", id.chain, "--key", id.key }
      words.env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }
      return words
    end, "listening on")
    local sock = assert(socket.connect("127.0.0.1", s.port))
    local conn = tls.wrap(sock, client, { server_name = "localhost", timeout = 0 })
    local deadline = socket.gettime() + 2 * peers.patience
    -- Waits for what the last call has wanted.
    local function again(failure)
      assert.same({ "timeout", failure.want }, { failure.code, conn:want() })
      assert.is_true(socket.gettime() < deadline)
      local set = { conn }
      local readable, writable = socket.select(failure.want == "read" and set or nil, failure.want == "write" and set or nil, peers.patience)
      assert.equal(conn, readable[1] or writable[1])
    end
    local ok, _, failure
    repeat
      ok, _, failure = conn:handshake()
      if not ok then again(failure) end
    until ok
    local at, got, waits = 0, {}, 0
    while at < #megabyte or conn:unsent() > 0 or #table.concat(got) < #megabyte do
      local wants_write = at < #megabyte or conn:unsent() > 0
      local readable, writable = socket.select({ conn }, wants_write and { conn } or nil, peers.patience)
      assert.is_true(readable[1] == conn or writable[1] == conn)
      waits = waits + 1
      if writable[1] then
        local last, message, why, taken = conn:send(megabyte, at + 1, math.min(at + 100000, #megabyte))
        assert.is_true(last ~= nil or message == "timeout" and why.want == "write")
        at = last or taken
      end
      if readable[1] then
        local some, message = conn:receive_some(65536)
        assert.is_true(some ~= nil or message == "timeout")
        got[#got + 1] = some
      end
      if #got > 50 then got = { table.concat(got) } end
    end
    assert.is_true(table.concat(got) == megabyte)
    assert.is_false(conn:dirty())
    assert.is_true(waits > 10)
    assert.is_true(conn:close())
    assert.equal(-1, sock:getfd())
  end)
end)
