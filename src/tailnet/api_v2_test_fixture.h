/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For unit tests of API v2 only: a source of it in an ApiWorld, and what its server says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tailnet/api_test_world.h"
#include "tailnet/api_v2.h"

enum {
        TEXT_MAX = 8192,
        POLL_S = 30,
};

typedef struct Fixture {
        ApiWorld w;
        char asked[TEXT_MAX], said[TEXT_MAX];
        Secret *key, *id, *secret;
        TailnetSpec *spec;
        TailnetSource *source;
        TailnetAnswer last; /* holds both tables */
        unsigned n_answers;
        bool closes_inside;
        char scripted[16][TEXT_MAX]; /* answers that a test makes */
} Fixture;

static inline int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        api_world_init(&f->w);
        f->key = secret_new(STR("tskey-api-k1"));
        f->id = secret_new(STR("id1"));
        f->secret = secret_new(STR("tskey-client-s1"));
        f->spec = leaf_new(sizeof(*f->spec), 0, NULL);
        f->spec->api_url = str_of(f->w.url);
        f->spec->tailnet = STR("-");
        f->spec->poll_interval = SPAN_S(POLL_S);
        *state = f;
        return 0;
}

static inline int teardown(void **state)
{
        Fixture *f = *state;

        tailnet_source_close(f->source);
        table_unref(f->last.devices);
        table_unref(f->last.services);
        secret_free(f->key);
        secret_free(f->id);
        secret_free(f->secret);
        leaf_unref(f->spec);
        api_world_done(&f->w);
        mem_free(f);
        return 0;
}

static inline void on_answer(TailnetSource *s, TailnetAnswer *a)
{
        Fixture *f = tailnet_source_owner(s);

        assert_false(tailnet_source_is_polling(s));
        assert_string_equal(a->via, "tailscale-v2");
        assert_null(strstr(a->err.text, "tskey"));
        assert_null(strstr(a->warning, "tskey"));
        f->n_answers++;
        table_unref(f->last.devices);
        table_unref(f->last.services);
        f->last = *a;
        if (f->closes_inside)
                f->source = tailnet_source_close(s);
}

static inline void open_with(Fixture *f, TailnetCredentials credentials)
{
        Err err;

        f->source = tailnet_source_close(f->source);
        f->source = api_v2_open(&(TailnetSourceInput){.loop = f->w.loop,
                                                      .http = f->w.http,
                                                      .spec = f->spec,
                                                      .credentials = credentials,
                                                      .devices = f->last.devices,
                                                      .services = f->last.services,
                                                      .fn = on_answer,
                                                      .owner = f},
                                "tailscale-v2", &err);
        assert_non_null(f->source);
}

static inline void open_key(Fixture *f)
{
        open_with(f, (TailnetCredentials){.api_key = f->key});
}

static inline void open_oauth(Fixture *f)
{
        open_with(f, (TailnetCredentials){.client_id = f->id, .client_secret = f->secret});
}

static inline const TailnetAnswer *ask(Fixture *f)
{
        unsigned before = f->n_answers;

        tailnet_source_poll(f->source);
        assert_int_equal(f->n_answers, before);
        api_turn_until(&f->w, &f->n_answers, before + 1);
        return &f->last;
}

/* The next poll, an interval later. */
static inline const TailnetAnswer *ask_later(Fixture *f)
{
        test_clock_advance(&f->w.time, SPAN_S(POLL_S));
        return ask(f);
}

static inline const char *asked(Fixture *f)
{
        return api_asked(&f->w, f->asked, sizeof(f->asked));
}

/* "svc:web=n1,n2" each, with ? where its hosts are not known; "none" where nothing is. */
static inline const char *services(Fixture *f)
{
        Buf b;

        buf_init(&b, sizeof(f->said) - 1);
        if (f->last.services == NULL)
                buf_add_str(&b, STR("none"));
        TABLE_FOREACH (TailnetService, s, f->last.services) {
                buf_printf(&b, "%s%.*s=%s", b.n > 0 ? " " : "", STR_FMT(s->label),
                           s->hosts_known ? "" : "?");
                for (size_t i = 0; i < s->hosts.n; i++)
                        buf_printf(&b, "%s%.*s", i > 0 ? "," : "", STR_FMT(s->hosts.at[i]));
        }
        snprintf(f->said, sizeof(f->said), "%.*s", STR_FMT(buf_str(&b)));
        buf_done(&b);
        return f->said;
}

#define T "/api/v2/tailnet/-"
#define DEVICE(id, name)                                                            \
        "{\"addresses\":[\"100.80.1." id "\"],\"id\":\"9" id "\",\"nodeId\":\"n" id \
        "\",\"name\":\"" name "\",\"connectedToControl\":true}"
#define DEVICES                                                                                   \
        API_OK("{\"devices\":[" DEVICE("2", "web.t1.ts.net") "," DEVICE("1", "api.t1.ts.net") "]" \
                                                                                              "}")
#define TOKEN(name, life, scope)                 \
        API_OK("{\"access_token\":\"tskey-" name \
               "\",\"token_type\":\"Bearer\",\"expires_in\":" life ",\"scope\":\"" scope "\"}")
#define SERVICE(label, ports) \
        "{\"name\":\"svc:" label "\",\"addrs\":[\"100.90.0.1\"],\"ports\":[" ports "]}"
#define HOSTS(id)                                                                              \
        API_OK("{\"hosts\":[{\"stableNodeID\":\"" id "\",\"approvalLevel\":\"approved:auto\"," \
               "\"configured\":\"ready\"}]}")
#define GET_DEVICES "GET " T "/devices?fields=all"

/* `n` Services, of which the one at `changed` has other ports. */
static inline const char *many_services(char *ret, unsigned n, unsigned changed)
{
        Buf b;

        buf_init(&b, TEXT_MAX - 1);
        buf_add_str(&b, STR(API_OK("{\"vipServices\":[")));
        for (unsigned i = 0; i < n; i++)
                buf_printf(&b,
                           "%s{\"name\":\"svc:s%02u\",\"addrs\":[\"100.90.0.%u\"],\"ports\":[%s]}",
                           i > 0 ? "," : "", i, i, i == changed ? "\"tcp:443\"" : "");
        buf_add_str(&b, STR("]}"));
        assert_false(b.failed);
        memcpy(ret, b.p, b.n);
        ret[b.n] = '\0';
        buf_done(&b);
        return ret;
}
