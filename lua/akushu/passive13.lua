--- The passive peer's key schedule of TLS 1.3 (RFC 8446 §7.1): from pre-shared keys, private values or the key log to traffic keys, Finished, tickets.
local core = require "akushu.core"
local secrets = require "akushu.passive_secrets"
local crypto, record = core.crypto, core.record
local problem, note_secret, log, transcript, agree = secrets.problem, secrets.note, secrets.log, secrets.transcript, secrets.agree

local tls13 = {}

--- From here on this side sends under keys of this secret; nil: it is not known.
function tls13.keyed(self, from, secret)
  local side = self[from]
  side.encrypted, side.secret, side.protect = true, secret, nil
  if secret then side.protect = assert(record.protect(self.suite, 0x0304, { secret = secret, open = true })) end
end

local function hash13(self) return crypto.digest(self.suite_info.prf, transcript(self)) end

local function psk_of(self, index)
  local identity = self.offered_psks and self.offered_psks[index + 1]
  return identity and (self.sessions.psks[identity] or self.psks[identity]) or self.psks[1]
end

local function derived(self, base, label, name, keylog_label)
  local logged = keylog_label and log(self, keylog_label)
  if logged then return note_secret(self, name, logged, { "the key log" }) end
  if not self.secrets[base] then return nil end
  return note_secret(self, name, crypto.derive_secret(self.suite_info.prf, self.secrets[base], label, hash13(self)), { base }, label)
end

local function down(self, from, ikm, to)
  local hash = self.suite_info.prf
  if not self.secrets[from] or not ikm then return end
  note_secret(self, to, crypto.hkdf_extract(hash, crypto.derive_secret(hash, self.secrets[from], "derived"), ikm), { from })
end

local function early_secret(self, psk, hash)
  note_secret(self, "early_secret", crypto.hkdf_extract(hash, nil, psk), { psk == nil and "no pre-shared key" or "the pre-shared key" })
end

-- The keys of early data, once it is known that the server takes it.
local function early_keys(self)
  local secret = log(self, "CLIENT_EARLY_TRAFFIC_SECRET")
  if not secret and self.secrets.early_secret then
    secret = crypto.derive_secret(self.suite_info.prf, self.secrets.early_secret, "c e traffic", crypto.digest(self.suite_info.prf,
      self.hello_bytes))
  end
  if secret then note_secret(self, "client_early_traffic_secret", secret, { "early_secret" }) end
  return secret
end

function tls13.handshake_keys(self, hello)
  local hash = self.suite_info.prf
  local selected = hello.extensions:find "pre_shared_key"
  local psk
  if selected then
    self.resumed = true
    psk = psk_of(self, tonumber(selected.data.selected_identity) or 0)
  end
  if psk or not selected then early_secret(self, psk, hash) end
  local share = hello.extensions:find "key_share"
  local shared
  if share then
    local entry = share.data.server_share or share.data
    local group, public = entry.group, entry.key_exchange
    self.group = group
    local theirs = self.client_shares and self.client_shares[group]
    shared = theirs and agree(self, { group = group }, theirs, public)
    if shared then note_secret(self, "shared_secret", shared, { "the given ephemeral key" }) end
  else
    shared = ("\0"):rep(crypto.hashes()[hash]) -- psk_ke: RFC 8446 §7.1
  end
  down(self, "early_secret", shared, "handshake_secret")
  self.client_handshake_secret = derived(self, "handshake_secret", "c hs traffic", "client_handshake_traffic_secret",
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
  tls13.keyed(self, "server", derived(self, "handshake_secret", "s hs traffic", "server_handshake_traffic_secret",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET"))
  if not self.server.secret then problem(self, "server", "no key gives the handshake traffic secrets") end
end

function tls13.finished(self, from, body)
  local secret = from == "server" and self.server.secret or self.client_handshake_secret
  if secret then
    local hash = self.suite_info.prf
    local key = crypto.hkdf_expand_label(hash, secret, "finished", "", crypto.hashes()[hash])
    self.finished[from] = crypto.hmac(hash, key, hash13(self)) == body
    if not self.finished[from] then problem(self, from, "verify_data of Finished is not what the traffic secret gives") end
  end
end

function tls13.after_server_finished(self)
  local zeros = ("\0"):rep(crypto.hashes()[self.suite_info.prf])
  down(self, "handshake_secret", zeros, "master_secret")
  self.client_application_secret = derived(self, "master_secret", "c ap traffic", "client_application_traffic_secret_0",
    "CLIENT_TRAFFIC_SECRET_0")
  local server = derived(self, "master_secret", "s ap traffic", "server_application_traffic_secret_0", "SERVER_TRAFFIC_SECRET_0")
  derived(self, "master_secret", "exp master", "exporter_master_secret", "EXPORTER_SECRET")
  tls13.keyed(self, "server", server)
  self.phase = "client_flight"
  if self.early_accepted then tls13.keyed(self, "client", early_keys(self)) else tls13.keyed(self, "client", self.client_handshake_secret) end
end

function tls13.after_client_finished(self)
  if self.secrets.master_secret then
    note_secret(self, "resumption_master_secret",
      crypto.derive_secret(self.suite_info.prf, self.secrets.master_secret, "res master", hash13(self)), { "master_secret" }, "res master")
  end
  tls13.keyed(self, "client", self.client_application_secret)
  self.phase, self.handshake_transcript = "open", transcript(self)
  for _, t in ipairs(self.waiting_tickets or {}) do t() end
  self.waiting_tickets = nil
end

-- ---- authentication after the handshake (RFC 8446 §4.6.2) -------------------------------------------------------------------------

local answers = { certificate = true, compressed_certificate = true, certificate_verify = true, finished = true }

--- Whether a message of this name belongs to it now.
function tls13.is_later(self, name)
  if self.version_number ~= 0x0304 then return false end
  return self.phase == "open" and answers[name] or name == "certificate_request" and (self.phase == "open" or self.phase == "client_flight") or false
end

--- A request: it is answered later, and others may be answered before it.
function tls13.asked_later(self, bytes) table.insert(self.requests, bytes) end

--- A message of an answer, which Finished ends.
function tls13.answered_later(self, name, bytes)
  if name == "certificate" or name == "compressed_certificate" then self.answer = { bytes }
  elseif name == "certificate_verify" then table.insert(self.answer, bytes)
  elseif name == "finished" then self.answer = {} end
end

--- Finished of an answer: over the handshake's transcript, the request, which is any of those not yet answered, and the answer, with the client's traffic secret of now
-- (RFC 8446 §4.4).
function tls13.finished_later(self, body)
  if not self.client.secret then return end
  local hash = self.suite_info.prf
  local key = crypto.hkdf_expand_label(hash, self.client.secret, "finished", "", crypto.hashes()[hash])
  self.finished.client = false
  for i, request in ipairs(self.requests) do
    local covered = self.handshake_transcript .. request .. table.concat(self.answer)
    if crypto.hmac(hash, key, crypto.digest(hash, covered)) == body then
      self.finished.client = true
      table.remove(self.requests, i)
      break
    end
  end
  if not self.finished.client then problem(self, "client", "verify_data of a Finished after the handshake fits no request") end
end

function tls13.ticket(self, msg)
  local function keep()
    local base = self.secrets.resumption_master_secret
    if not base or type(msg.ticket) ~= "string" then return end
    local hash = self.suite_info.prf
    self.sessions.psks[msg.ticket] = crypto.hkdf_expand_label(hash, base, "resumption", msg.ticket_nonce, crypto.hashes()[hash])
  end
  if self.phase == "open" then keep() else
    self.waiting_tickets = self.waiting_tickets or {}
    table.insert(self.waiting_tickets, keep)
  end
end

function tls13.key_update(self, from)
  local hash, secret = self.suite_info.prf, self[from].secret
  if secret then tls13.keyed(self, from, crypto.hkdf_expand_label(hash, secret, "traffic upd", "", crypto.hashes()[hash])) end
end

return tls13
