// Merging what an administrator and a package changed in one text: by lines, which may hold any bytes.

import { diffArrays } from 'diff'
import { diff3Merge } from 'node-diff3'

/** The texts of a merge, one byte a character. */
export interface Texts {
  readonly live: string
  /** What both come from, where that is known. */
  readonly base?: string
  readonly update: string
}

/** Who is right where both changed the same lines; without it, markers say that there is a conflict. */
export type Favour = 'live' | 'update'

/** A merged text. */
export interface MergedText {
  readonly text: string
  /** Places where both changed the same lines, whoever was favoured. */
  readonly conflicts: number
}

/** What markers call the three texts. */
export interface Labels {
  readonly live: string
  readonly update: string
}

type Region =
  | { readonly ok: readonly string[] }
  | {
      readonly conflict: { readonly a: readonly string[]; readonly o: readonly string[]; readonly b: readonly string[] }
    }

/**
 * Merges two texts over what they come from; without that, everything in which they differ is a conflict.
 *
 * Changes that only one side made, or both alike, are taken; markers are those of git and diff3.
 */
export function mergeTexts({ live, base, update }: Texts, labels: Labels, favour?: Favour): MergedText {
  const regions = base === undefined ? compareTwo(live, update) : compareThree(live, base, update)
  let conflicts = 0
  const parts = regions.map((region) => {
    if ('ok' in region) return region.ok.join('')
    conflicts++
    const { a, o, b } = region.conflict
    if (favour !== undefined) return (favour === 'live' ? a : b).join('')
    return markedConflict({ a, b, ...(base === undefined ? {} : { o }) }, labels)
  })
  return { text: parts.join(''), conflicts }
}

function compareThree(live: string, base: string, update: string): readonly Region[] {
  return diff3Merge(linesOf(live), linesOf(base), linesOf(update), { excludeFalseConflicts: true }) as Region[]
}

function compareTwo(live: string, update: string): readonly Region[] {
  const regions: Region[] = []
  let [a, b]: [string[], string[]] = [[], []]
  const end = () => {
    if (a.length + b.length > 0) regions.push({ conflict: { a, o: [], b } })
    ;[a, b] = [[], []]
  }
  for (const { value, removed, added } of diffArrays(linesOf(live), linesOf(update))) {
    if (removed) a = a.concat(value)
    else if (added) b = b.concat(value)
    else {
      end()
      regions.push({ ok: value })
    }
  }
  end()
  return regions
}

function markedConflict(
  { a, o, b }: { readonly a: readonly string[]; readonly o?: readonly string[]; readonly b: readonly string[] },
  { live, update }: Labels,
): string {
  const middle = o === undefined ? '' : `||||||| base\n${whole(o)}`
  return `<<<<<<< ${live}\n${whole(a)}${middle}=======\n${whole(b)}>>>>>>> ${update}\n`
}

/** Lines, the last of them ended. */
function whole(lines: readonly string[]): string {
  const text = lines.join('')
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}

/** The lines of a text, each with its line feed; the last may have none. */
export function linesOf(text: string): string[] {
  return text === '' ? [] : text.split(/(?<=\n)/)
}

/** Whether markers are left in a text. */
export function hasMarkers(text: string): boolean {
  return /^<{7} /m.test(text) && /^>{7} /m.test(text)
}
