/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about the notifications (tailscale.com/ipn.Notify, declared not stable):
 *
 *  - Members that say nothing are null or left out.
 *  - PeerChangedPatch is a list of objects, each with NodeID and what changed of that peer. Where
 *    its packets go (DERPRegion, Endpoints, keys) moves all day and is nothing that we keep; a
 *    member that is not known here may be anything, so it counts.
 *  - Before 1.98 there are no peer changes; each change sends the whole NetMap.
 *  - Engine (counters), Health (texts), Prefs, files and links to browse are not about peers.
 *
 * Only what is needed to tell names from values is checked: strings, brackets, what begins a
 * notification. The answer only brings forward a look at the whole state, which is checked.
 */
#include "tailnet/bus_scan.h"

static const Str telling[] = {
        STR_INIT("InitialStatus"), STR_INIT("LoginFinished"), STR_INIT("NetMap"),
        STR_INIT("PeersChanged"),  STR_INIT("PeersRemoved"),  STR_INIT("SelfChange"),
        STR_INIT("State"),         STR_INIT("UserProfiles"),
};
/* Of one patch: the others tell. */
static const Str quiet[] = {
        STR_INIT("NodeID"),     STR_INIT("Cap"),          STR_INIT("CapMap"),
        STR_INIT("DERPRegion"), STR_INIT("DiscoKey"),     STR_INIT("Endpoints"),
        STR_INIT("Key"),        STR_INIT("KeySignature"), STR_INIT("LastSeen"),
};

void bus_scan_init(BusScan *s)
{
        *s = (BusScan){0};
}

static bool refuse(const char *what, char c, Err *err)
{
        return err_set(err, ERR_INVALID, "NoNotifications",
                       "%s (byte 0x%02x) in what should be notifications of tailscaled", what,
                       (unsigned)(unsigned char)c);
}

/* Inside an object at a depth where names matter? */
static bool is_at_names(const BusScan *s)
{
        return (s->depth == 1 || (s->depth == 3 && s->in_patch)) && s->is_object[s->depth];
}

/* `name` has a value that is not null. */
static bool name_tells(BusScan *s)
{
        Str name = str_make(s->name, s->name_n);

        if (s->name_n > BUS_NAME_MAX)
                return s->depth == 3;
        if (s->depth == 3)
                return !strlist_has((StrList){quiet, LENGTH_OF(quiet)}, name);
        s->in_patch = str_eq(name, STR("PeerChangedPatch"));
        return strlist_has((StrList){telling, LENGTH_OF(telling)}, name);
}

static bool string_byte(BusScan *s, char c, Err *err)
{
        if ((unsigned char)c < ' ')
                return refuse("a control character", c, err);
        if (s->escaped || c == '\\') {
                s->escaped = !s->escaped;
                /* None of the names that we know needs an escape. */
                s->name_n = BUS_NAME_MAX + 1;
        } else if (c == '"') {
                s->in_string = s->in_name = false;
        } else if (s->in_name) {
                if (s->name_n < BUS_NAME_MAX)
                        s->name[s->name_n] = c;
                s->name_n += s->name_n <= BUS_NAME_MAX;
        }
        return true;
}

static void begin_string(BusScan *s)
{
        s->in_string = true;
        s->in_name = s->wants_name && is_at_names(s);
        if (s->in_name)
                s->name_n = 0;
        s->wants_name = false;
}

static bool open_bracket(BusScan *s, char c, Err *err)
{
        if (s->depth == BUS_DEPTH_MAX)
                return refuse("nested too deep", c, err);
        s->depth++;
        if (s->depth < LENGTH_OF(s->is_object))
                s->is_object[s->depth] = c == '{';
        s->wants_name = c == '{';
        return true;
}

static bool close_bracket(BusScan *s, char c, Err *err)
{
        if (s->depth == 0)
                return refuse("a bracket that none opened", c, err);
        s->depth--;
        s->wants_name = false;
        if (s->depth <= 1)
                s->in_patch = false;
        return true;
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool outer_byte(BusScan *s, char c, bool *ret, Err *err)
{
        if (is_space(c))
                return true;
        if (s->depth == 0 && c != '{')
                return refuse("no object", c, err);
        if (s->wants_value) {
                s->wants_value = false;
                if (c != 'n' && name_tells(s))
                        *ret = true;
        }
        switch (c) {
        case '"':
                begin_string(s);
                return true;
        case '{':
        case '[':
                return open_bracket(s, c, err);
        case '}':
        case ']':
                return close_bracket(s, c, err);
        case ',':
                s->wants_name = is_at_names(s);
                return true;
        case ':':
                s->wants_value = is_at_names(s);
                return true;
        default:
                return true;
        }
}

bool bus_scan_feed(BusScan *s, Str bytes, bool *ret, Err *err)
{
        for (size_t i = 0; i < bytes.n; i++) {
                char c = bytes.p[i];

                if (!(s->in_string ? string_byte(s, c, err) : outer_byte(s, c, ret, err)))
                        return false;
        }
        return true;
}
