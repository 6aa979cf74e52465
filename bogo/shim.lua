--- A shim for BoringSSL's test runner: one process per test, a peer that the runner drives over loopback (bogo/README.md).
--
-- A table from flag to setter, one function per phase of a connection, one table from our failure codes to the error strings that the runner expects.
-- All on akushu's public API and LuaSocket.
local akushu = require "akushu"
local socket = require "socket"
local mime = require "mime"

local NOT_IMPLEMENTED = 89

-- ---- how a test ends ---------------------------------------------------------------------------------------------------------

local function quit(code, ...)
  if select("#", ...) > 0 then io.stderr:write(string.format(...), "\n") end
  os.exit(code, true)
end

-- A test's expectation that was not met is raised as this; everything else that is raised is a mistake of the shim's, and fails the test as well.
local Mismatch = { __name = "shim.Mismatch", __tostring = function(self) return self.text end }

local function mismatch(...) error(setmetatable({ text = string.format(...) }, Mismatch), 0) end

local function expect(condition, ...)
  if not condition then mismatch(...) end
end

-- Failures travel as errors, too: the alert has been sent when one is raised.
local Failed = { __name = "shim.Failed" }

-- ---- failure codes and what the runner calls them ---------------------------------------------------------------------------------

local strings = dofile((arg[0]:match "^(.*/)" or "./") .. "errors.lua")

local function error_string(failure)
  if failure.code ~= "peer_alert" then return strings.codes[failure.code] or failure.code:upper() end
  local alert = failure.alert
  return failure.state == "wait_server_hello" and strings.alerts_to_hello[alert] or strings.alerts[alert] or "TLSV1_ALERT_" .. tostring(alert):upper()
end

-- ---- flags ------------------------------------------------------------------------------------------------------------------------

local function set(name) return function(config) config[name] = true end, false end

local function text(name) return function(config, value) config[name] = value end, true end

local function number(name)
  return function(config, value) config[name] = math.tointeger(tonumber(value)) or quit(1, "a number expected: %s", value) end, true
end

local function numbers(name)
  return function(config, value)
    config[name] = config[name] or {}
    table.insert(config[name], math.tointeger(tonumber(value)) or quit(1, "a number expected: %s", value))
  end, true
end

local function base64(name) return function(config, value) config[name] = mime.unb64(value) or "" end, true end

local function nothing() return function() end, false end

local flags = {}

local function flag(name, kind, field)
  local setter, takes_value = kind(field or name:gsub("-", "_"))
  flags[name] = { set = setter, takes_value = takes_value }
end

for _, name in ipairs {
  "server", "ipv6", "async", "fallback-scsv", "require-any-client-certificate", "verify-peer", "verify-fail", "expect-verify-result", "no-ticket", "no-tls12", "no-tls13",
  "shim-writes-first", "shim-shuts-down", "check-close-notify", "enable-ocsp-stapling", "enable-signed-cert-timestamps", "use-ocsp-callback", "set-ocsp-in-callback",
  "decline-ocsp-callback", "fail-ocsp-callback", "fail-cert-callback", "fail-early-callback", "expect-session-miss", "expect-no-session-id", "expect-session-id",
  "expect-no-session", "expect-ticket-renewal", "expect-extended-master-secret", "expect-secure-renegotiation", "expect-hrr", "expect-no-hrr", "enable-early-data",
  "expect-ticket-supports-early-data", "expect-accept-early-data", "expect-reject-early-data", "expect-no-offer-early-data", "decline-alpn", "reject-alpn",
  "select-empty-alpn", "tls-unique", "send-alert", "key-update", "renegotiate-ignore", "read-with-unfinished-write", "export-traffic-secrets", "use-export-context",
  "use-custom-verify-callback", "false-start", "allow-false-start-without-alpn", "handshake-never-done", "allow-unknown-alpn-protos", "no-tls1", "no-tls11",
} do flag(name, set) end

-- An extra handshake call and BoringSSL's early callback have nothing to correspond to in an API without I/O.
for _, name in ipairs { "no-op-extra-handshake", "use-early-callback" } do flag(name, nothing) end

for _, name in ipairs {
  "key-file", "cert-file", "trust-cert", "host-name", "expect-server-name", "advertise-alpn", "expect-alpn", "select-alpn", "expect-advertised-alpn", "cipher",
  "export-label", "export-context", "expect-peer-cert-file", "expect-early-data-reason", "expect-msg-callback", "use-client-ca-list", "expect-client-ca-list",
} do flag(name, text) end

for _, name in ipairs {
  "port", "shim-id", "resume-count", "min-version", "max-version", "expect-version", "expect-peer-signature-algorithm", "expect-curve-id", "expect-cipher",
  "expect-cipher-aes", "expect-cipher-no-aes", "export-keying-material", "resumption-delay", "expect-ticket-age-skew", "max-cert-list", "max-send-fragment",
  "read-size", "early-write-after-message",
} do flag(name, number) end

for _, name in ipairs { "curves", "signing-prefs", "verify-prefs", "expect-peer-verify-pref" } do flag(name, numbers) end

for _, name in ipairs { "ocsp-response", "expect-ocsp-response", "signed-cert-timestamps", "expect-signed-cert-timestamps", "expect-certificate-types" } do flag(name, base64) end

local prefixes = { ["on-initial-"] = { "initial" }, ["on-resume-"] = { "resume" }, ["on-retry-"] = { "retry" } }

--- The three configurations of a test: the first connection, those after it, and what is left of one whose early data was refused.
local function parse(args)
  local configs = { initial = {}, resume = {}, retry = {} }
  local i = 1
  while i <= #args do
    local name = args[i]:match "^%-(.+)$"
    local entry, targets = flags[name], { "initial", "resume", "retry" }
    for prefix, of in pairs(prefixes) do
      if not entry and name and name:sub(1, #prefix) == prefix then entry, targets = flags[name:sub(#prefix + 1)], of end
    end
    if not entry then quit(NOT_IMPLEMENTED, "not implemented: %s", args[i]) end
    local value
    if entry.takes_value then
      i = i + 1
      value = args[i] or quit(1, "%s needs a value", name)
    end
    for _, which in ipairs(targets) do entry.set(configs[which], value) end
    i = i + 1
  end
  return configs
end

-- ---- what a peer of BoringSSL's does by default ------------------------------------------------------------------------------------

local suites = {
  0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc027, 0xc00a, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
}
local default_groups = { 29, 23, 24 }
local default_verify = { 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201 }
local default_sign = { 0x0807, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0203, 0x0201 }

-- The few cipher strings that the tests use.
local function suites_of(cipher)
  if not cipher then return suites end
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
  }
  if rules[cipher] then
    for i = 4, #suites do
      if rules[cipher](akushu.wire.name("suites", suites[i])) then take(suites[i]) end
    end
    return out
  end
  -- [A|B]: of one rank
  for part in cipher:gmatch "[^:]+" do
    local rank = {}
    for name in part:gmatch "TLS_[%w_]+" do rank[#rank + 1] = akushu.wire.number("suites", name) or quit(NOT_IMPLEMENTED, "cipher %s", name) end
    if #rank > 0 then out[#out + 1] = rank end
  end
  if #out == 3 then quit(NOT_IMPLEMENTED, "cipher string %s", cipher) end
  return out
end

local function versions_of(c)
  local low, high = c.min_version or (c.cipher and 0x0303 or not c.no_tls1 and 0x0301 or not c.no_tls11 and 0x0302 or 0x0303), math.min(c.max_version or 0x0304, 0x0304)
  if c.no_tls13 and high == 0x0304 then high = 0x0303 end
  if c.no_tls12 and high == 0x0303 then high = 0x0302 elseif c.no_tls12 and low < 0x0304 then low = 0x0304 end
  if c.no_tls11 and high == 0x0302 then high = 0x0301 end
  if low > high then quit(1, ":NO_SUPPORTED_VERSIONS_ENABLED:") end
  return low, high
end

-- ---- the world of one test: what lives on between its connections ---------------------------------------------------------------------

local world = { time = os.time(), sessions = {}, ticket_keys = nil, verified = nil }
do
  local keys = {}
  math.randomseed(world.time)
  for i = 1, 48 do keys[i] = string.char(math.random(0, 255)) end
  world.ticket_keys = table.concat(keys)
end

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
  if #out == 0 then quit(NOT_IMPLEMENTED, "none of these groups") end
  return out
end

local function base_options(c, state)
  local low, high = versions_of(c)
  return {
    profile = low == 0x0300 and "lab" or nil,
    min_version = low,
    max_version = high,
    suites = suites_of(c.cipher),
    groups = groups_of(c),
    schemes = c.verify_prefs or default_verify,
    signing_schemes = c.signing_prefs or default_sign,
    security_level = 0,
    encrypt_then_mac = false,
    max_fragment = c.max_send_fragment,
    max_message = c.max_cert_list,
    tickets = not c.no_ticket,
    clock = function() return world.time end,
    keylog = function(line)
      local label, secret = line:match "^(%S+) %S+ (%x+)$"
      if label then state.secrets[label] = secret:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end) end
    end,
  }
end

-- What BoringSSL's verification callback does: it is called for every chain, whoever vouches for it, and says what the flags say.
local function decide(c, state)
  return function(_, hs)
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

local function identity_of(c)
  if not c.cert_file then return nil end
  local identity, _, failure = akushu.identity { chain = c.cert_file, key = c.key_file, ocsp = not c.set_ocsp_in_callback and c.ocsp_response or nil,
    scts = c.signed_cert_timestamps }
  if not identity then error(setmetatable({ failure = failure }, Failed), 0) end
  return identity
end

local function client_context(c, state)
  local o = base_options(c, state)
  o.padding = 512
  o.false_start = c.false_start and select(2, versions_of(c)) >= 0x0303 and versions_of(c) <= 0x0303
  o.trust, o.verify, o.on_untrusted = akushu.trust {}, "chain", decide(c, state)
  o.key_shares = { o.groups[1] }
  o.alpn = c.advertise_alpn and split_alpn(c.advertise_alpn)
  o.ocsp, o.sct = c.enable_ocsp_stapling, c.enable_signed_cert_timestamps
  o.fallback_scsv = c.fallback_scsv
  o.accept_any_alpn = c.allow_unknown_alpn_protos
  o.renegotiation = not c.renegotiate_ignore and "fatal" or nil
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

local function server_context(c, state)
  local o = base_options(c, state)
  o.prefer = c.cipher and "server" or "client"
  o.renegotiation = "fatal"
  o.strict_groups = true
  o.middlebox_compat = "always"
  o.early_data_window = 60
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

-- ---- transport ----------------------------------------------------------------------------------------------------------------------

local Transport = {}
Transport.__index = Transport

local function connect(c)
  local sock = assert(c.ipv6 and socket.tcp6() or socket.tcp4())
  assert(sock:connect(c.ipv6 and "::1" or "127.0.0.1", c.port))
  sock:setoption("tcp-nodelay", true)
  sock:settimeout(0)
  return setmetatable({ sock = sock, async = c.async, queue = "" }, Transport)
end

function Transport:send(bytes)
  if bytes == "" or not bytes then return end
  if self.unfinished then bytes, self.unfinished = self.unfinished .. bytes, nil end
  self:put(bytes)
end

function Transport:put(bytes)
  local at = 1
  while at <= #bytes do
    local last, why, partial = self.sock:send(bytes, at)
    if last then return end
    at = (partial or at - 1) + 1
    if why ~= "timeout" then return end -- the runner has gone: what it said before is still to be read
    socket.select(nil, { self.sock }, 15)
  end
end

-- Some bytes; nil at the end of the stream. -async: one at a time.
function Transport:receive()
  while self.queue == "" do
    socket.select({ self.sock }, nil, 15)
    local all, why, partial = self.sock:receive(16384)
    self.queue = all or partial or ""
    if self.queue == "" and why ~= "timeout" then return nil end
    if self.queue == "" then mismatch "timeout" end
  end
  local n = self.async and 1 or #self.queue
  local bytes = self.queue:sub(1, n)
  self.queue = self.queue:sub(n + 1)
  return bytes
end

-- So that the runner sees an alert before it sees the end.
function Transport:finish()
  self.sock:shutdown "send"
  local deadline = socket.gettime() + 10
  while socket.gettime() < deadline do
    socket.select({ self.sock }, nil, 1)
    local all, why, partial = self.sock:receive(65536)
    if why == "closed" or (not all and why ~= "timeout") then break end
    if partial == nil and all == nil then break end
  end
  self.sock:close()
end

-- ---- checks ---------------------------------------------------------------------------------------------------------------------------

local function from_hex(s) return (s:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)) end

local function check_certificates(c, info)
  local f = assert(io.open(c.expect_peer_cert_file))
  local pem = f:read "a"
  f:close()
  local expected = {}
  for body in pem:gmatch "%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END" do expected[#expected + 1] = mime.unb64((body:gsub("%s", ""))) end
  local peer = info.peer or {}
  expect(#peer == #expected, "%d certificates from the peer, not %d", #peer, #expected)
  for i, der in ipairs(expected) do expect(peer[i].der == der, "certificate %d is another", i) end
end

local function wire_number(registry, name) return name and akushu.wire.number(registry, name) end

--- Why early data went or did not go, in the runner's words.
local function early_data_reason(c, info, state)
  if not c.enable_early_data then return "disabled" end
  if info.version ~= "1.3" or (c.max_version or 0x0304) < 0x0304 then return "protocol_version" end
  if info.early_data == "accepted" then return "accept" end
  if c.server then
    if not state.psk_offered then return "no_session_offered" end
    if not info.resumed then return "session_not_resumed" end
    return info.early_data_reason or "peer_declined"
  end
  if info.early_data == "none" then return state.no_early_data end
  if info.hello_retry then return "hello_retry_request" end
  return info.resumed and "peer_declined" or "session_not_resumed"
end

--- What is known once a handshake is finished.
local function check_handshake(c, info, state)
  local version = ({ ["1.0"] = 0x0301, ["1.1"] = 0x0302, ["1.2"] = 0x0303, ["1.3"] = 0x0304 })[info.version]
  local function same(what, wanted, got) expect(wanted == nil or wanted == got, "%s: %s instead of %s", what, tostring(got), tostring(wanted)) end
  same("OCSP response", c.expect_ocsp_response, info.ocsp_response or "")
  same("SCT list", c.expect_signed_cert_timestamps, info.scts or "")
  if c.expect_verify_result then same("verification", not c.verify_fail, world.verified ~= false) end
  if c.expect_peer_cert_file then check_certificates(c, info) end
  same("version", c.expect_version, version)
  same("resumed", state.is_resume and not c.expect_session_miss or false, info.resumed)
  if not c.server and version < 0x0304 then
    local got = state.new_ticket or (not info.resumed and state.resumable)
    same("new session", not c.expect_no_session and (not info.resumed or c.expect_ticket_renewal or false), got or false)
  end
  if not state.is_resume then
    if c.expect_session_id then same("cached session", true, state.cached or false) end
    if c.expect_no_session_id then same("cached session", false, state.cached or false) end
  end
  same("server name", c.expect_server_name, info.server_name)
  same("ALPN", c.server and (c.select_alpn or "") or c.expect_alpn or "", info.alpn or "")
  if c.expect_extended_master_secret then same("extended master secret", true, info.extended_master_secret or version == 0x0304) end
  if c.expect_secure_renegotiation then same("secure renegotiation", true, info.secure_renegotiation or version == 0x0304) end
  same("signature scheme", c.expect_peer_signature_algorithm, wire_number("schemes", info.scheme) or 0)
  same("group", c.expect_curve_id, wire_number("groups", info.group))
  local suite = wire_number("suites", info.suite)
  same("suite", c.expect_cipher, suite)
  same("suite", c.expect_cipher_aes, suite)
  if c.expect_accept_early_data then same("early data", "accepted", info.early_data) end
  if c.expect_reject_early_data and c.server then expect(info.early_data ~= "accepted", "early data was accepted") end
  if c.expect_early_data_reason then same("early data reason", c.expect_early_data_reason, early_data_reason(c, info, state)) end
  if not c.server or c.require_any_client_certificate then expect(info.peer and info.peer[1], "no certificate from the peer") end
  if state.is_resume then same("ticket age skew", c.expect_ticket_age_skew, info.ticket_age_skew) end
  if c.expect_hrr then same("HelloRetryRequest", true, info.hello_retry) end
  if c.expect_no_hrr then same("HelloRetryRequest", false, info.hello_retry) end
end

-- ---- what hooks look at --------------------------------------------------------------------------------------------------------------------

local function same_list(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

local function look_at_schemes(c, schemes)
  if not c.expect_peer_verify_pref then return end
  local numbers_ = {}
  for i, s in ipairs(schemes or {}) do numbers_[i] = type(s) == "number" and s or wire_number("schemes", s) or s end
  expect(same_list(numbers_, c.expect_peer_verify_pref), "signature schemes of the peer: %s", table.concat(numbers_, " "))
end

local function names_of(list)
  local out = {}
  if list ~= "<EMPTY>" and list ~= "<NULL>" then
    for hex in list:gmatch "[^,]+" do out[#out + 1] = from_hex(hex) end
  end
  return out
end

local function extension_of(msg, name)
  for _, x in ipairs(msg.extensions or {}) do
    if x.type == name then return x.data end
  end
end

local function look(c, hs, state)
  local function note(line)
    if c.expect_msg_callback then state.messages[#state.messages + 1] = line end
  end
  hs:on("receive", "new_session_ticket", function() state.new_ticket = true end)
  if c.early_write_after_message then hs:on("receive", "*", function(_, ev) state.last_message = ev.raw:byte() end) end
  if c.expect_msg_callback then
    hs:on("receive", "*", function(_, ev) note(ev.name == "change_cipher_spec" and "read ccs" or "read hs " .. ev.raw:byte()) end)
    hs:on("send", "*", function(_, ev) note(ev.name == "change_cipher_spec" and "write ccs" or "write hs " .. ev.raw:byte()) end)
  end
  if c.server then
    hs:on("receive", "client_hello", function(msg)
      if extension_of(msg, "pre_shared_key") then state.psk_offered = true end
    end)
    if c.fail_early_callback then hs:on("receive", "client_hello", function(_, ev) ev:fail "handshake_failure" end) end
    if c.expect_peer_verify_pref then
      hs:on("receive", "client_hello", function(msg) look_at_schemes(c, (extension_of(msg, "signature_algorithms") or {}).supported_signature_algorithms) end)
    end
    if c.use_client_ca_list then
      hs:on("compose", "certificate_request", function(msg)
        local names = names_of(c.use_client_ca_list)
        if msg.extensions then
          if #names > 0 then table.insert(msg.extensions, { type = "certificate_authorities", data = { authorities = names } }) end
        else
          msg.certificate_authorities = names
        end
        return msg
      end)
    end
  else
    hs:on("receive", "certificate_request", function(msg)
      local schemes = msg.supported_signature_algorithms or (extension_of(msg, "signature_algorithms") or {}).supported_signature_algorithms
      look_at_schemes(c, schemes)
      if c.expect_certificate_types then
        local types = msg.certificate_types
        if type(types) == "table" then
          local bytes = {}
          for i, t in ipairs(types) do bytes[i] = string.char(type(t) == "number" and t or wire_number("client_certificate_types", t)) end
          types = table.concat(bytes)
        end
        expect(types == c.expect_certificate_types, "certificate types differ")
      end
      if c.expect_client_ca_list then
        local names = msg.certificate_authorities or (extension_of(msg, "certificate_authorities") or {}).authorities or {}
        expect(same_list(names, names_of(c.expect_client_ca_list)), "CA names differ")
      end
    end)
  end
end

-- ---- one connection -------------------------------------------------------------------------------------------------------------------

local function give_up(transport, object, failure)
  transport:send(object:pending())
  error(setmetatable({ failure = failure }, Failed), 0)
end

local function xor(bytes) return (bytes:gsub(".", function(ch) return string.char(ch:byte() ~ 0xff) end)) end

local function echo_early(hs, transport, state)
  local data = hs:take_early_data()
  if data == "" then return end
  state.early_echoed = true
  local out, _, failure = hs:send(xor(data))
  if not out then give_up(transport, hs, failure) end
  transport:send(out)
end

local function handshake(c, transport, hs, state)
  local out, _, failure = hs:start()
  if not out then give_up(transport, hs, failure) end
  if c.read_with_unfinished_write and state.early_hello and state.early_hello ~= "" then
    -- one byte of the early data's record goes out, and the rest with what is sent next
    local at = 1
    while out:byte(at) ~= 23 do at = at + 5 + string.unpack(">I2", out, at + 3) end
    transport.unfinished = out:sub(at + 1)
    out = out:sub(1, at)
    transport.sock:setoption("tcp-nodelay", true)
    Transport.put(transport, out)
  else
    transport:send(out)
  end
  while not hs.done do
    local bytes = transport:receive()
    if not bytes then
      local _, _, why = hs:eof()
      give_up(transport, hs, why)
    end
    out, _, failure = hs:step(bytes)
    if not out then give_up(transport, hs, failure) end
    transport:send(out)
    -- BoringSSL starts early only where ALPN has agreed on something, unless it is told otherwise
    if c.shim_writes_first and not c.server and not state.wrote_hello and hs.may_send and (hs.alpn or c.allow_false_start_without_alpn) then
      state.wrote_hello = true
      transport:send(hs:send "hello")
    end
    if c.early_write_after_message and state.last_message == c.early_write_after_message and not state.wrote_late then
      state.wrote_late = true
      local written, text_ = hs:send_early "hello"
      expect(written, "early data: %s", text_)
      transport:send(hs:pending())
    end
    if c.server and hs.early_data == "accepted" and not hs.done then
      if c.shim_writes_first and not state.wrote_hello then
        local hello = hs:send "hello"
        if hello then
          state.wrote_hello = true
          transport:send(hello)
        end
      end
      echo_early(hs, transport, state)
    end
  end
  expect(not c.handshake_never_done, "the handshake is done")
  local left = c.server and hs:take_early_data() or ""
  local session, _, why = hs:session()
  if not session then give_up(transport, hs, why) end
  state.early_left = left
  return session
end

local function seal(transport, session, bytes)
  local out, _, failure = session:seal(bytes)
  if not out then give_up(transport, session, failure) end
  return out
end

local function write(transport, session, bytes) transport:send(seal(transport, session, bytes)) end

local function export_things(c, transport, session, state)
  if c.export_keying_material then
    local context = (c.use_export_context or c.export_context) and (c.export_context or "") or nil
    if not c.use_export_context and session.version ~= "1.3" then context = nil end
    write(transport, session, assert(session:export(c.export_label or "", context, c.export_keying_material)))
  end
  if c.export_traffic_secrets then
    local client, server = state.secrets.CLIENT_TRAFFIC_SECRET_0, state.secrets.SERVER_TRAFFIC_SECRET_0
    local reading, writing = c.server and client or server, c.server and server or client
    write(transport, session, string.pack("<I2", #reading) .. reading .. writing)
  end
  if c.tls_unique then
    -- without extended_master_secret, too, where akushu has none in a full handshake (RFC 7627 §5.4)
    local first = session.resumed and session.server_finished or session.client_finished
    expect(session.version ~= "1.3" and first and (not session.resumed or session.extended_master_secret), "failed to get tls-unique")
    write(transport, session, first)
  end
end

-- "data", bytes | "closed" (a close_notify) | "end" (the stream's)
local function read(transport, session)
  while true do
    local plain, reply, failure = session:open(transport.pending or "")
    transport.pending = nil
    if not plain then
      if failure.code == "closed" then return "closed" end
      give_up(transport, session, failure)
    end
    transport:send(reply)
    if plain ~= "" then return "data", plain end
    transport.pending = transport:receive()
    if not transport.pending then return "end" end
  end
end

local function echo(c, transport, session)
  while true do
    local what, plain = read(transport, session)
    if what ~= "data" then return what end
    if c.key_update then transport:send(assert(session:update_keys())) end
    write(transport, session, xor(plain))
  end
end

local function shut_down(c, transport, session, ended, state)
  if not c.check_close_notify then return end
  if ended == "end" then mismatch "Unexpected SSL_shutdown result: 0 != 1" end
  transport:send(assert(session:close_write()))
  if ended == "closed" then return end
  local what = read(transport, session)
  if what == "data" then
    io.stderr:write ":APPLICATION_DATA_ON_SHUTDOWN:\n"
    mismatch "Unexpected SSL_shutdown result: -1 != 1"
  end
  expect(what == "closed", "Unexpected SSL_shutdown result: -1 != 1")
  state.closed = true
end

local function after_handshake(c, transport, session, state)
  export_things(c, transport, session, state)
  if c.send_alert then
    transport:send(assert(session:alert(30)))
    return nil
  end
  if state.early_hello then
    if session.early_data == "accepted" then
      if state.rest_of_hello ~= "" then write(transport, session, state.rest_of_hello) end
    elseif c.shim_writes_first and not state.wrote_late then
      write(transport, session, "hello")
    end
  elseif c.read_with_unfinished_write then
    local hello = seal(transport, session, "hello") -- one byte, and the rest with what is sent next, be it an answer to a KeyUpdate
    transport:send(hello:sub(1, 1))
    transport.unfinished = hello:sub(2)
  elseif c.shim_writes_first and not state.wrote_hello then
    write(transport, session, "hello")
  end
  if state.early_left ~= "" then write(transport, session, xor(state.early_left)) end
  local ended = not c.shim_shuts_down and echo(c, transport, session) or nil
  local resumption = not c.server and session:resumption() or nil
  if not c.server and session.version == "1.3" then
    local wanted = not c.expect_no_session and not c.shim_shuts_down
    expect((resumption ~= nil) == wanted, "new session: %s", tostring(resumption))
    if wanted then
      expect((resumption.max_early_data > 0) == (c.expect_ticket_supports_early_data or false), "the ticket allows %d bytes of early data", resumption.max_early_data)
    end
  end
  shut_down(c, transport, session, ended, state)
  if c.expect_msg_callback then
    if ended == "closed" then state.messages[#state.messages + 1] = "read alert 1 0" end
    local got = table.concat(state.messages, "\n") .. "\n"
    expect(got == c.expect_msg_callback, "messages: %s", got)
  end
  return resumption
end

local function offer_early(c, hs, state, session)
  if c.server or not c.enable_early_data then return end
  if not session then
    state.no_early_data = "no_session_offered"
  elseif session.max_early_data == 0 then
    state.no_early_data = "unsupported_for_session"
  else
    local hello = (c.shim_writes_first or c.read_with_unfinished_write) and "hello" or ""
    if c.early_write_after_message then hello = "" end
    local early = hello:sub(1, session.max_early_data)
    state.no_early_data = "alpn_mismatch"
    if hs:send_early(early) then state.early_hello, state.rest_of_hello = early, hello:sub(#early + 1) end
  end
end

-- server_name= takes DNS names alone, whose labels have at most 63 bytes (RFC 1035 §2.3.4). Any other -host-name goes in by a hook, in place of a name that has as many
-- bytes: the padding is already reckoned then.
local function name_for(c)
  local name = not c.server and c.host_name or nil
  local dns = name and name:gsub("[^.]+", function(label) return #label > 63 and label:gsub("(" .. ("."):rep(40) .. ").(.)", "%1.%2") or label end)
  return dns, dns ~= name
end

local function put_name(name)
  return function(msg)
    for _, x in ipairs(msg.extensions) do
      if x.type == "server_name" then x.data.server_name_list[1].host_name = name end
    end
    return msg
  end
end

local function connection(c, retry, is_resume, offered)
  local state = { is_resume = is_resume, secrets = {}, messages = {} }
  local context = (c.server and server_context or client_context)(c, state)
  local name, is_stand_in = name_for(c)
  local hs = assert(context:handshake { server_name = name, session = offered })
  if is_stand_in then hs:on("compose", "client_hello", put_name(c.host_name)) end
  local transport = connect(c)
  state.transport = transport
  transport:send(string.pack("<I8", c.shim_id))
  state.hs = hs
  look(c, hs, state)
  offer_early(c, hs, state, offered)
  local ok, result = pcall(function()
    local session = handshake(c, transport, hs, state)
    state.resumable = not c.server and session.version ~= "1.3" and session:resumption() ~= nil
    local offered_early = session.early_data ~= "none" and session.early_data ~= nil
    if not c.server and is_resume then
      expect(not c.expect_no_offer_early_data or not offered_early, "early data was offered")
      if c.expect_reject_early_data then
        expect(session.early_data == "refused", "early data: %s", session.early_data)
        c = retry
      end
    end
    check_handshake(c, session, state)
    return after_handshake(c, transport, session, state) or false
  end)
  transport:finish()
  if not ok then error(result, 0) end
  return result or nil
end

-- ---- main ---------------------------------------------------------------------------------------------------------------------------------

local function main(args)
  if args[1] == "-is-handshaker-supported" then
    print "No"
    return
  end
  local configs = parse(args)
  local session
  for i = 0, configs.initial.resume_count or 0 do
    local c = i == 0 and configs.initial or configs.resume
    if i > 0 and c.resumption_delay then world.time = world.time + c.resumption_delay end
    session = connection(c, configs.retry, i > 0, session) or session
  end
end

local ok, why = xpcall(main, function(e)
  if type(e) == "table" then return e end
  return debug.traceback(tostring(e), 2)
end, arg)
if not ok then
  if getmetatable(why) == Failed then quit(1, ":%s:\n%s", error_string(why.failure), why.failure.message) end
  local hook = getmetatable(why) == Mismatch and why.text or tostring(why)
  quit(1, "%s", hook)
end
