// Listing, asking for owners, recovering: synchronous, for the engine's thread.

import { createRequire } from 'node:module'
import type { EngineContext } from '../sys/engineThread.ts'
import { displayName, type Name, nameBytes, toName } from '../sys/index.ts'
import { removeAbandonedTrees } from './archive/unpackedTree.ts'
import { InvalidArgumentError } from './errors.ts'
import { withoutLineEnds } from './lineEnds.ts'
import { eachLiveName } from './liveNames.ts'
import { checkMark } from './mark.ts'
import { nameInside, resolvedInside } from './nameInside.ts'
import type { ListedEntry, OwnedName, RecoverOptions } from './options.ts'
import { withOwners } from './owners.ts'
import { checkRecordedName } from './packageName.ts'
import { recordBytes } from './record.ts'
import { type RecoveryReport, recoverRoot } from './recover.ts'
import { refreshIndex } from './refreshIndex.ts'
import type { Root } from './root.ts'
import { scanRoot } from './scan.ts'
import { inSession, patienceOf, type RootOptions, reading } from './session.ts'
import { Spellings } from './spellings.ts'
import { lockRoot, type State } from './state.ts'

const require: NodeJS.Require = createRequire(import.meta.url)

/** The packages of a root, or the entries of one. */
export function listPackages(engine: EngineContext, options: RootOptions): string[] {
  return reading(engine, options, ({ state }) => state.packageNames())
}

/** What a package owns, in image order. */
export function listEntries(engine: EngineContext, options: RootOptions & { readonly package: string }): ListedEntry[] {
  return reading(engine, options, ({ state }) =>
    state.record(checkRecordedName(options.package)).entries.map(({ name, type, size }) => ({
      name: displayName(name),
      bytes: nameBytes(name).toString('base64'),
      type,
      size,
    })),
  )
}

/** The record itself, as it is stored. */
export function readRecordText(engine: EngineContext, options: RootOptions & { readonly package: string }): Uint8Array {
  return reading(engine, options, ({ state }) => {
    const record = state.record(checkRecordedName(options.package))
    return Buffer.concat([...recordBytes(record)])
  })
}

/**
 * Who owns each of some names, also as a record spells one where its directory folds case; one that nobody owns and that
 * is a glob pattern stands for all recorded names that it matches.
 */
export function findOwners(
  engine: EngineContext,
  options: RootOptions & { readonly names: readonly (string | Uint8Array)[] },
): OwnedName[] {
  return reading(engine, options, ({ state, root }) =>
    withOwners(state, 'reading', (owners) => {
      const spellings = new Spellings(root, owners)
      return options.names.flatMap((given): OwnedName[] => {
        const name = nameInside(root, toName(given))
        const resolved = resolvedInside(root, name)
        const recorded = [name, resolved, ...spellings.ofName(resolved)]
        const packages = [...new Set(recorded.flatMap((each) => owners.of(each)))].sort()
        if (packages.length > 0 || !/[*?[{]/.test(name)) return [{ name: displayName(name), packages }]
        const matched = matchingOwners(engine, state, name)
        return matched.length > 0 ? matched : [{ name: displayName(name), packages }]
      })
    }),
  )
}

/** Every recorded name that matches, in byte order; this reads the names of all records. */
function matchingOwners({ cancel }: EngineContext, state: State, pattern: Name): OwnedName[] {
  const { matcher } = require('micromatch') as typeof import('micromatch')
  const matches = matcher(withoutLineEnds(pattern), { dot: true })
  const eachName = eachLiveName(state)
  const found = new Map<Name, Set<string>>()
  for (const packageName of state.packageNames()) {
    cancel.check()
    eachName(packageName, (name) => {
      if (matches(withoutLineEnds(name))) found.set(name, (found.get(name) ?? new Set()).add(packageName))
    })
  }
  return [...found]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, packages]) => ({ name: displayName(name), packages: [...packages].sort() }))
}

/** Brings a root out of a transaction that was left behind, and removes what was unpacked for one. */
export function recoverRootNow(engine: EngineContext, options: RecoverOptions): RecoveryReport {
  return inSession(engine, options, {}, ({ root, state }) => {
    checkMark(state)
    if (state.find() === undefined && !options.scan) return { action: 'nothing', packages: [], leftOvers: [] }
    const { scan = false } = options
    const directories =
      typeof scan === 'boolean' ? undefined : scan.map((given) => directoryInside(root, toName(given)))
    lockRoot(root, state, patienceOf(engine, options))
    const report = recoverRoot(state, options.undo ?? false)
    const made = state.find()
    if (made !== undefined) removeAbandonedTrees(root.kernel, made)
    refreshIndex(state)
    if (scan === false) return report
    return { ...report, scan: scanRoot(state, { ...(directories && { directories }), cancel: engine.cancel }) }
  })
}

/** Asked before anything is changed. @throws {InvalidArgumentError} */
function directoryInside(root: Root, path: Name): Name {
  const name = nameInside(root, path)
  if (root.findDirectory(name) !== undefined) return name
  throw new InvalidArgumentError(`'${displayName(path)}' is no directory of the root`)
}
