// The thread that the engine runs in: takes calls one after the other, answers each.

import { parentPort, workerData } from 'node:worker_threads'
import { CancelFlag } from './cancel.ts'
import { FactCollector } from './diagnostics.ts'
import { packError } from './engineErrors.ts'
import { answerShare, mayBegin } from './engineShares.ts'
import { type Engine, type EngineCall, type EngineMessage, engineContext } from './engineThread.ts'
import { openKernel } from './linux.ts'
import { Question } from './question.ts'

const opening = openKernel()
opening.catch(() => {}) // every call awaits it, and answers with the error

// A call to it will say what is wrong with it.
if (typeof workerData === 'string') import(workerData).catch(() => {})

async function answer(call: EngineCall): Promise<EngineMessage> {
  const { module, name, argument, answer, observed, share } = call
  const collector = new FactCollector((facts) => post({ kind: 'facts', facts }))
  try {
    const engine = ((await import(module)) as Record<string, Engine<unknown, unknown>>)[name]
    if (engine === undefined) throw new TypeError(`${module} exports no ${name}`)
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

parentPort?.on('message', async (call: EngineCall) => {
  const message = await answer(call)
  if (call.share === undefined) post(message)
  else answerShare(call.share, message)
})
