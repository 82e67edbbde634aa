// A process that holds a lease on a file, as the NFS server and Samba do, and gives it back a while after it is asked to.

import * as fs from 'node:fs'
import koffi from 'koffi'

const F_SETLEASE = 1024
const F_WRLCK = 1
const F_UNLCK = 2
const [path = ''] = process.argv.slice(2)

const fcntl = koffi.load(null).func('int fcntl(int, int, int)')
const fd = fs.openSync(path, 'r+')
process.on('SIGIO', () => setTimeout(() => fcntl(fd, F_SETLEASE, F_UNLCK), 200))
if (fcntl(fd, F_SETLEASE, F_WRLCK) !== 0) throw new Error('the lease was refused')
process.stdout.write('held\n')
setInterval(() => {}, 1000)
