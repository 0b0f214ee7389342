/**
 * Two sidecars with mutual TLS between them: a client's request enters the near one, the application stands behind the far
 * one. Each end may be a sidecar in this process, one in a process of its own, or a real Envoy, and what is spoken
 * between them and to the application is chosen.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { eventually } from './eventually.ts'
import { inboundBootstrap, outboundBootstrap } from './mtls-bootstrap.ts'
import { proxyAt, listenerPorts, type RunningProxy, runTulle } from './mtls-scene.ts'
import { createTestAuthority } from './test-certificate.ts'
import { downstreamJson, upstreamJson } from './transport-socket.ts'

const serverId = 'spiffe://cluster.local/ns/default/sa/server'
const clientId = 'spiffe://cluster.local/ns/default/sa/client'
const authority = await createTestAuthority('mesh')
const bundles = { 'cluster.local': authority.rootPem }
const [server, client] = [
  await authority.issue({ uris: [serverId] }),
  await authority.issue({ uris: [clientId] }),
]

export type Spoken = 'http1' | 'http2' | 'tcp'

export type RunProxy<P extends RunningProxy = RunningProxy> = (bootstrap: string) => Promise<P>

export interface HopOptions<P extends RunningProxy> {
  readonly appPort: number
  readonly near: RunProxy<P>
  readonly far: RunProxy<P>
  /** Between the sidecars, and to the application. */
  readonly between: Spoken
  readonly application: Spoken
}

export interface SidecarHop<P extends RunningProxy> extends AsyncDisposable {
  /** Where clients connect. */
  readonly port: number
  readonly near: P
  readonly far: P
}

/** Between two sidecars of ours in this process, unless asked otherwise. */
export async function startSidecarHop(
  options: Pick<HopOptions<RunningProxy>, 'appPort'> & Partial<HopOptions<RunningProxy>>,
): Promise<SidecarHop<RunningProxy>> {
  const { near = runTulle, far = runTulle, between = 'http2', application = 'http1' } = options
  return startHopOf({ appPort: options.appPort, near, far, between, application })
}

export async function startHopOf<P extends RunningProxy>(
  options: HopOptions<P>,
): Promise<SidecarHop<P>> {
  const { appPort, between, application } = options
  const tcp = between === 'tcp'
  await using stack = new AsyncDisposableStack()
  const inbound = inboundBootstrap({
    tls: downstreamJson({
      certificate: server,
      bundles,
      requires: true,
      alpn: alpn.answered[between],
    }),
    appPort,
    tcp,
    manager: { ...asTranslated, http2_protocol_options: { allow_connect: true } },
    route: { timeout: '0s' },
  })
  const far = stack.use(await options.far(speaking(inbound, application)))
  const outbound = outboundBootstrap({
    tls: upstreamJson({
      certificate: client,
      bundles,
      sans: [serverId],
      serverName: 'outbound_.80_._.server.default.svc.cluster.local',
      alpn: alpn.offered[between],
    }),
    port: far.port,
    tcp,
    manager: asTranslated,
    route: { timeout: '0s' },
  })
  const near = stack.use(await options.near(speaking(outbound, between)))
  const owned = stack.move()
  return { port: near.port, near, far, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** What the translation gives every HTTP connection manager, as far as these tests see it. */
const asTranslated = {
  http_protocol_options: { allow_absolute_url: true, enable_trailers: true },
  upgrade_configs: [{ upgrade_type: 'websocket' }],
  stream_idle_timeout: '0s',
  proxy_100_continue: true,
}

/** As the translation says. */
const alpn = {
  offered: {
    http1: ['istio-http/1.1', 'istio', 'http/1.1'],
    http2: ['istio-h2', 'istio', 'h2'],
    tcp: ['istio-peer-exchange', 'istio'],
  },
  answered: {
    http1: ['h2', 'http/1.1'],
    http2: ['h2', 'http/1.1'],
    tcp: ['istio-peer-exchange', 'h2', 'http/1.1'],
  },
} as const

/** Envoy keeps trailers of HTTP/1.1 where it is told to. */
const explicit = {
  http1: { http_protocol_options: { enable_trailers: true } },
  http2: { http2_protocol_options: {} },
}

interface BootstrapJson {
  static_resources: { clusters: { typed_extension_protocol_options?: object }[] }
}

/** Every cluster of a bootstrap speaks it. */
function speaking(bootstrap: string, spoken: Spoken): string {
  if (spoken === 'tcp') return bootstrap
  const json = JSON.parse(bootstrap) as BootstrapJson
  for (const cluster of json.static_resources.clusters) {
    cluster.typed_extension_protocol_options = {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: explicit[spoken],
      },
    }
  }
  return JSON.stringify(json)
}

export interface SidecarProcess extends RunningProxy {
  residentMb(): number
}

const program = join(import.meta.dirname, '../../bin/tulle')

/** In a process of its own, so that its memory can be told. */
export async function runTulleProcess(bootstrap: string): Promise<SidecarProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-hop-'))
  const file = join(folder, 'bootstrap.json')
  writeFileSync(file, bootstrap)
  const child = spawn(program, ['sidecar', '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  const close = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true })
  }
  try {
    const admin = await adminOf(child)
    const ports = await listenerPorts(admin)
    const proxy = proxyAt(admin, { lines: [], ports, close })
    return { ...proxy, residentMb: () => residentMb(child) }
  } catch (error) {
    await close()
    throw error
  }
}

async function adminOf(child: ChildProcess): Promise<string> {
  const lines: string[] = []
  if (child.stderr !== null) createInterface(child.stderr).on('line', (line) => lines.push(line))
  return eventually(
    () => {
      if (child.exitCode !== null) throw new Error(lines.join('\n'))
      const line = lines.find((candidate) => candidate.includes('sidecar is live'))
      return /127\.0\.0\.1:\d+/.exec(line ?? '')?.[0]
    },
    { deadlineMs: 30_000 },
  )
}

function residentMb(child: ChildProcess): number {
  const status = readFileSync(`/proc/${String(child.pid)}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024
}
