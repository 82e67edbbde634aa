// The style and the script of a report's page, as they stand in it.

/** Light and dark as the reader's system has it. */
export const reportStyle: string = `
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;margin-bottom:.5rem} p{margin:.2rem 0}
form{position:sticky;top:0;background:Canvas;padding:.6rem 0;border-bottom:1px solid #8884;margin-top:1rem}
input[type=search]{font:inherit;padding:.2rem .5rem;min-width:16rem}
label{margin-left:.8rem;white-space:nowrap;cursor:pointer} #count{color:GrayText}
ul{list-style:none;padding-left:1.2rem;margin:0} #tree{padding-left:0;font-family:ui-monospace,monospace;font-size:13px}
summary{cursor:pointer} li.leaf{padding-left:1.1rem}
.line{display:inline-flex;flex-wrap:wrap;align-items:baseline;box-sizing:border-box;width:calc(100% - 1.6rem);padding:.1rem .3rem;border-radius:.3rem}
li.leaf .line{width:calc(100% - .7rem)} .line:hover{background:#8882} .name{overflow-wrap:anywhere}
.what{display:inline-block;padding:0 .4rem;border-radius:.3rem;margin:0 .5rem;font-size:.85em;background:#8883}
.place,.make{background:#1a7f3744}.replace,.refresh,.change{background:#9a670044}.remove,.missing{background:#cf222e44}
.detail,.package{color:GrayText} .package{margin-left:auto;padding-left:1rem}
`

/** Draws the tree of the rows that the filters leave; a directory is drawn when it is opened. */
export const reportScript: string = `
'use strict'
const rows = JSON.parse(document.getElementById('rows').textContent)
const kinds = [...new Set(rows.map((row) => row[1]))]
const asked = new URLSearchParams(location.hash.slice(1))
const shown = new Set(asked.has('what') ? asked.get('what').split(',') : kinds)
const text = document.getElementById('text')
text.value = asked.get('text') ?? ''
const make = (tag, className, words) => {
  const element = document.createElement(tag)
  if (className) element.className = className
  if (words !== undefined) element.textContent = words
  return element
}
for (const kind of kinds) {
  const label = make('label')
  const box = make('input')
  box.type = 'checkbox'
  box.checked = shown.has(kind)
  box.onchange = () => { box.checked ? shown.add(kind) : shown.delete(kind); draw() }
  label.append(box, ' ' + kind + ' (' + rows.filter((row) => row[1] === kind).length + ')')
  document.getElementById('kinds').append(label)
}
const treeOf = (found) => {
  const top = { children: new Map(), count: 0 }
  for (const row of found) {
    let at = top
    for (const part of row[0].split('/')) {
      if (!at.children.has(part)) at.children.set(part, { children: new Map(), count: 0 })
      at = at.children.get(part)
      at.count++
    }
    at.row = row
  }
  return top
}
const line = (part, node) => {
  const span = make('span', 'line')
  span.append(make('span', 'name', part))
  if (node.row) {
    const [, what, detail, of] = node.row
    span.append(make('span', 'what ' + what.split(' ')[0], what), make('span', 'detail', detail), make('span', 'package', of))
  }
  return span
}
const fill = (list, node, depth) => {
  for (const [part, child] of [...node.children].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
    const item = make('li')
    if (child.children.size === 0) { item.className = 'leaf'; item.append(line(part, child)) }
    else {
      const details = make('details')
      const heading = make('summary')
      heading.append(line(part + '/', child))
      const inner = make('ul')
      let isDrawn = false
      const open = () => { if (!isDrawn && details.open) { isDrawn = true; fill(inner, child, depth + 1) } }
      details.ontoggle = open
      details.append(heading, inner)
      details.open = depth < 2 || child.count < 50
      open()
      item.append(details)
    }
    list.append(item)
  }
}
const draw = () => {
  const found = rows.filter((row) => shown.has(row[1]) && row[0].includes(text.value))
  document.getElementById('count').textContent = found.length + ' of ' + rows.length + ' names'
  const tree = document.getElementById('tree')
  tree.replaceChildren()
  fill(tree, treeOf(found), 0)
}
text.oninput = draw
document.getElementById('filters').onsubmit = (event) => event.preventDefault()
draw()
`
