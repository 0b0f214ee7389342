/** `tulle describe KIND NAME`: one object with where it comes from and what is wrong about it. */
import { stringify } from 'yaml'

import { declaredInAnnotation, type ApiObject, type ObjectList } from '../../api/object.ts'
import { viewPath, type IssueObject } from '../../api/view.ts'
import type { Issue } from '../../model/issue.ts'
import { apiClient } from '../api-client.ts'
import { kindPath, objectPath } from '../api-path.ts'
import { meshFlags, namespaceFlag, outputFlag, type Command } from '../command.ts'
import { issuesText } from '../issue-text.ts'

export const describeCommand: Command = {
  name: 'describe',
  summary: 'show one object, where it was declared and what is wrong about it',
  arguments: [
    { name: '<kind>', summary: 'such as virtualservice, dr, workload' },
    { name: '<name>', summary: 'its name' },
  ],
  flags: [outputFlag, namespaceFlag, ...meshFlags],
  examples: [
    { command: 'tulle describe dr my-go-service', does: 'a DestinationRule and its warnings' },
    { command: 'tulle describe workload my-go-service-v1', does: 'a workload and its health' },
  ],
  async run({ arguments: words, flags, context }) {
    const [kindName = '', name = ''] = words
    const kind = kindPath(kindName)
    const api = apiClient(flags, context)
    const found = await api.get<ApiObject>(objectPath(kind, api.namespace, name))
    const { items } = await api.get<ObjectList<IssueObject>>(viewPath('issues'))
    const subject = `${found.kind} ${found.metadata.namespace ?? ''}/${found.metadata.name}`
    const issues = items.map(({ issue }) => issue).filter(({ resource }) => resource === subject)
    const text = describeText(subject, found, issuesText(issues, context))
    return {
      exitCode: hasErrors(issues) ? 1 : 0,
      output: { data: { object: found, issues }, view: { kind: 'text', text } },
    }
  },
}

function hasErrors(issues: readonly Issue[]): boolean {
  return issues.some(({ severity }) => severity === 'error')
}

function describeText(subject: string, found: ApiObject, issues: string): string {
  const declared = found.metadata.annotations?.[declaredInAnnotation]
  const { apiVersion, kind: _kind, metadata: _metadata, ...rest } = found
  const labels = Object.entries(found.metadata.labels ?? {}).map(
    ([key, value]) => `${key}=${value}`,
  )
  return [
    `${subject} (${apiVersion})`,
    ...(declared === undefined ? [] : [`declared in ${declared}`]),
    ...(labels.length === 0 ? [] : [`labels: ${labels.join(', ')}`]),
    '',
    stringify(rest).trimEnd(),
    '',
    issues === '' ? 'no issues' : issues.trimEnd(),
    '',
  ].join('\n')
}
