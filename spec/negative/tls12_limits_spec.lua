-- Bad input, TLS 1.2: too much of it. What a peer can make one handshake hold is bounded (AK_HANDSHAKE_MEMORY in csrc/akushu.h), and so is what it can
-- make it do.
local akushu = require "akushu"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local record, message = mutate.record, mutate.message

-- What the peer's bytes may take in one handshake: five messages of 64 KiB and a record. Lua's own part and the allocator's come on top.
local BOUND = 5 * 65536 + 18432

-- Pages that this process really uses, in bytes.
local function resident()
  local file = assert(io.open("/proc/self/statm"))
  local pages = file:read("a"):match "^%d+ (%d+)"
  file:close()
  return tonumber(pages) * 4096
end

-- How much `n` handshakes take each, of which fn(hs) is one.
local function cost(n, make, fn)
  for _ = 1, 2 do fn(make()) end
  collectgarbage()
  collectgarbage()
  local kept, before = {}, resident()
  for i = 1, n do
    kept[i] = make()
    fn(kept[i])
  end
  collectgarbage()
  collectgarbage()
  local each = (resident() - before) / n
  assert(#kept == n)
  return each
end

local function server()
  return (select(2, mutate.handshakes "client_auth"))
end

local function client()
  local hs = mutate.handshakes "ecdhe"
  hs:start()
  return hs
end

describe("one handshake's memory", function()
  local function bounded(name, make, fn)
    it(name, function()
      local each = cost(48, make, fn)
      assert.is_true(each < BOUND, ("%.0f bytes"):format(each))
    end)
  end

  bounded("a message that never ends, in large records", server, function(hs)
    local part = record(22, ("\0"):rep(16384))
    assert.equal("", hs:step(record(22, "\1\0\255\255")))
    for _ = 1, 3 do assert.equal("", hs:step(part)) end
  end)

  bounded("a message that never ends, byte by byte", client, function(hs)
    assert.equal("", hs:step(record(22, "\2\0\255\255")))
    local bytes = record(22, "\0")
    for _ = 1, 20000 do assert.equal("", hs:step(bytes)) end
  end)

  bounded("a record that never ends", server, function(hs)
    assert.equal("", hs:step("\22\3\1\64\0" .. ("\0"):rep(16383)))
  end)

  bounded("all that a failed handshake is given", server, function(hs)
    local garbage = ("\0"):rep(65536)
    for _ = 1, 32 do assert.is_nil(hs:step(garbage)) end
  end)

  bounded("large messages of each kind", function() return { mutate.handshakes "client_auth" } end, function(pair)
    local hc, hs = pair[1], pair[2]
    -- the largest list of names that fits a ClientHello, and the largest chain
    hc:on("send", "client_hello", function(m)
      table.insert(m.extensions, { type = 0xabcd, data = ("\0"):rep(60000) })
    end)
    hc:on("send", "certificate", function(m)
      for _ = 1, 100 do m.certificate_list[#m.certificate_list + 1] = m.certificate_list[1] end
    end)
    local c = pump.run(hc, hs)
    c.hs, c.inbox, c.sent = nil, nil, nil
    pair[1] = nil
  end)
end)

describe("a message's length", function()
  it("is refused as soon as its header says too much", function()
    mutate.expect_raw { attack = "server", bytes = record(22, "\1\1\0\1"), code = "message_too_long", alert = "illegal_parameter" }
    mutate.expect_raw { attack = "client", bytes = record(22, "\2\255\255\255"), code = "message_too_long", alert = "illegal_parameter" }
  end)

  it("goes by the context's max_message", function()
    mutate.expect { attack = "client", setup = "rsa", client = { max_message = 1024 }, message = "certificate", change = function(m)
      m.certificate_list[3] = ("c"):rep(1024)
    end, code = "message_too_long", alert = "illegal_parameter", state = "wait_certificate" }
  end)

  it("may be all that max_message allows", function()
    local attacked = mutate.attack { attack = "server", message = "client_hello", change = function(_, ev)
      local missing = 65536 - (#ev.raw - 4) - 4
      local body = ev.raw:sub(5)
      local at = #body
      local node = akushu.wire.decode(ev.raw, { what = "handshake" })
      at = akushu.wire.span(node, "extensions") - 4
      return mutate.body(ev.raw, body:sub(1, at - 2) .. string.pack(">s2", body:sub(at + 1) .. "\171\205" .. string.pack(">s2", ("x"):rep(missing))))
    end }
    assert.is_truthy(attacked.session, attacked.message)
  end)
end)

describe("floods", function()
  -- Feeds the same bytes until the handshake has enough; how often it took them.
  local function until_refused(hs, bytes, most)
    for i = 1, most do
      local out, _, f = hs:step(bytes)
      if not out then return i, f end
    end
    return most
  end

  it("100,000 warning alerts: the fifth is the last", function()
    for _, make in ipairs { server, client } do
      local hs = make()
      local taken, f = until_refused(hs, record(21, "\1\100"), 100000)
      assert.equal(5, taken)
      assert.equal("too_many_warnings", f.code)
      assert.same({ "fatal unexpected_message" }, mutate.alerts(hs:pending()))
    end
  end)

  it("100,000 warning alerts in one call", function()
    local out, _, f = server():step(record(21, "\1\100"):rep(100000))
    assert.is_nil(out)
    assert.equal("too_many_warnings", f.code)
  end)

  it("100,000 warning alerts in an open session", function()
    local c, s = pump.run(mutate.handshakes "ecdhe")
    local _
    local alerts = {}
    for i = 1, 6 do alerts[i] = c.session end
    assert.is_truthy(s.session)
    local plain, text, f = s.session:open(record(21, "\1\100"):rep(100000))
    assert.is_nil(plain, text)
    assert.equal("bad_record_mac", f.code) -- in the clear they count for nothing
    _ = alerts
  end)

  it("100,000 empty records", function()
    local taken, f = until_refused(server(), record(23, ""), 100000)
    assert.equal(1, taken)
    assert.equal("application_data_early", f.code)
  end)

  it("HelloRequests before the ServerHello are bounded", function()
    local taken, f = until_refused(client(), record(22, message("hello_request", "")), 1000)
    assert.equal("unexpected_message", f and f.code, taken .. " taken")
  end)

  it("a ClientHello one byte at a time", function()
    local hc, hs = mutate.handshakes "ecdhe"
    local hello = assert(hc:start())
    local answer
    for i = 1, #hello do
      answer = assert(hs:step(hello:sub(i, i)))
      assert.equal(i < #hello, answer == "")
    end
    assert.is_truthy(hc:step(answer))
  end)

  it("a ClientHello in records of one byte, one byte at a time", function()
    local hc, hs = mutate.handshakes("ecdhe", { max_fragment = 1 })
    local hello = assert(hc:start())
    local answer
    for i = 1, #hello do answer = assert(hs:step(hello:sub(i, i))) end
    assert.is_truthy(hc:step(answer))
  end)
end)
