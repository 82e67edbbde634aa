import assert from 'node:assert/strict'
import { ByteSource } from '../../../src/merge/archive/byteSource.ts'
import type { Member } from '../../../src/merge/archive/member.ts'
import { readTar } from '../../../src/merge/archive/tarReader.ts'
import { rawMember, rawTar } from '../../support/rawTar.ts'

/** What a tar's members are, without their payloads. */
function membersOf(...blocks: Buffer[]): Omit<Member, 'payload'>[] {
  const source = new ByteSource('image', [rawTar(...blocks)])
  return [...readTar(source, { headerBytes: 65536 })].map(({ payload: _, ...member }) => member)
}

describe('headers of tar', () => {
  it('may have a checksum of signed bytes, also those of long names', () => {
    const name = 'h\xe4\xf6'
    const long = `${name}${'n'.repeat(200)}`
    const longName = { type: 'L', magic: 'gnu', name: '\xff', payload: `${long}\0`, isSigned: true } as const
    const members = membersOf(
      rawMember({ name, payload: 'x', isSigned: true }),
      rawMember(longName),
      rawMember({ name: 'cut', isSigned: true, uid: 7 }),
    )
    assert.deepEqual(
      members.map(({ path, size, uid }) => [path, size, uid]),
      [
        [name, 1, 0],
        [long, 0, 7],
      ],
    )
  })

  it('are none with a checksum that is neither', () => {
    for (const checksumError of [1, -1, -256, 512])
      assert.throws(() => membersOf(rawMember({ name: 'h\xe4', checksumError, isSigned: true })), /checksum is wrong/)
  })

  it('have the numbers that GNU tar reads behind a NUL of the field before', () => {
    const number = (text: string) => Buffer.from(`\0${text}`, 'latin1')
    const [member] = membersOf(rawMember({ over: { 108: number('001750 '), 124: number('0000000000 ') } }))
    assert.equal(member?.uid, 1000)
  })

  it('tell how long a long name is in whatever way a number can be written', () => {
    const long = 'n'.repeat(200)
    const sizes = [Buffer.from('\t0000000311 '), Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 201])]
    for (const size of sizes) {
      const longName = rawMember({ type: 'L', magic: 'gnu', payload: `${long}\0`, over: { 124: size } })
      assert.deepEqual(
        membersOf(longName, rawMember({ name: 'cut' })).map(({ path }) => path),
        [long],
      )
    }
  })
})
