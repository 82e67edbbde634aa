import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { importPackages, list, type Manager, verify } from '../../../src/merge/index.ts'
import { type NativeTools, needCommands, needRoot, pacmanTools, rpmTools } from '../../support/nativePackages.ts'
import { withDirectory } from '../../support/scratch.ts'
import { differencesBetween, snapshot } from '../../support/snapshot.ts'

const tree = `
f 0755 /usr/bin/tool "tool" mtime=1500000000
f 4755 /usr/bin/privileged "root's" mtime=1500000001
f 0755 /usr/bin/capable "raw" mtime=1500000002 cap=cap_net_raw+ep
l /usr/bin/link -> tool mtime=1500000003
f 0640 0:5 /etc/tool.conf "x=1" mtime=1500000004
f /usr/share/with\\040blank "text" mtime=1500000005
d 0700 /usr/share/private
`

/** Changes that a verifier can tell, one kind each. */
function plantChanges(root: string): void {
  fs.writeFileSync(join(root, 'usr/bin/tool'), 'fool') // same size: digest and time
  fs.utimesSync(join(root, 'usr/bin/tool'), 1500000000, 1500000000)
  fs.chmodSync(join(root, 'usr/bin/privileged'), 0o755)
  fs.rmSync(join(root, 'usr/bin/link'))
  fs.symlinkSync('privileged', join(root, 'usr/bin/link'))
  fs.chownSync(join(root, 'etc/tool.conf'), 7, 8)
  fs.rmSync(join(root, 'usr/share/with blank'))
  fs.chmodSync(join(root, 'usr/share/private'), 0o755)
  fs.utimesSync(join(root, 'usr/bin/capable'), 1500000009, 1500000009)
}

/** The own verifier's findings, one word for each kind, as ours are called. */
type Findings = (verified: string, root: string) => string[]

/** `.M.......  c /etc/x`: a letter a column. */
const rpmFindings: Findings = (text) => {
  const words: Readonly<Record<string, string>> = {
    S: 'size',
    M: 'mode',
    '5': 'digest',
    D: 'device',
    L: 'link',
    U: 'owner',
    G: 'group',
    T: 'mtime',
    P: 'xattrs',
  }
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, columns = '', path = ''] = /^(\S+)\s+(?:[a-z]\s+)?(\/.*)$/.exec(line) ?? []
      if (columns === 'missing') return `missing ${path}`
      return `${[...columns].flatMap((letter) => words[letter] ?? []).join()} ${path}`
    })
}

/** `warning: pkg: /path (UID mismatch)`, a line each. */
const pacmanFindings: Findings = (text, root) => {
  const words: Readonly<Record<string, string>> = {
    'Permissions mismatch': 'mode',
    'UID mismatch': 'owner',
    'GID mismatch': 'group',
    'Size mismatch': 'size',
    'Modification time mismatch': 'mtime',
    'SHA256 checksum mismatch': 'digest',
    'MD5 checksum mismatch': 'digest',
    'Symlink path mismatch': 'link',
    'File type mismatch': 'type',
    'No such file or directory': 'missing',
  }
  const order = ['size', 'mode', 'digest', 'device', 'link', 'owner', 'group', 'mtime', 'missing', 'type']
  const found = new Map<string, Set<string>>()
  for (const [, path = '', what = ''] of text.matchAll(/^(?:backup file: |warning: )\S+: (\/.*) \((.*)\)$/gm)) {
    const name = path.slice(root.length)
    found.set(name, (found.get(name) ?? new Set()).add(words[what] ?? what))
  }
  return [...found].map(([path, kinds]) => `${order.filter((kind) => kinds.has(kind)).join()} ${path}`)
}

interface Case {
  readonly manager: Manager
  readonly tools: NativeTools
  readonly findings: Findings
  readonly packageName: string
  readonly database: string
  /** Findings of our own that the manager has no eye for, and the other way round. */
  readonly differing: readonly string[]
}

const cases: readonly Case[] = [
  {
    manager: 'pacman',
    tools: pacmanTools,
    findings: pacmanFindings,
    packageName: 'pacman:tool',
    database: 'var/lib/pacman',
    differing: [],
  },
  {
    manager: 'rpm',
    tools: rpmTools,
    findings: rpmFindings,
    packageName: 'rpm:tool-1-1.noarch',
    database: 'var/lib/rpm',
    differing: [],
  },
]

for (const { manager, tools, findings, packageName, database, differing } of cases) {
  describe(`importPackages() of ${manager}`, function () {
    this.timeout(120_000)
    before(function () {
      needCommands(this, tools.commands)
      needRoot(this)
    })

    const withRoot = (body: (root: string, directory: string) => Promise<void>) =>
      withDirectory(async (directory) => {
        const root = join(directory, 'root')
        fs.mkdirSync(join(root, 'etc'), { recursive: true })
        fs.writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n')
        fs.writeFileSync(join(root, 'etc/group'), 'root:x:0:\ntty:x:5:\n')
        tools.install(root, tools.pack(directory, { name: 'tool', tree, config: ['/etc/tool.conf'] }))
        await body(root, directory)
      })

    it('finds nothing on a root that the manager made, and what its own verifier finds after changes', () =>
      withRoot(async (root) => {
        const report = await importPackages({ root, manager, durability: 'none' })
        assert.deepEqual([report.added, await list({ root })], [[packageName], [packageName]])
        assert.deepEqual(await verify({ root }), [])
        plantChanges(root)
        const ours = (await verify({ root })).map(({ name, differences }) => `${differences.join()} /${name}`)
        const theirs = findings(tools.verify(root), root)
        assert.ok(theirs.length >= 7, theirs.join('\n'))
        const only = [
          ...ours.filter((line) => !theirs.includes(line)).map((line) => `ours: ${line}`),
          ...theirs.filter((line) => !ours.includes(line)).map((line) => `theirs: ${line}`),
        ]
        assert.deepEqual(only, differing)
      }))

    it('never writes the database, forgets what was removed, and is idempotent', () =>
      withRoot(async (root) => {
        const before = snapshot(join(root, database))
        await importPackages({ root, manager, durability: 'none' })
        const again = await importPackages({ root, manager, durability: 'none' })
        assert.equal(again.transaction, undefined)
        assert.deepEqual(differencesBetween(snapshot(join(root, database)), before), [])
        tools.remove(root, 'tool')
        const { removed } = await importPackages({ root, manager, durability: 'none' })
        assert.deepEqual([removed, await list({ root })], [[packageName], []])
      }))
  })
}

describe('importPackages() of rpm without rpm', () => {
  it('says what is missing, and where it looked', () =>
    withDirectory(async (directory) => {
      const root = join(directory, 'root')
      fs.mkdirSync(join(root, 'usr/lib/sysimage/rpm'), { recursive: true })
      fs.writeFileSync(join(root, 'usr/lib/sysimage/rpm/rpmdb.sqlite'), '')
      const script = `import { importPackages } from ${JSON.stringify(new URL('../../../src/merge/index.js', import.meta.url).href)}
        await importPackages({ root: ${JSON.stringify(root)}, manager: 'rpm' }).catch((e) => console.log(e.message, e.hint))`
      const told = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        env: { PATH: '/nonexistent' },
        encoding: 'utf8',
      })
      assert.match(told, /there is no rpmdb here to ask it Install rpm/)
    }))
})
