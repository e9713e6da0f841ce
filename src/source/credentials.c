/* SPDX-License-Identifier: Apache-2.0 */
#include "source/credentials.h"

#include <stdlib.h>

static bool missing(const TailnetSpec *spec, const char *what, Err *err)
{
        return err_set(err, ERR_MISSING, "CredentialMissing", "Secret %.*s/%.*s %s",
                       STR_FMT(spec->meta.key.namespace), STR_FMT(spec->secret_name), what);
}

static bool of_secret(const TailnetSpec *spec, const SecretSpec *s, TailnetCredentials *ret,
                      Err *err)
{
        if (s == NULL)
                return missing(spec, "is not there", err);
        if (s->denied.n > 0)
                return err_set(err, ERR_DENIED, "SecretDenied", "Secret %.*s/%.*s: %.*s",
                               STR_FMT(spec->meta.key.namespace), STR_FMT(spec->secret_name),
                               STR_FMT(s->denied));
        bool has_id = s->client_id != NULL, has_secret = s->client_secret != NULL;
        if (s->api_key == NULL && has_id != has_secret)
                return missing(spec,
                               has_id ? "has client_id without client_secret"
                                      : "has client_secret without client_id",
                               err);
        if (s->api_key == NULL && !has_id)
                return missing(spec,
                               "has none of the keys that are expected: api_key, or client_id and "
                               "client_secret",
                               err);
        ret->api_key = s->api_key;
        if (has_id && has_secret) {
                ret->client_id = s->client_id;
                ret->client_secret = s->client_secret;
        }
        return true;
}

static bool of_env(const TailnetSpec *spec, Credentials *ret, Err *err)
{
        const char *value = getenv(spec->credentials_env.p);
        if (value == NULL || *value == '\0')
                return err_set(err, ERR_MISSING, "CredentialMissing",
                               "environment variable %.*s is not set",
                               STR_FMT(spec->credentials_env));
        ret->from_env = secret_new(str_of(value));
        ret->known.api_key = ret->from_env;
        return true;
}

bool credentials_of(const TailnetSpec *spec, const SecretSpec *secret, Credentials *ret, Err *err)
{
        Credentials c = {
                .known = {.federated_id = spec->client_id, .token_file = spec->token_file}};
        bool ok = true;
        if (spec->credentials_env.n > 0)
                ok = of_env(spec, &c, err);
        else if (spec->secret_name.n > 0 || secret != NULL)
                ok = of_secret(spec, secret, &c.known, err);
        if (ok)
                *ret = c;
        return ok;
}

void credentials_done(Credentials *c)
{
        secret_free(c->from_env);
        *c = (Credentials){0};
}
