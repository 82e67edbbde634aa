import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chartOf } from '../../bench/chart.ts'
import { benchPage, casesOf, readResults, shown } from '../../bench/charts.ts'
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
