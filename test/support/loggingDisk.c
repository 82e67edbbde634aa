/* A disk whose every write is written down: files of one directory served over FUSE, for loop devices to stand on.
 *
 *   loggingDisk MOUNTPOINT DIRECTORY LOG
 *
 * A loop device passes each write on as a write of its file and each cache flush as an fsync, and says of itself that
 * it knows no FUA (Documentation/block/writeback_cache_control: the block layer then sends a flush behind such a write).
 * So the log has what a disk with a volatile cache would have seen, in one order for all disks. Each record is
 *
 *   kind (4 bytes: 1 write, 2 flush) | disk (4: the number that the file's name ends in) | offset (8) | length (8) | bytes
 *
 * in the machine's byte order, and is in the log before the write or the flush is answered.
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int directory_fd, log_fd;

struct record {
  uint32_t kind, disk;
  uint64_t offset, length;
};

static uint32_t disk_of(const char *path) {
  const char *digits = path + strlen(path);
  while (digits > path && digits[-1] >= '0' && digits[-1] <= '9') digits--;
  return (uint32_t)atoi(digits);
}

static int log_record(uint32_t kind, const char *path, const char *bytes, size_t length, off_t offset) {
  struct record record = {kind, disk_of(path), (uint64_t)offset, length};
  struct iovec parts[] = {{&record, sizeof record}, {(void *)bytes, length}};
  ssize_t written = writev(log_fd, parts, length > 0 ? 2 : 1);
  return written == (ssize_t)(sizeof record + length) ? 0 : -EIO;
}

static int disk_getattr(const char *path, struct stat *stat, struct fuse_file_info *file) {
  (void)file;
  if (fstatat(directory_fd, path[1] ? path + 1 : ".", stat, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  return 0;
}

static int disk_open(const char *path, struct fuse_file_info *file) {
  int fd = openat(directory_fd, path + 1, O_RDWR | O_CLOEXEC);
  if (fd < 0) return -errno;
  file->fh = (uint64_t)fd;
  return 0;
}

static int disk_read(const char *path, char *bytes, size_t length, off_t offset, struct fuse_file_info *file) {
  (void)path;
  ssize_t count = pread((int)file->fh, bytes, length, offset);
  return count < 0 ? -errno : (int)count;
}

static int disk_write(const char *path, const char *bytes, size_t length, off_t offset, struct fuse_file_info *file) {
  int failure = log_record(1, path, bytes, length, offset);
  if (failure) return failure;
  ssize_t count = pwrite((int)file->fh, bytes, length, offset);
  return count < 0 ? -errno : (int)count;
}

static int disk_fsync(const char *path, int data_only, struct fuse_file_info *file) {
  (void)data_only, (void)file;
  return log_record(2, path, NULL, 0, 0);
}

static int disk_release(const char *path, struct fuse_file_info *file) {
  (void)path;
  close((int)file->fh);
  return 0;
}

static const struct fuse_operations operations = {
    .getattr = disk_getattr,
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .fsync = disk_fsync,
    .release = disk_release,
};

int main(int count, char **words) {
  if (count != 4) return fprintf(stderr, "usage: loggingDisk MOUNTPOINT DIRECTORY LOG\n"), 2;
  directory_fd = open(words[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  log_fd = open(words[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (directory_fd < 0 || log_fd < 0) return perror("loggingDisk"), 1;
  /* One thread: the log's order is the order in which the disks saw it. */
  char *plain[] = {words[0], "-f", "-s", words[1]};
  return fuse_main(4, plain, &operations, NULL);
}
