import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { withDirectory } from '../support/scratch.ts'

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
        if (program.includes('/')) fs.accessSync(join(project, program), fs.constants.X_OK)
        else assert.ok(['apt-get', 'git', 'make', 'npm', 'test'].includes(program), `${where}: ${program}`)
        if (program !== 'make' && program !== '.ci/run') continue
        for (const target of args) assert.match(makefile, new RegExp(`^${target}:`, 'm'), where)
      }
    }
    assert.ok(seen > 8)
  })

  it('use actions that nobody can change: by their commit, with its version beside it', () => {
    for (const [file] of workflows) {
      const used = fs.readFileSync(join(folder, file), 'utf8').match(/uses: .*/g) ?? []
      assert.ok(used.length > 0, file)
      for (const each of used) assert.match(each, /^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/, file)
    }
  })

  it('use everything that their matrix has, and leave out only what it has', () => {
    for (const [where, job] of jobs) {
      const { exclude = [], ...values } = job.strategy?.matrix ?? {}
      const used = [...JSON.stringify(job).matchAll(/\$\{\{ matrix\.(\w+) \}\}/g)].map((match) => match[1] ?? '')
      assert.deepEqual([...new Set(used)].sort(), Object.keys(values).sort(), where)
      for (const row of exclude as readonly Readonly<Record<string, unknown>>[]) {
        for (const [key, value] of Object.entries(row)) assert.ok(values[key]?.includes(value), `${where}: ${value}`)
      }
    }
  })

  it('publish what has the version of its tag, and say where it was made', () =>
    withDirectory((directory) => {
      const manifest = join(directory, 'package.json')
      fs.writeFileSync(manifest, JSON.stringify({ name: 'released', version: '1.2.3' }))
      const steps = workflows.find(([file]) => file === 'release.yml')?.[1].jobs.publish?.steps ?? []
      const run = (start: string, tag: string) => {
        const script = steps.find((step) => step.run?.startsWith(start))?.run ?? `no step starts with ${start}`
        const github = { GITHUB_REF_NAME: tag, GITHUB_SERVER_URL: 'https://host', GITHUB_REPOSITORY: 'owner/name' }
        const env = { ...process.env, ...github }
        return spawnSync('bash', ['-e', '-c', script], { cwd: directory, env }).status
      }
      assert.deepEqual([run('test ', 'v1.2.3'), run('test ', 'v1.2.4')], [0, 1])
      assert.equal(run('npm pkg set ', 'v1.2.3'), 0)
      const { repository } = JSON.parse(fs.readFileSync(manifest, 'utf8')) as { repository: object }
      assert.deepEqual(repository, { type: 'git', url: 'git+https://host/owner/name.git' })
    }))

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
