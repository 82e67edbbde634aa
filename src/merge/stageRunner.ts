// Does staging tasks in the thread at hand: the same in the engine's own thread and in those that help it.

import {
  differsFromCopy,
  Inheritance,
  listNames,
  type Mover,
  type Place,
  readAttributes,
  SourceReplacedError,
  type StagedObject,
  withDescriptor,
} from '../movefile/index.ts'
import type { EngineContext } from '../sys/engineThread.ts'
import {
  displayName,
  type Fd,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  type Stat,
} from '../sys/index.ts'
import { addCopy, type CopyTotals } from './copyTotals.ts'
import { identityOf } from './identity.ts'
import type { Comparer } from './live.ts'
import { PayloadDigest } from './payloadDigest.ts'
import type { StageTask, TaskFacts, TasksReport, TaskTable } from './stageTask.ts'

/** What a thread does tasks with. */
export interface RunnerInput {
  readonly mover: Mover
  readonly comparer: Comparer
  /** Opens a directory of an image, by the image's number. */
  readonly imageDirectory: (image: number, name: Name) => Fd
  /** Opens a directory of the root. */
  readonly rootDirectory: (name: Name) => Fd
  /** Called before each task and between the reads of a large one; throws to end. */
  readonly check: () => void
  readonly tellCopy?: EngineContext['tellCopy']
}

/** Does the batches of a table that no other thread takes. */
export class StageRunner {
  readonly #input: RunnerInput
  readonly #kernel: Kernel
  readonly #digest: PayloadDigest
  #totals: CopyTotals = { bytesByMethod: {}, holes: 0 }
  #facts: [number, TaskFacts][] = []
  /** Of the directory that was staged in last. */
  #inheritance = { directory: '', of: new Inheritance() }

  constructor(input: RunnerInput) {
    this.#input = input
    this.#kernel = input.mover.kernel
    this.#digest = new PayloadDigest(this.#kernel, input.check)
  }

  /**
   * Takes batches until there are none; after a failure no thread takes another task.
   *
   * @param afterBatch  called with the number of batches' tasks that are done
   */
  run(table: TaskTable, afterBatch: (tasks: number) => void = () => {}): TasksReport {
    this.#totals = { bytesByMethod: {}, holes: 0 }
    this.#facts = []
    try {
      for (let batch = table.takeBatch(); batch !== undefined; batch = table.takeBatch()) {
        for (let index = batch.start; index < batch.end && !table.hasFailed; index++) this.#do(table, index)
        afterBatch(batch.end - batch.start)
      }
    } catch (error) {
      table.fail()
      throw error
    }
    return { totals: this.#totals, facts: this.#facts }
  }

  #do(table: TaskTable, index: number): void {
    this.#input.check()
    const task = table.task(index)
    this.#digest.value = undefined
    const facts = this.#factsOf(task)
    if (facts !== undefined) this.#facts.push([index, facts])
    table.finish(index, this.#digest.value)
  }

  #factsOf(task: StageTask): TaskFacts | undefined {
    if (task.kind === 'copy') return this.#copy(task)
    if (task.kind === 'inspect') return this.#inspect(task)
    if (task.kind === 'compare') return this.#compare(task)
    const source = this.#source(task)
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
    withDescriptor(this.#kernel, this.#kernel.openat(source.directory, source.name, flags), (fd) => {
      this.#refuseOther(task, this.#kernel.fstat(fd))
      this.#digest.ofFile(fd)
      this.#refuseOther(task, this.#kernel.fstat(fd))
    })
    return undefined
  }

  #source({ image, directory, name }: StageTask): Place {
    return { directory: this.#input.imageDirectory(image, directory), name }
  }

  #copy(task: StageTask): TaskFacts | undefined {
    const { stagedDirectory, stagedName, stat, isPrivate, digests } = task
    const place = { directory: this.#input.rootDirectory(stagedDirectory), name: stagedName }
    const staged = this.#input.mover.stageCopy(this.#source(task), place, {
      stat,
      mustBeUnchanged: true,
      isPrivate,
      inheritance: this.#inheritanceOf(stagedDirectory),
      ...(digests ? { payload: this.#digest } : {}),
    })
    addCopy(this.#totals, staged.copy)
    if (staged.copy !== undefined) this.#input.tellCopy?.(displayName(joinName(task.directory, task.name)), staged.copy)
    return this.#factsOfCopy(task, staged, place)
  }

  /** What was staged is what the record says, also where some of the image's metadata could not be kept. */
  #factsOfCopy({ identifies }: StageTask, staged: StagedObject, place: Place): TaskFacts | undefined {
    const { attributes, lost, finalFlags } = staged
    const isAsTheImage = lost.length === 0
    const isPlain = isAsTheImage && attributes.xattrs.length === 0 && finalFlags === undefined && !identifies
    if (isPlain) return undefined
    return {
      xattrs: isAsTheImage ? attributes.xattrs : this.#input.comparer.attributesAt(place),
      ...(isAsTheImage ? {} : { lost, staged: partsOf(this.#kernel.statat(place.directory, place.name)) }),
      ...(finalFlags === undefined ? {} : { finalFlags }),
      ...(identifies ? { identity: identityOf(this.#kernel, place.directory, place.name) ?? '' } : {}),
    }
  }

  #compare(task: StageTask): TaskFacts | undefined {
    const target = { directory: this.#input.rootDirectory(task.stagedDirectory), name: task.stagedName }
    const live = this.#kernel.findat(target.directory, target.name)
    if (live === undefined) return { comparison: { live: 'different' } } // it has gone since
    const { sha256, ...comparison } = this.#input.comparer.compare(task.stat, this.#source(task), target, live)
    if (sha256 !== undefined) this.#digest.value = Buffer.from(sha256, 'hex')
    return comparison.live === 'same' && comparison.xattrs?.length === 0 ? undefined : { comparison }
  }

  #inheritanceOf(directory: Name): Inheritance {
    if (this.#inheritance.directory !== directory) this.#inheritance = { directory, of: new Inheritance() }
    return this.#inheritance.of
  }

  #inspect(task: StageTask): TaskFacts | undefined {
    const { type } = task.stat
    const flags = type === 'directory' ? O_RDONLY | O_DIRECTORY : type === 'file' ? O_RDONLY | O_NONBLOCK : O_PATH
    const source = this.#source(task)
    const fd = this.#kernel.openat(source.directory, source.name, flags | O_NOFOLLOW)
    return withDescriptor(this.#kernel, fd, () => {
      const now = this.#kernel.fstat(fd)
      this.#refuseOther(task, now)
      const { policy } = this.#input.mover
      const names = listNames(this.#kernel, fd)
      if (names === undefined || differsFromCopy(names, policy)) return { differsFromCopy: true }
      if (task.digests) this.#digest.ofFile(fd)
      if (names.length === 0) return undefined
      return { xattrs: readAttributes(this.#kernel, fd, now, policy).xattrs }
    })
  }

  /** @throws {SourceReplacedError} when the image changed since the plan was made */
  #refuseOther(task: StageTask, now: Stat): void {
    const { stat } = task
    const isSame =
      now.ino === stat.ino &&
      now.dev === stat.dev &&
      now.type === stat.type &&
      (now.type === 'directory' ||
        (now.size === stat.size && now.mtimeNs === stat.mtimeNs && now.ctimeNs === stat.ctimeNs))
    if (isSame) return
    const name = displayName(joinName(task.directory, task.name))
    throw new SourceReplacedError(name, 'changed while it was being merged')
  }
}

function partsOf({ uid, gid, mode, mtimeNs, size }: Stat): TaskFacts['staged'] & object {
  return { uid, gid, mode, mtimeNs, size }
}
