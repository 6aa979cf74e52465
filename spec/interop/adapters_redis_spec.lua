-- akushu.adapters.redis over redis-lua (Debian has it for 5.3) and a redis-server of this spec's own.
package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local peers = require "spec.support.peers"
local redis = require "akushu.adapters.redis"

interop.describe("akushu.adapters.redis", { "redis-server" }, function()
  local connect = require("redis").connect
  local id = certs.ecdsa()
  local server, client

  setup(function()
    server = peers.start_server(function(port)
      return { "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", dir = peers.tmpdir() }
    end, "eady to accept connections")
    client = connect("127.0.0.1", server.port)
  end)
  teardown(function() server:stop() end)
  before_each(function() client:flushall() end)

  -- A handshake between contexts; the client's session, and its resumption.
  local function shake(theirs, ours, resumption)
    local a, b = ours:handshake { server_name = "localhost", session = resumption }, theirs:handshake()
    local bytes = assert(a:start())
    while not (a.done and b.done) do
      bytes = assert(b:step(bytes))
      bytes = assert(a:step(bytes))
    end
    local session, other = assert(a:session()), assert(b:session())
    assert(session:open(other:seal "x"))
    return session, assert(session:resumption()), other
  end

  local function server_over(store, more)
    local o = { identity = id.identity, sessions = store.sessions }
    for k, v in pairs(more or {}) do o[k] = v end
    return akushu.server(o)
  end

  it("keeps sessions by id for several servers, as long as they live", function()
    local store = redis.new(client, { prefix = "spec:", lifetime = 100000 })
    local ours = akushu.client { trust = id.trust, versions = "1.2", tickets = false }
    local first, second = server_over(store), server_over(redis.new(connect("127.0.0.1", server.port), { prefix = "spec:" }))
    local session, resumption = shake(first, ours)
    assert.is_false(session.resumed)
    local keys = client:keys "*"
    assert.equal(1, #keys)
    assert.matches("^spec:s:%x+$", keys[1])
    local ttl = client:ttl(keys[1])
    assert.is_true(ttl > 90000 and ttl <= 100000, ttl)
    assert.is_true(shake(second, ours, resumption).resumed)
    assert.is_true(shake(first, ours, resumption).resumed)
    client:del(keys[1])
    assert.is_false(shake(first, ours, resumption).resumed)
    assert.equal(0, store.failures)
  end)

  it("forgets a session that has ended with a fatal alert", function()
    local store = redis.new(client)
    local ours = akushu.client { trust = id.trust, versions = "1.2", tickets = false }
    local _, _, other = shake(server_over(store), ours)
    assert.equal(1, #client:keys "*")
    other:alert "internal_error"
    assert.equal(0, #client:keys "*")
  end)

  it("gives a session once where it is told so", function()
    local store = redis.new(client, { single_use = true })
    store.sessions.put("\0\1\r\n", "bytes\0\r\n\255")
    assert.equal("bytes\0\r\n\255", store.sessions.get "\0\1\r\n")
    assert.is_nil(store.sessions.get "\0\1\r\n")
    local twice = redis.new(client)
    twice.sessions.put("id", "bytes")
    for _ = 1, 2 do assert.equal("bytes", twice.sessions.get "id") end
    twice.sessions.remove "id"
    assert.is_nil(twice.sessions.get "id")
  end)

  it("sees each first flight once, whoever asks", function()
    local one, other = redis.new(client, { window = 100000 }), redis.new(connect("127.0.0.1", server.port), { window = 1 })
    assert.is_true(one.on_early_data "flight")
    assert.is_false(other.on_early_data "flight")
    assert.is_false(one.on_early_data "flight")
    assert.is_true(other.on_early_data "another")
    assert.is_true(peers.wait_for(function() return one.on_early_data "another" end), "it is forgotten")
  end)

  it("lets 0-RTT data through one of two servers", function()
    local function early(store) return server_over(store, { early_data = 1000, early_data_window = 1000, on_early_data = store.on_early_data, ticket_keys = ("k"):rep(48) }) end
    local one, other = early(redis.new(client, { window = 2000 })), early(redis.new(connect("127.0.0.1", server.port), { window = 2000 }))
    local ours = akushu.client { trust = id.trust }
    local _, resumption = shake(one, ours)
    local bytes = resumption:serialize()
    local hs = ours:handshake { server_name = "localhost", session = assert(akushu.resumption(bytes)) }
    assert(hs:send_early "early")
    local flight = assert(hs:start())
    local told = {}
    for _, s in ipairs { one, other, one } do
      local theirs = s:handshake()
      assert(theirs:step(flight))
      told[#told + 1] = theirs.early_data
    end
    assert.same({ "accepted", "refused", "refused" }, told)
  end)

  it("takes a function instead of a client, which may yield", function()
    local asked = {}
    local store = redis.new(function(command, ...)
      asked[#asked + 1] = coroutine.yield(command)
      return client[command:lower()](client, ...)
    end)
    local ours, theirs = akushu.client { trust = id.trust, versions = "1.2", tickets = false }, server_over(store)
    local co = coroutine.wrap(function()
      local _, resumption = shake(theirs, ours)
      return { shake(theirs, ours, resumption).resumed }
    end)
    local got = co()
    while type(got) == "string" do got = co(got) end
    assert.same({ true }, got)
    assert.same({ "SET", "GET" }, { asked[1], asked[2] })
  end)

  it("costs the resumption and no connection when Redis is not there", function()
    local said = {}
    local gone = peers.start_server(function(port) return { "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", dir = peers.tmpdir() } end, "eady to accept")
    local store = redis.new(connect("127.0.0.1", gone.port), { on_error = function(message, command) said[#said + 1] = command .. ": " .. message end })
    local ours, theirs = akushu.client { trust = id.trust, versions = "1.2", tickets = false }, server_over(store)
    local _, resumption = shake(theirs, ours)
    gone:kill()
    assert.is_false(shake(theirs, ours, resumption).resumed)
    assert.is_false(store.on_early_data "key")
    assert.is_true(store.failures >= 3)
    assert.equal(store.failures, #said)
    assert.matches("^GET: ", said[1])
    gone:stop()
    local replies = redis.new(function() return nil, "no luck" end)
    assert.is_nil(replies.sessions.get "x")
    assert.equal(1, replies.failures)
    local other = redis.new { get = function() return nil end }
    assert.is_nil(other.sessions.get "x")
    assert.equal(0, other.failures)
    other.sessions.remove "x"
    assert.equal(1, other.failures)
  end)

  it("names what is wrong", function()
    for problem, call in pairs {
      ["redis: a client, or a function%(command, ...%) expected, got nil"] = function() redis.new() end,
      ["redis: unknown option 'prefi'; did you mean 'prefix'?"] = function() redis.new(client, { prefi = "x" }) end,
      ["redis: option 'lifetime': seconds, a whole number expected, got 1.5"] = function() redis.new(client, { lifetime = 1.5 }) end,
      ["redis: option 'window': at least one second"] = function() redis.new(client, { window = 0 }) end,
      ["redis: option 'on_error': a function expected, got boolean"] = function() redis.new(client, { on_error = true }) end,
    } do
      local ok, said = pcall(call)
      assert.is_false(ok)
      assert.matches("^%S*adapters_redis_spec.lua:%d+: " .. problem, said)
    end
  end)

  it("is not needed for Redis over TLS: redis-lua takes a connection for a socket, as docs/recipes.md says", function()
    local tls = require "akushu.adapters.socket"
    local started, s = pcall(peers.start_server, function(port)
      return { "redis-server", "--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--tls-cert-file", id.chain, "--tls-key-file", id.key, "--tls-ca-cert-file", id.ca,
        "--tls-auth-clients", "no", "--save", "", "--appendonly", "no", dir = peers.tmpdir() }
    end, "eady to accept connections")
    if not started and tostring(s):find "Bad directive" then pending "this redis-server is built without TLS" end
    assert(started, s)
    local _ <close> = s
    local conn = assert(tls.connect("localhost", s.port, akushu.client { trust = id.trust }, { timeout = 60 }))
    local over_tls = connect { socket = conn }
    assert.is_true(over_tls:ping())
    local long = ("0123456789abcdef"):rep(10000)
    assert.is_true(over_tls:set("key", long))
    assert.is_true(over_tls:get "key" == long)
    assert.is_nil(over_tls:get "nothing")
    conn:close()
  end)
end)
