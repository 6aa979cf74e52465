-- What somebody reads who has used akushu wrongly: each row is a line of a program, as a user would write it, and what the error says. It stands at that line, names the
-- option or argument, and says what would be right.
local akushu = require "akushu"

-- What the lines find around them.
local around = setmetatable({ akushu = akushu }, { __index = _G })

setup(function()
  around.ca = akushu.testca.new { name = "Root" }
  around.leaf = around.ca:issue { names = { "localhost" } }
  around.other = around.ca:issue { names = { "other.example" } }
  around.trust = around.ca:trust()
  around.client = akushu.client { trust = around.trust }
  around.server = akushu.server { identity = around.leaf }
  function around.fresh() return around.client:handshake { server_name = "localhost" } end
  function around.session()
    local hs, theirs = around.fresh(), around.server:handshake()
    assert(hs:step(assert(theirs:step(assert(hs:start())))))
    return hs:session()
  end
  around.lab = akushu.lab { seed = "mistakes" }
  around.trace = around.lab:run(around.lab:client {}, around.lab:server {}, { data = { "a", "b" } })
end)

-- The error of a line of a program. A call that ends its function has no line of its own any more, so the line does something afterwards.
local function error_of(line)
  local program = assert(load("local result = " .. line .. " return result", "=program", "t", around))
  local ok, message = pcall(program)
  assert(not ok, line .. " raises nothing")
  assert.equal("string", type(message))
  local text = message:match "^program:1: (.*)$"
  assert(text, line .. " raises at another place: " .. message)
  return text
end

local function each(rows)
  for _, row in ipairs(rows) do
    local text = error_of(row[1])
    assert(text:find(row[2], 1, true), ("%s says:\n%s\nand not:\n%s"):format(row[1], text, row[2]))
  end
end

describe("a mistake is told at its line, with what would be right:", function()
  it("options that have another name", function()
    each {
      { "akushu.client { trsut = trust }", "akushu.client: unknown option 'trsut'; did you mean 'trust'?" },
      { "akushu.client { trust = trust, version = '1.2' }", "did you mean 'versions'?" },
      { "akushu.client { cafile = 'ca.pem' }", "unknown option 'cafile'; here: trust = akushu.trust { file =, dir = }" },
      { "akushu.server { certificate = 'a.pem' }", "unknown option 'certificate'; here: identity = { chain =, key =, password = }" },
      { "akushu.client { trust = trust, ciphers = 'HIGH' }", "unknown option 'ciphers'; here: suites" },
      { "akushu.client { trust = trust, server_name = 'localhost' }", "it is said for each handshake: context:handshake { server_name =, session = }" },
      { "client:handshake { servername = 'localhost' }", "handshake: unknown option 'servername'; did you mean 'server_name'?" },
      { "client:handshake { host = 'localhost' }", "handshake: unknown option 'host'; here: server_name" },
      { "client:handshake { server_name = 'localhost', alpn = { 'h2' } }", "unknown option 'alpn'; it is an option of akushu.client and akushu.server" },
      { "akushu.client { xyzzy_and_more = 1 }", "akushu.client: unknown option 'xyzzy_and_more'" },
    }
    assert.equal("akushu.client: unknown option 'xyzzy_and_more'", error_of "akushu.client { xyzzy_and_more = 1 }")
  end)

  it("versions that no suite can do", function()
    local ecdhe = "suites = { 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256' }"
    each {
      { "akushu.client { trust = trust, versions = '1.1' }", "option 'versions': no cipher suite of this context does 1.1: those of profile = \"compatible\" do" },
      { "akushu.client { trust = trust, min_version = '1.0' }", "option 'min_version': no cipher suite of this context does 1.0: those of profile = \"compatible\" do" },
      { "akushu.client { trust = trust, profile = 'classic', versions = '1.3' }", "option 'versions': no cipher suite of this context does 1.3: those of profile = \"modern\" do" },
      { ("akushu.client { trust = trust, versions = '1.3', %s }"):format(ecdhe), "option 'versions': no cipher suite of this context does 1.3: those of 'suites' do not" },
    }
  end)

  it("what is missing, or was nil because it could not be read", function()
    each {
      { "akushu.client {}", "option 'trust' is missing (akushu.trust.system(), akushu.trust { file = … }; in assert" },
      { "akushu.client { trust = akushu.trust { file = 'no-such-file.pem' } }", "nil means that one could not be read" },
      { "akushu.server { identity = akushu.identity { chain = 'no-such-file.pem' } }", "option 'identity' is missing ({ chain =, key = }; of akushu.identity in assert" },
      { "akushu.server { identity = { chain = 'no-such-file.pem' } }", "option 'identity': a file cannot be read: no-such-file.pem" },
    }
  end)

  it("values of another kind", function()
    each {
      { "akushu.client { trust = 'ca.pem' }", "option 'trust': a trust store (akushu.trust.system(), akushu.trust { file = … }) expected, got string" },
      { "akushu.client { trust = ca }", "expected, got akushu.TestCA" },
      { "akushu.client { trust = trust, keylog = io.stdout }", "option 'keylog': a function expected, got FILE*" },
      { "akushu.client { trust = trust, clock = 'now' }", "option 'clock': seconds since 1970, or a function that returns them, expected, got string" },
      { "akushu.client { trust = trust, versions = 'tlsv1_2' }", "unknown version 'tlsv1_2'; there are \"1.3\", \"1.2\", \"1.1\", \"1.0\" and \"3.0\"" },
      { "akushu.client { trust = trust, versions = 13 }", "unknown version '13'" },
      { "akushu.client { trust = trust, session_lifetime = '3600' }", "option 'session_lifetime': an integer expected, got string" },
    }
  end)

  it("lists", function()
    each {
      { "akushu.client { trust = trust, alpn = 'h2,http/1.1' }", "option 'alpn': a list of names is a table: { \"h2\", \"http/1.1\" }" },
      { "akushu.client { trust = trust, alpn = { 'h2', nil, 'http/1.1' } }", "option 'alpn': a list with a hole (nil) in it" },
      { "akushu.client { trust = trust, groups = { first = 'x25519' } }", "option 'groups': a list expected, this table has a field 'first'" },
      { "akushu.client { trust = trust, versions = { min = '1.2' } }", "option 'versions': a list expected, this table has a field 'min'" },
      { "akushu.client { trust = trust, suites = { 'ECDHE-RSA-AES128-GCM-SHA256' } }", "names are IANA's, and that is TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
      { "akushu.client { trust = trust, suites = { 'AES256-SHA' } }", "no cipher suite 'AES256-SHA' here; names are IANA's, and that is TLS_RSA_WITH_AES_256_CBC_SHA" },
      { "akushu.client { trust = trust, suites = { 'HIGH' } }", "no cipher suite 'HIGH' here; names are IANA's, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
      { "akushu.client { trust = trust, suites = 'HIGH:!aNULL' }", "option 'suites': a list of names is a table, such as { \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\" }" },
      { "akushu.client { trust = trust, groups = 'X25519:P-256' }", "option 'groups': a list of names is a table, such as { \"x25519\" }" },
      { "akushu.client { trust = trust, groups = { 'prime256v1' } }", "no group 'prime256v1' here; names are IANA's, and that is secp256r1" },
      { "akushu.client { trust = trust, groups = { 'secp256k1' } }", "no group 'secp256k1' here; names are IANA's, such as x25519 or secp256r1" },
      { "akushu.client { trust = trust, schemes = { 'RSA-PSS' } }", "no signature scheme 'RSA-PSS' here; names are IANA's, such as" },
      { "akushu.server { identity = leaf, sessions = { get = print, put = print, delete = print } }", "unknown field 'delete'; there are get, put and remove" },
      { "akushu.client { trust = trust, psk = { key = 'x' } }", "option 'psk': entry 1 needs 'identity' and 'key'" },
      { "akushu.client { trust = trust, psk = {} }", "option 'psk': an empty list" },
    }
  end)

  it("identities", function()
    each {
      { "akushu.server { identity = 'server.pem' }", "option 'identity': an identity, { chain =, key = }, or a list of them expected, got string" },
      { "akushu.client { trust = trust, identity = { cert = 'me.pem' } }", "option 'identity': unknown option 'cert'" },
      { "akushu.server { identity = {} }", "option 'identity' is missing" },
      { "akushu.server { identity = { leaf, other, 3 } }", "or a list of them expected, got 3" },
      { "akushu.server { identity = leaf.certificate }", "expected, got akushu.Certificate" },
      { "akushu.server { identity = { chain = leaf.pem_chain, key = other.pem_key } }", "option 'identity': the private key does not belong to the certificate" },
    }
  end)

  it("hooks", function()
    each {
      { "fresh():on('sending', '*', print)", "hs:on: no gate 'sending'; there are compose, send, plain_out, record_out, record_in, plain_in, receive" },
      { "fresh():on('send', print)", "hs:on: the name of a message expected, or \"*\", got function" },
      { "fresh():on('send', '*')", "hs:on: a function expected, got nil" },
      { "fresh():on()", "hs:on: the name of a gate expected (compose," },
      { "fresh().on('send', '*', print)", "hs:on: a handshake expected (hs:on, with a colon), got string" },
      { "fresh():on('receive', 'client_helo', print)", "no message 'client_helo'; did you mean 'client_hello'?" },
      { "fresh():on('receive', 'alert', print)", "no message 'alert'; the gate receive sees handshake messages; records go through record_out and record_in" },
      { "fresh():on('record_in', 'client_hello', print)", "no content type 'client_hello'; the gate record_in sees change_cipher_spec, alert, handshake and application_data" },
      { "akushu.client { trust = trust, hooks = { { 'recieve', '*', print } } }", "option 'hooks': entry 1: no gate 'recieve'; there are" },
    }
  end)

  it("the laboratory", function()
    each {
      { "akushu.lab { sed = 'x' }", "akushu.lab: unknown option 'sed'; did you mean 'seed'?" },
      { "lab:client '1.2'", "lab:client: a table of options expected, got string" },
      { "lab:server { key = 'nokey' }", "no such kind of key" },
      { "lab:key 'nokey'", "lab:key: no such kind of key: \"nokey\"; there are" },
      { "lab:identity(5)", "lab:identity: a kind of key such as" },
      { "lab:issue { name = 5 }", "issue: option 'name': a string or a list of" },
      { "lab:issue { purpose = 'tls' }", "option 'purpose': \"server\", \"client\"" },
      { "lab:ca 'x'", "a table of options expected, got string" },
      { "lab:advance '1 day'", "lab:advance: seconds expected, got string" },
      { "lab:run(lab:server {}, lab:client {})", "lab:run: the client is a server" },
      { "lab:run(lab:client {}, lab:server {}, 'x')", "lab:run: a table of options expected, got string" },
      { "lab:run(lab:client {}, lab:server {}, { date = 'x' })", "unknown option 'date'; did you mean 'data'?" },
      { "lab:run(lab:client {}, lab:server {}, { data = { 'a', 5 } })", "option 'data'[2]: a string expected, got 5" },
      { "lab:run(lab:client {}, lab:server {}, { chunk = 0 })", "option 'chunk': a number of bytes expected, got 0" },
      { "lab:run(lab:client {}, lab:server {}, { network = 5 })", "option 'network': a function expected, got 5" },
      { "lab:attempt(function(l) return l:client {}, l:server {} end, { 'drop' })", "mutation: its fields expected, got string" },
      { "lab:attempt(function(l) return l:client { trsut = 1 }, l:server {} end)", "unknown option 'trsut'; did you mean 'trust'?" },
      { "lab:attempt(function(l) return l:client {}, l:server {}, { dat = 1 } end)", "unknown option 'dat'; did you mean 'data'?" },
      { "lab:shrink(function(l) return l:client { trsut = 1 }, l:server {} end, {})", "unknown option 'trsut'; did you mean 'trust'?" },
      { "lab:shrink(function(l) return l:client {}, l:server {}, { dat = 1 } end, {})", "unknown option 'dat'; did you mean 'data'?" },
      { "lab:shrink(function(l) return l:key 'nokey' end, {})", "lab:key: no such kind of key: \"nokey\"; there are" },
      { "lab:shrink(function() error 'of the setup' end, {})", "of the setup" },
      { "lab:compare(1, 2)", "lab:compare: two traces expected, or 'script'" },
      { "trace:mutations { 'dropp' }", "no mutation 'dropp'; there are alert, bitflip" },
      { "trace:find 'messages'", "trace:find: no kind of entry 'messages'; there are alert, data" },
      { "trace:find('message', 'client_helo')", "trace:find: no message 'client_helo'; did you mean 'client_hello'?" },
      { "trace:all('message', '*', 'alice')", "trace:all: side: client or server expected, got alice" },
      { "trace:messages 'alice'", "trace:messages: client or server expected, got alice" },
      { "trace:wire 'alice'", "trace:wire: client or server expected, got alice" },
      { "trace:readable { key = leaf.key }", "unknown option 'key'" },
      { "trace:script { sid = 1 }", "trace:script: unknown option 'sid'; did you mean 'side'?" },
      { "akushu.script('client', print, { lab = 5 })", "akushu.script: option 'lab': a lab expected, got 5" },
      { "akushu.script('client', print):run(fresh())", "this script is the client, and the handshake is a client's, too" },
      { "akushu.script('client', print):run(server)", "script:run: a handshake, a socket, or { send =, receive = } expected, got akushu.Context" },
      { "require 'akushu.trace'.of(client)", "trace.of: a handshake expected, got akushu.Context" },
      { "require 'akushu.trace'.of()", "trace.of: a handshake expected, got nil" },
    }
  end)

  it("a script's own, in its failure", function()
    for text, fn in pairs {
      ["peer:share: no group 'nope'"] = function(peer) peer:share "nope" end,
      ["keys: version is not known, and is needed for its hash"] = function(peer) peer:finished() end,
    } do
      local nothing, message = akushu.script("client", fn, { lab = around.lab }):run(around.lab:server {}:handshake())
      assert.is_nil(nothing)
      assert(message:find(text, 1, true), message)
    end
  end)

  it("test certificates", function()
    each {
      { "akushu.testca.new { nam = 'x' }", "testca.new: unknown option 'nam'; did you mean" },
      { "akushu.testca.new { key = 'nope' }", "option 'key': " },
      { "ca:issue { names = { 'x' }, hash = 'md4' }", "issue: option 'hash': \"sha1\", \"sha256\"" },
      { "ca:issue { names = { 'x' }, serial = 'xyz' }", "issue: option 'serial': a whole number or hexadecimal digits expected, got xyz" },
      { "ca:issue { names = { 'x' }, purpose = 'tls' }", "option 'purpose': \"server\", \"client\", \"both\", \"ocsp\"" },
      { "ca:issue { names = { 'x' }, key = other.key, spki = leaf.key.spki }.identity", "no identity can be made of this certificate: the private key does not belong" },
      { "ca:trust { cafile = 'x' }", "trust: unknown option 'cafile'" },
      { "ca:trust { file = 'no-such-file.pem' }", "trust: a file cannot be read: no-such-file.pem" },
    }
  end)

  it("captures and other people's connections", function()
    each {
      { "require 'akushu.passive'.new 'keys.log'", "passive.new: a table of options expected, got string" },
      { "require 'akushu.passive'.new { keylogs = '' }", "passive.new: unknown option 'keylogs'; did you mean 'keylog'?" },
      { "require 'akushu.passive'.new { server_key = 'x' }", "passive.new: option 'server_key': a private key cannot be read" },
      { "require 'akushu.passive'.pcap('x', { keylogs = '' })", "passive.pcap: unknown option 'keylogs'" },
      { "trace:readable { server_key = 'garbage' }", "option 'server_key': a private key cannot be read" },
    }
  end)

  it("names of hosts", function()
    each {
      { "client:handshake { server_name = '' }", "option 'server_name': '' is not a host name or address" },
      { "client:handshake { server_name = 'localhost:443' }", "'localhost:443' is not a host name or address (no port, no https://, no letters but ASCII's: xn--…)" },
      { "client:handshake { server_name = ('x'):rep(300) }", "option 'server_name': 300 bytes are not a host name or address" },
    }
  end)

  it("arguments that are one of a few names", function()
    each {
      { "leaf.key:reveal 'PEM'", "\"pem\" or \"der\" expected, got 'PEM'" },
      { "leaf.key:sign('sha256', 'x')", "no signature scheme 'sha256'; there are ecdsa_secp256r1_sha256" },
      { "leaf.certificate:verify('sha256', 'x', 'y')", "no signature scheme 'sha256'" },
      { "fresh():abort 'oops'", "no alert 'oops'; names are the RFCs', such as handshake_failure" },
      { "akushu.supports('ciphers', 'x')", "akushu.supports: \"suites\", \"groups\", \"schemes\" or \"certificate_compression\" expected, got ciphers" },
      { "session():channel_binding 'unique'", "\"tls-unique\", \"tls-server-end-point\" or \"tls-exporter\" expected, got 'unique'" },
      { "client:ticket_keys()", "ticket keys are a server's: this is a client's context" },
      { "akushu.wire.decode('x', { what = 'nope' })", "option 'what': 'nope' is neither \"records\"" },
      { "akushu.wire.decode('x', { version = 'nope' })", "option 'version': 'nope' is none" },
      { "akushu.wire.decode(fresh():start():sub(6), { what = 'handshake' }).extensions:find 'key_shares'", "there is no 'key_shares' among the extensions" },
      { "akushu.wire.extension_allowed('key_shares', 'client_hello')", "there is no 'key_shares' among the extensions" },
      { "akushu.crypto.hkdf_expand('sha256', 's', 'l', 1e9)", "a number from 0 to 8160 expected, got 1000000000" },
    }
  end)

  it("stores, identities and chains", function()
    each {
      { "akushu.trust { cafile = 'x' }", "trust: unknown option 'cafile'; there are file, " },
      { "akushu.identity { cert = 'x' }", "identity: unknown option 'cert'; there are chain, key, password, " },
      { "trust:verify(leaf.chain, { hostname = 'x' })", "verify: unknown option 'hostname'; there are host, " },
      { "trust:verify(leaf)", "verify: the chain: an array expected, this table has a field '" },
    }
  end)

  it("a session that nothing resumes", function()
    for version, said in pairs {
      ["1.3"] = "there is no ticket: they come after the handshake, with what is opened next, and each is given once",
      ["1.2"] = "the server gave neither a session id nor a ticket",
    } do
      local server = akushu.server { identity = around.leaf, tickets = version == "1.3", sessions = false }
      local c, s = akushu.client { trust = around.trust, versions = version }:handshake { server_name = "localhost" }, server:handshake()
      local out = assert(c:start())
      while not (c.done and s.done) do out = assert(c:step(assert(s:step(out)))) end
      local _, message = assert(s:session()):resumption()
      assert(message:find("a server's session is resumed by its client", 1, true), message)
      local session = assert(c:session())
      local _, why, failure = session:resumption()
      assert.equal("not_ready", failure.code)
      assert(why:find(said, 1, true), why)
    end
  end)

  it("a file's name where its content belongs", function()
    local nothing, message = akushu.certificate "server.pem"
    assert.is_nil(nothing)
    assert(message:find("of a file its content is wanted, not its name", 1, true), message)
    nothing, message = akushu.private_key "server.key"
    assert.is_nil(nothing)
    assert(message:find("for a file there is private_key.file", 1, true), message)
    nothing, message = akushu.private_key "\1\2\3"
    assert.is_nil(nothing)
    assert.is_nil(message:find("private_key.file", 1, true), message)
  end)

  it("paths of the codec's nodes", function()
    each {
      { "require 'akushu.wire'.get({})", "a path such as \"extensions[3].data\" expected, got nil" },
      { "require 'akushu.wire'.annotate()", "must be a table or a string, not nil" },
    }
  end)
end)

describe("a mistake with an object is told at its line:", function()
  it("it was closed", function()
    local function closed(object)
      object:close()
      return object
    end
    around.closed = {
      Handshake = closed(around.fresh()), Context = closed(akushu.client { trust = around.trust }), Certificate = closed(akushu.certificate(around.leaf.der)),
      PrivateKey = closed(akushu.private_key(around.leaf.pem_key)), Identity = closed(akushu.identity { chain = around.leaf.der, key = around.leaf.key }),
      TrustStore = closed(around.ca:trust()),
    }
    local properties = { Handshake = "state", Context = "role", Certificate = "subject", PrivateKey = "type", Identity = "chain", TrustStore = "sources" }
    for class, property in pairs(properties) do
      assert.equal(("property '%s' of an akushu.%s that was closed"):format(property, class), error_of(("closed.%s.%s"):format(class, property)))
    end
    each {
      { "closed.Handshake.done", "property 'done' of an akushu.Handshake that was closed" },
      { "closed.Handshake:step ''", "calling 'step' on bad self (a handshake that was closed)" },
    }
  end)

  it("a number in a string's place, which Lua's own functions would take for its digits", function()
    each {
      { "session():export(5, nil, 16)", "bad argument #1 to 'export' (string expected, got number)" },
      { "session():seal(5)", "bad argument #1 to 'seal' (string or array of strings expected, got number)" },
      { "session():seal { 'a', 5 }", "bad argument #1 to 'seal' (an array of strings expected)" },
      { "session():channel_binding(5)", "(string expected, got number)" },
      { "leaf.certificate:matches(5)", "bad argument #1 to 'matches' (string expected, got number)" },
      { "leaf.identity:serves(5)", "bad argument #1 to 'serves' (string expected, got number)" },
      { "akushu.private_key('x', 5)", "bad argument #2 to " },
      { "akushu.crypto.digest(5, 'x')", "bad argument #1 to 'digest' (string expected, got number)" },
    }
  end)

  it("a staple that is a file's name, or PEM", function()
    each {
      { "akushu.identity { chain = leaf.der, key = leaf.key, ocsp = '/etc/staple.der' }",
        "identity: option 'ocsp': an OCSPResponse in DER expected, got a text (of a file its content is wanted, not its name)" },
      { "akushu.identity { chain = leaf.der, key = leaf.key, ocsp = ca:pem() }", "identity: option 'ocsp': an OCSPResponse in DER expected, got PEM" },
      { "leaf.identity:set_ocsp 'staple.der'", "bad argument #1 to 'set_ocsp' (an OCSPResponse in DER expected, got a text" },
      { "leaf.identity:set_ocsp(ca:pem())", "bad argument #1 to 'set_ocsp' (an OCSPResponse in DER expected, got PEM)" },
    }
  end)

  it("nothing to add to a trust store", function()
    each {
      { "ca:trust():add()", "bad argument #1 to 'add' (value expected)" },
      { "ca:trust():add_crl()", "bad argument #1 to 'add_crl' (value expected)" },
      { "ca:trust():add(nil)", "trust:add: PEM, DER or Certificate expected, got nil" },
    }
    assert.equal(1, #around.ca:trust():add {})
  end)

  it("an extension that needs no declaration, or a name that none can have", function()
    each {
      { "akushu.wire.declare_extension(0, 'my_name', {})", "bad argument #1 to 'declare_extension' (0 is server_name, an extension that akushu knows)" },
      { "akushu.wire.declare_extension(43, 'supported_versions', {})", "(43 is supported_versions, an extension that akushu knows)" },
    }
    for _, name in ipairs { "", "a b", "9lives", "_x", "line\nend", "a\0b", ("x"):rep(65) } do
      around.name = name
      each { { "akushu.wire.declare_extension(0xfaf0, name, {})", "bad argument #2 to 'declare_extension' (a name of letters, digits and _ expected" } }
    end
  end)
end)

describe("a certificate for somebody else's public key", function()
  it("has no private key and is no identity", function()
    for _, spec in ipairs { "ec:secp256r1", "rsa:2048" } do
      local key = akushu.private_key.generate(spec)
      local made = around.ca:issue { names = { "theirs.example" }, spki = key.spki }
      assert.equal(key.spki, made.certificate.spki)
      assert.is_nil(made.key)
      assert.is_nil(made.pem_key)
      assert.is_nil(made.identity)
      assert.is_true(around.trust:verify(made.chain, { host = "theirs.example" }).ok)
      assert(akushu.identity { chain = made.chain, key = key })
    end
  end)
end)
