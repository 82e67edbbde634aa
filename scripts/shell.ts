// A shell in a folder of its own, in which `rootmerge` is this project's command.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const command = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))

const toRemove = new Set<string>()

/** One listener for all: Node warns of more than ten. */
function removeAtExit(folder: string): void {
  if (toRemove.size === 0)
    process.on('exit', () => {
      for (const each of toRemove) rmSync(each, { recursive: true, force: true })
    })
  toRemove.add(folder)
}

/** See the head of this file. */
export class Shell {
  readonly #folder: string
  readonly #programs = mkdtempSync(join(tmpdir(), 'rootmerge-programs-'))

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
    const program = join(this.#programs, 'rootmerge')
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${command}' "$@"\n`)
    chmodSync(program, 0o755)
    chmodSync(this.#programs, 0o755)
    removeAtExit(this.#programs)
  }

  /** The lines that a command prints, to both of its outputs. */
  run(line: string): string[] {
    const env = {
      ...process.env,
      PATH: `${this.#programs}:${process.env.PATH}`,
      LC_ALL: 'C.UTF-8',
      COLUMNS: '80',
      // Another user could not write there, and would say so. Node gives it to every child for which it is not set to nothing.
      NODE_V8_COVERAGE: undefined,
    }
    const options = { cwd: this.#folder, env, encoding: 'utf8', timeout: 60_000 } as const
    const { stdout } = spawnSync('bash', ['-c', `umask 022; exec 2>&1; ${line}`], options)
    return stdout === '' ? [] : stdout.replace(/\n$/, '').split('\n')
  }
}
