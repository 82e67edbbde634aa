// How the contents of a merge's files came over, in sums.

import type { StagedObject } from '../movefile/index.ts'

/** Bytes by the way that they came. */
export interface CopyTotals {
  /** By copy method; `renamed` for files that were taken out of their image. */
  bytesByMethod: Record<string, number>
  holes: number
}

/** Adds bytes that came in one way. */
export function addBytes({ bytesByMethod }: CopyTotals, method: string, bytes: number): void {
  bytesByMethod[method] = (bytesByMethod[method] ?? 0) + bytes
}

/** Adds one file's copy. */
export function addCopy(totals: CopyTotals, copy: StagedObject['copy']): void {
  totals.holes += copy?.holes ?? 0
  const by = copy?.bytesByMethod
  if (by !== undefined) for (const method in by) addBytes(totals, method, by[method as keyof typeof by] ?? 0)
}
