// Merges that the sweeps interrupt: each has a root as it is before, and one operation on it.

import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { MergeOptions } from '../../src/merge/options.ts'
import type { EngineContext } from '../../src/sys/engineThread.ts'
import { CancelFlag, type Fd, type Kernel, linuxKernel, retryInterrupted } from '../../src/sys/index.ts'
import { trackDescriptors } from '../support/kernelDoubles.ts'
import { mergeImages, recoverRootNow, resolveUpdate, unmergePackages } from '../support/operations.ts'
import { type Snapshot, snapshot } from '../support/snapshot.ts'

/** The engine's context for a call in place. */
export function contextOf(kernel: Kernel, cancel = new CancelFlag()): EngineContext {
  return { kernel: retryInterrupted(kernel, () => cancel.check()), cancel, report: () => {} }
}

/** An operation, and the root that it is done to. */
export interface Scenario {
  readonly title: string
  /** Makes the root (and images beside it) in an empty directory. */
  prepare(directory: string): Promise<void>
  operate(engine: EngineContext, directory: string): Promise<unknown>
  /** The same operation as words for the command, without the root. */
  readonly words: (directory: string) => string[]
  /** Names that the administrator has edited: verify is right to name them. */
  readonly edited?: RegExp
}

const plain = { durability: 'transaction' as const }

function write(path: string, content: string, mode = 0o644): void {
  fs.mkdirSync(join(path, '..'), { recursive: true })
  fs.writeFileSync(path, content)
  fs.chmodSync(path, mode)
  fs.utimesSync(path, 1_000_000, 1_000_000)
}

function merge(engine: EngineContext, directory: string, image: string, name: string, more?: Partial<MergeOptions>) {
  return mergeImages(engine, {
    ...more,
    root: join(directory, 'root'),
    image: join(directory, image),
    package: name,
    ...plain,
  })
}

function makeImages(directory: string): void {
  const [one, two, other] = ['one', 'two', 'other'].map((image) => join(directory, image)) as [string, string, string]
  write(join(other, 'usr/share/other'), 'of another package')
  write(join(one, 'usr/bin/tool'), 'tool 1', 0o4755)
  fs.linkSync(join(one, 'usr/bin/tool'), join(one, 'usr/bin/tool-too'))
  write(join(one, 'usr/share/same'), 'same in both')
  write(join(one, 'usr/share/obsolete/file'), 'goes')
  write(join(one, 'usr/share/becomes-link/file'), 'a directory first')
  write(join(one, 'usr/share/becomes-directory'), 'a file first')
  fs.symlinkSync('tool', join(one, 'usr/bin/link'))
  write(join(two, 'usr/bin/tool'), 'tool 2, longer', 0o755)
  fs.linkSync(join(two, 'usr/bin/tool'), join(two, 'usr/bin/tool-too'))
  write(join(two, 'usr/share/same'), 'same in both')
  write(join(two, 'usr/share/new/deep/file'), 'new')
  fs.symlinkSync('new', join(two, 'usr/share/becomes-link'))
  write(join(two, 'usr/share/becomes-directory/file'), 'a directory now')
  fs.symlinkSync('tool-too', join(two, 'usr/bin/link'))
  write(join(two, 'opt/own/file'), 'elsewhere')
  write(join(one, 'usr/lib/own/file'), 'in a directory of its own')
  write(join(two, 'usr/lib/own/file'), 'in a directory of its own')
  fs.chmodSync(join(two, 'usr/lib/own'), 0o2750)
}

async function makeRoot(directory: string): Promise<void> {
  makeImages(directory)
  fs.mkdirSync(join(directory, 'root'), { recursive: true }) // it may be a mount point
  await merge(contextOf(linuxKernel()), directory, 'other', 'other')
  write(join(directory, 'root/usr/share/admin'), "the admin's own")
}

const shortScenarios: readonly Scenario[] = [
  {
    title: 'a fresh merge',
    prepare: makeRoot,
    operate: (engine, directory) => merge(engine, directory, 'one', 'package'),
    words: (directory) => ['merge', join(directory, 'one'), '--package', 'package'],
  },
  {
    title: 'a merge over existing files',
    prepare: async (directory) => {
      await makeRoot(directory)
      fs.cpSync(join(directory, 'one'), join(directory, 'root'), { recursive: true, verbatimSymlinks: true })
      write(join(directory, 'root/usr/share/same'), 'same in both', 0o600) // other metadata
      write(join(directory, 'root/usr/share/becomes-directory'), "the admin's own")
    },
    operate: (engine, directory) => merge(engine, directory, 'one', 'package', { collisionIgnore: ['**'] }),
    words: (directory) => ['merge', join(directory, 'one'), '--package', 'package', '--collision-ignore', '**'],
  },
  {
    title: 'an upgrade with removals and changes of type',
    prepare: async (directory) => {
      await makeRoot(directory)
      await merge(contextOf(linuxKernel()), directory, 'one', 'package')
    },
    operate: (engine, directory) => merge(engine, directory, 'two', 'package'),
    words: (directory) => ['merge', join(directory, 'two'), '--package', 'package'],
  },
  {
    title: 'an upgrade that takes its image',
    prepare: async (directory) => {
      await makeRoot(directory)
      fs.linkSync(join(directory, 'two/opt/own/file'), join(directory, 'linked-from-outside'))
      await merge(contextOf(linuxKernel()), directory, 'one', 'package')
    },
    operate: (engine, directory) => merge(engine, directory, 'two', 'package', { mode: 'move' }),
    words: (directory) => ['merge', join(directory, 'two'), '--package', 'package', '--move'],
  },
  {
    title: 'an unmerge',
    prepare: async (directory) => {
      await makeRoot(directory)
      await merge(contextOf(linuxKernel()), directory, 'one', 'package')
    },
    operate: async (engine, directory) =>
      unmergePackages(engine, { root: join(directory, 'root'), packages: ['package'], ...plain }),
    words: () => ['unmerge', 'package'],
  },
]

/** What protection does, all at once: aside, beside what is gone, over a pending one, saved, renumbered, kept. */
function makeConfigImages(directory: string): void {
  const names = ['edited', 'deleted', 'declined', 'again', 'untouched']
  for (const [image, version] of [
    ['config-1', '1'],
    ['config-2', '2'],
  ] as const) {
    for (const name of names) write(join(directory, image, `etc/${name}`), `${name} ${version}`)
    fs.linkSync(join(directory, image, 'etc/edited'), join(directory, image, 'etc/linked'))
  }
  write(join(directory, 'config-1/etc/obsolete'), 'goes, but was edited')
  write(join(directory, 'config-2/etc/unowned'), "the package's")
}

const protectedEtc = { protect: ['/etc'] }

async function makeConfigRoot(directory: string): Promise<void> {
  makeConfigImages(directory)
  fs.mkdirSync(join(directory, 'root'))
  await merge(contextOf(linuxKernel()), directory, 'config-1', 'package', protectedEtc)
  for (const name of ['edited', 'declined', 'again', 'obsolete', 'unowned'])
    write(join(directory, 'root/etc', name), `the admin's ${name}`)
  fs.unlinkSync(join(directory, 'root/etc/deleted'))
  write(join(directory, 'root/etc/._cfg0000_again'), 'again 2')
  write(join(directory, 'root/etc/._cfg0001_again'), 'again, another version')
}

const configScenarios: readonly Scenario[] = [
  {
    title: 'an upgrade of edited configuration',
    edited: /^etc\//,
    prepare: makeConfigRoot,
    operate: (engine, directory) => merge(engine, directory, 'config-2', 'package', protectedEtc),
    words: (directory) => ['merge', join(directory, 'config-2'), '--package', 'package', '--protect', '/etc'],
  },
]

const configLongScenarios: readonly Scenario[] = [
  {
    title: 'an upgrade that saves edited configuration',
    edited: /^etc\//,
    prepare: makeConfigRoot,
    operate: (engine, directory) =>
      merge(engine, directory, 'config-2', 'package', { ...protectedEtc, style: 'rpm-replace' }),
    words: (directory) => [
      ...['merge', join(directory, 'config-2'), '--package', 'package'],
      ...['--protect', '/etc', '--style', 'rpm-replace'],
    ],
  },
  {
    title: 'an accepted update of configuration',
    edited: /^etc\//,
    prepare: async (directory) => {
      await makeConfigRoot(directory)
      await merge(contextOf(linuxKernel()), directory, 'config-2', 'package', protectedEtc)
    },
    operate: async (engine, directory) =>
      resolveUpdate(engine, {
        root: join(directory, 'root'),
        update: 'etc/again',
        action: 'accept',
        ...plain,
      }),
    words: () => ['config', 'accept', '/etc/again'],
  },
  {
    title: 'an unmerge of edited configuration',
    edited: /^etc\//,
    prepare: async (directory) => {
      await makeConfigRoot(directory)
      await merge(contextOf(linuxKernel()), directory, 'config-2', 'package', { ...protectedEtc, style: 'pacman' })
      write(join(directory, 'root/etc/untouched'), 'touched after all')
    },
    operate: async (engine, directory) =>
      unmergePackages(engine, { root: join(directory, 'root'), packages: ['package'], ...plain }),
    words: () => ['unmerge', 'package'],
  },
]

const longScenarios: readonly Scenario[] = [
  {
    title: 'a fresh merge that takes its image',
    prepare: makeRoot,
    operate: (engine, directory) => merge(engine, directory, 'one', 'package', { mode: 'move' }),
    words: (directory) => ['merge', join(directory, 'one'), '--package', 'package', '--move'],
  },
  {
    title: 'an upgrade together with a new package',
    prepare: async (directory) => {
      await makeRoot(directory)
      write(join(directory, 'third/usr/share/new/deep/third'), 'in a directory that the upgrade makes')
      write(join(directory, 'third/opt/third'), 'in another')
      await merge(contextOf(linuxKernel()), directory, 'one', 'package')
    },
    operate: (engine, directory) =>
      mergeImages(engine, {
        root: join(directory, 'root'),
        images: [
          { image: join(directory, 'two'), package: 'package' },
          { image: join(directory, 'third'), package: 'third' },
        ],
        ...plain,
      }),
    words: (directory) => ['merge', `${join(directory, 'two')}=package`, `${join(directory, 'third')}=third`],
  },
]

/** The sweeps' scenarios; with ROOTMERGE_TEST_FULL more of them. */
export const scenarios: readonly Scenario[] =
  process.env.ROOTMERGE_TEST_FULL === undefined
    ? [...shortScenarios, ...configScenarios]
    : [...shortScenarios, ...configScenarios, ...longScenarios, ...configLongScenarios]

/** Brings a root out of whatever was left behind. */
export function recover(directory: string, kernel: Kernel = linuxKernel(), undo = false) {
  return recoverRootNow(contextOf(kernel), { root: join(directory, 'root'), undo })
}

/** A copy of a prepared directory, to be changed. */
export function copyOf(prepared: string, copy: string): void {
  fs.rmSync(copy, { recursive: true, force: true })
  execFileSync('cp', ['-a', prepared, copy])
}

/** The root without its state; directories' times count only where asked. */
export function rootSnapshot(directory: string, directoryTimes: boolean): Snapshot {
  return snapshot(join(directory, 'root'), { without: ['var'], directoryTimes })
}

/** The images, and everything else beside the root. */
export function imagesSnapshot(directory: string, directoryTimes: boolean): Snapshot {
  const found = new Map(snapshot(directory, { without: ['root'], directoryTimes }))
  found.delete('') // the directory that the root is in has its own time
  return found
}

/** The packages' records, as text. */
export function recordsSnapshot(directory: string): Snapshot {
  const state = join(directory, 'root/var/lib/rootmerge')
  const records = snapshot(join(state, 'packages'), { directoryTimes: false })
  if (!fs.existsSync(join(state, 'left/record'))) return records
  const left = snapshot(join(state, 'left'), { directoryTimes: false })
  return new Map([...records, ...[...left].map(([name, line]): [string, string] => [`left/${name}`, line])])
}

/** A kernel whose descriptors can all be closed, as the death of a process would close them. */
export function mortal(kernel: Kernel = linuxKernel()): {
  kernel: Kernel
  open: ReadonlyMap<Fd, string>
  bury(): void
} {
  const tracked = trackDescriptors(kernel)
  const bury = () => {
    for (const fd of tracked.open.keys()) kernel.close(fd)
    tracked.open.clear()
  }
  return { ...tracked, bury }
}

/** Names that only a transaction makes, but for what is kept in the state's backups. */
export function stagingNames(directory: string): string[] {
  const names = [...snapshot(join(directory, 'root')).keys()]
  return names.filter((name) => name.includes('.rootmerge-') && !name.startsWith('var/lib/rootmerge/backups/'))
}

/** The scenario of a title. */
export function scenarioOf(title: string): Scenario {
  const found = scenarios.find((scenario) => scenario.title === title)
  if (found === undefined) throw new Error(`no scenario '${title}'`)
  return found
}
