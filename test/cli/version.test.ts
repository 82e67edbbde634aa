import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { withDirectory } from '../support/scratch.ts'

/** The compiled module, as it would be in another place. */
async function versionAt(directory: string, place: string): Promise<string> {
  const copy = join(directory, place)
  fs.mkdirSync(join(copy, '..'), { recursive: true })
  fs.copyFileSync(fileURLToPath(new URL('../../src/cli/version.js', import.meta.url)), copy)
  const { packageVersion } = (await import(pathToFileURL(copy).href)) as { packageVersion: () => string }
  return packageVersion()
}

describe('the version', () => {
  it('is that of the nearest package.json above, however deep the command lies in it', () =>
    withDirectory(async (directory) => {
      fs.writeFileSync(join(directory, 'package.json'), '{"version": "1.2.3"}')
      assert.equal(await versionAt(directory, 'dist/version.mjs'), '1.2.3')
      assert.equal(await versionAt(directory, 'build/src/cli/version.mjs'), '1.2.3')
    }))

  it('is unknown where there is none', () =>
    withDirectory(async (directory) => {
      assert.equal(await versionAt(directory, 'alone/version.mjs'), 'unknown')
    }))
})
