-- Python's ssl over loopback, both ways, TLS 1.3 down to 1.0 (spec/support/peer_python.py is told what to do).
--
-- What Python's module has no way to: 0-RTT, to start a KeyUpdate or a renegotiation, OCSP stapling, max_fragment_length and record_size_limit, a choice among
-- TLS 1.3 suites, and (before 3.13) pre-shared keys, so that the PSK suites that its libssl lists are not met here.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local driver = require "spec.support.driver"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"

local client_of, server_of, merge = interop.client_of, interop.server_of, interop.merge
local all_versions = { "1.3", "1.2", "1.1", "1.0" }

interop.describe("Python's ssl", { "python3" }, function()
  local python = driver.start("python3", "peer_python.py")
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function()
    listener:close()
    python:stop()
  end)

  -- One connection of an akushu client to Python: options of Python's context, the akushu context, options of the handshake. Returns Python's view, akushu's session.
  local function dial(o, context, handshake, more)
    local c = interop.dial(python:serve(o), context, handshake)
    interop.echo(c, "words for a snake", "WORDS FOR A SNAKE")
    if more then more(c) end
    local session, resumption = c.session, c.session:resumption()
    local seen = { session = session, version = session.version, suite = session.suite, resumed = session.resumed, alpn = session.alpn, group = session.group,
      hello_retry = session.hello_retry, resumption = resumption }
    c:close()
    local theirs = python:hear()
    assert.is_nil(theirs.error)
    return theirs, seen
  end

  -- One connection of Python to an akushu server.
  local function serve(o, context, more)
    python:tell("client", merge({ port = port }, o))
    local hs = context:handshake {}
    local c, message = net.serve(listener, hs)
    if not c then error(message .. " / " .. tostring(python:hear().error)) end
    assert.equal("ping from python\n", assert(c:receive_until "\n"))
    if more then more(c) end
    assert(c:send "pong from akushu\n")
    local session = c.session
    c:close()
    local theirs = python:hear()
    assert.is_nil(theirs.error)
    assert.equal("pong from akushu\n", theirs.got:sub(-17))
    return theirs, session
  end

  local function listed()
    local found = {}
    for _, s in ipairs(python:ask("suites").suites) do found[#found + 1] = { id = math.tointeger(s.id), name = s.name, min = peer_suites.openssl_version(s.version) } end
    return peer_suites.common(found)
  end
  local rows, foreign = listed()
  rows = peer_suites.filter(rows, function(s) return not peer_suites.needs_psk(s) end)

  it("has no suite that akushu lacks without a reason", function()
    assert.is_true(#rows > 40)
    assert.same({}, peer_suites.unexplained(foreign))
  end)

  for _, v in ipairs(interop.versions) do
    interop.each_suite(rows, v, function(row)
      local id = certs.leaf(peer_suites.key(row.suite) or "rsa")
      local ciphers = row.peer .. ":@SECLEVEL=0"
      local theirs, seen = dial({ version = v[1], ciphers = ciphers, chain = id.chain, key = id.key, dh = interop.dh_params() },
        akushu.client(interop.options("client", row.suite, v[1])))
      assert.same({ v[1], row.suite.name }, { seen.version, seen.suite })
      assert.same({ row.peer, (v[1] == "1.0" and "TLSv1" or "TLSv" .. v[1]) }, { theirs.cipher, theirs.version })
      theirs, seen = serve({ version = v[1], ciphers = ciphers, ca = peer_suites.key(row.suite) and id.ca }, akushu.server(interop.options("server", row.suite, v[1])))
      assert.same({ v[1], row.suite.name }, { seen.version, seen.suite })
      assert.equal(row.peer, theirs.cipher)
    end, " both ways")
  end

  it("TLS 1.3: every suite that libssl turns on, both ways", function()
    local id = certs.ecdsa()
    for _, suite in ipairs { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256" } do
      local theirs = dial({ version = "1.3", chain = id.chain, key = id.key }, client_of(id, "1.3", { suites = { suite } }))
      assert.same({ suite, "TLSv1.3" }, { theirs.cipher, theirs.version })
      theirs = serve({ version = "1.3", ca = id.ca }, server_of(id, "1.3", { suites = { suite } }))
      assert.same({ suite, "TLSv1.3", "localhost" }, { theirs.cipher, theirs.version, theirs.peer })
    end
  end)

  for _, version in ipairs(all_versions) do
    it("resumes by ticket and by id, both ways, TLS " .. version .. interop.slow(version), function()
      local id = certs.rsa()
      for _, tickets in ipairs(version == "1.3" and { true } or { true, false }) do
        local name = ("%s %s"):format(version, tickets)
        local o = { version = version, chain = id.chain, key = id.key, context = name, tickets = tickets }
        local context, resumption = client_of(id, version, { tickets = tickets }), nil
        for round = 1, 3 do
          local theirs, seen = dial(o, context, { session = resumption })
          assert.same({ round > 1, round > 1 }, { theirs.reused, seen.resumed })
          resumption = assert(seen.resumption)
          assert.equal(version == "1.3" and "psk" or tickets and "ticket" or "session_id", version == "1.3" and "psk" or resumption.kind)
        end
        context = server_of(id, version, { tickets = tickets })
        for round = 1, 3 do
          local theirs, session = serve({ version = version, ca = id.ca, context = "client " .. name, session = "s" .. name, keep = "s" .. name }, context)
          assert.same({ round > 1, round > 1 }, { theirs.reused, session.resumed })
          assert.equal(tickets, theirs.has_ticket)
        end
      end
    end)

    it("authenticates clients, both ways, TLS " .. version .. interop.slow(version), function()
      local id = certs.rsa()
      for _, kind in ipairs { "rsa", "ecdsa" } do
        local mine = certs.leaf(kind, "client")
        local theirs = dial({ version = version, chain = id.chain, key = id.key, ca = mine.ca }, client_of(id, version, { identity = mine.identity }))
        assert.equal("client.example", theirs.peer)
        local session
        theirs, session = serve({ version = version, ca = id.ca, chain = mine.chain, key = mine.key },
          server_of(id, version, { client_auth = "require", trust = mine.trust }))
        assert.equal("localhost", theirs.peer)
        assert.equal(mine.identity.chain[1], session.peer[1])
      end
      local theirs = dial({ version = version, chain = id.chain, key = id.key, ca = id.ca, request = "optional" }, client_of(id, version))
      assert.is_nil(theirs.peer)
    end)

    it("hears server names and agrees on ALPN, both ways, TLS " .. version .. interop.slow(version), function()
      local id = certs.ecdsa()
      local theirs, seen = dial({ version = version, chain = id.chain, key = id.key, alpn = { "spam", "eggs" } }, client_of(id, version, { alpn = { "eggs", "spam" } }))
      assert.same({ "spam", "spam", "localhost" }, { theirs.alpn, seen.alpn, theirs.name }) -- the server's order
      local session
      theirs, session = serve({ version = version, ca = id.ca, alpn = { "spam", "eggs" } }, server_of(id, version, { alpn = { "eggs", "spam" } }))
      assert.same({ "eggs", "eggs", "localhost" }, { theirs.alpn, session.alpn, session.server_name })
    end)
  end

  it("has the same tls-unique", function()
    local id = certs.ecdsa()
    local binding
    local theirs = dial({ version = "1.2", chain = id.chain, key = id.key }, client_of(id, "1.2"), nil, function(c) binding = c.session:channel_binding "tls-unique" end)
    assert.equal(theirs.binding, (binding:gsub(".", function(b) return ("%02x"):format(b:byte()) end)))
    theirs = serve({ version = "1.2", ca = id.ca }, server_of(id, "1.2"), function(c) binding = c.session:channel_binding "tls-unique" end)
    assert.equal(theirs.binding, (binding:gsub(".", function(b) return ("%02x"):format(b:byte()) end)))
  end)

  it("TLS 1.3: asks again for another share, and is asked", function()
    local id = certs.ecdsa()
    for group, name in pairs { secp384r1 = "secp384r1", secp521r1 = "secp521r1" } do
      local _, seen = dial({ version = "1.3", chain = id.chain, key = id.key, group = name }, client_of(id, "1.3", { key_shares = { "x25519" } }))
      assert.same({ group, true }, { seen.group, seen.hello_retry })
      local _, session = serve({ version = "1.3", ca = id.ca }, server_of(id, "1.3", { groups = { group } }))
      assert.same({ group, true }, { session.group, session.hello_retry })
    end
  end)

  it("TLS 1.3: follows our KeyUpdates and answers them", function()
    local id = certs.ecdsa()
    local function updates(c, there, back)
      for i = 1, 4 do
        interop.put(c, c.session:update_keys(i % 2 == 0))
        interop.echo(c, there, back)
      end
    end
    dial({ version = "1.3", chain = id.chain, key = id.key }, client_of(id, "1.3"), nil, function(c) updates(c, "new keys", "NEW KEYS") end)
    local theirs = serve({ version = "1.3", ca = id.ca }, server_of(id, "1.3"), function(c)
      interop.put(c, c.session:update_keys(true))
      assert(c:send "under new keys\n")
      interop.put(c, c.session:update_keys(false))
    end)
    assert.equal("under new keys\npong from akushu\n", theirs.got)
  end)

  it("TLS 1.3: authenticates after the handshake, both ways", function()
    local id, mine = certs.ecdsa(), certs.leaf("ecdsa", "client")
    local theirs = dial({ version = "1.3", chain = id.chain, key = id.key, ca = mine.ca, post_handshake_auth = true, request = "optional" },
      client_of(id, "1.3", { identity = mine.identity, post_handshake_auth = true }), nil, function(c)
        assert(c:send "authenticate\n")
        assert.equal("AUTHENTICATE\n", assert(c:receive_until "\n"))
        interop.echo(c, "it is me", "IT IS ME")
      end)
    assert.equal("client.example", theirs.peer)
    serve({ version = "1.3", ca = id.ca, chain = mine.chain, key = mine.key, post_handshake_auth = true },
      server_of(id, "1.3", { trust = mine.trust, post_handshake_auth = true }), function(c)
        assert.is_nil(c.session.peer)
        interop.put(c, c.session:request_certificate())
        assert(c:send "who are you\n")
        while not c.session.peer do assert.is_true(c:more()) end
        assert.equal(mine.identity.chain[1], c.session.peer[1])
      end)
  end)

  it("refuses what it must, and says why", function()
    for _, case in ipairs { { certs.rsa "expired", "certificate has expired", "certificate_expired" }, { certs.self_signed(), "self%-signed", "unknown_ca" },
      { certs.rsa "wrong_host", "Hostname mismatch", "bad_certificate" } } do
      python:tell("client", { port = port, version = "1.3", ca = certs.rsa().ca })
      local c, _, failure = net.serve(listener, server_of(case[1], "1.3"):handshake {})
      if c then _, _, failure = c:receive_all() end -- a TLS 1.3 client may be heard after the server is done
      assert.equal(case[3], interop.alert_of(failure))
      assert.truthy(python:hear().error:find(case[2]))
    end
    local id = certs.rsa()
    local failure = interop.refused(python:serve { version = "1.2", chain = id.chain, key = id.key, ca = id.ca }, client_of(id, "1.2"))
    assert.same({ "peer_alert", "handshake_failure" }, { failure.code, failure.alert })
    assert.truthy(python:hear().error:find "did not return a certificate")
  end)

  it("and the pipe holds a megabyte", function()
    local id = certs.ecdsa()
    for _, version in ipairs { "1.3", "1.2" } do
      dial({ version = version, chain = id.chain, key = id.key }, client_of(id, version), nil, interop.echo_megabyte)
      local theirs = serve({ version = version, ca = id.ca }, server_of(id, version), interop.send_megabyte)
      assert.equal(1048576 + 17, #theirs.got)
    end
  end)
end)
