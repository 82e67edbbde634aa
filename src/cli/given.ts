// Options as commander gives them, as the library takes them.

/** The members that were given. */
export type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without the options that were not given. */
export function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>
}
