/** Requests in HTTP/2 that both proxies are asked, valid, at the edge, and malformed. */
import { errorCodes, headersFrames, resetFrame } from '../../../src/proxy/http2/frame.ts'
import type { RawClient, RawField } from '../../support/raw-http2.ts'

export interface Http2Case {
  readonly name: string
  readonly listener?: 'main' | 'gentle' | 'strict'
  readonly settings?: readonly (readonly [number, number])[]
  readonly send: (client: RawClient) => void
  /** False where one of the two never knew the name of the case. */
  readonly isLogged?: boolean
}

interface RequestSketch {
  readonly method?: string
  readonly path?: string
  readonly scheme?: string
  readonly authority?: string
  readonly fields?: readonly RawField[]
  /** Undefined: none. */
  readonly body?: string
  readonly trailers?: readonly RawField[]
  readonly listener?: Http2Case['listener']
  /** Replaces all fields but `x-case`. */
  readonly raw?: readonly RawField[]
}

function request(name: string, sketch: RequestSketch): Http2Case {
  const { method = 'GET', path = '/one', scheme = 'http', authority = 'shop', fields = [] } = sketch
  const all: readonly RawField[] = [
    ...(sketch.raw ?? [
      [':method', method],
      [':scheme', scheme],
      [':authority', authority],
      [':path', path],
    ]),
    ['x-case', name],
    ...fields,
  ]
  const { body, trailers, listener } = sketch
  return {
    name,
    ...(listener !== undefined && { listener }),
    send(client) {
      client.request(1, all, body === undefined && trailers === undefined)
      if (body !== undefined) client.data(1, body, trailers === undefined)
      if (trailers !== undefined) client.send(headersFrames(1, client.block(trailers), true))
    },
  }
}

const grpc: RawField = ['content-type', 'application/grpc']
const pseudo: readonly RawField[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'shop'],
  [':path', '/one'],
]

export const http2Cases: readonly Http2Case[] = [
  request('GET to HTTP/1', {}),
  request('GET to HTTP/2', { path: '/two' }),
  request('POST to HTTP/1 with a body', { method: 'POST', body: 'hello' }),
  request('POST to HTTP/2 with a body', { method: 'POST', path: '/two', body: 'hello' }),
  request('POST with a length', {
    method: 'POST',
    body: 'hello',
    fields: [['content-length', '5']],
  }),
  request('POST to HTTP/2 with a length', {
    method: 'POST',
    path: '/two',
    body: 'hello',
    fields: [['content-length', '5']],
  }),
  request('trailers to HTTP/2', {
    method: 'POST',
    path: '/two',
    body: 'x',
    trailers: [['x-up', '1']],
  }),
  request('trailers to HTTP/1', { method: 'POST', body: 'x', trailers: [['x-up', '1']] }),
  request('a direct response', { path: '/direct' }),
  request('HEAD of a direct response', { path: '/direct', method: 'HEAD' }),
  request('a redirect', { path: '/redirect' }),
  request('no route', { path: '/none' }),
  request('no route for gRPC', { path: '/none', method: 'POST', fields: [grpc], body: '' }),
  request('nobody there', { path: '/nobody' }),
  request('nobody there for gRPC', { path: '/nobody', method: 'POST', fields: [grpc], body: '' }),
  request('HEAD', { method: 'HEAD' }),
  request('HEAD to HTTP/2', { method: 'HEAD', path: '/two' }),
  request('OPTIONS *', { method: 'OPTIONS', path: '*' }),
  request('a method of its own', { method: 'FOO', path: '/two' }),
  request('https as scheme', { scheme: 'https' }),
  request('cookie crumbs', {
    fields: [
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
    ],
  }),
  request('cookie crumbs to HTTP/2', {
    path: '/two',
    fields: [
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
    ],
  }),
  request('te: trailers', { fields: [['te', 'trailers']], path: '/two' }),
  request('te: trailers to HTTP/1', { fields: [['te', 'trailers']] }),
  request('host beside authority', { fields: [['host', 'other']] }),
  request('host instead of authority', {
    raw: pseudo.filter(([name]) => name !== ':authority'),
    fields: [['host', 'other']],
  }),
  request('neither host nor authority', { raw: pseudo.filter(([name]) => name !== ':authority') }),
  request('authority in upper case', { authority: 'shop:80' }),
  request('expect: 100-continue', {
    method: 'POST',
    fields: [
      ['expect', '100-continue'],
      ['content-length', '1'],
    ],
    body: 'x',
  }),
  request('a reset of the upstream', { path: '/two/reset' }),
  request('a reset of the upstream for gRPC', {
    path: '/two/reset',
    method: 'POST',
    fields: [grpc],
    body: '',
  }),
  request('a stream that the upstream refuses', { path: '/two/refuse' }),
  request('a refused stream that is tried again', { path: '/retry/refuse' }),
  request('a response that breaks off', { path: '/two/half' }),
  request('a gRPC status that is tried again', {
    path: '/retry/unavailable',
    method: 'POST',
    fields: [grpc],
    body: '',
  }),
  request('a time-out', { path: '/slow/hang' }),
  request('a time-out for gRPC', { path: '/slow/hang', method: 'POST', fields: [grpc], body: '' }),
  request('a gRPC deadline', {
    path: '/deadline/hang',
    method: 'POST',
    fields: [grpc, ['grpc-timeout', '100m']],
    body: '',
  }),
  request('a gRPC deadline above its ceiling', {
    path: '/deadline/hang',
    method: 'POST',
    fields: [grpc, ['grpc-timeout', '10S']],
    body: '',
  }),
  {
    name: 'an early answer',
    send(client) {
      const fields: readonly RawField[] = [
        [':method', 'POST'],
        [':scheme', 'http'],
        [':authority', 'shop'],
        [':path', '/two/early'],
        ['x-case', 'an early answer'],
      ]
      client.request(1, fields, false)
    },
  },
  {
    name: 'a request that is given up',
    send(client) {
      const fields: readonly RawField[] = [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':authority', 'shop'],
        [':path', '/two/hang'],
        ['x-case', 'a request that is given up'],
      ]
      client.request(1, fields)
      setTimeout(() => {
        client.send(resetFrame(1, errorCodes.cancel))
        client.request(3, [...pseudo], true)
        setTimeout(() => client.close(), 100)
      }, 50)
    },
  },
  request('an underscore that is dropped', { listener: 'strict', fields: [['x_a', '1']] }),
  request('an underscore that is refused', { listener: 'gentle', fields: [['x_a', '1']] }),
  request('too many fields', {
    listener: 'strict',
    fields: Array.from({ length: 20 }, (_, index): RawField => [`x-${index}`, 'v']),
  }),
  request('fields that are too large', {
    listener: 'strict',
    fields: [
      ['x-a', 'x'.repeat(5000)],
      ['x-b', 'x'.repeat(5000)],
    ],
  }),
  {
    name: 'a websocket by extended CONNECT',
    listener: 'gentle',
    send(client) {
      const fields: readonly RawField[] = [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        [':scheme', 'http'],
        [':authority', 'shop'],
        [':path', '/one'],
        ['x-case', 'a websocket by extended CONNECT'],
      ]
      client.request(1, fields, false)
      client.data(1, 'hello')
    },
  },
  ...(['main', 'gentle'] as const).flatMap((listener) => malformed(listener)),
]

function malformed(listener: 'main' | 'gentle'): Http2Case[] {
  const own = (name: string, sketch: RequestSketch): Http2Case =>
    request(`${name} (${listener})`, { ...sketch, listener })
  return [
    own('a name in upper case', { fields: [['X-A', 'b']] }),
    own('a line break in a value', { fields: [['x-a', 'b\r\nc: d']] }),
    own('a NUL in a value', { fields: [['x-a', 'b\0']] }),
    own('a name with a space', { fields: [['x a', 'b']] }),
    own('a connection header', { fields: [['connection', 'close']] }),
    own('transfer-encoding', { fields: [['transfer-encoding', 'chunked']] }),
    own('te: gzip', { fields: [['te', 'gzip']] }),
    own('white space around a value', { fields: [['x-a', ' b ']] }),
    own('a pseudo field behind a regular one', { fields: [[':path', '/late']] }),
    own('an unknown pseudo field', { raw: [...pseudo, [':x', 'y']] }),
    own('two paths', { raw: [...pseudo, [':path', '/other']] }),
    own('no method', { raw: pseudo.filter(([name]) => name !== ':method') }),
    own('no path', { raw: pseudo.filter(([name]) => name !== ':path') }),
    own('no scheme', { raw: pseudo.filter(([name]) => name !== ':scheme') }),
    own('an empty path', { path: '' }),
    own('a path that is no path', { path: 'one' }),
    own('a path with a space', { path: '/o ne' }),
    own('a fragment in the path', { path: '/one#x' }),
    own('an authority that is none', { authority: 'a/b' }),
    own('user info in the authority', { authority: 'u@shop' }),
    own('another scheme', { scheme: 'ftp' }),
    own('two lengths', {
      method: 'POST',
      fields: [
        ['content-length', '1'],
        ['content-length', '2'],
      ],
      body: 'x',
    }),
    own('a length that is none', { method: 'POST', fields: [['content-length', '-1']], body: 'x' }),
    own('a body that is too long', {
      method: 'POST',
      fields: [['content-length', '1']],
      body: 'xy',
    }),
    own('a body that is too short', {
      method: 'POST',
      fields: [['content-length', '3']],
      body: 'xy',
    }),
    own('a pseudo field in trailers', { method: 'POST', body: 'x', trailers: [[':path', '/']] }),
    own('CONNECT with a path', {
      raw: [
        [':method', 'CONNECT'],
        [':authority', 'shop:80'],
        [':path', '/'],
        [':scheme', 'http'],
      ],
    }),
    own('CONNECT', {
      raw: [
        [':method', 'CONNECT'],
        [':authority', 'shop:80'],
      ],
    }),
  ]
}
