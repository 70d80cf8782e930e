/* A disk that fails: preloaded, the n-th write, fsync or rename below a folder fails with a given errno.
   Once (a passing fault) or from then on until it is mended (a full disk). See disk.py. With the errno 0 the process is
   killed there: of a write half of the bytes are on their way, of the others nothing has happened. See kills.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE, FSYNC, RENAME, KINDS };
static char root[PATH_MAX];
static long counts[KINDS], armed_at;
static int armed_kind = -1, armed_errno, lasting;

void disk_watch(const char *folder) { strncpy(root, folder, sizeof root - 1); memset(counts, 0, sizeof counts); }
void disk_arm(int kind, long n, int error, int lasts) {
    armed_kind = kind; armed_at = n; armed_errno = error; lasting = lasts; memset(counts, 0, sizeof counts);
}
void disk_mend(void) { armed_kind = -1; }
long disk_count(int kind) { return counts[kind]; }

static int below(const char *path) { return root[0] && strncmp(path, root, strlen(root)) == 0; }

static int below_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!root[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int fails(int kind) {
    long n = ++counts[kind];
    if (kind != armed_kind || (lasting ? n < armed_at : n != armed_at)) return 0;
    errno = armed_errno;
    if (!armed_errno && kind != WRITE) kill(getpid(), SIGKILL);
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t torn(void) {
    if (!armed_errno) kill(getpid(), SIGKILL);
    return -1;
}

ssize_t write(int fd, const void *data, size_t size) {
    if (!below_fd(fd) || !fails(WRITE)) return REAL(write)(fd, data, size);
    if (!armed_errno) REAL(write)(fd, data, size / 2);
    return torn();
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    if (!below_fd(fd) || !fails(WRITE)) return REAL(pwrite)(fd, data, size, at);
    if (!armed_errno) REAL(pwrite)(fd, data, size / 2, at);
    return torn();
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    if (!below_fd(fd) || !fails(WRITE)) return REAL(pwrite64)(fd, data, size, at);
    if (!armed_errno) REAL(pwrite64)(fd, data, size / 2, at);
    return torn();
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!below_fd(fd) || !fails(WRITE)) return REAL(writev)(fd, parts, count);
    if (!armed_errno) REAL(writev)(fd, parts, count / 2);
    return torn();
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) {
    return below_fd(to) && fails(WRITE) ? torn() : REAL(copy_file_range)(from, a, to, b, size, flags);
}
int fsync(int fd) { return below_fd(fd) && fails(FSYNC) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return below_fd(fd) && fails(FSYNC) ? -1 : REAL(fdatasync)(fd); }
int rename(const char *from, const char *to) { return below(to) && fails(RENAME) ? -1 : REAL(rename)(from, to); }
int renameat(int a, const char *from, int b, const char *to) {
    return below(to) && fails(RENAME) ? -1 : REAL(renameat)(a, from, b, to);
}
