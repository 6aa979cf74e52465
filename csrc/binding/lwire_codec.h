/* lwire_codec.h: what the files of the Lua codec share. */
#ifndef AK_BINDING_LWIRE_CODEC_H
#define AK_BINDING_LWIRE_CODEC_H

#include "binding/lwire.h"

/* Metatables: of a message, record or list that was decoded or encoded as a whole; of a list of extensions; of an encoder's buffer. */
#define AK_WIRE_NODE "akushu.wire.node"
#define AK_WIRE_EXTENSIONS "akushu.wire.extensions"

/* Structures nest this deep at most; the built-in ones need 7, declared ones may add AK_DECLARED_DEPTH. */
#define AK_WIRE_DEPTH 24
#define AK_DECLARED_DEPTH 8

/* Keys with a meaning of their own in every table; no field has one of these names. "type" and "form" count in messages alone. */
extern const char *const ak_wire_reserved[];

/* What one decode or encode is about. */
typedef enum ak_wire_what {
    AK_WHAT_guess,
    AK_WHAT_records,
    AK_WHAT_record,
    AK_WHAT_messages,
    AK_WHAT_message,
    AK_WHAT_extensions,
    AK_WHAT_struct
} ak_wire_what;

typedef struct ak_wire_options {
    ak_wire_what what;
    ak_wire_context context;
    const ak_schema *schema; /* of AK_WHAT_struct */
    uint8_t content;         /* of AK_WHAT_message: ContentType, 0: handshake or by the table */
    ak_message_kind where;   /* of AK_WHAT_extensions */
    bool shallow;            /* records: fragments stay strings */
} ak_wire_options;

/* The place in a tree, as text: "extensions[3].data.key_shares[1].key_exchange". */
typedef struct ak_wire_path {
    char s[512];
    size_t n;
} ak_wire_path;

size_t ak_path_name(ak_wire_path *p, const char *name); /* these return what to give to ak_path_back */
size_t ak_path_index(ak_wire_path *p, size_t i);
static inline void ak_path_back(ak_wire_path *p, size_t n) { p->n = n; p->s[n] = '\0'; }

/* ak_wire_decode pushes what the bytes are. */
void ak_wire_decode(lua_State *L, ak_view bytes, const ak_wire_options *o);

/* ak_wire_encode: spans, when not 0, is the index of a table that takes one { path=, offset=, length=, prefix= } for every node, in the order of the bytes. */
bool ak_wire_encode(lua_State *L, int idx, const ak_wire_options *o, ak_buf *out, int spans, uint8_t *content, char *error, size_t n);

/* ak_wire_place_find: the place that a message's name stands for ("server_hello_12" and "ech_config" included); false when it has no extensions. */
bool ak_wire_place_find(const char *name, ak_message_kind *where);
const char *ak_wire_place_name(ak_message_kind where);
ak_wire_kx ak_wire_kx_find(const char *name);
/* ak_wire_content_schema: the structure of a message that is none of the handshake's; NULL: opaque. */
const ak_schema *ak_wire_content_schema(uint8_t content);

/* ---- registries as Lua tables (lwire_names.c) -------------------------------------------------------------------------------- */

/* ak_wire_push_names: pushes the table of a registry, names to numbers and numbers to names. */
void ak_wire_push_names(lua_State *L, ak_registry reg);

/* ---- extensions declared by a script (lwire_declare.c) -------------------------------------------------------------------------- */

/* ak_wire_push_declared: the structure declared for this extension in this place; NULL: none. Pushes what keeps it alive, or nil: a finalizer may declare the
 * extension anew at any allocation. */
const ak_schema *ak_wire_push_declared(lua_State *L, uint16_t type, ak_message_kind where);
int ak_wire_declare(lua_State *L); /* wire.declare_extension */

#endif
