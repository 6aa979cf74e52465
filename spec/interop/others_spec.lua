-- NSS (selfserv, tstclnt) over loopback, both ways, TLS 1.2 and 1.3.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local net = require "spec.support.net"
local peers = require "spec.support.peers"

local function client_of(id, version, more)
  local o = { trust = id.trust, profile = "compatible", min_version = version, max_version = version }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.client(o)
end

local function server_of(id, version, more)
  local o = { identity = id.identity, profile = "compatible", min_version = version, max_version = version }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.server(o)
end

for _, version in ipairs { "1.2", "1.3" } do
  describe("NSS, TLS " .. version, function()
    local id, database
    setup(function()
      id = certs.rsa()
      database = peers.nss_database { cas = { id.ca }, identities = { peers.pkcs12(id.chain, id.key, "spec") } }
    end)

    it("selfserv answers an akushu client's request, and resumes", function()
      local server = peers.nss_server { database = database, name = "spec", versions = "tls1.2:tls1.3" }
      local context, resumption = client_of(id, version), nil
      for round = 1, 2 do
        local c = assert(net.client(server.port, context:handshake { server_name = "localhost", session = resumption }))
        assert.equal(version, c.session.version)
        assert.equal(round == 2, c.session.resumed)
        assert(c:send "GET / HTTP/1.0\r\n\r\n")
        assert.truthy(assert(c:receive_until "\r\n"):match "^HTTP/1.0 200")
        if round == 1 then resumption = assert(c.session:resumption()) end
        c:close()
      end
      server:stop()
    end)

    it("tstclnt talks to an akushu server", function()
      local listener, port = net.listen()
      local client = peers.nss_client { database = database, port = port, versions = ("tls%s:tls%s"):format(version, version), pipe = true }
      local c, message = net.serve(listener, server_of(id, version):handshake {})
      assert(c, message)
      assert.equal(version, c.session.version)
      client:write "ping\n"
      assert.equal("ping\n", assert(c:receive_until "\n"))
      assert(c:send "PONG from akushu\n")
      assert.truthy(client:wait_log("PONG from akushu", 10), client:log())
      c:close()
      client:stop()
      listener:close()
    end)
  end)
end
