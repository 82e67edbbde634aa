// Names on their way to the kernel, as bytes in the memory that calls share.
//
// Calls that follow each other are about the same names (look, open, link, look again, remove): one that stands there
// already is not written again. Checking and writing a name takes 75 ns, a third of what koffi and a cheap call do.

import { SyscallError } from './errors.ts'
import type { Name } from './kernel.ts'

/** Where one name stands. */
interface Slot {
  readonly start: number
  readonly address: number
  name: Name
}

/**
 * A function that puts a name, with the NUL at its end, into memory and returns its address.
 *
 * The address that it returned before is valid too: a call has two names at most. There is a third slot, so that a
 * directory's `.` and the names of its members don't push each other out.
 *
 * @param memory   three times `room` bytes, written by nobody else
 * @param address  of this memory
 */
export function nameMemory(memory: Buffer, address: number, room: number): (name: Name) => number {
  memory.fill(0)
  const slot = (start: number): Slot => ({ start, address: address + start, name: '' })
  let latest = slot(0)
  let middle = slot(room)
  let oldest = slot(2 * room)
  return (name) => {
    if (name === latest.name) return latest.address
    let slot = middle
    if (name !== slot.name) {
      slot = oldest
      if (name !== slot.name) write(memory, name, slot, room)
      oldest = middle
    }
    middle = latest
    latest = slot
    return slot.address
  }
}

// A NUL would silently end the name; a character over 0xff is not a byte, so a UTF-16 string slipped in.
const notBytes = /[\0\u0100-\uffff]/

function write(memory: Buffer, name: Name, slot: Slot, room: number): void {
  if (notBytes.test(name)) {
    if (name.includes('\0')) throw new SyscallError('EINVAL', 'encode', name)
    throw new TypeError(`not a name in bytes: ${JSON.stringify(name)}`)
  }
  if (name.length >= room) throw new SyscallError('ENAMETOOLONG', 'encode', name)
  memory.write(name, slot.start, 'latin1')
  memory[slot.start + name.length] = 0
  slot.name = name
}
