--- What a script proves with keys (script.lua): certificates, signatures, the key exchange that is signed, binders of pre-shared keys. Each is a message as a table,
-- in which every field can be changed before it is sent.
--
--     peer:send(peer:certificate(identity))
--     peer:send(peer:server_key_exchange { key = identity.key, group = "x25519" })          TLS 1.2 and before
--     peer:send(peer:certificate_verify(identity.key))
--     peer:send(peer:client_key_exchange { certificate = message })                         TLS 1.2 and before
--     peer:send(peer:bind(hello, { { identity = "me", key = bytes } }))                     TLS 1.3
--     peer:is_signed(message, certificate message)
local script_peer = require "akushu.script_peer"
local core = require "akushu.core"
local misuse = require "akushu.misuse"
local wire, crypto = core.wire, core.crypto

local Peer, other, is_13 = script_peer.class, script_peer.other, script_peer.is_13

-- ---- keys and schemes ----------------------------------------------------------------------------------------------------------

-- Before TLS 1.2 the kind of key says how it signs (RFC 4346 §7.4.3, RFC 8422 §5.4); from then on the first scheme that fits.
local function scheme_for(what, key, version, level)
  if version < 0x0303 then return key:fits("ecdsa_sha1", version) and "ecdsa_sha1" or "rsa_pkcs1_md5_sha1" end
  for _, s in ipairs(crypto.schemes()) do
    if key:fits(s.name, version) then return s.name end
  end
  error(("%s: no signature scheme fits this key"):format(what), level + 1)
end

local function version_of(self, what, level)
  return self.keys.version or error(("%s: the version is not known before the ServerHello"):format(what), level + 1)
end

local function check_scheme(what, scheme)
  if scheme ~= nil and not core.find_scheme(scheme) then error(("%s: no signature scheme '%s'"):format(what, tostring(scheme)), 3) end
end

-- ---- what is signed ---------------------------------------------------------------------------------------------------------------

-- RFC 8446 §4.4.3; RFC 5246 §7.4.8: the messages themselves.
local function verify_content(self, side, transcript)
  if not is_13(self) then return transcript end
  return (" "):rep(64) .. "TLS 1.3, " .. side .. " CertificateVerify\0" .. crypto.digest(self.keys.hash, transcript)
end

-- RFC 5246 §7.4.3: both randoms and the parameters as they are in the message.
local function exchange_content(self, message)
  local context = script_peer.context_of(self, "server", "server_key_exchange")
  local offset, length = wire.span(message, "params", context)
  return self.keys.client_random .. self.keys.server_random .. wire.encode(message, context):sub(offset + 1, offset + length)
end

local function named(scheme) return math.type(scheme) == "integer" and wire.name("schemes", scheme) or scheme end

-- ---- messages -----------------------------------------------------------------------------------------------------------------------

--- A Certificate message with the chain of an identity (of what issue gave, too), of a list of Certificates or DER, or of nobody ({}). context: TLS 1.3's
-- certificate_request_context ("").
function Peer:certificate(chain, context)
  local what, list = "peer:certificate", {}
  version_of(self, what, 2)
  if type(chain) == "table" and chain.identity then chain = chain.identity end
  if misuse.kind(chain) == "akushu.Identity" then chain = chain.chain end
  misuse.want(what, "table", "an identity or a list of certificates", chain)
  for i, c in ipairs(chain) do
    local der = misuse.kind(c) == "akushu.Certificate" and c.der or misuse.want(what, "string", "a Certificate or DER", c)
    list[i] = is_13(self) and { cert_data = der, extensions = {} } or der
  end
  return { type = "certificate", certificate_request_context = is_13(self) and (context or "") or nil, certificate_list = list }
end

--- A CertificateVerify of this side over the transcript as it is. key: a private key or an identity; scheme: by name or number, whether it fits the version or not.
function Peer:certificate_verify(key, scheme)
  local what = "peer:certificate_verify"
  local version = version_of(self, what, 2)
  check_scheme(what, scheme)
  key = script_peer.private_key_of(what, key)
  scheme = named(scheme) or scheme_for(what, key, version, 2)
  local signature, message = key:sign(scheme, verify_content(self, self.role, self:transcript_bytes()))
  if not signature then error(("%s: %s"):format(what, message), 2) end
  return { type = "certificate_verify", algorithm = version >= 0x0303 and scheme or nil, signature = signature }
end

local of_exchange = { key = true, scheme = true, group = true, dh = { "table", "{ p =, g = }" }, psk_identity_hint = { "string", "bytes" }, params = { "table", "a table" } }

--- A ServerKeyExchange with a fresh value of ours: o.group ("x25519"), or o.dh = { p =, g = } (both bytes) where the suite is one of DHE's; o.params: the parameters
-- as they are, instead. o.key: a private key or an identity that signs, by o.scheme; without it there is no signature (anonymous key exchange, PSK).
function Peer:server_key_exchange(o)
  local what = "peer:server_key_exchange"
  o = misuse.options(what, of_exchange, o)
  local version = version_of(self, what, 2)
  check_scheme(what, o.scheme)
  local params = o.params
  if not params and o.dh then
    self.dh = o.dh
    params = { dh_p = o.dh.p, dh_g = o.dh.g, dh_ys = misuse.blame(2, self.share, self, "dh") }
  elseif not params and self.keys.suite_info.kx ~= "psk" and self.keys.suite_info.kx ~= "rsa_psk" then
    local group = o.group or "x25519"
    params = { curve_type = "named_curve", named_curve = group, point = misuse.blame(2, self.share, self, group) }
  end
  local message = { type = "server_key_exchange", psk_identity_hint = self.keys.suite_info.kx:find "psk" and (o.psk_identity_hint or "") or nil, params = params }
  if not o.key then return message end
  local key = script_peer.private_key_of(what, o.key)
  local scheme = named(o.scheme) or scheme_for(what, key, version, 2)
  message.algorithm, message.signature = version >= 0x0303 and scheme or nil, ""
  local signature, why = key:sign(scheme, exchange_content(self, message))
  if not signature then error(("%s: %s"):format(what, why), 2) end
  message.signature = signature
  return message
end

local of_client_exchange = { certificate = { "table", "a certificate message" }, premaster = { "string", "bytes" }, block = { "string", "bytes" },
  group = true, psk_identity = { "string", "bytes" } }

--- A ClientKeyExchange for the suite and what the server has sent: a value of ours (o.group: another one than the server's), or a pre-master secret (o.premaster: this
-- one, right or wrong) under the key of o.certificate; o.block: a whole block of RSA instead, padded in whatever way (what the script computes with stays o.premaster);
-- o.psk_identity: whose key is in keys.psk.
function Peer:client_key_exchange(o)
  local what = "peer:client_key_exchange"
  o = misuse.options(what, of_client_exchange, o)
  version_of(self, what, 2)
  local kx = self.keys.suite_info.kx
  local message = { type = "client_key_exchange", psk_identity = kx:find "psk" and (o.psk_identity or "") or nil }
  if kx:find "^rsa" then
    if not o.certificate then error(what .. ": option 'certificate' is missing", 2) end
    message.encrypted_pre_master_secret = misuse.blame(2, self.premaster_for, self, o.certificate, o.premaster)
    if o.block then
      local encrypted, why = script_peer.public_key_of(what, o.certificate):encrypt(o.block, "block")
      message.encrypted_pre_master_secret = encrypted or error(("%s: option 'block': %s"):format(what, why), 2)
    end
  elseif kx ~= "psk" then
    local group = o.group or self.group or error(what .. ": no ServerKeyExchange has come", 2)
    message[kx:find "ecdhe" and "point" or "dh_yc"] = misuse.blame(2, self.share, self, group)
  end
  return message
end

--- Whether a CertificateVerify or ServerKeyExchange that was received is signed by the key of the certificate message. Call it as soon as it has come.
function Peer:is_signed(message, certificate)
  local what = "peer:is_signed"
  misuse.want(what, "table", "a message", message)
  local key = script_peer.public_key_of(what, certificate)
  local scheme = message.algorithm or scheme_for(what, key, version_of(self, what, 2), 2)
  if type(scheme) ~= "string" or type(message.signature) ~= "string" then return false end
  local content
  if message.type == "certificate_verify" then
    content = verify_content(self, other[self.role], table.concat(self.transcript, "", 1, #self.transcript - 1))
  elseif message.type == "server_key_exchange" then
    content = exchange_content(self, message)
  else
    error(what .. ": a certificate_verify or a server_key_exchange expected, got " .. tostring(message.type), 2)
  end
  return key:verify(scheme, content, message.signature) and true or false
end

-- ---- binders --------------------------------------------------------------------------------------------------------------------

local function binder(psk, truncated)
  local hash = psk.hash or "sha256"
  local binder_key = crypto.derive_secret(hash, crypto.hkdf_extract(hash, nil, psk.key), psk.resumption and "res binder" or "ext binder")
  local finished = crypto.hkdf_expand_label(hash, binder_key, "finished", "", crypto.hashes()[hash])
  return crypto.hmac(hash, finished, crypto.digest(hash, truncated))
end

--- A ClientHello with a pre_shared_key at its end that offers these keys, and their binders over what was said so far (RFC 8446 §4.2.11.2): psks is a list of
-- { identity =, key =, hash = "sha256", resumption = true for a ticket's, age = obfuscated_ticket_age (0) }. The first one is put into keys.psk. A pre_shared_key that is
-- there already gives way. Returns the hello.
function Peer:bind(hello, psks)
  misuse.want("peer:bind", "table", "a client_hello", hello)
  misuse.want("peer:bind", "table", "a list of { identity =, key = }", psks)
  local identities, binders, n = {}, {}, 2
  for i, psk in ipairs(psks) do
    local which = ("peer:bind: pre-shared key %d"):format(i)
    misuse.want(which, "table", "{ identity =, key = }", psk)
    misuse.want(which .. ": 'identity'", "string", "bytes", psk.identity)
    misuse.want(which .. ": 'key'", "string", "bytes", psk.key)
    local size = crypto.hashes()[psk.hash or "sha256"] or error(("%s: no hash '%s'"):format(which, tostring(psk.hash)), 2)
    identities[i], binders[i], n = { identity = psk.identity, obfuscated_ticket_age = psk.age or 0 }, ("\0"):rep(size), n + 1 + size
  end
  local kept = {}
  for _, e in ipairs(hello.extensions or {}) do
    if e.type ~= "pre_shared_key" and e.type ~= 41 then kept[#kept + 1] = e end
  end
  local data = { identities = identities, binders = binders }
  kept[#kept + 1] = { type = "pre_shared_key", data = data }
  hello.extensions = kept
  local bytes = misuse.blame(2, wire.encode, hello, script_peer.context_of(self, "client", "client_hello"))
  local truncated = self:transcript_bytes() .. bytes:sub(1, -n - 1)
  for i, psk in ipairs(psks) do binders[i] = binder(psk, truncated) end
  if psks[1] then self.keys.psk = psks[1].key end
  return hello
end
