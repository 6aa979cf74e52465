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

/* ak_ext_cause: what the decoder says of an extension's body, as the cause that a handshake fails with: `form` (AK_ERR_bad_extension, or what error.def has for this
 * extension) when it does not have its form. */
static inline ak_error ak_ext_cause(ak_error e, ak_error form) { return e == AK_ERR_decode_error || e == AK_ERR_trailing_data ? form : e; }

/* AK_EXT_READ: decodes `body` as an extension's structure, or fails the handshake `h` with what the decoder says. AK_EXT_READ_AS: with this cause. */
#define AK_EXT_READ_AS(kind, out, form)                                                              \
    do {                                                                                             \
        ak_failure why_ = {0};                                                                       \
        ak_error e_ = ak_decode_##kind(body, (out), &why_);                                          \
        if (e_ != AK_OK) return ak_hs_fail(h, ak_ext_cause(e_, (form)), "%s", why_.detail);          \
    } while (0)
#define AK_EXT_READ(kind, out) AK_EXT_READ_AS(kind, out, AK_ERR_bad_extension)

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
/* ak_ext_client_sent: whether the ClientHello, as it was really sent, has this extension.
 * ak_ext_answerable: the same, but for reserved values, which ask for nothing (RFC 8701 §3.1). */
bool ak_ext_client_sent(const ak_hs *h, uint16_t type, ak_view *body);
bool ak_ext_answerable(const ak_hs *h, uint16_t type);

/* limits.c: max_fragment_length (RFC 6066 §4) */
bool ak_offer_max_fragment_length(ak_hs *h, ak_buf *b);
ak_error ak_offered_max_fragment_length(ak_hs *h, ak_view body);
bool ak_answer_max_fragment_length(ak_hs *h, ak_message_kind where, ak_buf *b);
ak_error ak_answered_max_fragment_length(ak_hs *h, ak_message_kind where, ak_view body);

/* grease.c */
typedef enum ak_grease_use {
    AK_GREASE_suite,
    AK_GREASE_group, /* the same in supported_groups and key_share */
    AK_GREASE_version,
    AK_GREASE_first_extension,
    AK_GREASE_last_extension,
    AK_GREASE_psk_mode, /* one byte */
    AK_GREASE_server_extension, /* of a CertificateRequest or NewSessionTicket (RFC 8701 §4.1) */
    AK_GREASE_uses
} ak_grease_use;
/* ak_grease: a value of RFC 8701 for this use: the same for all of a connection. Only when ak_greases. */
uint16_t ak_grease(ak_hs *h, ak_grease_use use);
/* ak_greases: whether this side sends such values; draws them on first use. */
bool ak_greases(ak_hs *h);
/* ak_put_grease: a reserved extension, when ak_greases. All but the first one have a byte in them, as some servers dislike an empty one at the end. */
void ak_put_grease(ak_hs *h, ak_grease_use use, ak_buf *out);
/* ak_ext_pad: padding (RFC 7685) as the context wants it, into an extension block that is complete (it begins at `block`); before a pre_shared_key. */
ak_error ak_ext_pad(ak_hs *h, ak_buf *out, size_t block);

/* rows of TLS 1.3 (extensions13.c) */
bool ak_offer_supported_versions(ak_hs *h, ak_buf *b);
bool ak_offer_key_share(ak_hs *h, ak_buf *b);
bool ak_offer_psk_key_exchange_modes(ak_hs *h, ak_buf *b);
bool ak_answer_supported_versions(ak_hs *h, ak_message_kind where, ak_buf *b);
ak_error ak_offered_key_share(ak_hs *h, ak_view body);
bool ak_answer_key_share(ak_hs *h, ak_message_kind where, ak_buf *b);
ak_error ak_answered_key_share(ak_hs *h, ak_message_kind where, ak_view body);
bool ak_offer_post_handshake_auth(ak_hs *h, ak_buf *b);
ak_error ak_offered_post_handshake_auth(ak_hs *h, ak_view body);
bool ak_offer_compress_certificate(ak_hs *h, ak_buf *b);
ak_error ak_offered_compress_certificate(ak_hs *h, ak_view body);
ak_error ak_offered_cookie(ak_hs *h, ak_view body);
bool ak_answer_cookie(ak_hs *h, ak_message_kind where, ak_buf *b);
ak_error ak_answered_cookie(ak_hs *h, ak_message_kind where, ak_view body);
ak_error ak_offered_psk_key_exchange_modes(ak_hs *h, ak_view body);
bool ak_offer_signature_algorithms_cert(ak_hs *h, ak_buf *b);
ak_error ak_offered_signature_algorithms_cert(ak_hs *h, ak_view body);
bool ak_offer_certificate_authorities(ak_hs *h, ak_buf *b);
ak_error ak_offered_certificate_authorities(ak_hs *h, ak_view body);
/* early_data.c */
bool ak_offer_early_data(ak_hs *h, ak_buf *b);
ak_error ak_offered_early_data(ak_hs *h, ak_view body);
bool ak_answer_early_data(ak_hs *h, ak_message_kind where, ak_buf *b);
ak_error ak_answered_early_data(ak_hs *h, ak_message_kind where, ak_view body);
/* psk.c */
bool ak_offer_pre_shared_key(ak_hs *h, ak_buf *b);
bool ak_answer_pre_shared_key(ak_hs *h, ak_message_kind where, ak_buf *b);
ak_error ak_answered_pre_shared_key(ak_hs *h, ak_message_kind where, ak_view body);

#endif
