--- What a test expects, beside what happened: each -expect-… flag of a handshake, at its end or while it happens.
local akushu = require "akushu"
local mime = require "mime"
local expect = require("bogo.outcome").expect
local contexts = require "bogo.contexts"

local checks = {}

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

local function same(what, wanted, got) expect(wanted == nil or wanted == got, "%s: %s instead of %s", what, tostring(got), tostring(wanted)) end

--- What the peer has shown of itself; the same after a renegotiation.
function checks.peer(c, info)
  same("OCSP response", c.expect_ocsp_response, info.ocsp_response or "")
  same("SCT list", c.expect_signed_cert_timestamps, info.scts or "")
  if c.expect_verify_result then same("verification", not c.verify_fail, contexts.world.verified ~= false) end
  if c.expect_peer_cert_file then check_certificates(c, info) end
end

--- What is known once a handshake is finished.
function checks.handshake(c, info, state)
  local version = ({ ["1.0"] = 0x0301, ["1.1"] = 0x0302, ["1.2"] = 0x0303, ["1.3"] = 0x0304 })[info.version]
  checks.peer(c, info)
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
  if c.expect_no_secure_renegotiation then same("secure renegotiation", false, info.secure_renegotiation) end
  if c.expect_peer_signature_algorithm ~= 0 then same("signature scheme", c.expect_peer_signature_algorithm, wire_number("schemes", info.scheme)) end
  if c.psk and not c.server and not info.resumed then same("PSK hint", c.psk_identity or "", state.psk_hint or "") end
  same("group", c.expect_curve_id, wire_number("groups", info.group))
  local suite = wire_number("suites", info.suite)
  same("suite", c.expect_cipher, suite)
  same("suite", c.expect_cipher_aes, suite)
  if c.expect_accept_early_data then same("early data", "accepted", info.early_data) end
  if c.expect_reject_early_data and c.server then expect(info.early_data ~= "accepted", "early data was accepted") end
  if c.expect_early_data_reason then same("early data reason", c.expect_early_data_reason, early_data_reason(c, info, state)) end
  local has_certificate = info.peer ~= nil and info.peer[1] ~= nil
  if c.psk then
    expect(not has_certificate, "a certificate from a peer with a PSK")
  elseif not c.server or c.require_any_client_certificate then
    expect(has_certificate, "no certificate from the peer")
  end
  if state.is_resume then same("ticket age skew", c.expect_ticket_age_skew, info.ticket_age_skew) end
  if c.expect_hrr then same("HelloRetryRequest", true, info.hello_retry) end
  if c.expect_no_hrr then same("HelloRetryRequest", false, info.hello_retry) end
end

-- ---- while it happens, by hooks -------------------------------------------------------------------------------------------------------

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

-- Any order but that pre_shared_key stays the last one (RFC 8446 §4.2.11).
local function permute(msg)
  local list = msg.extensions
  local n = #list > 0 and list[#list].type == "pre_shared_key" and #list - 1 or #list
  for i = n, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return msg
end

--- Hooks on a handshake: what they see is checked at once, or noted in state.
function checks.look(c, hs, state)
  local function note(line)
    if c.expect_msg_callback then state.messages[#state.messages + 1] = line end
  end
  hs:on("receive", "new_session_ticket", function(msg) state.new_ticket = msg.ticket ~= "" end) -- an empty one is none (RFC 5077 §3.3)
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
    if c.install_ddos_callback and c.fail_ddos_callback then hs:on("receive", "client_hello", function(_, ev) ev:fail "internal_error" end) end
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
    if c.reverify_on_resume then hs:on("receive", "finished", contexts.reverify(c, state)) end
    if c.psk then hs:on("receive", "server_key_exchange", function(msg) state.psk_hint = msg.psk_identity_hint end) end
    if c.permute_extensions then hs:on("compose", "client_hello", permute) end
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

return checks
