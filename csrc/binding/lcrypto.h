/* lcrypto.h: what the files of akushu.core.crypto share. */
#ifndef AK_BINDING_LCRYPTO_H
#define AK_BINDING_LCRYPTO_H

#include "binding/binding.h"
#include "crypto/provider.h"

/* ak_lua_crypto_fail: nil, message, failure, whose state is `doing`. ak_lua_crypto_refused: the same where there is no more to say than what libcrypto refused. */
int ak_lua_crypto_fail(lua_State *L, ak_failure *f, const char *doing);
int ak_lua_crypto_refused(lua_State *L, const char *what);

/* ak_lua_bytes_or_none: the bytes of an argument that may be left out. */
static inline ak_view ak_lua_bytes_or_none(lua_State *L, int arg) { return lua_isnoneornil(L, arg) ? ak_view_of(NULL, 0) : ak_lua_bytes(L, arg); }
/* ak_lua_check_text: labels and passwords are C strings to the engine: one with a zero byte in it, which would be cut, raises. */
const char *ak_lua_check_text(lua_State *L, int arg);

/* ak_lua_push_revealed: a secret as a string; it is wiped. Returns 1. */
int ak_lua_push_revealed(lua_State *L, ak_secret *s);

extern const char *const ak_lua_hash_names[AK_HASH_count];

/* These add their functions to the table on top. */
void ak_open_crypto_shares(lua_State *L);
void ak_open_crypto_keys(lua_State *L);
void ak_open_crypto_tables(lua_State *L);

#endif
