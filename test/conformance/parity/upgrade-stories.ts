/** Upgrades: with bodies, refused, half-closed, in both versions of HTTP. */
import { frameTypes } from '../../../src/proxy/http2/frame.ts'
import type { RawClient } from '../../support/raw-http2.ts'
import type { Serve } from './connection-ends.ts'
import type { ConnectionStory } from './connection-story.ts'
import { answerAt, chunked, get, ok, overOf, post, requestFields } from './story-parts.ts'

const asking = { connection: 'upgrade', upgrade: 'websocket' }
const other = { connection: 'upgrade', upgrade: 'other' }
const switching =
  'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'

const refusal = 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno'

const listener = 'upgrade'

function switchAndAnswer(protocol: string, part: string): Serve {
  return async (connection) => {
    await connection.until('\r\n\r\n')
    connection.send(switching.replaceAll('websocket', protocol))
    await connection.until(part)
    connection.send('back')
  }
}

async function askInHttp2(client: RawClient): Promise<RawClient> {
  await client.frame(({ type }) => type === frameTypes.settings)
  client.request(1, requestFields('/a', [[':protocol', 'websocket']], 'CONNECT'), false)
  return client
}

export const upgradeStories: readonly ConnectionStory[] = [
  ...[['websocket', asking] as const, ['another protocol', other] as const].flatMap(
    ([name, fields]): readonly ConnectionStory[] => [
      {
        name: `an upgrade to ${name} whose request has a length`,
        listener,
        origin: switchAndAnswer(fields.upgrade, 'hello'),
        async play({ open, pause }) {
          const client = await open()
          client.send(post('/a', 'hello', fields))
          await client.until('back')
          client.send('more')
          await pause(60)
        },
      },
      {
        name: `an upgrade to ${name} whose request has chunks`,
        listener,
        origin: switchAndAnswer(fields.upgrade, 'hello'),
        async play({ open, pause }) {
          const client = await open()
          client.send(`${chunked('/a', fields)}5\r\nhello\r\n0\r\n\r\n`)
          await client.until('back')
          client.send('more')
          await pause(60)
        },
      },
      {
        name: `an upgrade to ${name} whose request has a length of nothing`,
        listener,
        origin: switchAndAnswer(fields.upgrade, 'hello'),
        async play({ open, pause }) {
          const client = await open()
          client.send(post('/a', '', fields))
          await client.until('101')
          client.send('hello')
          await client.until('back')
          await pause(60)
        },
      },
      {
        name: `an upgrade to ${name} with a body that is refused`,
        listener,
        origin: answerAt('hello', refusal),
        async play({ open, pause }) {
          const client = await open()
          client.send(post('/a', 'hello', fields))
          await client.until('403')
          await pause(60)
        },
      },
      {
        name: `an upgrade to ${name} without a body that is refused`,
        listener,
        origin: answerAt('\r\n\r\n', refusal),
        async play({ open, pause }) {
          const client = await open()
          client.send(get('/a', fields))
          await client.until('403')
          await pause(60)
          client.send(get('/b'))
          await pause(60)
        },
      },
      {
        name: `an upgrade to ${name} with bytes behind it`,
        listener,
        origin: switchAndAnswer(fields.upgrade, 'early'),
        async play({ open, pause }) {
          const client = await open()
          client.send(`${get('/a', fields)}early`)
          await client.until('back')
          await pause(60)
        },
      },
    ],
  ),
  {
    name: 'an upgrade that the listener does not know, with a body',
    origin: answerAt('hello', ok()),
    async play({ open, pause }) {
      const client = await open()
      client.send(post('/a', 'hello', asking))
      await client.left()
      await pause(60)
    },
  },
  {
    name: 'an upgrade that the listener does not know',
    origin: answerAt('\r\n\r\n', ok()),
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a', asking))
      await client.until('\r\n\r\n')
      await pause(60)
    },
  },
  {
    name: 'an upgrade to h2c is not one',
    listener,
    origin: answerAt('\r\n\r\n', ok()),
    async play({ open, pause }) {
      const client = await open()
      client.send(
        get('/a', {
          connection: 'upgrade, http2-settings',
          upgrade: 'h2c',
          'http2-settings': 'AAMAAABkAAQAAP__',
        }),
      )
      await client.until('\r\n\r\n')
      await pause(60)
    },
  },
  {
    name: 'a websocket whose origin ends',
    listener,
    origin: async (connection) => {
      await connection.until('\r\n\r\n')
      connection.send(`${switching}bye`)
      connection.end()
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a', asking))
      await client.left()
      await pause(60)
    },
  },
  {
    name: 'a websocket whose origin resets',
    listener,
    origin: async (connection) => {
      await connection.until('\r\n\r\n')
      connection.send(`${switching}bye`)
      setTimeout(() => connection.reset(), 50)
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a', asking))
      await client.left()
      await pause(60)
    },
  },
  {
    name: 'a websocket whose client resets',
    listener,
    origin: answerAt('\r\n\r\n', `${switching}hello`),
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a', asking))
      await client.until('hello')
      client.reset()
      await pause(60)
    },
  },
  {
    name: 'a websocket in HTTP/2 with bytes both ways',
    listener,
    origin: async (connection) => {
      await connection.until('\r\n\r\n')
      connection.send(`${switching}hello`)
      await connection.until('ping')
      connection.send('pong')
      setTimeout(() => connection.end(), 50)
    },
    async play({ openHttp2, pause }) {
      const client = await askInHttp2(openHttp2())
      await client.frame(({ type }) => type === frameTypes.data)
      client.data(1, 'ping')
      await client.frame(overOf(1))
      await pause(60)
    },
  },
  {
    name: 'a websocket in HTTP/2 that the origin refuses',
    listener,
    origin: answerAt('\r\n\r\n', refusal),
    async play({ openHttp2, pause }) {
      const client = await askInHttp2(openHttp2())
      await client.frame(overOf(1))
      await pause(60)
    },
  },
  {
    name: 'a websocket in HTTP/2 whose client resets',
    listener,
    origin: answerAt('\r\n\r\n', `${switching}hello`),
    async play({ openHttp2, pause }) {
      const client = await askInHttp2(openHttp2())
      await client.frame(({ type }) => type === frameTypes.data)
      client.close()
      await pause(60)
    },
  },
  {
    name: 'an upgrade named in HTTP/2 is a fault',
    listener,
    async play({ openHttp2, pause }) {
      const client = openHttp2()
      client.request(1, requestFields('/a', [['upgrade', 'websocket']]))
      await client.closed()
      await pause(30)
    },
  },
]
