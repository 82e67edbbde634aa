// How long it takes to learn 100,000 names from another installer's database, beside that installer reading it itself.
//
//   node build/bench/import.js [DIRECTORY]
//
// 1,000 packages of 100 names each. The whole command is timed, Node's start included; `again` finds nothing new.
// `dpkg --search` of a name that nobody has reads all lists, `rpm -qa` with its files all headers; neither writes.

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rpmHeaderOf } from '../test/support/specRpm.ts'
import { command } from './command.ts'
import { measured, Results } from './results.ts'

const packages = measured(1000, 20)
const namesEach = 100
const rounds = measured(5, 1)
const caseName = `${packages * namesEach} names of ${packages} packages`
const results = new Results('import', 'How long does it take to know what another installer installed?', 'ms', 'less')
const directory = fs.mkdtempSync(join(process.argv[2] ?? tmpdir(), 'rootmerge-bench-'))

try {
  bench('dpkg', writeDpkg, ['dpkg', '--search', '/nobody/has/this'])
  bench('portage', writePortage)
  bench('apk', writeApk)
  bench('pacman', writePacman)
  bench('rpm', writeRpm, ['rpm', '--dbpath', '/var/lib/rpm', '-qa', '--qf', '[%{FILENAMES}\n]'])
  results.version('dpkg', ['dpkg', '--version'])
  results.version('rpm', ['rpm', '--version'])
  results.write()
} finally {
  fs.rmSync(directory, { recursive: true, force: true })
}

/** @param reads  how the manager itself reads all names, without the root */
function bench(manager: string, write: (root: string) => void, reads?: readonly [string, ...string[]]): void {
  const root = join(directory, manager)
  write(root)
  const forget = () => {
    fs.rmSync(join(root, 'var/lib/rootmerge'), { recursive: true, force: true })
    spawnSync('setfattr', ['-x', 'user.rootmerge', root]) // the root's mark, which asks for that state
  }
  const run = () => execFileSync(process.execPath, [command, 'import', `--${manager}`, '--root', root])
  const of = (what: string) => ({ case: `${manager}: ${caseName}`, contender: what })
  results.add({ ...of('rootmerge import'), value: time(run, forget), note: 'flushed to the disk' })
  results.add({ ...of('rootmerge import, again'), value: time(run) })
  if (reads === undefined) return
  const [program, ...args] = reads
  const read = () => spawnSync(program, [`--root=${root}`, ...args], { maxBuffer: 1 << 28 })
  results.add({ ...of(manager), value: time(read), note: 'reads the names only' })
}

/** Milliseconds, the median of the rounds. */
function time(action: () => unknown, prepare: () => void = () => {}): number {
  const times = Array.from({ length: rounds }, () => {
    prepare()
    const start = performance.now()
    action()
    return performance.now() - start
  })
  const value = Math.round(times.sort((one, other) => one - other)[rounds >> 1] ?? 0)
  return value
}

function namesOf(owner: number): string[] {
  const folder = `usr/share/package-${owner}`
  const files = Array.from({ length: namesEach - 3 }, (_, n) => `${folder}/a-file-name-of-some-length-${n}.dat`)
  return ['usr', 'usr/share', folder, ...files]
}

function put(root: string, name: string, text: string): void {
  fs.mkdirSync(join(root, name, '..'), { recursive: true })
  fs.writeFileSync(join(root, name), text)
}

function md5(name: string): string {
  return createHash('md5').update(name).digest('hex')
}

function sha256(name: string): string {
  return createHash('sha256').update(name).digest('hex')
}

/** The files are there too: what has no sum is looked at. */
function writeDpkg(root: string): void {
  const stanzas: string[] = []
  for (let owner = 0; owner < packages; owner++) {
    const names = namesOf(owner)
    for (const name of names.slice(3)) put(root, name, '')
    const info = `var/lib/dpkg/info/package-${owner}`
    put(root, `${info}.list`, ['/.', ...names.map((name) => `/${name}`), ''].join('\n'))
    // Every tenth has none, as symlinks have none.
    const summed = names.slice(3).filter((_, n) => n % 10 !== 0)
    put(root, `${info}.md5sums`, summed.map((name) => `${md5(name)}  ${name}\n`).join(''))
    const fields = [
      'Status: install ok installed',
      'Maintainer: a',
      'Architecture: all',
      'Version: 1',
      'Description: x',
    ]
    stanzas.push([`Package: package-${owner}`, ...fields, ''].join('\n'))
  }
  put(root, 'var/lib/dpkg/status', `${stanzas.join('\n')}\n`)
}

function writePortage(root: string): void {
  for (let owner = 0; owner < packages; owner++) {
    const lines = namesOf(owner).map((name, n) => (n < 3 ? `dir /${name}` : `obj /${name} ${md5(name)} 1500000000`))
    put(root, `var/db/pkg/category/package-${owner}/CONTENTS`, `${lines.join('\n')}\n`)
  }
}

function writeApk(root: string): void {
  const stanzas = Array.from({ length: packages }, (_, owner) => {
    const names = namesOf(owner)
    const files = names.slice(3).map((name) => {
      put(root, name, '')
      const sum = createHash('sha1').update(name).digest('base64')
      return `R:${name.slice(name.lastIndexOf('/') + 1)}\nZ:Q1${sum}\n`
    })
    return [`P:package-${owner}\n`, ...names.slice(0, 3).map((name) => `F:${name}\n`), ...files].join('')
  })
  put(root, 'lib/apk/db/installed', `${stanzas.join('\n')}\n`)
}

/** With the package's mtree, compressed, as makepkg makes it. */
function writePacman(root: string): void {
  for (let owner = 0; owner < packages; owner++) {
    const names = namesOf(owner)
    const folder = `var/lib/pacman/local/package-${owner}-1-1`
    const listed = names.map((name, n) => (n < 3 ? `${name}/` : name))
    const lines = names.map((name, n) =>
      n < 3 ? `./${name} time=1.0 mode=755 type=dir` : `./${name} time=1.0 size=0 sha256digest=${sha256(name)}`,
    )
    put(root, `${folder}/desc`, `%NAME%\npackage-${owner}\n\n%VERSION%\n1-1\n`)
    put(root, `${folder}/files`, `%FILES%\n${listed.join('\n')}\n`)
    const mtree = ['#mtree', '/set type=file uid=0 gid=0 mode=644', ...lines, ''].join('\n')
    fs.writeFileSync(join(root, folder, 'mtree'), gzipSync(mtree))
  }
}

/** Headers, which rpm itself makes a database of. */
function writeRpm(root: string): void {
  const headers = Array.from({ length: packages }, (_, owner) => {
    const names = namesOf(owner)
    const files = names.slice(3).map((name) => ({ path: `/${name}`, data: name }))
    return rpmHeaderOf({ files, tags: { 1000: `package-${owner}` } })
  })
  fs.mkdirSync(join(root, 'var/lib/rpm'), { recursive: true })
  const args = [`--root=${root}`, '--dbpath', '/var/lib/rpm', '--importdb']
  execFileSync('rpmdb', args, { input: Buffer.concat(headers) })
}
