// ROOTMERGE_DEBUG: every fact that the library publishes, as lines on standard error; errors get their stack traces.

import { inspect } from 'node:util'
import { isDebugging, say } from './output.ts'

/** Listens to the library's diagnostics channels, where ROOTMERGE_DEBUG is set. */
export async function debugFromEnvironment(): Promise<void> {
  if (!isDebugging()) return
  const { channels } = await import('../sys/index.ts')
  for (const [kind, channel] of Object.entries(channels)) {
    channel.subscribe((fact) => say(`rootmerge:${kind} ${inspect(fact, { breakLength: Number.POSITIVE_INFINITY })}`))
  }
}
