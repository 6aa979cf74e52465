/* lcontext.c: akushu.Context. lua/akushu/options.lua has turned what the user wrote into the plain fields that are read here; a field of the wrong type
 * is still refused. */
#include "binding/binding.h"

#include "binding/lx509.h"
#include "crypto/compress.h"
#include "wire/registry.h"

#include <string.h>

#define CLASS "akushu.Context"

typedef struct lcontext {
    ak_context *c;
    int64_t now; /* what a Lua clock said last */
} lcontext;

ak_context *ak_lua_check_context(lua_State *L, int arg) {
    lcontext *u = ak_lua_check(L, arg, CLASS);
    luaL_argcheck(L, u->c != NULL, arg, "a context that was closed");
    return u->c;
}

static int64_t lua_clock(void *user) { return ((lcontext *)user)->now; }

/* ---- fields ---------------------------------------------------------------------------------------------------------------- */

static bool flag(lua_State *L, int t, const char *name, bool *out) {
    int type = lua_getfield(L, t, name);
    bool there = type != LUA_TNIL;
    if (there) *out = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return there;
}

static lua_Integer number(lua_State *L, int t, const char *name, lua_Integer otherwise, lua_Integer min, lua_Integer max) {
    lua_Integer n = otherwise;
    if (lua_getfield(L, t, name) != LUA_TNIL) {
        int ok = 0;
        n = lua_tointegerx(L, -1, &ok);
        if (!ok || n < min || n > max) luaL_error(L, "option '%s': an integer from %I to %I expected", name, (LUAI_UACINT)min, (LUAI_UACINT)max);
    }
    lua_pop(L, 1);
    return n;
}

static void ids(lua_State *L, int t, const char *name, uint16_t *out, size_t *n) {
    if (lua_getfield(L, t, name) == LUA_TTABLE) {
        lua_Integer len = luaL_len(L, -1);
        if (len > AK_LIST_MAX) luaL_error(L, "option '%s': at most %d values", name, AK_LIST_MAX);
        *n = 0;
        for (lua_Integer i = 1; i <= len; i++) {
            lua_geti(L, -1, i);
            out[(*n)++] = (uint16_t)luaL_checkinteger(L, -1);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

/* is_open: raises when the object on top of the stack, the value of an option, was closed: it is told by the option's name. */
static void is_open(lua_State *L, const char *option) {
    void *const *object = ak_lua_object(L, -1); /* a store or an identity: options.lua has looked */
    if (object != NULL && *object == NULL) luaL_error(L, "option '%s': %s", option, luaL_tolstring(L, -1, NULL));
}

static void identities(lua_State *L, int t, ak_context *c) {
    if (lua_getfield(L, t, "identities") == LUA_TTABLE) {
        lua_Integer len = luaL_len(L, -1);
        if (len > (lua_Integer)(sizeof c->identities / sizeof c->identities[0])) luaL_error(L, "option 'identity': at most 16 identities");
        for (lua_Integer i = 1; i <= len; i++) {
            lua_geti(L, -1, i);
            is_open(L, "identity");
            c->identities[c->n_identities++] = ak_identity_ref(ak_lua_check_identity(L, -1));
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static void bytes(lua_State *L, int t, const char *name, ak_buf *out) {
    size_t n;
    if (lua_getfield(L, t, name) != LUA_TNIL) {
        const char *s = luaL_checklstring(L, -1, &n);
        ak_buf_clear(out);
        if (!ak_buf_put(out, s, n)) luaL_error(L, "option '%s': too long", name);
    }
    lua_pop(L, 1);
}

/* psks: { { identity =, key =, hash = "sha384" }, … } */
static void psks(lua_State *L, int t, ak_context *c) {
    if (lua_getfield(L, t, "psk") == LUA_TTABLE) {
        lua_Integer len = luaL_len(L, -1);
        for (lua_Integer i = 1; i <= len; i++) {
            ak_failure f = {0};
            lua_geti(L, -1, i);
            int at = lua_gettop(L);
            lua_getfield(L, at, "identity");
            lua_getfield(L, at, "key");
            lua_getfield(L, at, "hash");
            const char *hash = luaL_optstring(L, -1, "sha256");
            if (ak_context_add_psk(c, ak_lua_check_view(L, at + 1), ak_lua_check_view(L, at + 2), strcmp(hash, "sha384") == 0 ? AK_HASH_sha384 : AK_HASH_sha256, &f) != AK_OK)
                luaL_error(L, "option 'psk': %s", f.detail[0] != '\0' ? f.detail : ak_error_text(f.error));
            lua_settop(L, at - 1);
        }
    }
    lua_pop(L, 1);
}

/* cert_compression: names; those whose library is not there are not offered. */
static void compression(lua_State *L, int t, ak_context *c) {
    if (lua_getfield(L, t, "cert_compression") == LUA_TTABLE) {
        lua_Integer len = luaL_len(L, -1);
        for (lua_Integer i = 1; i <= len && c->n_cert_compression < sizeof c->cert_compression / sizeof c->cert_compression[0]; i++) {
            uint32_t id;
            lua_geti(L, -1, i);
            if (!ak_number(AK_REG_certificate_compression_algorithms, ak_lua_check_string(L, -1), &id)) luaL_error(L, "option 'certificate_compression': unknown algorithm");
            c->cert_compression[c->n_cert_compression++] = (uint16_t)id;
            lua_pop(L, 1);
        }
        c->compressors = ak_compressors_new();
        if (c->compressors == NULL) luaL_error(L, "akushu: out of memory");
    }
    lua_pop(L, 1);
}

static void read_lists(lua_State *L, ak_context *c) {
    ids(L, 2, "suites", c->suites, &c->n_suites);
    ids(L, 2, "groups", c->groups, &c->n_groups);
    ids(L, 2, "key_shares", c->key_shares, &c->n_key_shares);
    ids(L, 2, "schemes", c->schemes, &c->n_schemes);
    uint16_t equal[AK_LIST_MAX];
    size_t n_equal = 0;
    ids(L, 2, "equal_suites", equal, &n_equal);
    for (size_t i = 0; i < n_equal && i < c->n_suites; i++) c->suite_equal[i] = equal[i] != 0;
    ids(L, 2, "signing_schemes", c->sign_schemes, &c->n_sign_schemes);
    ids(L, 2, "cert_schemes", c->cert_schemes, &c->n_cert_schemes);
    compression(L, 2, c);
    identities(L, 2, c);
    psks(L, 2, c);
    bytes(L, 2, "alpn", &c->alpn);
    bytes(L, 2, "psk_hint", &c->psk_hint);
    bytes(L, 2, "oid_filters", &c->oid_filters);
}

static void read_numbers(lua_State *L, ak_context *c) {
    c->min_version = (uint16_t)number(L, 2, "min_version", c->min_version, AK_SSL30, AK_TLS13);
    c->max_version = (uint16_t)number(L, 2, "max_version", c->max_version, AK_SSL30, AK_TLS13);
    c->client_auth = (ak_client_auth)number(L, 2, "client_auth", c->client_auth, AK_CLIENT_AUTH_none, AK_CLIENT_AUTH_require);
    c->n_tickets = (unsigned)number(L, 2, "ticket_count", c->n_tickets, 0, 16);
    c->session_lifetime = (uint32_t)number(L, 2, "session_lifetime", c->session_lifetime, 1, 604800);
    c->max_fragment = (uint16_t)number(L, 2, "max_fragment", c->max_fragment, 1, 16384);
    c->max_fragment_length = (uint16_t)number(L, 2, "max_fragment_length", c->max_fragment_length, 512, 4096);
    c->padding = (uint16_t)number(L, 2, "padding", c->padding, 0, 16384);
    c->record_size_limit = (uint16_t)number(L, 2, "record_size_limit", c->record_size_limit, 64, 16385);
    c->max_message = (uint32_t)number(L, 2, "max_message", c->max_message, 1024, 1 << 24);
    c->max_hello = (uint32_t)number(L, 2, "max_message", c->max_hello, 1024, 1 << 24);
    c->psk_modes = (unsigned)number(L, 2, "psk_modes", c->psk_modes, 0, AK_PSK_dhe_ke | AK_PSK_ke);
    c->max_early_data = (uint32_t)number(L, 2, "early_data", c->max_early_data, 0, UINT32_MAX);
    c->early_data_window = (uint32_t)number(L, 2, "early_data_window", c->early_data_window, 1, 604800);
    c->security_level = (unsigned)number(L, 2, "security_level", c->security_level, 0, 5);
    c->min_dh_bits = (unsigned)number(L, 2, "min_dh_bits", c->min_dh_bits, 512, 8192);
}

/* record_padding: { by = "multiple" | "fixed" | "random", n =, all = } */
static void record_padding(lua_State *L, int t, ak_context *c) {
    static const char *const forms[] = {"none", "multiple", "fixed", "random", NULL};
    if (lua_getfield(L, t, "record_padding") == LUA_TTABLE) {
        int at = lua_gettop(L);
        lua_getfield(L, at, "by");
        const char *by = lua_tostring(L, -1);
        for (int i = 0; by != NULL && forms[i] != NULL; i++)
            if (strcmp(by, forms[i]) == 0) c->record_padding.by = (ak_pad_by)i;
        c->record_padding.n = (uint16_t)number(L, at, "n", 0, 0, 16384);
        flag(L, at, "all", &c->record_padding.all);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void read_flags(lua_State *L, ak_context *c) {
    flag(L, 2, "verify", &c->verify);
    flag(L, 2, "verify_host", &c->verify_host);
    flag(L, 2, "prefer_client", &c->prefer_client);
    flag(L, 2, "extended_master_secret", &c->ems);
    flag(L, 2, "require_extended_master_secret", &c->require_ems);
    flag(L, 2, "encrypt_then_mac", &c->etm);
    flag(L, 2, "session_ids", &c->session_ids);
    flag(L, 2, "tickets", &c->tickets);
    flag(L, 2, "middlebox_compat", &c->middlebox_compat);
    flag(L, 2, "strict_groups", &c->strict_groups);
    flag(L, 2, "always_ccs", &c->always_ccs);
    flag(L, 2, "any_alpn", &c->any_alpn);
    flag(L, 2, "false_start", &c->false_start);
    flag(L, 2, "fallback_scsv", &c->fallback_scsv);
    flag(L, 2, "grease", &c->grease);
    c->coalesce_set = flag(L, 2, "coalesce", &c->coalesce);
    flag(L, 2, "ask_ocsp", &c->ask_ocsp);
    flag(L, 2, "ask_early_data", &c->ask_early_data);
    flag(L, 2, "ask_psk", &c->ask_psk);
    flag(L, 2, "cookie", &c->cookie);
    flag(L, 2, "post_handshake_auth", &c->post_handshake_auth);
    flag(L, 2, "reuse_tickets", &c->reuse_tickets);
    flag(L, 2, "ca_names", &c->send_ca_names);
    flag(L, 2, "ocsp", &c->ocsp);
    flag(L, 2, "sct", &c->sct);
    flag(L, 2, "keylog", &c->keylog);
    flag(L, 2, "renegotiation", &c->renegotiation);
    flag(L, 2, "renegotiation_fatal", &c->renegotiation_fatal);
    flag(L, 2, "renegotiation_new_certificate", &c->renegotiation_new_certificate);
    flag(L, 2, "hide_unknown_psk", &c->hide_unknown_psk);
    flag(L, 2, "ask_untrusted", &c->ask_untrusted);
    flag(L, 2, "ask_identity", &c->ask_identity);
    flag(L, 2, "ask_alpn", &c->ask_alpn);
    flag(L, 2, "ask_client_identity", &c->ask_client_identity);
    flag(L, 2, "external_store", &c->external_store);
}

/* ticket_keys: the application's own; they change only when it says so. */
static void ticket_keys(lua_State *L, int t, ak_context *c) {
    if (lua_getfield(L, t, "ticket_keys") != LUA_TNIL) {
        ak_view keys = ak_lua_bytes_option(L, -1, "option 'ticket_keys'");
        c->ticket_keys = ak_ticket_keys_new(c->provider, 0);
        if (c->ticket_keys == NULL) luaL_error(L, "akushu: out of memory");
        if (!ak_ticket_keys_set(c->ticket_keys, keys, ak_context_now(c))) luaL_error(L, "option 'ticket_keys': 1 to 8 keys of %d bytes expected", AK_TICKET_KEY_SIZE);
    }
    lua_pop(L, 1);
}

/* context(server, fields): a new context with its user value for what Lua keeps of it. */
static int l_new(lua_State *L) {
    bool server = lua_toboolean(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lcontext *u = ak_lua_new(L, CLASS, sizeof *u, 1);
    lua_createtable(L, 0, 2);
    lua_setiuservalue(L, -2, 1);
    bool lab = lua_getfield(L, 2, "lab") != LUA_TNIL;
    ak_provider *p = lab ? ak_lua_check_lab(L, -1) : ak_lua_provider(L);
    lua_pop(L, 1);
    u->c = ak_context_new(p, server);
    if (u->c == NULL) return luaL_error(L, "akushu: out of memory");
    read_numbers(L, u->c);
    read_flags(L, u->c);
    read_lists(L, u->c);
    record_padding(L, 2, u->c);
    ticket_keys(L, 2, u->c);
    lua_Integer store = number(L, 2, "store_size", 0, 0, 1 << 24);
    if (store > 0) {
        u->c->store = ak_store_new((size_t)store);
        if (u->c->store == NULL) return luaL_error(L, "akushu: out of memory");
    }
    if (lua_getfield(L, 2, "trust") != LUA_TNIL) {
        is_open(L, "trust");
        u->c->trust = ak_trust_ref(ak_lua_check_trust(L, -1));
    }
    lua_pop(L, 1);
    bool clock = false;
    flag(L, 2, "has_clock", &clock);
    if (clock) {
        u->c->clock = lua_clock;
        u->c->clock_user = u;
    }
    return 1;
}

int ak_lua_push_kept(lua_State *L, int idx) {
    int type = LUA_TNIL;
    if (lua_getiuservalue(L, idx, 1) == LUA_TTABLE) {
        type = lua_getfield(L, -1, "kept");
        lua_remove(L, -2);
    }
    return type;
}

void ak_lua_tick(lua_State *L, int idx) {
    lcontext *u = ak_lua_check(L, idx, CLASS);
    int top = lua_gettop(L);
    if (u->c == NULL || u->c->clock_user != u) return;
    ak_lua_push_kept(L, idx);
    lua_getfield(L, -1, "clock");
    if (lua_type(L, -1) != LUA_TNUMBER) lua_call(L, 0, 1);
    lua_Number now = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (lua_type(L, -1) != LUA_TNUMBER || !(now > -1e15 && now < 1e15))
        luaL_error(L, "option 'clock': seconds since 1970 expected, got %s", lua_type(L, -1) == LUA_TNUMBER ? lua_tostring(L, -1) : luaL_typename(L, -1));
    u->now = (int64_t)now;
    lua_settop(L, top);
}

/* context:_values(): what Lua keeps of it; nil: it was closed. */
static int l_values(lua_State *L) {
    const lcontext *u = ak_lua_check(L, 1, CLASS);
    if (u->c != NULL) lua_getiuservalue(L, 1, 1);
    else lua_pushnil(L);
    return 1;
}

/* context:_stored_session(id): what a server's own memory has under it; nil: nothing. For regression scripts. */
static int l_stored_session(lua_State *L) {
    ak_context *c = ak_lua_check_context(L, 1);
    ak_view value;
    if (c->store == NULL || !ak_store_get(c->store, ak_lua_bytes(L, 2), ak_context_now(c), &value)) return 0;
    ak_lua_push_view(L, value);
    return 1;
}

static int l_stored(lua_State *L) {
    const ak_context *c = ak_lua_check_context(L, 1);
    lua_pushinteger(L, c->store != NULL ? (lua_Integer)ak_store_count(c->store) : 0);
    return 1;
}

/* keys_of: a server's ticket keys, made when it has none yet. */
static ak_ticket_keys *keys_of(lua_State *L, ak_context *c) {
    if (!c->server) luaL_error(L, "ticket keys are a server's: this is a client's context");
    if (c->ticket_keys == NULL) c->ticket_keys = ak_ticket_keys_new(c->provider, c->session_lifetime);
    if (c->ticket_keys == NULL) luaL_error(L, "akushu: out of memory");
    return c->ticket_keys;
}

/* context:ticket_keys(): the keys as option `ticket_keys` takes them, as a Secret. */
static int l_ticket_keys(lua_State *L) {
    ak_context *c = ak_lua_check_context(L, 1);
    ak_ticket_keys *k = keys_of(L, c);
    uint8_t room[8 * AK_TICKET_KEY_SIZE];
    ak_buf b;
    ak_buf_init_secret(&b, sizeof room);
    bool ok = ak_ticket_keys_get(k, &b) || (ak_ticket_keys_rotate(k, ak_context_now(c)) && ak_ticket_keys_get(k, &b));
    size_t n = b.n;
    if (ok) memcpy(room, b.p, n);
    ak_buf_free(&b);
    if (!ok) return luaL_error(L, "akushu: no randomness for ticket keys");
    ak_lua_push_secret(L, ak_view_of(room, n));
    ak_wipe(room, sizeof room);
    return 1;
}

/* context:set_ticket_keys(bytes): 1 to 8 keys, the current one first, in place of those it had. */
static int l_set_ticket_keys(lua_State *L) {
    ak_lua_check_context(L, 1);
    ak_view keys = ak_lua_secret_bytes(L, 2);
    ak_context *c = ak_lua_check_context(L, 1);
    luaL_argcheck(L, ak_ticket_keys_set(keys_of(L, c), keys, ak_context_now(c)), 2, "1 to 8 keys of 48 bytes expected");
    return 0;
}

/* context:rotate_ticket_keys(): a fresh key makes tickets from now on; those before it still open. */
static int l_rotate_ticket_keys(lua_State *L) {
    ak_context *c = ak_lua_check_context(L, 1);
    if (!ak_ticket_keys_rotate(keys_of(L, c), ak_context_now(c))) return luaL_error(L, "akushu: no randomness for ticket keys");
    return 0;
}

static int l_gc(lua_State *L) {
    lcontext *u = ak_lua_check(L, 1, CLASS);
    if (u->c != NULL && u->c->clock_user == u) u->c->clock = NULL; /* handshakes that outlive it use the system's clock */
    ak_context_free(u->c);
    u->c = NULL;
    return 0;
}

static int l_tostring(lua_State *L) {
    const lcontext *u = ak_lua_check(L, 1, CLASS);
    if (u->c == NULL) lua_pushliteral(L, CLASS " (closed)");
    else lua_pushfstring(L, CLASS " (%s, %d suites)", u->c->server ? "server" : "client", (int)u->c->n_suites);
    return 1;
}

static void p_role(lua_State *L, void *o) {
    const lcontext *u = o;
    lua_pushstring(L, u->c->server ? "server" : "client");
}

/* find_certificate_compression(name): its number; nil: unknown, or its library is not there. */
static int l_find_compression(lua_State *L) {
    uint32_t id;
    const char *name = ak_lua_check_string(L, 1); /* it may raise: before there is something to free */
    ak_compressors *c = ak_compressors_new();
    if (ak_number(AK_REG_certificate_compression_algorithms, name, &id) && ak_compress_usable(c, (uint16_t)id)) lua_pushinteger(L, id);
    else lua_pushnil(L);
    ak_compressors_free(c);
    return 1;
}

void ak_open_context(lua_State *L) {
    static const luaL_Reg methods[] = {{"_values", l_values}, {"stored_sessions", l_stored}, {"_stored_session", l_stored_session}, {"ticket_keys", l_ticket_keys},
                                       {"set_ticket_keys", l_set_ticket_keys},
                                       {"rotate_ticket_keys", l_rotate_ticket_keys}, {"close", l_gc}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_gc}, {"__close", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
    static const ak_lua_property properties[] = {{"role", p_role}, {NULL, NULL}};
    ak_lua_class(L, CLASS, methods, properties, meta);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "context");
    lua_pushcfunction(L, l_find_compression);
    lua_setfield(L, -2, "find_certificate_compression");
}
