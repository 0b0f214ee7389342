/** `tulle check`: what is wrong, or soon will be, about identity and trust; and what to do about each. */
import type { CheckReport, Finding } from '../../api/identity.ts'
import { meshFlags, outputFlag, type Command } from '../command.ts'
import { identityClient } from '../identity-client.ts'
import { printable, type Colour, type Terminal } from '../terminal.ts'

export const checkCommand: Command = {
  name: 'check',
  summary: 'check certificates, clocks and who trusts whom, with a remedy per finding',
  description: 'Exit code 1 when there is an error or a warning; else 0.',
  flags: [outputFlag, ...meshFlags.slice(0, 1)],
  examples: [{ command: 'tulle check', does: 'everything that the control plane can see' }],
  async run({ flags, context }) {
    const report = await identityClient(flags, context).call<CheckReport>('GET /check')
    const isBad = report.findings.some(({ severity }) => severity !== 'info')
    return {
      exitCode: isBad ? 1 : 0,
      output: {
        data: report,
        view: { kind: 'text', text: reportText(report, context.terminal) },
      },
    }
  },
}

const colours: Readonly<Record<Finding['severity'], Colour>> = {
  error: 'red',
  warning: 'yellow',
  info: 'gray',
}

export function reportText(
  { trustDomain, trust, workloads, findings }: CheckReport,
  terminal: Terminal,
): string {
  const lines = [
    `mesh ${trustDomain}: ${workloads} workloads are connected`,
    ...trust.map(
      (domain) => `${domain.trustDomain} is believed by root ${domain.roots.join(', ')}`,
    ),
    '',
    ...findings.flatMap(({ severity, subject, message, remedy }) => [
      `${terminal.colour(colours[severity], severity)} ${printable(subject)}: ${printable(message)}`,
      `  next: ${printable(remedy)}`,
    ]),
  ]
  if (findings.length === 0) lines.push('nothing is wrong')
  return `${lines.join('\n')}\n`
}
