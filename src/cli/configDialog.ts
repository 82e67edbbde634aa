// Going through updates on a terminal, one after the other.

import { createInterface } from 'node:readline/promises'
import { styleText } from 'node:util'
import type { ConfigUpdate, SeenUpdate } from '../merge/index.ts'
import { coloured, edit, merge, resolve, seenOf, updateOf } from './configActions.ts'
import type { ConfigTask } from './configCommand.ts'
import { print, say } from './output.ts'
import { write } from './write.ts'

/** What an answer comes to: whether the update is done with, or what was shown of it anew. */
type Outcome = boolean | SeenUpdate

/** An answer: its letter, what it is called in the question, and what it does with what was shown. */
interface Answer {
  readonly letter: string
  readonly word: string
  act(task: ConfigTask, update: ConfigUpdate, seen: SeenUpdate): Promise<Outcome>
}

const done = async (action: Promise<void>) => {
  await action
  return true
}

const answers: readonly Answer[] = [
  {
    letter: 'a',
    word: '[a]ccept',
    act: (task, update, seen) => done(resolve(task, update, { action: 'accept', ...seen })),
  },
  {
    letter: 'r',
    word: '[r]eject',
    act: (task, update, seen) => done(resolve(task, update, { action: 'reject', ...seen })),
  },
  { letter: 'm', word: '[m]erge', act: (task, update) => merge(task, update, task.flags.conflicts ?? 'edit') },
  { letter: 'e', word: '[e]dit', act: edit },
  { letter: 'd', word: '[d]iff', act: show },
  { letter: 's', word: '[s]kip', act: async () => true },
]

/** Shows each update and asks what to do with it, until all are done with or `q` is answered. */
export async function resolveInDialog(task: ConfigTask): Promise<void> {
  if (task.updates.length === 0) return print('no updates are waiting')
  for (const [index, update] of task.updates.entries()) {
    const { name, packages, update: updateName } = update
    const heading = `${name} (${packages.join(', ') || 'no package'}): ${updateName}`
    print(styleText('bold', `\n[${index + 1}/${task.updates.length}] ${heading}`, { stream: process.stdout }))
    if (!(await askUntilDone(task, update, await show(task, update)))) return
  }
}

async function show({ options }: ConfigTask, update: ConfigUpdate): Promise<SeenUpdate> {
  const { diffUpdate } = await import('../merge/index.ts')
  const difference = await diffUpdate({ ...options, update: updateOf(update) })
  if (difference.text.length === 0) print('it is the same as the file')
  else write(coloured(difference.text))
  return seenOf(difference)
}

/** @returns false when the user has had enough */
async function askUntilDone(task: ConfigTask, update: ConfigUpdate, shown: SeenUpdate): Promise<boolean> {
  for (let seen = shown; ; ) {
    const letter = await ask(`${answers.map(({ word }) => word).join(', ')}, [q]uit? `)
    if (letter === undefined || letter === 'q') return false
    const answer = answers.find((each) => each.letter === letter)
    const outcome = answer !== undefined && (await tryTo(answer, task, update, seen))
    if (outcome === true) return true
    if (outcome !== false) seen = outcome
  }
}

/** What goes wrong with one file is told, and asked again. */
async function tryTo(answer: Answer, task: ConfigTask, update: ConfigUpdate, seen: SeenUpdate): Promise<Outcome> {
  try {
    return await answer.act(task, update, seen)
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code === undefined || code === 'ERR_ROOTMERGE_RECOVERY_PENDING') throw error
    say(message)
    return false
  }
}

/** Asks for each update whether it shall be accepted, or rejected. */
export async function resolveIfConfirmed(task: ConfigTask, action: 'accept' | 'reject'): Promise<void> {
  if (task.updates.length === 0) return print('no updates are waiting')
  for (const update of task.updates) {
    const letter = await ask(`${action} ${update.update}? [y/n/q] `)
    if (letter === undefined || letter === 'q') return
    if (letter === 'y') await resolve(task, update, { action })
  }
}

/** The first letter of an answer, in lower case; '' for none, undefined at the end of the input. */
async function ask(question: string): Promise<string | undefined> {
  const dialog = createInterface({ input: process.stdin, output: process.stdout })
  try {
    const ended = new Promise<undefined>((resolveEnded) => dialog.once('close', () => resolveEnded(undefined)))
    const answer = await Promise.race([dialog.question(question), ended])
    return answer?.trim().slice(0, 1).toLowerCase()
  } finally {
    dialog.close()
  }
}
