// Capabilities in words: the bytes are those that libcap's own setcap writes for them.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { capabilityBytes } from '../../../src/merge/formats/capabilities.ts'
import { AT_FDCWD, linuxKernel, O_RDONLY } from '../../../src/sys/index.ts'
import { needCommands, needRoot } from '../../support/nativePackages.ts'
import { withDirectory } from '../../support/scratch.ts'

/** What setcap makes of a text; undefined when it does not read it. */
function bytesOfSetcap(text: string): Buffer | undefined {
  return withDirectory((directory) => {
    const file = join(directory, 'file')
    fs.writeFileSync(file, '')
    if (spawnSync('setcap', [text, file]).status !== 0) return undefined
    const kernel = linuxKernel()
    const fd = kernel.openat(AT_FDCWD, file, O_RDONLY)
    try {
      return kernel.getXattr(fd, 'security.capability')
    } finally {
      kernel.close(fd)
    }
  })
}

const readable = [
  'cap_net_raw=ep',
  'cap_net_raw+ep',
  'cap_net_admin,cap_net_raw=ep',
  'cap_chown=p cap_kill=p',
  'CAP_KILL=p',
  'cap_setuid=i',
  'cap_setuid=eip',
  'cap_chown,cap_kill=ep cap_kill-ep',
  'cap_chown=ep cap_chown-e',
  'cap_chown=p+i',
  'all=p',
  '=p',
  'all=p+i',
  'cap_chown=ip-i',
  '=p =i',
  '=p cap_checkpoint_restore-p',
  'cap_checkpoint_restore=ep', // the 41st: in the second word
  '= cap_wake_alarm+i',
]
const unreadable = [
  'cap_nonsense=ep',
  'cap_chown',
  'cap_chown=x',
  'chown=ep',
  'cap_chown,=ep',
  '+ep',
  '-p',
  '=ep +i',
  '=p+i',
  '=p-e',
  'cap_chown=i=p',
  'cap_chown+p=i',
]

describe('capabilityBytes()', () => {
  for (const text of readable) {
    it(`are as setcap writes them: ${text}`, function () {
      needRoot(this)
      needCommands(this, ['setcap'])
      const expected = bytesOfSetcap(text)
      assert.ok(expected !== undefined, 'setcap does not read it')
      assert.equal(capabilityBytes(text)?.toString('hex'), expected.toString('hex'))
    })
  }

  for (const text of unreadable) {
    it(`are none for what setcap does not read: ${text}`, function () {
      assert.equal(capabilityBytes(text), undefined)
      needRoot(this)
      needCommands(this, ['setcap'])
      assert.equal(bytesOfSetcap(text), undefined)
    })
  }

  it('are none where none is left', () => {
    for (const text of ['', '=', 'cap_chown=', 'cap_chown=ep cap_chown-ep'])
      assert.equal(capabilityBytes(text), undefined)
  })
})
