/** An explanation as a person reads it: from the application's call down to the endpoint, one line a decision. */
import { relative } from 'node:path'
import { isDeepStrictEqual } from 'node:util'

import type {
  ByteDestination,
  ClusterReference,
  ClusterSettings,
  ExplainedAction,
  ExplainedCors,
  ExplainedDestination,
  ExplainedForward,
  ExplainedInside,
  ExplainedRetries,
} from '../../proxy/explain/explanation.ts'
import { issuesText } from '../issue-text.ts'
import { printableColoured, type Colour, type Terminal } from '../terminal.ts'
import type { ExplainedRule, ExplainReport, RuleSource } from './explain-report.ts'
import { headerLines, securityText, timeText } from './explain-words.ts'

export interface TextOptions {
  readonly terminal: Terminal
  readonly cwd: string
}

export function explainText(report: ExplainReport, options: TextOptions): string {
  const { request, from, listener, virtualHost } = report
  const { terminal } = options
  const where = report.mode === 'live' ? 'as its sidecar has it now' : 'as the files say'
  const lines = [
    `${terminal.colour('bold', `${request.method} ${request.url}`)} from ${from.namespace}/${from.workload}, ${where}`,
    '',
    field('listener', listener === undefined ? 'none' : `${listener.name} ${listener.address}`),
    ...(listener === undefined ? [] : [field('host', hostText(virtualHost))]),
    ...(report.fetchedOnFirstCall === true ? [field('', notYetText)] : []),
    ...passedLines(report.passedOver, options),
    ...ruleLines(report.rules, options),
    ...(report.action === undefined ? [] : actionLines(report.action, report, options)),
    field('verdict', verdictText(report, terminal)),
    ...(report.issues.length === 0 ? [] : ['', issuesText(report.issues, options).trimEnd()]),
  ]
  return `${lines.map(printableColoured).join('\n')}\n`
}

const labelWidth = 10
const notYetText = 'not called before: fetched on the first call, which waits for it, and then:'

function field(label: string, text: string): string {
  return `${label.padEnd(labelWidth)}${text}`
}

function hostText(host: ExplainReport['virtualHost']): string {
  if (host === undefined) return 'no virtual host has this name'
  // One that came on demand is named with its table before it.
  return `${host.name.replace(/^.*\//, '')}, by ${host.domain}`
}

function passedLines(passed: ExplainReport['passedOver'], options: TextOptions): readonly string[] {
  return passed.map(({ resource, file, line, reason }, index) => {
    const place = placeText({ resource, file, line, path: '' }, options)
    return field(index === 0 ? 'not by' : '', `${resource} (${place}): ${reason}`)
  })
}

const outcomes: Readonly<Record<ExplainedRule['outcome'], readonly [word: string, Colour]>> = {
  matched: ['yes', 'green'],
  failed: ['no', 'red'],
  excluded: ['skip', 'gray'],
}

/** Routes that nobody wrote are shown only when they match. */
function ruleLines(rules: readonly ExplainedRule[], options: TextOptions): readonly string[] {
  const shown = rules.filter(({ source, outcome }) => source !== undefined || outcome === 'matched')
  const places = shown.map(({ source, name }) => placeText(source, options) || `(${name})`)
  const width = Math.max(0, ...places.map((place) => place.length))
  return shown.map((rule, index) => {
    const [word, colour] = outcomes[rule.outcome]
    const mark = options.terminal.colour(colour, word.padEnd(5))
    const label = index === 0 ? 'rules' : ''
    return field(label, `${mark}${(places[index] ?? '').padEnd(width)}  ${reasonText(rule)}`)
  })
}

function placeText(source: RuleSource | undefined, { cwd }: TextOptions): string {
  if (source === undefined) return ''
  if (source.file === '') return `${source.resource} ${source.path}`.trim()
  const short = relative(cwd, source.file)
  return `${short === '' || short.startsWith('..') ? source.file : short}:${source.line}`
}

/** Of a rule that failed only what failed. */
function reasonText({ outcome, name, conditions }: ExplainedRule): string {
  const named = name === '' ? '' : `${name}: `
  if (outcome === 'matched') {
    const met = conditions.map(({ subject, wanted }) => `${subject} ${wanted}`)
    return named + met.join(', ')
  }
  const unmet = conditions.filter(({ isMet }) => !isMet)
  const texts = unmet.map(
    ({ subject, wanted, got }) => `${subject}: wanted ${wanted}, got ${got ?? 'nothing'}`,
  )
  return named + texts.join('; ')
}

function actionLines(
  action: ExplainedAction,
  report: ExplainReport,
  options: TextOptions,
): readonly string[] {
  switch (action.kind) {
    case 'redirect':
      return [
        field('redirect', `${action.status} to ${action.location}`),
        ...headerLines('response', action.responseHeaders).map(indent),
      ]
    case 'answer':
      return [
        field('answer', `${action.status}${action.body === '' ? '' : ` ${clip(action.body)}`}`),
        ...headerLines('response', action.responseHeaders).map(indent),
      ]
    case 'bytes':
      return [
        field('bytes', `passed on as they are, by ${action.by}`),
        ...byteLines(action.destinations, report, options),
      ]
    case 'forward':
    case 'tunnel':
    default:
      return [
        ...forwardLines(action, report, options),
        ...(action.inside === undefined ? [] : insideLines(action.inside, report, options)),
      ]
  }
}

function forwardLines(
  action: ExplainedForward,
  report: ExplainReport,
  options: TextOptions,
): readonly string[] {
  const { mirrors, destinations } = action
  return [
    field('time', timesText(action)),
    ...(action.kind === 'tunnel' ? [] : [field('retries', retriesText(action.retries))]),
    ...faultLines(action).map((line) => field('fault', line)),
    ...(action.hasCors ? [field('cors', corsText(action.cors))] : []),
    ...(action.hashedBy.length === 0 ? [] : [field('hash', `by ${action.hashedBy.join(', ')}`)]),
    ...mirrors.map(({ cluster, percent }) =>
      field('mirror', `${shareText(percent)} to ${referenceText(cluster)}`),
    ),
    field('response', responseText(action)),
    ...destinations.flatMap((destination, index) => [
      field(
        index === 0 ? 'goes to' : '',
        options.terminal.colour(
          'bold',
          `${shareText(destination.share).padEnd(6)}${referenceText(destination)}`,
        ),
      ),
      ...destinationLines({ destination, previous: destinations[index - 1] }, report, options).map(
        indent,
      ),
    ]),
  ]
}

function corsText(cors: ExplainedCors | undefined): string {
  if (cors === undefined) return 'preflights are answered by the sidecar'
  const { origin, isAllowed, status } = cors
  const reads = `${origin} ${isAllowed ? 'may' : 'may not'} read the response`
  return status === undefined ? reads : `the sidecar answers this preflight: ${reads}`
}

function faultLines({ fault }: ExplainedForward): readonly string[] {
  const { delay, abort } = fault ?? {}
  return [
    ...(delay === undefined
      ? []
      : [`${shareText(delay.percent)} wait ${timeText(delay.ms)} first`]),
    ...(abort === undefined ? [] : [`${shareText(abort.percent)} ${abortText(abort)}`]),
  ]
}

function abortText({
  status,
  grpcStatus,
  isReset,
}: NonNullable<NonNullable<ExplainedForward['fault']>['abort']>): string {
  if (isReset === true) return 'are cut off without an answer, FI, and go nowhere'
  const grpc = grpcStatus === undefined ? '' : ` (gRPC status ${grpcStatus})`
  return `are answered ${status} FI${grpc} and go nowhere`
}

/** What the sidecar makes of the tunnel that ends in it. */
function insideLines(
  { kind, by, destinations }: ExplainedInside,
  report: ExplainReport,
  options: TextOptions,
): readonly string[] {
  if (kind === 'requests')
    return [field('inside', 'each request is routed as one without a tunnel')]
  return [field('inside', `bytes, by ${by}`), ...byteLines(destinations, report, options)]
}

function byteLines(
  destinations: readonly ByteDestination[],
  report: ExplainReport,
  options: TextOptions,
): readonly string[] {
  return destinations.flatMap((destination, index) => [
    field(
      index === 0 ? 'goes to' : '',
      `${shareText(destination.share).padEnd(6)}${referenceText(destination)}`,
    ),
    ...targetLines({ destination, previous: destinations[index - 1] }, report, options).map(indent),
  ])
}

/** What becomes of the destination's answer. */
function responseText({ kind, retries, destinations }: ExplainedForward): string {
  if (kind === 'tunnel') return 'bytes pass both ways until either side ends'
  const isRetried = ['5xx', 'gateway-error'].some((word) => retries?.on.includes(word) === true)
  const counts = destinations.filter(({ settings }) => settings?.outlierDetection !== undefined)
  return [
    'passed on as it comes',
    isRetried ? 'a 503 is tried again first' : 'a 503 too',
    ...(counts.length === 0 ? [] : ['errors count towards the ejection of the endpoint']),
  ].join('; ')
}

interface ShownDestination {
  readonly destination: ExplainedDestination
  readonly previous: ExplainedDestination | undefined
}

interface ShownTarget {
  readonly destination: ByteDestination
  readonly previous: ByteDestination | undefined
}

function indent(line: string): string {
  return `${' '.repeat(labelWidth + 6)}${line}`
}

function timesText({ timeoutMs, idleTimeoutMs, maxDurationMs }: ExplainedForward): string {
  const parts = [
    timeoutMs === 0
      ? 'no time-out'
      : `${timeText(timeoutMs)} for the whole answer (504 UT after it)`,
    ...(idleTimeoutMs === undefined || idleTimeoutMs === 0
      ? []
      : [`${timeText(idleTimeoutMs)} without a byte`]),
    ...(maxDurationMs === 0 ? [] : [`${timeText(maxDurationMs)} in all`]),
  ]
  return parts.join(', ')
}

function retriesText(retries: ExplainedRetries | undefined): string {
  if (retries === undefined) return 'none'
  const { attempts, on, statusCodes, perTryTimeoutMs, backoffMs } = retries
  const codes = statusCodes.length === 0 ? '' : ` ${statusCodes.join(', ')}`
  const conditions = on
    .filter((word) => word !== 'retriable-status-codes' || codes !== '')
    .map((word) => (word === 'retriable-status-codes' ? `status${codes}` : word))
  return [
    `up to ${attempts} on ${conditions.join(', ')}`,
    ...(perTryTimeoutMs === 0 ? [] : [`each try ${timeText(perTryTimeoutMs)}`]),
    `after ${timeText(backoffMs.base)} to ${timeText(backoffMs.max)}`,
    ...(retries.avoidsPreviousHosts ? ['on another endpoint'] : []),
  ].join('; ')
}

function destinationLines(
  { destination, previous }: ShownDestination,
  report: ExplainReport,
  options: TextOptions,
): readonly string[] {
  const { request } = destination
  const before = report.request.url.replace(/^[a-z]+:\/\/[^/?#]*/i, '') || '/'
  const isRewritten = request.path !== '' && request.path !== before.replace(/#.*/, '')
  return [
    ...(isRewritten ? [`path ${before} becomes ${request.path}`] : []),
    ...(isAuthorityOf(request.authority, report.request.url)
      ? []
      : [`host becomes ${request.authority}`]),
    ...headerLines('request', request.headers),
    ...headerLines('response', destination.responseHeaders),
    ...targetLines({ destination, previous }, report, options),
  ]
}

/** Of the cluster, whatever is sent there. */
function targetLines(
  { destination, previous }: ShownTarget,
  report: ExplainReport,
  options: TextOptions,
): readonly string[] {
  const { settings, endpoints } = destination
  return [
    ...(settings === undefined ? ['no such cluster'] : []),
    // What holds for the destination before as well is not said again.
    ...(settings === undefined || isDeepStrictEqual(settings, previous?.settings)
      ? []
      : settingsLines(settings, report, options)),
    ...endpoints.map((endpoint) => {
      const health = options.terminal.colour(
        endpoint.health === 'healthy' ? 'green' : 'red',
        endpoint.health,
      )
      const parts = [
        endpoint.address.padEnd(21),
        health,
        securityText(endpoint.security),
        endpoint.workload,
        ...(endpoint.locality === '' ? [] : [endpoint.locality]),
        ...(endpoint.weight === 1 ? [] : [`weight ${endpoint.weight}`]),
      ]
      return parts.filter((part) => part !== '').join('  ')
    }),
    ...(endpoints.length === 0 && settings !== undefined ? [emptyText(settings, report)] : []),
  ]
}

function isAuthorityOf(authority: string, url: string): boolean {
  const written = /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1]?.toLowerCase() ?? ''
  return authority === written || authority === `${written}:443`
}

function emptyText({ discovery }: ClusterSettings, { mode }: ExplainReport): string {
  if (discovery === 'dynamic_forward_proxy') return 'the name is resolved when it is called'
  return mode === 'offline' ? 'no workload in these files serves it' : 'no endpoint serves it'
}

function settingsLines(
  settings: ClusterSettings,
  report: ExplainReport,
  options: TextOptions,
): readonly string[] {
  const { destinationRule, limits, outlierDetection } = settings
  const name =
    destinationRule &&
    `${destinationRule.kind} ${destinationRule.namespace}/${destinationRule.name}`
  const source = report.sources.find(({ resource }) => resource === name)
  const limited = Object.entries(limits).map(
    ([what, value]) => `${limitNames[what] ?? what} ${value}`,
  )
  return [
    ...(name === undefined ? [] : [`by ${name} (${placeText(source, options)})`]),
    [
      settings.balancer,
      ...protocolOf(settings, report),
      `connect within ${timeText(settings.connectTimeoutMs)}`,
    ].join(', '),
    ...(limited.length === 0 ? [] : [`at most ${limited.join(', ')}; beyond it 503 UO`]),
    ...(outlierDetection === undefined ? [] : [ejectionText(outlierDetection)]),
  ]
}

/** Bytes of a tunnel have none. */
function protocolOf({ protocol }: ClusterSettings, { action }: ExplainReport): readonly string[] {
  return action?.kind === 'tunnel' || action?.kind === 'bytes' ? [] : [protocol]
}

const limitNames: Readonly<Record<string, string>> = {
  connections: 'connections',
  pendingRequests: 'waiting requests',
  requests: 'requests',
  retries: 'retries',
}

function ejectionText(detection: NonNullable<ClusterSettings['outlierDetection']>): string {
  const { consecutive5xx, consecutiveGatewayErrors } = detection
  const counts = [
    ...(consecutive5xx === 0 ? [] : [`${consecutive5xx} × 5xx`]),
    ...(consecutiveGatewayErrors === 0 ? [] : [`${consecutiveGatewayErrors} × 502, 503 or 504`]),
  ]
  const why = counts.length === 0 ? 'by its statistics' : `after ${counts.join(' or ')} in a row`
  const one = detection.alwaysEjectsOne ? ', or one' : ''
  const rest = `for ${timeText(detection.baseEjectionMs)} and longer, at most ${detection.maxEjectionPercent} % of them${one}`
  return `an endpoint is ejected ${why} ${rest}`
}

export function referenceText({ cluster, host, port, subset }: ClusterReference): string {
  if (host === '') return cluster
  return `${host}:${port ?? ''}${subset === '' ? '' : ` subset ${subset}`}`
}

function shareText(share: number): string {
  return `${Number(share.toFixed(2))} %`
}

function verdictText({ verdict }: ExplainReport, terminal: Terminal): string {
  const colour = verdict.outcome === 'fails' ? 'red' : 'green'
  const status = [verdict.status, verdict.flag].filter((part) => part !== undefined && part !== '')
  const words = [verdict.outcome, ...(status.length === 0 ? [] : [status.join(' ')])].join(' ')
  return `${terminal.colour(colour, words)}: ${verdict.message}`
}

function clip(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 57)}…` : line)
}
