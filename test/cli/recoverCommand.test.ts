import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { RecoveryAction } from '../../src/merge/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { contextOf, mortal } from '../merge/scenarios.ts'
import { expectExit, run } from '../support/command.ts'
import { crashAtChange } from '../support/kernelDoubles.ts'
import { mergeImages, recoverRootNow } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

/** Merges the newer version, and dies at the n-th change of the disk. */
async function dieAt(n: number, root: string, image: string): Promise<void> {
  const process = mortal()
  const { kernel } = crashAtChange(process.kernel, n)
  await mergeImages(contextOf(kernel), { root, image, package: 'p' }).catch(() => {})
  process.bury()
}

/** A root with an older version, and the image of the newer one. */
function withVersions(body: (root: string, newer: string) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const [root, older, newer] = ['root', 'older', 'newer'].map((name) => join(directory, name))
    for (const made of [root, older, newer] as string[]) fs.mkdirSync(made)
    writeTree(older as string, 'f /etc/file "1"')
    writeTree(newer as string, 'f /etc/file "2"')
    await mergeImages(contextOf(linuxKernel()), { root: root as string, image: older as string, package: 'p' })
    await body(root as string, newer as string)
  })
}

/** What is said of each action, and which version is there then. */
const said: readonly (readonly [action: RecoveryAction, undo: boolean, line: string, version: string])[] = [
  ['discard', false, 'what had been staged was removed: the root is as it was before', '1'],
  ['finish', false, 'it was finished: the root is as it should be after', '2'],
  ['undo', true, 'it was undone: the root is as it was before', '1'],
  ['clean up', false, 'it had been finished; its clean-up was', '2'],
]

/** The first change at which a death leads to an action. */
async function firstDeath(action: RecoveryAction, undo: boolean): Promise<number> {
  let found: RecoveryAction = 'nothing'
  for (let n = 1; n <= 200; n++) {
    await withVersions(async (root, newer) => {
      await dieAt(n, root, newer)
      found = recoverRootNow(contextOf(linuxKernel()), { root, undo }).action
    })
    if (found === action) return n
  }
  throw new Error(`no death leads to '${action}'`)
}

describe('rootmerge recover', function () {
  this.slow(20_000)

  for (const [action, undo, line, version] of said) {
    it(`says what became of the transaction, and the root is as it says: ${action}`, async () => {
      const n = await firstDeath(action, undo)
      for (const [flags, output] of [
        [[], `p: ${line}\n`],
        [['--quiet'], ''],
      ] as const) {
        await withVersions(async (root, newer) => {
          await dieAt(n, root, newer)
          const words = ['recover', '--root', root, ...flags, ...(undo ? ['--undo'] : [])]
          assert.equal(expectExit(run(...words), 0).stdout, output)
          assert.equal(fs.readFileSync(join(root, 'etc/file'), 'utf8'), version)
          assert.deepEqual(fs.readdirSync(join(root, 'etc')), ['file'])
        })
      }
    })
  }

  it('lists what it finds by --scan, in the directories that are named or in all', () =>
    withVersions(async (root) => {
      const kept = 'etc/.rootmerge-kept-0123456789abcdef-0'
      fs.writeFileSync(join(root, kept), 'the only one')
      fs.mkdirSync(join(root, 'srv'))
      fs.linkSync(join(root, 'etc/file'), join(root, 'srv/.rootmerge-0123456789abcdef-7'))
      const inEtc = expectExit(run('recover', '--root', root, '--scan', 'etc'), 0).stdout
      assert.match(inEtc, new RegExp(`^nothing to recover\\n {2}kept ${kept}: .+\\n$`))
      const inAll = expectExit(run('recover', '--root', root, '--scan'), 0).stdout
      assert.match(inAll, /^ {2}removed srv\/\.rootmerge-0123456789abcdef-7: a staging name that was left over$/m)
      assert.match(inAll, new RegExp(`^ {2}kept ${kept}: `, 'm'))
      assert.deepEqual(fs.readdirSync(join(root, 'srv')), [])
      assert.equal(fs.readFileSync(join(root, kept), 'utf8'), 'the only one')
    }))
})
