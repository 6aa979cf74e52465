-- The record layer by itself: deframing, protection of every kind, fragmenting, and published records.
local core = require "akushu.core"
local record = core.record

local SSL3, V10, V12, V13 = 0x0300, 0x0301, 0x0303, 0x0304
local DATA, HANDSHAKE, ALERT = 23, 22, 21
local SIZES = { 0, 1, 15, 16, 17, 255, 1024, 16383, 16384 }

-- n bytes that look random and are always the same for a seed.
local function bytes(n, seed)
  local piece, state = {}, seed or 1
  for i = 1, math.min(n, 509) do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    piece[i] = string.char(state >> 16 & 0xff)
  end
  piece = table.concat(piece)
  return piece:rep(n // 509 + 1):sub(1, n)
end

local function flip(s, at, mask)
  return s:sub(1, at - 1) .. string.char(s:byte(at) ~ (mask or 1)) .. s:sub(at + 1)
end

local function with_fragment(of, fragment)
  return of:sub(1, 3) .. string.pack(">s2", fragment)
end

local function refused(code, plain, message, failure)
  assert.is_nil(plain)
  assert.is_string(message)
  assert.equal(code, failure.code)
  return failure
end

-- One suite for each cipher, with the sizes of its keys.
local AEAD12 = {
  { "TLS_RSA_WITH_AES_128_GCM_SHA256", key = 16, iv = 4 },
  { "TLS_RSA_WITH_AES_256_GCM_SHA384", key = 32, iv = 4 },
  { "TLS_RSA_WITH_AES_128_CCM", key = 16, iv = 4 },
  { "TLS_RSA_WITH_AES_256_CCM", key = 32, iv = 4 },
  { "TLS_RSA_WITH_AES_128_CCM_8", key = 16, iv = 4 },
  { "TLS_RSA_WITH_AES_256_CCM_8", key = 32, iv = 4 },
  { "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", key = 32, iv = 12 },
  { "TLS_RSA_WITH_ARIA_128_GCM_SHA256", key = 16, iv = 4 },
  { "TLS_RSA_WITH_ARIA_256_GCM_SHA384", key = 32, iv = 4 },
}
local AEAD13 = {
  { "TLS_AES_128_GCM_SHA256", secret = 32 },
  { "TLS_AES_256_GCM_SHA384", secret = 48 },
  { "TLS_CHACHA20_POLY1305_SHA256", secret = 32 },
  { "TLS_AES_128_CCM_SHA256", secret = 32 },
  { "TLS_AES_128_CCM_8_SHA256", secret = 32 },
}
local CBC = {
  { "TLS_RSA_WITH_AES_128_CBC_SHA", key = 16, mac = 20, block = 16, first = SSL3 },
  { "TLS_RSA_WITH_AES_256_CBC_SHA", key = 32, mac = 20, block = 16, first = SSL3 },
  { "TLS_RSA_WITH_AES_128_CBC_SHA256", key = 16, mac = 32, block = 16, first = V12 },
  { "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", key = 32, mac = 48, block = 16, first = V12 },
  { "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA", key = 16, mac = 20, block = 16, first = SSL3 },
  { "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA256", key = 32, mac = 32, block = 16, first = V12 },
  { "TLS_RSA_WITH_3DES_EDE_CBC_SHA", key = 24, mac = 20, block = 8, first = SSL3 },
}
local NULL = {
  { "TLS_RSA_WITH_NULL_MD5", mac = 16, first = SSL3 },
  { "TLS_RSA_WITH_NULL_SHA", mac = 20, first = SSL3 },
  { "TLS_RSA_WITH_NULL_SHA256", mac = 32, first = V12 },
}

-- Every kind of protection: a name and a function that makes its two ends.
local function kinds()
  local list = {}
  local function add(suite, version, keys, etm)
    local name = string.format("%s, %04x%s", suite, version, etm and ", encrypt-then-MAC" or "")
    list[#list + 1] = {
      name = name, suite = suite, version = version, wire = math.min(version, V12), etm = etm, chains = keys.iv and version <= V10,
      ends = function()
        local open = { open = true }
        for k, v in pairs(keys) do open[k] = v end
        return record.protect(suite, version, keys), record.protect(suite, version, open)
      end,
    }
  end
  for _, s in ipairs(AEAD12) do add(s[1], V12, { key = bytes(s.key, 2), iv = bytes(s.iv, 3) }) end
  for _, s in ipairs(AEAD13) do add(s[1], V13, { secret = bytes(s.secret, 4) }) end
  for _, s in ipairs(CBC) do
    for version = s.first, V12 do
      local iv = version <= V10 and bytes(s.block, 5) or nil
      add(s[1], version, { key = bytes(s.key, 6), mac_key = bytes(s.mac, 7), iv = iv })
      if version > SSL3 then add(s[1], version, { key = bytes(s.key, 6), mac_key = bytes(s.mac, 7), iv = iv, etm = true }, true) end
    end
  end
  for _, s in ipairs(NULL) do
    for version = s.first, V12 do add(s[1], version, { mac_key = bytes(s.mac, 8) }) end
  end
  return list
end

local KINDS = kinds()

describe("the deframer", function()
  local function all(d)
    local list = {}
    while true do
      local rec, message = d:next()
      if not rec then return list, message end
      list[#list + 1] = rec
    end
  end

  it("hands out whole records and waits for the rest of the last", function()
    local d = record.deframer()
    d:feed("\22\3\1\0\3abc\20\3\3\0\1\1\23\3\3\0\5he")
    local list = all(d)
    assert.equal(2, #list)
    assert.same({ type = 22, version = V10, fragment = "abc", bytes = "\22\3\1\0\3abc" }, list[1])
    assert.same({ type = 20, version = V12, fragment = "\1", bytes = "\20\3\3\0\1\1" }, list[2])
    assert.is_false(d:empty())
    d:feed("llo")
    list = all(d)
    assert.equal("hello", list[1].fragment)
    assert.is_true(d:empty())
  end)

  it("gives the same one byte at a time as all at once", function()
    local stream, fragments = {}, {}
    for i, n in ipairs { 0, 1, 5, 16384, 300, 16384 + 2048, 0, 7 } do
      fragments[i] = bytes(n, i)
      stream[i] = "\23\3\3" .. string.pack(">s2", fragments[i])
    end
    stream = table.concat(stream)
    for _, step in ipairs { #stream, 1, 2, 5, 6, 1000, 20000 } do
      local d, got = record.deframer(), {}
      for at = 1, #stream, step do
        d:feed(stream:sub(at, at + step - 1))
        for _, rec in ipairs(all(d)) do got[#got + 1] = rec.fragment end
        d:keep()
      end
      assert.same(fragments, got)
      assert.is_true(d:empty())
    end
  end)

  it("keeps whole records that nobody has asked for", function()
    local d = record.deframer()
    d:feed("\22\3\1\0\1a\22\3\1\0\1b\22\3\1\0\1"):keep()
    assert.equal("a", d:next().fragment)
    d:feed("c\22\3")
    assert.equal("b", d:next().fragment)
    assert.equal("c", d:next().fragment)
    assert.is_nil(d:next())
    assert.equal("\22\3", d:rest())
    assert.is_true(d:empty())
  end)

  it("gives back all bytes that were not handed out", function()
    local d = record.deframer()
    d:feed("\22\3\1\0\1a\22\3"):next()
    d:keep()
    d:feed("rest")
    assert.equal("\22\3rest", d:rest())
    assert.equal("", d:rest())
  end)

  local strangers = {
    { "GET / HTTP/1.1\r\n", "http_request" }, { "POST /", "http_request" }, { "HEAD /", "http_request" }, { "PUT /x", "http_request" },
    { "CONNECT example.com:443", "https_proxy_request" },
    { "SSH-2.0-OpenSSH", "not_tls", "protocol_version" },
    { "\128\46\1\3\1\0\21\0\0\0\16", "not_tls", "protocol_version" },
    { "\22\2\0\0\1", "wrong_record_version", "protocol_version" },
    { "\25\3\3\0\1", "invalid_record_type", "unexpected_message" },
    { "\0\3\3\0\0", "invalid_record_type", "unexpected_message" },
    { "\22\3\3\72\1", "record_too_long", "record_overflow" },
  }
  for _, row in ipairs(strangers) do
    it(("judges %q by its first five bytes: %s"):format(row[1]:sub(1, 5), row[2]), function()
      local d = record.deframer()
      for i = 1, 4 do
        assert.is_nil(d:feed(row[1]:sub(i, i)):next())
        d:keep()
      end
      d:feed(row[1]:sub(5, 5))
      local failure = refused(row[2], d:next())
      assert.equal(row[3], failure.alert)
      refused(row[2], d:next())
      refused(row[2], record.deframer():feed(row[1]):next())
    end)
  end

  it("takes any 3.x from a first record, and the connection's version from then on", function()
    local d = record.deframer { version = V12 }
    d:feed("\22\3\1\0\1a\22\3\3\0\1b\22\3\1\0\1c")
    assert.equal("a", d:next().fragment)
    assert.equal("b", d:next().fragment)
    refused("wrong_record_version", d:next())
  end)

  it("does not call garbage inside a connection HTTP", function()
    local d = record.deframer()
    d:feed("\22\3\1\0\1aGET / ")
    assert.is_table(d:next())
    refused("wrong_record_version", d:next())
  end)

  it("holds records to the length that is allowed", function()
    local d = record.deframer { max_fragment = 4 }
    d:feed("\22\3\1\0\4abcd\22\3\1\0\5")
    assert.is_table(d:next())
    refused("record_too_long", d:next())
  end)

  it("names an option that it does not know", function()
    assert.has_error(function() record.deframer { verison = 1 } end, "unknown option 'verison'")
    assert.has_error(function() record.deframer { version = "x" } end, "option 'version' must be an integer")
  end)
end)

describe("protection", function()
  it("leaves bytes as they are without keys", function()
    local x = record.protect()
    local sealed = x:seal("handshake", "abc", 0, V10)
    assert.equal("\22\3\1\0\3abc", sealed)
    local plain, type = x:open(sealed)
    assert.equal("abc", plain)
    assert.equal(HANDSHAKE, type)
    refused("plaintext_too_long", x:open(sealed, 2))
    assert.equal(0, x:seq())
  end)

  for _, kind in ipairs(KINDS) do
    describe("of " .. kind.name, function()
      it("opens what it sealed, at every size", function()
        local w, r = kind.ends()
        for i, n in ipairs(SIZES) do
          local plain = bytes(n, n + 1)
          local sealed = assert(w:seal(DATA, plain, 0, kind.wire))
          assert.equal(w:size(n), #sealed)
          assert.equal(#sealed - 5, string.unpack(">I2", sealed, 4))
          local opened, type = assert(r:open(sealed))
          assert.is_true(plain == opened, "size " .. n)
          assert.equal(DATA, type)
          assert.equal(i, w:seq())
          assert.equal(i, r:seq())
        end
      end)

      it("seals and opens records that say another version than their keys", function()
        local w, r = kind.ends()
        if kind.version == V13 then return end -- where all records say 1.2
        for _, version in ipairs { kind.wire, SSL3, V10, V12, 0x0302, 0x0305, kind.wire } do
          for _, n in ipairs { 0, 1, 100, 5000 } do
            local plain = bytes(n, version)
            local sealed = assert(w:seal(DATA, plain, 0, version))
            assert.equal(version, (string.unpack(">I2", sealed, 2)))
            assert.equal(plain, (assert(r:open(sealed))))
          end
        end
      end)

      it("refuses a record with any byte changed, in one way", function()
        local w, r = kind.ends()
        local ssl3_cbc = kind.version == SSL3 and not kind.suite:find "NULL"
        for _, plain in ipairs { "", "attack at dawn" } do
          local sealed = w:seal(ALERT, plain, 0, kind.wire)
          for at = 1, #sealed do
            local covered = at < 4 or at > 5 -- the length is what frames it
            if kind.version == SSL3 and (at == 2 or at == 3) then covered = false end -- its MAC does not cover the version
            if ssl3_cbc and at > #sealed - 16 then covered = false end -- nor does anything cover its padding: POODLE
            if covered then
              local failure = refused("bad_record_mac", r:clone():open(flip(sealed, at, 0x80)))
              assert.equal("bad_record_mac", failure.alert)
              assert.equal("local", failure.origin)
            end
          end
          assert.equal(plain, (r:open(sealed)))
        end
      end)

      it("refuses every shorter record", function()
        local w, r = kind.ends()
        local sealed = w:seal(DATA, "attack at dawn", 0, kind.wire)
        for n = 0, #sealed - 6 do
          refused("bad_record_mac", r:clone():open(with_fragment(sealed, sealed:sub(6, 5 + n))))
        end
        refused("bad_record_mac", r:clone():open(with_fragment(sealed, sealed:sub(6) .. "\0")))
      end)

      it("refuses a record that comes twice, late, or as another type", function()
        local w, r = kind.ends()
        local first, second = w:seal(DATA, "first", 0, kind.wire), w:seal(DATA, "second", 0, kind.wire)
        if not kind.chains then refused("bad_record_mac", r:clone():open(second)) end
        assert.equal("first", (r:open(first)))
        refused("bad_record_mac", r:clone():open(first))
        refused("bad_record_mac", r:clone():open(flip(second, 1)))
        assert.equal("second", (r:open(second)))
      end)

      it("judges the length of the plaintext", function()
        local w, r = kind.ends()
        assert.equal(("x"):rep(100), (r:open(w:seal(DATA, ("x"):rep(100), 0, kind.wire), 100)))
        local failure = refused("plaintext_too_long", r:open(w:seal(DATA, ("x"):rep(101), 0, kind.wire), 100))
        assert.equal("record_overflow", failure.alert)
        refused("plaintext_too_long", r:open(w:seal(DATA, ("x"):rep(16385), 0, kind.wire)))
      end)

      it("never lets its sequence number wrap", function()
        local w, r = kind.ends()
        w:seq(-2)
        assert.is_string(w:seal(DATA, "last", 0, kind.wire))
        local sealed = w:clone():seq(0) and w:seal(DATA, "none", 0, kind.wire)
        assert.is_nil(sealed)
        refused("sequence_exhausted", w:seal(DATA, "none", 0, kind.wire))
        assert.equal(0, w:limit())
        r:seq(-1)
        refused("sequence_exhausted", r:open("\23\3\3\0\64" .. bytes(64)))
      end)

      it("cuts plaintext of any length into records", function()
        for _, row in ipairs { { 0, 0 }, { 1, 0 }, { 100, 7 }, { 16385, 0 }, { 40000, 16384 }, { 50000, 1000 } } do
          for _, split in ipairs { false, true } do
            local w, r = kind.ends()
            local n, most = row[1], row[2]
            local plain = bytes(n)
            local d, got, first = record.deframer(), {}, nil
            d:feed(assert(w:seal_many(DATA, plain, most, split, kind.wire)))
            for rec in d.next, d do
              got[#got + 1] = assert(r:open(rec.bytes))
              first = first or #got[1]
              assert.is_true(#got[#got] <= (most > 0 and most or 16384))
            end
            assert.is_true(d:empty())
            assert.is_true(plain == table.concat(got))
            if split and kind.chains and n > 1 then assert.equal(1, first) end
            if not (split and kind.chains) then
              assert.equal(math.max(1, math.ceil(n / (most > 0 and most or 16384))), #got)
            end
          end
        end
      end)

      it("makes copies that go their own way", function()
        local w, r = kind.ends()
        r:open(w:seal(DATA, "one", 0, kind.wire))
        local w2, r2 = w:clone(), r:clone()
        assert.equal("two", (r2:open(w:seal(DATA, "two", 0, kind.wire)))) -- as good as what they are copies of
        assert.equal("two", (r:open(w2:seal(DATA, "two", 0, kind.wire))))
        for i = 1, 3 do
          assert.equal("a" .. i, (r:open(w:seal(DATA, "a" .. i, 0, kind.wire))))
          assert.equal("b" .. i, (r2:open(w2:seal(DATA, "b" .. i, 0, kind.wire))))
        end
      end)

      it("does not seal with keys for opening, nor open with keys for sealing", function()
        local w, r = kind.ends()
        refused("internal_error", r:seal(DATA, "x"))
        refused("internal_error", w:open("\23\3\3\0\1x"))
      end)
    end)
  end

  it("is gone after close", function()
    local w <close> = record.protect("TLS_AES_128_GCM_SHA256", V13, { secret = bytes(32) })
    w:close()
    w:close()
    assert.equal("protection (closed)", tostring(w))
    assert.has_error(function() w:seal(DATA, "x") end, "this protection is closed")
  end)

  it("names what was given wrongly", function()
    assert.has_error(function() record.protect("TLS_AES_128_GCM_SHA256", V13, { secert = "" }) end, "unknown option 'secert'")
    assert.has_error(function() record.protect("TLS_AES_128_GCM_SHA256", V13, {}) end, "option 'secret' must be a string")
    assert.has_error(function() record.protect("TLS_RSA_WITH_AES_128_GCM_SHA256", V12, { key = "short", iv = "1234" }) end,
      "keys of the wrong size for TLS_RSA_WITH_AES_128_GCM_SHA256")
    assert.has_error(function() record.protect("TLS_NO_SUCH_SUITE", V12, {}) end)
    assert.has_error(function() record.protect("TLS_AES_128_GCM_SHA256", V12, {}) end)
    assert.has_error(function() record.protect():open "\23\3\3\0\2x" end)
  end)
end)

describe("TLS 1.3 protection", function()
  local function ends()
    local secret = bytes(32)
    return record.protect("TLS_AES_128_GCM_SHA256", V13, { secret = secret }),
      record.protect("TLS_AES_128_GCM_SHA256", V13, { secret = secret, open = true })
  end

  it("hides type and length behind padding", function()
    local w, r = ends()
    for _, pad in ipairs { 0, 1, 15, 16, 255, 1000, 16384 - 5 } do
      local sealed = w:seal("alert", "\1\0abc", pad)
      assert.equal("\23\3\3", sealed:sub(1, 3))
      assert.equal(5 + 5 + 1 + pad + 16, #sealed)
      local plain, type = r:open(sealed)
      assert.equal("\1\0abc", plain)
      assert.equal(ALERT, type)
    end
    local plain, type = r:open(w:seal("handshake", "ends in zeros\0\0\0", 3))
    assert.equal("ends in zeros\0\0\0", plain)
    assert.equal(HANDSHAKE, type)
  end)

  it("counts padding towards the limit (RFC 8446 §5.4)", function()
    local w, r = ends()
    assert.equal("abc", (r:open(w:seal(DATA, "abc", 97), 100)))
    refused("plaintext_too_long", r:open(w:seal(DATA, "abc", 98), 100))
  end)

  it("refuses a record of nothing but padding", function()
    local w, r = ends()
    for _, row in ipairs { { "", 0 }, { "", 50 }, { "\0\0\0", 0 } } do
      local failure = refused("no_inner_type", r:open(w:seal(0, row[1], row[2])))
      assert.equal("unexpected_message", failure.alert)
    end
  end)

  it("says when keys want to be changed", function()
    local function limit(suite, n) return record.protect(suite, V13, { secret = bytes(n) }):limit() end
    assert.equal(1 << 24, limit("TLS_AES_128_GCM_SHA256", 32))
    assert.equal(1 << 24, limit("TLS_AES_256_GCM_SHA384", 48))
    assert.equal(1 << 23, limit("TLS_AES_128_CCM_SHA256", 32))
    assert.equal(-1, limit("TLS_CHACHA20_POLY1305_SHA256", 32)) -- 2^64 - 1
    local w = ends()
    w:seq((1 << 24) - 1)
    assert.equal(1, w:limit())
    w:seq(1 << 25)
    assert.equal(0, w:limit())
  end)
end)

-- A CBC record can be made of any bytes here: encrypt-then-MAC encrypts what it is given, and its own block of padding and its MAC
-- are cut off again. The NULL suites give the MAC.
describe("a MAC-then-encrypt record", function()
  local hash = { [20] = "TLS_RSA_WITH_NULL_SHA", [32] = "TLS_RSA_WITH_NULL_SHA256" }

  local function forge(s, version)
    local iv, self = bytes(s.block, 9), {}
    local keys = { key = bytes(s.key, 6), mac_key = bytes(s.mac, 7), iv = version <= V10 and iv or nil }
    local function with(more)
      for k, v in pairs(keys) do more[k] = v end
      return more
    end
    local encrypt = record.protect(s[1], version, with { etm = true, random = iv:rep(4096) })
    local mac = record.protect(hash[s.mac], version, { mac_key = keys.mac_key })
    local reader = record.protect(s[1], version, with { open = true })

    -- The content with its MAC, not yet encrypted.
    function self.authentic(content)
      mac:seq(0)
      return mac:seal(DATA, content, 0, version):sub(6)
    end

    function self.open(body)
      assert(#body % s.block == 0)
      local sealed = (version <= V10 and encrypt:clone() or encrypt):seal(DATA, body, 0, version)
      return reader:clone():open(with_fragment(sealed, sealed:sub(6, -1 - s.block - s.mac)))
    end

    function self.content_for(pad)
      local n = 40
      while (n + s.mac + pad + 1) % s.block ~= 0 do n = n + 1 end
      return bytes(n, pad + 1)
    end
    return self
  end

  for _, s in ipairs(CBC) do
    for version = math.max(s.first, V10), V12 do
      if hash[s.mac] then
        local name = string.format("%s, %04x", s[1], version)

        it("is opened with each of the 256 paddings: " .. name, function()
          local forger = forge(s, version)
          for pad = 0, 255 do
            local content = forger.content_for(pad)
            assert.equal(content, (forger.open(forger.authentic(content) .. string.char(pad):rep(pad + 1))))
          end
        end)

        it("is refused with any byte of the padding, or of the MAC before it, wrong: " .. name, function()
          local forger = forge(s, version)
          for _, pad in ipairs { 0, 1, 15, 16, 100, 255 } do
            local body = forger.authentic(forger.content_for(pad)) .. string.char(pad):rep(pad + 1)
            for at = #body - pad - s.mac, #body do
              local failure = refused("bad_record_mac", forger.open(flip(body, at, 0x40)))
              assert.equal("a record was changed on its way, or sealed with another key", failure.message)
            end
          end
        end)

        it("is refused when its padding reaches beyond its start: " .. name, function()
          local forger = forge(s, version)
          for blocks = math.ceil((s.mac + 1) / s.block), 6 do
            local n = blocks * s.block
            for pad = n - s.mac, 255, 3 do
              refused("bad_record_mac", forger.open(bytes(n - math.min(n, pad + 1)) .. string.char(pad):rep(math.min(n, pad + 1))))
            end
          end
        end)
      end
    end
  end
end)

describe("SSL 3.0 protection", function()
  it("takes any padding bytes, but not more than a block of them", function()
    local s = CBC[1]
    local keys = { key = bytes(s.key, 6), mac_key = bytes(s.mac, 7), iv = bytes(16, 9) }
    local mac = record.protect("TLS_RSA_WITH_NULL_SHA", SSL3, { mac_key = keys.mac_key })
    local content = bytes(64 - 20 - 16)
    local function open(padding)
      local body = mac:clone():seal(DATA, content, 0, SSL3):sub(6) .. padding
      local etm = record.protect(s[1], V10, { key = keys.key, mac_key = keys.mac_key, iv = keys.iv, etm = true })
      local sealed = etm:seal(DATA, body, 0, SSL3)
      sealed = with_fragment(sealed, sealed:sub(6, -1 - 16 - 20))
      return record.protect(s[1], SSL3, { key = keys.key, mac_key = keys.mac_key, iv = keys.iv, open = true }):open(sealed)
    end
    assert.equal(content, (open(bytes(15) .. "\15")))
    refused("bad_record_mac", open(bytes(31) .. "\31"))
    refused("bad_record_mac", open(bytes(15) .. "\14"))
  end)
end)

-- ---- published records ----------------------------------------------------------------------------------------------------------------

local VECTORS = "../shared/vectors/"

local function read(path)
  local file = io.open(VECTORS .. path, "rb")
  if not file then return nil end
  local all = file:read "a"
  file:close()
  return all
end

local unhex = require("spec.support.vectors").from_hex

local function keylog(folder)
  local log = {}
  for label, secret in (read(folder .. "captures/keylog.txt") or ""):gmatch "(%S+) %x+ (%x+)" do log[label] = unhex(secret) end
  return next(log) and log
end

describe("published records", function()
  it("of a TLS 1.2 connection open, and are sealed byte for byte (illustrated-tls12)", function()
    local folder = "illustrated-tls12/"
    local log = keylog(folder)
    if not log then return pending "the published vectors are not here" end
    local function cap(name) return assert(read(folder .. "captures/caps/" .. name)) end
    local client_random, server_random = cap("clienthello"):sub(12, 43), cap("serverhello"):sub(12, 43)
    local block = assert(core.crypto.prf("sha256", log.CLIENT_RANDOM, "key expansion", server_random .. client_random, 2 * (20 + 16)))
    local mac = { client = block:sub(1, 20), server = block:sub(21, 40) }
    local key = { client = block:sub(41, 56), server = block:sub(57, 72) }
    for side, names in pairs { client = { "clientfinished", "clientdata", "clientalert" }, server = { "serverfinished", "serverdata" } } do
      local ivs = {}
      for i, name in ipairs(names) do ivs[i] = cap(name):sub(6, 21) end
      local suite = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
      local r = record.protect(suite, V12, { mac_key = mac[side], key = key[side], open = true })
      local w = record.protect(suite, V12, { mac_key = mac[side], key = key[side], random = table.concat(ivs) })
      for _, name in ipairs(names) do
        local sealed = cap(name)
        local plain, type = assert(r:open(sealed))
        assert.equal(sealed:byte(), type)
        assert.is_true(#plain > 0 and cap(name .. "plain"):find(plain, 1, true) ~= nil, name)
        assert.equal(sealed, w:seal(type, plain))
      end
      refused("randomness", w:seal(DATA, "a lab that has run out of randomness"))
    end
  end)

  it("of a TLS 1.3 connection open, and are sealed byte for byte (illustrated-tls13)", function()
    local folder = "illustrated-tls13/"
    local log = keylog(folder)
    if not log then return pending "the published vectors are not here" end
    local function cap(name) return assert(read(folder .. "captures/caps/" .. name)) end
    local flows = {
      SERVER_HANDSHAKE_TRAFFIC_SECRET = { "server", "extensions", "cert", "certverify", "finished" },
      CLIENT_HANDSHAKE_TRAFFIC_SECRET = { "client", "finished" },
      SERVER_TRAFFIC_SECRET_0 = { "server", "ticket1", "ticket2", "data" },
      CLIENT_TRAFFIC_SECRET_0 = { "client", "data" },
    }
    for label, flow in pairs(flows) do
      local w = record.protect("TLS_AES_256_GCM_SHA384", V13, { secret = log[label] })
      local r = record.protect("TLS_AES_256_GCM_SHA384", V13, { secret = log[label], open = true })
      for i = 2, #flow do
        local sealed, inner = cap(flow[1] .. "enc" .. flow[i]), cap(flow[1] .. flow[i])
        local plain, type = assert(r:open(sealed))
        assert.equal(inner, plain .. string.char(type))
        assert.equal(sealed, w:seal(type, plain))
      end
    end
  end)

  it("of 120 connections come out of the deframer as they went in (go-recorded)", function()
    local list = io.popen("ls " .. VECTORS .. "go-recorded/*.txt 2>/dev/null")
    local seen = 0
    for path in list:lines() do
      local flows = { {}, {} }
      local which
      for line in io.lines(path) do
        local number = line:match "^>>> Flow (%d+)"
        if number then
          which = flows[(tonumber(number) + 1) % 2 + 1]
        else
          which[#which + 1] = unhex((line:sub(10, 58):gsub(" ", "")))
        end
      end
      for _, flow in ipairs(flows) do
        local stream = table.concat(flow)
        for _, step in ipairs { #stream, 1 } do
          local d, out = record.deframer(), {}
          for at = 1, #stream, math.max(step, 1) do
            d:feed(stream:sub(at, at + step - 1))
            for rec in d.next, d do out[#out + 1] = rec.bytes end
            d:keep()
          end
          assert.is_true(d:empty(), path)
          assert.equal(stream, table.concat(out))
        end
      end
      seen = seen + 1
    end
    list:close()
    if seen == 0 then return pending "the published vectors are not here" end
    assert.equal(120, seen)
  end)
end)
