-- A ClientHello that looks like a browser's.
--
-- A ClientHello gives away who made it: which suites, extensions, groups, in which order, with which GREASE (RFC 8701) and padding (RFC 7685).
-- JA3 (2017) is an MD5 of the lists in their order; JA4 (2023) sorts them first. A hello of Chrome 91 is rebuilt from what was published
-- about it, its JA3 and JA4 are computed and equal the published ones; then akushu's client is made to look like it, by one hook, and
-- completes handshakes that way: looks prove nothing.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"
local wire, crypto = akushu.wire, akushu.crypto

local published = { ja3 = "cd08e31494f9531f560d64c695473da9", ja4 = "t13d1516h2_8daaf6152771_e5627efa2ab1",
  ja3_text = "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,0-23-65281-10-11-35-16-5-13-18-51-45-43-27-17513-21,29-23-24,0" }

-- ---- fingerprints --------------------------------------------------------------------------------------------------------------

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function is_grease(n) return n & 0x0f0f == 0x0a0a and n >> 8 == n & 0xff end

-- 16-bit numbers from bytes, without GREASE.
local function numbers(bytes)
  local out = {}
  for at = 1, #bytes - 1, 2 do
    local n = string.unpack(">I2", bytes, at)
    if not is_grease(n) then out[#out + 1] = n end
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
  list = string.unpack(">s2", bytes, at)
  p.suites = numbers(suites)
  at = 1
  while at <= #list do
    local kind, data
    kind, data, at = string.unpack(">I2s2", list, at)
    if not is_grease(kind) then
      p.extensions[#p.extensions + 1] = kind
      p.data[kind] = data
    end
  end
  p.groups = numbers((p.data[10] or ""):sub(3))
  p.formats = { (p.data[11] or "\0"):byte(2, -1) }
  p.schemes = numbers((p.data[13] or ""):sub(3))
  return p
end

local function ja3(bytes)
  local p = parts(bytes)
  local text = ("%d,%s,%s,%s,%s"):format(p.version, table.concat(p.suites, "-"), table.concat(p.extensions, "-"),
    table.concat(p.groups, "-"), table.concat(p.formats, "-"))
  return hex(crypto.digest("md5", text)), text
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

local function ja4(bytes)
  local p = parts(bytes)
  local version = p.version
  for _, n in ipairs(numbers((p.data[43] or ""):sub(2))) do version = math.max(version, n) end
  local alpn = p.data[16] and string.unpack("s1", p.data[16], 3) or "00"
  local a = ("t%s%s%02d%02d%s%s"):format(({ [0x0304] = "13", [0x0303] = "12", [0x0302] = "11", [0x0301] = "10" })[version],
    p.data[0] and "d" or "i", math.min(#p.suites, 99), math.min(#p.extensions, 99), alpn:sub(1, 1), alpn:sub(-1))
  local b = sorted(fours(p.suites))
  local c = sorted(fours(p.extensions, function(n) return n ~= 0 and n ~= 16 end)) .. "_" .. table.concat(fours(p.schemes), ",")
  return ("%s_%s_%s"):format(a, hex(crypto.digest("sha256", b)):sub(1, 12), hex(crypto.digest("sha256", c)):sub(1, 12))
end

-- ---- the browser's hello ----------------------------------------------------------------------------------------------------------

local u16 = function(list) return string.pack(">" .. ("I2"):rep(#list), table.unpack(list)) end
local grease = { 0x3a3a, 0xdada, 0x8a8a, 0xcaca } -- suites, first extension, groups, last extension

local function browser_extensions(name, x25519)
  local function alpn(...)
    local out = ""
    for _, n in ipairs { ... } do out = out .. string.pack("s1", n) end
    return string.pack(">s2", out)
  end
  return {
    { grease[2], "" },
    { 0, string.pack(">s2", "\0" .. string.pack(">s2", name)) },
    { 23, "" }, { 65281, "\0" },
    { 10, string.pack(">s2", u16 { grease[3], 29, 23, 24 }) },
    { 11, "\1\0" }, { 35, "" }, { 16, alpn("h2", "http/1.1") }, { 5, "\1\0\0\0\0" },
    { 13, string.pack(">s2", u16 { 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601 }) },
    { 18, "" },
    { 51, string.pack(">s2", string.pack(">I2s2", grease[3], "\0") .. string.pack(">I2s2", 29, x25519)) },
    { 45, "\1\1" },
    { 43, string.pack("s1", u16 { 0x5a5a, 0x0304, 0x0303 }) },
    { 27, "\2\0\2" },
    { 17513, string.pack(">s2", string.pack("s1", "h2")) },
    { grease[4], "\0" },
  }
end

local browser_suites = { grease[1], 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35 }

-- The message as a table for the codec; padding brings it to 512 bytes (RFC 7685: 508 without the header).
local function dressed(random, session_id, name, x25519)
  local list, size = {}, 4 + 2 + 32 + 1 + #session_id + 2 + 2 * #browser_suites + 2 + 2
  for _, e in ipairs(browser_extensions(name, x25519)) do
    list[#list + 1] = { type = e[1], data = e[2] }
    size = size + 4 + #e[2]
  end
  list[#list + 1] = { type = 21, data = ("\0"):rep(math.max(0, 512 - size - 4)) }
  return { type = "client_hello", legacy_version = 0x0303, random = random, session_id = session_id, cipher_suites = browser_suites,
    compression_methods = { 0 }, extensions = list }
end

local lab = akushu.lab { seed = "browser" }
local recorded = wire.encode(dressed(("\x5c"):rep(32), ("\x5e"):rep(32), "www.example.com", crypto.share("x25519"):public()))

lib.title "The browser's ClientHello"
local md5, text = ja3(recorded)
print("  JA3 " .. md5 .. "\n      " .. text .. "\n  JA4 " .. ja4(recorded))
lib.claim(#recorded == 512, "it is padded to %d bytes", #recorded)
lib.claim(text == published.ja3_text and md5 == published.ja3, "its JA3 is the published one")
lib.claim(ja4(recorded) == published.ja4, "its JA4 is the published one")

lib.title "akushu's own, and dressed up"
local o = { groups = { "x25519", "secp256r1", "secp384r1" }, alpn = { "h2", "http/1.1" } }
local plain = assert(lab:client(o):handshake { server_name = "localhost" }:start()):sub(6)
print("  JA3 " .. (ja3(plain)) .. "\n  JA4 " .. ja4(plain))
lib.claim(ja3(plain) ~= md5 and ja4(plain) ~= ja4(recorded), "as it comes akushu looks like akushu")

local function dress(msg)
  local own
  for _, s in ipairs(msg.extensions:find "key_share".data.key_shares) do own = s.group == "x25519" and s.key_exchange or own end
  return dressed(msg.random, #msg.session_id == 32 and msg.session_id or ("s"):rep(32), "localhost", own)
end

for _, version in ipairs { "1.3", "1.2" } do
  local hs = lab:client(o):handshake { server_name = "localhost" }
  hs:on("compose", "client_hello", function(msg) return dress(msg) end)
  local server = lab:server { versions = version, alpn = { "h2" } }
  local t = lab:run(hs, server, { data = { "GET", "OK" } })
  local hello = t:messages("client")[1].bytes
  lib.claim(ja3(hello) == published.ja3 and ja4(hello) == published.ja4, "by one hook it looks like the browser: %s", ja4(hello))
  lib.claim(t.ok and t.client:received() == "OK", "and speaks TLS %s with a server: %s", t.client.session and t.client.session.version or "?",
    t.client.session and t.client.session.suite or t.client.message or t.server.message)
end
