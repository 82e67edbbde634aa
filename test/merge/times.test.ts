import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { merge, verify } from '../../src/merge/index.ts'
import { hasTime } from '../../src/merge/times.ts'
import { itAsRoot } from '../support/asRoot.ts'
import { run } from '../support/disks.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

describe('hasTime()', () => {
  for (const [what, mtimeNs, ctimeNs, wantedNs, expected] of [
    ['the very time', 5_000_000_001n, 7_123_456_789n, 5_000_000_001n, true],
    ['whole seconds', 5_000_000_000n, 7_000_000_000n, 5_999_999_999n, true],
    ['whole seconds before 1970', -5_000_000_000n, 7_000_000_000n, -4_000_000_001n, true],
    ['every other second', 4_000_000_000n, 7_000_000_000n, 5_999_999_999n, true],
    ['whole seconds where nanoseconds are kept', 5_000_000_000n, 7_123_456_789n, 5_999_999_999n, false],
    ['a second too early', 5_000_000_000n, 7_000_000_000n, 6_000_000_000n, false],
    ['a time that was rounded up', 6_000_000_000n, 7_000_000_000n, 5_999_999_999n, false],
    ['another nanosecond', 5_000_000_001n, 7_000_000_000n, 5_000_000_002n, false],
  ] as const) {
    it(`${expected ? 'takes' : 'refuses'} ${what}`, () => {
      assert.equal(hasTime({ mtimeNs, ctimeNs }, wantedNs), expected)
    })
  }
})

itAsRoot('a root that keeps whole seconds is as it was merged, and another time is noticed', () =>
  withDirectory(async (directory) => {
    const [disk, root, image] = ['disk', 'root', 'image'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ]
    fs.writeFileSync(disk, '')
    fs.truncateSync(disk, 32 * 1024 ** 2)
    run('mkfs.ext4', '-q', '-F', '-I', '128', disk)
    for (const point of [root, image]) fs.mkdirSync(point)
    writeTree(image, 'f /file "x"\nl /link -> file\np /fifo')
    run('mount', '-o', 'loop', disk, root)
    try {
      await merge({ root, image, package: 'p' })
      assert.deepEqual(await verify({ root }), [])
      fs.utimesSync(join(root, 'file'), 1, 1)
      assert.deepEqual(
        (await verify({ root })).map(({ differences }) => differences),
        [['mtime']],
      )
    } finally {
      run('umount', root)
    }
  }),
)
