// Package names, and the directory names that they are stored under.

import { ImportedPackageError, InvalidArgumentError } from './errors.ts'

const valid = /^[A-Za-z0-9@][A-Za-z0-9@._+/-]*$/
/** What a package of another installer may be called behind its colon: `libc6:amd64`, `bash-5.2~rc1-3.x86_64`. */
const validImported = /^[A-Za-z0-9@_][A-Za-z0-9@._+/:~^-]*$/

/** NAME_MAX: a name is stored as one component, in which a character that is encoded takes three bytes. */
const longest = 255

/** The installers whose packages can be imported; such a package is called `dpkg:bash`. */
export const managers = ['dpkg', 'pacman', 'portage', 'apk', 'rpm'] as const

/** One of them. */
export type Manager = (typeof managers)[number]

/**
 * Checks the name of a package of ours: letters, digits and `@._+/-`; components are not empty, `.` or `..`.
 *
 * @throws {ImportedPackageError} for one that belongs to another installer
 * @throws {InvalidArgumentError}
 */
export function checkPackageName(name: string): string {
  if (valid.test(name) && hasPlainComponents(name)) return checkLength(name)
  const manager = managerOf(name)
  if (manager !== undefined) throw new ImportedPackageError(name, manager)
  throw new InvalidArgumentError(`'${printable(name)}' is not a package name`, {
    hint: 'A name has letters, digits and @._+/-, such as sys-apps/sed-4.9 or @scope/x.',
  })
}

/** It may be any text that somebody typed: a line end in it is no line end of the message. */
function printable(name: string): string {
  return name.replace(/[\x00-\x1f\x7f]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

function checkLength(name: string): string {
  if (encodePackageName(name).length <= longest) return name
  throw new InvalidArgumentError(`the package name '${name.slice(0, 40)}…' is too long`, {
    hint: `It may have ${longest} characters; each that is no letter, digit or ._+-@ counts as three.`,
  })
}

/** Checks a name that a record may have: of a package of ours, or of an imported one. @throws {InvalidArgumentError} */
export function checkRecordedName(name: string): string {
  return managerOf(name) === undefined ? checkPackageName(name) : checkLength(name)
}

/** The installer whose package this is; undefined for one of ours. */
export function managerOf(name: string): Manager | undefined {
  const colon = name.indexOf(':')
  const rest = name.slice(colon + 1)
  if (!validImported.test(rest) || !hasPlainComponents(rest)) return undefined
  return managers.find((manager) => manager === name.slice(0, Math.max(0, colon)))
}

function hasPlainComponents(name: string): boolean {
  return name.split('/').every((component) => component !== '' && component !== '.' && component !== '..')
}

/** The name as one component of a path: what is not a letter, digit or `._+-@` is percent-encoded. */
export function encodePackageName(name: string): string {
  return name.replace(/[^A-Za-z0-9._+@-]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

/** The inverse of encodePackageName. */
export function decodePackageName(component: string): string {
  return decodeURIComponent(component)
}
