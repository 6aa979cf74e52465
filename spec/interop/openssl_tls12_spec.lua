-- OpenSSL's s_server and s_client over loopback, both ways, TLS 1.2 and below: every suite in every version, sessions resumed by id and by ticket, client
-- authentication, ALPN, server names, max_fragment_length, OCSP stapling, renegotiation asked for by the server. openssl_spec.lua has data and refusals,
-- openssl_tls13_spec.lua TLS 1.3.
--
-- What OpenSSL 3.0 has no way to: record_size_limit, certificate compression, SSL 3.0 (Debian builds it without).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"
local testca = require "akushu.testca"

local all, foreign = peer_suites.openssl()
local every = ":ALL:COMPLEMENTOFALL:@SECLEVEL=0"
local versions, psk, psk_hex, merge, options = interop.versions, interop.psk, interop.psk_hex, interop.merge, interop.options
local protocols = { ["1.0"] = "TLSv1", ["1.1"] = "TLSv1.1", ["1.2"] = "TLSv1.2" }

local function reversed(c, text)
  assert(c:send(text .. "\n"))
  assert.equal(text:reverse() .. "\n", assert(c:receive_until "\n"))
end

interop.describe("an akushu client and openssl s_server", { "openssl" }, function()
  it("misses no suite without a reason", function()
    assert.is_true(#all > 100)
    assert.same({}, peer_suites.unexplained(foreign))
  end)

  for _, v in ipairs(versions) do
    describe("has the suites of", function()
      local server
      setup(function()
        local rsa, ecdsa = certs.rsa(), certs.ecdsa()
        server = peers.openssl_server { chain = rsa.chain, key = rsa.key, args = { "-dcert", ecdsa.chain, "-dkey", ecdsa.key,
          "-dcert_chain", ecdsa.chain, v[3], "-cipher", every, "-psk_identity", psk.identity, "-psk", psk_hex, "-rev" } }
      end)
      teardown(function() server:stop() end)

      local function dial(suite, more, handshake)
        local context = akushu.client(options("client", suite, v[1], more))
        local c, message, failure = net.client(server.port, context:handshake(merge({ server_name = "localhost" }, handshake or {})))
        assert(c, message)
        assert.is_nil(failure)
        return c, context
      end

      local function speaks(row)
        local c, context = dial(row.suite)
        assert.equal(row.suite.name, c.session.suite)
        assert.equal(v[1], c.session.version)
        assert.is_true(c.session.extended_master_secret)
        reversed(c, row.suite.name)
        local resumption = assert(c.session:resumption())
        c:close()
        c = assert(net.client(server.port, context:handshake { server_name = "localhost", session = resumption }))
        assert.is_true(c.session.resumed)
        reversed(c, "again")
        c:close()
      end

      interop.each_suite(all, v, speaks, ", and resumes")

      it(("TLS %s: resumes by id and by ticket, and a ticket is renewed or kept"):format(v[1]), function()
        local row = interop.rows_of(all, v[2])[1]
        for _, tickets in ipairs { true, false } do
          local c, context = dial(row.suite, { tickets = tickets })
          local resumption = assert(c.session:resumption())
          assert.equal(tickets and "ticket" or "session_id", resumption.kind)
          c:close()
          for _ = 1, 2 do
            c = assert(net.client(server.port, context:handshake { server_name = "localhost",
              session = assert(akushu.resumption(resumption:serialize())) }))
            assert.is_true(c.session.resumed)
            resumption = assert(c.session:resumption())
            reversed(c, "again")
            c:close()
          end
        end
      end)
    end)
  end

  it("agrees on ALPN, says its server name, and is granted max_fragment_length, in every version", function()
    local id, other = certs.rsa(), certs.rsa "wrong_host"
    for _, v in ipairs(versions) do
      local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { v[3], "-cipher", every, "-alpn", "one,two", "-servername", "other.example",
        "-cert2", other.chain, "-key2", other.key } }
      local suite = v[1] == "1.2" and "TLS_RSA_WITH_AES_128_GCM_SHA256" or "TLS_RSA_WITH_AES_128_CBC_SHA"
      local context = akushu.client { trust = id.trust, versions = v[1], security_level = 0, alpn = { "two", "one" }, suites = { suite }, max_fragment_length = 512 }
      local c = interop.dial(server.port, context)
      assert.equal("one", c.session.alpn) -- the server's order
      local longest = interop.longest_record(c)
      server:write(("l"):rep(3000) .. "\n")
      assert.equal(3001, #assert(c:receive_until "\n"))
      assert.is_true(longest() > 512 and longest() < 512 + 64, longest())
      assert(server:wait_log("ALPN protocols selected: one"), server:log())
      assert(server:wait_log("Hostname in TLS extension: \"localhost\""), server:log())
      c:close()
      c = assert(net.client(server.port, akushu.client({ verify = false, versions = v[1], security_level = 0, suites = { suite } }):handshake {
        server_name = "other.example" }))
      assert.is_true(c.session.peer.certificate:matches "other.example")
      assert(server:wait_log("Switching server context"), server:log())
      c:close()
      server:stop()
    end
  end)

  it("shows its certificate when it is asked, in every version", function()
    local id = certs.rsa()
    for _, v in ipairs(versions) do
      for _, kind in ipairs { "rsa", "ecdsa" } do
        local mine = certs.leaf(kind, "client")
        local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { v[3], "-cipher", every, "-Verify", "3",
          "-verify_return_error", "-CAfile", mine.ca } }
        local c, message = net.client(server.port, akushu.client({ trust = id.trust, versions = v[1], profile = "compatible", security_level = 0,
          identity = mine.identity }):handshake { server_name = "localhost" })
        assert(c, message)
        assert(c:send "hello\n")
        assert.truthy(server:wait_log("hello"), server:log())
        assert.truthy(server:log():find("client.example", 1, true), server:log())
        c:close()
        server:stop()
      end
    end
  end)

  it("hears what a server says that must have a certificate", function()
    local id = certs.rsa()
    local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { "-tls1_2", "-Verify", "3", "-verify_return_error",
      "-CAfile", id.ca } }
    local c, _, failure = net.client(server.port, akushu.client({ trust = id.trust, versions = "1.2" }):handshake { server_name = "localhost" })
    assert.is_nil(c)
    assert.equal("peer_alert", failure.code)
    assert.equal("handshake_failure", failure.alert)
    server:stop()
  end)

  it("reads a stapled OCSP response: good, and revoked", function()
    local ca = testca.new { name = "stapling root" }
    local leaf = ca:issue { names = { "localhost" } }
    local chain, key = peers.tmpfile(leaf.pem_chain, "chain.pem"), peers.tmpfile(leaf.pem_key, "key.pem")
    for _, status in ipairs { "good", "revoked" } do
      local response = ca:ocsp(leaf, { status = status })
      local server = peers.openssl_server { chain = chain, key = key, args = { "-tls1_2", "-rev", "-status_file",
        peers.tmpfile(response, "ocsp.der") } }
      local context = akushu.client { trust = ca:trust(), versions = "1.2", ocsp = true }
      local c, _, failure = net.client(server.port, context:handshake { server_name = "localhost" })
      if status == "good" then
        assert(c, _)
        assert.equal(response, c.session.ocsp_response)
        reversed(c, "stapled")
        c:close()
      else
        assert.is_nil(c)
        assert.equal("certificate_revoked", failure.code)
        assert.equal("certificate_revoked", failure.alert)
      end
      server:stop()
    end
  end)

  it("takes a Diffie-Hellman group that nobody has named, unless it is smaller than the client wants", function()
    local id, file = certs.rsa(), peers.tmpfile("", "dh.pem")
    assert(os.execute(("openssl dhparam -dsaparam -out %s 2048 >/dev/null 2>&1"):format(peers.quote(file))))
    local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { "-tls1_2", "-cipher", "ALL", "-dhparam", file } }
    for least, good in pairs { [2048] = true, [3072] = false } do
      local context = akushu.client { trust = id.trust, versions = "1.2", suites = { "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256" }, groups = { "x25519" }, min_dh_bits = least }
      local hs, bits = context:handshake { server_name = "localhost" }, nil
      hs:on("receive", "server_key_exchange", function(m) bits = 8 * #m.params.dh_p end)
      local c, _, failure = net.client(server.port, hs)
      assert.equal(2048, bits)
      if good then
        assert(c, failure and failure.message)
        assert(c:send "by a group of its own\n")
        assert.truthy(server:wait_log("by a group of its own"), server:log())
        c:close()
      else
        assert.is_nil(c)
        assert.equal("weak_dh_group", failure.code)
        assert.equal("insufficient_security", failure.alert)
      end
    end
    server:stop()
  end)

  it("renegotiates when s_server asks, as often as it asks", function()
    local id = certs.rsa()
    for _, v in ipairs(versions) do
      local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { v[3], "-cipher", every } }
      local context = akushu.client { trust = id.trust, versions = v[1], profile = "compatible", security_level = 0, renegotiation = true }
      local c, message = net.client(server.port, context:handshake { server_name = "localhost" })
      assert(c, message)
      for i = 1, 2 do
        server:write "r\n" -- renegotiate
        while not c.session.renegotiation_wanted do assert.is_true(c:more()) end
        local random = c.session.client_random
        c.hs = assert(context:renegotiate(c.session))
        local ok, why = c:handshake()
        assert(ok, why)
        assert.not_equal(random, c.session.client_random)
        assert.equal(v[1], c.session.version)
        assert(c:send(("round %d\n"):format(i)))
        assert.truthy(server:wait_log("round " .. i), server:log())
        server:write "answer\n"
        assert.equal("answer\n", assert(c:receive_until "\n"))
      end
      c:close()
      server:stop()
    end
  end)

  for _, tickets in ipairs { true, false } do
    it("resumes in a renegotiation, by " .. (tickets and "ticket" or "id"), function()
      local id = certs.rsa()
      local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { "-tls1_2", table.unpack(tickets and {} or { "-no_ticket" }) } }
      local context = akushu.client { trust = id.trust, versions = "1.2", renegotiation = true, tickets = tickets }
      local c = assert(net.client(server.port, context:handshake { server_name = "localhost" }))
      for i = 1, 3 do
        server:write "r\n"
        while not c.session.renegotiation_wanted do assert.is_true(c:more()) end
        local resumption = i ~= 3 and assert(c.session:resumption()) or nil
        c.hs = assert(context:renegotiate(c.session, { session = resumption }))
        local ok, why = c:handshake()
        assert(ok, why)
        assert.equal(i ~= 3, c.session.resumed)
        assert.is_true(c.session.secure_renegotiation)
        assert(c:send(("round %d\n"):format(i)))
        assert.truthy(server:wait_log("round " .. i), server:log())
      end
      c:close()
      server:stop()
    end)
  end

  it("renegotiates and shows the certificate that it was not asked for at first", function()
    local id, mine = certs.rsa(), certs.leaf("ecdsa", "client")
    local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { "-tls1_2", "-CAfile", mine.ca } }
    local context = akushu.client { trust = id.trust, versions = "1.2", renegotiation = true, identity = mine.identity }
    local c = assert(net.client(server.port, context:handshake { server_name = "localhost" }))
    server:write "R\n" -- renegotiate and ask for a certificate
    while not c.session.renegotiation_wanted do assert.is_true(c:more()) end
    c.hs = assert(context:renegotiate(c.session))
    local ok, why = c:handshake()
    assert(ok, why)
    assert(c:send "who am I\n")
    assert.truthy(server:wait_log("who am I"), server:log())
    assert.truthy(server:log():find("client.example", 1, true), server:log())
    c:close()
    server:stop()
  end)
end)

interop.describe("an akushu server and openssl s_client", { "openssl" }, function()
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function() listener:close() end)

  local function meet(context, ca, args, handshake)
    local client = peers.openssl_client { port = port, ca = ca or certs.rsa().ca, pipe = true, args = args }
    local hs = context:handshake(handshake)
    local c, message, failure = net.serve(listener, hs)
    return client, c, message, failure
  end

  -- s_client verifies a chain whenever one comes; anonymous and PSK suites have none.
  local function speaks(row, v)
    local context = akushu.server(options("server", row.suite, v[1]))
    local args = { v[3], "-cipher", row.peer .. ":@SECLEVEL=0" }
    if peer_suites.needs_psk(row.suite) then
      for _, word in ipairs { "-psk_identity", psk.identity, "-psk", psk_hex } do args[#args + 1] = word end
    end
    local key = peer_suites.key(row.suite)
    local client, c, message = meet(context, key and certs.leaf(key).ca, args)
    assert(c, message)
    assert.equal(row.suite.name, c.session.suite)
    assert.equal(v[1], c.session.version)
    assert.is_true(c.session.extended_master_secret)
    interop.talk(c, client)
    local log = client:log()
    assert.truthy(log:find(("Protocol  : %s\n"):format(protocols[v[1]]), 1, true) and log:find(("Cipher    : %s\n"):format(row.peer), 1, true), log)
    c:close()
    client:stop()
  end

  for _, v in ipairs(versions) do
    interop.each_suite(all, v, function(row) speaks(row, v) end)

    it(("TLS %s: resumes by id and by ticket"):format(v[1]), function()
      for _, tickets in ipairs { true, false } do
        local file = peers.tmpdir() .. "/session"
        local context = akushu.server { identity = certs.rsa().identity, versions = v[1], profile = "compatible", security_level = 0, tickets = tickets }
        for i = 1, 3 do
          local args = { v[3], "-cipher", "DEFAULT:@SECLEVEL=0", i == 1 and "-sess_out" or "-sess_in", file }
          local client, c, message = meet(context, nil, args)
          assert(c, message)
          assert.equal(i > 1, c.session.resumed)
          interop.talk(c, client)
          client:finish_input()
          c:receive_all()
          c:close()
          client:wait()
          local log = client:stop():log()
          assert.truthy(log:find(i == 1 and "New, " or "Reused, ", 1, true), log)
          if i == 1 then assert.equal(tickets, log:find("TLS session ticket:", 1, true) ~= nil) end
        end
      end
    end)
  end

  it("agrees on ALPN, hears server names, and grants max_fragment_length, in every version", function()
    for _, v in ipairs(versions) do
      local context = akushu.server { identity = certs.rsa().identity, versions = v[1], profile = "compatible", security_level = 0, alpn = { "two", "one" } }
      local client, c, message = meet(context, nil, { v[3], "-cipher", "DEFAULT:@SECLEVEL=0", "-alpn", "one,two", "-maxfraglen", "512" })
      assert(c, message)
      assert.same({ "two", "localhost" }, { c.session.alpn, c.session.server_name })
      local longest = interop.longest_record(c)
      client:write(("l"):rep(3000) .. "\n")
      assert.equal(3001, #assert(c:receive_until "\n"))
      assert.is_true(longest() > 512 and longest() < 512 + 64, longest())
      interop.talk(c, client)
      assert.truthy(client:log():find("ALPN protocol: two", 1, true), client:log())
      c:close()
      client:stop()
    end
  end)

  it("believes a client's certificate, and asks for it in vain", function()
    for _, v in ipairs(versions) do
      for _, kind in ipairs { "rsa", "ecdsa" } do
        local mine = certs.leaf(kind, "client")
        local context = akushu.server { identity = certs.rsa().identity, versions = v[1], profile = "compatible", security_level = 0,
          client_auth = "require", trust = mine.trust }
        local client, c, message = meet(context, nil, { v[3], "-cipher", "DEFAULT:@SECLEVEL=0", "-cert", mine.chain, "-key", mine.key,
          "-cert_chain", mine.chain })
        assert(c, message)
        assert.equal(mine.identity.chain[1], c.session.peer[1])
        interop.talk(c, client)
        c:close()
        client:stop()
      end
    end
    local context = akushu.server { identity = certs.rsa().identity, versions = "1.2", client_auth = "require", trust = certs.rsa().trust }
    local client, c, _, failure = meet(context, nil, { "-tls1_2" })
    assert.is_nil(c)
    assert.equal("certificate_required_12", failure.code)
    assert.truthy(client:wait_log("handshake failure"), client:log())
    client:stop()
  end)

  it("staples an OCSP response to who asks with -status", function()
    local ca = testca.new { name = "stapling root" }
    local leaf = ca:issue { names = { "localhost" } }
    local file = peers.tmpfile(ca:pem(), "ca.pem")
    for _, how in ipairs { "identity", "function" } do
      local response = ca:ocsp(leaf, { status = "good" })
      local o = { identity = akushu.identity { chain = leaf.chain, key = leaf.key, ocsp = how == "identity" and response or nil }, versions = "1.2" }
      if how == "function" then o.on_ocsp = function() return response end end
      local client, c, message = meet(akushu.server(o), file, { "-tls1_2", "-status" })
      assert(c, message)
      interop.talk(c, client)
      assert.truthy(client:log():find("Cert Status: good", 1, true), client:log())
      c:close()
      client:stop()
      client, c = meet(akushu.server(o), file, { "-tls1_2" })
      assert(c)
      assert.falsy(client:log():find("Cert Status", 1, true))
      c:close()
      client:stop()
    end
  end)
end)
