import assert from 'node:assert/strict'
import { nameMemory } from '../../src/sys/nameMemory.ts'

const room = 8
const address = 1000

/** What stands at the addresses of names that are put into memory one after the other. */
function atAddresses(names: readonly string[]): { addresses: number[]; textAt: (address: number) => string } {
  const memory = Buffer.alloc(3 * room, 'x')
  const put = nameMemory(memory, address, room)
  return {
    addresses: names.map(put),
    textAt: (at) => memory.toString('latin1', at - address, memory.indexOf(0, at - address)),
  }
}

describe('nameMemory()', () => {
  const words = ['', '.', 'a', 'b', 'longer', '\xff']

  it('has the last two names at their addresses, whatever was asked before', () => {
    for (let number = 0; number < words.length ** 5; number++) {
      const names = [0, 1, 2, 3, 4].map(
        (digit) => words[Math.floor(number / words.length ** digit) % words.length] ?? '',
      )
      const { addresses, textAt } = atAddresses(names)
      assert.deepEqual(addresses.slice(-2).map(textAt), names.slice(-2), names.join())
    }
  })

  it('leaves a name that stands in memory where it is', () => {
    const { addresses } = atAddresses(['a', '.', 'a', 'b', '.', 'c', '.'])
    const [a, dot, again, , sameDot, , stillDot] = addresses
    assert.deepEqual([again, sameDot, stillDot], [a, dot, dot])
  })

  it('refuses what is no name in bytes, or too long, and keeps what it has', () => {
    const memory = Buffer.alloc(3 * room)
    const put = nameMemory(memory, address, room)
    const at = put('kept')
    put('other')
    assert.throws(() => put('a\0b'), { code: 'EINVAL' })
    assert.throws(() => put('\u0100'), TypeError)
    assert.throws(() => put('x'.repeat(room)), { code: 'ENAMETOOLONG' })
    assert.equal(put('x'.repeat(room - 1)) % room, at % room)
    assert.equal(put('kept'), at)
    assert.equal(memory.toString('latin1', at - address, at - address + 5), 'kept\0')
  })
})
