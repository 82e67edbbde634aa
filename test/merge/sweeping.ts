// One run of a scenario with a kernel that fails or dies, for the sweeps.

import type { LeftOver } from '../../src/merge/transaction.ts'
import type { CancelFlag, Kernel } from '../../src/sys/index.ts'
import { type CountingKernel, crashAtChange } from '../support/kernelDoubles.ts'
import type { Prepared } from './outcome.ts'
import { contextOf, copyOf, mortal, type Scenario } from './scenarios.ts'

/** The long form goes through every call, the short one through a part of them. */
export const full = process.env.ROOTMERGE_TEST_FULL !== undefined

/** Runs a scenario once on a fresh copy with a double, and buries the process that it stands for. */
export async function runOnce(
  scenario: Scenario,
  prepared: Prepared,
  double: (kernel: Kernel) => CountingKernel & { readonly cancel?: CancelFlag },
) {
  copyOf(prepared.directory, prepared.work)
  const process = mortal()
  const { kernel, seen, cancel } = double(process.kernel)
  let error: unknown
  let report: unknown
  let leftOvers: readonly LeftOver[] = []
  try {
    report = await scenario.operate(contextOf(kernel, cancel), prepared.work)
    leftOvers = (report as { leftOvers: readonly LeftOver[] }).leftOvers
  } catch (thrown) {
    error = thrown
  }
  const leaked = [...process.open.values()]
  process.bury()
  return { error, seen, leaked, leftOvers, report }
}

/** How many calls of a scenario change the disk when nothing goes wrong. */
export async function changesOf(scenario: Scenario, prepared: Prepared): Promise<number> {
  const { seen, error } = await runOnce(scenario, prepared, (kernel) => crashAtChange(kernel, Number.POSITIVE_INFINITY))
  if (error !== undefined) throw error
  return seen.calls
}
