// The operations on a root that the engine's thread is asked for by name.

export { readArchiveRecord } from './archive/listArchive.ts'
export { diffUpdate, listUpdates, mergeUpdate, readUpdate } from './config/inspectUpdates.ts'
export { resolveUpdate } from './config/resolveUpdate.ts'
export { formatContents } from './contents.ts'
export { exportRecord } from './exportRecord.ts'
export { importPackages } from './import/importEngine.ts'
export {
  findOwners,
  listEntries,
  listPackages,
  readRecordText,
  recoverRootNow,
} from './inspectEngine.ts'
export { mergeImages, planImages } from './mergeEngine.ts'
export { listHistory, undoTransaction } from './undoEngine.ts'
export { planUnmerge, unmergePackages } from './unmergeEngine.ts'
export { verifyPackages, verifyShare } from './verifyEngine.ts'
