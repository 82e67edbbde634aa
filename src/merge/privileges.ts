// Set-id bits and capabilities of files that are displaced: taken off, so that a hard link that somebody kept elsewhere is
// harmless, and written down before where the file may come back.

import { findXattr, type Place, withDescriptor } from '../movefile/index.ts'
import {
  type Fd,
  isSyscallError,
  joinName,
  type Kernel,
  type Name,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  type Stat,
} from '../sys/index.ts'

const setIdBits = 0o6000
const capabilityName = 'security.capability'

/** What a file has that others have not. */
export interface Privileges {
  /** Within the object that is displaced; '' is that itself. */
  readonly name: Name
  readonly mode: number
  /** In base64. */
  readonly capability?: string
}

/** The privileges of a file, or of the files in a directory: of those that have any. */
export function privilegesIn(kernel: Kernel, place: Place): Privileges[] {
  const found: Privileges[] = []
  eachFile(kernel, place, '', (file, { mode }, name) => {
    const capability = findCapability(kernel, file)?.toString('base64')
    if (capability !== undefined) found.push({ name, mode, capability })
    else if ((mode & setIdBits) !== 0) found.push({ name, mode })
  })
  return found
}

function findCapability(kernel: Kernel, place: Place): Buffer | undefined {
  if (kernel.listXattrsAt(place.directory, place.name)?.includes(capabilityName) === false) return undefined
  return whereReadable(kernel, place, (fd) => findXattr(kernel, fd, capabilityName))
}

/** Takes set-id bits and capabilities off a file, or off all files in a directory. */
export function takeOffPrivileges(kernel: Kernel, place: Place): void {
  eachFile(kernel, place, '', (file, stat) => takeOff(kernel, file, stat))
}

/** As takeOffPrivileges, of what is about to lose a name for good: a file without another goes with it. */
export function makeHarmless(kernel: Kernel, place: Place): void {
  eachFile(kernel, place, '', (file, stat) => {
    if (stat.nlink > 1) takeOff(kernel, file, stat)
  })
}

function takeOff(kernel: Kernel, file: Place, { mode }: Stat): void {
  const isSetId = (mode & setIdBits) !== 0
  if (!isSetId && findCapability(kernel, file) === undefined) return
  withDescriptor(kernel, kernel.openat(file.directory, file.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK), (fd) => {
    if (isSetId) kernel.fchmod(fd, mode & ~setIdBits)
    if (findXattr(kernel, fd, capabilityName) !== undefined) kernel.removeXattr(fd, capabilityName)
  })
}

/** Who may not read his own file cannot have given it a capability. */
function whereReadable<T>(kernel: Kernel, { directory, name }: Place, look: (fd: Fd) => T): T | undefined {
  let fd: Fd
  try {
    fd = kernel.openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (!isSyscallError(error, 'EACCES')) throw error
    return undefined
  }
  return withDescriptor(kernel, fd, look)
}

type OnFile = (file: Place, stat: Stat, within: Name) => void

function eachFile(kernel: Kernel, { directory, name }: Place, within: Name, onFile: OnFile): void {
  const stat = kernel.findat(directory, name)
  if (stat?.type === 'file') onFile({ directory, name }, stat, within)
  if (stat?.type !== 'directory') return
  withDescriptor(kernel, kernel.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), (fd) => {
    for (const member of kernel.readDirectory(fd)) {
      eachFile(kernel, { directory: fd, name: member.name }, joinName(within, member.name), onFile)
    }
  })
}
