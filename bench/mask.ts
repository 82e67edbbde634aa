// What asking install masks costs, for each name and set of patterns.
//
//   node build/bench/mask.js
//
// Names as a distribution has them, in the order in which an image comes; beside the plain way, which turns each pattern into a regular expression and asks
// one after the other, as Python's fnmatch does.

import { compileMask } from '../src/merge/mask.ts'
import { measured, Results } from './results.ts'

const rounds = measured(15, 1)
const goal = 0.3

const sets: Readonly<Record<string, readonly string[]>> = {
  'one directory': ['/usr/share/doc/'],
  'as an embedded system has it, 12 patterns': [
    '/usr/share/doc',
    '/usr/share/info',
    '/usr/share/man',
    '/usr/share/gtk-doc',
    '/usr/share/locale',
    '-/usr/share/locale/de',
    '-/usr/share/locale/locale.alias',
    '/usr/lib/systemd',
    '/usr/include',
    '*.la',
    '*.a',
    '.keep*',
  ],
  'wildcards everywhere, 12 patterns': [
    '/usr/share/loc?le/*_*',
    '-/usr/share/locale/en_*',
    '/usr/lib*/pkgconfig/*.pc',
    '/usr/share/*/examples/*',
    '/opt/*/[dD]oc*/',
    '*.py[co]',
    '*-[0-9].[0-9].[0-9]*.gz',
    'lib*.a',
    '*.h',
    '*~',
    '/usr/*/test*/[!_]*',
    '-*.keep',
  ],
}

/** As translate() of Python's fnmatch, for the patterns above. */
function regularExpression(pattern: string): RegExp {
  const body = pattern.replace(/\[!/g, '[^').replace(/[.$+(){}|]/g, '\\$&')
  return new RegExp(`^(?:${body.replace(/\*/g, '.*').replace(/\?/g, '.')})$`, 's')
}

function plainMask(patterns: readonly string[]): (name: string) => boolean {
  const rules = patterns.map((given) => {
    const [isIncluded, pattern] = given.startsWith('-') ? [false, given.slice(1)] : [true, given]
    const isAnchored = pattern.startsWith('/')
    const texts = isAnchored ? [pattern.slice(1), `${pattern.slice(1).replace(/\/+$/, '')}/*`] : [pattern]
    return { isIncluded, isAnchored, expressions: texts.map(regularExpression) }
  })
  return (name) => {
    let masked = false
    for (const { isIncluded, isAnchored, expressions } of rules) {
      const text = isAnchored ? name : name.slice(name.lastIndexOf('/') + 1)
      if (expressions.some((expression) => expression.test(text))) masked = isIncluded
    }
    return masked
  }
}

function names(): string[] {
  const folders = ['usr/bin', 'usr/lib/python3/package', 'usr/share/doc/thing', 'usr/share/locale/de/LC_MESSAGES']
  const more = ['usr/include/deep/down', 'usr/share/man/man3', 'opt/vendor/Doc', 'etc/conf.d', 'usr/lib64/pkgconfig']
  const endings = ['.so', '.h', '.py', '.pyc', '.mo', '.3.gz', '', '.pc', '-1.2.3.tar.gz', '.la']
  const all = [...folders, ...more]
  return Array.from({ length: 26_000 }, (_, number) => {
    const folder = all[number % all.length]
    return `${folder}/sub-${number % 31}/a-name-of-some-length-${number}${endings[number % endings.length]}`
  })
}

const asked = names().sort()
const results = new Results('mask', 'What does asking install masks cost, for each name?', 'µs/name', 'less')

function measure(leavesOut: (name: string) => boolean): { value: number; masked: number } {
  const times: number[] = []
  let masked = 0
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    masked = 0
    for (const name of asked) if (leavesOut(name)) masked++
    times.push(((performance.now() - start) * 1000) / asked.length)
  }
  return { value: times.sort((a, b) => a - b)[rounds >> 1] ?? Number.NaN, masked }
}

for (const [title, patterns] of Object.entries(sets)) {
  const mask = compileMask(patterns)
  const ours = measure((name) => mask.leavesOut(name, false))
  const plain = measure(plainMask(patterns))
  if (ours.masked !== plain.masked) throw new Error(`${title}: ${ours.masked} masked, ${plain.masked} the plain way`)
  const round = (value: number) => Math.round(value * 1000) / 1000
  results.add({ case: title, contender: 'rootmerge', value: round(ours.value), baseline: 'regular expressions' })
  results.add({ case: title, contender: 'regular expressions', value: round(plain.value) })
  process.stdout.write(
    `${title.padEnd(44)} ${ours.value.toFixed(3)} µs (goal ${goal}), plain ${plain.value.toFixed(3)} µs, ${ours.masked} of ${asked.length} left out\n`,
  )
}
results.write()
