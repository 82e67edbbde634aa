import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { subjects } from '../../bench/all.ts'
import { chartOf } from '../../bench/chart.ts'
import { benchPage, casesOf, numbersTable, readResults, shown, withNumbers } from '../../bench/charts.ts'
import { bundled, dependencies, isAllowed } from '../../scripts/licences.ts'
import { releasedChangelog } from '../../scripts/release.ts'

const project = fileURLToPath(new URL('../../..', import.meta.url))

describe('the project', function () {
  this.timeout(60_000)

  it('has dependencies whose licences ask for no more than to be named', () => {
    const all = [...dependencies(), ...bundled()]
    assert.ok(all.length > 10)
    assert.ok(all.some(({ name }) => name.startsWith('commander@')))
    assert.deepEqual(
      all.filter(({ licence }) => !isAllowed(licence)),
      [],
    )
    assert.ok(isAllowed('(MIT OR GPL-3.0)') && isAllowed('(MIT AND ISC)'))
    assert.ok(!isAllowed('GPL-3.0') && !isAllowed('(MIT AND GPL-3.0)') && !isAllowed('none'))
  })

  it('has a changelog from which a release can be made', () => {
    const text = fs.readFileSync(join(project, 'CHANGELOG.md'), 'utf8')
    assert.match(releasedChangelog(text, '9.8.7', '2027-01-02'), /^## 9\.8\.7 \(2027-01-02\)$/m)
  })

  it('has its measurements in one page and one chart a subject, as they were measured', () => {
    const all = readResults()
    const page = fs.readFileSync(join(project, 'bench/README.md'), 'utf8')
    assert.ok(all.length > 0)
    for (const file of all) {
      if (!page.includes(`## ${file.question}\n`)) continue // measured since; make bench brings it in
      for (const [name] of casesOf(file.measurements)) assert.ok(page.includes(`| ${name} |`), name)
    }
  })

  it('measures every subject with one command', () => {
    const folder = join(project, 'bench')
    const measuring = fs
      .readdirSync(folder)
      .filter(
        (name) =>
          name.endsWith('.ts') &&
          /^const \w+ = new Results\(|^ {2}const results = new Results\(/m.test(
            fs.readFileSync(join(folder, name), 'utf8'),
          ),
      )
      .map((name) => name.replace(/\.ts$/, ''))
    assert.deepEqual(Object.keys(subjects).sort(), measuring.sort())
  })

  it('tells in README.md the best and the worst ratio of each subject, against each peer', () => {
    const page = fs.readFileSync(join(project, 'README.md'), 'utf8')
    assert.equal(withNumbers(page, readResults()), page, 'node build/bench/charts.js brings it up to date')
    const of = (contender: string, value: number, baseline?: string) => ({
      case: 'c',
      contender,
      value,
      ...(baseline && { baseline }),
    })
    const machine = { processor: 'p', cores: 1, memoryGiB: 1, load: 0 }
    const rest = { command: 'c', date: 'd', machine, kernel: 'k', node: 'n', versions: {} }
    const measurements = [
      of('rootmerge', 1, 'cp'),
      of('cp', 2),
      { ...of('rootmerge', 9, 'cp'), fileSystem: 'ext4' },
      { ...of('cp', 3), fileSystem: 'ext4' },
      { ...of('tar', 3, 'cp'), fileSystem: 'ext4' },
      { ...of('rootmerge', 4, 'cp'), fileSystem: 'xfs' },
      { ...of('cp', 4), fileSystem: 'xfs' },
    ]
    const file = { subject: 's', question: 'q?', unit: 'ms', better: 'less' as const, ...rest, measurements }
    assert.match(numbersTable([file]), /^\| q\? \| cp \| 1\.00 \| 0\.50: c \| 3\.00: c, ext4 \|\n$/m)
  })

  it('draws what is in the results, and nothing else', () => {
    const measurements = [
      { case: 'a < b', contender: 'ours', value: 50, baseline: 'peer' },
      { case: 'a < b', contender: 'peer', value: 100 },
    ]
    const machine = { processor: 'p', cores: 1, memoryGiB: 1, load: 0 }
    const rest = { command: 'c', date: 'd', machine, kernel: 'k', node: 'n', versions: {} }
    const file = { subject: 's', question: 'q?', unit: 'ms', better: 'less' as const, ...rest, measurements }
    const svg = chartOf(file)
    const widths = [...svg.matchAll(/<rect x="250" .*?width="([\d.]+)"/g)].map((match) => Number(match[1]))
    assert.deepEqual(widths, [260, 520])
    assert.ok(svg.includes('a &lt; b'))
    assert.match(benchPage([file]), /^\| a < b \| 50 \(0\.50 of peer\) \| 100 \|$/m)
    assert.deepEqual([0.1234, 12.34, 1234.5].map(shown), ['0.123', '12.3', '1235'])
  })
})
