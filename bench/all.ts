// Every measurement, one subject after the other, and then the page and the charts.
//
//   node build/bench/all.js [SUBJECT...]      all of them by default; as root, with a C compiler, on a machine at rest
//   BENCH_QUICK=1 node build/bench/all.js     a trial: does everything run?
//
// A subject that fails does not keep the others from being measured; it is told at the end, and by the exit code.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { measured } from './results.ts'

/** The subjects, the short ones first, with what a trial leaves out by the scripts' own arguments. */
export const subjects: Readonly<Record<string, readonly string[]>> = {
  mask: [],
  startup: [],
  import: [],
  eventLoop: [],
  registry: [],
  overlayExchange: measured([], ['8']),
  movefile: [],
  filecopy: [],
  archive: [],
  merge: measured(
    [],
    ['--file-systems', 'ext4', '--images', 'small,large', '--rounds', '1', '--large-gib', '0.0625', '--linear', '200'],
  ),
}

function run(script: string, args: readonly string[]): boolean {
  const path = fileURLToPath(new URL(`./${script}.js`, import.meta.url))
  process.stdout.write(`\n== ${script}\n`)
  return spawnSync(process.execPath, [path, ...args], { stdio: 'inherit' }).status === 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const chosen = process.argv.slice(2)
  const strange = chosen.filter((name) => !(name in subjects))
  if (strange.length > 0)
    throw new Error(`no subject ${strange.join(', ')}; there are ${Object.keys(subjects).join(', ')}`)
  const failed = Object.entries(subjects)
    .filter(([name]) => chosen.length === 0 || chosen.includes(name))
    .filter(([name, args]) => !run(name, args))
    .map(([name]) => name)
  if (!run('charts', [])) failed.push('charts')
  if (failed.length > 0) process.stderr.write(`failed: ${failed.join(', ')}\n`)
  process.exitCode = failed.length > 0 ? 1 : 0
}
