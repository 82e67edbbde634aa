// The md5 sum of a file, as long as it is what its record says: other installers' lists have md5, records have sha256.

import { createHash } from 'node:crypto'
import { withDescriptor } from '../movefile/index.ts'
import { baseName, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, parentName, tryOpenat } from '../sys/index.ts'
import { digestOf } from './compareRecorded.ts'
import type { RecordedEntry } from './entry.ts'
import type { Root } from './root.ts'
import { chunksOf } from './state.ts'

/** In hexadecimal; undefined when the contents are others by now. Without a digest in the record, size and time tell. */
export function recordedMd5(root: Root, entry: RecordedEntry): string | undefined {
  const { kernel } = root
  const parent = root.findDirectory(parentName(entry.name))
  const fd = parent && tryOpenat(kernel, parent.fd, baseName(entry.name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (fd === undefined) return undefined
  return withDescriptor(kernel, fd, () => {
    const stat = kernel.fstat(fd)
    const recorded = digestOf(entry)
    if (stat.type !== 'file' || stat.size !== entry.size) return undefined
    if (recorded === undefined && stat.mtimeNs !== entry.mtimeNs) return undefined
    const [md5, other] = [createHash('md5'), recorded && createHash(recorded.algorithm)]
    for (const chunk of chunksOf(kernel, fd)) {
      md5.update(chunk)
      other?.update(chunk)
    }
    return other === undefined || other.digest('hex').startsWith(recorded?.value ?? '') ? md5.digest('hex') : undefined
  })
}
