--- Options of contexts and handshakes: every name is known, every value is checked, and what contradicts itself is refused at once.
-- What comes out are the plain fields that the C side reads.
local core = require "akushu.core"
local check = require "akushu.option_checks"
local meant = require "akushu.meant"
local fail, type_error, is, is_class, callable = check.fail, check.type_error, check.is, check.is_class, check.callable
local one_of, bytes_of = check.one_of, check.bytes_of

local options = {}

-- name → { check, role } ; role nil: both
local known = {
  profile = { is "string" },
  versions = { function(name, value)
    if type(value) ~= "table" then value = { value } end
    if next(value) == nil then fail("option '%s': an empty list", name) end
    return check.array(name, value)
  end },
  min_version = { check.version },
  max_version = { check.version },
  suites = { check.suite_list },
  groups = { check.groups },
  key_shares = { check.groups, "client" },
  schemes = { check.schemes },
  signing_schemes = { check.schemes },
  identity = { check.any },
  trust = { check.any },
  verify = { check.or_boolean("chain") },
  alpn = { check.alpn_list },
  extended_master_secret = { check.or_boolean("require") },
  encrypt_then_mac = { check.boolean },
  session_ids = { check.boolean },
  sessions = { check.store, "server" },
  session_lifetime = { check.integer },
  tickets = { function(name, value)
    if type(value) == "boolean" or (math.type(value) == "integer" and value >= 0 and value <= 16) then return value end
    type_error(name, "a boolean, or a number of tickets from 0 to 16", value)
  end },
  ticket_keys = { function(name, value)
    return bytes_of(value) or type_error(name, "a string, an array of strings or a Secret", value)
  end, "server" },
  reuse_tickets = { check.boolean, "client" },
  psk = { check.psk_list },
  psk_modes = { check.psk_modes },
  on_psk = { callable, "server" },
  psk_hint = { function(name, value)
    if type(value) ~= "string" then type_error(name, "a string", value) end
    if #value > 128 then fail("option '%s': at most 128 bytes", name) end
    return value
  end, "server" },
  hide_unknown_psk = { check.boolean, "server" },
  cert_schemes = { check.schemes },
  ca_names = { check.boolean, "client" },
  early_data = { check.integer, "server" },
  early_data_window = { check.integer, "server" },
  on_early_data = { callable, "server" },
  on_ocsp = { callable, "server" },
  prefer = { one_of("server", "client"), "server" },
  client_auth = { one_of("none", "request", "require"), "server" },
  on_untrusted = { callable },
  on_identity = { callable },
  max_fragment = { check.integer },
  max_fragment_length = { function(name, value)
    if value ~= 512 and value ~= 1024 and value ~= 2048 and value ~= 4096 then fail("option '%s': 512, 1024, 2048 or 4096 expected", name) end
    return value
  end, "client" },
  padding = { check.integer, "client" },
  record_size_limit = { check.integer },
  record_padding = { check.record_padding },
  certificate_compression = { check.compression },
  post_handshake_auth = { check.boolean },
  oid_filters = { check.oid_filters, "server" },
  cookie = { check.boolean, "server" },
  max_message = { check.integer },
  security_level = { check.integer },
  min_dh_bits = { check.integer, "client" },
  ocsp = { check.boolean, "client" },
  sct = { check.boolean, "client" },
  middlebox_compat = { check.or_boolean("always") },
  accept_any_alpn = { check.boolean, "client" },
  strict_groups = { check.boolean, "server" },
  false_start = { check.boolean, "client" },
  fallback_scsv = { check.boolean, "client" },
  grease = { check.boolean },
  coalesce = { check.boolean },
  renegotiation = { check.or_boolean("fatal") },
  renegotiation_new_certificate = { check.boolean, "client" },
  keylog = { callable },
  clock = { function(name, value)
    if type(value) ~= "number" then
      if type(value) == "string" then type_error(name, "seconds since 1970, or a function that returns them,", value) end
      return callable(name, value)
    end
    if not (value > -1e15 and value < 1e15) then type_error(name, "seconds since 1970", value) end
    return value
  end },
  hooks = { check.hooks },
}

local in_handshake = {
  server_name = { is "string", "client" },
  session = { check.any, "client" },
  hooks = { check.hooks },
}

-- Of a context and of a handshake, by name: { check, role }; for the spec that looks for them in the reference.
options.known, options.of_handshake = known, in_handshake

local nothing = {}

-- What other libraries call it, and what stands elsewhere here.
local as_identity, as_trust = "here: identity = { chain =, key =, password = }", "here: trust = akushu.trust { file =, dir = }"
local of_each = "it is said for each handshake: context:handshake { server_name =, session = }"
local elsewhere = {
  [known] = {
    certificate = as_identity, cert = as_identity, certfile = as_identity, chain = as_identity, key = as_identity, keyfile = as_identity, password = as_identity,
    ca = as_trust, cafile = as_trust, capath = as_trust, ca_file = as_trust, ca_path = as_trust, roots = as_trust,
    protocol = "here: versions", ciphers = "here: suites", ciphersuites = "here: suites", cipher_suites = "here: suites",
    curve = "here: groups", curves = "here: groups", curveslist = "here: groups", sigalgs = "here: schemes", mode = "the role is in the name: akushu.client, akushu.server",
    server_name = of_each, servername = of_each, host = of_each, hostname = of_each, sni = of_each, session = of_each,
  },
  [in_handshake] = { host = "here: server_name", hostname = "here: server_name", sni = "here: server_name", name = "here: server_name" },
}
for name in pairs(known) do
  if not in_handshake[name] then elsewhere[in_handshake][name] = "it is an option of akushu.client and akushu.server" end
end

-- Each option is known, belongs to the role, and has a value that will do; out: where what the checks make of them goes, if anywhere.
local function check_all(opts, table_of_known, role, what, out)
  if type(opts) ~= "table" then fail("%s: a table of options expected, got %s", what, type(opts)) end
  for name, value in pairs(opts) do
    local row = table_of_known[name]
    if not row then fail("%s: unknown option '%s'%s", what, tostring(name), meant(name, table_of_known, elsewhere[table_of_known])) end
    if row[2] and row[2] ~= role then fail("%s: option '%s' belongs to a %s", what, name, row[2]) end
    local made = row[1](name, value)
    if out then out[name] = made end
  end
  return out
end

local function version_range(o, fields)
  if o.versions then
    if o.min_version or o.max_version then fail("option 'versions' contradicts 'min_version' and 'max_version'") end
    local lowest, highest, has = 0xffff, 0, {}
    for _, v in ipairs(o.versions) do
      local n = check.version("versions", v)
      lowest, highest, has[n] = math.min(lowest, n), math.max(highest, n), true
    end
    for n = lowest, highest do
      if not has[n] then fail("option 'versions': a gap: every version between the lowest and the highest must be there") end
    end
    fields.min_version, fields.max_version = lowest, highest
  else
    fields.min_version, fields.max_version = o.min_version, o.max_version
    if o.min_version and not o.max_version then fields.max_version = math.max(o.min_version, options.highest) end
    if o.max_version and not o.min_version then fields.min_version = math.min(o.max_version, options.lowest) end
  end
  if fields.min_version and fields.min_version > fields.max_version then fail("option 'min_version' is above 'max_version'") end
  local profile = o.profile or options.default_profile
  if fields.min_version == 0x0300 and profile ~= "lab" then
    local name = o.versions and "versions" or o.min_version == 0x0300 and "min_version" or "max_version"
    fail("option '%s': SSL 3.0 is for those who study it: it needs profile = \"lab\", this one is \"%s\"", name, profile)
  end
end

-- What a context does that says nothing about versions.
options.lowest, options.highest = 0x0303, 0x0304

-- The groups and schemes of a context that names none, in order of preference.
-- What this libcrypto does not have is left out; with ML-KEM (OpenSSL 3.5) the hybrid comes first, and x25519 gets a share beside it.
local default_groups = { "X25519MLKEM768", "x25519", "secp256r1", "secp384r1", "secp521r1", "x448", "ffdhe2048", "ffdhe3072", "ffdhe4096" }
local default_schemes = {
  "ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256", "ed25519", "ecdsa_secp384r1_sha384", "rsa_pss_rsae_sha384", "ecdsa_secp521r1_sha512",
  "rsa_pss_rsae_sha512", "rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512", "ed448",
  "rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512",
}

local function defaults(names, find)
  local out = {}
  for _, name in ipairs(names) do out[#out + 1] = find(name) end
  return out
end

-- A table as akushu.identity takes it, or what testca issues (which has its identity in it).
local function load_identity(value, x509)
  if type(value) ~= "table" then return value end
  if value.identity then return value.identity end
  local ok, identity, message = pcall(x509.identity, value)
  if not ok then fail("option 'identity': %s", tostring(identity):gsub("^identity: ", "")) end
  if not identity then fail("option 'identity': %s", message) end
  return identity
end

-- One, or a list, which may be empty where none is needed; a table with names in it is one, right or wrong.
local function identities(value, x509)
  if value == nil then return nil end
  if type(value) ~= "table" or type(next(value)) == "string" then value = { value } end
  local out = {}
  for i, v in ipairs(check.array("identity", value)) do
    out[i] = load_identity(v, x509)
    if not is_class(out[i], "akushu.Identity") then type_error("identity", "an identity, { chain =, key = }, or a list of them", v) end
  end
  return out
end

local function profile_suites(o)
  local profile = o.profile or options.default_profile
  local suites = core.profile(profile)
  if not suites then fail("option 'profile': unknown profile '%s'; there are modern, compatible, classic, lab", profile) end
  return suites
end

options.default_profile = "modern"

local suite_table

-- What is known of a suite, by its number.
local function suite_of(id)
  if not suite_table then
    suite_table = {}
    for _, s in ipairs(core.crypto.suites()) do suite_table[s.id] = s end
  end
  return suite_table[id]
end

-- The versions that a list of suites can do: lowest, highest.
local function versions_of(suites)
  local lowest, highest = 0xffff, 0
  for _, id in ipairs(suites) do
    local s = suite_of(id)
    if s then lowest, highest = math.min(lowest, s.min_version), math.max(highest, s.max_version) end
  end
  return lowest, highest
end

-- A version that no suite can do is not spoken of: a server would choose it, and find nothing in common. Who names it contradicts himself.
local function fit_versions(o, fields)
  local lowest, highest = versions_of(fields.suites)
  local function spoken(name, number)
    if number >= lowest and number <= highest then return end
    local who = o.suites and "those of 'suites' do not"
    for _, profile in ipairs { "modern", "compatible", "lab" } do
      local from, to = versions_of(core.profile(profile))
      if number >= from and number <= to then who = who or ("those of profile = \"%s\" do"):format(profile) end
    end
    for version, n in pairs(check.versions) do
      if n == number then fail("option '%s': no cipher suite of this context does %s%s", name, version, who and ": " .. who or "") end
    end
  end
  if o.max_version or o.versions then spoken(o.versions and "versions" or "max_version", fields.max_version) end
  if o.min_version or o.versions then spoken(o.versions and "versions" or "min_version", fields.min_version) end
  fields.min_version, fields.max_version = math.max(fields.min_version, lowest), math.min(fields.max_version, highest)
  if fields.min_version > fields.max_version then fail("option 'suites': none fits the versions of this context") end
end

local function speaks_13(fields, name)
  if fields.max_version < 0x0304 then fail("option '%s' needs TLS 1.3, which this context does not speak", name) end
end

-- Tickets and what is made of them.
local function ticket_options(o, fields)
  local no_tickets = o.tickets == false or o.tickets == 0
  if o.reuse_tickets and no_tickets then fail "option 'reuse_tickets' contradicts 'tickets'" end
  if o.early_data and o.early_data > 0 then
    if no_tickets then fail "option 'early_data' contradicts 'tickets': early data is sent under a ticket" end
    speaks_13(fields, "early_data")
  end
  if o.on_early_data and (o.early_data or 0) == 0 then fail "option 'on_early_data' has nothing to ask without 'early_data'" end
end

-- Who is asked for a certificate, and by whom it is judged.
local function verification_options(role, o, fields, x509)
  local asks = (o.client_auth ~= nil and o.client_auth ~= "none") or o.post_handshake_auth == true
  if o.trust ~= nil and not is_class(o.trust, "akushu.TrustStore") then type_error("trust", "a trust store (akushu.trust.system(), akushu.trust { file = … })", o.trust) end
  local verify = o.verify
  if verify == nil then verify = role == "client" or asks end
  fields.trust, fields.verify, fields.verify_host = o.trust, verify ~= false, role == "client" and verify == true
  -- The key proves who the server is. One that does not have it, and shows a certificate instead, is nobody that is known.
  if role == "client" and o.psk and o.verify == nil and not o.trust and not o.on_untrusted then
    fields.trust, fields.verify_host = x509.trust {}, false
  end
  if role == "client" and fields.verify and not fields.trust then
    fail("akushu.client: option 'trust' is missing (akushu.trust.system(), akushu.trust { file = … }; in assert: nil means that one could not be read); "
      .. "verify = false switches verification off")
  end
  if role == "server" and fields.verify and not o.trust then
    fail("akushu.server: option '%s' needs 'trust'", o.verify ~= nil and "verify" or o.post_handshake_auth and "post_handshake_auth" or "client_auth")
  end
  if o.on_untrusted and not fields.verify and (role == "client" or asks) then fail("option 'on_untrusted' has nothing to ask with verify = false") end
  if o.on_untrusted and role == "server" and not asks then
    fail("option 'on_untrusted' has nothing to ask: no client shows a certificate without 'client_auth' or 'post_handshake_auth'")
  end
  if o.post_handshake_auth then speaks_13(fields, "post_handshake_auth") end
end

-- Suites that hide nothing, or prove nobody, are for a profile that says so. Where somebody has to be verified no anonymous suite is spoken of: the peer would choose it, and
-- show no certificate. Who names one contradicts himself; a profile goes without.
local function proven_suites(role, o, fields)
  local profile = o.profile or options.default_profile
  local verifies = role == "client" and fields.verify and "verify = false"
    or role == "server" and o.client_auth == "require" and "a client_auth that requires nothing"
  local kept = {}
  for _, id in ipairs(fields.suites) do
    local s = suite_of(id)
    local anonymous = s ~= nil and s.auth == "anon"
    if o.suites and profile ~= "lab" and (anonymous or s ~= nil and s.kind == "null") then
      fail("option 'suites': %s %s: it needs profile = \"lab\", this one is \"%s\"", s.name, anonymous and "proves nobody" or "encrypts nothing", profile)
    end
    if anonymous and verifies and o.suites then fail("option 'suites': %s shows no certificate: it needs %s", s.name, verifies) end
    if not (anonymous and verifies) then kept[#kept + 1] = id end
  end
  fields.suites = kept
end

-- What has no effect beside the others.
local function contradictions(role, o, fields)
  if o.key_shares then
    local offered = {}
    for _, id in ipairs(fields.groups) do offered[id] = true end
    for _, id in ipairs(o.key_shares) do
      if not offered[id] then fail("option 'key_shares': %s is not one of 'groups'", core.wire.name("groups", id) or id) end
    end
  end
  if o.renegotiation_new_certificate and o.renegotiation ~= true then fail "option 'renegotiation_new_certificate' needs renegotiation = true" end
  if o.false_start and (fields.max_version < 0x0303 or fields.min_version > 0x0303) then fail "option 'false_start' needs TLS 1.2, which this context does not speak" end
  if o.cookie then speaks_13(fields, "cookie") end
  if o.grease and role == "server" then speaks_13(fields, "grease") end
  for _, name in ipairs { "psk_hint", "hide_unknown_psk" } do
    if o[name] and not o.psk and not o.on_psk then fail("option '%s' has no effect without 'psk' or 'on_psk'", name) end
  end
  ticket_options(o, fields)
end

--- Checks a context's options for a role; returns the fields for core.context, and what stays in Lua (functions).
function options.context(role, opts, x509)
  local o = check_all(opts or {}, known, role, "akushu." .. role, {})
  local fields = {}
  version_range(o, fields)
  if not fields.min_version then fields.min_version, fields.max_version = options.lowest, options.highest end
  fields.suites = o.suites and o.suites.ids or profile_suites(o)
  fields.equal_suites = o.suites and o.suites.equal
  fit_versions(o, fields)
  fields.groups = o.groups or defaults(default_groups, core.find_group)
  fields.schemes = o.schemes or defaults(default_schemes, core.find_scheme)
  fields.signing_schemes = o.signing_schemes
  fields.key_shares = o.key_shares
  if not o.groups and not o.key_shares and fields.max_version >= 0x0304 and core.find_group "X25519MLKEM768" then
    fields.key_shares = { core.find_group "X25519MLKEM768", core.find_group "x25519" }
  end
  fields.ticket_keys, fields.early_data = o.ticket_keys, o.early_data
  fields.psk, fields.psk_modes, fields.ask_psk = o.psk, o.psk_modes, o.on_psk ~= nil
  fields.cookie = o.cookie
  local pads = o.record_padding
  if type(pads) == "table" and pads.by then fields.record_padding, pads = pads, nil end
  fields.cert_compression, fields.post_handshake_auth = o.certificate_compression, o.post_handshake_auth
  fields.reuse_tickets, fields.cert_schemes, fields.ca_names = o.reuse_tickets, o.cert_schemes, o.ca_names
  fields.ask_ocsp, fields.ask_early_data = o.on_ocsp ~= nil, o.on_early_data ~= nil
  fields.identities = identities(o.identity, x509)
  verification_options(role, o, fields, x509)
  proven_suites(role, o, fields)
  contradictions(role, o, fields)
  if type(o.alpn) == "function" then
    if role == "client" then fail("option 'alpn': a client needs a list") end
    fields.ask_alpn = true
  else
    fields.alpn = o.alpn
  end
  fields.client_auth = ({ none = 0, request = 1, require = 2 })[o.client_auth or "none"]
  fields.extended_master_secret = o.extended_master_secret ~= false
  fields.require_extended_master_secret = o.extended_master_secret == "require"
  if type(o.tickets) == "number" then fields.tickets, fields.ticket_count = o.tickets > 0, o.tickets else fields.tickets = o.tickets end
  fields.prefer_client = o.prefer == "client"
  fields.ask_untrusted = o.on_untrusted ~= nil
  if o.on_identity then fields[role == "server" and "ask_identity" or "ask_client_identity"] = true end
  if role == "server" and #(fields.identities or {}) == 0 and not o.on_identity and not o.psk and not o.on_psk and not options.needs_no_identity(fields) then
    fail("akushu.server: option 'identity' is missing ({ chain =, key = }; of akushu.identity in assert: nil means that it could not be read)")
  end
  if role == "server" then
    if type(o.sessions) == "table" then fields.external_store = true
    elseif o.sessions ~= false then fields.store_size = o.sessions or 10000 end
    if o.sessions == false and o.session_ids then fail("option 'session_ids' needs 'sessions'") end
  end
  fields.keylog = o.keylog ~= nil
  fields.has_clock = o.clock ~= nil
  for _, name in ipairs { "encrypt_then_mac", "session_ids", "session_lifetime", "max_fragment", "record_size_limit", "max_message", "security_level",
    "min_dh_bits", "ocsp", "sct", "strict_groups", "max_fragment_length", "padding", "psk_hint", "oid_filters", "hide_unknown_psk",
    "renegotiation_new_certificate", "false_start", "fallback_scsv", "grease", "coalesce", "early_data_window" } do
    fields[name] = o[name]
  end
  if o.renegotiation == true and role == "server" then fail("akushu.server: option 'renegotiation': a server refuses it: false, or \"fatal\"") end
  if o.renegotiation == "fatal" then fields.renegotiation_fatal = true else fields.renegotiation = o.renegotiation end
  if o.middlebox_compat ~= nil then fields.middlebox_compat, fields.always_ccs = o.middlebox_compat ~= false, o.middlebox_compat == "always" end
  fields.any_alpn = o.accept_any_alpn
  local kept = { role = role, record_padding = pads, on_psk = o.on_psk, on_ocsp = o.on_ocsp, on_early_data = o.on_early_data,
    on_untrusted = o.on_untrusted, on_identity = o.on_identity, alpn = fields.ask_alpn and o.alpn or nil, keylog = o.keylog,
    clock = o.clock, hooks = o.hooks, sessions = type(o.sessions) == "table" and o.sessions or nil, verify_host = fields.verify_host }
  return fields, kept
end

--- Whether every suite of a server does without a certificate (PSK, anonymous).
function options.needs_no_identity(fields)
  for _, id in ipairs(fields.suites) do
    if core.suite_has_certificate(id) then return false end
  end
  return true
end

local function check_resumption(value)
  if value ~= nil and not is_class(value, "akushu.Resumption") then type_error("session", "a resumption (session:resumption(), akushu.resumption(bytes))", value) end
end

--- Checks the options of a renegotiation.
function options.renegotiate(kept, session, opts)
  if not is_class(session, "akushu.Session") then fail("renegotiate: a session expected, got %s", type(session)) end
  local o = check_all(opts or nothing, { hooks = in_handshake.hooks, session = in_handshake.session }, kept.role, "renegotiate", {})
  check_resumption(o.session)
  return o
end

--- Checks the options of one handshake; they are used as they are.
function options.handshake(kept, opts)
  local o = opts or nothing
  check_all(o, in_handshake, kept.role, "handshake")
  if kept.verify_host and not o.server_name then
    fail("handshake: option 'server_name' is missing: the host name could not be verified (verify = \"chain\" checks the chain alone)")
  end
  check_resumption(o.session)
  return o
end

return options
