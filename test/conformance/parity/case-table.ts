/** The requests that both proxies are asked: each a claim about what the same bootstrap makes of the same bytes. */

export interface ParityCase {
  /** Goes into `x-case` and into the access log. */
  readonly name: string
  /** `main` unless set. */
  readonly listener?: string
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The whole request, in place of all the above; there is no `x-case` then unless it is written. */
  readonly raw?: string
  /** Why one part is not compared, by name of the part. */
  readonly differs?: Partial<Record<ComparedPart, string>>
  /** Tulle refuses with this status on purpose what Envoy lets pass. */
  readonly stricter?: number
}

export type ComparedPart =
  | 'status'
  | 'names'
  | 'body'
  | 'headers'
  | 'upstream'
  | 'log'
  | 'closed'
  | 'interim'

export const parityCases: readonly ParityCase[] = [
  // Virtual hosts.
  { name: 'a virtual host by its exact name', host: 'exact.test', path: '/x' },
  {
    differs: {
      upstream: 'the authority goes on in lower case, as it was matched',
      log: 'the same',
    },
    name: 'a host name in capitals',
    host: 'EXACT.test',
    path: '/x',
  },
  { name: 'a virtual host with its port', host: 'exact.test:8080', path: '/x' },
  { name: 'a port that no virtual host has', host: 'exact.test:9090', path: '/x' },
  { name: 'a suffix wildcard', host: 'any.wild.test', path: '/x' },
  { name: 'the longest suffix wildcard', host: 'any.deep.wild.test', path: '/x' },
  { name: 'a prefix wildcard', host: 'start.anything', path: '/x' },
  { name: 'an unknown host', host: 'unknown.test', path: '/x' },
  { name: 'a virtual host without routes', host: 'empty.test', path: '/x' },
  { name: 'a virtual host that wants TLS', host: 'tls.test', path: '/x?y=1' },
  // Paths.
  { name: 'an exact path', path: '/exact' },
  { name: 'an exact path with a query', path: '/exact?a=b' },
  { name: 'a longer path than the exact one', path: '/exact/more' },
  { name: 'a path in another case', path: '/cAsE' },
  { name: 'a separated prefix itself', path: '/sep' },
  { name: 'a separated prefix with a part behind it', path: '/sep/more?x' },
  { name: 'no separator behind a separated prefix', path: '/separate' },
  { name: 'a path by regular expression', path: '/re/42' },
  { name: 'a regular expression matches whole paths only', path: '/re/42/x' },
  { name: 'a regular expression does not see the query', path: '/re/42?x=y' },
  { name: 'a path with a fragment', path: '/exact#part' },
  // Headers and query parameters.
  { name: 'a header by its exact value', path: '/hdr', headers: { 'x-match': 'one' } },
  { name: 'a header by prefix', path: '/hdr', headers: { 'x-match': 'prefix' } },
  { name: 'a header by regular expression', path: '/hdr', headers: { 'x-match': 'r123' } },
  { name: 'a header by suffix in any case', path: '/hdr', headers: { 'x-match': 'The END' } },
  { name: 'a header by a part of it', path: '/hdr', headers: { 'x-match': 'a mid b' } },
  { name: 'a header by range', path: '/hdr', headers: { 'x-number': '19' } },
  { name: 'a header at the open end of its range', path: '/hdr', headers: { 'x-number': '20' } },
  { name: 'a header that is present', path: '/hdr', headers: { 'x-present': '' } },
  { name: 'a header that must be absent', path: '/hdr', headers: { 'x-only': 'yes' } },
  {
    name: 'a header that must be absent and is there',
    path: '/hdr',
    headers: { 'x-only': 'yes', 'x-must-not': 'x' },
  },
  { name: 'a method as a header', path: '/hdr', method: 'DELETE' },
  { name: 'no header matches', path: '/hdr' },
  { name: 'a query parameter by value', path: '/q?k=v' },
  { name: 'a query parameter with another value', path: '/q?k=w' },
  { name: 'a query parameter that is present', path: '/q?p' },
  { name: 'no query parameter', path: '/q' },
  { name: 'a weighted cluster with its own headers', path: '/weighted' },
  { name: 'a cluster named by a header', path: '/header-cluster', headers: { 'x-cluster': 'b' } },
  {
    name: 'an unknown cluster named by a header',
    path: '/header-cluster',
    headers: { 'x-cluster': 'z' },
  },
  { name: 'no header to name the cluster', path: '/header-cluster' },
  // Redirects and direct responses.
  { name: 'a redirect to another host', path: '/r-host?q=1' },
  { name: 'a redirect to another path', path: '/r-path?q=1' },
  { name: 'a redirect with a prefix rewritten', path: '/r-prefix/more?q=1' },
  { name: 'a redirect to https', path: '/r-https/x', host: 'app.test' },
  { name: 'a redirect to another port', path: '/r-port/x' },
  { name: 'a redirect with another status and no query', path: '/r-code?q=1' },
  { name: 'a redirect by regular expression', path: '/r-regex/a/b' },
  { name: 'a direct response', path: '/d-ok' },
  { name: 'a direct response to HEAD', path: '/d-ok', method: 'HEAD' },
  {
    name: 'a direct response with a body sent to it',
    path: '/d-ok',
    method: 'POST',
    body: 'hello',
  },
  { name: 'a direct response without a body', path: '/d-teapot' },
  { name: 'a direct response of 204', path: '/d-204' },
  // Rewrites and edits.
  { name: 'a prefix rewritten', path: '/w-prefix/more?q=1' },
  { name: 'a prefix rewritten to the root', path: '/w-slash/more' },
  { name: 'a path rewritten by regular expression', path: '/w-regex/one/two?q=1' },
  { name: 'a host rewritten', path: '/w-host' },
  {
    name: 'a host rewritten from a header',
    path: '/w-header',
    headers: { 'x-new-host': 'new.test' },
  },
  { name: 'no header to rewrite the host from', path: '/w-header' },
  { name: 'a host rewritten and remembered', path: '/w-append' },
  { name: 'a host rewritten to the endpoint’s name', path: '/w-auto' },
  {
    name: 'header edits on every level',
    path: '/edits',
    headers: { 'x-append': 'first', 'x-over': 'old', 'x-absent': 'there', 'x-drop': 'x' },
  },
  { name: 'header edits on an empty request', path: '/edits' },
  { name: 'an overwritten header that exists', path: '/edits', headers: { 'x-exists': 'old' } },
  // Failures upstream.
  { name: 'an unknown cluster', path: '/no-cluster' },
  { name: 'an unknown cluster answered 404', path: '/no-cluster-404' },
  { name: 'a cluster without endpoints', path: '/no-host' },
  { name: 'a cluster whose endpoints are all unhealthy', path: '/all-down' },
  { name: 'a cluster in panic', path: '/panic' },
  { name: 'a refused connection', path: '/refused' },
  { name: 'a cluster at its request limit', path: '/overflow' },
  { name: 'an upstream that closes without an answer', path: '/x?do=close' },
  { name: 'an upstream that resets', path: '/x?do=reset' },
  { name: 'an upstream that speaks no HTTP', path: '/x?do=garbage' },
  { name: 'an upstream with a huge header', path: '/x?do=huge' },
  { name: 'an upstream that ends in the middle of a body', path: '/x?do=half' },
  { name: 'an upstream with a length and chunks', path: '/x?do=cl-te' },
  { name: 'a route time-out', path: '/slow?do=slow&n=600' },
  { name: 'an idle time-out', path: '/idle?do=slow&n=600' },
  {
    name: 'a time-out that the client may not set',
    path: '/x?do=slow&n=150',
    headers: { 'x-envoy-upstream-rq-timeout-ms': '20' },
  },
  // Retries.
  {
    name: 'a retry inherited from the virtual host',
    host: 'retry.test',
    path: '/inherited?do=flaky&n=2',
  },
  { name: 'retries that are used up', host: 'retry.test', path: '/inherited?do=flaky&n=9' },
  { name: 'a route’s own retry policy', host: 'retry.test', path: '/own?do=flaky&n=1' },
  {
    name: 'a status that the policy does not retry',
    host: 'retry.test',
    path: '/own?do=status&n=500',
  },
  { name: 'a status code that is retried', host: 'retry.test', path: '/codes?do=status&n=418' },
  { name: 'a time-out of every try', host: 'retry.test', path: '/per-try?do=slow&n=700' },
  { name: 'a refused connection retried', host: 'retry.test', path: '/refused' },
  { name: 'a reset retried', host: 'retry.test', path: '/reset?do=reset' },
  {
    name: 'a body sent again',
    host: 'retry.test',
    path: '/inherited?do=flaky&n=1',
    method: 'POST',
    body: 'again',
  },
  // Answers as they come.
  { name: 'a status of the upstream', path: '/x?do=status&n=404' },
  { name: 'a status of 500 without a retry policy', path: '/x?do=status&n=500' },
  { name: 'a response in chunks', path: '/x?do=chunked' },
  { name: 'a response until the connection ends', path: '/x?do=until-close' },
  { name: 'a response of 204', path: '/x?do=bare&n=204' },
  { name: 'a response of 304', path: '/x?do=bare&n=304' },
  { name: 'an upstream’s server header and repeated headers', path: '/x?do=server' },
  { name: 'an interim response', path: '/x?do=continue' },
  // Methods and bodies.
  { name: 'HEAD', path: '/x', method: 'HEAD' },
  { name: 'OPTIONS', path: '/x', method: 'OPTIONS' },
  { name: 'a POST with a body', path: '/x', method: 'POST', body: 'a body' },
  { name: 'a PUT without a body', path: '/x', method: 'PUT' },
  { name: 'a large body', path: '/x', method: 'POST', body: 'z'.repeat(200_000) },
  { name: 'a method of another protocol', path: '/x', method: 'PROPFIND' },
  { name: 'an unknown method', path: '/x', method: 'FROBNICATE' },
  {
    name: 'a body in chunks',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\nx-case: a body in chunks\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  },
  {
    name: 'an expectation of 100',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\nx-case: an expectation of 100\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nok',
  },
  {
    name: 'hop-by-hop headers',
    raw: 'GET /x HTTP/1.1\r\nhost: app.test\r\nx-case: hop-by-hop headers\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: close\r\nte: trailers\r\n\r\n',
  },
  {
    name: 'an absolute request target',
    raw: 'GET http://app.test/exact HTTP/1.1\r\nhost: unknown.test\r\nx-case: an absolute request target\r\n\r\n',
  },
  {
    name: 'a request that wants to close',
    raw: 'GET /exact HTTP/1.1\r\nhost: app.test\r\nx-case: a request that wants to close\r\nconnection: close\r\n\r\n',
  },
  {
    name: 'HTTP/1.0 where it is not accepted',
    raw: 'GET /exact HTTP/1.0\r\nhost: app.test\r\nx-case: HTTP/1.0 where it is not accepted\r\n\r\n',
  },
  {
    name: 'an upgrade that is allowed and refused upstream',
    raw: 'GET /exact HTTP/1.1\r\nhost: app.test\r\nx-case: an upgrade that is allowed and refused upstream\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  },
  {
    name: 'an upgrade that is not allowed',
    raw: 'GET /exact HTTP/1.1\r\nhost: app.test\r\nx-case: an upgrade that is not allowed\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n',
  },
  {
    name: 'CONNECT where it is not allowed',
    raw: 'CONNECT app.test:80 HTTP/1.1\r\nhost: app.test:80\r\nx-case: CONNECT where it is not allowed\r\n\r\n',
  },
  // Malformed requests.
  { name: 'no host', raw: 'GET /x HTTP/1.1\r\nx-case: no host\r\n\r\n' },
  {
    stricter: 400,
    name: 'an empty host',
    raw: 'GET /x HTTP/1.1\r\nhost: \r\nx-case: an empty host\r\n\r\n',
  },
  {
    name: 'a length and chunks',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  },
  {
    name: 'two lengths',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello',
  },
  {
    name: 'a signed length',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\ncontent-length: +5\r\n\r\nhello',
  },
  {
    name: 'a space before the colon',
    raw: 'GET /x HTTP/1.1\r\nhost: app.test\r\nx-bad : 1\r\n\r\n',
  },
  { stricter: 400, name: 'a bare line feed', raw: 'GET /x HTTP/1.1\nhost: app.test\n\n' },
  {
    stricter: 400,
    name: 'a folded header',
    raw: 'GET /x HTTP/1.1\r\nhost: app.test\r\nx-a: 1\r\n 2\r\n\r\n',
  },
  { name: 'a NUL in a header', raw: 'GET /x HTTP/1.1\r\nhost: app.test\r\nx-a: 1\u00002\r\n\r\n' },
  {
    name: 'an unknown transfer coding',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\ntransfer-encoding: gzip\r\n\r\n',
  },
  {
    name: 'a bad chunk size',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n',
  },
  { name: 'no HTTP at all', raw: 'hello\r\n\r\n' },
  ...['app.test:65536', 'app.test:', '[bad]', '[::1]:', 'app.test:x'].map((authority) => ({
    name: `${authority} in a URL`,
    raw: `GET http://${authority}/x HTTP/1.1\r\nhost: app.test\r\n\r\n`,
  })),
  {
    name: 'CONNECT to a port beyond all',
    raw: 'CONNECT app.test:65536 HTTP/1.1\r\nhost: app.test\r\n\r\n',
  },
  { name: 'a space in the target', raw: 'GET /a b HTTP/1.1\r\nhost: app.test\r\n\r\n' },
  {
    differs: { log: 'Envoy logs no header of a head that it refused' },
    name: 'a huge header',
    path: '/x',
    headers: { 'x-huge': 'h'.repeat(70_000) },
  },
  {
    differs: { log: 'Envoy logs no header of a head that it refused' },
    name: 'too many headers',
    path: '/x',
    headers: Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`x-h${n}`, 'v'])),
  },
  // At the edge.
  { name: 'headers of an edge', listener: 'edge', path: '/x' },
  {
    name: 'what a client may not say at an edge',
    listener: 'edge',
    path: '/x',
    headers: {
      'x-forwarded-for': '1.2.3.4',
      'x-forwarded-proto': 'https',
      'x-envoy-internal': 'true',
      'x-envoy-max-retries': '3',
      'x-request-id': 'mine',
      'x-forwarded-client-cert': 'By=spiffe://x',
    },
  },
  { name: 'dots in a path are resolved', listener: 'edge', path: '/open/../admin/x' },
  { name: 'slashes in a path are merged', listener: 'edge', path: '//admin//x' },
  { name: 'escaped slashes redirect', listener: 'edge', path: '/a%2Fb?q=1' },
  { name: 'an escaped dot is resolved', listener: 'edge', path: '/open/%2e%2e/admin' },
  { name: 'a path above the root', listener: 'edge', path: '/../../x' },
  { name: 'a port is stripped', listener: 'edge', host: 'app.test:1234', path: '/x' },
  { name: 'a trailing dot is stripped', listener: 'edge', host: 'app.test.', path: '/x' },
  {
    differs: { log: 'Envoy logs no header of a head that it refused' },
    name: 'an underscore in a header name',
    listener: 'edge',
    path: '/x',
    headers: { x_y: '1' },
  },
  {
    differs: { log: 'Envoy logs no header of a head that it refused' },
    name: 'more headers than the edge takes',
    listener: 'edge',
    path: '/x',
    headers: Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`x-h${n}`, 'v'])),
  },
  {
    differs: { log: 'Envoy logs no header of a head that it refused' },
    name: 'a longer head than the edge takes',
    listener: 'edge',
    path: '/x',
    headers: { 'x-l': 'l'.repeat(9_000) },
  },
  { name: 'the server’s own header stays', listener: 'edge', path: '/x?do=server' },
  {
    name: 'HTTP/1.0 with a default host',
    listener: 'edge',
    raw: 'GET /x HTTP/1.0\r\nx-case: HTTP/1.0 with a default host\r\n\r\n',
  },
  {
    name: 'HTTP/1.0 that stays open',
    listener: 'edge',
    raw: 'GET /x HTTP/1.0\r\nhost: app.test\r\nconnection: keep-alive\r\nx-case: HTTP/1.0 that stays open\r\n\r\n',
  },
  // A quiet sidecar.
  { name: 'nothing is added', listener: 'quiet', path: '/x' },
  {
    name: 'what the client says is passed on',
    listener: 'quiet',
    path: '/x',
    headers: { 'x-request-id': 'mine', 'x-forwarded-for': '1.2.3.4' },
  },
  { name: 'a port is ignored in matching', listener: 'quiet', host: 'app.test:99', path: '/x' },
  { name: 'an escaped slash is refused', listener: 'quiet', path: '/a%5Cb' },
  { name: 'a server header passes', listener: 'quiet', path: '/x?do=server' },
  { name: 'no server header is made up', listener: 'quiet', path: '/x?do=chunked' },
  {
    name: 'a length beside chunks is dropped',
    listener: 'quiet',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\nx-case: a length beside chunks is dropped\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  },
  // Words about the request in headers.
  { name: 'values in headers', path: '/words-ok' },
  { name: 'values in headers of a local reply', path: '/words-refused' },
  // Local replies to gRPC.
  ...[
    ['no route', 'unknown.test', '/x'],
    ['no endpoint', 'app.test', '/no-host'],
    ['a refused connection', 'app.test', '/refused'],
    ['a time-out', 'app.test', '/slow?do=slow&n=600'],
    ['too many requests', 'app.test', '/overflow'],
    ['a direct response', 'app.test', '/d-ok'],
    ['a direct response without a body', 'app.test', '/d-teapot'],
    ['a redirect', 'app.test', '/r-host'],
    ['the end of its time', 'app.test', '/duration?do=slow&n=400'],
    ['an idle time-out', 'app.test', '/idle?do=slow&n=600'],
    ['an unknown cluster', 'app.test', '/no-cluster'],
    ['an unknown cluster answered 404', 'app.test', '/no-cluster-404'],
    ['a protocol error', 'app.test', '/x?do=garbage'],
  ].map(([what, host, path]): ParityCase => {
    const headers = { 'content-type': 'application/grpc' }
    return {
      name: `gRPC meets ${what}`,
      host: host ?? '',
      path: path ?? '',
      headers,
      method: 'POST',
    }
  }),
  // Limits of time and size.
  { name: 'a stream that lasts too long', path: '/duration?do=slow&n=400' },
  { name: 'an attempt that stands still', path: '/try-idle?do=slow&n=400' },
  { name: 'an attempt that stops half-way', path: '/try-idle?do=stall' },
  { name: 'a policy of no retries', path: '/no-retries?do=status&n=503' },
  // A body beyond the route's buffer is not compared: whether it is sent again depends on whether it had arrived
  // when the answer came, in both proxies.
  {
    name: 'a small body that is sent again',
    path: '/small-buffer?do=flaky&n=1',
    method: 'POST',
    body: 'ok',
  },
  {
    differs: { log: 'Envoy knows no header of a head that is not whole' },
    name: 'a head that does not come in time',
    listener: 'hasty',
    raw: 'GET /x HTTP/1.1\r\nhost: app.test\r\nx-case: a head that does not come in time\r\n',
  },
  {
    name: 'a body that does not come in time',
    listener: 'hasty',
    raw: 'POST /x HTTP/1.1\r\nhost: app.test\r\nx-case: a body that does not come in time\r\ncontent-length: 5\r\n\r\nhe',
  },
  { name: 'an answer that does not come in time', listener: 'hasty', path: '/x?do=slow&n=500' },
  { name: 'a manager’s longest stream', listener: 'short', path: '/x?do=slow&n=900' },
  { name: 'a target beyond every limit', path: `/${'t'.repeat(70_000)}` },
  // What passes when the manager says so.
  {
    name: 'an expectation that is passed on',
    listener: 'passing',
    raw: 'POST /x?do=continue-body HTTP/1.1\r\nhost: app.test\r\nx-case: an expectation that is passed on\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nok',
  },
  { name: 'interim responses that are passed on', listener: 'passing', path: '/x?do=continue' },
  {
    name: 'a client certificate that is passed on',
    listener: 'passing',
    path: '/x',
    headers: { 'x-forwarded-client-cert': 'By=spiffe://x' },
  },
  {
    name: 'an address behind a trusted hop',
    listener: 'passing',
    path: '/x',
    headers: { 'x-forwarded-for': '1.2.3.4, 5.6.7.8' },
  },
  {
    name: 'an address that is none',
    listener: 'quiet',
    path: '/x',
    headers: { 'x-forwarded-for': 'unknown' },
  },
  {
    name: 'a client certificate that nobody checked',
    path: '/x',
    headers: { 'x-forwarded-client-cert': 'By=spiffe://x' },
  },
  {
    name: 'what a client may not say in a mesh',
    path: '/x',
    headers: {
      'x-envoy-original-path': '/y',
      'x-envoy-original-host': 'y',
      'x-envoy-attempt-count': '7',
      'x-envoy-external-address': '1.1.1.1',
      'x-envoy-internal': 'true',
      'x-envoy-decorator-operation': 'op',
      'x-envoy-ip-tags': 'x',
    },
  },
  {
    name: 'a client may not say at an edge what the path was',
    listener: 'edge',
    path: '/x',
    headers: {
      'x-envoy-original-path': '/y',
      'x-envoy-original-host': 'y',
      'x-envoy-attempt-count': '7',
      'x-envoy-external-address': '1.1.1.1',
      'x-envoy-decorator-operation': 'op',
      'x-envoy-downstream-service-cluster': 'c',
      'x-envoy-ip-tags': 'x',
    },
  },
  {
    name: 'a rewritten path that the client has claimed',
    path: '/w-prefix/more',
    headers: { 'x-envoy-original-path': '/y' },
  },
  {
    name: 'a rewritten host that the client has claimed',
    path: '/w-append',
    headers: { 'x-envoy-original-host': 'y', 'x-forwarded-host': 'z' },
  },
  {
    name: 'a rewritten host that was forwarded already',
    path: '/w-append',
    headers: { 'x-forwarded-host': 'z, app.test' },
  },
  {
    name: 'an expectation of something else',
    path: '/x',
    headers: { expect: '200-maybe' },
  },
  { name: 'HEAD of a cluster without endpoints', path: '/no-host', method: 'HEAD' },
  { name: 'OPTIONS of everything', path: '*', method: 'OPTIONS' },
  // Websockets.
  ...[
    '/x?do=switch',
    '/x?do=server',
    '/x?do=status&n=401',
    '/x?do=flaky&n=1',
    '/x?do=status&n=201',
    '/x?do=bare&n=204',
    '/x?do=status&n=302',
    '/x?do=chunked',
    '/x?do=close',
  ].map((path): ParityCase => ({
    name: `a websocket to ${path}`,
    path,
    headers: { connection: 'upgrade', upgrade: 'websocket' },
    ...(path.endsWith('switch') && {
      differs: { log: 'a client may end its direction of a tunnel and go on reading' },
    }),
  })),
  // Upstreams that break off.
  { name: 'an upstream that ends in the middle of a head', path: '/x?do=half-head' },
  { name: 'an upstream that resets in the middle of a body', path: '/x?do=half-reset' },
  { name: 'an upstream with a bad chunk', path: '/x?do=bad-chunk' },
  { stricter: 502, name: 'an upstream that switches protocols unasked', path: '/x?do=switch' },
  // Paths at the edge.
  ...[
    '/a%',
    '/a%zz',
    '/public/..;/admin',
    '/public/..;x=y/admin',
    '/a%41%7e',
    '/a\\b',
    '/..',
    '/%2e%2e/x',
    '/.hidden/.../x',
    '/a;b/../c',
    '/a?x=/../y//z',
  ].map((path): ParityCase => ({ name: `the path ${path}`, listener: 'edge', path })),
  // TCP.
  {
    name: 'bytes pass a TCP proxy',
    listener: 'tcp',
    raw: 'GET /tcp HTTP/1.1\r\nhost: any\r\nx-case: bytes pass\r\n\r\n',
  },
  { name: 'a TCP proxy to nowhere closes', listener: 'tcp-nowhere', raw: 'hello' },
]
