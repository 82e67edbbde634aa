// Making and growing the owners index: a cache of the records, written by the root's only writer.

import { randomBytes } from 'node:crypto'
import { quietly, withDescriptor } from '../movefile/index.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  type Fd,
  isSyscallError,
  type Kernel,
  type Name,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
} from '../sys/index.ts'
import { eachLiveName } from './liveNames.ts'
import { addRows, Rows } from './ownersIndex.ts'
import {
  fits,
  indexDirectory,
  isCurrent,
  readSeal,
  type Seal,
  type SealedPackage,
  stampOf,
  sumUp,
  writeSeal,
} from './ownersSeal.ts'
import { makeDirectories } from './root.ts'
import { type State, writeWhole } from './state.ts'

/**
 * Brings the index up to date with the records, for the root's only writer; makes it where it is missing or damaged.
 *
 * Nothing depends on it: whatever goes wrong leaves an index that does not fit its seal or its records.
 */
export function refreshIndex(state: State): void {
  const { kernel } = state.root
  quietly(() => {
    const made = makeDirectories(state.root, indexDirectory(state))
    // A descriptor of its own: the root closes those that it lent, after many others were asked for.
    withDescriptor(kernel, kernel.openat(made.fd, '.', O_RDONLY | O_DIRECTORY), (directory) => {
      const seal = readSeal(kernel, directory)
      if (seal === undefined || !isCurrent(seal, state) || !fits(seal, sumUp(kernel, directory, seal.file))) {
        quietly(() => writeIndex(state, directory, seal))
      }
      removeUnsealed(kernel, directory)
    })
  })
}

/** Removes what earlier refreshes left behind: one that was killed after its seal was written could not. */
function removeUnsealed(kernel: Kernel, directory: Fd): void {
  const sealed = readSeal(kernel, directory)?.file
  for (const { name } of kernel.readDirectory(directory)) {
    if (name !== 'seal' && (sealed === undefined || !name.startsWith(sealed))) kernel.unlinkat(directory, name)
  }
}

/** What an index will be made of. */
interface Growth {
  readonly packages: (SealedPackage | null)[]
  readonly rows: Rows
}

/** Writes a new index: what is still true of the old one, and the rows of every record that it does not know. */
function writeIndex(state: State, directory: Fd, old: Seal | undefined): void {
  const { kernel } = state.root
  const file = `${randomBytes(8).toString('hex')}.mdb`
  let growth = readNew(state, old?.packages ?? [])
  let base = old === undefined || isOvergrown(old, growth) ? undefined : old
  if (base !== undefined && !copyFits(state, directory, base, file)) base = undefined
  if (base === undefined && old !== undefined) growth = readNew(state, [])
  const rows = (base?.rows ?? 0) + growth.rows.count
  const bits = base?.bits ?? bitsFor(rows)
  makeRoom(kernel, directory, file, (base?.bytes ?? 0) + 3 * growth.rows.bytes)
  addRows({ directory, name: file }, growth.rows, bits, base?.bytes ?? 0)
  const found = sumUp(kernel, directory, file)
  if (found === undefined) return
  writeSeal(kernel, directory, { file, ...found, bits, rows, packages: growth.packages })
}

/** Of lmdb's lock file and of its first pages; measured: 8 KiB and 12 KiB. */
const leastRoom = 65536

/**
 * Makes both of lmdb's files, with their room, before lmdb opens them.
 *
 * Where lmdb cannot open an environment, lmdb-js 3.5.6 reads memory that it has freed (EnvWrap::closeEnv after a failed
 * mdb_env_open), and takes the process with it: a full disk has to be met before.
 */
function makeRoom(kernel: Kernel, directory: Fd, file: Name, bytes: number): void {
  for (const [name, room] of [
    [file, bytes + leastRoom],
    [`${file}-lock`, leastRoom],
  ] as const) {
    const fd = kernel.openat(directory, name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o644)
    withDescriptor(kernel, fd, () => {
      kernel.fchmod(fd, 0o644)
      reserve(kernel, fd, room)
    })
  }
}

function reserve(kernel: Kernel, fd: Fd, bytes: number): void {
  try {
    kernel.fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes)
  } catch (error) {
    if (!isSyscallError(error, 'EOPNOTSUPP', 'ENOSYS')) throw error
  }
}

/** The packages as they are now, with the rows of those whose records are not the ones that were sealed. */
function readNew(state: State, sealed: readonly (SealedPackage | null)[]): Growth {
  const stats = new Map(state.recordStats())
  const packages = sealed.map((known) => {
    const stat = known && stats.get(known.name)
    if (!known || !stat || stampOf(stat) !== known.stamp) return null
    stats.delete(known.name)
    return known
  })
  const rows = new Rows()
  const eachName = eachLiveName(state)
  for (const [name, stat] of stats) {
    const before = rows.count
    eachName(name, (each) => rows.add(each, packages.length))
    packages.push({ name, stamp: stampOf(stat), rows: rows.count - before })
  }
  return { packages, rows }
}

const rowsPerBucket = 64

function bitsFor(rows: number): number {
  return Math.min(24, Math.max(0, Math.ceil(Math.log2(rows / rowsPerBucket))))
}

/** Whether starting anew is better: more than half of the rows are of packages that are gone, or buckets are too full. */
function isOvergrown(old: Seal, { packages, rows }: Growth): boolean {
  const live = packages.reduce((sum, each) => sum + (each?.rows ?? 0), 0)
  const all = old.rows + rows.count
  return all > 2 * live + rowsPerBucket || all > 4 * rowsPerBucket * 2 ** old.bits
}

/** Copies the file that a seal seals; false when it is not what was sealed. */
function copyFits({ root: { kernel } }: State, directory: Fd, seal: Seal, file: string): boolean {
  const fd = kernel.openat(directory, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644)
  const found = withDescriptor(kernel, fd, () => {
    kernel.fchmod(fd, 0o644)
    return sumUp(kernel, directory, seal.file, (chunk) => writeWhole(kernel, fd, chunk))
  })
  if (fits(seal, found)) return true
  kernel.unlinkat(directory, file)
  return false
}
