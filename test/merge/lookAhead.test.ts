import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { merge, verify } from '../../src/merge/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { memory } from './outcome.ts'

/** Of more than two blocks: one is compared while another is decided and a third is read. */
const files = 9000
const withoutState = { ignoreTop: true, ignoreNames: /^var(\/|$)/ }

interface Bench {
  readonly root: string
  readonly image: string
}

function nameOf(image: string, number: number): string {
  return join(image, `d${number % 90}/file-${number}`)
}

/** What is in a root, but for the state. */
function payload(root: string): string[] {
  return [...snapshot(root, { directoryTimes: false })]
    .filter(([name]) => !/^var(\/|$)/.test(name))
    .map((each) => each.join(' '))
}

/** A root with an image of many small files in it. */
function withMerged(body: (bench: Bench) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const bench = { root: join(directory, 'root'), image: join(directory, 'image') }
    fs.mkdirSync(bench.root)
    for (let number = 0; number < 90; number++) fs.mkdirSync(join(bench.image, `d${number}`), { recursive: true })
    for (let number = 0; number < files; number++) fs.writeFileSync(nameOf(bench.image, number), `payload ${number}`)
    await merge({ ...bench, package: 'a', durability: 'none' })
    await body(bench)
  }, memory)
}

/** What a newer version differs in, by the last digit of a file's number; all others are as they were. */
const changes: Readonly<Record<number, (path: string) => void>> = {
  1: (path) => rewrite(path, (text) => text.replace('payload', 'another')),
  2: (path) => rewrite(path, (text) => `${text} longer`),
  3: (path) => fs.chmodSync(path, 0o711),
  4: (path) => fs.rmSync(path),
  5: (path) => fs.utimesSync(path, 1e9, 1e9),
}

function rewrite(path: string, change: (text: string) => string): void {
  const { atime, mtime } = fs.statSync(path)
  fs.writeFileSync(path, change(fs.readFileSync(path, 'utf8')))
  fs.utimesSync(path, atime, mtime) // the bytes alone tell
}

describe('comparing ahead of the plan', function () {
  this.timeout(120_000)

  it('finds that nothing has changed, with helping threads and without', () =>
    withMerged(async (bench) => {
      for (const jobs of [1, 2, 4]) {
        const { counts } = await merge({ ...bench, package: 'a', durability: 'none', jobs })
        assert.deepEqual(counts, { adopt: files, keepDirectory: 90 })
      }
    }))

  it('finds every change of a newer version, in every block of it', () =>
    withMerged(async (bench) => {
      for (let number = 0; number < files; number++) changes[number % 10]?.(nameOf(bench.image, number))
      const tenth = files / 10
      const { counts } = await merge({ ...bench, package: 'a', durability: 'none', jobs: 2 })
      assert.deepEqual(counts, {
        adopt: 5 * tenth,
        replace: 2 * tenth,
        refresh: 2 * tenth,
        remove: tenth,
        keepDirectory: 90,
      })
      // Directories that were there keep their time as files come and go; those of files are the record's.
      assert.deepEqual(compareTrees(bench.root, bench.image, { ...withoutState, ignore: ['mtime'] }), [])
      assert.deepEqual(await verify(bench), [])
    }))

  it('is over when the plan is cancelled, and nothing has changed', () =>
    withMerged(async (bench) => {
      const before = payload(bench.root)
      // Comparing so many bytes takes longer than a test may, so the cancel finds the plan unfinished.
      const endless = [bench.image, bench.root].map((tree) => join(tree, 'd89', 'zz-endless'))
      for (const path of endless) {
        fs.writeFileSync(path, '')
        fs.truncateSync(path, 2 ** 40)
      }
      for (const jobs of [1, 2]) {
        const options = { ...bench, package: 'a', durability: 'none', jobs, signal: AbortSignal.timeout(1500) } as const
        await assert.rejects(merge(options), { name: 'TimeoutError' })
      }
      for (const path of endless) fs.rmSync(path)
      assert.deepEqual(payload(bench.root), before)
    }))
})
