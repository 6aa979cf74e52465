/* loop.h: what the parts of the loop say to each other: machine.c (rows, actions, the loop), outgoing.c, flight.c, incoming.c, gates.c,
 * failing.c and hand_over.c. No other file of the room includes it: a row's function speaks through machine.h. */
#ifndef AK_HANDSHAKE_LOOP_H
#define AK_HANDSHAKE_LOOP_H

#include "handshake/machine.h"

/* failing.c. The first failure stays; its alert goes out behind the messages that were already built. */
void ak_hs_fail_now(ak_hs *h, ak_error e, int alert, bool from_peer, const char *detail);
void ak_hs_fail_with(ak_hs *h, ak_error e, const ak_failure *f); /* a room below has filled in f */
ak_error ak_hs_no_memory(ak_hs *h);
void ak_hs_seal_alert(ak_hs *h, uint8_t level, uint8_t description);
void ak_hs_flush_quietly(ak_hs *h);

/* gates.c. A gate is opened for a script, or passed at once. */
static inline bool ak_gate_wanted(const ak_hs *h, uint32_t which) { return (h->gates & which) != 0; }
void ak_gate_pass(ak_hs *h);
void ak_gate_open(ak_hs *h, uint32_t which, uint8_t content_type, int message, ak_view bytes);
bool ak_gate_refused(ak_hs *h); /* the verdict ends the handshake, and has */
bool ak_gate_take_injections(ak_hs *h, ak_item **after);
bool ak_gate_put_after(ak_hs *h, ak_item **list); /* what take_injections kept for later; frees it */
bool ak_gate_answer_message(ak_hs *h, ak_buf *message, ak_taken *taken, bool *dropped);
bool ak_gate_transcript(ak_hs *h, const ak_taken *t, const ak_buf *message, bool dropped);

/* machine.c: where the handshake is in its table. */
const ak_row *ak_row_current(const ak_hs *h);
const ak_row *ak_row_match(const ak_hs *h, int message); /* NULL: not allowed now */
void ak_row_advance(ak_hs *h, const ak_row *done);
bool ak_row_result(ak_hs *h, ak_error e); /* of a row's function: true to go on; false when it asked, or failed */

void ak_flight_step(ak_hs *h);
void ak_outgoing_start(ak_hs *h, const ak_row *row);
void ak_outgoing_step(ak_hs *h);
bool ak_incoming_step(ak_hs *h); /* false when more bytes are needed */

#endif
