// Who is measured by bench/merge.ts, and how each is run: shell lines, so that every one pays for its own start.

import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import { command } from './command.ts'

/** Our command, for a shell. */
export const rootmerge = `"${process.execPath}" "${command}"`

/** What one run cost. */
export interface Cost {
  /** Seconds on the clock. */
  readonly wall: number
  /** Seconds of CPU, of all its processes. */
  readonly cpu: number
  /** Bytes: the most anonymous memory that its processes had at one time, looked at every 5 ms. */
  readonly anonymous: number
}

/** One way of doing what a case asks for; `$image`, `$next`, `$root` and `$deb` are paths. */
export interface Contender {
  readonly name: string
  readonly line: string
  /** Made before each run, beside what the case makes. */
  readonly before?: string
}

/** What is measured, each with the contender that its goal is against. */
export interface Case {
  readonly name: string
  /** Prepares the root of each run. */
  readonly before: string
  readonly contenders: readonly Contender[]
  /** Several: whichever takes longest. */
  readonly baseline: readonly string[]
  /** rootmerge's time, at most, as a multiple of the baseline's. */
  readonly goal: number
}

const merge = (image: string, words = '') =>
  `${rootmerge} merge "${image}=bench" --root "$root" --quiet --durability none ${words}`
const durable = (image: string) => `${rootmerge} merge "${image}=bench" --root "$root" --quiet`
const dpkg = (deb: string) => `dpkg --root="$root" --force-not-root --force-unsafe-io --unpack "${deb}" >/dev/null 2>&1`

/** The least that this runtime needs for a case; a merge does more. */
const bare = (what: string, image: string, before?: string): Contender => ({
  name: 'bare calls',
  line: `"${process.execPath}" "${fileURLToPath(new URL('./bareCalls.js', import.meta.url))}" ${what} "${image}" "$root"`,
  ...(before === undefined ? {} : { before }),
})
const take = 'rm -rf "$taken"; cp -a "$image" "$taken"'

const copiers: readonly Contender[] = [
  { name: 'cp -a', line: 'cp -a "$image/." "$root"' },
  { name: 'rsync -a', line: 'rsync -a "$image/" "$root"' },
  { name: 'tar | tar', line: 'tar -C "$image" -cf - . | tar -C "$root" -xpf -' },
]
const upgraders: readonly Contender[] = [
  { name: 'cp -a', line: 'cp -a "$next/." "$root"' },
  { name: 'rsync -a', line: 'rsync -a "$next/" "$root"' },
  { name: 'rsync -a --checksum', line: 'rsync -a --checksum "$next/" "$root"' },
]
const empty = 'rm -rf "$root"; mkdir "$root"'
const installed = `${empty}; ${durable('$image')}`

/** What is known of an image before it is merged. */
export interface Setup {
  readonly goal: number
  /** Whether dpkg is there, and the image a package of it. */
  readonly hasDpkg: boolean
  /** Whether everything in it is a small regular file or a directory. */
  readonly isPlain: boolean
  /** The one file that it has, if it is one: digesting that takes longer than copying it. */
  readonly file: string | undefined
}

/** What a package manager is asked for. */
export function casesOf({ goal, hasDpkg, isPlain, file }: Setup): readonly Case[] {
  const dpkgAdmin = 'mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info"; touch "$root/var/lib/dpkg/status"'
  const unpack = hasDpkg ? [{ name: 'dpkg --unpack', line: dpkg('$deb'), before: dpkgAdmin }] : []
  const digest = file === undefined ? [] : [{ name: 'sha256sum', line: `sha256sum "$image/${file}"` }]
  const bareWhere = (...given: Parameters<typeof bare>) => (isPlain ? [bare(...given)] : [])
  return [
    {
      name: 'fresh',
      before: empty,
      contenders: [
        { name: 'rootmerge', line: merge('$image') },
        ...copiers,
        ...unpack,
        ...bareWhere('fresh', '$image'),
        ...digest,
      ],
      baseline: ['cp -a', ...digest.map(({ name }) => name)],
      goal,
    },
    {
      name: 'fresh, without digests',
      before: empty,
      contenders: [{ name: 'rootmerge', line: merge('$image', '--digest none') }, copiers[0] as Contender],
      baseline: ['cp -a'],
      goal: Math.min(goal, 1),
    },
    {
      name: 'fresh, on the disk',
      before: empty,
      contenders: [
        { name: 'rootmerge', line: durable('$image') },
        ...copiers.map(({ name, line }) => ({ name: `${name}, sync`, line: `${line} && sync -f "$root"` })),
        ...digest,
      ],
      baseline: ['cp -a, sync', ...digest.map(({ name }) => name)],
      goal,
    },
    {
      name: 'the same again',
      before: installed,
      contenders: [
        { name: 'rootmerge', line: merge('$image') },
        { name: 'rsync -a --checksum', line: 'rsync -a --checksum "$image/" "$root"' },
        ...bareWhere('again', '$image'),
      ],
      baseline: ['rsync -a --checksum'],
      goal: 0.5,
    },
    {
      name: 'upgrade, a tenth changed',
      before: installed,
      contenders: [{ name: 'rootmerge', line: merge('$next') }, ...upgraders],
      baseline: ['rsync -a --checksum'],
      goal: 1,
    },
    {
      name: 'move',
      before: empty,
      contenders: [
        { name: 'rootmerge', line: merge('$taken', '--move'), before: take },
        copiers[0] as Contender,
        { name: 'mv', line: 'mv "$taken"/* "$root"', before: take },
        ...bareWhere('move', '$taken', take),
      ],
      baseline: ['cp -a'],
      goal: 0.3,
    },
  ]
}

/** Runs a shell line in an environment of paths. @throws {Error} with what it said, when it fails */
export async function costOf(line: string, paths: Readonly<Record<string, string>>): Promise<Cost> {
  const start = performance.now()
  const shell = spawn('bash', ['-c', `set -o pipefail; ${line}; code=$?; times >&3; exit $code`], {
    env: { ...process.env, ...paths },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  const complaints: string[] = []
  const times: string[] = []
  shell.stderr?.on('data', (chunk) => complaints.push(String(chunk)))
  shell.stdio[3]?.on('data', (chunk) => times.push(String(chunk)))
  let anonymous = 0
  const watch = setInterval(() => {
    anonymous = Math.max(anonymous, anonymousOf(shell.pid ?? 0))
  }, 5)
  const code = await new Promise<number | null>((resolve) => shell.on('close', resolve))
  clearInterval(watch)
  if (code !== 0) throw new Error(`${line}: ${code} ${complaints.join('')}`)
  const wall = (performance.now() - start) / 1000
  return { wall, cpu: secondsOf(times.join('').trim().split('\n').at(-1) ?? ''), anonymous }
}

/** `0m1.234s 0m0.567s`, of a shell's children. */
function secondsOf(times: string): number {
  return times.split(' ').reduce((sum, word) => {
    const [minutes = '0', seconds = '0'] = word.split('m')
    return sum + Number(minutes) * 60 + Number.parseFloat(seconds)
  }, 0)
}

/** RssAnon of a process and its children, in bytes. */
function anonymousOf(pid: number): number {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
    const own = Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return own + children.filter((child) => child !== '').reduce((sum, child) => sum + anonymousOf(Number(child)), 0)
  } catch {
    return 0 // it has ended meanwhile
  }
}
