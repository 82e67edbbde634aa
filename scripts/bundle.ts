// Makes the published modules: the sources as a few files, since every file that is loaded takes its time; and the licences
// of what they bring along. Declarations come from the compiler.
//
//   node build/scripts/bundle.js

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type OutputChunk, type Plugin, rolldown } from 'rolldown'

const project = fileURLToPath(new URL('../..', import.meta.url))

/** Modules that belong together, and the form that they are published in. */
interface Bundle {
  /** What is loaded by its name. */
  readonly entries: readonly string[]
  readonly format: 'es' | 'cjs'
  readonly extension: 'js' | 'cjs'
}

const bundles: readonly Bundle[] = [
  {
    entries: ['index', 'filecopy/index', 'movefile/index', 'merge/index', 'sys/index', 'engines', 'engineWorker'],
    format: 'es',
    extension: 'js',
  },
  // Node takes 5 ms more for a main program that is an ES module (Node 20.20: an empty one beside an empty CommonJS file). Not
  // so the engines: through the exports of CommonJS files their calls of each other take 5 % more of a merge's time.
  { entries: ['cli/main'], format: 'cjs', extension: 'cjs' },
]

/** What most commands and most engines need is one file each; all else is loaded with what needs it. */
const groups = [
  { name: 'command', test: /\/src\/cli\/|\/node_modules\/commander\//, minShareCount: 4 },
  { name: 'objects', test: /\/src\/(sys|filecopy|movefile)\// },
  { name: 'merge', test: /\/src\/merge\/(?!archive|formats|import)/, minShareCount: 3 },
]

/**
 * commander starts programs for subcommands that are files of their own. There are none, and loading what starts programs
 * takes 3 ms.
 */
const withoutPrograms: Plugin = {
  name: 'without programs',
  resolveId: (id, importer) => (id === 'node:child_process' && importer?.includes('/commander/') ? '\0nothing' : null),
  load: (id) => (id === '\0nothing' ? 'export {}' : null),
}

/** The command takes the layers below it from the library's bundle, when it needs them (a rule in test/tidy.test.ts). */
const libraryOutside: Plugin = {
  name: 'library outside',
  resolveId(id, importer) {
    const [, layer] = /^\.\.\/(.*)\.ts$/.exec(id) ?? []
    if (layer === undefined || !importer?.includes('/src/cli/')) return null
    return { id: `../${layer}.js`, external: true } // from dist/chunks
  },
}

interface PackageFacts {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly dependencies?: object
  readonly optionalDependencies?: object
}

function factsOf(folder: string): PackageFacts {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageFacts
}

/** What a user installs beside the package stays outside; other packages become part of it. */
function isInstalled(name: string): boolean {
  const { dependencies, optionalDependencies } = factsOf(project)
  return name in { ...dependencies, ...optionalDependencies }
}

/** The folders of packages that modules came from. */
function packagesIn(chunks: readonly OutputChunk[]): string[] {
  const modules = chunks.flatMap(({ moduleIds }) => moduleIds)
  const folders = modules.flatMap((path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? [])
  return [...new Set(folders)].sort()
}

/** One package's licence, in its own words. */
function licenceOf(folder: string): string {
  const { name, version, license } = factsOf(folder)
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each))
  if (file === undefined) throw new Error(`${name} brings no licence`)
  return `## ${name}@${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
}

/** Writes one bundle to dist, and answers what it is made of. */
async function write({ entries, format, extension }: Bundle): Promise<OutputChunk[]> {
  const bundle = await rolldown({
    input: Object.fromEntries(entries.map((name) => [name, join(project, 'src', `${name}.ts`)])),
    platform: 'node',
    external: isInstalled,
    preserveEntrySignatures: 'strict', // no chunk imports the command's main program, which would run it again
    plugins: [withoutPrograms, libraryOutside],
    checks: { ineffectiveDynamicImport: false }, // the tests run the modules one by one
  })
  const { output } = await bundle.write({
    dir: join(project, 'dist'),
    format,
    entryFileNames: `[name].${extension}`,
    // Beside the worker as the sources' folders are: see sys/engineWorker.ts.
    chunkFileNames: `chunks/[name].${extension}`,
    codeSplitting: { groups },
    // Half of the text, and as much of the time that parsing takes; names and lines stay, for readable stacks.
    comments: false,
  })
  return output.filter((each) => each.type === 'chunk')
}

for (const name of readdirSync(join(project, 'dist'), { recursive: true, encoding: 'utf8' })) {
  if (/\.c?js$/.test(name)) rmSync(join(project, 'dist', name))
}
const chunks: OutputChunk[] = []
for (const each of bundles) chunks.push(...(await write(each)))
const licences = new Set(packagesIn(chunks).map(licenceOf))
writeFileSync(
  join(project, 'dist/LICENCES.md'),
  `# Packages that are part of these files\n\n${[...licences].join('\n')}`,
)
