import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { copyFile } from '../../src/filecopy/index.ts'
import { merge } from '../../src/merge/index.ts'
import { withDirectory } from '../support/scratch.ts'
import { withScene } from '../support/twoFileSystems.ts'

/** Runs `body` while listening to a channel. */
async function heard(channel: string, body: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
  const facts: Record<string, unknown>[] = []
  const listen = (fact: unknown) => void facts.push(fact as Record<string, unknown>)
  subscribe(channel, listen)
  try {
    await body()
  } finally {
    unsubscribe(channel, listen)
  }
  return facts
}

describe('diagnostics channels', () => {
  it('tell each phase of a merge, in their order, and each file that was copied', () =>
    withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      fs.mkdirSync(root)
      fs.mkdirSync(join(image, 'd'), { recursive: true })
      for (let n = 0; n < 600; n++) fs.writeFileSync(join(image, `d/${n}`), 'x')
      let copies: Record<string, unknown>[] = []
      const phases = await heard('rootmerge:phase', async () => {
        copies = await heard('rootmerge:copy', () => merge({ root, image, package: 'p' }))
      })
      const names = phases.map(({ phase }) => phase)
      assert.deepEqual(names, ['plan', 'stage', 'record', 'flush', 'commit', 'record', 'clean up'])
      assert.equal(phases[0]?.operation, 'mergeImages')
      assert.equal(copies.length, 600)
      assert.deepEqual(
        new Set(copies.map(({ name }) => name)),
        new Set(fs.readdirSync(join(image, 'd')).map((name) => `d/${name}`)),
      )
      assert.deepEqual(copies[0]?.bytesByMethod, { read_write: 1 })
    }))

  it('tell each method that declined, and why', () =>
    withScene({ source: '' }, async ({ from, to }) => {
      fs.writeFileSync(join(from, 'large'), Buffer.alloc(200_000, 'x'))
      const declines = await heard('rootmerge:decline', () => copyFile(join(from, 'large'), join(to, 'large')))
      assert.deepEqual(declines[0], { name: join(from, 'large'), method: 'reflink', code: 'EXDEV' })
    }))

  it('are told nothing that nobody asked for', () =>
    withDirectory(async (directory) => {
      fs.writeFileSync(join(directory, 'a'), 'x')
      const copies = await heard('rootmerge:phase', () => copyFile(join(directory, 'a'), join(directory, 'b')))
      assert.deepEqual(copies, [])
    }))
})
