import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RecoveryPendingError } from '../../src/merge/errors.ts'
import { Journal, type Marker } from '../../src/merge/journal.ts'
import { frameOf, payloadOf } from '../../src/merge/journalFrames.ts'
import { listMembers } from '../../src/merge/members.ts'
import { recoveryActionFor, recoveryTable } from '../../src/merge/recover.ts'
import { recordsOfStep } from '../../src/merge/stepRecords.ts'
import type { Step } from '../../src/merge/steps.ts'
import { AT_FDCWD, linuxKernel, O_DIRECTORY, O_RDONLY, SyscallError } from '../../src/sys/index.ts'
import { declining, wrapKernel } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'

const step: Step = { kind: 'place', phase: 'payload', directory: 0, name: '\xff odd\n', staging: 's', identity: '1:ab' }
const directory = { number: 0, name: 'usr', identity: '1:cd', mtimeNs: '5', mount: '' }
const beginningOf = (name: string) => ({ packages: [name], timeNs: '77', bootId: 'boot', isFlushed: true })

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
      journal.begin('00ab00ab00ab00ab', beginningOf('pkg'), 1000)
      journal.append({ kind: 'directory', ...directory })
      journal.append({ kind: 'step', step })
      journal.append({ kind: 'members', staging: 's', which: 'staged', within: 'sub', members: [['x', '1:ef']] })
      journal.append({ kind: 'members', staging: 's', which: 'staged', within: '', members: [['__proto__', '2:ef']] })
      journal.mark('commit')
      const state = read()
      assert.ok(state)
      const { members, ...rest } = state
      assert.deepEqual(
        [...(members.of('s', 'staged') ?? [])],
        [
          ['sub/x', '1:ef'],
          ['__proto__', '2:ef'],
        ],
      )
      assert.equal(members.of('s', 'displaced'), undefined)
      assert.deepEqual(rest, {
        id: '00ab00ab00ab00ab',
        marker: 'commit',
        beginning: { kind: 'begin', ...beginningOf('pkg') },
        directories: [{ kind: 'directory', ...directory }],
        steps: [step],
        takings: { images: [], takings: [], remainders: [] },
      })
    }))

  it('tells nothing of a transaction that was overwritten by the next', () =>
    withJournal((journal, read) => {
      journal.begin('1111111111111111', beginningOf('first'), 1000)
      for (let n = 0; n < 50; n++) journal.append({ kind: 'step', step })
      journal.end()
      assert.equal(read()?.marker, 'end')
      assert.deepEqual(read()?.steps, [])
      journal.begin('2222222222222222', beginningOf('second'), 1000)
      assert.deepEqual(read()?.beginning.packages, ['second'])
      assert.deepEqual(read()?.steps, [])
      assert.equal(read()?.marker, 'begin')
    }))

  it('ends before a record that was cut, wherever the cut is', () =>
    withJournal((journal, read, path) => {
      journal.begin('1111111111111111', beginningOf('pkg'), 1000)
      const begun = readFileSync(path)
      journal.append({ kind: 'step', step })
      journal.mark('commit')
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

  it('refuses a version that it does not know, and takes a flipped bit for no newer release', () =>
    withJournal((journal, read, path) => {
      journal.begin('1111111111111111', beginningOf('pkg'), 1000)
      const bytes = readFileSync(path)
      bytes.writeUInt32LE(99, 8)
      writeFileSync(path, bytes)
      assert.equal(read(), undefined) // the checksum covers the version
      const payload = Buffer.from('{"kind":"a record of another time"}')
      writeFileSync(path, frameOf(payload, { version: 99, id: 0x1111111111111111n, index: 0 }))
      assert.throws(read, (error: Error) => error instanceof RecoveryPendingError && /version 99/.test(error.message))
    }))

  const manyMembers = (number: number) => ({
    kind: 'members' as const,
    staging: 's',
    which: 'staged' as const,
    within: `d${number}`,
    members: Array.from({ length: 2000 }, (_, n) => [`file-${n}`, `1:${number}`] as const),
  })

  it('writes many records before they are flushed, which says nothing of the transaction yet', () =>
    withJournal((journal, read) => {
      journal.begin('1111111111111111', beginningOf('pkg'), 1000)
      for (let number = 0; number < 50; number++) journal.append(manyMembers(number))
      const early = read()?.members.count('s', 'staged') ?? 0
      assert.ok(early > 0 && early < 100_000, `${early} of 100,000`)
      assert.equal(read()?.marker, 'begin')
      journal.mark('commit')
      assert.equal(read()?.members.count('s', 'staged'), 100_000)
      assert.equal(read()?.members.of('s', 'staged')?.get('d49/file-1999'), '1:49')
      assert.equal(read()?.marker, 'commit')
    }))

  it('takes what could not all be written for never added', () =>
    withDirectory((path) => {
      const kernel = linuxKernel()
      let isFull = false
      const failing = {
        ...kernel,
        pwrite: (...args: Parameters<typeof kernel.pwrite>) => {
          if (isFull) throw new SyscallError('EIO', 'pwrite')
          return kernel.pwrite(...args)
        },
      }
      const fd = kernel.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY)
      const journal = new Journal(failing, fd, true)
      journal.begin('1111111111111111', beginningOf('pkg'), 1000)
      const add = () => {
        for (let number = 0; number < 100; number++) {
          isFull = number > 40
          journal.append(manyMembers(number))
        }
      }
      assert.throws(add, /EIO/)
      isFull = false
      journal.mark('abort')
      const state = Journal.readOnly(kernel, fd, '/root')
      assert.equal(state?.marker, 'abort')
      assert.equal(state?.members.count('s', 'staged'), 0)
      journal.close()
      kernel.close(fd)
    }))

  it('has room for its markers when the disk is full and its records fill it to the brim', () =>
    withDirectory((path) => {
      let isFull = false
      const kernel = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (isFull && call === 'fallocate') throw new SyscallError('ENOSPC', call)
        return proceed(...args)
      })
      const fd = kernel.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY)
      const journal = new Journal(kernel, fd, true)
      const recordOf = (length: number) => ({ ...manyMembers(0), members: [['x'.repeat(length), ''] as const] })
      const sizeOfRecord = (length: number) =>
        frameOf(payloadOf(recordOf(length)), { version: 1, id: 0n, index: 0 }).length
      journal.begin('1111111111111111', beginningOf('pkg'), 1000)
      const [size, used] = [kernel.statat(fd, 'journal').size, usedBytes(readFileSync(join(path, 'journal')))]
      journal.append(recordOf(size - 16384 - used - sizeOfRecord(0)))
      journal.flush()
      assert.equal(kernel.statat(fd, 'journal').size, size)
      isFull = true
      journal.append(recordOf(100_000))
      assert.throws(() => journal.flush(), { code: 'ENOSPC' })
      journal.append(recordOf(100_000))
      journal.forgetUnflushed()
      for (const marker of ['commit', 'abort'] as const) {
        journal.mark(marker)
        assert.equal(Journal.readOnly(kernel, fd, '/root')?.marker, marker)
      }
      journal.end()
      assert.equal(Journal.readOnly(kernel, fd, '/root')?.marker, 'end')
      journal.close()
      kernel.close(fd)
    }))

  it('reads back the members of a directory whose names are of the longest kind', () =>
    withJournal((journal, read, path) => {
      const kernel = linuxKernel()
      const directory = join(path, '..', 'members')
      mkdirSync(directory)
      for (let n = 0; n < 700; n++) writeFileSync(join(directory, `${n}`.padEnd(255, '\x01')), '')
      journal.begin('1111111111111111', beginningOf('pkg'), 1000)
      const of = { staging: 's', which: 'staged' } as const
      for (const record of listMembers(kernel, { directory: AT_FDCWD, name: directory }, of)) journal.append(record)
      journal.mark('commit')
      assert.equal(read()?.members.count('s', 'staged'), 700)
      assert.equal(read()?.marker, 'commit')
    }))

  it('reads back what a step says of more members than a record holds, whose names are of the longest kind', () =>
    withJournal((journal, read) => {
      const names = Array.from({ length: 700 }, (_, n) => `${n}`.padEnd(4095, '\x01'))
      const finalFlags = names.map((name, n) => ({ name, flags: n }))
      const restores = names.map((name, n) => ({ name, mode: n }))
      const steps: Step[] = [{ ...step, finalFlags }, step, { ...step, restores }, { ...step, finalFlags, restores }]
      journal.begin('1111111111111111', beginningOf('pkg'), 1000)
      for (const each of steps) for (const record of recordsOfStep(each)) journal.append(record)
      journal.mark('commit')
      assert.equal(read()?.marker, 'commit')
      assert.deepEqual(read()?.steps, steps)
    }))

  it('refuses a record that would end it for whoever reads it', () =>
    withJournal((journal, read) => {
      journal.begin('1111111111111111', beginningOf('pkg'), 1000)
      const restores = [{ name: 'x'.repeat(1024 * 1024), mode: 0o4755 }]
      assert.throws(() => journal.append({ kind: 'step', step: { ...step, restores } }), RangeError)
      journal.mark('commit')
      assert.deepEqual([read()?.steps.length, read()?.marker], [0, 'commit'])
    }))

  it('owns its blocks where there is no fallocate', () =>
    withDirectory((path) => {
      const kernel = declining(linuxKernel(), 'fallocate', 'EOPNOTSUPP')
      const fd = kernel.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY)
      const journal = new Journal(kernel, fd, true)
      journal.begin('1111111111111111', beginningOf('pkg'), 100_000)
      assert.ok(kernel.statat(fd, 'journal').blocks * 512 >= 100_000)
      journal.close()
      kernel.close(fd)
    }))
})

/** Bytes of the records in a journal; behind them it is empty. */
function usedBytes(journal: Buffer): number {
  let end = 0
  while (journal.readUInt32LE(end) > 0) end += 24 + journal.readUInt32LE(end)
  return end
}

describe('recoveryActionFor()', () => {
  const markers: readonly Marker[] = ['begin', 'commit', 'abort', 'final', 'end']

  it('has exactly one row of its table for every situation', () => {
    for (const marker of markers) {
      for (const isReliable of [true, false]) {
        for (const undo of [true, false]) {
          const rows = recoveryTable.filter(
            ([of, reliable, asked]) =>
              of === marker && (reliable === 'any' || reliable === isReliable) && (asked === 'any' || asked === undo),
          )
          assert.equal(rows.length, 1, JSON.stringify({ marker, isReliable, undo }))
          assert.equal(recoveryActionFor({ marker, isReliable, undo }), rows[0]?.[3])
        }
      }
    }
  })

  it('never undoes after final, and never finishes what is not reliable', () => {
    for (const undo of [true, false]) {
      assert.equal(recoveryActionFor({ marker: 'final', isReliable: true, undo }), 'clean up')
      assert.equal(recoveryActionFor({ marker: 'commit', isReliable: false, undo }), 'undo')
      assert.equal(recoveryActionFor({ marker: 'begin', isReliable: true, undo }), 'discard')
    }
  })
})
