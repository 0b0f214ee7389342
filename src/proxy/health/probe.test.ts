/** What each kind of probe says and how it judges the answer, byte by byte, over wires whose far end is the test. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { FakeConnector, type FakeWire } from '../../../test/support/fake-connector.ts'
import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import { compileCluster } from '../config/compile-cluster.ts'
import { defaultHttp2Options } from '../http2/settings.ts'
import { createClusterStats } from '../telemetry/create-stats.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { encodeHealthRequest, readHealthStatus } from './grpc-health-message.ts'
import type { ProbeSettings } from './health-settings.ts'
import { openProbe } from './open-probe.ts'
import { matchesPayload } from './payload-match.ts'
import type { Probe, ProbeOutcome, ProbeTarget } from './probe.ts'

/** Of a `health_checks` entry, by way of a cluster. */
function probeSettings(checker: string, cluster = ''): ProbeSettings {
  const result = compileCluster(
    envoyMessage.cluster(
      `{name: c, ${cluster} health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, ${checker}}]}`,
    ),
  )
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('; '))
  assert.ok(result.value.healthCheck)
  return result.value.healthCheck.probe
}

class Scene {
  readonly connector = new FakeConnector()
  readonly outcomes: ProbeOutcome[] = []
  readonly probe: Probe
  verified = 0
  lost = 0
  wire: FakeWire | undefined

  constructor(settings: ProbeSettings, changes: Partial<ProbeTarget> = {}) {
    const slots = smallSlots()
    const stats = createClusterStats(new StatsRegistry(slots), 'c')
    const host = fakeHost(slots, 80)
    this.probe = openProbe(
      settings,
      {
        host,
        address: host.address,
        hostname: '',
        clusterName: 'the-cluster',
        reusesConnection: true,
        timeoutMs: 1_000,
        http2: defaultHttp2Options,
        transport: () => undefined,
        onVerify: () => {
          this.verified += 1
        },
        http2Stats: () => stats.http2(),
        onLost: () => {
          this.lost += 1
        },
        ...changes,
      },
      { clock: new FakeClock(), random: () => 0, connector: this.connector },
    )
  }

  check(): void {
    this.probe.check((outcome) => this.outcomes.push(outcome))
  }

  /** Begins a check on a new connection; what was sent. */
  connect(): string {
    this.check()
    this.wire = this.connector.next()?.accept()
    return this.sent()
  }

  sent(): string {
    return this.wire?.take().toString('latin1') ?? ''
  }

  receive(text: string | Uint8Array): void {
    this.wire?.receive(text)
  }

  get last(): ProbeOutcome | undefined {
    return this.outcomes.at(-1)
  }
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
const pass: ProbeOutcome = { kind: 'pass', isDegraded: false }
const status = (code: number, headers = '', body = ''): string =>
  `HTTP/1.1 ${code} X\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`

test('an HTTP check is a GET that says who asks', () => {
  const one = new Scene(probeSettings('http_health_check: {path: "/healthz?a=b"}'))
  assert.equal(
    one.connect(),
    'GET /healthz?a=b HTTP/1.1\r\nhost: the-cluster\r\nuser-agent: Envoy/HC\r\n\r\n',
  )
  one.receive(ok)
  assert.deepEqual(one.outcomes, [pass])
})

test('whom a check is addressed to: the endpoint’s word, the check’s, the cluster’s name', () => {
  const check = probeSettings('http_health_check: {path: /, host: configured.test}')
  assert.match(new Scene(check).connect(), /host: configured\.test\r\n/)
  assert.match(new Scene(check, { hostname: 'own.test' }).connect(), /host: own\.test\r\n/)
})

test('method, headers and body are as configured', () => {
  const one = new Scene(
    probeSettings(
      `http_health_check: {path: /, method: POST, send: {text: "68656c6c6f"}, request_headers_to_add: [{header: {key: x-who, value: me}}, {header: {key: user-agent, value: other}, append: false}], request_headers_to_remove: [x-none]}`,
    ),
  )
  assert.equal(
    one.connect(),
    'POST / HTTP/1.1\r\nhost: the-cluster\r\nuser-agent: other\r\nx-who: me\r\ncontent-length: 5\r\n\r\nhello',
  )
})

test('headers of a check can be removed', () => {
  const one = new Scene(
    probeSettings('http_health_check: {path: /, request_headers_to_remove: [user-agent]}'),
  )
  assert.equal(one.connect(), 'GET / HTTP/1.1\r\nhost: the-cluster\r\n\r\n')
})

test('headers of a check may have what is known of it', () => {
  const value = (text: string): string =>
    new Scene(
      probeSettings(
        `http_health_check: {path: /, request_headers_to_add: [{header: {key: x-said, value: '${text}'}}]}`,
      ),
    )
      .connect()
      .split('x-said: ')[1]
      ?.trim() ?? ''
  const known: readonly (readonly [text: string, said: string])[] = [
    ['%DOWNSTREAM_REMOTE_ADDRESS%', '127.0.0.1:0'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '127.0.0.1'],
    ['%DOWNSTREAM_LOCAL_ADDRESS%', '127.0.0.1:0'],
    ['%PROTOCOL%', 'HTTP/1.1'],
    ['%UPSTREAM_HOST%', '10.0.0.1:80'],
    ['%START_TIME(%s)%', '1700000000'],
    // No connection stands yet, and no route has led here.
    ['%UPSTREAM_REMOTE_ADDRESS%', ''],
    ['%UPSTREAM_CLUSTER%', ''],
  ]
  for (const [text, said] of known) assert.equal(value(text), said, text)
})

const judged: readonly {
  readonly name: string
  readonly check: string
  readonly answer: string
  readonly outcome: ProbeOutcome
}[] = [
  {
    name: '204 is not 200',
    check: '',
    answer: 'HTTP/1.1 204 X\r\n\r\n',
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 204 },
  },
  {
    name: 'statuses in a range are expected, its end is not',
    check: 'expected_statuses: [{start: 200, end: 205}, {start: 429, end: 430}]',
    answer: status(429),
    outcome: pass,
  },
  {
    name: 'the end of a range is outside',
    check: 'expected_statuses: [{start: 200, end: 205}]',
    answer: status(205),
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 205 },
  },
  {
    name: '200 is unexpected where others are expected',
    check: 'expected_statuses: [{start: 201, end: 205}]',
    answer: ok,
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 200 },
  },
  {
    name: 'retriable statuses are counted',
    check: 'retriable_statuses: [{start: 500, end: 504}]',
    answer: status(503),
    outcome: { kind: 'fail', isRetriable: true, isExcluding: false, status: 503 },
  },
  {
    name: 'a status that is expected and retriable is a pass',
    check:
      'expected_statuses: [{start: 503, end: 504}], retriable_statuses: [{start: 500, end: 504}]',
    answer: status(503),
    outcome: pass,
  },
  {
    name: 'a bad answer may say that the host goes',
    check: '',
    answer: status(503, 'x-envoy-immediate-health-check-fail: true\r\n'),
    outcome: { kind: 'fail', isRetriable: false, isExcluding: true, status: 503 },
  },
  {
    name: 'a good answer may not',
    check: '',
    answer: status(200, 'x-envoy-immediate-health-check-fail: true\r\n'),
    outcome: pass,
  },
  {
    name: 'a good answer may say that the host is degraded',
    check: '',
    answer: status(200, 'x-envoy-degraded: true\r\n'),
    outcome: { kind: 'pass', isDegraded: true },
  },
  {
    name: 'the body holds what is looked for, in its order',
    check: 'receive: [{text: "6f6e65"}, {binary: "dHdv"}]',
    answer: status(200, '', 'zero one and two'),
    outcome: pass,
  },
  {
    name: 'in another order it does not',
    check: 'receive: [{text: "74776f"}, {text: "6f6e65"}]',
    answer: status(200, '', 'zero one and two'),
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 200 },
  },
  {
    name: 'a wrong body of a retriable status is not retriable',
    check: 'receive: [{text: "74776f"}], retriable_statuses: [{start: 500, end: 504}]',
    answer: status(503, '', 'one'),
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 503 },
  },
  {
    name: 'what lies beyond the buffer is not looked at',
    check: 'receive: [{text: "74776f"}], response_buffer_size: 4',
    answer: status(200, '', 'one two'),
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 200 },
  },
  {
    name: 'without a buffer’s size all is looked at',
    check: 'receive: [{text: "74776f"}], response_buffer_size: 0',
    answer: status(200, '', `${'.'.repeat(5_000)}two`),
    outcome: pass,
  },
  {
    name: 'the far side says which cluster it is',
    check: 'service_name_matcher: {prefix: loc}',
    answer: status(200, 'x-envoy-upstream-healthchecked-cluster: locations\r\n'),
    outcome: pass,
  },
  {
    name: 'another cluster is a failure',
    check: 'service_name_matcher: {prefix: loc}',
    answer: status(200, 'x-envoy-upstream-healthchecked-cluster: api\r\n'),
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 200 },
  },
  {
    name: 'saying nothing is one too',
    check: 'service_name_matcher: {prefix: loc}',
    answer: ok,
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 200 },
  },
  {
    name: 'interim answers are not the answer',
    check: '',
    answer: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${ok}`,
    outcome: pass,
  },
  {
    name: 'an answer to HEAD has no body, whatever its length says',
    check: 'method: HEAD',
    answer: 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n',
    outcome: pass,
  },
  {
    name: 'statuses without a body may be expected',
    check: 'expected_statuses: [{start: 204, end: 205}, {start: 304, end: 305}]',
    answer: 'HTTP/1.1 304 X\r\ncontent-length: 7\r\n\r\n',
    outcome: pass,
  },
  {
    name: 'between two ranges nothing is expected',
    check: 'expected_statuses: [{start: 204, end: 205}, {start: 304, end: 305}]',
    answer: status(303),
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 303 },
  },
  {
    name: 'the last status is expected',
    check: 'expected_statuses: [{start: 599, end: 600}]',
    answer: status(599),
    outcome: pass,
  },
  {
    name: 'a retriable answer may say that the host goes',
    check: 'retriable_statuses: [{start: 503, end: 504}]',
    answer: status(503, 'x-envoy-immediate-health-check-fail: true\r\n'),
    outcome: { kind: 'fail', isRetriable: true, isExcluding: true, status: 503 },
  },
  {
    name: 'a wrong body may say that the host goes',
    check: 'receive: [{text: "74776f"}]',
    answer: status(200, 'x-envoy-immediate-health-check-fail: true\r\n', 'one'),
    outcome: { kind: 'fail', isRetriable: false, isExcluding: true, status: 200 },
  },
  {
    name: 'a body that is looked for is missed where there is none',
    check: 'receive: [{text: "74776f"}]',
    answer: ok,
    outcome: { kind: 'fail', isRetriable: false, isExcluding: false, status: 200 },
  },
  {
    name: 'the body comes in chunks',
    check: 'receive: [{text: "6f6e65"}, {text: "74776f"}]',
    answer:
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\non\r\n4\r\ne tw\r\n1\r\no\r\n0\r\n\r\n',
    outcome: pass,
  },
  {
    name: 'the far side is the very cluster',
    check: 'service_name_matcher: {exact: locations-production-iad}',
    answer: status(200, 'x-envoy-upstream-healthchecked-cluster: locations-production-iad\r\n'),
    outcome: pass,
  },
  {
    name: 'the far side is one of such clusters, and degraded',
    check: 'service_name_matcher: {safe_regex: {regex: "locations-.*-.*$"}}',
    answer: status(
      200,
      'x-envoy-upstream-healthchecked-cluster: locations-production-iad\r\nx-envoy-degraded: 1\r\n',
    ),
    outcome: { kind: 'pass', isDegraded: true },
  },
  {
    name: 'an unexpected status goes before another cluster',
    check: 'service_name_matcher: {prefix: loc}, retriable_statuses: [{start: 500, end: 600}]',
    answer: status(503, 'x-envoy-upstream-healthchecked-cluster: api\r\n'),
    outcome: { kind: 'fail', isRetriable: true, isExcluding: false, status: 503 },
  },
  {
    name: 'an answer that is none is a failure of the network',
    check: '',
    answer: 'SSH-2.0-OpenSSH\r\n\r\n',
    outcome: { kind: 'network' },
  },
]

for (const { name, check, answer, outcome } of judged) {
  test(`HTTP: ${name}`, () => {
    const one = new Scene(probeSettings(`http_health_check: {path: /, ${check}}`))
    one.connect()
    one.receive(answer)
    assert.deepEqual(one.outcomes, [outcome])
  })
}

test('the name of the cluster is looked at where it is asked for, and counted', () => {
  const one = new Scene(
    probeSettings('http_health_check: {path: /, service_name_matcher: {prefix: loc}}'),
  )
  one.connect()
  one.receive(ok)
  assert.equal(one.verified, 1)
})

test('a connection is kept for the next check', () => {
  const one = new Scene(probeSettings('http_health_check: {path: /}'))
  one.connect()
  one.receive(ok)
  one.check()
  assert.equal(one.connector.next(), undefined)
  assert.match(one.sent(), /^GET /)
  one.receive(ok)
  assert.deepEqual(one.outcomes, [pass, pass])
})

test('it depends on the answer whether it is', () => {
  const answers: readonly (readonly [answer: string, isKept: boolean])[] = [
    [status(200, 'connection: keep-alive\r\n'), true],
    [status(200, 'connection: close\r\n'), false],
    [status(200, 'proxy-connection: close\r\n'), false],
    [status(503, 'connection: close\r\n'), false],
    [status(503), true],
    [ok.replace('1.1', '1.0'), false],
    [ok.replace('1.1 200 OK', '1.0 200 OK\r\nconnection: keep-alive'), true],
    ['HTTP/1.1 200 OK\r\n\r\n', false],
  ]
  for (const [answer, isKept] of answers) {
    const one = new Scene(probeSettings('http_health_check: {path: /}'))
    one.connect()
    one.receive(answer)
    if (!answer.includes('content-length')) one.wire?.hangUp()
    assert.equal(one.outcomes.length, 1, answer)
    one.check()
    assert.equal(one.connector.next() === undefined, isKept, answer)
  }
})

test('it is not where that is switched off, or the answer says so', () => {
  const settings = probeSettings('http_health_check: {path: /}')
  const off = new Scene(settings, { reusesConnection: false })
  off.connect()
  off.receive(ok)
  assert.equal(off.wire?.isClosed, true)
  const said = new Scene(settings)
  said.connect()
  said.receive(status(200, 'connection: close\r\n'))
  assert.equal(said.wire?.isClosed, true)
  for (const one of [off, said]) {
    one.connect()
    one.receive(ok)
    assert.deepEqual(one.outcomes, [pass, pass])
  }
})

test('an end of the connection between two checks is no failure of an HTTP check', () => {
  const one = new Scene(probeSettings('http_health_check: {path: /}'))
  one.connect()
  one.receive(ok)
  one.wire?.hangUp()
  assert.deepEqual(one.outcomes, [pass])
  one.connect()
  one.receive(ok)
  assert.deepEqual(one.outcomes, [pass, pass])
})

test('an end of the connection during a check, and a refusal, are failures of the network', () => {
  for (const checker of [
    'http_health_check: {path: /}',
    'tcp_health_check: {receive: [{text: "01"}]}',
  ]) {
    const one = new Scene(probeSettings(checker))
    one.connect()
    one.wire?.hangUp()
    assert.deepEqual(one.outcomes, [{ kind: 'network' }])
    one.check()
    one.connector.next()?.refuse()
    assert.deepEqual(one.outcomes, [{ kind: 'network' }, { kind: 'network' }])
    one.check()
    assert.equal(one.connector.dials.length, 1, `${checker} tries again`)
  }
})

test('what is given up is told nothing, and gives up its dial', () => {
  for (const checker of ['http_health_check: {path: /}', 'tcp_health_check: {}']) {
    const one = new Scene(probeSettings(checker))
    one.check()
    const dial = one.connector.next()
    one.probe.giveUp()
    assert.equal(dial?.isGivenUp, true)
    assert.deepEqual(one.outcomes, [])
    one.check()
    assert.notEqual(one.connector.next()?.accept(), undefined, 'the next check dials anew')
  }
})

test('TCP: a connection is enough where nothing is expected, and it ends at once', () => {
  const one = new Scene(probeSettings('tcp_health_check: {}'))
  assert.equal(one.connect(), '')
  assert.deepEqual(one.outcomes, [pass])
  assert.equal(one.wire?.isClosed, true)
})

test('TCP: the answer may come in pieces, with anything in between', () => {
  const one = new Scene(
    probeSettings(
      'tcp_health_check: {send: {text: "50494e47"}, receive: [{text: "504f"}, {text: "4e47"}]}',
    ),
  )
  assert.equal(one.connect(), 'PING')
  one.receive('+P')
  one.receive('O..N')
  assert.deepEqual(one.outcomes, [])
  one.receive('G\r\n')
  assert.deepEqual(one.outcomes, [pass])
  one.check()
  assert.equal(one.sent(), 'PING', 'on the same connection')
  one.receive('PONG')
  assert.deepEqual(one.outcomes, [pass, pass])
})

const lone = 'receive: [{text: "02"}]'
const exchanges: readonly {
  readonly claim: string
  readonly check: string
  readonly receive: string
  /** Undefined: the answer is waited for, until the time is over. */
  readonly outcome: ProbeOutcome | undefined
  readonly sent: string
}[] = [
  { claim: 'what is expected', check: lone, receive: '\u0002', outcome: pass, sent: '\u0001' },
  {
    claim: 'what is expected, among other bytes',
    check: lone,
    receive: '\0\u0003\u0002\u0004',
    outcome: pass,
    sent: '\u0001',
  },
  { claim: 'something else', check: lone, receive: '\u0003', outcome: undefined, sent: '\u0001' },
  {
    claim: 'blocks in another order',
    check: 'receive: [{text: "02"}, {text: "03"}]',
    receive: '\u0003\u0002',
    outcome: undefined,
    sent: '\u0001',
  },
  {
    claim: 'nothing, where blocks of no bytes are expected',
    check: 'receive: [{binary: ""}]',
    receive: '',
    outcome: pass,
    sent: '',
  },
  {
    claim: 'nothing, where nothing is expected: nor is anything sent',
    check: '',
    receive: '',
    outcome: pass,
    sent: '',
  },
]

for (const { claim, check, receive, outcome, sent } of exchanges) {
  test(`TCP: ${outcome?.kind ?? 'waits'} with ${claim}`, () => {
    const one = new Scene(probeSettings(`tcp_health_check: {send: {text: "01"}, ${check}}`))
    assert.equal(one.connect(), sent)
    if (receive !== '') one.receive(receive)
    assert.deepEqual(one.outcomes, outcome === undefined ? [] : [outcome])
  })
}

test('TCP: a connection that is kept and ends between two checks is reported', () => {
  const one = new Scene(probeSettings('tcp_health_check: {receive: [{text: "01"}]}'))
  one.connect()
  one.receive('\u0001')
  one.wire?.hangUp()
  assert.equal(one.lost, 1)
  const other = new Scene(probeSettings('tcp_health_check: {receive: [{text: "01"}]}'), {
    reusesConnection: false,
  })
  other.connect()
  other.receive('\u0001')
  assert.equal(other.wire?.isClosed, true)
  assert.equal(other.lost, 0)
})

test('TCP: the PROXY protocol goes first', () => {
  const check = (version: string): string =>
    `tcp_health_check: {send: {text: "50"}, receive: [{text: "50"}], proxy_protocol_config: {version: ${version}}}`
  assert.equal(
    new Scene(probeSettings(check('V1'))).connect(),
    'PROXY TCP4 127.0.0.1 127.0.0.1 40000 80\r\nP',
  )
  assert.equal(
    new Scene(probeSettings(check('V2'))).connect(),
    '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0P',
    'for itself',
  )
})

test('blocks are found in their order only, and none is found everywhere', () => {
  const text = Buffer.from('abcabc')
  const blocks = (...all: string[]): Buffer[] => all.map((one) => Buffer.from(one))
  assert.equal(matchesPayload([], Buffer.alloc(0)), true)
  assert.equal(matchesPayload(blocks('ab', 'bc'), text), true)
  assert.equal(matchesPayload(blocks('bca', 'bc'), text), true)
  assert.equal(matchesPayload(blocks('bca', 'ca'), text), false, 'they do not overlap')
})

test('gRPC’s messages are written and read as the protocol says', () => {
  assert.deepEqual([...encodeHealthRequest('')], [0, 0, 0, 0, 0])
  assert.deepEqual([...encodeHealthRequest('ab')], [0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62])
  const read = (...bytes: number[]) => readHealthStatus(Buffer.from(bytes))
  assert.equal(read(), 'none')
  assert.equal(read(0, 0, 0, 0), 'none')
  assert.equal(read(0, 0, 0, 0, 2, 8), 'none', 'not whole yet')
  assert.equal(read(0, 0, 0, 0, 0), 'none', 'an empty message says nothing')
  assert.equal(read(0, 0, 0, 0, 2, 8, 1), 1)
  assert.equal(read(0, 0, 0, 0, 2, 8, 2), 2)
  assert.equal(read(0, 0, 0, 0, 5, 0x12, 1, 9, 8, 1), 1, 'unknown fields are passed over')
  assert.equal(read(1, 0, 0, 0, 2, 8, 1), 'broken', 'compressed')
  assert.equal(read(0, 0, 0, 0, 2, 0xff, 0xff), 'broken')
  assert.equal(read(0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0, 2, 8, 1), 'broken', 'a second message')
})
