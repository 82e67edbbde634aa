// The demonstration: installs, upgrades, interrupts, recovers, verifies and removes real packages in a scratch root.
// It prints what it does and what it found, and fails when anything is not so.

import assert from 'node:assert/strict'
import { execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))
const command = join(project, 'build/src/cli/main.js')

/** Where the demonstration works: the root on one file system, the images on another where there is one. */
interface Scene {
  readonly root: string
  readonly images: string
  readonly user: Pick<SpawnOptions, 'uid' | 'gid'>
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function heading(line: string): void {
  say(`\n== ${line}`)
}

/** Runs the command, shows it with what it printed, and returns that. */
function rootmerge(scene: Scene, args: string[], expectedExit = 0): string {
  say(`$ rootmerge ${args.join(' ')}`)
  const { stdout, stderr, status } = spawnSync(process.execPath, [command, ...args], {
    encoding: 'utf8',
    ...scene.user,
  })
  const printed = `${stdout}${stderr}`
  for (const line of printed.trimEnd().split('\n').slice(0, 12)) say(`  ${line}`)
  assert.equal(status, expectedExit, `exit code ${status}, not ${expectedExit}`)
  return stdout
}

/** As root the demonstration becomes an ordinary user, where that user can read the project. */
function ordinaryUser(): Scene['user'] {
  if (process.getuid?.() !== 0) return {}
  const nobody = { uid: 65534, gid: 65534 }
  const canRun = spawnSync(process.execPath, [command, '--version'], nobody).status === 0
  say(
    canRun ? 'running the command as user 65534' : 'user 65534 cannot read this directory: running the command as root',
  )
  return canRun ? nobody : {}
}

function makeScene(): Scene {
  const user = ordinaryUser()
  const elsewhere = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const make = (parent: string, name: string) => {
    const directory = fs.mkdtempSync(join(parent, `rootmerge-demo-${name}-`))
    if (user.uid !== undefined) fs.chownSync(directory, user.uid, user.gid ?? user.uid)
    return directory
  }
  const scene = { root: make(tmpdir(), 'root'), images: make(elsewhere, 'images'), user }
  process.on('exit', () => {
    fs.rmSync(scene.root, { recursive: true, force: true })
    fs.rmSync(scene.images, { recursive: true, force: true })
  })
  say(`root ${scene.root}, images ${scene.images} (${isOtherFileSystem(scene) ? 'another' : 'the same'} file system)`)
  return scene
}

function isOtherFileSystem({ root, images }: Scene): boolean {
  return fs.statSync(root).dev !== fs.statSync(images).dev
}

/** A real npm package as an image, with one of each thing that copying tends to lose. */
function makeImage(scene: Scene, name: string, version: string): string {
  const image = join(scene.images, name)
  const library = join(image, 'usr/lib/node_modules/lodash')
  fs.mkdirSync(join(image, 'usr/share/demo'), { recursive: true })
  fs.cpSync(join(project, 'node_modules', name), library, { recursive: true, preserveTimestamps: true })
  const share = join(image, 'usr/share/demo')
  const sparse = fs.openSync(join(share, 'sparse'), 'w')
  fs.writeSync(sparse, `version ${version}`, 64 * 1024 * 1024)
  fs.closeSync(sparse)
  fs.writeFileSync(join(share, 'one'), 'two names\n')
  fs.linkSync(join(share, 'one'), join(share, 'other'))
  fs.symlinkSync('../../lib/node_modules/lodash/lodash.js', join(share, 'link'))
  setAttribute(join(share, 'one'))
  if (scene.user.uid !== undefined) execFileSync('chown', ['-R', `${scene.user.uid}:${scene.user.gid}`, image])
  return image
}

/** By the command's own door to the kernel, since a bare machine has no setfattr. */
function setAttribute(path: string): void {
  const script = `
    import { AT_FDCWD, linuxKernel, O_RDONLY } from ${JSON.stringify(new URL('../src/sys/index.js', import.meta.url).href)}
    const kernel = linuxKernel()
    kernel.setXattr(kernel.openat(AT_FDCWD, process.argv[1], O_RDONLY), 'user.demo', Buffer.from('kept'))`
  execFileSync(process.execPath, ['--input-type=module', '-e', script, path], { stdio: ['ignore', 'inherit', 'pipe'] })
}

function files(directory: string): string[] {
  return fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
}

/** What the root holds beside the state directory and the directories above it. */
function contents({ root }: Scene): string[] {
  return files(root).filter((name) => !/^var(\/|$)/.test(name))
}

/** Demands that the root holds what an image holds: names, types, bytes, modes, times to the nanosecond, links. */
function expectEqual(scene: Scene, image: string): void {
  const names = files(image)
  assert.deepEqual(contents(scene), names)
  for (const name of names) {
    const [expected, actual] = [image, scene.root].map((top) => fs.lstatSync(join(top, name), { bigint: true }))
    assert.ok(expected && actual)
    assert.equal(actual.mode, expected.mode, name)
    if (!expected.isDirectory()) assert.equal(actual.mtimeNs, expected.mtimeNs, name)
    if (expected.isFile()) {
      assert.equal(actual.nlink, expected.nlink, name)
      assert.ok(fs.readFileSync(join(scene.root, name)).equals(fs.readFileSync(join(image, name))), name)
    }
    if (expected.isSymbolicLink())
      assert.equal(fs.readlinkSync(join(scene.root, name)), fs.readlinkSync(join(image, name)))
  }
  say(`  found: ${names.length} names equal in type, mode, mtime, links and bytes`)
}

function blocks(path: string): number {
  return fs.statSync(path).blocks
}

function showFirstMerge(scene: Scene, image: string): void {
  heading('a fresh merge of lodash 4.17.20, from another file system')
  rootmerge(scene, ['merge', image, '--package', 'lodash', '--root', scene.root, '--verbose'])
  expectEqual(scene, image)
  const sparse = 'usr/share/demo/sparse'
  const [before, after] = [blocks(join(image, sparse)), blocks(join(scene.root, sparse))]
  say(
    `  found: ${sparse} has ${before} blocks in the image and ${after} in the root, of ${fs.statSync(join(scene.root, sparse)).size} bytes`,
  )
  assert.ok(after <= before + 16)
  heading('its record (mtree), where it has more than plain files')
  const record = rootmerge(scene, ['list', 'lodash', '--format', 'mtree', '--root', scene.root])
  const told = record.split('\n').filter((line) => line.includes('usr/share/demo') || line.includes('xattr'))
  for (const line of told) say(`  ${line}`)
  assert.match(record, /^# rootmerge xattr user\.demo a2VwdA==$/m)
}

function showWays(scene: Scene): void {
  heading('one file moved: by rename, and across file systems')
  const source = join(scene.images, 'moved')
  fs.writeFileSync(source, 'x'.repeat(100_000))
  if (scene.user.uid !== undefined) fs.chownSync(source, scene.user.uid, scene.user.gid ?? 0)
  rootmerge(scene, ['move', source, join(scene.images, 'renamed'), '--verbose'])
  rootmerge(scene, ['move', join(scene.images, 'renamed'), join(scene.root, 'moved'), '--verbose'])
  fs.rmSync(join(scene.root, 'moved'))
}

function showUpgrade(scene: Scene, image: string): void {
  heading('upgrade to lodash 4.17.21, then the same once more')
  rootmerge(scene, ['merge', image, '--package', 'lodash', '--root', scene.root])
  expectEqual(scene, image)
  rootmerge(scene, ['merge', image, '--package', 'lodash', '--root', scene.root])
}

function showArchive(scene: Scene): void {
  heading('a real npm archive, through tar-stream')
  execFileSync('npm', ['pack', '--silent', '--pack-destination', scene.images, './node_modules/tar-stream'], {
    cwd: project,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [archive] = fs.readdirSync(scene.images).filter((name) => name.endsWith('.tgz'))
  assert.ok(archive !== undefined)
  const path = join(scene.images, archive)
  rootmerge(scene, ['merge', path, '--package', 'tar-stream', '--strip-components', '1', '--root', scene.root])
  assert.ok(
    fs
      .readFileSync(join(scene.root, 'package.json'))
      .equals(fs.readFileSync(join(project, 'node_modules/tar-stream/package.json'))),
  )
  rootmerge(scene, ['list', '--root', scene.root])
  rootmerge(scene, ['unmerge', 'tar-stream', '--root', scene.root])
}

/** Kills a downgrade at growing delays until one leaves a transaction behind, and recovers it. */
async function showKill(scene: Scene, oldImage: string, newImage: string): Promise<void> {
  heading('a downgrade that is killed (SIGKILL) half-way, and recovered')
  const recovered: string[] = []
  for (let attempt = 0; attempt < 40 && recovered.length < 3; attempt++) {
    await killedMerge(scene, oldImage, attempt)
    const { stdout } = spawnSync(process.execPath, [command, 'recover', '--root', scene.root, '--json'], {
      encoding: 'utf8',
      ...scene.user,
    })
    const { action } = JSON.parse(stdout) as { action: string }
    const isOld = contents(scene).length > 0 && holds(scene, oldImage)
    assert.ok(isOld || holds(scene, newImage), 'the root is neither the old nor the new one')
    assert.deepEqual(
      files(scene.root).filter((name) => name.includes('.rootmerge-')),
      [],
    )
    if (action !== 'nothing') {
      recovered.push(action)
      say(
        `  killed, found a transaction, recovery did: ${action}; the root is ${isOld ? 'the new state' : 'the old state'}, no staging name is left`,
      )
    }
    const again = [command, 'merge', newImage, '--package', 'lodash', '--root', scene.root]
    const { status, stderr } = spawnSync(process.execPath, again, { encoding: 'utf8', ...scene.user })
    assert.equal(status, 0, stderr)
    assert.ok(holds(scene, newImage), 'merging the new version again did not bring it back')
  }
  assert.ok(recovered.length > 0, 'no kill met a running transaction')
}

function version(top: string): string {
  return fs.readFileSync(join(top, 'usr/lib/node_modules/lodash/package.json'), 'utf8')
}

function holds(scene: Scene, image: string): boolean {
  return (
    version(scene.root) === version(image) &&
    files(image).every((name) => fs.existsSync(join(scene.root, name)) || name.endsWith('link'))
  )
}

function killedMerge(scene: Scene, image: string, attempt: number): Promise<void> {
  const args = [command, 'merge', image, '--package', 'lodash', '--root', scene.root, '--json']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], ...scene.user })
  const phase = attempt % 2 === 0 ? '"stage"' : '"commit"'
  child.stdout?.on('data', (chunk: Buffer) => {
    if (chunk.includes(phase)) setTimeout(() => child.kill('SIGKILL'), attempt / 2)
  })
  return new Promise((resolve) => child.on('close', () => resolve()))
}

function showEnd(scene: Scene): void {
  heading('verify finds what somebody changed')
  rootmerge(scene, ['verify', '--root', scene.root])
  const victim = join(scene.root, 'usr/lib/node_modules/lodash/README.md')
  const original = fs.readFileSync(victim)
  const times = fs.statSync(victim)
  fs.appendFileSync(victim, 'edited\n')
  rootmerge(scene, ['verify', '--root', scene.root], 1)
  fs.writeFileSync(victim, original)
  fs.utimesSync(victim, times.atime, times.mtime)
  heading('unmerge: the root is empty again')
  rootmerge(scene, ['unmerge', 'lodash', '--root', scene.root])
  assert.deepEqual(contents(scene), [])
  say(`  found: nothing but ${files(scene.root).join(' ')}`)
}

const scene = makeScene()
const oldImage = makeImage(scene, 'demo-package-old', 'old')
const newImage = makeImage(scene, 'demo-package-new', 'new')
assert.notEqual(version(oldImage), version(newImage), 'the two versions are one')
showFirstMerge(scene, oldImage)
showWays(scene)
showUpgrade(scene, newImage)
showArchive(scene)
await showKill(scene, oldImage, newImage)
rootmerge(scene, ['merge', newImage, '--package', 'lodash', '--root', scene.root])
showEnd(scene)
say('\neverything was as it should be')
