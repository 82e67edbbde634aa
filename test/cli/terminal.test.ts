import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { isTerminal } from '../../src/cli/terminal.ts'
import { run, Terminal } from '../support/command.ts'

/** What starts bold text on a terminal (ECMA-48, "select graphic rendition"). */
const bold = '\x1b[1m'

describe('a terminal', () => {
  for (const path of ['/dev/null', '/dev/zero', '/proc/self/status', '/']) {
    it(`is not ${path}`, () => {
      const stream = fs.openSync(path, 'r')
      try {
        assert.equal(isTerminal(stream), false)
      } finally {
        fs.closeSync(stream)
      }
    })
  }

  it('is /dev/ptmx, the side of a terminal that programs like xterm hold', () => {
    const stream = fs.openSync('/dev/ptmx', fs.constants.O_RDWR | fs.constants.O_NOCTTY)
    try {
      assert.equal(isTerminal(stream), true)
    } finally {
      fs.closeSync(stream)
    }
  })

  it('is no stream that is closed', () => {
    const stream = fs.openSync('/dev/null', 'r')
    fs.closeSync(stream)
    assert.equal(isTerminal(stream), false)
  })

  it('is what help has headings for, and a pipe is not', async () => {
    const terminal = new Terminal(['--help'])
    assert.equal(await terminal.ended(), 0)
    assert.ok(terminal.shown.includes(bold), terminal.shown)
    assert.ok(!run('--help').stdout.includes('\x1b'))
  })
})
