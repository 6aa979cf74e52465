-- OpenSSL's s_server and s_client over loopback, both ways, TLS 1.3.
--
-- What OpenSSL 3.0 has no way to: record_size_limit and certificate compression. Newer ones are met by tools/try-hybrids (CONTRIBUTING.md).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"

local suites = {
  "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256",
}
local all_suites = table.concat(suites, ":")
local groups = { x25519 = "X25519", x448 = "X448", secp256r1 = "P-256", secp384r1 = "P-384", secp521r1 = "P-521", ffdhe2048 = "ffdhe2048",
  ffdhe3072 = "ffdhe3072" }
local kinds = { "rsa", "ecdsa", "ec:secp384r1", "ec:secp521r1", "ed25519", "ed448", "rsa-pss:2048" }

local merge, put = interop.merge, interop.put

local function client_context(id, more) return akushu.client(merge({ trust = id.trust, versions = "1.3", suites = suites }, more or {})) end
local function server_context(id, more) return akushu.server(merge({ identity = id.identity, versions = "1.3", suites = suites },
  more or {})) end

-- A connection of an akushu client; o.early: 0-RTT data.
local function dial(server, context, o) return interop.dial(server.port, context, o) end

local function reversed(c, text)
  assert(c:send(text .. "\n"))
  assert.equal(text:reverse() .. "\n", assert(c:receive_until "\n"))
end

-- A letter that is a command to s_server; then words both ways.
local function ordered(server, letter, c)
  server:write(letter .. "\n")
  assert(c:answer()) -- it takes what it reads at once for one command
  server:write "from the server\n"
  assert.equal("from the server\n", assert(c:receive_until "\n"))
  assert(c:send "from the client\n")
  assert.truthy(server:wait_log("from the client"), server:log())
end

interop.describe("TLS 1.3: an akushu client and openssl s_server", { "openssl" }, function()
  local server, id
  setup(function()
    id = certs.ecdsa()
    server = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_3", "-ciphersuites", all_suites, "-rev",
      "-groups", "X25519:X448:P-256:P-384:P-521:ffdhe2048:ffdhe3072" } }
  end)
  teardown(function() server:stop() end)

  for _, suite in ipairs(suites) do
    it("speaks " .. suite .. ", and resumes", function()
      local context = client_context(id, { suites = { suite } })
      local c = dial(server, context)
      assert.equal("1.3", c.session.version)
      assert.equal(suite, c.session.suite)
      reversed(c, "one for all")
      local first, second = assert(c.session:resumption()), assert(c.session:resumption())
      c:close()
      for _, session in ipairs { first, assert(akushu.resumption(second:serialize())) } do
        c = dial(server, context, { session = session })
        assert.is_true(c.session.resumed)
        reversed(c, "all for one")
        c:close()
      end
    end)
  end

  for group in pairs(groups) do
    it("agrees on " .. group, function()
      local c = dial(server, client_context(id, { groups = { group } }))
      assert.equal(group, c.session.group)
      reversed(c, "group")
      c:close()
    end)
  end

  for _, kind in ipairs(kinds) do
    it("believes a certificate for " .. kind, function()
      local leaf = certs.leaf(kind)
      local other = peers.openssl_server { chain = leaf.chain, key = leaf.key, args = { "-tls1_3", "-rev" } }
      local c = dial(other, client_context(leaf))
      reversed(c, "signed")
      c:close()
      other:stop()
    end)
  end

  it("answers a HelloRetryRequest, also when it resumes", function()
    local other = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_3", "-rev", "-groups", "P-384" } }
    local context, session = client_context(id), nil
    for round = 1, 2 do
      local c = dial(other, context, { session = session })
      assert.is_true(c.session.hello_retry)
      assert.equal("secp384r1", c.session.group)
      assert.equal(round == 2, c.session.resumed)
      reversed(c, "again")
      session = c.session:resumption()
      c:close()
    end
    other:stop()
  end)

  it("shows a certificate when it is asked, of every kind", function()
    for _, kind in ipairs(kinds) do
      local mine = certs.leaf(kind, "client")
      local other = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_3", "-rev", "-Verify", "5", "-CAfile", mine.ca,
        "-verify_return_error" } }
      local c = dial(other, client_context(id, { identity = mine.identity }))
      reversed(c, "it is me")
      c:close()
      other:stop()
    end
  end)

  it("changes its keys, and follows when the server does", function()
    local c = dial(server, client_context(id))
    for i = 1, 4 do
      put(c, assert(c.session:update_keys(i % 2 == 0))) -- asked for every second time: s_server's KeyUpdate comes with its answer
      reversed(c, "new keys")
    end
    c:close()
    local asking = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_3" }, pipe = true }
    c = dial(asking, client_context(id))
    ordered(asking, "K", c)
    c:close()
    asking:stop()
  end)

  -- Early data with a session of the connection before it, to a server that is started with these arguments and knows what to think of it.
  local function early_data(args, check)
    local other = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_3", "-early_data", table.unpack(args) }, pipe = true }
    local context, began = client_context(id), socket.gettime()
    local c = dial(other, context)
    other:write "hello\n"
    assert.equal("hello\n", assert(c:receive_until "\n"))
    local session = assert(c.session:resumption())
    c:close()
    c = dial(other, context, { session = session, early = "early words\n" })
    check(session, c.session, began)
    assert(c:send "later words\n")
    assert.truthy(other:wait_log("later words"), other:log())
    c:close()
    other:stop()
    return other:log():find("early words", 1, true) ~= nil, c.session.early_data
  end

  it("sends early data, which is taken", function()
    local heard, early = early_data({ "-max_early_data", "16384" }, function(session, now, began)
      assert.equal(16384, session.max_early_data)
      assert(interop.takes_early(now, began))
    end)
    assert.equal(early == "accepted", heard)
  end)

  it("sends early data, which is refused", function()
    assert.is_false(early_data({ "-groups", "P-384" }, function(_, now)
      assert.equal("refused", now.early_data) -- a HelloRetryRequest
      assert.is_true(now.hello_retry)
    end))
  end)

  for _, mode in ipairs { "psk_dhe_ke", "psk_ke" } do
    it("has a pre-shared key: " .. mode, function()
      local other = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_3", "-rev", "-psk", ("61"):rep(32),
        "-psk_identity", "me",
        "-allow_no_dhe_kex" } }
      local context = client_context(id, { psk = { { identity = "me", key = ("a"):rep(32) } }, psk_modes = mode })
      local c = dial(other, context)
      assert.is_nil(c.session.peer)
      assert.equal(mode == "psk_ke", c.session.group == nil)
      reversed(c, "shared")
      c:close()
      local hs = client_context(id, { psk = { { identity = "me", key = ("b"):rep(32) } } }):handshake { server_name = "localhost" }
      local refused, _, failure = net.client(other.port, hs)
      assert.is_nil(refused)
      assert.equal("peer", failure.origin)
      other:stop()
    end)
  end

  it("shows its certificate when it is asked after the handshake", function()
    local mine = certs.leaf("ecdsa", "client")
    local asking = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_3", "-verify", "5", "-CAfile", mine.ca },
      pipe = true }
    local c = dial(asking, client_context(id, { identity = mine.identity, post_handshake_auth = true }))
    ordered(asking, "c", c)
    assert.truthy(asking:log():find("CN ?= ?", 1) or asking:log():find("depth=0", 1, true), asking:log())
    c:close()
    asking:stop()
  end)

  it("agrees on ALPN, says its server name, reads the stapled OCSP response", function()
    local stapled = interop.stapling()
    local response = stapled.ocsp "good"
    local other = peers.openssl_server { chain = stapled.chain, key = stapled.key, pipe = true, args = { "-tls1_3", "-alpn", "one,two", "-servername", "other.example", "-cert2",
      stapled.chain, "-key2", stapled.key, "-status_file", peers.tmpfile(response, "ocsp.der") } }
    local c = dial(other, client_context(stapled, { alpn = { "two", "one" }, ocsp = true }))
    assert.same({ "one", response }, { c.session.alpn, c.session.ocsp_response })
    assert(other:wait_log("ALPN protocols selected: one"), other:log())
    assert(other:wait_log("Hostname in TLS extension: \"localhost\""), other:log())
    c:close()
    other:stop()
  end)

  it("does without compatibility mode", function()
    local c = dial(server, client_context(id, { middlebox_compat = false }))
    reversed(c, "plain")
    c:close()
  end)

  it("exports the same bytes", function()
    local other = peers.openssl_server { chain = id.chain, key = id.key, args = { "-tls1_3", "-keymatexport", "EXPORTER-spec",
      "-keymatexportlen", "20" }, pipe = true }
    local c = dial(other, client_context(id))
    local hex = c.session:export("EXPORTER-spec", nil, 20):gsub(".", function(b) return ("%02X"):format(b:byte()) end)
    assert.equal(hex, (other:wait_log "Keying material: (%x+)\n"))
    c:close()
    other:stop()
  end)
end)

interop.describe("TLS 1.3: an akushu server and openssl s_client", { "openssl" }, function()
  -- One connection: s_client with `input`; talk(connection) is the server's part. Returns the client's process, ended.
  local function serve(context, id, args, talk, o)
    o = o or {}
    local listener, port = net.listen()
    local words = { "-tls1_3" }
    for _, a in ipairs(args) do words[#words + 1] = a end
    local client = peers.openssl_client { port = port, ca = id.ca, args = words, pipe = true }
    local hs = context:handshake {}
    local c, message, failure = net.serve(listener, hs)
    listener:close()
    if o.fails then
      assert.is_nil(c)
      client:wait()
      client:stop()
      return failure, client:log()
    end
    assert(c, message)
    talk(c, client, hs)
    c:close()
    client:wait()
    client:stop()
    return c, client:log()
  end

  local function echo(c, client)
    client:write "hello akushu\n"
    assert.equal("hello akushu\n", assert(c:receive_until "\n"))
    assert(c:send "hello openssl\n")
    assert.truthy(client:wait_log("hello openssl"), client:log())
  end

  for _, suite in ipairs(suites) do
    it("speaks " .. suite, function()
      local id = certs.ecdsa()
      local c, log = serve(server_context(id, { alpn = { "two", "one" } }), id, { "-ciphersuites", suite, "-alpn", "one,two" }, echo)
      assert.same({ suite, "two", "localhost" }, { c.session.suite, c.session.alpn, c.session.server_name })
      assert.truthy(log:find("New, TLSv1.3, Cipher is " .. suite, 1, true) and log:find("ALPN protocol: two", 1, true), log)
    end)
  end

  for group, name in pairs(groups) do
    it("agrees on " .. group, function()
      local id = certs.ecdsa()
      local c = serve(server_context(id, { groups = { group } }), id, { "-groups", name }, echo)
      assert.equal(group, c.session.group)
    end)
  end

  for _, kind in ipairs(kinds) do
    it("shows a certificate for " .. kind, function()
      local id = certs.leaf(kind)
      serve(server_context(id), id, {}, echo)
    end)

    it("believes a client's certificate for " .. kind, function()
      local id, mine = certs.ecdsa(), certs.leaf(kind, "client")
      local c = serve(server_context(id, { trust = mine.trust, client_auth = "require" }), id, { "-cert", mine.chain, "-cert_chain",
        mine.chain, "-key", mine.key }, echo)
      assert.is_truthy(c.session.peer)
    end)
  end

  it("ends with certificate_required when there is none", function()
    local id, mine = certs.ecdsa(), certs.leaf("ecdsa", "client")
    local failure, log = serve(server_context(id, { trust = mine.trust, client_auth = "require" }), id, {}, nil, { fails = true })
    assert.equal("certificate_required", failure.code)
    assert.truthy(log:find("certificate required", 1, true), log)
  end)

  it("asks again for another share", function()
    local id = certs.ecdsa()
    for _, cookie in ipairs { false, true } do
      local c = serve(server_context(id, { groups = { "secp384r1" }, cookie = cookie }), id, { "-groups", "X25519:P-384" }, echo)
      assert.is_true(c.session.hello_retry)
    end
  end)

  it("resumes, takes early data once, and refuses it", function()
    local id = certs.ecdsa()
    local context = server_context(id, { early_data = 16384, early_data_window = 1000 })
    local kept = peers.tmpdir() .. "/session"
    local early = peers.tmpfile "early words\n"
    serve(context, id, { "-sess_out", kept }, echo)
    local c, log = serve(context, id, { "-sess_in", kept, "-early_data", early }, function(c, client, hs)
      assert.equal("accepted", hs.early_data)
      assert.equal("early words\n", hs:take_early_data())
      echo(c, client)
    end)
    assert.is_true(c.session.resumed)
    assert.truthy(log:find("Reused, TLSv1.3", 1, true), log)
    assert.truthy(log:find("Early data was accepted", 1, true), log)
    c, log = serve(server_context(id, { groups = { "secp521r1" }, ticket_keys = context:ticket_keys():reveal() }), id,
      { "-sess_in", kept, "-early_data", early }, function(c2, client, hs)
        assert.equal("refused", hs.early_data)
        assert.equal("", hs:take_early_data())
        echo(c2, client)
      end)
    assert.is_true(c.session.hello_retry)
    assert.truthy(log:find("Early data was rejected", 1, true), log)
  end)

  it("staples an OCSP response to who asks with -status", function()
    local stapled = interop.stapling()
    local _, log = serve(server_context(stapled, { on_ocsp = function() return stapled.ocsp "good" end }), stapled, { "-status" }, echo)
    assert.truthy(log:find("Cert Status: good", 1, true), log)
  end)

  it("changes its keys, and follows when the client does", function()
    local id = certs.ecdsa()
    serve(server_context(id), id, {}, function(c, client)
      for i = 1, 3 do
        put(c, assert(c.session:update_keys(i == 2)))
        echo(c, client)
      end
      client:write "K\n" -- s_client: a KeyUpdate that asks for one; what it reads at once is one command
      assert(c:answer())
      echo(c, client)
    end)
  end)

  it("asks for a certificate after the handshake, and again", function()
    local id, mine = certs.ecdsa(), certs.leaf("rsa", "client")
    serve(server_context(id, { trust = mine.trust, post_handshake_auth = true }), id,
      { "-enable_pha", "-cert", mine.chain, "-cert_chain", mine.chain, "-key", mine.key }, function(c, client)
        assert.is_nil(c.session.peer)
        for _ = 1, 2 do
          put(c, assert(c.session:request_certificate()))
          echo(c, client)
          assert.is_truthy(c.session.peer)
        end
      end)
  end)

  it("knows a pre-shared key, by itself or by its application", function()
    local id = certs.ecdsa()
    local psk = { "-psk", ("61"):rep(32), "-psk_identity", "me" }
    local c = serve(server_context(id, { psk = { { identity = "me", key = ("a"):rep(32) } } }), id, psk, echo)
    assert.is_nil(c.session.peer)
    local asked
    serve(server_context(id, { on_psk = function(identity)
      asked = identity
      return ("a"):rep(32)
    end }), id, psk, echo)
    assert.equal("me", asked)
    local failure = serve(server_context(id, { psk = { { identity = "me", key = ("b"):rep(32) } } }), id, psk, nil, { fails = true })
    assert.equal("bad_binder", failure.code)
  end)

  it("is right about a megabyte each way, with small records and large ones", function()
    local id = certs.ecdsa()
    local line = ("m"):rep(1023) .. "\n"
    for _, fragment in ipairs { 1000, 16384 } do
      serve(server_context(id, { max_fragment = fragment, record_size_limit = 2000 }), id, {}, function(c, client)
        for _ = 1, 64 do assert(c:send(line:rep(16))) end
        assert(c:send "end of all\n")
        assert.truthy(client:wait_log("end of all"))
        for _ = 1, 64 do -- in pieces, so that neither side waits for the other with its pipe full
          client:write(line:rep(16))
          assert.equal(16384, #assert(c:receive(16384)))
        end
      end)
    end
  end)
end)
