// The images of a call as trees: directories as they are, archives unpacked into hidden trees that go afterwards.

import { tmpdir } from 'node:os'
import type { EngineContext } from '../sys/engineThread.ts'
import { AT_FDCWD, displayName, type Kernel, type Name, toName } from '../sys/index.ts'
import { InvalidArgumentError } from './errors.ts'
import type { ImageOptions, MergeOptions } from './options.ts'
import { checkPackageName } from './packageName.ts'
import type { PackageImage } from './plan.ts'
import { ProgressMeter } from './progress.ts'
import { Root } from './root.ts'
import { stateName } from './session.ts'
import { State } from './state.ts'
import { removeAbandonedSpools, withUnpacked } from './tarImage.ts'
import { TreeImage } from './treeImage.ts'

/** The images of a call, each with the options that it has from the call. */
export function imagesOf(options: MergeOptions): readonly ImageOptions[] {
  const { include, exclude, stripComponents } = options
  const common = {
    ...(include && { include }),
    ...(exclude && { exclude }),
    ...(stripComponents && { stripComponents }),
  }
  const images = options.images === undefined ? [options] : options.images.map((image) => ({ ...common, ...image }))
  if (images.length === 0) throw new InvalidArgumentError('there is no image to merge')
  const names = images.map((image) => checkPackageName(image.package))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new InvalidArgumentError(`two images are both to become the package '${twice}'`)
  return images
}

/** An image that is a directory tree, or has become one. */
export interface ImageTree {
  readonly path: Name
  readonly options: ImageOptions
}

/**
 * Gives images to `use` as trees, in their order.
 *
 * @throws {CorruptImageError} @throws {UnsafeEntryError} of archives, before `use` is called
 */
export async function withTrees<T>(
  engine: EngineContext,
  options: MergeOptions,
  use: (trees: readonly ImageTree[]) => T,
): Promise<T> {
  const images = imagesOf(options).map((image) => ({ path: toName(image.image), options: image }))
  const archives = images.filter(({ path }) => !isDirectory(engine.kernel, path))
  if (archives.length === 0) return use(images)
  const meter = new ProgressMeter(engine)
  meter.enter('unpack')
  const spool = openSpool(engine.kernel, options)
  const onEntry = (bytes: number) => meter.addEntry(bytes)
  const unpackFrom = async (next: number, trees: ReadonlyMap<ImageOptions, Name>): Promise<T> => {
    const archive = archives[next]
    if (archive === undefined) {
      return use(images.map((image) => ({ ...image, path: trees.get(image.options) ?? image.path })))
    }
    const unpacking = { ...engine, spool, stripComponents: archive.options.stripComponents ?? 0, onEntry }
    return withUnpacked(unpacking, archive.path, (tree) =>
      unpackFrom(next + 1, new Map([...trees, [archive.options, tree]])),
    )
  }
  try {
    return await unpackFrom(0, new Map())
  } finally {
    spool.root.close()
  }
}

/** Opens trees as images while `use` runs. */
export function withImages<T>(
  kernel: Kernel,
  trees: readonly ImageTree[],
  use: (images: readonly PackageImage[]) => T,
): T {
  const images: PackageImage[] = []
  try {
    for (const { path, options } of trees)
      images.push({ packageName: options.package, image: new TreeImage(kernel, path, options) })
    return use(images)
  } finally {
    for (const { image } of images) image.close()
  }
}

/** Where archives are unpacked: in the state directory, from where contents may be shared; a dry run stays outside. */
function openSpool(kernel: Kernel, options: MergeOptions): { root: Root; name: Name } {
  if (options.dryRun === true) return { root: new Root(kernel, toName(tmpdir())), name: '' }
  const root = new Root(kernel, toName(options.root))
  const directory = new State(root, stateName(options)).make()
  removeAbandonedSpools(kernel, directory)
  return { root, name: directory.name }
}

function isDirectory(kernel: Kernel, path: Name): boolean {
  const stat = kernel.findat(AT_FDCWD, path)
  if (stat === undefined) throw new InvalidArgumentError(`the image '${displayName(path)}' does not exist`)
  return (
    stat.type === 'directory' || (stat.type === 'symlink' && kernel.findat(AT_FDCWD, `${path}/.`)?.type === 'directory')
  )
}
