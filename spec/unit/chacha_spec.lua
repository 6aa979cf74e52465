-- AEAD_CHACHA20_POLY1305 as RFC 8439 writes it down, in Lua, against records of the engine: csrc/crypto/chacha.c puts it together itself.
local record = require("akushu.core").record
local crypto = require("akushu").crypto

local function rotated(v, n) return (v << n | v >> 32 - n) & 0xffffffff end

-- §2.1
local function quarter(s, a, b, c, d)
  s[a] = (s[a] + s[b]) & 0xffffffff s[d] = rotated(s[d] ~ s[a], 16)
  s[c] = (s[c] + s[d]) & 0xffffffff s[b] = rotated(s[b] ~ s[c], 12)
  s[a] = (s[a] + s[b]) & 0xffffffff s[d] = rotated(s[d] ~ s[a], 8)
  s[c] = (s[c] + s[d]) & 0xffffffff s[b] = rotated(s[b] ~ s[c], 7)
end

-- §2.3
local function block(key, counter, nonce)
  local first = { string.unpack("<I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4", "expand 32-byte k" .. key .. string.pack("<I4", counter) .. nonce) }
  local s = table.move(first, 1, 16, 1, {})
  for _ = 1, 10 do
    for i = 1, 4 do quarter(s, i, i + 4, i + 8, i + 12) end
    for i = 0, 3 do quarter(s, i + 1, (i + 1) % 4 + 5, (i + 2) % 4 + 9, (i + 3) % 4 + 13) end
  end
  for i = 1, 16 do s[i] = (s[i] + first[i]) & 0xffffffff end
  return string.pack("<I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4", table.unpack(s, 1, 16))
end

-- §2.4
local function encrypt(key, nonce, text)
  local out = {}
  for at = 1, #text, 64 do
    local part, stream = text:sub(at, at + 63), block(key, at // 64 + 1, nonce)
    for i = 1, #part do out[#out + 1] = string.char(part:byte(i) ~ stream:byte(i)) end
  end
  return table.concat(out)
end

-- §2.5, in 13 limbs of 10 bits: a product of two fits an integer many times over.
local function limbs(bytes)
  local out = {}
  for i = 0, 12 do
    local v = 0
    for bit = 0, 9 do
      local at = i * 10 + bit
      v = v | ((bytes:byte(at // 8 + 1) or 0) >> at % 8 & 1) << bit
    end
    out[i] = v
  end
  return out
end

local function carried(h)
  repeat
    local carry = 0
    for i = 0, 12 do
      h[i] = h[i] + carry
      carry, h[i] = h[i] >> 10, h[i] & 0x3ff
    end
    h[0] = h[0] + 5 * carry -- 2^130 = 5
  until carry == 0
end

local function poly1305(key, text)
  local clamp = string.pack("<I8I8", string.unpack("<I8", key) & 0x0ffffffc0fffffff, string.unpack("<I8", key, 9) & 0x0ffffffc0ffffffc)
  local r, h = limbs(clamp), limbs ""
  for at = 1, #text, 16 do
    local m, product = limbs(text:sub(at, at + 15) .. "\1"), {}
    for i = 0, 12 do h[i] = h[i] + m[i] end
    for i = 0, 12 do
      product[i] = 0
      for j = 0, 12 do product[i] = product[i] + h[j] * (i >= j and r[i - j] or 5 * r[i - j + 13]) end
    end
    h = product
    carried(h)
  end
  carried(h)
  h[0] = h[0] + 5 -- is it 2^130 - 5 or more?
  local over, carry = {}, 0
  for i = 0, 12 do
    over[i] = h[i] + carry
    carry, over[i] = over[i] >> 10, over[i] & 0x3ff
  end
  h[0] = h[0] - 5
  if carry ~= 0 then h = over end
  local tag, sum, bits, at = {}, 0, 0, 0
  carry = 0
  for i = 1, 16 do
    while bits < 8 and at < 13 do sum, bits, at = sum | h[at] << bits, bits + 10, at + 1 end
    local v = (sum & 0xff) + key:byte(16 + i) + carry
    sum, bits, carry, tag[i] = sum >> 8, bits - 8, v >> 8, string.char(v & 0xff)
  end
  return table.concat(tag)
end

-- §2.8
local function filled(s) return s .. ("\0"):rep(-#s % 16) end
local function seal(key, nonce, aad, text)
  local c = encrypt(key, nonce, text)
  return c .. poly1305(block(key, 0, nonce):sub(1, 32), filled(aad) .. filled(c) .. string.pack("<I8I8", #aad, #c))
end

local function bytes(n, seed)
  local out = {}
  for i = 1, n do out[i] = string.char((i * 7919 + seed * 104729 + i * i) >> 3 & 0xff) end
  return table.concat(out)
end

local SIZES = { 0, 1, 2, 15, 16, 17, 62, 63, 64, 65, 127, 128, 129, 1007, 1023, 1024, 1025, 1086, 1087, 1088, 1089, 1090, 1152, 2000, 5000 }

describe("ChaCha20-Poly1305", function()
  it("is, as written here, that of RFC 8439 §2.8.2", function()
    local key, nonce = {}, "\x07\0\0\0" .. "\x40\x41\x42\x43\x44\x45\x46\x47"
    for i = 0, 31 do key[#key + 1] = string.char(0x80 + i) end
    local sealed = seal(table.concat(key), nonce, "\x50\x51\x52\x53\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7",
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")
    assert.equal("\xd3\x1a\x8d\x34\x64\x8e\x60\xdb\x7b\x86\xaf\xbc\x53\xef\x7e\xc2", sealed:sub(1, 16))
    assert.equal("\x1a\xe1\x0b\x59\x4f\x09\xe2\x6a\x7e\x90\x2e\xcb\xd0\x60\x06\x91", sealed:sub(-16))
  end)

  for _, size in ipairs(SIZES) do
    it(("protects %d bytes in TLS 1.2 as the RFC says"):format(size), function()
      local key, iv, text = bytes(32, 1), bytes(12, 2), bytes(size, 3)
      local writer = record.protect("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0x0303, { key = key, iv = iv })
      writer:seal(23, "the record with the number 0")
      local out = writer:seal(23, text)
      local nonce = iv:sub(1, 11) .. string.char(iv:byte(12) ~ 1)
      assert.equal("\x17\3\3" .. string.pack(">s2", seal(key, nonce, string.pack(">I8BI2I2", 1, 23, 0x0303, size), text)), out)
    end)
  end

  for _, size in ipairs(SIZES) do
    it(("protects %d bytes in TLS 1.3, with padding and without"):format(size), function()
      local secret, text = bytes(32, 4), bytes(size, 5)
      local function label(name, n) return crypto.hkdf_expand_label("sha256", secret, name, "", n) end
      local key, iv = label("key", 32), label("iv", 12)
      for _, pad in ipairs { 0, 1, 70, 1100 } do
        local inner = text .. "\x17" .. ("\0"):rep(pad)
        local header = "\x17\3\3" .. string.pack(">I2", #inner + 16)
        local writer = record.protect("TLS_CHACHA20_POLY1305_SHA256", 0x0304, { secret = secret })
        local reader = record.protect("TLS_CHACHA20_POLY1305_SHA256", 0x0304, { secret = secret, open = true })
        local sealed = header .. seal(key, iv, header, inner)
        assert.equal(sealed, writer:seal(23, text, pad))
        for _, at in ipairs { 6, #sealed } do -- its text, its tag
          local none, _, failure = reader:open(sealed:sub(1, at - 1) .. string.char(sealed:byte(at) ~ 1) .. sealed:sub(at + 1))
          assert.is_nil(none)
          assert.equal("bad_record_mac", failure.code)
        end
        assert.equal(text, (reader:open(sealed)))
      end
    end)
  end
end)
