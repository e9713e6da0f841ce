/* SPDX-License-Identifier: Apache-2.0 */
#include "model/port_spec.h"

#include <stdio.h>

enum {
        PORT_MAX = 65535,
        SHOWN_MAX = 32, /* bytes of an item that a fault repeats */
};

/* Always false, for `return say(…)`: what was expected, and where in the whole text it was not. */
static bool say(char expected[EXPECTED_MAX], Str whole, Str at, const char *what)
{
        Str shown = str_sub(at, 0, SHOWN_MAX);

        while (shown.n < at.n && shown.n > 0 && str_utf8(str_sub(at, shown.n, at.n)) == 0)
                shown.n--;
        IGNORE(snprintf(expected, EXPECTED_MAX, "%s, not %.*s%s (byte %zu)", what, STR_FMT(shown),
                        shown.n < at.n ? "…" : "", (size_t)(at.p - whole.p) + 1),
               "cut where too long");
        return false;
}

static bool is_port(Str s, uint16_t *ret)
{
        uint64_t v;

        if (s.n == 0 || !str_to_u64(s, PORT_MAX, &v) || v == 0)
                return false;
        *ret = (uint16_t)v;
        return true;
}

static bool parse_range(Str whole, Str item, PortRange *ret, char expected[EXPECTED_MAX])
{
        Str first, last = item;
        bool is_range = str_cut(&last, '-', &first);

        if (!is_port(first, &ret->first))
                return say(expected, whole, first.n > 0 ? first : item,
                           "a port from 1 to 65535, a range such as 80-90, or *");
        ret->last = ret->first;
        if (!is_range)
                return true;
        if (!is_port(last, &ret->last))
                return say(expected, whole, last.n > 0 ? last : item,
                           "a port from 1 to 65535 as end of the range");
        return ret->first <= ret->last ||
               say(expected, whole, item, "a range that begins with its lower port");
}

/* One item between commas, without space around it. */
static bool parse_item(Str whole, Str item, PortSpec *s, char expected[EXPECTED_MAX])
{
        Str ports = item, protocol;

        if (str_find(item, ':') >= 0) {
                IGNORE(str_cut(&ports, ':', &protocol), "there is one");
                if (str_eq_fold(protocol, STR("udp")))
                        return say(expected, whole, item,
                                   "tcp (UDP does not go through a CONNECT proxy)");
                if (!str_eq_fold(protocol, STR("tcp")))
                        return say(expected, whole, item, "tcp, the one protocol that is carried");
        }
        if (str_eq(ports, STR("*"))) {
                s->any = true;
                return true;
        }
        if (s->n == PORT_RANGES_MAX)
                return say(expected, whole, item, "at most 16 ports and ranges");
        if (!parse_range(whole, ports.n > 0 ? ports : item, &s->ranges[s->n], expected))
                return false;
        s->n++;
        return true;
}

bool port_spec_parse(Str text, PortSpec *ret, char expected[EXPECTED_MAX])
{
        Str rest = text, item;
        PortSpec s = {0};
        bool more;

        do {
                more = str_cut(&rest, ',', &item);
                item = str_trim(item);
                if (item.n == 0) {
                        IGNORE(snprintf(expected, EXPECTED_MAX,
                                        "a port such as \"443\", \"tcp:80-90\" or "
                                        "\"tcp:443,tcp:8080\"%s",
                                        text.n > 0 ? ", and one on each side of a comma" : ""),
                               "short");
                        return false;
                }
                if (!parse_item(text, item, &s, expected))
                        return false;
        } while (more);
        *ret = s;
        return true;
}

PortSpec port_spec_of(uint16_t port)
{
        return (PortSpec){.ranges = {{port, port}}, .n = 1};
}

static bool is_within(const PortRange *r, uint16_t port)
{
        return r->first <= port && port <= r->last;
}

static bool has_before(const PortSpec *s, size_t end, uint16_t port)
{
        for (size_t i = 0; i < end; i++)
                if (is_within(&s->ranges[i], port))
                        return true;
        return false;
}

bool port_spec_has(const PortSpec *s, uint16_t port)
{
        return s->any || has_before(s, s->n, port);
}

/* The lowest port that is above all ranges that begin at or below `from`, and the number of ports
 * that they have from there on: ranges in ascending order, joined where they meet. */
static size_t count_run(const PortSpec *s, unsigned from, unsigned *ret_next)
{
        unsigned begin = PORT_MAX + 1, end;
        bool grew = true;

        for (size_t i = 0; i < s->n; i++) {
                const PortRange *r = &s->ranges[i];
                unsigned first = r->first > from ? r->first : from;

                if (r->last >= from && first < begin)
                        begin = first;
        }
        end = begin;
        while (grew) {
                grew = false;
                for (size_t i = 0; i < s->n; i++) {
                        if (s->ranges[i].first > end || s->ranges[i].last < end)
                                continue;
                        end = s->ranges[i].last + 1U;
                        grew = true;
                }
        }
        *ret_next = end;
        return end - begin;
}

size_t port_spec_count(const PortSpec *s)
{
        size_t n = 0;

        for (unsigned from = 1; from <= PORT_MAX;)
                n += count_run(s, from, &from);
        return n;
}

size_t port_spec_take(const PortSpec *s, uint16_t *ret, size_t max)
{
        size_t n = 0;

        /* What an earlier range had is skipped: fewer than `max` for each, or it would be full. */
        for (size_t i = 0; i < s->n; i++) {
                const PortRange *r = &s->ranges[i];

                for (unsigned p = r->first; p <= r->last && n < max; p++)
                        if (!has_before(s, i, (uint16_t)p))
                                ret[n++] = (uint16_t)p;
        }
        return n;
}

bool port_spec_same(const PortSpec *a, const PortSpec *b)
{
        if (a->n != b->n || a->any != b->any)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (a->ranges[i].first != b->ranges[i].first ||
                    a->ranges[i].last != b->ranges[i].last)
                        return false;
        return true;
}
