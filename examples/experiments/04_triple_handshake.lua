-- Triple Handshake (2014), with and without extended master secret (RFC 7627).
--
-- A client talks to a server M that it has reason to talk to. M is a client of another server S at the same time, and gives S the client's
-- random, the client S's random and session id, and both the same pre-master secret (with RSA key exchange M may choose it: it decrypts
-- what the client sends, and encrypts it again for S). Both connections have one master secret, then, and everything that is bound to it (resumption,
-- exported keys, channel bindings) can be carried from one to the other. Extended master secret puts the certificates in as well.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"

local function triple(ems)
  local world = akushu.lab { seed = "the client and S" }
  local evil = akushu.lab { seed = "M" }
  local o = { versions = "1.2", suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" }, profile = "classic", extended_master_secret = ems, tickets = false }
  local function with(more)
    for k, v in pairs(o) do more[k] = v end
    return more
  end
  local master = {}
  local function log(who)
    return function(line) master[who] = line:match "^CLIENT_RANDOM %x+ (%x+)" or master[who] end
  end
  -- M's identity is an honest one: the client wants to talk to M.
  local m_identity = world:issue { names = { "m.example" }, key = "rsa" }
  local m_key = akushu.crypto.key(m_identity.key:reveal "der")
  local client = world:client(with { keylog = log "client" }):handshake { server_name = "m.example" }
  local s = world:server(with { keylog = log "S" }):handshake {}
  local m_client = evil:client(with { verify = false, keylog = log "M as client" }):handshake { server_name = "localhost" }
  local m_server = evil:server(with { identity = m_identity.identity, keylog = log "M as server" }):handshake {}

  local c_random, s_random, session_id, premaster
  m_client:on("compose", "client_hello", function(msg) msg.random = c_random end)
  m_server:on("compose", "server_hello", function(msg) msg.random, msg.session_id = s_random, session_id end)
  m_server:on("receive", "client_key_exchange", function(msg) premaster = m_key:premaster(msg.encrypted_pre_master_secret, 0x0303) end)

  local hello = assert(client:start())
  c_random = hello:sub(12, 43)
  local s_flight = assert(s:step(assert(m_client:start())))
  s_random = s_flight:sub(12, 43)
  session_id = s_flight:sub(45, 44 + s_flight:byte(44))
  local m_flight = assert(m_server:step(hello))
  local to_client = m_server:step(assert(client:step(m_flight)))
  assert(to_client, "the client's connection with M")
  assert(client:step(to_client))
  evil:give("premaster", premaster:sub(3)) -- what M encrypts for S is what the client chose
  assert(m_client:step(assert(s:step(assert(m_client:step(s_flight))))))
  assert(client.done and s.done and m_client.done and m_server.done)
  return master, client:session(), s:session()
end

lib.title "Without extended master secret"
local master, client, s = triple(false)
lib.columns { { "client", master.client }, { "M as server", master["M as server"] }, { "M as client", master["M as client"] }, { "S", master.S } }
lib.claim(master.client == master.S, "the client and S share a master secret, and have never spoken to each other")
lib.claim(client.client_random == s.client_random and client.server_random == s.server_random, "with the same randoms on both connections")
local function exported(session) return (session:export("EXPERIMENTAL", nil, 16)) end
local a, b = exported(client), exported(s)
if a then
  lib.claim(a == b, "and keys that are exported from the two connections are equal")
else
  lib.claim(b == nil, "akushu refuses to export keys from such a connection (RFC 7627 §5.4)")
end

lib.title "With extended master secret"
master, client, s = triple(true)
lib.columns { { "client", master.client }, { "M as server", master["M as server"] }, { "M as client", master["M as client"] }, { "S", master.S } }
lib.claim(master.client == master["M as server"] and master.S == master["M as client"], "each connection has a master secret")
lib.claim(master.client ~= master.S, "and it is not the same: the certificates are in it")
lib.claim(exported(client) ~= exported(s), "exported keys differ, too")
