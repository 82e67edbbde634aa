import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { CancelFlag } from '../../src/sys/cancel.ts'
import { EngineShares } from '../../src/sys/engineShares.ts'

const worker = new URL('../../src/sys/engineWorker.js', import.meta.url).href
const shares = new URL('../../src/sys/engineShares.js', import.meta.url).href
const cancel = new URL('../../src/sys/cancel.js', import.meta.url).href

function run(program: string): void {
  const { status, signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  })
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr)
}

// What a thread is doing when it is ended is a matter of milliseconds: so after each number of them.
describe('a thread that is loading what it needs', function () {
  this.timeout(60_000)

  it('does not take the process with it that ends meanwhile', () => {
    for (let delay = 20; delay < 80; delay += 6) {
      run(`import { engineWorker, startWorker } from '${worker}'
           for (const stagger of [0, 2, 4]) setTimeout(() => startWorker(engineWorker, 'stageShare').unref(), stagger)
           setTimeout(() => process.exit(0), ${delay})`)
    }
  })

  it('nor the engine that it was to help, and that is done already', () => {
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
