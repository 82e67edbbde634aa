// The command as a user runs it: from a shell, or at a terminal of its own.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The compiled command. */
export const command: string = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** What a run left behind. */
export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command; arguments may be bytes. */
export function run(...args: (string | Buffer)[]): Outcome {
  return runWith({}, ...args)
}

/** Runs the command with variables beside the process's own. */
export function runWith(env: NodeJS.ProcessEnv, ...args: (string | Buffer)[]): Outcome {
  const script = args.map((arg) => `'${Buffer.from(arg as string).toString('latin1')}'`).join(' ')
  const line = Buffer.from(`exec '${process.execPath}' '${command}' ${script}`, 'latin1')
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-s'], {
    input: line,
    env: { ...process.env, ...env },
  })
  return { status, stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') }
}

/** Runs the command where nothing is mounted at /proc, as in a chroot that somebody repairs; only root can. */
export function runWithoutProc(...words: string[]): Outcome {
  const script = 'mount -t tmpfs none /proc && exec "$@"'
  const line = ['-m', 'sh', '-c', script, 'sh', process.execPath, command, ...words]
  const { status, stdout, stderr } = spawnSync('unshare', line, { encoding: 'utf8' })
  return { status, stdout, stderr }
}

/** Demands an exit code, and that no stack trace was printed. */
export function expectExit(outcome: Outcome, status: number): Outcome {
  assert.equal(outcome.status, status, `${outcome.stdout}${outcome.stderr}`)
  assert.doesNotMatch(outcome.stderr, /^\s+at /m, 'a stack trace was printed')
  return outcome
}

/** The events that --json printed. */
export function eventsOf({ stdout }: Outcome): Record<string, unknown>[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** A command at a terminal of its own, made by script(1). */
export class Terminal {
  /** Everything that was shown so far, escape sequences included. */
  shown = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  /** @param env  beside the process's own; `columns` is the terminal's width */
  constructor(args: readonly string[], { columns = 80, env = {} }: { columns?: number; env?: NodeJS.ProcessEnv } = {}) {
    const words = [process.execPath, command, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    const line = `stty cols ${columns} rows 24; exec ${words.join(' ')}`
    this.#child = spawn('script', ['-qefc', line, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, CI: undefined, TERM: 'xterm', ...env }, // a person's terminal: Node shows no colours on CI
    })
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.shown += chunk.toString('utf8')
    })
    this.#ended = new Promise((resolve) => this.#child.on('close', resolve))
  }

  /** What a person types; Ctrl-C is `\x03`, and the terminal makes a signal of it. */
  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  /** Waits until something is shown. */
  async until(pattern: RegExp, milliseconds = 30_000): Promise<void> {
    const deadline = Date.now() + milliseconds
    while (!pattern.test(this.shown)) {
      assert.ok(Date.now() < deadline, `${pattern} was not shown, but:\n${this.shown}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** The exit code; 128 and the signal's number when it died of one. */
  ended(): Promise<number | null> {
    return this.#ended
  }
}
