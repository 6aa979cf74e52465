/* ct.h: constant-time helpers. Each takes values that are SECRET and returns masks
 * (all ones for true, all zeros for false) or bytes; none branches on them or indexes memory with them.
 * Lengths are always public. */
#ifndef AK_BASE_CT_H
#define AK_BASE_CT_H

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ak_ct_barrier keeps the compiler from turning masks back into branches. */
static inline uint64_t ak_ct_barrier(uint64_t v) {
#if defined(__GNUC__) || defined(__clang__)
    __asm__("" : "+r"(v) : /* no inputs */);
#endif
    return v;
}

static inline uint64_t ak_ct_msb(uint64_t v) { return 0u - (v >> 63); }
static inline uint64_t ak_ct_is_zero(uint64_t v) { return ak_ct_msb(~v & (v - 1)); }
static inline uint64_t ak_ct_eq_u(uint64_t a, uint64_t b) { return ak_ct_is_zero(a ^ b); }
static inline uint64_t ak_ct_lt(uint64_t a, uint64_t b) { return ak_ct_msb(a ^ ((a ^ b) | ((a - b) ^ a))); }
static inline uint64_t ak_ct_ge(uint64_t a, uint64_t b) { return ~ak_ct_lt(a, b); }
static inline uint64_t ak_ct_select(uint64_t mask, uint64_t a, uint64_t b) {
    mask = ak_ct_barrier(mask);
    return (mask & a) | (~mask & b);
}
static inline uint8_t ak_ct_select8(uint64_t mask, uint8_t a, uint8_t b) {
    return (uint8_t)ak_ct_select(mask, a, b);
}

/* ak_ct_eq: whether n secret bytes are the same, in time that depends on n alone. The answer itself is public. */
static inline bool ak_ct_eq(const void *a, const void *b, size_t n) { return CRYPTO_memcmp(a, b, n) == 0; }

#endif
