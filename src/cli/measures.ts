// Numbers as a person reads them: bytes, counts, durations.

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** A number of bytes: `38 B`, `1.0 MiB`. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1)
  const value = bytes / 1024 ** power
  return `${power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}

/** A count with separators: `26,000`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A count with its noun: `1 entry`, `2 entries`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}

/** A duration in milliseconds: `0.04 s`, `12 s`, `3 min 05 s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`
  return minutesAndSeconds(Math.round(seconds))
}

/** A duration in milliseconds that is only guessed, to the next second: `4 s`, `3 min 05 s`. */
export function formatWholeSeconds(milliseconds: number): string {
  return minutesAndSeconds(Math.ceil(milliseconds / 1000))
}

function minutesAndSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds} s`
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`
}
