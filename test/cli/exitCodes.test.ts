import assert from 'node:assert/strict'
import { exitCodeOf, exitCodes } from '../../src/cli/exitCodes.ts'
import { Interrupted } from '../../src/cli/signals.ts'
import { mergeErrors } from '../../src/merge/index.ts'
import { SyscallError } from '../../src/sys/index.ts'

describe('exit codes', () => {
  it('are one for each kind of answer, and no error class is without', () => {
    const codes = new Set<number>(Object.values(exitCodes))
    for (const ErrorClass of mergeErrors) {
      const { code } = Object.assign(Object.create(ErrorClass.prototype), codeOf(ErrorClass)) as { code: string }
      assert.match(code, /^ERR_ROOTMERGE_[A-Z_]+$/, ErrorClass.name)
      assert.ok(codes.has(exitCodeOf({ code })), `${ErrorClass.name}: ${exitCodeOf({ code })}`)
    }
    assert.equal(exitCodeOf({ code: 'ERR_ROOTMERGE_RECOVERY_PENDING' }), 4)
    assert.equal(exitCodeOf({ code: 'ERR_ROOTMERGE_NO_SPACE' }), 3)
    assert.equal(exitCodeOf(new SyscallError('EROFS', 'openat', '/x')), 3)
    assert.equal(exitCodeOf(new TypeError('a bug')), 3)
    assert.deepEqual(
      (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => exitCodeOf(new Interrupted(signal))),
      [130, 143, 129],
    )
  })
})

/** The code that instances of a class have, read from its source: making one would need its arguments. */
function codeOf(ErrorClass: new (...args: never[]) => Error): { code: string } {
  const [, code = ''] = /code = '(ERR_ROOTMERGE_\w+)'/.exec(String(ErrorClass)) ?? []
  return { code }
}
