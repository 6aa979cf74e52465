-- akushu.lab: runs that repeat byte for byte, values given by purpose, a clock of its own, and nothing of it in ordinary contexts.
local akushu = require "akushu"

local kinds = {
  { name = "TLS 1.2, ECDHE-ECDSA", options = { max_version = "1.2" } },
  { name = "TLS 1.2, RSA key exchange", options = { profile = "classic", max_version = "1.2" } },
  { name = "TLS 1.2, CBC", options = { max_version = "1.2", suites = { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" } }, key = "rsa" },
  { name = "TLS 1.2, NULL cipher", options = { profile = "lab", max_version = "1.2", suites = { "TLS_RSA_WITH_NULL_SHA256" } }, key = "rsa" },
  { name = "TLS 1.2, DHE", options = { max_version = "1.2", suites = { "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256" } }, key = "rsa" },
  { name = "TLS 1.3, ECDSA", options = { versions = "1.3" } },
  { name = "TLS 1.3, RSA-PSS over P-256", options = { versions = "1.3", groups = { "secp256r1" } }, key = "rsa" },
  { name = "TLS 1.3, HelloRetryRequest", options = { versions = "1.3" }, client = { groups = { "x25519", "secp384r1" },
    key_shares = { "x25519" } },
    server = { groups = { "secp384r1" } } },
}

local function with(a, b)
  local out = {}
  for k, v in pairs(a) do out[k] = v end
  for k, v in pairs(b or {}) do out[k] = v end
  return out
end

local function run(kind, seed, more)
  local lab = akushu.lab(with({ seed = seed }, more))
  local server = with(kind.options, kind.server)
  server.key = kind.key
  return lab:run(lab:client(with(kind.options, kind.client)), lab:server(server), { data = { "question", "answer" }, close = true })
end

describe("a lab", function()
  for _, kind in ipairs(kinds) do
    it("repeats a run byte for byte: " .. kind.name, function()
      local a, b = run(kind, "one"), run(kind, "one")
      assert.is_nil(a.client.message)
      assert.is_nil(a.server.message)
      assert.is_true(a.ok)
      assert.equal("question", a.server:received())
      assert.equal("answer", a.client:received())
      assert.equal(a:wire "client", b:wire "client")
      assert.equal(a:wire "server", b:wire "server")
      assert.equal(#a.entries, #b.entries)
      local c = run(kind, "two")
      assert.is_true(c.ok)
      assert.is_true(a:wire "client" ~= c:wire "client")
      assert.is_true(a:wire "server" ~= c:wire "server")
    end)
  end

  it("hands out given values first, in their order, purpose by purpose", function()
    local lab = akushu.lab { seed = "s", values = { client_random = { ("A"):rep(32), ("B"):rep(32) } } }
    local first = lab:client { max_version = "1.2" }:handshake { server_name = "localhost" }:start()
    local second = lab:client { max_version = "1.2" }:handshake { server_name = "localhost" }:start()
    local third = lab:client { max_version = "1.2" }:handshake { server_name = "localhost" }:start()
    assert.equal(("A"):rep(32), first:sub(12, 43))
    assert.equal(("B"):rep(32), second:sub(12, 43))
    assert.is_true(third:sub(12, 43) ~= ("A"):rep(32) and third:sub(12, 43) ~= ("B"):rep(32))
    assert.equal(0, lab:left "client_random")
  end)

  it("gives one purpose what it would get whatever others ask for", function()
    local a, b = akushu.lab { seed = "s" }, akushu.lab { seed = "s" }
    a:random("key_share", 32)
    assert.equal(a:random("client_random", 32), b:random("client_random", 32))
  end)

  it("takes a function for its values", function()
    local asked = {}
    local lab = akushu.lab { values = function(purpose)
      asked[purpose] = true
      return purpose == "client_random" and ("x"):rep(32) or nil
    end }
    assert.is_true(asked.key_share and asked.pss_salt and asked.client_random)
    assert.equal(("x"):rep(32), lab:random("client_random", 32))
  end)

  it("fails closed when a value was not given and there is no seed", function()
    local lab = akushu.lab { values = { client_random = ("A"):rep(32) } }
    local client = lab:client { verify = false, versions = "1.3" } -- a key share is needed, too
    local out, message, failure = client:handshake { server_name = "localhost" }:start()
    assert.is_nil(out)
    assert.equal("randomness", failure.code)
    assert.is_string(message)
  end)

  it("cannot be used by an ordinary context", function()
    local lab = akushu.lab {}
    assert.has_error(function() akushu.client { verify = false, lab = lab } end, "akushu.client: unknown option 'lab'")
    assert.has_error(function() akushu.server { lab = lab.provider } end, "akushu.server: unknown option 'lab'")
    local seen = {}
    lab:client { verify = false }:handshake { server_name = "localhost" }:start()
    for _ = 1, 20 do
      local hello = akushu.client { verify = false }:handshake { server_name = "localhost" }:start()
      assert.is_nil(seen[hello:sub(12, 43)])
      seen[hello:sub(12, 43)] = true
    end
  end)

  it("has a clock of its own, for certificates", function()
    local lab = akushu.lab { clock = 1000000000 }
    local client, server = lab:client { max_version = "1.2" }, lab:server { max_version = "1.2" }
    assert.is_true(lab:run(client, server).ok)
    lab:advance(11 * 365 * 86400)
    local trace = lab:run(client, server)
    assert.is_false(trace.ok)
    assert.equal("certificate_expired", trace.client.failure.code)
    assert.equal(1000000000 + 11 * 365 * 86400, lab:now())
  end)

  it("has a clock of its own, for sessions", function()
    for _, versions in ipairs { "1.2", "1.3" } do
      local lab = akushu.lab { seed = versions }
      local client, server = lab:client { versions = versions, reuse_tickets = true }, lab:server { versions = versions,
        session_lifetime = 100 }
      local first = lab:run(client, server)
      local session = assert(first.client.session:resumption())
      assert.is_true(lab:advance(99):run(client, server, { session = session }).client.session.resumed)
      local later = lab:advance(100000):run(client, server, { session = session })
      assert.is_true(later.ok)
      assert.is_false(later.client.session.resumed)
    end
  end)

  it("carries bytes in pieces of any size", function()
    for _, options in ipairs { { max_version = "1.2" }, { versions = "1.3" } } do
      local whole = akushu.lab { seed = "p" }
      local a = whole:run(whole:client(options), whole:server(options), { data = { "x" } })
      local pieces = akushu.lab { seed = "p" }
      local b = pieces:run(pieces:client(options), pieces:server(options), { data = { "x" }, chunk = 1 })
      assert.equal(a:wire "client", b:wire "client")
      assert.equal(a:wire "server", b:wire "server")
    end
  end)

  it("lets a script sit on the wire", function()
    local lab = akushu.lab {}
    local n = 0
    local trace = lab:run(lab:client {}, lab:server {}, { network = function(from, bytes)
      if from == "server" then
        n = n + 1
        if n == 1 then return bytes:sub(1, 20) .. string.char(bytes:byte(21) ~ 1) .. bytes:sub(22) end
      end
      return bytes
    end })
    assert.is_false(trace.ok)
    assert.is_truthy(trace.client.failure)
  end)

  it("makes keys and identities of its own randomness", function()
    local a, b = akushu.lab { seed = "k" }, akushu.lab { seed = "k" }
    for _, spec in ipairs { "ec:secp256r1", "ed25519", "rsa:1024" } do
      assert.equal(a:key(spec):reveal "der", b:key(spec):reveal "der")
    end
    assert.equal(a:issue { names = { "x.example" } }.certificate.der, b:issue { names = { "x.example" } }.certificate.der)
  end)

  it("takes a whole number for a seed, which stands for its digits", function()
    local function wire(seed)
      local lab = akushu.lab { seed = seed }
      return (lab:run(lab:client {}, lab:server {}):wire())
    end
    assert.equal(wire "42", wire(42))
    assert.equal(wire "42", wire(42.0))
    assert.is_not.equal(wire(42), wire(43))
    local lab = akushu.lab { seed = -1 }
    local trace = lab:run(lab:client {}, lab:server {})
    local function list(seed)
      local out = {}
      for i, m in ipairs(trace:mutations({ "drop", "bitflip" }, { count = 5, seed = seed })) do out[i] = tostring(m) end
      return table.concat(out, "\n")
    end
    assert.equal(list "7", list(7))
    assert.has_error(function() trace:mutations({ "drop" }, { seed = true }) end)
  end)

  it("says which option is wrong", function()
    assert.has_error(function() akushu.lab { sed = "x" } end, "akushu.lab: unknown option 'sed'; did you mean 'seed'?")
    assert.has_error(function() akushu.lab { seed = 1.5 } end, "akushu.lab: option 'seed': a string or a whole number expected, got 1.5")
    assert.has_error(function() akushu.lab { seed = {} } end, "akushu.lab: option 'seed': a string or a whole number expected, got table")
    assert.has_error(function() akushu.lab { values = 1 } end, "akushu.lab: option 'values': a table or a function expected, got 1")
    assert.has_error(function() akushu.lab { values = { nonsense = "x" } } end)
    local lab = akushu.lab {}
    assert.has_error(function() lab:run(lab:client {}, lab:server {}, { dat = 1 }) end, "lab:run: unknown option 'dat'; did you mean 'data'?")
    assert.has_error(function() lab:run(lab:server {}, lab:client {}) end)
  end)
end)
