-- Bad input, TLS 1.2, without thinking: every prefix of every message, every length that lies, every byte changed on the way, every way of cutting.
local akushu = require "akushu"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local wire = akushu.wire

local SETUPS = { "rsa", "ecdhe", "dhe", "client_auth" }
local other = { client = "server", server = "client" }
local errors_of_form = { decode_error = true, trailing_data = true, bad_extension = true, malformed_alpn = true, malformed_schemes = true }

-- One message replaced; the attacked end as it came out.
local function attack(setup, m, bytes)
  return (mutate.attack { setup = setup, attack = other[m.side], message = m.name, change = function() return bytes end })
end

-- Each handshake message of a setup, bytes as they were in one handshake. Those of another one differ in randoms, keys and signatures alone.
local function each(setup, fn)
  for _, m in ipairs(mutate.messages(setup)) do
    if m.content_type == "handshake" then fn(m) end
  end
end

describe("every prefix of every message is refused", function()
  for _, setup in ipairs(SETUPS) do
    each(setup, function(m)
      if setup ~= "rsa" and (m.name == "client_hello" or m.name == "server_hello" or m.name == "finished") and setup ~= "ecdhe" then return end
      it(("%s: %s's %s"):format(setup, m.side, m.name), function()
        local body = m.bytes:sub(5)
        local whole
        if m.name == "client_hello" or m.name == "server_hello" then
          whole = wire.span(wire.decode(m.bytes, { what = "handshake" }), "extensions") - 2 - 4 -- without extensions it is a hello, too
        end
        for n = 0, #body - 1 do
          local attacked = attack(setup, m, mutate.body(m.bytes, body:sub(1, n)))
          local f = attacked.failure
          if n ~= whole then
            assert.is_truthy(f, n)
            assert.equal("local", f.origin, f.message)
            if m.name == "finished" then assert.equal("bad_finished", f.code)
            elseif not errors_of_form[f.code] then assert.equal("a prefix of " .. n .. " bytes refused", f.message) end
          end
        end
      end)
    end)
  end
end)

describe("a message that ends with the stream", function()
  it("is no message: every prefix of a flight, then the end", function()
    local hello = mutate.client_hello "ecdhe"
    for n = 0, #hello - 1 do
      local _, hs = mutate.handshakes "ecdhe"
      assert.equal("", hs:step(hello:sub(1, n)))
      local ok, _, f = hs:eof()
      assert.is_nil(ok)
      assert.equal("truncated", f.code)
      assert.equal("wait_client_hello", f.state)
    end
    local hc, hs = mutate.handshakes "ecdhe"
    hs:start()
    local flight = assert(hs:step(hc:start()))
    assert.is_truthy(hc:step(flight))
    for n = 0, #flight - 1, 7 do
      local client = mutate.handshakes "ecdhe"
      client:start()
      local out, _, f = client:step(flight:sub(1, n)) -- another client's: refused at the signature, if it comes so far
      if out then
        _, _, f = client:eof()
        assert.equal("truncated", f.code)
      else
        assert.equal("bad_signature", f.code)
      end
    end
  end)
end)

describe("lengths that lie", function()
  local lies = { function(n) return n + 1 end, function(n) return n - 1 end, function() return 0 end,
    function(_, most) return most end, function(n) return n // 2 end }

  for _, setup in ipairs { "rsa", "ecdhe", "dhe", "client_auth" } do
    each(setup, function(m)
      local c, s = mutate.contexts(setup)
      local suite = c and s and mutate.setups[setup][1]
      local node = wire.decode(m.bytes, { what = "handshake", version = "1.2", suite = suite, from = m.side })
      local spans = {}
      for _, span in ipairs(wire.spans(node)) do
        if (span.prefix or 0) > 0 then spans[#spans + 1] = span end
      end
      if #spans == 0 then return end
      it(("%s: %s's %s"):format(setup, m.side, m.name), function()
        for _, span in ipairs(spans) do
          local at, most = span.offset - span.prefix + 1, (1 << 8 * span.prefix) - 1
          for _, lie in ipairs(lies) do
            -- in the message that is really sent: where the lengths stand is the same, a signature's own length may be another
            local says, said
            local attacked = mutate.attack { setup = setup, attack = other[m.side], message = m.name, change = function(_, ev)
              says = string.unpack(">I" .. span.prefix, ev.raw, at)
              said = lie(says, most) & most
              return ev.raw:sub(1, at - 1) .. string.pack(">I" .. span.prefix, said) .. ev.raw:sub(at + span.prefix)
            end }
            -- what is cut short inside may still have a form: then it is refused for what it says, or says the same
            if attacked.failure then assert.equal("local", attacked.failure.origin,
              span.path .. " " .. said .. ": " .. attacked.message) end
            if said > says then assert.is_truthy(attacked.failure, span.path .. " " .. said) end
          end
        end
      end)
    end)
  end
end)

-- Somebody in between changes one byte of a message; both ends go on as if they had sent and seen what is theirs. In the end Finished tells.
describe("no byte of a handshake can be changed on the way", function()
  local function flips(setup, step)
    for _, m in ipairs(mutate.messages(setup)) do
      if m.content_type == "handshake" and m.name ~= "finished" then
        it(("%s: %s's %s"):format(setup, m.side, m.name), function()
          for at = 1 + m.bytes:byte() % step, #m.bytes, step do
            local sent
            local attacked, attacker = mutate.attack { setup = setup, attack = other[m.side], message = m.name, change = function(_, ev)
              if at > #ev.raw then return nil end
              ev.transcript, sent = "as_built", true
              return mutate.flip(ev.raw, at, 1 << at % 8)
            end }
            if sent then assert.is_falsy(attacked.session and attacker.session and not attacked.failure and not attacker.failure,
              "byte " .. at) end
          end
        end)
      end
    end
  end

  flips("ecdhe", 11)
  flips("rsa", 13)
  describe("#slow", function()
    flips("client_auth", 1)
    flips("dhe", 3)
    flips("rsa", 1)
  end)
end)

describe("however a handshake is cut, it is the same handshake", function()
  -- Fragments of n bytes: what comes out of the sender's records.
  for _, setup in ipairs(SETUPS) do
    for _, n in ipairs { 1, 2, 3, 4, 5, 7, 16, 100, 1000 } do
      it(("%s: records of %d bytes"):format(setup, n), function()
        local c, s = pump.run(mutate.handshakes(setup, { max_fragment = n }, { max_fragment = n }))
        assert.is_truthy(c.session, c.message)
        assert.is_truthy(s.session, s.message)
        assert.equal("hello", pump.transfer(c, s, "hello"))
      end)
    end

    for _, n in ipairs { 1, 2, 3, 5, 6, 9, 50, 1000 } do
      it(("%s: the stream in pieces of %d bytes"):format(setup, n), function()
        local hc, hs = mutate.handshakes(setup)
        local c, s = pump.run(hc, hs, { chunk = n })
        assert.is_truthy(c.session, c.message)
        assert.is_truthy(s.session, s.message)
        assert.equal(("x"):rep(100), pump.transfer(s, c, ("x"):rep(100), n))
      end)
    end

    it(setup .. ": all messages of a flight in one record", function()
      local c, s = pump.run(mutate.handshakes(setup, { coalesce = true }, { coalesce = true }))
      assert.is_truthy(c.session, c.message)
      assert.is_truthy(s.session, s.message)
    end)

    it(setup .. ": cut at every place of the flight", function()
      local flight
      do
        local hc, hs = mutate.handshakes(setup, nil, { coalesce = true })
        hs:on("plain_out", "handshake", function(bytes) flight = flight or bytes end)
        pump.run(hc, hs)
      end
      for at = 1, #flight - 1, setup == "rsa" and 1 or 17 do
        local hc, hs = mutate.handshakes(setup, nil, { coalesce = true })
        local first = true
        hs:on("plain_out", "handshake", function(bytes, ev)
          if not first or at >= #bytes then return end
          first = false
          ev:before { content_type = "handshake", bytes = bytes:sub(1, at) }
          return bytes:sub(at + 1)
        end)
        -- only what the client has to put together
        local client = hc
        local out = assert(hs:step(assert(client:start())))
        assert.is_truthy(client:step(out), at)
      end
    end)
  end
end)

describe("random bytes", function()
  local function noise(n, seed)
    local out = {}
    for i = 1, (n + 31) // 32 do out[i] = akushu.crypto.digest("sha256", seed .. i) end
    return table.concat(out):sub(1, n)
  end

  it("a megabyte of them is refused at once", function()
    local bytes = noise(1 << 20, "megabyte")
    for _, side in ipairs { 1, 2 } do
      local hs = select(side, mutate.handshakes "rsa")
      hs:start()
      local out, message, f = hs:step(bytes)
      assert.is_nil(out)
      assert.is_truthy(message)
      assert.equal("local", f.origin)
      assert.is_true(#hs:pending() <= 7)
    end
  end)

  it("behind a record's header, of every kind", function()
    for content_type = 20, 24 do
      for i = 1, 100 do
        local bytes = mutate.record(content_type, noise(1 + i * 37 % 400, content_type .. "/" .. i))
        for side = 1, 2 do
          local hs = select(side, mutate.handshakes "ecdhe")
          hs:start()
          local out = hs:step(bytes)
          if out then -- a message that says it is long, or a warning
            assert.equal("", out)
            local _, _, f = hs:eof()
            assert.equal("truncated", f.code)
          else
            assert.is_true(hs.failed)
          end
        end
      end
    end
  end)

  it("behind a message's header, of every type", function()
    for kind = 0, 255 do
      local bytes = mutate.record(22, mutate.message(kind, noise(60, "m" .. kind)))
      for side = 1, 2 do
        local hs = select(side, mutate.handshakes "ecdhe")
        hs:start()
        local out, _, f = hs:step(bytes)
        assert.is_nil(out)
        assert.equal("local", f.origin)
      end
    end
  end)

  it("in an open session", function()
    for i = 1, 50 do
      local c, s = pump.run(mutate.handshakes "ecdhe")
      local plain, _, f = s.session:open(mutate.record(20 + i % 5, noise(i * 13, "s" .. i)))
      assert.is_nil(plain)
      assert.equal("local", f.origin)
      assert.equal("failed", s.session.state)
      assert.is_truthy(c.session)
    end
  end)
end)
