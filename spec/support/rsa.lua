-- RSA for specs, in plain Lua: a private key's DER from its published numbers, and the salt of a published PSS signature, which the
-- public key shows to everybody (RFC 8017 §9.1.2).
local akushu = require "akushu"
local der = require "akushu.der"

local rsa = {}

--- A PKCS#1 private key (RFC 8017 §A.1.2) from magnitudes: { n, e, d, p, q, dp, dq, qi }.
function rsa.private_key(k)
  return der.sequence(der.integer(0), der.integer(k.n), der.integer(k.e), der.integer(k.d), der.integer(k.p), der.integer(k.q),
    der.integer(k.dp),
    der.integer(k.dq), der.integer(k.qi))
end

-- Numbers are arrays of 24-bit limbs, the lowest first, all as long as the modulus and one more.
local LIMB, BITS = 0xffffff, 24

local function number(bytes, limbs)
  local out = {}
  for i = 1, limbs do
    local last = #bytes - 3 * (i - 1)
    local part = last > 0 and bytes:sub(math.max(last - 2, 1), last) or ""
    out[i] = part == "" and 0 or string.unpack(">I" .. #part, part)
  end
  return out
end

local function bytes_of(a, n)
  local out = {}
  for i = #a, 1, -1 do out[#out + 1] = string.pack(">I3", a[i]) end
  return table.concat(out):sub(-n)
end

local function reduce(a, m)
  for i = #a, 1, -1 do
    if a[i] ~= m[i] then
      if a[i] < m[i] then return a end
      break
    end
  end
  local borrow = 0
  for i = 1, #a do
    local v = a[i] - m[i] - borrow
    borrow = v < 0 and 1 or 0
    a[i] = v & LIMB
  end
  return a
end

local function add(a, b, m)
  local out, carry = {}, 0
  for i = 1, #a do
    local v = a[i] + b[i] + carry
    out[i], carry = v & LIMB, v >> BITS
  end
  return reduce(out, m)
end

local function multiply(a, b, m)
  local out = number("", #a)
  for i = #a, 1, -1 do
    for bit = BITS - 1, 0, -1 do
      out = add(out, out, m)
      if a[i] >> bit & 1 == 1 then out = add(out, b, m) end
    end
  end
  return out
end

--- signature ^ 65537 mod n, as many bytes as n has.
function rsa.public(signature, n)
  local limbs = (#n * 8 + BITS - 1) // BITS + 1
  local m, s = number(n, limbs), number(signature, limbs)
  local x = s
  for _ = 1, 16 do x = multiply(x, x, m) end
  return bytes_of(multiply(x, s, m), #n)
end

local function mgf1(hash, seed, n)
  local out, i = "", 0
  while #out < n do
    out = out .. akushu.crypto.digest(hash, seed .. string.pack(">I4", i))
    i = i + 1
  end
  return out:sub(1, n)
end

local function xor(a, b)
  local out = {}
  for i = 1, #a do out[i] = string.char(a:byte(i) ~ b:byte(i)) end
  return table.concat(out)
end

--- The salt of a PSS signature with this hash.
function rsa.pss_salt(signature, n, hash)
  local size = akushu.crypto.hashes()[hash]
  local em = rsa.public(signature, n)
  assert(em:byte(-1) == 0xbc, "no PSS signature of this key")
  local h = em:sub(-size - 1, -2)
  local masked = em:sub(1, #em - size - 1)
  local db = xor(masked, mgf1(hash, h, #masked))
  db = string.char(db:byte() & 0x7f) .. db:sub(2)
  return (assert(db:match "^\0*\1(.*)$", "no padding"))
end

return rsa
