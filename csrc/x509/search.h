/* search.h: one verification under way: verify.c looks for paths, checks.c judges them. */
#ifndef AK_X509_SEARCH_H
#define AK_X509_SEARCH_H

#include "x509/internal.h"

#define AK_MEMO 128 /* signature checks remembered */
#define AK_OCSP_MEMO 4
#define AK_CONSTRAINT_WORK (1u << 20) /* comparisons of a name with a constraint: as much as OpenSSL and BoringSSL put up with */

typedef struct ak_search {
    ak_provider *p;
    const ak_trust *t;
    const ak_verify_params *v;
    ak_report *r;
    unsigned max_depth, max_signatures, max_paths, paths;
    unsigned burden;              /* what slow keys cost, as so many signature checks more */
    unsigned names_work;          /* what comparing names with constraints may still cost, on all paths together */
    bool over;                    /* a budget was used up: stop */

    ak_cert *pool[AK_CHAIN_MAX + AK_EXTRA_MAX]; /* what may stand between; borrowed */
    size_t n_pool;
    ak_cert *path[AK_PATH_MAX];   /* the path being built; borrowed */

    struct {
        const ak_cert *cert, *issuer;
        ak_error error;
    } memo[AK_MEMO];
    size_t n_memo;
    struct { /* what the stapled response says, by the issuer's key: paths differ above it */
        const ak_cert *issuer;
        ak_error error;
        ak_ocsp_answer answer;
        ak_failure why;
    } ocsp[AK_OCSP_MEMO];
    size_t n_ocsp;

    ak_cert *best[AK_PATH_MAX];   /* of the paths that are not good, the least bad */
    size_t n_best;
    bool best_anchored;
    ak_revocation best_revocation;
    const char *best_revocation_by;
    ak_findings best_reasons, warnings;
} ak_search;

/* ak_check_signature: of cert by issuer's key, each pair of certificate and key once. AK_ERR_verify_budget sets s->over. */
ak_error ak_check_signature(ak_search *s, ak_cert *cert, ak_cert *issuer);
/* ak_check_leaf: what holds of the end entity on any path. */
void ak_check_leaf(ak_search *s, ak_cert *leaf, ak_findings *f);
/* ak_check_issuer: whether path[at], which may be an anchor, may issue path[at - 1]; not the signature. */
void ak_check_issuer(ak_search *s, size_t at, bool anchor, ak_findings *f);
/* ak_check_path: what can be said of a path as a whole: names, policies, profile; and revocation when it is vouched for, that is anchored with good signatures all
 * the way: of others nobody's word counts, and whoever made them up shall not choose what there is to look up. */
void ak_check_path(ak_search *s, size_t n, bool anchored, bool vouched, ak_findings *f, ak_findings *warnings);
/* ak_check_warnings: what is worth knowing of a path that was chosen. */
void ak_check_warnings(ak_search *s, size_t n, bool anchored, ak_findings *warnings);
/* ak_explain_signature, ak_explain_end: the words for a wrong signature of path[at] by path[at + 1], and for a path that ends without an anchor. */
void ak_explain_signature(ak_search *s, size_t at, ak_error e, ak_findings *f);
void ak_explain_end(ak_search *s, size_t n, ak_findings *f);

#endif
