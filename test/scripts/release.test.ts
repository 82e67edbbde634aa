import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { release, releasedChangelog } from '../../scripts/release.ts'
import { withDirectory } from '../support/scratch.ts'

/** A project of one file, committed. */
function makeProject(directory: string) {
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: directory, encoding: 'utf8' })
  const write = (name: string, text: string) => fs.writeFileSync(join(directory, name), text)
  write('package.json', JSON.stringify({ name: 'released', version: '0.1.0', files: ['file'] }))
  write('CHANGELOG.md', '# Changelog\n\n## 0.1.1 (unreleased)\n\n- a change\n\n## 0.1.0 (2026-01-01)\n\n- older\n')
  write('file', 'x')
  git('init', '-q')
  for (const [name, value] of [
    ['name', 'a'],
    ['email', 'a@b'],
  ] as const)
    git('config', `user.${name}`, value)
  git('add', '.')
  git('commit', '-qm', 'first')
  return { git, write, read: (name: string) => fs.readFileSync(join(directory, name), 'utf8') }
}

describe('a release', function () {
  this.timeout(60_000)

  it('is a changelog, a version, a commit, a tag and what would be packed', () =>
    withDirectory((directory) => {
      const { git, read } = makeProject(directory)
      release('0.2.0', directory, '2027-01-02')
      assert.match(read('CHANGELOG.md'), /^## 0\.2\.0 \(2027-01-02\)\n\n- a change\n\n## 0\.1\.0 \(2026-01-01\)$/m)
      assert.equal((JSON.parse(read('package.json')) as { version: string }).version, '0.2.0')
      assert.equal(
        git('log', '-1', '--format=%s %D')
          .trim()
          .replace(/HEAD -> \w+, /, ''),
        'Release 0.2.0 tag: v0.2.0',
      )
      assert.equal(git('status', '--porcelain'), '')
      assert.deepEqual(fs.readdirSync(directory).sort(), ['.git', 'CHANGELOG.md', 'file', 'package.json'])
    }))

  it('is refused before anything is changed', () =>
    withDirectory((directory) => {
      const { git, read, write } = makeProject(directory)
      const state = () => [read('CHANGELOG.md'), read('package.json'), git('rev-parse', 'HEAD'), git('tag')]
      const before = state()
      const refused = (version: string, reason: RegExp) => {
        assert.throws(() => release(version, directory, '2027-01-02'), reason)
        assert.deepEqual(state(), before)
      }
      refused('1.0', /is not a version/)
      write('stray', 'x')
      refused('1.0.0', /commit what is changed/)
      fs.rmSync(join(directory, 'stray'))
      release('1.0.0', directory, '2027-01-02')
      before.splice(0, 4, ...state())
      refused('1.0.0', /there is a tag v1\.0\.0/)
      refused('1.0.1', /no "## VERSION \(unreleased\)"/)
    }))

  it('has a changelog that says something', () => {
    assert.throws(() => releasedChangelog('# Changelog\n', '1.0.0', ''), /unreleased/)
    assert.throws(() => releasedChangelog('## 1 (unreleased)\n\n## 0.9\n\n- x\n', '1.0.0', ''), /empty/)
  })
})
