// Config memory: which versions of a file were offered beside it, so that what was declined is not offered again.
//
// To offer a version beside a live file asks: do you want these changes? To offer it where the file is gone asks: do you
// want it back? Who answered one of them has not answered the other, so each has its own memory.

import type { Stat } from '../../sys/index.ts'
import type { RecordedProtection } from '../entry.ts'
import type { Version } from './versions.ts'

/** The two questions. */
export type Offer = 'present' | 'absent'

/** The versions that were offered, the latest last. */
export type Offered = Readonly<Record<Offer, readonly Version[]>>

/** Versions remembered for one question: a file of which more were declined has other troubles. */
const mostRemembered = 64

/** Which question it is, by what is there. */
export function offerOf(live: Stat | undefined): Offer {
  return live === undefined ? 'absent' : 'present'
}

/** The protection of a file to which a version has been offered. */
export function rememberOffer(protection: RecordedProtection, version: Version, offer: Offer): RecordedProtection {
  const { present = [], absent = [] } = protection.offered ?? {}
  const before = offer === 'present' ? present : absent
  const versions = [...before.filter((each) => each !== version), version].slice(-mostRemembered)
  return { ...protection, offered: { present, absent, [offer]: versions } }
}

/** The protection of a file whose offers of some versions went without an answer: they are offered again. */
export function forgetOffers(protection: RecordedProtection, versions: ReadonlySet<Version>): RecordedProtection {
  const { offered, ...rest } = protection
  if (offered === undefined) return protection
  const isAnswered = (version: Version) => !versions.has(version)
  const [present, absent] = [offered.present.filter(isAnswered), offered.absent.filter(isAnswered)]
  return present.length + absent.length === 0 ? rest : { ...rest, offered: { present, absent } }
}
