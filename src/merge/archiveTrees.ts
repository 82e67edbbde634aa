// The archives of a call, unpacked into hidden trees that go afterwards.

import { tmpdir } from 'node:os'
import { metadataPolicy } from '../movefile/index.ts'
import { toName } from '../sys/index.ts'
import { accountsAt } from './accounts.ts'
import { type UnpackedArchive, type Unpacking, unpackArchive } from './archive/unpack.ts'
import { removeAbandonedTrees, type Spool } from './archive/unpackedTree.ts'
import type { ImageTree, TreesInput } from './imageTrees.ts'
import { checkMark } from './mark.ts'
import type { ImageOptions } from './options.ts'
import { ProgressMeter } from './progress.ts'
import { Root } from './root.ts'
import { stateName } from './session.ts'
import { State } from './state.ts'

/**
 * Unpacks archives while `use` runs, which is given them by their options.
 *
 * @throws {CorruptImageError} @throws {UnsafeEntryError} before `use` is called
 */
export function withUnpacked<T>(
  input: TreesInput,
  archives: readonly ImageTree[],
  use: (unpacked: ReadonlyMap<ImageOptions, UnpackedArchive>) => T,
): T {
  const spool = openSpool(input)
  const unpacked = new Map<ImageOptions, UnpackedArchive>()
  try {
    for (const archive of archives) unpacked.set(archive.options, unpackImage(input, spool, archive))
    return use(unpacked)
  } finally {
    for (const archive of unpacked.values()) archive.remove()
    spool.root.close()
  }
}

function unpackImage({ engine, options, spareThreads }: TreesInput, spool: Spool, archive: ImageTree) {
  const meter = new ProgressMeter(engine)
  meter.enter('unpack')
  const unpacking: Unpacking = {
    ...engine,
    spool,
    options: archive.options,
    policy: metadataPolicy(options),
    spareThreads,
    accounts: accountsAt(engine.kernel, toName(options.root)),
    digests: options.digest !== 'none',
    onEntry: (bytes) => meter.addEntry(bytes),
  }
  return unpackArchive(unpacking, archive.path)
}

/** Where archives are unpacked: in the state directory, from where contents may be shared; who only plans stays outside. */
function openSpool({ engine, options, access }: TreesInput): Spool {
  const { kernel } = engine
  if (access === 'reading') return { root: new Root(kernel, toName(tmpdir())), name: '' }
  const root = new Root(kernel, toName(options.root))
  try {
    const state = new State(root, stateName(options))
    checkMark(state) // before a second one is made
    const directory = state.make()
    removeAbandonedTrees(kernel, directory)
    return { root, name: directory.name }
  } catch (error) {
    root.close()
    throw error
  }
}
