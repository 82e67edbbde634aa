// Writes the hostile archives to fixtures/archives/, one file each, gzip around those that are not small by themselves.
//
//   node build/scripts/makeFixtures.js

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { hostileArchives } from '../test/support/hostileArchives.ts'

const directory = join(import.meta.dirname, '../../fixtures/archives')
mkdirSync(directory, { recursive: true })
for (const [name, { make, isSmall }] of Object.entries(hostileArchives)) {
  const bytes = make()
  writeFileSync(join(directory, name), isSmall ? bytes : gzipSync(bytes, { level: 9 }))
}
