-- GnuTLS's gnutls-serv and gnutls-cli over loopback, both ways, TLS 1.2 and below: every suite in every version, tickets and ids, client authentication, ALPN,
-- server names, OCSP stapling, limits of records, rehandshakes. gnutls_spec.lua has data and refusals, gnutls_tls13_spec.lua TLS 1.3.
--
-- What GnuTLS 3.7 has no way to: the DHE_PSK and ECDHE_PSK suites beyond the handshake (its tools die of them when they want to print who the peer is), SSL 3.0
-- (Debian builds it without), and certificate compression where Debian 12 builds it without the libraries (gnutls_tls13_spec.lua asks).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"
local testca = require "akushu.testca"

local all, foreign = peer_suites.gnutls()
local versions, psk, psk_hex, merge, options = interop.versions, interop.psk, interop.psk_hex, interop.merge, interop.options

local function base(version)
  return "NONE:+VERS-TLS" .. version .. ":+COMP-NULL:+SIGN-ALL:+SIGN-RSA-SHA1:+GROUP-ALL:%VERIFY_ALLOW_SIGN_WITH_SHA1"
end

local everything = ":+ECDHE-ECDSA:+ECDHE-RSA:+DHE-RSA:+RSA:+PSK:+DHE-PSK:+ECDHE-PSK:+RSA-PSK:+ANON-DH:+ANON-ECDH" ..
  ":+CIPHER-ALL:+AES-128-CCM-8:+AES-256-CCM-8:+CAMELLIA-128-CBC:+CAMELLIA-256-CBC:+3DES-CBC:+NULL:+MAC-ALL:+AEAD:+SHA1:+SHA256:+SHA384:+MD5"

local function echo(c, text)
  assert(c:send(text))
  assert.equal(text, assert(c:receive(#text)))
end

interop.describe("an akushu client and gnutls-serv", { "gnutls-serv", "gnutls-cli" }, function()
  it("misses no suite without a reason", function()
    assert.is_true(#all > 100)
    assert.same({}, peer_suites.unexplained(foreign))
  end)

  for _, v in ipairs(versions) do
    describe("has the suites of", function()
      local server
      lazy_setup(function()
        local rsa, ecdsa = certs.rsa(), certs.ecdsa()
        server = peers.gnutls_server { chain = rsa.chain, key = rsa.key, priority = base(v[1]) .. everything, args = { "--echo", "--crlf",
          "--x509certfile", ecdsa.chain, "--x509keyfile", ecdsa.key, "--pskpasswd", peers.tmpfile(psk.identity .. ":" .. psk_hex .. "\n", "psk") } }
      end)
      lazy_teardown(function() server:stop() end)

      local function speaks(row)
        for _, tickets in ipairs { true, false } do
          local context = akushu.client(options("client", row.suite, v[1], { tickets = tickets }))
          local c, message = net.client(server.port, context:handshake { server_name = "localhost" })
          assert(c, message)
          assert.equal(row.suite.name, c.session.suite)
          assert.equal(v[1], c.session.version)
          echo(c, row.suite.name .. "\r\n")
          local resumption = assert(c.session:resumption())
          assert.equal(tickets and "ticket" or "session_id", resumption.kind)
          c:close()
          c = assert(net.client(server.port, context:handshake { server_name = "localhost", session = resumption }))
          assert.is_true(c.session.resumed)
          echo(c, "again\r\n")
          c:close()
        end
      end

      interop.each_suite(all, v, speaks, ", and resumes by ticket and by id")
    end)
  end

  it("shows its certificate when it is asked", function()
    local id = certs.rsa()
    for _, v in ipairs(versions) do
      for _, kind in ipairs { "rsa", "ecdsa" } do
        local mine = certs.leaf(kind, "client")
        local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = base(v[1]) .. everything, args = { "--echo", "--require-client-cert",
          "--verify-client-cert", "--x509cafile", mine.ca } }
        local c, message = net.client(server.port, akushu.client({ trust = id.trust, versions = v[1], profile = "compatible", security_level = 0,
          identity = mine.identity }):handshake { server_name = "localhost" })
        assert(c, message)
        echo(c, "it is me\n")
        c:close()
        server:stop()
      end
    end
  end)

  it("agrees on ALPN, in every version", function()
    local id = certs.rsa()
    for _, v in ipairs(versions) do
      local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = base(v[1]) .. everything, args = { "--http", "--alpn", "one", "--alpn", "two",
        "--sni-hostname", "localhost", "--sni-hostname-fatal" } }
      local c = interop.dial(server.port, interop.client_of(id, v[1], { alpn = { "two", "three" } }))
      assert.equal("two", c.session.alpn)
      assert(c:send "GET / HTTP/1.0\r\n\r\n") -- its page says what the connection is
      local page = assert(c:receive_until "</HTML>")
      assert.truthy(page:find("TLS" .. v[1], 1, true) and page:find(c.session.suite:match "_WITH_(%a+)", 1, true), page)
      c:close()
      local failure = interop.refused(server.port, interop.client_of(id, v[1], { verify = "chain" }), { server_name = "stranger.example" })
      assert.equal("unrecognized_name", failure.alert)
      server:stop()
    end
  end)

  it("reads a stapled OCSP response", function()
    local ca = testca.new { name = "stapling root" }
    local leaf = ca:issue { names = { "localhost" } }
    local response = ca:ocsp(leaf, { status = "good" })
    local server = peers.gnutls_server { chain = peers.tmpfile(leaf.pem_chain, "chain.pem"), key = peers.tmpfile(leaf.pem_key, "key.pem"),
      priority = base "1.2" .. everything, args = { "--echo", "--ocsp-response", peers.tmpfile(response, "ocsp.der") } }
    local c, message = net.client(server.port, akushu.client({ trust = ca:trust(), versions = "1.2", ocsp = true }):handshake { server_name = "localhost" })
    assert(c, message)
    assert.equal(response, c.session.ocsp_response)
    c:close()
    server:stop()
  end)

  it("agrees with it on max_fragment_length and record_size_limit", function()
    local id = certs.rsa()
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = base "1.2" .. everything, args = { "--echo", "--crlf" } }
    local suite = { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } }
    -- gnutls-serv 3.7 keeps max_fragment_length in the handshake, and sends what it likes afterwards
    for _, o in ipairs { { max_fragment_length = 512 }, { record_size_limit = 600 } } do
      local context = akushu.client(merge({ trust = id.trust, versions = "1.2" }, suite, o))
      local hs, most = context:handshake { server_name = "localhost" }, 0
      hs:on("record_in", "*", function(bytes) most = math.max(most, #bytes - 5) end)
      local c, message = net.client(server.port, hs)
      assert(c, message)
      assert.is_true(most > 500 and most <= 600, most)
      echo(c, ("x"):rep(o.record_size_limit and 1500 or 500) .. "\r\n")
      c:close()
    end
    server:stop()
  end)

  it("renegotiates when gnutls-serv asks, with a whole handshake and with a resumption, and shows its certificate", function()
    local id, mine = certs.ecdsa(), certs.leaf("ecdsa", "client")
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2", args = { "--echo", "--crlf", "--x509cafile", mine.ca } }
    for _, tickets in ipairs { true, false } do
      local context = akushu.client { trust = id.trust, versions = "1.2", renegotiation = true, identity = mine.identity, tickets = tickets }
      local c = assert(net.client(server.port, context:handshake { server_name = "localhost" }))
      for i = 1, 3 do
        assert(c:send "**REHANDSHAKE**\r\n")
        while not c.session.renegotiation_wanted do assert.is_true(c:more()) end
        local resumes = i ~= 1 and not tickets -- GnuTLS ends its rehandshake with an internal error when a ticket is offered in it
        c.hs = assert(context:renegotiate(c.session, { session = resumes and assert(c.session:resumption()) or nil }))
        local ok, why = c:handshake()
        assert(ok, why)
        assert.equal(resumes, c.session.resumed)
        assert.is_true(c.session.secure_renegotiation)
        -- What it says behind its HelloRequest comes before its ServerHello: on its way to the old session, or among the handshake's messages.
        assert.equal("Successfully executed command\n", c.buffer .. c.hs:take_application_data())
        c.buffer = ""
        echo(c, "after it\r\n")
      end
      c:close()
    end
    server:stop()
  end)
end)

interop.describe("an akushu client and NSS selfserv", { "selfserv", "certutil", "pk12util", "::1" }, function()
  it("renegotiates when it asks for a certificate after the request", function()
    local id, mine = certs.rsa(), certs.leaf("ecdsa", "client")
    local database = peers.nss_database { cas = { id.ca, mine.ca }, identities = { peers.pkcs12(id.chain, id.key, "spec") } }
    local server = peers.nss_server { database = database, name = "spec", versions = "tls1.2:tls1.2", args = { "-rrrr" } }
    local context = akushu.client { trust = id.trust, versions = "1.2", renegotiation = true, identity = mine.identity }
    local c = assert(net.client(server.port, context:handshake { server_name = "localhost" }))
    assert.is_nil(c.session.own_scheme)
    assert(c:send "GET / HTTP/1.0\r\n\r\n")
    while not c.session.renegotiation_wanted do assert.is_true(c:more()) end
    c.hs = assert(context:renegotiate(c.session))
    local ok, why = c:handshake()
    assert(ok, why)
    assert.equal("ecdsa_secp256r1_sha256", c.session.own_scheme)
    assert.matches("200 OK", assert(c:receive_until "\r\n"))
    c:close()
    server:stop()
  end)
end)

interop.describe("an akushu server and gnutls-cli", { "gnutls-cli" }, function()
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function() listener:close() end)

  local function meet(context, o)
    local client = peers.gnutls_client { port = port, ca = o.ca or certs.rsa().ca, pipe = true, priority = o.priority, args = o.args }
    local c, message, failure = net.serve(listener, context:handshake {})
    return client, c, message, failure
  end

  local function speaks(row, v)
    local key = peer_suites.key(row.suite)
    local args = peer_suites.needs_psk(row.suite) and { "--pskusername", psk.identity, "--pskkey", psk_hex } or nil
    local client, c, message = meet(akushu.server(options("server", row.suite, v[1])),
      { ca = key and certs.leaf(key).ca, priority = base(v[1]) .. ":" .. row.peer, args = args })
    assert(c, message)
    assert.equal(row.suite.name, c.session.suite)
    assert.equal(v[1], c.session.version)
    -- gnutls-cli 3.7 dies of these once the handshake is over, when it wants to print who the peer is; of gnutls-serv's, too
    if row.suite.kx ~= "dhe_psk" and row.suite.kx ~= "ecdhe_psk" then
      interop.talk(c, client)
      assert.truthy(client:log():find("Description: (TLS" .. v[1], 1, true), client:log())
      c:close()
    end
    client:stop()
  end

  for _, v in ipairs(versions) do interop.each_suite(all, v, function(row) speaks(row, v) end) end

  it("resumes by ticket and by id, in every version", function()
    for _, v in ipairs(versions) do
      for _, tickets in ipairs { true, false } do
        local context = akushu.server { identity = certs.rsa().identity, versions = v[1], profile = "compatible", security_level = 0, tickets = tickets }
        local client, c, message = meet(context, { priority = base(v[1]) .. everything, args = { "--resume" } })
        assert(c, message)
        assert.is_false(c.session.resumed)
        c:close()
        c, message = net.serve(listener, context:handshake {})
        assert(c, message)
        assert.is_true(c.session.resumed)
        interop.talk(c, client)
        assert.truthy(client:log():find("This is a resumed session", 1, true), client:log())
        c:close()
        client:stop()
      end
    end
  end)

  it("believes a client's certificate", function()
    for _, v in ipairs(versions) do
      for _, kind in ipairs { "rsa", "ecdsa" } do
        local mine = certs.leaf(kind, "client")
        local context = akushu.server { identity = certs.rsa().identity, versions = v[1], profile = "compatible", security_level = 0,
          client_auth = "require", trust = mine.trust }
        local client, c, message = meet(context, { priority = base(v[1]) .. everything, args = { "--x509certfile", mine.chain, "--x509keyfile", mine.key } })
        assert(c, message)
        assert.equal(mine.identity.chain[1], c.session.peer[1])
        interop.talk(c, client)
        c:close()
        client:stop()
      end
    end
  end)

  it("agrees on ALPN and staples, by gnutls-cli's own word, in every version", function()
    local id = interop.stapling()
    for _, v in ipairs(versions) do
      local context = interop.server_of(id, v[1], { alpn = { "two", "one" }, on_ocsp = function() return id.ocsp "good" end })
      local client, c, message = meet(context, { ca = id.ca, priority = base(v[1]) .. everything, args = { "--alpn", "one", "--alpn", "two" } })
      assert(c, message)
      assert.same({ "two", "localhost" }, { c.session.alpn, c.session.server_name })
      interop.talk(c, client)
      local log = client:log()
      assert.truthy(log:find("Application protocol: two", 1, true) and log:find("(TLS" .. v[1], 1, true), log)
      assert.truthy(log:find("OCSP status request", 1, true) or log:find("OCSP Response", 1, true), log)
      c:close()
      client:stop()
    end
  end)

  it("refuses a rehandshake and lives on", function()
    local context = akushu.server { identity = certs.rsa().identity, versions = "1.2", profile = "compatible" }
    local client, c, message = meet(context, { priority = base "1.2" .. everything, args = { "--rehandshake" } })
    assert(c, message)
    assert.is_true(c:answer()) -- our warning
    assert.truthy(client:wait_log "renegotiation", client:log())
    client:stop()
  end)
end)
