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

-- { suite =, peer = the name that `-cipher` takes, min = the lowest version that the peer does it in }
function peer_suites.openssl()
  local known, out = {}, {}
  for iana, name, protocol in run("openssl ciphers -stdname -v 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'"):gmatch "(%S+)%s+%-%s+(%S+)%s+(%S+)[^\n]*" do
    known[iana] = { name = name, min = protocol == "TLSv1.2" and 0x0303 or 0x0301 }
  end
  for _, s in ipairs(ours()) do
    local k = known[s.name]
    if k then out[#out + 1] = { suite = s, peer = k.name, min = math.max(k.min, s.min_version) } end
  end
  return out
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

-- { suite =, peer = the parts of a priority string, min = }
function peer_suites.gnutls()
  local known, out = {}, {}
  for high, low, protocol in run("gnutls-cli -l"):gmatch "(0x%x%x), (0x%x%x)%s+(%S+)" do
    known[tonumber(high) << 8 | tonumber(low)] = protocol == "TLS1.2" and 0x0303 or 0x0301
  end
  for _, s in ipairs(ours()) do
    local min = known[s.id]
    if min then out[#out + 1] = { suite = s, peer = priority(s), min = math.max(min, s.min_version) } end
  end
  return out
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
