/* incoming.c: the one choke point for what comes in: records are opened, messages assembled, offered, and given to their row. */
#include "handshake/loop.h"

#include "handshake/keys.h"

#include <stdio.h>
#include <string.h>

/* What BoringSSL tolerates, too: enough for any honest peer. */
#define MAX_EMPTY_RECORDS 32
#define MAX_WARNING_ALERTS 4
#define MAX_HELLO_REQUESTS 32 /* in the middle of a handshake */

static void alert_in(ak_hs *h, ak_view v) {
    if (v.n != 2) {
        ak_hs_fail(h, AK_ERR_bad_alert, "an alert of %zu bytes", v.n);
        return;
    }
    uint8_t level = v.p[0], what = v.p[1];
    const char *name = ak_alert_name(what);
    char detail[64];
    snprintf(detail, sizeof detail, "%s (%u)", name != NULL ? name : "unknown alert", what);
    if (what == AK_ALERT_close_notify) {
        ak_hs_fail_now(h, AK_ERR_closed, AK_ALERT_close_notify, true, "the peer closed the connection during the handshake");
    } else if (level == 2) {
        ak_hs_fail_now(h, AK_ERR_peer_alert, what, true, detail);
    } else if (level == 1 && ak_hs_no_client_certificate(h, what)) {
        return; /* SSL 3.0 */
    } else if (level == 1) {
        /* RFC 8446 §6: in TLS 1.3 only closure alerts are warnings */
        if (ak_hs_is_13(h) && what != AK_ALERT_user_canceled)
            ak_hs_fail(h, AK_ERR_bad_alert, "TLS 1.3 has no warning alert %s", detail);
        else if (++h->warnings > MAX_WARNING_ALERTS)
            ak_hs_fail(h, AK_ERR_too_many_warnings, "more than %d in a row, the last %s", MAX_WARNING_ALERTS, detail);
    } else {
        ak_hs_fail(h, AK_ERR_unknown_alert_level, "level %u, alert %s", level, detail);
    }
}

static const char *content_name(uint8_t type) {
    switch (type) {
    case AK_CT_change_cipher_spec: return "change_cipher_spec";
    case AK_CT_alert: return "alert";
    case AK_CT_handshake: return "handshake";
    case AK_CT_application_data: return "application_data";
    default: return "unknown";
    }
}

/* early: before a ClientHello the peer may be no TLS at all, and to a client without keys it may be encrypted data whose handshake something in between has eaten;
 * elsewhere application data breaks the order. */
static bool early(const ak_hs *h) { return h->server ? h->info->version == 0 && !h->info->hello_retry : !ak_protect_active(h->read); }

/* plain_in: one opened fragment, by content type. */
static void plain_in(ak_hs *h, uint8_t type, ak_view v) {
    if (v.n == 0) {
        if (type == AK_CT_handshake || type == AK_CT_alert || type == AK_CT_change_cipher_spec) {
            /* RFC 5246 §6.2.1, RFC 8446 §5.1, §5.4: no zero-length fragments of these types */
            bool short_alert = type == AK_CT_alert && !ak_hs_is_13(h);
            ak_hs_fail(h, short_alert ? AK_ERR_bad_alert : AK_ERR_empty_fragment, "an empty %s record", content_name(type));
            return;
        }
        if (++h->empty_records > MAX_EMPTY_RECORDS) {
            ak_hs_fail(h, AK_ERR_too_many_empty_fragments, "more than %d", MAX_EMPTY_RECORDS);
            return;
        }
    } else {
        h->empty_records = 0;
    }
    if (type != AK_CT_handshake && h->assembly.n > h->assembly_at) {
        ak_hs_fail(h, h->excess && type != AK_CT_change_cipher_spec ? AK_ERR_excess_handshake_data : AK_ERR_interleaved_message,
                   "a record of type %s in the middle of a handshake message", content_name(type));
        return;
    }
    if (type != AK_CT_alert && v.n != 0) h->warnings = 0; /* empty records between them do not make them fewer */
    switch (type) {
    case AK_CT_handshake:
        if (h->assembly.n == h->assembly_at) h->excess = false;
        if (!ak_buf_put_view(&h->assembly, v)) ak_hs_no_memory(h);
        break;
    case AK_CT_alert: alert_in(h, v); break;
    case AK_CT_change_cipher_spec:
        if (v.n != 1 || v.p[0] != 1) {
            ak_hs_fail(h, AK_ERR_bad_change_cipher_spec, "%zu bytes, the first is %u", v.n, v.p[0]);
            break;
        }
        ak_buf_clear(&h->in_msg.message);
        if (!ak_buf_put_view(&h->in_msg.message, v)) ak_hs_no_memory(h);
        h->in_msg.is_ccs = true;
        h->in_msg.stage = AK_INS_message;
        break;
    case AK_CT_application_data:
        if (ak_hs_application_data(h, v)) break; /* early data */
        if (h->renegotiation != NULL && !h->read_protected) { /* RFC 5246 §11: it may come until the keys change */
            if (v.n > AK_RENEGOTIATION_DATA - h->application.n) ak_hs_fail(h, AK_ERR_too_much_application_data, "%u bytes are kept", AK_RENEGOTIATION_DATA);
            else if (!ak_buf_put_view(&h->application, v)) ak_hs_no_memory(h);
            break;
        }
        ak_hs_fail(h, early(h) ? AK_ERR_application_data_early : AK_ERR_unexpected_record, "%zu bytes of application data while in %s", v.n, ak_hs_state(h));
        break;
    default: ak_hs_fail(h, AK_ERR_invalid_record_type, "content type %u", type); break;
    }
}

/* A length that no message of this type can have is wrong in itself (RFC 8446 §6.2: decode_error), whatever the limits of this side. */
static bool impossible_length(uint8_t type, size_t n) {
    return (type == AK_HT_client_hello && n > AK_CLIENT_HELLO_MAX) || (type == AK_HT_finished && n > AK_HASH_MAX);
}

/* take_message: a whole handshake message from what was assembled. False: more is needed (or it failed). */
static bool take_message(ak_hs *h) {
    size_t left = h->assembly.n - h->assembly_at;
    if (left < 4) return false;
    const uint8_t *p = h->assembly.p + h->assembly_at;
    size_t n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    unsigned most = h->server && p[0] == AK_HT_client_hello ? h->ctx->max_hello : h->ctx->max_message;
    if (n > most) {
        int alert = impossible_length(p[0], n) ? AK_ALERT_decode_error : ak_error_alert(AK_ERR_message_too_long);
        ak_hs_fail_alert(h, AK_ERR_message_too_long, alert, "handshake message %u says it has %zu bytes; %u are allowed", p[0], n, most);
        return false;
    }
    if (left < 4 + n) return false;
    ak_buf_clear(&h->in_msg.message);
    if (!ak_buf_put(&h->in_msg.message, p, 4 + n)) {
        ak_hs_no_memory(h);
        return false;
    }
    h->assembly_at += 4 + n;
    h->excess = h->assembly_at < h->assembly.n;
    if (h->assembly_at == h->assembly.n) {
        ak_buf_clear(&h->assembly);
        h->assembly_at = 0;
    } else if (h->assembly_at > 32768) {
        ak_buf_drop(&h->assembly, h->assembly_at);
        h->assembly_at = 0;
    }
    h->in_msg.is_ccs = false;
    return true;
}

static int classify(const ak_hs *h, const ak_incoming *m) {
    if (m->is_ccs) return AK_ROW_ccs;
    if (m->message.n < 4) return -1;
    int type = m->message.p[0];
    bool retry = h->ctx->max_version >= AK_TLS13 && type == AK_HT_server_hello && m->message.n >= 4 + 34 && memcmp(m->message.p + 6, ak_hrr_random, 32) == 0;
    return retry ? AK_ROW_hello_retry_request : type;
}

static const char *message_name(int message, char *room, size_t n) {
    if (message == AK_ROW_ccs) return "change_cipher_spec";
    if (message == AK_ROW_hello_retry_request) return "hello_retry_request";
    const char *name = message >= 0 ? ak_name(AK_REG_handshake_types, (uint32_t)message) : NULL;
    if (name != NULL) return name;
    snprintf(room, n, "message %d", message);
    return room;
}

static void unexpected(ak_hs *h, int message) {
    char room[24];
    const char *name = message_name(message, room, sizeof room);
    ak_error e = message == AK_ROW_ccs ? AK_ERR_ccs_early : AK_ERR_unexpected_message;
    if (message == AK_HT_finished && ak_row_current(h)->message == AK_ROW_ccs) e = AK_ERR_ccs_missing;
    if (message == AK_ROW_hello_retry_request && h->info->hello_retry) e = AK_ERR_second_hello_retry;
    ak_hs_fail(h, e, "%s came in state %s", name, ak_hs_state(h));
}

/* find_row: where the message belongs; on false it was refused, or is none of the handshake's business (a stray HelloRequest). */
static bool find_row(ak_hs *h, ak_incoming *m) {
    int message = classify(h, m);
    m->row = ak_row_match(h, message);
    if (m->row != NULL) return true;
    if (!h->server && message == AK_HT_hello_request && m->message.n == 4 && !ak_hs_is_13(h) && !h->ctx->renegotiation_fatal &&
        ++h->hello_requests <= MAX_HELLO_REQUESTS)
        return false; /* RFC 5246 §7.4.1.1: passed over */
    if (m->accepted) return false;
    unexpected(h, message);
    return false;
}

static void handle(ak_hs *h) {
    ak_incoming *m = &h->in_msg;
    if (h->phase == 0 && !find_row(h, m)) {
        if (!h->failed && m->accepted && !ak_gate_transcript(h, &m->taken, &m->message, m->dropped)) ak_hs_no_memory(h);
        m->stage = AK_INS_idle;
        return;
    }
    const ak_row *row = m->row;
    if (row->receive != NULL) {
        ak_view body = m->is_ccs ? ak_buf_view(&m->message) : ak_view_of(m->message.p + 4, m->message.n - 4);
        if (!ak_row_result(h, row->receive(h, body))) return;
    }
    if (!m->is_ccs && !ak_gate_transcript(h, &m->taken, &m->message, false)) {
        ak_hs_no_memory(h);
        return;
    }
    m->stage = AK_INS_after;
}

static void open_record(ak_hs *h, ak_incoming *m) {
    ak_failure f;
    size_t n = 0;
    ak_failure_init(&f);
    ak_buf_clear(&m->plain);
    m->stage = AK_INS_opened;
    if (ak_hs_filter_record(h, &m->record)) { /* TLS 1.3: compatibility CCS, early data that is skipped */
        m->stage = AK_INS_idle;
        return;
    }
    if (h->failed) return;
    if (!ak_buf_reserve(&m->plain, m->record.fragment.n + 1)) {
        ak_hs_no_memory(h);
        return;
    }
    ak_error e = ak_open(h->read, &m->record, ak_hs_record_limit(h), m->plain.p, &n, &m->type, &f);
    if (e != AK_OK) {
        if (ak_hs_under_early_key(h) && e == AK_ERR_bad_record_mac) ak_hs_fail(h, AK_ERR_bad_early_record, "(RFC 8446 §4.5)");
        else if (!ak_hs_skip_undecryptable(h, &m->record, e)) ak_hs_fail_with(h, e, &f);
        m->stage = AK_INS_idle;
        return;
    }
    ak_hs_record_opened(h);
    m->plain.n = n;
    if (ak_gate_wanted(h, AK_GATE_plain_in)) ak_gate_open(h, AK_GATE_plain_in, m->type, -1, ak_buf_view(&m->plain));
    else ak_gate_pass(h);
}

/* replace_record: a script's record in place of the one that came; its header must at least be there, and it is no longer than one that could come. */
static bool replace_record(ak_hs *h, ak_incoming *m) {
    if (h->answer.bytes.n < AK_RECORD_HEADER) {
        ak_hs_fail(h, AK_ERR_hook_failed, "a replaced record must have its 5 header bytes");
        return false;
    }
    size_t n = h->answer.bytes.n - AK_RECORD_HEADER;
    if (n > h->deframer.max_fragment) {
        ak_hs_fail(h, AK_ERR_record_too_long, "%zu bytes that a hook has put in its place; %d are allowed", n, h->deframer.max_fragment);
        return false;
    }
    ak_buf_clear(&m->record_bytes);
    if (!ak_buf_put_view(&m->record_bytes, h->answer.bytes)) {
        ak_hs_no_memory(h);
        return false;
    }
    const uint8_t *p = m->record_bytes.p;
    m->record.type = p[0];
    m->record.version = (uint16_t)(p[1] << 8 | p[2]);
    m->record.header = ak_view_of(p, AK_RECORD_HEADER);
    m->record.fragment = ak_view_of(p + AK_RECORD_HEADER, m->record_bytes.n - AK_RECORD_HEADER);
    return true;
}

/* next_record: false when more bytes are needed. */
static bool next_record(ak_hs *h) {
    ak_incoming *m = &h->in_msg;
    ak_failure f;
    bool got = false;
    ak_failure_init(&f);
    /* in TLS 1.3 even without keys: early data that is passed over may come */
    h->deframer.max_fragment = ak_hs_is_13(h) ? AK_CIPHERTEXT_MAX_13 : ak_protect_active(h->read) ? AK_CIPHERTEXT_MAX_12 : AK_PLAINTEXT_MAX;
    /* Without keys a record's version means nothing yet: a peer may have to say in an alert that it does not like ours (RFC 5246 §E.1). */
    h->deframer.version = ak_protect_active(h->read) ? h->record_version : 0;
    ak_error e = ak_deframer_next(&h->deframer, &m->record, &got, &f);
    if (e != AK_OK) {
        ak_hs_fail_with(h, e, &f);
        return true;
    }
    if (!got) return false;
    m->stage = AK_INS_record;
    if (ak_gate_wanted(h, AK_GATE_record_in)) {
        ak_buf_clear(&m->record_bytes);
        if (!ak_buf_put_view(&m->record_bytes, m->record.header) || !ak_buf_put_view(&m->record_bytes, m->record.fragment)) {
            ak_hs_no_memory(h);
            return true;
        }
        ak_gate_open(h, AK_GATE_record_in, m->record.type, -1, ak_buf_view(&m->record_bytes));
    } else {
        ak_gate_pass(h);
    }
    return true;
}

/* in_step: false when more bytes are needed. */
bool ak_incoming_step(ak_hs *h) {
    ak_incoming *m = &h->in_msg;
    switch (m->stage) {
    case AK_INS_idle:
        m->row = NULL;
        m->taken.mode = AK_TRANSCRIPT_as_sent;
        m->dropped = m->accepted = false;
        if (take_message(h)) m->stage = AK_INS_message;
        else if (!h->failed) return next_record(h);
        break;
    case AK_INS_record:
        m->stage = AK_INS_unprotect;
        if (ak_gate_refused(h)) break;
        if (h->answer.verdict == AK_DROP) m->stage = AK_INS_idle;
        else if (h->answer.verdict == AK_REPLACE) replace_record(h, m);
        break;
    case AK_INS_unprotect: open_record(h, m); break;
    case AK_INS_opened:
        m->stage = AK_INS_plain;
        if (ak_gate_refused(h)) break;
        if (h->answer.verdict == AK_DROP) m->stage = AK_INS_idle;
        if (h->answer.verdict == AK_REPLACE) {
            if (h->answer.bytes.n > AK_PLAINTEXT_MAX) {
                ak_hs_fail(h, AK_ERR_plaintext_too_long, "%zu bytes that a hook has put in its place; %d are allowed", h->answer.bytes.n, AK_PLAINTEXT_MAX);
                break;
            }
            ak_buf_clear(&m->plain);
            if (!ak_buf_put_view(&m->plain, h->answer.bytes)) ak_hs_no_memory(h);
        }
        break;
    case AK_INS_plain:
        m->stage = AK_INS_idle;
        plain_in(h, m->type, ak_buf_view(&m->plain));
        break;
    case AK_INS_message:
        m->stage = AK_INS_handle;
        h->phase = 0;
        if (ak_gate_wanted(h, AK_GATE_receive)) {
            ak_gate_open(h, AK_GATE_receive, m->is_ccs ? AK_CT_change_cipher_spec : AK_CT_handshake, m->is_ccs ? -1 : m->message.p[0], ak_buf_view(&m->message));
            m->row = NULL;
            h->phase = -1; /* the gate's answer comes first */
        }
        break;
    case AK_INS_handle:
        if (h->phase == -1) {
            h->phase = 0;
            m->accepted = h->answer.accept;
            if (!ak_gate_answer_message(h, &m->message, &m->taken, &m->dropped)) {
                if (!h->failed) ak_hs_no_memory(h);
                break;
            }
            if (m->dropped) {
                m->stage = AK_INS_idle;
                if (m->taken.mode != AK_TRANSCRIPT_as_sent && !ak_gate_transcript(h, &m->taken, &m->message, true)) ak_hs_no_memory(h);
                break;
            }
            if (!m->is_ccs && m->message.n < 4) {
                ak_hs_fail(h, AK_ERR_decode_error, "a handshake message of %zu bytes", m->message.n);
                break;
            }
        }
        handle(h);
        break;
    case AK_INS_after: {
        const ak_row *row = m->row, *rows = h->rows;
        if (row->after != NULL && !ak_row_result(h, row->after(h))) break;
        m->stage = AK_INS_idle;
        if (h->rows == rows) ak_row_advance(h, row);
        break;
    }
    }
    return true;
}
