import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { expectExit, run } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

/** What a browser shows of a page once its script has run. */
function shownBy(page: string, directory: string, filters = ''): string {
  const profile = fs.mkdtempSync(join(directory, 'profile-'))
  const args = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    `--user-data-dir=${profile}`,
    '--dump-dom',
    `file://${page}${filters}`,
  ]
  const { stdout, error } = spawnSync('chromium', args, { encoding: 'utf8', timeout: 60_000 })
  assert.equal(error, undefined, 'chromium is needed for this test')
  return stdout.replaceAll(/<script[\s\S]*?<\/script>/g, '')
}

describe('the HTML report', function () {
  this.timeout(180_000)

  it('draws the tree of a plan, filters it, and shows hostile names as text', () =>
    withDirectory((directory) => {
      const [root, image, page] = ['root', 'image', 'report.html'].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ]
      fs.mkdirSync(root)
      fs.mkdirSync(join(image, 'etc'), { recursive: true })
      fs.writeFileSync(join(image, 'etc/one'), 'old')
      expectExit(run('merge', image, '--package', 'p', '--root', root), 0)
      fs.writeFileSync(join(image, 'etc/one'), 'new')
      fs.writeFileSync(join(image, 'etc/<img src=x onerror=document.title=1>'), 'x')
      expectExit(run('merge', image, '--package', 'p', '--root', root, '--dry-run', '--report', page), 0)
      const all = shownBy(page, directory)
      assert.match(all, /2 of 2 names/)
      assert.match(all, /<span class="what replace">replace<\/span>/)
      assert.ok(all.includes('&lt;img src=x onerror=document.title=1&gt;'))
      assert.ok(!all.includes('<img'))
      assert.match(all, /<title>p: what would be merged<\/title>/)
      const filtered = shownBy(page, directory, '#what=replace&text=one')
      assert.match(filtered, /1 of 2 names/)
      assert.ok(!filtered.includes('onerror'))
      assert.match(shownBy(page, directory, '#text=nothing'), /0 of 2 names/)
      assert.doesNotMatch(fs.readFileSync(page, 'utf8'), /https?:\/\//, 'it loads nothing')
    }))

  it('shows what verify found', () =>
    withDirectory((directory) => {
      const [root, image, page] = ['root', 'image', 'report.html'].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ]
      fs.mkdirSync(root)
      fs.mkdirSync(image)
      for (const name of ['one', 'two', 'three']) fs.writeFileSync(join(image, name), name)
      expectExit(run('merge', image, '--package', 'p', '--root', root), 0)
      fs.rmSync(join(root, 'one'))
      fs.appendFileSync(join(root, 'two'), '!')
      expectExit(run('verify', '--root', root, '--report', page), 1)
      const shown = shownBy(page, directory)
      assert.match(shown, /2 of 2 names/)
      assert.match(shown, /<span class="what missing">missing<\/span>/)
      assert.match(shown, /size, digest, mtime/)
    }))

  it('is of a plan: a merge that is done has none', () => {
    assert.match(run('merge', 'image', '--report', 'x').stderr, /--report is of a plan: add --dry-run/)
  })
})
