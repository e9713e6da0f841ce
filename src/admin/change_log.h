/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ChangeLog: what is another now, told in the log: an endpoint that joined or left and by which
 * rule or for which reason, a host or path that lost, an entry of which nothing can be programmed.
 */

#include "base/log.h"
#include "model/departure.h"
#include "model/report.h"
#include "model/world.h"

enum {
        /* Of one change, each kind; the rest is one line with their number. The first list of a
         * tailnet may have thousands. */
        CHANGE_LOG_LINES_MAX = 20
};

/* `before` may be NULL: there was none. What is the same in both says nothing. What left is
 * remembered in `gone`, as of `at`. */
void change_log_world(Log *log, const World *before, const World *now, Departures *gone, Wall at);
void change_log_report(Log *log, const Report *before, const Report *now);
