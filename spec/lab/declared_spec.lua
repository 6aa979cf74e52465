-- Extensions that a script has declared, in hooks and in scripts, in both roles: as tables with their fields, with spans, and offered and answered by real handshakes.
local akushu = require "akushu"
local wire = akushu.wire

wire.declare_extension(0xfa10, "lab_greeting", {
  client_hello = { { "u8", "mood" }, { "list", "words", prefix = 2, of = { { "vec", "text", prefix = 1 }, { "u16", "weight" } } } },
  server_hello = { { "u16", "answer" }, { "vec", "words", prefix = 1 } },
  encrypted_extensions = { { "u16", "answer" }, { "vec", "words", prefix = 1 } },
})

local offer = { type = "lab_greeting", data = { mood = 7, words = { { text = "hello", weight = 1 }, { text = "there", weight = 500 } } } }
local answer = { type = "lab_greeting", data = { answer = 42, words = "good day" } }
local offer_bytes = "\7\0\16\5hello\0\1\5there\1\xf4"
local answer_bytes = "\0\42\8good day"

local function copy(e)
  local data = {}
  for k, v in pairs(e.data) do data[k] = v end
  return { type = e.type, data = data }
end

describe("a declared extension", function()
  for _, version in ipairs { "1.2", "1.3" } do
    local place = version == "1.3" and "encrypted_extensions" or "server_hello"

    it("is a table in hooks of both sides, with spans: TLS " .. version, function()
      local lab = akushu.lab { seed = "declared" }
      local client = lab:client { versions = version }:handshake { server_name = "localhost" }
      local server = lab:server { versions = version }:handshake {}
      local seen = {}
      client:on("compose", "client_hello", function(msg) msg.extensions:insert(2, copy(offer)) end)
      client:on("send", "client_hello", function(msg, ev)
        local offset, length, prefix = msg:span "extensions[2].data.words[2].weight"
        seen.weight = { ev.raw:sub(offset + 1, offset + length), prefix }
        offset, length, prefix = wire.span(msg, "extensions[2].data.words[1].text")
        seen.text = { ev.raw:sub(offset + 1, offset + length), prefix }
      end)
      server:on("receive", "client_hello", function(msg) seen.offer = msg.extensions:find "lab_greeting".data end)
      server:on("compose", place, function(msg) msg.extensions:insert(-1, copy(answer)) end)
      client:on("receive", place, function(msg, ev)
        seen.answer = msg.extensions:find "lab_greeting".data
        local _, at = msg.extensions:find "lab_greeting"
        local offset, length = msg:span(("extensions[%d].data"):format(at))
        seen.bytes = ev.raw:sub(offset + 1, offset + length)
      end)
      local t = lab:run(client, server, { data = { "a", "b" } })
      assert.is_true(t.ok, t.client.message or t.server.message)
      assert.same({ "\1\xf4", 0 }, seen.weight)
      assert.same({ "hello", 1 }, seen.text)
      assert.same(offer.data, seen.offer)
      assert.same(answer.data, seen.answer)
      assert.equal(answer_bytes, seen.bytes)
      -- The trace, its text and its JSON have the fields, too; a mutation of the field is one of the message.
      assert.equal(500, t:find("message", "client_hello").message.extensions:find "lab_greeting".data.words[2].weight)
      assert.matches("mood: 7", t:text(2))
      assert.matches('"mood":7', t:json())
    end)

    it("is a table in a script that is the client: TLS " .. version, function()
      local lab = akushu.lab { seed = "declared" }
      local server = lab:server { versions = version, tickets = false }:handshake {}
      server:on("compose", place, function(msg) msg.extensions:insert(-1, copy(answer)) end)
      local heard
      server:on("receive", "client_hello", function(msg) heard = msg.extensions:find(0xfa10).data end)
      local data, message = akushu.script("client", function(peer)
        local hello = peer:client_hello { versions = version == "1.3" and { "TLS 1.3" } or nil, server_name = "localhost", more = { copy(offer) } }
        local bytes = peer:send(hello)
        local offset, length = wire.span(hello, ("extensions[%d].data"):format(#hello.extensions)) -- of a message that was built
        assert.equal(offer_bytes, bytes:sub(offset + 1, offset + length))
        local msg, item = peer:expect "server_hello"
        if version == "1.3" then msg, item = peer:expect "encrypted_extensions" end
        local found, at = msg.extensions:find "lab_greeting"
        offset, length = msg:span(("extensions[%d].data.words"):format(at))
        assert.equal("good day", item.bytes:sub(offset + 1, offset + length))
        return found.data
      end, { lab = lab }):run(server)
      assert.same(answer.data, data, message)
      assert.same(offer.data, heard)
    end)

    it("is a table in a script that is the server: TLS " .. version, function()
      local lab = akushu.lab { seed = "declared" }
      local client = lab:client { versions = version }:handshake { server_name = "localhost" }
      client:on("compose", "client_hello", function(msg) msg.extensions:insert(1, copy(offer)) end)
      local heard
      client:on("receive", place, function(msg) heard = msg.extensions:find "lab_greeting".data end)
      local data, message = akushu.script("server", function(peer)
        local hello, item = peer:expect "client_hello"
        local offset, length = hello:span "extensions[1].data"
        assert.equal(offer_bytes, item.bytes:sub(offset + 1, offset + length))
        if version == "1.3" then
          peer:send(peer:server_hello { suite = "TLS_AES_128_GCM_SHA256", version = "TLS 1.3" })
          peer:send { type = "encrypted_extensions", extensions = { copy(answer) } }
        else
          peer:send(peer:server_hello { suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", more = { { type = "renegotiation_info", data = "\0" }, copy(answer) } })
        end
        peer:receive()
        return hello.extensions[1].data
      end, { lab = lab }):run(client)
      assert.same(offer.data, data, message)
      assert.same(answer.data, heard)
    end)
  end

  it("that was not offered is refused by the engine all the same", function()
    local lab = akushu.lab { seed = "declared" }
    local server = lab:server { versions = "1.3" }:handshake {}
    server:on("compose", "encrypted_extensions", function(msg) msg.extensions:insert(-1, copy(answer)) end)
    assert.equal("unsupported_extension", lab:run(lab:client { versions = "1.3" }, server).client.failure.alert)
  end)

  it("keeps what does not fit its fields, with a note", function()
    local msg = wire.decode(wire.encode { type = "client_hello", legacy_version = "TLS 1.2", random = ("r"):rep(32), session_id = "", cipher_suites = {},
      compression_methods = {}, extensions = { { type = 0xfa10, data = "\7\0\20\5hello" } } }, { what = "handshake" })
    local noted = {}
    for _, note in ipairs(msg.notes) do noted[note.path] = note.note end
    assert.equal("it ends before weight", noted["extensions[1].data.words[1]"])
    assert.equal("its length goes beyond the end", noted["extensions[1].data.words"])
    assert.equal("\7\0\20\5hello", wire.encode(msg):sub(-9))
  end)
end)

describe("the registries", function()
  it("can be read from akushu itself, names and numbers", function()
    assert.equal(0x1301, akushu.suites.TLS_AES_128_GCM_SHA256)
    assert.equal("TLS_AES_128_GCM_SHA256", akushu.suites[0x1301])
    assert.equal(29, akushu.groups.x25519)
    assert.equal(0x0807, akushu.schemes.ed25519)
    assert.equal("server_name", akushu.extensions[0])
    assert.equal(0xfa10, akushu.extensions.lab_greeting)
    assert.equal(40, akushu.alerts.handshake_failure)
    assert.equal("handshake_failure", akushu.alerts[40])
    assert.is_nil(akushu.nothing)
  end)
end)
