-- The cipher suites of TLS 1.2 and below that both akushu and a peer have, as the peer calls them.
local akushu = require "akushu"

local peer_suites = {}

local function run(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local text = pipe:read "a"
  pipe:close()
  return text
end

-- What a suite wants of a server: the kind of its certificate's key, or nil.
function peer_suites.key(suite)
  return (suite.auth == "rsa" or suite.auth == "ecdsa") and suite.auth or nil
end

function peer_suites.needs_psk(suite) return suite.kx:find "psk" ~= nil end

local function ours()
  local list = {}
  for _, s in ipairs(akushu.crypto.suites()) do
    if s.usable and s.max_version < 0x0304 then list[#list + 1] = s end
  end
  return list
end

-- Joins what a peer says that it has with what akushu has. found: { id =, name = what the peer calls it, min = the lowest version that it does it in }.
-- Returns rows { suite =, peer =, min = }, and the IANA names of what akushu does not have.
function peer_suites.common(found)
  local known, rows, foreign = {}, {}, {}
  for _, f in ipairs(found) do known[f.id] = f end
  for _, s in ipairs(ours()) do
    local f = known[s.id]
    if f then rows[#rows + 1] = { suite = s, peer = f.name, min = math.max(f.min, s.min_version) } end
    known[s.id] = nil
  end
  for _, f in ipairs(found) do
    if known[f.id] and f.id >> 8 ~= 0x13 then foreign[#foreign + 1] = akushu.wire.name("suites", f.id) or f.name end
  end
  return rows, foreign
end

-- What akushu does not have, whoever has it: RC4, single DES and export suites (RFC 7465, RFC 5469, RFC 4346), DSS certificates, fixed (EC)DH keys, SRP, KRB5,
-- SEED, IDEA, GOST and SM4, and Camellia-GCM (libcrypto has no such cipher).
local nobody = { "RC4", "ARCFOUR", "WITH_DES_", "WITH_DES40", "DSS", "TLS_ECDH_[RE]", "TLS_DH_[RD]", "SRP", "KRB5", "SEED", "IDEA", "GOST", "SM4", "CAMELLIA_%d+_GCM" }

-- Those of a list of names that are none of these: empty, or akushu lacks something.
function peer_suites.unexplained(foreign)
  local out = {}
  for _, name in ipairs(foreign) do
    local explained = false
    for _, pattern in ipairs(nobody) do explained = explained or name:find(pattern) ~= nil end
    if not explained then out[#out + 1] = name end
  end
  return out
end

-- Rows that a predicate of the suite is true for.
function peer_suites.filter(rows, fn)
  local out = {}
  for _, row in ipairs(rows) do
    if fn(row.suite) then out[#out + 1] = row end
  end
  return out
end

local function openssl_version(text) return text == "TLSv1.2" and 0x0303 or 0x0301 end
peer_suites.openssl_version = openssl_version

-- What the installed openssl has; the names are those that `-cipher` takes.
function peer_suites.openssl()
  local found = {}
  for high, low, name, version in run("openssl ciphers -V 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'"):gmatch "0x(%x%x),0x(%x%x) %- (%S+)%s+(%S+)[^\n]*" do
    found[#found + 1] = { id = tonumber(high .. low, 16), name = name, min = openssl_version(version) }
  end
  return peer_suites.common(found)
end

local gnutls_kx = { rsa = "RSA", psk = "PSK", dhe_psk = "DHE-PSK", ecdhe_psk = "ECDHE-PSK", rsa_psk = "RSA-PSK" }
local gnutls_cipher = { ["3DES_EDE_CBC"] = "3DES-CBC", ["NULL"] = "NULL", ["CHACHA20_POLY1305"] = "CHACHA20-POLY1305" }

-- The parts of a priority string.
local function priority(s)
  local kx = gnutls_kx[s.kx]
  if s.auth == "anon" then kx = s.kx == "dhe" and "ANON-DH" or "ANON-ECDH"
  elseif not kx then kx = s.kx:upper() .. "-" .. s.auth:upper() end
  local cipher, mac = s.name:match "_WITH_(.+)_([^_]+)$"
  if s.name:find "CCM" then cipher, mac = s.name:match "_WITH_(.+)$", "AEAD" end
  if cipher:find "CCM" then cipher = cipher:gsub("_SHA256$", "") end
  if s.kind == "aead" then mac = "AEAD" end
  cipher = gnutls_cipher[cipher] or cipher:gsub("_", "-")
  return ("+%s:+%s:+%s"):format(kx, cipher, mac == "SHA" and "SHA1" or mac)
end

-- What the installed GnuTLS has; the names are the parts of a priority string.
function peer_suites.gnutls()
  local found = {}
  for name, high, low, protocol in run("gnutls-cli -l"):gmatch "(%S+)%s+0x(%x%x), 0x(%x%x)%s+(%S+)" do
    found[#found + 1] = { id = tonumber(high .. low, 16), name = name, min = protocol == "TLS1.2" and 0x0303 or 0x0301 }
  end
  local rows, foreign = peer_suites.common(found)
  for _, row in ipairs(rows) do row.peer = priority(row.suite) end
  return rows, foreign
end

-- What the installed NSS has, asked of its library, for its tools only print their abbreviations; the names are those that `-c` takes.
function peer_suites.nss()
  local ask = [[
import ctypes
nss = ctypes.CDLL("libssl3.so")
nss.SSL_GetImplementedCiphers.restype = ctypes.POINTER(ctypes.c_uint16)
nss.SSL_GetNumImplementedCiphers.restype = ctypes.c_uint16
for i in range(nss.SSL_GetNumImplementedCiphers()): print("%04X" % nss.SSL_GetImplementedCiphers()[i])
]]
  local found = {}
  for number in run("python3 -c '" .. ask .. "'"):gmatch "%x+" do found[#found + 1] = { id = tonumber(number, 16), name = ":" .. number, min = 0x0300 } end
  return peer_suites.common(found)
end

-- One suite of each key exchange, kind of protection and authentication: what a short run looks at.
function peer_suites.some(list)
  local out, seen = {}, {}
  for _, row in ipairs(list) do
    local kind = table.concat({ row.suite.kx, tostring(row.suite.auth), row.suite.kind }, " ")
    if not seen[kind] then out[#out + 1] = row end
    seen[kind] = true
  end
  return out
end

return peer_suites
