-- curl as the client: of an akushu server in this process, and of examples/server.lua as it stands.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local suites = require "spec.support.suites"

local function start_server(args)
  return peers.start_server(function(port)
    local words = { "lua5.4", "examples/server.lua", "--listen", "127.0.0.1:" .. port }
    for _, word in ipairs(args) do words[#words + 1] = word end
    words.env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }
    return words
  end, "listening on")
end

describe("curl and examples/server.lua --www", function()
  for _, key in ipairs { "rsa", "ecdsa" } do
    describe("with a certificate for " .. key, function()
      local server, id
      setup(function()
        id = certs.leaf(key)
        server = start_server { "--www", "--profile", "compatible", "--version", "1.2", "--chain", id.chain, "--key", id.key }
      end)
      teardown(function() server:stop() end)

      local function get(args)
        local curl = peers.curl { port = server.port, ca = id.ca, args = args }
        local code = curl:wait(15)
        return code, curl:stop():log()
      end

      for _, list in ipairs { suites.classic, suites.modern } do
        for _, suite in ipairs(suites.with_key(list, key)) do
          it("speaks " .. suite.name, function()
            local code, page = get { "--tls-max", "1.2", "--ciphers", suite.openssl }
            assert.equal(0, code, page)
            assert.truthy(page:find("<td>" .. suite.name .. "</td>", 1, true), page)
            assert.truthy(page:find("<td>localhost</td>", 1, true), page)
          end)
        end
      end

      it("serves many at once while others sit silent", function()
        local socket = require "socket"
        local silent, curls = {}, {}
        for i = 1, 10 do silent[i] = assert(socket.connect("127.0.0.1", server.port)) end
        for i = 1, 10 do curls[i] = peers.curl { port = server.port, ca = id.ca } end
        for i = 1, 10 do
          assert.equal(0, curls[i]:wait(20))
          assert.truthy(curls[i]:log():find("</html>", 1, true))
          curls[i]:stop()
        end
        for i = 1, 10 do silent[i]:close() end
      end)

      it("survives garbage, plain HTTP and clients that vanish", function()
        local socket = require "socket"
        for _, text in ipairs { ("\255"):rep(3000), "GET / HTTP/1.0\r\n\r\n", "\22\3\1\255\255", "\22", "" } do
          local s = assert(socket.connect("127.0.0.1", server.port))
          s:settimeout(5)
          s:send(text)
          if text:match "^GET" or text:byte() == 255 then
            local answer, err = s:receive "*a" -- an alert where there is one, else just the end: not a wait
            assert.truthy(answer or err == "closed", err)
          end
          s:close()
        end
        assert.equal(0, (get {}))
      end)
    end)
  end

  it("says where the CA is when it makes its own identity", function()
    local server = start_server { "--www", "--profile", "compatible" }
    local ca = server:wait_log "its CA is in (%S+)"
    assert.is_string(ca)
    local curl = peers.curl { port = server.port, ca = ca }
    assert.equal(0, curl:wait(15), curl:log())
    curl:stop()
    server:stop()
    os.remove(ca)
  end)

  it("is refused by curl when the certificate is expired, self-signed or for another host", function()
    -- curl looks at the chain in the handshake, and at the name when that is over.
    for _, case in ipairs { { certs.rsa "expired", "alert" }, { certs.self_signed(), "alert" }, { certs.rsa "wrong_host", "handshake" } } do
      local id = case[1]
      local server = start_server { "--www", "--profile", "compatible", "--chain", id.chain, "--key", id.key }
      local curl = peers.curl { port = server.port, ca = certs.rsa().ca }
      assert.equal(60, curl:wait(15), curl:log()) -- "peer certificate cannot be authenticated"
      curl:stop()
      assert.truthy(server:wait_log(case[2], 5), server:log())
      server:stop()
    end
  end)
end)

describe("curl and an akushu server in this process", function()
  local listener, port, id, context
  setup(function()
    listener, port = net.listen()
    id = certs.rsa()
    context = akushu.server { identity = id.identity, profile = "compatible", max_version = "1.2" }
  end)
  teardown(function() listener:close() end)

  it("downloads a megabyte, with close_notify as its end", function()
    local body = ("0123456789abcdef"):rep(65536)
    local out = peers.tmpdir() .. "/body"
    local curl = peers.curl { port = port, ca = id.ca, args = { "--output", out } }
    local c, message = net.serve(listener, context:handshake {})
    assert(c, message)
    local request = assert(c:receive_until "\r\n\r\n")
    assert.truthy(request:match "^GET / HTTP/1.1\r\n")
    assert(c:send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" .. body)) -- no length: only a clean end says that all is there
    c:close()
    assert.equal(0, curl:wait(15), curl:log())
    assert.equal(body, peers.read_file(out))
    curl:stop()
  end)

  it("uploads a megabyte", function()
    local body = ("fedcba9876543210"):rep(65536)
    local file = peers.tmpfile(body)
    local curl = peers.curl { port = port, ca = id.ca, args = { "--data-binary", "@" .. file, "-H", "Expect:" } }
    local c, message = net.serve(listener, context:handshake {})
    assert(c, message)
    local request = assert(c:receive_until "\r\n\r\n")
    assert.equal(#body, tonumber(request:match "[Cc]ontent%-[Ll]ength: (%d+)"))
    assert.equal(body, assert(c:receive(#body)))
    assert(c:send "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
    c:close()
    assert.equal(0, curl:wait(15), curl:log())
    assert.equal("fine", curl:stop():log())
  end)

  it("resumes for its second request of a run", function()
    local first = ("https://localhost:%d/first"):format(port)
    local curl = peers.curl { port = port, ca = id.ca, args = { "--no-keepalive", first }, path = "/second" }
    local resumed = {}
    for i = 1, 2 do
      local c, message = net.serve(listener, context:handshake {})
      assert(c, message)
      resumed[i] = c.session.resumed
      assert(c:receive_until "\r\n\r\n")
      assert(c:send "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
      c:close()
    end
    assert.equal(0, curl:wait(15), curl:log())
    assert.same({ false, true }, resumed)
    curl:stop()
  end)
end)
