/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts (tailscale.com/ipn/ipnstate.Status):
 *
 *  - Peers are told in every state that has a netmap, and none without one. So a list counts only
 *    in the state "Running" of a node that is in its netmap: before, it is empty, and the tailnet
 *    is not.
 *  - Self is not among the peers. `Self.Online` false: control is not reached just now, and the
 *    peers are those of the last netmap.
 *  - HaveNodeKey is left out where it is false.
 *  - User has the profile of each UserID; it comes behind the peers.
 */
#include "tailnet/local_status.h"

#include "base/map.h"
#include "base/mem.h"
#include "proto/json_stream.h"
#include "tailnet/device_list.h"

#include <stdio.h>

enum {
        PART_PEERS,
        PART_STATE,
        PART_HAVE_KEY,
        PART_SELF,
        PART_TAILNET,
        PART_OLD_SUFFIX,
        PART_USERS,
        PARTS
};

struct LocalStatus {
        DeviceList *list;   /* owned */
        JsonStream *stream; /* owned */
        JsonStreamPart parts[PARTS];
        Arena arena; /* of logins */
        Map logins;  /* UserID in decimal -> Str */
        char state[32];
        char suffix[254], old_suffix[254];
        char self_node[129];
        bool has_key, has_self, in_netmap, is_online;
};

static bool on_peer(void *ctx, const Tree *e, Err *err)
{
        return device_list_add(((LocalStatus *)ctx)->list, e, err);
}

/* A text that fits, or nothing. */
static void copy_text(Str s, char *to, size_t room)
{
        if (s.n >= room || !str_is_printable_utf8(s))
                s = (Str){0};
        IGNORE(snprintf(to, room, "%.*s", STR_FMT(s)), "it fits");
}

static bool on_state(void *ctx, const Tree *e, Err *err)
{
        LocalStatus *s = ctx;

        (void)err;
        copy_text(tree_str(e), s->state, sizeof(s->state));
        return true;
}

static bool on_have_key(void *ctx, const Tree *e, Err *err)
{
        (void)err;
        ((LocalStatus *)ctx)->has_key = tree_bool(e, false);
        return true;
}

static bool on_self(void *ctx, const Tree *e, Err *err)
{
        LocalStatus *s = ctx;

        (void)err;
        copy_text(str_trim(tree_get_str(e, STR("ID"))), s->self_node, sizeof(s->self_node));
        s->has_self = s->self_node[0] != '\0';
        s->in_netmap = tree_get_bool(e, STR("InNetworkMap"), false);
        s->is_online = tree_get_bool(e, STR("Online"), true);
        return true;
}

/* Lower case, no dots around. */
static void copy_suffix(Str suffix, char *to, size_t room)
{
        while (suffix.n > 0 && suffix.p[0] == '.')
                suffix = str_sub(suffix, 1, suffix.n);
        while (suffix.n > 0 && suffix.p[suffix.n - 1] == '.')
                suffix.n--;
        copy_text(suffix, to, room);
        for (char *c = to; *c != '\0'; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c - 'A' + 'a');
}

static bool on_tailnet(void *ctx, const Tree *e, Err *err)
{
        LocalStatus *s = ctx;

        (void)err;
        copy_suffix(tree_get_str(e, STR("MagicDNSSuffix")), s->suffix, sizeof(s->suffix));
        return true;
}

static bool on_old_suffix(void *ctx, const Tree *e, Err *err)
{
        LocalStatus *s = ctx;

        (void)err;
        copy_suffix(tree_str(e), s->old_suffix, sizeof(s->old_suffix));
        return true;
}

static bool on_user(void *ctx, const Tree *e, Err *err)
{
        LocalStatus *s = ctx;
        const Tree *id = tree_get(e, STR("ID"));
        Str *login;

        if (id == NULL || id->type != TREE_NUMBER || map_get(&s->logins, id->text) != NULL)
                return true;
        if (s->logins.n == LOCAL_USERS_MAX)
                return err_set(err, ERR_LIMIT, "TooManyUsers", "more than %d users",
                               LOCAL_USERS_MAX);
        login = ARENA_NEW(&s->arena, Str);
        *login = arena_str(&s->arena, tree_get_str(e, STR("LoginName")));
        map_put(&s->logins, arena_str(&s->arena, id->text), login);
        return true;
}

static const Str self_members[] = {STR_INIT("ID"), STR_INIT("InNetworkMap"), STR_INIT("Online")};
static const Str tailnet_members[] = {STR_INIT("MagicDNSSuffix")};
static const Str user_members[] = {STR_INIT("ID"), STR_INIT("LoginName")};

/* Without that of the peers. */
static const JsonStreamPart parts[PARTS] = {
        [PART_STATE] = {.name = STR_INIT("BackendState"),
                        .take = JSON_STREAM_WHOLE,
                        .on_element = on_state},
        [PART_HAVE_KEY] = {.name = STR_INIT("HaveNodeKey"),
                           .take = JSON_STREAM_WHOLE,
                           .optional = true,
                           .on_element = on_have_key},
        [PART_SELF] = {.name = STR_INIT("Self"),
                       .take = JSON_STREAM_WHOLE,
                       .optional = true,
                       .on_element = on_self,
                       .keep = {self_members, LENGTH_OF(self_members)}},
        [PART_TAILNET] = {.name = STR_INIT("CurrentTailnet"),
                          .take = JSON_STREAM_WHOLE,
                          .optional = true,
                          .on_element = on_tailnet,
                          .keep = {tailnet_members, LENGTH_OF(tailnet_members)}},
        [PART_OLD_SUFFIX] = {.name = STR_INIT("MagicDNSSuffix"),
                             .take = JSON_STREAM_WHOLE,
                             .optional = true,
                             .on_element = on_old_suffix},
        [PART_USERS] = {.name = STR_INIT("User"),
                        .take = JSON_STREAM_MEMBERS,
                        .optional = true,
                        .on_element = on_user,
                        .keep = {user_members, LENGTH_OF(user_members)}},
};

LocalStatus *local_status_new(Str suffix, const Table *before)
{
        LocalStatus *s = mem_new(sizeof(*s));

        s->list = device_list_new(DEVICE_SHAPE_LOCAL, suffix, before);
        memcpy(s->parts, parts, sizeof(parts));
        s->parts[PART_PEERS] = *device_list_part(DEVICE_SHAPE_LOCAL);
        s->parts[PART_PEERS].on_element = on_peer;
        s->stream = json_stream_new_parts(s->parts, PARTS, s);
        arena_init(&s->arena, 0);
        map_init(&s->logins);
        return s;
}

LocalStatus *local_status_free(LocalStatus *s)
{
        if (s == NULL)
                return NULL;
        json_stream_free(s->stream);
        device_list_free(s->list);
        map_done(&s->logins);
        arena_done(&s->arena);
        return mem_free(s);
}

bool local_status_feed(LocalStatus *s, Str bytes, Err *err)
{
        return json_stream_feed(s->stream, bytes, err);
}

/* --- is it an answer? --- */

typedef struct StateMeaning {
        const char *state;
        ErrKind kind; /* ERR_NONE: it may be an answer */
        const char *reason, *text;
} StateMeaning;

static const StateMeaning states[] = {
        {"Running", ERR_NONE, NULL, NULL},
        {"NeedsLogin", ERR_DENIED, "NeedsLogin",
         "tailscaled is not logged in to a tailnet, or its key has expired: run `tailscale up`"},
        {"NeedsMachineAuth", ERR_DENIED, "NeedsMachineAuth",
         "this machine waits for approval: an admin of the tailnet must approve it"},
        {"Stopped", ERR_DENIED, "Stopped", "tailscaled is logged in, and down: run `tailscale up`"},
        {"InUseOtherUser", ERR_DENIED, "InUseOtherUser",
         "another user of this machine uses tailscaled: run `tailscale switch`, or log that one "
         "out"},
        {"Starting", ERR_TRANSIENT, "Starting",
         "tailscaled is starting; where this lasts, it does not reach its control server"},
        {"NoState", ERR_TRANSIENT, "Starting",
         "tailscaled has just begun; where this lasts, run `tailscale up`"},
};

static bool check_state(const LocalStatus *s, Err *err)
{
        for (size_t i = 0; i < LENGTH_OF(states); i++) {
                const StateMeaning *m = &states[i];

                if (strcmp(m->state, s->state) != 0)
                        continue;
                return m->kind == ERR_NONE || err_set(err, m->kind, m->reason, "%s", m->text);
        }
        return err_set(err, ERR_INVALID, "UnknownState", "tailscaled is in a state \"%s\"",
                       s->state);
}

static bool check_netmap(const LocalStatus *s, Err *err)
{
        if (s->has_key && s->has_self && s->in_netmap)
                return true;
        return err_set(err, ERR_TRANSIENT, "NoNetmap",
                       "tailscaled has not yet heard from its control server who its peers are%s",
                       s->has_key ? "" : " (it has no node key)");
}

static Str login_of(void *ctx, Str id)
{
        const Str *login = map_get(&((LocalStatus *)ctx)->logins, id);

        return login != NULL ? *login : (Str){0};
}

void local_status_finish(LocalStatus *s, TailnetAnswer *ret)
{
        const char *suffix = s->suffix[0] != '\0' ? s->suffix : s->old_suffix;

        if (!json_stream_finish(s->stream, &ret->err) || !check_state(s, &ret->err) ||
            !check_netmap(s, &ret->err))
                return;
        device_list_complete(s->list, str_of(suffix), login_of, s);
        device_list_finish(s->list, ret);
        IGNORE(snprintf(ret->suffix, sizeof(ret->suffix), "%s", suffix), "same size");
        IGNORE(snprintf(ret->self_node, sizeof(ret->self_node), "%s", s->self_node), "same size");
        if (!s->is_online)
                IGNORE(snprintf(ret->warning, sizeof(ret->warning),
                                "tailscaled does not reach its control server: its peers are those "
                                "of when it last did"),
                       "it fits");
}
