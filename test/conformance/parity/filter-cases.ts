/** Requests about faults and CORS, asked of both proxies. */
import type { ParityCase } from './case-table.ts'

const fault = (name: string, path: string, more: Partial<ParityCase> = {}): ParityCase => ({
  name,
  host: 'fault.test',
  path,
  ...more,
})

const grpc = { 'content-type': 'application/grpc' }

interface CorsAsk {
  readonly origin?: string
  readonly method?: string
  readonly asks?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** With `asks` a preflight for that method. */
function cors(name: string, path: string, ask: CorsAsk): ParityCase {
  const { origin, asks } = ask
  return {
    name,
    host: 'cors.test',
    path,
    method: ask.method ?? (asks === undefined ? 'GET' : 'OPTIONS'),
    headers: {
      ...(origin !== undefined && { origin }),
      ...(asks !== undefined && { 'access-control-request-method': asks }),
      ...ask.headers,
    },
  }
}

const retry = (name: string, path: string, more: Partial<ParityCase> = {}): ParityCase => ({
  name,
  host: 'retry.test',
  path,
  ...more,
})

export const filterCases: readonly ParityCase[] = [
  // Faults.
  fault('a fault of the virtual host', '/host'),
  fault('an abort by route', '/abort'),
  fault('an abort of a request with a body', '/abort', { method: 'POST', body: 'hello' }),
  fault('a rate of the response', '/rate?do=large&n=20000'),
  fault('a rate of a response without a body', '/rate?do=bare&n=204'),
  fault('a rate of a response in chunks', '/rate?do=chunked'),
  fault('a rate of a response that breaks off', '/rate?do=half-reset'),
  fault('a rate of HEAD', '/rate', { method: 'HEAD' }),
  fault('no header for the rate', '/header-rate?do=large&n=20000'),
  fault('a rate by header', '/header-rate?do=large&n=20000', {
    headers: { 'x-envoy-fault-throughput-response': '100' },
  }),
  fault('a rate by header that is none', '/header-rate?do=large&n=2000', {
    headers: { 'x-envoy-fault-throughput-response': '0' },
  }),
  fault('a rate by header whose share is nothing', '/header-rate?do=large&n=2000', {
    headers: {
      'x-envoy-fault-throughput-response': '1',
      'x-envoy-fault-throughput-response-percentage': '0',
    },
  }),
  fault('an abort of HEAD', '/abort', { method: 'HEAD' }),
  fault('an abort of a gRPC request', '/abort', { method: 'POST', headers: grpc }),
  fault('a gRPC status for a plain request', '/grpc-abort'),
  fault('a gRPC status for a gRPC request', '/grpc-abort', { method: 'POST', headers: grpc }),
  fault('an abort of no request', '/never'),
  fault('an abort without a percentage', '/unset'),
  fault('a delay that is longer than the time-out', '/delay'),
  fault('a delay of a request with a body', '/delay', { method: 'POST', body: 'hello' }),
  fault('a delay and then an abort', '/both'),
  fault('a delay before a connection that is refused', '/refused'),
  fault('no header to delay or abort', '/by-header'),
  fault('a delay by header', '/by-header', { headers: { 'x-envoy-fault-delay-request': '20' } }),
  fault('an abort by header', '/by-header', { headers: { 'x-envoy-fault-abort-request': '511' } }),
  fault('an abort by header with a status that is none', '/by-header', {
    headers: { 'x-envoy-fault-abort-request': '600' },
  }),
  fault('a gRPC abort by header', '/by-header', {
    method: 'POST',
    headers: { ...grpc, 'x-envoy-fault-abort-grpc-request': '5' },
  }),
  fault('an abort by header whose share is nothing', '/by-header', {
    headers: {
      'x-envoy-fault-abort-request': '511',
      'x-envoy-fault-abort-request-percentage': '0',
    },
  }),
  fault('a delay by header whose share is nothing', '/by-header', {
    headers: {
      'x-envoy-fault-delay-request': '20',
      'x-envoy-fault-delay-request-percentage': '0',
    },
  }),
  fault('a fault for a header that is there', '/matched', { headers: { 'x-user': 'jason' } }),
  fault('a fault for a header that is not there', '/matched'),
  fault('a fault for the cluster', '/cluster-a'),
  fault('a fault for another cluster', '/cluster-b'),
  fault('a fault for a cluster that does not exist', '/no-cluster'),
  fault('a fault for the node', '/nodes', {
    headers: { 'x-envoy-downstream-service-node': 'n2' },
  }),
  fault('a fault for another node', '/nodes', {
    headers: { 'x-envoy-downstream-service-node': 'n3' },
  }),
  fault('a fault for a node, and none is named', '/nodes'),
  fault('no faults at a time', '/no-active'),
  fault('a fault that is switched off by route', '/switched-off'),
  fault('a fault in a wrapper', '/wrapped'),
  fault('a fault of the part of a split', '/weighted'),
  fault('a fault before a direct response', '/direct'),
  fault('a delay before a redirect', '/redirect'),
  fault('response headers of the route on an abort', '/'),
  fault('the filter’s own fault', '/', { listener: 'own-fault' }),
  fault('a route without faults over the filter’s own', '/none', { listener: 'own-fault' }),
  fault('a route’s fault over the filter’s own', '/own', { listener: 'own-fault' }),
  fault('a filter that is disabled', '/', { listener: 'off' }),
  fault('a filter that is disabled, and a route that says something to it', '/own', {
    listener: 'off',
  }),
  // Retries and time-outs that the request has a say in.
  retry('a retry for requests with a header, and none', '/some?do=flaky&n=1'),
  retry('a retry for requests with a header', '/some?do=flaky&n=1', { headers: { 'x-again': '' } }),
  retry('a retry for requests with a method', '/some?do=flaky&n=1', { method: 'PUT', body: 'x' }),
  retry('a retry that the request asks for itself', '/some?do=flaky&n=1', {
    headers: { 'x-envoy-retry-on': '5xx' },
  }),
  retry('another answer in place of a time-out', '/slow?do=slow&n=600', {
    headers: { 'x-envoy-upstream-rq-timeout-alt-response': '1' },
  }),
  retry('another answer in place of a time-out, for gRPC', '/slow?do=slow&n=600', {
    method: 'POST',
    headers: { ...grpc, 'x-envoy-upstream-rq-timeout-alt-response': '1' },
  }),
  retry('another answer in place of a try’s time-out', '/tries?do=slow&n=600', {
    headers: { 'x-envoy-upstream-rq-timeout-alt-response': '1' },
  }),
  retry('another answer where nothing is late', '/some', {
    headers: { 'x-envoy-upstream-rq-timeout-alt-response': '1' },
  }),
  ...[1, 2, 3, 4].flatMap((retries) =>
    [1, 2].map((every) =>
      retry(
        `${retries} retries that leave out priorities after every ${every}`,
        `/prio-${retries}-${every}?do=status&n=503`,
      ),
    ),
  ),
  // CORS.
  cors('no origin', '/', {}),
  cors('an origin of the virtual host', '/', { origin: 'http://host.test' }),
  cors('an origin in capitals', '/', { origin: 'HTTP://HOST.test' }),
  cors('an origin by prefix', '/', { origin: 'https://pre.anything' }),
  cors('an origin by regular expression', '/', { origin: 'https://abc.regex.test' }),
  cors('an origin that is not allowed', '/', { origin: 'http://other.test' }),
  cors('an empty origin', '/', { origin: '' }),
  cors('a preflight', '/', { origin: 'http://host.test', asks: 'PUT' }),
  cors('a preflight that asks for headers', '/', {
    origin: 'http://host.test',
    asks: 'PUT',
    headers: { 'access-control-request-headers': 'x-z' },
  }),
  cors('a preflight from an origin that is not allowed', '/', {
    origin: 'http://other.test',
    asks: 'PUT',
  }),
  cors('OPTIONS without a method to ask for', '/', {
    origin: 'http://host.test',
    method: 'OPTIONS',
  }),
  cors('a method to ask for without OPTIONS', '/', {
    origin: 'http://host.test',
    asks: 'PUT',
    method: 'GET',
  }),
  cors('the route’s own origins', '/own', { origin: 'http://own.test' }),
  cors('the virtual host’s origin on a route with its own', '/own', { origin: 'http://host.test' }),
  cors('a preflight on a route with its own origins', '/own', {
    origin: 'http://own.test',
    asks: 'GET',
  }),
  cors('an unmatched preflight that is answered', '/ignore', {
    origin: 'http://other.test',
    asks: 'GET',
  }),
  cors('a preflight to anything', '/wild', {
    origin: 'http://any.test',
    asks: 'DELETE',
    headers: {
      'access-control-request-headers': 'x-1,x-2',
      'access-control-request-private-network': 'true',
    },
  }),
  cors('any origin', '/wild', { origin: 'null' }),
  cors('a policy that is not enabled', '/disabled', { origin: 'http://host.test' }),
  cors('a policy that only counts', '/shadow', { origin: 'http://host.test', asks: 'GET' }),
  cors('CORS switched off by route', '/off', { origin: 'http://host.test', asks: 'GET' }),
  cors('an origin and a direct response', '/direct', { origin: 'http://host.test' }),
  cors('a preflight to a redirect', '/redirect', { origin: 'http://host.test', asks: 'GET' }),
  cors('an origin and a cluster that does not exist', '/nowhere', { origin: 'http://host.test' }),
  {
    name: 'an origin and an abort',
    host: 'both.test',
    path: '/',
    headers: { origin: 'http://host.test' },
  },
]
