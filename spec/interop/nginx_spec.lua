-- nginx as the server, TLS 1.3 down to 1.0: of akushu clients in this process, and of examples/client.lua as it stands. What nginx saw it says in the headers
-- of its answers.
--
-- What nginx (1.22) has no way to: PSK suites, authentication after the handshake, to start a KeyUpdate (it follows ours) or a renegotiation,
-- max_fragment_length in its log (libssl grants it), record_size_limit and certificate compression (libssl 3.0 has neither).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"
local socket = require "socket"

local client_of, get = interop.client_of, interop.get
local body = ("nginx has this many bytes for you\n"):rep(32768) -- a bit over a megabyte
local all_versions = { "1.3", "1.2", "1.1", "1.0" }
local protocols = { ["1.0"] = "TLSv1", ["1.1"] = "TLSv1.1", ["1.2"] = "TLSv1.2", ["1.3"] = "TLSv1.3" }

local headers = "add_header Suite $ssl_cipher; add_header Version $ssl_protocol; add_header Reused $ssl_session_reused; add_header Name $ssl_server_name; " ..
  "add_header Early $ssl_early_data; add_header Seen $ssl_client_s_dn; add_header Verified $ssl_client_verify;"

-- What an answer says in these headers.
local function seen(answer)
  assert.equal("200", answer:match "^HTTP/1.1 (%d+)")
  local out = {}
  for name, value in answer:gmatch "\r\n(%a+): ([^\r]*)" do out[name] = value end
  return out
end

interop.describe("nginx", { "nginx", "openssl" }, function()
  local function start(id, version, o)
    o = o or {}
    return peers.nginx { chain = id.chain, key = id.key, listen = o.listen, http = "ssl_session_cache shared:akushu:1m;" .. (o.http or ""),
      server = ("ssl_protocols %s; ssl_ciphers ALL:COMPLEMENTOFALL:@SECLEVEL=0; ssl_dhparam %s; dav_methods PUT; %s %s"):format(
        version and protocols[version] or "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", interop.dh_params(), headers, o.server or ""),
      files = { ["index.html"] = "hello from nginx", big = body } }
  end

  local rows = peer_suites.filter(peer_suites.openssl(), function(s) return not peer_suites.needs_psk(s) end)

  local server, other
  setup(function()
    local rsa, ecdsa = certs.rsa(), certs.ecdsa()
    server = start(rsa, nil, { server = ("ssl_certificate %s; ssl_certificate_key %s; ssl_session_tickets off;"):format(ecdsa.chain, ecdsa.key) })
    other = start(rsa, nil, { server = "ssl_early_data on;" })
  end)
  teardown(function()
    server:stop()
    other:stop()
  end)

  -- Every suite of its libssl; a suite that akushu has not is named where openssl is met (openssl_tls12_spec.lua).
  for _, v in ipairs(interop.versions) do
    interop.each_suite(rows, v, function(row)
      local c = interop.dial(server.port, akushu.client(interop.options("client", row.suite, v[1])))
      assert.same({ v[1], row.suite.name }, { c.session.version, c.session.suite })
      local said = seen(get(c))
      assert.same({ row.peer, protocols[v[1]] }, { said.Suite, said.Version })
      c:close()
    end)
  end

  it("TLS 1.3: every suite that it has, and every group", function()
    for _, suite in ipairs { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256" } do
      local c = interop.dial(server.port, client_of(certs.ecdsa(), "1.3", { suites = { suite } }))
      local said = seen(get(c))
      assert.same({ suite, "TLSv1.3" }, { said.Suite, said.Version })
      c:close()
    end
    local asking = start(certs.ecdsa(), "1.3", { server = "ssl_ecdh_curve secp384r1;" })
    local context, resumption = client_of(certs.ecdsa(), "1.3"), nil
    for round = 1, 2 do
      local c = interop.dial(asking.port, context, { session = resumption })
      assert.same({ "secp384r1", true, round == 2 }, { c.session.group, c.session.hello_retry, c.session.resumed })
      assert.equal(round == 2 and "r" or ".", seen(get(c)).Reused)
      resumption = c.session:resumption()
      c:close()
    end
    asking:stop()
  end)

  for _, version in ipairs(all_versions) do
    it("resumes by ticket and by id, and hears server names, TLS " .. version .. interop.slow(version), function()
      for _, tickets in ipairs { true, false } do
        -- without tickets in TLS 1.3 nginx's tickets hold an id of its cache
        local to, id = tickets and other or server, certs.rsa()
        local context, resumption = client_of(id, version, version ~= "1.3" and { suites = { "TLS_DHE_RSA_WITH_AES_128_CBC_SHA" } } or { schemes = { "rsa_pss_rsae_sha256" },
          cert_schemes = { "rsa_pkcs1_sha256" } }), nil
        for round = 1, 3 do
          local c = interop.dial(to.port, context, { session = resumption })
          assert.equal(round > 1, c.session.resumed)
          local said = seen(get(c))
          assert.same({ round > 1 and "r" or ".", "localhost" }, { said.Reused, said.Name })
          resumption = assert(c.session:resumption())
          if version ~= "1.3" then assert.equal(tickets and "ticket" or "session_id", resumption.kind) end
          c:close()
        end
      end
    end)

    it("authenticates clients, and staples, TLS " .. version .. interop.slow(version), function()
      local id, mine = interop.stapling(), certs.leaf("ecdsa", "client")
      local response = id.ocsp "good"
      local asking = start(id, version, { server = ("ssl_client_certificate %s; ssl_verify_client on; ssl_verify_depth 3; ssl_stapling on; ssl_stapling_file %s;"):format(
        mine.ca, peers.tmpfile(response, "ocsp.der")) })
      local c = interop.dial(asking.port, client_of(id, version, { identity = mine.identity, ocsp = true }))
      assert.equal(response, c.session.ocsp_response)
      local said = seen(get(c))
      assert.same({ "CN=client.example", "SUCCESS" }, { said.Seen, said.Verified })
      c:close()
      c = interop.dial(asking.port, client_of(id, version))
      assert.equal("400", get(c):match "^HTTP/1.1 (%d+)") -- "No required SSL certificate was sent"
      c:close()
      asking:stop()
    end)
  end

  it("staples what makes akushu turn away", function()
    local id = interop.stapling()
    for _, version in ipairs { "1.3", "1.2" } do
      local revoked = start(id, version, { server = ("ssl_stapling on; ssl_stapling_file %s;"):format(peers.tmpfile(id.ocsp "revoked", "ocsp.der")) })
      assert.equal("certificate_revoked", interop.refused(revoked.port, client_of(id, version, { ocsp = true })).code)
      revoked:stop()
    end
  end)

  it("agrees on ALPN", function()
    local id = certs.ecdsa()
    local both = start(id, nil, { listen = "http2" })
    for _, version in ipairs { "1.3", "1.2" } do
      for _, case in ipairs { { { "h2", "http/1.1" }, "h2" }, { { "http/1.1" }, "http/1.1" } } do
        local c = interop.dial(both.port, client_of(id, version, { alpn = case[1] }))
        assert.equal(case[2], c.session.alpn)
        if case[2] == "h2" then
          assert(c:send "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
          assert.equal(4, assert(c:receive(9)):byte(4)) -- its SETTINGS
        else
          assert.equal(version == "1.3" and "TLSv1.3" or "TLSv1.2", seen(get(c)).Version)
        end
        c:close()
      end
      local failure = interop.refused(both.port, client_of(id, version, { alpn = { "something else" } }))
      assert.equal("no_application_protocol", failure.alert)
    end
    both:stop()
  end)

  it("grants max_fragment_length", function()
    local id = certs.rsa()
    local suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" }
    local c = interop.dial(server.port, client_of(id, "1.2", { max_fragment_length = 1024, suites = suites }))
    local longest = interop.longest_record(c)
    assert.equal(body, get(c, "/big"):match "\r\n\r\n(.*)$")
    assert.equal(1024 + 24, longest())
    c:close()
  end)

  it("TLS 1.3: takes a request as early data, follows our KeyUpdates", function()
    local context = client_of(certs.rsa(), "1.3")
    local began = socket.gettime()
    local c = interop.dial(other.port, context)
    for i = 1, 4 do interop.put(c, c.session:update_keys(i % 2 == 0)) end
    assert.equal("", seen(get(c)).Early or "")
    local resumption = assert(c.session:resumption())
    assert.is_true(resumption.max_early_data > 0)
    c:close()
    local hs = context:handshake { server_name = "localhost", session = resumption }
    assert(hs:send_early "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    c = net.connect(other.port, hs)
    assert(c:handshake { hold = true }) -- $ssl_early_data is "1" for what is answered before the handshake is over: our Finished waits
    assert(interop.takes_early(c.session, began))
    if c.session.early_data == "accepted" then
      local said = seen(assert(c:receive_until "hello from nginx"))
      assert.same({ "r", "1" }, { said.Reused, said.Early })
    end
    assert(c:put(c.held))
    local said = seen(get(c))
    assert.same({ "r", "" }, { said.Reused, said.Early or "" })
    c:close()
  end)

  it("moves a megabyte each way", function()
    for _, version in ipairs { "1.3", "1.2" } do
      local context = client_of(certs.ecdsa(), version)
      local c = interop.dial(server.port, context)
      assert.equal(body, get(c, "/big"):match "\r\n\r\n(.*)$")
      c:close()
      c = interop.dial(server.port, context)
      assert(c:send(("PUT /put%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"):format(version, #body)))
      assert(c:send(body))
      assert.truthy(assert(c:receive_all()):match "^HTTP/1.1 201")
      c:close()
      assert.equal(body, peers.read_file(server.root .. "/put" .. version))
    end
  end)

  describe("and examples/client.lua", function()
    local function run(id, args)
      local client = peers.lua(interop.join({ "examples/client.lua" }, id and { "--ca", id.ca }, args))
      local code = client:wait()
      return code, client:stop():log()
    end

    it("get a page, and again from a kept session", function()
      for _, version in ipairs { "1.3", "1.2" } do
        local file = peers.tmpdir() .. "/session"
        for _, words in ipairs { "full handshake", "resumed" } do
          local code, log = run(certs.ecdsa(), { "--version", version, "--session", file, "--show", "localhost:" .. server.port, "/index.html" })
          assert.equal(0, code, log)
          assert.truthy(log:find(words, 1, true) and log:find("hello from nginx", 1, true) and log:find("TLS " .. version, 1, true), log)
          assert.truthy(log:find("server_hello", 1, true) or log:find("ServerHello", 1, true), log)
        end
      end
    end)

    for variant, code in pairs { expired = "certificate_expired", self_signed = "self_signed", wrong_host = "host_mismatch" } do
      it(("fail with %s, and go on with --insecure"):format(code), function()
        local bad = start(variant == "self_signed" and certs.self_signed() or certs.rsa(variant), "1.2")
        local result, log = run(certs.rsa(), { "localhost:" .. bad.port })
        assert.equal(1, result)
        assert.truthy(log:find(code, 1, true), log)
        assert.falsy(log:find("hello", 1, true))
        result, log = run(nil, { "--insecure", "localhost:" .. bad.port })
        assert.equal(0, result, log)
        assert.truthy(log:find("hello", 1, true))
        bad:stop()
      end)
    end
  end)
end)
