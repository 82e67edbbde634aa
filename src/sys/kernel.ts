// The kernel as the engine sees it: one method per system call, synchronous, passed in as an argument.
// Tests wrap this interface (fail the n-th call, crash, count descriptors); `linux.ts` implements it.
//
// Every method throws SyscallError, and none of them retries: an interrupted call throws EINTR.
// A name is the latin1 string of its bytes (see bytes.ts); offsets and sizes are bytes, times nanoseconds.

/** An open file descriptor. */
export type Fd = number

/** The bytes of a file name or path as a latin1 string: one character per byte, never NUL. */
export type Name = string

/** What an inode is. */
export type FileType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character' | 'block'

/** A device number in its two halves. */
export interface Device {
  readonly major: number
  readonly minor: number
}

/** What statx(2) knows of one object. */
export interface Stat {
  readonly type: FileType
  /** Permission bits, `0o7777`. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly nlink: number
  /** Bytes; a size that a number cannot hold exactly is refused with EOVERFLOW. */
  readonly size: number
  /** Allocated units of 512 bytes. */
  readonly blocks: number
  /** Preferred unit of input and output, in bytes. */
  readonly blockSize: number
  readonly ino: bigint
  /** The device that holds the object, `major * 2^32 + minor`. */
  readonly dev: number
  /** The device that a character or block device stands for. */
  readonly rdev: Device
  readonly atimeNs: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  /** Birth time; undefined where the file system keeps none. */
  readonly btimeNs: bigint | undefined
  /** STATX_ATTR_* bits that are set (immutable, append, mount root). */
  readonly attributes: number
}

/** One member of a directory; `type` is undefined where the file system does not say. */
export interface DirectoryEntry {
  readonly name: Name
  readonly type: FileType | undefined
}

/** What statfs(2) knows of a file system; sizes in bytes. */
export interface FileSystemStat {
  /** The magic number of statfs(2), such as 0xEF53 for ext2, ext3 and ext4. */
  readonly magic: number
  readonly blockSize: number
  /** For ordinary users. */
  readonly bytesAvailable: number
  /** With what is reserved for root. */
  readonly bytesFree: number
  readonly inodesTotal: number
  readonly inodesFree: number
  /** ST_* mount flags. */
  readonly flags: number
}

/** A descriptor to wait for, and the poll(2) events asked of it. */
export interface PollRequest {
  readonly fd: Fd
  readonly events: number
}

/** The system calls that the engine makes. */
export interface Kernel {
  // Descriptors

  /** openat(2). O_CLOEXEC is always added: the library is a guest in a process that may fork. */
  openat(directory: Fd, path: Name, flags: number, mode?: number): Fd
  /** openat2(2) with RESOLVE_* flags. O_CLOEXEC is always added. */
  openat2(directory: Fd, path: Name, flags: number, mode: number, resolve: number): Fd
  /** close(2). The descriptor is gone even when this throws, so it is never called twice. */
  close(fd: Fd): void
  /** pipe2(2) with O_CLOEXEC: the read end, then the write end. */
  pipe(): [Fd, Fd]
  /** fcntl(2) F_GETFL: the access mode and status flags. */
  getStatusFlags(fd: Fd): number
  /** poll(2): the events that are ready, one number a request; all zero when the time is over. */
  poll(requests: readonly PollRequest[], timeoutMs: number): number[]

  // What an object is

  /** statx(2) of a descriptor (O_PATH included). */
  fstat(fd: Fd): Stat
  /** statx(2) of a name, without following a symlink. */
  statat(directory: Fd, path: Name): Stat
  /** As statat, but undefined when the name is absent (ENOENT only). */
  findat(directory: Fd, path: Name): Stat | undefined
  /** faccessat2(2) by the effective user: throws EACCES, EROFS or (immutable) EPERM where `mode` (W_OK, X_OK) is refused. */
  accessat(directory: Fd, path: Name, mode: number): void
  /** fstatfs(2). */
  fstatfs(fd: Fd): FileSystemStat
  /** All members but `.` and `..` (getdents64(2)), in the order of the file system. Moves the descriptor's position. */
  readDirectory(fd: Fd): DirectoryEntry[]
  /** readlinkat(2). An empty path reads the link that an O_PATH descriptor stands for. */
  readlinkat(directory: Fd, path: Name): Name
  /** name_to_handle_at(2) with AT_HANDLE_FID where the kernel has it (6.5): type and bytes, as hexadecimal text. */
  handleAt(directory: Fd, path: Name): string

  // Names

  mkdirat(directory: Fd, path: Name, mode: number): void
  /** unlinkat(2); `flags` may be AT_REMOVEDIR. */
  unlinkat(directory: Fd, path: Name, flags?: number): void
  /** renameat2(2); `flags` may be RENAME_NOREPLACE or RENAME_EXCHANGE. */
  renameat(from: Fd, fromPath: Name, to: Fd, toPath: Name, flags?: number): void
  /** linkat(2); with AT_EMPTY_PATH and an empty path it links the descriptor itself. */
  linkat(from: Fd, fromPath: Name, to: Fd, toPath: Name, flags?: number): void
  symlinkat(target: Name, directory: Fd, path: Name): void
  mknodat(directory: Fd, path: Name, type: FileType, mode: number, device: Device): void

  // Metadata

  /** fchownat(2) without following; -1 leaves a half as it is. An empty path means the descriptor (O_PATH too). */
  chownat(directory: Fd, path: Name, uid: number, gid: number): void
  fchown(fd: Fd, uid: number, gid: number): void
  fchmod(fd: Fd, mode: number): void
  /** fchmodat2(2) on a descriptor, O_PATH too; before Linux 6.6 the same through /proc. */
  fchmodat2(fd: Fd, mode: number): void
  /** utimensat(2) on a descriptor. */
  futimens(fd: Fd, atimeNs: bigint, mtimeNs: bigint): void
  /** utimensat(2) without following; an empty path means the descriptor (O_PATH too). */
  utimensat(directory: Fd, path: Name, atimeNs: bigint, mtimeNs: bigint): void
  /** Names of the extended attributes; [] where the file system has none, E2BIG above 64 KiB. O_PATH descriptors work (symlinks). */
  listXattrs(fd: Fd): Name[]
  /**
   * listxattrat(2) without following: as listXattrs, of a name; undefined before Linux 6.13, and for more names than it can
   * tell (E2BIG). An empty path means an O_PATH descriptor itself, in one call through /proc; undefined where that is missing.
   */
  listXattrsAt(directory: Fd, path: Name): Name[] | undefined
  getXattr(fd: Fd, name: Name): Buffer
  setXattr(fd: Fd, name: Name, value: Uint8Array): void
  removeXattr(fd: Fd, name: Name): void
  /** FS_IOC_GETFLAGS: FS_*_FL bits. */
  getInodeFlags(fd: Fd): number
  setInodeFlags(fd: Fd, flags: number): void

  // Contents

  /** read(2) into the whole of `buffer`: bytes read, 0 at the end. */
  read(fd: Fd, buffer: Uint8Array): number
  write(fd: Fd, bytes: Uint8Array): number
  pread(fd: Fd, buffer: Uint8Array, offset: number): number
  /** pwrite(2) of the first `length` bytes, of all by default: a view of them would cost more than the call's own way. */
  pwrite(fd: Fd, bytes: Uint8Array, offset: number, length?: number): number
  /** copy_file_range(2) with both offsets explicit: bytes copied. */
  copyFileRange(source: Fd, sourceOffset: number, target: Fd, targetOffset: number, length: number): number
  /** sendfile(2) with an explicit source offset; writes at the position of `target`. */
  sendfile(target: Fd, source: Fd, sourceOffset: number, length: number): number
  /** FICLONE: `target` shares all extents of `source`. */
  ficlone(target: Fd, source: Fd): void
  /** FICLONERANGE. */
  ficloneRange(target: Fd, source: Fd, sourceOffset: number, length: number, targetOffset: number): void
  /** lseek(2). SEEK_DATA and SEEK_HOLE beyond the last data give ENXIO. */
  lseek(fd: Fd, offset: number, whence: number): number
  ftruncate(fd: Fd, size: number): void
  fallocate(fd: Fd, mode: number, offset: number, length: number): void
  /** BLKGETSIZE64: the size of a block device in bytes. */
  blockDeviceSize(fd: Fd): number

  // Durability and locks

  fsync(fd: Fd): void
  fdatasync(fd: Fd): void
  syncfs(fd: Fd): void
  /** flock(2). LOCK_NB gives EAGAIN when another holds it. */
  flock(fd: Fd, operation: number): void
}
