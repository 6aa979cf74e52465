-- The Lua blocks of docs/lab.md run as one program, and so do those of docs/recipes.md; those of the other pages at least compile (README's run in unit/readme_spec.lua).
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

-- A page's blocks as one program: every block at the line where it stands, so that an error says where it is.
local function program_of(path)
  local program, at = {}, 0
  for _, b in ipairs(blocks(path)) do
    program[#program + 1] = ("\n"):rep(b.line - at) .. b.text
    at = b.line + select(2, b.text:gsub("\n", ""))
  end
  return table.concat(program), #program
end

describe("docs/recipes.md", function()
  -- The files that the page makes are gone afterwards.
  local made = {}
  local function run_page(text)
    local os_here = setmetatable({ tmpname = function()
      made[#made + 1] = os.tmpname()
      return made[#made]
    end }, { __index = os })
    return run(text, "docs/recipes.md", { os = os_here })
  end
  after_each(function()
    for _, path in ipairs(made) do os.remove(path) end
  end)

  it("runs from top to bottom", function()
    local text, n = program_of "docs/recipes.md"
    assert.is_true(n >= 25)
    assert.matches("certificate_expired", (run_page(text)))
  end)

  -- A function that a block of the page makes and nobody there calls.
  local function function_of_page(name)
    for _, b in ipairs(blocks "docs/recipes.md") do
      if b.text:find("local function " .. name .. "(", 1, true) then return assert(load(b.text .. "\nreturn " .. name, ("=docs/recipes.md:%d"):format(b.line)))() end
    end
  end

  it("gets a page by socket.http", function()
    local akushu, certs, http = require "akushu", require "spec.support.certs", require "socket.http"
    local id = certs.ecdsa()
    local s <close> = peers.openssl_server { chain = id.chain, key = id.key, args = { "-www" } }
    local of_luasocket = http.schemes.https.create
    local body, code = function_of_page "get"(("https://localhost:%d/"):format(s.port), akushu.client { trust = id.trust })
    http.schemes.https.create = of_luasocket
    assert.equal(200, code, body)
    assert.matches("s_server", body)
  end)

  it("speaks TLS after STARTTLS, and nothing that was put behind the server's answer", function()
    local akushu, certs = require "akushu", require "spec.support.certs"
    local id = certs.ecdsa()
    local script = peers.tmpfile(([[
      local akushu, socket, tls = require "akushu", require "socket", require "akushu.adapters.socket"
      local server = akushu.server { identity = { chain = %q, key = %q } }
      local listener = assert(socket.bind("127.0.0.1", 0))
      print("port " .. select(2, listener:getsockname()))
      io.stdout:flush()
      for _, behind in ipairs { "", "250 what the server never said\r\n" } do
        local sock = listener:accept()
        sock:settimeout(60)
        sock:send "220 here\r\n"
        sock:receive()
        sock:send "250-mail.example\r\n250 STARTTLS\r\n"
        sock:receive()
        sock:send("220 go ahead\r\n" .. behind)
        local conn = tls.wrap(sock, server, { timeout = 60 })
        local line = conn:receive()
        if line then conn:send("250 " .. conn.version .. " " .. line .. "\r\n") end
        conn:close()
      end]]):format(id.chain, id.key), "smtp.lua")
    local process <close> = peers.lua { script }
    local port = tonumber(process:wait_log "port (%d+)")
    local client, starttls = akushu.client { trust = id.trust }, function_of_page "starttls"
    local conn = assert(starttls("localhost", port, client))
    conn:send "EHLO me.example\r\n"
    assert.equal("250 1.3 EHLO me.example", conn:receive())
    -- What else the server said is in no line any more: the page's source takes it.
    assert.is_nil((function_of_page "source"(conn)()))
    conn:close()
    local nothing, _, failure = starttls("localhost", port, client)
    assert.is_nil(nothing)
    assert.equal("not_tls", failure.code)
  end)

  it("serves over two files, whatever they are", function()
    local akushu = require "akushu"
    local serve = function_of_page "serve"
    local ca = akushu.testca.new {}
    local to_server, to_client, gone, closed = "", "", false, false
    local input, output = {}, {}
    function input.read(_, n)
      while #to_server < n do
        if gone then return nil end
        coroutine.yield()
      end
      local bytes = to_server:sub(1, n)
      to_server = to_server:sub(n + 1)
      return bytes
    end
    function output.write(_, bytes) to_client = to_client .. bytes end
    function output.flush() end
    function output.close() closed = true end
    local server = coroutine.wrap(function() return serve(akushu.server { identity = ca:issue { names = { "localhost" } } }, input, output) end)
    local hs = akushu.client { trust = ca:trust() }:handshake { server_name = "localhost" }
    to_server = assert(hs:start())
    while not hs.done do
      server()
      local bytes = to_client
      to_client = ""
      to_server = to_server .. assert(hs:step(bytes))
    end
    local session = assert(hs:session())
    to_server = to_server .. assert(session:seal "good evening\n")
    server()
    assert.equal("you said: good evening\n", (assert(session:open(to_client))))
    to_server, gone = assert(session:close()), true
    assert.is_truthy((server()))
    assert.is_true(closed)
  end)
end)

describe("docs/lab.md", function()
  it("runs from top to bottom", function()
    local text, n = program_of "docs/lab.md"
    assert.is_true(n >= 12)
    local said = run(text, "docs/lab.md")
    assert.matches("client_hello", said)
    assert.matches("as recorded", said)
  end)

  it("names files that are there", function()
    for link in peers.read_file("docs/lab.md"):gmatch "%]%(%.%./(.-)%)" do
      assert.is_truthy(require "lfs".attributes(link), link)
    end
  end)
end)

describe("every other page", function()
  local pages = { "CONTRIBUTING.md", "bogo/README.md" }
  for name in require "lfs".dir "docs" do
    if name:find "%.md$" and name ~= "lab.md" and name ~= "recipes.md" then pages[#pages + 1] = "docs/" .. name end
  end
  for _, path in ipairs(pages) do
    it("has Lua that compiles: " .. path, function()
      assert.is_string(peers.read_file(path))
      for _, b in ipairs(blocks(path)) do assert(load(b.text, ("=%s:%d"):format(path, b.line))) end
    end)
  end
end)
