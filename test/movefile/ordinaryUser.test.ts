// Moves by somebody who is not root: with root's tests, another user is put on for the moment of the move.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { copyTree, MetadataLostError, type MoveReport, metadataPolicy } from '../../src/movefile/index.ts'
import { O_PATH, openPath, toName } from '../../src/sys/index.ts'
import { isRoot, itAsRoot } from '../support/asRoot.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { asUser, nobody } from '../support/ordinaryUser.ts'
import { type Scene, withScene } from '../support/twoFileSystems.ts'

/** Both directories belong to the user. */
function own({ from, to }: Scene): void {
  if (isRoot) for (const path of [from, to]) fs.chownSync(path, nobody, nobody)
}

const owner = isRoot ? `${nobody}:${nobody}` : ''

describe('Mover.move() as an ordinary user', () => {
  for (const [way, sameFileSystem] of [
    ['by rename', true],
    ['by copy', false],
  ] as const) {
    it(`keeps everything of the user's own objects, ${way}`, () =>
      withScene(
        {
          source: `
            f 0444 ${owner} /tree/file "x" user.note="kept" acl=u:bin:r
            l ${owner} /tree/link -> file
            p 0600 ${owner} /tree/fifo
            f 4711 ${owner} /tree/program "set-id"
            h /tree/other == /tree/file
            f 0444 ${owner} /tree/second "y" user.note="kept"
            d 0750 ${owner} /tree
            f 0444 ${owner} /single "z" user.note="kept"`,
          target: '',
          sameFileSystem,
        },
        async (scene) => {
          own(scene)
          for (const name of ['tree', 'single']) {
            const kept = join(scene.from, 'kept')
            await copyTree(join(scene.from, name), kept)
            const report = asUser(() => scene.mover().move(scene.source(name), scene.target(name)))
            assert.deepEqual(report.lost, [])
            assert.deepEqual(compareTrees(join(scene.to, name), kept), [])
            fs.rmSync(kept, { recursive: true })
          }
          assert.deepEqual(fs.readdirSync(scene.from), [])
        },
      ))
  }

  it('renames files and directories that their owner may not read, and writes them to the disk', () => {
    const source = `f 0000 ${owner} /file "x"\nd 0000 ${owner} /tree/closed\nd 0700 ${owner} /tree`
    return withScene({ source, sameFileSystem: true }, (scene) => {
      own(scene)
      for (const name of ['file', 'tree']) {
        const move = () => scene.mover().move(scene.source(name), scene.target(name), { durability: 'file' })
        assert.equal(asUser(move).method, 'rename')
      }
    })
  })

  it('renames a file with excluded attributes that its owner may not read: they stay', () =>
    withScene({ source: `f 0200 ${owner} /file "x" user.xdg.origin="u"`, sameFileSystem: true }, (scene) => {
      own(scene)
      asUser(() => scene.mover().move(scene.source('file'), scene.target('file')))
      assert.deepEqual(fs.readdirSync(scene.to), ['file'])
    }))

  it('names the directory that it may not list, where only that tells two names from two spellings', () =>
    withScene(
      { source: `f ${owner} /closed/one "x"\nh /closed/two == /closed/one\nd 0300 ${owner} /closed` },
      (scene) => {
        const closed = join(scene.from, 'closed')
        const move = () => {
          const directory = openPath(scene.kernel, toName(closed), O_PATH)
          try {
            scene.mover().move({ directory, name: 'one' }, { directory, name: 'two' })
          } finally {
            scene.kernel.close(directory)
          }
        }
        own(scene)
        assert.throws(() => asUser(move), { code: 'EACCES', path: `${closed}/.` })
      },
    ))

  itAsRoot("says why it cannot discard what it staged, when the directory is sticky and another's", () =>
    withScene({ source: 'f 1:1 /sticky/file "x"\nd 1777 1:1 /sticky' }, async (scene) => {
      const directory = openPath(scene.kernel, toName(join(scene.from, 'sticky')), O_PATH)
      try {
        assert.throws(() => asUser(() => scene.mover().discard({ directory, name: 'file' })), { code: 'EPERM' })
      } finally {
        scene.kernel.close(directory)
      }
    }),
  )

  it('keeps its own group where the directory hands down another', function () {
    if (!isRoot) {
      process.stderr.write('      needs root: a directory of another group\n')
      this.skip()
    }
    return withScene({ source: `f 0640 ${owner} /file "x"` }, (scene) => {
      own(scene)
      fs.chownSync(scene.to, nobody, 7)
      fs.chmodSync(scene.to, 0o2777)
      asUser(() => scene.mover().move(scene.source('file'), scene.target('file')))
      assert.equal(fs.lstatSync(join(scene.to, 'file')).gid, nobody)
    })
  })

  it("follows the policy with what is another's: an error, or losses without set-id bits and capabilities", function () {
    if (!isRoot) {
      process.stderr.write('      needs root: files of another owner\n')
      this.skip()
    }
    return withScene({ source: 'f 6755 0:5 /file "x" cap=cap_net_raw+ep' }, (scene) => {
      own(scene)
      const move = (metadata: 'require' | 'best-effort'): MoveReport =>
        asUser(() =>
          scene.mover({ policy: metadataPolicy({ metadata }) }).move(scene.source('file'), scene.target('file')),
        )
      assert.throws(
        () => move('require'),
        (error) =>
          error instanceof MetadataLostError && /: owner \(EPERM: [a-z ]+, fchown\); group/.test(error.message),
      )
      assert.deepEqual(fs.readdirSync(scene.to), [])
      assert.deepEqual(
        move('best-effort').lost.map(({ what, attribute, code }) => [what, attribute, code]),
        [
          ['owner', undefined, 'EPERM'],
          ['group', undefined, 'EPERM'],
          ['mode', undefined, 'EPERM'],
          ['xattr', 'security.capability', 'EPERM'],
        ],
      )
      assert.equal(fs.lstatSync(join(scene.to, 'file')).mode & 0o7777, 0o755)
    })
  })

  it('says that the target is in place when the source is in a directory that cannot be written', function () {
    if (!isRoot) {
      process.stderr.write('      needs root: a directory of another owner\n')
      this.skip()
    }
    return withScene({ source: `f 0644 ${owner} /file "x"` }, (scene) => {
      fs.chmodSync(scene.from, 0o755)
      fs.chownSync(scene.to, nobody, nobody)
      assert.throws(() => asUser(() => scene.mover().move(scene.source('file'), scene.target('file'))), {
        code: 'ERR_ROOTMERGE_SOURCE_NOT_REMOVED',
        message: /EACCES/,
      })
      assert.equal(fs.readFileSync(join(scene.to, 'file'), 'utf8'), 'x')
      assert.equal(fs.readFileSync(join(scene.from, 'file'), 'utf8'), 'x')
    })
  })

  it('reports a set-group-id bit that the kernel drops in silence', function () {
    if (!isRoot) {
      process.stderr.write('      needs root: a group that the user is not in\n')
      this.skip()
    }
    return withScene({ source: `f 2755 ${nobody}:9 /file "x"` }, (scene) => {
      own(scene)
      const policy = metadataPolicy({ metadata: 'best-effort' })
      const { lost } = asUser(() => scene.mover({ policy }).move(scene.source('file'), scene.target('file')))
      assert.deepEqual(
        lost.map(({ what }) => what),
        ['group', 'mode'],
      )
      assert.equal(fs.lstatSync(join(scene.to, 'file')).mode & 0o7777, 0o755)
    })
  })
})
