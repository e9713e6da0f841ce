/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: how long the pieces are; the rest: a list of Tailscale Services, and once more as a
 * list of hosts, and as what a tailscaled tells. However it is cut, the same comes out, and each
 * keeps its promises. */

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "tailnet/service_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Table *take(ServiceList *l)
{
        size_t n;
        CLEANUP(mem_cleanup) const void **leaves = service_list_take(l, &n);
        Table *t = table_new(leaves, n, tailnet_service_order);

        INSIST(t->n == n);
        return t;
}

static Table *parse(Str body, size_t piece)
{
        ServiceList *l = service_list_new();
        Table *t = NULL;
        Err err = {0};
        bool ok = true;

        for (size_t i = 0; ok && i < body.n; i += piece)
                ok = service_list_feed(l, str_sub(body, i, piece), &err);
        ok = ok && service_list_finish(l, &err);
        INSIST(ok == (err.kind == ERR_NONE));
        if (ok)
                t = take(l);
        service_list_free(l);
        return t;
}

static void check_sorted(StrList l, size_t max)
{
        INSIST(l.n <= max);
        for (size_t i = 0; i < l.n; i++) {
                INSIST(l.at[i].n > 0 && str_is_printable_utf8(l.at[i]));
                INSIST(i == 0 || str_cmp(l.at[i - 1], l.at[i]) < 0);
        }
}

static void check_service(const TailnetService *s)
{
        INSIST(s->label.n > 0 && s->label.n <= 63 && s->name.n == s->label.n + 4);
        INSIST(s->ip4.n > 0 || s->ip6.n > 0);
        check_sorted(s->ports, 256);
        check_sorted(s->tags, 64);
        INSIST(!s->hosts_known && s->hosts.n == 0);
}

static void read_hosts(Str body)
{
        const TailnetService of = {.name = STR_INIT("svc:web"), .label = STR_INIT("web")};
        Err err = {0};
        TailnetService *s = service_list_read_hosts(&of, body, &err);

        INSIST((s != NULL) == (err.kind == ERR_NONE));
        if (s == NULL)
                return;
        INSIST(s->hosts_known && s->hosts.n <= s->n_hosts);
        check_sorted(s->hosts, TAILNET_SERVICE_HOSTS_MAX);
        leaf_unref(s);
}

static void read_local(Str body)
{
        ServiceList *l = service_list_new();
        Err err = {0};
        bool ok = service_list_read_local(l, body, &err);

        INSIST(ok == (err.kind == ERR_NONE));
        if (ok) {
                Table *t = take(l);

                TABLE_FOREACH (TailnetService, s, t)
                        check_service(s);
                table_unref(t);
        }
        service_list_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        Str body = str_make(data + 1, size - 1);
        Table *whole = parse(body, body.n + 1), *cut = parse(body, (size_t)data[0] + 1);

        INSIST((whole == NULL) == (cut == NULL) && table_n(whole) == table_n(cut));
        for (size_t i = 0; i < table_n(whole); i++) {
                check_service(whole->at[i]);
                INSIST(tailnet_service_same(whole->at[i], cut->at[i]));
        }
        table_unref(whole);
        table_unref(cut);
        read_hosts(body);
        read_local(body);
        return 0;
}
