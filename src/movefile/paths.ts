// From paths, as a caller has them, to places.

import {
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  openPath,
  SyscallError,
} from '../sys/index.ts'
import { quietly } from './descriptors.ts'
import type { Place } from './place.ts'

/**
 * Does `work` with the places that `paths` mean, their directories open, each of them once: a file may have thousands of
 * names, and a process few descriptors.
 *
 * Symlinks on the way to the last component are followed, as everywhere outside a root; the last one never is.
 */
export function withPlaces<T>(kernel: Kernel, paths: readonly Name[], work: (places: readonly Place[]) => T): T {
  const opened = new Map<Name, Fd>()
  const placeOf = (path: Name): Place => {
    const { parent, name } = split(path)
    const directory = opened.get(parent) ?? openParent(kernel, parent)
    opened.set(parent, directory)
    return { directory, name }
  }
  try {
    return work(paths.map(placeOf))
  } finally {
    for (const fd of opened.values()) quietly(() => kernel.close(fd))
  }
}

/**
 * Whether a path ends in a slash, so that only a directory can be meant. Of a rename, by either of its paths: rename(2)
 * answers ENOTDIR for any other source, also where the target is still free.
 */
export function meansDirectory(path: Name): boolean {
  return path.endsWith('/')
}

/** A path's last component, without slashes at the end, and everything before it. */
function split(path: Name): { parent: Name; name: Name } {
  const trimmed = path.replace(/(?<!\/)\/+$/, '')
  const slash = trimmed.lastIndexOf('/')
  const name = trimmed.slice(slash + 1)
  // rename(2) has these answers for names that are no entry of a directory.
  if (name === '.' || name === '..' || /^\/+$/.test(path)) throw new SyscallError('EBUSY', 'renameat2', path)
  if (name === '') throw new SyscallError('ENOENT', 'renameat2', path)
  return { parent: slash < 0 ? '.' : trimmed.slice(0, slash + 1), name }
}

/** Keeps the directory of the last path open for the next: many paths in a row mostly lie in one. */
export class OpenParents {
  readonly #kernel: Kernel
  readonly #onOpen: (directory: Fd) => void
  #last: { readonly path: Name; readonly fd: Fd } | undefined

  /** @param onOpen  given each directory that is opened, before places in it are */
  constructor(kernel: Kernel, onOpen: (directory: Fd) => void) {
    this.#kernel = kernel
    this.#onOpen = onOpen
  }

  /** The place that a path means; valid until another one is asked for. */
  place(path: Name): Place {
    const { parent, name } = split(path)
    if (this.#last?.path === parent) return { directory: this.#last.fd, name }
    this.close()
    const fd = openParent(this.#kernel, parent)
    this.#last = { path: parent, fd }
    this.#onOpen(fd)
    return { directory: fd, name }
  }

  close(): void {
    const { fd } = this.#last ?? {}
    this.#last = undefined
    if (fd !== undefined) quietly(() => this.#kernel.close(fd))
  }
}

/** Readable if it can be, so that what a move that died has left in it is found; names can be moved without. */
function openParent(kernel: Kernel, path: Name): Fd {
  try {
    return openPath(kernel, path, O_RDONLY | O_DIRECTORY)
  } catch (error) {
    if (!isSyscallError(error, 'EACCES')) throw error
    return openPath(kernel, path, O_PATH | O_DIRECTORY)
  }
}
