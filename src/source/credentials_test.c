/* SPDX-License-Identifier: Apache-2.0 */
#include "source/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define VARIABLE "TSGW_TEST_CREDENTIALS"

/* What a spec and a Secret of these keys ("a" api_key, "i" client_id, "s" client_secret, "w"
 * webhook_secret; NULL: no such Secret) give, in the same letters, or the error. */
static const char *found(TailnetSpec *spec, const char *keys)
{
        static char text[ERR_TEXT_MAX];
        SecretSpec *s = NULL;
        if (keys != NULL) {
                s = leaf_new(sizeof *s, 0, secret_spec_drop);
                Secret **at[] = {&s->api_key, &s->client_id, &s->client_secret, &s->webhook_secret};
                for (size_t i = 0; i < LENGTH_OF(at); i++) {
                        if (strchr(keys, "aisw"[i]) != NULL)
                                *at[i] = secret_new(STR("value"));
                }
        }
        CLEANUP(credentials_done) Credentials c = {0};
        Err err = {0};
        spec->meta.key = (ObjectKey){STR("team"), STR("corp")};
        if (!credentials_of(spec, s, &c, &err)) {
                assert_string_equal(err.reason, "CredentialMissing");
                snprintf(text, sizeof text, "%s", err.text);
        } else {
                snprintf(text, sizeof text, "%s%s%s%s%s", c.known.api_key ? "a" : "",
                         c.known.client_id ? "i" : "", c.known.client_secret ? "s" : "",
                         c.known.federated_id.n > 0 ? "f" : "",
                         c.known.token_file.n > 0 ? "t" : "");
        }
        leaf_unref(s);
        return text;
}

static void a_secret_has_a_key_or_a_client(void **state)
{
        TailnetSpec spec = {.secret_name = STR("key")};
        (void)state;
        assert_string_equal(found(&spec, "a"), "a");
        assert_string_equal(found(&spec, "is"), "is");
        assert_string_equal(found(&spec, "aisw"), "ais");
        assert_string_equal(found(&spec, "ai"), "a");
}

static void what_a_secret_lacks_is_said(void **state)
{
        TailnetSpec spec = {.secret_name = STR("key")};
        (void)state;
        assert_string_equal(found(&spec, NULL), "Secret team/key is not there");
        assert_string_equal(found(&spec, ""),
                            "Secret team/key has none of the keys that are expected: api_key, or "
                            "client_id and client_secret");
        assert_non_null(strstr(found(&spec, "w"), "none of the keys"));
        assert_string_equal(found(&spec, "i"), "Secret team/key has client_id without "
                                               "client_secret");
        assert_string_equal(found(&spec, "s"), "Secret team/key has client_secret without "
                                               "client_id");
}

static void a_variable_or_a_federated_identity(void **state)
{
        TailnetSpec env = {.credentials_env = STR(VARIABLE)};
        TailnetSpec federated = {.client_id = STR("id"), .token_file = STR("/run/token")};
        TailnetSpec none = {0};
        (void)state;
        unsetenv(VARIABLE);
        assert_string_equal(found(&env, NULL), "environment variable " VARIABLE " is not set");
        setenv(VARIABLE, "", 1);
        assert_string_equal(found(&env, NULL), "environment variable " VARIABLE " is not set");
        setenv(VARIABLE, "tskey-placeholder", 1);
        assert_string_equal(found(&env, NULL), "a");
        unsetenv(VARIABLE);
        assert_string_equal(found(&federated, NULL), "ft");
        /* What has none is for the source to judge. */
        assert_string_equal(found(&none, NULL), "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_secret_has_a_key_or_a_client),
                cmocka_unit_test(what_a_secret_lacks_is_said),
                cmocka_unit_test(a_variable_or_a_federated_identity),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
