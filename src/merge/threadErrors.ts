// The classes of errors that keep their class on the way from one thread to another.

import { NoMethodError, NotCopyableError, SameFileError, SourceChangedError } from '../filecopy/errors.ts'
import { MountPointError, SourceReplacedError, StagingTakenError } from '../movefile/errors.ts'
import { MetadataLostError } from '../movefile/losses.ts'
import type { ErrorClass } from '../sys/index.ts'
import { mergeErrors } from './errors.ts'

/** Of merging, and of the layers below. */
export const threadErrors: readonly ErrorClass[] = [
  ...mergeErrors,
  NoMethodError,
  NotCopyableError,
  SameFileError,
  SourceChangedError,
  MetadataLostError,
  MountPointError,
  SourceReplacedError,
  StagingTakenError,
]
