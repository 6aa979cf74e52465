-- What lua/akushu/wire.lua adds to the codec: paths, differences, annotated bytes.
local wire = require "akushu.wire"

local random = ("\7"):rep(32)
local message = wire.encode {
  type = "client_hello", legacy_version = "TLS 1.2", random = random, session_id = "", cipher_suites = { "TLS_AES_128_GCM_SHA256", 0x0a0a },
  compression_methods = { "null" },
  extensions = {
    { type = "server_name", data = { server_name_list = { { name_type = "host_name", host_name = "example.com" } } } },
    { type = "key_share", data = { key_shares = { { group = "x25519", key_exchange = random } } } },
  },
}

describe("paths", function()
  it("lead to nodes and change them", function()
    local node = wire.decode(message)
    assert.equal("example.com", wire.get(node, "extensions[1].data.server_name_list[1].host_name"))
    assert.equal(node, wire.get(node, ""))
    assert.is_nil(wire.get(node, "extensions[9].data"))
    assert.is_nil(wire.get(node, "random.x"))
    assert.equal(node, wire.set(node, "extensions[1].data.server_name_list[1].host_name", "a.b"))
    assert.equal("a.b", wire.decode(wire.encode(node)).extensions[1].data.server_name_list[1].host_name)
    assert.has_error(function() wire.set(node, "extensions[9].data", "") end, "there is nothing at extensions[9].data")
    assert.has_error(function() wire.get(node, "a b") end, "no path of a node: a b")
  end)

  it("of all spans lead somewhere", function()
    local node = wire.decode(message)
    for _, span in ipairs(node:spans()) do assert.is_not_nil(wire.get(node, span.path), span.path) end
  end)
end)

describe("diff", function()
  it("says nothing of what is the same", function()
    assert.same({}, wire.diff(wire.decode(message), wire.decode(message)))
  end)

  it("names what differs, by path, in order", function()
    local a, b = wire.decode(message), wire.decode(message)
    b.session_id = "x"
    b.cipher_suites[3] = 1
    b.extensions[2].data.key_shares[1].group = "x448"
    b.note = "does not count"
    assert.same({
      { path = "cipher_suites[3]", b = 1 },
      { path = "extensions[2].data.key_shares[1].group", a = "x25519", b = "x448" },
      { path = "session_id", a = "", b = "x" },
    }, wire.diff(a, b))
  end)
end)

describe("annotate", function()
  it("has a line for every node, with offset, bytes and meaning", function()
    local node = wire.decode(message)
    local text = wire.annotate(node)
    local lines = select(2, text:gsub("\n", "")) + 1
    assert.equal(#node:spans(), lines)
    for _, line in ipairs {
      "     0                            client_hello: 111 bytes",
      "     4  03 03                     legacy_version: TLS 1.2",
      "     6  07 07 07 07 07 07 07 07 … random: 32 bytes",
      "    39                            session_id: empty",
      "    41  13 01                     cipher_suites[1]: TLS_AES_128_GCM_SHA256",
      "    43  0a 0a                     cipher_suites[2]: 2570 (0x0a0a)",
      '    58  65 78 61 6d 70 6c 65 2e … extensions[1].data.server_name_list[1].host_name: "example.com"',
    } do assert.matches(line .. "\n", text .. "\n", 1, true) end
  end)

  it("tells what is wrong", function()
    local text = wire.annotate(wire.decode(message:sub(1, 40)))
    assert.matches("\n     4  ! its length goes beyond the end\n", text, 1, true)
    assert.matches("\n    39  ! it ends before cipher_suites", text, 1, true)
  end)
end)
