// Which licences the package's dependencies have, all the way down, and what is bundled with it; fails at one that a user
// would have to think about.
//
//   node build/scripts/licences.js

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))

/** Licences that ask for no more than to be named. */
const allowed: ReadonlySet<string> = new Set([
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  '0BSD',
  'CC0-1.0',
  'BlueOak-1.0.0',
])

/** Whether a licence expression is allowed: all of an AND, one of an OR. */
export function isAllowed(expression: string): boolean {
  const plain = expression.replaceAll(/[()]/g, '')
  return plain.split(' OR ').some((part) => part.split(' AND ').every((each) => allowed.has(each.trim())))
}

/** What npm installs for a user of the package, on any platform: name@version, licence. */
export function dependencies(): { name: string; licence: string }[] {
  const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; license?: string; dev?: boolean }>
  }
  return Object.entries(lock.packages)
    .filter(([place, { dev }]) => place !== '' && dev !== true)
    .map(([place, { version, license }]) => ({
      name: `${place.split('node_modules/').at(-1)}@${version}`,
      licence: license ?? 'none',
    }))
}

/** What is part of the published modules: name@version, licence. */
export function bundled(): { name: string; licence: string }[] {
  const text = readFileSync(join(project, 'dist/LICENCES.md'), 'utf8')
  return [...text.matchAll(/^## (\S+) \((.+)\)$/gm)].map(([, name = '', licence = '']) => ({ name, licence }))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const all = [...dependencies(), ...bundled()]
  const refused = all.filter(({ licence }) => !isAllowed(licence))
  for (const { name, licence } of all) process.stdout.write(`${licence.padEnd(14)} ${name}\n`)
  process.stdout.write(`${all.length} packages, ${refused.length} with a licence to think about\n`)
  if (all.length === 0 || refused.length > 0) process.exitCode = 1
}
