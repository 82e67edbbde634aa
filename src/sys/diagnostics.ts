// What happens inside, for whoever listens: node:diagnostics_channel, one channel for each kind of fact.
//
// A channel belongs to its thread, and the engine runs in others: what happens there is sent to the caller's thread in
// batches, and published there. Nothing is sent, and nothing is made to be sent, while nobody subscribes.

import { type Channel, channel } from 'node:diagnostics_channel'

/**
 * phase    an operation enters a phase
 * copy     the contents of a file came over: by which methods
 * decline  a method did not take (all of) a copy: why
 */
export type FactKind = 'phase' | 'copy' | 'decline'

/** What is published, beside its kind. Names are escaped for reading. */
export type Fact = Readonly<Record<string, unknown>>

/** The channels: `rootmerge:phase`, `rootmerge:copy`, `rootmerge:decline`. */
export const channels: Readonly<Record<FactKind, Channel>> = {
  phase: channel('rootmerge:phase'),
  copy: channel('rootmerge:copy'),
  decline: channel('rootmerge:decline'),
}

/** Whether anybody in this thread listens to one of these kinds. */
export function isObserved(...kinds: readonly FactKind[]): boolean {
  return kinds.some((kind) => channels[kind].hasSubscribers)
}

/** Tells this thread's listeners. */
export function publish(kind: FactKind, fact: Fact): void {
  channels[kind].publish(fact)
}

/** What a copy's report says that a fact needs. */
export interface CopyFacts {
  readonly bytes: number
  readonly holes: number
  readonly bytesByMethod: Readonly<Record<string, number | undefined>>
  readonly declined?: readonly { readonly method: string; readonly code: string }[]
}

/** A copy as facts: itself, and each method that declined. */
export function factsOfCopy(name: string, copy: CopyFacts): [FactKind, Fact][] {
  const { bytes, holes, bytesByMethod, declined = [] } = copy
  return [
    ...declined.map(({ method, code }): [FactKind, Fact] => ['decline', { name, method, code }]),
    ['copy', { name, bytes, holes, bytesByMethod, declined }],
  ]
}

/** Collects facts in the engine's thread, and sends them on in batches. */
export class FactCollector {
  readonly #send: (facts: readonly [FactKind, Fact][]) => void
  #facts: [FactKind, Fact][] = []

  constructor(send: (facts: readonly [FactKind, Fact][]) => void) {
    this.#send = send
  }

  add(name: string, copy: CopyFacts): void {
    for (const fact of factsOfCopy(name, copy)) this.#facts.push(fact)
    if (this.#facts.length >= mostWaiting) this.flush()
  }

  flush(): void {
    if (this.#facts.length === 0) return
    this.#send(this.#facts)
    this.#facts = []
  }
}

/** Facts that wait at most, before they are sent. */
const mostWaiting = 256
