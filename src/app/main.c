/* SPDX-License-Identifier: Apache-2.0 */
#include "app/run.h"
#include "base/str.h"
#include "cli/cmd_approve_removal.h"
#include "cli/cmd_check.h"
#include "cli/cmd_discover.h"
#include "cli/cmd_explain.h"
#include "cli/cmd_render.h"
#include "cli/cmd_status.h"
#include "cli/cmd_validate.h"

#include <stdio.h>

static int cmd_version(int argc, char **argv)
{
        (void)argc;
        (void)argv;
        printf("tailscale-gateway %s\n", TSGW_VERSION);
        return 0;
}

static const struct {
        const char *name, *help;
        int (*fn)(int argc, char **argv);
} commands[] = {
        {"operator", "in Kubernetes: finds devices, writes what others go by", cmd_operator},
        {"extension", "in Kubernetes: answers the hooks of Envoy Gateway", cmd_extension},
        {"run", "both in one process, in Kubernetes or without it", cmd_run},
        {"check", "is a cluster, or a running gateway, set up? What to change", cmd_check},
        {"status", "what a running gateway knows: tailnets, endpoints, hosts, gateways",
         cmd_status},
        {"explain", "why a URL answers, or not", cmd_explain},
        {"discover", "what tailnets hold, and what the rules would make of it", cmd_discover},
        {"validate", "everything that is wrong with manifests", cmd_validate},
        {"render", "what is made of this program: definitions of resources, their reference",
         cmd_render},
        {"approve-removal", "lets through what the removal guard holds", cmd_approve_removal},
        {"version", "the version", cmd_version},
};

static int usage(FILE *to)
{
        fprintf(to, "usage: tailscale-gateway COMMAND [options]\n\n");
        for (size_t i = 0; i < LENGTH_OF(commands); i++)
                fprintf(to, "  %-16s %s\n", commands[i].name, commands[i].help);
        fprintf(to, "\nEvery command has --help. Exit codes: 0 done, 1 found something wrong, 2 "
                    "usage.\n");
        return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
        if (argc < 2)
                return usage(stderr);
        Str name = str_of(argv[1]);
        if (str_eq(name, STR("--help")) || str_eq(name, STR("-h")) || str_eq(name, STR("help")))
                return usage(stdout);
        if (str_eq(name, STR("--version")))
                return cmd_version(argc - 1, argv + 1);
        for (size_t i = 0; i < LENGTH_OF(commands); i++) {
                if (str_eq(name, str_of(commands[i].name)))
                        return commands[i].fn(argc - 1, argv + 1);
        }
        fprintf(stderr, "tailscale-gateway: unknown command %s\n", argv[1]);
        return usage(stderr);
}
