// How far an operation is: a line that is drawn again on a terminal, plain lines elsewhere, events with --json.

import type { MergeProgress } from '../merge/index.ts'
import { counted, formatBytes, formatCount, formatWholeSeconds } from './measures.ts'
import { type OutputOptions, printEvent, say, tellBy } from './output.ts'
import { Pace } from './pace.ts'
import { isTerminal } from './terminal.ts'
import { complaints } from './write.ts'

/** What is shown, whatever the operation: phases by their names, counters that start anew with each. */
export type Progress = Omit<MergeProgress, 'phase'> & { readonly phase: string }

/** Milliseconds that each phase took, in their order; a phase that came twice counts once. */
export type PhaseTimes = Readonly<Record<string, number>>

/** Shows progress until its end. */
export interface ProgressView {
  show(progress: Progress): void
  end(): PhaseTimes
}

/** Milliseconds between two drawings on a terminal, and between two plain lines. */
const redrawEvery = 100
const plainEvery = 10_000

/** The view that fits the flags and the terminal. */
export async function makeProgressView(flags: OutputOptions): Promise<ProgressView> {
  const clock = new PhaseClock()
  const shown = flags.json
    ? eventView()
    : flags.quiet
      ? silentView()
      : isTerminal(complaints) && process.stderr.columns // one that says 0 would have a line for each character
        ? await liveView()
        : plainView(flags)
  return {
    show(progress) {
      clock.enter(progress.phase)
      shown.show(progress)
    },
    end() {
      shown.end()
      return clock.times()
    },
  }
}

type View = { show(progress: Progress): void; end(): void }

function silentView(): View {
  return { show: () => {}, end: () => {} }
}

function eventView(): View {
  return { show: (progress) => printEvent('progress', progress), end: () => {} }
}

/** Where nobody watches: the phases with --verbose, and a sign of life every ten seconds. */
function plainView({ verbose }: OutputOptions): View {
  let [phase, next] = ['', performance.now() + plainEvery]
  return {
    show(progress) {
      const isNew = progress.phase !== phase
      phase = progress.phase
      if (!(isNew && verbose) && performance.now() < next) return
      next = performance.now() + plainEvery
      say(isNew && progress.holder === undefined ? `${phase} …` : describeProgress(progress, new Pace(), 0).join('  '))
    },
    end: () => {},
  }
}

/** One line, drawn again at the start of each phase and ten times a second. */
async function liveView(): Promise<View> {
  const { createLogUpdate } = await import('log-update')
  const line = createLogUpdate(process.stderr, { showCursor: true }) // a process that dies would leave it hidden
  const restore = tellBy((text) => line.persist(text))
  let pace = new Pace()
  let [phase, next] = ['', 0]
  return {
    show(progress) {
      const now = performance.now()
      if (progress.phase !== phase) [pace, phase, next] = [new Pace(), progress.phase, now]
      pace.look({ at: now, entries: progress.entries, bytes: progress.bytes })
      if (now < next) return
      next = now + redrawEvery
      line(fitting(describeProgress(progress, pace, barWidth), process.stderr.columns))
    },
    end() {
      line.clear()
      restore()
    },
  }
}

const barWidth = 20

/** What can be said, the most important part first. */
export function describeProgress(progress: Progress, pace: Pace, width: number): string[] {
  const { phase, entries, bytes, totalEntries, holder } = progress
  const isCounted = totalEntries !== undefined && totalEntries > 0 && countedPhases.has(phase)
  const left = isCounted ? pace.left(totalEntries) : undefined
  const rate = pace.rate
  const parts = [phase.padEnd(8)]
  if (holder !== undefined) parts.push(`for ${holder}`)
  if (isCounted && width > 0) parts.push(bar(entries / totalEntries, width))
  if (isCounted) parts.push(`${formatCount(entries)}/${counted(totalEntries, 'entry', 'entries')}`)
  else if (entries > 0) parts.push(counted(entries, 'entry', 'entries'))
  if (left !== undefined) parts.push(`${formatWholeSeconds(left)} left`)
  if (bytes > 0) parts.push(formatBytes(bytes))
  if (bytes > 0 && rate !== undefined) parts.push(`${formatBytes(rate.bytes)}/s`)
  return parts
}

/** The phases that count the entries which were announced. */
const countedPhases: ReadonlySet<string> = new Set(['stage', 'verify'])

function bar(share: number, width: number): string {
  const full = Math.round(Math.min(Math.max(share, 0), 1) * width)
  return `${'█'.repeat(full)}${'░'.repeat(width - full)}`
}

/** As many parts as fit a terminal's line. */
export function fitting(parts: readonly string[], columns: number): string {
  const fits = (count: number) => parts.slice(0, count).join('  ').length < columns
  let count = parts.length
  while (count > 1 && !fits(count)) count--
  return parts.slice(0, count).join('  ')
}

/** Sums up how long each phase took. */
class PhaseClock {
  readonly #times = new Map<string, number>()
  #phase: string | undefined
  #since = 0

  enter(phase: string): void {
    if (phase === this.#phase) return
    this.#close()
    this.#phase = phase
  }

  times(): PhaseTimes {
    this.#close()
    return Object.fromEntries(this.#times)
  }

  #close(): void {
    const now = performance.now()
    if (this.#phase !== undefined) {
      this.#times.set(this.#phase, (this.#times.get(this.#phase) ?? 0) + Math.round((now - this.#since) * 10) / 10)
    }
    this.#since = now
  }
}
