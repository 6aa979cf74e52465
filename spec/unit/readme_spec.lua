-- README's pieces of Lua run as they are printed: the client against a server in this process, the hooks on a handshake.
local akushu = require "akushu"
local connection = require "akushu.adapters.connection"
local pipes = require "spec.support.pipes"

local file <close> = assert(io.open "README.md")
local blocks = {}
for block in file:read("a"):gmatch "```lua\n(.-)```" do blocks[#blocks + 1] = block end

local ca = akushu.testca.new {}
local server = akushu.server { identity = ca:issue({ names = { "example.com" } }).identity }

-- A socket whose other end is a server that answers what it reads and says goodbye. cut: after so many bytes of the server's the stream ends; at_once: so
-- many bytes are read at a time.
local function other_end(cut, at_once)
  local hs, session, waiting, read, given = server:handshake(), nil, "", {}, 0
  local tcp = {}
  function tcp.settimeout() end
  function tcp.send(_, bytes)
    if not session then
      waiting = waiting .. (hs:step(bytes) or hs:pending())
      if hs.done then session = hs:session() end
      return #bytes
    end
    if bytes == "" then return 0 end
    local plain, _, failure = session:open(bytes)
    read[#read + 1] = plain or failure.code
    if plain then waiting = waiting .. session:seal "HTTP/1.0 200 OK\r\n\r\nhello" .. session:close_write() end
    return #bytes
  end
  function tcp.receive(_, most)
    local bytes = waiting:sub(1, math.min(at_once or most, cut and cut - given or most))
    waiting = waiting:sub(#bytes + 1)
    given = given + #bytes
    return nil, bytes == "" and "closed" or "timeout", bytes
  end
  return { connect = function(host, port) return host == "example.com" and port == 443 and tcp end, select = function() end }, read
end

-- Runs a piece with these globals beside the usual ones.
local function run(text, globals) return pcall(assert(load(text, "=README.md", "t", setmetatable(globals, { __index = _G })))) end

-- The client with this end of a socket, and these CAs instead of the system's; said: what it writes.
local function run_client(text, socket, trust)
  local modules = { akushu = setmetatable({ trust = { system = function() return trust end } }, { __index = akushu }), socket = socket }
  local said = {}
  local ok, message = run(text, { require = function(name) return modules[name] end, io = { write = function(s) said[#said + 1] = s end } })
  return ok, message, table.concat(said)
end

describe("README.md", function()
  it("has a client, the same over an adapter, and hooks", function() assert.equal(3, #blocks) end)

  it("its client asks, and gets its answer", function()
    local socket, read = other_end()
    local ok, message, said = run_client(blocks[1], socket, ca:trust())
    assert.is_true(ok, message)
    assert.equal("HTTP/1.0 200 OK\r\n\r\nhello", said)
    assert.equal("GET / HTTP/1.0\r\nHost: example.com\r\n\r\n", read[1])
    assert.equal("closed", read[#read])
  end)

  it("its client takes what comes a byte at a time, and a close_notify by itself", function()
    local ok, message, said = run_client(blocks[1], other_end(nil, 1), ca:trust())
    assert.is_true(ok, message)
    assert.equal("HTTP/1.0 200 OK\r\n\r\nhello", said)
  end)

  it("its client ends with the reason when it trusts somebody else", function()
    local socket, read = other_end()
    local ok, message = run_client(blocks[1], socket, akushu.testca.new({}):trust())
    assert.is_false(ok)
    assert.matches("no trusted CA vouches for the certificate", message)
    assert.same({}, read)
  end)

  it("its client ends when the stream does, wherever that is", function()
    for _, cut in ipairs { 0, 3, 100, 1100 } do
      local ok, message = run_client(blocks[1], other_end(cut), ca:trust())
      assert.is_false(ok)
      assert.matches("the stream ended without close_notify", message)
    end
  end)

  it("its client over an adapter asks, and gets its answer", function()
    local said, asked = {}, nil
    local tls = {}
    function tls.connect(host, port, context, o)
      assert.same({ "example.com", 443 }, { host, port })
      o.server_name = host
      local ours, theirs = pipes.pair()
      tls.peer = assert(connection.new(theirs, server))
      return connection.new(ours, context, o)
    end
    local function modules(name)
      return name == "akushu" and setmetatable({ trust = { system = function() return ca:trust() end } }, { __index = akushu }) or tls
    end
    pipes.run(function()
      local ok, message = run(blocks[2], { require = modules, io = { write = function(s) said[#said + 1] = s end } })
      assert.is_true(ok, message)
    end, function()
      asked = tls.peer:receive_until "\r\n\r\n"
      tls.peer:send "HTTP/1.0 200 OK\r\n\r\nhello"
      tls.peer:close()
    end)
    assert.equal("HTTP/1.0 200 OK\r\n\r\nhello", table.concat(said))
    assert.equal("GET / HTTP/1.0\r\nHost: example.com\r\n\r\n", asked)
  end)

  it("its hooks change the ClientHello, put an alert in, and watch", function()
    local seen = {}
    local client = akushu.client { trust = ca:trust(), versions = "1.2" }
    local hs, theirs = client:handshake { server_name = "example.com" }, server:handshake()
    local ok, message = run(blocks[3], { hs = hs, print = function(name) seen[#seen + 1] = name end })
    assert.is_true(ok, message)
    local answer = assert(theirs:step(assert(hs:start())))
    assert.is_false(theirs.extended_master_secret)
    local out = assert(hs:step(answer))
    assert.same({ "server_hello", "certificate", "server_key_exchange", "server_hello_done" }, seen)
    local types, at = {}, 1 -- of the records
    while at <= #out do types[#types + 1], at = out:byte(at), at + 5 + string.unpack(">I2", out, at + 3) end
    assert.same({ 22, 20, 21, 22 }, types) -- ClientKeyExchange, ChangeCipherSpec, the alert, Finished
    assert(theirs:step(out))
    assert.is_true(theirs.done)
  end)
end)
