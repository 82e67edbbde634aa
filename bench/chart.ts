// A bar chart as SVG: one group a case, one bar a contender; readable in light and dark, without a font or a script.

import { casesOf, shown } from './charts.ts'
import type { ResultsFile } from './results.ts'

const sizes = { width: 860, label: 250, value: 90, bar: 16, gap: 14, top: 56 }
/** Okabe and Ito's colours, which people who see colours differently can tell apart. */
const colours = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#d55e00',
  '#cc79a7',
  '#56b4e9',
  '#999999',
  '#882255',
  '#44aa99',
  '#ddcc77',
]

/** The chart of one subject. */
export function chartOf({ question, unit, better, measurements }: ResultsFile): string {
  const contenders = [...new Set(measurements.map(({ contender }) => contender))]
  const most = Math.max(...measurements.map(({ value }) => value))
  const room = sizes.width - sizes.label - sizes.value
  const parts: string[] = []
  let y = sizes.top + Math.ceil(contenders.length / 4) * 20
  for (const [name, each] of casesOf(measurements)) {
    parts.push(text(sizes.label - 10, y + 12, name, 'end'))
    for (const { contender, value } of each) {
      const width = Math.max(1, (value / most) * room)
      const colour = colours[contenders.indexOf(contender) % colours.length]
      parts.push(
        `<rect x="${sizes.label}" y="${y}" width="${width.toFixed(1)}" height="${sizes.bar - 3}" fill="${colour}"/>`,
      )
      parts.push(text(sizes.label + width + 6, y + 11, shown(value), 'start'))
      y += sizes.bar
    }
    y += sizes.gap
  }
  const legend = contenders.flatMap((contender, index) => {
    const [x, top] = [20 + (index % 4) * 210, 44 + Math.floor(index / 4) * 20]
    const box = `<rect x="${x}" y="${top}" width="12" height="12" fill="${colours[index % colours.length]}"/>`
    return [box, text(x + 18, top + 10, contender, 'start')]
  })
  const title = `<text x="20" y="24" font-size="15" font-weight="bold">${escaped(question)} (${escaped(unit)}, ${better} is better)</text>`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${sizes.width} ${y}" font-family="sans-serif" font-size="12">
<title>${escaped(question)}</title>
<style>text{fill:#222}@media (prefers-color-scheme:dark){text{fill:#ddd}}</style>
${[title, ...legend, ...parts].join('\n')}
</svg>
`
}

function text(x: number, y: number, words: string, anchor: 'start' | 'end'): string {
  const short = words.length > 40 ? `${words.slice(0, 39)}…` : words
  return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped(short)}</text>`
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
