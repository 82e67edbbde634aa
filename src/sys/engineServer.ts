// The thread that the engine runs in: takes calls one after the other, answers each.

import { parentPort, workerData } from 'node:worker_threads'
import { CancelFlag } from './cancel.ts'
import { FactCollector } from './diagnostics.ts'
import { packError } from './engineErrors.ts'
import type { EngineCall, EngineMessage } from './engineMessages.ts'
import { answerShare, mayBegin } from './engineShares.ts'
import { type EngineTable, loadEngine } from './engineTable.ts'
import { engineContext } from './engineThread.ts'
import { tellLoaded, type WorkerStart } from './engineWorker.ts'
import type { Kernel } from './kernel.ts'
import { openKernel } from './linux.ts'
import { Question } from './question.ts'

/** Serves the calls of the thread that started this one, by the engines of `table`. */
export function serveEngines(table: EngineTable): void {
  const start = workerData as WorkerStart
  const opening = openKernel()
  opening.catch(() => {}).finally(() => tellLoaded(start)) // every call awaits it, and answers with the error
  // A call to it will say what is wrong with it.
  if (start.firstEngine !== undefined) loadEngine(table, start.firstEngine).catch(() => {})
  parentPort?.on('message', async (call: EngineCall) => {
    const message = await answer(table, opening, call)
    if (call.share === undefined) post(message)
    else answerShare(call.share, message)
  })
}

async function answer(table: EngineTable, opening: Promise<Kernel>, call: EngineCall): Promise<EngineMessage> {
  const { name, argument, answer, observed, share } = call
  const collector = new FactCollector((facts) => post({ kind: 'facts', facts }))
  try {
    const engine = await loadEngine(table, name)
    const report = (progress: unknown) => {
      collector.flush() // what was done comes before what is done next
      post({ kind: 'progress', progress })
    }
    const cancel = new CancelFlag(call.cancel)
    const context = engineContext(await opening, cancel, report, {
      hasThread: share === undefined,
      ...(observed && { tellCopy: collector.add.bind(collector) }),
      ...(answer && {
        ask: (question) => new Question(answer).ask(() => post({ kind: 'question', question }), cancel),
      }),
    })
    if (share !== undefined && !mayBegin(share)) return { kind: 'result', result: undefined }
    return { kind: 'result', result: await engine(context, argument) }
  } catch (error) {
    return { kind: 'error', error: packError(error) }
  } finally {
    collector.flush()
  }
}

function post(message: EngineMessage): void {
  try {
    parentPort?.postMessage(message)
  } catch (error) {
    parentPort?.postMessage({ kind: 'error', error: packError(error) })
  }
}
