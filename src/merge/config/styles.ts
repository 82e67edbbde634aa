// How installers treat configuration files: the names that they use and what becomes of a file in each case, as data.
//
// Outcomes were observed on dpkg 1.21, rpm 4.18, pacman 6.0, apk 3.0 and Portage of 2026. What is left out of them:
// apk offers an unchanged version again at each upgrade; dpkg writes the update of a symlink beside the link's target
// and then looks for it beside the link; rpm and apk overwrite what they saved before; without a terminal dpkg stops.

/** The styles. `dpkg-confnew` and `rpm-replace` are dpkg's --force-confnew and rpm's %config without noreplace. */
export const styleNames = ['portage', 'dpkg', 'dpkg-confnew', 'rpm', 'rpm-replace', 'pacman', 'apk'] as const

/** One of them. */
export type StyleName = (typeof styleNames)[number]

/**
 * What a protected name is in when an image brings it. The live object differs from what the image brings.
 *
 * editedSameVersion   it was edited, and the image brings what was there before
 * editedNewVersion    it was edited, and the image brings something new
 * deletedSameVersion  it is gone, although the package still owns it
 * deletedNewVersion   likewise, and the image brings something new
 * unowned             nobody owns it: it is the admin's own
 * directory           it is a directory of the old version in which nothing else is
 * blocksDirectory     the image brings a directory
 */
export const configCases = [
  'editedSameVersion',
  'editedNewVersion',
  'deletedSameVersion',
  'deletedNewVersion',
  'unowned',
  'directory',
  'blocksDirectory',
] as const

/** One of them. */
export type ConfigCase = (typeof configCases)[number]

/**
 * keep      what is there (or that nothing is there) stays, and nothing is offered
 * setAside  what the image brings goes beside it, under an update name
 * save      what is there goes beside it, under a save name, and what the image brings gets the name
 * place     what the image brings gets the name
 */
export type ConfigOutcome = 'keep' | 'setAside' | 'save' | 'place'

/** What becomes of a protected file that its package no longer has: it goes, stays, or goes to its save name. */
export type RemovalOutcome = 'remove' | 'keep' | 'save'

/** How update names are made: `._cfg0000_name`, or the name with an ending. */
export type UpdateForm = { readonly numbered: '._cfg' } | { readonly ending: string }

/** One style. */
export interface Style {
  readonly update: UpdateForm
  /** Endings of the names that edited, and unowned, live files are saved under. */
  readonly save: { readonly edited: string; readonly unowned: string }
  readonly outcomes: Readonly<Record<ConfigCase, ConfigOutcome>>
  readonly removal: { readonly unedited: RemovalOutcome; readonly edited: RemovalOutcome }
}

const common = { directory: 'place', blocksDirectory: 'save' } as const

const keepsEdited = {
  ...common,
  editedSameVersion: 'keep',
  editedNewVersion: 'setAside',
  deletedSameVersion: 'place',
  deletedNewVersion: 'place',
  unowned: 'setAside',
} as const

const savesEdited = { ...keepsEdited, editedNewVersion: 'save', unowned: 'save' } as const

/** Every style. */
export const styles: Readonly<Record<StyleName, Style>> = {
  portage: {
    update: { numbered: '._cfg' },
    save: { edited: '.backup', unowned: '.backup' },
    outcomes: {
      editedSameVersion: 'setAside',
      editedNewVersion: 'setAside',
      deletedSameVersion: 'setAside', // "the admin will be prompted for this update", bug 523684
      deletedNewVersion: 'setAside',
      unowned: 'setAside',
      directory: 'setAside',
      blocksDirectory: 'save',
    },
    removal: { unedited: 'remove', edited: 'keep' },
  },
  dpkg: {
    update: { ending: '.dpkg-dist' },
    save: { edited: '.dpkg-old', unowned: '.dpkg-old' },
    outcomes: { ...keepsEdited, deletedSameVersion: 'keep', deletedNewVersion: 'setAside' },
    removal: { unedited: 'keep', edited: 'keep' }, // until it is purged
  },
  'dpkg-confnew': {
    update: { ending: '.dpkg-dist' },
    save: { edited: '.dpkg-old', unowned: '.dpkg-old' },
    outcomes: { ...savesEdited, deletedSameVersion: 'keep' },
    removal: { unedited: 'keep', edited: 'keep' },
  },
  rpm: {
    update: { ending: '.rpmnew' },
    save: { edited: '.rpmsave', unowned: '.rpmorig' },
    outcomes: keepsEdited,
    removal: { unedited: 'remove', edited: 'save' },
  },
  'rpm-replace': {
    update: { ending: '.rpmnew' },
    save: { edited: '.rpmsave', unowned: '.rpmorig' },
    outcomes: savesEdited,
    removal: { unedited: 'remove', edited: 'save' },
  },
  pacman: {
    update: { ending: '.pacnew' },
    save: { edited: '.pacsave', unowned: '.pacsave' },
    outcomes: keepsEdited,
    removal: { unedited: 'remove', edited: 'save' },
  },
  apk: {
    update: { ending: '.apk-new' },
    save: { edited: '.apk-old', unowned: '.apk-old' },
    outcomes: keepsEdited,
    removal: { unedited: 'remove', edited: 'keep' },
  },
}

/** Every form of update names, also one that only other installers make: updates are found whoever left them. */
export const updateForms: readonly UpdateForm[] = [
  { numbered: '._cfg' },
  ...[...new Set(Object.values(styles).flatMap(({ update }) => ('ending' in update ? [update.ending] : [])))].map(
    (ending) => ({ ending }),
  ),
  { ending: '.dpkg-new' },
]

/** Whether a text is the name of a style. */
export function isStyleName(text: string): text is StyleName {
  return (styleNames as readonly string[]).includes(text)
}
