-- An adapter's create: socket.http and socket.smtp over TLS, both ends in one cqueues controller; and blocking, from an openssl server.
-- (That every adapter has it is among spec/support/conversations.lua.)
local akushu = require "akushu"
local certs = require "spec.support.certs"
local cqueues = require "cqueues"
local cqueues_socket = require "cqueues.socket"
local http = require "socket.http"
local ltn12 = require "ltn12"
local peers = require "spec.support.peers"
local smtp = require "socket.smtp"
local tls = require "akushu.adapters.cqueues"

local id = certs.ecdsa()
local client, server = akushu.client { trust = id.trust }, akushu.server { identity = id.identity }
local of_luasocket = http.schemes.https.create

-- A request's first line, its headers, and its body, chunked or not.
local function read_request(conn)
  local line, headers, body = conn:receive(), {}, {}
  if not line then return nil end
  for header in function() return conn:receive() end do
    if header == "" then break end
    local name, value = header:match "^(.-):%s*(.*)"
    headers[name:lower()] = value
  end
  if headers["transfer-encoding"] == "chunked" then
    repeat
      local size = tonumber(conn:receive(), 16)
      body[#body + 1] = conn:receive(size)
      conn:receive()
    until size == 0
  elseif headers["content-length"] then body[1] = conn:receive(tonumber(headers["content-length"])) end
  return line, headers, table.concat(body)
end

-- fn(port, url) in a coroutine, while handle(connection, port) serves each that comes, with this context.
local function with(handle, fn, context)
  local queue, problem, done = cqueues.new(), nil, false
  local function spawn(f, ...)
    local args = table.pack(...)
    queue:wrap(function()
      local ok, why = xpcall(function() f(table.unpack(args, 1, args.n)) end, debug.traceback)
      if not ok then problem = problem or why end
    end)
  end
  spawn(function()
    local listener = assert(cqueues_socket.listen { host = "127.0.0.1", port = 0 })
    assert(listener:listen())
    local port = select(3, listener:localname())
    spawn(function()
      fn(port, ("https://127.0.0.1:%d"):format(port))
      done = true
    end)
    local serve = tls.handler(context or server, function(conn) handle(conn, port) end, { timeout = peers.patience })
    while not done and not problem do
      local sock = listener:accept { nodelay = true, timeout = 0.1 }
      if sock then spawn(serve, sock) else listener:clearerr() end
    end
    listener:close()
  end)
  while not (done or problem) do assert(queue:step(0.1)) end
  if problem then error(problem, 0) end
end

local function answer(conn, status, body, headers)
  conn:send { "HTTP/1.1 ", status, "\r\n", headers or "", ("Content-Length: %d\r\n\r\n"):format(#body), body }
end

-- What was asked for, and what came with it.
local function echo(conn)
  local line, headers, body = read_request(conn)
  if line then answer(conn, "200 OK", ("%s|%s|%s"):format(line, headers.host, body)) end
end

describe("create", function()
  after_each(function()
    http.schemes.https.create = of_luasocket
    http.PROXY = nil
  end)

  it("makes socket.http speak TLS for one request", function()
    with(echo, function(port, url)
      local got = {}
      local ok, code, headers = http.request { url = url .. "/a?b", create = tls.create(client), sink = ltn12.sink.table(got) }
      assert.same({ 1, 200 }, { ok, code })
      local body = ("GET /a?b HTTP/1.1|127.0.0.1:%d|"):format(port)
      assert.equal(body, table.concat(got))
      assert.equal(tostring(#body), headers["content-length"])
    end)
  end)

  it("makes it speak TLS for every https URL, bodies of any kind in both directions among them", function()
    http.schemes.https.create = tls.create(client)
    local long = ("0123456789abcdef"):rep(20000)
    with(function(conn)
      local line, _, body = read_request(conn)
      if not line then return end
      if line:find "/chunked" then
        conn:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for at = 1, #body, 50000 do
          local piece = body:sub(at, at + 49999)
          conn:send { ("%x\r\n"):format(#piece), piece, "\r\n" }
        end
        conn:send "0\r\n\r\n"
      elseif line:find "/closed" then conn:send { "HTTP/1.1 200 OK\r\n\r\n", body }
      else answer(conn, "200 OK", body) end
    end, function(_, url)
      for _, path in ipairs { "/length", "/chunked", "/closed" } do
        local body, code = http.request(url .. path, long)
        assert.equal(200, code)
        assert.is_true(body == long, path)
        local got = {}
        assert.equal(1, (http.request { url = url .. path, method = "POST", source = ltn12.source.string(long), sink = ltn12.sink.table(got) }))
        assert.is_true(table.concat(got) == long, path)
      end
    end)
  end)

  it("follows redirects from https to https, all of them verified", function()
    local made = 0
    local create = tls.create(client)
    http.schemes.https.create = function(request)
      made = made + 1
      return create(request)
    end
    with(function(conn, port)
      local line = read_request(conn)
      local n = tonumber((line or ""):match "GET /(%d)")
      if n == 3 then answer(conn, "200 OK", "here") return end
      if n then answer(conn, "302 Found", "", ("Location: https://127.0.0.1:%d/%d\r\n"):format(port, n + 1)) end
    end, function(_, url)
      local body, code = http.request(url .. "/0")
      assert.same({ "here", 200 }, { body, code })
      assert.equal(4, made)
    end)
    -- The second host is one that the certificate is not for.
    local ca = akushu.testca.new {}
    http.schemes.https.create = tls.create(akushu.client { trust = ca:trust() })
    with(function(conn, port)
      if read_request(conn) then answer(conn, "302 Found", "", ("Location: https://localhost:%d/\r\n"):format(port)) end
    end, function(_, url)
      local body, message = http.request(url .. "/")
      assert.is_nil(body)
      assert.matches("^the certificate is for another host", message)
    end, akushu.server { identity = ca:issue { names = { "127.0.0.1" } }.identity })
  end)

  it("serves libraries that ask for LuaSec's ssl.https by name, as docs/recipes.md says", function()
    local loaded = package.loaded["ssl.https"]
    package.loaded["ssl.https"], http.schemes.https.create = http, tls.create(client)
    with(echo, function(port, url)
      local https, got = require "ssl.https", {}
      local body, code = https.request(url, "posted")
      assert.same({ ("POST / HTTP/1.1|127.0.0.1:%d|posted"):format(port), 200 }, { body, code })
      -- What they say of LuaSec's own has no say in what is verified.
      assert.equal(1, (https.request { url = url, protocol = "any", verify = "none", sink = ltn12.sink.table(got) }))
      assert.equal(("GET / HTTP/1.1|127.0.0.1:%d|"):format(port), table.concat(got))
    end)
    package.loaded["ssl.https"] = loaded
  end)

  -- LuaSocket's habit, for which docs/recipes.md has redirect = false and http.schemes.
  it("given to a request, is forgotten by LuaSocket when that is redirected", function()
    local asked
    http.schemes.https.create = function()
      asked = true
      return function() return nil, "somebody else's" end
    end
    with(function(conn, port)
      if read_request(conn) then answer(conn, "302 Found", "", ("Location: https://127.0.0.1:%d/\r\n"):format(port)) end
    end, function(_, url)
      assert.same({ nil, "somebody else's" }, { http.request { url = url, create = tls.create(client) } })
      assert.is_true(asked)
      assert.equal(302, (select(2, http.request { url = url, create = tls.create(client), redirect = false })))
    end)
  end)

  it("verifies chain and host, and says what is wrong", function()
    local other = akushu.testca.new {}
    with(echo, function(port, url)
      local body, message = http.request { url = url, create = tls.create(akushu.client { trust = other:trust() }) }
      assert.is_nil(body)
      assert.matches("^no trusted CA vouches for the certificate", message)
      -- Who says another name in so many words gets that one verified.
      local named = tls.create(client, { server_name = "localhost" })
      assert.equal(200, (select(2, http.request { url = url, create = named })))
      assert.equal(200, (select(2, http.request { url = ("https://localhost:%d/"):format(port), create = tls.create(client) })))
      body, message = http.request { url = url, create = tls.create(client, { server_name = "elsewhere.example" }) }
      assert.is_nil(body)
      assert.matches("elsewhere.example", message)
    end)
  end)

  it("tells a body that was cut off from one that has ended", function()
    http.schemes.https.create = tls.create(client)
    with(function(conn)
      if not read_request(conn) then return end
      conn:send "HTTP/1.1 200 OK\r\n\r\nhalf of it"
      conn.transport.inner:shutdown "w"
    end, function(_, url)
      local body, message = http.request(url)
      assert.is_nil(body)
      assert.matches("close_notify", message)
    end)
  end)

  it("refuses proxies, which LuaSocket would send the request to", function()
    local create = tls.create(client)
    http.schemes.https.create = create
    local said = "https through a proxy: LuaSocket cannot ask one for a tunnel"
    assert.same({ nil, said }, { http.request { url = "https://127.0.0.1/", proxy = "http://127.0.0.1:3128" } })
    http.PROXY = "http://127.0.0.1:3128"
    assert.same({ nil, said }, { http.request "https://127.0.0.1/" })
  end)

  it("takes the shorter one of two timeouts", function()
    local stop, made
    local create = tls.create(client, { timeout = 0.5 })
    with(function(conn)
      read_request(conn)
      while not stop do cqueues.sleep(0.05) end
    end, function(_, url)
      http.schemes.https.create = function()
        return function()
          made = create()
          return made
        end
      end
      assert.same({ nil, "timeout" }, { http.request(url) })
      stop = true
    end)
    -- LuaSocket closes it where no coroutine can yield.
    local connection = made.connection
    assert.is_true(connection == nil or connection.gone and (connection.session == nil or connection.session.state == "closed"))
    local conn = tls.create(client, { timeout = 7 })()
    for given, held in pairs { [3] = 3, [60] = 7, [-1] = 7 } do
      assert.equal(1, conn:settimeout(given))
      assert.equal(held, conn.timeout)
    end
    conn = tls.create(client)()
    conn:settimeout(-1)
    assert.is_nil(conn.timeout)
  end)

  it("gives what socket.smtp takes for SMTP under TLS", function()
    local mail = {}
    with(function(conn)
      conn:send "220 here\r\n"
      for line in function() return conn:receive() end do
        mail[#mail + 1] = line
        if line == "DATA" then
          conn:send "354 go on\r\n"
          mail.text = conn:receive_until "\r\n.\r\n"
        end
        conn:send(line == "QUIT" and "221 bye\r\n" or "250 fine\r\n")
        if line == "QUIT" then break end
      end
    end, function(port)
      local ok, message = smtp.send {
        server = "127.0.0.1", port = port, create = tls.create(client), from = "<a@example.com>", rcpt = "<b@example.com>",
        source = smtp.message { headers = { subject = "hello" }, body = "over TLS" },
      }
      assert.equal(1, ok, message)
    end)
    assert.equal("EHLO localhost", mail[1])
    assert.equal("MAIL FROM:<a@example.com>", mail[2])
    assert.matches("over TLS", mail.text)
    assert.equal("QUIT", mail[#mail])
  end)

  it("answers as a socket of LuaSocket's does", function()
    with(function(conn)
      conn:receive()
      conn:send "a line\nrest"
    end, function(port)
      local sock = tls.create(client)()
      assert.equal(1, sock:settimeout(peers.patience))
      assert.equal(1, sock:connect("127.0.0.1", port))
      assert.equal("1.3", sock.version)
      assert.equal(6, sock:send "hello\n")
      assert.equal("and a line", sock:receive("*l", "and "))
      assert.equal("xxre", sock:receive(4, "xx"))
      assert.same({ nil, "closed", "xst" }, { sock:receive(100, "x") })
      assert.same({ nil, "closed", "" }, { sock:receive() })
      assert.equal(1, sock:close())
      assert.same({ nil, "closed", 0 }, { sock:send "more" })
    end)
    assert.equal(1, tls.create(client)():close()) -- before it was connected
    local sock = tls.create(client)()
    sock:settimeout(peers.patience)
    local port, holder = peers.closed_port()
    local ok, message = sock:connect("127.0.0.1", port)
    assert.is_nil(ok)
    assert.is_string(message)
    holder:close()
  end)

  it("tells what is wrong at the line of who asks for it", function()
    for wrong, call in pairs {
      ["unknown option 'timeuot'; did you mean 'timeout'?"] = function() tls.create(client, { timeuot = 1 }) end,
      ["option 'timeout': seconds expected, or nil: as long as it takes"] = function() tls.create(client, { timeout = "1" }) end,
      ["a context expected (akushu.client, akushu.server), got table"] = function() tls.create { trust = id.trust } end,
      ["a client's context expected (akushu.client), got a server's"] = function() tls.create(server) end,
      ["send: it is not connected"] = function() tls.create(client)():send "x" end,
      ["receive: it is not connected"] = function() local _ = tls.create(client)():receive() end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("adapters_create_spec%.lua:%d+: ", message)
      assert.equal(wrong, (message:gsub("^.-:%d+: ", "")))
    end
  end)

  it("is the blocking adapter's, too", function()
    local blocking = require "akushu.adapters.socket"
    local s <close> = peers.openssl_server { chain = id.chain, key = id.key, args = { "-www" }, quiet = true }
    local body, code = http.request { url = ("https://127.0.0.1:%d/"):format(s.port), create = blocking.create(client, { timeout = peers.patience }) }
    assert.same({ 1, 200 }, { body, code })
  end)
end)
