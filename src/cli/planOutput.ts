// --dry-run: the steps of a plan, one a line, and what they come to.

import { Option } from 'commander'
import type { MergePlan, PlanAction, PlanStep } from '../merge/index.ts'
import { counted, formatBytes } from './measures.ts'
import { type OutputOptions, print, printEvent } from './output.ts'
import { describeCounts } from './summary.ts'

/** --dry-run, of every command that changes packages. */
export function dryRunOption(): Option {
  return new Option('--dry-run', 'print every step and write nothing').conflicts(['changed'])
}

const words: Readonly<Record<PlanAction, string>> = {
  changeDirectory: 'change',
  newDirectory: 'make',
  place: 'place',
  replace: 'replace',
  refresh: 'refresh',
  setAside: 'set aside',
  remove: 'remove',
  removeDirectory: 'remove if empty',
  keep: 'keep',
}

const widestWord = Math.max(...Object.values(words).map((word) => word.length))

/** Prints a plan: each step in the order of the commit, then a line for each package. */
export function printPlan(plan: MergePlan, verb: string, flags: OutputOptions): void {
  const { steps, ...counts } = plan
  if (flags.json) {
    for (const step of steps) printEvent('step', step)
    return printEvent('plan', { ...counts, steps: steps.length })
  }
  if (flags.quiet) return
  for (const step of steps) print(describeStep(step))
  for (const { package: name, counts } of plan.packages) print(`${name} would be ${verb}: ${describeCounts(counts)}`)
  print(`${counted(steps.length, 'step')}, nothing was written`)
}

function describeStep({ action, name, type, size, reason }: PlanStep): string {
  const what = type === 'file' ? `file of ${formatBytes(size)}` : type
  return `${words[action].padEnd(widestWord)}  ${name}  (${reason ?? what})`
}
