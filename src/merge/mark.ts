// The mark of a root: its top directory knows which state is its own. So a root whose state is on a file system that is
// not mounted, or is called by another name, is not taken for one where nothing was ever merged.

import { randomBytes } from 'node:crypto'
import { findXattr, withDescriptor } from '../movefile/index.ts'
import {
  displayName,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  nameBytes,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  parentName,
  toName,
  tryOpenat,
} from '../sys/index.ts'
import { InvalidArgumentError, NestedRootError, StateMissingError } from './errors.ts'
import type { Directory, Root } from './root.ts'
import { readWhole, type State, writeWhole } from './state.ts'
import { ownFile } from './stateFiles.ts'

/** An attribute of the root's top directory, or a file in it where the file system has none. */
const markAttribute = 'user.rootmerge'
const markFile = '.rootmerge'
const idFile = 'id'

interface Mark {
  readonly id: string
  /** The state's name, relative to the root. */
  readonly state: Name
}

/**
 * Demands that a marked root is used with its own state, and that no other object has its name.
 *
 * @throws {StateMissingError} when that is not there, or another one is meant
 * @throws {InvalidArgumentError}
 */
export function checkMark(state: State): void {
  const { kernel, fd, path } = state.root
  const mark = readMark(kernel, fd)
  const directory = state.find()
  if (mark === undefined) return directory === undefined ? refuseOtherTypes(state) : undefined
  const isSame = directory !== undefined && readId(kernel, directory) === mark.id
  if (!isSame) throw new StateMissingError(path, { marked: mark.state, given: state.name })
}

/** Something else than a directory may have the name of a state that is not there, or of a directory above it. */
function refuseOtherTypes({ root, name }: State): void {
  const components = name.split('/')
  for (let end = 1; end <= components.length; end++) {
    const part = components.slice(0, end).join('/')
    if (root.find(part) === undefined || root.findDirectory(part) !== undefined) continue
    const what = part === name ? 'it cannot be the state' : 'the state cannot be in it'
    throw new InvalidArgumentError(`'${displayName(root.pathOf(part))}' is no directory, so ${what}`, {
      hint: 'Move it away, or say where the state is with --state.',
    })
  }
}

/** Marks a root with its state, by its only writer; the state's id is durable before the mark is made. */
export function markRoot(state: State): void {
  const { kernel, fd } = state.root
  if (readMark(kernel, fd) !== undefined) return
  const directory = state.make()
  const id = readId(kernel, directory) ?? makeId(kernel, directory)
  writeMark(kernel, fd, { id, state: state.name })
}

/** Answers which directories of a root lie in another root that is marked. */
export class OtherRoots {
  readonly #root: Root
  readonly #known = new Map<Name, Name | undefined>([['', undefined]])

  constructor(root: Root) {
    this.#root = root
  }

  /** @throws {NestedRootError} */
  refuse(names: Iterable<Name>): void {
    for (const name of names) {
      const other = this.#above(name)
      if (other !== undefined) throw new NestedRootError(name, this.#root.pathOf(other))
    }
  }

  #above(name: Name): Name | undefined {
    if (this.#known.has(name)) return this.#known.get(name)
    const directory = this.#root.findDirectory(name)
    const isMarked = directory !== undefined && readMark(this.#root.kernel, directory.fd) !== undefined
    const other = isMarked ? name : this.#above(parentName(name))
    this.#known.set(name, other)
    return other
  }
}

function readMark(kernel: Kernel, directory: Fd): Mark | undefined {
  const mark = findXattr(kernel, directory, markAttribute)
  if (mark !== undefined) return parseMark(mark)
  const fd = tryOpenat(kernel, directory, markFile, O_RDONLY | ownFile)
  return fd === undefined ? undefined : parseMark(withDescriptor(kernel, fd, () => readWhole(kernel, fd)))
}

/** `id`, a space, the state's name; anything else is no mark (one that was not written to its end). */
function parseMark(bytes: Buffer): Mark | undefined {
  const match = /^([0-9a-f]{16}) (.+)\n$/s.exec(toName(bytes))
  return match === null ? undefined : { id: match[1] ?? '', state: match[2] ?? '' }
}

function writeMark(kernel: Kernel, directory: Fd, { id, state }: Mark): void {
  const value = nameBytes(`${id} ${state}\n`)
  try {
    kernel.setXattr(directory, markAttribute, value)
  } catch (error) {
    // No attributes (FAT, old tmpfs), no room for one, or not ours: a directory with the sticky bit.
    if (!isSyscallError(error, 'EOPNOTSUPP', 'EPERM', 'EACCES', 'ENOSPC', 'ENOSYS')) throw error
    writeMarkFile(kernel, directory, value)
  }
}

/** A top directory that the writer may not write stays unmarked: what he may merge lies below it. */
function writeMarkFile(kernel: Kernel, directory: Fd, value: Buffer): void {
  try {
    const fd = kernel.openat(directory, markFile, O_WRONLY | O_CREAT | O_TRUNC | ownFile, 0o644)
    withDescriptor(kernel, fd, () => writeWhole(kernel, fd, value))
  } catch (error) {
    if (!isSyscallError(error, 'EACCES', 'EPERM', 'EROFS')) throw error
  }
}

function readId(kernel: Kernel, { fd: directory }: Directory): string | undefined {
  const fd = tryOpenat(kernel, directory, idFile, O_RDONLY | ownFile)
  const text = fd === undefined ? '' : withDescriptor(kernel, fd, () => readWhole(kernel, fd).toString('latin1').trim())
  return /^[0-9a-f]{16}$/.test(text) ? text : undefined
}

function makeId(kernel: Kernel, { fd: directory }: Directory): string {
  const id = randomBytes(8).toString('hex')
  const fd = kernel.openat(directory, idFile, O_WRONLY | O_CREAT | O_TRUNC | ownFile, 0o644)
  withDescriptor(kernel, fd, () => {
    writeWhole(kernel, fd, nameBytes(`${id}\n`))
    kernel.fsync(fd)
  })
  kernel.fsync(directory)
  return id
}
