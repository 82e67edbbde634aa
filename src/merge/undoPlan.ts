// Undoing a transaction that is over: is everything still as it left it, and which steps take it back?

import { applyAttributes, MetadataLostError, metadataPolicy, type Place, withDescriptor } from '../movefile/index.ts'
import {
  baseName,
  displayName,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  parentName,
  type Stat,
} from '../sys/index.ts'
import { type BackupStep, type DirectoryFacts, type Manifest, manifestName } from './backupManifest.ts'
import { type Backup, backupDirectoryOf, findBackup, findUnowned, privilegesOf, restoring } from './backups.ts'
import type { Obstacle } from './errors.ts'
import { identityOf } from './identity.ts'
import type { Owners } from './owners.ts'
import type { Privileges } from './privileges.ts'
import type { Root } from './root.ts'
import type { StagingArea } from './stagingArea.ts'
import { stampOf, stampsIn } from './stamps.ts'
import type { State } from './state.ts'
import { type DirectoryMetadata, type Step, seenOf } from './steps.ts'
import type { StagedStep } from './transaction.ts'

/** What a kept object, or a name that goes, has in common. */
interface Undone {
  readonly described: BackupStep
  readonly live: Stat | undefined
  readonly backup: Backup | undefined
}

/** A transaction, about to be undone. */
export class UndoPlan {
  readonly obstacles: Obstacle[] = []
  readonly #state: State
  readonly #root: Root
  readonly #kernel: Kernel
  readonly #manifest: Manifest
  readonly #owners: Pick<Owners, 'of'>
  readonly #undone: readonly Undone[]
  /** Names that objects of nobody had again by the transaction: undone, these are kept once more. */
  readonly #givenBack: ReadonlySet<Name>
  /** Directories that the transaction removed and that have to be made again, by name. */
  readonly #removed: ReadonlyMap<Name, Undone>

  constructor(state: State, manifest: Manifest, owners: Pick<Owners, 'of'>) {
    this.#state = state
    this.#owners = owners
    this.#root = state.root
    this.#kernel = state.root.kernel
    this.#manifest = manifest
    const { id } = manifest.header
    this.#undone = manifest.steps.map((described) => ({
      described,
      live: this.#root.find(described.name),
      backup: findBackup(state, id, described) ?? findKeptAgain(state, described),
    }))
    this.#givenBack = new Set(manifest.steps.filter(isGivenBack).map(({ name }) => name))
    this.#removed = new Map(this.#undone.filter(isGone).map((undone) => [undone.described.name, undone]))
    for (const undone of this.#undone) this.#check(undone)
  }

  /** Whether something is displaced that belongs to nobody. */
  get keepsUnowned(): boolean {
    return this.#givenBack.size > 0
  }

  /** Every directory in which something is undone, and those that hold what is kept. */
  get directories(): Name[] {
    const parents = this.#undone
      .map(({ described }) => parentName(described.name))
      .filter((name) => !this.#removed.has(name))
    const backups = this.#undone.flatMap(({ backup }) => (backup === undefined ? [] : [backup.directory]))
    const own = backupDirectoryOf(this.#state, this.#manifest.header.id)
    const emptied = this.#undone.filter(({ described }) => isNewInState(described))
    return [
      ...new Set([
        ...parents,
        ...emptied.map(({ described }) => parentName(parentName(described.name))),
        ...backups,
        own,
        parentName(own),
      ]),
    ]
  }

  #check(undone: Undone): void {
    const { described, live, backup } = undone
    const { name, step } = described
    const obstacle = (reason: string) => void this.obstacles.push({ name: displayName(name), reason })
    if (described.kept !== undefined && backup === undefined) obstacle('what it was before is not kept any more')
    if (step.kind === 'place' || step.kind === 'replace') {
      if (this.#stampAt(name) !== described.after)
        obstacle(live === undefined ? 'is not there any more' : 'was changed')
      else if (described.tree !== undefined) this.#checkTree(name, described.tree)
    }
    if (step.kind === 'remove' && live !== undefined && !this.#givenBack.has(name)) obstacle('was made anew')
    if (step.kind === 'removeDirectory' && live !== undefined && live.type !== 'directory') obstacle('was made anew')
    if (step.kind === 'changeDirectory' && !hasMetadata(live, step.after)) obstacle('was changed')
    const parent = parentName(name)
    if (!this.#removed.has(parent) && this.#root.findDirectory(parent)?.name !== parent)
      obstacle('its directory was changed')
    if (step.kind !== 'removeDirectory') this.#checkOwners(described)
  }

  /** What another package has by now, alone or together with this one's, is not this transaction's to take back. */
  #checkOwners({ name, tree = {} }: BackupStep): void {
    for (const each of [name, ...Object.keys(tree).map((within) => joinName(name, within))]) {
      const others = this.#owners.of(each).filter((owner) => !this.#manifest.header.packages.includes(owner))
      if (others.length > 0) this.obstacles.push({ name: displayName(each), reason: `belongs to ${others.join(', ')}` })
    }
  }

  #checkTree(top: Name, tree: Readonly<Record<Name, string>>): void {
    const now = stampsIn(this.#kernel, this.#place(top))
    for (const within of new Set([...Object.keys(now), ...Object.keys(tree)])) {
      if (now[within] === tree[within]) continue
      const reason =
        tree[within] === undefined
          ? 'was put there'
          : now[within] === undefined
            ? 'is not there any more'
            : 'was changed'
      this.obstacles.push({ name: displayName(joinName(top, within)), reason })
    }
  }

  #stampAt(name: Name): string | undefined {
    return this.#root.findDirectory(parentName(name)) && stampOf(this.#kernel, this.#place(name))
  }

  #place(name: Name): Place {
    return { directory: this.#root.directory(parentName(name)).fd, name: baseName(name) }
  }

  /** The steps that take everything back: names that come back, then those that change, then those that go. */
  stage(area: StagingArea): StagedStep[] {
    const order: readonly Step['kind'][] = ['changeDirectory', 'place', 'replace', 'remove', 'removeDirectory']
    const steps = this.#undone.toReversed().flatMap((undone) => this.#inverse(area, undone))
    const sorted = steps.toSorted((one, other) => order.indexOf(one.step.kind) - order.indexOf(other.step.kind))
    return [...sorted, ...this.#forget(area)]
  }

  #inverse(area: StagingArea, undone: Undone): StagedStep[] {
    const { described, live, backup } = undone
    const { step, name } = described
    if (this.#removed.has(parentName(name))) return [] // comes with the directory
    const at = { phase: step.phase, directory: area.numberOf(parentName(name)), name: baseName(name) }
    const members = { members: new Set(Object.keys(described.tree ?? {}).map((within) => joinName(name, within))) }
    if (step.kind === 'place' && live) {
      const gone: StagedStep = { step: { kind: 'remove', ...at, staging: area.newName() }, displaced: live, ...members }
      if (isNewInState(described)) return [gone, removalOf(area, parentName(name))]
      if (!isGivenBack(described)) return [gone]
      return this.#isReplacedAgain(name) ? [] : [{ ...gone, isUnowned: true }]
    }
    if (step.kind === 'remove' && live && backup) {
      return [{ step: { kind: 'replace', ...at, ...restoring(area, backup) }, displaced: live, isUnowned: true }]
    }
    if (step.kind === 'replace' && live && backup) {
      return [{ step: { kind: 'replace', ...at, ...restoring(area, backup) }, displaced: live, ...members }]
    }
    if (step.kind === 'remove' && backup) return [{ step: { kind: 'place', ...at, ...restoring(area, backup) } }]
    if (step.kind === 'changeDirectory') {
      return [{ step: { kind: 'changeDirectory', ...at, before: step.after, after: step.before } }]
    }
    return isGone(undone) ? [this.#remake(area, undone, at)] : []
  }

  /** Whether what was removed so that an object of nobody has the name takes its place again. */
  #isReplacedAgain(name: Name): boolean {
    return this.#undone.some(({ described }) => described.step.kind === 'remove' && described.name === name)
  }

  /** A directory that was removed is made again as a hidden subtree, with what was removed from it as links. */
  #remake(area: StagingArea, { described }: Undone, at: Pick<Step, 'phase' | 'directory' | 'name'>): StagedStep {
    const staging = area.newName()
    const { fd } = area.open(at.directory)
    const restores: Privileges[] = []
    this.#fill({ directory: fd, name: staging }, described, { top: described.name, restores })
    const identity = identityOf(this.#kernel, fd, staging) ?? ''
    return { step: { kind: 'place', ...at, staging, identity, ...(restores.length > 0 ? { restores } : {}) } }
  }

  #fill(place: Place, { name, removed }: BackupStep, made: { top: Name; restores: Privileges[] }): void {
    const kernel = this.#kernel
    kernel.mkdirat(place.directory, place.name, 0o700)
    const fd = kernel.openat(place.directory, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    withDescriptor(kernel, fd, () => {
      for (const { described, backup } of this.#undone) {
        if (parentName(described.name) !== name) continue
        const inside = { directory: fd, name: baseName(described.name) }
        if (this.#removed.has(described.name)) this.#fill(inside, described, made)
        else if (backup !== undefined) this.#link(backup, inside, made)
      }
      if (removed !== undefined) restoreDirectory(kernel, fd, name, removed)
    })
  }

  #link(backup: Backup, to: Place, { top, restores }: { top: Name; restores: Privileges[] }): void {
    const from = this.#root.directory(backup.directory)
    this.#kernel.linkat(from.fd, backup.kept.kept ?? '', to.directory, to.name)
    const mode =
      'displaced' in backup.kept.step ? (backup.kept.step.displaced?.mode ?? backup.stat.mode) : backup.stat.mode
    const within = backup.kept.name.slice(top.length + 1)
    for (const privileges of privilegesOf(within, { ...backup, mode })) restores.push(privileges)
  }

  /** The backup goes with the records: what was linked out of it, its manifest, its directory. */
  #forget(area: StagingArea): StagedStep[] {
    const own = backupDirectoryOf(this.#state, this.#manifest.header.id)
    const remove = (directory: Name, name: Name): StagedStep => {
      const at = { phase: 'record' as const, directory: area.numberOf(directory), name, staging: area.newName() }
      return { step: { kind: 'remove', ...at, keepsSetId: true } } // it is linked to a name that lives
    }
    const linked = this.#undone
      .filter(({ described }) => this.#removed.has(parentName(described.name)))
      .flatMap(({ backup }) => (backup === undefined ? [] : [remove(backup.directory, backup.kept.kept ?? '')]))
    return [...linked, remove(own, manifestName), removalOf(area, own)]
  }
}

/** A file that the state did not have: with it goes its directory, if that is empty then. */
function isNewInState({ step }: BackupStep): boolean {
  return step.kind === 'place' && step.phase === 'record'
}

/** An object of nobody that had its name again: only such objects are placed out of a backup. */
function isGivenBack({ step }: BackupStep): boolean {
  return step.kind === 'place' && step.stagingDirectory !== undefined
}

/** What belonged to nobody, was given back, and is kept by the undo of that. */
function findKeptAgain(state: State, { isUnowned, name, step }: BackupStep): Backup | undefined {
  const backup = isUnowned ? findUnowned(state, name) : undefined
  const before = 'displaced' in step ? step.displaced : undefined
  if (backup === undefined || before === undefined) return undefined
  const { ino, size, mtimeNs } = seenOf(backup.stat)
  return ino === before.ino && size === before.size && mtimeNs === before.mtimeNs ? backup : undefined
}

/** A directory of the state goes when it is empty: a package's without its record, a backup's. */
function removalOf(area: StagingArea, name: Name): StagedStep {
  const at = { directory: area.numberOf(parentName(name)), name: baseName(name) }
  return { step: { kind: 'removeDirectory', phase: 'record', ...at } }
}

/** Whether a directory that the transaction removed has to be made again. */
function isGone({ described, live }: Undone): boolean {
  return described.step.kind === 'removeDirectory' && live === undefined
}

function hasMetadata(live: Stat | undefined, { uid, gid, mode }: DirectoryMetadata): boolean {
  return live?.type === 'directory' && live.uid === uid && live.gid === gid && live.mode === mode
}

const everything = metadataPolicy({ excludeXattrs: [], selinux: 'preserve', inodeFlags: true })

/** @throws {MetadataLostError} */
function restoreDirectory(kernel: Kernel, fd: number, name: Name, { mtimeNs, xattrs, ...facts }: DirectoryFacts): void {
  const values = xattrs.map(([attribute, value]) => ({ name: attribute, value: Buffer.from(value, 'base64') }))
  const attributes = { ...facts, atimeNs: BigInt(mtimeNs), mtimeNs: BigInt(mtimeNs), xattrs: values }
  const lost = applyAttributes(kernel, { fd, type: 'directory' }, attributes, everything)
  if (lost.length > 0) throw new MetadataLostError(displayName(name), lost)
}
