--- The passive peer's key schedule up to TLS 1.2: the master secret from whatever key there is, the record keys from it, Finished.
local core = require "akushu.core"
local secrets = require "akushu.passive_secrets"
local crypto, record = core.crypto, core.record
local problem, note_secret, log, transcript, agree = secrets.problem, secrets.note, secrets.log, secrets.transcript, secrets.agree

local tls12 = {}

local function prf_hash(self) return self.version_number >= 0x0303 and self.suite_info.prf or "md5_sha1" end

local function expand12(self)
  local s, version = self.suite_info, self.version_number
  local mac = s.kind == "aead" and 0 or crypto.hashes()[s.mac]
  local iv = 0
  if s.kind == "aead" then iv = s.cipher:find "ChaCha20" and 12 or 4
  elseif s.kind == "cbc" and version <= 0x0301 then iv = s.cipher:find "DES" and 8 or 16 end
  local n = 2 * (mac + s.key_bytes + iv)
  local block = n > 0 and crypto.prf(prf_hash(self), self.master, "key expansion", self.server_random .. self.client_random, n) or ""
  note_secret(self, "key_block", block, { "master_secret" }, "key expansion")
  local at = 1
  local function take(k)
    at = at + k
    return block:sub(at - k, at - 1)
  end
  local keys = { client = {}, server = {} }
  for _, part in ipairs { { "mac_key", mac }, { "key", s.key_bytes }, { "iv", iv } } do
    for _, side in ipairs { "client", "server" } do keys[side][part[1]] = take(part[2]) end
  end
  self.next_keys = keys
end

local function set_master(self, master, from)
  self.master = note_secret(self, "master_secret", master, from)
  expand12(self)
end

local function premaster_of(self, cke)
  local kx = self.suite_info.kx
  if kx == "ecdhe" then
    if not self.server_share then return nil end
    return agree(self, self.server_share.group, cke.point, self.server_share.public), "the given ephemeral key"
  elseif kx == "rsa" then
    local encrypted = cke.encrypted_pre_master_secret
    for _, key in ipairs(self.server_keys) do
      local premaster = type(encrypted) == "string" and key:premaster(encrypted, self.client_version)
      if premaster then return premaster, "the server's key" end
    end
  elseif kx == "psk" then
    local psk = self.psks[cke.identity or cke.psk_identity or ""] or self.psks[1]
    if psk then return string.pack(">s2s2", ("\0"):rep(#psk), psk), "the pre-shared key" end
  end
  return nil
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
  local premaster, how = premaster_of(self, msg)
  if premaster then
    note_secret(self, "premaster_secret", premaster, { how })
    return set_master(self, master_from(self, premaster), { "premaster_secret" })
  end
  -- Given pre-master secrets: the right one shows at Finished.
  if #self.premasters > 0 and self.suite_info.kx == "rsa" then
    note_secret(self, "premaster_secret", self.premasters[1], { "what was given" })
    return set_master(self, master_from(self, self.premasters[1]), { "premaster_secret" })
  end
  problem(self, "client", "no key opens this " .. self.suite_info.kx .. " key exchange")
end

-- ServerHello was answered by ChangeCipherSpec: a session is resumed.
local function resume12(self)
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
  side.protect = nil
  if not keys then return end
  local ok, p = pcall(record.protect, self.suite, self.version_number, { open = true, etm = self.etm and self.suite_info.kind == "cbc",
    key = keys.key,
    iv = #keys.iv > 0 and keys.iv or nil, mac_key = #keys.mac_key > 0 and keys.mac_key or nil })
  if ok and p then side.protect = p else problem(self, from, "no record protection for " .. self.suite) end
end

function tls12.finished(self, from, body)
  if self.master then
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
