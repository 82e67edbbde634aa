// Making, moving and removing names.

import { type Door, fdOf } from './door.ts'
import { SyscallError } from './errors.ts'
import type { Device, Kernel } from './kernel.ts'
import { fileTypeBits } from './statx.ts'

/** Calls that change directories. */
export function nameCalls(
  door: Door,
): Pick<Kernel, 'mkdirat' | 'unlinkat' | 'renameat' | 'linkat' | 'symlinkat' | 'mknodat'> {
  const { calls, invoke3, invoke4, invoke5 } = door
  return {
    mkdirat(directory, path, mode) {
      if (invoke3(calls.mkdirat, fdOf(directory), door.path(path), mode) < 0)
        throw door.failure('mkdirat', directory, path)
    },
    unlinkat(directory, path, flags = 0) {
      if (invoke3(calls.unlinkat, fdOf(directory), door.path(path), flags) < 0) {
        throw door.failure('unlinkat', directory, path)
      }
    },
    renameat(from, fromPath, to, toPath, flags = 0) {
      const result = invoke5(calls.renameat2, fdOf(from), door.path(fromPath), fdOf(to), door.path(toPath), flags)
      if (result < 0) throw door.failure('renameat2', from, fromPath, to, toPath)
    },
    linkat(from, fromPath, to, toPath, flags = 0) {
      const result = invoke5(calls.linkat, fdOf(from), door.path(fromPath), fdOf(to), door.path(toPath), flags)
      if (result < 0) throw door.failure('linkat', from, fromPath, to, toPath)
    },
    symlinkat(target, directory, path) {
      const result = invoke3(calls.symlinkat, door.path(target), fdOf(directory), door.path(path))
      if (result < 0) throw door.failure('symlinkat', directory, path)
    },
    mknodat(directory, path, type, mode, device) {
      const number = encodeDevice(device)
      if (number === undefined) throw new SyscallError('EINVAL', 'mknodat', path)
      const bits = fileTypeBits(type) | mode
      const result = invoke4(calls.mknodat, fdOf(directory), door.path(path), bits, number)
      if (result < 0) throw door.failure('mknodat', directory, path)
    },
  }
}

/**
 * makedev(3) as the kernel's new_decode_dev reads it: 20 bits of minor, 12 of major.
 *
 * @returns undefined for what has no room there: the kernel would make another device
 */
function encodeDevice({ major, minor }: Device): number | undefined {
  if (!(major >= 0 && major < 2 ** 12 && minor >= 0 && minor < 2 ** 20)) return undefined
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}
