/* compress.c: zlib, brotli and zstd by dlopen. Each call is one-shot, from memory to memory: none of them allocates by what the data says. (Brotli's decoder would,
 * and its one-shot call does not tell what it left over: it goes through the calls for streams, with an allocator that has a limit.) */
#include "crypto/compress.h"

#include "wire/registry.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* What is called of them, as their headers declare it. */
typedef struct zlib_calls {
    unsigned long (*bound)(unsigned long n);
    int (*compress)(uint8_t *out, unsigned long *out_n, const uint8_t *in, unsigned long n, int level);
    int (*decompress)(uint8_t *out, unsigned long *out_n, const uint8_t *in, unsigned long *n);
} zlib_calls;

typedef struct brotli_calls {
    size_t (*bound)(size_t n);
    int (*compress)(int quality, int window, int mode, size_t n, const uint8_t *in, size_t *out_n, uint8_t *out);
    void *(*decoder_new)(void *(*alloc)(void *, size_t), void (*release)(void *, void *), void *user);
    int (*decompress)(void *decoder, size_t *left, const uint8_t **in, size_t *room, uint8_t **out, size_t *total);
    void (*decoder_free)(void *decoder);
} brotli_calls;

typedef struct zstd_calls {
    size_t (*bound)(size_t n);
    size_t (*compress)(void *out, size_t room, const void *in, size_t n, int level);
    size_t (*decompress)(void *out, size_t room, const void *in, size_t n);
    unsigned (*is_error)(size_t result);
} zstd_calls;

struct ak_compressors {
    void *z, *brotli_enc, *brotli_dec, *zstd_lib; /* handles; NULL: not there */
    zlib_calls zlib;
    brotli_calls brotli;
    zstd_calls zstd;
    bool has_zlib, has_brotli, has_zstd;
};

/* A certificate is small and compressed for every handshake: levels that cost little. */
enum { ZLIB_LEVEL = 6, BROTLI_QUALITY = 5, BROTLI_WINDOW = 22, ZSTD_LEVEL = 3 };

/* find: a function of a library; the pointer is copied as bytes, since C has no conversion from data to functions. */
static bool find(void *library, const char *name, void *to, size_t size) {
    void *p = library != NULL ? dlsym(library, name) : NULL;
    if (p != NULL && size == sizeof p) memcpy(to, &p, sizeof p);
    return p != NULL && size == sizeof p;
}
#define FIND(library, name, to) find((library), (name), &(to), sizeof(to))

static void *open_library(const char *name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL); }

ak_compressors *ak_compressors_new(void) {
    ak_compressors *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    c->z = open_library("libz.so.1");
    c->brotli_enc = open_library("libbrotlienc.so.1");
    c->brotli_dec = open_library("libbrotlidec.so.1");
    c->zstd_lib = open_library("libzstd.so.1");
    c->has_zlib = FIND(c->z, "compressBound", c->zlib.bound) && FIND(c->z, "compress2", c->zlib.compress) && FIND(c->z, "uncompress2", c->zlib.decompress);
    c->has_brotli = FIND(c->brotli_enc, "BrotliEncoderMaxCompressedSize", c->brotli.bound) && FIND(c->brotli_enc, "BrotliEncoderCompress", c->brotli.compress) &&
                    FIND(c->brotli_dec, "BrotliDecoderCreateInstance", c->brotli.decoder_new) && FIND(c->brotli_dec, "BrotliDecoderDecompressStream", c->brotli.decompress) &&
                    FIND(c->brotli_dec, "BrotliDecoderDestroyInstance", c->brotli.decoder_free);
    c->has_zstd = FIND(c->zstd_lib, "ZSTD_compressBound", c->zstd.bound) && FIND(c->zstd_lib, "ZSTD_compress", c->zstd.compress) &&
                  FIND(c->zstd_lib, "ZSTD_decompress", c->zstd.decompress) && FIND(c->zstd_lib, "ZSTD_isError", c->zstd.is_error);
    return c;
}

void ak_compressors_free(ak_compressors *c) {
    if (c == NULL) return;
    void *all[] = {c->z, c->brotli_enc, c->brotli_dec, c->zstd_lib};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i] != NULL) dlclose(all[i]);
    free(c);
}

bool ak_compress_usable(const ak_compressors *c, uint16_t algorithm) {
    if (c == NULL) return false;
    switch (algorithm) {
    case AK_CERT_COMPRESSION_zlib: return c->has_zlib;
    case AK_CERT_COMPRESSION_brotli: return c->has_brotli;
    case AK_CERT_COMPRESSION_zstd: return c->has_zstd;
    default: return false;
    }
}

static size_t bound(const ak_compressors *c, uint16_t algorithm, size_t n) {
    if (algorithm == AK_CERT_COMPRESSION_zlib) return c->zlib.bound((unsigned long)n);
    return algorithm == AK_CERT_COMPRESSION_brotli ? c->brotli.bound(n) : c->zstd.bound(n);
}

bool ak_compress(const ak_compressors *c, uint16_t algorithm, ak_view in, ak_buf *out) {
    if (!ak_compress_usable(c, algorithm) || in.n == 0) return false;
    size_t room = bound(c, algorithm, in.n), n = room;
    if (room == 0 || !ak_buf_reserve(out, room)) return false;
    uint8_t *to = out->p + out->n;
    bool ok;
    if (algorithm == AK_CERT_COMPRESSION_zlib) {
        unsigned long size = (unsigned long)room;
        ok = c->zlib.compress(to, &size, in.p, (unsigned long)in.n, ZLIB_LEVEL) == 0;
        n = size;
    } else if (algorithm == AK_CERT_COMPRESSION_brotli) {
        ok = c->brotli.compress(BROTLI_QUALITY, BROTLI_WINDOW, 0, in.n, in.p, &n, to) == 1;
    } else {
        n = c->zstd.compress(to, room, in.p, in.n, ZSTD_LEVEL);
        ok = c->zstd.is_error(n) == 0;
    }
    if (ok) out->n += n;
    return ok;
}

/* Memory for brotli's decoder: a certificate needs a few hundred KiB of it, whatever window the data speaks of. */
#define BROTLI_MEMORY ((size_t)4 << 20)

typedef union block {
    size_t n;
    max_align_t align;
} block;

static void *limited_alloc(void *user, size_t n) {
    size_t *left = user;
    block *b = n <= *left ? malloc(sizeof *b + n) : NULL;
    if (b == NULL) return NULL;
    b->n = n;
    *left -= n;
    return b + 1;
}

static void limited_free(void *user, void *p) {
    size_t *left = user;
    if (p == NULL) return;
    block *b = (block *)p - 1;
    *left += b->n;
    free(b);
}

/* exact: all of the input makes all of the output. */
static bool brotli_exact(const ak_compressors *c, ak_view in, uint8_t *out, size_t n) {
    size_t memory = BROTLI_MEMORY, left = in.n, room = n;
    const uint8_t *from = in.p;
    void *decoder = c->brotli.decoder_new(limited_alloc, limited_free, &memory);
    if (decoder == NULL) return false;
    bool ok = c->brotli.decompress(decoder, &left, &from, &room, &out, NULL) == 1; /* BROTLI_DECODER_RESULT_SUCCESS */
    c->brotli.decoder_free(decoder);
    return ok && left == 0 && room == 0;
}

bool ak_decompress(const ak_compressors *c, uint16_t algorithm, ak_view in, uint8_t *out, size_t n) {
    if (!ak_compress_usable(c, algorithm) || in.n == 0 || n == 0) return false;
    if (algorithm == AK_CERT_COMPRESSION_zlib) {
        unsigned long size = (unsigned long)n, used = (unsigned long)in.n;
        return c->zlib.decompress(out, &size, in.p, &used) == 0 && size == n && used == in.n;
    }
    if (algorithm == AK_CERT_COMPRESSION_brotli) return brotli_exact(c, in, out, n);
    size_t size = c->zstd.decompress(out, n, in.p, in.n);
    return c->zstd.is_error(size) == 0 && size == n;
}
