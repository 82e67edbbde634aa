// Displaced objects that are kept: those of the last transactions, so that these can be undone, and those that belonged
// to no package, until their name is free again.
//
// They lie in `backups/<transaction>/` of the state, or, where that is another file system, beside the name that they
// had, or beside its directory if that goes; everywhere under the same hidden name. Set-id bits and capabilities are off
// as long as they are kept.

import { metadataPolicy, type Place, quietly, readAttributes, withDescriptor } from '../movefile/index.ts'
import {
  AT_REMOVEDIR,
  type Fd,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  parentName,
  type Stat,
} from '../sys/index.ts'
import {
  type BackupStep,
  backupsName,
  type DirectoryFacts,
  headerOf,
  type Manifest,
  manifestName,
  readManifest,
  writeManifest,
} from './backupManifest.ts'
import { identityOf } from './identity.ts'
import { type Privileges, privilegesIn } from './privileges.ts'
import { removeObject } from './removal.ts'
import { makeDirectories } from './root.ts'
import type { StagingArea } from './stagingArea.ts'
import { stampOf, stampsIn } from './stamps.ts'
import type { State } from './state.ts'
import { keptName, livePlace, stagedPlace } from './steps/renaming.ts'
import type { PlaceStep, Step, StepContext } from './steps.ts'

/** The directory of all backups, made where it is missing: only its owner may look into it. */
export function makeBackupDirectory(state: State): Name {
  const made = makeDirectories(state.root, joinName(state.make().name, backupsName))
  if (state.root.kernel.fstat(made.fd).mode !== 0o700) state.root.kernel.fchmod(made.fd, 0o700)
  return made.name
}

/** A transaction's backup that is going to be made. */
export interface NewBackup {
  /** The number of the directory of all backups. */
  readonly directory: number
  readonly timeNs: string
  readonly packages: readonly string[]
  /** Whether everything that is displaced is kept. */
  readonly isUndoable: boolean
  /** The nearest directory that stays, by their numbers. */
  readonly staying: (directory: number) => number
  /** Staging names of the steps whose displaced objects belonged to nobody. */
  readonly unowned: ReadonlySet<Name>
}

/** A step that keeps what it displaces, if it is to be kept. */
export function keeping(step: Step, { directory, isUndoable, staying, unowned }: NewBackup): Step {
  const displaces = step.kind === 'replace' || step.kind === 'remove'
  if (!displaces || !(isUndoable || unowned.has(step.staging))) return step
  const keptIn = step.phase === 'payload' ? staying(step.directory) : step.directory // the backups are with the records
  return { ...step, backups: directory, ...(keptIn !== step.directory && { keptIn }) }
}

/** Tells which announced directories stay when all steps are done. */
export function stayingAfter(area: StagingArea, staged: readonly { readonly step: Step }[]): NewBackup['staying'] {
  const nameOf = (number: number) => area.directories[number]?.name ?? ''
  const goesFrom = new Map<Name, number>()
  for (const { step } of staged)
    if (step.kind === 'removeDirectory') goesFrom.set(joinName(nameOf(step.directory), step.name), step.directory)
  const staying = (directory: number): number => {
    const parent = goesFrom.get(nameOf(directory))
    return parent === undefined ? directory : staying(parent)
  }
  return staying
}

/** Stages the directory of a transaction's backup, with its manifest: the step that places it comes with the records. */
export function stageBackup(
  context: StepContext,
  area: StagingArea,
  { steps, backup }: { steps: readonly Step[]; backup: NewBackup },
): PlaceStep {
  const { kernel } = context
  const { directory } = backup
  const { fd } = area.open(directory)
  const staging = area.newName()
  const { timeNs, packages, isUndoable, unowned } = backup
  kernel.mkdirat(fd, staging, 0o700)
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
  withDescriptor(kernel, kernel.openat(fd, staging, flags), (inside) => {
    const described = steps.map((step) => describe(context, area, step))
    const kept = isUndoable ? described : described.filter(({ step }) => 'backups' in step)
    const marked = kept.map((each) =>
      'staging' in each.step && unowned.has(each.step.staging) ? { ...each, isUnowned: true as const } : each,
    )
    writeManifest(kernel, inside, [headerOf({ id: area.id, timeNs, packages, isUndoable }), ...marked])
  })
  const identity = identityOf(kernel, fd, staging) ?? ''
  return { kind: 'place', phase: 'record', directory, name: area.id, staging, identity }
}

function describe(context: StepContext, area: StagingArea, step: Step): BackupStep {
  const { kernel } = context
  const name = joinName(context.directory(step.directory).name, step.name)
  const described: { -readonly [K in keyof BackupStep]: BackupStep[K] } = { kind: 'step', name, step }
  if (step.kind === 'place' || step.kind === 'replace') {
    const staged = stagedPlace(context, step)
    const modes = new Map(step.restores?.map((each) => [each.name, each.mode]))
    described.after = stampOf(kernel, staged, modes.get('')) ?? ''
    if (kernel.statat(staged.directory, staged.name).type === 'directory')
      described.tree = stampsIn(kernel, staged, modes)
  }
  if ((step.kind === 'replace' || step.kind === 'remove') && step.backups !== undefined) {
    described.kept = keptName(step.staging)
    if (step.keptIn !== undefined) described.keptIn = context.directory(step.keptIn).name
    Object.assign(described, privilegesBefore(kernel, livePlace(context, step)))
  }
  if (step.kind === 'removeDirectory') described.removed = directoryFacts(context, area, name, livePlace(context, step))
  return described
}

/** A file's set-id bits are in the step; of the files in a directory nothing else tells. */
function privilegesBefore(kernel: Kernel, live: Place): Pick<BackupStep, 'capability' | 'privileges'> {
  const privileges = privilegesIn(kernel, live)
  const [own] = privileges
  if (own?.name !== '') return privileges.length === 0 ? {} : { privileges }
  return own.capability === undefined ? {} : { capability: own.capability }
}

const everything = metadataPolicy({ excludeXattrs: [], inodeFlags: true })

/** The time of a directory in which names were staged is the one that the journal has. */
function directoryFacts(
  context: StepContext,
  area: StagingArea,
  name: Name,
  { directory, name: last }: Place,
): DirectoryFacts {
  const { kernel } = context
  const fd = kernel.openat(directory, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  return withDescriptor(kernel, fd, () => {
    const { uid, gid, mode, mtimeNs, xattrs, inodeFlags } = readAttributes(kernel, fd, kernel.fstat(fd), everything)
    const journaled = area.directories.find((each) => each.name === name)
    return {
      ...{ uid, gid, mode, mtimeNs: journaled?.mtimeNs ?? String(mtimeNs) },
      xattrs: xattrs.map((xattr) => [xattr.name, xattr.value.toString('base64')] as const),
      ...(inodeFlags === undefined ? {} : { inodeFlags }),
    }
  })
}

/** All backups of a root, the oldest first. */
export function listBackups(state: State): Manifest[] {
  const directory = findBackupDirectory(state)
  if (directory === undefined) return []
  const { kernel } = state.root
  const found = kernel
    .readDirectory(directory.fd)
    .map(({ name }) =>
      name.startsWith('.') ? undefined : readManifest(kernel, directory.fd, `${name}/${manifestName}`),
    )
    .filter((manifest) => manifest !== undefined)
  return found.sort((one, other) => (BigInt(one.header.timeNs) < BigInt(other.header.timeNs) ? -1 : 1))
}

function findBackupDirectory(state: State): { fd: Fd; name: Name } | undefined {
  const made = state.find()
  return made && state.root.findDirectory(joinName(made.name, backupsName))
}

/** The directory of a transaction's backup. */
export function backupDirectoryOf(state: State, id: string): Name {
  return joinName(findBackupDirectory(state)?.name ?? '', id)
}

/** A displaced object that is kept. */
export interface Backup {
  /** The transaction that displaced it. */
  readonly id: string
  readonly kept: BackupStep
  /** The directory that it lies in, without symlinks: a transaction that restores it announces it. */
  readonly directory: Name
  readonly stat: Stat
}

/** Where what a step displaced is now; undefined when it is not kept any more. */
export function findBackup(state: State, id: string, kept: BackupStep): Backup | undefined {
  if (kept.kept === undefined) return undefined
  const { root } = state
  const candidates = [
    backupDirectoryOf(state, id),
    ...(kept.keptIn === undefined ? [] : [kept.keptIn]),
    parentName(kept.name),
  ]
  for (const candidate of candidates) {
    const directory = root.findDirectory(candidate)
    const stat = directory && root.kernel.findat(directory.fd, kept.kept)
    if (directory !== undefined && stat !== undefined) return { id, kept, directory: directory.name, stat }
  }
  return undefined
}

/** The object of no package that had a name before packages took it, if it is kept: the oldest of several. */
export function findUnowned(state: State, name: Name): Backup | undefined {
  for (const { header, steps } of listBackups(state)) {
    for (const step of steps) {
      const backup = step.isUnowned && step.name === name ? findBackup(state, header.id, step) : undefined
      if (backup !== undefined) return backup
    }
  }
  return undefined
}

/** What gives a kept object a name: the part of a step that says where it comes from and what it gets back. */
export function restoring(
  area: StagingArea,
  { kept, directory, stat }: Backup,
): Pick<PlaceStep, 'staging' | 'stagingDirectory' | 'identity' | 'restores'> {
  const stagingDirectory = area.numberOf(directory)
  const staging = kept.kept ?? ''
  const before = 'displaced' in kept.step ? kept.step.displaced : undefined
  const identity = identityOf(area.root.kernel, area.open(stagingDirectory).fd, staging) ?? ''
  const mode = before?.mode ?? stat.mode
  const restores = [...privilegesOf('', { kept, mode, stat }), ...(kept.privileges ?? [])]
  return { staging, stagingDirectory, identity, ...(restores.length > 0 ? { restores } : {}) }
}

/** What has to be set again on an object, at its place within what is restored, when it has its name back. */
export function privilegesOf(
  within: Name,
  { kept: { capability }, mode, stat }: { kept: BackupStep; mode: number; stat: Stat },
): Privileges[] {
  if (mode === stat.mode && capability === undefined) return []
  return [{ name: within, mode, ...(capability === undefined ? {} : { capability }) }]
}

/** The step that gives an object of no package its free name back; its directory and the backup's are announced. */
export function restoreStep(area: StagingArea, backup: Backup): PlaceStep {
  const { name } = backup.kept
  const place = { directory: area.numberOf(parentName(name)), name: name.slice(name.lastIndexOf('/') + 1) }
  return { kind: 'place', phase: 'payload', ...place, ...restoring(area, backup) }
}

/**
 * Forgets all but the last transactions that can be undone, with what only they kept. Idempotent, and outside of any
 * transaction: what it cannot remove is removed the next time.
 */
export function forgetBackups(state: State, kept: number): void {
  const all = listBackups(state)
  const undoable = all.filter(({ header }) => header.isUndoable)
  const going = new Set(undoable.slice(0, Math.max(0, undoable.length - kept)))
  for (const manifest of all)
    if (going.has(manifest) || !manifest.header.isUndoable) quietly(() => forget(state, manifest))
}

/** Objects first, so that what is left is still known; those of nobody stay, and with them the manifest. */
function forget(state: State, { header, steps }: Manifest): void {
  const { kernel } = state.root
  const leftOver = () => {}
  for (const step of steps) {
    const backup = step.isUnowned ? undefined : findBackup(state, header.id, step)
    const parent = backup && state.root.directory(backup.directory)
    if (backup && parent) removeObject({ kernel, leftOver }, parent, step.kept ?? '', backup.stat)
  }
  if (steps.some((step) => step.isUnowned && findBackup(state, header.id, step) !== undefined)) return
  const directory = findBackupDirectory(state)
  if (directory === undefined) return
  kernel.unlinkat(directory.fd, `${header.id}/${manifestName}`)
  state.root.forget(joinName(directory.name, header.id))
  kernel.unlinkat(directory.fd, header.id, AT_REMOVEDIR)
}
