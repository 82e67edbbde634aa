// The files of a database inside a root: read through the root, so that no symlink of it leads outside.

import { withDescriptor } from '../../movefile/index.ts'
import {
  baseName,
  type FileType,
  joinName,
  type Name,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  parentName,
  tryOpenat,
} from '../../sys/index.ts'
import { CorruptDatabaseError } from '../errors.ts'
import type { Root } from '../root.ts'
import { readWhole } from '../state.ts'

/** Reads files of a root by their names. */
export class DatabaseFiles {
  readonly root: Root

  constructor(root: Root) {
    this.root = root
  }

  /** A file's bytes; undefined when there is none. */
  bytes(name: Name): Buffer | undefined {
    const { kernel } = this.root
    const directory = this.root.findDirectory(parentName(name))
    const fd = directory && tryOpenat(kernel, directory.fd, baseName(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    return fd === undefined ? undefined : withDescriptor(kernel, fd, () => readWhole(kernel, fd))
  }

  /** A file's text, one character a byte; undefined when there is none. */
  text(name: Name): string | undefined {
    return this.bytes(name)?.toString('latin1')
  }

  /** A text of lines, '' when there is no file. @throws {CorruptDatabaseError} when it ends within a line: it is cut off */
  wholeText(name: Name): string {
    const text = this.text(name) ?? ''
    if (text !== '' && !text.endsWith('\n'))
      throw this.corrupt(name, linesOf(text).length, 'it is cut off: the last line has no end')
    return text
  }

  /** The names in a directory, sorted; none when there is no such directory. */
  names(directory: Name): Name[] {
    const opened = this.root.findDirectory(directory)
    return opened === undefined
      ? []
      : this.root.kernel
          .readDirectory(opened.fd)
          .map(({ name }) => name)
          .sort()
  }

  /** Whether something has a name. */
  has(name: Name): boolean {
    return this.root.find(name) !== undefined
  }

  /** What kind of object has a name now; undefined when nothing has. */
  typeOf(name: Name): FileType | undefined {
    return this.root.find(name)?.type
  }

  /** The error that a file's line is. @param line  counted from 1 */
  corrupt(name: Name, line: number, reason: string): CorruptDatabaseError {
    return new CorruptDatabaseError(joinName(this.root.path, name), line, reason)
  }
}

/** The lines of a text, without the empty one behind its last line feed. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}
