// Where an operation is, told to whoever watches: at most ten times a second.

import type { EngineContext } from '../sys/engineThread.ts'
import type { MergeProgress } from './options.ts'

const millisecondsBetweenReports = 100

/** Counts entries and bytes, and reports them. */
export class ProgressMeter {
  readonly #report: (progress: MergeProgress) => void
  #phase: MergeProgress['phase'] = 'plan'
  #entries = 0
  #bytes = 0
  #expected: number | undefined
  #next = 0

  constructor(engine: Pick<EngineContext, 'report'>) {
    this.#report = (progress) => engine.report(progress)
  }

  /** A new phase begins: told at once. */
  enter(phase: MergeProgress['phase']): void {
    this.#phase = phase
    this.#entries = 0
    this.#bytes = 0
    this.#tell()
  }

  /** How many entries the phases from now on will have. */
  expect(entries: number): void {
    this.#expected = entries
  }

  /** One more entry is done. */
  addEntry(bytes: number): void {
    this.#entries++
    this.#bytes += bytes
    if (performance.now() >= this.#next) this.#tell()
  }

  /** Nothing more comes: told once more, so that the last report has the whole of it. */
  finish(): void {
    this.#tell()
  }

  #tell(): void {
    this.#next = performance.now() + millisecondsBetweenReports
    const expected = this.#expected === undefined ? {} : { totalEntries: this.#expected }
    this.#report({ phase: this.#phase, entries: this.#entries, bytes: this.#bytes, ...expected })
  }
}
