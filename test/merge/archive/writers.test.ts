import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Header, pack } from 'tar-stream'
import { merge } from '../../../src/merge/index.ts'
import { type Compared, compareTrees } from '../../support/compareTrees.ts'
import { withDirectory } from '../../support/scratch.ts'
import { writeTree } from '../../support/tree.ts'

const isRoot = process.getuid?.() === 0
const withoutState = /^var(\/|$)/

/** What a writer, in one header format, has no place for. */
type Lost = Compared | 'nanoseconds'

/** Something that writes an archive of a directory. */
interface Writer {
  readonly name: string
  write(source: string, archive: string): unknown
  readonly loses: readonly Lost[]
  /** Names of attributes that it does not write. */
  readonly losesXattrs?: RegExp
}

function gnuTar(format: string, loses: readonly Lost[]): Writer {
  const keeps = format === 'posix' ? ['--xattrs', '--xattrs-include=*', '--acls', '--selinux'] : []
  // A map of holes is in pax and GNU headers only.
  const sparse = ['posix', 'gnu', 'oldgnu'].includes(format) ? ['--sparse'] : []
  return {
    name: `GNU tar, ${format}`,
    write: (source, archive) =>
      tar(['--format', format, ...keeps, ...sparse, '--numeric-owner', '-C', source, '-cf', archive, '.']),
    loses,
  }
}

function gnuSparse(version: string): Writer {
  return {
    name: `GNU tar, pax with sparse ${version}`,
    write: (source, archive) =>
      tar([
        '--format=posix',
        '--sparse',
        `--sparse-version=${version}`,
        '--xattrs',
        '--xattrs-include=*',
        '--acls',
        '-C',
        source,
        '-cf',
        archive,
        '.',
      ]),
    loses: [],
  }
}

function tar(words: readonly string[]): void {
  execFileSync('tar', words, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** bsdtar leaves members out with a warning and no more. */
function complaining(program: string, words: readonly string[]): void {
  const { stderr } = spawnSync(program, words, { encoding: 'utf8' })
  if (stderr !== '') throw new Error(stderr)
}

function bsdTar(format: string, loses: readonly Lost[]): Writer {
  return {
    name: `bsdtar, ${format}`,
    write: (source, archive) =>
      complaining('bsdtar', ['--format', format, '--numeric-owner', '-C', source, '-cf', archive, '.']),
    loses,
    // ACLs it writes as SCHILY.acl, and once more as an attribute.
    losesXattrs: /^trusted\./,
  }
}

function pythonTar(format: string, loses: readonly Lost[]): Writer {
  const program = `import sys, tarfile
with tarfile.open(sys.argv[2], 'w', format=tarfile.${format}, encoding='utf-8', errors='surrogateescape') as archive:
    archive.add(sys.argv[1], '.')`
  return {
    name: `Python's tarfile, ${format}`,
    write: (source, archive) => complaining('python3', ['-c', program, source, archive]),
    loses: ['xattrs', 'holes', ...loses],
  }
}

const tarStream: Writer = {
  name: 'tar-stream',
  write: writeByTarStream,
  loses: ['xattrs', 'holes', 'nanoseconds'],
}

/** tar-stream writes what it is told, name by name; times and ids as pax records. */
async function writeByTarStream(source: string, archive: string): Promise<void> {
  const tar = pack()
  const written = new Map<bigint, string>()
  const chunks: Buffer[] = []
  tar.on('data', (chunk) => chunks.push(chunk as Buffer))
  const visit = (name: string) => {
    const path = join(source, name)
    const stat = fs.lstatSync(path, { bigint: true })
    const earlier = stat.isDirectory() ? undefined : written.get(stat.ino)
    const header: Partial<Header> & { name: string } = {
      name: stat.isDirectory() ? `${name}/` : name,
      mode: Number(stat.mode & 0o7777n),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      mtime: new Date(Number(stat.mtimeNs / 1_000_000n)),
      pax: { uid: String(stat.uid), gid: String(stat.gid) },
      size: 0,
      ...kindOf(stat, path, earlier),
    }
    const body = header.type === 'file' ? fs.readFileSync(path) : undefined
    if (body === undefined) tar.entry(header)
    else tar.entry({ ...header, size: body.length }, body)
    if (!stat.isDirectory()) written.set(stat.ino, name)
    else for (const child of fs.readdirSync(path).sort()) visit(name === '.' ? child : `${name}/${child}`)
  }
  visit('.')
  tar.finalize()
  await new Promise((resolve) => tar.on('end', resolve as () => void))
  fs.writeFileSync(archive, Buffer.concat(chunks))
}

function kindOf(stat: fs.BigIntStats, path: string, earlier: string | undefined): Partial<Header> {
  if (earlier !== undefined) return { type: 'link', linkname: earlier }
  if (stat.isDirectory()) return { type: 'directory' }
  if (stat.isSymbolicLink()) return { type: 'symlink', linkname: fs.readlinkSync(path) }
  if (stat.isFIFO()) return { type: 'fifo' }
  if (stat.isCharacterDevice())
    return { type: 'character-device', devmajor: Number(stat.rdev >> 8n), devminor: Number(stat.rdev & 0xffn) }
  return { type: 'file' }
}

const writers: readonly Writer[] = [
  gnuTar('v7', ['xattrs', 'holes', 'nanoseconds']),
  gnuTar('ustar', ['xattrs', 'holes', 'nanoseconds']),
  gnuTar('oldgnu', ['xattrs', 'nanoseconds']),
  gnuTar('gnu', ['xattrs', 'nanoseconds']),
  gnuTar('posix', []),
  gnuSparse('0.0'),
  gnuSparse('0.1'),
  gnuSparse('1.0'),
  bsdTar('ustar', ['xattrs', 'holes', 'nanoseconds']),
  bsdTar('gnutar', ['xattrs', 'holes', 'nanoseconds']),
  bsdTar('pax', []),
  bsdTar('paxr', ['nanoseconds']), // as long as nothing else needs pax
  pythonTar('USTAR_FORMAT', ['nanoseconds']),
  pythonTar('GNU_FORMAT', ['nanoseconds']),
  pythonTar('PAX_FORMAT', ['nanoseconds']), // a float: good for 100 ns or so
  tarStream,
]

/** What a writer cannot say of some trees, so that they are made without it. */
function fittingLines(lines: readonly string[], { name, loses }: Writer): string[] {
  const isShort = /ustar|v7/i.test(name)
  const longest = isShort ? (name.includes('v7') ? 80 : 90) : 255
  const pathsOf = (line: string) => line.split(' ').filter((word) => /^[/.]/.test(word))
  const isTooLong = (path: string) =>
    name.includes('v7') ? path.length > longest : path.split('/').some((component) => component.length > longest)
  const fits = (line: string) =>
    !pathsOf(line).some(isTooLong) &&
    !(isShort && line.includes('2000000')) &&
    !(name.includes('v7') && /^[pc]/.test(line))
  const kept = lines.filter(fits)
  const paths = new Set(kept.map((line) => pathsOf(line)[0]))
  return (
    kept
      .filter((line) => !line.startsWith('h ') || paths.has(pathsOf(line)[1]))
      // The mode of a file with an ACL says something else without it.
      .map((line) => (loses.includes('xattrs') ? line.replace(/ acl=\S+/, '') : line))
      .map((line) => (name === 'tar-stream' ? line.replace(' 0000 ', ' 0600 ') : line)) // which takes 0 for none
  )
}

const nameArbitrary = fc.oneof(
  fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(...'abcXYZ019._- +=@') }),
  fc.constantFrom('n'.repeat(90), 'm'.repeat(101), 'l'.repeat(200), 'ünï', 'two  spaces', '\\342\\202\\254'),
)
const contentArbitrary = fc.oneof(
  fc.constant('""'),
  fc.integer({ min: 1, max: 3000 }).map((length) => `random:${length}`),
  fc.constantFrom('random:511', 'random:512', 'random:513', 'random:300K', '"text\\n"'),
  fc.constantFrom(
    'hole:1M "end"',
    '"start" hole:256K',
    '"a" hole:64K "b" hole:64K "c" hole:64K "d" hole:64K "e" hole:64K "f"',
    'hole:128K',
  ),
)
const modeArbitrary = fc.constantFrom('0644', '0600', '0755', '4755', '2755', '0444', '0000')
const ownerArbitrary = fc.constantFrom('0:0', '3:4', '1000:100', '65534:65534', '2000000:2000000')
const attributeArbitrary = fc.constantFrom(
  '',
  '',
  '',
  'user.note="x"',
  'user.bytes=0x00ff80',
  'user.empty=""',
  'trusted.t="y"',
)
/** Python has times as floats, which round up what is close to the next second. */
const timeArbitrary = fc
  .tuple(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 899_999_999 }))
  .map(([seconds, nanoseconds]) => `mtime=${seconds}.${String(nanoseconds).padStart(9, '0')}`)

const objectArbitrary = fc.record({
  type: fc.constantFrom('f', 'f', 'f', 'd', 'l', 'h', 'p', 'c'),
  name: nameArbitrary,
  below: fc.nat({ max: 5 }),
  mode: modeArbitrary,
  owner: ownerArbitrary,
  content: contentArbitrary,
  attribute: attributeArbitrary,
  time: timeArbitrary,
  acl: fc.constantFrom('', '', '', 'acl=u:70007:rw,g:80008:r'),
})

/** Lines of a tree; an object is below one of the directories that came before it. */
const treeArbitrary: fc.Arbitrary<readonly string[]> = fc
  .array(objectArbitrary, { minLength: 1, maxLength: 14 })
  .map((objects) => {
    const directories = ['']
    const files: string[] = []
    const seen = new Set<string>()
    return objects.flatMap(({ type, name, below, mode, owner, content, attribute, time, acl }) => {
      const escaped = name.replace(/ /g, '\\040').replace(/^\.{1,2}$/, 'dots')
      const path = `${directories[below % directories.length]}/${escaped}`
      if (seen.has(path) || path.length > 240) return []
      seen.add(path)
      if (type === 'd') {
        directories.push(path)
        return [
          `d ${mode === '0000' ? '0755' : mode} ${owner} ${path} ${attribute} ${time} ${acl && 'acl=d:u:70007:rwx'}`,
        ]
      }
      if (type === 'l') return [`l ${owner} ${path} -> ../${escaped}-target ${time}`]
      if (type === 'p') return [`p ${mode} ${owner} ${path} ${time}`]
      if (type === 'c') return [`c ${mode} ${owner} ${path} 1:3 ${time}`]
      const [first] = files
      if (type === 'h' && first !== undefined) return [`h ${path} == ${first}`]
      files.push(path)
      return [`f ${mode} ${owner} ${path} ${content} ${attribute} ${acl} ${time}`]
    })
  })

describe('archives of every writer', function () {
  this.timeout(600_000)

  const runs = process.env.ROOTMERGE_TEST_FULL === '1' ? 60 : 2
  for (const writer of writers) {
    it(`${writer.name}: merging is as good as copying the tree`, async function () {
      if (!isRoot) {
        process.stderr.write('skipped: owners and devices need root\n')
        return this.skip()
      }
      let merged = 0
      await fc.assert(
        fc.asyncProperty(treeArbitrary, async (lines) => {
          const fitting = fittingLines(lines, writer)
          await withDirectory(async (directory) => {
            if (await mergesAlike(directory, fitting.join('\n'), writer)) merged++
          })
        }),
        { numRuns: runs, seed: 20261121, endOnFailure: process.env.ROOTMERGE_TEST_FULL !== '1' },
      )
      assert.ok(merged >= runs / 2, `only ${merged} of ${runs} trees could be written by ${writer.name}`)
    })
  }
})

describe('names of attributes', () => {
  for (const writer of [gnuTar('posix', []), bsdTar('pax', [])])
    it(`${writer.name}: are what they were, also with characters that it escapes`, () =>
      withDirectory(async (directory) => {
        const [source, root, archive] = ['source', 'root', 'archive'].map((name) => join(directory, name)) as [
          string,
          string,
          string,
        ]
        for (const path of [source, root]) fs.mkdirSync(path)
        fs.writeFileSync(join(source, 'file'), '')
        const names = ['user.a=b', 'user.c%d', 'user.e%3Df', 'user.two words']
        for (const name of names) execFileSync('setfattr', ['-n', name, '-v', name, join(source, 'file')])
        writer.write(source, archive)
        await merge({ root, image: archive, package: 'p' })
        assert.deepEqual(compareTrees(root, source, { ignoreTop: true, ignoreNames: withoutState }), [])
      }))
})

/** False when the writer itself cannot write the tree: ustar has no room for some names and numbers. */
async function mergesAlike(directory: string, tree: string, writer: Writer): Promise<boolean> {
  const [source, root, archive] = ['source', 'root', 'archive'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  fs.mkdirSync(source)
  fs.mkdirSync(root)
  writeTree(source, tree)
  try {
    await writer.write(source, archive)
  } catch {
    return false
  }
  await merge({ root, image: archive, package: 'p' })
  if (writer.loses.includes('nanoseconds')) for (const top of [source, root]) cutTimes(top)
  const ignore = writer.loses.filter((part): part is Compared => part !== 'nanoseconds')
  const differences = compareTrees(root, source, {
    ignore,
    ignoreTop: true,
    ignoreNames: withoutState,
    ...(writer.losesXattrs && { ignoreXattrs: writer.losesXattrs }),
  })
  assert.deepEqual(differences, [], `${writer.name}:\n${tree}`)
  return true
}

/** Times to whole seconds. */
function cutTimes(top: string): void {
  const visit = (path: Buffer) => {
    const stat = fs.lstatSync(path, { bigint: true })
    if (stat.isDirectory())
      for (const name of fs.readdirSync(path, 'buffer')) visit(Buffer.concat([path, Buffer.from('/'), name]))
    const seconds = Number(stat.mtimeNs / 1_000_000_000n)
    fs.lutimesSync(path, seconds, seconds)
  }
  visit(Buffer.from(top))
}
