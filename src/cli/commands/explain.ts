/** `tulle explain METHOD URL --from WORKLOAD`: what would happen to a request, and why. */
import type { HeaderField } from '../../proxy/explain/request-target.ts'
import {
  meshFlags,
  namespaceFlag,
  outputFlag,
  usageError,
  type Command,
  type CommandInput,
} from '../command.ts'
import { explainReport } from '../explain/explain-report.ts'
import { openLive, openOffline } from '../explain/explain-source.ts'
import { explainText } from '../explain/explain-text.ts'

export const explainCommand: Command = {
  name: 'explain',
  summary: 'show where a request of a workload would go, and why',
  description:
    "Asks a running sidecar's configuration, or with -f what the workload would get from files. Nothing is sent: " +
    "the proxy's own matchers decide. Each rule that was tried is shown with its file and line and the first " +
    'conditions that it did not meet. A host that a sidecar on demand has not called yet is explained as ' +
    'its first call would find it. Exit code 0: the request is forwarded, answered or redirected; 1: no route, ' +
    'it would fail, or with -f what could have had a say in it is refused; 2: misuse.',
  arguments: [
    { name: '<method>', summary: 'such as GET' },
    { name: '<url>', summary: 'as the application writes it: http://reviews:9080/path' },
  ],
  flags: [
    outputFlag,
    { flags: '--from <workload>', summary: 'who calls: a workload or one of its instances' },
    {
      flags: '-H, --header <name: value>',
      summary: 'a header of the request; may be repeated',
      isRepeatable: true,
    },
    {
      flags: '-f, --file <path>',
      summary:
        'offline: from these files, a mesh file or folders of resources; - is standard input',
      isRepeatable: true,
    },
    namespaceFlag,
    ...meshFlags,
  ],
  examples: [
    {
      command: 'tulle explain GET http://my-go-service:8080/ --from load',
      does: 'in the running mesh, with the health of each endpoint',
    },
    {
      command:
        "tulle explain GET http://reviews:9080/ --from productpage -H 'x-user: jason' -f mesh.yaml",
      does: 'from files, without a running mesh',
    },
  ],
  async run(input) {
    const { arguments: words, flags, context } = input
    const [method = '', url = ''] = words
    const request = { method, url, headers: flags.list('header').map(headerField) }
    const report = await explainReport(await sourceOf(input), request)
    const isBroken = report.mode === 'offline' && report.refused.length > 0
    return {
      exitCode: report.verdict.outcome === 'fails' || isBroken ? 1 : 0,
      output: { data: report, view: { kind: 'text', text: explainText(report, context) } },
    }
  },
}

function sourceOf(input: CommandInput) {
  const { flags, context } = input
  const paths = flags.list('file')
  if (paths.length === 0) return openLive(input)
  const { readInput } = context
  const namespace = flags.text('namespace')
  return openOffline({ paths, namespace, readInput, from: flags.text('from') })
}

function headerField(text: string): HeaderField {
  const colon = text.indexOf(':')
  if (colon <= 0) {
    throw usageError(`-H ${JSON.stringify(text)} is no header`, "write -H 'name: value'")
  }
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]
}
