#include "handshake/keys.h"

#include "crypto/kdf.h"

#include <string.h>

ak_hash ak_keys12_hash(uint16_t version, const ak_suite *s) { return version >= AK_TLS12 ? s->prf : AK_HASH_md5_sha1; }

static ak_view client_random(const ak_hs *h) { return ak_view_of(h->info->client_random, 32); }
static ak_view server_random(const ak_hs *h) { return ak_view_of(h->info->server_random, 32); }

ak_error ak_keys12_master(ak_hs *h) {
    ak_secrets *s = &h->secrets;
    ak_hash hash = ak_keys12_hash(h->info->version, h->info->suite);
    ak_view premaster = ak_buf_view(&s->premaster);
    bool ok;
    ak_prf_key_free(&s->master_key); /* it is of the secret that goes */
    s->master.n = 48;
    if (h->info->version == AK_SSL30) {
        ok = ak_ssl3_derive(h->p, premaster, client_random(h), server_random(h), s->master.p, 48);
    } else if (h->info->ems) {
        uint8_t session_hash[AK_HASH_MAX];
        size_t n = 0;
        ok = ak_transcript_value(&h->transcript, session_hash, &n) &&
             ak_prf(h->p, hash, premaster, "extended master secret", ak_view_of(session_hash, n), ak_view_of(NULL, 0), s->master.p, 48);
    } else {
        ok = ak_prf(h->p, hash, premaster, "master secret", client_random(h), server_random(h), s->master.p, 48);
    }
    ak_buf_free(&s->premaster);
    if (!ok) return ak_hs_fail(h, AK_ERR_crypto_failed, "the master secret");
    if (!ak_hs_keylog_line(h, "CLIENT_RANDOM", ak_secret_view(&s->master))) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    return AK_OK;
}

/* prf: with the master secret, which stays keyed until the handshake ends. */
static bool prf(ak_hs *h, const char *label, ak_view seed_a, ak_view seed_b, uint8_t *out, size_t n) {
    ak_secrets *s = &h->secrets;
    if (s->master_key.keys[0] == NULL && !ak_prf_key_set(&s->master_key, h->p, ak_keys12_hash(h->info->version, h->info->suite), ak_secret_view(&s->master))) return false;
    return ak_prf_with(&s->master_key, h->p, label, seed_a, seed_b, out, n);
}

/* The lengths in the key block, RFC 5246 §6.3. An explicit IV (TLS 1.1 and later, CBC) takes nothing from it. */
static void lengths(const ak_hs *h, size_t *mac, size_t *key, size_t *iv) {
    const ak_cipher_info *c = ak_cipher(h->info->suite->cipher);
    *mac = c->kind == AK_KIND_aead ? 0 : ak_hash_size(h->info->suite->mac);
    *key = c->key;
    *iv = c->kind == AK_KIND_aead ? c->fixed_iv : c->kind == AK_KIND_cbc && h->info->version <= AK_TLS10 ? c->block : 0;
}

ak_error ak_keys12_expand(ak_hs *h) {
    ak_secrets *s = &h->secrets;
    size_t mac, key, iv;
    lengths(h, &mac, &key, &iv);
    s->key_block_n = 2 * (mac + key + iv);
    if (s->key_block_n > sizeof s->key_block) return ak_hs_fail(h, AK_ERR_internal_error, "a key block of %zu bytes", s->key_block_n);
    if (s->key_block_n == 0) return AK_OK;
    bool ok = h->info->version == AK_SSL30
                  ? ak_ssl3_derive(h->p, ak_secret_view(&s->master), server_random(h), client_random(h), s->key_block, s->key_block_n)
                  : prf(h, "key expansion", server_random(h), client_random(h), s->key_block, s->key_block_n);
    return ok ? AK_OK : ak_hs_fail(h, AK_ERR_crypto_failed, "the key block");
}

size_t ak_verify_data_size(const ak_hs *h) { return h->info->version == AK_SSL30 ? AK_SSL3_HASHES : 12; }

ak_error ak_keys12_verify_data(ak_hs *h, bool server, uint8_t out[AK_VERIFY_DATA_MAX]) {
    uint8_t hash[AK_HASH_MAX];
    size_t n = 0;
    if (h->info->version == AK_SSL30) return ak_ssl3_finished(h, server, out) ? AK_OK : ak_hs_fail(h, AK_ERR_crypto_failed, "verify_data");
    if (!ak_transcript_value(&h->transcript, hash, &n) ||
        !prf(h, server ? "server finished" : "client finished", ak_view_of(hash, n), ak_view_of(NULL, 0), out, 12))
        return ak_hs_fail(h, AK_ERR_crypto_failed, "verify_data");
    return AK_OK;
}

static ak_error install12(ak_hs *h, bool write, ak_failure *f) {
    size_t mac, key, iv;
    lengths(h, &mac, &key, &iv);
    bool servers = h->server == write; /* the keys that the server writes with */
    const uint8_t *p = h->secrets.key_block;
    ak_view mac_key = ak_view_of(p + (servers ? mac : 0), mac);
    ak_view enc_key = ak_view_of(p + 2 * mac + (servers ? key : 0), key);
    ak_view iv_bytes = ak_view_of(p + 2 * (mac + key) + (servers ? iv : 0), iv);
    return ak_protect_set12(write ? h->write : h->read, h->info->suite, h->info->version, h->info->etm, write, mac_key, enc_key, iv_bytes, f);
}

ak_error ak_keys_install(ak_hs *h, bool write, ak_failure *f) {
    if (!ak_hs_is_13(h)) return install12(h, write, f);
    ak_secret *next = write ? &h->secrets.next_write : &h->secrets.next_read;
    ak_error e = ak_protect_set13(write ? h->write : h->read, h->info->suite, write, ak_secret_view(next), f);
    ak_secret_wipe(next);
    return e;
}
