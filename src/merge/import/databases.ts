// The databases that can be imported, by their installers.

import type { Manager } from '../packageName.ts'
import { apk } from './apk.ts'
import { dpkg } from './dpkg.ts'
import type { ForeignDatabase } from './foreign.ts'
import { pacman } from './pacman.ts'
import { portage } from './portage.ts'
import { rpm } from './rpm.ts'

/** One reader for each installer. */
export const databases: Readonly<Record<Manager, ForeignDatabase>> = { dpkg, pacman, portage, apk, rpm }
