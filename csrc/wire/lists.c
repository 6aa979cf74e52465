/* lists.c: walking and writing what the structures leave as bytes: lists, extension blocks, handshake headers. */
#include "wire/schema.h"

#include <string.h>

bool ak_list_u8_has(ak_view list, uint8_t v) { return list.n != 0 && memchr(list.p, v, list.n) != NULL; }

bool ak_list_u16_has(ak_view list, uint16_t v) {
    for (size_t i = 0; i < ak_list_u16_count(list); i++)
        if (ak_list_u16_at(list, i) == v) return true;
    return false;
}

bool ak_list_vec_has(ak_view list, unsigned prefix, ak_view wanted) {
    ak_rd r;
    ak_view v;
    for (ak_rd_view(&r, list); ak_list_next(&r, prefix, &v);)
        if (ak_view_eq(v, wanted)) return true;
    return false;
}

size_t ak_list_vec_count(ak_view list, unsigned prefix) {
    ak_rd r;
    ak_view v;
    size_t n = 0;
    for (ak_rd_view(&r, list); ak_list_next(&r, prefix, &v);) n++;
    return n;
}

/* ---- extensions --------------------------------------------------------------------------------------------------------- */

bool ak_ext_next(ak_rd *r, uint16_t *type, ak_view *data) {
    *type = 0;
    *data = ak_view_of(NULL, 0);
    return ak_rd_left(r) != 0 && ak_rd_u16(r, type) && ak_rd_vec(r, data, 2);
}

bool ak_ext_find(ak_view extensions, uint16_t wanted, ak_view *data) {
    /* The engine asks for every extension it knows in every hello: plain pointers instead of a reader. */
    const uint8_t *p = extensions.p;
    for (size_t left = extensions.n; left >= 4;) {
        size_t n = (size_t)p[2] << 8 | p[3];
        if (n > left - 4) break;
        if ((p[0] << 8 | p[1]) == wanted) {
            *data = ak_view_of(p + 4, n);
            return true;
        }
        p += 4 + n;
        left -= 4 + n;
    }
    *data = ak_view_of(NULL, 0);
    return false;
}

uint64_t ak_ext_set(ak_view extensions) {
    ak_rd r;
    uint16_t type;
    ak_view data;
    uint64_t set = 0;
    for (ak_rd_view(&r, extensions); ak_ext_next(&r, &type, &data);)
        if (type < 64) set |= (uint64_t)1 << type;
    return set;
}

/* The types seen so far: a short list for the blocks that real peers send, a bit for each of the 65,536 types for the others. */
struct seen {
    size_t n;
    uint16_t few[48];
    uint8_t bits[8192];
};

static bool see(struct seen *s, uint16_t type) {
    size_t most = sizeof s->few / sizeof s->few[0];
    if (s->n < most) {
        for (size_t i = 0; i < s->n; i++)
            if (s->few[i] == type) return false;
        s->few[s->n++] = type;
        return true;
    }
    if (s->n == most) {
        memset(s->bits, 0, sizeof s->bits);
        for (size_t i = 0; i < most; i++) s->bits[s->few[i] >> 3] |= (uint8_t)(1 << (s->few[i] & 7));
    }
    s->n++;
    uint8_t bit = (uint8_t)(1 << (type & 7));
    if ((s->bits[type >> 3] & bit) != 0) return false;
    s->bits[type >> 3] |= bit;
    return true;
}

ak_error ak_extensions_check(ak_view extensions, size_t *count, ak_failure *f) {
    struct seen s;
    ak_rd r;
    uint16_t type;
    ak_view data;
    s.n = 0;
    for (ak_rd_view(&r, extensions); ak_ext_next(&r, &type, &data);) {
        if (see(&s, type)) continue;
        const char *name = ak_name(AK_REG_extensions, type);
        return ak_fail(f, AK_ERR_duplicate_extension, "%s (%u)", name != NULL ? name : "unknown", type);
    }
    if (count != NULL) *count = s.n;
    return r.bad ? ak_fail(f, AK_ERR_decode_error, "extension %zu is cut off", s.n + 1) : AK_OK;
}

size_t ak_ext_open(ak_buf *out, uint16_t type) {
    ak_buf_u16(out, type);
    return ak_buf_open(out, 2);
}

bool ak_ext_put(ak_buf *out, uint16_t type, ak_view body) { return ak_buf_u16(out, type) && ak_buf_vec(out, body, 2); }

/* ---- handshake header --------------------------------------------------------------------------------------------------------- */

size_t ak_handshake_open(ak_buf *out, uint8_t type) {
    ak_buf_u8(out, type);
    return ak_buf_open(out, 3);
}

bool ak_handshake_close(ak_buf *out, size_t mark) { return ak_buf_close(out, mark, 3); }

ak_error ak_handshake_split(ak_view message, uint8_t *type, ak_view *body, ak_failure *f) {
    ak_rd r;
    ak_rd_view(&r, message);
    if (ak_rd_u8(&r, type) && ak_rd_vec(&r, body, 3) && ak_rd_done(&r)) return AK_OK;
    *body = ak_view_of(NULL, 0);
    return ak_fail(f, AK_ERR_decode_error, "a handshake header that does not fit the %zu bytes it stands before", message.n);
}
