-- Node.js's tls over loopback, both ways, TLS 1.3 down to 1.0 (spec/support/peer_node.js is told what to do).
--
-- What Node's module has no way to: 0-RTT, to start a KeyUpdate (it follows and answers ours), authentication after the handshake, max_fragment_length and
-- record_size_limit, external PSKs in TLS 1.3 (its callbacks hold TLS 1.2 connections only), a choice among TLS 1.3 suites that leaves out the others' place.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local driver = require "spec.support.driver"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"

local client_of, server_of, merge = interop.client_of, interop.server_of, interop.merge
local all_versions = { "1.3", "1.2", "1.1", "1.0" }

local hex = require("spec.support.vectors").to_hex

interop.describe("Node.js", { "node", "openssl" }, function()
  local node = driver.start("node", "peer_node.js")
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function()
    listener:close()
    node:stop()
  end)

  -- One connection of an akushu client to Node: Node's options, the akushu context, options of the handshake. Returns Node's view and akushu's.
  local function dial(o, context, handshake, more)
    local c = interop.dial(node:serve(o), context, handshake)
    interop.echo(c, "words for a knot", "WORDS FOR A KNOT")
    if more then more(c) end
    local session = c.session
    local seen = { version = session.version, suite = session.suite, resumed = session.resumed, alpn = session.alpn, group = session.group,
      hello_retry = session.hello_retry, ocsp = session.ocsp_response, exported = hex(session:export("EXPORTER-spec", "context", 20)),
      resumption = session:resumption() }
    c:close()
    local theirs = node:hear()
    assert.is_nil(theirs.error)
    assert.equal(theirs.exported, seen.exported)
    return theirs, seen
  end

  -- One connection of Node to an akushu server.
  local function serve(o, context, more)
    node:tell("client", merge({ port = port }, o))
    local c, message = net.serve(listener, context:handshake {})
    if not c then error(message .. " / " .. tostring(node:hear().error)) end
    assert.equal("ping from node\n", assert(c:receive_until "\n"))
    if more then more(c) end
    assert(c:send "pong from akushu\n")
    local session, exported = c.session, hex(c.session:export("EXPORTER-spec", "context", 20))
    c:close()
    local theirs = node:hear()
    assert.is_nil(theirs.error)
    assert.equal("pong from akushu\n", theirs.got:sub(-17))
    assert.equal(theirs.exported, exported)
    return theirs, session
  end

  -- Node lists only what its default allows, so it is asked about everything that the openssl beside it has.
  local rows, foreign = peer_suites.openssl()
  local names, known = {}, {}
  for i, row in ipairs(rows) do names[i] = row.peer end
  for _, name in ipairs(node:ask("suites", { names = names }).names) do known[name] = true end
  for i = #rows, 1, -1 do
    if not known[rows[i].peer] then table.remove(rows, i) end
  end

  it("has no suite that akushu lacks without a reason", function()
    assert.is_true(#rows > 40)
    assert.same({}, peer_suites.unexplained(foreign))
  end)

  local psk = { identity = interop.psk.identity, key = interop.psk_hex }

  for _, v in ipairs(interop.versions) do
    interop.each_suite(rows, v, function(row)
      local key = peer_suites.key(row.suite)
      local id = certs.leaf(key or "rsa")
      local theirs_psk = peer_suites.needs_psk(row.suite) and psk or nil
      local o = { version = v[1], ciphers = row.peer .. ":@SECLEVEL=0", psk = theirs_psk }
      local theirs, seen = dial(merge(o, { chain = id.chain, key = id.key, dh = true }), akushu.client(interop.options("client", row.suite, v[1])))
      assert.same({ v[1], row.suite.name }, { seen.version, seen.suite })
      assert.same({ row.suite.name, v[1] == "1.0" and "TLSv1" or "TLSv" .. v[1] }, { theirs.cipher, theirs.version })
      theirs, seen = serve(merge(o, { ca = key and id.ca }), akushu.server(interop.options("server", row.suite, v[1])))
      assert.same({ v[1], row.suite.name }, { seen.version, seen.suite })
      assert.equal(row.suite.name, theirs.cipher)
    end, " both ways")
  end

  it("TLS 1.3: every suite, both ways", function()
    local id = certs.ecdsa()
    for _, suite in ipairs { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256",
      "TLS_AES_128_CCM_8_SHA256" } do
      local theirs, seen = dial({ version = "1.3", ciphers = suite, chain = id.chain, key = id.key }, client_of(id, "1.3", { suites = { suite } }))
      assert.same({ suite, "TLSv1.3", suite }, { theirs.cipher, theirs.version, seen.suite })
      theirs, seen = serve({ version = "1.3", ciphers = suite, ca = id.ca }, server_of(id, "1.3", { suites = { suite } }))
      assert.same({ suite, "TLSv1.3", suite, true }, { theirs.cipher, theirs.version, seen.suite, theirs.authorized })
    end
  end)

  for _, version in ipairs(all_versions) do
    it("resumes by ticket and by id, both ways, TLS " .. version .. interop.slow(version), function()
      local id = certs.rsa()
      for _, tickets in ipairs(version == "1.3" and { true } or { true, false }) do
        local name = ("%s %s"):format(version, tickets)
        local context, resumption = client_of(id, version, { tickets = tickets, reuse_tickets = tickets or nil }), nil
        for round = 1, 3 do
          local theirs, seen = dial({ version = version, chain = id.chain, key = id.key, context = name, tickets = tickets }, context, { session = resumption })
          assert.same({ round > 1, round > 1 }, { theirs.reused, seen.resumed })
          resumption = seen.resumption or assert(resumption) -- with ticket keys of one's own Node's server gives no new TLS 1.3 ticket to who has one
          assert.equal(version == "1.3" or tickets, resumption.kind ~= "session_id")
        end
        context = server_of(id, version, { tickets = tickets })
        for round = 1, 3 do
          local theirs, session = serve({ version = version, ca = id.ca, session = name, keep = name, tickets = tickets }, context)
          assert.same({ round > 1, round > 1 }, { theirs.reused, session.resumed })
        end
      end
    end)

    it("authenticates clients, both ways, TLS " .. version .. interop.slow(version), function()
      local id = certs.rsa()
      for _, kind in ipairs { "rsa", "ecdsa" } do
        local mine = certs.leaf(kind, "client")
        local theirs = dial({ version = version, chain = id.chain, key = id.key, ca = mine.ca }, client_of(id, version, { identity = mine.identity }))
        assert.same({ "DNS:client.example", true }, { theirs.peer, theirs.authorized })
        local session
        theirs, session = serve({ version = version, ca = id.ca, chain = mine.chain, key = mine.key },
          server_of(id, version, { client_auth = "require", trust = mine.trust }))
        assert.is_true(theirs.authorized)
        assert.equal(mine.identity.chain[1], session.peer[1])
      end
      local theirs = dial({ version = version, chain = id.chain, key = id.key, ca = id.ca, optional = true }, client_of(id, version))
      assert.same({ nil, false }, { theirs.peer, theirs.authorized })
    end)

    it("hears server names, agrees on ALPN, staples, both ways, TLS " .. version .. interop.slow(version), function()
      local id = certs.ecdsa()
      local theirs, seen = dial({ version = version, chain = id.chain, key = id.key, alpn = { "square", "reef" } }, client_of(id, version, { alpn = { "reef", "square" } }))
      assert.same({ "square", "square", "localhost" }, { theirs.alpn, seen.alpn, theirs.name }) -- the server's order
      local session
      theirs, session = serve({ version = version, ca = id.ca, alpn = { "square", "reef" } }, server_of(id, version, { alpn = { "reef", "square" } }))
      assert.same({ "reef", "reef", "localhost" }, { theirs.alpn, session.alpn, session.server_name })

      id = interop.stapling()
      local response = id.ocsp "good"
      _, seen = dial({ version = version, chain = id.chain, key = id.key, ocsp = peers.tmpfile(response, "ocsp.der") }, client_of(id, version, { ocsp = true }))
      assert.equal(response, seen.ocsp)
      theirs = serve({ version = version, ca = id.ca, ocsp = true }, server_of(id, version, { on_ocsp = function() return response end }))
      assert.equal(hex(response), theirs.ocsp)
    end)
  end

  it("TLS 1.3: asks again for another share, and is asked", function()
    local id = certs.ecdsa()
    for group, name in pairs { x448 = "X448", secp384r1 = "P-384", secp521r1 = "P-521" } do
      local _, seen = dial({ version = "1.3", chain = id.chain, key = id.key, group = name }, client_of(id, "1.3", { key_shares = { "x25519" } }))
      assert.same({ group, true }, { seen.group, seen.hello_retry })
      local theirs, session = serve({ version = "1.3", ca = id.ca, group = "X25519:" .. name }, server_of(id, "1.3", { groups = { group } }))
      assert.same({ group, true }, { session.group, session.hello_retry })
      assert.equal(group, theirs.group == "P-384" and "secp384r1" or theirs.group == "P-521" and "secp521r1" or theirs.group:lower())
    end
  end)

  it("TLS 1.3: follows our KeyUpdates and answers them", function()
    local id = certs.ecdsa()
    dial({ version = "1.3", chain = id.chain, key = id.key }, client_of(id, "1.3"), nil, function(c)
      for i = 1, 4 do
        interop.put(c, c.session:update_keys(i % 2 == 0))
        interop.echo(c, "new keys", "NEW KEYS")
      end
    end)
    local theirs = serve({ version = "1.3", ca = id.ca }, server_of(id, "1.3"), function(c)
      interop.put(c, c.session:update_keys(true))
      assert(c:send "under new keys\n")
      interop.put(c, c.session:update_keys(false))
    end)
    assert.equal("under new keys\npong from akushu\n", theirs.got)
  end)

  it("TLS 1.2: sends records as short as it is told", function()
    local id = certs.rsa()
    dial({ version = "1.2", chain = id.chain, key = id.key, fragment = 512 }, client_of(id, "1.2", { max_fragment = 100 }), nil, function(c)
      local longest = interop.longest_record(c)
      interop.echo(c, ("in small pieces"):rep(300), ("IN SMALL PIECES"):rep(300))
      assert.equal(512 + 24, longest()) -- AES-GCM's nonce and tag
    end)
  end)

  it("TLS 1.2: hears that there is no renegotiation", function()
    local id = certs.rsa()
    node:tell("client", { port = port, version = "1.2", ca = id.ca, renegotiate = true })
    local c = assert(net.serve(listener, server_of(id, "1.2"):handshake {}))
    assert.equal("ping from node\n", assert(c:receive_until "\n"))
    assert(c:send "now try\n")
    assert.is_true(c:answer()) -- its ClientHello; the warning goes out
    assert.truthy(node:hear().error:find "no renegotiation")
    c.sock:close()
  end)

  it("refuses what it must, and says why", function()
    for _, case in ipairs { { certs.rsa "expired", "CERT_HAS_EXPIRED" }, { certs.self_signed(), "SELF_SIGNED" }, { certs.rsa "wrong_host", "ALTNAME_INVALID" } } do
      node:tell("client", { port = port, version = "1.3", ca = certs.rsa().ca })
      -- Node judges when its libssl has let everything pass, and goes without a word
      local c, _, failure = net.serve(listener, server_of(case[1], "1.3"):handshake {})
      if c then _, _, failure = c:receive_all() end
      assert.equal("truncated", failure.code)
      assert.truthy(node:hear().error:find(case[2]))
    end
    local id = certs.rsa()
    local failure = interop.refused(node:serve { version = "1.2", chain = id.chain, key = id.key, ca = id.ca }, client_of(id, "1.2"))
    assert.equal("handshake_failure", failure.alert)
    assert.truthy(node:hear().error:find "did not return a certificate")
  end)

  it("carries a megabyte", function()
    local id = certs.ecdsa()
    for _, version in ipairs { "1.3", "1.2" } do
      dial({ version = version, chain = id.chain, key = id.key }, client_of(id, version), nil, interop.echo_megabyte)
      local theirs = serve({ version = version, ca = id.ca }, server_of(id, version), interop.send_megabyte)
      assert.equal(1048576 + 17, #theirs.got)
    end
  end)
end)
