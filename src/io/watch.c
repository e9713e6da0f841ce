/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify says at once that something changed; a poll says which directory the path means by now.
 *
 * 1. `seen` is the identity (device, inode; zero: none) of the directory that was last found at the
 *    path, links followed. It is taken before the watch is added: were the directory replaced in
 *    between, the next poll finds another identity and looks again. The other order would miss it.
 * 2. wd >= 0 while inotify watches a directory. An event of an older wd is a change as well.
 * 3. Where inotify cannot be relied on (no watch to be had, or a file system that others change
 *    without telling this kernel), the poll compares a fingerprint of the entries.
 * 4. burst is set while the quiet timer is: the time of the first change not yet told.
 */
#include "io/watch.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Not in every linux/magic.h. */
#define MAGIC_FUSE INT64_C(0x65735546)
#define MAGIC_SMB2 INT64_C(0xfe534d42)
#define MAGIC_CIFS INT64_C(0xff534d42)
#define MAGIC_CEPH INT64_C(0x00c36400)

enum {
        POLL_MS = 500,
        QUIET_MS = 50,
        BURST_MS = 300,
        ENTRIES_MAX = 10000, /* of a fingerprint: bounds the time of one poll */
        EVENTS_ROOM = 16 * 1024,
};

typedef struct Identity {
        dev_t dev;
        ino_t ino; /* 0: there is no directory */
} Identity;

struct DirWatch {
        Loop *loop;
        DirWatchFn *fn;
        void *owner; /* borrowed */
        char *path;  /* owned */
        int fd, wd;  /* inotify's; -1: none */
        FdSource source;
        Timer poll, quiet;
        Mono burst;
        Identity seen;
        bool is_remote; /* of the directory: others may change it unseen */
        uint64_t fingerprint;
};

static void on_quiet(Timer *t)
{
        DirWatch *w = CONTAINER_OF(t, DirWatch, quiet);

        w->burst = (Mono){0};
        w->fn(w);
}

static void note_change(DirWatch *w)
{
        Mono now = loop_now(w->loop), at = mono_add(now, SPAN_MS(QUIET_MS)), latest;

        if (!timer_is_set(&w->quiet))
                w->burst = now;
        latest = mono_add(w->burst, SPAN_MS(BURST_MS));
        timer_set(&w->quiet, mono_before(latest, at) ? latest : at);
}

static bool same(Identity a, Identity b)
{
        return a.dev == b.dev && a.ino == b.ino;
}

static Identity identify(const char *path)
{
        struct stat st;

        if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
                return (Identity){0};
        return (Identity){st.st_dev, st.st_ino};
}

static bool is_on_remote(const char *path)
{
        static const int64_t magics[] = {NFS_SUPER_MAGIC, V9FS_MAGIC, MAGIC_FUSE,
                                         MAGIC_SMB2,      MAGIC_CIFS, MAGIC_CEPH};
        struct statfs fs;

        if (statfs(path, &fs) != 0)
                return false;
        for (size_t i = 0; i < LENGTH_OF(magics); i++) {
                if ((fs.f_type & INT64_C(0xffffffff)) == magics[i])
                        return true;
        }
        return false;
}

static uint64_t entry_fingerprint(int dir_fd, const char *name)
{
        struct stat st = {0};
        uint64_t parts[7];

        /* A vanished entry counts as its name alone. */
        IGNORE(fstatat(dir_fd, name, &st, 0), "seen in st");
        parts[0] = str_hash(str_of(name));
        parts[1] = st.st_ino;
        parts[2] = (uint64_t)st.st_size;
        parts[3] = (uint64_t)st.st_mtim.tv_sec;
        parts[4] = (uint64_t)st.st_mtim.tv_nsec;
        parts[5] = (uint64_t)st.st_ctim.tv_sec;
        parts[6] = (uint64_t)st.st_ctim.tv_nsec;
        return str_hash(str_make(parts, sizeof(parts)));
}

/* A sum, so that the order in which the directory is read does not count. */
static uint64_t take_fingerprint(const char *path)
{
        DIR *d = opendir(path);
        struct dirent *entry;
        uint64_t sum = 0;

        if (d == NULL)
                return 0;
        for (int i = 0; i < ENTRIES_MAX && (entry = readdir(d)) != NULL; i++) {
                if (!str_eq(str_of(entry->d_name), STR(".")) &&
                    !str_eq(str_of(entry->d_name), STR("..")))
                        sum += entry_fingerprint(dirfd(d), entry->d_name);
        }
        closedir(d);
        return sum;
}

/* There is a directory, and inotify does not tell all that happens in it. */
static bool is_blind(const DirWatch *w)
{
        return w->seen.ino != 0 && (w->wd < 0 || w->is_remote);
}

static void on_events(FdSource *s, unsigned ready)
{
        DirWatch *w = CONTAINER_OF(s, DirWatch, source);
        _Alignas(struct inotify_event) char events[EVENTS_ROOM];
        ssize_t n = read(w->fd, events, sizeof(events));

        (void)ready;
        if (n <= 0)
                return;
        for (size_t at = 0; at < (size_t)n;) {
                struct inotify_event event;

                memcpy(&event, events + at, sizeof(event));
                at += sizeof(event) + event.len;
                if (event.wd == w->wd && event.mask & IN_IGNORED)
                        w->wd = -1;
                /* What stands at the path now is worth a look before the next poll. */
                if (event.mask & (IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF))
                        timer_set_in(&w->poll, SPAN_MS(0));
        }
        note_change(w);
}

static void attach(DirWatch *w)
{
        if (w->fd < 0) {
                w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
                if (w->fd < 0)
                        return;
                fd_source_init(&w->source, w->loop, w->fd, on_events);
                fd_source_want(&w->source, FD_READ);
        }
        w->wd = inotify_add_watch(w->fd, w->path,
                                  IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE |
                                          IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF |
                                          IN_MOVE_SELF | IN_ONLYDIR);
}

static void detach(DirWatch *w)
{
        if (w->wd >= 0)
                IGNORE(inotify_rm_watch(w->fd, w->wd), "the kernel may have removed it");
        w->wd = -1;
}

/* Brings the watch to the directory that the path means now. True where that is another one, or
 * where its entries have changed while inotify could not be relied on. */
static bool look(DirWatch *w)
{
        bool was_blind = is_blind(w), moved;
        uint64_t was = w->fingerprint;
        Identity now = identify(w->path);

        moved = !same(now, w->seen);
        if (moved) {
                detach(w);
                w->is_remote = now.ino != 0 && is_on_remote(w->path);
        }
        w->seen = now;
        if (w->wd < 0 && now.ino != 0)
                attach(w);
        /* Once more where the watch has just been had: it does not tell what was before it. */
        w->fingerprint = was_blind || is_blind(w) ? take_fingerprint(w->path) : 0;
        return moved || (was_blind && was != w->fingerprint);
}

static void on_poll(Timer *t)
{
        DirWatch *w = CONTAINER_OF(t, DirWatch, poll);

        timer_set_in(t, SPAN_MS(POLL_MS));
        if (look(w))
                note_change(w);
}

DirWatch *dir_watch_open(Loop *l, const char *path, DirWatchFn *fn, void *owner)
{
        DirWatch *w = mem_new(sizeof(*w));
        size_t n = strlen(path);

        w->loop = l;
        w->fn = fn;
        w->owner = owner;
        w->path = mem_new(n + 1);
        memcpy(w->path, path, n);
        w->fd = w->wd = -1;
        fd_source_init(&w->source, l, -1, on_events);
        timer_init(&w->poll, l, on_poll);
        timer_init(&w->quiet, l, on_quiet);
        look(w);
        timer_set_in(&w->poll, SPAN_MS(POLL_MS));
        return w;
}

void *dir_watch_owner(const DirWatch *w)
{
        return w->owner;
}

DirWatch *dir_watch_close(DirWatch *w)
{
        if (w == NULL)
                return NULL;
        timer_clear(&w->poll);
        timer_clear(&w->quiet);
        fd_source_close(&w->source);
        if (w->fd >= 0)
                close(w->fd);
        mem_free(w->path);
        return mem_free(w);
}
