-- The rockspec names every file by hand: it must name the tree as it is.
local rockspec = dofile "tools/rockspec.lua"

describe("akushu-scm-1.rockspec", function()
  it("lists every C source and every Lua module of the tree, and nothing else", function()
    assert.same({}, rockspec.differences())
  end)

  it("would be caught with a file missing, or one too many", function()
    local expected, before = rockspec.expected, #rockspec.differences()
    finally(function() rockspec.expected = expected end)
    local tree = expected()
    table.remove(tree.sources)
    table.insert(tree.modules, { "akushu.nothing", "lua/akushu/nothing.lua" })
    rockspec.expected = function() return tree end
    assert.equal(before + 2, #rockspec.differences())
  end)
end)
