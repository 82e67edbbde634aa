// The only door to the kernel. Numbers, buffers, errno; knows no policy and no meaning of a path.

export { writeToPipe } from './asyncPipe.ts'
export * from './bytes.ts'
export { CancelFlag, Cancelled } from './cancel.ts'
export * from './constants.ts'
export { type Decoder, type DecoderName, openDecoder } from './decoders.ts'
export { type CopyFacts, channels, type Fact, type FactKind, publish } from './diagnostics.ts'
export { type ErrorClass, type PackedError, packError, unpackError } from './engineErrors.ts'
export { runEnginesHere } from './engineInPlace.ts'
export { EngineShares } from './engineShares.ts'
export { callEngine, type Engine, type EngineContext, type EngineOptions, engineContext } from './engineThread.ts'
export { type ErrnoName, errnoName, errnoNames, errnoNumber } from './errno.ts'
export { type ErrorDetails, isSyscallError, RootmergeError, SyscallError, UnsupportedPlatformError } from './errors.ts'
export { type Interrupts, retryInterrupted } from './interrupts.ts'
export type {
  Device,
  DirectoryEntry,
  Fd,
  FileSystemStat,
  FileType,
  Kernel,
  Name,
  PollRequest,
  Stat,
} from './kernel.ts'
export { linuxKernel, openKernel, openPath, tryOpenat } from './linux.ts'
export { pageAlignedBuffer } from './memory.ts'
export { O_DIRECTORY, O_NOFOLLOW, O_TMPFILE } from './platform.ts'
export { SignalWatch } from './signalWatch.ts'
export { fileTypeOf, packStat, statWith, statWords, unpackStat } from './statx.ts'
