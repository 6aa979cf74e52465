-- False Start (RFC 7918) with peers of other makes: akushu's first data goes out in one write with its Finished, and BoringSSL's comes to akushu before
-- its own Finished has gone out.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"

-- A whole connection by hand: what waits behind `request` is said as soon as it may be. Returns the handshake, the answer up to `mark`, and whether it was said early.
local function ask(context, port, request, mark)
  local sock = assert(socket.connect("127.0.0.1", port))
  sock:settimeout(peers.patience)
  local function receive()
    socket.select({ sock }, nil, peers.patience)
    sock:settimeout(0)
    local all, why, part = sock:receive(65536)
    sock:settimeout(peers.patience)
    local bytes = all or part
    return assert(bytes ~= "" and bytes, why)
  end
  local hs = context:handshake { server_name = "localhost" }
  local out, early = assert(hs:start()), false
  while not hs.done do
    assert(sock:send(out))
    out = assert(hs:step(receive()))
    if hs.may_send and not early then out, early = out .. assert(hs:send(request)), true end
  end
  local session = assert(hs:session())
  assert(sock:send(early and out or out .. assert(session:seal(request))))
  local heard, bytes = "", ""
  while not heard:find(mark, 1, true) do
    local plain, reply = assert(session:open(bytes))
    sock:send(reply)
    heard = heard .. plain
    bytes = heard:find(mark, 1, true) and "" or receive()
  end
  sock:send(session:close())
  sock:close()
  return hs, heard, early
end

local function context(trust, o)
  local all = { trust = trust, versions = "1.2", false_start = true }
  for k, v in pairs(o or {}) do all[k] = v end
  return akushu.client(all)
end

describe("a False Start of akushu's", function()
  it("is borne by openssl s_server, with every kind of suite that may", function()
    local id = certs.rsa()
    local server = peers.openssl_server { chain = id.chain, key = id.key, args = { "-rev", "-tls1_2", "-cipher", "ALL" } }
    for _, suite in ipairs { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
      "TLS_DHE_RSA_WITH_AES_128_CCM" } do
      local hs, heard, early = ask(context(id.trust, { suites = { suite } }), server.port, "abc\n", "cba\n")
      assert.is_true(early)
      assert.equal("cba\n", heard)
      assert.equal(suite, hs.suite)
    end
    local _, heard, early = ask(context(id.trust, { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } }), server.port, "abc\n", "cba\n")
    assert.is_false(early)
    assert.equal("cba\n", heard)
    server:stop()
  end)

  it("is borne by gnutls-serv, which asks for a certificate, too", function()
    local id, mine = certs.ecdsa(), certs.leaf("ecdsa", "client")
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2",
      args = { "--echo", "--require-client-cert", "--x509cafile", mine.ca } }
    local _, heard, early = ask(context(id.trust, { identity = mine.identity }), server.port, "hello\n", "hello\n")
    assert.is_true(early)
    assert.equal("hello\n", heard)
    server:stop()
  end)

  it("is borne by nginx: a request behind Finished", function()
    local id = certs.rsa()
    local server = peers.nginx { chain = id.chain, key = id.key, server = "ssl_protocols TLSv1.2;", files = { ["page.txt"] = "a page, a round trip sooner\n" } }
    local _, heard, early = ask(context(id.trust), server.port, "GET /page.txt HTTP/1.0\r\nHost: localhost\r\n\r\n", "sooner\n")
    assert.is_true(early)
    assert.matches("^HTTP/1.1 200 ", heard)
    server:stop()
  end)
end)

describe("an akushu server", function()
  local test = peers.have "bssl-tool" and it or pending
  test("bears the False Start of BoringSSL's client", function()
    local id = certs.rsa()
    local listener, port = net.listen()
    local client = peers.spawn { "bssl-tool", "client", "-connect", "127.0.0.1:" .. port, "-server-name", "localhost", "-root-certs", id.ca, "-max-version", "tls1.2",
      "-false-start", "-alpn-protos", "echo", pipe = true }
    client:write "from BoringSSL\n"
    local hs = akushu.server { identity = id.identity, versions = "1.2", alpn = { "echo" } }:handshake()
    local c = assert(net.accept(listener, hs))
    hs:start()
    assert(c:put(assert(hs:step(assert(c:gather(22))))))
    local second = assert(c:gather(23)) -- its first data; our Finished it has not
    assert.is_false(hs.done)
    assert(c:put(assert(hs:step(second))))
    assert.is_true(hs.done)
    c.session = assert(hs:session())
    assert.equal("from BoringSSL\n", (c.session:open ""))
    assert(c:send "answered\n")
    assert.truthy(client:wait_log "answered", client:log())
    c:close()
    client:stop()
    listener:close()
  end)
end)
