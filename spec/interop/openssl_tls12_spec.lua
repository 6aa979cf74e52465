-- akushu and OpenSSL over loopback, TLS 1.2 and below, what openssl_spec.lua leaves out: every kind of suite in every version, sessions resumed by id and by ticket,
-- client authentication, OCSP stapling, renegotiation asked for by the server. The whole list of suites is #slow.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"
local testca = require "akushu.testca"

local all = peer_suites.openssl()
local some = peer_suites.some(all)
local every = ":ALL:COMPLEMENTOFALL:@SECLEVEL=0"
local versions = { { "1.2", 0x0303, "-tls1_2" }, { "1.1", 0x0302, "-tls1_1" }, { "1.0", 0x0301, "-tls1" } }

local psk = { identity = "somebody", key = ("\1\2\3\4\5\6\7\8"):rep(4) }
local psk_hex = psk.key:gsub(".", function(c) return ("%02x"):format(c:byte()) end)

local function merge(...)
  local out = {}
  for _, t in pairs { ... } do
    for k, v in pairs(t) do out[k] = v end
  end
  return out
end

-- What akushu has to be given for a suite.
local function options(role, suite, version, more)
  local o = { versions = version, suites = { suite.name }, security_level = 0 }
  local key = peer_suites.key(suite)
  if role == "client" then
    o.min_dh_bits = 1024 -- what s_server takes by itself at this security level, where no certificate says more
    if key then o.trust = certs.leaf(key).trust else o.verify = false end
  elseif key then
    o.identity = certs.leaf(key).identity
  end
  if peer_suites.needs_psk(suite) then o.psk = psk end
  return merge(o, more or {})
end

-- Which rows a version has.
local function rows_of(list, number)
  local out = {}
  for _, row in ipairs(list) do
    if row.min <= number then out[#out + 1] = row end
  end
  return out
end

local function reversed(c, text)
  assert(c:send(text .. "\n"))
  assert.equal(text:reverse() .. "\n", assert(c:receive_until "\n"))
end

describe("an akushu client and openssl s_server", function()
  for _, v in ipairs(versions) do
    describe("TLS " .. v[1], function()
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

      for _, row in ipairs(rows_of(some, v[2])) do
        it(row.suite.name .. ", and resumes", function() speaks(row) end)
      end
      for _, row in ipairs(rows_of(all, v[2])) do
        it(row.suite.name .. ", and resumes #slow", function() speaks(row) end)
      end

      it("resumes by id and by ticket, and a ticket is renewed or kept", function()
        local row = rows_of(some, v[2])[1]
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
        assert.truthy(server:wait_log("hello", 5), server:log())
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

  it("renegotiates when s_server asks, as often as it asks", function()
    local id = certs.rsa()
    for _, v in ipairs(versions) do
      local server = peers.openssl_server { chain = id.chain, key = id.key, pipe = true, args = { v[3], "-cipher", every } }
      local context = akushu.client { trust = id.trust, versions = v[1], profile = "compatible", security_level = 0, renegotiation = true }
      local c, message = net.client(server.port, context:handshake { server_name = "localhost" })
      assert(c, message)
      for i = 1, 2 do
        server:write "r\n" -- renegotiate
        assert.is_true(c:more())
        assert.is_true(c.session.renegotiation_wanted)
        local random = c.session.client_random
        c.hs = assert(context:renegotiate(c.session))
        local ok, why = c:handshake()
        assert(ok, why)
        assert.not_equal(random, c.session.client_random)
        assert.equal(v[1], c.session.version)
        assert(c:send(("round %d\n"):format(i)))
        assert.truthy(server:wait_log("round " .. i, 5), server:log())
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
        assert.is_true(c:more())
        local resumption = i ~= 3 and assert(c.session:resumption()) or nil
        c.hs = assert(context:renegotiate(c.session, { session = resumption }))
        local ok, why = c:handshake()
        assert(ok, why)
        assert.equal(i ~= 3, c.session.resumed)
        assert.is_true(c.session.secure_renegotiation)
        assert(c:send(("round %d\n"):format(i)))
        assert.truthy(server:wait_log("round " .. i, 5), server:log())
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
    assert.is_true(c:more())
    c.hs = assert(context:renegotiate(c.session))
    local ok, why = c:handshake()
    assert(ok, why)
    assert(c:send "who am I\n")
    assert.truthy(server:wait_log("who am I", 5), server:log())
    assert.truthy(server:log():find("client.example", 1, true), server:log())
    c:close()
    server:stop()
  end)
end)

describe("an akushu server and openssl s_client", function()
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function() listener:close() end)

  local function meet(context, ca, args, handshake)
    local client = peers.openssl_client { port = port, ca = ca or certs.rsa().ca, pipe = true, args = args }
    local hs = context:handshake(handshake)
    local c, message, failure = net.serve(listener, hs)
    return client, c, message, failure
  end

  local function talk(client, c)
    client:write "ping\n"
    assert.equal("ping\n", assert(c:receive_until "\n"))
    assert(c:send "PONG from akushu\n")
    assert.truthy(client:wait_log("PONG from akushu", 10), client:log())
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
    talk(client, c)
    c:close()
    client:stop()
  end

  for _, v in ipairs(versions) do
    for _, row in ipairs(rows_of(some, v[2])) do
      it(("TLS %s: %s"):format(v[1], row.suite.name), function() speaks(row, v) end)
    end
    for _, row in ipairs(rows_of(all, v[2])) do
      it(("TLS %s: %s #slow"):format(v[1], row.suite.name), function() speaks(row, v) end)
    end

    it(("TLS %s: resumes by id and by ticket"):format(v[1]), function()
      for _, tickets in ipairs { true, false } do
        local file = peers.tmpdir() .. "/session"
        local context = akushu.server { identity = certs.rsa().identity, versions = v[1], profile = "compatible", security_level = 0, tickets = tickets }
        for i = 1, 3 do
          local args = { v[3], "-cipher", "DEFAULT:@SECLEVEL=0", i == 1 and "-sess_out" or "-sess_in", file }
          local client, c, message = meet(context, nil, args)
          assert(c, message)
          assert.equal(i > 1, c.session.resumed)
          talk(client, c)
          client:finish_input()
          c:receive_all()
          c:close()
          client:wait(5)
          local log = client:stop():log()
          assert.truthy(log:find(i == 1 and "New, " or "Reused, ", 1, true), log)
          if i == 1 then assert.equal(tickets, log:find("TLS session ticket:", 1, true) ~= nil) end
        end
      end
    end)
  end

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
        talk(client, c)
        c:close()
        client:stop()
      end
    end
    local context = akushu.server { identity = certs.rsa().identity, versions = "1.2", client_auth = "require", trust = certs.rsa().trust }
    local client, c, _, failure = meet(context, nil, { "-tls1_2" })
    assert.is_nil(c)
    assert.equal("certificate_required_12", failure.code)
    assert.truthy(client:wait_log("handshake failure", 5), client:log())
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
      talk(client, c)
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
