/* lwire_decode.h: what the two halves of the decoder share: fields, structures and extensions (lwire_decode.c), and what holds them (lwire_decode_whole.c). */
#ifndef AK_BINDING_LWIRE_DECODE_H
#define AK_BINDING_LWIRE_DECODE_H

#include "binding/lwire_codec.h"

typedef struct ak_dec {
    lua_State *L;
    const ak_wire_options *o;
    ak_wire_context c; /* grows while hellos go by */
    const uint8_t *base;
    int notes; /* index of a slot: nil, or the list of notes */
    unsigned depth;
    bool changed_keys; /* a ChangeCipherSpec of TLS <= 1.2 went by: what follows is encrypted */
    ak_wire_path path;
} ak_dec;

static inline ak_rd ak_dec_inside(ak_view v) {
    ak_rd r;
    ak_rd_view(&r, v);
    return r;
}
/* ak_dec_note: remembers that something is wrong at p, for the root's `notes`; and for the table on top of the stack, when it has one. */
void ak_dec_note(ak_dec *d, const uint8_t *p, bool on_top, const char *text);
/* ak_dec_push: bytes as a string. ak_dec_set: t[key] = the value on top, for the table below it. */
void ak_dec_push(ak_dec *d, ak_view v);
void ak_dec_set(ak_dec *d, const char *key);
/* ak_dec_trailing: the rest of r as `trailing` of the table on top. */
void ak_dec_trailing(ak_dec *d, ak_rd *r, const char *why);
/* ak_dec_clipped: a vector with a length before it, cut down to what is there; *length is what it says. False: not even the length is there. */
bool ak_dec_clipped(ak_rd *r, unsigned prefix, ak_view *v, size_t *length);
/* ak_dec_beyond: the table on top is of a vector v that says this length, which goes beyond the end. */
void ak_dec_beyond(ak_dec *d, ak_view v, size_t length);
/* ak_dec_fields: the fields of s into the table on top. ak_dec_struct and ak_dec_extensions push one. */
void ak_dec_fields(ak_dec *d, ak_rd *r, const ak_schema *s);
void ak_dec_struct(ak_dec *d, ak_rd *r, const ak_schema *s);
void ak_dec_extensions(ak_dec *d, ak_rd *r, ak_message_kind where);

#endif
