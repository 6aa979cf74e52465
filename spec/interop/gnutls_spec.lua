-- GnuTLS's gnutls-serv and gnutls-cli over loopback, both ways: data, certificates that must be refused, and extended_master_secret and encrypt_then_mac left out.
-- Suites, resumption and the rest are in gnutls_tls12_spec.lua and gnutls_tls13_spec.lua.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peers = require "spec.support.peers"

local everything = "NORMAL:-VERS-ALL:+VERS-TLS1.2:+RSA:+SHA256:+SHA384"

local function client_context(id, more)
  local o = { trust = id.trust, profile = "compatible", max_version = "1.2" }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.client(o)
end

local function server_context(id, more)
  local o = { identity = id.identity, profile = "compatible", max_version = "1.2" }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.server(o)
end

local function dial(server, context, more)
  local o = { server_name = "localhost" }
  for k, v in pairs(more or {}) do o[k] = v end
  return net.client(server.port, context:handshake(o))
end

local function echo(c, text)
  assert(c:send(text))
  assert.equal(text, assert(c:receive(#text)))
end

interop.describe("an akushu client and gnutls-serv", { "gnutls-serv" }, function()
  for _, key in ipairs { "rsa", "ecdsa" } do
    describe("with a certificate for " .. key, function()
      local server, id
      setup(function()
        id = certs.leaf(key)
        server = peers.gnutls_server { chain = id.chain, key = id.key, priority = everything, args = { "--echo", "--crlf", "--noticket" } }
      end)
      teardown(function() server:stop() end)

      it("does without extended_master_secret and without encrypt_then_mac", function()
        local suite = key == "rsa" and "TLS_RSA_WITH_AES_128_CBC_SHA" or "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
        for _, name in ipairs { "extended_master_secret", "encrypt_then_mac" } do
          for _, on in ipairs { true, false } do
            local c = assert(dial(server, client_context(id, { [name] = on, suites = { suite } })))
            assert.equal(on, c.session[name])
            echo(c, "abc\r\n")
            c:close()
          end
        end
      end)

      it("moves a quarter of a megabyte there and back", function()
        local c = assert(dial(server, client_context(id)))
        for i = 1, 128 do echo(c, (("%d,"):format(i)):rep(2048):sub(1, 2046) .. "\r\n") end
        c:close()
      end)
    end)
  end

  it("refuses expired, self-signed and wrong certificates, and the server hears why", function()
    local cases = {
      { certs.rsa "expired", "certificate_expired" },
      { certs.self_signed(), "self_signed" },
      { certs.rsa "wrong_host", "host_mismatch" },
    }
    for _, case in ipairs(cases) do
      local server = peers.gnutls_server { chain = case[1].chain, key = case[1].key, priority = everything, args = { "--echo" } }
      local c, _, failure = dial(server, client_context(certs.rsa()))
      assert.is_nil(c)
      assert.equal(case[2], failure.code)
      assert.truthy(server:wait_log("A TLS fatal alert has been received"), server:log())
      server:stop()
    end
  end)
end)

interop.describe("an akushu server and gnutls-cli", { "gnutls-cli" }, function()
  local listener, port
  setup(function() listener, port = net.listen() end)
  teardown(function() listener:close() end)

  local function meet(id, context, o)
    o = o or {}
    local client = peers.gnutls_client { port = port, ca = id.ca, pipe = true, priority = o.priority or everything, args = o.args }
    local c, message, failure = net.serve(listener, context:handshake {})
    return client, c, message, failure
  end

  it("does without extended_master_secret and without encrypt_then_mac", function()
    local id = certs.rsa()
    for _, case in ipairs { { "%NO_SESSION_HASH", "extended_master_secret" }, { "%NO_ETM", "encrypt_then_mac" } } do
      for _, on in ipairs { true, false } do
        local priority = "NONE:+VERS-TLS1.2:+COMP-NULL:+SIGN-ALL:+RSA:+AES-128-CBC:+SHA1" .. (on and "" or ":" .. case[1])
        local client, c, message = meet(id, server_context(id), { priority = priority })
        assert(c, message)
        assert.equal(on, c.session[case[2]])
        interop.talk(c, client)
        c:close()
        client:stop()
      end
    end
  end)

  it("is refused with an expired, a self-signed and a wrong certificate", function()
    local cases = {
      { certs.rsa "expired", "The certificate chain uses expired certificate" },
      { certs.self_signed(), "issuer is unknown" },
      { certs.rsa "wrong_host", "name in the certificate does not match" },
    }
    for _, case in ipairs(cases) do
      local client, c, _, failure = meet({ ca = certs.rsa().ca }, server_context(case[1]))
      -- gnutls-cli judges the certificate when its handshake is over or while it runs, depending on its version.
      if c then
        local all
        all, _, failure = c:receive_all()
        assert.is_nil(all)
      end
      assert.truthy(failure.code == "peer_alert" or failure.code == "truncated", failure.code)
      assert.truthy(client:wait_log(case[2]), client:log())
      assert.equal(1, client:wait())
      client:stop()
    end
  end)

  it("moves a megabyte each way", function()
    local id = certs.rsa()
    local big = ("0123456789abcde\n"):rep(65536)
    local client, c, message = meet(id, server_context(id))
    assert(c, message)
    local at = 1
    while at <= #big do
      local piece = big:sub(at, at + 32767)
      client:write(piece)
      assert.equal(piece, assert(c:receive(#piece)))
      assert(c:send(piece))
      at = at + #piece
    end
    assert.truthy(peers.wait_for(function() return client:log():find(big, 1, true) end))
    c:close()
    client:stop()
  end)
end)
