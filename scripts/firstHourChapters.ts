// What a new user does in the first hour: three things that work, and ten mistakes.

/** One thing that is tried. */
export interface Chapter {
  readonly title: string
  /** Mounting, and becoming another user, need root. */
  readonly needsRoot?: boolean
  readonly commands: readonly string[]
  /** What there is to say about it. */
  readonly moral?: string
}

/** In the order in which they are tried; each finds what those before it left. */
export const chapters: readonly Chapter[] = [
  {
    title: 'Merge, verify, unmerge',
    commands: [
      'mkdir -p hello-1/etc hello-1/usr/bin root',
      "echo 'greeting = hello' > hello-1/etc/hello.conf",
      "printf '#!/bin/sh\\ncat /etc/hello.conf\\n' > hello-1/usr/bin/hello && chmod 755 hello-1/usr/bin/hello",
      'rootmerge merge ./hello-1 --root ./root --dry-run',
      'rootmerge merge ./hello-1 --root ./root',
      'rootmerge owner /usr/bin/hello --root ./root',
      'rootmerge verify --root ./root',
      'rootmerge unmerge hello-1 --root ./root',
    ],
  },
  { title: 'Mistake 1: a wrong path', commands: ['rootmerge merge ./helo-1 --root ./root; echo "exit code $?"'] },
  {
    title: 'Mistake 2: no permission',
    needsRoot: true,
    commands: [
      'chmod 755 . && setpriv --reuid 65534 --regid 65534 --clear-groups rootmerge merge ./hello-1 --root ./root; echo "exit code $?"',
    ],
  },
  { title: 'Mistake 3: an unknown package', commands: ['rootmerge unmerge helo-1 --root ./root; echo "exit code $?"'] },
  {
    title: 'Mistake 4: a corrupt archive',
    commands: [
      'tar cf hello-1.tar -C hello-1 . && head -c 3000 hello-1.tar > cut.tar',
      'rootmerge merge ./cut.tar --root ./root; echo "exit code $?"',
    ],
  },
  {
    title: 'Mistake 5: a full disk',
    needsRoot: true,
    commands: [
      'mkdir large-1 small && head -c 3M /dev/zero | tr "\\\\0" x > large-1/data && mount -t tmpfs -o size=1M none small',
      'rootmerge merge ./large-1 --root ./small; echo "exit code $?"',
      'umount small',
    ],
  },
  { title: 'Mistake 6: a wrong option', commands: ['rootmerge merge ./hello-1 --rot ./root; echo "exit code $?"'] },
  {
    title: 'Mistake 7: a locked root',
    commands: ['flock ./root rootmerge merge ./hello-1 --root ./root; echo "exit code $?"'],
    moral: 'The lock is flock(2) on the root directory itself, so it is gone when its holder is, however it ended.',
  },
  {
    title: 'Mistake 8: a root that is not there',
    commands: ['rootmerge merge ./hello-1 --root ./rot; echo "exit code $?"'],
  },
  {
    title: 'Mistake 9: a newline in a name',
    commands: [
      "mkdir odd-1 && touch odd-1/$'two\\nlines'",
      'rootmerge merge ./odd-1 --root ./root --quiet && rootmerge list odd-1 --root ./root',
      'rootmerge owner "$(printf \'/two\\nlines\')" --root ./root',
      'rootmerge unmerge odd-1 --root ./root --quiet',
    ],
    moral:
      'It is no mistake: any name that Linux has can be merged. What is printed is escaped, so one name is one line.',
  },
  {
    title: 'Mistake 10: Ctrl-C',
    commands: [
      'flock ./root timeout --foreground --preserve-status -s INT 3 rootmerge merge ./hello-1 --root ./root --lock-wait 60; echo "exit code $?"',
      'rootmerge recover --root ./root',
      'rootmerge list --root ./root',
    ],
    moral:
      'The first Ctrl-C undoes whatever was done, here the waiting for a lock; the second ends the process at once, and the next run recovers.',
  },
]
