/* SPDX-License-Identifier: Apache-2.0 */
#include "io/fd_limit.h"

#include <sys/resource.h>

FdLimit fd_limit_raise(uint64_t wanted)
{
        struct rlimit l = {0};
        FdLimit ret = {0};
        IGNORE(getrlimit(RLIMIT_NOFILE, &l), "cannot fail for a resource that exists");
        ret = (FdLimit){.before = l.rlim_cur, .now = l.rlim_cur, .most = l.rlim_max};
        if (l.rlim_cur >= wanted)
                return ret;
        l.rlim_cur = l.rlim_max < wanted ? l.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &l) == 0)
                ret.now = l.rlim_cur;
        return ret;
}
