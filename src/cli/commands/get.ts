/** `tulle get KIND [NAME]`: objects of a running mesh, as its control plane has them. */
import type { ApiObject, ObjectList } from '../../api/object.ts'
import type { IssueObject } from '../../api/view.ts'
import { apiClient } from '../api-client.ts'
import { kindPath, objectPath, type KindPath } from '../api-path.ts'
import { meshFlags, namespaceFlag, outputFlag, type CliContext, type Command } from '../command.ts'
import { countIssues, issuesText } from '../issue-text.ts'
import { objectTable } from '../object-table.ts'
import type { Output } from '../output.ts'
import { object } from '../proxy-config/config-dump.ts'

export const getCommand: Command = {
  name: 'get',
  summary: 'list objects of a running mesh, or show one',
  description:
    'KIND is a kind of Istio, the Gateway API or Kubernetes by any of its names (vs, destinationrules), or ' +
    'what runs: workloads, proxies, services.tulle.dev, issues.',
  arguments: [
    { name: '<kind>', summary: 'such as virtualservices, vs, workloads, issues' },
    { name: '[name]', summary: 'one object' },
  ],
  flags: [
    outputFlag,
    namespaceFlag,
    { flags: '-A, --all-namespaces', summary: 'of all namespaces' },
    ...meshFlags,
  ],
  examples: [
    { command: 'tulle get vs', does: 'the VirtualServices' },
    { command: 'tulle get vs my-go-service -o yaml', does: 'one of them, as the mesh has it' },
    { command: 'tulle get issues', does: 'what is wrong in the configuration' },
  ],
  async run({ arguments: words, flags, context }) {
    const [kindName = '', name] = words
    const kind = kindPath(kindName)
    const api = apiClient(flags, context)
    const namespace = flags.isSet('allNamespaces') ? undefined : api.namespace
    const path = objectPath(kind, name === undefined ? namespace : api.namespace, name)
    if (name !== undefined) {
      const found = await api.get<ApiObject>(path)
      return { exitCode: 0, output: listOutput(kind, [found], { data: found, context }) }
    }
    const found = await api.get<ObjectList>(path)
    return { exitCode: 0, output: listOutput(kind, found.items, { data: found, context }) }
  },
}

function listOutput(
  kind: KindPath,
  items: readonly ApiObject[],
  { data, context }: { data: unknown; context: CliContext },
): Output {
  if (kind.plural === 'issues') {
    const issues = (items as readonly IssueObject[]).map(({ issue }) => issue)
    const text =
      issues.length === 0 ? 'no issues\n' : `${issuesText(issues, context)}${countIssues(issues)}\n`
    return { data, view: { kind: 'text', text } }
  }
  return { data, view: { kind: 'table', table: objectTable(kind.kind, items.map(object)) } }
}
