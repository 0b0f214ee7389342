/**
 * What the agent says of itself, on a Unix socket in the workload's state folder (`agent.sock`, for its owner):
 *
 * | path | what |
 * | --- | --- |
 * | /ready | 200 while the certificate is good and the workload is not being ended, else 503; with what is wrong, or soon will be |
 * | /metrics | Prometheus text, under the names of Istio's agent |
 * | /status | the same as JSON, for `tulle status` |
 * | POST /upgrade?command=JSON | a sidecar that this command starts takes over, for `tulle upgrade` |
 *
 * And on loopback, where a ProxyConfig's `statusPort` says so, what Istio's agent answers there:
 *
 * | path | what |
 * | --- | --- |
 * | /healthz/ready | 200 while the sidecar can route and the workload is ready, else 503 with the reason |
 * | /stats/prometheus | metrics of the sidecar and of the agent |
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { dirname } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'
import { createServer } from '../lib/node-http.ts'
import type { AdsRelayStatus } from '../xds/ads-relay.ts'
import { askAdmin } from './admin-client.ts'
import type { CredentialStatus } from './credential/credential-source.ts'
import type { IdentityStatus } from './identity/workload-identity.ts'

export interface AgentStatus {
  /** Undefined: a workload without a certificate. */
  readonly identity: IdentityStatus | undefined
  readonly relay: Pick<AdsRelayStatus, 'state' | 'reason' | 'staleSinceMs'>
  /** It drains, or has drained. */
  readonly isEnding: boolean
  /** Those that its sidecar has asked for. */
  readonly credentials?: readonly CredentialStatus[]
  /** Why the sidecar does not take secrets that it was served. */
  readonly refusedSecrets?: readonly string[]
}

export interface StatusServerOptions {
  /** `agentSocketPath`; one that a run before left is replaced. */
  readonly path: string
  readonly status: () => AgentStatus
  readonly clock: Clock
  readonly upgrade: (command: readonly string[]) => Promise<void>
}

/** Rejections: MESH_LISTEN_FAILED. */
export async function openStatusServer(options: StatusServerOptions): Promise<AsyncDisposable> {
  const { path, status, clock } = options
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  rmSync(path, { force: true })
  const server = createServer((request, response) => {
    response.on('error', () => response.destroy())
    const { pathname = '', searchParams } = URL.parse(request.url ?? '', 'http://agent') ?? {}
    const page = pages[pathname]
    if (pathname === '/upgrade' && request.method === 'POST') {
      void answerUpgrade(response, options, searchParams?.get('command') ?? '')
    } else if (page !== undefined) page(response, status(), clock.nowMs())
    else response.writeHead(404).end('expected /ready, /metrics, /status or POST /upgrade\n')
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new MeshError('MESH_LISTEN_FAILED', `listen on ${path}`, { cause }))
    })
    server.listen(path, resolve)
  })
  chmodSync(path, 0o600)
  return closing(server)
}

export interface StatusPortOptions {
  readonly port: number
  /** The sidecar's admin interface. */
  readonly adminAddress: string
  readonly status: () => AgentStatus
  readonly clock: Clock
}

/** Rejections: MESH_LISTEN_FAILED. */
export async function openStatusPort(options: StatusPortOptions): Promise<AsyncDisposable> {
  const { port } = options
  const server = createServer((request, response) => {
    response.on('error', () => response.destroy())
    const { pathname = '' } = URL.parse(request.url ?? '', 'http://agent') ?? {}
    if (pathname === '/healthz/ready') void answerReady(response, options)
    else if (pathname === '/stats/prometheus') void answerMetrics(response, options)
    else response.writeHead(404).end('expected /healthz/ready or /stats/prometheus\n')
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const remedy = 'end what listens there, or choose another statusPort'
      const message = `listen on 127.0.0.1:${port}, the statusPort`
      reject(new MeshError('MESH_LISTEN_FAILED', message, { cause, remedy }))
    })
    server.listen(port, '127.0.0.1', resolve)
  })
  return closing(server)
}

async function answerReady(
  response: ServerResponse,
  { adminAddress, status, clock }: StatusPortOptions,
): Promise<void> {
  const own = readinessOf(status(), clock.nowMs())
  try {
    const sidecar = await askAdmin({ address: adminAddress, path: '/ready', timeoutMs: 1_000 })
    const isReady = own.isReady && sidecar.status === 200
    response.writeHead(isReady ? 200 : 503, { 'content-type': 'text/plain' })
    response.end(`${own.lines.join('\n')}\nsidecar: ${sidecar.text.trim()}\n`)
  } catch (error) {
    response.writeHead(503, { 'content-type': 'text/plain' }).end(`${describeError(error)}\n`)
  }
}

async function answerMetrics(
  response: ServerResponse,
  { adminAddress, status, clock }: StatusPortOptions,
): Promise<void> {
  const { identity } = status()
  const own = identity === undefined ? '' : metricsText(identity, clock.nowMs())
  try {
    const { text } = await askAdmin({ address: adminAddress, path: '/stats/prometheus' })
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(`${text}${own}`)
  } catch (error) {
    response.writeHead(503, { 'content-type': 'text/plain' }).end(`${describeError(error)}\n`)
  }
}

function closing(server: ReturnType<typeof createServer>): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answerUpgrade(
  response: ServerResponse,
  { upgrade }: Pick<StatusServerOptions, 'upgrade'>,
  text: string,
): Promise<void> {
  try {
    await upgrade(parseCommand(text))
    response.writeHead(200).end('OK\n')
  } catch (error) {
    response.writeHead(500).end(`${describeError(error)}\n`)
  }
}

function parseCommand(text: string): readonly string[] {
  const command: unknown = JSON.parse(text)
  const isCommand = Array.isArray(command) && command.every((word) => typeof word === 'string')
  if (!isCommand || command.length === 0) {
    throw new MeshError('MESH_USAGE', 'command must be a list of words')
  }
  return command
}

type Page = (response: ServerResponse, status: AgentStatus, nowMs: number) => void

const pages: Readonly<Record<string, Page>> = {
  '/ready': (response, status, nowMs) => {
    const { isReady, lines } = readinessOf(status, nowMs)
    response.writeHead(isReady ? 200 : 503, { 'content-type': 'text/plain' })
    response.end(`${lines.join('\n')}\n`)
  },
  '/metrics': (response, { identity }, nowMs) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(identity === undefined ? '' : metricsText(identity, nowMs))
  },
  '/status': (response, status) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(status))
  },
}

function readinessOf(status: AgentStatus, nowMs: number) {
  const { identity, relay, isEnding } = status
  const isExpired = identity?.notAfterMs !== undefined && identity.notAfterMs <= nowMs
  const lines = [
    ...certificateLines(identity, nowMs),
    `control plane: ${relayText(relay)}`,
    ...credentialLines(status),
  ]
  if (isEnding) lines.unshift('workload: draining')
  return { isReady: !isExpired && !isEnding, lines }
}

function certificateLines(identity: IdentityStatus | undefined, nowMs: number): readonly string[] {
  if (identity?.notAfterMs === undefined) return ['certificate: none']
  const { notAfterMs, failure, isNearEnd, spiffeId } = identity
  const until = new Date(notAfterMs).toISOString()
  const isExpired = notAfterMs <= nowMs
  const living = isNearEnd ? 'near its end' : 'good'
  const state = isExpired ? 'expired' : living
  const lines = [`certificate: ${state}, ${spiffeId} until ${until}`]
  return failure === undefined ? lines : [...lines, `renewal: ${failure}`]
}

/** What is wrong with credentials, or may be: nothing else that the workload does depends on them. */
export function credentialLines({
  credentials = [],
  refusedSecrets = [],
}: Pick<AgentStatus, 'credentials' | 'refusedSecrets'>): readonly string[] {
  const found = credentials.flatMap(({ name, reason, isOlderUsed, warnings }) => [
    ...(reason === undefined
      ? []
      : [`credential ${name}: ${reason}${isOlderUsed ? ' (the one before stays in use)' : ''}`]),
    ...warnings.map((warning) => `credential ${name}: ${warning}`),
  ])
  return [...found, ...refusedSecrets.map((reason) => `secret refused: ${reason}`)]
}

function relayText({ state, reason }: AgentStatus['relay']): string {
  return reason === '' ? state : `${state}: ${reason}`
}

function metricsText(identity: IdentityStatus, nowMs: number): string {
  const { notAfterMs = nowMs, requests, failures } = identity
  const samples = [
    [
      'istio_agent_cert_expiry_seconds',
      'gauge',
      '{resource_name="default"}',
      seconds(notAfterMs - nowMs),
    ],
    ['istio_agent_num_outgoing_requests', 'counter', '{request_type="csr"}', requests],
    ['istio_agent_num_failed_outgoing_requests', 'counter', '{request_type="csr"}', failures],
  ] as const
  return samples
    .map(([name, type, labels, value]) => `# TYPE ${name} ${type}\n${name}${labels} ${value}\n`)
    .join('')
}

function seconds(durationMs: number): number {
  return Math.round(durationMs / 1_000)
}
