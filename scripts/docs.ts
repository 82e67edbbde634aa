// Writes what is made from the code: manual pages, completion scripts, docs/commands.md, tables inside docs/*.md.
//
//   node build/scripts/docs.js [FOLDER]      into the project, or into another folder

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeProgram } from '../src/cli/commands.ts'
import { completionScript, shells } from '../src/cli/completions.ts'
import { type CommandReference, referenceOf, withChildren } from '../src/cli/reference.ts'
import { packageVersion } from '../src/cli/version.ts'
import { commandPage } from './commandPage.ts'
import { manualPages } from './manualPages.ts'
import { tables } from './tables.ts'

/** Every file that is made, by its path. */
export function generatedFiles(reference: CommandReference, version: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const { name, text } of manualPages(reference, version)) files.set(`man/${name}`, text)
  const names = { bash: 'rootmerge', zsh: '_rootmerge', fish: 'rootmerge.fish' }
  for (const shell of shells) files.set(`completions/${names[shell]}`, completionScript(shell, reference))
  files.set('docs/commands.md', commandPage(reference))
  return files
}

/** Puts each table where its name stands in a page. */
function fillTables(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.endsWith('.md')) continue
    const text = readFileSync(join(folder, name), 'utf8')
    const filled = text.replaceAll(/(<!-- table: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin, table, end) => {
      return `${begin}${tables[table]?.() ?? ''}${end}`
    })
    if (filled !== text) writeFileSync(join(folder, name), filled)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url))
  const reference = referenceOf(await makeProgram(packageVersion(), { all: true }))
  const files = generatedFiles(reference, packageVersion())
  for (const [path, text] of files) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  fillTables(fileURLToPath(new URL('../../docs', import.meta.url)))
  process.stdout.write(`${files.size} files for ${withChildren(reference).length - 1} commands\n`)
}
