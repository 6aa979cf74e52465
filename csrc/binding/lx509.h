/* lx509.h: certificates, keys, trust and identities as the rest of the binding uses them. */
#ifndef AK_BINDING_LX509_H
#define AK_BINDING_LX509_H

#include "x509/x509.h"

#include <lua.h>

/* ak_lua_check_…: the object at idx; raises a type error when it is another. Borrowed: lives as long as the Lua value. */
ak_trust *ak_lua_check_trust(lua_State *L, int idx);
ak_identity *ak_lua_check_identity(lua_State *L, int idx);
ak_key *ak_lua_check_key(lua_State *L, int idx);
ak_cert *ak_lua_check_certificate(lua_State *L, int idx);
/* ak_lua_check_kind_of_key: a kind of key such as "rsa:2048" (ak_key_generate); raises for any other. */
const char *ak_lua_check_kind_of_key(lua_State *L, int idx);
/* ak_lua_push_…: an object of its own, with a reference of its own. */
void ak_lua_push_certificate(lua_State *L, ak_cert *c);
/* ak_lua_push_oid: the content of an OBJECT IDENTIFIER as "2.5.29.17". */
void ak_lua_push_oid(lua_State *L, ak_view oid);
void ak_lua_push_identity(lua_State *L, ak_identity *i);
void ak_lua_push_key(lua_State *L, ak_key *k);
/* ak_lua_distinguished_names: a Lua function: a list of CA names off the wire, readable. */
int ak_lua_distinguished_names(lua_State *L);
/* ak_lua_push_report: the report as a table (docs: trust:verify). */
void ak_lua_push_report(lua_State *L, ak_report *r);

#endif
