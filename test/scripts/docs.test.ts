import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { generatedFiles } from '../../scripts/docs.ts'
import { makeProgram } from '../../src/cli/commands.ts'
import { type CommandReference, referenceOf, withChildren } from '../../src/cli/reference.ts'
import { run } from '../support/command.ts'
import { withDirectory } from '../support/scratch.ts'

async function reference(): Promise<CommandReference> {
  return referenceOf(await makeProgram('1.2.3', { all: true }))
}

/** The choices of merge --durability, as the command has them now. */
async function durabilities(): Promise<readonly string[]> {
  const merge = (await reference()).commands.find(({ path }) => path[0] === 'merge')
  const choices = merge?.options.find(({ long }) => long === 'durability')?.choices ?? []
  assert.ok(choices.length > 1)
  return choices
}

/** Runs a program that must be there. */
function mustRun(program: string, args: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8' })
  assert.equal(error, undefined, `${program} is needed for this test`)
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}${stdout}`)
  assert.equal(stderr, '')
  return stdout
}

async function withGenerated(body: (folder: string, choices: readonly string[]) => void): Promise<void> {
  const files = generatedFiles(await reference(), '1.2.3')
  const choices = await durabilities()
  withDirectory((folder) => {
    for (const [path, text] of files) {
      fs.mkdirSync(join(folder, path, '..'), { recursive: true })
      fs.writeFileSync(join(folder, path), text)
    }
    body(folder, choices)
  })
}

describe('what is made from the command line', function () {
  this.timeout(60_000)

  it('every command says what it is for, has a description of each option, and examples', async () => {
    const all = withChildren(await reference())
    assert.ok(all.length > 9)
    for (const command of all) {
      const name = command.path.join(' ')
      assert.match(command.summary, /^\S.*\S$/, name)
      for (const option of command.options) assert.notEqual(option.description, '', `${name} ${option.flags}`)
      for (const argument of command.arguments) assert.notEqual(argument.description, '', `${name} ${argument.name}`)
      if (command.path.length === 1 && command.commands.length === 0)
        assert.ok(command.examples.length > 0, `${name} has no example`)
    }
  })

  it('every example is a line that the command takes', async () => {
    for (const { path, examples } of withChildren(await reference())) {
      for (const { line } of examples) {
        assert.ok(`${line} `.startsWith(`${path.join(' ')} `), `'${line}' is not of ${path.join(' ')}`)
        const words = line.split(/ [|>] /)[0]?.match(/'[^']*'|\S+/g) ?? []
        const program = await makeProgram('1.2.3', { all: true })
        for (const each of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)])
          each.exitOverride().action(() => {})
        assert.doesNotThrow(() => program.parse(words, { from: 'user' }), line)
      }
    }
  })

  it('--help of each shows its options and examples', async () => {
    for (const { path, examples } of (await reference()).commands) {
      const { status, stdout } = run(...path, '--help')
      assert.equal(status, 0)
      for (const { line } of examples) assert.ok(stdout.includes(`rootmerge ${line}`), `${path.join(' ')}: ${line}`)
    }
  })

  it('manual pages are roff that groff takes without a warning, and hold every option', async () => {
    const { commands } = await reference()
    await withGenerated((folder) => {
      for (const page of fs.readdirSync(join(folder, 'man'))) {
        const shown = mustRun('groff', ['-ww', '-man', '-Tascii', '-P-cbou', '-rLL=200n', join(folder, 'man', page)])
        const command = commands.find(({ path }) => page === `rootmerge-${path.join('-')}.1`)
        for (const option of command?.options ?? []) assert.ok(shown.includes(option.flags), `${page}: ${option.flags}`)
      }
      assert.equal(fs.readdirSync(join(folder, 'man')).length, commands.length + 1)
    })
  })

  it('bash completes commands, options, values and paths', () =>
    withGenerated((folder, choices) => {
      const complete = (...words: string[]) => {
        const script = `source '${folder}/completions/rootmerge'; COMP_WORDS=(rootmerge ${words.map((word) => `'${word}'`).join(' ')})
          COMP_CWORD=${words.length}; COMPREPLY=(); _rootmerge; printf '%s\\n' "\${COMPREPLY[@]}"`
        return mustRun('bash', ['-c', script]).trim().split('\n')
      }
      assert.deepEqual(complete('unm'), ['unmerge'])
      assert.deepEqual(complete('merge', '--dur'), ['--durability'])
      assert.deepEqual(complete('merge', '--durability', ''), choices)
      assert.deepEqual(complete('merge', `${folder}/m`), [`${folder}/man`])
      assert.deepEqual(complete('merge', '--root', `${folder}/doc`), [`${folder}/docs`])
      assert.deepEqual(complete('completion', ''), ['bash', 'zsh', 'fish'])
    }))

  it('zsh takes its script', () =>
    withGenerated((folder, choices) => {
      const script = `autoload -Uz compinit; compinit -u -d '${folder}/dump'; source '${folder}/completions/_rootmerge'
        _arguments() { print -rl -- "$@" }; _rootmerge_merge`
      const specs = mustRun('zsh', ['-f', '-c', script])
      assert.ok(specs.includes(`]:kind:(${choices.join(' ')})\n`))
      assert.match(specs, /^\*:image:_files$/m)
    }))

  it('fish completes commands, options and values', () =>
    withGenerated((folder, choices) => {
      const complete = (line: string) => {
        const script = `source '${folder}/completions/rootmerge.fish'; complete -C '${line}'`
        return mustRun('fish', ['--no-config', '-c', script])
          .split('\n')
          .map((each) => each.split('\t')[0])
      }
      assert.ok(complete('rootmerge ').includes('unmerge'))
      assert.ok(complete('rootmerge merge --dur').includes('--durability'))
      assert.deepEqual(
        complete('rootmerge merge --durability ')
          .filter((word) => choices.includes(word ?? ''))
          .sort(),
        [...choices].sort(),
      )
    }))
})
