/* lhand_over.c: hs:_hand_over(), for script.lua: everything that a script needs to speak on where the engine stops.
 *
 *   write, read     the protection of the two directions (akushu.record.protect); nil: in the clear
 *   records         bytes that came and are no opened records yet
 *   messages        handshake bytes that were opened and are no messages yet
 *   output          what the engine still had to say
 *   shares          our private key exchange values (akushu.crypto.share)
 *   psks            the context's pre-shared keys by identity
 *   offered         client: the pre-shared keys of its ClientHello in their order, or the master secret of the session that it offers (server: resumes) */
#include "binding/binding.h"

#include "record/record.h"

static void set_protection(lua_State *L, const ak_hs *h, bool write) {
    struct ak_protect **x = ak_lua_new_protection(L);
    *x = ak_hs_protection(h, write);
    if (*x == NULL) luaL_error(L, "akushu: out of memory");
    if (!ak_protect_active(*x)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    lua_setfield(L, -2, write ? "write" : "read");
}

static void set_unread(lua_State *L, const ak_hs *h) {
    ak_view part[3];
    ak_hs_unread(h, part);
    ak_lua_push_view(L, part[0]);
    ak_lua_push_view(L, part[1]);
    lua_concat(L, 2);
    lua_setfield(L, -2, "records");
    ak_lua_push_view(L, part[2]);
    lua_setfield(L, -2, "messages");
}

int ak_lua_hand_over(lua_State *L) {
    ak_hs *h = ak_lua_check_handshake(L, 1);
    ak_failure f = {0};
    if (ak_hs_hand_over(h, &f) != AK_OK) return ak_lua_fail(L, &f);
    ak_lua_hold(L);
    lua_settop(L, 1);
    lua_createtable(L, 0, 8);
    set_protection(L, h, false);
    set_protection(L, h, true);
    set_unread(L, h);
    ak_lua_push_view(L, ak_hs_output(h));
    ak_hs_output_taken(h);
    lua_setfield(L, 2, "output");
    lua_newtable(L);
    for (size_t i = 0; ak_lua_push_share_of(L, h, i); i++) lua_rawseti(L, 3, (lua_Integer)i + 1);
    lua_setfield(L, 2, "shares");
    lua_newtable(L);
    for (size_t i = 0; ak_hs_offered_secret(h, i).n != 0; i++) {
        ak_lua_push_view(L, ak_hs_offered_secret(h, i));
        lua_rawseti(L, 3, (lua_Integer)i + 1);
    }
    lua_setfield(L, 2, "offered");
    lua_newtable(L);
    for (size_t i = 0; ak_hs_given_psk(h, i) != NULL; i++) {
        ak_lua_push_view(L, ak_buf_view(&ak_hs_given_psk(h, i)->identity));
        ak_lua_push_view(L, ak_buf_view(&ak_hs_given_psk(h, i)->secret));
        lua_rawset(L, 3);
    }
    lua_setfield(L, 2, "psks");
    ak_lua_let_go(L);
    return 1;
}
