/* hello.h: the row functions of ClientHello and ServerHello, and what they use of one another. */
#ifndef AK_HANDSHAKE_HELLO_H
#define AK_HANDSHAKE_HELLO_H

#include "handshake/machine.h"

ak_error ak_compose_client_hello(ak_hs *h, ak_buf *b);
ak_error ak_receive_client_hello(ak_hs *h, ak_view body);
ak_error ak_after_client_hello(ak_hs *h);
ak_error ak_compose_server_hello(ak_hs *h, ak_buf *b);
ak_error ak_receive_server_hello(ak_hs *h, ak_view body);
ak_error ak_after_server_hello(ak_hs *h);

/* ak_consider_resumption: server, TLS <= 1.2: a stored session (serialised) becomes h->resumed if it suits. */
ak_error ak_consider_resumption(ak_hs *h, ak_view stored);
/* ak_hs_adopt_peer: a resumed handshake takes the peer's chain from the session. */
ak_error ak_hs_adopt_peer(ak_hs *h, const ak_resumption *r);
/* ak_ticket12_open: the client's ticket becomes h->resumed if it is ours and suits; any other is passed over (ticket12.c). */
ak_error ak_ticket12_open(ak_hs *h);

/* ak_own_versions: the versions of the context in words: "TLS 1.2", "TLS 1.0 to TLS 1.3". */
ak_words_text ak_own_versions(const ak_hs *h);

/* ak_client_may_offer: client: whether a kept session may be offered in this handshake at all. */
bool ak_client_may_offer(const ak_hs *h, const ak_resumption *r);
/* ak_client_choose_version: client: the version of a ServerHello becomes info->version, if it may. */
ak_error ak_client_choose_version(ak_hs *h, const struct ak_server_hello *s);

/* TLS 1.3 (client13.c, server13.c, early_data.c) */
#define AK_PHASE_13 64 /* h->phase from here on is ak_server13_choose's */
/* ak_server13_check_hello: what every ClientHello of TLS 1.3 must have (RFC 8446 §9.2). */
ak_error ak_server13_check_hello(ak_hs *h);
/* cookie.c: ak_cookie_make: server, when a HelloRetryRequest is due: f->cookie, if the context wants one. ak_cookie_resume: server: a first ClientHello that is a second
 * one by its cookie: the handshake goes on as if it had seen the first. AK_ERR_bad_cookie. */
ak_error ak_cookie_make(ak_hs *h);
ak_error ak_cookie_resume(ak_hs *h);
ak_error ak_early_decide(ak_hs *h);
ak_error ak_early_answered(ak_hs *h);
ak_error ak_early_refuse(ak_hs *h);
/* ak_early_note_age: server: info->ticket_age_skew of the session that is resumed. */
void ak_early_note_age(ak_hs *h);
ak_error ak_after_server_hello13(ak_hs *h);
ak_error ak_server13_choose(ak_hs *h);
ak_error ak_client13_server_hello(ak_hs *h, const struct ak_server_hello *hello);

#endif
