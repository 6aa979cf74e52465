-- nginx as the server: of an akushu client in this process, and of examples/client.lua as it stands.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local suites = require "spec.support.suites"

local body = ("nginx has this many bytes for you\n"):rep(32768) -- a bit over a megabyte
local settings = "ssl_protocols TLSv1.2; ssl_ciphers ALL; ssl_session_tickets off; dav_methods PUT;"
local http = "ssl_session_cache shared:akushu:1m;"

local function client_context(id, more)
  local o = { trust = id.trust, profile = "compatible", max_version = "1.2" }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.client(o)
end

local function dial(server, context, more)
  local o = { server_name = "localhost" }
  for k, v in pairs(more or {}) do o[k] = v end
  return net.client(server.port, context:handshake(o))
end

local function get(c, path)
  assert(c:send(("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):format(path)))
  return assert(c:receive_all()) -- raises unless the end is clean
end

for _, key in ipairs { "rsa", "ecdsa" } do
  describe("an akushu client and nginx with a certificate for " .. key, function()
    local server, id
    setup(function()
      id = certs.leaf(key)
      server = peers.nginx { chain = id.chain, key = id.key, server = settings, http = http,
        files = { ["index.html"] = "hello from nginx", big = body } }
    end)
    teardown(function() server:stop() end)

    for _, list in ipairs { suites.classic, suites.modern } do
      for _, suite in ipairs(suites.with_key(list, key)) do
        it("speaks " .. suite.name, function()
          local c = assert(dial(server, client_context(id, { suites = { suite.name } })))
          assert.equal(suite.name, c.session.suite)
          assert.truthy(get(c, "/"):find("hello from nginx", 1, true))
          c:close()
        end)
      end
    end

    it("moves a megabyte each way", function()
      local c = assert(dial(server, client_context(id)))
      assert.equal(body, get(c, "/big"):match "\r\n\r\n(.*)$")
      c:close()
      c = assert(dial(server, client_context(id)))
      assert(c:send(("PUT /put HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"):format(#body)))
      assert(c:send(body))
      assert.truthy(assert(c:receive_all()):match "^HTTP/1.1 201")
      c:close()
      assert.equal(body, peers.read_file(server.root .. "/put"))
    end)

    it("resumes a session by its id", function()
      local context = client_context(id)
      local first = assert(dial(server, context))
      local resumption = assert(first.session:resumption())
      get(first, "/")
      first:close()
      local second = assert(dial(server, context, { session = resumption }))
      assert.is_true(second.session.resumed)
      assert.truthy(get(second, "/"):find("hello from nginx", 1, true))
      second:close()
    end)

    it("serves examples/client.lua", function()
      local client = peers.lua { "examples/client.lua", "--ca", id.ca, "--version", "1.2", "--profile", "compatible", "--show",
        "localhost:" .. server.port, "/index.html" }
      assert.equal(0, client:wait(15), client:log())
      local log = client:stop():log()
      assert.truthy(log:find("hello from nginx", 1, true), log)
      assert.truthy(log:find("TLS 1.2", 1, true), log)
      assert.truthy(log:find("server_hello", 1, true) or log:find("ServerHello", 1, true), log)
    end)

    it("serves examples/client.lua again from a kept session", function()
      local file = peers.tmpdir() .. "/session"
      local function run()
        local client = peers.lua { "examples/client.lua", "--ca", id.ca, "--version", "1.2", "--profile", "compatible", "--session", file,
          "localhost:" .. server.port }
        assert.equal(0, client:wait(15), client:log())
        return client:stop():log()
      end
      assert.truthy(run():find("full handshake", 1, true))
      assert.truthy(run():find("resumed", 1, true))
    end)
  end)
end

describe("examples/client.lua and certificates that must be refused", function()
  local cases = {
    { certs.rsa "expired", "certificate_expired" },
    { certs.self_signed(), "self_signed" },
    { certs.rsa "wrong_host", "host_mismatch" },
  }
  for _, case in ipairs(cases) do
    it(case[2] .. ": fails with the reason, and goes on with --insecure", function()
      local server = peers.nginx { chain = case[1].chain, key = case[1].key, server = settings, files = { ["index.html"] = "hello" } }
      local common = { "examples/client.lua", "--profile", "compatible", "--version", "1.2", "localhost:" .. server.port }
      local client = peers.lua { common[1], "--ca", certs.rsa().ca, table.unpack(common, 2) }
      assert.equal(1, client:wait(15))
      local log = client:stop():log()
      assert.truthy(log:find(case[2], 1, true), log)
      assert.falsy(log:find("hello", 1, true))
      client = peers.lua { common[1], "--insecure", table.unpack(common, 2) }
      assert.equal(0, client:wait(15), client:log())
      assert.truthy(client:stop():log():find("hello", 1, true))
      server:stop()
    end)
  end
end)
