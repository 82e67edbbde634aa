// Does the tasks of planning and staging in the engine's own thread, and in others where there is enough to do.

import { quietly } from '../movefile/index.ts'
import type { EngineContext } from '../sys/engineThread.ts'
import { EngineShares } from '../sys/index.ts'
import { addBytes, type CopyTotals } from './copyTotals.ts'
import { TaskMemory } from './packTasks.ts'
import type { StageInput } from './stage.ts'
import { StageRunner } from './stageRunner.ts'
import type { ShareReport, StageShare } from './stageShare.ts'
import { type StageTask, type TaskFacts, type TasksReport, TaskTable } from './stageTask.ts'
import { threadErrors } from './threadErrors.ts'
import type { TreeImage } from './treeImage.ts'

/** A thread takes about 50 ms to start: below this many tasks, and bytes, it would come too late. */
const worthThreads = { tasks: 1000, bytes: 64 * 1024 * 1024 }
/** Tasks that are packed at once: what threads share stays small however many there are. */
const tasksAtOnce = 16384

/** What is known of a task when it is done. */
export interface TaskResult {
  readonly digest: Uint8Array | undefined
  readonly facts: TaskFacts | undefined
}

/** Further threads, started when it is known that there will be enough to do: while the plan is made, mostly. */
export class SpareThreads {
  readonly #engine: EngineContext
  readonly #jobs: number
  #shares: EngineShares | undefined
  #expected = 0

  /** @param jobs  how many threads there shall be, the engine's own among them */
  constructor(engine: EngineContext, jobs: number) {
    this.#engine = engine
    this.#jobs = jobs
  }

  /** One more task will come. */
  expectTask(): void {
    if (++this.#expected === worthThreads.tasks) this.start()
  }

  /** The threads, as far as there may be any. @param name  the engine that they are to begin with */
  start(name = 'stageShare'): EngineShares | undefined {
    if (!this.#engine.hasThread || this.#jobs < 2) return undefined
    const work = { name, cancel: this.#engine.cancel, errors: threadErrors }
    this.#shares ??= new EngineShares(work, this.#jobs - 1)
    return this.#shares
  }

  /** Those that were started. */
  get started(): EngineShares | undefined {
    return this.#shares
  }

  /**
   * Ends them when the engine's work is over, whatever became of it. What they have begun they end by themselves, as if the
   * work were cancelled: a thread that is stopped in the middle leaves descriptors open.
   */
  end(): void {
    const shares = this.#shares
    if (shares === undefined) return
    this.#engine.cancel.raise()
    quietly(() => shares.finish(() => {}))
    shares.end()
  }

  /** Ends them before that, when all that they have begun is finished and nothing else will come: each takes tens of megabytes. */
  release(): void {
    this.#shares?.end()
    this.#shares = undefined
  }
}

/** What the threads work with. */
export interface ThreadsInput extends Pick<StageInput, 'root' | 'mover' | 'comparer' | 'totals' | 'onEntry'> {
  readonly engine: EngineContext
  readonly spareThreads: SpareThreads
  readonly images: readonly TreeImage[]
}

/** Tasks that other threads may have begun. */
export interface BegunTasks<T> {
  /**
   * Does what no other thread has taken, and waits for them.
   *
   * @param onResult  told of each, in their order; the digest is valid during the call
   * @throws the first error of any thread; no thread works any more then
   */
  finish(onResult: (one: T, result: TaskResult) => void): void
  /** Waits until no thread works any more; what they found is lost. */
  abandon(): void
}

/** The threads of one merge. */
export class StageThreads {
  readonly #input: ThreadsInput
  readonly #runner: StageRunner
  readonly #memory = new TaskMemory()

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

  /** One more task will come. */
  expectTask(): void {
    this.#input.spareThreads.expectTask()
  }

  /** Whether other threads are there. */
  get haveHelp(): boolean {
    return this.#input.spareThreads.started !== undefined
  }

  /**
   * Does tasks, in no particular order: one for each of `all`, made when it is needed.
   *
   * @param onResult  told of each, in their order; the digest is valid during the call
   * @throws the first error of any thread; no thread works any more then
   */
  run<T>(all: Iterable<T>, taskOf: (one: T) => StageTask, onResult: (one: T, result: TaskResult) => void): void {
    for (const some of inBlocks(all, tasksAtOnce)) this.begin(some, taskOf).finish(onResult)
  }

  /** Lets the other threads begin tasks while this one does something else; until they are over no others can be begun. */
  begin<T>(some: readonly T[], taskOf: (one: T) => StageTask): BegunTasks<T> {
    const tasks = this.#memory.pack(some.length, (index) => taskOf(some[index] as T))
    const table = new TaskTable(tasks)
    const shares =
      this.#input.spareThreads.started ?? (isWorthThreads(table) ? this.#input.spareThreads.start() : undefined)
    const { engine, images, mover, root } = this.#input
    const share: StageShare = {
      tasks,
      root: root.fd,
      images: images.map(({ fd }) => fd),
      metadata: mover.policy.options,
      isObserved: engine.tellCopy !== undefined,
    }
    shares?.begin(share, 'stageShare')
    return {
      finish: (onResult) => this.#finish(table, shares, (index, result) => onResult(some[index] as T, result)),
      abandon: () => {
        table.fail()
        quietly(() => shares?.finish(() => {}))
      },
    }
  }

  #finish(
    table: TaskTable,
    shares: EngineShares | undefined,
    onResult: (index: number, result: TaskResult) => void,
  ): void {
    const progress = new DoneTasks(table, this.#input.onEntry)
    const reports = this.#reports(table, shares, () => progress.tell())
    progress.tell()
    const facts = new Map<number, TaskFacts>()
    for (const report of reports) {
      addTotals(this.#input.totals, report.totals)
      for (const [index, found] of report.facts) facts.set(index, withBuffers(found))
    }
    for (let index = 0; index < table.count; index++)
      onResult(index, { digest: table.digestOf(index), facts: facts.get(index) })
  }

  /** Of this thread and of those that help it. Whichever fails first: the others end too before that is told. */
  #reports(table: TaskTable, shares: EngineShares | undefined, tell: () => void): TasksReport[] {
    let own: TasksReport
    try {
      own = this.#runner.run(table, tell)
    } catch (error) {
      quietly(() => shares?.finish(() => {}))
      throw error
    }
    const others = shares?.finish<ShareReport>(tell) ?? []
    for (const { copies } of others) for (const [name, copy] of copies) this.#input.engine.tellCopy?.(name, copy)
    return [own, ...others]
  }
}

function* inBlocks<T>(all: Iterable<T>, length: number): Generator<readonly T[]> {
  let block: T[] = []
  for (const one of all) {
    block.push(one)
    if (block.length < length) continue
    yield block
    block = []
  }
  if (block.length > 0) yield block
}

function isWorthThreads(table: TaskTable): boolean {
  if (table.count < 2) return false
  let bytes = 0
  for (let index = 0; index < table.count; index++) bytes += table.sizeOf(index)
  return table.count >= worthThreads.tasks || bytes >= worthThreads.bytes
}

/** Bytes that came from another thread are plain arrays, whose toString() takes no encoding. */
function withBuffers(facts: TaskFacts): TaskFacts {
  const { xattrs } = facts
  if (xattrs === undefined || xattrs.length === 0) return facts
  return { ...facts, xattrs: xattrs.map(({ name, value }) => ({ name, value: Buffer.from(value) })) }
}

/** Tells progress of what any thread has done. */
class DoneTasks {
  readonly #table: TaskTable
  readonly #onEntry: (bytes: number) => void
  /** All tasks before this one are told. */
  #next = 0

  constructor(table: TaskTable, onEntry: (bytes: number) => void) {
    this.#table = table
    this.#onEntry = onEntry
  }

  tell(): void {
    for (; this.#next < this.#table.count && this.#table.isDone(this.#next); this.#next++) {
      if (this.#table.kindOf(this.#next) === 'copy') this.#onEntry(this.#table.sizeOf(this.#next))
    }
  }
}

function addTotals(totals: CopyTotals, more: CopyTotals): void {
  totals.holes += more.holes
  for (const [method, bytes] of Object.entries(more.bytesByMethod)) addBytes(totals, method, bytes)
}
