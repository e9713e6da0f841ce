/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log core: one line per decision: level, constant message, fields. It formats; where the bytes go
 * is the sink that app gives (which never blocks: what a full pipe refuses is counted and dropped).
 * Base holds no global: a Log is handed down.
 *
 * Text: `2026-11-22T20:58:01Z INFO  tailnet synced tailnet=team-a/corp devices=3`
 * JSON: one object a line, keys time, level, msg, then the fields.
 */

#include "base/instant.h"

typedef enum LogLevel {
        LOG_ERROR,
        LOG_WARN,
        LOG_INFO,
        LOG_DEBUG
} LogLevel;

typedef struct LogField {
        const char *key; /* NULL ends a list */
        enum {
                LOG_FIELD_STR,
                LOG_FIELD_INT
        } kind;
        Str str;
        int64_t num;
} LogField;

#define LOG_STR(key, s)  ((LogField){(key), LOG_FIELD_STR, (s), 0})
#define LOG_CSTR(key, s) ((LogField){(key), LOG_FIELD_STR, str_of(s), 0})
#define LOG_INT(key, i)  ((LogField){(key), LOG_FIELD_INT, {0}, (int64_t)(i)})

enum {
        LOG_LINE_MAX = 4096,
        LOG_FIELDS_MAX = 16
};

typedef struct Log Log;
struct Log {
        LogLevel level; /* what is above it is not formatted */
        bool json;
        Wall (*now)(void *ctx);
        void (*write)(void *ctx,
                      Str line); /* line ends in \n; must not block; NULL: nothing happens */
        void *ctx;               /* of both */
        uint64_t dropped;        /* lines that the sink refused; it counts them */
};

/* Use the macros. Values are escaped (quotes, control characters) and a line is cut at
 * LOG_LINE_MAX. `log` may be NULL: nothing happens. */
void log_write(Log *log, LogLevel level, const char *msg, const LogField *fields, size_t n);

/* The first member is there so that there is one where no field is given. */
#define LOG_AT(log, lvl, msg, ...)                                                   \
        do {                                                                         \
                const LogField fields_[] = {LOG_CSTR(NULL, NULL), ##__VA_ARGS__};    \
                log_write((log), (lvl), (msg), fields_ + 1, LENGTH_OF(fields_) - 1); \
        } while (0)
#define log_error(log, ...) LOG_AT(log, LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  LOG_AT(log, LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  LOG_AT(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) LOG_AT(log, LOG_DEBUG, __VA_ARGS__)

/* "error", "warn", "info", "debug"; false if none of them. */
bool log_level_parse(Str s, LogLevel *ret);
/* The same the other way round. */
Str log_level_name(LogLevel level);
