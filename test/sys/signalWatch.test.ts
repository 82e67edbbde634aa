import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'

const module = new URL('../../src/sys/signalWatch.js', import.meta.url).href

/** Runs a program that watches SIGTERM and SIGINT and never returns to its event loop. */
function watching(body: string) {
  const program = `
    const { SignalWatch } = await import(${JSON.stringify(module)})
    const { writeSync } = await import('node:fs')
    const say = (text) => writeSync(1, String(text) + '\\n')
    const send = (signal) => process.kill(process.pid, signal)
    const watch = new SignalWatch(['SIGTERM', 'SIGINT'])
    ${body}`
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  assert.equal(stderr, '')
  return { status, signal, lines: stdout.trim().split('\n') }
}

describe('SignalWatch', function () {
  this.timeout(30_000)

  it('tells a signal once, without a turn of the event loop', () => {
    const { status, lines } = watching(`
      say(watch.caught())
      send('SIGINT')
      say(watch.caught())
      say(watch.caught())
      send('SIGTERM')
      say(watch.caught())`)
    assert.deepEqual(lines, ['undefined', 'SIGINT', 'undefined', 'SIGTERM'])
    assert.equal(status, 0)
  })

  it('leaves the second signal its default effect, told of the first or not', () => {
    for (const between of ['', 'say(watch.caught())']) {
      const { signal } = watching(`send('SIGTERM'); ${between}; send('SIGTERM'); say('alive')`)
      assert.equal(signal, 'SIGTERM')
    }
  })

  it('closed, tells a signal that was not asked for, and the others do again what they did', () => {
    const { signal, lines } = watching(`
      send('SIGINT')
      say(watch.close())
      say(watch.close())
      send('SIGTERM')
      say('alive')`)
    assert.deepEqual(lines, ['SIGINT', 'undefined'])
    assert.equal(signal, 'SIGTERM')
  })

  it('goes with handlers that others set before and after', () => {
    const { status, lines } = watching(`
      watch.close()
      process.on('SIGTERM', (signal) => say('handled ' + signal))
      const again = new SignalWatch(['SIGINT', 'SIGTERM'])
      send('SIGTERM')
      say(again.caught())
      again.close()
      process.on('SIGINT', (signal) => say('handled ' + signal))
      send('SIGINT')
      await new Promise((resolve) => setTimeout(resolve, 100))`)
    assert.deepEqual(lines, ['SIGTERM', 'handled SIGINT'])
    assert.equal(status, 0)
  })
})
