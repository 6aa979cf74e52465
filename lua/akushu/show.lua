--- Showing bytes and messages to people: hexadecimal, messages as indented fields, bytes with the field that each belongs to.
--
--     print(show.message(msg))            the fields of a decoded message
--     print(show.annotated(bytes))        every field with its offset and bytes
--     print(show.hex(bytes))              a hex dump
local core = require "akushu.core"
local misuse = require "akushu.misuse"
local wire = core.wire

local show = {}

--- Bytes as lower-case hexadecimal digits.
function show.to_hex(bytes)
  misuse.want("show.to_hex", "string", "bytes", bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- The opposite; white space is passed over, anything else raises.
function show.from_hex(text)
  misuse.want("show.from_hex", "string", "hexadecimal digits", text)
  text = text:gsub("%s+", "")
  if #text % 2 == 1 or text:find "%X" then error("hexadecimal digits expected, two for each byte", 2) end
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

--- A hex dump: offset, 16 bytes, and what of them is ASCII.
function show.hex(bytes, indent)
  misuse.want("show.hex", "string", "bytes", bytes)
  if indent ~= nil then misuse.want("show.hex", "string", "what stands before each line", indent) end
  local out = {}
  for at = 1, #bytes, 16 do
    local part = bytes:sub(at, at + 15)
    local digits = part:gsub(".", function(c) return ("%02x "):format(c:byte()) end)
    out[#out + 1] = ("%s%04x  %-48s %s"):format(indent or "", at - 1, digits, (part:gsub("[^\32-\126]", ".")))
  end
  return table.concat(out, "\n")
end

local function printable(s) return #s > 0 and not s:find "[^\32-\126]" end

--- A value in one line: a string as text when it is, else as hexadecimal, cut to `most` bytes.
function show.value(v, most)
  if most == nil then most = 32 else misuse.want("show.value", "integer", "a number of bytes", most) end
  if type(v) ~= "string" then return tostring(v) end
  if printable(v) then return #v <= 2 * most and ("%q"):format(v) or ("%q… (%d bytes)"):format(v:sub(1, 2 * most), #v) end
  if v == "" then return "(empty)" end
  if #v <= most then return show.to_hex(v) end
  return ("%s… (%d bytes)"):format(show.to_hex(v:sub(1, most)), #v)
end

local first = { type = 1, form = 2, what = 3, legacy_version = 4, version = 4, random = 5 }

local function by_name(a, b)
  local x, y = first[a] or 9, first[b] or 9
  if x ~= y then return x < y end
  return tostring(a) < tostring(b)
end

-- The fields of a node in the order of its structure when that is known, else by name.
local function fields_of(node)
  local names, seen = {}, {}
  local function add(name)
    if node[name] ~= nil and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  local form = rawget(node, "form") or rawget(node, "type")
  if type(form) == "string" then
    add "type"
    local ok, list = pcall(wire.structure, form)
    if ok then
      for _, name in ipairs(list) do add(name) end
    end
  end
  local rest = {}
  for name in pairs(node) do
    if type(name) == "string" and not seen[name] and name ~= "notes" and name ~= "what" and
      name ~= "message" then rest[#rest + 1] = name end
  end
  table.sort(rest, by_name)
  for _, name in ipairs(rest) do add(name) end
  return names
end

local function is_flat(list)
  for _, v in ipairs(list) do
    if type(v) == "table" then return false end
  end
  return true
end

local function flat(list, most)
  local out = {}
  for i, v in ipairs(list) do out[i] = show.value(v, most) end
  return table.concat(out, ", ")
end

local put_node

local function put_field(out, indent, name, v, most)
  if type(v) ~= "table" then
    out[#out + 1] = ("%s%s: %s"):format(indent, name, type(v) == "string" and printable(v) and #v <= 2 * most and v or show.value(v, most))
  elseif #v > 0 and is_flat(v) then
    out[#out + 1] = ("%s%s: %s"):format(indent, name, flat(v, most))
  elseif next(v) == nil then
    out[#out + 1] = ("%s%s: (none)"):format(indent, name)
  else
    out[#out + 1] = ("%s%s:"):format(indent, name)
    put_node(out, indent .. "  ", v, most)
  end
end

function put_node(out, indent, node, most)
  for i, v in ipairs(node) do
    if type(v) == "table" and v.type ~= nil and v.data ~= nil and (type(v.data) ~= "table" or is_flat(v.data) and next(v.data) == nil) then
      put_field(out, indent, tostring(v.type), v.data, most)
    elseif type(v) == "table" and v.type ~= nil and type(v.data) == "table" then
      out[#out + 1] = ("%s%s:"):format(indent, tostring(v.type))
      put_node(out, indent .. "  ", v.data, most)
    else
      put_field(out, indent, ("[%d]"):format(i), v, most)
    end
  end
  for _, name in ipairs(fields_of(node)) do put_field(out, indent, name, node[name], most) end
end

local of_message = { indent = { "string", "what stands before each line" }, most = { "integer", "a number of bytes" } }

--- A message (or any node of the codec) as indented lines. o.indent; o.most: bytes of a string that are shown (32).
function show.message(node, o)
  local out = {}
  o = misuse.options("show.message", of_message, o)
  if type(node) == "string" then return (show.hex(node, o.indent)) end
  misuse.want("show.message", "table", "a node of the codec, or bytes", node)
  put_node(out, o.indent or "", node, o.most or 32)
  return table.concat(out, "\n")
end

--- Bytes with every field that is found in them: offset, length, path, bytes. o: the codec's options ({ what = "record" }, …).
function show.annotated(bytes, o)
  misuse.want("show.annotated", "string", "bytes", bytes)
  local node = misuse.blame(2, wire.decode, bytes, o)
  local out = {}
  for _, s in ipairs(wire.spans(node)) do
    out[#out + 1] = ("%5d %5d  %-48s %s"):format(s.offset, s.length, s.path, show.value(bytes:sub(s.offset + 1, s.offset + s.length), 24))
  end
  return table.concat(out, "\n")
end

-- ---- JSON --------------------------------------------------------------------------------------------------------------------

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function json_string(s)
  return '"' .. s:gsub('[%c"\\\127]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local json

local function json_list(list, path)
  local out = {}
  for i = 1, #list do out[i] = json(list[i], path) end
  return "[" .. table.concat(out, ",") .. "]"
end

function json(v, path)
  local kind = type(v)
  if kind == "nil" then return "null" end
  if kind == "boolean" then return tostring(v) end
  if kind == "number" then
    if v ~= v or v == math.huge or v == -math.huge then return "null" end
    return math.type(v) == "integer" and tostring(v) or ("%.17g"):format(v)
  end
  -- Bytes that are no text (UTF-8) become { "hex": … }, so that nothing is lost.
  if kind == "string" then return utf8.len(v) and json_string(v) or '{"hex":"' .. show.to_hex(v) .. '"}' end
  if kind ~= "table" then return json_string(tostring(v)) end
  if path[v] then error("a table that holds itself cannot be written as JSON", 0) end
  path[v] = true
  local out
  local names = {}
  for name in pairs(v) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  if #v > 0 and #names == 0 then
    out = json_list(v, path)
  else
    table.sort(names)
    local parts = {}
    for i, name in ipairs(names) do parts[i] = json_string(name) .. ":" .. json(v[name], path) end
    if #v > 0 then parts[#parts + 1] = '"items":' .. json_list(v, path) end
    out = "{" .. table.concat(parts, ",") .. "}"
  end
  path[v] = nil
  return out
end

--- A value as JSON. Tables with items 1, 2, … become arrays (beside named fields: "items"), others objects with sorted names; strings
-- that are no UTF-8 become { "hex": … }; what JSON does not have (userdata) its description.
function show.json(v) return json(v, {}) end

return show
