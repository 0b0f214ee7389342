/**
 * What a request looks like after the listener has read it, and before the upstream gets it: one spelling of
 * path and host, and the headers that a proxy owns (Envoy's HCM `mutateRequestHeaders`, and the router's part).
 */
import { isIP } from 'node:net'

import { clientCertHeader, shapeClientCert } from './exchange-client-cert.ts'
import { addVia, isGrpc } from './exchange-response.ts'
import type { ExchangeScope } from './exchange-scope.ts'
import { stripAuthority } from './http/authority.ts'
import type { HeaderList } from './http/header-list.ts'
import type { RequestHead } from './http/message.ts'
import { normalizePath } from './http/path.ts'
import { sanitizeReferer } from './http/referer.ts'
import type { ClientCertForwarding, HttpConnectionManager } from './listener/listener-config.ts'
import { unmapped } from './wire/proxy-protocol.ts'

/** What shaping found out. */
export type ShapedRequest =
  | {
      readonly kind: 'ok'
      readonly remoteAddressText: string
      /** The client waits for 100 Continue; its Expect is gone from the headers. */
      readonly expectsContinue: boolean
    }
  | {
      readonly kind: 'bad-path' | 'relative-path' | 'missing-host' | 'no-route' | 'forbidden-scheme'
    }
  | { readonly kind: 'redirect'; readonly location: string }

/** What shaping reads of a connection. */
export interface ShapeScope extends Pick<
  ExchangeScope,
  | 'localPort'
  | 'remoteAddress'
  | 'remoteAddressText'
  | 'security'
  | 'clientCertElement'
  | 'requestIds'
> {
  readonly manager: Omit<
    HttpConnectionManager,
    'routes' | 'filters' | 'observers' | 'stats' | 'http2'
  >
}

/** Changes `head` in place, before any filter or route sees it. */
export function shapeRequest(head: RequestHead, scope: ShapeScope): ShapedRequest {
  return shapeTarget(head, scope) ?? shapeHeaders(head, scope)
}

export type RefusedShape = Exclude<ShapedRequest, { kind: 'ok' }>

/** Host and path alone; what is wrong with them, or undefined. */
export function shapeTarget(head: RequestHead, scope: ShapeScope): RefusedShape | undefined {
  const { manager } = scope
  if (manager.stripPort !== 'none' || manager.stripTrailingHostDot === true) {
    // As Envoy: a CONNECT keeps its port, which is where it leads, unless it is the listener's own.
    const keepsPort = manager.stripPort === 'any' && head.method === 'CONNECT'
    head.authority = stripAuthority(head.authority, {
      port: keepsPort ? 'none' : manager.stripPort,
      listenerPort: scope.localPort,
      trailingDot: manager.stripTrailingHostDot === true,
    })
  }
  const fault = faultOf(head, scope)
  if (fault !== undefined) return { kind: fault }
  if (rewritesPaths(manager) && head.path.startsWith('/')) {
    const result = normalizePath(head.path, manager)
    head.path = result.path
    if (result.kind === 'reject') return { kind: 'bad-path' }
    if (result.kind === 'redirect') {
      // As Envoy: no gRPC client follows one.
      return isGrpc(head) ? { kind: 'bad-path' } : { kind: 'redirect', location: result.path }
    }
  }
  return undefined
}

type Fault = Exclude<ShapedRequest['kind'], 'ok' | 'redirect'>

function faultOf(head: RequestHead, scope: ShapeScope): Fault | undefined {
  if (head.authority === '') return 'missing-host'
  if (head.hasScheme === true && claimsEncryption(head, scope)) return 'forbidden-scheme'
  if (head.path.includes('#')) return 'bad-path'
  return isRelative(head) ? 'relative-path' : undefined
}

/** As Envoy: an edge believes nobody who speaks plaintext and says https. */
function claimsEncryption({ scheme }: RequestHead, { manager, security }: ShapeScope): boolean {
  const isEdge = manager.useRemoteAddress && manager.xffTrustedHops === 0
  return isEdge && scheme === 'https' && security === undefined
}

/** CONNECT has no path. */
function isRelative({ path, method }: RequestHead): boolean {
  return path.charCodeAt(0) !== 0x2f && (method !== 'CONNECT' || path !== '')
}

function rewritesPaths(manager: ShapeScope['manager']): boolean {
  return manager.normalizePath || manager.mergeSlashes || manager.escapedSlashes !== 'keep'
}

interface Seen {
  /** How many fields. */
  forwardedFor: number
  forwardedProto: boolean
  requestId: boolean
  clientCert: boolean
  envoy: boolean
  expect: boolean
  referer: boolean
}

/** One look at each header finds what the rest decides on. */
function look(fields: readonly string[]): Seen {
  const seen: Seen = {
    forwardedFor: 0,
    forwardedProto: false,
    requestId: false,
    clientCert: false,
    envoy: false,
    expect: false,
    referer: false,
  }
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string // in bounds
    const initial = name.charCodeAt(0)
    if (initial === 0x65 && name === 'expect') seen.expect = true
    else if (initial === 0x72 && name === 'referer') seen.referer = true
    if (initial !== 0x78) continue
    if (name === 'x-forwarded-for') seen.forwardedFor += 1
    else if (name === 'x-forwarded-proto') seen.forwardedProto = true
    else if (name === 'x-request-id') seen.requestId = fields[index + 1] !== ''
    else if (name === clientCertHeader) seen.clientCert = true
    else if (name.startsWith('x-envoy-')) seen.envoy = true
  }
  return seen
}

function shapeHeaders(head: RequestHead, scope: ShapeScope): ShapedRequest {
  const { manager } = scope
  const { headers } = head
  const seen = look(headers.fields)
  const remote = readRemote(forwardedFor(headers, seen), scope)
  addForwarded(headers, scope, seen)
  shapeScheme(head, scope, seen)
  if (seen.forwardedProto && cameByNothing(headers)) return { kind: 'no-route' }
  if (seen.referer) sanitizeReferer(headers)
  if (seen.clientCert || scope.security !== undefined) {
    shapeClientCert(headers, manager.clientCert ?? sanitizing, scope)
  }
  const isEdge = manager.useRemoteAddress && !remote.isInternal
  if (seen.envoy) sanitize(headers, remote.isInternal, isEdge)
  addOrigin(headers, remote, isEdge)
  if (manager.generateRequestId) identify(headers, scope, seen.requestId && !isEdge)
  if (manager.via !== undefined) addVia(headers, manager.via)
  const expectsContinue = takeExpectation(headers, manager, seen)
  return { kind: 'ok', remoteAddressText: remote.text, expectsContinue }
}

/** As Envoy: several fields become one list, whoever adds to it next. */
function forwardedFor(headers: HeaderList, seen: Seen): string | undefined {
  if (seen.forwardedFor === 0) return undefined
  const addresses = headers.getAll('x-forwarded-for') ?? ''
  if (seen.forwardedFor > 1) headers.set('x-forwarded-for', addresses)
  return addresses
}

/** As Envoy: where the scheme that a request came by is empty, there is no route for it. */
function cameByNothing(headers: HeaderList): boolean {
  return headers.get('x-forwarded-proto') === ''
}

function shapeScheme(head: RequestHead, scope: ShapeScope, seen: Seen): void {
  const { scheme } = scope.manager
  if (scheme !== undefined) {
    head.scheme = scheme
    head.headers.set('x-forwarded-proto', scheme)
  } else if (head.protocol !== 'HTTP/2' && head.hasScheme !== true) {
    head.scheme = schemeOf(head.headers, scope, seen)
  }
}

/** A request that does not say its scheme came by that which the first proxy saw, else by the connection's. */
function schemeOf(headers: HeaderList, scope: ShapeScope, seen: Seen): RequestHead['scheme'] {
  const own = scope.security === undefined ? 'http' : 'https'
  if (!seen.forwardedProto) return own
  const forwarded = headers.get('x-forwarded-proto')?.toLowerCase()
  return forwarded === 'http' || forwarded === 'https' ? forwarded : own
}

/** Envoy answers 100 itself and lets nothing of it go upstream; other expectations pass. */
function takeExpectation(headers: HeaderList, manager: ShapeScope['manager'], seen: Seen): boolean {
  if (!seen.expect || manager.proxies100Continue === true) return false
  if (headers.getAll('expect')?.toLowerCase() !== '100-continue') return false
  headers.remove('expect')
  return true
}

function addForwarded(headers: HeaderList, scope: ShapeScope, seen: Seen): void {
  const { useRemoteAddress, skipXffAppend, xffTrustedHops, appendsForwardedPort } = scope.manager
  if (useRemoteAddress && !skipXffAppend) appendForwardedFor(headers, scope)
  if (!seen.forwardedProto || (useRemoteAddress && xffTrustedHops === 0)) {
    headers.set('x-forwarded-proto', scope.security === undefined ? 'http' : 'https')
  }
  if (appendsForwardedPort !== true || !useRemoteAddress) return
  if (xffTrustedHops === 0 || !headers.has('x-forwarded-port')) {
    headers.set('x-forwarded-port', String(scope.localPort))
  }
}

/** Where the request began, for the services behind. */
function addOrigin(headers: HeaderList, remote: Remote, isEdge: boolean): void {
  if (remote.isInternal) headers.append('x-envoy-internal', 'true')
  if (isEdge && remote.address !== '') headers.set('x-envoy-external-address', remote.address)
}

/** An id that came is kept, unless an edge may not trust it. */
function identify(headers: HeaderList, scope: ShapeScope, isTrusted: boolean): void {
  if (isTrusted) return
  if (scope.manager.preserveExternalRequestId && headers.get('x-request-id')) return
  headers.set('x-request-id', scope.requestIds.next())
}

const sanitizing: ClientCertForwarding = { mode: 'sanitize', details: [] }

interface Remote {
  readonly address: string
  /** With the port, as logs print it. */
  readonly text: string
  readonly isInternal: boolean
}

/** Envoy's XFF rules: whom the nearest trusted proxy saw, and whether the request began inside. */
function readRemote(forwardedFor: string | undefined, scope: ShapeScope): Remote {
  const { manager } = scope
  const isInternalAddress = manager.isInternalAddress ?? noAddress
  if (forwardedFor === undefined) {
    const isInternal = manager.useRemoteAddress && isInternalAddress(unmapped(scope.remoteAddress))
    return direct(scope, isInternal)
  }
  const hops = manager.useRemoteAddress ? manager.xffTrustedHops - 1 : manager.xffTrustedHops
  if (hops < 0) return direct(scope, false)
  const addresses = forwardedFor.split(',')
  const trusted = addresses[addresses.length - 1 - hops]?.trim()
  if (trusted === undefined || isIP(trusted) === 0) return direct(scope, false)
  const isSingle = addresses.length === 1 && !manager.useRemoteAddress
  const isInternal = isSingle && isInternalAddress(trusted)
  return { address: trusted, text: `${trusted}:0`, isInternal }
}

function direct(scope: ShapeScope, isInternal: boolean): Remote {
  return { address: scope.remoteAddress, text: scope.remoteAddressText, isInternal }
}

function noAddress(): boolean {
  return false
}

function appendForwardedFor(headers: HeaderList, scope: ShapeScope): void {
  const before = headers.getAll('x-forwarded-for')
  const value =
    before === undefined || before === '' ? scope.remoteAddress : `${before},${scope.remoteAddress}`
  headers.set('x-forwarded-for', value)
}

/** Envoy header sanitizing: what only an internal caller may say, and what only an edge must drop. */
function sanitize(headers: HeaderList, isInternal: boolean, isEdge: boolean): void {
  for (const name of proxyOwned) headers.remove(name)
  if (isInternal) return
  for (const name of internalOnly) headers.remove(name)
  if (!isEdge) return
  for (const name of edgeOnly) headers.remove(name)
}

/** Never believed, whoever sends it. */
const proxyOwned = ['x-envoy-internal']

const internalOnly = [
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-force-trace',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-ip-tags',
  'x-envoy-max-retries',
  'x-envoy-original-url',
  'x-envoy-retriable-header-names',
  'x-envoy-retriable-status-codes',
  'x-envoy-retry-grpc-on',
  'x-envoy-retry-on',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-stream-duration-ms',
]

const edgeOnly = [
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-external-address',
  'x-envoy-original-host',
  'x-envoy-original-path',
]
