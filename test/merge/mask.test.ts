import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compileMask } from '../../src/merge/mask.ts'
import { displayName } from '../../src/sys/index.ts'

const fixture = fileURLToPath(new URL('../../../fixtures/mask/answers.jsonl', import.meta.url))

describe('an install mask', () => {
  it("gives Portage's answer for 100,000 names and sets of patterns", () => {
    const [head = '', ...lines] = readFileSync(fixture, 'utf8').trim().split('\n')
    const { paths } = JSON.parse(head) as { paths: string[] }
    let [answers, masked] = [0, 0]
    const wrong: string[] = []
    for (const line of lines) {
      const { patterns, masked: bits } = JSON.parse(line) as { patterns: string[]; masked: string }
      const mask = compileMask(patterns.map((bytes) => Buffer.from(bytes, 'latin1')))
      const expected = BigInt(`0x${bits}`)
      paths.forEach((path, index) => {
        const isDirectory = path.endsWith('/')
        const isLeftOut = mask.leavesOut(isDirectory ? path.slice(0, -1) : path, isDirectory)
        const isExpected = ((expected >> BigInt(index)) & 1n) === 1n
        answers++
        if (isExpected) masked++
        if (isLeftOut !== isExpected) wrong.push(`${displayName(path)} by ${JSON.stringify(patterns)}`)
      })
    }
    assert.deepEqual(wrong.slice(0, 10), [])
    assert.equal(answers, 100_000)
    assert.ok(masked > 5000 && masked < 95_000, `${masked} of ${answers} are left out`)
  })

  it("matches patterns with ? and [ before the last component, which Portage's index misses", () => {
    const mask = compileMask(['/usr/share/loc?le/x', '/usr/[s]hare/y'])
    assert.equal(mask.leavesOut('usr/share/locale/x', false), true)
    assert.equal(mask.leavesOut('usr/share/y', false), true)
    assert.equal(mask.leavesOut('usr/lib/y', false), false)
  })

  it('takes a long name with many stars in a moment', () => {
    const mask = compileMask([`/${'*a'.repeat(40)}b`])
    assert.equal(mask.leavesOut('a'.repeat(4000), false), false)
  })
})
