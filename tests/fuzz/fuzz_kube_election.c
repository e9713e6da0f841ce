/* SPDX-License-Identifier: Apache-2.0 */
/* A Lease as an API server, or somebody on the way, may send it: what is written back is JSON that
 * names us; nothing that was only read is held. */

#include <stddef.h>
#include <stdint.h>

#include "kube/kube_election.h"
#include "proto/json.h"

enum {
        BODY_MAX = 8 * KUBE_LEASE_BYTES_MAX
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(const Buf *body, const char *holder)
{
        Arena arena;
        const Tree *doc;

        INSIST(!body->failed);
        arena_init(&arena, 0);
        doc = json_read(&arena, buf_str(body), NULL, NULL);
        INSIST(doc != NULL);
        INSIST(str_eq(tree_get_str(tree_get(doc, STR("spec")), STR("holderIdentity")),
                      str_of(holder)));
        arena_done(&arena);
}

/* Asks when it is due, and answers with the input. */
static void step(KubeElection *e, Mono *now, Str answer, const char *holder)
{
        KubeElectionAnswer a = {.status = 200, .body = answer};
        KubeElectionVerb verb;
        Buf body;

        if (mono_before(*now, e->next))
                *now = e->next;
        buf_init(&body, BODY_MAX);
        verb = kube_election_next(e, *now, (Wall){INT64_C(1795381081000)}, &body);
        if (verb == KUBE_ELECTION_UPDATE || verb == KUBE_ELECTION_CREATE)
                check_body(&body, holder);
        if (verb != KUBE_ELECTION_OVER)
                IGNORE(kube_election_answer(e, *now, &a, NULL), "whatever it says");
        INSIST(verb != KUBE_ELECTION_READ || !kube_election_is_held(e, *now));
        buf_done(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        KubeElection e;
        Mono now = {SPAN_S(1000).ns};

        kube_election_init(&e, &(KubeElectionInput){"ns", "name", "us", 7});
        for (int i = 0; i < 12; i++)
                step(&e, &now, str_make(data, size), "us");
        kube_election_release(&e, now);
        for (int i = 0; i < 3; i++)
                step(&e, &now, str_make(data, size), "");
        kube_election_done(&e);
        return 0;
}
