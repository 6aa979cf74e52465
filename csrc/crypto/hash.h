/* hash.h: libcrypto's plain hash functions behind one small face, for the crypto room alone: a state is copied by copying its bytes, and a single compression can be asked
 * for. EVP has neither, and starting or copying one of its contexts costs as much as a block. */
#ifndef AK_CRYPTO_HASH_H
#define AK_CRYPTO_HASH_H

#include "crypto/provider.h"

typedef struct ak_hash_ops {
    const char *name;
    uint8_t size, chain, block_bits, length; /* digest; chaining value; log2 of the block; bytes of the length field */
    bool little_endian;
    void (*init)(ak_hash_state *);
    void (*update)(ak_hash_state *, const uint8_t *, size_t);
    void (*final)(ak_hash_state *, uint8_t *);
    void (*transform)(ak_hash_state *, const uint8_t *); /* one block; nothing may be pending. NULL, as value: of two hashes in one */
    void (*value)(const ak_hash_state *, uint8_t *);     /* the chaining value as a digest's bytes */
} ak_hash_ops;

/* ak_hash_ops_of: NULL: there is no such hash. */
const ak_hash_ops *ak_hash_ops_of(ak_hash h);

#endif
