// Makes a release ready: the changelog's heading, the version, a commit, a tag, the tarball and what is in it.
//
//   node build/scripts/release.js 1.2.3        then push the branch and the tag: the workflow publishes, with provenance
//
// Everything that may refuse is asked before anything is changed.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The changelog with its unreleased part as a version; throws when there is none, or nothing in it. */
export function releasedChangelog(text: string, version: string, date: string): string {
  const heading = /^## \S+ \(unreleased\)$/m
  if (!heading.test(text)) throw new Error('CHANGELOG.md has no "## VERSION (unreleased)"')
  const part = text.split(heading)[1]?.split(/^## /m)[0] ?? ''
  if (!/^- \S/m.test(part)) throw new Error('the unreleased part of CHANGELOG.md is empty')
  return text.replace(heading, `## ${version} (${date})`)
}

/**
 * Makes the release of the project in a folder; nothing leaves the machine.
 *
 * @returns what npm would pack
 * @throws {Error} for a version that is none or exists, for changes that are not committed, for an empty changelog
 */
export function release(version: string, project: string, date: string): string {
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) throw new Error(`'${version}' is not a version, such as 1.2.3`)
  if (run('git', 'status', '--porcelain') !== '') throw new Error('commit what is changed first')
  if (run('git', 'tag', '--list', `v${version}`) !== '') throw new Error(`there is a tag v${version} already`)
  const changelog = join(project, 'CHANGELOG.md')
  const released = releasedChangelog(readFileSync(changelog, 'utf8'), version, date)
  writeFileSync(changelog, released)
  run('npm', 'version', version, '--no-git-tag-version', '--allow-same-version')
  run('git', 'commit', '-qam', `Release ${version}`)
  run('git', 'tag', '-a', `v${version}`, '-m', `rootmerge ${version}`)
  return run('npm', 'pack', '--dry-run')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const project = fileURLToPath(new URL('../..', import.meta.url))
    const packed = release(process.argv[2] ?? '', project, new Date().toISOString().slice(0, 10))
    process.stdout.write(`${packed}now: git push --follow-tags\n`)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 1
  }
}
