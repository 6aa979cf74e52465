/* tickets.h: self-contained tickets (RFC 5077 §4, RFC 8446 §4.6.1): a session, sealed under a key that only servers have. Private to the
 * handshake room; how an application sets keys is in akushu.h.
 *
 * A ticket: the key's name (16 bytes), a nonce (12), the session as ak_resumption_write has it under AES-256-GCM, the tag (16). The name is authenticated. */
#ifndef AK_HANDSHAKE_TICKETS_H
#define AK_HANDSHAKE_TICKETS_H

#include "akushu.h"

#define AK_TICKET_MAX 32768 /* a longer one (a client with a long chain) is not made */

/* ak_ticket_seal: appends a ticket for this session. False: too long, no keys to be had, no randomness; nothing is appended then. */
bool ak_ticket_seal(ak_context *c, const ak_resumption *r, ak_buf *out);
/* ak_ticket_seal_bytes: the same with anything else that this server alone is to read again (a cookie). */
bool ak_ticket_seal_bytes(ak_context *c, ak_view plain, ak_buf *out);
/* ak_ticket_open: the session's bytes, appended. False: not one of ours. *renew: its key is on its way out. */
bool ak_ticket_open(ak_context *c, ak_view ticket, ak_buf *out, bool *renew);

#endif
