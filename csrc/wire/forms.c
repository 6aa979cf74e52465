/* forms.c: which structure is the body of a message, when there are several. */
#include "wire/schema.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define F_NONE
#define AK_ITEM(name, field)
#define AK_CASES(name, rows)
#define AK_STRUCT(name, fields)
#define AK_EXT(type, places)
#define AK_EXT_FORM(type, struct_name, places)

enum { ANY = AK_SENDER_any, CLIENT = AK_SENDER_client, SERVER = AK_SENDER_server };

static const struct form {
    uint8_t type;
    uint8_t from_whom;
    uint16_t from, to;
    uint16_t kx;
    const ak_schema *schema;
} forms[] = {
#define AK_FORM(message, struct_name, from, to, kx, sender) {AK_HT_##message, sender, from, to, kx, &ak_schema_##struct_name},
#include "wire/messages.def"
};
#include "wire/undef.def"

static bool fits(const struct form *form, const ak_wire_context *c) {
    if (c->version != 0 && (c->version < form->from || c->version > form->to)) return false;
    if (c->kx != AK_WKX_unknown && (c->kx & form->kx) == 0) return false;
    return c->from == AK_SENDER_any || form->from_whom == AK_SENDER_any || form->from_whom == (uint8_t)c->from;
}

const ak_schema *ak_message_form(uint8_t handshake_type, const ak_wire_context *c, size_t i) {
    for (size_t k = 0; k < COUNT(forms); k++)
        if (forms[k].type == handshake_type && fits(&forms[k], c) && i-- == 0) return forms[k].schema;
    return NULL;
}

const ak_schema *ak_message_form_by_name(uint8_t handshake_type, const char *name) {
    for (size_t k = 0; k < COUNT(forms); k++)
        if (forms[k].type == handshake_type && strcmp(forms[k].schema->name, name) == 0) return forms[k].schema;
    return NULL;
}

/* ---- ServerHello ------------------------------------------------------------------------------------------------------------ */

/* RFC 8446 §4.1.3: the SHA-256 of "HelloRetryRequest". */
const uint8_t ak_hrr_random[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
                                   0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

static bool is_hrr_random(ak_view random) { return ak_view_eq(random, ak_view_of(ak_hrr_random, sizeof ak_hrr_random)); }

bool ak_is_hello_retry(const struct ak_server_hello *sh) { return is_hrr_random(sh->random); }

ak_message_kind ak_server_hello_kind(ak_view random, ak_view block) {
    ak_view data;
    if (is_hrr_random(random)) return AK_IN_hello_retry_request;
    return ak_ext_find(block, AK_EXT_supported_versions, &data) ? AK_IN_server_hello : AK_IN_server_hello_12;
}

/* ---- key exchanges ------------------------------------------------------------------------------------------------------------- */

/* What stands between "TLS_" and "_WITH_"; "_EXPORT" after it says how long the keys are, and for RSA that the server sends another key. */
static const struct {
    const char *name;
    ak_wire_kx kx;
} exchanges[] = {
    {"RSA", AK_WKX_rsa},           {"RSA_EXPORT", AK_WKX_rsa_export},     {"DH_DSS", AK_WKX_dh},
    {"DH_DSS_EXPORT", AK_WKX_dh},  {"DH_RSA", AK_WKX_dh},                 {"DH_RSA_EXPORT", AK_WKX_dh},
    {"DHE_DSS", AK_WKX_dhe},       {"DHE_DSS_EXPORT", AK_WKX_dhe},        {"DHE_RSA", AK_WKX_dhe},
    {"DHE_RSA_EXPORT", AK_WKX_dhe}, {"DH_anon", AK_WKX_dh_anon},          {"DH_anon_EXPORT", AK_WKX_dh_anon},
    {"ECDH_ECDSA", AK_WKX_ecdh},   {"ECDH_RSA", AK_WKX_ecdh},             {"ECDH_anon", AK_WKX_ecdh_anon},
    {"ECDHE_ECDSA", AK_WKX_ecdhe}, {"ECDHE_RSA", AK_WKX_ecdhe},           {"PSK", AK_WKX_psk},
    {"DHE_PSK", AK_WKX_dhe_psk},   {"PSK_DHE", AK_WKX_dhe_psk},           {"ECDHE_PSK", AK_WKX_ecdhe_psk},
    {"RSA_PSK", AK_WKX_rsa_psk},   {"SRP_SHA", AK_WKX_srp},               {"SRP_SHA_RSA", AK_WKX_srp_signed},
    {"SRP_SHA_DSS", AK_WKX_srp_signed},
};

ak_wire_kx ak_suite_wire_kx(uint16_t suite) {
    const char *name = ak_name(AK_REG_suites, suite);
    if (name == NULL || strstr(name, "_SCSV") != NULL) return AK_WKX_unknown;
    const char *kx = name + strlen("TLS_"), *with = strstr(kx, "_WITH_");
    if (with == NULL) return AK_WKX_tls13;
    size_t n = (size_t)(with - kx);
    for (size_t i = 0; i < COUNT(exchanges); i++)
        if (strlen(exchanges[i].name) == n && memcmp(exchanges[i].name, kx, n) == 0) return exchanges[i].kx;
    return AK_WKX_unknown;
}
