// Any sequence of versions, edits, answers and unmerges: the administrator's work is never lost, and nothing is offered
// twice or again.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { configUpdates, merge, resolveUpdate, type StyleName, styleNames, unmerge } from '../../../src/merge/index.ts'
import { withDirectory } from '../../support/scratch.ts'
import { ConfigBench, file } from './configBench.ts'

type Act =
  | { readonly kind: 'merge'; readonly version: number; readonly noConfigMemory: boolean }
  | { readonly kind: 'edit' | 'delete' | 'unmerge' | 'dismiss' | 'accept' | 'reject' | 'acceptByHand' }

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('merge' as const), version: fc.nat(3), noConfigMemory: fc.boolean() }),
  },
  {
    weight: 6,
    arbitrary: fc
      .constantFrom<Act['kind']>('edit', 'delete', 'unmerge', 'dismiss', 'accept', 'reject', 'acceptByHand')
      .map((kind) => ({ kind }) as Act),
  },
)

/** What the test knows of a root, beside what it sees. */
class Model {
  readonly bench: ConfigBench
  readonly style: StyleName
  /** Everything that the administrator has written and not thrown away. */
  readonly works = new Set<string>()
  #works = 0
  isInstalled = false

  constructor(bench: ConfigBench, style: StyleName) {
    this.bench = bench
    this.style = style
  }

  async do(step: Act): Promise<void> {
    const { bench } = this
    const live = bench.read(file)
    if (step.kind === 'merge') return this.#merge(step)
    if (step.kind === 'edit') {
      this.works.delete(String(live)) // written over by the administrator
      const work = `work ${this.#works++}`
      bench.write(file, work)
      this.works.add(work)
    } else if (step.kind === 'delete') {
      this.works.delete(String(live))
      bench.write(file, undefined)
    } else if (step.kind === 'unmerge' && this.isInstalled) {
      await unmerge({ root: bench.root, packages: ['p'] })
      this.isInstalled = false
    } else await this.#answer(step.kind)
  }

  async #answer(kind: Act['kind']): Promise<void> {
    const { root } = this.bench
    const newest = (await configUpdates({ root })).find(({ isNewest }) => isNewest)
    if (newest === undefined) return
    if (kind === 'dismiss') this.bench.write(newest.update, undefined)
    if (kind === 'accept' || kind === 'acceptByHand') this.works.delete(String(this.bench.read(file)))
    if (kind === 'acceptByHand') this.bench.rename(newest.update, file)
    if (kind === 'accept' || kind === 'reject') await resolveUpdate({ root, update: file, action: kind })
  }

  async #merge({ version, noConfigMemory }: Extract<Act, { kind: 'merge' }>): Promise<void> {
    const options = { style: this.style, ...(noConfigMemory ? { noConfigMemory } : {}) }
    await this.bench.merge({ [file]: `version ${version}`, 'usr/share/x': 'x' }, options)
    this.isInstalled = true
    const before = JSON.stringify(this.bench.etc())
    await this.bench.merge({ [file]: `version ${version}`, 'usr/share/x': 'x' }, { style: this.style })
    assert.equal(JSON.stringify(this.bench.etc()), before, 'the same version again changed something')
  }

  check(): void {
    const contents = Object.values(this.bench.etc()).map(String)
    for (const work of this.works) assert.ok(contents.includes(work), `'${work}' is lost: ${contents.join(', ')}`)
    const offered = Object.entries(this.bench.etc()).filter(([name]) =>
      /^\._cfg|\.(rpmnew|pacnew|dpkg-dist|apk-new)$/.test(name),
    )
    const texts = offered.map(([, text]) => text)
    assert.equal(new Set(texts).size, texts.length, `offered twice: ${JSON.stringify(this.bench.etc())}`)
  }
}

describe('any sequence of versions, edits and answers', function () {
  this.timeout(600_000)
  const runs = process.env.ROOTMERGE_TEST_FULL === undefined ? 4 : 60

  for (const style of styleNames) {
    it(`never loses the administrator's work, nor offers anything twice: ${style}`, () =>
      fc.assert(
        fc.asyncProperty(fc.array(act, { minLength: 3, maxLength: 14 }), (steps) =>
          withDirectory(async (directory) => {
            const model = new Model(new ConfigBench(directory), style)
            for (const step of steps) {
              await model.do(step)
              model.check()
            }
          }),
        ),
        { numRuns: runs },
      ))
  }

  it('notices a merge that does lose it', () =>
    withDirectory(async (directory) => {
      const model = new Model(new ConfigBench(directory), 'portage')
      await model.do({ kind: 'merge', version: 0, noConfigMemory: false })
      await model.do({ kind: 'edit' })
      model.check()
      const { root } = model.bench
      await merge({ root, image: `${directory}/image-0`, package: 'p', protectMask: ['/etc'] })
      assert.throws(() => model.check(), /is lost/)
    }))
})
