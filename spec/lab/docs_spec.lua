-- The Lua blocks of docs/lab.md run as one program; those of the other pages at least compile (README's run in unit/readme_spec.lua).
local peers = require "spec.support.peers"

local function blocks(path)
  local out = {}
  for line, text in (peers.read_file(path)):gmatch "()```lua\n(.-)\n```" do
    local before = select(2, peers.read_file(path):sub(1, line):gsub("\n", "")) + 1
    out[#out + 1] = { line = before, text = text }
  end
  return out
end

-- Runs a program with `print` gone quiet.
local function run(text, name, env)
  local printed = {}
  local globals = setmetatable(env or {}, { __index = _G })
  globals.print = function(...)
    local words = {}
    for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
    printed[#printed + 1] = table.concat(words, "\t")
  end
  globals.load = function(program) return load(program, "=a script", "t", globals) end
  local f = assert(load(text, "=" .. name, "t", globals))
  f()
  return table.concat(printed, "\n")
end

describe("docs/lab.md", function()
  it("runs from top to bottom", function()
    -- Every block at the line where it stands, so that an error says where it is.
    local program, at = {}, 0
    for _, b in ipairs(blocks "docs/lab.md") do
      program[#program + 1] = ("\n"):rep(b.line - at) .. b.text
      at = b.line + select(2, b.text:gsub("\n", ""))
    end
    assert.is_true(#program >= 12)
    local said = run(table.concat(program), "docs/lab.md")
    assert.matches("client_hello", said)
    assert.matches("as recorded", said)
  end)

  it("names files that are there", function()
    for link in peers.read_file("docs/lab.md"):gmatch "%]%(%.%./(.-)%)" do
      assert.is_truthy(os.rename(link, link), link)
    end
  end)
end)

describe("every other page", function()
  local pages = { "CONTRIBUTING.md", "bogo/README.md" }
  for name in require "lfs".dir "docs" do
    if name:find "%.md$" and name ~= "lab.md" then pages[#pages + 1] = "docs/" .. name end
  end
  for _, path in ipairs(pages) do
    it("has Lua that compiles: " .. path, function()
      assert.is_string(peers.read_file(path))
      for _, b in ipairs(blocks(path)) do assert(load(b.text, ("=%s:%d"):format(path, b.line))) end
    end)
  end
end)
