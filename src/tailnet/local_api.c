/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts: who may connect is decided by the socket's permissions, and by tailscaled by who connects:
 * its own user and root may change things, others may read. It answers 403 in one line of text to
 * another Host, and to whom it does not trust.
 */
#include "tailnet/local_api.h"

#include <errno.h>

enum {
        WORDS_MAX = 120 /* of the daemon's own words that are shown */
};

static bool explain_connect(const HttpResult *result, const char *socket, Err *err)
{
        switch (result->errnum) {
        case ENOENT:
        case ENOTDIR:
                return err_set(err, ERR_MISSING, "NoSocket",
                               "there is no socket %s: tailscaled does not run, or has another "
                               "(its flag --socket)",
                               socket);
        case EACCES:
        case EPERM:
                return err_set(err, ERR_DENIED, "SocketDenied",
                               "no permission to connect to %s: run as a user who may, or give the "
                               "socket's directory and the socket other permissions",
                               socket);
        case ECONNREFUSED:
                return err_set(err, ERR_TRANSIENT, "NotListening",
                               "nobody listens on %s: tailscaled has ended", socket);
        default:
                *err = result->err;
                return false;
        }
}

/* The first line of the body, where it is fit to be shown. */
static Str words_of(const HttpResult *result)
{
        Str rest = result->body, line;

        IGNORE(str_cut(&rest, '\n', &line), "gives the whole where there is none");
        line = str_trim(line);
        return line.n <= WORDS_MAX && str_is_printable_utf8(line) ? line : (Str){0};
}

static bool explain_status(const HttpResult *result, const char *socket, Err *err)
{
        Str words = words_of(result);

        if (result->status == 401 || result->status == 403)
                return err_set(err, ERR_DENIED, "Forbidden",
                               "%s refuses us (status %u: %.*s): run as root, as the user of "
                               "tailscaled, or as its operator (`tailscale set --operator=USER`)",
                               socket, result->status, STR_FMT(words));
        if (result->status >= 500 || result->status == 408 || result->status == 429)
                return err_set(err, ERR_TRANSIENT, "ServerError",
                               "%s answered with status %u: %.*s", socket, result->status,
                               STR_FMT(words));
        return err_set(err, ERR_INVALID, "NotTailscaled",
                       "%s answered with status %u: is it the socket of a tailscaled?", socket,
                       result->status);
}

bool local_api_check(const HttpResult *result, const char *socket, Err *err)
{
        if (result->errnum != 0)
                return explain_connect(result, socket, err);
        if (result->err.kind != ERR_NONE) {
                *err = result->err;
                return false;
        }
        if (result->status != 200)
                return explain_status(result, socket, err);
        return true;
}
