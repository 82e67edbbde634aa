// Users and groups by name, as a root's own etc/passwd and etc/group have them: never the host's.

import type { Kernel, Name } from '../sys/index.ts'
import { DatabaseFiles, linesOf } from './import/databaseFiles.ts'
import { Root } from './root.ts'

/** Numbers by name; what a root does not know has none. */
export interface Accounts {
  uid(name: Name): number | undefined
  gid(name: Name): number | undefined
}

/** Nobody is known, but root. */
export const noAccounts: Accounts = { uid: (name) => rootOnly.get(name), gid: (name) => rootOnly.get(name) }

/** The accounts of a root, read once. `root` is 0 where there is no passwd yet: the first package may bring it. */
export function accountsOf(root: Root): Accounts {
  const files = new DatabaseFiles(root)
  const users = numbersOf(files.text('etc/passwd'))
  const groups = numbersOf(files.text('etc/group'))
  return { uid: (name) => users.get(name), gid: (name) => groups.get(name) }
}

/** The accounts of the root at a path, read when they are first asked for: most archives have numbers only. */
export function accountsAt(kernel: Kernel, path: Name): Accounts {
  let known: Accounts | undefined
  const read = () => {
    const root = new Root(kernel, path)
    try {
      return accountsOf(root)
    } finally {
      root.close()
    }
  }
  const accounts = () => {
    known ??= read()
    return known
  }
  return { uid: (name) => accounts().uid(name), gid: (name) => accounts().gid(name) }
}

const rootOnly: ReadonlyMap<Name, number> = new Map([['root', 0]])

/** passwd(5) and group(5) both have the name first and its number third. */
function numbersOf(text = ''): ReadonlyMap<Name, number> {
  const numbers = new Map(rootOnly)
  for (const line of linesOf(text)) {
    const [name = '', , number = ''] = line.split(':')
    if (name !== '' && /^\d+$/.test(number)) numbers.set(name, Number(number))
  }
  return numbers
}
