-- Scripts over real sockets (LuaSocket, with a real openssl at the other end) and over given send and receive functions; and what every expectation says when
-- something else comes, or nothing.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local peers = require "spec.support.peers"
local socket = require "socket"

-- ---- a real peer --------------------------------------------------------------------------------------------------------------------

-- How long a script waits for what must come: no more than the end of a wait that would have no end.
local patience = 60

local function connected(port)
  local s = assert(socket.tcp())
  s:settimeout(patience)
  assert(s:connect("127.0.0.1", port))
  s:setoption("tcp-nodelay", true)
  return s
end

local function hello12(peer) return peer:client_hello { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" }, server_name = "localhost" } end

describe("a script over LuaSocket", function()
  it("leads TLS 1.2 with a real openssl, to data and close", function()
    local leaf = certs.rsa()
    local server = peers.openssl_server { chain = leaf.chain, key = leaf.key, args = { "-rev", "-tls1_2", "-cipher", "ALL" } }
    local s = connected(server.port)
    local answer, message = akushu.script("client", function(peer)
      peer:send(hello12(peer))
      peer:expect("server_hello", { timeout = patience })
      local certificate = peer:expect("certificate", { timeout = patience })
      peer:expect("server_hello_done", { timeout = patience })
      peer:send { type = "client_key_exchange", encrypted_pre_master_secret = peer:premaster_for(certificate) }
      peer:send "change_cipher_spec"
      peer:send(peer:finished())
      peer:expect("change_cipher_spec", { timeout = patience })
      assert.is_true(peer:is_finished(peer:expect("finished", { timeout = patience })))
      peer:send { data = "desserts\n" }
      local answer = peer:expect("data", { timeout = patience })
      peer:send { alert = "close_notify" }
      peer:expect_close { timeout = patience }
      return answer
    end):run(s)
    s:close()
    server:stop()
    assert.equal("stressed\n", answer, message)
  end)

  it("leads TLS 1.3 with a real openssl, through a key update of each side", function()
    local leaf = certs.ecdsa()
    local server = peers.openssl_server { chain = leaf.chain, key = leaf.key, args = { "-rev", "-tls1_3", "-num_tickets", "2" } }
    local s = connected(server.port)
    local answer, message = akushu.script("client", function(peer)
      peer:send(peer:client_hello { versions = { "TLS 1.3" }, server_name = "localhost" })
      for _, name in ipairs { "server_hello", "encrypted_extensions", "certificate", "certificate_verify" } do
        peer:expect(name, { timeout = patience })
      end
      assert.is_true(peer:is_finished(peer:expect("finished", { timeout = patience })))
      peer:send(peer:finished())
      for _ = 1, 2 do peer:expect("new_session_ticket", { timeout = patience }) end
      peer:send { type = "key_update", request_update = "update_requested" }
      peer:send { data = "desserts\n" }
      peer:expect("key_update", { timeout = patience })
      return (peer:expect("data", { timeout = patience }))
    end):run(s)
    s:close()
    server:stop()
    assert.equal("stressed\n", answer, message)
  end)

  it("says what a real openssl thinks of nonsense", function()
    local leaf = certs.rsa()
    local server = peers.openssl_server { chain = leaf.chain, key = leaf.key, args = { "-rev" } }
    local s = connected(server.port)
    local alert, message = akushu.script("client", function(peer)
      peer:send { type = "client_hello", raw = "\3\3" }
      return (peer:expect_alert(nil, { timeout = patience }))
    end):run(s)
    s:close()
    server:stop()
    assert.equal("decode_error", alert, message)
  end)

  it("is a server for a real openssl", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local leaf = certs.rsa()
    local client = peers.openssl_client { port = port, ca = leaf.ca, args = { "-tls1_2", "-cipher", "AES128-SHA256", "-brief", "-servername", "localhost" },
      pipe = true }
    listener:settimeout(patience)
    local s = assert(listener:accept())
    local key = akushu.crypto.key(peers.read_file(leaf.key))
    local chain = {}
    for i, c in ipairs(akushu.certificates(peers.read_file(leaf.chain))) do chain[i] = c.der end
    local heard, message = akushu.script("server", function(peer)
      peer:expect("client_hello", { timeout = patience })
      peer:send(peer:server_hello { suite = "TLS_RSA_WITH_AES_128_CBC_SHA256", more = { { type = "renegotiation_info", data = "\0" },
        { type = "encrypt_then_mac", data = "" } } })
      peer:send { type = "certificate", certificate_list = chain }
      peer:send { type = "server_hello_done" }
      peer:premaster_in(peer:expect("client_key_exchange", { timeout = patience }), key)
      peer:expect("change_cipher_spec", { timeout = patience })
      assert.is_true(peer:is_finished(peer:expect("finished", { timeout = patience })))
      peer:send "change_cipher_spec"
      peer:send(peer:finished())
      client:write "hello script\n"
      return (peer:expect("data", { timeout = patience }))
    end):run(s)
    s:close()
    listener:close()
    local log = client:stop():log()
    assert.equal("hello script\n", heard, tostring(message) .. log)
    assert.matches("Verification: OK", log)
  end)

  it("takes over from an engine in front of a real openssl, before any message of its own", function()
    local leaf = certs.ecdsa()
    for _, case in ipairs { { "-tls1_2", "1.2", { "client_key_exchange", "change_cipher_spec", "finished" } }, { "-tls1_3", "1.3", { "finished" } } } do
      local server = peers.openssl_server { chain = leaf.chain, key = leaf.key, args = { "-rev", case[1] } }
      for _, before in ipairs(case[3]) do
        local hs = akushu.client { trust = leaf.trust, versions = case[2] }:handshake { server_name = "localhost" }
        local s = connected(server.port)
        local answer, message = akushu.script("client", function(peer)
          local name, _, bytes = peer:engine(hs, { before = before, timeout = patience })
          if name == "client_key_exchange" then peer:send(bytes) end
          if case[2] == "1.2" and name ~= "finished" then peer:send "change_cipher_spec" end
          peer:send(peer:finished())
          if case[2] == "1.2" then
            peer:try("new_session_ticket", { timeout = patience })
            peer:expect("change_cipher_spec", { timeout = patience })
            assert.is_true(peer:is_finished(peer:expect("finished", { timeout = patience })))
          end
          peer:send { data = "desserts\n" }
          while peer:try("new_session_ticket", { timeout = patience }) do peer.tickets = true end
          return (peer:expect("data", { timeout = patience }))
        end):run(s)
        s:close()
        assert.equal("stressed\n", answer, before .. ": " .. tostring(message))
      end
      server:stop()
    end
  end)
end)

-- ---- given functions ---------------------------------------------------------------------------------------------------------------------

-- A transport of functions: what it is to receive, in order; "timeout" and "closed" stand for themselves. sent: what the script has sent.
local function given(list)
  local t = { sent = {}, waits = {} }
  function t.send(bytes) t.sent[#t.sent + 1] = bytes end
  function t.receive(timeout)
    t.waits[#t.waits + 1] = timeout or false
    local next_one = table.remove(list, 1) or "closed"
    if next_one == "timeout" or next_one == "closed" then return nil, next_one end
    return next_one
  end
  return t
end

local function record(kind, bytes) return string.pack(">BI2s2", kind, 0x0303, bytes) end
local hello_done = record(22, "\14\0\0\0")

describe("a script over given functions", function()
  it("sends what it says when it has to wait, and receives in pieces of any size", function()
    local t = given { hello_done:sub(1, 3), hello_done:sub(4, 7), hello_done:sub(8) .. record(21, "\2\40") }
    local alert = akushu.script("client", function(peer)
      peer:send { raw = "one" }
      peer:send { raw = "two" }
      peer:expect "server_hello_done"
      peer:send { raw = "three" }
      return (peer:expect_alert "handshake_failure")
    end):run(t)
    assert.equal("handshake_failure", alert)
    assert.same({ "onetwo", "three" }, t.sent)
  end)

  it("is told the timeout that was asked for, and gives up when the clock of the transport says so, whatever trickles in", function()
    local t = given { "timeout" }
    local ok, message, failure = akushu.script("client", function(peer) peer:expect("server_hello", { timeout = 2.5 }) end):run(t)
    assert.is_nil(ok)
    assert.equal("timeout", failure.code)
    assert.equal("server_hello expected, nothing came within 2.5 s", message)
    assert.same({ 2.5 }, t.waits)
    local now, n = 0, 0
    ok, message, failure = akushu.script("client", function(peer) peer:expect("server_hello", { timeout = 5 }) end):run { send = function() end,
      now = function() return now end, receive = function()
        now, n = now + 1, n + 1
        return hello_done:sub(1, 1):rep(n == 1 and 1 or 0)
      end }
    assert.is_nil(ok)
    assert.equal("timeout", failure.code)
    assert.matches("within 5 s", message)
    assert.equal(5, n)
  end)

  it("is the same conversation as in memory", function()
    local lab = akushu.lab { seed = "functions" }
    local hs = lab:server { versions = "1.3" }:handshake {}
    local inbox = ""
    local ok, message = akushu.script("client", function(peer)
      peer:send(peer:client_hello { versions = { "TLS 1.3" } })
      for _, name in ipairs { "server_hello", "encrypted_extensions", "certificate", "certificate_verify" } do peer:expect(name) end
      assert.is_true(peer:is_finished(peer:expect "finished"))
      peer:send(peer:finished())
    end, { lab = lab }):run { send = function(bytes) inbox = inbox .. assert(hs:step(bytes)) end, receive = function()
      local bytes = inbox
      inbox = ""
      return bytes ~= "" and bytes or nil, "timeout"
    end }
    assert.is_true(ok, message)
    assert.is_true(hs.done)
  end)
end)

-- ---- what expectations say -----------------------------------------------------------------------------------------------------------------

describe("an expectation that is not met says what came instead:", function()
  local came = {
    { "another message", hello_done, "server_hello_done came", "unexpected" },
    { "a fatal alert", record(21, "\2\40"), "alert handshake_failure (fatal) came", "unexpected", alert = "handshake_failure" },
    { "a warning", record(21, "\1\90"), "alert user_canceled (warning) came", "unexpected", alert = "user_canceled" },
    { "an alert that nobody knows", record(21, "\2\211"), "alert 211 (fatal) came", "unexpected", alert = 211 },
    { "an alert cut off", record(21, "\2"), "alert that is cut off (fatal) came", "unexpected", alert = "that is cut off" },
    { "close_notify", record(21, "\1\0"), "close_notify came", "unexpected", is_close = true },
    { "ChangeCipherSpec", record(20, "\1"), "change_cipher_spec came", "unexpected" },
    { "data", record(23, "12345"), "5 bytes of application data came", "unexpected" },
    { "another record", record(24, "x"), "a record of type 24 came", "unexpected" },
    { "a message that nobody knows", record(22, "\99\0\0\0"), "message_99 came", "unexpected" },
    { "the end", "closed", "the transport ended", "unexpected", is_close = true },
    { "nothing", "timeout", "nothing came: the peer waits", "timeout" },
    { "no record at all", "HTTP/1.1 400 Bad Request\r\n", "", "bad_record" },
  }
  local asked = {
    { "finished", function(peer) peer:expect "finished" end },
    { "data", function(peer) peer:expect "data" end, record(23, "12345") },
    { "an alert", function(peer) peer:expect_alert() end },
    { "alert decode_error", function(peer) peer:expect_alert "decode_error" end },
    { "alert decode_error", function(peer) peer:expect_alert(50) end },
    { "a close", function(peer) peer:expect_close() end },
  }

  for _, c in ipairs(came) do
    it(c[1], function()
      for _, a in ipairs(asked) do
        local met = a[3] == c[2] or a[1] == "an alert" and c.alert or a[1] == "a close" and c.is_close
        local ok, message, failure = akushu.script("client", a[2]):run(given { c[2] })
        if met then
          assert.is_true(ok, message)
        else
          assert.is_nil(ok)
          assert.equal(c[4], failure.code)
          if c[4] ~= "bad_record" then
            assert.equal(a[1] .. " expected, " .. c[3], message)
            assert.equal(a[1], failure.expected)
            assert.equal(c.alert, failure.alert)
            assert.equal(c.alert and "peer" or "local", failure.origin)
            assert.equal(c[4] == "unexpected", failure.item ~= nil)
          else
            assert.is_true(#message > 10)
          end
        end
      end
    end)
  end

  it("and try leaves it to be received", function()
    local result = akushu.script("client", function(peer)
      local msg, item = peer:try "finished"
      assert.is_nil(msg)
      assert.equal("server_hello_done", item.name)
      assert.is_nil((peer:try "data"))
      peer:expect "server_hello_done"
      local none, nothing, why = peer:try("finished", { timeout = 1 })
      assert.is_nil(none)
      assert.is_nil(nothing)
      assert.equal("timeout", why)
      local ended
      none, ended = peer:try "finished"
      assert.is_nil(none)
      assert.equal("close", ended.kind)
      local value, failure = peer:try(function(p) p:expect "finished" end)
      assert.is_nil(value)
      assert.equal("finished expected, the transport ended", failure.message)
      assert.has_error(function() peer:try(function() error("mine", 0) end) end, "mine")
      assert.same({ 1, nil, 3 }, { peer:try(function() return 1, nil, 3 end) })
      return "done"
    end):run(given { hello_done, "timeout", "closed" })
    assert.equal("done", result)
  end)

  it("a hello of somebody else's is answered, and what follows stays closed", function()
    local lab = akushu.lab { seed = "replayed" }
    for _, version in ipairs { "1.2", "1.3" } do
      local hello = lab:run(lab:client { versions = version }, lab:server { versions = version }):find("message", "client_hello").bytes
      local answer, message = akushu.script("client", function(peer)
        peer:send(hello)
        local suite = peer:expect "server_hello".cipher_suite
        if version == "1.2" then return suite end
        local item = peer:receive()
        assert.equal("record", item.kind)
        assert.equal(23, item.content_type)
        assert.matches("keys: share is not known", item.why)
        assert.equal(23, item.bytes:byte())
        assert.has_error(function() peer:send { type = "finished", verify_data = "" } end)
        peer:send { alert = "user_canceled", level = "warning" }
        local got, failure = peer:try(function(p) p:expect "certificate" end)
        assert.is_nil(got)
        assert.matches("certificate expected, a record of type 23 came, which stays closed: keys: share is not known", failure.message)
        return suite
      end):run(lab:server { versions = version }:handshake {})
      assert.matches("^TLS_", answer, nil, nil, message)
    end
  end)

  it("what cannot be read is handed over with its bytes", function()
    local _, message, failure = akushu.script("client", function(peer)
      peer:send(peer:client_hello {})
      peer:expect "server_hello"
    end):run { send = function() end, receive = function() return "HTTP/1.1 400 Bad Request\r\n" end }
    assert.equal("bad_record", failure.code)
    assert.same({ kind = "bytes", name = "bytes", bytes = "HTTP/1.1 400 Bad Request\r\n" }, failure.item, message)
    local lab = akushu.lab { seed = "closed" }
    local closed = "\23\3\3\0\32" .. ("x"):rep(32)
    local waiting = { closed }
    _, _, failure = akushu.script("client", function(peer)
      peer:engine(lab:client({ versions = "1.3" }):handshake { server_name = "localhost" })
      while peer:try "new_session_ticket" do end
      peer.deframer:feed(table.remove(waiting))
      peer:expect "data"
    end, { lab = lab }):run(lab:server({ versions = "1.3" }):handshake {})
    assert.equal("bad_record", failure.code)
    assert.same({ kind = "record", name = "record", content_type = 23, bytes = closed }, failure.item)
  end)

  it("and names that are none are mistakes", function()
    local function wrong(fn) return select(2, akushu.script("client", fn):run(given {})) end
    assert.matches("no message 'sever_hello'", wrong(function(peer) peer:expect "sever_hello" end))
    assert.matches("no alert 'decode'", wrong(function(peer) peer:expect_alert "decode" end))
    assert.matches("unknown option 'time'", wrong(function(peer) peer:expect("finished", { time = 1 }) end))
    assert.matches("option 'timeout'", wrong(function(peer) peer:expect("finished", { timeout = "1" }) end))
    assert.matches("no alert 'x'", wrong(function(peer) peer:send { alert = "x" } end))
    assert.matches("no content type 'x'", wrong(function(peer) peer:send { content_type = "x", bytes = "" } end))
    assert.matches("got number", wrong(function(peer) peer:send(1) end))
  end)
end)
