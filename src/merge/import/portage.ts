// Portage's database of installed packages (var/db/pkg): a CONTENTS file each.

import type { DatabaseFiles } from './databaseFiles.ts'
import type { ForeignDatabase, ForeignPackage, ForeignSource } from './foreign.ts'
import { parseContents } from './parseContents.ts'

const database = 'var/db/pkg'

/** Portage's database. */
export const portage: ForeignDatabase = {
  places: [database],
  read({ files, cancel }: ForeignSource): ForeignPackage[] {
    return packagesOf(files).map((name) => {
      cancel.check()
      const file = `${database}/${name}/CONTENTS`
      const corrupt = (line: number, reason: string) => files.corrupt(file, line, reason)
      return { name, entries: parseContents(files.wholeText(file), corrupt) }
    })
  },
}

/** category/package-version; a package that is being merged or was left by a crash has a name that begins otherwise. */
function packagesOf(files: DatabaseFiles): string[] {
  const isPlain = (name: string) => /^[A-Za-z0-9_]/.test(name)
  return files
    .names(database)
    .filter(isPlain)
    .flatMap((category) =>
      files
        .names(`${database}/${category}`)
        .filter(isPlain)
        .map((name) => `${category}/${name}`),
    )
    .filter((name) => files.has(`${database}/${name}/CONTENTS`))
}
