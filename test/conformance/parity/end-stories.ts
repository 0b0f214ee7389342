/** Ends of connections: half of them, whole, in time and too early, by the client and by the origin. */
import { errorCodes, frameTypes, goawayFrame, resetFrame } from '../../../src/proxy/http2/frame.ts'
import type { RawEnd } from './connection-ends.ts'
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
  overOf,
  post,
  requestFields,
  sendAndStay,
  silent,
} from './story-parts.ts'

export const endStories: readonly ConnectionStory[] = [
  {
    name: 'a client that ends its direction behind a whole request',
    origin: answerLater('/a', ok(), 150),
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a'))
      await pause(50)
      client.end()
      await client.left()
    },
  },
  {
    name: 'a client that ends its direction in the middle of a body',
    origin: silent,
    async play({ open, pause }) {
      const client = await open()
      client.send(`${chunked('/a')}3\r\nabc\r\n`)
      await pause(50)
      client.end()
      await client.left()
    },
  },
  {
    name: 'a client that ends its direction in the middle of a head',
    async play({ open }) {
      const client = await open()
      client.send('GET /a HTTP/1.1\r\nhost')
      client.end()
      await client.left()
    },
  },
  {
    name: 'a client that ends its direction without a request',
    async play({ open }) {
      const client = await open()
      client.end()
      await client.left()
    },
  },
  {
    name: 'a client that ends its direction in the middle of an answer',
    origin: answerAt('/a', half),
    async play({ open }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('half')
      client.end()
      await client.left()
    },
  },
  {
    name: 'a client that resets in the middle of an answer',
    origin: answerAt('/a', half),
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('half')
      client.reset()
      await pause(50)
    },
  },
  {
    name: 'a client that resets before its answer',
    origin: silent,
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a'))
      await pause(80)
      client.reset()
      await pause(50)
    },
  },
  {
    name: 'a client that leaves between two requests',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('/a')
      client.end()
      await client.left()
    },
  },
  ...originEnds(),
  {
    name: 'an origin that ends an idle connection',
    origin: async (connection) => {
      await connection.until('/a')
      connection.send(ok())
      setTimeout(() => connection.end(), 50)
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('ok')
      await pause(100)
    },
  },
  {
    name: 'an origin that says more than it was asked',
    origin: async (connection) => {
      await connection.until('/a')
      connection.send(ok() + ok('more'))
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('ok')
      await pause(50)
    },
  },
  {
    name: 'bytes of an origin on an idle connection',
    origin: async (connection) => {
      await connection.until('/a')
      connection.send(ok())
      setTimeout(() => connection.send('HTTP/1.1 408 Request Timeout\r\n\r\n'), 60)
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a'))
      await client.until('ok')
      await pause(120)
    },
  },
  ...http2Ends(),
  ...tcpEnds(),
]

/** Where an origin ends its connection, of a request with a body and of one without. */
function originEnds(): readonly ConnectionStory[] {
  const places: readonly (readonly [string, string])[] = [
    ['before a response', ''],
    ['in the middle of a head', 'HTTP/1.1 200 OK\r\nconte'],
    ['behind a head', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'],
    ['in the middle of a body', half],
    [
      'in the middle of chunks',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
    ],
    ['at the end of an open body', 'HTTP/1.1 200 OK\r\n\r\nwhole'],
    ['behind an interim response', 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'],
  ]
  const leave: readonly (readonly [string, (end: RawEnd) => void])[] = [
    ['ends', (end) => end.end()],
    ['resets', (end) => setTimeout(() => end.reset(), 30)],
  ]
  return places.flatMap(([place, bytes]) =>
    leave.flatMap(([verb, go]) =>
      [false, true].map((isHttp2): ConnectionStory => ({
        name: `an origin ${verb} ${place}${isHttp2 ? ', for HTTP/2' : ''}`,
        async origin(connection) {
          await connection.until('\r\n\r\n')
          connection.send(bytes)
          go(connection)
        },
        async play({ open, openHttp2, pause }) {
          if (isHttp2) {
            const client = openHttp2()
            client.request(1, requestFields('/a'))
            await client.frame(overOf(1))
          } else {
            const client = await open()
            client.send(get('/a'))
            await Promise.race([client.left(), pause(300)])
          }
          await pause(50)
        },
      })),
    ),
  )
}

function http2Ends(): readonly ConnectionStory[] {
  return [
    {
      name: 'an HTTP/2 client that leaves with a request on its way',
      origin: silent,
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        client.request(1, requestFields('/a'))
        await pause(80)
        client.close()
        await pause(50)
      },
    },
    {
      name: 'an HTTP/2 client that leaves in the middle of an answer',
      origin: answerAt('/a', half),
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        client.request(1, requestFields('/a'))
        await client.frame(({ type }) => type === frameTypes.data)
        client.close()
        await pause(50)
      },
    },
    {
      name: 'an HTTP/2 client that leaves without a request',
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        await pause(80)
        client.close()
        await pause(50)
      },
    },
    {
      name: 'an HTTP/2 client that gives up one of two requests',
      origin: silent,
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        client.request(1, requestFields('/a'))
        client.request(3, requestFields('/b'))
        await pause(80)
        client.send(resetFrame(1, errorCodes.cancel))
        await pause(80)
        client.close()
        await pause(50)
      },
    },
    {
      name: 'an HTTP/2 client that gives up its request in the middle of the answer',
      origin: answerAt('/a', half),
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        client.request(1, requestFields('/a'))
        await client.frame(({ type }) => type === frameTypes.data)
        client.send(resetFrame(1, errorCodes.cancel))
        await pause(80)
      },
    },
    {
      name: 'an HTTP/2 client that breaks a rule with a request on its way',
      origin: silent,
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        client.request(1, requestFields('/a'))
        await pause(80)
        client.request(3, requestFields('/b', [['connection', 'close']]))
        await client.closed()
      },
    },
    {
      name: 'an HTTP/2 client that says GOAWAY with a request on its way',
      origin: answerLater('/a', ok(), 150),
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        client.request(1, requestFields('/a'))
        await pause(50)
        client.send(goawayFrame(0, errorCodes.noError))
        await client.frame(endOf(1))
        await pause(50)
      },
    },
    {
      name: 'an HTTP/2 client that says GOAWAY without a request',
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        await pause(50)
        client.send(goawayFrame(0, errorCodes.noError))
        await pause(100)
      },
    },
    {
      name: 'an HTTP/2 client that leaves, of an HTTP/2 origin',
      http2Origin: () => undefined,
      async play({ openHttp2, pause }) {
        const client = openHttp2()
        client.request(1, requestFields('/two'))
        await pause(100)
        client.close()
        await pause(50)
      },
    },
    {
      name: 'an HTTP/1.1 client that leaves, of an HTTP/2 origin',
      http2Origin: () => undefined,
      async play({ open, pause }) {
        const client = await open()
        client.send(post('/two', 'hello'))
        await pause(100)
        client.reset()
        await pause(50)
      },
    },
  ]
}

/** Through a TCP proxy each direction ends by itself. */
function tcpEnds(): readonly ConnectionStory[] {
  return [
    {
      name: 'TCP: a client ends its direction, and the origin goes on',
      listener: 'tcp',
      origin: async (connection) => {
        connection.send('hello')
        await connection.left()
        connection.send(' and more')
        setTimeout(() => connection.end(), 50)
      },
      async play({ open }) {
        const client = await open()
        await client.until('hello')
        client.send('bye')
        client.end()
        await client.left()
      },
    },
    {
      name: 'TCP: an origin ends its direction, and the client goes on',
      listener: 'tcp',
      origin: async (connection) => {
        connection.send('bye')
        connection.end()
        await connection.left()
      },
      async play({ open, pause }) {
        const client = await open()
        await client.left()
        client.send('more')
        await pause(60)
        client.end()
        await pause(60)
      },
    },
    {
      name: 'TCP: a client resets',
      listener: 'tcp',
      origin: (connection) => connection.send('hello'),
      async play({ open, pause }) {
        const client = await open()
        await client.until('hello')
        client.send('bye')
        await pause(50)
        client.reset()
        await pause(60)
      },
    },
    {
      name: 'TCP: an origin resets',
      listener: 'tcp',
      origin: async (connection) => {
        await connection.until('bye')
        connection.reset()
      },
      play: sendAndStay('bye'),
    },
    {
      name: 'TCP: a client that ends at once',
      listener: 'tcp',
      origin: async (connection) => {
        await connection.left()
        connection.end()
      },
      async play({ open }) {
        const client = await open()
        client.end()
        await client.left()
      },
    },
    {
      name: 'TCP: nobody says anything for too long',
      listener: 'tcp-idle',
      origin: (connection) => connection.send('hello'),
      async play({ open }) {
        await (await open()).left()
      },
    },
    {
      name: 'TCP: half a connection stands still for too long',
      listener: 'tcp-idle',
      origin: (connection) => connection.send('hello'),
      async play({ open, pause }) {
        const client = await open()
        await client.until('hello')
        client.end()
        await pause(600)
      },
    },
  ]
}
