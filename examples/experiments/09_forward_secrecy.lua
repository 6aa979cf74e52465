-- Forward secrecy, with a server's key that leaks later.
--
-- Somebody records a conversation and waits. A year later he gets hold of the server's private key. With RSA key exchange the client has
-- sent the pre-master secret under that key: everything can be read. With (EC)DHE the key only signed: nothing can. What leaks then are
-- the ephemeral values, if somebody kept them. trace:readable says which bytes an observer with a given key can read.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"

local lab = akushu.lab { seed = "forward secrecy" }
local leaf = lab:issue { names = { "localhost" }, key = "rsa" }
local leaked = leaf.key:reveal "pem"

local function recorded(o)
  o.tickets = false
  local server = {}
  for k, v in pairs(o) do server[k] = v end
  server.identity = leaf.identity
  return lab:run(lab:client(o), lab:server(server), { data = { "What is the password?", "Swordfish." }, close = true })
end

-- The ephemeral private values that were drawn: what a careless (or forced) peer would have kept.
local function kept(trace)
  local out = {}
  for _, r in ipairs(trace:all("random", "key_share")) do out[#out + 1] = r.bytes end
  return out
end

lib.title "RSA key exchange"
local rsa = recorded { versions = "1.2", profile = "classic", suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } }
print(rsa:readable {})
lib.claim(rsa:readable({}).nothing, "without a key he reads none of the conversation")
local r = rsa:readable { server_key = leaked }
print(r)
lib.claim(r.everything and r.data.server == "Swordfish.", "with the server's key he reads all of it: %q", r.data.server)

lib.title "ECDHE, TLS 1.2"
local ecdhe = recorded { versions = "1.2", suites = { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" } }
r = ecdhe:readable { server_key = leaked }
print(r)
lib.claim(r.nothing, "with the server's key he reads nothing that was protected")
r = ecdhe:readable { ephemeral = kept(ecdhe) }
lib.claim(r.everything, "with an ephemeral value, had one been kept, all of it")

lib.title "TLS 1.3"
local tls13 = recorded { versions = "1.3", groups = { "x25519" } } -- not a hybrid with ML-KEM: one value is the whole private share
r = tls13:readable { server_key = leaked }
print(r)
lib.claim(r.nothing and r.bytes.protected > 1000, "with the server's key: nothing, not even the certificate")
r = tls13:readable { ephemeral = kept(tls13) }
lib.claim(r.everything, "with an ephemeral value: all of it")

lib.title "A pre-shared key, with and without a key exchange beside it"
for _, row in ipairs { { "psk_ke", true }, { "psk_dhe_ke", false } } do
  local o = { versions = "1.3", psk = { identity = "sensor 7", key = ("k"):rep(32) }, psk_modes = { row[1] } }
  local t = recorded(o)
  r = t:readable { psk = { ["sensor 7"] = ("k"):rep(32) } }
  lib.claim(t.ok and r.everything == row[2] and r.nothing == not row[2], "%s, and the key leaks: %s", row[1], row[2] and "all of it" or "nothing")
end
