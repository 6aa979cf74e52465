--- Messages with sensible fields, for scripts (script.lua): every field can be given, left out, or be wrong.
local script_peer = require "akushu.script_peer"
local misuse = require "akushu.misuse"

local Peer, other = script_peer.class, script_peer.other

local function extension(name, data) return { type = name, data = data } end

-- What goes into the message as it is may be of any kind (the codec says what it cannot be); what is looked at here may not.
local a_list, a_table = { "table", "a list" }, { "table", "a table" }
local of_hello = {
  client_hello = { suites = true, groups = a_list, schemes = true, server_name = true, versions = true, shares = a_list, extensions = true, more = a_list, fields = a_table },
  server_hello = { suite = true, version = true, group = true, extended_master_secret = true, session_id = true, extensions = true, more = a_list, fields = a_table },
}

-- An option that nobody knows would be left out without a word: another message than was meant.
local function check(what, o)
  if type(o) == "table" then
    for name in pairs(o) do
      if not of_hello[what][name] then error(("peer:%s: unknown option '%s' (a field of the message goes into 'fields')"):format(what, tostring(name)), 3) end
    end
  end
  return misuse.options("peer:" .. what, of_hello[what], o) -- a tail call: its caller is the method
end

local function merged(fields, o)
  for k, v in pairs(o) do fields[k] = v end
  return fields
end

--- A ClientHello: o.suites, groups, schemes, server_name, versions (e.g. { "TLS 1.3" }: then with key shares, for o.shares), extensions
-- (all of them, instead), more (added after those), fields (any field of the message).
function Peer:client_hello(o)
  o = check("client_hello", o)
  local groups = o.groups or { "x25519", "secp256r1" }
  local list = {}
  if o.server_name then
    list[#list + 1] = extension("server_name", { server_name_list = { { name_type = "host_name", host_name = o.server_name } } })
  end
  list[#list + 1] = extension("supported_groups", { named_group_list = groups })
  list[#list + 1] = extension("signature_algorithms", { supported_signature_algorithms = o.schemes or { "ecdsa_secp256r1_sha256",
    "rsa_pss_rsae_sha256", "ed25519", "rsa_pkcs1_sha256" } })
  if o.versions then
    list[#list + 1] = extension("supported_versions", { versions = o.versions })
    local shares = {}
    for i, group in ipairs(o.shares or { groups[1] }) do shares[i] = { group = group, key_exchange = misuse.blame(2, self.share, self, group) } end
    list[#list + 1] = extension("key_share", { key_shares = shares })
    list[#list + 1] = extension("psk_key_exchange_modes", { ke_modes = { "psk_dhe_ke" } })
  else
    list[#list + 1] = extension("extended_master_secret", "")
    list[#list + 1] = extension("renegotiation_info", "\0")
  end
  for _, e in ipairs(o.more or {}) do list[#list + 1] = e end
  local fields = { type = "client_hello", legacy_version = "TLS 1.2", random = self:random("client_random", 32), session_id = "",
    cipher_suites = o.suites or (o.versions and { "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256" }) or
      { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256" },
    compression_methods = { "null" }, extensions = o.extensions or list }
  return merged(fields, o.fields or {})
end

--- A ServerHello: o.suite, version ("TLS 1.3": with a key share for o.group), extensions, more, fields. The session id is the client's
-- in TLS 1.3.
function Peer:server_hello(o)
  o = check("server_hello", o)
  local list = {}
  if o.version == "TLS 1.3" then
    list[#list + 1] = extension("supported_versions", { selected_version = "TLS 1.3" })
    list[#list + 1] = extension("key_share", { group = o.group or "x25519", key_exchange = misuse.blame(2, self.share, self, o.group or "x25519") })
  elseif o.extended_master_secret ~= false then
    list[#list + 1] = extension("extended_master_secret", "")
  end
  for _, e in ipairs(o.more or {}) do list[#list + 1] = e end
  local fields = { type = "server_hello", legacy_version = "TLS 1.2", random = self:random("server_random", 32),
    session_id = o.session_id or o.version == "TLS 1.3" and self.client_session_id or "",
    cipher_suite = o.suite or error("server_hello: 'suite' is missing", 2), compression_method = "null", extensions = o.extensions or list }
  return merged(fields, o.fields or {})
end

-- RSA_PSK's is one part of the pre-master secret (RFC 4279 §4), the other key exchange's all of it.
local function keep_premaster(k, value)
  local psk = k.suite and k.suite_info.kx == "rsa_psk"
  k.rsa_premaster, k.premaster_secret = psk and value or nil, not psk and value or nil
end

--- RSA key exchange: makes a pre-master secret (or takes this one), and returns it encrypted under the key of the server's certificate.
function Peer:premaster_for(certificate, premaster)
  local key = script_peer.public_key_of("peer:premaster_for", certificate)
  local k = self.keys
  premaster = premaster or string.pack(">I2", k.client_version) .. self:random("premaster", 46)
  keep_premaster(k, premaster)
  return assert(key:encrypt(premaster))
end

--- RSA key exchange, the server's side: the pre-master secret in a ClientKeyExchange, opened with the key of its certificate (as peer:certificate_verify takes it); something
-- random when it is none (RFC 5246 §7.4.7.1), so that the other side's Finished tells. Kept for the key schedule.
function Peer:premaster_in(message, key)
  misuse.want("peer:premaster_in", "table", "a client_key_exchange", message)
  key = script_peer.private_key_of("peer:premaster_in", key)
  local premaster = assert(key:premaster(message.encrypted_pre_master_secret, self.keys.client_version))
  keep_premaster(self.keys, premaster)
  return premaster
end

--- The Finished message of this side (or of `side`) over the transcript as it is.
function Peer:finished(side)
  if side ~= nil and side ~= "client" and side ~= "server" then misuse.expected("peer:finished", "\"client\" or \"server\"", side) end
  return { type = "finished", verify_data = self.keys:finished(side or self.role, self:transcript_bytes()) }
end

--- Whether a Finished that was received is right. Call it with the message as soon as it has come.
function Peer:is_finished(msg)
  misuse.want("peer:is_finished", "table", "a finished message", msg)
  local all = {}
  for i = 1, #self.transcript - 1 do all[i] = self.transcript[i] end
  return msg.verify_data == self.keys:finished(other[self.role], table.concat(all))
end
