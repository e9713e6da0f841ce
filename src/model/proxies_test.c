/* SPDX-License-Identifier: Apache-2.0 */
#include "model/proxies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void proxies_are_literals_or_sockets(void **state)
{
        (void)state;
        ProxyAddr p;
        assert_true(proxy_parse(STR("127.0.0.1:1055"), &p));
        assert_true(str_eq(p.ip, STR("127.0.0.1")) && p.port == 1055 && p.path.n == 0);
        assert_true(proxy_parse(STR("[fd7a::1]:80"), &p));
        assert_true(str_eq(p.ip, STR("fd7a::1")) && p.port == 80);
        assert_true(proxy_parse(STR("/run/x.sock"), &p));
        assert_true(str_eq(p.path, STR("/run/x.sock")) && p.ip.n == 0);
        assert_true(proxy_parse(STR("unix:/run/x.sock"), &p));
        assert_true(str_eq(p.path, STR("/run/x.sock")));
        static const Str bad[] = {
                STR_INIT(""),           STR_INIT("localhost:80"),  STR_INIT("127.0.0.1"),
                STR_INIT("127.0.0.1:"), STR_INIT("127.0.0.1:0"),   STR_INIT("1.2.3.4:65536"),
                STR_INIT("fd7a::1:80"), STR_INIT("[1.2.3.4]:80"),  STR_INIT(":80"),
                STR_INIT("unix:x"),     STR_INIT("/run/\nx.sock"),
        };
        for (size_t i = 0; i < LENGTH_OF(bad); i++)
                assert_false(proxy_parse(bad[i], &p));
        char longest[200];
        memset(longest, '/', sizeof(longest));
        assert_false(proxy_parse(str_make(longest, sizeof(longest)), &p));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(proxies_are_literals_or_sockets),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
