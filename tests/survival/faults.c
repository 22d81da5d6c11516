/* Loaded before the C library: makes the writing of a program's ledger fail when a test says so, and sets its clock.
 *
 * FAULT_AT=N      the N-th write, truncation or sync of a file under /.mooncast/ fails
 * FAULT_ERRNO=E   with this errno
 * FAULT_ON=1      and so does each one after it
 * FAULT_OPEN=1    opening such a file to write it fails too, from the first on
 * FAULT_TOLD=PATH a file that is made when something was made to fail
 * FAULT_CLOCK=PATH while there is such a file, the wall clock is an hour behind
 * FAULT_SECONDS=N  or it is wrong by so many seconds
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long passed;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static int fail(void) {
    const char *told = getenv("FAULT_TOLD");
    if (told) {
        long file = syscall(SYS_openat, AT_FDCWD, told, O_CREAT | O_WRONLY, 0600);
        if (file >= 0) syscall(SYS_close, file);
    }
    errno = (int)number("FAULT_ERRNO");
    return 1;
}

static int fails(int file) {
    long at = number("FAULT_AT");
    if (at == 0) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "/.mooncast/")) return 0;
    long now = ++passed;
    return now == at || (now > at && number("FAULT_ON")) ? fail() : 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    return fails(file) ? -1 : REAL(write)(file, bytes, count);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    return fails(file) ? -1 : REAL(pwrite)(file, bytes, count, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    return fails(file) ? -1 : REAL(pwrite64)(file, bytes, count, at);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    return fails(file) ? -1 : REAL(writev)(file, parts, count);
}
int ftruncate(int file, off_t length) { return fails(file) ? -1 : REAL(ftruncate)(file, length); }
int ftruncate64(int file, off64_t length) { return fails(file) ? -1 : REAL(ftruncate64)(file, length); }
int fsync(int file) { return fails(file) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return fails(file) ? -1 : REAL(fdatasync)(file); }

static int refused(const char *path, int flags) {
    return number("FAULT_OPEN") && (flags & O_ACCMODE) != O_RDONLY && strstr(path, "/.mooncast/") && fail();
}

#define OPENING(name)                                                                                                  \
    int name(const char *path, int flags, ...) {                                                                      \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                        \
        int mode = va_arg(more, int);                                                                                 \
        va_end(more);                                                                                                 \
        return refused(path, flags) ? -1 : REAL(name)(path, flags, mode);                                             \
    }
OPENING(open)
OPENING(open64)

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = (int)syscall(SYS_clock_gettime, clock, now);
    const char *set_back = getenv("FAULT_CLOCK");
    if (clock == CLOCK_REALTIME && set_back && syscall(SYS_faccessat, AT_FDCWD, set_back, F_OK) == 0) {
        now->tv_sec += getenv("FAULT_SECONDS") ? number("FAULT_SECONDS") : -3600;
    }
    return done;
}
