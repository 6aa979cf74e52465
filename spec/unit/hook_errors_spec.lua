-- Hooks that raise, yield, or meddle with the handshake that runs them.
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local function pair(name, client, server, options)
  return mutate.handshakes(name or "ecdhe", client, server, options)
end

-- ---- mistakes ---------------------------------------------------------------------------------------------------------------------

describe("a hook that raises", function()
  local gates_out, gates_in = { "compose", "send", "plain_out", "record_out" }, { "record_in", "plain_in", "receive" }

  it("fails the handshake with its error, whatever that is, at every gate", function()
    local function check(h, out, text, failure, value)
      assert.is_nil(out)
      assert.equal("hook_failed", failure.code)
      assert.equal("internal_error", failure.alert)
      assert.equal("local", failure.origin)
      assert.equal(value, failure.error)
      assert.is_truthy(#text > 0)
      assert.same({ "fatal internal_error" }, mutate.alerts(h:pending()))
      local again, _, same = h:step ""
      assert.is_nil(again)
      assert.equal(value, same.error)
    end
    for _, value in ipairs { { "an object" }, "a string", 42, true, setmetatable({}, { __tostring = function() return "shown" end }) } do
      for _, gate in ipairs(gates_out) do
        local hc = pair "rsa"
        hc:on(gate, "*", function() error(value, 0) end)
        local out, text, failure = hc:start()
        check(hc, out, text, failure, value)
      end
      for _, gate in ipairs(gates_in) do
        local hc, hs = pair "rsa"
        hs:on(gate, "*", function() error(value, 0) end)
        local out, text, failure = hs:step(assert(hc:start()))
        check(hs, out, text, failure, value)
      end
    end
  end)

  it("or leaves a message that is none: what is wrong with it, and no line of akushu's own", function()
    for said, change in pairs {
      ["client_hello: client_hello has no field 'nosuch'"] = function(msg) msg.nosuch = 1 end,
      ["client_hello: random: must have 32 bytes, not 5"] = function(msg) msg.random = "short" end,
      ["client_hello: cipher_suites[1]: there is no 'TLS_FOO' among the suites"] = function(msg) msg.cipher_suites = { "TLS_FOO" } end,
      ["what a hook returned: a message needs a type"] = function() return {} end,
    } do
      local hc = pair "rsa"
      hc:on("compose", "client_hello", change)
      local out, _, failure = hc:start()
      assert.is_nil(out)
      assert.equal("hook_failed", failure.code)
      assert.equal(1, failure.detail:find(said, 1, true), failure.detail)
    end
  end)

  it("with nil, and with an object that cannot be shown", function()
    local hc = pair "rsa"
    hc:on("send", "*", function() error(nil) end)
    local _, _, failure = hc:start()
    assert.equal("hook_failed", failure.code)
    assert.is_nil(failure.error)
    local value = setmetatable({}, { __tostring = function() error "no" end })
    hc = pair "rsa"
    hc:on("send", "*", function() error(value) end)
    local _, text, shown = hc:start()
    assert.equal(value, shown.error)
    assert.is_truthy(text:find("cannot be shown", 1, true), text)
  end)

  it("says where", function()
    local hc = pair "rsa"
    hc:on("send", "client_hello", function() error "here" end)
    local _, text, failure = hc:start()
    assert.is_truthy(text:find("hook_errors_spec.lua:%d+: here"), text)
    assert.equal("send_client_hello", failure.state)
  end)

  it("breaks nothing: the context goes on, and so do other handshakes", function()
    local c, s = mutate.contexts "rsa"
    local bad, good = c:handshake { server_name = "localhost" }, c:handshake { server_name = "localhost" }
    bad:on("send", "client_hello", function() error "no" end)
    local server = s:handshake()
    assert.is_nil(bad:start())
    pump.connect(good, server)
    pump.connect(c:handshake { server_name = "localhost" }, s:handshake())
  end)

  it("tells the peer under the keys of the moment", function()
    local hc, hs = pair "rsa"
    hc:on("receive", "finished", function() error "no" end)
    local c, s = pump.run(hc, hs)
    assert.equal("hook_failed", c.failure.code)
    assert.equal("wait_finished", c.failure.state)
    assert.equal("peer_alert", s.failure.code)
    assert.equal("internal_error", s.failure.alert)
  end)

  it("is one that returns what is no message", function()
    for _, value in ipairs { 1, true, print } do
      local hc = pair "rsa"
      hc:on("send", "client_hello", function() return value end)
      local out, _, failure = hc:start()
      assert.is_nil(out)
      assert.equal("hook_failed", failure.code)
    end
  end)

  it("is one whose message cannot be encoded", function()
    local hc = pair "rsa"
    hc:on("send", "client_hello", function(m) m.legacy_version = "TLS 9" end)
    local out, text, failure = hc:start()
    assert.is_nil(out)
    assert.equal("hook_failed", failure.code)
    assert.is_truthy(text:find("legacy_version", 1, true), text)
  end)

  it("is one that puts a record without a header in place of another", function()
    local hc, hs = pair "rsa"
    hs:on("record_in", "*", function() return "abc" end)
    local _, s = pump.run(hc, hs)
    assert.equal("hook_failed", s.failure.code)
  end)

  it("is one that puts more in the place of a record or a fragment than any can have", function()
    for gate, code in pairs { record_in = "record_too_long", plain_in = "plaintext_too_long" } do
      for _, n in ipairs { 20000, 1000000 } do
        local hc, hs = pair "rsa"
        hs:on(gate, "handshake", function() return ("\22\3\3" .. (">I2"):pack(n & 0xffff) .. ("x"):rep(n)) end)
        local _, s = pump.run(hc, hs)
        assert.same({ code, "record_overflow" }, { s.failure.code, s.failure.alert })
        assert.matches("bytes that a hook has put in its place", s.failure.detail, 1, true)
      end
    end
  end)

  it("is a question that raises", function()
    local value = {}
    local hc, hs = pair("rsa", { alpn = { "a" } }, { alpn = function() error(value) end })
    local c, s = pump.run(hc, hs)
    assert.equal("hook_failed", s.failure.code)
    assert.equal(value, s.failure.error)
    assert.equal("internal_error", c.failure.alert)
  end)

  it("is a key log that raises", function()
    local value = {}
    local hc, hs = pair("rsa", { keylog = function() error(value) end })
    local c = pump.run(hc, hs)
    assert.equal("hook_failed", c.failure.code)
    assert.equal(value, c.failure.error)
  end)
end)

-- ---- time ----------------------------------------------------------------------------------------------------------------------------

describe("a hook that yields", function()
  -- Runs fn in a coroutine; every yield is answered with `answer`; how often it yielded.
  local function drive(answer, fn, ...)
    local co = coroutine.create(fn)
    local n, out = 0, table.pack(coroutine.resume(co, ...))
    while coroutine.status(co) ~= "dead" do
      assert(out[1], out[2])
      n = n + 1
      out = table.pack(coroutine.resume(co, answer))
    end
    assert(out[1], out[2])
    return n, table.unpack(out, 2, out.n)
  end

  it("resumes, at every gate, and gets what it is resumed with", function()
    local hc, hs = pair "client_auth"
    local got = {}
    for _, h in ipairs { hc, hs } do
      for _, gate in ipairs { "compose", "send", "plain_out", "record_out", "record_in", "plain_in", "receive" } do
        h:on(gate, "*", function() got[#got + 1] = coroutine.yield(gate) end)
      end
    end
    local n, c, s = drive("answer", pump.run, hc, hs)
    assert.is_truthy(c.session, c.message)
    assert.is_truthy(s.session, s.message)
    assert.equal(n, #got)
    assert.is_true(n > 80)
    for _, v in ipairs(got) do assert.equal("answer", v) end
  end)

  it("in every question", function()
    local kept = {}
    local sessions = {
      get = function(id) coroutine.yield "get" return kept[id] end,
      put = function(id, bytes) coroutine.yield "put" kept[id] = bytes end,
      remove = function(id) coroutine.yield "remove" kept[id] = nil end,
    }
    local asked = {}
    local identity = require("spec.support.certs").rsa().identity
    local c, s = mutate.contexts("rsa", { alpn = { "x" }, keylog = function() coroutine.yield "keylog" end },
      { sessions = sessions, on_identity = function() asked.identity = coroutine.yield "identity" return identity end,
        alpn = function() asked.alpn = coroutine.yield "alpn" return "x" end })
    local session
    for i = 1, 2 do
      local n, a, b = drive("yes", pump.run, c:handshake { server_name = "localhost", session = session }, s:handshake())
      assert.is_truthy(a.session, a.message)
      assert.is_truthy(b.session, b.message)
      assert.is_true(n >= 3)
      assert.equal(i == 2, a.session.resumed)
      session = a.session:resumption()
    end
    assert.same({ identity = "yes", alpn = "yes" }, asked)
  end)

  it("and raises afterwards", function()
    local value = {}
    local hc = pair "rsa"
    hc:on("send", "client_hello", function()
      coroutine.yield()
      error(value)
    end)
    local n, out, _, failure = drive(nil, hc.start, hc)
    assert.equal(1, n)
    assert.is_nil(out)
    assert.equal("hook_failed", failure.code)
    assert.equal(value, failure.error)
  end)

  it("waits for as long as it takes; meanwhile the handshake cannot be stepped", function()
    local hc = pair "rsa"
    hc:on("send", "client_hello", function() coroutine.yield() end)
    local co = coroutine.create(hc.start)
    assert(coroutine.resume(co, hc))
    for _, call in ipairs { function() hc:step "" end, function() hc:start() end } do
      local ok, text = pcall(call)
      assert.is_false(ok)
      assert.is_truthy(text:find("waiting for a hook", 1, true), text)
    end
    local ok, out = coroutine.resume(co)
    assert.is_true(ok)
    assert.equal(22, out:byte())
  end)

  it("is over when the handshake is aborted meanwhile", function()
    local hc = pair "rsa"
    hc:on("send", "client_hello", function() coroutine.yield() end)
    local co = coroutine.create(hc.start)
    assert(coroutine.resume(co, hc))
    assert.same({ "fatal access_denied" }, mutate.alerts(hc:abort "access_denied"))
    local ok, out, _, failure = coroutine.resume(co)
    assert.is_true(ok)
    assert.is_nil(out)
    assert.equal("aborted", failure.code)
    assert.equal("access_denied", failure.alert)
  end)

  it("is over when the stream ends meanwhile", function()
    local hc, hs = pair "rsa"
    hs:on("receive", "client_hello", function() coroutine.yield() end)
    local co = coroutine.create(hs.step)
    assert(coroutine.resume(co, hs, assert(hc:start())))
    assert.is_nil(hs:eof())
    local _, out, _, failure = coroutine.resume(co)
    assert.is_nil(out)
    assert.equal("truncated", failure.code)
  end)

  it("is over when the handshake is closed meanwhile", function()
    local hc = pair "rsa"
    hc:on("send", "client_hello", function() coroutine.yield() end)
    local co = coroutine.create(hc.start)
    assert(coroutine.resume(co, hc))
    hc:close()
    local ok, out = coroutine.resume(co)
    assert.is_falsy(ok and out)
    assert.equal("dead", coroutine.status(co))
    assert.equal("akushu.Handshake (closed)", tostring(hc))
  end)

  it("and is never resumed is collected, with its handshake", function()
    local gone = setmetatable({}, { __mode = "k" })
    for _ = 1, 50 do
      local hc = pair "rsa"
      hc:on("send", "client_hello", function() coroutine.yield() end)
      local co = coroutine.create(hc.start)
      assert(coroutine.resume(co, hc))
      gone[hc] = true
    end
    collectgarbage()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(gone))
  end)

  it("outside a coroutine fails the handshake", function()
    local ok, text = pcall(function()
      local hc = pair "rsa"
      hc:on("send", "client_hello", function() coroutine.yield() end)
      -- a C boundary that cannot be yielded across
      return (string.gsub("x", "x", function()
        local out, words, failure = hc:start()
        assert.is_nil(out)
        assert.equal("hook_failed", failure.code)
        return words
      end))
    end)
    assert.is_true(ok, text)
    assert.is_truthy(text:find "yield", text)
  end)
end)

describe("a hook and its own handshake", function()
  local function inside(fn)
    local hc, hs = pair "rsa"
    local result
    hc:on("receive", "server_hello", function() result = table.pack(pcall(fn, hc)) end)
    local c, s = pump.run(hc, hs)
    return result, c, s
  end

  it("cannot step or start it", function()
    for _, fn in ipairs { function(h) return h:step "" end, function(h) return h:start() end } do
      local result, c = inside(fn)
      assert.is_false(result[1])
      assert.is_truthy(result[2]:find("waiting for a hook", 1, true), result[2])
      assert.is_truthy(c.session, c.message)
    end
  end)

  it("cannot have its session yet", function()
    local result, c = inside(function(h) return h:session() end)
    assert.is_true(result[1])
    assert.is_nil(result[2])
    assert.equal("not_ready", result[4].code)
    assert.is_truthy(c.session, c.message)
  end)

  it("can look at it", function()
    local result, c = inside(function(h) return h.state, h.version, h.done, h.failed, tostring(h) end)
    assert.same({ true, "wait_server_hello", nil, false, false, "akushu.Handshake (client, wait_server_hello)", n = 6 }, result)
    assert.is_truthy(c.session)
  end)

  it("can abort it", function()
    local result, c, s = inside(function(h) return h:abort "user_canceled" end)
    assert.is_true(result[1])
    assert.equal("aborted", c.failure.code)
    assert.is_nil(c.session)
    assert.is_nil(s.session)
  end)

  it("can close it", function()
    local hc, hs = pair "rsa"
    hc:on("receive", "server_hello", function() hc:close() end)
    local answer = assert(hs:step(assert(hc:start())))
    local ok, out = pcall(hc.step, hc, answer)
    assert.is_falsy(ok and out)
    assert.has_error(function() hc:step "" end)
  end)

  it("can run another one to its end", function()
    local done
    local result, c = inside(function()
      done = pump.connect(pair "rsa")
      return true
    end)
    assert.is_true(result[1], result[2])
    assert.is_truthy(done.session)
    assert.is_truthy(c.session, c.message)
  end)
end)
