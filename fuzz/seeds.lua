-- fuzz/seeds.lua DIR: a few well-formed inputs for each fuzz target, so that it need not discover TLS by itself: DIR/fuzz_NAME/….
-- They are a lab's, the same ones every time.
package.path = "./?.lua;" .. package.path
local akushu = require "akushu"
local pump = require "spec.support.pump"
local dir = assert(arg[1], "where to?")

local count = 0
local function seed(target, bytes)
  count = count + 1
  local path = ("%s/%s"):format(dir, target)
  if count == 1 or not io.open(path .. "/.", "r") then assert(os.execute("mkdir -p '" .. path .. "'")) end
  local file = assert(io.open(("%s/seed-%d"):format(path, count), "wb"))
  assert(file:write(bytes))
  assert(file:close())
end

local lab = akushu.lab { seed = "seeds" }
local now, year = lab:now(), 365 * 86400

-- Options of a certificate, with a key and dates of the lab's.
local function dated(o)
  o.key, o.not_before, o.not_after = lab:key "ed25519", now - 86400, now + 10 * year
  return o
end

local function crl(ca, o)
  for _, entry in ipairs(o.revoked or {}) do entry.time = now - 3600 end
  o.this_update, o.next_update = now - 3600, now + year
  return ca:crl(o)
end

local function ocsp(ca, certificate, o)
  for _, answer in ipairs { o, table.unpack(o.more or {}) } do answer.this_update, answer.next_update, answer.revoked_at = now - 60, now + year, now - 3600 end
  o.produced_at = now - 60
  return ca:ocsp(certificate, o)
end

-- fuzz_x509: the first byte chooses the reader.
local ca = akushu.testca.new(dated { name = "seed root" })
local leaf = ca:issue(dated {
  names = { "localhost", "192.0.2.1", "::1", "email:a@example.com", "URI:https://example.com/" }, must_staple = true,
  crl_urls = { "http://example.com/crl" }, ocsp_urls = { "http://example.com/ocsp" }, policies = { "any", "2.23.140.1.2.1" },
})
local constrained = ca:intermediate(dated { name_constraints = { permitted = { "example.com", "10.0.0.0/8" }, excluded = { "bad.example.com" } } })
local others = {} -- the same with keys of other kinds
for i, kind in ipairs { "ec:secp256r1", "rsa:2048" } do
  local o = dated { names = { "localhost" } }
  o.key = lab:key(kind)
  others[i] = ca:issue(o)
end
for _, certificate in ipairs { ca.certificate, leaf.certificate, constrained.certificate, others[1].certificate, others[2].certificate } do
  seed("fuzz_x509", "\0" .. certificate.der)
  seed("fuzz_x509", "\2" .. certificate.pem)
  seed("fuzz_x509", "\4" .. certificate.spki)
end
seed("fuzz_x509", "\3" .. crl(ca, { revoked = { { certificate = leaf } } }))
seed("fuzz_x509", "\5" .. ocsp(ca, leaf, { status = "good" }))
local below = constrained:issue(dated { names = { "localhost", "www.example.com" }, policies = { "2.23.140.1.2.1" } })
seed("fuzz_x509", table.concat { "\1", below.der, constrained.der, ca.der, crl(constrained, { revoked = { { certificate = below } } }), crl(ca, { number = 2 }),
  crl(ca, { number = 3, delta = 2, revoked = { { certificate = constrained } } }), ocsp(constrained, below, { more = { { status = "revoked" } } }) })

-- fuzz_handshake: mode, size of pieces, profile; then what a peer said in a real connection. fuzz_deframe: the same streams.
-- fuzz_resumption: what the client kept.
for profile, o in ipairs {
  { profile = "classic", key = "rsa", max_version = "1.2" }, { profile = "modern" }, { profile = "compatible", max_version = "1.2" },
} do
  local client = lab:client { profile = o.profile, max_version = o.max_version, alpn = { "h2", "http/1.1" } }
  local server = lab:server { key = o.key, profile = o.profile, max_version = o.max_version, alpn = { "http/1.1" } }
  local resumption
  for _ = 1, 2 do
    local c, s = pump.run(client:handshake { server_name = "localhost", session = resumption }, server:handshake {})
    assert(c.session, c.message)
    pump.transfer(c, s, "hello")
    pump.transfer(s, c, "hello to you")
    resumption = c.session:resumption()
    local from_client, from_server = table.concat(c.sent), table.concat(s.sent)
    seed("fuzz_handshake", string.char(0, 0, profile - 1) .. from_client)
    seed("fuzz_handshake", string.char(1, 0, profile - 1) .. from_server)
    seed("fuzz_handshake", string.char(2, 0, profile - 1) .. "\0\20\0\1")
    seed("fuzz_deframe", "\7" .. from_client)
    seed("fuzz_deframe", "\0" .. from_server)
    if resumption then seed("fuzz_resumption", resumption:serialize()) end
  end
end
print(("%s: %d seeds"):format(dir, count))
