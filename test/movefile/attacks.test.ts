// Others who can write the same directories, and what they must not get.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { isStagingName, Mover, moveFile, newStagingName, StagingTakenError } from '../../src/movefile/index.ts'
import { type Kernel, O_EXCL, SyscallError } from '../../src/sys/index.ts'
import { itAsRoot } from '../support/asRoot.ts'
import { trackDescriptors, wrapKernel } from '../support/kernelDoubles.ts'
import { withOverlay } from '../support/overlay.ts'
import { withScene } from '../support/twoFileSystems.ts'

const isRoot = process.getuid?.() === 0

/** What an attacker does the moment that a call has been made. */
function attackAfter(
  call: keyof Kernel,
  attack: (args: readonly unknown[], count: number) => void,
): (kernel: Kernel) => Kernel {
  let count = 0
  return (kernel) =>
    wrapKernel(kernel, (name, args, proceed) => {
      const result = proceed(...args)
      if (name === call) attack(args, ++count)
      return result
    })
}

describe('newStagingName()', () => {
  it('is hidden, short, unpredictable, and told from everything else', () => {
    const names = new Set(Array.from({ length: 2000 }, () => newStagingName('move')))
    assert.equal(names.size, 2000)
    for (const name of [...names, newStagingName()]) {
      assert.match(name, /^\.rootmerge-(move-)?[a-z2-7]{16}$/)
      assert.ok(isStagingName(name))
    }
    assert.ok(isStagingName(newStagingName(), 'merge') && !isStagingName(newStagingName(), 'move'))
    for (const name of ['.rootmerge-', '.rootmerge-x', 'file#new', `${newStagingName()}.conf`, '.rootmerge-move-']) {
      assert.ok(!isStagingName(name), name)
    }
  })
})

describe('Mover.move() among others who write the same directories', () => {
  it('M2, M3: never writes through a name that somebody planted', () =>
    withScene({ source: 'f 0600 /file "secret"', target: 'f 0666 /victim "victim"\nf /file "old"' }, (scene) => {
      const victim = join(scene.to, 'victim')
      const planting = (kernel: Kernel): Kernel => ({
        ...kernel,
        openat(directory, name, flags, mode) {
          // The attacker guessed the name, against 80 bits, and was first.
          if (isStagingName(name) && (flags & O_EXCL) !== 0) fs.symlinkSync(victim, join(scene.to, name))
          return kernel.openat(directory, name, flags, mode)
        },
      })
      assert.throws(() => scene.mover({}, planting).move(scene.source('file'), scene.target('file')), {
        code: 'EEXIST',
      })
      assert.equal(fs.readFileSync(victim, 'utf8'), 'victim')
      assert.equal(fs.lstatSync(victim).mode & 0o7777, 0o666)
      assert.equal(fs.readFileSync(join(scene.from, 'file'), 'utf8'), 'secret')
    }))

  for (const [what, line] of Object.entries({ symlink: 'l /object -> x', fifo: 'p 0666 /object' })) {
    it(`sets nothing on what was put in the place of a staged ${what}`, () =>
      withScene({ source: line, target: 'f 0600 /victim "victim"' }, (scene) => {
        const victim = join(scene.to, 'victim')
        const call = what === 'symlink' ? 'symlinkat' : 'mknodat'
        const replacing = attackAfter(call, (args) => {
          const staging = join(scene.to, args[what === 'symlink' ? 2 : 1] as string)
          fs.unlinkSync(staging)
          fs.linkSync(victim, staging)
        })
        const before = fs.lstatSync(victim, { bigint: true })
        assert.throws(() => scene.mover({}, replacing).move(scene.source('object'), scene.target('object')), {
          code: 'ERR_ROOTMERGE_SOURCE_REPLACED',
        })
        const now = fs.lstatSync(victim, { bigint: true })
        assert.deepEqual([now.mode, now.uid, now.mtimeNs], [before.mode, before.uid, before.mtimeNs])
        assert.deepEqual(fs.readdirSync(scene.to), ['victim'])
      }))
  }

  it('keeps the attributes of a symlink that is swapped away and back while they are listed', function () {
    if (!isRoot) {
      process.stderr.write('      needs root: attributes of a symlink\n')
      return this.skip()
    }
    return withScene({ source: 'l /link -> x' }, (scene) => {
      const [link, kept] = [join(scene.from, 'link'), join(scene.from, 'kept')]
      execFileSync('setfattr', ['-h', '-n', 'trusted.note', '-v', 'kept', link])
      const swapping = (kernel: Kernel) =>
        wrapKernel(kernel, (call, args, proceed) => {
          if (!call.startsWith('listXattrs')) return proceed(...args)
          fs.renameSync(link, kept)
          fs.symlinkSync('x', link)
          try {
            return proceed(...args)
          } finally {
            fs.renameSync(kept, link)
          }
        })
      scene.mover({}, swapping).copy(scene.source('link'), scene.target('link'))
      const copied = execFileSync('getfattr', ['-h', '-d', '-m', '-', '--absolute-names', join(scene.to, 'link')])
      assert.match(copied.toString(), /trusted\.note="kept"/)
    })
  })

  for (const [what, replace] of Object.entries({
    'another file': (path: string) => fs.writeFileSync(path, 'swapped'),
    'a symlink': (path: string) => fs.symlinkSync('/etc/passwd', path),
    'a fifo, which would block': (path: string) => execFileSync('mkfifo', [path]),
  })) {
    it(`notices a source that was swapped for ${what}`, () =>
      withScene({ source: 'f /file "right"', target: 'f /file "old"' }, (scene) => {
        const swapping = attackAfter('findat', (_, count) => {
          if (count > 1) return
          fs.renameSync(join(scene.from, 'file'), join(scene.from, 'kept'))
          replace(join(scene.from, 'file'))
        })
        assert.throws(() => scene.mover({}, swapping).move(scene.source('file'), scene.target('file')))
        assert.equal(fs.readFileSync(join(scene.to, 'file'), 'utf8'), 'old')
        assert.deepEqual(fs.readdirSync(scene.to), ['file'])
        assert.deepEqual(fs.readdirSync(scene.from).sort(), ['file', 'kept'])
      }))
  }

  for (const [way, sameFileSystem] of [
    ['renaming', true],
    ['copying', false],
  ] as const) {
    it(`notices when ${way} that the source is not the expected object, and says what differs`, () =>
      withScene({ source: 'f /file "right"', sameFileSystem }, (scene) => {
        const expected = scene.kernel.statat(scene.source('file').directory, 'file')
        fs.writeFileSync(join(scene.from, 'file'), 'wrong size')
        assert.throws(() => scene.mover().move(scene.source('file'), scene.target('file'), { expected }), {
          code: 'ERR_ROOTMERGE_SOURCE_REPLACED',
          message: /differs in size, mtimeNs, ctimeNs/,
        })
        assert.deepEqual(fs.readdirSync(scene.to), [])
      }))
  }

  for (const [moment, swapsBefore, side, how] of [
    [
      'just before the rename',
      'renameat',
      'to',
      'holds another object than the expected one: it was swapped during the move',
    ],
    ['before it is held', 'openat', 'from', 'was replaced by another object'],
  ] as const) {
    it(`notices a source that was swapped ${moment}, and says where it is`, () =>
      withScene({ source: 'f /file "right"', sameFileSystem: true }, (scene) => {
        const expected = scene.kernel.statat(scene.source('file').directory, 'file')
        let isSwapped = false
        const swapping = (kernel: Kernel) =>
          wrapKernel(kernel, (name, args, proceed) => {
            if (name === swapsBefore && !isSwapped) {
              isSwapped = true
              fs.renameSync(join(scene.from, 'file'), join(scene.from, 'kept'))
              fs.writeFileSync(join(scene.from, 'file'), 'swapped')
            }
            return proceed(...args)
          })
        assert.throws(() => scene.mover({}, swapping).move(scene.source('file'), scene.target('file'), { expected }), {
          code: 'ERR_ROOTMERGE_SOURCE_REPLACED',
          message: `'${join(scene[side], 'file')}' ${how}`,
        })
        assert.equal(fs.readFileSync(join(scene[side], 'file'), 'utf8'), 'swapped')
      }))
  }

  itAsRoot('knows the expected object again that got another inode number by being renamed', () =>
    withOverlay('f /one "x"\nh /two == /one', async (directory) => {
      const [source, target] = [join(directory, 'one'), join(directory, 'new')]
      const expected = fs.lstatSync(source, { bigint: true })
      assert.equal((await moveFile(source, target, { expected })).method, 'rename')
      assert.notEqual(fs.lstatSync(target, { bigint: true }).ino, expected.ino, 'overlayfs has kept the number')
    }),
  )

  itAsRoot('knows the source again that got another inode number by being changed for a rename that is refused', () =>
    withOverlay('f /one "x"\nh /two == /one', (directory) =>
      withScene({ source: '' }, async ({ to }) => {
        const target = join(to, 'new')
        const report = await moveFile(join(directory, 'one'), target, { newMtime: 1_000_000_000n })
        assert.equal(report.method, 'copy')
        assert.equal(fs.lstatSync(target, { bigint: true }).mtimeNs, 1_000_000_000n)
        assert.deepEqual(fs.readdirSync(directory), ['two'])
      }),
    ),
  )

  it('does not remove a source that was written to after it was copied', () =>
    withScene({ source: 'f /file "x"' }, (scene) => {
      const writing = attackAfter('linkat', () => {
        fs.writeFileSync(join(scene.from, 'file'), 'written meanwhile')
      })
      assert.throws(() => scene.mover({}, writing).move(scene.source('file'), scene.target('file')), {
        code: 'ERR_ROOTMERGE_SOURCE_NOT_REMOVED',
        message: /changed after it was copied/,
      })
      assert.equal(fs.readFileSync(join(scene.from, 'file'), 'utf8'), 'written meanwhile')
    }))

  it('does not remove what came into a tree after it was copied', () =>
    withScene({ source: 'f /tree/file "x"' }, (scene) => {
      const adding = attackAfter('renameat', (args) => {
        if (isStagingName(args[1] as string)) fs.writeFileSync(join(scene.from, 'tree/late'), 'late')
      })
      assert.throws(() => scene.mover({}, adding).move(scene.source('tree'), scene.target('tree')), {
        code: 'ERR_ROOTMERGE_SOURCE_NOT_REMOVED',
      })
      assert.deepEqual(fs.readdirSync(join(scene.from, 'tree')), ['late'])
      assert.deepEqual(fs.readdirSync(join(scene.to, 'tree')), ['file'])
    }))

  it('stages again when a process that cleans up took the staging name away', () =>
    withScene({ source: 'l /link -> x\nf /file "x"', target: 'f /file "old"' }, (scene) => {
      for (const name of ['link', 'file']) {
        let taken = 0
        const taking = (kernel: Kernel): Kernel => ({
          ...kernel,
          renameat(...args) {
            if (isStagingName(args[1]) && taken++ === 0) kernel.unlinkat(args[0], args[1])
            kernel.renameat(...args)
          },
        })
        scene.mover({}, taking).move(scene.source(name), scene.target(name))
        assert.equal(taken, 2)
      }
      assert.deepEqual(fs.readdirSync(scene.to).sort(), ['file', 'link'])
    }))

  it('gives up when the staging name is taken away each time, and leaves both sides as they were', () =>
    withScene({ source: 'l /link -> x\nf /file "x"', target: 'f /file "old"' }, (scene) => {
      for (const name of ['link', 'file']) {
        let taken = 0
        const taking = (kernel: Kernel): Kernel => ({
          ...kernel,
          renameat(...args) {
            if (isStagingName(args[1])) {
              taken++
              kernel.unlinkat(args[0], args[1])
            }
            kernel.renameat(...args)
          },
        })
        assert.throws(
          () => scene.mover({}, taking).move(scene.source(name), scene.target(name)),
          (error: unknown) => {
            assert.ok(error instanceof StagingTakenError, String(error))
            assert.ok(error.message.includes(`'${join(scene.to, name)}'`), error.message)
            return true
          },
        )
        assert.equal(taken, 3)
      }
      assert.deepEqual(fs.readdirSync(scene.from).sort(), ['file', 'link'])
      assert.deepEqual(fs.readdirSync(scene.to), ['file'])
      assert.equal(fs.readFileSync(join(scene.to, 'file'), 'utf8'), 'old')
    }))

  it('never takes away what a living move stages, nor what belongs to a merge', () =>
    withScene(
      { source: 'f /file "x"\nl /other -> x', target: `f /file "old"\nf /${newStagingName('merge')} "a merge's"` },
      (scene) => {
        const tracked = trackDescriptors(scene.kernel)
        let others = 0
        const between = attackAfter('pwrite', () => {
          // Another process moves into the same directory in the middle of this one's copy.
          others++
          new Mover(scene.kernel).move(scene.source('other'), scene.target('other'))
          assert.equal(fs.readdirSync(scene.to).filter((name) => isStagingName(name, 'move')).length, 1)
        })
        new Mover(between(tracked.kernel)).move(scene.source('file'), scene.target('file'))
        assert.equal(others, 1)
        assert.equal(fs.readdirSync(scene.to).filter((name) => isStagingName(name, 'merge')).length, 1)
        assert.deepEqual([...tracked.open.values()], [])
      },
    ))

  it('U5: nobody else can open a file of mode 4700 while it is copied, and it is never set-id before its owner', async function () {
    needsWatcher(this)
    const { seen, said, mode } = await watchMove((kernel) => kernel)
    assert.deepEqual(seen, [])
    assert.match(said, /saw/, 'the watcher saw no staging name, so it proved nothing')
    assert.doesNotMatch(said, /opened/)
    assert.equal(mode, 0o4700)
  })

  it('U5: the watcher notices a staged file that is open to all', async function () {
    needsWatcher(this)
    const careless = (kernel: Kernel): Kernel => ({
      ...kernel,
      openat(directory, name, flags, mode) {
        const fd = kernel.openat(directory, name, flags, mode)
        if (isStagingName(name) && (flags & O_EXCL) !== 0) kernel.fchmod(fd, 0o666)
        return fd
      },
    })
    const { seen, said } = await watchMove(careless)
    assert.ok(seen.length > 0)
    assert.match(said, /opened .* for writing/)
  })

  it('shows nothing of a file on its way to a free name until it is complete, and then its own owner and mode', () =>
    withScene({ source: `f 4750 ${isRoot ? '12:34 ' : ''}/file random:300K` }, (scene) => {
      const whole = fs.readFileSync(join(scene.from, 'file'))
      let shown = 0
      const watched = (kernel: Kernel) =>
        wrapKernel(kernel, (_, args, proceed) => {
          const result = proceed(...args)
          for (const name of fs.readdirSync(scene.to)) {
            const stat = fs.lstatSync(join(scene.to, name))
            assert.deepEqual([name, stat.mode & 0o7777], ['file', 0o4750])
            if (isRoot) assert.deepEqual([stat.uid, stat.gid], [12, 34])
            assert.ok(fs.readFileSync(join(scene.to, name)).equals(whole))
            shown++
          }
          return result
        })
      scene.mover({ copy: { methods: ['read_write'] } }, watched).move(scene.source('file'), scene.target('file'))
      assert.ok(shown > 1)
      assert.deepEqual(fs.readdirSync(scene.from), [])
    }))

  for (const noReplace of [false, true]) {
    it(`${noReplace ? 'refuses' : 'replaces'} what took a free name during the copy`, () =>
      withScene({ source: 'f 0640 /file "ours"' }, (scene) => {
        const taking = attackAfter('pwrite', (_, count) => {
          if (count === 1) fs.writeFileSync(join(scene.to, 'file'), 'theirs')
        })
        const move = () => scene.mover({}, taking).move(scene.source('file'), scene.target('file'), { noReplace })
        if (noReplace) assert.throws(move, { code: 'EEXIST' })
        else assert.equal(move().method, 'copy')
        assert.deepEqual(fs.readdirSync(scene.to), ['file'])
        assert.equal(fs.readFileSync(join(scene.to, 'file'), 'utf8'), noReplace ? 'theirs' : 'ours')
        assert.deepEqual(fs.readdirSync(scene.from), noReplace ? ['file'] : [])
      }))
  }

  it('leaves the target alone when the kernel refuses the last rename', () =>
    withScene({ source: 'f /file "x"', target: 'f /file "old"' }, (scene) => {
      const refusing = (kernel: Kernel): Kernel => ({
        ...kernel,
        renameat(...args) {
          if (isStagingName(args[1])) throw new SyscallError('EROFS', 'renameat2')
          kernel.renameat(...args)
        },
      })
      assert.throws(() => scene.mover({}, refusing).move(scene.source('file'), scene.target('file')), { code: 'EROFS' })
      assert.deepEqual(fs.readdirSync(scene.to), ['file'])
    }))
})

function needsWatcher(context: Mocha.Context): void {
  if (isRoot) return
  process.stderr.write('      needs root: another user who watches\n')
  context.skip()
}

/** Moves a file of mode 4700, slowly, while another user tries to open what appears: what each of them saw. */
async function watchMove(spoilt: (kernel: Kernel) => Kernel): Promise<{ seen: string[]; said: string; mode: number }> {
  const seen: string[] = []
  let said = ''
  let mode = 0
  await withScene({ source: 'f 4700 12:34 /file random:300K', target: 'f /file "old"' }, async (scene) => {
    fs.chmodSync(scene.to, 0o777)
    const watcher = spawn('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'sh', '-c', watching], {
      cwd: '/',
      env: { DIRECTORY: scene.to, PATH: process.env.PATH ?? '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    watcher.stdout.on('data', (text) => {
      said += text
    })
    await new Promise((resolve) => watcher.stdout.once('data', resolve))
    const slow = (kernel: Kernel) =>
      wrapKernel(kernel, (call, args, proceed) => {
        const result = proceed(...args)
        for (const name of fs.readdirSync(scene.to).filter((each) => isStagingName(each))) {
          const stat = fs.lstatSync(join(scene.to, name))
          if ((stat.mode & 0o6000) !== 0 && stat.uid !== 12) seen.push(`${call}: set-id of ${stat.uid}`)
          if ((stat.mode & 0o077) !== 0) seen.push(`${call}: ${stat.mode.toString(8)}`)
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 15)
        return result
      })
    const mover = scene.mover({ copy: { methods: ['read_write'] } }, (kernel) => slow(spoilt(kernel)))
    mover.move(scene.source('file'), scene.target('file'))
    watcher.kill()
    await new Promise((resolve) => watcher.once('exit', resolve))
    mode = fs.lstatSync(join(scene.to, 'file')).mode & 0o7777
  })
  return { seen, said, mode }
}

/** Tries to open everything, for reading and for writing, until it is killed. */
const watching = `
echo ready
while :; do
  for name in "$DIRECTORY"/.rootmerge-move-*; do
    [ -e "$name" ] || continue
    echo "saw $name"
    { : < "$name"; } 2>/dev/null && echo "opened $name for reading"
    { : >> "$name"; } 2>/dev/null && echo "opened $name for writing"
  done
done`
