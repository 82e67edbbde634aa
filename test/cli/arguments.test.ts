import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { expectExit, run, runWithoutProc } from '../support/command.ts'
import { needRoot } from '../support/nativePackages.ts'
import { withDirectory } from '../support/scratch.ts'

describe("the command's arguments", () => {
  it('are bytes, empty ones and those with line ends too', () => {
    const { stderr } = expectExit(run('owner', '/x', '--root', Buffer.from('/absent\xff\n', 'latin1')), 2)
    assert.match(stderr, /the root '\/absent\\377\\012' is not a directory/)
    assert.match(expectExit(run('list', '--root', ''), 2).stderr, /the root '' is not a directory/)
    assert.match(expectExit(run(), 2).stderr, /^Usage: rootmerge/)
  })

  it('are text where /proc does not say more', function () {
    needRoot(this)
    return withDirectory((directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      for (const made of [root, image]) fs.mkdirSync(made)
      fs.writeFileSync(join(image, 'größe'), '1')
      expectExit(runWithoutProc('merge', image, '--package', 'p', '--root', root), 0)
      assert.equal(expectExit(runWithoutProc('owner', '/größe', '--root', root), 0).stdout, '/größe: p\n')
      assert.equal(expectExit(runWithoutProc('list', 'p', '--root', root), 0).stdout, '/größe\n')
    })
  })
})
