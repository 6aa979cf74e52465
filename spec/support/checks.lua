-- What specs of functions on strings check with.
local assert = require "luassert"
local vectors = require "spec.support.vectors"

local checks = {}

-- The bytes are those of this hexadecimal text.
function checks.is_hex(expected, got) assert.equal((expected:gsub("%s", "")), vectors.to_hex(got)) end

-- What a call has returned is nil, message, failure, of this code. Returns the failure.
function checks.fails(code, ...)
  local value, message, failure = ...
  assert.is_nil(value)
  assert.is_string(message)
  assert.equal(code, failure.code)
  assert.equal(message, failure.message)
  return failure
end

-- The same bytes but for the bits of mask (1) in the one at `at`.
function checks.flipped(s, at, mask) return s:sub(1, at - 1) .. string.char(s:byte(at) ~ (mask or 1)) .. s:sub(at + 1) end

return checks
