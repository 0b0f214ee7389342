/** `tulle version`: ours, and what it runs on. */
import type { Command } from '../command.ts'
import { outputFlag } from '../command.ts'
import { packageVersion } from '../package-version.ts'

export const versionCommand: Command = {
  name: 'version',
  summary: 'print the versions of Tulle and of the Node that it runs on',
  flags: [outputFlag],
  examples: [{ command: 'tulle version -o json', does: 'for a bug report' }],
  run() {
    const data = {
      tulle: packageVersion(),
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
    }
    const text = `tulle ${data.tulle}\nnode ${data.node} (${data.platform})\n`
    return Promise.resolve({ exitCode: 0, output: { data, view: { kind: 'text', text } } })
  },
}
