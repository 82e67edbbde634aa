// A package's record in the words of dpkg and pacman, so that their tools can list and verify what was merged.

import { gzipSync } from 'node:zlib'
import type { EngineContext } from '../sys/engineThread.ts'
import { displayName, type Name, nameBytes } from '../sys/index.ts'
import type { RecordedEntry } from './entry.ts'
import { type Inexpressible, InexpressibleError } from './errors.ts'
import { withLiveFacts } from './liveFacts.ts'
import { checkRecordedName } from './packageName.ts'
import { escapeName, mtreeTypes } from './recordEntry.ts'
import { recordedMd5 } from './recordedMd5.ts'
import { type RootOptions, reading } from './session.ts'

/** What dpkg and pacman keep of a package in a file each: `info/NAME.list`, `info/NAME.md5sums`, `NAME-VERSION/files`, `/mtree`. */
export type ExportFormat = 'dpkg-list' | 'dpkg-md5sums' | 'pacman-files' | 'pacman-mtree'

/** Options of exportRecord(). */
export interface ExportOptions extends RootOptions {
  readonly package: string
  readonly format: ExportFormat
}

/** An entry, and the md5 sum of its file where the format wants one. */
interface Exported {
  readonly entry: RecordedEntry
  readonly md5: string
}

interface Formatter {
  /** Of which files md5 sums are taken. */
  readonly sums: (entry: RecordedEntry) => boolean
  readonly format: (entries: readonly Exported[]) => string
  /** Whether a line feed in a name would end the line. */
  readonly hasLines: boolean
  readonly isGzip?: boolean
}

const none = () => false
const isFile = ({ type }: RecordedEntry) => type === 'file'
const isConfigFile = ({ type, isConfig }: RecordedEntry) => type === 'file' && isConfig === true

const formatters: Readonly<Record<ExportFormat, Formatter>> = {
  // deb-md5sums(5): conffiles are left out, their sums are in the status file.
  'dpkg-md5sums': {
    sums: (entry) => isFile(entry) && !isConfigFile(entry),
    format: (entries) =>
      entries
        .filter(({ md5 }) => md5 !== '')
        .map(({ entry, md5 }) => `${md5}  ${entry.name}\n`)
        .join(''),
    hasLines: true,
  },
  'dpkg-list': {
    sums: none,
    format: (entries) => ['/.', ...entries.map(({ entry }) => `/${entry.name}`), ''].join('\n'),
    hasLines: true,
  },
  'pacman-files': { sums: isConfigFile, format: formatPacmanFiles, hasLines: true },
  'pacman-mtree': { sums: isFile, format: formatPacmanMtree, hasLines: false, isGzip: true },
}

/**
 * A package's record in another installer's format; md5 sums are taken of the files as they are, if they still are what
 * was recorded.
 *
 * @throws {UnknownPackageError}
 * @throws {InexpressibleError} with every name that the format cannot have, or whose file is another by now
 */
export function exportRecord(engine: EngineContext, options: ExportOptions): Uint8Array {
  return reading(engine, options, ({ root, state }) => {
    const packageName = checkRecordedName(options.package)
    const { sums, format, hasLines, isGzip } = formatters[options.format]
    const refused: Inexpressible[] = []
    const entries = state.record(packageName).entries.map((recorded): Exported => {
      engine.cancel.check()
      const entry = withLiveFacts(root, recorded)
      const refuse = (reason: string) => refused.push({ name: displayName(entry.name), reason })
      if (hasLines && entry.name.includes('\n')) refuse('a line feed would end the line')
      const md5 = sums(entry) ? recordedMd5(root, entry) : ''
      if (md5 === undefined) refuse('the file is not as recorded')
      return { entry, md5: md5 ?? '' }
    })
    if (refused.length > 0) throw new InexpressibleError(packageName, refused, options.format)
    const bytes = nameBytes(format(entries))
    return isGzip === true ? gzipSync(bytes) : bytes
  })
}

/** Directories end with a slash; a configuration file is named once more, with the sum that it was installed with. */
function formatPacmanFiles(entries: readonly Exported[]): string {
  const names = entries.map(({ entry }) => `${entry.name}${entry.type === 'directory' ? '/' : ''}\n`)
  const backup = entries.filter(({ md5 }) => md5 !== '').map(({ entry, md5 }) => `${entry.name}\t${md5}\n`)
  return ['%FILES%\n', ...names, '\n', ...(backup.length > 0 ? ['%BACKUP%\n', ...backup, '\n'] : [])].join('')
}

/** As makepkg has bsdtar write it: `pacman -Qkk` reads it through libarchive. */
function formatPacmanMtree(entries: readonly Exported[]): string {
  return ['#mtree', ...entries.map(mtreeLine), ''].join('\n')
}

function mtreeLine({ entry, md5 }: Exported): string {
  const { name, type, uid, gid, mode, mtimeNs, size, target, sha256, rdev } = entry
  const words = [`./${escapeName(name)}`, `time=${mtimeNs / 1_000_000_000n}.0`, `mode=${mode.toString(8)}`]
  words.push(`uid=${uid}`, `gid=${gid}`, `type=${mtreeTypes[type]}`)
  if (type === 'file') words.push(`size=${size}`, `md5digest=${md5}`)
  if (sha256 !== undefined) words.push(`sha256digest=${sha256}`)
  if (target !== undefined) words.push(`link=${escapeName(target as Name)}`)
  if (rdev !== undefined) words.push(`device=native,${rdev.major},${rdev.minor}`)
  return words.join(' ')
}
