import assert from 'node:assert/strict'
import { EngineInPlace } from '../../src/sys/engineInPlace.ts'
import { EngineThreads } from '../../src/sys/engineThreads.ts'
import * as engines from '../support/engines.ts'

const threads = new EngineThreads(new URL('../support/engineWorker.js', import.meta.url))
const table = Object.fromEntries(Object.keys(engines).map((name) => [name, async () => engines]))

function inPlace(look = () => {}): EngineInPlace {
  return new EngineInPlace(table, look, threads)
}

/** Whether the event loop turned while something was awaited. */
async function ticksDuring(work: Promise<unknown>): Promise<number> {
  let ticks = 0
  const timer = setInterval(() => ticks++, 5)
  await work
  clearInterval(timer)
  return ticks
}

describe('EngineInPlace', () => {
  it('passes copies in and out, bytes as Uint8Array, as a thread does', async () => {
    const argument = { list: [1, 2n], bytes: Buffer.from([1, 2]) }
    const result = await inPlace().call<typeof argument>('echo', argument)
    assert.deepEqual(result, await threads.call('echo', argument))
    assert.notEqual(result.list, argument.list)
    assert.equal(result.bytes.constructor, Uint8Array)
  })

  it('works in the calling thread', async () => {
    assert.ok((await ticksDuring(inPlace().call('waitFor', 300))) < 5)
  })

  it('keeps class and fields of an error', async () => {
    const error = await inPlace()
      .call('breakWindow', undefined)
      .catch((e) => e)
    assert.ok(error instanceof engines.WindowBroken)
    assert.deepEqual(error.panes, ['upper', 'lower'])
    await assert.rejects(inPlace().call('notThere', undefined), { name: 'TypeError' })
  })

  it('passes progress in order', async () => {
    const seen: unknown[] = []
    await inPlace().call('reportTwice', undefined, { onProgress: (progress) => seen.push(progress) })
    assert.deepEqual(seen, [{ done: 1 }, { done: 2 }])
  })

  it('lets others look while it works, and ends with the reason of a signal that they abort', async () => {
    const controller = new AbortController()
    const reason = new Error('told to stop')
    let looks = 0
    const host = inPlace(() => {
      if (++looks === 3) controller.abort(reason)
    })
    await assert.rejects(host.call('waitFor', 30_000, { signal: controller.signal }), reason)
    assert.equal(await host.call('echo', 'again'), 'again')
    await assert.rejects(host.call('echo', 1, { signal: controller.signal }), reason)
  })

  it('leaves to threads what is called meanwhile, and what asks questions', async () => {
    const host = inPlace()
    const [first, second] = await Promise.all([host.call('waitFor', 100), host.call('waitFor', 100)])
    assert.deepEqual([first, second], ['waited', 'waited'])
    assert.ok((await ticksDuring(host.call('waitFor', 300, { onQuestion: () => true }))) > 10)
  })
})
