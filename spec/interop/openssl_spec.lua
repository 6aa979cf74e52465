-- OpenSSL's s_server and s_client over loopback, both ways, TLS 1.2: data and ends, certificates that must be refused, extensions left out, renegotiation refused.
-- Suites and the rest are in openssl_tls12_spec.lua and openssl_tls13_spec.lua.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peers = require "spec.support.peers"

local big = {}
for i = 1, 65536 do big[i] = ("%015x\n"):format(i * 2654435761 % 2 ^ 40 // 1 | 0) end
big = table.concat(big) -- 1 MiB of lines of 16 bytes
assert(#big == 1048576)

local function client_context(id, more)
  local o = { trust = id.trust, profile = "compatible", max_version = "1.2" }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.client(o)
end

local function server_context(id, more)
  local o = { identity = id.identity, profile = "compatible", max_version = "1.2" }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.server(o)
end

local function dial(server, context, more)
  local o = { server_name = "localhost" }
  for k, v in pairs(more or {}) do o[k] = v end
  return net.client(server.port, context:handshake(o))
end

interop.describe("an akushu client and openssl s_server", { "openssl" }, function()
  for _, key in ipairs { "rsa", "ecdsa" } do
    describe("with a certificate for " .. key, function()
      local server, id
      setup(function()
        id = certs.leaf(key)
        -- -rev answers each line reversed
        server = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_2", "-cipher", "ALL", "-rev", "-no_ticket" } }
      end)
      teardown(function() server:stop() end)

      it("does without extended_master_secret and without encrypt_then_mac", function()
        for _, off in ipairs { "extended_master_secret", "encrypt_then_mac" } do
          local suite = key == "rsa" and "TLS_RSA_WITH_AES_128_CBC_SHA" or "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
          local c = assert(dial(server, client_context(id, { [off] = false, suites = { suite } })))
          assert.is_false(c.session[off])
          assert(c:send "abc\n")
          assert.equal("cba\n", assert(c:receive_until "\n"))
          c:close()
          local with = assert(dial(server, client_context(id, { suites = { suite } })))
          assert.is_true(with.session[off])
          with:close()
        end
      end)

      it("resumes a session by its id, also from its serialized form", function()
        local context = client_context(id)
        local first = assert(dial(server, context))
        assert.is_false(first.session.resumed)
        local resumption = assert(first.session:resumption())
        first:close()
        local second = assert(dial(server, context, { session = resumption }))
        assert.is_true(second.session.resumed)
        assert(second:send "again\n")
        assert.equal("niaga\n", assert(second:receive_until "\n"))
        second:close()
        local restored = assert(akushu.resumption(resumption:serialize()))
        local third = assert(dial(server, context, { session = restored }))
        assert.is_true(third.session.resumed)
        third:close()
      end)

      it("sends fragments of any size", function()
        for _, size in ipairs { 1, 7, 100 } do
          local c = assert(dial(server, client_context(id, { max_fragment = size })))
          assert(c:send "in small pieces\n")
          assert.equal("seceip llams ni\n", assert(c:receive_until "\n"))
          c:close()
        end
      end)
    end)
  end

  describe("and certificates that must be refused", function()
    local function refused(id, trust, code, log)
      local server = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_2", "-cipher", "ALL", "-rev" } }
      local asked
      local context = client_context { trust = trust }
      local c, message, failure = dial(server, context)
      assert.is_nil(c)
      assert.equal(code, failure.code)
      assert.equal("local", failure.origin)
      assert.is_string(message)
      assert.truthy(server:wait_log(log), server:log())
      -- The script may go on all the same, when it says so.
      context = client_context({ trust = trust }, { on_untrusted = function(report)
        asked = tostring(report)
        return true
      end })
      c = assert(dial(server, context))
      assert.is_truthy(#asked > 20)
      assert(c:send "ok\n")
      assert.equal("ko\n", assert(c:receive_until "\n"))
      c:close()
      -- And verification can be switched off.
      c = assert(dial(server, akushu.client { verify = false, profile = "compatible", max_version = "1.2" }))
      c:close()
      server:stop()
    end

    it("expired", function() refused(certs.rsa "expired", certs.rsa().trust, "certificate_expired", "alert certificate expired") end)
    it("not yet valid", function()
      refused(certs.rsa "future", certs.rsa().trust, "certificate_not_yet_valid", "alert certificate expired")
    end)
    it("for another host", function()
      refused(certs.rsa "wrong_host", certs.rsa().trust, "host_mismatch", "alert bad certificate")
    end)
    it("self-signed", function() refused(certs.self_signed(), certs.rsa().trust, "self_signed", "alert unknown ca") end)
    it("of an unknown CA", function() refused(certs.rsa(), certs.ecdsa().trust, "unknown_ca", "alert unknown ca") end)
  end)

  describe("with data", function()
    local server, id
    local function start()
      id = certs.rsa()
      server = peers.openssl_server {
        chain = id.chain, key = id.key, quiet = true, pipe = true, args = { "-tls1_2", "-cipher", "ALL", "-quiet" },
      }
    end
    before_each(start)
    after_each(function() server:stop() end)

    it("moves a megabyte each way", function()
      local c = assert(dial(server, client_context(id)))
      assert(c:send(big))
      assert.truthy(peers.wait_for(function() return #server:log() >= #big end))
      assert.equal(big, server:log():sub(-#big))
      local at = 1
      while at <= #big do -- in pieces, so that neither side waits for the other with its pipe full
        local piece = big:sub(at, at + 32767)
        server:write(piece)
        assert.equal(piece, assert(c:receive(#piece)))
        at = at + #piece
      end
      c:close()
    end)

    it("sees a clean end", function()
      local c = assert(dial(server, client_context(id)))
      server:write "bye\n"
      assert.equal("bye\n", assert(c:receive_until "\n"))
      server:finish_input()
      assert.equal("", assert(c:receive_all()))
      server:stop()
    end)

    it("calls an end without close_notify truncated", function()
      local c = assert(dial(server, client_context(id)))
      server:write "cut\n"
      assert.equal("cut\n", assert(c:receive_until "\n"))
      server:kill()
      local all, _, failure = c:receive_all()
      assert.is_nil(all)
      assert.equal("truncated", failure.code)
    end)
  end)

  it("refuses a renegotiation with no_renegotiation", function()
    local id = certs.rsa()
    local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { "-tls1_2", "-cipher", "ALL" } }
    local c = assert(dial(server, client_context(id)))
    server:write "R\n"
    assert.is_true(c:answer()) -- the HelloRequest; our warning goes out
    assert.truthy(server:wait_log("no renegotiation"), server:log())
    server:stop()
  end)
end)

interop.describe("an akushu server and openssl s_client", { "openssl" }, function()
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function() listener:close() end)

  -- Starts s_client, serves it, and returns both ends after the handshake (or the failure).
  local function meet(id, context, args)
    args = args or {}
    table.insert(args, 1, "-tls1_2")
    local client = peers.openssl_client { port = port, ca = id.ca, pipe = true, args = args }
    local c, message, failure = net.serve(listener, context:handshake {})
    return client, c, message, failure
  end

  it("negotiates encrypt_then_mac only when both can", function()
    local id = certs.rsa()
    for _, case in ipairs { { {}, true }, { { "-no_etm" }, false } } do
      table.insert(case[1], "-cipher")
      table.insert(case[1], "AES128-SHA")
      local client, c, message = meet(id, server_context(id), case[1])
      assert(c, message)
      assert.equal(case[2], c.session.encrypt_then_mac)
      assert.is_true(c.session.extended_master_secret)
      interop.talk(c, client)
      c:close()
      client:stop()
    end
  end)

  it("resumes by session id: one connection, five more with -reconnect", function()
    local id = certs.rsa()
    local context = server_context(id, { tickets = false })
    local client = peers.openssl_client { port = port, ca = id.ca, pipe = true, args = { "-tls1_2", "-reconnect", "-no_ticket" } }
    local resumed = {}
    for i = 1, 6 do
      local c, message = net.serve(listener, context:handshake {})
      assert(c, message)
      resumed[i] = c.session.resumed
      if i < 6 then c:receive_all() end
      c.sock:close()
    end
    assert.same({ false, true, true, true, true, true }, resumed)
    assert.truthy(client:wait_log("Reused, TLSv1.2"), client:log())
    client:stop()
  end)

  it("does not resume what was changed on the way, and shakes hands in full", function()
    local id = certs.rsa()
    local file = peers.tmpdir() .. "/session"
    local client, c, message = meet(id, server_context(id, { tickets = false }), { "-sess_out", file, "-no_ticket" })
    assert(c, message)
    interop.talk(c, client)
    client:finish_input()
    c:receive_all()
    c:close()
    client:wait()
    client:stop()
    -- Another server does not know that id.
    client, c, message = meet(id, server_context(id, { tickets = false }), { "-sess_in", file, "-no_ticket" })
    assert(c, message)
    assert.is_false(c.session.resumed)
    interop.talk(c, client)
    c:close()
    client:stop()
  end)

  it("is refused with an expired, a self-signed and a wrong certificate", function()
    local cases = {
      { certs.rsa "expired", "certificate has expired", "certificate_expired" },
      { certs.self_signed(), "self%-signed certificate", "unknown_ca" },
      { certs.rsa "wrong_host", "hostname mismatch", "bad_certificate" },
    }
    for _, case in ipairs(cases) do
      local client, c, _, failure = meet({ ca = certs.rsa().ca }, server_context(case[1]))
      assert.is_nil(c)
      assert.equal("peer_alert", failure.code)
      assert.equal("peer", failure.origin)
      assert.equal(case[3], failure.alert)
      assert.truthy(client:wait_log(case[2]), client:log())
      client:stop()
    end
  end)

  it("moves a megabyte each way", function()
    local id = certs.rsa()
    local client = peers.openssl_client { port = port, ca = id.ca, input = big, args = { "-tls1_2", "-quiet", "-no_ign_eof" } }
    local c, message = net.serve(listener, server_context(id):handshake {})
    assert(c, message)
    assert.equal(big, assert(c:receive(#big)))
    assert.equal("", assert(c:receive_all())) -- and its close_notify
    client:stop()
    client = peers.openssl_client { port = port, ca = id.ca, pipe = true, args = { "-tls1_2", "-quiet" } }
    c = assert(net.serve(listener, server_context(id):handshake {}))
    assert(c:send(big))
    assert.truthy(peers.wait_for(function() return #client:log() >= #big end))
    c:close()
    assert.equal(0, client:wait())
    assert.equal(big, client:log():sub(-#big))
    client:stop()
  end)

  it("refuses a renegotiation with no_renegotiation and lives on", function()
    local id = certs.rsa()
    local client, c, message = meet(id, server_context(id))
    assert(c, message)
    client:write "R\n"
    assert.is_true(c:answer()) -- the ClientHello; our warning goes out
    assert.truthy(client:wait_log("no renegotiation"), client:log())
    client:stop()
  end)

  it("says handshake_failure and what each side offered when there is nothing in common", function()
    local id = certs.rsa()
    local client, c, message, failure = meet(id, server_context(id, { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } }),
      { "-cipher", "AES256-SHA256" })
    assert.is_nil(c)
    assert.equal("no_shared_suite", failure.code)
    assert.equal("handshake_failure", failure.alert)
    assert.truthy(message:find("TLS_RSA_WITH_AES_256_CBC_SHA256", 1, true), message)
    assert.truthy(message:find("TLS_RSA_WITH_AES_128_GCM_SHA256", 1, true), message)
    assert.truthy(client:wait_log("handshake failure"))
    client:stop()
  end)
end)
