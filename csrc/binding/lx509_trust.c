/* lx509_trust.c: akushu.TrustStore.
 *
 *   akushu.trust{ file=, dir=, pem=, certificates=, crls=, system=, partial_chain=, strict=, revocation=,
 *                distrusted=, policies=, require_policy=, inhibit_mapping=, inhibit_any_policy= }
 *   akushu.trust.system() .file(path) .dir(path) .pem(string)
 *   #trust  trust.sources  trust.certificates  trust:add(…)  trust:add_crl(…)  trust:has(cert)  trust:verify(chain, options) → report */
#include "binding/lx509_parts.h"

#include "base/der.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

ak_trust *ak_lua_check_trust(lua_State *L, int idx) {
    ak_trust **t = ak_lua_check(L, idx, AK_LUA_TRUST);
    if (*t == NULL) luaL_argerror(L, idx, "a closed trust store");
    return *t;
}

/* new_trust: pushes an empty one. */
static ak_trust *new_trust(lua_State *L) {
    ak_failure f = {0};
    ak_trust **u = ak_lua_new(L, AK_LUA_TRUST, sizeof *u, 0);
    *u = ak_trust_new(&f);
    if (*u == NULL) luaL_error(L, "akushu: out of memory");
    return *u;
}

/* ---- where certificates come from ----------------------------------------------------------------------------------------------- */

static ak_error add_file(lua_State *L, ak_trust *t, const char *path, bool say, ak_failure *f) {
    ak_failure why = {0};
    ak_lua_work *w = ak_lua_work_new(L);
    ak_error e = ak_lua_read_file(w, path, f);
    if (e == AK_OK && (e = ak_trust_add_pem(t, NULL, NULL, ak_buf_view(&w->bytes), &why)) != AK_OK) ak_fail(f, e, "%.150s: %.70s", path, why.detail);
    ak_buf_free(&w->bytes);
    lua_pop(L, 1);
    if (e == AK_OK && say && !ak_trust_add_source(t, path)) e = ak_fail(f, AK_ERR_out_of_memory, NULL);
    return e;
}

/* looks_like: whether a directory's entry is meant for certificates: by its ending, or a hash as `openssl rehash` makes them. */
static bool looks_like(const char *name) {
    static const char *const endings[] = {".pem", ".crt", ".cer", ".der", ".crl"};
    size_t n = strlen(name);
    if (name[0] == '.') return false;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (n > 4 && strcmp(name + n - 4, endings[i]) == 0) return true;
    return n > 9 && strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && strspn(name + 9 + (name[9] == 'r'), "0123456789") == n - 9 - (name[9] == 'r');
}

static ak_error add_dir(lua_State *L, ak_trust *t, const char *path, ak_failure *f) {
    size_t found = 0; /* what the store has already counts, too */
    struct dirent *entry;
    ak_lua_work *w = ak_lua_work_new(L);
    DIR *dir = opendir(path);
    if (dir == NULL) return ak_lua_not_readable(path, "not a directory that can be read", f);
    w->dir = dir;
    while ((entry = readdir(dir)) != NULL) {
        char file[4096];
        ak_failure ignored = {0}; /* other files may stand there, too */
        if (!looks_like(entry->d_name)) continue;
        if (snprintf(file, sizeof file, "%s/%s", path, entry->d_name) >= (int)sizeof file) continue;
        ak_error e = add_file(L, t, file, false, &ignored);
        if (e == AK_ERR_out_of_memory) return ak_fail(f, AK_ERR_out_of_memory, NULL);
        found += e == AK_OK;
    }
    w->dir = NULL;
    closedir(dir);
    lua_pop(L, 1);
    if (found == 0) return ak_fail(f, AK_ERR_bad_pem, "%.150s: no certificate in this directory", path);
    return ak_trust_add_source(t, path) ? AK_OK : ak_fail(f, AK_ERR_out_of_memory, NULL);
}

/* add_dirs: a list of directories, as SSL_CERT_DIR has it; the first failure is kept. */
static void add_dirs(lua_State *L, ak_trust *t, const char *list, ak_failure *first) {
    for (size_t n; list[0] != '\0'; list += n + (list[n] == ':')) {
        char dir[4096];
        ak_failure f = {0};
        n = strcspn(list, ":");
        if (n == 0 || n >= sizeof dir) continue;
        memcpy(dir, list, n);
        dir[n] = '\0';
        if (add_dir(L, t, dir, &f) != AK_OK && first->error == AK_OK) *first = f;
    }
}

/* add_system: what the environment names (as libcrypto's own programs take it), else the first place of the system that has any. */
static ak_error add_system(lua_State *L, ak_trust *t, ak_failure *f) {
    const char *own_file = X509_get_default_cert_file(), *own_dir = X509_get_default_cert_dir();
    const char *const files[] = {own_file,
                                 "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Arch, Alpine */
                                 "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
                                 "/etc/pki/tls/certs/ca-bundle.crt",
                                 "/etc/ssl/ca-bundle.pem", /* openSUSE */
                                 "/etc/ssl/cert.pem",      /* the BSDs, macOS */
                                 "/usr/local/share/certs/ca-root-nss.crt"};
    const char *file = getenv(X509_get_default_cert_file_env()), *dir = getenv(X509_get_default_cert_dir_env());
    ak_failure first = {0}, ignored = {0};
    if (file != NULL && file[0] != '\0') add_file(L, t, file, true, &first);
    if (dir != NULL && dir[0] != '\0') add_dirs(L, t, dir, &first);
    bool told = (file != NULL && file[0] != '\0') || (dir != NULL && dir[0] != '\0');
    for (size_t i = 0; !told && i < sizeof files / sizeof files[0] && ak_trust_count(t) == 0; i++) {
        memset(&ignored, 0, sizeof ignored);
        if (files[i] != NULL) add_file(L, t, files[i], true, &ignored);
    }
    if (!told && ak_trust_count(t) == 0 && own_dir != NULL) {
        memset(&ignored, 0, sizeof ignored);
        add_dir(L, t, own_dir, &ignored);
    }
    if (ak_trust_count(t) > 0) return AK_OK;
    if (first.error != AK_OK) return ak_fail(f, first.error, "%s", first.detail);
    return ak_fail(f, AK_ERR_file_unreadable, "no list of CAs found on this system");
}

/* ---- adding ------------------------------------------------------------------------------------------------------------------------ */

static ak_error add_pem(ak_trust *t, ak_view bytes, ak_failure *f) { return ak_trust_add_pem(t, NULL, NULL, bytes, f); }

/* These three take what is at idx into the store at `store`, for which they ask when all is read: reading may run any Lua. */

static ak_error add_certificates(lua_State *L, int idx, int store, const char *what, ak_failure *f) {
    idx = lua_absindex(L, idx);
    ak_lua_work *w = ak_lua_work_new(L);
    ak_error e = ak_lua_take_certificates(L, idx, w, false, what, f);
    ak_trust *t = ak_lua_check_trust(L, store);
    for (size_t i = 0; e == AK_OK && i < w->n_certs; i++) e = ak_trust_add(t, w->certs[i], f);
    lua_pop(L, 1);
    return e;
}

static ak_error add_distrusted(lua_State *L, int idx, int store, const char *what, ak_failure *f) {
    idx = lua_absindex(L, idx);
    ak_lua_work *w = ak_lua_work_new(L);
    ak_error e = ak_lua_take_certificates(L, idx, w, false, what, f);
    ak_trust *t = ak_lua_check_trust(L, store);
    for (size_t i = 0; i < w->n_certs; i++)
        for (unsigned use = 0; use < AK_USES && e == AK_OK; use++) e = ak_trust_distrust(t, (ak_use)use, w->certs[i], f);
    lua_pop(L, 1);
    return e;
}

static ak_error add_crls(lua_State *L, int idx, int store, bool paths, const char *what, ak_failure *f) {
    idx = lua_absindex(L, idx);
    ak_lua_work *w = ak_lua_work_new(L);
    ak_error e = ak_lua_take_crls(L, idx, w, paths, what, f);
    ak_trust *t = ak_lua_check_trust(L, store);
    for (size_t i = 0; e == AK_OK && i < w->n_crls; i++) e = ak_trust_add_crl(t, w->crls[i], f);
    lua_pop(L, 1);
    return e;
}

/* each_path: the option at the top, a path or an array of paths; pops it. */
static ak_error each_path(lua_State *L, ak_trust *t, const char *what, bool dir, ak_failure *f) {
    ak_error e = AK_OK;
    if (lua_type(L, -1) == LUA_TTABLE) {
        lua_Integer n = luaL_len(L, -1);
        for (lua_Integer i = 1; i <= n && e == AK_OK; i++) {
            lua_geti(L, -1, i);
            const char *path = ak_lua_path(L, -1, what);
            e = dir ? add_dir(L, t, path, f) : add_file(L, t, path, true, f);
            lua_settop(L, lua_gettop(L) - 1);
        }
    } else if (!lua_isnil(L, -1)) {
        const char *path = ak_lua_path(L, -1, what);
        e = dir ? add_dir(L, t, path, f) : add_file(L, t, path, true, f);
    }
    lua_pop(L, 1);
    return e;
}

static const char *const trust_options[] = {"file", "dir", "pem", "certificates", "crls", "system", "partial_chain", "strict", "revocation", "distrusted",
                                            "policies", "require_policy", "inhibit_mapping", "inhibit_any_policy", NULL};
static const char *const demands[] = {"if_given", "leaf", "chain"}; /* by ak_demand */

static ak_demand demand_option(lua_State *L) {
    ak_demand d = AK_DEMAND_none;
    if (lua_getfield(L, 2, "revocation") != LUA_TNIL) {
        const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        for (d = AK_DEMAND_none; d <= AK_DEMAND_chain && strcmp(s, demands[d]) != 0;) d++;
        if (d > AK_DEMAND_chain)
            luaL_error(L, "trust: option 'revocation': \"if_given\", \"leaf\" or \"chain\" expected, got '%s'", luaL_tolstring(L, -1, NULL));
    }
    lua_pop(L, 1);
    return d;
}

/* put_oid: "2.23.140.1.2.1" as an OBJECT IDENTIFIER in DER (X.690 §8.19). */
static bool put_oid(const char *s, ak_buf *out) {
    unsigned long long arc[32];
    uint8_t content[32 * 10];
    size_t n = 0, length = 0;
    for (;; s++) {
        char *end;
        errno = 0;
        if (n == 32 || *s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9')) return false;
        arc[n] = strtoull(s, &end, 10);
        if (errno != 0 || arc[n++] >> 56 != 0 || (*end != '.' && *end != '\0')) return false;
        if (*end == '\0') break;
        s = end;
    }
    if (n < 2 || arc[0] > 2 || (arc[0] < 2 && arc[1] > 39)) return false;
    arc[1] += 40 * arc[0];
    for (size_t i = 1; i < n; i++) {
        unsigned shift = 0;
        while (shift < 63 && arc[i] >> (shift + 7) != 0) shift += 7;
        for (;; shift -= 7) {
            content[length++] = (uint8_t)((arc[i] >> shift & 0x7f) | (shift > 0 ? 0x80 : 0));
            if (shift == 0) break;
        }
    }
    const uint8_t head[2] = {AK_DER_OID, (uint8_t)length};
    return length < 0x80 && ak_buf_put(out, head, 2) && ak_buf_put(out, content, length);
}

static ak_error set_policies(lua_State *L, ak_trust *t, ak_failure *f) {
    ak_lua_work *w = ak_lua_work_new(L);
    ak_policies p = {.required = ak_lua_flag_option(L, 2, "trust", "require_policy", false),
                     .no_mapping = ak_lua_flag_option(L, 2, "trust", "inhibit_mapping", false),
                     .no_any = ak_lua_flag_option(L, 2, "trust", "inhibit_any_policy", false)};
    if (lua_getfield(L, 2, "policies") != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TTABLE || luaL_len(L, -1) == 0)
            luaL_error(L, "trust: option 'policies': an array of object identifiers expected, got %s", luaL_typename(L, -1));
        for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
            lua_geti(L, -1, i);
            if (lua_type(L, -1) != LUA_TSTRING || !put_oid(lua_tostring(L, -1), &w->bytes))
                luaL_error(L, "trust: option 'policies': '%s' is no object identifier", luaL_tolstring(L, -1, NULL));
            lua_pop(L, 1);
        }
    }
    p.taken = w->bytes; /* still w's */
    ak_error e = ak_trust_set_policies(t, &p, f);
    lua_pop(L, 2);
    return e;
}

/* fill: the options at index 2 into the store, which is at index 3; the first thing that goes wrong ends it. */
static ak_error fill(lua_State *L, ak_trust *t, ak_failure *f) {
    ak_error e = AK_OK;
    ak_trust_set_partial_chain(t, ak_lua_flag_option(L, 2, "trust", "partial_chain", false));
    ak_trust_set_strict(t, ak_lua_flag_option(L, 2, "trust", "strict", false));
    ak_trust_set_revocation(t, demand_option(L));
    if ((e = set_policies(L, t, f)) != AK_OK) return e;
    if (ak_lua_flag_option(L, 2, "trust", "system", false)) e = add_system(L, t, f);
    if (e != AK_OK) return e;
    lua_getfield(L, 2, "file");
    if ((e = each_path(L, t, "trust: option 'file'", false, f)) != AK_OK) return e;
    lua_getfield(L, 2, "dir");
    if ((e = each_path(L, t, "trust: option 'dir'", true, f)) != AK_OK) return e;
    if (lua_getfield(L, 2, "pem") != LUA_TNIL) {
        e = add_pem(t, ak_lua_bytes_option(L, -1, "trust: option 'pem'"), f);
    }
    if (e == AK_OK && lua_getfield(L, 2, "certificates") != LUA_TNIL) e = add_certificates(L, -1, 3, "trust: option 'certificates'", f);
    if (e == AK_OK && lua_getfield(L, 2, "crls") != LUA_TNIL) e = add_crls(L, -1, 3, true, "trust: option 'crls'", f);
    if (e == AK_OK && lua_getfield(L, 2, "distrusted") != LUA_TNIL) e = add_distrusted(L, -1, 3, "trust: option 'distrusted'", f);
    return e;
}

/* trust{…}: a store may be empty: then nobody is trusted. */
static int l_trust(lua_State *L) {
    ak_failure f = {0};
    lua_settop(L, 2);
    ak_lua_options(L, 2, "trust", trust_options);
    ak_trust *t = new_trust(L);
    lua_insert(L, 3);
    if (fill(L, t, &f) != AK_OK) return ak_lua_fail(L, &f);
    lua_settop(L, 3);
    return 1;
}

static int finish(lua_State *L, int at, ak_error e, const ak_failure *f) {
    if (e != AK_OK) return ak_lua_fail(L, f);
    lua_settop(L, at);
    return 1;
}

static int l_trust_system(lua_State *L) {
    ak_failure f = {0};
    lua_settop(L, 0);
    ak_trust *t = new_trust(L);
    return finish(L, 1, add_system(L, t, &f), &f);
}

static int l_trust_file(lua_State *L) {
    ak_failure f = {0};
    const char *path = ak_lua_path(L, 1, "trust.file");
    lua_settop(L, 1);
    ak_trust *t = new_trust(L);
    return finish(L, 2, add_file(L, t, path, true, &f), &f);
}

static int l_trust_dir(lua_State *L) {
    ak_failure f = {0};
    const char *path = ak_lua_path(L, 1, "trust.dir");
    lua_settop(L, 1);
    ak_trust *t = new_trust(L);
    return finish(L, 2, add_dir(L, t, path, &f), &f);
}

static int l_trust_pem(lua_State *L) {
    ak_failure f = {0};
    ak_view bytes = ak_lua_bytes(L, 1);
    lua_settop(L, 1);
    ak_trust *t = new_trust(L);
    return finish(L, 2, add_pem(t, bytes, &f), &f);
}

/* trust:add(certificate, …): Certificates, PEM or DER, or arrays of these; returns the store. */
static int l_add(lua_State *L) {
    ak_failure f = {0};
    ak_lua_check_trust(L, 1);
    int n = lua_gettop(L);
    luaL_checkany(L, 2);
    for (int i = 2; i <= n; i++)
        if (add_certificates(L, i, 1, "trust:add", &f) != AK_OK) return ak_lua_fail(L, &f);
    lua_settop(L, 1);
    return 1;
}

static int l_add_crl(lua_State *L) {
    ak_failure f = {0};
    ak_lua_check_trust(L, 1);
    int n = lua_gettop(L);
    luaL_checkany(L, 2);
    for (int i = 2; i <= n; i++)
        if (add_crls(L, i, 1, false, "trust:add_crl", &f) != AK_OK) return ak_lua_fail(L, &f);
    lua_settop(L, 1);
    return 1;
}

static int l_has(lua_State *L) {
    lua_pushboolean(L, ak_trust_has(ak_lua_check_trust(L, 1), ak_lua_check_certificate(L, 2)));
    return 1;
}

/* ---- verifying ------------------------------------------------------------------------------------------------------------------------ */

static const char *const verify_options[] = {"host",  "time",      "purpose",        "crls",      "ocsp", "level", "intermediates", "must_staple",
                                             "depth", "max_paths", "max_signatures", NULL};

static unsigned number_option(lua_State *L, const char *name, unsigned fallback, lua_Integer low, lua_Integer high) {
    int is = 0;
    lua_Integer n = fallback;
    if (lua_getfield(L, 3, name) != LUA_TNIL) {
        n = lua_tointegerx(L, -1, &is);
        if (is == 0 || lua_type(L, -1) != LUA_TNUMBER) luaL_error(L, "verify: option '%s': an integer expected, got %s", name, luaL_typename(L, -1));
        if (n < low || n > high) luaL_error(L, "verify: option '%s': %I is not between %I and %I", name, (LUAI_UACINT)n, (LUAI_UACINT)low, (LUAI_UACINT)high);
    }
    lua_pop(L, 1);
    return (unsigned)n;
}

static int64_t time_option(lua_State *L) {
    int64_t t = (int64_t)time(NULL);
    if (lua_getfield(L, 3, "time") != LUA_TNIL) {
        lua_Number n = lua_tonumber(L, -1);
        if (lua_type(L, -1) != LUA_TNUMBER || !(n > -1e15 && n < 1e15)) luaL_error(L, "verify: option 'time': seconds since 1970 expected, got %s", luaL_typename(L, -1));
        t = (int64_t)n;
    }
    lua_pop(L, 1);
    return t;
}

static ak_use purpose_option(lua_State *L) {
    bool client = false;
    if (lua_getfield(L, 3, "purpose") != LUA_TNIL) {
        const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        client = strcmp(s, "client") == 0;
        if (!client && strcmp(s, "server") != 0) luaL_error(L, "verify: option 'purpose': \"server\" or \"client\" expected, got '%s'", luaL_tolstring(L, -1, NULL));
    }
    lua_pop(L, 1);
    return client ? AK_USE_client : AK_USE_server;
}

/* string_option: leaves the string on the stack, so that the view lives. */
static ak_view string_option(lua_State *L, const char *name) {
    ak_view v = {NULL, 0};
    int type = lua_getfield(L, 3, name);
    if (type != LUA_TNIL && type != LUA_TSTRING) luaL_error(L, "verify: option '%s': a string expected, got %s", name, luaL_typename(L, -1));
    return type == LUA_TSTRING ? ak_lua_check_view(L, -1) : v;
}

/* push_refused: a report about a chain that could not even be read. */
static int push_refused(lua_State *L, const ak_failure *f, const ak_verify_params *v) {
    ak_reason reason = {.error = f->error, .code = ak_error_code(f->error), .text = (char *)f->detail};
    ak_report r = {.refs = 1, .verdict = f->error, .time = v->time, .purpose = v->purpose, .reasons = &reason, .n_reasons = 1};
    if (f->detail[0] == '\0') reason.text = (char *)ak_error_text(f->error);
    ak_lua_push_report(L, &r);
    return 1;
}

/* trust:verify(chain, options): always a report; report.ok says. chain: an array, the end entity first, a Certificate, an Identity or PEM. */
static int l_verify(lua_State *L) {
    ak_failure f = {0};
    ak_verify_params v;
    lua_settop(L, 3);
    ak_provider *p = ak_lua_provider(L);
    ak_lua_check_trust(L, 1);
    if (lua_isnil(L, 3)) {
        lua_newtable(L);
        lua_replace(L, 3);
    }
    ak_lua_options(L, 3, "verify", verify_options);
    ak_verify_defaults(&v);
    v.time = time_option(L);
    v.purpose = purpose_option(L);
    v.level = number_option(L, "level", v.level, 0, 5);
    v.max_depth = number_option(L, "depth", v.max_depth, 1, AK_PATH_MAX);
    v.max_paths = number_option(L, "max_paths", v.max_paths, 1, 100000);
    v.max_signatures = number_option(L, "max_signatures", v.max_signatures, 0, 100000);
    v.no_must_staple = !ak_lua_flag_option(L, 3, "verify", "must_staple", true);
    v.host = string_option(L, "host");
    if (lua_getfield(L, 3, "ocsp") != LUA_TNIL) v.ocsp = ak_lua_bytes_option(L, -1, "verify: option 'ocsp'"); /* the string stays on the stack */
    if (v.host.p == NULL && lua_type(L, 4) == LUA_TSTRING) v.host.p = (const uint8_t *)"";

    ak_lua_work *w = ak_lua_work_new(L), *extra = ak_lua_work_new(L);
    ak_identity **identity = ak_lua_test(L, 2, AK_LUA_IDENTITY);
    ak_error e = AK_OK;
    if (identity != NULL) {
        const ak_chain *own = &ak_lua_check_identity(L, 2)->chain;
        for (size_t i = 0; i < own->n && e == AK_OK; i++) e = ak_chain_push(&w->chain, own->certs[i], &f);
    } else {
        e = ak_lua_take_certificates(L, 2, w, false, "verify: the chain", &f);
        for (size_t i = 0; i < w->n_certs && e == AK_OK; i++) e = ak_chain_push(&w->chain, w->certs[i], &f);
    }
    if (e == AK_OK && lua_getfield(L, 3, "intermediates") != LUA_TNIL)
        e = ak_lua_take_certificates(L, -1, extra, false, "verify: option 'intermediates'", &f);
    if (e == AK_OK && extra->n_certs > AK_EXTRA_MAX) e = ak_fail(&f, AK_ERR_verify_budget, "more than %d intermediates", AK_EXTRA_MAX);
    if (e == AK_OK && lua_getfield(L, 3, "crls") != LUA_TNIL) e = ak_lua_take_crls(L, -1, extra, false, "verify: option 'crls'", &f);
    if (e != AK_OK) return push_refused(L, &f, &v);
    v.extra = extra->certs;
    v.n_extra = extra->n_certs;
    v.crls = extra->crls;
    v.n_crls = extra->n_crls;
    ak_report **box = ak_lua_new(L, "akushu.x509.report", sizeof *box, 0);
    ak_verify_chain(p, box, ak_lua_check_trust(L, 1), &w->chain, &v, &f);
    if (*box == NULL) return luaL_error(L, "akushu: out of memory");
    ak_lua_push_report(L, *box);
    return 1;
}

/* ---- the object ----------------------------------------------------------------------------------------------------------------------------- */

static ak_trust *trust_of(void *u) { return *(ak_trust **)u; }

static void get_sources(lua_State *L, void *u) {
    const ak_trust *t = trust_of(u);
    size_t n = ak_trust_sources(t);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, ak_trust_source(t, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* The certificates of a store; NULL: none. */
static void push_certificates(lua_State *L, const ak_trust *t) {
    size_t n = t != NULL ? ak_trust_count(t) : 0;
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        ak_lua_push_certificate(L, ak_trust_at(t, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void get_certificates(lua_State *L, void *u) { push_certificates(L, trust_of(u)); }

/* { server =, client = }: whom no path of a server, of a client may have on it. */
static void get_distrusted(lua_State *L, void *u) {
    const ak_trust *t = trust_of(u);
    lua_createtable(L, 0, 2);
    push_certificates(L, ak_trust_distrusted(t, AK_USE_server));
    lua_setfield(L, -2, "server");
    push_certificates(L, ak_trust_distrusted(t, AK_USE_client));
    lua_setfield(L, -2, "client");
}

static void get_crls(lua_State *L, void *u) {
    const ak_trust *t = trust_of(u);
    ak_crl *const *all = NULL;
    size_t n = ak_trust_crls(t, &all);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        ak_lua_push_view(L, ak_crl_der(all[i]));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* nil: any. */
static void get_policies(lua_State *L, void *u) {
    const ak_trust *t = trust_of(u);
    if (ak_trust_policies(t)->taken.n == 0) {
        lua_pushnil(L);
        return;
    }
    ak_rd r;
    ak_view oid;
    lua_newtable(L);
    ak_rd_view(&r, ak_buf_view(&ak_trust_policies(t)->taken));
    for (lua_Integer i = 1; ak_rd_left(&r) > 0 && ak_der_get(&r, AK_DER_OID, &oid); i++) {
        ak_lua_push_oid(L, oid);
        lua_rawseti(L, -2, i);
    }
}

static void get_require_policy(lua_State *L, void *u) { lua_pushboolean(L, ak_trust_policies(trust_of(u))->required); }
static void get_inhibit_mapping(lua_State *L, void *u) { lua_pushboolean(L, ak_trust_policies(trust_of(u))->no_mapping); }
static void get_inhibit_any_policy(lua_State *L, void *u) { lua_pushboolean(L, ak_trust_policies(trust_of(u))->no_any); }
static void get_partial_chain(lua_State *L, void *u) { lua_pushboolean(L, ak_trust_partial_chain(trust_of(u))); }
static void get_revocation(lua_State *L, void *u) { lua_pushstring(L, demands[ak_trust_revocation(trust_of(u))]); }
static void get_strict(lua_State *L, void *u) { lua_pushboolean(L, ak_trust_strict(trust_of(u))); }

static int l_len(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)ak_trust_count(ak_lua_check_trust(L, 1)));
    return 1;
}

static int l_close(lua_State *L) {
    ak_trust **t = ak_lua_check(L, 1, AK_LUA_TRUST);
    if (ak_lua_held(L, l_close)) return 0;
    ak_trust_free(*t);
    *t = NULL;
    return 0;
}

static int l_tostring(lua_State *L) {
    ak_trust **t = ak_lua_check(L, 1, AK_LUA_TRUST);
    if (*t == NULL) lua_pushliteral(L, AK_LUA_TRUST " (closed)");
    else if (ak_trust_sources(*t) == 0) lua_pushfstring(L, AK_LUA_TRUST " (%d certificates)", (int)ak_trust_count(*t));
    else lua_pushfstring(L, AK_LUA_TRUST " (%d certificates, %s)", (int)ak_trust_count(*t), ak_trust_source(*t, 0));
    return 1;
}

void ak_open_trust(lua_State *L) {
    static const luaL_Reg methods[] = {{"add", l_add}, {"add_crl", l_add_crl}, {"has", l_has}, {"verify", l_verify}, {"close", l_close}, {NULL, NULL}};
    static const ak_lua_property properties[] = {
        {"sources", get_sources}, {"certificates", get_certificates}, {"partial_chain", get_partial_chain}, {"strict", get_strict}, {"revocation", get_revocation},
        {"crls", get_crls}, {"distrusted", get_distrusted}, {"policies", get_policies}, {"require_policy", get_require_policy}, {"inhibit_mapping", get_inhibit_mapping},
        {"inhibit_any_policy", get_inhibit_any_policy}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_close}, {"__close", l_close}, {"__len", l_len}, {"__tostring", l_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"system", l_trust_system}, {"file", l_trust_file}, {"dir", l_trust_dir}, {"pem", l_trust_pem}, {NULL, NULL}};
    ak_lua_class(L, AK_LUA_TRUST, methods, properties, meta);
    luaL_newlib(L, functions);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_trust);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "trust");
}
