import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Journal, type Marker } from '../../src/merge/journal.ts'
import { recoveryActions } from '../../src/merge/recover.ts'
import type { Step } from '../../src/merge/steps.ts'
import { AT_FDCWD, linuxKernel, O_DIRECTORY, O_RDONLY } from '../../src/sys/index.ts'
import { declining } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'

const step: Step = { kind: 'place', phase: 'payload', directory: 0, name: '\xff odd\n', staging: 's', identity: '1:ab' }
const directory = { number: 0, name: 'usr', identity: '1:cd', mtimeNs: '5' }

function withJournal(body: (journal: Journal, read: () => ReturnType<typeof Journal.readOnly>, path: string) => void) {
  withDirectory((path) => {
    const kernel = linuxKernel()
    const fd = kernel.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY)
    const journal = new Journal(kernel, fd, true)
    try {
      body(journal, () => Journal.readOnly(kernel, fd, '/root'), join(path, 'journal'))
    } finally {
      journal.close()
      kernel.close(fd)
    }
  })
}

describe('Journal', () => {
  it('is read back as it was written, odd names included', () =>
    withJournal((journal, read) => {
      journal.begin('00ab00ab00ab00ab', ['pkg'], 1000)
      journal.append({ kind: 'directory', ...directory })
      journal.append({ kind: 'step', step })
      journal.mark('commit', { timeNs: '77' })
      assert.deepEqual(read(), {
        id: '00ab00ab00ab00ab',
        marker: 'commit',
        packages: ['pkg'],
        committedNs: 77n,
        directories: [{ kind: 'directory', ...directory }],
        steps: [step],
      })
    }))

  it('tells nothing of a transaction that was overwritten by the next', () =>
    withJournal((journal, read) => {
      journal.begin('1111111111111111', ['first'], 1000)
      for (let n = 0; n < 50; n++) journal.append({ kind: 'step', step })
      journal.end()
      assert.equal(read()?.marker, 'end')
      assert.deepEqual(read()?.steps, [])
      journal.begin('2222222222222222', ['second'], 1000)
      assert.deepEqual(read()?.packages, ['second'])
      assert.deepEqual(read()?.steps, [])
      assert.equal(read()?.marker, 'begin')
    }))

  it('ends before a record that was cut, wherever the cut is', () =>
    withJournal((journal, read, path) => {
      journal.begin('1111111111111111', ['pkg'], 1000)
      const begun = readFileSync(path)
      journal.append({ kind: 'step', step })
      journal.mark('commit', { timeNs: '1' })
      const whole = readFileSync(path)
      const end = whole.findLastIndex((byte) => byte !== 0) + 1
      const markers = new Set<Marker | undefined>()
      for (let cut = 0; cut < end; cut++) {
        const torn = Buffer.from(whole)
        begun.copy(torn, cut, cut)
        writeFileSync(path, torn)
        markers.add(read()?.marker)
        if (cut < end) assert.notEqual(read()?.marker, 'commit', `cut at ${cut}`)
      }
      assert.ok(markers.has('begin'))
    }))

  it('refuses a version that it does not know', () =>
    withJournal((journal, read, path) => {
      journal.begin('1111111111111111', ['pkg'], 1000)
      const bytes = readFileSync(path)
      bytes.writeUInt32LE(99, 8)
      writeFileSync(path, bytes)
      assert.equal(read(), undefined) // the checksum covers the version: a flipped bit is no newer release
    }))

  it('owns its blocks where there is no fallocate', () =>
    withDirectory((path) => {
      const kernel = declining(linuxKernel(), 'fallocate', 'EOPNOTSUPP')
      const fd = kernel.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY)
      const journal = new Journal(kernel, fd, true)
      journal.begin('1111111111111111', ['pkg'], 100_000)
      assert.ok(kernel.statat(fd, 'journal').blocks * 512 >= 100_000)
      journal.close()
      kernel.close(fd)
    }))
})

describe('recoveryActions', () => {
  it('has one action for every marker, and never undoes after final', () => {
    const markers: Marker[] = ['begin', 'commit', 'abort', 'final', 'end']
    assert.deepEqual(Object.keys(recoveryActions).sort(), [...markers].sort())
    assert.equal(recoveryActions.final, 'clean up')
    assert.equal(recoveryActions.begin, 'discard')
  })
})
