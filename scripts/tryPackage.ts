// The package as a user gets it: packed, installed into an empty folder without a compiler, and run, on each Node.
//
//   node build/scripts/tryPackage.js [NODE...]      major versions; 20, 22 and 24 by default

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'rootmerge-package-'))

interface Packed {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly entryCount: number
}

/** Only what an installation needs is found: sh, node and npm; no compiler, no make, no python. */
function barePath(node: string): string {
  const programs = mkdtempSync(join(folder, 'programs-'))
  for (const name of ['sh', 'env', 'cat', 'mkdir', 'rm', 'uname', 'sed', 'dirname']) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim()
    symlinkSync(found, join(programs, name))
  }
  symlinkSync(node, join(programs, 'node'))
  return programs
}

function npmScript(): string {
  return execFileSync('npm', ['root', '-g'], { encoding: 'utf8' }).trim().concat('/npm/bin/npm-cli.js')
}

/** A Node of a major version: the one that runs this, or npm's package of its binary. */
function nodeOf(major: string): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  const place = join(folder, `node-${major}`)
  mkdirSync(place)
  writeFileSync(join(place, 'package.json'), '{}')
  const name = `node-linux-${process.arch}`
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent', `${name}@${major}`], {
    cwd: place,
    stdio: 'inherit',
  })
  return join(place, 'node_modules', name, 'bin/node')
}

/** What the commands work on: a tree, an archive of another one, and a root that dpkg has installed something in. */
function makeImages(place: string): void {
  for (const directory of ['image/etc', 'other/usr', 'root/var/lib/dpkg/info'])
    mkdirSync(join(place, directory), { recursive: true })
  writeFileSync(join(place, 'image/etc/file'), 'bytes')
  writeFileSync(join(place, 'other/usr/file'), 'bytes')
  execFileSync('tar', ['-C', join(place, 'other'), '-cf', join(place, 'image.tar'), 'usr'])
  const status = 'Package: hello\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n'
  writeFileSync(join(place, 'root/var/lib/dpkg/status'), status)
  writeFileSync(join(place, 'root/var/lib/dpkg/info/hello.list'), '/.\n')
}

/** Every command, each with something to do. */
function tryCommands(rootmerge: (...args: string[]) => string): void {
  const onRoot = (...args: string[]) => rootmerge(...args, '--root', './root')
  assert.match(onRoot('merge', './image', '--package', 'p-1', '--keep-undo', '2'), /p-1 merged/)
  assert.match(onRoot('merge', './image.tar', '--package', 'q-1', '--keep-undo', '2'), /q-1 merged/)
  const told = [
    ['verify'],
    ['list'],
    ['list', 'p-1'],
    ['owner', '/etc/file'],
    ['recover'],
    ['config', 'list'],
    ['history'],
  ]
  for (const args of told) onRoot(...args)
  onRoot('undo')
  onRoot('import', '--dpkg')
  rootmerge('copy', 'image/etc/file', 'copied')
  rootmerge('move', 'copied', 'moved')
  assert.match(onRoot('unmerge', 'p-1'), /p-1 unmerged/)
  assert.match(rootmerge('completion', 'bash'), /rootmerge/)
}

/** Something of every entry point. */
const program = `
  import { list } from 'rootmerge'
  import { copyFile } from 'rootmerge/filecopy'
  import { moveFile } from 'rootmerge/movefile'
  import { verify } from 'rootmerge/merge'
  await copyFile('moved', 'copied')
  await moveFile('copied', 'moved')
  await verify({ root: './root' })
  console.log((await list({ root: './root' })).join())
`

function tryOn(major: string, tarball: string): void {
  const node = nodeOf(major)
  const place = join(folder, `user-${major}`)
  makeImages(place)
  writeFileSync(join(place, 'package.json'), '{ "type": "module" }')
  const programs = barePath(node)
  const env = { ...process.env, PATH: `${place}/node_modules/.bin:${programs}` }
  const run = (program: string, ...args: string[]) => {
    const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: place, env, encoding: 'utf8' })
    if (error) throw error
    assert.equal(status, 0, `${program} ${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }
  run(node, npmScript(), 'install', '--no-audit', '--no-fund', tarball)
  const rootmerge = (...args: string[]) => run(node, 'node_modules/rootmerge/dist/cli/main.cjs', ...args)
  assert.match(rootmerge('--help'), /^Usage: rootmerge/)
  tryCommands(rootmerge)
  writeFileSync(join(place, 'program.js'), program)
  assert.equal(run(node, 'program.js'), 'dpkg:hello\n')
  assert.ok(readFileSync(join(place, 'node_modules/rootmerge/man/rootmerge-merge.1'), 'utf8').includes('.TH'))
  const packages = readdirSync(join(place, 'node_modules')).flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(place, 'node_modules', name)) : name.startsWith('.') ? [] : [name],
  )
  const size = execFileSync('du', ['-sk', join(place, 'node_modules')], { encoding: 'utf8' }).split('\t')[0]
  const version = run(node, '--version').trim()
  process.stdout.write(
    `Node ${version}: installed without a compiler and run; ${packages.length} packages, ${Math.round(Number(size) / 1024)} MiB\n`,
  )
}

try {
  chmodSync(folder, 0o755)
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: project,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [facts] = JSON.parse(packed.slice(packed.indexOf('['))) as Packed[]
  assert.ok(facts)
  process.stdout.write(
    `${facts.filename}: ${Math.round(facts.size / 1024)} KiB, ${Math.round(facts.unpackedSize / 1024)} KiB unpacked, ${facts.entryCount} files\n`,
  )
  cpSync(join(folder, facts.filename), join(folder, 'rootmerge.tgz'))
  const majors = process.argv.length > 2 ? process.argv.slice(2) : ['20', '22', '24']
  for (const major of majors) tryOn(major, join(folder, 'rootmerge.tgz'))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
