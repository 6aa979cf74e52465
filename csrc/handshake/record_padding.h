/* record_padding.h: padding of TLS 1.3's records (RFC 8446 §5.4). Private to the handshake room. max: plaintext bytes in one record (0: 2^14). Where records are not
 * those of TLS 1.3 under keys there is no padding. */
#ifndef AK_HANDSHAKE_RECORD_PADDING_H
#define AK_HANDSHAKE_RECORD_PADDING_H

#include "handshake/machine.h"

/* ak_pads: whether the context's policy pads records of this type. */
bool ak_pads(const ak_context *c, const ak_protect *x, uint8_t type);
/* ak_pad: what it gives a record of n bytes. */
size_t ak_pad(const ak_context *c, const ak_protect *x, uint8_t type, size_t n, size_t max);
/* ak_pad_given: as much as is asked for and fits. */
size_t ak_pad_given(const ak_protect *x, size_t pad, size_t n, size_t max);
/* ak_seal_padded_size / ak_seal_padded: as ak_seal_many_size and ak_seal_many, with the policy's padding; the size is room enough, *out_n what was written. */
size_t ak_seal_padded_size(const ak_context *c, const ak_protect *x, uint8_t type, size_t n, size_t max);
ak_error ak_seal_padded(const ak_context *c, ak_protect *x, uint8_t type, uint16_t version, const uint8_t *plain, size_t n, size_t max, uint8_t *out, size_t *out_n, ak_failure *f);

#endif
