-- The plaintext messages and records of RFC 8448's traces through the codec.
local vectors = require "spec.support.vectors"
local wire = require("akushu.core").wire

local hex = vectors.to_hex
local values = vectors.rfc8448()

local types = {
  ClientHello = "client_hello", ServerHello = "server_hello", EncryptedExtensions = "encrypted_extensions", Certificate = "certificate",
  CertificateRequest = "certificate_request", CertificateVerify = "certificate_verify", Finished = "finished",
  NewSessionTicket = "new_session_ticket", EndOfEarlyData = "end_of_early_data",
}

local function described(name, run)
  it(name, function()
    if not values then return pending "RFC 8448 is not here" end
    run()
  end)
end

describe("RFC 8448", function()
  described("'s messages are read whole and come back", function()
    local seen = {}
    for _, value in ipairs(values) do
      local wanted = types[value.name]
      if wanted and not (value.section == "4" and wanted == "client_hello") then -- that one is without its binders, see below
        local options = { what = "message", version = "1.3", from = value.side }
        local where = value.name .. " of section " .. value.section
        local message = wire.decode(value.bytes, options)
        if message.type == "hello_retry_request" then
          wanted = "hello_retry_request"
          assert.equal("5", value.section)
        end
        assert.equal(wanted, message.type, where)
        assert.is_nil(message.notes, where)
        assert.equal(hex(value.bytes), hex(wire.encode(message)), where)
        local ok, form = wire.check(value.bytes, options)
        assert.is_true(ok, where)
        assert.equal(hex(value.bytes:sub(5)), hex((wire.recode(value.bytes:sub(5), form))), where)
        seen[message.type] = (seen[message.type] or 0) + 1
      end
    end
    assert.same({ client_hello = 5, server_hello = 5, hello_retry_request = 1, encrypted_extensions = 5, certificate = 5,
      certificate_request = 1, certificate_verify = 5, finished = 10, new_session_ticket = 1, end_of_early_data = 1 }, seen)
  end)

  described("'s flights are read as several messages, and its records as records", function()
    local payloads, records = 0, 0
    for _, value in ipairs(values) do
      if value.name == "payload" and value.step == "send handshake record" then
        payloads = payloads + 1
        local list = wire.decode(value.bytes, { what = "messages", version = "1.3" })
        assert.is_nil(list.notes)
        assert.equal(hex(value.bytes), hex(wire.encode(list)))
      elseif value.name == "complete record" then
        records = records + 1
        local list = wire.decode(value.bytes, { what = "records" })
        assert.equal(1, #list)
        assert.is_nil(list.notes)
        assert.equal(hex(value.bytes), hex(wire.encode(list)))
      end
    end
    assert.is_true(payloads >= 10 and records >= 10)
  end)

  described("'s 0-RTT hello has the identity, the age and the binder that section 4 names", function()
    for _, value in ipairs(values) do
      if value.section == "4" and value.name == "payload" and value.bytes:byte(1) == 1 then
        local message = wire.decode(value.bytes)
        local psk = message.extensions[#message.extensions]
        assert.equal("pre_shared_key", psk.type)
        assert.equal(1, #psk.data.identities)
        assert.equal(0xfad6aacb, psk.data.identities[1].obfuscated_ticket_age)
        local offset, length = message:span("extensions[" .. #message.extensions .. "].data.binders")
        assert.equal(#value.bytes, offset + length)
        assert.equal(33, length)
        assert.is_true(wire.check(value.bytes))
        return
      end
    end
    error "there is no such hello"
  end)

  described("'s truncated hello, of which the binder is made, lies about its lengths and still comes back", function()
    local found = 0
    for _, value in ipairs(values) do
      if value.name == "ClientHello prefix" or value.section == "4" and value.name == "ClientHello" then
        found = found + 1
        local message = wire.decode(value.bytes)
        assert.equal(#value.bytes - 4 + 35, message.length)
        assert.equal("pre_shared_key", message.extensions[#message.extensions].type)
        assert.equal(hex(value.bytes), hex(wire.encode(message)))
        assert.is_nil((wire.check(value.bytes)))
      end
    end
    assert.equal(2, found)
  end)
end)
