import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { runWith } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

/** Merges a file into a root, with ROOTMERGE_DEBUG as given. */
function mergeWith(value: string, packageName = 'hello'): { status: number | null; stdout: string; stderr: string } {
  return withDirectory((directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    fs.mkdirSync(root)
    fs.mkdirSync(image)
    fs.writeFileSync(join(image, 'file'), 'bytes')
    return runWith({ ROOTMERGE_DEBUG: value }, 'merge', image, '--package', packageName, '--root', root)
  })
}

const stackTrace = /^ {4}at .*\.js:\d+:\d+/m

describe('ROOTMERGE_DEBUG', () => {
  it('shows every fact on standard error, one a line, and results as ever on standard output', () => {
    const { status, stdout, stderr } = mergeWith('1')
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^hello merged: 1 entry/)
    assert.doesNotMatch(stdout, /rootmerge:/)
    const facts = stderr.split('\n').filter((line) => line !== '')
    const phases = facts.flatMap((line) => /^rootmerge:phase \{.*phase: '([^']+)'.*\}$/.exec(line)?.[1] ?? [])
    assert.deepEqual(phases, ['plan', 'stage', 'record', 'flush', 'commit', 'record', 'clean up'])
    assert.equal(facts.filter((line) => /^rootmerge:copy \{.*name: 'file'.*read_write: 5.*\}$/.test(line)).length, 1)
    assert.deepEqual(
      facts.filter((line) => !/^rootmerge:(phase|copy|decline) \{.*\}$/.test(line)),
      [],
    )
  })

  it('shows where an error comes from', () => {
    const { status, stderr } = mergeWith('1', 'a b')
    assert.equal(status, 2)
    assert.match(stderr, /not a package name/)
    assert.match(stderr, stackTrace)
  })

  it('is not set when it is empty', () => {
    assert.equal(mergeWith('').stderr, '')
    const { stderr } = mergeWith('', 'a b')
    assert.match(stderr, /not a package name/)
    assert.doesNotMatch(stderr, stackTrace)
  })
})
