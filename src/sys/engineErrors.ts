// Errors between threads. Structured cloning keeps neither the class nor the fields of an error, so they are packed.

import { Cancelled } from './cancel.ts'
import { RootmergeError, SyscallError, UnsupportedPlatformError } from './errors.ts'

/** A class whose errors may cross: with its prototype and fields, without a call of its constructor. */
export type ErrorClass = abstract new (...args: never[]) => Error

const builtIn: readonly ErrorClass[] = [
  Error,
  TypeError,
  RangeError,
  AggregateError,
  SyscallError,
  UnsupportedPlatformError,
  Cancelled,
]

/** An error as a message can carry it. */
export interface PackedError {
  readonly className: string
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly fields: Readonly<Record<string, unknown>>
}

/** What marks a packed error among the fields of another. */
const packedMark = 'rootmerge:error'

/** Packs an error; what is thrown without being one becomes one. Fields that cannot be cloned are left out. */
export function packError(thrown: unknown): PackedError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const fields: Record<string, unknown> = {}
  for (const name of Object.getOwnPropertyNames(error)) {
    if (name === 'message' || name === 'stack') continue
    const value = packValue((error as unknown as Record<string, unknown>)[name])
    if (value !== undefined) fields[name] = value
  }
  // A class that the receiver does not know still shows its name and is told apart by its code.
  return { className: error.constructor.name, name: error.name, message: error.message, stack: error.stack, fields }
}

/** Makes the error again, of its own class where that is given or known. */
export function unpackError(packed: PackedError, classes: readonly ErrorClass[] = []): Error {
  const known = [...classes, ...builtIn].find((each) => each.name === packed.className)
  const fallback = String(packed.fields.code).startsWith('ERR_ROOTMERGE_') ? RootmergeError : Error
  const error = Object.setPrototypeOf(new Error(packed.message), (known ?? fallback).prototype) as Error
  const define = (name: string, value: unknown, enumerable: boolean) =>
    Object.defineProperty(error, name, { value, enumerable, writable: true, configurable: true })
  define('stack', packed.stack, false)
  if (known === undefined) define('name', packed.name, false)
  for (const [name, value] of Object.entries(packed.fields)) {
    define(name, unpackValue(value, classes), name !== 'cause' && name !== 'errors')
  }
  return error
}

function packValue(value: unknown): unknown {
  if (value instanceof Error) return { [packedMark]: packError(value) }
  if (Array.isArray(value)) return value.map(packValue)
  try {
    return structuredClone(value)
  } catch {
    return undefined // a function, a handle: nothing that another thread could use
  }
}

function unpackValue(value: unknown, classes: readonly ErrorClass[]): unknown {
  if (Array.isArray(value)) return value.map((each) => unpackValue(each, classes))
  if (typeof value !== 'object' || value === null || !(packedMark in value)) return value
  return unpackError(value[packedMark] as PackedError, classes)
}
