/* legality.c: which extension may stand in which message (RFC 8446 §4.2), and what its body is there, from the rows of extensions.def. */
#include "wire/schema.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The columns, with the abbreviations of the RFC. */
enum {
    CH = AK_IN_client_hello,
    SH = AK_IN_server_hello,
    SH12 = AK_IN_server_hello_12,
    HRR = AK_IN_hello_retry_request,
    EE = AK_IN_encrypted_extensions,
    CT = AK_IN_certificate,
    CR = AK_IN_certificate_request,
    NST = AK_IN_new_session_ticket
};

#define F_NONE
#define AK_ITEM(name, field)
#define AK_CASES(name, rows)
#define AK_STRUCT(name, fields)
#define AK_EXT_FORM(type, struct_name, places)

static const struct {
    uint16_t type;
    uint16_t places;
} allowed[] = {
#define AK_EXT(type, places) {AK_EXT_##type, places},
#include "wire/extensions.def"
#undef AK_EXT
#undef AK_EXT_FORM
};

static const struct {
    uint16_t type;
    uint16_t places;
    const ak_schema *schema;
} forms[] = {
#define AK_EXT(type, places)
#define AK_EXT_FORM(type, struct_name, places) {AK_EXT_##type, places, &ak_schema_##struct_name},
#include "wire/extensions.def"
};
#include "wire/undef.def"

ak_placement ak_extension_allowed(uint16_t type, ak_message_kind where) {
    for (size_t i = 0; i < COUNT(allowed); i++)
        if (allowed[i].type == type) return (allowed[i].places & (unsigned)where) != 0 ? AK_PLACE_allowed : AK_PLACE_wrong;
    return AK_PLACE_unknown;
}

bool ak_extensions_misplaced(ak_view extensions, ak_message_kind where, uint16_t *type) {
    ak_rd r;
    ak_view data;
    for (ak_rd_view(&r, extensions); ak_ext_next(&r, type, &data);)
        if (ak_extension_allowed(*type, where) == AK_PLACE_wrong) return true;
    return false;
}

const ak_schema *ak_extension_form(uint16_t type, ak_message_kind where) {
    for (size_t i = 0; i < COUNT(forms); i++)
        if (forms[i].type == type && (forms[i].places & (unsigned)where) != 0) return forms[i].schema;
    return NULL;
}
