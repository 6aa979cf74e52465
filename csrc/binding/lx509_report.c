/* lx509_report.c: the report of a verification as a Lua table. tostring(report) is what a person reads.
 *
 *   { verdict = "ok" or a code, ok, host, time, purpose, chain = {Certificate…}, anchored, reasons = {…}, warnings = {…}, paths = {…},
 *     signatures, revocation, revocation_by, anchors, text }
 *   reasons and warnings: { code, depth, certificate, subject, serial, text, section } */
#include "binding/lx509_parts.h"

#define BOX "akushu.x509.report"
#define REPORT "akushu.Report"

static void push_chain(lua_State *L, ak_cert *const *certs, size_t n) {
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        ak_lua_push_certificate(L, certs[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_reason(lua_State *L, const ak_reason *r) {
    lua_createtable(L, 0, 7);
    ak_lua_set_string(L, "code", r->code);
    ak_lua_set_string(L, "text", r->text);
    ak_lua_set_string(L, "section", r->section);
    if (r->cert == NULL) return;
    ak_lua_set_integer(L, "depth", (lua_Integer)r->depth);
    ak_lua_push_certificate(L, r->cert);
    lua_getfield(L, -1, "subject");
    lua_setfield(L, -3, "subject");
    lua_getfield(L, -1, "serial");
    lua_setfield(L, -3, "serial");
    lua_setfield(L, -2, "certificate");
}

static void set_reasons(lua_State *L, const char *name, const ak_reason *list, size_t n) {
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        push_reason(L, &list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, name);
}

static void set_paths(lua_State *L, const ak_report *r) {
    lua_createtable(L, (int)r->n_tried, 0);
    for (size_t i = 0; i < r->n_tried; i++) {
        const ak_tried *t = &r->tried[i];
        lua_createtable(L, 0, 4);
        push_chain(L, t->certs, t->n);
        lua_setfield(L, -2, "chain");
        ak_lua_set_string(L, "code", ak_error_code(t->error));
        ak_lua_set_integer(L, "depth", (lua_Integer)t->depth);
        ak_lua_set_boolean(L, "anchored", t->anchored);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "paths");
    ak_lua_set_integer(L, "more_paths", (lua_Integer)r->n_more);
}

void ak_lua_push_report(lua_State *L, ak_report *r) {
    static const char *const revocations[] = {"none", "good", "revoked", "unknown", "bad"};
    lua_createtable(L, 0, 18);
    ak_lua_set_string(L, "verdict", ak_error_code(r->verdict));
    ak_lua_set_boolean(L, "ok", r->verdict == AK_OK);
    ak_lua_set_string(L, "host", r->host);
    ak_lua_set_integer(L, "time", r->time);
    ak_lua_set_string(L, "purpose", r->purpose == AK_USE_server ? "server" : "client");
    push_chain(L, r->path.certs, r->path.n);
    lua_setfield(L, -2, "chain");
    ak_lua_set_boolean(L, "anchored", r->anchored);
    set_reasons(L, "reasons", r->reasons, r->n_reasons);
    set_reasons(L, "warnings", r->warnings, r->n_warnings);
    set_paths(L, r);
    ak_lua_set_integer(L, "signatures", r->signatures);
    ak_lua_set_string(L, "revocation", revocations[r->revocation]);
    ak_lua_set_string(L, "revocation_by", r->revocation_by);
    ak_lua_set_integer(L, "anchors", (lua_Integer)r->anchors);
    ak_lua_work *w = ak_lua_work_new(L);
    ak_report_text(r, &w->bytes);
    ak_lua_push_bytes(L, w);
    lua_setfield(L, -3, "text");
    lua_pop(L, 1);
    luaL_setmetatable(L, REPORT);
}

static int l_tostring(lua_State *L) {
    lua_getfield(L, 1, "text");
    return 1;
}

static int l_box_gc(lua_State *L) {
    ak_report **r = ak_lua_check(L, 1, BOX);
    ak_report_free(*r);
    *r = NULL;
    return 0;
}

void ak_open_report(lua_State *L) {
    static const luaL_Reg meta[] = {{"__gc", l_box_gc}, {NULL, NULL}};
    ak_lua_class(L, BOX, NULL, NULL, meta);
    luaL_newmetatable(L, REPORT);
    lua_pushcfunction(L, l_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, REPORT);
    lua_setfield(L, -2, "__name");
    lua_pop(L, 1);
}
