import assert from 'node:assert/strict'
import fc from 'fast-check'
import { displayName, nameBytes, toName } from '../../src/sys/index.ts'

describe('toName()', () => {
  it('is undone by nameBytes, whatever the bytes are', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.deepEqual(nameBytes(toName(bytes)), Buffer.from(bytes))))
    fc.assert(fc.property(fc.string(), (text) => assert.deepEqual(nameBytes(toName(text)), Buffer.from(text))))
  })
})

describe('displayName()', () => {
  it('shows UTF-8 as it is, and escapes the rest in octal', () => {
    const shown: Readonly<Record<string, string>> = {
      plain: 'plain',
      Ελλάδα: 'Ελλάδα',
      'new\nline': 'new\\012line',
      'back\\slash': 'back\\134slash',
      '\u0085': '\\302\\205',
    }
    for (const [name, expected] of Object.entries(shown)) assert.equal(displayName(toName(name)), expected)
    assert.equal(displayName('\xff\xfe a'), '\\377\\376 a')
  })

  it('shows different names differently, each on one line', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (left, right) => {
        const [a, b] = [toName(left), toName(right)]
        assert.equal(displayName(a) === displayName(b), a === b)
        assert.doesNotMatch(displayName(a), /[\n\r\u2028\u2029]/)
      }),
    )
  })
})
