-- What specs of functions on strings check with, and of how long one takes.
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

-- fn takes less than so many seconds of the processor, the least of three times: what the machine itself lost meanwhile it does not lose thrice. The bound is
-- many times what it takes, and only work that grows as it must not reaches it. Returns what fn returned last.
function checks.within(seconds, fn)
  local least = math.huge
  for _ = 1, 3 do
    local start = os.clock()
    local result = fn()
    least = math.min(least, os.clock() - start)
    if least < seconds then return result end
  end
  error(("%.2f s, and not less than %s"):format(least, seconds), 2)
end

return checks
