// Listing updates, comparing and merging them with their files: only read, synchronous, for the engine's thread.

import { type Place, withDescriptor } from '../../movefile/index.ts'
import type { EngineContext } from '../../sys/engineThread.ts'
import {
  baseName,
  displayName,
  isSyscallError,
  type Name,
  nameBytes,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  parentName,
  type Stat,
  toName,
} from '../../sys/index.ts'
import { InvalidArgumentError } from '../errors.ts'
import { nameInside, resolvedInside } from '../nameInside.ts'
import { reading, type Session } from '../session.ts'
import { readWhole } from '../state.ts'
import { readBases } from './bases.ts'
import { NoUpdateError } from './configErrors.ts'
import type {
  ConfigUpdate,
  ConfigUpdatesOptions,
  MergedUpdate,
  MergeUpdateOptions,
  SeenUpdate,
  UpdateContents,
  UpdateDifference,
  UpdateOptions,
} from './configOptions.ts'
import { describeDifference, type Side } from './describeDifference.ts'
import { type FoundUpdate, findUpdates, isAskedFor } from './findUpdates.ts'
import { leftDirectory } from './left.ts'
import { mergeTexts } from './threeWay.ts'
import { type Version, versionOf } from './versions.ts'

/** Larger files are neither compared nor merged by lines. Bytes. */
const largestText = 16 * 1024 * 1024

/** The updates that wait. */
export function listUpdates(engine: EngineContext, options: ConfigUpdatesOptions): ConfigUpdate[] {
  return reading(engine, options, (session) =>
    findAsked(session, options).map(({ liveName, live, update, isNewest, claims }) => ({
      name: displayName(liveName),
      update: displayName(update.liveName),
      bytes: nameBytes(update.liveName).toString('base64'),
      packages: packagesOf({ claims }),
      ...(live === undefined ? {} : { live: live.type }),
      type: update.stat.type,
      isNewest,
    })),
  )
}

function findAsked(session: Session, { names = [], resolvable = false }: ConfigUpdatesOptions): FoundUpdate[] {
  const asked = names.map((given) => namesOfPath(session, given))
  const found = findUpdates(session, asked.flat())
  if (!resolvable) return found
  const missing = asked.find((spellings) => !found.some((update) => isAskedFor(update, spellings)))
  if (missing !== undefined) throw new NoUpdateError(missing[0])
  return found.filter(({ isNewest, update }) => isNewest || asked.flat().includes(update.liveName))
}

/** Whose file an update is for. */
export function packagesOf({ claims }: Pick<FoundUpdate, 'claims'>): string[] {
  return [...new Set(claims.flatMap(({ packageName }) => (packageName === undefined ? [] : [packageName])))].sort()
}

/** How an update differs from its file. */
export function diffUpdate(engine: EngineContext, options: UpdateOptions): UpdateDifference {
  return reading(engine, options, (session) => {
    const found = findUpdate(session, options)
    const update = sideOf(session, found.update.liveName, found.update.stat)
    const text = describeDifference(sideOf(session, found.liveName, found.live), update)
    return { ...namesOf(found), text: nameBytes(text), ...seenIn(session, found) }
  })
}

/** A live file and its update, merged over the version that the live file comes from. */
export function mergeUpdate(engine: EngineContext, options: MergeUpdateOptions): MergedUpdate {
  return reading(engine, options, (session) => {
    const found = findUpdate(session, options)
    const live = textOf(session, found.liveName, found.live)
    const update = textOf(session, found.update.liveName, found.update.stat)
    const base = baseOf(session, found)?.toString('latin1')
    const texts = { live, update, ...(base === undefined ? {} : { base }) }
    const { name, update: label } = namesOf(found)
    const { text, conflicts } = mergeTexts(texts, { live: name, update: label }, options.favour)
    const contents = nameBytes(text)
    return { name, update: label, contents, conflicts, hasBase: base !== undefined, ...seenIn(session, found) }
  })
}

/** An update's contents. */
export function readUpdate(engine: EngineContext, options: UpdateOptions): UpdateContents {
  return reading(engine, options, (session) => {
    const found = findUpdate(session, options)
    const contents = nameBytes(textOf(session, found.update.liveName, found.update.stat))
    return { ...namesOf(found), contents, ...seenIn(session, found) }
  })
}

/** The update of that name, or the newest of the file of that name. @throws {NoUpdateError} */
export function findUpdate(session: Session, { update }: UpdateOptions): FoundUpdate {
  const asked = namesOfPath(session, update)
  const isOne = (name: Name) => asked.includes(name)
  const all = findUpdates(session, asked).filter(
    ({ liveName, update: { liveName: own }, claims }) =>
      isOne(own) || isOne(liveName) || claims.some(({ entry }) => isOne(entry.name)),
  )
  const found = all.find(({ update: { liveName } }) => isOne(liveName)) ?? all.find(({ isNewest }) => isNewest)
  if (found === undefined) throw new NoUpdateError(asked[0])
  return found
}

/** A path as it is written, and without symlinks: records have the one or the other. */
export function namesOfPath({ root }: Session, given: string | Uint8Array): [written: Name, resolved: Name] {
  const name = nameInside(root, toName(given))
  return [name, resolvedInside(root, name)]
}

/** The names of an update and its file, as they are told. */
export function namesOf({ liveName, update }: FoundUpdate): { name: string; update: string } {
  return { name: displayName(liveName), update: displayName(update.liveName) }
}

/** Where a name is. */
export function placeOf({ root }: Pick<Session, 'root'>, liveName: Name): Place {
  return { directory: root.directory(parentName(liveName)).fd, name: baseName(liveName) }
}

/** What an object is, told by its contents; of what is not there, ''. */
export function versionAt(
  session: Pick<Session, 'root' | 'comparer'>,
  liveName: Name,
  stat: Stat | undefined,
): Version {
  if (stat === undefined) return ''
  const place = placeOf(session, liveName)
  const target =
    stat.type === 'symlink' ? { target: session.root.kernel.readlinkat(place.directory, place.name) } : undefined
  const sha256 = stat.type === 'file' ? session.comparer.digest(place) : ''
  return versionOf({ type: stat.type, rdev: stat.rdev, ...target }, sha256)
}

/** The live file and the update at this moment. */
export function seenIn(session: Session, { liveName, live, update }: FoundUpdate): SeenUpdate {
  return {
    expectedLive: versionAt(session, liveName, live),
    expectedUpdate: versionAt(session, update.liveName, update.stat),
  }
}

/** The contents that the live file comes from; an ordinary user may not read them. */
function baseOf(session: Session, { claims }: FoundUpdate): Buffer | undefined {
  for (const { packageName, entry } of claims) {
    const digest = entry.protection?.base ?? entry.sha256
    const directory =
      packageName === undefined ? leftDirectory(session.state) : session.state.packageDirectory(packageName)
    const found = digest === undefined ? undefined : readBasesIfAllowed(session, directory).get(digest)
    if (found !== undefined) return found
  }
  return undefined
}

function readBasesIfAllowed({ root }: Session, directory: Name): ReadonlyMap<string, Buffer> {
  try {
    return readBases(root, directory)
  } catch (error) {
    if (isSyscallError(error, 'EACCES')) return new Map()
    throw error
  }
}

function sideOf(session: Session, liveName: Name, stat: Stat | undefined): Side {
  const label = displayName(liveName)
  if (stat === undefined) return { label: '/dev/null' }
  const place = placeOf(session, liveName)
  if (stat.type === 'symlink')
    return { label, stat, target: session.root.kernel.readlinkat(place.directory, place.name) }
  if (stat.type !== 'file' || stat.size > largestText) return { label, stat }
  return { label, stat, text: readText(session, place) }
}

/** @throws {InvalidArgumentError} for what is no text of a size that anybody edits */
function textOf(session: Session, liveName: Name, stat: Stat | undefined): string {
  if (stat === undefined) return ''
  if (stat.type !== 'file' || stat.size > largestText) {
    const what = stat.type === 'file' ? 'too large' : `a ${stat.type}`
    throw new InvalidArgumentError(`'${displayName(liveName)}' cannot be merged or edited: it is ${what}`, {
      hint: 'Accept or reject the update.',
    })
  }
  return readText(session, placeOf(session, liveName))
}

/** A file's contents, one byte a character; undefined of what is no file, or too large to be edited. */
export function readFileText(session: Session, { liveName, stat }: FoundUpdate['update']): string | undefined {
  if (stat.type !== 'file' || stat.size > largestText) return undefined
  return readText(session, placeOf(session, liveName))
}

function readText({ kernel }: Session, { directory, name }: Place): string {
  const fd = kernel.openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  return withDescriptor(kernel, fd, () => readWhole(kernel, fd)).toString('latin1')
}
