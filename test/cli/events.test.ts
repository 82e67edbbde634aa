import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { eventsOf, run } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

const schemaFile = fileURLToPath(new URL('../../../docs/events.schema.json', import.meta.url))
const schema = JSON.parse(fs.readFileSync(schemaFile, 'utf8')) as { $defs: Record<string, { properties?: object }> }
const validate = new Ajv2020({ allErrors: true, strict: true, strictRequired: false }).compile(schema)

/** The events that the schema knows by name. */
const known = Object.entries(schema.$defs)
  .filter(([, { properties }]) => properties !== undefined && 'event' in properties)
  .map(([name]) => name)

describe('events (--json)', function () {
  this.timeout(60_000)

  it('are as docs/events.schema.json says, every kind of them', () =>
    withDirectory((directory) => {
      const [root, image] = [join(directory, 'root'), join(directory, 'image')]
      fs.mkdirSync(root)
      fs.mkdirSync(join(image, 'etc'), { recursive: true })
      fs.writeFileSync(join(image, 'etc/file'), 'bytes')
      const contents = join(directory, 'CONTENTS')
      fs.writeFileSync(contents, 'dir /etc\n')
      const runs: string[][] = [
        ['merge', image, '--package', 'p', '--root', root, '--dry-run'],
        ['merge', image, '--package', 'p', '--root', root, '--keep-undo', '1'],
        ['history', '--root', root],
        ['undo', '--root', root],
        ['merge', image, '--package', 'p', '--root', root, '--changed', join(directory, 'changed')],
        ['list', '--root', root],
        ['list', 'p', '--root', root],
        ['owner', '/etc/file', '/nobody', '--root', root],
        ['verify', '--root', root],
        ['merge', image, '--package', 'q', '--root', root],
        ['merge', join(directory, 'absent'), '--root', root],
        ['copy', join(image, 'etc/file'), join(directory, 'copy')],
        ['copy', '-a', image, join(directory, 'tree')],
        ['move', join(directory, 'copy'), join(directory, 'moved')],
        ['import', contents, '--package', 'imported', '--root', root],
        ['recover', '--root', root],
      ]
      const seen = new Set<unknown>()
      const check = (args: string[]) => {
        for (const event of eventsOf(run(...args, '--json'))) {
          assert.ok(validate(event), `${JSON.stringify(event)}: ${JSON.stringify(validate.errors, null, 1)}`)
          seen.add(event.event)
        }
      }
      for (const args of runs) check(args)
      fs.appendFileSync(join(root, 'etc/file'), '!')
      check(['verify', '--root', root])
      const next = join(directory, 'next')
      fs.mkdirSync(join(next, 'etc'), { recursive: true })
      fs.writeFileSync(join(next, 'etc/file'), 'other bytes')
      check(['merge', next, '--package', 'p', '--protect', '/etc', '--root', root])
      check(['config', 'list', '--root', root])
      check(['config', 'diff', '--root', root])
      check(['config', 'merge', '--all', '--root', root])
      check(['config', 'reject', '--all', '--root', root])
      check(['unmerge', 'p', '--root', root])
      assert.deepEqual(
        known.filter((name) => !seen.has(name)),
        [],
        'the schema has events that no command printed here',
      )
    }))

  it('a schema that says another thing would be noticed', () => {
    assert.equal(validate({ event: 'progress', version: 1, phase: 'stage', entries: -1, bytes: 0 }), false)
    assert.equal(validate({ event: 'progress', version: 2, phase: 'stage', entries: 1, bytes: 0 }), false)
    assert.equal(validate({ event: 'unheard of', version: 1 }), false)
  })

  it('end with an error that has code, hint and exit code', () =>
    withDirectory((directory) => {
      const outcome = run('unmerge', 'absent', '--root', directory, '--json')
      const last = eventsOf(outcome).at(-1)
      assert.equal(outcome.status, 1)
      assert.deepEqual(last, {
        event: 'error',
        version: 1,
        name: 'UnknownPackageError',
        message: `no package 'absent' in the root '${directory}'`,
        hint: 'Run `rootmerge list` to see what is there.',
        code: 'ERR_ROOTMERGE_UNKNOWN_PACKAGE',
        exitCode: 1,
      })
    }))
})
