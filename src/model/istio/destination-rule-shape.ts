/** DestinationRule, field by field. */
import { durationText, exportTo, labels, port } from '../schema/field-shape.ts'
import { hostLabel, ipOrHostName, wildcardHostName } from '../schema/host-format.ts'
import { atLeastOne, entriesOf, excludes, reportRepeats } from '../schema/rule.ts'
import {
  bool,
  int,
  list,
  number,
  object,
  oneOf,
  refine,
  required,
  text,
  uint32Max,
} from '../schema/shape.ts'
import type { Reading, Rule, Shape } from '../schema/shape.ts'
import { fieldPath, itemPath } from '../schema/source-node.ts'
import { connectionPool, outlierDetection } from './connection-pool-shape.ts'
import type {
  ClientTlsSettings,
  DestinationRuleSpec,
  LabelSelector,
  PortTrafficPolicy,
  PortTrafficPolicyBlocks,
  ProxyProtocol,
  RetryBudget,
  Subset,
  TrafficPolicy,
  TunnelSettings,
} from './destination-rule.ts'
import { portSelector } from './destination-shape.ts'
import { loadBalancer } from './load-balancer-shape.ts'

const blocks = {
  loadBalancer: loadBalancer(),
  connectionPool: connectionPool(),
  outlierDetection: outlierDetection(),
  tls: clientTls(),
}

const blockNames = ['loadBalancer', 'connectionPool', 'outlierDetection', 'tls'] as const

const trafficPolicy: Shape<TrafficPolicy> = object<TrafficPolicy>(
  {
    ...blocks,
    portLevelSettings: refine(
      list(
        object<PortTrafficPolicy>(
          { port: required(portSelector()), ...blocks },
          atLeastOne<PortTrafficPolicy>(...blockNames),
          warnFailover,
        ),
      ),
      checkPorts,
    ),
    tunnel: object<TunnelSettings>({
      protocol: oneOf('', 'CONNECT', 'POST'),
      targetHost: required(text(ipOrHostName)),
      targetPort: required(port()),
    }),
    proxyProtocol: object<ProxyProtocol>({ version: oneOf('V1', 'V2') }),
    retryBudget: object<RetryBudget>({
      percent: number({ min: 0, max: 100 }),
      minRetryConcurrency: int({ min: 0, max: uint32Max }),
      budgetInterval: durationText({ isZeroAllowed: true }),
    }),
  },
  atLeastOne<TrafficPolicy>(
    ...blockNames,
    'portLevelSettings',
    'tunnel',
    'proxyProtocol',
    'retryBudget',
  ),
  excludes<TrafficPolicy>('tunnel', 'proxyProtocol'),
  warnFailover,
)

/** Nothing fails over unless something finds out that endpoints are unhealthy. */
function warnFailover(
  value: Partial<PortTrafficPolicyBlocks>,
  path: string,
  reading: Reading,
): void {
  if (reading.isPresent(fieldPath(path, 'outlierDetection'))) return
  for (const setting of ['localityLbSetting', 'zoneAwareLbSetting'] as const) {
    const said = value.loadBalancer?.[setting]
    const names = (['failover', 'failoverPriority'] as const).filter(
      (name) => (said?.[name]?.length ?? 0) > 0,
    )
    if (names.length === 0) continue
    reading.report(`${path}.loadBalancer.${setting}.${String(names[0])}`, {
      code: 'IST0133',
      severity: 'warning',
      message: `${names.join(' and ')} has no effect without outlierDetection`,
      remedy: 'Add outlierDetection beside loadBalancer.',
    })
  }
}

function checkPorts(settings: readonly PortTrafficPolicy[], path: string, reading: Reading): void {
  reportRepeats(
    settings,
    (entry) => entry.port?.number,
    (index, number) => {
      reading.report(`${itemPath(path, index)}.port.number`, {
        code: 'IST0133',
        severity: 'warning',
        message: `port ${String(number)} has settings already; these are not used`,
        remedy: 'Join the two entries.',
      })
    },
  )
}

function clientTls(): Shape<ClientTlsSettings> {
  return object<ClientTlsSettings>(
    {
      mode: oneOf('DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'),
      clientCertificate: text(),
      privateKey: text(),
      caCertificates: text(),
      credentialName: text(),
      subjectAltNames: list(text()),
      sni: text(),
      insecureSkipVerify: bool(),
      caCrl: text(),
    },
    checkCredentials,
    checkSkipVerify,
  )
}

const certificateFields = ['clientCertificate', 'privateKey', 'caCertificates', 'caCrl'] as const

function checkCredentials(value: Partial<ClientTlsSettings>, path: string, reading: Reading): void {
  const { mode } = value
  const isNamed = isSet(value.credentialName)
  if (mode === 'ISTIO_MUTUAL') {
    warnUnusedCertificates(value, path, reading)
  } else if ((mode === 'SIMPLE' || mode === 'MUTUAL') && isNamed) {
    forbid(value, certificateFields, 'credentialName', { path, reading })
  } else if (mode === 'MUTUAL') {
    for (const name of ['clientCertificate', 'privateKey'] as const) {
      if (isSet(value[name])) continue
      reading.report(fieldPath(path, name), {
        message: `${name} is required in mode MUTUAL`,
        remedy: `Add ${name}, or use credentialName or mode ISTIO_MUTUAL.`,
      })
    }
  }
}

function checkSkipVerify(value: Partial<ClientTlsSettings>, path: string, reading: Reading): void {
  if (value.insecureSkipVerify !== true) return
  const named = value.mode === 'SIMPLE' ? (['credentialName'] as const) : []
  if (value.mode !== 'SIMPLE' && value.mode !== 'MUTUAL') return
  forbid(value, ['caCertificates', 'subjectAltNames', ...named], 'insecureSkipVerify', {
    path,
    reading,
  })
}

/** Istio accepts them, and uses the workload's own certificate. */
function warnUnusedCertificates(
  value: Partial<ClientTlsSettings>,
  path: string,
  reading: Reading,
): void {
  for (const name of [...certificateFields, 'credentialName'] as const) {
    if (!isSet(value[name])) continue
    reading.report(fieldPath(path, name), {
      code: 'IST0133',
      severity: 'warning',
      message: `${name} is not used in mode ISTIO_MUTUAL`,
      remedy: `Remove ${name}, or set mode MUTUAL.`,
    })
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== ''
}

function forbid(
  ...[value, names, cause, { path, reading }]: [
    Partial<ClientTlsSettings>,
    readonly (keyof ClientTlsSettings)[],
    string,
    { readonly path: string; readonly reading: Reading },
  ]
): void {
  for (const name of names) {
    if (value[name] === undefined || value[name] === '') continue
    reading.report(fieldPath(path, name), {
      message: `${name} cannot be set together with ${cause}`,
      remedy: `Remove ${name} or ${cause}.`,
    })
  }
}

const subset: Shape<Subset> = object<Subset>({
  name: required(text(hostLabel)),
  labels: labels(),
  trafficPolicy,
})

function checkSubsets(subsets: readonly Subset[], path: string, reading: Reading): void {
  reportRepeats(
    subsets,
    (entry) => entry.name,
    (index, name) => {
      reading.report(`${itemPath(path, index)}.name`, {
        message: `subset "${String(name)}" is there twice`,
        remedy: 'Give each subset a name of its own.',
      })
    },
  )
}

/** A rule for some workloads only cannot hold for other namespaces. */
const checkSelectorExport: Rule<DestinationRuleSpec> = (value, path, reading) => {
  if (value.workloadSelector === undefined) return
  const foreign = [...entriesOf(value.exportTo)].find(
    ([, name]) => name !== '.' && name !== reading.namespace,
  )
  if (foreign === undefined) return
  reading.report(itemPath(`${path}.exportTo`, foreign[0]), {
    message: 'a DestinationRule with a workloadSelector can be exported to its own namespace only',
    remedy: 'Write exportTo: ["."], or remove workloadSelector.',
  })
}

export const destinationRuleShape: Shape<DestinationRuleSpec> = object<DestinationRuleSpec>(
  {
    host: required(text(wildcardHostName)),
    trafficPolicy,
    subsets: refine(list(subset), checkSubsets),
    exportTo: exportTo(),
    workloadSelector: object<LabelSelector>({ matchLabels: labels() }, (value, path, reading) => {
      if (Object.keys(value.matchLabels ?? {}).length > 0) return
      reading.report(path, {
        code: 'IST0133',
        severity: 'warning',
        message: 'a workloadSelector without labels selects every workload',
        remedy: 'Add matchLabels, or remove the selector.',
      })
    }),
  },
  checkSelectorExport,
)
