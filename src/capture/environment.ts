/**
 * Capture mode `env`: the variables that send an application's plain HTTP through its sidecar, without
 * privileges and without a change of the application.
 *
 * - `HTTP_PROXY` and `http_proxy`: curl, Go, Python and most others (curl reads only the lower-case name).
 * - `NODE_USE_ENV_PROXY`: Node 22.21 and newer read the variables only with it; older ones go past the sidecar.
 *   (`NODE_OPTIONS=--use-env-proxy` would end Node 20 at its start.)
 * - `JAVA_TOOL_OPTIONS`: the JVM knows system properties only. It says so on standard error.
 * - `NO_PROXY`: the host itself is never behind the sidecar; Node and Python need to be told.
 * - `HTTPS_PROXY` and `ALL_PROXY` stay as they are: inside TLS there is nothing that the sidecar could route,
 *   and a SOCKS client would be sent to an HTTP port. What the user set there for their own network still counts.
 * - Clients that speak plain TCP get a localhost port for each upstream, as `<HOST>_<PORT>_ADDRESS`.
 */
import { MeshError } from '../lib/mesh-error.ts'

export type CaptureMode = 'env' | 'netns' | 'redirect' | 'none'

export interface CapturedUpstream {
  readonly host: string
  readonly port: number
  /** Port on 127.0.0.1 that leads there. */
  readonly localPort: number
}

export interface CaptureOptions {
  readonly mode: CaptureMode
  /** Port of the sidecar's `http_proxy` listener on 127.0.0.1. */
  readonly httpProxyPort: number
  readonly upstreams: readonly CapturedUpstream[]
  /** The environment that the application would have without a mesh. */
  readonly base: Readonly<Record<string, string | undefined>>
}

/** Hosts that are reached without the sidecar. */
const directHosts = ['localhost', '127.0.0.1', '::1']

/** Variables to add to the base environment. */
export function captureEnvironment(options: CaptureOptions): Readonly<Record<string, string>> {
  const upstreams = Object.fromEntries(
    options.upstreams.map((upstream) => [
      upstreamVariable(upstream.host, upstream.port),
      `127.0.0.1:${upstream.localPort}`,
    ]),
  )
  if (options.mode === 'none') return upstreams
  if (options.mode === 'env') return { ...proxyVariables(options), ...upstreams }
  const message = `capture mode ${options.mode} is not implemented yet`
  throw new MeshError('MESH_NOT_IMPLEMENTED', message, {
    remedy: 'use capture mode env: HTTP clients that read proxy variables need no change',
  })
}

/** `POSTGRES_5432_ADDRESS` for `postgres:5432`. */
export function upstreamVariable(host: string, port: number): string {
  return `${host.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_${port}_ADDRESS`
}

function proxyVariables(options: CaptureOptions): Record<string, string> {
  const proxy = `http://127.0.0.1:${options.httpProxyPort}`
  const direct = directList(options.base)
  return {
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    NODE_USE_ENV_PROXY: '1',
    JAVA_TOOL_OPTIONS: javaOptions(options),
  }
}

/** What the user exempted already stays exempt. */
function directList(base: CaptureOptions['base']): string {
  const theirs = `${base['NO_PROXY'] ?? ''},${base['no_proxy'] ?? ''}`.split(',')
  const hosts = [...directHosts, ...theirs.map((host) => host.trim())]
  return [...new Set(hosts.filter((host) => host !== ''))].join(',')
}

function javaOptions({ base, httpProxyPort }: CaptureOptions): string {
  const ours = [
    '-Dhttp.proxyHost=127.0.0.1',
    `-Dhttp.proxyPort=${httpProxyPort}`,
    '-Dhttp.nonProxyHosts=localhost|127.*|[::1]',
  ]
  return [base['JAVA_TOOL_OPTIONS'] ?? '', ...ours].join(' ').trim()
}
