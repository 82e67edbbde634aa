// What a container's layer says of the layers below it, in members whose names begin with `.wh.`.
//
// By the OCI's image-layout specification, "Representing Changes"; `.wh..wh.` names are aufs's own, and mean nothing.

import { baseName, joinName, type Name, parentName } from '../../sys/index.ts'
import { UnsafeEntryError } from '../errors.ts'

/** What a layer takes away of what is below it: single names, and everything that is in some directories. */
export interface Whiteouts {
  readonly names: ReadonlySet<Name>
  readonly opaque: ReadonlySet<Name>
}

/** What one member says. */
export type Whiteout = { readonly kind: 'name' | 'opaque'; readonly name: Name } | { readonly kind: 'nothing' }

const prefix = '.wh.'
const opaque = '.wh..wh..opq'
const reserved = '.wh..wh.'

/** What a member's name says of lower layers; undefined for a member that is an object of its own. */
export function whiteoutOf(name: Name): Whiteout | undefined {
  const base = baseName(name)
  if (base === opaque) return { kind: 'opaque', name: parentName(name) }
  if (base.startsWith(reserved)) return { kind: 'nothing' }
  if (!base.startsWith(prefix)) return undefined
  const target = base.slice(prefix.length)
  if (target === '' || target === '.' || target === '..') throw new UnsafeEntryError(name, 'is no whiteout')
  return { kind: 'name', name: joinName(parentName(name), target) }
}
