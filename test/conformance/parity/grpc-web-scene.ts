/** The scene of gRPC-Web: what the upstream gets of it, what the client gets back, and what is counted. */
import {
  bootstrapText,
  cluster,
  commonClusters,
  httpManager,
  jsonLog,
  listener,
  router,
  typed,
} from './bootstrap-parts.ts'
import type { ParityCase } from './case-table.ts'
import type { Scene } from './scene.ts'

const webTypes = [
  'application/grpc-web',
  'application/grpc-web+proto',
  'application/grpc-web-text',
  'application/grpc-web-text+proto',
]
const [bytesType = '', , textType = ''] = webTypes

/** A gRPC frame of this text. */
export function frame(text: string): string {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(text.length, 1)
  return head.toString('latin1') + text
}

function base64(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('base64')
}

const hello = frame('grpc-web-bin-data')

interface Answer {
  readonly status?: number
  readonly headers?: readonly string[]
  readonly parts?: readonly string[]
  readonly trailers?: readonly string[]
}

/** In chunks, so that trailers can follow. */
function chunked({ status = 200, headers = [], parts = [], trailers = [] }: Answer): string {
  const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')
  const lines = (list: readonly string[]): string => list.map((line) => `${line}\r\n`).join('')
  return `HTTP/1.1 ${status} X\r\n${lines(headers)}transfer-encoding: chunked\r\n\r\n${chunks}0\r\n${lines(trailers)}\r\n`
}

function sized(status: number, headers: readonly string[], body: string): string {
  const lines = headers.map((line) => `${line}\r\n`).join('')
  return `HTTP/1.1 ${status} X\r\n${lines}content-length: ${body.length}\r\n\r\n${body}`
}

const grpc = 'content-type: application/grpc'
const ok = ['grpc-status: 0', 'grpc-message: ok']

const answers: Readonly<Record<string, string>> = {
  unary: chunked({ headers: [grpc], parts: [hello], trailers: ok }),
  'several messages': chunked({
    headers: [grpc],
    parts: [frame('a'), frame('bc'), frame('def'), frame(''), frame('ghij')],
    trailers: ['grpc-status: 0'],
  }),
  'messages in one piece': chunked({
    headers: [grpc],
    parts: [frame('a') + frame('bc') + frame('def')],
    trailers: ['grpc-status: 0'],
  }),
  'a message octet by octet': chunked({
    headers: [grpc],
    parts: hello.split(''),
    trailers: ['grpc-status: 0'],
  }),
  'a status that fails': chunked({
    headers: [grpc],
    trailers: ['grpc-status: 5', 'grpc-message: not%20here', 'x-more: 1', 'x-more: 2'],
  }),
  'a status in the head': sized(200, [grpc, 'grpc-status: 7', 'grpc-message: no'], ''),
  'a status in the head of an error': sized(503, [grpc, 'grpc-status: 14'], ''),
  'no trailers': chunked({ headers: [grpc], parts: [hello] }),
  'a length': sized(200, [grpc], hello),
  'gRPC with a subtype': chunked({
    headers: ['content-type: application/grpc+proto'],
    parts: [hello],
    trailers: ok,
  }),
  'gRPC-Web already': sized(200, ['content-type: application/grpc-web+proto'], hello),
  'gRPC-Web with a parameter': sized(
    200,
    ['content-type: Application/gRPC-Web ; version=1'],
    hello,
  ),
  'gRPC-Web of another kind': sized(200, ['content-type: application/grpc-web+json'], '{}'),
  'gRPC-Web in text': sized(200, ['content-type: application/grpc-web-text'], 'AAAA'),
  'gRPC of an error': sized(500, [grpc], hello),
  'an error page': sized(404, ['content-type: text/html'], '<h1>no ~ "page" & 100%</h1>\r\n\u00e9'),
  'an error page in parts': chunked({ status: 429, parts: ['slow ', 'down'] }),
  'a page that is no error': sized(200, ['content-type: text/plain'], 'hello'),
  'a page with trailers': chunked({ status: 502, parts: ['bad'], trailers: ['grpc-status: 3'] }),
  'a long error page': chunked({ status: 503, parts: ['x'.repeat(16_000), 'y'.repeat(16_000)] }),
  'an empty error': sized(401, [], ''),
  'an empty error in chunks': chunked({ status: 403 }),
  'no content': 'HTTP/1.1 204 X\r\n\r\n',
  'what breaks off':
    'HTTP/1.1 200 X\r\ncontent-type: application/grpc\r\ncontent-length: 99\r\n\r\nabc',
}

const path = '/echo.Echo/Unary?do=told'

/** Envoy waits without end for more of these than their end. */
function isEndless(what: string): boolean {
  return what === 'no trailers' || what === 'a length' || /^gRPC-Web (?:already|with)/.test(what)
}

function asked(accept: string): ParityCase[] {
  return Object.entries(answers)
    .filter(([what]) => what !== 'what breaks off' && !(accept === textType && isEndless(what)))
    .map(([what, answer]) => ({
      name: `${what}, asked for ${accept}`,
      method: 'POST',
      path,
      headers: { 'content-type': bytesType, accept, 'x-answer': base64(answer) },
      body: hello,
    }))
}

/** Echoed, so that what the upstream got can be seen, by the status that a page without gRPC gets. */
function sent(name: string, headers: Readonly<Record<string, string>>, body: string): ParityCase {
  return {
    name,
    method: 'POST',
    path: '/echo.Echo/Unary',
    headers: { 'x-request-id': 'mine', ...headers },
    body,
  }
}

function inChunks(name: string, type: string, parts: readonly string[]): ParityCase {
  const body = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')
  return {
    name,
    raw: `POST /echo.Echo/Upload HTTP/1.1\r\nhost: app.test\r\nx-case: ${name}\r\nx-request-id: mine\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n${body}0\r\n\r\n`,
  }
}

const text = base64(frame('grpc-web-text-data'))

const cases: readonly ParityCase[] = [
  ...asked(bytesType),
  ...asked(textType),
  ...webTypes.map((type) =>
    sent(`a request of ${type}`, { 'content-type': type, accept: type }, text),
  ),
  ...[
    'application/grpc-web; charset=utf-8',
    'Application/grpc-web',
    'application/grpc-web+json',
    'application/json',
  ].map((type) => sent(`a request of ${type}`, { 'content-type': type }, text)),
  sent(
    'an encoding that the client accepts',
    { 'content-type': bytesType, 'grpc-accept-encoding': 'gzip', te: 'x' },
    hello,
  ),
  sent('several types to accept', { 'content-type': bytesType, accept: `${textType}, */*` }, hello),
  sent(
    'the headers of a browser',
    {
      'content-type': bytesType,
      'x-grpc-web': '1',
      'x-user-agent': 'grpc-web-javascript/0.1',
      'user-agent': 'Mozilla',
    },
    hello,
  ),
  {
    name: 'no body',
    path: '/echo.Echo/Unary',
    headers: { 'x-request-id': 'mine', 'content-type': textType },
  },
  inChunks('text in pieces', textType, text.split('')),
  inChunks('text in groups', textType, [text.slice(0, 8), text.slice(8)]),
  inChunks('padding inside a piece', textType, [base64('a') + base64('b')]),
  ...['****', 'AAA=A', 'A===', '====', 'AB==', 'AAB=', 'AA A', 'AA-_', 'AAA', 'AAAAA'].map((body) =>
    sent(`text that is ${body}`, { 'content-type': textType }, body),
  ),
  ...[
    '/direct',
    '/direct-empty',
    '/redirect',
    '/refused',
    '/empty',
    '/no-cluster',
    '/no-route',
  ].flatMap((where): ParityCase[] => [
    {
      name: `${where} in bytes`,
      method: 'POST',
      path: where,
      headers: { 'content-type': bytesType },
      body: hello,
    },
    {
      name: `${where} in text`,
      method: 'POST',
      path: where,
      headers: { 'content-type': bytesType, accept: textType },
      body: hello,
    },
    { name: `${where} without gRPC`, method: 'POST', path: where },
  ]),
  {
    name: 'a route for gRPC',
    method: 'POST',
    path: '/grpc-only',
    headers: { 'content-type': bytesType },
  },
  {
    name: 'a route by type',
    method: 'POST',
    path: '/web-only',
    headers: { 'x-request-id': 'mine', 'content-type': bytesType },
  },
  {
    name: 'a route that switches it off',
    method: 'POST',
    path: '/off',
    headers: { 'content-type': textType },
    body: text,
  },
  {
    name: 'a fault before it',
    method: 'POST',
    path: '/abort',
    headers: { 'content-type': bytesType },
    body: hello,
  },
  {
    name: 'a delay before it',
    method: 'POST',
    path: '/delay',
    headers: { 'x-request-id': 'mine', 'content-type': textType },
    body: text,
  },
  {
    name: 'bad text after a delay',
    method: 'POST',
    path: '/delay',
    headers: { 'content-type': textType },
    body: '****',
  },
  {
    name: 'cut text after a delay',
    method: 'POST',
    path: '/delay',
    headers: { 'content-type': textType },
    body: 'AAA',
  },
  {
    name: 'no method',
    method: 'POST',
    path: '/echo?do=told',
    headers: { 'content-type': bytesType, 'x-answer': base64(answers['unary'] ?? '') },
    body: hello,
  },
  {
    name: 'what breaks off',
    method: 'POST',
    path,
    headers: { 'content-type': bytesType, 'x-answer': base64(answers['what breaks off'] ?? '') },
  },
]

const faultName = 'envoy.filters.http.fault'
const faultType = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'
const always = { numerator: 100 }

export const grpcWebScene: Scene = {
  title: 'gRPC-Web in Envoy and in Tulle',
  listeners: 1,
  cases,
  isInOrder: true,
  adminPath: '/stats',
  bootstrap: (ports) =>
    bootstrapText({
      listeners: [
        listener('main', [
          httpManager({
            stat_prefix: 'main',
            access_log: [
              jsonLog(ports.log, {
                status: '%RESPONSE_CODE%',
                flags: '%RESPONSE_FLAGS%',
                details: '%RESPONSE_CODE_DETAILS%',
                received: '%BYTES_RECEIVED%',
                sent: '%BYTES_SENT%',
                type: '%REQ(CONTENT-TYPE)%',
                message: '%RESP(GRPC-MESSAGE)%',
              }),
            ],
            http_filters: [
              typed(faultName, 'filters.http.fault.v3.HTTPFault'),
              typed('envoy.filters.http.grpc_web', 'filters.http.grpc_web.v3.GrpcWeb'),
              typed('envoy.filters.http.grpc_stats', 'filters.http.grpc_stats.v3.FilterConfig', {
                stats_for_all_methods: true,
              }),
              router,
            ],
            route_config: {
              name: 'table',
              validate_clusters: false,
              virtual_hosts: [{ name: 'app', domains: ['*'], routes }],
            },
          }),
        ]),
      ],
      clusters: [
        ...commonClusters(ports).slice(1),
        cluster('a', [ports.a], {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http_protocol_options: { enable_trailers: true } },
            },
          },
        }),
      ],
    }),
}

const fault = (fields: object) => ({
  [faultName]: { '@type': faultType, ...fields },
})

const toA = { route: { cluster: 'a' } }

const routes = [
  { match: { prefix: '/direct-empty' }, direct_response: { status: 418 } },
  {
    match: { prefix: '/direct' },
    direct_response: { status: 404, body: { inline_string: 'nothing' } },
  },
  { match: { prefix: '/redirect' }, redirect: { path_redirect: '/other' } },
  { match: { prefix: '/refused' }, route: { cluster: 'refused' } },
  { match: { prefix: '/empty' }, route: { cluster: 'empty' } },
  { match: { prefix: '/no-cluster' }, route: { cluster: 'none' } },
  { match: { prefix: '/grpc-only', grpc: {} }, ...toA },
  {
    match: {
      prefix: '/web-only',
      headers: [{ name: 'content-type', string_match: { exact: bytesType } }],
    },
    ...toA,
  },
  {
    match: { prefix: '/off' },
    ...toA,
    typed_per_filter_config: {
      'envoy.filters.http.grpc_web': {
        '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig',
        disabled: true,
      },
    },
  },
  {
    match: { prefix: '/abort' },
    ...toA,
    typed_per_filter_config: fault({ abort: { http_status: 503, percentage: always } }),
  },
  {
    match: { prefix: '/delay' },
    ...toA,
    typed_per_filter_config: fault({ delay: { fixed_delay: '0.05s', percentage: always } }),
  },
  { match: { prefix: '/echo' }, ...toA },
]

/** What was counted of calls. */
export function callStats(text: string): ReadonlyMap<string, number> {
  const stats = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^(cluster\.\S+\.grpc(?:-web)?\.\S+): (\d+)$/.exec(line)
    if (match?.[1] !== undefined && match[2] !== '0') stats.set(match[1], Number(match[2]))
  }
  return new Map([...stats].sort(([left], [right]) => (left < right ? -1 : 1)))
}
