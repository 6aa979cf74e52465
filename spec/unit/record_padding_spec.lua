-- Padding of TLS 1.3's records (RFC 8446 §5.4, RFC 8449 §4): by a policy, by a function, by a hook; never past the peer's limit.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local pump = require "spec.support.pump"
local merge = require "spec.support.merge"

local leaf = certs.ecdsa()
local now = os.time() -- the clock of tests whose early data must be taken

-- A connection whose client pads as told; its ends. The server notes the plaintext length, padding included, of each protected record.
local function connect(padding, o)
  o = o or {}
  local c = akushu.client(merge({ trust = leaf.trust, record_padding = padding, versions = "1.3", middlebox_compat = false }, o.client))
  local s = akushu.server(merge({ identity = leaf.identity, tickets = false, versions = "1.3" }, o.server))
  local a, b = pump.run(c:handshake(merge({ server_name = "localhost" }, o.handshake)), s:handshake())
  return a, b
end

-- The lengths of the protected records in bytes: content and padding, without type and tag.
local function lengths(bytes)
  local out, at = {}, 1
  while at <= #bytes do
    local kind, _, fragment, after = string.unpack(">BI2s2", bytes, at)
    if kind == 23 then out[#out + 1] = #fragment - 17 end
    at = after
  end
  return out
end

local function sealed(side, n) return lengths(assert(side.session:seal(("x"):rep(n)))) end

describe("record padding by a policy", function()
  it("to a multiple, of application data alone or of all", function()
    local c, s = connect(100)
    assert.same({ 36 }, lengths(table.concat(c.sent))) -- Finished
    assert.same({ 100 }, sealed(c, 1))
    assert.same({ 100 }, sealed(c, 100))
    assert.same({ 16384, 300 }, sealed(c, 16384 + 201))
    assert.same({ 2 }, lengths(c.session:close()))
    assert.is_nil(s.failure)
    c, s = connect { multiple = 100, all = true }
    assert.same({ 100 }, lengths(table.concat(c.sent)))
    assert.equal("data", pump.transfer(c, s, "data"))
    assert.same({ 100 }, lengths(assert(c.session:update_keys(false))))
    assert.same({ 100 }, lengths(c.session:close()))
  end)

  it("by a fixed or a random number of bytes", function()
    local c = connect { fixed = 77 }
    assert.same({ 78 }, sealed(c, 1))
    c = connect { random = 9 }
    local seen = {}
    for _ = 1, 500 do
      local n = sealed(c, 1)[1]
      assert.is_true(n >= 1 and n <= 10)
      seen[n] = true
    end
    for n = 1, 10 do assert.is_true(seen[n], "never " .. n) end
  end)

  it("never goes past what the peer is willing to receive, for any kind of record", function()
    for _, limit in ipairs { 64, 100, 1000 } do
      for _, padding in ipairs { { fixed = 16384, all = true }, { multiple = 5000, all = true }, function() return 16384 end } do
        local c, s = connect(padding, { client = { record_size_limit = 16385 }, server = { record_size_limit = limit } })
        assert.is_nil(s.failure, s.message)
        assert.same({ limit - 1 }, lengths(table.concat(c.sent)))
        assert.equal("some data", pump.transfer(c, s, "some data"))
        assert.same({ limit - 1, limit - 1 }, sealed(c, limit + 1))
        assert.same({ limit - 1 }, lengths(assert(c.session:update_keys(false))))
        assert.same({ limit - 1 }, lengths(c.session:close()))
      end
    end
  end)

  it("of alerts in the handshake", function()
    for _, padding in ipairs { { multiple = 64, all = true }, function() return 62 end } do
      local c = connect(padding, { handshake = { server_name = "other.example" } })
      assert.equal("host_mismatch", c.failure.code)
      assert.same({ 64 }, lengths(table.concat(c.sent)))
    end
  end)

  it("of early data", function()
    local client = akushu.client { trust = leaf.trust, record_padding = 256, clock = now }
    local server = akushu.server { identity = leaf.identity, early_data = 1000, clock = now }
    local a = pump.run(client:handshake { server_name = "localhost" }, server:handshake())
    local hs, peer = client:handshake { server_name = "localhost", session = a.session:resumption() }, server:handshake()
    assert(hs:send_early "early")
    local out = assert(hs:start())
    assert(hs:send_early "later")
    assert.same({ 256, 256 }, lengths(out .. hs:pending()))
    assert(peer:start())
    assert.is_nil(peer.failure)
  end)

  it("is none of TLS 1.2's business", function()
    for _, padding in ipairs { 512, { fixed = 9, all = true }, function() return 9 end } do
      local c, s = connect(padding, { client = { versions = "1.2", suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" } }, server = { versions = "1.2" } })
      assert.equal("data", pump.transfer(c, s, "data"))
      assert.equal(5 + 8 + 1 + 16, #c.session:seal "x")
    end
  end)
end)

describe("record padding by a function", function()
  it("is asked for each record of data that goes ahead, 0-RTT data too", function()
    local asked = {}
    local function pad(kind, n)
      if kind == "application_data" then asked[#asked + 1] = n end
      return kind == "application_data" and 100 + #asked or 0
    end
    local client = akushu.client { trust = leaf.trust, record_padding = pad, max_fragment = 1000, clock = now }
    local server = akushu.server { identity = leaf.identity, early_data = 5000, record_padding = pad, max_fragment = 700, clock = now }
    local a = pump.run(client:handshake { server_name = "localhost" }, server:handshake())
    local hs, peer = client:handshake { server_name = "localhost", session = a.session:resumption() }, server:handshake()
    asked = {}
    assert(hs:send_early(("e"):rep(10)))
    local hello = assert(hs:start())
    assert.same({ 111 }, lengths(hello))
    assert(hs:send_early(("f"):rep(1100)))
    local later = hs:pending()
    assert.same({ 10, 1000, 100 }, asked) -- a record's content and padding are 1000 bytes at most
    assert.same({ 1000, 100 + 103 }, lengths(later))
    local none, _, failure = hs:send_early(("g"):rep(5000))
    assert.is_nil(none)
    assert.equal("too_much_early_data", failure.code)
    assert(peer:step(hello .. later))
    assert.equal(("e"):rep(10) .. ("f"):rep(1100), peer:take_early_data())
    asked = {}
    local out = assert(peer:send(("s"):rep(1410)))
    assert.same({ 700, 700, 10 }, asked)
    assert.same({ 700, 700, 10 + 103 }, lengths(out))
    -- what it is asked in between may not do harm
    local closing
    local ends = akushu.server { identity = leaf.identity, tickets = false, versions = "1.3", record_padding = function(kind)
      if closing and kind == "application_data" then closing:close() end
      return 1
    end }
    local c, s = akushu.client({ trust = leaf.trust, versions = "1.3" }):handshake { server_name = "localhost" }, ends:handshake()
    assert(s:step(assert(c:start())))
    closing = s
    assert.has_error(function() s:send "x" end)
  end)

  it("is asked for each record, with its type and length", function()
    local asked = {}
    local c, s = connect(function(kind, n)
      asked[kind] = asked[kind] or {}
      table.insert(asked[kind], n)
      return kind == "handshake" and 10 or kind == "alert" and 20 or 30
    end)
    assert.is_nil(s.failure, s.message)
    assert.same({ 46 }, lengths(table.concat(c.sent)))
    assert.is_true(#asked.handshake >= 2) -- ClientHello, which has no padding, and Finished
    assert.equal("data", pump.transfer(c, s, "data"))
    assert.same({ 4 }, asked.application_data)
    assert.same({ 16384, 131 }, sealed(c, 16384 + 101))
    assert.same({ 15 }, lengths(assert(c.session:update_keys(false))))
    assert.same({ 22 }, lengths(c.session:close()))
  end)

  it("of authentication after the handshake, too", function()
    local mine = certs.leaf("ecdsa", "client")
    local c, s = connect(function(kind) return kind == "handshake" and 3000 or 0 end, { client = { identity = mine.identity, post_handshake_auth = true },
      server = { trust = mine.trust, post_handshake_auth = true } })
    local _, reply = assert(c.session:open(assert(s.session:request_certificate())))
    assert.is_true(lengths(reply)[1] > 3000)
    s:deliver(reply)
    assert.is_truthy(s.session.peer)
  end)

  it("may say nothing; nonsense raises", function()
    local c, s = connect(function() end)
    assert.equal("data", pump.transfer(c, s, "data"))
    local say = 0
    c = connect(function() return say end)
    for _, wrong in ipairs { -1, 1.5, "many", {} } do
      say = wrong
      assert.has_error(function() c.session:seal "x" end, "option 'record_padding': the function must return a number of bytes or nil")
    end
    say = math.maxinteger
    assert.same({ 16384 }, sealed(c, 1))
    c = connect(function(kind) return kind == "alert" and 0 or "x" end)
    assert.equal("hook_failed", c.failure.code)
  end)

  it("may raise, close or release the session it is asked for", function()
    local act = function() end
    local c = connect(function() return act() end)
    act = function() error("no", 0) end
    assert.has_error(function() c.session:seal "x" end, "no")
    act = function() act = function() return 1 end c.session:close() end
    local none, _, failure = c.session:seal "x"
    assert.is_nil(none)
    assert.equal("closed", failure.code)
    c = connect(function() return act() end)
    local session = c.session
    act = function() getmetatable(session).__close(session) end
    none, _, failure = session:seal "x"
    assert.is_nil(none)
    assert.equal("closed", failure.code)
  end)

  it("and ev.padding in a hook of one's own", function()
    local c, s = connect(nil, { client = { hooks = { { "plain_out", "handshake", function(_, ev) ev.padding = 500 end } } } })
    assert.is_nil(s.failure)
    assert.same({ 536 }, lengths(table.concat(c.sent)))
    for _, wrong in ipairs { -1, "x", 0.5 } do
      c = connect(nil, { client = { hooks = { { "plain_out", "handshake", function(_, ev) ev.padding = wrong end } } } })
      assert.equal("hook_failed", c.failure.code)
    end
    c = connect(nil, { client = { hooks = { { "send", "finished", function(_, ev) ev.padding = 1 end } } } })
    assert.equal("hook_failed", c.failure.code)
  end)
end)

it("the option record_padding", function()
  for _, wrong in ipairs { -1, 16385, 1.5, "512", true, {}, { all = true }, { multiple = -1 }, { fixed = 20000 }, { random = "x" }, { multiple = 1, fixed = 1 },
    { multiple = 1, all = 1 }, { every = 1 } } do
    local ok, message = pcall(akushu.client, { trust = leaf.trust, record_padding = wrong })
    assert.is_false(ok)
    assert.is_truthy(message:find("option 'record_padding'", 1, true), message)
  end
  for _, right in ipairs { 0, 1, 16384, { multiple = 0 }, { fixed = 16384, all = false }, { random = 1, all = true } } do
    assert.is_truthy(akushu.client { trust = leaf.trust, record_padding = right })
  end
end)
