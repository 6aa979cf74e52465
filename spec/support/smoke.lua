-- One of everything, short, without a framework: what valgrind looks at (tools/sanitize). Raises when something is not as it should be.
package.path = "./?.lua;" .. package.path
local akushu = require "akushu"
local pump = require "spec.support.pump"
local testca = require "akushu.testca"

local function connect(client, server, options, chunk)
  local o = { server_name = "localhost" }
  for k, v in pairs(options or {}) do o[k] = v end
  return pump.run(client:handshake(o), server:handshake {}, { chunk = chunk })
end

local function talk(c, s)
  assert(pump.transfer(c, s, ("question "):rep(3000)) == ("question "):rep(3000))
  assert(pump.transfer(s, c, "answer", 1) == "answer")
end

local rsa = assert(akushu.private_key.generate "rsa:2048") -- one for all: under valgrind it takes its time
local ec = assert(akushu.private_key.generate "ec:secp256r1")

local function good(profile, key, more)
  local ca = testca.new { key = key }
  local leaf = ca:intermediate():issue { key = key, names = { "localhost" } }
  local client, server = { trust = ca:trust(), profile = profile }, { identity = leaf.identity, profile = profile }
  for k, v in pairs(more or {}) do client[k], server[k] = v, v end
  client, server = akushu.client(client), akushu.server(server)
  local c, s = connect(client, server)
  assert(c.session, c.message)
  talk(c, s)
  local resumption = assert(c.session:resumption())
  local again = assert(akushu.resumption(resumption:serialize()))
  c.session:close()
  s.session:close()
  c, s = connect(client, server, { session = again }, 7)
  assert(c.session and c.session.resumed, c.message)
  talk(c, s)
  local bye = c.session:close()
  s:deliver(bye)
  assert(s.failure and s.failure.code == "closed")
  -- And with nobody saying goodbye.
  c = connect(client, server)
  assert(c.session)
end

good("classic", rsa)
good("classic", rsa, { encrypt_then_mac = false, extended_master_secret = false, suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } })
good("modern", ec, { max_version = "1.2" })
good("modern", ec)

-- Failures of each kind: a stranger's certificate, garbage, damage, an early end, a hook that raises.
do
  local ca, other = testca.new { key = rsa }, testca.new {}
  local identity = ca:issue({ key = rsa, names = { "localhost" } }).identity
  local server = akushu.server { identity = identity, profile = "classic" }
  local stranger = akushu.client { trust = other:trust(), profile = "classic" }
  local client = akushu.client { trust = ca:trust(), profile = "classic" }
  local c, s = connect(stranger, server)
  assert(c.failure.code == "unknown_ca" and s.failure.code == "peer_alert")
  assert(not server:handshake {}:step(("x"):rep(100)))
  local hs = client:handshake { server_name = "localhost" }
  local hello = assert(hs:start())
  for at = 6, #hello, 5 do
    server:handshake {}:step(hello:sub(1, at - 1) .. string.char(hello:byte(at) ~ 0x55) .. hello:sub(at + 1))
  end
  assert(not hs:eof())
  hs = client:handshake { server_name = "localhost" }
  hs:on("send", "*", function() error "no" end)
  local ok, _, failure = hs:start()
  assert(not ok and failure.code == "hook_failed")
end
collectgarbage()
collectgarbage()
print "smoke: all as it should be"
