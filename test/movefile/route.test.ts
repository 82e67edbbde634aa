// What moves of one route save each other must not be missed by any of them.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Mover } from '../../src/movefile/index.ts'
import { compareTrees } from '../support/compareTrees.ts'
import { recording, wrapKernel } from '../support/kernelDoubles.ts'
import { type Scene, withScene } from '../support/twoFileSystems.ts'

/** A mover, and its moves by name along one route. */
function onRoute(scene: Scene, mover: Mover = scene.mover()) {
  const route = mover.route(scene.source('').directory, scene.target('').directory)
  return (name: string, options = {}) => mover.move(scene.source(name), scene.target(name), { route, ...options })
}

describe('moves on one route', () => {
  it('make 13 calls for a small file, and 3 for each attribute', () =>
    withScene({ source: 'f /1 "1"\nf /2 "2"\nf /3 "3"\nf /4 "4" user.note="kept"\nf 0444 /5 "5"' }, (scene) => {
      const { kernel, calls } = recording(scene.kernel)
      const move = onRoute(
        scene,
        scene.mover({}, () => kernel),
      )
      for (const name of ['1', '2']) move(name)
      const callsOf = (name: string) => {
        calls.length = 0
        move(name)
        return calls.map(({ call }) => call)
      }
      const plain = callsOf('3')
      assert.deepEqual(plain, [
        'statat',
        'openat',
        'openat',
        'pread',
        'pwrite',
        'fstat',
        'listXattrs',
        'futimens',
        'linkat',
        'close',
        'close',
        'findat',
        'unlinkat',
      ])
      const noted = callsOf('4')
      assert.deepEqual(
        noted.filter((call) => !plain.includes(call)),
        ['getXattr', 'setXattr'],
      )
      assert.equal(noted.length, 15)
      callsOf('5') // the first of its mode
      fs.writeFileSync(join(scene.from, '6'), '6', { mode: 0o444 })
      assert.deepEqual(callsOf('6'), plain)
    }))

  it('give each file its own mode, owner and attributes', () => {
    const modes = ['0644', '0600', '0666', '0444', '4755', '0660', '2644', '0600', '0777', '0644']
    const source = modes.map((mode, index) => `f ${mode} /${index} "${index}"`).join('\n')
    return withScene({ source }, (expected) =>
      withScene({ source }, (scene) => {
        const move = onRoute(scene)
        for (const index of modes.keys()) move(String(index))
        const differences = compareTrees(expected.from, scene.to).filter((each) => !each.startsWith('(top)'))
        assert.deepEqual(differences, [])
      }),
    )
  })

  it('take off what a default ACL gives, from each file', () =>
    withScene({ source: 'f 0644 /1 "1"\nf 0600 /2 "2"\nf 0664 /3 "3"' }, (scene) => {
      execFileSync('setfacl', ['-d', '-m', 'u:bin:rwx', scene.to])
      const move = onRoute(scene)
      for (const [name, mode] of Object.entries({ 1: 0o644, 2: 0o600, 3: 0o664 })) {
        move(name)
        const path = join(scene.to, name)
        assert.equal(fs.lstatSync(path).mode & 0o7777, mode, name)
        assert.doesNotMatch(execFileSync('getfacl', ['-p', path], { encoding: 'utf8' }), /bin/)
      }
    }))

  it('see a name that is taken after one that was free', () =>
    withScene({ source: 'f /2 "2"\nf /3 "3"\nf /4 "4"', target: 'f /2 "old"\nf /3 "old"\nd /4' }, (scene) => {
      const afterFree = (name: string, options = {}) => {
        const move = onRoute(scene)
        fs.writeFileSync(join(scene.from, 'free'), '')
        move('free')
        fs.unlinkSync(join(scene.to, 'free'))
        return move(name, options)
      }
      assert.equal(afterFree('2').method, 'copy')
      assert.equal(fs.readFileSync(join(scene.to, '2'), 'utf8'), '2')
      assert.throws(() => afterFree('3', { noReplace: true }), { code: 'EEXIST' })
      assert.throws(() => afterFree('4'), { code: 'EISDIR' })
      assert.equal(fs.readFileSync(join(scene.to, '3'), 'utf8'), 'old')
      assert.deepEqual(fs.readdirSync(scene.to).sort(), ['2', '3', '4'])
      assert.deepEqual(fs.readdirSync(scene.from).sort(), ['3', '4'])
    }))

  it('notice a source that was swapped after the look', () =>
    withScene({ source: 'f /1 "1"\nf /2 "2"' }, (scene) => {
      const swapping = wrapKernel(scene.kernel, (call, args, proceed) => {
        const result = proceed(...args)
        if (call === 'statat' && args[1] === '2') {
          fs.renameSync(join(scene.from, '2'), join(scene.from, 'kept'))
          fs.writeFileSync(join(scene.from, '2'), 'b')
        }
        return result
      })
      const move = onRoute(
        scene,
        scene.mover({}, () => swapping),
      )
      move('1')
      assert.throws(() => move('2'), { code: 'ERR_ROOTMERGE_SOURCE_REPLACED' })
      assert.deepEqual(fs.readdirSync(scene.to), ['1'])
      assert.deepEqual(fs.readdirSync(scene.from).sort(), ['2', 'kept'])
    }))
})
