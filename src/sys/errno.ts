// errno names and numbers of Linux (asm-generic/errno.h; the same on x64 and arm64).
// Node's own table lacks some (EUCLEAN, EHWPOISON) and is per platform, so the names stand here.

const numbers = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  ENOTSOCK: 88,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  EALREADY: 114,
  ESTALE: 116,
  EUCLEAN: 117,
  EREMOTEIO: 121,
  EDQUOT: 122,
  ECANCELED: 125,
  ENOKEY: 126,
  EHWPOISON: 133,
} as const

/** The name of an errno that this library knows; others are called `E` and their number. */
export type ErrnoName = keyof typeof numbers | `E${number}`

/** Every errno name of the table, for tests that go through all of them. */
export const errnoNames: readonly ErrnoName[] = Object.keys(numbers) as (keyof typeof numbers)[]

const names = new Map<number, ErrnoName>(Object.entries(numbers).map(([name, n]) => [n, name as ErrnoName]))

/** The name of an errno number (positive). */
export function errnoName(errno: number): ErrnoName {
  return names.get(errno) ?? `E${errno}`
}

/** The positive number of an errno name. */
export function errnoNumber(name: ErrnoName): number {
  return (numbers as Record<string, number>)[name] ?? Number(name.slice(1))
}
