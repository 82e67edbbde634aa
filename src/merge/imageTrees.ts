// The images of a call as trees: directories as they are, archives unpacked into hidden trees that go afterwards.

import type { EngineContext } from '../sys/engineThread.ts'
import { AT_FDCWD, displayName, type Kernel, type Name, nameBytes, toName } from '../sys/index.ts'
import { standardInput } from './archive/archiveFile.ts'
import type { ArchiveOptions, UnpackedArchive } from './archive/unpack.ts'
import { makeProtection, type Protection, type ProtectionOptions } from './config/protection.ts'
import { InvalidArgumentError } from './errors.ts'
import { ociName } from './formats/ociName.ts'
import { LayersAbove } from './layers.ts'
import type { ImageOptions, MergeOptions, MoveOptions } from './options.ts'
import { checkPackageName } from './packageName.ts'
import type { PackageImage } from './plan.ts'
import { nameSelector, type SelectionOptions } from './selection.ts'
import type { Access } from './session.ts'
import type { SpareThreads } from './stageThreads.ts'
import { TreeImage, type TreeOrigin } from './treeImage.ts'

/** Options that the images of a call may each have, or have from the call. */
const sharedNames: ReadonlySet<string> = new Set<
  keyof (SelectionOptions & ArchiveOptions & MoveOptions & ProtectionOptions)
>([
  'include',
  'exclude',
  'installMask',
  'mode',
  'protect',
  'protectMask',
  'style',
  'format',
  'stripComponents',
  'noDevices',
  'noSetId',
  'limits',
  'integrity',
  'manifest',
  'concatenated',
])

/** The images of a call, each with the options that it has from the call. */
export function imagesOf(options: MergeOptions): readonly ImageOptions[] {
  const common = Object.fromEntries(Object.entries(options).filter(([name]) => sharedNames.has(name)))
  const images = options.images === undefined ? [options] : options.images.map((image) => ({ ...common, ...image }))
  if (images.length === 0) throw new InvalidArgumentError('there is no image to merge')
  const names = images.map((image) => checkPackageName(image.package))
  if (images.filter(({ image }) => toName(image) === standardInput).length > 1)
    throw new InvalidArgumentError('only one image can come from standard input')
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new InvalidArgumentError(`two images are both to become the package '${twice}'`)
  return images
}

/** An image that is a directory tree, or has become one. */
export interface ImageTree {
  readonly path: Name
  readonly options: ImageOptions
  /** Of an archive: its tree is ours, and its payloads have been digested. */
  readonly unpacked?: UnpackedArchive
}

/** What images are made trees with. */
export interface TreesInput {
  readonly engine: EngineContext
  readonly options: MergeOptions
  readonly access: Access
  /** Those that help to unpack. */
  readonly spareThreads: SpareThreads
}

/**
 * Gives images to `use` as trees, in their order.
 *
 * @throws {CorruptImageError} @throws {UnsafeEntryError} of archives, before `use` is called
 */
export async function withTrees<T>(input: TreesInput, use: (trees: readonly ImageTree[]) => T): Promise<T> {
  const { engine, options } = input
  const images = imagesOf(options).map((image) => ({ path: toName(image.image), options: image }))
  const archives = images.filter((image) => isArchive(engine.kernel, image))
  if (archives.length === 0) return use(images)
  // Most merges are of trees, and what reads archives of every kind is a fifth of what a merge would load.
  const { withUnpacked } = await import('./archiveTrees.ts')
  return withUnpacked(input, archives, (unpacked) =>
    use(
      images.map((image) => {
        const archive = unpacked.get(image.options)
        return archive === undefined ? image : { ...image, path: archive.path, unpacked: archive }
      }),
    ),
  )
}

/** Opens trees as images while `use` runs. */
export function withImages<T>(
  kernel: Kernel,
  trees: readonly ImageTree[],
  use: (images: readonly PackageImage[]) => T,
): T {
  const images: PackageImage[] = []
  try {
    for (const tree of trees) {
      const place = images.length
      const above = new LayersAbove(() => images.slice(place + 1).filter(({ whiteouts }) => whiteouts !== undefined))
      const image = new TreeImage(kernel, tree.path, tree.options, originOf(tree, above))
      images.push({ packageName: tree.options.package, image, protection: protectionOf(tree), ...beyondEntries(tree) })
    }
    return use(images)
  } finally {
    for (const { image } of images) image.close()
  }
}

/** What the caller protects, and what the package itself calls configuration. */
function protectionOf({ options, unpacked }: ImageTree): Protection {
  const told = unpacked?.facts.configFiles ?? []
  return makeProtection({ ...options, configFiles: [...(options.configFiles ?? []), ...told.map(nameBytes)] })
}

/** What an archive has beside its tree. What its package owns without bringing it, and what it takes away: of the names that the caller wants of it. */
function beyondEntries({ options, unpacked }: ImageTree): Pick<PackageImage, 'lost' | 'ghosts' | 'whiteouts'> {
  const lost = unpacked?.lost ?? []
  const { ghosts = [], whiteouts } = unpacked?.facts ?? {}
  if (ghosts.length === 0 && whiteouts === undefined) return { lost, ghosts }
  const selects = nameSelector(options)
  return {
    lost,
    ghosts: ghosts.filter(({ name }) => selects(name)),
    ...(whiteouts && { whiteouts: { ...whiteouts, selects } }),
  }
}

function originOf({ options, unpacked }: ImageTree, above: LayersAbove): TreeOrigin {
  if (unpacked !== undefined) {
    const { configFiles, whiteouts } = unpacked.facts
    return {
      mode: 'consume',
      digestOf: (name) => unpacked.digestOf(name),
      statOf: (name) => unpacked.statOf(name),
      isPlain: (name) => unpacked.isPlain(name),
      configFiles: new Set(configFiles),
      ...(whiteouts && { isHidden: (entry) => above.hide(entry) }),
    }
  }
  return options.mode === undefined ? {} : { mode: options.mode }
}

/** What can be asked of archives only, in the command's words: a directory is refused rather than not held to it. */
const forArchives: Readonly<Partial<Record<keyof ArchiveOptions, string>>> = {
  format: '--format',
  stripComponents: '--strip-components',
  integrity: '--integrity',
  manifest: '--manifest',
  noDevices: '--no-devices',
  noSetId: '--no-setid',
  concatenated: '--concatenated',
}

/** Of directories only a container image's layout is one, which has to be asked for: any tree may look like it. */
function isArchive(kernel: Kernel, { path, options }: ImageTree): boolean {
  if (path === standardInput || options.format === ociName || !isDirectory(kernel, path)) return true
  const [, asked] = Object.entries(forArchives).find(([name]) => options[name as keyof ArchiveOptions]) ?? []
  if (asked === undefined) return false
  throw new InvalidArgumentError(`the image '${displayName(path)}' is a directory, and ${asked} is for archives`, {
    hint: 'Leave that out to merge the directory as it is.',
  })
}

function isDirectory(kernel: Kernel, path: Name): boolean {
  const stat = kernel.findat(AT_FDCWD, path)
  if (stat === undefined) throw new InvalidArgumentError(`the image '${displayName(path)}' does not exist`)
  return (
    stat.type === 'directory' || (stat.type === 'symlink' && kernel.findat(AT_FDCWD, `${path}/.`)?.type === 'directory')
  )
}
