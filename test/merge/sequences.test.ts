// Random sequences of merges, upgrades, unmerges and an admin's own work. After each: what a package owns is there as
// it was recorded, and nothing of the admin's is lost. At the end: everything unmerged, only the admin's work is left.

import assert from 'node:assert/strict'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { CollisionError, UnknownPackageError } from '../../src/merge/errors.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { isBelowLeaf, isLeaf, lookAt } from '../support/leaves.ts'
import { findOwners, listEntries, mergeImages, unmergePackages, verifyPackages } from '../support/operations.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { indexAll } from './ballast.ts'
import { contextOf } from './scenarios.ts'

const runs = process.env.ROOTMERGE_TEST_FULL === undefined ? 60 : 1000
const packages = ['one', 'two', 'three'] as const
/** Few names, so that they meet; some are directories to one image and files to another. */
const paths = ['a', 'a/b', 'a/c', 'a/b/d', 'e', 'f/g', 'f/h', 'f/h/i'] as const

type Package = (typeof packages)[number]
type Path = (typeof paths)[number]
/** A file's content, or where a symlink points. */
type Leaf = { readonly kind: 'file' | 'symlink'; readonly text: string }
type Tree = Partial<Record<Path, Leaf>>

type Action =
  | { readonly kind: 'merge'; readonly package: Package; readonly tree: Tree }
  | { readonly kind: 'unmerge'; readonly package: Package }
  | { readonly kind: 'write'; readonly path: Path; readonly text: string }
  | { readonly kind: 'remove'; readonly path: Path }
  | { readonly kind: 'index' }

const leaf: fc.Arbitrary<Leaf> = fc.record({
  kind: fc.constantFrom('file' as const, 'file' as const, 'symlink' as const),
  text: fc.constantFrom('1', '2', 'longer'),
})
const tree: fc.Arbitrary<Tree> = fc.dictionary(fc.constantFrom(...paths), leaf, { minKeys: 1, maxKeys: 4 })
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('merge' as const), package: fc.constantFrom(...packages), tree }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('unmerge' as const), package: fc.constantFrom(...packages) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      path: fc.constantFrom(...paths),
      text: fc.constantFrom('admin 1', 'admin 2'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), path: fc.constantFrom(...paths) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'index' as const }) },
)

/** Makes a tree; a name below one that is a leaf already is left out. */
function makeTree(directory: string, wanted: Tree): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  for (const path of paths) {
    const wantedLeaf = wanted[path]
    if (wantedLeaf === undefined || isBelowLeaf(directory, path)) continue
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    if (wantedLeaf.kind === 'symlink') symlinkSync(`to ${wantedLeaf.text}`, join(directory, path))
    else writeFileSync(join(directory, path), wantedLeaf.text)
  }
}

/** A root, and what is known of it beside itself. */
class World {
  readonly scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'rootmerge-sequence-'))
  readonly root = join(this.scratch, 'root')
  readonly image = join(this.scratch, 'image')
  /** Files that the admin made or edited last, with what is in them. */
  readonly admins = new Map<string, string>()
  /** Directories that the admin made, or ever had a file in. */
  readonly adminsDirectories = new Set<string>()
  readonly context = contextOf(linuxKernel())

  constructor() {
    mkdirSync(this.root)
  }

  async act(next: Action): Promise<void> {
    const before = this.look()
    if (next.kind === 'write') this.write(next.path, next.text)
    else if (next.kind === 'remove') this.remove(next.path)
    else if (next.kind === 'index') indexAll(this.root)
    else if (next.kind === 'unmerge') await this.refusable(before, () => this.unmerge(next.package))
    else await this.refusable(before, () => this.merge(next.package, next.tree))
    this.checkAdmins()
    this.checkOwners()
  }

  look() {
    return snapshot(this.root, { without: ['var'], directoryTimes: false }) // the state's first parents move the root's
  }

  write(path: Path, text: string): void {
    if (isBelowLeaf(this.root, path) || lookAt(join(this.root, path))?.isDirectory()) return
    rmSync(join(this.root, path), { force: true })
    mkdirSync(dirname(join(this.root, path)), { recursive: true })
    writeFileSync(join(this.root, path), text)
    this.admins.set(path, text)
    for (let above = dirname(path); above !== '.'; above = dirname(above)) this.adminsDirectories.add(above)
  }

  remove(path: Path): void {
    if (isLeaf(join(this.root, path))) rmSync(join(this.root, path))
    if (lookAt(join(this.root, path)) === undefined) this.admins.delete(path)
  }

  /** What is refused changes nothing. */
  async refusable(before: ReturnType<World['look']>, operation: () => Promise<void>): Promise<void> {
    try {
      await operation()
    } catch (error) {
      if (!(error instanceof CollisionError) && !(error instanceof UnknownPackageError)) throw error
      assert.deepEqual(differencesBetween(this.look(), before), [])
    }
  }

  async merge(packageName: Package, wanted: Tree): Promise<void> {
    makeTree(this.image, wanted)
    const owned = this.owned(packageName)
    await mergeImages(this.context, { root: this.root, image: this.image, package: packageName, durability: 'none' })
    assert.deepEqual(verifyPackages(this.context, { root: this.root, packages: [packageName] }), [])
    for (const path of paths) if (isLeaf(join(this.image, path))) this.taken(path)
    // What is not protected configuration is the package's to replace, edited or not (the table in decide.ts).
    for (const path of owned) if (!isLeaf(join(this.root, path))) this.admins.delete(path)
  }

  owned(packageName: Package): readonly string[] {
    try {
      return listEntries(this.context, { root: this.root, package: packageName }).map(({ name }) => name)
    } catch (error) {
      if (error instanceof UnknownPackageError) return []
      throw error
    }
  }

  /** A name that a package now owns and that held what the package brings, or what it replaced by its own word. */
  taken(path: Path): void {
    const expected = lstatSync(join(this.image, path))
    const actual = lstatSync(join(this.root, path))
    assert.equal(actual.isSymbolicLink(), expected.isSymbolicLink(), path)
    if (expected.isFile())
      assert.equal(readFileSync(join(this.root, path), 'utf8'), readFileSync(join(this.image, path), 'utf8'))
    this.admins.delete(path)
  }

  async unmerge(packageName: Package): Promise<void> {
    unmergePackages(this.context, { root: this.root, packages: [packageName], durability: 'none' })
  }

  /** Whether by the index, by the records, or by both. */
  checkOwners(): void {
    const recorded = new Map(packages.map((name) => [name, this.owned(name)]))
    const expected = paths.map((path) => packages.filter((name) => recorded.get(name)?.includes(path)).sort())
    const found = findOwners(this.context, { root: this.root, names: paths })
    assert.deepEqual(
      found.map((each) => each.packages),
      expected,
    )
  }

  checkAdmins(): void {
    for (const [path, text] of this.admins) {
      assert.equal(readFileSync(join(this.root, path), 'utf8'), text, `the admin's ${path}`)
    }
  }

  async checkEnd(): Promise<void> {
    for (const name of packages) await this.refusable(this.look(), () => this.unmerge(name))
    const left = [...this.look()].filter(([name]) => name !== '')
    const isDirectory = (line: string) => line.startsWith('directory')
    const files = left.filter(([, line]) => !isDirectory(line)).map(([name]) => name)
    assert.deepEqual(files.sort(), [...this.admins.keys()].sort())
    const directories = left.filter(([, line]) => isDirectory(line)).map(([name]) => name)
    assert.deepEqual(
      directories.filter((name) => !this.adminsDirectories.has(name)),
      [],
    )
    this.checkAdmins()
  }
}

describe('any sequence of merges, unmerges and edits', function () {
  this.timeout(600_000)

  it("keeps to the records and never loses the admin's work", async () => {
    let merged = 0
    const property = fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 14 }), async (actions) => {
      const world = new World()
      try {
        for (const next of actions) {
          await world.act(next)
          if (next.kind === 'merge') merged++
        }
        await world.checkEnd()
      } finally {
        rmSync(world.scratch, { recursive: true, force: true })
      }
    })
    await fc.assert(property, { numRuns: runs })
    assert.ok(merged > runs)
  })
})
