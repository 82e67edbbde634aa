// What the caller of an engine and the thread that it runs in send each other.

import type { Fact, FactKind } from './diagnostics.ts'
import type { PackedError } from './engineErrors.ts'
import type { ShareCall } from './engineShares.ts'

/** What the thread is sent. */
export interface EngineCall {
  readonly name: string
  readonly argument: unknown
  readonly cancel: SharedArrayBuffer
  /** Where answers are put; absent where nobody answers. */
  readonly answer?: SharedArrayBuffer
  /** Whether somebody listens to facts about copies. */
  readonly observed: boolean
  /** Present when this is one thread's share of another engine's work. */
  readonly share?: ShareCall
}

/** What the thread sends back. */
export type EngineMessage =
  | { readonly kind: 'progress'; readonly progress: unknown }
  | { readonly kind: 'question'; readonly question: unknown }
  | { readonly kind: 'facts'; readonly facts: readonly [FactKind, Fact][] }
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly error: PackedError }
