// The law of a step, for every kind: apply, then undo, leaves the root as it was; the step survives JSON; `where` tells
// from the disk alone whether it was applied.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { identityOf } from '../../src/merge/identity.ts'
import { applyStep, cleanUpStep, type Step, type StepContext, undoStep, whereIs } from '../../src/merge/steps.ts'
import { AT_FDCWD, type Kernel, linuxKernel, O_DIRECTORY, O_RDONLY } from '../../src/sys/index.ts'
import { itOnEach } from '../support/filesystems.ts'
import { differencesBetween, type Snapshot, snapshot } from '../support/snapshot.ts'
import { writeTree } from '../support/tree.ts'

const tree = `
f 0644 /live        "old"
f 0600 /.staged     "new"
d 0755 /.subtree
f 0644 /.subtree/x  "new"
d 0755 /directory
f 0644 /directory/x "old"
d 0755 /empty
d 0700 /owned
`

type Bare<S> = S extends Step ? Omit<S, 'phase' | 'directory' | 'identity'> : never

const steps: Readonly<Record<string, Bare<Step>>> = {
  'place of a file': { kind: 'place', name: 'new', staging: '.staged' },
  'place of a directory': { kind: 'place', name: 'new', staging: '.subtree' },
  'replace of a file by a file': { kind: 'replace', name: 'live', staging: '.staged' },
  'replace of a file by a directory': { kind: 'replace', name: 'live', staging: '.subtree' },
  'replace of a directory by a file': { kind: 'replace', name: 'directory', staging: '.staged' },
  'remove of a file': { kind: 'remove', name: 'live', staging: '.aside' },
  'removeDirectory of an empty directory': { kind: 'removeDirectory', name: 'empty' },
  'removeDirectory of a directory that is not empty': { kind: 'removeDirectory', name: 'directory' },
  changeDirectory: {
    kind: 'changeDirectory',
    name: 'owned',
    before: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o700 },
    after: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o2755 },
  },
}

/** A step that makes its change only with the clean-up is in place from the start. */
const isCleanUpOnly = (step: Step) => step.kind === 'removeDirectory'

/** A context whose every directory is one that is open. */
function contextIn(kernel: Kernel, fd: number, leftOvers: string[]): StepContext {
  const directory = () => ({ fd, name: '' })
  return {
    kernel,
    id: '0123456789abcdef',
    directory,
    findDirectory: directory,
    isRecovering: false,
    declinesExchange: new Set(),
    membersOf: () => undefined,
    countMembers: () => 0,
    leftOver: (name) => leftOvers.push(name),
    note: () => {},
  }
}

function lawOf(bare: Bare<Step>, root: string): void {
  const kernel = linuxKernel()
  const fd = kernel.openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY)
  try {
    const identity = 'staging' in bare ? (identityOf(kernel, fd, bare.staging) ?? '') : ''
    const step = JSON.parse(JSON.stringify({ ...bare, phase: 'payload', directory: 0, identity })) as Step
    const leftOvers: string[] = []
    const context = contextIn(kernel, fd, leftOvers)
    const look = () => snapshot(root, { directoryTimes: false })
    const before = look()
    const whereabouts = () => whereIs(context, step)
    if (!isCleanUpOnly(step)) assert.match(whereabouts(), /^(before|either)$/)
    applyStep(context, step)
    assert.match(whereabouts(), /^(after|either)$/)
    assert.equal(differencesBetween(look(), before).length > 0, !isCleanUpOnly(step))
    undoStep(context, step)
    const staged = 'staging' in step ? [step.staging] : []
    const withoutStaged = (all: Snapshot) =>
      new Map([...all].filter(([name]) => !staged.some((own) => name.startsWith(own))))
    assert.deepEqual(differencesBetween(withoutStaged(look()), withoutStaged(before)), [])
    if (step.kind === 'place' && !fs.existsSync(join(root, step.staging))) return // undone and gone: nothing to clean up
    applyStep(context, step)
    cleanUpStep(context, step)
    const after = look()
    cleanUpStep(context, step)
    assert.deepEqual(differencesBetween(look(), after), [], 'a second clean-up changed something')
    assert.deepEqual(leftOvers, [])
    if ('staging' in step) assert.ok(!fs.existsSync(join(root, step.staging)))
  } finally {
    kernel.close(fd)
  }
}

describe('a step', () => {
  it('of every kind stands in this test', () => {
    const kinds = new Set(Object.values(steps).map(({ kind }) => kind))
    assert.deepEqual([...kinds].sort(), ['changeDirectory', 'place', 'remove', 'removeDirectory', 'replace'])
  })

  for (const [title, step] of Object.entries(steps)) {
    itOnEach(`keeps the law: ${title}`, (directory) => {
      writeTree(directory, tree)
      lawOf(step, directory)
    })
  }

  itOnEach('is foreign when neither object has the name', (directory) => {
    writeTree(directory, tree)
    const kernel = linuxKernel()
    const fd = kernel.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY)
    const context = contextIn(kernel, fd, [])
    const step: Step = {
      kind: 'replace',
      phase: 'payload',
      directory: 0,
      name: 'live',
      staging: '.staged',
      identity: 'of another',
    }
    assert.equal(whereIs(context, step), 'foreign')
    kernel.close(fd)
  })
})
