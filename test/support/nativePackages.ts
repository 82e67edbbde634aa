// Packages made and installed by their formats' own tools: dpkg-deb and dpkg, bsdtar (as makepkg calls it) and pacman,
// rpmbuild and rpm. Each is made of a tree as text, and installed into a scratch root.

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { writeTree } from './tree.ts'

/** What a package is made of. */
export interface NativePackage {
  readonly name: string
  readonly version?: string
  /** As writeTree reads it. */
  readonly tree: string
  /** Absolute paths of configuration files. */
  readonly config?: readonly string[]
  /** Whether the md5 sums of a Debian package are to be zeros. */
  readonly forgeSums?: boolean
}

/** A format's own tools. */
export interface NativeTools {
  /** The commands that have to be there. */
  readonly commands: readonly string[]
  /** Makes a package file in a directory, and returns its path. */
  pack(directory: string, given: NativePackage): string
  /** Installs package files into a root, with the database where it always is. */
  install(root: string, ...files: string[]): void
  remove(root: string, name: string): void
  /** What the own verifier prints. */
  verify(root: string): string
}

/** Whether a command can be run here. */
export function hasCommand(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0
}

/** Skips a suite where a command is missing, and says which; where nothing may be skipped that is a failure. */
export function needCommands(context: Mocha.Context, commands: readonly string[]): void {
  const missing = commands.filter((command) => !hasCommand(command))
  if (missing.length === 0) return
  process.stdout.write(`      not here: ${missing.join(', ')}\n`)
  context.skip()
}

/** Skips what only root can do, such as installing packages with their own tools, and says so. */
export function needRoot(context: Mocha.Context): void {
  if (process.getuid?.() === 0) return
  process.stdout.write('      only root can do this\n')
  context.skip()
}

function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...(cwd && { cwd }),
    env: { ...process.env, LC_ALL: 'C', SOURCE_DATE_EPOCH: '1600000000' },
  })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status}\n${stdout}\n${stderr}`)
  return stdout
}

function regularFiles(top: string, below = ''): string[] {
  return fs.readdirSync(join(top, below), { withFileTypes: true }).flatMap((entry) => {
    const name = join(below, entry.name)
    if (entry.isDirectory()) return regularFiles(top, name)
    return entry.isFile() ? [name] : []
  })
}

function makeTree(directory: string, { name, tree }: NativePackage): string {
  const top = fs.mkdtempSync(join(directory, `${name}-`))
  fs.chmodSync(top, 0o755)
  writeTree(top, tree)
  return top
}

/** dpkg-deb and dpkg. `verify` is `dpkg --verify`. */
export const dpkgTools: NativeTools & { divert(root: string, from: string, to: string, by?: string): void } = {
  commands: ['dpkg-deb', 'dpkg', 'dpkg-divert'],
  pack(directory, given) {
    const top = makeTree(directory, given)
    const [plain = '', architecture = 'all'] = given.name.split(':')
    const control = join(top, 'DEBIAN')
    fs.mkdirSync(control)
    const fields = [`Package: ${plain}`, `Version: ${given.version ?? '1'}`, `Architecture: ${architecture}`]
    if (architecture !== 'all') fields.push('Multi-Arch: same')
    fs.writeFileSync(join(control, 'control'), `${fields.join('\n')}\nMaintainer: a <a@b>\nDescription: a package\n`)
    const conffiles = (given.config ?? []).map((path) => `${path}\n`).join('')
    if (conffiles !== '') fs.writeFileSync(join(control, 'conffiles'), conffiles)
    const sums = regularFiles(top)
      .filter((name) => !name.startsWith('DEBIAN/') && !(given.config ?? []).includes(`/${name}`))
      .map(
        (name) =>
          `${createHash('md5')
            .update(fs.readFileSync(join(top, name)))
            .digest('hex')}  ${name}\n`,
      )
    const text = given.forgeSums === true ? sums.join('').replace(/^\w{32}/gm, '0'.repeat(32)) : sums.join('')
    fs.writeFileSync(join(control, 'md5sums'), text)
    const file = join(directory, `${plain}_${given.version ?? '1'}_${architecture}.deb`)
    run('dpkg-deb', ['-Zgzip', '--build', top, file])
    return file
  },
  install(root, ...files) {
    for (const name of ['info', 'updates', 'alternatives', 'triggers']) {
      fs.mkdirSync(join(root, 'var/lib/dpkg', name), { recursive: true })
    }
    fs.closeSync(fs.openSync(join(root, 'var/lib/dpkg/status'), 'a'))
    run('dpkg', ['--root', root, '--force-confold,architecture', '--log=/dev/null', '--install', ...files])
  },
  remove: (root, name) => void run('dpkg', ['--root', root, '--log=/dev/null', '--purge', name]),
  verify: (root) => run('dpkg', [`--root=${root}`, '--verify']),
  divert(root, from, to, by) {
    const whose = by === undefined ? ['--local'] : ['--package', by]
    const args = ['--root', root, ...whose, '--rename', '--divert', to, '--add', from]
    run('dpkg-divert', ['--admindir', join(root, 'var/lib/dpkg'), ...args])
  },
}

/** bsdtar, in the words of makepkg's create_package (its own script refuses to run as root), and pacman. */
export const pacmanTools: NativeTools = {
  commands: ['bsdtar', 'pacman'],
  pack(directory, given) {
    const top = makeTree(directory, given)
    const version = given.version ?? '1-1'
    const backup = (given.config ?? []).map((path) => `backup = ${path.slice(1)}\n`).join('')
    const facts = `pkgname = ${given.name}\npkgver = ${version}\narch = any\nsize = 1\nbuilddate = 1600000000\n${backup}`
    fs.writeFileSync(join(top, '.PKGINFO'), `# Generated by makepkg\n${facts}`)
    const names = fs
      .readdirSync(top)
      .filter((name) => name !== '.PKGINFO')
      .sort()
    const options = '!all,use-set,type,uid,gid,mode,time,size,md5,sha256,link'
    run('bsdtar', ['-czf', '.MTREE', '--format=mtree', `--options=${options}`, '.PKGINFO', ...names], top)
    const file = join(directory, `${given.name}-${version}-any.pkg.tar.gz`)
    run('bsdtar', ['--no-fflags', '-czf', file, '.MTREE', '.PKGINFO', ...names], top)
    return file
  },
  install(root, ...files) {
    run('pacman', [...pacmanArguments(root), '--noconfirm', '--overwrite', '*', '-U', ...files])
  },
  remove: (root, name) => void run('pacman', [...pacmanArguments(root), '--noconfirm', '-R', name]),
  verify(root) {
    const { stdout, stderr } = spawnSync('pacman', [...pacmanArguments(root), '-Qkk'], { encoding: 'utf8' })
    return stdout + stderr
  },
}

function pacmanArguments(root: string): string[] {
  const database = join(root, 'var/lib/pacman')
  fs.mkdirSync(database, { recursive: true })
  const config = join(root, '../pacman.conf')
  fs.writeFileSync(config, '[options]\nArchitecture = auto\nSigLevel = Never\nLocalFileSigLevel = Never\n')
  const elsewhere = ['--cachedir', '/nonexistent', '--gpgdir', '/nonexistent', '--hookdir', '/nonexistent']
  return ['--root', root, '--dbpath', database, '--config', config, '--logfile', '/dev/null', ...elsewhere]
}

/** What %files says of each path, beside what it is: rpm packages say it in their spec. */
export interface RpmPackage extends NativePackage {
  /** Attributes by absolute path, such as `%config(noreplace)`, `%ghost`, `%caps(cap_net_raw=ep)`. */
  readonly attributes?: Readonly<Record<string, string>>
  /** As rpm's macro `_binary_payload` has it: `w9.gzdio`, `w6.xzdio`, `w3.zstdio`, `w9.bzdio`. */
  readonly payload?: string
}

/** rpmbuild and rpm. `verify` is `rpm -Va`. */
export const rpmTools: Omit<NativeTools, 'pack'> & { pack(directory: string, given: RpmPackage): string } = {
  commands: ['rpmbuild', 'rpm', 'rpmdb'],
  pack(directory, given) {
    const top = makeTree(directory, given)
    const work = fs.mkdtempSync(join(directory, 'rpmbuild-'))
    const spec = join(work, 'package.spec')
    fs.writeFileSync(spec, specOf(given, top))
    const macros = {
      _topdir: work,
      _binary_payload: given.payload ?? 'w9.gzdio',
      _build_id_links: 'none',
      __os_install_post: '%{nil}',
      _use_internal_dependency_generator: '0',
      clamp_mtime_to_source_date_epoch: '0',
    }
    const defines = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`])
    run('rpmbuild', ['-bb', '--nodeps', ...defines, spec])
    return join(work, 'RPMS/noarch', `${given.name}-${given.version ?? '1'}-1.noarch.rpm`)
  },
  install(root, ...files) {
    run('rpm', [...rpmArguments(root), '--nodeps', '--nosignature', '-U', ...files])
  },
  remove: (root, name) => void run('rpm', [...rpmArguments(root), '-e', name]),
  verify: (root) => spawnSync('rpm', [...rpmArguments(root), '-Va'], { encoding: 'utf8' }).stdout,
}

function rpmArguments(root: string): string[] {
  fs.mkdirSync(join(root, 'var/lib/rpm'), { recursive: true })
  return ['--root', root, '--dbpath', '/var/lib/rpm']
}

function specOf({ name, version, config, attributes = {} }: RpmPackage, top: string): string {
  const paths = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%y %m %u %g /%P\n'], {
    cwd: top,
    encoding: 'utf8',
  })
  const files = paths
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [type, mode, user, group, ...rest] = line.split(' ')
      const path = rest.join(' ')
      const isConfig = config?.includes(path) === true
      const said = [attributes[path], isConfig && !attributes[path]?.includes('%config') ? '%config' : undefined]
      const owner = `%attr(${type === 'l' ? '-' : mode}, ${user}, ${group})`
      return [owner, type === 'd' ? '%dir' : undefined, ...said, path.replaceAll(' ', '?')].filter(Boolean).join(' ')
    })
  return [
    `Name: ${name}`,
    `Version: ${version ?? '1'}`,
    'Release: 1',
    'Summary: a package',
    'License: none',
    'BuildArch: noarch',
    'AutoReqProv: no',
    '%description',
    'A package.',
    '%install',
    `cp -a "${top}/." "%{buildroot}/"`,
    '%files',
    ...files,
    '',
  ].join('\n')
}
