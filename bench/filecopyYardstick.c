/* The same calls as the engine's, in C: what there is to gain or lose by the language.
 *
 *   chain SOURCE TARGET [COUNT]    reflink, else extents by copy_file_range; with COUNT: the files 0..COUNT-1 of both
 *   run COMMAND...                 any program
 *
 * Prints milliseconds of wall clock, and of user and system time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <sys/sendfile.h>

static char buffer[1 << 20] __attribute__((aligned(4096)));

static void die(const char *what)
{
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static double milliseconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static double used(int who)
{
  struct rusage r;
  getrusage(who, &r);
  return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e3 + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e3;
}

static void copy_extent(int in, int out, off_t start, off_t end)
{
  static int other; /* from one file system to another it is sendfile's turn */
  off_t from = start, to = start;
  while (!other && from < end) {
    ssize_t n = copy_file_range(in, &from, out, &to, end - from, 0);
    if (n < 0 && errno == EXDEV) other = 1;
    else if (n < 0) die("copy_file_range");
    else if (n == 0) return;
  }
  if (from < end && lseek(out, from, SEEK_SET) < 0) die("lseek");
  while (from < end) {
    ssize_t n = sendfile(out, in, &from, end - from);
    if (n < 0) die("sendfile");
    if (n == 0) return;
  }
}

static void copy_extents(int in, int out, off_t size)
{
  if (ftruncate(out, size)) die("ftruncate");
  for (off_t position = 0; position < size;) {
    off_t data = lseek(in, position, SEEK_DATA);
    if (data < 0) break;
    position = lseek(in, data, SEEK_HOLE);
    copy_extent(in, out, data, position);
  }
}

static void copy_file(const char *source, const char *target)
{
  static int refused;
  int in = open(source, O_RDONLY | O_CLOEXEC);
  if (in < 0) die(source);
  struct stat st;
  if (fstat(in, &st)) die("fstat");
  int out = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (out < 0) die(target);
  if (st.st_size <= 64 << 10) {
    ssize_t n = pread(in, buffer, sizeof buffer, 0);
    if (n < 0 || pwrite(out, buffer, n, 0) != n) die("pwrite");
  } else if (refused || ioctl(out, FICLONE, in) < 0) {
    refused = 1;
    if (st.st_blocks * 512 < st.st_size) copy_extents(in, out, st.st_size);
    else copy_extent(in, out, 0, st.st_size);
  }
  if (fstat(in, &st)) die("fstat");
  close(in);
  if (close(out)) die("close");
}

int main(int argc, char **argv)
{
  if (argc < 3) return 2;
  int who = !strcmp(argv[1], "run") ? RUSAGE_CHILDREN : RUSAGE_SELF;
  double wall = milliseconds(), cpu = used(who);
  if (who == RUSAGE_CHILDREN) {
    pid_t child = fork();
    if (child == 0) {
      execvp(argv[2], argv + 2);
      die(argv[2]);
    }
    int status;
    waitpid(child, &status, 0);
    if (status) return 1;
  } else {
    int count = argc > 4 ? atoi(argv[4]) : 0;
    if (count == 0) copy_file(argv[2], argv[3]);
    for (int n = 0; n < count; n++) {
      char source[4096], target[4096];
      snprintf(source, sizeof source, "%s/%d", argv[2], n);
      snprintf(target, sizeof target, "%s/%d", argv[3], n);
      copy_file(source, target);
    }
  }
  printf("%f %f\n", milliseconds() - wall, used(who) - cpu);
  return 0;
}
