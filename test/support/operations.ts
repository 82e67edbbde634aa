// The engine's operations on a root, called in place. The few entries of a test are packed as those of a large image are.

import { PackedEntries } from '../../src/merge/packedEntries.ts'

export { readArchiveRecord } from '../../src/merge/archive/listArchive.ts'
export { diffUpdate, listUpdates, mergeUpdate, readUpdate } from '../../src/merge/config/inspectUpdates.ts'
export { resolveUpdate } from '../../src/merge/config/resolveUpdate.ts'
export { formatContents } from '../../src/merge/contents.ts'
export { exportRecord } from '../../src/merge/exportRecord.ts'
export { importPackages } from '../../src/merge/import/importEngine.ts'
export {
  findOwners,
  listEntries,
  listPackages,
  readRecordText,
  recoverRootNow,
} from '../../src/merge/inspectEngine.ts'
export { mergeImages, planImages } from '../../src/merge/mergeEngine.ts'
export { listHistory, undoTransaction } from '../../src/merge/undoEngine.ts'
export { planUnmerge, unmergePackages } from '../../src/merge/unmergeEngine.ts'
export { verifyPackages, verifyShare } from '../../src/merge/verifyEngine.ts'

PackedEntries.few = 2
