// The steps that commit what was staged, each from what is known of its object.

import { type FinalFlags, finalFlagsOf } from '../movefile/index.ts'
import { baseName, type Name, parentName, type Stat } from '../sys/index.ts'
import type { EntryFacts } from './entry.ts'
import { identityOf } from './identity.ts'
import type { KeptInodes } from './keptInodes.ts'
import type { MemberListing } from './memberListing.ts'
import { commitRank, type PlannedEntry } from './plan.ts'
import type { Root } from './root.ts'
import type { StagingArea } from './stagingArea.ts'
import type { DirectoryMetadata, Step } from './steps.ts'
import type { ToMake } from './toMake.ts'
import type { StagedStep } from './transaction.ts'

/** Collects what waits for its step. */
export class StagedSteps {
  readonly #input: { readonly root: Root; readonly kept: KeptInodes }
  readonly #area: StagingArea
  /** Objects beside their live names. */
  readonly #waiting: ToMake[] = []
  readonly #changes: StagedStep[] = []
  /** Tops (see topOf) under which something is, or will be, that has to be given back. */
  readonly #taken = new Set<string>()
  readonly #identities = new Map<Name, string>()
  /** Flags that are set when everything is in place, by top. */
  readonly #finalFlags = new Map<string, FinalFlags[]>()

  constructor(input: { readonly root: Root; readonly kept: KeptInodes }, area: StagingArea) {
    this.#input = input
    this.#area = area
  }

  /** An object that gets its name by a step of its own. */
  add(toMake: ToMake): void {
    this.#waiting.push(toMake)
  }

  /** What has this staging name, or is within it, was taken out of an image. */
  markTaken(stagedName: Name): void {
    this.#taken.add(this.#topOf(stagedName).key)
  }

  /** What was learned of an object when it was staged. */
  addFacts(stagedName: Name, facts: { identity?: string; finalFlags?: number | undefined }): void {
    if (facts.identity !== undefined) this.#identities.set(stagedName, facts.identity)
    if (facts.finalFlags === undefined) return
    const { key, within } = this.#topOf(stagedName)
    for (const flags of finalFlagsOf(within, facts.finalFlags)) {
      const known = this.#finalFlags.get(key)
      if (known === undefined) this.#finalFlags.set(key, [flags])
      else known.push(flags)
    }
  }

  /** A live directory takes the new version's owner and mode. @returns what it will be */
  addDirectoryChange({ liveName }: PlannedEntry, live: Stat, entry: EntryFacts): DirectoryMetadata {
    const metadata = ({ uid, gid, mode }: DirectoryMetadata) => ({ uid, gid, mode })
    const step: Step = {
      kind: 'changeDirectory',
      phase: 'payload',
      directory: this.#area.numberOf(parentName(liveName)),
      name: baseName(liveName),
      before: metadata(live),
      after: metadata(entry),
    }
    this.#changes.push({ step })
    return step.after
  }

  /** Staging names of directories that get their names by a step of their own. */
  get directories(): Name[] {
    return this.#waiting.filter(isDirectory).map(({ stagedName }) => stagedName)
  }

  /**
   * New names, then replacements, and symlinks after what they point to.
   *
   * @param listing  lists those directories meanwhile
   */
  all(listing?: MemberListing): StagedStep[] {
    const placed = this.#waiting
      .toSorted((a, b) => commitRank(a.planned) - commitRank(b.planned))
      .map((waiting) => {
        const listed = () => listing?.of(waiting.stagedName)
        return { ...this.#stepOf(waiting), ...(isDirectory(waiting) && { listed }) }
      })
    return [...this.#changes, ...placed]
  }

  #stepOf({ planned: { isUnowned, live, liveName, members }, stagedName }: ToMake): StagedStep {
    const { root, kept } = this.#input
    const name = baseName(stagedName)
    const { key } = this.#topOf(stagedName)
    const finalFlags = this.#finalFlags.get(key)
    const identify = () => identityOf(root.kernel, root.directory(parentName(stagedName)).fd, name) ?? ''
    const common = {
      phase: 'payload' as const,
      directory: this.#area.numberOf(parentName(liveName)),
      name: baseName(liveName),
      staging: name,
      identity: this.#identities.get(stagedName) ?? identify(),
      ...(finalFlags && { finalFlags }),
    }
    const isTaken = this.#taken.has(key)
    if (live === undefined) return { step: { kind: 'place', ...common, ...(isTaken ? { isTaken } : {}) } }
    const keepsSetId = kept.has(live, members)
    const step: Step = { kind: 'replace', ...common, ...(keepsSetId ? { keepsSetId } : {}) }
    return { step, displaced: live, ...(members && { members }), ...(isUnowned && { isUnowned }) }
  }

  /** What is staged as one, the object under a hidden name, and what of it a name is. */
  #topOf(stagedName: Name): { key: string; within: Name } {
    const { directory, below } = this.#area.locate(stagedName)
    const slash = below.indexOf('/')
    if (slash < 0) return { key: `${directory}/${below}`, within: '' }
    return { key: `${directory}/${below.slice(0, slash)}`, within: below.slice(slash + 1) }
  }
}

function isDirectory({ planned }: ToMake): boolean {
  return planned.entry.type === 'directory'
}
