-- NSS's selfserv and tstclnt over loopback, both ways, TLS 1.3 down to SSL 3.0.
--
-- What the tools have no way to: to start a KeyUpdate (they follow and answer ours), PSK suites in TLS 1.2, max_fragment_length (NSS has none), a record_size_limit
-- of one's own choice (they keep to ours), ALPN in tstclnt, certificate compression (NSS 3.87 has none). What selfserv 3.87 says it has and does not do, for
-- tstclnt neither: to use its external PSK (-z) and to staple OCSP responses (-T). The other direction of both is here.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"
local socket = require "socket"

local client_of, server_of = interop.client_of, interop.server_of
local all_versions = { "1.3", "1.2", "1.1", "1.0" }
local minor = { ["3.0"] = "3.0", ["1.0"] = "3.1", ["1.1"] = "3.2", ["1.2"] = "3.3", ["1.3"] = "3.4" }

local function only(version) return version == "3.0" and "ssl3:ssl3" or ("tls%s:tls%s"):format(version, version) end

-- How NSS calls a suite's cipher and key exchange in "SSL version 3.3 using 128-bit AES with …, Key Exchange: 2048-bit DHE".
local function words_for(suite)
  local cipher = suite.name:match "_WITH_(.+)$"
  local bits, name
  if cipher:find "^AES" then
    bits, name = cipher:match "%d+", cipher:find "GCM" and "AES-GCM" or "AES"
  elseif cipher:find "^CAMELLIA" then
    bits, name = cipher:match "%d+", "CAMELLIA"
  elseif cipher:find "^CHACHA20" then
    bits, name = "256", "CHACHA20POLY1305"
  elseif cipher:find "^3DES" then
    bits, name = "112", "3DES"
  else
    bits, name = "0", "NULL"
  end
  return ("using %s-bit %s with "):format(bits, name), "-bit " .. suite.kx:upper() .. "\n"
end

interop.describe("NSS", { "selfserv", "tstclnt", "certutil", "pk12util", "openssl", "python3", "::1" }, function()
  local rows, foreign = peer_suites.nss()
  local names = {}
  for i, row in ipairs(rows) do names[i] = row.peer end
  local every = table.concat(names)

  local rsa, ecdsa, other, mine, staple, database
  local listener, port
  setup(function()
    rsa, ecdsa, other = certs.leaf("rsa", "named"), certs.leaf("ecdsa", "named"), certs.rsa "wrong_host"
    mine = { rsa = certs.rsa "client", ecdsa = certs.ecdsa "client" }
    staple = interop.stapling()
    database = peers.nss_database { cas = { rsa.ca, ecdsa.ca, staple.ca }, identities = { peers.pkcs12(rsa.chain, rsa.key, "rsa"),
      peers.pkcs12(ecdsa.chain, ecdsa.key, "ecdsa"), peers.pkcs12(other.chain, other.key, "other.example"), peers.pkcs12(mine.rsa.chain, mine.rsa.key, "mine") } }
    listener, port = net.listen()
  end)
  teardown(function() listener:close() end)

  local function selfserv(version, args, tickets)
    return peers.nss_server { database = database, name = "rsa", versions = only(version), args = args, tickets = tickets }
  end

  -- selfserv answers a request with the request itself.
  local function request(c, text)
    assert(c:send(("GET %s HTTP/1.0\r\n\r\n"):format(text or "/")))
    local answer = assert(c:receive_until "EOF\r\n\r\n\r\n")
    assert.truthy(answer:match "^HTTP/1.0 200" and answer:find("GET " .. (text or "/"), 1, true), answer)
    return answer
  end

  -- Runs tstclnt against akushu; talk(c, hs, client, i) speaks for the server. Returns what tstclnt has printed.
  local function tstclnt(version, context, o, talk)
    local client = peers.nss_client { database = database, port = port, versions = only(version), tickets = o.tickets, server_name = o.server_name,
      args = interop.join({ "-A", o.input or peers.tmpfile "ping\n" }, o.args) }
    for i = 1, o.connections or 1 do
      local hs = context:handshake {}
      local c, message, failure = net.serve(listener, hs, { gather = i > 1 and o.gather or nil })
      if o.fails then
        assert.is_nil(c)
        assert.equal(o.fails, failure.code)
      else
        assert(c, message)
        if talk then talk(c, hs, client, i) else assert.equal("ping\n", assert(c:receive_until "\n")) end
        assert(c:send(("pong %d from akushu\n"):format(i)))
        c:close()
      end
    end
    local code = client:wait()
    local log = client:stop():log()
    if not o.fails then
      assert.equal(0, code, log)
      assert.truthy(log:find(("ong %d from akushu"):format(o.connections or 1), 1, true), log) -- TLS 1.0: the first byte comes in a record of its own
    end
    return log
  end

  it("has no suite that akushu lacks without a reason", function()
    assert.is_true(#rows > 35)
    assert.same({ ":0066" }, peer_suites.unexplained(foreign)) -- DHE_DSS with RC4, which IANA does not list
  end)

  for _, v in ipairs(interop.join(interop.versions, { { "3.0", 0x0300 } })) do
    describe("suites of", function()
      local server
      lazy_setup(function() server = selfserv(v[1], { "-e", "ecdsa", "-c", every, "-H", "1" }) end)
      lazy_teardown(function() server:stop() end)

      local list = v[1] == "3.0" and peer_suites.filter(rows, function(s) return s.kx ~= "ecdhe" end) or rows
      interop.each_suite(list, v, function(row)
        local using, exchange = words_for(row.suite)
        local version = "SSL version " .. minor[v[1]]
        local before = #server:log()
        local c = interop.dial(server.port, akushu.client(interop.options("client", row.suite, v[1])))
        assert.same({ v[1], row.suite.name }, { c.session.version, c.session.suite })
        request(c)
        c:close()
        local function said()
          local log = server:log():sub(before)
          return log:find(version .. " " .. using, 1, true) and log:find(exchange, 1, true)
        end
        assert(peers.wait_for(said), server:log():sub(before))
        local log = tstclnt(v[1], akushu.server(interop.options("server", row.suite, v[1])), { args = { "-c", row.peer } })
        assert.truthy(log:find(version .. " " .. using, 1, true) and log:find(exchange, 1, true), log)
      end, " both ways")
    end)
  end

  it("TLS 1.3: every suite and group, both ways, at once and by HelloRetryRequest", function()
    local groups = { secp256r1 = "P256", secp384r1 = "P384", secp521r1 = "P521", x25519 = "x25519", ffdhe2048 = "FF2048", ffdhe3072 = "FF3072" }
    for group, name in pairs(groups) do
      local server = selfserv("1.3", { "-I", name })
      for _, first in ipairs { group, group == "x25519" and "secp256r1" or "x25519" } do
        local c = interop.dial(server.port, client_of(rsa, "1.3", { key_shares = { first }, groups = { first, group ~= first and group or nil } }))
        assert.same({ group, first ~= group }, { c.session.group, c.session.hello_retry })
        request(c)
        c:close()
      end
      server:stop()
      local session
      tstclnt("1.3", server_of(rsa, "1.3", { groups = { group } }), { args = { "-I", (group == "x25519" and "P256," or "x25519,") .. name } }, function(c)
        session = c.session
      end)
      assert.same({ group, true }, { session.group, session.hello_retry })
    end
    local server = selfserv "1.3"
    for suite, words in pairs { TLS_AES_128_GCM_SHA256 = "128-bit AES-GCM", TLS_AES_256_GCM_SHA384 = "256-bit AES-GCM",
      TLS_CHACHA20_POLY1305_SHA256 = "256-bit CHACHA20POLY1305" } do
      local c = interop.dial(server.port, client_of(rsa, "1.3", { suites = { suite } }))
      request(c)
      c:close()
      assert(server:wait_log("SSL version 3.4 using " .. words:gsub("%-", "%%-")), server:log())
      local log = tstclnt("1.3", server_of(rsa, "1.3", { suites = { suite } }), {})
      assert.truthy(log:find("SSL version 3.4 using " .. words, 1, true), log)
    end
    server:stop()
  end)

  for _, version in ipairs(all_versions) do
    it("resumes by ticket and by id, both ways, TLS " .. version .. interop.slow(version), function()
      for _, tickets in ipairs(version == "1.3" and { true } or { true, false }) do
        local server = selfserv(version, nil, tickets)
        local context, resumption = client_of(rsa, version), nil
        for round = 1, 3 do
          local c = interop.dial(server.port, context, { session = resumption })
          assert.equal(round > 1, c.session.resumed)
          request(c)
          resumption = assert(c.session:resumption())
          assert.equal(tickets, resumption.kind ~= "session_id")
          c:close()
        end
        assert(server:wait_log("2 cache hits;.-" .. (tickets and "2" or "0") .. " stateless resumes"), server:log())
        server:stop()
        local resumed = {}
        local log = tstclnt(version, server_of(rsa, version), { tickets = tickets, args = { "-L", "3" }, connections = 3 }, function(c, _, _, i)
          assert.equal("ping\n", assert(c:receive_until "\n"))
          resumed[i] = c.session.resumed
        end)
        assert.same({ false, true, true }, resumed)
        assert.truthy(log:find "2 cache hits;", log)
        assert.truthy(log:find((tickets and "2" or "0") .. " stateless resumes", 1, true), log)
      end
    end)

    it("authenticates clients, both ways, TLS " .. version .. interop.slow(version), function()
      for _, kind in ipairs { "rsa", "ecdsa" } do
        local server = selfserv(version, { "-r", "-r" })
        local c = interop.dial(server.port, client_of(rsa, version, { identity = mine[kind].identity }))
        request(c)
        c:close()
        assert(server:wait_log("subject DN: CN=client.example"), server:log())
        server:stop()
      end
      local session
      tstclnt(version, server_of(rsa, version, { client_auth = "require", trust = mine.rsa.trust }), { args = { "-n", "mine" } }, function(c) session = c.session end)
      assert.equal(mine.rsa.identity.chain[1], session.peer[1])
      local server = selfserv(version, { "-r", "-r" })
      local c, _, failure = net.client(server.port, client_of(rsa, version):handshake { server_name = "localhost" })
      if c then _, _, failure = c:receive_all() end
      assert.equal("peer_alert", failure.code)
      assert.equal(version == "1.3" and "certificate_required" or "bad_certificate", failure.alert)
      server:stop()
    end)

    it("reads our OCSP response, says and hears server names, TLS " .. version .. interop.slow(version), function()
      local log = tstclnt(version, server_of(staple, version, { on_ocsp = function() return staple.ocsp "good" end }), { args = { "-T" } }, function(c)
        assert.equal("localhost", c.session.server_name)
      end)
      assert.truthy(log:find("Received 1 Cert Status items", 1, true), log)
      local server = selfserv(version, { "-a", "other.example" })
      local failure = interop.refused(server.port, client_of(rsa, version))
      assert.same({ "peer_alert", "unrecognized_name" }, { failure.code, failure.alert }) -- it has heard "localhost"
      server:stop()
    end)
  end

  it("agrees on ALPN, and exports the same bytes, both ways", function()
    for _, version in ipairs { "1.3", "1.2" } do
      local function hex(session) return (session:export("EXPORTER-spec", "context", 20):gsub(".", function(b) return ("%02x"):format(b:byte()) end)) end
      local server = selfserv(version, { "-Q", "-x", "EXPORTER-spec:20:context" })
      local c = interop.dial(server.port, client_of(rsa, version, { alpn = { "h2", "http/1.1" } }))
      assert.equal("http/1.1", c.session.alpn)
      request(c)
      local exported = hex(c.session)
      c:close()
      assert(peers.wait_for(function() return server:log():gsub("[%s:]", ""):lower():find(exported, 1, true) end), server:log() .. exported)
      server:stop()
      local log = tstclnt(version, server_of(rsa, version), { args = { "-x", "EXPORTER-spec:20:context" } }, function(c2) exported = hex(c2.session) end)
      assert.truthy(log:gsub("[%s:]", ""):lower():find(exported, 1, true), log .. exported)
    end
  end)

  it("TLS 1.2: does without extended_master_secret, and with it", function()
    for _, on in ipairs { true, false } do
      local log = tstclnt("1.2", server_of(rsa, "1.2", { extended_master_secret = on }), { args = { "-G" } }, function(c)
        assert.equal(on, c.session.extended_master_secret)
      end)
      assert.truthy(log:find("Extended Master Secret: " .. (on and "Yes" or "No"), 1, true), log)
      local server = selfserv("1.2", { "-G" })
      local c = interop.dial(server.port, client_of(rsa, "1.2", { extended_master_secret = on }))
      assert.equal(on, c.session.extended_master_secret)
      request(c)
      c:close()
      assert(server:wait_log("Extended Master Secret: " .. (on and "Yes" or "No")), server:log())
      server:stop()
    end
  end)

  it("keeps to our record_size_limit", function()
    for _, version in ipairs { "1.3", "1.2" } do
      local server = selfserv(version)
      local c = interop.dial(server.port, client_of(rsa, version, { record_size_limit = 512, suites = version == "1.2" and { "TLS_RSA_WITH_AES_128_GCM_SHA256" } or nil }))
      local longest = interop.longest_record(c)
      request(c, "/" .. ("l"):rep(3000))
      c:close()
      assert.equal(version == "1.3" and 512 + 16 or 512 + 24, longest())
      server:stop()
    end
  end)

  it("TLS 1.2: renegotiates when selfserv asks, and shows its certificate", function()
    local server = selfserv("1.2", { "-r", "-r", "-r", "-r" })
    local context = client_of(rsa, "1.2", { renegotiation = true, identity = mine.rsa.identity })
    local c = interop.dial(server.port, context)
    assert(c:send "GET / HTTP/1.0\r\n\r\n")
    while not c.session.renegotiation_wanted do assert.is_true(c:more()) end
    c.hs = assert(context:renegotiate(c.session))
    assert(c:handshake())
    assert(server:wait_log("Subject: CN=client.example"), server:log())
    c:close()
    server:stop()
  end)

  it("hears of a fallback that is none", function()
    local log = tstclnt("1.2", akushu.server { identity = rsa.identity }, { args = { "-K" }, fails = "inappropriate_fallback" })
    assert.truthy(log:find("SSL_ERROR_INAPPROPRIATE_FALLBACK_ALERT", 1, true), log)
  end)

  it("TLS 1.3: follows our KeyUpdates and answers them", function()
    local server = selfserv "1.3"
    local c = interop.dial(server.port, client_of(rsa, "1.3"))
    for i = 1, 4 do interop.put(c, c.session:update_keys(i % 2 == 0)) end
    request(c)
    c:close()
    server:stop()
    tstclnt("1.3", server_of(rsa, "1.3"), {}, function(c2, _, client)
      for i = 1, 4 do
        interop.put(c2, c2.session:update_keys(i % 2 == 0))
        assert(c2:send(("under new keys %d\n"):format(i)))
        assert(client:wait_log("under new keys " .. i))
      end
      assert.equal("ping\n", assert(c2:receive_until "\n"))
    end)
  end)

  it("TLS 1.3: tstclnt has an external PSK", function()
    local psk = { identity = "spec", key = ("\170\187\204\221"):rep(8) }
    local words = { "-z", "0x" .. ("AABBCCDD"):rep(8) .. ":spec" }
    tstclnt("1.3", server_of(rsa, "1.3", { psk = psk }), { args = words }, function(c2)
      assert.is_nil(c2.session.peer)
      assert.equal("ping\n", assert(c2:receive_until "\n"))
    end)
    tstclnt("1.3", server_of(rsa, "1.3", { psk = { identity = "spec", key = ("x"):rep(32) } }), { args = words, fails = "bad_binder" })
  end)

  it("TLS 1.3: authenticates after the handshake, both ways", function()
    local server = selfserv("1.3", { "-E", "-r", "-r", "-r", "-r" })
    local c = interop.dial(server.port, client_of(rsa, "1.3", { identity = mine.rsa.identity, post_handshake_auth = true }))
    request(c)
    c:close()
    assert(server:wait_log("Subject: CN=client.example"), server:log())
    server:stop()
    tstclnt("1.3", server_of(rsa, "1.3", { trust = mine.rsa.trust, post_handshake_auth = true }), { args = { "-E", "-n", "mine" } }, function(c2)
      assert.equal("ping\n", assert(c2:receive_until "\n"))
      assert.is_nil(c2.session.peer)
      interop.put(c2, c2.session:request_certificate())
      while not c2.session.peer do assert.is_true(c2:more()) end
      assert.equal(mine.rsa.identity.chain[1], c2.session.peer[1])
    end)
  end)

  -- Its guard against replays has to have seen a whole window, 10 s.
  local function young(wait)
    local began = socket.gettime()
    local server = selfserv("1.3", { "-Z" })
    socket.sleep(wait)
    local up = socket.gettime()
    local context = client_of(rsa, "1.3")
    local c = interop.dial(server.port, context)
    request(c)
    local resumption = assert(c.session:resumption())
    assert.is_true(resumption.max_early_data > 0)
    c:close()
    c = interop.dial(server.port, context, { session = resumption, early = "GET /early HTTP/1.0\r\n\r\n" })
    if wait > 10 then assert(interop.takes_early(c.session, up))
    elseif socket.gettime() - began < 10 then assert.equal("refused", c.session.early_data) end
    if c.session.early_data == "accepted" then assert.truthy(assert(c:receive_until "EOF\r\n\r\n\r\n"):find "GET /early")
    else request(c) end
    c:close()
    server:stop()
  end
  it("TLS 1.3: selfserv refuses early data while it is young", function() young(0) end)
  it("TLS 1.3: selfserv takes early data #slow", function() young(11) end)

  it("TLS 1.3: tstclnt sends early data, and again when it is refused", function()
    -- It sends early what it can before it hears from us: that waits until it has.
    local again = { args = { "-Z", "-L", "3" }, connections = 3, gather = 23 }
    local log = tstclnt("1.3", server_of(rsa, "1.3", { early_data = 1000, early_data_window = 1000 }), again, function(c2, hs, _, i)
      assert.equal(i > 1 and "accepted" or "none", c2.session.early_data)
      assert.equal(i > 1 and "ping\n" or "", hs:take_early_data())
      if i == 1 then assert.equal("ping\n", assert(c2:receive_until "\n")) end
    end)
    assert.falsy(log:find("Early data rejected", 1, true), log)
    local taken
    tstclnt("1.3", server_of(rsa, "1.3", { early_data = 1000, early_data_window = 1000, on_early_data = function() return false end }), again,
      function(c2, hs, _, i)
        assert.equal(i > 1 and "refused" or "none", c2.session.early_data)
        taken = hs:take_early_data()
        assert.equal("ping\n", assert(c2:receive_until "\n")) -- again, and this time protected
      end)
    assert.equal("", taken)
  end)

  it("refuses what it must, and says why", function()
    for _, case in ipairs { { certs.rsa "expired", "SEC_ERROR_EXPIRED_CERTIFICATE", "certificate_expired" },
      { certs.self_signed(), "SEC_ERROR_CA_CERT_INVALID", "bad_certificate" },
      { certs.rsa "wrong_host", "SSL_ERROR_BAD_CERT_DOMAIN", "bad_certificate" } } do
      local client = peers.nss_client { database = database, port = port, versions = only "1.2", args = { "-A", peers.tmpfile "ping\n" } }
      local c, _, failure = net.serve(listener, server_of(case[1], "1.2"):handshake {})
      if c then _, _, failure = c:receive_all() end -- it judges in its own time
      assert.equal(case[3], interop.alert_of(failure))
      assert(client:wait_log(case[2]), client:log())
      client:stop()
    end
  end)
end)
