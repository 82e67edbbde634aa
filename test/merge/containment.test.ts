// Nothing outside the root is ever changed or opened for writing, wherever symlinks in the root lead, and also while
// somebody swaps directories for symlinks. Watched from outside: every call of the engine under strace, and the times of
// all that lies beside the root.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RecoveryPendingError } from '../../src/merge/errors.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { mergeImages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { changes, runTraced, type TracedCall } from '../support/tracedCommand.ts'
import { writeTree } from '../support/tree.ts'
import { memory, tell } from './outcome.ts'
import { contextOf, recover, stagingNames } from './scenarios.ts'

interface Scene {
  readonly directory: string
  readonly root: string
  readonly image: string
  /** What must not be touched. */
  readonly outside: string
}

/** Runs `body` on a root beside a directory that nobody may touch; afterwards it must look, to the nanosecond, as before. */
async function withScene(trees: { root: string; image: string }, body: (scene: Scene) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const [root, image, outside] = ['root', 'image', 'outside'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ]
    for (const each of [root, image, outside]) fs.mkdirSync(each)
    writeTree(outside, 'f /file "outside"\nd /share\nf /share/file "outside"')
    writeTree(root, trees.root.replaceAll('OUTSIDE', outside))
    writeTree(image, trees.image)
    const before = withTimes(outside)
    await body({ directory, root, image, outside })
    assert.deepEqual(withTimes(outside), before)
  }, memory)
}

/** Every object with all its times but that of reading: a ctime moves with any change. */
function withTimes(directory: string): Record<string, string> {
  const names = ['', ...fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })]
  return Object.fromEntries(
    names.map((name) => {
      const { ino, ctimeNs, mtimeNs, nlink, size } = fs.lstatSync(join(directory, name), { bigint: true })
      return [name, `${ino} ${ctimeNs} ${mtimeNs} ${nlink} ${size}`]
    }),
  )
}

/** Calls that change something, or open it for that, outside the root. */
function trespasses(calls: readonly TracedCall[], { directory, root }: Scene): string[] {
  return calls
    .filter((call) => changes(call) || /O_WRONLY|O_RDWR/.test(call.text))
    .map(({ text }) => text)
    .filter((text) => {
      const paths = [...text.matchAll(/[<"](\/[^>"]*)/g)].map((match) => match[1] as string)
      return paths.some((path) => path.startsWith(directory) && path !== root && !path.startsWith(`${root}/`))
    })
}

const leading: Readonly<Record<string, readonly [link: string, status: number, landsIn: string | undefined]>> = {
  'an absolute symlink, which leads inside the root as after chroot': ['OUTSIDE/share', 3, undefined],
  'an absolute symlink to what the root has too': ['/srv/real', 0, 'srv/real/file'],
  'a relative symlink inside the root': ['srv/real', 0, 'srv/real/file'],
  'a relative symlink that leads out of the root': ['../outside/share', 3, undefined],
  'a symlink that climbs beyond the top': ['../../../../../../../srv/real', 0, 'srv/real/file'],
  'a symlink to itself': ['link', 3, undefined],
}

describe('a merge through symlinks in the root', function () {
  this.timeout(300_000)

  for (const [what, [target, status, landsIn]] of Object.entries(leading)) {
    it(`stays inside with ${what}`, () =>
      withScene(
        { root: `d /srv/real\nl /link -> "${target}"`, image: 'f /link/file "ours"\nf /other "ours"' },
        async (scene) => {
          const before = snapshot(scene.root)
          const { status: found, stderr, calls } = await runTraced(scene.root, ['merge', scene.image, '--package', 'p'])
          assert.deepEqual(trespasses(calls, scene), [])
          assert.ok(calls.length > 50, 'strace saw nothing')
          assert.equal(found === 0, status === 0, stderr)
          if (landsIn !== undefined) assert.equal(fs.readFileSync(join(scene.root, landsIn), 'utf8'), 'ours')
          else assert.deepEqual([...snapshot(scene.root, { without: ['var'] }).keys()], [...before.keys()])
        },
      ))
  }

  it('notices who does not stay inside', () =>
    withScene({ root: 'd /srv', image: 'f /file "x"' }, async (scene) => {
      const line = (text: string) => ({ call: text.split('(')[0] as string, nth: 1, text })
      const bad = [
        `openat(5<${scene.outside}>, "file", O_RDWR|O_CLOEXEC) = 7<${scene.outside}/file>`,
        `unlinkat(5<${scene.outside}>, "file", 0) = 0`,
        `renameat2(5<${scene.root}>, "a", 6<${scene.outside}>, "b", RENAME_NOREPLACE) = 0`,
      ]
      assert.equal(trespasses(bad.map(line), scene).length, 3)
      assert.deepEqual(trespasses([line(`unlinkat(5<${scene.root}/srv>, "file", 0) = 0`)], scene), [])
      assert.deepEqual(trespasses([line(`openat(5<${scene.outside}>, "file", O_RDONLY) = 7<x>`)], scene), [])
    }))
})

/** What is in the directory, but not the symlink in its place. */
const allowed = ['usr/share/*', 'usr/share/*/*']
const rounds = process.env.ROOTMERGE_TEST_FULL === undefined ? 40 : 300

describe('a merge into a directory that is swapped for a symlink to the outside', function () {
  this.timeout(600_000)

  it('never touches the outside, and leaves nothing behind once it is quiet', () =>
    withScene(
      {
        // Resolved as after chroot the symlink leads to a directory too, so that nobody replaces it.
        root: 'f /usr/share/file "old"\nf /usr/share/deep/file "old"\nd OUTSIDE/share\nl /usr/swapped -> "OUTSIDE/share"',
        image:
          'f /usr/share/file "new"\nf /usr/share/added "new"\nf /usr/share/deep/file "new"\nf /usr/share/fresh/file "new"',
      },
      async ({ directory, root, image }) => {
        const outcomes = { merged: 0, refused: 0, pending: 0 }
        let last = ''
        const stop = await swap(join(root, 'usr/share'), join(root, 'usr/swapped'))
        try {
          for (let round = 0; round < rounds; round++) {
            try {
              await mergeImages(contextOf(linuxKernel()), { root, image, package: 'p', collisionIgnore: allowed })
              outcomes.merged++
            } catch (error) {
              outcomes[error instanceof RecoveryPendingError ? 'pending' : 'refused']++
              last = `${round}: ${String(error)}`
            }
          }
        } finally {
          await stop()
        }
        if (fs.lstatSync(join(root, 'usr/share'), { throwIfNoEntry: false })?.isSymbolicLink()) exchangeBack(root)
        recover(directory)
        // An object that the swapper put where the engine was at work is nobody's to remove: it is kept, and told.
        const left = stagingNames(directory).filter((name) => !name.includes('.rootmerge-kept-'))
        assert.deepEqual(left, [], last)
        await mergeImages(contextOf(linuxKernel()), { root, image, package: 'p', collisionIgnore: allowed })
        assert.equal(fs.readFileSync(join(root, 'usr/share/fresh/file'), 'utf8'), 'new')
        tell(`merged ${rounds} times beside a swapper`, outcomes)
      },
    ))
})

/** Exchanges two names until it is told to stop. */
async function swap(one: string, other: string): Promise<() => Promise<void>> {
  const child = fork(fileURLToPath(new URL('../support/restlessSwapper.js', import.meta.url)), [one, other])
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise((resolve) => child.once('message', resolve))
  return () => {
    assert.equal(child.exitCode, null, 'the swapper did not last')
    child.kill('SIGKILL')
    return ended
  }
}

function exchangeBack(root: string): void {
  const [share, swapped, aside] = ['usr/share', 'usr/swapped', 'usr/aside'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ]
  fs.renameSync(share, aside)
  fs.renameSync(swapped, share)
  fs.renameSync(aside, swapped)
}
