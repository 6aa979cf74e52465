-- The conversations that every adapter must manage, in its own event loop: akushu at both ends in one process, openssl at one. conversations(loop):
--
--   name                     for the tests' names
--   tls                      the adapter
--   run(fn)                  runs fn in a coroutine, and the loop until that has ended; raises what it raises
--   spawn(fn)                one more coroutine
--   sleep(seconds)
--   listen(accepted)         listens on 127.0.0.1; accepted(socket) is called for each connection in a coroutine of its own. Returns the port, and a function that ends it
--   cut(conn)                closes a connection's socket without a word
--
-- Times that must not be over are peers.patience; those that must be are short, and nothing else is expected of them.
local akushu = require "akushu"
local busted = require "busted"
local certs = require "spec.support.certs"
local merge = require "spec.support.merge"
local peers = require "spec.support.peers"
local assert = require "luassert"

local it, describe = busted.it, busted.describe

local megabyte = ("0123456789abcdef"):rep(65536)

return function(loop)
  local tls = loop.tls
  local id = certs.ecdsa()
  local client, server = akushu.client { trust = id.trust }, akushu.server { identity = id.identity }
  local patient = { timeout = peers.patience, handshake_timeout = peers.patience, linger = peers.patience }

  local function options(more)
    return merge(patient, { server_name = "localhost" }, more)
  end

  -- fn(port) in the loop, while handle(socket) is called for each connection. What goes wrong at that end is raised, too.
  local function with_listener(handle, fn)
    local problems, open, results = {}, 0, nil
    loop.run(function()
      local port, close = loop.listen(function(sock)
        open = open + 1
        local ok, problem = xpcall(handle, debug.traceback, sock)
        open = open - 1
        if not ok then problems[#problems + 1] = problem end
      end)
      results = table.pack(fn(port))
      local turns = 0
      while open > 0 and turns < 100 * peers.patience do
        turns = turns + 1
        loop.sleep(0.01)
      end
      close()
    end)
    if problems[1] then error(problems[1], 0) end
    assert.equal(0, open, "connections that have not ended")
    return table.unpack(results, 1, results.n)
  end

  local function with_server(fn, talk, o, context)
    return with_listener(tls.handler(context or server, fn, merge(patient, o)), talk)
  end

  local function echo(conn)
    repeat
      local data = conn:receive_some()
      if data then assert(conn:send(data)) end
    until not data
  end

  -- Waits in the loop, for what another process does.
  local function wait_for(probe)
    for _ = 1, 50 * peers.patience do
      local got = probe()
      if got then return got end
      loop.sleep(0.02)
    end
    error("waited in vain", 2)
  end

  describe(loop.name, function()
    it("tells what is no address, or no table of options, at the line of who connects", function()
      loop.run(function()
        for wrong, call in pairs {
          ["connect: a host expected (a name or an address), got nil"] = function() tls.connect(nil, 443, client) end,
          ["connect: a port expected, got nil"] = function() tls.connect("localhost", nil, client) end,
          ["connect: a port expected, got userdata"] = function() tls.connect("localhost", client) end,
          ["a table of options expected, got number"] = function() tls.connect("localhost", 443, client, 30) end,
        } do
          local ok, message = pcall(call)
          assert.is_false(ok)
          assert.equal(wrong, (message:gsub("^%S*conversations%.lua:%d+: ", "")))
          assert.matches("conversations%.lua:%d+: ", message)
        end
      end)
    end)

    it("connects to no host that no name could be: wherever that came from, it is no mistake of the program's", function()
      loop.run(function()
        for _, host in ipairs { "localhost:443", "https://localhost", "", "b\252cher.example", "a\0b", ("x"):rep(300), "a b" } do
          local conn, message, failure = tls.connect(host, 443, client)
          assert.is_nil(conn)
          assert.same({ "bad_host_name", "connect", message }, { failure.code, failure.state, failure.message })
          assert.matches("is not a host name or address", message)
          assert.is_nil(message:find "%c")
          local sock = tls.create(client)()
          assert.same({ nil, message }, { (function(ok, why) return ok, why end)(sock:connect(host, 443)) })
        end
      end)
    end)

    it("can say who it was whose handshake has failed, though the socket is closed", function()
      local who
      with_server(function() error "no handshake could have been done" end, function(port)
        local conn, _, failure = tls.connect("127.0.0.1", port, akushu.client { trust = akushu.trust {} }, { timeout = 60 })
        assert.is_nil(conn)
        assert.equal("unknown_ca", failure.alert)
        for _ = 1, 6000 do
          if who then break end
          loop.sleep(0.01)
        end
      end, { timeout = 60, on_failure = function(_, _, conn)
        assert.is_true(conn.gone)
        who = table.pack((conn.getpeername or conn.peername)(conn))
      end })
      local found
      for _, value in ipairs(type(who[1]) == "table" and { who[1].ip } or who) do found = found or value == "127.0.0.1" end
      assert.is_true(found)
    end)

    it("gives socket.http what it speaks TLS with", function()
      local http, ltn12 = require "socket.http", require "ltn12"
      with_server(function(conn)
        local line = conn:receive()
        if not line then return end
        repeat until conn:receive() == ""
        conn:send { "HTTP/1.1 200 OK\r\n\r\n", line, "\n", megabyte }
      end, function(port)
        local got = {}
        local ok, code = http.request { url = ("https://127.0.0.1:%d/here"):format(port), create = tls.create(client, { timeout = peers.patience }), sink = ltn12.sink.table(got) }
        assert.same({ 1, 200 }, { ok, code })
        assert.is_true(table.concat(got) == "GET /here HTTP/1.1\n" .. megabyte)
      end)
    end)

    it("lines and a megabyte each way, and a clean end", function()
      with_server(function(conn)
        assert.same({ "server", "localhost" }, { conn.role, conn.server_name })
        assert(conn:send(assert(conn:receive()) .. "\r\n"))
        assert(conn:send(assert(conn:receive(#megabyte))))
        assert.equal("bye", conn:receive "*a")
      end, function(port)
        local conn = assert(tls.connect("127.0.0.1", port, client, options()))
        assert.same({ "client", "1.3", "ok" }, { conn.role, conn.version, conn.report.verdict })
        assert.equal(6, conn:send "hello\n")
        assert.equal("hello", conn:receive())
        assert.equal(#megabyte, conn:send(megabyte))
        assert.is_true(conn:receive(#megabyte) == megabyte)
        assert(conn:send "bye")
        assert(conn:close_write())
        assert.same({ "", "closed" }, { conn:receive "*a", (select(2, conn:receive())) })
        assert.is_true(conn:close())
      end)
    end)

    it("many clients at once, both directions at once", function()
      local served, most, now = 0, 0, 0
      with_server(function(conn)
        now = now + 1
        most = math.max(most, now)
        wait_for(function() return most == 20 end) -- all of them are there before the first is served
        echo(conn)
        served, now = served + 1, now - 1
      end, function(port)
        local done = 0
        for i = 1, 20 do
          loop.spawn(function()
            local conn <close> = assert(tls.connect("127.0.0.1", port, client, options()))
            local text = (tostring(i) .. " "):rep(20000)
            loop.spawn(function() assert(conn:send(text)) end)
            assert.is_true(conn:receive(#text) == text)
            done = done + 1
          end)
        end
        wait_for(function() return done == 20 end)
        wait_for(function() return served == 20 end)
      end)
      assert.equal(20, most)
    end)

    it("KeyUpdates while it receives", function()
      with_server(echo, function(port)
        local conn <close> = assert(tls.connect("127.0.0.1", port, client, options()))
        for i = 1, 5 do
          assert(conn:update_keys(true))
          assert(conn:send(i .. "\n"))
          assert.equal(tostring(i), conn:receive())
        end
      end)
    end)

    it("a question that waits in the loop", function()
      local asked = 0
      local careful = akushu.client { trust = akushu.testca.new({}):trust(), on_untrusted = function()
        loop.sleep(0.02)
        asked = asked + 1
        return true
      end }
      local choosing = akushu.server { identity = id.identity, on_identity = function()
        loop.sleep(0.02)
        asked = asked + 1
        return id.identity
      end }
      with_server(echo, function(port)
        local conn <close> = assert(tls.connect("127.0.0.1", port, careful, options()))
        assert(conn:send "x")
        assert.equal("x", conn:receive(1))
      end, nil, choosing)
      assert.equal(2, asked)
    end)

    it("a certificate that is refused: the alert reaches the server", function()
      local theirs
      with_server(echo, function(port)
        local conn, message, failure = tls.connect("127.0.0.1", port, akushu.client { trust = akushu.testca.new({}):trust() }, options())
        assert.same({ nil, "unknown_ca", "local" }, { conn, failure.code, failure.origin })
        assert.equal(message, failure.message)
        assert.equal("unknown_ca", failure.report.verdict)
      end, { on_failure = function(_, failure) theirs = failure end })
      assert.same({ "peer_alert", "unknown_ca", "peer" }, { theirs.code, theirs.alert, theirs.origin })
    end)

    it("a stream that is cut", function()
      local failure, rest
      with_server(function(conn) failure, rest = select(3, conn:receive "*a") end, function(port)
        local conn = assert(tls.connect("127.0.0.1", port, client, options()))
        assert(conn:send "so far")
        loop.cut(conn)
        wait_for(function() return failure end)
      end)
      assert.same({ "truncated", "so far" }, { failure.code, rest })
    end)

    it("a peer that says nothing", function()
      local hung
      local over
      with_listener(function(sock)
        hung = sock
        wait_for(function() return over end)
      end, function(port)
        local conn, message, failure = tls.connect("127.0.0.1", port, client, options { handshake_timeout = 0.5, linger = 0.1 })
        assert.same({ nil, "timeout", "the handshake was not done within 0.5 s" }, { conn, failure.code, message })
        wait_for(function() return hung end)
        over = true
      end)
      with_server(function(conn)
        assert(conn:receive())
        conn:send "late\n"
        conn:receive "*a"
      end, function(port)
        local conn <close> = assert(tls.connect("127.0.0.1", port, client, options()))
        conn:settimeout(0.05)
        for _ = 1, 2 do
          local line, message, failure = conn:receive()
          assert.same({ nil, "timeout", "timeout", "read" }, { line, message, failure.code, failure.want })
        end
        conn:settimeout(peers.patience)
        assert(conn:send "now\n")
        assert.equal("late", conn:receive())
      end)
    end)

    it("a peer that takes nothing", function()
      local over, sent, got
      with_server(function(conn)
        assert(conn:receive(1))
        wait_for(function() return over end)
        got = #conn:receive "*a"
      end, function(port)
        local conn <close> = assert(tls.connect("127.0.0.1", port, client, options()))
        assert(conn:send "x")
        conn:settimeout(0.1)
        local message, failure, taken
        for i = 1, 64 do
          local _
          _, message, failure, taken = conn:send(megabyte)
          sent = i * #megabyte
          if failure then break end
        end
        over = true
        assert.same({ "timeout", "write" }, { message, failure.want })
        assert.is_true(taken <= #megabyte) -- all of it: its last bytes wait to be sent
        conn:settimeout(peers.patience)
        assert(conn:send(megabyte, taken + 1))
        conn:close()
      end)
      assert.equal(sent, got) -- each byte once
    end)

    it("a peer that is not there, and one that resets", function()
      local port, holder = peers.closed_port()
      loop.run(function()
        local conn, message, failure = tls.connect("127.0.0.1", port, client, options())
        assert.same({ nil, "transport", "connect" }, { conn, failure.code, failure.state })
        assert.is_string(message)
      end)
      holder:close()
    end)

    it("garbage", function()
      local theirs
      with_server(echo, function(port)
        local shouting = { { "record_out", "*", function() return ("x"):rep(300) end } }
        local conn, _, failure = tls.connect("127.0.0.1", port, client, options { hooks = shouting })
        assert.is_nil(conn)
        assert.same("peer", failure.origin)
      end, { on_failure = function(_, failure) theirs = failure end })
      assert.is_string(theirs.alert)
    end)

    it("resumption", function()
      with_server(echo, function(port)
        local resumption
        for i = 1, 2 do
          local conn <close> = assert(tls.connect("127.0.0.1", port, client, options { session = resumption }))
          assert(conn:send "x")
          assert.equal("x", conn:receive(1))
          assert.equal(i == 2, conn.resumed)
          resumption = assert(conn:resumption())
        end
      end)
    end)

    it("misuse is told at the caller's line", function()
      loop.run(function()
        for problem, call in pairs {
          ["unknown option 'nope'"] = function() tls.handler(server, echo, { nope = 1 }) end,
          ["unknown option 'nop'"] = function() tls.connect("127.0.0.1", 1, client, { nop = 1 }) end,
          ["a function expected"] = function() tls.handler(server) end,
          ["option 'timeout'"] = function() tls.connect("127.0.0.1", 1, client, { timeout = -1 }) end,
          ["expected, got nil"] = function() tls.wrap(nil, client, options()) end,
        } do
          local ok, said = pcall(call)
          assert.is_false(ok)
          assert.is_truthy(said:find(problem, 1, true), said)
          assert.matches("^%S*conversations.lua:%d+: ", said)
        end
      end)
    end)

    describe("and openssl", function()
      it("as the server", function()
        local s <close> = peers.openssl_server { chain = id.chain, key = id.key, args = { "-rev", "-quiet" }, quiet = true }
        loop.run(function()
          for _ = 1, 2 do
            local conn = assert(tls.connect("127.0.0.1", s.port, client, options()))
            assert(conn:send "stressed\n")
            assert.equal("desserts", conn:receive())
            conn:close()
          end
        end)
        s:stop()
      end)

      it("as a client, whose certificate is wanted", function()
        local theirs, got
        with_server(function(conn)
          got = conn:receive()
          assert(conn:send "pong\n")
          conn:receive "*a"
        end, function(port)
          local c <close> = peers.openssl_client { port = port, ca = id.ca, pipe = true, args = { "-quiet" } }
          c:write "ping\n"
          wait_for(function() return c:log():find "pong" end)
          c:finish_input()
          c:stop()
        end)
        assert.equal("ping", got)
        local mutual = akushu.server { identity = id.identity, client_auth = "require", trust = id.trust }
        with_server(echo, function(port)
          local c <close> = peers.openssl_client { port = port, ca = id.ca, pipe = true }
          c:write "ping\n"
          wait_for(function() return c:log():find "alert certificate required" end)
          c:stop()
        end, { on_failure = function(_, failure) theirs = failure end }, mutual)
        assert.same({ "certificate_required", "local" }, { theirs.alert, theirs.origin })
      end)
    end)
  end)
end
