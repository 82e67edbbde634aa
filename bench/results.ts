// The one format in which every measurement is kept: a script here measures, `charts.ts` makes the table and the charts.
//
//   const results = new Results('merge', 'How long does a merge take, beside the peers?', 'ms', 'less')
//   results.add({ case: '26,000 files', fileSystem: 'ext4', contender: 'rootmerge', value: 812, baseline: 'cp -a' })
//   results.write()            // bench/results/merge.json, with machine, kernel, date and command line

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Compiled or not, the project's folder is where package.json is. */
const project = fileURLToPath(new URL(import.meta.url.includes('/build/') ? '../..' : '..', import.meta.url))

/** BENCH_QUICK=1 tries that everything runs: little of everything, whose figures mean nothing and stay out of the project. */
const isQuick = process.env.BENCH_QUICK === '1'

/** A size as it is measured, or the small one that a trial has instead. */
export function measured<T>(full: T, quick: T): T {
  return isQuick ? quick : full
}

/** Where the page, the charts and the results are; part of the project, so that every number in it has its source. */
export const benchFolder: string = join(project, measured('bench', 'build/bench-quick'))

/** Where the results lie. */
export const resultsFolder: string = join(benchFolder, 'results')

/** One number: one contender in one case. */
export interface Measurement {
  /** What was done, such as `20,000 files of 4 KiB`; rows of the table, groups of the chart. */
  readonly case: string
  /** `ext4`, `xfs to ext4`; absent where it plays no part. */
  readonly fileSystem?: string
  /** Who did it: `rootmerge`, `cp -a`, `dpkg`; columns of the table, bars of the chart. */
  readonly contender: string
  /** In the unit of the results: the median of the runs, unless a note says otherwise. */
  readonly value: number
  /** Whether the contender is a way of rootmerge's, where its name does not say so. */
  readonly isOurs?: true
  /** The contender of the same case that ratios are taken against. */
  readonly baseline?: string
  /** What a reader must know, such as `does not sync`. */
  readonly note?: string
}

/** What one script measured in one run. */
export interface ResultsFile {
  /** The file's name: a word. */
  readonly subject: string
  /** The question that it answers, for the heading. */
  readonly question: string
  /** `ms`, `µs/file`, `MB/s`, … */
  readonly unit: string
  readonly better: 'less' | 'more'
  /** What to type to measure it again. */
  readonly command: string
  /** ISO, to the minute. */
  readonly date: string
  readonly machine: {
    readonly processor: string
    readonly cores: number
    readonly memoryGiB: number
    readonly load: number
  }
  readonly kernel: string
  readonly node: string
  /** Versions of the peers, by contender; the first line of their `--version`. */
  readonly versions: Readonly<Record<string, string>>
  readonly measurements: readonly Measurement[]
}

/** Collects the measurements of one run and writes them. */
export class Results {
  readonly #head: Pick<ResultsFile, 'subject' | 'question' | 'unit' | 'better'>
  readonly #measurements: Measurement[] = []
  readonly #versions: Record<string, string> = {}

  constructor(subject: string, question: string, unit: string, better: ResultsFile['better']) {
    this.#head = { subject, question, unit, better }
  }

  add(measurement: Measurement): void {
    this.#measurements.push(measurement)
  }

  /** Asks a peer for its version; `command` is an argument list such as `['cp', '--version']`. */
  version(contender: string, command: readonly [string, ...string[]]): void {
    const [program, ...args] = command
    const told = execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
    this.#versions[contender] = told.split('\n')[0]?.trim() ?? ''
  }

  /**
   * Replaces the subject's file.
   *
   * @param args  as the command line shall say them, where the process's own are this machine's paths
   */
  write(args: readonly string[] = process.argv.slice(2)): void {
    const file: ResultsFile = {
      ...this.#head,
      command: `node build/bench/${this.#script()} ${args.join(' ')}`.trim(),
      date: new Date().toISOString().slice(0, 16).replace('T', ' '),
      machine: {
        processor: cpus()[0]?.model ?? 'unknown',
        cores: cpus().length,
        memoryGiB: Math.round(totalmem() / 1024 ** 3),
        load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
      },
      kernel: release(),
      node: process.versions.node,
      versions: this.#versions,
      measurements: this.#measurements,
    }
    mkdirSync(resultsFolder, { recursive: true })
    writeFileSync(join(resultsFolder, `${file.subject}.json`), `${JSON.stringify(file, null, 1)}\n`)
  }

  #script(): string {
    return process.argv[1]?.split('/bench/').at(-1) ?? `${this.#head.subject}.js`
  }
}
