/** Expectations and interim responses. */
import { frameTypes } from '../../../src/proxy/http2/frame.ts'
import type { ConnectionStory } from './connection-story.ts'
import { answerAt, endOf, get, ok, old, requestFields } from './story-parts.ts'

const expecting = get('/a', { expect: '100-continue', 'content-length': '5' }, 'POST')
const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'
const goOn = 'HTTP/1.1 100 Continue\r\n\r\n'

export const interimStories: readonly ConnectionStory[] = [
  ...['main', 'passing'].flatMap((listener): readonly ConnectionStory[] => [
    {
      name: `${listener}: a client that waits for 100 of an origin that says it`,
      listener,
      origin: async (connection) => {
        await connection.until('\r\n\r\n')
        connection.send(goOn)
        await connection.until('hello')
        connection.send(ok())
      },
      async play({ open }) {
        const client = await open()
        client.send(expecting)
        await client.until('100 Continue')
        client.send('hello')
        await client.until('ok')
      },
    },
    {
      name: `${listener}: a client that waits for 100 of an origin that refuses`,
      listener,
      origin: answerAt('\r\n\r\n', 'HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n'),
      async play({ open, pause }) {
        const client = await open()
        client.send(expecting)
        await client.until('417')
        await pause(50)
        await client.left()
      },
    },
    {
      name: `${listener}: a client that does not wait`,
      listener,
      origin: answerAt('hello', goOn + ok()),
      async play({ open, pause }) {
        const client = await open()
        client.send(`${expecting}hello`)
        await client.until('ok')
        await pause(50)
      },
    },
    {
      name: `${listener}: an expectation where a direct response waits`,
      listener,
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/direct', { expect: '100-continue', 'content-length': '5' }, 'POST'))
        await client.until('hi')
        await pause(50)
      },
    },
    {
      name: `${listener}: an expectation of HTTP/2`,
      listener,
      origin: async (connection) => {
        await connection.until('\r\n\r\n')
        connection.send(goOn)
        await connection.until('hello')
        connection.send(ok())
      },
      async play({ openHttp2 }) {
        const client = openHttp2()
        client.request(1, requestFields('/a', [['expect', '100-continue']], 'POST'), false)
        await client.frame(({ type }) => type === frameTypes.headers)
        client.data(1, 'hello', true)
        await client.frame(endOf(1))
      },
    },
    {
      name: `${listener}: an expectation of HTTP/2 to an HTTP/2 origin`,
      listener,
      http2Origin(stream) {
        stream.additionalHeaders({ ':status': 100 })
        stream.on('end', () => {
          stream.respond({ ':status': 200 })
          stream.end('ok')
        })
      },
      async play({ openHttp2 }) {
        const client = openHttp2()
        client.request(1, requestFields('/two', [['expect', '100-continue']], 'POST'), false)
        await client.frame(({ type }) => type === frameTypes.headers)
        client.data(1, 'hello', true)
        await client.frame(endOf(1))
      },
    },
    {
      name: `${listener}: hints before a response`,
      listener,
      origin: answerAt('\r\n\r\n', hints + ok()),
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/a'))
        await client.until('ok')
        await pause(30)
      },
    },
    {
      name: `${listener}: hints and 100 before a response`,
      listener,
      origin: answerAt('\r\n\r\n', goOn + hints + goOn + ok()),
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/a'))
        await client.until('ok')
        await pause(30)
      },
    },
    {
      name: `${listener}: hints for HTTP/2`,
      listener,
      origin: answerAt('\r\n\r\n', hints + ok()),
      async play({ openHttp2 }) {
        const client = openHttp2()
        client.request(1, requestFields('/a'))
        await client.frame(endOf(1))
      },
    },
    {
      name: `${listener}: hints of an HTTP/2 origin`,
      listener,
      http2Origin(stream) {
        stream.additionalHeaders({ ':status': 103, link: '</x>' })
        stream.respond({ ':status': 200 })
        stream.end('ok')
      },
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/two'))
        await client.until('ok')
        await pause(30)
      },
    },
    {
      name: `${listener}: 102 before a response`,
      listener,
      origin: answerAt('\r\n\r\n', `HTTP/1.1 102 Processing\r\n\r\n${ok()}`),
      async play({ open, pause }) {
        const client = await open()
        client.send(get('/a'))
        await Promise.race([client.until('\r\n\r\nok'), client.until('reset reason')])
        await pause(30)
      },
    },
  ]),
  {
    name: 'an expectation of HTTP/1.0',
    listener: 'old',
    origin: answerAt('hello', ok()),
    async play({ open }) {
      const client = await open()
      const fields = { expect: '100-continue', 'content-length': '5' }
      client.send(`${old(get('/a', fields, 'POST'))}hello`)
      await client.left()
    },
  },
  {
    name: 'hints for HTTP/1.0',
    listener: 'old',
    origin: answerAt('\r\n\r\n', hints + ok()),
    async play({ open }) {
      const client = await open()
      client.send(old(get('/a')))
      await client.left()
    },
  },
]
