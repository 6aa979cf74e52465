-- akushu.adapters.connection over transports in memory: what every adapter has from it.
local akushu = require "akushu"
local connection = require "akushu.adapters.connection"
local Inbox = require "akushu.adapters.inbox"
local pipes = require "spec.support.pipes"

local ca = akushu.testca.new {}
local identity = ca:issue({ names = { "localhost" } }).identity
local trust = ca:trust()

local function client_context(more)
  local o = { trust = trust }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.client(o)
end

local function server_context(more)
  local o = { identity = identity }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.server(o)
end

local clients, servers = { ["1.2"] = client_context { versions = "1.2" }, ["1.3"] = client_context() }, server_context()

-- Two connections. o: pipes.pair's; client, server: options of the connections; client_context, server_context, version.
local function pair(o)
  o = o or {}
  local a, b = pipes.pair(o)
  local of_client = { server_name = "localhost" }
  for k, v in pairs(o.client or {}) do of_client[k] = v end
  return connection.new(a, o.client_context or clients[o.version or "1.3"], of_client), connection.new(b, o.server_context or servers, o.server)
end

local megabyte = ("0123456789abcdef"):rep(65536)

describe("an inbox", function()
  it("gives bytes in the order they came, in any portions", function()
    local inbox = Inbox.new()
    for _, piece in ipairs { "ab", "", "cdef", "g" } do inbox:put(piece) end
    assert.equal(7, inbox.size)
    assert.same({ "a", "bcd", "", "efg", 0 }, { inbox:take(1), inbox:take(3), inbox:take(0), inbox:take(3), inbox.size })
  end)

  it("finds a mark wherever the pieces end", function()
    local text = "one\r\ntwo\r\r\nthree\r\n"
    for size = 1, #text do
      for _, skip in ipairs { 0, 2 } do
        local inbox, found = Inbox.new(), nil
        inbox:put(text:sub(1, 2))
        inbox:take(skip)
        for at = 3, #text, size do
          inbox:put(text:sub(at, at + size - 1))
          found = inbox:find "\r\n"
          if found then break end
        end
        assert.equal(5 - skip, found)
        inbox:take(found)
        for at = 1, #text do inbox:put(text:sub(at, at)) end
        local rest = inbox:take(inbox:find "\r\r\n" or inbox:find "three")
        assert.matches("two\r\r\n$", rest)
      end
    end
    local inbox = Inbox.new()
    for _ = 1, 100 do
      inbox:put "aa"
      assert.is_nil(inbox:find "aab")
    end
    inbox:put "b"
    assert.equal(201, inbox:find "aab")
    assert.equal(201, inbox:find "b")
  end)
end)

for _, version in ipairs { "1.2", "1.3" } do
  describe("a connection of TLS " .. version, function()
    for _, piece in ipairs { 1, 7, 0 } do
      it(("shakes hands, sends lines both ways and ends, %s"):format(piece == 0 and "all bytes at once" or piece .. " at a time"), function()
        local client, server = pair { version = version, piece = piece > 0 and piece or nil }
        pipes.run(function()
          assert.is_true(client:handshake())
          assert.same({ version, "localhost", "ok" }, { client.version, client.server_name, client.report.verdict })
          assert.equal("CN=localhost", client.peer[1].subject)
          assert.equal(11, client:send "one\r\ntwo\n\nx")
          assert.equal(6, client:send("abcdefgh", 4, 6))
          assert.equal(8, client:send("abcdefgh", -2))
          assert.equal(3, client:send { "a", "b", "c" })
          assert.equal("back", client:receive())
          assert.same({ nil, "closed" }, { client:receive(), (select(2, client:receive())) })
          assert.is_true(client:close())
        end, function()
          assert.same({ "one", "two", "" }, { server:receive(), server:receive "*l", server:receive "l" })
          assert.equal("xdef", server:receive(4))
          assert.equal("ghab", server:receive_until "ab")
          assert.equal("c", server:receive_some())
          assert.equal("", server:receive(0))
          assert.equal(5, server:send "back\n")
          assert.is_true(server:close())
        end)
        assert.is_true(client.transport.closed and server.transport.closed)
        assert.is_nil(client.failure)
      end)
    end

    it("carries a megabyte each way at once, one coroutine sending and one receiving on each side", function()
      local client, server = pair { version = version, room = 4096 }
      local function sends(conn) return function()
        assert(conn:handshake())
        assert.equal(#megabyte, conn:send(megabyte))
      end end
      local function receives(conn) return function()
        while not conn.session do pipes.sleep(0.001) end
        assert.is_true(conn:receive(#megabyte) == megabyte)
      end end
      pipes.run(sends(client), receives(client), sends(server), receives(server))
    end)

    it("says what a lost stream had, and that it is truncated", function()
      local client, server = pair { version = version }
      pipes.run(function()
        assert(client:send "so far, so g")
        client.transport:close()
      end, function()
        local all, message, failure, rest = server:receive "*a"
        assert.same({ nil, "truncated", "so far, so g", message }, { all, failure.code, rest, failure.message })
        assert.matches("without close_notify", message)
        assert.is_true(server.transport.closed)
        assert.same({ nil, message, failure, "" }, { server:receive(1) }, "again")
        assert.equal("truncated", select(3, server:send "x").code)
      end)
    end)

    it("goes on receiving when its own half is closed", function()
      local client, server = pair { version = version }
      pipes.run(function()
        assert(client:send "question")
        assert.is_true(client:close_write())
        local _, _, failure = client:send "more"
        assert.equal("write_closed", failure.code)
        assert.equal(version == "1.3" and "answer" or "", client:receive "*a")
        client:close()
      end, function()
        assert.equal("question", server:receive "*a")
        if version == "1.3" then assert(server:send "answer") end
        server:close()
      end)
    end)

    it("tells the peer why it refuses its certificate", function()
      local client, server = pair { version = version, client_context = akushu.client { trust = akushu.testca.new({}):trust(), versions = version } }
      local ours, theirs
      pipes.run(function()
        ours = table.pack(client:handshake())
        for _, again in ipairs { table.pack(client:handshake()), table.pack(client:receive()), table.pack(client:send "x") } do
          assert.same({ ours[1], ours[2] }, { again[1], again[2] })
          assert.equal(ours[3], again[3])
        end
      end, function() theirs = { server:handshake() } end)
      assert.same({ "unknown_ca", "unknown_ca", "local" }, { ours[3].code, ours[3].alert, ours[3].origin })
      assert.equal("CN=localhost", client.peer[1].subject)
      assert.equal("unknown_ca", client.report.verdict)
      assert.same({ "peer_alert", "unknown_ca", "peer" }, { theirs[3].code, theirs[3].alert, theirs[3].origin })
      assert.is_true(client.transport.closed and server.transport.closed)
    end)

    it("refuses garbage with an alert, and drains what comes behind it", function()
      local a, b = pipes.pair()
      local server = connection.new(b, servers)
      local got
      pipes.run(function()
        a:write("SSH-2.0-nobody\r\n" .. ("x"):rep(100000), 1)
        got = a:read()
        a:close()
      end, function()
        local _, _, failure = server:handshake()
        assert.is_string(failure.alert)
      end)
      assert.equal(21, got:byte(1))
    end)

    it("waits for a peer that trickles no longer than its patience, and says so to it", function()
      local client, server = pair { version = version, server = { handshake_timeout = 5 } }
      local began, got = pipes.now(), nil
      pipes.run(function()
        local hello = client.hs:start()
        for i = 1, #hello do
          if not client.transport:write(hello:sub(i, i), 1) then break end
          pipes.sleep(1)
        end
        got = client.transport:read()
      end, function()
        local _, message, failure = server:handshake()
        assert.same({ "timeout", nil, "the handshake was not done within 5 s" }, { failure.code, failure.want, message })
        assert.is_true(pipes.now() - began <= 8, pipes.now() - began) -- and lingers
      end)
      assert.equal(21, got:byte(1))
      assert.is_true(server.transport.closed)
    end)

    it("keeps what has come when a call runs out of time, and goes on with the next", function()
      local client, server = pair { version = version, server = { timeout = 2 } }
      pipes.run(function()
        pipes.sleep(3)
        assert(client:send "half ")
        pipes.sleep(3)
        assert(client:send "a line\nand")
        assert(client:receive_some())
        client:close()
      end, function()
        local ok, message, failure = server:handshake()
        assert.same({ nil, "timeout", "timeout", "read", "read" }, { ok, message, failure.code, failure.want, server:want() })
        assert.is_true(server:handshake())
        local line, rest
        line, message, failure, rest = server:receive()
        assert.same({ nil, "timeout", "read", nil }, { line, message, failure.want, rest })
        assert.is_true(server:dirty())
        assert.equal("half a line", server:receive())
        assert.equal("a", server:receive_some(1))
        server:settimeout(nil)
        assert(server:send "x")
        line, message, _, rest = server:receive()
        assert.same({ nil, "closed", "nd" }, { line, message, rest })
      end)
    end)

    it("gives a call its time once, though the peer always has more, or takes all", function()
      local c, s = pair { version = version, piece = 16384, client = { timeout = 1 }, server = { timeout = 1 } }
      local got, message, why, taken, _
      -- A clock that goes on while nobody waits: a tenth of a second whenever it is looked at.
      local function busy(conn)
        local t = pipes.now()
        conn.transport.now = function()
          t = t + 0.1
          return t
        end
      end
      pipes.run(function()
        assert(c:handshake())
        busy(c)
        _, message, why, taken = c:send(megabyte .. megabyte)
        assert.same({ "timeout", "write" }, { message, why.want })
        assert.is_true(taken > 0 and taken < 2 * #megabyte)
        c:settimeout(nil)
        assert(c:send(megabyte .. megabyte, taken + 1))
        c:close()
      end, function()
        assert(s:handshake())
        busy(s)
        got, message, why = s:receive "*a"
        assert.same({ nil, "timeout", "read" }, { got, message, why.want })
        assert.is_true(s.inbox.size > 0 and s.inbox.size < 2 * #megabyte)
        s:settimeout(nil)
        assert.is_true(s:receive "*a" == megabyte .. megabyte)
        s:close()
      end)
    end)

    it("takes what fits, says how much, and sends the rest with the next call", function()
      local client, server = pair { version = version, room = 8192 }
      pipes.run(function()
        assert(client:handshake())
        client:settimeout(0)
        local at, stops = 0, 0
        repeat
          local last, message, failure, taken = client:send(megabyte, at + 1)
          if not last then
            stops = stops + 1
            assert.same({ "timeout", "write", "write" }, { message, failure.want, client:want() })
            assert.is_true(taken >= at and client:unsent() > 0)
            pipes.sleep(0.001)
          end
          at = last or taken
        until last
        assert.same({ #megabyte, 0 }, { at, client:unsent() })
        assert.is_true(stops > 10)
        client:settimeout(nil)
        client:close()
      end, function()
        assert(server:handshake())
        pipes.sleep(1)
        assert.is_true(server:receive "*a" == megabyte)
        server:close()
      end)
    end)

    it("bounds lines and all that is asked for", function()
      local client, server = pair { version = version }
      pipes.run(function()
        assert(client:send(("x"):rep(100) .. "\n" .. ("y"):rep(70000)))
        client:close()
      end, function()
        local line, _, failure = server:receive("*l", 100)
        assert.same({ nil, "too_long" }, { line, failure.code })
        assert.equal(100, #server:receive("*l", 101))
        assert.equal("too_long", select(3, server:receive "*l").code)
        assert.equal("too_long", select(3, server:receive_until "z").code)
        assert.equal("too_long", select(3, server:receive("*a", 69999)).code)
        assert.equal(70000, #server:receive("*a", 70000))
        assert.equal("", server:receive "*a")
      end)
    end)

    it("hooks and questions yield to whatever drives its coroutine", function()
      local yields = 0
      local function pause() yields = yields + (coroutine.yield "question" == "question" and 1 or 0) end
      local refusing = akushu.client { trust = akushu.testca.new({}):trust(), versions = version, on_untrusted = function() pause() return true end }
      local seen = {}
      local choosing = akushu.server { on_identity = function() pause() return identity end, identity = identity,
        sessions = { get = function() pause() end, put = pause, remove = pause }, tickets = false }
      local client, server = pair { client_context = refusing, server_context = choosing,
        server = { hooks = { { "receive", "*", function(_, ev) pause() seen[#seen + 1] = ev.name end } } } }
      pipes.run(function()
        assert.equal(2, assert(client:send "ok"))
        client:close()
      end, function() assert.equal("ok", server:receive "*a") end)
      assert.equal("client_hello", seen[1])
      assert.is_true(yields >= 4, yields)
    end)

    it("resumes", function()
      local resumption
      for i = 1, 2 do
        local client, server = pair { version = version, client = { session = resumption } }
        pipes.run(function()
          assert.equal("hello", client:receive())
          assert.equal(i == 2, client.resumed)
          resumption = assert(client:resumption())
          client:close()
        end, function()
          server:send "hello\n"
          server:receive "*a"
          server:close()
        end)
      end
    end)

    it("a peer's fatal alert ends it", function()
      local client, server = pair { version = version }
      pipes.run(function()
        assert(client:send "x")
        assert.is_true(client:alert "internal_error")
        client:close()
      end, function()
        local _, _, failure, rest = server:receive "*a"
        assert.same({ "peer_alert", "internal_error", "peer", "x" }, { failure.code, failure.alert, failure.origin, rest })
        assert.is_true(server.transport.closed)
      end)
    end)

    it("is closed in the middle of a handshake, politely", function()
      local client, server = pair { version = version, client = { timeout = 1 } }
      server.hs:close() -- this end never answers
      local got
      pipes.run(function()
        assert.equal("timeout", select(2, client:handshake()))
        assert.is_true(client:close())
        assert.is_true(client:close())
        assert.equal("closed", select(2, client:handshake()))
      end, function()
        server.transport:read()
        got = server.transport:read()
        server.transport:close()
      end)
      assert.equal("\21\3", got:sub(1, 2))
    end)

    it("what one coroutine waits for another one's close ends", function()
      local client, server = pair { version = version }
      local said
      pipes.run(function()
        assert(client:handshake())
        said = { client:receive() }
      end, function()
        while not client.session do pipes.sleep(0.1) end
        assert.is_true(client:close())
      end, function() server:receive "*a" end)
      assert.same({ nil, "closed" }, { said[1], said[2] })
      assert.is_true(client.transport.closed)
    end)

    it("two coroutines that receive, or send, at once are misuse", function()
      local client, server = pair { version = version, room = 100 }
      local problems = {}
      local function tries(name, ...)
        local args = table.pack(...)
        return function()
          while not client.session do pipes.sleep(0.1) end
          local ok, problem = pcall(client[name], client, table.unpack(args))
          if not ok then problems[#problems + 1] = problem end
        end
      end
      pipes.run(function() assert(client:handshake()) end, tries("receive", 1), tries("receive", 1), tries("send", megabyte), tries("send", "x"), function()
        assert(server:receive(#megabyte))
        server:send "x"
      end)
      table.sort(problems)
      assert.equal(2, #problems)
      assert.matches("another coroutine is receiving on this connection", problems[1])
      assert.matches("another coroutine is sending on this connection", problems[2])
    end)
  end)
end

describe("a connection", function()
  it("answers KeyUpdates while it receives, also in the middle of sending", function()
    local client, server = pair { room = 2000 }
    pipes.run(function()
      for i = 1, 5 do
        assert.is_true(client:update_keys(true))
        assert(client:send(("%d\n"):format(i)))
        assert.equal(tostring(i), client:receive())
      end
      assert.equal(#megabyte, client:send(megabyte))
      client:close()
    end, function()
      for _ = 1, 5 do assert(server:send(assert(server:receive()) .. "\n")) end
      assert.equal(#megabyte, #server:receive "*a")
      server:close()
    end)
  end)

  it("bounds what a server says in the middle of a renegotiation that it does not go on with", function()
    local suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    local client, server = pair { client_context = client_context { versions = "1.2", suites = { suite }, renegotiation = true } }
    local hs, block = server.hs, nil
    hs:on("receive", "finished", function() block = hs:secret("key_block"):reveal() end)
    pipes.run(function()
      assert(client:handshake())
      local all, _, failure, rest = client:receive(1 << 30)
      assert.same({ nil, "too_much_application_data" }, { all, failure.code })
      assert.is_true(#rest >= 1 << 20 and #rest <= 2 << 20, #rest)
    end, function()
      assert(server:handshake())
      -- server_write_key and server_write_IV (RFC 5246 §6.3); the Finished was record 0
      local seal = akushu.record.protect(suite, 0x0303, { key = block:sub(17, 32), iv = block:sub(37, 40), seq = 1 })
      assert(server.transport:write(seal:seal(22, "\0\0\0\0"), 1)) -- HelloRequest
      local sent = 0
      while server.transport:write(seal:seal(23, ("x"):rep(16384)), 1) do sent = sent + 16384 end
      assert.is_true(sent < 4 << 20, sent)
    end)
  end)

  it("authenticates a client later", function()
    local late = ca:issue({ names = { "client.example" }, purpose = "client" }).identity
    local client, server = pair { client_context = client_context { post_handshake_auth = true, identity = late },
      server_context = server_context { post_handshake_auth = true, trust = trust } }
    pipes.run(function()
      assert.equal("go", client:receive())
      assert(client:send "done\n")
      client:receive "*a"
    end, function()
      assert(server:handshake())
      assert.is_nil(server.peer)
      assert.is_true(server:request_certificate())
      assert(server:send "go\n")
      assert.equal("done", server:receive())
      assert.equal("CN=client.example", server.peer[1].subject)
      server:close()
    end)
  end)

  it("takes early data aside, and sends it no second time by itself", function()
    local today = os.time() -- a ticket's age is judged by the clocks: they stand still here
    local patient, early = client_context { clock = today }, server_context { early_data = 1000, clock = today }
    local resumption
    for i = 1, 3 do
      local data = i == 3 and ("x"):rep(2000) or "early"
      local client, server = pair { client_context = patient, server_context = early, client = { session = resumption, early_data = data } }
      local taken = {}
      local stepping = connection.new(server.transport, early, { on_step = function(conn)
        taken[#taken + 1] = conn:take_early_data()
        if table.concat(taken) == "early" and conn.hs.may_send and not conn.answered then
          conn.answered = true
          assert.equal(6, conn:send "before")
        end
      end })
      pipes.run(function()
        assert(client:handshake())
        assert.equal(i == 2 and "accepted" or "none", client.early_data)
        if client.early_data ~= "accepted" then assert(client:send(data)) end
        client:close_write()
        assert.equal(i == 2 and "beforeafter" or "after", client:receive "*a")
        resumption = assert(client:resumption())
      end, function()
        assert.equal(i == 2 and "" or data, stepping:receive "*a")
        assert.equal(i == 2 and "early" or "", table.concat(taken))
        assert.equal("", stepping:take_early_data())
        assert(stepping:send "after")
        stepping:close()
      end)
    end
  end)

  it("speaks before the server's Finished where False Start lets it", function()
    local spoken
    local client, server = pair { client_context = client_context { versions = "1.2", false_start = true }, client = { on_step = function(conn)
      if conn.hs and conn.hs.may_send and not spoken then
        spoken = true
        assert.equal(5, conn:send "early")
      end
    end } }
    pipes.run(function()
      assert(client:handshake())
      assert.is_true(spoken)
      client:close()
    end, function() assert.equal("early", server:receive "*a") end)
  end)

  it("tells why a server of TLS 1.3 has refused its certificate, instead of that nothing can be sent", function()
    local nobody = akushu.testca.self_signed({ names = { "client.example" } }).identity
    local client, server = pair { client_context = client_context { identity = nobody }, server_context = server_context { client_auth = "require", trust = trust } }
    pipes.run(function()
      assert(client:handshake())
      pipes.sleep(5)
      local failure
      repeat failure = select(3, client:send "x") until failure
      assert.same({ "peer_alert", "peer" }, { failure.code, failure.origin })
      assert.equal("unknown_ca", failure.alert)
    end, function() assert.is_nil((server:handshake())) end)
  end)

  it("an error in on_step ends it, and is the caller's", function()
    local client, server = pair { server = { on_step = function() error({ "mine" }, 0) end } }
    local theirs
    pipes.run(function() theirs = { client:receive() } end, function()
      local ok, problem = pcall(server.handshake, server)
      assert.same({ false, "mine" }, { ok, problem[1] })
      assert.equal("aborted", select(3, server:handshake()).code)
    end)
    assert.equal("internal_error", theirs[3].alert)
    assert.is_true(server.transport.closed)
  end)

  it("leaves with <close>, which says close_notify", function()
    local client, server = pair()
    pipes.run(function()
      do
        local conn <close> = client
        assert(conn:send "x")
      end
      assert.is_true(client.transport.closed)
    end, function()
      assert.equal("x", server:receive "*a")
      server:close()
    end)
  end)

  it("waits for a peer that stays no longer than it lingers", function()
    for linger, expected in pairs { [0] = 0, [1.5] = 1.5 } do
      local client, server = pair { client = { linger = linger } }
      pipes.run(function()
        assert(client:send "x")
        local began = pipes.now()
        client:close()
        assert.is_true(math.abs(pipes.now() - began - expected) < 1e-6, pipes.now() - began) -- sums of floats
      end, function()
        assert.equal("x", server:receive(1))
        pipes.sleep(5)
      end)
    end
  end)

  it("waits no longer for one that always has another byte", function()
    local client, server = pair { piece = 1, client = { linger = 1.5 } }
    local reads
    pipes.run(function()
      assert(client:handshake())
      assert(client:send "x")
      while #client.transport.incoming.bytes < 10000 do pipes.sleep(0.1) end
      -- A clock that goes on while nobody waits.
      local t = pipes.now()
      client.transport.now = function()
        t = t + 0.1
        return t
      end
      local before = client.transport.reads
      client:close()
      reads = client.transport.reads - before
    end, function()
      assert.equal("x", server:receive(1))
      assert(server.transport:write(("x"):rep(10000), 1))
    end)
    assert.is_true(reads > 1 and reads < 20, reads)
  end)

  it("handler: shakes hands, calls, closes, whatever happens", function()
    local said = {}
    local function wrap(transport, context, o) return connection.new(transport, context, o) end
    local function serve(fn, context)
      local a, b = pipes.pair()
      local client = connection.new(a, context or clients["1.3"], { server_name = "localhost" })
      local handle = connection.handler(wrap, servers, fn, { timeout = 5, on_failure = function(message, failure, conn) said = { message, failure.code, conn } end })
      local results
      pipes.run(function() client:receive "*a" end, function() results = table.pack(pcall(handle, b, "more")) end)
      assert.is_true(b.closed)
      return results
    end
    assert.same({ true, "client?", "more", n = 3 }, serve(function(conn, more) return conn.role == "server" and "client?", more end))
    local results = serve(function() error({ "oops" }) end)
    assert.same({ false, { "oops" } }, { results[1], results[2] })
    results = serve(error, akushu.client { trust = akushu.testca.new({}):trust() })
    assert.same({ true, nil, "peer_alert" }, { results[1], results[2], results[4].code })
    assert.equal("peer_alert", said[2])
    assert.equal(results[3], said[1])
  end)

  it("names what is wrong, at the line of who called it", function()
    local context = clients["1.3"]
    local a = pipes.pair()
    local wrapped = {} -- stands for an adapter
    function wrapped.wrap(...)
      local conn, message, failure = connection.new(a, ...)
      return conn, message, failure
    end
    for problem, call in pairs {
      ["a context expected"] = function() wrapped.wrap({}) end,
      ["a table of options expected"] = function() wrapped.wrap(context, 5) end,
      ["unknown option 'nope'"] = function() wrapped.wrap(context, { server_name = "localhost", nope = 1 }) end,
      ["option 'timeout': seconds expected"] = function() wrapped.wrap(context, { server_name = "localhost", timeout = "1" }) end,
      ["option 'linger': seconds expected"] = function() wrapped.wrap(context, { server_name = "localhost", linger = -1 }) end,
      ["option 'on_step': a function expected"] = function() wrapped.wrap(context, { server_name = "localhost", on_step = 1 }) end,
      ["option 'early_data': a string expected"] = function() wrapped.wrap(context, { server_name = "localhost", early_data = true }) end,
      ["option 'early_data' is a client's"] = function() wrapped.wrap(servers, { early_data = "x" }) end,
      ["option 'server_name'"] = function() wrapped.wrap(context, { server_name = "a b" }) end,
      ["receive: \"*l\", \"*a\" or a number of bytes expected"] = function() pair():receive "*x" end,
      ["receive: a number of bytes expected"] = function() pair():receive(-1) end,
      ["most: a number of bytes expected"] = function() pair():receive("*l", 1.5) end,
      ["send: a string expected"] = function() pair():send(5) end,
      ["send: a string expected, or an array of strings, got a table with something else in it"] = function() pair():send { "a", nil, "c" } end,
      ["receive_until: a string expected"] = function() pair():receive_until "" end,
      ["option 'timeout': seconds expected, or nil"] = function() pair():settimeout(-1) end,
    } do
      local ok, said = pcall(call)
      assert.is_false(ok)
      assert.is_truthy(said:find(problem, 1, true), said)
      assert.matches("^%S*adapters_connection_spec.lua:%d+: ", said)
      assert.equal(1, select(2, said:gsub("%.lua:%d+:", "")), said)
    end
  end)

  it("shows all that a session shows", function()
    local file <close> = assert(io.open "csrc/binding/support.c")
    local names = {}
    for name in file:read("a"):match("ak_lua_info_property.-{(.-)NULL}"):gmatch '"([%l_]+)"' do names[name] = true end
    assert.same(names, connection.properties)
  end)
end)
