/** Formats of access logs: operators, escaping, filters, and everything that is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import { headerList, requestRecord, tcpRecord } from '../../../test/support/request-record.ts'
import { AccessLogFilter } from '../../xds/proto/generated/envoy/config/accesslog/v3/accesslog.ts'
import { FileAccessLog } from '../../xds/proto/generated/envoy/extensions/access_loggers/file/v3/file.ts'
import { createAccessLog, createTcpAccessLog } from './access-log.ts'
import { compileFileFormat, compileLogFilter } from './compile-access-log.ts'
import { grpcStatusOf } from './grpc-status.ts'
import type { LogText } from './log-format.ts'
import { operatorNames } from './log-operator.ts'
import { compileTextLog } from './log-text.ts'
import { compileTimeFormat } from './log-time.ts'
import type { RequestRecord } from './request-record.ts'

function fileAccessLog(fields: object): FileAccessLog {
  return messageOf('envoy.extensions.access_loggers.file.v3.FileAccessLog', FileAccessLog, fields)
}

function accessLogFilter(fields: object): AccessLogFilter {
  return messageOf('envoy.config.accesslog.v3.AccessLogFilter', AccessLogFilter, fields)
}

function compile(message: object): LogText {
  const result = compileFileFormat(fileAccessLog(message), { hostname: 'machine' })
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('\n'))
  return result.value
}

function text(format: string, record: RequestRecord = requestRecord()): string {
  return compile({ log_format: { text_format_source: { inline_string: format } } })(record)
}

const host = fakeHost(smallSlots(), 8080)

const withMetadata = {
  ...host,
  metadata: {
    ...host.metadata,
    filterMetadata: { app: { name: 'one', list: ['x', 2] } },
  },
}

test("Envoy's default line", () => {
  const line = compile({})(requestRecord({ host }))
  assert.equal(
    line,
    '[2026-01-02T03:04:05.678Z] "GET /asked?q=1 HTTP/1.1" 200 - 3 2 12 11 "-" "curl/8" "id-1" ' +
      '"my-go-service:8080" "10.0.0.1:8080"\n',
  )
})

test("Istio's default line", () => {
  const format =
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
    '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
    '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% ' +
    '%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ' +
    '%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n'
  assert.equal(
    text(format, requestRecord({ host })),
    '[2026-01-02T03:04:05.678Z] "GET /asked?q=1 HTTP/1.1" 200 - via_upstream - "-" 3 2 12 11 "-" ' +
      '"curl/8" "id-1" "my-go-service:8080" "10.0.0.1:8080" ' +
      'outbound|8080||my-go-service.default.svc.cluster.local 127.0.0.1:40001 127.0.0.1:15001 ' +
      '127.0.0.1:50001 - default\n',
  )
})

test('JSON has its keys in order, numbers as numbers and null for what is missing', () => {
  const line = compile({
    log_format: {
      json_format: {
        zeta: '%PROTOCOL%',
        code: '%RESPONSE_CODE%',
        mixed: 'sent %BYTES_SENT% of %REQ(nope)%',
        missing: '%REQ(nope)%',
        constant: 'text',
        nested: { list: ['%DURATION%', 5, true, null] },
        agent: '%REQ(USER-AGENT):4%',
      },
    },
  })(requestRecord())
  assert.equal(
    line,
    '{"agent":"curl","code":200,"constant":"text","missing":null,"mixed":"sent 2 of -",' +
      '"nested":{"list":[12,5,true,null]},"zeta":"HTTP/1.1"}\n',
  )
})

test('with omit_empty_values nothing stands for what is missing', () => {
  const omit = (format: object): string =>
    compile({ log_format: { omit_empty_values: true, ...format } })(requestRecord())
  assert.equal(
    omit({ json_format: { a: '%REQ(no)%', b: 'x%REQ(no)%y', c: { d: '%REQ(no)%' } } }),
    '{"b":"xy"}\n',
  )
  assert.equal(omit({ json_format: { a: '%REQ(no)%' } }), '{}\n')
  assert.equal(omit({ text_format_source: { inline_string: '[%REQ(no)%]' } }), '[]')
})

const operators: readonly (readonly [format: string, expected: string, Partial<RequestRecord>?])[] =
  [
    ['%%', '%'],
    ['100%% %PROTOCOL%', '100% HTTP/1.1'],
    ['%REQ(:PATH)%', '/rewritten?q=1'],
    ['%REQ(:SCHEME)% %REQ(host)%', 'http my-go-service:8080'],
    ['%REQ(X-MISSING?USER-AGENT)%', 'curl/8'],
    ['%REQ(?USER-AGENT)% %REQ(USER-AGENT?)%', 'curl/8 curl/8'],
    ['%RESP(content-type)% %RESP(:STATUS)%', 'text/plain 200'],
    ['%RESP(content-type)%', '-', { response: undefined }],
    ['%RESPONSE_FLAGS_LONG%', 'NoHealthyUpstream,UpstreamRetryLimitExceeded', { flags: 'UH,URX' }],
    ['%RESPONSE_FLAGS_LONG%', '-'],
    ['%RESPONSE_CODE_DETAILS%', 'a_b_c', { details: 'a b c' }],
    ['%UPSTREAM_TRANSPORT_FAILURE_REASON%', 'no_route', { transportFailure: 'no route' }],
    ['%UPSTREAM_HOST% %UPSTREAM_HOST_NAME%', '10.0.0.1:8080 10.0.0.1:8080', { host }],
    ['%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%', '127.0.0.1 9001'],
    ['%UPSTREAM_REMOTE_ADDRESS%', '-', { host, upstreamRemoteAddress: undefined }],
    ['%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(20)%', '127.0.0.0/20'],
    [
      '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(33)%',
      '2001:db8:8000::/33',
      { downstreamRemoteAddress: '[2001:db8:ffff::1]:1' },
    ],
    ['%REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%', '1 12 0'],
    ['%REQUEST_TX_DURATION% %UPSTREAM_CONNECTION_POOL_READY_DURATION%', '3 1'],
    ['%COMMON_DURATION(DS_RX_END:US_TX_BEG:us)%', '1250'],
    ['%COMMON_DURATION(DS_RX_BEG:US_RX_BEG:ms)%', '-', { upstreamHeadMs: 0 }],
    ['%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%', '-', { isBrokenOff: true }],
    ['%UPSTREAM_HOSTS_ATTEMPTED%', '-'],
    ['%UPSTREAM_HOSTS_ATTEMPTED%', '10.0.0.1:8080', { hostReached: host }],
    ['%UPSTREAM_PROTOCOL% %UPSTREAM_WIRE_BYTES_SENT%', 'HTTP/1.1 120'],
    ['%PATH(NQ:ORIG)% %QUERY_PARAM(q)% %QUERY_PARAMS%', '/asked 1 q=1'],
    [
      '%REQUESTED_SERVER_NAME%',
      'outbound_.80_._.a-b.c',
      { requestedServerName: 'outbound_.80_._.a-b.c' },
    ],
    ['%REQUESTED_SERVER_NAME%', 'invalid:_.a_b', { requestedServerName: '*.a b' }],
    ['%REQUESTED_SERVER_NAME(SNI_FIRST:HOST)%', 'my-go-service:8080'],
    ['%TRAILER(X-END)%', 'yes', { responseTrailers: headerList({ 'x-end': 'yes' }) }],
    ['%RESPONSE_HEADERS_BYTES%', '32'],
    ['%ACCESS_LOG_TYPE%', 'DownstreamEnd'],
    ['%DYNAMIC_METADATA(a:b):3%', '-'],
    ['%REQ_WITHOUT_QUERY(:PATH)%', '/rewritten'],
    ['%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_LOCAL_PORT%', '127.0.0.1 40001'],
    ['%UPSTREAM_LOCAL_ADDRESS%', '-', { upstreamLocalAddress: undefined }],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%', '127.0.0.1 50001'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '::1', { downstreamRemoteAddress: '[::1]:50001' }],
    ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%', '127.0.0.1 15001'],
    ['%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%', '127.0.0.1:50001'],
    ['%DOWNSTREAM_WIRE_BYTES_RECEIVED% %DOWNSTREAM_WIRE_BYTES_SENT%', '103 202'],
    ['%CONNECTION_ID% %STREAM_ID%', '7 id-1'],
    ['%UPSTREAM_REQUEST_ATTEMPT_COUNT%', '3', { attempts: 3 }],
    ['%GRPC_STATUS% %GRPC_STATUS_NUMBER%', '- -'],
    [
      '%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)%',
      'DeadlineExceeded DEADLINE_EXCEEDED 4',
      { grpcStatus: 4 },
    ],
    ['%GRPC_STATUS%', '99', { grpcStatus: 99 }],
    ['%GRPC_STATUS% %GRPC_STATUS_NUMBER%', '-1 -1', { grpcStatus: -1 }],
    ['%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)%', 'Canceled CANCELLED', { grpcStatus: 1 }],
    ['%PATH(NQ)% %PATH(WQ:PATH)% %PATH(NQ:ORIG)%', '/asked /rewritten?q=1 /asked'],
    ['%HOSTNAME%', 'machine'],
    ['%START_TIME(%s.%3f)%', '1767323045.678'],
    ['%START_TIME(%-d %_d %0e %-m %-j %_H)%', '2  2 02 1 2  3'],
    ['%START_TIME(%EY %Ey %Od %OM)%', '2026 26 02 04'],
    ['%START_TIME(%E2f|%E5S|%E11S|%ET|%P|%:z)%', '67|05.67800|05.67800000000|T|am|+00:00'],
    ['%START_TIME(%Q %E4n %Eq %)%', '%Q %E4n %Eq %'],
    [
      '%UPSTREAM_METADATA(app:name)% %METADATA(UPSTREAM_HOST:app:name):2%',
      'one on',
      { host: withMetadata },
    ],
    ['%UPSTREAM_METADATA(app)%', '{"list":["x",2],"name":"one"}', { host: withMetadata }],
    [
      '%UPSTREAM_METADATA(app:list)% %UPSTREAM_METADATA(app:none)%',
      '["x",2] -',
      { host: withMetadata },
    ],
    ['%UPSTREAM_METADATA(app:name)%', '-', { host: undefined }],
    ['%CLUSTER_METADATA(app:name)%', '-'],
    ['%FILTER_STATE(who:PLAIN)% %FILTER_STATE(who)%', 'me "me"', { filterState: { who: 'me' } }],
    [
      '%FILTER_STATE(who:PLAIN):1% %FILTER_STATE(who:FIELD:x)%',
      'm -',
      { filterState: { who: 'me' } },
    ],
    ['%FILTER_STATE(who)%', '-'],
    ['%COALESCE({"operators":["UPSTREAM_TLS_VERSION","PROTOCOL"]})%', 'HTTP/1.1'],
    ['%COALESCE({"operators":[{"command":"REQ","param":"x-none"},"RESPONSE_CODE"]})%', '200'],
    ['%COALESCE({"operators":[{"command":"PATH","param":"","max_length":3}]}):2%', '/a'],
    ['%COALESCE({"operators":["UPSTREAM_TLS_VERSION"]})%', '-'],
    ['%START_TIME(%Y/%m/%d %H:%M:%E6S %z)%', '2026/01/02 03:04:05.678000 +0000'],
  ]

for (const [format, expected, fields] of operators) {
  test(`${format} is ${expected}`, () => {
    assert.equal(text(format, requestRecord(fields)), expected)
  })
}

const wantsArgument =
  /^REQ$|^RESP$|_HEADER$|TRAILER$|^QUERY_PARAM$|WITHOUT_QUERY$|_METADATA$|_STATE$/

test('a unique id is another one each time', () => {
  const [first, second, ...more] = text('%UNIQUE_ID% %UNIQUE_ID%').split(' ')
  assert.match(first ?? '', /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  assert.equal(first?.length, second?.length)
  assert.notEqual(first, second)
  assert.deepEqual(more, [])
})

test('a gRPC status is what its field says, and -1 when that is no number', () => {
  for (const [value, status] of [
    ['0', 0],
    ['42738', 42738],
    ['-1', -1],
    ['x', -1],
    ['', undefined],
  ] as const) {
    assert.equal(grpcStatusOf(headerList({ 'grpc-status': value })), status)
  }
})

test('every operator that is listed compiles', () => {
  for (const name of operatorNames) {
    const argument = wantsArgument.test(name) ? '(x)' : ''
    if (['COMMON_DURATION', 'METADATA', 'COALESCE'].includes(name)) continue
    assert.equal(typeof text(`%${name}${argument}%`), 'string')
  }
})

for (const { format, reason } of [
  { format: '%NO_SUCH%', reason: '%NO_SUCH%: not implemented' },
  { format: '%REQ(\n)%', reason: '%REQ(\\n)%: no header has such a name' },
  { format: '%RESP(a?\0)%', reason: '%RESP(a?\\u0000)%: no header has such a name' },
  { format: '%REQ(a)b)%', reason: '%REQ(a)b)%: no header has such a name' },
  { format: '%TRAILER(a b)%', reason: '%TRAILER(a b)%: no header has such a name' },
  { format: '%REQ(a:b)%', reason: '%REQ(a:b)%: no header has such a name' },
  { format: '%ENVIRONMENT(A)%', reason: '%ENVIRONMENT%: not implemented' },
  { format: '%FILTER_STATE()%', reason: '%FILTER_STATE()%: a key is required' },
  { format: '%FILTER_STATE(:PLAIN)%', reason: '%FILTER_STATE(:PLAIN)%: a key is required' },
  {
    format: '%FILTER_STATE(a:OTHER)%',
    reason: '%FILTER_STATE(a:OTHER)%: PLAIN, TYPED or FIELD expected',
  },
  {
    format: '%FILTER_STATE(a:FIELD)%',
    reason: '%FILTER_STATE(a:FIELD)%: FIELD, and no other, needs the name of a field',
  },
  {
    format: '%FILTER_STATE(a:PLAIN:x)%',
    reason: '%FILTER_STATE(a:PLAIN:x)%: FIELD, and no other, needs the name of a field',
  },
  {
    format: '%METADATA(ROUTE:a)%',
    reason: '%METADATA(ROUTE:a)%: only DYNAMIC, CLUSTER, UPSTREAM_HOST are implemented',
  },
  {
    format: '%METADATA()%',
    reason: '%METADATA()%: only DYNAMIC, CLUSTER, UPSTREAM_HOST are implemented',
  },
  { format: '%CLUSTER_METADATA()%', reason: '%CLUSTER_METADATA()%: a namespace is required' },
  { format: '%UPSTREAM_METADATA%', reason: '%UPSTREAM_METADATA()%: a namespace is required' },
  { format: '%UPSTREAM_METADATA(a):5%', reason: '%UPSTREAM_METADATA%: takes no length' },
  { format: '%COALESCE({})%', reason: '%COALESCE%: needs a list "operators"' },
  { format: '%COALESCE({"operators":[]})%', reason: '%COALESCE%: "operators" is empty' },
  {
    format: '%COALESCE({"operators":["REQ"]})%',
    reason: '%COALESCE%: operators[0]: %REQ()%: the name of a header is required',
  },
  {
    format: '%COALESCE({"operators":["PROTOCOL","NO"]})%',
    reason: '%COALESCE%: operators[1]: %NO%: not implemented',
  },
  {
    format: '%COALESCE({"operators":[3]})%',
    reason:
      '%COALESCE%: operators[0]: the name of an operator, or an object with "command", expected',
  },
  {
    format: '%COALESCE({"operators":[{"command":"REQ","param":5}]})%',
    reason: '%COALESCE%: operators[0]: "param" must be a text',
  },
  {
    format: '%COALESCE({"operators":[{"command":"REQ","param":"x","max_length":0}]})%',
    reason: '%COALESCE%: operators[0]: "max_length" must be a positive whole number',
  },
  {
    format: '%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%',
    reason: '%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%: START:END:ms, :us or :ns expected',
  },
  {
    format: '%COMMON_DURATION(US_CX_BEG:DS_TX_END:ms)%',
    reason: '%COMMON_DURATION(US_CX_BEG:DS_TX_END:ms)%: the point US_CX_BEG is not implemented',
  },
  {
    format: '%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(x)%',
    reason: '%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(x)%: a number of bits from 0 to 128 expected',
  },
  { format: '%QUERY_PARAMS(x)%', reason: '%QUERY_PARAMS(x)%: ORIG or DECODED expected' },
  {
    format: '%REQUESTED_SERVER_NAME(x)%',
    reason: '%REQUESTED_SERVER_NAME(x)%: SNI_ONLY, SNI_FIRST or HOST_FIRST expected',
  },
  { format: '100%', reason: 'format "100%": a single % at position 3' },
  { format: '%REQ()%', reason: '%REQ()%: the name of a header is required' },
  { format: '%REQ(a?b?c)%', reason: '%REQ(a?b?c)%: at most two headers' },
  { format: '%PROTOCOL(x)%', reason: '%PROTOCOL%: takes no argument, got (x)' },
  { format: '%PROTOCOL:3%', reason: '%PROTOCOL%: takes no length' },
  {
    format: '%GRPC_STATUS(X)%',
    reason: '%GRPC_STATUS(X)%: CAMEL_STRING, SNAKE_STRING or NUMBER expected',
  },
  { format: '%PATH(XX)%', reason: '%PATH(XX)%: WQ or NQ expected' },
  { format: '%START_TIME(%^a)%', reason: 'time format "%^a": %^a is not implemented' },
  { format: '%START_TIME(%5Y)%', reason: 'time format "%5Y": %5Y is not implemented' },
  { format: '%START_TIME(%n)%', reason: 'time format "%n": a line feed is not allowed' },
  { format: '%START_TIME(%-1On)%', reason: 'time format "%-1On": a line feed is not allowed' },
]) {
  test(`the format ${format} is refused`, () => {
    const result = compileTextLog(format, { hostname: '', omitEmpty: false })
    assert.deepEqual(result, { ok: false, reasons: [reason] })
  })
}

test('a reason in JSON says where', () => {
  const message = fileAccessLog({ log_format: { json_format: { a: { b: '%NO%' } } } })
  assert.deepEqual(compileFileFormat(message, { hostname: '' }), {
    ok: false,
    reasons: ['a.b: %NO%: not implemented'],
  })
})

test('a client cannot end its field or the line', () => {
  const request = {
    ...requestRecord().request,
    headers: headerList({ 'user-agent': 'x" 200 "\r\ny' }),
  }
  assert.equal(
    text('"%REQ(USER-AGENT)%"', requestRecord({ request })),
    '"x\\x22 200 \\x22\\x0d\\x0ay"',
  )
  const json = compile({ log_format: { json_format: { a: '%REQ(USER-AGENT)%' } } })
  assert.equal(json(requestRecord({ request })), '{"a":"x\\" 200 \\"\\r\\ny"}\n')
})

test('UTF-8 in a header leaves as UTF-8, other bytes as characters', () => {
  const withAgent = (agent: string): RequestRecord =>
    requestRecord({
      request: { ...requestRecord().request, headers: headerList({ 'user-agent': agent }) },
    })
  assert.equal(text('%REQ(USER-AGENT)%', withAgent(Buffer.from('é').toString('latin1'))), 'é')
  assert.equal(text('%REQ(USER-AGENT)%', withAgent('\u00e9')), '\u00e9')
})

test('every line of JSON parses, whatever the header holds', () => {
  const json = compile({ log_format: { json_format: { a: '%REQ(USER-AGENT)%', b: '-%REQ(x)%-' } } })
  for (let code = 0; code < 256; code += 1) {
    const headers = headerList({
      'user-agent': String.fromCharCode(code),
      x: String.fromCharCode(code),
    })
    const line = json(requestRecord({ request: { ...requestRecord().request, headers } }))
    assert.equal(line.indexOf('\n'), line.length - 1)
    assert.deepEqual(Object.keys(JSON.parse(line) as object), ['a', 'b'])
  }
})

test('a TCP connection is one line, written at its end', () => {
  const lines: string[] = []
  const log = createTcpAccessLog({
    format: compile({
      log_format: {
        text_format_source: { inline_string: '%BYTES_SENT% %RESPONSE_CODE% %UPSTREAM_CLUSTER%' },
      },
    }),
    writer: { write: (line) => lines.push(line) },
  })
  log.onOpen(tcpRecord())
  log.onEnd(tcpRecord())
  assert.deepEqual(lines, ['20 0 outbound|5432||postgres.default.svc.cluster.local'])
})

function passes(filter: object, record: Partial<RequestRecord> = {}, draw = 0): boolean {
  const result = compileLogFilter(accessLogFilter(filter), () => draw)
  assert.ok(result.ok, result.ok ? '' : result.reasons.join())
  const lines: string[] = []
  const log = createAccessLog({
    format: () => 'line',
    filter: result.value,
    writer: { write: (line) => lines.push(line) },
  })
  log.onEnd(requestRecord(record))
  return lines.length === 1
}

const over = (value: number, op = 'GE'): object => ({
  comparison: { op, value: { default_value: value, runtime_key: 'k' } },
})

test('filters choose lines as their names say', () => {
  assert.equal(passes({ status_code_filter: over(400) }, { status: 404 }), true)
  assert.equal(passes({ status_code_filter: over(400) }, { status: 200 }), false)
  assert.equal(passes({ status_code_filter: over(404, 'EQ') }, { status: 404 }), true)
  assert.equal(passes({ duration_filter: over(12, 'LE') }, { durationMs: 12.9 }), true)
  assert.equal(passes({ not_health_check_filter: {} }), true)
  assert.equal(passes({ response_flag_filter: { flags: ['UH'] } }, { flags: 'UF,UH' }), true)
  assert.equal(passes({ response_flag_filter: { flags: ['UH'] } }, { flags: 'UF' }), false)
  assert.equal(passes({ response_flag_filter: {} }, { flags: '-' }), false)
  assert.equal(
    passes({ header_filter: { header: { name: 'user-agent', string_match: { prefix: 'curl' } } } }),
    true,
  )
  assert.equal(
    passes({ grpc_status_filter: { statuses: ['UNAVAILABLE'] } }, { grpcStatus: 14 }),
    true,
  )
  assert.equal(
    passes(
      { grpc_status_filter: { statuses: ['UNAVAILABLE'], exclude: true } },
      { grpcStatus: 14 },
    ),
    false,
  )
  const sampled = { runtime_filter: { runtime_key: 'k', percent_sampled: { numerator: 10 } } }
  assert.equal(passes(sampled, {}, 0.09), true)
  assert.equal(passes(sampled, {}, 0.1), false)
})

test('filters join', () => {
  const filters = [{ status_code_filter: over(500) }, { duration_filter: over(1000) }]
  assert.equal(passes({ and_filter: { filters } }, { status: 503, durationMs: 5 }), false)
  assert.equal(passes({ or_filter: { filters } }, { status: 503, durationMs: 5 }), true)
})

for (const { filter, reason } of [
  { filter: {}, reason: 'filter_specifier: is required' },
  { filter: { traceable_filter: {} }, reason: 'traceableFilter: not implemented' },
  { filter: { status_code_filter: {} }, reason: 'comparison: is required' },
  { filter: { response_flag_filter: { flags: ['XX'] } }, reason: 'flags: no response flag XX' },
  {
    filter: { and_filter: { filters: [{ traceable_filter: {} }, {}] } },
    reason: 'filters[0].traceableFilter: not implemented',
  },
]) {
  test(`the filter ${JSON.stringify(filter)} is refused`, () => {
    const result = compileLogFilter(accessLogFilter(filter), Math.random)
    assert.equal(result.ok, false)
    assert.equal(result.ok ? '' : result.reasons[0], reason)
  })
}

test('times follow strftime', () => {
  const format = compileTimeFormat('%a %b %e %I:%M:%S %p %y %j %F %T %f %E0S %%')
  assert.ok(format.ok)
  assert.equal(
    format.value(Date.UTC(2026, 1, 3, 15, 4, 5, 6)),
    'Tue Feb  3 03:04:05 PM 26 034 2026-02-03 15:04:05 006000000 05 %',
  )
})
