// How files of the state are opened.

import { O_NOFOLLOW, O_NONBLOCK } from '../sys/index.ts'

/** Beside what for: whoever may write the state's directory could have put a symlink there, or a fifo, which is waited for. */
export const ownFile: number = O_NOFOLLOW | O_NONBLOCK
