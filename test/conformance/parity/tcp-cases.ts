/** What is sent in the comparison below HTTP, and what must come back from both proxies. */
import { type AddressInfo, createServer } from 'node:net'
import { connect } from 'node:tls'

import {
  clientHelloBytes,
  type HelloSketch,
  padding,
  protocols,
  serverNames,
} from '../../support/client-hello.ts'
import type { TcpListener } from './tcp-bootstrap.ts'

export interface TcpCase {
  readonly name: string
  readonly listener: TcpListener
  /** Piece by piece. */
  readonly sent: readonly Buffer[]
  readonly answer: RegExp
  readonly halfCloses?: boolean
  readonly isLogged?: boolean
}

/** The first bytes that a real client sends. */
export async function clientHello(servername: string | undefined): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (chunk: Buffer) => {
      resolve(chunk)
      socket.destroy()
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo // of a server on an IP address
  const client = connect({
    port,
    host: '127.0.0.1',
    ...(servername !== undefined && { servername }),
  })
  client.on('error', () => {})
  const hello = await promise
  server.close()
  return hello
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** Single octets first, where a parser could give up early, then the rest. */
function torn(whole: Buffer, singles = 80): Buffer[] {
  const pieces = Array.from({ length: Math.min(singles, whole.length) }, (_, index) =>
    whole.subarray(index, index + 1),
  )
  return whole.length > singles ? [...pieces, whole.subarray(singles)] : pieces
}

const helloA = await clientHello('a.example.com')
const helloB = await clientHello('B.deep.Example.COM')
const helloOther = await clientHello('example.com')
const helloNone = await clientHello(undefined)
const request = bytes('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
const v2 = (hex: string): Buffer => Buffer.from(`0d0a0d0a000d0a515549540a${hex}`, 'hex')
const v2FromTen = v2('2111000c0a0102030a00000103e801bb')

function tunnelCases(
  listener: 'via-post' | 'via-post-2' | 'via-connect-2',
  rows: readonly (readonly [string, RegExp])[],
): readonly TcpCase[] {
  return rows.map(([suffix, answer]) => {
    const name = `${listener}${suffix}`
    // Named in the bootstrap's list, which the test of that name looks up.
    return { name, listener: name as TcpListener, sent: [bytes('hello')], answer }
  })
}

const nameA = serverNames([0, 'a.example.com'])

/** To the listener where server names choose. */
function helloCases(
  rows: readonly (readonly [name: string, sketch: HelloSketch, answer: RegExp])[],
): readonly TcpCase[] {
  return rows.map(([name, sketch, answer]) => ({
    name: `a hello ${name}`,
    listener: 'sni',
    sent: [clientHelloBytes(sketch)],
    answer,
  }))
}

export const tcpCases: readonly TcpCase[] = [
  { name: 'a server name chooses', listener: 'sni', sent: [helloA], answer: /^a: / },
  { name: 'a hello in single octets', listener: 'sni', sent: torn(helloA, 300), answer: /^a: / },
  {
    name: 'a wildcard covers any depth, in any case',
    listener: 'sni',
    sent: [helloB],
    answer: /^b: /,
  },
  {
    name: 'a wildcard does not cover the bare name',
    listener: 'sni',
    sent: [helloOther],
    answer: /^c: /,
  },
  { name: 'no server name', listener: 'sni', sent: [helloNone], answer: /^c: / },
  {
    name: 'plaintext where names choose',
    listener: 'sni',
    sent: [bytes('hello')],
    answer: /^c: hello/,
  },
  ...helloCases([
    ['without extensions', { extensions: [] }, /^c: /],
    ['with a name', { extensions: [nameA] }, /^a: /],
    ['with two names', { extensions: [serverNames([0, 'a.example.com'], [0, 'x'])] }, /^c: /],
    ['with its name twice', { extensions: [nameA, nameA] }, /^c: /],
    ['with an octet behind its name', { extensions: [`00000013${nameA.slice(8)}00`] }, /^c: /],
    ['with a NUL in its name', { extensions: [serverNames([0, 'a.example.com\0'])] }, /^c: /],
    ['with a broken list of protocols', { extensions: ['0010000500ff026832', nameA] }, /^a: /],
    ['with protocols', { extensions: [protocols('h2', 'x'), nameA] }, /^a: /],
    ['of 16 000 octets', { extensions: [nameA, padding(16_000)] }, /^a: /],
    ['that is too large', { extensions: [nameA, padding(16_400)] }, /^$/],
    ['of SSL 3', { extensions: [nameA], version: 0x0300 }, /^$/],
    ['of TLS 1.0', { extensions: [nameA], version: 0x0301 }, /^a: /],
    ['of a TLS to come', { extensions: [nameA], version: 0x0305 }, /^$/],
  ]),
  { name: 'HTTP is seen', listener: 'sniff', sent: [request], answer: /it is HTTP/ },
  { name: 'HTTP in single octets', listener: 'sniff', sent: torn(request), answer: /it is HTTP/ },
  {
    name: 'HTTP/1.0 is seen',
    listener: 'sniff',
    sent: [bytes('GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n')],
    answer: /it is HTTP/,
  },
  { name: 'TLS is seen', listener: 'sniff', sent: [helloNone], answer: /^b: / },
  { name: 'TLS with a name is seen', listener: 'sniff', sent: torn(helloA), answer: /^a: / },
  {
    name: 'a text protocol is no HTTP',
    listener: 'sniff',
    sent: [bytes('SET key 1\r\n')],
    answer: /^c: SET key 1/,
  },
  {
    name: 'binary is no HTTP',
    listener: 'sniff',
    sent: [Buffer.from('00ff10'.repeat(20), 'hex')],
    answer: /^c: /,
  },
  {
    name: 'a server that speaks first is heard',
    listener: 'sniff-greeter',
    sent: [],
    answer: /greeter: hello/,
  },
  {
    name: 'half a request line, then silence',
    listener: 'sniff',
    sent: [bytes('GE')],
    answer: /^c: GE/,
  },
  {
    name: 'half a hello, then silence',
    listener: 'sniff',
    sent: [helloA.subarray(0, 40)],
    answer: /^c: /,
  },
  {
    name: 'silence ends where it may not go on',
    listener: 'closes-silent',
    sent: [],
    answer: /^$/,
  },
  {
    name: 'PROXY v1 from ten',
    listener: 'proxy',
    sent: [bytes('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\nhello')],
    answer: /^a: hello/,
    isLogged: true,
  },
  {
    name: 'PROXY v1 in single octets',
    listener: 'proxy',
    sent: torn(bytes('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\nhello')),
    answer: /^a: hello/,
    isLogged: true,
  },
  {
    name: 'PROXY v2 in single octets',
    listener: 'proxy',
    sent: [...torn(v2FromTen), bytes('hello')],
    answer: /^a: hello/,
    isLogged: true,
  },
  {
    name: 'PROXY v2, IPv6, to a port with a chain of its own',
    listener: 'proxy',
    sent: [
      v2('21210024200100000000000000000000000000042001000000000000000000000000000803e8270f'),
      bytes('hello'),
    ],
    answer: /^b: hello/,
    isLogged: true,
  },
  {
    name: 'PROXY UNKNOWN leaves the addresses',
    listener: 'proxy',
    sent: [bytes('PROXY UNKNOWN\r\nhello')],
    answer: /^c: hello/,
  },
  {
    name: 'PROXY v2 LOCAL leaves the addresses',
    listener: 'proxy',
    sent: [v2('20000000'), bytes('hello')],
    answer: /^c: hello/,
  },
  {
    name: 'PROXY v2 with TLVs',
    listener: 'proxy',
    sent: [v2('211100130a0102030a00000103e801bb03000412345678'), bytes('hello')],
    answer: /^a: hello/,
    isLogged: true,
  },
  { name: 'no PROXY header where one is needed', listener: 'proxy', sent: [request], answer: /^$/ },
  {
    name: 'a broken PROXY header',
    listener: 'proxy',
    sent: [bytes('PROXY TCP4 x\r\n')],
    answer: /^$/,
  },
  {
    name: 'a PROXY header of a Unix socket',
    listener: 'proxy',
    sent: [v2('213100d800'.repeat(216))],
    answer: /^$/,
  },
  {
    name: 'PROXY v2 with a TLV that does not fit',
    listener: 'proxy',
    sent: [v2('2111000f0a0102030a00000103e801bb02ffff'), bytes('hello')],
    answer: /^$/,
  },
  {
    name: 'PROXY v2, IPv4 addresses as IPv6',
    listener: 'proxy-v2-only',
    sent: [
      v2('2121002400000000000000000000ffff0a01020300000000000000000000ffff0a00000103e801bb'),
      bytes('hello'),
    ],
    answer: /^a: hello/,
    isLogged: true,
  },
  {
    name: 'a PROXY header and silence',
    listener: 'proxy',
    sent: [bytes('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\n')],
    answer: /^$/,
  },
  {
    name: 'an optional PROXY header of a version that is not allowed',
    listener: 'proxy-v2-optional',
    sent: [bytes('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\nhello')],
    answer: /^a: PROXY/,
  },
  {
    name: 'the first octets of one',
    listener: 'proxy-v2-optional',
    sent: [bytes('PROXY ')],
    answer: /^a: PROXY /,
  },
  {
    name: 'a broken one',
    listener: 'proxy-v2-optional',
    sent: [bytes('PROXY x\r\n')],
    answer: /^a: PROXY x/,
  },
  { name: 'silence where a PROXY header is needed', listener: 'proxy', sent: [], answer: /^$/ },
  {
    name: 'an optional PROXY header that is there',
    listener: 'proxy-optional',
    sent: [bytes('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\nhello')],
    answer: /^a: hello/,
  },
  {
    name: 'an optional PROXY header that is not',
    listener: 'proxy-optional',
    sent: [bytes('POST / HTTP/1.1\r\n')],
    answer: /^a: POST/,
  },
  {
    name: 'a version that is not allowed',
    listener: 'proxy-v2-only',
    sent: [bytes('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\nhello')],
    answer: /^$/,
  },
  {
    name: 'the version that is',
    listener: 'proxy-v2-only',
    sent: [v2FromTen, bytes('hello')],
    answer: /^a: hello/,
    isLogged: true,
  },
  {
    name: 'a host is told by version 1',
    listener: 'to-proxy-v1',
    sent: [bytes('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\nhello')],
    answer: /^a: PROXY TCP4 10\.1\.2\.3 10\.0\.0\.1 1000 443\r\nhello/,
  },
  {
    name: 'a host is told of an IPv6 client by version 1',
    listener: 'to-proxy-v1',
    sent: [bytes('PROXY TCP6 2001::4 2001::8 1000 443\r\nhello')],
    answer: /^a: PROXY TCP6 2001::4 2001::8 1000 443\r\nhello/,
  },
  {
    name: 'a host is told by version 2',
    listener: 'to-proxy-v2',
    sent: [v2FromTen, bytes('hello')],
    answer: /QUIT[^]*hello/,
  },
  {
    name: 'a host is told before requests',
    listener: 'http-to-proxy',
    sent: [bytes('PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\n'), request],
    // It answers no HTTP.
    answer: /^HTTP\/1\.1 50[23]/,
  },
  {
    name: 'the next host is tried',
    listener: 'retry',
    sent: [bytes('hello')],
    answer: /^a: hello/,
  },
  {
    name: 'a tunnel is asked for before bytes are sent',
    listener: 'via-proxy',
    sent: [bytes('hello')],
    answer: /^CONNECT db\.internal:5432 HTTP\/1\.1 proxy: hello/,
  },
  {
    name: 'a tunnel that is refused',
    listener: 'via-refusal',
    sent: [bytes('hello')],
    answer: /^$/,
  },
  ...tunnelCases('via-post', [
    ['', /^POST \/ db\.internal:5432 chunked: hello/],
    ['-path', /^POST \/tunnel\?to=db db\.internal:5432 chunked: hello/],
    ['-refused', /^$/],
    ['-empty', /^$/],
    ['-created', /^POST \/created db\.internal:5432 chunked: hello/],
  ]),
  ...tunnelCases('via-post-2', [
    ['', /^POST \/ db\.internal:5432 : hello/],
    ['-refused', /^$/],
    ['-empty', /^$/],
    ['-created', /^$/],
  ]),
  ...tunnelCases('via-connect-2', [['', /^CONNECT  db\.internal:5432 : hello/]]),
  {
    name: 'the end of what the client sends is the end of a body over HTTP/2',
    listener: 'via-post-2',
    sent: [bytes('hello')],
    answer: /hello bye$/,
    halfCloses: true,
  },
  { name: 'no host at all', listener: 'blackhole', sent: [bytes('hello')], answer: /^$/ },
  {
    name: 'one side ends, the other goes on',
    listener: 'retry',
    sent: [bytes('hello')],
    answer: /bye$/,
    halfCloses: true,
  },
  {
    name: 'HTTP inside a tunnel is seen',
    listener: 'tunnel',
    sent: [bytes('CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n'), request],
    answer: /it is HTTP/,
  },
  {
    name: 'TLS inside a tunnel is seen',
    listener: 'tunnel',
    sent: [bytes('CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n'), ...torn(helloA)],
    answer: /a: /,
  },
  {
    name: 'bytes inside a tunnel are passed on',
    listener: 'tunnel',
    sent: [bytes('CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n'), bytes('\0binary')],
    answer: /c: \0binary/,
  },
]
