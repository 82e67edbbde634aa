import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { exportRecord, type MergeOptions, merge } from '../../src/merge/index.ts'
import { withDirectory } from '../support/scratch.ts'
import { writeTree } from '../support/tree.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')

/** The md5 sum that is exported of a file which something happened to; undefined when there is none. */
async function exported(
  happens: (file: string) => void,
  more: Partial<MergeOptions> = {},
): Promise<string | undefined> {
  let sums = ''
  await withDirectory(async (directory) => {
    const [root, image] = [join(directory, 'root'), join(directory, 'image')]
    for (const made of [root, image]) fs.mkdirSync(made)
    writeTree(image, 'f /srv/file "text" mtime=1500000000')
    await merge({ root, image, package: 'p', durability: 'none', ...more } as MergeOptions)
    happens(join(root, 'srv/file'))
    const options = { root, package: 'p', format: 'dpkg-md5sums' } as const
    sums = Buffer.from(await exportRecord(options).catch((error: Error) => Buffer.from(error.message))).toString()
  })
  return /^([0-9a-f]{32}) {2}srv\/file$/m.exec(sums)?.[1]
}

const edit = (file: string, text: string) => fs.writeFileSync(file, text)

function editLonger(file: string): void {
  edit(file, 'longer')
  fs.utimesSync(file, 1500000000, 1500000000)
}

function becomeDirectory(file: string): void {
  fs.rmSync(file)
  fs.mkdirSync(file)
}

/** What may happen to a file, and whether its sum is still told: of contents that are digested, and that are not. */
const happenings: readonly (readonly [
  title: string,
  happens: (file: string) => void,
  digested: boolean,
  undigested: boolean,
])[] = [
  ['nothing', () => {}, true, true],
  ['a new time', (file) => fs.utimesSync(file, 1, 1), true, false],
  ['the same size', (file) => edit(file, 'TEXT'), false, false],
  ['another size, at the old time', editLonger, false, false],
  ['removed', (file) => fs.rmSync(file), false, false],
  ['its directory removed', (file) => fs.rmSync(join(file, '..'), { recursive: true }), false, false],
  ['a directory in its place', becomeDirectory, false, false],
]

describe("the md5 sum of a record's file", () => {
  for (const [title, happens, digested, undigested] of happenings) {
    it(`is told only while the file is as recorded: ${title}`, async () => {
      assert.equal(await exported(happens), digested ? md5('text') : undefined)
      assert.equal(await exported(happens, { digest: 'none' }), undigested ? md5('text') : undefined)
    })
  }
})
