-- The Lua blocks of docs/lab.md run as one program; those of the other pages that are complete run by themselves, the others at least compile.
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

describe("README.md", function()
  it("has a client that works when it is given a network", function()
    local akushu = require "akushu"
    local lab = akushu.lab {}
    local leaf = lab:issue { names = { "example.com" } }
    local peer = akushu.server { identity = leaf.identity, clock = lab.clock }:handshake {}
    local inbox, heard, session = "", "", nil
    local function take(bytes)
      if session then
        local plain, reply = session:open(bytes)
        heard, inbox = heard .. (plain or ""), inbox .. (reply or "")
        if plain and #plain > 0 then inbox = inbox .. session:seal "HTTP/1.0 200 OK\r\n\r\n" end
        return
      end
      inbox = inbox .. assert(peer:step(bytes))
      if peer.done then session = assert(peer:session()) end
    end
    local text = blocks("README.md")[1].text
    -- The machine's own CAs know nothing of this one.
    local changed, n = text:gsub("akushu%.trust%.system%(%)", "trust, clock = clock")
    assert.equal(1, n)
    run(changed, "README.md", { trust = lab:trust(), clock = lab.clock, send = take, receive = function()
      local bytes = inbox
      inbox = ""
      return bytes
    end })
    assert.equal("GET / HTTP/1.0\r\n\r\n", heard)
  end)

  it("has hooks that work", function()
    local akushu = require "akushu"
    local lab = akushu.lab {}
    local hs = lab:client { versions = "1.2" }:handshake { server_name = "localhost" }
    local said = run(blocks("README.md")[2].text .. "\ntrace = lab:run(hs, server)", "README.md", { hs = hs, lab = lab,
      server = lab:server { versions = "1.2" } })
    assert.matches("server_hello\ncertificate\n", said)
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
