/* check.c: the strict decode of whole messages, extensions included: what the engine does piece by piece, in one call for tests, tools and fuzzers. */
#include "wire/schema.h"

static ak_error check_body(uint16_t type, ak_view data, ak_message_kind where, ak_failure *f) {
    const ak_schema *s = ak_extension_form(type, where);
    return s != NULL ? ak_schema_check(s, data, f) : AK_OK;
}

ak_error ak_extension_bodies_check(ak_view extensions, ak_message_kind where, ak_failure *f) {
    ak_rd r;
    uint16_t type;
    ak_view data;
    ak_error e = ak_extensions_check(extensions, NULL, f);
    for (ak_rd_view(&r, extensions); e == AK_OK && ak_ext_next(&r, &type, &data);) e = check_body(type, data, where, f);
    return e;
}

static ak_error check_entries(ak_view list, ak_failure *f) {
    struct ak_certificate_entry entry;
    ak_rd r;
    ak_error e = AK_OK;
    for (ak_rd_view(&r, list); e == AK_OK && ak_next_certificate_entry(&r, &entry);)
        e = ak_extension_bodies_check(entry.extensions, AK_IN_certificate, f);
    return e;
}

/* check_extensions: those of a body that has been accepted as s. */
static ak_error check_extensions(const ak_schema *s, ak_view body, ak_failure *f) {
    union {
        struct ak_client_hello client_hello;
        struct ak_server_hello server_hello;
        struct ak_encrypted_extensions encrypted_extensions;
        struct ak_certificate_13 certificate;
        struct ak_certificate_request_13 request;
        struct ak_new_session_ticket_13 ticket;
    } x;
    if (s == &ak_schema_client_hello) {
        ak_error e = ak_decode_client_hello(body, &x.client_hello, f);
        return e != AK_OK ? e : ak_extension_bodies_check(x.client_hello.extensions, AK_IN_client_hello, f);
    }
    if (s == &ak_schema_server_hello) {
        ak_error e = ak_decode_server_hello(body, &x.server_hello, f);
        ak_message_kind kind = ak_server_hello_kind(x.server_hello.random, x.server_hello.extensions);
        return e != AK_OK ? e : ak_extension_bodies_check(x.server_hello.extensions, kind, f);
    }
    if (s == &ak_schema_encrypted_extensions) {
        ak_error e = ak_decode_encrypted_extensions(body, &x.encrypted_extensions, f);
        return e != AK_OK ? e : ak_extension_bodies_check(x.encrypted_extensions.extensions, AK_IN_encrypted_extensions, f);
    }
    if (s == &ak_schema_certificate_13) {
        ak_error e = ak_decode_certificate_13(body, &x.certificate, f);
        return e != AK_OK ? e : check_entries(x.certificate.certificate_list, f);
    }
    if (s == &ak_schema_certificate_request_13) {
        ak_error e = ak_decode_certificate_request_13(body, &x.request, f);
        return e != AK_OK ? e : ak_extension_bodies_check(x.request.extensions, AK_IN_certificate_request, f);
    }
    if (s == &ak_schema_new_session_ticket_13) {
        ak_error e = ak_decode_new_session_ticket_13(body, &x.ticket, f);
        return e != AK_OK ? e : ak_extension_bodies_check(x.ticket.extensions, AK_IN_new_session_ticket, f);
    }
    return AK_OK;
}

ak_error ak_message_check(uint8_t type, ak_view body, const ak_wire_context *c, const ak_schema **form, ak_failure *f) {
    const ak_schema *s;
    size_t i = 0;
    for (; (s = ak_message_form(type, c, i)) != NULL; i++)
        if (ak_schema_check(s, body, NULL) == AK_OK) break;
    if (form != NULL) *form = s;
    if (s != NULL) return check_extensions(s, body, f);
    if (i == 0) return ak_fail(f, AK_ERR_unexpected_message, "a handshake message of type %u has no form in this context", type);
    return ak_schema_check(ak_message_form(type, c, 0), body, f);
}
