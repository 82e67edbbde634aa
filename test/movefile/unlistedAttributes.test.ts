import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { MetadataLostError, Mover, metadataPolicy } from '../../src/movefile/index.ts'
import { isSyscallError, linuxKernel, O_RDONLY, openPath } from '../../src/sys/index.ts'
import { itOnEach } from '../support/filesystems.ts'

const kernel = linuxKernel()
const nameOf = (n: number) => `user.${'x'.repeat(240)}${n}`

/** Gives a file more attribute names than the kernel lists; false where the file system has no room for them. */
function fill(path: string): boolean {
  const fd = openPath(kernel, path, O_RDONLY)
  try {
    for (let n = 0; n < 300; n++) kernel.setXattr(fd, nameOf(n), Buffer.from('v'))
    return true
  } catch (error) {
    if (!isSyscallError(error, 'ENOSPC', 'EDQUOT', 'EOPNOTSUPP', 'E2BIG')) throw error
    return false
  } finally {
    kernel.close(fd)
  }
}

describe('attributes whose names are too many to be listed', () => {
  itOnEach('are told to be lost, and everything else is kept', (directory, fileSystem) => {
    const source = join(directory, 'source')
    fs.writeFileSync(source, 'x')
    fs.chmodSync(source, 0o640)
    if (!fill(source)) return assert.ok(!/^(xfs|btrfs)/.test(fileSystem.name), `${fileSystem.name} should have room`)
    execFileSync('setfacl', ['-m', 'u:12345:rw', source])
    const top = openPath(kernel, directory, O_RDONLY)
    const place = (name: string) => ({ directory: top, name })
    const copy = (options: Parameters<typeof metadataPolicy>[0], target: string) =>
      new Mover(kernel, { policy: metadataPolicy(options) }).copy(place('source'), place(target)).lost

    assert.throws(() => copy({}, 'copy'), MetadataLostError)
    assert.deepEqual(fs.readdirSync(directory), ['source'])
    const lost = copy({ metadata: 'best-effort' }, 'copy')
    assert.deepEqual(
      lost.map(({ what, code }) => [what, code]),
      [['xattr', 'E2BIG']],
    )
    const acl = execFileSync('getfacl', ['-cpn', join(directory, 'copy')], { encoding: 'utf8' })
    assert.match(acl, /user:12345:rw-\ngroup::r--\nmask::rw-/)
    assert.deepEqual(copy({ excludeXattrs: ['*'] }, 'without'), [])

    assert.equal(new Mover(kernel).move(place('source'), place('renamed')).method, 'rename')
    const fd = openPath(kernel, join(directory, 'renamed'), O_RDONLY)
    assert.equal(kernel.getXattr(fd, nameOf(299)).toString(), 'v')
    kernel.close(fd)
    kernel.close(top)
  })
})
