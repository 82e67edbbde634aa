// Somebody who is not root.

import { isRoot } from './asRoot.ts'

/** Whom root becomes. */
export const nobody = 65534 as const

/** Runs `body` as an ordinary user: the one at hand, or nobody. */
export function asUser<T>(body: () => T): T {
  if (!isRoot) return body()
  const groups = process.getgroups?.() ?? []
  process.setgroups?.([])
  process.setegid?.(nobody)
  process.seteuid?.(nobody)
  try {
    return body()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
    process.setgroups?.(groups)
  }
}
