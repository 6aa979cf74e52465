/* compress.h: certificate compression (RFC 8879) by libraries that are looked for at run time: zlib, brotli, zstd. Where one is missing its algorithm
 * is not offered; nothing is linked against them. */
#ifndef AK_CRYPTO_COMPRESS_H
#define AK_CRYPTO_COMPRESS_H

#include "base/buf.h"

typedef struct ak_compressors ak_compressors;

/* ak_compressors_new: looks for the libraries. NULL: out of memory. */
ak_compressors *ak_compressors_new(void);
void ak_compressors_free(ak_compressors *c);
/* ak_compress_usable: whether this algorithm (a CertificateCompressionAlgorithm) can be used here. c may be NULL. */
bool ak_compress_usable(const ak_compressors *c, uint16_t algorithm);
/* ak_compress: appends the compressed form of in. false: it could not be done; nothing is appended. */
bool ak_compress(const ak_compressors *c, uint16_t algorithm, ak_view in, ak_buf *out);
/* ak_decompress: exactly n bytes, which the caller has bounded, from all of in. false: it does not expand to that. */
bool ak_decompress(const ak_compressors *c, uint16_t algorithm, ak_view in, uint8_t *out, size_t n);

#endif
