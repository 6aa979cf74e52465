-- The example programs as a user runs them: what a mistake is told in, which rights files with secrets have, what is left behind.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local lfs = require "lfs"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"

local id = certs.ecdsa()
local nowhere = "/nowhere/at/all"

-- Runs a program to its end; its exit code and all that it said.
local function run(...)
  local proc = peers.lua { ... }
  local code = proc:wait()
  return code, proc:stop():log()
end

local function rights(path) return lfs.attributes(path, "permissions") end

local function server(...)
  local args = { ... }
  return peers.start_server(function(port)
    local words = { "lua5.4", "examples/server.lua", "--listen", "127.0.0.1:" .. port, table.unpack(args) }
    words.env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }
    return words
  end, "listening on")
end

describe("the examples say in one line", function()
  local wrong_key = peers.tmpfile("nothing", "key.pem")
  local function to(...) return { "examples/client.lua", ... } end
  local function at(...) return { "examples/server.lua", "--listen", "127.0.0.1:0", ... } end
  -- what was typed, the exit code, what is said
  local rows = {
    { to(), 2, "HOST:PORT is missing" },
    { to "localhost", 2, "localhost is not of the form" },
    { to "localhost:99999", 2, "a port is a number from 1 to 65535" },
    { to "localhost:0", 2, "a port is a number from 1 to 65535" },
    { to "localhost:https", 2, "a port is a number from 1 to 65535" },
    { to("localhost:1", "x"), 2, "a PATH begins with /" },
    { to("localhost:1", "/", "y"), 2, "what is y?" },
    { to("--nope", "localhost:1"), 2, "no option --nope" },
    { to("--insecure", "--ca", "ca.pem", "localhost:1"), 2, "--insecure verifies nothing: --ca has no effect beside it" },
    { to("--insecure", "--ask", "localhost:1"), 2, "--insecure verifies nothing: --ask has no effect beside it" },
    { to("--insecure", "--suite", "NOPE", "localhost:1"), 2, "--suite: no cipher suite 'NOPE' here" },
    { to("--insecure", "--group", "NOPE", "localhost:1"), 2, "--group: no group 'NOPE' here" },
    { to("--insecure", "--scheme", "NOPE", "localhost:1"), 2, "--scheme: no signature scheme 'NOPE' here" },
    { to("--insecure", "--profile", "NOPE", "localhost:1"), 2, "--profile: unknown profile 'NOPE'" },
    { to("--insecure", "--version", "1.1", "localhost:1"), 2, "--version: no cipher suite of this context does 1.1" },
    { to("--insecure", "--version", "7", "localhost:1"), 2, "--version 7 is no version of TLS" },
    { to("--insecure", "--timeout", "nan", "localhost:1"), 2, "--timeout nan is no number of seconds" },
    { to("--insecure", "--timeout", "-1", "localhost:1"), 2, "--timeout -1 is no number of seconds" },
    { to("--insecure", "--server-name", "a b", "localhost:1"), 2, "--server-name: 'a b' is not a host name" },
    { to("--insecure", "--key", "x", "localhost:1"), 2, "--key and --password go with --cert" },
    { to("--ca", nowhere, "localhost:1"), 1, nowhere .. ": No such file or directory" },
    { to("--ca", wrong_key, "localhost:1"), 1, "neither PEM nor DER" },
    { to("--insecure", "--cert", nowhere, "localhost:1"), 1, nowhere .. ": No such file or directory" },
    { to("--insecure", "--cert", id.chain, "--key", wrong_key, "localhost:1"), 1, wrong_key },
    { to("--insecure", "--keylog", nowhere, "localhost:1"), 1, nowhere .. ": No such file or directory" },
    { to("--insecure", "--session", "/", "localhost:1"), 1, "/: Is a directory" },
    { to("--insecure", "127.0.0.1:1"), 1, "127.0.0.1:1: connection refused" },
    { { "examples/server.lua" }, 2, "--listen ADDR:PORT is missing" },
    { { "examples/server.lua", "--listen", "127.0.0.1:70000" }, 2, "a port is a number from 0 to 65535" },
    { at("--clients", "0"), 2, "--clients 0: a number from 1 on is expected" },
    { at("--clients", "-4"), 2, "--clients -4: a number from 1 on is expected" },
    { at("--clients", "2000"), 2, "--clients 2000: at most 1000" },
    { at("--connections", "1.5"), 2, "--connections 1.5: a number from 1 on is expected" },
    { at("--chain", nowhere), 1, nowhere .. ": No such file or directory" },
    { at("--chain", id.chain, "--key", id.key, "--verify-ca", nowhere), 1, nowhere .. ": No such file or directory" },
    { at("--chain", id.chain, "--key", id.key, "--suite", "NOPE"), 2, "--suite: no cipher suite 'NOPE' here" },
    { at("--chain", id.chain, "--key", id.key, "--keylog", nowhere), 1, nowhere .. ": No such file or directory" },
    { at "--require-client-cert", 2, "--require-client-cert wants --verify-ca" },
    { at "what", 2, "what is what?" },
    { { "examples/server.lua", "--listen", "203.0.113.1:0", "--chain", id.chain, "--key", id.key }, 1, "203.0.113.1:0: " },
    { { "examples/story.lua", "--slow" }, 2, "what is --slow?" },
    { { "examples/experiments/09_forward_secrecy.lua", "fast" }, 2, "what is fast?" },
  }

  for _, row in ipairs(rows) do
    it(table.concat(row[1], " "):gsub("^examples/", ""):gsub("/tmp/%S*/", ""), function()
      local code, said = run(table.unpack(row[1]))
      assert.equal(row[2], code, said)
      assert.is_truthy(said:find(row[3], 1, true), said)
      assert.equal(1, select(2, said:gsub("\n", "")), said)
    end)
  end

  it("--help", function()
    for _, path in ipairs { "client.lua", "server.lua", "story.lua", "experiments/01_every_message.lua", "experiments/10_browser_hello.lua" } do
      local code, said = run("examples/" .. path, "--help")
      assert.equal(0, code, said)
      assert.equal(1, said:find("usage: " .. path:match "[^/]*$", 1, true), said)
    end
  end)

  it("a password that is wrong, or missing", function()
    local key = peers.tmpdir() .. "/key.pem"
    assert(os.execute(("openssl pkey -in %s -aes128 -passout pass:right -out %s"):format(id.key, key)))
    for _, args in ipairs { { "--password", "wrong" }, {} } do
      local code, said = run("examples/client.lua", "--insecure", "--cert", id.chain, "--key", key, "localhost:1", table.unpack(args))
      assert.equal(1, code)
      assert.matches("^client.lua: [^\n]*the password is missing or wrong[^\n]*\n$", said)
    end
    local code = run("examples/client.lua", "--insecure", "--cert", id.chain, "--key", key, "--password", "right", "127.0.0.1:1")
    assert.equal(1, code)
  end)
end)

describe("the examples' files", function()
  it("that hold secrets are their owner's alone", function()
    local dir = peers.tmpdir()
    local session, theirs, mine = dir .. "/its 'session'", dir .. "/server.log", dir .. "/client.log"
    local s <close> = server("--www", "--chain", id.chain, "--key", id.key, "--keylog", theirs)
    assert(os.execute("umask 022; : > " .. peers.quote(session))) -- an empty one, which everybody may read, is replaced
    for _, expected in ipairs { "full handshake", "resumed" } do
      local code, said = run("examples/client.lua", "--ca", id.ca, "--session", session, "--keylog", mine, "localhost:" .. s.port)
      assert.equal(0, code, said)
      assert.is_truthy(said:find(expected, 1, true), said)
      assert.equal("rw-------", rights(session))
    end
    for _, path in ipairs { theirs, mine } do
      assert.equal("rw-------", rights(path))
      local file <close> = assert(io.open(path))
      assert.matches("^CLIENT_HANDSHAKE_TRAFFIC_SECRET %x+ %x+\n", file:read "a")
    end
    assert.is_nil(lfs.attributes(session .. ".new"))
  end)

  it("shows the fields of messages, and of structures in them", function()
    local s <close> = server("--www", "--chain", id.chain, "--key", id.key)
    local code, said = run("examples/client.lua", "--show", "--version", "1.2", "--group", "x25519", "--group", "secp256r1", "--ca", id.ca, "localhost:" .. s.port)
    assert.equal(0, code)
    assert.matches("params: curve_type named_curve, named_curve x25519, point %x+… %(32 bytes%)", said)
    assert.is_nil(said:find("params: empty", 1, true))
  end)

  it("a session that cannot be kept costs nothing but that", function()
    local s <close> = server("--www", "--chain", id.chain, "--key", id.key)
    local code, said = run("examples/client.lua", "--ca", id.ca, "--session", nowhere, "localhost:" .. s.port)
    assert.equal(1, code)
    assert.is_truthy(said:find("</html>", 1, true))
    assert.matches("client.lua: " .. nowhere .. ".new: No such file or directory\n$", said)
  end)

  for _, signal in ipairs { "TERM", "INT", "KILL" } do
    it("with the CA that the server has made goes with it: SIG" .. signal, function()
      local pid = peers.tmpdir() .. "/pid"
      local s <close> = peers.spawn { "sh", "-c", 'echo $$ > "$0"; exec "$@"', pid, "lua5.4", "examples/server.lua", "--listen", "127.0.0.1:0",
        env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } }
      local ca = s:wait_log "its CA is in (%S+)\n"
      assert.is_truthy(s:wait_log "listening on", s:log())
      assert.equal("file", lfs.attributes(ca, "mode"))
      assert(os.execute(("kill -%s %d"):format(signal, tonumber(peers.read_file(pid)))))
      assert.is_true(peers.wait_for(function() return lfs.attributes(ca) == nil end))
    end)
  end
end)

describe("the example server's page", function()
  local s
  setup(function() s = server("--www", "--chain", id.chain, "--key", id.key) end)
  teardown(function() s:stop() end)

  local function curl(...)
    local c = peers.curl { port = s.port, ca = id.ca, args = { "--include", ... } }
    local code = c:wait()
    return c:stop():log(), code
  end

  it("has a HEAD", function()
    local got, code = curl "--head"
    assert.equal(0, code, got)
    local body = curl():match "\r\n\r\n(.*)$"
    assert.matches("^HTTP/1.1 200 OK\r\n", got)
    assert.is_truthy(got:find("\r\nContent-Length: " .. #body .. "\r\n", 1, true), got)
    assert.matches("\r\n\r\n$", got)
  end)

  it("allows GET and HEAD, and says so", function()
    for _, method in ipairs { "POST", "OPTIONS", "DELETE", "get" } do
      local got = curl("--request", method)
      if method == "get" then
        assert.matches("^HTTP/1.1 400 ", got)
      else
        assert.matches("^HTTP/1.1 405 Method Not Allowed\r\n", got)
        assert.matches("\r\nAllow: GET, HEAD\r\n", got)
      end
    end
  end)

  -- A connection: says these pieces, one a tenth of a second, until the server has closed it; all that came, and how many it has said.
  local function talk(port, pieces)
    local context, open, message = akushu.client { trust = id.trust }, nil, nil
    for _ = 1, 20 do -- who has a second for all of it may have given up before the handshake was done
      open, message = net.client(port, context:handshake { server_name = "localhost" })
      if open then break end
    end
    local conn <close> = assert(open, message)
    local said = 0
    for _, piece in ipairs(pieces) do
      if conn.closed or not conn:send(piece) then break end
      said = said + 1
      if #pieces > 1 and socket.select({ conn.sock }, nil, 0.1)[conn.sock] and not conn:more() then break end
    end
    while not conn.closed and conn:more() do end
    return conn.buffer, said
  end

  it("answers a request with whatever comes behind it", function()
    for _, more in ipairs { ("GET / HTTP/1.1\r\n\r\n"):rep(2000), ("x"):rep(100000) } do
      assert.matches("^HTTP/1.1 200 OK\r\n", (talk(s.port, { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" .. more })))
    end
    assert.matches("^HTTP/1.1 431 ", (talk(s.port, { "GET / HTTP/1.1\r\nX: " .. ("x"):rep(17000) .. "\r\n\r\n" })))
    assert.matches("^HTTP/1.1 200 ", (talk(s.port, { "GET / HTTP/1.1\r", "\n\r", "\n" })))
    assert.matches("^HTTP/1.1 200 ", (talk(s.port, { "GET / HTTP/1.1\n", "\n" })))
  end)

  it("is not kept from others by those who send a byte now and then", function()
    local slow <close> = server("--www", "--timeout", "1", "--chain", id.chain, "--key", id.key)
    local bytes = {}
    for i = 1, 900 do bytes[i] = "x" end -- for a minute and a half
    local got, said = talk(slow.port, bytes)
    assert.equal("", got)
    assert.is_true(said < #bytes, said)
    assert.is_truthy(slow:wait_log("timeout"), slow:log())
  end)
end)

describe("the example client, left without close_notify,", function()
  -- The server's answer → the client's exit code, and what it said.
  local function get(answer)
    local listener, port = net.listen()
    local client = peers.lua { "examples/client.lua", "--ca", id.ca, "--timeout", "90", "localhost:" .. port }
    local conn = assert(net.accept(listener, akushu.server({ identity = id.identity }):handshake()))
    assert(conn:handshake())
    assert(conn:receive_until "\r\n\r\n")
    assert(conn:send(answer))
    conn.sock:close()
    listener:close()
    local code = client:wait()
    return code, client:stop():log()
  end

  it("takes an answer for whole that has all of its Content-Length, and no other", function()
    local body = ("x"):rep(300000) -- longer than what is kept of it
    local head = "HTTP/1.0 200 OK\r\nContent-Length: %s\r\n\r\n"
    for length, expected in pairs { ["300000"] = 0, ["299999"] = 1, ["300001"] = 1, [("9"):rep(30)] = 1 } do
      local code, said = get(head:format(length) .. body)
      assert.equal(expected, code, length)
      assert.is_truthy(said:find(expected == 0 and "but the response is complete" or "truncated", 1, true), length)
    end
    assert.equal(1, (get("HTTP/1.0 200 OK\r\n\r\n" .. body)))
  end)
end)
