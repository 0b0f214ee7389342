/**
 * What the agent says of itself, on a Unix socket in the workload's state folder (`agent.sock`, for its owner):
 *
 * | path | what |
 * | --- | --- |
 * | /ready | 200 while the certificate is good and the workload is not being ended, else 503; with what is wrong, or soon will be |
 * | /metrics | Prometheus text, under the names of Istio's agent |
 * | /status | the same as JSON, for `tulle status` |
 * | POST /upgrade?command=JSON | a sidecar that this command starts takes over, for `tulle upgrade` |
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { dirname } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'
import { createServer } from '../lib/node-http.ts'
import type { AdsRelayStatus } from '../xds/ads-relay.ts'
import type { IdentityStatus } from './identity/workload-identity.ts'

export interface AgentStatus {
  /** Undefined: a workload without a certificate. */
  readonly identity: IdentityStatus | undefined
  readonly relay: Pick<AdsRelayStatus, 'state' | 'reason' | 'staleSinceMs'>
  /** It drains, or has drained. */
  readonly isEnding: boolean
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
  '/ready': (response, { identity, relay, isEnding }, nowMs) => {
    const isExpired = identity?.notAfterMs !== undefined && identity.notAfterMs <= nowMs
    const lines = [...certificateLines(identity, nowMs), `control plane: ${relayText(relay)}`]
    if (isEnding) lines.unshift('workload: draining')
    response.writeHead(isExpired || isEnding ? 503 : 200, { 'content-type': 'text/plain' })
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
