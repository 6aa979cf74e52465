/* fuzz_resumption.c: a serialised session is restored exactly or refused. */
#include "akushu.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ak_resumption *r = NULL;
    ak_failure f = {0};
    ak_error e = ak_resumption_read(ak_view_of(data, size), &r, &f);
    if (e != AK_OK) {
        if (r != NULL || (e != AK_ERR_bad_session && e != AK_ERR_out_of_memory)) abort();
        return 0;
    }
    ak_buf out;
    ak_buf_init(&out, AK_BUF_NO_LIMIT);
    if (!ak_resumption_write(r, &out) || !ak_view_eq(ak_buf_view(&out), ak_view_of(data, size))) abort();
    ak_buf_free(&out);
    ak_resumption_free(r);
    return 0;
}
