// Where open directories really are, to tell which lies in which before anything in them is looked at.

import { AT_FDCWD, type Fd, isSyscallError, type Kernel, type Name } from '../sys/index.ts'

/** An open directory's path without symlinks, by /proc; where that is missing, the path as it was given. */
export function realPath(kernel: Kernel, fd: Fd, given: Name): Name {
  try {
    return kernel.readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`)
  } catch (error) {
    if (!isSyscallError(error)) throw error
    return given
  }
}

/** The name that leads from the directory `top` to `path`, if it is below that; both are real paths. */
export function nameBelow(top: Name, path: Name): Name | undefined {
  const start = top === '/' ? top : `${top}/`
  return path.startsWith(start) && path !== start ? path.slice(start.length) : undefined
}
