-- docs/past-bugs.md names a spec for every bug: each of these files and tests exists, and each bug has one.
local peers = require "spec.support.peers"

local page = assert(peers.read_file "docs/past-bugs.md")

-- Under "## bug" lines of the form: * `file`: `full name of a test`
local bugs, named, files = {}, {}, {}
do
  local bug
  for line in page:gmatch "[^\n]+" do
    local title = line:match "^## (.+)$"
    if title then
      bug = { title = title, proofs = 0 }
      bugs[#bugs + 1] = bug
    end
    local file, test = line:match "^%* `(spec/[^`]+%.lua)`: `(.+)`$"
    if file then
      bug.proofs = bug.proofs + 1
      named[#named + 1] = { file = file, test = test }
      files[file] = true
    end
  end
end

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
local function has(file, test)
  listed[file] = listed[file] or tests_of(file)
  return listed[file][test]
end

describe("docs/past-bugs.md", function()
  it("has many bugs, and a spec for each", function()
    assert.is_true(#bugs >= 30, #bugs)
    for _, bug in ipairs(bugs) do assert.is_true(bug.proofs > 0, bug.title .. ": no spec") end
  end)

  for file in pairs(files) do
    it("names tests that are in " .. file, function()
      for _, n in ipairs(named) do
        if n.file == file then assert.is_true(has(file, n.test), ("no test '%s' in %s"):format(n.test, file)) end
      end
    end)
  end

  it("would be caught with a test that is none, or a file that is none", function()
    assert.is_nil(has(named[1].file, named[1].test .. "x"))
    assert.is_nil(has("spec/unit/no_such_spec.lua", named[1].test))
  end)

  it("names no spec in any other form", function()
    for file in page:gmatch "spec/[%w_/]+%.lua" do assert.is_true(files[file] or false, file) end
  end)
end)
