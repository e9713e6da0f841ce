/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/policy.h"
#include "model/proxies.h"

static const Policy *make(PolicyInput in)
{
        Err err = {0};
        const Policy *p;

        in.in_kubernetes = true;
        p = policy_new(&in, &err);
        if (p == NULL)
                fail_msg("%s", err.text);
        return p;
}

static StrList one(const Str *text)
{
        return (StrList){text, 1};
}

/* ---- texts ---- */

static void test_lists_are_read(void **state)
{
        const Str cidrs[] = {STR_INIT("10.0.0.0/8, fd00::/8"), STR_INIT("192.0.2.7")};
        const Str proxies[] = {STR_INIT("127.0.0.1,/run/tsgw/,,/run//x/../proxy.sock ")};
        const Str images[] = {STR_INIT("ghcr.io/acme/*")};
        const Str namespaces[] = {STR_INIT("team-b,team-a"), STR_INIT("team-b")};
        CLEANUP(leaf_cleanup)
        const Policy *p = make((PolicyInput){
                .local_sources_dir = STR("/srv//sources/./"),
                .lists = {{cidrs, 2}, one(proxies), one(images), {namespaces, 2}},
        });

        (void)state;
        assert_int_equal(p->allowed_cidrs.n, 3);
        assert_int_equal(p->allowed_proxies.n, 1);
        assert_int_equal(p->allowed_sockets.n, 2);
        assert_true(str_eq(p->allowed_sockets.at[0], STR("/run/tsgw/")));
        assert_true(str_eq(p->allowed_sockets.at[1], STR("/run/proxy.sock")));
        assert_true(str_eq(p->local_sources_dir, STR("/srv/sources")));
        assert_int_equal(p->allowed_images.n, 1);
        assert_int_equal(p->watch_namespaces.n, 2);
        assert_true(str_eq(p->watch_namespaces.at[0], STR("team-a")));
        assert_true(str_eq(p->watch_namespaces.at[1], STR("team-b")));
}

static void test_what_is_no_item_is_told(void **state)
{
        static const struct {
                PolicyList list;
                const char *text, *says;
        } bad[] = {
                {POLICY_CIDRS, "10.0.0.1/8", "\"10.0.0.1/8\", expected an address range"},
                {POLICY_CIDRS, "10.0.0.0/8,host", "\"host\""},
                {POLICY_CIDRS, "/run/x", "\"/run/x\""},
                {POLICY_CIDRS, "10.0.0.0/33", "\"10.0.0.0/33\""},
                {POLICY_PROXIES, "127.0.0.1:3128", "or the absolute path of a socket"},
                {POLICY_PROXIES, "run/x.sock", "\"run/x.sock\""},
                {POLICY_PROXIES, "/", "expected a socket's path"},
                {POLICY_PROXIES, "/run/../", "expected a socket's path"},
                {POLICY_IMAGES, "ghcr.io/[x", "\"ghcr.io/[x\""},
                {POLICY_NAMESPACES, "Team", "\"Team\", expected a namespace"},
                {POLICY_NAMESPACES, "*", "\"*\""},
        };
        static const char *const bad_dirs[] = {"srv", "/", "/..", "/srv/../", "/a\nb"};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                Str text = str_of(bad[i].text);
                PolicyInput in = {0};
                Err err = {0};

                assert_false(policy_check_text(bad[i].list, text, &err));
                if (strstr(err.text, bad[i].says) == NULL)
                        fail_msg("%s: %s", bad[i].text, err.text);
                in.lists[bad[i].list] = one(&text);
                assert_null(policy_new(&in, &err));
                assert_true(str_starts(str_of(err.text), str_of(policy_list_flag(bad[i].list))));
        }
        for (size_t i = 0; i < LENGTH_OF(bad_dirs); i++) {
                PolicyInput in = {.local_sources_dir = str_of(bad_dirs[i])};
                Err err = {0};

                assert_false(policy_check_dir(in.local_sources_dir, NULL));
                assert_null(policy_new(&in, &err));
                assert_true(str_starts(str_of(err.text), STR("--local-sources-dir: ")));
        }
}

static void test_lists_are_bounded(void **state)
{
        char text[POLICY_ITEMS_MAX * 4];
        size_t n = 0;
        Str both[2];
        PolicyInput in = {0};
        Err err = {0};

        (void)state;
        while (n + 4 <= sizeof(text)) {
                memcpy(text + n, "::1,", 4);
                n += 4;
        }
        both[0] = both[1] = str_make(text, n);
        assert_true(policy_check_text(POLICY_CIDRS, both[0], &err));
        in.lists[POLICY_CIDRS] = (StrList){both, 2};
        assert_null(policy_new(&in, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
        /* The TailscaleGateway allows what its author likes. */
        static const struct {
                const char *ip;
                bool here, free; /* with the policy below, without Kubernetes */
        } cases[] = {
                {"100.64.0.10", true, true},
                {"fd7a:115c:a1e0::5", true, true},
                {"100.100.100.100", false, true},
                {"10.1.2.3", true, true},
                {"10.2.2.3", false, true},
                {"::ffff:10.1.2.3", true, true},
                {"::ffff:10.2.2.3", false, true},
                {"192.168.0.1", false, true},
                {"2001:db8::1", true, true},
                {"2001:db9::1", false, true},
                {"127.0.0.1", false, true},
                {"127.255.255.255", false, true},
                {"::ffff:127.0.0.1", false, true},
                {"::ffff:7f00:1", false, true},
                {"::1", false, true},
                {"::", false, true},
                {"::127.0.0.1", false, true},
                {"0.0.0.0", false, true},
                {"0.1.2.3", false, true},
                {"169.254.169.254", false, true},
                {"::ffff:169.254.169.254", false, true},
                {"64:ff9b::a9fe:a9fe", false, true},
                {"64:ff9b::808:808", true, true},
                {"2002:7f00:1::", false, true},
                {"fe80::1", false, true},
                {"febf::1", false, true},
                {"224.0.0.1", false, true},
                {"239.255.255.255", false, true},
                {"255.255.255.255", false, true},
                {"ff02::1", false, true},
        };
        const Str texts[] = {
                STR_INIT("10.1.0.0/16,127.0.0.0/8,169.254.0.0/16,0.0.0.0/8,224.0.0.0/3"),
                STR_INIT("2001:db8::/32,::/16,64:ff9b::/96,2002::/16,fe80::/10,ff00::/8")};
        CLEANUP(leaf_cleanup)
        const Policy *p = make((PolicyInput){.lists = {[POLICY_CIDRS] = {texts, 2}}});
        CLEANUP(leaf_cleanup) const Policy *none = make((PolicyInput){0});
        Cidr all[2];

        (void)state;
        assert_true(cidr_parse(STR("0.0.0.0/0"), &all[0]));
        assert_true(cidr_parse(STR("::/0"), &all[1]));
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Err err = {0};
                IpAddr a;

                assert_true(ip_parse(str_of(cases[i].ip), &a));
                if (policy_admits_address(p, &a, all, 2, &err) != cases[i].here)
                        fail_msg("%s: %s", cases[i].ip, err.text);
                assert_true(cases[i].here == (err.kind == ERR_NONE));
                assert_true(cases[i].here || strcmp(err.reason, "AddressRefused") == 0);
                assert_true(policy_admits_address(NULL, &a, all, 2, NULL) == cases[i].free);
                /* Neither list is enough without the other. */
                assert_true(policy_admits_address(p, &a, NULL, 0, NULL) == ip_is_tailnet(&a));
                assert_true(policy_admits_address(none, &a, all, 2, NULL) == ip_is_tailnet(&a));
        }
}

/* ---- proxies ---- */

static void test_proxies(void **state)
{
        static const struct {
                const char *proxy;
                bool good;
        } cases[] = {
                {"127.0.0.1:3128", true},
                {"127.0.0.2:3128", false},
                {"10.96.0.1:443", false},
                {"10.97.3.4:3128", true},
                {"[::ffff:10.97.3.4]:3128", true},
                {"[::ffff:10.96.0.1]:3128", false},
                {"[fd00::1]:1", true},
                {"[fd01::1]:1", false},
                {"/run/tsgw/corp/proxy.sock", true},
                {"unix:/run/tsgw/corp/proxy.sock", true},
                {"/run/tsgw/", false},
                {"/run/tsgw", false},
                {"/run/tsgw/..", false},
                {"/run/tsgw/../docker.sock", false},
                {"/run/tsgw/a/../../docker.sock", false},
                {"/run/tsgwx/proxy.sock", false},
                {"/run/one.sock", true},
                {"/run/one.sock/x", false},
                {"/var/../run/./one.sock", true},
        };
        const Str text = STR("127.0.0.1,10.97.0.0/16,fd00::/16,/run/tsgw/,/run/one.sock");
        CLEANUP(leaf_cleanup)
        const Policy *p = make((PolicyInput){.lists = {[POLICY_PROXIES] = one(&text)}});
        CLEANUP(leaf_cleanup) const Policy *none = make((PolicyInput){0});

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                ProxyAddr proxy;
                Err err = {0};

                assert_true(proxy_parse(str_of(cases[i].proxy), &proxy));
                if (policy_admits_proxy(p, &proxy, &err) != cases[i].good)
                        fail_msg("%s: %s", cases[i].proxy, err.text);
                assert_true(cases[i].good || strcmp(err.reason, "ProxyRefused") == 0);
                assert_false(policy_admits_proxy(none, &proxy, NULL));
                assert_true(policy_admits_proxy(NULL, &proxy, NULL));
        }
}

/* ---- sources ---- */

static void test_sources(void **state)
{
        enum {
                DIR = 1,  /* --local-sources-dir /srv/sources */
                HTTP = 2, /* --allow-insecure-api */
                LOCAL = 4 /* the tailscaled is asked */
        };
        static const struct {
                unsigned with;
                TailnetSpec spec;
                const char *reason; /* NULL: it may */
        } cases[] = {
                {0, {.api_url = STR_INIT("https://x"), .secret_name = STR_INIT("s")}, NULL},
                {0,
                 {.api_url = STR_INIT("http://10.0.0.1"), .secret_name = STR_INIT("s")},
                 "InsecureAPI"},
                {HTTP,
                 {.api_url = STR_INIT("http://10.0.0.1"), .secret_name = STR_INIT("s")},
                 NULL},
                {HTTP,
                 {.api_url = STR_INIT("https://x"), .credentials_env = STR_INIT("KEY")},
                 "EnvRefused"},
                {0,
                 {.api_url = STR_INIT("https://x"), .token_file = STR_INIT("/srv/sources/t")},
                 "PathRefused"},
                {DIR,
                 {.api_url = STR_INIT("https://x"), .token_file = STR_INIT("/srv/sources/t")},
                 NULL},
                {DIR,
                 {.api_url = STR_INIT("http://10.0.0.1"), .token_file = STR_INIT("/srv/sources/t")},
                 "InsecureAPI"},
                {DIR,
                 {.api_url = STR_INIT("https://x"),
                  .token_file = STR_INIT("/var/run/secrets/token")},
                 "PathRefused"},
                {0, {.file_path = STR_INIT("/srv/sources/d.json")}, "PathRefused"},
                {DIR, {.file_path = STR_INIT("/srv/sources/a/../d.json")}, NULL},
                {DIR, {.file_path = STR_INIT("/srv/./sources//d.json")}, NULL},
                {DIR, {.file_path = STR_INIT("/srv/sources/../d.json")}, "PathRefused"},
                {DIR, {.file_path = STR_INIT("/srv/sources/a/../../d.json")}, "PathRefused"},
                {DIR, {.file_path = STR_INIT("/srv/sourcesx/d.json")}, "PathRefused"},
                {DIR, {.file_path = STR_INIT("/srv/sources")}, "PathRefused"},
                {DIR, {.file_path = STR_INIT("/srv/sources/")}, "PathRefused"},
                {DIR, {.file_path = STR_INIT("d.json")}, "PathRefused"},
                {DIR, {.file_path = STR_INIT("../srv/sources/d.json")}, "PathRefused"},
                {0, {.local_socket = STR_INIT("/srv/sources/ts.sock")}, "PathRefused"},
                {DIR, {.local_socket = STR_INIT("/srv/sources/ts.sock")}, NULL},
                {DIR, {.local_socket = STR_INIT("/run/ts.sock")}, "PathRefused"},
                {0,
                 {.api_url = STR_INIT("https://x"),
                  .secret_name = STR_INIT("s"),
                  .local_socket = STR_INIT("/run/ts.sock")},
                 NULL},
                {LOCAL,
                 {.api_url = STR_INIT("https://x"),
                  .secret_name = STR_INIT("s"),
                  .local_socket = STR_INIT("/run/ts.sock")},
                 "PathRefused"},
                {LOCAL | DIR,
                 {.api_url = STR_INIT("http://10.0.0.1"),
                  .secret_name = STR_INIT("s"),
                  .local_socket = STR_INIT("/srv/sources/ts.sock")},
                 NULL},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                unsigned with = cases[i].with;
                bool local = (with & LOCAL) != 0;
                CLEANUP(leaf_cleanup)
                const Policy *p = make((PolicyInput){
                        .allow_insecure_api = (with & HTTP) != 0,
                        .local_sources_dir = (with & DIR) != 0 ? STR("/srv/sources") : STR("")});
                Err err = {0};
                bool admits = policy_admits_source(p, &cases[i].spec, local, &err);

                if (admits != (cases[i].reason == NULL) ||
                    strcmp(err.reason, admits ? "" : cases[i].reason) != 0)
                        fail_msg("case %zu: %s: %s", i, err.reason, err.text);
                assert_true(policy_admits_source(NULL, &cases[i].spec, local, NULL));
        }
}

static void test_the_path_to_look_at(void **state)
{
        const TailnetSpec t = {
                .token_file = STR("/t"), .client_id = STR("id"), .local_socket = STR("/s")};
        CLEANUP(leaf_cleanup) const Policy *p = make((PolicyInput){0});

        (void)state;
        assert_true(str_eq(policy_source_path(p, &t, false), STR("/t")));
        assert_true(str_eq(policy_source_path(p, &t, true), STR("/s")));
        assert_int_equal(policy_source_path(NULL, &t, true).n, 0);
}

/* ---- images ---- */

static void test_images(void **state)
{
        const Str text = STR("ghcr.io/acme/gateway:*, registry.local:5000/gw@sha256:0123");
        CLEANUP(leaf_cleanup)
        const Policy *p = make((PolicyInput){.lists = {[POLICY_IMAGES] = one(&text)}});
        Err err = {0};

        (void)state;
        assert_true(policy_admits_image(p, STR("ghcr.io/acme/gateway:1.2"), NULL));
        assert_true(policy_admits_image(p, STR("registry.local:5000/gw@sha256:0123"), NULL));
        assert_false(policy_admits_image(p, STR("ghcr.io/acme/gateway-x:1.2"), &err));
        assert_string_equal(err.reason, "ImageRefused");
        assert_true(policy_admits_image(NULL, STR("anything"), NULL));
}

/* Without Kubernetes nothing is refused, whatever else was given. */
static void test_without_kubernetes(void **state)
{
        PolicyInput in = {0};
        CLEANUP(leaf_cleanup) const Policy *p = policy_new(&in, NULL);
        const TailnetSpec t = {.api_url = STR("http://10.0.0.1"), .credentials_env = STR("KEY")};
        const ProxyAddr proxy = {.path = STR("/run/x.sock")};

        (void)state;
        assert_non_null(p);
        assert_true(policy_admits_source(p, &t, false, NULL));
        assert_true(policy_admits_proxy(p, &proxy, NULL));
        assert_true(policy_admits_image(p, STR("x"), NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lists_are_read),
                cmocka_unit_test(test_what_is_no_item_is_told),
                cmocka_unit_test(test_lists_are_bounded),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_proxies),
                cmocka_unit_test(test_sources),
                cmocka_unit_test(test_the_path_to_look_at),
                cmocka_unit_test(test_images),
                cmocka_unit_test(test_without_kubernetes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
