import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { CorruptImageError, list, merge, plan, readArchive, UnsafeEntryError } from '../../../src/merge/index.ts'
import { type HostileArchive, hostileArchives } from '../../support/hostileArchives.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, snapshot } from '../../support/snapshot.ts'
import { writeTree } from '../../support/tree.ts'

const fixtures = fileURLToPath(new URL('../../../../fixtures/archives', import.meta.url))
const isRoot = process.getuid?.() === 0
const package_ = 'hostile'

interface Bench {
  readonly root: string
  readonly image: string
  /** What is beside the root, which must stay as it is. */
  readonly around: string
}

/** A root with something in it, beside something that must not be touched. */
function withBench(name: string, body: (bench: Bench) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const around = join(directory, 'around')
    const root = join(around, 'root')
    fs.mkdirSync(root, { recursive: true })
    const image = join(directory, 'image')
    fs.writeFileSync(image, hostileArchives[name]?.isBare ? dataOf(name) : fs.readFileSync(join(fixtures, name)))
    writeTree(around, 'f 0600 /outside/secret "not yours"\nd /outside/d')
    writeTree(root, 'f 4755 /usr/bin/su "set-id"\nf /etc/passwd "root"')
    await body({ root, around, image })
  })
}

function dataOf(name: string): Buffer {
  const bytes = fs.readFileSync(join(fixtures, name))
  return hostileArchives[name]?.isSmall ? bytes : gunzipSync(bytes)
}

const errorClasses = { unsafe: UnsafeEntryError, corrupt: CorruptImageError, state: UnsafeEntryError } as const

async function expectRefused({ root, around, image }: Bench, archive: HostileArchive): Promise<void> {
  const [kind, entry] = archive.outcome as readonly [keyof typeof errorClasses, string]
  // The state directory is made, which moves the time of the root.
  const withoutState = { without: ['root/var'], directoryTimes: false }
  const before = snapshot(around, withoutState)
  const attempts: (() => Promise<unknown>)[] = [
    () => merge({ root, image, package: package_, ...archive.options }),
    () => plan({ root, image, package: package_, ...archive.options }),
  ]
  for (const attempt of attempts) {
    await assert.rejects(attempt(), (error: unknown) => {
      assert.ok(error instanceof errorClasses[kind], String(error))
      if (entry !== '') assert.match(String(error.entry), new RegExp(`^${escaped(entry.slice(0, 200))}`), String(error))
      return true
    })
    assert.deepEqual(differencesBetween(snapshot(around, withoutState), before), [])
    assert.deepEqual(await list({ root }), [])
    const state = join(root, 'var/lib/rootmerge')
    const left = fs.existsSync(state) ? fs.readdirSync(state).filter((each) => each.startsWith('.rootmerge')) : []
    assert.deepEqual(left, [], 'the hidden tree is gone')
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
}

async function expectContained(
  { root, around, image }: Bench,
  names: readonly string[],
  options: HostileArchive['options'],
) {
  const outside = snapshot(join(around, 'outside'))
  await merge({ root, image, package: package_, ...options })
  assert.deepEqual(differencesBetween(snapshot(join(around, 'outside')), outside), [])
  const found = fs.readdirSync(root, 'latin1').filter((name) => !['var', 'usr', 'etc'].includes(name))
  assert.deepEqual(found.sort(), [...names].sort())
  assert.deepEqual(fs.readdirSync(around).sort(), ['outside', 'root'])
}

describe('an archive from an enemy', function () {
  this.timeout(120_000)

  it('is one of those in fixtures/archives, which the script makes', () => {
    assert.deepEqual(fs.readdirSync(fixtures).sort(), Object.keys(hostileArchives).sort())
    for (const [name, { make, isSmall }] of Object.entries(hostileArchives)) {
      assert.ok(fs.statSync(join(fixtures, name)).size < 2000, `${name} is not small`)
      if (!isSmall) assert.ok(dataOf(name).equals(make()), `${name} is not what the script makes`)
    }
  })

  for (const [name, archive] of Object.entries(hostileArchives)) {
    const [outcome, what] = archive.outcome
    if (outcome === 'contained') {
      it(`${name}: is contained`, () =>
        withBench(name, (bench) => expectContained(bench, what as readonly string[], archive.options)))
    } else {
      it(`${name}: is refused, and nothing is changed`, () => withBench(name, (bench) => expectRefused(bench, archive)))
    }
  }

  it('cannot be listed either when it is refused for itself', async () => {
    let refused = 0
    for (const [name, { outcome, options, isBare }] of Object.entries(hostileArchives)) {
      if (outcome[0] !== 'corrupt' || isBare) continue
      await assert.rejects(readArchive({ image: join(fixtures, name), ...options }), CorruptImageError, name)
      refused++
    }
    assert.ok(refused > 30, `only ${refused}`)
  })

  it('lets the last member of a name win, and keeps the link to the first', () =>
    withBench('same-name-twice', async ({ root, image }) => {
      await merge({ root, image, package: package_ })
      assert.equal(fs.readFileSync(join(root, 'x'), 'utf8'), 'second')
      assert.equal(fs.readFileSync(join(root, 'y'), 'utf8'), 'first')
    }))

  it('reads several archives as one when it is asked to', () =>
    withBench('another-archive-behind', async ({ root, image }) => {
      await merge({ root, image, package: package_, concatenated: true })
      assert.ok(fs.existsSync(join(root, 'x')) && fs.existsSync(join(root, 'y')))
    }))

  it('brings devices and set-id bits where that is not refused', async () => {
    if (!isRoot) return
    await withBench('device', async ({ root, image }) => {
      await merge({ root, image, package: package_ })
      assert.ok(fs.lstatSync(join(root, 'dev/sda')).isBlockDevice())
    })
    await withBench('set-id', async ({ root, image }) => {
      await merge({ root, image, package: package_ })
      assert.equal(fs.statSync(join(root, 'bin/su')).mode & 0o7777, 0o4755)
    })
  })
})
