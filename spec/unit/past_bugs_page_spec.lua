-- docs/past-bugs.md names a spec for every bug: each of these files and tests exists, and each bug has one.
local peers = require "spec.support.peers"
local proofs = require "spec.support.proofs"

local has = proofs.has

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
    local file, test = proofs.of(line)
    if file then
      bug.proofs = bug.proofs + 1
      named[#named + 1] = { file = file, test = test }
      files[file] = true
    end
  end
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
