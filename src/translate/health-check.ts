/**
 * Active health checks of a DestinationRule's host, which Istio's API has no field for: said by annotations.
 *
 * `tulle.dev/health-check` says what is asked: `http:/PATH`, `tcp`, `grpc` or `grpc:SERVICE`; the others have the defaults
 * of Kubernetes' probes. Each client checks each endpoint, by the way that its requests take: through the endpoint's
 * sidecar, where it has one. What cannot be read is an issue, and nothing is checked.
 */
import { durationMs } from '../model/duration.ts'
import type { Resource } from '../model/resource.ts'
import type { Service, ServicePort } from '../registry/service.ts'
import { CodecClientType } from '../xds/proto/generated/envoy/type/v3/http.ts'
import type { HttpVersion } from './connection-pool.ts'
import type { MergedRule } from './destination-rule-index.ts'
import type { Finding } from './finding.ts'
import { durationOf } from './message.ts'
import { isHttp } from './virtual-host.ts'

const prefix = 'tulle.dev/health-check'

type Probe =
  | { readonly kind: 'http'; readonly path: string }
  | { readonly kind: 'tcp' }
  | { readonly kind: 'grpc'; readonly service: string }

interface HealthCheck {
  readonly probe: Probe
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly unhealthyThreshold: number
  readonly healthyThreshold: number
}

interface CheckedService {
  readonly rule: MergedRule | undefined
  readonly service: Pick<Service, 'hostname' | 'resolution'>
  readonly port: ServicePort
}

/** The `health_checks` of a cluster of the rule; none where nothing, or nothing that can be read, is said. */
export function translateHealthChecks(input: CheckedService, version: HttpVersion) {
  const { rule, service } = input
  // A name that is resolved for each request has no endpoints to check.
  if (service.resolution === 'none' || service.resolution === 'dynamic-dns') return {}
  const part = rule?.parts.find(({ metadata }) => metadata.annotations[prefix] !== undefined)
  const check = part === undefined ? undefined : readHealthCheck(part).check
  const healthChecker = check && checkerOf(check.probe, input, version)
  if (check === undefined || healthChecker === undefined) return {}
  const { intervalMs, timeoutMs, unhealthyThreshold, healthyThreshold } = check
  return {
    healthChecks: [
      {
        timeout: durationOf(timeoutMs),
        interval: durationOf(intervalMs),
        // A service that is not called yet is to be known when it is.
        noTrafficInterval: durationOf(intervalMs),
        unhealthyThreshold,
        healthyThreshold,
        healthChecker,
      },
    ],
  }
}

/**
 * Undefined: the port speaks something else than the check, and is not checked. The check is for the service by its name: a
 * cluster's name, which Envoy asks for unless told otherwise, is no host, and sidecars refuse it.
 */
function checkerOf(probe: Probe, { service, port }: CheckedService, version: HttpVersion) {
  const authority = `${service.hostname}:${port.number}`
  switch (probe.kind) {
    case 'http': {
      if (!isHttp(port)) return undefined
      const codecClientType = version === 'http/2' ? CodecClientType.HTTP2 : CodecClientType.HTTP1
      const value = { host: authority, path: probe.path, codecClientType }
      return { $case: 'httpHealthCheck' as const, value }
    }
    case 'tcp':
      return { $case: 'tcpHealthCheck' as const, value: {} }
    case 'grpc': {
      if (version !== 'http/2') return undefined
      return { $case: 'grpcHealthCheck' as const, value: { serviceName: probe.service, authority } }
    }
    default:
      return probe satisfies never
  }
}

/** What is wrong with a rule's annotations. */
export function healthCheckFindings(rule: Resource): readonly Finding[] {
  return readHealthCheck(rule).findings
}

interface Read {
  readonly check: HealthCheck | undefined
  readonly findings: readonly Finding[]
}

function readHealthCheck({ metadata: { annotations } }: Resource): Read {
  const findings: Finding[] = []
  const say: Say = (name, message, remedy) =>
    findings.push({
      code: 'TUL0017',
      severity: 'error',
      path: `metadata.annotations[${name}]`,
      message: `${message}; the host's endpoints are not checked`,
      remedy,
    })
  const known = new Set([prefix, ...Object.values(names)])
  for (const name of Object.keys(annotations)) {
    if (!name.startsWith(prefix) || known.has(name)) continue
    say(name, `unknown annotation "${name}"`, `use one of ${[...known].join(', ')}`)
  }
  const what = annotations[prefix]
  if (what === undefined) {
    const alone = Object.values(names).find((name) => annotations[name] !== undefined)
    if (alone !== undefined) {
      say(alone, `"${alone}" says how, and nothing says what to check`, `add ${prefix}`)
    }
    return { check: undefined, findings }
  }
  const probe = readProbe(what, say)
  const numbers = {
    intervalMs: readDuration(annotations, { name: names.interval, absentMs: 10_000 }, say),
    timeoutMs: readDuration(annotations, { name: names.timeout, absentMs: 1_000 }, say),
    unhealthyThreshold: readCount(annotations, { name: names.unhealthy, absent: 3 }, say),
    healthyThreshold: readCount(annotations, { name: names.healthy, absent: 1 }, say),
  }
  const isWhole = probe !== undefined && findings.length === 0
  return { check: isWhole ? { probe, ...numbers } : undefined, findings }
}

type Say = (name: string, message: string, remedy: string) => void
type Annotations = Readonly<Record<string, string>>

const names = {
  interval: `${prefix}-interval`,
  timeout: `${prefix}-timeout`,
  unhealthy: `${prefix}-unhealthy-threshold`,
  healthy: `${prefix}-healthy-threshold`,
} as const

function readProbe(text: string, say: Say): Probe | undefined {
  if (text === 'tcp') return { kind: 'tcp' }
  if (text === 'grpc') return { kind: 'grpc', service: '' }
  const [, kind, rest = ''] = /^(http|grpc):(.*)$/s.exec(text) ?? []
  if (kind === 'grpc' && /^[^\s]+$/.test(rest)) return { kind, service: rest }
  if (kind === 'http' && /^\/[!-~]*$/.test(rest)) return { kind, path: rest }
  say(
    prefix,
    `must be http:/PATH, tcp, grpc or grpc:SERVICE, got "${text.slice(0, 80)}"`,
    'write what is asked, such as http:/healthz',
  )
  return undefined
}

function readDuration(
  annotations: Annotations,
  { name, absentMs }: { readonly name: string; readonly absentMs: number },
  say: Say,
): number {
  const text = annotations[name]
  if (text === undefined) return absentMs
  const ms = /^\d+(\.\d+)?(ms|s|m|h)$/.test(text) ? durationMs(text) : 0
  if (ms >= 1) return ms
  say(name, `must be a duration of 1 ms at least, got "${text.slice(0, 80)}"`, 'write 5s, or 500ms')
  return absentMs
}

function readCount(
  annotations: Annotations,
  { name, absent }: { readonly name: string; readonly absent: number },
  say: Say,
): number {
  const text = annotations[name]
  if (text === undefined) return absent
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (count >= 1) return count
  say(
    name,
    `must be a number from 1 to 9999, got "${text.slice(0, 80)}"`,
    'write 3, or leave it out',
  )
  return absent
}
