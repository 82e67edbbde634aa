// Patterns with the rules of Python's fnmatch, which are those of Portage's masks: `*` and `?` match a slash too, a
// class is `[abc]`, `[a-z]` or `[!abc]`, and a bracket that is never closed stands for itself. Over the bytes of names.

import type { Name } from '../sys/index.ts'

/** A compiled pattern. */
export interface Fnmatch {
  /** What every name that matches begins with. */
  readonly prefix: Name
  /** Whether the pattern is its prefix, and nothing else. */
  readonly isLiteral: boolean
  /** Whether the bytes of `text` from `from` on match. */
  matches(text: Name, from: number): boolean
}

/** What stands between two stars: a string, or for each byte which ones it may be. */
type Piece =
  | { readonly literal: Name; readonly length: number }
  | { readonly bytes: readonly Uint8Array[]; readonly length: number }

/** Compiles a pattern. Matching takes no more steps than the text is long, times the pattern. */
export function compileFnmatch(pattern: Name): Fnmatch {
  const pieces = piecesOf(pattern)
  const wild = pattern.search(/[*?[]/)
  const isLiteral = pieces.length === 1 && pieces[0] !== undefined && 'literal' in pieces[0]
  const prefix = isLiteral ? pattern : pattern.slice(0, wild)
  const [head, last] = [pieces[0] as Piece, pieces.at(-1) as Piece]
  if (pieces.length === 1)
    return { prefix, isLiteral, matches: (text, from) => text.length - from === head.length && isAt(head, text, from) }
  const middle = pieces.slice(1, -1)
  const least = pieces.reduce((sum, { length }) => sum + length, 0)
  const matches = (text: Name, from: number) => {
    const end = text.length - last.length
    if (text.length - from < least || !isAt(last, text, end) || !isAt(head, text, from)) return false
    return middle.length === 0 || followEachOther(middle, text, from + head.length, end)
  }
  return { prefix, isLiteral, matches }
}

/** Whether the pieces come one after the other in a part of the text: the first place of each leaves most for the next. */
function followEachOther(pieces: readonly Piece[], text: Name, from: number, end: number): boolean {
  let at = from
  for (const piece of pieces) {
    at = placeOf(piece, text, at, end) + piece.length
    if (at > end) return false
  }
  return true
}

/** The first place of a piece from `from` on; beyond `end` when there is none. */
function placeOf(piece: Piece, text: Name, from: number, end: number): number {
  if ('literal' in piece) {
    const at = text.indexOf(piece.literal, from)
    return at < 0 ? end + 1 : at
  }
  let at = from
  while (at + piece.length <= end && !isAt(piece, text, at)) at++
  return at
}

function isAt(piece: Piece, text: Name, at: number): boolean {
  if ('literal' in piece) return text.startsWith(piece.literal, at)
  for (let index = 0; index < piece.length; index++) {
    if (piece.bytes[index]?.[text.charCodeAt(at + index)] !== 1) return false
  }
  return true
}

/** What is before, between and behind the stars of a pattern; some of it may be empty. */
function piecesOf(pattern: Name): Piece[] {
  const pieces: Piece[] = []
  let bytes: Uint8Array[] = []
  let literal: Name | undefined = ''
  const end = () => {
    pieces.push(literal === undefined ? { bytes, length: bytes.length } : { literal, length: literal.length })
    bytes = []
    literal = ''
  }
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at)
    const closing = character === '[' ? endOfClass(pattern, at) : -1
    if (character === '*') end()
    else if (closing > 0 || character === '?') {
      bytes.push(closing > 0 ? classOf(pattern.slice(at + 1, closing)) : anyByte)
      literal = undefined
    } else {
      bytes.push(only(character))
      if (literal !== undefined) literal += character
    }
    if (closing > 0) at = closing
  }
  end()
  return pieces
}

const anyByte = new Uint8Array(256).fill(1)

function only(character: string): Uint8Array {
  const bytes = new Uint8Array(256)
  bytes[character.charCodeAt(0)] = 1
  return bytes
}

/** Where a class ends, or -1: a `]` that comes first, or behind `!`, belongs to it. */
function endOfClass(pattern: Name, opening: number): number {
  let at = opening + 1
  if (pattern.charAt(at) === '!') at++
  if (pattern.charAt(at) === ']') at++
  return pattern.indexOf(']', at)
}

/**
 * The bytes of a class, by what stands between its brackets.
 *
 * As Python has it: a hyphen makes a range unless it comes first or last; a range that runs backwards is taken out with
 * both its ends before anything else is looked at; nothing left matches nothing, and `!` alone matches everything.
 */
function classOf(text: string): Uint8Array {
  const pieces = withoutBackwardRanges(splitRanges(text))
  const first = pieces[0] ?? ''
  const isNegated = first.startsWith('!')
  const bytes = new Uint8Array(256).fill(isNegated ? 1 : 0)
  const take = isNegated ? 0 : 1
  pieces.forEach((piece, index) => {
    for (const character of index === 0 && isNegated ? piece.slice(1) : piece) bytes[character.charCodeAt(0)] = take
    const next = pieces[index + 1]
    if (next !== undefined) bytes.fill(take, piece.charCodeAt(piece.length - 1), next.charCodeAt(0) + 1)
  })
  return bytes
}

/** The pieces of a class between the hyphens that make ranges: of `a-cx-z` they are `a`, `cx` and `z`. */
function splitRanges(text: string): string[] {
  const pieces: string[] = []
  let from = 0
  let hyphen = text.indexOf('-', text.startsWith('!') ? 2 : 1)
  while (hyphen >= 0) {
    pieces.push(text.slice(from, hyphen))
    from = hyphen + 1
    hyphen = text.indexOf('-', hyphen + 3)
  }
  const last = text.slice(from)
  if (last !== '' || pieces.length === 0) return [...pieces, last]
  return [...pieces.slice(0, -1), `${pieces.at(-1)}-`]
}

function withoutBackwardRanges(pieces: readonly string[]): string[] {
  const kept = [...pieces]
  for (let index = kept.length - 1; index > 0; index--) {
    const [before = '', after = ''] = [kept[index - 1], kept[index]]
    if (before.charCodeAt(before.length - 1) <= after.charCodeAt(0)) continue
    kept.splice(index - 1, 2, before.slice(0, -1) + after.slice(1))
  }
  return kept
}
