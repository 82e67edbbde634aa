import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { UnsupportedPlatformError } from '../../src/sys/index.ts'
import { platformNumbers } from '../../src/sys/platform.ts'

/** `#define __NR_name number` of a header; arm64 has the numbers of asm-generic. */
const headers = {
  x64: ['/usr/include/x86_64-linux-gnu/asm/unistd_64.h', '/usr/include/asm/unistd_64.h'],
  arm64: ['/usr/include/asm-generic/unistd.h'],
} as const

/** asm-generic gives calls with a 64-bit offset another name in its table. */
const otherNames: Readonly<Record<string, string>> = {
  lseek: '3264_lseek|lseek',
  sendfile: '3264_sendfile|sendfile',
  fcntl: '3264_fcntl|fcntl',
  ftruncate: '3264_ftruncate|ftruncate',
  fstatfs: '3264_fstatfs|fstatfs',
}

describe('platformNumbers()', () => {
  for (const [architecture, files] of Object.entries(headers)) {
    it(`has the numbers of the kernel's own headers for ${architecture}`, function () {
      const file = files.find((name) => existsSync(name))
      if (file === undefined) {
        process.stderr.write(`skipped: no kernel header for ${architecture} here (Debian: linux-libc-dev)\n`)
        return this.skip()
      }
      const text = readFileSync(file, 'utf8')
      const { calls } = platformNumbers('linux', architecture)
      let found = 0
      for (const [name, number] of Object.entries(calls)) {
        const match = new RegExp(`^#define __NR_?(?:${otherNames[name] ?? name})\\s+(\\d+)$`, 'm').exec(text)
        if (match === null) continue // newer than the headers
        assert.equal(number, Number(match[1]), name)
        found++
      }
      assert.ok(found > 35, `only ${found} calls are in ${file}`)
    })
  }

  it('refuses every other platform by name', () => {
    for (const [platform, architecture] of [
      ['darwin', 'arm64'],
      ['linux', 'ia32'],
      ['linux', 'toString'],
    ] as const) {
      assert.throws(() => platformNumbers(platform, architecture), UnsupportedPlatformError)
    }
  })
})
