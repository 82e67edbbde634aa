import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Shell } from '../../scripts/shell.ts'
import { tables } from '../../scripts/tables.ts'
import { withDirectory } from '../support/scratch.ts'

const project = fileURLToPath(new URL('../../..', import.meta.url))
const pages = [
  'README.md',
  ...fs
    .readdirSync(join(project, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

interface Block {
  readonly language: string
  readonly lines: readonly string[]
}

/** The fenced blocks of a page. */
function blocksOf(page: string): Block[] {
  const text = fs.readFileSync(join(project, page), 'utf8')
  return [...text.matchAll(/^```(.+)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? '',
    lines: (match[2] ?? '').replace(/\n$/, '').split('\n'),
  }))
}

/** Commands of a session, each with what it shall print. */
function sessionOf({ lines }: Block): { command: string; expected: string[] }[] {
  const session: { command: string; expected: string[] }[] = []
  for (const line of lines) {
    if (line.startsWith('$ ')) session.push({ command: line.slice(2), expected: [] })
    else if (line !== '') session.at(-1)?.expected.push(line)
  }
  return session
}

/** Times, process ids and sums are another each time. */
function withoutChance(line: string): string {
  return line
    .replace(/^( {2}took ).*$/, '$1…')
    .replace(/process \d+/, 'process N')
    .replace(/\d+ bytes are missing/, 'N bytes are missing')
    .replace(/'\/[^']*\/(root|hello-1)/g, "'…/$1")
    .replace(/^(# rootmerge end \d+ )[0-9a-zX]{8}$/, '$1…')
}

describe('the documentation', function () {
  this.timeout(120_000)

  for (const page of pages) {
    const consoles = blocksOf(page).filter(({ language }) => language.startsWith('console'))
    if (consoles.length > 0) {
      it(`${page}: every command prints what stands there`, function () {
        if (consoles.some(({ language }) => language.endsWith(' root')) && process.getuid?.() !== 0) return this.skip()
        withDirectory((folder) => {
          const shell = new Shell(folder)
          let compared = 0
          for (const { command, expected } of consoles.flatMap(sessionOf)) {
            const printed = shell.run(command).filter((line) => line !== '')
            assert.deepEqual(printed.map(withoutChance), expected.map(withoutChance), command)
            compared++
          }
          assert.ok(compared > 1)
        })
      })
    }
    const programs = blocksOf(page).filter(({ language }) => language === 'js')
    for (const [number, program] of programs.entries()) {
      it(`${page}: program ${number + 1} prints what its comments say`, () =>
        withDirectory((folder) => {
          fs.mkdirSync(join(folder, 'node_modules'))
          fs.symlinkSync(project, join(folder, 'node_modules/rootmerge'))
          fs.mkdirSync(join(folder, 'root'))
          new Shell(folder).run(image)
          fs.writeFileSync(join(folder, 'program.mjs'), program.lines.join('\n'))
          const { stdout, stderr, status } = spawnSync(process.execPath, ['program.mjs'], {
            cwd: folder,
            encoding: 'utf8',
          })
          assert.equal(status, 0, stderr)
          const expected = program.lines.flatMap((line) => /console\.log\(.*\) \/\/ (.*)$/.exec(line)?.[1] ?? [])
          assert.deepEqual(stdout.trimEnd().split('\n'), expected)
          assert.ok(expected.length > 0)
        }))
    }
    it(`${page}: its tables are the code's, and its links lead somewhere`, () => {
      const text = fs.readFileSync(join(project, page), 'utf8')
      for (const [, name = '', table = ''] of text.matchAll(/<!-- table: (\w+) -->\n([\s\S]*?)<!-- end -->/g)) {
        assert.equal(table, tables[name]?.(), `${name}: run make docs`)
      }
      for (const [, link = ''] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
        if (/^https?:/.test(link) || generated.has(link)) continue
        assert.ok(fs.existsSync(join(project, page, '..', link)), `${page} links to ${link}`)
      }
    })
  }
})

/** The image of the README's first commands. */
const image =
  'mkdir -p hello-1/etc hello-1/usr/bin && echo "greeting = hello" > hello-1/etc/hello.conf && echo : > hello-1/usr/bin/hello && truncate -s 1M hello-1/usr/hello.data'

/** Made by `make docs`. */
const generated = new Set(['docs/commands.md', 'docs/api', 'commands.md'])
