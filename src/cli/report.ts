// A report as one HTML page that needs no server and loads nothing: the names as a tree, what happens to each, filters.

import { reportScript, reportStyle } from './reportPage.ts'

/** One name of a report. */
export interface ReportRow {
  /** From the root, escaped for reading. */
  readonly name: string
  /** What happens to it, or what is wrong with it: a filter of its own. */
  readonly what: string
  /** Everything else in words. */
  readonly detail: string
  readonly package: string
}

/** What a page says. */
export interface Report {
  /** `hello-1 would be merged into /srv/root` */
  readonly title: string
  /** Lines above the tree. */
  readonly summary: readonly string[]
  readonly rows: readonly ReportRow[]
}

/**
 * The page. Filters can be given in its address too: `report.html#what=place,replace&text=etc/`.
 *
 * Names come from archives that anybody may have made: they reach the page as data, and its script writes them as text.
 */
export function reportPage({ title, summary, rows }: Report): string {
  const data = JSON.stringify(rows.map((row) => [row.name, row.what, row.detail, row.package])).replaceAll(
    '<',
    '\\u003c',
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${reportStyle}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${summary.map((line) => `<p>${escaped(line)}</p>`).join('\n')}
<form id="filters"><input id="text" type="search" placeholder="part of a name" aria-label="part of a name"><span id="kinds"></span></form>
<p id="count"></p>
<ul id="tree"></ul>
<noscript>This page needs JavaScript to draw its tree; what it shows is in its source.</noscript>
<script id="rows" type="application/json">${data}</script>
<script>${reportScript}</script>
</body>
</html>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
