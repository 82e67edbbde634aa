import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))
const file = 'fixtures/types/uses.ts'

/** Each line with an error, and which. */
function errorsBy(...options: string[]): string[] {
  const tsc = join(project, 'node_modules/.bin/tsc')
  const args = [
    '--noEmit',
    '--pretty',
    'false',
    '--ignoreConfig',
    '--target',
    'es2022',
    '--types',
    'node',
    ...options,
    file,
  ]
  const { stdout, stderr } = spawnSync(tsc, args, { cwd: project, encoding: 'utf8' })
  const found = [...stdout.matchAll(/^(\S+)\((\d+),\d+\): error (TS\d+)/gm)]
  assert.ok(found.length > 0, stdout + stderr)
  return found.map(([, where, line, code]) => `${where} ${line} ${code}`)
}

describe('the types of the library', function () {
  this.timeout(120_000)
  const expected = fs
    .readFileSync(join(project, file), 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      const code = / \/\/ (TS\d+)$/.exec(line)?.[1]
      return code === undefined ? [] : [`${file} ${index + 1} ${code}`]
    })

  const settings: Readonly<Record<string, readonly string[]>> = {
    'in Node': ['--module', 'nodenext', '--strict', '--noUncheckedIndexedAccess'],
    'with a bundler': ['--module', 'esnext', '--moduleResolution', 'bundler', '--strict', '--noUncheckedIndexedAccess'],
    'as strict as they can be': [
      ...['--module', 'nodenext', '--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes'],
      ...['--noPropertyAccessFromIndexSignature', 'false', '--verbatimModuleSyntax', '--isolatedModules'],
    ],
  }
  for (const [where, options] of Object.entries(settings)) {
    it(`let users write what is right, and nothing else: ${where}`, () => {
      assert.ok(expected.length > 15)
      assert.deepEqual(errorsBy(...options), expected)
    })
  }
})
