// The command that is measured: the bundle, which is what a user installs.

import { fileURLToPath } from 'node:url'

/** Its main file, for `node`. */
export const command: string = fileURLToPath(new URL('../../dist/cli/main.cjs', import.meta.url))
