/** Requests that do not wait for the answer to the one before. */
import type { ConnectionStory } from './connection-story.ts'
import { answering, chunked, get, named, ok, post } from './story-parts.ts'

export const pipelineStories: readonly ConnectionStory[] = [
  {
    name: 'pipelined requests are answered in order',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(get('/a') + get('/b') + get('/c'))
      await client.until('/c')
    },
  },
  {
    name: 'pipelined requests are answered in order, those of the proxy among them',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(get('/a') + get('/direct') + get('/none') + get('/b'))
      await client.until('/b')
    },
  },
  {
    name: 'a pipelined body is not read as a request',
    origin: async (connection) => {
      await connection.until('hello')
      connection.send(ok('first'))
      await connection.until('/b')
      connection.send(ok('second'))
    },
    async play({ open }) {
      const client = await open()
      client.send(post('/a', 'hello') + get('/b'))
      await client.until('second')
    },
  },
  {
    name: 'pipelined bodies in chunks',
    origin: async (connection) => {
      await connection.until('0\r\n\r\n')
      connection.send(ok('first'))
      await connection.until('0\r\n\r\n', 2)
      connection.send(ok('second'))
    },
    async play({ open }) {
      const client = await open()
      const body = '5\r\nhello\r\n0\r\n\r\n'
      client.send(chunked('/a') + body + chunked('/b') + body)
      await client.until('second')
    },
  },
  {
    name: 'Connection: close in the middle of a pipeline ends it',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(get('/a') + get('/b', { connection: 'close' }) + get('/c'))
      await client.left()
    },
  },
  {
    name: 'an origin that closes in the middle of a pipeline does not end it',
    origin: answering((path) => ok(path, path === '/b' ? 'connection: close\r\n' : '')),
    async play({ open }) {
      const client = await open()
      client.send(get('/a') + get('/b') + get('/c'))
      await client.until('/c')
    },
  },
  {
    name: 'a bad second request is answered after the first',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(`${get('/a')}GET / HTTP/1.1\r\nhost: a b\r\n\r\n`)
      await client.left()
    },
  },
  {
    name: 'no HTTP at all behind a request',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(`${get('/a')}\u0001\u0002\u0003\r\n\r\n`)
      await client.left()
    },
  },
  {
    name: 'a second request whose body is bad',
    origin: async (connection) => {
      await connection.until('/a')
      connection.send(ok('first'))
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a') + chunked('/b'))
      await client.until('first')
      await pause(30)
      client.send('zz\r\n')
      await client.left()
    },
  },
  {
    name: 'a client that leaves with requests in its pipeline',
    origin: async (connection) => {
      await connection.until('/a')
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a') + get('/b'))
      await pause(60)
      client.reset()
      await pause(60)
    },
  },
  {
    name: 'a client that ends its direction with requests in its pipeline',
    origin: async (connection) => {
      await connection.until('/a')
    },
    async play({ open, pause }) {
      const client = await open()
      client.send(get('/a') + get('/b'))
      await pause(60)
      client.end()
      await client.left()
    },
  },
  {
    name: 'a pipeline behind the last request that a connection may have',
    listener: 'few',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(get('/a') + get('/b') + get('/c'))
      await client.left()
    },
  },
  {
    name: 'blank lines between requests',
    origin: named,
    async play({ open }) {
      const client = await open()
      client.send(`${get('/a')}\r\n${get('/b')}`)
      await client.until('/b')
    },
  },
]
