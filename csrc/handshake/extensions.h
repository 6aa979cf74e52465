/* extensions.h: one row an extension: what the client says, what the server makes of it, what it answers, what the client makes of that.
 * The order of the rows is their order on the wire. To add an extension: its form in wire/extensions.def, one row here. */
#ifndef AK_HANDSHAKE_EXTENSIONS_H
#define AK_HANDSHAKE_EXTENSIONS_H

#include "handshake/machine.h"

typedef struct ak_ext_row {
    uint16_t type;
    /* client: writes the body into a ClientHello; false: not offered */
    bool (*offer)(ak_hs *h, ak_buf *body);
    /* server: reads the client's; only called when it is there, after the version is known */
    ak_error (*offered)(ak_hs *h, ak_view body);
    /* server: writes the body of the answer into the message `where`; only asked when the client offered it; false: no answer */
    bool (*answer)(ak_hs *h, ak_message_kind where, ak_buf *body);
    /* client: reads the server's answer in the message `where` */
    ak_error (*answered)(ak_hs *h, ak_message_kind where, ak_view body);
} ak_ext_row;

extern const ak_ext_row ak_ext_rows[];
extern const size_t ak_ext_rows_count;

/* ak_ext_offer_all: the client's extension block, with its length; nothing at all when it is empty. */
ak_error ak_ext_offer_all(ak_hs *h, ak_buf *out);
/* ak_ext_read_offer: the server reads all of h->client_hello's: form, duplicates, then each row. */
ak_error ak_ext_read_offer(ak_hs *h);
/* ak_ext_answer_all: the server's answers in the message `where`, with the block's length; with `optional` an empty block is left out. */
ak_error ak_ext_answer_all(ak_hs *h, ak_message_kind where, bool optional, ak_buf *out);
/* ak_ext_read_answers: the client reads an answer block: form, duplicates, legality, unsolicited ones, then each row. */
ak_error ak_ext_read_answers(ak_hs *h, ak_message_kind where, ak_view extensions);
/* ak_ext_client_sent: whether the ClientHello, as it was really sent, has this extension. */
bool ak_ext_client_sent(const ak_hs *h, uint16_t type, ak_view *body);

/* rows of TLS 1.3 (extensions13.c) */
bool ak_offer_supported_versions(ak_hs *h, ak_buf *b);
bool ak_offer_key_share(ak_hs *h, ak_buf *b);
bool ak_offer_psk_key_exchange_modes(ak_hs *h, ak_buf *b);
bool ak_answer_supported_versions(ak_hs *h, ak_message_kind where, ak_buf *b);
bool ak_answer_key_share(ak_hs *h, ak_message_kind where, ak_buf *b);

#endif
