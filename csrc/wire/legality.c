/* legality.c: which extension may stand in which message (RFC 8446 §4.2), from the rows of extensions.def. */
#include "wire/schema.h"

#define F_NONE
#define AK_ITEM(name, field)
#define AK_CASES(name, rows)
#define AK_STRUCT(name, fields)
#define AK_FORM(message, struct_name, from, to, kx, sender)
#define AK_EXT_FORM(type, struct_name, places)

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

static const struct {
    uint16_t type;
    uint16_t places;
} table[] = {
#define AK_EXT(type, places) {AK_EXT_##type, places},
#include "wire/extensions.def"
};
#include "wire/undef.def"

ak_placement ak_extension_allowed(uint16_t type, ak_message_kind where) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].type == type) return (table[i].places & (unsigned)where) != 0 ? AK_PLACE_allowed : AK_PLACE_wrong;
    return AK_PLACE_unknown;
}

bool ak_extensions_misplaced(ak_view extensions, ak_message_kind where, uint16_t *type) {
    ak_rd r;
    ak_view data;
    for (ak_rd_view(&r, extensions); ak_ext_next(&r, type, &data);)
        if (ak_extension_allowed(*type, where) == AK_PLACE_wrong) return true;
    return false;
}
