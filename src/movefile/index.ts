// One object from one name to another: rename, else stage, metadata, rename. Knows no packages.

export { lockStaged, removeAbandoned } from './abandoned.ts'
export { type AttributeTarget, applyAttributes, type Inherited } from './applyAttributes.ts'
export {
  type Attributes,
  findXattr,
  listNames,
  readAttributes,
  type Xattr,
  type Xattrs,
  xattrsOf,
} from './attributes.ts'
export { handOver, quietly, withDescriptor, withWrittenDescriptor } from './descriptors.ts'
export type { Durability } from './durability.ts'
export {
  IntoItselfError,
  MountPointError,
  NotDurableError,
  SourceNotRemovedError,
  SourceReplacedError,
  StagingTakenError,
} from './errors.ts'
export type { ExpectedSource } from './expected.ts'
export type { Filter, FilterEntry } from './filterQuestions.ts'
export { type FinalFlags, finalFlagsOf, setFinalFlags } from './finalFlags.ts'
export { isSameObject } from './identity.ts'
export { closedMode, Inheritance, mayHaveAtOnce } from './inheritance.ts'
export { describeLoss, type Kept, type Loss, MetadataLostError } from './losses.ts'
export { type CopyTreeOptions, copyTree, type MoveFileOptions, moveFile, moveTree } from './moveFile.ts'
export { type MovedFile, type MoveFilesOptions, moveFiles } from './moveFiles.ts'
export { type MoveOptions, type MoveReport, Mover, type MoverOptions, type PlacementOptions } from './mover.ts'
export { namingPlace } from './newFile.ts'
export { describePlace, isStagingName, newStagingName, type Place } from './place.ts'
export {
  accessAcl,
  defaultAcl,
  defaultExcludedXattrs,
  differsFromCopy,
  isCopied,
  type MetadataOptions,
  type MetadataPolicy,
  metadataPolicy,
} from './policy.ts'
export { removeTree } from './removeTree.ts'
export { renameToFreeName } from './rename.ts'
export type { ExpectedStat, MoveProgress, PlaceOptions } from './request.ts'
export type { PayloadReader, StagedObject, StageOptions } from './stage.ts'
export type { TreeEntry, TreeOptions, TreeReport } from './tree.ts'
