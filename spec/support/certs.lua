-- Identities for specs, made by akushu.testca and kept for the whole process (RSA keys take their time), also as PEM files for real peers.
local akushu = require "akushu"
local peers = require "spec.support.peers"
local testca = require "akushu.testca"

local certs = {}

local authorities, made = {}, {}
local key_spec = { rsa = "rsa:2048", ecdsa = "ec:secp256r1" }

-- The root and the intermediate of a kind of key.
local function authority(kind)
  local a = authorities[kind]
  if not a then
    a = { root = testca.new { key = key_spec[kind], name = "spec root " .. kind } }
    a.intermediate = a.root:intermediate { key = key_spec[kind], name = "spec intermediate " .. kind }
    a.file = peers.tmpfile(a.root:pem(), "ca.pem")
    authorities[kind] = a
  end
  return a
end

local function files(issued, a)
  return {
    identity = issued.identity,
    chain = peers.tmpfile(issued.pem_chain, "chain.pem"),
    key = peers.tmpfile(issued.pem_key, "key.pem"),
    ca = a.file,
    trust = assert(akushu.trust { file = a.file }),
  }
end

local function cached(key, make)
  made[key] = made[key] or make()
  return made[key]
end

local day = 86400

-- A leaf for localhost under root and intermediate: { identity =, chain =, key =, ca = (file names), trust = (a store with the root) }.
-- kind: "rsa", "ecdsa", or a specification of a key ("ed25519" …), which an ECDSA CA vouches for;
-- variant: nil, "expired", "future", "wrong_host", "client", "named" (its subject says which kind it is, where NSS would take equal subjects for one).
function certs.leaf(kind, variant)
  return cached(kind .. (variant or ""), function()
    local a = authority(kind == "rsa" and "rsa" or "ecdsa")
    local o = { key = key_spec[kind] or kind, names = { "localhost", "127.0.0.1" } }
    local now = os.time()
    if variant == "expired" then
      o.not_before, o.not_after = now - 30 * day, now - day
    elseif variant == "future" then
      o.not_before, o.not_after = now + 10 * day, now + 30 * day
    elseif variant == "wrong_host" then
      o.names = { "other.example" }
    elseif variant == "client" then
      o.names, o.purpose = { "client.example" }, "client"
    elseif variant == "named" then
      o.name = kind .. " leaf"
    elseif variant then
      error("no variant " .. variant)
    end
    return files(a.intermediate:issue(o), a)
  end)
end

function certs.rsa(variant) return certs.leaf("rsa", variant) end
function certs.ecdsa(variant) return certs.leaf("ecdsa", variant) end

-- A certificate that signs itself and that nobody trusts; `ca` and `trust` are the others'.
function certs.self_signed(kind)
  kind = kind or "rsa"
  return cached("self" .. kind, function()
    return files(testca.self_signed { key = key_spec[kind], names = { "localhost", "127.0.0.1" } }, authority(kind))
  end)
end

return certs
