// An image without what install masks leave out.

import type { Name } from '../sys/index.ts'
import type { EntryObject } from './entry.ts'
import { withoutGone } from './hardLinks.ts'
import type { InstallMask } from './mask.ts'
import { isWithin } from './root.ts'

/**
 * The entries that a mask does not leave out, in their order: a directory before what is in it.
 *
 * A directory is left out when its name is and nothing in it stays. Symlinks are masked as files are, also those that
 * point to directories (Portage walks past them).
 *
 * @param onLeftOut  told of every name that is left out, once nothing can bring it back
 */
export function* withoutMasked<T extends EntryObject>(
  entries: Iterable<T>,
  mask: InstallMask,
  onLeftOut: (name: Name) => void,
): Generator<T> {
  const isGone = ({ name, type }: T) => {
    const gone = type !== 'directory' && mask.leavesOut(name, false)
    if (gone) onLeftOut(name)
    return gone
  }
  let held: T[] = [] // masked directories, each in the one before it, in which nothing stays so far
  for (const entry of withoutGone(entries, isGone)) {
    while (held.length > 0 && !isWithin(entry.name, held.at(-1)?.name ?? '')) onLeftOut(held.pop()?.name ?? '')
    if (entry.type === 'directory' && mask.leavesOut(entry.name, true)) {
      held.push(entry)
      continue
    }
    yield* held
    held = []
    yield entry
  }
  for (const { name } of held.reverse()) onLeftOut(name)
}
