-- A ClientHello that looks like a browser's.
--
-- A ClientHello gives away who made it: which suites, extensions, groups, in which order, with which GREASE (RFC 8701) and padding (RFC 7685). One of
-- Chromium 156.0.8078.79 was recorded on loopback (chromium_156_client_hello.hex). akushu's client is made to say the same by one hook: the same lists in the same
-- order, GREASE in the same places, every extension as long as there; only what must be its own is its own. Its JA3 and JA4 are the browser's, and it
-- completes handshakes that way: looks prove nothing. An older browser, known from published fingerprints alone, is rebuilt with its padding.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"
local fingerprint = require "fingerprint"
local wire, crypto = akushu.wire, akushu.crypto
local ja3, ja4, is_grease = fingerprint.ja3, fingerprint.ja4, fingerprint.is_grease

-- ---- the recorded hello --------------------------------------------------------------------------------------------------------------

local file = assert(io.open((arg[0]:match "^(.*/)" or "./") .. "chromium_156_client_hello.hex"))
local digits = file:read "a":gsub("#[^\n]*\n", ""):gsub("%s", "")
file:close()
local record = digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
local recorded = record:sub(6)
local browser = wire.decode(recorded, { what = "handshake" })

lib.title "Chromium 156, as it was recorded"
print("  JA3 " .. ja3(recorded) .. "\n      " .. select(2, ja3(recorded)) .. "\n  JA4 " .. ja4(recorded))
lib.claim(string.unpack(">I2", record, 4) == #recorded and browser.notes == nil and wire.encode(browser) == recorded,
  "the codec reads all of its %d bytes, and writes them again", #recorded)

-- Where GREASE stands: paths into the message.
local function grease_in(node, path, out)
  for key, value in pairs(node) do
    local here = path .. "/" .. tostring(key)
    if type(value) == "table" then grease_in(value, here, out)
    elseif math.type(value) == "integer" and value > 255 and is_grease(value) then out[#out + 1] = here end
  end
  table.sort(out)
  return out
end
local places = grease_in(browser, "", {})
lib.claim(#places == 7, "it has GREASE in %d places: suites, groups, shares, versions, schemes, two extensions", #places)

-- ---- akushu, dressed up ----------------------------------------------------------------------------------------------------------------

local lab = akushu.lab { seed = "browser" }

-- Another GREASE value for each of the browser's; the same one for a group and its share, never one twice for extensions.
local function new_grease()
  local first, known, n = lab:random("grease", 1):byte(), {}, 0
  return function(kind, value)
    local key = kind .. value
    if not known[key] then
      known[key] = ((first + n) % 16 * 16 + 10) * 257
      n = n + 1
    end
    return known[key]
  end
end

local function greased(list, kind, fresh)
  for i, v in ipairs(list) do
    if math.type(v) == "integer" and is_grease(v) then list[i] = fresh(kind, v) end
  end
end

-- What must be this client's own, by extension; the rest is the browser's.
local own = {}

function own.server_name(_, mine) return mine.extensions:find "server_name".data end

function own.key_share(data, mine, fresh)
  local shares = {}
  for _, s in ipairs(mine.extensions:find "key_share".data.key_shares) do shares[s.group] = s.key_exchange end
  for _, s in ipairs(data.key_shares) do
    if math.type(s.group) == "integer" then s.group = fresh("group", s.group)
    else s.key_exchange = shares[s.group] or lab:random("grease", #s.key_exchange) end -- no ML-KEM in this libcrypto: as long as one, no more
  end
  return data
end

-- The browser has no ECH configuration for this site, and sends something that looks like it: so does this.
function own.encrypted_client_hello(data)
  data.body.config_id = lab:random("grease", 1):byte()
  data.body.enc, data.body.payload = lab:random("grease", #data.body.enc), lab:random("grease", #data.body.payload)
  return data
end

local function like_the_browser(mine)
  local msg, fresh = wire.decode(recorded, { what = "handshake" }), new_grease()
  msg.random, msg.session_id = mine.random, mine.session_id
  greased(msg.cipher_suites, "suite", fresh)
  for _, e in ipairs(msg.extensions) do
    if own[e.type] then e.data = own[e.type](e.data, mine, fresh) end
    if e.type == "supported_groups" then greased(e.data.named_group_list, "group", fresh)
    elseif e.type == "supported_versions" then greased(e.data.versions, "version", fresh)
    elseif e.type == "signature_algorithms" then greased(e.data.supported_signature_algorithms, "scheme", fresh)
    elseif math.type(e.type) == "integer" and is_grease(e.type) then e.type = fresh("extension", e.type) end
  end
  return msg
end

lib.title "akushu, as it comes and dressed up"
local hybrid = akushu.supports("groups", "X25519MLKEM768") and "X25519MLKEM768" or nil
local o = { groups = { "x25519", "secp256r1", "secp384r1", hybrid }, key_shares = { "x25519", hybrid }, alpn = { "h2", "http/1.1" } }
local name = "www.example.com"
local leaf = lab:issue { names = { name } }
local plain = assert(lab:client(o):handshake { server_name = name }:start()):sub(6)
print("  JA3 " .. (ja3(plain)) .. "\n  JA4 " .. (ja4(plain)))
lib.claim(ja3(plain) ~= ja3(recorded) and ja4(plain) ~= ja4(recorded), "as it comes akushu looks like akushu")

for _, version in ipairs { "1.3", "1.2" } do
  local hs = lab:client(o):handshake { server_name = name }
  hs:on("compose", "client_hello", function(msg) return like_the_browser(msg) end)
  local server = lab:server { versions = version, alpn = { "h2" }, identity = leaf.identity, groups = { "x25519" } }
  local t = lab:run(hs, server, { data = { "GET", "OK" } })
  local sent = t:messages "client"[1]
  lib.claim((ja3(sent.bytes)) == (ja3(recorded)) and (ja4(sent.bytes)) == (ja4(recorded)), "by one hook it has the browser's JA3 and JA4: %s", (ja4(sent.bytes)))
  lib.claim(#sent.bytes == #recorded and table.concat(grease_in(sent.message, "", {})) == table.concat(places),
    "it is as long (%d bytes), and has GREASE in the same places", #sent.bytes)
  local same = true
  for i, e in ipairs(browser.extensions) do
    local mine = sent.message.extensions[i]
    local _, _, long = wire.span(browser, ("extensions[%d].data"):format(i))
    local _, _, as_long = wire.span(sent.message, ("extensions[%d].data"):format(i))
    same = same and long == as_long and (mine.type == e.type or is_grease(mine.type) and is_grease(e.type))
  end
  lib.claim(same, "extension by extension it is what the browser's is")
  lib.claim(t.ok and t.client:received() == "OK", "and it speaks TLS %s with a server: %s", t.client.session and t.client.session.version or "?",
    t.client.session and t.client.session.suite or t.client.message or t.server.message)
end

-- ---- one with padding ---------------------------------------------------------------------------------------------------------------------

lib.title "Chrome 91, rebuilt from its published fingerprints"
local published = { ja3 = "cd08e31494f9531f560d64c695473da9", ja4 = "t13d1516h2_8daaf6152771_e5627efa2ab1" }
local old = { type = "client_hello", legacy_version = "TLS 1.2", random = ("\x5c"):rep(32), session_id = ("\x5e"):rep(32), compression_methods = { 0 },
  cipher_suites = { 0x3a3a, 4865, 4866, 4867, 49195, 49199, 49196, 49200, 52393, 52392, 49171, 49172, 156, 157, 47, 53 },
  extensions = {
    { type = 0xdada, data = "" },
    { type = "server_name", data = { server_name_list = { { name_type = "host_name", host_name = name } } } },
    { type = 23, data = "" }, { type = 65281, data = "\0" },
    { type = "supported_groups", data = { named_group_list = { 0x8a8a, 29, 23, 24 } } },
    { type = 11, data = "\1\0" }, { type = 35, data = "" },
    { type = "application_layer_protocol_negotiation", data = { protocol_name_list = { "h2", "http/1.1" } } },
    { type = 5, data = "\1\0\0\0\0" },
    { type = "signature_algorithms", data = { supported_signature_algorithms = { 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601 } } },
    { type = 18, data = "" },
    { type = "key_share", data = { key_shares = { { group = 0x8a8a, key_exchange = "\0" }, { group = 29, key_exchange = crypto.share("x25519"):public() } } } },
    { type = 45, data = "\1\1" },
    { type = "supported_versions", data = { versions = { 0x5a5a, 0x0304, 0x0303 } } },
    { type = 27, data = "\2\0\2" }, { type = 17513, data = "\0\3\2h2" },
    { type = 0xcaca, data = "\0" },
  } }
old.extensions[#old.extensions + 1] = { type = "padding", data = ("\0"):rep(512 - #wire.encode(old) - 4) }
local hello = wire.encode(old)
lib.claim(#hello == 512, "it is padded to %d bytes", #hello)
lib.claim((ja3(hello)) == published.ja3 and (ja4(hello)) == published.ja4, "its JA3 and JA4 are those that were published")
