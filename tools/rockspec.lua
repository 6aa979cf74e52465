-- tools/rockspec.lua [--write]: the rockspec names every source and every Lua module by hand, because LuaRocks has no wildcards.
-- Without an argument: fails, naming each difference, when that list is not the tree. With --write: writes the list anew.
-- As a module (dofile): returns { expected = fn, listed = fn, differences = fn } for the spec that guards it.
local rockspec = "akushu-scm-1.rockspec"
local M = {}

local function find(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  assert(pipe:close(), command)
  table.sort(list)
  return list
end

local function module_name(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

-- What the tree holds: { sources = {path…}, modules = {{name, path}…} }.
function M.expected()
  local modules = {}
  for _, path in ipairs(find "find lua -name '*.lua'") do modules[#modules + 1] = { module_name(path), path } end
  return { sources = find "find csrc -name '*.c' -not -path '*/tests/*'", modules = modules }
end

-- What the rockspec lists, in the same form.
function M.listed()
  local env = {}
  assert(loadfile(rockspec, "t", env))()
  local sources, modules = {}, {}
  for name, what in pairs(env.build.modules) do
    if type(what) == "table" then
      for _, path in ipairs(what.sources) do sources[#sources + 1] = path end
    else
      modules[#modules + 1] = { name, what }
    end
  end
  table.sort(sources)
  table.sort(modules, function(a, b) return a[2] < b[2] end)
  return { sources = sources, modules = modules }
end

-- A list of lines such as "not listed: csrc/x.c"; empty when rockspec and tree agree.
function M.differences()
  local function set(t)
    local s = {}
    for _, path in ipairs(t.sources) do s[path] = true end
    for _, m in ipairs(t.modules) do s[m[1] .. " = " .. m[2]] = true end
    return s
  end
  local tree, list, out = set(M.expected()), set(M.listed()), {}
  for k in pairs(tree) do if not list[k] then out[#out + 1] = "not in the rockspec: " .. k end end
  for k in pairs(list) do if not tree[k] then out[#out + 1] = "in the rockspec, not in the tree: " .. k end end
  table.sort(out)
  return out
end

local function write()
  local tree, out = M.expected(), {}
  local function put(...) out[#out + 1] = string.format(...) end
  put "    [\"akushu.core\"] = {"
  put "      sources = {"
  for _, path in ipairs(tree.sources) do put("        %q,", path) end
  put "      },"
  put "      incdirs = { \"csrc\", \"$(OPENSSL_INCDIR)\" },"
  put "      libdirs = { \"$(OPENSSL_LIBDIR)\" },"
  put "      libraries = { \"crypto\" },"
  put "    },"
  for _, m in ipairs(tree.modules) do put("    [%q] = %q,", m[1], m[2]) end
  local file = assert(io.open(rockspec))
  local text = file:read "a"
  file:close()
  local head, tail = text:match "^(.-  modules = {\n).-(\n  },\n.*)$"
  assert(head, "no modules table in " .. rockspec)
  file = assert(io.open(rockspec, "w"))
  assert(file:write(head, table.concat(out, "\n"), tail))
  assert(file:close())
end

if arg and arg[0] and arg[0]:match "rockspec%.lua$" then
  if arg[1] == "--write" then
    write()
  else
    local differences = M.differences()
    for _, line in ipairs(differences) do print(line) end
    if #differences > 0 then
      print("`lua5.4 tools/rockspec.lua --write` brings " .. rockspec .. " up to date.")
      os.exit(1)
    end
  end
end
return M
