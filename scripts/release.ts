// Makes a release ready: the changelog's heading, the version, a commit, a tag, the tarball and what is in it.
//
//   node build/scripts/release.js 1.2.3        then push the branch and the tag: the workflow publishes, with provenance

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))

/** The changelog with its unreleased part as a version; throws when there is none, or nothing in it. */
export function releasedChangelog(text: string, version: string, date: string): string {
  const heading = /^## \S+ \(unreleased\)$/m
  if (!heading.test(text)) throw new Error('CHANGELOG.md has no "## VERSION (unreleased)"')
  const part = text.split(heading)[1]?.split(/^## /m)[0] ?? ''
  if (!/^- \S/m.test(part)) throw new Error('the unreleased part of CHANGELOG.md is empty')
  return text.replace(heading, `## ${version} (${date})`)
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function release(version: string): void {
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) throw new Error(`'${version}' is not a version`)
  if (run('git', 'status', '--porcelain') !== '') throw new Error('commit what is changed first')
  const changelog = `${project}/CHANGELOG.md`
  writeFileSync(
    changelog,
    releasedChangelog(readFileSync(changelog, 'utf8'), version, new Date().toISOString().slice(0, 10)),
  )
  run('npm', 'version', version, '--no-git-tag-version', '--allow-same-version')
  run('git', 'commit', '-qam', `Release ${version}`)
  run('git', 'tag', '-a', `v${version}`, '-m', `rootmerge ${version}`)
  process.stdout.write(run('npm', 'pack', '--dry-run'))
  process.stdout.write(`now: git push --follow-tags\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) release(process.argv[2] ?? '')
