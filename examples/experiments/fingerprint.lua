-- JA3 (2017) and JA4 (2023): what a ClientHello gives away of who made it. Both leave out GREASE (RFC 8701).
--
--     fingerprint.ja3(hello) → MD5 as digits, the text it is made of       the lists in their order
--     fingerprint.ja4(hello) → "t13d1516h2_8daaf6152771_e5627efa2ab1", the same with lists in place of hashes       sorted first
--
-- hello: a ClientHello message with its header, as bytes.
local fingerprint = {}

-- Asked for when it is needed: an experiment's lib.lua finds akushu, and by itself this file does nothing.
local function digest(hash, text) return require("akushu").crypto.digest(hash, text) end

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

function fingerprint.is_grease(n) return n & 0x0f0f == 0x0a0a and n >> 8 == n & 0xff end

-- 16-bit numbers from bytes, without GREASE.
local function numbers(bytes)
  local out = {}
  for at = 1, #bytes - 1, 2 do
    local n = string.unpack(">I2", bytes, at)
    if not fingerprint.is_grease(n) then out[#out + 1] = n end
  end
  return out
end

-- The parts of a ClientHello that fingerprints are made of, read from its bytes.
local function parts(bytes)
  local p, at = { version = string.unpack(">I2", bytes, 5), extensions = {}, data = {} }, 39
  local _, suites, list
  _, at = string.unpack("s1", bytes, at)
  suites, at = string.unpack(">s2", bytes, at)
  _, at = string.unpack("s1", bytes, at)
  list = at <= #bytes and string.unpack(">s2", bytes, at) or ""
  p.suites = numbers(suites)
  at = 1
  while at <= #list do
    local kind, data
    kind, data, at = string.unpack(">I2s2", list, at)
    if not fingerprint.is_grease(kind) then
      p.extensions[#p.extensions + 1] = kind
      p.data[kind] = data
    end
  end
  p.groups = numbers((p.data[10] or ""):sub(3))
  p.formats = { (p.data[11] or "\0"):byte(2, -1) }
  p.schemes = numbers((p.data[13] or ""):sub(3))
  return p
end

function fingerprint.ja3(bytes)
  local p = parts(bytes)
  local text = ("%d,%s,%s,%s,%s"):format(p.version, table.concat(p.suites, "-"), table.concat(p.extensions, "-"),
    table.concat(p.groups, "-"), table.concat(p.formats, "-"))
  return hex(digest("md5", text)), text
end

local function fours(list, keep)
  local out = {}
  for _, n in ipairs(list) do
    if not keep or keep(n) then out[#out + 1] = ("%04x"):format(n) end
  end
  return out
end

local function sorted(list)
  table.sort(list)
  return table.concat(list, ",")
end

-- The first 12 digits of the SHA-256; zeros for nothing.
local function short(text) return text == "" and ("0"):rep(12) or hex(digest("sha256", text)):sub(1, 12) end

-- The first and the last character of the first ALPN name; of its hexadecimal digits when one of them is neither letter nor digit.
local function alpn_ends(data)
  local name = data and #data > 2 and string.unpack("s1", data, 3) or ""
  if name == "" then return "00" end
  if not name:find "^%w" or not name:find "%w$" then name = hex(name) end
  return name:sub(1, 1) .. name:sub(-1)
end

local versions = { [0x0304] = "13", [0x0303] = "12", [0x0302] = "11", [0x0301] = "10", [0x0300] = "s3" }

function fingerprint.ja4(bytes)
  local p = parts(bytes)
  local offered = numbers((p.data[43] or ""):sub(2))
  local version = #offered > 0 and math.max(table.unpack(offered)) or p.version
  local a = ("t%s%s%02d%02d%s"):format(versions[version] or "00", p.data[0] and "d" or "i", math.min(#p.suites, 99), math.min(#p.extensions, 99),
    alpn_ends(p.data[16]))
  local b, schemes = sorted(fours(p.suites)), table.concat(fours(p.schemes), ",")
  local c = sorted(fours(p.extensions, function(n) return n ~= 0 and n ~= 16 end)) -- server_name and ALPN come and go with the site
  if schemes ~= "" then c = c .. "_" .. schemes end
  return ("%s_%s_%s"):format(a, short(b), short(c)), ("%s_%s_%s"):format(a, b, c)
end

return fingerprint
