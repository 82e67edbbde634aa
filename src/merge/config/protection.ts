// Which names are under configuration protection: the longest of the names that cover one decides.

import { displayName, type Name, parentName, toName } from '../../sys/index.ts'
import { InvalidArgumentError } from '../errors.ts'
import { isStyleName, type Style, type StyleName, styleNames, styles } from './styles.ts'

/** Options of configuration protection. */
export interface ProtectionOptions {
  /** Directories whose files, with everything below, and single files that an administrator edits. */
  readonly protect?: readonly (string | Uint8Array)[]
  /** Names below those that are not protected after all. */
  readonly protectMask?: readonly (string | Uint8Array)[]
  /** Files that the package itself calls configuration. */
  readonly configFiles?: readonly (string | Uint8Array)[]
  /** Whose names and outcomes: `portage` by default. */
  readonly style?: StyleName
}

/** Configuration protection of one package. */
export interface Protection {
  readonly styleName: StyleName
  readonly style: Style
  /** Whether a name is protected, by what the image calls it or by where it leads. */
  covers(name: Name, liveName: Name): boolean
}

/**
 * Makes a protection.
 *
 * A name is protected when the longest name that covers it (itself, or a directory above it) is one of `protect` or
 * `configFiles`, and not as long a one of `protectMask`.
 *
 * @throws {InvalidArgumentError} for a name with `..` in it, or a style that is none
 */
export function makeProtection(options: ProtectionOptions): Protection {
  const { protect = [], protectMask = [], configFiles = [], style: styleName = 'portage' } = options
  if (!isStyleName(styleName)) {
    throw new InvalidArgumentError(`'${String(styleName)}' is not a style`, {
      hint: `One of: ${styleNames.join(', ')}.`,
    })
  }
  const isCovering = new Map<Name, boolean>()
  for (const given of [...protect, ...configFiles]) isCovering.set(checkName(given), true)
  const isAny = isCovering.size > 0
  for (const given of protectMask) isCovering.set(checkName(given), false)
  const coversOne = (name: Name) => {
    for (let at = name; ; at = parentName(at)) {
      const found = isCovering.get(at)
      if (found !== undefined || at === '') return found ?? false
    }
  }
  const covers = (name: Name, liveName: Name) =>
    isAny && (coversOne(name) || (name !== liveName && coversOne(liveName)))
  return { styleName, style: styles[styleName], covers }
}

function checkName(given: string | Uint8Array): Name {
  const components = toName(given)
    .split('/')
    .filter((component) => component !== '' && component !== '.')
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
