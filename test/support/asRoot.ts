// Tests that only root can play.

import { writeSync } from 'node:fs'

/** Whether root runs the tests. */
export const isRoot: boolean = process.getuid?.() === 0

/** Defines a test that only root can play; elsewhere it says so. */
export function itAsRoot(title: string, body: () => Promise<unknown>): void {
  it(title, function () {
    if (isRoot) return body()
    writeSync(2, `skipped: ${title}: needs root\n`)
    this.skip()
  })
}
