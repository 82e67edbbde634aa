// Writes what is made from the command itself: manual pages, completion scripts, docs/commands.md.
//
//   node build/scripts/docs.js [FOLDER]      into the project, or into another folder

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeProgram } from '../src/cli/commands.ts'
import { completionScript, shells } from '../src/cli/completions.ts'
import { type CommandReference, referenceOf, withChildren } from '../src/cli/reference.ts'
import { packageVersion } from '../src/cli/version.ts'
import { commandPage } from './commandPage.ts'
import { manualPages } from './manualPages.ts'

/** Every file that is made, by its path. */
export function generatedFiles(reference: CommandReference, version: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const { name, text } of manualPages(reference, version)) files.set(`man/${name}`, text)
  const names = { bash: 'rootmerge', zsh: '_rootmerge', fish: 'rootmerge.fish' }
  for (const shell of shells) files.set(`completions/${names[shell]}`, completionScript(shell, reference))
  files.set('docs/commands.md', commandPage(reference))
  return files
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url))
  const reference = referenceOf(await makeProgram(packageVersion(), { all: true }))
  const files = generatedFiles(reference, packageVersion())
  for (const [path, text] of files) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  process.stdout.write(`${files.size} files for ${withChildren(reference).length - 1} commands\n`)
}
