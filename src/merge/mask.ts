// Install masks, in Portage's syntax: which names of an image are left out.
//
// `/usr/share/doc` is a name and everything below it, `/usr/share/doc/` a directory and everything below it; a pattern
// without a leading slash is about the last component of what is no directory; `-` takes names back that an earlier
// pattern left out. Patterns have fnmatch's rules. Portage's own index misses patterns with `?` or `[` before the last
// component (facts of 2026: `/usr/share/loc?le/x` never matches there); here they match.

import { type Name, toName } from '../sys/index.ts'
import { compileFnmatch } from './fnmatch.ts'

/** A compiled set of patterns. */
export interface InstallMask {
  /** Whether a name, relative to the root, is left out; a directory is, if nothing in it is taken back. */
  leavesOut(name: Name, isDirectory: boolean): boolean
}

/** Whether a pattern matches a name, whose last component begins at `base`. */
type Matches = (name: Name, isDirectory: boolean, base: number) => boolean

/** One pattern, as far as it is decided by the directory of a name: the last one that matches a name decides. */
interface Rule {
  readonly isTakenBack: boolean
  /** Whether the pattern matches names in a directory (`usr/share/`): all, none, or those of which it says so. */
  within(directory: Name): boolean | Matches
}

/** What is left to be asked of the names in one directory, the last pattern first. */
interface InDirectory {
  readonly questions: readonly { readonly answer: boolean; readonly matches: Matches }[]
  /** Whether a name is left out that none of them matches. */
  readonly otherwise: boolean
}

/** Directories whose questions are remembered; an image comes directory by directory. */
const directoriesKept = 256

/** Compiles masks; each pattern may hold any bytes, blanks too. */
export function compileMask(patterns: readonly (string | Uint8Array)[]): InstallMask {
  const rules = patterns.map(ruleOf).reverse()
  const known = new Map<Name, InDirectory>()
  let last: { directory: Name; asked: InDirectory } = { directory: '', asked: askedIn(rules, '') }
  const lookUp = (directory: Name): InDirectory => {
    const found = known.get(directory)
    if (found !== undefined) return found
    if (known.size >= directoriesKept) known.clear()
    const asked = askedIn(rules, directory)
    known.set(directory, asked)
    return asked
  }
  const leavesOut = (name: Name, isDirectory: boolean) => {
    const { length } = last.directory
    // A slice and indexOf are what V8 does fastest: lastIndexOf, or startsWith of so long a text, cost as much as all else.
    if (name.slice(0, length) !== last.directory || name.indexOf('/', length) >= 0) {
      const directory = name.slice(0, name.lastIndexOf('/') + 1)
      last = { directory, asked: lookUp(directory) }
    }
    const { asked, directory } = last
    for (const { matches, answer } of asked.questions) {
      if (matches(name, isDirectory, directory.length)) return answer
    }
    return asked.otherwise
  }
  return { leavesOut }
}

function askedIn(rules: readonly Rule[], directory: Name): InDirectory {
  const questions: InDirectory['questions'][number][] = []
  for (const { isTakenBack, within } of rules) {
    const matches = within(directory)
    if (matches === true) return { questions, otherwise: !isTakenBack }
    if (matches !== false) questions.push({ answer: !isTakenBack, matches })
  }
  return { questions, otherwise: false }
}

function ruleOf(given: string | Uint8Array): Rule {
  const text = toName(given)
  const isTakenBack = text.startsWith('-')
  const pattern = isTakenBack ? text.slice(1) : text
  return { isTakenBack, within: pattern.startsWith('/') ? anchored(pattern.slice(1)) : unanchored(pattern) }
}

/** From the top: the name itself, or what is below it. */
function anchored(pattern: Name): Rule['within'] {
  const top = pattern.replace(/\/+$/, '')
  const isForDirectories = top !== pattern
  const [itself, below] = [compileFnmatch(top), compileFnmatch(`${top}/*`)]
  const { prefix } = itself
  const matches: Matches = (name, isDirectory) => {
    if ((isDirectory || !isForDirectories) && itself.matches(name, 0)) return true
    return !itself.isLiteral && below.matches(isDirectory ? `${name}/` : name, 0)
  }
  return (directory) => {
    if (below.matches(directory, 0)) return true
    const isOnTheWay = itself.isLiteral
      ? top.lastIndexOf('/') + 1 === directory.length && top.startsWith(directory) && top !== ''
      : prefix.length < directory.length
        ? directory.startsWith(prefix)
        : prefix.startsWith(directory)
    return isOnTheWay ? matches : false
  }
}

/** By the last component. Portage asks for that of a directory as `name/`, of which it is empty. */
function unanchored(pattern: Name): Rule['within'] {
  const compiled = compileFnmatch(pattern)
  const matchesDirectories = compiled.matches('', 0)
  const matches: Matches = (name, isDirectory, base) =>
    isDirectory ? matchesDirectories : compiled.matches(name, base)
  return () => matches
}
