// The one table of the engines: what a caller names, and where it is. Each module is loaded when it is first asked for.

import type { EngineTable } from './sys/engineTable.ts'

/** Every engine by the name that its module exports it under. */
export const engines: EngineTable = {
  copyDescriptorsEngine: () => import('./filecopy/engine.ts'),
  copyInThread: () => import('./movefile/moveFile.ts'),
  copyNamedEngine: () => import('./filecopy/engine.ts'),
  decodeShare: () => import('./merge/archive/decodingShare.ts'),
  diffUpdate: () => import('./merge/config/inspectUpdates.ts'),
  exportRecord: () => import('./merge/exportRecord.ts'),
  findOwners: () => import('./merge/inspectEngine.ts'),
  formatContents: () => import('./merge/contents.ts'),
  importPackages: () => import('./merge/import/importEngine.ts'),
  listEntries: () => import('./merge/inspectEngine.ts'),
  listHistory: () => import('./merge/undoEngine.ts'),
  listPackages: () => import('./merge/inspectEngine.ts'),
  listShare: () => import('./merge/memberListing.ts'),
  listUpdates: () => import('./merge/config/inspectUpdates.ts'),
  makeShare: () => import('./merge/archive/makeShare.ts'),
  mergeImages: () => import('./merge/mergeEngine.ts'),
  mergeUpdate: () => import('./merge/config/inspectUpdates.ts'),
  moveInThread: () => import('./movefile/moveFile.ts'),
  moveManyInThread: () => import('./movefile/moveFiles.ts'),
  planImages: () => import('./merge/mergeEngine.ts'),
  planUnmerge: () => import('./merge/unmergeEngine.ts'),
  readArchiveRecord: () => import('./merge/archive/listArchive.ts'),
  readRecordText: () => import('./merge/inspectEngine.ts'),
  readUpdate: () => import('./merge/config/inspectUpdates.ts'),
  recoverRootNow: () => import('./merge/inspectEngine.ts'),
  resolveUpdate: () => import('./merge/config/resolveUpdate.ts'),
  stageShare: () => import('./merge/stageShare.ts'),
  undoTransaction: () => import('./merge/undoEngine.ts'),
  unmergePackages: () => import('./merge/unmergeEngine.ts'),
  verifyShare: () => import('./merge/verifyEngine.ts'),
}
