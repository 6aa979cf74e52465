-- JA3 and JA4 of the experiments against values that others have published, and the corners of their rules.
local akushu = require "akushu"
local fingerprint = dofile "examples/experiments/fingerprint.lua"

local function split(text)
  local out = {}
  for n in text:gmatch "%d+" do out[#out + 1] = tonumber(n) end
  return out
end

-- A ClientHello with just these lists, made from JA3's own text.
local function from_ja3(text)
  local version, suites, extensions, groups, formats = text:match "^(%d+),([^,]*),([^,]*),([^,]*),([^,]*)$"
  local list = {}
  for i, kind in ipairs(split(extensions)) do
    list[i] = { type = kind, data = "" }
    if kind == 10 then list[i].data = { named_group_list = split(groups) } end
    if kind == 11 then list[i].data = { ec_point_format_list = split(formats) } end
    if kind == 0 then list[i].data = { server_name_list = { { name_type = 0, host_name = "x" } } } end
  end
  return akushu.wire.encode { type = "client_hello", legacy_version = tonumber(version), random = ("r"):rep(32), session_id = "",
    cipher_suites = split(suites), compression_methods = { 0 }, extensions = #list > 0 and list or nil }
end

describe("JA3", function()
  it("is what its authors' examples say", function()
    for text, md5 in pairs {
      ["769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0"] = "ada70206e40642a3e4461f35503241d5",
      ["769,4-5-10-9-100-98-3-6-19-18-99,,,"] = "de350869b8c85de67a350c8d186f11e6",
    } do
      local value, made = fingerprint.ja3(from_ja3(text))
      assert.equal(text, made)
      assert.equal(md5, value)
    end
  end)
end)

describe("JA4", function()
  local suites = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
  local extensions = "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"
  local schemes = "0403,0804,0401,0503,0805,0501,0806,0601"

  local function numbers(text)
    local out = {}
    for n in text:gmatch "%x+" do out[#out + 1] = tonumber(n, 16) end
    return out
  end

  local function hello(o)
    local list = {}
    for i, kind in ipairs(numbers(o.extensions or extensions)) do
      list[i] = { type = kind, data = "" }
      if kind == 0 then list[i].data = { server_name_list = { { name_type = 0, host_name = "x" } } } end
      if kind == 16 then list[i].data = { protocol_name_list = { o.alpn or "h2", "http/1.1" } } end
      if kind == 13 then list[i].data = { supported_signature_algorithms = numbers(o.schemes or schemes) } end
      if kind == 43 then list[i].data = { versions = { 0x0a0a, 0x0304, 0x0303 } } end
    end
    return akushu.wire.encode { type = "client_hello", legacy_version = 0x0303, random = ("r"):rep(32), session_id = "",
      cipher_suites = numbers(o.suites or suites), compression_methods = { 0 }, extensions = list }
  end

  it("is what its authors' example says, hashed and raw, in any order and with GREASE", function()
    for _, o in ipairs { {}, { suites = "fafa," .. suites, extensions = "2a2a," .. extensions .. ",3a3a" },
      { extensions = "0015,000a,000b,ff01,002b,0012,0023,0005,000d,002d,0017,4469,0010,0033,0000,001b" } } do
      local value, raw = fingerprint.ja4(hello(o))
      assert.equal("t13d1516h2_8daaf6152771_e5627efa2ab1", value)
      assert.equal("t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_" ..
        "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601", raw)
    end
  end)

  it("has its corners", function()
    local function a(o) return (fingerprint.ja4(hello(o)):match "^[^_]+") end
    assert.equal("t13i1501" .. "00", a { extensions = "002b" })
    assert.equal("t12d1501" .. "00", a { extensions = "0000" })
    assert.equal("t13d1516" .. "hh", a { alpn = "h" })
    assert.equal("t13d1516" .. "ad", a { alpn = "\xab\xcd" })
    assert.equal("t13d1516" .. "6b", a { alpn = "h\xab" })
    local value, raw = fingerprint.ja4(hello { suites = "0a0a", extensions = "0000" })
    assert.equal("t12d000100_000000000000_000000000000", value)
    assert.equal("t12d000100__", raw)
    assert.is_nil(select(2, fingerprint.ja4(hello { extensions = "0005,000d", schemes = "0a0a" })):find "_$") -- no schemes: no underscore for them
  end)
end)
