// The real command, killed or refused at its n-th system call by strace; the next command brings the root out.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { linuxKernel } from '../../src/sys/index.ts'
import { crashAt, recording } from '../support/kernelDoubles.ts'
import { withDirectory } from '../support/scratch.ts'
import { sample, seed, seeded } from '../support/seeded.ts'
import {
  changes,
  type Injection,
  runCommand,
  runTraced,
  type TracedCall,
  type TracedRun,
} from '../support/tracedCommand.ts'
import { checkOutcome, checkRecords, memory, type Prepared, tell, withScenario } from './outcome.ts'
import { contextOf, copyOf, mortal, type Scenario, scenarioOf, scenarios } from './scenarios.ts'

/** The long form goes through every call, the short one through a sample. */
const full = process.env.ROOTMERGE_TEST_FULL !== undefined
const random = seeded(seed)
const upgrade = 'an upgrade with removals and changes of type'

/** Two commands at a time: each waits for its process to start. */
async function throughAll<T>(
  { directory }: Pick<Prepared, 'directory'>,
  points: readonly T[],
  body: (work: string, point: T) => Promise<void>,
): Promise<void> {
  const rest = [...points]
  await withDirectory(async (scratch) => {
    const lane = async (work: string) => {
      for (let point = rest.shift(); point !== undefined; point = rest.shift()) {
        copyOf(directory, work)
        await body(work, point)
      }
    }
    await Promise.all([lane(join(scratch, 'one')), lane(join(scratch, 'two'))])
  }, memory)
}

/** What the operation calls when nothing goes wrong. */
async function callsOf(scenario: Scenario, { directory, work }: Prepared): Promise<readonly TracedCall[]> {
  copyOf(directory, work)
  const { status, calls, stderr } = await runTraced(join(work, 'root'), scenario.words(work))
  assert.equal(status, 0, stderr)
  return calls
}

function nameOf({ call, nth, text }: TracedCall): string {
  return `${call} ${nth} (${text.slice(0, 160)})`
}

interface Tally {
  killed: number
  missed: number
  before: number
  after: number
}

/** The next command: it finishes what was committed, or (asked to) undoes it. Then nobody is left with anything to do. */
async function bringOut(work: string, undo: boolean, where: string): Promise<void> {
  const root = join(work, 'root')
  const first = await runCommand(['recover', '--json', '--root', root, ...(undo ? ['--undo'] : [])])
  assert.equal(first.status, 0, `recover ${where}: ${first.stderr}`)
  assert.deepEqual((JSON.parse(first.stdout) as { leftOvers: unknown }).leftOvers, [], where)
}

describe('the command, killed by the kernel', function () {
  this.timeout(3_600_000)
  before(() => tell(`seed ${seed}: repeat with ROOTMERGE_TEST_SEED=${seed}`))

  for (const scenario of scenarios) {
    it(`at any system call of ${scenario.title} leaves what the next command brings to before or after`, () =>
      withScenario(scenario, async (prepared) => {
        const all = (await callsOf(scenario, prepared)).filter(changes)
        const points = full ? all : sample(all, 4, random)
        const tally: Tally = { killed: 0, missed: 0, before: 0, after: 0 }
        await throughAll(prepared, points, async (work, at) => {
          const run = await runTraced(join(work, 'root'), scenario.words(work), { at, what: 'signal=KILL' })
          if (!wasKilled(run, tally)) return
          const undo = random() < 0.5
          const where = `after SIGKILL at ${nameOf(at)}${undo ? ', undoing' : ''}`
          await bringOut(work, undo, where)
          tally[checkOutcome(work, prepared, where)]++
          await checkRecords(work, where, scenario)
        })
        tell(`killed at ${tally.killed} of ${all.length} changing calls of ${scenario.title}`, { ...tally })
        assert.ok(all.length > 25, `only ${all.length} calls to die at`)
        assert.ok(tally.killed >= points.length * 0.9, `${tally.missed} of ${points.length} were not reached`)
      }))
  }

  it('during a recovery leaves what the next one brings to before or after', () =>
    withScenario(scenarioOf(upgrade), async (prepared) => {
      const tally: Tally = { killed: 0, missed: 0, before: 0, after: 0 }
      let points = 0
      const moments = await momentsOf(prepared)
      for (const n of full ? moments : sample(moments, 1, random)) {
        copyOf(prepared.directory, prepared.work)
        await dieAt(n, prepared.work)
        const { calls } = await runTraced(join(prepared.work, 'root'), ['recover'])
        const chosen = full ? calls.filter(changes) : sample(calls.filter(changes), 4, random)
        points += chosen.length
        await throughAll(prepared, chosen, async (work, at) => {
          await dieAt(n, work)
          const run = await runTraced(join(work, 'root'), ['recover'], { at, what: 'signal=KILL' })
          if (!wasKilled(run, tally)) return
          const where = `after dying at ${n}, then SIGKILL at ${nameOf(at)} of the recovery`
          await bringOut(work, false, where)
          tally[checkOutcome(work, prepared, where)]++
          await checkRecords(work, where)
        })
      }
      tell(`killed at ${tally.killed} calls of recoveries`, { ...tally })
      assert.ok(tally.killed >= points * 0.9 && points > (full ? 60 : 3), `${tally.killed} of ${points}`)
    }))
})

function wasKilled({ signal, status, stderr }: TracedRun, tally: Tally): boolean {
  if (signal === 'SIGKILL') {
    tally.killed++
    return true
  }
  assert.equal(status, 0, stderr)
  tally.missed++
  return false
}

/** Calls of the upgrade to die at: while staging, before the first, amid and after the last of the renames. */
async function momentsOf({ directory, work }: Prepared): Promise<number[]> {
  copyOf(directory, work)
  const { kernel, calls } = recording(linuxKernel())
  await scenarioOf(upgrade).operate(contextOf(kernel), work)
  const renames = calls.flatMap(({ call, args }, index) =>
    call === 'renameat' && /^\.rootmerge-/.test(`${args[1]}`) ? [index + 1] : [],
  )
  const [first = 0, last = 0] = [renames[0], renames.at(-1)]
  return [Math.floor(first / 2), first, renames[renames.length >> 1] ?? 0, last, last + 1]
}

/** The upgrade dies at the n-th call of the engine, in place: roots that are not recovered yet cannot be copied. */
async function dieAt(n: number, work: string): Promise<void> {
  const process = mortal()
  const { kernel, seen } = crashAt(process.kernel, n)
  await assert.rejects(scenarioOf(upgrade).operate(contextOf(kernel), work))
  assert.ok(seen.hit, `the upgrade has no ${n} calls`)
  process.bury()
}

const errors = ['EIO', 'ENOSPC', 'EACCES'] as const

/** The errors take turns, and begin with another one in each run: two thirds of the pairs would take hours more. */
const firstError = Math.floor(random() * errors.length)

function refusalOf(at: TracedCall, index: number): Injection {
  return { at, what: `error=${errors[(firstError + index) % errors.length]}` }
}

describe('the command, refused by the kernel', function () {
  this.timeout(3_600_000)

  for (const scenario of scenarios) {
    it(`at any system call of ${scenario.title} changes nothing, and names the call and the path`, () =>
      withScenario(scenario, async (prepared) => {
        const calls = await callsOf(scenario, prepared)
        const all = calls.map(refusalOf)
        const points = full ? all : sample(all, 4, random)
        const outcomes = { refused: 0, done: 0, pending: 0, missed: 0 }
        await throughAll(prepared, points, async (work, injection) => {
          const run = await runTraced(join(work, 'root'), scenario.words(work), injection)
          if (!run.injected) return void outcomes.missed++
          outcomes[await checkRefusal(run, injection, work, prepared)]++
        })
        tell(`refused ${points.length} of ${all.length} calls of ${scenario.title}`, outcomes)
        assert.ok(all.length > 150, `only ${all.length} calls to refuse`)
        assert.ok(outcomes.missed <= points.length * 0.1, `${outcomes.missed} of ${points.length} were not reached`)
        assert.ok(!full || outcomes.refused > 50, JSON.stringify(outcomes))
      }))
  }
})

/** An error is told only of a root that did not change; what is pending is told as such, and recovered. */
async function checkRefusal(run: TracedRun, injection: Injection, work: string, prepared: Prepared) {
  const where = `after ${injection.what} at ${nameOf(injection.at)}: ${run.stdout}${run.stderr}`
  if (run.status === 4) {
    await bringOut(work, false, where)
    checkOutcome(work, prepared, where)
    return 'pending'
  }
  const leftOver = run.stdout.includes('left over')
  if (leftOver) return 'done' // told: an old object that could not be removed
  assert.equal(checkOutcome(work, prepared, where), run.status === 0 ? 'after' : 'before', where)
  if (run.status === 0) return 'done'
  assert.match(run.stderr, new RegExp(injection.what.slice('error='.length)), where)
  // fs-xattr has the call's name without its first letter.
  assert.match(run.stderr, new RegExp(injection.at.call.replace(/^f(?=\w+xattr)/, 'f?')), where)
  assert.match(run.stderr, /'\/|\s\/|: \//, where)
  return 'refused'
}
