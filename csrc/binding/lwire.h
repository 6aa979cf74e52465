/* lwire.h: the Lua codec: the tables of wire/ walked in both directions, between bytes and Lua tables.
 *
 * What a script sees is described in lwire.c. Decoding takes any bytes and never fails; encoding what was decoded gives the same bytes. */
#ifndef AK_BINDING_LWIRE_H
#define AK_BINDING_LWIRE_H

#include "wire/schema.h"

#include <lua.h>

/* ak_lua_push_message: pushes the table of one message. content: the record's ContentType; for a handshake message bytes are the whole message with its header.
 * c: what is known of the connection (zeros: nothing). Raises nothing but Lua's own memory errors and keeps no memory of its own. */
void ak_lua_push_message(lua_State *L, uint8_t content, const uint8_t *bytes, size_t n, const ak_wire_context *c);

/* ak_lua_encode_message: appends the bytes of the message at idx, a table or a string of raw bytes, to out. *content (may be NULL) is the
 * ContentType that it belongs to: its own for "alert" and the like, handshake for all others. false: `error`, of n bytes, says what is wrong with
 * the table (which has nothing to do with the peer), and out is as long as it was. Runs no Lua code (raw access only), but Lua may run out of
 * memory and raise: `out` must belong to something that is collected. */
bool ak_lua_encode_message(lua_State *L, int idx, const ak_wire_context *c, ak_buf *out, uint8_t *content, char *error, size_t n);

/* ak_lua_registry_number: the number meant by the value at idx, an integer or a name of the registry. false: it is neither. */
bool ak_lua_registry_number(lua_State *L, int idx, ak_registry reg, uint32_t *value);
/* ak_lua_push_registry_value: pushes the name of a number, or the number when it has none. */
void ak_lua_push_registry_value(lua_State *L, ak_registry reg, uint32_t value);

#endif
