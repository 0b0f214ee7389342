/** Checks over HTTP/2, gRPC's own and HTTP's: what is asked, how each answer is judged, and when the connection is kept. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { FakeConnector, type FakeWire } from '../../../test/support/fake-connector.ts'
import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import { compileCluster } from '../config/compile-cluster.ts'
import {
  type ErrorCode,
  errorCodes,
  frameFlags,
  frameHead,
  frameHeadBytes,
  frameTypes,
  goawayFrame,
  headersFrames,
  preface,
  resetFrame,
  settingsFrame,
} from '../http2/frame.ts'
import { HpackDecoder } from '../http2/hpack/decoder.ts'
import { HpackEncoder } from '../http2/hpack/encoder.ts'
import { defaultHttp2Options } from '../http2/settings.ts'
import { createClusterStats } from '../telemetry/create-stats.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { openProbe } from './open-probe.ts'
import type { Probe, ProbeOutcome, ProbeTarget } from './probe.ts'

type Field = readonly [name: string, value: string]

interface Sent {
  readonly type: number
  readonly streamId: number
  readonly flags: number
  readonly payload: Buffer
}

/** A probe, and the far end of its newest connection. */
class Scene {
  readonly connector = new FakeConnector()
  readonly outcomes: ProbeOutcome[] = []
  readonly probe: Probe
  wire: FakeWire | undefined
  #encoder = new HpackEncoder()
  #decoder = new HpackDecoder()
  #streamId = 0
  #sent: Sent[] = []

  constructor(checker: string, changes: Partial<ProbeTarget> = {}) {
    const cluster = compileCluster(
      envoyMessage.cluster(
        `{name: c, http2_protocol_options: {}, health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, ${checker}}]}`,
      ),
    )
    assert.ok(cluster.ok && cluster.value.healthCheck)
    const slots = smallSlots()
    const stats = createClusterStats(new StatsRegistry(slots), 'c')
    const host = fakeHost(slots, 80)
    this.probe = openProbe(
      cluster.value.healthCheck.probe,
      {
        host,
        address: host.address,
        hostname: '',
        clusterName: 'the-cluster',
        reusesConnection: true,
        timeoutMs: 1_000,
        http2: defaultHttp2Options,
        transport: () => undefined,
        onVerify: () => {},
        http2Stats: () => stats.http2(),
        onLost: () => {},
        ...changes,
      },
      { clock: new FakeClock(), random: () => 0, connector: this.connector },
    )
  }

  /** Begins a check; on a new connection if there is one. */
  check(): void {
    this.probe.check((outcome) => this.outcomes.push(outcome))
    const dial = this.connector.next()
    this.#streamId += 2
    if (dial === undefined) return
    this.#encoder = new HpackEncoder()
    this.#decoder = new HpackDecoder()
    this.#streamId = 1
    this.wire = dial.accept()
    this.wire?.receive(settingsFrame([]))
  }

  /** Frames that the probe has sent since this was last asked. */
  sent(): readonly Sent[] {
    let bytes = this.wire?.take() ?? Buffer.alloc(0)
    if (bytes.toString('latin1').startsWith(preface)) bytes = bytes.subarray(preface.length)
    this.#sent = []
    while (bytes.length >= frameHeadBytes) {
      const end = frameHeadBytes + bytes.readUIntBE(0, 3)
      const [type = 0, flags = 0] = bytes.subarray(3)
      const payload = bytes.subarray(frameHeadBytes, end)
      this.#sent.push({ type, flags, streamId: bytes.readUInt32BE(5), payload })
      bytes = bytes.subarray(end)
    }
    return this.#sent
  }

  /** The header block among what was sent. */
  fields(sent: readonly Sent[]): Readonly<Record<string, string>> {
    const head = sent.find(({ type }) => type === frameTypes.headers)
    assert.ok(head)
    const fields: [string, string][] = []
    this.#decoder.decode(head.payload, {
      onField: (name, value) => void fields.push([name.text, value]),
    })
    return Object.fromEntries(fields)
  }

  /** Whether the stream that is under way was reset. */
  get isReset(): boolean {
    return this.sent().some(({ type }) => type === frameTypes.rstStream)
  }

  head(fields: readonly Field[], isEnd = false): void {
    this.#encoder.begin()
    for (const [name, value] of fields) this.#encoder.field(name, value)
    this.wire?.receive(headersFrames(this.#streamId, this.#encoder.end(), isEnd))
  }

  data(text: string, isEnd = false): void {
    const flags = isEnd ? frameFlags.endStream : 0
    this.wire?.receive(frameHead(text.length, frameTypes.data, flags, this.#streamId) + text)
  }

  answer({ head, chunks = [], trailers }: Answer): void {
    const isBare = chunks.length === 0 && trailers === undefined
    this.head(head, isBare)
    for (const [index, chunk] of chunks.entries()) {
      this.data(chunk, trailers === undefined && index === chunks.length - 1)
    }
    if (trailers !== undefined) this.head(trailers, true)
  }

  goaway(code: ErrorCode): void {
    this.wire?.receive(goawayFrame(this.#streamId, code))
  }

  reset(): void {
    this.wire?.receive(resetFrame(this.#streamId, errorCodes.internalError))
  }

  /** Whether the next check has another connection. */
  get connectsAnew(): boolean {
    const before = this.wire
    this.check()
    return this.wire !== before
  }
}

interface Answer {
  readonly head: readonly Field[]
  readonly chunks?: readonly string[]
  readonly trailers?: readonly Field[]
}

const message = (status: number, flags = 0): string =>
  `${String.fromCharCode(flags)}\0\0\0\u0002\b${String.fromCharCode(status)}`
const ok: Field = [':status', '200']
const grpcType: Field = ['content-type', 'application/grpc']
const serving: Answer = {
  head: [ok, grpcType],
  chunks: [message(1)],
  trailers: [['grpc-status', '0']],
}
const pass: ProbeOutcome = { kind: 'pass', isDegraded: false }
const fail: ProbeOutcome = { kind: 'fail', isRetriable: false, isExcluding: false, status: 0 }
const network: ProbeOutcome = { kind: 'network' }
const grpc = 'grpc_health_check: {service_name: service}'

suite('a check by gRPC', () => {
  test('asks for its service', () => {
    const one = new Scene(
      'grpc_health_check: {service_name: service, initial_metadata: [{header: {key: x-who, value: "%PROTOCOL% %UPSTREAM_HOST%"}}]}',
    )
    one.check()
    const sent = one.sent()
    assert.deepEqual(one.fields(sent), {
      ':method': 'POST',
      ':scheme': 'http',
      ':path': '/grpc.health.v1.Health/Check',
      ':authority': 'the-cluster',
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': 'Envoy/HC',
      'x-who': 'HTTP/2 10.0.0.1:80',
      'grpc-timeout': '1000m',
    })
    const body = sent.filter(({ type }) => type === frameTypes.data).map(({ payload }) => payload)
    assert.equal(Buffer.concat(body).toString('latin1'), '\0\0\0\0\u0009\n\u0007service')
  })

  test('is addressed to whom the endpoint, the check, or nobody says', () => {
    const named = 'grpc_health_check: {authority: check.test}'
    for (const [checker, hostname, authority] of [
      ['grpc_health_check: {}', '', 'the-cluster'],
      [named, '', 'check.test'],
      [named, 'own.test', 'own.test'],
      ['grpc_health_check: {}', 'own.test', 'own.test'],
    ] as const) {
      const one = new Scene(checker, { hostname })
      one.check()
      assert.equal(one.fields(one.sent())[':authority'], authority)
    }
  })

  const answers: readonly (readonly [claim: string, outcome: ProbeOutcome, answer: Answer])[] = [
    ['SERVING', pass, serving],
    ['SERVING in pieces', pass, { ...serving, chunks: ['\0\0', '\0', '\0\u0002\b', '\u0001', ''] }],
    [
      'SERVING of a subtype',
      pass,
      { ...serving, head: [ok, ['content-type', 'application/grpc+proto']] },
    ],
    [
      'SERVING of another kind',
      fail,
      { ...serving, head: [ok, ['content-type', 'application/grpc-web']] },
    ],
    ['UNKNOWN', fail, { ...serving, chunks: [message(0)] }],
    ['NOT_SERVING', fail, { ...serving, chunks: [message(2)] }],
    ['SERVICE_UNKNOWN', fail, { ...serving, chunks: [message(3)] }],
    ['a status that there is not', fail, { ...serving, chunks: ['\0\0\0\0\u0003\b\u00e7\u0007'] }],
    ['another status of HTTP', fail, { head: [[':status', '500']] }],
    [
      'another status of HTTP, and one of gRPC',
      fail,
      {
        head: [
          [':status', '500'],
          ['grpc-status', '2'],
        ],
      },
    ],
    ['no content type', fail, { head: [ok] }],
    ['a head that is all', fail, { head: [ok, grpcType] }],
    ['a status in the head', fail, { head: [ok, grpcType, ['grpc-status', '2']] }],
    [
      'SERVING, and a status that is not OK',
      fail,
      { ...serving, trailers: [['grpc-status', '2']] },
    ],
    ['OK without a message', fail, { head: [ok, grpcType, ['grpc-status', '0']] }],
    ['a compressed message', fail, { ...serving, chunks: [message(1, 1)] }],
    ['a message that is none', fail, { ...serving, chunks: ['\0\0\0\0\u0002\u0005\u0006'] }],
    ['two messages', fail, { ...serving, chunks: [message(1), message(1)] }],
    ['bytes that are no frame', fail, { ...serving, chunks: ['incorrect'] }],
    [
      'a message, and bytes that are no frame',
      fail,
      { ...serving, chunks: [`${message(1)}000000`] },
    ],
    ['no trailers', fail, { head: [ok, grpcType], chunks: [message(1)] }],
    ['trailers without a status', fail, { ...serving, trailers: [['some-header', '1']] }],
    ['a status that is no number', fail, { ...serving, trailers: [['grpc-status', 'invalid']] }],
  ]
  for (const [claim, outcome, answer] of answers) {
    test(`${outcome.kind === 'pass' ? 'passes' : 'fails'} with ${claim}, and keeps its connection`, () => {
      const one = new Scene(grpc)
      one.check()
      one.answer(answer)
      assert.deepEqual(one.outcomes, [outcome])
      assert.equal(one.connectsAnew, false)
      one.answer(serving)
      assert.deepEqual(one.outcomes, [outcome, pass])
    })
  }

  const early: readonly (readonly [claim: string, begin: (one: Scene) => void])[] = [
    ['another status of HTTP', (one) => one.head([[':status', '500'], grpcType])],
    ['another content type', (one) => one.head([ok, ['content-type', 'text/html']])],
    ['bytes that are no frame', (one) => (one.head([ok, grpcType]), one.data('incorrect'))],
    ['a compressed message', (one) => (one.head([ok, grpcType]), one.data(message(1, 1)))],
    ['two messages', (one) => (one.head([ok, grpcType]), one.data(message(1) + message(1)))],
  ]
  for (const [claim, begin] of early) {
    test(`does not wait for the end of an answer with ${claim}`, () => {
      const one = new Scene(grpc)
      one.check()
      one.sent()
      begin(one)
      assert.deepEqual(one.outcomes, [fail])
      assert.equal(one.isReset, true)
      assert.equal(one.connectsAnew, false)
    })
  }

  const ends: readonly {
    readonly claim: string
    readonly end: (one: Scene) => void
    /** Undefined: nobody is told, because the check's time is over. */
    readonly outcome: ProbeOutcome | undefined
    readonly connectsAnew: boolean
    readonly reuses?: boolean
  }[] = [
    {
      claim: 'the connection ends',
      end: (one) => one.wire?.hangUp(),
      outcome: network,
      connectsAnew: true,
    },
    {
      claim: 'the stream is reset',
      end: (one) => one.reset(),
      outcome: network,
      connectsAnew: false,
    },
    {
      claim: 'its time is over',
      end: (one) => one.probe.giveUp(),
      outcome: undefined,
      connectsAnew: false,
    },
    {
      claim: 'the host goes for an error',
      end: (one) => one.goaway(errorCodes.enhanceYourCalm),
      outcome: network,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and answers',
      end: (one) => (one.goaway(errorCodes.noError), one.answer(serving)),
      outcome: pass,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and its time is over',
      end: (one) => (one.goaway(errorCodes.noError), one.probe.giveUp()),
      outcome: undefined,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and resets the stream',
      end: (one) => (one.goaway(errorCodes.noError), one.reset()),
      outcome: network,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and answers badly',
      end: (one) => {
        one.goaway(errorCodes.noError)
        one.head([ok, grpcType])
        one.data('incorrect')
      },
      outcome: fail,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and the connection ends',
      end: (one) => (one.goaway(errorCodes.noError), one.wire?.hangUp()),
      outcome: network,
      connectsAnew: true,
    },
    {
      claim: 'the host goes between two checks',
      end: (one) => (one.answer(serving), one.goaway(errorCodes.internalError)),
      outcome: pass,
      connectsAnew: true,
    },
    {
      claim: 'the connection ends between two checks',
      end: (one) => (one.answer(serving), one.wire?.hangUp()),
      outcome: pass,
      connectsAnew: true,
    },
    {
      claim: 'it passes, without a connection that is kept',
      reuses: false,
      end: (one) => one.answer(serving),
      outcome: pass,
      connectsAnew: true,
    },
    {
      claim: 'its time is over, without a connection that is kept',
      reuses: false,
      end: (one) => one.probe.giveUp(),
      outcome: undefined,
      connectsAnew: true,
    },
    {
      claim: 'the stream is reset, without a connection that is kept',
      reuses: false,
      end: (one) => one.reset(),
      outcome: network,
      connectsAnew: true,
    },
  ]
  for (const { claim, end, outcome, connectsAnew, reuses = true } of ends) {
    test(`when ${claim}: ${outcome?.kind ?? 'nothing'}, then ${connectsAnew ? 'another' : 'the same'} connection`, () => {
      const one = new Scene(grpc, { reusesConnection: reuses })
      one.check()
      end(one)
      assert.deepEqual(one.outcomes, outcome === undefined ? [] : [outcome])
      assert.equal(one.connectsAnew, connectsAnew)
      one.answer(serving)
      assert.deepEqual(one.outcomes.at(-1), pass)
    })
  }
})

const http = 'http_health_check: {path: /healthcheck, codec_client_type: HTTP2}'
const http200: Answer = { head: [ok], chunks: ['body'] }

suite('a check by HTTP/2', () => {
  const ends: readonly {
    readonly claim: string
    readonly end: (one: Scene) => void
    readonly outcome: ProbeOutcome | undefined
    readonly connectsAnew: boolean
    readonly reuses?: boolean
  }[] = [
    { claim: 'it passes', end: (one) => one.answer(http200), outcome: pass, connectsAnew: false },
    {
      claim: 'it passes with trailers',
      end: (one) => one.answer({ ...http200, trailers: [['some', 'trailer']] }),
      outcome: pass,
      connectsAnew: false,
    },
    {
      claim: 'an interim answer comes first',
      end: (one) => (one.head([[':status', '103']]), one.answer(http200)),
      outcome: pass,
      connectsAnew: false,
    },
    {
      claim: 'the stream is reset',
      end: (one) => one.reset(),
      outcome: network,
      connectsAnew: false,
    },
    {
      claim: 'its time is over',
      end: (one) => (one.head([ok]), one.probe.giveUp()),
      outcome: undefined,
      connectsAnew: true,
    },
    {
      claim: 'the host goes for an error',
      end: (one) => one.goaway(errorCodes.internalError),
      outcome: network,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and answers',
      end: (one) => (one.goaway(errorCodes.noError), one.answer(http200)),
      outcome: pass,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and its time is over',
      end: (one) => (one.goaway(errorCodes.noError), one.probe.giveUp()),
      outcome: undefined,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and resets the stream',
      end: (one) => (one.goaway(errorCodes.noError), one.reset()),
      outcome: network,
      connectsAnew: true,
    },
    {
      claim: 'the host goes in good order, and the connection ends',
      end: (one) => (one.goaway(errorCodes.noError), one.wire?.hangUp()),
      outcome: network,
      connectsAnew: true,
    },
    {
      claim: 'the host goes between two checks',
      end: (one) => (one.answer(http200), one.goaway(errorCodes.internalError)),
      outcome: pass,
      connectsAnew: true,
    },
    {
      claim: 'it passes, without a connection that is kept',
      reuses: false,
      end: (one) => one.answer(http200),
      outcome: pass,
      connectsAnew: true,
    },
  ]
  for (const { claim, end, outcome, connectsAnew, reuses = true } of ends) {
    test(`when ${claim}: ${outcome?.kind ?? 'nothing'}, then ${connectsAnew ? 'another' : 'the same'} connection`, () => {
      const one = new Scene(http, { reusesConnection: reuses })
      one.check()
      end(one)
      assert.deepEqual(one.outcomes, outcome === undefined ? [] : [outcome])
      assert.equal(one.connectsAnew, connectsAnew)
      one.answer(http200)
      assert.deepEqual(one.outcomes.at(-1), pass)
    })
  }
})
