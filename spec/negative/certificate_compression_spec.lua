-- Compressed certificates that are not what they say (RFC 8879 §4, §5): every algorithm, both sides.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local pump = require "spec.support.pump"

local leaf, mine = certs.rsa(), certs.leaf("rsa", "client")

-- 100,000 zeros, compressed.
local bombs = {
  zlib = "78daedc13101000000c2a0f54f6d0d0fa0" .. ("00"):rep(95) .. "0080570386af0001",
  brotli = "5f9f86817f02201e0b04b2fc0200",
  zstd = "28b52ffda0a08601004d0000080001009c86391002",
}
local unhex = require("spec.support.vectors").from_hex

-- A handshake in which `from` ("client" or "server") sends its CompressedCertificate as change(body) makes it: the attacked end and the other.
local function run(algorithms, from, change, offers)
  local function hooks(side)
    return side == from and { { "send", "compressed_certificate", function(_, ev)
      local body = change(ev.raw:sub(5))
      return string.pack(">Bs3", 25, body)
    end } } or nil
  end
  local c = akushu.client { trust = leaf.trust, identity = mine.identity, certificate_compression = from == "client" and algorithms or offers or algorithms,
    hooks = hooks "client", versions = "1.3" }
  local s = akushu.server { identity = leaf.identity, trust = mine.trust, client_auth = "require", versions = "1.3",
    certificate_compression = from == "server" and algorithms or offers or algorithms, hooks = hooks "server" }
  local a, b = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
  if from == "client" then return b, a end
  return a, b
end

-- A body with other parts: algorithm, uncompressed_length, bytes.
local function with(change)
  return function(body)
    local algorithm, n, bytes = string.unpack(">I2I3s3", body)
    local p = { algorithm = algorithm, n = n, bytes = bytes }
    change(p)
    return string.pack(">I2I3s3", p.algorithm, p.n, p.bytes) .. (p.after or "")
  end
end

for _, algorithm in ipairs { "zlib", "brotli", "zstd" } do
  local there = akushu.supports("certificate_compression", algorithm)
  describe("certificates compressed with " .. algorithm, function()
    local bomb = unhex(bombs[algorithm])
    local rows = {
      { "with a byte after the end", function(p) p.bytes = p.bytes .. "\0" end },
      { "with another whole stream after the end", function(p) p.bytes = p.bytes .. p.bytes end },
      { "without the last byte", function(p) p.bytes = p.bytes:sub(1, -2) end },
      { "without all but the first byte", function(p) p.bytes = p.bytes:sub(1, 1) end },
      { "whose length says one more", function(p) p.n = p.n + 1 end },
      { "whose length says one less", function(p) p.n = p.n - 1 end },
      { "whose length says nothing", function(p) p.n = 0 end },
      { "whose length says more than is allowed", function(p) p.n = 65537 end },
      { "whose length says all that fits", function(p) p.n = 0xffffff end },
      { "that would be longer than they say", function(p) p.bytes, p.n = bomb, 65536 end },
      { "that would be a little longer", function(p) p.bytes, p.n = bomb, 1 end },
      { "that say so and are too long", function(p) p.bytes, p.n = bomb, 100000 end },
      { "that are noise", function(p) p.bytes = ("\xfe\xed"):rep(#p.bytes // 2) end },
      { "that are not compressed", function(p) p.bytes = ("\0"):rep(p.n) end },
      { "that are of another algorithm", function(p)
        p.bytes = unhex(bombs[algorithm == "zlib" and "zstd" or "zlib"])
        p.n = 100
      end },
      { "that are empty", function(p) p.bytes = "" end, code = "decode_error", alert = "decode_error" },
      { "with bytes after the message's end", function(p) p.after = "x" end, code = "trailing_data", alert = "decode_error" },
      { "under an algorithm that was not offered", function(p) p.algorithm = algorithm == "zlib" and 2 or 1 end, code = "illegal_parameter", alert = "illegal_parameter" },
      { "under an algorithm that is none", function(p) p.algorithm = 0xfafa end, code = "illegal_parameter", alert = "illegal_parameter" },
    }
    for _, from in ipairs { "server", "client" } do
      for _, row in ipairs(rows) do
        it(row[1] .. ", from a " .. from, function()
          if not there then pending("no library for it here") return end
          local attacked, other = run({ algorithm }, from, with(row[2]))
          assert.equal(row.code or "bad_compression", attacked.failure.code, attacked.message)
          assert.equal(row.alert or "bad_certificate", attacked.failure.alert)
          assert.equal("peer_alert", other.failure.code)
          assert.equal(row.alert or "bad_certificate", other.failure.alert)
        end)
      end

      it("is taken as it is, from a " .. from, function()
        if not there then pending("no library for it here") return end
        local a, b = run({ algorithm }, from, function(body) return body end)
        assert.is_truthy(a.session and b.session, a.message or b.message)
      end)

      -- A stream has bits that say nothing (RFC 1951 §3.2.3: those up to the next byte): with one of them changed it is the same certificate.
      it("with every byte changed is refused, or is the certificate that was sent, from a " .. from, function()
        if not there then pending("no library for it here") return end
        local n
        run({ algorithm }, from, function(body)
          n = #body
          return body
        end)
        local sent, refused = (from == "client" and mine or leaf).identity.chain, 0
        for at = 9, n, math.max(1, n // 40) do
          local a = run({ algorithm }, from, function(body) return body:sub(1, at - 1) .. string.char(body:byte(at) ~ 0x5a) .. body:sub(at + 1) end)
          if a.failure then
            refused = refused + 1
          else
            assert.equal(#sent, #a.session.peer, at)
            for i, one in ipairs(sent) do assert.equal(one.der, a.session.peer[i].der, at) end
          end
        end
        assert.is_true(refused >= 30, refused)
      end)
    end
  end)
end

it("a CompressedCertificate that nobody has asked for", function()
  for _, from in ipairs { "server", "client" } do
    local function hooks(side)
      return side == from and { { "send", "certificate", function(_, ev)
        return string.pack(">Bs3", 25, string.pack(">I2I3s3", 1, #ev.raw - 4, "x"))
      end } } or nil
    end
    local c = akushu.client { trust = leaf.trust, identity = mine.identity, hooks = hooks "client", versions = "1.3" }
    local s = akushu.server { identity = leaf.identity, trust = mine.trust, client_auth = "require", versions = "1.3", hooks = hooks "server" }
    local a, b = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
    local attacked = from == "client" and b or a
    assert.equal("unexpected_message", attacked.failure.code)
  end
end)

it("what expands to no Certificate", function()
  if not akushu.supports("certificate_compression", "zlib") then pending "no zlib" return end
  local attacked = run({ "zlib" }, "server", with(function(p)
    p.bytes, p.n = unhex "789c63606060000000040001", 4 -- four zeros: a context, and a list of nothing
  end))
  assert.equal("empty_certificate", attacked.failure.code, attacked.message)
  assert.equal("decode_error", attacked.failure.alert)
end)
