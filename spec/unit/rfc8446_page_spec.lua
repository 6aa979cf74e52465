-- docs/rfc8446.md and docs/tls12.md name a spec for every requirement: each test exists, each requirement has one, each alert is one.
local akushu = require "akushu"
local peers = require "spec.support.peers"
local proofs = require "spec.support.proofs"

local function read(name)
  local page = assert(peers.read_file(name))
  local requirements, files = {}, {}
  for line in page:gmatch "[^\n]+" do
    local file, test = proofs.of(line)
    if file then
      local r = requirements[#requirements]
      r.proofs[#r.proofs + 1] = { file = file, test = test }
      files[file] = files[file] or {}
      table.insert(files[file], test)
    elseif line:match "^%* " then
      requirements[#requirements + 1] = { text = line, alert = line:match ": `([%w_]+)`$", proofs = {} }
    end
  end
  return requirements, files
end

for name, least in pairs { ["docs/rfc8446.md"] = 51, ["docs/tls12.md"] = 40 } do
  local requirements, files = read(name)
  describe(name, function()
    it("has a spec for every requirement, and an alert that there is", function()
      assert.is_true(#requirements >= least)
      local alerts = {}
      for _, e in pairs(akushu.errors) do alerts[e.alert or "none"] = true end
      for _, r in ipairs(requirements) do
        assert.is_true(#r.proofs > 0, r.text .. ": no spec")
        assert.is_true(r.alert == nil or alerts[r.alert] or false, r.text .. ": no such alert")
      end
    end)

    for file, tests in pairs(files) do
      it("names tests that are in " .. file, function()
        for _, test in ipairs(tests) do assert.is_true(proofs.has(file, test), ("no test '%s' in %s"):format(test, file)) end
      end)
    end
  end)
end
