--- Checks of options, one by one: each takes an option's name and value, raises what is wrong with it (misuse.blame makes a mistake of the caller's of that), and returns
-- what becomes of it.
local core = require "akushu.core"
local gates = require "akushu.hooks"
local openssl_names = require "akushu.openssl_names"

local checks = {}

-- Versions by their names.
local versions = { ["3.0"] = 0x0300, ["1.0"] = 0x0301, ["1.1"] = 0x0302, ["1.2"] = 0x0303, ["1.3"] = 0x0304 }

-- Whoever calls akushu made the mistake, not a line in here: see misuse.blame (misuse.lua).
local function fail(...) error(string.format(...), 0) end

-- What a value is, in a word: a number itself, an object by its class, else the type.
local function kind_of(value)
  if type(value) == "number" then return tostring(value) end
  local mt = type(value) ~= "string" and getmetatable(value)
  return type(mt) == "table" and type(mt.__name) == "string" and mt.__name or type(value)
end

local function type_error(name, expected, value) fail("option '%s': %s expected, got %s", name, expected, kind_of(value)) end

-- A list has neither names nor holes in it: ipairs would pass over what stands under a name or behind a hole.
local function array(name, value)
  local n = 0
  for key in pairs(value) do
    if math.type(key) ~= "integer" then fail("option '%s': a list expected, this table has a field '%s'", name, tostring(key)) end
    n = n + 1
  end
  for _ in ipairs(value) do n = n - 1 end
  if n ~= 0 then fail("option '%s': a list with a hole (nil) in it", name) end
  return value
end

--- A version as a user writes it: "1.2", "TLS 1.2", "TLSv1.2", 1.2 or 0x0303.
function checks.version(name, value)
  if math.type(value) == "integer" and value >= 0x0300 and value <= 0x0304 then return value end
  local text = math.type(value) == "float" and string.format("%.1f", value) or math.type(value) and tostring(value) or value
  if type(text) ~= "string" then type_error(name, "a version such as \"1.2\"", value) end
  local number = versions[text:match "^TLS%s*v?%s*(%d%.%d)$" or text:match "^SSL%s*v?%s*(3%.0)$" or text]
  if not number then fail("option '%s': unknown version '%s'; there are \"1.3\", \"1.2\", \"1.1\", \"1.0\" and \"3.0\"", name, text) end
  return number
end

local function is(kind)
  return function(name, value)
    if type(value) ~= kind then type_error(name, "a " .. kind, value) end
    return value
  end
end

local function shown(value) return type(value) == "string" and "'" .. value .. "'" or tostring(value) end

local function one_of(...)
  local allowed, names = {}, {}
  for i, v in ipairs { ... } do allowed[v], names[i] = true, type(v) == "string" and '"' .. v .. '"' or tostring(v) end
  local list = #names > 1 and table.concat(names, ", ", 1, #names - 1) .. " or " .. names[#names] or names[1]
  return function(name, value)
    if not allowed[value] then fail("option '%s': %s expected, got %s", name, list, shown(value)) end
    return value
  end
end

local function is_class(value, class)
  local mt = getmetatable(value)
  return type(value) == "userdata" and type(mt) == "table" and mt.__name == class
end

-- Bytes: a string, an array of strings, a Secret.
local function bytes_of(value)
  if is_class(value, "akushu.Secret") then return value:reveal() end
  return core.bytes(value)
end

-- find: a name or number → its number, or nil; such_as: names of the kind that is wanted, for who has written those of another library; translate: of OpenSSL's into ours.
local function list_of(find, what, such_as, translate)
  local function unknown(name, v)
    if type(v) == "string" and v:find "[:,]" then fail("option '%s': a list of names is a table, such as { \"%s\" }", name, such_as:match "^[^ ]+") end
    local ours = translate and type(v) == "string" and translate(v)
    if ours and find(ours) then fail("option '%s': no %s '%s' here; names are IANA's, and that is %s", name, what, v, ours) end
    fail("option '%s': no %s '%s' here; names are IANA's, such as %s", name, what, tostring(v), such_as)
  end
  return function(name, value)
    if type(value) ~= "table" then value = { value } end
    local out, seen = {}, {}
    for i, v in ipairs(array(name, value)) do
      if type(v) ~= "string" and math.type(v) ~= "integer" then type_error(name, "a list of names or numbers", v) end
      local id = find(v)
      if not id then unknown(name, v) end
      if seen[id] then fail("option '%s': '%s' stands twice", name, tostring(v)) end
      seen[id] = true
      out[i] = id
    end
    if #out == 0 then fail("option '%s': an empty list", name) end
    return out
  end
end

function checks.alpn_list(name, value)
  if type(value) == "function" then return value end
  if type(value) == "string" then
    -- In a list a name may have a comma in it; here somebody has written the list as other programs take it.
    if value:find(",", 1, true) then fail("option '%s': a list of names is a table: { \"h2\", \"http/1.1\" }", name) end
    value = { value }
  end
  if type(value) ~= "table" then type_error(name, "a list of protocol names", value) end
  local out = {}
  for i, v in ipairs(array(name, value)) do
    if type(v) ~= "string" or #v < 1 or #v > 255 then fail("option '%s': names of 1 to 255 bytes expected", name) end
    out[i] = string.pack("s1", v)
  end
  if #out == 0 then fail("option '%s': an empty list", name) end
  return table.concat(out)
end

local function callable(name, value)
  local mt = getmetatable(value)
  if type(value) ~= "function" and not (type(mt) == "table" and mt.__call) then type_error(name, "a function", value) end
  return value
end

function checks.store(name, value)
  if value == false or (math.type(value) == "integer" and value >= 0 and value <= 1 << 24) then return value end
  if type(value) ~= "table" then type_error(name, "false, a number of sessions, or a table with get, put and remove", value) end
  for key in pairs(value) do
    if key ~= "get" and key ~= "put" and key ~= "remove" then fail("option '%s': unknown field '%s'; there are get, put and remove", name, tostring(key)) end
  end
  for _, key in ipairs { "get", "put", "remove" } do
    if value[key] == nil then fail("option '%s': the function '%s' is missing", name, key) end
    callable(name .. "." .. key, value[key])
  end
  return value
end

function checks.hooks(name, value)
  if type(value) ~= "table" or #value == 0 and next(value) ~= nil then type_error(name, "a list of {gate, message, function}", value) end
  for i, h in ipairs(value) do
    if type(h) ~= "table" then fail("option '%s': entry %d is not {gate, message, function}", name, i) end
    local wrong = gates.wrong(h[1], h[2], h[3])
    if wrong then fail("option '%s': entry %d: %s", name, i, wrong) end
  end
  return value
end

function checks.psk_list(name, value)
  if type(value) == "table" and (value.identity ~= nil or value.key ~= nil or value.hash ~= nil) then value = { value } end
  if type(value) ~= "table" then type_error(name, "{identity =, key =, hash =}, or a list of them,", value) end
  if next(value) == nil then fail("option '%s': an empty list", name) end
  local out = {}
  for i, p in ipairs(array(name, value)) do
    if type(p) ~= "table" then fail("option '%s': entry %d is not {identity =, key =, hash =}", name, i) end
    for key in pairs(p) do
      if key ~= "identity" and key ~= "key" and key ~= "hash" then fail("option '%s': unknown field '%s'; there are identity, key and hash", name, tostring(key)) end
    end
    local identity, secret = core.bytes(p.identity), bytes_of(p.key)
    if not identity or not secret then fail("option '%s': entry %d needs 'identity' and 'key', both bytes", name, i) end
    if p.hash ~= nil and p.hash ~= "sha256" and p.hash ~= "sha384" then fail("option '%s': hash: sha256 or sha384 expected", name) end
    out[i] = { identity = identity, key = secret, hash = p.hash }
  end
  return out
end

function checks.compression(name, value)
  if type(value) == "boolean" then return value and { "brotli", "zstd", "zlib" } or nil end
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" then type_error(name, "a boolean or a list of zlib, brotli, zstd", value) end
  if #value == 0 then fail("option '%s': an empty list (false switches it off)", name) end
  local seen = {}
  for _, algorithm in ipairs(value) do
    if algorithm ~= "zlib" and algorithm ~= "brotli" and algorithm ~= "zstd" then
      fail("option '%s': one of zlib, brotli, zstd expected, got '%s'", name, tostring(algorithm))
    end
    if seen[algorithm] then fail("option '%s': '%s' stands twice", name, algorithm) end
    seen[algorithm] = true
  end
  return value
end

-- oid_filters (RFC 8446 §4.2.5): { key_usage = names, ext_key_usage = names or dotted OIDs, ["1.2.3"] = DER of the value } as it goes into the message.
function checks.oid_filters(name, value)
  if type(value) ~= "table" then type_error(name, "a table", value) end
  local der, usages = require "akushu.der", require "akushu.usages"
  local out = {}
  for key, v in pairs(value) do
    local known_key = (key == "key_usage" or key == "ext_key_usage")
    if known_key and (type(v) ~= "table" or #v == 0) then fail("option '%s': %s: a list of names expected", name, key) end
    if not known_key and (type(key) ~= "string" or type(v) ~= "string") then
      fail("option '%s': key_usage, ext_key_usage, or an object identifier with its value in DER expected", name)
    end
    local ok, oid, bytes = pcall(function()
      if key == "key_usage" then return der.oid "2.5.29.15", usages.key_usage(v) end
      if key == "ext_key_usage" then return der.oid "2.5.29.37", usages.ext_key_usage(v) end
      return der.oid(key), v
    end)
    if not ok then fail("option '%s': %s", name, (tostring(oid):gsub("^.-:%d+: ", ""))) end
    if bytes:find(der.oid(usages.purposes.any), 1, true) then fail("option '%s': anyExtendedKeyUsage must not be asked for", name) end
    out[#out + 1] = string.pack(">s1s2", oid, bytes)
  end
  table.sort(out)
  if #out == 0 then fail("option '%s': an empty table", name) end
  return table.concat(out)
end

-- record_padding: a multiple, { multiple | fixed | random = n, all = boolean }, or function(content_type, length) → bytes
function checks.record_padding(name, value)
  local mt = getmetatable(value)
  if type(value) == "function" or (type(mt) == "table" and mt.__call) then return value end
  if math.type(value) == "integer" then value = { multiple = value } end
  if type(value) ~= "table" then type_error(name, "a number, a table or a function", value) end
  local out = { by = "none", n = 0, all = false }
  for key, v in pairs(value) do
    if key == "all" then
      if type(v) ~= "boolean" then fail("option '%s': all: a boolean expected", name) end
      out.all = v
    elseif key == "multiple" or key == "fixed" or key == "random" then
      if out.by ~= "none" then fail("option '%s': one of multiple, fixed, random", name) end
      if math.type(v) ~= "integer" or v < 0 or v > 16384 then fail("option '%s': %s: 0 to 16384 bytes expected", name, key) end
      out.by, out.n = key, v
    else
      fail("option '%s': unknown field '%s'; there are multiple, fixed, random and all", name, tostring(key))
    end
  end
  if out.by == "none" then fail("option '%s': multiple, fixed or random is missing", name) end
  return out
end

function checks.psk_modes(name, value)
  local bits = 0
  for _, mode in ipairs(type(value) == "table" and value or { value }) do
    local bit = ({ psk_dhe_ke = 1, psk_ke = 2 })[mode]
    if not bit then fail("option '%s': one of psk_dhe_ke, psk_ke expected, got '%s'", name, tostring(mode)) end
    bits = bits | bit
  end
  if bits == 0 then fail("option '%s': an empty list", name) end
  return bits
end

checks.boolean = is "boolean"

-- A float that is a whole number will do, as everywhere in Lua: 2 * 3600.0, 1e4.
function checks.integer(name, value)
  local whole = math.type(value) and math.tointeger(value)
  if not whole then type_error(name, "an integer", value) end
  return whole
end

function checks.any(_, value) return value end

function checks.or_boolean(name) return one_of(true, false, name) end

checks.groups = list_of(core.find_group, "group", "x25519 or secp256r1", openssl_names.group)
checks.schemes = list_of(core.find_scheme, "signature scheme", "ecdsa_secp256r1_sha256 or rsa_pss_rsae_sha256")

local suites = list_of(core.find_suite, "cipher suite", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", openssl_names.suite)

-- A list in it holds suites of one rank: among those a server follows the client's order. Comes out flat, with equal[i] = 1 for a suite of the rank before it.
function checks.suite_list(name, value)
  if type(value) ~= "table" then value = { value } end
  local flat, equal = {}, {}
  for _, v in ipairs(array(name, value)) do
    local rank = type(v) == "table" and array(name, v) or { v }
    if #rank == 0 then fail("option '%s': an empty list", name) end
    for i, one in ipairs(rank) do flat[#flat + 1], equal[#equal + 1] = one, i == 1 and 0 or 1 end
  end
  return { ids = suites(name, flat), equal = equal }
end

checks.versions = versions
checks.array, checks.fail, checks.type_error, checks.is, checks.is_class, checks.callable = array, fail, type_error, is, is_class, callable
checks.one_of, checks.bytes_of = one_of, bytes_of

return checks
