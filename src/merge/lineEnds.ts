// Names with line ends, for matchers of globs: in what those make of `**` a dot stands for any character but one that ends
// a line, and fast-glob takes no flag that would change it. So names and patterns get characters instead that no byte is.

import type { Name } from '../sys/index.ts'

const lineEnds = /[\n\r]/g
const standIns = /[\u010a\u010d]/g
const apart = 0x100

/** A name, or a pattern, with stand-ins for its line ends. */
export function withoutLineEnds(text: Name): string {
  return text.replace(lineEnds, (end) => String.fromCharCode(end.charCodeAt(0) + apart))
}

/** What withoutLineEnds() was given. */
export function withLineEnds(text: string): Name {
  return text.replace(standIns, (standIn) => String.fromCharCode(standIn.charCodeAt(0) - apart))
}
