// Live files that go to save names (`.rpmsave`, `.pacsave`, `.dpkg-old`, …) when something else gets their name.
//
// A save name that is taken already is not overwritten: what is there moves on to the same name with `.1`, as pacman
// does, and so on; a directory, and what a package has there, is passed over. Everything is copied, staged and placed like
// what an image brings, and so is part of the transaction.

import type { Mover, Place } from '../../movefile/index.ts'
import { baseName, joinName, type Name, parentName, type Stat } from '../../sys/index.ts'
import { identityOf } from '../identity.ts'
import type { Root } from '../root.ts'
import type { StagingArea } from '../stagingArea.ts'
import type { StagedStep } from '../transaction.ts'
import { withEnding } from './updateNames.ts'

/** A live object that gets another name in its directory too. */
export interface Save {
  /** Whose name it loses. */
  readonly packageName: string
  /** From the root, without symlinks. */
  readonly from: Name
  readonly live: Stat
  readonly to: Name
  /** What has that name now, and is saved elsewhere. */
  readonly displaced?: Stat
}

/** Whether an image of the call brings a name, or a package owns it. */
export type IsTaken = (name: Name) => boolean

/** The saves that keep a live object under its name with an ending; the last one is of the object itself. */
export function planSaves(
  { root, isTaken }: { readonly root: Root; readonly isTaken: IsTaken },
  { packageName, liveName, live }: { readonly packageName: string; readonly liveName: Name; readonly live: Stat },
  ending: string,
): Save[] {
  const directory = parentName(liveName)
  const saves: Save[] = []
  let from = { name: liveName, live }
  for (let shift = 0; ; shift++) {
    const to = joinName(directory, withEnding(baseName(liveName), shift === 0 ? ending : `${ending}.${shift}`))
    const displaced = root.find(to)
    if (displaced?.type === 'directory' || isTaken(to)) continue
    saves.push({ packageName, from: from.name, live: from.live, to, ...(displaced === undefined ? {} : { displaced }) })
    if (displaced === undefined) return saves.reverse()
    from = { name: to, live: displaced }
  }
}

/** Stages copies of what is saved. @throws {SyscallError, SourceChangedError} */
export function stageSaves(
  { root, mover }: { readonly root: Root; readonly mover: Mover },
  area: StagingArea,
  saves: readonly Save[],
): StagedStep[] {
  const placeOf = (name: Name): Place => ({ directory: root.directory(parentName(name)).fd, name: baseName(name) })
  return saves.map(({ from, live, to, displaced }) => {
    const staging = area.newName()
    const { fd } = root.directory(parentName(to))
    mover.stageCopy(placeOf(from), { directory: fd, name: staging }, { stat: live })
    const common = {
      phase: 'payload' as const,
      directory: area.numberOf(parentName(to)),
      name: baseName(to),
      staging,
      identity: identityOf(root.kernel, fd, staging) ?? '',
    }
    if (displaced === undefined) return { step: { kind: 'place' as const, ...common } }
    return { step: { kind: 'replace' as const, ...common }, displaced }
  })
}
