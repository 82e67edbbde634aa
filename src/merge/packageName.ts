// Package names, and the directory names that they are stored under.

import { InvalidArgumentError } from './errors.ts'

const valid = /^[A-Za-z0-9@][A-Za-z0-9@._+/-]*$/

/**
 * Checks a package name: letters, digits and `@._+/-`; components are not empty, `.` or `..`.
 *
 * @throws {InvalidArgumentError}
 */
export function checkPackageName(name: string): string {
  const components = name.split('/')
  if (valid.test(name) && components.every((c) => c !== '' && c !== '.' && c !== '..')) return name
  throw new InvalidArgumentError(`'${name}' is not a package name`, {
    hint: 'A name has letters, digits and @._+/-, such as sys-apps/sed-4.9 or @scope/x.',
  })
}

/** The name as one component of a path: what is not a letter, digit or `._+-@` is percent-encoded. */
export function encodePackageName(name: string): string {
  return name.replace(/[^A-Za-z0-9._+@-]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

/** The inverse of encodePackageName. */
export function decodePackageName(component: string): string {
  return decodeURIComponent(component)
}
