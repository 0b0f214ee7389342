/** Sidecar, field by field, by Istio's rules. Those about hosts are in sidecar-host.ts. */
import { labels, portOrZero } from '../schema/field-shape.ts'
import {
  checkUnixAddress,
  hostLabel,
  isHostName,
  isIpAddress,
  unixPrefix,
} from '../schema/host-format.ts'
import { entriesOf } from '../schema/rule.ts'
import { clip, list, object, oneOf, refine, required, text } from '../schema/shape.ts'
import type { Check, Problem, Reading, Rule, Shape } from '../schema/shape.ts'
import { itemPath } from '../schema/source-node.ts'
import { connectionPool } from './connection-pool-shape.ts'
import { destination } from './destination-shape.ts'
import { ingressTls } from './ingress-tls-shape.ts'
import { checkProtocol, isHttpProtocol, isTlsProtocol } from './protocol.ts'
import { sidecarHosts } from './sidecar-host.ts'
import type {
  EgressListener,
  IngressListener,
  OutboundTrafficPolicy,
  SidecarPort,
  SidecarSpec,
} from './sidecar.ts'

const captureMode = () => oneOf('DEFAULT', 'IPTABLES', 'NONE')

/** Of a listener that is an HTTP proxy for every port. */
const httpProxy = 'HTTP_PROXY'

const checkListenerProtocol: Check<string> = (value) =>
  value.toUpperCase() === httpProxy ? undefined : checkProtocol(value)

const sidecarPort = (): Shape<SidecarPort> =>
  object<SidecarPort>(
    {
      number: portOrZero(),
      protocol: text(checkListenerProtocol),
      name: text(hostLabel),
      targetPort: portOrZero(),
    },
    (value, path, reading) => {
      if ((value.targetPort ?? 0) === 0) return
      reading.report(`${path}.targetPort`, {
        message: 'targetPort has no impact on Sidecars',
        remedy: 'Remove targetPort; an ingress listener has defaultEndpoint.',
      })
    },
  )

/** `127.0.0.1:8080`, `[::1]:8080`, `:8080`, `unix:///run/app.sock`; the addresses are those of the workload itself. */
const checkEndpoint: Check<string> = (value) => {
  if (value === '') return undefined
  if (value.startsWith(unixPrefix)) return checkUnixAddress(value)
  const match = /^(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]|):(\d+)$/.exec(value)
  const port = Number(match?.[2])
  if (match !== null && port >= 1 && port <= 65_535) return undefined
  return {
    message:
      'must be 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT, or unix:// and a path, ' +
      `got "${clip(value)}"`,
    remedy: 'Name the port, or the socket, of the application in the same workload.',
  }
}

const checkBind: Check<string> = (value) =>
  value === '' || isIpAddress(value)
    ? undefined
    : {
        message: `must be an IP address, got "${clip(value)}"`,
        remedy: 'Write an address such as 127.0.0.1.',
      }

const checkEgressBind: Check<string> = (value) =>
  value.startsWith(unixPrefix) ? checkUnixAddress(value) : checkBind(value)

const ingress: Shape<IngressListener> = object<IngressListener>(
  {
    port: required(sidecarPort()),
    bind: text(checkBind),
    captureMode: captureMode(),
    defaultEndpoint: text(checkEndpoint),
    tls: ingressTls(),
    connectionPool: connectionPool(),
  },
  checkIngress,
)

function checkIngress(value: Partial<IngressListener>, path: string, reading: Reading): void {
  const { port, connectionPool: pool } = value
  if (port === undefined) return
  if ((port.number ?? 0) === 0) {
    reading.report(`${path}.port.number`, {
      message: 'must be a port from 1 to 65535',
      remedy: 'Name the port that callers use.',
    })
  }
  if (reading.isPresent(`${path}.tls`) && !isTlsProtocol(port.protocol)) {
    reading.report(`${path}.tls`, {
      message: `TLS settings need protocol HTTPS or TLS, got ${port.protocol ?? 'none'}`,
      remedy: 'Set protocol HTTPS or TLS, or remove tls.',
    })
  }
  if (pool?.http === undefined || isHttpProtocol(port.protocol)) return
  reading.report(`${path}.connectionPool.http`, {
    code: 'IST0133',
    severity: 'warning',
    message: `HTTP settings for a port whose protocol is not HTTP (${port.protocol ?? 'none'}); only TCP settings apply`,
    remedy: 'Remove connectionPool.http, or set protocol HTTP.',
  })
}

const egress: Shape<EgressListener> = object<EgressListener>(
  {
    port: sidecarPort(),
    bind: text(checkEgressBind),
    captureMode: captureMode(),
    hosts: required(sidecarHosts()),
  },
  checkEgress,
)

function checkEgress(value: Partial<EgressListener>, path: string, reading: Reading): void {
  const { port, bind = '' } = value
  if (port === undefined) return
  const isSocket = bind.startsWith(unixPrefix)
  const isZero = (port.number ?? 0) === 0
  if (isZero && !isSocket) {
    reading.report(`${path}.bind`, {
      message: 'ports with 0 value must have a unix domain socket bind address',
      remedy: 'Set bind to unix:// and a path, or name a port.',
    })
  }
  if (isZero && value.captureMode === 'IPTABLES') {
    reading.report(`${path}.captureMode`, {
      message: 'captureMode must be DEFAULT or NONE for a unix domain socket, got "IPTABLES"',
      remedy: 'Remove captureMode.',
    })
  }
  if (!isZero && isSocket) {
    reading.report(`${path}.bind`, {
      message: `must be an IP address where the port is ${String(port.number)}, got "${clip(bind)}"`,
      remedy: 'Set port.number to 0 for a socket.',
    })
  }
}

const outboundTrafficPolicy: Shape<OutboundTrafficPolicy> = object<OutboundTrafficPolicy>(
  {
    mode: oneOf('REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS'),
    egressProxy: destination(),
  },
  (value, path, reading) => {
    const { egressProxy } = value
    if (egressProxy === undefined) return
    const at = `${path}.egressProxy`
    if (value.mode !== 'ALLOW_ANY') {
      reading.report(at, {
        message: `egressProxy needs mode ALLOW_ANY, got ${value.mode ?? 'none'}`,
        remedy: 'Set mode ALLOW_ANY, or remove egressProxy.',
      })
      return
    }
    // A host that is no name at all has its own issue.
    const host: string | undefined = egressProxy.host
    if (host !== undefined && !isHostName(host)) {
      reading.report(`${at}.host`, {
        message: `must be a full host name, got "${clip(host)}"`,
        remedy: 'Write a host such as proxy.default.svc.cluster.local.',
      })
    }
    if (egressProxy.port !== undefined) return
    reading.report(`${at}.port`, {
      message: 'is required',
      remedy: 'Add port.number.',
    })
  },
)

const selector = object<NonNullable<SidecarSpec['workloadSelector']>>(
  { labels: labels() },
  (value, path, reading) => {
    if (reading.isPresent(`${path}.labels`) && Object.keys(value.labels ?? {}).length > 0) return
    reading.report(path, {
      code: 'IST0133',
      severity: 'warning',
      message: 'a workloadSelector without labels applies to all services of the namespace',
      remedy: 'Add labels, or remove the selector.',
    })
  },
)

const checkNotEmpty: Rule<SidecarSpec> = (value, path, reading) => {
  const says = ['ingress', 'egress', 'outboundTrafficPolicy', 'inboundConnectionPool'].some(
    (name) => reading.isPresent(`${path}.${name}`) || reading.isPresent(`${path}.${name}[0]`),
  )
  if (says && (value.ingress?.length !== 0 || value.egress?.length !== 0)) return
  reading.report(path, {
    message: 'empty configuration provided',
    remedy: 'Add ingress, egress, outboundTrafficPolicy or inboundConnectionPool.',
  })
}

interface PortedListener {
  readonly port?: SidecarPort
  readonly bind?: string
}

function repeated(place: string): Problem {
  return {
    message: `${place} is there twice: ports of listeners must be unique`,
    remedy: 'Keep one listener for each port, or each socket.',
  }
}

function checkUnique(listeners: readonly PortedListener[], path: string, reading: Reading): void {
  const seen = new Set<string>()
  for (const [index, { port, bind = '' }] of entriesOf(listeners)) {
    if (port === undefined) continue
    const place = (port.number ?? 0) === 0 ? bind : `port ${String(port.number)}`
    if (seen.has(place)) reading.report(`${itemPath(path, index)}.port`, repeated(place))
    seen.add(place)
  }
}

function checkCatchAll(listeners: readonly EgressListener[], path: string, reading: Reading): void {
  for (const [index, { port }] of entriesOf(listeners)) {
    if (port !== undefined || reading.isPresent(`${itemPath(path, index)}.port`)) continue
    if (index === listeners.length - 1) continue
    reading.report(itemPath(path, index), {
      message: 'the egress listener with empty port should be the last listener in the list',
      remedy: 'Move it to the end; there can be only one.',
    })
  }
}

export const sidecarShape: Shape<SidecarSpec> = object<SidecarSpec>(
  {
    workloadSelector: selector,
    ingress: refine(list(ingress), checkUnique),
    egress: refine(list(egress), checkUnique, checkCatchAll),
    inboundConnectionPool: connectionPool(),
    outboundTrafficPolicy,
  },
  checkNotEmpty,
)
