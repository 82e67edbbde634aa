// Names are bytes. Inside the engine a name is the latin1 string of its bytes: lossless, comparable, usable
// as a key. This file is the only place where such strings meet the UTF-8 world outside.

import type { Name } from './kernel.ts'

/** Turns a public argument into the engine's form; strings are UTF-8, Buffers are taken as they are. */
export function toName(path: string | Uint8Array): Name {
  return Buffer.from(path as string).toString('latin1')
}

/** The bytes of a name. */
export function nameBytes(name: Name): Buffer {
  return Buffer.from(name, 'latin1')
}

/**
 * A name as a person or JSON can read it: UTF-8 where the bytes are that, else `\ooo` in octal.
 *
 * Backslashes and control characters are escaped too, so the result is one line and can be told apart from any
 * other name. It is for reading only; `nameBytes` is lossless.
 */
export function displayName(name: Name): string {
  if (plain.test(name)) return name
  const bytes = nameBytes(name)
  const text = bytes.toString('utf8')
  const isUtf8 = Buffer.from(text, 'utf8').equals(bytes)
  return isUtf8
    ? text.replace(unprintable, (character) => octal(Buffer.from(character, 'utf8')))
    : name.replace(notPlain, (byte) => octal(nameBytes(byte)))
}

/** Joins a directory and a name; an empty directory, or `.`, adds nothing. */
export function joinName(directory: Name, name: Name): Name {
  if (directory === '' || directory === '.') return name
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`
}

/** Everything before the last `/` of a name relative to a root; '' when there is none. */
export function parentName(name: Name): Name {
  const slash = name.lastIndexOf('/')
  return slash < 0 ? '' : name.slice(0, slash)
}

/** The last component of a name. */
export function baseName(name: Name): Name {
  return name.slice(name.lastIndexOf('/') + 1)
}

const plain = /^[\x20-\x5b\x5d-\x7e]*$/
const notPlain = /[^\x20-\x5b\x5d-\x7e]/g
// C0 and C1 controls, DEL, backslash, and the line separators that terminals and JSON viewers break at.
const unprintable = /[\x00-\x1f\x5c\x7f-\x9f\u2028\u2029]/g

function octal(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}
