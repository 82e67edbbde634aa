// The root: names in, open directories out, and nothing outside it ever reached.
//
// Names are resolved as chroot would resolve them. Most directories have no symlink on their way, and one openat2
// says so; else the walk below follows each symlink by hand, inside the root, if it may be trusted.

import { quietly } from '../movefile/index.ts'
import {
  AT_FDCWD,
  displayName,
  type Fd,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openPath,
  parentName,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  type Stat,
  SyscallError,
} from '../sys/index.ts'
import { EscapesRootError, InvalidArgumentError } from './errors.ts'

/** An open directory inside the root. */
export interface Directory {
  readonly fd: Fd
  /** Its name without symlinks, relative to the root; '' is the root itself. */
  readonly name: Name
}

const directoryFlags = O_RDONLY | O_DIRECTORY
const strictly = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
/** Open directories kept; a caller uses two at a time, so one that was just asked for is never closed under it. */
const directoriesKept = 64
/** As the kernel's MAXSYMLINKS. */
const symlinksFollowed = 40
/** openat2(2): EAGAIN when a rename ran beside it, RESOLVE_BENEATH could not be sure. */
const attempts = 4

/** An open root directory. Its descriptors are only read from, so that closing one has nothing to report. */
export class Root {
  readonly kernel: Kernel
  /** The path as the caller gave it, for messages. */
  readonly path: Name
  readonly fd: Fd
  readonly #open = new Map<Name, Directory>()
  /** The one that was asked for last: entry after entry lies in one directory. */
  #last: { readonly name: Name; readonly directory: Directory } | undefined
  #hasOpenat2 = true

  /** @throws {InvalidArgumentError} when `path` is no directory */
  constructor(kernel: Kernel, path: Name, from?: Fd) {
    this.kernel = kernel
    this.path = path
    this.fd = from === undefined ? openRootDirectory(kernel, path) : kernel.openat(from, path, directoryFlags)
  }

  /** A root that is open already: its own descriptors on the same directory. */
  static of(kernel: Kernel, fd: Fd): Root {
    return new Root(kernel, '.', fd)
  }

  /** The path of a name, for messages only: nothing is ever opened by it. */
  pathOf(name: Name): Name {
    return name === '' ? this.path : joinName(this.path, name)
  }

  /**
   * Opens the directory of a name, symlinks followed inside the root.
   *
   * The descriptor belongs to the root: it stays open until 64 others were asked for after it.
   *
   * @throws {SyscallError} ENOENT, ENOTDIR, ELOOP, …
   * @throws {EscapesRootError} for a symlink that belongs to somebody who may not lead us
   */
  directory(name: Name): Directory {
    if (name === this.#last?.name) return this.#last.directory
    const found = this.#find(name)
    this.#last = { name, directory: found }
    return found
  }

  #find(name: Name): Directory {
    const known = this.#open.get(name)
    if (known !== undefined) {
      this.#open.delete(name)
      this.#open.set(name, known)
      return known
    }
    const opened = name === '' ? this.#reopen('') : (this.#openStrictly(name) ?? this.#walk(name))
    this.#open.set(name, opened)
    this.#closeOldest()
    return opened
  }

  /** As directory, but undefined when there is none: the name, or one before it, is absent or not a directory. */
  findDirectory(name: Name): Directory | undefined {
    try {
      return this.directory(name)
    } catch (error) {
      if (isSyscallError(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }

  /** What a name is now, without following its last component. */
  find(name: Name): Stat | undefined {
    const parent = this.findDirectory(parentName(name))
    return parent && this.kernel.findat(parent.fd, lastComponent(name))
  }

  /** Forgets a directory, which has moved or gone. */
  forget(name: Name): void {
    this.#last = undefined
    for (const [key, directory] of this.#open) {
      if (isWithin(key, name) || isWithin(directory.name, name)) {
        this.#open.delete(key)
        quietly(() => this.kernel.close(directory.fd))
      }
    }
  }

  close(): void {
    this.#last = undefined
    for (const directory of this.#open.values()) quietly(() => this.kernel.close(directory.fd))
    this.#open.clear()
    quietly(() => this.kernel.close(this.fd))
  }

  #closeOldest(): void {
    if (this.#open.size <= directoriesKept) return
    const [oldest] = this.#open
    if (oldest === undefined) return
    this.#open.delete(oldest[0])
    quietly(() => this.kernel.close(oldest[1].fd))
  }

  #reopen(name: Name): Directory {
    return { fd: this.kernel.openat(this.fd, name === '' ? '.' : name, directoryFlags | O_NOFOLLOW), name }
  }

  /** The directory, if no symlink is on the way. */
  #openStrictly(name: Name): Directory | undefined {
    for (let attempt = 0; this.#hasOpenat2 && attempt < attempts; attempt++) {
      try {
        return { fd: this.kernel.openat2(this.fd, name, directoryFlags, 0, strictly), name }
      } catch (error) {
        if (isSyscallError(error, 'ENOSYS')) this.#hasOpenat2 = false
        // A seccomp filter's EPERM is not remembered; ELOOP says that there is a symlink.
        else if (isSyscallError(error, 'ELOOP', 'EPERM')) return undefined
        else if (!isSyscallError(error, 'EAGAIN')) throw error
      }
    }
    return undefined
  }

  #walk(name: Name): Directory {
    const walk = new Walk(this.kernel, this.fd)
    try {
      walk.enter(name)
      const resolved = walk.name
      return { fd: walk.takeDescriptor(), name: resolved }
    } finally {
      walk.close()
    }
  }
}

/** Resolves a name component by component; a stack of open directories makes `..` exact. */
class Walk {
  readonly #kernel: Kernel
  readonly #stack: { fd: Fd; component: Name }[] = []
  readonly #root: Fd
  #symlinks = 0

  constructor(kernel: Kernel, root: Fd) {
    this.#kernel = kernel
    this.#root = root
  }

  get name(): Name {
    return this.#stack.map((level) => level.component).join('/')
  }

  get #fd(): Fd {
    return this.#stack.at(-1)?.fd ?? this.#root
  }

  enter(path: Name): void {
    if (path.startsWith('/')) this.#leave(this.#stack.length)
    for (const component of path.split('/')) {
      if (component === '..') this.#leave(1)
      else if (component !== '' && component !== '.') this.#step(component)
    }
  }

  /** The descriptor reached, which is the caller's from now on. */
  takeDescriptor(): Fd {
    const top = this.#stack.pop()
    return top?.fd ?? this.#kernel.openat(this.#root, '.', directoryFlags)
  }

  close(): void {
    this.#leave(this.#stack.length)
  }

  #leave(levels: number): void {
    const left = this.#stack.splice(Math.max(0, this.#stack.length - levels))
    for (const { fd } of left) quietly(() => this.#kernel.close(fd))
  }

  #step(component: Name): void {
    const stat = this.#kernel.statat(this.#fd, component)
    if (stat.type === 'symlink') return this.#follow(component, stat.uid)
    const fd = this.#kernel.openat(this.#fd, component, directoryFlags | O_NOFOLLOW)
    this.#stack.push({ fd, component })
  }

  /** rpm's rule since CVE-2017-7500: a symlink leads only if root, or the owner of what it points to, made it. */
  #follow(component: Name, owner: number): void {
    if (++this.#symlinks > symlinksFollowed) throw new SyscallError('ELOOP', 'openat', joinName(this.name, component))
    const link = joinName(this.name, component)
    this.enter(this.#kernel.readlinkat(this.#fd, component))
    if (owner === 0 || owner === this.#kernel.fstat(this.#fd).uid) return
    throw new EscapesRootError(link, `is a symlink of user ${owner}, who owns neither it by right nor its target`)
  }
}

function openRootDirectory(kernel: Kernel, path: Name): Fd {
  try {
    return openPath(kernel, path, directoryFlags)
  } catch (error) {
    if (!isSyscallError(error, 'ENOENT', 'ENOTDIR')) throw error
    throw new InvalidArgumentError(`the root '${displayName(path)}' is not a directory`, {
      hint: 'Make it first, or give another with --root.',
      cause: error,
    })
  }
}

function lastComponent(name: Name): Name {
  return name === '' ? '.' : name.slice(name.lastIndexOf('/') + 1)
}

/** Whether `name` is `directory` or below it. */
export function isWithin(name: Name, directory: Name): boolean {
  return directory === '' || name === directory || name.startsWith(`${directory}/`)
}

/** Makes a name's directory and the ones before it, mode 0755, where they are missing. */
export function makeDirectories(root: Root, name: Name): Directory {
  const found = root.findDirectory(name)
  if (found !== undefined) return found
  const parent = makeDirectories(root, parentName(name))
  root.kernel.mkdirat(parent.fd, lastComponent(name), 0o755)
  const made = root.directory(name)
  root.kernel.fchmod(made.fd, 0o755) // whatever the umask took away
  return made
}

/** Opens a directory outside any root, such as an image. */
export function openOutside(kernel: Kernel, path: Name): Fd {
  return kernel.openat(AT_FDCWD, path, directoryFlags)
}
