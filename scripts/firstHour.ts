// Writes docs/first-hour.md: what a new user sees, and ten mistakes, each as it was answered.
//
//   node build/scripts/firstHour.js       as root, since a full disk and an ordinary user are among them
//
// The page is a page of examples like the others: test/docs runs them again and compares.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chapters } from './firstHourChapters.ts'
import { Shell } from './shell.ts'

const page = fileURLToPath(new URL('../../docs/first-hour.md', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'rootmerge-first-hour-'))
try {
  const shell = new Shell(folder)
  const lines = [
    '# The first hour',
    '',
    'Printed so by the command; made by `node build/scripts/firstHour.js`, and run again by a test.',
    '',
  ]
  for (const { title, needsRoot, commands, moral } of chapters) {
    lines.push(`## ${title}`, '', needsRoot ? '```console root' : '```console')
    for (const command of commands) lines.push(`$ ${command}`, ...shell.run(command))
    lines.push('```', '', ...(moral === undefined ? [] : [moral, '']))
  }
  writeFileSync(page, lines.join('\n').replaceAll(folder, '/home/you'))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
