// The system calls that moving a small file makes, in C: what moving can cost at best. Prints seconds, and seconds of CPU.
// cc -O2 -o yardstick movefileYardstick.c; ./yardstick SOURCE_DIRECTORY TARGET_DIRECTORY COUNT
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static char buffer[65536], names[4096], value[65536];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static long must(long result, const char *call) {
  if (result < 0) { perror(call); exit(1); }
  return result;
}

static void copy_xattrs(int from, int to) {
  long length = must(flistxattr(from, names, sizeof names), "flistxattr");
  for (char *name = names; name < names + length; name += strlen(name) + 1) {
    long size = must(fgetxattr(from, name, value, sizeof value), "fgetxattr");
    must(fsetxattr(to, name, value, size, 0), "fsetxattr");
  }
}

// Not in every C library: Linux 6.13.
static long listxattrat(int directory, const char *name) {
  return syscall(465, directory, name, AT_SYMLINK_NOFOLLOW, names, sizeof names);
}

static int apart, looked; // set by the first EXDEV, and by the first look at a new file

static void move(int source, int target, const char *name) {
  struct statx st, other;
  int flags = AT_SYMLINK_NOFOLLOW;
  must(statx(source, name, flags, STATX_BASIC_STATS, &st), "statx");
  if (!apart) {
    must(listxattrat(source, name), "listxattrat");
    if (renameat2(source, name, target, name, 0) == 0) return;
    if (errno != EXDEV) must(-1, "renameat2");
    apart = 1;
  }
  int from = must(openat(source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), "openat");
  int to = must(openat(target, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, st.stx_mode & 07777), "openat");
  if (!looked) {
    looked = 1;
    must(statx(to, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &other), "statx");
    must(flistxattr(to, names, sizeof names), "flistxattr");
  }
  long length = must(pread(from, buffer, sizeof buffer, 0), "pread");
  must(pwrite(to, buffer, length, 0), "pwrite");
  must(statx(from, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st), "statx");
  copy_xattrs(from, to);
  struct timespec times[2] = {{st.stx_atime.tv_sec, st.stx_atime.tv_nsec}, {st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec}};
  must(futimens(to, times), "futimens");
  must(linkat(to, "", target, name, AT_EMPTY_PATH), "linkat");
  must(close(to), "close");
  close(from);
  must(statx(source, name, flags, STATX_BASIC_STATS, &other), "statx");
  must(unlinkat(source, name, 0), "unlinkat");
}

int main(int count, char **words) {
  if (count != 4) return 2;
  int source = must(open(words[1], O_RDONLY | O_DIRECTORY), words[1]);
  int target = must(open(words[2], O_RDONLY | O_DIRECTORY), words[2]);
  double start = now();
  for (int number = 0; number < atoi(words[3]); number++) {
    char name[64];
    snprintf(name, sizeof name, "file-%d", number);
    move(source, target, name);
  }
  double wall = now() - start;
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  double cpu = use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
  printf("%f %f\n", wall, cpu);
}
