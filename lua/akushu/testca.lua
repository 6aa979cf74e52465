--- akushu.testca: certificates for tests, examples and experiments, made in memory: no files, no openssl command.
--
--     local ca = testca.new { name = "Test Root" }
--     local inter = ca:intermediate { name = "Test CA 1" }
--     local leaf = inter:issue { names = { "localhost", "127.0.0.1" } }
--     akushu.server { identity = leaf.identity }      akushu.client { trust = ca:trust() }
--
-- Whatever is not said gets a value that verifies; whatever is said is done, right or wrong.
local core = require "akushu.core"
local der = require "akushu.der"
local meant = require "akushu.meant"
local misuse = require "akushu.misuse"
local usages = require "akushu.usages"
local x509, crypto = core.x509, core.crypto

local testca = {}

local DAY = 86400

-- Signature schemes: the AlgorithmIdentifier of each (RFC 3279, RFC 4055, RFC 5758, RFC 8410).
local hashes = { sha1 = "1.3.14.3.2.26", sha256 = "2.16.840.1.101.3.4.2.1", sha384 = "2.16.840.1.101.3.4.2.2",
  sha512 = "2.16.840.1.101.3.4.2.3" }
local hash_size = { sha1 = 20, sha256 = 32, sha384 = 48, sha512 = 64 }
local ecdsa_oid = { sha1 = "1.2.840.10045.4.1", sha256 = "1.2.840.10045.4.3.2", sha384 = "1.2.840.10045.4.3.3",
  sha512 = "1.2.840.10045.4.3.4" }
local rsa_oid = { sha1 = 5, sha256 = 11, sha384 = 12, sha512 = 13 }

local function pss_algorithm(hash)
  local h = der.sequence(der.oid(hashes[hash]), der.null())
  local mgf = der.sequence(der.oid "1.2.840.113549.1.1.8", h)
  local params = der.sequence(der.context(0, h), der.context(1, mgf), der.context(2, der.integer(hash_size[hash])))
  return der.sequence(der.oid "1.2.840.113549.1.1.10", params)
end

local function algorithm(scheme)
  local hash = scheme:match "sha%d+$"
  if scheme:find "^ecdsa_" then return der.sequence(der.oid(ecdsa_oid[hash])) end
  if scheme:find "^rsa_pkcs1_" then return der.sequence(der.oid("1.2.840.113549.1.1." .. rsa_oid[hash]), der.null()) end
  if scheme:find "^rsa_pss_" then return pss_algorithm(hash) end
  return der.sequence(der.oid(scheme == "ed25519" and "1.3.101.112" or "1.3.101.113"))
end

local ecdsa_scheme = { sha1 = "ecdsa_sha1", sha256 = "ecdsa_secp256r1_sha256", sha384 = "ecdsa_secp384r1_sha384",
  sha512 = "ecdsa_secp521r1_sha512" }
local curve_hash = { secp384r1 = "sha384", secp521r1 = "sha512" }

local function scheme_for(key, hash)
  local kind = key.type
  if kind == "ec" then return ecdsa_scheme[hash or curve_hash[key.group] or "sha256"] end
  if kind == "rsa" then return "rsa_pkcs1_" .. (hash or "sha256") end
  if kind == "rsa_pss" then return "rsa_pss_pss_" .. (hash or "sha256") end
  return kind
end

-- signed: SEQUENCE { tbs, algorithm, signature }. o: scheme, hash, algorithm (raw, outside), tamper.
local function signed(tbs, key, scheme, o)
  local signature = assert(key:sign(scheme, tbs))
  if o.tamper then signature = signature:sub(1, -2) .. string.char(signature:byte(-1) ~ 1) end
  return der.sequence(tbs, o.outer_algorithm or algorithm(scheme), der.bits(o.signature or signature))
end

local function check(o, what, allowed)
  if type(o) ~= "table" then error(what .. ": a table of options expected, got " .. type(o), 3) end
  for name in pairs(o) do
    if not allowed[name] then error(("%s: unknown option '%s'%s"):format(what, tostring(name), meant(name, allowed)), 3) end
  end
  if o.hash ~= nil and not hashes[o.hash] then
    error(("%s: option 'hash': \"sha1\", \"sha256\", \"sha384\" or \"sha512\" expected, got %s"):format(what, tostring(o.hash)), 3)
  end
  if o.serial ~= nil and math.type(o.serial) ~= "integer" and not (type(o.serial) == "string" and o.serial:find "^%x+$") then
    error(("%s: option 'serial': a whole number or hexadecimal digits expected, got %s"):format(what, tostring(o.serial)), 3)
  end
  if o.names ~= nil and type(o.names) ~= "table" then error(("%s: option 'names': a list of names expected, got %s"):format(what, type(o.names)), 3) end
  if o.name ~= nil and type(o.name) ~= "string" and type(o.name) ~= "table" then
    error(("%s: option 'name': a string or a list of { attribute, value } expected, got %s"):format(what, type(o.name)), 3)
  end
  for _, name in ipairs { "not_before", "not_after", "this_update", "next_update", "produced_at", "revoked_at" } do
    local value = o[name]
    if value ~= nil and type(value) ~= "number" and not (value == false and name == "next_update") then
      error(("%s: option '%s': seconds since 1970 expected, got %s"):format(what, name, type(value)), 3)
    end
  end
end

local function set(list)
  local out = {}
  for name in list:gmatch "%S+" do out[name] = true end
  return out
end

-- ---- names ---------------------------------------------------------------------------------------------------------------------

local attributes = { CN = "2.5.4.3", C = "2.5.4.6", L = "2.5.4.7", ST = "2.5.4.8", O = "2.5.4.10", OU = "2.5.4.11",
  serialNumber = "2.5.4.5", DC = "0.9.2342.19200300.100.1.25", emailAddress = "1.2.840.113549.1.9.1" }
local ia5_attributes = { DC = true, emailAddress = true }

--- A Name: a string (the common name), or an array of { "O", "Example" } pairs; a DER Name stays as it is.
function testca.name(v)
  if type(v) == "string" and v:byte() == 0x30 and select(4, der.read(v)) == #v + 1 then return v end
  if type(v) == "string" then v = { { "CN", v } } end
  local rdns = {}
  for i, pair in ipairs(v) do
    local id = attributes[pair[1]] or pair[1]
    local encode = ia5_attributes[pair[1]] and der.ia5 or pair[1] == "C" and der.printable or der.utf8
    local value = pair.raw or encode(pair[2])
    rdns[i] = der.set(der.sequence(der.oid(id), value))
  end
  return der.sequence(table.concat(rdns))
end

local function ipv4(s)
  local a, b, c, d = s:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if not a then return nil end
  for _, part in ipairs { a, b, c, d } do if tonumber(part) > 255 then return nil end end
  return string.char(a, b, c, d)
end

local function ipv6(s)
  if not s:find ":" or s:find "[^%x:.]" then return nil end
  local head, tail = s:match "^(.-)::(.*)$"
  local function words(text)
    local out = {}
    for part in (text or ""):gmatch "[^:]+" do
      out[#out + 1] = ipv4(part) or string.pack(">I2", tonumber(part, 16))
    end
    return table.concat(out)
  end
  local a, b = words(head or s), words(tail)
  return a .. ("\0"):rep(16 - #a - #b) .. b
end

local function address(s) return ipv4(s) or ipv6(s) end

local function mask(bits, n)
  local out = {}
  for i = 1, n do
    local left = math.max(0, math.min(8, bits - (i - 1) * 8))
    out[i] = string.char(0xff << (8 - left) & 0xff)
  end
  return table.concat(out)
end

-- range: "10.0.0.0/8" as address and mask (name constraints).
local function range(s)
  local ip, bits = s:match "^([^/]+)/(%d+)$"
  local bytes = address(ip or s)
  return bytes .. mask(tonumber(bits) or #bytes * 8, #bytes)
end

--- A GeneralName: "example.com", "192.0.2.1", "::1", or with its kind: "DNS:…", "IP:…", "email:…", "URI:…", "DirName:…", "RID:…";
-- { tag, bytes } as it is.
function testca.general_name(v, constraint)
  if type(v) == "table" then return der.tlv(v[1], v[2]) end
  local kind, rest = v:match "^(%a+):(.*)$"
  if kind == "DNS" then return der.primitive(2, rest) end
  if kind == "email" then return der.primitive(1, rest) end
  if kind == "URI" then return der.primitive(6, rest) end
  if kind == "DirName" then return der.context(4, testca.name(rest)) end
  if kind == "RID" then return der.primitive(8, der.oid_content(rest)) end
  if kind == "IP" then v = rest end
  if constraint and (kind == "IP" or v:find "/") then return der.primitive(7, range(v)) end
  local ip = address(v)
  if ip then return der.primitive(7, constraint and range(v) or ip) end
  return der.primitive(2, v)
end

local function general_names(list, constraint)
  local out = {}
  for i, v in ipairs(list) do out[i] = testca.general_name(v, constraint) end
  return table.concat(out)
end

-- ---- extensions ------------------------------------------------------------------------------------------------------------------

local purpose_sets = { server = { "serverAuth" }, client = { "clientAuth" }, both = { "serverAuth", "clientAuth" },
  ocsp = { "OCSPSigning" } }

local function eku(v)
  local list = type(v) == "string" and purpose_sets[v] or v
  if type(list) ~= "table" then
    error(("option 'purpose': \"server\", \"client\", \"both\", \"ocsp\", a list of extKeyUsage names or OIDs, or false expected, got %s"):format(tostring(v)), 0)
  end
  return usages.ext_key_usage(list)
end

local function constraints(v)
  local function trees(n, list)
    if not list then return "" end
    local out = {}
    for i, name in ipairs(list) do out[i] = der.sequence(testca.general_name(name, true)) end
    return der.context(n, table.concat(out))
  end
  return der.sequence(trees(0, v.permitted), trees(1, v.excluded))
end

local function policies(list)
  local out = {}
  for i, id in ipairs(list) do out[i] = der.sequence(der.oid(id == "any" and "2.5.29.32.0" or id)) end
  return der.sequence(table.concat(out))
end

local function mappings(list)
  local out = {}
  for i, pair in ipairs(list) do out[i] = der.sequence(der.oid(pair[1]), der.oid(pair[2])) end
  return der.sequence(table.concat(out))
end

local function distribution_points(urls)
  local out = {}
  for i, url in ipairs(urls) do out[i] = der.sequence(der.context(0, der.context(0, der.primitive(6, url)))) end
  return der.sequence(table.concat(out))
end

local function access(o)
  local out = {}
  for _, url in ipairs(o.ocsp_urls or {}) do out[#out + 1] = der.sequence(der.oid "1.3.6.1.5.5.7.48.1", der.primitive(6, url)) end
  for _, url in ipairs(o.issuer_urls or {}) do out[#out + 1] = der.sequence(der.oid "1.3.6.1.5.5.7.48.2", der.primitive(6, url)) end
  return der.sequence(table.concat(out))
end

--- The key identifier of RFC 5280 §4.2.1.2 (1): SHA-1 of the public key's bits.
function testca.key_id(spki)
  local _, inside = der.read(spki)
  local _, _, _, at = der.read(inside)
  local _, bits = der.read(inside, at)
  return crypto.digest("sha1", bits:sub(2))
end

local extension_oids = { subjectKeyIdentifier = "2.5.29.14", keyUsage = "2.5.29.15", subjectAltName = "2.5.29.17",
  basicConstraints = "2.5.29.19", nameConstraints = "2.5.29.30",
  cRLDistributionPoints = "2.5.29.31", certificatePolicies = "2.5.29.32", policyMappings = "2.5.29.33",
  authorityKeyIdentifier = "2.5.29.35", policyConstraints = "2.5.29.36", extKeyUsage = "2.5.29.37", inhibitAnyPolicy = "2.5.29.54",
  authorityInfoAccess = "1.3.6.1.5.5.7.1.1", tlsFeature = "1.3.6.1.5.5.7.1.24", ocspNoCheck = "1.3.6.1.5.5.7.48.1.5",
  signedCertificateTimestamps = "1.3.6.1.4.1.11129.2.4.2" }

local function extension(e)
  return der.sequence(der.oid(extension_oids[e.oid] or e.oid), e.critical and der.boolean(true) or "", der.octets(e.value))
end

-- The extensions that the options ask for, in the order in which most CAs write them.
local function default_extensions(o, ca, rsa, spki, issuer_spki)
  local list = {}
  local function add(name, critical, value)
    if o.critical and o.critical[name] ~= nil then critical = o.critical[name] end
    list[#list + 1] = { oid = name, critical = critical, value = value }
  end
  if ca then
    add("basicConstraints", true, der.sequence(der.boolean(true), o.path_length and der.integer(o.path_length) or ""))
  elseif o.is_ca == false then
    add("basicConstraints", true, der.sequence())
  end
  local usage = o.key_usage
  if usage == nil then
    usage = ca and { "keyCertSign", "cRLSign" } or rsa and { "digitalSignature", "keyEncipherment" } or { "digitalSignature" }
  end
  if usage then add("keyUsage", true, usages.key_usage(usage)) end
  local purpose = o.purpose
  if purpose == nil and not ca then purpose = "both" end
  if purpose then add("extKeyUsage", false, eku(purpose)) end
  local nameless = type(o.name) == "table" and #o.name == 0 -- RFC 5280 §4.2.1.6: then the extension is critical
  if o.names and #o.names > 0 then add("subjectAltName", nameless, der.sequence(general_names(o.names))) end
  if o.subject_key_id ~= false then add("subjectKeyIdentifier", false, der.octets(o.subject_key_id or testca.key_id(spki))) end
  if o.authority_key_id ~= false then
    add("authorityKeyIdentifier", false, der.sequence(der.primitive(0, o.authority_key_id or testca.key_id(issuer_spki))))
  end
  if o.name_constraints then add("nameConstraints", true, constraints(o.name_constraints)) end
  if o.policies then add("certificatePolicies", false, policies(o.policies)) end
  if o.policy_mappings then add("policyMappings", true, mappings(o.policy_mappings)) end
  if o.require_policy or o.inhibit_mapping then
    add("policyConstraints", true, der.sequence(o.require_policy and der.primitive(0, der.integer_content(o.require_policy)) or "",
      o.inhibit_mapping and der.primitive(1, der.integer_content(o.inhibit_mapping)) or ""))
  end
  if o.inhibit_any_policy then add("inhibitAnyPolicy", true, der.integer(o.inhibit_any_policy)) end
  if o.crl_urls then add("cRLDistributionPoints", false, distribution_points(o.crl_urls)) end
  if o.ocsp_urls or o.issuer_urls then add("authorityInfoAccess", false, access(o)) end
  if o.must_staple then add("tlsFeature", false, der.sequence(der.integer(5))) end
  if o.scts then add("signedCertificateTimestamps", false, der.octets(o.scts)) end
  return list
end

-- Extensions of the caller's: they replace those of the same kind, and omitted ones go.
local function all_extensions(o, list)
  local own, out = {}, {}
  for _, e in ipairs(o.extensions or {}) do own[extension_oids[e.oid] or e.oid] = true end
  for _, name in ipairs(o.omit or {}) do own[extension_oids[name] or name] = true end
  for _, e in ipairs(list) do
    if not own[extension_oids[e.oid]] then out[#out + 1] = extension(e) end
  end
  for _, e in ipairs(o.extensions or {}) do out[#out + 1] = extension(e) end
  return table.concat(out)
end

-- ---- certificates ------------------------------------------------------------------------------------------------------------------

local certificate_options = set [[ name names key not_before not_after purpose is_ca path_length key_usage name_constraints must_staple
  policies policy_mappings require_policy inhibit_mapping inhibit_any_policy crl_urls ocsp_urls issuer_urls scts extensions omit critical
  hash scheme serial version subject_key_id authority_key_id spki issuer_name inner_algorithm outer_algorithm signature tamper ocsp ]]

local function key_of(v)
  if v == nil then v = "ec:secp256r1" end
  if type(v) == "string" then
    local ok, key, message = pcall(x509.private_key.generate, v)
    if ok and key then return key end
    error("option 'key': " .. (message or key:match "%((.*)%)$" or key), 0) -- whoever called issue, new … is to blame: see misuse.blame_through
  end
  if type(v) ~= "userdata" then error("option 'key': a kind of key such as \"rsa:2048\", or a PrivateKey, expected, got " .. type(v), 0) end
  return v
end

local counter = {} -- certificates made with a key so far: serial numbers differ, and repeat in a run that repeats
setmetatable(counter, { __mode = "k" })

-- serial_number: a number, or hexadecimal digits, as an INTEGER.
local function serial_number(v)
  if type(v) == "number" then return der.integer(v) end
  local digits = (#v % 2 == 1 and "0" or "") .. v
  return der.integer((digits:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)))
end

local function serial_of(o, issuer_key, tbs_seed)
  if o.serial ~= nil then return serial_number(o.serial) end
  counter[issuer_key] = (counter[issuer_key] or 0) + 1
  local s = crypto.digest("sha256", tbs_seed .. string.pack(">I4", counter[issuer_key]))
  return der.integer(string.char(s:byte() & 0x7f | 0x40) .. s:sub(2, 16))
end

local rsa_identifier = der.oid "1.2.840.113549.1.1.1"

-- Whether a key can decrypt: of a public key alone its algorithm says it.
local function is_rsa(key, spki)
  if key then return key.type == "rsa" end
  return spki:find(rsa_identifier, 1, true) ~= nil
end

-- make: one certificate. issuer: { name =, key =, spki = }, or nil for self-signed.
local function make(o, ca, issuer)
  -- Somebody else's public key alone: there is no private key then, only a certificate.
  local key = (o.key ~= nil or not o.spki or ca or not issuer) and key_of(o.key) or nil
  local spki = o.spki or key.spki
  local first = o.names and o.names[1]
  local subject = testca.name(o.name or type(first) == "string" and (first:gsub("^%a+:", "")) or "akushu test")
  local signer = issuer and issuer.key or key
  local scheme = o.scheme or scheme_for(signer, o.hash)
  local now = os.time()
  local version = o.version or 3
  local extensions = ""
  if version == 3 then
    extensions = all_extensions(o, default_extensions(o, ca, is_rsa(key, spki), spki, issuer and issuer.spki or spki))
  end
  local tbs = der.sequence(
    version > 1 and der.context(0, der.integer(version - 1)) or "",
    serial_of(o, signer, spki .. subject),
    o.inner_algorithm or algorithm(scheme),
    o.issuer_name and testca.name(o.issuer_name) or issuer and issuer.name or subject,
    der.sequence(der.time(o.not_before or now - DAY), der.time(o.not_after or now + 365 * DAY)),
    subject,
    spki,
    extensions ~= "" and der.context(3, der.sequence(extensions)) or "")
  local bytes = signed(tbs, signer, scheme, o)
  return { der = bytes, certificate = x509.certificate(bytes), key = key, name = subject, spki = spki }
end

local function pem_chain(chain)
  local out = {}
  for i, c in ipairs(chain) do out[i] = c.pem end
  return table.concat(out)
end

local issued = {}
issued.__index = function(self, name)
  if name == "identity" then
    local key = rawget(self, "key")
    if not key then return nil end
    local made, message = x509.identity { chain = self.chain, key = key, ocsp = self._ocsp }
    if not made then error("no identity can be made of this certificate: " .. message, 2) end
    rawset(self, "identity", made)
    return made
  end
  if name == "pem_chain" then return pem_chain(self.chain) end
  if name == "pem_key" then return self.key and self.key:reveal "pem" end
end

-- What issue returns: certificate, chain (the end entity first, without the root), key, identity, pem_chain, pem_key.
local function identity_of(made, chain, o)
  local all = { made.certificate }
  for _, c in ipairs(chain) do all[#all + 1] = c end
  return setmetatable({ der = made.der, certificate = made.certificate, chain = all, key = made.key, _ocsp = o.ocsp }, issued)
end

-- ---- CAs -----------------------------------------------------------------------------------------------------------------------------

local ca_methods = {}
local ca_class = { __index = ca_methods, __name = "akushu.TestCA" }
ca_class.__tostring = function(self) return ("akushu.TestCA (%s)"):format(self.certificate and self.certificate.subject or "?") end

local function ca_of(made, parent)
  local ca = setmetatable(made, ca_class)
  ca.chain = {}
  if parent then
    ca.root = parent.root
    ca.chain[1] = made.certificate
    for _, c in ipairs(parent.chain) do ca.chain[#ca.chain + 1] = c end
  else
    ca.root = ca
  end
  return ca
end

-- named: the options with a name, when they have none.
local function named(o, name)
  if o.name ~= nil then return o end
  local out = { name = name }
  for k, v in pairs(o) do out[k] = v end
  return out
end

--- A root CA. Options: those of issue.
function testca.new(o)
  o = o or {}
  check(o, "testca.new", certificate_options)
  o = named(o, "akushu test root")
  local made = misuse.blame_through(2, make, o, o.is_ca ~= false, nil)
  return ca_of(made)
end

--- A certificate signed with its own key, which is no CA.
function testca.self_signed(o)
  check(o, "testca.self_signed", certificate_options)
  local made = misuse.blame_through(2, make, o, o.is_ca, nil)
  return identity_of(made, {}, o)
end

--- A CA below this one.
function ca_methods:intermediate(o)
  o = o or {}
  check(o, "intermediate", certificate_options)
  o = named(o, "akushu test intermediate")
  local made = misuse.blame_through(2, make, o, o.is_ca ~= false, self)
  return ca_of(made, self)
end

--- An end entity's certificate.
--   names (host names, addresses, "email:…", "URI:…"), name (subject), key ("ec:secp256r1", "rsa:2048", "ed25519", … or a PrivateKey: RSA
--   keys are slow to make), not_before, not_after (seconds since 1970), purpose ("server", "client", "both", a list, false), is_ca,
--   path_length, key_usage (a list, false), name_constraints { permitted =, excluded = }, must_staple, policies, crl_urls, ocsp_urls,
--   extensions { { oid =, critical =, value = } }, omit { "keyUsage" }, critical { keyUsage = false }, hash ("sha256"), scheme,
--   serial (a number or hexadecimal), version, tamper (a wrong signature), …
function ca_methods:issue(o)
  check(o, "issue", certificate_options)
  local made = misuse.blame_through(2, make, o, o.is_ca, self)
  return identity_of(made, self.chain, o)
end

--- Signed with its own key, for comparison.
function ca_methods:self_signed(o) -- luacheck: ignore self
  local made = misuse.blame_through(2, testca.self_signed, o)
  return made
end

--- The root's certificate as PEM; for an intermediate: its own.
function ca_methods:pem() return self.certificate.pem end

--- A trust store with the root alone; options as for akushu.trust.
function ca_methods:trust(o)
  if o ~= nil and type(o) ~= "table" then error("trust: a table of options expected, got " .. type(o), 2) end
  local all = { certificates = { self.root.certificate } }
  for k, v in pairs(o or {}) do all[k] = v end
  local trust, message = misuse.blame_through(2, x509.trust, all)
  if not trust then error("trust: " .. message, 2) end
  return trust
end

-- ---- revocation ----------------------------------------------------------------------------------------------------------------------

local reasons = { unspecified = 0, keyCompromise = 1, cACompromise = 2, affiliationChanged = 3, superseded = 4, cessationOfOperation = 5,
  certificateHold = 6, removeFromCRL = 8, privilegeWithdrawn = 9, aACompromise = 10 }

local function certificate_of(v) return type(v) == "table" and v.certificate or v end

local function check_certificate(what, v, level)
  if type(v) ~= "userdata" then error(("%s: a Certificate, or what issue gave, expected, got %s"):format(what, type(v)), level + 1) end
  return v
end

-- serial_bytes: the INTEGER of a certificate's serial number, as the certificate has it.
local function serial_bytes(certificate)
  local _, inside = der.read(certificate.der)
  local _, tbs = der.read(inside)
  local at = 1
  local tag, _, whole, after = der.read(tbs)
  if tag == 0xa0 then at = after end
  if at > 1 then _, _, whole = der.read(tbs, at) end
  return whole
end

local function revoked_entry(v, now)
  local e = type(v) == "table" and (v.serial or v.reason or v.time or v.extensions) and v or { certificate = certificate_of(v) }
  local serial = e.serial and serial_number(e.serial) or serial_bytes(check_certificate("crl: option 'revoked'", certificate_of(e.certificate), 3))
  local extensions = e.extensions or ""
  if e.reason then extensions = extension { oid = "2.5.29.21", value = der.enumerated(reasons[e.reason] or e.reason) } .. extensions end
  return der.sequence(serial, der.time(e.time or now), extensions ~= "" and der.sequence(extensions) or "")
end

local crl_options = set [[ revoked this_update next_update number delta scope extensions hash scheme tamper outer_algorithm signature
  issuer_name ]]

--- A CRL of this CA, DER. revoked: Certificates, results of issue, or { certificate =, serial =, reason =, time =, extensions = }; number
-- (false: none); delta (a base number); scope (the bytes of an issuingDistributionPoint).
function ca_methods:crl(o)
  o = o or {}
  check(o, "crl", crl_options)
  local now = os.time()
  local entries, extensions = {}, {}
  for i, v in ipairs(o.revoked or {}) do entries[i] = revoked_entry(v, now - 3600) end
  extensions[1] = extension { oid = "authorityKeyIdentifier", value = der.sequence(der.primitive(0, testca.key_id(self.spki))) }
  if o.number ~= false then extensions[2] = extension { oid = "2.5.29.20", value = der.integer(o.number or 1) } end
  if o.delta then extensions[#extensions + 1] = extension { oid = "2.5.29.27", critical = true, value = der.integer(o.delta) } end
  if o.scope then extensions[#extensions + 1] = extension { oid = "2.5.29.28", critical = true, value = o.scope } end
  for _, e in ipairs(o.extensions or {}) do extensions[#extensions + 1] = extension(e) end
  local scheme = o.scheme or scheme_for(self.key, o.hash)
  local tbs = der.sequence(
    der.integer(1),
    algorithm(scheme),
    o.issuer_name and testca.name(o.issuer_name) or self.name,
    der.time(o.this_update or now - 3600),
    o.next_update ~= false and der.time(o.next_update or now + 7 * DAY) or "",
    #entries > 0 and der.sequence(table.concat(entries)) or "",
    der.context(0, der.sequence(table.concat(extensions))))
  return signed(tbs, self.key, scheme, o)
end

local ocsp_options = set [[ status this_update next_update produced_at revoked_at reason responder by_name hash id_hash scheme tamper
  outer_algorithm signature certificates more ]]

-- single_response: what a CA says of one certificate. o: status, reason, revoked_at, this_update, next_update, id_hash.
local function single_response(ca, certificate, o, now)
  local hash = o.id_hash or "sha1"
  local _, inside = der.read(ca.spki)
  local _, _, _, at = der.read(inside)
  local _, bits = der.read(inside, at)
  local id = der.sequence(der.sequence(der.oid(hashes[hash]), der.null()), der.octets(crypto.digest(hash, ca.name)),
    der.octets(crypto.digest(hash, bits:sub(2))), serial_bytes(certificate))
  local status = der.primitive(0)
  if o.status == "revoked" then
    local reason = o.reason and der.context(0, der.enumerated(reasons[o.reason] or o.reason)) or ""
    status = der.context(1, der.generalized_time(o.revoked_at or now - 3600), reason)
  elseif o.status == "unknown" then
    status = der.primitive(2)
  end
  return der.sequence(id, status, der.generalized_time(o.this_update or now - 60),
    o.next_update ~= false and der.context(0, der.generalized_time(o.next_update or now + DAY)) or "")
end

--- An OCSP response about a certificate that this CA issued, DER. status "good", "revoked" or "unknown"; responder: a result of issue
-- whose purpose is "ocsp"; otherwise the CA signs itself. more: further answers in the same response, each a table of status, reason,
-- revoked_at, this_update, next_update, and certificate (the same one unless said).
function ca_methods:ocsp(certificate, o)
  o = o or {}
  check(o, "ocsp", ocsp_options)
  if o.status ~= nil and o.status ~= "good" and o.status ~= "revoked" and o.status ~= "unknown" then
    error(("ocsp: option 'status': \"good\", \"revoked\" or \"unknown\" expected, got '%s'"):format(tostring(o.status)), 2)
  end
  certificate = check_certificate("ocsp", certificate_of(certificate), 2)
  local now = os.time()
  local signer = o.responder or self
  local answers = { single_response(self, certificate, o, now) }
  for i, more in ipairs(o.more or {}) do
    answers[i + 1] = single_response(self, more.certificate and certificate_of(more.certificate) or certificate, more, now)
  end
  local responder = o.by_name and der.context(1, signer.certificate.subject_der) or
    der.context(2, der.octets(testca.key_id(signer.certificate.spki)))
  local data = der.sequence(responder, der.generalized_time(o.produced_at or now - 60),
    der.sequence(table.concat(answers)))
  local scheme = o.scheme or scheme_for(signer.key, o.hash)
  local basic = signed(data, signer.key, scheme, o)
  local certificates = o.certificates or o.responder and { o.responder.certificate } or {}
  if #certificates > 0 then
    local list = {}
    for i, c in ipairs(certificates) do list[i] = c.der end
    local _, content = der.read(basic)
    basic = der.sequence(content, der.context(0, der.sequence(table.concat(list))))
  end
  return der.sequence(der.enumerated(0), der.context(0, der.sequence(der.oid "1.3.6.1.5.5.7.48.1.1", der.octets(basic))))
end

local base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

--- PEM of anything: testca.pem("X509 CRL", der).
function testca.pem(label, bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local v = a << 16 | (b or 0) << 8 | (c or 0)
    local quad = {}
    for k = 0, 3 do
      local n = v >> (18 - 6 * k) & 63
      quad[k + 1] = (k == 2 and not b or k == 3 and not c) and "=" or base64:sub(n + 1, n + 1)
    end
    out[#out + 1] = table.concat(quad)
  end
  local lines = table.concat(out):gsub(("."):rep(64), "%0\n"):gsub("\n$", "")
  return ("-----BEGIN %s-----\n%s\n-----END %s-----\n"):format(label, lines, label)
end

return testca
