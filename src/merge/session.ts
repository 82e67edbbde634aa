// What every operation on a root begins with: the root, its state, and (for changes) the lock and recovery.

import { type MetadataOptions, Mover, metadataPolicy } from '../movefile/index.ts'
import { type CancelFlag, displayName, type Kernel, type Name, toName } from '../sys/index.ts'
import { RecoveryPendingError } from './errors.ts'
import { Comparer } from './live.ts'
import { checkMark } from './mark.ts'
import { componentsOf } from './nameInside.ts'
import { pendingTransaction, type RecoveryReport, recoverRoot } from './recover.ts'
import { Root } from './root.ts'
import { defaultState, type LockPatience, lockRoot, readHolder, State } from './state.ts'

/** Options of every operation on a root. */
export interface RootOptions {
  /** The directory that is merged into. */
  readonly root: string | Uint8Array
  /** Where the state is inside the root; `var/lib/rootmerge` by default. */
  readonly state?: string | Uint8Array
  /** Seconds to wait for another writer; 0 by default. */
  readonly lockWait?: number
}

/** What an operation works with. */
export interface Session {
  readonly kernel: Kernel
  readonly root: Root
  readonly state: State
  readonly mover: Mover
  readonly comparer: Comparer
}

/** What the engine's thread gives to an operation. */
export interface EngineParts {
  readonly kernel: Kernel
  readonly cancel: CancelFlag
  readonly report?: (progress: unknown) => void
}

/** Whether an operation only reads, or changes the root. */
export type Access = 'reading' | 'changing'

/** Runs an operation that only reads; it refuses while a transaction is pending, since names are mixed then. */
export function reading<T>(
  engine: EngineParts,
  options: RootOptions & MetadataOptions,
  operation: (session: Session) => T,
): T {
  return inSession(engine, options, options, (session) => {
    checkMark(session.state)
    if (pendingTransaction(session.state) !== undefined) {
      const { root, state } = session
      throw new RecoveryPendingError(
        root.path,
        `what it says of itself may be mixed; ${readHolder(root, state)} began it`,
        {
          hint: `Wait until that ends. If it has died, run: rootmerge recover --root ${displayName(root.path)}`,
        },
      )
    }
    return operation(session)
  })
}

/** Runs an operation that changes the root: as its only writer, after any transaction that was left behind is over. */
export function changing<T>(
  engine: EngineParts,
  options: RootOptions & MetadataOptions,
  operation: (session: Session, recovered: RecoveryReport) => T,
): T {
  return inSession(engine, options, options, (session) => {
    lockRoot(session.root, session.state, patienceOf(engine, options))
    return operation(session, recoverRoot(session.state))
  })
}

/** How an operation waits for another writer: until its time is over or it is cancelled. */
export function patienceOf({ cancel, report }: EngineParts, { lockWait }: RootOptions): LockPatience {
  const onWait = (holder: string) => report?.({ phase: 'wait', entries: 0, bytes: 0, holder })
  return { seconds: lockWait ?? 0, cancel, onWait }
}

/** Opens a root for one operation and closes everything afterwards. */
export function inSession<T>(
  { kernel, cancel }: EngineParts,
  options: RootOptions,
  metadata: MetadataOptions,
  operation: (session: Session) => T,
): T {
  const root = new Root(kernel, toName(options.root))
  try {
    const state = new State(root, stateName(options))
    const mover = new Mover(kernel, { policy: metadataPolicy(metadata), cancel })
    const comparer = new Comparer(kernel, mover.policy, () => cancel.check())
    return operation({ kernel, root, state, mover, comparer })
  } finally {
    root.close()
  }
}

/** Where the state is, by the options: a name relative to the root. */
export function stateName({ state }: RootOptions): Name {
  return state === undefined ? defaultState : componentsOf(toName(state)).join('/')
}
