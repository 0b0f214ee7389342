/** Renders docs/reference/security-lessons.md from the table. */
import { lessons, type Lesson } from './lesson-table.ts'

export function renderLessonPage(): string {
  return [
    '# What broke other proxies',
    '',
    'Written by `UPDATE_DOCS=1 npm test -- tidy` from [test/lesson/lesson-table.ts](../../test/lesson/lesson-table.ts). Each lesson that',
    'applies has tests; that they exist is a test of its own.',
    '',
    '| Whose | What went wrong | The rule | Proved by |',
    '| --- | --- | --- | --- |',
    ...lessons.map(row),
    '',
  ].join('\n')
}

function row({ ids, wrong, rule, proofs, notApplicable }: Lesson): string {
  const files = [...new Set(proofs.map(([file]) => file))]
  const links = files.map((file) => {
    const count = proofs.filter(([name]) => name === file).length
    return `[${file}](../../${file}) (${count})`
  })
  const proved = notApplicable === undefined ? links.join(', ') : `does not apply: ${notApplicable}`
  return `| ${ids.join('; ')} | ${wrong} | ${rule} | ${proved} |`
}
