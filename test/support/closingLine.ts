// Closes a run with one plain line that counts it, and makes a skipped test fail where nothing may be skipped.

import { writeSync } from 'node:fs'
import type { RootHookObject } from 'mocha'

let passed = 0
let failed = 0
let skipped = 0

/** Whether a skip counts as a failure: on CI everything must have run. */
export const nothingMayBeSkipped: boolean = (process.env.CI ?? '') !== ''

/** mocha loads these hooks before the first test file. */
export const mochaHooks: RootHookObject = {
  afterEach(this: Mocha.Context) {
    const test = this.currentTest
    if (test?.state === 'passed') passed++
    else if (test?.state === 'failed') failed++
    else skipped++
  },
}

process.on('exit', () => {
  if (skipped > 0 && nothingMayBeSkipped) {
    writeSync(2, `\n${skipped} tests were skipped, and with CI set nothing may be.\n`)
    failed += skipped
    process.exitCode = 1
  }
  writeSync(1, `\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
})
