/** docs/reference/cli.md holds the help of every command, as the program prints it (UPDATE_DOCS=1 rewrites it). */
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { readText, root } from '../support/source-files.ts'

const goldens = 'src/cli/testdata/help'

function renderCliReference(): string {
  const names = readdirSync(join(root, goldens))
    .filter((name) => name !== 'tulle.txt' && name !== 'agent.txt')
    .sort((a, b) => a.localeCompare(b))
  const sections = names.map((name) => section(`tulle ${name.replace(/\.txt$/, '')}`, name))
  return `# Commands

The help of each command, as the program prints it. From a checkout the program is \`bin/tulle\`. Exit codes: 0 fine, 1 problems
found or work failed, 2 misuse. \`tulle run\` ends with its command's exit code.

${section('tulle', 'tulle.txt')}
${sections.join('\n')}`
}

function section(title: string, file: string): string {
  return `## ${title}\n\n\`\`\`text\n${readText(`${goldens}/${file}`).trimEnd()}\n\`\`\`\n`
}

test('docs/reference/cli.md is the help of every command', () => {
  const page = 'docs/reference/cli.md'
  const rendered = renderCliReference()
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(join(root, page), rendered)
  assert.equal(readText(page), rendered)
})
