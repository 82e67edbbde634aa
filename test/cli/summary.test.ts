import assert from 'node:assert/strict'
import { describeBytes, describeCounts, describeLost, describePhases } from '../../src/cli/summary.ts'

describe('the summary', () => {
  it('tells counts in words, and fates that it does not know by their own', () => {
    assert.equal(
      describeCounts({ keepDirectory: 2, place: 1234, strange: 1 }),
      'placed 1,234, directories kept 2, strange 1',
    )
    assert.equal(describeCounts({}), 'nothing to do')
  })

  it('tells what moved the bytes, and where the time went', () => {
    assert.equal(
      describeBytes({ reflink: 1048576, other: 1 }, 4096),
      '1.0 MiB shared (reflink), 1 B by other, 4.0 KiB of holes kept',
    )
    assert.equal(describeBytes({}, 0), undefined)
    assert.equal(describePhases({ plan: 20, stage: 150 }), 'took 0.17 s: plan 0.02 s, stage 0.15 s')
    assert.equal(describePhases({}), undefined)
  })

  it('tells what of the metadata was lost: a few names, and how many more', () => {
    assert.equal(describeLost({ what: 'owner', code: 'EPERM', names: ['a'] }), 'the owner of a (EPERM)')
    const names = Array.from({ length: 1237 }, (_, n) => `usr/${n}`)
    assert.equal(
      describeLost({ what: 'xattr', attribute: 'user.note', code: 'EOPNOTSUPP', names }),
      'the attribute user.note of usr/0, usr/1, usr/2 and 1,234 more (EOPNOTSUPP)',
    )
  })
})
