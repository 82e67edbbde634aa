// The thread that the engine runs in: takes calls one after the other, answers each.

import { parentPort } from 'node:worker_threads'
import { CancelFlag } from './cancel.ts'
import { packError } from './engineErrors.ts'
import { type Engine, type EngineCall, type EngineMessage, engineContext } from './engineThread.ts'
import { openKernel } from './linux.ts'

const opening = openKernel()
opening.catch(() => {}) // every call awaits it, and answers with the error

async function answer({ module, name, argument, cancel }: EngineCall): Promise<EngineMessage> {
  try {
    const engine = ((await import(module)) as Record<string, Engine<unknown, unknown>>)[name]
    if (engine === undefined) throw new TypeError(`${module} exports no ${name}`)
    const report = (progress: unknown) => post({ kind: 'progress', progress })
    return {
      kind: 'result',
      result: await engine(engineContext(await opening, new CancelFlag(cancel), report), argument),
    }
  } catch (error) {
    return { kind: 'error', error: packError(error) }
  }
}

function post(message: EngineMessage): void {
  try {
    parentPort?.postMessage(message)
  } catch (error) {
    parentPort?.postMessage({ kind: 'error', error: packError(error) })
  }
}

parentPort?.on('message', async (call: EngineCall) => post(await answer(call)))
