// How long does it take until the command answers? Whole processes, beside `node -e 0`.
//
//   node build/bench/startup.js [NODE...]      paths of other Node binaries beside the one that runs this

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command } from './command.ts'
import { measured, Results } from './results.ts'

const results = new Results('startup', 'How long until the command has answered, as a whole process?', 'ms', 'less')
const folder = mkdtempSync(join(tmpdir(), 'rootmerge-startup-'))
const rounds = measured(21, 1)

function once(node: string, args: readonly string[]): number {
  const started = performance.now()
  const { status, stderr } = spawnSync(node, args)
  if (status !== 0) throw new Error(String(stderr))
  return performance.now() - started
}

/** Contenders take turns, so that a busy machine is equally busy for all; the median of the rounds. */
function measure(node: string, version: string): void {
  const root = join(folder, `root-${version}`)
  mkdirSync(root)
  const merge = [command, 'merge', join(folder, 'image'), '--package', 'p', '--root', root, '--durability', 'none']
  const contenders: Record<string, string[]> = {
    'node -e 0': ['-e', '0'],
    'rootmerge --help': [command, '--help'],
    'rootmerge merge, one file': merge,
    'the same, safe from power cuts': merge.slice(0, -2),
  }
  const times = new Map(Object.keys(contenders).map((name) => [name, [] as number[]]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, args] of Object.entries(contenders)) times.get(name)?.push(once(node, args))
  }
  for (const [contender, each] of times) {
    const value = Math.round((each.sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN) * 10) / 10
    results.add({ case: `Node ${version}`, contender, value, baseline: 'node -e 0' })
  }
}

mkdirSync(join(folder, 'image'))
writeFileSync(join(folder, 'image/file'), 'x')
try {
  for (const node of [process.execPath, ...process.argv.slice(2)]) {
    measure(node, execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim())
  }
  results.write(process.argv.slice(2).map(() => 'NODE'))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
