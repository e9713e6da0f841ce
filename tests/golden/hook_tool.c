/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook-tool: one hook call without a server: manifests and the bytes of a request in, the bytes of
 * the answer out. For golden tests and for judges that are written in other languages.
 */
#include "golden_world.h"
#include "translate/hook.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
        "usage: hook-tool answer METHOD REQUEST ANSWER MANIFESTS…   answers one call; prints what "
        "was done\n"
        "       hook-tool report MANIFESTS…                         prints what was decided\n"
        "\n"
        "METHOD is a name of EnvoyGatewayExtension. MANIFESTS are files or directories, ours and "
        "Envoy\n"
        "Gateway's. Exit code: 0 answered, 1 not answered, 2 usage.\n";

static const char *const methods[HOOK_METHODS] = {
        "PostRouteModify",   "PostVirtualHostModify", "PostHTTPListenerModify",
        "PostClusterModify", "PostEndpointsModify",   "PostTranslateModify",
};

static const char *const verdicts[] = {"answered", "wait", "unavailable", "invalid", "too large"};

static bool read_all(const char *path, Buf *ret)
{
        FILE *f = fopen(path, "rb");
        if (f == NULL) {
                perror(path);
                return false;
        }
        char part[1 << 16];
        for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
                buf_add(ret, part, n);
        fclose(f);
        return !ret->failed;
}

static bool write_all(const char *path, Str bytes)
{
        FILE *f = fopen(path, "wb");
        if (f == NULL) {
                perror(path);
                return false;
        }
        bool good = fwrite(bytes.p != NULL ? bytes.p : "", 1, bytes.n, f) == bytes.n;
        return fclose(f) == 0 && good;
}

static void print_gap(const AnswerGap *g)
{
        Buf text;
        buf_init(&text, 4096);
        gap_text(g, &text);
        printf("left out %llu host=%.*s path=%.*s where=%.*s cluster=%.*s%s %.*s: %.*s\n",
               (unsigned long long)g->n, STR_FMT(g->host), STR_FMT(g->path), STR_FMT(g->where),
               STR_FMT(g->cluster), g->partly ? " partly" : "", STR_FMT(gap_reason_name(g->reason)),
               STR_FMT(buf_str(&text)));
        buf_done(&text);
}

static void print_gateway(HookVerdict v, const HookGateway *r)
{
        printf("%s gateway=%.*s/%.*s asked=%.*s attempt=%llu served=%.*s hosts=%llu paths=%llu "
               "clusters=%llu left_out=%llu\n",
               verdicts[v], STR_FMT(r->eg_gateway.namespace), STR_FMT(r->eg_gateway.name),
               STR_FMT(r->asked), (unsigned long long)r->attempt, STR_FMT(r->served),
               (unsigned long long)r->tally.hosts, (unsigned long long)r->tally.paths,
               (unsigned long long)r->clusters, (unsigned long long)r->tally.gaps.total);
        for (size_t i = 0; i < r->tally.gaps.n; i++)
                print_gap(&r->tally.gaps.at[i]);
}

static void print_result(HookVerdict v, const HookResult *r)
{
        for (size_t i = 0; i < r->n; i++)
                print_gateway(v, &r->gateways[i]);
        if (r->n == 0)
                print_gateway(v, &(HookGateway){0});
}

static int answer(const Snapshot *s, HookMethod method, const char *request,
                  const char *answer_path)
{
        Buf in, out;
        buf_init(&in, HOOK_ANSWER_MAX);
        buf_init(&out, HOOK_ANSWER_MAX);
        HookResult r = {0};
        HookVerdict v = HOOK_INVALID;
        bool good = read_all(request, &in);
        if (good) {
                v = hook_answer(s, method, buf_str(&in), false, &out, &r);
                print_result(v, &r);
                hook_result_done(&r);
                good = v == HOOK_ANSWERED && write_all(answer_path, buf_str(&out));
        }
        buf_done(&in);
        buf_done(&out);
        return good ? 0 : 1;
}

static void print_report(const Report *r)
{
        TABLE_FOREACH (GatewayReport, g, r->gateways) {
                printf("gateway %.*s/%.*s found=%d hosts=%llu paths=%llu clusters=%llu "
                       "revision=%s\n",
                       STR_FMT(g->eg_gateway.namespace), STR_FMT(g->eg_gateway.name), g->found,
                       (unsigned long long)g->hosts, (unsigned long long)g->paths,
                       (unsigned long long)g->clusters, g->revision);
        }
        TABLE_FOREACH (EntryReport, e, r->entries) {
                printf("entry %.*s/%.*s %.*s selected=%llu hosts=%llu paths=%llu conflicts=%llu "
                       "programmed=%d %.*s: %.*s\n",
                       STR_FMT(e->gateway.namespace), STR_FMT(e->gateway.name), STR_FMT(e->tailnet),
                       (unsigned long long)e->selected, (unsigned long long)e->hosts,
                       (unsigned long long)e->paths, (unsigned long long)e->conflicts,
                       e->programmed, STR_FMT(e->reason), STR_FMT(e->text));
        }
        TABLE_FOREACH (WayReport, w, r->ways) {
                printf("way in %.*s/%.*s %.*s listener=%.*s port=%u %.*s: %.*s\n",
                       STR_FMT(w->gateway.namespace), STR_FMT(w->gateway.name), STR_FMT(w->tailnet),
                       STR_FMT(w->listener), w->port, STR_FMT(w->reason), STR_FMT(w->text));
        }
        TABLE_FOREACH (RouteReport, t, r->routes) {
                char port[sizeof(" port=65535")] = "";
                if (t->listener_port > 0)
                        snprintf(port, sizeof(port), " port=%u", t->listener_port);
                printf("route %.*s/%.*s %.*s %.*s:%u host=%.*s path=%.*s listener=%.*s%s "
                       "programmed=%d "
                       "%.*s: %.*s\n",
                       STR_FMT(t->gateway.namespace), STR_FMT(t->gateway.name), STR_FMT(t->tailnet),
                       STR_FMT(t->service), t->port, STR_FMT(t->host), STR_FMT(t->path),
                       STR_FMT(t->listener), port, t->programmed, STR_FMT(t->reason),
                       STR_FMT(t->text));
        }
}

int main(int argc, char **argv)
{
        int manifests = argc > 2 && strcmp(argv[1], "report") == 0   ? 2
                        : argc > 5 && strcmp(argv[1], "answer") == 0 ? 5
                                                                     : 0;
        size_t method = 0;
        while (manifests == 5 && method < HOOK_METHODS && strcmp(argv[2], methods[method]) != 0)
                method++;
        if (manifests == 0 || method == HOOK_METHODS) {
                fputs(usage, stderr);
                return 2;
        }
        World *w = golden_world_read((const char *const *)argv + manifests,
                                     (size_t)(argc - manifests));
        if (w == NULL)
                return 1;
        Report *report = NULL;
        Snapshot *s = snapshot_new(w, NULL, &report);
        int status = 0;
        if (manifests == 2)
                print_report(report);
        else
                status = answer(s, (HookMethod)method, argv[3], argv[4]);
        leaf_unref(report);
        snapshot_unref(s);
        leaf_unref(w);
        return status;
}
