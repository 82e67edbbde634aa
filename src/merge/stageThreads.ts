// Does the tasks of staging in the engine's own thread, and in others where there is enough to do.

import { availableParallelism } from 'node:os'
import { quietly } from '../movefile/index.ts'
import type { EngineContext } from '../sys/engineThread.ts'
import { EngineShares } from '../sys/index.ts'
import { addBytes, type CopyTotals } from './copyTotals.ts'
import { InvalidArgumentError } from './errors.ts'
import type { StageInput } from './stage.ts'
import { StageRunner } from './stageRunner.ts'
import type { ShareReport, StageShare } from './stageShare.ts'
import { packTasks, type StageTask, type TaskFacts, type TasksReport, TaskTable } from './stageTask.ts'
import { threadErrors } from './threadErrors.ts'
import type { TreeImage } from './treeImage.ts'

/** More threads than these only wait for each other in the file system. */
const mostJobs = 4
/** A thread takes about 50 ms to start: below this many tasks, and bytes, it would come too late. */
const worthThreads = { tasks: 1000, bytes: 64 * 1024 * 1024 }
/** Tasks that are packed at once: what threads share stays small however many there are. */
const tasksAtOnce = 16384

/** What is known of a task when it is done. */
export interface TaskResult {
  readonly digest: Uint8Array | undefined
  readonly facts: TaskFacts | undefined
}

/** How many threads stage, by an option. @throws {InvalidArgumentError} */
export function jobsOf(jobs: number = Math.min(mostJobs, availableParallelism())): number {
  if (Number.isInteger(jobs) && jobs >= 1) return jobs
  throw new InvalidArgumentError(`${jobs} is not a number of threads`)
}

/** What the threads work with. */
export interface ThreadsInput extends Pick<StageInput, 'root' | 'mover' | 'comparer' | 'totals' | 'onEntry'> {
  readonly engine: EngineContext
  readonly jobs: number
  readonly images: readonly TreeImage[]
}

/** The threads of one merge. */
export class StageThreads {
  readonly #input: ThreadsInput
  readonly #runner: StageRunner
  #shares: EngineShares | undefined

  constructor(input: ThreadsInput) {
    const { engine, images, root } = input
    this.#input = input
    this.#runner = new StageRunner({
      ...input,
      imageDirectory: (image, name) => (images[image] as TreeImage).directory(name),
      rootDirectory: (name) => root.directory(name).fd,
      check: () => engine.cancel.check(),
      ...(engine.tellCopy && { tellCopy: engine.tellCopy }),
    })
  }

  /**
   * Does tasks, in no particular order.
   *
   * @param onResult  told of each, in their order, with its place among them; the digest is valid during the call
   * @throws the first error of any thread; no thread works any more then
   */
  run(tasks: readonly StageTask[], onResult: (index: number, result: TaskResult) => void): void {
    if (this.#isWorthThreads(tasks)) this.#start()
    for (let start = 0; start < tasks.length; start += tasksAtOnce) {
      this.#runSome(tasks.slice(start, start + tasksAtOnce), (index, result) => onResult(start + index, result))
    }
  }

  #isWorthThreads(tasks: readonly StageTask[]): boolean {
    const { engine, jobs } = this.#input
    if (!engine.hasThread || jobs < 2 || tasks.length < 2) return false
    if (tasks.length >= worthThreads.tasks) return true
    return tasks.reduce((sum, { stat }) => sum + stat.size, 0) >= worthThreads.bytes
  }

  #start(): void {
    const { engine, jobs } = this.#input
    const work = { name: 'stageShare', cancel: engine.cancel, errors: threadErrors }
    this.#shares ??= new EngineShares(work, jobs - 1)
  }

  #runSome(tasks: readonly StageTask[], onResult: (index: number, result: TaskResult) => void): void {
    const shared = packTasks(tasks)
    const table = new TaskTable(shared)
    const { engine, images, mover, root } = this.#input
    const share: StageShare = {
      tasks: shared,
      root: root.fd,
      images: images.map(({ fd }) => fd),
      metadata: mover.policy.options,
      isObserved: engine.tellCopy !== undefined,
    }
    this.#shares?.begin(share)
    const progress = new DoneTasks(table, tasks, this.#input.onEntry)
    const reports = this.#reports(table, () => progress.tell())
    progress.tell()
    const facts = new Map<number, TaskFacts>()
    for (const report of reports) {
      addTotals(this.#input.totals, report.totals)
      for (const [index, found] of report.facts) facts.set(index, found)
    }
    for (const index of tasks.keys()) onResult(index, { digest: table.digestOf(index), facts: facts.get(index) })
  }

  /** Of this thread and of those that help it. Whichever fails first: the others end too before that is told. */
  #reports(table: TaskTable, tell: () => void): TasksReport[] {
    let own: TasksReport
    try {
      own = this.#runner.run(table, tell)
    } catch (error) {
      quietly(() => this.#shares?.finish(() => {}))
      throw error
    }
    const others = this.#shares?.finish<ShareReport>(tell) ?? []
    for (const { copies } of others) for (const [name, copy] of copies) this.#input.engine.tellCopy?.(name, copy)
    return [own, ...others]
  }

  /** Ends the other threads. */
  end(): void {
    this.#shares?.end()
  }
}

/** Tells progress of what any thread has done. */
class DoneTasks {
  readonly #table: TaskTable
  readonly #tasks: readonly StageTask[]
  readonly #onEntry: (bytes: number) => void
  /** All tasks before this one are told. */
  #next = 0

  constructor(table: TaskTable, tasks: readonly StageTask[], onEntry: (bytes: number) => void) {
    this.#table = table
    this.#tasks = tasks
    this.#onEntry = onEntry
  }

  tell(): void {
    for (; this.#next < this.#tasks.length && this.#table.isDone(this.#next); this.#next++) {
      const task = this.#tasks[this.#next] as StageTask
      if (task.kind === 'copy') this.#onEntry(task.stat.type === 'file' ? task.stat.size : 0)
    }
  }
}

function addTotals(totals: CopyTotals, more: CopyTotals): void {
  totals.holes += more.holes
  for (const [method, bytes] of Object.entries(more.bytesByMethod)) addBytes(totals, method, bytes)
}
