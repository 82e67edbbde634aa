import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { setMaxListeners } from 'node:events'
import { types } from 'node:util'
import { EngineThreads } from '../../src/sys/engineThreads.ts'
import { SyscallError } from '../../src/sys/index.ts'
import { WindowBroken } from '../support/engines.ts'

const worker = new URL('../support/engineWorker.js', import.meta.url)
const threads = new EngineThreads(worker)

describe('EngineThreads', () => {
  it('passes the argument in and the result out', async () => {
    const argument = { text: 'é', list: [1, 2n, undefined], bytes: new Uint8Array([1, 2]) }
    assert.deepEqual(await threads.call('echo', argument), argument)
  })

  it('passes bytes as Uint8Array, which make a name', async () => {
    assert.equal(await threads.call('nameOf', Buffer.from([0x61, 0xff])), 'a\xff')
  })

  it('keeps class, fields, cause and stack of an error', async () => {
    const error = await threads.call('breakWindow', undefined, { errors: [WindowBroken] }).catch((e) => e)
    assert.ok(error instanceof WindowBroken)
    assert.ok(types.isNativeError(error))
    assert.equal(error.message, '2 panes')
    assert.equal(error.name, 'WindowBroken')
    assert.equal(error.code, 'ERR_ROOTMERGE_WINDOW_BROKEN')
    assert.equal(error.hint, 'Call a glazier.')
    assert.deepEqual(error.panes, ['upper', 'lower'])
    assert.ok(error.cause instanceof SyscallError)
    assert.equal(error.cause.path, '/glass')
    assert.ok(error.reasons[0] instanceof SyscallError)
    assert.match(error.stack ?? '', /breakWindow/)
  })

  it('keeps the code and the name of an error whose class was not given', async () => {
    await assert.rejects(threads.call('breakWindow', undefined), {
      name: 'WindowBroken',
      code: 'ERR_ROOTMERGE_WINDOW_BROKEN',
    })
  })

  it('keeps what the kernel refused', async () => {
    const error = await threads.call('openMissing', '/nowhere/at/all').catch((e) => e)
    assert.ok(error instanceof SyscallError)
    assert.equal(error.code, 'ENOENT')
    assert.equal(error.errno, -2)
    assert.equal(error.syscall, 'openat')
    assert.equal(error.path, '/nowhere/at/all')
  })

  it('rejects when the engine throws a text, returns a function, or is not there', async () => {
    await assert.rejects(threads.call('throwText', undefined), { message: 'a text' })
    await assert.rejects(threads.call('returnFunction', undefined), { name: 'DataCloneError' })
    for (const name of ['exportedNowhere', 'inNoTable'])
      await assert.rejects(threads.call(name, undefined), { name: 'TypeError', message: `there is no engine ${name}` })
  })

  it('leaves the event loop free', async () => {
    let ticks = 0
    const timer = setInterval(() => ticks++, 5)
    await threads.call('waitFor', 300)
    clearInterval(timer)
    assert.ok(ticks > 10, `${ticks} ticks`)
  })

  it('passes progress in order', async () => {
    const seen: unknown[] = []
    await threads.call('reportTwice', undefined, { onProgress: (progress) => seen.push(progress) })
    assert.deepEqual(seen, [{ done: 1 }, { done: 2 }])
  })

  it("rejects with the signal's reason when it is aborted before the start", async () => {
    const reason = new Error('no longer wanted')
    await assert.rejects(threads.call('echo', 1, { signal: AbortSignal.abort(reason) }), reason)
  })

  it("rejects with the signal's reason when it is aborted as soon as it was called", async () => {
    const controller = new AbortController()
    const call = threads.call('waitFor', 30_000, { signal: controller.signal })
    controller.abort()
    await assert.rejects(call, { name: 'AbortError' })
  })

  it('ends the engine when its caller fails to take progress, and rejects with what that threw', async () => {
    const reason = new Error('no room for a line')
    const told: unknown[] = []
    const onProgress = (progress: unknown) => {
      told.push(progress)
      throw reason
    }
    await assert.rejects(threads.call('waitFor', 30_000, { onProgress }), reason)
    assert.deepEqual(told, ['waiting'])
  })

  it("rejects with the signal's reason when it is aborted while the engine runs", async () => {
    const controller = new AbortController()
    const onProgress = () => controller.abort()
    const call = threads.call('waitFor', 30_000, { signal: controller.signal, onProgress })
    await assert.rejects(call, { name: 'AbortError' })
    assert.equal(await threads.call('echo', 'again'), 'again')
  })

  it('rejects a call that is aborted while it waits for a thread', async () => {
    const all = new AbortController()
    setMaxListeners(0, all.signal)
    const busy = Array.from({ length: 64 }, () => threads.call('waitFor', 30_000, { signal: all.signal }))
    const settled = Promise.allSettled(busy)
    const one = new AbortController()
    const late = threads.call('echo', 1, { signal: one.signal })
    one.abort(new Error('too late'))
    await assert.rejects(late, { message: 'too late' })
    all.abort()
    for (const result of await settled) assert.equal(result.status, 'rejected')
  })

  it('answers many overlapping calls', async () => {
    const calls = Array.from({ length: 200 }, (_, n) => threads.call('echo', n))
    assert.deepEqual(
      await Promise.all(calls),
      calls.map((_, n) => n),
    )
  })

  it('rejects when the thread ends, and goes on with another', async () => {
    await assert.rejects(threads.call('exit', undefined), /ended without an answer/)
    assert.equal(await threads.call('echo', 'alive'), 'alive')
  })

  it('gives the next call to no thread that is about to end', async () => {
    await assert.rejects(threads.call('throwLater', undefined), ({ cause }: Error) => String(cause) === 'Error: later')
    assert.equal(await threads.call('echo', 'alive'), 'alive')
  })

  it('lets the process end by itself', () => {
    const module = new URL('../../src/sys/engineThreads.js', import.meta.url)
    const program = `
      const { EngineThreads } = await import(${JSON.stringify(module.href)})
      const threads = new EngineThreads(new URL(${JSON.stringify(worker.href)}))
      console.log(await threads.call('waitFor', 50), await threads.call('echo', 'done'))`
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 })
    assert.equal(child.stdout.toString(), 'waited done\n', child.stderr.toString())
    assert.equal(child.status, 0)
  })
})
