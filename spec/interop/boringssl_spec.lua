-- BoringSSL's command line tool (Debian's android-boringssl) over loopback, both ways, TLS 1.3 down to 1.0. Its client says what it saw; its server says so on
-- the page that it answers with.
--
-- What the tool has no way to: to start a KeyUpdate (it follows and answers ours), PSKs of its own, certificate compression, record size limits, post-handshake
-- authentication (BoringSSL has none), ids without tickets in its server (which keeps no cache).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"

local client_of, server_of = interop.client_of, interop.server_of
local option = { ["1.0"] = "tls1", ["1.1"] = "tls1.1", ["1.2"] = "tls1.2", ["1.3"] = "tls1.3" }
local protocols = { ["1.0"] = "TLSv1", ["1.1"] = "TLSv1.1", ["1.2"] = "TLSv1.2", ["1.3"] = "TLSv1.3" }
local request = "GET / HTTP/1.0\r\n\r\n"

interop.describe("BoringSSL's tool", { "bssl-tool", "openssl", "::" }, function()
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function() listener:close() end)

  local function serve(id, version, args)
    return peers.start_server(function(at)
      return interop.join({ "bssl-tool", "server", "-accept", at, "-cert", id.chain, "-key", id.key, "-min-version", option[version], "-max-version", option[version],
        "-loop", "-www" }, args)
    end, peers.connectable)
  end

  -- The page about the connection; the tool ends it without close_notify.
  local function page(c)
    local _, _, failure, text = c:receive_all()
    assert.equal("truncated", failure.code)
    assert.truthy(text:find("HTTP/1.0 200", 1, true), text)
    return text
  end

  -- Its client against akushu; talk(c, hs, client) before the words of both. Returns what it has said, and the session.
  local function dial(id, version, context, args, talk)
    local words = interop.join({ "bssl-tool", "client", "-connect", "127.0.0.1:" .. port, "-server-name", "localhost", "-root-certs", id.ca,
      "-min-version", option[version], "-max-version", option[version] }, args)
    words.pipe = true
    local client = peers.spawn(words)
    local hs = context:handshake {}
    local c, message = net.serve(listener, hs)
    assert(c, message or client:log())
    if talk then talk(c, hs, client) end
    interop.talk(c, client)
    local session = c.session
    c:close()
    client:wait()
    return client:stop():log(), session
  end

  local rows, foreign = (function()
    local found, mine = {}, {}
    for _, row in ipairs((peer_suites.openssl())) do mine[row.suite.name] = row end
    local pipe = io.popen "bssl-tool ciphers ALL"
    for name in pipe:lines() do
      local id = akushu.wire.number("suites", name)
      found[#found + 1] = { id = id or 0, name = mine[name] and mine[name].peer or name, min = mine[name] and mine[name].min or 0x0303 }
    end
    pipe:close()
    return peer_suites.common(found)
  end)()
  rows = peer_suites.filter(rows, function(s) return not peer_suites.needs_psk(s) end)

  it("has no suite that akushu lacks", function()
    assert.is_true(#rows > 10)
    assert.same({}, foreign)
  end)

  for _, v in ipairs(interop.versions) do
    interop.each_suite(rows, v, function(row)
      local id = certs.leaf(peer_suites.key(row.suite))
      local server = serve(id, v[1], { "-cipher", row.peer })
      local c = interop.dial(server.port, akushu.client(interop.options("client", row.suite, v[1])))
      assert.same({ v[1], row.suite.name }, { c.session.version, c.session.suite })
      assert(c:send(request))
      local said = page(c)
      assert.truthy(said:find("Version: " .. protocols[v[1]] .. "\n", 1, true) and said:find("Cipher: " .. row.suite.name .. "\n", 1, true), said)
      server:stop()
      local log, session = dial(id, v[1], akushu.server(interop.options("server", row.suite, v[1])), { "-cipher", row.peer })
      assert.equal(row.suite.name, session.suite)
      assert.truthy(log:find("Version: " .. protocols[v[1]] .. "\n", 1, true) and log:find("Cipher: " .. row.suite.name .. "\n", 1, true), log)
    end, " both ways")
  end

  it("TLS 1.3: every suite and group, with GREASE, both ways, also by HelloRetryRequest", function()
    local id = certs.ecdsa()
    local server = serve(id, "1.3", { "-curves", "X25519:P-256:P-384" })
    local groups = { x25519 = "X25519", secp256r1 = "P-256", secp384r1 = "P-384" }
    for group, name in pairs(groups) do
      for _, suite in ipairs { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256" } do
        local c = interop.dial(server.port, client_of(id, "1.3", { suites = { suite }, groups = { group }, grease = true }))
        assert(c:send(request))
        local said = page(c)
        assert.truthy(said:find("Cipher: " .. suite, 1, true) and said:find("ECDHE curve: " .. name .. "\n", 1, true), said)
        assert.same({ suite, group, false }, { c.session.suite, c.session.group, c.session.hello_retry })
      end
      local log, session = dial(id, "1.3", server_of(id, "1.3", { groups = { group } }), { "-grease", "-permute-extensions" })
      assert.equal(group, session.group)
      assert.truthy(log:find("Version: TLSv1.3", 1, true), log)
    end
    local c = interop.dial(server.port, client_of(id, "1.3", { key_shares = { "x448" }, groups = { "x448", "secp256r1" } }))
    assert.same({ "secp256r1", true }, { c.session.group, c.session.hello_retry })
    assert(c:send(request))
    page(c)
    server:stop()
    local _, session = dial(id, "1.3", server_of(id, "1.3", { groups = { "secp384r1" } }))
    assert.is_true(session.hello_retry)
  end)

  for _, version in ipairs { "1.3", "1.2", "1.1", "1.0" } do
    it("resumes by ticket, and by id where akushu serves, TLS " .. version .. interop.slow(version), function()
      local id = certs.ecdsa()
      local server = serve(id, version)
      local context, resumption = client_of(id, version), nil
      for round = 1, 2 do
        local c = interop.dial(server.port, context, { session = resumption })
        assert.equal(round == 2, c.session.resumed)
        assert(c:send(request))
        local said = page(c)
        assert.truthy(said:find("Resumed session: " .. (round == 2 and "yes" or "no"), 1, true), said)
        resumption = c.session:resumption()
        if round == 1 then assert.is_true(resumption.kind ~= "session_id") end
      end
      server:stop()
      for _, tickets in ipairs(version == "1.3" and { true } or { true, false }) do
        local kept = peers.tmpdir() .. "/session"
        context = server_of(id, version, { tickets = tickets })
        for round = 1, 2 do
          local log, session = dial(id, version, context, { round == 1 and "-session-out" or "-session-in", kept })
          assert.equal(round == 2, session.resumed)
          assert.truthy(log:find("Resumed session: " .. (round == 2 and "yes" or "no"), 1, true), log)
        end
      end
    end)

    it("authenticates clients, staples, agrees on ALPN, TLS " .. version .. interop.slow(version), function()
      local id, mine = interop.stapling(), certs.ecdsa "client"
      local response = id.ocsp "good"
      local server = serve(id, version, { "-require-any-client-cert", "-ocsp-response", peers.tmpfile(response, "ocsp.der") })
      local c = interop.dial(server.port, client_of(id, version, { identity = mine.identity, ocsp = true }))
      assert.equal(response, c.session.ocsp_response)
      assert(c:send(request))
      local said = page(c)
      assert.truthy(said:find("client.example", 1, true), said)
      server:stop()
      local key = peers.tmpfile(peers.read_file(mine.chain) .. peers.read_file(mine.key), "both.pem")
      local log, session = dial(id, version, server_of(id, version, { client_auth = "require", trust = mine.trust, alpn = { "two", "one" }, on_ocsp = function()
        return response
      end }), { "-key", key, "-cert", mine.chain, "-alpn-protos", "one,two", "-ocsp-stapling" })
      assert.equal(mine.identity.chain[1], session.peer[1])
      assert.same({ "two", "localhost" }, { session.alpn, session.server_name })
      assert.truthy(log:find("ALPN protocol: two", 1, true), log)
      assert.truthy(log:find("OCSP staple: yes", 1, true), log)
    end)
  end

  it("TLS 1.3: early data, both ways", function()
    local id = certs.ecdsa()
    local server = serve(id, "1.3", { "-early-data" })
    local context = client_of(id, "1.3")
    local c = interop.dial(server.port, context)
    assert(c:send(request))
    page(c)
    c = interop.dial(server.port, context, { session = assert(c.session:resumption()), early = request })
    assert.same({ true, "accepted" }, { c.session.resumed, c.session.early_data })
    local said = page(c)
    assert.truthy(said:find("Early data: yes", 1, true), said)
    server:stop()
    context = server_of(id, "1.3", { early_data = 1000, early_data_window = 1000 })
    local kept = peers.tmpdir() .. "/session"
    dial(id, "1.3", context, { "-session-out", kept })
    local log = dial(id, "1.3", context, { "-session-in", kept, "-early-data", "early words\n" }, function(_, hs)
      assert.equal("accepted", hs.early_data)
      assert.equal("early words\n", hs:take_early_data())
    end)
    assert.truthy(log:find("Early data: yes", 1, true), log)
  end)

  it("TLS 1.3: follows our KeyUpdates and answers them", function()
    local id = certs.ecdsa()
    local server = serve(id, "1.3")
    local c = interop.dial(server.port, client_of(id, "1.3"))
    for i = 1, 4 do interop.put(c, c.session:update_keys(i % 2 == 0)) end
    assert(c:send(request))
    page(c)
    server:stop()
    dial(id, "1.3", server_of(id, "1.3"), nil, function(c2, _, client)
      for i = 1, 4 do
        interop.put(c2, c2.session:update_keys(i % 2 == 0))
        interop.talk(c2, client)
      end
    end)
  end)
end)
