/**
 * A small reader of resources in YAML, for tests of rooms that take the parser as an argument. It knows
 * documents, their positions and syntax errors; what a kind allows is the model's business. A document with
 * `spec.broken` counts as invalid.
 */
import { LineCounter, parseAllDocuments } from 'yaml'

import type { Issue } from '../../src/model/issue.ts'
import type { Resource } from '../../src/model/resource.ts'

interface Envelope {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata?: {
    readonly name?: string
    readonly namespace?: string
    readonly labels?: Record<string, string>
    readonly annotations?: Record<string, string>
    readonly creationTimestamp?: string
  }
  readonly spec?: Record<string, unknown>
}

export interface ParsedYaml {
  readonly resources: readonly Resource[]
  readonly issues: readonly Issue[]
}

export function parseYaml(text: string, file: string): ParsedYaml {
  const lines = new LineCounter()
  const resources: Resource[] = []
  const issues: Issue[] = []
  const documents = parseAllDocuments(text, { lineCounter: lines })
  if (!Array.isArray(documents)) return { resources, issues }
  for (const document of documents) {
    const { line, col } = lines.linePos(document.contents?.range?.[0] ?? 0)
    const position = { file, line, column: col }
    const fault = (message: string, resource = ''): void => {
      const [code, severity, path, remedy] = ['TUL0001', 'error' as const, '', 'Correct it.']
      issues.push({ code, severity, ...position, resource, path, message, remedy })
    }
    const [error] = document.errors
    if (error !== undefined) {
      fault(error.message)
      continue
    }
    // What a test writes has this shape, or lacks parts of it.
    const written = document.toJS() as Envelope | null
    if (written === null) continue
    const resource = resourceOf(written, position)
    if (resource === undefined) fault('no kind or no name')
    else if (written.spec?.['broken'] !== undefined) {
      fault('broken', `${resource.kind} ${resource.metadata.namespace}/${resource.metadata.name}`)
    } else resources.push(resource)
  }
  return { resources, issues }
}

function resourceOf(
  written: Envelope,
  position: { file: string; line: number; column: number },
): Resource | undefined {
  const { apiVersion, kind, metadata, spec } = written
  if (apiVersion === undefined || kind === undefined || metadata?.name === undefined) {
    return undefined
  }
  const age = metadata.creationTimestamp
  return {
    apiVersion,
    kind,
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace ?? 'default',
      labels: metadata.labels ?? {},
      annotations: metadata.annotations ?? {},
      creationTimestampMs: age === undefined ? undefined : Date.parse(age),
    },
    spec: spec ?? {},
    origin: { ...position, positionOf: () => position },
  }
}
