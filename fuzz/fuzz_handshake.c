/* fuzz_handshake.c: a whole connection against a hostile or broken peer. A lab's randomness, so that an input always does the same.
 *
 * Input: byte 0 chooses what happens, byte 1 the size of the pieces in which bytes arrive (0: all at once), byte 2 the profile;
 *   mode 0: a server is fed the rest;
 *   mode 1: a client, once it has said its hello, is fed the rest;
 *   mode 2: client and server talk, and the rest says what goes wrong on the way: groups of four bytes (where: two bytes; what: one; value: one)
 *           applied to the stream of bytes in either direction.
 * Whatever happens: no crash, an end, bounded memory, and a side that failed stays failed. */
#include "akushu.h"

#include "identity.h"

#include <stdlib.h>
#include <string.h>

static uint64_t seed;

static bool fill(void *user, ak_purpose purpose, uint8_t *out, size_t n, char *why, size_t room) {
    (void)user;
    (void)why;
    (void)room;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u + (uint64_t)purpose;
        out[i] = (uint8_t)(seed >> 33);
        if (out[i] == 0) out[i] = 1; /* PKCS#1 padding has no zeros */
    }
    return true;
}

static int64_t the_time(void *user) {
    (void)user;
    return 1800000000;
}

static ak_provider *provider;
static ak_context *clients[3], *servers[3];

static void numbers(uint16_t *out, size_t *n, const uint16_t *in, size_t count) {
    memcpy(out, in, count * sizeof *in);
    *n = count;
}

static ak_context *context(bool server, const char *profile, uint16_t max_version) {
    static const uint16_t groups[] = {29, 23, 24}; /* x25519, secp256r1, secp384r1 */
    static const uint16_t schemes[] = {0x0804, 0x0805, 0x0403, 0x0401, 0x0501}; /* RSA-PSS, ECDSA P-256, PKCS#1 */
    ak_failure f = {0};
    ak_context *c = ak_context_new(provider, server);
    if (c == NULL) abort();
    c->clock = the_time;
    c->max_version = max_version;
    numbers(c->groups, &c->n_groups, groups, sizeof groups / sizeof *groups);
    numbers(c->schemes, &c->n_schemes, schemes, sizeof schemes / sizeof *schemes);
    c->n_suites = ak_profile_suites(profile, c->suites, AK_LIST_MAX);
    if (c->n_suites > AK_LIST_MAX) c->n_suites = AK_LIST_MAX;
    ak_view pem = ak_view_of(fuzz_certificate, strlen(fuzz_certificate));
    c->trust = ak_trust_new(&f);
    if (c->trust == NULL || ak_trust_add_pem(c->trust, NULL, NULL, pem, &f) != AK_OK) abort();
    if (server) {
        ak_pem block;
        memset(&block, 0, sizeof block);
        ak_buf_init(&block.der, AK_BUF_NO_LIMIT);
        ak_chain chain = {0};
        ak_key *key = ak_key_private(provider, ak_view_of(fuzz_key, strlen(fuzz_key)), NULL, &f);
        if (key == NULL || ak_pem_next(&pem, &block) != 1 || ak_chain_add(&chain, ak_buf_view(&block.der), &f) != AK_OK) abort();
        c->identities[0] = ak_identity_new(provider, &chain, key, &f);
        if (c->identities[0] == NULL) abort();
        c->n_identities = 1;
        ak_chain_clear(&chain);
        ak_key_free(key);
        ak_buf_free(&block.der);
        c->store = ak_store_new(4);
    }
    return c;
}

static void setup(void) {
    static const char *const profiles[3] = {"classic", "modern", "compatible"};
    static const uint16_t versions[3] = {0x0303, 0x0304, 0x0303};
    ak_failure f = {0};
    ak_source source = {fill, NULL, NULL};
    provider = ak_provider_new(&source, &f);
    if (provider == NULL) abort();
    for (int i = 0; i < 3; i++) {
        clients[i] = context(false, profiles[i], versions[i]);
        servers[i] = context(true, profiles[i], versions[i]);
    }
}

/* A side: its handshake, then its session. */
typedef struct side {
    ak_hs *hs;
    ak_session *session;
    bool over;
} side;

static void take_output(ak_view v, ak_buf *out) {
    if (v.n > (1u << 22)) abort(); /* nothing here makes one say so much */
    ak_buf_put_view(out, v);
}

/* Runs the handshake as far as it goes; no gate is asked for, so an event is a question: no. */
static void work(side *s, ak_buf *out) {
    ak_status status;
    while ((status = ak_hs_run(s->hs)) == AK_EVENT) {
        ak_answer answer;
        memset(&answer, 0, sizeof answer);
        if (!ak_hs_answer(s->hs, &answer)) abort();
    }
    take_output(ak_hs_output(s->hs), out);
    ak_hs_output_taken(s->hs);
    if (status == AK_FAILED) {
        if (ak_hs_failure(s->hs)->error == AK_OK) abort();
        s->over = true;
    } else if (status == AK_DONE) {
        ak_failure f = {0};
        s->session = ak_hs_session(s->hs, &f);
        if (s->session == NULL) abort();
    }
}

/* How a well-behaved application uses a session: reads, says something once, answers close_notify. */
static void converse(side *s, ak_view in, ak_buf *out) {
    ak_failure f = {0};
    size_t n = 0, room = ak_session_open_size(s->session, in.n);
    uint8_t *plain = malloc(room != 0 ? room : 1);
    if (plain == NULL) abort();
    ak_error e = ak_session_open(s->session, in, plain, &n, &f);
    if (n > room) abort();
    take_output(ak_session_reply(s->session), out);
    ak_session_reply_taken(s->session);
    if (e == AK_OK && n > 0 && n < 100) {
        uint8_t *sealed = malloc(ak_session_seal_size(s->session, n) + 1);
        size_t sealed_n = 0;
        if (sealed == NULL) abort();
        if (ak_session_seal(s->session, plain, n - 1, sealed, &sealed_n, &f) == AK_OK) ak_buf_put(out, sealed, sealed_n);
        free(sealed);
    }
    if (e != AK_OK) {
        if (e == AK_ERR_closed && ak_session_close(s->session, &f) == AK_OK) take_output(ak_session_reply(s->session), out);
        s->over = true;
    }
    free(plain);
}

static void give(side *s, ak_view bytes, size_t piece, ak_buf *out) {
    for (size_t at = 0; at < bytes.n && !s->over; at += piece) {
        size_t n = bytes.n - at < piece ? bytes.n - at : piece;
        ak_view in = ak_view_of(bytes.p + at, n);
        if (s->session != NULL) {
            converse(s, in, out);
        } else {
            ak_hs_feed(s->hs, in);
            work(s, out);
            /* What came behind the last flight is in the session already. */
            if (s->session != NULL) converse(s, ak_view_of(NULL, 0), out);
        }
    }
}

static void open_side(side *s, ak_context *c, ak_buf *out) {
    ak_failure f = {0};
    memset(s, 0, sizeof *s);
    s->hs = ak_hs_new(c, &f);
    if (s->hs == NULL) abort();
    if (!c->server && ak_hs_set_server_name(s->hs, "localhost", &f) != AK_OK) abort();
    if (ak_hs_start(s->hs, &f) != AK_OK) abort();
    work(s, out);
}

static void close_side(side *s) {
    ak_session_free(s->session);
    ak_hs_free(s->hs);
}

static void alone(bool server, size_t profile, ak_view bytes, size_t piece) {
    side s;
    ak_buf out;
    ak_buf_init(&out, AK_BUF_NO_LIMIT);
    open_side(&s, server ? servers[profile] : clients[profile], &out);
    give(&s, bytes, piece, &out);
    if (s.session == NULL) ak_hs_eof(s.hs);
    ak_buf_free(&out);
    close_side(&s);
}

/* damage: what the plan does to bytes that stand at `at` in their direction's stream. */
static void damage(ak_view plan, int direction, size_t at, ak_buf *bytes) {
    for (size_t i = 0; i + 4 <= plan.n && i < 64; i += 4) {
        const uint8_t *g = plan.p + i;
        size_t where = (size_t)(g[0] & 0x7f) << 8 | g[1];
        if ((g[0] >> 7) != direction || where < at || where >= at + bytes->n) continue;
        size_t k = where - at;
        switch (g[2] % 4) {
        case 0: bytes->p[k] ^= g[3]; break;
        case 1: bytes->p[k] = g[3]; break;
        case 2: /* cut out */
            if (k + g[3] <= bytes->n) {
                memmove(bytes->p + k, bytes->p + k + g[3], bytes->n - k - g[3]);
                bytes->n -= g[3];
            }
            break;
        default: /* repeat the end */
            if (ak_buf_reserve(bytes, bytes->n - k)) {
                memcpy(bytes->p + bytes->n, bytes->p + k, bytes->n - k);
                bytes->n += bytes->n - k;
            }
        }
    }
}

static void together(size_t profile, ak_view plan, size_t piece) {
    side s[2]; /* client, server */
    ak_buf to[2];
    size_t moved[2] = {0, 0};
    ak_buf_init(&to[0], AK_BUF_NO_LIMIT);
    ak_buf_init(&to[1], AK_BUF_NO_LIMIT);
    open_side(&s[0], clients[profile], &to[1]);
    open_side(&s[1], servers[profile], &to[0]);
    bool said = false;
    for (int turn = 0; turn < 64 && (to[0].n != 0 || to[1].n != 0); turn++) {
        int who = turn % 2 == 0;
        ak_buf in = to[who];
        ak_buf_init(&to[who], AK_BUF_NO_LIMIT);
        size_t at = moved[who];
        moved[who] += in.n;
        damage(plan, who, at, &in);
        give(&s[who], ak_buf_view(&in), piece, &to[!who]);
        ak_buf_free(&in);
        if (!said && s[0].session != NULL && s[1].session != NULL && !s[0].over && !s[1].over) {
            static const uint8_t hello[] = "hello, this is the client";
            uint8_t sealed[512];
            size_t n = 0;
            ak_failure f = {0};
            said = true;
            if (ak_session_seal_size(s[0].session, sizeof hello) > sizeof sealed) abort();
            if (ak_session_seal(s[0].session, hello, sizeof hello, sealed, &n, &f) == AK_OK) ak_buf_put(&to[1], sealed, n);
        }
    }
    /* Undisturbed they must have come to an agreement. */
    if (plan.n < 4 && !said) abort();
    for (int i = 0; i < 2; i++) {
        ak_buf_free(&to[i]);
        close_side(&s[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (provider == NULL) setup();
    if (size < 3) return 0;
    seed = 42;
    ak_view rest = ak_view_of(data + 3, size - 3);
    size_t piece = data[1] != 0 ? data[1] : 65536, profile = data[2] % 3;
    switch (data[0] % 3) {
    case 0: alone(true, profile, rest, piece); break;
    case 1: alone(false, profile, rest, piece); break;
    default: together(profile, rest, piece);
    }
    return 0;
}
