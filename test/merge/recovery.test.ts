// Recovery where the machine is not as it was: a file system is not mounted, the kernel was booted anew, the journal is
// gone. And the unit that runs it.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LockedError, RecoveryPendingError } from '../../src/merge/errors.ts'
import {
  AT_FDCWD,
  CancelFlag,
  Cancelled,
  type Kernel,
  LOCK_EX,
  linuxKernel,
  O_RDONLY,
  SyscallError,
} from '../../src/sys/index.ts'
import { itAsRoot } from '../support/asRoot.ts'
import { crashAt, wrapKernel } from '../support/kernelDoubles.ts'
import { listPackages, mergeImages, recoverRootNow } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { differencesBetween, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'
import { tell } from './outcome.ts'
import { contextOf, copyOf, mortal, recover } from './scenarios.ts'
import { full } from './sweeping.ts'

interface Scene {
  readonly root: string
  readonly directory: string
  merge(image: string, kernel?: Kernel, durability?: 'none' | 'transaction'): Promise<unknown>
}

async function withScene(
  images: Readonly<Record<string, string>>,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    for (const [name, tree] of Object.entries(images)) {
      fs.mkdirSync(join(directory, name))
      writeTree(join(directory, name), tree)
    }
    const merge: Scene['merge'] = (image, kernel = linuxKernel(), durability = 'transaction') =>
      mergeImages(contextOf(kernel), { root, image: join(directory, image), package: 'p', durability })
    await body({ root, directory, merge })
  })
}

/** Dies right before the n-th rename. */
function diesAtRename(kernel: Kernel, n: number): Kernel {
  let renames = 0
  return wrapKernel(kernel, (call, args, proceed) => {
    if (call === 'renameat' && ++renames >= n) renames = Number.POSITIVE_INFINITY
    if (renames === Number.POSITIVE_INFINITY) throw new Error('died')
    return proceed(...args)
  })
}

async function die(scene: Scene, image: string, at: number, durability?: 'none'): Promise<void> {
  const dying = mortal()
  await assert.rejects(scene.merge(image, diesAtRename(dying.kernel, at), durability))
  dying.bury()
}

const trees = { one: 'f /etc/a "1"\nf /srv/data/b "1"', two: 'f /etc/a "2, longer"\nf /srv/data/b "2, longer"' }

describe('recovery without a file system', () => {
  itAsRoot('stops, names the mount and changes nothing; with it, it goes on', () =>
    withScene(trees, async (scene) => {
      const { root, directory, merge } = scene
      const data = join(root, 'srv/data')
      fs.mkdirSync(data, { recursive: true })
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', data])
      const moved = join(directory, 'moved')
      fs.mkdirSync(moved)
      execFileSync('mount', ['--make-private', data])
      try {
        await merge('one')
        await die(scene, 'two', 2)
        execFileSync('mount', ['--move', data, moved])
        const before = snapshot(root)
        for (const undo of [false, true]) {
          assert.throws(
            () => recover(directory, linuxKernel(), undo),
            (error: Error) =>
              error instanceof RecoveryPendingError && /nothing is mounted on .*srv\/data,/.test(error.message),
          )
        }
        await assert.rejects(merge('one'), RecoveryPendingError)
        assert.deepEqual(
          differencesBetween(snapshot(root), before).filter((line) => !line.startsWith('var')),
          [],
        )
        execFileSync('mount', ['--move', moved, data])
        assert.equal(recover(directory).action, 'finish')
        assert.equal(fs.readFileSync(join(data, 'b'), 'utf8'), '2, longer')
        assert.deepEqual(fs.readdirSync(data), ['b'])
      } finally {
        for (const mount of [data, moved]) spawnSync('umount', ['-l', mount])
      }
    }),
  )

  itAsRoot('stops where another one is mounted in its place; with it, it goes on', () =>
    withScene(trees, async (scene) => {
      const { root, directory, merge } = scene
      const data = join(root, 'srv/data')
      const moved = join(directory, 'moved')
      for (const made of [data, moved]) fs.mkdirSync(made, { recursive: true })
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(root, 'srv')])
      execFileSync('mount', ['--make-private', join(root, 'srv')])
      try {
        await merge('one')
        await die(scene, 'two', 2)
        execFileSync('mount', ['--move', join(root, 'srv'), moved])
        execFileSync('mount', ['-t', 'tmpfs', 'another', join(root, 'srv')])
        for (const hidden of ['', 'data']) {
          fs.mkdirSync(join(root, 'srv', hidden), { recursive: true })
          assert.throws(
            () => recover(directory),
            (error: Error) =>
              error instanceof RecoveryPendingError &&
              /another file system is mounted on .*srv than/.test(error.message),
          )
        }
        execFileSync('umount', [join(root, 'srv')])
        execFileSync('mount', ['--move', moved, join(root, 'srv')])
        assert.equal(recover(directory).action, 'finish')
        assert.equal(fs.readFileSync(join(data, 'b'), 'utf8'), '2, longer')
      } finally {
        for (const mount of [join(root, 'srv'), moved]) spawnSync('umount', ['-l', mount])
      }
    }),
  )

  itAsRoot('stops where another one hides what was changed; without that, it goes on', () =>
    withScene(trees, async (scene) => {
      const { root, directory, merge } = scene
      const point = join(root, 'srv')
      await merge('one')
      await die(scene, 'two', 2)
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', point])
      try {
        for (const hidden of ['', 'data']) {
          fs.mkdirSync(join(point, hidden), { recursive: true }) // what has the name then is another directory
          for (const undo of [false, true]) {
            assert.throws(
              () => recover(directory, linuxKernel(), undo),
              (error: Error) =>
                error instanceof RecoveryPendingError && /is mounted on .*srv, over/.test(error.message),
            )
          }
        }
      } finally {
        execFileSync('umount', [point])
      }
      assert.equal(recover(directory).action, 'finish')
      assert.equal(fs.readFileSync(join(root, 'srv/data/b'), 'utf8'), '2, longer')
      assert.deepEqual(fs.readdirSync(join(root, 'srv/data')), ['b'])
    }),
  )
})

/** A kernel that was booted anew since. */
function bootedAnew(kernel: Kernel): Kernel {
  const open = new Set<number>()
  return {
    ...kernel,
    openat: (directory, path, flags, mode) => {
      const fd = kernel.openat(directory, path, flags, mode)
      if (path.endsWith('/boot_id')) open.add(fd)
      return fd
    },
    read: (fd, buffer) =>
      open.delete(fd) ? Buffer.from(buffer.buffer).write('another boot\n') : kernel.read(fd, buffer),
  }
}

describe('recovery after another boot', function () {
  this.timeout(600_000)

  it('undoes what was committed and not flushed, and finishes what was flushed', () =>
    withScene(trees, async (scene) => {
      await scene.merge('one')
      for (const [durability, action] of [
        ['none', 'undo'],
        [undefined, 'finish'],
      ] as const) {
        await die(scene, 'two', 2, durability)
        assert.equal(recover(scene.directory, bootedAnew(linuxKernel())).action, action)
      }
      await scene.merge('one')
      await die(scene, 'two', 2, 'none')
      assert.equal(recover(scene.directory).action, 'finish', 'the kernel that was told to write still runs')
    }))

  it('takes a kernel that does not say which boot it is for another', () =>
    withScene(trees, async ({ directory, merge }) => {
      const silent = (kernel: Kernel) =>
        wrapKernel(kernel, (call, args, proceed) => {
          if (call === 'openat' && String(args[1]).endsWith('/boot_id')) throw new SyscallError('ENOENT', call)
          return proceed(...args)
        })
      await merge('one')
      const dying = mortal()
      await assert.rejects(merge('two', diesAtRename(silent(dying.kernel), 2), 'none'))
      dying.bury()
      assert.equal(recover(directory, silent(linuxKernel())).action, 'undo')
    }))

  it('keeps every old object when the journal lost its end, whenever the machine stopped', () =>
    withScene(trees, async (scene) => {
      const { directory, root } = scene
      await scene.merge('one')
      const [prepared, work] = [join(directory, '..', `${Date.now()}-prepared`), directory]
      copyOf(directory, prepared)
      try {
        let renamed = 0
        for (let n = 40; ; n += full ? 1 : 5) {
          copyOf(prepared, work)
          // The journal's own writes are lost after its beginning and the directories, as the page cache would lose them.
          let begun: Buffer | undefined
          let [written, isCleaned] = [0, false]
          const dying = mortal()
          const journal = join(root, 'var/lib/rootmerge/journal')
          const { kernel, seen } = crashAt(
            wrapKernel(dying.kernel, (call, args, proceed) => {
              const result = proceed(...args)
              if (call === 'unlinkat') isCleaned = true
              if (call === 'pwrite' && ++written === 2) begun = fs.readFileSync(journal)
              return result
            }),
            n,
          )
          await scene.merge('two', kernel, 'none').catch(() => {})
          dying.bury()
          if (seen.hit === undefined) break
          if (begun !== undefined) fs.writeFileSync(journal, begun)
          const isRenamed = fs.readFileSync(join(root, 'etc/a'), 'utf8') !== '1'
          recover(directory, bootedAnew(linuxKernel()))
          const contents = [...snapshot(join(root, 'etc')).keys()]
            .filter((name) => name !== '')
            .map((name) => fs.readFileSync(join(root, 'etc', name), 'utf8'))
          if (isRenamed && !isCleaned) assert.ok(contents.includes('1'), `the old object is gone at ${n} (${seen.hit})`)
          if (isRenamed) renamed++
        }
        tell(`stopped after the first rename at ${renamed} calls`)
        assert.ok(renamed > (full ? 30 : 6))
      } finally {
        fs.rmSync(prepared, { recursive: true })
      }
    }))
})

describe('recover({ scan })', () => {
  it('removes what a refused clean-up left when that is possible, and nothing that may be the only one', () =>
    withScene(trees, async ({ root, directory, merge }) => {
      await merge('one')
      const refused = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'unlinkat' && String(args[1]).startsWith('.rootmerge-'))
          throw new SyscallError('EPERM', 'unlinkat')
        return proceed(...args)
      })
      const { leftOvers } = (await merge('two', refused)) as { leftOvers: readonly { name: string }[] }
      const left = leftOvers.map(({ name }) => name).sort()
      assert.deepEqual(
        left.map((name) => name.slice(0, name.indexOf('/.rootmerge-'))),
        ['etc', 'srv/data', 'var/lib/rootmerge/packages/p'],
      )
      const planted = ['etc/.rootmerge-0123456789abcdef-0', 'srv/.rootmerge-kept-0123456789abcdef-0']
      for (const name of planted) fs.writeFileSync(join(root, name), 'who knows')
      fs.linkSync(join(root, 'etc/a'), join(root, 'srv/.rootmerge-0123456789abcdef-7'))
      const options = { root, scan: ['srv'] }
      const part = recoverRootNow(contextOf(linuxKernel()), options).scan
      assert.deepEqual(
        part?.removed.toSorted(),
        ['srv/.rootmerge-0123456789abcdef-7', ...left.filter((n) => n.startsWith('srv'))].sort(),
      )
      const all = recoverRootNow(contextOf(linuxKernel()), { root, scan: true }).scan
      assert.deepEqual(
        all?.removed.toSorted(),
        left.filter((name) => !name.startsWith('srv')),
      )
      assert.deepEqual(all?.kept.map(({ name }) => name).sort(), planted.toSorted())
      assert.deepEqual(fs.readdirSync(join(root, 'etc')).sort(), ['.rootmerge-0123456789abcdef-0', 'a'])
      assert.equal(recover(directory).scan, undefined)
    }))
})

describe('waiting for another writer', () => {
  it('says for whom, and ends when its time is over or it is cancelled', () =>
    withScene(trees, async ({ root, merge }) => {
      await merge('one')
      const kernel = linuxKernel()
      const fd = kernel.openat(AT_FDCWD, root, O_RDONLY)
      kernel.flock(fd, LOCK_EX) // of an open file: this process holds it as another would
      try {
        const told: unknown[] = []
        const wait = (lockWait: number, cancel = new CancelFlag()) =>
          recoverRootNow({ kernel, cancel, report: (progress) => told.push(progress) }, { root, lockWait })
        assert.throws(() => wait(0.12), LockedError)
        assert.match(JSON.stringify(told), /"phase":"wait".*"holder":"process \d+ \(/)
        const cancel = new CancelFlag()
        cancel.raise()
        assert.throws(() => wait(60, cancel), Cancelled)
      } finally {
        kernel.close(fd)
      }
      assert.deepEqual(listPackages(contextOf(kernel), { root }), ['p'])
    }))
})

describe('rootmerge-recover.service', () => {
  it('is a unit that systemd accepts, and runs a command that there is', () => {
    const unit = fileURLToPath(new URL('../../../systemd/rootmerge-recover.service', import.meta.url))
    const text = fs.readFileSync(unit, 'utf8')
    const [, line = ''] = /^ExecStart=\/usr\/bin\/env rootmerge (.*)$/m.exec(text) ?? []
    const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
    withDirectory((root) => {
      const args = line.split(' ').map((word) => (word === '/' ? root : word))
      assert.match(execFileSync(process.execPath, [command, ...args], { encoding: 'utf8' }), /nothing to recover/)
    })
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
    if (verified.error !== undefined) fs.writeSync(2, `skipped: systemd-analyze: ${verified.error.message}\n`)
    else assert.equal(verified.stderr.replace(/^.*(SYSTEMD_|Failed to (initialize|prepare)|\/etc\/).*\n/gm, ''), '')
  })
})

describe('a merge that may be replacing its own runtime', () => {
  const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
  const loaded = /open(at)?\(.*\.(js|mjs|cjs|json|node|so)".*= \d/

  for (const [how, inject] of Object.entries({
    'that succeeds': [],
    'that is undone': ['-e', 'inject=renameat2:error=EIO:when=2'],
  })) {
    it(`loads nothing after its first rename, ${how}`, function () {
      if (spawnSync('strace', ['-V']).error !== undefined) {
        fs.writeSync(2, 'skipped: no strace\n')
        this.skip()
      }
      return withScene(trees, async ({ root, directory, merge }) => {
        await merge('one')
        const trace = join(directory, 'trace')
        const args = ['-f', '-o', trace, '-e', 'trace=open,openat,renameat2', ...inject, process.execPath, command]
        // Coverage is written at the end of a process, and Node gives it to every child for which it is not set to nothing.
        const env = { ...process.env, NODE_V8_COVERAGE: undefined }
        spawnSync('strace', [...args, 'merge', join(directory, 'two'), '--package', 'p', '--root', root], { env })
        const lines = fs.readFileSync(trace, 'utf8').split('\n')
        const first = lines.findIndex((line) => line.includes('renameat2('))
        assert.ok(first > 100 && lines.slice(0, first).some((line) => loaded.test(line)))
        assert.ok(lines.slice(first).length > 5)
        assert.deepEqual(
          lines.slice(first).filter((line) => loaded.test(line)),
          [],
        )
        assert.equal(fs.readFileSync(join(root, 'etc/a'), 'utf8'), inject.length === 0 ? '2, longer' : '1')
      })
    })
  }
})
