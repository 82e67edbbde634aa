// In what a live object can differ from its record.

/** What can differ, in the order of `rpm -V`'s columns as far as it has them. */
export const differences = ['size', 'mode', 'digest', 'device', 'link', 'owner', 'group', 'mtime', 'xattrs'] as const

/** What stands alone: nothing has the name, an object of another type, or one that cannot be read. */
export const soleDifferences = ['missing', 'type', 'unreadable'] as const

/** One way in which a live object is not what was recorded. */
export type Difference = (typeof differences)[number] | (typeof soleDifferences)[number]
