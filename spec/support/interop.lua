-- What the specs of spec/interop share: contexts for a suite or a version, one connection in either role, rows of suites, and peers that may not be there.
local akushu = require "akushu"
local busted = require "busted"
local certs = require "spec.support.certs"
local net = require "spec.support.net"
local peer_suites = require "spec.support.peer_suites"
local peers = require "spec.support.peers"
local socket = require "socket"
local testca = require "akushu.testca"

local interop = {}

-- The versions below 1.3, newest first: name, number, and OpenSSL's option.
interop.versions = { { "1.2", 0x0303, "-tls1_2" }, { "1.1", 0x0302, "-tls1_1" }, { "1.0", 0x0301, "-tls1" } }

interop.psk = { identity = "somebody", key = ("\1\2\3\4\5\6\7\8"):rep(4) }
interop.psk_hex = interop.psk.key:gsub(".", function(c) return ("%02x"):format(c:byte()) end)

-- A new table with everything that is in the given ones (nils are skipped); the last one wins.
function interop.merge(...)
  local out = {}
  for i = 1, select("#", ...) do
    for k, v in pairs((select(i, ...)) or {}) do out[k] = v end
  end
  return out
end
local merge = interop.merge

-- All words of several lists in one.
function interop.join(...)
  local out = {}
  for i = 1, select("#", ...) do
    for _, word in ipairs((select(i, ...)) or {}) do out[#out + 1] = word end
  end
  return out
end

-- Contexts of one version for an identity of spec.support.certs. Below TLS 1.2 signatures use SHA-1, which wants security level 0.
local function context_options(version, more)
  return merge({ versions = version, profile = "compatible", security_level = version < "1.2" and 0 or nil }, more)
end
function interop.client_of(id, version, more) return akushu.client(context_options(version, merge({ trust = id.trust }, more))) end
function interop.server_of(id, version, more) return akushu.server(context_options(version, merge({ identity = id.identity }, more))) end

-- What a context has to be given for a suite (a row of akushu.crypto.suites) in a version. SSL 3.0, and suites that prove nobody or encrypt nothing, are for the profile
-- "lab" alone.
function interop.options(role, suite, version, more)
  local o = { versions = version, profile = "lab", suites = { suite.name }, security_level = 0 }
  local key = peer_suites.key(suite)
  if role == "client" then
    o.min_dh_bits = 1024 -- what some servers take by themselves at the lowest security level
    if key then o.trust = certs.leaf(key).trust else o.verify = false end
  elseif key then
    o.identity = certs.leaf(key).identity
  end
  if peer_suites.needs_psk(suite) then o.psk = interop.psk end
  return merge(o, more)
end

-- A client's connection after its handshake; raises when it fails. o: options of the handshake; early: 0-RTT data.
function interop.dial(port, context, o)
  o = o or {}
  local hs = context:handshake { server_name = "localhost", session = o.session, hooks = o.hooks }
  if o.early then assert(hs:send_early(o.early)) end
  local c, message = net.client(port, hs)
  if not c then error(message, 2) end
  return c
end

-- The failure of a client's handshake that must not succeed.
function interop.refused(port, context, o)
  local c, _, failure = net.client(port, context:handshake(merge({ server_name = "localhost" }, o)))
  if c then error("the handshake succeeded", 2) end
  return failure
end

-- Sends a line and wants `answer` (the line itself by default) back.
function interop.echo(c, text, answer)
  assert(c:send(text .. "\n"))
  local line, message = c:receive_until "\n"
  if line ~= (answer or text) .. "\n" then error(("sent %q, got %s"):format(text, line and ("%q"):format(line) or message), 2) end
end

-- Bytes that a session wants sent, outside of seal and open (a KeyUpdate, a request for a certificate).
function interop.put(c, bytes) assert(c:put(assert(bytes))) end

-- Whether a server has taken early data, as it must. It looks at the age of the ticket, which is off by what messages need on their way: where that, all together, can
-- have been more than the 8 s that OpenSSL bears at least (GnuTLS and NSS: 10 s), because a machine stood still since `began`, it may refuse it, too.
function interop.takes_early(session, began)
  return session.early_data == "accepted" or session.early_data == "refused" and socket.gettime() - began > 8
end

-- Watches a connection's records from here on: the function that it returns says how many bytes the longest one held (its header not counted).
function interop.longest_record(c)
  local bytes, open = {}, c.take
  c.take = function(self, data)
    bytes[#bytes + 1] = data
    return open(self, data)
  end
  return function()
    local all, at, most = table.concat(bytes), 1, 0
    while at + 4 <= #all do
      local n = all:byte(at + 3) << 8 | all:byte(at + 4)
      most, at = math.max(most, n), at + 5 + n
    end
    return most
  end
end

-- GET over a connection whose end has to be a close_notify; lines: more lines of the request.
function interop.get(c, path, lines)
  assert(c:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n%sConnection: close\r\n\r\n"):format(path or "/", lines or "")))
  return assert(c:receive_all())
end

-- Words both ways between a server's connection and a program that sends its standard input and prints what it gets.
function interop.talk(c, program)
  program:write "ping from the peer\n"
  assert(c:receive_until "ping from the peer\n")
  assert(c:send "pong from akushu\n")
  assert(program:wait_log "pong from akushu", program:log())
end

-- What a test's name ends with when a short run leaves it out for this version: TLS 1.1 stands between two that are always tested.
function interop.slow(version) return version == "1.1" and " #slow" or "" end

-- The rows of a list of suites (spec.support.peer_suites) that a version has.
function interop.rows_of(list, number)
  local out = {}
  for _, row in ipairs(list) do
    if row.min <= number then out[#out + 1] = row end
  end
  return out
end

-- it("TLS 1.2: TLS_…", fn(row)) for every suite of a list in a version. One suite of each kind is tested always, the others are #slow; below
-- TLS 1.2 a short run looks at suites of CBC in TLS 1.0.
function interop.each_suite(list, v, fn, what)
  local some = {}
  for _, row in ipairs(peer_suites.some(interop.rows_of(list, v[2]))) do
    if v[1] == "1.2" or v[1] == "1.0" and row.suite.kind == "cbc" then some[row.suite.name] = true end
  end
  for _, row in ipairs(interop.rows_of(list, v[2])) do
    busted.it(("TLS %s: %s%s%s"):format(v[1], row.suite.name, what or "", some[row.suite.name] and "" or " #slow"), function() fn(row) end)
  end
end

-- What a describe needs, and has not: a program that is not installed, or an address of IPv6, "::" or "::1": there are servers that listen on one of these and nowhere
-- else, and kernels and containers that have none.
local function missing(needs)
  for _, need in ipairs(needs) do
    if need:find "^::" then
      local s = socket.tcp6()
      local bound = s and s:bind(need, 0)
      if s then s:close() end
      if not bound then return "there is no " .. need end
    elseif not peers.have(need) then
      return need .. " is not installed"
    end
  end
end

-- describe(), or a pending test that says what of its needs is missing.
function interop.describe(name, needs, fn)
  local lacks = missing(needs)
  if lacks then
    busted.describe(name, function() busted.pending(lacks) end)
    return
  end
  busted.describe(name, fn)
end

-- The alert with which a peer has refused us. OpenSSL's client says what it thinks of a TLS 1.3 server's certificate before it has turned on its keys: akushu
-- does not believe such an alert, and tells in its failure what it said.
function interop.alert_of(failure)
  return failure.code == "peer_alert" and failure.alert or failure.said
end

local dh_file
-- A file of DH parameters (ffdhe2048) for servers that have none of their own.
function interop.dh_params()
  if not dh_file then
    dh_file = peers.tmpdir() .. "/dh.pem"
    assert(os.execute("openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out " .. dh_file .. " 2>/dev/null"))
  end
  return dh_file
end

local stapling
-- An identity with OCSP responses: chain, key, ca (file names), trust, identity, and ocsp(status) → response in DER.
function interop.stapling()
  if not stapling then
    local root = testca.new { name = "stapling root" }
    local ca = root:intermediate { name = "stapling CA" } -- in the chain, where curl looks for who signed a response
    local leaf = ca:issue { names = { "localhost" } }
    stapling = {
      chain = peers.tmpfile(leaf.pem_chain, "chain.pem"), key = peers.tmpfile(leaf.pem_key, "key.pem"), ca = peers.tmpfile(root:pem(), "ca.pem"),
      trust = root:trust(), identity = leaf.identity,
      ocsp = function(status) return ca:ocsp(leaf, { status = status }) end,
    }
  end
  return stapling
end

local kilobyte = ("m"):rep(1023) .. "\n"

-- A megabyte to a peer that sends it back in capitals, 64 KiB at a time.
function interop.echo_megabyte(c)
  for _ = 1, 16 do
    assert(c:send(kilobyte:rep(64)))
    assert(assert(c:receive(65536)) == kilobyte:rep(64):upper())
  end
end

-- A megabyte to a peer that says afterwards how much it got.
function interop.send_megabyte(c) assert(c:send(kilobyte:rep(1024))) end

return interop
