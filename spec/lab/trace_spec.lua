-- Traces: what is in them, their text at three levels, JSON, explain and cost.
local akushu = require "akushu"
local show = require "akushu.show"
local trace_of = require "akushu.trace".of
local crypto = akushu.crypto

local function run(options, more, hook)
  local lab = akushu.lab { seed = "trace" }
  local client, server = lab:client(options), lab:server(options)
  local hs = client:handshake { server_name = "localhost" }
  if hook then hook(hs) end
  return lab:run(hs, server, more)
end

local function names(trace, from)
  local out = {}
  for i, m in ipairs(trace:messages(from)) do out[i] = m.name end
  return table.concat(out, " ")
end

describe("a trace", function()
  it("has the messages in their order, as tables and bytes", function()
    local t = run { max_version = "1.2", tickets = false }
    assert.equal("client_hello client_key_exchange change_cipher_spec finished", names(t, "client"))
    assert.equal("server_hello certificate server_key_exchange server_hello_done change_cipher_spec finished", names(t, "server"))
    local hello = t:find("message", "server_hello")
    assert.equal(t.client.session.suite, hello.message.cipher_suite)
    assert.equal(hello.bytes, akushu.wire.encode(hello.message))
    -- what one side sent the other received
    for _, m in ipairs(t.entries) do
      if m.kind == "message" and m.received then
        local found = false
        for _, s in ipairs(t:messages(m.from)) do found = found or s.bytes == m.bytes end
        assert.is_true(found)
      end
    end
  end)

  it("has TLS 1.3's messages in the clear", function()
    local t = run { versions = "1.3" }
    assert.equal("server_hello encrypted_extensions certificate certificate_verify finished new_session_ticket new_session_ticket",
      names(t, "server"))
    assert.equal("client_hello finished", names(t, "client"))
  end)

  it("has the secrets that both sides derive, the same ones", function()
    for _, case in ipairs { { { max_version = "1.2" }, { "master_secret", "key_block", "client_verify_data", "server_verify_data" } },
      { { versions = "1.3" }, { "early_secret", "handshake_secret", "master_secret", "client_handshake_traffic_secret",
        "server_handshake_traffic_secret",
        "client_application_traffic_secret_0", "server_application_traffic_secret_0", "exporter_master_secret",
          "resumption_master_secret" } } } do
      local t = run(case[1])
      for _, name in ipairs(case[2]) do
        local mine, theirs = t:secret(name, "client"), t:secret(name, "server")
        assert.is_string(mine, name)
        assert.equal(mine, theirs)
      end
    end
  end)

  it("explains a secret of TLS 1.3, and the explanation is right", function()
    local t = run { versions = "1.3" }
    local x = t:explain "server_handshake_traffic_secret"
    assert.equal("s hs traffic", x.label)
    assert.same({ "handshake_secret" }, x.from)
    assert.same({ "client_hello", "server_hello" }, x.messages)
    local hash = crypto.digest("sha256", t:find("message", "client_hello").bytes .. t:find("message", "server_hello").bytes)
    assert.equal(hash, x.context)
    assert.equal(crypto.derive_secret("sha256", t:secret "handshake_secret", "s hs traffic", hash), x.value)
    local uses = table.concat(x.used_by, " ")
    assert.matches("write_key", uses)
    assert.matches("finished_key", uses)
    assert.matches("opening records", table.concat(t:explain "server_handshake_traffic_secret.write_key".used_by))
    assert.matches("sealing records", table.concat(t:explain("server_handshake_traffic_secret.write_key", "server").used_by))
    assert.matches("made by", tostring(x))
    local value, why = t:secret "master_secret.write_key"
    assert.is_nil(value)
    assert.equal("the trace has no master_secret.write_key", why)
    value, why = t:explain("premaster_secret", "server")
    assert.is_nil(value)
    assert.equal("the trace has no premaster_secret of the server's", why)
    assert.is_nil((t:secret "client_application_traffic_secret_9.write_iv"))
    for _, name in ipairs { "zz", "no_such_secret", "master_secret.zz", "zz.write_key", "client_early_traffic_secret_1" } do
      for _, method in ipairs { "secret", "explain" } do
        local ok, said = pcall(function() local got = t[method](t, name) return got end)
        assert.is_false(ok)
        assert.matches("^[^:]*trace_spec.lua:%d+: no secret is called '" .. name:gsub("%p", "%%%0") .. "'; there are .*, master_secret, ", said)
      end
    end
    assert.has_error(function() t:secret("master_secret", "middle") end)
  end)

  it("explains the master secret of TLS 1.2, with and without extended master secret", function()
    local t = run { max_version = "1.2" }
    local x = t:explain "master_secret"
    assert.equal("extended master secret", x.label)
    assert.equal("client_key_exchange", x.messages[#x.messages])
    t = run { max_version = "1.2", extended_master_secret = false }
    x = t:explain "master_secret"
    assert.equal("master secret", x.label)
    assert.equal(t.client.session.client_random .. t.client.session.server_random, x.context)
  end)

  it("explains a transcript with a HelloRetryRequest in it", function()
    local lab = akushu.lab {}
    local t = lab:run(lab:client { versions = "1.3", groups = { "x25519", "secp256r1" }, key_shares = { "x25519" } },
      lab:server { versions = "1.3", groups = { "secp256r1" } })
    assert.is_true(t.ok)
    assert.same({ "client_hello", "hello_retry_request", "client_hello", "server_hello" },
      t:explain("server_handshake_traffic_secret").messages)
  end)

  it("has verdicts, changed and dropped messages", function()
    local t = run({ max_version = "1.2" }, nil, function(hs)
      hs:on("compose", "client_hello", function(msg) msg.extensions:remove "session_ticket" end)
      hs:on("send", "client_key_exchange", function() return false end)
    end)
    assert.is_false(t.ok)
    local verdicts = {}
    for i, v in ipairs(t:all "verdict") do verdicts[i] = v.gate .. " " .. v.name .. " " .. v.verdict end
    assert.same({ "compose client_hello replace", "send client_key_exchange drop" }, verdicts)
    assert.is_true(t:find("message", "client_key_exchange").dropped)
    assert.equal("unexpected_message", t:find("alert").description)
    assert.equal("local", t:find("failure", nil, "server").origin)
    assert.equal("peer", t:find("failure", nil, "client").origin)
  end)

  it("has the states of both sides in their order", function()
    local t = run { max_version = "1.2", tickets = false }
    local states = {}
    for _, s in ipairs(t:all("state", nil, "client")) do states[#states + 1] = s.state end
    assert.equal("send_client_hello", states[1])
    assert.equal("done", states[#states])
    assert.matches("wait_server_hello", table.concat(states, " "))
  end)

  it("has data, close_notify and what went over the wire", function()
    local t = run({ versions = "1.3" }, { data = { "ping", "pong" }, close = true })
    local data = t:all "data"
    assert.equal("ping", data[1].bytes)
    assert.equal("client", data[1].from)
    assert.equal("pong", data[2].bytes)
    assert.equal(2, #t:all("alert", "close_notify"))
    local total = 0
    for _, w in ipairs(t:all "wire") do total = total + #w.bytes end
    assert.equal(#t:wire(), total)
  end)

  it("prints at three levels, each with more", function()
    local t = run({ versions = "1.3" }, { data = { "ping", "pong" }, close = true })
    local one, two, three = t:text(1), t:text(2), t:text(3)
    assert.equal(one, tostring(t))
    assert.is_true(#one < #two and #two < #three)
    assert.matches("client ──> server  client_hello", one)
    assert.matches("application data", one)
    assert.is_nil(one:find("handshake_secret", 1, true))
    assert.matches("client has handshake_secret", two)
    assert.matches("key_share", two)
    assert.matches("client: verify", three)
    assert.has_error(function() t:text(4) end)
  end)

  it("is JSON that says the same", function()
    local t = run({ versions = "1.3" }, { data = { "ping", "pong" }, close = true })
    local json = t:json()
    assert.equal("[{", json:sub(1, 2))
    assert.is_nil(json:find "[^\32-\126\128-\255]")
    assert.is_truthy(utf8.len(json))
    local hello = t:find("message", "client_hello")
    assert.is_truthy(json:find(show.to_hex(hello.bytes), 1, true))
    local depth, in_string, escaped = 0, false, false
    for c in json:gmatch "." do
      if in_string then
        if escaped then escaped = false elseif c == "\\" then escaped = true elseif c == '"' then in_string = false end
      elseif c == '"' then in_string = true
      elseif c == "{" or c == "[" then depth = depth + 1
      elseif c == "}" or c == "]" then depth = depth - 1 end
      assert.is_true(depth >= 0)
    end
    assert.equal(0, depth)
  end)

  it("counts the cost, public-key against symmetric, for each side", function()
    local cost = run({ max_version = "1.2" }, { data = { ("x"):rep(1000) } }):cost()
    for _, side in ipairs { "client", "server" } do
      local c = cost[side]
      assert.is_true(c.public_key.count >= 3)
      assert.is_true(c.symmetric.count >= 4)
      assert.is_true(c.sent > 100)
    end
    -- What is which kind of work, and that nothing is lost in the sums; how long it took is the machine's affair.
    local public = { key_agreement = true, key_share = true, sign = true, verify = true }
    local symmetric = { open = true, prf = true, seal = true }
    for _, side in ipairs { "client", "server" } do
      local sums = { [true] = { count = 0, bytes = 0, microseconds = 0 }, [false] = { count = 0, bytes = 0, microseconds = 0 } }
      for _, r in ipairs(cost[side]) do
        local kind = r.name:match "^[%l_]+"
        assert.is_true((r.public_key and public or symmetric)[kind], r.name)
        assert.is_true(r.microseconds >= 0, r.name)
        for name, n in pairs(sums[r.public_key]) do sums[r.public_key][name] = n + r[name] end
      end
      for name, sum in pairs { public_key = sums[true], symmetric = sums[false] } do
        assert.equal(sum.count, cost[side][name].count)
        assert.equal(sum.bytes, cost[side][name].bytes)
        assert.is_true(math.abs(sum.microseconds - cost[side][name].microseconds) < 0.001)
      end
    end
    local function row(side, name)
      for _, r in ipairs(cost[side]) do
        if r.name:find(name, 1, true) == 1 then return r end
      end
    end
    assert.equal(1, row("server", "sign").count)
    assert.is_nil(row("client", "sign"))
    assert.equal(1, row("client", "key_share x25519").count)
    assert.is_true(row("client", "seal").bytes >= 1016)
    assert.matches("public key", tostring(cost))
  end)

  it("measures what it costs", function()
    -- Until the processor's clock has moved for both kinds of work: with the first run, but for clocks that go by ticks.
    local lab = akushu.lab { seed = "clock" }
    local spent, data, runs = { public_key = 0, symmetric = 0 }, { ("x"):rep(1000000) }, 0
    repeat
      local cost = lab:run(lab:client { max_version = "1.2" }, lab:server { max_version = "1.2" }, { data = data }):cost()
      for kind, n in pairs(spent) do spent[kind] = n + cost.client[kind].microseconds end
      runs = runs + 1
    until spent.public_key > 0 and spent.symmetric > 0 or runs == 2000
    assert.is_true(spent.public_key > 0 and spent.symmetric > 0)
  end)

  it("can watch one handshake of an ordinary context, without its secrets", function()
    local testca = require "akushu.testca"
    local leaf = testca.new():issue { names = { "localhost" } }
    local client, server = akushu.client { verify = false, max_version = "1.2" }, akushu.server { identity = leaf.identity,
      max_version = "1.2" }
    local c, s = client:handshake { server_name = "localhost" }, server:handshake {}
    local t = trace_of(c)
    local out = assert(c:start())
    while not (c.done and s.done) do
      local back = assert(s:step(out))
      out = c.done and "" or assert(c:step(back))
    end
    assert.matches("^client_hello client_key_exchange", names(t, "client"))
    assert.is_nil(t:find "secret")
    assert.is_nil(t:find "operation")
  end)
end)

describe("show", function()
  it("dumps, annotates, and goes to hexadecimal and back", function()
    local lab = akushu.lab {}
    local hello = lab:client { versions = "1.3" }:handshake { server_name = "localhost" }:start()
    assert.equal(hello, show.from_hex(show.to_hex(hello)))
    assert.has_error(function() show.from_hex "abc" end)
    local text = show.annotated(hello, { what = "record" })
    assert.matches("fragment%[1%]%.random", text)
    assert.matches("0000  16 03 01", show.hex(hello))
    assert.matches("cipher_suites: ", show.message(akushu.wire.decode(hello:sub(6), { what = "message" })))
  end)

  it("writes JSON", function()
    assert.equal('{"a":[1,2],"b":"x\\"y","c":{"hex":"ff00"},"d":true}', show.json { a = { 1, 2 }, b = 'x"y', c = "\xff\0", d = true })
    local loop = {}
    loop.loop = loop
    assert.has_error(function() show.json(loop) end)
  end)
end)
