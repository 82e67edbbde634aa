import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const project = fileURLToPath(new URL('../../..', import.meta.url))
const folder = join(project, '.github/workflows')

/** The parts of a workflow that this looks at. */
interface Workflow {
  readonly name: string
  readonly on: unknown
  readonly jobs: Readonly<Record<string, Job>>
}

interface Job {
  readonly 'runs-on': string
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> }
  readonly steps: readonly {
    readonly uses?: string
    readonly run?: string
    readonly with?: Readonly<Record<string, string>>
  }[]
}

const workflows = fs
  .readdirSync(folder)
  .map((file): [string, Workflow] => [file, parse(fs.readFileSync(join(folder, file), 'utf8')) as Workflow])
const jobs = workflows.flatMap(([file, workflow]) =>
  Object.entries(workflow.jobs).map(([name, job]): [string, Job] => [`${file}: ${name}`, job]),
)

/** The simple commands of a step's script, as the shell splits what is used here. */
function commandsOf(script: string): string[][] {
  return script.split(/&&|\n/).map((line) => line.trim().split(/\s+/))
}

/** A command without the assignments and env(1) before it. */
function withoutEnvironment(words: readonly string[]): readonly string[] {
  const rest = words[0] === 'env' ? words.slice(words[1] === '-u' ? 3 : 1) : words
  const first = rest.findIndex((word) => !/^[A-Z_]+=/.test(word))
  return rest.slice(first)
}

describe('the workflows', () => {
  it('are there, and have jobs with steps that do something', () => {
    assert.deepEqual(workflows.map(([file]) => file).sort(), ['ci.yml', 'release.yml'])
    for (const [, { name, on }] of workflows) assert.ok(name && on)
    for (const [where, { steps, 'runs-on': machine }] of jobs) {
      assert.ok(machine, where)
      for (const { uses, run } of steps) assert.ok((uses === undefined) !== (run === undefined), where)
    }
  })

  it('run commands that there are: targets of the Makefile, scripts of the project, programs', () => {
    const makefile = fs.readFileSync(join(project, 'Makefile'), 'utf8')
    let seen = 0
    for (const [where, { steps }] of jobs) {
      for (const words of steps.flatMap(({ run }) => (run === undefined ? [] : commandsOf(run)))) {
        const [program = '', ...args] = withoutEnvironment(words)
        seen++
        if (program === 'make') for (const target of args) assert.match(makefile, new RegExp(`^${target}:`, 'm'), where)
        else if (program.includes('/')) fs.accessSync(join(project, program), fs.constants.X_OK)
        else assert.ok(['apt-get', 'git', 'npm'].includes(program), `${where}: ${program}`)
      }
    }
    assert.ok(seen > 8)
  })

  it('use actions of a fixed version, and what their matrix has', () => {
    for (const [where, job] of jobs) {
      for (const { uses } of job.steps) if (uses !== undefined) assert.match(uses, /^[\w-]+\/[\w-]+@v\d+$/, where)
      const used = [...JSON.stringify(job).matchAll(/\$\{\{ matrix\.(\w+) \}\}/g)].map((match) => match[1] ?? '')
      for (const key of used) assert.ok(job.strategy?.matrix[key]?.length, `${where}: ${key}`)
    }
  })

  it('test each Node that package.json promises', () => {
    const { engines } = JSON.parse(fs.readFileSync(join(project, 'package.json'), 'utf8')) as {
      engines: { node: string }
    }
    const matrices = jobs.flatMap(([, { strategy }]) =>
      strategy?.matrix.node === undefined ? [] : [strategy.matrix.node],
    )
    assert.ok(matrices.length > 0)
    for (const nodes of matrices) assert.ok(nodes.includes(engines.node.replace('>=', '')))
  })

  it('call scripts that the shell understands', () => {
    for (const script of ['.ci/run', ...jobs.flatMap(([, { steps }]) => steps.flatMap(({ run }) => run ?? []))]) {
      const args = script === '.ci/run' ? ['-n', join(project, script)] : ['-n', '-c', script]
      const { status, stderr } = spawnSync('bash', args, { encoding: 'utf8' })
      assert.equal(status, 0, `${script}: ${stderr}`)
    }
  })
})
