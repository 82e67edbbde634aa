import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CorruptImageError, InvalidArgumentError, UnsafeEntryError } from '../../../src/merge/errors.ts'
import { mergeImages } from '../../../src/merge/mergeEngine.ts'
import { linuxKernel } from '../../../src/sys/index.ts'
import { hasCommand, pacmanTools, rpmTools } from '../../support/nativePackages.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, type Snapshot, snapshot } from '../../support/snapshot.ts'
import { apkOf, gpkgOf, type TarMember, xpakOf } from '../../support/specPackages.ts'
import { contextOf } from '../scenarios.ts'

/** The long form cuts and bends at ten times as many places. */
const places = process.env.ROOTMERGE_TEST_FULL === undefined ? 24 : 240
const memory = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const members: readonly TarMember[] = [
  { path: 'usr/', type: '5' },
  { path: 'usr/tool', mode: 0o755, data: 'tool '.repeat(2000) },
  { path: 'usr/too', type: '1', target: 'usr/tool', mode: 0o755 },
  { path: 'usr/link', type: '2', target: 'tool', mode: 0o777 },
  { path: 'usr/more', data: 'more' },
]
const tree = `
f 0755 /usr/tool "${'tool '.repeat(2000)}" mtime=1500000000
h      /usr/too  == /usr/tool
l      /usr/link -> tool mtime=1500000000
f      /usr/more "more" mtime=1500000000
`

interface Sample {
  readonly what: string
  readonly format?: string
  make(directory: string): Buffer
}

const samples: readonly Sample[] = [
  { what: 'apk', make: () => apkOf(members) },
  { what: 'gpkg', make: () => gpkgOf({ image: members }) },
  { what: 'tbz2', format: 'tbz2', make: () => xpakOf(members, { CATEGORY: 'a', PF: 'b-1' }) },
  { what: 'pacman', make: (directory) => fs.readFileSync(pacmanTools.pack(directory, { name: 'tool', tree })) },
  { what: 'rpm', make: (directory) => fs.readFileSync(rpmTools.pack(directory, { name: 'tool', tree })) },
  {
    what: 'rpm, not compressed',
    make: (directory) => fs.readFileSync(rpmTools.pack(directory, { name: 'tool', tree, payload: 'w0.ufdio' })),
  },
]

/** Merges bytes into a fresh root: what the root is then, or the error that refused them. */
async function outcomeOf(directory: string, bytes: Buffer, format?: string): Promise<Snapshot | Error> {
  const [root, image] = [join(directory, 'root'), join(directory, 'package')]
  fs.rmSync(root, { recursive: true, force: true })
  fs.mkdirSync(root)
  fs.writeFileSync(image, bytes)
  const options = { root, image, package: 'tool', durability: 'none' as const, ...(format && { format }) }
  try {
    await mergeImages(contextOf(linuxKernel()), options)
  } catch (error) {
    const left = fs.existsSync(join(root, 'var/lib/rootmerge')) ? fs.readdirSync(join(root, 'var/lib/rootmerge')) : []
    const others = fs.readdirSync(root).filter((name) => name !== 'var')
    const spools = left.filter((name) => name.startsWith('.rootmerge-'))
    assert.deepEqual([...others, ...spools], [], `left behind after ${String(error)}`)
    return error as Error
  }
  return new Map([...snapshot(root, { without: ['var'] })].filter(([name]) => name !== '')) // the top's own time moves
}

const refusals = [CorruptImageError, UnsafeEntryError, InvalidArgumentError]

describe('a damaged package', function () {
  this.timeout(600_000)
  for (const { what, format, make } of samples) {
    it(`of ${what} is refused with a clear error, or merged as it was made; never anything else`, async function () {
      const tool = { pacman: 'bsdtar', rpm: 'rpmbuild' }[what.slice(0, 6).replace(/,.*/, '')]
      if (tool !== undefined && !hasCommand(tool)) this.skip()
      await withDirectory(async (directory) => {
        const bytes = make(directory)
        const whole = await outcomeOf(directory, bytes, format)
        assert.ok(whole instanceof Map, String(whole))
        const outcomes = { refused: 0, same: 0 }
        for (let place = 0; place < places; place++) {
          const at = Math.floor(((place + 0.5) * bytes.length) / places)
          const bent = Buffer.from(bytes)
          bent[at] = (bent[at] as number) ^ (1 << (place % 8))
          for (const [damaged, how] of [
            [bytes.subarray(0, at), `cut at ${at}`],
            [bent, `bent at ${at}`],
          ] as const) {
            const outcome = await outcomeOf(directory, damaged, format)
            if (outcome instanceof Error) {
              assert.ok(
                refusals.some((kind) => outcome instanceof kind),
                `${how}: ${outcome.stack}`,
              )
              outcomes.refused++
            } else {
              assert.deepEqual(differencesBetween(outcome, whole), [], how)
              outcomes.same++
            }
          }
        }
        process.stdout.write(
          `      ${what}: ${2 * places} damages of ${bytes.length} bytes: ${JSON.stringify(outcomes)}\n`,
        )
        assert.ok(outcomes.refused > places, JSON.stringify(outcomes))
      }, memory)
    })
  }
})
