import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DecliningCall, declineTable } from '../../src/filecopy/declines.ts'
import { linuxKernel } from '../../src/sys/index.ts'
import { assertSameBytes, dataOf, writeLayout } from '../support/layouts.ts'
import { withDirectory } from '../support/scratch.ts'
import { sample, seed, seeded } from '../support/seeded.ts'

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const kernel = linuxKernel()

interface Result {
  readonly status: number | null
  readonly out: string
  readonly said: string
}

function run(command: string, ...args: string[]): Result {
  const { status, stdout, stderr } = spawnSync(command, args, { timeout: 30_000 })
  return { status, out: stdout.toString(), said: stderr.toString() }
}

function rootmerge(...args: string[]): Result {
  return run(process.execPath, main, 'copy', ...args)
}

describe('rootmerge copy', () => {
  it('copies, and says which method did it and why others did not', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, dataOf(300_000))
      const result = rootmerge('--debug', '--reflink', 'never', source, target)
      assert.equal(result.status, 0, result.said)
      assert.match(result.out, /^copied 293\.0 KiB\nsendfile: 293\.0 KiB\n/)
      assertSameBytes(fs.readFileSync(target), dataOf(300_000))
      const events = rootmerge('--json', '--methods', 'copy_file_range,read_write', source, target)
      assert.equal(JSON.parse(events.out).bytes, 300_000)
    }))

  it('copies ranges within a window', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.writeFileSync(source, '0123456789')
      fs.writeFileSync(target, 'abcdefghij')
      const range = ['--source-offset', '2', '--target-offset', '4', '--length', '3']
      assert.equal(rootmerge(...range, source, target).status, 0)
      assert.equal(fs.readFileSync(target, 'utf8'), 'abcd234hij')
      const result = rootmerge('--target-offset', '8', '--window', '10', source, target)
      assert.equal(result.status, 1)
      assert.match(result.said, /out of bounds.* 2 bytes were written/)
      assert.equal(fs.readFileSync(target, 'utf8'), 'abcd234h01')
    }))

  it('copies standard input', () =>
    withDirectory((directory) => {
      const target = join(directory, 'target')
      const result = run('sh', '-c', `printf text | '${process.execPath}' '${main}' copy - '${target}'`)
      assert.equal(result.status, 0, result.said)
      assert.equal(fs.readFileSync(target, 'utf8'), 'text')
    }))

  it('copies a tree with its metadata', () =>
    withDirectory((directory) => {
      const [source, target] = [join(directory, 'source'), join(directory, 'target')]
      fs.mkdirSync(source)
      fs.writeFileSync(join(source, 'file'), 'text')
      fs.utimesSync(join(source, 'file'), 1, 1)
      const result = rootmerge('--archive', source, target)
      assert.equal(result.status, 0, result.said)
      assert.equal(fs.statSync(join(target, 'file')).mtimeMs, 1000)
      assert.equal(rootmerge('--preserve', '--length', '3', source, target).status, 2)
    }))

  it('takes names that are not UTF-8', () =>
    withDirectory((directory) => {
      const result = run(
        'sh',
        '-c',
        `cd '${directory}' && name=$(printf 'odd-\\377') && printf text > "$name" && '${process.execPath}' '${main}' copy "$name" target`,
      )
      assert.equal(result.status, 0, result.said)
      assert.equal(fs.readFileSync(join(directory, 'target'), 'utf8'), 'text')
    }))

  it('refuses words that it does not know with 2', () => {
    assert.equal(rootmerge('--methods', 'magic', 'a', 'b').status, 2)
    assert.equal(rootmerge('--length', '1.5', 'a', 'b').status, 2)
    assert.equal(rootmerge('--sparse', 'perhaps', 'a', 'b').status, 2)
    assert.equal(rootmerge('a').status, 2)
  })

  it('names call, error and path, and exits with 3', () => {
    const result = rootmerge('/nowhere/source', '/nowhere/target')
    assert.equal(result.status, 3)
    assert.match(result.said, /ENOENT.*openat '\/nowhere\/source'/)
  })

  it('removes what it made when it is interrupted, and exits with 130', () =>
    withDirectory(async (directory) => {
      const [fifo, target] = [join(directory, 'fifo'), join(directory, 'target')]
      run('mkfifo', fifo)
      const holder = fs.openSync(fifo, fs.constants.O_RDWR)
      const child = spawn(process.execPath, [main, 'copy', fifo, target])
      while (!fs.existsSync(target)) await new Promise((resolve) => setTimeout(resolve, 20))
      child.kill('SIGINT')
      const status = await new Promise((resolve) => child.on('close', resolve))
      fs.closeSync(holder)
      assert.equal(status, 130)
      assert.equal(fs.existsSync(target), false)
    }))
})

describe('rootmerge copy under strace', () => {
  const names = { reflink: 'ioctl', copy_file_range: 'copy_file_range', sendfile: 'sendfile', seek: 'lseek' } as const
  const behindReflink = ['--methods', 'copy_file_range,sendfile,read_write']
  const fromSendfile = ['--methods', 'sendfile,read_write']
  const optionsOf = { reflink: [], copy_file_range: behindReflink, sendfile: fromSendfile, seek: behindReflink }

  /** Everything that is injected: each row of the table, zero counts, and failures of the calls that may not decline. */
  function injections(): { inject: string; options: readonly string[] }[] {
    const rows = (Object.keys(names) as (keyof typeof names)[]).flatMap((call) =>
      Object.keys(declineTable[call as DecliningCall]).map((code) => ({
        inject: `${names[call]}:error=${code}`,
        options: optionsOf[call],
      })),
    )
    const others = ['pread64', 'pwrite64', 'ftruncate', 'openat', 'statx', 'close', 'fcntl'].flatMap((call) =>
      ['EIO', 'ENOSPC', 'EINTR:when=1..3', 'ENOMEM'].map((code) => ({
        inject: `${call}:error=${code}`,
        options: ['--methods', 'read_write'],
      })),
    )
    const zeros = ['copy_file_range', 'sendfile'].map((call) => ({
      inject: `${call}:retval=0`,
      options: behindReflink,
    }))
    const interrupted = ['ioctl', 'copy_file_range', 'lseek', 'sendfile'].map((call) => ({
      inject: `${call}:error=EINTR:when=1..5`,
      options: call === 'sendfile' ? fromSendfile : call === 'ioctl' ? [] : behindReflink,
    }))
    return [...rows, ...others, ...zeros, ...interrupted]
  }

  /** Copies a file with holes while strace injects, and checks that the result is right or the error is clear. */
  function inject({ inject: fault, options }: { inject: string; options: readonly string[] }): boolean {
    return withDirectory((directory) => {
      const [source, target, log] = ['source', 'target', 'log'].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ]
      const expected = writeLayout(kernel, source, [
        { kind: 'data', length: 70_000 },
        { kind: 'hole', length: 400_000 },
        { kind: 'data', length: 5 },
      ])
      const tracing = ['-f', '-o', log, '-P', source, '-P', target, '-e', `inject=${fault}`]
      const result = run('strace', ...tracing, process.execPath, main, 'copy', ...options, source, target)
      const [call = '', code = ''] = fault.split(/:error=|:/)
      if (result.status === 0) assertSameBytes(fs.readFileSync(target), expected)
      else {
        assert.equal(result.status, 3, `${fault}: ${result.status} ${result.said}`)
        assert.ok(result.said.includes(code), `${fault}: ${result.said}`)
        assert.match(result.said, call === 'close' ? /close/ : new RegExp(`${call}.* '.*(source|target)'`), fault)
        if (!/^(statx|close)/.test(fault)) assert.ok(!fs.existsSync(target), `${fault} leaves the target`)
      }
      return fs.readFileSync(log, 'utf8').includes('INJECTED')
    })
  }

  it('copies rightly or fails clearly, whatever the kernel answers', function () {
    if (run('strace', '-V').status !== 0) {
      fs.writeSync(2, 'skipped: strace is not installed\n')
      return this.skip()
    }
    this.timeout(300_000)
    const all = injections()
    const full = process.env.ROOTMERGE_TEST_FULL !== undefined
    const tried = full ? all : sample(all, 16, seeded(seed))
    const hit = tried.filter(inject).length
    fs.writeSync(1, `      seed ${seed}: ${tried.length} of ${all.length} faults tried, ${hit} reached the kernel\n`)
    assert.ok(hit >= tried.length * 0.7)
  })

  it('sees a copy that lost bytes (sabotage)', function () {
    if (run('strace', '-V').status !== 0) return this.skip()
    const options = ['--methods', 'read_write']
    assert.throws(() => inject({ inject: 'pwrite64:retval=1000:when=1', options }), /byte 0 is 0/)
  })
})
