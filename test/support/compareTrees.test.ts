import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { AT_FDCWD, linuxKernel } from '../../src/sys/index.ts'
import { compareTrees } from './compareTrees.ts'
import { withDirectory } from './scratch.ts'
import { writeTree } from './tree.ts'

const tree = String.raw`
d 0750          /dir
f 0640          /dir/file       "twelve bytes" user.note="x"
f 0600          /dir/acl        "a" acl=u:bin:rw
h               /dir/other      == /dir/file
f               /sparse         "begin" hole:4M "end"
l               /link           -> dir/file
p 0600          /fifo
s               /socket
f               /caf\351\012    "no UTF-8"
d               /deep/er        acl=d:u:bin:rx
`

const treeOfRoot = `
c 0666          /null           1:3
b 0660          /disk           7:9
f 4755 0:0      /ping           "p" cap=cap_net_raw+ep
f 0644 5:7      /owned          "o"
l               /link           -> x trusted.note="on a link"
`

/** One difference in each attribute: what changes the second tree, and what has to be said about it. */
const planted: Readonly<Record<string, { change: (at: (name: string) => string) => void; said: RegExp; root?: true }>> =
  {
    'a name that is missing': { change: (at) => fs.unlinkSync(at('fifo')), said: /^"fifo": missing$/ },
    'a name too many': { change: (at) => fs.writeFileSync(at('more'), ''), said: /^"more": not expected$/ },
    'another type': {
      change: (at) => {
        fs.unlinkSync(at('fifo'))
        fs.writeFileSync(at('fifo'), '')
      },
      said: /^"fifo": type 0100000, expected 010000$/,
    },
    'another byte': { change: (at) => patch(at('dir/acl'), 'b'), said: /^"dir\/acl": bytes/ },
    'another size': { change: (at) => fs.truncateSync(at('dir/acl'), 0), said: /^"dir\/acl": bytes 0/ },
    'another mode': { change: (at) => fs.chmodSync(at('dir'), 0o751), said: /^"dir": mode 751, expected 750$/ },
    'a nanosecond': { change: (at) => setTime(at('dir/file'), 1n), said: /^"dir\/file": mtime \d+, expected \d+$/ },
    'the time of a symlink': { change: (at) => setTime(at('link'), 1n), said: /^"link": mtime/ },
    'the value of an attribute': {
      change: (at) => execFileSync('setfattr', ['-n', 'user.note', '-v', 'y', at('dir/file')]),
      said: /^"dir\/file": xattrs user\.note=0x79, expected user\.note=0x78$/,
    },
    'an attribute too many': {
      change: (at) => execFileSync('setfattr', ['-n', 'user.more', '-v', 'y', at('dir')]),
      said: /^"dir": xattrs user\.more=0x79, expected $/,
    },
    'an ACL': {
      change: (at) => execFileSync('setfacl', ['-m', 'u:bin:r', at('dir/acl')]),
      said: /^"dir\/acl": xattrs system\.posix_acl_access/,
    },
    'a default ACL': {
      change: (at) => execFileSync('setfacl', ['-k', at('deep/er')]),
      said: /^"deep\/er": xattrs , expected system\.posix_acl_default/,
    },
    'the target of a symlink': {
      change: (at) => {
        fs.unlinkSync(at('link'))
        fs.symlinkSync('dir/fill', at('link'))
      },
      said: /^"link": target dir\/fill, expected dir\/file$/,
    },
    'a hard link that has become a copy': {
      change: (at) => {
        fs.unlinkSync(at('dir/other'))
        execFileSync('cp', ['-a', at('dir/file'), at('dir/other')])
      },
      said: /^"dir\/other": links , expected dir\/file = dir\/other$/,
    },
    'a hole that was filled': {
      change: (at) => {
        const time = fs.lstatSync(at('sparse'), { bigint: true }).mtimeNs
        fs.writeFileSync(at('sparse'), fs.readFileSync(at('sparse')))
        setTime(at('sparse'), 0n, time)
      },
      said: /^"sparse": holes \d+ bytes allocated, expected \d+$/,
    },
    'a byte of a name': {
      change: (at) => fs.renameSync(Buffer.from(at('caf\xe9\n'), 'latin1'), Buffer.from(at('caf\xea\n'), 'latin1')),
      said: /^"caf.\\n": (missing|not expected)$/,
    },
    'an owner': { change: (at) => fs.chownSync(at('owned'), 6, 7), said: /^"owned": uid 6, expected 5$/, root: true },
    'a group': { change: (at) => fs.chownSync(at('owned'), 5, 8), said: /^"owned": gid 8, expected 7$/, root: true },
    'a capability': {
      change: (at) => execFileSync('setcap', ['-r', at('ping')]),
      said: /^"ping": xattrs , expected security\.capability/,
      root: true,
    },
    'a device number': {
      change: (at) => {
        fs.unlinkSync(at('null'))
        execFileSync('mknod', ['-m', '666', at('null'), 'c', '1', '5'])
      },
      said: /^"null": rdev 261, expected 259$/,
      root: true,
    },
    'an attribute of a symlink': {
      change: (at) => execFileSync('setfattr', ['-h', '-x', 'trusted.note', at('link')]),
      said: /^"link": xattrs , expected trusted\.note/,
      root: true,
    },
  }

describe('compareTrees()', () => {
  it('finds no difference between two trees of one description', () =>
    withTwins(tree, (one, other) => assert.deepEqual(compareTrees(one, other), [])))

  for (const [title, { change, said, root }] of Object.entries(planted)) {
    it(`finds ${title}`, function () {
      if (root && process.getuid?.() !== 0) {
        process.stderr.write('      needs root: owners, devices, capabilities\n')
        this.skip()
      }
      withTwins(root ? treeOfRoot : tree, (one, other) => {
        change((name) => join(one, name))
        const differences = compareTrees(one, other).filter((line) => !/^\(top\)|^"dir": mtime/.test(line))
        assert.ok(
          differences.some((line) => said.test(line)),
          `${said} is not among ${differences.join('; ')}`,
        )
      })
    })
  }
})

/** Two trees of one description. */
function withTwins(text: string, body: (one: string, other: string) => void): void {
  withDirectory((directory) => {
    const [one, other] = [join(directory, 'one'), join(directory, 'other')]
    for (const path of [one, other]) {
      fs.mkdirSync(path)
      writeTree(path, text)
      setTime(path, 0n, 1_600_000_000_000_000_000n)
    }
    body(one, other)
  })
}

function patch(path: string, text: string): void {
  const fd = fs.openSync(path, 'r+')
  fs.writeSync(fd, text)
  fs.closeSync(fd)
}

/** Node's own utimes loses nanoseconds. */
function setTime(path: string, add: bigint, time: bigint = fs.lstatSync(path, { bigint: true }).mtimeNs): void {
  const kernel = linuxKernel()
  kernel.utimensat(AT_FDCWD, path, time + add, time + add)
}
