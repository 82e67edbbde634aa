// Set-id bits and capabilities of what is in a directory that goes as a whole: a hard link that somebody kept of it is
// harmless, and an undo gives them back.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { MergeOptions } from '../../src/merge/options.ts'
import { type Kernel, linuxKernel } from '../../src/sys/index.ts'
import { isRoot, itAsRoot } from '../support/asRoot.ts'
import { wrapKernel } from '../support/kernelDoubles.ts'
import { mergeImages, recoverRootNow, undoTransaction, unmergePackages } from '../support/operations.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'
import { contextOf } from './scenarios.ts'

const trees = {
  directory: 'f 4755 /opt/bin/su "1"\nf 0755 /opt/bin/ping "1"\nf 0755 /opt/bin/plain "1"',
  link: 'f /opt/elsewhere/file "2"\nl /opt/bin -> elsewhere',
}

interface Bench {
  readonly root: string
  readonly tool: string
  /** Somebody's own link of it. */
  readonly stash: string
  merge(image: keyof typeof trees, more?: Partial<MergeOptions>): Promise<unknown>
}

const modeOf = (path: string) => fs.statSync(path).mode & 0o7777
const undo = (root: string, kernel: Kernel = linuxKernel()) => undoTransaction(contextOf(kernel), { root })

/** A root in which the directory is merged, and its set-id file has a link elsewhere. */
function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const root = join(directory, 'root')
    fs.mkdirSync(root)
    for (const [name, tree] of Object.entries(trees)) {
      fs.mkdirSync(join(directory, name))
      writeTree(join(directory, name), tree)
    }
    const merge: Bench['merge'] = (image, more) =>
      mergeImages(contextOf(linuxKernel()), { root, image: join(directory, image), package: 'p', ...more })
    await merge('directory')
    const [tool, stash] = [join(root, 'opt/bin/su'), join(directory, 'stash')]
    fs.linkSync(tool, stash)
    await body({ root, tool, stash, merge })
  })
}

describe('privileged files in a directory that goes as a whole', () => {
  it('lose their bits', () =>
    withBench(async ({ merge, stash }) => {
      await merge('link')
      assert.equal(modeOf(stash), 0o755)
    }))

  it('keep them while another package has the same inode', () =>
    withBench(async ({ root, merge, stash, tool }) => {
      const image = join(root, '../other')
      for (const made of [join(root, 'usr'), image]) fs.mkdirSync(made)
      fs.linkSync(tool, join(root, 'usr/su'))
      execFileSync('cp', ['-a', '--parents', 'usr/su', image], { cwd: root })
      await mergeImages(contextOf(linuxKernel()), { root, image, package: 'other' })
      await merge('link')
      assert.equal(modeOf(join(root, 'usr/su')), 0o4755)
      assert.equal(modeOf(stash), 0o4755)
    }))

  it('lose them while they are kept, and have them again after an undo', () =>
    withBench(async ({ root, merge, stash, tool }) => {
      if (isRoot) execFileSync('setcap', ['cap_net_raw=ep', join(root, 'opt/bin/ping')])
      const look = () => [modeOf(tool), ...(isRoot ? [capabilityOf(join(root, 'opt/bin/ping'))] : [])]
      const before = look()
      await merge('link', { keepUndo: 1 })
      assert.equal(modeOf(stash), 0o755)
      undo(root)
      assert.deepEqual(look(), before)
      await merge('link', { keepUndo: 1 })
      await merge('directory', { keepUndo: 0 })
      assert.equal(modeOf(stash), 0o755)
    }))

  it('do not hold up an undo by going meanwhile', () =>
    withBench(async ({ root, tool }) => {
      unmergePackages(contextOf(linuxKernel()), { root, packages: ['p'], keepUndo: 1 })
      const removing = wrapKernel(linuxKernel(), (call, args, proceed) => {
        if (call === 'openat2' && String(args[1]).endsWith('bin/su')) fs.rmSync(tool)
        return proceed(...args)
      })
      const { leftOvers } = undo(root, removing)
      assert.deepEqual(
        leftOvers.map(({ name }) => name),
        ['opt/bin/su'],
      )
      assert.equal(recoverRootNow(contextOf(linuxKernel()), { root }).action, 'nothing')
      assert.equal(modeOf(join(root, 'opt/bin/plain')), 0o755)
    }))
})

function capabilityOf(path: string): string {
  return execFileSync('getcap', [path], { encoding: 'utf8' })
}

describe('a file that its owner may not read', () => {
  itAsRoot('is replaced, kept and given back for an ordinary user', () =>
    withDirectory(async (directory) => {
      const root = join(directory, 'root')
      const words = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, 'build/src/cli/main.js']
      const run = (...more: string[]) => execFileSync('setpriv', [...words, ...more, '--root', root])
      for (const [name, tree] of [
        ['root', ''],
        ['one', 'f 65534:65534 /file "1"'],
        ['two', 'f 65534:65534 /file "22"'],
      ] as const) {
        fs.mkdirSync(join(directory, name))
        writeTree(join(directory, name), tree)
        fs.chownSync(join(directory, name), 65534, 65534)
      }
      fs.chmodSync(directory, 0o755)
      run('merge', join(directory, 'one'), '--package', 'p')
      fs.chmodSync(join(root, 'file'), 0)
      run('merge', join(directory, 'two'), '--package', 'p', '--keep-undo', '1')
      assert.equal(fs.readFileSync(join(root, 'file'), 'utf8'), '22')
      run('undo')
      assert.equal(fs.readFileSync(join(root, 'file'), 'utf8'), '1')
      assert.equal(modeOf(join(root, 'file')), 0)
    }),
  )
})
