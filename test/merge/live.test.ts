import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Comparer } from '../../src/merge/live.ts'
import { Mover, type Place } from '../../src/movefile/index.ts'
import { AT_FDCWD, linuxKernel, O_DIRECTORY, O_RDONLY } from '../../src/sys/index.ts'
import { withDirectory } from '../support/scratch.ts'

const megabyte = Buffer.alloc(1024 * 1024, 'large ')

describe('Comparer', () => {
  /** Two equal files of a megabyte, and a comparer that is told to end after so many looks. */
  function withFiles(looks: number, body: (comparer: Comparer, one: Place, other: Place) => void): void {
    withDirectory((directory) => {
      for (const name of ['one', 'other']) fs.writeFileSync(join(directory, name), megabyte)
      const kernel = linuxKernel()
      const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
      let left = looks
      const comparer = new Comparer(kernel, new Mover(kernel).policy, () => {
        if (left-- === 0) throw new Error('enough')
      })
      body(comparer, { directory: fd, name: 'one' }, { directory: fd, name: 'other' })
      kernel.close(fd)
    })
  }

  for (const looks of [0, 1, 3]) {
    it(`ends the comparing of a large file after ${looks} reads when it is told to`, () =>
      withFiles(looks, (comparer, one, other) => {
        const [entry, live] = [one, other].map((place) => linuxKernel().statat(place.directory, place.name))
        assert.ok(entry !== undefined && live !== undefined)
        assert.throws(() => comparer.compare(entry, one, other, live), /enough/)
      }))

    it(`ends the digesting of a large file after ${looks} reads when it is told to`, () =>
      withFiles(looks, (comparer, one) => assert.throws(() => comparer.digest(one), /enough/)))
  }
})
