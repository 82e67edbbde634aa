import assert from 'node:assert/strict'
import { tableLines } from '../../src/cli/table.ts'

describe('tables on a terminal', () => {
  const rows = [
    ['1', 'short', 'one, two'],
    ['22', 'a longer cell', 'alpha, beta, gamma, delta, epsilon'],
  ]

  it('begin the cells of a column under each other', () => {
    assert.deepEqual(tableLines(rows, 80), [
      '1   short          one, two',
      '22  a longer cell  alpha, beta, gamma, delta, epsilon',
    ])
    assert.deepEqual(tableLines([], 80), [])
  })

  it('take more rows than a call takes arguments', () => {
    const many = Array.from({ length: 200_000 }, () => ['', 'cell'])
    assert.equal(tableLines([...many, ['wide', 'cell']], 80)[0], '      cell')
  })

  it('go on below where a line is too long, at blanks, and leave nothing out', () => {
    assert.deepEqual(tableLines(rows, 36), [
      '1   short          one, two',
      '22  a longer cell  alpha, beta,',
      '                   gamma, delta,',
      '                   epsilon',
    ])
    assert.deepEqual(tableLines(rows, 24), [
      '1   short',
      '    one, two',
      '22  a longer cell',
      '    alpha, beta, gamma,',
      '    delta, epsilon',
    ])
  })

  it('never break a name, however narrow the terminal is', () => {
    const name = 'usr/share/a-name-without-a-blank'
    for (let width = 1; width < 60; width++) {
      const text = tableLines([['x', name]], width).join('\n')
      assert.ok(text.includes(name), text)
    }
  })

  it('fit the width wherever a word does', () => {
    for (let width = 24; width < 80; width++) {
      for (const line of tableLines(rows, width)) assert.ok(line.length <= width, `${width}: ${line}`)
    }
  })
})
