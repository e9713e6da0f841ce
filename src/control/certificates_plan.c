/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who believes whom:
 *
 *   Envoy Gateway: trusts EG_CA, shows EG_CLIENT        a replica: trusts SERVER's ca.crt, shows
 * its tls.crt; the three change as one
 *
 * Each sees a Secret some time after it was written, later than any other sees it, and goes on with
 * what it saw before. So what is shown may be of any time in the last CERTIFICATES_OVERLAP_S, and
 * so may be what is trusted. From that:
 *
 *   1. A CA signs only when it has stood in both bundles for an overlap (`since`, which is written
 *      with the bundle, so that it cannot say what the bundle does not).
 *   2. A CA leaves the bundles only when both leaves have been signed by the newest for an overlap
 *      (by their own times), and so nobody shows what it signed.
 *   3. Of one's own CAs two are kept with their keys, so that a leaf that is lost while a new CA
 *      becomes known is signed by one that everybody knows. A CA whose Secret is lost is trusted
 *      on: its certificate stands in the bundles.
 *   4. What is broken, ended or of the future counts as not there.
 *
 *   STEADY ──newest is due, or lost──> SPREADING ──rule 1──> MOVING ──rule 2──> STEADY
 *
 * Nobody remembers a stage: it is read off the Secrets each time. A step that was taken by half, by
 * a process that died, is looked at as any other state.
 */
#include "control/certificates_plan.h"

#include "proto/certificate.h"

#include <stdlib.h>

enum {
        LEAVES = 2,
        BUNDLES = 2,
        BUNDLE_TEXT_MAX = 128 << 10,
        /* A leaf that ends before this is renewed by whoever can sign, trusted yet or not. */
        LAST_MINUTE_S = 3600,
};

/* A CA that can sign. */
typedef struct Ca {
        const Certificate *certificate; /* NULL: none */
        Str pem;
        const Secret *key;
} Ca;

/* Where CAs are trusted. */
typedef struct Bundle {
        CertSecretRole role;
        Certificates seen;
        bool has_all; /* exactly those that are wished stand there */
        Wall since;   /* the newest is in it; 0: it is not */
} Bundle;

/* Where a leaf is shown. */
typedef struct LeafState {
        CertSecretRole role;
        const Certificate *certificate; /* NULL: none that is good for anything */
        bool by_newest;
        Wall made, due;
} LeafState;

typedef struct Planner {
        const CertificatesInput *in;
        CertificatesPlan *p;
        Ca newest, old, signer;
        Bundle bundles[BUNDLES];
        LeafState leaves[LEAVES];
        bool is_known; /* the newest stood in both bundles for an overlap */
        const Certificate *trusted[2 + CERTIFICATES_OTHERS_MAX]; /* newest, old, others */
        size_t n_trusted;
} Planner;

const char *certificates_stage_name(CertificatesStage stage)
{
        static const char *const names[CERTIFICATES_STAGES] = {"Steady", "Spreading", "Moving"};

        return names[stage];
}

/* ---- times */

static Wall after(Wall t, int64_t seconds)
{
        return (Wall){t.ms + seconds * 1000};
}

static bool is_past(const Planner *q, Wall t)
{
        return q->in->now.ms >= t.ms;
}

/* True where it is past; else the plan is to be made again then. */
static bool has_come(Planner *q, Wall t)
{
        if (is_past(q, t))
                return true;
        if (q->p->again.ms == 0 || t.ms < q->p->again.ms)
                q->p->again = t;
        return false;
}

static Wall made_at(const Certificate *c)
{
        return after(c->not_before, CERTIFICATES_BACKDATE_S);
}

/* At two thirds of its life. */
static Wall due_at(const Certificate *c)
{
        Wall made = made_at(c);

        return (Wall){made.ms + (c->not_after.ms - made.ms) / 3 * 2};
}

static bool is_in_force(Planner *q, const Certificate *c)
{
        return is_past(q, c->not_before) && !has_come(q, c->not_after);
}

/* ---- what stands there */

static const CertSecret *seen(const Planner *q, CertSecretRole role)
{
        return q->in->seen[role];
}

static Certificates read_all(Planner *q, Str pem)
{
        Certificates l = {0};

        IGNORE(pem.n > 0 && certificates_read(pem, &q->p->arena, &l, NULL),
               "what cannot be read is not there");
        return l;
}

static Ca read_ca(Planner *q, Str pem, const Secret *key)
{
        Certificates l = read_all(q, pem);
        bool is_good = l.n > 0 && l.at[0].is_ca && is_in_force(q, &l.at[0]) &&
                       certificate_has_key(&l.at[0], key);

        return is_good ? (Ca){&l.at[0], pem, key} : (Ca){0};
}

static void read_bundle(Planner *q, Bundle *b, CertSecretRole role)
{
        const CertSecret *s = seen(q, role);

        b->role = role;
        if (s == NULL)
                return;
        b->seen = read_all(q, role == CERT_SECRET_EG_CA ? s->certificate : s->ca);
        if (q->newest.certificate != NULL && is_past(q, s->since) &&
            certificates_find(&b->seen, &q->newest.certificate->id) != NULL)
                b->since = s->since;
}

static bool is_by_any(const Planner *q, const Certificate *c)
{
        for (size_t i = 0; i < BUNDLES; i++)
                for (size_t k = 0; k < q->bundles[i].seen.n; k++)
                        if (certificate_is_by(c, &q->bundles[i].seen.at[k]))
                                return true;
        return false;
}

/* Good for anything: it can be shown now, and somebody believes it. */
static void read_leaf(Planner *q, LeafState *l, CertSecretRole role)
{
        const CertSecret *s = seen(q, role);
        bool is_server = role == CERT_SECRET_SERVER;

        l->role = role;
        Certificates all = s != NULL ? read_all(q, s->certificate) : (Certificates){0};
        if (all.n == 0)
                return;
        const Certificate *c = &all.at[0];
        if (c->is_ca || !(is_server ? c->for_server : c->for_client) || !is_in_force(q, c) ||
            !certificate_has_key(c, s->private_key))
                return;
        l->by_newest = q->newest.certificate != NULL && certificate_is_by(c, q->newest.certificate);
        if (!l->by_newest && !is_by_any(q, c))
                return;
        l->certificate = c;
        l->made = made_at(c);
        l->due = due_at(c);
}

static void look(Planner *q)
{
        const CertSecret *ca = seen(q, CERT_SECRET_CA);

        if (ca != NULL) {
                q->newest = read_ca(q, ca->certificate, ca->private_key);
                q->old = read_ca(q, ca->old_certificate, ca->old_private_key);
        }
        read_bundle(q, &q->bundles[0], CERT_SECRET_EG_CA);
        read_bundle(q, &q->bundles[1], CERT_SECRET_SERVER);
        read_leaf(q, &q->leaves[0], CERT_SECRET_SERVER);
        read_leaf(q, &q->leaves[1], CERT_SECRET_EG_CLIENT);
        q->is_known = true;
        for (size_t i = 0; i < BUNDLES; i++)
                q->is_known = q->bundles[i].since.ms != 0 &&
                              has_come(q, after(q->bundles[i].since, CERTIFICATES_OVERLAP_S)) &&
                              q->is_known;
}

/* ---- what is wished */

/* Rule 2. */
static bool is_settled(Planner *q)
{
        bool is_settled = q->newest.certificate != NULL;

        for (size_t i = 0; i < LEAVES; i++) {
                const LeafState *l = &q->leaves[i];
                is_settled = l->certificate != NULL && l->by_newest &&
                             has_come(q, after(l->made, CERTIFICATES_OVERLAP_S)) && is_settled;
        }
        return is_settled;
}

static bool is_trusted(const Planner *q, const Certificate *c)
{
        for (size_t i = 0; i < q->n_trusted; i++)
                if (digest_eq(&q->trusted[i]->id, &c->id))
                        return true;
        return false;
}

/* Has it signed what is shown? */
static bool has_signed(const Planner *q, const Certificate *c)
{
        for (size_t i = 0; i < LEAVES; i++)
                if (q->leaves[i].certificate != NULL &&
                    certificate_is_by(q->leaves[i].certificate, c))
                        return true;
        return false;
}

/* Others in the bundles, `signed_only` or all; the ones that follow when there is no more room are
 * left out. */
static void trust_others(Planner *q, bool signed_only)
{
        for (size_t i = 0; i < BUNDLES; i++) {
                const Certificates *l = &q->bundles[i].seen;
                for (size_t k = 0; k < l->n && q->n_trusted < LENGTH_OF(q->trusted); k++) {
                        const Certificate *c = &l->at[k];
                        if (c->is_ca && is_in_force(q, c) && !is_trusted(q, c) &&
                            (!signed_only || has_signed(q, c)))
                                q->trusted[q->n_trusted++] = c;
                }
        }
}

static int compare_ids(const void *a, const void *b)
{
        const Certificate *const *x = a, *const *y = b;

        return memcmp((*x)->id.b, (*y)->id.b, DIGEST_BYTES);
}

static void choose_trusted(Planner *q, bool is_settled)
{
        q->trusted[q->n_trusted++] = q->newest.certificate;
        if (is_settled)
                return;
        if (q->old.certificate != NULL)
                q->trusted[q->n_trusted++] = q->old.certificate;
        size_t own = q->n_trusted;
        trust_others(q, true);
        trust_others(q, false);
        qsort(q->trusted + own, q->n_trusted - own, sizeof(q->trusted[0]), compare_ids);
}

static void compare_bundle(const Planner *q, Bundle *b)
{
        b->has_all = b->seen.n == q->n_trusted;
        for (size_t i = 0; i < q->n_trusted && b->has_all; i++)
                b->has_all = certificates_find(&b->seen, &q->trusted[i]->id) != NULL;
}

static Str bundle_text(Planner *q)
{
        Buf b CLEANUP(buf_done);

        buf_init(&b, BUNDLE_TEXT_MAX);
        for (size_t i = 0; i < q->n_trusted; i++)
                certificate_add_pem(q->trusted[i], &b);
        return arena_str(&q->p->arena, buf_str(&b));
}

/* ---- writing */

static CertificatesWrite *add(Planner *q, CertSecretRole role, const char *why)
{
        CertificatesWrite *w = &q->p->writes[q->p->n++];

        *w = (CertificatesWrite){.role = role, .seen = seen(q, role), .why = why};
        return w;
}

static void life(const Planner *q, CertificatesWrite *w, CertificatesMake make, int64_t days)
{
        w->make = make;
        w->not_before = after(q->in->now, -CERTIFICATES_BACKDATE_S);
        w->not_after = after(q->in->now, days * CERTIFICATES_DAY_S);
}

static void keep_old(CertificatesWrite *w, const Ca *ca)
{
        if (ca->certificate == NULL)
                return;
        w->old_certificate = ca->pem;
        w->old_private_key = ca->key;
}

static void plan_ca(Planner *q, bool is_settled)
{
        const CertSecret *s = seen(q, CERT_SECRET_CA);
        bool is_due = q->newest.certificate != NULL && q->old.certificate == NULL &&
                      has_come(q, due_at(q->newest.certificate));
        bool has_old = s != NULL && (s->old_certificate.n > 0 || s->old_private_key != NULL);
        CertificatesWrite *w;

        if (q->newest.certificate == NULL) {
                w = add(q, CERT_SECRET_CA, "there is no CA that can sign");
                life(q, w, CERTIFICATES_MAKE_CA, CERTIFICATES_CA_DAYS);
                keep_old(w, &q->old);
        } else if (is_due) {
                w = add(q, CERT_SECRET_CA, "two thirds of the CA's life are over");
                life(q, w, CERTIFICATES_MAKE_CA, CERTIFICATES_CA_DAYS);
                keep_old(w, &q->newest);
        } else if (has_old && (is_settled || q->old.certificate == NULL)) {
                w = add(q, CERT_SECRET_CA, "nobody shows what the CA before has signed");
                w->certificate = s->certificate;
                w->private_key = s->private_key;
        }
}

/* Why a leaf is to be made, or NULL. */
static const char *why_leaf(Planner *q, const LeafState *l)
{
        const Certificate *c = l->certificate;

        if (c == NULL)
                return "there is no certificate that can be shown";
        if (l->role == CERT_SECRET_SERVER && !certificate_has_names(c, q->in->server_names))
                return "the names of the extension server are others";
        if (q->is_known && !l->by_newest)
                return "a newer CA is known to all";
        if (!has_come(q, l->due))
                return NULL;
        /* Rule 1, where the one before is lost: what stands is good for some time yet. */
        bool can_be_believed =
                q->is_known || l->by_newest || q->signer.certificate == q->old.certificate;
        if (!can_be_believed && !has_come(q, after(c->not_after, -LAST_MINUTE_S)))
                return NULL;
        return "two thirds of the certificate's life are over";
}

static void put_leaf(Planner *q, CertificatesWrite *w, const char *why)
{
        if (why == NULL) {
                INSIST(w->seen != NULL);
                w->certificate = w->seen->certificate;
                w->private_key = w->seen->private_key;
                return;
        }
        w->why = why;
        life(q, w, CERTIFICATES_MAKE_LEAF, CERTIFICATES_LEAF_DAYS);
        /* It would be refused from then on anyway. */
        if (w->not_after.ms > q->signer.certificate->not_after.ms)
                w->not_after = q->signer.certificate->not_after;
}

/* Whose other half is as it stands, where one is to be written. */
static void put_bundle(Planner *q, const Bundle *b, CertificatesWrite *w)
{
        Str text = bundle_text(q);

        w->since = b->since.ms != 0 ? b->since : q->in->now;
        if (b->role == CERT_SECRET_EG_CA)
                w->certificate = text;
        else
                w->ca = text;
}

static bool is_ours(const Planner *q, CertSecretRole role)
{
        return seen(q, role) == NULL || seen(q, role)->ours;
}

static void plan_trusting(Planner *q)
{
        static const char bundle_why[] = "other CAs are to be trusted";
        const Bundle *eg = &q->bundles[0], *server = &q->bundles[1];
        const char *why;

        if (is_ours(q, CERT_SECRET_EG_CA) && (!eg->has_all || eg->since.ms == 0))
                put_bundle(q, eg, add(q, CERT_SECRET_EG_CA, bundle_why));
        why = why_leaf(q, &q->leaves[0]);
        if (is_ours(q, CERT_SECRET_SERVER) &&
            (why != NULL || !server->has_all || server->since.ms == 0)) {
                CertificatesWrite *w = add(q, CERT_SECRET_SERVER, bundle_why);
                put_leaf(q, w, why);
                put_bundle(q, server, w);
        }
        why = why_leaf(q, &q->leaves[1]);
        if (is_ours(q, CERT_SECRET_EG_CLIENT) && why != NULL)
                put_leaf(q, add(q, CERT_SECRET_EG_CLIENT, why), why);
}

/* ---- */

static void tell_foreign(const Planner *q)
{
        for (CertSecretRole role = CERT_SECRETS; role-- > 0;)
                if (!is_ours(q, role))
                        err_set(&q->p->fault, ERR_CONFLICT, "ForeignSecret",
                                "Secret %.*s in namespace %.*s is not ours: delete it, or give it "
                                "the label app.kubernetes.io/managed-by: tailscale-gateway",
                                STR_FMT(seen(q, role)->key.name),
                                STR_FMT(seen(q, role)->key.namespace));
}

static void tell(Planner *q, bool is_settled)
{
        CertificatesPlan *p = q->p;
        const Certificate *server = q->leaves[0].certificate, *client = q->leaves[1].certificate;

        p->ca_ends = q->newest.certificate->not_after;
        p->server_ends = server != NULL ? server->not_after : (Wall){0};
        p->client_ends = client != NULL ? client->not_after : (Wall){0};
        p->signer = q->signer.pem;
        p->signer_key = q->signer.key;
        p->signer_not_after = q->signer.certificate->not_after;
        bool has_others = q->n_trusted > 1;
        p->stage = !has_others || is_settled ? CERTIFICATES_STEADY
                   : q->is_known             ? CERTIFICATES_MOVING
                                             : CERTIFICATES_SPREADING;
}

void certificates_plan(const CertificatesInput *in, CertificatesPlan *ret)
{
        Planner q = {.in = in, .p = ret};

        INSIST(in->server_names.n > 0);
        *ret = (CertificatesPlan){0};
        arena_init(&ret->arena, 0);
        tell_foreign(&q);
        /* Without the CA nothing can be said of the others. */
        if (!is_ours(&q, CERT_SECRET_CA))
                return;
        look(&q);
        bool settled = is_settled(&q);
        plan_ca(&q, settled);
        if (q.newest.certificate == NULL)
                return;
        q.signer = q.is_known || q.old.certificate == NULL ? q.newest : q.old;
        choose_trusted(&q, settled);
        for (size_t i = 0; i < BUNDLES; i++)
                compare_bundle(&q, &q.bundles[i]);
        plan_trusting(&q);
        tell(&q, settled);
}

void certificates_plan_done(CertificatesPlan *p)
{
        arena_done(&p->arena);
        *p = (CertificatesPlan){0};
}
