import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { engines } from '../src/engines.ts'
import { loadEngine } from '../src/sys/engineTable.ts'

const sources = fileURLToPath(new URL('../../src', import.meta.url))

/** The names that the sources ask for engines by: of callEngine, of merge's `call`, of work that is shared, and of its shares. */
function namesAskedFor(): Set<string> {
  const calls = /\b(?:callEngine|call)(?:<[^']*>)?\(\s*'(\w+)'|\bprepareThread\('(\w+)'\)/
  const shares = /\bname: '(\w+)', cancel\b|\b(?:shares|threads)\??\.begin\(share, '(\w+)'\)/
  const asking = new RegExp(`${calls.source}|${shares.source}`, 'g')
  const texts = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(sources, name), 'utf8'))
  const found = texts.flatMap((text) => [...text.matchAll(asking)])
  return new Set(found.flatMap(([, ...names]) => names.filter((name) => name !== undefined)))
}

describe('the table of engines', () => {
  for (const name of Object.keys(engines)) {
    it(`loads ${name}`, async () => {
      assert.equal(typeof (await loadEngine(engines, name)), 'function')
    })
  }

  it('has every name that is asked for, and no other', () => {
    assert.deepEqual([...namesAskedFor()].sort(), Object.keys(engines).sort())
  })
})
