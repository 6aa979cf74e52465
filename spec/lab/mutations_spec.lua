-- Mutations: what they do, their lists, the shrinker; and hundreds of them at random, each run twice with the same bytes and outcome.
local akushu = require "akushu"
local mutations = require "akushu.mutations"

local setups = {
  { "TLS 1.2, ECDHE", function(l) return l:client { versions = "1.2" }, l:server { versions = "1.2" } end },
  { "TLS 1.2, RSA key exchange, CBC", function(l)
    local o = { versions = "1.2", profile = "classic", suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } }
    return l:client(o), l:server { versions = "1.2", profile = "classic", suites = o.suites }
  end },
  { "TLS 1.2, both sides with certificates", function(l)
    local o = { versions = "1.2", identity = l:issue { names = { "client.example" }, purpose = "client" }.identity }
    return l:client(o), l:server { versions = "1.2", client_auth = "require" }
  end },
  { "TLS 1.3", function(l) return l:client { versions = "1.3" }, l:server { versions = "1.3" } end },
  { "TLS 1.3, HelloRetryRequest", function(l)
    return l:client { versions = "1.3", groups = { "x25519", "secp256r1" }, key_shares = { "x25519" } },
      l:server { versions = "1.3", groups = { "secp256r1" } }
  end },
  { "TLS 1.3, both sides with certificates", function(l)
    local o = { versions = "1.3", identity = l:issue { names = { "client.example" }, purpose = "client" }.identity }
    return l:client(o), l:server { versions = "1.3", client_auth = "require" }
  end },
}

local function same_setup(i)
  local setup = setups[i]
  local lab = akushu.lab { seed = setup[1] }
  return lab, function(l)
    local client, server = setup[2](l)
    return client, server, { data = { "question", "answer" } }
  end
end

-- Runs n mutated handshakes, spread over the setups, each twice; `most` mutations at once.
local function storm(n, seed, most)
  local random = mutations.generator(seed)
  local ended = { done = 0, failed = 0, waiting = 0 }
  local lists = {}
  for i = 1, #setups do
    local lab, setup = same_setup(i)
    local good = lab:attempt(setup)
    assert.is_true(good.ok, setups[i][1])
    lists[i] = { lab = lab, setup = setup, good = good }
  end
  for k = 1, n do
    local one = lists[1 + (k - 1) % #setups]
    local list = one.good:mutations(nil, { count = 1 + random(most), seed = seed .. k })
    local a, b = one.lab:attempt(one.setup, list), one.lab:attempt(one.setup, list)
    local what = {}
    for i, m in ipairs(list) do what[i] = tostring(m) end
    what = table.concat(what, "; ")
    assert.equal(a:wire "client", b:wire "client", what)
    assert.equal(a:wire "server", b:wire "server", what)
    assert.equal(tostring(a:outcome()), tostring(b:outcome()), what)
    assert.equal(#a.entries, #b.entries, what)
    for _, side in ipairs { a.client, a.server } do
      -- A side that failed by itself said why, in words and in a code that is listed, and nothing gets past it any more.
      if side.failure then
        assert.is_truthy(akushu.errors[side.failure.code], what)
        assert.is_string(side.message)
        local state = side.session and side.session.state or side.hs.state
        assert.is_true(state ~= "open" and state ~= "done", what .. ": " .. state)
      end
      -- Data is either what the other side sent, or nothing.
      local got = side:received()
      assert.is_true(got == "" or got == (side.name == "server" and "question" or "answer"), what)
    end
    local o = a:outcome()
    local kind = (o.client.code or o.server.code) and "failed" or o.client.done and o.server.done and "done" or "waiting"
    ended[kind] = ended[kind] + 1
  end
  return ended
end

describe("random mutations of handshakes", function()
  it("repeat byte for byte, and end in words: 100, one to three at once", function()
    local ended = storm(100, "hundred", 3)
    assert.is_true(ended.failed > 40 and ended.done > 5, ("%d failed, %d done, %d waiting"):format(ended.failed, ended.done, ended.waiting))
  end)

  it("repeat byte for byte, and end in words: 1000 #slow", function()
    local ended = storm(1000, "thousand", 3)
    assert.is_true(ended.failed > 400 and ended.done > 50)
  end)
end)

describe("mutations", function()
  local lab, setup = same_setup(1)
  local good = lab:attempt(setup)

  it("are listed for every message that was sent, of every kind that was asked for", function()
    local sent = #good:messages()
    assert.equal(sent, #good:mutations "drop")
    assert.equal(3 * sent, #good:mutations { "drop", "duplicate", "swap" })
    local last = {}
    for _, m in ipairs(good:mutations "swap") do
      if m.last then last[#last + 1] = m.from .. " " .. m.name end
    end
    assert.same({ "client client_hello", "server server_hello_done", "client finished", "server finished" }, last)
    assert.equal(5 * sent, #good:mutations({ "bitflip" }, { each = 5 }))
    assert.equal(#good:messages "client", #good:mutations("drop", { from = "client" }))
    local finished = good:mutations({ "drop" }, { message = "finished" })
    assert.equal(2, #finished)
    assert.equal("drop finished (client's 4th message)", tostring(finished[1]))
    assert.equal(7, #good:mutations(nil, { count = 7 }))
    assert.error_matches(function() good:mutations { "nonsense" } end, "no mutation 'nonsense'; there are alert, bitflip, ")
    assert.has_error(function() good:mutations("drop", { form = "client" }) end, "mutations: unknown option 'form'; did you mean 'from'?")
  end)

  it("are drawn from a seed", function()
    local function list(seed)
      local out = {}
      for i, m in ipairs(good:mutations({ "bitflip", "truncate", "retype" }, { each = 2, seed = seed })) do out[i] = tostring(m) end
      return table.concat(out, "\n")
    end
    assert.equal(list "a", list "a")
    assert.not_equal(list "a", list "b")
  end)

  it("do what they say", function()
    local function client_said(list)
      local t = lab:attempt(setup, list)
      return t:wire "client", t:outcome()
    end
    local plain = client_said {}
    local function at_hello(kind, more)
      local fields = { kind = kind, from = "client", n = 1, name = "client_hello" }
      for k, v in pairs(more or {}) do fields[k] = v end
      return client_said { mutations.new(fields) }
    end
    local n = string.unpack(">I2", plain, 4)
    local hello = plain:sub(6, 5 + n)
    assert.equal("", (at_hello "drop"))
    assert.equal(plain:sub(1, 5 + n):rep(2), (at_hello "duplicate"):sub(1, 2 * (5 + n)))
    assert.equal("\22\3\1" .. string.pack(">s2", "\1" .. string.pack(">s3", hello:sub(5, 9))), (at_hello("truncate", { at = 10 })))
    assert.equal("\22\3\1\0\4\1\0\0\0", (at_hello "empty"))
    assert.equal("\20\3\1\0\1\1", (at_hello "ccs"):sub(1, 6))
    assert.equal("\21\3\1\0\2\1\90", (at_hello "warning"):sub(1, 7))
    assert.equal(hello:sub(1, 9) .. string.char(hello:byte(10) ~ 4), (at_hello("bitflip", { at = 10, bit = 2 })):sub(6, 15))
    local cut, outcome = at_hello "fragment"
    assert.is_true(#cut > #plain)
    assert.is_true(outcome.client.done and outcome.server.done)
  end)

  it("say which field is wrong", function()
    assert.has_error(function() mutations.new { kind = "drop", from = "me", n = 1 } end)
    assert.has_error(function() mutations.new { kind = "drop", from = "client", n = 0 } end)
    assert.error_matches(function() mutations.new { kind = "dorp", from = "client", n = 1 } end, "no mutation 'dorp'; there are alert, bitflip, ")
  end)

  it("are shrunk to those that matter", function()
    local needed = mutations.new { kind = "bitflip", from = "server", n = 3, at = 60, bit = 3, name = "server_key_exchange" }
    local list = {}
    for n = 1, 4 do
      list[#list + 1] = mutations.new { kind = "fragment", from = "client", n = n }
      list[#list + 1] = mutations.new { kind = "warning", from = "server", n = n }
    end
    table.insert(list, 5, needed)
    local small, trace = lab:shrink(setup, list)
    assert.equal(1, #small)
    assert.equal(needed, small[1])
    assert.equal("bad_signature", trace.client.failure.code)
    assert.is_nil((lab:shrink(setup, { list[1] })))
  end)

  it("are shrunk by what a script asks about, too, when two of them are needed", function()
    local two = mutations.shrink({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(part)
      local has = {}
      for _, v in ipairs(part) do has[v] = true end
      return has[2] and has[7]
    end)
    assert.same({ 2, 7 }, two)
    assert.same({}, mutations.shrink({ 1, 2 }, function() return true end))
  end)
end)

describe("hooks that keep messages back", function()
  local lab = akushu.lab { seed = "kept" }

  local function run(version, gate, message, fn, server_side)
    local client, server = lab:client { versions = version, tickets = false }, lab:server { versions = version, tickets = false }
    client, server = client:handshake { server_name = "localhost" }, server:handshake {}
    local hs = server_side and server or client
    hs:on(gate, message, fn)
    return lab:run(client, server, { data = { "a", "b" } })
  end

  local function record_types(bytes)
    local out, at = {}, 1
    while at <= #bytes do
      local kind, n = string.unpack(">BxxI2", bytes, at)
      out[#out + 1] = kind .. ":" .. n
      at = at + 5 + n
    end
    return out
  end

  it("delay sends a message after the next one", function()
    local t = run("1.2", "send", "certificate", function(_, ev) ev:delay() end, true)
    local kinds = {}
    for _, m in ipairs(t:all("message", nil, "client")) do
      if m.received then kinds[#kinds + 1] = m.name end
    end
    assert.equal("server_hello", kinds[1])
    assert.equal("unexpected_message", t.client.failure.alert)
    assert.matches("server_key_exchange", t.client.message)
    assert.matches("%(delayed%)", t:text(1))
  end)

  it("delay sends the last message of a flight at its end", function()
    -- TLS 1.2: nothing comes after the client's Finished: it goes out when the client waits, as it would have.
    local t = run("1.2", "send", "finished", function(_, ev) ev:delay() end)
    assert.is_true(t.ok, t.client.message)
    assert.equal("b", t.client:received())
    t = run("1.2", "send", "server_hello_done", function(_, ev) ev:delay() end, true)
    assert.is_true(t.ok, t.client.message)
    -- Two at once, and by one record; a ChangeCipherSpec comes in the clear behind the Finished that needed it.
    for _, how in ipairs { "delay", "coalesce" } do
      t = run("1.2", "send", "*", function(_, ev)
        if ev.name == "server_key_exchange" or ev.name == "server_hello_done" then ev[how](ev) end
      end, true)
      assert.is_true(t.ok, how .. ": " .. tostring(t.client.message))
    end
    t = run("1.2", "record_out", "change_cipher_spec", function(_, ev) ev:delay() end)
    assert.is_false(t.ok)
    -- TLS 1.3: the keys of the new moment are the next ones.
    t = run("1.3", "send", "finished", function(_, ev) ev:delay() end)
    assert.equal("bad_record_mac", t.server.failure.code)
    t = run("1.3", "record_out", "handshake", function(_, ev) ev:delay() end)
    assert.is_true(t.ok, t.client.message)
    -- A handshake that fails says its alert, and no more.
    local lab2 = akushu.lab { seed = "kept" }
    local hs = lab2:client { versions = "1.2" }:handshake { server_name = "localhost" }
    hs:on("send", "client_hello", function(_, ev) ev:delay() end)
    hs:on("send", "client_hello", function(_, ev) ev:fail "internal_error" end)
    assert.is_nil((hs:start()))
    assert.equal("\21\3\1\0\2\2\80", hs:pending())
  end)

  it("delay works for records, too", function()
    local t = run("1.2", "record_out", "handshake", function(_, ev)
      if ev.state == "send_server_hello" or ev.raw:byte(6) == 2 then ev:delay() end
    end, true)
    assert.equal("unexpected_message", t.client.failure.alert)
  end)

  it("fragment cuts as told, in both versions", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local t = run(version, "send", "certificate", function(_, ev) ev:fragment { 1, 0 + 2, 100 } end, true)
      assert.is_true(t.ok, t.client.message)
      assert.equal("b", t.client:received())
    end
    assert.is_true(run("1.3", "send", "*", function(_, ev)
      if ev.content_type == "handshake" then ev:fragment(1) end
    end, true).ok)
    local t = run("1.2", "send", "client_hello", function(_, ev) ev:fragment(50) end)
    assert.is_true(t.ok)
    assert.equal("22:50", record_types(t:wire "client")[1])
    assert.equal("22:50", record_types(t:wire "client")[2])
  end)

  it("fragment cuts what the hook has made of the message", function()
    local t = run("1.2", "send", "client_hello", function(msg, ev)
      msg.session_id = ("s"):rep(32)
      ev:fragment { 4, 39 }
    end)
    assert.is_true(t.ok, t.client.message)
    assert.equal(("s"):rep(32), t:find("message", "client_hello", "server").message.session_id)
    assert.same({ "22:4", "22:39" }, { table.unpack(record_types(t:wire "client"), 1, 2) })
  end)

  it("coalesce puts TLS 1.2's flight into one record", function()
    local t = run("1.2", "send", "*", function(_, ev)
      if ev.name ~= "server_hello_done" and ev.content_type == "handshake" and ev.name ~= "finished" then ev:coalesce() end
    end, true)
    assert.is_true(t.ok, t.client.message)
    local sizes = record_types(t:wire "server")
    assert.matches("^22:", sizes[1])
    assert.equal("20:1", sizes[2])
  end)

  it("are told when that is not possible", function()
    for _, case in ipairs { { "receive", "server_hello", function(_, ev) ev:delay() end },
      { "compose", "client_hello", function(_, ev) ev:fragment(1) end },
      { "send", "client_hello", function(_, ev) ev:fragment { -1 } end }, { "send", "change_cipher_spec", function(_, ev) ev:coalesce() end } } do
      local t = run("1.2", case[1], case[2], case[3])
      assert.is_truthy(t.client.failure, case[1] .. " " .. case[2])
      assert.equal("hook_failed", t.client.failure.code)
      assert.matches("ev:%a+", t.client.message)
    end
  end)
end)
