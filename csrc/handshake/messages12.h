/* messages12.h: the row functions of TLS <= 1.2, by message: sender and receiver side by side (certificate12.c, key_exchange12.c, finished12.c,
 * ticket12.c). */
#ifndef AK_HANDSHAKE_MESSAGES12_H
#define AK_HANDSHAKE_MESSAGES12_H

#include "handshake/machine.h"

/* ak_asks_certificate: whether a server with this suite asks for the client's certificate (flow12.c). */
bool ak_asks_certificate(const ak_context *c, const ak_suite *s);

ak_error ak_compose_certificate12(ak_hs *h, ak_buf *b);
ak_error ak_receive_server_certificate12(ak_hs *h, ak_view body);
ak_error ak_receive_client_certificate12(ak_hs *h, ak_view body);
ak_error ak_compose_certificate_status12(ak_hs *h, ak_buf *b);
ak_error ak_receive_certificate_status12(ak_hs *h, ak_view body);
ak_error ak_compose_certificate_request12(ak_hs *h, ak_buf *b);
ak_error ak_receive_certificate_request12(ak_hs *h, ak_view body);
ak_error ak_compose_certificate_verify12(ak_hs *h, ak_buf *b);
ak_error ak_seal_certificate_verify12(ak_hs *h, ak_buf *message, size_t at);
ak_error ak_receive_certificate_verify12(ak_hs *h, ak_view body);

ak_error ak_compose_server_key_exchange(ak_hs *h, ak_buf *b);
ak_error ak_seal_server_key_exchange(ak_hs *h, ak_buf *message, size_t at);
ak_error ak_receive_server_key_exchange(ak_hs *h, ak_view body);
ak_error ak_compose_server_hello_done(ak_hs *h, ak_buf *b);
ak_error ak_receive_server_hello_done(ak_hs *h, ak_view body);
ak_error ak_compose_client_key_exchange(ak_hs *h, ak_buf *b);
ak_error ak_receive_client_key_exchange(ak_hs *h, ak_view body);
ak_error ak_after_client_key_exchange(ak_hs *h);

ak_error ak_after_change_cipher_spec(ak_hs *h);
ak_error ak_compose_finished12(ak_hs *h, ak_buf *b);
ak_error ak_seal_finished12(ak_hs *h, ak_buf *message, size_t at);
ak_error ak_receive_finished12(ak_hs *h, ak_view body);
ak_error ak_after_client_finished12(ak_hs *h);
ak_error ak_after_server_finished12(ak_hs *h);

ak_error ak_compose_new_session_ticket12(ak_hs *h, ak_buf *b);
ak_error ak_receive_new_session_ticket12(ak_hs *h, ak_view body);

/* ---- pre-shared keys (psk12.c) ---------------------------------------------------------------------------------------- */

bool ak_kx_has_psk(ak_kx kx);
/* ak_psk12_possible: whether a context can do suites with a pre-shared key. */
bool ak_psk12_possible(const ak_context *c);
/* ak_psk12_choose: client: the key for this hint. */
ak_error ak_psk12_choose(ak_hs *h, ak_view hint);
/* ak_psk12_look_up: server: the key of this identity; AK_AGAIN when the application is asked, then ak_psk12_answered. */
ak_error ak_psk12_look_up(ak_hs *h, ak_view identity);
ak_error ak_psk12_answered(ak_hs *h, ak_view identity);
/* ak_psk12_premaster: mixes the key into h->secrets.premaster. */
ak_error ak_psk12_premaster(ak_hs *h);

/* ak_resumption12: what can be resumed of this handshake: NULL when out of memory. */
ak_resumption *ak_resumption12(const ak_hs *h);

#endif
