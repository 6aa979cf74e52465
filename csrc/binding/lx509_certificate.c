/* lx509_certificate.c: akushu.Certificate.
 *
 *   akushu.certificate(bytes): one, PEM or DER          akushu.certificates(pem): an array
 *   cert:matches(host) cert:signed_by(other) cert:verify(scheme, data, signature) */
#include "binding/lx509_parts.h"

#include "x509/internal.h"

static const ak_view nothing = {NULL, 0};

ak_cert *ak_lua_check_certificate(lua_State *L, int idx) {
    ak_cert **c = ak_lua_check(L, idx, AK_LUA_CERTIFICATE);
    if (*c == NULL) luaL_argerror(L, idx, "a closed certificate");
    return *c;
}

void ak_lua_push_certificate(lua_State *L, ak_cert *c) {
    ak_cert **u = ak_lua_new(L, AK_LUA_CERTIFICATE, sizeof *u, 0);
    *u = ak_cert_ref(c);
}

static ak_cert *cert_of(void *u) { return *(ak_cert **)u; }

/* ---- small pushes ------------------------------------------------------------------------------------------------------------ */

static void push_hex(lua_State *L, ak_view v) {
    ak_lua_work *w = ak_lua_work_new(L);
    for (size_t i = 0; i < v.n; i++) ak_printf(&w->bytes, "%02x", v.p[i]);
    ak_lua_push_bytes(L, w);
}

static void push_printed(lua_State *L, bool (*print)(ak_view, ak_buf *), ak_view v) {
    ak_lua_work *w = ak_lua_work_new(L);
    print(v, &w->bytes);
    ak_lua_push_bytes(L, w);
}

/* append: moves the value on the top to the end of the table at idx. */
static void append(lua_State *L, int idx) { lua_rawseti(L, idx, (lua_Integer)lua_rawlen(L, idx) + 1); }

/* push_names: the general names of a kind as strings; kind -1: all, each with its kind. */
static void push_names(lua_State *L, ak_view names, int kind) {
    ak_gn gn;
    lua_newtable(L);
    int t = lua_gettop(L);
    while (ak_names_next(&names, &gn)) {
        if (kind >= 0 && (int)gn.kind != kind) continue;
        ak_lua_work *w = ak_lua_work_new(L);
        if (kind < 0) ak_gn_print(&gn, &w->bytes);
        else if (gn.kind == AK_GN_ip) ak_ip_print(gn.value, &w->bytes);
        else if (gn.kind == AK_GN_directory) ak_name_print(gn.value, &w->bytes);
        else ak_view_print(gn.value, &w->bytes);
        ak_lua_push_bytes(L, w);
        lua_remove(L, -2);
        append(L, t);
    }
}

static void push_bits(lua_State *L, unsigned bits, const char *const *names, size_t n) {
    lua_newtable(L);
    int t = lua_gettop(L);
    for (size_t i = 0; i < n; i++) {
        if ((bits >> i & 1) == 0) continue;
        lua_pushstring(L, names[i]);
        append(L, t);
    }
}

/* ---- properties ------------------------------------------------------------------------------------------------------------------ */

static void get_subject(lua_State *L, void *u) { push_printed(L, ak_name_print, cert_of(u)->subject); }
static void get_issuer(lua_State *L, void *u) { push_printed(L, ak_name_print, cert_of(u)->issuer); }
static void get_name(lua_State *L, void *u) { push_printed(L, ak_name_short, cert_of(u)->subject); }
static void get_subject_der(lua_State *L, void *u) { ak_lua_push_view(L, cert_of(u)->subject); }
static void get_issuer_der(lua_State *L, void *u) { ak_lua_push_view(L, cert_of(u)->issuer); }
static void get_version(lua_State *L, void *u) { lua_pushinteger(L, cert_of(u)->version); }
static void get_not_before(lua_State *L, void *u) { lua_pushinteger(L, cert_of(u)->not_before); }
static void get_not_after(lua_State *L, void *u) { lua_pushinteger(L, cert_of(u)->not_after); }
static void get_dns_names(lua_State *L, void *u) { push_names(L, cert_of(u)->san, AK_GN_dns); }
static void get_ip_addresses(lua_State *L, void *u) { push_names(L, cert_of(u)->san, AK_GN_ip); }
static void get_email_addresses(lua_State *L, void *u) { push_names(L, cert_of(u)->san, AK_GN_email); }
static void get_uris(lua_State *L, void *u) { push_names(L, cert_of(u)->san, AK_GN_uri); }
static void get_names(lua_State *L, void *u) { push_names(L, cert_of(u)->san, -1); }
static void get_der(lua_State *L, void *u) { ak_lua_push_view(L, cert_of(u)->der); }
static void get_tbs(lua_State *L, void *u) { ak_lua_push_view(L, cert_of(u)->tbs); }
static void get_signature(lua_State *L, void *u) { ak_lua_push_view(L, cert_of(u)->signature); }
static void get_spki(lua_State *L, void *u) { ak_lua_push_view(L, cert_of(u)->spki); }
static void get_public_key(lua_State *L, void *u) { ak_lua_push_view(L, cert_of(u)->public_key); }
static void get_is_ca(lua_State *L, void *u) { lua_pushboolean(L, cert_of(u)->is_ca); }
static void get_self_issued(lua_State *L, void *u) { lua_pushboolean(L, cert_of(u)->self_issued); }
static void get_must_staple(lua_State *L, void *u) { lua_pushboolean(L, cert_of(u)->must_staple); }

static void get_serial(lua_State *L, void *u) {
    ak_lua_work *w = ak_lua_work_new(L);
    ak_cert_serial(cert_of(u), &w->bytes);
    ak_lua_push_bytes(L, w);
}

static void get_pem(lua_State *L, void *u) {
    ak_lua_work *w = ak_lua_work_new(L);
    ak_pem_write("CERTIFICATE", cert_of(u)->der, &w->bytes);
    ak_lua_push_bytes(L, w);
}

static void get_fingerprint(lua_State *L, void *u) {
    uint8_t hash[32];
    if (ak_cert_fingerprint(ak_lua_provider(L), cert_of(u), hash)) push_hex(L, ak_view_of(hash, sizeof hash));
    else lua_pushnil(L);
}

static void get_key_type(lua_State *L, void *u) {
    static const char *const names[] = {"none", "rsa", "rsa_pss", "ec", "ed25519", "ed448", "other"};
    ak_key *k = ak_cert_key(ak_lua_provider(L), cert_of(u), NULL);
    if (k != NULL) lua_pushstring(L, names[ak_key_type(k)]);
    else lua_pushnil(L);
}

static void get_key_bits(lua_State *L, void *u) {
    ak_key *k = ak_cert_key(ak_lua_provider(L), cert_of(u), NULL);
    if (k != NULL && ak_key_type(k) != AK_KEY_other) lua_pushinteger(L, ak_key_bits(k));
    else lua_pushnil(L);
}

static void get_key_group(lua_State *L, void *u) {
    ak_key *k = ak_cert_key(ak_lua_provider(L), cert_of(u), NULL);
    const ak_group *g = k != NULL ? ak_group_find(ak_key_group(k)) : NULL;
    if (g != NULL) lua_pushstring(L, g->name);
    else lua_pushnil(L);
}

static void get_signature_algorithm(lua_State *L, void *u) {
    const ak_cert *c = cert_of(u);
    ak_rd r, body;
    ak_view oid = nothing;
    if (c->sigalg.name != NULL) {
        lua_pushstring(L, c->sigalg.name);
        return;
    }
    ak_rd_view(&r, c->sigalg_der);
    if (ak_der_enter(&r, AK_DER_SEQUENCE, &body)) ak_der_get(&body, AK_DER_OID, &oid);
    push_printed(L, ak_oid_print, oid);
}

static void get_path_length(lua_State *L, void *u) {
    if (cert_of(u)->path_len >= 0) lua_pushinteger(L, cert_of(u)->path_len);
    else lua_pushnil(L);
}

static const char *const usages[] = {"digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement",
                                     "keyCertSign",      "cRLSign",           "encipherOnly",    "decipherOnly"};
static const char *const purposes[] = {"serverAuth", "clientAuth", "codeSigning", "emailProtection", "timeStamping", "OCSPSigning", "any", "other"};

static void get_key_usage(lua_State *L, void *u) {
    const ak_cert *c = cert_of(u);
    if (c->ext[AK_EXT_key_usage] == NULL) lua_pushnil(L);
    else push_bits(L, c->key_usage, usages, sizeof usages / sizeof usages[0]);
}

static void get_ext_key_usage(lua_State *L, void *u) {
    const ak_cert *c = cert_of(u);
    if (c->ext[AK_EXT_extended_key_usage] == NULL) lua_pushnil(L);
    else push_bits(L, c->ext_key_usage, purposes, sizeof purposes / sizeof purposes[0]);
}

static void push_id(lua_State *L, ak_view id) {
    if (id.n > 0) push_hex(L, id);
    else lua_pushnil(L);
}
static void get_subject_key_id(lua_State *L, void *u) { push_id(L, cert_of(u)->ski); }
static void get_authority_key_id(lua_State *L, void *u) { push_id(L, cert_of(u)->aki_key_id); }

static void get_scts(lua_State *L, void *u) {
    if (cert_of(u)->scts.n > 0) ak_lua_push_view(L, cert_of(u)->scts);
    else lua_pushnil(L);
}

static void get_malformed(lua_State *L, void *u) {
    if (cert_of(u)->malformed) lua_pushstring(L, cert_of(u)->malformed_text);
    else lua_pushnil(L);
}

/* extensions: { oid=, name=, critical=, value= }, in their order. */
static void get_extensions(lua_State *L, void *u) {
    const ak_cert *c = cert_of(u);
    lua_createtable(L, (int)c->n_exts, 0);
    int t = lua_gettop(L);
    for (size_t i = 0; i < c->n_exts; i++) {
        const ak_ext *e = &c->exts[i];
        const char *name = ak_ext_name(e->id);
        lua_createtable(L, 0, 4);
        push_printed(L, ak_oid_print, e->oid);
        lua_setfield(L, t + 1, "oid");
        lua_settop(L, t + 1);
        if (name != NULL) {
            lua_pushstring(L, name);
            lua_setfield(L, -2, "name");
        }
        lua_pushboolean(L, e->critical);
        lua_setfield(L, -2, "critical");
        ak_lua_push_view(L, e->value);
        lua_setfield(L, -2, "value");
        lua_rawseti(L, t, (lua_Integer)i + 1);
    }
}

/* push_access: the URIs of AccessDescriptions with this method. */
static void push_access(lua_State *L, const ak_cert *c, const char *method, size_t n) {
    ak_rd r, one;
    ak_view oid;
    ak_gn where;
    lua_newtable(L);
    int t = lua_gettop(L);
    ak_rd_view(&r, c->malformed ? nothing : c->aia);
    while (ak_rd_left(&r) > 0 && ak_der_enter(&r, AK_DER_SEQUENCE, &one) && ak_der_get(&one, AK_DER_OID, &oid) && ak_gn_read(&one, &where, false)) {
        if (!ak_oid_is(oid, method, n) || where.kind != AK_GN_uri) continue;
        push_printed(L, ak_view_print, where.value);
        lua_remove(L, -2);
        append(L, t);
    }
}
static void get_ocsp_urls(lua_State *L, void *u) { push_access(L, cert_of(u), AK_OID_AD_OCSP, sizeof AK_OID_AD_OCSP - 1); }
static void get_issuer_urls(lua_State *L, void *u) { push_access(L, cert_of(u), AK_OID_AD_CA_ISSUERS, sizeof AK_OID_AD_CA_ISSUERS - 1); }

static void get_crl_urls(lua_State *L, void *u) {
    const ak_cert *c = cert_of(u);
    ak_rd r, dp, name;
    ak_view names;
    ak_gn gn;
    lua_newtable(L);
    int t = lua_gettop(L);
    ak_rd_view(&r, c->malformed ? nothing : c->crl_dps);
    while (ak_rd_left(&r) > 0 && ak_der_enter(&r, AK_DER_SEQUENCE, &dp)) {
        if (ak_der_peek(&dp) != AK_DER_CONTEXT_CONSTRUCTED(0) || !ak_der_enter(&dp, AK_DER_CONTEXT_CONSTRUCTED(0), &name) ||
            !ak_der_get(&name, AK_DER_CONTEXT_CONSTRUCTED(0), &names) || !ak_names_valid(names))
            continue;
        while (ak_names_next(&names, &gn)) {
            if (gn.kind != AK_GN_uri) continue;
            push_printed(L, ak_view_print, gn.value);
            lua_remove(L, -2);
            append(L, t);
        }
    }
}

void ak_lua_push_oid(lua_State *L, ak_view oid) {
    push_printed(L, ak_oid_print, oid);
    lua_remove(L, -2);
}

static void get_policies(lua_State *L, void *u) {
    const ak_cert *c = cert_of(u);
    ak_rd r, info;
    ak_view oid;
    lua_newtable(L);
    int t = lua_gettop(L);
    ak_rd_view(&r, c->malformed ? nothing : c->policies);
    while (ak_rd_left(&r) > 0 && ak_der_enter(&r, AK_DER_SEQUENCE, &info) && ak_der_get(&info, AK_DER_OID, &oid)) {
        ak_lua_push_oid(L, oid);
        append(L, t);
    }
}

#define PROPERTIES(X) \
    X(subject) X(issuer) X(name) X(subject_der) X(issuer_der) X(version) X(serial) X(not_before) X(not_after) X(dns_names) X(ip_addresses) X(email_addresses) X(uris) X(names) \
    X(der) X(pem) X(tbs) X(signature) X(signature_algorithm) X(spki) X(public_key) X(fingerprint) X(key_type) X(key_bits) X(key_group) X(is_ca) \
    X(path_length) X(key_usage) X(ext_key_usage) X(subject_key_id) X(authority_key_id) X(self_issued) X(must_staple) X(scts) X(malformed) X(extensions) X(ocsp_urls) \
    X(issuer_urls) X(crl_urls) X(policies)

/* ---- methods ------------------------------------------------------------------------------------------------------------------------ */

/* cert:matches(host): true, or nil, message, failure (host_mismatch, bad_host_name). */
static int l_matches(lua_State *L) {
    ak_failure f = {0};
    ak_lua_check_certificate(L, 1);
    ak_view host = ak_lua_check_view(L, 2);
    if (ak_host_check(ak_lua_check_certificate(L, 1), host, &f) != AK_OK) return ak_lua_fail(L, &f);
    lua_pushboolean(L, 1);
    return 1;
}

/* cert:signed_by(other): whether other's key made this certificate's signature; says nothing about trust. */
static int l_signed_by(lua_State *L) {
    ak_failure f = {0};
    if (ak_cert_check_signature(ak_lua_provider(L), ak_lua_check_certificate(L, 1), ak_lua_check_certificate(L, 2), &f) != AK_OK)
        return ak_lua_fail(L, &f);
    lua_pushboolean(L, 1);
    return 1;
}

/* cert:verify(scheme, data, signature): a signature made with the certificate's key. */
static int l_verify(lua_State *L) {
    ak_failure f = {0};
    ak_provider *p = ak_lua_provider(L);
    ak_lua_check_certificate(L, 1);
    const ak_scheme *s = ak_lua_check_scheme(L, 2);
    ak_view data = ak_lua_bytes(L, 3), signature = ak_lua_bytes(L, 4);
    ak_key *k = ak_cert_key(p, ak_lua_check_certificate(L, 1), &f);
    if (k == NULL) return ak_lua_fail(L, &f);
    luaL_argcheck(L, ak_scheme_fits(s, k, 0), 2, "this scheme does not fit the key");
    if (ak_verify_signature(p, k, s, data, signature, &f) != AK_OK) return ak_lua_fail(L, &f);
    lua_pushboolean(L, 1);
    return 1;
}

static int l_close(lua_State *L) {
    ak_cert **c = ak_lua_check(L, 1, AK_LUA_CERTIFICATE);
    if (ak_lua_held(L, l_close)) return 0;
    ak_cert_free(*c);
    *c = NULL;
    return 0;
}

static int l_eq(lua_State *L) {
    ak_cert **a = ak_lua_test(L, 1, AK_LUA_CERTIFICATE), **b = ak_lua_test(L, 2, AK_LUA_CERTIFICATE);
    lua_pushboolean(L, a != NULL && b != NULL && *a != NULL && *b != NULL && ak_cert_same(*a, *b));
    return 1;
}

static int l_tostring(lua_State *L) {
    ak_cert **c = ak_lua_check(L, 1, AK_LUA_CERTIFICATE);
    if (*c == NULL) {
        lua_pushliteral(L, AK_LUA_CERTIFICATE " (closed)");
        return 1;
    }
    ak_lua_hold(L);
    push_printed(L, ak_name_print, (*c)->subject);
    ak_lua_let_go(L);
    lua_pushfstring(L, AK_LUA_CERTIFICATE " (%s)", lua_tostring(L, -1));
    return 1;
}

/* ---- constructors ----------------------------------------------------------------------------------------------------------------------- */

static int push_first(lua_State *L, const ak_lua_work *w) {
    ak_lua_push_certificate(L, w->certs[0]);
    return 1;
}

static int push_all(lua_State *L, const ak_lua_work *w) {
    lua_createtable(L, (int)w->n_certs, 0);
    for (size_t i = 0; i < w->n_certs; i++) {
        ak_lua_push_certificate(L, w->certs[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* certificate(bytes): the first one of a PEM text, or one DER. The first argument is the table that is called. */
static int l_certificate(lua_State *L) {
    ak_failure f = {0};
    lua_remove(L, 1); /* a message about an argument counts those that stand between the brackets */
    ak_lua_bytes(L, 1);
    ak_lua_work *w = ak_lua_work_new(L);
    return ak_lua_take_certificates(L, 1, w, false, "certificate", &f) == AK_OK ? push_first(L, w) : ak_lua_fail(L, &f);
}

/* certificates(pem): all of them, in their order. An array here is one of certificates, each PEM, DER or a Certificate. */
static int l_certificates(lua_State *L) {
    ak_failure f = {0};
    lua_remove(L, 1);
    luaL_checkany(L, 1);
    ak_lua_work *w = ak_lua_work_new(L);
    return ak_lua_take_certificates(L, 1, w, false, "certificates", &f) == AK_OK ? push_all(L, w) : ak_lua_fail(L, &f);
}

/* certificate.file(path), certificates.file(path): the same of a file's content. */
static int l_certificate_file(lua_State *L) {
    ak_failure f = {0};
    lua_settop(L, 1);
    ak_lua_work *w = ak_lua_work_new(L);
    return ak_lua_take_certificate_file(L, 1, w, "certificate.file", &f) == AK_OK ? push_first(L, w) : ak_lua_fail(L, &f);
}

static int l_certificates_file(lua_State *L) {
    ak_failure f = {0};
    lua_settop(L, 1);
    ak_lua_work *w = ak_lua_work_new(L);
    return ak_lua_take_certificate_file(L, 1, w, "certificates.file", &f) == AK_OK ? push_all(L, w) : ak_lua_fail(L, &f);
}

/* distinguished_names(list): certificate_authorities as it is on the wire, each name with its two length bytes: an array of the names as Certificate.subject
 * prints them; .der: an array of their bytes; .bytes: the list itself. What is no name is shown by its bytes; behind a length that does not fit nothing is read. */
int ak_lua_distinguished_names(lua_State *L) {
    ak_rd r;
    ak_view name;
    ak_rd_view(&r, ak_lua_bytes(L, 1));
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    while (ak_rd_left(&r) > 0 && ak_rd_vec(&r, &name, 2)) {
        push_printed(L, ak_name_valid(name) ? ak_name_print : ak_view_print, name);
        lua_remove(L, -2);
        append(L, 2);
        ak_lua_push_view(L, name);
        append(L, 3);
    }
    lua_setfield(L, 2, "der");
    lua_pushvalue(L, 1);
    lua_setfield(L, 2, "bytes");
    return 1;
}

/* push_reader: a table with a function file, that can be called as the other one. */
static void push_reader(lua_State *L, lua_CFunction of_bytes, lua_CFunction of_file) {
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, of_file);
    lua_setfield(L, -2, "file");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, of_bytes);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
}

void ak_open_certificate(lua_State *L) {
    static const luaL_Reg methods[] = {{"matches", l_matches}, {"signed_by", l_signed_by}, {"verify", l_verify}, {"close", l_close}, {NULL, NULL}};
#define ROW(name) {#name, get_##name},
    static const ak_lua_property properties[] = {PROPERTIES(ROW) {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_close}, {"__close", l_close}, {"__eq", l_eq}, {"__tostring", l_tostring}, {NULL, NULL}};
    ak_lua_class(L, AK_LUA_CERTIFICATE, methods, properties, meta);
    push_reader(L, l_certificate, l_certificate_file);
    lua_setfield(L, -2, "certificate");
    push_reader(L, l_certificates, l_certificates_file);
    lua_setfield(L, -2, "certificates");
}
