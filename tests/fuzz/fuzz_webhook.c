/* SPDX-License-Identifier: Apache-2.0 */
/* First line: the header of a signature; the rest: the body that it is to sign. Nothing is taken
 * but what carries our HMAC, in its time, and once; what is taken with one signature is taken with
 * more around it. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tailnet/webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        NOW = 1795392000,
        HEADER_MAX = 2048,
};

static WebhookResult check(const Secret *secret, Str header, Str body, WebhookMemory *m)
{
        return webhook_check(secret, header, body, (Wall){NOW * INT64_C(1000)}, m);
}

static bool is_signed(const Secret *secret, const WebhookSignature *s, Str body)
{
        const Str parts[] = {s->time, STR("."), body};
        Digest mac;
        bool found = false;

        INSIST(secret_hmac(secret, parts, LENGTH_OF(parts), &mac));
        for (size_t i = 0; i < s->n; i++)
                found = found || digest_eq(&s->v1[i], &mac);
        return found;
}

static void check_given(const Secret *secret, Str header, Str body)
{
        WebhookMemory m = {0};
        WebhookSignature s;
        bool is_read = webhook_signature_read(header, &s);
        WebhookResult r = check(secret, header, body, &m);

        INSIST(is_read == (r != WEBHOOK_UNSIGNED));
        INSIST(!is_read || (s.n >= 1 && s.n <= WEBHOOK_SIGNATURES_MAX && s.t >= 0));
        INSIST((r == WEBHOOK_TAKEN) == (m.n == 1));
        if (r == WEBHOOK_TAKEN) {
                INSIST(s.t >= NOW - WEBHOOK_WINDOW_S && s.t <= NOW + WEBHOOK_WINDOW_S);
                INSIST(is_signed(secret, &s, body));
                INSIST(check(secret, header, body, &m) == WEBHOOK_REPLAYED);
        }
        webhook_memory_done(&m);
}

static void check_signed_by_us(const Secret *secret, Str noise, Str body)
{
        const Str parts[] = {STR("1795392000"), STR("."), body};
        char header[HEADER_MAX], hex[DIGEST_HEX];
        WebhookMemory m = {0};
        Digest mac;

        INSIST(secret_hmac(secret, parts, LENGTH_OF(parts), &mac));
        snprintf(header, sizeof header, "t=1795392000,v1=%s", digest_hex(&mac, DIGEST_BYTES, hex));
        INSIST(check(secret, str_of(header), body, &m) == WEBHOOK_TAKEN);
        webhook_memory_done(&m);
        /* As long as the noise is no time of its own, and takes no place of a signature. */
        if (noise.n > 256 || str_find(noise, 't') >= 0 || str_find(noise, '1') >= 0)
                return;
        snprintf(header, sizeof header, "t=1795392000,v1=%s,%.*s", hex, STR_FMT(noise));
        INSIST(check(secret, str_of(header), body, &m) == WEBHOOK_TAKEN);
        webhook_memory_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Secret *secret = secret_new(STR("tskey-webhook-fuzz"));
        Str body = str_make(data, size), header;
        WebhookEvents events;

        IGNORE(str_cut(&body, '\n', &header), "then all of it is header");
        check_given(secret, header, body);
        check_signed_by_us(secret, header, body);
        webhook_events_read(body, &events);
        INSIST(strlen(events.types) < sizeof events.types);
        INSIST(events.n > 0 || events.types[0] == '\0');
        secret_free(secret);
        return 0;
}
