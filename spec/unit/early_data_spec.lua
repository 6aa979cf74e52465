-- 0-RTT (RFC 8446 §2.3, §4.2.10, §8): what stands between the cases of the matrix: hooks that send, memories that fail, several keys offered.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"
local merge = require "spec.support.merge"

local leaf = certs.ecdsa()
local now = os.time() -- whether early data is taken hangs on a ticket's age: the clocks stand still here

local function contexts(client, server)
  return akushu.client(merge({ trust = leaf.trust, clock = now }, client)),
    akushu.server(merge({ identity = leaf.identity, early_data = 1000, clock = now }, server))
end

local function ticket(c, s)
  local a, b = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
  assert(a.session and b.session, a.message or b.message)
  return assert(a.session:resumption())
end

-- A second handshake with early data; hooks: for it alone.
local function again(c, s, session, o)
  o = o or {}
  local hc, hs = c:handshake { server_name = "localhost", session = session, hooks = o.client }, s:handshake { hooks = o.server }
  if o.early ~= false then assert(hc:send_early(o.early or "early")) end
  if o.each then o.each(hc, hs) end
  local a, b = pump.run(hc, hs)
  return a, b
end

describe("hs:send_early in a hook of the ClientHello", function()
  it("says that it is too late when none was offered", function()
    for _, gate in ipairs { "compose", "send" } do
      local c, s = contexts()
      local session, sent, failure = ticket(c, s), nil, nil
      local a, b = again(c, s, session, { early = false, each = function(hs)
        hs:on(gate, "client_hello", function() sent, _, failure = hs:send_early "late" end)
      end })
      assert.is_nil(sent)
      assert.equal("not_ready", failure.code)
      assert.is_truthy(a.session, a.message)
      assert.equal("none", b.hs.early_data)
      assert.equal("", b.hs:take_early_data())
    end
  end)

  it("adds to what was offered", function()
    for _, gate in ipairs { "compose", "send" } do
      local c, s = contexts()
      local session = ticket(c, s)
      local a, b = again(c, s, session, { each = function(hs)
        hs:on(gate, "client_hello", function()
          assert(hs:send_early " and more")
          local none, _, failure = hs:send_early(("x"):rep(1000))
          assert.is_nil(none)
          assert.equal("too_much_early_data", failure.code)
        end)
      end })
      assert.is_truthy(a.session, a.message)
      assert.equal("early and more", b.hs:take_early_data())
    end
  end)
end)

it("is refused at once where the handshake will not offer it: another name, another context, no ALPN of the session's, a ticket used before", function()
  local c, s = contexts({ alpn = { "h2" } }, { alpn = { "h2" } })
  local other = akushu.client { trust = leaf.trust, clock = now }
  local lax = akushu.client { trust = leaf.trust, alpn = { "h2" }, verify = "chain", clock = now }
  local session
  for _, case in ipairs { { c, "127.0.0.1" }, { other, "localhost" }, { lax, "localhost" } } do
    session = ticket(c, s)
    local hs = case[1]:handshake { server_name = case[2], session = session }
    local sent, text, failure = hs:send_early "early"
    assert.is_nil(sent, case[2])
    assert.equal("not_ready", failure.code, text)
    local a, b = pump.run(hs, s:handshake()) -- the handshake itself goes on without
    assert.equal("none", b.session and b.session.early_data, a.message)
  end
  session = ticket(c, s)
  local a, b = again(c, s, session)
  assert.equal("accepted", a.session.early_data, b.message)
  local hs = c:handshake { server_name = "localhost", session = session }
  assert.equal("not_ready", (select(3, hs:send_early "early")).code)
end)

it("max_early_data_size holds for all of it, before the ClientHello and after (§4.2.10)", function()
  local c, s = contexts(nil, { early_data = 10 })
  local session = ticket(c, s)
  local hs = c:handshake { server_name = "localhost", session = session }
  assert(hs:send_early "12345")
  assert.is_nil((hs:send_early "123456"))
  local out = assert(hs:start())
  assert(hs:send_early "1234")
  local none, _, failure = hs:send_early "12"
  assert.is_nil(none)
  assert.equal("too_much_early_data", failure.code)
  assert(hs:send_early "0")
  local peer = s:handshake()
  peer:start()
  assert(peer:step(out .. hs:pending()))
  assert.equal("1234512340", peer:take_early_data())
end)

describe("the application's memory of first flights", function()
  local function attempt(answer)
    local c, s = contexts(nil, { on_early_data = answer })
    return again(c, s, ticket(c, s))
  end

  it("that raises ends the handshake; so do answers that are none", function()
    for _, answer in ipairs { function() error "no store" end, function() return 1 end, function() return "yes" end, function() return {} end } do
      local a, b = attempt(answer)
      assert.equal("hook_failed", b.failure.code)
      assert.equal("internal_error", a.failure.alert)
      assert.equal("", b.hs:take_early_data())
    end
  end)

  it("that says nothing has not seen it for sure: it is refused", function()
    for _, answer in ipairs { function() return nil end, function() return false end } do
      local a, b = attempt(answer)
      assert.is_truthy(a.session, a.message)
      assert.equal("refused", a.hs.early_data)
      assert.equal("replayed", b.hs.early_data_reason)
      assert.equal("", b.hs:take_early_data())
    end
  end)

  it("of sessions that raises, or answers nonsense, ends it; one that has forgotten does not", function()
    local kept, broken = {}, nil
    local function store(name, fn)
      return function(...)
        if broken == name then error "the store is gone" end
        return fn(...)
      end
    end
    for _, name in ipairs { "get", "remove", "nothing", "number", "noise" } do
      broken = nil
      local c, s = contexts(nil, { sessions = {
        get = store("get", function(id)
          if broken == "nothing" then return nil end
          if broken == "number" then return 1 end
          if broken == "noise" then return "noise" end
          return kept[id]
        end),
        put = store("put", function(id, value) kept[id] = value end),
        remove = store("remove", function(id) kept[id] = nil end) } })
      local session = ticket(c, s)
      broken = name
      local a, b = again(c, s, session)
      if name == "nothing" or name == "noise" then
        assert.is_truthy(a.session, a.message)
        assert.is_false(a.session.resumed)
        assert.equal("refused", a.hs.early_data)
      else
        assert.equal("hook_failed", b.failure.code)
        assert.equal("internal_error", a.failure.alert)
      end
    end
  end)
end)

describe("with several keys offered", function()
  local psk = { identity = "shared", key = ("k"):rep(32) }
  local without = contexts() -- a client that has no such key gets tickets

  it("early data goes with the first alone", function()
    local c, s = contexts({ psk = psk }, { psk = psk })
    local a, b = again(c, s, ticket(without, s))
    assert.equal("accepted", a.hs.early_data)
    assert.equal("early", b.hs:take_early_data())
    -- the server has lost its ticket keys: it takes the second
    local session = ticket(without, s)
    s:set_ticket_keys(("n"):rep(48))
    a, b = again(c, s, session)
    assert.is_truthy(a.session, a.message)
    assert.equal("refused", a.hs.early_data)
    assert.is_false(a.session.resumed)
    assert.equal("", b.hs:take_early_data())
    assert.equal("x", pump.transfer(a, b, "x"))
  end)

  it("a server that takes it with the second is refused (§4.2.11)", function()
    local c, s = contexts({ psk = psk }, { psk = psk })
    local session = ticket(without, s)
    s:set_ticket_keys(("n"):rep(48))
    local a, b = again(c, s, session, { server = { { "compose", "encrypted_extensions", function(m)
      table.insert(m.extensions, { type = "early_data", data = "" })
    end } } })
    assert.equal("early_data_unexpected", a.failure.code, a.message)
    assert.equal("illegal_parameter", a.failure.alert)
    assert.equal("illegal_parameter", b.failure.alert)
  end)
end)

describe("after a HelloRetryRequest", function()
  it("a client offers no early data any more; what it has sent is passed over (§4.1.2, §4.2.10)", function()
    local c, one = contexts({ key_shares = { "x25519" } })
    local session = ticket(c, one)
    local keys = one:ticket_keys()
    local s = akushu.server { identity = leaf.identity, early_data = 1000, groups = { "secp256r1" }, ticket_keys = keys, clock = now }
    local offered = {}
    local a, b = again(c, s, session, { client = { { "send", "client_hello", function(m) offered[#offered + 1] = mutate.extension(m, "early_data") ~= nil end } } })
    assert.is_truthy(a.session, a.message)
    assert.same({ true, false }, offered)
    assert.is_true(a.session.hello_retry)
    assert.equal("refused", a.hs.early_data)
    assert.equal("", b.hs:take_early_data())
    assert.equal("x", pump.transfer(a, b, "x"))
  end)

  it("an early_data extension in the second ClientHello does not bring it back", function()
    local c, one = contexts({ key_shares = { "x25519" } })
    local session = ticket(c, one)
    local s = akushu.server { identity = leaf.identity, early_data = 1000, groups = { "secp256r1" }, ticket_keys = one:ticket_keys(), clock = now }
    local n = 0
    local a, b = again(c, s, session, { client = { { "compose", "client_hello", function(m)
      n = n + 1
      if n == 2 then m.extensions:insert(1, { type = "early_data", data = "" }) end
    end } } })
    assert.equal(2, n)
    assert.not_equal("accepted", b.hs.early_data)
    assert.equal("", b.hs:take_early_data())
    assert.is_truthy(a.session or a.failure)
  end)
end)
