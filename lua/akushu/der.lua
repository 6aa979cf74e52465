--- A small DER writer (X.690): each function returns the bytes of one element.
-- It checks nothing that a test might want to get wrong.
local der = {}

--- An element: a tag byte and its content.
function der.tlv(tag, ...)
  local content = table.concat { ... }
  local n = #content
  if n < 0x80 then return string.char(tag, n) .. content end
  local length = ""
  repeat
    length = string.char(n & 0xff) .. length
    n = n >> 8
  until n == 0
  return string.char(tag, 0x80 | #length) .. length .. content
end

function der.sequence(...) return der.tlv(0x30, ...) end
function der.set(...) return der.tlv(0x31, ...) end
--- [n] EXPLICIT, and [n] IMPLICIT over a constructed type.
function der.context(n, ...) return der.tlv(0xa0 | n, ...) end
--- [n] IMPLICIT over a primitive type.
function der.primitive(n, ...) return der.tlv(0x80 | n, ...) end

function der.boolean(v) return der.tlv(0x01, v and "\xff" or "\0") end
function der.null() return der.tlv(0x05) end
function der.octets(s) return der.tlv(0x04, s) end
function der.enumerated(n) return der.tlv(0x0a, string.char(n)) end
function der.utf8(s) return der.tlv(0x0c, s) end
function der.printable(s) return der.tlv(0x13, s) end
function der.ia5(s) return der.tlv(0x16, s) end

--- A BIT STRING of whole bytes.
function der.bits(s) return der.tlv(0x03, "\0" .. s) end

--- A named bit list: an array of bit numbers, bit 0 first; trailing zero bits left out (X.690 §11.2.2).
function der.named_bits(numbers)
  local highest, bytes = -1, {}
  for _, n in ipairs(numbers) do
    highest = math.max(highest, n)
    bytes[n // 8 + 1] = (bytes[n // 8 + 1] or 0) | 0x80 >> n % 8
  end
  if highest < 0 then return der.tlv(0x03, "\0") end
  for i = 1, highest // 8 + 1 do bytes[i] = string.char(bytes[i] or 0) end
  return der.tlv(0x03, string.char(7 - highest % 8), table.concat(bytes))
end

--- The content of an INTEGER: a Lua integer, or the bytes of a magnitude.
function der.integer_content(v)
  if type(v) == "string" then
    v = v:gsub("^\0+", "")
    if v == "" then return "\0" end
    return v:byte() >= 0x80 and "\0" .. v or v
  end
  local s = string.pack(">i8", v)
  while #s > 1 and (s:byte() == 0 and s:byte(2) < 0x80 or s:byte() == 0xff and s:byte(2) >= 0x80) do s = s:sub(2) end
  return s
end
function der.integer(v) return der.tlv(0x02, der.integer_content(v)) end

--- The content of an OBJECT IDENTIFIER from "1.2.840.113549".
function der.oid_content(dotted)
  local arcs, out = {}, {}
  for arc in dotted:gmatch "%d+" do arcs[#arcs + 1] = math.tointeger(tonumber(arc)) end
  assert(#arcs >= 2 and dotted:match "^[%d.]+$", "not an object identifier: " .. dotted)
  table.insert(arcs, 1, table.remove(arcs, 1) * 40 + table.remove(arcs, 1))
  for _, arc in ipairs(arcs) do
    local s = string.char(arc & 0x7f)
    while arc > 0x7f do
      arc = arc >> 7
      s = string.char(0x80 | arc & 0x7f) .. s
    end
    out[#out + 1] = s
  end
  return table.concat(out)
end
function der.oid(dotted) return der.tlv(0x06, der.oid_content(dotted)) end

--- Seconds since 1970: UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5).
function der.time(t)
  t = math.floor(t)
  local year = tonumber(os.date("!%Y", t))
  if year >= 1950 and year < 2050 then return der.tlv(0x17, os.date("!%y%m%d%H%M%SZ", t)) end
  return der.generalized_time(t)
end
function der.generalized_time(t) return der.tlv(0x18, os.date("!%Y%m%d%H%M%SZ", math.floor(t))) end

--- Reads one element: tag, content, whole, the position behind it; nil when there is none.
function der.read(s, at)
  at = at or 1
  local tag, n = s:byte(at, at + 1)
  if not n then return nil end
  local start = at + 2
  if n >= 0x80 then
    local bytes = n & 0x7f
    if bytes == 0 or bytes > 4 or #s < at + 1 + bytes then return nil end
    n = string.unpack(">I" .. bytes, s, start)
    start = start + bytes
  end
  if #s < start + n - 1 then return nil end
  return tag, s:sub(start, start + n - 1), s:sub(at, start + n - 1), start + n
end

return der
