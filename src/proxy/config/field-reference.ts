/**
 * Renders docs/reference/envoy-fields.md from the tables of fields that compiling itself uses, so that the page cannot say
 * anything else than the code does. A test compares the committed page; UPDATE_DOCS=1 rewrites it.
 */
import { bufferPerRouteRule, bufferRule } from '../filter/buffer-filter.ts'
import { corsPolicyRule } from '../filter/cors-policy.ts'
import { faultRule } from '../filter/fault-settings.ts'
import { healthCheckFilterRule } from '../filter/health-check-settings.ts'
import { localRateLimitRule } from '../filter/local-rate-limit.ts'
import { routeConfigurationRule, routeRules } from '../route/route-fields.ts'
import { operatorNames } from '../telemetry/log-operator.ts'
import {
  leastRequestRule,
  maglevRule,
  randomRule,
  ringHashRule,
  roundRobinRule,
} from './balancing-fields.ts'
import { bootstrapRule } from './bootstrap-fields.ts'
import { clusterRule, forwardProxyClusterRule, upstreamHttpRule } from './cluster-fields.ts'
import { networkStateRule } from './compile-filter-state.ts'
import { connectionLimitRule, networkRateLimitRule } from './compile-gate.ts'
import { filterFeatures, forwardProxyFilterRule } from './compile-http-filter.ts'
import { proxyProtocolRule, tlsInspectorRule } from './compile-listener-filter.ts'
import { assignmentRule } from './endpoint-fields.ts'
import { type FieldRule, type MessageRule, snakeCase } from './field-rule.ts'
import { connectionManagerRule, listenerRule, routerRule, tcpProxyRule } from './listener-fields.ts'
import { grpcStatsRule, grpcWebRule } from './plan-filters.ts'
import { proxyTransportRule } from './tls-fields.ts'

interface Section {
  readonly title: string
  readonly rules: readonly MessageRule[]
}

const sections: readonly Section[] = [
  { title: 'Bootstrap', rules: [bootstrapRule] },
  {
    title: 'Listeners (LDS)',
    rules: [
      listenerRule,
      proxyProtocolRule,
      tlsInspectorRule,
      connectionLimitRule,
      networkRateLimitRule,
      networkStateRule,
      connectionManagerRule,
      tcpProxyRule,
    ],
  },
  {
    title: 'HTTP filters',
    rules: [
      routerRule,
      forwardProxyFilterRule,
      faultRule,
      corsPolicyRule,
      healthCheckFilterRule,
      grpcWebRule,
      grpcStatsRule,
      localRateLimitRule,
      bufferRule,
      bufferPerRouteRule,
    ],
  },
  { title: 'Routes (RDS)', rules: [routeConfigurationRule, ...routeRules] },
  {
    title: 'Clusters (CDS)',
    rules: [
      clusterRule,
      upstreamHttpRule,
      proxyTransportRule,
      forwardProxyClusterRule,
      roundRobinRule,
      leastRequestRule,
      randomRule,
      ringHashRule,
      maglevRule,
    ],
  },
  { title: 'Endpoints (EDS)', rules: [assignmentRule] },
]

const head = `# Envoy's fields

What the sidecar does with each field of Envoy's v3 API. A field that is not in its message's table is refused by name, as
is one marked so here: the whole resource then keeps its last good version, and the reason goes back to whoever sent it.

- **used**: has its effect.
- **ignored**: accepted, without effect; the note says why that is safe.
- **refused**: the note is the reason that the NACK, or the error of the bootstrap, gives.

This page is generated from the tables in \`src/proxy/config\` and \`src/proxy/route\`.
`

export function renderFieldReference(): string {
  const seen = new Set<MessageRule>()
  const parts = sections.map(({ title, rules }) => {
    const extra = title === 'HTTP filters' ? filterList() : ''
    const tables = rules.flatMap((rule) => collect(rule, seen)).map(renderMessage)
    return `\n## ${title}\n${extra}${tables.join('')}`
  })
  return `${head}${parts.join('')}${operatorList()}`
}

/** The message and those inside it, each once, outer ones first. */
function collect(rule: MessageRule, seen: Set<MessageRule>): readonly MessageRule[] {
  if (seen.has(rule)) return []
  seen.add(rule)
  const inner = Object.values(rule.fields).flatMap((field) =>
    field.is === 'used' && field.message !== undefined ? collect(field.message, seen) : [],
  )
  return [rule, ...inner]
}

function renderMessage(rule: MessageRule): string {
  const rows = Object.entries(rule.fields)
    .map(([name, field]) => [snakeCase(name), field] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `| \`${name}\` | ${field.is} | ${noteOf(field)} |\n`)
  if (rows.length === 0) return ''
  return `\n### ${rule.type}\n\n| Field | Here | Note |\n| --- | --- | --- |\n${rows.join('')}`
}

function noteOf(field: FieldRule): string {
  const accepts = field.is === 'refused' && field.accepts?.length ? field.accepts : undefined
  const accepted = accepts === undefined ? '' : ` (accepted: ${accepts.map(String).join(', ')})`
  return `${field.note ?? ''}${accepted}`.replaceAll('|', '\\|')
}

function operatorList(): string {
  const rows = operatorNames.map((name) => `- \`%${name}%\`\n`)
  return `\n## Operators of formats

What stands in formats of access logs (text and JSON), of headers that routes add and of local replies. Arguments and lengths
(\`%REQ(X?Y):Z%\`, \`%START_TIME(%s)%\`) are Envoy's. An operator that is not here is refused by name; of \`%METADATA%\` there is
\`DYNAMIC\` only.

${rows.join('')}`
}

function filterList(): string {
  const rows = filterFeatures.map(({ type, state }) => `| \`${type}\` | ${state} |\n`)
  const text =
    'Filters run in the order of `http_filters`; the router is last and mandatory. A filter that is not in this list is ' +
    'refused unless it is marked `is_optional`; one that is `disabled` runs where a route says something to it.'
  return `\n${text}\n\n| Filter | Here |\n| --- | --- |\n${rows.join('')}`
}
