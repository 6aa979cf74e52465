-- The classic story of SSL, both roles in one process, told step by step with the real bytes.
--
--   lua5.4 examples/story.lua            make demo runs it, too
--   lua5.4 examples/story.lua --quick    without the measurements
--
-- This is a laboratory: it shows secrets. A program that is not one never calls reveal.
local here = arg and arg[0] and arg[0]:match "^(.*/)" or "./"
package.path = here .. "../lua/?.lua;" .. here .. "../lua/?/init.lua;" .. package.path
package.cpath = here .. "../build/lib/?.so;" .. package.cpath
local usage = [[
usage: story.lua [--quick]
Tells the classic handshake (TLS 1.2 with RSA key exchange) step by step, with real bytes: both sides live in this process.

  --quick   without the measurements at the end

AKUSHU_COLOR=1 in the environment: titles in bold.
]]
if arg[2] or arg[1] and arg[1] ~= "--quick" then
  if arg[1] == "--help" then
    io.stdout:write(usage)
    os.exit(0)
  end
  io.stderr:write(("story.lua: what is %s? (--help tells more)\n"):format(arg[2] or arg[1]))
  os.exit(2)
end
local found, akushu = pcall(require, "akushu")
if not found then
  io.stderr:write("story.lua: the Lua module 'akushu' cannot be loaded: ", tostring(akushu):match "[^\n]*", "\n")
  os.exit(1)
end

local quick = arg[1] == "--quick"
local bold, dim, off = "", "", ""
if os.getenv "TERM" and not os.getenv "NO_COLOR" and os.getenv "AKUSHU_COLOR" then bold, dim, off = "\27[1m", "\27[2m", "\27[0m" end

local function say(...) print(string.format(...)) end

local function title(...) say("\n%s%s%s", bold, string.format(...), off) end

local function hex(bytes, most)
  most = most or 32
  local shown = bytes:sub(1, most):gsub(".", function(c) return string.format("%02x", c:byte()) end)
  return #bytes > most and string.format("%s… (%d bytes)", shown, #bytes) or shown
end

local function field(name, value) say("    %-22s %s%s%s", name, dim, value, off) end

local function quoted(text) return '"' .. text:gsub("\r", "\\r"):gsub("\n", "\\n") .. '"' end

local function wrap(text)
  for line in text:gmatch "[^\n]+" do say("    %s", line) end
end

-- ---- the people of the story: a CA, a server with a certificate, a client that trusts the CA ------------------------------------

local ca = akushu.testca.new { name = "Story Root CA" }
local house = ca:intermediate { name = "Story House CA" }
local issued = house:issue { names = { "server.example" }, key = "rsa:2048" }

-- Session ids as in the first days; tickets came later.
local server = akushu.server { profile = "classic", versions = { "1.2" }, tickets = false, identity = issued.identity }
local client = akushu.client { profile = "classic", versions = { "1.2" }, tickets = false, trust = ca:trust() }

say("%s on %s: the classic handshake, TLS 1.2 with RSA key exchange", akushu._VERSION, akushu.libcrypto)
say "Both sides live in this process. Nothing here is secret, everything is shown."

-- ---- what is told of each message ------------------------------------------------------------------------------------------------

local tell = {}

function tell.client_hello(msg, resuming)
  title(resuming and "   ClientHello: the client begins, as one who has been here before" or "1. ClientHello: the client begins")
  field("client random", hex(msg.random))
  field("session id", msg.session_id == "" and "none: we have not met" or hex(msg.session_id) .. "  (we have met before)")
  if resuming then return end
  field("suites it can do", tostring(msg.cipher_suites[1]))
  for i = 2, #msg.cipher_suites do field("", tostring(msg.cipher_suites[i])) end
end

function tell.server_hello(msg, resuming)
  title(resuming and "   ServerHello: the server remembers" or "2. ServerHello: the server chooses")
  field("server random", hex(msg.random))
  field("suite", tostring(msg.cipher_suite))
  field("session id", msg.session_id == "" and "none" or hex(msg.session_id) .. (resuming and "  (the same: the session goes on)" or "  (to resume by)"))
end

function tell.certificate(msg)
  say "   … and shows its certificate chain:"
  for i, entry in ipairs(msg.certificate_list or {}) do
    local der = type(entry) == "table" and (entry.certificate or entry.cert_data) or entry
    local certificate = akushu.certificate(der)
    field("certificate " .. i, certificate and certificate.subject .. ", issued by " .. certificate.issuer or "?")
  end
end

function tell.server_hello_done() say "   ServerHelloDone: now it is the client's turn" end

function tell.client_key_exchange(msg, _, hs)
  title "4. ClientKeyExchange: a pre-master secret under the server's public key"
  local premaster = hs:secret "premaster"
  if premaster then field("pre-master secret", hex(premaster:reveal(), 48) .. "  (the version, and 46 random bytes)") end
  field("encrypted", hex(msg.encrypted_pre_master_secret or ""))
  say "   Only the server's private key opens it."
end

function tell.change_cipher_spec(_, _, _, who) say("   ChangeCipherSpec: from here on the %s speaks under the session keys", who) end

function tell.finished(msg, resuming, _, who)
  title("%s says Finished", who == "server" and "   The server" or resuming and "   The client" or "6. The client")
  field("verify_data", hex(msg.verify_data or "") .. "  (a proof over every message so far)")
end

local function narrate(hs, who, resuming)
  return hs:on("send", "*", function(msg, ev)
    local f = tell[ev.name]
    if f then f(msg, resuming, hs, who) end
  end)
end

-- ---- a handshake in memory ------------------------------------------------------------------------------------------------------------

local function join(c, s)
  local to_server = assert(c:start())
  assert(s:start())
  while not (c.done and s.done) do
    local to_client = assert(s:step(to_server))
    to_server = assert(c:step(to_client))
  end
  assert(s:step(to_server))
end

local function secrets_of(hs)
  hs:on("send", "finished", function()
    local master = hs:secret "master"
    if not master then return end
    title "5. Master secret and session keys, the same on both sides"
    say "   Made of the pre-master secret and both randoms: whoever does not have the first makes nothing of the others."
    field("master secret", hex(master:reveal(), 48))
    local block = hs:secret "key_block"
    if block then field("key block", hex(block:reveal(), 40)) end
  end)
end

local hc, hs = client:handshake { server_name = "server.example" }, server:handshake()
secrets_of(hc)
narrate(hc, "client")
narrate(hs, "server")
hc:on("receive", "server_hello_done", function()
  title "3. The client checks the certificate against its list of CAs"
  wrap(tostring(hc.report))
end)
join(hc, hs)
local session_c, session_s = assert(hc:session()), assert(hs:session())

title "7. Data travels under the symmetric session keys"
local text = "GET / HTTP/1.0\r\n\r\n"
local sealed = assert(session_c:seal(text))
field("the client says", quoted(text))
field("on the wire", hex(sealed, 40))
local plain = assert(session_s:open(sealed))
assert(plain == text)
field("the server reads", quoted(plain))
assert(session_c:open(assert(session_s:seal "HTTP/1.0 200 OK\r\n\r\nhello")) == "HTTP/1.0 200 OK\r\n\r\nhello")

title "8. close_notify: the end, and the keys are destroyed"
local resumption = assert(session_c:resumption())
local goodbye = assert(session_c:close())
field("on the wire", hex(goodbye))
local _, _, failure = session_s:open(goodbye)
assert(failure.code == "closed")
session_s:close()
_, _, failure = session_c:seal "more?"
assert(failure.code == "closed")
field("sealing afterwards", failure.message)
_, _, failure = hc:secret "master"
field("the master secret", failure.message)

-- ---- next time ---------------------------------------------------------------------------------------------------------------------------

title "9. Next time: the session id spares the costly part"
say "   Each side kept the master secret under the session id, for next time."
hc, hs = client:handshake { server_name = "server.example", session = resumption }, server:handshake()
narrate(hc, "client", true)
narrate(hs, "server", true)
join(hc, hs)
assert(hc.resumed and hs.resumed)
say "   No certificate, no public-key work: both still knew the master secret."
hc:session():close()
hs:session():close()

-- ---- the warning ---------------------------------------------------------------------------------------------------------------------------

title "And if no CA on the list vouches for the certificate?"
local stranger = akushu.testca.new { name = "Some Other CA" }
local asked
local wary = akushu.client { profile = "classic", versions = { "1.2" }, trust = stranger:trust(), on_untrusted = function(report)
  asked = report
  return false -- abort, which is the default, too
end }
hc, hs = wary:handshake { server_name = "server.example" }, server:handshake()
local out = assert(hs:step(assert(hc:start())))
local nothing, message, why = hc:step(out)
assert(nothing == nil and why.code == "unknown_ca" and asked)
say "   The user is warned and decides:"
wrap(tostring(asked))
field("the client", message)
field("tells the server", why.alert)

-- ---- why both kinds of cryptography -----------------------------------------------------------------------------------------------------------

if not quick then
  title "Why the protocol mixes both kinds of cryptography: what they cost here"
  local function measure(n, f)
    collectgarbage()
    local t = os.clock()
    for _ = 1, n do f() end
    return (os.clock() - t) / n * 1e6
  end
  local function handshake(resume)
    local a, b = client:handshake { server_name = "server.example", session = resume }, server:handshake()
    join(a, b)
    assert(a.resumed == (resume ~= nil))
    return a, b
  end
  local full = measure(100, function() handshake() end)
  local a, b = handshake()
  local sa, sb = a:session(), b:session()
  local again = sa:resumption()
  local short = measure(400, function() handshake(again) end)
  local block = string.rep("x", 16384)
  local record = measure(2000, function() sb:open(sa:seal(block)) end)
  field("full handshake", string.format("%8.0f µs for both sides: mostly public-key work", full))
  field("resumed handshake", string.format("%8.0f µs: none of it (%.1f times less)", short, full / short))
  field("16 KiB of data", string.format("%8.1f µs to seal and open: symmetric work", record))
  local key = akushu.crypto.key(issued.pem_key)
  local secret = "\3\3" .. string.rep("s", 46)
  local encrypted = key:encrypt(secret)
  local symmetric = akushu.record.protect("TLS_RSA_WITH_AES_128_GCM_SHA256", 0x0303, { key = string.rep("k", 16), iv = "salt" })
  local private = measure(100, function() assert(key:premaster(encrypted, 0x0303) == secret) end)
  local sealed_one = measure(20000, function() symmetric:seal(23, secret) end)
  field("48 bytes, private key", string.format("%8.0f µs to decrypt them with the server's RSA key", private))
  field("48 bytes, session key", string.format("%8.2f µs to seal them in a record: %.0f times less", sealed_one, private / sealed_one))
  field("so", string.format("one full handshake costs as much as moving %.1f MB", full / record * 16384 / 1e6))
end

title "And today?"
say "   TLS 1.3 tells the same story with better parts: the secret is agreed on with throw-away keys (ECDHE), so a server key that leaks later opens"
say "   nothing that was recorded; everything behind the ServerHello is encrypted; tickets take the session id's place. What its client sends and gets:"
local modern = akushu.client { versions = "1.3", trust = ca:trust() }
local house_today = akushu.server { versions = "1.3", identity = issued.identity }
hc, hs = modern:handshake { server_name = "server.example" }, house_today:handshake()
local order = {}
for gate, arrow in pairs { send = "→ ", receive = "← " } do
  hc:on(gate, "*", function(_, ev) order[#order + 1] = arrow .. ev.name end)
end
join(hc, hs)
field(string.format("TLS %s, %s", hc.version, hc.group), table.concat(order, "  "))

say "\nThe end."
