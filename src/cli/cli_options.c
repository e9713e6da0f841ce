/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_options.h"

#include "cli/admin_get.h"

#include <stdio.h>
#include <stdlib.h>

const char *cli_trusted_file(void)
{
        const char *path = getenv("SSL_CERT_FILE");

        return path != NULL && path[0] != '\0' ? path : NULL;
}

bool cli_output_parse(Str s, CliOutput *ret)
{
        static const Str names[] = {STR_INIT("table"), STR_INIT("json"), STR_INIT("yaml")};
        for (size_t i = 0; i < LENGTH_OF(names); i++) {
                if (str_eq(s, names[i])) {
                        *ret = (CliOutput)i;
                        return true;
                }
        }
        return false;
}

int cli_usage_fault(const char *command, const char *what, Str found)
{
        fprintf(stderr, "tailscale-gateway %s: %s%.*s\ntry: tailscale-gateway %s --help\n", command,
                what, STR_FMT(found), command);
        return 2;
}

static int print_help(const char *command, const char *argument, const char *help)
{
        printf("usage: tailscale-gateway %s%s%s [options]\n\n%s\n"
               "  --admin-address ADDRESS\n        of the running gateway "
               "(default " ADMIN_GET_DEFAULT ")\n"
               "  -o FORMAT\n        table, json or yaml (default table)\n\n"
               "TSGW_ADMIN_ADDRESS in the environment works, too.\n"
               "exit code: 0 as it should be, 1 something is wrong or nobody answers, 2 usage\n",
               command, argument != NULL ? " " : "", argument != NULL ? argument : "", help);
        return 0;
}

bool cli_flag_value(Str flag, int *i, int argc, char **argv, Str *ret)
{
        Str arg = str_of(argv[*i]);
        if (str_eq(arg, flag) && *i + 1 < argc) {
                *ret = str_of(argv[++*i]);
                return true;
        }
        if (str_starts(arg, flag) && arg.n > flag.n && arg.p[flag.n] == '=') {
                *ret = str_sub(arg, flag.n + 1, arg.n);
                return true;
        }
        return false;
}

int cli_options_read(CliOptions *o, int argc, char **argv, const char *argument, const char *help)
{
        const char *command = argv[0], *address = getenv("TSGW_ADMIN_ADDRESS");
        *o = (CliOptions){.admin_address = str_of(address != NULL ? address : ADMIN_GET_DEFAULT)};
        for (int i = 1; i < argc; i++) {
                Str arg = str_of(argv[i]), value;
                if (str_eq(arg, STR("--help")) || str_eq(arg, STR("-h")))
                        return print_help(command, argument, help);
                if (cli_flag_value(STR("--admin-address"), &i, argc, argv, &o->admin_address))
                        continue;
                if (cli_flag_value(STR("-o"), &i, argc, argv, &value)) {
                        if (!cli_output_parse(value, &o->output))
                                return cli_usage_fault(
                                        command, "-o: expected table, json or yaml, found ", value);
                        continue;
                }
                if (str_starts(arg, STR("-")))
                        return cli_usage_fault(command, "unknown option or missing value: ", arg);
                if (argument == NULL || o->argument.n > 0)
                        return cli_usage_fault(command, "unexpected argument ", arg);
                o->argument = arg;
        }
        if (argument != NULL && o->argument.n == 0)
                return cli_usage_fault(command, "expected ", str_of(argument));
        return -1;
}
