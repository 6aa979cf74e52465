-- Every structure of the wire format: a value, its bytes, and all the bytes that are nearly it.
local vectors = require "spec.support.vectors"
local wire = require("akushu.core").wire

local bytes, hex = vectors.from_hex, vectors.to_hex
local r32, h32 = ("\7"):rep(32), ("07"):rep(32)
local r20, h20 = ("\9"):rep(20), ("09"):rep(20)

local dh = { dh_p = "\1\2\3", dh_g = "\2", dh_ys = "\5\6" }
local dh_hex = "0003 010203  0001 02  0002 0506"
local ecdh = { curve_type = "named_curve", named_curve = "x25519", point = "\1\2\3\4" }
local ecdh_hex = "03 001d 04 01020304"
local srp = { srp_n = "\7\8", srp_g = "\2", srp_s = "ss", srp_b = "\9" }
local srp_hex = "0002 0708  0001 02  02 7373  0001 09"

-- { structure, value, bytes }. open: at which lengths a prefix is still whole: "rest" (its last field takes all that is left) or numbers.
-- grows: a longer one is whole, too. names: the value is not spelt as the decoder does.
local rows = {
  { "tls_plaintext", { type = "alert", version = "TLS 1.2", fragment = "\2\40" }, "15 0303 0002 0228" },
  { "change_cipher_spec", { type = "change_cipher_spec", value = 1 }, "01" },
  { "alert", { type = "alert", level = "fatal", description = "handshake_failure" }, "02 28" },
  { "heartbeat", { type = "heartbeat", message_type = "heartbeat_request", payload = "ab", padding = "\0\0" },
    "01 0002 6162 0000", open = { 5, 6 }, grows = true },
  { "hello_request", {}, "" },
  { "client_hello", { legacy_version = "TLS 1.2", random = r32, session_id = "id", cipher_suites = { "TLS_AES_128_GCM_SHA256", 0x0a0a },
    compression_methods = { "null" }, extensions = { { type = "extended_master_secret", data = {} }, { type = 0x1a1a, data = "x" } } },
    "0303" .. h32 .. "02 6964  0004 1301 0a0a  01 00  0009  0017 0000  1a1a 0001 78", open = { 45 } },
  { "server_hello", { legacy_version = "TLS 1.2", random = r32, session_id = "", cipher_suite = "TLS_AES_128_GCM_SHA256",
    compression_method = "null",
    extensions = { { type = "supported_versions", data = { selected_version = "TLS 1.3" } } } },
    "0303" .. h32 .. "00 1301 00  0006 002b 0002 0304", open = { 38 } },
  { "encrypted_extensions", { extensions = { { type = "record_size_limit", data = { record_size_limit = 0x4001 } } } },
    "0006 001c 0002 4001" },
  { "certificate_12", { certificate_list = { "cert", "c" } }, "00000b  000004 63657274  000001 63" },
  { "certificate_rpk_12", { subject_public_key_info = "spki" }, "000004 73706b69" },
  { "certificate_entry", { cert_data = "c", extensions = { { type = "signed_certificate_timestamp", data = { sct_list = { "s" } } } } },
    "000001 63  0009 0012 0005 0003 0001 73" },
  { "certificate_13", { certificate_request_context = "c", certificate_list = { { cert_data = "x", extensions = {} }, { cert_data = "y",
    extensions = {} } } },
    "01 63  00000c  000001 78 0000  000001 79 0000" },
  { "compressed_certificate", { algorithm = "brotli", uncompressed_length = 70000, compressed_certificate_message = "z" },
    "0002 011170 000001 7a" },
  { "certificate_request_10", { certificate_types = { "rsa_sign", "ecdsa_sign" }, certificate_authorities = { "dn" } },
    "02 01 40  0004 0002 646e" },
  { "certificate_request_12", { certificate_types = { "rsa_sign" }, supported_signature_algorithms = { "rsa_pkcs1_sha256" },
    certificate_authorities = {} },
    "01 01  0002 0401  0000" },
  { "certificate_request_13", { certificate_request_context = "", extensions = {
    { type = "signature_algorithms", data = { supported_signature_algorithms = { "ed25519" } } } } }, "00  0008 000d 0004 0002 0807" },
  { "certificate_verify", { algorithm = "rsa_pss_rsae_sha256", signature = "sig" }, "0804 0003 736967" },
  { "certificate_verify_10", { signature = "sig" }, "0003 736967" },
  { "ocsp_response", { ocsp_response = "r" }, "000001 72" },
  { "ocsp_response_list", { ocsp_response_list = { "r", "" } }, "000007  000001 72  000000" },
  { "certificate_status", { status_type = "ocsp", response = { ocsp_response = "r" } }, "01 000001 72" },
  { "url_and_hash", { url = "u", padding = 1, sha1_hash = r20 }, "0001 75 01" .. h20 },
  { "certificate_url", { chain_type = "pkipath", url_and_hash_list = { { url = "u", padding = 1, sha1_hash = r20 } } },
    "01 0018 0001 75 01" .. h20 },
  { "server_dh_params", dh, dh_hex },
  { "server_ecdh_params", ecdh, ecdh_hex },
  { "server_rsa_params", { rsa_modulus = "\1\2", rsa_exponent = "\3" }, "0002 0102 0001 03" },
  { "server_srp_params", srp, srp_hex },
  { "server_key_exchange_dhe_12", { params = dh, algorithm = "rsa_pkcs1_sha1", signature = "s" }, dh_hex .. "0201 0001 73" },
  { "server_key_exchange_dhe_10", { params = dh, signature = "s" }, dh_hex .. "0001 73" },
  { "server_key_exchange_dh_anon", { params = dh }, dh_hex },
  { "server_key_exchange_ecdhe_12", { params = ecdh, algorithm = "ecdsa_secp256r1_sha256", signature = "s" }, ecdh_hex .. "0403 0001 73" },
  { "server_key_exchange_ecdhe_10", { params = ecdh, signature = "s" }, ecdh_hex .. "0001 73" },
  { "server_key_exchange_ecdh_anon", { params = ecdh }, ecdh_hex },
  { "server_key_exchange_psk", { psk_identity_hint = "hint" }, "0004 68696e74" },
  { "server_key_exchange_dhe_psk", { psk_identity_hint = "", params = dh }, "0000" .. dh_hex },
  { "server_key_exchange_ecdhe_psk", { psk_identity_hint = "h", params = ecdh }, "0001 68" .. ecdh_hex },
  { "server_key_exchange_rsa_export", { params = { rsa_modulus = "\1", rsa_exponent = "\3" }, signature = "s" },
    "0001 01 0001 03 0001 73" },
  { "server_key_exchange_srp", { params = srp }, srp_hex },
  { "server_key_exchange_srp_10", { params = srp, signature = "s" }, srp_hex .. "0001 73" },
  { "server_key_exchange_srp_12", { params = srp, algorithm = "dsa_sha1", signature = "s" }, srp_hex .. "0202 0001 73" },
  { "server_hello_done", {}, "" },
  { "client_key_exchange_rsa", { encrypted_pre_master_secret = "\1\2" }, "0002 0102" },
  { "client_key_exchange_rsa_ssl3", { encrypted_pre_master_secret = "\1\2" }, "0102", open = "rest", grows = true },
  { "client_key_exchange_dhe", { dh_yc = "\5" }, "0001 05" },
  { "client_key_exchange_ecdhe", { point = "\4\1" }, "02 0401" },
  { "client_key_exchange_psk", { psk_identity = "me" }, "0002 6d65" },
  { "client_key_exchange_dhe_psk", { psk_identity = "me", dh_yc = "\5" }, "0002 6d65 0001 05" },
  { "client_key_exchange_ecdhe_psk", { psk_identity = "me", point = "\4\1" }, "0002 6d65 02 0401" },
  { "client_key_exchange_rsa_psk", { psk_identity = "me", encrypted_pre_master_secret = "\1" }, "0002 6d65 0001 01" },
  { "client_key_exchange_srp", { srp_a = "\5" }, "0001 05" },
  { "client_key_exchange_implicit", {}, "" },
  { "finished", { verify_data = "twelve bytes" }, "7477656c7665206279746573", open = "rest", grows = true },
  { "new_session_ticket_12", { ticket_lifetime_hint = 7200, ticket = "t" }, "00001c20 0001 74" },
  { "new_session_ticket_13", { ticket_lifetime = 7200, ticket_age_add = 0xfedcba98, ticket_nonce = "\0", ticket = "t",
    extensions = { { type = "early_data", data = { max_early_data_size = 16384 } } } },
      "00001c20 fedcba98 01 00 0001 74  0008 002a 0004 00004000" },
  { "end_of_early_data", {}, "" },
  { "key_update", { request_update = "update_requested" }, "01" },
  { "supplemental_data_entry", { supp_data_type = "authz_data", data = "d" }, "4002 0001 64" },
  { "supplemental_data", { supp_data = { { supp_data_type = 7, data = "" } } }, "000004 0007 0000" },
  { "message_hash", { hash = "h" }, "68", open = "rest", grows = true },
  { "next_protocol", { selected_protocol = "h2", padding = "\0" }, "02 6832 01 00" },

  { "server_name", { name_type = "host_name", host_name = "a.b" }, "00 0003 612e62" },
  { "ext_server_name", { server_name_list = { { name_type = "host_name", host_name = "a.b" } } }, "0006 00 0003 612e62" },
  { "ext_server_name_ack", {}, "" },
  { "ext_max_fragment_length", { max_fragment_length = "2^12" }, "04" },
  { "ext_client_certificate_url", {}, "" },
  { "pre_agreed_authority", {}, "" },
  { "sha1_hash", { sha1_hash = r20 }, h20 },
  { "x509_name", { distinguished_name = "dn" }, "0002 646e" },
  { "trusted_authority", { identifier_type = "x509_name", identifier = { distinguished_name = "dn" } }, "02 0002 646e" },
  { "ext_trusted_ca_keys", { trusted_authorities_list = { { identifier_type = "pre_agreed", identifier = {} },
    { identifier_type = "key_sha1_hash", identifier = { sha1_hash = r20 } } } }, "0016 00 01" .. h20 },
  { "ext_trusted_ca_keys_ack", {}, "" },
  { "ext_truncated_hmac", {}, "" },
  { "ocsp_status_request", { responder_id_list = { "id" }, request_extensions = "" }, "0004 0002 6964 0000" },
  { "ext_status_request", { status_type = "ocsp", request = { responder_id_list = {}, request_extensions = "" } }, "01 0000 0000" },
  { "ext_status_request_ack", {}, "" },
  { "ext_status_request_certificate", { status_type = "ocsp_multi", response = { ocsp_response_list = { "r" } } }, "02 000004 000001 72" },
  { "status_request_item_v2", { status_type = "ocsp_multi", request = { responder_id_list = {}, request_extensions = "" } },
    "02 0004 0000 0000" },
  { "ext_status_request_v2", { certificate_status_req_list = { { status_type = 9, request = "?" } } }, "0004 09 0001 3f" },
  { "ext_status_request_v2_ack", {}, "" },
  { "ext_user_mapping", { user_mapping_types = { "upn_domain_hint" } }, "01 40" },
  { "ext_client_authz", { authz_format_list = { "saml_assertion" } }, "01 01" },
  { "ext_server_authz", { authz_format_list = { "x509_attr_cert", 200 } }, "02 00 c8" },
  { "ext_cert_type_client", { certificate_types = { "OpenPGP", "X509" } }, "02 01 00" },
  { "ext_cert_type_server", { certificate_type = "X509" }, "00" },
  { "ext_client_certificate_type_client", { client_certificate_types = { "Raw Public Key" } }, "01 02" },
  { "ext_client_certificate_type_server", { client_certificate_type = "Raw Public Key" }, "02" },
  { "ext_server_certificate_type_client", { server_certificate_types = { "X509" } }, "01 00" },
  { "ext_server_certificate_type_server", { server_certificate_type = "X509" }, "00" },
  { "ext_supported_groups", { named_group_list = { "x25519", "X25519MLKEM768", 0x2a2a } }, "0006 001d 11ec 2a2a" },
  { "ext_ec_point_formats", { ec_point_format_list = { "uncompressed" } }, "01 00" },
  { "ext_srp", { srp_i = "me" }, "02 6d65" },
  { "ext_signature_algorithms", { supported_signature_algorithms = { "ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256" } },
    "0004 0403 0804" },
  { "ext_signature_algorithms_cert", { supported_signature_algorithms = { "rsa_pkcs1_sha256" } }, "0002 0401" },
  { "ext_use_srtp", { srtp_protection_profiles = { "SRTP_AEAD_AES_128_GCM" }, srtp_mki = "m" }, "0002 0007 01 6d" },
  { "ext_heartbeat", { mode = "peer_not_allowed_to_send" }, "02" },
  { "ext_application_layer_protocol_negotiation", { protocol_name_list = { "h2", "http/1.1" } }, "000c 02 6832 08 687474702f312e31" },
  { "ext_signed_certificate_timestamp", { sct_list = { "sct" } }, "0005 0003 736374" },
  { "ext_signed_certificate_timestamp_request", {}, "" },
  { "ext_padding", { padding = "\0\0" }, "0000", open = "rest", grows = true },
  { "ext_encrypt_then_mac", {}, "" },
  { "ext_extended_master_secret", {}, "" },
  { "ext_token_binding", { major = 1, minor = 0, key_parameters_list = { 2 } }, "01 00 01 02" },
  { "cached_object", { type = "cert", hash_value = "h" }, "01 01 68" },
  { "ext_cached_info_client", { cached_info = { { type = "cert_req", hash_value = "h" } } }, "0003 02 01 68" },
  { "ext_cached_info_server", { cached_info = { "cert" } }, "0001 01" },
  { "ext_compress_certificate", { algorithms = { "zlib", "zstd" } }, "04 0001 0003" },
  { "ext_record_size_limit", { record_size_limit = 64 }, "0040" },
  { "ext_delegated_credential_request", { supported_signature_algorithms = { "ed448" } }, "0002 0808" },
  { "ext_delegated_credential", { valid_time = 60, dc_cert_verify_algorithm = "ed25519", subject_public_key_info = "k",
    algorithm = "ed25519", signature = "s" },
    "0000003c 0807 000001 6b 0807 0001 73" },
  { "ext_session_ticket", { ticket = "t" }, "74", open = "rest", grows = true },
  { "psk_identity", { identity = "id", obfuscated_ticket_age = 0x01020304 }, "0002 6964 01020304" },
  { "ext_pre_shared_key_client", { identities = { { identity = "i", obfuscated_ticket_age = 0 } }, binders = { r32 } },
    "0007 0001 69 00000000  0021 20" .. h32 },
  { "ext_pre_shared_key_server", { selected_identity = 0 }, "0000" },
  { "ext_early_data", {}, "" },
  { "ext_early_data_ticket", { max_early_data_size = 0xffffffff }, "ffffffff" },
  { "ext_supported_versions_client", { versions = { 0x0a0a, "TLS 1.3", "TLS 1.2" } }, "06 0a0a 0304 0303" },
  { "ext_supported_versions_server", { selected_version = "TLS 1.3" }, "0304" },
  { "ext_cookie", { cookie = "c" }, "0001 63" },
  { "ext_psk_key_exchange_modes", { ke_modes = { "psk_dhe_ke", "psk_ke" } }, "02 01 00" },
  { "ext_certificate_authorities", { authorities = { "dn" } }, "0004 0002 646e" },
  { "oid_filter", { certificate_extension_oid = "o", certificate_extension_values = "" }, "01 6f 0000" },
  { "ext_oid_filters", { filters = { { certificate_extension_oid = "o", certificate_extension_values = "v" } } }, "0005 01 6f 0001 76" },
  { "ext_post_handshake_auth", {}, "" },
  { "key_share_entry", { group = "secp256r1", key_exchange = "\4" }, "0017 0001 04" },
  { "ext_key_share_client", { key_shares = { { group = 0x5a5a, key_exchange = "\0" }, { group = "x448", key_exchange = "\1\2" } } },
    "000b 5a5a 0001 00  001e 0002 0102" },
  { "ext_key_share_server", { group = "x25519", key_exchange = "\1" }, "001d 0001 01" },
  { "ext_key_share_hrr", { selected_group = "ffdhe2048" }, "0100" },
  { "ext_connection_id", { cid = "" }, "00" },
  { "ext_quic_transport_parameters", { parameters = "p" }, "70", open = "rest", grows = true },
  { "ext_ticket_request_client", { new_session_count = 2, resumption_count = 1 }, "02 01" },
  { "ext_ticket_request_server", { expected_count = 2 }, "02" },
  { "ext_dnssec_chain_client", { port_number = 443 }, "01bb" },
  { "ext_dnssec_chain_server", { ext_support_lifetime = 1, authentication_chain = "c" }, "0001 63", open = { 2 }, grows = true },
  { "ext_renegotiation_info", { renegotiated_connection = "" }, "00" },
  { "ext_next_protocol_negotiation_request", {}, "" },
  { "ext_next_protocol_negotiation", { protocols = { "h2", "" } }, "02 6832 00", open = { 0, 3 }, grows = true },
  { "ext_application_settings_client", { supported_protocols = { "h2" } }, "0003 02 6832" },
  { "ext_application_settings", { settings = "s" }, "73", open = "rest", grows = true },
  { "ext_channel_id", {}, "" },
  { "hpke_symmetric_cipher_suite", { kdf_id = "HKDF-SHA256", aead_id = "AES-128-GCM" }, "0001 0001" },
  { "ech_client_hello_outer", { cipher_suite = { kdf_id = "HKDF-SHA256", aead_id = "ChaCha20Poly1305" }, config_id = 7, enc = "e",
    payload = "p" },
    "0001 0003 07 0001 65 0001 70" },
  { "ech_client_hello_inner", {}, "" },
  { "hpke_key_config", { config_id = 7, kem_id = "DHKEM(X25519, HKDF-SHA256)", public_key = "k",
    cipher_suites = { { kdf_id = "HKDF-SHA256", aead_id = "AES-128-GCM" } } }, "07 0020 0001 6b 0004 0001 0001" },
  { "ech_config_contents", { key_config = { config_id = 7, kem_id = 0x20, public_key = "k", cipher_suites = { { kdf_id = 1,
    aead_id = 1 } } },
    maximum_name_length = 0, public_name = "n", extensions = { { type = 0x4a4a, data = "" } } },
    "07 0020 0001 6b 0004 0001 0001  00 01 6e 0004 4a4a 0000", names = true },
  { "ech_config", { version = 0xfe0e, contents = "?" }, "fe0e 0001 3f" },
  { "ext_encrypted_client_hello", { type = "inner", body = {} }, "01" },
  { "ext_encrypted_client_hello_retry_configs", { retry_configs = { { version = 0xfe0e, contents = "?" } } }, "0005 fe0e 0001 3f" },
  { "ext_encrypted_client_hello_hrr", { confirmation = "\1\2\3\4\5\6\7\8" }, "0102030405060708" },
  { "ext_ech_outer_extensions", { outer_extensions = { "key_share", 0x1234 } }, "04 0033 1234" },
}

-- A copy of a node without what the decoder adds to a whole.
local function plain(node)
  if type(node) ~= "table" then return node end
  local copy = {}
  for key, value in pairs(node) do
    if key ~= "form" then copy[key] = plain(value) end
  end
  return copy
end

local function still_whole(open, n)
  if open == "rest" then return true end
  for _, length in ipairs(open or {}) do
    if length == n then return true end
  end
  return false
end

describe("structure", function()
  it("has a row here for each of them", function()
    local missing = {}
    for _, name in ipairs(wire.structures()) do missing[name] = true end
    for _, row in ipairs(rows) do missing[row[1]] = nil end
    assert.same({}, missing)
  end)

  for _, row in ipairs(rows) do
    local name, value, wanted, open = row[1], row[2], bytes(row[3]), row.open

    describe(name, function()
      it("is encoded and decoded as the RFC has it", function()
        assert.equal(hex(wanted), hex(wire.encode(value, { what = name })))
        local node = wire.decode(wanted, { what = name })
        assert.is_nil(node.notes)
        if not row.names then assert.same(value, plain(node)) end
        assert.equal(name, node.form or node.type)
        assert.equal(hex(wanted), hex(wire.encode(node)))
        assert.is_true(wire.check(wanted, { what = name }))
      end)

      it("passes through its C struct", function()
        assert.equal(hex(wanted), hex((assert(wire.recode(wanted, name)))))
      end)

      it("is refused when cut anywhere, or followed by a byte", function()
        for n = 0, #wanted - 1 do
          local prefix = wanted:sub(1, n)
          local node = wire.decode(prefix, { what = name })
          assert.equal(hex(prefix), hex(wire.encode(node)))
          local checked, message, failure = wire.check(prefix, { what = name })
          local recoded = wire.recode(prefix, name)
          if still_whole(open, n) then
            assert.is_true(checked)
            assert.equal(prefix, recoded)
            assert.is_nil(node.notes)
          else
            assert.is_nil(checked, "accepted " .. n .. " bytes")
            assert.is_nil(recoded)
            assert.equal("decode_error", failure.code)
            assert.equal("decode_error", failure.alert)
            assert.matches("[%w_]+%.[%w_]+ at offset %d+: ", message)
            assert.is_true(#node.notes > 0)
          end
        end
        local longer = wanted .. "\255"
        local node = wire.decode(longer, { what = name })
        assert.equal(hex(longer), hex(wire.encode(node)))
        if not row.grows then
          local checked, message, failure = wire.check(longer, { what = name })
          assert.is_nil(checked)
          assert.equal("trailing_data", failure.code)
          assert.equal("decode_error", failure.alert)
          assert.matches(name .. " at offset " .. #wanted .. ": 1 bytes after its end", message, 1, true)
          assert.equal("\255", node.trailing)
          assert.is_nil((wire.recode(longer, name)))
        end
      end)

      it("takes its own bytes, and those of any of its parts, in place of tables", function()
        assert.equal(wanted, wire.encode(wanted, { what = name }))
        assert.equal(wanted, wire.encode({ raw = wanted }, { what = name }))
        for _, field in ipairs(wire.structure(name)) do
          local node = wire.decode(wanted, { what = name })
          local offset, length = wire.span(node, field)
          if offset then
            node[field] = { raw = wanted:sub(offset + 1, offset + length) }
            assert.equal(hex(wanted), hex(wire.encode(node)))
          end
        end
      end)
    end)
  end
end)

describe("the limits of a vector", function()
  local function refused(structure, input, detail)
    local ok, message, failure = wire.check(bytes(input), { what = structure })
    assert.is_nil(ok)
    assert.equal("decode_error", failure.code)
    assert.matches(detail, message, 1, true)
  end
  local hello = "0303" .. h32

  it("hold for what is too short", function()
    refused("client_hello", hello .. "00 0000 01 00", "client_hello.cipher_suites at offset 35: shorter than it must be")
    refused("client_hello", hello .. "00 0002 1301 00", "client_hello.compression_methods at offset 39: shorter than it must be")
    refused("ext_application_layer_protocol_negotiation", "0000", "protocol_name_list at offset 0: shorter")
    refused("ext_application_layer_protocol_negotiation", "0003 01 61 00", "item_protocol_name.name at offset 4: shorter")
    refused("ext_server_name", "0000", "server_name_list at offset 0: shorter")
    refused("ext_server_name", "0003 00 0000", "server_name.host_name at offset 3: shorter")
    refused("ext_pre_shared_key_client", "0007 0001 69 00000000  0000", "binders at offset 9: shorter")
    refused("ext_key_share_client", "0004 001d 0000", "key_share_entry.key_exchange at offset 4: shorter")
    refused("certificate_13", "00 000005 000000 0000", "certificate_entry.cert_data at offset 4: shorter")
    refused("ext_cookie", "0000", "cookie at offset 0: shorter")
    refused("server_ecdh_params", "03 001d 00", "server_ecdh_params.point at offset 3: shorter")
  end)

  it("hold for what is too long", function()
    refused("client_hello", hello .. "21" .. ("00"):rep(33) .. "0002 1301 01 00",
      "client_hello.session_id at offset 34: longer than it may be")
    refused("new_session_ticket_13", "00000000 00000000 00 0001 74 ffff" .. ("0015 fffb" .. ("00"):rep(65531)),
      "extensions at offset 12: longer")
    refused("ext_supported_versions_client", "ff" .. ("03"):rep(255), "versions at offset 0: longer")
  end)

  it("keep items whole", function()
    refused("client_hello", hello .. "00 0003 130113 01 00", "item_suite.suite at offset 39: the last item is cut off")
    refused("ext_supported_groups", "0003 001d 00", "item_group.group at offset 4: the last item is cut off")
    refused("encrypted_extensions", "0003 001c 00", "encrypted_extensions.extensions at offset 2: an extension is cut off")
    refused("ext_status_request_v2", "0008 01 0005 0000 0000 00", "status_request_item_v2.request at offset 9: bytes are left over inside")
  end)

  it("leave no choice where the standards left none", function()
    refused("server_ecdh_params", "01 001d 01 00", "server_ecdh_params.curve_type at offset 0: a form that is not supported")
    local node = wire.decode(bytes "01 001d 01 00", { what = "server_ecdh_params" })
    assert.equal("explicit_prime", node.curve_type)
    assert.is_true(node.truncated)
    assert.equal(bytes "001d0100", node.trailing)
    assert.equal("01001d0100", hex(wire.encode(node)))
  end)

  it("do not bind the encoder: a lab can send what is wrong", function()
    assert.equal("0000", hex(wire.encode({ cookie = "" }, { what = "ext_cookie" })))
    assert.equal("00050001", hex(wire.encode({ cookie = { raw = "\0\1", length = 5 } }, { what = "ext_cookie" })))
  end)
end)
