/** What a route test expects against what would happen: one line for each difference, none when it passes. */
import { durationMs } from '../../model/duration.ts'
import type {
  ExpectedDestination,
  ExpectedHeaders,
  RouteExpectation,
} from '../../model/mesh/route-test.ts'
import type {
  ByteDestination,
  ClusterReference,
  ExplainedAction,
  ExplainedForward,
  HeaderChanges,
} from '../../proxy/explain/explanation.ts'
import type { HeaderField } from '../../proxy/explain/request-target.ts'
import { resolveHost } from '../../translate/host-name.ts'
import type { ExplainReport } from '../explain/explain-report.ts'
import { timeText } from '../explain/explain-words.ts'
import { compareFault, isShareSame } from './compare-fault.ts'
import { different } from './difference.ts'

export function compareCase(
  expect: RouteExpectation,
  report: ExplainReport,
  namespace: string,
): readonly string[] {
  const { action, verdict } = report
  return [
    ...compareVerdict(expect, report),
    ...compareRoute(expect, report),
    ...compareRedirect(expect, action),
    ...compareBody(expect, report),
    ...compareFault(expect, action),
    ...(verdict.outcome === 'forwarded' || expect.status !== undefined
      ? compareForwarded(expect, action, { report, namespace })
      : []),
    ...compareResponseHeaders(expect, action),
  ]
}

function compareBody(
  { body, status }: RouteExpectation,
  { action, verdict }: ExplainReport,
): readonly string[] {
  if (body === undefined) return []
  if (action?.kind === 'answer') {
    return action.body === body ? [] : [different('body', body, action.body)]
  }
  // Elsewhere the verdict has said so.
  const isOpen = status !== undefined || verdict.outcome === 'answered'
  return isOpen ? [`body: expected ${JSON.stringify(body)}, and no direct response is sent`] : []
}

interface ComparedReport {
  readonly report: ExplainReport
  readonly namespace: string
}

/** Beside a `status` it is where the route leads, whoever answers: a fault, the filter for CORS, a want of endpoints. */
function compareForwarded(
  expect: RouteExpectation,
  action: ExplainedAction | undefined,
  { report, namespace }: ComparedReport,
): readonly string[] {
  if (action === undefined || !('destinations' in action)) {
    return needsForward(expect) ? ['expected a route that leads somewhere, and none does'] : []
  }
  const isRequest = action.kind === 'forward' || action.kind === 'tunnel'
  return [
    ...compareDestinations(expect, destinationsOf(action), namespace),
    ...(isRequest ? compareMirrors(expect, action, namespace) : []),
    ...(isRequest ? compareForward(expect, action, report) : []),
  ]
}

/** At the end of a tunnel that the sidecar looks into. */
function destinationsOf(
  action: Extract<ExplainedAction, { readonly destinations: unknown }>,
): readonly ByteDestination[] {
  const isInside = action.kind === 'tunnel' && action.inside?.kind === 'bytes'
  return isInside ? action.inside.destinations : action.destinations
}

/** Whether it goes where such an expectation can be met at all. */
function compareVerdict(expect: RouteExpectation, { verdict }: ExplainReport): readonly string[] {
  const got = `${verdict.outcome} ${[verdict.status, verdict.flag].join(' ')}`.trim()
  const text = `got ${got}: ${verdict.message}`
  if (expect.status !== undefined) {
    return verdict.status === expect.status ? [] : [`status: expected ${expect.status}, ${text}`]
  }
  if (expect.redirect !== undefined) {
    return verdict.outcome === 'redirected' ? [] : [`expected a redirect, ${text}`]
  }
  if (expect.body !== undefined) {
    return verdict.outcome === 'answered' ? [] : [`expected an answer of the route, ${text}`]
  }
  if (verdict.outcome === 'fails') return [`expected no failure, ${text}`]
  return !needsForward(expect) || verdict.outcome === 'forwarded'
    ? []
    : [`expected to be forwarded, ${text}`]
}

function needsForward(expect: RouteExpectation): boolean {
  const { destination, destinations, rewrite, requestHeaders, timeout, retries, mirrors } = expect
  return [destination, destinations, rewrite, requestHeaders, timeout, retries, mirrors].some(
    (field) => field !== undefined,
  )
}

/** Names of routes are `http-name` or `http-name.match-name`. */
function compareRoute({ route }: RouteExpectation, { rules }: ExplainReport): readonly string[] {
  if (route === undefined) return []
  const matched = rules.find(({ outcome }) => outcome === 'matched')
  const name = matched?.name ?? ''
  return name === route || name.startsWith(`${route}.`) ? [] : [different('route', route, name)]
}

function compareRedirect(
  { redirect }: RouteExpectation,
  action: ExplainedAction | undefined,
): readonly string[] {
  if (redirect === undefined || action?.kind !== 'redirect') return []
  return [
    ...(action.location === redirect.location
      ? []
      : [different('redirect.location', redirect.location, action.location)]),
    ...(redirect.status === undefined || redirect.status === action.status
      ? []
      : [different('redirect.status', redirect.status, action.status)]),
  ]
}

function compareForward(
  expect: RouteExpectation,
  forward: ExplainedForward,
  report: ExplainReport,
): readonly string[] {
  const { rewrite, timeout, retries } = expect
  return [
    ...forward.destinations.flatMap(({ request }) => [
      ...(rewrite?.path === undefined || rewrite.path === request.path
        ? []
        : [different('rewrite.path', rewrite.path, request.path)]),
      ...(rewrite?.authority === undefined || rewrite.authority === request.authority
        ? []
        : [different('rewrite.authority', rewrite.authority, request.authority)]),
      ...compareHeaders('requestHeaders', expect.requestHeaders, {
        changes: request.headers,
        given: report.request.headers,
      }),
    ]),
    ...(timeout === undefined || durationMs(timeout) === forward.timeoutMs
      ? []
      : [different('timeout', timeout, timeText(forward.timeoutMs))]),
    ...compareRetries(retries, forward),
  ].filter((line, index, all) => all.indexOf(line) === index)
}

function compareRetries(
  expected: RouteExpectation['retries'],
  { retries }: ExplainedForward,
): readonly string[] {
  if (expected === undefined) return []
  const attempts = retries?.attempts ?? 0
  const perTryMs = retries?.perTryTimeoutMs ?? 0
  const { perTryTimeout } = expected
  return [
    ...(attempts === expected.attempts
      ? []
      : [different('retries.attempts', expected.attempts, attempts)]),
    ...(perTryTimeout === undefined || durationMs(perTryTimeout) === perTryMs
      ? []
      : [different('retries.perTryTimeout', perTryTimeout, timeText(perTryMs))]),
  ]
}

function compareDestinations(
  { destination, destinations }: RouteExpectation,
  got: readonly ByteDestination[],
  namespace: string,
): readonly string[] {
  if (destination !== undefined) {
    const isFound = got.some((one) => isSame(destination, one, namespace))
    const isAlone = got.length === 1 || destination.share !== undefined
    const text = got.map(destinationText).join(', ')
    return isFound && isAlone
      ? []
      : [`destination: expected ${expectedText(destination)}, got ${text}`]
  }
  return destinations === undefined
    ? []
    : compareAll('destinations', destinations, { got, namespace })
}

function compareMirrors(
  { mirrors }: RouteExpectation,
  forward: ExplainedForward,
  namespace: string,
): readonly string[] {
  const got = forward.mirrors.map(({ cluster, percent }) => ({ ...cluster, share: percent }))
  return mirrors === undefined ? [] : compareAll('mirrors', mirrors, { got, namespace })
}

type SharedCluster = ClusterReference & Pick<ByteDestination, 'share'>

function compareAll(
  what: string,
  expected: readonly ExpectedDestination[],
  { got, namespace }: { readonly got: readonly SharedCluster[]; readonly namespace: string },
): readonly string[] {
  const missing = expected.filter((one) => !got.some((real) => isSame(one, real, namespace)))
  const others = got.filter((real) => !expected.some((one) => isSame(one, real, namespace)))
  return [
    ...missing.map((one) => `${what}: expected ${expectedText(one)}, and it is not there`),
    ...others.map((real) => `${what}: got ${destinationText(real)}, which is not expected`),
  ]
}

function isSame(
  { host, subset, port, share }: ExpectedDestination,
  got: SharedCluster,
  namespace: string,
): boolean {
  const isHost = got.host === resolveHost(host, namespace) || got.cluster === host
  const isSubset = subset === undefined || got.subset === subset
  const isPort = port === undefined || got.port === port
  const isShare = share === undefined || isShareSame(share, got.share)
  return isHost && isSubset && isPort && isShare
}

function expectedText({ host, subset, port, share }: ExpectedDestination): string {
  return destinationWords({ host, subset, port, share })
}

function destinationText({ host, cluster, subset, port, share }: SharedCluster): string {
  return destinationWords({ host: host === '' ? cluster : host, subset, port, share })
}

function destinationWords({
  host,
  subset = '',
  port,
  share,
}: {
  readonly host: string
  readonly subset: string | undefined
  readonly port: number | undefined
  readonly share: number | undefined
}): string {
  const where = `${host}${port === undefined ? '' : `:${port}`}`
  const part = subset === '' ? '' : ` subset ${subset}`
  return `${where}${part}${share === undefined ? '' : ` ${Number(share.toFixed(2))} %`}`
}

/** Set on the response of each destination, or on the sidecar's own. */
function compareResponseHeaders(
  { responseHeaders }: RouteExpectation,
  action: ExplainedAction | undefined,
): readonly string[] {
  if (responseHeaders === undefined || action === undefined || action.kind === 'bytes') return []
  const all =
    'destinations' in action
      ? action.destinations.map((destination) => destination.responseHeaders)
      : [action.responseHeaders]
  return [
    ...new Set(
      all.flatMap((got) =>
        compareHeaders('responseHeaders', responseHeaders, { changes: got, given: [] }),
      ),
    ),
  ]
}

interface SeenHeaders {
  readonly changes: HeaderChanges
  /** What the message had before. */
  readonly given: readonly HeaderField[]
}

function compareHeaders(
  what: string,
  expected: ExpectedHeaders | undefined,
  { changes, given }: SeenHeaders,
): readonly string[] {
  const has = (name: string) =>
    name in changes.set || given.some(([own]) => own.toLowerCase() === name)
  const isGone = (name: string) =>
    changes.removed.includes(name) || (what === 'requestHeaders' && !has(name))
  const wrong = Object.entries(expected?.set ?? {}).filter(
    ([name, value]) => changes.set[name.toLowerCase()] !== value,
  )
  const kept = (expected?.removed ?? []).filter((name) => !isGone(name.toLowerCase()))
  return [
    ...wrong.map(([name, value]) =>
      different(`${what}.set.${name}`, value, changes.set[name.toLowerCase()]),
    ),
    ...kept.map((name) => `${what}.removed: expected ${name} to be removed, and it is not`),
  ]
}
