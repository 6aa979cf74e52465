-- What a lab has besides runs and traces: comparing, what an observer can read, scripts that take over from an engine.
local akushu = require "akushu"

local function hello_script(peer)
  peer:send(peer:client_hello { server_name = "localhost" })
  for _, name in ipairs { "server_hello", "certificate", "server_key_exchange", "server_hello_done" } do peer:expect(name) end
end

describe("the lab's tools say which argument is wrong:", function()
  local lab = akushu.lab { seed = "mistakes" }

  it("run, attempt, shrink, mutations, a capture", function()
    local trace = lab:run(lab:client {}, lab:server {})
    for said, fn in pairs {
      ["lab:run: a context or a handshake expected, got nil"] = function() lab:run() end,
      ["lab:attempt: a function that gives client and server expected, got nil"] = function() lab:attempt() end,
      ["lab:shrink: a function that gives client and server expected, got table"] = function() lab:shrink {} end,
      ["lab:shrink: a list of mutations expected, got nil"] = function() lab:shrink(print) end,
      ["mutations: 'from' is \"client\" or \"server\""] = function() trace:mutations({ "drop" }, { from = "clien" }) end,
      ["passive.pcap: the bytes of a capture expected, got nil"] = function() require("akushu.passive").pcap() end,
      ["option 'master': a table of master secrets by client random or session id expected, got string"] = function()
        local p = require("akushu.passive").new { master = ("m"):rep(48) }
        return p
      end,
      ["option 'key': a kind of key such as \"rsa\" or \"ec:secp256r1\" expected, got boolean"] = function() lab:server { key = true } end,
    } do
      local ok, message = pcall(fn)
      assert.is_false(ok)
      assert.matches(said, message, 1, true)
      assert.matches("^[^:]*tools_spec.lua:%d+: ", message)
    end
  end)
end)

describe("lab:compare", function()
  local lab = akushu.lab { seed = "compare" }

  it("tells two servers apart by their answer to a hello whose secrets nobody has", function()
    local hello = lab:run(lab:client { versions = "1.3" }, lab:server { versions = "1.3" }):find("message", "client_hello").bytes
    local d = lab:compare(lab:server { versions = "1.3" }, lab:server { versions = "1.3", suites = { "TLS_CHACHA20_POLY1305_SHA256" } }, { script = { hello } })
    assert.equal("cipher_suite", d.path)
    assert.equal("TLS_CHACHA20_POLY1305_SHA256", d.b)
  end)

  it("raises what its script raises: that is no answer of a peer's", function()
    assert.has_error(function()
      lab:compare(lab:server {}, lab:server {}, { script = function() error("a slip of the pen", 0) end })
    end, "lab:compare: the script raised: a slip of the pen")
  end)

  it("finds nothing between two runs that are the same", function()
    local function run()
      local l = lab:again()
      return l:run(l:client { versions = "1.3" }, l:server { versions = "1.3" })
    end
    assert.is_nil(lab:compare(run(), run(), { ignore = {} }))
  end)

  it("names message, field, values and byte of the first difference between two traces", function()
    local function run(suite)
      local l = lab:again()
      return l:run(l:client { versions = "1.3" }, l:server { versions = "1.3", suites = { suite } })
    end
    local a, b = run "TLS_AES_128_GCM_SHA256", run "TLS_CHACHA20_POLY1305_SHA256"
    local d = lab:compare(a, b)
    assert.equal("server's server_hello", d.name)
    assert.equal("cipher_suite", d.path)
    assert.equal("TLS_AES_128_GCM_SHA256", d.a)
    assert.equal("TLS_CHACHA20_POLY1305_SHA256", d.b)
    assert.not_equal(d.bytes_a:sub(d.offset + 1, d.offset + 2), d.bytes_b:sub(d.offset + 1, d.offset + 2))
    assert.equal("\x13\x01", d.bytes_a:sub(d.offset + 1, d.offset + 2))
    assert.matches("cipher_suite", tostring(d))
  end)

  it("says when one of them ends earlier, or says something else", function()
    local function run(list)
      return lab:attempt(function(l) return l:client { versions = "1.2" }, l:server { versions = "1.2" } end, list)
    end
    local good = run()
    local d = lab:compare(good, run(good:mutations("drop", { message = "certificate" })))
    assert.is_nil(d.path)
    assert.not_equal(d.a, d.b)
  end)

  it("runs one script against two servers", function()
    assert.is_nil(lab:compare(lab:server { max_version = "1.2" }, lab:server { max_version = "1.2" }, { script = hello_script }))
    local d = lab:compare(lab:server { max_version = "1.2" }, lab:server { max_version = "1.2", extended_master_secret = false },
      { script = hello_script })
    assert.equal("server_hello", d.name)
    assert.matches("extensions", d.path)
  end)

  it("sends a list of messages to two servers", function()
    local garbage = { { content_type = "handshake", bytes = "\1\0\0\1\0" } }
    assert.is_nil(lab:compare(lab:server {}, lab:server { max_version = "1.2" }, { script = garbage }))
  end)

  it("says which option is wrong", function()
    assert.has_error(function() lab:compare(lab:server {}, lab:server {}, { scirpt = print }) end, "lab:compare: unknown option 'scirpt'; did you mean 'script'?")
    assert.has_error(function() lab:compare(lab:server {}, lab:server {}) end)
  end)
end)

describe("trace:readable", function()
  it("counts bytes that add up, and every record", function()
    local lab = akushu.lab { seed = "readable" }
    local t = lab:run(lab:client { versions = "1.2" }, lab:server { versions = "1.2" }, { data = { "question", "answer" } })
    local r = t:readable {}
    local sum, offset = 0, { client = 0, server = 0 }
    for _, record in ipairs(r.records) do
      assert.equal(offset[record.from], record.offset)
      offset[record.from] = record.offset + record.length
      sum = sum + record.length
    end
    assert.equal(#t:wire(), sum)
    assert.equal(r.bytes.all, r.bytes.readable + r.bytes.closed)
    assert.is_true(r.nothing and not r.everything)
    local master = {}
    master[t.client.session.client_random] = t:secret "master_secret"
    r = t:readable { master = master }
    assert.is_true(r.everything and not r.nothing)
    assert.same({ client = "question", server = "answer" }, r.data)
    assert.matches("all 8 bytes", tostring(r))
  end)
end)

describe("a script that lets the engine play", function()
  local cases = { { "1.2", "client_key_exchange" }, { "1.2", "change_cipher_spec" }, { "1.2", "finished" }, { "1.3", "finished" } }
  for _, case in ipairs(cases) do
    it(("takes over before %s of TLS %s and goes on to data"):format(case[2], case[1]), function()
      local lab = akushu.lab { seed = "over" }
      local o = { versions = case[1], tickets = false }
      local hs, server = lab:client(o):handshake { server_name = "localhost" }, lab:server(o):handshake {}
      local answer, message = akushu.script("client", function(peer)
        local name, msg, bytes = peer:engine(hs, { before = case[2] })
        assert.equal(case[2], name)
        assert.equal(case[2], msg.type)
        if name == "client_key_exchange" then peer:send(bytes) end
        if case[1] == "1.2" and name ~= "finished" then peer:send "change_cipher_spec" end
        peer:send(peer:finished())
        if case[1] == "1.2" then
          peer:expect "change_cipher_spec"
          assert.is_true(peer:is_finished(peer:expect "finished"))
        end
        peer:send { data = "hi" }
        return (peer:expect "data")
      end, { lab = lab }):run(server, { app = function(plain) return plain .. "!" end })
      assert.equal("hi!", answer, message)
    end)
  end

  it("can be the server", function()
    local lab = akushu.lab { seed = "over" }
    local o = { versions = "1.2", tickets = false }
    local hs, client = lab:server(o):handshake {}, lab:client(o):handshake { server_name = "localhost" }
    local answer, message = akushu.script("server", function(peer)
      peer:engine(hs, { before = "server_hello_done" })
      peer:send { type = "finished", verify_data = "" }
      return (peer:expect_alert())
    end, { lab = lab }):run(client)
    assert.equal("unexpected_message", answer, message)
  end)

  it("says what went wrong before", function()
    local lab = akushu.lab { seed = "over" }
    local hs = lab:client { versions = "1.2" }:handshake { server_name = "localhost" }
    local ok, message, failure = akushu.script("client", function(peer) peer:engine(hs, { before = "finished" }) end, { lab = lab })
      :run(lab:server { versions = "1.3" }:handshake {})
    assert.is_nil(ok)
    assert.equal("peer_alert", failure.code)
    assert.matches("the engine", message)
    local function wrong(...)
      local args = table.pack(...)
      return select(2, akushu.script("client", function(peer) peer:engine(table.unpack(args, 1, args.n)) end):run(lab:server {}:handshake {}))
    end
    local fresh = lab:client {}:handshake { server_name = "localhost" }
    assert.matches("'before' is the name of a message", wrong(fresh, { before = "hello" }))
    assert.matches("unknown option 'until'", wrong(fresh, { ["until"] = "finished" }))
    assert.matches("not both", wrong(fresh, { before = "finished", after = "finished" }))
    assert.matches("a handshake expected", wrong("client"))
    assert.matches("a client's handshake expected", wrong(lab:server {}:handshake {}))
    assert.matches("started already", wrong(hs))
  end)
end)
