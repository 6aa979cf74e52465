/* lx509_parts.h: what the files lx509*.c share. */
#ifndef AK_BINDING_LX509_PARTS_H
#define AK_BINDING_LX509_PARTS_H

#include "binding/binding.h"
#include "binding/lx509.h"

#define AK_LUA_CERTIFICATE "akushu.Certificate"
#define AK_LUA_KEY "akushu.PrivateKey"
#define AK_LUA_TRUST "akushu.TrustStore"
#define AK_LUA_IDENTITY "akushu.Identity"

/* ak_lua_work: things under way, on the Lua stack with a finaliser: nothing is lost, and secrets are wiped, when Lua raises in between. */
typedef struct ak_lua_work {
    ak_chain chain;
    ak_cert **certs; /* any number of them */
    size_t n_certs;
    ak_crl **crls;
    size_t n_crls;
    ak_buf bytes; /* secret */
    ak_pem pem;
    void *file, *dir; /* FILE *, DIR * */
} ak_lua_work;
ak_lua_work *ak_lua_work_new(lua_State *L); /* pushes it */

/* ak_lua_push_text: the work's bytes as a string, and the bytes emptied. Raises when they did not fit into memory. */
void ak_lua_push_bytes(lua_State *L, ak_lua_work *w);

/* ak_lua_read_file: appends a file to w->bytes. AK_ERR_file_unreadable names it. */
ak_error ak_lua_read_file(ak_lua_work *w, const char *path, ak_failure *f);
/* ak_lua_not_readable: fails with AK_ERR_file_unreadable, the path and why; without it where somebody gave a file's content, which may be a private key and shall be
 * repeated in no message. */
ak_error ak_lua_not_readable(const char *path, const char *why, ak_failure *f);
/* ak_lua_is_path: whether a string names a file: it is neither PEM nor DER. */
bool ak_lua_is_path(ak_view v);
/* ak_lua_path: the string at idx as a path; raises when it holds a zero byte. */
const char *ak_lua_path(lua_State *L, int idx, const char *what);

/* ak_lua_options: raises unless every key of the table at idx is among names, a NULL-terminated list. */
void ak_lua_options(lua_State *L, int idx, const char *what, const char *const names[]);
bool ak_lua_flag_option(lua_State *L, int idx, const char *what, const char *name, bool fallback);

/* ak_lua_take_certificates: the value at idx (a Certificate, PEM, DER, a path when `paths`, or an array of these) appended to w->certs. Raises for
 * values of other types: `what` names the argument. */
ak_error ak_lua_take_certificates(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, ak_failure *f);
/* ak_lua_take_certificate_file: those of the file whose path is at idx; a failure names it. */
ak_error ak_lua_take_certificate_file(lua_State *L, int idx, ak_lua_work *w, const char *what, ak_failure *f);
ak_error ak_lua_work_add(ak_lua_work *w, ak_cert *c, ak_failure *f); /* takes the reference over */
/* ak_lua_take_crls: the value at idx (PEM, DER, a path when `paths`, or an array of these) appended to w->crls. */
ak_error ak_lua_take_crls(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, ak_failure *f);

void ak_open_certificate(lua_State *L); /* these add to the table on the top */
void ak_open_trust(lua_State *L);
void ak_open_report(lua_State *L);

#endif
