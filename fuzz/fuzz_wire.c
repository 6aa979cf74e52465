/* fuzz_wire.c: any structure of the wire format: what the strict decoder accepts, the encoder writes back byte for byte.
 * Input: one byte that chooses the structure, then its body. */
#include "wire/schema.h"

#include <stdlib.h>

static const char *const names[] = {
#define F_NONE
#define F_U8(name, registry)
#define F_U16(name, registry)
#define F_U24(name, registry)
#define F_U32(name, registry)
#define F_ONLY_U8(name, registry, value)
#define F_FIXED(name, n)
#define F_VEC(name, prefix, min, max)
#define F_LIST(name, prefix, min, max, item)
#define F_REST(name)
#define F_EXTS(name, min, max, where)
#define F_SUB(name, struct_name)
#define F_SELECT(name, prefix, cases)
#define F_MAYBE(name)
#define AK_ITEM(name, field)
#define AK_CASES(name, rows)
#define AK_FORM(message, struct_name, from, to, kx, sender)
#define AK_EXT(type, places)
#define AK_EXT_FORM(type, struct_name, places)
#define AK_STRUCT(name, fields) #name,
#include "wire/messages.def"
#include "wire/extensions.def"
#include "wire/undef.def"
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const char *name = names[data[0] % (sizeof names / sizeof *names)];
    ak_view body = ak_view_of(data + 1, size - 1);
    ak_failure f = {0};
    ak_buf out;
    bool known = false;
    ak_buf_init(&out, AK_BUF_NO_LIMIT);
    ak_error e = ak_wire_recode(name, body, &out, &known, &f);
    if (!known) abort();
    if (e == AK_OK && !ak_view_eq(ak_buf_view(&out), body)) abort();
    if (e != AK_OK && e != AK_ERR_decode_error && e != AK_ERR_trailing_data) abort();
    ak_buf_free(&out);
    return 0;
}
