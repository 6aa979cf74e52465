--- A key schedule that computes what it is asked for, and takes what it is given: TLS 1.0 to 1.2 and 1.3. For scripts (script.lua),
-- which speak the protocol by themselves.
--
--     keys.master_secret             computed from what is known; keys.master_secret = bytes puts another in its place. What a secret is called: secret_names.lua
--     keys:prf(secret, label, seed, n)   keys:expand_label(secret, label, context, n)   keys:finished "client"
--
-- Inputs, filled in by who sees the messages: version (number), suite (name), client_random, server_random, ems, etm, share (ours),
-- peer_public, rsa_premaster (RSA_PSK's), psk, client_hello (bytes), hashes { hello, server_finished, client_finished, client_key_exchange } (transcript hashes at those points).
local core = require "akushu.core"
local misuse = require "akushu.misuse"
local secret_names = require "akushu.secret_names"
local crypto, record = core.crypto, core.record

local keys = {}

local methods, compute = {}, {}

-- What was given and what was computed of it, each by a secret's short name (secret_names.lua).
local given, computed = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })
local short = secret_names.short

local Keys = { __name = "akushu.Keys" }

Keys.__index = function(self, name)
  if methods[name] then return methods[name] end
  name = short(name)
  local value = given[self][name]
  if value == nil then value = computed[self][name] end
  if value ~= nil or not compute[name] then return value end
  value = compute[name](self)
  computed[self][name] = value
  return value
end

-- What is put in its place is used from then on; what had been computed is computed anew.
Keys.__newindex = function(self, name, value)
  given[self][short(name)] = value
  computed[self] = {}
end

Keys.__pairs = function(self)
  local all = {}
  for _, part in ipairs { computed[self], given[self] } do
    for name, value in pairs(part) do all[secret_names.long(name)] = value end
  end
  return next, all, nil
end

function keys.new()
  local self = setmetatable({}, Keys)
  given[self], computed[self] = { hashes = {}, shares = {} }, {}
  return self
end

local suites

function compute.suite_info(self)
  if not suites then
    suites = {}
    for _, s in ipairs(crypto.suites()) do suites[s.name] = s end
  end
  return suites[self.suite] or error("keys: the suite is not known yet, or not one that can be computed with: " .. tostring(self.suite), 0)
end


function compute.hash_size(self) return crypto.hashes()[self.hash] end

local function need(self, name, why)
  local v = self[name]
  if v == nil then error(("keys: %s is not known, and is needed for %s"):format(name, why), 0) end
  return v
end

--- The hash of the PRF, or of HKDF.
function compute.hash(self) return need(self, "version", "its hash") >= 0x0303 and self.suite_info.prf or "md5_sha1" end

local function hash_at(self, point)
  return self.hashes[point] or error("keys: the handshake has not come as far as " .. point, 0)
end

--- The (EC)DHE secret of our share and the peer's value.
function compute.shared(self)
  local share = need(self, "share", "the shared secret")
  local secret, message = share:derive(need(self, "peer_public", "the shared secret"), self.version < 0x0304)
  return secret or error("keys: " .. message, 0)
end

-- ---- TLS 1.2 and before --------------------------------------------------------------------------------------------------------

-- RFC 4279 §2 to §4, RFC 5489 §2: with a pre-shared key, two parts.
function compute.premaster(self)
  local kx = self.suite and self.suite_info.kx or ""
  if not kx:find "psk" then return self.shared end
  local psk = need(self, "psk", "the pre-master secret")
  local first = kx == "psk" and ("\0"):rep(#psk) or kx == "rsa_psk" and need(self, "rsa_premaster", "the pre-master secret") or self.shared
  return string.pack(">s2s2", first, psk)
end

local function down(self, from, ikm) return crypto.hkdf_extract(self.hash, crypto.derive_secret(self.hash, from, "derived"), ikm) end

function compute.master(self)
  if need(self, "version", "the master secret") >= 0x0304 then return down(self, self.handshake, ("\0"):rep(self.hash_size)) end
  if self.ems then return crypto.prf(self.hash, self.premaster, "extended master secret", hash_at(self, "client_key_exchange"), 48) end
  return crypto.prf(self.hash, self.premaster, "master secret", self.client_random .. self.server_random, 48)
end

local function sizes(self)
  local s = self.suite_info
  local mac = s.kind == "aead" and 0 or crypto.hashes()[s.mac]
  local iv = 0
  if s.kind == "aead" then iv = s.cipher:find "ChaCha20" and 12 or 4
  elseif s.kind == "cbc" and self.version <= 0x0301 then iv = s.cipher:find "DES" and 8 or 16 end
  return mac, s.key_bytes, iv
end

function compute.key_block(self)
  local mac, key, iv = sizes(self)
  local n = 2 * (mac + key + iv)
  return n > 0 and crypto.prf(self.hash, self.master, "key expansion", self.server_random .. self.client_random, n) or ""
end

local function part_of_block(self, side)
  local out, at = {}, 1
  local mac, key, iv = sizes(self)
  for _, p in ipairs { { "mac_key", mac }, { "key", key }, { "iv", iv } } do
    local first = side == "client" and at or at + p[2]
    if p[2] > 0 then out[p[1]] = self.key_block:sub(first, first + p[2] - 1) end
    at = at + 2 * p[2]
  end
  return out
end

--- { mac_key, key, iv } of the records that each side writes.
function compute.client_keys(self) return part_of_block(self, "client") end
function compute.server_keys(self) return part_of_block(self, "server") end

-- ---- TLS 1.3 (RFC 8446 §7.1) -----------------------------------------------------------------------------------------------------

function compute.early(self) return crypto.hkdf_extract(self.hash, nil, self.psk) end

function compute.handshake(self) return down(self, self.early, self.shared) end

for name, row in pairs {
  client_handshake_traffic = { "handshake", "c hs traffic", "hello" },
  server_handshake_traffic = { "handshake", "s hs traffic", "hello" },
  client_application_traffic = { "master", "c ap traffic", "server_finished" },
  server_application_traffic = { "master", "s ap traffic", "server_finished" },
  exporter = { "master", "exp master", "server_finished" },
  resumption = { "master", "res master", "client_finished" },
} do
  compute[name] = function(self) return crypto.derive_secret(self.hash, self[row[1]], row[2], hash_at(self, row[3])) end
end

--- Early data's (RFC 8446 §7.1): over the ClientHello alone.
function compute.client_early_traffic(self)
  return crypto.derive_secret(self.hash, self.early, "c e traffic", crypto.digest(self.hash, need(self, "client_hello", "early data")))
end

-- ---- what a script calls ------------------------------------------------------------------------------------------------------------

local function check_side(what, side)
  if side ~= "client" and side ~= "server" then misuse.expected(what, "\"client\" or \"server\"", side, 3) end
end

--- The PRF of this connection's version and suite.
function methods:prf(secret, label, seed, n) return crypto.prf(self.hash, secret, label, seed, n) end

function methods:expand_label(secret, label, context, n) return crypto.hkdf_expand_label(self.hash, secret, label, context, n or
  self.hash_size) end

--- verify_data of one side's Finished over this transcript.
function methods:finished(side, transcript)
  check_side("keys:finished", side)
  misuse.want("keys:finished", "string", "the bytes of a transcript", transcript)
  local hashed = crypto.digest(self.hash, transcript)
  if self.version < 0x0304 then return self:prf(self.master, side .. " finished", hashed, 12) end
  return crypto.hmac(self.hash, self:expand_label(self[side .. "_handshake_traffic"], "finished", ""), hashed)
end

--- Record protection of TLS 1.2 and before for what `side` writes; open: to read it.
function methods:protection(side, open)
  check_side("keys:protection", side)
  local k = self[side .. "_keys"]
  return assert(record.protect(self.suite, self.version, { open = open, etm = self.etm and self.suite_info.kind == "cbc" or false,
    key = k.key,
    iv = k.iv, mac_key = k.mac_key }))
end

--- Record protection of TLS 1.3 under a traffic secret.
function methods:protection_of(secret, open)
  misuse.want("keys:protection_of", "string", "the bytes of a traffic secret", secret)
  return assert(record.protect(need(self, "suite", "record protection"), 0x0304, { secret = secret, open = open }))
end

return keys
