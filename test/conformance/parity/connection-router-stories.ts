/** What the router makes of time-outs, retries and resets in the middle of a conversation. */
import { constants } from 'node:http2'

import type { Serve } from './connection-ends.ts'
import type { ServeStream } from './connection-http2.ts'
import type { ConnectionStory } from './connection-story.ts'
import {
  answerAt,
  chunked,
  get,
  half,
  ok,
  overOf,
  requestFields,
  sendAndStay,
  silent,
} from './story-parts.ts'

const busy = 'HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbusy'
const busyLater = busy.replace('\r\n', '\r\nretry-after: 1\r\n')

const grpc = [
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
] as const

export function sendAndWait(text: string, part: string): ConnectionStory['play'] {
  return async ({ open, pause }) => {
    const client = await open()
    client.send(text)
    await client.until(part)
    await pause(60)
  }
}

function getInHttp2(path: string, more: typeof grpc | readonly [] = []): ConnectionStory['play'] {
  return async ({ openHttp2, pause }) => {
    const client = openHttp2()
    client.request(1, requestFields(path, more))
    await client.frame(overOf(1))
    await pause(60)
  }
}

/** Sends the first half of a body, and the other when the first attempt is over. */
function postInHalves(path: string, pauseMs: number, part: string): ConnectionStory['play'] {
  return async ({ open, pause }) => {
    const client = await open()
    client.send(`${chunked(path)}3\r\nabc\r\n`)
    await pause(pauseMs)
    client.send('3\r\ndef\r\n0\r\n\r\n')
    await client.until(part)
    await pause(60)
  }
}

/** The first attempt, on a connection of its own, fails in the middle of its body. */
function failFirst(fail: Serve): Serve {
  return async (connection, index) => {
    await connection.until(index === 0 ? 'abc' : '0\r\n\r\n')
    if (index === 0) await fail(connection, index)
    else connection.send(ok())
  }
}

function resetWith(code: number): ServeStream {
  return (stream) => stream.close(code)
}

function answerAndReset(code: number): ServeStream {
  return (stream) => {
    stream.respond({ ':status': 200 })
    stream.write('half', () => stream.close(code))
  }
}

const resetCodes: Readonly<Record<string, number>> = {
  NO_ERROR: constants.NGHTTP2_NO_ERROR,
  PROTOCOL_ERROR: constants.NGHTTP2_PROTOCOL_ERROR,
  INTERNAL_ERROR: constants.NGHTTP2_INTERNAL_ERROR,
  REFUSED_STREAM: constants.NGHTTP2_REFUSED_STREAM,
  CANCEL: constants.NGHTTP2_CANCEL,
  ENHANCE_YOUR_CALM: constants.NGHTTP2_ENHANCE_YOUR_CALM,
  HTTP_1_1_REQUIRED: constants.NGHTTP2_HTTP_1_1_REQUIRED,
}

const retries: readonly ConnectionStory[] = [
  {
    name: 'a retry while the body still flows',
    origin: failFirst((connection) => connection.send(busy)),
    play: postInHalves('/retry', 200, '200 OK'),
  },
  {
    name: 'a retry behind a reset while the body still flows',
    origin: failFirst((connection) => connection.reset()),
    play: postInHalves('/retry', 200, '200 OK'),
  },
  {
    name: 'retries that are used up while the body still flows',
    origin: answerAt('abc', busy),
    async play({ open, pause }) {
      const client = await open()
      client.send(`${chunked('/retry')}3\r\nabc\r\n`)
      await client.until('503')
      await pause(100)
    },
  },
  {
    name: 'a body that takes longer than a try may',
    origin: answerAt('0\r\n\r\n', ok()),
    play: postInHalves('/try', 400, '200 OK'),
  },
  {
    name: 'a client that leaves while its retry waits',
    origin: answerAt('\r\n\r\n', busyLater),
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/later'))
      await pause(120)
      client.end()
      await pause(120)
    },
  },
  {
    name: 'a time-out while a retry waits',
    origin: answerAt('\r\n\r\n', busyLater),
    play: sendAndWait(get('/later'), '504'),
  },
  {
    name: 'a time-out while a retry waits, for HTTP/2',
    origin: answerAt('\r\n\r\n', busyLater),
    play: getInHttp2('/later'),
  },
]

const timeouts: readonly ConnectionStory[] = [
  {
    name: 'a time-out in the middle of an answer',
    origin: answerAt('\r\n\r\n', half),
    play: sendAndStay(get('/timeout')),
  },
  {
    name: 'a time-out in the middle of an answer for HTTP/2',
    origin: answerAt('\r\n\r\n', half),
    play: getInHttp2('/timeout'),
  },
  {
    name: 'a time-out in the middle of an answer, of an HTTP/2 origin that is given up',
    http2Origin: (stream) => {
      stream.respond({ ':status': 200 })
      stream.write('half')
    },
    play: sendAndStay(get('/timeout-two')),
  },
  {
    name: 'a time-out of an HTTP/2 origin that is given up',
    http2Origin: () => undefined,
    play: sendAndWait(get('/timeout-two'), '504'),
  },
  {
    name: 'a time-out counts from the end of the request',
    origin: answerAt('0\r\n\r\n', ok()),
    play: postInHalves('/timeout', 450, '200 OK'),
  },
  {
    name: 'an early answer that takes longer than the time-out',
    origin: answerAt('abc', half),
    async play({ open, pause }) {
      const client = await open()
      client.send(`${chunked('/timeout')}3\r\nabc\r\n`)
      await client.until('half')
      client.send('0\r\n\r\n')
      await client.left()
      await pause(60)
    },
  },
  {
    name: 'a longest stream in the middle of an answer',
    listener: 'stream-duration',
    origin: answerAt('\r\n\r\n', half),
    play: sendAndStay(get('/a')),
  },
  {
    name: 'a longest stream in the middle of a body',
    listener: 'stream-duration',
    origin: silent,
    play: sendAndStay(`${chunked('/a')}3\r\nabc\r\n`),
  },
  {
    name: 'a longest stream in the middle of an HTTP/2 body',
    listener: 'stream-duration',
    origin: silent,
    async play({ openHttp2, pause }) {
      const client = openHttp2()
      client.request(1, requestFields('/a', [], 'POST'), false)
      client.data(1, 'abc')
      await client.frame(overOf(1))
      await pause(60)
    },
  },
  {
    name: 'a longest stream in the middle of an answer for HTTP/2',
    listener: 'stream-duration',
    origin: answerAt('\r\n\r\n', half),
    play: getInHttp2('/a'),
  },
  {
    name: 'a longest stream of gRPC in HTTP/2',
    listener: 'stream-duration',
    origin: silent,
    play: getInHttp2('/a', grpc),
  },
  {
    name: 'a longest stream of gRPC that is a route’s, in HTTP/2',
    origin: silent,
    play: getInHttp2('/duration', grpc),
  },
]

const resets = Object.entries(resetCodes).flatMap(([name, code]): readonly ConnectionStory[] => [
  {
    name: `an HTTP/2 origin resets with ${name}`,
    http2Origin: resetWith(code),
    play: sendAndWait(get('/two'), '\r\n\r\n'),
  },
  {
    name: `an HTTP/2 origin resets with ${name}, for HTTP/2`,
    http2Origin: resetWith(code),
    play: getInHttp2('/two'),
  },
  {
    name: `an HTTP/2 origin resets with ${name} in the middle of an answer`,
    http2Origin: answerAndReset(code),
    play: sendAndStay(get('/two')),
  },
  {
    name: `an HTTP/2 origin resets with ${name} in the middle of an answer, for HTTP/2`,
    http2Origin: answerAndReset(code),
    play: getInHttp2('/two'),
  },
  {
    name: `an HTTP/2 origin resets with ${name} twice`,
    http2Origin: resetWith(code),
    play: sendAndWait(get('/retry-two'), '\r\n\r\n'),
  },
])

const ends: readonly ConnectionStory[] = [
  {
    name: 'an HTTP/2 origin says GOAWAY before it answers',
    http2Origin: (stream) => {
      stream.session?.goaway(0, stream.id)
      setTimeout(() => {
        stream.respond({ ':status': 200 })
        stream.end('ok')
      }, 50)
    },
    play: sendAndWait(get('/two'), 'ok'),
  },
  {
    name: 'an HTTP/2 origin ends its connection',
    http2Origin: (stream) => stream.session?.destroy(),
    play: sendAndWait(get('/two'), '\r\n\r\n'),
  },
  {
    name: 'an HTTP/2 origin ends its connection twice',
    http2Origin: (stream) => stream.session?.destroy(),
    play: sendAndWait(get('/retry-two'), '\r\n\r\n'),
  },
  {
    name: 'an HTTP/2 origin answers with trailers only',
    http2Origin: (stream) => {
      const fields = { ':status': 200, 'grpc-status': '7', 'grpc-message': 'no' }
      stream.respond(fields, { endStream: true })
    },
    play: getInHttp2('/two', grpc),
  },
]

export const routerStories: readonly ConnectionStory[] = [
  ...retries,
  ...timeouts,
  ...resets,
  ...ends,
]
