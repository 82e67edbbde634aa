// File capabilities: their text as cap_from_text(3) reads it, and the bytes of security.capability.

/** In the kernel's order: the place is the bit (linux/capability.h). */
const names: readonly string[] = [
  'chown',
  'dac_override',
  'dac_read_search',
  'fowner',
  'fsetid',
  'kill',
  'setgid',
  'setuid',
  'setpcap',
  'linux_immutable',
  'net_bind_service',
  'net_broadcast',
  'net_admin',
  'net_raw',
  'ipc_lock',
  'ipc_owner',
  'sys_module',
  'sys_rawio',
  'sys_chroot',
  'sys_ptrace',
  'sys_pacct',
  'sys_admin',
  'sys_boot',
  'sys_nice',
  'sys_resource',
  'sys_time',
  'sys_tty_config',
  'mknod',
  'lease',
  'audit_write',
  'audit_control',
  'setfcap',
  'mac_override',
  'mac_admin',
  'syslog',
  'wake_alarm',
  'block_suspend',
  'audit_read',
  'perfmon',
  'bpf',
  'checkpoint_restore',
]
const bits: ReadonlyMap<string, bigint> = new Map(names.map((name, bit) => [`cap_${name}`, 1n << BigInt(bit)]))
const all = (1n << BigInt(names.length)) - 1n

/** VFS_CAP_REVISION_2, and the flag that makes permitted capabilities effective at once. */
const revision = 0x02000000
const effectiveFlag = 1
const low = 0xffffffffn

interface Sets {
  effective: bigint
  permitted: bigint
  inheritable: bigint
}

const setOf: Readonly<Record<string, keyof Sets>> = { e: 'effective', p: 'permitted', i: 'inheritable' }

/**
 * The value of security.capability for a text such as `cap_net_admin,cap_net_raw=ep`.
 *
 * @returns undefined when no capability is left, or the text is none that libcap would read
 */
export function capabilityBytes(text: string): Buffer | undefined {
  const sets: Sets = { effective: 0n, permitted: 0n, inheritable: 0n }
  for (const clause of text.trim().split(/\s+/)) if (!applyClause(sets, clause.toLowerCase())) return undefined
  const { effective, permitted, inheritable } = sets
  if ((permitted | inheritable) === 0n) return undefined
  const bytes = Buffer.alloc(20)
  bytes.writeUInt32LE(revision | (effective === 0n ? 0 : effectiveFlag), 0)
  bytes.writeUInt32LE(Number(permitted & low), 4)
  bytes.writeUInt32LE(Number(inheritable & low), 8)
  bytes.writeUInt32LE(Number(permitted >> 32n), 12)
  bytes.writeUInt32LE(Number(inheritable >> 32n), 16)
  return bytes
}

/**
 * `names` and `=flags`, `+flags` or `-flags`, then more of the latter two; or `=flags` alone, for all. False for what is not
 * that, as libcap reads it.
 */
function applyClause(sets: Sets, clause: string): boolean {
  const match = /^(?=[a-z0-9_,]|=[eip]*$)([a-z0-9_,]*)([=+-][eip]*(?:[+-][eip]*)*)$/.exec(clause)
  const mask = match === null ? undefined : maskOf(match[1] ?? '')
  if (mask === undefined) return false
  for (const [, operator, flags = ''] of match?.[2]?.matchAll(/([=+-])([eip]*)/g) ?? []) {
    for (const [flag, set] of Object.entries(setOf)) {
      const isNamed = flags.includes(flag)
      if (operator === '=' || (operator === '-' && isNamed)) sets[set] &= ~mask
      if (operator !== '-' && isNamed) sets[set] |= mask
    }
  }
  return true
}

function maskOf(list: string): bigint | undefined {
  if (list === '' || list === 'all') return all
  const masks = list.split(',').map((name) => bits.get(name))
  return masks.reduce((sum, mask) => (sum === undefined || mask === undefined ? undefined : sum | mask), 0n)
}
