-- fuzz/seeds.lua DIR: a few well-formed inputs for each fuzz target, so that it need not discover TLS by itself: DIR/fuzz_NAME/….
package.path = "./?.lua;" .. package.path
local akushu = require "akushu"
local pump = require "spec.support.pump"
local testca = require "akushu.testca"
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

-- fuzz_x509: the first byte chooses the reader.
local ca = testca.new { name = "seed root" }
local leaf = ca:issue {
  names = { "localhost", "192.0.2.1", "::1", "email:a@example.com", "URI:https://example.com/" }, must_staple = true,
  crl_urls = { "http://example.com/crl" }, ocsp_urls = { "http://example.com/ocsp" }, policies = { "any", "2.23.140.1.2.1" },
}
local constrained = ca:intermediate { name_constraints = { permitted = { "example.com", "10.0.0.0/8" }, excluded = { "bad.example.com" } } }
for _, certificate in ipairs { ca.certificate, leaf.certificate, constrained.certificate } do
  seed("fuzz_x509", "\0" .. certificate.der)
  seed("fuzz_x509", "\2" .. certificate.pem)
  seed("fuzz_x509", "\4" .. certificate.spki)
end
seed("fuzz_x509", "\3" .. ca:crl { revoked = { leaf } })
seed("fuzz_x509", "\5" .. ca:ocsp(leaf, { status = "good" }))
local below = constrained:issue { names = { "localhost", "www.example.com" }, policies = { "2.23.140.1.2.1" } }
seed("fuzz_x509", table.concat { "\1", below.der, constrained.der, ca.der, constrained:crl { revoked = { below } }, ca:crl { number = 2 },
  ca:crl { number = 3, delta = 2, revoked = { constrained } }, constrained:ocsp(below, { more = { { status = "revoked" } } }) })

-- fuzz_handshake: mode, size of pieces, profile; then what a peer said in a real connection. fuzz_deframe: the same streams.
-- fuzz_resumption: what the client kept.
for profile, o in ipairs {
  { profile = "classic", key = "rsa:2048", max_version = "1.2" }, { profile = "modern" }, { profile = "compatible", max_version = "1.2" },
} do
  local root = testca.new { key = o.key }
  local identity = root:issue({ key = o.key, names = { "localhost" } }).identity
  local client = akushu.client { trust = root:trust(), profile = o.profile, max_version = o.max_version, alpn = { "h2", "http/1.1" } }
  local server = akushu.server { identity = identity, profile = o.profile, max_version = o.max_version, alpn = { "http/1.1" } }
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
