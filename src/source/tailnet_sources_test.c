/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tailnets with several sources, and several tailnets side by side, on a clock that stands still
 * unless a test moves it. The sources are played: no socket, no file.
 */
#include "source/tailnet_poll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/testing.h"
#include "source/pace.h"
#include "tailnet/tailnet_kind.h"

enum {
        INTERVAL_S = 30,
        TAILNETS = 3,
        IDS_MAX = 16,
        TEXT = 512,
};

/* One source of one tailnet: what it says, and how often it was asked. */
typedef struct Played {
        const char *ids;   /* of the devices: "1 2"; '+' and '-' behind one: online, offline */
        const char *name;  /* of all of them; NULL: each has its id */
        const char *fails; /* reason of the failure; NULL: it answers */
        const char *suffix, *self_node, *scopes, *warning, *service;
        int64_t retry_after_s;
        bool hangs;
        unsigned opened, asked;
        Mono last_asked;
        int64_t closest_ms; /* two polls, 0: there were no two */
        TailnetSource *source;
} Played;

typedef struct PlayedSource {
        TailnetSource source;
        Played *play;
        Post answer;
} PlayedSource;

/* Index by name ("0" and so on) and role: a source is opened with nothing else of the test's. */
static Played plays[TAILNETS][SOURCE_ROLES];

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        Facts facts;
        TailnetPoll *polls[TAILNETS];
        unsigned told[TAILNETS];
        char text[TEXT];
} Fixture;

/* ---- the sources ---- */

static Table *devices_of(const char *ids, const char *name, const Table *before)
{
        const void *at[IDS_MAX];
        size_t n = 0;
        for (const char *p = ids; *p != '\0'; p++) {
                char id[2] = {*p, '\0'};
                if (*p == ' ' || *p == '+' || *p == '-')
                        continue;
                at[n++] = device_new(&(Device){.node_id = str_of(id),
                                               .name = str_of(name != NULL ? name : id),
                                               .short_name = str_of(name != NULL ? name : id),
                                               .ip4 = STR("100.64.0.1"),
                                               .authorized = true,
                                               .online = p[1] == '+'   ? DEVICE_ONLINE
                                                         : p[1] == '-' ? DEVICE_OFFLINE
                                                                       : DEVICE_ONLINE_UNKNOWN});
        }
        return table_update(before, at, n, device_order, device_same);
}

static void set_text(char *to, size_t room, const char *from)
{
        IGNORE(snprintf(to, room, "%s", from != NULL ? from : ""), "it fits");
}

static void on_played(Post *post)
{
        PlayedSource *s = CONTAINER_OF(post, PlayedSource, answer);
        const Played *p = s->play;
        TailnetAnswer a = {.via = "played", .retry_after = SPAN_S(p->retry_after_s)};
        if (p->fails != NULL) {
                err_set(&a.err, ERR_TRANSIENT, p->fails, "it %s", p->fails);
                tailnet_kind_deliver(&s->source, &a);
                return;
        }
        a.devices = devices_of(p->ids, p->name, s->source.in.devices);
        if (p->service != NULL) {
                const void *leaf = tailnet_service_new(
                        &(TailnetService){.name = str_of(p->service), .label = STR("l")});
                a.services = table_new(&leaf, 1, tailnet_service_order);
        }
        set_text(a.suffix, sizeof a.suffix, p->suffix);
        set_text(a.self_node, sizeof a.self_node, p->self_node);
        set_text(a.scopes, sizeof a.scopes, p->scopes);
        set_text(a.warning, sizeof a.warning, p->warning);
        tailnet_kind_deliver(&s->source, &a);
}

static void play(TailnetSource *source)
{
        PlayedSource *s = CONTAINER_OF(source, PlayedSource, source);
        Played *p = s->play;
        Mono now = loop_now(source->in.loop);
        int64_t apart = mono_since(now, p->last_asked).ns / 1000000;
        if (p->asked > 0 && (p->closest_ms == 0 || apart < p->closest_ms))
                p->closest_ms = apart;
        p->last_asked = now;
        p->asked++;
        if (!p->hangs)
                post_send(&s->answer);
}

static void free_played(TailnetSource *source)
{
        PlayedSource *s = CONTAINER_OF(source, PlayedSource, source);
        post_cancel(&s->answer);
        s->play->source = NULL;
        tailnet_kind_done(source);
        mem_free(s);
}

static TailnetSource *open_played(const TailnetSourceInput *in, SourceRole role)
{
        static const TailnetKind kind = {play, free_played};
        PlayedSource *s = mem_new(sizeof *s);
        tailnet_kind_init(&s->source, &kind, in);
        s->play = &plays[in->spec->meta.key.name.p[0] - '0'][role];
        s->play->opened++;
        s->play->source = &s->source;
        post_init(&s->answer, in->loop, on_played);
        return &s->source;
}

static TailnetSource *open_primary(const TailnetSourceInput *in, Err *err)
{
        (void)err;
        return open_played(in, SOURCE_PRIMARY);
}

static TailnetSource *open_local(const TailnetSourceInput *in, Err *err)
{
        (void)err;
        return open_played(in, SOURCE_LOCAL);
}

/* The bus of a tailscaled says that something is new. */
static void bus_says(Played *p)
{
        assert_non_null(p->source);
        p->source->in.changed(p->source);
}

/* ---- the tailnets ---- */

static TailnetSpec *spec_of(unsigned i, bool primary, bool local)
{
        char name[2] = {(char)('0' + i), '\0'};
        TailnetSpec *s = leaf_new(sizeof *s, 64, NULL);
        s->meta.key = (ObjectKey){STR("team"), leaf_str(&s->leaf, str_of(name))};
        s->api_url = STR("https://api.example");
        s->poll_interval = SPAN_S(INTERVAL_S);
        s->secret_name = primary ? STR("key") : (Str){0};
        s->local_socket = local ? STR("/run/tailscaled.sock") : (Str){0};
        return s;
}

static SecretSpec *secret_of(const char *key)
{
        SecretSpec *s = leaf_new(sizeof *s, 64, secret_spec_drop);
        s->api_key = secret_new(str_of(key));
        return s;
}

static void on_told(TailnetPoll *p)
{
        Fixture *f = tailnet_poll_owner(p);
        f->told[tailnet_poll_spec(p)->meta.key.name.p[0] - '0']++;
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        facts_init(&f->facts);
        memset(plays, 0, sizeof plays);
        for (unsigned i = 0; i < TAILNETS; i++)
                plays[i][SOURCE_PRIMARY].ids = plays[i][SOURCE_LOCAL].ids = "";
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        for (unsigned i = 0; i < TAILNETS; i++)
                tailnet_poll_close(f->polls[i]);
        assert_int_equal(f->facts.n_tailnets, 0);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        facts_done(&f->facts);
        mem_free(f);
        return 0;
}

static void pass_ms(Fixture *f, int64_t ms)
{
        test_clock_advance(&f->time, SPAN_MS(ms));
        for (int i = 0; i < 4; i++)
                loop_turn(f->loop, SPAN_MS(0));
}

/* In steps, so that what comes due in between comes in its order. */
static void pass_s(Fixture *f, int64_t seconds)
{
        for (int64_t i = 0; i < seconds * 10; i++)
                pass_ms(f, 100);
}

static void open_tailnet(Fixture *f, unsigned i, bool primary, bool local)
{
        TailnetSpec *spec = spec_of(i, primary, local);
        SecretSpec *secret = secret_of("key");
        f->polls[i] = tailnet_poll_open(&(TailnetPollInput){.loop = f->loop,
                                                            .facts = &f->facts,
                                                            .seed = 7 + i,
                                                            .open = open_primary,
                                                            .open_local = open_local,
                                                            .fn = on_told,
                                                            .owner = f},
                                        spec, secret);
        leaf_unref(spec);
        leaf_unref(secret);
        pass_ms(f, 1);
}

static void update_tailnet(Fixture *f, TailnetSpec *spec, SecretSpec *secret)
{
        tailnet_poll_update(f->polls[0], spec, secret);
        leaf_unref(spec);
        leaf_unref(secret);
        pass_ms(f, 1);
}

static const TailnetState *known(const Fixture *f)
{
        return tailnet_poll_state(f->polls[0]);
}

static const SourceFact *fact(const Fixture *f, unsigned i, SourceRole role)
{
        ObjectKey key = tailnet_poll_spec(f->polls[i])->meta.key;
        return &facts_find_tailnet(&f->facts, key)->sources[role];
}

/* "1+v 2-h 3": ids, online or offline, visible or hidden. */
static const char *devices(Fixture *f)
{
        static const char online[][2] = {"", "+", "-"}, sight[][2] = {"", "v", "h"};
        size_t n = 0;
        f->text[0] = '\0';
        TABLE_FOREACH (Device, d, known(f)->devices)
                n += (size_t)snprintf(f->text + n, TEXT - n, "%s%.*s%s%s", n > 0 ? " " : "",
                                      STR_FMT(d->node_id), online[d->online], sight[d->sight]);
        return f->text;
}

static Played *const primary = &plays[0][SOURCE_PRIMARY], *const local = &plays[0][SOURCE_LOCAL];

/* ---- what two of them say together ---- */

static void a_tailscaled_alone_is_all_there_is(void **state)
{
        Fixture *f = *state;
        local->ids = "1+ 2-";
        local->self_node = "1";
        local->suffix = "corp.ts.net";
        open_tailnet(f, 0, false, true);
        assert_int_equal(primary->opened, 0);
        assert_string_equal(devices(f), "1+ 2-");
        assert_int_equal(known(f)->sync, SYNC_DONE);
        assert_false(known(f)->partial);
        assert_int_equal(known(f)->poll, 1);
        assert_true(str_eq(known(f)->self_node, STR("1")));
        assert_true(str_eq(known(f)->suffix, STR("corp.ts.net")));
        assert_null(fact(f, 0, SOURCE_PRIMARY)->name);
        assert_string_equal(fact(f, 0, SOURCE_LOCAL)->name, "local");
        assert_string_equal(fact(f, 0, SOURCE_LOCAL)->via, "played");
        assert_ptr_equal(tailnet_fact_presence(
                                 facts_find_tailnet(&f->facts, (ObjectKey){STR("team"), STR("0")})),
                         fact(f, 0, SOURCE_LOCAL));
        /* It goes away: what was last good stays. */
        local->fails = "Gone";
        pass_s(f, 40);
        assert_string_equal(devices(f), "1+ 2-");
        assert_int_equal(known(f)->sync, SYNC_STALE);
        assert_true(str_eq(known(f)->error_reason, STR("Gone")));
}

static void presence_is_the_primarys_and_sight_the_tailscaleds(void **state)
{
        Fixture *f = *state;
        primary->ids = "1 2+ 3";
        local->ids = "1- 3 4+";
        open_tailnet(f, 0, true, true);
        assert_string_equal(devices(f), "1-v 2+h 3v");
        /* Nobody can say any more what is seen. */
        local->fails = "Gone";
        pass_s(f, 40);
        assert_string_equal(devices(f), "1 2+ 3");
        assert_int_equal(known(f)->sync, SYNC_DONE);
        assert_int_equal(known(f)->error_reason.n, 0);
        assert_string_equal(fact(f, 0, SOURCE_LOCAL)->reason, "Gone");
        assert_string_equal(fact(f, 0, SOURCE_PRIMARY)->reason, "");
        local->fails = NULL;
        pass_s(f, 40);
        assert_string_equal(devices(f), "1-v 2+h 3v");
}

static void nothing_is_lost_while_the_primary_fails(void **state)
{
        Fixture *f = *state;
        primary->ids = "1 2+ 3";
        local->ids = "1- 3 4+";
        open_tailnet(f, 0, true, true);
        uint64_t poll = known(f)->poll;
        primary->fails = "Down";
        pass_s(f, 40);
        assert_string_equal(devices(f), "1-v 2+h 3v 4+v");
        assert_true(known(f)->partial);
        assert_int_equal(known(f)->sync, SYNC_STALE);
        /* The netmap goes on, and counts for nothing. */
        local->ids = "4+ 5+";
        pass_s(f, 300);
        assert_string_equal(devices(f), "1h 2+h 3h 4+v 5+v");
        assert_int_equal(known(f)->poll, poll);
        primary->fails = NULL;
        primary->ids = "3 4";
        pass_s(f, 600);
        assert_string_equal(devices(f), "3h 4+v");
        assert_false(known(f)->partial);
        assert_true(known(f)->poll > poll);
}

static void a_primary_that_never_answered_is_not_empty(void **state)
{
        Fixture *f = *state;
        primary->hangs = true;
        local->ids = "1+";
        open_tailnet(f, 0, true, true);
        assert_string_equal(devices(f), "1+v");
        assert_true(known(f)->partial);
        assert_int_equal(known(f)->poll, 0);
        assert_int_equal(known(f)->last_sync.ms, 0);
}

static void what_only_one_of_them_knows_is_told(void **state)
{
        Fixture *f = *state;
        primary->ids = local->ids = "1";
        primary->scopes = "devices:core:read";
        primary->warning = "no services:read";
        primary->service = "svc:web";
        local->warning = "no prefs";
        local->self_node = "9";
        local->suffix = "corp.ts.net";
        local->service = "svc:other";
        open_tailnet(f, 0, true, true);
        assert_true(str_eq(known(f)->scopes, STR("devices:core:read")));
        assert_true(str_eq(known(f)->warning, STR("no services:read; no prefs")));
        assert_true(str_eq(known(f)->self_node, STR("9")));
        assert_true(str_eq(known(f)->suffix, STR("corp.ts.net")));
        assert_non_null(table_find(known(f)->services, &STR("svc:web"), tailnet_service_find));
        assert_false(known(f)->services_partial);
        /* An answer that does not tell of Services takes none away; another server's does. */
        primary->service = NULL;
        local->service = NULL;
        pass_s(f, 40);
        assert_int_equal(table_n(known(f)->services), 1);
        TailnetSpec *other = spec_of(0, true, false);
        other->api_url = STR("https://other.example");
        update_tailnet(f, other, secret_of("key"));
        assert_null(known(f)->services);
}

/* A netmap has the Services that the policy lets one node reach: what it lacks is not gone. */
static void services_of_a_netmap_are_not_all(void **state)
{
        Fixture *f = *state;
        primary->ids = local->ids = "1";
        local->service = "svc:other";
        open_tailnet(f, 0, true, true);
        assert_int_equal(table_n(known(f)->services), 1);
        assert_false(known(f)->partial);
        assert_true(known(f)->services_partial);
        primary->service = "svc:web";
        pass_s(f, 40);
        assert_non_null(table_find(known(f)->services, &STR("svc:web"), tailnet_service_find));
        assert_false(known(f)->services_partial);
        /* Of a tailscaled that is the only source they are. */
        update_tailnet(f, spec_of(0, false, true), NULL);
        pass_s(f, 40);
        assert_non_null(table_find(known(f)->services, &STR("svc:other"), tailnet_service_find));
        assert_false(known(f)->services_partial);
}

/* Sockets that were mixed up: its devices are not ours, whatever their names. */
static void a_tailscaled_of_another_tailnet_is_not_listened_to(void **state)
{
        Fixture *f = *state;
        primary->ids = "1+ 2+";
        local->ids = "7+ 8+";
        local->self_node = "9";
        local->suffix = "other.ts.net";
        local->service = "svc:other";
        open_tailnet(f, 0, true, true);
        assert_string_equal(devices(f), "1+ 2+");
        assert_int_equal(known(f)->suffix.n, 0);
        assert_null(known(f)->services);
        assert_true(str_find_str(known(f)->warning, STR("another tailnet?")) >= 0);
        primary->fails = "Slow";
        pass_s(f, 40);
        assert_string_equal(devices(f), "1+ 2+");
        /* It is ours after all. */
        primary->fails = NULL;
        local->self_node = "2";
        local->ids = "1+";
        pass_s(f, 400);
        assert_string_equal(devices(f), "1+v 2+h");
        assert_int_equal(known(f)->warning.n, 0);
}

/* Two Headscales count alike, so their nodes have the same ids, and other names. */
static void the_same_numbers_are_not_the_same_machines(void **state)
{
        Fixture *f = *state;
        primary->ids = "1 2 3";
        local->ids = "2 3 4";
        local->name = "x";
        local->self_node = "1";
        open_tailnet(f, 0, true, true);
        assert_string_equal(devices(f), "1 2 3");
        assert_true(known(f)->warning.n > 0);
        primary->fails = "Down";
        pass_s(f, 40);
        assert_string_equal(devices(f), "1 2 3");
}

/* ---- when each is asked ---- */

static void each_has_its_own_clock(void **state)
{
        Fixture *f = *state;
        primary->fails = "Slow";
        primary->retry_after_s = 300;
        local->ids = "1";
        open_tailnet(f, 0, true, true);
        pass_s(f, 299);
        assert_int_equal(primary->asked, 1);
        assert_in_range(local->asked, 8, 12);
        assert_int_equal(fact(f, 0, SOURCE_LOCAL)->failures, 0);
        assert_int_equal(fact(f, 0, SOURCE_PRIMARY)->failures, 1);
}

static void a_tailscaled_is_asked_when_its_bus_says_so(void **state)
{
        Fixture *f = *state;
        local->ids = "1";
        open_tailnet(f, 0, false, true);
        pass_s(f, 5);
        local->ids = "1 2";
        bus_says(local);
        pass_ms(f, 1);
        assert_string_equal(devices(f), "1 2");
        assert_int_equal(f->told[0], 2);
        /* A thousand in 100 seconds: 200 ms apart, and no hour's budget. */
        for (int i = 0; i < 1000; i++) {
                bus_says(local);
                pass_ms(f, 100);
        }
        assert_in_range(local->asked, 490, 510);
        assert_int_equal(local->closest_ms, 200);
        assert_int_equal(fact(f, 0, SOURCE_LOCAL)->triggers, 1001);
}

/* A bus that chatters must not make "three polls in a row" out of a second. */
static void the_guards_polls_are_an_interval_apart(void **state)
{
        Fixture *f = *state;
        local->ids = "1 2";
        open_tailnet(f, 0, false, true);
        assert_int_equal(known(f)->poll, 1);
        for (int i = 0; i < 260; i++) {
                local->ids = i % 2 > 0 ? "1" : "2";
                bus_says(local);
                pass_ms(f, 100);
        }
        assert_int_equal(known(f)->poll, 1);
        for (int i = 0; i < 6000; i++) {
                local->ids = i % 2 > 0 ? "1" : "2";
                bus_says(local);
                pass_ms(f, 100);
        }
        assert_in_range(known(f)->poll, 19, 24);
}

static void triggers_confirm_nothing_either(void **state)
{
        Fixture *f = *state;
        primary->ids = "1";
        open_tailnet(f, 0, true, false);
        tailnet_poll_trigger(f->polls[0]);
        pass_s(f, 1);
        primary->closest_ms = 0;
        for (int i = 0; i < 300; i++) {
                tailnet_poll_trigger(f->polls[0]);
                pass_s(f, 1);
        }
        assert_in_range(primary->asked, 55, 70);
        /* Five seconds, less a step of this clock. */
        assert_in_range(primary->closest_ms, 4900, 5000);
        assert_in_range(known(f)->poll, 9, 12);
}

/* Polls at their own time count, whatever the jitter. */
static void each_natural_poll_counts(void **state)
{
        Fixture *f = *state;
        primary->ids = "1";
        open_tailnet(f, 0, true, false);
        pass_s(f, 3000);
        assert_int_equal(known(f)->poll, primary->asked);
}

static void news_of_the_netmap_are_a_reason_to_ask(void **state)
{
        Fixture *f = *state;
        primary->ids = "1 2";
        local->ids = "1 2";
        open_tailnet(f, 0, true, true);
        pass_s(f, 6);
        assert_int_equal(primary->asked, 1);
        /* Online or not is none. */
        local->ids = "1+ 2-";
        bus_says(local);
        pass_s(f, 1);
        assert_int_equal(primary->asked, 1);
        assert_string_equal(devices(f), "1+v 2-v");
        /* A machine joined: it is there within the second. */
        primary->ids = "1 2 3";
        local->ids = "1+ 2- 3+";
        bus_says(local);
        pass_ms(f, 10);
        assert_int_equal(primary->asked, 2);
        assert_string_equal(devices(f), "1+v 2-v 3+v");
        /* Often as it may happen: the primary's budget holds. */
        for (int i = 0; i < 600; i++) {
                local->ids = i % 2 > 0 ? "1+" : "1+ 2-";
                bus_says(local);
                pass_s(f, 1);
        }
        assert_in_range(primary->asked, 100, 145);
}

static void the_budget_of_an_hour_is_kept(void **state)
{
        Fixture *f = *state;
        primary->ids = "1";
        open_tailnet(f, 0, true, false);
        for (int i = 0; i < 3599; i++) {
                tailnet_poll_trigger(f->polls[0]);
                pass_ms(f, 1000);
        }
        /* 120 triggered, and those of the interval once the budget is spent. */
        assert_in_range(primary->asked, 120, 1 + 120 + 3600 / 27);
}

static void nothing_new_is_not_told(void **state)
{
        Fixture *f = *state;
        primary->ids = "1";
        local->ids = "1";
        open_tailnet(f, 0, true, true);
        unsigned told = f->told[0];
        for (int i = 0; i < 100; i++) {
                bus_says(local);
                pass_ms(f, 200);
        }
        assert_int_equal(f->told[0], told);
}

/* ---- which there are ---- */

static void sources_come_and_go_with_the_spec(void **state)
{
        Fixture *f = *state;
        primary->ids = "1 2";
        local->ids = "1 3";
        open_tailnet(f, 0, true, false);
        assert_string_equal(devices(f), "1 2");
        assert_int_equal(local->opened, 0);
        update_tailnet(f, spec_of(0, true, true), secret_of("key"));
        assert_string_equal(devices(f), "1v 2h");
        update_tailnet(f, spec_of(0, true, false), secret_of("key"));
        assert_null(local->source);
        pass_ms(f, PACE_EDIT_APART_MS);
        assert_string_equal(devices(f), "1 2");
        assert_null(fact(f, 0, SOURCE_LOCAL)->name);
        assert_int_equal(fact(f, 0, SOURCE_LOCAL)->polls, 0);
        /* The tailscaled alone says what is there from now on. */
        update_tailnet(f, spec_of(0, false, true), NULL);
        assert_null(primary->source);
        pass_ms(f, PACE_EDIT_APART_MS);
        assert_string_equal(devices(f), "1 3");
        assert_false(known(f)->partial);
        update_tailnet(f, spec_of(0, true, true), secret_of("key"));
        pass_ms(f, PACE_EDIT_APART_MS);
        assert_string_equal(devices(f), "1v 2h");
}

/* A tool that writes the Secret every second must not make us ask every second. */
static void edits_have_a_budget(void **state)
{
        Fixture *f = *state;
        primary->ids = "1 2";
        open_tailnet(f, 0, true, false);
        uint64_t polls = fact(f, 0, SOURCE_PRIMARY)->polls;
        for (int i = 0; i < 600; i++) {
                update_tailnet(f, spec_of(0, true, false), secret_of(i % 2 == 0 ? "one" : "two"));
                pass_ms(f, 500);
        }
        polls = fact(f, 0, SOURCE_PRIMARY)->polls - polls;
        assert_in_range(polls, PACE_TRIGGERS_PER_HOUR - 1, PACE_TRIGGERS_PER_HOUR + 1);
}

/* With its credentials the primary is opened anew, and keeps what it knew; the other has none. */
static void a_rotated_secret_is_the_primarys(void **state)
{
        Fixture *f = *state;
        primary->ids = "1 2";
        local->ids = "1 2";
        open_tailnet(f, 0, true, true);
        TailnetSpec *spec = leaf_ref(tailnet_poll_spec(f->polls[0]));
        primary->fails = "Unauthorized";
        update_tailnet(f, leaf_ref(spec), secret_of("wrong"));
        assert_int_equal(primary->opened, 2);
        assert_int_equal(local->opened, 1);
        assert_string_equal(devices(f), "1v 2v");
        assert_string_equal(fact(f, 0, SOURCE_PRIMARY)->reason, "Unauthorized");
        primary->fails = NULL;
        update_tailnet(f, spec, secret_of("new"));
        pass_ms(f, PACE_EDIT_APART_MS);
        assert_int_equal(primary->opened, 3);
        assert_string_equal(fact(f, 0, SOURCE_PRIMARY)->reason, "");
        assert_int_equal(known(f)->sync, SYNC_DONE);
}

/* ---- side by side ---- */

static void one_that_hangs_delays_nobody(void **state)
{
        Fixture *f = *state;
        for (unsigned i = 0; i < TAILNETS; i++)
                plays[i][SOURCE_PRIMARY].ids = plays[i][SOURCE_LOCAL].ids = "1";
        plays[1][SOURCE_PRIMARY].hangs = true;
        for (unsigned i = 0; i < TAILNETS; i++)
                open_tailnet(f, i, true, i == 1);
        pass_s(f, 600);
        assert_int_equal(plays[1][SOURCE_PRIMARY].asked, 1);
        assert_in_range(plays[1][SOURCE_LOCAL].asked, 18, 23);
        for (unsigned i = 0; i < TAILNETS; i += 2) {
                assert_in_range(plays[i][SOURCE_PRIMARY].asked, 18, 23);
                assert_int_equal(tailnet_poll_state(f->polls[i])->sync, SYNC_DONE);
        }
        /* What it hung on comes. */
        plays[1][SOURCE_PRIMARY].hangs = false;
        PlayedSource *s = CONTAINER_OF(plays[1][SOURCE_PRIMARY].source, PlayedSource, source);
        post_send(&s->answer);
        pass_ms(f, 1);
        assert_int_equal(tailnet_poll_state(f->polls[1])->sync, SYNC_DONE);
}

static void each_tailnet_has_its_own_budget(void **state)
{
        Fixture *f = *state;
        for (unsigned i = 0; i < TAILNETS; i++)
                plays[i][SOURCE_PRIMARY].ids = "1";
        plays[2][SOURCE_PRIMARY].fails = "Down";
        for (unsigned i = 0; i < TAILNETS; i++)
                open_tailnet(f, i, true, false);
        for (int i = 0; i < 600; i++) {
                tailnet_poll_trigger(f->polls[0]);
                pass_s(f, 1);
        }
        assert_in_range(plays[0][SOURCE_PRIMARY].asked, 110, 130);
        assert_in_range(plays[1][SOURCE_PRIMARY].asked, 18, 23);
        assert_in_range(plays[2][SOURCE_PRIMARY].asked, 5, 30);
        assert_int_equal(fact(f, 1, SOURCE_PRIMARY)->triggers, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_tailscaled_alone_is_all_there_is),
                TEST(presence_is_the_primarys_and_sight_the_tailscaleds),
                TEST(nothing_is_lost_while_the_primary_fails),
                TEST(a_primary_that_never_answered_is_not_empty),
                TEST(what_only_one_of_them_knows_is_told),
                TEST(services_of_a_netmap_are_not_all),
                TEST(a_tailscaled_of_another_tailnet_is_not_listened_to),
                TEST(the_same_numbers_are_not_the_same_machines),
                TEST(each_has_its_own_clock),
                TEST(a_tailscaled_is_asked_when_its_bus_says_so),
                TEST(the_guards_polls_are_an_interval_apart),
                TEST(triggers_confirm_nothing_either),
                TEST(each_natural_poll_counts),
                TEST(news_of_the_netmap_are_a_reason_to_ask),
                TEST(the_budget_of_an_hour_is_kept),
                TEST(nothing_new_is_not_told),
                TEST(sources_come_and_go_with_the_spec),
                TEST(edits_have_a_budget),
                TEST(a_rotated_secret_is_the_primarys),
                TEST(one_that_hangs_delays_nobody),
                TEST(each_tailnet_has_its_own_budget),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
