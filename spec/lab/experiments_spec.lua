-- The experiments under examples/experiments: each asserts what it tells, and ends with another code than 0 when something is not so.
local peers = require "spec.support.peers"

local folder = "examples/experiments/"
local slow = { ["01_every_message.lua"] = true } -- waits for a real peer that says nothing

local function experiments()
  local out = {}
  for name in require "lfs".dir(folder) do
    if name:find "^%d%d_.*%.lua$" then out[#out + 1] = name end
  end
  table.sort(out)
  return out
end

local function run(name)
  local process = peers.lua { folder .. name }
  local code = process:wait(610)
  local log = process:stop():log()
  return code, log
end

describe("the experiments", function()
  it("are ten", function() assert.equal(10, #experiments()) end)

  for _, name in ipairs(experiments()) do
    it(name .. (slow[name] and " #slow" or ""), function()
      local code, log = run(name)
      assert.equal(0, code, log)
      assert.is_nil(log:find("NOT SO", 1, true), log)
      local claims = select(2, log:gsub("  ✓ ", ""))
      assert.is_true(claims >= 3, ("%d claims only\n%s"):format(claims, log))
      -- Each says in its first lines what it shows.
      local text = peers.read_file(folder .. name)
      assert.matches("^%-%- %S.-\n%-%-\n%-%- %S", text)
      assert.is_true(select(2, text:gsub("\n", "")) <= 230)
    end)
  end

  it("end with another code when a claim is not so", function()
    local process = peers.lua { "-e", ("arg = { [0] = %q } dofile '%slib.lua'.claim(1 == 2, 'one is %%s', 'two')"):format(folder .. "x.lua", folder) }
    local code = process:wait()
    assert.equal("NOT SO: one is two\n", process:stop():log())
    assert.equal(1, code)
  end)
end)
