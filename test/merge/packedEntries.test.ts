import assert from 'node:assert/strict'
import fc from 'fast-check'
import { EntryNumbers } from '../../src/merge/entryNumbers.ts'
import { PackedEntries } from '../../src/merge/packedEntries.ts'
import { PackedNames } from '../../src/merge/packedNames.ts'
import type { PackageImage, PlannedEntry } from '../../src/merge/plan.ts'
import { PlannedEntries } from '../../src/merge/plannedEntries.ts'
import type { TreeEntry } from '../../src/merge/treeImage.ts'
import { AT_FDCWD, linuxKernel, type Stat } from '../../src/sys/index.ts'

const byte = fc.integer({ min: 1, max: 255 }).filter((code) => code !== 0x2f)
const component = fc
  .array(byte, { minLength: 1, maxLength: 4 })
  .map((codes) => String.fromCharCode(...codes))
  .filter((text) => text !== '.' && text !== '..')
const name = fc.array(component, { minLength: 1, maxLength: 3 }).map((components) => components.join('/'))

const images = ['one', 'other'].map((packageName) => ({ packageName }) as PackageImage)
const stats = ['/', '/proc/self/exe', '/proc/self/cwd', '/dev/null'].map((path) => linuxKernel().statat(AT_FDCWD, path))
const planned = fc.record({
  from: fc.constantFrom(...images),
  entry: fc.record({ name, stat: fc.constantFrom(...stats) }).map(({ name, stat }): TreeEntry => {
    return { name, type: stat.type, stat }
  }),
  fate: fc.constantFrom('place' as const, 'newDirectory' as const, 'twin' as const),
  isInNewDirectory: fc.boolean(),
})

function plain({ entry, ...rest }: Omit<PlannedEntry, 'liveName'>): PlannedEntry {
  return { ...rest, entry, liveName: entry.name }
}

/** Every part of an entry that it may have, made when it is asked for or not. */
function partsOf({ from, entry, fate, liveName, isInNewDirectory, live, linkedTo, members }: PlannedEntry): unknown {
  const { name, type, stat, target, rdev, linkTo } = entry
  const { ino, dev, mode, uid, gid, nlink, size, blocks, blockSize, attributes, ...times } = partsOfStat(stat)
  const parts = { ino, dev, mode, uid, gid, nlink, size, blocks, blockSize, attributes, times }
  return { from, fate, liveName, isInNewDirectory, live, linkedTo, members, name, type, target, rdev, linkTo, parts }
}

function partsOfStat(stat: Stat): Stat {
  const { type, mode, uid, gid, nlink, size, blocks, blockSize, ino, dev, rdev, attributes } = stat
  const { atimeNs, mtimeNs, ctimeNs, btimeNs } = stat
  const times = { atimeNs, mtimeNs, ctimeNs, btimeNs }
  return { type, mode, uid, gid, nlink, size, blocks, blockSize, ino, dev, rdev, attributes, ...times }
}

describe('packed names', () => {
  it('come out as they went in, and are found by the first that is the same', () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 40 }), name, (names, other) => {
        const packed = new PackedNames()
        assert.deepEqual(
          names.map((each) => packed.add(each)),
          names.map((_, index) => index),
        )
        assert.deepEqual(
          names.map((_, index) => packed.at(index)),
          names,
        )
        for (const each of [...names, other])
          assert.equal(packed.find(each), names.includes(each) ? names.indexOf(each) : undefined)
      }),
    )
  })

  it('come out as they went in where there are many, some of them long', () => {
    const packed = new PackedNames()
    const names = Array.from({ length: 10_000 }, (_, index) => `d${index % 7}/${'x'.repeat(index % 766)}-${index}`)
    for (const each of names) packed.add(each)
    names.forEach((each, index) => {
      assert.equal(packed.at(index), each)
      assert.equal(packed.find(each), index)
      assert.equal(packed.find(`${each}-`), undefined)
    })
  })
})

describe('packed entries', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(planned.map(plain), { maxLength: 20 }), (all) => {
        const packed = new PackedEntries(0)
        const numbers = all.map((each) => packed.add(each))
        all.forEach((each, index) => {
          assert.deepEqual(partsOf(packed.at(numbers[index] as number)), partsOf(each))
          const first = all.find(({ liveName }) => liveName === each.liveName) as PlannedEntry
          assert.deepEqual(partsOf(packed.find(each.liveName) as PlannedEntry), partsOf(first))
        })
      }),
    )
  })

  it('are none of the first few', () => {
    fc.assert(
      fc.property(fc.array(planned.map(plain), { maxLength: 20 }), fc.nat({ max: 20 }), (all, few) => {
        const packed = new PackedEntries(few)
        const numbers = all.map((each) => packed.add(each))
        assert.deepEqual(
          numbers,
          all.map((_, index) => (index < few ? undefined : index - few)),
        )
      }),
    )
  })

  const [sample] = fc.sample(planned.map(plain), 1) as [PlannedEntry]
  const more: { readonly [Part in keyof Required<PlannedEntry>]?: PlannedEntry[Part] } = {
    liveName: `${sample.liveName}-elsewhere`,
    live: stats[0] as Stat,
    members: new Set(),
    isUnowned: true,
    linkedTo: 'first',
    sha256: 'abc',
    xattrs: [],
    protection: { style: 'portage' },
    update: '._cfg0000_name',
  }
  const moreOfTheEntry = { target: 'elsewhere', rdev: { major: 1, minor: 3 }, linkTo: 'first' }
  for (const [part, value] of Object.entries(more)) {
    it(`are none that have '${part}'`, () => {
      assert.equal(new PackedEntries(0).add({ ...sample, [part]: value }), undefined)
    })
  }
  for (const [part, value] of Object.entries(moreOfTheEntry)) {
    it(`are none whose object has '${part}'`, () => {
      assert.equal(new PackedEntries(0).add({ ...sample, entry: { ...sample.entry, [part]: value } }), undefined)
    })
  }
})

describe('the entries of a plan', () => {
  it('are numbered through all packages, packed or not', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.tuple(planned.map(plain), fc.boolean()), { maxLength: 5 })), (packages) => {
        const packed = new PackedEntries(0)
        const lists = packages.map((entries) => {
          const list = new PlannedEntries(packed)
          for (const [each, isPacked] of entries) list.push(isPacked ? (packed.add(each) as number) : each)
          assert.deepEqual(
            [...list].map(partsOf),
            entries.map(([each]) => partsOf(each)),
          )
          return { entries: list }
        })
        const numbers = new EntryNumbers(lists)
        const all = packages.flatMap((entries, image) => entries.map(([each]) => ({ image, parts: partsOf(each) })))
        assert.equal(numbers.count, all.length)
        all.forEach(({ image, parts }, number) => {
          const found = numbers.at(number)
          assert.deepEqual({ image: found.image, parts: partsOf(found.planned) }, { image, parts })
          assert.ok(numbers.firstOf(image) <= number)
        })
        assert.throws(() => numbers.at(all.length), RangeError)
      }),
    )
  })
})
