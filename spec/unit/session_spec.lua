-- The session: sealing and opening, its ends, its failures, what it tells.
local akushu = require "akushu"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local function connected(setup, client, server)
  local c, s = pump.run(mutate.handshakes(setup or "ecdhe", client, server))
  assert.is_truthy(c.session, c.message)
  assert.is_truthy(s.session, s.message)
  return c.session, s.session
end

-- nil, message, failure, as every call answers that cannot do its work.
local function fails(code, origin, value, message, failure)
  assert.is_nil(value)
  assert.is_string(message)
  assert.equal(code, failure.code, message)
  assert.equal(origin, failure.origin)
  assert.equal(message, failure.message)
  assert.is_string(failure.state == nil and "" or failure.state)
  return failure
end

local function lengths(bytes)
  local list, at = {}, 1
  while at <= #bytes do
    local kind, version, fragment, after = string.unpack(">BI2s2", bytes, at)
    assert.equal(23, kind)
    assert.is_true(version == 0x0303 or version == 0x0301)
    list[#list + 1], at = #fragment, after
  end
  return list
end

local text = ("The quick brown fox jumps over the lazy dog. "):rep(2500)

describe("sealing and opening", function()
  for _, setup in ipairs { "ecdhe", "cbc", "etm" } do
    it("any size: " .. setup, function()
      local c, s = connected(setup)
      for _, n in ipairs { 0, 1, 2, 15, 16, 17, 63, 64, 255, 256, 1000, 16383, 16384, 16385, 32768, 50000, 100000 } do
        local data = text:sub(1, n)
        local plain, reply = s:open(assert(c:seal(data)))
        assert.equal(data, plain)
        assert.equal("", reply)
        assert.equal(data, (c:open(assert(s:seal(data)))))
      end
    end)
  end

  it("nothing gives nothing", function()
    local c, s = connected()
    assert.equal("", c:seal "")
    assert.equal("", c:seal {})
    assert.equal("", (s:open ""))
  end)

  it("a megabyte in one call", function()
    local c, s = connected()
    local data = ("\0"):rep(1 << 20)
    local sealed = assert(c:seal(data))
    assert.equal(64, #lengths(sealed))
    assert.equal(data, (s:open(sealed)))
  end)

  it("cuts at 2^14, and says exactly what it must", function()
    local c = connected()
    assert.same({ 8 + 1 + 16 }, lengths(c:seal "x"))
    assert.same({ 8 + 16384 + 16 }, lengths(c:seal(text:sub(1, 16384))))
    assert.same({ 8 + 16384 + 16, 8 + 1 + 16 }, lengths(c:seal(text:sub(1, 16385))))
  end)

  it("cuts at max_fragment", function()
    local c, s = connected("ecdhe", { max_fragment = 100 })
    local sealed = c:seal(text:sub(1, 250))
    assert.same({ 124, 124, 74 }, lengths(sealed))
    assert.equal(text:sub(1, 250), (s:open(sealed)))
  end)

  it("never the same bytes twice", function()
    local c = connected()
    local seen = {}
    for _ = 1, 100 do
      local sealed = c:seal "same"
      assert.is_nil(seen[sealed])
      seen[sealed] = true
    end
  end)

  it("with TLS 1.0 and CBC puts one byte in a record of its own (BEAST)", function()
    local old = { versions = "1.0", security_level = 0 }
    local c, s = connected("cbc", old, old)
    local sealed = c:seal(text:sub(1, 100))
    assert.equal(2, #lengths(sealed))
    local first, at = string.unpack(">s2", sealed, 4)
    assert.equal("T", (s:open(sealed:sub(1, at - 1))))
    assert.equal(text:sub(2, 100), (s:open(sealed:sub(at))))
    assert.equal(32, #first)
  end)

  it("in turn in more connections than there are places for keys, whatever else is opened and closed between", function()
    local chacha = { suites = { "TLS_CHACHA20_POLY1305_SHA256" } }
    local ccm = { suites = { "TLS_AES_128_CCM_SHA256" } }
    local pairs_of = {}
    for i = 1, 40 do
      local kind = ({ { "ecdhe" }, { "cbc" }, { "etm" }, { "tls13" }, { "tls13", chacha }, { "tls13", ccm } })[i % 6 + 1]
      pairs_of[i] = { connected(kind[1], kind[2], kind[2]) }
    end
    for round = 1, 6 do
      for i, pair in ipairs(pairs_of) do
        local c, s = pair[1], pair[2]
        local data = text:sub(i * round, i * round + i * 40)
        assert.equal(data, (s:open(assert(c:seal(data)))))
        assert.equal(data, (c:open(assert(s:seal(data)))))
        if c.version == "1.3" and i % 3 == round % 3 then
          local _, reply = s:open(assert(c:update_keys(true)))
          assert.equal("", (c:open(reply)))
        end
      end
      local gone = table.remove(pairs_of, round * 5)
      gone[2]:open(gone[1]:close())
      assert.equal("peer_closed", gone[2].state)
      gone[2]:close()
      table.insert(pairs_of, round, { connected(round % 2 == 0 and "tls13" or "cbc") })
    end
  end)

  it("arrays of strings are their bytes in a row", function()
    local c, s = connected()
    local parts = { "a", "", "bc", ("d"):rep(20000) }
    local sealed = assert(c:seal(parts))
    assert.equal(table.concat(parts), (s:open { sealed:sub(1, 3), sealed:sub(4, 4), sealed:sub(5) }))
  end)

  it("anything else is a mistake", function()
    local c = connected()
    for _, value in ipairs { true, print, { true }, { {} }, { "a", 1, {} } } do
      assert.has_error(function() c:seal(value) end)
      assert.has_error(function() c:open(value) end)
    end
    assert.has_error(function() c:seal() end)
    assert.equal("open", c.state)
  end)

  it("records that come in pieces, and several at once", function()
    local c, s = connected()
    local sealed = c:seal "one" .. c:seal "two" .. c:seal(text:sub(1, 20000))
    for _, step in ipairs { 1, 3, 100, 16384 } do
      if step > 1 then sealed = c:seal "one" .. c:seal "two" .. c:seal(text:sub(1, 20000)) end
      local got = {}
      for at = 1, #sealed, step do got[#got + 1] = assert(s:open(sealed:sub(at, at + step - 1))) end
      assert.equal("onetwo" .. text:sub(1, 20000), table.concat(got))
    end
  end)

  it("both ways at once", function()
    local c, s = connected()
    local a, b = c:seal "question", s:seal "answer"
    assert.equal("answer", (c:open(b)))
    assert.equal("question", (s:open(a)))
  end)

  it("data that came with the last message of the handshake", function()
    local hc, hs = mutate.handshakes("rsa", nil, nil, { session = mutate.session "rsa" })
    hs:start()
    local finish = assert(hc:step(assert(hs:step(assert(hc:start()))))) -- an abbreviated handshake: the client ends it
    local client = hc:session()
    assert(hs:step { finish, client:seal "early ", client:seal "bird" })
    assert.is_true(hs.done)
    assert.equal("early bird", (hs:session():open ""))
  end)
end)

describe("the end of a session", function()
  it("close: close_notify, and the keys are gone", function()
    local c, s = connected()
    local bye = assert(c:close())
    assert.equal("closed", c.state)
    local f = fails("closed", "local", s:open(bye))
    assert.equal("closed", f.code)
    assert.equal("peer_closed", s.state)
    for _, call in ipairs { function() return c:seal "x" end, function() return c:open "x" end, function() return c:close() end,
      function() return c:close_write() end, function() return c:export("label", nil, 16) end, function() return c:update_keys() end,
      function() return c:alert "internal_error" end } do
      fails("closed", "local", call())
    end
    assert.equal("", c:pending())
    assert.is_true(c:eof())
  end)

  it("what the peer said before it closed is still there", function()
    local c, s = connected()
    local bytes = c:seal "last words" .. c:close()
    assert.equal("last words", (s:open(bytes)))
    fails("closed", "local", s:open "")
    fails("closed", "local", s:open "more")
    assert.is_true(s:eof())
  end)

  it("after the peer closed this side may still speak", function()
    local c, s = connected()
    fails("closed", "local", s:open(c:close_write()))
    assert.equal("write_closed", c.state)
    assert.equal("answer", (c:open(assert(s:seal "answer"))))
    fails("closed", "local", c:open(assert(s:close())))
  end)

  it("close_write: reading goes on, writing does not", function()
    local c, s = connected()
    assert.is_truthy(#c:close_write() > 0)
    assert.equal("", c:close_write())
    fails("write_closed", "local", c:seal "x")
    assert.equal("x", (c:open(s:seal "x")))
    assert.equal("", c:close()) -- close_notify was said already
  end)

  it("the transport ends without close_notify: truncated", function()
    local c, s = connected()
    c:seal "lost"
    local f = fails("truncated", "local", s:eof())
    assert.is_nil(f.alert)
    assert.equal("truncated", s.state)
    fails("truncated", "local", s:open "")
    fails("truncated", "local", s:seal "x")
    fails("truncated", "local", s:eof())
    assert.equal("", s:pending())
  end)

  it("… in the middle of a record", function()
    local c, s = connected()
    local sealed = c:seal "half"
    assert.equal("", (s:open(sealed:sub(1, 10))))
    local _, message = s:eof()
    assert.is_truthy(message:find("in the middle of a record", 1, true), message)
  end)

  it("a fatal alert of the application's", function()
    local c, s = connected()
    local bytes = assert(c:alert "internal_error")
    local f = fails("peer_alert", "peer", s:open(bytes))
    assert.equal("internal_error", f.alert)
    assert.equal("failed", s.state)
    assert.equal("failed", c.state)
    f = fails("aborted", "local", c:seal "x")
    assert.equal("internal_error", f.alert)
    assert.has_error(function() connected():alert "no such alert" end)
    assert.has_error(function() connected():alert(256) end)
  end)

  it("a fatal alert of the peer's", function()
    local c, s = connected()
    fails("peer_alert", "peer", c:open(s:alert(49)))
    assert.equal("access_denied", c.failure.alert)
    fails("peer_alert", "peer", c:seal "x")
    fails("peer_alert", "peer", c:close())
    assert.equal("", c:pending())
  end)
end)

describe("a failure", function()
  it("comes with an alert for the peer, once", function()
    local c, s = connected()
    local sealed = c:seal "data"
    local f = fails("bad_record_mac", "local", s:open(mutate.flip(sealed, #sealed)))
    assert.equal("bad_record_mac", f.alert)
    assert.equal("open", f.state)
    local alert = s:pending()
    assert.equal("", s:pending())
    fails("peer_alert", "peer", c:open(alert))
    assert.equal("bad_record_mac", c.failure.alert)
    fails("bad_record_mac", "local", s:open(sealed))
    fails("bad_record_mac", "local", s:seal "x")
    assert.equal("failed", s.state)
    assert.equal("bad_record_mac", s.failure.code)
  end)

  it("behind data in one piece: the data first, the failure with the next call", function()
    local c, s = connected()
    local good, bad = c:seal "good", c:seal "bad"
    local plain, reply = s:open(good .. mutate.flip(bad, #bad))
    assert.equal("good", plain)
    assert.is_true(#reply > 0)
    fails("peer_alert", "peer", c:open(reply))
    fails("bad_record_mac", "local", s:open "")
    assert.equal("", s:pending())
  end)

  it("gives no byte of a record that is not authentic", function()
    for _, setup in ipairs { "ecdhe", "cbc", "etm" } do
      local c, s = connected(setup)
      local sealed = c:seal(text:sub(1, 500))
      local plain = s:open(mutate.flip(sealed, #sealed - 40))
      assert.is_nil(plain)
    end
  end)

  it("does not touch another session", function()
    local c, s = connected()
    local _, other = connected()
    local sealed = c:seal "for you"
    fails("bad_record_mac", "local", other:open(sealed))
    assert.equal("for you", (s:open(sealed)))
  end)

  it("is a table that shows itself in words", function()
    local _, s = connected()
    local _, message, f = s:open "\23\3\3\255\255"
    assert.equal(message, tostring(f))
    assert.equal("akushu.Failure", getmetatable(f).__name)
    assert.equal("record_overflow", f.alert)
  end)
end)

describe("a session tells", function()
  it("what was agreed", function()
    local c, s = connected("client_auth", { alpn = { "h2" } }, { alpn = { "h2" } })
    for name, value in pairs { version = "1.2", suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", group = "x25519", alpn = "h2",
      server_name = "localhost",
      resumed = false, extended_master_secret = true, encrypt_then_mac = false, secure_renegotiation = true } do
      assert.equal(value, c[name], name)
      assert.equal(value, s[name], name)
    end
    assert.equal("client", c.role)
    assert.equal("server", s.role)
    assert.equal("ecdsa_secp256r1_sha256", c.scheme)
    assert.equal("ecdsa_secp256r1_sha256", s.scheme)
    assert.equal(32, #c.client_random)
    assert.equal(c.client_random, s.client_random)
    assert.equal(c.server_random, s.server_random)
    assert.equal(c.session_id, s.session_id)
    for _, name in ipairs { "client_finished", "server_finished" } do
      assert.equal(c[name], s[name])
      assert.equal(c.version == "1.3" and 32 or 12, #c[name])
    end
    assert.equal(2, #c.peer)
    assert.equal(c.peer[1], c.peer.certificate)
    assert.equal("ok", c.report.verdict)
    assert.equal("ok", s.report.verdict)
    assert.is_nil(c.nonsense)
    assert.is_nil(c[1])
    assert.is_nil(c.failure)
  end)

  it("its state in words, and no secret", function()
    local c = connected()
    local shown = tostring(c)
    assert.equal("akushu.Session (client, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, open)", shown)
    c:close()
    assert.equal("akushu.Session (client, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, closed)", tostring(c))
    assert.equal("akushu.Session", getmetatable(c).__name)
  end)

  it("keying material (RFC 5705), made as the RFC says", function()
    local hc, hs = mutate.handshakes "ecdhe"
    local master
    hc:on("send", "finished", function() master = hc:secret("master"):reveal() end)
    local a, b = pump.run(hc, hs)
    local c, s = a.session, b.session
    local seed = c.client_random .. c.server_random
    for _, n in ipairs { 1, 16, 32, 33, 1000, 8160 } do
      assert.equal(akushu.crypto.prf("sha256", master, "EXPERIMENTAL test", seed, n), c:export("EXPERIMENTAL test", nil, n))
    end
    for _, context in ipairs { "", "context", ("x"):rep(65535) } do
      assert.equal(akushu.crypto.prf("sha256", master, "L", seed .. string.pack(">s2", context), 20), s:export("L", context, 20))
    end
    assert.not_equal(c:export("L", nil, 20), c:export("L", "", 20))
    assert.not_equal(c:export("L", nil, 20), c:export("M", nil, 20))
    assert.has_error(function() c:export() end)
    assert.has_error(function() c:export("L", nil, 0) end)
    assert.has_error(function() c:export("L", nil, 8161) end)
    assert.has_error(function() c:export("L", ("x"):rep(65536), 1) end)
    assert.has_error(function() c:export(("x"):rep(250), nil, 1) end)
  end)

  it("that TLS 1.2 has no KeyUpdate", function()
    local c, s = connected()
    fails("not_ready", "local", c:update_keys())
    assert.equal("x", (s:open(c:seal "x")))
  end)
end)

describe("a session that is let go", function()
  it("ends with its block, and is closed after it", function()
    local kept
    do
      local c <close> = connected()
      kept = c
      assert.is_truthy(c:seal "x")
    end
    assert.equal("closed", kept.state)
    assert.equal("1.2", kept.version)
    assert.equal("", kept:pending())
    fails("closed", "local", kept:seal "x")
    fails("closed", "local", kept:open "x")
    fails("closed", "local", kept:close())
  end)

  it("is collected", function()
    local weak = setmetatable({}, { __mode = "k" })
    for _ = 1, 20 do
      local c, s = connected "rsa"
      weak[c], weak[s] = true, true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("outlives its handshake and its contexts", function()
    local c, s
    do
      local client, server = mutate.contexts("ecdhe", {}, {})
      local a, b = pump.run(client:handshake { server_name = "localhost" }, server:handshake())
      c, s = a.session, b.session
      a.hs:close()
      client:close()
      server:close()
    end
    collectgarbage()
    collectgarbage()
    assert.equal("still here", (s:open(c:seal "still here")))
    assert.equal("ok", c.report.verdict)
  end)
end)
