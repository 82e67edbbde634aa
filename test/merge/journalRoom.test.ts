import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { merge } from '../../src/merge/index.ts'
import { withDirectory } from '../support/scratch.ts'
import { memory } from './outcome.ts'

const count = 3000

/** Bytes that the journal has, and those of them that were written. */
function journalOf(root: string): { allocated: number; written: number } {
  const bytes = fs.readFileSync(join(root, 'var/lib/rootmerge/journal'))
  return { allocated: bytes.length, written: bytes.findLastIndex((byte) => byte !== 0) + 1 }
}

describe('the room of the journal', function () {
  this.timeout(120_000)
  for (const [length, kind] of [
    [1, 'short'],
    [200, 'long'],
  ] as const) {
    it(`is about what is written, for ${kind} names: of new directories, new names, replaced ones, and none`, () =>
      withDirectory(async (directory) => {
        const [root, image] = [join(directory, 'root'), join(directory, 'image')]
        fs.mkdirSync(join(root, 'usr/here'), { recursive: true })
        const options = { root, image, package: 'package', durability: 'none' as const }
        const demandFit = () => {
          const { allocated, written } = journalOf(root)
          assert.ok(allocated - written < 0.15 * written + 128 * 1024, `${written} of ${allocated} bytes`)
        }
        const mergeAnew = async (top: string, text: string) => {
          fs.rmSync(image, { recursive: true, force: true })
          fs.mkdirSync(join(image, top), { recursive: true })
          for (let n = 0; n < count; n++) fs.writeFileSync(join(image, top, `${'n'.repeat(length)}${n}`), text)
          fs.rmSync(join(root, 'var/lib/rootmerge/journal'), { force: true })
          await merge(options)
          demandFit()
        }
        await mergeAnew('/usr/new', '1')
        await mergeAnew('/usr/here', '1')
        await mergeAnew('/usr/here', '2')
        fs.rmSync(join(root, 'var/lib/rootmerge/journal'))
        await merge(options)
        assert.ok(journalOf(root).allocated <= 64 * 1024)
      }, memory))
  }
})
