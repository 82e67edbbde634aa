// Kernel constants, from the uapi headers. What differs between x64 and arm64 is in platform.ts.

export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_REMOVEDIR = 0x200
export const AT_EACCESS = 0x200
export const AT_HANDLE_FID = 0x200
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_EMPTY_PATH = 0x1000

export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_ACCMODE = 3
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_TRUNC = 0o1000
export const O_APPEND = 0o2000
export const O_NONBLOCK = 0o4000
export const O_NOATIME = 0o1000000
export const O_CLOEXEC = 0o2000000
export const O_PATH = 0o10000000

export const RESOLVE_NO_XDEV = 0x01
export const RESOLVE_NO_MAGICLINKS = 0x02
export const RESOLVE_NO_SYMLINKS = 0x04
export const RESOLVE_BENEATH = 0x08
export const RESOLVE_IN_ROOT = 0x10

export const RENAME_NOREPLACE = 1
export const RENAME_EXCHANGE = 2

export const SEEK_SET = 0
export const SEEK_CUR = 1
export const SEEK_END = 2
export const SEEK_DATA = 3
export const SEEK_HOLE = 4

export const FALLOC_FL_KEEP_SIZE = 0x01
export const FALLOC_FL_PUNCH_HOLE = 0x02
export const FALLOC_FL_ZERO_RANGE = 0x10

export const LOCK_SH = 1
export const LOCK_EX = 2
export const LOCK_NB = 4
export const LOCK_UN = 8

export const POLLIN = 0x1
export const POLLOUT = 0x4
export const POLLERR = 0x8
export const POLLHUP = 0x10

export const X_OK = 1
export const W_OK = 2

export const STATX_ATTR_IMMUTABLE = 0x10
export const STATX_ATTR_APPEND = 0x20
export const STATX_ATTR_MOUNT_ROOT = 0x2000

export const FS_SYNC_FL = 0x8
export const FS_IMMUTABLE_FL = 0x10
export const FS_APPEND_FL = 0x20
export const FS_NODUMP_FL = 0x40
export const FS_NOATIME_FL = 0x80
export const FS_NOCOW_FL = 0x800000
export const FS_CASEFOLD_FL = 0x40000000
export const FS_XFLAG_PROJINHERIT = 0x200

export const ST_RDONLY = 1

/** Magic numbers of statfs(2). */
export const magics = {
  ext: 0xef53,
  xfs: 0x58465342,
  btrfs: 0x9123683e,
  tmpfs: 0x01021994,
  overlay: 0x794c7630,
  nfs: 0x6969,
  smb2: 0xfe534d42,
  cifs: 0xff534d42,
  ceph: 0x00c36400,
  fuse: 0x65735546,
  zfs: 0x2fc12fc1,
  proc: 0x9fa0,
  sysfs: 0x62656572,
} as const

/** NAME_MAX of limits.h: bytes in one component. */
export const NAME_MAX = 255
/** PATH_MAX of limits.h: bytes in a path, the NUL at its end included. */
export const PATH_MAX = 4096
/** XATTR_NAME_MAX of limits.h: bytes in the name of one attribute. */
export const XATTR_NAME_MAX = 255
/** XATTR_SIZE_MAX of limits.h: bytes in the value of one attribute, or in the list of their names. */
export const XATTR_SIZE_MAX = 65536
