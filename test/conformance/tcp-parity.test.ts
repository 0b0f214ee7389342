/**
 * Below HTTP: the same bootstrap, run by a real Envoy and by Tulle, takes the same bytes to the same backends. Server names,
 * sniffed protocols, silence, garbage, the PROXY protocol in both directions, ends of either side.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { inParallel } from './parity/answer.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'
import { type TcpBackend, openBackend, openHttpBackend } from './parity/tcp-backend.ts'
import { tcpBootstrap, tcpListeners } from './parity/tcp-bootstrap.ts'
import { type TcpCase, tcpCases } from './parity/tcp-cases.ts'

const envoy = findEnvoy()

interface Answer {
  /** What the client got. */
  readonly text: string
  /** Whether the proxy ended the connection while the client still held it. */
  readonly isClosed: boolean
}

describe('below HTTP in Envoy and in Tulle', { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-tcp-parity-'))
  const log = join(folder, 'access.log')
  const answers = { envoy: new Map<string, Answer>(), tulle: new Map<string, Answer>() }
  const stats = { envoy: [] as string[], tulle: [] as string[] }
  const logs = { envoy: [] as string[], tulle: [] as string[] }
  const backends: TcpBackend[] = []

  before(async () => {
    for (const name of ['a', 'b', 'c']) backends.push(await openBackend(name, 'echo'))
    backends.push(await openBackend('greeter', 'greet'))
    backends.push(await openBackend('proxy', 'tunnel'), await openBackend('refusal', 'refuse'))
    backends.push(await openHttpBackend('poster', 1), await openHttpBackend('poster-2', 2))
    const file = join(folder, 'bootstrap.json')
    const ports = new Map(backends.map(({ name, port }) => [name, port]))
    writeFileSync(file, JSON.stringify(tcpBootstrap(ports, log)))
    const options = { file, folder, envoy: envoy ?? '', listeners: tcpListeners.length }
    logs.envoy = await answerAll(() => openEnvoy(options), answers.envoy, stats.envoy)
    logs.tulle = await answerAll(() => openTulle(file), answers.tulle, stats.tulle)
  })

  after(async () => {
    for (const backend of backends) await backend[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  async function answerAll(
    open: () => Promise<OpenProxy>,
    into: Map<string, Answer>,
    counted: string[],
  ): Promise<string[]> {
    writeFileSync(log, '')
    await using proxy = await open()
    await inParallel(tcpCases, async (one) => {
      into.set(one.name, await converse(proxy.ports.get(one.listener) ?? 0, one))
    })
    counted.push(...(await listenerStats(proxy)))
    const logged = (): string[] =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    await eventually(() => logged().length >= loggedCases, { deadlineMs: 3_000 })
    return logged().sort()
  }

  for (const { name, answer } of tcpCases) {
    test(name, () => {
      const expected = answers.envoy.get(name)
      const actual = answers.tulle.get(name)
      assert.deepEqual(actual, expected)
      assert.match(actual?.text ?? '', answer)
    })
  }

  test('connections count where a chain is chosen', () => {
    assert.deepEqual(stats.tulle, stats.envoy)
    assert.ok(stats.tulle.some((line) => /proxy\.downstream_cx_total: [1-9]/.test(line)))
  })

  test('the access log says the same of whose connections they were', () => {
    assert.deepEqual(logs.tulle, logs.envoy)
    assert.ok(logs.tulle.some((line) => line.includes('10.1.2.3:1000')))
  })
})

/** Cases on listeners with an access log that reach a chain. */
const loggedCases = tcpCases.filter(({ isLogged }) => isLogged === true).length

/** Of listeners with inspection, when nothing is open any more. */
async function listenerStats(proxy: OpenProxy): Promise<readonly string[]> {
  const counters = /\.(downstream_(cx_total|cx_destroy|.*_remote_close)|no_filter_.*): /
  const lines = async (): Promise<readonly string[]> =>
    (await proxy.admin('/stats'))
      .split('\n')
      .filter((line) => /^listener\.(sni|proxy[-\w]*)\.(downstream|no)_/.test(line))
  const isOpen = (line: string): boolean => /\.downstream_(pre_)?cx_active: [1-9]/.test(line)
  const still = async (): Promise<boolean> => !(await lines()).some(isOpen)
  await eventually(still, { deadlineMs: 3_000 })
  return (await lines()).filter((line) => counters.test(line)).sort()
}

/** How HTTP is answered is compared elsewhere. */
function withoutHeaders(text: string): string {
  return text.replace(/(HTTP\/1\.\d \d+)[^]*?\r\n\r\n/g, '$1 ')
}

const quietMs = 150

/** Sends piece by piece, and listens until the expected has come, or the connection has ended, or for a while. */
function converse(port: number, { sent, answer, halfCloses }: TcpCase): Promise<Answer> {
  return new Promise((resolve) => {
    let text = ''
    let isClosed = false
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text: withoutHeaders(text), isClosed })
    }
    let timer = setTimeout(finish, 4_000)
    const calmDown = (): void => {
      clearTimeout(timer)
      timer = setTimeout(finish, quietMs)
    }
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (answer.test(text)) calmDown()
    })
    const onEnd = (): void => {
      isClosed = true
      if (halfCloses === true) calmDown()
      else finish()
    }
    socket.on('end', onEnd)
    socket.on('error', onEnd)
    socket.on('close', () => {
      isClosed ||= !socket.writableEnded
      calmDown()
    })
    const pieces = [...sent]
    const sendNext = (): void => {
      const piece = pieces.shift()
      if (piece === undefined) {
        if (halfCloses === true) socket.end()
        return
      }
      socket.write(piece, () => setImmediate(sendNext))
    }
    socket.once('connect', sendNext)
  })
}
