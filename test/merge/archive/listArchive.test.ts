import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import {
  CorruptImageError,
  InvalidArgumentError,
  type ReadArchiveOptions,
  readArchive,
  UnsafeEntryError,
} from '../../../src/merge/index.ts'
import { rawMember, rawTar } from '../../support/rawTar.ts'
import { withDirectory } from '../../support/scratch.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The lines of what an archive would be recorded as, by name. */
async function listed(members: readonly Buffer[], options: Partial<ReadArchiveOptions> = {}) {
  let text = ''
  await withDirectory(async (directory) => {
    const image = join(directory, 'a.tar')
    fs.writeFileSync(image, rawTar(...members))
    text = Buffer.from(await readArchive({ image, ...options })).toString('latin1')
  })
  const names = text.split('\n').filter((line) => line.startsWith('./'))
  return { text, lines: new Map(names.map((line) => [line.slice(2, line.indexOf(' ')), line])) }
}

const file = (name: string, payload: string) => rawMember({ name, payload, mtime: 1 })

describe('what an archive would bring', () => {
  it('has every kind of object, in order of names, each with what its kind has', async () => {
    const { lines } = await listed([
      rawMember({ name: 'top/', type: '5' }),
      file('top/z', 'last'),
      rawMember({ name: 'top/link', type: '2', target: 'z' }),
      rawMember({ name: 'top/again', type: '1', target: 'top/z' }),
      rawMember({ name: 'top/disk', type: '4', device: [8, 1] }),
      rawMember({ name: 'top/pipe', type: '6' }),
    ])
    assert.deepEqual([...lines.keys()], ['top', 'top/again', 'top/disk', 'top/link', 'top/pipe', 'top/z'])
    assert.match(lines.get('top/z') ?? '', new RegExp(`size=4 .*sha256(digest)?=${sha256('last')}`))
    assert.match(lines.get('top/again') ?? '', new RegExp(sha256('last')))
    assert.match(lines.get('top/link') ?? '', /type=link .*link=z/)
    assert.match(lines.get('top/disk') ?? '', /type=block .*8,1/)
    assert.match(lines.get('top/pipe') ?? '', /type=fifo/)
  })

  it('is the last member of a name, without the components that are taken off', async () => {
    const members = [
      file('a/one', 'old'),
      rawMember({ name: 'a/two', type: '1', target: 'a/one' }),
      file('b/one', 'new'),
    ]
    const { lines } = await listed(members, { stripComponents: 1 })
    assert.deepEqual([...lines.keys()], ['one', 'two'])
    assert.match(lines.get('one') ?? '', new RegExp(sha256('new')))
    assert.match(lines.get('two') ?? '', new RegExp(sha256('old')))
  })

  it('is called as the caller says, else archive', async () => {
    assert.match((await listed([file('x', '')])).text, /^# rootmerge 1 archive$/m)
    assert.match((await listed([file('x', '')], { package: 'tool' })).text, /^# rootmerge 1 tool$/m)
  })

  const refused: Readonly<Record<string, [Buffer[], Partial<ReadArchiveOptions>, new (...args: never[]) => Error]>> = {
    'a link to what comes later': [
      [rawMember({ name: 'a', type: '1', target: 'b' }), file('b', '')],
      {},
      UnsafeEntryError,
    ],
    'a link to nothing': [[rawMember({ name: 'a', type: '1', target: '' })], {}, CorruptImageError],
    'names that are all taken off': [[file('a', '')], { stripComponents: 1 }, InvalidArgumentError],
    'a name that leads upwards': [[file('../a', '')], {}, UnsafeEntryError],
  }
  for (const [title, [members, options, kind]] of Object.entries(refused)) {
    it(`is refused with ${title}`, () => assert.rejects(listed(members, options), kind))
  }
})
