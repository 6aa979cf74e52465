-- GnuTLS's gnutls-serv and gnutls-cli over loopback, both ways, TLS 1.3.
--
-- What the tools have no way to: authentication after the handshake asked for by gnutls-serv (gnutls-cli answers it), to start a KeyUpdate in gnutls-serv
-- (gnutls-cli does, and both follow ours). Debian 12 builds GnuTLS without the libraries for certificate compression; where they are there, they are met.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"

local dial, put = interop.dial, interop.put
local function client_context(id, more) return interop.client_of(id, "1.3", more) end
local function server_context(id, more) return interop.server_of(id, "1.3", more) end

local psk_words = { "--pskusername", interop.psk.identity, "--pskkey", interop.psk_hex }
local only13 = "NORMAL:-VERS-ALL:+VERS-TLS1.3"

interop.describe("TLS 1.3: an akushu client and gnutls-serv", { "gnutls-serv" }, function()
  local function echo(c, text)
    assert(c:send(text .. "\n"))
    assert.equal(text .. "\n", assert(c:receive_until "\n"))
  end

  for suite, cipher in pairs { TLS_AES_128_GCM_SHA256 = "AES-128-GCM", TLS_AES_256_GCM_SHA384 = "AES-256-GCM",
    TLS_CHACHA20_POLY1305_SHA256 = "CHACHA20-POLY1305", TLS_AES_128_CCM_SHA256 = "AES-128-CCM",
      TLS_AES_128_CCM_8_SHA256 = "AES-128-CCM-8" } do
    it("speaks " .. suite .. ", resumes, changes keys", function()
      local id = certs.ecdsa()
      local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13 .. ":-CIPHER-ALL:+" .. cipher,
        args = { "--echo" } }
      local context, session = client_context(id, { suites = { suite } }), nil
      for round = 1, 2 do
        local c = dial(server.port, context, { session = session })
        assert.equal(suite, c.session.suite)
        assert.equal(round == 2, c.session.resumed)
        echo(c, "one for all")
        for i = 1, 4 do
          put(c, assert(c.session:update_keys(i % 2 == 0)))
          echo(c, "new keys")
        end
        session = assert(c.session:resumption())
        c:close()
      end
      server:stop()
    end)
  end

  it("agrees on every group, asked for at once and by HelloRetryRequest", function()
    local id = certs.rsa()
    for group, name in pairs { x25519 = "X25519", x448 = "X448", secp256r1 = "SECP256R1", secp384r1 = "SECP384R1", secp521r1 = "SECP521R1",
      ffdhe2048 = "FFDHE2048" } do
      local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13 .. ":-GROUP-ALL:+GROUP-" .. name,
        args = { "--echo" } }
      for _, first in ipairs { group, group == "x25519" and "secp256r1" or "x25519" } do
        local c = dial(server.port, client_context(id, { key_shares = { first } }))
        assert.equal(group, c.session.group)
        assert.equal(first ~= group, c.session.hello_retry)
        echo(c, "group")
        c:close()
      end
      server:stop()
    end
  end)

  it("keeps to its record size limit, and it to ours (RFC 8449)", function()
    local id = certs.ecdsa()
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13, args = { "--echo", "--recordsize=600" } }
    local c = dial(server.port, client_context(id, { record_size_limit = 512 }))
    local longest = interop.longest_record(c)
    echo(c, ("r"):rep(3000))
    assert.equal(512 + 16, longest())
    c:close()
    server:stop()
  end)

  it("sends early data, which is taken #slow", function()
    local id = certs.ecdsa()
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13, args = { "--echo", "--earlydata",
      "--maxearlydata=1000" } }
    socket.sleep(2.1) -- it takes no early data of tickets that look older than itself
    local context, began = client_context(id), socket.gettime()
    local c = dial(server.port, context)
    echo(c, "first")
    local session = assert(c.session:resumption())
    assert.equal(1000, session.max_early_data)
    c:close()
    c = dial(server.port, context, { session = session, early = "early words\n" })
    assert(interop.takes_early(c.session, began))
    echo(c, "later")
    c:close()
    server:stop()
  end)

  it("has an external PSK", function()
    local id = certs.ecdsa()
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13 .. ":+ECDHE-PSK:+PSK", args = { "--echo", "--pskpasswd",
      peers.tmpfile(interop.psk.identity .. ":" .. interop.psk_hex .. "\n", "psk") } }
    for _, mode in ipairs { "psk_dhe_ke", "psk_ke" } do
      local c = dial(server.port, client_context(id, { psk = interop.psk, psk_modes = mode }))
      assert.is_nil(c.session.peer)
      assert.equal(mode == "psk_ke", c.session.group == nil)
      echo(c, "between us")
      c:close()
    end
    assert.equal("peer", interop.refused(server.port, client_context(id, { psk = { identity = interop.psk.identity, key = ("x"):rep(32) } })).origin)
    server:stop()
  end)

  it("agrees on ALPN, and reads a stapled OCSP response", function()
    local id = interop.stapling()
    local response = id.ocsp "good"
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13, args = { "--http", "--alpn", "one", "--alpn", "two",
      "--ocsp-response", peers.tmpfile(response, "ocsp.der") } }
    local c = dial(server.port, client_context(id, { alpn = { "two" }, ocsp = true }))
    assert.same({ "two", response }, { c.session.alpn, c.session.ocsp_response })
    assert(c:send "GET / HTTP/1.0\r\n\r\n")
    local page = assert(c:receive_until "</HTML>") -- what gnutls-serv says that the connection is
    assert.truthy(page:find("TLS1.3", 1, true) and page:find("AES-", 1, true), page)
    c:close()
    server:stop()
  end)

  it("shows a certificate when it is asked", function()
    local id = certs.ecdsa()
    for _, kind in ipairs { "rsa", "ecdsa", "ed25519" } do
      local mine = certs.leaf(kind, "client")
      local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13, args = { "--echo", "--require-client-cert",
        "--verify-client-cert",
        "--x509cafile", mine.ca } }
      local c = dial(server.port, client_context(id, { identity = mine.identity }))
      echo(c, "it is me")
      c:close()
      server:stop()
    end
  end)
end)

interop.describe("TLS 1.3: an akushu server and gnutls-cli", { "gnutls-cli" }, function()
  local function serve(context, id, args, talk, connections, priority)
    local listener, port = net.listen()
    local client = peers.gnutls_client { port = port, ca = id.ca, priority = priority or only13, args = args, pipe = true }
    for i = 1, connections or 1 do
      local hs = context:handshake {}
      local c, message = net.serve(listener, hs)
      assert(c, message or client:log())
      talk(c, client, hs, i)
      c:close()
    end
    client:finish_input()
    client:wait()
    client:stop()
    listener:close()
    return client:log()
  end

  local words = 0
  local function echo(c, client) -- each time something else
    words = words + 1
    client:write "hello akushu\n"
    assert.equal("hello akushu\n", assert(c:receive_until "\n"))
    assert(c:send(("hello gnutls, %d.\n"):format(words)))
    assert.truthy(client:wait_log(("hello gnutls, %d."):format(words)), client:log())
  end

  it("talks, changes keys, both ways", function()
    local id = certs.ecdsa()
    serve(server_context(id), id, { "--inline-commands" }, function(c, client)
      echo(c, client)
      put(c, assert(c.session:update_keys(true)))
      echo(c, client)
      client:write "^rekey^\n" -- a KeyUpdate of the client's
      assert.truthy(client:wait_log("[Rr]ekey"), client:log())
      echo(c, client)
    end)
  end)

  for suite, cipher in pairs { TLS_AES_128_GCM_SHA256 = "AES-128-GCM", TLS_AES_256_GCM_SHA384 = "AES-256-GCM",
    TLS_CHACHA20_POLY1305_SHA256 = "CHACHA20-POLY1305", TLS_AES_128_CCM_SHA256 = "AES-128-CCM", TLS_AES_128_CCM_8_SHA256 = "AES-128-CCM-8" } do
    it("speaks " .. suite .. ", resumes, asks for another share, agrees on ALPN, staples", function()
      local id = interop.stapling()
      local context = server_context(id, { suites = { suite }, groups = { "secp384r1" }, alpn = { "two" }, on_ocsp = function() return id.ocsp "good" end })
      local log = serve(context, id, { "--resume", "--waitresumption", "--single-key-share", "--alpn", "one", "--alpn", "two" }, function(c, client, _, i)
        assert.same({ suite, i == 2, true, "two", "localhost" }, { c.session.suite, c.session.resumed, c.session.hello_retry, c.session.alpn, c.session.server_name })
        if i == 2 then echo(c, client) end
      end, 2, "NONE:+VERS-TLS1.3:+SIGN-ALL:+AEAD:+GROUP-X25519:+GROUP-SECP384R1:+" .. cipher)
      assert.truthy(log:find("(" .. cipher .. ")", 1, true) and log:find("Description: (TLS1.3", 1, true), log)
      assert.truthy(log:find("This is a resumed session", 1, true), log)
      assert.truthy(log:find("Application protocol: two", 1, true), log)
      assert.truthy(log:find("OCSP status request", 1, true), log)
    end)
  end

  it("shows its certificate when it is asked after the handshake", function()
    local id, mine = certs.ecdsa(), certs.leaf("rsa", "client")
    serve(server_context(id, { trust = mine.trust, post_handshake_auth = true }), id, { "--post-handshake-auth", "--x509certfile", mine.chain, "--x509keyfile",
      mine.key }, function(c, client)
      echo(c, client)
      assert.is_nil(c.session.peer)
      put(c, c.session:request_certificate())
      while not c.session.peer do assert.is_true(c:more()) end
      assert.equal(mine.identity.chain[1], c.session.peer[1])
      echo(c, client)
    end)
  end)

  it("has an external PSK", function()
    local id = certs.ecdsa()
    for mode, kx in pairs { psk_dhe_ke = "ECDHE-PSK", psk_ke = "PSK" } do
      serve(server_context(id, { psk = interop.psk, psk_modes = mode }), id, psk_words, function(c, client)
        assert.is_nil(c.session.peer)
        assert.equal(mode == "psk_ke", c.session.group == nil)
        echo(c, client)
      end, 1, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+" .. kx)
    end
  end)

  for _, algorithm in ipairs { "zlib", "brotli", "zstd" } do
    it("reads a certificate compressed with " .. algorithm, function()
      if not akushu.supports("certificate_compression", algorithm) then return pending(algorithm .. "'s library is not installed") end
      local id, listener, port = certs.ecdsa(), net.listen()
      local client = peers.gnutls_client { port = port, ca = id.ca, priority = only13, args = { "--compress-cert=" .. algorithm }, pipe = true }
      local hs, offered, sent = server_context(id, { certificate_compression = { algorithm } }):handshake {}, false, nil
      hs:on("receive", "client_hello", function(msg) offered = msg.extensions:find "compress_certificate" ~= nil end)
      hs:on("send", "*", function(_, ev) sent = ev.name == "compressed_certificate" or sent end)
      local c = net.serve(listener, hs)
      if c then echo(c, client) end
      client:stop()
      listener:close()
      if not offered then return pending("this GnuTLS is built without " .. algorithm) end
      assert.is_true(c ~= nil and sent)
    end)
  end

  it("resumes, with early data", function()
    local id = certs.ecdsa()
    local early = peers.tmpfile "early words\n"
    serve(server_context(id, { early_data = 1000, early_data_window = 1000 }), id, { "--resume", "--waitresumption", "--earlydata=" .. early }, function(c, client,
      hs, i)
      assert.equal(i == 2, c.session.resumed)
      if i == 1 then return end
      assert.equal("accepted", hs.early_data)
      assert.equal("early words\n", hs:take_early_data())
      echo(c, client)
    end, 2)
  end)

  it("shows a certificate, keeps to a record size", function()
    local id, mine = certs.ecdsa(), certs.leaf("rsa", "client")
    serve(server_context(id, { trust = mine.trust, client_auth = "require", record_size_limit = 600 }), id,
      { "--x509certfile", mine.chain, "--x509keyfile", mine.key, "--recordsize=600" }, function(c, client)
        assert.is_truthy(c.session.peer)
        echo(c, client)
        assert(c:send(("y"):rep(3000) .. "\n"))
        assert.truthy(client:wait_log(("y"):rep(3000)))
      end)
  end)
end)
