/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 *  1. What does not carry a signature of ours costs one HMAC and leaves nothing behind: only what
 *     is taken is remembered.
 *  2. A message is forgotten when its time has left the window, so that it is either remembered or
 *     refused as untimely.
 *  3. Where no more can be remembered nothing is taken; the poll that all these messages ask for is
 *     due anyway.
 */
#include "tailnet/webhook.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "proto/json.h"

struct WebhookSeen {
        Digest mac;
        int64_t t;
};

enum {
        SEEN_FIRST = 16,
        BODY_ARENA_MAX = 16 << 20, /* 64 KiB of the worst JSON are 8 MiB of nodes */
};

/* ---- the header ---- */

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_hex(Str s, Digest *ret)
{
        if (s.n != 2 * (size_t)DIGEST_BYTES)
                return false;
        for (size_t i = 0; i < DIGEST_BYTES; i++) {
                int high = hex_value(s.p[2 * i]), low = hex_value(s.p[2 * i + 1]);

                if (high < 0 || low < 0)
                        return false;
                ret->b[i] = (uint8_t)(high << 4 | low);
        }
        return true;
}

static bool read_time(Str s, WebhookSignature *ret)
{
        uint64_t t;

        /* Far beyond any year that is written with four digits. */
        if (ret->time.n > 0 || !str_to_u64(s, INT64_MAX / 1000, &t))
                return false;
        ret->time = s;
        ret->t = (int64_t)t;
        return true;
}

bool webhook_signature_read(Str header, WebhookSignature *ret)
{
        WebhookSignature s = {0};
        bool more = true;

        while (more) {
                Str value, name;

                more = str_cut(&header, ',', &value);
                if (!str_cut(&value, '=', &name))
                        continue;
                name = str_trim(name);
                value = str_trim(value);
                if (str_eq(name, STR("t")) && !read_time(value, &s))
                        return false;
                if (str_eq(name, STR("v1")) && s.n < WEBHOOK_SIGNATURES_MAX &&
                    read_hex(value, &s.v1[s.n]))
                        s.n++;
        }
        if (s.time.n == 0 || s.n == 0)
                return false;
        *ret = s;
        return true;
}

/* ---- what was there before ---- */

static bool is_in_window(int64_t t, int64_t now)
{
        return t >= now - WEBHOOK_WINDOW_S && t <= now + WEBHOOK_WINDOW_S;
}

static void forget(WebhookMemory *m, int64_t now)
{
        size_t kept = 0;

        for (size_t i = 0; i < m->n; i++) {
                if (m->at[i].t >= now - WEBHOOK_WINDOW_S)
                        m->at[kept++] = m->at[i];
        }
        m->n = kept;
}

static WebhookResult remember(WebhookMemory *m, const Digest *mac, int64_t t, int64_t now)
{
        forget(m, now);
        for (size_t i = 0; i < m->n; i++) {
                if (digest_eq(&m->at[i].mac, mac))
                        return WEBHOOK_REPLAYED;
        }
        if (m->n == WEBHOOK_SEEN_MAX)
                return WEBHOOK_CROWDED;
        if (m->n == m->room) {
                m->room = m->room == 0 ? SEEN_FIRST : 2 * m->room;
                m->at = mem_resize(m->at, m->room * sizeof(*m->at));
        }
        m->at[m->n++] = (WebhookSeen){*mac, t};
        return WEBHOOK_TAKEN;
}

void webhook_memory_done(WebhookMemory *m)
{
        mem_free(m->at);
        *m = (WebhookMemory){0};
}

WebhookResult webhook_check(const Secret *secret, Str header, Str body, Wall now, WebhookMemory *m)
{
        WebhookSignature s;
        int64_t now_s = now.ms / 1000;
        Digest mac;
        bool is_ours = false;

        if (!webhook_signature_read(header, &s))
                return WEBHOOK_UNSIGNED;
        if (!is_in_window(s.t, now_s))
                return WEBHOOK_UNTIMELY;
        const Str parts[] = {s.time, STR("."), body};
        if (!secret_hmac(secret, parts, LENGTH_OF(parts), &mac))
                return WEBHOOK_UNKNOWN;
        /* All are compared, so that the time does not tell which was right. */
        for (size_t i = 0; i < s.n; i++)
                is_ours = digest_eq_secret(&s.v1[i], &mac) || is_ours;
        return is_ours ? remember(m, &mac, s.t, now_s) : WEBHOOK_FORGED;
}

/* ---- the body ---- */

/* As a member of the list, once. */
static void add_type(char *types, size_t room, Str type)
{
        size_t n = strlen(types);
        Str rest = str_make(types, n), one;
        bool more = true;

        while (more) {
                more = str_cut(&rest, ',', &one);
                if (str_eq(str_trim(one), type))
                        return;
        }
        if (n + 2 + type.n >= room)
                return;
        if (n > 0) {
                memcpy(types + n, ", ", 2);
                n += 2;
        }
        memcpy(types + n, type.p, type.n);
        types[n + type.n] = '\0';
}

static bool is_word(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
                        return false;
        }
        return s.n > 0;
}

void webhook_events_read(Str body, WebhookEvents *ret)
{
        CLEANUP(arena_done) Arena arena;
        const Tree *root;

        arena_init(&arena, BODY_ARENA_MAX);
        *ret = (WebhookEvents){0};
        root = json_read(&arena, body, NULL, NULL);
        if (root == NULL || root->type != TREE_ARRAY)
                return;
        TREE_FOREACH (event, root) {
                if (event->type != TREE_OBJECT)
                        continue;
                ret->n++;
                Str type = tree_get_str(event, STR("type"));
                if (is_word(type))
                        add_type(ret->types, sizeof(ret->types), type);
        }
}
