/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        READ_STEP = 64 * 1024
};

static void fd_cleanup(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static bool too_large(Err *err, const char *path, size_t max)
{
        return err_set(err, ERR_LIMIT, "TooLarge", "%s: more than %zu bytes", path, max);
}

static bool read_all(int fd, const char *path, Buf *b, Err *err)
{
        char spare;

        for (;;) {
                size_t left = b->max - b->n, reserved = b->room - b->n;
                ssize_t n;

                /* At the maximum one more byte shows whether the file ends there. */
                if (left > (reserved > 0 ? reserved : READ_STEP))
                        left = reserved > 0 ? reserved : READ_STEP;
                if (left > 0 && !buf_reserve(b, left))
                        return err_set(err, ERR_LIMIT, "OutOfMemory", "%s", path);
                n = left > 0 ? read(fd, b->p + b->n, left) : read(fd, &spare, 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, errno, "%s", path);
                if (n == 0)
                        return true;
                if (left == 0)
                        return too_large(err, path, b->max);
                b->n += (size_t)n;
        }
}

bool file_read(const char *path, Buf *b, Err *err)
{
        /* Not to hang in open() where somebody has put a pipe. */
        CLEANUP(fd_cleanup) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        size_t before = b->n;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) != 0)
                return err_errno(err, errno, "%s", path);
        if (!S_ISREG(st.st_mode))
                return err_set(err, ERR_INVALID, "NotAFile", "%s: no regular file", path);
        if (st.st_size > 0 && (uintmax_t)st.st_size > b->max - b->n)
                return too_large(err, path, b->max);
        /* Its size and one: growing would leave a copy behind, perhaps of a secret. */
        if (!buf_reserve(b, (size_t)st.st_size < b->max - b->n ? (size_t)st.st_size + 1
                                                               : b->max - b->n))
                return err_set(err, ERR_LIMIT, "OutOfMemory", "%s", path);
        if (!read_all(fd, path, b, err)) {
                b->n = before;
                return false;
        }
        return true;
}

bool file_is_below(const char *dir, const char *path, Err *err)
{
        char real_dir[PATH_MAX], real_path[PATH_MAX];
        size_t n;

        if (realpath(dir, real_dir) == NULL)
                return err_errno(err, errno, "%s", dir);
        if (realpath(path, real_path) == NULL)
                return err_errno(err, errno, "%s", path);
        n = strlen(real_dir);
        if (strncmp(real_path, real_dir, n) == 0 && real_path[n] == '/')
                return true;
        return err_set(err, ERR_DENIED, "PathRefused", "%s leads to %s, which is not below %s",
                       path, real_path, dir);
}

static bool is_plain_name(const char *name)
{
        return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
               strcmp(name, "..") != 0;
}

static int open_dir(const char *dir)
{
        return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool write_all(int fd, Str s)
{
        while (s.n > 0) {
                ssize_t n = write(fd, s.p, s.n);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return false;
                s = str_sub(s, (size_t)n, s.n);
        }
        return true;
}

/* Makes `temporary` with the content. errno says why not. */
static bool write_temporary(int dir_fd, const char *temporary, Str content, unsigned mode,
                            bool sync)
{
        CLEANUP(fd_cleanup) int fd = -1;

        /* One that a crash has left, or a link that somebody has put there. */
        if (unlinkat(dir_fd, temporary, 0) != 0 && errno != ENOENT)
                return false;
        fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    S_IRUSR | S_IWUSR);
        return fd >= 0 && fchmod(fd, (mode_t)mode) == 0 && write_all(fd, content) &&
               (!sync || fsync(fd) == 0);
}

/* That a rename survives a crash is in the directory's hands. A file system that cannot sync one
 * (EINVAL) has nothing more to give. */
static bool sync_dir(int dir_fd)
{
        return fsync(dir_fd) == 0 || errno == EINVAL;
}

bool file_write_atomic(const char *dir, const char *name, Str content, unsigned mode, bool sync,
                       Err *err)
{
        CLEANUP(fd_cleanup) int dir_fd = -1;
        char temporary[NAME_MAX + 1];
        int saved;

        if (!is_plain_name(name))
                return err_set(err, ERR_INVALID, "InvalidName", "%s: \"%s\" is no file name", dir,
                               name);
        if (snprintf(temporary, sizeof(temporary), ".%s.tmp", name) >= (int)sizeof(temporary))
                return err_errno(err, ENAMETOOLONG, "%s/%s", dir, name);
        dir_fd = open_dir(dir);
        if (dir_fd < 0)
                return err_errno(err, errno, "%s", dir);
        if (!write_temporary(dir_fd, temporary, content, mode, sync) ||
            renameat(dir_fd, temporary, dir_fd, name) != 0) {
                saved = errno;
                IGNORE(unlinkat(dir_fd, temporary, 0), "it may not be there");
                return err_errno(err, saved, "%s/%s", dir, name);
        }
        if (sync && !sync_dir(dir_fd))
                return err_errno(err, errno, "%s/%s is there, and a crash may undo it", dir, name);
        return true;
}

bool file_remove(const char *dir, const char *name, Err *err)
{
        CLEANUP(fd_cleanup) int dir_fd = -1;

        if (!is_plain_name(name))
                return err_set(err, ERR_INVALID, "InvalidName", "%s: \"%s\" is no file name", dir,
                               name);
        dir_fd = open_dir(dir);
        if (dir_fd < 0)
                return err_errno(err, errno, "%s", dir);
        if (unlinkat(dir_fd, name, 0) != 0)
                return err_errno(err, errno, "%s/%s", dir, name);
        return true;
}

bool file_make_dir(const char *path, unsigned mode, Err *err)
{
        char part[PATH_MAX];
        size_t n = strlen(path);
        struct stat st;

        if (n == 0 || n >= sizeof(part))
                return err_errno(err, n == 0 ? ENOENT : ENAMETOOLONG, "\"%.64s\"", path);
        memcpy(part, path, n + 1);
        for (size_t i = 1; i <= n; i++) {
                if (part[i] != '/' && part[i] != '\0')
                        continue;
                part[i] = '\0';
                if (mkdir(part, (mode_t)mode) != 0 && errno != EEXIST)
                        return err_errno(err, errno, "%s", part);
                if (i < n)
                        part[i] = '/';
        }
        if (stat(path, &st) != 0)
                return err_errno(err, errno, "%s", path);
        if (!S_ISDIR(st.st_mode))
                return err_errno(err, ENOTDIR, "%s", path);
        return true;
}

typedef struct Names {
        char **at; /* owned, as are its members */
        size_t n, room, max;
} Names;

static void names_cleanup(Names *names)
{
        for (size_t i = 0; i < names->n; i++)
                mem_free(names->at[i]);
        mem_free(names->at);
}

static bool collect(DIR *d, const char *dir, Names *names, Err *err)
{
        for (;;) {
                struct dirent *entry;
                Str name;

                errno = 0;
                entry = readdir(d);
                if (entry == NULL)
                        return errno == 0 ? true : err_errno(err, errno, "%s", dir);
                if (entry->d_name[0] == '.')
                        continue;
                if (names->n == names->max)
                        return err_set(err, ERR_LIMIT, "TooManyFiles", "%s: more than %zu entries",
                                       dir, names->max);
                if (names->n == names->room) {
                        names->room = names->room > 0 ? names->room * 2 : 32;
                        names->at = mem_resize(names->at, names->room * sizeof(char *));
                }
                name = str_of(entry->d_name);
                names->at[names->n] = mem_new(name.n + 1);
                memcpy(names->at[names->n++], name.p, name.n);
        }
}

static void dir_cleanup(DIR **d)
{
        if (*d != NULL)
                closedir(*d);
}

static int order_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

bool file_list_dir(const char *dir, size_t max, FileNameFn *fn, void *ctx, Err *err)
{
        CLEANUP(dir_cleanup) DIR *d = opendir(dir);
        CLEANUP(names_cleanup) Names names = {.max = max};

        if (d == NULL)
                return err_errno(err, errno, "%s", dir);
        if (!collect(d, dir, &names, err))
                return false;
        if (names.n > 0)
                qsort(names.at, names.n, sizeof(char *), order_names);
        for (size_t i = 0; i < names.n; i++) {
                if (!fn(ctx, str_of(names.at[i]), err))
                        return false;
        }
        return true;
}
