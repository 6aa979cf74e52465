--- Random changes to bytes, the same on every machine for the same seed.
local byte_mutations = {}

--- A generator: random(m, n), repeatable.
function byte_mutations.random(seed)
  local state = (seed * 2 + 1) & 0xffffffffffffffff
  return function(m, n)
    state = (state * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff
    local value = state ~ (state >> 33)
    return m + (value >> 11) % (n - m + 1)
  end
end

local kinds = {
  function(b, i, random) return b:sub(1, i - 1) .. string.char((b:byte(i) or 0) ~ (1 << random(0, 7))) .. b:sub(i + 1) end, -- a bit
  function(b, i, random) return b:sub(1, i - 1) .. string.char(random(0, 255)) .. b:sub(i + 1) end, -- a byte
  function(b, i, random) return b:sub(1, i - 1) .. string.char(random(0, 255)) .. b:sub(i) end, -- one more
  function(b, i, random) return b:sub(1, i - 1) .. b:sub(i + random(1, 4)) end, -- some fewer
  function(b, i) return b:sub(1, i) end, -- an end
  function(b, i, random) return b:sub(1, i + random(0, 40)) .. b:sub(i) end, -- a piece twice
  function(b, i, random) -- a number one more or one less
    return b:sub(1, i - 1) .. string.char(((b:byte(i) or 0) + random(0, 1) * 2 - 1) & 255) .. b:sub(i + 1)
  end,
  function(b, i, random, other) -- a piece of another
    local from = random(1, math.max(1, #other))
    return b:sub(1, i) .. other:sub(from, from + random(1, 60)) .. b:sub(i + 1)
  end,
}

--- b with one to three changes; other: bytes from which pieces may be taken.
function byte_mutations.apply(b, random, other)
  for _ = 1, random(1, 3) do
    b = kinds[random(1, #kinds)](b, random(1, math.max(1, #b)), random, other)
  end
  return b
end

return byte_mutations
