-- Pages of docs that name a spec for what they say, in lines of the form: * `file`: `full name of a test`.
local peers = require "spec.support.peers"

local proofs = {}

-- proofs.of(line) → file, test; nothing when the line is none.
function proofs.of(line) return line:match "^%s*%* `(spec/[^`]+%.lua)`: `(.+)`$" end

-- The names of all tests of a file, as busted says them without running any.
local function tests_of(file)
  local words = { os.getenv "LUA" or "lua5.4", os.getenv "BUSTED" or "/usr/bin/busted", "--ignore-lua", "--list", file }
  for i, word in ipairs(words) do words[i] = peers.quote(word) end
  local env = ("env LUA_PATH=%s LUA_CPATH=%s "):format(peers.quote(package.path), peers.quote(package.cpath))
  local pipe = assert(io.popen(env .. table.concat(words, " ") .. " 2>&1"))
  local out = {}
  for line in pipe:lines() do
    local name = line:match "^%S+:%d+: (.+)$"
    if name then out[name] = true end
  end
  pipe:close()
  return out
end

local listed = {}

-- Whether a spec file has a test of this full name.
function proofs.has(file, test)
  listed[file] = listed[file] or tests_of(file)
  return listed[file][test]
end

return proofs
