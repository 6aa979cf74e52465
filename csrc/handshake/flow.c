/* flow.c: the rows up to ServerHello, when the version is not yet known. ServerHello goes on in the table of its version. */
#include "handshake/hello.h"

#include "handshake/messages13.h"

static ak_when has_hello_retry(const ak_hs *h) {
    const ak_flow13 *f = ak_flow13_of(h);
    if (f == NULL) return AK_NO;
    if (h->server) return f->retry_due ? AK_YES : AK_NO;
    return h->info->hello_retry ? AK_NO : AK_MAYBE;
}

static ak_when has_second_hello(const ak_hs *h) {
    const ak_flow13 *f = ak_flow13_of(h);
    return h->info->hello_retry && (f == NULL || !f->retold) ? AK_YES : AK_NO;
}

const ak_row ak_rows_hello[] = {
    {AK_ROW(false, AK_HT_client_hello, client_hello), NULL, ak_compose_client_hello, ak_seal_client_hello, ak_receive_client_hello, ak_after_client_hello},
    {.server = true, .message = AK_ROW_hello_retry_request, .name = "hello_retry_request", .sending = "send_hello_retry_request",
     .waiting = "wait_server_hello", has_hello_retry, ak_compose_hello_retry_request, NULL, ak_receive_hello_retry_request, ak_after_hello_retry_request},
    {AK_ROW(false, AK_HT_client_hello, client_hello), has_second_hello, ak_compose_second_client_hello, ak_seal_client_hello, ak_receive_client_hello,
     ak_after_client_hello},
    {AK_ROW(true, AK_HT_server_hello, server_hello), NULL, ak_compose_server_hello, NULL, ak_receive_server_hello, ak_after_server_hello},
    AK_ROW_END,
};
