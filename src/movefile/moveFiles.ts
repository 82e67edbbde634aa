// Many objects into one directory, as `mv FILE... DIRECTORY` does.

import {
  callEngine,
  type EngineContext,
  type Fd,
  joinName,
  type Name,
  O_DIRECTORY,
  O_RDONLY,
  openPath,
  type PackedError,
  packError,
  type Stat,
  SyscallError,
  toName,
  unpackError,
} from '../sys/index.ts'
import { withDescriptor } from './descriptors.ts'
import type { MoveReport, Mover } from './mover.ts'
import { meansDirectory, OpenParents } from './paths.ts'
import type { Place } from './place.ts'
import { errors, type PlaceOptions, type Request, requestOf, threadOptions, withMover } from './request.ts'
import type { Route } from './route.ts'
import { type ManyMoves, moveInThreads } from './twoThreads.ts'

/** What moving many can be asked for. */
export type MoveFilesOptions = Omit<PlaceOptions, 'expected' | 'newMtime'>

/** What became of one source: its report, or why it is where it was. */
export type MovedFile = PromiseSettledResult<MoveReport>

/**
 * As MovedFile, in a message. Of a rename that lost nothing only the time: cloning its report took 1.2 to 2.1 µs, when no
 * thread moves anything any more, of the 22 µs that a rename takes.
 */
type Answer = bigint | { readonly report: MoveReport } | { readonly error: PackedError }

interface ManyRequest extends Request, Pick<ManyMoves, 'sources' | 'leavesLinked'> {}

/**
 * Moves objects of any type into a directory, each under its own last name.
 *
 * Each is moved as moveFile moves it, and by itself: what cannot be moved stays, and the others go on. Of two sources
 * with one last name the second stays. Names of one file stay names of one file. When the signal ends it, what has
 * been moved stays moved. Thousands from one directory are moved by two threads, so in no order.
 *
 * @returns  one result for each source, in their order, in the shape of Promise.allSettled
 * @throws {SyscallError} when `directory` cannot be opened (ENOENT, ENOTDIR, EACCES); nothing was moved
 * @throws the reason of the signal
 */
export async function moveFiles(
  sources: readonly (string | Uint8Array)[],
  directory: string | Uint8Array,
  options: MoveFilesOptions = {},
): Promise<MovedFile[]> {
  const { onProgress, ...others } = options
  const request = requestOf('', directory, options, {})
  const move = ({ onProgress, ...some }: ManyMoves) => {
    const callOptions = threadOptions({ ...others, ...(onProgress && { onProgress }) })
    return callEngine<(Answer | undefined)[]>('moveManyInThread', { ...request, ...some }, callOptions)
  }
  const answers = await moveInThreads<Answer>(sources.map(toName), move, onProgress)
  return answers.map(movedFileOf)
}

function answerOf(report: MoveReport): Answer {
  const { method, mtimeNs, copy, lost } = report
  return method === 'rename' && copy === undefined && lost.length === 0 ? mtimeNs : { report }
}

function movedFileOf(answer: Answer): MovedFile {
  if (typeof answer === 'bigint') return { status: 'fulfilled', value: { method: 'rename', mtimeNs: answer, lost: [] } }
  if ('report' in answer) return { status: 'fulfilled', value: answer.report }
  return { status: 'rejected', reason: unpackError(answer.error, errors) }
}

/** In the thread: moves each. */
export function moveManyInThread(context: EngineContext, request: ManyRequest): (Answer | undefined)[] {
  const { kernel } = context
  return withDescriptor(kernel, openPath(kernel, request.target, O_RDONLY | O_DIRECTORY), (directory) =>
    withMover(context, request, (mover) => new MovesToOne(context, request, { mover, directory }).run()),
  )
}

class MovesToOne {
  readonly #context: EngineContext
  readonly #request: ManyRequest
  readonly #tools: { readonly mover: Mover; readonly directory: Fd }
  readonly #parents: OpenParents
  /** From the directory that is open. */
  #route: Route | undefined
  readonly #links = new MovedLinks()
  /** Two sources of one last name would replace each other, so only the first is moved, as mv(1) does it. */
  readonly #taken = new Set<Name>()

  constructor(context: EngineContext, request: ManyRequest, tools: { mover: Mover; directory: Fd }) {
    this.#context = context
    this.#request = request
    this.#tools = tools
    this.#parents = new OpenParents(context.kernel, (opened) => {
      this.#route = tools.mover.route(opened, tools.directory)
    })
  }

  run(): (Answer | undefined)[] {
    try {
      return this.#request.sources.map((source) => this.#answer(source))
    } finally {
      this.#parents.close()
    }
  }

  #answer(source: Name): Answer | undefined {
    const { cancel } = this.#context
    cancel.check()
    try {
      const report = this.#move(source)
      return report && answerOf(report)
    } catch (error) {
      cancel.check()
      return { error: packError(error) }
    }
  }

  /** Undefined when it is left for later. */
  #move(path: Name): MoveReport | undefined {
    const { mover, directory } = this.#tools
    const { placement, target: targetPath } = this.#request
    const source = this.#parents.place(path)
    const target = { directory, name: source.name }
    if (this.#taken.has(target.name))
      throw new SyscallError('EEXIST', 'renameat2', path, joinName(targetPath, target.name))
    const stat = this.#context.kernel.statat(source.directory, source.name)
    if (meansDirectory(path) && stat.type !== 'directory')
      throw new SyscallError('ENOTDIR', 'renameat2', path, joinName(targetPath, target.name))
    if (this.#request.leavesLinked && isLinked(stat)) return undefined
    const hardlinkCandidates = this.#links.candidatesFor(stat)
    const report = mover.move(source, target, { stat, hardlinkCandidates, route: this.#route, ...placement })
    this.#links.remember(stat, target)
    this.#taken.add(target.name)
    return report
  }
}

/** Where the first name of each file with several names went, until the last of them has followed. */
class MovedLinks {
  readonly #firsts = new Map<string, { readonly place: Place; names: number }>()

  candidatesFor(stat: Stat): Place[] {
    const first = this.#find(stat)
    return first === undefined ? [] : [first.place]
  }

  /** When no name is left the kernel may give the inode's number to another file: then it means nothing any more. */
  remember(stat: Stat, place: Place): void {
    const first = this.#find(stat)
    if (first !== undefined) {
      first.names--
      if (first.names === 0) this.#firsts.delete(inodeOf(stat))
    } else if (isLinked(stat)) {
      this.#firsts.set(inodeOf(stat), { place, names: stat.nlink - 1 })
    }
  }

  #find(stat: Stat) {
    return this.#firsts.size === 0 ? undefined : this.#firsts.get(inodeOf(stat))
  }
}

/** Whether an object has several names; a directory has links only from its own members. */
function isLinked({ nlink, type }: Stat): boolean {
  return nlink > 1 && type !== 'directory'
}

function inodeOf({ dev, ino }: Stat): string {
  return `${dev}:${ino}`
}
