// A package's record as part of its transaction: staged, placed or replaced, or taken away.

import { type Place, withDescriptor } from '../movefile/index.ts'
import { baseName, type Kernel, type Name, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, parentName } from '../sys/index.ts'
import { basesFile } from './config/bases.ts'
import { identityOf } from './identity.ts'
import type { Directory, Root } from './root.ts'
import type { StagingArea } from './stagingArea.ts'
import { type State, writeWhole } from './state.ts'
import type { Step } from './steps.ts'
import type { StagedStep } from './transaction.ts'

/** Stages a package's record beside the one that it replaces. */
export function stageRecord(root: Root, area: StagingArea, directory: Directory, bytes: Iterable<Buffer>): StagedStep {
  return stageStateFile(root, area, directory, { name: 'record', mode: 0o644 }, bytes)
}

/** Stages a file of the state beside the one that it replaces. */
export function stageStateFile(
  root: Root,
  area: StagingArea,
  directory: Directory,
  { name, mode }: { readonly name: Name; readonly mode: number },
  bytes: Iterable<Buffer>,
): StagedStep {
  const { kernel } = root
  const live = kernel.findat(directory.fd, name)
  const staging = area.newName()
  writeNewFile(kernel, { directory: directory.fd, name: staging }, mode, bytes)
  const step: Step = {
    kind: live === undefined ? 'place' : 'replace',
    phase: 'record',
    directory: area.numberOf(directory.name),
    name,
    staging,
    identity: identityOf(kernel, directory.fd, staging) ?? '',
  }
  return { step }
}

const createFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW

function writeNewFile(kernel: Kernel, place: Place, mode: number, bytes: Iterable<Buffer>): void {
  withDescriptor(kernel, kernel.openat(place.directory, place.name, createFlags, 0o600), (fd) => {
    for (const chunk of bytes) writeWhole(kernel, fd, chunk)
    kernel.fchmod(fd, mode)
  })
}

/** The step that takes a file of the state away, if it is there. */
export function removeStateFile(root: Root, area: StagingArea, directory: Directory, name: Name): StagedStep[] {
  if (root.kernel.findat(directory.fd, name) === undefined) return []
  const inDirectory = { phase: 'record' as const, directory: area.numberOf(directory.name) }
  return [{ step: { ...inDirectory, kind: 'remove', name, staging: area.newName() } }]
}

/** The directory of a package's record and the one above it, without symlinks. */
export function recordDirectories({ root, state }: { root: Root; state: State }, packageName: string): [Name, Name] {
  const { name } = root.directory(state.packageDirectory(packageName))
  return [name, parentName(name)]
}

/** The steps that take a package's record away. */
export function forgetPackage(
  session: { root: Root; state: State },
  area: StagingArea,
  packageName: string,
): StagedStep[] {
  const [directory, parent] = recordDirectories(session, packageName)
  const inRecords = { phase: 'record' as const, directory: area.numberOf(directory) }
  return [
    { step: { ...inRecords, kind: 'remove', name: 'record', staging: area.newName() } },
    ...removeStateFile(session.root, area, session.root.directory(directory), basesFile),
    { step: { ...inRecords, kind: 'removeDirectory', directory: area.numberOf(parent), name: baseName(directory) } },
  ]
}
