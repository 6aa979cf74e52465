-- docs/reference.md has everything that is public: each option, each method and property of each class, each function of each module.
local akushu = require "akushu"
local options = require "akushu.options"
local peers = require "spec.support.peers"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local reference = read "docs/reference.md"

-- As a word of its own, in code: between ` and `.
local words = {}
for block in reference:gmatch "```.-```" do
  for word in block:gmatch "[%a_][%w_]*" do words[word] = true end
end
for code in reference:gsub("```.-```", ""):gmatch "`([^`]+)`" do
  for word in code:gmatch "[%a_][%w_]*" do words[word] = true end
end

local function documented(what, names)
  local missing = {}
  for _, name in ipairs(names) do
    if not words[name] then missing[#missing + 1] = name end
  end
  table.sort(missing)
  assert.same({}, missing, what)
  assert.is_true(#names > 0, what .. ": nothing was looked for")
end

local function public(...)
  local out = {}
  for _, t in ipairs { ... } do
    for name in pairs(t) do
      if type(name) == "string" and not name:find "^_" then out[#out + 1] = name end
    end
  end
  return out
end

describe("the reference has", function()
  it("every option of a context, in a row of its table with its role", function()
    local roles = {}
    for names, role in reference:gmatch "\n| (`[^|]+`) | (%l+) |" do
      for name in names:gmatch "`([%l_]+)`" do roles[name] = role end
    end
    local ours = {}
    for name, row in pairs(options.known) do ours[name] = row[2] or "both" end
    for name in pairs(roles) do
      if not ours[name] then roles[name] = nil end
    end
    assert.same(ours, roles)
  end)

  it("every option of a handshake", function()
    local line = reference:match "\n## Handshake: ([^\n]+)"
    for name in pairs(options.of_handshake) do assert.is_truthy(line:find(name .. " =", 1, true), name) end
  end)

  for _, class in ipairs { "Context", "Handshake", "Session", "Secret", "Resumption", "Certificate", "PrivateKey", "Identity", "TrustStore", "wire.extensions" } do
    it("every method and property of akushu." .. class, function()
      local meta = debug.getregistry()["akushu." .. class]
      local index, found = meta.__index, {}
      if type(index) == "table" then found[1] = index end
      for i = 1, type(index) == "function" and 3 or 0 do -- of a C function: the tables that it looks in
        local _, value = debug.getupvalue(index, i)
        if type(value) == "table" and value ~= meta then found[#found + 1] = value end
      end
      documented(class, public(table.unpack(found)))
    end)
  end

  it("every property of what was agreed", function()
    local names = {}
    for name in read("csrc/binding/support.c"):match("ak_lua_info_property.-{(.-)NULL}"):gmatch '"([%l_]+)"' do names[#names + 1] = name end
    documented("info", names)
    for _, file in ipairs { "lhandshake", "lsession" } do
      names = {}
      for name in read("csrc/binding/" .. file .. ".c"):gmatch 'strcmp%(name, "([%l_]+)"%)' do names[#names + 1] = name end
      documented(file, names)
    end
  end)

  local lab = akushu.lab {}
  local modules = {
    akushu = akushu, wire = require "akushu.wire", crypto = akushu.crypto, record = akushu.record, lab = getmetatable(lab),
    trace = require("akushu.trace").class, testca = require "akushu.testca", ca = getmetatable(require("akushu.testca").new()).__index,
    connection = require("akushu.adapters.connection").methods, adapter = require "akushu.adapters.socket",
    redis = require("akushu.adapters.redis").new(print),
  }
  for name, module in pairs(modules) do
    it("every function of " .. name, function()
      local functions = {}
      for _, key in ipairs(public(module)) do
        if type(module[key]) ~= "string" then functions[#functions + 1] = key end
      end
      documented(name, functions)
    end)
  end

  it("every registry of names, every secret, every purpose of a lab", function()
    documented("registries", akushu.wire.registries())
    documented("purposes", require("akushu.lab").purposes)
    local hs = akushu.client({ verify = false }):handshake()
    local _, said = pcall(hs.secret, hs, "?")
    local names = {}
    for name in said:match("there are (.*)$"):gmatch "[%w_]+" do names[#names + 1] = name end
    documented("secrets", names)
  end)
end)

it("the manual can be made: every page and heading that a link names is there", function()
  local process = peers.lua { "tools/make_docs.lua", peers.tmpdir() .. "/docs" }
  local code = process:wait(120)
  local log = process:stop():log()
  assert.equal(0, code, log)
  assert.matches("docs/index.html: %d+ pages", log)
end)
