// What a transaction's backup says of itself: JSON, one object a line, written with the records and never changed.

import { type Attributes, withDescriptor } from '../movefile/index.ts'
import {
  type Fd,
  type Kernel,
  type Name,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  tryOpenat,
} from '../sys/index.ts'
import type { Privileges } from './privileges.ts'
import { readWhole, writeWhole } from './state.ts'
import { ownFile } from './stateFiles.ts'
import type { Step } from './steps.ts'

/** Of the file's form; an unknown one is refused, never guessed. */
const manifestVersion = 1

/** The directory of all backups, in the state. */
export const backupsName = 'backups'

/** The name of the file in a backup's directory. */
export const manifestName: Name = 'manifest'

/** The transaction that kept something. */
export interface BackupHeader {
  readonly kind: 'transaction'
  readonly version: number
  /** As in the journal. */
  readonly id: string
  /** When it began, in nanoseconds. */
  readonly timeNs: string
  readonly packages: readonly string[]
  /** Whether all that it displaced is kept, so that it can be undone. */
  readonly isUndoable: boolean
}

/** What is restored of a directory that was removed; values of attributes in base64. */
export interface DirectoryFacts extends Pick<Attributes, 'uid' | 'gid' | 'mode' | 'inodeFlags'> {
  readonly mtimeNs: string
  readonly xattrs: readonly (readonly [Name, string])[]
}

/** One step of the transaction, and what undoing it needs. */
export interface BackupStep {
  readonly kind: 'step'
  /** From the root. */
  readonly name: Name
  readonly step: Step
  /** The stamp of what it placed, to be compared before it is undone. */
  readonly after?: string
  /** The stamps of all that is in a directory that it placed, by the name within. */
  readonly tree?: Readonly<Record<Name, string>>
  /** What it displaced is kept under this name. */
  readonly kept?: Name
  /** The directory that it is kept in where the backup is on another file system; absent for its own. */
  readonly keptIn?: Name
  /** The displaced file's capability, in base64: it is taken off while it is kept, as set-id bits are. */
  readonly capability?: string
  /** What is taken off the files in the displaced directory while it is kept. */
  readonly privileges?: readonly Privileges[]
  /** What was displaced belonged to no package: it is kept until its name is free again. */
  readonly isUnowned?: true
  /** The directory that it removed. */
  readonly removed?: DirectoryFacts
}

type ManifestLine = BackupHeader | BackupStep

/** A backup as its manifest tells it. */
export interface Manifest {
  readonly header: BackupHeader
  readonly steps: readonly BackupStep[]
}

/** The header of a new manifest. */
export function headerOf(facts: Omit<BackupHeader, 'kind' | 'version'>): BackupHeader {
  return { kind: 'transaction', version: manifestVersion, ...facts }
}

/** Writes a manifest into an open directory. */
export function writeManifest(kernel: Kernel, directory: Fd, lines: Iterable<ManifestLine>): void {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
  withDescriptor(kernel, kernel.openat(directory, manifestName, flags, 0o600), (fd) => {
    let text = ''
    for (const line of lines) {
      text += `${JSON.stringify(line)}\n`
      if (text.length < 65536) continue
      writeWhole(kernel, fd, Buffer.from(text))
      text = ''
    }
    writeWhole(kernel, fd, Buffer.from(text))
  })
}

/**
 * Reads the manifest in a directory; undefined where there is none, or one of a form that is not known, or one that is
 * not whole: of a merge that was not flushed, before a power cut.
 */
export function readManifest(kernel: Kernel, directory: Fd, path: Name = manifestName): Manifest | undefined {
  const fd = tryOpenat(kernel, directory, path, O_RDONLY | ownFile)
  if (fd === undefined) return undefined
  const lines = parseLines(withDescriptor(kernel, fd, () => readWhole(kernel, fd).toString('utf8')))
  const header = lines.find((line) => line.kind === 'transaction')
  const steps = lines.filter((line) => line.kind === 'step')
  return header?.version === manifestVersion ? { header, steps } : undefined
}

function parseLines(text: string): ManifestLine[] {
  try {
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as ManifestLine)
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
}
