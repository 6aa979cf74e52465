/* bench_libssl: OpenSSL's own libssl, both ends in one process, joined by memory BIOs: the peer that akushu is measured with. As lean as its
 * public API allows: one SSL_CTX for each side, BIO pairs of memory, no sockets. Links libssl; nothing but the bench uses it.
 *
 *   local b = bench_libssl.new{ chain=, key=, ca= (PEM file names), version="1.2"|"1.3", suite=, group=, host=, resume="id"|"ticket"|nil }
 *   b:handshakes(n)      n handshakes of both sides, objects made and freed
 *   b:connect()          a pair that stays, for bulk
 *   b:bulk(size, n)      n times: client writes a record of `size` bytes, server reads it
 *   b:pairs(n)           n idle pairs that live until b:drop()
 *   b:info()             version and suite of the last handshake, whether it was resumed
 */
#include <lauxlib.h>
#include <lua.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#define BENCH "bench_libssl"

typedef struct pair {
    SSL *client, *server;
} pair;

typedef struct bench {
    SSL_CTX *client, *server;
    SSL_SESSION *session;
    pair live;
    pair *idle;
    int n_idle;
    int resume; /* 0: never, 1: yes */
    char host[128], info[128];
} bench;

static int fail(lua_State *L, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    return luaL_error(L, "%s: %s", what, e ? ERR_reason_error_string(e) : "failed");
}

static void pair_free(pair *p)
{
    SSL_free(p->client);
    SSL_free(p->server);
    p->client = p->server = NULL;
}

/* Each side writes to a memory BIO that is the other's input. */
static int pair_new(const bench *b, pair *p)
{
    p->client = SSL_new(b->client);
    p->server = SSL_new(b->server);
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    if (!p->client || !p->server || !to_server || !to_client) return 0;
    BIO_set_mem_eof_return(to_server, -1);
    BIO_set_mem_eof_return(to_client, -1);
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    SSL_set_bio(p->client, to_client, to_server);
    SSL_set_bio(p->server, to_server, to_client);
    SSL_set_connect_state(p->client);
    SSL_set_accept_state(p->server);
    SSL_set_tlsext_host_name(p->client, b->host);
    SSL_set1_host(p->client, b->host);
    if (b->resume && b->session && !SSL_set_session(p->client, b->session)) return 0;
    return 1;
}

static int shake(pair *p)
{
    int done_client = 0, done_server = 0;
    for (int i = 0; i < 20 && !(done_client && done_server); i++) {
        if (!done_client) {
            int r = SSL_do_handshake(p->client);
            if (r == 1) done_client = 1;
            else if (SSL_get_error(p->client, r) != SSL_ERROR_WANT_READ) return 0;
        }
        if (!done_server) {
            int r = SSL_do_handshake(p->server);
            if (r == 1) done_server = 1;
            else if (SSL_get_error(p->server, r) != SSL_ERROR_WANT_READ) return 0;
        }
    }
    if (!done_client || !done_server) return 0;
    /* TLS 1.3: the tickets are read, as any client would with its first data. */
    char none;
    if (SSL_version(p->client) == TLS1_3_VERSION) SSL_read(p->client, &none, 0);
    return 1;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    bench *b = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(b->session);
    b->session = session;
    return 1;
}

static const char *field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const char *s = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table keeps it alive */
    return s;
}

static int b_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    bench *b = lua_newuserdatauv(L, sizeof *b, 0);
    memset(b, 0, sizeof *b);
    luaL_setmetatable(L, BENCH);
    const char *chain = field(L, "chain"), *key = field(L, "key"), *ca = field(L, "ca"), *version = field(L, "version");
    const char *suite = field(L, "suite"), *group = field(L, "group"), *host = field(L, "host"), *resume = field(L, "resume");
    luaL_argcheck(L, chain && key && ca && version, 1, "chain, key, ca and version are needed");
    snprintf(b->host, sizeof b->host, "%s", host ? host : "localhost");
    int v = strcmp(version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    b->client = SSL_CTX_new(TLS_client_method());
    b->server = SSL_CTX_new(TLS_server_method());
    if (!b->client || !b->server) return fail(L, "SSL_CTX_new");
    SSL_CTX *both[2] = {b->client, b->server};
    for (int i = 0; i < 2; i++) {
        SSL_CTX_set_min_proto_version(both[i], v);
        SSL_CTX_set_max_proto_version(both[i], v);
        if (suite && !(v == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(both[i], suite) : SSL_CTX_set_cipher_list(both[i], suite)))
            return fail(L, "suite");
        if (group && !SSL_CTX_set1_groups_list(both[i], group)) return fail(L, "group");
        lua_getfield(L, 1, "mac_first");
        if (lua_toboolean(L, -1)) SSL_CTX_set_options(both[i], SSL_OP_NO_ENCRYPT_THEN_MAC);
        lua_pop(L, 1);
    }
    if (SSL_CTX_use_certificate_chain_file(b->server, chain) != 1) return fail(L, chain);
    if (SSL_CTX_use_PrivateKey_file(b->server, key, SSL_FILETYPE_PEM) != 1) return fail(L, key);
    if (SSL_CTX_load_verify_locations(b->client, ca, NULL) != 1) return fail(L, ca);
    SSL_CTX_set_verify(b->client, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_id_context(b->server, (const unsigned char *)"bench", 5);
    if (resume) {
        b->resume = 1;
        if (strcmp(resume, "id") == 0) SSL_CTX_set_options(b->server, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(b->client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_set_app_data(b->client, b);
        SSL_CTX_sess_set_new_cb(b->client, on_session);
    } else {
        SSL_CTX_set_session_cache_mode(b->server, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(b->server, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(b->server, 0);
    }
    return 1;
}

static bench *check(lua_State *L) { return luaL_checkudata(L, 1, BENCH); }

static void note(bench *b, const pair *p)
{
    snprintf(b->info, sizeof b->info, "%s %s%s", SSL_get_version(p->client), SSL_get_cipher(p->client), SSL_session_reused(p->client) ? " resumed" : "");
}

static int b_handshakes(lua_State *L)
{
    bench *b = check(L);
    lua_Integer n = luaL_checkinteger(L, 2);
    for (lua_Integer i = 0; i < n; i++) {
        pair p = {NULL, NULL};
        if (!pair_new(b, &p) || !shake(&p)) {
            pair_free(&p);
            return fail(L, "handshake");
        }
        if (i == n - 1) note(b, &p);
        /* Ended as it should be, or the session could not be resumed. */
        SSL_shutdown(p.client);
        SSL_shutdown(p.server);
        pair_free(&p);
    }
    return 0;
}

static int b_connect(lua_State *L)
{
    bench *b = check(L);
    pair_free(&b->live);
    if (!pair_new(b, &b->live) || !shake(&b->live)) return fail(L, "handshake");
    note(b, &b->live);
    return 0;
}

static int b_bulk(lua_State *L)
{
    bench *b = check(L);
    lua_Integer size = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
    luaL_argcheck(L, size > 0 && size <= 16384, 2, "one record");
    luaL_argcheck(L, b->live.client != NULL, 1, "not connected");
    static char in[16384], out[16384];
    for (lua_Integer i = 0; i < n; i++) {
        if (SSL_write(b->live.client, in, (int)size) != size) return fail(L, "SSL_write");
        if (SSL_read(b->live.server, out, (int)sizeof out) != size) return fail(L, "SSL_read");
    }
    return 0;
}

static void drop(bench *b)
{
    for (int i = 0; i < b->n_idle; i++) pair_free(&b->idle[i]);
    free(b->idle);
    b->idle = NULL;
    b->n_idle = 0;
}

static int b_pairs(lua_State *L)
{
    bench *b = check(L);
    lua_Integer n = luaL_checkinteger(L, 2);
    luaL_argcheck(L, n > 0 && n <= 10000, 2, "how many?");
    drop(b);
    b->idle = calloc((size_t)n, sizeof *b->idle);
    if (!b->idle) return luaL_error(L, "no memory");
    for (lua_Integer i = 0; i < n; i++) {
        b->n_idle++;
        if (!pair_new(b, &b->idle[i]) || !shake(&b->idle[i])) return fail(L, "handshake");
    }
    return 0;
}

static int b_drop(lua_State *L)
{
    drop(check(L));
    return 0;
}

static int b_info(lua_State *L)
{
    lua_pushstring(L, check(L)->info);
    return 1;
}

static int b_gc(lua_State *L)
{
    bench *b = check(L);
    drop(b);
    pair_free(&b->live);
    SSL_SESSION_free(b->session);
    b->session = NULL;
    SSL_CTX_free(b->client);
    SSL_CTX_free(b->server);
    b->client = b->server = NULL;
    return 0;
}

int luaopen_bench_libssl(lua_State *L)
{
    static const luaL_Reg methods[] = {{"handshakes", b_handshakes}, {"connect", b_connect}, {"bulk", b_bulk}, {"pairs", b_pairs},
                                       {"drop", b_drop}, {"info", b_info}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", b_new}, {NULL, NULL}};
    luaL_newmetatable(L, BENCH);
    lua_pushcfunction(L, b_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
