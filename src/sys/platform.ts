// Numbers that differ between x64 and arm64: one table, from asm/unistd.h and asm/fcntl.h of Linux 6.12.
// System calls are made by number through syscall(2), so no C library's age or wrapper matters: glibc below 2.33
// exports no fstat, musl no getdents64, and glibc 2.41's copy_file_range keeps the count in an int (PR 33245).

import { UnsupportedPlatformError } from './errors.ts'

interface Platform {
  readonly calls: Readonly<Record<CallName, number>>
  readonly O_DIRECTORY: number
  readonly O_NOFOLLOW: number
}

// name: [x64, arm64]
const callNumbers = {
  read: [0, 63],
  write: [1, 64],
  close: [3, 57],
  lseek: [8, 62],
  ioctl: [16, 29],
  pread64: [17, 67],
  pwrite64: [18, 68],
  sendfile: [40, 71],
  fcntl: [72, 25],
  flock: [73, 32],
  fsync: [74, 82],
  fdatasync: [75, 83],
  ftruncate: [77, 46],
  fchmod: [91, 52],
  fchown: [93, 55],
  fstatfs: [138, 44],
  setxattr: [188, 5],
  fsetxattr: [190, 7],
  getxattr: [191, 8],
  fgetxattr: [193, 10],
  listxattr: [194, 11],
  flistxattr: [196, 13],
  removexattr: [197, 14],
  fremovexattr: [199, 16],
  getdents64: [217, 61],
  openat: [257, 56],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  fchownat: [260, 54],
  unlinkat: [263, 35],
  linkat: [265, 37],
  symlinkat: [266, 36],
  readlinkat: [267, 78],
  fchmodat: [268, 53],
  faccessat: [269, 48],
  ppoll: [271, 73],
  utimensat: [280, 88],
  fallocate: [285, 47],
  pipe2: [293, 59],
  name_to_handle_at: [303, 264],
  syncfs: [306, 267],
  renameat2: [316, 276],
  copy_file_range: [326, 285],
  statx: [332, 291],
  openat2: [437, 437],
  faccessat2: [439, 439],
  fchmodat2: [452, 452],
  listxattrat: [465, 465],
} as const

/** The system calls that `linux.ts` makes, by the kernel's own names. */
export type CallName = keyof typeof callNumbers

const architectures = {
  x64: { column: 0, O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000 },
  arm64: { column: 1, O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000 },
} as const

function numbersOf(architecture: keyof typeof architectures): Platform {
  const { column, ...flags } = architectures[architecture]
  const calls = Object.fromEntries(Object.entries(callNumbers).map(([name, numbers]) => [name, numbers[column]]))
  return { calls: calls as Record<CallName, number>, ...flags }
}

/**
 * The numbers of one platform.
 *
 * @throws {UnsupportedPlatformError} on anything but Linux on x64 and arm64
 */
export function platformNumbers(platform: string, architecture: string): Platform {
  if (platform === 'linux' && Object.hasOwn(architectures, architecture)) {
    return numbersOf(architecture as keyof typeof architectures)
  }
  throw new UnsupportedPlatformError(platform, architecture)
}

const here = process.arch === 'arm64' ? architectures.arm64 : architectures.x64
/** O_DIRECTORY of the machine at hand. */
export const O_DIRECTORY: number = here.O_DIRECTORY
/** O_NOFOLLOW of the machine at hand. */
export const O_NOFOLLOW: number = here.O_NOFOLLOW
/** O_TMPFILE of the machine at hand: O_DIRECTORY is a part of it. */
export const O_TMPFILE: number = 0o20000000 | here.O_DIRECTORY
