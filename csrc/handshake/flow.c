/* flow.c: the rows up to ServerHello, when the version is not yet known. ServerHello goes on in the table of its version. */
#include "handshake/hello.h"

const ak_row ak_rows_hello[] = {
    {AK_ROW(false, AK_HT_client_hello, client_hello), NULL, ak_compose_client_hello, NULL, ak_receive_client_hello, ak_after_client_hello},
    {AK_ROW(true, AK_HT_server_hello, server_hello), NULL, ak_compose_server_hello, NULL, ak_receive_server_hello, ak_after_server_hello},
    AK_ROW_END,
};
