import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { editText } from '../../src/cli/editor.ts'
import { withDirectory } from '../support/scratch.ts'

interface Edited {
  /** What came out. */
  readonly text: string | undefined
  /** What the editor said of itself. */
  readonly said: string
  /** What is in the directory for temporary files afterwards. */
  readonly left: readonly string[]
}

/**
 * Edits a text where there are the programs `one`, `two` and `vi`, each of which says who it is, what it was given and
 * which modes that has, and then does what `script` says.
 */
async function edit(
  variables: Readonly<Record<'VISUAL' | 'EDITOR', string>>,
  script = 'printf edited > "$file"',
  name = 'etc/._cfg0000_file',
): Promise<Edited> {
  let edited: Edited | undefined
  await withDirectory((directory) => {
    const [programs, temporary] = [join(directory, 'bin'), join(directory, 'tmp')]
    for (const made of [programs, temporary]) fs.mkdirSync(made)
    const told = join(directory, 'told')
    const tell = `echo "\${0##*/} $# $(basename "$file") $(stat -c %a "$file" "$(dirname "$file")" | tr '\\n' ' ')" > ${told}`
    const lines = ['#!/bin/sh', 'for file; do :; done', tell, script, '']
    for (const program of ['one', 'two', 'vi'])
      fs.writeFileSync(join(programs, program), lines.join('\n'), { mode: 0o755 })
    const before = process.env
    process.env = { ...before, ...variables, TMPDIR: temporary, PATH: `${programs}:${before.PATH}` }
    try {
      const text = editText(name, Buffer.from('before'))
      const said = fs.existsSync(told) ? fs.readFileSync(told, 'utf8').trim() : ''
      edited = { text: text && Buffer.from(text).toString(), said, left: fs.readdirSync(temporary) }
    } finally {
      process.env = before
    }
  })
  assert.ok(edited !== undefined)
  return edited
}

const none = { VISUAL: '', EDITOR: '' }
/** Name and modes of the file and of its directory, which nobody else can read. */
const seen = '._cfg0000_file 600 700'

describe("the user's editor", () => {
  it('is $VISUAL, else $EDITOR, else vi, and is given the text by its name', async () => {
    assert.deepEqual(await edit({ VISUAL: 'one', EDITOR: 'two' }), { text: 'edited', said: `one 1 ${seen}`, left: [] })
    assert.deepEqual(await edit({ ...none, EDITOR: 'two' }), { text: 'edited', said: `two 1 ${seen}`, left: [] })
    assert.deepEqual(await edit(none), { text: 'edited', said: `vi 1 ${seen}`, left: [] })
  })

  it('may have arguments', async () => {
    assert.equal((await edit({ ...none, EDITOR: "two --wait 'a b'" })).said, `two 3 ${seen}`)
  })

  it('leaves the text where it changes nothing', async () => {
    assert.equal((await edit({ ...none, EDITOR: 'two' }, 'exit 0')).text, 'before')
  })

  for (const [how, script] of Object.entries({
    'with a code': 'printf half > "$file"; exit 3',
    'by a signal': 'kill -9 $$',
  })) {
    it(`gives no text when it ends ${how}, and nothing is left`, async () => {
      const { text, left } = await edit({ ...none, EDITOR: 'two' }, script)
      assert.deepEqual([text, left], [undefined, []])
    })
  }

  it('gives no text when it is not there', async () => {
    const { text, said, left } = await edit({ ...none, EDITOR: 'absent-editor' })
    assert.deepEqual([text, said, left], [undefined, '', []])
  })

  it('is given as much of a long name as a file may have', async () => {
    const { text, said } = await edit({ ...none, EDITOR: 'two' }, undefined, `etc/${'ä'.repeat(120)}`)
    assert.equal(text, 'edited')
    assert.ok(said.startsWith(`two 1 ${'ä'.repeat(100)} `), said)
  })
})
