-- Servers that only do P-256 (nghttpd), or choose among few groups (socat): an akushu client's second ClientHello.
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local peers = require "spec.support.peers"

local client_of = interop.client_of

interop.describe("nghttpd", { "nghttpd" }, function()
  it("asks for a share of P-256, and again when it resumes", function()
    local id = certs.ecdsa()
    local server = peers.start_server(function(port) return { "nghttpd", "--address=127.0.0.1", port, id.key, id.chain } end, peers.connectable)
    local context, session = client_of(id, "1.3", { alpn = { "h2" }, key_shares = { "x25519" } }), nil
    for round = 1, 2 do
      local c = interop.dial(server.port, context, { session = session })
      assert.same({ "h2", "secp256r1", true, round == 2 }, { c.session.alpn, c.session.group, c.session.hello_retry, c.session.resumed })
      assert(c:send "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
      assert.equal(4, assert(c:receive(9)):byte(4)) -- its SETTINGS
      session = assert(c.session:resumption())
      c:close()
    end
    server:stop()
  end)
end)

interop.describe("socat", { "socat" }, function()
  it("asks for the group that it wants, and echoes", function()
    local id = certs.ecdsa()
    local server = peers.start_server(function(port)
      return { "socat", "-d", "-d", ("OPENSSL-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork,cert=%s,key=%s,verify=0"):format(port, id.chain, id.key), "EXEC:cat" }
    end, "listening")
    local c = interop.dial(server.port, client_of(id, "1.3", { key_shares = { "x25519" } }))
    interop.echo(c, "and back")
    assert.equal(c.session.group ~= "x25519", c.session.hello_retry) -- whether it holds on to P-256 depends on how it was built
    c:close()
    assert(server:wait_log("SSL connection using TLS_AES"), server:log())
    server:stop()
  end)
end)
