/**
 * The annotations of a workload that say something of its sidecar: `proxy.istio.io/config`, which is a ProxyConfig as YAML
 * inside of the YAML, and those of `sidecar.istio.io` that are fields of it too.
 */
import { reportBelow } from '../effects.ts'
import { readYaml } from '../schema/read-yaml.ts'
import type { Problem, Reading } from '../schema/shape.ts'
import { isNull, keyPath, nodeAt } from '../schema/source-node.ts'
import type { SourceNode } from '../schema/source-node.ts'
import { proxyConfigShape } from './proxy-config-shape.ts'
import type { ProxyConfig, StatsMatcher } from './proxy-config.ts'

export const proxyConfigAnnotation = 'proxy.istio.io/config'

type Annotations = Readonly<Record<string, string>>

/** What is wrong in them; the place is the annotation's, with the path inside of it. */
export function checkProxyAnnotations(
  annotations: Annotations | undefined,
  path: string,
  reading: Reading,
): void {
  const text = annotations?.[proxyConfigAnnotation]
  if (text === undefined) return
  const at = keyPath(path, proxyConfigAnnotation)
  readAnnotation(text, (inner, problem) => {
    const message = inner === '' ? problem.message : `${inner}: ${problem.message}`
    reading.report(at, { ...problem, message })
  })
}

/** What they say; undefined when nothing. Wrong parts were reported when the file was read. */
export function proxyConfigOfAnnotations(
  annotations: Annotations | undefined,
): ProxyConfig | undefined {
  if (annotations === undefined) return undefined
  const text = annotations[proxyConfigAnnotation]
  const config = text === undefined ? undefined : readAnnotation(text, () => {})
  const matcher = statsMatcherOf(annotations, config?.proxyStatsMatcher)
  const tags = [
    ...(config?.extraStatTags ?? []),
    ...namesIn(annotations['sidecar.istio.io/extraStatTags']),
  ]
  return {
    ...config,
    ...(matcher !== undefined && { proxyStatsMatcher: matcher }),
    ...(tags.length > 0 && { extraStatTags: [...new Set(tags)] }),
  }
}

const statsAnnotations = {
  inclusionPrefixes: 'sidecar.istio.io/statsInclusionPrefixes',
  inclusionSuffixes: 'sidecar.istio.io/statsInclusionSuffixes',
  inclusionRegexps: 'sidecar.istio.io/statsInclusionRegexps',
} as const

/** An annotation of its own counts in place of the field, as in Istio. */
function statsMatcherOf(
  annotations: Annotations,
  matcher: StatsMatcher | undefined,
): StatsMatcher | undefined {
  const own = Object.entries(statsAnnotations).flatMap(([field, name]) => {
    const patterns = namesIn(annotations[name])
    return patterns.length === 0 ? [] : [[field, patterns] as const]
  })
  return own.length === 0 ? matcher : { ...matcher, ...Object.fromEntries(own) }
}

function namesIn(list = ''): string[] {
  return list.split(',').filter((name) => name !== '')
}

function readAnnotation(
  text: string,
  report: (path: string, problem: Problem) => void,
): ProxyConfig | undefined {
  const [document, ...others] = Array.from(readYaml(text)).flat()
  for (const problem of document?.problems ?? []) report('', problem)
  if (others.length > 0) report('', oneDocument)
  const root = document?.root
  if (root === undefined || document?.isBroken === true || isNull(root)) return undefined
  const reading = innerReading(root, report)
  const written = { node: root, shape: proxyConfigShape }
  reportBelow(
    { kind: 'Mesh', path: '', pattern: 'spec.meshConfig.defaultConfig' },
    written,
    reading,
  )
  return proxyConfigShape.read(root, '', reading)
}

const oneDocument: Problem = {
  message: 'must be one document of YAML',
  remedy: 'Remove the lines "---".',
}

function innerReading(root: SourceNode, report: Reading['report']): Reading {
  return {
    namespace: '',
    report: (path, problem) => report(path.replace(/^\./, ''), problem),
    isPresent(path) {
      const node = nodeAt(root, path.replace(/^\./, ''))
      return node !== undefined && !isNull(node)
    },
  }
}
