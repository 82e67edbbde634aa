import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { list, merge, readRecord, unmerge, verify } from '../../src/merge/index.ts'
import { withDirectory } from '../support/scratch.ts'
import { snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'

const tree = `
f /usr/bin/tool            "tool"
f /usr/lib/tool.la         "libtool"
h /usr/lib/tool.bak        == /usr/lib/tool.la
h /usr/lib/tool.more       == /usr/lib/tool.la
f /usr/share/doc/tool/a    "a"
f /usr/share/doc/tool/b    "b"
f /usr/share/doc/other     "other"
d /usr/share/empty
l /usr/share/doc-link      -> doc
f /usr/share/man/man1/x    "manual"
`

function withTree(body: (root: string, image: string) => Promise<unknown>) {
  return () =>
    withDirectory(async (directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      for (const made of [root, image]) fs.mkdirSync(made)
      writeTree(image, tree)
      await body(root, image)
    })
}

function names(root: string): string[] {
  return [...snapshot(root, { without: ['var'] }).keys()].filter((name) => name !== '').sort()
}

function without(image: string, ...gone: string[]): string[] {
  return names(image).filter((name) => !gone.some((each) => name === each || name.startsWith(`${each}/`)))
}

describe('merge() with install masks', () => {
  it(
    'leaves files, links and directories out, remembers them, and verify is content',
    withTree(async (root, image) => {
      const installMask = ['/usr/share/doc', '*.la', '/usr/share/empty/', '/usr/share/doc-link']
      await merge({ root, image, package: 'p', installMask })
      const gone = ['usr/share/doc', 'usr/lib/tool.la', 'usr/share/empty', 'usr/share/doc-link']
      assert.deepEqual(names(root), without(image, ...gone))
      assert.deepEqual(await verify({ root }), [])
      const record = Buffer.from(await readRecord({ root, package: 'p' })).toString()
      const masked = [...record.matchAll(/^# rootmerge masked \.?\/?(.*)$/gm)].map((match) => match[1])
      assert.deepEqual(
        masked.sort(),
        names(image)
          .filter((name) => !names(root).includes(name))
          .sort(),
      )
      assert.equal(fs.statSync(join(root, 'usr/lib/tool.bak')).ino, fs.statSync(join(root, 'usr/lib/tool.more')).ino)
      await unmerge({ root, packages: ['p'] })
      assert.deepEqual(names(root), [])
    }),
  )

  it(
    'adds what was masked and removes what is masked now, when the mask is another',
    withTree(async (root, image) => {
      await merge({ root, image, package: 'p', installMask: ['/usr/share/doc'] })
      await merge({ root, image, package: 'p', installMask: ['/usr/share/man/'] })
      assert.deepEqual(names(root), without(image, 'usr/share/man'))
      assert.deepEqual(await verify({ root }), [])
      await merge({ root, image, package: 'p' })
      assert.deepEqual(names(root), names(image))
      assert.doesNotMatch(Buffer.from(await readRecord({ root, package: 'p' })).toString(), /masked/)
      assert.deepEqual(await list({ root }), ['p'])
    }),
  )

  it(
    'keeps a masked directory for what is taken back in it',
    withTree(async (root, image) => {
      await merge({ root, image, package: 'p', installMask: ['/usr/share/doc', '-/usr/share/doc/tool/b'] })
      assert.deepEqual(names(root), without(image, 'usr/share/doc/tool/a', 'usr/share/doc/other'))
    }),
  )

  it(
    'leaves names alone that others have where a mask leaves them out',
    withTree(async (root, image) => {
      fs.mkdirSync(join(root, 'usr/share/doc'), { recursive: true })
      fs.writeFileSync(join(root, 'usr/share/doc/other'), "the admin's own")
      await merge({ root, image, package: 'p', installMask: ['/usr/share/doc'] })
      assert.equal(fs.readFileSync(join(root, 'usr/share/doc/other'), 'utf8'), "the admin's own")
    }),
  )
})
