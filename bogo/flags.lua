--- The runner's flags: a table from flag to setter, and the configurations that a command line makes of it. A flag that is not in the table ends the test: "not implemented".
local mime = require "mime"
local outcome = require "bogo.outcome"
local quit = outcome.quit

local flags = {}

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

local known = {}

local function flag(name, kind)
  local setter, takes_value = kind((name:gsub("-", "_")))
  known[name] = { set = setter, takes_value = takes_value }
end

for _, name in ipairs {
  "server", "ipv6", "async", "fallback-scsv", "require-any-client-certificate", "verify-peer", "verify-fail", "expect-verify-result", "no-ticket", "no-tls12", "no-tls13",
  "shim-writes-first", "shim-shuts-down", "check-close-notify", "enable-ocsp-stapling", "enable-signed-cert-timestamps", "use-ocsp-callback", "set-ocsp-in-callback",
  "decline-ocsp-callback", "fail-ocsp-callback", "fail-cert-callback", "fail-early-callback", "expect-session-miss", "expect-no-session-id", "expect-session-id",
  "expect-no-session", "expect-ticket-renewal", "expect-extended-master-secret", "expect-secure-renegotiation", "expect-hrr", "expect-no-hrr", "enable-early-data",
  "expect-ticket-supports-early-data", "expect-accept-early-data", "expect-reject-early-data", "expect-no-offer-early-data", "decline-alpn", "reject-alpn",
  "select-empty-alpn", "tls-unique", "send-alert", "key-update", "renegotiate-ignore", "read-with-unfinished-write", "export-traffic-secrets", "use-export-context",
  "use-custom-verify-callback", "false-start", "allow-false-start-without-alpn", "handshake-never-done", "allow-unknown-alpn-protos", "no-tls1", "no-tls11",
  "renegotiate-once", "renegotiate-freely", "renegotiate-explicit", "forbid-renegotiation-after-handshake", "expect-no-secure-renegotiation", "use-exporter-between-reads",
  "fips-202205", "wpa-202304", "reverify-on-resume", "server-preference", "renew-ticket", "install-ddos-callback", "fail-ddos-callback", "write-different-record-sizes",
  "enable-grease", "permute-extensions",
} do flag(name, set) end

-- Which of BoringSSL's functions does the handshake, and which of its callbacks is asked, has nothing to correspond to in an API without I/O. Tickets are sealed with keys of
-- our own, and records of TLS 1.0's CBC are split, without being told.
for _, name in ipairs {
  "no-op-extra-handshake", "use-early-callback", "implicit-handshake", "use-old-client-cert-callback", "partial-write", "cbc-record-splitting",
  "use-ticket-callback", "allow-hint-mismatch",
} do flag(name, nothing) end

for _, name in ipairs {
  "key-file", "cert-file", "trust-cert", "host-name", "expect-server-name", "advertise-alpn", "expect-alpn", "select-alpn", "expect-advertised-alpn", "cipher",
  "export-label", "export-context", "expect-peer-cert-file", "expect-early-data-reason", "expect-msg-callback", "use-client-ca-list", "expect-client-ca-list",
  "psk", "psk-identity",
} do flag(name, text) end

for _, name in ipairs {
  "port", "shim-id", "resume-count", "min-version", "max-version", "expect-version", "expect-peer-signature-algorithm", "expect-curve-id", "expect-cipher",
  "expect-cipher-aes", "expect-cipher-no-aes", "export-keying-material", "resumption-delay", "expect-ticket-age-skew", "max-cert-list", "max-send-fragment",
  "read-size", "early-write-after-message", "expect-total-renegotiations",
} do flag(name, number) end

for _, name in ipairs { "curves", "signing-prefs", "verify-prefs", "expect-peer-verify-pref" } do flag(name, numbers) end

for _, name in ipairs { "ocsp-response", "expect-ocsp-response", "signed-cert-timestamps", "expect-signed-cert-timestamps", "expect-certificate-types" } do flag(name, base64) end

local prefixes = { ["on-initial-"] = { "initial" }, ["on-resume-"] = { "resume" }, ["on-retry-"] = { "retry" } }

-- Which configurations a flag belongs to, and its entry. What is for BoringSSL's second process, the handshaker, is for none of ours.
local function find(name, targets)
  if not name or known[name] then return known[name], targets end
  local rest = name:match "^on%-shim%-(.+)"
  if rest then return find(rest, targets) end
  rest = name:match "^on%-handshaker%-(.+)"
  if rest then return find(rest, {}), {} end
  for prefix, of in pairs(prefixes) do
    if name:sub(1, #prefix) == prefix then return known[name:sub(#prefix + 1)], of end
  end
end

--- The three configurations of a test: the first connection, those after it, and what is left of one whose early data was refused.
function flags.parse(args)
  local configs = { initial = {}, resume = {}, retry = {} }
  local i = 1
  while i <= #args do
    local entry, targets = find(args[i]:match "^%-(.+)$", { "initial", "resume", "retry" })
    if not entry then quit(outcome.NOT_IMPLEMENTED, "not implemented: %s", args[i]) end
    local value
    if entry.takes_value then
      i = i + 1
      value = args[i] or quit(1, "%s needs a value", args[i - 1])
    end
    for _, which in ipairs(targets) do entry.set(configs[which], value) end
    i = i + 1
  end
  return configs
end

return flags
