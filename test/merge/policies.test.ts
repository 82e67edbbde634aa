// The policy table of the design and the type pairs of the installers' comparison, one generated case each: what is there
// (by type, owner, edited or not) times what an image brings. What must come out is written down here a second time, in
// the design's own words, not taken from decide().

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { covers, decide, type Live, type Owner, rules, type Situation } from '../../src/merge/decide.ts'
import { CollisionError, type MergeOptions } from '../../src/merge/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { isRoot } from '../support/asRoot.ts'
import { mergeImages, verifyPackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

const at = 'mtime=1600000000.000000001'

/** What may be at the name x, as lines of a tree; the same attributes as of `incoming` where the kind is the same. */
const existing = {
  absent: '',
  file: `f 0644 /x "bytes" ${at}`,
  'file of another mode': `f 0600 /x "bytes" ${at}`,
  'file of other bytes': `f 0644 /x "others" ${at}`,
  'empty directory': `d 0755 /x ${at}`,
  'directory of another mode': `d 0700 /x ${at}`,
  'directory with a file': `d 0755 /x ${at}\nf /x/inside "1" ${at}`,
  symlink: `l /x -> nowhere ${at}`,
  'symlink to another name': `l /x -> elsewhere ${at}`,
  'symlink to a directory': `d /target ${at}\nl /x -> target ${at}`,
  'symlink to a file': `f /target "t" ${at}\nl /x -> target ${at}`,
  fifo: `p 0644 /x ${at}`,
  'fifo of another mode': `p 0600 /x ${at}`,
  character: `c 0644 /x 1:3 ${at}`,
  'character of another mode': `c 0600 /x 1:3 ${at}`,
  'character to another device': `c 0644 /x 1:5 ${at}`,
  block: `b 0644 /x 7:200 ${at}`,
  'block to another device': `b 0644 /x 7:201 ${at}`,
} as const

/** What an image brings. */
const incoming = {
  file: `f 0644 /x "bytes" ${at}`,
  directory: `d 0755 /x ${at}\nf /x/new "2" ${at}`,
  symlink: `l /x -> nowhere ${at}`,
  fifo: `p 0644 /x ${at}`,
  character: `c 0644 /x 1:3 ${at}`,
  block: `b 0644 /x 7:200 ${at}`,
} as const

type Existing = keyof typeof existing
type Incoming = keyof typeof incoming
type Policy = NonNullable<MergeOptions['collisions']>

interface Case {
  readonly existing: Existing
  readonly incoming: Incoming
  readonly owner: Owner
  readonly isEdited: boolean
  readonly isProtected: boolean
  readonly collisions: Policy
}

/**
 * What can come of it.
 *
 * through  the symlink stays, and what the image has below goes behind it
 * aside    what is there stays, or stays away, and the update goes beside it
 * offered  likewise, but the directory of the old version goes, since nothing is left in it
 * saved    what is there goes to its save name, and the directory takes the place
 */
type Outcome = 'placed' | 'untouched' | 'merged' | 'through' | 'aside' | 'offered' | 'saved' | 'refused'

const kindOf = (name: Existing) =>
  name.includes('directory') && !name.startsWith('symlink') ? 'directory' : name.split(' ')[0]

/** What has contents beside its metadata, which an edit changes; of others it changes the mode. */
const hasContents = (kind: string | undefined) => kind === 'file' || kind === 'symlink' || kind === 'directory'

/** How what is there and what comes compare. */
function compare(one: Case): Live {
  if (one.existing === 'absent') return 'absent'
  if (kindOf(one.existing) !== one.incoming) return 'different'
  const isOther = /other bytes|to a|to another/.test(one.existing)
  if (isOther || (one.isEdited && hasContents(one.incoming))) return 'different'
  return one.isEdited || one.existing.includes('another mode') ? 'sameContent' : 'same'
}

/** Section 6 of the design, line by line; how a protected name is set aside is the style's word, here Portage's. */
function expected(one: Case): Outcome {
  const { owner, isProtected, isEdited, collisions } = one
  const kind = kindOf(one.existing)
  if (one.incoming === 'directory') {
    if (one.existing === 'absent') return owner === 'another' ? 'refused' : 'placed' // it would be a file to one of them
    if (kind === 'directory') return 'merged'
    if (one.existing === 'symlink to a directory' && owner !== 'self') return 'through'
  } else if (kind === 'directory') {
    // Only a directory that goes with its own old version may be replaced.
    if (owner !== 'self' || isEdited) return 'refused'
    return isProtected ? 'offered' : 'placed' // Portage's own test counts such updates
  }
  const aside = one.incoming === 'directory' ? 'saved' : 'aside'
  const live = compare(one)
  if (live === 'absent') return owner === 'another' ? 'refused' : owner === 'self' && isProtected ? aside : 'placed'
  if (owner === 'another') return 'refused'
  if (live === 'same') return 'untouched'
  if (live === 'sameContent') return isProtected ? 'untouched' : 'placed'
  if (owner === 'nobody') return isProtected ? aside : collisions === 'refuse' ? 'refused' : 'placed'
  return isProtected && isEdited ? aside : 'placed'
}

/** Metadata that the administrator keeps differ from the record, which holds what the package brought; not a directory's. */
const isKeptMetadata = (one: Case) =>
  one.isProtected && one.owner !== 'another' && one.incoming !== 'directory' && compare(one) === 'sameContent'

const root = (directory: string) => join(directory, 'root')

async function merge(directory: string, name: string, tree: string, more: Partial<MergeOptions> = {}): Promise<void> {
  const image = join(directory, `image-${fs.readdirSync(directory).length}`)
  fs.mkdirSync(image)
  writeTree(image, tree)
  await mergeImages(contextOf(linuxKernel()), {
    root: root(directory),
    image,
    package: name,
    durability: 'none',
    ...more,
  } as MergeOptions)
}

/** Makes what is there: merged by whoever owns it, then edited or removed by the administrator. */
async function prepare(directory: string, one: Case): Promise<void> {
  fs.mkdirSync(root(directory))
  const tree = existing[one.existing === 'absent' && one.owner !== 'nobody' ? 'file' : one.existing]
  if (one.owner === 'nobody') writeTree(root(directory), tree)
  else await merge(directory, one.owner === 'self' ? 'p' : 'q', tree)
  const path = join(root(directory), 'x')
  if (one.existing === 'absent') fs.rmSync(path, { force: true })
  else if (one.isEdited) edit(path, kindOf(one.existing))
}

function edit(path: string, kind: string | undefined): void {
  if (kind === 'file') fs.appendFileSync(path, 'edited')
  else if (kind === 'directory') fs.writeFileSync(join(path, 'foreign'), 'by the admin')
  else if (kind === 'symlink') {
    fs.unlinkSync(path)
    fs.symlinkSync('edited', path)
  } else fs.chmodSync(path, 0o622)
}

/** Of x and what is in it. */
function seen(top: string): Record<string, string> {
  const all = snapshot(top, { without: ['var'], directoryTimes: false })
  return Object.fromEntries([...all].filter(([name]) => name !== ''))
}

/** An object, whatever its name is. */
const nameless = (seen: string | undefined) => seen?.replace(/ first=\S+/, '')

/** The image that was made last. */
function newestImage(directory: string): string {
  const images = fs.readdirSync(directory).filter((name) => name.startsWith('image'))
  return join(directory, images.at(-1) ?? '')
}

/** Merges, and says what came of it; demands that it is one of the outcomes, and that the record agrees. */
async function outcomeOf(directory: string, one: Case): Promise<Outcome | 'something else'> {
  const x = join(root(directory), 'x')
  const inodeOf = () => fs.lstatSync(x, { throwIfNoEntry: false })?.ino
  const [before, inode] = [seen(root(directory)), inodeOf()]
  const options = {
    collisions: one.collisions,
    ...(one.isProtected ? ({ protect: ['/x'] } as object) : {}),
  }
  try {
    await merge(directory, 'p', incoming[one.incoming], options)
  } catch (error) {
    assert.ok(error instanceof CollisionError, String(error))
    assert.deepEqual(seen(root(directory)), before)
    return 'refused'
  }
  const after = seen(root(directory))
  const wanted = seen(newestImage(directory))
  if ('._cfg0000_x' in after) {
    if (nameless(after['._cfg0000_x']) !== nameless(wanted.x)) return 'something else'
    return inodeOf() === inode && after.x === before.x ? 'aside' : 'x' in after ? 'something else' : 'offered'
  }
  const differing = verifyPackages(contextOf(linuxKernel()), { root: root(directory), packages: ['p'] })
  assert.deepEqual(
    differing,
    isKeptMetadata(one) ? [{ package: 'p', name: 'x', differences: ['mode'], isConfig: true }] : [],
  )
  if ('x.backup' in after) {
    const isSaved = nameless(after['x.backup']) === nameless(before.x)
    return isSaved && after['x/new'] === wanted['x/new'] ? 'saved' : 'something else'
  }
  if (one.incoming === 'directory') {
    if (fs.lstatSync(x).isSymbolicLink())
      return fs.existsSync(join(root(directory), 'target/new')) ? 'through' : 'something else'
    if (!('x/new' in after)) return 'something else'
    return inodeOf() === inode ? 'merged' : 'placed'
  }
  if (inodeOf() === inode) return before.x === after.x ? 'untouched' : 'something else'
  return after.x === wanted.x ? 'placed' : 'something else'
}

const names = Object.keys(existing) as Existing[]
const brought = Object.keys(incoming) as Incoming[]

/** Every combination that can be. */
const cases: readonly Case[] = names.flatMap((there) =>
  brought.flatMap((comes) =>
    (['self', 'another', 'nobody'] as const).flatMap((owner) =>
      [false, true].flatMap((isEdited) =>
        [false, true].flatMap((isProtected) =>
          (['refuse', 'replace-unowned'] as const).flatMap((collisions) => {
            const one: Case = { existing: there, incoming: comes, owner, isEdited, isProtected, collisions }
            return canBe(one) ? [one] : []
          }),
        ),
      ),
    ),
  ),
)

/** Only what a record has can be edited, and only over what nobody owns does the policy matter. */
function canBe({ existing: there, owner, isEdited, collisions }: Case): boolean {
  if (isEdited && (owner !== 'self' || there === 'absent')) return false
  return owner === 'nobody' || collisions === 'refuse'
}

function situationOf(one: Case): Situation {
  const { owner, isProtected, isEdited } = one
  return { live: compare(one), owner, isProtected, isEdited }
}

/** Only root makes devices. */
function canMake(name: string): boolean {
  return isRoot || !/^(character|block)/.test(name)
}

describe('the policy table over every pair of types', function () {
  this.timeout(120_000)

  for (const there of names) {
    for (const comes of brought) {
      const group = cases.filter((one) => one.existing === there && one.incoming === comes)
      it(`${comes} over ${there === 'absent' ? 'nothing' : there}: ${group.length} cases`, async function () {
        if (!canMake(there) || !canMake(comes)) return this.skip()
        for (const one of group) {
          await withDirectory(async (directory) => {
            await prepare(directory, one)
            assert.equal(await outcomeOf(directory, one), expected(one), JSON.stringify(one))
          })
        }
      })
    }
  }

  it('has every pair of types, every rule, and every situation that can be', () => {
    assert.equal(new Set(cases.map((one) => `${one.existing} ${one.incoming}`)).size, names.length * brought.length)
    const notDirectories = cases.filter((one) => one.incoming !== 'directory')
    for (const rule of rules) {
      assert.ok(
        notDirectories.some((one) => covers(rule, situationOf(one))),
        JSON.stringify(rule),
      )
    }
    const reached = new Set(notDirectories.map((one) => JSON.stringify(situationOf(one))))
    // Of 48: what nobody or another owns has no record of ours to be edited against (16), and what is absent or the same is
    // not edited (4).
    assert.equal(reached.size, 28)
    for (const one of notDirectories) assert.ok(decide(situationOf(one)))
  })
})
