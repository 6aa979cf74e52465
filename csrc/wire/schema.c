/* schema.c: the tables, the strict decoder and the encoder, made from messages.def and extensions.def. */
#include "wire/schema.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- tables -------------------------------------------------------------------------------------------------------------- */

#define F_NONE
#define F_INTEGER(field_name, bytes, reg) {.name = #field_name, .kind = AK_F_uint, .prefix = bytes, .registry = AK_REG_##reg},
#define F_U8(name, registry) F_INTEGER(name, 1, registry)
#define F_U16(name, registry) F_INTEGER(name, 2, registry)
#define F_U24(name, registry) F_INTEGER(name, 3, registry)
#define F_U32(name, registry) F_INTEGER(name, 4, registry)
#define F_ONLY_U8(field_name, reg, value) \
    {.name = #field_name, .kind = AK_F_uint, .prefix = 1, .registry = AK_REG_##reg, .only = true, .min = value},
#define F_FIXED(field_name, n) {.name = #field_name, .kind = AK_F_fixed, .min = n, .max = n},
#define F_VEC(field_name, len, least, most) {.name = #field_name, .kind = AK_F_vec, .prefix = len, .min = least, .max = most},
#define F_LIST(field_name, len, least, most, item) \
    {.name = #field_name, .kind = AK_F_list, .prefix = len, .min = least, .max = most, .of = &ak_schema_##item},
#define F_REST(field_name) {.name = #field_name, .kind = AK_F_rest},
#define F_EXTS(field_name, least, most, place) \
    {.name = #field_name, .kind = AK_F_exts, .prefix = 2, .min = least, .max = most, .where = AK_IN_##place},
#define F_SUB(field_name, inner) {.name = #field_name, .kind = AK_F_sub, .of = &ak_schema_##inner},
#define F_SELECT(field_name, len, choice) {.name = #field_name, .kind = AK_F_select, .prefix = len, .cases = cases_##choice},
#define F_MAYBE(field_name) {.name = #field_name, .kind = AK_F_maybe},
#define AK_CASE(number, inner) {number, &ak_schema_##inner},
#define AK_CASES(name, rows) static const ak_case cases_##name[] = {rows{0, NULL}};
#define AK_FORM(message, struct_name, from, to, kx, sender)
#define AK_EXT(type, places)
#define AK_EXT_FORM(type, struct_name, places)
/* One entry more than there are fields, so that a structure without any is an array, too. */
#define AK_TABLE(schema, is_bare, ...)                                     \
    static const ak_field fields_##schema[] = {__VA_ARGS__{.name = NULL}}; \
    const ak_schema ak_schema_##schema = {.name = #schema, .fields = fields_##schema, .n = COUNT(fields_##schema) - 1, .bare = is_bare};
#define AK_STRUCT(name, fields) AK_TABLE(name, false, fields)
#define AK_ITEM(name, field) AK_TABLE(name, true, field)
#include "wire/messages.def"
#include "wire/extensions.def"
#undef F_INTEGER
#include "wire/undef.def"

/* ---- the strict decoder: one field ------------------------------------------------------------------------------------------ */

struct decoder {
    ak_failure *f;
    ak_error error;
    uint32_t selector; /* the integer that was read last */
};

struct value {
    uint32_t number;
    ak_view bytes;
};

static bool refuse(struct decoder *d, const ak_schema *s, const ak_field *field, size_t offset, const char *what) {
    d->error = ak_fail(d->f, AK_ERR_decode_error, "%s.%s at offset %zu: %s", s->name, field->name, offset, what);
    return false;
}

static bool check_struct(struct decoder *d, ak_rd *r, const ak_schema *s);

static bool check_list(struct decoder *d, ak_rd *r, const ak_schema *item) {
    if (item->bare && item->fields[0].kind == AK_F_uint) {
        const ak_field *field = &item->fields[0];
        size_t left = (size_t)(r->end - r->p), odd = left % field->prefix;
        if (odd != 0) return refuse(d, item, field, ak_rd_offset(r) + left - odd, "the last item is cut off");
        r->p = r->end;
        return true;
    }
    while (r->p != r->end) {
        const uint8_t *start = r->p;
        if (!check_struct(d, r, item)) return false;
        if (r->p == start) return refuse(d, item, &item->fields[0], ak_rd_offset(r), "an item without bytes");
    }
    return true;
}

static bool check_extensions(struct decoder *d, ak_rd *r, const ak_schema *s, const ak_field *field) {
    uint16_t type;
    ak_view data;
    while (r->p != r->end) {
        size_t at = ak_rd_offset(r);
        if (!ak_rd_u16(r, &type) || !ak_rd_vec(r, &data, 2)) return refuse(d, s, field, at, "an extension is cut off");
    }
    return true;
}

static bool take_number(struct decoder *d, ak_rd *r, const ak_schema *s, const ak_field *field, struct value *v) {
    size_t at = ak_rd_offset(r);
    ak_view bytes;
    if (!ak_rd_take(r, &bytes, field->prefix)) return refuse(d, s, field, at, "the message ends here");
    v->number = 0;
    for (size_t i = 0; i < bytes.n; i++) v->number = (v->number << 8) | bytes.p[i];
    if (field->only && v->number != field->min) return refuse(d, s, field, at, "a form that is not supported");
    d->selector = v->number;
    return true;
}

static bool take_vector(struct decoder *d, ak_rd *r, const ak_schema *s, const ak_field *field, struct value *v) {
    size_t at = ak_rd_offset(r);
    bool whole = field->prefix == 0 ? ak_rd_rest(r, &v->bytes) : ak_rd_vec(r, &v->bytes, field->prefix);
    if (!whole) return refuse(d, s, field, at, "its length goes beyond the end");
    if (v->bytes.n < field->min) return refuse(d, s, field, at, "shorter than it must be");
    if (v->bytes.n > field->max) return refuse(d, s, field, at, "longer than it may be");
    if (field->kind == AK_F_vec) return true;
    ak_rd inner = {.base = r->base, .p = v->bytes.p, .end = v->bytes.p + v->bytes.n, .bad = false};
    return field->kind == AK_F_list ? check_list(d, &inner, field->of) : check_extensions(d, &inner, s, field);
}

static bool take_select(struct decoder *d, ak_rd *r, const ak_schema *s, const ak_field *field, struct value *v) {
    const ak_case *choice = field->cases;
    while (choice->schema != NULL && choice->value != d->selector) choice++;
    size_t at = ak_rd_offset(r);
    if (field->prefix == 0) {
        const uint8_t *start = r->p;
        if (choice->schema == NULL) return ak_rd_rest(r, &v->bytes);
        if (!check_struct(d, r, choice->schema)) return false;
        v->bytes = ak_view_of(start, (size_t)(r->p - start));
        return true;
    }
    if (!ak_rd_vec(r, &v->bytes, field->prefix)) return refuse(d, s, field, at, "its length goes beyond the end");
    if (choice->schema == NULL) return true;
    ak_rd inner = {.base = r->base, .p = v->bytes.p, .end = v->bytes.p + v->bytes.n, .bad = false};
    if (!check_struct(d, &inner, choice->schema)) return false;
    return inner.p == inner.end || refuse(d, s, field, ak_rd_offset(&inner), "bytes are left over inside");
}

/* One copy of it for all structures: it is called from several hundred places. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((noinline))
#endif
static bool take(struct decoder *d, ak_rd *r, const ak_schema *s, const ak_field *field, struct value *v) {
    const uint8_t *start = r->p;
    v->number = 0;
    switch (field->kind) {
    case AK_F_uint: return take_number(d, r, s, field, v);
    case AK_F_vec:
    case AK_F_list:
    case AK_F_exts: return take_vector(d, r, s, field, v);
    case AK_F_fixed: return ak_rd_take(r, &v->bytes, field->min) || refuse(d, s, field, (size_t)(start - r->base), "the message ends here");
    case AK_F_rest: return ak_rd_rest(r, &v->bytes);
    case AK_F_select: return take_select(d, r, s, field, v);
    case AK_F_sub:
        if (!check_struct(d, r, field->of)) return false;
        v->bytes = ak_view_of(start, (size_t)(r->p - start));
        return true;
    case AK_F_maybe: v->number = r->p != r->end; return true;
    }
    return false;
}

/* check_struct recurses as deep as structures are nested in the tables, whatever the input. */
static bool check_struct(struct decoder *d, ak_rd *r, const ak_schema *s) {
    struct value v;
    for (size_t i = 0; i < s->n; i++) {
        if (!take(d, r, s, &s->fields[i], &v)) return false;
        if (s->fields[i].kind == AK_F_maybe && v.number == 0) break;
    }
    return true;
}

static ak_error end(struct decoder *d, const ak_rd *r, const ak_schema *s, bool ok) {
    if (!ok) return d->error;
    if (r->p == r->end) return AK_OK;
    return ak_fail(d->f, AK_ERR_trailing_data, "%s at offset %zu: %zu bytes after its end", s->name, ak_rd_offset(r), (size_t)(r->end - r->p));
}

ak_error ak_schema_check(const ak_schema *schema, ak_view body, ak_failure *f) {
    struct decoder d = {.f = f, .error = AK_OK, .selector = 0};
    ak_rd r;
    ak_rd_view(&r, body);
    bool ok = check_struct(&d, &r, schema);
    return end(&d, &r, schema, ok);
}

/* ---- the strict decoder: each structure ------------------------------------------------------------------------------------------ */

typedef bool reader(struct decoder *d, ak_rd *r, void *object);

static ak_error decode(const ak_schema *schema, reader *read, ak_view body, void *out, size_t size, ak_failure *f) {
    struct decoder d = {.f = f, .error = AK_OK, .selector = 0};
    ak_rd r;
    ak_rd_view(&r, body);
    memset(out, 0, size);
    bool ok = read(&d, &r, out);
    ak_error e = end(&d, &r, schema, ok);
    if (e != AK_OK) memset(out, 0, size);
    return e;
}

static bool next(reader *read, ak_rd *r, void *out, size_t size) {
    struct decoder d = {.f = NULL, .error = AK_OK, .selector = 0};
    memset(out, 0, size);
    if (ak_rd_left(r) == 0) return false;
    if (read(&d, r, out)) return true;
    memset(out, 0, size);
    r->bad = true;
    return false;
}

#define F_NONE
#define F_TAKE(member, part, type)                           \
    if (!take(d, r, schema, field++, &v)) return false;      \
    out->member = (type)v.part;
#define F_VIEW(member)                                       \
    if (!take(d, r, schema, field++, &v)) return false;      \
    out->member = v.bytes;
#define F_U8(name, registry) F_TAKE(name, number, uint8_t)
#define F_U16(name, registry) F_TAKE(name, number, uint16_t)
#define F_U24(name, registry) F_TAKE(name, number, uint32_t)
#define F_U32(name, registry) F_TAKE(name, number, uint32_t)
#define F_ONLY_U8(name, registry, value) F_TAKE(name, number, uint8_t)
#define F_FIXED(name, n) F_VIEW(name)
#define F_VEC(name, prefix, min, max) F_VIEW(name)
#define F_LIST(name, prefix, min, max, item) F_VIEW(name)
#define F_REST(name) F_VIEW(name)
#define F_EXTS(name, min, max, where) F_VIEW(name)
#define F_SUB(name, struct_name) F_VIEW(name)
#define F_SELECT(name, prefix, cases) F_VIEW(name)
#define F_MAYBE(name)                                        \
    field++;                                                 \
    out->has_##name = r->p != r->end;                        \
    if (!out->has_##name) {                                  \
        out->raw = ak_view_of(start, (size_t)(r->p - start)); \
        return true;                                         \
    }
#define AK_ITEM(name, item_field)
#define AK_CASES(name, rows)
#define AK_FORM(message, struct_name, from, to, kx, sender)
#define AK_EXT(type, places)
#define AK_EXT_FORM(type, struct_name, places)
#define AK_STRUCT(name, list)                                                          \
    static bool read_##name(struct decoder *d, ak_rd *r, void *object) {               \
        const ak_schema *schema = &ak_schema_##name;                                   \
        const ak_field *field = schema->fields;                                        \
        struct ak_##name *out = object;                                                \
        const uint8_t *start = r->p;                                                   \
        struct value v = {0, {NULL, 0}};                                               \
        (void)d, (void)field, (void)v;                                                 \
        list                                                                           \
        out->raw = ak_view_of(start, (size_t)(r->p - start));                          \
        return true;                                                                   \
    }                                                                                  \
    ak_error ak_decode_##name(ak_view body, struct ak_##name *out, ak_failure *f) {    \
        return decode(&ak_schema_##name, read_##name, body, out, sizeof *out, f);      \
    }                                                                                  \
    bool ak_next_##name(ak_rd *r, struct ak_##name *out) { return next(read_##name, r, out, sizeof *out); }
#include "wire/messages.def"
#include "wire/extensions.def"
#undef F_TAKE
#undef F_VIEW
#include "wire/undef.def"

/* ---- the encoder --------------------------------------------------------------------------------------------------------------- */

static void put_number(ak_buf *out, uint32_t v, unsigned bytes) {
    if (bytes < 4 && v >> (8 * bytes) != 0) out->bad = true;
    uint8_t *p = ak_buf_grow(out, bytes);
    for (unsigned i = bytes; p != NULL && i > 0; i--, v >>= 8) p[i - 1] = (uint8_t)v;
}

static void put_vector(ak_buf *out, ak_view v, unsigned prefix) {
    if (prefix != 0)
        ak_buf_vec(out, v, prefix);
    else
        ak_buf_put_view(out, v);
}

static void put_fixed(ak_buf *out, ak_view v, size_t n) {
    if (v.n != n) out->bad = true;
    ak_buf_put_view(out, v);
}

#define F_NONE
#define F_U8(name, registry) put_number(out, in->name, 1);
#define F_U16(name, registry) put_number(out, in->name, 2);
#define F_U24(name, registry) put_number(out, in->name, 3);
#define F_U32(name, registry) put_number(out, in->name, 4);
#define F_ONLY_U8(name, registry, value) put_number(out, in->name, 1);
#define F_FIXED(name, n) put_fixed(out, in->name, n);
#define F_VEC(name, prefix, min, max) put_vector(out, in->name, prefix);
#define F_LIST(name, prefix, min, max, item) put_vector(out, in->name, prefix);
#define F_REST(name) put_vector(out, in->name, 0);
#define F_EXTS(name, min, max, where) put_vector(out, in->name, 2);
#define F_SUB(name, struct_name) put_vector(out, in->name, 0);
#define F_SELECT(name, prefix, cases) put_vector(out, in->name, prefix);
#define F_MAYBE(name) \
    if (!in->has_##name) return !out->bad;
#define AK_ITEM(name, field)
#define AK_CASES(name, rows)
#define AK_FORM(message, struct_name, from, to, kx, sender)
#define AK_EXT(type, places)
#define AK_EXT_FORM(type, struct_name, places)
#define AK_STRUCT(name, fields)                                      \
    bool ak_encode_##name(const struct ak_##name *in, ak_buf *out) { \
        (void)in;                                                    \
        fields                                                       \
        return !out->bad;                                            \
    }
#include "wire/messages.def"
#include "wire/extensions.def"
#include "wire/undef.def"

/* ---- structures by name ------------------------------------------------------------------------------------------------------------ */

#define F_NONE
#define AK_ITEM(name, field)
#define AK_CASES(name, rows)
#define AK_FORM(message, struct_name, from, to, kx, sender)
#define AK_EXT(type, places)
#define AK_EXT_FORM(type, struct_name, places)
#define AK_STRUCT(name, fields)                                                     \
    static ak_error recode_##name(ak_view body, ak_buf *out, ak_failure *f) {       \
        struct ak_##name x;                                                         \
        ak_error e = ak_decode_##name(body, &x, f);                                 \
        if (e != AK_OK) return e;                                                   \
        return ak_encode_##name(&x, out) ? AK_OK : ak_fail(f, AK_ERR_out_of_memory, NULL); \
    }
#include "wire/messages.def"
#include "wire/extensions.def"
#undef AK_STRUCT

static const struct {
    const ak_schema *schema;
    ak_error (*recode)(ak_view, ak_buf *, ak_failure *);
} structures[] = {
#define AK_STRUCT(name, fields) {&ak_schema_##name, recode_##name},
#include "wire/messages.def"
#include "wire/extensions.def"
};
#include "wire/undef.def"

const ak_schema *ak_schema_at(size_t i) { return i < COUNT(structures) ? structures[i].schema : NULL; }

const ak_schema *ak_schema_find(const char *name) {
    for (size_t i = 0; i < COUNT(structures); i++)
        if (strcmp(structures[i].schema->name, name) == 0) return structures[i].schema;
    return NULL;
}

ak_error ak_wire_recode(const char *name, ak_view body, ak_buf *out, bool *known, ak_failure *f) {
    *known = false;
    for (size_t i = 0; i < COUNT(structures); i++) {
        if (strcmp(structures[i].schema->name, name) != 0) continue;
        *known = true;
        return structures[i].recode(body, out, f);
    }
    return AK_OK;
}
