// Makes one table, bench/README.md, and one chart a subject, bench/charts/*.svg, of all that bench/results holds.
//
//   node build/bench/charts.js

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chartOf } from './chart.ts'
import { type Measurement, type ResultsFile, resultsFolder } from './results.ts'

const folder = join(resultsFolder, '..')

/** Every results file, by subject. */
export function readResults(): ResultsFile[] {
  return readdirSync(resultsFolder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(resultsFolder, name), 'utf8')) as ResultsFile)
}

/** The page: a section a subject, with its chart, its table, its machine and its command line. */
export function benchPage(all: readonly ResultsFile[]): string {
  const head =
    '# Measurements\n\nMade by `make bench` from `bench/results`. Ratios are against the contender in the same row that is named.\n'
  return `${head}\n${all.map(sectionOf).join('\n')}`
}

function sectionOf(file: ResultsFile): string {
  const { subject, question, unit, better, command, date, machine, kernel, node, versions, measurements } = file
  const contenders = [...new Set(measurements.map(({ contender }) => contender))]
  const rows = casesOf(measurements).map(([name, each]) => {
    const cells = contenders.map((contender) =>
      cellOf(
        each.find((one) => one.contender === contender),
        each,
      ),
    )
    return `| ${name} | ${cells.join(' | ')} |`
  })
  const notes = [...new Set(measurements.flatMap(({ contender, note }) => (note ? [`${contender}: ${note}`] : [])))]
  return [
    `## ${question}`,
    '',
    `![${subject}](charts/${subject}.svg)`,
    '',
    `${unit}, ${better} is better. \`${command}\`, ${date}, Linux ${kernel}, Node ${node}, ${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, load ${machine.load}.`,
    ...Object.entries(versions).map(([contender, version]) => `${contender}: ${version}.`),
    '',
    `| | ${contenders.join(' | ')} |`,
    `|---|${contenders.map(() => '---').join('|')}|`,
    ...rows,
    '',
    ...notes.map((note) => `- ${note}`),
    '',
  ].join('\n')
}

/** Measurements by their case and file system, in the order in which they were made. */
export function casesOf(measurements: readonly Measurement[]): [string, Measurement[]][] {
  const cases = new Map<string, Measurement[]>()
  for (const measurement of measurements) {
    const name =
      measurement.fileSystem === undefined ? measurement.case : `${measurement.case}, ${measurement.fileSystem}`
    cases.set(name, [...(cases.get(name) ?? []), measurement])
  }
  return [...cases]
}

function cellOf(measurement: Measurement | undefined, row: readonly Measurement[]): string {
  if (measurement === undefined) return '-'
  const { value, baseline } = measurement
  const other = row.find(({ contender }) => contender === baseline)
  return other === undefined || other === measurement
    ? shown(value)
    : `${shown(value)} (${(value / other.value).toFixed(2)} of ${baseline})`
}

/** A value with as many digits as mean something. */
export function shown(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3).replace(/\.?0+$/, '')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const all = readResults()
  mkdirSync(join(folder, 'charts'), { recursive: true })
  writeFileSync(join(folder, 'README.md'), benchPage(all))
  for (const file of all) writeFileSync(join(folder, 'charts', `${file.subject}.svg`), chartOf(file))
  process.stdout.write(`bench/README.md and ${all.length} charts\n`)
}
