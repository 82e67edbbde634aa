import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { formatBytes, formatCount, formatDuration } from '../../src/cli/measures.ts'
import { Pace } from '../../src/cli/pace.ts'
import { describeProgress, fitting } from '../../src/cli/progress.ts'
import { describeBytes, describeCounts, describeLost, describePhases } from '../../src/cli/summary.ts'
import { run, Terminal } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

function steadyPace(entriesPerSecond: number, seconds: number): Pace {
  const pace = new Pace()
  for (let at = 0; at <= seconds * 1000; at += 100) {
    pace.look({ at, entries: (entriesPerSecond * at) / 1000, bytes: at * 1024 })
  }
  return pace
}

describe('progress', function () {
  this.timeout(60_000)

  it('knows the rate of the last moments and the time that is left', () => {
    const pace = steadyPace(1000, 10)
    assert.equal(Math.round(pace.rate?.entries ?? 0), 1000)
    assert.equal(Math.round(pace.left(20_000) ?? 0), 10_000)
    assert.equal(pace.left(10_000), undefined)
    assert.equal(new Pace().rate, undefined)
    const slowed = steadyPace(1000, 10)
    for (let at = 10_100; at <= 20_000; at += 100) slowed.look({ at, entries: 10_000 + (at - 10_000) / 100, bytes: 0 })
    assert.equal(Math.round(slowed.rate?.entries ?? 0), 10, 'it follows')
  })

  it('says as much as the terminal is wide, the important first', () => {
    const progress = { phase: 'stage', entries: 5000, bytes: 3 * 1024 ** 2, totalEntries: 26_000 }
    const parts = describeProgress(progress, steadyPace(1000, 5), 20)
    const line = 'stage     ████░░░░░░░░░░░░░░░░  5,000/26,000 entries  21 s left  3.0 MiB  1000.0 KiB/s'
    assert.equal(fitting(parts, 120), line)
    for (const columns of [8, 20, 40, 60, 80, 120]) {
      const shown = fitting(parts, columns)
      assert.ok(line.startsWith(shown))
      assert.ok(shown.length < columns || shown === parts[0], `${shown.length} in ${columns}`)
    }
  })

  it('draws one line on a terminal, again and again, and leaves the summary alone behind', () =>
    withDirectory(async (directory) => {
      const image = join(directory, 'image')
      fs.mkdirSync(join(image, 'd'), { recursive: true })
      for (let n = 0; n < 4000; n++) fs.writeFileSync(join(image, `d/${n}`), 'x')
      fs.mkdirSync(join(directory, 'root'))
      const terminal = new Terminal(['merge', image, '--package', 'p', '--root', join(directory, 'root')], {
        columns: 70,
      })
      assert.equal(await terminal.ended(), 0)
      assert.match(terminal.shown, /stage {5}█*░* {2}[\d,]+\/4,001 entries/)
      const last = terminal.shown.split('\x1b[2K').at(-1) ?? ''
      assert.match(last, /p merged: 4,001 entries \(placed 4,000, new directories 1\)/)
      assert.doesNotMatch(last, /█/)
      assert.doesNotMatch(terminal.shown, /\x1b\[\?25l/, 'the cursor was hidden: a process that dies would leave it so')
      const longest = Math.max(...terminal.shown.split(/[\r\n]|\x1b\[[0-9;]*[A-Za-z]/).map((line) => line.length))
      assert.ok(longest <= 100, `a line of ${longest}`)
    }))

  it('is silent where nobody watches, but for phases with --verbose; --quiet prints errors only', () =>
    withDirectory((directory) => {
      const image = join(directory, 'image')
      fs.mkdirSync(image)
      fs.writeFileSync(join(image, 'file'), 'x')
      const root = join(directory, 'root')
      fs.mkdirSync(root)
      const merge = (...more: string[]) => run('merge', image, '--package', 'p', '--root', root, ...more)
      assert.match(merge('--verbose').stderr, /^plan …\nstage …\nfile: read_write\n/)
      assert.equal(merge().stderr, '')
      const { stdout, stderr } = merge('--quiet')
      assert.equal(stdout + stderr, '')
    }))

  it('honours NO_COLOR and colours errors on a terminal', async () => {
    const shown = async (env: NodeJS.ProcessEnv) => {
      const terminal = new Terminal(['unmerge', 'absent', '--root', '/proc/self/absent'], { env })
      await terminal.ended()
      return terminal.shown
    }
    assert.match(await shown({ NO_COLOR: undefined }), /\x1b\[31mrootmerge:/)
    assert.doesNotMatch(await shown({ NO_COLOR: '1' }), /\x1b\[31m/)
  })
})

describe('the summary', () => {
  it('says numbers as a person reads them', () => {
    assert.deepEqual([0, 1023, 1024, 1536 * 1024].map(formatBytes), ['0 B', '1023 B', '1.0 KiB', '1.5 MiB'])
    assert.deepEqual([0, 999, 1000, 1234567].map(formatCount), ['0', '999', '1,000', '1,234,567'])
    assert.deepEqual([4, 9994, 12_400, 185_000].map(formatDuration), ['0.00 s', '9.99 s', '12 s', '3 min 05 s'])
  })

  it('puts fates in one order, and hides none that it does not know', () => {
    assert.equal(describeCounts({ remove: 1, place: 2, surprise: 3 }), 'placed 2, removed 1, surprise 3')
    assert.equal(describeCounts({}), 'nothing to do')
    assert.equal(describeBytes({}, 0), undefined)
    assert.equal(describeBytes({ reflink: 2048 }, 1024), '2.0 KiB shared (reflink), 1.0 KiB of holes kept')
  })

  it('says where the time went, and not where it did not', () => {
    assert.equal(describePhases({ plan: 20, stage: 150, record: 4.9 }), 'took 0.17 s: plan 0.02 s, stage 0.15 s')
    assert.equal(describePhases({ plan: 2, stage: 2 }), 'took 0.00 s')
    assert.equal(describePhases({}), undefined)
  })

  it('says what of the metadata was lost: a few names, and how many more', () => {
    assert.equal(describeLost({ what: 'owner', code: 'EPERM', names: ['a'] }), 'the owner of a (EPERM)')
    const names = Array.from({ length: 1237 }, (_, n) => `usr/${n}`)
    assert.equal(
      describeLost({ what: 'xattr', attribute: 'user.note', code: 'EOPNOTSUPP', names }),
      'the attribute user.note of usr/0, usr/1, usr/2 and 1,234 more (EOPNOTSUPP)',
    )
  })
})
