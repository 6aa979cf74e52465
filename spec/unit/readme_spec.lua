-- README's pieces of Lua run as they are printed: the client against a server in this process, the hooks on a handshake.
local akushu = require "akushu"

local file <close> = assert(io.open "README.md")
local blocks = {}
for block in file:read("a"):gmatch "```lua\n(.-)```" do blocks[#blocks + 1] = block end

local ca = akushu.testca.new {}
local server = akushu.server { identity = ca:issue({ names = { "example.com" } }).identity }

-- The other end of send() and receive(): a server that answers what it reads.
local function other_end()
  local hs, session, waiting, read = server:handshake(), nil, "", {}
  local function send(bytes)
    if not session then
      waiting = waiting .. (hs:step(bytes) or hs:pending())
      if hs.done then session = hs:session() end
      return
    end
    local plain, reply, failure = session:open(bytes)
    read[#read + 1] = plain or failure.code
    waiting = waiting .. (plain and reply .. session:seal "HTTP/1.0 200 OK\r\n\r\nhello" or "")
  end
  local function receive()
    local bytes = waiting
    waiting = ""
    return bytes
  end
  return send, receive, read
end

-- Runs a piece with these globals beside the usual ones.
local function run(text, globals) return pcall(assert(load(text, "=README.md", "t", setmetatable(globals, { __index = _G })))) end

-- akushu, but for the system's CAs.
local function with_cas(trust)
  local facade = setmetatable({ trust = { system = function() return trust end } }, { __index = akushu })
  return function(name) return name == "akushu" and facade or require(name) end
end

describe("README.md", function()
  it("has a client and hooks", function() assert.equal(2, #blocks) end)

  it("its client asks, and gets its answer", function()
    local send, receive, read = other_end()
    local said
    local ok, message = run(blocks[1] .. "\ntold(plain)", { send = send, receive = receive, require = with_cas(ca:trust()), told = function(s) said = s end })
    assert.is_true(ok, message)
    assert.equal("HTTP/1.0 200 OK\r\n\r\nhello", said)
    assert.same({ "GET / HTTP/1.0\r\n\r\n", "closed" }, read)
  end)

  it("its client ends with the reason when it trusts somebody else", function()
    local send, receive, read = other_end()
    local ok, message = run(blocks[1], { send = send, receive = receive, require = with_cas(akushu.testca.new({}):trust()) })
    assert.is_false(ok)
    assert.matches("no trusted CA vouches for the certificate", message)
    assert.same({}, read)
  end)

  it("its hooks change the ClientHello, put an alert in, and watch", function()
    local seen = {}
    local client = akushu.client { trust = ca:trust(), versions = "1.2" }
    local hs, theirs = client:handshake { server_name = "example.com" }, server:handshake()
    local ok, message = run(blocks[2], { hs = hs, print = function(name) seen[#seen + 1] = name end })
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
