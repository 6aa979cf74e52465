/* der.h: a bounded cursor over DER (X.690) on top of ak_rd: one element at a time, nothing allocated.
 *
 * Refused, with the reader left bad: indefinite and non-minimal lengths, lengths over 4 bytes or past the end, tag numbers
 * over 30 (the multi-byte form; none occurs in X.509). It knows nothing of what the elements mean. */
#ifndef AK_BASE_DER_H
#define AK_BASE_DER_H

#include "base/buf.h"

enum {
    AK_DER_BOOLEAN = 0x01,
    AK_DER_INTEGER = 0x02,
    AK_DER_BIT_STRING = 0x03,
    AK_DER_OCTET_STRING = 0x04,
    AK_DER_NULL = 0x05,
    AK_DER_OID = 0x06,
    AK_DER_ENUMERATED = 0x0a,
    AK_DER_UTF8_STRING = 0x0c,
    AK_DER_SEQUENCE = 0x30,
    AK_DER_SET = 0x31,
    AK_DER_PRINTABLE_STRING = 0x13,
    AK_DER_T61_STRING = 0x14,
    AK_DER_IA5_STRING = 0x16,
    AK_DER_UTC_TIME = 0x17,
    AK_DER_GENERALIZED_TIME = 0x18,
    AK_DER_UNIVERSAL_STRING = 0x1c,
    AK_DER_BMP_STRING = 0x1e
};
/* Context-specific tags: [n] primitive (IMPLICIT over a primitive type) and [n] constructed (EXPLICIT, or over a SEQUENCE). */
#define AK_DER_CONTEXT(n) ((uint8_t)(0x80 | (n)))
#define AK_DER_CONTEXT_CONSTRUCTED(n) ((uint8_t)(0xa0 | (n)))

/* ak_der_next: the next element: its tag byte, its content, and the whole of it with tag and length. Each output may be NULL. */
bool ak_der_next(ak_rd *r, uint8_t *tag, ak_view *content, ak_view *whole);
/* ak_der_peek: the next tag byte without moving; -1 at the end (or when the reader is bad). */
int ak_der_peek(const ak_rd *r);
/* ak_der_get: the next element, which must have this tag; its content. */
bool ak_der_get(ak_rd *r, uint8_t tag, ak_view *content);
/* ak_der_enter: the same as a child reader with the same base. The child must be read to its end: ak_rd_done(). */
bool ak_der_enter(ak_rd *r, uint8_t tag, ak_rd *child);
/* ak_der_optional: when the next element has this tag, its content and *found true; else nothing moves and *found is false.
 * False only when the element is there and malformed. */
bool ak_der_optional(ak_rd *r, uint8_t tag, ak_view *content, bool *found);

/* ak_der_integer: an INTEGER's two's complement bytes, which must be minimal (X.690 §8.3.2), sign included. */
bool ak_der_integer(ak_rd *r, ak_view *content);
/* ak_der_unsigned: a non-negative INTEGER without its leading zero byte (zero itself is one zero byte). */
bool ak_der_unsigned(ak_rd *r, ak_view *magnitude);
/* ak_der_small: a non-negative INTEGER below 2^32. */
bool ak_der_small(ak_rd *r, uint32_t *out);
/* ak_der_boolean: X.690 §11.1: 0x00 or 0xff. */
bool ak_der_boolean(ak_rd *r, bool *out);
/* ak_der_oid: an OBJECT IDENTIFIER's bytes: at least one number, each to its end and in its shortest form (X.690 §8.19.2). */
bool ak_der_oid(ak_rd *r, ak_view *content);
bool ak_oid_valid(ak_view content);
/* ak_der_bits: a BIT STRING; *unused (0..7) low bits of the last byte, which must be zero, do not count. */
bool ak_der_bits(ak_rd *r, ak_view *bytes, unsigned *unused);
/* ak_bits_valid: whether these are the content bytes of one, whatever its tag. */
bool ak_bits_valid(ak_view content);
/* ak_der_octets_in_bits: a BIT STRING that holds whole bytes (keys, signatures). */
bool ak_der_octets_in_bits(ak_rd *r, ak_view *bytes);

#endif
