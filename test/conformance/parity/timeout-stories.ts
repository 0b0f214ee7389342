/** Time-outs of connections and of streams, and how they end what they end. */
import { frameTypes } from '../../../src/proxy/http2/frame.ts'
import type { ConnectionStory } from './connection-story.ts'
import {
  answerAt,
  answerLater,
  chunked,
  endOf,
  get,
  half,
  named,
  ok,
  requestFields,
  sendAndStay,
  silent,
} from './story-parts.ts'

export const timeoutStories: readonly ConnectionStory[] = [
  {
    name: 'a connection that says nothing is idle',
    listener: 'idle',
    async play({ open }) {
      await (await open()).left()
    },
  },
  {
    name: 'a connection is idle again behind its request',
    listener: 'idle',
    origin: named,
    play: sendAndStay(get('/a')),
  },
  {
    name: 'a connection with a request is not idle',
    listener: 'idle',
    origin: answerLater('/a', ok(), 500),
    async play({ open }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('ok')
    },
  },
  {
    name: 'an HTTP/2 connection that says nothing is idle',
    listener: 'idle',
    async play({ openHttp2 }) {
      await openHttp2().closed()
    },
  },
  {
    name: 'an HTTP/2 connection is idle again behind its request',
    listener: 'idle',
    origin: named,
    async play({ openHttp2 }) {
      const client = openHttp2()
      client.request(1, requestFields('/a'))
      await client.closed()
    },
  },
  {
    name: 'a stream that waits for its answer',
    listener: 'stream-idle',
    origin: silent,
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('stream timeout')
      await pause(30)
    },
  },
  {
    name: 'a stream that waits for its body',
    listener: 'stream-idle',
    origin: silent,
    play: sendAndStay(chunked('/a')),
  },
  {
    name: 'a stream that stands still in its answer',
    listener: 'stream-idle',
    origin: answerAt('/a', half),
    play: sendAndStay(get('/a')),
  },
  {
    name: 'a stream that stands still in its answer in chunks',
    listener: 'stream-idle',
    origin: answerAt('/a', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
    play: sendAndStay(get('/a')),
  },
  {
    name: 'an HTTP/2 stream that waits for its answer',
    listener: 'stream-idle',
    origin: silent,
    async play({ openHttp2 }) {
      const client = openHttp2()
      client.request(1, requestFields('/a'))
      await client.frame(endOf(1))
    },
  },
  {
    name: 'an HTTP/2 stream that waits for its body',
    listener: 'stream-idle',
    origin: silent,
    async play({ openHttp2, pause }) {
      const client = openHttp2()
      client.request(1, requestFields('/a', [], 'POST'), false)
      await client.frame(endOf(1))
      await pause(30)
    },
  },
  {
    name: 'an HTTP/2 stream that stands still in its answer',
    listener: 'stream-idle',
    origin: answerAt('/a', half),
    async play({ openHttp2 }) {
      const client = openHttp2()
      client.request(1, requestFields('/a'))
      await client.frame(({ type }) => type === frameTypes.rstStream)
    },
  },
  {
    name: 'a route that lets its streams stand still for less long',
    origin: silent,
    async play({ open }) {
      const client = await open()
      client.send(get('/stream-idle'))
      await client.until('stream timeout')
    },
  },
  {
    name: 'a head that does not come to its end',
    listener: 'timely',
    play: sendAndStay('GET /a HTTP/1.1\r\nhost: app'),
  },
  {
    name: 'a head that stands still',
    listener: 'stream-idle',
    play: sendAndStay('GET /a HTTP/1.1\r\nhost: app'),
  },
  {
    name: 'a request line that stands still',
    listener: 'stream-idle',
    play: sendAndStay('GET /a'),
  },
  {
    name: 'a head that takes longer than a stream may',
    listener: 'stream-duration',
    play: sendAndStay('GET /a HTTP/1.1\r\nhost: app'),
  },
  {
    name: 'a second head that stands still',
    listener: 'stream-idle',
    origin: named,
    play: sendAndStay(`${get('/a')}GET /a HTTP/1.1\r\nhost: app`),
  },
  {
    name: 'a body that does not come to its end',
    listener: 'timely',
    origin: silent,
    play: sendAndStay(`${chunked('/a')}3\r\nabc\r\n`),
  },
  {
    name: 'an HTTP/2 body that does not come to its end',
    listener: 'timely',
    origin: silent,
    async play({ openHttp2, pause }) {
      const client = openHttp2()
      client.request(1, requestFields('/a', [], 'POST'), false)
      await client.frame(endOf(1))
      await pause(30)
    },
  },
  {
    name: 'a connection without requests lasts too long',
    listener: 'max-duration',
    async play({ open }) {
      await (await open()).left()
    },
  },
  {
    name: 'a connection that lasts too long ends with its next response',
    listener: 'max-duration',
    origin: named,
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('/a')
      await pause(350)
      client.send(get('/b'))
      await client.left()
    },
  },
  {
    name: 'a connection that lasts too long waits for the response on its way',
    listener: 'max-duration',
    origin: answerLater('/a', ok(), 700),
    play: sendAndStay(get('/a')),
  },
  {
    name: 'an HTTP/2 connection that lasts too long',
    listener: 'max-duration',
    origin: named,
    async play({ openHttp2 }) {
      const client = openHttp2()
      client.request(1, requestFields('/a'))
      await client.closed()
    },
  },
  {
    name: 'an HTTP/2 connection that lasts too long waits for the response on its way',
    listener: 'max-duration',
    origin: answerLater('/a', ok(), 800),
    async play({ openHttp2 }) {
      const client = openHttp2()
      client.request(1, requestFields('/a'))
      await client.closed()
    },
  },
  {
    name: 'a client that does not end its side is cut off a little later',
    listener: 'delayed',
    origin: named,
    async play({ open, pause, note }) {
      const client = await open()
      client.send(get('/a', { connection: 'close' }))
      await client.left()
      await pause(150)
      note(`soon: ${client.peer}`)
      await pause(600)
      client.send('more')
      await pause(50)
      client.send('more')
      await pause(50)
      note(`late: ${client.peer}`)
    },
  },
  {
    name: 'a client that ends its side is not waited for',
    listener: 'delayed',
    origin: named,
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a', { connection: 'close' }))
      await client.left()
      client.end()
      await pause(100)
    },
  },
  {
    name: 'a client is cut off at once where nothing delays it',
    listener: 'undelayed',
    origin: named,
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a', { connection: 'close' }))
      await client.left()
      await pause(50)
      client.send('more')
      await pause(50)
    },
  },
  {
    name: 'a bad request is answered before the client is cut off',
    listener: 'delayed',
    async play({ open, pause }) {
      const client = await open()
      client.send('GET / HTTP/1.1\r\nhost: a b\r\n\r\n')
      await client.left()
      await pause(700)
    },
  },
  {
    name: 'a connection to an origin that is idle is ended',
    origin: named,
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/up-idle'))
      await client.until('/up-idle')
      await pause(500)
    },
  },
  {
    name: 'an origin gets one request a connection where it wants no more',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(get('/up-few/a'))
      await client.until('/up-few/a')
      client.send(get('/up-few/b'))
      await client.until('/up-few/b')
    },
  },
  {
    name: 'a connection to an origin that has grown too old',
    origin: named,
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/up-aged'))
      await client.until('/up-aged')
      await pause(450)
      client.send(get('/up-aged'))
      await client.until('/up-aged', 2)
      await pause(60)
    },
  },
  {
    name: 'a connection to an origin that grows too old before it answers',
    origin: answerLater('/up-aged', ok(), 450),
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/up-aged'))
      await client.until('ok')
      await pause(60)
    },
  },
  {
    name: 'a connection to an HTTP/2 origin that grows too old before it answers',
    http2Origin: (stream) => {
      setTimeout(() => {
        stream.respond({ ':status': 200 })
        stream.end('ok')
      }, 450)
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/up-aged-two'))
      await client.until('ok')
      await pause(60)
    },
  },
  {
    name: 'the last request that a connection may have',
    listener: 'few',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('/a')
      client.send(get('/b'))
      await client.left()
    },
  },
  {
    name: 'the last request that an HTTP/2 connection may have',
    listener: 'few',
    origin: named,
    async play({ openHttp2 }) {
      const client = openHttp2()
      client.request(1, requestFields('/a'))
      await client.frame(endOf(1))
      client.request(3, requestFields('/b'))
      await client.frame(endOf(3))
    },
  },
]
