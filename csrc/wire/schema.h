/* schema.h: the wire format, as C sees it. All of it comes from messages.def and extensions.def; read those for the formats, this for their use.
 *
 * For every structure X of those files there are
 *
 *     struct ak_X                                                    its fields under their names: integers as numbers; vectors, lists (without
 *                                                                    their length prefix) and fixed arrays as views; has_f for an optional part
 *                                                                    that begins with f; and `raw`, the bytes it was decoded from
 *     ak_error ak_decode_X(ak_view body, struct ak_X *out, ak_failure *f)
 *     bool     ak_next_X(ak_rd *r, struct ak_X *out)
 *     bool     ak_encode_X(const struct ak_X *in, ak_buf *out)
 *     extern const ak_schema ak_schema_X                             the table that the Lua codec walks
 *
 * ak_decode_X is strict: every byte is accounted for at every level, every vector is within the limits of its definition, every list holds
 * whole items (whose own parts are checked, too). The views point into `body`. Errors: AK_ERR_decode_error, or AK_ERR_trailing_data for bytes after the
 * end; the detail names structure, field and offset. It does not judge values: unknown numbers, duplicates, emptiness that a version forbids are
 * the engine's business (ak_extensions_check, legality below). *out is all zeros after a failure; out->raw is always set after a success.
 *
 * ak_next_X reads one X from a cursor over a list that a strict decode has accepted; false at its end (or on bytes that are no X: r->bad).
 *
 *     struct ak_key_share_entry e;
 *     ak_rd r;
 *     for (ak_rd_view(&r, ext.key_shares); ak_next_key_share_entry(&r, &e);) …
 *
 * ak_encode_X appends the body (no handshake header, no extension header) and computes the length prefixes; `raw` is not read. false, and `out` bad, when
 * a vector is too long for its prefix or memory is short. Minimal lengths are the caller's business, so that a lab can send what is wrong. */
#ifndef AK_WIRE_SCHEMA_H
#define AK_WIRE_SCHEMA_H

#include "base/buf.h"
#include "base/error.h"
#include "wire/registry.h"

/* ---- places: the messages that carry extensions -------------------------------------------------------------------------- */

typedef enum ak_message_kind {
    AK_IN_client_hello = 1 << 0,
    AK_IN_server_hello = 1 << 1,        /* of TLS 1.3 */
    AK_IN_server_hello_12 = 1 << 2,     /* of TLS 1.2 and earlier */
    AK_IN_hello_retry_request = 1 << 3,
    AK_IN_encrypted_extensions = 1 << 4,
    AK_IN_certificate = 1 << 5,         /* a CertificateEntry of TLS 1.3 */
    AK_IN_certificate_request = 1 << 6, /* of TLS 1.3 */
    AK_IN_new_session_ticket = 1 << 7,  /* of TLS 1.3 */
    AK_IN_ech_config = 1 << 8           /* extensions of another registry, all of them opaque here */
} ak_message_kind;

typedef enum ak_placement {
    AK_PLACE_unknown,  /* an extension that is not known here */
    AK_PLACE_wrong,    /* known, and it must not be in this message */
    AK_PLACE_allowed
} ak_placement;

/* ak_extension_allowed: RFC 8446 §4.2's table, as IANA keeps it (legality.c). `where` is one ak_message_kind. Whether it was asked for is another question. */
ak_placement ak_extension_allowed(uint16_t type, ak_message_kind where);

/* Key exchanges, as far as they decide the form of a message; a set of bits so that a form can name several. */
typedef enum ak_wire_kx {
    AK_WKX_unknown = 0,
    AK_WKX_rsa = 1 << 0,
    AK_WKX_rsa_export = 1 << 1,
    AK_WKX_dhe = 1 << 2, /* signed */
    AK_WKX_dh_anon = 1 << 3,
    AK_WKX_dh = 1 << 4, /* static */
    AK_WKX_ecdhe = 1 << 5,
    AK_WKX_ecdh_anon = 1 << 6,
    AK_WKX_ecdh = 1 << 7,
    AK_WKX_psk = 1 << 8,
    AK_WKX_dhe_psk = 1 << 9,
    AK_WKX_ecdhe_psk = 1 << 10,
    AK_WKX_rsa_psk = 1 << 11,
    AK_WKX_srp = 1 << 12,
    AK_WKX_srp_signed = 1 << 13,
    AK_WKX_tls13 = 1 << 14,
    AK_WKX_any = 0xffff
} ak_wire_kx;

/* ak_suite_wire_kx: the key exchange in a suite's name; AK_WKX_unknown for numbers without one and exchanges without a form here (Kerberos, GOST …). */
ak_wire_kx ak_suite_wire_kx(uint16_t suite);

/* ---- the tables -------------------------------------------------------------------------------------------------------------- */

typedef enum ak_field_kind {
    AK_F_uint,   /* `prefix` bytes long */
    AK_F_fixed,  /* min bytes */
    AK_F_vec,
    AK_F_list,
    AK_F_rest,
    AK_F_exts,
    AK_F_sub,
    AK_F_select,
    AK_F_maybe
} ak_field_kind;

typedef struct ak_schema ak_schema;

typedef struct ak_case {
    uint32_t value;
    const ak_schema *schema; /* NULL: the end */
} ak_case;

typedef struct ak_field {
    const char *name;
    ak_field_kind kind;
    uint8_t prefix;     /* bytes of an integer, or of the length before a vector; 0: none */
    bool only;          /* an integer that must be `min` */
    uint16_t registry;  /* ak_registry: names of an integer's values */
    uint16_t where;     /* ak_message_kind of AK_F_exts; server_hello means whichever of the three it is */
    uint32_t min, max;  /* bytes of a vector */
    const ak_schema *of;  /* item of a list, or the structure inside */
    const ak_case *cases; /* of AK_F_select */
} ak_field;

struct ak_schema {
    const char *name;
    const ak_field *fields;
    size_t n;
    bool bare; /* an item without a name: the value of its only field stands for it */
};

/* ---- structs and prototypes ---------------------------------------------------------------------------------------------------- */

#define F_NONE
#define F_U8(name, registry) uint8_t name;
#define F_U16(name, registry) uint16_t name;
#define F_U24(name, registry) uint32_t name;
#define F_U32(name, registry) uint32_t name;
#define F_ONLY_U8(name, registry, value) uint8_t name;
#define F_FIXED(name, n) ak_view name;
#define F_VEC(name, prefix, min, max) ak_view name;
#define F_LIST(name, prefix, min, max, item) ak_view name;
#define F_REST(name) ak_view name;
#define F_EXTS(name, min, max, where) ak_view name;
#define F_SUB(name, struct_name) ak_view name;
#define F_SELECT(name, prefix, cases) ak_view name;
#define F_MAYBE(name) bool has_##name;
#define AK_ITEM(name, field) extern const ak_schema ak_schema_##name;
#define AK_CASES(name, rows)
#define AK_FORM(message, struct_name, from, to, kx, sender)
#define AK_EXT(type, places)
#define AK_EXT_FORM(type, struct_name, places)
#define AK_STRUCT(name, fields)                                                            \
    struct ak_##name {                                                                     \
        ak_view raw;                                                                       \
        fields                                                                             \
    };                                                                                     \
    ak_error ak_decode_##name(ak_view body, struct ak_##name *out, ak_failure *f);         \
    bool ak_next_##name(ak_rd *r, struct ak_##name *out);                                  \
    bool ak_encode_##name(const struct ak_##name *in, ak_buf *out);                        \
    extern const ak_schema ak_schema_##name;
#include "wire/messages.def"
#include "wire/extensions.def"
#include "wire/undef.def"

/* ---- handshake header ------------------------------------------------------------------------------------------------------------- */

#define AK_HANDSHAKE_HEADER 4

/* ak_handshake_open: writes the header of a handshake message and returns a mark; ak_handshake_close fills in its length. */
size_t ak_handshake_open(ak_buf *out, uint8_t type);
bool ak_handshake_close(ak_buf *out, size_t mark);
/* ak_handshake_split: the type and body of one whole message. AK_ERR_decode_error when the length in the header is not what follows it. */
ak_error ak_handshake_split(ak_view message, uint8_t *type, ak_view *body, ak_failure *f);

/* ak_hrr_random: the random that makes a ServerHello a HelloRetryRequest (RFC 8446 §4.1.3). */
extern const uint8_t ak_hrr_random[32];
bool ak_is_hello_retry(const struct ak_server_hello *sh);

/* ---- walking lists ------------------------------------------------------------------------------------------------------------------- */

/* Lists of numbers: whether v is in it; how many; the i-th (from 0). */
bool ak_list_u8_has(ak_view list, uint8_t v);
bool ak_list_u16_has(ak_view list, uint16_t v);
static inline size_t ak_list_u16_count(ak_view list) { return list.n / 2; }
static inline uint16_t ak_list_u16_at(ak_view list, size_t i) { return (uint16_t)((list.p[2 * i] << 8) | list.p[2 * i + 1]); }
/* The next of a list of vectors with a length of 1, 2 or 3 bytes each (protocol names, binders; names of CAs, SCTs; certificates); false at the end. */
static inline bool ak_list_next(ak_rd *r, unsigned prefix, ak_view *out) { return ak_rd_left(r) != 0 && ak_rd_vec(r, out, prefix); }
/* ak_list_vec_has: whether a list of vectors holds these (public) bytes. */
bool ak_list_vec_has(ak_view list, unsigned prefix, ak_view wanted);
/* ak_list_vec_count: how many vectors a list holds. */
size_t ak_list_vec_count(ak_view list, unsigned prefix);

/* ak_ext_next: the next extension of a block; false at its end (or on bytes that are none: r->bad). */
bool ak_ext_next(ak_rd *r, uint16_t *type, ak_view *data);
/* ak_ext_set: a bit for each type below 64 that is there. */
uint64_t ak_ext_set(ak_view extensions);
/* ak_ext_find: the first extension of this type. */
bool ak_ext_find(ak_view extensions, uint16_t type, ak_view *data);
/* ak_extensions_check: AK_ERR_decode_error, or AK_ERR_duplicate_extension when a type stands twice; the number of extensions in *count (may be
 * NULL). Its time grows with the length of the block alone. */
ak_error ak_extensions_check(ak_view extensions, size_t *count, ak_failure *f);
/* ak_extensions_misplaced: the first extension that is known and must not be in `where`; false when there is none. */
bool ak_extensions_misplaced(ak_view extensions, ak_message_kind where, uint16_t *type);
/* ak_ext_open / ak_ext_close: writes an extension's header; the body goes between. */
size_t ak_ext_open(ak_buf *out, uint16_t type);
static inline bool ak_ext_close(ak_buf *out, size_t mark) { return ak_buf_close(out, mark, 2); }
/* ak_ext_put: an extension from the bytes of its body. */
bool ak_ext_put(ak_buf *out, uint16_t type, ak_view body);

/* ---- choosing forms -------------------------------------------------------------------------------------------------------------------- */

typedef enum ak_sender { AK_SENDER_any, AK_SENDER_client, AK_SENDER_server } ak_sender;

/* ak_wire_context: what has to be known to tell the forms of a message apart; 0 in a field: not known. */
typedef struct ak_wire_context {
    uint16_t version; /* the negotiated one */
    uint16_t kx;      /* ak_wire_kx */
    ak_sender from;
} ak_wire_context;

/* ak_message_form: the i-th form (from 0) that the body of this message can have in this context; NULL beyond the last. */
const ak_schema *ak_message_form(uint8_t handshake_type, const ak_wire_context *c, size_t i);
/* ak_message_form_by_name: the form of this message with this name ("certificate_13"), whatever the context; NULL when there is none. */
const ak_schema *ak_message_form_by_name(uint8_t handshake_type, const char *name);
/* ak_extension_form: the structure of an extension's body in a message; NULL: opaque here. */
const ak_schema *ak_extension_form(uint16_t type, ak_message_kind where);
/* ak_schema_find: any structure by its name; NULL when there is none. */
const ak_schema *ak_schema_find(const char *name);
/* ak_schema_at: the i-th structure (from 0) of messages.def and extensions.def; NULL beyond the last. */
const ak_schema *ak_schema_at(size_t i);
/* ak_server_hello_kind: which of the three a ServerHello is, by its random and extensions (the block's bytes; may be empty). */
ak_message_kind ak_server_hello_kind(ak_view random, ak_view extensions);

/* ak_schema_check: the strict decode without its result, for a structure that is known only at run time. */
ak_error ak_schema_check(const ak_schema *schema, ak_view body, ak_failure *f);

/* ak_extension_bodies_check: ak_extensions_check, and the strict decode of every body that has a structure in this place (check.c). */
ak_error ak_extension_bodies_check(ak_view extensions, ak_message_kind where, ak_failure *f);
/* ak_message_check: the strict decode of the body of a handshake message, its extensions' bodies included. The forms that the context allows are tried in
 * order; *form (may be NULL) is the one that fits. The error is the first form's when none does; AK_ERR_unexpected_message when there is no form. */
ak_error ak_message_check(uint8_t type, ak_view body, const ak_wire_context *c, const ak_schema **form, ak_failure *f);

/* ak_wire_recode: decodes strictly into the C struct and encodes that again, for the structure of this name: what tests and fuzzers compare. *known is false
 * when there is no such structure. */
ak_error ak_wire_recode(const char *name, ak_view body, ak_buf *out, bool *known, ak_failure *f);

#endif
