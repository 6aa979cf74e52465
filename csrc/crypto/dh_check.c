/* dh_check.c: a server's explicit Diffie-Hellman parameters (TLS 1.2 DHE): are they large enough, and a prime? */
#include "crypto/internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

/* is_published: one of the safe primes of RFC 7919 or RFC 3526. */
static bool is_published(ak_provider *p, const BIGNUM *prime, ak_view bytes) {
    static BIGNUM *(*const rfc3526[])(BIGNUM *) = {BN_get_rfc3526_prime_1536, BN_get_rfc3526_prime_2048, BN_get_rfc3526_prime_3072,
                                                   BN_get_rfc3526_prime_4096, BN_get_rfc3526_prime_6144, BN_get_rfc3526_prime_8192};
    for (size_t i = 0; i < ak_groups_count; i++) {
        const ak_group *g = &ak_groups[i];
        if (g->kind == AK_GROUP_ff && g->client_share == bytes.n && ak_group_usable(p, g) &&
            ak_view_eq(bytes, ak_view_of(p->group[i].prime, bytes.n)))
            return true;
    }
    for (size_t i = 0; i < sizeof rfc3526 / sizeof rfc3526[0]; i++) {
        BIGNUM *known = rfc3526[i](NULL);
        bool same = known != NULL && BN_cmp(known, prime) == 0;
        BN_free(known);
        if (same) return true;
    }
    return false;
}

/* How many Miller-Rabin rounds: fewer for longer numbers, where a round takes tens of milliseconds. A composite passes one round with a
 * chance of at most 1/4, and a number that nobody chose to pass it with practically none. */
static int rounds_for(int bits) { return bits <= 3072 ? 16 : bits <= 4096 ? 8 : 4; }

/* is_prime: Miller-Rabin with random bases. BN_check_prime would do 64 or 128 rounds, which at 8192 bits is most of a minute. */
static bool is_prime(ak_provider *p, const BIGNUM *n) {
    BN_CTX *ctx = BN_CTX_new_ex(p->libctx);
    BN_MONT_CTX *mont = BN_MONT_CTX_new();
    bool prime = false;
    if (ctx == NULL || mont == NULL) goto out;
    BN_CTX_start(ctx);
    BIGNUM *n1 = BN_CTX_get(ctx), *odd = BN_CTX_get(ctx), *range = BN_CTX_get(ctx), *base = BN_CTX_get(ctx), *x = BN_CTX_get(ctx);
    if (x == NULL || BN_MONT_CTX_set(mont, n, ctx) != 1 || BN_copy(n1, n) == NULL || !BN_sub_word(n1, 1) ||
        BN_copy(range, n1) == NULL || !BN_sub_word(range, 3))
        goto end;
    int twos = 0;
    while (!BN_is_bit_set(n1, twos)) twos++; /* n is odd and over 3: n1 is even and not zero */
    if (BN_rshift(odd, n1, twos) != 1) goto end;
    ak_random_prime(p, AK_PURPOSE_blinding);
    for (int round = rounds_for(BN_num_bits(n)); round > 0; round--) {
        if (BN_rand_range_ex(base, range, 0, ctx) != 1 || !BN_add_word(base, 2) || BN_mod_exp_mont(x, base, odd, n, ctx, mont) != 1)
            goto end;
        bool witness = !BN_is_one(x) && BN_cmp(x, n1) != 0;
        for (int i = 1; witness && i < twos; i++) {
            if (BN_mod_sqr(x, x, n, ctx) != 1) goto end;
            if (BN_cmp(x, n1) == 0) witness = false;
        }
        if (witness) goto end;
    }
    prime = true;
end:
    BN_CTX_end(ctx);
out:
    BN_MONT_CTX_free(mont);
    BN_CTX_free(ctx);
    ERR_clear_error();
    return prime;
}

static bool is_good_prime(ak_provider *p, const BIGNUM *prime, ak_view bytes) {
    uint8_t id[32];
    const ak_view none = {NULL, 0};
    if (is_published(p, prime, bytes)) return true;
    if (!ak_digest(p, AK_HASH_sha256, bytes, none, none, id)) return false;
    unsigned kept = p->good_primes < AK_GOOD_PRIMES ? p->good_primes : AK_GOOD_PRIMES;
    for (unsigned i = 0; i < kept; i++)
        if (memcmp(p->good_prime[i], id, sizeof id) == 0) return true;
    if (!is_prime(p, prime)) return false;
    memcpy(p->good_prime[p->good_primes++ % AK_GOOD_PRIMES], id, sizeof id);
    return true;
}

ak_error ak_dh_check(ak_provider *p, ak_view prime, ak_view generator, unsigned min_bits, ak_failure *f) {
    while (prime.n > 0 && prime.p[0] == 0) prime = ak_view_of(prime.p + 1, prime.n - 1);
    if (prime.n == 0 || prime.n > 1024 || generator.n == 0 || generator.n > 2048)
        return ak_fail(f, AK_ERR_illegal_parameter, "a Diffie-Hellman prime of %u bytes", (unsigned)prime.n);
    ak_error e = AK_OK;
    BIGNUM *bp = BN_bin2bn(prime.p, (int)prime.n, NULL), *bg = BN_bin2bn(generator.p, (int)generator.n, NULL), *top = BN_dup(bp);
    unsigned bits = bp != NULL ? (unsigned)BN_num_bits(bp) : 0;
    if (bp == NULL || bg == NULL || top == NULL)
        e = ak_fail(f, AK_ERR_out_of_memory, NULL);
    else if (bits < min_bits)
        e = ak_fail(f, AK_ERR_weak_dh_group, "%u bits; at least %u are required", bits, min_bits);
    else if (!BN_is_odd(bp) || bits < 8 || !BN_sub_word(top, 1))
        e = ak_fail(f, AK_ERR_illegal_parameter, "the Diffie-Hellman prime is even");
    else if (BN_is_zero(bg) || BN_is_one(bg) || BN_cmp(bg, top) >= 0)
        e = ak_fail(f, AK_ERR_illegal_parameter, "the Diffie-Hellman generator is not in 2..p-2");
    else if (!is_good_prime(p, bp, prime))
        e = ak_fail(f, AK_ERR_weak_dh_group, "the Diffie-Hellman modulus is not a prime");
    BN_free(bp);
    BN_free(bg);
    BN_free(top);
    return e;
}
