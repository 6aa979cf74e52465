-- RFC 8448: the traces of five TLS 1.3 connections. First every labelled value is computed from the values before it; then the engine
-- makes each connection again, as client and as server, from the published private values, and every record and secret must be the
-- published one. The keys of §6's certificates are not published: there the records are opened and the signatures verified.
local akushu = require "akushu"
local passive = require "akushu.passive"
local rsa = require "spec.support.rsa"
local vectors = require "spec.support.vectors"
local crypto, record, wire = akushu.crypto, akushu.record, akushu.wire
local hex = vectors.to_hex

local values = vectors.rfc8448()

-- ---- the values by section -----------------------------------------------------------------------------------------------------------

-- A section's steps in order: { side, step, [name] = bytes }.
local function steps_of(section)
  local out = {}
  local last
  for _, v in ipairs(values) do
    if v.section == section then
      if not last or last.side ~= v.side or last.step ~= v.step or last.values[v.name] then
        last = { side = v.side, step = v.step, values = {}, names = {} }
        out[#out + 1] = last
      end
      last.values[v.name] = v.bytes
      last.names[#last.names + 1] = v.name
    end
  end
  return out
end

local function label_info(n, label, context)
  return string.pack(">I2s1s1", n, "tls13 " .. label, context)
end

-- §2's key.
local function published_key()
  local file = assert(io.open(vectors.rfc_folder .. "/rfc8448.txt", "rb"))
  local text = file:read "a"
  file:close()
  text = text:match "\n2%.  Private Keys\n(.-)\n3%.  Simple"
  text = text:gsub("\n[^\n]*%[Page %d+%]\n", "\n"):gsub("\nRFC 8448[^\n]*\n", "\n"):gsub("[\f\r]", "")
  local function magnitude(name) return vectors.from_hex(assert(text:match(name .. ":%s+([%x%s]+)\n"), name)) end
  return { n = magnitude "modulus %(public%)", e = magnitude "public exponent", d = magnitude "private exponent", p = magnitude "prime1",
    q = magnitude "prime2", dp = magnitude "exponent1", dq = magnitude "exponent2", qi = magnitude "coefficient" }
end

-- ---- the connection that a section shows, as this spec follows it
-- -------------------------------------------------------------------------

local Follower = {}
Follower.__index = Follower

local function follow(section, psk)
  return setmetatable({ steps = steps_of(section), section = section, psk = psk, messages = {}, private = {}, public = {}, seq = {},
    checked = 0 }, Follower)
end

function Follower:equal(expected, got, step, name)
  assert.equal(hex(expected), hex(got), ("§%s, %s, %s: %s"):format(self.section, step.side, step.step, name))
  self.checked = self.checked + 1
end

function Follower:transcript() return table.concat(self.messages) end

-- The secrets that are known so far: every PRK must be one of them, and not just any number.
function Follower:known(bytes, step)
  assert.is_true(self.secrets[bytes] ~= nil, ("§%s, %s, %s: its secret was never derived"):format(self.section, step.side, step.step))
  self.checked = self.checked + 1
end

function Follower:expand(step)
  local v = step.values
  self:known(v.PRK, step)
  local label = step.step:match '"tls13 (.-)"'
  local context = v.hash
  if label == "derived" then context = crypto.digest("sha256", "")
  elseif label == "finished" then context = ""
  elseif label ~= "resumption" then context = crypto.digest("sha256", self:transcript()) end
  if label == "c e traffic" or label == "e exp master" then context = crypto.digest("sha256", self.hello) end
  self:equal(context, v.hash, step, "hash")
  self:equal(label_info(#v.expanded, label, context), v.info, step, "info")
  local expanded = crypto.hkdf_expand_label("sha256", v.PRK, label, context, #v.expanded)
  self:equal(expanded, v.expanded, step, "expanded")
  self.secrets[expanded] = label
  if label == "finished" then
    self:equal(crypto.hmac("sha256", expanded, crypto.digest("sha256", self:transcript())), v.finished, step, "finished")
  end
end

function Follower:keys(step)
  local v = step.values
  self:known(v.PRK, step)
  for _, name in ipairs { "key", "iv" } do
    local expanded = v[name .. " expanded"]
    self:equal(label_info(#expanded, name, ""), v[name .. " info"], step, name .. " info")
    self:equal(crypto.hkdf_expand_label("sha256", v.PRK, name, "", #expanded), expanded, step, name .. " expanded")
  end
  local who = step.side
  if step.step:find "read" then who = "client" end -- "(same as server read traffic keys)", says the client afterwards
  if step.step:find "handshake" and who == "client" and
    self.early_over == false then self.next_client = v.PRK else self.seal[who] = v.PRK end
  self.seq[who] = nil
end

function Follower:extract(step)
  local v = step.values
  local which = step.step:match '"(.-)"'
  local ikm = v.IKM
  if which == "early" then self:equal(self.psk or ("\0"):rep(32), ikm, step, "IKM")
  elseif which == "master" then self:equal(("\0"):rep(32), ikm, step, "IKM")
  else
    local share = crypto.share(self.group, self.private.server)
    self:equal(assert(share:derive(self.public.client)), ikm, step, "IKM")
  end
  if v.salt then self:known(v.salt, step) end
  local secret = crypto.hkdf_extract("sha256", v.salt, ikm)
  self:equal(secret, v.secret, step, "secret")
  self.secrets[secret] = which
end

function Follower:key_pair(step)
  local v = step.values
  self.group = step.step:find "x25519" and "x25519" or "secp256r1"
  self:equal(crypto.share(self.group, v["private key"]):public(), v["public key"], step, "public key")
  self.private[step.side], self.public[step.side] = v["private key"], v["public key"]
end

function Follower:construct(step)
  local name, bytes = step.names[1], step.values[step.names[1]]
  if name == "NewSessionTicket" then return end
  if name == "ClientHello" and string.unpack(">I3", bytes, 2) ~= #bytes - 4 then return end -- without its binders: taken when it is sent
  if name == "ServerHello" and #self.messages == 1 and wire.decode(bytes, { what = "message" }).type == "hello_retry_request" then
    local hash = crypto.digest("sha256", self.messages[1])
    self.messages = { string.pack(">BI3", 254, #hash) .. hash }
  end
  self.messages[#self.messages + 1] = bytes
  if name == "ClientHello" then self.hello = bytes end
end

function Follower:binder(step)
  local v = step.values
  self:equal(crypto.digest("sha256", v["ClientHello prefix"]), v["binder hash"], step, "binder hash")
  local early = crypto.hkdf_extract("sha256", nil, self.psk)
  self:equal(crypto.derive_secret("sha256", early, "res binder"), v.PRK, step, "PRK")
  self:equal("", v.hash, step, "hash")
  self:equal(label_info(32, "finished", ""), v.info, step, "info")
  local expanded = crypto.hkdf_expand_label("sha256", v.PRK, "finished", "", 32)
  self:equal(expanded, v.expanded, step, "expanded")
  self:equal(crypto.hmac("sha256", expanded, v["binder hash"]), v.finished, step, "finished")
  self.binder_value, self.prefix = v.finished, v["ClientHello prefix"]
end

local content_of = { handshake = 22, application_data = 23, alert = 21, change_cipher_spec = 20 }

function Follower:send(step)
  local payload, complete = step.values.payload, step.values["complete record"]
  local kind = content_of[step.step:match "send (%S+) record"]
  if self.prefix and step.side == "client" and #self.messages == 0 then
    self:equal(self.prefix .. "\0\x21\x20" .. self.binder_value, payload, step, "payload")
    self.messages[1], self.hello = payload, payload
  end
  local secret = self.seal[step.side]
  if not secret or kind == 20 then
    self:equal(complete:sub(1, 3) .. string.pack(">s2", payload), complete, step, "complete record")
    return
  end
  local p = record.protect("TLS_AES_128_GCM_SHA256", 0x0304, { secret = secret, seq = self.seq[step.side] or 0 })
  self:equal(assert(p:seal(kind, payload)), complete, step, "complete record")
  self.seq[step.side] = p:seq()
  if payload == "\5\0\0\0" then -- EndOfEarlyData was the last under the early keys
    self.early_over = true
  end
end

function Follower:run()
  self.seal, self.secrets = {}, {}
  for _, step in ipairs(self.steps) do
    local s = step.step
    if s:find "^create an ephemeral" then self:key_pair(step)
    elseif s:find "^construct" then self:construct(step)
    elseif s:find "^extract" then self:extract(step)
    elseif s:find "traffic keys for" then self:keys(step)
    elseif s:find "^calculate PSK binder" then self:binder(step)
    elseif s:find "^send" then self:send(step)
    elseif step.values.expanded then self:expand(step)
    else error(("§%s: a step that is not followed: %s"):format(self.section, s)) end
  end
  return self
end

describe("RFC 8448", function()
  if not values then
    pending "the RFC is not here"
    return
  end

  local function value(section, side, step, name, nth)
    nth = nth or 1
    for _, v in ipairs(values) do
      if v.section == section and (side == nil or v.side == side) and v.step:find(step, 1, true) and v.name == name then
        nth = nth - 1
        if nth == 0 then return v.bytes end
      end
    end
    error(("§%s has no %s in %s"):format(section, name, step))
  end

  local function records_of(section, side)
    local out = {}
    for _, v in ipairs(values) do
      if v.section == section and v.side == side and v.name == "complete record" then out[#out + 1] = v.bytes end
    end
    return out
  end

  local psk = values and value("3", "server", "generate resumption secret", "expanded")

  describe("values", function()
    local total = 0
    for _, section in ipairs { "3", "4", "5", "6", "7" } do
      it("§" .. section .. ": each follows from those before it", function()
        local f = follow(section, section == "4" and psk or nil)
        if section == "4" then f.early_over = false end
        f:run()
        total = total + f.checked
        assert.is_true(f.checked > 60)
      end)
    end

    it("are at least the 310 that the RFC labels", function() assert.is_true(total >= 310) end)
  end)

  -- ---- the engine
  -- ------------------------------------------------------------------------------------------------------------------------

  local function decoded(bytes) return wire.decode(bytes, { what = "message", version = 0x0304 }) end

  -- What one implementation offers and answers and another does not: the published list, with the engine's own values in it.
  local function as_published(published)
    local want = decoded(published)
    return function(msg)
      local own = msg.extensions
      msg.extensions = want.extensions
      for _, name in ipairs { "key_share", "pre_shared_key" } do
        local mine, theirs = own:find(name), msg.extensions:find(name)
        if mine and theirs then
          if name == "key_share" then theirs.data = mine.data
          elseif mine.data.binders then theirs.data.binders = mine.data.binders end -- still open
        end
      end
      if want.cipher_suites then msg.cipher_suites = want.cipher_suites end
    end
  end

  local suites = { "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384" }
  local all_groups = { "x25519", "secp256r1", "secp384r1" }

  -- The ClientHello of §4 as it is sent; the others as they are constructed.
  local function client_hello(section, nth)
    local n = 0
    for _, v in ipairs(values) do
      if v.section == section and v.side == "client" and v.name == "payload" and v.bytes:byte() == 1 and #v.bytes > 100 then
        n = n + 1
        if n == (nth or 1) then return v.bytes end
      end
    end
  end

  local function hello_values(hello) return hello:sub(7, 38) end

  local function message(section, side, name, nth) return value(section, side, "construct", name, nth) end

  local key, published_n
  local function identity_of(section)
    local k = published_key()
    key = key or rsa.private_key(k)
    published_n = k.n
    local certificate = decoded(message(section, "server", "Certificate")).certificate_list[1]
    return akushu.identity { chain = certificate.data or certificate.cert_data, key = assert(akushu.private_key(key)) }
  end

  local function salt_of(section)
    local verify = decoded(message(section, "server", "CertificateVerify"))
    return rsa.pss_salt(verify.signature, published_n or published_key().n, "sha256")
  end

  local function client_of(lab, more)
    local o = { versions = "1.3", suites = suites, groups = all_groups, key_shares = { "x25519" }, verify = false, middlebox_compat = false,
      record_size_limit = 16385 }
    for k, v in pairs(more or {}) do o[k] = v end
    return lab:client(o)
  end

  local function server_of(lab, section, more)
    local o = { versions = "1.3", suites = suites, groups = all_groups, security_level = 0, tickets = 0, middlebox_compat = false,
      record_size_limit = 16385, schemes = { "rsa_pss_rsae_sha256" }, identity = identity_of(section) }
    for k, v in pairs(more or {}) do o[k] = v end
    return lab:server(o)
  end

  local payload = value("3", "client", "send application_data record", "payload")

  local function joined(list, from, to) return table.concat(list, "", from or 1, to or #list) end

  -- Every secret that a section labels is one of the trace's, on the side that has it.
  local function secrets_match(section, trace)
    local seen, n = {}, 0
    for _, e in ipairs(trace.entries) do
      if e.kind == "secret" then seen[e.value] = true end
    end
    for _, v in ipairs(values) do
      if v.section == section and (v.name == "expanded" or v.name == "secret" or v.name:find " expanded$") then
        assert.is_true(seen[v.bytes] ~= nil, ("§%s %s: %s is not in the trace"):format(section, v.step, v.name))
        n = n + 1
      end
    end
    return n
  end

  local function close_both(trace)
    trace.client:close()
    trace.server:close()
  end

  local function hook_hello(hs, ...)
    local n, list = 0, { ... }
    return hs:on("compose", "client_hello", function(msg)
      n = n + 1
      as_published(list[n])(msg)
    end)
  end

  local function hook_server(hs, section, server_hello)
    hs:on("compose", "server_hello", as_published(server_hello or message(section, "server", "ServerHello")))
    return hs:on("compose", "encrypted_extensions", as_published(message(section, "server", "EncryptedExtensions")))
  end

  it("§3 is made again by both sides: 1-RTT", function()
    local ticket = message("3", "server", "NewSessionTicket")
    local lab = akushu.lab { seed = "tickets", values = {
      client_random = hello_values(client_hello "3"), server_random = hello_values(message("3", "server", "ServerHello")),
      key_share = { value("3", "client", "create", "private key"), value("3", "server", "create", "private key") },
        pss_salt = salt_of "3" } }
    local client = hook_hello(client_of(lab):handshake { server_name = "server" }, client_hello "3")
    local server = hook_server(server_of(lab, "3", { tickets = 1, early_data = 1024 }):handshake {}, "3")
    server:on("compose", "new_session_ticket", function() return ticket end)
    local trace = lab:run(client, server, { data = { payload, payload } })
    assert.is_true(trace.ok)
    close_both(trace)
    assert.equal(hex(joined(records_of("3", "client"))), hex(trace:wire "client"))
    assert.equal(hex(joined(records_of("3", "server"))), hex(trace:wire "server"))
    assert.equal(23, secrets_match("3", trace))
    assert.equal(hex(message("3", "server", "CertificateVerify")), hex(trace:find("message", "certificate_verify").bytes))
  end)

  it("§4 is made again by both sides: resumption with early data", function()
    local kept = {}
    local age_add = string.pack(">I4", decoded(message("3", "server", "NewSessionTicket")).ticket_age_add)
    local store = { get = function(k) return kept[k] end, put = function(_, v) kept.last = v end, remove = function(k) kept[k] = nil end }
    local lab = akushu.lab { seed = "tickets", values = {
      client_random = { hello_values(client_hello "3"), hello_values(client_hello "4") },
      server_random = { hello_values(message("3", "server", "ServerHello")), hello_values(message("4", "server", "ServerHello")) },
      key_share = { value("3", "client", "create", "private key"), value("3", "server", "create", "private key"),
        value("4", "client", "create", "private key"), value("4", "server", "create", "private key") },
      pss_salt = salt_of "3", ticket_age_add = age_add } }
    local client_context = client_of(lab, { reuse_tickets = true })
    local server_context = server_of(lab, "3", { tickets = 1, early_data = 1024, sessions = store,
      on_early_data = function() return true end })
    local ticket = message("3", "server", "NewSessionTicket")
    local server = hook_server(server_context:handshake {}, "3"):on("compose", "new_session_ticket", function() return ticket end)
    local first = lab:run(hook_hello(client_context:handshake { server_name = "server" }, client_hello "3"), server)
    assert.is_true(first.ok)
    kept[decoded(ticket).ticket] = kept.last
    local session = assert(first.client.session:resumption())

    local client = hook_hello(client_context:handshake { server_name = "server", session = session }, client_hello "4")
    server = hook_server(server_context:handshake {}, "4")
    server:on("compose", "new_session_ticket", function() return false end)
    local early = value("4", "client", "send application_data record", "payload")
    local trace = lab:run(client, server, { early = early, data = { payload, payload } })
    assert.is_nil(trace.client.message)
    assert.is_nil(trace.server.message)
    assert.is_true(trace.ok)
    assert.equal(early, trace.server.early)
    close_both(trace)
    assert.equal(hex(joined(records_of("4", "client"))), hex(trace:wire "client"))
    assert.equal(hex(joined(records_of("4", "server"))), hex(trace:wire "server"))
    assert.is_true(secrets_match("4", trace) > 25)
    assert.equal(hex(value("4", "client", "calculate PSK binder", "finished")), hex(trace:find("message", "client_hello").bytes:sub(-32)))
  end)

  it("§5 is made again by both sides: HelloRetryRequest", function()
    local retry = message("5", "server", "ServerHello", 1)
    local server_hello = message("5", "server", "ServerHello", 2)
    local lab = akushu.lab { seed = "cookie", values = {
      client_random = hello_values(client_hello "5"), server_random = hello_values(server_hello),
      key_share = { value("5", "client", "x25519", "private key"), value("5", "client", "P-256", "private key"),
        value("5", "server", "P-256", "private key") }, pss_salt = salt_of "5" } }
    local client = hook_hello(client_of(lab):handshake { server_name = "server" }, client_hello("5", 1), client_hello("5", 2))
    local server = hook_server(server_of(lab, "5", { groups = { "secp256r1" } }):handshake {}, "5", server_hello)
    server:on("compose", "hello_retry_request", as_published(retry))
    local trace = lab:run(client, server)
    assert.is_nil(trace.client.message)
    assert.is_nil(trace.server.message)
    assert.is_true(trace.ok)
    close_both(trace)
    assert.equal(hex(joined(records_of("5", "client"))), hex(trace:wire "client"))
    assert.equal(hex(joined(records_of("5", "server"))), hex(trace:wire "server"))
    assert.equal(22, secrets_match("5", trace))
  end)

  it("§7 is made again by both sides: compatibility mode", function()
    local hello = client_hello "7"
    local lab = akushu.lab { seed = "none", values = { session_id = string.unpack("s1", hello, 39),
      client_random = hello_values(hello), server_random = hello_values(message("7", "server", "ServerHello")),
      key_share = { value("7", "client", "create", "private key"), value("7", "server", "create", "private key") },
        pss_salt = salt_of "7" } }
    local client = hook_hello(client_of(lab, { middlebox_compat = true }):handshake { server_name = "server" }, hello)
    local server = hook_server(server_of(lab, "7", { middlebox_compat = true }):handshake {}, "7")
    local trace = lab:run(client, server)
    assert.is_nil(trace.client.message)
    assert.is_nil(trace.server.message)
    close_both(trace)
    assert.equal(hex(joined(records_of("7", "client"))), hex(trace:wire "client"))
    assert.equal(hex(joined(records_of("7", "server"))), hex(trace:wire "server"))
    assert.equal(22, secrets_match("7", trace))
  end)

  it("§6 opens, and both its signatures are right: client authentication", function()
    local flows = {}
    for _, v in ipairs(values) do
      if v.section == "6" and v.name == "complete record" then flows[#flows + 1] = { from = v.side, bytes = v.bytes } end
    end
    for _, side in ipairs { "client", "server" } do
      local p = passive.read(flows, { ephemeral = value("6", side, "create", "private key") })
      assert.same({}, p.problems)
      assert.same({ client = true, server = true }, p.finished)
      local transcript = {}
      for _, m in ipairs(p.trace:messages()) do
        if m.name == "certificate_verify" then
          local chain = p.trace:all("message", "certificate", m.from)[1].message.certificate_list
          local certificate = assert(akushu.certificate(chain[1].data or chain[1].cert_data))
          local public = assert(crypto.public_key(certificate.spki))
          local signed = (" "):rep(64) .. "TLS 1.3, " .. m.from .. " CertificateVerify\0" .. crypto.digest("sha256",
            table.concat(transcript))
          assert.is_true(public:verify(m.message.algorithm, signed, m.message.signature))
        end
        transcript[#transcript + 1] = m.bytes
      end
      assert.equal(2, #p.trace:all("message", "certificate_verify"))
    end
  end)

  it("§3, §4, §5 and §7 are read by the passive peer", function()
    local sessions = {}
    for _, section in ipairs { "3", "4", "5", "7" } do
      local flows = {}
      for _, v in ipairs(values) do
        if v.section == section and v.name == "complete record" then flows[#flows + 1] = { from = v.side, bytes = v.bytes } end
      end
      local p = passive.read(flows, { sessions = sessions, ephemeral = { value(section, "server", "create", "private key") } })
      assert.same({}, p.problems)
      assert.same({ client = true, server = true }, p.finished)
      if section == "3" or section == "4" then
        assert.equal(payload, p.data.server)
        assert.equal((section == "4" and "ABCDEF" or "") .. payload, p.data.client)
      end
    end
  end)
end)
