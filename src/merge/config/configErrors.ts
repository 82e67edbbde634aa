// What can go wrong with the updates of configuration files.

import { displayName } from '../../sys/bytes.ts'
import { RootmergeError } from '../../sys/errors.ts'
import type { Name } from '../../sys/index.ts'

/** No update of this name, and none for a file of this name. */
export class NoUpdateError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_NO_UPDATE'

  constructor(name: Name) {
    super(`no update is waiting for '${displayName(name)}'`, { hint: 'Run `rootmerge config list` to see which are.' })
  }
}

/** An update cannot be accepted while markers say that it has conflicts. */
export class ConflictMarkersError extends RootmergeError {
  readonly code = 'ERR_ROOTMERGE_CONFLICT_MARKERS'

  constructor(update: Name) {
    super(`'${displayName(update)}' has conflict markers`, {
      hint: 'Nothing was changed. Edit it first, or accept it as it is with --force.',
    })
  }
}
