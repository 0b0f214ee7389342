/** Where messages end: HTTP/1.0, `Connection`, trailers, and responses that have no body. */
import { headersFrames } from '../../../src/proxy/http2/frame.ts'
import type { ConnectionStory } from './connection-story.ts'
import {
  answerAt,
  answering,
  chunked,
  endOf,
  get,
  named,
  ok,
  old,
  requestFields,
} from './story-parts.ts'

const withTrailers =
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n'

export const framingStories: readonly ConnectionStory[] = [
  ...oldForms(),
  ...closingForms(),
  ...trailerForms(),
  ...bodilessForms(),
]

function oldForms(): readonly ConnectionStory[] {
  const forms: readonly (readonly [string, string])[] = [
    ['HTTP/1.0', old(get('/a'))],
    ['HTTP/1.0 that keeps alive', old(get('/a', { connection: 'keep-alive' }, 'GET'))],
    ['HTTP/1.0 that keeps alive, in capitals', old(get('/a', { connection: 'Keep-Alive' }, 'GET'))],
    ['HTTP/1.0 that closes', old(get('/a', { connection: 'close' }, 'GET'))],
    ['HTTP/1.0 without a host', 'GET /a HTTP/1.0\r\n\r\n'],
    ['HTTP/1.1 beside HTTP/1.0', get('/a')],
    ['HTTP/1.0 of HEAD', old(get('/a', {}, 'HEAD'))],
    ['HTTP/1.0 to a proxy connection', old(get('/a', { 'proxy-connection': 'keep-alive' }, 'GET'))],
  ]
  const answers: readonly (readonly [string, string])[] = [
    ['with a length', ok()],
    ['in chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['until the end', 'HTTP/1.1 200 OK\r\n\r\nok'],
    ['of HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    [
      'of HTTP/1.0 that keeps alive',
      'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok',
    ],
  ]
  return [
    ...forms.flatMap(([form, request]) =>
      answers.map(([kind, answer]): ConnectionStory => ({
        name: `${form}, answered ${kind}`,
        listener: 'old',
        async origin(connection) {
          await connection.until('\r\n\r\n')
          connection.send(form.endsWith('HEAD') ? answer.split('\r\n\r\n')[0] + '\r\n\r\n' : answer)
          if (kind === 'until the end') connection.end()
        },
        async play({ open, pause }) {
          const client = await open()
          client.send(request)
          await client.until('\r\n\r\n')
          await pause(60)
        },
      })),
    ),
    {
      name: 'HTTP/1.0 where it is not accepted',
      async play({ open }) {
        const client = await open()
        client.send(old(get('/a')))
        await client.left()
      },
    },
    {
      name: 'a second request of HTTP/1.0 that keeps alive',
      listener: 'old',
      origin: named,
      async play({ open }) {
        const client = await open()
        client.send(old(get('/a', { connection: 'keep-alive' }, 'GET')))
        await client.until('\r\n\r\n/a')
        client.send(old(get('/b', { connection: 'keep-alive' }, 'GET')))
        await client.until('\r\n\r\n/b')
      },
    },
    {
      name: 'a direct response to HTTP/1.0',
      listener: 'old',
      async play({ open }) {
        const client = await open()
        client.send(old(get('/direct')))
        await client.left()
      },
    },
  ]
}

function closingForms(): readonly ConnectionStory[] {
  const asked: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['close', { connection: 'close' }],
    ['Close among others', { connection: 'x-other, Close' }],
    ['keep-alive', { connection: 'keep-alive' }],
    ['proxy-connection: close', { 'proxy-connection': 'close' }],
    ['close and keep-alive', { connection: 'close, keep-alive' }],
  ]
  const answered: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['close', 'connection: close\r\n'],
    ['keep-alive', 'connection: keep-alive\r\nkeep-alive: timeout=5\r\n'],
    ['proxy-connection: close', 'proxy-connection: close\r\n'],
  ]
  return [
    ...asked.flatMap(([word, fields]) =>
      answered.map(([back, line]): ConnectionStory => ({
        name: `a client says ${word}, its origin ${back}`,
        origin: answering((path) => ok(path, line)),
        async play({ open, pause }) {
          const client = await open()
          client.send(get('/a', fields))
          await client.until('\r\n\r\n/a')
          await pause(60)
        },
      })),
    ),
    {
      name: 'an origin closes, of an HTTP/2 client',
      origin: answering((path) => ok(path, 'connection: close\r\n')),
      async play({ openHttp2 }) {
        const client = openHttp2()
        client.request(1, requestFields('/a'))
        await client.frame(endOf(1))
      },
    },
    {
      name: 'an origin says close and does not',
      origin: answering((path) => ok(path, 'connection: close\r\n')),
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/a'))
        await client.until('\r\n\r\n/a')
        await pause(50)
        client.send(get('/b'))
        await client.until('\r\n\r\n/b')
      },
    },
  ]
}

function trailerForms(): readonly ConnectionStory[] {
  const listeners = ['main', 'trailers']
  const clusters = ['/a', '/trailers']
  return listeners.flatMap((listener) => [
    ...clusters.flatMap((path): readonly ConnectionStory[] => [
      {
        name: `${listener}: trailers of a request to ${path}`,
        listener,
        origin: answerAt('0\r\n', ok()),
        async play({ open, pause }) {
          const client = await open()
          client.send(
            `${chunked(path, { trailer: 'x-t', te: 'trailers' })}3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n`,
          )
          await client.until('ok')
          await pause(30)
        },
      },
      {
        name: `${listener}: trailers of a response of ${path}`,
        listener,
        origin: answerAt('\r\n\r\n', withTrailers),
        async play({ open, pause }) {
          const client = await open()
          client.send(get(path, { te: 'trailers' }))
          await client.until('0\r\n')
          await pause(30)
        },
      },
      {
        name: `${listener}: trailers of an HTTP/2 request to ${path}`,
        listener,
        origin: answerAt('0\r\n', ok()),
        async play({ openHttp2 }) {
          const client = openHttp2()
          client.request(1, requestFields(path, [], 'POST'), false)
          client.data(1, 'abc')
          client.send(headersFrames(1, client.block([['x-t', '1']]), true))
          await client.frame(endOf(1))
        },
      },
      {
        name: `${listener}: trailers of a response of ${path} for HTTP/2`,
        listener,
        origin: answerAt('\r\n\r\n', withTrailers),
        async play({ openHttp2 }) {
          const client = openHttp2()
          client.request(1, requestFields(path, [['te', 'trailers']]))
          await client.frame(endOf(1))
        },
      },
    ]),
    {
      name: `${listener}: trailers of an HTTP/2 origin`,
      listener,
      http2Origin(stream) {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-t': '1' }))
        stream.end('ok')
      },
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/two', { te: 'trailers' }))
        await client.until('0\r\n')
        await pause(30)
      },
    },
    {
      name: `${listener}: trailers of an HTTP/1.1 request to an HTTP/2 origin`,
      listener,
      http2Origin(stream) {
        stream.on('end', () => stream.respond({ ':status': 200 }, { endStream: true }))
        stream.resume()
      },
      async play({ open, pause }) {
        const client = await open()
        client.send(`${chunked('/two')}3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n`)
        await client.until('\r\n\r\n')
        await pause(30)
      },
    },
    {
      name: `${listener}: trailers of a response without a body, of an HTTP/2 origin`,
      listener,
      http2Origin(stream) {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-t': '1' }))
        stream.end()
      },
      async play({ openHttp2 }) {
        const client = openHttp2()
        client.request(1, requestFields('/two'))
        await client.frame(endOf(1))
      },
    },
  ])
}

function bodilessForms(): readonly ConnectionStory[] {
  const responses: readonly (readonly [string, string, string])[] = [
    ['HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'],
    ['HEAD in chunks', 'HEAD', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'],
    ['HEAD without either', 'HEAD', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['HEAD of nothing', 'HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['204 without a length', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['204 with no length', 'GET', 'HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n'],
    ['204 with a length', 'GET', 'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n'],
    ['304 without a length', 'GET', 'HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n'],
    ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n'],
    ['304 of HEAD with a length', 'HEAD', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n'],
    ['304 in chunks', 'GET', 'HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n'],
    ['205 with no length', 'GET', 'HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n'],
    ['200 of nothing', 'GET', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['200 of no chunks', 'GET', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
  ]
  return [
    ...responses.flatMap(([name, method, response]): readonly ConnectionStory[] => [
      {
        name: `${name}, HTTP/1.1`,
        origin: answering(() => response),
        async play({ open, pause }) {
          const client = await open()
          client.send(get('/a', {}, method) + get('/b', {}, method))
          await client.until('\r\n\r\n', 2)
          await pause(30)
        },
      },
      {
        name: `${name}, HTTP/2`,
        origin: answering(() => response),
        async play({ openHttp2, pause }) {
          const client = openHttp2()
          client.request(1, requestFields('/a', [], method))
          await client.frame(endOf(1))
          await pause(30)
        },
      },
    ]),
    ...[
      ['HEAD with a length', 'HEAD', { ':status': 200, 'content-length': '5' }] as const,
      ['HEAD without a length', 'HEAD', { ':status': 200 }] as const,
      ['204', 'GET', { ':status': 204 }] as const,
      ['304 with a length', 'GET', { ':status': 304, 'content-length': '5' }] as const,
      ['200 of nothing', 'GET', { ':status': 200 }] as const,
    ].map(([name, method, headers]): ConnectionStory => ({
      name: `${name} of an HTTP/2 origin, HTTP/1.1`,
      http2Origin: (stream) => stream.respond(headers, { endStream: true }),
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/two/a', {}, method) + get('/two/b', {}, method))
        await client.until('\r\n\r\n', 2)
        await pause(30)
      },
    })),
    ...['HEAD', 'GET'].map((method): ConnectionStory => ({
      name: `a direct response without a body to ${method}`,
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/none', {}, method) + get('/direct', {}, method))
        await client.until('\r\n\r\n', 2)
        await pause(30)
      },
    })),
  ]
}
