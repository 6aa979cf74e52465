/* lx509.c: akushu.PrivateKey, akushu.Identity, and what the other files of X.509 share.
 *
 *   akushu.private_key(bytes[, password])  .file(path[, password])  .generate(spec)
 *   akushu.identity{ chain=, key=, password=, ocsp=, scts= } */
#include "binding/lx509_parts.h"

#include "base/der.h"
#include "wire/schema.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORK "akushu.x509.work"
#define FILE_MAX ((size_t)1 << 27) /* no file of certificates, keys or CRLs is larger */

/* ---- things under way -------------------------------------------------------------------------------------------------------- */

static int work_gc(lua_State *L) {
    ak_lua_work *w = ak_lua_check(L, 1, WORK);
    ak_chain_clear(&w->chain);
    for (size_t i = 0; i < w->n_certs; i++) ak_cert_free(w->certs[i]);
    for (size_t i = 0; i < w->n_crls; i++) ak_crl_free(w->crls[i]);
    free(w->certs);
    free(w->crls);
    ak_buf_free(&w->bytes);
    ak_buf_free(&w->pem.der);
    if (w->file != NULL) fclose(w->file);
    if (w->dir != NULL) closedir(w->dir);
    memset(w, 0, sizeof *w);
    return 0;
}

ak_lua_work *ak_lua_work_new(lua_State *L) {
    ak_lua_work *w = ak_lua_new(L, WORK, sizeof *w, 0);
    ak_buf_init_secret(&w->bytes, AK_BUF_NO_LIMIT);
    ak_buf_init_secret(&w->pem.der, AK_BUF_NO_LIMIT);
    return w;
}

void ak_lua_push_bytes(lua_State *L, ak_lua_work *w) {
    if (w->bytes.bad) luaL_error(L, "akushu: out of memory");
    ak_lua_push_view(L, ak_buf_view(&w->bytes));
    ak_buf_free(&w->bytes);
}

ak_error ak_lua_work_add(ak_lua_work *w, ak_cert *c, ak_failure *f) {
    ak_cert **certs = realloc(w->certs, (w->n_certs + 1) * sizeof *certs);
    if (certs == NULL) {
        ak_cert_free(c);
        return ak_fail(f, AK_ERR_out_of_memory, NULL);
    }
    w->certs = certs;
    certs[w->n_certs++] = c;
    return AK_OK;
}

static ak_error add_crl(ak_lua_work *w, ak_view der, ak_failure *f) {
    ak_crl *c;
    ak_error e = ak_crl_parse(der, &c, f);
    if (e != AK_OK) return e;
    ak_crl **crls = realloc(w->crls, (w->n_crls + 1) * sizeof *crls);
    if (crls == NULL) {
        ak_crl_free(c);
        return ak_fail(f, AK_ERR_out_of_memory, NULL);
    }
    w->crls = crls;
    crls[w->n_crls++] = c;
    return AK_OK;
}

/* ---- files --------------------------------------------------------------------------------------------------------------------- */

/* only: whether a text has no other bytes than these. */
static bool only(const char *s, const char *bytes) { return strspn(s, bytes) == strlen(s); }

/* is_content: whether what was given as a path looks like what stands in a file: PEM, however broken, or DER in base64 or hexadecimal. */
static bool is_content(const char *s) {
    for (size_t i = 0; s[i] != '\0'; i++)
        if ((unsigned char)s[i] < 0x20) return true;
    if (strstr(s, "-----") != NULL) return true;
    if (strlen(s) < 64) return false; /* no key is that short. A SEQUENCE begins with "M" or "30" */
    return (s[0] == 'M' && only(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")) ||
           (strncmp(s, "30", 2) == 0 && only(s, "0123456789ABCDEFabcdef"));
}

ak_error ak_lua_not_readable(const char *path, const char *why, ak_failure *f) {
    if (is_content(path)) return ak_fail(f, AK_ERR_file_unreadable, "a path expected, got what looks like the content of a file");
    return ak_fail(f, AK_ERR_file_unreadable, "%.150s: %s", path, why);
}

ak_error ak_lua_read_file(ak_lua_work *w, const char *path, ak_failure *f) {
    char chunk[16384];
    size_t n;
    errno = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL) return ak_lua_not_readable(path, strerror(errno), f);
    w->file = file;
    setvbuf(file, NULL, _IONBF, 0); /* keys pass here: no buffer of stdio's that nobody wipes */
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0 && w->bytes.n < FILE_MAX) ak_buf_put(&w->bytes, chunk, n);
    bool failed = ferror(file) != 0, large = w->bytes.n >= FILE_MAX;
    int why = errno;
    w->file = NULL;
    fclose(file);
    ak_wipe(chunk, sizeof chunk);
    if (failed) return ak_fail(f, AK_ERR_file_unreadable, "%.150s: %s", path, strerror(why));
    if (large) return ak_fail(f, AK_ERR_file_unreadable, "%.150s: too large", path);
    return w->bytes.bad ? ak_fail(f, AK_ERR_out_of_memory, NULL) : AK_OK;
}

bool ak_lua_is_path(ak_view v) {
    if (ak_looks_pem(v) || v.n == 0 || v.n > 4096) return false;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x20) return false; /* DER of any certificate or key has such bytes */
    return true;
}

const char *ak_lua_path(lua_State *L, int idx, const char *what) {
    size_t n;
    const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &n) : NULL;
    if (s == NULL) luaL_error(L, "%s: a path expected, got %s", what, luaL_typename(L, idx));
    else if (strlen(s) != n) luaL_error(L, "%s: a path with a zero byte", what);
    return s;
}

/* ---- options --------------------------------------------------------------------------------------------------------------------- */

void ak_lua_options(lua_State *L, int idx, const char *what, const char *const names[]) {
    idx = lua_absindex(L, idx);
    if (lua_type(L, idx) != LUA_TTABLE) luaL_error(L, "%s: a table of options expected, got %s", what, luaL_typename(L, idx));
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
        lua_pop(L, 1);
        bool known = false;
        for (size_t i = 0; lua_type(L, -1) == LUA_TSTRING && names[i] != NULL; i++) known = known || strcmp(names[i], lua_tostring(L, -1)) == 0;
        if (known) continue;
        const char *wrong = luaL_tolstring(L, -1, NULL);
        luaL_Buffer b;
        luaL_buffinit(L, &b);
        for (size_t i = 0; names[i] != NULL; i++) {
            if (i > 0) luaL_addstring(&b, ", ");
            luaL_addstring(&b, names[i]);
        }
        luaL_pushresult(&b);
        luaL_error(L, "%s: unknown option '%s'; there are %s", what, wrong, lua_tostring(L, -1));
    }
}

bool ak_lua_flag_option(lua_State *L, int idx, const char *what, const char *name, bool fallback) {
    int type = lua_getfield(L, idx, name);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN) luaL_error(L, "%s: option '%s': a boolean expected, got %s", what, name, luaL_typename(L, -1));
    bool on = type == LUA_TNIL ? fallback : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return on;
}

/* take_each: calls one for the value at idx, or for each element of an array. */
typedef ak_error (*take_one)(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, ak_failure *f);

static ak_error take_each(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, ak_failure *f, take_one one) {
    idx = lua_absindex(L, idx);
    if (lua_type(L, idx) != LUA_TTABLE) return one(L, idx, w, paths, what, f);
    lua_Integer n = luaL_len(L, idx);
    ak_error e = AK_OK;
    lua_pushnil(L);
    if (n == 0 && lua_next(L, idx) != 0) /* what holds an array, perhaps, but is none */
        luaL_error(L, "%s: an array expected, this table has a field '%s'", what, luaL_tolstring(L, -2, NULL));
    else if (n > 0) lua_pop(L, 1);
    for (lua_Integer i = 1; i <= n && e == AK_OK; i++) {
        lua_geti(L, idx, i);
        e = one(L, -1, w, paths, what, f);
        lua_pop(L, 1);
    }
    return e;
}

/* ---- certificates and CRLs out of values ------------------------------------------------------------------------------------------- */

static bool label_is(ak_view label, const char *s) { return ak_view_eq(label, ak_view_of(s, strlen(s))); }

/* without_settings: the certificate of OpenSSL's TRUSTED CERTIFICATE. The word on its uses behind it is for trust stores: trust.c reads it. */
static ak_view without_settings(ak_view der) {
    ak_rd r;
    ak_view certificate;
    ak_rd_view(&r, der);
    return ak_der_next(&r, NULL, NULL, &certificate) ? certificate : der;
}

static ak_error certificates_of(ak_lua_work *w, ak_view bytes, ak_failure *f) {
    ak_cert *c;
    size_t before = w->n_certs;
    int r;
    if (!ak_looks_pem(bytes)) {
        if (bytes.n == 0 || bytes.p[0] != AK_DER_SEQUENCE)
            return ak_fail(f, AK_ERR_undecodable_certificate, "%zu bytes that are not PEM either%s", bytes.n,
                           ak_lua_is_path(bytes) ? " (of a file its content is wanted, not its name)" : "");
        ak_error e = ak_cert_parse(bytes, &c, f);
        return e != AK_OK ? e : ak_lua_work_add(w, c, f);
    }
    while ((r = ak_pem_next(&bytes, &w->pem)) != 0) {
        if (r < 0) return ak_fail(f, AK_ERR_bad_pem, "a block is damaged");
        ak_view der = ak_buf_view(&w->pem.der);
        if (label_is(w->pem.label, "TRUSTED CERTIFICATE")) der = without_settings(der);
        else if (!label_is(w->pem.label, "CERTIFICATE") && !label_is(w->pem.label, "X509 CERTIFICATE")) continue;
        ak_error e = ak_cert_parse(der, &c, f);
        if (e == AK_OK) e = ak_lua_work_add(w, c, f);
        if (e != AK_OK) return e;
    }
    return w->n_certs > before ? AK_OK : ak_fail(f, AK_ERR_bad_pem, "no certificate in it");
}

/* say_which: puts the path before the detail of a failure that came out of a file, unless it stands there. */
static void say_which(ak_failure *f, const char *path) {
    char why[sizeof f->detail];
    ak_error e = f->error;
    if (e == AK_OK || e == AK_ERR_file_unreadable) return;
    memcpy(why, f->detail, sizeof why);
    memset(f, 0, sizeof *f);
    if (why[0] != '\0') ak_fail(f, e, "%.150s: %.70s", path, why);
    else ak_fail(f, e, "%.150s", path);
}

/* bytes_at: the bytes that the string at idx is, or names; `wanted`: what else it might have been. */
static ak_error bytes_at(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, const char *wanted, ak_view *out, ak_failure *f) {
    size_t n;
    if (lua_type(L, idx) != LUA_TSTRING) luaL_error(L, "%s: %s%s expected, got %s", what, paths ? "a path, " : "", wanted, luaL_typename(L, idx));
    const char *s = lua_tolstring(L, idx, &n);
    *out = ak_view_of(s, n);
    if (!paths || !ak_lua_is_path(*out)) return AK_OK;
    ak_buf_clear(&w->bytes);
    ak_error e = ak_lua_read_file(w, ak_lua_path(L, idx, what), f);
    *out = ak_buf_view(&w->bytes);
    return e;
}

static bool from_file(const ak_lua_work *w, ak_view bytes) { return bytes.p == w->bytes.p; }

static ak_error take_certificate(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, ak_failure *f) {
    ak_view bytes;
    ak_cert **c = ak_lua_test(L, idx, AK_LUA_CERTIFICATE);
    if (c != NULL && *c == NULL) luaL_error(L, "%s: a closed certificate", what);
    if (c != NULL) return ak_lua_work_add(w, ak_cert_ref(*c), f);
    ak_error e = bytes_at(L, idx, w, paths, what, "PEM, DER or Certificate", &bytes, f);
    if (e == AK_OK) e = certificates_of(w, bytes, f);
    if (e != AK_OK && from_file(w, bytes)) say_which(f, lua_tostring(L, idx));
    return e;
}

ak_error ak_lua_take_certificate_file(lua_State *L, int idx, ak_lua_work *w, const char *what, ak_failure *f) {
    const char *path = ak_lua_path(L, idx, what);
    ak_error e = ak_lua_read_file(w, path, f);
    if (e == AK_OK && (e = certificates_of(w, ak_buf_view(&w->bytes), f)) != AK_OK) say_which(f, path);
    return e;
}

ak_error ak_lua_take_certificates(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, ak_failure *f) {
    return take_each(L, idx, w, paths, what, f, take_certificate);
}

static ak_error take_crl(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, ak_failure *f) {
    ak_view bytes;
    size_t before = w->n_crls;
    int r;
    ak_error e = bytes_at(L, idx, w, paths, what, "PEM or DER", &bytes, f);
    if (e != AK_OK) return e;
    bool file = from_file(w, bytes);
    if (!ak_looks_pem(bytes)) e = add_crl(w, bytes, f);
    while (e == AK_OK && (r = ak_pem_next(&bytes, &w->pem)) != 0) {
        if (r < 0) e = ak_fail(f, AK_ERR_bad_pem, "a block is damaged");
        else if (label_is(w->pem.label, "X509 CRL")) e = add_crl(w, ak_buf_view(&w->pem.der), f);
    }
    if (e == AK_OK && w->n_crls == before) e = ak_fail(f, AK_ERR_bad_pem, "no CRL in it");
    if (e != AK_OK && file) say_which(f, lua_tostring(L, idx));
    return e;
}

ak_error ak_lua_take_crls(lua_State *L, int idx, ak_lua_work *w, bool paths, const char *what, ak_failure *f) {
    return take_each(L, idx, w, paths, what, f, take_crl);
}

/* ---- private keys ---------------------------------------------------------------------------------------------------------------------- */

ak_key *ak_lua_check_key(lua_State *L, int idx) {
    ak_key **k = ak_lua_check(L, idx, AK_LUA_KEY);
    if (*k == NULL) luaL_argerror(L, idx, "a closed private key");
    return *k;
}

const char *ak_lua_check_kind_of_key(lua_State *L, int idx) {
    ak_failure f = {0};
    const char *spec = ak_lua_check_string(L, idx);
    if (!ak_key_kind_check(spec, &f)) luaL_argerror(L, idx, f.detail);
    return spec;
}

/* new_key: pushes an empty one, and returns its place. */
static ak_key **new_key(lua_State *L) { return ak_lua_new(L, AK_LUA_KEY, sizeof(ak_key *), 0); }

void ak_lua_push_key(lua_State *L, ak_key *k) { *new_key(L) = ak_key_ref(k); }

static const char *password_at(lua_State *L, int idx) {
    size_t n;
    if (lua_isnoneornil(L, idx)) return NULL;
    const char *s = ak_lua_check_lstring(L, idx, &n);
    luaL_argcheck(L, strlen(s) == n, idx, "a password with a zero byte");
    return s;
}

/* private_key(bytes[, password]): PEM or DER. The first argument is the table that is called. */
static int l_private_key(lua_State *L) {
    ak_failure f = {0};
    lua_remove(L, 1); /* a message about an argument counts those that stand between the brackets */
    ak_view bytes = ak_lua_bytes(L, 1);
    const char *password = password_at(L, 2);
    ak_key **k = new_key(L);
    *k = ak_key_private(ak_lua_provider(L), bytes, password, &f);
    if (*k == NULL && f.error == AK_ERR_bad_key && ak_lua_is_path(bytes)) {
        f = (ak_failure){0};
        ak_fail(&f, AK_ERR_bad_key, "neither PEM nor a DER private key (for a file there is private_key.file)");
    }
    return *k != NULL ? 1 : ak_lua_fail(L, &f);
}

static int l_key_file(lua_State *L) {
    ak_failure f = {0};
    const char *path = ak_lua_path(L, 1, "private_key.file"), *password = password_at(L, 2);
    ak_provider *p = ak_lua_provider(L);
    ak_lua_work *w = ak_lua_work_new(L);
    ak_key **k = new_key(L);
    if (ak_lua_read_file(w, path, &f) != AK_OK) return ak_lua_fail(L, &f);
    *k = ak_key_private(p, ak_buf_view(&w->bytes), password, &f);
    if (*k == NULL) say_which(&f, path);
    ak_buf_free(&w->bytes);
    return *k != NULL ? 1 : ak_lua_fail(L, &f);
}

static int l_key_generate(lua_State *L) {
    ak_failure f = {0};
    const char *spec = lua_isnoneornil(L, 1) ? "ec:secp256r1" : ak_lua_check_kind_of_key(L, 1);
    ak_key **k = new_key(L);
    *k = ak_key_generate(ak_lua_provider(L), spec, &f);
    return *k != NULL ? 1 : ak_lua_fail(L, &f);
}

static const char *key_kind(ak_key_kind k) {
    static const char *const names[] = {"none", "rsa", "rsa_pss", "ec", "ed25519", "ed448", "other"};
    return names[k];
}

static void key_type(lua_State *L, void *u) { lua_pushstring(L, key_kind(ak_key_type(*(ak_key **)u))); }
static void key_bits(lua_State *L, void *u) { lua_pushinteger(L, ak_key_bits(*(ak_key **)u)); }

static void key_group(lua_State *L, void *u) {
    const ak_group *g = ak_group_find(ak_key_group(*(ak_key **)u));
    if (g != NULL) lua_pushstring(L, g->name);
    else lua_pushnil(L);
}

static void key_spki(lua_State *L, void *u) {
    ak_lua_work *w = ak_lua_work_new(L);
    ak_key_spki(*(ak_key **)u, &w->bytes);
    ak_lua_push_bytes(L, w);
}

static const ak_scheme *check_scheme(lua_State *L, int idx, const ak_key *k) {
    const ak_scheme *s = ak_lua_check_scheme(L, idx);
    if (!ak_scheme_fits(s, k, 0)) luaL_argerror(L, idx, "this scheme does not fit the key");
    return s;
}

/* key:sign(scheme, data): for certificates and experiments. */
static int l_key_sign(lua_State *L) {
    ak_failure f = {0};
    ak_key *k = ak_lua_check_key(L, 1);
    const ak_scheme *s = check_scheme(L, 2, k);
    ak_view data = ak_lua_bytes(L, 3);
    ak_lua_work *w = ak_lua_work_new(L);
    if (ak_sign(ak_lua_provider(L), ak_lua_check_key(L, 1), s, data, &w->bytes, &f) != AK_OK) return ak_lua_fail(L, &f);
    ak_lua_push_bytes(L, w);
    return 1;
}

static int l_key_verify(lua_State *L) {
    ak_failure f = {0};
    ak_key *k = ak_lua_check_key(L, 1);
    const ak_scheme *s = check_scheme(L, 2, k);
    ak_view data = ak_lua_bytes(L, 3), signature = ak_lua_bytes(L, 4);
    if (ak_verify_signature(ak_lua_provider(L), ak_lua_check_key(L, 1), s, data, signature, &f) != AK_OK) return ak_lua_fail(L, &f);
    lua_pushboolean(L, 1);
    return 1;
}

/* key:reveal([format]): the private key itself, "pem" or "der" (PKCS#8). */
static int l_key_reveal(lua_State *L) {
    static const char *const formats[] = {"pem", "der", NULL};
    ak_lua_check_key(L, 1);
    bool pem = ak_lua_check_choice(L, 2, "pem", formats) == 0;
    ak_lua_work *w = ak_lua_work_new(L);
    if (!ak_key_export(ak_lua_check_key(L, 1), pem, &w->bytes)) return luaL_error(L, "akushu: the key cannot be exported");
    ak_lua_push_bytes(L, w);
    return 1;
}

static int l_key_close(lua_State *L) {
    ak_key **k = ak_lua_check(L, 1, AK_LUA_KEY);
    if (ak_lua_held(L, l_key_close)) return 0;
    ak_key_free(*k);
    *k = NULL;
    return 0;
}

static int l_key_eq(lua_State *L) {
    ak_key **a = ak_lua_test(L, 1, AK_LUA_KEY), **b = ak_lua_test(L, 2, AK_LUA_KEY);
    lua_pushboolean(L, a != NULL && b != NULL && (*a == *b || (*a != NULL && *b != NULL && ak_key_same(*a, *b))));
    return 1;
}

static int l_key_tostring(lua_State *L) {
    ak_key **k = ak_lua_check(L, 1, AK_LUA_KEY);
    if (*k == NULL) lua_pushliteral(L, AK_LUA_KEY " (closed)");
    else lua_pushfstring(L, AK_LUA_KEY " (%s, %d bits)", key_kind(ak_key_type(*k)), (int)ak_key_bits(*k));
    return 1;
}

static void open_keys(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"sign", l_key_sign}, {"verify", l_key_verify}, {"reveal", l_key_reveal}, {"close", l_key_close}, {NULL, NULL}};
    static const ak_lua_property properties[] = {
        {"type", key_type}, {"bits", key_bits}, {"group", key_group}, {"spki", key_spki}, {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", l_key_close}, {"__close", l_key_close}, {"__eq", l_key_eq}, {"__tostring", l_key_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"file", l_key_file}, {"generate", l_key_generate}, {NULL, NULL}};
    ak_lua_class(L, AK_LUA_KEY, methods, properties, meta);
    luaL_newlib(L, functions);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_private_key);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "private_key");
}

/* ---- identities ---------------------------------------------------------------------------------------------------------------------------- */

ak_identity *ak_lua_check_identity(lua_State *L, int idx) {
    ak_identity **i = ak_lua_check(L, idx, AK_LUA_IDENTITY);
    if (*i == NULL) luaL_argerror(L, idx, "a closed identity");
    return *i;
}

void ak_lua_push_identity(lua_State *L, ak_identity *i) {
    ak_identity **u = ak_lua_new(L, AK_LUA_IDENTITY, sizeof *u, 0);
    *u = ak_identity_ref(i);
}

/* key_of: the key that the value at idx is, or names, as a PrivateKey pushed; false: *f. */
static bool push_key_of(lua_State *L, int idx, const char *password, ak_failure *f) {
    static const char what[] = "identity: option 'key'";
    ak_view bytes;
    idx = lua_absindex(L, idx);
    ak_key **given = ak_lua_test(L, idx, AK_LUA_KEY);
    if (given != NULL) {
        if (*given == NULL) luaL_error(L, "%s: a closed private key", what);
        lua_pushvalue(L, idx);
        return true;
    }
    ak_lua_join(L, idx);
    ak_provider *p = ak_lua_provider(L);
    ak_lua_work *w = ak_lua_work_new(L);
    ak_key **k = new_key(L);
    if (bytes_at(L, idx, w, true, what, "PEM, DER or PrivateKey", &bytes, f) != AK_OK) return false;
    *k = ak_key_private(p, bytes, password, f);
    if (*k == NULL && from_file(w, bytes)) say_which(f, lua_tostring(L, idx));
    ak_buf_free(&w->bytes);
    return *k != NULL;
}

/* not_ocsp: what somebody took for an OCSPResponse in DER, and is none at first sight; NULL: the client judges, and a laboratory may staple whatever it likes. */
static const char *not_ocsp(ak_view v) {
    if (ak_looks_pem(v)) return "an OCSPResponse in DER expected, got PEM";
    return ak_lua_is_path(v) ? "an OCSPResponse in DER expected, got a text (of a file its content is wanted, not its name)" : NULL;
}

static const char *const identity_options[] = {"chain", "key", "password", "ocsp", "scts", NULL};

/* set_bytes: an option that is bytes, into the identity. */
static void set_bytes(lua_State *L, ak_identity *i, const char *name, bool (*set)(ak_identity *, ak_view)) {
    if (lua_getfield(L, 1, name) != LUA_TNIL) {
        lua_pushfstring(L, "identity: option '%s'", name);
        ak_view v = ak_lua_bytes_option(L, -2, lua_tostring(L, -1));
        const char *wrong = set == ak_identity_set_ocsp ? not_ocsp(v) : NULL;
        if (wrong != NULL) luaL_error(L, "%s: %s", lua_tostring(L, -1), wrong);
        if (!set(i, v)) luaL_error(L, "%s: too long", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* scts_readable: a SignedCertificateTimestampList (RFC 6962 §3.3); a client refuses the handshake with any other. */
static bool scts_readable(ak_view list, ak_failure *f) {
    struct ak_ext_signed_certificate_timestamp x;
    ak_failure why = {0};
    if (ak_decode_ext_signed_certificate_timestamp(list, &x, &why) == AK_OK) return true;
    ak_fail(f, AK_ERR_bad_scts, "%s", why.detail);
    return false;
}

/* identity{ chain=, key=, password=, ocsp=, scts= }. Without key, the chain's own file or PEM must hold it. */
static int l_identity(lua_State *L) {
    ak_failure f = {0};
    lua_settop(L, 1);
    ak_lua_options(L, 1, "identity", identity_options);
    if (lua_getfield(L, 1, "chain") == LUA_TNIL) return luaL_error(L, "identity: option 'chain' is missing");
    ak_lua_work *w = ak_lua_work_new(L); /* 3 */
    if (ak_lua_take_certificates(L, 2, w, true, "identity: option 'chain'", &f) != AK_OK) return ak_lua_fail(L, &f);
    for (size_t i = 0; i < w->n_certs; i++)
        if (ak_chain_push(&w->chain, w->certs[i], &f) != AK_OK) return ak_lua_fail(L, &f);
    lua_getfield(L, 1, "password"); /* 4 */
    const char *password = password_at(L, 4);
    if (lua_getfield(L, 1, "key") == LUA_TNIL) { /* 5 */
        if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "identity: option 'key' is missing");
        lua_pushvalue(L, 2);
        lua_replace(L, 5);
    }
    if (!push_key_of(L, 5, password, &f)) return ak_lua_fail(L, &f);
    ak_identity **u = ak_lua_new(L, AK_LUA_IDENTITY, sizeof *u, 0);
    *u = ak_identity_new(ak_lua_provider(L), &w->chain, ak_lua_check_key(L, -2), &f);
    if (*u == NULL) return ak_lua_fail(L, &f);
    set_bytes(L, *u, "ocsp", ak_identity_set_ocsp);
    set_bytes(L, *u, "scts", ak_identity_set_scts);
    if ((*u)->scts.n != 0 && !scts_readable(ak_buf_view(&(*u)->scts), &f)) return ak_lua_fail(L, &f);
    return 1;
}

static ak_identity *identity_of(void *u) { return *(ak_identity **)u; }

static void identity_chain(lua_State *L, void *u) {
    const ak_identity *i = identity_of(u);
    lua_createtable(L, (int)i->chain.n, 0);
    for (size_t k = 0; k < i->chain.n; k++) {
        ak_lua_push_certificate(L, i->chain.certs[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
}

static void identity_certificate(lua_State *L, void *u) { ak_lua_push_certificate(L, identity_of(u)->chain.certs[0]); }
static void identity_key(lua_State *L, void *u) { ak_lua_push_key(L, identity_of(u)->key); }

static void push_or_nil(lua_State *L, const ak_buf *b) {
    if (b->n > 0) ak_lua_push_view(L, ak_buf_view(b));
    else lua_pushnil(L);
}

static void identity_ocsp(lua_State *L, void *u) { push_or_nil(L, &identity_of(u)->ocsp); }
static void identity_scts(lua_State *L, void *u) { push_or_nil(L, &identity_of(u)->scts); }

/* identity:set_ocsp(response): from now on this one is stapled; nil: none. */
static int l_identity_set_ocsp(lua_State *L) {
    ak_lua_check_identity(L, 1);
    ak_view v = {NULL, 0};
    if (!lua_isnoneornil(L, 2)) v = ak_lua_bytes(L, 2);
    const char *wrong = not_ocsp(v);
    if (wrong != NULL) return luaL_argerror(L, 2, wrong);
    luaL_argcheck(L, ak_identity_set_ocsp(ak_lua_check_identity(L, 1), v), 2, "too long");
    lua_settop(L, 1);
    return 1;
}

static int l_identity_serves(lua_State *L) {
    ak_lua_check_identity(L, 1);
    ak_view host = ak_lua_check_view(L, 2);
    lua_pushboolean(L, ak_identity_serves(ak_lua_check_identity(L, 1), host));
    return 1;
}

static int l_identity_close(lua_State *L) {
    ak_identity **i = ak_lua_check(L, 1, AK_LUA_IDENTITY);
    if (ak_lua_held(L, l_identity_close)) return 0;
    ak_identity_free(*i);
    *i = NULL;
    return 0;
}

static int l_identity_tostring(lua_State *L) {
    ak_identity **i = ak_lua_check(L, 1, AK_LUA_IDENTITY);
    ak_lua_work *w = ak_lua_work_new(L);
    if (*i == NULL) {
        lua_pushliteral(L, AK_LUA_IDENTITY " (closed)");
        return 1;
    }
    int n = (int)(*i)->chain.n;
    ak_name_print((*i)->chain.certs[0]->subject, &w->bytes);
    ak_lua_push_bytes(L, w);
    lua_pushfstring(L, AK_LUA_IDENTITY " (%s, %d certificates)", lua_tostring(L, -1), n);
    return 1;
}

static void open_identities(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"set_ocsp", l_identity_set_ocsp}, {"serves", l_identity_serves}, {"close", l_identity_close}, {NULL, NULL}};
    static const ak_lua_property properties[] = {{"chain", identity_chain}, {"certificate", identity_certificate}, {"key", identity_key},
                                                 {"ocsp", identity_ocsp},   {"scts", identity_scts},               {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", l_identity_close}, {"__close", l_identity_close}, {"__tostring", l_identity_tostring}, {NULL, NULL}};
    ak_lua_class(L, AK_LUA_IDENTITY, methods, properties, meta);
    lua_pushcfunction(L, l_identity);
    lua_setfield(L, -2, "identity");
}

int ak_open_x509(lua_State *L) {
    static const luaL_Reg meta[] = {{"__gc", work_gc}, {NULL, NULL}};
    ak_lua_class(L, WORK, NULL, NULL, meta);
    lua_createtable(L, 0, 8);
    open_keys(L);
    open_identities(L);
    ak_open_certificate(L);
    ak_open_trust(L);
    ak_open_report(L);
    return 1;
}
