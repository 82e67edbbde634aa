// A process of its own that fsyncs random files and directories below its argument, so that a file system writes parts
// of what is going on to the disk in odd orders, until it is killed.

import * as fs from 'node:fs'

const top = process.argv[2] ?? ''
const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Somewhere below the top; undefined when it went away meanwhile. */
function somewhere(path: string): string | undefined {
  try {
    const members = fs.readdirSync(path, { withFileTypes: true }).filter((each) => each.isFile() || each.isDirectory())
    const chosen = members[Math.floor(Math.random() * (members.length + 1))]
    if (chosen === undefined) return path
    return chosen.isDirectory() ? somewhere(`${path}/${chosen.name}`) : `${path}/${chosen.name}`
  } catch {
    return undefined
  }
}

function syncOne(path: string): void {
  try {
    const fd = fs.openSync(path, 'r')
    fs.fsyncSync(fd)
    fs.closeSync(fd)
  } catch {
    // It went away meanwhile.
  }
}

process.send?.('started')
for (;;) {
  const path = somewhere(top)
  if (path !== undefined) syncOne(path)
  Atomics.wait(sleeper, 0, 0, Math.random() * 8)
}
