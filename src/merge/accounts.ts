// Users and groups by name, as a root's own etc/passwd and etc/group have them: never the host's.

import type { Name } from '../sys/index.ts'
import { DatabaseFiles, linesOf } from './import/databaseFiles.ts'
import type { Root } from './root.ts'

/** Numbers by name; what a root does not know has none. */
export interface Accounts {
  uid(name: Name): number | undefined
  gid(name: Name): number | undefined
}

/** The accounts of a root, read once. `root` is 0 where there is no passwd yet: the first package may bring it. */
export function accountsOf(root: Root): Accounts {
  const files = new DatabaseFiles(root)
  const users = numbersOf(files.text('etc/passwd'))
  const groups = numbersOf(files.text('etc/group'))
  return { uid: (name) => users.get(name), gid: (name) => groups.get(name) }
}

/** passwd(5) and group(5) both have the name first and its number third. */
function numbersOf(text = ''): ReadonlyMap<Name, number> {
  const numbers = new Map([['root', 0]])
  for (const line of linesOf(text)) {
    const [name = '', , number = ''] = line.split(':')
    if (name !== '' && /^\d+$/.test(number)) numbers.set(name, Number(number))
  }
  return numbers
}
