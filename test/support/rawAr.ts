// ar archives as dpkg-deb writes them, byte by byte, so that they can be wrong.

/** A member: a header of 60 bytes, and a payload that takes an even number of them. */
export function arMember(name: string, payload: Buffer, size: number = payload.length): Buffer {
  return Buffer.concat([
    Buffer.from(`${name.padEnd(16)}0           0     0     100644  ${String(size).padEnd(10)}\`\n`),
    payload,
    Buffer.alloc(payload.length % 2, '\n'),
  ])
}

/** An archive of such members. */
export function rawAr(...members: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from('!<arch>\n'), ...members])
}
