// Real Debian packages, fetched by apt-get as the machine is set up to, and kept among the temporary files for the next run.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const cache = join(tmpdir(), 'rootmerge-debian-packages')

/**
 * The .deb files of packages, in the order of their names.
 *
 * @throws {Error} when apt-get cannot fetch one; the message has what it said
 */
export function debianPackages(names: readonly string[]): string[] {
  mkdirSync(cache, { recursive: true })
  const files = () => new Map(readdirSync(cache).map((file) => [file.split('_')[0] ?? '', join(cache, file)]))
  const known = files()
  const missing = names.filter((name) => !known.has(name))
  if (missing.length > 0) fetch(missing)
  const found = files()
  return names.map((name) => {
    const file = found.get(name)
    if (file === undefined) throw new Error(`apt-get did not bring ${name}`)
    return file
  })
}

function fetch(names: readonly string[]): void {
  const download = () => execFileSync('apt-get', ['download', '-q', ...names], { cwd: cache, stdio: 'pipe' })
  try {
    download()
  } catch {
    execFileSync('apt-get', ['update', '-q'], { stdio: 'pipe' }) // its lists may be older than the archive
    download()
  }
}

/** The packages of a minimal Debian, as apt-get would install them into an empty system: they fit together. */
export function minimalDebian(): string[] {
  mkdirSync(cache, { recursive: true })
  const nothing = join(cache, 'nothing_is_installed')
  writeFileSync(nothing, '')
  const chosen = `/\\nPriority: (required|important)\\n/ || /\\nEssential: yes\\n/ { print $2 }`
  const wanted = execFileSync('sh', ['-c', `apt-cache dumpavail | awk -v RS= '${chosen}' | sort -u`], {
    encoding: 'utf8',
  })
  const names = wanted.split('\n').filter((name) => name !== '' && !name.startsWith('linux-'))
  const flags = ['-o', `Dir::State::status=${nothing}`, '-s', '--no-install-recommends', 'install']
  const plan = execFileSync('apt-get', [...flags, ...names], { encoding: 'utf8', maxBuffer: 2 ** 24, stdio: 'pipe' })
  return [...plan.matchAll(/^Inst (\S+) /gm)].map((match) => match[1] as string).sort()
}
