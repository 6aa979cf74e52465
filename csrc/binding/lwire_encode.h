/* lwire_encode.h: the encoder, shared by lwire_encode.c (what structures are made of) and lwire_encode_whole.c (messages, records, lists of them).
 *
 * All functions that return bool say false after ak_enc_wrong. idx is an absolute index of the stack. */
#ifndef AK_BINDING_LWIRE_ENCODE_H
#define AK_BINDING_LWIRE_ENCODE_H

#include "binding/lwire_codec.h"

typedef struct ak_enc {
    lua_State *L;
    const ak_wire_options *o;
    ak_buf *out;
    size_t base; /* where in out this encode began */
    int spans;
    unsigned depth;
    ak_message_kind hello; /* set while a hello_retry_request is written under that name */
    char *error;
    size_t error_size;
    ak_wire_path path;
} ak_enc;

/* ak_enc_frame: what a field leaves for the next ones in the same structure. */
typedef struct ak_enc_frame {
    uint32_t selector;
    size_t fixed_at, fixed_n; /* where in out the last fixed array stands */
} ak_enc_frame;

typedef struct ak_enc_vector {
    size_t start; /* of the content */
    lua_Integer span;
    unsigned prefix;
} ak_enc_vector;

/* ak_enc_wrong: says what is wrong, after the path. Always false. */
AK_PRINTF(2, 3)
bool ak_enc_wrong(ak_enc *e, const char *fmt, ...);
/* ak_enc_must_be: the same for a value of the wrong type. */
bool ak_enc_must_be(ak_enc *e, int idx, const char *what);

bool ak_enc_put(ak_enc *e, const void *p, size_t n);
/* ak_enc_get: pushes t[key] of the table at idx, without metamethods. */
int ak_enc_get(ak_enc *e, int idx, const char *key);
/* ak_enc_put_string_field: appends the string t[key]; nil: nothing. */
bool ak_enc_put_string_field(ak_enc *e, int idx, const char *key);
/* ak_enc_raw_or_string: whether the value at idx gives its bytes as they are: a string, or a table with `raw`; they are appended then. */
bool ak_enc_raw_or_string(ak_enc *e, int idx, bool *ok);
/* ak_enc_stranger: the first key of the table at idx that is neither a field of s nor has a meaning of its own; false: there is none. */
bool ak_enc_stranger(lua_State *L, int idx, const ak_schema *s, char *name, size_t n);

/* A node begins, a node ends. Nodes stand in the list in the order in which they begin. */
lua_Integer ak_enc_open_span(ak_enc *e, unsigned prefix);
void ak_enc_close_span(ak_enc *e, lua_Integer i, size_t start);
/* open_length leaves room for a length; close_length writes it: the one that the table at idx gives (0: there is no table), or that of what was
 * put since `start`. The vectors do the same and are nodes. */
size_t ak_enc_open_length(ak_enc *e, unsigned prefix);
/* ak_enc_without: the table at idx (nothing is asked of other values) has no t[key], which would be lost: `why`. no_length: `length`, where there is no prefix. */
bool ak_enc_without(ak_enc *e, int idx, const char *key, const char *why);
bool ak_enc_no_length(ak_enc *e, int idx);
bool ak_enc_close_length(ak_enc *e, size_t start, unsigned prefix, int idx);
ak_enc_vector ak_enc_open_vector(ak_enc *e, unsigned prefix);
bool ak_enc_close_vector(ak_enc *e, const ak_enc_vector *v, int idx);

/* ak_enc_only_items: the list at idx, of n items, has no keys beside them but those with a meaning. */
bool ak_enc_only_items(ak_enc *e, int idx, lua_Unsigned n);
bool ak_enc_write_number(ak_enc *e, int idx, const ak_field *field, ak_enc_frame *fr);
/* ak_enc_write_fields: the fields of s in the table at idx, and what trails; put_struct: the same for a value of any kind; write_struct: as a node. */
bool ak_enc_write_fields(ak_enc *e, int idx, const ak_schema *s);
bool ak_enc_put_struct(ak_enc *e, int idx, const ak_schema *s);
bool ak_enc_write_struct(ak_enc *e, int idx, const ak_schema *s);
/* ak_enc_write_extensions: the list at idx. AK_IN_server_hello: of TLS 1.3 or 1.2, as the list itself tells. */
bool ak_enc_write_extensions(ak_enc *e, int idx, ak_message_kind where);
/* ak_enc_bless: gives the table at idx a metatable, unless it has one. */
void ak_enc_bless(lua_State *L, int idx, const char *name);

#endif
