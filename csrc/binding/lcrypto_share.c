/* lcrypto_share.c: key exchange values as Lua objects (lcrypto.c has the list). */
#include "binding/lcrypto.h"
#include "crypto/groups.h"

#include <stdlib.h>
#include <string.h>

#define SHARE "akushu.crypto.share"

static const ak_group *check_group(lua_State *L, int arg) {
    const ak_group *g = lua_type(L, arg) == LUA_TSTRING ? ak_group_by_name(lua_tostring(L, arg)) : NULL;
    if (lua_isinteger(L, arg) && lua_tointeger(L, arg) >= 0 && lua_tointeger(L, arg) <= 0xffff)
        g = ak_group_find((uint16_t)lua_tointeger(L, arg));
    if (g == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "unknown group '%s'", luaL_tolstring(L, arg, NULL)));
    return g;
}

typedef struct lua_share {
    ak_provider *provider;
    ak_share *share;
} lua_share;

static lua_share *push_share(lua_State *L) { return ak_lua_new(L, SHARE, sizeof(lua_share), 0); }

bool ak_lua_push_share_of(lua_State *L, const ak_hs *h, size_t i) {
    ak_provider *p;
    lua_share *s = push_share(L);
    s->share = ak_hs_share(h, i, &p);
    if (p == NULL) {
        lua_pop(L, 1);
        return false;
    }
    s->provider = ak_provider_ref(p);
    if (s->share == NULL) luaL_error(L, "akushu: out of memory");
    return true;
}

/* given: a lab's source that gives one private value, once; everything else that libcrypto draws there (blinding) is really random. */
typedef struct given {
    ak_provider *ordinary;
    uint8_t value[66];
    size_t n;
} given;

static bool given_fill(void *user, ak_purpose purpose, uint8_t *out, size_t n, char *why, size_t room) {
    (void)why;
    (void)room;
    given *x = user;
    if (purpose != AK_PURPOSE_key_share) return ak_random(x->ordinary, purpose, out, n);
    if (n != x->n) return false;
    memcpy(out, x->value, n);
    ak_wipe(x->value, sizeof x->value);
    x->n = 0;
    return true;
}

static void given_release(void *user) {
    given *x = user;
    ak_provider_free(x->ordinary);
    ak_wipe(x, sizeof *x);
    free(x);
}

static ak_provider *provider_giving(ak_provider *ordinary, ak_view value, ak_failure *f) {
    given *x = calloc(1, sizeof *x);
    if (x == NULL) {
        ak_fail(f, AK_ERR_out_of_memory, NULL);
        return NULL;
    }
    x->ordinary = ak_provider_ref(ordinary);
    if (value.n != 0) memcpy(x->value, value.p, value.n);
    x->n = value.n;
    ak_source source = {given_fill, given_release, x};
    ak_provider *p = ak_provider_new(&source, f);
    if (p == NULL) given_release(x);
    return p;
}

static int l_share(lua_State *L) {
    ak_failure f = {0};
    ak_provider *p = ak_lua_provider(L);
    const ak_group *g = check_group(L, 1);
    ak_view private_value = ak_lua_bytes_or_none(L, 2);
    bool with_private = !lua_isnoneornil(L, 2);
    lua_share *s = push_share(L);
    if (with_private && g->kind == AK_GROUP_ff) {
        s->provider = ak_provider_ref(p);
        s->share = ak_share_given_dh(p, g, ak_view_of(NULL, 0), ak_view_of(NULL, 0), private_value, &f);
        return s->share != NULL ? 1 : ak_lua_crypto_fail(L, &f, "share");
    }
    if (with_private) {
        luaL_argcheck(L, g->kind == AK_GROUP_x || g->kind == AK_GROUP_ec, 2, "a private value cannot be given for a hybrid");
        luaL_argcheck(L, private_value.n == g->secret, 2, "not as long as the group's private values");
        s->provider = provider_giving(p, private_value, &f);
        if (s->provider == NULL) return ak_lua_crypto_fail(L, &f, "share");
    } else {
        s->provider = ak_provider_ref(p);
    }
    s->share = ak_share_new(s->provider, g, &f);
    return s->share != NULL ? 1 : ak_lua_crypto_fail(L, &f, "share");
}

static int l_dh_share(lua_State *L) {
    ak_failure f = {0};
    ak_view prime = ak_lua_bytes(L, 1), generator = ak_lua_bytes(L, 2), private_value = ak_lua_bytes_or_none(L, 3);
    bool with_private = !lua_isnoneornil(L, 3);
    lua_share *s = push_share(L);
    s->provider = ak_provider_ref(ak_lua_provider(L));
    s->share = with_private ? ak_share_given_dh(s->provider, NULL, prime, generator, private_value, &f) : ak_share_new_dh(s->provider, prime, generator, &f);
    return s->share != NULL ? 1 : ak_lua_crypto_fail(L, &f, "dh_share");
}

static lua_share *check_share(lua_State *L) {
    lua_share *s = ak_lua_check(L, 1, SHARE);
    luaL_argcheck(L, s->share != NULL, 1, "this share is closed");
    return s;
}

static int l_share_public(lua_State *L) {
    ak_view v = ak_share_public(check_share(L)->share);
    ak_lua_push_view(L, v);
    return 1;
}

static int l_share_group(lua_State *L) {
    const ak_group *g = ak_share_group(check_share(L)->share);
    if (g == NULL) return 0;
    lua_pushstring(L, g->name);
    return 1;
}

static int l_share_derive(lua_State *L) {
    ak_failure f = {0};
    check_share(L);
    ak_view peer = ak_lua_bytes(L, 2);
    bool strip = lua_toboolean(L, 3);
    ak_buf *out = ak_lua_push_box(L);
    const lua_share *s = check_share(L);
    ak_lua_not_asking(L, s->provider); /* a lab's, of a handshake that was taken over */
    ak_error e = ak_share_derive(s->provider, s->share, peer, strip, out, &f);
    return e == AK_OK ? ak_lua_push_boxed(L, out) : ak_lua_crypto_fail(L, &f, "derive");
}

static int l_share_close(lua_State *L) {
    lua_share *s = ak_lua_check(L, 1, SHARE);
    ak_share_free(s->share);
    ak_provider_free(s->provider);
    s->share = NULL;
    s->provider = NULL;
    return 0;
}

static int l_share_tostring(lua_State *L) {
    lua_share *s = ak_lua_check(L, 1, SHARE);
    const ak_group *g = s->share != NULL ? ak_share_group(s->share) : NULL;
    lua_pushfstring(L, "key share (%s)", s->share == NULL ? "closed" : g != NULL ? g->name : "explicit parameters");
    return 1;
}

static int l_answer(lua_State *L) {
    ak_failure f = {0};
    ak_provider *p = ak_lua_provider(L);
    const ak_group *g = check_group(L, 1);
    ak_view peer = ak_lua_bytes(L, 2);
    ak_buf *public_value = ak_lua_push_box(L), *secret = ak_lua_push_box(L);
    ak_error e = ak_share_answer(p, g, peer, public_value, secret, &f);
    if (e != AK_OK) return ak_lua_crypto_fail(L, &f, "answer");
    ak_lua_push_boxed(L, public_value);
    ak_lua_push_boxed(L, secret);
    return 2;
}

static int l_dh_check(lua_State *L) {
    ak_failure f = {0};
    lua_Integer min_bits = luaL_optinteger(L, 3, 2048);
    luaL_argcheck(L, min_bits >= 0 && min_bits <= 8192, 3, "out of range");
    ak_error e = ak_dh_check(ak_lua_provider(L), ak_lua_bytes(L, 1), ak_lua_bytes(L, 2), (unsigned)min_bits, &f);
    if (e != AK_OK) return ak_lua_crypto_fail(L, &f, "dh_check");
    lua_pushboolean(L, 1);
    return 1;
}

void ak_open_crypto_shares(lua_State *L) {
    static const luaL_Reg functions[] = {{"share", l_share}, {"dh_share", l_dh_share}, {"dh_check", l_dh_check}, {"answer", l_answer}, {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", l_share_close}, {"__close", l_share_close}, {"__tostring", l_share_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"public", l_share_public}, {"group", l_share_group}, {"derive", l_share_derive}, {"close", l_share_close}, {NULL, NULL}};
    ak_lua_class(L, SHARE, methods, NULL, meta);
    luaL_setfuncs(L, functions, 0);
}
