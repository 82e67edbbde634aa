// One seed for the whole run: fast-check takes it, everything else asks seeded.ts, and it is printed.

import { writeSync } from 'node:fs'
import fc from 'fast-check'
import { seed } from './seeded.ts'

fc.configureGlobal({ seed })
process.on('exit', (code) => {
  if (code !== 0) writeSync(1, `\nrepeat it with ROOTMERGE_TEST_SEED=${seed}\n`)
})
