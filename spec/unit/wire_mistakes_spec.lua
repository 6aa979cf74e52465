-- Mistakes in what a script gives the codec: each is told, with its path; none is lost on the way, and none can do harm.
local wire = require "akushu.wire"

local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(text, (message:gsub("^[^ ]*:%d+: ", "")))
end

local function extensions(list) return { type = "encrypted_extensions", extensions = list } end

describe("the encoder", function()
  it("loses no key of a list", function()
    raises("extensions: a list has no 'cookie'", wire.encode, extensions { { type = "server_name" }, cookie = {} })
    raises("a list has no 'data'", wire.encode, { type = "cookie", data = "" }, { what = "extensions" })
    raises("a list has no 'more'", wire.encode, { "\20\0\0\0", more = "\20\0\0\0" }, { what = "messages" })
    raises("fragment: a list has no 'an index outside the sequence'", wire.encode,
      { type = "handshake", fragment = { "\20\0\0\0", [3] = "\20\0\0\0" } })
  end)

  it("takes no hole for an empty item", function()
    local list = { "h2", "gap", "http/1.1" }
    list[2] = nil
    assert.has_error(function() wire.encode({ protocol_name_list = list }, { what = "ext_application_layer_protocol_negotiation" }) end)
    list = { "h2", false, "http/1.1" }
    raises("protocol_name_list[2]: must be a string or { raw = bytes }, not boolean", wire.encode, { protocol_name_list = list },
      { what = "ext_application_layer_protocol_negotiation" })
  end)

  it("takes a length or a tail only where there can be one", function()
    raises("extensions[1]: length: it belongs into data, a table", wire.encode, extensions { { type = 99, data = "", length = 1 } })
    raises("extensions[1]: trailing: it belongs into data, a table", wire.encode, extensions { { type = 99, data = "", trailing = "x" } })
    raises("length: it belongs into fragment, a table", wire.encode, { type = "alert", fragment = "", length = 7 })
    raises("trailing: it belongs into fragment, a table", wire.encode, { type = "alert", fragment = "", trailing = "x" })
    local why = "length: nothing before it says how long it is"
    raises("certificate_list[1]: " .. why, wire.encode, { type = "certificate", form = "certificate_13", certificate_list = { { cert_data = "c", length = 1 } } })
    raises(why, wire.encode, { type = "alert", level = 2, description = 40, length = 2 })
    raises("verify_data: " .. why, wire.encode, { type = "finished", verify_data = { raw = "x", length = 1 } })
    raises(why, wire.encode, { "\20\0\0\0", length = 1 }, { what = "messages" })
    assert.equal("080000080006006300094142", hex(wire.encode(extensions { { type = 99, data = { raw = "AB", length = 9 } } })))
  end)

  it("wants what an optional part begins with", function()
    wire.declare_extension(0xfae0, "in_two_parts", { { "u8", "always" }, { "optional", "first" }, { "u8", "first" }, { "u8", "second" } })
    local function built(data) return wire.encode({ { type = "in_two_parts", data = data } }, { what = "extensions" }) end
    raises("[1].data: second cannot be without first before it", built, { always = 1, second = 3 })
    assert.equal("fae0000101", hex(built { always = 1 }))
    assert.equal("fae00003010203", hex(built { always = 1, first = 2, second = 3 }))
  end)

  it("knows a message from a record's content", function()
    raises("there is no message 'handshake'", wire.encode, { type = "handshake", raw = "\20\0\0\0" })
  end)

  it("gives a HelloRetryRequest its random, and nothing else of it", function()
    local retry = { type = "hello_retry_request", legacy_version = 0x0303, cipher_suite = 0x1301, compression_method = 0,
      extensions = { { type = "encrypted_client_hello", data = {} } } }
    raises("extensions[1].data.confirmation: missing", wire.encode, retry)
    retry.extensions[1].data.confirmation = "12345678"
    assert.equal("12345678", wire.decode(wire.encode(retry)).extensions[1].data.confirmation)
  end)

  it("takes an absent body of a kind that it does not know for an empty one", function()
    assert.equal("09", hex(wire.encode({ status_type = 9 }, { what = "certificate_status" })))
    assert.equal("0a", hex(wire.encode({ type = 10 }, { what = "ext_encrypted_client_hello" })))
  end)

  it("shows no bytes as a name", function()
    local function suites(value) return { type = "client_hello", legacy_version = 0x0303, random = ("r"):rep(32), cipher_suites = { value } } end
    raises("cipher_suites[1]: must be an integer, a name or its 2 bytes, not a string of 3", wire.encode, suites "\19\1\200")
    raises("cipher_suites[1]: must be an integer, a name or its 2 bytes, not a string of 0", wire.encode, suites "")
    raises("cipher_suites[1]: there is no 'TLS_AES' among the suites", wire.encode, suites "TLS_AES")
    raises("ticket_lifetime_hint: must be an integer or its 4 bytes, not a string of 2", wire.encode, { ticket_lifetime_hint = "60" }, { what = "new_session_ticket_12" })
  end)

  it("takes no bytes behind a name for a part of it", function()
    assert.equal(0x0303, wire.number("versions", "TLS 1.2"))
    assert.is_nil(wire.number("versions", "TLS 1.2\0 or so"))
    assert.is_nil(wire.registry.versions["tls1.2\0"])
    assert.is_nil(wire.number("extensions", "0x10\0"))
  end)
end)

describe("the strict decode", function()
  it("takes any bytes as application data", function()
    assert.is_true(wire.check("any bytes", { what = "application_data" }))
    assert.is_true(wire.check("", { what = "application_data" }))
  end)
end)

describe("a declaration", function()
  local function refused(text, fields, name) raises(text, wire.declare_extension, 0xfae1, name or "refused", fields) end

  it("has an end, however its lists are nested", function()
    local list = { "list", "x", of = "u8" }
    for depth = 1, 200 do
      list = { "list", "x", of = list }
      if depth > 8 then refused("fields are nested too deeply", { list }) end
    end
    local circle = { "list", "x" }
    circle.of = circle
    refused("fields are nested too deeply", { circle })
    local structures = {}
    structures[1] = { "struct", "x", of = structures }
    refused("fields are nested too deeply", structures)
  end)

  it("is read and written as deep as it may go", function()
    local field, data = { "list", "x", of = { "vec", prefix = 1 } }, { "a", "" }
    for _ = 1, 7 do field, data = { "list", "x", of = field }, { data, {} } end
    wire.declare_extension(0xfae1, "deep_lists", { field })
    local bytes = wire.encode({ { type = "deep_lists", data = { x = data } } }, { what = "extensions" })
    local node = wire.decode(bytes, { what = "extensions" })
    assert.same(data, node[1].data.x)
    assert.equal(bytes, wire.encode(node))
  end)

  it("says nothing that its kind does not take", function()
    refused("a field of the kind u8 takes no 'size'", { { "u8", "x", size = 2 } })
    refused("a field of the kind vec takes no 'prefx'", { { "vec", "x", prefx = 1 } })
    refused("a field of the kind vec takes no '3'", { { "vec", "x", 1 } })
    refused("a field of the kind u16 takes no 'prefix'", { { "list", "x", of = { "u16", prefix = 1 } } })
    refused("max must be an integer from 5 to 65535", { { "vec", "x", min = 5, max = 4 } })
  end)

  it("takes no name that means another extension in some spelling", function()
    for _, name in ipairs { "sni", "alpn", "Server_Name", "SUPPORTED_VERSIONS", "ech" } do
      refused(("bad argument #2 to 'declare_extension' ('%s' is the name of another extension)"):format(name), {}, name)
    end
    assert.equal(0, wire.number("extensions", "sni"))
  end)
end)

describe("a declared structure", function()
  it("is there until it is read or written to its end, though a finalizer declares it anew (under AddressSanitizer a use after free)", function()
    local fields = { { "u8", "a" }, { "list", "pairs", prefix = 3, of = { { "u8", "x" }, { "vec", "y", prefix = 1 } } } }
    local times, armed = 0, true
    local function declare()
      times = times + 1
      wire.declare_extension(0xfae2, "declared_again", fields)
      if armed then setmetatable({}, { __gc = declare }) end
    end
    declare()
    local node = { { type = "declared_again", data = { a = 1, pairs = {} } } }
    for i = 1, 10000 do node[1].data.pairs[i] = { x = i & 0xff, y = "y" } end
    local bytes = string.pack(">I2s2", 0xfae2, string.pack(">Bs3", 1, ("\7\1y"):rep(10000)))
    local pause = collectgarbage("setpause", 100)
    for _ = 1, 4 do
      assert.equal("y", wire.decode(bytes, { what = "extensions" })[1].data.pairs[10000].y)
      assert.equal(20000 + 10000 + 6, #wire.spans(node, { what = "extensions" }))
    end
    collectgarbage("setpause", pause)
    armed = false
    assert.is_true(times > 1)
  end)
end)

describe("the list of registries", function()
  it("is filled by nobody else", function()
    local index = getmetatable(wire.registry).__index
    assert.is_false(pcall(index, "no table", "suites"))
    assert.is_false(pcall(index, nil, "suites"))
  end)
end)
