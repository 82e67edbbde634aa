// Layers of one container image, each merged as a package of its own by one call: the later ones lie above.

import { type FileType, type Name, parentName, type Stat } from '../sys/index.ts'
import type { PackageImage } from './plan.ts'

/** Whether the layers above one hide a name of it: by what they bring there, or by what they take away. */
export class LayersAbove {
  readonly #above: () => readonly PackageImage[]
  readonly #directories = new Map<Name, boolean>([['', false]])

  /** @param above  the layers above, asked for when the first name is: by then all are open */
  constructor(above: () => readonly PackageImage[]) {
    this.#above = above
  }

  hide({ name, type }: { readonly name: Name; readonly type: FileType }): boolean {
    return this.#hidesDirectory(parentName(name)) || this.#hidesName(name, type)
  }

  #hidesDirectory(name: Name): boolean {
    let known = this.#directories.get(name)
    if (known === undefined) {
      known = this.#hidesDirectory(parentName(name)) || this.#hidesName(name, 'directory')
      this.#directories.set(name, known)
    }
    return known
  }

  #hidesName(name: Name, type: FileType): boolean {
    return this.#above().some(({ image, whiteouts }) => {
      if (whiteouts?.names.has(name) || whiteouts?.opaque.has(parentName(name))) return true
      const found: Stat | undefined = image.find(name)
      return found !== undefined && !(found.type === 'directory' && type === 'directory')
    })
  }
}

/** The order in which images are planned: an upper layer first, whose directories' metadata are the last word. */
export function planningOrder(images: readonly PackageImage[]): readonly PackageImage[] {
  const layers = images.filter(isLayer)
  return images.map((image) => (isLayer(image) ? (layers.pop() as PackageImage) : image))
}

function isLayer({ whiteouts }: PackageImage): boolean {
  return whiteouts !== undefined
}
