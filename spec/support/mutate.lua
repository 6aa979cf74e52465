-- One thing wrong in an otherwise correct handshake: setups, attacks, and what must come of them.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local luassert = require "luassert"
local pump = require "spec.support.pump"
local merge = require "spec.support.merge"

local mutate = {}

local wire = akushu.wire

-- ---- setups ----------------------------------------------------------------------------------------------------------------

-- The groups are named, so that a libcrypto with ML-KEM, whose hybrids would come first, changes nothing here.
local tls13 = { versions = "1.3", groups = { "x25519", "secp256r1", "x448", "secp384r1", "secp521r1", "ffdhe2048", "ffdhe3072" } }

-- name → suite, kind of the server's key, what the contexts have besides.
local setups = {
  rsa = { "TLS_RSA_WITH_AES_128_GCM_SHA256", "rsa" },
  cbc = { "TLS_RSA_WITH_AES_128_CBC_SHA", "rsa", { encrypt_then_mac = false } },
  etm = { "TLS_RSA_WITH_AES_128_CBC_SHA", "rsa" },
  ecdhe = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ecdsa" },
  ecdhe_rsa = { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "rsa" },
  dhe = { "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "rsa" },
  client_auth = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ecdsa", nil, true },
  tls13 = { "TLS_AES_128_GCM_SHA256", "ecdsa", tls13 },
  tls13_rsa = { "TLS_AES_128_GCM_SHA256", "rsa", tls13 },
  tls13_client_auth = { "TLS_AES_128_GCM_SHA256", "ecdsa", tls13, true },
}
mutate.setups = setups

local kept = {}

-- mutate.contexts(setup [, client options [, server options]]) → client, server. Sessions go by ids here: tickets are off unless asked for.
function mutate.contexts(name, client, server)
  local cacheable = not client and not server
  if cacheable and kept[name] then return kept[name][1], kept[name][2] end
  local setup = assert(setups[name], name)
  local leaf = certs.leaf(setup[2])
  local base = merge({ suites = { setup[1] }, versions = "1.2", tickets = false }, setup[3] or {})
  local c = merge(base, { trust = leaf.trust })
  local s = merge(base, { identity = leaf.identity })
  if setup[4] then
    local mine = certs.leaf("ecdsa", "client")
    c.identity, s.trust, s.client_auth = mine.identity, mine.trust, "require"
  end
  local made = { akushu.client(merge(c, client or {})), akushu.server(merge(s, server or {})) }
  if cacheable then kept[name] = made end
  return made[1], made[2]
end

-- mutate.handshakes(setup [, client options [, server options [, handshake options]]]) → client handshake, server handshake
function mutate.handshakes(name, client, server, options)
  local c, s = mutate.contexts(name, client, server)
  return c:handshake(merge({ server_name = "localhost" }, options or {})), s:handshake()
end

-- A session of this setup that can be resumed, and the contexts that know it.
function mutate.session(name, client, server)
  local c, s = mutate.contexts(name, client, server)
  local one = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
  assert(one.session, one.message)
  return assert(one.session:resumption()), c, s
end

-- ---- small tools --------------------------------------------------------------------------------------------------------------

function mutate.record(content_type, fragment, version)
  return string.pack(">BI2s2", content_type, version or 0x0303, fragment)
end

-- A handshake message from its type (name or number) and body.
function mutate.message(kind, body)
  local number = type(kind) == "number" and kind or assert(wire.number("handshake_types", kind), kind)
  return string.char(number) .. string.pack(">I3", #body) .. body
end

-- The message with another body: its header says the new length.
function mutate.body(message, body)
  return message:sub(1, 1) .. string.pack(">I3", #body) .. body
end

function mutate.flip(bytes, at, mask)
  return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ (mask or 1)) .. bytes:sub(at + 1)
end

-- The extension of this type in a hello, and its place.
function mutate.extension(hello, kind)
  for i, e in ipairs(hello.extensions or {}) do
    if e.type == kind then return e, i end
  end
end

-- Without the extensions of these types.
function mutate.without(hello, ...)
  for _, kind in ipairs { ... } do
    local _, at = mutate.extension(hello, kind)
    if at then table.remove(hello.extensions, at) end
  end
end

-- Puts an extension into a hello in place of its like, or at the end. data: a table or bytes.
function mutate.with(hello, kind, data)
  mutate.without(hello, kind)
  table.insert(hello.extensions, { type = kind, data = data })
end

-- The first ClientHello of a setup, as a record.
function mutate.client_hello(name)
  local c = mutate.contexts(name)
  return assert(c:handshake({ server_name = "localhost" }):start())
end

-- All alerts in the clear in these bytes: "fatal decode_error", …
function mutate.alerts(bytes)
  local found, at = {}, 1
  while #bytes - at >= 4 do
    local kind, _, fragment, after = string.unpack(">BI2s2", bytes, at)
    if kind == 21 and #fragment == 2 then
      local level, what = fragment:byte(1, 2)
      found[#found + 1] = (level == 2 and "fatal " or "warning ") .. (wire.name("alerts", what) or what)
    end
    at = after
  end
  return found
end

-- ---- attacks ----------------------------------------------------------------------------------------------------------------------

-- mutate.attack(row) → the attacked end, the attacker. row:
--   attack = "client" or "server": who is attacked        setup, client, server, handshake: see mutate.handshakes
--   message, change [, gate]: a hook on the attacker's side ("send" by default)
--   hooks: more of them, { { "client" or "server", gate, message, fn } }
--   chunk: how bytes are carried
--   early: the client's 0-RTT data
--   talk(attacker, attacked): what happens after the handshake
function mutate.attack(row)
  local hc, hs
  if row.contexts then
    hc, hs = row.contexts[1]:handshake(merge({ server_name = "localhost" }, row.handshake or {})), row.contexts[2]:handshake()
  else
    hc, hs = mutate.handshakes(row.setup or "rsa", row.client, row.server, row.handshake)
  end
  local attacker = row.attack == "server" and hc or hs
  if row.early then assert(hc:send_early(row.early)) end
  if row.change then attacker:on(row.gate or "send", row.message or "*", row.change) end
  for _, h in ipairs(row.hooks or {}) do (h[1] == "client" and hc or hs):on(h[2], h[3], h[4]) end
  local c, s = pump.run(hc, hs, { chunk = row.chunk })
  local attacked, other = s, c
  if row.attack == "client" then attacked, other = c, s end
  if row.talk then
    luassert.is_truthy(attacked.session, attacked.message)
    luassert.is_truthy(other.session, other.message)
    row.talk(other, attacked)
    pump.move(c, s, row.chunk)
  end
  return attacked, other
end

local quiet = { bad_record_mac = true, http_request = true, https_proxy_request = true } -- these say all with their name

-- Whether this end has failed as it must, and is over.
function mutate.failed_with(side, code, alert, state)
  local f = side.failure
  luassert.is_truthy(f, side.name .. " did not fail")
  luassert.equal(code, f.code, f.message)
  luassert.equal("local", f.origin)
  luassert.equal(alert, f.alert)
  luassert.is_string(f.state)
  luassert.not_equal("failed", f.state)
  luassert.not_equal("", f.state)
  if state then luassert.equal(state, f.state) end
  luassert.is_string(f.detail)
  if not quiet[code] then luassert.not_equal("", f.detail, "no detail: " .. f.message) end
  luassert.equal(side.message, f.message)
  luassert.equal(f.message, tostring(f))
  luassert.is_truthy(f.message:find(akushu.errors[code].text, 1, true), f.message)
end

-- An end that is over stays over: it answers with the same failure, sends nothing, gives no session.
function mutate.over(side)
  if side.session then
    local plain, _, f = side.session:open "\21\3\3\0\2\1\0"
    luassert.is_nil(plain)
    luassert.equal(side.failure.code, f.code)
    luassert.equal("", side.session:pending())
    return
  end
  local out, _, f = side.hs:step "\22\3\3\0\4\0\0\0\0"
  luassert.is_nil(out)
  luassert.equal(side.failure.code, f.code)
  luassert.equal("", side.hs:pending())
  local session, _, again = side.hs:session()
  luassert.is_nil(session)
  luassert.equal(side.failure.code, again.code)
  luassert.is_true(side.hs.failed)
  luassert.is_false(side.hs.done)
end

-- Runs a row and checks: the attacked end fails with row.code, its alert row.alert reaches the other, and both are over.
function mutate.expect(row)
  local attacked, other = mutate.attack(row)
  mutate.failed_with(attacked, row.code, row.alert, row.state)
  mutate.over(attacked)
  luassert.is_truthy(other.failure, "the alert did not arrive")
  luassert.equal(row.blind or "peer_alert", other.failure.code, other.failure.message)
  if not row.blind then
    luassert.equal("peer", other.failure.origin)
    luassert.equal(row.alert, other.failure.alert)
  end
  luassert.is_string(other.failure.state)
  mutate.over(other)
  return attacked, other
end

-- Bytes from nowhere: a fresh end gets row.bytes (a string, a list of strings, or a function that makes them of a ClientHello record); its
-- alert stands in what it sends.
function mutate.expect_raw(row)
  local hc, hs = mutate.handshakes(row.setup or "rsa", row.client, row.server)
  local h, sent = row.attack == "client" and hc or hs, {}
  sent[1] = assert(h:start())
  local bytes = row.bytes
  if type(bytes) == "function" then bytes = bytes(row.attack == "client" and sent[1] or assert(hc:start())) end
  if type(bytes) == "string" then bytes = { bytes } end
  local side = { name = row.attack, hs = h }
  for _, b in ipairs(bytes) do
    local out, message, failure = h:step(b)
    if not out then
      side.message, side.failure = message, failure
      sent[#sent + 1] = h:pending()
      break
    end
    sent[#sent + 1] = out
  end
  mutate.failed_with(side, row.code, row.alert, row.state)
  mutate.over(side)
  local alerts = mutate.alerts(table.concat(sent))
  luassert.same(row.alert and { "fatal " .. row.alert } or {}, alerts)
  return side
end

-- Declares a busted test for each row.
function mutate.rows(it, rows)
  for _, row in ipairs(rows) do
    it(row[1], function()
      if row.bytes then mutate.expect_raw(row) else mutate.expect(row) end
    end)
  end
end

-- The same for rows whose change may stand second; common: what each of them has unless it says otherwise.
function mutate.rows_with(it, common, rows)
  for _, row in ipairs(rows) do
    for k, v in pairs(common) do row[k] = row[k] == nil and v or row[k] end
    row.change = row.change or row[2]
  end
  mutate.rows(it, rows)
end

-- Changes of a message as a table: these fields of it; this extension of it (as mutate.with).
function mutate.set(fields)
  return function(m)
    for k, v in pairs(fields) do m[k] = v end
  end
end

function mutate.set_extension(kind, data)
  return function(m) mutate.with(m, kind, data) end
end

-- The messages of a full handshake of this setup in the order in which they are sent: { side = "client", name =, bytes = }
function mutate.messages(name, client, server, options)
  local hc, hs = mutate.handshakes(name, client, server, options)
  local list = {}
  for side, h in pairs { client = hc, server = hs } do
    h:on("send", "*", function(_, ev) list[#list + 1] = { side = side, name = ev.name, bytes = ev.raw, content_type = ev.content_type } end)
  end
  local c = pump.run(hc, hs)
  assert(c.session, c.message)
  return list
end

return mutate
