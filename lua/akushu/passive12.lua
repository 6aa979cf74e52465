--- The passive peer's key schedule up to TLS 1.2: the master secret from whatever key there is, the record keys from it, Finished.
local core = require "akushu.core"
local secrets = require "akushu.passive_secrets"
local crypto, record = core.crypto, core.record
local problem, note_secret, log, transcript, agree = secrets.problem, secrets.note, secrets.log, secrets.transcript, secrets.agree

local tls12 = {}

local function prf_hash(self) return self.version_number >= 0x0303 and self.suite_info.prf or "md5_sha1" end

-- Whether there were hellos that say what with, and a suite that can be opened: what is recorded may be anything, and hellos may come at any time.
local function ready(self) return self.suite_info and self.client_random and self.server_random end

-- What each side's records are protected with under this master secret, and the key block.
local function keys_of(self, master)
  local s, version = self.suite_info, self.version_number
  local mac = s.kind == "aead" and 0 or crypto.hashes()[s.mac]
  local iv = 0
  if s.kind == "aead" then iv = s.cipher:find "ChaCha20" and 12 or 4
  elseif s.kind == "cbc" and version <= 0x0301 then iv = s.cipher:find "DES" and 8 or 16 end
  local n = 2 * (mac + s.key_bytes + iv)
  local block = n > 0 and crypto.prf(prf_hash(self), master, "key expansion", self.server_random .. self.client_random, n) or ""
  local at = 1
  local function take(k)
    at = at + k
    return block:sub(at - k, at - 1)
  end
  local keys = { client = {}, server = {} }
  for _, part in ipairs { { "mac_key", mac }, { "key", s.key_bytes }, { "iv", iv } } do
    for _, side in ipairs { "client", "server" } do keys[side][part[1]] = take(part[2]) end
  end
  return keys, block
end

local function set_master(self, master, from)
  self.master = note_secret(self, "master_secret", master, from)
  local keys, block = keys_of(self, master)
  note_secret(self, "key_block", block, { "master_secret" }, "key expansion")
  self.next_keys = keys
end

local function take_premaster(self, c)
  note_secret(self, "premaster_secret", c[1], { c[2] })
  set_master(self, c.master, { "premaster_secret" })
end

-- The protection of one side's records, to open them; nil: there is none for this suite.
local function protection(self, keys)
  local ok, p = pcall(record.protect, self.suite, self.version_number, { open = true, etm = self.etm and self.suite_info.kind == "cbc", key = keys.key,
    iv = #keys.iv > 0 and keys.iv or nil, mac_key = #keys.mac_key > 0 and keys.mac_key or nil })
  return ok and p or nil
end

-- The pre-master secrets that the given keys can mean, each with how: several, as a key of RSA opens whatever it is given (to something random when it is the
-- wrong one, RFC 5246 §7.4.7.1), and given pre-master secrets do not say whose they are.
local function premasters_of(self, cke)
  local kx, out = self.suite_info.kx, {}
  local function add(value, how) if value then out[#out + 1] = { value, how } end end
  if kx:find "dhe" then
    if self.server_share then add(agree(self, self.server_share, cke.point or cke.dh_yc, self.server_share.public), "the given ephemeral key") end
  elseif kx:find "rsa" then
    local encrypted = cke.encrypted_pre_master_secret
    for _, key in ipairs(type(encrypted) == "string" and self.server_keys or {}) do add(key:premaster(encrypted, self.client_version), "the server's key") end
  end
  if kx:find "psk" then -- RFC 4279 §2 to §4, RFC 5489 §2
    local psk = self.psks[cke.psk_identity or ""] or self.psks[1]
    if kx == "psk" and psk then add(("\0"):rep(#psk), "the pre-shared key") end
    if not psk then out = {} end
    for _, c in ipairs(out) do c[1] = string.pack(">s2s2", c[1], psk) end
  end
  for _, premaster in ipairs(self.premasters) do add(premaster, "what was given") end
  return out
end

local function master_from(self, premaster)
  if self.ems then return crypto.prf(prf_hash(self), premaster, "extended master secret", crypto.digest(prf_hash(self),
    transcript(self)), 48) end
  return crypto.prf(prf_hash(self), premaster, "master secret", self.client_random .. self.server_random, 48)
end

-- After ClientKeyExchange.
function tls12.client_key_exchange(self, msg)
  local logged = log(self, "CLIENT_RANDOM") or self.masters[self.client_random]
  if logged then return set_master(self, logged, { "the key log" }) end
  local found = premasters_of(self, msg)
  if #found == 0 then return problem(self, "client", "no key opens this " .. self.suite_info.kx .. " key exchange") end
  for _, c in ipairs(found) do c.master = master_from(self, c[1]) end
  if #found == 1 then return take_premaster(self, found[1]) end
  self.next_keys = keys_of(self, found[1].master) -- so that ChangeCipherSpec sets the record protection up
  self.candidates = found
end

--- Of several pre-master secrets that may be the one: the one under which this side's first protected record opens.
function tls12.choose(self, from, bytes)
  local candidates = self.candidates
  self.candidates, self.client.choosing, self.server.choosing = nil, nil, nil
  if not ready(self) then return end
  for i, c in ipairs(candidates) do
    local p = protection(self, keys_of(self, c.master)[from])
    if i == #candidates or p and p:open(bytes) then
      take_premaster(self, c)
      self[from].protect = protection(self, self.next_keys[from])
      return
    end
  end
end

-- ServerHello was answered by ChangeCipherSpec: a session is resumed.
local function resume12(self)
  if not ready(self) then return end
  self.resumed = true
  local s = self.sessions
  local master = log(self, "CLIENT_RANDOM") or self.offered_ticket and s.tickets[self.offered_ticket] or s.ids[self.session_id] or
    self.masters[self.session_id]
  if master then set_master(self, master, { "the session that is resumed" }) else problem(self, "server",
    "the resumed session's master secret is not known") end
end

local function keep12(self)
  if not self.master then return end
  if self.session_id and #self.session_id > 0 then self.sessions.ids[self.session_id] = self.master end
  if self.new_ticket then self.sessions.tickets[self.new_ticket] = self.master end
end

function tls12.change_cipher_spec(self, from)
  if self.version_number == 0x0304 then return end
  if from == "server" and self.phase == "server_flight" then
    resume12(self)
    self.phase = "server_finish"
  end
  local side, keys = self[from], self.next_keys and self.next_keys[from]
  side.encrypted = true
  side.protect, side.choosing = nil, self.candidates ~= nil or nil
  if not keys then return end
  side.protect = protection(self, keys)
  if not side.protect then problem(self, from, "no record protection for " .. self.suite) end
end

function tls12.finished(self, from, body)
  if self.master and self[from].encrypted then -- before ChangeCipherSpec it says nothing
    local hash = prf_hash(self)
    local due = crypto.prf(hash, self.master, from .. " finished", crypto.digest(hash, transcript(self)), 12)
    self.finished[from] = due == body
    if due ~= body then problem(self, from, "verify_data of Finished is not what the master secret gives") end
  end
end

-- Whose turn it is after this Finished: in a full handshake the client's comes first.
function tls12.after_finished(self, from)
  if self.resumed then self.phase = from == "server" and "client_finish" or "open"
  else self.phase = from == "client" and "server_finish" or "open" end
  if self.phase == "open" then keep12(self) end
end

return tls12
