/* registry.h: the registries of registry.def as C constants, and their names both ways. */
#ifndef AK_WIRE_REGISTRY_H
#define AK_WIRE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which they stand in registry.def. */
#define AK_REGISTRIES(R)                                                                                                       \
    R(versions) R(content_types) R(handshake_types) R(alert_levels) R(alerts) R(extensions) R(suites) R(compression_methods)   \
    R(groups) R(schemes) R(ec_point_formats) R(ec_curve_types) R(name_types) R(max_fragment_lengths) R(certificate_types)      \
    R(client_certificate_types) R(certificate_status_types) R(certificate_chain_types) R(certificate_compression_algorithms)   \
    R(trusted_authority_types) R(psk_key_exchange_modes) R(key_update_requests) R(heartbeat_modes) R(heartbeat_message_types)  \
    R(srtp_protection_profiles) R(user_mapping_types) R(authorization_data_formats) R(supplemental_data_formats)               \
    R(cached_information_types) R(ech_client_hello_types) R(hpke_kems) R(hpke_kdfs) R(hpke_aeads)

typedef enum ak_registry {
    AK_REG_none, /* numbers without names */
#define AK_ONE_REGISTRY(name) AK_REG_##name,
    AK_REGISTRIES(AK_ONE_REGISTRY)
#undef AK_ONE_REGISTRY
    AK_REG_COUNT
} ak_registry;

/* AK_HT_client_hello (HandshakeType), AK_EXT_server_name (ExtensionType), AK_TLS_AES_128_GCM_SHA256 (CipherSuite), AK_NG_x25519 (NamedGroup),
 * AK_SS_rsa_pss_rsae_sha256 (SignatureScheme), AK_CST_ocsp … */
enum {
#define AK_CODE(registry, enumerator, name, value) enumerator = value,
#define AK_NAME(registry, name, value)
#define AK_ALIAS(registry, name, value)
#include "wire/registry.def"
#undef AK_CODE
#undef AK_NAME
#undef AK_ALIAS
};

/* ak_name: the IANA name of a number, a static string, or NULL when it has none. */
const char *ak_name(ak_registry reg, uint32_t value);
/* ak_words: a code point of two bytes as messages say it: its name, or its number when it has none. Lives as long as the expression that it stands in. */
typedef struct ak_words_text {
    char s[72];
} ak_words_text;
ak_words_text ak_words_of(ak_registry reg, uint16_t value);
#define ak_words(reg, value) (ak_words_of(AK_REG_##reg, value).s)
/* ak_number: the number of an IANA name, an alias, or a friendlier spelling of either (case, '-', '_', '.', ' ' and '/' do not count). false: unknown. */
bool ak_number(ak_registry reg, const char *name, uint32_t *value);

/* ak_registry_entry: the i-th named value of a registry, i from 0, in ascending order; false beyond the last. For listing. */
bool ak_registry_entry(ak_registry reg, size_t i, const char **name, uint32_t *value);
/* ak_registry_name / ak_registry_find: "suites" for AK_REG_suites and back (AK_REG_COUNT when there is none). */
const char *ak_registry_name(ak_registry reg);
ak_registry ak_registry_find(const char *name);

/* ak_is_grease: the values of RFC 8701 with two bytes (0x0a0a, 0x1a1a … 0xfafa). */
static inline bool ak_is_grease(uint32_t v) { return v <= 0xffff && (v & 0x0f0f) == 0x0a0a && (v >> 8) == (v & 0xff); }

#endif
