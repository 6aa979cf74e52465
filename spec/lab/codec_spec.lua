-- encode(decode(b)) == b for any bytes: mutations of the messages and records of the lab's own runs, so that it holds where no recorded vectors are.
local akushu = require "akushu"
local byte_mutations = require "spec.support.byte_mutations"
local wire = akushu.wire

-- Messages with what is known of their connection, and flights of records without.
local function corpus()
  local out = {}
  local kinds = { { { versions = "1.3" } }, { { versions = "1.2" } }, { { versions = "1.3" }, { groups = { "secp256r1" } }, { groups = { "x25519", "secp256r1" },
    key_shares = { "x25519" } } }, { { versions = "1.2", profile = "classic", suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } } },
    { { versions = "1.0", profile = "lab", security_level = 0, suites = { "TLS_DHE_RSA_WITH_AES_128_CBC_SHA" } }, { key = "rsa" } }, { { versions = "1.2" },
      { client_auth = "require" }, auth = true }, { { versions = "1.3" }, { client_auth = "require" }, auth = true } }
  for i, kind in ipairs(kinds) do
    local lab = akushu.lab { seed = "codec " .. i }
    local c, s = {}, {}
    for k, v in pairs(kind[1]) do c[k], s[k] = v, v end
    for k, v in pairs(kind[2] or {}) do s[k] = v end
    for k, v in pairs(kind[3] or {}) do c[k] = v end
    if kind.auth then c.identity = lab:issue { names = { "client.example" }, purpose = "client" }.identity end
    local t = lab:run(lab:client(c), lab:server(s), { data = { "question", "answer" }, close = true })
    assert(t.ok, t.client.message or t.server.message)
    for _, e in ipairs(t:messages()) do
      if e.name ~= "change_cipher_spec" then out[#out + 1] = { bytes = e.bytes, options = e.context } end
    end
    for _, e in ipairs(t:all "wire") do out[#out + 1] = { bytes = e.bytes } end
  end
  return out
end

local function property(n, seed)
  local all, random = corpus(), byte_mutations.random(seed)
  for _ = 1, n do
    local sample = all[random(1, #all)]
    local bytes = byte_mutations.apply(sample.bytes, random, all[random(1, #all)].bytes)
    for _, options in ipairs { sample.options or false, false } do
      local node = wire.decode(bytes, options or nil)
      if wire.encode(node) ~= bytes then
        error(("seed %d: %s"):format(seed, (bytes:gsub(".", function(b) return ("%02x"):format(b:byte()) end))))
      end
    end
  end
  print(("%d mutated messages and records came back as they were (seed %d)"):format(n, seed))
end

describe("the codec", function()
  it("brings back 10,000 mutations of real messages", function() property(10000, 1) end)

  it("brings back a million of them #slow", function() property(tonumber(os.getenv "AKUSHU_MUTATIONS") or 1000000, tonumber(os.getenv "AKUSHU_SEED") or 2) end)
end)
