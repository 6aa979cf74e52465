--- From a test's configuration to the context of one connection: what a peer of BoringSSL's does by default, and what the flags change of it.
local akushu = require "akushu"
local outcome = require "bogo.outcome"
local quit, expect = outcome.quit, outcome.expect

local contexts = {}

local suites = {
  0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc027, 0xc00a, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
}
local default_groups = { 29, 23, 24 }
local default_verify = { 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201 }
local default_sign = { 0x0807, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0203, 0x0201 }

local suites_with_psk = { 0xccac, 0xc035, 0xc036, 0x008c, 0x008d }

-- What an organisation allows, in whatever way it would have been configured otherwise (BoringSSL's SSL_set_compliance_policy).
local policies = {
  fips_202205 = {
    suites = { 0x1301, 0x1302, 0xc02b, 0xc02f, 0xc02c, 0xc030 }, groups = { 23, 24 },
    schemes = { 0x0401, 0x0501, 0x0601, 0x0403, 0x0503, 0x0804, 0x0805, 0x0806 },
  },
  wpa_202304 = { suites = { 0x1302, 0xc02c, 0xc030 }, groups = { 24 }, schemes = { 0x0503, 0x0501, 0x0601, 0x0805, 0x0806 } },
}

local function policy_of(c) return c.fips_202205 and policies.fips_202205 or c.wpa_202304 and policies.wpa_202304 end

-- The few cipher strings that the tests use.
local function suites_of(c)
  local cipher = c.cipher
  if not cipher then return c.psk and table.move(suites_with_psk, 1, #suites_with_psk, #suites + 1, table.move(suites, 1, #suites, 1, {})) or suites end
  local out = {}
  local function take(id)
    for _, have in ipairs(out) do
      if have == id then return end
    end
    out[#out + 1] = id
  end
  for _, id in ipairs { 0x1301, 0x1302, 0x1303 } do take(id) end
  local rules = {
    ["DEFAULT:!AES"] = function(name) return not name:find "AES" end,
    AES128 = function(name) return name:find "AES_128" end,
    ["ALL:3DES"] = function() return true end,
  }
  if rules[cipher] then
    for i = 4, #suites do
      if rules[cipher](akushu.wire.name("suites", suites[i])) then take(suites[i]) end
    end
  end
  if cipher:find "3DES" then take(0x000a) end -- off by default
  if #out > 3 then return out end
  -- [A|B]: of one rank
  for part in cipher:gmatch "[^:]+" do
    local rank = {}
    for name in part:gmatch "TLS_[%w_]+" do rank[#rank + 1] = akushu.wire.number("suites", name) or quit(outcome.NOT_IMPLEMENTED, "cipher %s", name) end
    if #rank > 0 then out[#out + 1] = rank end
  end
  if #out == 3 then quit(outcome.NOT_IMPLEMENTED, "cipher string %s", cipher) end
  return out
end

local function versions_of(c)
  if policy_of(c) then return 0x0303, 0x0304 end
  local aead = c.cipher and not c.cipher:find "3DES" -- every version that is named needs a suite
  local low = c.min_version or (aead and 0x0303 or not c.no_tls1 and 0x0301 or not c.no_tls11 and 0x0302 or 0x0303)
  local high = math.min(c.max_version or 0x0304, 0x0304)
  if (c.no_tls13 or c.psk and not c.psk_identity) and high == 0x0304 then high = 0x0303 end -- a PSK of TLS 1.3 has an identity
  if c.no_tls12 and high == 0x0303 then high = 0x0302 elseif c.no_tls12 and low < 0x0304 then low = 0x0304 end
  if c.no_tls11 and high == 0x0302 then high = 0x0301 end
  if low > high then quit(1, ":NO_SUPPORTED_VERSIONS_ENABLED:") end
  return low, high
end

--- The world of one test: what lives on between its connections.
local world = { time = os.time(), sessions = {}, ticket_keys = nil, verified = nil }
contexts.world = world
math.randomseed(world.time)

local function new_ticket_key()
  local key = {}
  for i = 1, 48 do key[i] = string.char(math.random(0, 255)) end
  return table.concat(key)
end

world.ticket_keys = new_ticket_key()

local function split_alpn(list)
  local out, at = {}, 1
  while at <= #list do out[#out + 1], at = string.unpack("s1", list, at) end
  return out
end

-- Groups that this libcrypto cannot do are left out: the tests list all that BoringSSL has and then speak of one of them.
local function groups_of(c)
  local out = {}
  for _, id in ipairs(c.curves or default_groups) do
    if akushu.supports("groups", id) then out[#out + 1] = id end
  end
  if #out == 0 then quit(outcome.NOT_IMPLEMENTED, "none of these groups") end
  return out
end

local function base_options(c, state)
  local low, high = versions_of(c)
  local policy = policy_of(c) or {}
  return {
    profile = low == 0x0300 and "lab" or nil,
    min_version = low,
    max_version = high,
    suites = policy.suites or suites_of(c),
    groups = policy.groups or groups_of(c),
    schemes = policy.schemes or c.verify_prefs or default_verify,
    signing_schemes = policy.schemes or c.signing_prefs or default_sign,
    security_level = 0,
    encrypt_then_mac = false,
    max_fragment = c.max_send_fragment,
    max_message = c.max_cert_list,
    tickets = not c.no_ticket,
    psk = c.psk and { identity = c.psk_identity or "", key = c.psk },
    clock = function() return world.time end,
    keylog = function(line)
      local label, secret = line:match "^(%S+) %S+ (%x+)$"
      if label then state.secrets[label] = secret:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end) end
    end,
  }
end

-- What BoringSSL's verification callback does: it is called for every chain, whoever vouches for it, and says what the flags say (once early data was refused, what they say
-- of the connection that is left).
local function decide(first, state)
  return function(_, hs)
    local c = hs.early_data == "refused" and state.retry or first
    expect(not state.verify_called, "a certificate was verified twice")
    state.verify_called = true
    if c.expect_ocsp_response then expect(hs.ocsp_response, "no OCSP response when the certificate is verified") end
    world.verified = not c.verify_fail
    if c.verify_fail and (c.verify_peer or c.require_any_client_certificate) then
      return false, c.use_custom_verify_callback and "certificate_unknown" or "handshake_failure"
    end
    if c.use_ocsp_callback and c.enable_ocsp_stapling and not c.server and c.fail_ocsp_callback then return false, "bad_certificate_status_response" end
    return "remember"
  end
end

--- -reverify-on-resume: the chain that a session brings along is verified before the handshake ends, as a new one is.
function contexts.reverify(c, state)
  local ask = decide(c, state)
  return function(_, ev)
    if not state.hs.resumed then return end
    local verdict, alert = ask(nil, state.hs)
    if verdict then return end
    state.refused = "certificate_rejected" -- that is what it is; to akushu it is a hook's whim
    ev:fail(alert)
  end
end

local function identity_of(c)
  if not c.cert_file then return nil end
  local identity, _, failure = akushu.identity { chain = c.cert_file, key = c.key_file, ocsp = not c.set_ocsp_in_callback and c.ocsp_response or nil,
    scts = c.signed_cert_timestamps }
  if not identity then outcome.failed(failure) end
  return identity
end

function contexts.renegotiates(c)
  return c.renegotiate_freely or c.renegotiate_once or c.renegotiate_explicit or c.forbid_renegotiation_after_handshake
end

function contexts.client(c, state)
  local o = base_options(c, state)
  o.padding = 512
  o.false_start = c.false_start and select(2, versions_of(c)) >= 0x0303 and versions_of(c) <= 0x0303
  o.trust, o.verify, o.on_untrusted = akushu.trust {}, "chain", decide(c, state)
  o.key_shares = { o.groups[1] }
  o.alpn = c.advertise_alpn and split_alpn(c.advertise_alpn)
  o.ocsp, o.sct = c.enable_ocsp_stapling, c.enable_signed_cert_timestamps
  o.fallback_scsv = c.fallback_scsv
  o.accept_any_alpn = c.allow_unknown_alpn_protos
  o.renegotiation = contexts.renegotiates(c) or not c.renegotiate_ignore and "fatal" or nil
  o.grease = c.enable_grease
  state.enabled_early = c.enable_early_data
  local identity = identity_of(c)
  o.on_identity = function()
    if c.fail_cert_callback then return false end
    return identity
  end
  return akushu.client(o)
end

local function choose_alpn(c)
  return function(names)
    if c.decline_alpn then return nil end
    if c.reject_alpn then return false end
    local packed = {}
    for i, name in ipairs(names) do packed[i] = string.pack("s1", name) end
    expect(not c.expect_advertised_alpn or table.concat(packed) == c.expect_advertised_alpn, "bad ALPN list")
    return c.select_empty_alpn and "" or c.select_alpn
  end
end

function contexts.server(c, state)
  local o = base_options(c, state)
  o.prefer = (c.cipher or c.server_preference) and "server" or "client"
  o.renegotiation = "fatal"
  o.strict_groups = true
  o.middlebox_compat = "always"
  o.early_data_window = 60
  o.grease = o.max_version >= 0x0304
  o.psk_hint = c.psk_identity
  if c.renew_ticket then world.ticket_keys = new_ticket_key() .. world.ticket_keys end
  o.ticket_keys = world.ticket_keys
  if c.enable_early_data and o.tickets and o.max_version >= 0x0304 then
    o.early_data, o.on_early_data = 14336, function() return true end
  end
  o.sessions = {
    get = function(id) return world.sessions[id] end,
    put = function(id, value)
      world.sessions[id] = value
      state.cached = state.cached or state.hs.version == "1.2"
    end,
    remove = function(id) world.sessions[id] = nil end,
  }
  if c.require_any_client_certificate or c.verify_peer then
    o.client_auth = c.require_any_client_certificate and "require" or "request"
    o.trust, o.verify, o.on_untrusted = akushu.trust {}, "chain", decide(c, state)
  end
  if c.select_alpn or c.decline_alpn or c.reject_alpn or c.select_empty_alpn then o.alpn = choose_alpn(c) end
  local identity = identity_of(c)
  o.on_identity = function(name)
    expect(not c.expect_server_name or name == c.expect_server_name, "server name mismatch")
    if c.fail_cert_callback then return false end
    return identity
  end
  if c.use_ocsp_callback then
    o.on_ocsp = function()
      if c.fail_ocsp_callback then return false end
      return not c.decline_ocsp_callback and c.ocsp_response or nil
    end
  end
  return akushu.server(o)
end

return contexts
