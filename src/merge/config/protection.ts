// Which names are under configuration protection: the longest of the names that cover one decides, and where nothing is
// said of it, its record. Who forgets to protect a file once must not lose what was edited in it.

import { displayName, type Name, parentName, toName } from '../../sys/index.ts'
import type { RecordedEntry } from '../entry.ts'
import { InvalidArgumentError } from '../errors.ts'
import { componentsOf } from '../nameInside.ts'
import { isStyleName, type StyleName, styleNames } from './styles.ts'

/** Options of configuration protection. */
export interface ProtectionOptions {
  /** Directories whose files, with everything below, and single files that an administrator edits. */
  readonly protect?: readonly (string | Uint8Array)[]
  /** Names that are not protected after all, whatever their records say. */
  readonly protectMask?: readonly (string | Uint8Array)[]
  /** Files that the package itself calls configuration. */
  readonly configFiles?: readonly (string | Uint8Array)[]
  /** Whose names and outcomes: by default those that a file was protected with before, or `portage`. */
  readonly style?: StyleName
}

/** Configuration protection of one package. */
export interface Protection {
  /**
   * Whether a name is protected, by what the image calls it or by where it leads.
   *
   * @param recorded  what is known of it, which decides where the options say nothing
   */
  covers(name: Name, liveName: Name, recorded?: RecordedEntry): boolean
  /** The style of a protected name. */
  styleOf(recorded?: RecordedEntry): StyleName
}

/**
 * Makes a protection.
 *
 * A name is protected when the longest name that covers it (itself, or a directory above it) is one of `protect` or
 * `configFiles`, and not as long a one of `protectMask`. A name that none of them covers is protected when its record
 * says so.
 *
 * @throws {InvalidArgumentError} for a name with `..` in it, or a style that is none
 */
export function makeProtection(options: ProtectionOptions): Protection {
  const { protect = [], protectMask = [], configFiles = [], style } = options
  if (style !== undefined && !isStyleName(style)) {
    throw new InvalidArgumentError(`'${String(style)}' is not a style`, {
      hint: `One of: ${styleNames.join(', ')}.`,
    })
  }
  const isCovering = new Map<Name, boolean>()
  for (const given of [...protect, ...configFiles]) isCovering.set(checkName(given), true)
  for (const given of protectMask) isCovering.set(checkName(given), false)
  const coversOne = (name: Name) => {
    for (let at = name; ; at = parentName(at)) {
      const found = isCovering.get(at)
      if (found !== undefined || at === '') return found
    }
  }
  const isSaid = (name: Name, liveName: Name) => {
    if (isCovering.size === 0) return undefined
    const said = coversOne(name)
    return said === true || name === liveName ? said : (coversOne(liveName) ?? said)
  }
  return {
    covers: (name, liveName, recorded) =>
      isSaid(name, liveName) ?? (recorded !== undefined && isRecordedConfiguration(recorded)),
    styleOf: (recorded) => style ?? recorded?.protection?.style ?? 'portage',
  }
}

/** Whether a record calls a name configuration: it was protected, or its own installer calls it so. */
export function isRecordedConfiguration({ type, protection, isConfig }: RecordedEntry): boolean {
  return type !== 'directory' && (protection !== undefined || isConfig === true)
}

function checkName(given: string | Uint8Array): Name {
  const components = componentsOf(toName(given))
  if (components.includes('..')) {
    throw new InvalidArgumentError(`'${displayName(toName(given))}' cannot be protected`, {
      hint: 'Give a name inside the root without "..", such as /etc.',
    })
  }
  return components.join('/')
}

/** Empty files whose names begin with `.keep` only keep a directory: there is nothing in them to edit. */
export function isPlaceholder(base: Name, size: number): boolean {
  return size === 0 && base.startsWith('.keep')
}
