// The package's version, from its package.json: two folders up from the compiled command.

import { existsSync, readFileSync } from 'node:fs'

/** The version of the package that this command belongs to. */
export function packageVersion(): string {
  for (let folder = new URL('../', import.meta.url); ; folder = new URL('../', folder)) {
    const file = new URL('package.json', folder)
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
    if (folder.pathname === '/') return 'unknown'
  }
}
