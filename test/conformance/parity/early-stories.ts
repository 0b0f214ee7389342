/** Answers that come before their request has been sent, in every combination of the versions of HTTP. */
import { frameTypes } from '../../../src/proxy/http2/frame.ts'
import type { Serve } from './connection-ends.ts'
import type { ServeStream } from './connection-http2.ts'
import type { ConnectionStory } from './connection-story.ts'
import {
  answerAt,
  chunked,
  endOf,
  get,
  ok,
  overOf,
  requestFields,
  sendAndStay,
} from './story-parts.ts'

const early = 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno'
const earlyHead = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha'

const beginEarly: Serve = async (connection) => {
  await connection.until('abc')
  connection.send(earlyHead)
  await connection.until('0\r\n\r\n')
  connection.send('lf')
}

const refuseEarly: ServeStream = (stream) => {
  stream.once('data', () => {
    stream.respond({ ':status': 403 })
    stream.end('no')
  })
}

const refuseEarlyAndReset: ServeStream = (stream) => {
  stream.once('data', () => {
    stream.respond({ ':status': 403 })
    stream.end('no', () => stream.close(0))
  })
}

/** Sends the rest of the body when the answer has begun. */
function postOn(path: string): ConnectionStory['play'] {
  return async ({ open, pause }) => {
    const client = await open()
    client.send(`${chunked(path)}3\r\nabc\r\n`)
    await client.until('ha')
    client.send('3\r\ndef\r\n0\r\n\r\n')
    await client.until('half')
    await pause(50)
  }
}

/** Leaves the body open. */
function postInHttp2(path: string): ConnectionStory['play'] {
  return async ({ openHttp2, pause }) => {
    const client = openHttp2()
    client.request(1, requestFields(path, [], 'POST'), false)
    client.data(1, 'abc')
    await client.frame(overOf(1))
    await pause(50)
  }
}

/** Sends the rest of the body when the answer has begun. */
function postOnInHttp2(path: string): ConnectionStory['play'] {
  return async ({ openHttp2, pause }) => {
    const client = openHttp2()
    client.request(1, requestFields(path, [], 'POST'), false)
    client.data(1, 'abc')
    await client.frame(({ type }) => type === frameTypes.data)
    client.data(1, 'def', true)
    await client.frame(overOf(1))
    await pause(50)
  }
}

export const earlyStories: readonly ConnectionStory[] = [
  {
    name: 'an early answer, HTTP/1.1 to HTTP/1.1',
    origin: answerAt('abc', early),
    play: sendAndStay(`${chunked('/a')}3\r\nabc\r\n`),
  },
  {
    name: 'an early answer, and a client that sends on',
    origin: answerAt('abc', early),
    async play({ open, pause }) {
      const client = await open()
      client.send(`${chunked('/a')}3\r\nabc\r\n`)
      await client.until('no')
      client.send('3\r\ndef\r\n0\r\n\r\n')
      client.send(get('/b'))
      await client.left()
      await pause(50)
    },
  },
  {
    name: 'an early answer of a request with a length',
    origin: answerAt('abc', early),
    play: sendAndStay(`${get('/a', { 'content-length': '6' }, 'POST')}abc`),
  },
  {
    name: 'an answer that begins early and ends after its request',
    origin: beginEarly,
    play: postOn('/a'),
  },
  {
    name: 'an answer of the proxy while the body still flows',
    play: sendAndStay(`${chunked('/direct')}3\r\nabc\r\n`),
  },
  {
    name: 'an answer of the proxy to a request whose body comes at once',
    async play({ open }) {
      const client = await open()
      client.send(`${chunked('/direct')}3\r\nabc\r\n0\r\n\r\n${get('/none')}`)
      await client.until('204')
    },
  },
  {
    name: 'an early answer with Connection: close',
    origin: answerAt('abc', early.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')),
    play: sendAndStay(`${chunked('/a')}3\r\nabc\r\n`),
  },
  {
    name: 'an early answer, and an origin that leaves',
    origin: async (connection) => {
      await connection.until('abc')
      connection.send(early)
      connection.end()
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(`${chunked('/a')}3\r\nabc\r\n`)
      await client.left()
      await pause(30)
    },
  },
  {
    name: 'an early answer, HTTP/2 to HTTP/1.1',
    origin: answerAt('abc', early),
    play: postInHttp2('/a'),
  },
  {
    name: 'an answer that begins early, HTTP/2 to HTTP/1.1',
    origin: beginEarly,
    play: postOnInHttp2('/a'),
  },
  {
    name: 'an early answer, HTTP/1.1 to HTTP/2',
    http2Origin: refuseEarly,
    play: sendAndStay(`${chunked('/two')}3\r\nabc\r\n`),
  },
  {
    name: 'an early answer and a reset without an error, HTTP/1.1 to HTTP/2',
    http2Origin: refuseEarlyAndReset,
    play: sendAndStay(`${chunked('/two')}3\r\nabc\r\n`),
  },
  {
    name: 'an early answer, HTTP/2 to HTTP/2',
    http2Origin: refuseEarly,
    play: postInHttp2('/two'),
  },
  {
    name: 'an early answer and a reset without an error, HTTP/2 to HTTP/2',
    http2Origin: refuseEarlyAndReset,
    play: postInHttp2('/two'),
  },
  {
    name: 'an answer that begins early, HTTP/2 to HTTP/2',
    http2Origin(stream) {
      stream.once('data', () => {
        stream.respond({ ':status': 200 })
        stream.write('ha')
      })
      stream.once('end', () => stream.end('lf'))
    },
    play: postOnInHttp2('/two'),
  },
  {
    name: 'an answer that begins early, HTTP/1.1 to HTTP/2',
    http2Origin(stream) {
      stream.once('data', () => {
        stream.respond({ ':status': 200, 'content-length': '4' })
        stream.write('ha')
      })
      stream.once('end', () => stream.end('lf'))
    },
    play: postOn('/two'),
  },
  {
    name: 'an answer of the proxy while the body still flows, HTTP/2',
    play: postInHttp2('/direct'),
  },
  {
    name: 'an early answer that is followed by the rest of the request, HTTP/2',
    origin: answerAt('abc', ok()),
    async play({ openHttp2, pause }) {
      const client = openHttp2()
      client.request(1, requestFields('/a', [], 'POST'), false)
      client.data(1, 'abc')
      await client.frame(overOf(1))
      client.data(1, 'def', true)
      await pause(50)
      client.request(3, requestFields('/direct'))
      await client.frame(endOf(3))
    },
  },
]
