/** `/help`, and `/`: the list of pages as text and as HTML. */
import { type AdminPage, adminPage, htmlReply, textReply } from './admin-page.ts'

/** `pages` is called when the page is asked for, so that the list holds itself. */
export function helpPages(pages: () => readonly AdminPage[]): readonly AdminPage[] {
  return [
    adminPage({ path: '/', help: 'Admin home page', run: () => htmlReply(homeHtml(pages())) }),
    adminPage({
      path: '/help',
      help: 'print out list of admin commands',
      run: () => textReply(helpText(pages())),
    }),
  ]
}

/** Envoy's form: a line per page, and one, deeper, per parameter. */
export function helpText(pages: readonly AdminPage[]): string {
  const sorted = [...pages].sort((a, b) => (a.path < b.path ? -1 : 1))
  const lines = sorted.flatMap((page) => [
    `  ${page.path}${page.mutates ? ' (POST)' : ''}: ${page.help}`,
    ...page.parameters.map(({ name, help }) => `      ${name}: ${help}`),
  ])
  return `admin commands are:\n${lines.join('\n')}\n`
}

function homeHtml(pages: readonly AdminPage[]): string {
  const rows = [...pages]
    .filter((page) => page.path !== '/')
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map((page) => `<tr><td>${control(page)}</td><td>${escapeHtml(page.help)}</td></tr>`)
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Tulle sidecar</title>
<style>
body { font-family: system-ui, sans-serif; margin: 2rem; color: #222; background: #fff; }
table { border-collapse: collapse; }
td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; vertical-align: top; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818; } a { color: #8cf; } }
</style>
</head>
<body>
<h1>Sidecar</h1>
<table>
${rows.join('\n')}
</table>
</body>
</html>
`
}

function control(page: AdminPage): string {
  const path = escapeHtml(page.path)
  if (!page.mutates) return `<a href="${path.slice(1)}">${path.slice(1)}</a>`
  return `<form action="${path.slice(1)}" method="post"><button>${path.slice(1)}</button></form>`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}
