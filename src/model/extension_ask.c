/* SPDX-License-Identifier: Apache-2.0 */
#include "model/extension_ask.h"

#include "model/gateway_spec.h"
#include "model/policy.h"
#include "model/quantity.h"

static const char *const kinds[AMOUNT_KINDS] = {"cpu", "ephemeral-storage", "memory"};
static const char *const bounds[AMOUNT_BOUNDS] = {"limits", "requests"};
static const char *const flags[AMOUNT_KINDS] = {"--max-extension-cpu", "--max-extension-storage",
                                                "--max-extension-memory"};

const char *amount_kind_name(AmountKind kind)
{
        return kinds[kind];
}

const char *extension_caps_flag(AmountKind kind)
{
        return flags[kind];
}

/* --- one --- */

static bool find_kind(Str name, AmountKind *ret)
{
        for (AmountKind k = 0; k < AMOUNT_KINDS; k++) {
                if (str_eq(name, str_of(kinds[k]))) {
                        *ret = k;
                        return true;
                }
        }
        return false;
}

void extension_ask_resources(ExtensionAsk *ask, const Tree *node)
{
        for (AmountBound b = 0; b < AMOUNT_BOUNDS; b++) {
                TREE_FOREACH (amount, tree_get(node, str_of(bounds[b]))) {
                        AmountKind kind;

                        if (!find_kind(amount->key, &kind) ||
                            !quantity_parse(amount->text, &ask->resources.at[b][kind]))
                                ask->has_others = true;
                }
        }
}

static bool amounts_same(const Amounts *a, const Amounts *b)
{
        for (AmountBound i = 0; i < AMOUNT_BOUNDS; i++)
                for (AmountKind k = 0; k < AMOUNT_KINDS; k++)
                        if (a->at[i][k] != b->at[i][k])
                                return false;
        return true;
}

bool extension_ask_same(const ExtensionAsk *a, const ExtensionAsk *b)
{
        return str_eq(a->image, b->image) && a->replicas == b->replicas &&
               a->has_others == b->has_others && amounts_same(&a->resources, &b->resources);
}

/* --- all --- */

/* Objects of one age go by name, as where ages are unknown. */
static bool is_older(const GatewaySpec *a, const GatewaySpec *b)
{
        if (a->meta.created.ms != b->meta.created.ms)
                return a->meta.created.ms < b->meta.created.ms;
        return object_key_cmp(a->meta.key, b->meta.key) < 0;
}

static int64_t capped(int64_t wish, int64_t cap)
{
        return cap > 0 && wish > cap ? cap : wish;
}

static void add_amounts(Amounts *to, const Amounts *asked, const Amounts *base,
                        const ExtensionCaps *caps)
{
        for (AmountBound b = 0; b < AMOUNT_BOUNDS; b++) {
                for (AmountKind k = 0; k < AMOUNT_KINDS; k++) {
                        int64_t wish = asked->at[b][k] > 0
                                               ? capped(asked->at[b][k], caps->amounts[k])
                                               : base->at[b][k];

                        if (wish > to->at[b][k])
                                to->at[b][k] = wish;
                }
        }
}

/* The largest request may be above the largest limit, when others asked for them. */
static void lift_limits(Amounts *a)
{
        for (AmountKind k = 0; k < AMOUNT_KINDS; k++) {
                int64_t *limit = &a->at[AMOUNT_LIMIT][k];

                if (*limit > 0 && *limit < a->at[AMOUNT_REQUEST][k])
                        *limit = a->at[AMOUNT_REQUEST][k];
        }
}

void extension_wish_make(const Table *gateways, const struct Policy *policy,
                         const ExtensionWish *base, ExtensionWish *ret)
{
        ExtensionWish wish = {.image = base->image, .caps = base->caps};

        if (table_n(gateways) == 0)
                wish = *base;
        TABLE_FOREACH (GatewaySpec, g, gateways) {
                const ExtensionAsk *ask = &g->extension;
                int32_t asked = (int32_t)capped(ask->replicas, base->caps.replicas);
                int32_t replicas = asked > 0 ? asked : base->replicas;

                if (replicas > wish.replicas)
                        wish.replicas = replicas;
                add_amounts(&wish.resources, &ask->resources, &base->resources, &base->caps);
                if (ask->image.n > 0 && policy_admits_image(policy, ask->image, NULL) &&
                    (wish.from == NULL || is_older(g, wish.from)))
                        wish.from = g;
        }
        if (wish.from != NULL && base->image.n > 0)
                wish.image = wish.from->extension.image;
        else
                wish.from = NULL;
        lift_limits(&wish.resources);
        *ret = wish;
}

static bool asks_at_all(const ExtensionAsk *ask)
{
        static const ExtensionAsk nothing;

        return !extension_ask_same(ask, &nothing);
}

static bool ignored(Err *ret, Str text)
{
        err_set(ret, ERR_DENIED, "ExtensionServerIgnored", "extensionServer%.*s", STR_FMT(text));
        return true;
}

static bool image_ignored(const ExtensionWish *wish, const ExtensionAsk *ask,
                          const struct Policy *policy, Err *ret)
{
        char key[OBJECT_KEY_TEXT];
        Err why = {0};

        if (!policy_admits_image(policy, ask->image, &why)) {
                err_set(ret, ERR_DENIED, "ExtensionServerIgnored", "extensionServer: %s", why.text);
                return true;
        }
        if (wish->from == NULL || str_eq(wish->image, ask->image))
                return false;
        err_set(ret, ERR_DENIED, "ExtensionServerIgnored",
                "extensionServer.image: there is one for the whole cluster, and %.*s, which is "
                "older, asks for %.*s",
                STR_FMT(object_key_text(wish->from->meta.key, key)), STR_FMT(wish->image));
        return true;
}

/* More of it than there is to be had. */
static bool is_beyond(const ExtensionCaps *caps, const ExtensionAsk *ask, Err *ret)
{
        char max[QUANTITY_TEXT];

        if (caps->replicas > 0 && ask->replicas > caps->replicas) {
                err_set(ret, ERR_DENIED, "ExtensionServerIgnored",
                        "extensionServer.replicas: %d at most (--max-extension-replicas)",
                        (int)caps->replicas);
                return true;
        }
        for (AmountBound b = 0; b < AMOUNT_BOUNDS; b++) {
                for (AmountKind k = 0; k < AMOUNT_KINDS; k++) {
                        if (caps->amounts[k] == 0 || ask->resources.at[b][k] <= caps->amounts[k])
                                continue;
                        err_set(ret, ERR_DENIED, "ExtensionServerIgnored",
                                "extensionServer.resources.%s.%s: %s at most (%s)", bounds[b],
                                kinds[k], quantity_format(caps->amounts[k], k != AMOUNT_CPU, max),
                                flags[k]);
                        return true;
                }
        }
        return false;
}

bool extension_wish_ignores(const ExtensionWish *wish, const struct GatewaySpec *gateway,
                            const struct Policy *policy, Err *ret)
{
        const ExtensionAsk *ask = &gateway->extension;

        if (!asks_at_all(ask))
                return false;
        if (wish->image.n == 0)
                return ignored(ret, STR(": none is managed here"));
        if (ask->image.n > 0 && image_ignored(wish, ask, policy, ret))
                return true;
        if (is_beyond(&wish->caps, ask, ret))
                return true;
        return ask->has_others &&
               ignored(ret, STR(".resources: only cpu, memory and ephemeral-storage below 8Pi are "
                                "honoured"));
}
