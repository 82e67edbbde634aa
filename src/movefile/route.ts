// Two directories that objects are moved between, and what the moves have found out about the way: the next ones save
// calls by it.

import type { Stat } from '../sys/index.ts'
import { isSameObject } from './identity.ts'
import { Inheritance } from './inheritance.ts'

/** See the head of this file. Of two open directories, and true for as long as they are open. */
export class Route {
  readonly targetDirectory: Stat
  /** Whether both are one directory, perhaps through two mounts of it. */
  readonly isOneDirectory: boolean
  /** Whether the kernel has refused to rename from one to the other (EXDEV). */
  isApart = false
  /** Whether what moves that died have left beside the target has been removed. */
  isCleaned = false
  /** Whether files may be made beside the target without a name; until the kernel refuses. */
  makesUnnamed = true
  /** Whether the last target's name was free: then a small file is copied without a look at the next one. */
  findsFree = false
  /**
   * What new files get from the target's directory: its group, its default ACL, the umask. Only for moves that are told
   * the route, whose caller knows that they follow each other.
   */
  readonly inheritance: Inheritance = new Inheritance()

  constructor(sourceDirectory: Stat, targetDirectory: Stat) {
    this.targetDirectory = targetDirectory
    this.isOneDirectory = isSameObject(sourceDirectory, targetDirectory)
  }
}
