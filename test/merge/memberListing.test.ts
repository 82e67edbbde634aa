// What other threads list is what the engine's own thread would list.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { listShare, MemberListing } from '../../src/merge/memberListing.ts'
import { keptMembers, listMembers } from '../../src/merge/members.ts'
import { SpareThreads } from '../../src/merge/stageThreads.ts'
import {
  CancelFlag,
  Cancelled,
  EngineShares,
  engineContext,
  isSyscallError,
  linuxKernel,
  O_RDONLY,
  openPath,
} from '../../src/sys/index.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

describe('members that other threads list', function () {
  this.timeout(30_000)
  const kernel = linuxKernel()

  /** With two threads, started for something else, as those of a merge are. */
  function withThreads(body: (list: (...trees: string[]) => MemberListing, root: number) => void): void {
    withDirectory((directory) => {
      for (const number of [0, 1, 2]) {
        fs.mkdirSync(join(directory, `a/.staged-${number}/d/empty`), { recursive: true })
        for (let file = 0; file < 30 * number; file++)
          fs.writeFileSync(join(directory, `a/.staged-${number}/d/ü${file}`), '')
      }
      // One directory that takes several records of the journal.
      for (let file = 0; file < 2500; file++) fs.writeFileSync(join(directory, `a/.staged-2/${file}`), '')
      const root = openPath(kernel, directory, O_RDONLY)
      const shares = new EngineShares({ name: 'stageShare', cancel: new CancelFlag(), errors: [] }, 2)
      try {
        body((...trees) => new MemberListing(shares, root, trees), root)
      } finally {
        shares.end()
        kernel.close(root)
      }
    })
  }

  /** Threads that have not begun are not waited for: so they are asked again until they have. */
  function listed(list: (...trees: string[]) => MemberListing, ...trees: [string, ...string[]]): MemberListing {
    for (const end = Date.now() + 20_000; Date.now() < end; ) {
      const listing = list(...trees)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
      if (listing.of(trees[0]) !== undefined) return listing
    }
    throw new Error('no thread came')
  }

  it('are those that the engine finds, record by record', () =>
    withThreads((list, root) => {
      const listing = listed(list, 'a/.staged-0', 'a/.staged-1', 'a/.staged-2')
      for (const number of [2, 0, 1]) {
        const staging = `.staged-${number}`
        const place = { directory: root, name: `a/${staging}` }
        const expected = Array.from(listMembers(kernel, place, { staging, which: 'staged' }), keptMembers)
        assert.deepEqual(listing.of(`a/${staging}`), expected)
        assert.ok(expected.length >= 3)
      }
      assert.equal(listing.of('a/.staged-3'), undefined)
    }))

  it('are not known when one cannot be listed', () =>
    withThreads((list) => {
      const isRefused = (error: unknown) => isSyscallError(error, 'ENOENT')
      assert.throws(() => listed(list, 'a/.staged-0', 'a/.staged-3'), isRefused)
    }))

  it('are looked for no longer when the engine has ended, in a tree however large', () =>
    withDirectory((directory) => {
      for (let file = 0; file < 50; file++) writeTree(directory, `f /a/.staged-0/d/${file} ""`)
      const root = openPath(kernel, directory, O_RDONLY)
      const cancel = new CancelFlag()
      let looked = 0
      const watched = wrapKernel(kernel, (call, args, proceed) => {
        if (call === 'handleAt' && ++looked === 10) cancel.raise()
        return proceed(...args)
      })
      const share = { root, trees: ['a/.staged-0'], next: new SharedArrayBuffer(4) }
      assert.throws(() => listShare(engineContext(watched, cancel), share), Cancelled)
      kernel.close(root)
      assert.equal(looked, 10)
    }))

  it('are asked for no longer by an engine that ends', () => {
    const engine = engineContext(kernel, new CancelFlag(), () => {}, { hasThread: true })
    const idle = new SpareThreads(engine, 2)
    idle.end()
    assert.equal(engine.cancel.raised, false)
    const threads = new SpareThreads(engine, 2)
    threads.start()
    threads.end()
    assert.equal(engine.cancel.raised, true)
  })

  it('are left to the engine when no thread has come', () =>
    withThreads((list) => assert.equal(list('a/.staged-0').of('a/.staged-0'), undefined)))
})
