import assert from 'node:assert/strict'
import { errnoName, errnoNumber, SyscallError } from '../../src/sys/index.ts'
import { loadLibc } from '../../src/sys/koffi.ts'

describe('errno', () => {
  it("has the C library's name and words for every number", () => {
    const libc = loadLibc()
    const nameOf = libc.func('const char *strerrorname_np(int)') as (errno: number) => string | null
    const textOf = libc.func('const char *strerror(int)') as (errno: number) => string
    let found = 0
    for (let errno = 1; errno < 600; errno++) {
      const name = nameOf(errno) ?? `E${errno}`
      if (name !== `E${errno}`) found++
      assert.equal(errnoName(errno), name)
      assert.equal(errnoNumber(errnoName(errno)), errno)
      const { message } = new SyscallError(errnoName(errno), 'open', '/file')
      assert.equal(message.toLowerCase(), `${name}: ${textOf(errno)}, open '/file'`.toLowerCase())
    }
    assert.ok(found > 130, `only ${found} have names`)
  })
})
