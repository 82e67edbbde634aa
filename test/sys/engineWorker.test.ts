import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CancelFlag } from '../../src/sys/cancel.ts'
import { EngineShares } from '../../src/sys/engineShares.ts'
import { withDirectory } from '../support/scratch.ts'

const worker = new URL('../../src/sys/engineWorker.js', import.meta.url).href
const shares = new URL('../../src/sys/engineShares.js', import.meta.url).href
const cancel = new URL('../../src/sys/cancel.js', import.meta.url).href

function run(program: string): void {
  const { status, signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  })
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr)
}

describe('a thread that is loading what it needs', function () {
  this.timeout(60_000)

  it('is waited for by a process that ends meanwhile', () =>
    withDirectory((directory) => {
      const done = join(directory, 'done')
      const slow = `import { writeFileSync } from 'node:fs'
         import { workerData } from 'node:worker_threads'
         import { tellLoaded } from '${worker}'
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
         writeFileSync('${done}', '')
         tellLoaded(workerData)`
      run(`import { startWorker } from '${worker}'
           startWorker(new URL('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(slow))})).unref()
           process.exit(0)`)
      assert.ok(existsSync(done), 'the process ended while its thread was loading')
    }))

  // What it is doing when it is ended is a matter of milliseconds: so after each number of them.
  it('does not take the engine with it that it was to help, and that is done already', () => {
    run(`import { EngineShares } from '${shares}'
         import { CancelFlag } from '${cancel}'
         for (let delay = 10; delay < 90; delay++) {
           const helpers = new EngineShares({ name: 'stageShare', cancel: new CancelFlag(), errors: [] }, 1)
           await new Promise((resolve) => setTimeout(resolve, delay))
           helpers.end()
         }`)
  })
})

describe('a thread that ends without a word', () => {
  const module = new URL('../support/engineWorker.js', import.meta.url)

  it('is missed by the engine that it was to help, which cannot hear of it', () => {
    const shares = new EngineShares({ name: 'exit', cancel: new CancelFlag(), errors: [] }, 1, module)
    try {
      shares.begin(undefined)
      const until = Date.now() + 20_000
      assert.throws(() => {
        while (Date.now() < until) shares.demandAll()
      }, /a thread that helped with exit ended without an answer/)
      assert.throws(() => shares.finish(() => {}), /a thread that helped with exit ended without an answer/)
    } finally {
      shares.end()
    }
  })
})
