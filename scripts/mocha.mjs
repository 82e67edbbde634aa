// Runs mocha on the compiled tests; arguments are passed on (`node scripts/mocha.mjs -g copyFile`).
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'

const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js')
const node = ['--enable-source-maps', '--expose-gc', mocha, ...process.argv.slice(2)]
process.exitCode = spawnSync(process.execPath, node, { stdio: 'inherit' }).status ?? 1
