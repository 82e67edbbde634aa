// What of an image's metadata could not be kept, as a report has it: with `best-effort` thousands of names may have lost
// the same, so it is told by what was lost.

import type { Loss } from '../movefile/index.ts'
import { displayName, type Name } from '../sys/index.ts'

/** A part of the metadata that some names have not, and why. */
export interface LostMetadata {
  readonly what: Loss['what']
  /** The attribute's name, escaped for reading, when `what` is an attribute. */
  readonly attribute?: string
  /** Why: the errno's name. */
  readonly code: Loss['code']
  /** As the image has them, escaped for reading. */
  readonly names: readonly string[]
}

/** The losses of one object. */
export interface LostOf {
  readonly name: Name
  readonly losses: readonly Loss[]
}

/** Collects losses. */
export class LostList {
  readonly #groups = new Map<string, LostMetadata & { readonly names: string[] }>()

  add({ name, losses }: LostOf): void {
    for (const { what, attribute, code } of losses) {
      const key = `${what} ${attribute ?? ''} ${code}`
      const group = this.#groups.get(key) ?? {
        what,
        ...(attribute === undefined ? {} : { attribute }),
        code,
        names: [],
      }
      group.names.push(displayName(name))
      this.#groups.set(key, group)
    }
  }

  get all(): readonly LostMetadata[] {
    return [...this.#groups.values()]
  }
}
