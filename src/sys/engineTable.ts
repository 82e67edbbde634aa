// How engines are found: by name, in a table that the layers above fill. A bundle has no files to name.

import type { Engine } from './engineThread.ts'

/** Names of engines, each with what loads the module that exports it under that name. */
export type EngineTable = Readonly<Record<string, () => Promise<object>>>

/** Loads an engine. @throws {TypeError} where there is none of that name */
export async function loadEngine(table: EngineTable, name: string): Promise<Engine<unknown, unknown>> {
  const module = (await table[name]?.()) as Record<string, Engine<unknown, unknown>> | undefined
  const engine = module?.[name]
  if (engine === undefined) throw new TypeError(`there is no engine ${name}`)
  return engine
}
