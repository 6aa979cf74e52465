-- A lab whose randomness comes from a function: what it is asked, what it may answer, and what it cannot break.
local akushu = require "akushu"

-- n bytes that differ from call to call, and repeat.
local function counter()
  local n = 0
  return function(_, size)
    n = n + 1
    return (string.pack(">I4", n * 2654435761 & 0xffffffff)):rep(size // 4 + 1):sub(1, size)
  end
end

-- Private values that are in range, for everything that a run needs.
local function run(random, options, more)
  local o = { random = random }
  for k, v in pairs(more or {}) do o[k] = v end
  local made = akushu.lab { seed = "identity" } -- whose keys are made once
  local leaf = made:issue { names = { "localhost" }, key = "ecdsa" }
  local lab = akushu.lab(o)
  local server, client = { identity = leaf.identity }, { trust = made:trust() }
  for k, v in pairs(options or {}) do server[k], client[k] = v, v end
  return lab:run(lab:client(client), lab:server(server), { data = { "question", "answer" } }), lab
end

describe("a lab with a function for its randomness", function()
  it("asks it for every purpose with the number of bytes, and repeats when it does", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local asked = {}
      local count = counter()
      local t = run(function(purpose, n)
        asked[purpose] = n
        return count(purpose, n)
      end, { versions = version, groups = { "x25519", "secp256r1" } })
      assert.is_true(t.ok, t.client.message or t.server.message)
      assert.equal("answer", t.client:received())
      assert.equal(32, asked.client_random)
      assert.equal(32, asked.server_random)
      assert.equal(32, asked.key_share)
      assert.is_nil(asked.blinding)
      local again = run(counter(), { versions = version, groups = { "x25519", "secp256r1" } })
      assert.equal(t:wire(), again:wire())
      assert.is_true(t:find("random", "client_random").bytes ~= t:find("random", "server_random").bytes)
    end
  end)

  it("takes given values first, then the function, then the seed", function()
    local lab = akushu.lab { seed = "s", values = { client_random = ("v"):rep(32) }, random = function(purpose, n)
      if purpose == "client_random" then return ("f"):rep(n) end
    end }
    assert.equal(("v"):rep(32), lab:random("client_random", 32))
    assert.equal(("f"):rep(32), lab:random("client_random", 32))
    assert.equal(akushu.lab { seed = "s" }:random("server_random", 32), lab:random("server_random", 32))
    lab:give("client_random", "half")
    assert.equal("halfffff", lab:random("client_random", 8))
    assert.equal(("f"):rep(8), lab:again():random("server_random", 0) .. (function()
      local l = lab:again()
      l:random("client_random", 36)
      return l:random("client_random", 8)
    end)())
  end)

  local function fails(random, purpose)
    local hs = akushu.lab { random = random }:client { verify = false, versions = "1.3" }:handshake { server_name = "localhost" }
    local out, message, failure = hs:start()
    assert.is_nil(out)
    assert.equal("randomness", failure.code)
    assert.matches(purpose or "client_random", message)
    assert.is_true(hs.failed)
    return message
  end

  it("fails with `randomness` and the reason when it answers with another length, another type, or nothing", function()
    assert.matches("must return 32 bytes for client_random; it returned 31", fails(function(_, n) return ("x"):rep(n - 1) end))
    assert.matches("must return 32 bytes for client_random; it returned 33", fails(function(_, n) return ("x"):rep(n + 1) end))
    assert.matches("it returned a number", fails(function() return 1 end))
    assert.matches("it returned a boolean", fails(function() return true end))
    fails(function() end)
    assert.matches("key_share", fails(function(purpose, n) return purpose ~= "key_share" and ("x"):rep(n) or "" end, "key_share"))
  end)

  it("fails with what it raises, and cannot be left by a yield", function()
    assert.matches("my words", fails(function() error "my words" end))
    assert.matches("no string", fails(function() error {} end))
    local co = coroutine.wrap(function() return fails(function() coroutine.yield() end) end)
    assert.matches("yield", co())
  end)

  it("tells the reason wherever randomness is asked for", function()
    local bad = false
    local count = counter()
    local t, lab = run(function(purpose, n)
      if bad then error("dry: " .. purpose, 0) end
      return count(purpose, n)
    end, { versions = "1.2", suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" }, groups = { "x25519", "secp256r1" } })
    assert.is_true(t.ok, t.client.message or t.server.message)
    bad = true
    local out, message, failure = t.client.session:seal "x"
    assert.is_nil(out)
    assert.equal("randomness", failure.code)
    assert.matches("dry: cbc_iv", message)
    assert.has_error(function() lab:random("cookie", 8) end)
    assert.matches("dry: cookie", select(2, pcall(lab.random, lab, "cookie", 8)))
    assert.matches("dry: identity_key", select(2, pcall(lab.key, lab, "ed25519")))
  end)

  it("may do what it likes, but not with the lab's own objects while they work", function()
    local objects, said = {}, {}
    local other = akushu.lab { seed = "another" }
    local count = counter()
    local function random(purpose, n)
      for name, f in pairs(objects) do
        local ok, why = pcall(f)
        said[name] = not ok and why or "no error"
      end
      -- Another lab's run in the middle of this one's.
      if purpose == "cbc_iv" then assert(other:run(other:client { versions = "1.2" }, other:server { versions = "1.2" }, { data = { "in between" } }).ok) end
      collectgarbage()
      return count(purpose, n)
    end
    local made = akushu.lab { seed = "identity" }
    local leaf = made:issue { names = { "localhost" }, key = "ecdsa" }
    local lab = akushu.lab { random = random }
    local o = { versions = "1.2", suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" }, groups = { "x25519", "secp256r1" } }
    local c = { trust = made:trust() }
    local s = { identity = leaf.identity }
    for k, v in pairs(o) do c[k], s[k] = v, v end
    local hs, server = lab:client(c):handshake { server_name = "localhost" }, lab:server(s):handshake {}
    objects = { close = function() hs:close() end, step = function() hs:step "x" end, pending = function() hs:pending() end, state = function() return hs.state end,
      abort = function() hs:abort() end, leave = function() local _ <close> = hs end, provider = function() lab.provider:close() end,
      random = function() lab:random("cookie", 1) end, journal = function() lab.provider:notes() end }
    local t = lab:run(hs, server, { data = { ("long"):rep(10000), "answer" } })
    assert.is_true(t.ok, t.client.message or t.server.message)
    assert.equal(("long"):rep(10000), t.server:received())
    for name in pairs(objects) do assert.matches("while its function 'random' is asked", said[name], name) end
    local session = t.client.session
    objects = { close = function() session:close() end, seal = function() session:seal "x" end, leave = function() local _ <close> = session end }
    said = {}
    assert.equal("again", t.server.session:open(assert(session:seal "again")))
    for name in pairs(objects) do assert.matches("while its function 'random' is asked", said[name], name) end
    local peer
    objects = { protect = function() peer.write:close() end, seal = function() peer.write:seal("alert", "x") end }
    said = {}
    local data = akushu.script("client", function(p)
      peer = p
      p:engine(lab:client(c):handshake { server_name = "localhost" })
      p:send { data = "from a script" }
      return (p:expect "data")
    end, { lab = other }):run(lab:server(s):handshake {}, { app = function(plain) return plain end })
    assert.equal("from a script", data)
    for name in pairs(objects) do assert.matches("while its function 'random' is asked", said[name], name) end
  end)

  -- The operation that is under way may be another key exchange, with the same key of libcrypto's for what the peer has sent.
  it("nor with the key exchange values of a handshake that a script has taken over", function()
    local share, said
    local lab = akushu.lab { random = function(_, n)
      if share then said = select(2, pcall(share.derive, share, share:public())) end
      return ("r"):rep(n)
    end }
    local hs = lab:client { versions = "1.3", verify = false, groups = { "secp256r1" } }:handshake { server_name = "localhost" }
    assert(hs:start())
    share = assert(hs:_hand_over()).shares[1]
    lab:random("cookie", 1)
    assert.matches("while its function 'random' is asked", said)
    assert.equal(32, #share:derive(share:public()))
  end)

  it("is let go with its lab", function()
    local marks = setmetatable({}, { __mode = "k" })
    do
      local mark = {}
      marks[mark] = true
      local lab = akushu.lab { random = function(_, n) return mark and ("x"):rep(n) end }
      lab:random("cookie", 4)
      lab.provider:close()
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(marks))
  end)

  it("says which option is wrong", function()
    assert.has_error(function() akushu.lab { random = "x" } end, "akushu.lab: option 'random': a function expected, got string")
  end)
end)
