/** Tunnels: which time-outs are theirs, and CONNECT that goes on and that ends here, in both versions of HTTP. */
import { frameTypes } from '../../../src/proxy/http2/frame.ts'
import type { RawClient } from '../../support/raw-http2.ts'
import type { Serve } from './connection-ends.ts'
import { sendAndWait } from './connection-router-stories.ts'
import type { ConnectionStory, Stage } from './connection-story.ts'
import { answerAt, get, named, overOf, requestFields, sendAndStay, silent } from './story-parts.ts'

const asking = { connection: 'upgrade', upgrade: 'websocket' }
const switching =
  'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
const accepting = 'HTTP/1.1 200 OK\r\n\r\n'

const isHead = ({ type }: { readonly type: number }): boolean => type === frameTypes.headers

/** Answers a ping behind `head`; where nothing is asked of it, it is only connected to. */
function pong(head: string | undefined): Serve {
  return async (connection) => {
    if (head !== undefined) {
      await connection.until('\r\n\r\n')
      connection.send(head)
    }
    await connection.until('ping')
    connection.send('pong')
  }
}

/** Asks, says something after longer than any time-out, and cuts. */
function pingLate(text: string): ConnectionStory['play'] {
  return async ({ open, pause }) => {
    const client = await open()
    client.send(text)
    await client.until('\r\n\r\n')
    await pause(500)
    client.send('ping')
    await client.until('pong')
    await pause(60)
    client.reset()
  }
}

/** Not every tunnel has a time-out: what never comes is not waited for. */
const longMs = 900

function waitForTimeout(text: string): ConnectionStory['play'] {
  return async ({ open, pause }) => {
    const client = await open()
    client.send(text)
    await Promise.race([client.left(), pause(longMs)])
    client.reset()
  }
}

async function openInHttp2({ openHttp2 }: Stage): Promise<RawClient> {
  const client = openHttp2()
  await client.frame(({ type }) => type === frameTypes.settings)
  return client
}

const lateWebsockets = [
  ['/timeout', 'upgrade'],
  ['/duration', 'upgrade'],
  ['/try', 'upgrade'],
  ['/try-idle', 'upgrade'],
  ['/stream-idle', 'upgrade'],
  ['/a', 'stream-duration'],
] as const

const websockets: readonly ConnectionStory[] = [
  ...lateWebsockets.map(([path, listener]): ConnectionStory => ({
    name: `a websocket to ${path} of ${listener} that says something late`,
    listener,
    origin: pong(switching),
    play: pingLate(get(path, asking)),
  })),
  ...['/timeout', '/try', '/try-idle'].flatMap((path): readonly ConnectionStory[] => [
    {
      name: `a websocket to ${path} that the origin does not answer in time`,
      listener: 'upgrade',
      origin: silent,
      play: waitForTimeout(get(path, asking)),
    },
    {
      name: `a websocket to ${path} that the origin does not answer in time, in HTTP/2`,
      listener: 'upgrade',
      origin: silent,
      async play(stage) {
        const client = await openInHttp2(stage)
        client.request(1, requestFields(path, [[':protocol', 'websocket']], 'CONNECT'), false)
        await Promise.race([client.frame(overOf(1)), stage.pause(longMs)])
        await stage.pause(60)
      },
    },
  ]),
  {
    name: 'another protocol that the origin does not answer in time',
    listener: 'upgrade',
    origin: silent,
    play: waitForTimeout(get('/timeout', { connection: 'upgrade', upgrade: 'other' })),
  },
  {
    name: 'a websocket whose second try switches',
    listener: 'upgrade',
    origin: (connection, index) =>
      answerAt(
        '\r\n\r\n',
        index === 0
          ? 'HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'
          : switching,
      )(connection, index),
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/retry', asking))
      await client.until('101')
      await pause(60)
      client.reset()
    },
  },
]

function connectText(more: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries(more).map(([name, value]) => `${name}: ${value}\r\n`)
  return `CONNECT app.test:80 HTTP/1.1\r\nhost: app.test:80\r\n${lines.join('')}\r\n`
}

const overHttp2: readonly ConnectionStory[] = [
  {
    name: 'a websocket to an HTTP/2 origin that knows none',
    listener: 'upgrade',
    http2Origin: (stream) => {
      stream.respond({ ':status': 200 })
      stream.write('hello')
    },
    play: sendAndStay(get('/two', asking)),
  },
  {
    name: 'CONNECT to an HTTP/2 origin that refuses it',
    listener: 'connect',
    http2Origin: (stream) => {
      stream.respond({ ':status': 403 })
      stream.end('no')
    },
    play: sendAndWait(connectText({ 'x-two': '1' }), '\r\n\r\n'),
  },
]

const endsHere = { 'x-end': '1' }

const connects: readonly ConnectionStory[] = [
  ...[
    { what: 'CONNECT that goes on', more: {}, head: accepting },
    { what: 'CONNECT that ends here', more: endsHere, head: undefined },
  ].flatMap(({ what, more, head }): readonly ConnectionStory[] => [
    {
      name: `${what}, longer than the time-out`,
      listener: 'connect',
      origin: pong(head),
      play: pingLate(connectText(more)),
    },
    {
      name: `${what}, with early bytes`,
      listener: 'connect',
      origin: pong(head),
      async play({ open, pause }) {
        const client = await open()
        client.send(`${connectText(more)}ping`)
        await client.until('pong')
        await pause(60)
        client.reset()
      },
    },
    {
      name: `${what}, where the listener does not know it`,
      origin: named,
      async play({ open, pause }) {
        const client = await open()
        client.send(connectText(more))
        await Promise.race([client.left(), pause(300)])
        client.reset()
      },
    },
    {
      name: `${what}, in HTTP/2`,
      listener: 'connect',
      origin: pong(head),
      async play(stage) {
        const client = await openInHttp2(stage)
        const own = [
          [':method', 'CONNECT'],
          [':authority', 'app.test:80'],
        ] as const
        client.request(1, [...own, ...Object.entries<string>(more)], false)
        await client.frame(isHead)
        client.data(1, 'ping')
        await client.frame(({ type }) => type === frameTypes.data)
        await stage.pause(60)
      },
    },
  ]),
  {
    name: 'CONNECT that ends here, whose origin ends',
    listener: 'connect',
    origin: async (connection) => {
      await connection.until('ping')
      connection.send('pong')
      connection.end()
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(`${connectText(endsHere)}ping`)
      await client.left()
      client.end()
      await pause(60)
    },
  },
  {
    name: 'CONNECT that ends here, whose origin resets',
    listener: 'connect',
    origin: async (connection) => {
      await connection.until('ping')
      connection.reset()
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(`${connectText(endsHere)}ping`)
      await client.left()
      await pause(60)
    },
  },
  {
    name: 'CONNECT that the origin refuses',
    listener: 'connect',
    origin: answerAt('\r\n\r\n', 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno'),
    play: sendAndWait(connectText(), 'no'),
  },
  {
    name: 'CONNECT that is not answered in time',
    listener: 'connect',
    origin: silent,
    play: waitForTimeout(connectText()),
  },
  {
    name: 'CONNECT with a body',
    listener: 'connect',
    play: sendAndWait(`${connectText({ 'content-length': '4' })}ping`, 'Request'),
  },
]

export const tunnelStories: readonly ConnectionStory[] = [...websockets, ...overHttp2, ...connects]
