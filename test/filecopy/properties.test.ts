import * as fs from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  Copier,
  type CopyOptions,
  type CopyRange,
  type CopyReport,
  OutOfBoundsError,
} from '../../src/filecopy/index.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { itOnEach } from '../support/filesystems.ts'
import { shortCounts } from '../support/kernelDoubles.ts'
import { allocated, assertSameBytes, type Segment, withDescriptors, writeLayout } from '../support/layouts.ts'
import { seed } from '../support/seeded.ts'

const kernel = linuxKernel()
const full = process.env.ROOTMERGE_TEST_FULL !== undefined
const settings = { numRuns: full ? 500 : 25 }

const segments: fc.Arbitrary<Segment[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('data', 'zeros', 'hole', 'unwritten'),
    // Around blocks, around the size of small files, and anything.
    length: fc.oneof(
      fc.integer({ min: 0, max: 20_000 }),
      fc.integer({ min: 0, max: 40 }).map((blocks) => blocks * 4096),
      fc.integer({ min: 65_000, max: 66_000 }),
    ),
  }),
  { maxLength: 8 },
)

const options: fc.Arbitrary<CopyOptions> = fc.record(
  {
    methods: fc.oneof(
      fc.constant('fastest' as const),
      fc.constantFrom('copy_file_range', 'sendfile', 'reflink').map((first) => [first, 'read_write'] as const),
    ),
    reflink: fc.constantFrom('auto', 'never'),
    sparse: fc.constantFrom('auto', 'always', 'never'),
  },
  { requiredKeys: [] },
)

const offset = fc.oneof(
  fc.integer({ min: 0, max: 200_000 }),
  fc.integer({ min: 0, max: 60 }).map((blocks) => blocks * 4096),
)
const ranges: fc.Arbitrary<CopyRange> = fc.record(
  { sourceOffset: offset, targetOffset: offset, length: offset, window: offset },
  { requiredKeys: [] },
)

const mostBytes = fc.constantFrom(1000, 4096, 100_000, 10 ** 9)

describe(`any copy (seed ${seed})`, () => {
  itOnEach('of any layout is equal, and not larger', (directory) => {
    let run = 0
    const property = fc.property(segments, options, mostBytes, (layout, chosen, most) => {
      const [source, target] = [join(directory, `source-${run}`), join(directory, `target-${run++}`)]
      const expected = writeLayout(kernel, source, layout)
      const copier = new Copier(shortCounts(kernel, most))
      withDescriptors(source, target, (from, to) => copier.copyContents(from, to, chosen))
      assertSameBytes(fs.readFileSync(target), expected)
      const most4 = allocated(source) + 4 * (layout.length + 1)
      if (chosen.sparse !== 'never' && allocated(target) > most4) {
        throw new Error(`takes ${allocated(target)} KiB, the source ${allocated(source)}`)
      }
    })
    fc.assert(property, settings)
  })

  itOnEach('of any range into any window is what reading and writing would make', (directory) => {
    let run = 0
    const property = fc.property(segments, segments, ranges, options, (layout, oldLayout, range, chosen) => {
      const [source, target] = [join(directory, `source-${run}`), join(directory, `target-${run++}`)]
      const bytes = writeLayout(kernel, source, layout)
      const old = writeLayout(kernel, target, oldLayout)
      const outcome = copyRange(source, target, range, chosen)
      const expected = oracle(bytes, old, range)
      assertSameBytes(fs.readFileSync(target), expected.target)
      if (outcome.bytes !== expected.bytes || outcome.overflow !== expected.overflow) {
        throw new Error(`${JSON.stringify(outcome)} instead of ${expected.bytes}, ${expected.overflow}`)
      }
    })
    fc.assert(property, settings)
  })
})

interface Outcome {
  readonly bytes: number
  readonly overflow: boolean
}

function copyRange(source: string, target: string, range: CopyRange, chosen: CopyOptions): Outcome {
  const copy = (from: number, to: number): CopyReport => new Copier(kernel).copyRange(from, to, range, chosen)
  try {
    return { bytes: withDescriptors(source, target, copy, 'r+').bytes, overflow: false }
  } catch (error) {
    if (error instanceof OutOfBoundsError) return { bytes: error.bytesWritten, overflow: true }
    throw error
  }
}

/** The law of a range, by plain reading and writing. */
function oracle(source: Buffer, old: Buffer, range: CopyRange): Outcome & { readonly target: Buffer } {
  const { sourceOffset = 0, targetOffset = 0, length, window = Number.MAX_SAFE_INTEGER } = range
  if (targetOffset > window) return { bytes: 0, overflow: true, target: old }
  const wanted = source.subarray(sourceOffset, length === undefined ? source.length : sourceOffset + length)
  const fitting = wanted.subarray(0, Math.min(wanted.length, window - targetOffset))
  const target = Buffer.alloc(fitting.length === 0 ? old.length : Math.max(old.length, targetOffset + fitting.length))
  old.copy(target)
  fitting.copy(target, targetOffset)
  return { bytes: fitting.length, overflow: fitting.length < wanted.length, target }
}
