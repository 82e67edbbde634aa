import assert from 'node:assert/strict'
import { covers, decide, type Live, type Owner, rules, type Situation } from '../../src/merge/decide.ts'

const lives: Live[] = ['absent', 'same', 'sameContent', 'different']
const owners: Owner[] = ['self', 'another', 'nobody']

function* situations(): Generator<Situation> {
  for (const live of lives)
    for (const owner of owners)
      for (const isProtected of [true, false])
        for (const isEdited of [true, false]) yield { live, owner, isProtected, isEdited }
}

describe('decide()', () => {
  it('has exactly one rule for each of the 48 situations', () => {
    const all = [...situations()]
    assert.equal(all.length, 48)
    for (const situation of all) {
      assert.equal(rules.filter((rule) => covers(rule, situation)).length, 1, JSON.stringify(situation))
    }
  })

  it('needs every rule', () => {
    for (const rule of rules) assert.ok([...situations()].some((situation) => covers(rule, situation)))
  })

  it("never takes another package's name", () => {
    for (const situation of situations()) {
      if (situation.owner !== 'another') continue
      assert.match(decide(situation), /^(refuse|share)$/)
    }
  })

  it('never replaces a protected object that the admin made or edited', () => {
    for (const situation of situations()) {
      if (!situation.isProtected || situation.live !== 'different') continue
      if (situation.owner === 'self' && !situation.isEdited) continue
      assert.match(decide(situation), /^(setAside|refuse)$/)
    }
  })
})
