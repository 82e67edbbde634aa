// The user's editor, on a text that is in no file of its own.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

/**
 * Opens $VISUAL, else $EDITOR, else vi, on a text, in a file that nobody else can read.
 *
 * @param name  the file is called so, since editors go by names
 * @returns the text afterwards; undefined when the editor failed
 */
export function editText(name: string, text: Uint8Array): Uint8Array | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'rootmerge-edit-'))
  try {
    const file = join(directory, basename(name).slice(0, 100))
    writeFileSync(file, text, { mode: 0o600 })
    const editor = process.env.VISUAL || process.env.EDITOR || 'vi'
    // As git does it: the variable may have arguments, so a shell takes it apart.
    const { status } = spawnSync('/bin/sh', ['-c', `${editor} "$1"`, editor, file], { stdio: 'inherit' })
    return status === 0 ? readFileSync(file) : undefined
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
