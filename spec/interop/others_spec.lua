-- NSS (selfserv, tstclnt), Python's ssl and Node.js, over loopback, both ways, TLS 1.2 and 1.3.
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

  describe("Python's ssl, TLS " .. version, function()
    it("serves an akushu client", function()
      local id = certs.ecdsa()
      local server = peers.start_server(function(port)
        return { "python3", "-u", "-c", ([[
import socket, ssl, sys
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ctx.load_cert_chain(%q, %q)
ctx.minimum_version = ctx.maximum_version = ssl.TLSVersion.TLSv%s
s = socket.create_server(("127.0.0.1", %d))
print("ready")
while True:
    c, _ = s.accept()
    with ctx.wrap_socket(c, server_side=True) as t:
        while data := t.recv(4096):
            t.sendall(data.upper())
        t.unwrap().close()
]]):format(id.chain, id.key, version:gsub("%.", "_"), port) }
      end, "ready")
      local c = assert(net.client(server.port, client_of(id, version):handshake { server_name = "localhost" }))
      assert(c:send "snake\n")
      assert.equal("SNAKE\n", assert(c:receive_until "\n"))
      c:close()
      server:stop()
    end)

    it("talks to an akushu server, and sees its close_notify", function()
      local id = certs.ecdsa()
      local listener, port = net.listen()
      local client = peers.python { script = ([[
import socket, ssl
ctx = ssl.create_default_context(cafile=%q)
with socket.create_connection(("127.0.0.1", %d)) as raw:
    with ctx.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as t:
        t.sendall(b"ping\n")
        got = b""
        while data := t.recv(4096):
            got += data
        print(t.version(), got.decode())
]]):format(id.ca, port) }
      local c, message = net.serve(listener, server_of(id, version):handshake {})
      assert(c, message)
      assert.equal("ping\n", assert(c:receive_until "\n"))
      assert(c:send "pong\n")
      c:close()
      assert.equal(0, client:wait(10), client:log())
      assert.truthy(client:log():find("TLSv" .. version .. " pong", 1, true), client:log())
      client:stop()
      listener:close()
    end)
  end)

  describe("Node.js, TLS " .. version, function()
    it("serves an akushu client", function()
      local id = certs.rsa()
      local server = peers.start_server(function(port)
        return { "node", "-e", ([[
const tls = require("tls"), fs = require("fs");
const v = "TLSv%s";
tls.createServer({ cert: fs.readFileSync(%q), key: fs.readFileSync(%q), minVersion: v, maxVersion: v }, (s) => {
  s.on("data", (d) => s.write(d.toString().toUpperCase()));
  s.on("error", () => {});
}).listen(%d, "127.0.0.1", () => console.log("ready"));
]]):format(version, id.chain, id.key, port) }
      end, "ready")
      local context, resumption = client_of(id, version), nil
      for round = 1, 2 do
        local c = assert(net.client(server.port, context:handshake { server_name = "localhost", session = resumption }))
        assert.equal(round == 2, c.session.resumed)
        assert(c:send "knot\n")
        assert.equal("KNOT\n", assert(c:receive_until "\n"))
        if round == 1 then resumption = assert(c.session:resumption()) end
        c:close()
      end
      server:stop()
    end)

    it("talks to an akushu server", function()
      local id = certs.rsa()
      local listener, port = net.listen()
      local client = peers.node { script = ([[
const tls = require("tls"), fs = require("fs");
const s = tls.connect({ host: "127.0.0.1", port: %d, servername: "localhost", ca: fs.readFileSync(%q) }, () => s.write("ping\n"));
let got = "";
s.on("data", (d) => got += d);
s.on("end", () => console.log(s.getProtocol(), got));
s.on("error", (e) => { console.log(e); process.exit(1); });
]]):format(port, id.ca) }
      local c, message = net.serve(listener, server_of(id, version):handshake {})
      assert(c, message)
      assert.equal("ping\n", assert(c:receive_until "\n"))
      assert(c:send "pong\n")
      c:close()
      assert.equal(0, client:wait(10), client:log())
      assert.truthy(client:log():find("TLSv" .. version .. " pong", 1, true), client:log())
      client:stop()
      listener:close()
    end)
  end)
end
