// --dry-run: the steps of a plan, one a line, and what they come to.

import { Option } from 'commander'
import type { MergePlan, PlanAction, PlanStep } from '../merge/index.ts'
import { counted, formatBytes } from './measures.ts'
import { type OutputOptions, print, printEvent } from './output.ts'
import type { Report } from './report.ts'
import { describeCounts, printRemarks } from './summary.ts'

/** --report, of every command with a plan. */
export function planReportOption(): Option {
  return new Option('--report <file>', 'with --dry-run: write the plan as an HTML page, a tree with filters')
}

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
  save: 'save as',
  remove: 'remove',
  removeDirectory: 'remove if empty',
  restore: 'give back',
  keep: 'keep',
}

const widestWord = Object.values(words).reduce((width, word) => Math.max(width, word.length), 0)

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
  const { triggered, notReplaced = [] } = plan
  printRemarks({ triggered, notReplaced })
  print(`${counted(steps.length, 'step')}, nothing was written`)
}

/** A plan as the data of an HTML page. */
export function reportOfPlan(plan: MergePlan, verb: string): Report {
  const counts = plan.packages.map(({ package: name, counts }) => `${name} would be ${verb}: ${describeCounts(counts)}`)
  const rows = [...plan.steps].map((step) => ({
    name: step.name,
    what: words[step.action],
    detail: whatOf(step),
    package: step.package,
  }))
  const names = plan.packages.map(({ package: name }) => name).join(', ')
  return { title: `${names}: what would be ${verb}`, summary: [...counts, 'Nothing was written.'], rows }
}

function describeStep(step: PlanStep): string {
  return `${words[step.action].padEnd(widestWord)}  ${step.name}  (${whatOf(step)})`
}

function whatOf({ type, size, reason }: PlanStep): string {
  return reason ?? (type === 'file' ? `file of ${formatBytes(size)}` : type)
}
