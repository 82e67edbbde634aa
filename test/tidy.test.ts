// The rules of the house, as a test: what may import what, how long things may be, what has to be documented.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))

interface SourceFile {
  /** Relative to the project. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
}

function sources(...folders: string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => {
        const path = join(folder, name)
        const text = readFileSync(join(project, path), 'utf8')
        return { path, text, lines: text.split('\n') }
      }),
  )
}

/** From the bottom up: a folder imports itself and what stands before it, by its index or an own subject's file. */
const layers = ['src/sys', 'src/filecopy', 'src/movefile', 'src/merge', 'src/cli']

/** Packages, and the only places that may import them. */
const packages: Readonly<Record<string, readonly string[]>> = {
  koffi: ['src/sys'],
  'fs-xattr': ['src/sys'],
  'tar-stream': ['src/merge/archive/tarHeader.ts'],
  'fast-glob': ['src/merge/selection.ts'],
  micromatch: ['src/movefile/policy.ts', 'src/merge'],
  commander: ['src/cli'],
  diff: ['src/merge/config'],
  'node-diff3': ['src/merge/config/threeWay.ts'],
  'log-update': ['src/cli/progress.ts'],
}

/** Files of a lower layer that others may import beside its index: what the caller's thread needs without the engine. */
const openFiles = [
  'src/sys/engineThread.ts',
  'src/sys/bytes.ts',
  'src/sys/diagnostics.ts',
  'src/sys/errors.ts',
  'src/filecopy/errors.ts',
  'src/movefile/errors.ts',
  'src/movefile/losses.ts',
]

/** A word that is not ours, and the one that is (DESIGN: one word per thing, everywhere). */
const bannedWords: Readonly<Record<string, string>> = {
  dest: 'target',
  src: 'source',
  tmpfile: 'staging',
  utils: 'a name of its own',
  helpers: 'a name of its own',
}

const longestFile = 300
const longestFunction = 70
const longFunction = 40
/** Functions over forty lines that stand; new ones need a good reason, so this number only goes down. */
const longFunctionsKnown = 14

function importsOf({ text }: SourceFile): string[] {
  return [...text.matchAll(/(?:from|import\(|require\()\s*'([^']+)'/g)].map((match) => match[1] as string)
}

function layerOf(path: string): number {
  return layers.findIndex((layer) => path.startsWith(`${layer}/`))
}

interface FunctionSpan {
  readonly where: string
  readonly length: number
}

/** Functions by their first line and the brace that closes at the same depth, as the formatter lays them out. */
function functionsOf({ path, lines }: SourceFile): FunctionSpan[] {
  const opening =
    /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? |(?:static |async |get |override |\*)*#?[\w]+\(.*\).*\{$|.*=> \{$)/
  const spans: FunctionSpan[] = []
  lines.forEach((line, index) => {
    const match = opening.exec(line)
    if (match === null || /^\s*(if|for|while|switch|catch|return|else|describe|it|before|after)\b/.test(line)) return
    const indent = match[1] ?? ''
    const end = lines.findIndex((other, at) => at > index && other.startsWith(`${indent}}`))
    if (end > index) spans.push({ where: `${path}:${index + 1}`, length: end - index + 1 })
  })
  return spans
}

/** Exports without a docstring before them. */
function undocumented({ path, lines }: SourceFile): string[] {
  return lines.flatMap((line, index) => {
    if (!/^export (async )?(abstract )?(function\*?|class|interface|type|const) \w/.test(line)) return []
    return lines[index - 1]?.trim().endsWith('*/') ? [] : [`${path}:${index + 1}`]
  })
}

describe('the rules of the house', () => {
  const code = sources('src')

  it('imports point down only', () => {
    const wrong = code.flatMap((file) =>
      importsOf(file)
        .filter((target) => target.startsWith('.'))
        .map((target) => normalize(join(dirname(file.path), target)))
        .filter((target) => layerOf(file.path) >= 0 && layerOf(target) > layerOf(file.path))
        .map((target) => `${file.path} imports ${target}`),
    )
    assert.deepEqual(wrong, [])
  })

  it('another layer is reached by its index, or by a file that is open to all', () => {
    const wrong = code.flatMap((file) =>
      importsOf(file)
        .filter((target) => target.startsWith('..'))
        .map((target) => normalize(join(dirname(file.path), target)))
        .filter((target) => layerOf(target) >= 0 && layerOf(target) !== layerOf(file.path))
        .filter((target) => !target.endsWith('/index.ts') && !openFiles.includes(target))
        .map((target) => `${file.path} imports ${target}`),
    )
    assert.deepEqual(wrong, [])
  })

  it('the table of engines stands above the layers: only what runs engines imports it', () => {
    const importing = code.filter((file) => importsOf(file).some((target) => /(^|\/)engines\.ts$/.test(target)))
    assert.deepEqual(importing.map(({ path }) => path).sort(), ['src/cli/main.ts', 'src/engineWorker.ts'])
  })

  it('a package is imported only where it belongs, and only packages that are known', () => {
    const wrong = code.flatMap((file) =>
      importsOf(file)
        .filter((target) => !target.startsWith('.') && !target.startsWith('node:'))
        .filter((target) => !packages[target]?.some((place) => file.path.startsWith(place)))
        .map((target) => `${file.path} imports ${target}`),
    )
    assert.deepEqual(wrong, [])
  })

  it('the command loads the layers below only when it needs them: --help must not wait for the engine', () => {
    const eager = code
      .filter(({ path }) => path.startsWith('src/cli/'))
      .flatMap(({ path, text }) =>
        [...text.matchAll(/^import (?!type)[^'"]*?from '(\.\.\/[^']+)'/gm)].map(
          (match) => `${path} imports ${match[1]}`,
        ),
      )
    assert.deepEqual(eager, [])
  })

  it('a package that is imported by a variable is named only where it belongs', () => {
    const places = {
      'fs-xattr': 'src/sys/xattrCalls.ts',
      'lzma-native': 'src/merge/archive/decodingPackages.ts',
      fzstd: 'src/merge/archive/decodingPackages.ts',
      'unbzip2-stream': 'src/merge/archive/decodingPackages.ts',
    }
    for (const [name, place] of Object.entries(places)) {
      const named = code.filter(({ text }) => text.includes(`'${name}'`)).map(({ path }) => path)
      assert.deepEqual(named, [place])
    }
  })

  it(`files have at most ${longestFile} lines`, () => {
    const long = code
      .filter(({ lines }) => lines.length > longestFile + 1)
      .map(({ path, lines }) => `${path}: ${lines.length}`)
    assert.deepEqual(long, [])
  })

  it(`functions have at most ${longestFunction} lines, and few have more than ${longFunction}`, () => {
    const spans = code.flatMap(functionsOf)
    assert.ok(spans.length > 300, `only ${spans.length} functions were found`)
    assert.deepEqual(
      spans.filter(({ length }) => length > longestFunction),
      [],
    )
    const long = spans.filter(({ length }) => length > longFunction)
    assert.ok(long.length <= longFunctionsKnown, `${long.length} long functions: ${JSON.stringify(long, null, 1)}`)
  })

  it('no list is spread into the arguments of a call, which the stack bounds at about 120,000', () => {
    const spreading = code.flatMap(({ path, text }) =>
      [...text.matchAll(/\b(?:push|unshift|min|max|fromCharCode)\(\s*\.\.\..*/g)].map(([call]) => `${path}: ${call}`),
    )
    assert.deepEqual(spreading, [])
  })

  it('every export is documented', () => {
    // The kernel's own constants are documented by the kernel's manual pages.
    const ours = code.filter(({ path }) => path !== 'src/sys/constants.ts')
    assert.deepEqual(ours.flatMap(undocumented), [])
  })

  it('every file begins by saying what lives in it', () => {
    const silent = code.filter(({ text }) => !/^(#!.*\n)?\/\/ \S/.test(text)).map(({ path }) => path)
    assert.deepEqual(silent, [])
  })

  it('names are words, and one word means one thing', () => {
    const found = code.flatMap(({ path, lines }) =>
      lines.flatMap((line, index) => {
        const declared = [...line.matchAll(/\b(?:const|let|function|class|interface|type) (\w+)/g)].map(
          (m) => m[1] as string,
        )
        return declared
          .filter((name) => name in bannedWords)
          .map((name) => `${path}:${index + 1}: '${name}', say '${bannedWords[name]}'`)
      }),
    )
    const drawers = code
      .filter(({ path }) => /(utils?|helpers?|common|misc|types)\.ts$/.test(path))
      .map(({ path }) => path)
    assert.deepEqual([...found, ...drawers], [])
  })

  it('nothing is left for later, switched off or waved through', () => {
    const marks =
      /\b(TODO|FIXME|XXX|HACK)\b|\.only\(|\b(it|describe)\.skip|@ts-(ignore|expect-error|nocheck)|biome-ignore|\bas any\b/
    const found = sources('src', 'test', 'scripts', 'bench')
      .filter(({ path }) => path !== 'test/tidy.test.ts')
      .flatMap(({ path, lines }) =>
        lines.flatMap((line, index) => (marks.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
      )
    assert.deepEqual(found, [])
  })

  it('every test file stands where its source does', () => {
    const folders = ['test/sys', 'test/filecopy', 'test/movefile', 'test/merge', 'test/cli']
    for (const folder of folders) assert.ok(readdirSync(join(project, folder)).length > 0, `${folder} is empty`)
  })
})
