// Directories that tests work in, and that are gone afterwards.

import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs `body` with a new empty directory (under `parent`), which is removed afterwards. */
export function withDirectory<T>(body: (directory: string) => T, parent: string = tmpdir()): T {
  const directory = mkdtempSync(join(parent, 'rootmerge-test-'))
  let result: T
  try {
    result = body(directory)
  } catch (error) {
    removeQuietly(directory)
    throw error
  }
  if (!(result instanceof Promise)) {
    remove(directory)
    return result
  }
  const finished = result.then(
    (value) => {
      remove(directory)
      return value
    },
    (error: unknown) => {
      removeQuietly(directory)
      throw error
    },
  )
  return finished as T
}

function remove(directory: string): void {
  openUp(Buffer.from(directory))
  rmSync(directory, { recursive: true, force: true, maxRetries: 2 })
}

/** After a failure: what could not be removed must not hide it. */
function removeQuietly(directory: string): void {
  try {
    remove(directory)
  } catch (error) {
    process.stderr.write(`left behind: ${directory}: ${String(error)}\n`)
  }
}

/** Lets an ordinary user remove what is in directories that were made read-only. */
function openUp(path: Buffer): void {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (process.getuid?.() === 0 || !stat?.isDirectory() || stat.uid !== process.getuid?.()) return
  chmodSync(path, 0o700)
  for (const name of readdirSync(path, 'buffer')) openUp(Buffer.concat([path, Buffer.from('/'), name]))
}
