-- A recording may hold anything: authentication after the handshake, key logs that were cut off, messages that come when they make no sense. The passive peer says
-- what it could not read, and never raises.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local passive = require "akushu.passive"
local vectors = require "spec.support.vectors"

local wire = akushu.wire

-- A connection that is written down while it is held: flows, and the key log's lines.
local function held(client, server)
  local leaf, flows, lines = certs.ecdsa(), {}, {}
  client.trust, client.keylog = leaf.trust, function(line) lines[#lines + 1] = line end
  server.identity, server.trust = leaf.identity, leaf.trust
  local c, s = akushu.client(client):handshake { server_name = "localhost" }, akushu.server(server):handshake()
  assert(s:start())
  local function put(from, bytes)
    if #bytes > 0 then flows[#flows + 1] = { from = from, bytes = bytes } end
    return bytes
  end
  local out = put("client", assert(c:start()))
  while not (c.done and s.done) do
    out = assert(s:step(out))
    if not c.done then out = put("client", assert(c:step(put("server", out)))) end
  end
  local peer = { client = assert(c:session()), server = assert(s:session()) }
  local other = { client = "server", server = "client" }
  local function carry(from, bytes)
    local data, reply = assert(peer[other[from]]:open(put(from, bytes)))
    if #reply > 0 then carry(other[from], reply) end
    return data
  end
  carry("server", out)
  return { flows = flows, lines = lines, peer = peer, carry = carry, say = function(from, text) carry(from, peer[from]:seal(text)) end }
end

describe("a passive peer", function()
  local mine = certs.leaf("ecdsa", "client")

  local function authenticated(o)
    local h = held({ versions = "1.3", identity = mine.identity, post_handshake_auth = true, certificate_compression = o.compressed and { "zlib" } or nil },
      { post_handshake_auth = true, certificate_compression = o.compressed and { "zlib" } or nil })
    h.say("client", "before ")
    local requests = {}
    for i = 1, o.requests or 1 do requests[i] = h.peer.server:request_certificate() end
    h.carry("server", table.concat(requests))
    assert.equal("CN=client.example", h.peer.server.peer.certificate.subject)
    h.say("client", "after")
    h.carry("client", h.peer.client:update_keys())
    h.carry("server", h.peer.server:request_certificate())
    h.say("client", " all")
    h.say("server", "answer")
    return h
  end

  for name, o in pairs { ["after the handshake"] = {}, ["several times at once"] = { requests = 3 }, ["with a certificate that is compressed"] = { compressed = true } } do
    it("follows an authentication " .. name .. " (RFC 8446 §4.6.2)", function()
      local h = authenticated(o)
      local function right(flows)
        local p = passive.read(flows, { keylog = h.lines })
        assert.same({}, p.problems)
        assert.same({ client = true, server = true }, p.finished)
        assert.same({ client = "before after all", server = "answer" }, p.data)
      end
      right(h.flows)
      local sorted = {} -- the server's direction first
      for _, from in ipairs { "server", "client" } do
        for _, f in ipairs(h.flows) do
          if f.from == from then sorted[#sorted + 1] = f end
        end
      end
      right(sorted)
    end)
  end

  it("takes what there is of a key log that was cut off", function()
    local h = held({ versions = "1.3" }, {})
    h.say("client", "text")
    local text = table.concat(h.lines, "\n")
    local p = passive.read(h.flows, { keylog = text .. "\nCLIENT_RANDOM ab cde" })
    assert.equal("text", p.data.client)
    for n = 1, #text do passive.keylog(text:sub(1, n)) end
    assert.same({ X = { ["\xab"] = "\xcd" } }, passive.keylog "X ab cd\nX ab c\nX a cd\n# X ab cd")
  end)
end)

describe("a passive peer says, and does not raise,", function()
  local random, id = ("c"):rep(32), ("s"):rep(32)
  local function record(kind, fragment) return string.pack(">BI2s2", kind, 0x0303, fragment) end
  local hello = record(22, wire.encode { type = "client_hello", legacy_version = 0x0303, random = random, session_id = id, cipher_suites = { 5, 0xc02f },
    compression_methods = "\0" })
  local function answer(suite)
    return record(22, wire.encode { type = "server_hello", legacy_version = 0x0303, random = ("r"):rep(32), session_id = id, cipher_suite = suite, compression_method = 0 })
  end
  local keys = { keylog = ("CLIENT_RANDOM %s %s"):format(vectors.to_hex(random), ("ab"):rep(48)) }

  local function said(server, ...)
    local p = passive.read({ { from = "client", bytes = hello }, { from = "server", bytes = server } }, keys)
    assert.same({ ... }, p.problems)
  end

  it("when a session with a suite that it does not have is resumed", function()
    said(answer(5) .. record(20, "\1") .. record(22, "sealed"), "server: TLS_RSA_WITH_RC4_128_SHA is not among the suites that can be opened here",
      "server: 1 records stay closed")
  end)

  it("when keys change before there was a ServerHello, or one that can be read", function()
    said(record(20, "\1"))
    said(record(22, "\2\0\0\5short") .. record(20, "\1"), "server: server_hello could not be followed: bad argument #3 to 'unpack' (initial position out of string)")
  end)

  it("when handshake messages come without protection where there are keys", function()
    local h = held({ versions = "1.3" }, {})
    h.say("client", "text")
    local flows = { table.unpack(h.flows) }
    table.insert(flows, 3, { from = "client", bytes = record(22, "\11\0\0\0") })
    local p = passive.read(flows, { keylog = h.lines })
    assert.same({ "client: an unprotected record of the handshake after ServerHello" }, p.problems)
    assert.same({ client = true, server = true }, p.finished)
    assert.equal("text", p.data.client)

    h = held({ versions = "1.2" }, {})
    local key_exchange = h.flows[3].bytes:sub(1, 5 + string.unpack(">I2", h.flows[3].bytes, 4))
    p = passive.read({ h.flows[1], h.flows[2], { from = "client", bytes = key_exchange .. record(22, "\20\0\0\12" .. ("x"):rep(12)) } }, { keylog = h.lines })
    assert.same({}, p.problems)
    assert.same({}, p.finished)
  end)

  it("whatever records come, in whatever order", function()
    local flows, seed = {}, 1
    for _, version in ipairs { "1.2", "1.3" } do
      local h = held({ versions = version }, {})
      h.say("client", "text")
      flows[version] = { h.flows, { keylog = h.lines } }
    end
    local function random_to(n) -- the same in every run
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return (seed >> 8) % n + 1
    end
    local function disordered(bytes)
      local records, at = {}, 1
      while at + 5 <= #bytes do
        local n = string.unpack(">I2", bytes, at + 3)
        records[#records + 1] = bytes:sub(at, at + 4 + n)
        at = at + 5 + n
      end
      for _ = 1, random_to(3) do
        local i, how = random_to(#records), random_to(5)
        if how == 1 then table.insert(records, i, record(20, "\1"))
        elseif how == 2 then records[i] = record(19 + random_to(5), records[i]:sub(6))
        elseif how == 3 then table.insert(records, random_to(#records), records[i])
        elseif how == 4 then records[i] = records[i]:sub(1, 5 + random_to(#records[i])) .. "\0" .. records[i]:sub(6)
        elseif #records > 1 then table.remove(records, i) end
      end
      return table.concat(records)
    end
    for _ = 1, 150 do
      for _, version in ipairs { "1.2", "1.3" } do
        local changed = {}
        for i, f in ipairs(flows[version][1]) do changed[i] = { from = f.from, bytes = random_to(3) == 1 and disordered(f.bytes) or f.bytes } end
        local p = passive.read(changed, flows[version][2])
        assert.is_string(p.trace:text(2))
      end
    end
  end)
end)
