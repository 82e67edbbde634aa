// Random sequences of merges, unmerges and an admin's own work, undone at random. What is undone, and nobody touched
// since, is what it was; all else is refused or leaves what others have; and the records stay true.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { CannotUndoError, CollisionError, UnknownPackageError } from '../../src/merge/errors.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { isBelowLeaf, lookAt } from '../support/leaves.ts'
import { listHistory, mergeImages, undoTransaction, unmergePackages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, type Snapshot, snapshot } from '../support/snapshot.ts'
import { memory, tell } from './outcome.ts'
import { contextOf, recordsSnapshot, stagingNames } from './scenarios.ts'
import { full } from './sweeping.ts'

const runs = full ? 1500 : 60
const packages = ['one', 'two', 'three'] as const
/** Few names, so that they meet; some are directories to one image and files to another. */
const paths = ['a', 'a/b', 'a/c', 'a/b/d', 'e', 'f/g', 'f/h', 'f/h/i'] as const

type Package = (typeof packages)[number]
type Path = (typeof paths)[number]

interface Leaf {
  readonly kind: 'file' | 'symlink' | 'directory'
  readonly text: string
  readonly mode: number
  /** Another name of the first file before it that has the same contents and mode. */
  readonly isLink: boolean
}

type Tree = Partial<Record<Path, Leaf>>

type Action =
  | { readonly kind: 'merge'; readonly package: Package; readonly tree: Tree; readonly mayShare: boolean }
  | { readonly kind: 'replace'; readonly package: Package; readonly by: Package; readonly tree: Tree }
  | { readonly kind: 'unmerge'; readonly packages: readonly Package[] }
  | { readonly kind: 'write' | 'remove' | 'chmod' | 'link'; readonly path: Path }
  | { readonly kind: 'undo'; readonly back: number }

const leaf: fc.Arbitrary<Leaf> = fc.record({
  kind: fc.constantFrom('file', 'file', 'file', 'symlink', 'directory'),
  text: fc.constantFrom('1', '2', 'longer'),
  mode: fc.constantFrom(0o644, 0o644, 0o4755, 0o2750),
  isLink: fc.boolean(),
})
const tree: fc.Arbitrary<Tree> = fc.dictionary(fc.constantFrom(...paths), leaf, { minKeys: 1, maxKeys: 5 })
const aPackage = fc.constantFrom(...packages)
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('merge' as const), package: aPackage, tree, mayShare: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('replace' as const), package: aPackage, by: aPackage, tree }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('unmerge' as const),
      packages: fc.uniqueArray(aPackage, { minLength: 1, maxLength: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('write' as const, 'remove' as const, 'chmod' as const, 'link' as const),
      path: fc.constantFrom(...paths),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('undo' as const), back: fc.constantFrom(0, 0, 0, 1, 2) }),
  },
)

function makeTree(directory: string, wanted: Tree): void {
  fs.rmSync(directory, { recursive: true, force: true })
  fs.mkdirSync(directory)
  const firsts = new Map<string, string>()
  for (const path of paths) {
    const of = wanted[path]
    if (of === undefined || isBelowLeaf(directory, path)) continue
    const at = join(directory, path)
    fs.mkdirSync(dirname(at), { recursive: true })
    if (of.kind === 'directory') fs.mkdirSync(at, { recursive: true })
    else if (!fs.existsSync(at)) makeLeaf(at, of, firsts)
  }
}

function makeLeaf(at: string, { isLink, kind, mode, text }: Leaf, firsts: Map<string, string>): void {
  if (kind === 'symlink') return fs.symlinkSync(`to ${text}`, at)
  const group = `${text} ${mode}`
  const first = firsts.get(group)
  if (isLink && first !== undefined) return fs.linkSync(first, at)
  fs.writeFileSync(at, text)
  fs.chmodSync(at, mode)
  fs.utimesSync(at, 1_000_000, 1_000_000)
  firsts.set(group, at)
}

interface Done {
  readonly id: string
  readonly before: Looks
  /** Whether anything happened since that was not taken back exactly. */
  isTouched: boolean
}

interface Looks {
  readonly root: Snapshot
  readonly records: Snapshot
}

/** A root, and what is known of it beside itself. */
class World {
  readonly #directory: string
  readonly #root: string
  readonly #image: string
  readonly #context = contextOf(linuxKernel())
  /** Transactions that can be undone, the newest last. */
  readonly #done: Done[] = []
  /** Names that the admin ever touched. */
  readonly #touched = new Set<string>()
  readonly outcomes: Record<'undone' | 'refused' | 'older', number>

  constructor(directory: string, outcomes: World['outcomes']) {
    this.#directory = directory
    this.outcomes = outcomes
    this.#root = join(directory, 'root')
    this.#image = join(directory, 'image')
    fs.mkdirSync(this.#root)
  }

  async act(next: Action): Promise<void> {
    if (next.kind === 'undo') this.#undo(next.back)
    else if (next.kind === 'merge' || next.kind === 'replace' || next.kind === 'unmerge') await this.#transact(next)
    else this.#admin(next)
    this.#check()
  }

  #look(): Looks {
    const root = snapshot(this.#root, { without: ['var'], directoryTimes: false })
    return { root, records: recordTexts(this.#directory) }
  }

  async #transact(next: Action & { kind: 'merge' | 'replace' | 'unmerge' }): Promise<void> {
    const before = this.#look()
    const common = { root: this.#root, durability: 'none', keepUndo: 4 } as const
    try {
      if (next.kind === 'unmerge') unmergePackages(this.#context, { ...common, packages: next.packages })
      else {
        makeTree(this.#image, next.tree)
        const more = next.kind === 'merge' ? { shareIdentical: next.mayShare } : { replaces: [next.by] }
        const collisions = { collisions: 'replace-unowned' } as const
        await mergeImages(this.#context, {
          ...common,
          ...more,
          ...collisions,
          image: this.#image,
          package: next.package,
        })
      }
    } catch (error) {
      if (!(error instanceof CollisionError) && !(error instanceof UnknownPackageError)) throw error
      assert.deepEqual(differencesBetween(this.#look().root, before.root), [])
      return
    }
    const [newest] = listHistory(this.#context, { root: this.#root })
    this.#done.push({ id: newest?.id ?? '', before, isTouched: false })
    if (this.#done.length > 4) this.#done.shift()
  }

  /** The newest one cannot be refused when nobody did anything since. */
  #undo(back: number): void {
    const at = this.#done.length - 1 - back
    const done = this.#done[at]
    if (done === undefined) return
    const now = this.#look()
    try {
      undoTransaction(this.#context, { root: this.#root, id: done.id, durability: 'none' })
    } catch (error) {
      if (!(error instanceof CannotUndoError)) throw error
      assert.ok(back > 0 || done.isTouched, error.message)
      for (const part of ['root', 'records'] as const)
        assert.deepEqual(differencesBetween(this.#look()[part], now[part]), [])
      this.outcomes.refused++
      return
    }
    this.#done.splice(at, 1)
    if (back > 0) this.outcomes.older++
    if (back > 0 || done.isTouched) return this.#touch()
    const after = this.#look()
    for (const part of ['root', 'records'] as const)
      assert.deepEqual(differencesBetween(after[part], done.before[part]), [], part)
    this.outcomes.undone++
  }

  #admin({ kind, path }: { readonly kind: string; readonly path: Path }): void {
    const at = join(this.#root, path)
    const stat = lookAt(at)
    if (kind === 'write' && !isBelowLeaf(this.#root, path) && (stat === undefined || stat.isFile())) {
      fs.mkdirSync(dirname(at), { recursive: true })
      fs.rmSync(at, { force: true })
      fs.writeFileSync(at, 'by the admin')
    } else if (kind === 'remove' && stat?.isDirectory() === false) fs.rmSync(at)
    else if (kind === 'chmod' && stat?.isFile()) fs.chmodSync(at, 0o600)
    else if (kind === 'link' && stat?.isFile()) fs.linkSync(at, `${at}-linked-${this.#touched.size}`)
    else return
    this.#touched.add(path)
    // A mode belongs to the object, so it changes under every name of it.
    if (kind === 'chmod') for (const name of this.#namesOf(at)) this.#touched.add(name)
    this.#touch()
  }

  #namesOf(path: string): string[] {
    const { ino } = fs.lstatSync(path)
    const names = fs.readdirSync(this.#root, { recursive: true, encoding: 'utf8' })
    return names.filter((name) => fs.lstatSync(join(this.#root, name)).ino === ino)
  }

  #touch(): void {
    for (const done of this.#done) done.isTouched = true
  }

  /** Every record is true, but for what the admin did; nothing hidden is left. */
  #check(): void {
    const left = stagingNames(this.#directory).filter((name) => !name.includes('.rootmerge-kept-'))
    assert.deepEqual(left, [])
    const isTouched = (name: string) => [...this.#touched].some((path) => path === name || name.startsWith(`${path}/`))
    const differing = verifyPackages(this.#context, { root: this.#root }).filter(({ name }) => !isTouched(name))
    assert.deepEqual(differing, [])
  }
}

/** A record's own mtime is of no meaning, nor is a package's directory without a record. */
function recordTexts(directory: string): Snapshot {
  if (!fs.existsSync(join(directory, 'root/var/lib/rootmerge/packages'))) return new Map()
  const all = recordsSnapshot(directory)
  const told = [...all].filter(([, line]) => !line.startsWith('directory'))
  return new Map(told.map(([name, line]) => [name, line.replace(/mtime=\S+ /, '')]))
}

describe('any sequence of merges, unmerges, edits and undos', function () {
  this.timeout(600_000)

  it('gives back what was, and never what others have', async () => {
    const outcomes = { undone: 0, refused: 0, older: 0 }
    const property = fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 14 }), (actions) =>
      withDirectory(async (directory) => {
        const world = new World(directory, outcomes)
        for (const next of actions) await world.act(next)
      }, memory),
    )
    await fc.assert(property, { numRuns: runs })
    tell('sequences', outcomes)
    assert.ok(outcomes.undone > runs / 4 && outcomes.refused > 0, JSON.stringify(outcomes))
  })
})
