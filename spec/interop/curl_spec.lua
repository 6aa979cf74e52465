-- curl as the client, TLS 1.3 down to 1.0: of an akushu server in this process, and of examples/server.lua as it stands. What curl saw it says with --verbose.
--
-- What curl (7.88, with OpenSSL) has no way to: PSKs, 0-RTT, authentication after the handshake, to start a KeyUpdate (it follows ours), renegotiation,
-- max_fragment_length, record_size_limit, certificate compression, and to leave tickets out in TLS 1.2 (so that ids are met when the server has no tickets).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"
local socket = require "socket"

local server_of = interop.server_of
local protocols = { ["1.0"] = "TLSv1", ["1.1"] = "TLSv1.1", ["1.2"] = "TLSv1.2", ["1.3"] = "TLSv1.3" }

local function start_server(args)
  return peers.start_server(function(port)
    local words = interop.join({ "lua5.4", "examples/server.lua", "--listen", "127.0.0.1:" .. port }, args)
    words.env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }
    return words
  end, "listening on")
end

interop.describe("curl", { "curl", "openssl" }, function()
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function() listener:close() end)

  -- curl against akushu servers, one connection for each path; talk(c, hs, i) may do more before the answer. Returns what curl has said, and the last session.
  local function get(version, id, context, o, talk)
    local args = { "--verbose", "--no-keepalive", "--tlsv" .. version, "--tls-max", version, "--ciphers", o and o.ciphers or "ALL:@SECLEVEL=0" }
    for i = 2, o and o.connections or 1 do args[#args + 1] = ("https://localhost:%d/%d"):format(port, i) end
    local curl = peers.curl { port = port, ca = id.ca, args = interop.join(args, o and o.args) }
    local session
    for i = 1, o and o.connections or 1 do
      local hs = context:handshake {}
      local c, message = net.serve(listener, hs)
      assert(c, message)
      session = c.session
      local request, why = c:receive_until "\r\n\r\n"
      if not request then error(why .. ": " .. curl:stop():log()) end
      if talk then talk(c, hs, i) end
      assert(c:send "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
      c:close()
    end
    local code = curl:wait()
    local log = curl:stop():log()
    assert.equal(0, code, log)
    return log, session
  end

  -- Every suite of its libssl; a suite that akushu has not is named where openssl is met (openssl_tls12_spec.lua).
  local rows = peer_suites.filter(peer_suites.openssl(), function(s) return not peer_suites.needs_psk(s) end)
  for _, v in ipairs(interop.versions) do
    interop.each_suite(rows, v, function(row)
      local key = peer_suites.key(row.suite)
      local log, session = get(v[1], certs.leaf(key or "rsa"), akushu.server(interop.options("server", row.suite, v[1])),
        { ciphers = row.peer .. ":@SECLEVEL=0", args = not key and { "--insecure" } })
      assert.same({ v[1], row.suite.name }, { session.version, session.suite })
      assert.truthy(log:find(("SSL connection using %s / %s\n"):format(protocols[v[1]], row.peer), 1, true), log)
    end)
  end

  it("TLS 1.3: every suite, and groups by HelloRetryRequest", function()
    local id = certs.ecdsa()
    for _, suite in ipairs { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256" } do
      local log = get("1.3", id, server_of(id, "1.3", { suites = { suite } }), { args = { "--tls13-ciphers", suite } })
      assert.truthy(log:find("SSL connection using TLSv1.3 / " .. suite, 1, true), log)
    end
    for group, name in pairs { secp384r1 = "P-384", x448 = "X448" } do
      local _, session = get("1.3", id, server_of(id, "1.3", { groups = { group } }), { args = { "--curves", "X25519:" .. name } })
      assert.same({ group, true }, { session.group, session.hello_retry })
    end
  end)

  for _, version in ipairs { "1.3", "1.2", "1.1", "1.0" } do
    it("resumes by ticket and by id, TLS " .. version .. interop.slow(version), function()
      local id = certs.rsa()
      for _, tickets in ipairs(version == "1.3" and { true } or { true, false }) do
        local resumed = {}
        local log = get(version, id, server_of(id, version, { tickets = tickets }), { connections = 3 }, function(c, _, i) resumed[i] = c.session.resumed end)
        assert.same({ false, true, true }, resumed)
        local _, times = log:gsub("SSL re%-?using session ID", "")
        assert.equal(2, times, log)
      end
    end)

    it("authenticates, hears server names, agrees on ALPN, reads the stapled response, TLS " .. version .. interop.slow(version), function()
      local id = interop.stapling()
      for _, kind in ipairs { "rsa", "ecdsa" } do
        local mine = certs.leaf(kind, "client")
        local log, session = get(version, id, server_of(id, version, { client_auth = "require", trust = mine.trust, alpn = { "http/1.1" }, on_ocsp = function()
          return id.ocsp "good"
        end }), { args = { "--cert", mine.chain, "--key", mine.key, "--cert-status" } })
        assert.equal(mine.identity.chain[1], session.peer[1])
        assert.same({ "localhost", "http/1.1" }, { session.server_name, session.alpn })
        assert.truthy(log:find("ALPN: server accepted http/1.1", 1, true), log)
        assert.truthy(log:find("SSL certificate status: good (0)", 1, true), log)
        assert.truthy(log:find "SSL certificate verify ok", log)
      end
      local curl = peers.curl { port = port, ca = id.ca, args = { "--tlsv" .. version, "--tls-max", version, "--ciphers", "ALL:@SECLEVEL=0" } }
      local c, _, failure = net.serve(listener, server_of(id, version, { client_auth = "require", trust = id.trust }):handshake {})
      assert.is_nil(c)
      assert.equal(version == "1.3" and "certificate_required" or "certificate_required_12", failure.code)
      assert.is_true((curl:wait()) ~= 0)
      assert.truthy(curl:stop():log():find(version == "1.3" and "certificate required" or "handshake failure", 1, true), curl:log())
    end)
  end

  it("turns away from a revoked certificate, and from servers that staple nothing when it wants to know", function()
    local id = interop.stapling()
    for _, version in ipairs { "1.3", "1.2" } do
      for _, status in ipairs { "revoked", "none" } do
        local curl = peers.curl { port = port, ca = id.ca, args = { "--verbose", "--cert-status", "--tls-max", version } }
        local c = net.serve(listener, server_of(id, version, { on_ocsp = function() return status == "revoked" and id.ocsp "revoked" or nil end }):handshake {})
        if c then c:receive_all() end -- curl looks at it when the handshake is over
        assert.equal(91, curl:wait(), curl:log()) -- "invalid certificate status"
        assert.truthy(curl:stop():log():find(status == "revoked" and "SSL certificate status: revoked" or "No OCSP response received", 1, true), curl:log())
      end
    end
  end)

  it("TLS 1.3: follows our KeyUpdates and answers them", function()
    local id = certs.ecdsa()
    get("1.3", id, server_of(id, "1.3"), nil, function(c)
      for i = 1, 4 do interop.put(c, c.session:update_keys(i % 2 == 0)) end
    end)
  end)

  for _, version in ipairs { "1.3", "1.2" } do
  it("downloads a megabyte, with close_notify as its end, TLS " .. version, function()
    local id = certs.rsa()
    local body = ("0123456789abcdef"):rep(65536)
    local out = peers.tmpdir() .. "/body"
    local curl = peers.curl { port = port, ca = id.ca, args = { "--output", out } }
    local c, message = net.serve(listener, server_of(id, version):handshake {})
    assert(c, message)
    local request = assert(c:receive_until "\r\n\r\n")
    assert.truthy(request:match "^GET / HTTP/1.1\r\n")
    assert(c:send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" .. body)) -- no length: only a clean end says that all is there
    c:close()
    assert.equal(0, curl:wait(), curl:log())
    assert.equal(body, peers.read_file(out))
    curl:stop()
  end)

  it("uploads a megabyte, TLS " .. version, function()
    local id = certs.rsa()
    local body = ("fedcba9876543210"):rep(65536)
    local file = peers.tmpfile(body)
    local curl = peers.curl { port = port, ca = id.ca, args = { "--data-binary", "@" .. file, "-H", "Expect:" } }
    local c, message = net.serve(listener, server_of(id, version):handshake {})
    assert(c, message)
    local request = assert(c:receive_until "\r\n\r\n")
    assert.equal(#body, tonumber(request:match "[Cc]ontent%-[Ll]ength: (%d+)"))
    assert.equal(body, assert(c:receive(#body)))
    assert(c:send "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
    c:close()
    assert.equal(0, curl:wait(), curl:log())
    assert.equal("fine", curl:stop():log())
  end)
  end

  describe("and examples/server.lua --www", function()
    local server, id
    setup(function()
      id = certs.rsa()
      server = start_server { "--www", "--profile", "compatible", "--chain", id.chain, "--key", id.key }
    end)
    teardown(function() server:stop() end)

    local function fetch(args)
      local curl = peers.curl { port = server.port, ca = id.ca, args = args }
      local code = curl:wait()
      return code, curl:stop():log()
    end

    it("reads on its page what the connection is", function()
      for version, suite in pairs { ["1.3"] = "TLS_AES_256_GCM_SHA384", ["1.2"] = "TLS_RSA_WITH_AES_128_CBC_SHA256" } do
        local code, page = fetch(version == "1.3" and { "--tls13-ciphers", suite } or { "--tls-max", "1.2", "--ciphers", "AES128-SHA256" })
        assert.equal(0, code, page)
        assert.truthy(page:find("<td>" .. suite .. "</td>", 1, true) and page:find("<td>localhost</td>", 1, true), page)
      end
    end)

    it("serves many at once while others sit silent", function()
      local silent, curls = {}, {}
      for i = 1, 10 do silent[i] = assert(socket.connect("127.0.0.1", server.port)) end
      for i = 1, 10 do curls[i] = peers.curl { port = server.port, ca = id.ca } end
      for i = 1, 10 do
        assert.equal(0, curls[i]:wait())
        assert.truthy(curls[i]:log():find("</html>", 1, true))
        curls[i]:stop()
      end
      for i = 1, 10 do silent[i]:close() end
    end)

    it("survives garbage, plain HTTP and clients that vanish", function()
      for _, text in ipairs { ("\255"):rep(3000), "GET / HTTP/1.0\r\n\r\n", "\22\3\1\255\255", "\22", "" } do
        local s = assert(socket.connect("127.0.0.1", server.port))
        s:settimeout(peers.patience)
        s:send(text)
        if text:match "^GET" or text:byte() == 255 then
          local answer, err = s:receive "*a" -- an alert where there is one, else just the end: not a wait
          assert.truthy(answer or err == "closed", err)
        end
        s:close()
      end
      assert.equal(0, (fetch {}))
    end)

    it("says where the CA is when it makes its own identity", function()
      local own = start_server { "--www", "--profile", "compatible" }
      local ca = own:wait_log "its CA is in (%S+)\n"
      assert.is_string(ca)
      local curl = peers.curl { port = own.port, ca = ca }
      assert.equal(0, curl:wait(), curl:log())
      curl:stop()
      own:stop()
      os.remove(ca)
    end)

    it("is refused by curl when the certificate is expired, self-signed or for another host", function()
      -- curl looks at the chain in the handshake, and at the name when that is over.
      for _, case in ipairs { { certs.rsa "expired", "alert" }, { certs.self_signed(), "alert" }, { certs.rsa "wrong_host", "handshake" } } do
        local bad = start_server { "--www", "--profile", "compatible", "--chain", case[1].chain, "--key", case[1].key }
        local curl = peers.curl { port = bad.port, ca = certs.rsa().ca }
        assert.equal(60, curl:wait(), curl:log()) -- "peer certificate cannot be authenticated"
        curl:stop()
        assert.truthy(bad:wait_log(case[2]), bad:log())
        bad:stop()
      end
    end)
  end)
end)
