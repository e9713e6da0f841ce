/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Text ends in conditions, JSON and one line of a log: what is no printable UTF-8 becomes '?', also
 * the sequence that the end of the buffer has cut in two. */
static void clean(char *text)
{
        Str s = str_of(text);

        while (s.n > 0) {
                size_t len = str_utf8(s);
                char *at = text + (s.p - text);

                if (len == 0 || (len == 1 && ((unsigned char)*at < 0x20 || *at == 0x7f))) {
                        *at = *at == '\n' || *at == '\t' ? ' ' : '?';
                        len = 1;
                }
                s = str_sub(s, len, s.n);
        }
}

/* By way of a copy, because the reason may be err's own. */
static void set(Err *err, ErrKind kind, const char *reason)
{
        char copy[ERR_REASON_MAX];

        IGNORE(snprintf(copy, sizeof(copy), "%s", reason), "cut at its size");
        memcpy(err->reason, copy, sizeof(copy));
        err->kind = kind;
}

bool err_set(Err *err, ErrKind kind, const char *reason, const char *fmt, ...)
{
        char text[ERR_TEXT_MAX];
        va_list ap;

        if (err == NULL)
                return false;
        /* By way of a copy, because an argument may be err->text itself. */
        va_start(ap, fmt);
        IGNORE(vsnprintf(text, sizeof(text), fmt, ap), "cut at its size");
        va_end(ap);
        clean(text);
        set(err, kind, reason);
        memcpy(err->text, text, sizeof(text));
        return false;
}

/* Makes "head: tail" of `text`, which holds the head, cut at its size. */
static void join(char text[ERR_TEXT_MAX], const char *tail)
{
        size_t n = strlen(text);
        Str parts[] = {STR(": "), str_of(tail)};

        for (size_t i = 0; i < LENGTH_OF(parts); i++) {
                Str part = str_sub(parts[i], 0, ERR_TEXT_MAX - 1 - n);

                memcpy(text + n, part.p, part.n);
                n += part.n;
        }
        text[n] = '\0';
        clean(text);
}

bool err_prefix(Err *err, const char *fmt, ...)
{
        char text[ERR_TEXT_MAX];
        va_list ap;

        if (err == NULL)
                return false;
        va_start(ap, fmt);
        IGNORE(vsnprintf(text, sizeof(text), fmt, ap), "cut at its size");
        va_end(ap);
        join(text, err->text);
        memcpy(err->text, text, sizeof(text));
        return false;
}

bool err_errno(Err *err, int errnum, const char *fmt, ...)
{
        static const struct {
                int errnum;
                ErrKind kind;
                const char *reason;
        } meanings[] = {
                {ENOENT, ERR_MISSING, "NotFound"},
                {ENOTDIR, ERR_MISSING, "NotFound"},
                {ENODEV, ERR_MISSING, "NotFound"},
                {EACCES, ERR_DENIED, "PermissionDenied"},
                {EPERM, ERR_DENIED, "PermissionDenied"},
                {EROFS, ERR_DENIED, "ReadOnly"},
                {EEXIST, ERR_CONFLICT, "AlreadyExists"},
                {EADDRINUSE, ERR_CONFLICT, "AddressInUse"},
                {EINVAL, ERR_INVALID, "Invalid"},
                {ENAMETOOLONG, ERR_INVALID, "NameTooLong"},
                {ELOOP, ERR_INVALID, "TooManyLinks"},
                {EISDIR, ERR_INVALID, "IsDirectory"},
                {EADDRNOTAVAIL, ERR_INVALID, "AddressNotAvailable"},
                {EFBIG, ERR_LIMIT, "TooLarge"},
                {E2BIG, ERR_LIMIT, "TooLarge"},
                {ENOSPC, ERR_TRANSIENT, "NoSpace"},
                {ECONNREFUSED, ERR_TRANSIENT, "ConnectionRefused"},
                {ETIMEDOUT, ERR_TRANSIENT, "Timeout"},
        };
        ErrKind kind = ERR_TRANSIENT;
        const char *reason = "SystemError", *desc = strerrordesc_np(errnum);
        char text[ERR_TEXT_MAX];
        va_list ap;

        if (err == NULL)
                return false;
        for (size_t i = 0; i < LENGTH_OF(meanings); i++) {
                if (meanings[i].errnum == errnum) {
                        kind = meanings[i].kind;
                        reason = meanings[i].reason;
                        break;
                }
        }
        va_start(ap, fmt);
        IGNORE(vsnprintf(text, sizeof(text), fmt, ap), "cut at its size");
        va_end(ap);
        join(text, desc != NULL ? desc : "unknown error");
        set(err, kind, reason);
        memcpy(err->text, text, sizeof(text));
        return false;
}

const char *err_kind_name(ErrKind kind)
{
        static const char *const names[] = {
                [ERR_NONE] = "none",     [ERR_INVALID] = "invalid",   [ERR_MISSING] = "missing",
                [ERR_DENIED] = "denied", [ERR_CONFLICT] = "conflict", [ERR_TRANSIENT] = "transient",
                [ERR_LIMIT] = "limit",
        };

        return (size_t)kind < LENGTH_OF(names) ? names[kind] : "unknown";
}
