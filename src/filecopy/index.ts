// Copies contents: a whole file by reflink where the file system can share extents, else its data, extent by extent,
// by copy_file_range, sendfile, or read and write, holes kept. Two descriptors in, a report out.
//
// Knows no metadata, no packages and, but for copyFile, no names. The way of a copy:
//
//   engine.ts      the public functions, in place or in a worker thread
//   copyFile.ts    names: open, copy, remove what was made in vain
//   copier.ts      descriptors: what are the ends (ends.ts), whole (copyWhole.ts), range (copyRange.ts) or stream
//   copyExtents.ts data and holes of a part (extents.ts, zeros.ts, holes.ts)
//   copyExtent.ts  the chain over one extent: methods.ts, and declines.ts for what each errno means
//   settle.ts      the final size, and whether the source changed

export { Copier } from './copier.ts'
export type { NamedCopyOptions } from './copyFile.ts'
export { copyReadable } from './copyReadable.ts'
export {
  type CopyDescriptorsOptions,
  type CopyFileOptions,
  type CopyFileSyncOptions,
  copyContents,
  copyFile,
  copyFileSync,
  copyRange,
} from './engine.ts'
export {
  AppendOnlyError,
  errorClasses,
  NoMethodError,
  NotCopyableError,
  OutOfBoundsError,
  SameFileError,
  SourceChangedError,
} from './errors.ts'
export { PaddedWriter, type WriterPlace } from './paddedWriter.ts'
export {
  type CopyOptions,
  type CopyRange,
  type CopyReport,
  chain,
  type Decline,
  type Extent,
  type Method,
} from './report.ts'
export { smallSize, type Watchers } from './workspace.ts'
